/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde check ...`: one file per thing that is checked. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "util/buf.h"

/* argv[0] is the sub-command's name; they return the exit code. */
int check_metrics(int argc, char **argv);
int check_query(int argc, char **argv);

/* A file, or standard input as "-". */
SONDE_NODISCARD sonde_code check_read(const char *file, size_t max,
                                      struct buf *out, struct sonde_err *err);
/* The line of a query that a message "L:C: ..." is about, and a caret under
 * the place; nothing if it tells none. */
void check_query_place(struct buf *b, sonde_str text, const char *message);

#endif
