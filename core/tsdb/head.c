/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Series: made, found, named.
 *
 * A label set is interned symbol by symbol, stored once as pairs, and found
 * by its hash. Looking one up compares bytes with symbols, so nothing is
 * interned for a series that exists. Making one happens under the index lock
 * held for writing, with the next free reference: ids and the lists of the
 * index ascend together, but for once in four billion series. In agent posture
 * there is no index.
 *
 * A series is in the page before it is in the hash table, so whoever finds
 * its reference finds it. It may be there before its first sample is
 * committed, and stays if that never happens; a series without samples is
 * never part of an answer.
 *
 * Aliases: a log may have two series records for one label set (a series
 * that was dropped and came back under a new number while the old record was
 * still needed). The later number stands for the first.
 *
 * Threads: everything here is safe from any thread, but for what the replay
 * does before anybody else is there.
 */
#include <stdlib.h>

#include "tsdb/head_histograms.h"
#include "tsdb/walk.h"
#include "util/mem.h"
#include "util/str.h"

#define WRITERS_WAIT_MS 10000

static void rwlock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;

    /* A stream of readers must not keep a writer out. */
    (void)pthread_rwlockattr_init(&attr);
    (void)pthread_rwlockattr_setkind_np(
        &attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(lock, &attr);
    (void)pthread_rwlockattr_destroy(&attr);
}

struct head *head_new(const struct clock *clock, bool log_only)
{
    struct head *h = mem_new(struct head);

    h->clock = clock;
    h->log_only = log_only;
    h->next_ref = 1;
    h->symbols = symtab_new();
    rwlock_init(&h->gate);
    rwlock_init(&h->index_lock);
    (void)pthread_mutex_init(&h->mem_lock, NULL);
    batch_pool_init(&h->batches);
    series_table_init(&h->table);
    label_store_init(&h->labels);
    chunk_mem_init(&h->mem);
    readers_init(&h->readers);
    readers_init(&h->writers);
    readers_init(&h->commits);
    head_deleted_init(&h->deleted);
    late_init(&h->late);
    exemplars_init(&h->exemplars);
    atomic_init(&h->min_time, INT64_MAX);
    atomic_init(&h->max_time, INT64_MIN);
    atomic_init(&h->min_valid, INT64_MIN);
    h->collect_again = INT64_MIN;
    h->writers_wait_ms = WRITERS_WAIT_MS;
    return h;
}

void head_free(struct head *h)
{
    if (!h)
        return;
    head_free_chunks(h);
    head_files_close(h->files);
    head_deleted_fini(&h->deleted);
    late_fini(&h->late);
    exemplars_fini(&h->exemplars);
    chunk_mem_fini(&h->mem);
    readers_fini(&h->readers);
    readers_fini(&h->writers);
    readers_fini(&h->commits);
    postings_fini(&h->postings);
    label_hash_fini(&h->hash);
    label_store_fini(&h->labels);
    series_table_fini(&h->table);
    batch_pool_fini(&h->batches);
    (void)pthread_mutex_destroy(&h->mem_lock);
    (void)pthread_rwlock_destroy(&h->index_lock);
    (void)pthread_rwlock_destroy(&h->gate);
    symtab_free(h->symbols);
    free(h->limbo.places);
    free(h->aside);
    free(h->aliases);
    gone_list_fini(&h->gone);
    free(h);
}

/* ---- labels ----------------------------------------------------------- */

/* Where the labels of an id are; 0 if there is no such series. */
static uint32_t labels_of_id(struct head *h, uint32_t id)
{
    struct walk w = walk_of(h);
    struct series *s = walk_to_id(&w, id);
    uint32_t at = s ? s->labels : 0;

    walk_end(&w);
    return at;
}

static uint32_t labels_of_ref(struct head *h, uint64_t ref)
{
    struct walk w = walk_of(h);
    struct series *s = walk_to(&w, ref);
    uint32_t at = s ? s->labels : 0;

    walk_end(&w);
    return at;
}

void head_labels_view(const struct head *h, uint32_t at, struct label *items,
                      size_t *n)
{
    struct label_set set = label_store_get(&h->labels, at);

    *n = set.count;
    for (size_t i = 0; i < set.count; i++)
        items[i] = (struct label){ symtab_str(h->symbols, set.names[i]),
                                   symtab_str(h->symbols, set.values[i]) };
}

struct labels head_labels_dup(const struct head *h, uint32_t at,
                              struct arena *a)
{
    size_t n = label_store_get(&h->labels, at).count;
    struct label *items = arena_array(a, struct label, n);

