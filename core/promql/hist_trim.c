/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting a histogram at a value: `h </ x` keeps what was observed up to x,
 * `h >/ x` what was observed from x on.
 *
 * A bucket that x is in keeps its share: linear in custom buckets and the zero
 * bucket, logarithmic elsewhere. If anything went, count and sum are made anew
 * from what is left, each bucket's observations taken to be at its middle.
 * Buckets without an end on one side are kept or dropped as a whole, but for
 * a first custom bucket above 0, which is taken to begin there.
 */
#include <math.h>

#include "promql/hist.h"
#include "promql/kahan.h"

struct trim {
    struct hist h;
    double at;
    bool upper;        /* keep what is below                               */
    bool cut;          /* something went                                   */
    double count, sum; /* of what is left                                  */
    double count_lost, sum_lost;
};

static void keep(struct trim *t, double n, double middle)
{
    kahan_add(&t->count, &t->count_lost, n);
    if (n != 0)
        kahan_add(&t->sum, &t->sum_lost, n * middle);
}

static double middle_of(double lower, double upper, bool linear)
{
    if (linear || lower * upper <= 0)
        return (lower + upper) / 2;
    return upper < 0 ? -sqrt(lower * upper) : sqrt(lower * upper);
}

/* How much of a bucket is below the value. */
static double share_below(double lower, double upper, double at, bool linear)
{
    double low, high, x;

    if (linear || lower * upper <= 0)
        return (at - lower) / (upper - lower);
    low = log2(fabs(lower));
    high = log2(fabs(upper));
    x = log2(fabs(at));
    return (x - low) / (high - low);
}

/* A bucket with two ends; returns what is left of it. */
static double trim_range(struct trim *t, double lower, double upper, double n,
                         bool linear)
{
    double share;

    if (t->upper ? t->at >= upper : t->at <= lower) {
        keep(t, n, middle_of(lower, upper, linear));
        return n;
    }
    if (n != 0)
        t->cut = true;
    if (t->upper ? t->at <= lower : t->at >= upper)
        return 0;
    share = share_below(lower, upper, t->at, linear);
    n *= t->upper ? share : 1 - share;
    keep(t, n,
         t->upper ? middle_of(lower, t->at, linear)
                  : middle_of(t->at, upper, linear));
    return n;
}

/* (-Inf, upper] */
static double trim_first(struct trim *t, double upper, double n)
{
    if (t->upper && t->at >= upper) {
        keep(t, n, upper > 0 ? upper / 2 : upper);
        return n;
    }
    if (upper > 0 && t->at >= 0)
        return trim_range(t, 0, upper, n, true);
    if (t->upper && upper <= 0) {
        keep(t, n, t->at);
        return n;
    }
    if (!t->upper && upper > 0) { /* all of it is above                    */
        keep(t, n, upper / 2);
        return n;
    }
    t->cut = t->cut || n != 0;
    return 0;
}

/* (lower, +Inf] */
static double trim_last(struct trim *t, double lower, double n)
{
    if (t->upper && t->at != INFINITY) {
        t->cut = t->cut || n != 0;
        return 0;
    }
    keep(t, n, t->upper ? lower : fmax(t->at, lower));
    return n;
}

static void trim_custom(struct trim *t)
{
    struct hist_buckets *b = &t->h.positive;

    for (size_t i = 0; i < b->count; i++) {
        size_t at = (size_t)b->items[i].at;
        double lower = at ? t->h.bounds[at - 1] : -INFINITY;
        double upper = at < t->h.bound_count ? t->h.bounds[at] : INFINITY;
        double n = b->items[i].n.v;

        b->items[i].n.v = lower == -INFINITY ? trim_first(t, upper, n)
                          : upper == INFINITY
                              ? trim_last(t, lower, n)
                              : trim_range(t, lower, upper, n, true);
    }
}

static void trim_exponential(struct trim *t)
{
    struct hist *h = &t->h;
    double low =
        h->positive.count && !h->negative.count ? 0 : -h->zero_threshold;
    double high =
        h->negative.count && !h->positive.count ? 0 : h->zero_threshold;

    for (size_t i = 0; i < h->negative.count; i++) {
        struct hist_bucket *b = &h->negative.items[i];

        b->n.v = trim_range(t, -hist_bound(h->schema, b->at),
                            -hist_bound(h->schema, b->at - 1), b->n.v, false);
    }
    if (h->zero.v != 0)
        h->zero.v = trim_range(t, low, high, h->zero.v, true);
    for (size_t i = 0; i < h->positive.count; i++) {
        struct hist_bucket *b = &h->positive.items[i];

        b->n.v = trim_range(t, hist_bound(h->schema, b->at - 1),
                            hist_bound(h->schema, b->at), b->n.v, false);
    }
}

const struct histogram *histogram_trim(struct arena *a,
                                       const struct histogram *h, double at,
                                       bool upper)
{
    struct trim t = { .h = hist_open(a, h), .at = at, .upper = upper };

    if (h->schema == HISTOGRAM_CUSTOM)
        trim_custom(&t);
    else
        trim_exponential(&t);
    if (!t.cut)
        return h;
    t.h.count = (struct precise){ t.count, t.count_lost };
    t.h.sum = (struct precise){ t.sum, t.sum_lost };
    return hist_close(a, &t.h);
}
