/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms over ranges: resets of counters, growth, sums and averages, the
 * step between the last two.
 *
 * Growth is the last histogram without the first, plus those before every
 * reset, in the coarsest resolution of the window; a result is never a counter.
 */
#include <math.h>

#include "promql/call.h"
#include "promql/hist.h"

static void note_mixed(struct range_call *c, struct worker *w)
{
    sonde_str name = range_call_name(c, w->series);

    note_warning(c->node.exec, range_call_place(c),
                 "encountered a mix of histograms and floats for metric name "
                 "\"%.*s\"",
                 SONDE_ARG(name));
}

static void note_layouts(struct range_call *c, struct worker *w)
{
    sonde_str name = range_call_name(c, w->series);

    note_warning(c->node.exec, range_call_place(c),
                 "vector contains a mix of histograms with exponential and "
                 "custom buckets schemas for metric name \"%.*s\"",
                 SONDE_ARG(name));
}

static void note_kind(struct range_call *c, struct worker *w, bool counter)
{
    sonde_str name = range_call_name(c, w->series);

    note_warning(c->node.exec, range_call_place(c),
                 "this native histogram metric is not a %s: \"%.*s\"",
                 counter ? "counter" : "gauge", SONDE_ARG(name));
}

static void note_reconciled(struct range_call *c, const char *what)
{
    note_info(c->node.exec, range_call_place(c),
              "mismatched custom buckets were reconciled during %s", what);
}

/* ---- resets -------------------------------------------------------------- */

static double at_index(const struct hist_buckets *b, size_t *i, int32_t at)
{
    while (*i < b->count && b->items[*i].at < at)
        ++*i;
    return *i < b->count && b->items[*i].at == at ? b->items[*i].n.v : 0;
}

/* Whether any bucket has less than before. */
static bool any_less(const struct hist_buckets *before,
                     const struct hist_buckets *after)
{
    size_t k = 0;

    for (size_t i = 0; i < before->count; i++) {
        double had = before->items[i].n.v + before->items[i].n.lost;

        if (had != 0 && at_index(after, &k, before->items[i].at) < had)
            return true;
    }
    return false;
}

static bool exponential_reset(struct hist *before, const struct hist *after)
{
    if (after->schema > before->schema ||
        after->zero_threshold < before->zero_threshold)
        return true;
    if (!hist_widen_zero(before, after->zero_threshold))
        return true;
    if (after->zero.v < before->zero.v + before->zero.lost)
        return true;
    hist_reduce(before, after->schema);
    return any_less(&before->negative, &after->negative) ||
           any_less(&before->positive, &after->positive);
}

bool histogram_was_reset(const struct histogram *before,
                         const struct histogram *after)
{
    struct hist a, b;
    struct arena arena;
    bool reset;

    if (after->hint == HISTOGRAM_RESET)
        return true;
    if (after->hint == HISTOGRAM_NO_RESET)
        return false;
    if (after->count.f < before->count.f)
        return true;
    if ((after->schema == HISTOGRAM_CUSTOM) !=
        (before->schema == HISTOGRAM_CUSTOM))
        return true;
    arena_init(&arena);
    a = hist_open(&arena, before);
    b = hist_open(&arena, after);
    if (after->schema == HISTOGRAM_CUSTOM) {
        (void)hist_reconcile(&arena, &a, &b);
        reset = any_less(&a.positive, &b.positive);
    } else {
        reset = exponential_reset(&a, &b);
    }
    arena_fini(&arena);
    return reset;
}

/* ---- growth -------------------------------------------------------------- */

static bool is_custom(const struct histogram *h)
{
    return h->schema == HISTOGRAM_CUSTOM;
}

/* A histogram of nothing in the layout of another. */
static struct histogram nothing_like(const struct histogram *h)
{
    return (struct histogram){
        .is_float = true,
        .schema = h->schema,
        .custom_bounds = h->custom_bounds,
        .custom_count = h->custom_count,
    };
}

/* False: the window's histograms do not go together. */
static bool layouts_agree(struct range_call *c, const struct window *win,
                          const struct histogram *first, bool counter,
                          struct worker *w, int32_t *schema)
{
    *schema = first->schema;
    for (size_t i = 1; i < win->n; i++) {
        const struct histogram *h = win->h[i];

        if (!counter && i + 1 < win->n)
            continue;
        if (is_custom(h) != is_custom(first)) {
            note_layouts(c, w);
            return false;
        }
        if (h->schema < *schema)
            *schema = h->schema;
    }
    return true;
}

