/* SPDX-License-Identifier: Apache-2.0 */
/* promql: vectors against vectors, and aggregations that rank. */
#include "unit/promql_kit.h"
#include "unit/tap.h"

#define MANY                                                                   \
    "many{a=\"1\",b=\"1\"} 10\nmany{a=\"1\",b=\"2\"} 20\n"                     \
    "many{a=\"2\",b=\"1\"} 30\n"
#define ONE    "one{a=\"1\",info=\"I\"} 2\none{a=\"3\",info=\"J\"} 5\n"
#define ONEDUP "onedup{a=\"1\",z=\"p\"} 2\nonedup{a=\"1\",z=\"q\"} 3\n"

static void test_match(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "many + one", "" },
        { __LINE__, "many + on(a) one",
          "error: multiple matches for labels: many-to-one matching must be "
          "explicit (group_left/group_right)" },
        { __LINE__, "one + on(a) onedup",
          "error: found duplicate series for the match group {a=\"1\"} on the "
          "right hand-side of the operation: [{__name__=\"onedup\", a=\"1\", "
          "z=\"q\"}, {__name__=\"onedup\", a=\"1\", z=\"p\"}];many-to-many "
          "matching not allowed: matching labels must be unique on one side" },
        { __LINE__, "onedup + on(a) nothing", "" },
        { __LINE__, "many * on(a) group_left one",
          "{a=\"1\", b=\"1\"} 20\n{a=\"1\", b=\"2\"} 40" },
        { __LINE__, "many * on(a) group_left(info) one",
          "{a=\"1\", b=\"1\", info=\"I\"} 20\n"
          "{a=\"1\", b=\"2\", info=\"I\"} 40" },
        { __LINE__, "many * on(a) group_left(b) one",
          "error: multiple matches for labels: grouping labels must ensure "
          "unique matches" },
        { __LINE__, "one < on(a) group_right many",
          "many{a=\"1\", b=\"1\"} 2\nmany{a=\"1\", b=\"2\"} 2" },
        { __LINE__, "many{b=\"1\"} - on(a) one", "{a=\"1\"} 8" },
        { __LINE__, "many{b=\"1\"} - ignoring(b,info) one", "{a=\"1\"} 8" },
        { __LINE__, "many == on(a,b) many",
          "{a=\"1\", b=\"1\"} 10\n{a=\"1\", b=\"2\"} 20\n"
          "{a=\"2\", b=\"1\"} 30" },
        { __LINE__, "many == many",
          "many{a=\"1\", b=\"1\"} 10\nmany{a=\"1\", b=\"2\"} 20\n"
          "many{a=\"2\", b=\"1\"} 30" },
        { __LINE__, "many > bool many",
          "{a=\"1\", b=\"1\"} 0\n{a=\"1\", b=\"2\"} 0\n"
          "{a=\"2\", b=\"1\"} 0" },
        { __LINE__, "many + on(__name__,a,b) many",
          "{a=\"1\", b=\"1\"} 20\n{a=\"1\", b=\"2\"} 40\n"
          "{a=\"2\", b=\"1\"} 60" },
        { __LINE__, "one atan2 one",
          "{a=\"1\", info=\"I\"} 0.7853981633974483\n"
          "{a=\"3\", info=\"J\"} 0.7853981633974483" },
        { __LINE__, "count(many) by (b) / ignoring(b) group_left count(many)",
          "{b=\"1\"} 0.6666666666666666\n{b=\"2\"} 0.3333333333333333" },
        { __LINE__, "10 < many",
          "many{a=\"1\", b=\"2\"} 20\nmany{a=\"2\", b=\"1\"} 30" },
        { __LINE__, "many{a=\"1\"} > bool 10 == 1", "{a=\"1\", b=\"2\"} 1" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, MANY ONE ONEDUP, 1000);
    KIT_CHECK(&k, 0, rows);
    kit_fini(&k);
}

