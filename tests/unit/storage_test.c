/* SPDX-License-Identifier: Apache-2.0 */
/* storage: matchers, columns, and the contract as the fake store keeps it. */
#include <stdlib.h>
#include <string.h>

#include "storage/storage.h"
#include "unit/tap.h"
#include "util/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- matchers ------------------------------------------------------------ */

static void test_matchers(void)
{
    static const struct {
        int line;
        enum matcher_op op;
        const char *value, *subject;
        bool matches;
        const char *printed;
    } rows[] = {
        { __LINE__, MATCH_EQ, "x", "x", true, "a=\"x\"" },
        { __LINE__, MATCH_EQ, "x", "y", false, "a=\"x\"" },
        { __LINE__, MATCH_EQ, "", "", true, "a=\"\"" },
        { __LINE__, MATCH_NE, "x", "", true, "a!=\"x\"" },
        { __LINE__, MATCH_NE, "x", "x", false, "a!=\"x\"" },
        { __LINE__, MATCH_RE, "x.*", "xy", true, "a=~\"x.*\"" },
        { __LINE__, MATCH_RE, ".+", "", false, "a=~\".+\"" },
        { __LINE__, MATCH_NRE, ".+", "", true, "a!~\".+\"" },
        { __LINE__, MATCH_NRE, "x\\.", "x.", false, "a!~\"x\\\\.\"" },
    };
    struct buf b;

    buf_init(&b);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct matcher m;

        ROW_ASSERT(&rows[i],
                   matcher_init(&m, rows[i].op, SONDE_STR("a"),
                                sonde_cstr(rows[i].value), NULL) == SONDE_OK);
        ROW_ASSERT(&rows[i], matcher_matches(&m, sonde_cstr(rows[i].subject)) ==
                                 rows[i].matches);
        buf_reset(&b);
        matcher_print(&b, &m);
        ROW_ASSERT(&rows[i], str_eq_cstr(buf_str(&b), rows[i].printed));
        matcher_fini(&m);
    }
    buf_fini(&b);
}

static void test_matcher_errors(void)
{
    struct sonde_err err;
    struct matcher m;
    struct buf b;

    CU_ASSERT_EQUAL(
        matcher_init(&m, MATCH_RE, SONDE_STR("a"), SONDE_STR("("), &err),
        SONDE_EPARSE);
    CU_ASSERT_STRING_EQUAL(err.text,
                           "error parsing regexp: missing closing ): `(`");
    matcher_fini(&m);
    buf_init(&b);
    CU_ASSERT_EQUAL(
        matcher_init(&m, MATCH_EQ, SONDE_STR("a.b"), SONDE_STR("\""), NULL),
        SONDE_OK);
    matcher_print(&b, &m);
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&b), "\"a.b\"=\"\\\"\""));
    buf_fini(&b);
}

/* ---- the fake store ------------------------------------------------------ */

static struct label pair(const char *name, const char *value)
{
    return (struct label){ sonde_cstr(name), sonde_cstr(value) };
}

static series_ref make(struct appender *a, const char *name, const char *job)
{
    struct label items[] = { pair(LABEL_NAME, name), pair("job", job) };
    struct labels l = { items, 2 };
    series_ref ref = 0;

    CU_ASSERT_EQUAL(appender_series(a, &l, &ref, NULL), SONDE_OK);
    return ref;
}

static void add(struct appender *a, series_ref ref, sonde_msec t, double v)
{
    struct storage_sample s = { ref, t, v };

    appender_append(a, &s, 1);
}

