/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flags, as one table. Names and defaults are Prometheus'; where ours
 * differ, the help says so: the server listens on loopback unless told
 * otherwise, and the configuration file may be called sonde.yml.
 *
 * A flag of the last group has no effect here but is passed by unit files,
 * charts and operators in the wild; refusing it would break a drop-in
 * replacement, ignoring it in silence would lie. So it is taken, checked and
 * said to have no effect.
 */
#include "cli/flags_table.h"

#include <string.h>

#include "promql/promql.h"
#include "util/str.h"

#define FLAG(f, n, k, g, ...)                                                  \
    {                                                                          \
        .name = (n), .kind = (k), .group = (g),                                \
        .offset = offsetof(struct flags, f), __VA_ARGS__                       \
    }
#define NO_EFFECT(n, k, why, ...)                                              \
    {                                                                          \
        .name = (n), .kind = (k), .group = FLAG_NO_EFFECT, .offset = SIZE_MAX, \
        .help = (why), __VA_ARGS__                                             \
    }
#define AT_LEAST(n) .min = (n), .max = INT64_MAX

static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const compressions[] = { "snappy", "zstd", NULL };
static const char *const formats[] = { "logfmt", "json", NULL };

#define NOT_YET_RULES  "rules are not evaluated yet"
#define NOT_YET_ALERTS "alerts are not sent yet"
#define NOT_YET_BLOCKS "the store has no such knob"
#define ALWAYS_OVERLAP "blocks may always overlap, and are merged"
#define NO_CONSOLES    "there are no console templates"
#define NO_GO          "there is no Go runtime"
#define NO_PAGES       "the pages' files and titles are fixed"
#define FIXED_SCRAPE   "scrapes are always aligned like this"

