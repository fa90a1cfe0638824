/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of `expose`. Most jobs need no more than a port, so a text is a
 * block with nothing but an address. An address without a host is what the
 * exporters have, all of the machine's; a port alone is loopback, because a
 * page tells much about a server and asks no one for a password by default.
 *
 * What `allow` names is checked here and read again where it is used: it is
 * short, and a request that needs it talks to the network anyway.
 */
#include <string.h>

#include "scrape/scrape.h"
#include "util/str.h"

static const struct config_key rows[] = {
    CONFIG_ROW_STR(struct expose_config, address, .flags = CONFIG_REQUIRED,
                   .help = "`:9121` for all addresses of the machine, `9121` "
                           "for loopback, else `HOST:PORT` or `[IPV6]:PORT`"),
    CONFIG_ROW_STR(struct expose_config, path, .fallback = "/metrics",
                   .help = "Path of the page"),
    CONFIG_ROW_BOOL(struct expose_config, on_demand, .fallback = "false",
                    .help = "Each request collects anew, beside the job's own "
                            "schedule; else the last scrape is served"),
    CONFIG_ROW_PATH(struct expose_config, web_config_file,
                    .help = "Prometheus' web config file: TLS and passwords "
                            "of the pages"),
    CONFIG_ROW_STR_LIST(struct expose_config, allow,
                        .help = "What `target=` may name beside the job's own "
                                "targets: addresses, networks as "
                                "`10.0.0.0/8`, host names"),
    CONFIG_ROW_DURATION(struct expose_config, timeout_offset,
                        .fallback = "500ms", .min = 0, .max = 60000,
                        .help = "How long before the scraper's own timeout an "
                                "on-demand collection ends"),
    CONFIG_ROW_DURATION(struct expose_config, idle_timeout, .fallback = "5m",
                        .min = 1000, .max = 86400000,
                        .help = "When a connection to something that "
                                "`target=` named is closed"),
    CONFIG_ROW_INT(struct expose_config, max_targets, .fallback = "64",
                   .min = 1, .max = 10000,
                   .help = "How many of these are kept, the latest used"),
};

/* HOST:PORT from PORT, :PORT and the like; false: it is none. */
static bool normal_address(struct arena *a, sonde_str s, sonde_str *out)
{
    size_t colon = s.len;
    struct net_ip ip;
    sonde_str host;
    uint64_t port;

    while (colon > 0 && s.ptr[colon - 1] != ':')
        colon--;
    if (!str_to_u64(str_sub(s, colon, s.len), &port) || port > 65535)
        return false;
    if (colon == 0) {
        *out = arena_printf(a, "127.0.0.1:%u", (unsigned)port);
        return true;
    }
    host = str_sub(s, 0, colon - 1);
    *out = arena_str(a, s);
    return str_index(host, ':') == host.len ||
           (host.ptr[0] == '[' && net_ip_parse(host, &ip));
}

static bool name_ok(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            !(c >= '0' && c <= '9') && (c == '\0' || !strchr("._-", c)))
            return false;
    }
    return s.len > 0 && s.len < 254;
}

static sonde_code check_allow(const struct expose_config *c,
                              struct sonde_err *err)
{
    const struct yaml_node *at = yaml_get(c->head.node, "allow");
    struct net_range range;

    for (size_t i = 0; i < c->allow.count; i++) {
        sonde_str s = c->allow.items[i];

        if (!net_range_parse(s, &range) && !name_ok(s) &&
            !str_starts(s, SONDE_STR("unix:/")))
            return yaml_error(at ? at : c->head.node, err,
                              "allow: \"%.*s\" is no address, no network such "
                              "as 10.0.0.0/8 and no host name (without a port "
                              "and a scheme)",
                              SONDE_ARG(str_sub(s, 0, 128)));
    }
    return SONDE_OK;
}