    head_labels_view(h, at, items, &n);
    for (size_t i = 0; i < n; i++) {
        items[i].name = arena_str(a, items[i].name);
        items[i].value = arena_str(a, items[i].value);
    }
    return (struct labels){ items, n };
}

bool head_labels(struct head *h, uint64_t ref, struct arena *a,
                 struct labels *out)
{
    struct presence here;
    uint32_t at;

    readers_enter(&h->readers, &here);
    at = labels_of_ref(h, ref);
    if (!at)
        at = labels_of_id(h, head_alias(h, ref));
    if (at)
        *out = head_labels_dup(h, at, a);
    readers_leave(&h->readers, &here);
    return at != 0;
}

/* ---- finding ---------------------------------------------------------- */

struct probe {
    struct head *head;
    const struct labels *labels;
};

static bool has_labels(void *arg, uint32_t id)
{
    const struct probe *probe = arg;
    const struct head *h = probe->head;
    uint32_t at = labels_of_id(probe->head, id);
    struct label_set set;

    if (!at)
        return false;
    set = label_store_get(&h->labels, at);
    if (set.count != probe->labels->count)
        return false;
    for (size_t i = 0; i < set.count; i++) {
        const struct label *l = &probe->labels->items[i];

        if (!sonde_str_eq(symtab_str(h->symbols, set.values[i]), l->value) ||
            !sonde_str_eq(symtab_str(h->symbols, set.names[i]), l->name))
            return false;
    }
    return true;
}

/* Under the index lock. */
static uint32_t find(struct head *h, const struct labels *l, uint64_t hash)
{
    struct probe probe = { h, l };

    return label_hash_find(&h->hash, hash, has_labels, &probe);
}

/* ---- making ----------------------------------------------------------- */

static sonde_code check_labels(const struct labels *l, struct sonde_err *err)
{
    if (l->count == 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "make series: expected labels, got none");
    if (l->count > SERIES_LABELS_MAX)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "make series: %zu labels, at most %d are possible",
                             l->count, SERIES_LABELS_MAX);
    for (size_t i = 0; i < l->count; i++) {
        const struct label *x = &l->items[i];

        if (x->name.len == 0 || x->value.len == 0 ||
            (i && str_cmp(l->items[i - 1].name, x->name) >= 0))
            return sonde_err_set(err, SONDE_EINVAL,
                                 "make series: expected labels sorted by "
                                 "name, none empty or twice, got \"%.*s\" at "
                                 "place %zu",
                                 (int)(x->name.len < 100 ? x->name.len : 100),
                                 x->name.ptr ? x->name.ptr : "", i + 1);
    }
    return SONDE_OK;
}

/* Puts the labels of a series where they belong. */
static sonde_code store_labels(struct head *h, const struct labels *l,
                               uint32_t id, uint32_t *at, struct sonde_err *err)
{
    symbol names[SERIES_LABELS_MAX], values[SERIES_LABELS_MAX];
    struct label_set set = { names, values, l->count };
    bool stored;

    for (size_t i = 0; i < l->count; i++) {
        names[i] = symtab_intern(h->symbols, l->items[i].name);
        values[i] = symtab_intern(h->symbols, l->items[i].value);
    }
    stored = label_store_add(&h->labels, &set, at);
    for (size_t i = 0; i < l->count; i++) {
        if (stored && !h->log_only)
            postings_add(&h->postings, names[i], values[i], id);
        if (stored)
            continue;
        symtab_release(h->symbols, names[i]);
        symtab_release(h->symbols, values[i]);
    }
    return stored ? SONDE_OK
                  : sonde_err_set(err, SONDE_ELIMIT,
                                  "make series: the memory for labels is full");
}

/* Under the index lock, held for writing; the labels are not there yet, and
 * nothing but chunks that were found at start may be at the reference. */
static sonde_code make(struct head *h, series_ref ref, const struct labels *l,
                       uint64_t hash, uint8_t flags, struct sonde_err *err)
{
    uint32_t id = (uint32_t)ref, at;
    struct series_page *page;
    struct series *s;
    sonde_code rc = store_labels(h, l, id, &at, err);

    if (rc != SONDE_OK)
        return rc;
    page = series_table_make(&h->table, id);
    (void)pthread_mutex_lock(&page->lock);
    s = series_page_get(page, id);
    if (!s) {
        s = series_page_add(page, id);
        s->era = (uint8_t)(ref >> 32);
        xor_begin(&s->open);
    }
    s->labels = at;
    s->flags |= flags;
    (void)pthread_mutex_unlock(&page->lock);
    label_hash_add(&h->hash, hash, id);
    atomic_fetch_add(&h->series_count, 1);
    metric_inc(h->metrics.series_created);
    return SONDE_OK;
}

