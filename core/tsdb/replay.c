/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the log to the head, at start, before anybody else is there: so
 * nothing is judged by the clock. This thread reads the log and makes the
 * series; samples go to theirs by way of replay_lanes.c. What is in the log was
 * accepted once; a sample is left out only if it is not behind the last one of
 * its series, as it would have been when it was written.
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
#include "tsdb/head_save.h"
#include "tsdb/replay_lanes.h"
#include "tsdb/walk.h"
#include "util/log.h"
#include "util/mem.h"

#define COMPLAINTS_MAX 20

struct replay {
    struct head *head;
    const struct head_replay_options *options;
    struct sonde_err *err;
    uint64_t highest; /* reference                                        */
    uint64_t skipped, complaints;
    uint64_t last_segment;
    struct wal_position end; /* of the last intact record                 */
    char *torn;   /* the last segment's file, if damage follows `end` there */
    bool discard; /* the saved head                                       */
    struct lanes lanes;
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

/* Only this thread makes series, so that looking needs no lock. */
static const struct series *look(struct head *h, uint64_t ref)
{
    struct series_page *p = series_table_page(&h->table, ref);

    return p ? series_page_get(p, ref) : NULL;
}

static bool is_known(struct head *h, uint64_t ref)
{
    const struct series *s = look(h, ref);

    return s && s->labels && s->era == ref >> 32;
}

/* The name that a reference of the log has here. */
static uint64_t known_ref(struct head *h, uint64_t ref)
{
    const struct series *s;
    uint32_t other;

    if (is_known(h, ref))
        return ref;
    other = head_alias(h, ref);
    s = other ? look(h, other) : NULL;
    return s ? series_ref_of(s, other) : ref;
}

/* The reference of a series that is there, whose record is in the log. */
static uint64_t mark_logged(struct head *h, uint32_t id)
{
    struct walk w = walk_of(h);
    struct series *s = walk_to_id(&w, id);
    uint64_t ref = 0;

    if (s) {
        s->flags |= SERIES_LOGGED;
        ref = series_ref_of(s, id);
    }
    walk_end(&w);
    return ref;
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
    if (mark_logged(r->head, found) != ref)
        head_alias_add(r->head, ref, found);
}

static inline uint64_t name_here(struct replay *r, uint64_t ref)
{
    if (__builtin_expect(r->head->alias_count != 0, 0))
        return known_ref(r->head, ref);
    return ref;
}

static void replay_sample(void *arg, uint64_t ref, sonde_msec t, double v)
{
    struct replay *r = arg;

    lanes_put(&r->lanes, LANE_SAMPLE, name_here(r, ref), t, double_bits(v));
}

static void replay_histogram(void *arg, uint64_t ref, sonde_msec t,
                             const struct histogram *h)
{
    struct replay *r = arg;
    struct sonde_err why;

    if (histogram_check(h, &why) == SONDE_OK)
        lanes_put_histogram(&r->lanes, name_here(r, ref), t, h);
    else if (complain(r))
        log_warn("tsdb", "a histogram in the log is left out",
                 LOG_ERRTEXT(&why));
}

static void replay_tombstone(void *arg, uint64_t ref, sonde_msec mint,
                             sonde_msec maxt)
{
    struct replay *r = arg;

    lanes_put(&r->lanes, LANE_DELETION, name_here(r, ref), mint,
              (uint64_t)maxt);
}

static void replay_exemplar(void *arg, const struct wal_exemplar *e)
{
    struct replay *r = arg;
    const struct exemplar exemplar = { e->labels, e->t, e->v };
    uint64_t ref = known_ref(r->head, e->ref);

    if (is_known(r->head, ref))
        (void)exemplars_add(&r->head->exemplars, ref, &exemplar);
}

static sonde_code replay_record(void *arg, sonde_str record,
                                struct wal_position end, struct sonde_err *err)
{
    struct replay *r = arg;
    struct sonde_err why;
    sonde_code rc = SONDE_OK;

    if (r->options->canceled && r->options->canceled(r->options->canceled_arg))
        return sonde_err_set(err, SONDE_ECANCELED, "stopped on request");
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
    case WAL_TOMBSTONES:
        rc = wal_tombstones_decode(record, replay_tombstone, r, &why);
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
    if (r->options->read_only) {
        free(r->torn);
        return;
    }
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
    const struct lanes_result *got = &r->lanes.result;

