/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Late samples come back at a start, behind the WAL's: series are there, and
 * nobody else is. As with the WAL nothing that passes its checksum stops a
 * start: what makes no sense is counted and passed over.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/log.h"

struct wbl_replay {
    struct head *head;
    const struct head_replay_options *options;
    uint64_t samples, unknown, marks;
    uint64_t highest; /* reference                                         */
    struct append_stats stats;
};

/* What the series is called here; 0 if it is not there. `mark`: it is late. */
static uint32_t known(struct wbl_replay *r, uint64_t ref, bool mark)
{
    struct walk w = walk_of(r->head);
    struct series *s = walk_to(&w, ref);

    if (ref > r->highest && ref <= SERIES_REF_MAX)
        r->highest = ref;
    if (!s) {
        ref = head_alias(r->head, ref);
        s = ref ? walk_to_id(&w, (uint32_t)ref) : NULL;
    }
    if (s && mark)
        s->flags |= SERIES_LATE;
    walk_end(&w);
    return s ? (uint32_t)ref : 0;
}

static void put(struct wbl_replay *r, uint64_t ref, sonde_msec t, double v,
                const struct histogram *h)
{
    struct late_sample x = { known(r, ref, true), t, v, h };

    if (!x.ref) {
        r->unknown++;
        return;
    }
    r->samples++;
    late_insert(r->head, &x, 1, &r->stats);
}

static void replay_float(void *arg, uint64_t ref, sonde_msec t, double v)
{
    put(arg, ref, t, v, NULL);
}

static void replay_histogram(void *arg, uint64_t ref, sonde_msec t,
                             const struct histogram *h)
{
    put(arg, ref, t, h->sum, h);
}

static bool has_chunk(const struct late_series *s, uint64_t file_ref)
{
    for (size_t i = s->chunk_count; file_ref && i; i--)
        if (s->chunks[i - 1].file_ref == file_ref)
            return true;
    return false;
}

static void replay_mark(void *arg, uint64_t ref, uint64_t file_ref)
{
    struct wbl_replay *r = arg;
    struct late *l = &r->head->late;
    uint32_t here = known(r, ref, false);
    struct late_series *s;

    r->marks++;
    (void)pthread_mutex_lock(&l->lock);
    s = late_find(l, here);
    if (s && has_chunk(s, file_ref))
        columns_reset(&s->buffer);
    (void)pthread_mutex_unlock(&l->lock);
}

/* ---- records ---------------------------------------------------------- */

static void complain(struct wbl_replay *r)
{
    metric_inc(r->head->metrics.corruptions);
    metric_inc(r->head->metrics.all_corruptions);
    (*r->options->corruptions)++;
}

static sonde_code replay_record(void *arg, sonde_str record,
                                struct wal_position end, struct sonde_err *err)
{
    struct wbl_replay *r = arg;
    struct sonde_err why = { 0 };
    sonde_code rc = SONDE_OK;

    (void)err;
    switch (wal_record_type(record)) {
    case WAL_SAMPLES:
    case WAL_SAMPLES_V2:
        rc = wal_samples_decode(record, replay_float, r, &why);
        break;
    case WAL_HISTOGRAMS:
    case WAL_FLOAT_HISTOGRAMS:
    case WAL_CUSTOM_HISTOGRAMS:
    case WAL_CUSTOM_FLOAT_HISTOGRAMS:
    case WAL_HISTOGRAMS_V2:
    case WAL_FLOAT_HISTOGRAMS_V2:
        rc = wal_histograms_decode(record, replay_histogram, r, &why);
        break;
    case WAL_MMAP_MARKERS:
        rc = wal_markers_decode(record, replay_mark, r, &why);
        break;
    default:
        break;
    }
    if (rc == SONDE_OK)
        return SONDE_OK;
    complain(r);
    log_warn("tsdb",
             "a record of the log of late samples makes no sense; skipped its "
             "rest",
             LOG_NUM("segment", end.segment), LOG_NUM("end", end.offset),
             LOG_ERRTEXT(&why));
    return SONDE_OK;
}

static void replay_damage(void *arg, const struct wal_damage *d)
{
    complain(arg);
    log_warn("tsdb",
             "the log of late samples is damaged; what was there is lost, the "
             "rest is read",
             LOG_CSTR("file", d->path), LOG_NUM("segment", d->at.segment),
             LOG_NUM("offset", d->at.offset), LOG_NUM("bytes", d->bytes),
             LOG_CSTR("why", d->why));
}

sonde_code wbl_replay(struct head *h, const char *dir,
                      const struct head_replay_options *o,
                      struct sonde_err *err)
{
    struct wbl_replay r = { .head = h, .options = o };
    struct wal_replay callbacks = { .record = replay_record,
                                    .damage = replay_damage,
                                    .arg = &r };
    sonde_code rc;

    rc = wal_replay(dir, (struct wal_position){ 0 }, &callbacks, err);
    if (rc != SONDE_OK)
        return sonde_err_prefix(err, "replay the log of late samples %s", dir);
    if (r.highest >= h->next_ref)
        h->next_ref = r.highest + 1;
    metric_add(h->metrics.replay_unknown, r.unknown);
    log_info("tsdb", "late samples replayed",
             LOG_NUM("samples", r.stats.appended),
             LOG_NUM("dropped", r.samples - r.stats.appended),
             LOG_NUM("unknown", r.unknown), LOG_NUM("marks", r.marks));
    return SONDE_OK;
}