/* "name/job:t=v,t=v" of all that is selected, sorted by reference. */
static void dump(struct storage *s, const struct matcher *ms, size_t n,
                 const struct select_hints *hints, struct buf *b)
{
    struct storage_series *series;
    struct series_set *set;
    struct querier *q;
    struct columns c = { 0 };

    buf_reset(b);
    CU_ASSERT_EQUAL(s->ops->querier(s, 0, 1000, &q, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->select(q, ms, n, hints, &set, NULL), SONDE_OK);
    while (set->ops->next(set, &series, NULL) == SONDE_OK) {
        const struct labels *l = &series->labels;

        c.count = 0;
        CU_ASSERT_EQUAL(series->ops->read(series, 0, 1000, &c, NULL), SONDE_OK);
        buf_printf(
            b, "%.*s/%.*s:", SONDE_ARG(labels_get(l, SONDE_STR(LABEL_NAME))),
            SONDE_ARG(labels_get(l, SONDE_STR("job"))));
        for (size_t i = 0; i < c.count; i++)
            buf_printf(b, "%s%d=%g", i ? "," : "", (int)c.t[i], c.v[i]);
        buf_char(b, ' ');
    }
    set->ops->free(set);
    q->ops->free(q);
    columns_fini(&c);
}

static bool holds(struct storage *s, const char *want)
{
    struct buf b;
    bool same;

    buf_init(&b);
    dump(s, NULL, 0, NULL, &b);
    same = str_eq_cstr(buf_str(&b), want);
    if (!same)
        tap_note("got %.*s", SONDE_ARG(buf_str(&b)));
    buf_fini(&b);
    return same;
}

static void test_append(void)
{
    struct storage *s = storage_fake_new();
    struct appender *a = storage_appender(s);
    struct append_stats stats;
    series_ref x = make(a, "up", "x"), y = make(a, "up", "y");

    CU_ASSERT_EQUAL(x, 1);
    CU_ASSERT_EQUAL(make(a, "up", "x"), x);
    CU_ASSERT_TRUE(appender_known(a, y) && !appender_known(a, 3));
    add(a, x, 10, 1);
    add(a, y, 10, 2);
    CU_ASSERT_TRUE(holds(s, ""));
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 2);
    CU_ASSERT_TRUE(holds(s, "up/x:10=1 up/y:10=2 "));
    add(a, x, 20, 7);
    appender_rollback(a);
    add(a, x, 10, 1); /* the same again */
    add(a, x, 10, 3);
    add(a, x, 5, 3);
    add(a, 99, 5, 3);
    add(a, x, 30, 4);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 1);
    CU_ASSERT_EQUAL(stats.duplicate_same, 1);
    CU_ASSERT_EQUAL(stats.duplicate_other, 1);
    CU_ASSERT_EQUAL(stats.out_of_order, 1);
    CU_ASSERT_EQUAL(stats.unknown_series, 1);
    CU_ASSERT_TRUE(holds(s, "up/x:10=1,30=4 up/y:10=2 "));
    appender_free(a);
    storage_fake_free(s);
}

