/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promql: cases that were run on a real Prometheus, with what version 3 makes
 * of them. Times are relative to a multiple of a minute that is none of 45
 * seconds, the subqueries' default step is 20 seconds.
 */
#include <stdio.h>

#include "unit/promql_kit.h"
#include "unit/tap.h"

#define T0    INT64_C(1699999980000)
#define AT(s) (T0 + (sonde_msec)((s)*1000))

static const char data[] =
    "tick_total{k=\"a\"} 0 _x4 6 _x4 12 _x4 18 _x4 24 _x4 30 _x4 36 _x4 42 "
    "_x4 48 _x4 54 _x4 60 _x4 66 _x4 72\n"
    "rst_total 5 15 25 3 13 23\n"
    "gap_total{k=\"z\"} _x39 2 _x1 32 _x1 62\n"
    "gap_total{k=\"y\"} _x39 1000 _x1 1030 _x1 1060\n"
    "gap_total{k=\"neg\"} _x39 -5 _x1 25 _x1 55\n"
    "gapw_total _x39 20 _x1 50 _x1 80\n"
    "edge_total _x39 100 _ 110 _ 120\n"
    "g{n=\"nan\"} _x58 nan\ng{n=\"pinf\"} _x58 inf\n"
    "g{n=\"ninf\"} _x58 -inf\ng{n=\"negz\"} _x58 -0\n"
    "g{n=\"three\"} _x58 3\ng{n=\"half\"} _x58 2.5\n"
    "g{n=\"nhalf\"} _x58 -2.5\n"
    "ord{n=\"c\"} _x58 7\nord{n=\"a\"} _x58 1\nord{n=\"b\"} _x58 4\n"
    "lb _x9 42\n"
    "many{a=\"1\",b=\"1\"} _x58 10\nmany{a=\"1\",b=\"2\"} _x58 20\n"
    "many{a=\"2\",b=\"1\"} _x58 30\n"
    "one{a=\"1\",info=\"I\"} _x58 2\none{a=\"3\",info=\"J\"} _x58 5\n"
    "one2 _x58 4\n"
    "ren_a{x=\"1\"} _x58 1\nren_b{x=\"1\"} _x58 2\n"
    "chg _x49 1 nan nan 1 1 0 -0\n"
    "kah _x49 1e100 1 -1e100\n"
    "kv{i=\"1\"} _x58 1e100\nkv{i=\"2\"} _x58 1\nkv{i=\"3\"} _x58 -1e100\n"
    "pl _x49 10+2x9\n"
    "sm _x49 1 2 4 8 16\n"
    "rq{s=\"p\"} 1 5 1\nrq{s=\"q\"} 2 2 7\n"
    "nanc_total _x55 nan 5 10\n"
    "infs _x55 inf inf inf\n"
    "big{i=\"1\"} _x58 1.7e308\nbig{i=\"2\"} _x58 1.7e308\n"
    "ext{i=\"1\"} _x58 1e21\next{i=\"2\"} _x58 1e-7\n"
    "lines{v=\"foo\\nbar\"} _x58 1\nlines{v=\"x-y\"} _x58 2\n"
    "before{} _x58 -1\n";

static void load(struct promql_kit *k)
{
    kit_init(k);
    k->query.default_step_ms = 20000;
    k->load_from = T0;
    kit_load(k, data, 10000);
    kit_load(k, "st 1 2 3 stale _ _ 9\n", 15000);
}

