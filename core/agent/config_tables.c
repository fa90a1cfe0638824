/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of the configuration: every section that Prometheus 3 has, in the
 * order in which it prints them. The blocks of other rooms are theirs; here
 * are `global`, `storage`, and the tables of what no room implements yet
 * (alerting, tracing, remote_read, otlp, runtime): checked to the last key,
 * with one warning each.
 */
#include "agent/config_tables.h"

#include <stdlib.h>
#include <string.h>

#include "discovery/discovery.h"
#include "net/net.h"
#include "pipeline/pipeline.h"
#include "remote/remote.h"
#include "scrape/scrape.h"
#include "util/arena.h"
#include "util/str.h"

#define EXEMPLARS_DEFAULT_TEXT "100000" /* EXEMPLARS_DEFAULT, as written */
#define LIMIT                  .min = 0, .max = INT64_MAX
#define CHECKED(n, k, ...)     CONFIG_ROW_CHECKED(n, k, __VA_ARGS__)

/* A block whose only field that is looked at is its HTTP client. */
struct with_http {
    struct config_head head;
    struct http_client_config http;
};

static sonde_code check_http(struct config_ctx *ctx, void *block,
                             struct sonde_err *err)
{
    struct with_http *w = block;

    return http_client_check(ctx, &w->http, w->head.node, err);
}

/* ---- global ------------------------------------------------------------ */

/* $NAME and ${NAME} as Go's os.Expand reads them; `*end` is behind it. */
static sonde_str go_variable(sonde_str s, size_t i, size_t *end)
{
    size_t from = i + 1, to;

    if (from < s.len && s.ptr[from] == '{') {
        sonde_str rest = str_sub(s, from + 1, s.len);

        to = from + 1 + str_index(rest, '}');
        *end = to < s.len ? to + 1 : s.len;
        return str_sub(s, from + 1, to);
    }
    if (from < s.len && s.ptr[from] == '$') {
        *end = from + 1;
        return str_sub(s, from, from + 1);
    }
    for (to = from; to < s.len; to++) {
        char c = s.ptr[to];

        if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9')))
            break;
    }
    *end = to;
    return str_sub(s, from, to);
}

static void put_variable(struct config_ctx *ctx, const struct yaml_node *at,
                         sonde_str name, struct buf *b)
{
    const char *value;

    if (name.len == 0 || str_eq_cstr(name, "$")) {
        buf_char(b, '$');
        return;
    }
    value = getenv(arena_cstr(ctx->arena, name));
    if (!value || !*value)
        config_warn(ctx, at,
                    "external_labels: environment variable \"%.*s\" is empty",
                    SONDE_ARG(str_sub(name, 0, 64)));
    if (value)
        buf_cstr(b, value);
}

static sonde_str expand_label(struct config_ctx *ctx,
                              const struct config_pair *pair)
{
    sonde_str s = pair->values.items[0], out;
    struct buf b;

    if (str_index(s, '$') == s.len)
        return s;
    buf_init(&b);
    for (size_t i = 0; i < s.len;) {
        if (s.ptr[i] == '$')
            put_variable(ctx, pair->node, go_variable(s, i, &i), &b);
        else
            buf_char(&b, s.ptr[i++]);
    }
    out = arena_str(ctx->arena, buf_str(&b));
    buf_fini(&b);
    return out;
}

static sonde_code check_external_labels(struct config_ctx *ctx,
                                        struct config_map *labels,
                                        struct sonde_err *err)
{
    for (size_t i = 0; i < labels->count; i++) {
        struct config_pair *pair = &labels->items[i];
        sonde_str *value = arena_new(ctx->arena, sonde_str);

        if (pair->key.len == 0 || str_eq_cstr(pair->key, LABEL_NAME))
            return yaml_error(pair->node, err,
                              "external_labels: \"%.*s\" can not be the name "
                              "of an external label",
                              SONDE_ARG(pair->key));
        *value = expand_label(ctx, pair);
        if (!str_is_utf8(*value))
            return yaml_error(pair->node, err,
                              "external_labels: the value of \"%.*s\" is not "
                              "valid UTF-8",
                              SONDE_ARG(str_sub(pair->key, 0, 64)));
        pair->values = (struct sonde_list){ value, 1 };
    }
    return SONDE_OK;
}

