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
 * Syncing. Three ways: before each append returns (always_sync), in the
 * background some time after a write (sync_every_ms), or only when a segment
 * ends and on close. Concurrent callers share one fdatasync: whoever finds
 * none running does it for all that is written, the others wait for it. The
 * file is synced through a duplicate of its descriptor, without the lock, so
 * that appends go on meanwhile. A failed sync is believed: the kernel may
 * have dropped the pages and would report success the next time, so all who
 * wait for it fail, and the segment is left.
 *
 * Locks: `lock` guards everything that changes below it; it is held while
 * framing and writing (to the page cache), never while syncing. `watch_lock`
 * guards the list of watchers and is taken after `lock` was released.
 *
 * Rejected: preallocating segments (a reader of another program could not
 * tell the end), and appending to the segment of a former life (its tail may
 * be torn).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "wal/frame.h"
#include "wal/segments.h"
#include "wal/unpack.h"
#include "wal/wal.h"

#define SEGMENT_BYTES_DEFAULT ((size_t)128 << 20)
#define BUFFER_KEEP_BYTES     ((size_t)1 << 20)
#define LOG_EVERY_MS          10000

struct wal_metrics {
    struct metric *page_flushes, *segment, *size, *writes_failed, *truncations,
        *truncations_failed, *fsyncs, *fsync_seconds, *fsyncs_failed;
};

struct wal {
    char *dir;
    struct wal_options options;
    struct wal_metrics m;
    struct log_limit sync_log;
    pthread_t syncer;
    bool syncer_runs;

    pthread_mutex_t lock; /* guards all below, up to watch_lock            */
    pthread_cond_t grown; /* or woken                                  */
    pthread_cond_t sync_done; /* a sync ended                              */
    pthread_cond_t sync_work; /* for the syncer: something to sync, or stop */
    int fd;                   /* -1: the next append makes the segment     */
    bool leave;               /* the segment can not be trusted any more   */
    struct wal_position end;  /* behind the last good record               */
    uint64_t older_bytes;     /* of all segments before this one           */
    struct buf framed, packed;
    bool syncing;
    bool dirty;             /* written since the last sync began         */
    sonde_msec dirty_since; /* monotonic                                 */
    struct wal_position synced;
    uint64_t sync_failures;
    int ended_fd; /* a segment that ended and is not synced yet; or -1   */
    bool woken, stop;

    pthread_mutex_t watch_lock; /* guards `watchers`                       */
    struct wal_watch *watchers;
};

/* ---- syncing ---------------------------------------------------------- */

static bool sync_fd(struct wal *w, int fd)
{
    uint64_t began = clock_ns();
    bool ok = fdatasync(fd) == 0;

    metric_inc(w->m.fsyncs);
    metric_add_real(w->m.fsync_seconds, (double)(clock_ns() - began) / 1e9);
    if (!ok)
        metric_inc(w->m.fsyncs_failed);
    return ok;
}

static sonde_code sync_failed(const struct wal *w, int errnum,
                              struct sonde_err *err)
{
    sonde_code rc = fs_err(err, errnum, "fsync log", w->dir);

    return rc == SONDE_ENOTFOUND ? SONDE_EIO : rc;
}

/* Syncs what is written now. Called with the lock, which is released
 * meanwhile; nobody else may be syncing. */
static sonde_code sync_now(struct wal *w, struct sonde_err *err)
{
    struct wal_position end = w->end;
    int ended = w->ended_fd;
    int fd = w->fd >= 0 ? fcntl(w->fd, F_DUPFD_CLOEXEC, 0) : -1;
    int errnum = w->fd >= 0 && fd < 0 ? errno : 0;

    w->ended_fd = -1;
    w->dirty = false;
    w->syncing = true;
    (void)pthread_mutex_unlock(&w->lock);
    if (ended >= 0 && !sync_fd(w, ended))
        errnum = errno;
    if (fd >= 0 && !sync_fd(w, fd))
        errnum = errno;
    if (ended >= 0)
        (void)close(ended);
    if (fd >= 0)
        (void)close(fd);
    (void)pthread_mutex_lock(&w->lock);
    w->syncing = false;
    if (errnum) {
        w->sync_failures++;
        w->leave = w->leave || w->end.segment == end.segment;
    } else {
        w->synced = end;
    }
    (void)pthread_cond_broadcast(&w->sync_done);
    return errnum ? sync_failed(w, errnum, err) : SONDE_OK;
}

/* Returns when `at` is on the disk. Called with the lock. */
static sonde_code sync_to(struct wal *w, struct wal_position at,
                          struct sonde_err *err)
{
    uint64_t failures = w->sync_failures;

