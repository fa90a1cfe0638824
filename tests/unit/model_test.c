/* SPDX-License-Identifier: Apache-2.0 */
/* model: labels, numbers, units, symbols, self-metrics. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "model/labels.h"
#include "model/number.h"
#include "model/sample.h"
#include "model/selfmetrics.h"
#include "model/symtab.h"
#include "unit/tap.h"
#include "util/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- labels -------------------------------------------------------------- */

static struct labels make(struct labels_builder *lb, const char *const *pairs)
{
    lb->count = 0;
    for (; *pairs; pairs += 2)
        labels_builder_set(lb, sonde_cstr(pairs[0]), sonde_cstr(pairs[1]));
    return labels_builder_view(lb);
}

static bool prints(const struct labels *l, const char *want)
{
    struct buf b;
    bool same;

    buf_init(&b);
    labels_print(&b, l);
    same = str_eq_cstr(buf_str(&b), want);
    if (!same)
        tap_note("got %.*s", SONDE_ARG(buf_str(&b)));
    buf_fini(&b);
    return same;
}

static void test_labels_print(void)
{
    static const struct {
        int line;
        const char *pairs[9];
        const char *want;
    } rows[] = {
        { __LINE__, { NULL }, "{}" },
        { __LINE__, { "__name__", "up", NULL }, "up" },
        { __LINE__,
          { "job", "a", "__name__", "up", "A", "b", NULL },
          "up{A=\"b\", job=\"a\"}" },
        { __LINE__, { "a", "1", NULL }, "{a=\"1\"}" },
        { __LINE__, { "a", "1", "a", "", NULL }, "{}" },
        { __LINE__,
          { "__name__", "a.b", "c.d", "1", NULL },
          "{__name__=\"a.b\", \"c.d\"=\"1\"}" },
        { __LINE__,
          { "a", "\"\\\n\x01\x7f\xff\xc3\xbc\xc2\xa0\xe2\x80\x8b", NULL },
          "{a=\"\\\"\\\\\\n\\x01\\x7f\\xff\xc3\xbc\\u00a0\\u200b\"}" },
    };
    struct arena a;
    struct labels_builder lb;

    arena_init(&a);
    labels_builder_init(&lb, &a);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct labels l = make(&lb, rows[i].pairs);

        ROW_ASSERT(&rows[i], prints(&l, rows[i].want));
    }
    arena_fini(&a);
}

static void test_labels_order(void)
{
    static const char *const sets[][7] = {
        { NULL },
        { "a", "1", NULL },
        { "a", "1", "b", "1", NULL },
        { "a", "1", "b", "2", NULL },
        { "a", "12", NULL },
        { "b", "0", NULL },
    };
    struct arena a;
    struct labels l[COUNT(sets)];

    arena_init(&a);
    for (size_t i = 0; i < COUNT(sets); i++) {
        struct labels_builder lb;
        struct labels made;

        labels_builder_init(&lb, &a);
        made = make(&lb, sets[i]);
        l[i] = labels_dup(&a, &made);
        CU_ASSERT_TRUE(labels_eq(&l[i], &made));
        CU_ASSERT_EQUAL(labels_hash(&l[i]), labels_hash(&made));
    }
    for (size_t i = 0; i < COUNT(sets); i++)
        for (size_t j = 0; j < COUNT(sets); j++) {
            int c = labels_cmp(&l[i], &l[j]);

            CU_ASSERT_EQUAL(c < 0 ? -1 : c > 0, i < j ? -1 : i > j);
            CU_ASSERT_EQUAL(labels_eq(&l[i], &l[j]), i == j);
            CU_ASSERT_EQUAL(labels_hash(&l[i]) == labels_hash(&l[j]), i == j);
        }
    arena_fini(&a);
}

/* Names and values that run together must not hash alike, also not when the
 * set is too large for the fast way. */
static void test_labels_hash(void)
{
    struct label x = { SONDE_STR("a"), SONDE_STR("bc") };
    struct label y = { SONDE_STR("ab"), SONDE_STR("c") };
    struct labels l = { &x, 1 }, m = { &y, 1 };
    static char large[3000];

    CU_ASSERT_NOT_EQUAL(labels_hash(&l), labels_hash(&m));
    memset(large, 'x', sizeof(large));
    for (size_t n = 990; n < 1040; n++) {
        x.value = (sonde_str){ large, n };
        y.value = (sonde_str){ large, n - 1 };
        CU_ASSERT_NOT_EQUAL(labels_hash(&l), labels_hash(&m));
    }
}

