/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions over what a window holds: its count, sum, average, extremes,
 * spread, first and last sample, how often it changed.
 *
 * Sums and averages of a whole row of floats are made of parts: windows
 * overlap, so the samples between two neighbouring edges are added up once
 * and each window is the sum of its parts (see sums_row). Everything else goes
 * window by window.
 */
#include <math.h>

#include "promql/call.h"
#include "promql/kahan.h"
#include "promql/quantile.h"
#include "promql/tally.h"
#include "util/str.h"

/* ---- what a window is made of -------------------------------------------- */

static void note_mixed(struct range_call *c, struct worker *w)
{
    sonde_str name = range_call_name(c, w->series);

    note_warning(c->node.exec, range_call_place(c),
                 "encountered a mix of histograms and floats for metric name "
                 "\"%.*s\"",
                 SONDE_ARG(name));
}

/* Of the first argument, also where the range is the second. */
static const struct promql_expr *ignored_place(const struct range_call *c)
{
    return c->function->range_arg ? c->node.expr->call.args[0]
                                  : range_call_place(c);
}

/* The floats of a window that also has histograms, which are left out with a
 * note; false if there are none. `v` has room for all. */
static bool floats_only(struct range_call *c, const struct window *win,
                        struct worker *w, double *v, sonde_msec *t, size_t *n)
{
    sonde_str name = range_call_name(c, w->series);

    *n = 0;
    for (size_t i = 0; i < win->n; i++) {
        if (win->h && win->h[i])
            continue;
        v[*n] = win->v[i];
        t[(*n)++] = win->t[i];
    }
    if (*n && *n < win->n)
        note_info(c->node.exec, ignored_place(c),
                  "ignored histograms in a range containing both floats and "
                  "histograms for metric name \"%.*s\"",
                  SONDE_ARG(name));
    return *n > 0;
}

/* Calls `fn` with the floats of a window. */
typedef double (*float_fn)(struct range_call *c, size_t step, const double *v,
                           const sonde_msec *t, size_t n, struct worker *w);

static bool of_floats(struct range_call *c, const struct window *win,
                      size_t step, struct worker *w, struct point *out,
                      float_fn fn)
{
    struct arena_mark mark;
    sonde_msec *t;
    double *v;
    size_t n;
    bool any;

    if (!win->h || !window_histograms(win)) {
        out->v = fn(c, step, win->v, win->t, win->n, w);
        return true;
    }
    mark = arena_mark(&w->arena);
    v = arena_array(&w->arena, double, win->n);
    t = arena_array(&w->arena, sonde_msec, win->n);
    any = floats_only(c, win, w, v, t, &n);
    if (any)
        out->v = fn(c, step, v, t, n, w);
    arena_rewind(&w->arena, mark);
    return any;
}

#define OF_FLOATS(name)                                                        \
    static bool name##_window(struct range_call *c, const struct window *win,  \
                              size_t step, struct worker *w,                   \
                              struct point *out)                               \
    {                                                                          \
        return of_floats(c, win, step, w, out, name);                          \
    }

/* ---- counting ------------------------------------------------------------ */

static bool count_window(struct range_call *c, const struct window *win,
                         size_t step, struct worker *w, struct point *out)
{
    (void)c;
    (void)step;
    (void)w;
    out->v = (double)win->n;
    return true;
}

static bool present_window(struct range_call *c, const struct window *win,
                           size_t step, struct worker *w, struct point *out)
{
    (void)c;
    (void)win;
    (void)step;
    (void)w;
    out->v = 1;
    return true;
}

static bool take_sample(const struct window *win, size_t i, struct point *out)
{
    *out = (struct point){ win->v[i], win->h ? win->h[i] : NULL };
    return true;
}

/* Histograms outlive the columns they came from. */
static bool sample_window(const struct window *win, size_t i, struct worker *w,
                          struct point *out)
{
    (void)take_sample(win, i, out);
    if (out->h)
        out->h = histogram_dup(&w->arena, out->h);
    return true;
}

