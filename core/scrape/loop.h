/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scrape loop: one thread that starts its targets' collections on time,
 * does their HTTP, and feeds what comes in to collection.h.
 */
#ifndef SCRAPE_LOOP_H
#define SCRAPE_LOOP_H

#include <sonde/base.h>

#include "scrape/target.h"

struct collectors;

SONDE_NODISCARD sonde_code scrape_loop_new(const struct scrape_deps *deps,
                                           struct collectors *collectors,
                                           struct scrape_loop **out,
                                           struct sonde_err *err);
/* Asks the thread to end; nothing more is begun. NULL is fine here and
 * below. */
void scrape_loop_stop(struct scrape_loop *l);
/* Waits for its end. What it was fetching is dropped, without a verdict. */
void scrape_loop_join(struct scrape_loop *l);
/* After it has ended and no collector runs any more: stores what collectors
 * brought meanwhile. */
void scrape_loop_drain(struct scrape_loop *l);
/* After that; also stops and joins. */
void scrape_loop_free(struct scrape_loop *l);

/* From any thread: takes a target on (a reference is taken), or lets it end:
 * it writes its stale markers and is forgotten. */
void scrape_loop_add(struct scrape_loop *l, struct target *t);
void scrape_loop_end(struct scrape_loop *l, struct target *t);
/* From any thread: a collection for a page, unless one has ended since the
 * target's exposure had counted `seen` of them, or is under way. */
void scrape_loop_demand(struct scrape_loop *l, struct target *t, uint64_t seen,
                        sonde_msec deadline);
/* From a collector: the plugin has returned; c->text or c->err is filled. */
void scrape_loop_collected(struct scrape_loop *l, struct collection *c);

#endif
