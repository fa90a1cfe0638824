/* SPDX-License-Identifier: Apache-2.0 */
/* The head's self-metrics, by Prometheus' names. */
#ifndef TSDB_HEAD_METRICS_H
#define TSDB_HEAD_METRICS_H

#include "model/selfmetrics.h"

struct head_metrics {
    struct metric *series_created, *samples_appended, *histograms_appended,
        *out_of_order, *out_of_bound, *late_appended, *too_old, *duplicate,
        *corruptions, *all_corruptions, *replay_unknown, *replay_skipped,
        *commit_conflicts;
    struct metric *series_removed, *chunks_created, *chunks_removed,
        *chunks_mapped, *chunk_corruptions, *chunk_write_failures;
    struct metric *replay_seconds;
    struct metric *checkpoints, *checkpoints_failed, *checkpoint_deletions,
        *checkpoint_deletions_failed, *truncate_count, *truncate_seconds;
};

/* `m` may be NULL. */
void head_metrics_register(struct head_metrics *out, struct selfmetrics *m);

struct head;
/* The callback for what is only known when asked; `arg` is the head. */
void head_metrics_page(struct selfmetrics_page *page, void *arg);

#endif
