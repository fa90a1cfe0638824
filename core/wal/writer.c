/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer. All records of one wal_append are framed in memory and go out
 * by one pwrite(2) behind the last good record, so that either all of them
 * are in the log or none: what a write that fails has left is cut off again
 * before anything else is written (or the segment is left for a new one), and
 * a full disk costs nothing that was acknowledged. When space is free again
 * the next append simply works.
 *
 * A batch never crosses segments: if it does not fit, the segment is filled
 * up to its page with zeros and the next one begins. A batch that is larger
 * than a segment makes a larger segment, as in Prometheus.
 *
 * Locks: `lock` guards everything that changes below it; it is held while
 * framing and writing (to the page cache), never while syncing. `watch_lock`
 * guards the list of watchers and is taken after `lock` was released.
 *
 * Rejected: preallocating segments (a reader of another program could not
 * tell the end), and appending to the segment of a former life (its tail may
 * be torn).
 */
#include "wal/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"
#include "wal/frame.h"
#include "wal/segments.h"

#define SEGMENT_BYTES_DEFAULT ((size_t)128 << 20)
#define BUFFER_KEEP_BYTES     ((size_t)1 << 20)

/* ---- segments --------------------------------------------------------- */

void wal_publish_size(struct wal *w)
{
    metric_set(w->m.size, (int64_t)(w->older_bytes + w->end.offset));
    metric_set(w->m.segment, (int64_t)w->end.segment);
}

/* Makes the segment of `end`, whose offset is 0. */
static sonde_code make_segment(struct wal *w, struct sonde_err *err)
{
    char *path = segment_path(w->dir, w->end.segment);
    sonde_code rc = SONDE_OK;

    w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (w->fd < 0)
        rc = fs_err(err, errno, "create log segment", path);
    else
        rc = fs_sync_dir(w->dir, err);
    if (rc != SONDE_OK && w->fd >= 0) {
        (void)close(w->fd);
        w->fd = -1;
        (void)unlink(path);
    }
    free(path);
    wal_publish_size(w);
    return rc;
}

/* Fills the segment up to its page and hands it to the syncer. The padding
 * is a hole: it needs no space, and a reader does without it. */
static void end_segment(struct wal *w)
{
    uint64_t size = w->end.offset;

    if (w->fd < 0)
        return;
    if (size % WAL_PAGE_BYTES)
        size = frame_page_end(size);
    if (ftruncate(w->fd, (off_t)size) != 0)
        size = w->end.offset;
    if (w->ended_fd >= 0) { /* two in no time: this one waits for the disk */
        if (!wal_sync_fd(w, w->ended_fd))
            w->sync_failures++;
        (void)close(w->ended_fd);
    }
    w->ended_fd = w->fd;
    w->fd = -1;
    w->leave = false;
    w->older_bytes += size;
    w->end = (struct wal_position){ w->end.segment + 1, 0 };
    (void)pthread_cond_signal(&w->sync_work);
}

static sonde_code next_segment(struct wal *w, struct sonde_err *err)
{
    end_segment(w);
    return make_segment(w, err);
}

static sonde_code ready_segment(struct wal *w, struct sonde_err *err)
{
    if (w->fd >= 0 && !w->leave)
        return SONDE_OK;
    return next_segment(w, err);
}

sonde_code wal_next_segment(struct wal *w, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    (void)pthread_mutex_lock(&w->lock);
    if (w->fd < 0 || w->leave || w->end.offset)
        rc = next_segment(w, err);
    (void)pthread_mutex_unlock(&w->lock);
    return rc;
}

/* ---- appending -------------------------------------------------------- */

static void frame_all(struct wal *w, const sonde_str *records, size_t n)
{
    buf_shrink(&w->framed, BUFFER_KEEP_BYTES);
    buf_shrink(&w->packer.out, BUFFER_KEEP_BYTES);
    for (size_t i = 0; i < n; i++) {
        unsigned flags;
        sonde_str record = packer_pack(&w->packer, records[i], &flags);

        frame_put(&w->framed, w->end.offset, record, flags);
    }
}

