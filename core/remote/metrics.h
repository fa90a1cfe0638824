/* SPDX-License-Identifier: Apache-2.0 */
/* An endpoint's metrics, by Prometheus' names: metrics.c. */
#ifndef REMOTE_METRICS_H
#define REMOTE_METRICS_H

#include "model/selfmetrics.h"

struct remote_metrics {
    struct metric *samples, *samples_failed, *samples_retried;
    struct metric *dropped_relabel, *dropped_unknown, *dropped_old;
    struct metric *metadata, *metadata_failed, *metadata_retried;
    struct metric *bytes, *metadata_bytes, *batches, *batch_seconds;
    struct metric *pending, *highest_read, *highest_sent;
    struct metric *shards, *shards_min, *shards_max, *shards_desired;
    struct metric *shard_capacity, *batch_max;
    struct metric *log_records, *log_failures, *log_segment;
};

/* `labels` as between braces. */
void remote_metrics_init(struct remote_metrics *m, struct selfmetrics *registry,
                         const char *labels);
void remote_metrics_drop(struct selfmetrics *registry, const char *labels);

#endif
