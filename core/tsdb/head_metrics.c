/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head's self-metrics. Counters are added to once per commit, never per
 * sample; sizes are looked up when somebody asks. Names and texts are
 * Prometheus' where it has them.
 */
#include "tsdb/head_metrics.h"

#include "tsdb/head.h"

#define FLOATS     "type=\"float\""
#define HISTOGRAMS "type=\"histogram\""

void head_metrics_register(struct head_metrics *out, struct selfmetrics *m)
{
#define TSDB(name, help, labels)                                               \
    selfmetrics_counter(m, "prometheus_tsdb_" name, help, labels)
#define OURS(name, help) selfmetrics_counter(m, "sonde_" name, help, NULL)
    *out = (struct head_metrics){
        .series_created =
            TSDB("head_series_created_total",
                 "Total number of series created in the head", NULL),
        .series_removed =
            TSDB("head_series_removed_total",
                 "Total number of series removed in the head", NULL),
        .chunks_created =
            TSDB("head_chunks_created_total",
                 "Total number of chunks created in the head", NULL),
        .chunks_removed =
            TSDB("head_chunks_removed_total",
                 "Total number of chunks removed in the head", NULL),
        .chunks_mapped =
            TSDB("mmap_chunks_total",
                 "Total number of chunks that were memory-mapped.", NULL),
        .chunk_corruptions =
            TSDB("mmap_chunk_corruptions_total",
                 "Total number of memory-mapped chunk corruptions.", NULL),
        .chunk_write_failures =
            OURS("head_chunk_write_failures_total",
                 "Times that full chunks could not be written and stayed in "
                 "memory."),
        .samples_appended = TSDB("head_samples_appended_total",
                                 "Total number of appended samples.", FLOATS),
        .histograms_appended =
            TSDB("head_samples_appended_total",
                 "Total number of appended samples.", HISTOGRAMS),
        .late_appended =
            TSDB("head_out_of_order_samples_appended_total",
                 "Total number of appended out of order samples.", FLOATS),
        .out_of_order = TSDB("out_of_order_samples_total",
                             "Total number of out of order samples ingestion "
                             "failed attempts due to out of order being "
                             "disabled.",
                             FLOATS),
        .out_of_bound =
            TSDB("out_of_bound_samples_total",
                 "Total number of out of bound samples ingestion failed "
                 "attempts with out of order support disabled.",
                 FLOATS),
        .too_old = TSDB("too_old_samples_total",
                        "Total number of out of order samples ingestion failed "
                        "attempts with out of support enabled, but sample "
                        "outside of time window.",
                        FLOATS),
        .duplicate = OURS("head_duplicate_samples_total",
                          "Samples with the time of the last one and another "
                          "value, dropped."),
        .corruptions = TSDB("wal_corruptions_total",
                            "Total number of WAL corruptions.", NULL),
        .all_corruptions = OURS("storage_corruptions_total",
                                "Damaged places found in the data "
                                "directory."),
        .replay_unknown = OURS("replay_unknown_series_samples_total",
                               "Samples in the log whose series is not."),
        .replay_skipped = OURS("replay_skipped_records_total",
                               "Records in the log of kinds that are not "
                               "read (histograms, exemplars, deletions)."),
        .commit_conflicts = OURS("head_commit_conflicts_total",
                                 "Commits that had to wait because another "
                                 "one wrote to the same series."),
        .checkpoints =
            TSDB("checkpoint_creations_total",
                 "Total number of checkpoint creations attempted.", NULL),
        .checkpoints_failed =
            TSDB("checkpoint_creations_failed_total",
                 "Total number of checkpoint creations that failed.", NULL),
        .checkpoint_deletions =
            TSDB("checkpoint_deletions_total",
                 "Total number of checkpoint deletions attempted.", NULL),
        .checkpoint_deletions_failed =
            TSDB("checkpoint_deletions_failed_total",
                 "Total number of checkpoint deletions that failed.", NULL),
        .truncate_count = TSDB("wal_truncate_duration_seconds_count",
                               "Number of WAL truncations.", NULL),
        .truncate_seconds = selfmetrics_real(
            m, METRIC_COUNTER,
            "prometheus_tsdb_wal_truncate_duration_seconds_sum",
            "Duration of WAL truncation.", NULL),
        .replay_seconds = selfmetrics_real(
            m, METRIC_GAUGE, "prometheus_tsdb_data_replay_duration_seconds",
            "Time taken to replay the data on disk.", NULL),
    };
#undef TSDB
#undef OURS
}

static void exemplars_page(struct selfmetrics_page *page, struct head *h)
{
    struct exemplars_sizes x = exemplars_sizes(&h->exemplars);

#define GAUGE(name, help, value)                                               \
    selfmetrics_emit(page, "prometheus_tsdb_exemplar_" name, METRIC_GAUGE,     \
                     help, NULL, (double)(value))
    GAUGE("exemplars_in_storage",
          "Number of exemplars currently in circular storage.", x.count);
    GAUGE("series_with_exemplars_in_storage",
          "Number of series with exemplars currently in circular storage.",
          x.series);
    GAUGE("last_exemplars_timestamp_seconds",
          "The timestamp of the oldest exemplar stored in circular storage.",
          x.count ? (double)x.oldest / 1000 : 0);
    GAUGE("max_exemplars",
          "Total number of exemplars the exemplar storage can store.", x.max);
#undef GAUGE
}

void head_metrics_page(struct selfmetrics_page *page, void *arg)
{
    struct head *h = arg;
    double mint = (double)atomic_load(&h->min_time);
    double maxt = (double)atomic_load(&h->max_time);

    if (mint > maxt)
        mint = maxt = 0;
#define GAUGE(name, help, value)                                               \
    selfmetrics_emit(page, "prometheus_tsdb_" name, METRIC_GAUGE, help, NULL,  \
                     (double)(value))
    GAUGE("head_series", "Total number of series in the head block.",
          atomic_load(&h->series_count));
    GAUGE("head_chunks", "Total number of chunks in the head block.",
          atomic_load(&h->chunk_count));
    GAUGE("head_min_time", "Minimum time bound of the head block.", mint);
    GAUGE("head_max_time", "Maximum timestamp of the head block.", maxt);
    GAUGE("head_min_time_seconds",
          "Minimum time bound of the head block in seconds.", mint / 1000);
    GAUGE("head_max_time_seconds",
          "Maximum timestamp of the head block in seconds.", maxt / 1000);
    GAUGE("symbol_table_size_bytes",
          "Size of symbol table in memory for loaded blocks",
          symtab_bytes(h->symbols));
#undef GAUGE
    exemplars_page(page, h);
}
