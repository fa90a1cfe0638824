/* SPDX-License-Identifier: Apache-2.0 */
/* cli: flags of sub-commands, the progress line, samples and durations as
 * promtool prints them, samples through the import's file. */
#include <math.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/import_spill.h"
#include "cli/tsdb_cmd.h"
#include "unit/tap.h"
#include "util/fs.h"

static bool is(const struct buf *b, const char *want)
{
    if (b->len == strlen(want) && memcmp(b->data, want, b->len) == 0)
        return true;
    tap_note("got \"%.*s\", want \"%s\"", (int)b->len, b->data, want);
    return false;
}

/* ---- flags -------------------------------------------------------------- */

static void test_args(void)
{
    static const struct {
        int line;
        const char *argv[8];
        int code;
    } cases[] = {
        { __LINE__, { "x", "-b", "--text", "v", "--num=-3", "a" }, ARGS_GO },
        { __LINE__,
          { "x", "--text=v", "a", "--num", "-3", "--bool" },
          ARGS_GO },
        { __LINE__, { "x", "--text=v", "--num=-3", "-b", "--", "a" }, ARGS_GO },
        { __LINE__, { "x", "a", "b" }, CLI_USAGE },
        { __LINE__, { "x", "--none" }, CLI_USAGE },
        { __LINE__, { "x", "--num=y" }, CLI_USAGE },
        { __LINE__, { "x", "--num" }, CLI_USAGE },
        { __LINE__, { "x", "--bool=1" }, CLI_USAGE },
        { __LINE__, { "x", "-z" }, CLI_USAGE },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool on = false;
        const char *text = NULL, *rest = NULL;
        int64_t number = 0;
        const struct arg rows[] = {
            { "bool", 'b', ARG_BOOL, &on, "" },
            { "text", 0, ARG_TEXT, &text, "" },
            { "num", 0, ARG_INT, &number, "" },
            { 0 },
        };
        const struct args args = { "x [FLAGS] A", "", rows, &rest, 1 };
        struct arena a;
        int argc = 0, code;

        while (cases[i].argv[argc])
            argc++;
        arena_init(&a);
        code = args_read(&a, &args, argc, (char **)(uintptr_t)cases[i].argv);
        ROW_ASSERT(&cases[i], code == cases[i].code);
        if (code == ARGS_GO)
            ROW_ASSERT(&cases[i], on && number == -3 && rest &&
                                      strcmp(rest, "a") == 0 &&
                                      strcmp(text, "v") == 0);
        arena_fini(&a);
    }
}

static void test_args_lists(void)
{
    struct sonde_list texts = { 0 };
    sonde_msec d = 0;
    int64_t size = 0;
    const struct arg rows[] = { { "t", 0, ARG_TEXTS, &texts, "" },
                                { "d", 0, ARG_DURATION, &d, "" },
                                { "s", 0, ARG_SIZE, &size, "" },
                                { 0 } };
    const struct args args = { "x", "", rows, NULL, 0 };
    const char *argv[] = { "x", "--t=1", "--d=2h", "--t", "2", "--s=1MB" };
    struct arena a;

    arena_init(&a);
    CU_ASSERT_EQUAL(args_read(&a, &args, 6, (char **)(uintptr_t)argv), ARGS_GO);
    CU_ASSERT_EQUAL_FATAL(texts.count, 2);
    CU_ASSERT(sonde_str_eq(texts.items[1], SONDE_STR("2")));
    CU_ASSERT_EQUAL(d, 7200000);
    CU_ASSERT_EQUAL(size, 1 << 20);
    arena_fini(&a);
}

/* ---- progress ----------------------------------------------------------- */

#define SEC UINT64_C(1000000000)

