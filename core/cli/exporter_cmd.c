/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde exporter NAME [FLAGS]`: takes the place of an exporter, with its
 * flags and without a configuration file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sidecar.h"
#include "cli/cli.h"
#include "cli/exporter_flags.h"
#include "cli/exporter_job.h"
#include "util/log.h"
#include "util/str.h"

static const struct sonde_exporter *exporter_of(const struct plugin *p)
{
    const struct sonde_plugin *d = plugin_desc(p);

    return SONDE_HAS(struct sonde_plugin, d, exporter) ? d->exporter : NULL;
}

static void print_list(struct buf *b, const struct plugins *plugins)
{
    size_t before = b->len;

    for (size_t i = 0; i < plugins_count(plugins); i++) {
        const struct plugin *p = plugins_at(plugins, i);
        const struct sonde_exporter *x = exporter_of(p);

        if (x)
            buf_printf(b, "  %-12s %s, port %u\n", plugin_desc(p)->name,
                       x->name, plugin_desc(p)->expose_port);
    }
    if (b->len == before)
        buf_cstr(b, "  (no plugin that is installed stands in for one)\n");
}

static int help(const struct plugins *plugins)
{
    struct buf b;

    buf_init(&b);
    buf_cstr(&b,
             "usage: sonde exporter NAME [FLAGS]\n\n"
             "Takes the place of an exporter: its flags and environment "
             "variables, its port,\nits pages, its metrics. No configuration "
             "file is read, nothing is written.\n\nNAMEs, and what they "
             "replace:\n");
    print_list(&b, plugins);
    buf_cstr(&b, "\nsonde exporter NAME --help lists the flags.\n");
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_fini(&b);
    return CLI_OK;
}

static int no_exporter(const struct plugins *plugins, const char *name)
{
    struct buf b;

    buf_init(&b);
    print_list(&b, plugins);
    buf_char(&b, '\0');
    cli_error("there is no exporter \"%s\"; there are\n%s", name, b.data);
    buf_fini(&b);
    return CLI_USAGE;
}

/* Exporters write levels in capitals and call a format by other names. */
static int setup_log(const struct exporter_flags *f)
{
    sonde_str level = exporter_text_of(f, SONDE_FLAG_LOG_LEVEL);
    sonde_str format = exporter_text_of(f, SONDE_FLAG_LOG_FORMAT);
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = { { "debug", LOG_DEBUG },    { "info", LOG_INFO },
                   { "warn", LOG_WARN },      { "warning", LOG_WARN },
                   { "error", LOG_ERROR },    { "fatal", LOG_ERROR },
                   { "critical", LOG_ERROR }, { "trace", LOG_DEBUG } };
    enum log_level l = LOG_INFO;
    bool known = level.len == 0;

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (str_eq_nocase(level, sonde_cstr(levels[i].name))) {
            l = levels[i].level;
            known = true;
        }
    if (!known) {
        cli_error("log level: \"%.*s\" is none of debug, info, warn, error",
                  SONDE_ARG(level));
        return CLI_USAGE;
    }
    if (exporter_bool_of(f, SONDE_FLAG_DEBUG))
        l = LOG_DEBUG;
    log_setup(l,
              str_eq_nocase(format, SONDE_STR("json")) ? LOG_JSON : LOG_LOGFMT);
    return CLI_OK;
}

static void log_warnings(const struct exporter_flags *f)
{
    for (size_t i = 0; i < f->warning_count; i++)
        log_warn("exporter", "left out", LOG_STR("why", f->warnings[i]));
    for (size_t i = 0; i < f->count; i++)
        if (f->rows[i].role == SONDE_FLAG_UNUSED &&
            f->rows[i].source > FROM_FALLBACK)
            log_warn("exporter", "a flag has no effect",
                     LOG_CSTR("flag", f->rows[i].row.name));
}

static int print_help(const char *name, const struct exporter_flags *f)
{
    struct buf b;

    buf_init(&b);
    exporter_help(&b, name, f);
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_fini(&b);
    return CLI_OK;
}

struct command {
    int argc;
    char **argv;
    const struct plugin *plugin;
    const struct sonde_exporter *exporter;
    struct plugins *plugins;
    bool hung; /* it can not be unloaded */
};

static const char *get_env(const char *name)
{
    return getenv(name);
}

/* Everything anew, for the start and for each reload. */
static sonde_code load(void *arg, struct sidecar_config **out,
                       struct sonde_err *err)
{
    const struct command *c = arg;
    struct exporter_flags f;
    struct arena a;
    sonde_code rc;

    arena_init(&a);
    exporter_flags_init(&f, &a, c->exporter, get_env);
    rc = exporter_flags_parse(&f, c->argc, c->argv, err);
    if (rc == SONDE_OK)
        rc = exporter_job(&f, c->plugin, out, err);
    exporter_flags_fini(&f);
    arena_fini(&a);
    return rc;
}

static int start(struct command *c, const struct exporter_flags *f)
{
    const struct sidecar sidecar = {
        .name = c->exporter->name, .plugins = c->plugins, .load = load, .arg = c
    };
    int code = setup_log(f);

    if (code != CLI_OK)
        return code;
    log_warnings(f);
    return sidecar_run(&sidecar, &c->hung);
}

static int run(struct arena *a, struct command *c)
{
    struct exporter_flags f;
    struct sonde_err err;
    int code = CLI_OK;

    exporter_flags_init(&f, a, c->exporter, get_env);
    if (exporter_flags_parse(&f, c->argc, c->argv, &err) != SONDE_OK) {
        cli_error("exporter %s: %s", c->argv[0], err.text);
        code = CLI_USAGE;
    } else if (exporter_bool_of(&f, OWN_HELP)) {
        code = print_help(c->argv[0], &f);
    } else if (exporter_bool_of(&f, OWN_VERSION)) {
        (void)printf("%s, by sonde " PACKAGE_VERSION " (plugin %s %s)\n",
                     c->exporter->name, plugin_desc(c->plugin)->name,
                     plugin_desc(c->plugin)->version);
    } else {
        code = start(c, &f);
    }
    exporter_flags_fini(&f);
    return code;
}

static bool is_help(const char *arg)
{
    return !arg || strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0 ||
           strcmp(arg, "help") == 0;
}

/* Of all plugins one is wanted: the others are not loaded, unless somebody
 * asks which there are. */
static int with_plugins(struct arena *a, int argc, char **argv,
                        const struct sonde_list *path)
{
    struct command c = { .argc = argc - 1, .argv = argv + 1 };
    const char *const *dirs;
    struct sonde_err err;
    size_t n;
    int code;

    cli_plugin_dirs(a, path, &dirs, &n);
    c.plugins = plugins_new_one(dirs, n, is_help(argv[1]) ? NULL : argv[1]);
    if (is_help(argv[1])) {
        code = help(c.plugins);
    } else if (plugin_find(c.plugins, sonde_cstr(argv[1]), &c.plugin, &err) ==
                   SONDE_OK &&
               exporter_of(c.plugin)) {
        c.exporter = exporter_of(c.plugin);
        code = run(a, &c);
    } else {
        plugins_free(c.plugins);
        c.plugins = plugins_new(dirs, n);
        code = no_exporter(c.plugins, argv[1]);
    }
    if (!c.hung)
        plugins_free(c.plugins);
    return code;
}

int cli_exporter(int argc, char **argv)
{
    struct sonde_list path;
    struct arena a;
    int code;

    cli_setup_heap(false);
    arena_init(&a);
    log_setup(LOG_ERROR, LOG_LOGFMT);
    cli_take_plugin_path(&a, &argc, argv, &path);
    code = with_plugins(&a, argc, argv, &path);
    arena_fini(&a);
    return code;
}