static void test_labels_builder(void)
{
    struct arena a;
    struct labels_builder lb;
    struct labels l;

    arena_init(&a);
    labels_builder_init(&lb, &a);
    for (int i = 99; i >= 0; i--)
        labels_builder_set(&lb, arena_printf(&a, "l%02d", i),
                           arena_printf(&a, "%d", i));
    labels_builder_set(&lb, SONDE_STR("l50"), SONDE_STR("new"));
    labels_builder_set(&lb, SONDE_STR("l51"), SONDE_STR(""));
    labels_builder_del(&lb, SONDE_STR("l52"));
    labels_builder_del(&lb, SONDE_STR("none"));
    l = labels_builder_view(&lb);
    CU_ASSERT_EQUAL(l.count, 98);
    for (size_t i = 1; i < l.count; i++)
        CU_ASSERT_TRUE(str_cmp(l.items[i - 1].name, l.items[i].name) < 0);
    CU_ASSERT_TRUE(
        str_eq_cstr(labels_builder_get(&lb, SONDE_STR("l50")), "new"));
    CU_ASSERT_EQUAL(labels_get(&l, SONDE_STR("l51")).len, 0);
    CU_ASSERT_TRUE(str_eq_cstr(labels_get(&l, SONDE_STR("l99")), "99"));
    labels_builder_reset(&lb);
    CU_ASSERT_EQUAL(labels_builder_view(&lb).count, 0);
    arena_fini(&a);
}

static void test_names(void)
{
    static const struct {
        int line;
        const char *s;
        bool metric, label;
    } rows[] = {
        { __LINE__, "", false, false },   { __LINE__, "a", true, true },
        { __LINE__, "_9Z", true, true },  { __LINE__, "9a", false, false },
        { __LINE__, ":a:", true, false }, { __LINE__, "a-b", false, false },
        { __LINE__, "a b", false, false }
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        sonde_str s = sonde_cstr(rows[i].s);

        ROW_ASSERT(&rows[i], metric_name_is_legacy(s) == rows[i].metric);
        ROW_ASSERT(&rows[i], label_name_is_legacy(s) == rows[i].label);
    }
}

/* ---- numbers ------------------------------------------------------------- */

static void test_number_parse(void)
{
    static const struct {
        int line;
        const char *s;
        double want;
    } rows[] = {
        { __LINE__, "0", 0 },
        { __LINE__, "-0", -0.0 },
        { __LINE__, "007", 7 },
        { __LINE__, "5.", 5 },
        { __LINE__, ".5", 0.5 },
        { __LINE__, "+1", 1 },
        { __LINE__, "1E+05", 100000 },
        { __LINE__, "1e5", 100000 },
        { __LINE__, "-1.5e-3", -0.0015 },
        { __LINE__, "1234.5678901234567", 1234.5678901234567 },
        { __LINE__, "9007199254740993", 9007199254740992.0 },
        { __LINE__, "9007199254740993.00000000000000001", 9007199254740994.0 },
        { __LINE__, "1e23", 1e23 },
        { __LINE__, "8.41e21", 8.41e21 },
        { __LINE__, "1.7976931348623157e308", 1.7976931348623157e308 },
        { __LINE__, "2.2250738585072014e-308", 0x1p-1022 },
        { __LINE__, "2.2250738585072011e-308", 0x0.fffffffffffffp-1022 },
        { __LINE__, "5e-324", 0x1p-1074 },
        { __LINE__, "2e-324", 0 },
        { __LINE__, "1e-400", 0 },
        { __LINE__, "0e999999999999", 0 },
        { __LINE__, "1e-999999999999", 0 },
        { __LINE__, "123456789012345678901234567890", 1.2345678901234568e29 },
        { __LINE__, "0.1000000000000000055511151231257827021181583404541015625",
          0.1 },
        { __LINE__, "inf", HUGE_VAL },
        { __LINE__, "iNf", HUGE_VAL },
        { __LINE__, "+INFINITY", HUGE_VAL },
        { __LINE__, "-inf", -HUGE_VAL },
    };
    double v;

    for (size_t i = 0; i < COUNT(rows); i++) {
        ROW_ASSERT(&rows[i], number_parse(sonde_cstr(rows[i].s), &v));
        ROW_ASSERT(&rows[i], double_bits(v) == double_bits(rows[i].want));
    }
    CU_ASSERT_TRUE(number_parse(SONDE_STR("nAn"), &v));
    CU_ASSERT_EQUAL(double_bits(v), NORMAL_NAN_BITS);
}

