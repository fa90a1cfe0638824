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

/* ---- parsing: parse.c ---------------------------------------------------- */

struct promql_limits {
    size_t text_bytes; /* of a query; 0: 1 MiB                            */
    size_t depth;      /* nesting; 0: 200                                 */
};
/* The tree is the arena's. An error reads "L:C: parse error: TEXT". */
SONDE_NODISCARD sonde_code promql_parse(struct arena *a, sonde_str text,
                                        const struct promql_limits *limits,
                                        struct promql_expr **out,
                                        struct sonde_err *err);
/* A series selector alone (match[]): its matchers, each to be released by
 * matcher_fini. */
SONDE_NODISCARD sonde_code promql_parse_selector(struct arena *a,
                                                 sonde_str text,
                                                 struct matcher **out,
                                                 size_t *n,
                                                 struct sonde_err *err);
/* Releases the compiled expressions that a tree holds. */
void promql_fini(struct promql_expr *e);

/* Canonical one-line form. */
void promql_print(struct buf *b, const struct promql_expr *e);

/* ---- evaluation: eval.c -------------------------------------------------- */

struct promql_query {
    struct storage *storage;
    sonde_msec lookback_ms;      /* 5m */
    sonde_msec deadline_ms;      /* monotonic */
    bool (*canceled)(void *arg); /* may be NULL */
    void *canceled_arg;
};
struct promql_element {
    struct labels labels;
    sonde_msec t;
    double v;
};
struct promql_value {
    enum promql_type type;
    double scalar;
    sonde_str string;
    sonde_msec t;
    struct promql_element *vector; /* the arena's */
    size_t count;
    struct sonde_list warnings; /* of the store; the arena's */
};
/* One instant. What the engine can not do yet is SONDE_EUNSUPPORTED with a
 * sentence that names the construct. */
SONDE_NODISCARD sonde_code promql_instant(
    const struct promql_query *q, struct arena *a, const struct promql_expr *e,
    sonde_msec t, struct promql_value *out, struct sonde_err *err);

#endif
