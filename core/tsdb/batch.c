/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of transactions. Hundreds of targets have an appender each, but few
 * are in a transaction at the same time, so the buffers belong to the
 * transaction: taken with its first sample, put back at its end. A few are
 * kept for the next one, each up to a bound; what is larger is rare and goes
 * back to the heap.
 */
#include "tsdb/batch.h"

#include <stdlib.h>

#include "util/mem.h"

#define KEEP_RECORDS 2
#define KEEP_BYTES   ((size_t)512 << 10)
#define KEEP_SAMPLES ((size_t)32 << 10)

void batch_pool_init(struct batch_pool *p)
{
    *p = (struct batch_pool){ 0 };
    (void)pthread_mutex_init(&p->lock, NULL);
}

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->record_cap; i++)
        buf_fini(&b->records[i]);
    buf_fini(&b->metadata);
    buf_fini(&b->series_record);
    arena_fini(&b->arena);
    free(b->hists);
    free(b->exemplars);
    free(b->records);
    free(b->samples);
    free(b->tails);
    free(b->late);
    free(b->described.items);
    free(b->unlogged.items);
    free(b);
}

void batch_pool_fini(struct batch_pool *p)
{
    while (p->count)
        batch_free(p->spare[--p->count]);
    (void)pthread_mutex_destroy(&p->lock);
}

struct batch *batch_get(struct batch_pool *p)
{
    struct batch *b = NULL;

    (void)pthread_mutex_lock(&p->lock);
    if (p->count)
        b = p->spare[--p->count];
    (void)pthread_mutex_unlock(&p->lock);
    if (b)
        return b;
    b = mem_new(struct batch);
    buf_init(&b->metadata);
    buf_init(&b->series_record);
    arena_init(&b->arena);
    return b;
}

static void ref_list_forget(struct ref_list *l)
{
    free(l->items);
    *l = (struct ref_list){ 0 };
}

static void forget_rare(struct batch *b)
{
    free(b->hists);
    free(b->exemplars);
    b->hists = NULL;
    b->exemplars = NULL;
    b->hist_count = b->hist_cap = 0;
    b->exemplar_count = b->exemplar_cap = 0;
    arena_fini(&b->arena);
    arena_init(&b->arena);
}

/* Empties it; memory above the bounds goes. */
static void batch_forget(struct batch *b)
{
    b->count = b->late_count = b->record_count = 0;
    if (b->cap > KEEP_SAMPLES) {
        free(b->samples);
        b->samples = NULL;
        b->cap = 0;
    }
    if (b->tail_cap > KEEP_SAMPLES) {
        free(b->tails);
        b->tails = NULL;
        b->tail_cap = 0;
    }
    if (b->late_cap > KEEP_SAMPLES) {
        free(b->late);
        b->late = NULL;
        b->late_cap = 0;
    }
    if (b->hist_cap + b->exemplar_cap)
        forget_rare(b);
    ref_list_forget(&b->described);
    ref_list_forget(&b->unlogged);
    buf_shrink(&b->metadata, 0);
    buf_shrink(&b->series_record, 0);
    for (size_t i = 0; i < b->record_cap; i++)
        buf_shrink(&b->records[i], i < KEEP_RECORDS ? KEEP_BYTES : 0);
}

void batch_put(struct batch_pool *p, struct batch *b)
{
    if (!b)
        return;
    batch_forget(b);
    (void)pthread_mutex_lock(&p->lock);
    if (p->count < BATCH_SPARES) {
        p->spare[p->count++] = b;
        b = NULL;
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (b)
        batch_free(b);
}

void batch_append(struct batch *b, const struct storage_sample *samples,
                  size_t n)
{
    b->samples =
        mem_grow(b->samples, &b->cap, b->count + n, sizeof(*b->samples));
    memcpy(b->samples + b->count, samples, n * sizeof(*samples));
    b->count += n;
}

static void hist_push(struct batch *b, const struct late_sample *x)
{
    b->hists =
        mem_grow(b->hists, &b->hist_cap, b->hist_count + 1, sizeof(*b->hists));
    b->hists[b->hist_count++] = *x;
}

void batch_histogram(struct batch *b, series_ref ref, sonde_msec t,
                     const struct histogram *h)
{
    hist_push(b, &(struct late_sample){ ref, t, h->sum,
                                        histogram_dup(&b->arena, h) });
}

void batch_stale(struct batch *b, const struct storage_sample *sample,
                 const struct histogram *h)
{
    hist_push(b, &(struct late_sample){ sample->ref, sample->t, sample->v, h });
}

void batch_exemplar(struct batch *b, series_ref ref, const struct exemplar *e)
{
    b->exemplars = mem_grow(b->exemplars, &b->exemplar_cap,
                            b->exemplar_count + 1, sizeof(*b->exemplars));
    b->exemplars[b->exemplar_count++] = (struct batch_exemplar){
        ref, { labels_dup(&b->arena, &e->labels), e->t, e->v }
    };
}

void ref_list_push(struct ref_list *l, uint32_t ref)
{
    l->items = mem_grow(l->items, &l->cap, l->count + 1, sizeof(*l->items));
    l->items[l->count++] = ref;
}

struct buf *batch_record(struct batch *b)
{
    size_t had = b->record_cap;

    b->records = mem_grow(b->records, &b->record_cap, b->record_count + 1,
                          sizeof(*b->records));
    for (size_t i = had; i < b->record_cap; i++)
        buf_init(&b->records[i]);
    return &b->records[b->record_count++];
}

void batch_late(struct batch *b, const struct late_sample *sample)
{
    b->late =
        mem_grow(b->late, &b->late_cap, b->late_count + 1, sizeof(*b->late));
    b->late[b->late_count++] = *sample;
}

struct sort_row {
    struct storage_sample sample;
    size_t at;
};

static int by_series(const void *a, const void *b)
{
    const struct sort_row *x = a, *y = b;

    if (x->sample.ref != y->sample.ref)
        return x->sample.ref < y->sample.ref ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void sort_floats(struct batch *b)
{
    struct sort_row *rows = mem_alloc(b->count * sizeof(*rows));

    for (size_t i = 0; i < b->count; i++)
        rows[i] = (struct sort_row){ b->samples[i], i };
    qsort(rows, b->count, sizeof(*rows), by_series);
    for (size_t i = 0; i < b->count; i++)
        b->samples[i] = rows[i].sample;
    free(rows);
}

/* They are in the order of their times. */
static int by_series_and_time(const void *a, const void *b)
{
    const struct late_sample *x = a, *y = b;

    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return x->t < y->t ? -1 : x->t > y->t;
}

void batch_sort(struct batch *b)
{
    sort_floats(b);
    if (b->hist_count)
        qsort(b->hists, b->hist_count, sizeof(*b->hists), by_series_and_time);
}

void batch_restart(struct batch *b)
{
    buf_reset(&b->series_record);
    b->record_count = b->late_count = 0;
    b->unlogged.count = 0;
}
