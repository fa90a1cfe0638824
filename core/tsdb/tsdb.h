/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: a Prometheus TSDB directory. Series live in the head (one open
 * XOR chunk each, full chunks behind it), everything is in the write-ahead
 * log before it is seen. See README.md for the plan of the memory.
 */
#ifndef TSDB_TSDB_H
#define TSDB_TSDB_H

#include <sonde/base.h>

#include "model/selfmetrics.h"
#include "storage/storage.h"
#include "util/clock.h"
#include "wal/wal.h"

struct tsdb;

struct tsdb_options {
    const struct clock *clock;
    struct selfmetrics *metrics;
    struct wal_options wal;
    /* Agent posture: no chunks and no queries; series, their last time, and
     * the log. */
    bool log_only;
    /* Told the progress of replay (segment numbers); may be NULL. */
    void (*progress)(void *arg, uint64_t segment, uint64_t last);
    void *progress_arg;
};

/* Opens DIR (made if absent): takes `lock` by flock (SONDE_ELOCKED if another
 * process holds it), replays the log, starts a new segment. */
SONDE_NODISCARD sonde_code tsdb_open(const char *dir,
                                     const struct tsdb_options *options,
                                     struct tsdb **out, struct sonde_err *err);
/* No appender, querier or cursor may be open. NULL is fine. */
void tsdb_close(struct tsdb *db);

struct storage *tsdb_storage(struct tsdb *db);
struct wal *tsdb_wal(struct tsdb *db);
const char *tsdb_wal_dir(const struct tsdb *db);

/* For status/tsdb. */
struct tsdb_stats {
    size_t series, label_pairs, chunks;
    sonde_msec min_time, max_time; /* of the head; min > max when empty   */
    uint64_t corruptions;          /* found in this process' life         */
};
void tsdb_stats(struct tsdb *db, struct tsdb_stats *out);

#endif
