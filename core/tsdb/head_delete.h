/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted samples of the head: hidden when they are read, and left out of
 * blocks. */
#ifndef TSDB_HEAD_DELETE_H
#define TSDB_HEAD_DELETE_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "block/block.h"
#include "tsdb/late.h"

struct head_deleted {
    pthread_rwlock_t lock; /* guards `stones`; after all but that of `late` */
    struct tombstones stones; /* by id, not reference                    */
    atomic_bool any;
};

void head_deleted_init(struct head_deleted *d);
void head_deleted_fini(struct head_deleted *d);
void head_deleted_add(struct head_deleted *d, uint32_t id,
                      struct time_range range);
/* Forgets what ends before `t`: the head has nothing there any more. */
/* But not while a series has late samples there. */
void head_deleted_trim(struct head_deleted *d, sonde_msec t, struct late *l);
void head_deleted_apply_slowly(struct head_deleted *d, uint32_t id,
                               struct columns *c, size_t from);

/* Takes the deleted samples from `from` on out of a series' columns. */
static inline void head_deleted_apply(struct head_deleted *d, uint32_t id,
                                      struct columns *c, size_t from)
{
    if (__builtin_expect(atomic_load_explicit(&d->any, memory_order_acquire),
                         0))
        head_deleted_apply_slowly(d, id, c, from);
}

#endif
