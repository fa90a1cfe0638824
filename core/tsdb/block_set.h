/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks that are served: an immutable list that is replaced as a whole,
 * together with where the head begins, so that a reader sees either the
 * block or the samples that it was made of, never neither.
 */
#ifndef TSDB_BLOCK_SET_H
#define TSDB_BLOCK_SET_H

#include <pthread.h>

#include <sonde/base.h>

#include "block/block.h"

struct block_set {
    struct block **items; /* by mint, then name; a reference each          */
    size_t count;
    uint64_t bytes;
    /* Samples in order before this time are in blocks; INT64_MIN: none is. */
    sonde_msec head_from;
    size_t refs; /* under the lock of `sets`                               */
    struct block_sets *sets;
};

struct block_sets {
    pthread_mutex_t lock;
    pthread_cond_t freed; /* an old list has no readers any more           */
    struct block_set *now;
    size_t alive; /* lists, with the present one                            */
};

void block_sets_init(struct block_sets *s);
/* No reader may be left. */
void block_sets_fini(struct block_sets *s);

struct block_set *block_set_get(struct block_sets *s);
void block_set_put(struct block_set *set);

/* Replaces the list: without `gone`, with `fresh` (NULL: none), whose
 * reference is taken. `head_from` never falls. One caller at a time. */
void block_sets_replace(struct block_sets *s, struct block *const *gone,
                        size_t gone_count, struct block *fresh,
                        sonde_msec head_from);
/* Waits until nobody reads an older list; false if `*stop` became true or
 * `wait_ms` went by before (0: does not wait). */
bool block_sets_settle(struct block_sets *s, const _Atomic bool *stop,
                       sonde_msec wait_ms);

/* The end of the newest block that was made of samples in order; INT64_MIN:
 * there is none. */
sonde_msec block_set_end(const struct block_set *set);

#endif
