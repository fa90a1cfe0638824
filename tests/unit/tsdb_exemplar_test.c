/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: exemplars, the ring alone and behind the store's door. */
#include "storage/matcher.h"
#include "tsdb/exemplars.h"
#include "unit/tap.h"
#include "unit/tsdb_kit.h"

static struct exemplar of(const char *id, sonde_msec t, double v,
                          struct label *room)
{
    *room = (struct label){ SONDE_STR("trace_id"), sonde_cstr(id) };
    return (struct exemplar){ { room, 1 }, t, v };
}

static void test_refused(void)
{
    static char long_value[121];
    static const struct {
        int line;
        uint64_t ref;
        sonde_msec t;
        double v;
        const char *id;
        enum exemplar_verdict want;
    } rows[] = {
        { __LINE__, 1, 1000, 1, "a", EXEMPLAR_TAKEN },
        { __LINE__, 1, 1000, 1, "a", EXEMPLAR_SAME },
        { __LINE__, 1, 999, 9, "b", EXEMPLAR_OUT_OF_ORDER },
        { __LINE__, 1, 1000, 0.5, "b", EXEMPLAR_OUT_OF_ORDER },
        { __LINE__, 1, 1000, 1, "A", EXEMPLAR_OUT_OF_ORDER },
        { __LINE__, 1, 1000, 1, "b", EXEMPLAR_TAKEN },
        { __LINE__, 1, 1000, 2, "a", EXEMPLAR_TAKEN },
        { __LINE__, 2, 999, 1, "a", EXEMPLAR_TAKEN },
        { __LINE__, 1, 1001, 1, long_value, EXEMPLAR_TOO_LONG },
        { __LINE__, 1, 1001, 1, long_value + 1, EXEMPLAR_TAKEN },
        { __LINE__, 1, 1002, 1, "\xc3\xa4", EXEMPLAR_TAKEN },
    };
    struct exemplars x;
    struct label room;
    struct exemplar e = of("a", 1, 1, &room);

    /* 8 characters of the name and 120 or 121 of the value */
    memset(long_value, 'x', 121);
    long_value[120] = '\0';
    exemplars_init(&x);
    CU_ASSERT_EQUAL(exemplars_add(&x, 1, &e), EXEMPLARS_OFF);
    exemplars_set_max(&x, 100);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char value[128];

        (void)snprintf(value, sizeof(value), "%s%s",
                       rows[i].want == EXEMPLAR_TOO_LONG ? "x" : "",
                       rows[i].id);
        e = of(value, rows[i].t, rows[i].v, &room);
        ROW_ASSERT(&rows[i],
                   exemplars_judge(&x, rows[i].ref, &e) == rows[i].want);
        ROW_ASSERT(&rows[i],
                   exemplars_add(&x, rows[i].ref, &e) == rows[i].want);
    }
    exemplars_fini(&x);
}

/* What a ring of `max` must have: the newest of what was added. */
static bool ring_is(struct exemplars *x, const sonde_msec *t,
                    const uint64_t *refs, size_t n, size_t max)
{
    size_t first = n > max ? n - max : 0, series, found = 0;
    uint64_t *have = exemplars_series(x, &series);
    struct arena a;
    bool right = true;

    arena_init(&a);
    for (size_t i = 0; i < series; i++) {
        size_t count, k = 0;
        struct exemplar *e =
            exemplars_of(x, have[i], INT64_MIN, INT64_MAX, &a, &count);

        for (size_t j = first; j < n; j++) {
            if (refs[j] != have[i])
                continue;
            right =
                right && k < count && e[k].t == t[j] &&
                sonde_str_eq(labels_get(&e[k].labels, SONDE_STR("trace_id")),
                             SONDE_STR("some"));
            k++;
        }
        right = right && k == count && k > 0;
        found += k;
    }
    arena_fini(&a);
    free(have);
    return right && found == n - first;
}

