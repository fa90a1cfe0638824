/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of exemplars. A slot knows the next newer one of its series, the
 * index the oldest and the newest of each; a slot that is used again is the
 * oldest of all and so the oldest of its series. Labels are packed into one
 * piece of memory a slot: a count, then names and values with their lengths.
 *
 * What is refused is what Prometheus refuses: more than 128 characters of
 * labels, and what is not newer than the newest of its series, where of two
 * of one time the order is that of the value, then of the labels: the buckets
 * of a histogram are scraped together.
 */
#include "tsdb/exemplars.h"

#include <stdlib.h>

#include "util/buf.h"
#include "util/mem.h"

#define FIRST_SLOTS 64
#define NONE        UINT32_MAX
#define MAX_SLOTS   (UINT32_MAX / 4)

struct exemplar_slot {
    uint64_t ref;
    sonde_msec t;
    double v;
    char *labels; /* packed, so many bytes                                */
    uint32_t labels_len;
    uint32_t newer; /* of the series; NONE                                */
};

struct exemplar_index {
    uint64_t ref; /* 0: free                                              */
    uint32_t oldest, newest;
};

void exemplars_init(struct exemplars *x)
{
    *x = (struct exemplars){ 0 };
    atomic_init(&x->max, 0);
    (void)pthread_mutex_init(&x->lock, NULL);
    exemplars_register(x, NULL);
}

void exemplars_register(struct exemplars *x, struct selfmetrics *m)
{
    x->appended = selfmetrics_counter(
        m, "prometheus_tsdb_exemplar_exemplars_appended_total",
        "Total number of appended exemplars.", NULL);
    x->out_of_order = selfmetrics_counter(
        m, "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
        "Total number of out of order exemplar ingestion failed attempts.",
        NULL);
}

static void forget_all(struct exemplars *x)
{
    for (size_t i = 0; i < x->count; i++)
        free(x->slots[i].labels);
    free(x->slots);
    free(x->index);
    x->slots = NULL;
    x->index = NULL;
    x->count = x->cap = x->next = x->index_size = x->series = 0;
}

void exemplars_fini(struct exemplars *x)
{
    forget_all(x);
    (void)pthread_mutex_destroy(&x->lock);
}

/* ---- labels ------------------------------------------------------------- */

static void pack(struct exemplar_slot *s, const struct labels *l)
{
    struct buf b;

    buf_init(&b);
    buf_uvarint(&b, l->count);
    for (size_t i = 0; i < l->count; i++) {
        buf_uvarint_str(&b, l->items[i].name);
        buf_uvarint_str(&b, l->items[i].value);
    }
    s->labels_len = (uint32_t)b.len;
    s->labels = mem_realloc(b.data, b.len);
}

static struct labels packed(const struct exemplar_slot *s, struct label *items)
{
    struct reader r = reader_of((sonde_str){ s->labels, s->labels_len });
    size_t n = (size_t)reader_uvarint(&r);

    for (size_t i = 0; i < n; i++) {
        items[i].name = reader_uvarint_str(&r);
        items[i].value = reader_uvarint_str(&r);
    }
    return (struct labels){ items, n };
}

static int compare(const struct exemplar_slot *s, const struct labels *l)
{
    struct label items[EXEMPLAR_LABEL_CHARS];
    struct labels have = packed(s, items);

    return labels_cmp(&have, l);
}

static struct labels unpack(const struct exemplar_slot *s, struct arena *a)
{
    struct label items[EXEMPLAR_LABEL_CHARS];
    struct labels have = packed(s, items);

    return labels_dup(a, &have);
}

