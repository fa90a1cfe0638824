/* SPDX-License-Identifier: Apache-2.0 */
/* cli: answers read and printed, charts, plans, the lint, places in queries. */
#include <math.h>

#include "cli/chart.h"
#include "cli/check.h"
#include "cli/lint.h"
#include "cli/query_cmd.h"
#include "unit/tap.h"

static bool is(const struct buf *b, const char *want)
{
    if (b->len == strlen(want) &&
        (b->len == 0 || memcmp(b->data, want, b->len) == 0))
        return true;
    tap_note("got \"%.*s\", want \"%s\"", (int)b->len, b->data ? b->data : "",
             want);
    return false;
}

/* ---- answers ------------------------------------------------------------- */

#define VECTOR(series)                                                         \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":"  \
    "[" series "]}}"
#define MATRIX(series)                                                         \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":"  \
    "[" series "]}}"
#define HISTOGRAM                                                              \
    "{\"count\":\"3\",\"sum\":\"4.5\",\"buckets\":[[3,\"-0.1\",\"0.1\",\"1\"]" \
    ","                                                                        \
    "[0,\"1\",\"2\",\"2\"]]}"

static const struct {
    int line;
    enum query_kind kind;
    const char *json, *format, *want;
} answers[] = {
    { __LINE__, QUERY_INSTANT,
      VECTOR("{\"metric\":{\"__name__\":\"up\",\"b\":\"2\",\"a\":\"1\"},"
             "\"value\":[1700000000.5,\"1e3\"]}"),
      "promql", "up{a=\"1\", b=\"2\"} => 1000 @[1700000000.5]\n" },
    { __LINE__, QUERY_INSTANT, VECTOR(""), "promql", "\n" },
    { __LINE__, QUERY_INSTANT, VECTOR(""), "table", "SERIES  VALUE\n" },
    { __LINE__, QUERY_INSTANT, VECTOR(""), "json", "[]\n" },
    { __LINE__, QUERY_INSTANT, VECTOR(""), "csv", "time,value\n" },
    { __LINE__, QUERY_INSTANT,
      VECTOR("{\"metric\":{\"a\":\"x,\\\"y\"},\"value\":[1,\"NaN\"]},"
             "{\"metric\":{\"b\":\"z\"},\"value\":[2,\"+Inf\"]}"),
      "csv", "a,b,time,value\n\"x,\"\"y\",,1,NaN\n,z,2,+Inf\n" },
    { __LINE__, QUERY_INSTANT,
      VECTOR("{\"metric\":{\"a\":\"\xc3\xa4\"},\"value\":[1,\"1\"]},"
             "{\"metric\":{\"a\":\"bcd\"},\"value\":[1,\"2\"]}"),
      "table", "SERIES     VALUE\n{a=\"\xc3\xa4\"}    1\n{a=\"bcd\"}  2\n" },
    { __LINE__, QUERY_INSTANT,
      VECTOR("{\"metric\":{},\"histogram\":[1," HISTOGRAM "]}"), "table",
      "SERIES  VALUE\n{}      {count:3, sum:4.5, [-0.1,0.1]:1, (1,2]:2}\n" },
    { __LINE__, QUERY_INSTANT,
      VECTOR("{\"metric\":{},\"histogram\":[1," HISTOGRAM "]}"), "promql",
      "{} => Count: 3.000000, Sum: 4.500000, Buckets: [[-0.1,0.1]:1 (1,2]:2] "
      "@[1]\n" },
    { __LINE__, QUERY_INSTANT,
      VECTOR("{\"metric\":{},\"histogram\":[1," HISTOGRAM "]}"), "json",
      "[{\"metric\":{},\"histogram\":[1," HISTOGRAM "]}]\n" },
    { __LINE__, QUERY_RANGE,
      MATRIX(
          "{\"metric\":{\"a\":\"1\",\"z\":\"2\"},\"values\":[[1,\"1\"],"
          "[2.25,\"2\"]]},{\"metric\":{\"b\":\"1\"},\"values\":[[1,\"3\"]]}"),
      "promql",
      "{b=\"1\"} =>\n3 @[1]\n{a=\"1\", z=\"2\"} =>\n1 @[1]\n2 "
      "@[2.25]\n" },
    { __LINE__, QUERY_RANGE,
      MATRIX(
          "{\"metric\":{},\"values\":[[3,\"1\"]],\"histograms\":[[2," HISTOGRAM
          "]]}"),
      "csv",
      "time,value\n2,\"{count:3, sum:4.5, [-0.1,0.1]:1, (1,2]:2}\"\n"
      "3,1\n" },
    { __LINE__, QUERY_RANGE,
      MATRIX("{\"metric\":{\"a\":\"1\"},\"values\":[[0,\"1\"],[1,\"2\"]]}"),
      "table",
      "SERIES   TIME                      VALUE\n"
      "{a=\"1\"}  1970-01-01T00:00:00.000Z  1\n"
      "         1970-01-01T00:00:01.000Z  2\n" },
    { __LINE__, QUERY_INSTANT,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":"
      "[12.5,\"-0.25\"]}}",
      "promql", "scalar: -0.25 @[12.5]\n" },
    { __LINE__, QUERY_INSTANT,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":"
      "[12.5,\"-0.25\"]}}",
      "table", "-0.25\n" },
    { __LINE__, QUERY_INSTANT,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":"
      "[12.5,\"x\"]}}",
      "json", "[12.500,\"x\"]\n" },
    { __LINE__, QUERY_SERIES,
      "{\"status\":\"success\",\"data\":[{\"__name__\":\"up\",\"a\":\"1\"}]}",
      "table", "{__name__=\"up\", a=\"1\"}\n" },
    { __LINE__, QUERY_SERIES,
      "{\"status\":\"success\",\"data\":[{\"__name__\":\"up\",\"a\":\"1\"}]}",
      "csv", "__name__,a\nup,1\n" },
    { __LINE__, QUERY_LABELS, "{\"status\":\"success\",\"data\":[\"a\",\"b\"]}",
      "promql", "a\nb\n" },
    { __LINE__, QUERY_LABELS, "{\"status\":\"success\",\"data\":[\"a\",\"b\"]}",
      "json", "[\"a\",\"b\"]\n" },
};