static void test_number_parse_errors(void)
{
    static const char *const bad[] = {
        "",       ".",
        "+",      "-",
        "1e",     "1e+",
        "e5",     "+NaN",
        "-nan",   "1_000",
        "0x10",   "0x1p2",
        "1,5",    "1foo",
        "--1",    "1 ",
        " 1",     "1.2.3",
        "1e5.5",  "1e309",
        "-1e309", "infin",
        "1e9999", "\xd9\xa1",
        "nan(1)", "1e999999999999",
    };
    double v;

    for (size_t i = 0; i < COUNT(bad); i++) {
        sonde_str text = sonde_cstr(bad[i]);
        bool accepted = number_parse(text, &v);

        if (accepted)
            tap_note("accepted \"%.*s\" as %g", SONDE_ARG(text), v);
        CU_ASSERT_FALSE(accepted);
    }
}

/* Many digits and a large exponent that take each other back. */
static void test_number_parse_long(void)
{
    size_t zeros = 120001;
    char *s = malloc(zeros + 32);
    double v = 1;
    int n;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    s[0] = '1';
    memset(s + 1, '0', zeros);
    n = snprintf(s + 1 + zeros, 31, "e-%zu", zeros);
    CU_ASSERT_TRUE(number_parse((sonde_str){ s, 1 + zeros + (size_t)n }, &v));
    CU_ASSERT_EQUAL(v, 1);
    n = snprintf(s + 1 + zeros, 31, "e-%zu0", zeros - 1);
    CU_ASSERT_TRUE(number_parse((sonde_str){ s, 1 + zeros + (size_t)n }, &v));
    CU_ASSERT_EQUAL(v, 0);
    free(s);
}

