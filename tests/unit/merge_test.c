/* SPDX-License-Identifier: Apache-2.0 */
/* storage/merge: several stores' answers are one; columns are joined. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/merge.h"
#include "unit/tap.h"
#include "util/mem.h"
#include "util/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- joining columns --------------------------------------------------- */

static void test_columns_join(void)
{
    /* Times of the first run have value 1, of the second 2. */
    static const struct {
        int line;
        int first[6], second[6]; /* up to a 0                              */
        const char *want;
    } rows[] = {
        { __LINE__, { 1, 2 }, { 3, 4 }, "1:1 2:1 3:2 4:2 " },
        { __LINE__, { 0 }, { 3, 4 }, "3:2 4:2 " },
        { __LINE__, { 1, 2 }, { 0 }, "1:1 2:1 " },
        { __LINE__, { 1, 2 }, { 2, 3 }, "1:1 2:2 3:2 " },
        { __LINE__, { 1, 2, 3 }, { 1, 2, 3 }, "1:2 2:2 3:2 " },
        { __LINE__, { 3, 4 }, { 1, 2 }, "1:2 2:2 3:1 4:1 " },
        { __LINE__, { 1, 5, 9 }, { 2, 5, 7 }, "1:1 2:2 5:2 7:2 9:1 " },
        { __LINE__, { 1, 9 }, { 2, 3, 4, 5 }, "1:1 2:2 3:2 4:2 5:2 9:1 " },
        { __LINE__, { 1, 2, 3, 4 }, { 4 }, "1:1 2:1 3:1 4:2 " },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct columns c = { 0 };
        struct buf b;
        size_t mid;

        buf_init(&b);
        columns_push(&c, 100, 7); /* before `from`: not touched            */
        for (const int *t = rows[i].first; *t; t++)
            columns_push(&c, *t, 1);
        mid = c.count;
        for (const int *t = rows[i].second; *t; t++)
            columns_push(&c, *t, 2);
        columns_join(&c, 1, mid);
        ROW_ASSERT(&rows[i], c.t[0] == 100 && c.v[0] == 7);
        for (size_t k = 1; k < c.count; k++)
            buf_printf(&b, "%d:%g ", (int)c.t[k], c.v[k]);
        ROW_ASSERT(&rows[i], str_eq_cstr(buf_str(&b), rows[i].want));
        buf_fini(&b);
        columns_fini(&c);
    }
}

static void test_columns_join_histograms(void)
{
    struct columns c = { 0 };
    struct histogram *h = arena_new(columns_arena(&c), struct histogram);

    columns_push(&c, 1, 1);
    columns_push(&c, 3, 1);
    h->sum = 5;
    columns_push_histogram(&c, 2, h);
    columns_push(&c, 3, 2);
    columns_join(&c, 0, 2);
    CU_ASSERT_EQUAL(c.count, 3);
    CU_ASSERT_TRUE(!c.h[0] && c.h[1] == h && !c.h[2]);
    CU_ASSERT_TRUE(c.v[0] == 1 && c.v[1] == 5 && c.v[2] == 2);
    columns_fini(&c);
}

/* ---- stores to merge --------------------------------------------------- */

#define SOURCES 3

struct stores {
    struct storage *all[SOURCES];
};

