/* SPDX-License-Identifier: Apache-2.0 */
/* A block that is open: its files mapped, and what may change of it. */
#ifndef BLOCK_BLOCK_INT_H
#define BLOCK_BLOCK_INT_H

#include <stdatomic.h>

#include <sonde/base.h>

#include "block/block.h"
#include "block/chunk_files.h"
#include "block/index.h"

/* Tombstones and the meta that counts them, as they were from some moment
 * on. Older ones stay until the block is closed, for who looks at them. */
struct block_state {
    struct block_meta meta;
    struct tombstones stones;
    uint64_t bytes; /* of meta.json and tombstones                        */
    struct block_state *before;
};

struct block {
    char *dir;
    struct index index;
    struct chunk_files chunks;
    _Atomic(struct block_state *) state;
    atomic_uint refs;
    atomic_bool dropped;
};

#endif
