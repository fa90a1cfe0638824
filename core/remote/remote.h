/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote write. Sending (1.0): one queue per endpoint follows the write-ahead
 * log with a cursor that is saved, so that a restart goes on where the last
 * acknowledged batch ended. Receiving (1.0 and 2.0): a request becomes one
 * transaction of the store.
 */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include <sonde/base.h>

#include "config/schema.h"
#include "model/selfmetrics.h"
#include "net/net.h"
#include "pipeline/pipeline.h"
#include "storage/storage.h"
#include "wal/wal.h"

struct remote_queue_config {
    struct config_head head;
    int64_t capacity, max_shards, min_shards, max_samples_per_send;
    sonde_msec batch_send_deadline, min_backoff, max_backoff;
    bool retry_on_http_429;
    sonde_msec sample_age_limit;
};
struct remote_metadata_config {
    struct config_head head;
    bool send;
    sonde_msec send_interval;
    int64_t max_samples_per_send;
};
struct remote_write_config {
    struct config_head head;
    sonde_str url, name;
    sonde_msec remote_timeout;
    struct config_map headers;
    struct config_blocks write_relabel_configs; /* struct relabel_rule    */
    sonde_str protobuf_message;
    bool send_exemplars, send_native_histograms, round_robin_dns;
    struct remote_queue_config queue_config;
    struct remote_metadata_config metadata_config;
    struct http_client_config http;
};
extern const struct config_block_def remote_write_block;
/* Known, without effect; for blocks of other rooms that have it too. */
extern const struct config_block_def remote_sigv4_block;

struct remote_manager;
struct remote_deps {
    struct selfmetrics *metrics;
    struct storage *storage; /* to look labels up */
    struct wal *wal;
    const char *wal_dir;
    const char *state_dir; /* where cursors are saved, one file each    */
    sonde_msec flush_deadline_ms;
    /* Families known now, for metadata requests; may be NULL. Copies into
     * the arena. Called on the endpoints' threads. */
    void (*metadata)(void *arg, struct arena *a, struct metadata **out,
                     size_t *n);
    void *metadata_arg;
};
SONDE_NODISCARD sonde_code remote_manager_new(const struct remote_deps *deps,
                                              struct remote_manager **out,
                                              struct sonde_err *err);
/* Flushes for up to the flush deadline, saves the cursors. NULL is fine. The
 * store and the log must outlive it. */
void remote_manager_free(struct remote_manager *m);

/* Endpoints that did not change keep their queues; the others stop, which
 * takes as long as a request that is under way, but not longer than some
 * seconds, and go on where they were. An endpoint is known by its name and
 * URL; one that is new begins at the log's end. `owner` as in struct
 * scrape_jobs: each queue holds a reference. */
struct remote_endpoints {
    const struct remote_write_config *const *items;
    size_t count;
    const struct config_map *external_labels;
    void *owner;
    void (*ref)(void *owner);
    void (*unref)(void *owner);
};
SONDE_NODISCARD sonde_code remote_manager_apply(
    struct remote_manager *m, const struct remote_endpoints *endpoints,
    struct sonde_err *err);

/* The oldest log position some endpoint still needs, also after a restart by
 * kill; false if there is no endpoint. Thread-safe. For whoever deletes
 * segments. */
bool remote_manager_oldest(struct remote_manager *m, struct wal_position *out);
/* The time up to which all endpoints were sent samples; INT64_MIN: there are
 * no endpoints. Thread-safe. */
sonde_msec remote_manager_sent(struct remote_manager *m);

/* ---- receiving: receive.c ---------------------------------------------- */

/* Of a body, compressed and not; the route's limit. */
#define REMOTE_RECEIVE_BODY_MAX ((size_t)32 << 20)
/* Requests that wait for others to be worked on; each occupies a thread of
 * the server. */
#define REMOTE_RECEIVE_WAITING_MAX 24

struct remote_receiver;
struct remote_receiver_options {
    struct selfmetrics *metrics; /* may be NULL */
    struct storage *storage;
    struct sonde_list messages; /* protobuf names that are taken; empty: all */
    size_t cache_limit;         /* series; 0: the default                   */
};
SONDE_NODISCARD sonde_code
remote_receiver_new(const struct remote_receiver_options *options,
                    struct remote_receiver **out, struct sonde_err *err);
/* No request may be under way; before the store is closed. NULL is fine. */
void remote_receiver_free(struct remote_receiver *r);
/* Stores what a POSTed request holds and answers it. From any number of
 * threads; may wait. */
void remote_receiver_handle(struct remote_receiver *r, struct http_call *call);

/* ---- being read: read.c -------------------------------------------------- */

#define REMOTE_READ_BODY_MAX ((size_t)32 << 20) /* compressed and not      */

struct remote_reader;
struct remote_reader_options {
    struct selfmetrics *metrics; /* may be NULL */
    struct storage *storage;
    size_t concurrent;     /* requests at once; 0: 10                       */
    uint64_t sample_limit; /* of an answer that is not streamed; 0: 5e7    */
    size_t frame_bytes;    /* of a streamed one; 0: 1 MiB                   */
    /* Of the running configuration, sorted; may be NULL. */
    void (*external_labels)(void *arg, struct arena *a, struct labels *out);
    void *arg;
};
struct remote_reader *
remote_reader_new(const struct remote_reader_options *options);
/* No request may be under way. NULL is fine. */
void remote_reader_free(struct remote_reader *r);
/* Answers a POSTed read. From any number of threads; may wait. */
void remote_reader_handle(struct remote_reader *r, struct http_call *call);

#endif
