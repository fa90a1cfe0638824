/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row for each metric of an endpoint: registering and dropping walk the
 * same table.
 */
#include "remote/metrics.h"

#include <stddef.h>

#include "util/mem.h"

enum shape {
    COUNTER,
    GAUGE,
    SECONDS,      /* a counter of doubles                                 */
    SECONDS_GAUGE /* a point in time                                      */
};

struct row {
    size_t offset;
    const char *name, *help, *reason;
    enum shape shape;
};

#define STORAGE "prometheus_remote_storage_"
#define WATCHER "prometheus_wal_watcher_"
#define ROW(f, n, s, h)                                                        \
    {                                                                          \
        .offset = offsetof(struct remote_metrics, f), .name = (n),             \
        .shape = (s), .help = (h)                                              \
    }
#define DROPPED(f, r)                                                          \
    {                                                                          \
        .offset = offsetof(struct remote_metrics, f),                          \
        .name = STORAGE "samples_dropped_total", .shape = COUNTER,             \
        .help = "Total number of samples which were dropped after being read " \
                "from the WAL before being sent via remote write.",            \
        .reason = (r)                                                          \
    }

static const struct row rows[] = {
    ROW(samples, STORAGE "samples_total", COUNTER,
        "Total number of samples sent to remote storage."),
    ROW(samples_failed, STORAGE "samples_failed_total", COUNTER,
        "Total number of samples which failed on send to remote storage, "
        "non-recoverable errors."),
    ROW(samples_retried, STORAGE "samples_retried_total", COUNTER,
        "Total number of samples which failed on send to remote storage but "
        "were retried because the send error was recoverable."),
    DROPPED(dropped_relabel, "dropped_series"),
    DROPPED(dropped_unknown, "unintentionally_dropped_series"),
    DROPPED(dropped_old, "too_old"),
    ROW(metadata, STORAGE "metadata_total", COUNTER,
        "Total number of metadata entries sent to remote storage."),
    ROW(metadata_failed, STORAGE "metadata_failed_total", COUNTER,
        "Total number of metadata entries which failed on send to remote "
        "storage, non-recoverable errors."),
    ROW(metadata_retried, STORAGE "metadata_retried_total", COUNTER,
        "Total number of metadata entries which failed on send to remote "
        "storage but were retried because the send error was recoverable."),
    ROW(bytes, STORAGE "bytes_total", COUNTER,
        "The total number of bytes of data (not metadata) sent by the queue "
        "after compression."),
    ROW(metadata_bytes, STORAGE "metadata_bytes_total", COUNTER,
        "The total number of bytes of metadata sent by the queue after "
        "compression."),
    ROW(batches, STORAGE "sent_batch_duration_seconds_count", COUNTER,
        "Number of requests with samples that were answered."),
    ROW(batch_seconds, STORAGE "sent_batch_duration_seconds_sum", SECONDS,
        "Seconds that requests with samples took."),
    ROW(pending, STORAGE "samples_pending", GAUGE,
        "The number of samples pending in the queues shards to be sent to the "
        "remote storage."),
    ROW(highest_read, STORAGE "queue_highest_timestamp_seconds", SECONDS_GAUGE,
        "Highest timestamp that was read by this queue, in seconds since "
        "epoch."),
    ROW(highest_sent, STORAGE "queue_highest_sent_timestamp_seconds",
        SECONDS_GAUGE,
        "Timestamp from a WAL sample, the highest timestamp successfully sent "
        "by this queue, in seconds since epoch."),
    ROW(shards, STORAGE "shards", GAUGE,
        "The number of shards used for parallel sending to the remote "
        "storage."),
    ROW(shards_min, STORAGE "shards_min", GAUGE,
        "The minimum number of shards that the queue is allowed to run."),
    ROW(shards_max, STORAGE "shards_max", GAUGE,
        "The maximum number of shards that the queue is allowed to run."),
    ROW(shards_desired, STORAGE "shards_desired", GAUGE,
        "The number of shards that the queues shard calculation wants to run "
        "based on the rate of samples in vs. samples out."),
    ROW(shard_capacity, STORAGE "shard_capacity", GAUGE,
        "The capacity of each shard of the queue used for parallel sending to "
        "the remote storage."),
    ROW(batch_max, STORAGE "max_samples_per_send", GAUGE,
        "The maximum number of samples to be sent, in a single request, to "
        "the remote storage."),
    ROW(log_records, WATCHER "records_read_total", COUNTER,
        "Number of records read by the WAL watcher from the WAL."),
    ROW(log_failures, WATCHER "record_decode_failures_total", COUNTER,
        "Number of records read by the WAL watcher that resulted in an error "
        "when decoding, and stretches of the WAL that were damaged or gone."),
    ROW(log_segment, WATCHER "current_segment", GAUGE,
        "Current segment the WAL watcher is reading records from."),
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static char *row_labels(const struct row *row, const char *labels)
{
    struct buf b = { 0 };

    buf_cstr(&b, labels);
    if (row->reason)
        buf_printf(&b, ",reason=\"%s\"", row->reason);
    return buf_take(&b);
}

static struct metric *make(const struct row *row, struct selfmetrics *registry,
                           const char *labels)
{
    switch (row->shape) {
    case COUNTER:
        return selfmetrics_counter(registry, row->name, row->help, labels);
    case GAUGE:
        return selfmetrics_gauge(registry, row->name, row->help, labels);
    case SECONDS:
        return selfmetrics_real(registry, METRIC_COUNTER, row->name, row->help,
                                labels);
    case SECONDS_GAUGE:
        return selfmetrics_real(registry, METRIC_GAUGE, row->name, row->help,
                                labels);
    }
    SONDE_BUG("metric of shape %d", (int)row->shape);
}

void remote_metrics_init(struct remote_metrics *m, struct selfmetrics *registry,
                         const char *labels)
{
    for (size_t i = 0; i < ROWS; i++) {
        char *full = row_labels(&rows[i], labels);
        struct metric *metric = make(&rows[i], registry, full);

        memcpy((char *)m + rows[i].offset, &metric, sizeof(struct metric *));
        free(full);
    }
}

void remote_metrics_drop(struct selfmetrics *registry, const char *labels)
{
    for (size_t i = 0; registry && i < ROWS; i++) {
        char *full = row_labels(&rows[i], labels);

        selfmetrics_drop(registry, rows[i].name, full);
        free(full);
    }
}
