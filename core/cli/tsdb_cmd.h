/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde tsdb ...`: data directories, looked at and worked on without a
 * running server. One file per sub-command. */
#ifndef CLI_TSDB_CMD_H
#define CLI_TSDB_CMD_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "block/block.h"
#include "storage/storage.h"
#include "util/arena.h"

#define TSDB_DIR_DEFAULT "data"

/* argv[0] is the sub-command's name; they return the exit code. */
int tsdb_list(int argc, char **argv);
int tsdb_analyze(int argc, char **argv);
int tsdb_dump(int argc, char **argv);
int tsdb_export(int argc, char **argv);
int tsdb_import(int argc, char **argv);
int tsdb_check(int argc, char **argv);
int tsdb_snapshot_cmd(int argc, char **argv);

/* ---- blocks of a folder: tsdb_blocks.c ---------------------------------- */

struct tsdb_blocks {
    struct block **items; /* by time                                      */
    size_t count;
    size_t failed; /* that could not be opened; each was said on stderr   */
};
/* `bad` (may be NULL: said on stderr) is told of those that do not open. */
SONDE_NODISCARD sonde_code tsdb_blocks_open(
    const char *dir, struct tsdb_blocks *out,
    void (*bad)(void *arg, const char *name, const struct sonde_err *err),
    void *arg, struct sonde_err *err);
void tsdb_blocks_close(struct tsdb_blocks *b);

/* ---- printing: tsdb_print.c --------------------------------------------- */

/* {__name__="a", k="x"}, as promtool prints label sets. */
void print_labels(struct buf *b, const struct labels *l);
/* As Go's %g. */
void print_value(struct buf *b, double v);
/* {count:3, sum:4.5, [-2,-1):1, ...} */
void print_histogram(struct buf *b, const struct histogram *h);
/* 2h0m0s, as Go prints durations. */
void print_duration(struct buf *b, sonde_msec d);

#endif
