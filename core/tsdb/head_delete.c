/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletions in the head. Samples are not taken out of chunks; what is deleted
 * is kept beside, logged, and applied whenever a series is read, be it for a
 * query or for a block. A deletion speaks of what was there when it was
 * asked for, so its range is cut at the series' newest sample then: samples
 * to come are not hidden by it.
 */
#include "tsdb/head_delete.h"

#include <stdlib.h>

#include "tsdb/head.h"
#include "util/mem.h"

#define RECORD_RANGES 4096

void head_deleted_init(struct head_deleted *d)
{
    *d = (struct head_deleted){ 0 };
    (void)pthread_rwlock_init(&d->lock, NULL);
}

void head_deleted_fini(struct head_deleted *d)
{
    tombstones_fini(&d->stones);
    (void)pthread_rwlock_destroy(&d->lock);
}

void head_deleted_add(struct head_deleted *d, uint32_t id,
                      struct time_range range)
{
    (void)pthread_rwlock_wrlock(&d->lock);
    tombstones_add(&d->stones, id, range);
    atomic_store_explicit(&d->any, true, memory_order_release);
    (void)pthread_rwlock_unlock(&d->lock);
}

void head_deleted_trim(struct head_deleted *d, sonde_msec t, struct late *l)
{
    struct tombstones kept = { 0 };

    if (!atomic_load(&d->any))
        return;
    (void)pthread_rwlock_wrlock(&d->lock);
    for (size_t i = 0; i < d->stones.count; i++) {
        const struct tombstone_series *s = &d->stones.items[i];

        for (size_t k = 0; k < s->count; k++)
            if (s->ranges[k].maxt >= t ||
                late_overlaps(l, (uint32_t)s->ref, s->ranges[k].mint,
                              s->ranges[k].maxt))
                tombstones_add(&kept, s->ref, s->ranges[k]);
    }
    tombstones_fini(&d->stones);
    d->stones = kept;
    atomic_store(&d->any, kept.count != 0);
    (void)pthread_rwlock_unlock(&d->lock);
}

void head_deleted_apply_slowly(struct head_deleted *d, uint32_t id,
                               struct columns *c, size_t from)
{
    const struct tombstone_series *s;

    (void)pthread_rwlock_rdlock(&d->lock);
    s = tombstones_get(&d->stones, id);
    if (s)
        tombstones_apply(s, c, from);
    (void)pthread_rwlock_unlock(&d->lock);
}

/* ---- deleting --------------------------------------------------------- */

/* The newest sample of a series, and its reference; false if it has none. */
static bool newest_sample(struct head *h, uint32_t id, sonde_msec *t,
                          series_ref *ref)
{
    struct series_page *p = series_table_page(&h->table, id);
    const struct series *s;
    bool seen = false;

    if (!p)
        return false;
    (void)pthread_mutex_lock(&p->lock);
    s = series_page_get(p, id);
    seen = s && s->flags & SERIES_SEEN;
    if (seen) {
        *t = s->open.t;
        *ref = series_ref_of(s, id);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return seen;
}

static sonde_code log_record(struct head *h, struct buf *record,
                             struct sonde_err *err)
{
    sonde_str bytes = buf_str(record);
    sonde_code rc = wal_append(h->wal, &bytes, 1, err);

    buf_reset(record);
    wal_tombstones_begin(record);
    return rc;
}

static sonde_code log_deletions(struct head *h, const struct tombstones *t,
                                struct sonde_err *err)
{
    struct buf record;
    size_t in_record = 0;
    sonde_code rc = SONDE_OK;

    buf_init(&record);
    wal_tombstones_begin(&record);
    for (size_t i = 0; i < t->count && rc == SONDE_OK; i++) {
        const struct tombstone_series *s = &t->items[i];

        for (size_t k = 0; k < s->count; k++)
            wal_tombstones_add(&record, s->ref, s->ranges[k].mint,
                               s->ranges[k].maxt);
        in_record += s->count;
        if (in_record >= RECORD_RANGES || i + 1 == t->count) {
            rc = log_record(h, &record, err);
            in_record = 0;
        }
    }
    buf_fini(&record);
    return rc == SONDE_OK ? wal_sync(h->wal, err) : rc;
}

sonde_code head_delete(struct head *h, sonde_msec mint, sonde_msec maxt,
                       const struct matcher *matchers, size_t n,
                       struct sonde_err *err)
{
    struct tombstones found = { 0 };
    struct refs refs = { 0 };
    sonde_code rc = SONDE_OK;

    head_select(h, matchers, n, &refs);
    for (size_t i = 0; i < refs.count; i++) {
        struct time_range r = { mint, maxt };
        series_ref ref;
        sonde_msec newest;

        if (!newest_sample(h, refs.items[i], &newest, &ref) || newest < mint)
            continue;
        if (newest < r.maxt)
            r.maxt = newest;
        tombstones_add(&found, ref, r);
    }
    refs_fini(&refs);
    if (found.count)
        rc = log_deletions(h, &found, err);
    for (size_t i = 0; i < found.count && rc == SONDE_OK; i++)
        head_deleted_add(&h->deleted, (uint32_t)found.items[i].ref,
                         found.items[i].ranges[0]);
    tombstones_fini(&found);
    return rc;
}
