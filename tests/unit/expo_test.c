/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expo: what is read and what is refused. The rows are bodies and what
 * Prometheus 3 makes of them, written as text 0.0.4; "fails" means that the
 * whole scrape does. Every body is read whole and byte by byte.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "expo/expo.h"
#include "model/number.h"
#include "unit/tap.h"
#include "util/bytes.h"
#include "util/mem.h"
#include "util/str.h"

#define FAILS  "fails"
#define B(lit) lit, sizeof(lit) - 1 /* a body that may hold NULs */

struct row {
    int line;
    const char *body;
    size_t len;
    const char *want;
};

struct reading {
    enum expo_format format;
    struct buf samples, metas, exemplars;
    struct arena arena;
    struct sonde_err err;
};

static sonde_code on_sample(void *arg, const struct expo_sample *s,
                            struct sonde_err *err)
{
    struct reading *r = arg;
    struct labels_builder lb;
    struct labels l;
    sonde_code rc;

    labels_builder_init(&lb, &r->arena);
    rc = expo_series(s->series, r->format, &lb, err);
    if (rc)
        return rc;
    expo_normalise_bounds(&lb, s->type);
    l = labels_builder_view(&lb);
    expo_write_sample(&r->samples, &l, s->value, s->has_t ? &s->t : NULL);
    if (s->exemplar.len) {
        buf_put(&r->exemplars, s->exemplar);
        buf_char(&r->exemplars, ';');
    }
    return SONDE_OK;
}

static sonde_code on_meta(void *arg, const struct expo_meta *m,
                          struct sonde_err *err)
{
    static const char *const kinds[] = { "TYPE", "HELP", "UNIT" };
    struct reading *r = arg;

    (void)err;
    buf_printf(&r->metas, "%s %.*s=", kinds[m->kind], SONDE_ARG(m->family));
    if (m->kind == EXPO_META_TYPE)
        buf_cstr(&r->metas, metric_type_name(m->type));
    else
        buf_put(&r->metas, m->text);
    buf_char(&r->metas, ';');
    return SONDE_OK;
}

static void reading_fini(struct reading *r)
{
    buf_fini(&r->samples);
    buf_fini(&r->metas);
    buf_fini(&r->exemplars);
    arena_fini(&r->arena);
}

/* Reads in pieces of `step` bytes. */
static sonde_code reading_run(struct reading *r, enum expo_format format,
                              sonde_str body, size_t step)
{
    struct expo_handler handler = { on_sample, on_meta, r };
    struct expo_scanner s;
    sonde_code rc = SONDE_OK;

    *r = (struct reading){ .format = format };
    arena_init(&r->arena);
    expo_scanner_init(&s, format, &handler);
    for (size_t at = 0; at < body.len && rc == SONDE_OK; at += step)
        rc = expo_scan(&s, str_sub(body, at, at + step), &r->err);
    if (rc == SONDE_OK)
        rc = expo_scan_end(&s, &r->err);
    expo_scanner_fini(&s);
    return rc;
}

enum what {
    SAMPLES,
    METAS,
    EXEMPLARS
};

static void check_rows(enum expo_format format, enum what what,
                       const struct row *rows, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++) {
        const struct row *row = &rows[i / 2];
        sonde_str body = { row->body, row->len };
        struct reading r;
        sonde_code rc = reading_run(&r, format, body, i % 2 ? 1 : body.len + 1);
        const struct buf *b = what == SAMPLES ? &r.samples
                              : what == METAS ? &r.metas
                                              : &r.exemplars;

        if (strcmp(row->want, FAILS) == 0) {
            ROW_ASSERT(row, rc == SONDE_EPARSE);
            ROW_ASSERT(row, r.err.text[0] != '\0');
        } else {
            ROW_ASSERT(row, rc == SONDE_OK);
            if (rc)
                tap_note("%s", r.err.text);
            ROW_ASSERT(row, str_eq_cstr(buf_str(b), row->want));
        }
        reading_fini(&r);
    }
}
#define CHECK(format, what, rows)                                              \
    check_rows((format), (what), (rows), sizeof(rows) / sizeof((rows)[0]))

static void test_text_lines(void)
{
    static const struct row rows[] = {
        { __LINE__, B(""), "" },
        { __LINE__, B("\n\n \n\t\n"), "" },
        { __LINE__, B("a 1"), "a 1\n" },
        { __LINE__, B("a 1\nb 2\n"), "a 1\nb 2\n" },
        { __LINE__, B("a 1\r\n"), FAILS },
        { __LINE__, B("a 1 1\r\n"), FAILS },
        { __LINE__, B("a 1\n\r\n"), FAILS },
        { __LINE__, B(" \ta 1"), "{\" \ta\"} 1\n" },
        { __LINE__, B("\t# TYPE a gauge\na 1"), "a 1\n" },
        { __LINE__, B("a 1  \t\n"), "a 1\n" },
        { __LINE__, B("a\t1\t5\t\n"), "a 1 5\n" },
        { __LINE__, B("a"), FAILS },
        { __LINE__, B("a \n"), FAILS },
        { __LINE__, B("1a 1\n"), FAILS },
        { __LINE__,
          B("\xef\xbb\xbf"
            "a 1"),
          FAILS },
        { __LINE__, B(":a:b: 1\n_ 1\n: 1"), ":a:b: 1\n_ 1\n: 1\n" },
        { __LINE__, B("a\xff 1"), FAILS },
        { __LINE__, B("a-1\na+2\na.5"), "a -1\na 2\na 0.5\n" },
        { __LINE__, B("a.5 6"), "a 0.5 6\n" },
        { __LINE__, B("a 1\n# EOF\nb 2"), "a 1\nb 2\n" },
        { __LINE__, B("a 1 # {t=\"x\"} 1"), FAILS },
        { __LINE__, B("a 1 # c"), FAILS },
        { __LINE__, B("a 1\na 2"), "a 1\na 2\n" },
        { __LINE__, B("a 1\nb 2\nc oops\nd 4"), FAILS },
        /* NUL where a line begins ends the body */
        { __LINE__, B("a 1\n\0\nb 2"), "a 1\n" },
        { __LINE__, B("a 1\n \t\0 b\nb 2"), "a 1\n" },
        { __LINE__, B("\0"), "" },
        { __LINE__, B("a\0 1"), FAILS },
        { __LINE__, B("a 1\0"), FAILS },
        { __LINE__, B("a 1 5\0"), FAILS },
        { __LINE__, B("a 1 \0"), FAILS },
        /* comments */
        { __LINE__, B("#\n# c\n#c \xff\na 1"), "a 1\n" },
        { __LINE__, B("a 1\n# c"), "a 1\n" },
    };

    CHECK(EXPO_TEXT, SAMPLES, rows);
}

