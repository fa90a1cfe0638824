/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compensated addition (Kahan, Neumaier), the one way in which sums are made.
 * The error of an addition is found by Knuth's two-sum, which is exact without
 * comparing the operands; it is forgotten where the sum is infinite. To be
 * compiled without contraction of multiplications and additions.
 */
#ifndef PROMQL_KAHAN_H
#define PROMQL_KAHAN_H

#include <math.h>

static inline void kahan_add(double *sum, double *lost, double x)
{
    double t = *sum + x;
    double part = t - *sum;
    double error = (*sum - (t - part)) + (x - part);

    *sum = t;
    *lost = isinf(t) ? 0 : *lost + error;
}

#endif