static bool is_given(const struct yaml_node *block, const char *key)
{
    const struct yaml_node *n = yaml_get(block, key);

    return n && n->kind != YAML_NULL;
}

/* As in Prometheus, 0 is the default, and a timeout that was not given
 * shrinks to a shorter interval. */
static sonde_code check_global(struct config_ctx *ctx, void *block,
                               struct sonde_err *err)
{
    struct global_config *g = block;
    sonde_code rc;

    if (g->scrape_interval == 0)
        g->scrape_interval = 60000;
    if (g->evaluation_interval == 0)
        g->evaluation_interval = 60000;
    if (!is_given(g->head.node, "scrape_timeout") || g->scrape_timeout == 0)
        g->scrape_timeout =
            g->scrape_interval < 10000 ? g->scrape_interval : 10000;
    if (g->scrape_timeout > g->scrape_interval)
        return yaml_error(yaml_get(g->head.node, "scrape_timeout"), err,
                          "scrape_timeout is longer than scrape_interval");
    rc = scrape_protocols_check(g->head.node, &g->scrape_protocols, err);
    if (rc != SONDE_OK)
        return rc;
    return check_external_labels(ctx, &g->external_labels, err);
}

static const char *const validation_schemes[] = { "", "utf8", "legacy", NULL };
static const char *const escaping_schemes[] = { "allow-utf-8", "underscores",
                                                "dots", "values", NULL };

static const struct config_key global_rows[] = {
    CONFIG_ROW_DURATION(struct global_config, scrape_interval, .fallback = "1m",
                        .help = "How often to scrape"),
    CONFIG_ROW_DURATION(struct global_config, scrape_timeout, .fallback = "10s",
                        .help = "How long a scrape may take; not above the "
                                "interval"),
    CONFIG_ROW_STR_LIST(struct global_config, scrape_protocols,
                        .fallback = "[OpenMetricsText1.0.0, "
                                    "OpenMetricsText0.0.1, "
                                    "PrometheusText1.0.0, "
                                    "PrometheusText0.0.4]",
                        .help = "Formats to ask for, the best first"),
    CONFIG_ROW_DURATION(struct global_config, evaluation_interval,
                        .fallback = "1m",
                        .help = "How often to evaluate rules"),
    CONFIG_ROW_UNUSED_AS("rule_query_offset", CONFIG_DURATION,
                         .help = "How far in the past rules are evaluated"),
    CONFIG_ROW_STR_MAP(struct global_config, external_labels,
                       .flags = CONFIG_RAW,
                       .help = "Labels added to what leaves this agent; $NAME "
                               "and ${NAME} are environment variables"),
    CONFIG_ROW_PATH(struct global_config, query_log_file,
                    .help = "File to log queries to, opened anew at each "
                            "reload"),
    CONFIG_ROW_UNUSED_AS("scrape_failure_log_file", CONFIG_PATH,
                         .help = "File to log failed scrapes to"),
    CONFIG_ROW_SIZE(struct global_config, body_size_limit,
                    .help = "Default of the jobs; 0: no limit"),
    CONFIG_ROW_INT(struct global_config, sample_limit, LIMIT,
                   .help = "Default of the jobs; 0: no limit"),
    CONFIG_ROW_INT(struct global_config, target_limit, LIMIT,
                   .help = "Default of the jobs; 0: no limit"),
    CONFIG_ROW_INT(struct global_config, label_limit, LIMIT,
                   .help = "Default of the jobs; 0: no limit"),
    CONFIG_ROW_INT(struct global_config, label_name_length_limit, LIMIT,
                   .help = "Default of the jobs; 0: no limit"),
    CONFIG_ROW_INT(struct global_config, label_value_length_limit, LIMIT,
                   .help = "Default of the jobs; 0: no limit"),
    CONFIG_ROW_INT(struct global_config, keep_dropped_targets, LIMIT,
                   .help = "Default of the jobs; 0: no limit"),
    CONFIG_ROW_ENUM(struct global_config, metric_name_validation_scheme,
                    .choices = validation_schemes,
                    .help = "Which metric and label names are valid; utf8 if "
                            "not given"),
    CONFIG_ROW_UNUSED_AS("metric_name_escaping_scheme", CONFIG_ENUM,
                         .choices = escaping_schemes,
                         .help = "How targets are asked to escape names"),
    CONFIG_ROW_UNUSED_AS("scrape_native_histograms", CONFIG_BOOL,
                         .help = "Default of the jobs"),
    CONFIG_ROW_UNUSED_AS("always_scrape_classic_histograms", CONFIG_BOOL,
                         .help = "Default of the jobs"),
    CONFIG_ROW_UNUSED_AS("convert_classic_histograms_to_nhcb", CONFIG_BOOL,
                         .help = "Default of the jobs"),
    CONFIG_ROW_UNUSED_AS("extra_scrape_metrics", CONFIG_BOOL,
                         .help = "Default of the jobs"),
};
static const struct config_block_def global_block =
    CONFIG_BLOCK_DEF("global", struct global_config, global_rows, check_global,
                     "What jobs inherit, and the labels of this agent");

