/* SPDX-License-Identifier: Apache-2.0 */
/* What `sonde tsdb check` counts and says. */
#ifndef CLI_TSDB_CHECK_H
#define CLI_TSDB_CHECK_H

#include <sonde/base.h>

#include "cli/progress.h"

struct check {
    const char *dir;
    uint64_t faults;
    size_t blocks, bad_blocks;
    uint64_t records, head_chunks;
    struct progress progress;
};

/* One line on standard output, and counted. */
SONDE_PRINTF(2, 3) void check_fault(struct check *c, const char *fmt, ...);

/* tsdb_check_log.c: wal with its checkpoint, wbl, chunks_head. What is not
 * there is fine. */
void check_log(struct check *c, const char *name);
void check_head_chunks(struct check *c);

#endif