/* Everything or nothing; 0 or errno. */
static int write_framed(struct wal *w)
{
    const char *p = w->framed.data;
    size_t left = w->framed.len;
    uint64_t at = w->end.offset;

    while (left) {
        ssize_t n = pwrite(w->fd, p, left, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        p += n;
        at += (uint64_t)n;
        left -= (size_t)n;
    }
    return 0;
}

static sonde_code take_back(struct wal *w, int errnum, struct sonde_err *err)
{
    char *path = segment_path(w->dir, w->end.segment);
    sonde_code rc = fs_err(err, errnum, "append to log", path);

    if (rc == SONDE_EACCESS || rc == SONDE_ENOTFOUND)
        rc = SONDE_EIO;
    metric_inc(w->m.writes_failed);
    if (ftruncate(w->fd, (off_t)w->end.offset) != 0)
        w->leave = true;
    free(path);
    return rc;
}

static void wrote(struct wal *w)
{
    uint64_t first = w->end.offset / WAL_PAGE_BYTES;

    w->end.offset += w->framed.len;
    metric_add(w->m.page_flushes,
               (w->end.offset - 1) / WAL_PAGE_BYTES - first + 1);
    wal_publish_size(w);
    if (!w->dirty) {
        w->dirty = true;
        w->dirty_since = clock_monotonic(&clock_system);
        if (w->options.sync_every_ms > 0)
            (void)pthread_cond_signal(&w->sync_work);
    }
    (void)pthread_cond_broadcast(&w->grown);
}

static sonde_code append_locked(struct wal *w, const sonde_str *records,
                                size_t n, struct sonde_err *err)
{
    sonde_code rc = ready_segment(w, err);
    int errnum;

    if (rc != SONDE_OK) {
        metric_inc(w->m.writes_failed);
        return rc;
    }
    frame_all(w, records, n);
    if (w->end.offset &&
        w->end.offset + w->framed.len > w->options.segment_bytes) {
        rc = next_segment(w, err);
        if (rc != SONDE_OK)
            return rc;
        frame_all(w, records, n);
    }
    errnum = write_framed(w);
    if (errnum)
        return take_back(w, errnum, err);
    wrote(w);
    if (w->options.always_sync)
        return wal_sync_to(w, w->end, err);
    return SONDE_OK;
}

static void tell_watchers(struct wal *w)
{
    (void)pthread_mutex_lock(&w->watch_lock);
    for (struct wal_watch *i = w->watchers; i; i = i->next)
        i->fn(i->arg);
    (void)pthread_mutex_unlock(&w->watch_lock);
}

sonde_code wal_append(struct wal *w, const sonde_str *records, size_t n,
                      struct sonde_err *err)
{
    sonde_code rc;

    if (n == 0)
        return SONDE_OK;
    (void)pthread_mutex_lock(&w->lock);
    rc = append_locked(w, records, n, err);
    (void)pthread_mutex_unlock(&w->lock);
    if (rc == SONDE_OK)
        tell_watchers(w);
    return rc;
}

/* ---- opening and closing ---------------------------------------------- */

/* Metrics are named after the folder, as Prometheus names them. */
struct naming {
    struct selfmetrics *m;
    const char *prefix;
    char name[96];
};

static const char *named(struct naming *n, const char *what)
{
    (void)snprintf(n->name, sizeof(n->name), "%s_%s", n->prefix, what);
    return n->name;
}

static struct metric *counter(struct naming *n, const char *what,
                              const char *help)
{
    return selfmetrics_counter(n->m, named(n, what), help, NULL);
}

static struct metric *gauge(struct naming *n, const char *what,
                            const char *help)
{
    return selfmetrics_gauge(n->m, named(n, what), help, NULL);
}

static void register_metrics(struct wal *w)
{
    struct naming n = { .m = w->options.metrics,
                        .prefix = "prometheus_tsdb_wal" };
    struct wal_metrics *m = &w->m;

    if (str_ends(sonde_cstr(w->dir), SONDE_STR("/wbl")))
        n.prefix = "prometheus_tsdb_out_of_order_wbl";
    m->page_flushes =
        counter(&n, "page_flushes_total", "Total number of page flushes.");
    m->segment = gauge(&n, "segment_current",
                       "Write log segment index that is being written.");
    m->size =
        gauge(&n, "storage_size_bytes", "Size of the write log directory.");
    m->writes_failed = counter(&n, "writes_failed_total",
                               "Total number of write log writes that failed.");
    m->truncations = counter(&n, "truncations_total",
                             "Total number of write log truncations "
                             "attempted.");
    m->truncations_failed = counter(&n, "truncations_failed_total",
                                    "Total number of write log truncations "
                                    "that failed.");
    m->fsyncs = counter(&n, "fsync_duration_seconds_count",
                        "Number of write log fsyncs.");
    m->fsync_seconds = selfmetrics_real(
        n.m, METRIC_COUNTER, named(&n, "fsync_duration_seconds_sum"),
        "Seconds spent in write log fsyncs.", NULL);
    m->fsyncs_failed =
        selfmetrics_counter(n.m, "sonde_wal_fsyncs_failed_total",
                            "Number of write log fsyncs that failed.", NULL);
}

/* Where to go on, and how much there is. */
static sonde_code survey(struct wal *w, struct sonde_err *err)
{
    struct segments all;
    uint64_t checkpoint;
    bool found;
    sonde_code rc = checkpoint_find(w->dir, &found, &checkpoint, err);

    if (rc == SONDE_OK)
        rc = segments_list(w->dir, &all, err);
    if (rc != SONDE_OK)
        return rc;
    for (size_t i = 0; i < all.count; i++) {
        char *path = segment_path(w->dir, all.numbers[i]);
        struct stat st;

        if (stat(path, &st) == 0)
            w->older_bytes += (uint64_t)st.st_size;
        free(path);
        w->end.segment = all.numbers[i] + 1;
    }
    if (found && checkpoint >= w->end.segment)
        w->end.segment = checkpoint + 1;
    segments_fini(&all);
    return SONDE_OK;
}

static void init_locks(struct wal *w)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_mutex_init(&w->watch_lock, NULL);
    (void)pthread_cond_init(&w->grown, &attr);
    (void)pthread_cond_init(&w->sync_done, &attr);
    (void)pthread_cond_init(&w->sync_work, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* A full disk does not stop a start: what is there can be read, and appends
 * say what is wrong until there is space. */
static sonde_code first_segment(struct wal *w, struct sonde_err *err)
{
    struct sonde_err full;
    sonde_code rc = make_segment(w, &full);

    if (rc == SONDE_ENOSPACE) {
        log_error("wal", "no new segment; appends fail until there is space",
                  LOG_ERRTEXT(&full));
        return SONDE_OK;
    }
    if (rc != SONDE_OK)
        (void)sonde_err_set(err, rc, "%s", full.text);
    return rc;
}

sonde_code wal_open(const char *dir, const struct wal_options *options,
                    struct wal **out, struct sonde_err *err)
{
    struct wal *w;
    sonde_code rc = fs_mkdirs(dir, 0750, err);

    if (rc != SONDE_OK)
        return rc;
    w = mem_new(struct wal);
    w->dir = mem_strdup(sonde_cstr(dir));
    w->options = *options;
    if (!w->options.segment_bytes)
        w->options.segment_bytes = SEGMENT_BYTES_DEFAULT;
    w->fd = w->ended_fd = -1;
    packer_init(&w->packer, options->compress);
    register_metrics(w);
    init_locks(w);
    rc = checkpoint_clean(dir, err);
    if (rc == SONDE_OK)
        rc = survey(w, err);
    if (rc == SONDE_OK)
        rc = first_segment(w, err);
    if (rc == SONDE_OK)
        rc = wal_syncer_start(w, err);
    if (rc != SONDE_OK)
        goto fail;
    *out = w;
    return SONDE_OK;
fail:
    wal_close(w);
    return rc;
}

void wal_close(struct wal *w)
{
    struct sonde_err err;

    if (!w)
        return;
    wal_syncer_stop(w);
    (void)pthread_mutex_lock(&w->lock);
    end_segment(w);
    if (w->ended_fd >= 0 && wal_sync_now(w, &err) != SONDE_OK)
        log_error("wal", "sync on close failed", LOG_ERRTEXT(&err));
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_cond_destroy(&w->grown);
    (void)pthread_cond_destroy(&w->sync_done);
    (void)pthread_cond_destroy(&w->sync_work);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_mutex_destroy(&w->watch_lock);
    buf_fini(&w->framed);
    packer_fini(&w->packer);
    free(w->dir);
    free(w);
}
