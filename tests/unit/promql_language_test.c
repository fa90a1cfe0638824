/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promql: the younger parts of the language - durations that are expressions,
 * anchored and smoothed ranges, fill values, trimming - and what they are told
 * apart from.
 */
#include "unit/promql_kit.h"
#include "unit/tap.h"

#define COUNTER "c_total 0+10x10\n"
#define RESETS  "r_total 5 15 25 3 13 23\n"

static void test_spans(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "count_over_time(c_total[5s * 4])", 50000, "{} 2" },
        { __LINE__, "count_over_time(c_total[-(5s - 25s)])", 50000, "{} 2" },
        { __LINE__, "count_over_time(c_total[2 ^ 2 ^ 2 + 4])", 50000, "{} 2" },
        { __LINE__, "count_over_time(c_total[45s % 25s])", 50000, "{} 2" },
        { __LINE__, "count_over_time(c_total[max_of(20s, 1)])", 50000, "{} 2" },
        { __LINE__, "count_over_time(c_total[min_of(20s, 1m)])", 50000,
          "{} 2" },
        { __LINE__, "count_over_time(c_total[step() + 20s])", 50000, "{} 2" },
        { __LINE__, "c_total offset (20s / 2)", 50000, "c_total 40" },
        { __LINE__, "c_total offset -(20s / 2)", 50000, "c_total 60" },
        { __LINE__, "c_total offset -2^2", 2000, "{} 0" },
        { __LINE__, "count_over_time(c_total[10s*6:10s+10s])", 50000, "{} 3" },
        { __LINE__, "c_total[5m - 5m]", 50000,
          "error: 8:15: duration must be greater than 0" },
        { __LINE__, "c_total[5m / (2 - 2)]", 50000,
          "error: 8:19: division by zero" },
        { __LINE__, "c_total offset (5m % step())", 50000,
          "error: 16:27: modulo by zero" },
        { __LINE__, "c_total[range()]", 50000,
          "error: 8:15: duration must be greater than 0" },
        { __LINE__, "c_total[1 / 2 ^ 20000]", 50000,
          "error: 8:21: duration must be greater than 0" },
        { __LINE__, "c_total[2 ^ 20000]", 50000,
          "error: 8:17: duration is NaN or infinite" },
        { __LINE__, "c_total[1y * 1000]", 50000,
          "error: 8:17: duration is out of range" },
        { __LINE__, "c_total[5m:step()]", 50000,
          "error: 11:17: duration must be greater than 0" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, COUNTER, 10000);
    KIT_CHECK_AT(&k, rows);
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "count_over_time(c_total[step()])", 0, 60000, 20000),
        "{} 1@0 2@20 2@40 2@60");
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "c_total offset (range() / 2)", 40000, 60000, 20000),
        "c_total 30@40 50@60");
    kit_fini(&k);
}

static void test_anchored(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "increase(c_total[25s] anchored)", 50000, "{} 30" },
        { __LINE__, "rate(c_total[25s] anchored)", 50000, "{} 1.2" },
        { __LINE__, "delta(c_total[25s] anchored)", 55000, "{} 20" },
        { __LINE__, "increase(r_total[1m] anchored)", 50000, "{} 43" },
        { __LINE__, "increase(r_total[1m] anchored)", 400000, "" },
        { __LINE__, "changes(r_total[25s] anchored)", 50000, "{} 3" },
        { __LINE__, "changes(r_total[25s])", 50000, "{} 2" },
        { __LINE__, "resets(r_total[25s] anchored)", 50000, "{} 1" },
        { __LINE__, "resets(r_total[25s])", 50000, "{} 0" },
        { __LINE__, "changes(r_total[25s] anchored)", 100000, "" },
        { __LINE__, "r_total[25s] anchored", 50000,
          "r_total 25@25 3@30 13@40 23@50" },
        { __LINE__, "last_over_time(r_total[1m] anchored)", 50000,
          "error: anchored modifier can only be used with: changes, delta, "
          "increase, rate, resets - not with last_over_time" },
        { __LINE__, "increase((r_total[1m] offset 5s anchored))", 50000,
          "{} 33" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, COUNTER RESETS, 10000);
    KIT_CHECK_AT(&k, rows);
    kit_fini(&k);
}

