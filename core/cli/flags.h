/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line flags as one table: name, kind, default, help, and what
 * becomes of them. Prometheus' names and defaults; --help, status/flags and
 * the documentation are printed from the table.
 */
#ifndef CLI_FLAGS_H
#define CLI_FLAGS_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "util/arena.h"
#include "util/buf.h"

struct flags {
    sonde_str config_file;
    bool config_expand_env;
    struct sonde_list listen_addresses;
    sonde_str web_config_file, external_url, route_prefix, cors_origin;
    bool lifecycle, admin_api, remote_write_receiver;
    struct sonde_list remote_messages;
    int64_t web_max_connections;
    sonde_msec web_read_timeout;
    sonde_str tsdb_path, agent_path;
    sonde_msec retention_time; /* 0: not set */
    int64_t retention_size;
    bool wal_compression, no_lockfile;
    sonde_str wal_compression_type;
    sonde_msec min_block_duration, max_block_duration; /* 0: not set         */
    sonde_msec truncate_frequency, keep_min_time, keep_max_time;
    sonde_str wal_sync; /* never, always, or a duration          */
    int64_t wal_segment_size;
    sonde_msec flush_deadline;
    int64_t read_concurrent, read_frame_bytes;
    sonde_str read_samples; /* a number, maybe with an exponent             */
    sonde_msec query_lookback, query_timeout;
    int64_t query_max_concurrency, query_max_samples;
    unsigned promql_features; /* enum promql_feature                       */
    bool agent;
    struct sonde_list enable_features;
    struct sonde_list plugin_paths;
    sonde_str log_level, log_format;
    bool help, version;
    /* All flags with their values as text, for status/flags. */
    struct {
        const char *name;
        sonde_str value;
    } * all;
    size_t all_count;
    struct sonde_list warnings; /* "--x has no effect: ..." */
};

/* Parses argv[1..]. Flags may be --name=value, --name value, --bool,
 * --no-bool; the last one wins, list flags add up. Errors name the flag and
 * the nearest known one. */
SONDE_NODISCARD sonde_code flags_parse(struct arena *a, int argc,
                                       char *const *argv, struct flags *out,
                                       struct sonde_err *err);
void flags_help(struct buf *b);
/* The flags' part of docs/configuration.md. */
void flags_document(struct buf *b);

#endif
