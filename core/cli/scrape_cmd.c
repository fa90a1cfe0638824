/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde scrape PLUGIN TARGET`: one collection, its text on stdout, how long
 * it took on stderr.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "scrape/scrape.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

static int usage(void)
{
    cli_error("usage: sonde scrape PLUGIN TARGET [--timeout=10s] "
              "[--scheme=http] [--path=/metrics] [--plugin.path=DIR] "
              "[OPTION=VALUE]...\n"
              "One collection of TARGET (host:port) by a plugin, as text. "
              "OPTIONs are the plugin's: see sonde plugins show PLUGIN.");
    return CLI_USAGE;
}

struct request {
    sonde_str plugin, address;
    struct config_pair *pairs;
    struct config_map options;
    sonde_str timeout, scheme, path;
};

static bool take_flag(const char *arg, const char *name, sonde_str *out)
{
    size_t n = strlen(name);

    if (strncmp(arg, name, n) != 0 || arg[n] != '=')
        return false;
    *out = sonde_cstr(arg + n + 1);
    return true;
}

static bool take_option(struct arena *a, const char *arg, struct request *r)
{
    sonde_str s = sonde_cstr(arg);
    size_t eq = str_index(s, '=');
    sonde_str *value = arena_new(a, sonde_str);

    if (arg[0] == '-' || eq == 0 || eq == s.len)
        return false;
    *value = str_sub(s, eq + 1, s.len);
    r->pairs[r->options.count++] =
        (struct config_pair){ .key = str_sub(s, 0, eq),
                              .values = { .items = value, .count = 1 } };
    return true;
}

static bool read_args(struct arena *a, int argc, char **argv, struct request *r)
{
    if (argc < 3 || argv[1][0] == '-' || argv[2][0] == '-')
        return false;
    r->plugin = sonde_cstr(argv[1]);
    r->address = sonde_cstr(argv[2]);
    r->pairs = arena_array(a, struct config_pair, (size_t)argc);
    r->options.items = r->pairs;
    for (int i = 3; i < argc; i++)
        if (!take_flag(argv[i], "--timeout", &r->timeout) &&
            !take_flag(argv[i], "--scheme", &r->scheme) &&
            !take_flag(argv[i], "--path", &r->path) &&
            !take_option(a, argv[i], r))
            return false;
    return true;
}

/* A job as if a configuration file had said so. */
static sonde_code make_job(struct arena *a, const struct request *r,
                           struct scrape_config *job, struct sonde_err *err)
{
    const struct scrape_globals globals = { .scrape_interval = 60000,
                                            .scrape_timeout = 10000 };
    struct config_ctx ctx = { .arena = a };
    struct yaml_node *node;
    sonde_str text = arena_printf(
        a,
        "job_name: scrape\nplugin: '%.*s'\nscrape_timeout: '%.*s'\n"
        "scheme: '%.*s'\nmetrics_path: '%.*s'\n",
        SONDE_ARG(r->plugin), SONDE_ARG(r->timeout), SONDE_ARG(r->scheme),
        SONDE_ARG(r->path));
    sonde_code rc = yaml_parse(a, "command line", text, &node, err);

    if (rc == SONDE_OK)
        rc = config_read(&ctx, &scrape_config_block, node, job, err);
    if (rc == SONDE_OK)
        rc = scrape_config_finish(job, &globals, err);
    return rc;
}

static int scrape(struct arena *a, const struct request *r,
                  const struct sonde_list *plugin_path)
{
    struct scrape_config job;
    struct sonde_err err;
    const char *const *dirs;
    struct plugins *plugins;
    struct buf out;
    uint64_t began;
    sonde_code rc = make_job(a, r, &job, &err);
    size_t n;

    buf_init(&out);
    cli_plugin_dirs(a, plugin_path, &dirs, &n);
    plugins = plugins_new(dirs, n);
    began = clock_ns();
    if (rc == SONDE_OK)
        rc = scrape_oneshot(&job, plugins, r->address, &r->options, &out, &err);
    if (out.len)
        (void)fwrite(out.data, 1, out.len, stdout);
    (void)fflush(stdout);
    if (rc != SONDE_OK)
        cli_error("scrape %.*s: %s", SONDE_ARG(r->address), err.text);
    else
        (void)fprintf(stderr, "# collected %zu bytes in %.1f ms\n", out.len,
                      (double)(clock_ns() - began) / 1e6);
    buf_fini(&out);
    plugins_free(plugins);
    return rc == SONDE_OK ? CLI_OK : CLI_FAILED;
}

int cli_scrape(int argc, char **argv)
{
    struct request r = { .timeout = SONDE_STR("10s"),
                         .scheme = SONDE_STR("http"),
                         .path = SONDE_STR("/metrics") };
    struct sonde_list plugin_path;
    struct arena a;
    int code;

    arena_init(&a);
    log_setup(LOG_WARN, LOG_LOGFMT);
    cli_take_plugin_path(&a, &argc, argv, &plugin_path);
    code =
        read_args(&a, argc, argv, &r) ? scrape(&a, &r, &plugin_path) : usage();
    arena_fini(&a);
    return code;
}