    saw_ref(r, got->highest);
    postings_sort(&h->postings);
    if (r->highest >= h->next_ref)
        h->next_ref = r->highest + 1;
    atomic_fetch_add(&h->chunk_count, got->chunks);
    if (got->mint <= got->maxt)
        head_saw(h, got->mint, got->maxt);
    metric_add(h->metrics.replay_unknown, got->unknown);
    metric_add(h->metrics.replay_skipped, r->skipped);
    if (got->unknown)
        log_warn("tsdb", "samples in the log have no series; left out",
                 LOG_NUM("samples", got->unknown));
    if (r->skipped)
        log_warn("tsdb",
                 "records in the log are of a kind that is not read; left out",
                 LOG_NUM("records", r->skipped));
}

/* ---- from a saved head -------------------------------------------------- */

static void load_series(void *arg, const struct saved_series *s)
{
    struct replay *r = arg;

    replay_series(r, s->ref, &s->labels);
    if (s->has_chunk)
        lanes_put_chunk(&r->lanes, name_here(r, s->ref), &s->chunk);
}

/* One that deletes nothing speaks of the highest reference. */
static void load_deletion(void *arg, uint64_t ref, sonde_msec mint,
                          sonde_msec maxt)
{
    struct replay *r = arg;

    saw_ref(r, ref);
    if (maxt != INT64_MIN)
        replay_tombstone(r, ref, mint, maxt);
}

static bool load_canceled(void *arg)
{
    const struct head_replay_options *o = ((struct replay *)arg)->options;

    return o->canceled && o->canceled(o->canceled_arg);
}

/* `*from` is where the log goes on. A saved head that is damaged has done no
 * harm: what it gave is in the log as well, which is then read as a whole. */
static sonde_code load_saved(struct replay *r, const char *wal_dir,
                             struct wal_position *from, struct sonde_err *err)
{
    const char *dir = r->options->saved_dir;
    struct saved_visitor v = { load_series, load_deletion, replay_exemplar,
                               load_canceled, r };
    struct saved_head saved = { 0 };
    sonde_code rc = SONDE_OK;

    if (head_saved_find(dir, wal_dir, &saved) &&
        !head_files_damaged(r->head->files)) {
        rc = head_saved_read(saved.path, &v, err);
        if (rc == SONDE_OK)
            lanes_settle(&r->lanes);
        if (rc == SONDE_OK && !lanes_bad_chunk(&r->lanes)) {
            *from = r->end = saved.at;
        } else if (rc != SONDE_ECANCELED) {
            if (complain(r))
                log_warn("tsdb", "the saved head is damaged; the log is read",
                         LOG_CSTR("path", saved.path));
            rc = SONDE_OK;
            r->discard = true;
        }
    }
    if (!r->options->read_only && rc == SONDE_OK)
        head_saved_clean(dir, r->discard ? NULL : saved.path);
    free(saved.path);
    return rc;
}

static sonde_code replay_log(struct replay *r, const char *wal_dir,
                             struct sonde_err *err)
{
    struct wal_replay callbacks = {
        .record = replay_record,
        .damage = replay_damage,
        .segment = replay_segment,
        .arg = r,
    };
    struct wal_position from = { 0 };
    sonde_code rc = SONDE_OK;

    if (r->options->saved_dir)
        rc = load_saved(r, wal_dir, &from, err);
    if (rc == SONDE_OK)
        rc = wal_replay_ahead(wal_dir, from, &callbacks, err);
    return rc;
}

sonde_code head_replay(struct head *h, const char *wal_dir,
                       const struct head_replay_options *o,
                       struct sonde_err *err)
{
    struct replay r = {
        .head = h,
        .options = o,
    };
    uint64_t began = clock_ns();
    double seconds;
    sonde_code rc;

    lanes_init(&r.lanes, h, atomic_load(&h->min_valid));
    rc = replay_log(&r, wal_dir, err);
    if (rc == SONDE_OK)
        lanes_finish(&r.lanes);
    lanes_fini(&r.lanes);
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
             LOG_NUM("samples", r.lanes.result.samples),
             LOG_NUM("dropped", r.lanes.result.old),
             LOG_REAL("seconds", seconds));
    return SONDE_OK;
}
