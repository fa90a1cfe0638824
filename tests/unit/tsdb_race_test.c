/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb with several threads; the thread sanitizer does most of the judging. */
#include <pthread.h>
#include <stdatomic.h>

#include "unit/tap.h"
#include "unit/tsdb_kit.h"

#define ROUNDS 150
#define OWN    100 /* series of each appender                             */
#define SHARED 20  /* series that all appenders write to                  */
#define NEW    5   /* new series a round                                  */

struct worker {
    struct kit *k;
    int number;
    _Atomic bool *done;
    size_t appended, rejected; /* of the shared series                     */
    size_t seen;
};

static series_ref make(struct appender *a, struct arena *arena,
                       const char *name, int worker, int n)
{
    struct labels_builder lb;
    struct labels l;
    series_ref ref = 0;

    arena_reset(arena);
    labels_builder_init(&lb, arena);
    labels_builder_set(&lb, SONDE_STR(LABEL_NAME), sonde_cstr(name));
    labels_builder_set(&lb, SONDE_STR("w"), arena_printf(arena, "%d", worker));
    labels_builder_set(&lb, SONDE_STR("n"), arena_printf(arena, "%d", n));
    l = labels_builder_view(&lb);
    (void)appender_series(a, &l, &ref, NULL);
    return ref;
}

static void *append_main(void *arg)
{
    struct worker *w = arg;
    struct storage *st = tsdb_storage(w->k->db);
    struct appender *own = storage_appender(st);
    struct appender *shared = storage_appender(st);
    series_ref own_refs[OWN], shared_refs[SHARED];
    struct arena arena;
    struct append_stats stats;

    arena_init(&arena);
    for (int i = 0; i < OWN; i++)
        own_refs[i] = make(own, &arena, "own", w->number, i);
    for (int i = 0; i < SHARED; i++)
        shared_refs[i] = make(shared, &arena, "shared", -1, i);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OWN; i++)
            appender_append(
                own,
                &(struct storage_sample){ own_refs[i], KIT_NOW + round, i }, 1);
        for (int i = 0; i < NEW; i++)
            appender_append(
                own,
                &(struct storage_sample){
                    make(own, &arena, "new", w->number, round * NEW + i),
                    KIT_NOW + round, i },
                1);
        for (int i = 0; i < SHARED; i++)
            appender_append(
                shared,
                &(struct storage_sample){
                    shared_refs[i], KIT_NOW + round * 10 + w->number, round },
                1);
        if (appender_commit(own, &stats, NULL) != SONDE_OK ||
            stats.appended != OWN + NEW)
            w->appended = SIZE_MAX / 2;
        if (appender_commit(shared, &stats, NULL) != SONDE_OK)
            w->appended = SIZE_MAX / 2;
        w->appended += stats.appended;
        w->rejected += stats.out_of_order;
    }
    arena_fini(&arena);
    appender_free(own);
    appender_free(shared);
    return NULL;
}

static bool ascending(const struct columns *c)
{
    for (size_t i = 1; i < c->count; i++)
        if (c->t[i] <= c->t[i - 1])
            return false;
    return true;
}

static void read_once(struct worker *w, struct arena *arena)
{
    struct storage *st = tsdb_storage(w->k->db);
    const sonde_str name = SONDE_STR("n");
    struct matcher m = { MATCH_EQ, SONDE_STR(LABEL_NAME),
                         w->seen % 2 ? SONDE_STR("own") : SONDE_STR("shared"),
                         NULL };
    struct storage_series *s;
    struct series_set *set;
    struct sonde_list values;
    struct tsdb_stats stats;
    struct columns c = { 0 };
    struct labels l;
    struct querier *q;

    (void)st->ops->querier(st, INT64_MIN, INT64_MAX, &q, NULL);
    (void)q->ops->select(q, &m, 1, NULL, &set, NULL);
    while (set->ops->next(set, &s, NULL) == SONDE_OK) {
        c.count = 0;
        if (s->ops->read(s, INT64_MIN, INT64_MAX, &c, NULL) != SONDE_OK ||
            !ascending(&c))
            w->rejected++;
    }
    set->ops->free(set);
    (void)q->ops->label_values(q, &name, &m, 1, NULL, arena, &values, NULL);
    (void)q->ops->label_values(q, &name, NULL, 0, NULL, arena, &values, NULL);
    q->ops->free(q);
    (void)st->ops->labels(st, 1 + w->seen % 300, arena, &l);
    tsdb_stats(w->k->db, &stats);
    columns_fini(&c);
    arena_reset(arena);
    w->seen++;
}

static void *read_main(void *arg)
{
    struct worker *w = arg;
    struct arena arena;

    arena_init(&arena);
    while (!atomic_load(w->done))
        read_once(w, &arena);
    arena_fini(&arena);
    return NULL;
}

static size_t count_all(struct kit *k, size_t *series)
{
    struct storage *st = tsdb_storage(k->db);
    struct storage_series *s;
    struct series_set *set;
    struct columns c = { 0 };
    struct querier *q;
    size_t n = 0;

    *series = 0;
    (void)st->ops->querier(st, INT64_MIN, INT64_MAX, &q, NULL);
    (void)q->ops->select(q, NULL, 0, NULL, &set, NULL);
    while (set->ops->next(set, &s, NULL) == SONDE_OK) {
        c.count = 0;
        CU_ASSERT_EQUAL(s->ops->read(s, INT64_MIN, INT64_MAX, &c, NULL),
                        SONDE_OK);
        CU_ASSERT_TRUE(ascending(&c));
        n += c.count;
        ++*series;
    }
    set->ops->free(set);
    q->ops->free(q);
    columns_fini(&c);
    return n;
}

/* Two appenders with series of their own, new ones all the time, and some
 * that both write to; two readers. What was acknowledged is there, also after
 * a replay. */
static void test_all_at_once(void)
{
    struct kit k;
    _Atomic bool done = false;
    struct worker w[4];
    pthread_t threads[4];
    size_t want = 2 * ROUNDS * (OWN + NEW), series;

    kit_init(&k, "race");
    for (int i = 0; i < 4; i++) {
        w[i] = (struct worker){ .k = &k, .number = i, .done = &done };
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL,
                                             i < 2 ? append_main : read_main,
                                             &w[i]),
                              0);
    }
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    atomic_store(&done, true);
    for (int i = 2; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(w[2].rejected + w[3].rejected, 0);
    CU_ASSERT_EQUAL(w[0].appended + w[0].rejected + w[1].appended +
                        w[1].rejected,
                    2 * ROUNDS * SHARED);
    want += w[0].appended + w[1].appended;
    CU_ASSERT_EQUAL(count_all(&k, &series), want);
    CU_ASSERT_EQUAL(series, 2 * OWN + SHARED + 2 * ROUNDS * NEW);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(count_all(&k, &series), want);
    CU_ASSERT_EQUAL(series, 2 * OWN + SHARED + 2 * ROUNDS * NEW);
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "appenders and readers at the same time", test_all_at_once },
};

int main(void)
{
    return TAP_RUN("tsdb_race", tests);
}