static void test_number_format(void)
{
    static const struct {
        int line;
        double v;
        const char *text, *om, *api, *plain; /* NULL: as the one before */
    } rows[] = {
        { __LINE__, 1, "1", "1.0", "1", NULL },
        { __LINE__, 0, "0", "0.0", "0", NULL },
        { __LINE__, -1, "-1", "-1.0", "-1", NULL },
        { __LINE__, -0.0, "0", "0.0", "-0", NULL },
        { __LINE__, 100000, "100000", "100000.0", "100000", NULL },
        { __LINE__, 999999, "999999", "999999.0", "999999", NULL },
        { __LINE__, 1e6, "1e+06", NULL, "1000000", NULL },
        { __LINE__, 1234567, "1.234567e+06", NULL, "1234567", NULL },
        { __LINE__, 16777217, "1.6777217e+07", NULL, "16777217", NULL },
        { __LINE__, 123456789012345678.0, "1.2345678901234568e+17", NULL,
          "123456789012345680", NULL },
        { __LINE__, 1e20, "1e+20", NULL, "100000000000000000000", NULL },
        { __LINE__, 1e21, "1e+21", NULL, NULL, "1000000000000000000000" },
        { __LINE__, -1e21, "-1e+21", NULL, NULL, "-1000000000000000000000" },
        { __LINE__, 0.1, "0.1", NULL, NULL, NULL },
        { __LINE__, 0.0001, "0.0001", NULL, NULL, NULL },
        { __LINE__, 0.00001, "1e-05", NULL, "0.00001", NULL },
        { __LINE__, 1e-6, "1e-06", NULL, "0.000001", NULL },
        { __LINE__, 1e-7, "1e-07", NULL, NULL, "0.0000001" },
        { __LINE__, 123.456, "123.456", NULL, NULL, NULL },
        { __LINE__, 1e23, "1e+23", NULL, NULL, "100000000000000000000000" },
        { __LINE__, 9007199254740992.0, "9.007199254740992e+15", NULL,
          "9007199254740992", NULL },
        { __LINE__, 0x1p-44, "5.684341886080802e-14", NULL, NULL,
          "0.00000000000005684341886080802" },
        { __LINE__, 9.5367431640625e-07, "9.5367431640625e-07", NULL, NULL,
          "0.00000095367431640625" },
        { __LINE__, 1.7976931348623157e308, "1.7976931348623157e+308", NULL,
          NULL, "" },
        { __LINE__, 0x1p-1074, "5e-324", NULL, NULL, "" },
        { __LINE__, 0x1p-1022, "2.2250738585072014e-308", NULL, NULL, "" },
        { __LINE__, HUGE_VAL, "+Inf", NULL, NULL, NULL },
        { __LINE__, -HUGE_VAL, "-Inf", NULL, NULL, NULL },
        { __LINE__, NAN, "NaN", NULL, NULL, NULL },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *wants[] = { rows[i].text, rows[i].om, rows[i].api,
                                rows[i].plain };
        const char *want = NULL;

        for (size_t j = 0; j < COUNT(wants); j++) {
            char text[NUMBER_MAX_BYTES];
            size_t n = number_format(text, rows[i].v, (enum number_style)j);

            want = wants[j] ? wants[j] : want;
            if (*want == '\0')
                continue;
            ROW_ASSERT(&rows[i], str_eq_cstr((sonde_str){ text, n }, want));
        }
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Against the C library: the same bits from 17 digits, and digits that are
 * no more than "%.*e" needs to read back. */
static void test_number_against_libc(void)
{
    uint64_t state = 1;

    for (int i = 0; i < 200000; i++) {
        double v = bits_double(next_random(&state)), back;
        char want[64], got[NUMBER_MAX_BYTES];
        size_t n;
        int digits = 1;

        if (i % 4 == 0) /* the range of every day */
            v = (double)(next_random(&state) >> 11) /
                pow(10, (double)(i / 4 % 18));
        if (!isfinite(v))
            continue;
        n = (size_t)snprintf(want, sizeof(want), "%.*e", i % 21, v);
        if (!number_parse((sonde_str){ want, n }, &back) ||
            double_bits(back) != double_bits(strtod(want, NULL))) {
            /* Rounded up past the largest one: refused. */
            CU_ASSERT_TRUE(isinf(strtod(want, NULL)));
        }
        n = number_format(got, v, NUMBER_API);
        CU_ASSERT_TRUE(number_parse((sonde_str){ got, n }, &back));
        CU_ASSERT_EQUAL(double_bits(back), double_bits(v));
        if (i % 8)
            continue;
        do
            (void)snprintf(want, sizeof(want), "%.*e", digits++ - 1, v);
        while (strtod(want, NULL) != v);
        n = number_format(got, v, NUMBER_TEXT);
        got[n] = '\0';
        digits--;
        for (size_t j = 0; j < n && got[j] != 'e'; j++)
            digits -= got[j] >= '0' && got[j] <= '9';
        CU_ASSERT_TRUE(digits >= 0 || !strchr(got, 'e'));
    }
}

static void test_durations(void)
{
    static const struct {
        int line;
        const char *s;
        sonde_msec ms;
        const char *printed;
    } rows[] = {
        { __LINE__, "0", 0, "0s" },
        { __LINE__, "0s", 0, "0s" },
        { __LINE__, "15s", 15000, "15s" },
        { __LINE__, "90s", 90000, "1m30s" },
        { __LINE__, "1h30m", 5400000, "1h30m" },
        { __LINE__, "1w1d", INT64_C(691200000), "8d" },
        { __LINE__, "2w", INT64_C(1209600000), "2w" },
        { __LINE__, "1y", INT64_C(31536000000), "1y" },
        { __LINE__, "400d", INT64_C(34560000000), "400d" },
        { __LINE__, "1y2w3d4h5m6s7ms", INT64_C(33019506007), "382d4h5m6s7ms" },
        { __LINE__, "1500ms", 1500, "1s500ms" },
    };
    static const char *const bad[] = {
        "",    "5",    "s",    "1.5h", "5m ",
        " 5m", "-5m",  "1h1h", "1m1h", "5M",
        "1ns", "293y", "1h30", "+5s",  "99999999999999999999s"
    };
    struct buf b;
    sonde_msec ms;

    buf_init(&b);
    for (size_t i = 0; i < COUNT(rows); i++) {
        ROW_ASSERT(&rows[i], duration_parse(sonde_cstr(rows[i].s), &ms));
        ROW_ASSERT(&rows[i], ms == rows[i].ms);
        buf_reset(&b);
        buf_duration(&b, ms);
        ROW_ASSERT(&rows[i], str_eq_cstr(buf_str(&b), rows[i].printed));
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT_FALSE(duration_parse(sonde_cstr(bad[i]), &ms));
    buf_reset(&b);
    buf_duration(&b, -90000);
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&b), "-1m30s"));
    buf_fini(&b);
}