static void test_smoothed(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "increase(c_total[25s] smoothed)", 50000, "{} 25" },
        { __LINE__, "increase(c_total[25s] smoothed)", 55000, "{} 25" },
        { __LINE__, "rate(c_total[25s] smoothed)", 55000, "{} 1" },
        { __LINE__, "increase(r_total[20s] smoothed)", 35000, "{} 13" },
        /* the left edge lies on the line across a reset */
        { __LINE__, "increase(r_total[20s] smoothed)", 45000, "{} 16.5" },
        { __LINE__, "delta(r_total[20s] smoothed)", 45000, "{} 4" },
        { __LINE__, "r_total smoothed", 35000, "r_total 8" },
        { __LINE__, "r_total smoothed", 25000, "r_total 14" },
        { __LINE__, "r_total smoothed", 40000, "r_total 13" },
        { __LINE__, "r_total smoothed", 60000, "r_total 23" },
        { __LINE__, "r_total offset 5s smoothed", 40000, "r_total 8" },
        { __LINE__, "r_total smoothed", 349999, "r_total 23" },
        { __LINE__, "r_total smoothed", 350000, "" },
        { __LINE__, "r_total smoothed", -5000, "" },
        { __LINE__, "r_total[20s] smoothed", 35000,
          "r_total 20@15 25@20 3@30 8@35" },
        { __LINE__, "changes(r_total[1m] smoothed)", 50000,
          "error: smoothed modifier can only be used with: delta, increase, "
          "rate - not with changes" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, COUNTER RESETS, 10000);
    KIT_CHECK_AT(&k, rows);
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "r_total smoothed", 15000, 55000, 10000),
        "r_total 20@15 14@25 8@35 18@45 23@55");
    kit_fini(&k);
}

static void test_fill(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "a + fill(0) b",
          "{x=\"1\"} 1\n{x=\"2\"} 12\n{x=\"3\"} 20" },
        { __LINE__, "a + fill_left(5) b", "{x=\"2\"} 12\n{x=\"3\"} 25" },
        { __LINE__, "a + fill_right(-7) b", "{x=\"1\"} -6\n{x=\"2\"} 12" },
        { __LINE__, "a + fill_right(7) fill_left(1m) b",
          "{x=\"1\"} 8\n{x=\"2\"} 12\n{x=\"3\"} 80" },
        { __LINE__, "a + on(x) fill(1) b",
          "{x=\"1\"} 2\n{x=\"2\"} 12\n{x=\"3\"} 21" },
        { __LINE__, "a > bool fill_right(0) b", "{x=\"1\"} 1\n{x=\"2\"} 0" },
        { __LINE__, "a + fill_right(3) none", "{x=\"1\"} 4\n{x=\"2\"} 5" },
        { __LINE__, "a + fill (3) 1",
          "error: 1:1: parse error: filling in missing series only allowed "
          "between instant vectors" },
        { __LINE__, "a and fill(3) b",
          "error: 1:1: parse error: filling in missing series not allowed for "
          "set operators" },
        { __LINE__, "a + fill(x) b",
          "error: 1:10: parse error: unexpected identifier \"x\"" },
        { __LINE__, "fill + fill_left", "{} 300" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k,
             "a{x=\"1\"} 1\na{x=\"2\"} 2\nb{x=\"2\"} 10\nb{x=\"3\"} 20\n"
             "fill 100\nfill_left 200\n",
             1000);
    KIT_CHECK(&k, 0, rows);
    kit_fini(&k);
}