/* "up a=1" with samples at the times, of one value. */
static void put(struct storage *s, const char *name, const char *a,
                const int *times, double v)
{
    struct label items[] = { { SONDE_STR(LABEL_NAME), sonde_cstr(name) },
                             { SONDE_STR("a"), sonde_cstr(a) } };
    struct labels l = { items, a[0] ? 2 : 1 };
    struct appender *app = storage_appender(s);
    series_ref ref = 0;

    CU_ASSERT_EQUAL(appender_series(app, &l, &ref, NULL), SONDE_OK);
    for (; *times; times++) {
        struct storage_sample x = { ref, *times, v };

        appender_append(app, &x, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(app, NULL, NULL), SONDE_OK);
    appender_free(app);
}

static void stores_init(struct stores *s)
{
    for (int i = 0; i < SOURCES; i++)
        s->all[i] = storage_fake_new();
    put(s->all[0], "up", "1", (int[]){ 10, 20, 30, 0 }, 1);
    put(s->all[0], "up", "2", (int[]){ 10, 0 }, 1);
    put(s->all[1], "up", "1", (int[]){ 40, 50, 0 }, 2);
    put(s->all[1], "up", "3", (int[]){ 40, 0 }, 2);
    put(s->all[2], "up", "1", (int[]){ 30, 50, 60, 0 }, 3);
    put(s->all[2], "down", "", (int[]){ 60, 0 }, 3);
}

static void stores_fini(struct stores *s)
{
    for (int i = 0; i < SOURCES; i++)
        storage_fake_free(s->all[i]);
}

static struct querier *querier_of(struct storage *s)
{
    struct querier *q = NULL;

    CU_ASSERT_EQUAL(s->ops->querier(s, 0, 1000, &q, NULL), SONDE_OK);
    return q;
}

static struct querier *merged_of(struct stores *s)
{
    struct merge_source sources[SOURCES] = { 0 };

    for (int i = 0; i < SOURCES; i++)
        sources[i].querier = querier_of(s->all[i]);
    return merge_querier(sources, SOURCES);
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&(*(struct storage_series *const *)a)->labels,
                      &(*(struct storage_series *const *)b)->labels);
}

/* "up{a="1"} 10:1 ...; " of all, in the order of labels. */
static void dump(struct querier *q, const struct select_hints *hints,
                 sonde_msec mint, sonde_msec maxt, struct buf *b)
{
    struct storage_series *series[16];
    struct columns c = { 0 };
    struct series_set *set;
    size_t n = 0;

    buf_reset(b);
    CU_ASSERT_EQUAL(q->ops->select(q, NULL, 0, hints, &set, NULL), SONDE_OK);
    while (n < 16 && set->ops->next(set, &series[n], NULL) == SONDE_OK)
        n++;
    qsort(series, n, sizeof(series[0]), by_labels);
    for (size_t i = 0; i < n; i++) {
        c.count = 0;
        CU_ASSERT_EQUAL(series[i]->ops->read(series[i], mint, maxt, &c, NULL),
                        SONDE_OK);
        labels_print(b, &series[i]->labels);
        for (size_t k = 0; k < c.count; k++)
            buf_printf(b, " %d:%g", (int)c.t[k], c.v[k]);
        buf_cstr(b, "; ");
    }
    set->ops->free(set);
    columns_fini(&c);
}

static void expect(const struct buf *b, const char *want)
{
    bool same = str_eq_cstr(buf_str(b), want);

    if (!same)
        tap_note("got  %.*s\nwant %s", SONDE_ARG(buf_str(b)), want);
    CU_ASSERT_TRUE(same);
}

static void test_series_are_joined(void)
{
    struct stores s;
    struct querier *q;
    struct buf b;

    buf_init(&b);
    stores_init(&s);
    q = merged_of(&s);
    dump(q, NULL, 0, 1000, &b);
    expect(&b, "down 60:3; up{a=\"1\"} 10:1 20:1 30:3 40:2 50:3 60:3; "
               "up{a=\"2\"} 10:1; up{a=\"3\"} 40:2; ");
    dump(q, NULL, 20, 45, &b);
    expect(&b, "down; up{a=\"1\"} 20:1 30:3 40:2; up{a=\"2\"}; "
               "up{a=\"3\"} 40:2; ");
    q->ops->free(q);
    stores_fini(&s);
    buf_fini(&b);
}

static void test_limit(void)
{
    struct select_hints hints = { .mint = 0, .maxt = 1000, .limit = 2 };
    struct storage_series *one;
    struct series_set *set;
    struct stores s;
    struct querier *q;
    int n = 0;

    stores_init(&s);
    q = merged_of(&s);
    CU_ASSERT_EQUAL(q->ops->select(q, NULL, 0, &hints, &set, NULL), SONDE_OK);
    while (set->ops->next(set, &one, NULL) == SONDE_OK)
        n++;
    CU_ASSERT_EQUAL(n, 2);
    set->ops->free(set);
    q->ops->free(q);
    stores_fini(&s);
}