static void test_sizes(void)
{
    static const struct {
        int line;
        const char *s;
        int64_t bytes;
        const char *printed;
    } rows[] = {
        { __LINE__, "0", 0, "0B" },
        { __LINE__, "10B", 10, "10B" },
        { __LINE__, "512MB", INT64_C(512) << 20, "512MiB" },
        { __LINE__, "1GiB", INT64_C(1) << 30, "1GiB" },
        { __LINE__, "1.5KB", 1536, "1KiB512B" },
        { __LINE__, ".5KiB", 512, "512B" },
        { __LINE__, "1GB512MB", INT64_C(1536) << 20, "1GiB512MiB" },
        { __LINE__, "+2TB", INT64_C(2) << 40, "2TiB" },
        { __LINE__, "7EB", INT64_C(7) << 60, "7EiB" },
        { __LINE__, "-1KB", -1024, "-1KiB" },
    };
    static const char *const bad[] = { "",    "5",    "MB",    ".KB", "1mb",
                                       "1 B", "8EB",  "1XB",   "1K",  "1KiB1KB",
                                       "-",   "1KB ", "1.2.3B" };
    struct buf b;
    int64_t v;

    buf_init(&b);
    for (size_t i = 0; i < COUNT(rows); i++) {
        ROW_ASSERT(&rows[i], size_parse(sonde_cstr(rows[i].s), &v));
        ROW_ASSERT(&rows[i], v == rows[i].bytes);
        buf_reset(&b);
        buf_size(&b, v);
        ROW_ASSERT(&rows[i], str_eq_cstr(buf_str(&b), rows[i].printed));
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT_FALSE(size_parse(sonde_cstr(bad[i]), &v));
    buf_fini(&b);
}

/* ---- symbols ------------------------------------------------------------- */

static void test_symtab(void)
{
    struct symtab *t = symtab_new();
    symbol a = symtab_intern(t, SONDE_STR("a"));
    symbol none = symtab_intern(t, SONDE_STR("")), found;

    CU_ASSERT_NOT_EQUAL(a, none);
    CU_ASSERT_EQUAL(symtab_intern(t, SONDE_STR("a")), a);
    CU_ASSERT_TRUE(str_eq_cstr(symtab_str(t, a), "a"));
    CU_ASSERT_EQUAL(symtab_str(t, none).len, 0);
    CU_ASSERT_EQUAL(symtab_count(t), 2);
    symtab_release(t, a);
    CU_ASSERT_TRUE(symtab_find(t, SONDE_STR("a"), &found) && found == a);
    symtab_release(t, a);
    CU_ASSERT_FALSE(symtab_find(t, SONDE_STR("a"), &found));
    CU_ASSERT_EQUAL(symtab_count(t), 1);
    CU_ASSERT_EQUAL(symtab_intern(t, SONDE_STR("b")), a); /* used again */
    symtab_free(t);
}

#define MANY 60000

/* Strings of all lengths come and go; what stays is found, and memory does
 * not grow with the number of rounds. */
static void test_symtab_many(void)
{
    static symbol ids[MANY];
    static char text[MANY / 50 + 32];
    struct symtab *t = symtab_new();
    size_t before;

    memset(text, 'x', sizeof(text));
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            int n = snprintf(text, 20, "%u", i);

            text[n] = 'x';
            ids[i] = symtab_intern(
                t, (sonde_str){ text, i % 1000 ? 12 + i % 7 : i / 50 + 12 });
        }
        if (round == 0)
            before = symtab_bytes(t);
        CU_ASSERT_TRUE(symtab_bytes(t) <= before);
        CU_ASSERT_EQUAL(symtab_count(t), MANY);
        for (uint32_t i = 0; i < MANY; i++) {
            sonde_str s = symtab_str(t, ids[i]);
            char want[20];
            int n = snprintf(want, sizeof(want), "%ux", i);

            CU_ASSERT_TRUE(s.len >= (size_t)n &&
                           memcmp(s.ptr, want, (size_t)n) == 0);
        }
        for (uint32_t i = 0; i < MANY; i++)
            if (round < 2 || i % 3)
                symtab_release(t, ids[i]);
    }
    CU_ASSERT_EQUAL(symtab_count(t), MANY / 3);
    symtab_free(t);
}

