/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter's own door: the pages of a job, on a listener of its own.
 *
 * Each exposed job has a door: `/metrics` with its targets' last or fresh
 * collections, the page of the exporter that collects what `target=` names
 * (only what it may reach), `/health`, and `/` for people. The daemon opens
 * doors for jobs that have an `expose`; `sonde exporter` opens one.
 */
#ifndef EXPOSE_EXPOSE_H
#define EXPOSE_EXPOSE_H

#include <sonde/base.h>

#include "scrape/scrape.h"

struct expose;
struct expose_deps {
    struct scrape_manager *scrape;
    const struct plugins *plugins;
    struct selfmetrics *metrics; /* may be NULL */
};
struct expose *expose_new(const struct expose_deps *deps);
/* Closes all doors; requests under way are answered. The scrape manager must
 * still run. */
void expose_stop(struct expose *e); /* NULL is fine */
void expose_free(struct expose *e); /* stops first; NULL is fine */

/* Makes the doors be those of these jobs. A door whose address and web config
 * stay goes on, with what the job says now. On an error (an address that is
 * taken) all old doors are still there, but for those whose address a new one
 * wants; applying the old jobs again restores these. */
SONDE_NODISCARD sonde_code expose_apply(struct expose *e,
                                        const struct scrape_config *const *jobs,
                                        size_t n, struct sonde_err *err);

/* A door with more than a configuration can say. Copied; `arg` is not. */
struct expose_door {
    const struct scrape_config *job;
    const char *const *listen; /* instead of the job's address            */
    size_t listen_count;
    sonde_str web_config; /* the text of one; empty: the job's file or none */
    const struct config_map *labels;  /* on all series                      */
    sonde_str prefix, prefix_instead; /* of names of families; or empty    */
    bool no_targets; /* `target=` is not served                            */
    bool self;       /* the metrics of the deps are on the page, too       */
    /* POST /-/reload; NULL: not served. Called by one thread at a time. */
    sonde_code (*reload)(void *arg, struct sonde_err *err);
    void *arg;
};
SONDE_NODISCARD sonde_code expose_open(struct expose *e,
                                       const struct expose_door *door,
                                       struct sonde_err *err);
/* The port of the i-th listener of the door of a job; 0: there is none. */
int expose_port(const struct expose *e, sonde_str job, size_t i);

#endif