/* Enough series that the table grows. */
static void test_many_series(void)
{
    struct storage *stores[2] = { storage_fake_new(), storage_fake_new() };
    struct merge_source sources[2] = { 0 };
    struct storage_series *one;
    struct series_set *set;
    struct querier *q;
    int n = 0;

    for (int i = 0; i < 1000; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%d", i);
        put(stores[0], "up", name, (int[]){ 10, 0 }, 1);
        (void)snprintf(name, sizeof(name), "%d", i + 500);
        put(stores[1], "up", name, (int[]){ 20, 0 }, 2);
    }
    sources[0].querier = querier_of(stores[0]);
    sources[1].querier = querier_of(stores[1]);
    q = merge_querier(sources, 2);
    CU_ASSERT_EQUAL(q->ops->select(q, NULL, 0, NULL, &set, NULL), SONDE_OK);
    while (set->ops->next(set, &one, NULL) == SONDE_OK)
        n++;
    CU_ASSERT_EQUAL(n, 1500);
    set->ops->free(set);
    q->ops->free(q);
    storage_fake_free(stores[0]);
    storage_fake_free(stores[1]);
}

static void values(struct querier *q, const char *label, size_t limit,
                   struct buf *b)
{
    struct select_hints hints = { .mint = 0, .maxt = 1000, .limit = limit };
    sonde_str name = sonde_cstr(label ? label : "");
    struct sonde_list found;
    struct arena arena;

    arena_init(&arena);
    buf_reset(b);
    CU_ASSERT_EQUAL(q->ops->label_values(q, label ? &name : NULL, NULL, 0,
                                         &hints, &arena, &found, NULL),
                    SONDE_OK);
    for (size_t i = 0; i < found.count; i++)
        buf_printf(b, "%.*s ", SONDE_ARG(found.items[i]));
    arena_fini(&arena);
}

static void test_label_values(void)
{
    struct stores s;
    struct querier *q;
    struct buf b;

    buf_init(&b);
    stores_init(&s);
    q = merged_of(&s);
    values(q, NULL, 0, &b);
    expect(&b, "__name__ a ");
    values(q, "a", 0, &b);
    expect(&b, "1 2 3 ");
    values(q, "a", 2, &b);
    expect(&b, "1 2 ");
    values(q, LABEL_NAME, 0, &b);
    expect(&b, "down up ");
    values(q, "nothing", 0, &b);
    expect(&b, "");
    q->ops->free(q);
    stores_fini(&s);
    buf_fini(&b);
}

/* ---- damage ------------------------------------------------------------ */

/* A source that is damaged where it is told to be, else a fake store. */
enum where {
    SOUND,
    IN_SELECT,
    IN_NEXT,
    IN_READ,
    IN_VALUES
};
struct bad {
    struct querier base;
    struct series_set set;
    struct querier *sound;
    struct series_set *sound_set;
    struct storage_series series;
    struct storage_series *sound_series;
    enum where where;
    sonde_code code;
    bool stumbled;
};
#define BAD_OF(p, member)                                                      \
    ((struct bad *)((char *)(p)-offsetof(struct bad, member)))

static sonde_code stumble(const struct bad *b, struct sonde_err *err)
{
    return sonde_err_set(err, b->code, "block X: bad checksum");
}

static sonde_code bad_read(struct storage_series *s, sonde_msec mint,
                           sonde_msec maxt, struct columns *out,
                           struct sonde_err *err)
{
    struct bad *b = BAD_OF(s, series);

    (void)mint;
    (void)maxt;
    columns_push(out, 1, 666); /* what came before the damage              */
    return stumble(b, err);
}
static const struct storage_series_ops bad_series_ops = { bad_read };

static sonde_code bad_next(struct series_set *set, struct storage_series **out,
                           struct sonde_err *err)
{
    struct bad *b = BAD_OF(set, set);
    sonde_code rc = b->sound_set->ops->next(b->sound_set, out, err);

