/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines and curves through a window: deriv and predict_linear (least
 * squares), double_exponential_smoothing; and the slope between the last two
 * samples, irate and idelta.
 */
#include <math.h>

#include "promql/call.h"
#include "promql/kahan.h"
#include "util/str.h"

/* ---- least squares --------------------------------------------------------
 */

struct sums {
    double x, y, xy, xx;
    double x_lost, y_lost, xy_lost, xx_lost;
};

struct line {
    double slope, intercept;
};

/* `at` is where x is 0. A constant is told apart, so that its slope is exactly
 * none. */
static struct line least_squares(const struct window *w, sonde_msec at)
{
    struct sums s = { 0 };
    double n = 0, first = 0, mean_x, mean_y, cov, var;
    bool constant = true;
    struct line l;

    for (size_t i = 0; i < w->n; i++) {
        double x = (double)(w->t[i] - at) / 1000, v = w->v[i];

        if (w->h && w->h[i])
            continue;
        if (n == 0)
            first = v;
        constant = constant && v == first;
        n++;
        kahan_add(&s.x, &s.x_lost, x);
        kahan_add(&s.y, &s.y_lost, v);
        kahan_add(&s.xy, &s.xy_lost, x * v);
        kahan_add(&s.xx, &s.xx_lost, x * x);
    }
    if (constant)
        return (struct line){ isinf(first) ? NAN : 0,
                              isinf(first) ? NAN : first };
    s.x += s.x_lost;
    s.y += s.y_lost;
    s.xy += s.xy_lost;
    s.xx += s.xx_lost;
    mean_x = s.x / n;
    mean_y = s.y / n;
    cov = s.xy - s.x * mean_y;
    var = s.xx - s.x * mean_x;
    l.slope = cov / var;
    l.intercept = mean_y - l.slope * mean_x;
    return l;
}

/* How many floats; a note if there are histograms among them. */
static size_t count_floats(struct range_call *c, const struct window *win,
                           struct worker *w)
{
    size_t histograms = window_histograms(win);
    sonde_str name = range_call_name(c, w->series);

    if (histograms && histograms < win->n)
        note_info(c->node.exec, range_call_place(c),
                  "ignored histograms in a range containing both floats and "
                  "histograms for metric name \"%.*s\"",
                  SONDE_ARG(name));
    return win->n - histograms;
}

static sonde_msec first_float(const struct window *w)
{
    size_t i = 0;

    while (w->h && w->h[i])
        i++;
    return w->t[i];
}

static bool deriv_window(struct range_call *c, const struct window *win,
                         size_t step, struct worker *w, struct point *out)
{
    (void)step;
    if (count_floats(c, win, w) < 2)
        return false;
    out->v = least_squares(win, first_float(win)).slope;
    return true;
}

/* The line is taken relative to the time of the step, which `offset` does
 * not move. */
static bool predict_window(struct range_call *c, const struct window *win,
                           size_t step, struct worker *w, struct point *out)
{
    struct line l;

    if (count_floats(c, win, w) < 2)
        return false;
    l = least_squares(win, win->at);
    out->v = l.slope * c->scalars[0][step] + l.intercept;
    return true;
}

/* ---- smoothing ------------------------------------------------------------
 */

static sonde_code check_factor(const char *what, double v,
                               struct sonde_err *err)
{
    const char *sign = what[0] == 's' ? "sf" : "tf";

    if (v > 0 && v < 1)
        return SONDE_OK;
    return exec_error(err, "invalid %s factor. Expected: 0 < %s < 1, got: %f",
                      what, sign, v);
}

static sonde_code check_smoothing(struct range_call *c, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (size_t k = 0; rc == SONDE_OK && k < c->node.steps.count; k++) {
        rc = check_factor("smoothing", c->scalars[0][k], err);
        if (rc == SONDE_OK)
            rc = check_factor("trend", c->scalars[1][k], err);
    }
    return rc;
}

static bool smooth_window(struct range_call *c, const struct window *win,
                          size_t step, struct worker *w, struct point *out)
{
    double sf = c->scalars[0][step], tf = c->scalars[1][step];
    double s = 0, before = 0, trend = 0;
    size_t n = 0;

    if (count_floats(c, win, w) < 2)
        return false;
    for (size_t i = 0; i < win->n; i++) {
        double v = win->v[i], x;

        if (win->h && win->h[i])
            continue;
        if (n == 0) {
            s = v;
        } else {
            /* The first trend is the first difference itself. */
            trend = n == 1 ? v - s : tf * (s - before) + (1 - tf) * trend;
            x = sf * v;
            before = s;
            s = x + (1 - sf) * (s + trend);
        }
        n++;
    }
    out->v = s;
    return true;
}

/* ---- the last two ---------------------------------------------------------
 */

static bool instant_window(struct range_call *c, const struct window *win,
                           size_t step, struct worker *w, struct point *out)
{
    bool rate = c->function->name[1] == 'r';
    size_t last = win->n - 1;
    const struct histogram *a, *b;
    double before, now;
    sonde_msec gap;

    (void)step;
    if (win->n < 2)
        return false;
    a = win->h ? win->h[last - 1] : NULL;
    b = win->h ? win->h[last] : NULL;
    gap = win->t[last] - win->t[last - 1];
    if (gap == 0)
        return false;
    if (!a != !b) {
        sonde_str name = range_call_name(c, w->series);

        note_warning(c->node.exec, range_call_place(c),
                     "encountered a mix of histograms and floats for metric "
                     "name \"%.*s\"",
                     SONDE_ARG(name));
        return false;
    }
    if (a)
        return histogram_step(c, a, b, rate ? (double)gap / 1000 : 0, w, out);
    before = win->v[last - 1];
    now = win->v[last];
    out->v = rate && now < before ? now : now - before;
    if (rate)
        out->v /= (double)gap / 1000;
    return true;
}

const struct range_function regress_functions[] = {
    { .name = "deriv", .window = deriv_window },
    { .name = "double_exponential_smoothing",
      .window = smooth_window,
      .check = check_smoothing },
    { .name = "idelta", .window = instant_window },
    { .name = "irate", .window = instant_window },
    { .name = "predict_linear", .window = predict_window },
    { 0 },
};
