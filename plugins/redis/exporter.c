/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_exporter's flags and variables, for `sonde exporter redis`: a
 * container's image can be swapped and its arguments kept.
 */
#include <sonde/exporter.h>

#include "redis.h"

#define E(name) "REDIS_EXPORTER_" name

/* clang-format off */
#define OPTION(n, e, k, t, h)                                                 \
    { .name = (n), .env = (e), .kind = SONDE_OPT_KIND_##k,                    \
      .role = SONDE_FLAG_OPTION, .to = (t), .help = (h) }
#define PLAIN(n, e, k, r, f, h)                                               \
    { .name = (n), .env = (e), .kind = SONDE_OPT_KIND_##k,                    \
      .role = SONDE_FLAG_##r, .fallback = (f), .help = (h) }

static const struct sonde_flag flags[] = {
    { .name = "redis.addr", .env = "REDIS_ADDR", .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_ADDRESS, .fallback = "redis://localhost:6379",
      .help = "Address of the instance; empty: only /scrape is served" },
    OPTION("redis.user", "REDIS_USER", STR, "user", "ACL user"),
    OPTION("redis.password", "REDIS_PASSWORD", SECRET, "password",
           "Password of the instance"),
    OPTION("redis.password-file", "REDIS_PASSWORD_FILE", FILE,
           "password_file",
           "File with the password, or a JSON map of targets and passwords"),
    PLAIN("web.listen-address", E("WEB_LISTEN_ADDRESS"), STR, LISTEN, ":9121",
          "Address to listen on"),
    PLAIN("web.telemetry-path", E("WEB_TELEMETRY_PATH"), STR, METRICS_PATH,
          "/metrics", "Path of the metrics"),
    PLAIN("namespace", E("NAMESPACE"), STR, PREFIX, "redis",
          "What names of metrics begin with"),
    PLAIN("connection-timeout", E("CONNECTION_TIMEOUT"), DURATION, TIMEOUT,
          "15s", "Longest that a collection may take"),
    OPTION("is-cluster", E("IS_CLUSTER"), BOOL, "is_cluster",
           "Look for keys on all nodes of the cluster"),
    OPTION("config-command", E("CONFIG_COMMAND"), STR, "config_command",
           "Name of the CONFIG command; - does not ask"),
    OPTION("set-client-name", E("SET_CLIENT_NAME"), BOOL, "set_client_name",
           "Show up in CLIENT LIST by name"),

    OPTION("check-keys", E("CHECK_KEYS"), STR, "check_keys",
           "Keys and patterns of keys to look at"),
    OPTION("check-single-keys", E("CHECK_SINGLE_KEYS"), STR,
           "check_single_keys", "Keys to look at, never patterns"),
    OPTION("count-keys", E("COUNT_KEYS"), STR, "count_keys",
           "Patterns whose keys are counted"),
    OPTION("check-streams", E("CHECK_STREAMS"), STR, "check_streams",
           "Streams and patterns of streams to look at"),
    OPTION("check-single-streams", E("CHECK_SINGLE_STREAMS"), STR,
           "check_single_streams", "Streams to look at, never patterns"),
    OPTION("streams-exclude-consumer-metrics",
           E("STREAMS_EXCLUDE_CONSUMER_METRICS"), BOOL,
           "streams_exclude_consumer_metrics",
           "Leave out what is of single consumers"),
    OPTION("check-keys-batch-size", E("CHECK_KEYS_BATCH_SIZE"), INT,
           "check_keys_batch_size", "COUNT of SCAN"),
    OPTION("check-key-groups", E("CHECK_KEY_GROUPS"), STR, "check_key_groups",
           "Lua patterns that group keys"),
    OPTION("max-distinct-key-groups", E("MAX_DISTINCT_KEY_GROUPS"), INT,
           "max_distinct_key_groups",
           "Groups of a database; the rest is `overflow`"),
    OPTION("disable-exporting-key-values", E("DISABLE_EXPORTING_KEY_VALUES"),
           BOOL, "disable_exporting_key_values",
           "Leave out the values of strings"),
    OPTION("skip-checkkeys-for-role-master",
           E("SKIP_CHECKKEYS_FOR_ROLE_MASTER"), BOOL,
           "skip_checkkeys_for_role_master", "Look at keys on replicas only"),
    OPTION("script", E("SCRIPT"), STR, "script",
           "Files with Lua scripts, with commas between"),
    OPTION("lua-script-read-only", E("LUA_SCRIPT_READ_ONLY"), BOOL,
           "lua_script_read_only", "Run them with EVAL_RO"),

    OPTION("include-system-metrics", E("INCL_SYSTEM_METRICS"), BOOL,
           "include_system_metrics", "Add the machine's memory"),
    OPTION("include-config-metrics", E("INCL_CONFIG_METRICS"), BOOL,
           "include_config_metrics", "Add every setting"),
    OPTION("redact-config-metrics", E("REDACT_CONFIG_METRICS"), BOOL,
           "redact_config_metrics", "Leave passwords out of the settings"),
    OPTION("export-client-list", E("EXPORT_CLIENT_LIST"), BOOL,
           "export_client_list", "Add samples for each client"),
    OPTION("export-client-port", E("EXPORT_CLIENT_PORT"), BOOL,
           "export_client_port", "Add the client's port to its labels"),
    OPTION("exclude-latency-histogram-metrics",
           E("EXCLUDE_LATENCY_HISTOGRAM_METRICS"), BOOL,
           "exclude_latency_histogram_metrics",
           "Ask neither LATENCY LATEST nor LATENCY HISTOGRAM"),
    OPTION("include-modules-metrics", E("INCL_MODULES_METRICS"), BOOL,
           "include_modules_metrics", "Ask INFO MODULES too"),
    OPTION("include-search-indexes-metrics",
           E("INCL_SEARCH_INDEXES_METRICS"), BOOL,
           "include_search_indexes_metrics", "Ask FT.INFO of search indexes"),
    OPTION("check-search-indexes", E("CHECK_SEARCH_INDEXES"), STR,
           "check_search_indexes", "Which of them, a regular expression"),
    OPTION("include-sentinel-peer-info", E("INCL_SENTINEL_PEER_INFO"), BOOL,
           "include_sentinel_peer_info", "Add the other Sentinels"),
    OPTION("include-rdb-file-size-metric", E("INCL_RDB_FILE_SIZE_METRIC"),
           BOOL, "include_rdb_file_size_metric", "Size of the dump file"),
    OPTION("include-metrics-for-empty-databases",
           E("INCL_METRICS_FOR_EMPTY_DATABASES"), BOOL,
           "include_metrics_for_empty_databases",
           "Zeroes for databases without keys"),
    OPTION("append-instance-role-label", E("APPEND_INSTANCE_ROLE_LABEL"),
           BOOL, "append_instance_role_label", "Add the label instance_role"),
    OPTION("ping-on-connect", E("PING_ON_CONNECT"), BOOL, "ping_on_connect",
           "Measure a PING too"),
    OPTION("is-tile38", E("IS_TILE38"), BOOL, "is_tile38",
           "Ask Tile38's SERVER EXT"),
    PLAIN("redis-only-metrics", E("REDIS_ONLY_METRICS"), BOOL, UNUSED, NULL,
          "Without the exporter's own process: always so"),
    PLAIN("include-go-runtime-metrics", E("INCLUDE_GO_RUNTIME_METRICS"), BOOL,
          UNUSED, NULL, "There is no Go runtime"),

    PLAIN("skip-tls-verification", E("SKIP_TLS_VERIFICATION"), BOOL,
          TLS_INSECURE, NULL, "Do not verify the instance's certificate"),
    PLAIN("tls-server-name", E("TLS_SERVER_NAME"), STR, TLS_NAME, NULL,
          "Name to send and to verify"),
    PLAIN("tls-client-cert-file", E("TLS_CLIENT_CERT_FILE"), FILE, TLS_CERT,
          NULL, "Certificate for the instance"),
    PLAIN("tls-client-key-file", E("TLS_CLIENT_KEY_FILE"), FILE, TLS_KEY,
          NULL, "Key of that certificate"),
    PLAIN("tls-ca-cert-file", E("TLS_CA_CERT_FILE"), FILE, TLS_CA, NULL,
          "Authority of the instance's certificate"),
    PLAIN("tls-server-cert-file", E("TLS_SERVER_CERT_FILE"), FILE, VALUE,
          NULL, "Not taken: TLS of the pages comes from --web.config.file"),
    PLAIN("tls-server-key-file", E("TLS_SERVER_KEY_FILE"), FILE, VALUE, NULL,
          "Not taken: TLS of the pages comes from --web.config.file"),
    PLAIN("tls-server-ca-cert-file", E("TLS_SERVER_CA_CERT_FILE"), FILE,
          VALUE, NULL,
          "Not taken: TLS of the pages comes from --web.config.file"),
    PLAIN("tls-server-min-version", E("TLS_SERVER_MIN_VERSION"), STR, UNUSED,
          NULL, "TLS of the pages comes from --web.config.file"),
    PLAIN("web.config.file", NULL, FILE, WEB_CONFIG, NULL,
          "Prometheus' web configuration for the pages: TLS, users"),
    PLAIN("basic-auth-username", E("BASIC_AUTH_USERNAME"), STR, USER, NULL,
          "User of the pages"),
    PLAIN("basic-auth-password", E("BASIC_AUTH_PASSWORD"), SECRET, PASSWORD,
          NULL, "Password of that user"),
    PLAIN("basic-auth-hash-password", E("BASIC_AUTH_HASH_PASSWORD"), SECRET,
          PASSWORD_HASH, NULL, "Password of that user, as bcrypt"),
    PLAIN("disable-scrape-endpoint", E("DISABLE_SCRAPE_ENDPOINT"), BOOL,
          NO_TARGETS, NULL, "Do not serve /scrape"),
    PLAIN("cluster-discover-hostnames", E("CLUSTER_DISCOVER_HOSTNAMES"), BOOL,
          UNUSED, NULL, "/discover-cluster-nodes is not served"),
    PLAIN("debug", E("DEBUG"), BOOL, VALUE, NULL,
          "Not taken: see --log-level"),
    PLAIN("log-level", E("LOG_LEVEL"), STR, LOG_LEVEL, "INFO",
          "Least that is logged"),
    PLAIN("log-format", E("LOG_FORMAT"), STR, LOG_FORMAT, "txt",
          "txt or json"),
};
/* clang-format on */

/* TLS that was asked for and would silently not be there is an error. */
static sonde_code check(const struct sonde_flag_values *values,
                        struct sonde_err *err)
{
    static const char *const refused[] = { "tls-server-cert-file",
                                           "tls-server-key-file",
                                           "tls-server-ca-cert-file" };
    sonde_str value;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (values->get(values, refused[i], 0, &value) && value.len)
            return sonde_err_set(err, SONDE_EUNSUPPORTED,
                                 "--%s: give the certificate of the pages in "
                                 "a file for --web.config.file "
                                 "(tls_server_config)",
                                 refused[i]);
    }
    return SONDE_OK;
}

static const char *const target_params[] = {
    "check-keys",    "check-single-keys",    "count-keys",
    "check-streams", "check-single-streams", NULL,
};

const struct sonde_exporter redis_exporter = {
    .struct_size = sizeof(struct sonde_exporter),
    .name = "redis_exporter",
    .prefix = "redis_",
    SONDE_EXPORTER_FLAGS(flags),
    .target_path = "/scrape",
    .target_params = target_params,
    .scheme = "redis://",
    .target_label = NULL,
    .targets = check,
};
