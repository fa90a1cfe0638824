/* SPDX-License-Identifier: Apache-2.0 */
/* promql: functions of floats, over ranges and of single values. */
#include "unit/promql_kit.h"
#include "unit/tap.h"

static void test_over_time(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "count_over_time(tick_total[5m])", 600000, "{k=\"a\"} 5" },
        { __LINE__, "count_over_time(tick_total[5m])", 601000, "{k=\"a\"} 5" },
        { __LINE__, "count_over_time(st[100s])", 95000, "{} 4" },
        { __LINE__, "last_over_time(st[60s])", 60000, "st 3" },
        { __LINE__, "first_over_time(st[60s])", 60000, "st 2" },
        { __LINE__, "sum_over_time(st[60s])", 45000, "{} 6" },
        { __LINE__, "min_over_time(chg[2m])", 560000, "{} 0" },
        { __LINE__, "max_over_time(chg[2m])", 560000, "{} 1" },
        { __LINE__, "avg_over_time(st[60s])", 45000, "{} 2" },
        { __LINE__, "stdvar_over_time(st[60s])", 45000,
          "{} 0.6666666666666666" },
        { __LINE__, "stddev_over_time(st[60s])", 45000,
          "{} 0.816496580927726" },
        { __LINE__, "present_over_time(st[60s])", 45000, "{} 1" },
        { __LINE__, "changes(chg[2m])", 560000, "{} 3" },
        { __LINE__, "resets(chg[2m])", 560000, "{} 1" },
        { __LINE__, "quantile_over_time(0.25, chg[2m])", 560000, "{} NaN" },
        { __LINE__, "quantile_over_time(0.5, st[60s])", 45000, "{} 2" },
        { __LINE__, "mad_over_time(st[60s])", 45000, "{} 1" },
        { __LINE__, "sum_over_time(kah[2m])", 520000, "{} 1" },
        { __LINE__, "avg_over_time(kah[2m])", 520000, "{} 0.3333333333333333" },
        { __LINE__, "avg_over_time(huge[2m])", 10000, "{} 1.7e+308" },
        { __LINE__, "ts_of_max_over_time(st[60s])", 45000, "{} 30" },
        { __LINE__, "ts_of_min_over_time(st[60s])", 45000, "{} 0" },
        { __LINE__, "ts_of_first_over_time(st[60s])", 45000, "{} 0" },
        { __LINE__, "ts_of_last_over_time(st[60s])", 45000, "{} 30" },
        { __LINE__, "avg_over_time(vector(time())[4s:2s])", 4000, "{} 3" },
        { __LINE__, "avg_over_time(vector(time())[4s:2s])", 6000, "{} 5" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, "tick_total{k=\"a\"} 0+6x40", 60000);
    kit_load(&k, "st 1 2 3 stale _ _ 9", 15000);
    kit_load(&k, "huge 1.7e308 1.7e308", 10000);
    kit_load(&k, "chg _x49 1 nan nan 1 1 0 -0\nkah _x49 1e100 1 -1e100", 10000);
    KIT_CHECK_AT(&k, rows);
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "absent_over_time(st[10s])", 0, 100000, 20000),
        "{} 1@40 1@60 1@80 1@100");
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "sum_over_time(tick_total[3m])", 600000, 720000, 60000),
        "{k=\"a\"} 162@600 180@660 198@720");
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "sum_over_time(tick_total[30s])", 600000, 720000, 90000),
        "{k=\"a\"} 60@600");
    kit_fini(&k);
}

static void test_regress(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "deriv(pl[2m])", 600000, "{} 0.2" },
        { __LINE__, "predict_linear(pl[2m] offset 10s, 10)", 600000, "{} 32" },
        { __LINE__, "deriv(same[2m])", 30000, "{} 0" },
        { __LINE__, "deriv(infs[2m])", 30000, "{} NaN" },
        { __LINE__, "double_exponential_smoothing(sm[2m], 0.5, 0.5)", 540000,
          "{} 12.21875" },
        { __LINE__, "double_exponential_smoothing(sm[2m], 1, 0.5)", 540000,
          "error: invalid smoothing factor. Expected: 0 < sf < 1, got: "
          "1.000000" },
        { __LINE__, "irate(rst_total[25s])", 30000, "{} 0.3" },
        { __LINE__, "idelta(rst_total[25s])", 30000, "{} -22" },
        { __LINE__, "increase(gap_total{k=\"z\"}[5m])", 600000,
          "{k=\"z\"} 77" },
        { __LINE__, "increase(gap_total{k=\"y\"}[5m])", 600000,
          "{k=\"y\"} 90" },
        { __LINE__, "increase(gap_total{k=\"neg\"}[5m])", 600000,
          "{k=\"neg\"} 90" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k,
             "rst_total 5 15 25 3 13 23\nsame 4 4 4\ninfs inf inf inf\n"
             "gap_total{k=\"z\"} _x39 2 _ _ 32 _ _ 62\n"
             "gap_total{k=\"y\"} _x39 1000 _ _ 1030 _ _ 1060\n"
             "gap_total{k=\"neg\"} _x39 -5 _ _ 25 _ _ 55\n"
             "pl _x49 10+2x9\nsm _x49 1 2 4 8 16",
             10000);
    KIT_CHECK_AT(&k, rows);
    kit_fini(&k);
}

