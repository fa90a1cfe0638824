/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles and fractions of classic histograms: cumulative counts by upper
 * bound, a straight line within each bucket.
 */
#include <math.h>

#include "promql/quantiles.h"

#define SMALL_DIFFERENCE 1e-12

static size_t join_equal(struct classic_bucket *b, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (kept && b[kept - 1].bound == b[i].bound)
            b[kept - 1].count += b[i].count;
        else
            b[kept++] = b[i];
    }
    return kept;
}

static void note_fix(struct classic_fixes *f, double bound, double diff)
{
    if (f->samples == 0 || bound < f->min_bound)
        f->min_bound = bound;
    if (f->samples == 0 || bound > f->max_bound)
        f->max_bound = bound;
    if (f->samples == 0 || diff > f->max_diff)
        f->max_diff = diff;
    f->samples = 1;
}

/* What one step needed, added to what others did. */
static void fixes_add(struct classic_fixes *to, const struct classic_fixes *one,
                      sonde_msec at)
{
    struct classic_fixes had = *to;

    if (one->samples == 0)
        return;
    note_fix(to, one->min_bound, one->max_diff);
    note_fix(to, one->max_bound, one->max_diff);
    to->samples = had.samples + 1;
    to->first = had.samples && had.first < at ? had.first : at;
    to->last = had.samples && had.last > at ? had.last : at;
}

size_t classic_mend(struct classic_bucket *b, size_t n, sonde_msec at,
                    struct classic_fixes *fixes)
{
    struct classic_fixes one = { 0 };
    double before;

    n = join_equal(b, n);
    if (n == 0)
        return 0;
    before = b[0].count;
    for (size_t i = 1; i < n; i++) {
        double diff = fabs(before - b[i].count);
        double scale = fabs(before) + fabs(b[i].count);

        if (diff == 0 || (scale > 0 && diff / scale < SMALL_DIFFERENCE)) {
            b[i].count = before;
        } else if (b[i].count < before) {
            note_fix(&one, b[i].bound, before - b[i].count);
            b[i].count = before;
        }
        before = b[i].count;
    }
    fixes_add(fixes, &one, at);
    return n;
}

double classic_quantile(const struct classic_bucket *b, size_t n, double q)
{
    double start = 0, count, rank;
    size_t i = 0;

    if (n < 2 || b[n - 1].count == 0)
        return NAN;
    rank = q * b[n - 1].count;
    while (i < n - 1 && b[i].count < rank)
        i++;
    if (i == n - 1)
        return b[n - 2].bound;
    if (i == 0 && b[0].bound <= 0)
        return b[0].bound;
    count = b[i].count;
    if (i) {
        start = b[i - 1].bound;
        count -= b[i - 1].count;
        rank -= b[i - 1].count;
    }
    return start + (b[i].bound - start) * (rank / count);
}

static double rank_of(const struct classic_bucket *b, size_t n, double v)
{
    double rank = 0;

    for (size_t i = 0; i < n; i++) {
        double lower = i ? b[i - 1].bound : b[0].bound > 0 ? 0 : -INFINITY;

        if (lower >= v)
            return rank;
        if (b[i].bound > v)
            return rank +
                   (b[i].count - rank) * (v - lower) / (b[i].bound - lower);
        rank = b[i].count;
    }
    return rank;
}

double classic_fraction(const struct classic_bucket *b, size_t n, double lower,
                        double upper)
{
    double total = n ? b[n - 1].count : 0;

    if (total == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    return (fmin(rank_of(b, n, upper), total) -
            fmin(rank_of(b, n, lower), total)) /
           total;
}
