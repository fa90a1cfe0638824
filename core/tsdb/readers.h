/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is there: what was taken out of the head is given back only when all
 * who may have seen it are gone. Coming and going costs a mutex and a few
 * pointers; nobody who comes ever waits.
 */
#ifndef TSDB_READERS_H
#define TSDB_READERS_H

#include <pthread.h>

#include <sonde/base.h>

/* In the visitor's own memory, from enter to leave. */
struct presence {
    struct presence *before, *after;
    uint64_t came; /* mark at that time                                   */
};

struct readers {
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t left;
    uint64_t mark;
    struct presence *oldest, *newest;
    size_t count;
};

void readers_init(struct readers *r);
void readers_fini(struct readers *r);

void readers_enter(struct readers *r, struct presence *who);
void readers_leave(struct readers *r, struct presence *who);

/* A line in time: those who enter from now on see all that was done before. */
uint64_t readers_mark(struct readers *r);
/* Whether all who came before the mark have left. */
bool readers_passed(struct readers *r, uint64_t mark);
/* Waits for that; false if some are still there after `wait_ms`. */
bool readers_wait(struct readers *r, uint64_t mark, sonde_msec wait_ms);

#endif