/* Names that go at the end are there until then. */
static void test_delayed(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "abs(a)", "{x=\"1\"} 1\n{x=\"2\"} 2" },
        { __LINE__, "-a", "{x=\"1\"} -1\n{x=\"2\"} -2" },
        { __LINE__, "a + b", "{x=\"2\"} 12" },
        { __LINE__, "a > bool 1", "{x=\"1\"} 0\n{x=\"2\"} 1" },
        { __LINE__, "a > 1", "a{x=\"2\"} 2" },
        { __LINE__, "sum by (__name__) (a)", "a 3" },
        { __LINE__, "sum by (__name__) (abs(a))", "{} 3" },
        { __LINE__, "sum by (__name__, x) (abs({x=\"2\"}))",
          "error: vector cannot contain metrics with the same labelset" },
        { __LINE__, "topk(1, abs(a))", "{x=\"2\"} 2" },
        { __LINE__, "count_values by (__name__) (\"v\", abs(a))",
          "{v=\"1\"} 1\n{v=\"2\"} 1" },
        { __LINE__,
          "label_replace(abs({x=\"2\"}), \"y\", \"$1\", \"__name__\", "
          "\"(.*)\")",
          "{x=\"2\", y=\"a\"} 2\n{x=\"2\", y=\"b\"} 10" },
        { __LINE__,
          "label_replace(abs({x=\"2\"}), \"__name__\", \"${1}_abs\", "
          "\"__name__\", \"(.*)\")",
          "a_abs{x=\"2\"} 2\nb_abs{x=\"2\"} 10" },
        { __LINE__, "label_join(abs(a), \"__name__\", \"_\", \"__name__\")",
          "a{x=\"1\"} 1\na{x=\"2\"} 2" },
        { __LINE__, "abs({x=\"2\"})",
          "error: vector cannot contain metrics with the same labelset" },
        { __LINE__, "sum(abs({x=\"2\"}))", "{} 12" },
        { __LINE__, "last_over_time(a[1m])", "a{x=\"1\"} 1\na{x=\"2\"} 2" },
        { __LINE__, "sum by (__name__) (count_over_time(a[1m]))", "{} 2" },
    };
    struct promql_kit k;

    kit_init(&k);
    k.query.features |= PROMQL_DELAYED_NAME_REMOVAL;
    kit_load(&k, "a{x=\"1\"} 1\na{x=\"2\"} 2\nb{x=\"2\"} 10\nb{x=\"3\"} 20\n",
             1000);
    KIT_CHECK(&k, 0, rows);
    kit_fini(&k);
}

/* Type and unit go where the name goes. */
static void test_types(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "c", "c{__type__=\"counter\", __unit__=\"s\", x=\"1\"} 6" },
        { __LINE__, "abs(c)", "{x=\"1\"} 6" },
        { __LINE__, "c + d", "{x=\"1\"} 12" },
        { __LINE__, "c > 1",
          "c{__type__=\"counter\", __unit__=\"s\", x=\"1\"} 6" },
        { __LINE__, "sum without (y) (c)", "{x=\"1\"} 6" },
        { __LINE__, "sum by (__type__) (c)", "{__type__=\"counter\"} 6" },
        { __LINE__, "rate(c[4s])", "{x=\"1\"} 1" },
        { __LINE__, "rate(d[4s])",
          "{x=\"1\"} 1\nPromQL info: metric might not be a counter, __type__ "
          "label is not set to \"counter\" or \"histogram\", got \"gauge\": "
          "\"d\" (1:6)" },
        { __LINE__, "rate(e_total[4s])",
          "{x=\"1\"} 1\nPromQL info: metric might not be a counter, __type__ "
          "label is not set to \"counter\" or \"histogram\", got \"\": "
          "\"e_total\" (1:6)" },
        { __LINE__, "delta(d[4s])", "{x=\"1\"} 4" },
    };
    struct promql_kit k;

    kit_init(&k);
    k.query.features |= PROMQL_TYPE_AND_UNIT;
    kit_load(&k,
             "c{__type__=\"counter\",__unit__=\"s\",x=\"1\"} 0+1x6\n"
             "d{__type__=\"gauge\",x=\"1\"} 0+1x6\ne_total{x=\"1\"} 0+1x6\n",
             1000);
    KIT_CHECK(&k, 6000, rows);
    kit_fini(&k);
}

