/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde query`: a question, who is asked (a server's API or a data directory
 * in this process), and the answer, which has one form for both, so that
 * what prints it need not know where it came from.
 */
#ifndef CLI_QUERY_CMD_H
#define CLI_QUERY_CMD_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "model/labels.h"
#include "promql/promql.h"
#include "util/arena.h"
#include "util/buf.h"

/* ---- the question -------------------------------------------------------- */

enum query_kind {
    QUERY_INSTANT,
    QUERY_RANGE,
    QUERY_SERIES,
    QUERY_LABELS
};
/* A time of the command line that may be left out. */
struct query_time {
    bool given;
    sonde_msec t;
};
struct query {
    enum query_kind kind;
    const char *text;          /* expression, or the label's name         */
    struct sonde_list matches; /* of series and labels                    */
    struct query_time time;    /* of an instant                           */
    struct query_time start, end;
    sonde_msec step; /* 0: a 250th of the range, at least 1 s              */
    sonde_msec timeout_ms, lookback_ms; /* 0: the other side's default     */
    unsigned features;                  /* of the language, for a directory */
    bool explain;                       /* for a directory                 */
};
/* Fills in what promtool would: the last five minutes before `now` for a
 * range, all of the time up to `now` for series and labels. */
SONDE_NODISCARD sonde_code query_times(struct query *q, sonde_msec now,
                                       struct sonde_err *err);

/* Names of --enable-feature as bits; false: one is unknown, which was said. */
bool query_features(const struct sonde_list *given, unsigned *out);

/* ---- the answer -----------------------------------------------------------
 */

enum answer_kind {
    ANSWER_SCALAR, /* one series without labels, one point                */
    ANSWER_STRING, /* strings[0]                                          */
    ANSWER_VECTOR,
    ANSWER_MATRIX,
    ANSWER_SERIES, /* label sets only                                     */
    ANSWER_VALUES  /* strings                                             */
};
struct answer_histogram {
    double count, sum;
    struct promql_bucket *buckets;
    size_t bucket_count;
};
struct answer_point {
    sonde_msec t;
    double v;
    const struct answer_histogram *h; /* not NULL: the value              */
};
struct answer_series {
    struct labels labels;
    struct answer_point *points;
    size_t count;
};
struct answer_note {
    bool warning;
    sonde_str text;
};
/* All of it is the arena's. */
struct answer {
    struct arena *arena;
    enum answer_kind kind;
    sonde_msec t; /* of a scalar or string                                */
    struct answer_series *series;
    size_t count;
    struct sonde_list strings;
    struct answer_note *notes;
    size_t note_count;
    sonde_msec start, end, step; /* of a range query                      */
    /* Of a directory, if the plan was asked for. */
    struct promql_plan_node *plan;
    size_t plan_count;
    struct promql_stats stats;
    uint64_t wall_ns, cpu_ns;
    size_t threads;
};

/* ---- who is asked ----------------------------------------------------------
 */

struct query_server {
    const char *url;
    const char *config_file;   /* of HTTP client settings, or NULL        */
    struct sonde_list headers; /* "Name: value" or "name=value"           */
};
/* query_server.c: over Prometheus' API. `out->arena` is set. */
SONDE_NODISCARD sonde_code query_ask_server(const struct query_server *server,
                                            struct query *q, struct answer *out,
                                            struct sonde_err *err);
/* The answer's text as JSON, read: for tests and fuzzing. */
SONDE_NODISCARD sonde_code answer_read_json(sonde_str text,
                                            enum query_kind kind,
                                            struct answer *out,
                                            struct sonde_err *err);
/* query_data.c: in this process, of a directory that nobody need serve. */
SONDE_NODISCARD sonde_code query_ask_data(const char *dir, struct query *q,
                                          struct answer *out,
                                          struct sonde_err *err);

/* ---- printing: query_print.c, query_table.c, query_explain.c ----------------
 */

typedef void answer_printer(struct buf *b, const struct answer *a);
/* table, csv, json, promql; NULL: no such format. */
answer_printer *answer_printer_find(const char *format);
answer_printer answer_print_table, answer_print_csv, answer_print_json,
    answer_print_promql;
/* A value as text: 4.5, or a histogram {count:3, sum:4.5, (1,2]:3}. */
void answer_put_value(struct buf *b, const struct answer_point *p);
/* Points on lines no wider than `width`; 0: no bound. */
void answer_print_plan(struct buf *b, const struct answer *a, size_t width);

/* Columns on a terminal: code points. */
size_t text_columns(sonde_str s);
/* Of the terminal that standard output is, or 0. */
size_t terminal_columns(void);

#endif
