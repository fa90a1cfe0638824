/* SPDX-License-Identifier: Apache-2.0 */
/* promql: histograms, classic and native. */
#include <math.h>

#include "unit/promql_kit.h"
#include "unit/tap.h"

static void test_classic(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "histogram_quantile(0.5, h_bucket)", "{k=\"a\"} 2.5" },
        { __LINE__, "histogram_quantile(0.95, h_bucket)", "{k=\"a\"} 4" },
        { __LINE__, "histogram_quantile(0, h_bucket)", "{k=\"a\"} 0" },
        { __LINE__, "histogram_quantile(0.25, fine_bucket)",
          "{} 0.49999999999995" },
        { __LINE__, "histogram_quantile(0.5, noinf_bucket)", "{} NaN" },
        { __LINE__, "histogram_quantile(0.5, only_bucket)", "{} NaN" },
        { __LINE__, "histogram_quantile(0.5, zero_bucket)", "{} NaN" },
        { __LINE__, "histogram_quantile(0.2, neg_bucket)", "{} -1" },
        { __LINE__, "histogram_quantile(0.95, neg_bucket)", "{} 0.8" },
        { __LINE__, "histogram_quantile(0.5, same_bucket)", "{} 1" },
        { __LINE__, "histogram_quantile(0.5, sum(h_bucket))",
          "PromQL warning: bucket label \"le\" is missing or has a malformed "
          "value of \"\" (1:25)" },
        { __LINE__, "histogram_quantile(2, h_bucket)",
          "{k=\"a\"} +Inf\nPromQL warning: quantile value should be between 0 "
          "and 1, got 2 (1:20)" },
        { __LINE__, "histogram_quantiles(h_bucket, \"q\", 0.5, 1)",
          "{k=\"a\", q=\"0.5\"} 2.5\n{k=\"a\", q=\"1.0\"} 4" },
        { __LINE__, "histogram_fraction(0, 2, h_bucket)", "{k=\"a\"} 0.4" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k,
             "h_bucket{k=\"a\",le=\"1\"} 10\nh_bucket{k=\"a\",le=\"2\"} 20\n"
             "h_bucket{k=\"a\",le=\"4\"} 40\nh_bucket{k=\"a\",le=\"+Inf\"} 50\n"
             "fine_bucket{le=\"1\"} 10000000000001\n"
             "fine_bucket{le=\"2\"} 10000000000000\n"
             "fine_bucket{le=\"+Inf\"} 20000000000000\n"
             "noinf_bucket{le=\"1\"} 1\nnoinf_bucket{le=\"2\"} 2\n"
             "only_bucket{le=\"+Inf\"} 2\n"
             "zero_bucket{le=\"1\"} 0\nzero_bucket{le=\"+Inf\"} 0\n"
             "neg_bucket{le=\"-1\"} 10\nneg_bucket{le=\"1\"} 20\n"
             "neg_bucket{le=\"+Inf\"} 20\n"
             "same_bucket{le=\"1\"} 10\nsame_bucket{le=\"1.0\"} 10\n"
             "same_bucket{le=\"+Inf\"} 40",
             1000);
    KIT_CHECK(&k, 0, rows);
    kit_load(&k,
             "bad_bucket{le=\"1\"} 10\nbad_bucket{le=\"2\"} 8\n"
             "bad_bucket{le=\"4\"} 40\nbad_bucket{le=\"+Inf\"} 40",
             1000);
    CU_ASSERT_STRING_EQUAL(
        kit_instant(&k, "histogram_quantile(0.5, bad_bucket)", 0),
        "{} 2.6666666666666665\nPromQL info: input to histogram_quantile "
        "needed to be fixed for monotonicity (see https://prometheus.io/docs/"
        "prometheus/latest/querying/functions/#histogram_quantile), from "
        "buckets 2 to 2, with a max diff of 2, over 1 samples from "
        "1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.000Z (1:25)");
    kit_fini(&k);
}

/* count 12, sum 18.4, zero 2 (0.001), (0.5,1]:1 (1,2]:4 (4,8]:5, times f */
static void load_native(struct promql_kit *k, const char *series, sonde_msec t,
                        double f, int32_t schema)
{
    struct histogram_span spans[] = { { 0, 2 }, { 1, 1 } };
    double buckets[] = { 1 * f, 4 * f, 5 * f };
    struct histogram h = {
        .is_float = true,
        .schema = schema,
        .zero_threshold = 0.001,
        .sum = 18.4 * f,
        .zero_count.f = 2 * f,
        .count.f = 12 * f,
        .positive = { spans, 2, { .f = buckets }, 3 },
    };

    kit_load_histogram(k, series, t, &h);
}

