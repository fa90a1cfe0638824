/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops over independent things on all cores: threads that stand by and help
 * whoever has a long loop.
 */
#ifndef UTIL_PARALLEL_H
#define UTIL_PARALLEL_H

#include <sonde/base.h>

struct parallel;

/* `helpers` threads beside the caller of parallel_run; they start with the
 * first long loop. */
struct parallel *parallel_new(size_t helpers);
/* Nobody may be in parallel_run. NULL is fine. */
void parallel_free(struct parallel *p);
/* How many may be at work in one loop, the caller included; 1 for NULL. */
size_t parallel_workers(const struct parallel *p);

/*
 * Calls fn(arg, worker, from, to) for pieces of at most `piece` that cover
 * [0, n), in no order; returns when all are done. `worker` is below
 * parallel_workers() and is one thread's at a time. When fn returns false no
 * further piece is begun and false is returned. Any number of threads may
 * call this; the helpers are with one of them, the others work alone.
 */
bool parallel_run(struct parallel *p, size_t n, size_t piece,
                  bool (*fn)(void *arg, size_t worker, size_t from, size_t to),
                  void *arg);

#endif
