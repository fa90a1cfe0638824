/* SPDX-License-Identifier: Apache-2.0 */
/* The room's own metrics, registered once by the manager. */
#ifndef SCRAPE_METRICS_H
#define SCRAPE_METRICS_H

#include "model/selfmetrics.h"

struct scrape_metrics {
    struct metric *out_of_order, *duplicate, *out_of_bounds;
    struct metric *over_sample_limit, *over_body_limit;
    struct metric *succeeded, *failed, *missed;
    struct metric *pools, *pool_reloads, *pool_syncs;
};

struct scrape_manager;
const struct scrape_metrics *
scrape_manager_metrics(const struct scrape_manager *m);

#endif