/* ---- alerting ---------------------------------------------------------- */

static const char *const am_versions[] = { "v2", NULL };
static const char *const http_schemes[] = { "http", "https", NULL };

static const struct config_key alertmanager_rows[] = {
    HTTP_CLIENT_ROWS(struct with_http, http),
    CHECKED("scheme", CONFIG_ENUM, .choices = http_schemes, .fallback = "http"),
    CHECKED("path_prefix", CONFIG_STR, .help = "Prefix of the path"),
    CHECKED("timeout", CONFIG_DURATION, .fallback = "10s",
            .help = "How long a request may take"),
    CHECKED("api_version", CONFIG_ENUM, .choices = am_versions,
            .fallback = "v2"),
    CHECKED("sigv4", CONFIG_BLOCK, .block = &remote_sigv4_block),
    CHECKED("relabel_configs", CONFIG_BLOCK_LIST, .block = &relabel_block),
    CHECKED("alert_relabel_configs", CONFIG_BLOCK_LIST,
            .block = &relabel_block),
    DISCOVERY_UNUSED_ROWS,
    CHECKED("file_sd_configs", CONFIG_BLOCK_LIST,
            .block = &file_sd_config_block),
    CHECKED("static_configs", CONFIG_BLOCK_LIST, .block = &static_config_block),
};
static const struct config_block_def alertmanager_block =
    CONFIG_BLOCK_DEF("alertmanager", struct with_http, alertmanager_rows,
                     check_http, "An Alertmanager, or several found alike");

static const struct config_key alerting_rows[] = {
    CHECKED("alert_relabel_configs", CONFIG_BLOCK_LIST, .block = &relabel_block,
            .help = "Relabeling of alerts"),
    CHECKED("alertmanagers", CONFIG_BLOCK_LIST, .block = &alertmanager_block,
            .help = "Where alerts go"),
};
static const struct config_block_def alerting_block = CONFIG_BLOCK_DEF(
    "alerting", struct config_head, alerting_rows, NULL, "Alertmanagers");

/* ---- storage ----------------------------------------------------------- */

static sonde_code check_retention(struct config_ctx *ctx, void *block,
                                  struct sonde_err *err)
{
    const struct retention_config *r = block;

    (void)ctx;
    if (r->percentage >= 0 && r->percentage <= 100)
        return SONDE_OK;
    return yaml_error(yaml_get(r->head.node, "percentage"), err,
                      "percentage is not between 0 and 100");
}

static const struct config_key retention_rows[] = {
    CONFIG_ROW_DURATION(struct retention_config, time,
                        .help = "How long to keep samples, counted from the "
                                "newest; instead of the flag"),
    CONFIG_ROW_SIZE(struct retention_config, size,
                    .help = "Most bytes to keep; instead of the flag"),
    CONFIG_ROW_FLOAT(struct retention_config, percentage,
                     .help = "Most of the disk to use, 0 to 100"),
};
static const struct config_block_def retention_block =
    CONFIG_BLOCK_DEF("retention", struct retention_config, retention_rows,
                     check_retention, "How long to keep samples");
