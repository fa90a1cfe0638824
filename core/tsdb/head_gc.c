/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a block leaves the head: chunks first, then series that have
 * nothing left, then whatever only they needed.
 *
 * In small steps, beside the scrapes: a page's lock is held for its 64
 * series, the index lock for as many. What a step takes out nobody finds any
 * more; who has found it already is a reader (readers.h), and only when all
 * who came before are gone does its memory serve again. If one stays long,
 * the rest waits in `limbo` for the next time, and nobody waits for it.
 *
 * A transaction must not lose the series that it is about to write to. Those
 * that it asked for, by labels or by reference, are marked as held. What it
 * only remembers from earlier ones it may use as long as `generation` is what
 * it was then. The collector takes the marks off, raises the generation, and
 * waits until the transactions that were open then are over. Then no one can
 * write to a series without a mark: who remembers it sees the new generation
 * and asks, which marks it, or is told that it is gone. If a transaction stays
 * open for long, no series goes for now.
 */
#include <stdlib.h>

#include "tsdb/head_histograms.h"
#include "tsdb/index_hold.h"
#include "tsdb/walk.h"
#include "util/mem.h"

#define COMMITS_WAIT_MS 2000
#define READERS_WAIT_MS 2000
#define RELEASE_STEP    256

struct collection {
    struct head *head;
    sonde_msec mint;
    sonde_msec oldest; /* of the open chunks that stay                     */
    size_t chunks;     /* given up                                         */
    size_t candidates; /* series that may go                               */
    struct refs gone;  /* ids, ascending                                   */
    uint32_t *places;  /* of their labels                                  */
    series_ref *refs;
    size_t place_cap, ref_cap;
};

/* ---- chunks ------------------------------------------------------------ */

/* How many chunks of each series of a page end before the time. */
struct page_plan {
    uint32_t drop[PAGE_SERIES];
    bool any;
};

static bool ends_before(struct head *h, chunk_place place, sonde_msec t,
                        struct buf *copy)
{
    enum head_files_side side = head_files_side(h->files, place, t);
    struct head_chunk c;
    bool copied;

    if (side != HEAD_FILE_MIXED)
        return side == HEAD_FILE_BEFORE;
    buf_reset(copy);
    head_files_read(h->files, place, copy, &c, &copied);
    return c.chunk.maxt < t;
}

/* Reads from the disk maybe, so without any lock, from copies of the lists. */
static void plan_page(struct collection *g, struct series_page *p,
                      uint32_t number, struct page_plan *plan)
{
    uint32_t first = number * PAGE_SERIES + 1;
    struct buf lists, copy;
    size_t at[PAGE_SERIES], n[PAGE_SERIES] = { 0 };

    buf_init(&lists);
    buf_init(&copy);
    (void)pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < PAGE_SERIES; i++) {
        const struct series *s = series_page_get(p, first + i);

        if (!s)
            continue;
        plan->any = true;
        n[i] = chunk_list_count(s->full);
        at[i] = lists.len;
        if (n[i])
            buf_bytes(&lists, s->full, chunk_list_bytes(n[i]));
    }
    (void)pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < PAGE_SERIES; i++) {
        uint32_t k = 0;

        while (k < n[i] &&
               ends_before(g->head,
                           chunk_list_get((uint8_t *)lists.data + at[i], k),
                           g->mint, &copy))
            k++;
        plan->drop[i] = k;
    }
    buf_fini(&lists);
    buf_fini(&copy);
}

static bool is_empty(const struct head *h, const struct series *s,
                     sonde_msec mint)
{
    if (h->log_only)
        return !(s->flags & SERIES_SEEN) || s->open.t < mint;
    return !s->full && !s->chunk && !(s->flags & SERIES_LATE);
}

/* Under the page's lock. */
static void drop_chunks(struct collection *g, struct series *s, uint32_t n)
{
    struct head *h = g->head;

    if (!n && !s->chunk)
        return;
    (void)pthread_mutex_lock(&h->mem_lock);
    chunk_list_drop(&h->mem, &s->full, n);
    g->chunks += n;
    if (s->chunk && s->open.t < g->mint) {
        head_drop_open(h, s);
        g->chunks++;
    }
    (void)pthread_mutex_unlock(&h->mem_lock);
}

