/* SPDX-License-Identifier: Apache-2.0 */
/* Picks the sub-command of `sonde tsdb`. */
#include "cli/tsdb_cmd.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "util/log.h"
#include "util/str.h"

static const struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "list", "the blocks of a data directory", tsdb_list },
    { "analyze", "what a block is full of: churn, label pairs, cardinality",
      tsdb_analyze },
    { "dump", "samples as text, one a line", tsdb_dump },
    { "import", "OpenMetrics or text with timestamps into blocks",
      tsdb_import },
    { "export", "samples as OpenMetrics or CSV", tsdb_export },
    { "check", "every checksum and reference; --repair moves bad blocks away",
      tsdb_check },
    { "snapshot", "a copy that costs no space, of a stopped or running store",
      tsdb_snapshot_cmd },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
    (void)printf("usage: sonde tsdb COMMAND [FLAGS] [ARGUMENTS]\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        (void)printf("  %-10s%s\n", commands[i].name, commands[i].help);
    (void)printf("\nsonde tsdb COMMAND --help tells of its flags.\n");
    return CLI_OK;
}

static int unknown(const char *name)
{
    const char *names[COMMANDS];
    const char *near;

    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    near = str_nearest(sonde_cstr(name), names, COMMANDS);
    cli_error("unknown command \"tsdb %s\"%s%s%s; see sonde tsdb --help", name,
              near ? ", did you mean \"" : "", near ? near : "",
              near ? "\"?" : "");
    return CLI_USAGE;
}

int cli_tsdb(int argc, char **argv)
{
    log_setup(LOG_WARN, LOG_LOGFMT);
    if (argc < 2) {
        cli_error("usage: sonde tsdb COMMAND; see sonde tsdb --help");
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help();
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return unknown(argv[1]);
}
