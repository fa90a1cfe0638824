/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the log to the head, at start, before anybody else is there: so no
 * locks, and nothing is judged by the clock. What is in the log was accepted
 * once; a sample is left out only if it is not behind the last one of its
 * series, as it would have been when it was written.
 *
 * A log outlives mistakes and other programs, so nothing that passes its
 * checksum stops a start. Records that do not make sense are counted as
 * damage; kinds that are not read are counted and named once; samples of
 * unknown series are counted and said once at the end. What the log's reader
 * skipped is logged where it was, with how much.
 *
 * A kill in the middle of a write leaves a torn record at the log's end. It
 * was never acknowledged, and the log goes on in a new segment, so it is cut
 * off: programs that read the log more strictly (promtool) take it then.
 *
 * References go on behind the highest that the log speaks of in any record,
 * also of unknown series: a number that once meant something else must not
 * come back while old records are there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tsdb/head_histograms.h"
#include "util/log.h"
#include "util/mem.h"

#define COMPLAINTS_MAX 20
#define BATCH          512
#define SERIES_AHEAD   16
#define CHUNK_AHEAD    8

struct replay {
    struct head *head;
    const struct head_replay_options *options;
    struct sonde_err *err;
    uint64_t highest; /* reference                                        */
    uint64_t samples, old, unknown, skipped, complaints;
    uint64_t last_segment;
    struct wal_position end; /* of the last intact record                 */
    char *torn; /* the last segment's file, if damage follows `end` there */
    sonde_msec mint, maxt;
    size_t chunks;
    size_t pending;
    struct storage_sample batch[BATCH];
};

/* One damaged place: counted always, logged up to a bound. */
static bool complain(struct replay *r)
{
    struct head *h = r->head;

    metric_inc(h->metrics.corruptions);
    metric_inc(h->metrics.all_corruptions);
    (*r->options->corruptions)++;
    if (++r->complaints == COMPLAINTS_MAX)
        log_warn("tsdb", "the log has more damage; not all is listed");
    return r->complaints < COMPLAINTS_MAX;
}

static void saw_ref(struct replay *r, uint64_t ref)
{
    if (ref > r->highest && ref <= SERIES_REF_MAX)
        r->highest = ref;
}

/* ---- records ---------------------------------------------------------- */

static struct series *series_at(struct head *h, uint64_t ref)
{
    struct series_page *p = series_table_page(&h->table, ref);

    return p ? series_page_get(p, ref) : NULL;
}

static void replay_series(void *arg, uint64_t ref, const struct labels *l)
{
    struct replay *r = arg;
    struct sonde_err err;
    uint32_t found;

    if (head_series_put(r->head, ref, l, &found, &err) != SONDE_OK) {
        if (complain(r))
            log_warn("tsdb", "a series in the log is left out",
                     LOG_ERRTEXT(&err));
        return;
    }
    saw_ref(r, ref);
    series_at(r->head, found)->flags |= SERIES_LOGGED;
    if (found != (uint32_t)ref)
        head_alias_add(r->head, ref, found);
}

static struct series *find_series(struct replay *r, uint64_t ref, uint32_t *id)
{
    struct series *s;

    *id = (uint32_t)ref;
    s = series_at(r->head, *id);
    if (__builtin_expect(s && s->labels, 1))
        return s;
    *id = head_alias(r->head, ref);
    s = series_at(r->head, *id);
    if (s)
        return s;
    saw_ref(r, ref);
    r->unknown++;
    return NULL;
}

static void replay_one(struct replay *r, const struct storage_sample *sample)
{
    uint32_t id;
    struct series *s = find_series(r, sample->ref, &id);

    if (!s)
        return;
    if (s->flags & SERIES_SEEN && sample->t <= s->open.t) {
        r->old++;
        return;
    }
    r->chunks += head_append(r->head, s, id, sample->t, sample->v);
    r->samples++;
    if (sample->t < r->mint)
        r->mint = sample->t;
    if (sample->t > r->maxt)
        r->maxt = sample->t;
}