static bool last_window(struct range_call *c, const struct window *win,
                        size_t step, struct worker *w, struct point *out)
{
    (void)c;
    (void)step;
    return sample_window(win, win->n - 1, w, out);
}

static bool first_window(struct range_call *c, const struct window *win,
                         size_t step, struct worker *w, struct point *out)
{
    (void)c;
    (void)step;
    return sample_window(win, 0, w, out);
}

/* Whether a sample differs from the one before it; NaN is like NaN. */
static bool changed(const struct window *win, size_t i)
{
    const struct histogram *a = win->h ? win->h[i - 1] : NULL;
    const struct histogram *b = win->h ? win->h[i] : NULL;

    if (a || b)
        return !a || !b || !histogram_equal(a, b);
    return win->v[i] != win->v[i - 1] &&
           !(isnan(win->v[i]) && isnan(win->v[i - 1]));
}

static bool changes_window(struct range_call *c, const struct window *win,
                           size_t step, struct worker *w, struct point *out)
{
    size_t n = 0;

    (void)c;
    (void)step;
    (void)w;
    for (size_t i = 1; i < win->n; i++)
        n += changed(win, i);
    out->v = (double)n;
    return true;
}

static bool was_reset(const struct window *win, size_t i)
{
    const struct histogram *a = win->h ? win->h[i - 1] : NULL;
    const struct histogram *b = win->h ? win->h[i] : NULL;

    if (a && b)
        return histogram_was_reset(a, b);
    return (a != NULL) != (b != NULL) || win->v[i] < win->v[i - 1];
}

static bool resets_window(struct range_call *c, const struct window *win,
                          size_t step, struct worker *w, struct point *out)
{
    size_t n = 0;

    (void)c;
    (void)step;
    (void)w;
    for (size_t i = 1; i < win->n; i++)
        n += was_reset(win, i);
    out->v = (double)n;
    return true;
}

/* ---- sums and averages --------------------------------------------------- */

struct part {
    double sum, lost;
    size_t n;
};

static struct part part_of(const double *v, size_t n)
{
    struct part p = { n ? v[0] : 0, 0, n };

    for (size_t i = 1; i < n; i++)
        kahan_add(&p.sum, &p.lost, v[i]);
    return p;
}

static void part_join(struct part *to, const struct part *from)
{
    if (from->n == 0)
        return;
    if (to->n == 0) {
        *to = *from;
        return;
    }
    kahan_add(&to->sum, &to->lost, from->sum);
    if (!isinf(to->sum))
        to->lost += from->lost;
    to->n += from->n;
}

/* The mean of values whose sum overflows. */
static double running_mean(const double *v, size_t n)
{
    double mean = v[0], lost = 0;

    for (size_t i = 1; i < n; i++) {
        double count = (double)i + 1, q = (double)i / count;

        mean *= q;
        lost *= q;
        kahan_add(&mean, &lost, v[i] / count);
    }
    return mean + lost;
}

static double sum_or_mean(const struct part *p, bool mean, const double *v)
{
    if (!mean)
        return p->sum + p->lost;
    if (isinf(p->sum))
        return running_mean(v, p->n);
    return p->sum / (double)p->n + p->lost / (double)p->n;
}

static bool is_mean(const struct range_call *c)
{
    return c->function->name[0] == 'a';
}

/* `edges` begins with the left edges of all windows, then the right ones, both
 * ascending; behind them all are put into one ascending row without doubles.
 * Returns its length. */
static size_t merge_edges(uint32_t *edges, size_t steps)
{
    const uint32_t *lo = edges, *hi = edges + steps;
    uint32_t *out = edges + 2 * steps;
    size_t i = 0, k = 0, n = 0;

    while (i < steps || k < steps) {
        uint32_t e =
            i < steps && (k == steps || lo[i] <= hi[k]) ? lo[i++] : hi[k++];

        if (n == 0 || out[n - 1] != e)
            out[n++] = e;
    }
    return n;
}

/* Edges of all windows cut the samples into parts; a window is a run of
 * them. Worth it where windows overlap much; else each is added up. */