static void test_answers(void)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        struct sonde_err err;
        struct arena a;
        struct answer answer = { .arena = &a };
        struct buf b;

        arena_init(&a);
        buf_init(&b);
        ROW_ASSERT(&answers[i], answer_read_json(sonde_cstr(answers[i].json),
                                                 answers[i].kind, &answer,
                                                 &err) == SONDE_OK);
        answer_printer_find(answers[i].format)(&b, &answer);
        ROW_ASSERT(&answers[i], is(&b, answers[i].want));
        buf_fini(&b);
        arena_fini(&a);
    }
    CU_ASSERT_PTR_NULL(answer_printer_find("yaml"));
}

static void test_wrong_answers(void)
{
    static const struct {
        int line;
        enum query_kind kind;
        const char *json, *want;
    } cases[] = {
        { __LINE__, QUERY_INSTANT,
          "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no\"}",
          "bad_data: no" },
        { __LINE__, QUERY_INSTANT, "{\"status\":\"error\"}",
          "error: without a text" },
        { __LINE__, QUERY_INSTANT, "[]",
          "not an answer of the API: \"status\" is missing" },
        { __LINE__, QUERY_LABELS, "{\"status\":\"success\"}",
          "not an answer of the API: \"data\" is no list" },
        { __LINE__, QUERY_LABELS, "{\"status\":\"success\",\"data\":[1]}",
          "not an answer of the API: a label value" },
        { __LINE__, QUERY_SERIES, "{\"status\":\"success\",\"data\":[[]]}",
          "not an answer of the API: a label set" },
        { __LINE__, QUERY_INSTANT, "{\"status\":\"success\",\"data\":{}}",
          "not an answer of the API: \"resultType\" is missing" },
        { __LINE__, QUERY_INSTANT, VECTOR("{\"metric\":{}}"),
          "not an answer of the API: a series of \"result\"" },
        { __LINE__, QUERY_INSTANT,
          VECTOR("{\"metric\":{},\"value\":[1e300,\"1\"]}"),
          "not an answer of the API: a series of \"result\"" },
        { __LINE__, QUERY_INSTANT,
          VECTOR("{\"metric\":{},\"histogram\":[1,{\"count\":\"1\",\"sum\":"
                 "\"1\",\"buckets\":[[4,\"1\",\"2\",\"1\"]]}]}"),
          "not an answer of the API: a series of \"result\"" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sonde_err err = { 0 };
        struct arena a;
        struct answer answer = { .arena = &a };

        arena_init(&a);
        ROW_ASSERT(&cases[i],
                   answer_read_json(sonde_cstr(cases[i].json), cases[i].kind,
                                    &answer, &err) != SONDE_OK);
        ROW_ASSERT(&cases[i], strcmp(err.text, cases[i].want) == 0);
        arena_fini(&a);
    }
}

/* ---- times --------------------------------------------------------------- */

static void test_times(void)
{
    static const struct {
        int line;
        struct query query;
        bool ok;
        sonde_msec start, end, step;
    } cases[] = {
        { __LINE__, { .kind = QUERY_RANGE }, true, 9700000, 10000000, 1000 },
        { __LINE__,
          { .kind = QUERY_RANGE, .start = { true, 0 } },
          true,
          0,
          10000000,
          40000 },
        { __LINE__,
          { .kind = QUERY_RANGE, .end = { true, 400000 }, .step = 5 },
          false,
          0,
          0,
          0 },
        { __LINE__,
          { .kind = QUERY_RANGE, .start = { true, 10000000 } },
          false,
          0,
          0,
          0 },
        { __LINE__,
          { .kind = QUERY_LABELS, .end = { true, 7 } },
          true,
          7 - INT64_C(9999) * 3600000,
          7,
          0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct query q = cases[i].query;
        struct sonde_err err;
        bool ok = query_times(&q, 10000000, &err) == SONDE_OK;

        ROW_ASSERT(&cases[i], ok == cases[i].ok);
        ROW_ASSERT(&cases[i],
                   !ok || (q.start.t == cases[i].start &&
                           q.end.t == cases[i].end && q.step == cases[i].step));
    }
}

/* ---- charts -------------------------------------------------------------- */

static void test_ticks(void)
{
    static const struct {
        int line;
        double low, high, first, step;
        size_t count;
    } cases[] = {
        { __LINE__, 0, 10, 0, 2.5, 5 },   { __LINE__, 3, 97, 0, 25, 5 },
        { __LINE__, -1, 1, -1, 0.5, 5 },  { __LINE__, 1000, 1003, 1000, 1, 4 },
        { __LINE__, 0, 0, -1, 0.5, 5 }, /* flat: a unit around it           */
        { __LINE__, 100, 100, 90, 5, 5 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct chart_ticks t = chart_ticks(cases[i].low, cases[i].high, 4);

        ROW_ASSERT(&cases[i], t.first == cases[i].first);
        ROW_ASSERT(&cases[i], t.step == cases[i].step);
        ROW_ASSERT(&cases[i], t.count == cases[i].count);
    }
}

static struct answer_point up[] = {
    { 0, 0, NULL }, { 10000, 1, NULL }, { 20000, 2, NULL }, { 30000, 3, NULL }
};
static struct answer_point holes[] = { { 0, 3, NULL },
                                       { 10000, NAN, NULL },
                                       { 30000, 3, NULL } };
static const struct answer_series two[] = {
    { { NULL, 0 }, up, 4 },
    { { NULL, 0 }, holes, 3 },
};

static void test_chart(void)
{
    const struct chart base = { .series = two,
                                .count = 1,
                                .start = 0,
                                .end = 30000,
                                .step = 10000,
                                .width = 30,
                                .height = 4 };
    struct chart c = base;
    struct buf b;

    buf_init(&b);
    c.style = CHART_LETTERS;
    chart_draw(&b, &c);
    CU_ASSERT(is(&b, "3 +                      aaaaa\n"
                     "2 +             aaaaaaaaa\n"
                     "1 +     aaaaaaaa\n"
                     "0 +aaaaa\n"
                     "  +---------------------------\n"
                     "   00:00:00           00:00:30 UTC\n"
                     "a  {}  min 0  max 3  last 3\n"));
    buf_reset(&b);
    c.count = 2; /* the second has a gap, which is not bridged             */
    chart_draw(&b, &c);
    CU_ASSERT(is(&b, "3 +b                     aaaab\n"
                     "2 +             aaaaaaaaa\n"
                     "1 +     aaaaaaaa\n"
                     "0 +aaaaa\n"
                     "  +---------------------------\n"
                     "   00:00:00           00:00:30 UTC\n"
                     "a  {}  min 0  max 3  last 3\n"
                     "b  {}  min 3  max 3  last 3\n"));
    buf_reset(&b);
    c.style = CHART_COLOUR;
    chart_draw(&b, &c);
    b.data[b.len - 1] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "\x1b[32m"));
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "\x1b[34m\u2801\x1b[0m"));
    buf_reset(&b);
    c.count = 0;
    chart_draw(&b, &c);
    CU_ASSERT(is(&b, "nothing to draw\n"));
    buf_fini(&b);
}

