/* SPDX-License-Identifier: Apache-2.0 */
/* Picks the sub-command. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/plugins_cmd.h"
#include "util/arena.h"
#include "util/log.h"
#include "util/str.h"

static int run_plugins(int argc, char **argv)
{
    struct sonde_list given;
    const char *const *dirs;
    struct arena a;
    size_t n;
    int code;

    arena_init(&a);
    log_setup(LOG_ERROR, LOG_LOGFMT);
    cli_take_plugin_path(&a, &argc, argv, &given);
    cli_plugin_dirs(&a, &given, &dirs, &n);
    code = cli_plugins(argc, argv, dirs, n);
    arena_fini(&a);
    return code;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "run", cli_run },           { "check", cli_check },
    { "scrape", cli_scrape },     { "plugins", run_plugins },
    { "document", cli_document }, { "tsdb", cli_tsdb },
    { "query", cli_query },       { "exporter", cli_exporter },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

void cli_error(const char *fmt, ...)
{
    va_list ap;

    (void)fputs("sonde: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS];
    const char *near;

    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    near = str_nearest(sonde_cstr(name), names, COMMANDS);
    cli_error("unknown command \"%s\"%s%s%s; see sonde --help", name,
              near ? ", did you mean \"" : "", near ? near : "",
              near ? "\"?" : "");
    return CLI_USAGE;
}

int cli_main(int argc, char **argv)
{
    char help[] = "--help", version[] = "--version";

    if (argc < 2 || argv[1][0] == '-')
        return cli_run(argc, argv);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(argv[1], "help") == 0)
        return cli_run(2, (char *[]){ argv[0], help, NULL });
    if (strcmp(argv[1], "version") == 0)
        return cli_run(2, (char *[]){ argv[0], version, NULL });
    return unknown_command(argv[1]);
}
