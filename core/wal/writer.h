/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer inside: writer.c appends, sync.c brings it to the disk, watch.c
 * is for those who wait for more, truncate.c deletes.
 */
#ifndef WAL_WRITER_H
#define WAL_WRITER_H

#include <pthread.h>

#include <sonde/base.h>

#include "util/log.h"
#include "wal/unpack.h"
#include "wal/wal.h"

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
    struct buf framed;
    struct packer packer;
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

/* Under the lock. */
void wal_publish_size(struct wal *w);

/* ---- sync.c ----------------------------------------------------------- */

/* The thread that syncs in the background. */
SONDE_NODISCARD sonde_code wal_syncer_start(struct wal *w,
                                            struct sonde_err *err);
void wal_syncer_stop(struct wal *w);
/* Syncs a file; counted. False and errno if that failed. */
bool wal_sync_fd(struct wal *w, int fd);
/* Under the lock, which is released meanwhile: all that is written now (and
 * nobody else may be syncing); or up to a place. */
SONDE_NODISCARD sonde_code wal_sync_now(struct wal *w, struct sonde_err *err);
SONDE_NODISCARD sonde_code wal_sync_to(struct wal *w, struct wal_position at,
                                       struct sonde_err *err);

#endif
