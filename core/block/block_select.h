/* SPDX-License-Identifier: Apache-2.0 */
/* From matchers to series of a block. */
#ifndef BLOCK_BLOCK_SELECT_H
#define BLOCK_BLOCK_SELECT_H

#include "block/block.h"
#include "storage/matcher.h"
#include "util/refs.h"

/* A matcher that is asked about each series' own label. */
struct block_ask {
    uint32_t name;    /* symbol; UINT32_MAX: no series has it              */
    uint32_t value;   /* of EQ and NE; UINT32_MAX: no series has it        */
    struct regex *re; /* of RE and NRE: held                               */
    enum matcher_op op;
    bool without;     /* accepts series without the label                  */
    uint8_t *answers; /* of `re`, by symbol: 0 not asked, 1 no, 2 yes      */
};

/* Candidates, and what is left to ask of each. Independent of the matchers
 * it was made from. */
struct block_selection {
    struct refs refs; /* numbers of series                                 */
    struct block_ask *asks;
    size_t ask_count;
};

SONDE_NODISCARD sonde_code block_candidates(const struct block *b,
                                            const struct matcher *ms, size_t n,
                                            struct block_selection *out,
                                            struct sonde_err *err);
/* Whether what is left to ask accepts a series. One thread at a time. */
bool block_accepts(const struct block *b, struct block_selection *s,
                   const struct block_series *series);
void block_selection_fini(struct block_selection *s);

#endif
