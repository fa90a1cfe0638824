/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making blocks: from the head, and from other blocks. Both stream: memory
 * does not grow with the number of samples, and with the number of series by
 * some 16 bytes each (the head), or not at all (blocks; symbols count).
 */
#ifndef TSDB_COMPACT_H
#define TSDB_COMPACT_H

#include <stdatomic.h>

#include <sonde/base.h>

#include "block/block.h"

struct clock;
struct head;
struct late_cut;

/* Where a block goes. */
struct compact_target {
    const char *dir;
    const struct clock *clock;
    const _Atomic bool *stop; /* SONDE_ECANCELED when true; may be NULL     */
};

/* Samples with mint <= t < maxt. */
struct compact_head_source {
    struct head *head;
    sonde_msec mint, maxt;
    const struct late_cut
        *late; /* the samples out of order; NULL: the others */
};
/* Makes a block of level 1; SONDE_ENOTFOUND: there are no samples. */
SONDE_NODISCARD sonde_code
compact_head(const struct compact_head_source *source,
             const struct compact_target *target, struct ulid *out,
             struct sonde_err *err);

/* Merges blocks into one; of one block, deleted samples are taken out.
 * SONDE_ENOTFOUND: nothing is left. */
SONDE_NODISCARD sonde_code compact_blocks(struct block *const *blocks, size_t n,
                                          const struct compact_target *target,
                                          struct ulid *out,
                                          struct sonde_err *err);

#endif