    if (rc != SONDE_OK || b->stumbled)
        return rc;
    b->stumbled = true;
    if (b->where == IN_NEXT)
        return stumble(b, err);
    if (b->where == IN_READ) {
        b->series = (struct storage_series){ &bad_series_ops, (*out)->labels };
        *out = &b->series;
    }
    return rc;
}

static void bad_set_free(struct series_set *set)
{
    struct bad *b = BAD_OF(set, set);

    b->sound_set->ops->free(b->sound_set);
    b->stumbled = false;
}
static const struct series_set_ops bad_set_ops = { bad_next, bad_set_free };

static sonde_code bad_select(struct querier *q, const struct matcher *ms,
                             size_t n, const struct select_hints *hints,
                             struct series_set **out, struct sonde_err *err)
{
    struct bad *b = BAD_OF(q, base);

    if (b->where == IN_SELECT)
        return stumble(b, err);
    b->set.ops = &bad_set_ops;
    *out = &b->set;
    return b->sound->ops->select(b->sound, ms, n, hints, &b->sound_set, err);
}

static sonde_code bad_values(struct querier *q, const sonde_str *label,
                             const struct matcher *ms, size_t n,
                             const struct select_hints *hints,
                             struct arena *arena, struct sonde_list *out,
                             struct sonde_err *err)
{
    struct bad *b = BAD_OF(q, base);

    if (b->where == IN_VALUES)
        return stumble(b, err);
    return b->sound->ops->label_values(b->sound, label, ms, n, hints, arena,
                                       out, err);
}

static void bad_free(struct querier *q)
{
    struct bad *b = BAD_OF(q, base);

    b->sound->ops->free(b->sound);
}
static const struct querier_ops bad_ops = {
    .select = bad_select,
    .label_values = bad_values,
    .free = bad_free,
};

static void count_damage(void *arg, const struct sonde_err *err)
{
    ++*(int *)arg;
    CU_ASSERT_STRING_EQUAL(err->text, "block X: bad checksum");
}

static sonde_code read_all(struct querier *q, struct sonde_err *err)
{
    struct storage_series *one;
    struct columns c = { 0 };
    struct series_set *set;
    sonde_code rc = q->ops->select(q, NULL, 0, NULL, &set, err);

    if (rc != SONDE_OK)
        return rc;
    while ((rc = set->ops->next(set, &one, err)) == SONDE_OK &&
           (rc = one->ops->read(one, 0, 1000, &c, err)) == SONDE_OK)
        ;
    set->ops->free(set);
    columns_fini(&c);
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

static sonde_code ask_all(struct querier *q, struct sonde_err *err)
{
    sonde_code rc = read_all(q, err);
    struct sonde_list found;
    struct arena arena;

    arena_init(&arena);
    if (rc == SONDE_OK)
        rc = q->ops->label_values(q, NULL, NULL, 0, NULL, &arena, &found, err);
    arena_fini(&arena);
    return rc;
}

static struct querier *with_bad(struct stores *s, struct bad *bad, int *damaged)
{
    struct merge_source sources[SOURCES] = { 0 };

    for (int i = 0; i < SOURCES; i++)
        sources[i].querier = querier_of(s->all[i]);
    bad->base.ops = &bad_ops;
    bad->sound = sources[1].querier;
    sources[1].querier = &bad->base;
    if (damaged) {
        sources[1].damaged = count_damage;
        sources[1].arg = damaged;
    }
    return merge_querier(sources, SOURCES);
}

static void test_damage_is_left_out(void)
{
    static const struct {
        int line;
        enum where where;
        const char *want, *names;
    } rows[] = {
        { __LINE__, IN_SELECT,
          "down 60:3; up{a=\"1\"} 10:1 20:1 30:3 50:3 60:3; "
          "up{a=\"2\"} 10:1; ",
          "1 2 3 " },
        { __LINE__, IN_NEXT,
          "down 60:3; up{a=\"1\"} 10:1 20:1 30:3 50:3 60:3; "
          "up{a=\"2\"} 10:1; up{a=\"3\"} 40:2; ",
          "1 2 3 " },
        { __LINE__, IN_READ,
          "down 60:3; up{a=\"1\"} 10:1 20:1 30:3 50:3 60:3; "
          "up{a=\"2\"} 10:1; up{a=\"3\"} 40:2; ",
          "1 2 3 " },
        { __LINE__, IN_VALUES,
          "down 60:3; up{a=\"1\"} 10:1 20:1 30:3 40:2 50:3 60:3; "
          "up{a=\"2\"} 10:1; up{a=\"3\"} 40:2; ",
          "1 2 " },
    };
    struct buf b;

    buf_init(&b);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bad bad = { .where = rows[i].where, .code = SONDE_ECORRUPT };
        struct stores s;
        struct querier *q;
        struct arena arena;
        struct sonde_list lines;
        int told = 0;

        arena_init(&arena);
        stores_init(&s);
        q = with_bad(&s, &bad, &told);
        CU_ASSERT_EQUAL(querier_warnings(q, &arena).count, 0);
        dump(q, NULL, 0, 1000, &b);
        expect(&b, rows[i].want);
        dump(q, NULL, 0, 1000, &b);
        expect(&b, rows[i].want);
        values(q, "a", 0, &b);
        expect(&b, rows[i].names);
        ROW_ASSERT(&rows[i], told == 1);
        lines = querier_warnings(q, &arena);
        ROW_ASSERT(&rows[i],
                   lines.count == 1 &&
                       str_eq_cstr(lines.items[0],
                                   "damaged data was left out: block X: bad "
                                   "checksum"));
        q->ops->free(q);
        stores_fini(&s);
        arena_fini(&arena);
    }
    buf_fini(&b);
}

