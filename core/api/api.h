/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP interface: Prometheus' API v1, lifecycle and pages. Knows the
 * store, PromQL and what agent/ hands it as ops; never scrape, tsdb or
 * remote themselves.
 */
#ifndef API_API_H
#define API_API_H

#include <sonde/base.h>

#include "model/labels.h"
#include "model/selfmetrics.h"
#include "net/net.h"
#include "storage/storage.h"
#include "util/arena.h"
#include "util/clock.h"

/* Targets as the pages show them (agent/ fills these from scrape's). */
struct api_target {
    sonde_str job, scrape_url, global_url, last_error;
    struct labels labels, discovered;
    const char *health; /* "up", "down", "unknown" */
    sonde_msec last_scrape;
    double last_scrape_seconds;
    sonde_msec interval, timeout;
};
struct api_dropped {
    sonde_str job;
    struct labels discovered;
};
struct api_pool {
    sonde_str job;
    size_t dropped;
};
struct api_targets {
    struct api_target *active;
    size_t active_count;
    struct api_dropped *dropped;
    size_t dropped_count;
    struct api_pool *pools;
    size_t pool_count;
};
struct api_metadata {
    struct metadata meta;
    const struct labels *target;
};
struct api_flag {
    const char *name;
    sonde_str value;
};

struct api_runtime {
    sonde_msec start_time, last_config_time;
    bool reload_success;
    sonde_str cwd, hostname, retention;
    uint64_t corruptions;
    size_t threads;
    /* of the store's head */
    size_t series, chunks, label_pairs;
    sonde_msec head_min, head_max;
    uint64_t wal_first, wal_last, wal_current; /* replay progress */
};

/* What the store's head has most of, descending. */
struct api_top {
    sonde_str name;
    uint64_t count;
};
struct api_top_list {
    struct api_top *items;
    size_t count;
};
enum api_top_kind {
    API_TOP_METRICS,      /* series by metric name                         */
    API_TOP_LABEL_VALUES, /* values by label name                          */
    API_TOP_LABEL_BYTES,
    API_TOP_PAIRS, /* series by "name=value"                        */
    API_TOPS
};

/* A block as its meta.json has it; times as API clients get them. */
struct api_block_parent {
    sonde_str ulid;
    sonde_msec min_time, max_time;
};
struct api_block {
    sonde_str ulid;
    sonde_msec min_time, max_time;
    uint64_t samples, float_samples, histogram_samples;
    uint64_t series, chunks, tombstones;
    int level;
    struct sonde_list sources, hints;
    struct api_block_parent *parents;
    size_t parent_count;
    bool deletable, failed;
};

/* One rule of a chain, and what it makes of labels. */
struct api_relabel_rule {
    struct sonde_list source_labels;
    sonde_str separator, regex, target_label, replacement, action;
    uint64_t modulus;
};
struct api_relabel_step {
    struct api_relabel_rule rule;
    struct labels output;
    bool keep;
};

/* What the rest of the agent does for the pages; all thread-safe, results in
 * the arena. A function that is NULL: that page answers that it is not
 * available. */
struct api_ops {
    void (*targets)(void *arg, struct arena *a, struct api_targets *out);
    void (*metadata)(void *arg, struct arena *a, struct api_metadata **out,
                     size_t *n);
    /* The running configuration as normalised YAML, secrets masked. */
    sonde_str (*config_yaml)(void *arg, struct arena *a);
    /* Of the running configuration, sorted. */
    void (*external_labels)(void *arg, struct arena *a, struct labels *out);
    /* Reloads and waits; the error is what a person reads. */
    sonde_code (*reload)(void *arg, struct sonde_err *err);
    /* Asks for termination; false if it was asked before. */
    bool (*quit)(void *arg);
    bool (*ready)(void *arg);
    bool (*stopping)(void *arg);
    void (*runtime)(void *arg, struct arena *a, struct api_runtime *out);
    /* At most `limit` of each kind. */
    void (*tops)(void *arg, size_t limit, struct arena *a,
                 struct api_top_list out[API_TOPS]);
    void (*blocks)(void *arg, struct arena *a, struct api_block **out,
                   size_t *n);
    /* The rules of a pool one by one; false: there is no such pool. */
    bool (*relabel_steps)(void *arg, sonde_str pool, const struct labels *l,
                          struct arena *a, struct api_relabel_step **out,
                          size_t *n);
    /* The store's administration; each waits until it is done. `with_head`:
     * what is not in a block yet too; the folder's name below snapshots/. */
    sonde_code (*snapshot)(void *arg, bool with_head, struct arena *a,
                           sonde_str *name, struct sonde_err *err);
    sonde_code (*delete_series)(void *arg, sonde_msec start, sonde_msec end,
                                const struct matcher *matchers, size_t n,
                                struct sonde_err *err);
    sonde_code (*clean_tombstones)(void *arg, struct sonde_err *err);
    /* Answers POST /api/v1/write; its body may have `receive_max_bytes`. NULL:
     * there is no such page. */
    void (*receive)(void *arg, struct http_call *call);
    size_t receive_max_bytes;
    /* Answers POST /api/v1/read; as above. */
    void (*read)(void *arg, struct http_call *call);
    size_t read_max_bytes;
    void *arg;
};

struct api_options {
    const struct clock *clock;
    struct selfmetrics *metrics;
    struct storage *storage;
    struct api_ops ops;
    const struct api_flag *flags; /* sorted by name; borrowed */
    size_t flag_count;
    bool lifecycle, admin, agent_mode;
    sonde_str external_url, route_prefix; /* "" or "/x" */
    sonde_str cors_origin;
    sonde_msec lookback_ms, query_timeout_ms;
    int64_t query_max_concurrency;
    size_t query_max_samples;   /* 0: the engine's default                 */
    sonde_msec default_step_ms; /* of subqueries; 0: a minute              */
    unsigned promql_features;   /* enum promql_feature                     */
};

struct api;
SONDE_NODISCARD sonde_code api_new(const struct api_options *options,
                                   struct api **out, struct sonde_err *err);
void api_free(struct api *api);
/* The store is there only after replay; until then handlers that need it
 * answer 503. */
void api_set_storage(struct api *api, struct storage *storage);
/* Queries are logged to this file from now on, opened anew even if it is the
 * same; NULL or empty: to none. */
SONDE_NODISCARD sonde_code api_set_query_log(struct api *api, const char *file,
                                             struct sonde_err *err);
/* How many requests read the store so far. */
uint64_t api_reads(const struct api *api);
/* The table for http_server_start; valid as long as `api`. */
const struct http_route *api_routes(const struct api *api, size_t *count);

#endif
