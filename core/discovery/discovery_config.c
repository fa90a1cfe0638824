/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of discovery's blocks, and those of mechanisms that are not
 * there yet: their keys are checked and otherwise forgotten.
 */
#include <string.h>

#include "discovery/discovery.h"
#include "net/net.h"
#include "util/str.h"

/* ---- static_configs, file_sd_configs ----------------------------------- */

static const struct config_key static_rows[] = {
    CONFIG_ROW_STR_LIST(struct static_config, targets,
                        .help = "Addresses, host:port"),
    CONFIG_ROW_STR_MAP(struct static_config, labels,
                       .help = "Labels of all these targets"),
};

static sonde_code check_static(struct config_ctx *ctx, void *block,
                               struct sonde_err *err)
{
    const struct static_config *s = block;

    (void)ctx;
    for (size_t i = 0; i < s->labels.count; i++)
        if (s->labels.items[i].key.len == 0)
            return yaml_error(s->labels.items[i].node, err,
                              "labels: a label needs a name");
    return SONDE_OK;
}

const struct config_block_def static_config_block =
    CONFIG_BLOCK_DEF("static_config", struct static_config, static_rows,
                     check_static, "Targets written down, and their labels");

/* As in Prometheus: a JSON or YAML file, a * only in the last part. */
static bool is_file_pattern(sonde_str s)
{
    static const char *const ends[] = { ".json", ".yml", ".yaml",
                                        ".JSON", ".YML", ".YAML" };
    size_t star = str_index(s, '*');

    if (str_index(str_sub(s, star, s.len), '/') + star < s.len)
        return false;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (str_ends(s, sonde_cstr(ends[i])))
            return true;
    return false;
}

static sonde_code check_file_sd(struct config_ctx *ctx, void *block,
                                struct sonde_err *err)
{
    const struct file_sd_config *f = block;

    (void)ctx;
    if (f->files.count == 0)
        return yaml_error(f->head.node, err,
                          "files: expected at least one path");
    for (size_t i = 0; i < f->files.count; i++)
        if (!is_file_pattern(f->files.items[i]))
            return yaml_error(f->head.node, err,
                              "files: \"%.*s\" can not be read: expected a "
                              "path that ends in .json, .yml or .yaml, with "
                              "* only in its last part",
                              SONDE_ARG(str_sub(f->files.items[i], 0, 128)));
    return SONDE_OK;
}

static const struct config_key file_sd_rows[] = {
    CONFIG_ROW_PATH_LIST(struct file_sd_config, files, .flags = CONFIG_REQUIRED,
                         .help = "Globs of JSON or YAML files with target "
                                 "groups"),
    CONFIG_ROW_DURATION(struct file_sd_config, refresh_interval,
                        .fallback = "5m", .min = 1, .max = INT64_MAX,
                        .help = "How often to read the files even if nothing "
                                "said that they changed"),
};
const struct config_block_def file_sd_config_block =
    CONFIG_BLOCK_DEF("file_sd_config", struct file_sd_config, file_sd_rows,
                     check_file_sd, "Targets from files that others write");

/* ---- known, not there yet ---------------------------------------------- */

struct sd_http {
    struct config_head head;
    struct http_client_config http;
};

static sonde_code check_sd_http(struct config_ctx *ctx, void *block,
                                struct sonde_err *err)
{
    struct sd_http *s = block;

    return http_client_check(ctx, &s->http, s->head.node, err);
}

static const char *const dns_types[] = { "SRV", "A", "AAAA", "MX", "NS", NULL };
static const struct config_key dns_rows[] = {
    CONFIG_ROW_CHECKED("names", CONFIG_STR_LIST, .flags = CONFIG_REQUIRED,
                       .help = "Names to ask for"),
    CONFIG_ROW_CHECKED("type", CONFIG_ENUM, .choices = dns_types,
                       .flags = CONFIG_FOLD, .fallback = "SRV",
                       .help = "Kind of record"),
    CONFIG_ROW_CHECKED("port", CONFIG_INT, .min = 0, .max = 65535,
                       .help = "Port of the targets, unless SRV says it"),
    CONFIG_ROW_CHECKED("refresh_interval", CONFIG_DURATION, .fallback = "30s",
                       .help = "How often to ask"),
};
const struct config_block_def dns_sd_config_block =
    CONFIG_BLOCK_DEF("dns_sd_config", struct config_head, dns_rows, NULL,
                     "Targets from DNS records");

