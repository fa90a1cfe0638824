/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins share, by itself: bytes, numbers, series, clock. */
#include <math.h>
#include <stdlib.h>

#include "shared/clock.h"
#include "shared/unique.h"
#include "unit/tap.h"

/* ---- bytes --------------------------------------------------------------- */

static void test_utf8(void)
{
    static const struct {
        int line;
        const char *in, *out;
        size_t max;
    } rows[] = {
        { __LINE__, "plain", "plain", 100 },
        { __LINE__, "caf\xc3\xa9", "caf\xc3\xa9", 100 },
        { __LINE__, "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", 100 },
        { __LINE__,
          "a\xff"
          "b",
          "a\xef\xbf\xbd"
          "b",
          100 },
        { __LINE__, "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd", 100 },
        { __LINE__, "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
          100 },
        { __LINE__, "\xf4\x90\x80\x80",
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 100 },
        { __LINE__, "cut\xc3", "cut\xef\xbf\xbd", 100 },
        { __LINE__, "caf\xc3\xa9", "caf", 4 },
        { __LINE__, "abcdef", "abc", 3 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text t = { 0 };

        ROW_ASSERT(&rows[i],
                   text_add_utf8(&t, sonde_cstr(rows[i].in), rows[i].max));
        ROW_ASSERT(&rows[i], text_is(text_str(&t), rows[i].out));
        ROW_ASSERT(&rows[i], text_is_utf8(text_str(&t)));
        if (rows[i].max == 100)
            ROW_ASSERT(&rows[i], text_is_utf8(sonde_cstr(rows[i].in)) ==
                                     !strcmp(rows[i].in, rows[i].out));
        text_fini(&t);
    }
}

static void test_nul(void)
{
    struct text t = { 0 };

    CU_ASSERT(!text_is_utf8(SONDE_STR("a\0b")));
    CU_ASSERT(text_add_utf8(&t, SONDE_STR("a\0b"), SIZE_MAX));
    CU_ASSERT(text_is(text_str(&t), "a\xef\xbf\xbd"
                                    "b"));
    CU_ASSERT(text_add_utf8(&t, (sonde_str){ 0 }, 0));
    text_fini(&t);
}

static void test_decoded(void)
{
    static const struct {
        int line;
        const char *in, *out; /* NULL: refused */
    } rows[] = {
        { __LINE__, "", "" },         { __LINE__, "a+b", "a+b" },
        { __LINE__, "%41%7e", "A~" }, { __LINE__, "p%40w%2F", "p@w/" },
        { __LINE__, "%4", NULL },     { __LINE__, "%", NULL },
        { __LINE__, "%g0", NULL },    { __LINE__, "a%00b", NULL },
    };
    struct text t = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *z = text_decoded(sonde_cstr(rows[i].in));

        ROW_ASSERT(&rows[i], !z == !rows[i].out);
        if (z && rows[i].out)
            ROW_ASSERT(&rows[i], strcmp(z, rows[i].out) == 0);
        free(z);
    }
    CU_ASSERT(text_add_decoded(&t, SONDE_STR("a+%2b%00"), true));
    CU_ASSERT(sonde_str_eq(text_str(&t), SONDE_STR("a +\0")));
    text_fini(&t);
}

/* A lack of memory is kept until the text is cleared. */
static void test_failed(void)
{
    struct text t = { 0 };

    CU_ASSERT(text_addz(&t, "ab"));
    CU_ASSERT(!text_reserve(&t, SIZE_MAX / 2));
    CU_ASSERT(!text_addz(&t, "c"));
    CU_ASSERT(t.failed && text_is(text_str(&t), "ab"));
    text_clear(&t);
    CU_ASSERT(text_addf(&t, "%d-%s", 7, "x"));
    CU_ASSERT(text_is(text_str(&t), "7-x"));
    text_wipe(&t);
    CU_ASSERT(!t.ptr && !t.len);
}