static size_t characters(sonde_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static bool is_too_long(const struct labels *l)
{
    size_t n = l->count > EXEMPLAR_LABEL_CHARS ? l->count : 0;

    for (size_t i = 0; i < l->count && n <= EXEMPLAR_LABEL_CHARS; i++)
        n += characters(l->items[i].name) + characters(l->items[i].value);
    return n > EXEMPLAR_LABEL_CHARS;
}

/* ---- the index ---------------------------------------------------------- */

static size_t place(const struct exemplars *x, uint64_t ref)
{
    size_t mask = x->index_size - 1;
    size_t i = (size_t)(ref * UINT64_C(0x9E3779B97F4A7C15) >> 32) & mask;

    while (x->index[i].ref && x->index[i].ref != ref)
        i = (i + 1) & mask;
    return i;
}

static struct exemplar_index *find(const struct exemplars *x, uint64_t ref)
{
    size_t i;

    if (x->index_size == 0)
        return NULL;
    i = place(x, ref);
    return x->index[i].ref ? &x->index[i] : NULL;
}

static void index_grow(struct exemplars *x)
{
    struct exemplar_index *had = x->index;
    size_t had_size = x->index_size;

    x->index_size = had_size ? had_size * 2 : FIRST_SLOTS;
    x->index = mem_zalloc(x->index_size * sizeof(*x->index));
    for (size_t i = 0; i < had_size; i++)
        if (had[i].ref)
            x->index[place(x, had[i].ref)] = had[i];
    free(had);
}

static void index_drop(struct exemplars *x, uint64_t ref)
{
    size_t mask = x->index_size - 1, hole = place(x, ref);

    x->index[hole].ref = 0;
    x->series--;
    for (size_t i = (hole + 1) & mask; x->index[i].ref; i = (i + 1) & mask) {
        struct exemplar_index moved = x->index[i];

        x->index[i].ref = 0; /* what lies behind the hole finds its place */
        x->index[place(x, moved.ref)] = moved;
    }
}

/* ---- the ring: under the lock ------------------------------------------- */

static void evict(struct exemplars *x, size_t at)
{
    struct exemplar_slot *slot = &x->slots[at];
    struct exemplar_index *i = find(x, slot->ref);

    free(slot->labels);
    if (slot->newer == NONE)
        index_drop(x, slot->ref);
    else
        i->oldest = slot->newer;
}

static size_t take_slot(struct exemplars *x)
{
    size_t max = atomic_load(&x->max), at = x->next;

    if (x->count == x->cap && x->cap < max) {
        size_t cap = x->cap ? x->cap * 2 : FIRST_SLOTS;

        x->cap = cap < max ? cap : max;
        x->slots = mem_realloc(x->slots, x->cap * sizeof(*x->slots));
        at = x->count;
    }
    if (at < x->count)
        evict(x, at);
    else
        x->count++;
    x->next = at + 1 == max ? 0 : at + 1;
    return at;
}

static void link_slot(struct exemplars *x, uint32_t at)
{
    uint64_t ref = x->slots[at].ref;
    struct exemplar_index *i = find(x, ref);

    x->slots[at].newer = NONE;
    if (i) {
        x->slots[i->newest].newer = at;
        i->newest = at;
        return;
    }
    if ((x->series + 1) * 2 > x->index_size)
        index_grow(x);
    x->index[place(x, ref)] = (struct exemplar_index){ ref, at, at };
    x->series++;
}

/* Takes the labels. */
static void put(struct exemplars *x, const struct exemplar_slot *slot)
{
    size_t at = take_slot(x);

    x->slots[at] = *slot;
    link_slot(x, (uint32_t)at);
}

static enum exemplar_verdict judge(struct exemplars *x, uint64_t ref,
                                   const struct exemplar *e)
{
    const struct exemplar_index *i = find(x, ref);
    const struct exemplar_slot *last;
    int by_labels;

    if (!exemplars_wanted(x))
        return EXEMPLARS_OFF;
    if (!i)
        return EXEMPLAR_TAKEN;
    last = &x->slots[i->newest];
    if (e->t != last->t)
        return e->t > last->t ? EXEMPLAR_TAKEN : EXEMPLAR_OUT_OF_ORDER;
    if (e->v > last->v)
        return EXEMPLAR_TAKEN;
    if (double_bits(e->v) != double_bits(last->v))
        return EXEMPLAR_OUT_OF_ORDER;
    by_labels = compare(last, &e->labels);
    if (by_labels == 0)
        return EXEMPLAR_SAME;
    return by_labels < 0 ? EXEMPLAR_TAKEN : EXEMPLAR_OUT_OF_ORDER;
}

/* ---- the door ----------------------------------------------------------- */

enum exemplar_verdict exemplars_judge(struct exemplars *x, uint64_t ref,
                                      const struct exemplar *e)
{
    enum exemplar_verdict v;

    if (is_too_long(&e->labels))
        return EXEMPLAR_TOO_LONG;
    (void)pthread_mutex_lock(&x->lock);
    v = judge(x, ref, e);
    (void)pthread_mutex_unlock(&x->lock);
    if (v == EXEMPLAR_OUT_OF_ORDER)
        metric_inc(x->out_of_order);
    return v;
}

enum exemplar_verdict exemplars_add(struct exemplars *x, uint64_t ref,
                                    const struct exemplar *e)
{
    struct exemplar_slot slot = { .ref = ref, .t = e->t, .v = e->v };
    enum exemplar_verdict v;

    if (is_too_long(&e->labels))
        return EXEMPLAR_TOO_LONG;
    (void)pthread_mutex_lock(&x->lock);
    v = judge(x, ref, e);
    if (v == EXEMPLAR_TAKEN) {
        pack(&slot, &e->labels);
        put(x, &slot);
    }
    (void)pthread_mutex_unlock(&x->lock);
    if (v == EXEMPLAR_TAKEN)
        metric_inc(x->appended);
    return v;
}

void exemplars_set_max(struct exemplars *x, size_t max)
{
    struct exemplar_slot *had;
    size_t n, first;

    if (max > MAX_SLOTS)
        max = MAX_SLOTS;
    if (max == atomic_load(&x->max))
        return;
    (void)pthread_mutex_lock(&x->lock);
    had = x->slots;
    n = x->count;
    /* the oldest is where the next would go once the ring has turned */
    first = x->next < n ? x->next : 0;
    x->slots = NULL;
    x->count = 0;
    forget_all(x);
    atomic_store(&x->max, max);
    for (size_t i = 0; i < n; i++) {
        struct exemplar_slot *s = &had[(first + i) % n];

        if (n - i > max)
            free(s->labels);
        else
            put(x, s);
    }
    free(had);
    (void)pthread_mutex_unlock(&x->lock);
}

uint64_t *exemplars_series(struct exemplars *x, size_t *count)
{
    uint64_t *refs;

    *count = 0;
    (void)pthread_mutex_lock(&x->lock);
    refs = mem_alloc((x->series + 1) * sizeof(*refs));
    for (size_t i = 0; i < x->index_size; i++)
        if (x->index[i].ref)
            refs[(*count)++] = x->index[i].ref;
    (void)pthread_mutex_unlock(&x->lock);
    return refs;
}

struct exemplar *exemplars_of(struct exemplars *x, uint64_t ref,
                              sonde_msec mint, sonde_msec maxt, struct arena *a,
                              size_t *count)
{
    struct exemplar *out;
    const struct exemplar_index *i;
    size_t n = 0;

    *count = 0;
    (void)pthread_mutex_lock(&x->lock);
    i = find(x, ref);
    for (uint32_t at = i ? i->oldest : NONE; at != NONE;
         at = x->slots[at].newer)
        n++;
    out = arena_array(a, struct exemplar, n);
    for (uint32_t at = i ? i->oldest : NONE; at != NONE;
         at = x->slots[at].newer) {
        const struct exemplar_slot *s = &x->slots[at];

        if (s->t >= mint && s->t <= maxt)
            out[(*count)++] = (struct exemplar){ unpack(s, a), s->t, s->v };
    }
    (void)pthread_mutex_unlock(&x->lock);
    return out;
}

struct exemplars_sizes exemplars_sizes(struct exemplars *x)
{
    struct exemplars_sizes s = { .oldest = INT64_MIN };

    (void)pthread_mutex_lock(&x->lock);
    s.count = x->count;
    s.series = x->series;
    s.max = atomic_load(&x->max);
    if (x->count)
        s.oldest = x->slots[x->next < x->count ? x->next : 0].t;
    (void)pthread_mutex_unlock(&x->lock);
    return s;
}
