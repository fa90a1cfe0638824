/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting the log, when samples are in a block (or, in agent posture, were
 * sent). As in Prometheus: a new segment is begun; of the finished ones the
 * older two thirds become a checkpoint, which keeps what is younger than the
 * cut and the records of series that are still needed; then they are deleted.
 * The younger third stays, so that readers who are a little behind find it,
 * and readers who are far behind hold it back by `needed`.
 *
 * A series is needed while it is in the head, and for as long as a segment
 * behind the checkpoint may have samples of it. When it leaves the head the
 * segment of that moment is noted; there are none in later ones.
 *
 * Records of series in the head are written from memory, not copied from the
 * old log: if their record was damaged since, the new checkpoint mends it.
 * Damage to the rest costs what it hits, is logged and counted, and never
 * stops a cut; deleting nothing would only let the log grow around it.
 *
 * A kill between any two steps leaves a log that replays to the same: the
 * checkpoint stands for its segments, whether they are deleted yet or not, and
 * an older one is passed over.
 */
#include "tsdb/log_cut.h"

#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define RECORD_BYTES   ((size_t)256 << 10)
#define COMPLAINTS_MAX 20

struct cutting {
    struct head *head;
    uint64_t upto;
    uint64_t complaints;
};

/* ---- series that are gone --------------------------------------------- */

void gone_list_fini(struct gone_list *g)
{
    free(g->items);
    *g = (struct gone_list){ 0 };
}

void head_log_gone(struct head *h, uint64_t ref)
{
    struct gone_list *g = &h->gone;

    if (!h->wal)
        return;
    g->items = mem_grow(g->items, &g->cap, g->count + 1, sizeof(*g->items));
    g->items[g->count++] = (struct gone_series){ ref, wal_end(h->wal).segment };
}

static int cmp_gone(const void *a, const void *b)
{
    const struct gone_series *x = a, *y = b;

    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return x->segment < y->segment ? -1 : x->segment > y->segment;
}

/* Leaves the latest of each, and none that is not needed behind `upto`. */
static void gone_tidy(struct gone_list *g, uint64_t upto)
{
    size_t n = 0;

    if (g->count)
        qsort(g->items, g->count, sizeof(*g->items), cmp_gone);
    for (size_t i = 0; i < g->count; i++) {
        bool last = i + 1 == g->count || g->items[i + 1].ref != g->items[i].ref;

        if (last && g->items[i].segment > upto)
            g->items[n++] = g->items[i];
    }
    g->count = n;
}

