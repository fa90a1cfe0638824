/* SPDX-License-Identifier: Apache-2.0 */
/* The manager as the other files of this room see it. */
#ifndef SCRAPE_MANAGER_H
#define SCRAPE_MANAGER_H

#include <pthread.h>

#include <sonde/base.h>

#include "scrape/loop.h"
#include "scrape/metrics.h"
#include "scrape/scrape.h"

#define SCRAPE_LOOPS_MAX 4

struct scrape_manager {
    struct scrape_deps deps;
    struct scrape_metrics metrics;
    struct collectors *collectors;
    struct scrape_loop *loops[SCRAPE_LOOPS_MAX];
    size_t loop_count;
    _Atomic uint64_t reloads; /* applied configurations                   */
    bool stopped, hung; /* by scrape_manager_stop; a plugin did not return */

    pthread_mutex_t lock; /* guards the rest */
    struct job **jobs;    /* sorted by name */
    size_t job_count;
};

struct scrape_loop *scrape_manager_loop(struct scrape_manager *m,
                                        uint64_t hash);
void scrape_manager_pool_size(struct scrape_manager *m, sonde_str job,
                              size_t targets);
/* CPU seconds of a plugin's `collect`. */
struct metric *scrape_manager_collect_cpu(struct scrape_manager *m,
                                          const char *plugin);
void scrape_manager_pool_gone(struct scrape_manager *m, sonde_str job);

#endif