const struct flag flag_rows[] = {
    FLAG(help, "help", FLAG_BOOL, FLAG_GENERAL, .letter = 'h',
         .help = "Show this help"),
    FLAG(version, "version", FLAG_BOOL, FLAG_GENERAL,
         .help = "Show the version"),
    FLAG(config_file, "config.file", FLAG_STR, FLAG_GENERAL,
         .help = "Configuration file; without this flag sonde.yml if it is "
                 "there, else prometheus.yml"),
    FLAG(config_expand_env, "config.expand-env", FLAG_BOOL, FLAG_GENERAL,
         .help = "Expand ${NAME} in configuration values by the environment; "
                 "$$ is a dollar sign"),
    FLAG(agent, "agent", FLAG_BOOL, FLAG_GENERAL,
         .help = "Run as an agent: collect and send on, without a store"),
    FLAG(enable_features, "enable-feature", FLAG_LIST, FLAG_GENERAL,
         .help = "Features to enable, separated by commas; may be repeated"),
    FLAG(plugin_paths, "plugin.path", FLAG_LIST, FLAG_GENERAL,
         .help = "Folder with plugins; may be repeated, instead of the "
                 "installed one"),

    FLAG(listen_addresses, "web.listen-address", FLAG_LIST, FLAG_WEB,
         .fallback = "127.0.0.1:9090",
         .help = "Address to listen on, host:port or :port; may be repeated"),
    FLAG(web_config_file, "web.config.file", FLAG_STR, FLAG_WEB,
         .help = "File that sets up TLS and authentication"),
    FLAG(external_url, "web.external-url", FLAG_STR, FLAG_WEB,
         .help = "URL under which others reach this server"),
    FLAG(route_prefix, "web.route-prefix", FLAG_STR, FLAG_WEB,
         .help = "Prefix of all paths; the path of --web.external-url "
                 "without this flag"),
    FLAG(cors_origin, "web.cors.origin", FLAG_STR, FLAG_WEB, .fallback = ".*",
         .help = "Anchored regular expression of origins that browsers may "
                 "call from"),
    FLAG(lifecycle, "web.enable-lifecycle", FLAG_BOOL, FLAG_WEB,
         .help = "Reload and quit by HTTP request"),
    FLAG(admin_api, "web.enable-admin-api", FLAG_BOOL, FLAG_WEB,
         .help = "Serve the API's administrative part: delete series, clean "
                 "up, make snapshots"),
    FLAG(remote_write_receiver, "web.enable-remote-write-receiver", FLAG_BOOL,
         FLAG_WEB, .help = "Accept remote writes at /api/v1/write"),
    FLAG(remote_messages,
         "web.remote-write-receiver.accepted-protobuf-messages", FLAG_LIST,
         FLAG_WEB,
         .help = "Protobuf messages that the receiver takes: "
                 "prometheus.WriteRequest, io.prometheus.write.v2.Request; "
                 "without this flag both"),
    FLAG(web_max_connections, "web.max-connections", FLAG_INT, FLAG_WEB,
         .fallback = "512", .min = 1, .max = 1000000,
         .help = "Most connections at once, over all addresses"),
    FLAG(web_read_timeout, "web.read-timeout", FLAG_DURATION, FLAG_WEB,
         .fallback = "5m", AT_LEAST(1),
         .help = "How long a request may take to arrive, and a connection "
                 "may idle"),

    FLAG(tsdb_path, "storage.tsdb.path", FLAG_STR, FLAG_STORAGE,
         .mode = FLAG_SERVER, .fallback = "data/",
         .help = "Folder of the store"),
    FLAG(retention_time, "storage.tsdb.retention.time", FLAG_DURATION,
         FLAG_STORAGE, .mode = FLAG_SERVER,
         .help = "How long to keep samples, counted from the newest; 15d if "
                 "neither this nor the size is given. The configuration file "
                 "may say otherwise"),
    FLAG(retention_size, "storage.tsdb.retention.size", FLAG_SIZE, FLAG_STORAGE,
         .mode = FLAG_SERVER,
         .help = "Most bytes to keep, with a unit: 512MB, 10GB (powers of 2)"),
    FLAG(min_block_duration, "storage.tsdb.min-block-duration", FLAG_DURATION,
         FLAG_STORAGE, .mode = FLAG_SERVER, .fallback = "2h", AT_LEAST(1),
         .help = "Time span of the blocks that are made first; for testing"),
    FLAG(max_block_duration, "storage.tsdb.max-block-duration", FLAG_DURATION,
         FLAG_STORAGE, .mode = FLAG_SERVER,
         .help = "Longest time span of a block; without this flag a tenth of "
                 "the retention, at most 31d"),
    FLAG(no_lockfile, "storage.tsdb.no-lockfile", FLAG_BOOL, FLAG_STORAGE,
         .mode = FLAG_SERVER, .help = "Do not lock the folder of the store"),
    FLAG(wal_compression, "storage.tsdb.wal-compression", FLAG_BOOL,
         FLAG_STORAGE, .mode = FLAG_SERVER, .fallback = "true",
         .help = "Compress the write-ahead log"),
    FLAG(wal_compression_type, "storage.tsdb.wal-compression-type", FLAG_CHOICE,
         FLAG_STORAGE, .mode = FLAG_SERVER, .fallback = "snappy",
         .choices = compressions, .help = "How the log is compressed"),
    FLAG(wal_segment_size, "storage.tsdb.wal-segment-size", FLAG_SIZE,
         FLAG_STORAGE, .mode = FLAG_SERVER, .fallback = "128MB",
         .min = 10 << 20, .max = 256 << 20,
         .help = "Size of the log's segments, 10MB to 256MB"),
    FLAG(agent_path, "storage.agent.path", FLAG_STR, FLAG_STORAGE,
         .mode = FLAG_AGENT, .fallback = "data-agent/",
         .help = "Folder of the agent's log"),
    FLAG(wal_compression, "storage.agent.wal-compression", FLAG_BOOL,
         FLAG_STORAGE, .mode = FLAG_AGENT, .fallback = "true",
         .help = "Compress the agent's log"),
    FLAG(wal_segment_size, "storage.agent.wal-segment-size", FLAG_SIZE,
         FLAG_STORAGE, .mode = FLAG_AGENT, .fallback = "128MB", .min = 10 << 20,
         .max = 256 << 20, .help = "Size of the log's segments, 10MB to 256MB"),
    FLAG(wal_compression_type, "storage.agent.wal-compression-type",
         FLAG_CHOICE, FLAG_STORAGE, .mode = FLAG_AGENT, .fallback = "snappy",
         .choices = compressions, .help = "How the log is compressed"),
    FLAG(truncate_frequency, "storage.agent.wal-truncate-frequency",
         FLAG_DURATION, FLAG_STORAGE, .mode = FLAG_AGENT, .fallback = "2h",
         AT_LEAST(1), .help = "How often to cut the log"),
    FLAG(keep_min_time, "storage.agent.retention.min-time", FLAG_DURATION,
         FLAG_STORAGE, .mode = FLAG_AGENT, .fallback = "5m",
         .help = "How long series stay in the log that have no more samples"),
    FLAG(keep_max_time, "storage.agent.retention.max-time", FLAG_DURATION,
         FLAG_STORAGE, .mode = FLAG_AGENT, .fallback = "4h",
         .help = "The same when samples could not be sent; segments that an "
                 "endpoint needs stay in any case"),
    FLAG(no_lockfile, "storage.agent.no-lockfile", FLAG_BOOL, FLAG_STORAGE,
         .mode = FLAG_AGENT, .help = "Do not lock the folder of the log"),
    FLAG(wal_sync, "storage.wal-sync", FLAG_STR, FLAG_STORAGE, .fallback = "1s",
         .help = "When to fsync the log: never, always, or every so often "
                 "(100ms, 1s). Samples survive a kill of the process in any "
                 "case; a power loss costs at most what this says"),
    FLAG(flush_deadline, "storage.remote.flush-deadline", FLAG_DURATION,
         FLAG_STORAGE, .fallback = "1m",
         .help = "How long to go on sending when stopping"),
    FLAG(read_concurrent, "storage.remote.read-concurrent-limit", FLAG_INT,
         FLAG_STORAGE, .fallback = "10", AT_LEAST(1), .mode = FLAG_SERVER,
         .help = "Remote reads that are answered at once; others wait"),
    FLAG(read_frame_bytes, "storage.remote.read-max-bytes-in-frame", FLAG_INT,
         FLAG_STORAGE, .fallback = "1048576", AT_LEAST(1), .mode = FLAG_SERVER,
         .help = "About so many bytes a frame of a streamed remote read"),
    FLAG(read_samples, "storage.remote.read-sample-limit", FLAG_STR,
         FLAG_STORAGE, .fallback = "5e7", .mode = FLAG_SERVER,
         .help = "Samples of a remote read that is not streamed; 0: no limit"),

    FLAG(query_lookback, "query.lookback-delta", FLAG_DURATION, FLAG_QUERY,
         .mode = FLAG_SERVER, .fallback = "5m", AT_LEAST(1),
         .help = "How far back an instant looks for a sample"),
    FLAG(query_timeout, "query.timeout", FLAG_DURATION, FLAG_QUERY,
         .mode = FLAG_SERVER, .fallback = "2m", AT_LEAST(1),
         .help = "How long a query may take"),
    FLAG(query_max_concurrency, "query.max-concurrency", FLAG_INT, FLAG_QUERY,
         .mode = FLAG_SERVER, .fallback = "20", .min = 1, .max = 100000,
         .help = "Most queries at once"),
    FLAG(query_max_samples, "query.max-samples", FLAG_INT, FLAG_QUERY,
         .mode = FLAG_SERVER, .fallback = "50000000", AT_LEAST(1),
         .help = "Most samples that a query may hold in memory at once"),

    FLAG(log_level, "log.level", FLAG_CHOICE, FLAG_LOG, .fallback = "info",
         .choices = levels, .help = "Lowest level to log"),
    FLAG(log_format, "log.format", FLAG_CHOICE, FLAG_LOG, .fallback = "logfmt",
         .choices = formats, .help = "Form of the log"),

    NO_EFFECT("alertmanager.drain-notification-queue-on-shutdown", FLAG_BOOL,
              NOT_YET_ALERTS, .fallback = "true", .mode = FLAG_SERVER),
    NO_EFFECT("alertmanager.notification-batch-size", FLAG_INT, NOT_YET_ALERTS,
              .fallback = "256", .mode = FLAG_SERVER),
    NO_EFFECT("alertmanager.notification-queue-capacity", FLAG_INT,
              NOT_YET_ALERTS, .fallback = "10000", .mode = FLAG_SERVER),
    NO_EFFECT("alertmanager.timeout", FLAG_DURATION, NOT_YET_ALERTS,
              .mode = FLAG_SERVER),
    NO_EFFECT("auto-gomaxprocs", FLAG_BOOL, NO_GO, .fallback = "true"),
    NO_EFFECT("auto-gomemlimit", FLAG_BOOL, NO_GO, .fallback = "true"),
    NO_EFFECT("auto-gomemlimit.ratio", FLAG_STR, NO_GO, .fallback = "0.9"),
    NO_EFFECT("config.auto-reload-interval", FLAG_DURATION,
              "a reload takes a signal or a request", .fallback = "30s"),
    NO_EFFECT("rules.alert.for-grace-period", FLAG_DURATION, NOT_YET_RULES,
              .fallback = "10m", .mode = FLAG_SERVER),
    NO_EFFECT("rules.alert.for-outage-tolerance", FLAG_DURATION, NOT_YET_RULES,
              .fallback = "1h", .mode = FLAG_SERVER),
    NO_EFFECT("rules.alert.resend-delay", FLAG_DURATION, NOT_YET_RULES,
              .fallback = "1m", .mode = FLAG_SERVER),
    NO_EFFECT("rules.max-concurrent-evals", FLAG_INT, NOT_YET_RULES,
              .fallback = "4", .mode = FLAG_SERVER),
    NO_EFFECT("scrape.adjust-timestamps", FLAG_BOOL, FIXED_SCRAPE,
              .fallback = "true"),
    NO_EFFECT("scrape.discovery-reload-interval", FLAG_DURATION,
              "targets are taken over as they are found", .fallback = "5s"),
    NO_EFFECT("scrape.name-escaping-scheme", FLAG_STR, "names are not escaped",
              .fallback = "values"),
    NO_EFFECT("scrape.timestamp-tolerance", FLAG_DURATION, FIXED_SCRAPE,
              .fallback = "2ms"),
    NO_EFFECT("storage.tsdb.allow-overlapping-blocks", FLAG_BOOL,
              ALWAYS_OVERLAP, .fallback = "true", .mode = FLAG_SERVER),
    NO_EFFECT("storage.tsdb.allow-overlapping-compaction", FLAG_BOOL,
              ALWAYS_OVERLAP, .fallback = "true", .mode = FLAG_SERVER),
    NO_EFFECT("storage.tsdb.delayed-compaction.max-percent", FLAG_INT,
              NOT_YET_BLOCKS, .fallback = "10", .mode = FLAG_SERVER),
    NO_EFFECT("storage.tsdb.head-chunks-write-queue-size", FLAG_INT,
              NOT_YET_BLOCKS, .fallback = "0", .mode = FLAG_SERVER),
    NO_EFFECT("storage.tsdb.max-block-chunk-segment-size", FLAG_SIZE,
              NOT_YET_BLOCKS, .mode = FLAG_SERVER),
    NO_EFFECT("storage.tsdb.samples-per-chunk", FLAG_INT, NOT_YET_BLOCKS,
              .fallback = "120", .mode = FLAG_SERVER),
    NO_EFFECT("web.console.libraries", FLAG_STR, NO_CONSOLES,
              .fallback = "console_libraries"),
    NO_EFFECT("web.console.templates", FLAG_STR, NO_CONSOLES,
              .fallback = "consoles"),
    NO_EFFECT("web.local-assets", FLAG_STR, NO_PAGES),
    NO_EFFECT("web.max-notifications-subscribers", FLAG_INT,
              "there are no live notifications", .fallback = "16"),
    NO_EFFECT("web.page-title", FLAG_STR, NO_PAGES),
    NO_EFFECT("web.user-assets", FLAG_STR, NO_PAGES),
};
const size_t flag_count = sizeof(flag_rows) / sizeof(flag_rows[0]);

