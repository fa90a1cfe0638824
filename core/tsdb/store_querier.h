/* SPDX-License-Identifier: Apache-2.0 */
/* A querier over the head and blocks. */
#ifndef TSDB_STORE_QUERIER_H
#define TSDB_STORE_QUERIER_H

#include "block/block.h"
#include "tsdb/head.h"

/* What is read. The head's querier must be there before the blocks are
 * listed: what leaves the head later is in one of them, or still seen. */
struct store_view {
    struct querier *head; /* becomes the new querier's; may be NULL        */
    struct block *const *blocks; /* by time; references are taken          */
    size_t count;
    /* Told of a block that showed damage, at least once for each querier that
     * met it, from any thread that reads; the query goes on without. NULL:
     * the query fails. `b` is valid for the call. */
    void (*damaged)(void *arg, struct block *b, const struct sonde_err *err);
    void *arg;
};

/* Blocks outside of the closed range are not touched. */
SONDE_NODISCARD sonde_code store_querier(const struct store_view *view,
                                         sonde_msec mint, sonde_msec maxt,
                                         struct querier **out,
                                         struct sonde_err *err);

#endif