static void test_views(void)
{
    sonde_str rest = SONDE_STR("a,,b"), part, s;
    const char *want[] = { "a", "", "b" };
    size_t n = 0;

    for (; text_split(&rest, ',', &part) && n < 3; n++)
        CU_ASSERT(text_is(part, want[n]));
    CU_ASSERT_EQUAL(n, 3);
    CU_ASSERT(text_is(text_trim(SONDE_STR(" \t a b\r\n")), "a b"));
    CU_ASSERT(text_is(text_trim(SONDE_STR("  ")), ""));
    CU_ASSERT(text_is(text_after(SONDE_STR("abc"), 1), "bc"));
    CU_ASSERT_EQUAL(text_after(SONDE_STR("abc"), 9).len, 0);
    CU_ASSERT(text_is_numbered(SONDE_STR("db12"), "db"));
    CU_ASSERT(!text_is_numbered(SONDE_STR("db"), "db"));
    CU_ASSERT(!text_is_numbered(SONDE_STR("db1x"), "db"));
    s = SONDE_STR("cmd_get");
    CU_ASSERT(text_cut_prefix(&s, "cmd_") && text_is(s, "get"));
    CU_ASSERT(!text_cut_prefix(&s, "get"));
    CU_ASSERT(text_pair(SONDE_STR("a=1,b=,ab=2"), "ab", &s) && text_is(s, "2"));
    CU_ASSERT(text_pair(SONDE_STR("a=1,b=,ab=2"), "b", &s) && s.len == 0);
    CU_ASSERT(!text_pair(SONDE_STR("a=1,b"), "b", &s));
    CU_ASSERT(text_has(SONDE_STR("abc"), "bc") && !text_has(s, "bd"));
}

/* ---- numbers ------------------------------------------------------------- */