static void test_text_labels(void)
{
    static const struct row rows[] = {
        { __LINE__, B("a{} 1"), "a 1\n" },
        { __LINE__, B("a {x=\"1\"} 1"), "a{x=\"1\"} 1\n" },
        { __LINE__, B("a{ x = \"1\" , y = \"2\" , } 1"),
          "a{x=\"1\",y=\"2\"} 1\n" },
        { __LINE__, B("a\t{\tx\t=\t\"1\"\t}\t1"), "a{x=\"1\"} 1\n" },
        { __LINE__, B("a{x=\"1\"y=\"2\"}1"), "a{x=\"1\",y=\"2\"} 1\n" },
        { __LINE__, B("a{x=\"1\" y=\"2\"} 1"), "a{x=\"1\",y=\"2\"} 1\n" },
        { __LINE__, B("a{y=\"2\",x=\"1\"} 1"), "a{x=\"1\",y=\"2\"} 1\n" },
        { __LINE__, B("a{,x=\"1\"} 1"), FAILS },
        { __LINE__, B("a{,} 1"), FAILS },
        { __LINE__, B("a{x=\"1\",,} 1"), FAILS },
        { __LINE__, B("a{x=\"1\",x=\"1\"} 1"), FAILS },
        { __LINE__, B("a{x=\"1\",x=\"2\"} 1"), FAILS },
        { __LINE__, B("a{__name__=\"b\"} 1"), FAILS },
        { __LINE__, B("a{__name__=\"\"} 1"), FAILS },
        { __LINE__, B("{__name__=\"a\"} 1"), FAILS },
        { __LINE__, B("a{__x=\"b\"} 1"), "a{__x=\"b\"} 1\n" },
        { __LINE__, B("a{x=\"\"} 1"), "a 1\n" },
        { __LINE__, B("a{x=\"1\",y=\"\"} 1"), "a{x=\"1\"} 1\n" },
        { __LINE__, B("a{x=\"1\",x=\"\"} 1"), "a 1\n" },
        { __LINE__, B("a{x=\"\",x=\"1\"} 1"), "a 1\n" },
        { __LINE__, B("a{x:y=\"1\"} 1"), FAILS },
        { __LINE__, B("a{1x=\"1\"} 1"), FAILS },
        { __LINE__, B("a{x} 1"), FAILS },
        { __LINE__, B("a{x=1} 1"), FAILS },
        { __LINE__, B("a{x\0=\"1\"} 1"), FAILS },
        { __LINE__, B("a{x=\"1\"\n} 1"), FAILS },
        { __LINE__, B("a{x=\n\"1\"} 1"), FAILS },
        { __LINE__, B("a{x=\"1\"} 1{"), FAILS },
        { __LINE__, B("a 1{x=\"1\"}"), FAILS },
        { __LINE__, B("a{x=\"y\"}{z=\"1\"} 1"), FAILS },
        { __LINE__, B("a{x=\"1\"} \n"), FAILS },
        { __LINE__, B("a{"), FAILS },
        { __LINE__, B("a{x=\""), FAILS },
        { __LINE__, B("a{x=\"1\nb 2\n"), FAILS },
        { __LINE__, B("{} 1"), FAILS },
        { __LINE__, B("{x=\"1\"} 1"), FAILS },
        { __LINE__, B("\"a\" 1"), FAILS },
    };

    CHECK(EXPO_TEXT, SAMPLES, rows);
}