    while (wal_position_cmp(w->synced, at) < 0) {
        if (!w->syncing) {
            sonde_code rc = sync_now(w, err);

            if (rc != SONDE_OK)
                return rc;
        } else {
            (void)pthread_cond_wait(&w->sync_done, &w->lock);
        }
        if (w->sync_failures != failures)
            return sync_failed(w, EIO, err);
    }
    return SONDE_OK;
}

static void sync_in_background(struct wal *w)
{
    struct sonde_err err;
    uint64_t held;

    if (sync_now(w, &err) != SONDE_OK &&
        log_limit_pass(&w->sync_log, LOG_EVERY_MS, &held))
        log_error("wal",
                  "sync failed; the last samples may be lost if the "
                  "machine fails too",
                  LOG_ERRTEXT(&err), LOG_NUM("held", held));
}

/* What the syncer waits for: whether there is work now; else it has waited. */
static bool sync_is_due(struct wal *w)
{
    sonde_msec due = w->dirty_since + w->options.sync_every_ms;
    struct timespec at = clock_timespec(due);

    if (w->syncing) {
        (void)pthread_cond_wait(&w->sync_done, &w->lock);
        return false;
    }
    if (w->ended_fd >= 0)
        return true;
    if (!w->dirty || w->options.sync_every_ms <= 0) {
        (void)pthread_cond_wait(&w->sync_work, &w->lock);
        return false;
    }
    if (clock_monotonic(&clock_system) >= due)
        return true;
    (void)pthread_cond_timedwait(&w->sync_work, &w->lock, &at);
    return false;
}

