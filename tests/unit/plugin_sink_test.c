/* SPDX-License-Identifier: Apache-2.0 */
/* The sink: what a plugin emits as exposition text, and what it refuses. */
#include <math.h>
#include <stdlib.h>

#include "plugin/plugin_int.h"
#include "unit/tap.h"

enum {
    GAUGE,
    COUNTER,
    HISTOGRAM,
    SUMMARY,
    STATES
};

static const struct sonde_family families[] = {
    [GAUGE] = { .name = "g", .type = SONDE_METRIC_GAUGE, .help = "a\\b\nc" },
    [COUNTER] = { .name = "c_total",
                  .type = SONDE_METRIC_COUNTER,
                  .help = "counts",
                  .labels = { "a", "b" } },
    [HISTOGRAM] = { .name = "h",
                    .type = SONDE_METRIC_HISTOGRAM,
                    .help = "",
                    .labels = { "a" } },
    [SUMMARY] = { .name = "s",
                  .type = SONDE_METRIC_SUMMARY,
                  .help = "sums",
                  .labels = { "quantile", "x" } },
    [STATES] = { .name = "st", .type = SONDE_METRIC_STATESET, .help = "" },
};

static const struct sonde_plugin desc = {
    SONDE_PLUGIN_HEAD,
    .name = "sink_test",
    SONDE_PLUGIN_FAMILIES(families),
};
static const struct plugin plugin = { .desc = &desc };

/* Compares the page and frees both. */
static void expect(struct sonde_sink *s, const char *want)
{
    struct buf out;
    struct sonde_err err = { 0 };

    buf_init(&out);
    CU_ASSERT_EQUAL(sink_finish(s, &out, &err), SONDE_OK);
    buf_char(&out, '\0');
    if (strcmp(out.data, want) != 0)
        tap_note("got:\n%s%s", out.data, err.text);
    CU_ASSERT_STRING_EQUAL(out.data, want);
    buf_fini(&out);
    sink_free(s);
}

static void expect_error(struct sonde_sink *s, sonde_code code,
                         const char *part)
{
    struct buf out;
    struct sonde_err err = { 0 };

    buf_init(&out);
    CU_ASSERT_EQUAL(sink_finish(s, &out, &err), code);
    if (!strstr(err.text, part))
        tap_note("got: %s", err.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, part));
    CU_ASSERT_EQUAL(out.len, 0);
    buf_fini(&out);
    sink_free(s);
}

static void test_empty(void)
{
    expect(sink_new(&plugin, NULL), "");
}

static void test_groups_interleaved(void)
{
    struct sonde_sink *s = sink_new(&plugin, NULL);

    CU_ASSERT_EQUAL(
        sink_sample(s, COUNTER, SONDE_LABELS(SONDE_STR("1"), { 0 }), 1),
        SONDE_OK);
    (void)sink_sample(s, GAUGE, NULL, -0.5);
    (void)sink_sample(s, COUNTER, SONDE_LABELS(SONDE_STR("1"), SONDE_STR("2")),
                      1e21);
    (void)sink_sample(s, STATES, NULL, NAN);
    (void)sink_sample(s, COUNTER, SONDE_LABELS({ 0 }, SONDE_STR("2")), 3);
    expect(s, "# HELP c_total counts\n"
              "# TYPE c_total counter\n"
              "c_total{a=\"1\"} 1\n"
              "c_total{a=\"1\",b=\"2\"} 1e+21\n"
              "c_total{b=\"2\"} 3\n"
              "# HELP g a\\\\b\\nc\n"
              "# TYPE g gauge\n"
              "g -0.5\n"
              "# TYPE st gauge\n"
              "st NaN\n");
}

static void test_escapes(void)
{
    struct sonde_sink *s = sink_new(&plugin, NULL);

    (void)sink_sample(
        s, COUNTER,
        SONDE_LABELS(SONDE_STR("q\"b\\n\n"), SONDE_STR("\xc3\xa4 e")), 1);
    expect(s, "# HELP c_total counts\n"
              "# TYPE c_total counter\n"
              "c_total{a=\"q\\\"b\\\\n\\n\",b=\"\xc3\xa4 e\"} 1\n");
}