static void test_ring(void)
{
    enum {
        COUNT = 3000
    };
    static sonde_msec t[COUNT];
    static uint64_t refs[COUNT];
    struct exemplars x;
    uint64_t state = 99;

    exemplars_init(&x);
    exemplars_set_max(&x, 150);
    for (size_t i = 0; i < COUNT; i++) {
        struct label room;
        struct exemplar e = of("some", (sonde_msec)i, 1, &room);

        state = state * 6364136223846793005u + 1442695040888963407u;
        /* now and then many series with one, mostly few with many */
        refs[i] = 1 + (state >> 33) % (i / 500 % 2 ? 1000 : 7);
        t[i] = (sonde_msec)i;
        CU_ASSERT_EQUAL(exemplars_add(&x, refs[i], &e), EXEMPLAR_TAKEN);
        if (i % 37 == 0 || i < 200)
            CU_ASSERT_TRUE(ring_is(&x, t, refs, i + 1, 150));
    }
    exemplars_set_max(&x, 40);
    CU_ASSERT_TRUE(ring_is(&x, t, refs, COUNT, 40));
    exemplars_set_max(&x, 4000);
    CU_ASSERT_TRUE(ring_is(&x, t, refs, COUNT, 40));
    CU_ASSERT_EQUAL(exemplars_sizes(&x).oldest, COUNT - 40);
    exemplars_set_max(&x, 0);
    CU_ASSERT_EQUAL(exemplars_sizes(&x).count, 0);
    CU_ASSERT_EQUAL(exemplars_sizes(&x).series, 0);
    exemplars_fini(&x);
}

/* ---- the store ---------------------------------------------------------- */

static size_t query(struct kit *k, const char *name, sonde_msec mint,
                    sonde_msec maxt, struct exemplar_series **out)
{
    struct storage *s = tsdb_storage(k->db);
    struct matcher m;
    const struct matcher *sets[] = { &m };
    size_t counts[] = { 1 }, n = 0;

    CU_ASSERT_EQUAL(matcher_init(&m, MATCH_RE, SONDE_STR(LABEL_NAME),
                                 sonde_cstr(name), NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(s->ops->exemplars(s, sets, counts, 1, mint, maxt, &k->arena,
                                      out, &n, NULL),
                    SONDE_OK);
    matcher_fini(&m);
    return n;
}

static void test_store(void)
{
    struct kit k;
    struct label room;
    struct exemplar e = of("t1", KIT_NOW, 0.5, &room), old;
    struct append_stats stats;
    struct exemplar_series *found;
    struct appender *a;
    series_ref x, y;

    kit_init(&k, "store");
    k.options.limits.max_exemplars = 10;
    kit_reopen(&k);
    a = storage_appender(tsdb_storage(k.db));
    x = kit_series(&k, a, "x_bucket le=1");
    y = kit_series(&k, a, "w_bucket le=1");
    appender_append(a, &(struct storage_sample){ x, KIT_NOW, 1 }, 1);
    appender_exemplar(a, x, &e);
    appender_exemplar(a, y, &e); /* of a series without samples */
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.exemplars, 2);
    old = e;
    old.t--;
    appender_exemplar(a, x, &old);
    appender_exemplar(a, x, &e);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.exemplars, 0);
    CU_ASSERT_EQUAL(stats.exemplars_refused, 1);
    appender_free(a);
    for (int round = 0; round < 2; round++) {
        CU_ASSERT_EQUAL_FATAL(query(&k, ".*_bucket", 0, KIT_NOW, &found), 2);
        CU_ASSERT_TRUE(
            sonde_str_eq(labels_get(&found[0].labels, SONDE_STR(LABEL_NAME)),
                         SONDE_STR("w_bucket")));
        CU_ASSERT_EQUAL_FATAL(found[1].count, 1);
        CU_ASSERT_EQUAL(found[1].exemplars[0].v, 0.5);
        CU_ASSERT_EQUAL(found[1].exemplars[0].t, KIT_NOW);
        CU_ASSERT_TRUE(labels_eq(&found[1].exemplars[0].labels, &e.labels));
        CU_ASSERT_EQUAL(query(&k, "x_bucket", 0, KIT_NOW, &found), 1);
        CU_ASSERT_EQUAL(query(&k, "x_bucket", 0, KIT_NOW - 1, &found), 0);
        CU_ASSERT_EQUAL(query(&k, "z_bucket", 0, KIT_NOW, &found), 0);
        kit_reopen(&k);
    }
    tsdb_set_limits(k.db, &(struct tsdb_limits){ 0 });
    CU_ASSERT_EQUAL(query(&k, "x_bucket", 0, KIT_NOW, &found), 0);
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "what is refused", test_refused },
    { "the ring keeps the newest, by series", test_ring },
    { "exemplars are logged, replayed and found", test_store },
};

int main(void)
{
    return TAP_RUN("tsdb_exemplar", tests);
}