static sonde_code check_expose(struct config_ctx *ctx, void *block,
                               struct sonde_err *err)
{
    struct expose_config *c = block;
    const struct yaml_node *at = yaml_get(c->head.node, "path");

    if (!normal_address(ctx->arena, c->address, &c->address))
        return yaml_error(c->head.node, err,
                          "expose: \"%.*s\" is no address to listen on: "
                          "expected :PORT (all addresses), PORT (loopback), "
                          "HOST:PORT or [IPV6]:PORT",
                          SONDE_ARG(str_sub(c->address, 0, 128)));
    if (c->path.len == 0 || c->path.ptr[0] != '/')
        return yaml_error(at ? at : c->head.node, err,
                          "path: expected a path that begins with /, got "
                          "\"%.*s\"",
                          SONDE_ARG(str_sub(c->path, 0, 128)));
    return check_allow(c, err);
}

const struct config_block_def expose_block = CONFIG_BLOCK_DEF(
    "expose", struct expose_config, rows, check_expose,
    "Where a job's collections are served as an exporter's page, see "
    "sidecar.md");

/* A text as if a block had been written at its place. */
static struct yaml_node *block_of(struct arena *a, const struct yaml_node *text)
{
    struct yaml_node *map = arena_new(a, struct yaml_node);
    struct yaml_node *key = arena_new(a, struct yaml_node);
    struct yaml_node *value = arena_new(a, struct yaml_node);

    *value = *text;
    *key = *text;
    key->scalar = SONDE_STR("address");
    *map = *text;
    map->kind = YAML_MAPPING;
    map->keys = arena_array(a, struct yaml_node *, 1);
    map->items = arena_array(a, struct yaml_node *, 1);
    map->keys[0] = key;
    map->items[0] = value;
    map->count = 1;
    return map;
}

sonde_code expose_config_read(struct config_ctx *ctx,
                              const struct yaml_node *node,
                              struct expose_config *out, struct sonde_err *err)
{
    *out = (struct expose_config){ 0 };
    if (!node || node->kind == YAML_NULL)
        return SONDE_OK;
    if (node->kind == YAML_SEQUENCE)
        return yaml_error(node, err,
                          "expose: expected an address or a block, got a list");
    if (node->kind == YAML_SCALAR)
        node = block_of(ctx->arena, node);
    return config_read(ctx, &expose_block, node, out, err);
}

/* ---- all jobs together --------------------------------------------------- */

static void split(sonde_str address, sonde_str *host, sonde_str *port)
{
    size_t colon = address.len;

    while (colon > 0 && address.ptr[colon - 1] != ':')
        colon--;
    *host = str_sub(address, 0, colon - 1);
    *port = str_sub(address, colon, address.len);
}

static bool is_any(sonde_str host)
{
    return host.len == 0 || str_eq_cstr(host, "0.0.0.0") ||
           str_eq_cstr(host, "[::]");
}

/* Port 0 is another one each time. */
static bool collide(sonde_str a, sonde_str b)
{
    sonde_str a_host, a_port, b_host, b_port;

    split(a, &a_host, &a_port);
    split(b, &b_host, &b_port);
    return sonde_str_eq(a_port, b_port) && !str_eq_cstr(a_port, "0") &&
           (is_any(a_host) || is_any(b_host) || str_eq_nocase(a_host, b_host));
}

sonde_code expose_config_check_all(const struct scrape_config *const *jobs,
                                   size_t n, struct sonde_err *err)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; jobs[i]->expose.address.len && k < i; k++) {
            if (jobs[k]->expose.address.len == 0 ||
                !collide(jobs[i]->expose.address, jobs[k]->expose.address))
                continue;
            return yaml_error(
                jobs[i]->expose_node, err,
                "expose: job \"%.*s\" is exposed on %.*s already; give each "
                "job a port of its own",
                SONDE_ARG(str_sub(jobs[k]->job_name, 0, 64)),
                SONDE_ARG(jobs[k]->expose.address));
        }
    }
    return SONDE_OK;
}