static const struct config_key tsdb_rows[] = {
    CONFIG_ROW_DURATION(struct tsdb_config, out_of_order_time_window,
                        .help = "How much older than the newest a sample may "
                                "be that comes late"),
    CONFIG_ROW_UNUSED_AS("stale_series_compaction_threshold", CONFIG_FLOAT),
    CONFIG_ROW_BLOCK(struct tsdb_config, retention, struct retention_config *,
                     &retention_block, .help = "How long to keep samples"),
};
static const struct config_block_def tsdb_block = CONFIG_BLOCK_DEF(
    "tsdb", struct tsdb_config, tsdb_rows, NULL, "The local store");
static const struct config_key exemplars_rows[] = {
    CONFIG_ROW_INT(struct exemplars_config, max_exemplars, LIMIT,
                   .fallback = EXEMPLARS_DEFAULT_TEXT,
                   .help = "Exemplars to keep, of all series; 0: none"),
};
static const struct config_block_def exemplars_block =
    CONFIG_BLOCK_DEF("exemplars", struct exemplars_config, exemplars_rows, NULL,
                     "Storage of exemplars");
static const struct config_key storage_rows[] = {
    CONFIG_ROW_BLOCK(struct storage_config, tsdb, struct tsdb_config *,
                     &tsdb_block, .help = "The local store"),
    CONFIG_ROW_BLOCK(struct storage_config, exemplars,
                     struct exemplars_config *, &exemplars_block,
                     .help = "Storage of exemplars"),
};
static const struct config_block_def storage_block =
    CONFIG_BLOCK_DEF("storage", struct storage_config, storage_rows, NULL,
                     "The local store, as far as a reload may change it");

/* ---- tracing, remote_read, otlp, runtime -------------------------------- */

static const char *const trace_clients[] = { "grpc", "http", NULL };
static const char *const trace_compressions[] = { "", "gzip", NULL };
static const struct config_key tracing_rows[] = {
    CHECKED("client_type", CONFIG_ENUM, .choices = trace_clients,
            .fallback = "grpc"),
    CHECKED("endpoint", CONFIG_STR, .flags = CONFIG_REQUIRED),
    CHECKED("sampling_fraction", CONFIG_FLOAT),
    CHECKED("insecure", CONFIG_BOOL),
    CHECKED("tls_config", CONFIG_BLOCK, .block = &tls_config_block),
    CHECKED("headers", CONFIG_STR_MAP),
    CHECKED("http_headers", CONFIG_NODE),
    CHECKED("compression", CONFIG_ENUM, .choices = trace_compressions),
    CHECKED("timeout", CONFIG_DURATION, .fallback = "10s"),
};
static const struct config_block_def tracing_block =
    CONFIG_BLOCK_DEF("tracing", struct config_head, tracing_rows, NULL,
                     "Traces of this agent's own work");

static const struct config_key remote_read_rows[] = {
    CHECKED("url", CONFIG_URL, .flags = CONFIG_REQUIRED),
    CHECKED("remote_timeout", CONFIG_DURATION, .fallback = "1m"),
    CHECKED("headers", CONFIG_STR_MAP),
    CHECKED("read_recent", CONFIG_BOOL),
    CHECKED("required_matchers", CONFIG_STR_MAP),
    CHECKED("filter_external_labels", CONFIG_BOOL, .fallback = "true"),
    CHECKED("name", CONFIG_STR),
    HTTP_CLIENT_ROWS(struct with_http, http),
};
static const struct config_block_def remote_read_block =
    CONFIG_BLOCK_DEF("remote_read", struct with_http, remote_read_rows,
                     check_http, "A server to read samples from");

static const char *const translations[] = { "UnderscoreEscapingWithSuffixes",
                                            "UnderscoreEscapingWithoutSuffixes",
                                            "NoUTF8EscapingWithSuffixes",
                                            "NoTranslation", NULL };