static void *syncer_main(void *arg)
{
    struct wal *w = arg;

    (void)pthread_mutex_lock(&w->lock);
    while (!w->stop)
        if (sync_is_due(w))
            sync_in_background(w);
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- segments --------------------------------------------------------- */

static void publish_size(struct wal *w)
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
    publish_size(w);
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
        if (!sync_fd(w, w->ended_fd))
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

/* ---- appending -------------------------------------------------------- */

static void frame_all(struct wal *w, const sonde_str *records, size_t n)
{
    buf_shrink(&w->framed, BUFFER_KEEP_BYTES);
    buf_shrink(&w->packed, BUFFER_KEEP_BYTES);
    for (size_t i = 0; i < n; i++) {
        sonde_str record = records[i];
        bool packed = false;

        if (w->options.compress)
            record = pack_snappy(record, &w->packed, &packed);
        frame_put(&w->framed, w->end.offset, record, packed ? FRAME_SNAPPY : 0);
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
    publish_size(w);
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
        return sync_to(w, w->end, err);
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

sonde_code wal_sync(struct wal *w, struct sonde_err *err)
{
    sonde_code rc;

    (void)pthread_mutex_lock(&w->lock);
    rc = sync_to(w, w->end, err);
    (void)pthread_mutex_unlock(&w->lock);
    return rc;
}

/* ---- opening and closing ---------------------------------------------- */

static struct wal_metrics register_metrics(struct selfmetrics *m)
{
#define COUNTER(name, help)                                                    \
    selfmetrics_counter(m, "prometheus_tsdb_wal_" name, help, NULL)
#define GAUGE(name, help)                                                      \
    selfmetrics_gauge(m, "prometheus_tsdb_wal_" name, help, NULL)
    return (struct wal_metrics){
        .page_flushes =
            COUNTER("page_flushes_total", "Total number of page flushes."),
        .segment = GAUGE("segment_current",
                         "Write log segment index that is being written."),
        .size = GAUGE("storage_size_bytes", "Size of the write log directory."),
        .writes_failed = COUNTER("writes_failed_total",
                                 "Total number of write log writes that "
                                 "failed."),
        .truncations = COUNTER("truncations_total",
                               "Total number of write log truncations "
                               "attempted."),
        .truncations_failed = COUNTER("truncations_failed_total",
                                      "Total number of write log truncations "
                                      "that failed."),
        .fsyncs = COUNTER("fsync_duration_seconds_count",
                          "Number of write log fsyncs."),
        .fsync_seconds = selfmetrics_real(
            m, METRIC_COUNTER, "prometheus_tsdb_wal_fsync_duration_seconds_sum",
            "Seconds spent in write log fsyncs.", NULL),
        .fsyncs_failed = selfmetrics_counter(
            m, "sonde_wal_fsyncs_failed_total",
            "Number of write log fsyncs that failed.", NULL),
    };
#undef COUNTER
#undef GAUGE
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
    int errnum;
    sonde_code rc = fs_mkdirs(dir, 0750, err);

    if (rc != SONDE_OK)
        return rc;
    w = mem_new(struct wal);
    w->dir = mem_strdup(sonde_cstr(dir));
    w->options = *options;
    if (!w->options.segment_bytes)
        w->options.segment_bytes = SEGMENT_BYTES_DEFAULT;
    w->fd = w->ended_fd = -1;
    w->m = register_metrics(options->metrics);
    init_locks(w);
    rc = survey(w, err);
    if (rc == SONDE_OK)
        rc = first_segment(w, err);
    if (rc != SONDE_OK)
        goto fail;
    errnum = pthread_create(&w->syncer, NULL, syncer_main, w);
    if (errnum) {
        rc = fs_err(err, errnum, "start the sync thread of log", dir);
        goto fail;
    }
    w->syncer_runs = true;
    *out = w;
    return SONDE_OK;
fail:
    wal_close(w);
    return rc;
}

static void stop_syncer(struct wal *w)
{
    if (!w->syncer_runs)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void)pthread_cond_signal(&w->sync_work);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->syncer, NULL);
}

void wal_close(struct wal *w)
{
    struct sonde_err err;

    if (!w)
        return;
    stop_syncer(w);
    (void)pthread_mutex_lock(&w->lock);
    end_segment(w);
    if (w->ended_fd >= 0 && sync_now(w, &err) != SONDE_OK)
        log_error("wal", "sync on close failed", LOG_ERRTEXT(&err));
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_cond_destroy(&w->grown);
    (void)pthread_cond_destroy(&w->sync_done);
    (void)pthread_cond_destroy(&w->sync_work);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_mutex_destroy(&w->watch_lock);
    buf_fini(&w->framed);
    buf_fini(&w->packed);
    free(w->dir);
    free(w);
}

/* ---- looking on ------------------------------------------------------- */

struct wal_position wal_end(struct wal *w)
{
    struct wal_position end;

    (void)pthread_mutex_lock(&w->lock);
    end = w->end;
    (void)pthread_mutex_unlock(&w->lock);
    return end;
}

bool wal_wait(struct wal *w, struct wal_position at, sonde_msec deadline_ms)
{
    struct timespec until = clock_timespec(deadline_ms);
    bool more;

    (void)pthread_mutex_lock(&w->lock);
    while (wal_position_cmp(w->end, at) <= 0 && !w->woken)
        if (pthread_cond_timedwait(&w->grown, &w->lock, &until) == ETIMEDOUT)
            break;
    more = wal_position_cmp(w->end, at) > 0;
    (void)pthread_mutex_unlock(&w->lock);
    return more;
}

void wal_wake(struct wal *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->woken = true;
    (void)pthread_cond_broadcast(&w->grown);
    (void)pthread_mutex_unlock(&w->lock);
}

uint64_t wal_size(struct wal *w)
{
    uint64_t size;

    (void)pthread_mutex_lock(&w->lock);
    size = w->older_bytes + w->end.offset;
    (void)pthread_mutex_unlock(&w->lock);
    return size;
}

void wal_watch(struct wal *w, struct wal_watch *watch)
{
    (void)pthread_mutex_lock(&w->watch_lock);
    watch->next = w->watchers;
    w->watchers = watch;
    (void)pthread_mutex_unlock(&w->watch_lock);
}

void wal_unwatch(struct wal *w, struct wal_watch *watch)
{
    struct wal_watch **at = &w->watchers;

    (void)pthread_mutex_lock(&w->watch_lock);
    while (*at && *at != watch)
        at = &(*at)->next;
    if (*at)
        *at = watch->next;
    (void)pthread_mutex_unlock(&w->watch_lock);
}

/* ---- deleting --------------------------------------------------------- */

static sonde_code remove_segment(struct wal *w, uint64_t number,
                                 struct sonde_err *err)
{
    char *path = segment_path(w->dir, number);
    struct stat st;
    sonde_code rc = SONDE_OK;

    if (stat(path, &st) != 0)
        st.st_size = 0;
    if (unlink(path) != 0 && errno != ENOENT) {
        rc = fs_err(err, errno, "delete log segment", path);
    } else {
        (void)pthread_mutex_lock(&w->lock);
        w->older_bytes -= (uint64_t)st.st_size < w->older_bytes
                              ? (uint64_t)st.st_size
                              : w->older_bytes;
        publish_size(w);
        (void)pthread_mutex_unlock(&w->lock);
    }
    free(path);
    return rc;
}

sonde_code wal_truncate(struct wal *w, uint64_t keep, struct sonde_err *err)
{
    uint64_t current = wal_end(w).segment;
    struct segments all;
    sonde_code rc = segments_list(w->dir, &all, err);

    metric_inc(w->m.truncations);
    for (size_t i = 0; rc == SONDE_OK && i < all.count; i++)
        if (all.numbers[i] < keep && all.numbers[i] < current)
            rc = remove_segment(w, all.numbers[i], err);
    segments_fini(&all);
    if (rc == SONDE_OK)
        rc = fs_sync_dir(w->dir, err);
    if (rc != SONDE_OK)
        metric_inc(w->m.truncations_failed);
    return rc;
}
