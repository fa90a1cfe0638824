/* SPDX-License-Identifier: Apache-2.0 */
/* Which blocks to merge next, and which to delete: pure functions. */
#ifndef TSDB_COMPACT_PLAN_H
#define TSDB_COMPACT_PLAN_H

#include <sonde/base.h>

#include "block/block.h"

/* The lengths of blocks by level, ascending, each three times the one before
 * it. */
#define COMPACT_LEVELS_MAX 12
struct compact_ranges {
    sonde_msec items[COMPACT_LEVELS_MAX];
    size_t count;
};
/* From `min` up to at most `max`; always at least one. */
struct compact_ranges compact_ranges_of(sonde_msec min, sonde_msec max);
/* The longest block that a retention allows: a tenth of it, at most 31 days;
 * 31 days without one. */
sonde_msec compact_max_range(sonde_msec retention_ms);

/* The start of the aligned range of a length that a time lies in. */
sonde_msec range_floor(sonde_msec t, sonde_msec range);

/* A run of blocks, by position in an array that is sorted by mint. */
struct compact_plan {
    size_t first, count; /* 0: nothing to do                              */
    enum {
        COMPACT_OVERLAP, /* they share a time range                       */
        COMPACT_LEVEL,   /* together they fill a longer range             */
        COMPACT_CLEAN    /* one, of which much is deleted                 */
    } why;
};
/* `metas` are sorted by mint. */
struct compact_plan compact_plan(const struct block_meta *const *metas,
                                 size_t n, const struct compact_ranges *ranges);

/* What retention needs to know. */
struct retention {
    sonde_msec time_ms;   /* 0: no limit                                    */
    uint64_t bytes;       /* 0: no limit                                    */
    uint64_t other_bytes; /* of logs and head chunks: they count, and stay  */
};
/* How many blocks are past a limit: sets `drop[i]` for each. Returns how
 * many. `bytes[i]` is the size of a block. */
size_t retention_plan(const struct block_meta *const *metas,
                      const uint64_t *bytes, size_t n,
                      const struct retention *limits, bool *drop,
                      size_t *by_time);

#endif