static const struct config_key http_rows[] = {
    CONFIG_ROW_CHECKED("url", CONFIG_URL, .flags = CONFIG_REQUIRED,
                       .help = "Where to get the target groups"),
    CONFIG_ROW_CHECKED("refresh_interval", CONFIG_DURATION, .fallback = "1m",
                       .help = "How often to ask"),
    HTTP_CLIENT_ROWS(struct sd_http, http),
};
const struct config_block_def http_sd_config_block =
    CONFIG_BLOCK_DEF("http_sd_config", struct sd_http, http_rows, check_sd_http,
                     "Targets from an HTTP endpoint");

static const char *const kubernetes_roles[] = {
    "node", "pod", "service", "endpoints", "endpointslice", "ingress", NULL
};
static const struct config_key namespaces_rows[] = {
    CONFIG_ROW_CHECKED("own_namespace", CONFIG_BOOL),
    CONFIG_ROW_CHECKED("names", CONFIG_STR_LIST),
};
static const struct config_block_def namespaces_block =
    CONFIG_BLOCK_DEF("kubernetes_namespaces", struct config_head,
                     namespaces_rows, NULL, "Namespaces to look in");
static const struct config_key selector_rows[] = {
    CONFIG_ROW_CHECKED("role", CONFIG_ENUM, .choices = kubernetes_roles,
                       .flags = CONFIG_FOLD | CONFIG_REQUIRED),
    CONFIG_ROW_CHECKED("label", CONFIG_STR),
    CONFIG_ROW_CHECKED("field", CONFIG_STR),
};
static const struct config_block_def selector_block =
    CONFIG_BLOCK_DEF("kubernetes_selector", struct config_head, selector_rows,
                     NULL, "Label and field selectors of a role");
static const struct config_key attach_rows[] = {
    CONFIG_ROW_CHECKED("node", CONFIG_BOOL),
    CONFIG_ROW_CHECKED("namespace", CONFIG_BOOL),
    CONFIG_ROW_CHECKED("deployment", CONFIG_BOOL),
    CONFIG_ROW_CHECKED("job", CONFIG_BOOL),
    CONFIG_ROW_CHECKED("cronjob", CONFIG_BOOL),
};
static const struct config_block_def attach_block =
    CONFIG_BLOCK_DEF("kubernetes_attach_metadata", struct config_head,
                     attach_rows, NULL, "Labels of other objects to add");
static const struct config_key kubernetes_rows[] = {
    CONFIG_ROW_CHECKED("role", CONFIG_ENUM, .choices = kubernetes_roles,
                       .flags = CONFIG_FOLD | CONFIG_REQUIRED,
                       .help = "Kind of object that becomes targets"),
    CONFIG_ROW_CHECKED("api_server", CONFIG_URL,
                       .help = "The API's address; in a cluster without"),
    CONFIG_ROW_CHECKED("kubeconfig_file", CONFIG_PATH,
                       .help = "A kubeconfig file"),
    CONFIG_ROW_CHECKED("namespaces", CONFIG_BLOCK, .block = &namespaces_block,
                       .help = "Namespaces to look in; all without"),
    CONFIG_ROW_CHECKED("selectors", CONFIG_BLOCK_LIST, .block = &selector_block,
                       .help = "Selectors to ask the API with"),
    CONFIG_ROW_CHECKED("attach_metadata", CONFIG_BLOCK, .block = &attach_block,
                       .help = "Labels of other objects to add"),
    HTTP_CLIENT_ROWS(struct sd_http, http),
};
const struct config_block_def kubernetes_sd_config_block =
    CONFIG_BLOCK_DEF("kubernetes_sd_config", struct sd_http, kubernetes_rows,
                     check_sd_http, "Targets from the Kubernetes API");