static void test_symtab_lean(void)
{
    struct symtab *t = symtab_new();
    char text[32];

    for (unsigned i = 0; i < 200000; i++) {
        int n = snprintf(text, sizeof(text), "instance-%06u", i);

        (void)symtab_intern(t, (sonde_str){ text, (size_t)n });
    }
    CU_ASSERT_TRUE(symtab_bytes(t) / 200000 < 36);
    symtab_free(t);
}

struct symbol_reader {
    struct symtab *t;
    symbol id;
    _Atomic bool stop;
    size_t wrong;
};

static void *read_on(void *arg)
{
    struct symbol_reader *r = arg;

    while (!r->stop)
        r->wrong += !str_eq_cstr(symtab_str(r->t, r->id), "held");
    return NULL;
}

static void test_symtab_threads(void)
{
    struct symtab *t = symtab_new();
    struct symbol_reader r = { .t = t,
                               .id = symtab_intern(t, SONDE_STR("held")) };
    pthread_t thread;
    char text[32];

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, read_on, &r), 0);
    for (unsigned i = 0; i < 40000; i++) {
        int n = snprintf(text, sizeof(text), "%u", i % 9000);
        symbol id = symtab_intern(t, (sonde_str){ text, (size_t)n });

        (void)symtab_intern(t, SONDE_STR("held"));
        if (i % 2)
            symtab_release(t, id);
        symtab_release(t, r.id);
    }
    r.stop = true;
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(r.wrong, 0);
    symtab_free(t);
}

/* ---- self-metrics -------------------------------------------------------- */

static void emit_two(struct selfmetrics_page *page, void *arg)
{
    selfmetrics_emit(page, "m_bytes", METRIC_GAUGE, "Bytes.", "kind=\"a\"",
                     *(double *)arg);
    selfmetrics_emit(page, "z_info", METRIC_INFO, "", NULL, 1);
}

static void test_selfmetrics(void)
{
    struct selfmetrics *m = selfmetrics_new();
    struct metric *c = selfmetrics_counter(m, "b_total", "B\\s.\nTwo.", NULL);
    struct metric *g = selfmetrics_gauge(m, "m_bytes", "Bytes.", "kind=\"b\"");
    struct metric *r = selfmetrics_real(m, METRIC_COUNTER, "a_seconds_total",
                                        "Time.", "job=\"x\"");
    double size = 1e6;
    struct buf b;

    buf_init(&b);
    metric_inc(c);
    metric_add(c, 41);
    metric_set(g, -5);
    metric_add_real(r, 0.25);
    metric_add_real(r, 0.5);
    selfmetrics_callback(m, emit_two, &size);
    CU_ASSERT_PTR_EQUAL(selfmetrics_counter(m, "b_total", "B\\s.\nTwo.", NULL),
                        c);
    selfmetrics_write(m, &b);
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&b), "# HELP a_seconds_total Time.\n"
                                            "# TYPE a_seconds_total counter\n"
                                            "a_seconds_total{job=\"x\"} 0.75\n"
                                            "# HELP b_total B\\\\s.\\nTwo.\n"
                                            "# TYPE b_total counter\n"
                                            "b_total 42\n"
                                            "# HELP m_bytes Bytes.\n"
                                            "# TYPE m_bytes gauge\n"
                                            "m_bytes{kind=\"a\"} 1e+06\n"
                                            "m_bytes{kind=\"b\"} -5\n"
                                            "# TYPE z_info untyped\n"
                                            "z_info 1\n"));
    selfmetrics_uncallback(m, emit_two, &size);
    selfmetrics_drop(m, "a_seconds_total", "job=\"x\"");
    selfmetrics_drop(m, "m_bytes", "kind=\"b\"");
    buf_reset(&b);
    selfmetrics_write(m, &b);
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&b), "# HELP b_total B\\\\s.\\nTwo.\n"
                                            "# TYPE b_total counter\n"
                                            "b_total 42\n"));
    CU_ASSERT_PTR_EQUAL(selfmetrics_gauge(m, "m_bytes", "Bytes.", "kind=\"b\""),
                        g);
    CU_ASSERT_EQUAL(metric_get(g), 0);
    buf_fini(&b);
    selfmetrics_free(m);
}

