/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles and fractions of native histograms. Within a bucket observations
 * are taken to be spread evenly on a logarithmic scale; in custom buckets and
 * the zero bucket evenly as such. Observations of NaN are counted in the total
 * and in no bucket.
 */
#include <math.h>

#include "promql/quantiles.h"

struct ranges {
    struct hist_range *items;
    size_t count;
};

static struct ranges ranges_of(struct worker *w, const struct histogram *h)
{
    struct hist_walk walk = hist_walk_begin(&w->arena, h);
    size_t most = h->positive.bucket_count + h->negative.bucket_count + 1;
    struct ranges r = { arena_array(&w->arena, struct hist_range, most), 0 };

    while (hist_walk_next(&walk, &r.items[r.count]))
        if (++r.count == most)
            break;
    return r;
}

/* The zero bucket of a histogram whose observations are all of one sign. */
static void one_sided(const struct histogram *h, struct hist_range *r)
{
    if (h->schema == HISTOGRAM_CUSTOM || r->lower > 0 || r->upper < 0)
        return;
    if (h->negative.bucket_count == 0 && h->positive.bucket_count)
        r->lower = 0;
    else if (h->positive.bucket_count == 0 && h->negative.bucket_count)
        r->upper = 0;
}

/* ---- quantiles ----------------------------------------------------------- */

/* The bucket that the rank is in, from the bottom or the top; `*count` is what
 * has been passed with it. */
static struct hist_range find(const struct ranges *r, double rank, bool up,
                              double *count)
{
    size_t at = 0;

    *count = 0;
    for (size_t i = 0; i < r->count; i++) {
        at = up ? i : r->count - 1 - i;
        *count += r->items[at].n;
        if (*count >= rank)
            break;
    }
    return r->items[at];
}

static double within(const struct histogram *h, const struct hist_range *b,
                     double fraction)
{
    double low, high;

    if (h->schema == HISTOGRAM_CUSTOM || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * fraction;
    low = log2(fabs(b->lower));
    high = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(low + (high - low) * fraction);
    return -exp2(high + (low - high) * (1 - fraction));
}

static double all_counts(const struct ranges *r)
{
    double sum = 0;

    for (size_t i = 0; i < r->count; i++)
        sum += r->items[i].n;
    return sum;
}

double native_quantile(struct worker *w, const struct histogram *h, double q,
                       unsigned *notes)
{
    bool up = isnan(h->sum) || q < 0.5;
    double rank = up ? q * h->count.f : (1 - q) * h->count.f, count;
    struct hist_range b;
    struct ranges r;

    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (isnan(q) || h->count.f == 0)
        return NAN;
    r = ranges_of(w, h);
    if (r.count == 0)
        return NAN;
    b = find(&r, rank, up, &count);
    one_sided(h, &b);
    if (h->schema == HISTOGRAM_CUSTOM && b.lower == -INFINITY) {
        if (b.upper <= 0)
            return b.upper;
        b.lower = 0;
    } else if (h->schema == HISTOGRAM_CUSTOM && b.upper == INFINITY) {
        return b.lower;
    }
    if (count > h->count.f)
        count = h->count.f;
    if (count < rank) {
        *notes |= isnan(h->sum) ? QUANTILE_NAN_RESULT : 0;
        return isnan(h->sum) ? NAN : b.upper;
    }
    if (isnan(h->sum) && all_counts(&r) < h->count.f)
        *notes |= QUANTILE_NAN_SKEWED;
    rank = up ? rank - (count - b.n) : count - rank;
    return within(h, &b, rank / b.n);
}

/* ---- fractions ----------------------------------------------------------- */

static double rank_within(const struct histogram *h, const struct hist_range *b,
                          double v)
{
    double low, high, at;

    if (h->schema == HISTOGRAM_CUSTOM || (b->lower <= 0 && b->upper >= 0))
        return b->n * (v - b->lower) / (b->upper - b->lower);
    low = log2(fabs(b->lower));
    high = log2(fabs(b->upper));
    at = log2(fabs(v));
    return v > 0 ? b->n * (at - low) / (high - low)
                 : b->n * (1 - (at - high) / (low - high));
}

/* How many observations are below a value. */
static double rank_of(const struct histogram *h, const struct ranges *r,
                      double v)
{
    double rank = 0;

    for (size_t i = 0; i < r->count; i++) {
        struct hist_range b = r->items[i];

        one_sided(h, &b);
        if (b.lower == -INFINITY && b.upper > 0)
            b.lower = 0;
        if (b.lower >= v)
            return rank;
        if (b.upper > v)
            return rank + rank_within(h, &b, v);
        rank += b.n;
    }
    return rank;
}

double native_fraction(struct worker *w, const struct histogram *h,
                       double lower, double upper, unsigned *notes)
{
    double total = h->count.f, low, high;
    struct ranges r;

    if (h->count.f == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    r = ranges_of(w, h);
    if (isnan(h->sum) && all_counts(&r) < total)
        *notes |= FRACTION_NAN_EXCLUDED;
    low = fmin(rank_of(h, &r, lower), total);
    high = fmin(rank_of(h, &r, upper), total);
    return (high - low) / total;
}