/* Series stay where they are while the set goes on. */
static void test_series_stay(void)
{
    struct storage *s = storage_fake_new();
    struct appender *a = storage_appender(s);
    struct storage_series *one, *first;
    struct columns c = { 0 };
    struct series_set *set;
    struct querier *q;

    add(a, make(a, "up", "x"), 10, 1);
    add(a, make(a, "up", "y"), 10, 2);
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(s->ops->querier(s, 0, 1000, &q, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->select(q, NULL, 0, NULL, &set, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(set->ops->next(set, &first, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(set->ops->next(set, &one, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(set->ops->next(set, &one, NULL), SONDE_ENOTFOUND);
    CU_ASSERT_EQUAL(first->ops->read(first, 0, 1000, &c, NULL), SONDE_OK);
    CU_ASSERT_TRUE(c.count == 1 && c.v[0] == 1);
    CU_ASSERT_TRUE(
        str_eq_cstr(labels_get(&first->labels, SONDE_STR("job")), "x"));
    set->ops->free(set);
    q->ops->free(q);
    columns_fini(&c);
    appender_free(a);
    storage_fake_free(s);
}

static void test_histograms(void)
{
    struct storage *s = storage_fake_new();
    struct appender *a = storage_appender(s);
    struct histogram h = { .sum = 5, .count.i = 3, .zero_count.i = 3 };
    series_ref x = make(a, "up", "x");
    struct append_stats stats;
    struct storage_series *one;
    struct columns c = { 0 };
    struct series_set *set;
    struct querier *q;

    add(a, x, 5, 1);
    appender_histogram(a, x, 10, &h);
    appender_histogram(a, x, 10, &h);
    h.sum = 6;
    appender_histogram(a, x, 10, &h);
    add(a, x, 20, 2);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 3);
    CU_ASSERT_EQUAL(stats.histograms, 1);
    CU_ASSERT_EQUAL(stats.duplicate_same, 1);
    CU_ASSERT_EQUAL(stats.duplicate_other, 1);
    CU_ASSERT_EQUAL(s->ops->querier(s, 0, 1000, &q, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->select(q, NULL, 0, NULL, &set, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(set->ops->next(set, &one, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(one->ops->read(one, 10, 1000, &c, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(c.count, 2);
    CU_ASSERT_TRUE(c.h[0] && c.h[0]->sum == 5 && c.h[0]->count.i == 3);
    CU_ASSERT_TRUE(!c.h[1] && c.v[1] == 2);
    set->ops->free(set);
    q->ops->free(q);
    columns_fini(&c);
    appender_free(a);
    storage_fake_free(s);
}

static void test_exemplars(void)
{
    struct storage *s = storage_fake_new();
    struct appender *a = storage_appender(s);
    struct label trace[] = { pair("trace_id", "t1") };
    struct exemplar e = { { trace, 1 }, 10, 0.5 };
    series_ref y = make(a, "up", "y"), x = make(a, "up", "x");
    struct exemplar_series *found;
    struct append_stats stats;
    struct matcher m;
    const struct matcher *sets[] = { &m };
    const size_t counts[] = { 1 };
    struct arena arena;
    size_t n;

    arena_init(&arena);
    appender_exemplar(a, y, &e);
    appender_exemplar(a, x, &e);
    e.t = 20;
    appender_exemplar(a, x, &e);
    e.t = 15;
    appender_exemplar(a, x, &e);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.exemplars, 3);
    CU_ASSERT_EQUAL(stats.exemplars_refused, 1);
    CU_ASSERT_EQUAL(
        matcher_init(&m, MATCH_RE, SONDE_STR("job"), SONDE_STR("x|y"), NULL),
        SONDE_OK);
    CU_ASSERT_EQUAL(
        s->ops->exemplars(s, sets, counts, 1, 0, 15, &arena, &found, &n, NULL),
        SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(n, 2);
    CU_ASSERT_TRUE(
        str_eq_cstr(labels_get(&found[0].labels, SONDE_STR("job")), "x"));
    CU_ASSERT_TRUE(found[0].count == 1 && found[0].exemplars[0].t == 10);
    CU_ASSERT_TRUE(
        str_eq_cstr(found[0].exemplars[0].labels.items[0].value, "t1"));
    matcher_fini(&m);
    arena_fini(&arena);
    appender_free(a);
    storage_fake_free(s);
}

static void test_append_errors(void)
{
    struct storage *s = storage_fake_new();
    struct appender *a = storage_appender(s);
    struct label twice[] = { pair(LABEL_NAME, "a"), pair("b", "1"),
                             pair("b", "2") };
    struct label nameless[] = { pair("b", "1") };
    struct label empty[] = { pair(LABEL_NAME, "a"), pair("b", "") };
    struct labels bad[] = { { twice, 3 }, { nameless, 1 }, { empty, 2 } };
    series_ref ref;

    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT_EQUAL(appender_series(a, &bad[i], &ref, NULL), SONDE_EINVAL);
    appender_free(a);
    storage_fake_free(s);
}

static void test_select(void)
{
    struct storage *s = storage_fake_new();
    struct appender *a = storage_appender(s);
    struct select_hints hints = { .mint = 15, .maxt = 25 };
    struct matcher m;
    struct buf b;

    buf_init(&b);
    for (int i = 0; i < 300; i++) {
        char job[16];

        (void)snprintf(job, sizeof(job), "j%d", i);
        add(a, make(a, i % 2 ? "odd" : "even", job), i, i);
    }
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(
        matcher_init(&m, MATCH_RE, SONDE_STR("job"), SONDE_STR("j1.?"), NULL),
        SONDE_OK);
    dump(s, &m, 1, &hints, &b);
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&b), "odd/j15:15=15 even/j16:16=16 "
                                            "odd/j17:17=17 even/j18:18=18 "
                                            "odd/j19:19=19 "));
    hints.limit = 1;
    dump(s, &m, 1, &hints, &b);
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&b), "odd/j15:15=15 "));
    matcher_fini(&m);
    buf_fini(&b);
    appender_free(a);
    storage_fake_free(s);
}

static bool lists(struct querier *q, const char *label, const struct matcher *m,
                  const char *want)
{
    sonde_str name = sonde_cstr(label);
    struct sonde_list list;
    struct arena arena;
    struct buf b;
    bool same;

    arena_init(&arena);
    buf_init(&b);
    CU_ASSERT_EQUAL(q->ops->label_values(q, label ? &name : NULL, m, m != NULL,
                                         NULL, &arena, &list, NULL),
                    SONDE_OK);
    for (size_t i = 0; i < list.count; i++)
        buf_printf(&b, "%.*s ", SONDE_ARG(list.items[i]));
    same = str_eq_cstr(buf_str(&b), want);
    buf_fini(&b);
    arena_fini(&arena);
    return same;
}

static void test_label_values(void)
{
    struct storage *s = storage_fake_new();
    struct appender *a = storage_appender(s);
    struct querier *q;
    struct matcher m;

    add(a, make(a, "b", "y"), 10, 1);
    add(a, make(a, "a", "x"), 10, 1);
    add(a, make(a, "a", "y"), 10, 1);
    add(a, make(a, "later", "z"), 500, 1);
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(s->ops->querier(s, 0, 100, &q, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(
        matcher_init(&m, MATCH_EQ, SONDE_STR("job"), SONDE_STR("x"), NULL),
        SONDE_OK);
    CU_ASSERT_TRUE(lists(q, NULL, NULL, "__name__ job "));
    CU_ASSERT_TRUE(lists(q, LABEL_NAME, NULL, "a b "));
    CU_ASSERT_TRUE(lists(q, "job", NULL, "x y "));
    CU_ASSERT_TRUE(lists(q, LABEL_NAME, &m, "a "));
    CU_ASSERT_TRUE(lists(q, "none", NULL, ""));
    q->ops->free(q);
    matcher_fini(&m);
    appender_free(a);
    storage_fake_free(s);
}

static void test_labels_and_metadata(void)
{
    struct storage *s = storage_fake_new();
    struct appender *a = storage_appender(s);
    series_ref ref = make(a, "up", "x");
    struct metadata m = { SONDE_STR("up"), METRIC_GAUGE, SONDE_STR(""),
                          SONDE_STR("Is it?") };
    struct metadata got;
    struct arena arena;
    struct labels l;

    arena_init(&arena);
    CU_ASSERT_TRUE(s->ops->labels(s, ref, &arena, &l));
    CU_ASSERT_TRUE(str_eq_cstr(labels_get(&l, SONDE_STR("job")), "x"));
    CU_ASSERT_FALSE(s->ops->labels(s, ref + 1, &arena, &l));
    CU_ASSERT_FALSE(s->ops->labels(s, 0, &arena, &l));
    CU_ASSERT_FALSE(storage_fake_metadata(s, ref, &got));
    appender_metadata(a, ref, &m);
    CU_ASSERT_TRUE(storage_fake_metadata(s, ref, &got));
    CU_ASSERT_EQUAL(got.type, METRIC_GAUGE);
    CU_ASSERT_TRUE(sonde_str_eq(got.help, m.help));
    arena_fini(&arena);
    appender_free(a);
    storage_fake_free(s);
}

static const struct tap_test tests[] = {
    { "matchers match and print", test_matchers },
    { "matchers report bad expressions", test_matcher_errors },
    { "samples are judged at commit", test_append },
    { "bad label sets are refused", test_append_errors },
    { "series are selected", test_select },
    { "label names and values", test_label_values },
    { "labels and metadata of a reference", test_labels_and_metadata },
    { "series stay until their set is freed", test_series_stay },
    { "histograms", test_histograms },
    { "exemplars", test_exemplars },
};

int main(void)
{
    return TAP_RUN("storage", tests);
}
