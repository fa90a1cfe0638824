/* SPDX-License-Identifier: Apache-2.0 */
/* Windows whose edges are anchored at, or smoothed between, samples. */
#ifndef PROMQL_EDGES_H
#define PROMQL_EDGES_H

#include "promql/call.h"

/* How the edges of a range vector's windows are treated. */
enum promql_edges range_edges(const struct node *range);
/* Whether a function takes what its arguments ask for. */
SONDE_NODISCARD sonde_code edges_check(const struct promql_expr *call,
                                       struct sonde_err *err);

/* The samples of a window that the values at its edges come from. */
struct edge_ends {
    size_t first, last;
};
/* False: nothing was observed behind the left edge. */
bool edges_find(const struct window *w, bool smoothed, struct edge_ends *out);
/* What the window's samples grew by from edge to edge; false: no value. */
struct growth_wanted {
    bool counter;
    double over_s; /* divided by that; 0: not                              */
};
bool edges_growth(struct range_call *c, const struct window *w,
                  const struct growth_wanted *want, struct worker *worker,
                  struct point *out);
/* The same of histograms: edges_histograms.c. */
bool edges_histogram_growth(struct range_call *c, const struct window *win,
                            const struct growth_wanted *want, struct worker *w,
                            struct point *out);
/* Begins an anchored window with the sample that its left edge has the value
 * of; false: no value. */
bool edges_anchor(struct window *w);
/* The window of a range vector that is a result: the values at its edges and
 * the samples between. */
SONDE_NODISCARD sonde_code edges_extend(const struct node *range,
                                        struct arena *a, struct window *w,
                                        struct sonde_err *err);
/* A histogram between two of a series: edges_histograms.c; NULL: they do not
 * go together (noted). */
struct edge_pair {
    const struct histogram *before, *after;
    sonde_msec t_before, t_after;
    bool counter;
};
const struct histogram *histogram_between(const struct edge_pair *pair,
                                          sonde_msec t, struct worker *w,
                                          unsigned *met);

#endif