static void test_text_values_of_labels(void)
{
    static const struct row rows[] = {
        { __LINE__, B("a{x=\"p\\tq\"} 1"), "a{x=\"p\\\\tq\"} 1\n" },
        { __LINE__, B("a{x=\"\\\\\\\"\\n\"} 1"), "a{x=\"\\\\\\\"\\n\"} 1\n" },
        { __LINE__, B("a{x=\"\\\\\"} 1"), "a{x=\"\\\\\"} 1\n" },
        { __LINE__, B("a{x=\"one\ntwo\"} 1"), "a{x=\"one\\ntwo\"} 1\n" },
        { __LINE__, B("a{x=\"one\rtwo\"} 1"), "a{x=\"one\rtwo\"} 1\n" },
        { __LINE__, B("a{x=\"1\\\n\"} 1"), FAILS },
        { __LINE__, B("a{x=\"\xff\"} 1"), FAILS },
        { __LINE__, B("a{x=\"\xed\xa0\x80\"} 1"), FAILS },
        { __LINE__, B("a{x=\"\xc0\x80\"} 1"), FAILS },
        { __LINE__, B("a{x=\"\xc3\xbc\"} 1"), "a{x=\"\xc3\xbc\"} 1\n" },
        { __LINE__, B("a{x=\"{\",y=\"}\"} 1"), "a{x=\"{\",y=\"}\"} 1\n" },
        { __LINE__, B("a{x=\"/{id}\"} 1"), "a{x=\"/{id}\"} 1\n" },
        { __LINE__, B("a{x=\"=\"} 1"), "a{x=\"=\"} 1\n" },
        { __LINE__, B("a{x=\",\"} 1"), "a{x=\",\"} 1\n" },
        { __LINE__, B("a{x=\" \"} 1"), "a{x=\" \"} 1\n" },
        { __LINE__, B("a{x=\"# {\"} 1"), "a{x=\"# {\"} 1\n" },
        /* values that look like the end of a line */
        { __LINE__, B("a{x=\"} 5\n\"} 1"), "a{x=\"} 5\\n\"} 1\n" },
        { __LINE__, B("a{x=\"b\\\"} 5\n\"} 1"), "a{x=\"b\\\"} 5\\n\"} 1\n" },
        { __LINE__, B("a{x=\"b\\\\\"} 5\nb{y=\"\"} 1"),
          "a{x=\"b\\\\\"} 5\nb 1\n" },
        { __LINE__, B("a{x=\"y=\"} 5\nb{y=\"z\"} 1"),
          "a{x=\"y=\"} 5\nb{y=\"z\"} 1\n" },
        { __LINE__, B("a{x=\"{\"} 5\n"), "a{x=\"{\"} 5\n" },
        { __LINE__, B("a{x=\"p\n# HELP b\n\nc 3\n\"} 1\nd 4"),
          "a{x=\"p\\n# HELP b\\n\\nc 3\\n\"} 1\nd 4\n" },
    };
    struct reading r;

    CHECK(EXPO_TEXT, SAMPLES, rows);
    /* A NUL in a value is kept. */
    CU_ASSERT_EQUAL(
        reading_run(&r, EXPO_TEXT, (sonde_str){ B("a{x=\"p\0q\"} 5") }, 100),
        SONDE_OK);
    CU_ASSERT_TRUE(sonde_str_eq(buf_str(&r.samples),
                                (sonde_str){ B("a{x=\"p\0q\"} 5\n") }));
    reading_fini(&r);
}

static void test_text_quoted_names(void)
{
    static const struct row rows[] = {
        { __LINE__, B("{\"a.b\"} 1"), "{\"a.b\"} 1\n" },
        { __LINE__, B("{\"a.b\",x=\"1\"} 1"), "{\"a.b\",x=\"1\"} 1\n" },
        { __LINE__, B("{x=\"1\",\"a.b\"} 1"), "{\"a.b\",x=\"1\"} 1\n" },
        { __LINE__, B("{x=\"1\",\"a.b\",} 1"), "{\"a.b\",x=\"1\"} 1\n" },
        { __LINE__, B("{ \"a\" , x = \"1\" } 1"), "a{x=\"1\"} 1\n" },
        { __LINE__, B("a{\"b.c\"=\"1\"} 1"), "a{\"b.c\"=\"1\"} 1\n" },
        { __LINE__, B("a{x=\"1\"\"y\"=\"2\"} 1"), "a{x=\"1\",y=\"2\"} 1\n" },
        { __LINE__, B("{\"a\\\"b\\n\"} 1"), "{\"a\\\"b\\n\"} 1\n" },
        { __LINE__, B("{\"} 5\n\"} 1"), "{\"} 5\\n\"} 1\n" },
        { __LINE__, B("{\"a\",\"} 5\n\"=\"1\"} 1"), "a{\"} 5\\n\"=\"1\"} 1\n" },
        { __LINE__, B("a{x=\"1\"\"} 5\n\"=\"2\"} 1"),
          "a{x=\"1\",\"} 5\\n\"=\"2\"} 1\n" },
        { __LINE__, B("{\"a\",\"b\"} 1"), FAILS },
        { __LINE__, B("a{\"b\"} 1"), FAILS },
        { __LINE__, B("{\"a\" \"b\"=\"1\"} 1"), FAILS },
        { __LINE__, B("{\"a\"b=\"1\"} 1"), FAILS },
        { __LINE__, B("{\"\"} 1"), FAILS },
        { __LINE__, B("a{\"\":\"1\"} 1"), FAILS },
        { __LINE__, B("a{\"\"=\"1\"} 1"), FAILS },
        { __LINE__, B("{\"\xff\"} 1"), FAILS },
        { __LINE__, B("a{\"\xff\"=\"1\"} 1"), FAILS },
        /* Prometheus takes this one for the metric "o". */
        { __LINE__, B("{foo} 1"), FAILS },
    };

    CHECK(EXPO_TEXT, SAMPLES, rows);
}

