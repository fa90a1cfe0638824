/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of a scrape_config: every key that Prometheus 3 has, plus ours
 * (plugin, options, slow_interval, expose). The rows stand in the order in
 * which Prometheus prints them.
 *
 * Reading a job and finishing it are two steps, because what `global` says
 * is known only when all of the main file has been read, and jobs of included
 * files inherit from it too.
 */
#include <string.h>

#include "scrape/scrape.h"
#include "util/str.h"

static const char *const schemes[] = { "http", "https" };
static const char *const validation_schemes[] = { "", "utf8", "legacy", NULL };
static const char *const escaping_schemes[] = { "allow-utf-8", "underscores",
                                                "dots", "values", NULL };
static const char *const protocols[] = {
    "PrometheusProto",     "OpenMetricsText0.0.1", "OpenMetricsText1.0.0",
    "PrometheusText0.0.4", "PrometheusText1.0.0",
};

/* ---- what a table can not say ------------------------------------------ */

static bool is_one_of(sonde_str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_cstr(s, words[i]))
            return true;
    return false;
}
#define IS_ONE_OF(s, words)                                                    \
    is_one_of((s), (words), sizeof(words) / sizeof((words)[0]))

static sonde_code unknown_protocol(const struct yaml_node *at, const char *key,
                                   sonde_str got, struct sonde_err *err)
{
    return yaml_error(at, err,
                      "%s: expected one of PrometheusProto, "
                      "OpenMetricsText0.0.1, OpenMetricsText1.0.0, "
                      "PrometheusText0.0.4, PrometheusText1.0.0, got "
                      "\"%.*s\"",
                      key, SONDE_ARG(str_sub(got, 0, 64)));
}

sonde_code scrape_protocols_check(const struct yaml_node *block,
                                  const struct sonde_list *l,
                                  struct sonde_err *err)
{
    const struct yaml_node *at = yaml_get(block, "scrape_protocols");

    if (at && at->kind == YAML_SEQUENCE && l->count == 0)
        return yaml_error(at, err,
                          "scrape_protocols: expected at least one protocol");
    for (size_t i = 0; i < l->count; i++) {
        if (!IS_ONE_OF(l->items[i], protocols))
            return unknown_protocol(at, "scrape_protocols", l->items[i], err);
        for (size_t k = 0; k < i; k++)
            if (sonde_str_eq(l->items[i], l->items[k]))
                return yaml_error(at, err,
                                  "scrape_protocols: \"%.*s\" is given twice",
                                  SONDE_ARG(l->items[i]));
    }
    return SONDE_OK;
}

/* A URL as a target is the commonest mistake. Relabeling may make an address
 * of it, and plugins have addresses of their own. */
static sonde_code check_targets(const struct scrape_config *c,
                                struct sonde_err *err)
{
    const struct static_config *groups = c->static_configs.items;

    if (c->relabel_configs.count || !str_eq_cstr(c->plugin, "prometheus"))
        return SONDE_OK;
    for (size_t i = 0; i < c->static_configs.count; i++) {
        const struct yaml_node *list = yaml_get(groups[i].head.node, "targets");

        for (size_t k = 0; k < groups[i].targets.count; k++) {
            sonde_str t = groups[i].targets.items[k];

            if (!str_starts(t, SONDE_STR("unix:")) && str_index(t, '/') < t.len)
                return yaml_error(list ? list->items[k] : NULL, err,
                                  "\"%.*s\" is not a target: expected "
                                  "host:port or unix:/path/to/socket; scheme "
                                  "and path have keys of their own, scheme "
                                  "and metrics_path",
                                  SONDE_ARG(str_sub(t, 0, 128)));
        }
    }
    return SONDE_OK;
}

static sonde_code check_job(struct config_ctx *ctx, void *block,
                            struct sonde_err *err)
{
    struct scrape_config *c = block;
    const struct yaml_node *at = c->head.node;
    sonde_code rc;

    if (!IS_ONE_OF(c->scheme, schemes))
        return yaml_error(yaml_get(at, "scheme"), err,
                          "scheme: expected \"http\" or \"https\", got "
                          "\"%.*s\"",
                          SONDE_ARG(str_sub(c->scheme, 0, 64)));
    if (c->fallback_scrape_protocol.len &&
        !IS_ONE_OF(c->fallback_scrape_protocol, protocols))
        return unknown_protocol(yaml_get(at, "fallback_scrape_protocol"),
                                "fallback_scrape_protocol",
                                c->fallback_scrape_protocol, err);
    rc = scrape_protocols_check(at, &c->scrape_protocols, err);
    if (rc == SONDE_OK)
        rc = check_targets(c, err);
    if (rc == SONDE_OK)
        rc = http_client_check(ctx, &c->http, at, err);
    if (rc == SONDE_OK)
        rc = expose_config_read(ctx, c->expose_node, &c->expose, err);
    return rc;
}

