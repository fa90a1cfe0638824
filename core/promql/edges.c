/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anchored and smoothed: how much a series grew between two instants, instead
 * of between the samples that happen to lie between them.
 *
 * Anchored: the left edge has the value of the last sample at or before it (as
 * far back as the lookback), the right edge that of the last sample.
 * Smoothed: both edges lie on the line between the samples around them, as far
 * out as the lookback; a counter that began anew between two samples is taken
 * to have begun at 0. Nothing is extrapolated.
 *
 * The range vector hands out windows that reach out as far as needed
 * (before_ms, after_ms in its node).
 */
#include "promql/edges.h"

#include <string.h>

enum promql_edges range_edges(const struct node *range)
{
    const struct promql_expr *e = expr_bare(range->expr);

    return e->kind == PROMQL_RANGE ? e->range.selector->selector.edges
                                   : PROMQL_EDGES_PLAIN;
}

/* ---- who takes them -------------------------------------------------------
 */

static const char *const anchored_functions[] = { "changes", "delta",
                                                  "increase", "rate",
                                                  "resets" };
static const char *const smoothed_functions[] = { "delta", "increase", "rate" };

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

sonde_code edges_check(const struct promql_expr *call, struct sonde_err *err)
{
    const char *name = call->call.function->name;

    for (size_t i = 0; i < call->call.count; i++) {
        const struct promql_expr *arg = expr_bare(call->call.args[i]);
        enum promql_edges edges = PROMQL_EDGES_PLAIN;

        if (arg->kind == PROMQL_RANGE)
            edges = arg->range.selector->selector.edges;
        if (edges == PROMQL_EDGES_ANCHORED &&
            !is_one_of(name, anchored_functions, 5))
            return exec_error(err,
                              "anchored modifier can only be used with: "
                              "changes, delta, increase, rate, resets - not "
                              "with %s",
                              name);
        if (edges == PROMQL_EDGES_SMOOTHED &&
            !is_one_of(name, smoothed_functions, 3))
            return exec_error(err,
                              "smoothed modifier can only be used with: "
                              "delta, increase, rate - not with %s",
                              name);
    }
    return SONDE_OK;
}

/* ---- values at edges ------------------------------------------------------
 */

bool edges_find(const struct window *w, bool smoothed, struct edge_ends *out)
{
    size_t last = w->n - 1, first = 0;

    while (first < last && w->t[first] <= w->left)
        first++;
    out->first = first ? first - 1 : 0;
    if (smoothed)
        for (size_t i = last; i-- > 0 && w->t[i] >= w->right;)
            last = i;
    out->last = last;
    return w->t[last] > w->left && !(smoothed && w->t[out->first] > w->right);
}

static double between(const struct window *w, size_t i, sonde_msec t,
                      bool counter)
{
    double a = w->v[i], b = w->v[i + 1];

    if (counter && b < a)
        a = 0;
    return a +
           (b - a) * (double)(t - w->t[i]) / (double)(w->t[i + 1] - w->t[i]);
}

static double left_value(const struct window *w, const struct edge_ends *e,
                         bool smoothed, bool counter)
{
    return smoothed && w->t[e->first] < w->left
               ? between(w, e->first, w->left, counter)
               : w->v[e->first];
}

static double right_value(const struct window *w, const struct edge_ends *e,
                          bool smoothed, bool counter)
{
    return smoothed && e->last > 0 && w->t[e->last] > w->right
               ? between(w, e->last - 1, w->right, counter)
               : w->v[e->last];
}

/* The samples strictly between the edges: [*from, *to). */
static void inside(const struct window *w, const struct edge_ends *e,
                   size_t *from, size_t *to)
{
    *from = e->first + (w->t[e->first] <= w->left);
    *to = e->last + (w->t[e->last] < w->right);
    if (*to < *from)
        *to = *from;
}

/* ---- growth ---------------------------------------------------------------
 */

/* What resets between the edges hid. */
static double hidden(const struct window *w, const struct edge_ends *e,
                     double left, double right)
{
    double sum = 0, before = left;
    size_t from, to;

    inside(w, e, &from, &to);
    for (size_t i = from; i < to; i++) {
        if (w->v[i] < before)
            sum += before;
        before = w->v[i];
    }
    return right < before ? sum + before : sum;
}

bool edges_growth(struct range_call *c, const struct window *w,
                  const struct growth_wanted *want, struct worker *worker,
                  struct point *out)
{
    bool smoothed = range_edges(c->range) == PROMQL_EDGES_SMOOTHED;
    struct edge_ends e;
    double left, right;

    if (window_histograms(w))
        return edges_histogram_growth(c, w, want, worker, out);
    if (!edges_find(w, smoothed, &e))
        return false;
    left = left_value(w, &e, smoothed, want->counter);
    right = right_value(w, &e, smoothed, want->counter);
    out->v = right - left;
    if (want->counter)
        out->v += hidden(w, &e, left, right);
    if (want->over_s > 0)
        out->v /= want->over_s;
    return true;
}

bool edges_anchor(struct window *w)
{
    struct edge_ends e;

    if (w->n == 0 || !edges_find(w, false, &e))
        return false;
    w->t += e.first;
    w->v += e.first;
    w->h = w->h ? w->h + e.first : NULL;
    w->n -= e.first;
    return true;
}

/* ---- as a result ----------------------------------------------------------
 */

sonde_code edges_extend(const struct node *range, struct arena *a,
                        struct window *w, struct sonde_err *err)
{
    enum promql_edges edges = range_edges(range);
    bool smoothed = edges == PROMQL_EDGES_SMOOTHED;
    struct edge_ends e;
    sonde_msec *t;
    double *v;
    size_t from, to;

    if (edges == PROMQL_EDGES_PLAIN || w->n == 0)
        return SONDE_OK;
    if (window_histograms(w))
        return exec_error(err, "%s modifier is not supported with histograms",
                          smoothed ? "smoothed" : "anchored");
    if (!edges_find(w, smoothed, &e)) {
        w->n = 0;
        return SONDE_OK;
    }
    inside(w, &e, &from, &to);
    t = arena_array(a, sonde_msec, to - from + 2);
    v = arena_array(a, double, to - from + 2);
    t[0] = w->left;
    v[0] = left_value(w, &e, smoothed, false);
    memcpy(t + 1, w->t + from, (to - from) * sizeof(*t));
    memcpy(v + 1, w->v + from, (to - from) * sizeof(*v));
    t[to - from + 1] = w->right;
    v[to - from + 1] = right_value(w, &e, smoothed, false);
    w->t = t;
    w->v = v;
    w->h = NULL;
    w->n = to - from + 2;
    return SONDE_OK;
}