static void test_windows(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "count_over_time(tick_total[5m])", AT(600), "{k=\"a\"} 5" },
        { __LINE__, "count_over_time(tick_total[5m])", AT(601), "{k=\"a\"} 5" },
        { __LINE__, "rate(tick_total[1m])", AT(600), "" },
        { __LINE__, "increase(tick_total[5m])", AT(600), "{k=\"a\"} 30" },
        { __LINE__, "lb", AT(400), "" },
        { __LINE__, "lb", AT(399.999), "lb 42" },
        { __LINE__, "st", AT(44.9), "st 3" },
        { __LINE__, "st", AT(45), "" },
        { __LINE__, "st", AT(89), "" },
        { __LINE__, "st", AT(90), "st 9" },
        { __LINE__, "count_over_time(st[100s])", AT(95), "{} 4" },
        { __LINE__, "last_over_time(st[60s])", AT(60), "st 3" },
        { __LINE__, "tick_total[60s:60s]", AT(600),
          "tick_total{k=\"a\"} 60@1700000580" },
        { __LINE__, "tick_total[90s:45s]", AT(600),
          "tick_total{k=\"a\"} 48@1700000505 54@1700000550" },
        { __LINE__, "tick_total[45s:]", AT(605),
          "tick_total{k=\"a\"} 54@1700000560 60@1700000580" },
        { __LINE__, "timestamp(tick_total)", AT(630), "{k=\"a\"} 1700000580" },
        { __LINE__, "timestamp(tick_total + 0)", AT(630),
          "{k=\"a\"} 1700000610" },
        { __LINE__, "vector(time())", AT(600), "{} 1700000580" },
    };
    struct promql_kit k;

    load(&k);
    KIT_CHECK_AT(&k, rows);
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "absent_over_time(st[10s])", T0, AT(100), 20000),
        "{} 1@1700000020 1@1700000040 1@1700000060 1@1700000080");
    CU_ASSERT_STRING_EQUAL(kit_range(&k,
                                     "avg_over_time(vector(time())[4s:2s]) - "
                                     "1699999980",
                                     AT(4), AT(6), 1000),
                           "{} 3@1699999984 3@1699999985 5@1699999986");
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "sum_over_time((rq)[20s:10s] @ 1700000000)", T0, AT(10),
                  10000),
        "{s=\"p\"} 6@1699999980 6@1699999990\n"
        "{s=\"q\"} 9@1699999980 9@1699999990");
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "tick_total @ end() offset 1m", AT(600), AT(720), 60000),
        "tick_total{k=\"a\"} 66@1700000580 66@1700000640 66@1700000700");
    k.query.lookback_ms = 50000;
    CU_ASSERT_STRING_EQUAL(kit_instant(&k, "lb", AT(200)), "");
    kit_fini(&k);
}

static void test_ranges(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "increase(rst_total[60s])", AT(50), "{} 48" },
        { __LINE__, "resets(rst_total[60s])", AT(50), "{} 1" },
        { __LINE__, "irate(rst_total[25s])", AT(30), "{} 0.3" },
        { __LINE__, "delta(rst_total[60s])", AT(50), "{} 21.599999999999998" },
        { __LINE__, "increase(gap_total[5m])", AT(600),
          "{k=\"neg\"} 90\n{k=\"y\"} 90\n{k=\"z\"} 77" },
        { __LINE__, "increase(gapw_total[5m])", AT(600), "{} 90" },
        { __LINE__, "increase(edge_total[62s])", AT(440), "{} 25" },
        { __LINE__, "increase(edge_total[61s])", AT(441), "{} 30.5" },
        { __LINE__, "increase(nanc_total[1m])", AT(600), "{} NaN" },
        { __LINE__, "predict_linear(pl[2m] offset 10s, 10)", AT(600), "{} 32" },
        { __LINE__, "deriv(infs[2m])", AT(600), "{} NaN" },
        { __LINE__, "changes(chg[2m])", AT(600), "{} 3" },
        { __LINE__, "resets(chg[2m])", AT(600), "{} 1" },
        { __LINE__, "quantile_over_time(0.25, chg[2m])", AT(600), "{} NaN" },
        { __LINE__, "sum_over_time(kah[2m])", AT(600), "{} 1" },
        { __LINE__, "avg_over_time(kah[2m])", AT(600),
          "{} 0.3333333333333333" },
        { __LINE__, "double_exponential_smoothing(sm[2m], 0.5, 0.5)", AT(600),
          "{} 12.21875" },
    };
    struct promql_kit k;

    load(&k);
    KIT_CHECK_AT(&k, rows);
    kit_fini(&k);
}