/* A sample's series and the end of its chunk are far apart in memory and
 * rarely in the cache: they are fetched while others are worked on. */
static void replay_batch(struct replay *r)
{
    for (size_t i = 0; i < r->pending; i++) {
        if (i + SERIES_AHEAD < r->pending) {
            uint64_t ref = r->batch[i + SERIES_AHEAD].ref;
            struct series_page *p = series_table_page(&r->head->table, ref);

            if (p)
                series_page_prefetch(p, ref);
        }
        if (i + CHUNK_AHEAD < r->pending) {
            struct series *s =
                series_at(r->head, r->batch[i + CHUNK_AHEAD].ref);

            if (s && s->chunk)
                __builtin_prefetch(s->chunk + s->open.bits / 8, 1);
        }
        replay_one(r, &r->batch[i]);
    }
    r->pending = 0;
}

static void replay_sample(void *arg, uint64_t ref, sonde_msec t, double v)
{
    struct replay *r = arg;

    r->batch[r->pending++] = (struct storage_sample){ ref, t, v };
    if (r->pending == BATCH)
        replay_batch(r);
}

/* Speaks of samples that were there; other programs write ranges without an
 * end for series that are gone. */
static void replay_deletion(void *arg, uint64_t ref, sonde_msec mint,
                            sonde_msec maxt)
{
    struct replay *r = arg;
    uint32_t id;
    struct series *s = find_series(r, ref, &id);

    if (!s || !(s->flags & SERIES_SEEN))
        return;
    if (maxt > s->open.t)
        maxt = s->open.t;
    if (mint <= maxt)
        head_deleted_add(&r->head->deleted, id,
                         (struct time_range){ mint, maxt });
}

static void replay_histogram(void *arg, uint64_t ref, sonde_msec t,
                             const struct histogram *h)
{
    struct replay *r = arg;
    struct sonde_err why;
    uint32_t id;
    struct series *s = find_series(r, ref, &id);

    if (!s)
        return;
    if (histogram_check(h, &why) != SONDE_OK) {
        if (complain(r))
            log_warn("tsdb", "a histogram in the log is left out",
                     LOG_ERRTEXT(&why));
        return;
    }
    if (!head_replay_histogram(r->head, s, id, t, h, &r->chunks)) {
        r->old++;
        return;
    }
    r->samples++;
    if (t < r->mint)
        r->mint = t;
    if (t > r->maxt)
        r->maxt = t;
}

static void replay_exemplar(void *arg, const struct wal_exemplar *e)
{
    struct replay *r = arg;
    const struct exemplar exemplar = { e->labels, e->t, e->v };
    uint32_t id;
    struct series *s = find_series(r, e->ref, &id);

    if (s)
        (void)exemplars_add(&r->head->exemplars, series_ref_of(s, id),
                            &exemplar);
}

static sonde_code replay_record(void *arg, sonde_str record,
                                struct wal_position end, struct sonde_err *err)
{
    struct replay *r = arg;
    struct sonde_err why;
    sonde_code rc = SONDE_OK;

    (void)err;
    r->end = end;
    free(r->torn); /* an intact record behind it: not the end */
    r->torn = NULL;
    switch (wal_record_type(record)) {
    case WAL_SERIES:
        rc = wal_series_decode(record, replay_series, r, &why);
        break;
    case WAL_SAMPLES:
    case WAL_SAMPLES_V2:
        rc = wal_samples_decode(record, replay_sample, r, &why);
        replay_batch(r);
        break;
    case WAL_TOMBSTONES:
        rc = wal_tombstones_decode(record, replay_deletion, r, &why);
        break;
    case WAL_HISTOGRAMS:
    case WAL_FLOAT_HISTOGRAMS:
    case WAL_CUSTOM_HISTOGRAMS:
    case WAL_CUSTOM_FLOAT_HISTOGRAMS:
    case WAL_HISTOGRAMS_V2:
    case WAL_FLOAT_HISTOGRAMS_V2:
        rc = wal_histograms_decode(record, replay_histogram, r, &why);
        break;
    case WAL_EXEMPLARS:
        rc = wal_exemplars_decode(record, replay_exemplar, r, &why);
        break;
    case WAL_METADATA:
        break;
    default:
        r->skipped++;
        break;
    }
    if (rc != SONDE_OK && complain(r))
        log_warn("tsdb", "a record of the log makes no sense; skipped its rest",
                 LOG_NUM("segment", end.segment), LOG_NUM("end", end.offset),
                 LOG_ERRTEXT(&why));
    return SONDE_OK;
}

