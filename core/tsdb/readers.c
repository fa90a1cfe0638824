/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Visitors stand in a queue in the order in which they came, each with the
 * number of marks that there were. All from before a mark are gone when the
 * oldest one came after it, so asking is looking at one of them.
 *
 * Rejected: a counter per thread or processor (queriers move between
 * threads, and a hundred nanoseconds a query do not matter).
 */
#include "tsdb/readers.h"

#include <errno.h>

#include "util/clock.h"

void readers_init(struct readers *r)
{
    pthread_condattr_t attr;

    *r = (struct readers){ 0 };
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->left, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void readers_fini(struct readers *r)
{
    (void)pthread_cond_destroy(&r->left);
    (void)pthread_mutex_destroy(&r->lock);
}

void readers_enter(struct readers *r, struct presence *who)
{
    (void)pthread_mutex_lock(&r->lock);
    *who = (struct presence){ .before = r->newest, .came = r->mark };
    if (r->newest)
        r->newest->after = who;
    else
        r->oldest = who;
    r->newest = who;
    r->count++;
    (void)pthread_mutex_unlock(&r->lock);
}

void readers_leave(struct readers *r, struct presence *who)
{
    (void)pthread_mutex_lock(&r->lock);
    if (who->before)
        who->before->after = who->after;
    else
        r->oldest = who->after;
    if (who->after)
        who->after->before = who->before;
    else
        r->newest = who->before;
    r->count--;
    if (!who->before)
        (void)pthread_cond_broadcast(&r->left);
    (void)pthread_mutex_unlock(&r->lock);
}

uint64_t readers_mark(struct readers *r)
{
    uint64_t mark;

    (void)pthread_mutex_lock(&r->lock);
    mark = ++r->mark;
    (void)pthread_mutex_unlock(&r->lock);
    return mark;
}

/* Under the lock. */
static bool passed(const struct readers *r, uint64_t mark)
{
    return !r->oldest || r->oldest->came >= mark;
}

bool readers_passed(struct readers *r, uint64_t mark)
{
    bool yes;

    (void)pthread_mutex_lock(&r->lock);
    yes = passed(r, mark);
    (void)pthread_mutex_unlock(&r->lock);
    return yes;
}

bool readers_wait(struct readers *r, uint64_t mark, sonde_msec wait_ms)
{
    struct timespec until =
        clock_timespec(clock_monotonic(&clock_system) + wait_ms);
    bool yes;

    (void)pthread_mutex_lock(&r->lock);
    while (!passed(r, mark) &&
           pthread_cond_timedwait(&r->left, &r->lock, &until) != ETIMEDOUT)
        ;
    yes = passed(r, mark);
    (void)pthread_mutex_unlock(&r->lock);
    return yes;
}