static void sums_row(struct range_call *c, const struct columns *cols,
                     struct worker *w, struct row *out)
{
    size_t steps = c->node.steps.count;
    uint32_t *edges = scratch_numbers(&c->node, w, steps * 4 + 2);
    struct slide s = slide_begin(c->range, cols);
    struct arena_mark mark = arena_mark(&w->arena);
    struct part *parts;
    struct tally seen = tally_begin(&c->node, w);
    struct window win;
    size_t cuts;

    for (size_t k = 0; slide_next(&s, &win); k++) {
        edges[k] = (uint32_t)s.lo;
        edges[steps + k] = (uint32_t)s.hi;
        tally_add(&seen, k, window_weight(&win));
    }
    tally_end(&seen, &c->node, w);
    cuts = merge_edges(edges, steps);
    parts = arena_array(&w->arena, struct part, cuts + 1);
    for (size_t i = 0; i + 1 < cuts; i++) {
        uint32_t from = edges[2 * steps + i], to = edges[2 * steps + i + 1];

        parts[i] = part_of(cols->v + from, to - from);
    }
    for (size_t k = 0, at = 0; k < steps; k++) {
        uint32_t lo = edges[k], hi = edges[steps + k];
        struct part all = { 0 };

        if (lo == hi)
            continue;
        while (edges[2 * steps + at] < lo)
            at++;
        for (size_t i = at; edges[2 * steps + i] < hi; i++)
            part_join(&all, &parts[i]);
        row_put(&c->node, w, out, k,
                &(struct point){ sum_or_mean(&all, is_mean(c), cols->v + lo),
                                 NULL });
    }
    arena_rewind(&w->arena, mark);
}

static bool sums_window(struct range_call *c, const struct window *win,
                        size_t step, struct worker *w, struct point *out)
{
    size_t histograms = window_histograms(win);
    struct part p;

    (void)step;
    if (histograms == win->n)
        return histogram_sums(c, win, is_mean(c), w, out);
    if (histograms) {
        note_mixed(c, w);
        return false;
    }
    p = part_of(win->v, win->n);
    out->v = sum_or_mean(&p, is_mean(c), win->v);
    return true;
}

/* ---- extremes ------------------------------------------------------------ */

static double min_over(struct range_call *c, size_t step, const double *v,
                       const sonde_msec *t, size_t n, struct worker *w)
{
    double m = v[0];

    (void)c, (void)step, (void)t, (void)w;
    for (size_t i = 1; i < n; i++)
        if (v[i] < m || isnan(m))
            m = v[i];
    return m;
}

static double max_over(struct range_call *c, size_t step, const double *v,
                       const sonde_msec *t, size_t n, struct worker *w)
{
    double m = v[0];

    (void)c, (void)step, (void)t, (void)w;
    for (size_t i = 1; i < n; i++)
        if (v[i] > m || isnan(m))
            m = v[i];
    return m;
}

/* The latest of equals. */
static double ts_of_min(struct range_call *c, size_t step, const double *v,
                        const sonde_msec *t, size_t n, struct worker *w)
{
    size_t at = 0;

    (void)c, (void)step, (void)w;
    for (size_t i = 1; i < n; i++)
        if (v[i] <= v[at] || isnan(v[at]))
            at = i;
    return (double)t[at] / 1000;
}

static double ts_of_max(struct range_call *c, size_t step, const double *v,
                        const sonde_msec *t, size_t n, struct worker *w)
{
    size_t at = 0;

    (void)c, (void)step, (void)w;
    for (size_t i = 1; i < n; i++)
        if (v[i] >= v[at] || isnan(v[at]))
            at = i;
    return (double)t[at] / 1000;
}

static bool ts_of_first_window(struct range_call *c, const struct window *win,
                               size_t step, struct worker *w, struct point *out)
{
    (void)c, (void)step, (void)w;
    out->v = (double)win->t[0] / 1000;
    return true;
}