/* ---- the table --------------------------------------------------------- */

#define LIMIT .min = 0, .max = INT64_MAX

static const struct config_key rows[] = {
    CONFIG_ROW_STR(struct scrape_config, job_name, .flags = CONFIG_REQUIRED,
                   .help = "Name of the job, unique; becomes the label job"),
    CONFIG_ROW_STR(struct scrape_config, plugin, .fallback = "prometheus",
                   .flags = CONFIG_QUIET,
                   .help = "The plugin that collects; prometheus reads any "
                           "text endpoint"),
    CONFIG_ROW_NODE(struct scrape_config, options,
                    .help = "The plugin's own options, see `sonde plugins "
                            "show NAME`"),
    { .name = "expose",
      .kind = CONFIG_NODE,
      .flags = CONFIG_OR_TEXT,
      .offset = offsetof(struct scrape_config, expose_node),
      .block = &expose_block,
      .help = "Serve what the job collects as an exporter's page: an address "
              "(`:9121` for all of the machine's, `9121` for loopback) or a "
              "block" },
    CONFIG_ROW_BOOL(struct scrape_config, honor_labels,
                    .help = "Labels of the scraped line win over the "
                            "target's; else they are renamed exported_X"),
    CONFIG_ROW_BOOL(struct scrape_config, honor_timestamps, .fallback = "true",
                    .help = "Timestamps of the scraped lines are used"),
    CONFIG_ROW_BOOL(struct scrape_config, track_timestamps_staleness,
                    .fallback = "false",
                    .help = "Series with timestamps of their own get staleness "
                            "markers too"),
    CONFIG_ROW_LIST_MAP(struct scrape_config, params,
                        .help = "Parameters of the URL"),
    CONFIG_ROW_DURATION(struct scrape_config, scrape_interval,
                        .help = "How often to scrape; global's if not given"),
    CONFIG_ROW_DURATION(struct scrape_config, scrape_timeout,
                        .help = "How long a scrape may take; global's if not "
                                "given"),
    CONFIG_ROW_DURATION(struct scrape_config, slow_interval, .fallback = "5m",
                        .flags = CONFIG_QUIET,
                        .help = "How often a plugin's slow collectors work; "
                                "their last values are stored in between. 0: "
                                "at every scrape. A target's label "
                                "`__slow_interval__` overrides it"),
    CONFIG_ROW_STR_LIST(struct scrape_config, scrape_protocols,
                        .help = "Formats to ask for, the best first; global's "
                                "if not given"),
    CONFIG_ROW_STR(struct scrape_config, fallback_scrape_protocol,
                   .help = "Format to assume when the answer names none"),
    CONFIG_ROW_UNUSED_AS("scrape_native_histograms", CONFIG_BOOL,
                         .help = "Scrape native histograms"),
    CONFIG_ROW_UNUSED_AS("always_scrape_classic_histograms", CONFIG_BOOL,
                         .help = "Scrape a histogram's classic buckets also "
                                 "when it is native"),
    CONFIG_ROW_UNUSED_AS("convert_classic_histograms_to_nhcb", CONFIG_BOOL,
                         .help = "Store classic histograms as native ones"),
    CONFIG_ROW_STR(struct scrape_config, metrics_path, .fallback = "/metrics",
                   .help = "Path of the URL"),
    CONFIG_ROW_STR(struct scrape_config, scheme, .fallback = "http",
                   .help = "`http` or `https`"),
    CONFIG_ROW_BOOL(struct scrape_config, enable_compression,
                    .fallback = "true", .help = "Ask for gzip"),
    CONFIG_ROW_BOOL(struct scrape_config, extra_scrape_metrics,
                    .help = "Store scrape_timeout_seconds, "
                            "scrape_sample_limit, scrape_body_size_bytes"),
    CONFIG_ROW_UNUSED_AS("scrape_failure_log_file", CONFIG_PATH,
                         .help = "File to log failed scrapes to"),
    CONFIG_ROW_SIZE(struct scrape_config, body_size_limit,
                    .help = "Longest answer, decompressed; 0: no limit"),
    CONFIG_ROW_INT(struct scrape_config, sample_limit, LIMIT,
                   .help = "Most samples of a scrape after relabeling, above "
                           "it fails; 0: no limit"),
    CONFIG_ROW_INT(struct scrape_config, target_limit, LIMIT,
                   .help = "Most targets of the job; 0: no limit"),
    CONFIG_ROW_INT(struct scrape_config, label_limit, LIMIT,
                   .help = "Most labels of a series; 0: no limit"),
    CONFIG_ROW_INT(struct scrape_config, label_name_length_limit, LIMIT,
                   .help = "Longest label name; 0: no limit"),
    CONFIG_ROW_INT(struct scrape_config, label_value_length_limit, LIMIT,
                   .help = "Longest label value; 0: no limit"),
    CONFIG_ROW_UNUSED_AS("native_histogram_bucket_limit", CONFIG_INT, LIMIT,
                         .help = "Most buckets of a native histogram"),
    CONFIG_ROW_UNUSED_AS("native_histogram_min_bucket_factor", CONFIG_FLOAT,
                         .help = "Coarsest growth of a native histogram's "
                                 "buckets"),
    CONFIG_ROW_INT(struct scrape_config, keep_dropped_targets, LIMIT,
                   .help = "How many targets dropped by relabeling to "
                           "remember for the status page; 0: no limit"),
    CONFIG_ROW_ENUM(struct scrape_config, metric_name_validation_scheme,
                    .choices = validation_schemes,
                    .help = "Which metric and label names are valid; global's "
                            "if not given"),
    CONFIG_ROW_UNUSED_AS("metric_name_escaping_scheme", CONFIG_ENUM,
                         .choices = escaping_schemes,
                         .help = "How targets are asked to escape names"),
    HTTP_CLIENT_ROWS(struct scrape_config, http),
    CONFIG_ROW_BLOCK_LIST(struct scrape_config, relabel_configs, &relabel_block,
                          .help = "Relabeling of targets, in this order"),
    CONFIG_ROW_BLOCK_LIST(struct scrape_config, metric_relabel_configs,
                          &relabel_block,
                          .help = "Relabeling of scraped series"),
    DISCOVERY_UNUSED_ROWS,
    CONFIG_ROW_BLOCK_LIST(struct scrape_config, file_sd_configs,
                          &file_sd_config_block, .help = "Targets from files"),
    CONFIG_ROW_BLOCK_LIST(struct scrape_config, static_configs,
                          &static_config_block,
                          .help = "Targets written down here: `host:port`, "
                                  "or `unix:/path/to/socket`"),
};
const struct config_block_def scrape_config_block = CONFIG_BLOCK_DEF(
    "scrape_config", struct scrape_config, rows, check_job,
    "A job: what to collect, from where, how often. All of Prometheus' keys, "
    "and `plugin`, `options`, `slow_interval`, `expose`");

