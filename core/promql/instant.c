/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instant vector selectors: at each step the newest sample that is at most
 * the lookback old (the left edge is outside); none if that is a stale
 * marker. One walk over the samples serves all steps.
 */
#include "promql/select.h"

struct instant {
    struct node node;
    struct selected selected;
    bool times; /* the samples' times in seconds are asked for             */
};

/* Where samples are looked for at the first and the last step. */
static void reach(const struct exec *x, const struct promql_shift *shift,
                  const struct steps *steps, sonde_msec *first,
                  sonde_msec *last)
{
    *first = shift_time(x, shift, steps, 0);
    *last = shift_time(x, shift, steps, steps->count - 1);
}

static void take(struct instant *n, struct worker *w, const struct columns *c,
                 size_t at, size_t step, struct row *out)
{
    out->v[step] = n->times ? (double)c->t[at] / 1000 : c->v[at];
    if (c->h && c->h[at] && !n->times) {
        row_histograms(&n->node, w, out);
        out->h[step] = histogram_to_float(&w->arena, c->h[at]);
    }
}

static sonde_code instant_row(struct node *base, size_t i, struct worker *w,
                              struct row *out, struct sonde_err *err)
{
    struct instant *n = (struct instant *)base;
    const struct promql_shift *shift = &base->expr->selector.shift;
    sonde_msec lookback = base->exec->query->lookback_ms;
    struct columns *c;
    size_t next = 0; /* first sample behind the step                       */
    sonde_code rc = select_read(base, &n->selected, i, w, &c, err);

    if (rc != SONDE_OK)
        return rc;
    row_begin(base, w, out);
    for (size_t k = 0; k < base->steps.count; k++) {
        sonde_msec at = shift_time(base->exec, shift, &base->steps, k);

        while (next < c->count && c->t[next] <= at)
            next++;
        if (next == 0 || c->t[next - 1] <= at - lookback ||
            is_stale_nan(c->v[next - 1]))
            continue;
        take(n, w, c, next - 1, k, out);
        w->queryable++;
    }
    return SONDE_OK;
}

static const struct node_ops instant_ops = { .row = instant_row };

sonde_code instant_make(struct exec *x, const struct promql_expr *e,
                        const struct steps *steps, bool want_times,
                        struct node **out, struct sonde_err *err)
{
    struct instant *n = node_new(x, sizeof(*n), &instant_ops, e, steps);
    sonde_msec first, last;

    n->times = want_times;
    reach(x, &e->selector.shift, steps, &first, &last);
    *out = &n->node;
    return select_series(&n->node, e, first - x->query->lookback_ms + 1, last,
                         &n->selected, err);
}
