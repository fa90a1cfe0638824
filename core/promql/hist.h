/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic of native histograms. A struct histogram is what samples are; to
 * compute, it is opened into its buckets by index, which are easy to merge,
 * and closed again: without empty buckets, in as few spans as possible.
 *
 * Sums of many keep what every addition lost beside each number (Kahan), as
 * for floats. All memory is the arena's that is passed in.
 *
 * Source: Prometheus' native histogram specification (resolutions, zero
 * bucket, custom bounds) and its documented arithmetic.
 */
#ifndef PROMQL_HIST_H
#define PROMQL_HIST_H

#include "model/histogram.h"
#include "promql/engine.h"

/* A number and what additions to it lost. */
struct precise {
    double v, lost;
};
/* Bucket `at` covers (bound(at - 1), bound(at)], mirrored on the negative
 * side. Ascending. */
struct hist_bucket {
    int32_t at;
    struct precise n;
};
struct hist_buckets {
    struct hist_bucket *items;
    size_t count;
};
struct hist {
    int32_t schema; /* HISTOGRAM_CUSTOM: bucket i ends at bounds[i]        */
    enum histogram_hint hint;
    double zero_threshold;
    struct precise zero, count, sum;
    struct hist_buckets positive, negative;
    const double *bounds; /* of custom buckets; borrowed or the arena's    */
    size_t bound_count;
};

struct hist hist_open(struct arena *a, const struct histogram *h);
const struct histogram *hist_close(struct arena *a, const struct hist *h);

/* The upper bound of bucket `at` of a schema that is exponential. */
double hist_bound(int32_t schema, int32_t at);

/* What adding two histograms met; more than one may be set. */
enum hist_met {
    HIST_INCOMPATIBLE = 1 << 0,   /* exponential with custom: not added    */
    HIST_RESET_CONFLICT = 1 << 1, /* one says reset, the other not         */
    HIST_RECONCILED = 1 << 2      /* custom bounds differed                */
};
/* a += b, or a -= b. */
unsigned hist_add(struct arena *a, struct hist *to, const struct hist *from);
unsigned hist_subtract(struct arena *a, struct hist *to,
                       const struct hist *from);
void hist_multiply(struct hist *h, double f);
void hist_divide(struct hist *h, double f);
struct hist hist_copy(struct arena *a, const struct hist *h);
/* Custom ones get the bounds that both have; false: they had the same. */
bool hist_reconcile(struct arena *a, struct hist *x, struct hist *y);
/* Widens the zero bucket; false if that would cut a populated bucket. */
bool hist_widen_zero(struct hist *h, double threshold);
/* To a coarser schema. */
void hist_reduce(struct hist *h, int32_t schema);

/* ---- buckets from the lowest to the highest: hist_walk.c -------------------
 */

struct hist_range {
    double lower, upper, n;
    bool lower_in, upper_in; /* whether the bounds belong to it             */
    bool is_zero;
};
/* Negative buckets, the zero bucket, positive ones; empty ones are left out. A
 * bucket that the zero bucket overlaps ends at its threshold. */
struct hist_walk {
    struct hist h;
    bool zero_done;
    size_t negatives; /* still to come                                      */
    size_t positive;
};
struct hist_walk hist_walk_begin(struct arena *a, const struct histogram *h);
bool hist_walk_next(struct hist_walk *w, struct hist_range *out);

/* What observations at most (or at least) `at` are left: hist_trim.c. */
const struct histogram *histogram_trim(struct arena *a,
                                       const struct histogram *h, double at,
                                       bool upper);

#endif