static void check_kinds(struct range_call *c, const struct window *win,
                        bool counter, struct worker *w)
{
    bool gauge = false, all = true;

    for (size_t i = 0; i < win->n; i++) {
        bool is = win->h[i]->hint == HISTOGRAM_GAUGE;

        gauge |= is;
        if (i == 0 || i + 1 == win->n)
            all &= is;
    }
    if (counter ? gauge : !all)
        note_kind(c, w, counter);
}

static struct hist grown_by(struct range_call *c, const struct window *win,
                            const struct histogram *first, bool counter,
                            int32_t schema, struct worker *w)
{
    struct hist sum = hist_open(&w->arena, win->h[win->n - 1]);
    struct hist part = hist_open(&w->arena, first);
    const struct histogram *before = first;
    unsigned met;

    hist_reduce(&sum, schema);
    met = hist_subtract(&w->arena, &sum, &part);
    for (size_t i = 1; counter && i < win->n; i++) {
        if (histogram_was_reset(before, win->h[i])) {
            part = hist_open(&w->arena, before);
            met |= hist_add(&w->arena, &sum, &part);
        }
        before = win->h[i];
    }
    if (met & HIST_RECONCILED)
        note_reconciled(c, "subtraction");
    sum.hint = HISTOGRAM_GAUGE;
    return sum;
}

bool histogram_growth(struct range_call *c, const struct window *win,
                      bool counter, bool per_second, struct worker *w,
                      struct point *out)
{
    struct histogram none;
    const struct histogram *first = win->h[0];
    struct hist sum;
    double factor;
    int32_t schema;

    if (window_histograms(win) < win->n) {
        note_mixed(c, w);
        return false;
    }
    check_kinds(c, win, counter, w);
    if (counter && histogram_was_reset(first, win->h[1])) {
        none = nothing_like(win->h[1]);
        first = &none;
    }
    if (!layouts_agree(c, win, first, counter, w, &schema))
        return false;
    sum = grown_by(c, win, first, counter, schema, w);
    factor = extrapolate_factor(win, sum.count.v + sum.count.lost,
                                win->h[0]->count.f, counter);
    if (per_second)
        factor /= (double)c->range->range_ms / 1000;
    hist_multiply(&sum, factor);
    out->h = hist_close(&w->arena, &sum);
    return true;
}

bool histogram_step(struct range_call *c, const struct histogram *before,
                    const struct histogram *last, double gap_s,
                    struct worker *w, struct point *out)
{
    bool counter = gap_s > 0;
    struct hist sum = hist_open(&w->arena, last);
    struct hist part = hist_open(&w->arena, before);
    unsigned met = 0;
    bool gauge =
        before->hint == HISTOGRAM_GAUGE && last->hint == HISTOGRAM_GAUGE;

    if (counter
            ? before->hint == HISTOGRAM_GAUGE || last->hint == HISTOGRAM_GAUGE
            : !gauge)
        note_kind(c, w, counter);
    if (!counter || !histogram_was_reset(before, last))
        met = hist_subtract(&w->arena, &sum, &part);
    if (met & HIST_INCOMPATIBLE) {
        note_layouts(c, w);
        return false;
    }
    if (met & HIST_RECONCILED)
        note_reconciled(c, "subtraction");
    sum.hint = HISTOGRAM_GAUGE;
    if (counter)
        hist_divide(&sum, gap_s);
    out->h = hist_close(&w->arena, &sum);
    return true;
}

/* ---- sums ---------------------------------------------------------------- */

bool histogram_sums(struct range_call *c, const struct window *win, bool mean,
                    struct worker *w, struct point *out)
{
    struct hist sum = hist_open(&w->arena, win->h[0]);
    bool resets = win->h[0]->hint == HISTOGRAM_RESET;
    bool none = win->h[0]->hint == HISTOGRAM_NO_RESET;
    unsigned met = 0;

    for (size_t i = 1; i < win->n; i++) {
        struct hist next = hist_open(&w->arena, win->h[i]);

        resets |= next.hint == HISTOGRAM_RESET;
        none |= next.hint == HISTOGRAM_NO_RESET;
        met |= hist_add(&w->arena, &sum, &next);
        if (met & HIST_INCOMPATIBLE) {
            note_layouts(c, w);
            return false;
        }
    }
    if (resets && none)
        note_warning(c->node.exec, range_call_place(c),
                     "conflicting counter resets during histogram "
                     "aggregation");
    if (met & HIST_RECONCILED)
        note_reconciled(c, "aggregation");
    if (mean)
        hist_divide(&sum, (double)win->n);
    out->h = hist_close(&w->arena, &sum);
    return true;
}