static bool ts_of_last_window(struct range_call *c, const struct window *win,
                              size_t step, struct worker *w, struct point *out)
{
    (void)c, (void)step, (void)w;
    out->v = (double)win->t[win->n - 1] / 1000;
    return true;
}

OF_FLOATS(min_over)
OF_FLOATS(max_over)
OF_FLOATS(ts_of_min)
OF_FLOATS(ts_of_max)

/* ---- spread -------------------------------------------------------------- */

/* Welford's variance with compensation of mean and squares. */
static double variance(const double *v, size_t n)
{
    double mean = 0, mean_lost = 0, squares = 0, squares_lost = 0;

    for (size_t i = 0; i < n; i++) {
        double delta = v[i] - (mean + mean_lost);

        kahan_add(&mean, &mean_lost, delta / (double)(i + 1));
        kahan_add(&squares, &squares_lost, delta * (v[i] - (mean + mean_lost)));
    }
    return (squares + squares_lost) / (double)n;
}

static double stdvar(struct range_call *c, size_t step, const double *v,
                     const sonde_msec *t, size_t n, struct worker *w)
{
    (void)c, (void)step, (void)t, (void)w;
    return variance(v, n);
}

static double stddev(struct range_call *c, size_t step, const double *v,
                     const sonde_msec *t, size_t n, struct worker *w)
{
    (void)c, (void)step, (void)t, (void)w;
    return sqrt(variance(v, n));
}

static double quantile(struct range_call *c, size_t step, const double *v,
                       const sonde_msec *t, size_t n, struct worker *w)
{
    struct arena_mark mark = arena_mark(&w->arena);
    double *sorted = arena_array(&w->arena, double, n), q;

    (void)t;
    memcpy(sorted, v, n * sizeof(*v));
    note_quantile(c->node.exec, c->node.expr->call.args[0],
                  c->scalars[0][step]);
    q = quantile_floats(c->scalars[0][step], sorted, n);
    arena_rewind(&w->arena, mark);
    return q;
}

/* The median of the distances from the median. */
static double mad(struct range_call *c, size_t step, const double *v,
                  const sonde_msec *t, size_t n, struct worker *w)
{
    struct arena_mark mark = arena_mark(&w->arena);
    double *x = arena_array(&w->arena, double, n), median, result;

    (void)c, (void)step, (void)t;
    memcpy(x, v, n * sizeof(*v));
    median = quantile_floats(0.5, x, n);
    for (size_t i = 0; i < n; i++)
        x[i] = fabs(v[i] - median);
    result = quantile_floats(0.5, x, n);
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i]))
            result = NAN;
    arena_rewind(&w->arena, mark);
    return result;
}

OF_FLOATS(stdvar)
OF_FLOATS(stddev)
OF_FLOATS(quantile)
OF_FLOATS(mad)

const struct range_function over_time_functions[] = {
    { .name = "avg_over_time", .window = sums_window, .floats = sums_row },
    { .name = "changes", .window = changes_window },
    { .name = "count_over_time", .window = count_window },
    { .name = "first_over_time", .window = first_window, .keeps_name = true },
    { .name = "last_over_time", .window = last_window, .keeps_name = true },
    { .name = "mad_over_time", .window = mad_window },
    { .name = "max_over_time", .window = max_over_window },
    { .name = "min_over_time", .window = min_over_window },
    { .name = "present_over_time", .window = present_window },
    { .name = "quantile_over_time", .window = quantile_window, .range_arg = 1 },
    { .name = "resets", .window = resets_window },
    { .name = "stddev_over_time", .window = stddev_window },
    { .name = "stdvar_over_time", .window = stdvar_window },
    { .name = "sum_over_time", .window = sums_window, .floats = sums_row },
    { .name = "ts_of_first_over_time", .window = ts_of_first_window },
    { .name = "ts_of_last_over_time", .window = ts_of_last_window },
    { .name = "ts_of_max_over_time", .window = ts_of_max_window },
    { .name = "ts_of_min_over_time", .window = ts_of_min_window },
    { 0 },
};
