/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Syncing. Three ways: before each append returns (always_sync), in the
 * background some time after a write (sync_every_ms), or only when a segment
 * ends and on close. Concurrent callers share one fdatasync: whoever finds
 * none running does it for all that is written, the others wait for it. The
 * file is synced through a duplicate of its descriptor, without the lock, so
 * that appends go on meanwhile. A failed sync is believed: the kernel may
 * have dropped the pages and would report success the next time, so all who
 * wait for it fail, and the segment is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fs.h"
#include "wal/writer.h"

#define LOG_EVERY_MS 10000

bool wal_sync_fd(struct wal *w, int fd)
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
sonde_code wal_sync_now(struct wal *w, struct sonde_err *err)
{
    struct wal_position end = w->end;
    int ended = w->ended_fd;
    int fd = w->fd >= 0 ? fcntl(w->fd, F_DUPFD_CLOEXEC, 0) : -1;
    int errnum = w->fd >= 0 && fd < 0 ? errno : 0;

    w->ended_fd = -1;
    w->dirty = false;
    w->syncing = true;
    (void)pthread_mutex_unlock(&w->lock);
    if (ended >= 0 && !wal_sync_fd(w, ended))
        errnum = errno;
    if (fd >= 0 && !wal_sync_fd(w, fd))
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
sonde_code wal_sync_to(struct wal *w, struct wal_position at,
                       struct sonde_err *err)
{
    uint64_t failures = w->sync_failures;

    while (wal_position_cmp(w->synced, at) < 0) {
        if (!w->syncing) {
            sonde_code rc = wal_sync_now(w, err);

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

    if (wal_sync_now(w, &err) != SONDE_OK &&
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

sonde_code wal_syncer_start(struct wal *w, struct sonde_err *err)
{
    int errnum = pthread_create(&w->syncer, NULL, syncer_main, w);

    if (errnum)
        return fs_err(err, errnum, "start the sync thread of log", w->dir);
    w->syncer_runs = true;
    return SONDE_OK;
}

void wal_syncer_stop(struct wal *w)
{
    if (!w->syncer_runs)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void)pthread_cond_signal(&w->sync_work);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->syncer, NULL);
}

sonde_code wal_sync(struct wal *w, struct sonde_err *err)
{
    sonde_code rc;

    (void)pthread_mutex_lock(&w->lock);
    rc = wal_sync_to(w, w->end, err);
    (void)pthread_mutex_unlock(&w->lock);
    return rc;
}