/* Nothing that comes from a server may make the drawing leave its raster. */
static void test_chart_extremes(void)
{
    static struct answer_point wild[] = {
        { INT64_MIN / 4, -1e308, NULL },
        { 0, 1e308, NULL },
        { 1, 5e-324, NULL },
        { 2, INFINITY, NULL },
        { 3, -1e308, NULL },
        { INT64_MAX / 4, 0, NULL },
    };
    static const struct answer_series series[] = { { { NULL, 0 }, wild, 6 } };
    struct buf b;

    buf_init(&b);
    for (int style = CHART_LETTERS; style <= CHART_COLOUR; style++) {
        const struct chart c = { series, 1, 0, 3,
                                 1,      0, 0, (enum chart_style)style };

        chart_draw(&b, &c);
    }
    CU_ASSERT(b.len > 0);
    buf_fini(&b);
}

static void test_chart_style(void)
{
    static const struct {
        int line;
        bool terminal;
        const char *no_color, *locale;
        size_t series;
        enum chart_style want;
    } cases[] = {
        { __LINE__, true, NULL, "C.UTF-8", 3, CHART_COLOUR },
        { __LINE__, true, "", "de_DE.utf8", 3, CHART_COLOUR },
        { __LINE__, true, "1", "C.UTF-8", 3, CHART_LETTERS },
        { __LINE__, true, "1", "C.UTF-8", 1, CHART_BRAILLE },
        { __LINE__, false, NULL, "C.UTF-8", 1, CHART_BRAILLE },
        { __LINE__, false, NULL, "C.UTF-8", 2, CHART_LETTERS },
        { __LINE__, true, NULL, "C", 1, CHART_LETTERS },
        { __LINE__, true, NULL, NULL, 1, CHART_LETTERS },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        ROW_ASSERT(&cases[i], chart_style_of(cases[i].terminal,
                                             cases[i].no_color, cases[i].locale,
                                             cases[i].series) == cases[i].want);
}

/* ---- plans ----------------------------------------------------------------
 */

static void test_plan(void)
{
    struct promql_plan_node nodes[] = {
        { SONDE_STR("sum(rate(x[5m]))"), 0, 10, 1, 1, 200, 5000000, 4000000 },
        { SONDE_STR("rate(x[5m])"), 1, 10, 20, 20, 200, 3000000, 2500000 },
        { SONDE_STR("x[5m]"), 2, 10, 20, 20, 200, 500, 400 },
    };
    const struct answer a = { .plan = nodes,
                              .plan_count = 3,
                              .threads = 2,
                              .wall_ns = 6000000,
                              .cpu_ns = 7000000 };
    struct buf b;

    buf_init(&b);
    answer_print_plan(&b, &a, 90);
    CU_ASSERT(is(
        &b,
        "     time      self       cpu   series    rows  steps    samples  "
        "node\n"
        "   5.00ms    2.00ms    4.00ms       1       1     10        200  "
        "sum(rate(x[5m]))\n"
        "   3.00ms    3.00ms    2.50ms      20      20     10        200    "
        "rate(x[5m])\n"
        "    0.5us     0.5us     0.4us      20      20     10        200      "
        "x[5m]\n"
        "query: 6.00 ms, cpu 7.00 ms on 2 threads, 0 samples read, 0 in "
        "windows, 0 held at most\n"));
    buf_fini(&b);
}

/* ---- the lint --------------------------------------------------------------
 */

static const struct {
    int line;
    const char *page, *want;
} lints[] = {
    { __LINE__, "", "" },
    { __LINE__, "# HELP a_total x\n# TYPE a_total counter\na_total 1\n", "" },
    { __LINE__, "a 1\n", "a no help text\n" },
    { __LINE__, "# HELP a\na 1\n", "a no help text\n" },
    { __LINE__, "# HELP a x\n", "" }, /* without samples there is no metric */
    { __LINE__, "# HELP a x\n# TYPE a counter\na 1\n",
      "a counter metrics should have \"_total\" suffix\n" },
    { __LINE__, "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
      "a_total non-counter metrics should not have \"_total\" suffix\n" },
    { __LINE__, "# HELP a_total x\na_total 1\n", "" },
    { __LINE__, "# HELP a_milliseconds x\na_milliseconds 1\n",
      "a_milliseconds use base unit \"seconds\" instead of "
      "\"milliseconds\"\n" },
    { __LINE__, "# HELP a_hours_b x\na_hours_x 1\n# HELP a_hours_x x\n",
      "a_hours_x use base unit \"seconds\" instead of \"hours\"\n" },
    { __LINE__, "# HELP thermometers x\nthermometers 1\n", "" },
    { __LINE__, "# HELP a_metres x\na_metres 1\n", "" },
    { __LINE__,
      "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
      "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
      "" },
    { __LINE__,
      "# HELP s x\n# TYPE s summary\ns{quantile=\"1\"} 1\ns_sum 1\ns_count "
      "1\n",
      "" },
    { __LINE__, "# HELP s x\n# TYPE s summary\ns_bucket 1\n",
      "s_bucket no help text\n" },
    { __LINE__,
      "# HELP a_bucket x\n# TYPE a_bucket gauge\na_bucket{le=\"1\"} "
      "1\na_bucket{le=\"2\"} 1\n",
      "a_bucket non-histogram metrics should not have \"_bucket\" suffix\n"
      "a_bucket non-histogram metrics should not have \"le\" label\n" },
    { __LINE__, "# HELP a_sum x\n# TYPE a_sum gauge\na_sum{quantile=\"1\"} 1\n",
      "a_sum non-histogram and non-summary metrics should not have \"_sum\" "
      "suffix\na_sum non-summary metrics should not have \"quantile\" "
      "label\n" },
    { __LINE__, "# HELP a_count x\n# TYPE a_count gauge\na_count 1\n",
      "a_count non-histogram and non-summary metrics should not have "
      "\"_count\" suffix\n" },
    { __LINE__, "# HELP a_Gauge_x x\n# TYPE a_Gauge_x gauge\na_Gauge_x 1\n",
      "a_Gauge_x metric name should not include type 'gauge'\n" },
    { __LINE__, "# HELP gauge_x x\n# TYPE gauge_x gauge\ngauge_x 1\n", "" },
    { __LINE__, "# HELP a_gauge x\na_gauge 1\n", "" },
    { __LINE__, "# HELP a:b x\na:b 1\n",
      "a:b metric names should not contain ':'\n" },
    { __LINE__, "# HELP aB x\naB{cD=\"1\"} 1\n",
      "aB label names should be written in 'snake_case' not 'camelCase'\n"
      "aB metric names should be written in 'snake_case' not 'camelCase'\n" },
    { __LINE__, "# HELP x_MB x\nx_MB 1\n",
      "x_MB metric names should not contain abbreviated units\n" },
    { __LINE__, "# HELP ms_x x\nms_x 1\n", "" },
    { __LINE__, "# HELP x y\nx{a=\"1\",b=\"2\"} 1\nx{b=\"2\",a=\"1\"} 1\n",
      "x metric not unique\n" },
    { __LINE__, "b 1\na 1\n", "a no help text\nb no help text\n" },
    { __LINE__, "# HELP a x\n# HELP a x\n",
      "error: line 2: second HELP line for metric name \"a\"" },
    { __LINE__, "a 1\n# TYPE a gauge\n",
      "error: line 2: second TYPE line for metric name \"a\", or TYPE reported "
      "after samples" },
};

static void test_lint(void)
{
    for (size_t i = 0; i < sizeof(lints) / sizeof(*lints); i++) {
        struct sonde_err err;
        struct lint l;
        struct arena a;
        struct buf b;

        arena_init(&a);
        buf_init(&b);
        if (lint_text(&a, sonde_cstr(lints[i].page), &l, &err) != SONDE_OK)
            buf_printf(&b, "error: %s", err.text);
        for (size_t k = 0; k < l.count; k++)
            buf_printf(&b, "%.*s %.*s\n", SONDE_ARG(l.problems[k].family),
                       SONDE_ARG(l.problems[k].text));
        ROW_ASSERT(&lints[i], is(&b, lints[i].want));
        buf_fini(&b);
        arena_fini(&a);
    }
}

static void test_cardinality(void)
{
    struct sonde_err err;
    struct lint l;
    struct arena a;

    arena_init(&a);
    CU_ASSERT_EQUAL(lint_text(&a,
                              SONDE_STR("b 1\n# TYPE h histogram\n"
                                        "h_bucket{le=\"1\"} 1\nh_sum 1\n"
                                        "h_count 1\na 1\n"),
                              &l, &err),
                    SONDE_OK);
    CU_ASSERT_EQUAL(l.series, 5);
    CU_ASSERT_EQUAL_FATAL(l.family_count, 3);
    CU_ASSERT(sonde_str_eq(l.families[0].name, SONDE_STR("h")));
    CU_ASSERT_EQUAL(l.families[0].series, 3);
    CU_ASSERT(sonde_str_eq(l.families[1].name, SONDE_STR("a")));
    arena_fini(&a);
}

/* ---- places -------------------------------------------------------------- */

static void test_place(void)
{
    static const struct {
        int line;
        const char *text, *message, *want;
    } cases[] = {
        { __LINE__, "a +", "1:4: parse error: x", "  a +\n     ^\n" },
        { __LINE__, "a +\n\tb $", "2:4: parse error: x", "  \tb $\n  \t  ^\n" },
        { __LINE__, "\"\xc3\xa4\" $", "1:6: x", "  \"\xc3\xa4\" $\n      ^\n" },
        { __LINE__, "a", "1:99: x", "  a\n   ^\n" },
        { __LINE__, "a", "9:1: x", "  \n  ^\n" },
        { __LINE__, "a", "no place", "" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf b;

        buf_init(&b);
        check_query_place(&b, sonde_cstr(cases[i].text), cases[i].message);
        ROW_ASSERT(&cases[i], is(&b, cases[i].want));
        buf_fini(&b);
    }
}

static const struct tap_test tests[] = {
    { "answers", test_answers },
    { "wrong answers", test_wrong_answers },
    { "times", test_times },
    { "ticks", test_ticks },
    { "chart", test_chart },
    { "chart extremes", test_chart_extremes },
    { "chart style", test_chart_style },
    { "plan", test_plan },
    { "lint", test_lint },
    { "cardinality", test_cardinality },
    { "places in queries", test_place },
};

int main(void)
{
    return TAP_RUN("query cli", tests);
}
