/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PromQL: text to syntax tree, tree to text, tree to values. Semantics and
 * messages are Prometheus 3.x's.
 */
#ifndef PROMQL_PROMQL_H
#define PROMQL_PROMQL_H

#include <sonde/base.h>

#include "promql/ast.h"
#include "storage/storage.h"
#include "util/arena.h"
#include "util/parallel.h"

/* ---- parsing: parse.c ---------------------------------------------------- */

/* Parts of the language that have to be asked for. */
enum promql_feature {
    PROMQL_EXPERIMENTAL_FUNCTIONS = 1 << 0,
    PROMQL_DELAYED_NAME_REMOVAL = 1 << 1,
    PROMQL_EXTENDED_RANGES = 1 << 2, /* anchored, smoothed                 */
    PROMQL_BINOP_FILL = 1 << 3,
    PROMQL_TYPE_AND_UNIT = 1 << 4,
    PROMQL_PER_STEP_STATS = 1 << 5, /* in the result's statistics          */
};

struct promql_limits {
    size_t text_bytes; /* of a query; 0: 1 MiB                            */
    size_t depth;      /* nesting; 0: 200                                 */
    unsigned features; /* enum promql_feature                             */
};
/* The tree is the arena's. An error reads "L:C: parse error: TEXT". */
SONDE_NODISCARD sonde_code promql_parse(struct arena *a, sonde_str text,
                                        const struct promql_limits *limits,
                                        struct promql_expr **out,
                                        struct sonde_err *err);
/* A series selector alone (match[]): its matchers, each to be released by
 * matcher_fini. One that accepts everything is for the caller to refuse. */
SONDE_NODISCARD sonde_code promql_parse_selector(struct arena *a,
                                                 sonde_str text,
                                                 struct matcher **out,
                                                 size_t *n,
                                                 struct sonde_err *err);
/* Releases the compiled expressions that a tree holds. */
void promql_fini(struct promql_expr *e);

/* Canonical one-line form. */
void promql_print(struct buf *b, const struct promql_expr *e);
/* The same, but what is longer than 100 bytes is split over lines, as
 * format_query has it. */
void promql_format(struct buf *b, const struct promql_expr *e);

/* ---- evaluation: engine.c ------------------------------------------------ */

struct promql_query {
    sonde_str text; /* what was parsed: notes tell places in it            */
    struct storage *storage;
    struct parallel *pool;  /* who helps; NULL: this thread alone          */
    sonde_msec start, end;  /* closed                                      */
    sonde_msec step;        /* 0: one instant, start == end                */
    sonde_msec lookback_ms; /* 0: 5m                                       */
    sonde_msec default_step_ms;  /* of subqueries without one; 0: 1m        */
    sonde_msec deadline_ms;      /* monotonic; 0: none                      */
    bool (*canceled)(void *arg); /* may be NULL; called from any worker    */
    void *canceled_arg;
    size_t max_samples; /* held at once; 0: 50 million                     */
    unsigned features;
    bool explain; /* the result has the plan                              */
};

/* Marks "no value here" among the values of a series: a bit pattern that no
 * result has, since stale markers are not results. */
#define PROMQL_ABSENT_BITS STALE_NAN_BITS
static inline bool promql_absent(double v)
{
    return is_stale_nan(v);
}

/* One series of a result. */
struct promql_series {
    struct labels labels;
    size_t count;
    /* NULL: value i is of the query's step i and may be absent. */
    const sonde_msec *t;
    const double *v;
    /* NULL, or where it is not NULL the value is that histogram. */
    const struct histogram *const *h;
};
/* Something to tell beside the result; `text` with its prefix. */
struct promql_note {
    bool warning; /* or info                                               */
    sonde_str text;
};
struct promql_stats {
    uint64_t queryable_samples; /* of all windows of all steps             */
    uint64_t *step_samples;     /* the same by step; NULL: not asked for   */
    size_t step_count;
    uint64_t samples_read;
    uint64_t peak_samples; /* held at once                            */
    uint64_t series;
    /* s: nodes and their series made; rows computed; the result sorted */
    double prepare_seconds, eval_seconds, sort_seconds;
};

/* A node of the plan, those below it next with a greater depth. What it cost
 * includes them, and is added up over all threads: times may be more than the
 * query took. A step-invariant node has one step. */
struct promql_plan_node {
    sonde_str text; /* its expression                                     */
    unsigned depth;
    size_t steps, series, rows; /* rows: how many were made               */
    uint64_t samples;           /* read                                   */
    uint64_t wall_ns, cpu_ns;
};

/* All of it lives until promql_result_free. A vector or matrix is sorted by
 * labels in a range query, else as Prometheus orders it. Series without any
 * value are left out. */
struct promql_result {
    enum promql_type type; /* a range query gives PROMQL_MATRIX            */
    sonde_msec start, step;
    double scalar;
    sonde_str string;
    struct promql_series *series;
    size_t count;
    struct promql_note *notes;
    size_t note_count;
    struct promql_stats stats;
    struct promql_plan_node *plan; /* in the order of the makings         */
    size_t plan_count;
};

/* Evaluates a checked tree. SONDE_EPARSE: a duration in it makes no sense for
 * this query ("BEGIN:END: TEXT", in bytes); SONDE_EINVAL: what Prometheus calls
 * an execution error (the message is its); SONDE_ELIMIT: too many samples;
 * SONDE_ETIMEOUT; SONDE_ECANCELED. */
SONDE_NODISCARD sonde_code promql_run(const struct promql_query *q,
                                      const struct promql_expr *e,
                                      struct promql_result **out,
                                      struct sonde_err *err);
void promql_result_free(struct promql_result *r); /* NULL is fine */

/* The buckets of a histogram of a result from the lowest up, empty ones left
 * out: hist_walk.c. The state is the arena's. */
struct promql_bucket {
    double lower, upper, count;
    bool lower_in, upper_in; /* whether the bounds belong to it             */
};
struct promql_buckets;
struct promql_buckets *promql_buckets(struct arena *a,
                                      const struct histogram *h);
bool promql_buckets_next(struct promql_buckets *b, struct promql_bucket *out);

#endif
