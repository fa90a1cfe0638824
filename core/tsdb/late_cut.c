/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Late samples leave the head: a cut is all that is there at one moment.
 *
 * First the log goes to a new segment. Then the cut waits, by holding the gate
 * for writing for a moment, until every commit that logged to an older one
 * has inserted what it logged, and raises the epoch: from now on a buffer of
 * an older epoch is closed before anything is put into it. Those that nothing
 * is put into are closed here, a few at a time. So all that the older
 * segments speak of is in the cut; what is in it and in the new segment too
 * is read twice by a replay, which does no harm.
 *
 * While blocks are written the cut's chunks stay readable. When readers see
 * the blocks, the chunks and then the old segments are given up. A process
 * that dies in between reads those samples again at its next start and has
 * them twice until the next cut, which readers and merges do not mind. The
 * chunks stay in their files until those can be deleted whole; a start passes
 * over them, see wbl_replay.c.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/mem.h"

#define CHUNKS_MANY ((uint64_t)1 << 18)
#define CLOSE_RUN   64 /* buffers closed under the lock at once           */

void late_set_due(struct late *l)
{
    atomic_store(&l->due, true);
}

bool late_is_due(const struct late *l)
{
    return atomic_load(&l->due) || atomic_load(&l->chunk_count) > CHUNKS_MANY;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void list_series(struct late *l, struct late_cut *cut)
{
    (void)pthread_mutex_lock(&l->lock);
    cut->refs = mem_alloc((l->count + 1) * sizeof(*cut->refs));
    for (size_t i = 0; i < l->table_size; i++)
        if (l->table[i])
            cut->refs[cut->count++] = (uint32_t)l->table[i]->ref;
    (void)pthread_mutex_unlock(&l->lock);
    qsort(cut->refs, cut->count, sizeof(*cut->refs), by_number);
}

/* Closes the buffers that are still open and keeps the series that have
 * something in the cut. */
static void close_buffers(struct late *l, struct late_cut *cut)
{
    size_t kept = 0;

    for (size_t i = 0; i < cut->count; i++) {
        struct late_series *s;

        if (i % CLOSE_RUN == 0)
            (void)pthread_mutex_lock(&l->lock);
        s = late_find(l, cut->refs[i]);
        late_series_cut(l, s);
        for (uint32_t k = 0; k < s->closed; k++) {
            const struct late_chunk *c = &s->chunks[k];

            cut->mint = c->mint < cut->mint ? c->mint : cut->mint;
            cut->maxt = c->maxt > cut->maxt ? c->maxt : cut->maxt;
        }
        if (s->closed)
            cut->refs[kept++] = (uint32_t)s->ref;
        if (i % CLOSE_RUN == CLOSE_RUN - 1 || i + 1 == cut->count)
            (void)pthread_mutex_unlock(&l->lock);
    }
    cut->count = kept;
}

sonde_code late_cut_begin(struct head *h, struct late_cut *cut,
                          struct sonde_err *err)
{
    struct late *l = &h->late;

    *cut = (struct late_cut){ .head = h, .mint = INT64_MAX, .maxt = INT64_MIN };
    if (l->wbl) {
        if (wal_next_segment(l->wbl, err) != SONDE_OK)
            return sonde_err_prefix(err, "cut the late samples");
        cut->keep_segment = wal_end(l->wbl).segment;
    }
    (void)pthread_rwlock_wrlock(&h->gate);
    (void)pthread_mutex_lock(&l->lock);
    l->epoch++;
    (void)pthread_mutex_unlock(&l->lock);
    (void)pthread_rwlock_unlock(&h->gate);
    list_series(l, cut);
    close_buffers(l, cut);
    return SONDE_OK;
}

/* ---- giving up -------------------------------------------------------- */

/* Under the series' page's lock and ours: true if it has nothing left. */
static bool give_up(struct late *l, struct late_series *s)
{
    late_drop_chunks(l, s, s->closed);
    s->closed = 0;
    return s->chunk_count == 0 && s->buffer.count == 0;
}

static void give_up_series(struct head *h, uint32_t id, size_t *gone)
{
    struct late *l = &h->late;
    struct walk w = walk_of(h);
    struct series *in_order = walk_to_id(&w, id);
    struct late_series *s;

    (void)pthread_mutex_lock(&l->lock);
    s = late_find(l, id);
    if (s && give_up(l, s)) {
        if (in_order)
            in_order->flags &= (uint8_t)~SERIES_LATE;
        ++*gone;
    }
    (void)pthread_mutex_unlock(&l->lock);
    walk_end(&w);
}

void late_sweep(struct late *l)
{
    sonde_msec mint = INT64_MAX, maxt = INT64_MIN;
    size_t left = 0;

    for (size_t i = 0; i < l->table_size; i++) {
        struct late_series *s = l->table[i];

        if (!s)
            continue;
        if (s->chunk_count == 0 && s->buffer.count == 0) {
            late_series_free(l, s);
            l->table[i] = NULL;
            continue;
        }
        left++;
        if (s->buffer.count) {
            mint = s->buffer.t[0] < mint ? s->buffer.t[0] : mint;
            maxt = s->buffer.t[s->buffer.count - 1] > maxt
                       ? s->buffer.t[s->buffer.count - 1]
                       : maxt;
        }
        for (size_t k = 0; k < s->chunk_count; k++) {
            const struct late_chunk *c = &s->chunks[k];

            mint = c->mint < mint ? c->mint : mint;
            maxt = c->maxt > maxt ? c->maxt : maxt;
        }
    }
    atomic_store(&l->min_time, mint);
    atomic_store(&l->max_time, maxt);
    late_rebuild(l, left);
}

sonde_code late_cut_end(struct late_cut *cut, bool written,
                        struct sonde_err *err)
{
    struct late *l = &cut->head->late;
    sonde_code rc = SONDE_OK;
    size_t gone = 0;

    for (size_t i = 0; written && i < cut->count; i++)
        give_up_series(cut->head, cut->refs[i], &gone);
    if (gone) {
        (void)pthread_mutex_lock(&l->lock);
        late_sweep(l);
        (void)pthread_mutex_unlock(&l->lock);
    }
    if (written)
        atomic_store(&l->due, false);
    if (written)
        head_drop_files(cut->head);
    if (written && l->wbl)
        rc = wal_truncate(l->wbl, cut->keep_segment, err);
    free(cut->refs);
    *cut = (struct late_cut){ 0 };
    return rc;
}
