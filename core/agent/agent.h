/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the rooms together: start, reload, stop. The only place that sees
 * everything.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "api/api.h"
#include "net/net.h"
#include "util/arena.h"

/* What the command line says; borrowed for the agent's life. */
struct agent_options {
    const char *config_file;
    bool config_expand_env;
    const char *const *plugin_dirs;
    size_t plugin_dir_count;
    bool log_only; /* --agent                                 */
    const char *data_dir;
    bool wal_compression, wal_zstd;
    bool wal_always_sync;
    sonde_msec wal_sync_every_ms;
    int64_t wal_segment_bytes;
    sonde_msec flush_deadline_ms;
    const char *const *listen;
    size_t listen_count;
    const char *web_config_file;
    sonde_str external_url, route_prefix, cors_origin;
    bool lifecycle, admin;
    bool remote_receiver; /* take remote writes                              */
    int64_t read_concurrent, read_frame_bytes; /* remote read              */
    uint64_t read_samples;
    struct sonde_list remote_messages; /* protobuf messages that are taken   */
    int64_t max_connections;
    sonde_msec read_timeout_ms;
    sonde_msec lookback_ms, query_timeout_ms;
    int64_t query_max_concurrency, query_max_samples;
    unsigned promql_features; /* enum promql_feature */
    /* What the configuration's section `storage` does not say; neither: 15
     * days. */
    sonde_msec retention_ms;
    int64_t retention_bytes;
    sonde_msec min_block_ms, max_block_ms; /* 0: the store's defaults       */
    /* With log_only: how often the log is cut, what stays; 0: as above. */
    sonde_msec truncate_every_ms, keep_min_ms, keep_max_ms;
    bool no_lockfile;
    const struct api_flag *flags;
    size_t flag_count;
};

/* Runs until it is told to stop. Returns the process' exit code: 0, 1 for a
 * failure at run time, 2 for a bad configuration. Signals: SIGHUP reloads,
 * SIGTERM and SIGINT drain and stop, a second one stops at once. */
int agent_run(const struct agent_options *options);

#endif
