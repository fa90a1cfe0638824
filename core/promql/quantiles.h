/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles and fractions of histograms, classic and native. Classic ones are
 * series with a label `le`, put together by classic_make.
 */
#ifndef PROMQL_QUANTILES_H
#define PROMQL_QUANTILES_H

#include "promql/hist.h"

sonde_code histogram_quantile_make(struct exec *x, const struct promql_expr *e,
                                   const struct steps *steps, struct node **out,
                                   struct sonde_err *err);
sonde_code histogram_quantiles_make(struct exec *x, const struct promql_expr *e,
                                    const struct steps *steps,
                                    struct node **out, struct sonde_err *err);
sonde_code histogram_fraction_make(struct exec *x, const struct promql_expr *e,
                                   const struct steps *steps, struct node **out,
                                   struct sonde_err *err);

/* ---- of one histogram: quantile_native.c, quantile_classic.c ----------------
 */

/* What is to be told beside the value. */
enum quantile_note {
    QUANTILE_NAN_RESULT = 1 << 0, /* the rank is among observations of NaN */
    QUANTILE_NAN_SKEWED = 1 << 1, /* such observations shift it up         */
    FRACTION_NAN_EXCLUDED = 1 << 2
};
double native_quantile(struct worker *w, const struct histogram *h, double q,
                       unsigned *notes);
double native_fraction(struct worker *w, const struct histogram *h,
                       double lower, double upper, unsigned *notes);

/* Buckets of a classic histogram at one step, ascending by bound; counts are
 * cumulative. */
struct classic_bucket {
    double bound, count;
};
/* How counts had to be raised so that they ascend. */
struct classic_fixes {
    size_t samples;
    double min_bound, max_bound, max_diff;
    sonde_msec first, last;
};
/* Merges equal bounds and makes the counts ascend; changes of less than one in
 * 10^12 are not told. Returns how many buckets are left. */
size_t classic_mend(struct classic_bucket *b, size_t n, sonde_msec at,
                    struct classic_fixes *fixes);
double classic_quantile(const struct classic_bucket *b, size_t n, double q);
double classic_fraction(const struct classic_bucket *b, size_t n, double lower,
                        double upper);

#endif