static void test_sets(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "many and on() nothing", "" },
        { __LINE__, "many and on(a) one",
          "many{a=\"1\", b=\"1\"} 10\nmany{a=\"1\", b=\"2\"} 20" },
        { __LINE__, "many unless on(a) one", "many{a=\"2\", b=\"1\"} 30" },
        { __LINE__, "one or on(a) many",
          "many{a=\"2\", b=\"1\"} 30\none{a=\"1\", info=\"I\"} 2\n"
          "one{a=\"3\", info=\"J\"} 5" },
        { __LINE__, "ren_a or ren_b", "ren_a{x=\"1\"} 1" },
        { __LINE__, "nothing or ren_b", "ren_b{x=\"1\"} 2" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, MANY ONE "ren_a{x=\"1\"} 1\nren_b{x=\"1\"} 2", 1000);
    KIT_CHECK(&k, 0, rows);
    /* Step by step: one side has a gap. */
    kit_load(&k, "l 1 _ 3\nr 10 20 30", 1000);
    k.query.lookback_ms = 1000;
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "l or r", 0, 2000, 1000),
                           "l 1@0 3@2\nr 20@1");
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "r unless l", 0, 2000, 1000),
                           "r 20@1");
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "r + l", 0, 2000, 1000),
                           "{} 11@0 33@2");
    kit_fini(&k);
}

static void test_ranked(void)
{
    static const struct kit_row rows[] = {
        { __LINE__, "topk(1.9, ord)", "ord{n=\"c\"} 7" },
        { __LINE__, "bottomk(2, ord)", "ord{n=\"a\"} 1\nord{n=\"b\"} 4" },
        { __LINE__, "topk(-1, ord)", "" },
        { __LINE__, "topk(NaN, ord)", "error: Parameter value is NaN" },
        { __LINE__, "topk(1e30, ord)",
          "error: Scalar value 1e+30 overflows int64" },
        { __LINE__, "quantile(0.1, ord)", "{} 1.6" },
        { __LINE__, "quantile(1.5, ord)",
          "{} +Inf\nPromQL warning: quantile value should be between 0 and 1, "
          "got 1.5 (1:10)" },
        { __LINE__, "stdvar(ord)", "{} 6" },
        { __LINE__, "stddev(ord)", "{} 2.449489742783178" },
        { __LINE__, "stdvar(g{n=\"pinf\"})", "{} NaN" },
        { __LINE__, "count_values(\"v\", ord)",
          "{v=\"1\"} 1\n{v=\"4\"} 1\n{v=\"7\"} 1" },
        { __LINE__, "count_values(\"n\", ord) without (n)", "{} 3" },
        { __LINE__, "count_values(\"v\", big)",
          "{v=\"0.0000001\"} 1\n{v=\"1000000000000000000000\"} 1" },
        { __LINE__, "limitk(2, ord)", "ord{n=\"a\"} 1\nord{n=\"c\"} 7" },
        { __LINE__, "count(limit_ratio(0.5, ord) or limit_ratio(-0.5, ord))",
          "{} 3" },
        { __LINE__, "limit_ratio(0.5, ord) and limit_ratio(-0.5, ord)", "" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k,
             "ord{n=\"c\"} 7\nord{n=\"a\"} 1\nord{n=\"b\"} 4\n"
             "g{n=\"pinf\"} inf\nbig{i=\"1\"} 1e21\nbig{i=\"2\"} 1e-7",
             1000);
    KIT_CHECK(&k, 0, rows);
    kit_load(&k, "rq{s=\"p\"} 1 5 1\nrq{s=\"q\"} 2 2 7", 10000);
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "topk(1, rq)", 0, 20000, 10000),
                           "rq{s=\"p\"} 5@10\nrq{s=\"q\"} 2@0 7@20");
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "matching", test_match },
    { "set operators", test_sets },
    { "ranking", test_ranked },
};

int main(void)
{
    return TAP_RUN("promql match", tests);
}
