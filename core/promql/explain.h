/* SPDX-License-Identifier: Apache-2.0 */
/* What each node of a query costs, when somebody asked: explain.c. */
#ifndef PROMQL_EXPLAIN_H
#define PROMQL_EXPLAIN_H

#include "promql/engine.h"

/* Looks at the makings of nodes: between the two, whatever the caller does is
 * the node's. */
struct trace_node *explain_begin(struct exec *x, const struct promql_expr *e,
                                 const struct steps *steps);
/* `n` is what was made; NULL if that failed. */
void explain_end(struct exec *x, struct trace_node *t, struct node *n);

/* A piece of a loop: the work that helpers do for the node being made. */
struct explain_meter {
    uint64_t wall_ns, cpu_ns, samples;
};
struct explain_meter explain_piece_begin(const struct worker *w);
void explain_piece_end(struct worker *w, const struct explain_meter *began);

/* Hands the plan over at the end. */
void explain_take(struct exec *x, struct promql_result *r);

struct trace *explain_new(struct exec *x);

#endif