/* What a series is called outside, which stays for now. Under the index lock:
 * who removes series holds it for writing. */
static series_ref hold(struct head *h, uint32_t id)
{
    struct walk w = walk_of(h);
    struct series *s = walk_to_id(&w, id);
    series_ref ref = s ? series_ref_of(s, id) : 0;

    if (s)
        s->flags |= SERIES_HELD;
    walk_end(&w);
    return ref;
}

bool head_hold(struct head *h, series_ref ref)
{
    struct walk w = walk_of(h);
    struct series *s = walk_to(&w, ref);

    if (s)
        s->flags |= SERIES_HELD;
    walk_end(&w);
    return s != NULL;
}

static bool is_taken(struct head *h, uint32_t id)
{
    struct walk w = walk_of(h);
    bool taken = walk_to_id(&w, id) != NULL;

    walk_end(&w);
    return taken;
}

/* The next reference whose place is free; 0: there is none any more. */
static series_ref next_ref(struct head *h)
{
    while (h->next_ref <= SERIES_REF_MAX &&
           ((uint32_t)h->next_ref == 0 || is_taken(h, (uint32_t)h->next_ref)))
        h->next_ref++;
    return h->next_ref <= SERIES_REF_MAX ? h->next_ref++ : 0;
}

static sonde_code find_or_make(struct head *h, const struct labels *l,
                               uint64_t hash, series_ref *ref,
                               struct sonde_err *err)
{
    *ref = hold(h, find(h, l, hash));
    if (*ref)
        return SONDE_OK;
    *ref = next_ref(h);
    if (!*ref)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "make series: all %llu references are used up; "
                             "begin with a new data directory",
                             (unsigned long long)SERIES_REF_MAX);
    return make(h, *ref, l, hash, SERIES_HELD, err);
}

sonde_code head_series(struct head *h, const struct labels *l, series_ref *ref,
                       struct sonde_err *err)
{
    uint64_t hash = labels_hash(l);
    sonde_code rc;

    (void)pthread_rwlock_rdlock(&h->index_lock);
    *ref = hold(h, find(h, l, hash));
    (void)pthread_rwlock_unlock(&h->index_lock);
    if (*ref)
        return SONDE_OK;
    rc = check_labels(l, err);
    if (rc != SONDE_OK)
        return rc;
    (void)pthread_rwlock_wrlock(&h->index_lock);
    rc = find_or_make(h, l, hash, ref, err);
    (void)pthread_rwlock_unlock(&h->index_lock);
    return rc;
}

sonde_code head_series_put(struct head *h, uint64_t ref, const struct labels *l,
                           uint32_t *found, struct sonde_err *err)
{
    uint64_t hash = labels_hash(l);
    sonde_code rc = check_labels(l, err);

    if (rc != SONDE_OK)
        return rc;
    if ((uint32_t)ref == 0 || ref > SERIES_REF_MAX)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "series record: expected a reference of 1 to "
                             "%llu, got %llu",
                             (unsigned long long)SERIES_REF_MAX,
                             (unsigned long long)ref);
    *found = find(h, l, hash);
    if (*found) {
        head_chunks_join(h, *found, ref);
        return SONDE_OK;
    }
    if (labels_of_id(h, (uint32_t)ref))
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "series record: reference %llu has other labels "
                             "already",
                             (unsigned long long)ref);
    rc = make(h, ref, l, hash, 0, err);
    *found = (uint32_t)ref;
    return rc;
}

/* ---- aliases ---------------------------------------------------------- */

/* The first alias that is not below. */
static size_t alias_place(const struct head *h, uint64_t from)
{
    size_t low = 0, high = h->alias_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (h->aliases[mid].from < from)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* References ascend in a log, so this is appending nearly always. */
void head_alias_add(struct head *h, uint64_t from, uint32_t to)
{
    size_t i = alias_place(h, from);

    if (i == h->alias_count || h->aliases[i].from != from) {
        h->aliases = mem_grow(h->aliases, &h->alias_cap, h->alias_count + 1,
                              sizeof(*h->aliases));
        memmove(h->aliases + i + 1, h->aliases + i,
                (h->alias_count - i) * sizeof(*h->aliases));
        h->alias_count++;
    }
    h->aliases[i] = (struct series_alias){ from, to };
}

uint32_t head_alias(const struct head *h, uint64_t ref)
{
    size_t i = alias_place(h, ref);

    return i < h->alias_count && h->aliases[i].from == ref ? h->aliases[i].to
                                                           : 0;
}