static void test_elements(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "round(g)",
          "{n=\"half\"} 3\n{n=\"negz\"} 0\n"
          "{n=\"nhalf\"} -2" },
        { __LINE__, "round(vector(7), 0)", "{} NaN" },
        { __LINE__, "round(vector(-7.5), 5)", "{} -5" },
        { __LINE__, "round(vector(2), -1)", "{} 2" },
        { __LINE__, "clamp(vector(5), 3, 1)", "" },
        { __LINE__, "clamp(vector(5), NaN, 1)", "{} NaN" },
        { __LINE__, "clamp_max(vector(-Inf), NaN)", "{} -Inf" },
        { __LINE__, "clamp_min(vector(2), 3)", "{} 3" },
        { __LINE__, "abs(g)",
          "{n=\"half\"} 2.5\n{n=\"negz\"} 0\n"
          "{n=\"nhalf\"} 2.5" },
        { __LINE__, "sgn(g)",
          "{n=\"half\"} 1\n{n=\"negz\"} -0\n"
          "{n=\"nhalf\"} -1" },
        { __LINE__, "sqrt(vector(16))", "{} 4" },
        { __LINE__, "ln(vector(0))", "{} -Inf" },
        { __LINE__, "deg(vector(pi()))", "{} 180" },
        { __LINE__, "abs({__name__=~\"ren_.*\"})",
          "error: vector cannot contain metrics with the same labelset" },
        { __LINE__, "year(vector(-1))", "{} 1969" },
        { __LINE__, "day_of_year(vector(1709210096.9))", "{} 60" },
        { __LINE__, "days_in_month(vector(1709210096.9))", "{} 29" },
        { __LINE__, "day_of_week(vector(86400*3))", "{} 0" },
        { __LINE__, "minute(vector(-0.5))", "{} 0" },
        { __LINE__, "hour(vector(3599.999))", "{} 0" },
        { __LINE__, "month()", "{} 1" },
        { __LINE__, "scalar(nothing)", "NaN" },
        { __LINE__, "scalar(ren_a)", "1" },
        { __LINE__, "time()", "0" },
        { __LINE__, "vector(1e21)", "{} 1e+21" },
        { __LINE__, "max_of(1, NaN)", "NaN" },
        { __LINE__, "min_of(1, 2)", "1" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k,
             "g{n=\"half\"} 2.5\ng{n=\"nhalf\"} -2.5\ng{n=\"negz\"} -0\n"
             "ren_a{x=\"1\"} 1\nren_b{x=\"1\"} 2",
             1000);
    KIT_CHECK(&k, 0, rows);
    kit_fini(&k);
}

static void test_labels(void)
{
    static const struct kit_row rows[] = {
        { __LINE__,
          "label_replace(one, \"n\", \"$1-${1}x-$2-$$\", \"info\", "
          "\"(.)\")",
          "one{a=\"1\", info=\"I\", n=\"I-Ix--$\"} 2" },
        { __LINE__, "label_replace(one, \"n\", \"v\", \"absent\", \"\")",
          "one{a=\"1\", info=\"I\", n=\"v\"} 2" },
        { __LINE__, "label_replace(one, \"n\", \"v\", \"info\", \"i\")",
          "one{a=\"1\", info=\"I\"} 2" },
        { __LINE__, "label_replace(ord, \"n\", \"x\", \"n\", \"a|b\")",
          "error: vector cannot contain metrics with the same labelset" },
        { __LINE__, "label_replace(one, \"n\", \"v\", \"info\", \"(\")",
          "error: invalid regular expression in label_replace(): (" },
        { __LINE__, "label_replace(one, \"\", \"v\", \"info\", \"x\")",
          "error: invalid destination label name in label_replace(): " },
        { __LINE__, "label_join(one, \"info\", \"-\")", "one{a=\"1\"} 2" },
        { __LINE__, "label_join(one, \"j\", \"-\", \"a\", \"none\", \"info\")",
          "one{a=\"1\", info=\"I\", j=\"1--I\"} 2" },
        { __LINE__, "absent(nothing{a=\"1\",a=\"2\",b=\"3\"})", "{b=\"3\"} 1" },
        { __LINE__, "absent(nothing{a=\"1\",b=~\"x\"})", "{a=\"1\"} 1" },
        { __LINE__, "absent(nothing{a=~\"x\",a=\"1\"})", "{a=\"1\"} 1" },
        { __LINE__, "absent(nothing{a=\"1\",a=~\"x\"})", "{} 1" },
        { __LINE__, "absent(sum(nothing{a=\"1\"}))", "{} 1" },
        { __LINE__, "absent((nothing{a=\"1\"}))", "{a=\"1\"} 1" },
        { __LINE__, "absent(one)", "" },
        { __LINE__, "timestamp(one)", "{a=\"1\", info=\"I\"} 0" },
        { __LINE__, "timestamp(one + 0)", "{a=\"1\", info=\"I\"} 0" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, "one{a=\"1\",info=\"I\"} 2\nord{n=\"a\"} 1\nord{n=\"b\"} 4",
             1000);
    KIT_CHECK(&k, 0, rows);
    CU_ASSERT_STRING_EQUAL(kit_instant(&k, "timestamp(one)", 30000),
                           "{a=\"1\", info=\"I\"} 0");
    CU_ASSERT_STRING_EQUAL(kit_instant(&k, "timestamp(one+0)", 30000),
                           "{a=\"1\", info=\"I\"} 30");
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "over time", test_over_time },
    { "lines, smoothing, the last two", test_regress },
    { "single values and dates", test_elements },
    { "labels, absence, stamps", test_labels },
};

int main(void)
{
    return TAP_RUN("promql functions", tests);
}
