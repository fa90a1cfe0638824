/* SPDX-License-Identifier: Apache-2.0 */
/* A loop's inside, for the files that collect on it. */
#ifndef SCRAPE_LOOP_INT_H
#define SCRAPE_LOOP_INT_H

#include <pthread.h>

#include "scrape/loop.h"

struct scrape_loop {
    struct net_loop *net;
    pthread_t thread;
    bool running; /* the thread has to be joined                            */
    _Atomic bool stopping;
    const struct clock *clock;
    struct storage *storage;
    struct collectors *collectors;

    /* loop only */
    struct collection *spare;
    size_t spare_count;
    struct target **targets; /* each holds a reference */
    size_t count, cap;
};

/* ---- loop.c; on its thread ----------------------------------------------- */

/* The collection's end, with a verdict, and what comes after it. */
void scrape_loop_finish(struct collection *c);
/* Without one, because the loop has stopped in the middle: the target is
 * neither up nor down. */
void scrape_loop_drop(struct collection *c);

/* ---- fetch.c; on its thread ---------------------------------------------- */

/* Begins the first round of the plan of the target's plugin. */
void fetch_start(struct collection *c);
/* The step under way was `collect`, and has come back; its failure may be
 * the plugin's to judge. */
void fetch_collected(struct collection *c);

#endif
