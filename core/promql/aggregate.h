/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregations: the series of a vector in groups, and what is made of the
 * values of each group at each step.
 */
#ifndef PROMQL_AGGREGATE_H
#define PROMQL_AGGREGATE_H

#include "promql/engine.h"

/* Which group each series of a vector is in. */
struct grouping {
    struct vseries *groups; /* in order of first appearance                */
    size_t count;
    uint32_t *of;    /* by series: its group                               */
    uint32_t *first; /* by group: its first series                         */
    uint32_t *next;  /* by series: the next of its group, or GROUP_END     */
};
#define GROUP_END UINT32_MAX
/* The exec's arena's. */
void group_series(struct node *child, const struct promql_expr *e,
                  struct grouping *out);

/* Aggregations that take values one by one and hold a state for each group:
 * fold.c. All but these look at the rows of a group together: ranked.c. */
SONDE_NODISCARD sonde_code fold_make(struct exec *x,
                                     const struct promql_expr *e,
                                     struct node *child,
                                     const struct grouping *g,
                                     struct node **out, struct sonde_err *err);
SONDE_NODISCARD sonde_code
ranked_make(struct exec *x, const struct promql_expr *e, struct node *child,
            const struct grouping *g, struct node **out, struct sonde_err *err);

/* count_values: count_values.c. The child is kept. */
SONDE_NODISCARD sonde_code count_values_make(struct exec *x,
                                             const struct promql_expr *e,
                                             struct node *child,
                                             struct node **out,
                                             struct sonde_err *err);
/* The label set of a series' group; `items` has room for all its labels. */
struct labels group_labels(const struct exec *x, const struct promql_expr *e,
                           const struct labels *l, struct label *items);

/* Histograms under sum and avg (others ignore them, with a note):
 * histogram_fold.c. Folding takes them out of a row, which may be written, so
 * that only floats are left in it. */
struct histogram_fold;
void histograms_fold(struct node *child, enum promql_op op,
                     const struct promql_expr *e, struct histogram_fold **to,
                     struct row *r, struct worker *w);
void histograms_unite(struct node *child, enum promql_op op,
                      const struct promql_expr *e, struct histogram_fold **to,
                      struct histogram_fold *from); /* freed */
/* Where a group has floats too at a step there is no value, and a warning. */
void histograms_finish(struct node *child, enum promql_op op,
                       const struct promql_expr *e,
                       struct histogram_fold *from, /* freed               */
                       const uint32_t *float_counts, double *v,
                       const struct histogram **h);

#endif