static void test_aggregations(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "sum(kv)", "{} 1" },
        { __LINE__, "avg(kv)", "{} 0.3333333333333333" },
        { __LINE__, "avg(big)", "{} 1.7e+308" },
        { __LINE__, "sum(big)", "{} +Inf" },
        { __LINE__, "count(topk(20, g))", "{} 7" },
        { __LINE__, "topk(1.9, ord)", "ord{n=\"c\"} 7" },
        { __LINE__, "topk(-1, g)", "" },
        { __LINE__, "topk(NaN, g)", "error: Parameter value is NaN" },
        { __LINE__, "topk(1e30, g)",
          "error: Scalar value 1e+30 overflows int64" },
        { __LINE__, "bottomk(-1e30, g)",
          "error: Scalar value -1e+30 underflows int64" },
        { __LINE__, "limit_ratio(NaN, g)", "error: Ratio value is NaN" },
        { __LINE__, "stdvar(g{n=\"pinf\"})", "{} NaN" },
        { __LINE__, "stddev(g{n=\"nan\"})", "{} NaN" },
        { __LINE__, "quantile(0.1, ord)", "{} 1.6" },
        { __LINE__, "quantile(1.5, ord)",
          "{} +Inf\nPromQL warning: quantile value should be between 0 and 1, "
          "got 1.5 (1:10)" },
        { __LINE__, "count_values(\"v\", ext)",
          "{v=\"0.0000001\"} 1\n{v=\"1000000000000000000000\"} 1" },
        { __LINE__, "count_values(\"n\", g) without (n)", "{} 7" },
        { __LINE__, "count_values without (x) (\"__name__\", ord)",
          "{n=\"a\"} 1\n{n=\"b\"} 1\n{n=\"c\"} 1" },
        { __LINE__, "count_values(\"__name__\", ord)",
          "{__name__=\"1\"} 1\n{__name__=\"4\"} 1\n{__name__=\"7\"} 1" },
        { __LINE__, "count_values(\"0bad\", one2)", "{\"0bad\"=\"4\"} 1" },
        { __LINE__, "sum by () (ord)", "{} 12" },
        { __LINE__, "sum without () (ord)",
          "{n=\"a\"} 1\n{n=\"b\"} 4\n{n=\"c\"} 7" },
        { __LINE__, "sum by (zz) (ord)", "{} 12" },
        { __LINE__, "sum by (__name__) (ord)", "ord 12" },
        { __LINE__, "sum(nonexist)", "" },
        { __LINE__, "scalar(nonexist)", "NaN" },
        { __LINE__, "absent(sum(nonexist{a=\"1\"}))", "{} 1" },
        { __LINE__, "absent(nonexist{a=\"1\",a=\"2\",b=\"3\"})",
          "{b=\"3\"} 1" },
        { __LINE__, "absent(nonexist{a=\"1\",b=~\"x\"})", "{a=\"1\"} 1" },
        { __LINE__, "absent(nonexist{a=~\"x\",a=\"1\"})", "{a=\"1\"} 1" },
        { __LINE__, "absent(nonexist{a=\"1\",a=~\"x\"})", "{} 1" },
        { __LINE__, "absent((nonexist{a=\"1\"}))", "{a=\"1\"} 1" },
    };
    struct promql_kit k;

    load(&k);
    KIT_CHECK(&k, AT(600), rows);
    CU_ASSERT_STRING_EQUAL(
        kit_range(&k, "topk(1, rq)", T0, AT(20), 10000),
        "rq{s=\"p\"} 5@1699999990\nrq{s=\"q\"} 2@1699999980 7@1700000000");
    kit_fini(&k);
}

static void test_numbers(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "vector(1e21)", "{} 1e+21" },
        { __LINE__, "vector(0.000001)", "{} 0.000001" },
        { __LINE__, "vector(0.0000001)", "{} 1e-07" },
        { __LINE__, "round(g{n=~\"half|nhalf|negz\"})",
          "{n=\"half\"} 3\n{n=\"negz\"} 0\n{n=\"nhalf\"} -2" },
        { __LINE__, "round(vector(7), 0)", "{} NaN" },
        { __LINE__, "round(vector(-7.5), 5)", "{} -5" },
        { __LINE__, "round(vector(2), -1)", "{} 2" },
        { __LINE__, "clamp_max(g{n=~\"three|ninf|nan\"}, NaN)",
          "{n=\"nan\"} NaN\n{n=\"ninf\"} -Inf\n{n=\"three\"} NaN" },
        { __LINE__, "clamp(g, 3, 1)", "" },
        { __LINE__, "clamp(vector(5), NaN, 1)", "{} NaN" },
        { __LINE__, "year(before)", "{} 1969" },
        { __LINE__, "second(before)",
          "error: 1:1: parse error: unknown function with name \"second\"" },
        { __LINE__, "day_of_year(vector(1709164800))", "{} 60" },
        { __LINE__, "day_of_week(vector(86400 * 3))", "{} 0" },
        { __LINE__, "minute(vector(-0.5))", "{} 0" },
        { __LINE__, "hour(vector(3599.999))", "{} 0" },
        { __LINE__, "010 + 08", "16" },
        { __LINE__, "5m + 1", "301" },
        { __LINE__, "SUM(tick_total) BY (k)", "{k=\"a\"} 60" },
        { __LINE__, "-one % 3",
          "{a=\"1\", info=\"I\"} -2\n{a=\"3\", info=\"J\"} -2" },
        { __LINE__, "-one2 ^ 2", "{} -16" },
        { __LINE__, "1 - -1", "2" },
        { __LINE__, "--1", "1" },
    };
    struct promql_kit k;

    load(&k);
    KIT_CHECK(&k, AT(600), rows);
    kit_fini(&k);
}