static void thin_page(struct collection *g, struct series_page *p,
                      uint32_t number)
{
    uint32_t first = number * PAGE_SERIES + 1;
    struct page_plan plan = { .any = g->head->log_only };

    if (!g->head->log_only)
        plan_page(g, p, number, &plan);
    if (!plan.any)
        return;
    (void)pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < PAGE_SERIES; i++) {
        struct series *s = series_page_get(p, first + i);

        if (!s)
            continue;
        if (!g->head->log_only)
            drop_chunks(g, s, plan.drop[i]);
        if (is_empty(g->head, s, g->mint)) {
            s->flags &= (uint8_t)~SERIES_HELD;
            g->candidates++;
        } else if (s->open.count && !g->head->log_only) {
            sonde_msec begins = head_open_chunk(s).mint;

            g->oldest = begins < g->oldest ? begins : g->oldest;
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void thin_pages(struct collection *g)
{
    struct head *h = g->head;
    struct series_page *p;

    for (uint32_t n = 0; (p = series_table_next(&h->table, &n)); n++)
        thin_page(g, p, n);
    atomic_fetch_sub(&h->chunk_count, g->chunks);
    metric_add(h->metrics.chunks_removed, g->chunks);
}

/* ---- series ------------------------------------------------------------ */

static bool may_go(const struct collection *g, const struct series *s)
{
    return s->labels && !(s->flags & (SERIES_HELD | SERIES_BUSY)) &&
           is_empty(g->head, s, g->mint);
}

/* Series of one page that may go, with the hashes of their labels. */
struct leaving {
    uint32_t ids[PAGE_SERIES], places[PAGE_SERIES];
    uint64_t hashes[PAGE_SERIES];
    size_t count;
};

static void find_leaving(struct collection *g, struct series_page *p,
                         uint32_t number, struct leaving *out)
{
    out->count = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < PAGE_SERIES; i++) {
        uint32_t id = number * PAGE_SERIES + i + 1;
        const struct series *s = series_page_get(p, id);

        if (!s || !may_go(g, s))
            continue;
        out->ids[out->count] = id;
        out->places[out->count++] = s->labels;
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void hash_labels(const struct head *h, struct leaving *l,
                        struct label *scratch)
{
    for (size_t i = 0; i < l->count; i++) {
        struct labels labels = { scratch, 0 };

        head_labels_view(h, l->places[i], scratch, &labels.count);
        l->hashes[i] = labels_hash(&labels);
    }
}

/* Under the locks of the index and of the page: unless it was wanted in the
 * meantime, nobody finds it any more. */
static void unlink_one(struct collection *g, struct series_page *p,
                       const struct leaving *l, size_t i)
{
    struct series *s = series_page_get(p, l->ids[i]);

    if (!s || !may_go(g, s))
        return;
    g->refs =
        mem_grow(g->refs, &g->ref_cap, g->gone.count + 1, sizeof(*g->refs));
    g->refs[g->gone.count] = series_ref_of(s, l->ids[i]);
    label_hash_remove(&g->head->hash, l->hashes[i], l->ids[i]);
    series_page_remove(p, l->ids[i]);
    g->places = mem_grow(g->places, &g->place_cap, g->gone.count + 1,
                         sizeof(*g->places));
    g->places[g->gone.count] = l->places[i];
    refs_append(&g->gone, &l->ids[i], 1);
}

static void unlink_page(struct collection *g, struct series_page *p,
                        const struct leaving *l)
{
    struct head *h = g->head;

    (void)pthread_rwlock_wrlock(&h->index_lock);
    (void)pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < l->count; i++)
        unlink_one(g, p, l, i);
    if (p->count == 0 && p->number != NO_PAGE_NUMBER)
        series_table_remove(&h->table, p);
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_rwlock_unlock(&h->index_lock);
    index_hold_rest();
}

static void unlink_series(struct collection *g)
{
    struct head *h = g->head;
    struct label *scratch = mem_alloc(SERIES_LABELS_MAX * sizeof(*scratch));
    struct series_page *p;
    struct leaving leaving;

    for (uint32_t n = 0; (p = series_table_next(&h->table, &n)); n++) {
        find_leaving(g, p, n, &leaving);
        if (leaving.count == 0)
            continue;
        hash_labels(h, &leaving, scratch);
        unlink_page(g, p, &leaving);
    }
    free(scratch);
    for (size_t i = 0; i < g->gone.count; i++)
        head_log_gone(h, g->refs[i]);
    free(g->refs);
    atomic_fetch_sub(&h->series_count, g->gone.count);
    metric_add(h->metrics.series_removed, g->gone.count);
}

/* ---- limbo ------------------------------------------------------------- */

static void release_labels(struct head *h, const uint32_t *places, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct label_set set = label_store_get(&h->labels, places[i]);

        for (size_t k = 0; k < set.count; k++) {
            symtab_release(h->symbols, set.names[k]);
            symtab_release(h->symbols, set.values[k]);
        }
    }
    (void)pthread_rwlock_wrlock(&h->index_lock);
    for (size_t i = 0; i < n; i++)
        label_store_remove(&h->labels, places[i]);
    (void)pthread_rwlock_unlock(&h->index_lock);
    index_hold_rest();
}

bool head_release(struct head *h, sonde_msec wait_ms)
{
    struct limbo *l = &h->limbo;

    if (!l->any)
        return true;
    if (!readers_wait(&h->readers, l->mark, wait_ms))
        return false;
    for (size_t i = 0; i < l->count; i += RELEASE_STEP)
        release_labels(h, l->places + i,
                       l->count - i < RELEASE_STEP ? l->count - i
                                                   : RELEASE_STEP);
    if (l->count)
        symtab_trim(h->symbols);
    if (h->files)
        head_files_release(h->files);
    free(l->places);
    *l = (struct limbo){ 0 };
    return true;
}

void head_drop_files(struct head *h)
{
    if (!h->files)
        return;
    head_files_cut(h->files);
    if (head_files_delete(h->files, atomic_load(&h->min_time),
                          late_oldest_file(&h->late)) == 0)
        return;
    h->limbo.any = true;
    h->limbo.mark = readers_mark(&h->readers);
}

/* What was taken out waits for those who may have found it. */
static void to_limbo(struct collection *g)
{
    struct limbo *l = &g->head->limbo;

    if (l->count == 0) {
        free(l->places);
        l->places = g->places;
        l->cap = g->place_cap;
    } else if (g->gone.count) {
        l->places = mem_grow(l->places, &l->cap, l->count + g->gone.count,
                             sizeof(*l->places));
        memcpy(l->places + l->count, g->places,
               g->gone.count * sizeof(*l->places));
        free(g->places);
    } else {
        free(g->places);
    }
    l->count += g->gone.count;
    l->any = true;
    l->mark = readers_mark(&g->head->readers);
}

/* ---- the whole --------------------------------------------------------- */

/* True when nobody writes any more to what has no mark. */
static bool writers_passed(struct head *h)
{
    atomic_fetch_add(&h->generation, 1);
    return readers_wait(&h->writers, readers_mark(&h->writers),
                        h->writers_wait_ms);
}

static void collect(struct collection *g)
{
    struct head *h = g->head;

    g->oldest = INT64_MAX;
    thin_pages(g);
    if (g->candidates == 0)
        return;
    h->collect_again = INT64_MIN;
    if (!writers_passed(h)) {
        h->collect_again = g->mint;
        return;
    }
    unlink_series(g);
    head_index_drop(h, &g->gone, g->places);
}

void head_collect_rest(struct head *h)
{
    if (h->collect_again != INT64_MIN)
        (void)head_collect(h, h->collect_again);
    (void)head_release(h, 0);
}

void head_close_before(struct head *h, sonde_msec t)
{
    int64_t have = atomic_load(&h->min_valid);
    uint64_t mark;

    while (t > have && !atomic_compare_exchange_weak(&h->min_valid, &have, t))
        ;
    mark = readers_mark(&h->commits);
    while (!readers_wait(&h->commits, mark, COMMITS_WAIT_MS))
        ;
}

/* The head begins at `t`, or where its oldest sample is now, but not so late
 * that a sample may still come before. */
static void raise_min_time(struct collection *g, sonde_msec latest)
{
    struct head *h = g->head;
    int64_t have = atomic_load(&h->min_time);
    sonde_msec to = head_files_oldest(h->files);

    if (g->oldest < to)
        to = g->oldest;
    if (to > latest)
        to = latest;
    if (to < g->mint)
        to = g->mint;
    if (have > atomic_load(&h->max_time))
        return;
    while (have < to && !atomic_compare_exchange_weak(&h->min_time, &have, to))
        ;
}

/* No commit that begins now takes an older sample; those that run are waited
 * for before anything is looked at. */
static sonde_msec oldest_to_come(struct head *h)
{
    int64_t newest = atomic_load(&h->max_time);

    return newest > INT64_MIN + LATE_MS ? newest - LATE_MS : INT64_MIN;
}

sonde_code head_truncate(struct head *h, sonde_msec t, struct sonde_err *err)
{
    struct collection g = { .head = h, .mint = t };
    sonde_msec latest = oldest_to_come(h);

    (void)err;
    if (h->log_only) {
        (void)head_collect(h, t);
        return SONDE_OK;
    }
    head_close_before(h, t);
    collect(&g);
    head_deleted_trim(&h->deleted, t, &h->late);
    head_files_cut(h->files);
    (void)head_files_delete(h->files, t, late_oldest_file(&h->late));
    to_limbo(&g);
    (void)head_release(h, READERS_WAIT_MS);
    raise_min_time(&g, latest);
    refs_fini(&g.gone);
    return SONDE_OK;
}

size_t head_collect(struct head *h, sonde_msec t)
{
    struct collection g = { .head = h, .mint = t };
    size_t gone;

    collect(&g);
    gone = g.gone.count;
    to_limbo(&g);
    (void)head_release(h, READERS_WAIT_MS);
    refs_fini(&g.gone);
    return gone;
}