/* Damage of a source that may not fail, and any other error. */
static void test_errors_are_errors(void)
{
    static const struct {
        int line;
        enum where where;
        sonde_code code;
        bool may_fail;
        sonde_code want;
    } rows[] = {
        { __LINE__, SOUND, SONDE_ECORRUPT, false, SONDE_OK },
        { __LINE__, IN_SELECT, SONDE_ECORRUPT, false, SONDE_ECORRUPT },
        { __LINE__, IN_NEXT, SONDE_ECORRUPT, false, SONDE_ECORRUPT },
        { __LINE__, IN_READ, SONDE_ECORRUPT, false, SONDE_ECORRUPT },
        { __LINE__, IN_VALUES, SONDE_ECORRUPT, false, SONDE_ECORRUPT },
        { __LINE__, IN_SELECT, SONDE_EIO, true, SONDE_EIO },
        { __LINE__, IN_NEXT, SONDE_EIO, true, SONDE_EIO },
        { __LINE__, IN_READ, SONDE_EIO, true, SONDE_EIO },
        { __LINE__, IN_VALUES, SONDE_EIO, true, SONDE_EIO },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bad bad = { .where = rows[i].where, .code = rows[i].code };
        struct sonde_err err = { 0 };
        struct stores s;
        struct querier *q;
        int told = 0;

        stores_init(&s);
        q = with_bad(&s, &bad, rows[i].may_fail ? &told : NULL);
        ROW_ASSERT(&rows[i], ask_all(q, &err) == rows[i].want);
        ROW_ASSERT(&rows[i], err.code == rows[i].want && told == 0);
        ROW_ASSERT(&rows[i],
                   rows[i].want == SONDE_OK ||
                       strcmp(err.text, "block X: bad checksum") == 0);
        q->ops->free(q);
        stores_fini(&s);
    }
}

static const struct tap_test tests[] = {
    { "columns join", test_columns_join },
    { "columns join, histograms", test_columns_join_histograms },
    { "the same label set is one series", test_series_are_joined },
    { "a limit", test_limit },
    { "many series", test_many_series },
    { "label values", test_label_values },
    { "damage is left out", test_damage_is_left_out },
    { "errors are errors", test_errors_are_errors },
};

int main(void)
{
    return TAP_RUN("merge", tests);
}