static const struct config_key otlp_rows[] = {
    CHECKED("promote_all_resource_attributes", CONFIG_BOOL),
    CHECKED("promote_resource_attributes", CONFIG_STR_LIST),
    CHECKED("ignore_resource_attributes", CONFIG_STR_LIST),
    CHECKED("translation_strategy", CONFIG_ENUM, .choices = translations),
    CHECKED("keep_identifying_resource_attributes", CONFIG_BOOL),
    CHECKED("convert_histograms_to_nhcb", CONFIG_BOOL),
    CHECKED("promote_scope_metadata", CONFIG_BOOL),
    CHECKED("label_name_underscore_sanitization", CONFIG_BOOL),
    CHECKED("label_name_preserve_multiple_underscores", CONFIG_BOOL),
};
static const struct config_block_def otlp_block =
    CONFIG_BLOCK_DEF("otlp", struct config_head, otlp_rows, NULL,
                     "The receiver of OpenTelemetry metrics");

static const struct config_key runtime_rows[] = {
    CHECKED("gogc", CONFIG_INT,
            .help = "Go's garbage collector, which this agent does not have"),
};
static const struct config_block_def runtime_block = CONFIG_BLOCK_DEF(
    "runtime", struct config_head, runtime_rows, NULL, "Go's runtime");

/* ---- the files --------------------------------------------------------- */

static const struct config_key root_rows[] = {
    CONFIG_ROW_INLINE(struct root_config, global, struct global_config,
                      &global_block, .help = "What jobs inherit"),
    CONFIG_ROW_UNUSED_AS("runtime", CONFIG_BLOCK, .block = &runtime_block,
                         .help = "Go's runtime"),
    CONFIG_ROW_UNUSED_AS("alerting", CONFIG_BLOCK, .block = &alerting_block,
                         .help = "Alertmanagers"),
    CONFIG_ROW_PATH_LIST(struct root_config, rule_files, .flags = CONFIG_UNUSED,
                         .help = "Globs of files with rules"),
    CONFIG_ROW_PATH_LIST(struct root_config, scrape_config_files,
                         .help = "Globs of files with more jobs; without "
                                 "this key, conf.d/*.yaml and conf.d/*.yml "
                                 "beside this file"),
    CONFIG_ROW_BLOCK_LIST(struct root_config, scrape_configs,
                          &scrape_config_block, .help = "The jobs"),
    CONFIG_ROW_BLOCK(struct root_config, storage, struct storage_config *,
                     &storage_block, .help = "The local store"),
    CONFIG_ROW_UNUSED_AS("tracing", CONFIG_BLOCK, .block = &tracing_block,
                         .help = "Traces of this agent's own work"),
    CONFIG_ROW_BLOCK_LIST(struct root_config, remote_write, &remote_write_block,
                          .help = "Servers that get all samples"),
    CONFIG_ROW_UNUSED_AS("remote_read", CONFIG_BLOCK_LIST,
                         .block = &remote_read_block,
                         .help = "Servers to read samples from"),
    CONFIG_ROW_UNUSED_AS("otlp", CONFIG_BLOCK, .block = &otlp_block,
                         .help = "The receiver of OpenTelemetry metrics"),
};
const struct config_block_def root_config_block = CONFIG_BLOCK_DEF(
    "configuration file", struct root_config, root_rows, NULL, "The main file");

static const struct config_key included_rows[] = {
    CONFIG_ROW_PATH_LIST(struct included_config, rule_files,
                         .flags = CONFIG_UNUSED,
                         .help = "Globs of files with rules"),
    CONFIG_ROW_BLOCK_LIST(struct included_config, scrape_configs,
                          &scrape_config_block, .help = "Jobs"),
    CONFIG_ROW_BLOCK_LIST(struct included_config, remote_write,
                          &remote_write_block,
                          .help = "Servers that get all samples"),
};
const struct config_block_def included_config_block =
    CONFIG_BLOCK_DEF("included file", struct included_config, included_rows,
                     NULL, "A file that scrape_config_files names");
