/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as a whole: shared by the files that open it, look after it and
 * answer for it. The head and the blocks know nothing of it.
 *
 * Locks: `maint` is held for the whole of a compaction, a deletion or a
 * snapshot, so that one runs at a time; it comes before all others. `state`
 * guards what is looked at and set in passing.
 */
#ifndef TSDB_STORE_H
#define TSDB_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "tsdb/block_set.h"
#include "tsdb/compact.h"
#include "tsdb/compact_plan.h"
#include "tsdb/dir_lock.h"
#include "tsdb/head.h"
#include "tsdb/tsdb.h"
#include "util/log.h"

#define BLOCK_RANGE_MS  (INT64_C(2) * 60 * 60 * 1000)
#define QUARANTINE_NAME "quarantine"

struct store_metrics {
    struct metric *compactions, *compactions_failed, *compactions_triggered,
        *vertical, *compaction_seconds, *compaction_count, *populating,
        *head_truncations, *head_truncations_failed, *reloads, *reloads_failed,
        *time_retentions, *size_retentions, *tombstone_seconds,
        *tombstone_count, *corruptions;
};

struct tsdb {
    struct storage storage;
    struct tsdb_options options;
    char *dir, *wal_dir;
    struct head *head;
    struct wal *wal;
    struct dir_lock lock;
    struct selfmetrics *metrics;
    struct store_metrics m;
    uint64_t replay_corruptions; /* written while opening only              */

    struct block_sets sets;
    pthread_mutex_t maint;
    sonde_msec truncated_at; /* monotonic; log_only; under `maint`          */
    bool blocks_loaded; /* once; what is found later may be on its way      */
    /* Blocks that go with their last reader: under `maint`. */
    struct ulid *doomed;
    size_t doomed_count, doomed_cap;

    pthread_mutex_t state; /* guards these                               */
    pthread_cond_t wake;
    struct tsdb_limits limits;
    uint64_t corruptions;
    size_t quarantined;
    bool kicked, thread_runs;
    struct ulid damaged[16]; /* blocks that were complained about           */
    size_t damaged_count;

    pthread_t thread;
    _Atomic bool stop;
    _Atomic bool asked; /* for a block of the head, since the last round    */
    struct log_limit full_log; /* the disk is full                         */
    bool was_full;             /* under `maint`                            */
};

struct tsdb_limits store_limits(struct tsdb *db);
/* DIR/NAME; free with free(). */
char *store_path(const char *dir, const char *name);
/* Counts damage; the caller logs it. */
void store_corrupt(struct tsdb *db);

/* Whether a block's damage is new to us: it is said once. */
bool store_note_damaged(struct tsdb *db, const struct ulid *ulid);

/* ---- folder.c: blocks on the disk --------------------------------------- */

/* Removes what an earlier life left half-made. */
void folder_clean(struct tsdb *db);
/* Serves blocks that are in the folder and not in the list, and no longer
 * those that went away; bad ones go to quarantine, merged ones are removed.
 * Under `maint`. */
SONDE_NODISCARD sonde_code folder_reload(struct tsdb *db,
                                         struct sonde_err *err);
/* The block is served no longer; its folder goes with its last reader. Under
 * `maint`. */
void folder_drop(struct tsdb *db, struct block *b);
/* The files of a folder, in bytes; 0 if it is not there. */
uint64_t folder_bytes(const char *path);

/* ---- compaction.c: all under `maint` ------------------------------------- */

SONDE_NODISCARD sonde_code store_compact_head(struct tsdb *db,
                                              struct sonde_err *err);
SONDE_NODISCARD sonde_code store_compact_late(struct tsdb *db,
                                              struct sonde_err *err);
SONDE_NODISCARD sonde_code store_compact_blocks(struct tsdb *db,
                                                struct sonde_err *err);
/* Whether a block of the head is due. */
bool store_head_is_full(const struct tsdb *db);
/* Opens the block that was made, serves it, and drops `gone`. */
SONDE_NODISCARD sonde_code store_publish(struct tsdb *db,
                                         const struct ulid *made,
                                         struct block *const *gone, size_t n,
                                         sonde_msec head_from,
                                         struct sonde_err *err);
/* Rewrites blocks as one; they are served no longer. */
SONDE_NODISCARD sonde_code store_rewrite(struct tsdb *db,
                                         struct block *const *blocks, size_t n,
                                         struct sonde_err *err);

/* ---- retain.c ----------------------------------------------------------- */

/* Deletes blocks that are past a limit. Under `maint`. */
void store_retain(struct tsdb *db);

/* ---- maintain.c --------------------------------------------------------- */

void store_thread_start(struct tsdb *db);
void store_thread_stop(struct tsdb *db);
/* Has the thread look at once. Callable from anywhere. */
void store_kick(struct tsdb *db);
/* The head's range is wider: has the thread look if a block is due. */
void store_head_grew(void *db);

/* ---- store_metrics.c ----------------------------------------------------- */

void store_metrics_register(struct store_metrics *out, struct selfmetrics *m);
void store_metrics_page(struct selfmetrics_page *page, void *arg);

#endif