/* ---- inheriting from global -------------------------------------------- */

static void inherit(int64_t *field, int64_t global)
{
    if (*field == 0)
        *field = global;
}

static void inherit_limits(struct scrape_config *c,
                           const struct scrape_globals *g)
{
    inherit(&c->body_size_limit, g->body_size_limit);
    inherit(&c->sample_limit, g->sample_limit);
    inherit(&c->label_limit, g->label_limit);
    inherit(&c->label_name_length_limit, g->label_name_length_limit);
    inherit(&c->label_value_length_limit, g->label_value_length_limit);
    inherit(&c->target_limit, g->target_limit);
    inherit(&c->keep_dropped_targets, g->keep_dropped_targets);
}

sonde_code scrape_config_finish(struct scrape_config *c,
                                const struct scrape_globals *g,
                                struct sonde_err *err)
{
    inherit(&c->scrape_interval, g->scrape_interval);
    if (c->scrape_timeout == 0)
        c->scrape_timeout = g->scrape_timeout < c->scrape_interval
                                ? g->scrape_timeout
                                : c->scrape_interval;
    if (c->scrape_timeout > c->scrape_interval)
        return yaml_error(c->head.node, err,
                          "job \"%.*s\": scrape_timeout (%lld ms) is longer "
                          "than scrape_interval (%lld ms)",
                          SONDE_ARG(str_sub(c->job_name, 0, 128)),
                          (long long)c->scrape_timeout,
                          (long long)c->scrape_interval);
    if (c->scrape_protocols.count == 0)
        c->scrape_protocols = g->scrape_protocols;
    if (c->metric_name_validation_scheme == 0)
        c->metric_name_validation_scheme = g->metric_name_validation_scheme;
    if (c->metric_name_validation_scheme == 0)
        c->metric_name_validation_scheme = 1;
    inherit_limits(c, g);
    return SONDE_OK;
}
