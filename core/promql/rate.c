/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate, increase and delta: what a window's samples grew by, extrapolated to
 * the window's edges as Prometheus 3.x does it. The source of the rules is
 * its documented behaviour (see extrapolate).
 *
 * Counters: a value below the one before it is a reset, and the value before
 * is added. A whole row of floats is done in one walk: where the series
 * resets nowhere (one pass tells) a window costs a handful of operations
 * however many samples are in it; where it does, the resets are counted up
 * front and only windows that have one look for it.
 */
#include "promql/call.h"
#include "promql/edges.h"
#include "util/str.h"

struct edges {
    sonde_msec first, last; /* times of the window's samples               */
    size_t n;
    sonde_msec left, right; /* of the window                               */
};

/* What the growth between first and last sample is multiplied with. An edge
 * is reached if it is nearer than 1.1 mean intervals, else half an interval is
 * assumed; a counter is not extended beyond where it would have been zero. */
static inline double extrapolate(const struct edges *e, double growth,
                                 double first_value, bool counter)
{
    double to_start = (double)(e->first - e->left) / 1000;
    double to_end = (double)(e->right - e->last) / 1000;
    double interval = (double)(e->last - e->first) / 1000;
    double mean = interval / (double)(e->n - 1);
    double threshold = mean * 1.1;

    if (to_start >= threshold)
        to_start = mean / 2;
    if (counter && growth > 0 && first_value >= 0) {
        double to_zero = interval * (first_value / growth);

        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = mean / 2;
    return (interval + to_start + to_end) / interval;
}

/* The growth with what resets hid, added one after the other as Prometheus
 * does it. */
static inline double with_resets(double growth, const double *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (v[i] < v[i - 1])
            growth += v[i - 1];
    return growth;
}

enum growth_kind {
    DELTA,
    INCREASE,
    RATE
};

static enum growth_kind kind_of(const struct range_call *c)
{
    char first = c->function->name[0];

    return first == 'd' ? DELTA : first == 'i' ? INCREASE : RATE;
}

/* Names that counters have. */
static bool looks_like_counter(sonde_str name)
{
    static const char *const ends[] = { "_total", "_sum", "_count", "_bucket" };

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
        if (str_ends(name, sonde_cstr(ends[i])))
            return true;
    return name.len == 0;
}

/* What the series says of itself where it does. */
static void note_type(struct range_call *c, size_t series, sonde_str name)
{
    sonde_str type =
        labels_get(&c->range->series[series].labels, SONDE_STR("__type__"));

    if (!str_eq_cstr(type, "counter") && !str_eq_cstr(type, "histogram"))
        note_info(c->node.exec, range_call_place(c),
                  "metric might not be a counter, __type__ label is not set "
                  "to \"counter\" or \"histogram\", got \"%.*s\": "
                  "\"%.*s\"",
                  SONDE_ARG(type), SONDE_ARG(name));
}

static void note_counter(struct range_call *c, size_t series)
{
    sonde_str name = range_call_name(c, series);

    if (name.len && c->node.exec->query->features & PROMQL_TYPE_AND_UNIT)
        note_type(c, series, name);
    else if (!looks_like_counter(name))
        note_info(c->node.exec, range_call_place(c),
                  "metric might not be a counter, name does not end in "
                  "_total/_sum/_count/_bucket: \"%.*s\"",
                  SONDE_ARG(name));
}

static double grown(enum growth_kind kind, const struct edges *e,
                    double first_value, double growth, double range_s)
{
    double factor = extrapolate(e, growth, first_value, kind != DELTA);

    return growth * (kind == RATE ? factor / range_s : factor);
}

/* ---- a row of floats ----------------------------------------------------- */

static bool any_reset(const double *v, size_t n)
{
    bool any = false;

    for (size_t i = 1; i < n; i++)
        any |= v[i] < v[i - 1];
    return any;
}

/* Resets up to each sample. */
static uint32_t *count_resets(struct range_call *c, const struct columns *cols,
                              struct worker *w)
{
    uint32_t *count = scratch_numbers(&c->node, w, cols->count);
    uint32_t so_far = 0;

    for (size_t i = 0; i < cols->count; i++) {
        so_far += i && cols->v[i] < cols->v[i - 1];
        count[i] = so_far;
    }
    return count;
}

static void growth_floats(struct range_call *c, const struct columns *cols,
                          struct worker *w, struct row *out)
{
    enum growth_kind kind = kind_of(c);
    double range_s = (double)c->range->range_ms / 1000;
    uint32_t *resets = NULL;
    struct slide s = slide_begin(c->range, cols);
    struct window win;
    bool any = false;

    if (kind != DELTA && any_reset(cols->v, cols->count))
        resets = count_resets(c, cols, w);
    for (size_t k = 0; slide_next(&s, &win); k++) {
        struct edges e = { 0, 0, win.n, win.left, win.right };
        double growth;

        w->queryable += win.n;
        if (win.n < 2)
            continue;
        e.first = win.t[0];
        e.last = win.t[win.n - 1];
        growth = win.v[win.n - 1] - win.v[0];
        if (resets && resets[s.hi - 1] != resets[s.lo])
            growth = with_resets(growth, win.v, win.n);
        row_set(out, k, grown(kind, &e, win.v[0], growth, range_s));
        any = true;
    }
    if (any && kind != DELTA)
        note_counter(c, w->series);
}

/* ---- one window, histograms too ------------------------------------------ */

/* From edge to edge, without extrapolation. */
static bool edged_window(struct range_call *c, const struct window *win,
                         struct worker *w, struct point *out)
{
    enum growth_kind kind = kind_of(c);
    struct growth_wanted want = {
        .counter = kind != DELTA,
        .over_s = kind == RATE ? (double)c->range->range_ms / 1000 : 0,
    };

    if (!edges_growth(c, win, &want, w, out))
        return false;
    if (!out->h && want.counter)
        note_counter(c, w->series);
    return true;
}

static bool growth_window(struct range_call *c, const struct window *win,
                          size_t step, struct worker *w, struct point *out)
{
    enum growth_kind kind = kind_of(c);
    struct edges e = { win->t[0], win->t[win->n - 1], win->n, win->left,
                       win->right };
    double growth;

    (void)step;
    if (range_edges(c->range) != PROMQL_EDGES_PLAIN)
        return edged_window(c, win, w, out);
    if (win->n < 2)
        return false;
    if (window_histograms(win))
        return histogram_growth(c, win, kind != DELTA, kind == RATE, w, out);
    growth = win->v[win->n - 1] - win->v[0];
    if (kind != DELTA) {
        growth = with_resets(growth, win->v, win->n);
        note_counter(c, w->series);
    }
    out->v =
        grown(kind, &e, win->v[0], growth, (double)c->range->range_ms / 1000);
    return true;
}

double extrapolate_factor(const struct window *w, double growth,
                          double first_value, bool counter)
{
    struct edges e = { w->t[0], w->t[w->n - 1], w->n, w->left, w->right };

    return extrapolate(&e, growth, first_value, counter);
}

const struct range_function rate_functions[] = {
    { .name = "delta", .window = growth_window, .floats = growth_floats },
    { .name = "increase", .window = growth_window, .floats = growth_floats },
    { .name = "rate", .window = growth_window, .floats = growth_floats },
    { 0 },
};
