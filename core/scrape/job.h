/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job at work: discovery's groups are kept by source, and at every change
 * the job's targets are made anew from all of them and compared with those
 * that run.
 */
#ifndef SCRAPE_JOB_H
#define SCRAPE_JOB_H

#include <sonde/base.h>

#include "scrape/target.h"

struct job_deps {
    struct scrape_manager *manager;
    const struct scrape_jobs *jobs; /* where the configuration comes from */
    const struct plugin *plugin;
    uint64_t fingerprint, offset_seed;
};

/* A job that does nothing yet; one reference. */
struct job *job_new(const struct job_deps *deps,
                    const struct scrape_config *config);
/* Starts discovery; the targets that are known at once run when it returns. */
SONDE_NODISCARD sonde_code job_start(struct job *j, struct selfmetrics *metrics,
                                     struct sonde_err *err);
/* Stops discovery and lets all targets end. */
void job_end(struct job *j);

/* Dropped targets, for the status pages; under the job's lock. */
struct dropped_set {
    struct arena arena;
    struct labels *items;
    size_t count, cap;
    size_t total; /* also those that were not kept */
};

#endif
