/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of late samples (tsdb/docs/format/wal.md calls it the write-behind
 * log, WBL), in the framing and records of the WAL.
 *
 * It has the samples, floats and histograms, and marks, each naming a chunk of
 * chunks_head that has samples which are logged before it. A replay reads the
 * samples into buffers again; a mark takes out of its series' buffer what the
 * chunk has, if that is there: if it had not reached the disk, is damaged, or
 * another has its place, the samples stay. So head chunks need not be synced
 * before they are spoken of.
 *
 * Prometheus empties the buffer at a mark, without looking. For its sake a
 * mark stands before the next sample of its series: commits log, insert and
 * mark their series busy meanwhile, so a mark is put on a list when a buffer
 * is closed and goes out before the samples of whoever logs next, who holds a
 * lock from looking at the list until it is written.
 *
 * The samples are in the WAL too, for the senders that tail it, but a replay
 * of that one leaves them out: they are not behind the newest of their
 * series.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/buf.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- writing ---------------------------------------------------------- */

/* Each holds a run of samples of one kind, so that those of one time come back
 * in the order in which they were judged. */
struct records {
    struct buf *items;
    size_t count, cap;
};

static struct buf *next_record(struct records *r)
{
    r->items = mem_grow(r->items, &r->cap, r->count + 1, sizeof(*r->items));
    buf_init(&r->items[r->count]);
    return &r->items[r->count++];
}

static void records_fini(struct records *r)
{
    for (size_t i = 0; i < r->count; i++)
        buf_fini(&r->items[i]);
    free(r->items);
}

static unsigned kind_of(const struct late_sample *x)
{
    if (!x->h)
        return 0;
    return 1 + (unsigned)x->h->is_float +
           2 * (unsigned)(x->h->schema == HISTOGRAM_CUSTOM);
}

static void encode_floats(struct buf *b, const struct late_sample *samples,
                          size_t n)
{
    struct wal_samples_writer w;

    wal_samples_begin(&w, b);
    for (size_t i = 0; i < n; i++)
        wal_samples_add(&w, samples[i].ref, samples[i].t, samples[i].v);
}

static void encode_histograms(struct buf *b, const struct late_sample *samples,
                              size_t n)
{
    struct wal_histograms_writer w;
    struct buf unused;

    buf_init(&unused);
    if (samples->h->schema == HISTOGRAM_CUSTOM)
        wal_histograms_begin(&w, samples->h->is_float, &unused, b);
    else
        wal_histograms_begin(&w, samples->h->is_float, b, &unused);
    for (size_t i = 0; i < n; i++)
        wal_histograms_add(&w, samples[i].ref, samples[i].t, samples[i].h);
    buf_fini(&unused);
}

static void encode(struct records *r, const struct late_sample *samples,
                   size_t n)
{
    size_t run;

    for (size_t i = 0; i < n; i += run) {
        unsigned kind = kind_of(&samples[i]);

        for (run = 1; i + run < n && kind_of(&samples[i + run]) == kind; run++)
            ;
        if (kind == 0)
            encode_floats(next_record(r), samples + i, run);
        else
            encode_histograms(next_record(r), samples + i, run);
    }
}

/* Takes the marks that wait, and returns how many. */
static size_t take_marks(struct late *l, struct buf *b)
{
    size_t n;

    (void)pthread_mutex_lock(&l->lock);
    n = l->mark_count;
    if (n)
        wal_markers_begin(b);
    for (size_t i = 0; i < n; i++)
        wal_markers_add(b, l->marks[i].ref, l->marks[i].chunk_ref);
    (void)pthread_mutex_unlock(&l->lock);
    return n;
}

static void forget_marks(struct late *l, size_t n)
{
    (void)pthread_mutex_lock(&l->lock);
    l->mark_count -= n;
    if (l->mark_count)
        memmove(l->marks, l->marks + n, l->mark_count * sizeof(*l->marks));
    (void)pthread_mutex_unlock(&l->lock);
}

static sonde_code write_records(struct wal *wbl, const struct records *r,
                                struct sonde_err *err)
{
    sonde_str *records = mem_alloc(r->count * sizeof(*records));
    size_t n = 0;
    sonde_code rc;

    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].len)
            records[n++] = buf_str(&r->items[i]);
    rc = wal_append(wbl, records, n, err);
    free(records);
    return rc;
}

sonde_code wbl_append(struct late *l, const struct late_sample *samples,
                      size_t n, struct sonde_err *err)
{
    struct records r = { 0 };
    size_t marks;
    sonde_code rc;

    (void)next_record(&r); /* of the marks */
    encode(&r, samples, n);
    (void)pthread_mutex_lock(&l->log_lock);
    marks = take_marks(l, &r.items[0]);
    rc = write_records(l->wbl, &r, err);
    if (rc == SONDE_OK)
        forget_marks(l, marks);
    (void)pthread_mutex_unlock(&l->log_lock);
    records_fini(&r);
    return rc;
}

/* ---- opening ---------------------------------------------------------- */

/* Whether there is something in DIR. */
static bool wbl_exists(const char *dir)
{
    struct fs_names names;
    struct sonde_err err;
    bool any;

    if (!fs_exists(dir) || fs_list(dir, &names, &err) != SONDE_OK)
        return false;
    any = names.count > 0;
    fs_names_fini(&names);
    return any;
}

/* Set once, before anybody logs. */
static sonde_code open_log(struct late *l, struct sonde_err *err)
{
    struct wal *wbl;
    sonde_code rc = wal_open(l->dir, &l->wal, &wbl, err);

    if (rc != SONDE_OK)
        return rc;
    (void)pthread_mutex_lock(&l->log_lock);
    l->wbl = wbl;
    (void)pthread_mutex_unlock(&l->log_lock);
    return SONDE_OK;
}

void late_set_window(struct late *l, sonde_msec window_ms)
{
    struct sonde_err err = { 0 };

    if (window_ms > 0 && l->dir && !l->wbl && open_log(l, &err) != SONDE_OK)
        log_error("tsdb", "samples out of order are refused: no log for them",
                  LOG_ERRTEXT(&err));
    atomic_store(&l->window_ms, l->wbl && window_ms > 0 ? window_ms : 0);
}

sonde_code late_open(struct head *h, const char *dir,
                     const struct wal_options *options,
                     const struct head_replay_options *replay,
                     struct sonde_err *err)
{
    struct late *l = &h->late;
    bool exists = wbl_exists(dir);
    sonde_code rc = SONDE_OK;

    l->files = h->files;
    if (exists || l->count)
        rc = wbl_replay(h, exists ? dir : NULL, replay, err);
    if (rc != SONDE_OK || !options)
        return rc;
    l->dir = mem_strdup(sonde_cstr(dir));
    l->wal = *options;
    return exists ? open_log(l, err) : SONDE_OK;
}