static void test_text_numbers(void)
{
    static const struct row rows[] = {
        { __LINE__, B("a NaN\nb nan\nc nAn"), "a NaN\nb NaN\nc NaN\n" },
        { __LINE__, B("a +NaN"), FAILS },
        { __LINE__, B("d infinity\ne +INFINITY\nb -inf\na iNf"),
          "d +Inf\ne +Inf\nb -Inf\na +Inf\n" },
        { __LINE__, B("a 0x10"), FAILS },
        { __LINE__, B("a 0x1p-2"), FAILS },
        { __LINE__, B("a 1_000"), FAILS },
        { __LINE__, B("a 1,5"), FAILS },
        { __LINE__, B("a 1foo"), FAILS },
        { __LINE__, B("a --1"), FAILS },
        { __LINE__, B("a ."), FAILS },
        { __LINE__, B("a 1e"), FAILS },
        { __LINE__, B("a \xd9\xa1"), FAILS },
        { __LINE__, B("a 007\nb 5.\nc .5\nd 1E+05\ne -0"),
          "a 7\nb 5\nc 0.5\nd 100000\ne 0\n" },
        { __LINE__, B("a 1e309"), FAILS },
        { __LINE__, B("a 1e-400"), "a 0\n" },
        { __LINE__, B("a 1 0\nb 2"), "a 1 0\nb 2\n" },
        { __LINE__, B("a 1 -1"), FAILS },
        { __LINE__, B("a 1 +5"), FAILS },
        { __LINE__, B("a 1 1.5"), FAILS },
        { __LINE__, B("a 1 1e3"), FAILS },
        { __LINE__, B("a 1 99999999999999999999"), FAILS },
        { __LINE__, B("a 1 9223372036854775808"), FAILS },
        { __LINE__, B("a 1 9223372036854775807"), "a 1 9223372036854775807\n" },
        { __LINE__, B("a 1 0000000000000000000000005"), "a 1 5\n" },
        { __LINE__, B("a 1 5x"), FAILS },
        { __LINE__, B("a 1 2 3"), FAILS },
        { __LINE__, B("a{x=\"1\"}  1   5  "), "a{x=\"1\"} 1 5\n" },
        { __LINE__, B("a{x=\"1\"} 2 1700000000000"),
          "a{x=\"1\"} 2 1700000000000\n" },
        { __LINE__, B("a{x=\"1\"} 2 1700000000000x"), FAILS },
        { __LINE__, B("a{x=\"1\"} 2 "), "a{x=\"1\"} 2\n" },
    };

    CHECK(EXPO_TEXT, SAMPLES, rows);
}

static void test_text_metadata(void)
{
    static const struct row rows[] = {
        { __LINE__, B("# HELP a one  two \na 1"), "HELP a=one  two ;" },
        { __LINE__, B("# HELP a\tb\n"), "HELP a=b;" },
        { __LINE__, B("# HELP a  b\n"), "HELP a= b;" },
        { __LINE__, B("# HELP a\n"), "HELP a=;" },
        { __LINE__, B("# HELP a "), "HELP a=;" },
        { __LINE__, B("# HELP a \\\\ \\n \\\" \\t\n"),
          "HELP a=\\ \n \\\" \\t;" },
        { __LINE__, B("# HELP a \xff\n"), FAILS },
        { __LINE__, B("# HELP a{x=\"1\"} foo"), "HELP a=x=\"1\"} foo;" },
        { __LINE__, B("# HELP"), "" },
        { __LINE__, B("# HELPa b"), "" },
        { __LINE__, B("# help a b"), "" },
        { __LINE__, B("# HELP "), FAILS },
        { __LINE__, B("# HELP 1 b"), FAILS },
        { __LINE__, B("#HELP a nope"), "" },
        { __LINE__, B("a 1\n# TYPE b gauge"), "TYPE b=gauge;" },
        { __LINE__, B("# TYPE a counter\n# TYPE a gauge\na 1"),
          "TYPE a=counter;TYPE a=gauge;" },
        { __LINE__, B("#  TYPE \t a\tgauge"), "TYPE a=gauge;" },
        { __LINE__,
          B("# TYPE a untyped\n# TYPE b summary\n"
            "# TYPE c histogram"),
          "TYPE a=unknown;TYPE b=summary;TYPE c=histogram;" },
        { __LINE__, B("# TYPE a   gauge"), FAILS },
        { __LINE__, B("# TYPE a gauge "), FAILS },
        { __LINE__, B("# TYPE a GAUGE"), FAILS },
        { __LINE__, B("# TYPE a unknown"), FAILS },
        { __LINE__, B("# TYPE a gaugehistogram"), FAILS },
        { __LINE__, B("# TYPE a info"), FAILS },
        { __LINE__, B("# TYPE a "), FAILS },
        { __LINE__, B("# TYPE a"), FAILS },
        { __LINE__, B("# TYPE agauge"), FAILS },
        { __LINE__, B("# TYPE a\0gauge"), FAILS },
        { __LINE__, B("# UNIT a_seconds meters\n# EOF"), "" },
        { __LINE__, B("# TYPE \"a.b\" gauge\n# HELP \"a\\\"b\" it's 5\" \n"),
          "TYPE a.b=gauge;HELP a\"b=it's 5\" ;" },
        { __LINE__, B("# HELP \"a\nb\" foo\n# HELP c d"),
          "HELP a\nb=foo;HELP c=d;" },
        { __LINE__, B("# HELP \"a\nb 1\n"), FAILS },
        { __LINE__, B("# UNIT \"a\nb 1\n"), "" },
    };

    CHECK(EXPO_TEXT, METAS, rows);
}