static void test_histogram(void)
{
    const struct sonde_bucket b[] = { { 0.1, 1 }, { 2, 1 }, { INFINITY, 5 } };
    struct sonde_sink *s = sink_new(&plugin, NULL);

    (void)sink_histogram(s, HISTOGRAM, SONDE_LABELS(SONDE_STR("x")), b, 3, 5,
                         7.5);
    (void)sink_histogram(s, HISTOGRAM, SONDE_LABELS(SONDE_STR("y")), NULL, 0, 0,
                         0);
    expect(s, "# TYPE h histogram\n"
              "h_bucket{a=\"x\",le=\"0.1\"} 1\n"
              "h_bucket{a=\"x\",le=\"2\"} 1\n"
              "h_bucket{a=\"x\",le=\"+Inf\"} 5\n"
              "h_sum{a=\"x\"} 7.5\n"
              "h_count{a=\"x\"} 5\n"
              "h_bucket{a=\"y\",le=\"+Inf\"} 0\n"
              "h_sum{a=\"y\"} 0\n"
              "h_count{a=\"y\"} 0\n");
}

static void test_summary(void)
{
    struct sonde_sink *s = sink_new(&plugin, NULL);
    const sonde_str half = SONDE_STR("0.5"), x = SONDE_STR("1");

    (void)sink_sample(s, SUMMARY, SONDE_LABELS(half, x), 3);
    (void)sink_summary(s, SUMMARY, SONDE_LABELS(half, x), 4, 5);
    expect(s, "# HELP s sums\n"
              "# TYPE s summary\n"
              "s{quantile=\"0.5\",x=\"1\"} 3\n"
              "s_sum{x=\"1\"} 5\n"
              "s_count{x=\"1\"} 4\n");
}

static void test_dynamic(void)
{
    const struct sonde_family one = { .name = "d",
                                      .type = SONDE_METRIC_GAUGE,
                                      .help = "first",
                                      .labels = { "z", "a" } };
    const struct sonde_family other = { .name = "d",
                                        .type = SONDE_METRIC_COUNTER,
                                        .help = "second",
                                        .labels = { "b" } };
    const struct sonde_family bare = { .name = "e" };
    struct sonde_sink *s = sink_new(&plugin, NULL);

    (void)sink_dynamic(s, &one, SONDE_LABELS(SONDE_STR("1"), SONDE_STR("2")),
                       1);
    (void)sink_dynamic(s, &bare, NULL, 2);
    (void)sink_dynamic(s, &other, SONDE_LABELS(SONDE_STR("3")), 3);
    expect(s, "# HELP d first\n"
              "# TYPE d gauge\n"
              "d{a=\"2\",z=\"1\"} 1\n"
              "d{b=\"3\"} 3\n"
              "# TYPE e untyped\n"
              "e 2\n");
}

static void test_dynamic_kinds(void)
{
    const struct sonde_family h = { .name = "dh",
                                    .type = SONDE_METRIC_HISTOGRAM,
                                    .help = "times",
                                    .labels = { "z", "a" } };
    const struct sonde_family q = { .name = "ds",
                                    .type = SONDE_METRIC_SUMMARY,
                                    .labels = { "quantile", "a" } };
    const struct sonde_bucket buckets[] = { { 0.5, 1 }, { 2, 3 } };
    const sonde_str v[2] = { SONDE_STR("1"), SONDE_STR("2") };
    struct sonde_sink *s = sink_new(&plugin, NULL);

    (void)sink_dynamic_histogram(s, &h, v, buckets, 2, 4, 7.5);
    (void)sink_dynamic_summary(s, &q, v, 9, 1.25);
    expect(s, "# HELP dh times\n"
              "# TYPE dh histogram\n"
              "dh_bucket{a=\"2\",z=\"1\",le=\"0.5\"} 1\n"
              "dh_bucket{a=\"2\",z=\"1\",le=\"2\"} 3\n"
              "dh_bucket{a=\"2\",z=\"1\",le=\"+Inf\"} 4\n"
              "dh_sum{a=\"2\",z=\"1\"} 7.5\n"
              "dh_count{a=\"2\",z=\"1\"} 4\n"
              "# TYPE ds summary\n"
              "ds_sum{a=\"2\"} 1.25\n"
              "ds_count{a=\"2\"} 9\n");
}

