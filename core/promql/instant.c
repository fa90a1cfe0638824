/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instant vector selectors: at each step the newest sample that is at most
 * the lookback old (the left edge is outside); none if that is a stale
 * marker. One walk over the samples serves all steps.
 *
 * Smoothed ones take the value on the line between the samples before and
 * after the step, each at most the lookback away; behind the last sample its
 * value stays, before the first there is none.
 */
#include "promql/edges.h"
#include "promql/hist.h"
#include "promql/select.h"
#include "promql/tally.h"
#include "util/str.h"

struct instant {
    struct node node;
    struct selected selected;
    struct promql_shift shift;
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
    const struct promql_shift *shift = &n->shift;
    sonde_msec lookback = base->exec->query->lookback_ms;
    struct tally seen = tally_begin(base, w);
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
        tally_add(&seen, k,
                  c->h && c->h[next - 1] ? histogram_weight(c->h[next - 1])
                                         : 1);
    }
    tally_end(&seen, base, w);
    return SONDE_OK;
}

static const struct node_ops instant_ops = { .row = instant_row };

/* ---- smoothed -------------------------------------------------------------
 */

struct near {
    const struct columns *c;
    size_t lo, hi; /* samples in reach: [lo, hi)                           */
    size_t next;   /* the first at or behind the step, or hi               */
    sonde_msec at;
};

static size_t count_histograms(const struct near *s)
{
    size_t n = 0;

    for (size_t i = s->lo; s->c->h && i < s->hi; i++)
        n += s->c->h[i] != NULL;
    return n;
}

static void note_mix(struct node *n, size_t series, const char *what)
{
    sonde_str name =
        labels_get(&n->series[series].labels, sonde_cstr(LABEL_NAME));

    note_warning(n->exec, n->expr, "%s for metric name \"%.*s\"", what,
                 SONDE_ARG(name));
}

static const struct histogram *smooth_histogram(struct node *n, size_t series,
                                                struct worker *w,
                                                const struct near *s)
{
    const struct columns *c = s->c;
    size_t i = s->next;
    struct edge_pair pair = { .t_before = c->t[i - 1] };
    const struct histogram *h;
    unsigned met = 0;

    if (i == s->hi)
        return histogram_unhinted(&w->arena, c->h[i - 1]);
    pair.before = c->h[i - 1];
    pair.after = c->h[i];
    pair.t_after = c->t[i];
    pair.counter = pair.before->hint != HISTOGRAM_GAUGE ||
                   pair.after->hint != HISTOGRAM_GAUGE;
    h = histogram_between(&pair, s->at, w, &met);
    if (!h)
        note_mix(n, series,
                 "vector contains a mix of histograms with exponential and "
                 "custom buckets schemas");
    if (met & HIST_RECONCILED)
        note_info(n->exec, n->expr,
                  "mismatched custom buckets were reconciled during "
                  "subtraction");
    return h;
}

static double smooth_float(const struct near *s)
{
    const struct columns *c = s->c;
    size_t i = s->next;

    if (i == s->hi)
        return c->v[i - 1];
    return c->v[i - 1] + (c->v[i] - c->v[i - 1]) *
                             (double)(s->at - c->t[i - 1]) /
                             (double)(c->t[i] - c->t[i - 1]);
}

/* The value at one step; false: none. */
static bool smooth(struct node *n, size_t series, struct worker *w,
                   const struct near *s, struct point *out)
{
    size_t histograms = count_histograms(s), i = s->next;

    if (s->lo == s->hi)
        return false;
    if (histograms && histograms < s->hi - s->lo) {
        note_mix(n, series, "encountered a mix of histograms and floats");
        return false;
    }
    if (i < s->hi && s->c->t[i] == s->at) {
        *out = (struct point){ s->c->v[i], NULL };
        if (histograms)
            out->h = histogram_dup(&w->arena, s->c->h[i]);
        return true;
    }
    if (i == s->lo)
        return false;
    if (!histograms) {
        *out = (struct point){ smooth_float(s), NULL };
        return true;
    }
    *out = (struct point){ 0, smooth_histogram(n, series, w, s) };
    return out->h != NULL;
}

static sonde_code smoothed_row(struct node *base, size_t i, struct worker *w,
                               struct row *out, struct sonde_err *err)
{
    struct instant *n = (struct instant *)base;
    sonde_msec lookback = base->exec->query->lookback_ms;
    struct tally seen = tally_begin(base, w);
    struct near s = { 0 };
    struct columns *c;
    sonde_code rc = select_read_live(base, &n->selected, i, w, &c, err);

    if (rc != SONDE_OK)
        return rc;
    s.c = c;
    row_begin(base, w, out);
    for (size_t k = 0; k < base->steps.count; k++) {
        struct point p;

        s.at = shift_time(base->exec, &n->shift, &base->steps, k);
        while (s.lo < c->count && c->t[s.lo] <= s.at - lookback)
            s.lo++;
        while (s.hi < c->count && c->t[s.hi] <= s.at + lookback)
            s.hi++;
        s.next = s.next < s.lo ? s.lo : s.next;
        while (s.next < s.hi && c->t[s.next] < s.at)
            s.next++;
        tally_add(&seen, k, s.hi - s.lo);
        if (smooth(base, i, w, &s, &p))
            row_put(base, w, out, k, &p);
    }
    tally_end(&seen, base, w);
    return SONDE_OK;
}

static const struct node_ops smoothed_ops = { .row = smoothed_row };

sonde_code instant_make(struct exec *x, const struct promql_expr *e,
                        const struct steps *steps, bool want_times,
                        struct node **out, struct sonde_err *err)
{
    bool smoothed = e->selector.edges == PROMQL_EDGES_SMOOTHED && !want_times;
    struct instant *n = node_new(
        x, sizeof(*n), smoothed ? &smoothed_ops : &instant_ops, e, steps);
    sonde_msec first, last;

    n->times = want_times;
    n->shift = shift_settled(x, &e->selector.shift);
    reach(x, &n->shift, steps, &first, &last);
    *out = &n->node;
    return select_series(&n->node, e, first - x->query->lookback_ms + 1,
                         smoothed ? last + x->query->lookback_ms : last,
                         &n->selected, err);
}
