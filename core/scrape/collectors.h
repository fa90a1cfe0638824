/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of threads on which plugins' `collect` may block: grows with the
 * demand up to a limit, idle threads go away.
 */
#ifndef SCRAPE_COLLECTORS_H
#define SCRAPE_COLLECTORS_H

#include <sonde/base.h>

struct collection;
struct collectors;
struct selfmetrics;

struct collectors *collectors_new(size_t threads_max,
                                  struct selfmetrics *metrics);
/* Waits a short while for the plugins that are running, whatever their
 * deadlines are; a thread that does not come back is left behind, and false
 * says so: what it uses must then not be freed. The loops have ended. */
bool collectors_stop(struct collectors *p);
void collectors_free(struct collectors *p);
/* Runs the plugin for c->target; the loop is told when it is done. */
void collectors_submit(struct collectors *p, struct collection *c);

#endif