static void test_native(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "histogram_quantile(0.5, nh{k=\"a\"})",
          "{k=\"a\"} 1.681792830507429" },
        { __LINE__, "histogram_fraction(0, 1.5, nh{k=\"a\"})",
          "{k=\"a\"} 0.44498750024038536" },
        { __LINE__, "histogram_count(nh{k=\"a\"})", "{k=\"a\"} 12" },
        { __LINE__, "histogram_sum(nh{k=\"a\"})", "{k=\"a\"} 18.4" },
        { __LINE__, "histogram_avg(nh{k=\"a\"})",
          "{k=\"a\"} 1.5333333333333332" },
        { __LINE__, "histogram_count(nh{k=\"a\"} * 2)", "{k=\"a\"} 24" },
        { __LINE__, "histogram_count(-nh{k=\"a\"})", "{k=\"a\"} -12" },
        { __LINE__, "histogram_count(sum(nh))", "{} 36" },
        { __LINE__, "histogram_count(avg(nh))", "{} 18" },
        { __LINE__,
          "histogram_quantile(0.5, nh{k=\"a\"} + ignoring(k) "
          "nh{k=\"b\"})",
          "{} 1.681792830507429" },
        { __LINE__, "count_values(\"v\", nh{k=\"a\"})",
          "{v=\"{count:12, sum:18.4, [-0.001,0.001]:2, (0.5,1]:1, (1,2]:4, "
          "(4,8]:5}\"} 1" },
        { __LINE__, "sum({__name__=~\"nh|f\"})",
          "PromQL warning: encountered a mix of histograms and floats for "
          "aggregation (1:5)" },
        { __LINE__, "max(nh)",
          "PromQL info: ignored histogram in max aggregation (1:5)" },
        { __LINE__, "abs(nh)", "" },
        { __LINE__, "histogram_count(rate(grow[2m]))", "" },
        { __LINE__, "nh + 1",
          "PromQL info: incompatible sample types encountered for binary "
          "operator \"+\": histogram + float (1:1)" },
        { __LINE__, "histogram_count(nh == nh)", "{k=\"a\"} 12\n{k=\"b\"} 24" },
    };
    struct promql_kit k;

    kit_init(&k);
    load_native(&k, "nh{k=\"a\"}", 0, 1, 0);
    load_native(&k, "nh{k=\"b\"}", 0, 2, 0);
    kit_load(&k, "f 1", 1000);
    KIT_CHECK(&k, 0, rows);
    for (int i = 0; i < 5; i++)
        load_native(&k, "grow", i * 30000, 1 + i % 3, 0);
    CU_ASSERT_STRING_EQUAL(
        kit_instant(&k, "histogram_count(increase(grow[2m]))", 119999),
        "{} 48");
    CU_ASSERT_STRING_EQUAL(kit_instant(&k, "resets(grow[10m])", 120000),
                           "{} 1");
    CU_ASSERT_STRING_EQUAL(kit_instant(&k, "changes(grow[10m])", 120000),
                           "{} 4");
    CU_ASSERT_STRING_EQUAL(
        kit_instant(&k, "histogram_sum(sum_over_time(grow[10m]))", 120000),
        "{} 165.6");
    kit_fini(&k);
}

/* Sums must not borrow the bounds of rows that are long gone. */
static void test_custom_groups(void)
{
    static const char *const series[] = { "nc{k=\"a\"}", "nc{k=\"b\"}" };
    struct histogram_span span = { 0, 2 };
    double buckets[] = { 1, 2 };
    double bounds[2][2] = { { 1, 2 }, { 10, 20 } };
    struct promql_kit k;

    kit_init(&k);
    for (size_t i = 0; i < 2; i++) {
        struct histogram h = {
            .is_float = true,
            .schema = HISTOGRAM_CUSTOM,
            .count.f = 3,
            .sum = 5,
            .positive = { &span, 1, { .f = buckets }, 2 },
            .custom_bounds = bounds[i],
            .custom_count = 2,
        };

        kit_load_histogram(&k, series[i], 0, &h);
    }
    CU_ASSERT_STRING_EQUAL(
        kit_instant(&k, "histogram_quantile(0.5, sum by (k) (nc))", 0),
        "{k=\"a\"} 1.25\n{k=\"b\"} 12.5");
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "classic", test_classic },
    { "native", test_native },
    { "sums of custom buckets keep their bounds", test_custom_groups },
};

int main(void)
{
    return TAP_RUN("promql histograms", tests);
}
