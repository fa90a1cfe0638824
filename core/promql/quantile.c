/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles of plain values: sorting, then a line between neighbours. */
#include "promql/quantile.h"

#include <math.h>
#include <stdlib.h>

#include "model/number.h"

static int nan_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    if (isnan(x) || isnan(y))
        return (isnan(x) ? 0 : 1) - (isnan(y) ? 0 : 1);
    return (x > y) - (x < y);
}

double quantile_floats(double q, double *v, size_t n)
{
    double rank, weight;
    size_t low, high;

    if (n == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    qsort(v, n, sizeof(*v), nan_first);
    rank = q * (double)(n - 1);
    low = (size_t)floor(rank);
    high = low + 1 < n ? low + 1 : n - 1;
    weight = rank - floor(rank);
    return v[low] * (1 - weight) + v[high] * weight;
}

void note_quantile(struct exec *x, const struct promql_expr *e, double q)
{
    char text[NUMBER_MAX_BYTES];
    size_t n;

    if (q >= 0 && q <= 1)
        return;
    n = number_format(text, q, NUMBER_TEXT);
    note_warning(x, e, "quantile value should be between 0 and 1, got %.*s",
                 (int)n, text);
}