/* Floats can not be trimmed. */
static void test_trim(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "1 </ 2",
          "error: operator \"</\" not allowed for Scalar operations" },
        { __LINE__, "a >/ 1",
          "PromQL info: incompatible sample types encountered for binary "
          "operator \">/\": float >/ float (1:1)" },
        { __LINE__, "a </ a",
          "PromQL info: incompatible sample types encountered for binary "
          "operator \"</\": float </ float (1:1)" },
        { __LINE__, "histogram_count(nh </ 2)", "{k=\"a\"} 7" },
        { __LINE__, "histogram_count(nh >/ 2)", "{k=\"a\"} 5" },
        { __LINE__, "histogram_count(nh </ 2 == nh </ 2)", "" },
        { __LINE__, "count by (__name__) (nh </ 2)", "nh 1" },
        { __LINE__, "2 </ nh",
          "PromQL info: incompatible sample types encountered for binary "
          "operator \"</\": float </ histogram (1:1)" },
    };
    struct histogram_span spans[] = { { 0, 2 }, { 1, 1 } };
    double buckets[] = { 1, 4, 5 };
    struct histogram h = {
        .is_float = true,
        .zero_threshold = 0.001,
        .sum = 18.4,
        .zero_count.f = 2,
        .count.f = 12,
        .positive = { spans, 2, { .f = buckets }, 3 },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, "a 1\n", 1000);
    kit_load_histogram(&k, "nh{k=\"a\"}", 0, &h);
    KIT_CHECK(&k, 0, rows);
    kit_fini(&k);
}

/* Whatever is not asked for is refused, and where. */
static void test_off(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "1 + (a + fill(1) b)",
          "error: 1:6: parse error: binop fill modifiers are experimental and "
          "not enabled" },
        { __LINE__, "a anchored",
          "error: 1:1: parse error: anchored modifier is experimental and not "
          "enabled" },
        { __LINE__, "rate(a[5m] smoothed)",
          "error: 1:6: parse error: smoothed modifier is experimental and not "
          "enabled" },
        { __LINE__, "start() + step()",
          "error: 1:1: parse error: function \"start\" is not enabled" },
        { __LINE__, "max_of(1, 2)",
          "error: 1:1: parse error: function \"max_of\" is not enabled" },
    };
    static const struct kit_row on[] = {
        { __LINE__, "a anchored smoothed",
          "error: 1:1: parse error: anchored and smoothed modifiers cannot be "
          "used together" },
        { __LINE__, "a[5m:1m] anchored",
          "error: 1:1: parse error: anchored modifier is not supported for "
          "subqueries" },
        { __LINE__, "(a) smoothed",
          "error: 1:1: parse error: smoothed modifier not implemented" },
        { __LINE__, "start_timestamp(a)", "" },
        { __LINE__, "start() + end() + range() + step()", "20" },
        { __LINE__, "anchored + smoothed + step + range + min_of", "{} 5" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, "a 1 1\nanchored 1\nsmoothed 1\nstep 1\nrange 1\nmin_of 1\n",
             10000);
    KIT_CHECK(&k, 10000, on);
    k.query.features = 0;
    KIT_CHECK(&k, 10000, rows);
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "durations are worked out for each query", test_spans },
    { "anchored windows begin at a sample", test_anchored },
    { "smoothed windows lie on lines", test_smoothed },
    { "missing partners are filled in", test_fill },
    { "what must be asked for", test_off },
    { "names may go at the end", test_delayed },
    { "types and units go with names", test_types },
    { "histograms can be trimmed", test_trim },
};

int main(void)
{
    return TAP_RUN("promql", tests);
}
