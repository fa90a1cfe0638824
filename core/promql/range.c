/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Range vectors: the samples of a selector, or of an expression evaluated at
 * regular instants (a subquery), as columns over which windows slide.
 *
 * A window holds the samples with left < t <= right. Stale markers are not
 * samples. Both edges only move forward from step to step, so finding them
 * costs a few comparisons, or a search where the gap is long.
 *
 * A subquery's inner steps are the multiples of its step; they are evaluated
 * once over the union of all windows.
 */
#include "promql/select.h"
#include "util/str.h"

struct range {
    struct node node;
    struct promql_shift shift;
    struct selected selected; /* of a selector                             */
    struct node *inner;       /* of a subquery                             */
};

sonde_msec window_right(const struct node *n, size_t i)
{
    const struct range *r = (const struct range *)n;

    return shift_time(n->exec, &r->shift, &n->steps, i);
}

/* ---- selectors ---------------------------------------------------------- */

static sonde_code selector_columns(struct node *n, size_t i, struct worker *w,
                                   struct columns **out, struct sonde_err *err)
{
    return select_read_live(n, &((struct range *)n)->selected, i, w, out, err);
}

static const struct node_ops selector_ops = { .columns = selector_columns };

static sonde_code selector_make(struct exec *x, const struct promql_expr *e,
                                const struct steps *steps, struct node **out,
                                struct sonde_err *err)
{
    struct range *r = node_new(x, sizeof(*r), &selector_ops, e, steps);
    const struct promql_expr *selector = e->range.selector;

    r->shift = shift_settled(x, &selector->selector.shift);
    r->node.range_ms = span_ms(x, e->range.range, e->range.range_ms);
    if (selector->selector.edges != PROMQL_EDGES_PLAIN)
        r->node.before_ms = x->query->lookback_ms;
    if (selector->selector.edges == PROMQL_EDGES_SMOOTHED)
        r->node.after_ms = x->query->lookback_ms;
    *out = &r->node;
    return select_series(
        &r->node, selector,
        window_right(&r->node, 0) - r->node.range_ms - r->node.before_ms + 1,
        window_right(&r->node, steps->count - 1) + r->node.after_ms,
        &r->selected, err);
}

/* ---- subqueries --------------------------------------------------------- */

static sonde_code subquery_columns(struct node *n, size_t i, struct worker *w,
                                   struct columns **out, struct sonde_err *err)
{
    struct range *r = (struct range *)n;
    struct columns *c = &n->scratch[w->number].columns;
    struct row row;
    sonde_code rc = node_row(r->inner, i, w, &row, err);

    if (rc != SONDE_OK)
        return rc;
    columns_reset(c);
    columns_reserve(c, r->inner->steps.count);
    for (size_t k = 0; k < r->inner->steps.count; k++) {
        sonde_msec t = step_time(&r->inner->steps, k);

        if (!row_has(&row, k))
            continue;
        if (row_histogram(&row, k))
            columns_push_histogram(c, t,
                                   histogram_unhinted(&w->arena, row.h[k]));
        else
            columns_push(c, t, row.v[k]);
    }
    *out = c;
    return SONDE_OK;
}

static const struct node_ops subquery_ops = { .columns = subquery_columns };

/* The inner instants of all windows: multiples of the step (a division that
 * truncates, as Prometheus') behind the left edge of the first and up to the
 * right edge of the last. */
static sonde_code subquery_steps(const struct range *r, sonde_msec step,
                                 struct steps *out, struct sonde_err *err)
{
    const struct node *n = &r->node;
    sonde_msec left = window_right(n, 0) - n->range_ms;
    sonde_msec last = window_right(n, n->steps.count - 1);
    sonde_msec start = left / step * step;

    if (start <= left)
        start += step;
    *out = (struct steps){ start, step, 0 };
    if (last < start)
        return SONDE_OK;
    out->count = (size_t)((last - start) / step) + 1;
    if (out->count > n->exec->query->max_samples)
        return exec_hold(n->exec, out->count, err);
    return SONDE_OK;
}

static sonde_code subquery_make(struct exec *x, const struct promql_expr *e,
                                const struct steps *steps, struct node **out,
                                struct sonde_err *err)
{
    struct range *r = node_new(x, sizeof(*r), &subquery_ops, e, steps);
    sonde_msec step = span_ms(x, e->subquery.step, e->subquery.step_ms);
    struct steps inner;
    sonde_code rc;

    r->shift = shift_settled(x, &e->subquery.shift);
    r->node.range_ms = span_ms(x, e->subquery.range, e->subquery.range_ms);
    *out = &r->node;
    rc =
        subquery_steps(r, step ? step : x->query->default_step_ms, &inner, err);
    if (rc != SONDE_OK || inner.count == 0)
        return rc;
    x->tally = TALLY_NOT;
    rc = node_make(x, e->subquery.expr, &inner, &r->inner, err);
    x->tally = r->node.tally;
    if (rc == SONDE_OK)
        series_keep(&r->node, r->inner);
    return rc;
}

sonde_code range_make(struct exec *x, const struct promql_expr *e,
                      const struct steps *steps, struct node **out,
                      struct sonde_err *err)
{
    e = expr_bare(e);
    if (e->kind == PROMQL_SUBQUERY)
        return subquery_make(x, e, steps, out, err);
    return selector_make(x, e, steps, out, err);
}

/* ---- windows ------------------------------------------------------------ */

struct promql_series window_copy(struct arena *a, const struct labels *labels,
                                 const struct window *w)
{
    sonde_msec *t = arena_array(a, sonde_msec, w->n);
    double *v = arena_array(a, double, w->n);
    const struct histogram **h = NULL;

    memcpy(t, w->t, w->n * sizeof(*t));
    memcpy(v, w->v, w->n * sizeof(*v));
    for (size_t i = 0; w->h && i < w->n; i++) {
        if (w->h[i] && !h)
            h = arena_array(a, const struct histogram *, w->n);
        if (w->h[i])
            h[i] = histogram_dup(a, w->h[i]);
    }
    return (struct promql_series){ *labels, w->n, t, v, h };
}