static void test_operators(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "many{a=\"2\"} atan2 many{a=\"2\"}",
          "{a=\"2\", b=\"1\"} 0.7853981633974483" },
        { __LINE__, "one{a=\"1\"} atan2 1",
          "{a=\"1\", info=\"I\"} 1.1071487177940904" },
        { __LINE__, "2 == bool one",
          "{a=\"1\", info=\"I\"} 1\n{a=\"3\", info=\"J\"} 0" },
        { __LINE__, "many and on() one",
          "many{a=\"1\", b=\"1\"} 10\nmany{a=\"1\", b=\"2\"} 20\n"
          "many{a=\"2\", b=\"1\"} 30" },
        { __LINE__, "-{__name__=~\"ren_.*\"}",
          "error: vector cannot contain metrics with the same labelset" },
        { __LINE__, "abs({__name__=~\"ren_.*\"})",
          "error: vector cannot contain metrics with the same labelset" },
        { __LINE__, "label_replace(ord, \"n\", \"x\", \"n\", \"a|b\")",
          "error: vector cannot contain metrics with the same labelset" },
        { __LINE__,
          "label_replace(one, \"n\", \"$1-${1}x-$2-$$\", \"info\", \"(.)\")",
          "one{a=\"1\", info=\"I\", n=\"I-Ix--$\"} 2\n"
          "one{a=\"3\", info=\"J\", n=\"J-Jx--$\"} 5" },
        { __LINE__, "label_replace(one, \"n\", \"v\", \"absentlbl\", \"\")",
          "one{a=\"1\", info=\"I\", n=\"v\"} 2\n"
          "one{a=\"3\", info=\"J\", n=\"v\"} 5" },
        { __LINE__, "label_replace(one2, \"n\", \"v\", \"info\", \"i\")",
          "one2 4" },
        { __LINE__, "label_join(one{a=\"1\"}, \"info\", \"-\")",
          "one{a=\"1\"} 2" },
        { __LINE__, "label_join(one2, \"j\", \"-\", \"0bad\")", "one2 4" },
        { __LINE__, "label_join(one2, \"\", \"-\", \"a\")",
          "error: invalid destination label name in label_join(): " },
        { __LINE__, "label_replace(one2, \"a\", \"\", \"a\", \"(\")",
          "error: invalid regular expression in label_replace(): (" },
        { __LINE__, "count(lines{v=~\".*\"})", "{} 2" },
        { __LINE__, "count(lines{v=~\"foo.bar\"})", "{} 1" },
        { __LINE__, "count({a=~\"1.*\",__name__!~\"many.*\"})", "{} 1" },
        { __LINE__, "count(one{a=~\"1|\"})", "{} 1" },
        { __LINE__, "vector(NaN) == vector(NaN)", "" },
        { __LINE__, "vector(NaN) != vector(NaN)", "{} NaN" },
        { __LINE__, "vector(NaN) > bool 1", "{} 0" },
        { __LINE__, "many or ignoring(b) vector(1)",
          "{} 1\nmany{a=\"1\", b=\"1\"} 10\nmany{a=\"1\", b=\"2\"} 20\n"
          "many{a=\"2\", b=\"1\"} 30" },
        { __LINE__, "count({\"tick_total\"})", "{} 1" },
        { __LINE__, "sum by (\"k\") (tick_total)", "{k=\"a\"} 60" },
    };
    struct promql_kit k;

    load(&k);
    KIT_CHECK(&k, AT(600), rows);
    kit_fini(&k);
}

static void test_budget(void)
{
    struct promql_kit k;
    const char *got;

    load(&k);
    k.query.max_samples = 2000;
    got = kit_range(&k, "vector(1)", T0, AT(1998), 1000);
    CU_ASSERT_NSTRING_EQUAL(got, "{} 1@1699999980 ", 16);
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "vector(1)", T0, AT(2000), 1000),
                           "error: query processing would load too many "
                           "samples into memory in query execution");
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "windows and staleness", test_windows },
    { "functions over ranges", test_ranges },
    { "aggregations and absent", test_aggregations },
    { "numbers and times", test_numbers },
    { "operators and labels", test_operators },
    { "the budget of samples", test_budget },
};

int main(void)
{
    return TAP_RUN("promql verified", tests);
}
