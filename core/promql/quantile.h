/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles of plain values, for the aggregation and for ranges. */
#ifndef PROMQL_QUANTILE_H
#define PROMQL_QUANTILE_H

#include "promql/engine.h"

/* Sorts `v` (NaN first) and interpolates between the neighbours of rank
 * q (n-1); infinite for q outside of [0, 1], NaN for n == 0 or q NaN. */
double quantile_floats(double q, double *v, size_t n);
/* Warns where q is not in [0, 1]. */
void note_quantile(struct exec *x, const struct promql_expr *e, double q);

#endif
