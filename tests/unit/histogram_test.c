/* SPDX-License-Identifier: Apache-2.0 */
/* model: native histograms. */
#include <math.h>
#include <string.h>

#include "model/histogram.h"
#include "unit/histograms.h"
#include "unit/tap.h"

static const struct histogram ints = {
    .schema = 1,
    .zero_threshold = 0.001,
    .zero_count.i = 2,
    .count.i = 12,
    .sum = 18.4,
    .positive = { SPANS({ -2, 2 }, { 1, 2 }), INTS(1, 1, -1, 1) },
    .negative = { SPANS({ 0, 1 }, { 0, 0 }, { 3, 1 }), INTS(3, -2) },
};

static void test_copies(void)
{
    struct histogram *copy, *f;
    struct arena a;

    arena_init(&a);
    copy = histogram_dup(&a, &ints);
    CU_ASSERT_TRUE(histogram_same(copy, &ints));
    CU_ASSERT_PTR_NOT_EQUAL(copy->positive.spans, ints.positive.spans);
    CU_ASSERT_PTR_NOT_EQUAL(copy->negative.buckets.i, ints.negative.buckets.i);
    f = histogram_to_float(&a, &ints);
    CU_ASSERT_TRUE(f->is_float);
    CU_ASSERT_EQUAL(f->count.f, 12);
    CU_ASSERT_EQUAL(f->positive.buckets.f[3], 2);
    CU_ASSERT_EQUAL(f->negative.buckets.f[1], 1);
    CU_ASSERT_FALSE(histogram_same(f, &ints));
    CU_ASSERT_TRUE(histogram_same(f, histogram_to_float(&a, f)));
    CU_ASSERT_EQUAL(histogram_check(f, NULL), SONDE_OK);
    arena_fini(&a);
}

static void test_same(void)
{
    struct histogram x = ints, padded = ints;

    x.hint = HISTOGRAM_GAUGE;
    CU_ASSERT_TRUE(histogram_same(&x, &ints));
    x.sum = 18.5;
    CU_ASSERT_FALSE(histogram_same(&x, &ints));
    padded.positive = (struct histogram_side){ SPANS({ -3, 7 }),
                                               INTS(0, 1, 1, -2, 1, 1, -2) };
    CU_ASSERT_TRUE(histogram_same(&padded, &ints));
    padded.positive.buckets.i[6] = -1;
    CU_ASSERT_FALSE(histogram_same(&padded, &ints));
    x = ints;
    x.negative.spans = (struct histogram_span[]){ { 0, 1 }, { 2, 1 } };
    x.negative.span_count = 2;
    CU_ASSERT_FALSE(histogram_same(&x, &ints));
    x.negative.spans[1].offset = 3;
    CU_ASSERT_TRUE(histogram_same(&x, &ints));
}

static void test_reduce(void)
{
    /* indices -3 to 4; by one schema: -1 0 0 1 1 2 2 3... */
    const struct histogram h = {
        .schema = 9,
        .count.i = 36,
        .positive = { SPANS({ -3, 8 }), INTS(1, 1, 1, 1, 1, 1, 1, 1) },
    };
    struct arena a;
    struct histogram *r, *f;
    struct histogram_walk w;
    static const struct {
        int64_t index;
        uint64_t value;
    } want[] = { { -1, 3 }, { 0, 3 + 4 }, { 1, 5 + 6 }, { 2, 7 + 8 } };

    arena_init(&a);
    r = histogram_reduce(&a, &h, 8);
    f = histogram_reduce(&a, histogram_to_float(&a, &h), 8);
    CU_ASSERT_EQUAL(r->schema, 8);
    CU_ASSERT_EQUAL(histogram_check(r, NULL), SONDE_OK);
    CU_ASSERT_TRUE(histogram_same(f, histogram_to_float(&a, r)));
    histogram_walk_init(&w, &r->positive, false);
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_TRUE_FATAL(histogram_walk_next(&w));
        CU_ASSERT_EQUAL(w.index, want[i].index);
        CU_ASSERT_EQUAL(w.value.i, want[i].value);
    }
    CU_ASSERT_FALSE(histogram_walk_next(&w));
    arena_fini(&a);
}

/* ---- what is refused ---------------------------------------------------- */

