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
/* A copy in a coarser exponential schema: neighbouring buckets are added. */
struct histogram *histogram_reduce(struct arena *a, const struct histogram *h,
                                   int32_t schema);
/* Same kind, bits and buckets; the hint apart, and a bucket that is empty is
 * as one that is not listed. What makes a duplicate harmless. */
bool histogram_same(const struct histogram *a, const struct histogram *b);
/* The same upper bounds of a custom schema. */
bool histogram_bounds_same(const struct histogram *a,
                           const struct histogram *b);
/* What a receiver must refuse, as Prometheus does: spans that do not fit the
 * buckets, negative buckets, a total that is not that of the buckets, an
 * unknown schema, bounds out of order, more than HISTOGRAM_BUCKETS_MAX.
 * SONDE_EINVAL with the reason. */
SONDE_NODISCARD sonde_code histogram_check(const struct histogram *h,
                                           struct sonde_err *err);
static inline bool histogram_is_stale(const struct histogram *h)
{
    return is_stale_nan(h->sum);
}

/* Goes over the buckets of one side by index. Spans fit the buckets, or there
 * are no buckets to be read (`buckets` NULL): then only indices are given. */
struct histogram_walk {
    const struct histogram_side *side;
    size_t span;      /* that the bucket is in                              */
    uint32_t in_span; /* how many of it were given                          */
    bool is_float;
    /* Of the bucket: */
    size_t at;                   /* in side->buckets                         */
    int64_t index;               /* in the schema                            */
    union histogram_count value; /* how many it has                          */
};
void histogram_walk_init(struct histogram_walk *w,
                         const struct histogram_side *side, bool is_float);
/* The next bucket; false at the end. */
bool histogram_walk_next(struct histogram_walk *w);

#endif
