/* SPDX-License-Identifier: Apache-2.0 */
/* The store's self-metrics, by Prometheus' names. */
#include "tsdb/store.h"

void store_metrics_register(struct store_metrics *out, struct selfmetrics *m)
{
#define COUNTER(name, help)                                                    \
    selfmetrics_counter(m, "prometheus_tsdb_" name, help, NULL)
#define SECONDS(name, help)                                                    \
    selfmetrics_real(m, METRIC_COUNTER, "prometheus_tsdb_" name, help, NULL)
    *out = (struct store_metrics){
        .compactions = COUNTER("compactions_total",
                               "Total number of compactions that were "
                               "executed."),
        .compactions_failed =
            COUNTER("compactions_failed_total",
                    "Total number of compactions that failed."),
        .compactions_triggered =
            COUNTER("compactions_triggered_total",
                    "Total number of triggered compactions."),
        .vertical = COUNTER("vertical_compactions_total",
                            "Total number of compactions done on overlapping "
                            "blocks."),
        .compaction_seconds = SECONDS("compaction_duration_seconds_sum",
                                      "Duration of compaction runs."),
        .compaction_count = COUNTER("compaction_duration_seconds_count",
                                    "Number of compaction runs."),
        .populating = selfmetrics_gauge(
            m, "prometheus_tsdb_compaction_populating_block",
            "Set to 1 when a block is currently being written to the disk.",
            NULL),
        .head_truncations = COUNTER("head_truncations_total",
                                    "Total number of head truncations "
                                    "attempted."),
        .head_truncations_failed =
            COUNTER("head_truncations_failed_total",
                    "Total number of head truncations that failed."),
        .reloads = COUNTER("reloads_total",
                           "Number of times the database reloaded block data "
                           "from disk."),
        .reloads_failed = COUNTER("reloads_failures_total",
                                  "Number of times the database failed to "
                                  "reload block data from disk."),
        .time_retentions = COUNTER("time_retentions_total",
                                   "The number of times that blocks were "
                                   "deleted because the maximum time limit "
                                   "was exceeded."),
        .size_retentions = COUNTER("size_retentions_total",
                                   "The number of times that blocks were "
                                   "deleted because the maximum number of "
                                   "bytes was exceeded."),
        .tombstone_seconds = SECONDS("tombstone_cleanup_seconds_sum",
                                     "The time taken to recompact blocks to "
                                     "remove tombstones."),
        .tombstone_count = COUNTER("tombstone_cleanup_seconds_count",
                                   "How often blocks were recompacted to "
                                   "remove tombstones."),
        .corruptions = selfmetrics_counter(
            m, "sonde_storage_corruptions_total",
            "Damaged places found in the data directory.", NULL),
    };
#undef COUNTER
#undef SECONDS
}

void store_metrics_page(struct selfmetrics_page *page, void *arg)
{
    struct tsdb *db = arg;
    struct tsdb_limits limits = store_limits(db);
    struct tsdb_stats stats;

    tsdb_stats(db, &stats);
    if (stats.oldest == INT64_MAX)
        stats.oldest = 0;
#define GAUGE(name, help, value)                                               \
    selfmetrics_emit(page, name, METRIC_GAUGE, help, NULL, (double)(value))
    GAUGE("prometheus_tsdb_blocks_loaded",
          "Number of currently loaded data blocks", stats.blocks);
    GAUGE("prometheus_tsdb_storage_blocks_bytes",
          "The number of bytes that are currently used for local storage by "
          "all blocks.",
          stats.block_bytes);
    GAUGE("prometheus_tsdb_lowest_timestamp",
          "Lowest timestamp value stored in the database.", stats.oldest);
    GAUGE("prometheus_tsdb_lowest_timestamp_seconds",
          "Lowest timestamp value stored in the database in seconds.",
          (double)stats.oldest / 1000);
    GAUGE("prometheus_tsdb_retention_limit_bytes",
          "Max number of bytes to be retained in the tsdb blocks, configured "
          "0 means disabled",
          limits.retention_bytes);
    GAUGE("prometheus_tsdb_retention_limit_seconds",
          "How long to retain samples in storage.",
          (double)limits.retention_ms / 1000);
    GAUGE("sonde_storage_quarantined_blocks",
          "Blocks that were put aside for damage.", stats.quarantined);
#undef GAUGE
}
