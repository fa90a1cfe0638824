/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate, increase and delta: what a window's samples grew by, extrapolated to
 * the window's edges as Prometheus 3.x does it. The source of the rules is
 * its documented behaviour (see extrapolate).
 *
 * Counters: a value below the one before it is a reset, and the value before
 * is added. A whole row of floats is done in three walks: windows are found,
 * with resets found up front so that a window costs as much as it has of them
 * and not as it has samples; what extrapolation divides is divided for several
 * windows at once; then the values are put in place.
 */
#include "promql/call.h"
#include "promql/edges.h"
#include "promql/tally.h"
#include "util/str.h"

/* Numbers that are worked on at once. */
#define LANES 2
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t lane_masks __attribute__((vector_size(LANES * sizeof(double))));

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

/* The resets of a row: which samples are below the one before. Windows slide
 * over them as they do over the samples. */
struct resets {
    const double *v;
    const uint32_t *at;
    size_t count;
    size_t from, to; /* those within the window                            */
};

static struct resets find_resets(struct range_call *c,
                                 const struct columns *cols, struct worker *w)
{
    struct resets r = { .v = cols->v };
    uint32_t *at = scratch_numbers(&c->node, w, cols->count + 1);

    /* Written each time and kept if it is one: nothing to be guessed. */
    for (size_t i = 1; i < cols->count; i++) {
        at[r.count] = (uint32_t)i;
        r.count += cols->v[i] < cols->v[i - 1];
    }
    r.at = at;
    return r;
}

/* with_resets() of the samples `lo` up to `hi`; both only move forward. */
static inline double with_found(struct resets *r, double growth, size_t lo,
                                size_t hi)
{
    while (r->from < r->count && r->at[r->from] <= lo)
        r->from++;
    while (r->to < r->count && r->at[r->to] < hi)
        r->to++;
    for (size_t i = r->from; i < r->to; i++)
        growth += r->v[r->at[i] - 1];
    return growth;
}

/* What extrapolation needs of each window, side by side: `count` of them, in
 * arrays with room for whole lanes. */
struct growths {
    double *to_start, *to_end, *interval; /* ms                              */
    double *gaps;                         /* between samples: one less       */
    double *growth, *first;
    uint32_t *steps;
    size_t count;
};

static double *lane_array(struct worker *w, size_t steps)
{
    return arena_array(&w->arena, double, (steps + LANES - 1) / LANES * LANES);
}

static struct growths growths_new(struct worker *w, size_t steps)
{
    return (struct growths){
        lane_array(w, steps),
        lane_array(w, steps),
        lane_array(w, steps),
        lane_array(w, steps),
        lane_array(w, steps),
        lane_array(w, steps),
        arena_array(&w->arena, uint32_t, steps),
        0,
    };
}

static void growths_find(struct range_call *c, const struct columns *cols,
                         struct worker *w, struct growths *g)
{
    bool counter = kind_of(c) != DELTA;
    struct slide s = slide_begin(c->range, cols);
    struct resets resets = { 0 };
    struct tally seen = tally_begin(&c->node, w);
    struct window win;

    if (counter)
        resets = find_resets(c, cols, w);
    for (uint32_t k = 0; slide_next(&s, &win); k++) {
        size_t last = win.n - 1, i = g->count;
        double growth;

        tally_add(&seen, k, win.n);
        if (win.n < 2)
            continue;
        growth = win.v[last] - win.v[0];
        if (resets.count)
            growth = with_found(&resets, growth, s.lo, s.hi);
        g->to_start[i] = (double)(win.t[0] - win.left);
        g->to_end[i] = (double)(win.right - win.t[last]);
        g->interval[i] = (double)(win.t[last] - win.t[0]);
        g->gaps[i] = (double)last;
        g->growth[i] = growth;
        g->first[i] = win.v[0];
        g->steps[i] = k;
        g->count++;
    }
    tally_end(&seen, &c->node, w);
}

static lanes lanes_load(const double *p)
{
    lanes v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static lanes lanes_if(lane_masks mask, lanes yes, lanes no)
{
    return (lanes)((mask & (lane_masks)yes) | (~mask & (lane_masks)no));
}

/* extrapolate() for several windows at once; the result takes the place of
 * the growth. What a lane divides by 0 beyond the last window is not used. */
static void growths_extend(struct growths *g, size_t at, bool counter,
                           double per)
{
    const lanes ms = { 1000, 1000 }, half = { 0.5, 0.5 }, near = { 1.1, 1.1 };
    const lanes zero = { 0 }, by = { per, per };
    lanes start = lanes_load(g->to_start + at) / ms;
    lanes end = lanes_load(g->to_end + at) / ms;
    lanes interval = lanes_load(g->interval + at) / ms;
    lanes growth = lanes_load(g->growth + at),
          first = lanes_load(g->first + at);
    lanes mean = interval / lanes_load(g->gaps + at), factor;

    start = lanes_if(start >= mean * near, mean * half, start);
    if (counter) {
        lanes to_zero = interval * (first / growth);

        start = lanes_if((growth > zero) & (first >= zero) & (to_zero < start),
                         to_zero, start);
    }
    end = lanes_if(end >= mean * near, mean * half, end);
    factor = (interval + start + end) / interval;
    if (per != 0)
        factor /= by;
    growth *= factor;
    memcpy(g->growth + at, &growth, sizeof(growth));
}

static void growth_floats(struct range_call *c, const struct columns *cols,
                          struct worker *w, struct row *out)
{
    enum growth_kind kind = kind_of(c);
    double per = kind == RATE ? (double)c->range->range_ms / 1000 : 0;
    struct arena_mark mark = arena_mark(&w->arena);
    struct growths g = growths_new(w, c->node.steps.count);

    growths_find(c, cols, w, &g);
    for (size_t i = 0; i < g.count; i += LANES)
        growths_extend(&g, i, kind != DELTA, per);
    for (size_t i = 0; i < g.count; i++)
        row_set(out, g.steps[i], g.growth[i]);
    if (g.count && kind != DELTA)
        note_counter(c, w->series);
    arena_rewind(&w->arena, mark);
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