static void test_om_lines(void)
{
    static const struct row rows[] = {
        { __LINE__, B(""), "" },
        { __LINE__, B("# EOF"), "" },
        { __LINE__, B("a 1\n# EOF"), "a 1\n" },
        { __LINE__, B("a 1\n# EOF\n"), "a 1\n" },
        { __LINE__, B("a 1\n"), FAILS },
        { __LINE__, B("a 1"), FAILS },
        { __LINE__, B("a 1\n#EOF"), FAILS },
        { __LINE__, B("a 1\n# EOF\n\n"), FAILS },
        { __LINE__, B("a 1\n# EOF "), FAILS },
        { __LINE__, B("a 1\n# EOF \n"), FAILS },
        { __LINE__, B("a 1\n# EOF\n# EOF\n"), FAILS },
        { __LINE__, B("a 1\n#  EOF"), FAILS },
        { __LINE__, B("a  1\n# EOF"), FAILS },
        { __LINE__, B("a\t1\n# EOF"), FAILS },
        { __LINE__, B(" a 1\n# EOF"), FAILS },
        { __LINE__, B("a 1 \n# EOF"), FAILS },
        { __LINE__, B("a 1\n\n# EOF"), FAILS },
        { __LINE__, B("a 1\r\n# EOF"), FAILS },
        { __LINE__, B("# hello\n# EOF"), FAILS },
        { __LINE__, B("#\n# EOF"), FAILS },
        { __LINE__, B("a+1\n# EOF"), FAILS },
        { __LINE__, B("a 1\0\n# EOF"), FAILS },
        { __LINE__, B("\0\n# EOF"), FAILS },
        { __LINE__, B("\xef\xbb\xbf# EOF"), FAILS },
        { __LINE__, B("# TYPE a counter\na 1\n# EOF"), "a 1\n" },
        { __LINE__, B("# TYPE a counter\na_total -5\na_total NaN\n# EOF"),
          "a_total -5\na_total NaN\n" },
        { __LINE__,
          B("# TYPE a stateset\na 0.5\n# TYPE b info\nb_info 7\n"
            "# EOF"),
          "a 0.5\nb_info 7\n" },
        { __LINE__,
          B("# TYPE h histogram\nh_bucket{le=\"1.0\"} 5\n"
            "h_count 4\nh_sum -1\n# EOF"),
          "h_bucket{le=\"1.0\"} 5\nh_count 4\nh_sum -1\n" },
        { __LINE__, B("a_created 1.5\n# EOF"), "a_created 1.5\n" },
        /* timestamps are seconds */
        { __LINE__, B("a 1 1.5e9\n# EOF"), "a 1 1500000000000\n" },
        { __LINE__, B("a 1 -1\n# EOF"), "a 1 -1000\n" },
        { __LINE__, B("a 1 +1.0019\n# EOF"), "a 1 1001\n" },
        { __LINE__, B("a 1 -1.0019\n# EOF"), "a 1 -1001\n" },
        { __LINE__, B("a{x=\"1\"} 1 1700000000.123\n# EOF"),
          "a{x=\"1\"} 1 1700000000123\n" },
        { __LINE__, B("a 1 1e30\n# EOF"), "a 1 9223372036854775807\n" },
        { __LINE__, B("a 1 NaN\n# EOF"), FAILS },
        { __LINE__, B("a 1 +Inf\n# EOF"), FAILS },
        { __LINE__, B("a 1 0x1p3\n# EOF"), FAILS },
        { __LINE__, B("a 1 1 2\n# EOF"), FAILS },
    };

    CHECK(EXPO_OPENMETRICS, SAMPLES, rows);
}

static void test_om_labels(void)
{
    static const struct row rows[] = {
        { __LINE__, B("a{} 1\n# EOF"), "a 1\n" },
        { __LINE__, B("a{x=\"1\",y=\"2\"} 1\n# EOF"),
          "a{x=\"1\",y=\"2\"} 1\n" },
        { __LINE__, B("a{x=\"1\",} 1\n# EOF"), "a{x=\"1\"} 1\n" },
        { __LINE__, B("a{x=\"1\",,} 1\n# EOF"), FAILS },
        { __LINE__, B("a {x=\"1\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"1\", y=\"2\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"1\"y=\"2\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a{x =\"1\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"1\"}1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"1\"}  1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"p\nq\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"} 5\n\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"p\\\nq\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"\\\\\\\"\\n\\t\"} 1\n# EOF"),
          "a{x=\"\\\\\\\"\\n\\\\t\"} 1\n" },
        { __LINE__, B("a{x=\"1\",x=\"1\"} 1\n# EOF"), FAILS },
        { __LINE__, B("{\"a.b\",x=\"1\"} 1\n# EOF"), "{\"a.b\",x=\"1\"} 1\n" },
        { __LINE__, B("{\"a\",\"b\"} 1\n# EOF"), FAILS },
        { __LINE__, B("{x=\"1\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a{x=\"# {\"} 1\n# EOF"), "a{x=\"# {\"} 1\n" },
        { __LINE__, B("a{x=\"1\"} 1{\n# EOF"), FAILS },
    };

    CHECK(EXPO_OPENMETRICS, SAMPLES, rows);
}

static void test_om_exemplars(void)
{
    static const struct row rows[] = {
        { __LINE__, B("a 1 # {} 0.5\n# EOF"), "{} 0.5;" },
        { __LINE__, B("a_total{x=\"1\"} 1 # {t=\"x\"} 1\n# EOF"),
          "{t=\"x\"} 1;" },
        { __LINE__, B("a{x=\"}\"} 1 5 # {t=\"}\",u=\"v\"} 1 1.5\n# EOF"),
          "{t=\"}\",u=\"v\"} 1 1.5;" },
        { __LINE__, B("a 1 # {t=\"x\",} 1\n# EOF"), "{t=\"x\",} 1;" },
        { __LINE__, B("a 1 # {\"t.u\"=\"x\"} 1\n# EOF"), "{\"t.u\"=\"x\"} 1;" },
        { __LINE__, B("a 1 # {t=\"x\"} NaN\n# EOF"), "{t=\"x\"} NaN;" },
        { __LINE__, B("a 1 # {t=\"x\",t=\"y\"} 1\n# EOF"),
          "{t=\"x\",t=\"y\"} 1;" },
        { __LINE__, B("a{x=\"1\"} 1\n# EOF"), "" },
        { __LINE__, B("a 1 # {\"t\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a 1 #{t=\"x\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a 1  # {t=\"x\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a 1 # { t=\"x\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t=\"x\" } 1\n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t} 1\n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t=\"x\"}1\n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t=\"x\"}\n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t=\"x\"} \n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t=\"x\"} 1 NaN\n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t=\"x\"} 1 2 3\n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t=\"x\"} 1 # {t=\"x\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a 1 # {t=\"\xff\"} 1\n# EOF"), FAILS },
        { __LINE__, B("a 1 # c\n# EOF"), FAILS },
    };
    static const struct row samples[] = {
        { __LINE__, B("a{x=\"}\"} 1 5 # {t=\"}\",u=\"v\"} 1 1.5\n# EOF"),
          "a{x=\"}\"} 1 5000\n" },
        { __LINE__, B("a{x=\"1\"} 1 # {t=\"x\"} 7\n# EOF"), "a{x=\"1\"} 1\n" },
        { __LINE__, B("a 3 # {t=\"xy\"} 7\n# EOF"), "a 3\n" },
    };

    CHECK(EXPO_OPENMETRICS, EXEMPLARS, rows);
    CHECK(EXPO_OPENMETRICS, SAMPLES, samples);
}