static void test_many(void)
{
    struct sonde_sink *s = sink_new(&plugin, NULL);
    struct buf out;
    char name[32];
    size_t lines = 0;

    for (int i = 0; i < 5000; i++) {
        struct sonde_family f = { .name = name, .type = SONDE_METRIC_GAUGE };

        (void)snprintf(name, sizeof(name), "m%d", i % 100);
        f.labels[0] = "i";
        (void)snprintf(name + 16, 16, "%d", i);
        (void)sink_dynamic(s, &f, SONDE_LABELS(sonde_cstr(name + 16)), i);
    }
    buf_init(&out);
    CU_ASSERT_EQUAL(sink_finish(s, &out, NULL), SONDE_OK);
    for (size_t i = 0; i < out.len; i++)
        lines += out.data[i] == '\n';
    CU_ASSERT_EQUAL(lines, 5000 + 100);
    buf_fini(&out);
    sink_free(s);
}

/* ---- what is refused ----------------------------------------------------- */

static void test_refuses_undeclared(void)
{
    struct sonde_sink *s = sink_new(&plugin, NULL);

    CU_ASSERT_EQUAL(sink_sample(s, 5, NULL, 1), SONDE_EINVAL);
    expect_error(s, SONDE_EINVAL, "family 5");
}

static void test_refuses_twice(void)
{
    struct sonde_sink *s = sink_new(&plugin, NULL);
    const sonde_str labels[] = { SONDE_STR("x"), { 0 } };

    (void)sink_sample(s, COUNTER, labels, 1);
    (void)sink_sample(s, GAUGE, NULL, 1);
    CU_ASSERT_EQUAL(sink_sample(s, COUNTER, labels, 2), SONDE_EDUPLICATE);
    /* The first error stays, whatever comes after. */
    (void)sink_sample(s, 99, NULL, 1);
    expect_error(s, SONDE_EDUPLICATE, "c_total{a=\"x\"}");
}

static void test_refuses_twice_in_other_order(void)
{
    const struct sonde_family ab = { .name = "d", .labels = { "a", "b" } };
    const struct sonde_family ba = { .name = "d", .labels = { "b", "a" } };
    const sonde_str one = SONDE_STR("1"), two = SONDE_STR("2");
    struct sonde_sink *s = sink_new(&plugin, NULL);

    (void)sink_dynamic(s, &ab, SONDE_LABELS(one, two), 1);
    (void)sink_dynamic(s, &ba, SONDE_LABELS(two, one), 1);
    expect_error(s, SONDE_EDUPLICATE, "d{a=\"1\",b=\"2\"}");
}

static void test_refuses_bad_labels(void)
{
    static char huge[PLUGIN_LABEL_BYTES_MAX + 1];
    struct sonde_sink *s = sink_new(&plugin, NULL);

    (void)sink_sample(s, COUNTER, SONDE_LABELS(SONDE_STR("\xff"), { 0 }), 1);
    expect_error(s, SONDE_EINVAL, "UTF-8");
    s = sink_new(&plugin, NULL);
    memset(huge, 'x', sizeof(huge));
    (void)sink_sample(s, COUNTER, SONDE_LABELS({ huge, sizeof(huge) }, { 0 }),
                      1);
    expect_error(s, SONDE_ELIMIT, "label a has 65537 bytes");
    s = sink_new(&plugin, NULL);
    (void)sink_sample(s, COUNTER, NULL, 1);
    expect_error(s, SONDE_EINVAL, "without");
}

static void test_refuses_wrong_type(void)
{
    struct sonde_sink *s = sink_new(&plugin, NULL);

    (void)sink_sample(s, HISTOGRAM, SONDE_LABELS({ 0 }), 1);
    expect_error(s, SONDE_EINVAL, "h is a histogram");
    s = sink_new(&plugin, NULL);
    (void)sink_histogram(s, GAUGE, NULL, NULL, 0, 0, 0);
    expect_error(s, SONDE_EINVAL, "g is not a histogram");
    s = sink_new(&plugin, NULL);
    (void)sink_summary(s, GAUGE, NULL, 0, 0);
    expect_error(s, SONDE_EINVAL, "g is not a summary");
}

