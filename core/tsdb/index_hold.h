/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the index for long without holding up who makes a series: the lock
 * is held for reading, and let go for whoever waits each time a budget of
 * work is spent. After every spending, pointers into the index are void.
 */
#ifndef TSDB_INDEX_HOLD_H
#define TSDB_INDEX_HOLD_H

#include <time.h>

#include "tsdb/head.h"

/* In units of about a nanosecond: a reference copied is one. */
#define HOLD_BUDGET 65536u
#define HOLD_JUMP   32u  /* into a list                                   */
#define HOLD_LOOKUP 128u /* finding a list                                */

struct index_hold {
    struct head *head;
    size_t spent;
};

/* Between two holds for writing: a thread that locks again at once is faster
 * than those that it has just let go, every time. */
static inline void index_hold_rest(void)
{
    const struct timespec moment = { .tv_nsec = 20000 };

    (void)nanosleep(&moment, NULL);
}

static inline void index_hold_begin(struct index_hold *hold, struct head *h)
{
    *hold = (struct index_hold){ h, 0 };
    (void)pthread_rwlock_rdlock(&h->index_lock);
}

static inline void index_hold_end(struct index_hold *hold)
{
    (void)pthread_rwlock_unlock(&hold->head->index_lock);
}

static inline void index_hold_spend(struct index_hold *hold, size_t units)
{
    hold->spent += units;
    if (hold->spent < HOLD_BUDGET)
        return;
    index_hold_end(hold);
    index_hold_begin(hold, hold->head);
}

#endif
