/* SPDX-License-Identifier: Apache-2.0 */
/* A querier over the head and blocks. */
#ifndef TSDB_STORE_QUERIER_H
#define TSDB_STORE_QUERIER_H

#include "block/block.h"
#include "tsdb/head.h"

/* What is read. The caller sees to it that what leaves the head while the
 * querier is there is in one of the blocks, or still seen in the head. */
struct store_view {
    struct querier *head; /* becomes the new querier's; may be NULL        */
    struct block *const *blocks; /* by time; references are taken          */
    size_t count;
    /* Told once of a block that showed damage, from any thread that reads;
     * the answer comes from the rest, with a warning. NULL: the query fails.
     * `b` is valid for the call. */
    void (*damaged)(void *arg, struct block *b, const struct sonde_err *err);
    void *arg; /* of damaged; outlives the querier                        */
    /* Called with `held` when the querier is freed, or if it can not be made;
     * NULL: there is nothing to release. */
    void (*release)(void *held);
    void *held;
};

/* Blocks outside of the closed range are not touched. */
SONDE_NODISCARD sonde_code store_querier(const struct store_view *view,
                                         sonde_msec mint, sonde_msec maxt,
                                         struct querier **out,
                                         struct sonde_err *err);

#endif