static bool gone_has(const struct gone_list *g, uint64_t ref)
{
    struct gone_series key = { ref, 0 };
    size_t low = 0, high = g->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (cmp_gone(&g->items[mid], &key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < g->count && g->items[low].ref == ref;
}

/* ---- what a checkpoint keeps -------------------------------------------- */

static bool in_head(struct head *h, uint64_t ref)
{
    struct walk w = walk_of(h);
    bool there = walk_to(&w, ref) != NULL;

    walk_end(&w);
    return there;
}

/* The record of a series that is gone, or of another name of one that is
 * there: those that are there have theirs from memory. */
static bool keep_series(void *arg, uint64_t ref)
{
    struct head *h = ((struct cutting *)arg)->head;

    return gone_has(&h->gone, ref) ||
           (!in_head(h, ref) && head_alias(h, ref) != 0);
}

static bool keep_metadata(void *arg, uint64_t ref)
{
    return in_head(((struct cutting *)arg)->head, ref);
}

static void on_damage(void *arg, const struct wal_damage *d)
{
    struct cutting *c = arg;

    metric_inc(c->head->metrics.corruptions);
    metric_inc(c->head->metrics.all_corruptions);
    if (++c->complaints <= COMPLAINTS_MAX)
        log_warn("tsdb",
                 "the log is damaged; what was there does not come into the "
                 "checkpoint",
                 LOG_CSTR("file", d->path), LOG_NUM("segment", d->at.segment),
                 LOG_NUM("offset", d->at.offset), LOG_NUM("bytes", d->bytes),
                 LOG_CSTR("why", d->why));
}

/* The series of a page that are in the log: references and places of labels. */
struct page_series {
    uint64_t refs[PAGE_SERIES];
    uint32_t labels[PAGE_SERIES];
    size_t count;
};

static void look_at_page(struct series_page *p, uint32_t number,
                         struct page_series *out)
{
    uint64_t first = (uint64_t)number * PAGE_SERIES + 1;

    out->count = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (uint64_t id = first; id < first + PAGE_SERIES; id++) {
        const struct series *s = series_page_get(p, id);

        if (!s || !s->labels || !(s->flags & SERIES_LOGGED))
            continue;
        out->refs[out->count] = series_ref_of(s, (uint32_t)id);
        out->labels[out->count++] = s->labels;
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static sonde_code put_series(void *arg, struct wal_bulk *out,
                             struct sonde_err *err)
{
    struct head *h = ((struct cutting *)arg)->head;
    struct label *items = mem_alloc(SERIES_LABELS_MAX * sizeof(*items));
    struct buf record = { 0 };
    struct series_page *p;
    sonde_code rc = SONDE_OK;

    wal_series_begin(&record);
    for (uint32_t number = 0;
         rc == SONDE_OK && (p = series_table_next(&h->table, &number));
         number++) {
        struct page_series found;

        look_at_page(p, number, &found);
        for (size_t i = 0; i < found.count; i++) {
            struct labels l = { items, 0 };

            head_labels_view(h, found.labels[i], items, &l.count);
            wal_series_add(&record, found.refs[i], &l);
        }
        if (record.len < RECORD_BYTES)
            continue;
        rc = wal_bulk_put(out, buf_str(&record), err);
        wal_series_begin(&record);
    }
    if (rc == SONDE_OK && record.len > 1)
        rc = wal_bulk_put(out, buf_str(&record), err);
    buf_fini(&record);
    free(items);
    return rc;
}

static sonde_code make_checkpoint(struct head *h, const char *wal_dir,
                                  uint64_t upto, sonde_msec t,
                                  struct sonde_err *err)
{
    struct cutting cutting = { .head = h, .upto = upto };
    struct wal_checkpoint c = { .upto = upto,
                                .mint = t,
                                .keep_series = keep_series,
                                .keep_metadata = keep_metadata,
                                .put_series = put_series,
                                .damage = on_damage,
                                .arg = &cutting };
    sonde_code rc;

    gone_tidy(&h->gone, upto);
    metric_inc(h->metrics.checkpoints);
    rc = wal_checkpoint_make(wal_dir, wal_compression_of(h->wal), &c, err);
    if (rc != SONDE_OK)
        metric_inc(h->metrics.checkpoints_failed);
    return rc;
}

/* ---- cutting ---------------------------------------------------------- */

/* Which segments are due: neither the one that is written nor the one that has
 * just ended, and of the others the older two thirds. */
static bool due(const char *wal_dir, uint64_t *upto)
{
    uint64_t first, last, checkpoint;

    if (!wal_segments_range(wal_dir, &first, &last))
        return false;
    if (wal_checkpoint_last(wal_dir, &checkpoint) && checkpoint >= first)
        first = checkpoint + 1;
    if (last < first + 2)
        return false;
    last -= 2;
    *upto = first + (last - first) * 2 / 3;
    return *upto > first;
}

/* What a checkpoint stands for is deleted, as far as nobody reads it. */
static sonde_code delete_old(struct head *h, const char *wal_dir,
                             uint64_t needed, struct sonde_err *err)
{
    uint64_t checkpoint;
    sonde_code rc;

    if (!wal_checkpoint_last(wal_dir, &checkpoint))
        return SONDE_OK;
    rc = wal_truncate(h->wal, needed <= checkpoint ? needed : checkpoint + 1,
                      err);
    if (rc != SONDE_OK)
        return rc;
    metric_inc(h->metrics.checkpoint_deletions);
    rc = wal_checkpoint_clean(wal_dir, err);
    if (rc != SONDE_OK)
        metric_inc(h->metrics.checkpoint_deletions_failed);
    return rc;
}

sonde_code head_cut_log(struct head *h, const char *wal_dir, sonde_msec t,
                        uint64_t needed, struct sonde_err *err)
{
    uint64_t began = clock_ns(), upto = 0;
    sonde_code rc;

    if (!h->wal)
        return SONDE_OK;
    rc = wal_next_segment(h->wal, err);
    if (rc == SONDE_OK && due(wal_dir, &upto))
        rc = make_checkpoint(h, wal_dir, upto, t, err);
    if (rc == SONDE_OK)
        rc = delete_old(h, wal_dir, needed, err);
    metric_inc(h->metrics.truncate_count);
    metric_add_real(h->metrics.truncate_seconds,
                    (double)(clock_ns() - began) / 1e9);
    if (rc != SONDE_OK)
        return sonde_err_prefix(err, "cut the log %s", wal_dir);
    log_info("tsdb", "the log was cut", LOG_NUM("checkpoint", upto),
             LOG_NUM("bytes", wal_size(h->wal)));
    return SONDE_OK;
}

sonde_code head_cut_log_only(struct head *h, const char *wal_dir, sonde_msec t,
                             uint64_t needed, struct sonde_err *err)
{
    struct sonde_err why;

    if (head_truncate(h, t, &why) != SONDE_OK)
        log_warn("tsdb", "series that are gone stay for now",
                 LOG_ERRTEXT(&why));
    return head_cut_log(h, wal_dir, t, needed, err);
}
