/* SPDX-License-Identifier: Apache-2.0 */
/* Native histograms for tests, written as a few lists. */
#ifndef TESTS_UNIT_HISTOGRAMS_H
#define TESTS_UNIT_HISTOGRAMS_H

#include <stdlib.h>

#include "model/histogram.h"

#define SPANS(...)                                                             \
    .spans = (struct histogram_span[]){ __VA_ARGS__ },                         \
    .span_count = sizeof((struct histogram_span[]){ __VA_ARGS__ }) /           \
                  sizeof(struct histogram_span)
/* Differences, the first absolute. */
#define INTS(...)                                                              \
    .buckets.i = (int64_t[]){ __VA_ARGS__ },                                   \
    .bucket_count = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)
#define FLOATS(...)                                                            \
    .buckets.f = (double[]){ __VA_ARGS__ },                                    \
    .bucket_count = sizeof((double[]){ __VA_ARGS__ }) / sizeof(double)
#define BOUNDS(...)                                                            \
    .schema = HISTOGRAM_CUSTOM, .custom_bounds = (double[]){ __VA_ARGS__ },    \
    .custom_count = sizeof((double[]){ __VA_ARGS__ }) / sizeof(double)

/* A small generator, so that failures come again. */
static inline uint64_t histograms_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The absolute counts of a counter that never falls, for a row of samples:
 * buckets `from` to `from + n` of which each has a chance to be there once it
 * was counted in. */
struct histogram_counter {
    uint64_t counts[64];
    size_t from, n;
};

static inline void histograms_side(struct arena *a, struct histogram_side *s,
                                   const struct histogram_counter *k,
                                   bool is_float)
{
    uint64_t before = 0;
    size_t gap = k->from;

    s->spans = arena_array(a, struct histogram_span, k->n);
    s->buckets.i = arena_array(a, int64_t, k->n);
    for (size_t i = 0; i < k->n; i++) {
        if (k->counts[i] == 0) {
            gap++;
            continue;
        }
        if (gap || s->span_count == 0) {
            s->spans[s->span_count++].offset = (int32_t)gap;
            gap = 0;
        }
        s->spans[s->span_count - 1].length++;
        if (is_float)
            s->buckets.f[s->bucket_count++] = (double)k->counts[i] / 3;
        else
            s->buckets.i[s->bucket_count++] = (int64_t)(k->counts[i] - before);
        before = k->counts[i];
    }
}

static inline struct histogram *
histograms_of(struct arena *a, const struct histogram_counter *positive,
              const struct histogram_counter *negative, bool is_float)
{
    struct histogram *h = arena_new(a, struct histogram);
    uint64_t count = 5;

    for (size_t i = 0; i < positive->n; i++)
        count += positive->counts[i];
    for (size_t i = 0; i < negative->n; i++)
        count += negative->counts[i];
    h->is_float = is_float;
    h->schema = 3;
    h->zero_threshold = 0x1p-128;
    h->sum = (double)count * 1.25;
    if (is_float) {
        h->count.f = (double)count / 3;
        h->zero_count.f = 5.0 / 3;
    } else {
        h->count.i = count;
        h->zero_count.i = 5;
    }
    histograms_side(a, &h->positive, positive, is_float);
    histograms_side(a, &h->negative, negative, is_float);
    return h;
}

#endif
