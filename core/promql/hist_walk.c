/* SPDX-License-Identifier: Apache-2.0 */
/* The buckets of a histogram with their bounds, from the lowest up. */
#include <math.h>

#include "promql/hist.h"

struct hist_walk hist_walk_begin(struct arena *a, const struct histogram *h)
{
    struct hist_walk w = { .h = hist_open(a, h) };

    w.negatives = w.h.negative.count;
    return w;
}

static void bounds_of(const struct hist *h, int32_t at, double *lower,
                      double *upper)
{
    size_t i = (size_t)at;

    if (h->schema != HISTOGRAM_CUSTOM) {
        *lower = hist_bound(h->schema, at - 1);
        *upper = hist_bound(h->schema, at);
        if (*lower < h->zero_threshold)
            *lower = h->zero_threshold;
        return;
    }
    *lower = i && i <= h->bound_count ? h->bounds[i - 1] : -INFINITY;
    *upper = i < h->bound_count ? h->bounds[i] : INFINITY;
}

static bool negative_next(struct hist_walk *w, struct hist_range *out)
{
    while (w->negatives) {
        const struct hist_bucket *b = &w->h.negative.items[--w->negatives];
        double lower, upper;

        if (b->n.v == 0)
            continue;
        bounds_of(&w->h, b->at, &lower, &upper);
        *out =
            (struct hist_range){ -upper, -lower, b->n.v, true, false, false };
        return true;
    }
    return false;
}

static bool positive_next(struct hist_walk *w, struct hist_range *out)
{
    while (w->positive < w->h.positive.count) {
        const struct hist_bucket *b = &w->h.positive.items[w->positive++];
        double lower, upper;

        if (b->n.v == 0)
            continue;
        bounds_of(&w->h, b->at, &lower, &upper);
        *out = (struct hist_range){ lower, upper, b->n.v, false, true, false };
        return true;
    }
    return false;
}

bool hist_walk_next(struct hist_walk *w, struct hist_range *out)
{
    if (negative_next(w, out))
        return true;
    if (!w->zero_done) {
        w->zero_done = true;
        if (w->h.zero.v > 0) {
            *out = (struct hist_range){ -w->h.zero_threshold,
                                        w->h.zero_threshold,
                                        w->h.zero.v,
                                        true,
                                        true,
                                        true };
            return true;
        }
    }
    return positive_next(w, out);
}

/* ---- for others -------------------------------------------------------------
 */

struct promql_buckets {
    struct hist_walk walk;
};

struct promql_buckets *promql_buckets(struct arena *a,
                                      const struct histogram *h)
{
    struct promql_buckets *b = arena_new(a, struct promql_buckets);

    b->walk = hist_walk_begin(a, h);
    return b;
}

bool promql_buckets_next(struct promql_buckets *b, struct promql_bucket *out)
{
    struct hist_range r;

    if (!hist_walk_next(&b->walk, &r))
        return false;
    *out =
        (struct promql_bucket){ r.lower, r.upper, r.n, r.lower_in, r.upper_in };
    return true;
}