/* What the scanner found, taken apart. */
static void test_exemplar_parts(void)
{
    static const struct {
        int line;
        const char *text, *labels;
        double value;
        bool has_t;
        sonde_msec t;
    } rows[] = {
        { __LINE__, "{} 0.5", "{}", 0.5, false, 0 },
        { __LINE__, "{t=\"x\",a=\"\\\"\\n\"} 1 1.5", "{a=\"\\\"\\n\", t=\"x\"}",
          1, true, 1500 },
        { __LINE__, "{\"t.u\"=\"x\",v=\"\"} -3 -1", "{\"t.u\"=\"x\"}", -3, true,
          -1000 },
    };
    struct labels_builder lb;
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct expo_exemplar e = { 0 };
        struct labels l;
        struct buf b;

        labels_builder_init(&lb, &a);
        ROW_ASSERT(&rows[i], expo_exemplar(sonde_cstr(rows[i].text), &lb, &e,
                                           NULL) == SONDE_OK);
        l = labels_builder_view(&lb);
        buf_init(&b);
        labels_print(&b, &l);
        ROW_ASSERT(&rows[i],
                   sonde_str_eq(buf_str(&b), sonde_cstr(rows[i].labels)));
        ROW_ASSERT(&rows[i], e.value == rows[i].value);
        ROW_ASSERT(&rows[i], e.has_t == rows[i].has_t);
        ROW_ASSERT(&rows[i], !e.has_t || e.t == rows[i].t);
        buf_fini(&b);
    }
    arena_fini(&a);
}

static void test_om_metadata(void)
{
    static const struct row rows[] = {
        { __LINE__,
          B("# TYPE a_seconds counter\n# UNIT a_seconds seconds\n"
            "# HELP a_seconds One \\\" two. \n# EOF"),
          "TYPE a_seconds=counter;UNIT a_seconds=seconds;"
          "HELP a_seconds=One \" two. ;" },
        { __LINE__,
          B("# TYPE a gaugehistogram\n# TYPE b info\n# TYPE c stateset\n"
            "# TYPE d unknown\n# EOF"),
          "TYPE a=gaugehistogram;TYPE b=info;TYPE c=stateset;"
          "TYPE d=unknown;" },
        { __LINE__, B("# TYPE a untyped\n# EOF"), FAILS },
        { __LINE__, B("# TYPE a gauge \n# EOF"), FAILS },
        { __LINE__, B("# TYPE a  gauge\n# EOF"), FAILS },
        { __LINE__, B("#  TYPE a gauge\n# EOF"), FAILS },
        { __LINE__, B("# TYPE\ta gauge\n# EOF"), FAILS },
        { __LINE__, B("# TYPE  a gauge\n# EOF"), FAILS },
        { __LINE__, B("# HELP a\n# EOF"), FAILS },
        { __LINE__, B("# HELP a \n# EOF"), "HELP a=;" },
        { __LINE__, B("# HELP a{ b\n# EOF"), FAILS },
        { __LINE__, B("# HELP a \xff\n# EOF"), FAILS },
        { __LINE__, B("# UNIT a \n# EOF"), "UNIT a=;" },
        { __LINE__, B("# UNIT seconds seconds\n# EOF"), FAILS },
        { __LINE__, B("# UNIT aseconds seconds\n# EOF"), FAILS },
        { __LINE__, B("# UNIT a_seconds_total seconds\n# EOF"), FAILS },
        { __LINE__, B("# UNIT \"a.b_s\" s\n# EOF"), "UNIT a.b_s=s;" },
        { __LINE__, B("# HELP \"a\nb\" x\n# EOF"), "HELP a\nb=x;" },
    };

    CHECK(EXPO_OPENMETRICS, METAS, rows);
}

/* le and quantile, by the TYPE line read last. */
static void test_bounds(void)
{
    static const struct row text[] = {
        { __LINE__, B("h_bucket{le=\"1\"} 1"), "h_bucket{le=\"1\"} 1\n" },
        { __LINE__,
          B("# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
            "h_bucket{le=\"1e6\"} 1\nh_bucket{le=\"+inf\"} 1\n"
            "h_bucket{le=\"abc\"} 1\nh_bucket{le=\"0.50\"} 1"),
          "h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"1e+06\"} 1\n"
          "h_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"abc\"} 1\n"
          "h_bucket{le=\"0.5\"} 1\n" },
        { __LINE__,
          B("# TYPE s summary\ns{quantile=\"1\"} 1\n"
            "x{le=\"1\",quantile=\"5\"} 1"),
          "s{quantile=\"1.0\"} 1\nx{le=\"1\",quantile=\"5.0\"} 1\n" },
        { __LINE__, B("# TYPE h histogram\n# TYPE g gauge\ng{le=\"1\"} 1"),
          "g{le=\"1\"} 1\n" },
    };
    static const struct row om[] = {
        { __LINE__,
          B("# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
            "# TYPE g gaugehistogram\ng_bucket{le=\"1\"} 1\n# EOF"),
          "h_bucket{le=\"1.0\"} 1\ng_bucket{le=\"1\"} 1\n" },
    };

    CHECK(EXPO_TEXT, SAMPLES, text);
    CHECK(EXPO_OPENMETRICS, SAMPLES, om);
}