static void test_progress(void)
{
    static const struct {
        int line;
        enum progress_unit unit;
        uint64_t total, done, seconds;
        unsigned width;
        const char *want;
    } cases[] = {
        { __LINE__, PROGRESS_COUNT, 200, 50, 0, 0, "w  25% 50 of 200" },
        { __LINE__, PROGRESS_COUNT, 200, 50, 10, 0,
          "w  25% 50 of 200, 5/s, 30s left" },
        { __LINE__, PROGRESS_COUNT, 0, 5000, 10, 0, "w 5.00k, 500/s" },
        { __LINE__, PROGRESS_BYTES, 3u << 20, 3u << 20, 3, 0,
          "w 100% 3.00 MiB of 3.00 MiB, 1.00 MiB/s" },
        { __LINE__, PROGRESS_BYTES, UINT64_C(40) << 30, 4u << 20, 4, 0,
          "w   0% 4.00 MiB of 40.0 GiB, 1.00 MiB/s, 11h22m left" },
        { __LINE__, PROGRESS_COUNT, 10, 5, 75, 0,
          "w  50% 5 of 10, 0/s, 1m15s left" },
        { __LINE__, PROGRESS_COUNT, 200, 50, 0, 33,
          "w  25% [===>         ] 50 of 200" },
        { __LINE__, PROGRESS_COUNT, 200, 50, 0, 20, "w  25% 50 of 200" },
        { __LINE__, PROGRESS_COUNT, 200, 50, 0, 10, "w  25% 50 " },
        { __LINE__, PROGRESS_COUNT, 10, 12, 0, 0, "w 100% 12 of 10" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct progress p = { .what = "w",
                              .unit = cases[i].unit,
                              .total = cases[i].total,
                              .done = cases[i].done,
                              .began_ns = 5 * SEC };
        struct buf b;

        buf_init(&b);
        progress_line(&b, &p, (5 + cases[i].seconds) * SEC, cases[i].width);
        ROW_ASSERT(&cases[i], is(&b, cases[i].want));
        buf_fini(&b);
    }
}

/* ---- printing ----------------------------------------------------------- */

static void test_print_values(void)
{
    static const struct {
        int line;
        double v;
        const char *want;
    } cases[] = {
        { __LINE__, 0, "0" },           { __LINE__, -0.0, "-0" },
        { __LINE__, 123456, "123456" }, { __LINE__, 1234567, "1.234567e+06" },
        { __LINE__, 0.0001, "0.0001" }, { __LINE__, 0.00001, "1e-05" },
        { __LINE__, INFINITY, "+Inf" }, { __LINE__, -INFINITY, "-Inf" },
        { __LINE__, NAN, "NaN" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf b;

        buf_init(&b);
        print_value(&b, cases[i].v);
        ROW_ASSERT(&cases[i], is(&b, cases[i].want));
        buf_fini(&b);
    }
}

static void test_print_durations(void)
{
    static const struct {
        int line;
        sonde_msec d;
        const char *want;
    } cases[] = {
        { __LINE__, 0, "0s" },           { __LINE__, 653, "653ms" },
        { __LINE__, 1946, "1.946s" },    { __LINE__, 15001, "15.001s" },
        { __LINE__, 1500, "1.5s" },      { __LINE__, 60000, "1m0s" },
        { __LINE__, 7200000, "2h0m0s" }, { __LINE__, 93784005, "26h3m4.005s" },
        { __LINE__, -1000, "-1s" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf b;

        buf_init(&b);
        print_duration(&b, cases[i].d);
        ROW_ASSERT(&cases[i], is(&b, cases[i].want));
        buf_fini(&b);
    }
}

static void test_print_histograms(void)
{
    struct histogram_span spans[] = { { 0, 2 }, { 1, 2 } }, one = { -1, 1 };
    int64_t deltas[] = { 1, 1, -1, 0 }, negative[] = { 5 };
    double counts[] = { 1, 2.5, 0, 1 }, bounds[] = { 0.5, 10, 20, 30 };
    struct histogram h = { .schema = 1,
                           .zero_threshold = 0.001,
                           .sum = 18.4,
                           .zero_count.i = 2,
                           .count.i = 12,
                           .positive = { spans, 2, { .i = deltas }, 4 },
                           .negative = { &one, 1, { .i = negative }, 1 } };
    struct histogram c = { .is_float = true,
                           .schema = HISTOGRAM_CUSTOM,
                           .sum = 1,
                           .count.f = 4.5,
                           .positive = { spans, 2, { .f = counts }, 4 },
                           .custom_bounds = bounds,
                           .custom_count = 4 };
    struct buf b;

    buf_init(&b);
    print_histogram(&b, &h);
    CU_ASSERT(is(&b, "{count:12, sum:18.4, "
                     "[-0.7071067811865475,-0.5):5, [-0.001,0.001]:2, "
                     "(0.7071067811865475,1]:1, (1,1.414213562373095]:2, "
                     "(2,2.82842712474619]:1, (2.82842712474619,4]:1}"));
    buf_reset(&b);
    print_histogram(&b, &c);
    CU_ASSERT(is(&b, "{count:4.5, sum:1, [-Inf,0.5]:1, (0.5,10]:2.5, "
                     "(30,+Inf]:1}"));
    buf_fini(&b);
}

/* ---- import ------------------------------------------------------------- */

#define IMPORT_SERIES  200
#define IMPORT_SAMPLES 60
#define IMPORT_WINDOW  1000

struct made {
    size_t blocks;
    uint64_t samples, series;
};

static void on_block(void *arg, const struct block_meta *m)
{
    struct made *made = arg;

    made->blocks++;
    made->samples += m->stats.samples;
    made->series += m->stats.series;
    CU_ASSERT(m->mint / IMPORT_WINDOW == (m->maxt - 1) / IMPORT_WINDOW);
}

static void add_one(struct spill *s, unsigned i, sonde_msec t)
{
    char text[32], value[16];
    struct label pair[2] = { { SONDE_STR(LABEL_NAME), SONDE_STR("m") },
                             { SONDE_STR("i"), { 0 } } };
    const struct labels labels = { pair, 2 };
    struct spill_series *series;

    /* two ways to write the same series */
    (void)snprintf(text, sizeof(text), t % 2 ? "m{i=\"%u\"}" : "m{ i=\"%u\"}",
                   i);
    (void)snprintf(value, sizeof(value), "%u", i);
    pair[1].value = sonde_cstr(value);
    series = spill_find(s, sonde_cstr(text));
    if (!series)
        series = spill_add(s, sonde_cstr(text), &labels);
    CU_ASSERT_EQUAL_FATAL(spill_sample(s, series, t, (double)t, NULL),
                          SONDE_OK);
}

static void test_import(void)
{
    static const size_t budgets[] = { 1 << 30, 200000, 1 };

    for (size_t k = 0; k < sizeof(budgets) / sizeof(*budgets); k++) {
        struct arena a;
        struct spill s;
        struct made made = { 0 };
        struct progress p;
        struct sonde_err err = { 0 };
        const char *dir;

        arena_init(&a);
        dir = arena_printf(&a, "%s/import-%zu", tap_tmpdir(), k).ptr;
        CU_ASSERT_EQUAL_FATAL(fs_mkdirs(dir, 0777, NULL), SONDE_OK);
        CU_ASSERT_EQUAL_FATAL(
            spill_init(&s, dir, IMPORT_WINDOW, budgets[k], &err), SONDE_OK);
        for (unsigned j = 0; j < IMPORT_SAMPLES; j++) /* back and forth     */
            for (unsigned i = 0; i < IMPORT_SERIES; i++)
                add_one(&s, i,
                        (sonde_msec)(j * 37 % IMPORT_SAMPLES) * 51 - 1530);
        add_one(&s, 3, -1530 + 51); /* is there already                   */
        CU_ASSERT_EQUAL(spill_run(&s, &err), SONDE_OK);
        progress_begin(&p, "test", PROGRESS_COUNT, s.section_count);
        p.quiet = true;
        CU_ASSERT_EQUAL(spill_merge(&s, &p, on_block, &made, &err), SONDE_OK);
        CU_ASSERT_EQUAL(made.blocks, 4); /* -2000, -1000, 0 and 1000       */
        CU_ASSERT_EQUAL(made.samples, IMPORT_SERIES * IMPORT_SAMPLES);
        CU_ASSERT_EQUAL(made.series, made.blocks * IMPORT_SERIES);
        CU_ASSERT_EQUAL(s.duplicates, 1);
        spill_fini(&s);
        arena_fini(&a);
    }
}

static const struct tap_test tests[] = {
    { "flags in any form and order", test_args },
    { "flags that repeat, durations, sizes", test_args_lists },
    { "the progress line at any width", test_progress },
    { "values", test_print_values },
    { "durations", test_print_durations },
    { "histograms", test_print_histograms },
    { "import in any order through any budget", test_import },
};

int main(void)
{
    return TAP_RUN("tsdb_cli", tests);
}