const char *flag_group_title(enum flag_group group)
{
    static const char *const titles[FLAG_GROUPS] = {
        [FLAG_GENERAL] = "General",
        [FLAG_WEB] = "Web",
        [FLAG_STORAGE] = "Storage",
        [FLAG_QUERY] = "Queries",
        [FLAG_LOG] = "Log",
        [FLAG_NO_EFFECT] = "Accepted, without effect",
    };

    return titles[group];
}

unsigned feature_of_promql(sonde_str name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } features[] = {
        { "promql-binop-fill-modifiers", PROMQL_BINOP_FILL },
        { "promql-delayed-name-removal", PROMQL_DELAYED_NAME_REMOVAL },
        { "promql-experimental-functions", PROMQL_EXPERIMENTAL_FUNCTIONS },
        { "promql-extended-range-selectors", PROMQL_EXTENDED_RANGES },
        { "promql-per-step-stats", PROMQL_PER_STEP_STATS },
        { "type-and-unit-labels", PROMQL_TYPE_AND_UNIT },
    };

    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        if (str_eq_cstr(name, features[i].name))
            return features[i].bit;
    return 0;
}

bool feature_has_effect(sonde_str name, const char **why)
{
    static const char *const effective[] = { "agent", "extra-scrape-metrics",
                                             "remote-write-receiver" };
    static const char *const always[] = {
        "exemplar-storage",
        "expand-external-labels",
        "memory-snapshot-on-shutdown",
        "native-histograms",
        "new-service-discovery-manager",
        "no-default-scrape-port",
        "promql-at-modifier",
        "promql-duration-expr",
        "promql-negative-offset",
    };

    if (feature_of_promql(name))
        return true;
    for (size_t i = 0; i < sizeof(effective) / sizeof(effective[0]); i++)
        if (str_eq_cstr(name, effective[i]))
            return true;
    *why = "no such feature here";
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        if (str_eq_cstr(name, always[i]))
            *why = "it is always on";
    return false;
}