static void test_refuses_bad_buckets(void)
{
    static const struct {
        int line;
        struct sonde_bucket b[2];
        uint64_t count;
    } rows[] = {
        { __LINE__, { { 2, 1 }, { 1, 2 } }, 3 },
        { __LINE__, { { 1, 2 }, { 2, 1 } }, 3 },
        { __LINE__, { { 1, 1 }, { 2, 4 } }, 3 },
        { __LINE__, { { 1, 1 }, { 1, 2 } }, 3 },
        { __LINE__, { { NAN, 1 }, { 2, 2 } }, 3 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_sink *s = sink_new(&plugin, NULL);
        sonde_code rc = sink_histogram(s, HISTOGRAM, SONDE_LABELS({ 0 }),
                                       rows[i].b, 2, rows[i].count, 0);

        ROW_ASSERT(&rows[i], rc == SONDE_EINVAL);
        expect_error(s, SONDE_EINVAL, "out of order");
    }
}

static void test_refuses_bad_dynamic(void)
{
    static const struct {
        int line;
        struct sonde_family f;
        const char *part;
    } rows[] = {
        { __LINE__, { .name = "1x" }, "not a metric name" },
        { __LINE__, { .name = NULL }, "not a metric name" },
        { __LINE__, { .name = "g" }, "declared" },
        { __LINE__,
          { .name = "x", .type = SONDE_METRIC_HISTOGRAM },
          "counter" },
        { __LINE__, { .name = "x", .labels = { "a-b" } }, "label name" },
        { __LINE__, { .name = "x", .labels = { "__x" } }, "label name" },
        { __LINE__, { .name = "x", .labels = { "a", "a" } }, "twice" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_sink *s = sink_new(&plugin, NULL);
        const sonde_str v[2] = { SONDE_STR("1"), SONDE_STR("2") };

        ROW_ASSERT(&rows[i], sink_dynamic(s, &rows[i].f, v, 1) != SONDE_OK);
        expect_error(s, i == 6 ? SONDE_EDUPLICATE : SONDE_EINVAL, rows[i].part);
    }
}

/* Each kind has its own function, and the first call decides the kind. */
static void test_refuses_dynamic_kinds(void)
{
    static const struct {
        int line;
        enum sonde_metric_type first;
        const char *label;
        bool histogram; /* what is emitted: a histogram or a summary */
        const char *part;
    } rows[] = {
        { __LINE__, SONDE_METRIC_GAUGE, "a", true, "not a histogram" },
        { __LINE__, SONDE_METRIC_SUMMARY, "a", true, "not a histogram" },
        { __LINE__, SONDE_METRIC_HISTOGRAM, "le", true, "label \"le\"" },
        { __LINE__, SONDE_METRIC_GAUGE, "a", false, "not a summary" },
        { __LINE__, SONDE_METRIC_HISTOGRAM, "a", false, "not a summary" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sonde_family f = { .name = "x",
                                        .type = rows[i].first,
                                        .labels = { rows[i].label } };
        const sonde_str v[] = { SONDE_STR("1") };
        struct sonde_sink *s = sink_new(&plugin, NULL);
        sonde_code rc = rows[i].histogram
                            ? sink_dynamic_histogram(s, &f, v, NULL, 0, 0, 0)
                            : sink_dynamic_summary(s, &f, v, 0, 0);

        ROW_ASSERT(&rows[i], rc == SONDE_EINVAL);
        expect_error(s, SONDE_EINVAL, rows[i].part);
    }
}

static void test_bounds_samples(void)
{
    struct sonde_sink *s = sink_new(&plugin, NULL);
    sonde_code rc = SONDE_OK;
    char a[16];
    int n = 0;

    for (; rc == SONDE_OK && n < PLUGIN_SAMPLES_MAX + 10; n++) {
        int len = snprintf(a, sizeof(a), "%d", n);

        rc =
            sink_sample(s, COUNTER, SONDE_LABELS({ a, (size_t)len }, { 0 }), n);
    }
    CU_ASSERT_EQUAL(n, PLUGIN_SAMPLES_MAX + 1);
    expect_error(s, SONDE_ELIMIT, "more than 1000000 samples");
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "nothing emitted", test_empty },
        { "families are grouped", test_groups_interleaved },
        { "labels and help are escaped", test_escapes },
        { "histograms", test_histogram },
        { "summaries", test_summary },
        { "families known at run time", test_dynamic },
        { "histograms and summaries known at run time", test_dynamic_kinds },
        { "many families and samples", test_many },
        { "refuses families that are not declared", test_refuses_undeclared },
        { "refuses a series given twice", test_refuses_twice },
        { "label order does not make another series",
          test_refuses_twice_in_other_order },
        { "refuses bad labels", test_refuses_bad_labels },
        { "refuses the wrong type", test_refuses_wrong_type },
        { "refuses buckets out of order", test_refuses_bad_buckets },
        { "refuses bad families at run time", test_refuses_bad_dynamic },
        { "refuses the wrong kind at run time", test_refuses_dynamic_kinds },
        { "samples are bounded", test_bounds_samples },
    };

    return TAP_RUN("plugin_sink", tests);
}