static void test_numbers(void)
{
    static const struct {
        int line;
        const char *text;
        bool ok;
        double want;
    } rows[] = {
        { __LINE__, "0", true, 0 },
        { __LINE__, "-12", true, -12 },
        { __LINE__, "123456789012345", true, 123456789012345 },
        { __LINE__, "9223372036854775807", true, 9223372036854775807.0 },
        { __LINE__, "1.5e-3", true, 0.0015 },
        { __LINE__, "NaN", true, NAN },
        { __LINE__, "Infinity", true, INFINITY },
        { __LINE__, "-Infinity", true, -INFINITY },
        { __LINE__, "", false, 0 },
        { __LINE__, "-", false, 0 },
        { __LINE__, " 1", false, 0 },
        { __LINE__, "1 ", false, 0 },
        { __LINE__, "0x10", false, 0 },
        { __LINE__, "0x1p4", true, 16 },
        { __LINE__, "nan(7)", false, 0 },
        { __LINE__, "1,5", false, 0 },
        { __LINE__, "-Inf", true, -INFINITY },
        { __LINE__, "1e999", true, INFINITY },
        { __LINE__, "1.", true, 1 },
        { __LINE__, "--1", false, 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double v = -7;

        ROW_ASSERT(&rows[i],
                   text_number(sonde_cstr(rows[i].text), &v) == rows[i].ok);
        if (rows[i].ok)
            ROW_ASSERT(&rows[i],
                       v == rows[i].want || (isnan(v) && isnan(rows[i].want)));
    }
}

static void test_whole(void)
{
    static const struct {
        int line;
        const char *text;
        int64_t max, want; /* below 0: refused */
    } rows[] = {
        { __LINE__, "0", 0, 0 },
        { __LINE__, "65535", 65535, 65535 },
        { __LINE__, "65536", 65535, -1 },
        { __LINE__, "9223372036854775807", INT64_MAX, INT64_MAX },
        { __LINE__, "9223372036854775808", INT64_MAX, -1 },
        { __LINE__, "99999999999999999999", INT64_MAX, -1 },
        { __LINE__, "", 9, -1 },
        { __LINE__, "-1", 9, -1 },
        { __LINE__, "1 ", 9, -1 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t v = -1;
        bool ok = text_whole(sonde_cstr(rows[i].text), rows[i].max, &v);

        ROW_ASSERT(&rows[i], ok == (rows[i].want >= 0));
        ROW_ASSERT(&rows[i], !ok || v == rows[i].want);
    }
}

/* ---- series -------------------------------------------------------------- */

static bool add_one(struct unique *s, uint64_t family, sonde_str label)
{
    sonde_str out;

    return unique_add(s, unique_hash(family), &label, 1, &out);
}

static void test_series(void)
{
    struct unique s = { .max = 3000, .label_max = 8 };
    sonde_str in[] = {
        SONDE_STR("a\xff"), SONDE_STR("123456789"), { 0 }, SONDE_STR("\0")
    };
    sonde_str valid[] = { SONDE_STR("a\xef\xbf\xbd"), SONDE_STR("12345678"),
                          SONDE_STR(""), SONDE_STR("\xef\xbf\xbd") };
    sonde_str out[4];
    char label[24];

    unique_begin(&s);
    CU_ASSERT(unique_add(&s, unique_hash(1), in, 4, out));
    CU_ASSERT(text_is(out[0], "a\xef\xbf\xbd"));
    CU_ASSERT(text_is(out[1], "12345678"));
    CU_ASSERT(text_is(out[2], ""));
    CU_ASSERT(text_is(out[3], "\xef\xbf\xbd"));
    CU_ASSERT(!unique_add(&s, unique_hash(1), in, 4, out));
    CU_ASSERT(!unique_add(&s, unique_hash(1), valid, 4, out));
    CU_ASSERT(unique_add(&s, unique_hash(2), in, 4, out));
    /* Where a label ends is a part of the series. */
    CU_ASSERT(unique_add(&s, 1, (sonde_str[]){ in[0], in[2] }, 2, out));
    CU_ASSERT(unique_add(&s, 1, (sonde_str[]){ in[2], in[0] }, 2, out));
    CU_ASSERT(unique_add(&s, unique_hash_name("x"), NULL, 0, NULL));
    CU_ASSERT(!unique_add(&s, unique_hash_name("x"), NULL, 0, NULL));
    /* It grows, and ends. */
    for (size_t i = s.count; i < s.max; i++) {
        (void)snprintf(label, sizeof(label), "%zu", i);
        CU_ASSERT_FATAL(add_one(&s, 7, sonde_cstr(label)));
    }
    CU_ASSERT(!add_one(&s, 7, SONDE_STR("more")));
    unique_begin(&s);
    CU_ASSERT(s.cap > 4096); /* that many will come again */
    CU_ASSERT(add_one(&s, 7, SONDE_STR("more")));
    unique_begin(&s);
    CU_ASSERT(!s.cap && add_one(&s, 7, SONDE_STR("more")));
    unique_fini(&s);
}

/* ---- clock --------------------------------------------------------------- */

static sonde_msec at_7000(void)
{
    return 7000;
}

static void test_clock(void)
{
    static const struct {
        int line;
        sonde_msec deadline, most, want;
    } rows[] = {
        { __LINE__, 8000, 100, 7950 }, /* a twentieth */
        { __LINE__, 17000, 100, 16900 }, { __LINE__, 17000, 250, 16750 },
        { __LINE__, 7000, 100, 7000 },   { __LINE__, 6000, 100, 6000 },
    };
    struct sonde_host host = { .monotonic = at_7000 };
    double from = clock_seconds();
    struct timespec now = clock_after(-5), later = clock_after(90999);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i], clock_before(&host, rows[i].deadline,
                                          rows[i].most) == rows[i].want);
    CU_ASSERT((double)now.tv_sec + 1 >= from);
    CU_ASSERT(later.tv_sec >= now.tv_sec + 90);
    CU_ASSERT(later.tv_nsec >= 0 && later.tv_nsec < 1000000000);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "UTF-8", test_utf8 },          { "NUL in texts", test_nul },
        { "%XX", test_decoded },         { "a lack of memory", test_failed },
        { "views", test_views },         { "numbers", test_numbers },
        { "whole numbers", test_whole }, { "series", test_series },
        { "deadlines", test_clock },
    };

    return TAP_RUN("shared", tests);
}
