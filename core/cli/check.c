/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde check ...`. `config FILE...` reads everything a start would read,
 * with the plugins' own checks, and starts nothing; the others have files of
 * their own.
 */
#include "cli/check.h"

#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "cli/cli.h"
#include "util/log.h"

static int usage(void)
{
    cli_error("usage: sonde check config [--plugin.path=DIR] "
              "[--config.expand-env] FILE...\n"
              "       sonde check metrics [--extended] [FILE]\n"
              "       sonde check query [--format] EXPR|-f FILE");
    return CLI_USAGE;
}

static int check_file(const struct config_load *load)
{
    struct config *c;
    struct sonde_err err;

    if (config_load(load, &c, &err) != SONDE_OK) {
        (void)printf("%s: FAILED: %s\n", load->file, err.text);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < c->warnings.count; i++)
        (void)printf("%s: warning: %.*s\n", load->file,
                     SONDE_ARG(c->warnings.items[i]));
    (void)printf("%s: ok: %zu jobs, %zu remote_write, %zu files read\n",
                 load->file, c->job_count, c->remote_count, c->files.count);
    config_unref(c);
    return CLI_OK;
}

static int check_files(int argc, char **argv, struct config_load *load)
{
    int code = CLI_OK;
    int files = 0;

    for (int i = 1; i < argc; i++) {
        int rc;

        if (strcmp(argv[i], "--config.expand-env") == 0) {
            load->expand_env = true;
            continue;
        }
        if (argv[i][0] == '-')
            return usage();
        files++;
        load->file = argv[i];
        rc = check_file(load);
        code = rc > code ? rc : code;
    }
    return files ? code : usage();
}

static int check_config(int argc, char **argv)
{
    struct config_load load = { 0 };
    struct sonde_list given;
    const char *const *dirs;
    struct plugins *plugins;
    struct arena a;
    size_t n;
    int code;

    arena_init(&a);
    cli_take_plugin_path(&a, &argc, argv, &given);
    cli_plugin_dirs(&a, &given, &dirs, &n);
    plugins = plugins_new(dirs, n);
    load.plugins = plugins;
    code = check_files(argc, argv, &load);
    plugins_free(plugins);
    arena_fini(&a);
    return code;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} checks[] = {
    { "config", check_config },
    { "metrics", check_metrics },
    { "query", check_query },
};

/* Flags may stand before the word, as --plugin.path did from the first. */
static int word_at(int argc, char **argv)
{
    int i = 1;

    while (i < argc && strncmp(argv[i], "--plugin.path", 13) == 0)
        i += strchr(argv[i], '=') ? 1 : 2;
    return i;
}

int cli_check(int argc, char **argv)
{
    int at = word_at(argc, argv);

    log_setup(LOG_ERROR, LOG_LOGFMT);
    for (size_t i = 0; at < argc && i < sizeof(checks) / sizeof(*checks); i++)
        if (strcmp(argv[at], checks[i].name) == 0) {
            char *word = argv[at];

            /* The word comes first. */
            memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
            argv[1] = word;
            return checks[i].run(argc - 1, argv + 1);
        }
    return usage();
}