static void test_check(void)
{
    struct {
        int line;
        struct histogram h;
        const char *why; /* NULL: fine */
    } rows[] = {
        { __LINE__, ints, NULL },
        { __LINE__, { .sum = stale_nan() }, NULL },
        { __LINE__, { .is_float = true, .sum = stale_nan() }, NULL },
        { __LINE__,
          { .schema = 9 },
          "histogram has an invalid schema, which must be between -4 and 8 "
          "for exponential buckets, or -53 for custom buckets, got schema 9" },
        { __LINE__, { .schema = -5 }, "got schema -5" },
        { __LINE__,
          { .count.i = 1 },
          "0 observations found in buckets, but the Count field is 1: "
          "histogram's observation count should equal the number of "
          "observations found in the buckets (in absence of NaN)" },
        { __LINE__, { .count.i = 1, .sum = NAN }, NULL },
        { __LINE__,
          { .zero_count.i = 1, .sum = NAN },
          "1 observations found in buckets, but the Count field is 0: "
          "histogram's observation count should be at least the number of "
          "observations found in the buckets" },
        { __LINE__, { .is_float = true, .count.f = 1 }, NULL },
        { __LINE__,
          { .positive = { SPANS({ 0, 2 }) } },
          "positive side: spans need 2 buckets, have 0 buckets: histogram "
          "spans specify different number of buckets than provided" },
        { __LINE__,
          { .negative = { SPANS({ 0, 1 }, { -1, 1 }), INTS(0, 0) } },
          "negative side: span number 2 with offset -1: histogram has a span "
          "whose offset is negative" },
        { __LINE__,
          { .positive = { SPANS({ 0, 2 }), INTS(3, -4) } },
          "positive side: bucket number 2 has observation count of -1: "
          "histogram has a bucket whose observation count is negative" },
        { __LINE__,
          { .is_float = true,
            .positive = { SPANS({ 0, 2 }), FLOATS(0.5, -0.25) } },
          "positive side: bucket number 2 has observation count of -0.25: " },
        { __LINE__,
          { .positive = { SPANS({ 0, UINT32_MAX }, { 0, UINT32_MAX }) } },
          "spans need 8589934590 buckets, have 0 buckets" },
        { __LINE__,
          { BOUNDS(1, 2, 3), .count.i = 4,
            .positive = { SPANS({ 0, 4 }), INTS(1, 0, 0, 0) } },
          NULL },
        { __LINE__,
          { BOUNDS(1, 2, 3),
            .positive = { SPANS({ 1, 4 }), INTS(0, 0, 0, 0) } },
          "custom buckets: only 3 custom bounds defined which is insufficient "
          "to cover total span length of 5: histogram custom bounds are too "
          "few" },
        { __LINE__,
          { BOUNDS(1, 2, 2) },
          "custom buckets: previous bound is 2.000000 and current is "
          "2.000000: histogram custom bounds must be in strictly increasing "
          "order" },
        { __LINE__, { BOUNDS(1, NAN) }, "strictly increasing" },
        { __LINE__, { BOUNDS(1, INFINITY) }, "must be finite" },
        { __LINE__, { BOUNDS(1), .zero_count.i = 1 }, "zero count of 0" },
        { __LINE__, { BOUNDS(1), .zero_threshold = 1 }, "zero threshold of" },
        { __LINE__,
          { BOUNDS(1), .negative = { SPANS({ 0, 1 }), INTS(0) } },
          "must not have negative spans" },
        { __LINE__,
          { .custom_bounds = (double[]){ 1 }, .custom_count = 1 },
          "exponential schema must not have custom bounds" },
        { __LINE__,
          { .positive = { .bucket_count = HISTOGRAM_BUCKETS_MAX + 1 } },
          "more than 65536 buckets" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_err err = { 0 };
        sonde_code rc = histogram_check(&rows[i].h, &err);

        ROW_ASSERT(&rows[i], (rc == SONDE_OK) == !rows[i].why);
        if (rows[i].why && !strstr(err.text, rows[i].why))
            tap_note("%s", err.text);
        ROW_ASSERT(&rows[i], !rows[i].why || (rc == SONDE_EINVAL &&
                                              strstr(err.text, rows[i].why)));
    }
}

static const struct tap_test tests[] = {
    { "copies, also as floats", test_copies },
    { "what makes two histograms the same", test_same },
    { "a coarser schema adds neighbours", test_reduce },
    { "what is refused, and why", test_check },
};

int main(void)
{
    return TAP_RUN("histogram", tests);
}
