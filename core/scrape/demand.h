/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a target of an exposed job keeps for its pages, and how a loop tells
 * those who wait. See demand.c.
 */
#ifndef SCRAPE_DEMAND_H
#define SCRAPE_DEMAND_H

#include <pthread.h>

#include <sonde/base.h>

#include "scrape/scrape.h"

struct target;
struct collection;

/* Guarded by the target's lock. */
struct exposure {
    pthread_cond_t ended;     /* of a collection, whichever began it        */
    uint64_t count;           /* of collections that have ended             */
    struct scrape_page *last; /* of the last of them; NULL: none yet        */
};

struct exposure *exposure_new(void);
void exposure_free(struct exposure *e); /* NULL is fine */

/* A collection has ended: its text, or why there is none, becomes the
 * target's last page, and all who wait are woken. On the loop's thread. Does
 * nothing if the target is not exposed. */
void exposure_publish(struct collection *c);
/* Those who wait are told that nothing will come. */
void exposure_refuse(struct target *t, sonde_code code, const char *why);

#endif
