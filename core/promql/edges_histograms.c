/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anchored and smoothed growth of histograms, and histograms between two
 * samples: the line between them, or a share of the later one where the
 * counter began anew.
 */
#include "promql/edges.h"
#include "promql/hist.h"

const struct histogram *histogram_between(const struct edge_pair *pair,
                                          sonde_msec t, struct worker *w,
                                          unsigned *met)
{
    double share =
        (double)(t - pair->t_before) / (double)(pair->t_after - pair->t_before);
    struct hist from, to = hist_open(&w->arena, pair->after);

    if (t == pair->t_before)
        return pair->before;
    if (t == pair->t_after)
        return pair->after;
    if ((pair->before->schema == HISTOGRAM_CUSTOM) !=
        (pair->after->schema == HISTOGRAM_CUSTOM)) {
        *met |= HIST_INCOMPATIBLE;
        return NULL;
    }
    if (pair->counter && histogram_was_reset(pair->before, pair->after)) {
        hist_multiply(&to, share);
        return hist_close(&w->arena, &to);
    }
    from = hist_open(&w->arena, pair->before);
    *met |= hist_subtract(&w->arena, &to, &from);
    hist_multiply(&to, share);
    from = hist_open(&w->arena, pair->before);
    *met |= hist_add(&w->arena, &to, &from);
    to.hint = pair->before->hint == pair->after->hint ? pair->after->hint
                                                      : HISTOGRAM_UNKNOWN_RESET;
    return hist_close(&w->arena, &to);
}

/* ---- growth ---------------------------------------------------------------
 */

struct growing {
    struct range_call *call;
    const struct window *win;
    struct edge_ends ends;
    bool smoothed, counter;
    struct worker *worker;
    unsigned met;
    const struct histogram *left, *right;
};

static void warn(const struct growing *g, const char *text)
{
    sonde_str name = range_call_name(g->call, g->worker->series);

    note_warning(g->call->node.exec, range_call_place(g->call), "%s \"%.*s\"",
                 text, SONDE_ARG(name));
}

static void warn_layouts(const struct growing *g)
{
    warn(g, "vector contains a mix of histograms with exponential and custom "
            "buckets schemas for metric name");
}

/* Whether what lies between the ends goes together. */
static bool agree(const struct growing *g)
{
    const struct histogram *first = g->win->h[g->ends.first];
    bool gauge = false;

    for (size_t i = g->ends.first; i <= g->ends.last; i++) {
        const struct histogram *h = g->win->h[i];

        gauge |= h->hint == HISTOGRAM_GAUGE;
        if ((h->schema == HISTOGRAM_CUSTOM) !=
            (first->schema == HISTOGRAM_CUSTOM)) {
            warn_layouts(g);
            return false;
        }
    }
    if (g->counter && gauge)
        warn(g, "this native histogram metric is not a counter:");
    return true;
}

static const struct histogram *at_edge(struct growing *g, size_t i,
                                       sonde_msec t)
{
    const struct window *w = g->win;
    struct edge_pair pair = { w->h[i], w->h[i + 1], w->t[i], w->t[i + 1],
                              g->counter };

    return histogram_between(&pair, t, g->worker, &g->met);
}

static void take_edges(struct growing *g)
{
    const struct window *w = g->win;
    size_t first = g->ends.first, last = g->ends.last;

    g->left = g->smoothed && w->t[first] < w->left ? at_edge(g, first, w->left)
                                                   : w->h[first];
    g->right = g->smoothed && last > 0 && w->t[last] > w->right
                   ? at_edge(g, last - 1, w->right)
                   : w->h[last];
}

static void add(struct growing *g, struct hist *sum, const struct histogram *h)
{
    struct hist part = hist_open(&g->worker->arena, h);

    g->met |= hist_add(&g->worker->arena, sum, &part);
}

/* What resets between the edges hid. A reset that the left edge's line crosses
 * is in its value already. */
static void add_resets(struct growing *g, struct hist *sum)
{
    const struct window *w = g->win;
    const struct histogram *before = g->left;
    size_t i = g->ends.first + 1;

    if (g->smoothed && w->t[g->ends.first] < w->left &&
        histogram_was_reset(w->h[i - 1], w->h[i]))
        before = w->h[i++];
    if (i > g->ends.last)
        return;
    for (; i < g->ends.last; i++) {
        if (histogram_was_reset(before, w->h[i]))
            add(g, sum, before);
        before = w->h[i];
    }
    if (histogram_was_reset(before, g->right))
        add(g, sum, before);
}

static struct hist grown(struct growing *g)
{
    struct hist sum = hist_open(&g->worker->arena, g->right);
    struct hist part = hist_open(&g->worker->arena, g->left);

    g->met |= hist_subtract(&g->worker->arena, &sum, &part);
    if (g->counter)
        add_resets(g, &sum);
    if (g->met & HIST_RECONCILED)
        note_info(g->call->node.exec, range_call_place(g->call),
                  "mismatched custom buckets were reconciled during "
                  "subtraction");
    sum.hint = HISTOGRAM_GAUGE;
    return sum;
}

bool edges_histogram_growth(struct range_call *c, const struct window *win,
                            const struct growth_wanted *want, struct worker *w,
                            struct point *out)
{
    bool counter = want->counter;
    struct growing g = {
        .call = c,
        .win = win,
        .smoothed = range_edges(c->range) == PROMQL_EDGES_SMOOTHED,
        .counter = counter,
        .worker = w,
    };
    struct hist sum;

    if (window_histograms(win) < win->n) {
        warn(&g, "encountered a mix of histograms and floats for metric name");
        return false;
    }
    if (!edges_find(win, g.smoothed, &g.ends) || !agree(&g))
        return false;
    take_edges(&g);
    if (!counter &&
        (g.left->hint != HISTOGRAM_GAUGE || g.right->hint != HISTOGRAM_GAUGE))
        warn(&g, "this native histogram metric is not a gauge:");
    sum = grown(&g);
    if (want->over_s > 0)
        hist_divide(&sum, want->over_s);
    out->h = hist_close(&w->arena, &sum);
    return true;
}
