/* SPDX-License-Identifier: Apache-2.0 */
/* promql: the engine's core: selectors, ranges, rate, folding, scalars. */
#include <stdlib.h>
#include <string.h>

#include "unit/promql_kit.h"
#include "unit/tap.h"

static void test_scalars(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "1+1", 0, "2" },
        { __LINE__, "-2^2", 0, "-4" },
        { __LINE__, "2^3^2", 0, "512" },
        { __LINE__, "7 % -3", 0, "1" },
        { __LINE__, "(1 - 3) * 2", 0, "-4" },
        { __LINE__, "1 / 4", 0, "0.25" },
        { __LINE__, "1 > bool 2", 0, "0" },
        { __LINE__, "1m + 1", 0, "61" },
        { __LINE__, "1 - -1", 0, "2" },
        { __LINE__, "2 - 1 - 1", 0, "0" },
        { __LINE__, "\"text\"", 0, "text" },
        { __LINE__, "(\"text\")", 0, "text" },
    };
    struct promql_kit k;

    kit_init(&k);
    KIT_CHECK_AT(&k, rows);
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "1 + 1", 0, 2000, 1000),
                           "{} 2@0 2@1 2@2");
    kit_fini(&k);
}

static void test_selectors(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "up", 60000, "up{job=\"a\"} 2\nup{job=\"b\"} 5" },
        { __LINE__, "up{job=\"a\"}", 359999, "" },
        { __LINE__, "up{job=\"b\"}", 299999, "up{job=\"b\"} 5" },
        { __LINE__, "up{job=\"b\"}", 359999, "up{job=\"b\"} 5" },
        { __LINE__, "up{job=\"b\"}", 360000, "" },
        { __LINE__, "up{job=\"a\"}", 120000, "" },
        { __LINE__, "up{job=\"a\"} offset 1m", 120000, "up{job=\"a\"} 2" },
        { __LINE__, "up{job=\"a\"} @ 60", 900000, "up{job=\"a\"} 2" },
        { __LINE__, "up{job=\"a\"}[5m]", 60000, "up{job=\"a\"} 1@0 2@60" },
        { __LINE__, "up{job=\"a\"}[1m]", 60000, "up{job=\"a\"} 2@60" },
        { __LINE__, "up{job=\"b\"}[2m:30s]", 60000,
          "up{job=\"b\"} 4@0 4@30 5@60" },
        { __LINE__, "-up{job=\"b\"}", 60000, "{job=\"b\"} -5" },
        { __LINE__, "-{job=\"a\"}", 60000,
          "error: vector cannot contain metrics with the same labelset" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k,
             "up{job=\"a\"} 1 2 stale\nup{job=\"b\"} 4 5\n"
             "down{job=\"a\"} 1 1",
             60000);
    KIT_CHECK_AT(&k, rows);
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "up", 0, 180000, 60000),
                           "up{job=\"a\"} 1@0 2@60\n"
                           "up{job=\"b\"} 4@0 5@60 5@120 5@180");
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "up @ start()", 60000, 180000, 60000),
                           "up{job=\"a\"} 2@60 2@120 2@180\n"
                           "up{job=\"b\"} 5@60 5@120 5@180");
    kit_fini(&k);
}

static void test_rate(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "increase(rst_total[60s])", 50000, "{} 48" },
        { __LINE__, "delta(rst_total[60s])", 50000, "{} 21.599999999999998" },
        { __LINE__, "rate(tick_total[1m])", 600000, "" },
        { __LINE__, "increase(tick_total[5m])", 600000, "{k=\"a\"} 30" },
        { __LINE__, "sum(rate(tick_total[5m]))", 600000, "{} 0.1" },
        { __LINE__, "increase(tick[5m])", 600000,
          "{} 30\nPromQL info: metric might not be a counter, name does not "
          "end in _total/_sum/_count/_bucket: \"tick\" (1:10)" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, "rst_total 5 15 25 3 13 23", 10000);
    kit_load(&k, "tick_total{k=\"a\"} 0+6x40\ntick 0+6x40", 60000);
    KIT_CHECK_AT(&k, rows);
    kit_fini(&k);
}

static void test_fold(void)
{
    static const struct kit_at_row rows[] = {
        { __LINE__, "sum(v)", 0, "{} 10" },
        { __LINE__, "sum by (a) (v)", 0, "{a=\"1\"} 3\n{a=\"2\"} 7" },
        { __LINE__, "sum without (a) (v)", 0, "{b=\"x\"} 4\n{b=\"y\"} 6" },
        { __LINE__, "avg(v)", 0, "{} 2.5" },
        { __LINE__, "count(v)", 0, "{} 4" },
        { __LINE__, "min(v) + 0", 0, "{} 1" },
        { __LINE__, "max by (b) (v)", 0, "{b=\"x\"} 3\n{b=\"y\"} 4" },
        { __LINE__, "group(v)", 0, "{} 1" },
        { __LINE__, "sum(kv)", 0, "{} 1" },
        { __LINE__, "avg(kv)", 0, "{} 0.3333333333333333" },
        { __LINE__, "avg(huge)", 0, "{} 1.7e+308" },
        { __LINE__, "sum(huge)", 0, "{} +Inf" },
        { __LINE__, "max(nans)", 0, "{} 3" },
        { __LINE__, "sum(gone)", 0, "" },
        { __LINE__, "v > 2", 0,
          "v{a=\"2\", b=\"x\"} 3\nv{a=\"2\", b=\"y\"} 4" },
        { __LINE__, "2 < bool v", 0,
          "{a=\"1\", b=\"x\"} 0\n{a=\"1\", b=\"y\"} 0\n"
          "{a=\"2\", b=\"x\"} 1\n{a=\"2\", b=\"y\"} 1" },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k,
             "v{a=\"1\",b=\"x\"} 1\nv{a=\"1\",b=\"y\"} 2\n"
             "v{a=\"2\",b=\"x\"} 3\nv{a=\"2\",b=\"y\"} 4\n"
             "kv{i=\"1\"} 1e100\nkv{i=\"2\"} 1\nkv{i=\"3\"} -1e100\n"
             "huge{i=\"1\"} 1.7e308\nhuge{i=\"2\"} 1.7e308\n"
             "nans{i=\"1\"} nan\nnans{i=\"2\"} 3",
             1000);
    KIT_CHECK_AT(&k, rows);
    kit_fini(&k);
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

static void test_limits(void)
{
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, "v{a=\"1\"} 1x100\nv{a=\"2\"} 1x100", 1000);
    k.query.max_samples = 100;
    CU_ASSERT_STRING_EQUAL(kit_range(&k, "v", 0, 100000, 1000),
                           "error: query processing would load too many "
                           "samples into memory in query execution");
    k.query.max_samples = 0;
    k.query.deadline_ms = 1;
    CU_ASSERT_STRING_EQUAL(kit_instant(&k, "v", 0),
                           "error: query timed out in query execution");
    k.query.deadline_ms = 0;
    k.query.canceled = always;
    CU_ASSERT_STRING_EQUAL(kit_instant(&k, "v", 0),
                           "error: query was canceled in query execution");
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "numbers and strings", test_scalars },
    { "selectors, ranges, subqueries", test_selectors },
    { "rate, increase, delta", test_rate },
    { "sum, avg, min, max, count, group", test_fold },
    { "samples, time and clients are limits", test_limits },
};

int main(void)
{
    return TAP_RUN("promql engine", tests);
}
