/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags of sub-commands that have more than two or three: a table of rows,
 * where each flag's value goes, and the help printed from it. --NAME VALUE
 * and --NAME=VALUE both work; what does not begin with "-" is positional.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "util/arena.h"

enum arg_kind {
    ARG_BOOL,     /* bool                                                 */
    ARG_TEXT,     /* const char *                                         */
    ARG_TEXTS,    /* struct sonde_list: may be given more than once       */
    ARG_INT,      /* int64_t                                              */
    ARG_DURATION, /* sonde_msec                                           */
    ARG_SIZE      /* int64_t, bytes                                       */
};
struct arg {
    const char *name; /* NULL ends the table                              */
    char letter;      /* 0: none                                          */
    enum arg_kind kind;
    void *out;
    const char *help;
};
struct args {
    const char *usage; /* "sonde tsdb list [DIR]"                         */
    const char *help;
    const struct arg *rows;
    const char **rest; /* positional ones go here, NULL where none is     */
    size_t rest_max;
};

/* ARGS_GO: go on. Else the exit code: --help was printed, or what is wrong
 * was said. argv[0] is the sub-command. Memory is the arena's. */
#define ARGS_GO (-1)
int args_read(struct arena *a, const struct args *args, int argc, char **argv);

#endif