static sonde_code keep_series(void *arg, const struct expo_sample *s,
                              struct sonde_err *err)
{
    (void)err;
    buf_put(arg, s->series);
    buf_char(arg, '|');
    return SONDE_OK;
}

static void test_series_text(void)
{
    static const struct row rows[] = {
        { __LINE__, B("a 1\n"), "a|" },
        { __LINE__, B("a{x=\"yz\"} 1\n"), "a{x=\"yz\"}|" },
        { __LINE__, B("a{x=\"\"} 1\n"), "a{x=\"\"}|" },
        { __LINE__, B("a{x=\"1\"}1\n"), "a{x=\"1\"}|" },
        { __LINE__, B("a { x=\"1\" } \t1\n"), "a { x=\"1\" }|" },
        { __LINE__, B("a{x=\"\\\"} 1\n\"} 2\n"), "a{x=\"\\\"} 1\n\"}|" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = { 0 };
        struct expo_handler handler = { keep_series, NULL, &b };
        struct expo_scanner s;

        expo_scanner_init(&s, EXPO_TEXT, &handler);
        ROW_ASSERT(&rows[i],
                   expo_scan(&s, (sonde_str){ rows[i].body, rows[i].len },
                             NULL) == SONDE_OK);
        ROW_ASSERT(&rows[i], expo_scan_end(&s, NULL) == SONDE_OK);
        ROW_ASSERT(&rows[i], str_eq_cstr(buf_str(&b), rows[i].want));
        expo_scanner_fini(&s);
        buf_fini(&b);
    }
}

static sonde_code keep_bits(void *arg, const struct expo_sample *s,
                            struct sonde_err *err)
{
    (void)err;
    *(uint64_t *)arg = double_bits(s->value);
    return SONDE_OK;
}

static void test_nan_bits(void)
{
    uint64_t bits = 0;
    struct expo_handler handler = { keep_bits, NULL, &bits };
    struct expo_scanner s;

    expo_scanner_init(&s, EXPO_TEXT, &handler);
    CU_ASSERT_EQUAL(expo_scan(&s, SONDE_STR("a nan\n"), NULL), SONDE_OK);
    CU_ASSERT_EQUAL(bits, NORMAL_NAN_BITS);
    expo_scanner_fini(&s);
}

static void test_many_labels(void)
{
    struct buf b = { 0 };
    struct reading r;

    buf_cstr(&b, "a{");
    for (int i = 0; i < 1024; i++)
        buf_printf(&b, "l%d=\"x\",", i);
    buf_cstr(&b, "} 1\n");
    CU_ASSERT_EQUAL(reading_run(&r, EXPO_TEXT, buf_str(&b), b.len), SONDE_OK);
    reading_fini(&r);
    b.len -= strlen("} 1\n");
    buf_cstr(&b, "l1024=\"x\"} 1\n");
    CU_ASSERT_EQUAL(reading_run(&r, EXPO_TEXT, buf_str(&b), b.len),
                    SONDE_ELIMIT);
    reading_fini(&r);
    buf_fini(&b);
}

/* One line of `n` bytes without its LF. */
static void long_line(struct buf *b, size_t n)
{
    buf_reset(b);
    buf_cstr(b, "a{x=\"");
    while (b->len < n - strlen("\"} 1"))
        buf_char(b, b->len % 1000 ? 'x' : '\n');
    buf_cstr(b, "\"} 1\n");
}

static void test_line_limit(void)
{
    struct buf b = { 0 };

    for (size_t step = 1000; step <= (size_t)10 << 20; step *= 100) {
        struct reading r;

        long_line(&b, EXPO_LINE_MAX_BYTES);
        CU_ASSERT_EQUAL(reading_run(&r, EXPO_TEXT, buf_str(&b), step),
                        SONDE_OK);
        reading_fini(&r);
        long_line(&b, EXPO_LINE_MAX_BYTES + 1);
        CU_ASSERT_EQUAL(reading_run(&r, EXPO_TEXT, buf_str(&b), step),
                        SONDE_ELIMIT);
        CU_ASSERT_PTR_NOT_NULL(strstr(r.err.text, "1048576"));
        reading_fini(&r);
    }
    buf_fini(&b);
}

static void test_errors_say_where(void)
{
    static const struct {
        int line;
        const char *body, *want;
    } rows[] = {
        { __LINE__, "a 1\nb{x=\"p\nq\"} 2\nc oops\n",
          "line 4: expected a value after the metric, got \"oops\"" },
        { __LINE__, "a{,} 1\n", "line 1: expected a label name, got \",}\"" },
        { __LINE__, "\n\n# TYPE a foo\n",
          "line 3: invalid metric type \"foo\"" },
        { __LINE__, "a{x=\"1\n",
          "line 1: expected a closing '}' or '\"' in \"a{x=\"1\\n\"" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reading r;
        sonde_code rc = reading_run(&r, EXPO_TEXT, sonde_cstr(rows[i].body), 7);

        ROW_ASSERT(&rows[i], rc == SONDE_EPARSE);
        ROW_ASSERT(&rows[i], strcmp(r.err.text, rows[i].want) == 0);
        if (strcmp(r.err.text, rows[i].want) != 0)
            tap_note("got %s", r.err.text);
        reading_fini(&r);
    }
}

static sonde_code refuse(void *arg, const struct expo_sample *s,
                         struct sonde_err *err)
{
    (void)s;
    ++*(int *)arg;
    return sonde_err_set(err, SONDE_ELIMIT, "enough");
}

static void test_errors_stick(void)
{
    int calls = 0;
    struct expo_handler handler = { refuse, NULL, &calls };
    struct expo_scanner s;
    struct sonde_err err;

    expo_scanner_init(&s, EXPO_TEXT, &handler);
    CU_ASSERT_EQUAL(expo_scan(&s, SONDE_STR("a 1\nb 2\n"), &err), SONDE_ELIMIT);
    CU_ASSERT_STRING_EQUAL(err.text, "enough");
    CU_ASSERT_EQUAL(expo_scan(&s, SONDE_STR("c 3\n"), &err), SONDE_ELIMIT);
    CU_ASSERT_EQUAL(expo_scan_end(&s, &err), SONDE_ELIMIT);
    CU_ASSERT_EQUAL(calls, 1);
    expo_scanner_fini(&s);
}

static void test_format_of(void)
{
    static const struct {
        int line;
        const char *type, *fallback;
        sonde_code rc;
        enum expo_format want;
    } rows[] = {
        { __LINE__, "text/plain", "", 0, EXPO_TEXT },
        { __LINE__, "Text/Plain ; version=9", "", 0, EXPO_TEXT },
        { __LINE__, "text/plain; version=0.0.4; charset=utf-8", "", 0,
          EXPO_TEXT },
        { __LINE__, "application/openmetrics-text; version=1.0.0", "", 0,
          EXPO_OPENMETRICS },
        { __LINE__, "application/openmetrics-text", "PrometheusText0.0.4", 0,
          EXPO_OPENMETRICS },
        { __LINE__, "", "", SONDE_EPARSE, 0 },
        { __LINE__, "text/html", "", SONDE_EPARSE, 0 },
        { __LINE__, "text/plainer", "", SONDE_EPARSE, 0 },
        { __LINE__, "", "PrometheusText0.0.4", 0, EXPO_TEXT },
        { __LINE__, "application/json", "PrometheusText1.0.0", 0, EXPO_TEXT },
        { __LINE__, "text/html", "OpenMetricsText1.0.0", 0, EXPO_OPENMETRICS },
        { __LINE__, "text/html", "OpenMetricsText0.0.1", 0, EXPO_OPENMETRICS },
        { __LINE__, "", "PrometheusProto", SONDE_EUNSUPPORTED, 0 },
        { __LINE__, "application/vnd.google.protobuf; proto=x", "",
          SONDE_EUNSUPPORTED, 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum expo_format got = EXPO_TEXT;
        struct sonde_err err;
        sonde_code rc = expo_format_of(
            sonde_cstr(rows[i].type), sonde_cstr(rows[i].fallback), &got, &err);

        ROW_ASSERT(&rows[i], rc == rows[i].rc);
        ROW_ASSERT(&rows[i], rc || got == rows[i].want);
    }
}

static void test_write_family(void)
{
    static const struct {
        int line;
        struct metadata m;
        const char *want;
    } rows[] = {
        { __LINE__,
          { .family = { B("a_total") },
            .type = METRIC_COUNTER,
            .help = { B("One \"two\" \\ \n.") } },
          "# HELP a_total One \"two\" \\\\ \\n.\n# TYPE a_total counter\n" },
        { __LINE__, { .family = { B("a") } }, "# TYPE a untyped\n" },
        { __LINE__,
          { .family = { B("a") }, .type = METRIC_GAUGE_HISTOGRAM },
          "# TYPE a histogram\n" },
        { __LINE__,
          { .family = { B("a") }, .type = METRIC_INFO },
          "# TYPE a gauge\n" },
        { __LINE__,
          { .family = { B("a.b") }, .type = METRIC_GAUGE, .help = { B("h") } },
          "# HELP \"a.b\" h\n# TYPE \"a.b\" gauge\n" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = { 0 };

        expo_write_family(&b, &rows[i].m);
        ROW_ASSERT(&rows[i], str_eq_cstr(buf_str(&b), rows[i].want));
        buf_fini(&b);
    }
}

static void test_write_sample(void)
{
    static const struct label items[] = {
        { { B("__name__") }, { B("a") } },
        { { B("b.c") }, { B("\\\"\n") } },
        { { B("x") }, { B("1") } },
    };
    const sonde_msec t = -5;
    struct buf b = { 0 };

    expo_write_sample(&b, &(struct labels){ items, 3 }, 1e6, NULL);
    expo_write_sample(&b, &(struct labels){ items, 1 }, -INFINITY, &t);
    expo_write_sample(&b, &(struct labels){ items + 2, 1 }, 0.5, NULL);
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&b),
                               "a{\"b.c\"=\"\\\\\\\"\\n\",x=\"1\"} 1e+06\n"
                               "a -Inf -5\n"
                               "{x=\"1\"} 0.5\n"));
    buf_fini(&b);
}

static const struct tap_test tests[] = {
    { "text: lines", test_text_lines },
    { "text: labels", test_text_labels },
    { "text: label values may hold anything", test_text_values_of_labels },
    { "text: quoted names", test_text_quoted_names },
    { "text: values and timestamps", test_text_numbers },
    { "text: HELP and TYPE", test_text_metadata },
    { "OpenMetrics: lines", test_om_lines },
    { "OpenMetrics: labels", test_om_labels },
    { "OpenMetrics: exemplars", test_om_exemplars },
    { "exemplars taken apart", test_exemplar_parts },
    { "OpenMetrics: HELP, TYPE and UNIT", test_om_metadata },
    { "le and quantile are normalised", test_bounds },
    { "the series part is what was written", test_series_text },
    { "NaNs are normalised", test_nan_bits },
    { "the number of labels is bounded", test_many_labels },
    { "the length of a line is bounded", test_line_limit },
    { "errors say where", test_errors_say_where },
    { "errors stick", test_errors_stick },
    { "the format follows from the media type", test_format_of },
    { "families are written", test_write_family },
    { "samples are written", test_write_sample },
};

int main(void)
{
    return TAP_RUN("expo", tests);
}