static void test_selfmetrics_without_registry(void)
{
    metric_inc(selfmetrics_counter(NULL, "a", "A.", NULL));
    metric_add_real(selfmetrics_real(NULL, METRIC_GAUGE, "b", "B.", NULL), .5);
    selfmetrics_drop(NULL, "a", NULL);
    selfmetrics_callback(NULL, emit_two, NULL);
    selfmetrics_uncallback(NULL, emit_two, NULL);
}

static void *add_many(void *arg)
{
    struct selfmetrics *m = arg;

    for (int i = 0; i < 20000; i++) {
        metric_inc(selfmetrics_counter(m, "n_total", "N.", NULL));
        metric_add_real(
            selfmetrics_real(m, METRIC_COUNTER, "r_total", "R.", NULL), 1);
    }
    return NULL;
}

static void test_selfmetrics_threads(void)
{
    struct selfmetrics *m = selfmetrics_new();
    pthread_t threads[3];
    struct buf b;

    buf_init(&b);
    for (size_t i = 0; i < COUNT(threads); i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, add_many, m),
                              0);
    for (int i = 0; i < 20; i++)
        selfmetrics_write(m, &b);
    for (size_t i = 0; i < COUNT(threads); i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(metric_get(selfmetrics_counter(m, "n_total", "N.", NULL)),
                    60000);
    CU_ASSERT_EQUAL(
        metric_get(selfmetrics_real(m, METRIC_COUNTER, "r_total", "R.", NULL)),
        60000);
    buf_fini(&b);
    selfmetrics_free(m);
}

static void test_types(void)
{
    CU_ASSERT_STRING_EQUAL(metric_type_name(METRIC_GAUGE_HISTOGRAM),
                           "gaugehistogram");
    CU_ASSERT_STRING_EQUAL(metric_type_name((enum metric_type)99), "unknown");
    CU_ASSERT_TRUE(is_stale_nan(stale_nan()));
    CU_ASSERT_FALSE(is_stale_nan(NAN));
}

static const struct tap_test tests[] = {
    { "labels print as Prometheus prints them", test_labels_print },
    { "label sets have an order", test_labels_order },
    { "hashes tell names from values", test_labels_hash },
    { "the builder sets, replaces, deletes, sorts", test_labels_builder },
    { "legacy names", test_names },
    { "numbers are read", test_number_parse },
    { "what is no number is refused", test_number_parse_errors },
    { "long numbers", test_number_parse_long },
    { "numbers are printed in four styles", test_number_format },
    { "numbers agree with the C library", test_number_against_libc },
    { "durations", test_durations },
    { "sizes", test_sizes },
    { "symbols are counted", test_symtab },
    { "symbols come and go", test_symtab_many },
    { "symbols are lean", test_symtab_lean },
    { "symbols are read beside a writer", test_symtab_threads },
    { "self-metrics page", test_selfmetrics },
    { "self-metrics without a registry", test_selfmetrics_without_registry },
    { "self-metrics from threads", test_selfmetrics_threads },
    { "types and stale markers", test_types },
};

int main(void)
{
    return TAP_RUN("model", tests);
}
