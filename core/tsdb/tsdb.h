/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: a Prometheus TSDB directory. New samples live in the head (one
 * open chunk a series in memory, full ones mapped from chunks_head) and in
 * the write-ahead log before they are seen; older ones in blocks. One thread
 * of its own maps full chunks, makes blocks of the head, merges blocks, and
 * deletes by retention. See README.md for the plan.
 */
#ifndef TSDB_TSDB_H
#define TSDB_TSDB_H

#include <sonde/base.h>

#include "block/block.h"
#include "model/selfmetrics.h"
#include "storage/storage.h"
#include "util/clock.h"
#include "wal/wal.h"

struct tsdb;

/* What may change while it is open. */
struct tsdb_limits {
    sonde_msec retention_ms;    /* 0: none; counts from the newest sample    */
    uint64_t retention_bytes;   /* of blocks, logs and head chunks; 0: none  */
    double retention_percent;   /* of the file system; 0: none               */
    sonde_msec out_of_order_ms; /* how late a sample may be; 0: not at all */
    size_t max_exemplars;       /* 0: none are kept                        */
};

struct tsdb_options {
    const struct clock *clock;
    struct selfmetrics *metrics;
    struct wal_options wal;
    struct tsdb_limits limits;
    size_t out_of_order_cap; /* samples of a chunk out of order; 0: 32    */
    sonde_msec min_block_ms; /* 0: 2 h                                     */
    sonde_msec max_block_ms; /* 0: a tenth of the retention, at most 31 d  */
    /* Agent posture: no chunks and no queries; series, their last time, and
     * the log, which is cut every `truncate_every_ms` (0: 2 h) of what is
     * older than `keep_max_ms` (0: 4 h) or was sent `keep_min_ms` (0: 5 min)
     * ago. */
    bool log_only;
    sonde_msec truncate_every_ms, keep_min_ms, keep_max_ms;
    /* Nothing is written and no lock is taken: another process may have it
     * open. What that one has not written yet is not seen. */
    bool read_only;
    bool no_lockfile;
    /* Nothing happens by itself: tests call tsdb_compact. */
    bool no_thread;
    /* At closing, the head is saved so that the next start need not replay. */
    bool snapshot_on_close;
    /* The first segment of the log that somebody still has to read, and (for
     * log_only) the time up to which all was sent; may be NULL. */
    uint64_t (*log_needed)(void *arg);
    sonde_msec (*log_sent)(void *arg);
    void *log_arg;
    /* Told the progress of replay (segment numbers); may be NULL. */
    void (*progress)(void *arg, uint64_t segment, uint64_t last);
    void *progress_arg;
    /* Asked while the log is replayed, from the opening thread: true ends the
     * opening with SONDE_ECANCELED. May be NULL. */
    bool (*canceled)(void *arg);
    void *canceled_arg;
};

/* Opens DIR (made if absent): takes `lock` by flock (SONDE_ELOCKED if another
 * process holds it), removes what was left half-made, loads blocks (bad ones
 * are moved to quarantine/), maps chunks_head, replays the log, starts a new
 * segment. On a full disk it opens for reading: appends are SONDE_ENOSPACE
 * until there is room. */
SONDE_NODISCARD sonde_code tsdb_open(const char *dir,
                                     const struct tsdb_options *options,
                                     struct tsdb **out, struct sonde_err *err);
/* No appender, querier or cursor may be open. NULL is fine. */
void tsdb_close(struct tsdb *db);
/* Takes effect at once, or with the next sample or compaction. */
void tsdb_set_limits(struct tsdb *db, const struct tsdb_limits *limits);

struct storage *tsdb_storage(struct tsdb *db);
struct wal *tsdb_wal(struct tsdb *db); /* NULL when read_only */
const char *tsdb_wal_dir(const struct tsdb *db);

/* For status/tsdb. */
struct tsdb_stats {
    size_t series, label_pairs, chunks;
    sonde_msec min_time, max_time; /* of the head; min > max when empty   */
    uint64_t corruptions;          /* found in this process' life         */
    size_t blocks;
    uint64_t block_bytes;
    sonde_msec oldest; /* of all that is there                            */
    size_t quarantined;
};
void tsdb_stats(struct tsdb *db, struct tsdb_stats *out);

/* What the head has most of, descending, at most `limit` each: series by
 * metric name, values by label, bytes of values by label, series by
 * "label=value". */
struct tsdb_top {
    sonde_str name;
    uint64_t count;
};
struct tsdb_top_list {
    struct tsdb_top *items;
    size_t count;
};
struct tsdb_top_lists {
    struct tsdb_top_list metrics, label_values, label_bytes, pairs;
};
void tsdb_top(struct tsdb *db, size_t limit, struct arena *a,
              struct tsdb_top_lists *out);

/* ---- maintenance: each may be called from any thread; one runs at a time - */

/* Does all that is due now: blocks from the head, cutting the log, merging,
 * retention. SONDE_ENOSPACE: the disk is full; retention was done all the same.
 */
SONDE_NODISCARD sonde_code tsdb_compact(struct tsdb *db, struct sonde_err *err);
/* Marks the samples in a closed range of all series that the matchers accept
 * as deleted, in blocks and head; durable when it returns. */
SONDE_NODISCARD sonde_code tsdb_delete(struct tsdb *db, sonde_msec mint,
                                       sonde_msec maxt,
                                       const struct matcher *matchers, size_t n,
                                       struct sonde_err *err);
/* Rewrites the blocks that have deleted samples without them. */
SONDE_NODISCARD sonde_code tsdb_clean_tombstones(struct tsdb *db,
                                                 struct sonde_err *err);
/* Makes DIR/snapshots/NAME with hard links to all blocks and, with_head, a
 * block of what is in the head. NAME (time and random digits, as Prometheus
 * names it) is written to `name`. */
#define TSDB_SNAPSHOT_NAME 64
SONDE_NODISCARD sonde_code tsdb_snapshot(struct tsdb *db, bool with_head,
                                         char name[TSDB_SNAPSHOT_NAME],
                                         struct sonde_err *err);
/* The same into a folder of the caller's. */
SONDE_NODISCARD sonde_code tsdb_snapshot_to(struct tsdb *db, bool with_head,
                                            const char *to,
                                            struct sonde_err *err);

/* The blocks that are served now, by time; each is referenced. */
struct block **tsdb_blocks(struct tsdb *db, size_t *count);
void tsdb_blocks_free(struct block **blocks, size_t count);

#endif