static void replay_damage(void *arg, const struct wal_damage *d)
{
    struct replay *r = arg;

    if (d->at.segment == r->last_segment && d->bytes && !r->torn)
        r->torn = mem_strdup(sonde_cstr(d->path));
    if (complain(r))
        log_warn("tsdb",
                 "the log is damaged; what was there is lost, the rest is "
                 "read",
                 LOG_CSTR("file", d->path), LOG_NUM("segment", d->at.segment),
                 LOG_NUM("offset", d->at.offset), LOG_NUM("bytes", d->bytes),
                 LOG_CSTR("why", d->why));
}

static void replay_segment(void *arg, uint64_t segment, uint64_t last)
{
    struct replay *r = arg;

    r->last_segment = last;
    if (r->options->progress)
        r->options->progress(r->options->progress_arg, segment, last);
}

/* ---- the whole -------------------------------------------------------- */

static void cut_torn_end(struct replay *r)
{
    uint64_t keep = r->end.segment == r->last_segment ? r->end.offset : 0;

    if (!r->torn)
        return;
    if (truncate(r->torn, (off_t)keep) == 0)
        log_info("tsdb", "the log's torn end is cut off",
                 LOG_CSTR("file", r->torn), LOG_NUM("bytes_kept", keep));
    else
        log_warn("tsdb", "the log's torn end stays", LOG_CSTR("file", r->torn),
                 LOG_CSTR("err", strerror(errno)));
    free(r->torn);
}

static void finish(struct replay *r)
{
    struct head *h = r->head;

    postings_sort(&h->postings);
    if (r->highest >= h->next_ref)
        h->next_ref = r->highest + 1;
    atomic_fetch_add(&h->chunk_count, r->chunks);
    if (r->mint <= r->maxt)
        head_saw(h, r->mint, r->maxt);
    metric_add(h->metrics.replay_unknown, r->unknown);
    metric_add(h->metrics.replay_skipped, r->skipped);
    if (r->unknown)
        log_warn("tsdb", "samples in the log have no series; left out",
                 LOG_NUM("samples", r->unknown));
    if (r->skipped)
        log_warn("tsdb",
                 "records in the log are of a kind that is not read; left out",
                 LOG_NUM("records", r->skipped));
}

sonde_code head_replay(struct head *h, const char *wal_dir,
                       const struct head_replay_options *o,
                       struct sonde_err *err)
{
    struct replay r = {
        .head = h,
        .options = o,
        .mint = INT64_MAX,
        .maxt = INT64_MIN,
    };
    struct wal_replay callbacks = {
        .record = replay_record,
        .damage = replay_damage,
        .segment = replay_segment,
        .arg = &r,
    };
    uint64_t began = clock_ns();
    double seconds;
    sonde_code rc =
        wal_replay(wal_dir, (struct wal_position){ 0 }, &callbacks, err);

    if (rc != SONDE_OK) {
        free(r.torn);
        return sonde_err_prefix(err, "replay the log %s", wal_dir);
    }
    cut_torn_end(&r);
    finish(&r);
    seconds = (double)(clock_ns() - began) / 1e9;
    metric_set_real(h->metrics.replay_seconds, seconds);
    log_info("tsdb", "log replayed",
             LOG_NUM("series", atomic_load(&h->series_count)),
             LOG_NUM("samples", r.samples), LOG_NUM("dropped", r.old),
             LOG_REAL("seconds", seconds));
    return SONDE_OK;
}
