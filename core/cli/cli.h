/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: one file per sub-command. Exit codes: 0, 1 for a failure
 * at run time, 2 for wrong usage or configuration, 3 for what a lint found.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "util/arena.h"
#include "util/buf.h"

enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_LINT = 3 /* what was checked can be read, and breaks conventions    */
};

/* Picks the sub-command and runs it; `run` with flags is the default. */
int cli_main(int argc, char **argv);

/* argv[0] is the sub-command's name in all of these. */
int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_scrape(int argc, char **argv);
int cli_document(int argc, char **argv);
int cli_tsdb(int argc, char **argv);
int cli_query(int argc, char **argv);
int cli_exporter(int argc, char **argv);

/* For what runs for long: run.c. Keeps the heap from spreading. Who answers
 * queries keeps what one has used for the next, since getting pages again
 * costs as much as the query; it goes back when there are no more
 * (agent/quiet.c). */
void cli_setup_heap(bool queries);

/* docs/configuration.md. */
void cli_document_text(struct buf *b);

/* Folders that are searched for plugins: those of --plugin.path, else the
 * build tree's when the program runs from one, else the installed one. */
void cli_plugin_dirs(struct arena *a, const struct sonde_list *given,
                     const char *const **dirs, size_t *n);
/* Takes every --plugin.path[=DIR] out of argv; for sub-commands. */
void cli_take_plugin_path(struct arena *a, int *argc, char **argv,
                          struct sonde_list *out);

/* "sonde: TEXT" on stderr. */
SONDE_PRINTF(1, 2) void cli_error(const char *fmt, ...);

#endif
