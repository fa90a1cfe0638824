/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A native histogram sample: one value with many buckets. Schemas -4...8 are
 * exponential (a bucket's bound is the one before times 2^(2^-schema)),
 * HISTOGRAM_CUSTOM has its bounds listed. Buckets that exist are listed in
 * spans; they count integers, as differences to the bucket before, or
 * floats, each for itself.
 */
#ifndef MODEL_HISTOGRAM_H
#define MODEL_HISTOGRAM_H

#include <sonde/base.h>

#include "model/sample.h"
#include "util/arena.h"

#define HISTOGRAM_SCHEMA_MIN  (-4) /* of what is written                   */
#define HISTOGRAM_SCHEMA_MAX  8
#define HISTOGRAM_CUSTOM      (-53)
#define HISTOGRAM_BUCKETS_MAX 65536 /* of one sample, all sides            */

/* `offset` empty buckets, then `length` that are there. */
struct histogram_span {
    int32_t offset;
    uint32_t length;
};

/* Numbers as in the log and in remote write. */
enum histogram_hint {
    HISTOGRAM_UNKNOWN_RESET,
    HISTOGRAM_RESET,
    HISTOGRAM_NO_RESET,
    HISTOGRAM_GAUGE
};

union histogram_count {
    uint64_t i;
    double f;
};
union histogram_buckets {
    int64_t *i; /* differences: the first is absolute                     */
    double *f;  /* absolute                                               */
};
struct histogram_side {
    struct histogram_span *spans;
    size_t span_count;
    union histogram_buckets buckets;
    size_t bucket_count; /* the sum of the spans' lengths                 */
};

/* All arrays belong to whoever made it, mostly an arena. A stale marker is a
 * histogram without buckets whose sum is the stale NaN. */
struct histogram {
    bool is_float;
    enum histogram_hint hint;
    int32_t schema;
    double zero_threshold, sum;
    union histogram_count zero_count, count;
    struct histogram_side positive, negative;
    double *custom_bounds; /* upper bounds, ascending, without +Inf         */
    size_t custom_count;
};

/* A copy whose arrays are the arena's. */
struct histogram *histogram_dup(struct arena *a, const struct histogram *h);
/* The same with floats; `h` itself is not changed. */
struct histogram *histogram_to_float(struct arena *a,
                                     const struct histogram *h);
/* Same kind and bits (the hint apart): what makes a duplicate harmless. */
bool histogram_same(const struct histogram *a, const struct histogram *b);
/* What a receiver must refuse, as Prometheus does: spans that do not fit the
 * buckets, negative counts, too small a total, an unknown schema, bounds out
 * of order, more than HISTOGRAM_BUCKETS_MAX. SONDE_EINVAL with the reason. */
SONDE_NODISCARD sonde_code histogram_check(const struct histogram *h,
                                           struct sonde_err *err);
static inline bool histogram_is_stale(const struct histogram *h)
{
    return is_stale_nan(h->sum);
}

#endif
