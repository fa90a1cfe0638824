/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tsdb: scrapes with series that come and go, queries, writing of full chunks
 * and the collector, all at the same time. The thread sanitizer does most of
 * the judging; at the end all must be there that the line has not passed.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tsdb/store.h"
#include "unit/tsdb_kit.h"

#define ROUNDS  700
#define STEADY  60
#define PASSING 20 /* new ones a round; each lives for LIFE rounds        */
#define LIFE    10
#define STEP_MS 60000

struct racer {
    struct kit *k;
    int number;
    _Atomic bool *done;
    _Atomic sonde_msec *floor;   /* what is before may be gone             */
    pthread_barrier_t *together; /* appenders keep step: time is the data's */
    size_t wrong, unknown, rounds;
    /* Of an appender: */
    series_ref steady[STEADY];
    size_t steady_count[STEADY];
};

static sonde_msec time_of(int round)
{
    return KIT_NOW + (sonde_msec)round * STEP_MS;
}

static series_ref make(struct appender *a, struct arena *arena,
                       const char *kind, int writer, int n)
{
    struct labels_builder lb;
    struct labels l;
    series_ref ref = 0;

    arena_reset(arena);
    labels_builder_init(&lb, arena);
    labels_builder_set(&lb, SONDE_STR(LABEL_NAME), sonde_cstr(kind));
    labels_builder_set(&lb, SONDE_STR("again"),
                       arena_printf(arena, "%d.%d", writer, n));
    labels_builder_set(&lb, SONDE_STR("n"), arena_printf(arena, "%d", n));
    labels_builder_set(&lb, SONDE_STR("w"), arena_printf(arena, "%d", writer));
    l = labels_builder_view(&lb);
    (void)appender_series(a, &l, &ref, NULL);
    return ref;
}

/* A steady series that pauses for longer than the line is behind is made
 * again, as a scrape does. */
static void append_steady(struct racer *r, struct appender *a,
                          struct arena *arena, int round)
{
    for (int i = 0; i < STEADY; i++) {
        if (i % 3 == 0 && round / 90 % 2)
            continue;
        if (!appender_known(a, r->steady[i])) {
            r->unknown += r->steady[i] != 0;
            r->steady[i] = make(a, arena, "steady", r->number, i);
        }
        appender_append(
            a, &(struct storage_sample){ r->steady[i], time_of(round), round },
            1);
        r->steady_count[i]++;
    }
}

static void append_round(struct racer *r, struct appender *a,
                         struct arena *arena, int round)
{
    struct append_stats stats;

    (void)appender_generation(a);
    append_steady(r, a, arena, round);
    for (int i = 0; i < PASSING; i++)
        appender_append(
            a,
            &(struct storage_sample){ make(a, arena, "passing", r->number,
                                           round / LIFE * PASSING + i),
                                      time_of(round), round },
            1);
    if (appender_commit(a, &stats, NULL) != SONDE_OK || stats.unknown_series ||
        stats.too_old)
        r->wrong++;
}

static void *append_main(void *arg)
{
    struct racer *r = arg;
    struct appender *a = storage_appender(tsdb_storage(r->k->db));
    struct arena arena;

    arena_init(&arena);
    for (int round = 0; round < ROUNDS; round++) {
        append_round(r, a, &arena, round);
        (void)pthread_barrier_wait(r->together);
    }
    arena_fini(&arena);
    appender_free(a);
    return NULL;
}

/* Labels and samples of whatever is found must make sense together. */
static bool sane(const struct storage_series *s, const struct columns *c)
{
    char again[64];

    if (s->labels.count != 4)
        return false;
    (void)snprintf(
        again, sizeof(again), "%.*s.%.*s", (int)s->labels.items[3].value.len,
        s->labels.items[3].value.ptr, (int)s->labels.items[2].value.len,
        s->labels.items[2].value.ptr);
    if (!sonde_str_eq(s->labels.items[1].value, sonde_cstr(again)))
        return false;
    for (size_t i = 0; i < c->count; i++)
        if (c->t[i] != time_of((int)c->v[i]) || (i && c->t[i] <= c->t[i - 1]))
            return false;
    return true;
}

static void read_once(struct racer *r, struct arena *arena)
{
    struct head *h = r->k->db->head;
    const sonde_str name = SONDE_STR("again");
    struct matcher m = { MATCH_EQ, SONDE_STR("w"),
                         r->rounds % 2 ? SONDE_STR("0") : SONDE_STR("1"),
                         NULL };
    struct storage_series *s;
    struct series_set *set;
    struct sonde_list values;
    struct columns c = { 0 };
    struct querier *q;

    if (head_querier(h, INT64_MIN, INT64_MAX, &q, NULL) != SONDE_OK)
        return;
    (void)q->ops->select(q, &m, 1, NULL, &set, NULL);
    while (set->ops->next(set, &s, NULL) == SONDE_OK) {
        columns_reset(&c);
        if (s->ops->read(s, INT64_MIN, INT64_MAX, &c, NULL) != SONDE_OK ||
            !sane(s, &c))
            r->wrong++;
    }
    set->ops->free(set);
    (void)q->ops->label_values(q, &name, &m, 1, NULL, arena, &values, NULL);
    (void)q->ops->label_values(q, NULL, NULL, 0, NULL, arena, &values, NULL);
    q->ops->free(q);
    columns_fini(&c);
    arena_reset(arena);
    r->rounds++;
}

static void *read_main(void *arg)
{
    struct racer *r = arg;
    struct arena arena;

    arena_init(&arena);
    while (!atomic_load(r->done))
        read_once(r, &arena);
    arena_fini(&arena);
    return NULL;
}

static void *collect_main(void *arg)
{
    struct racer *r = arg;
    struct head *h = r->k->db->head;

    while (!atomic_load(r->done)) {
        sonde_msec newest = atomic_load(&h->max_time);
        sonde_msec t = newest - (r->rounds % 3 ? 65 : 90) * (sonde_msec)STEP_MS;

        r->wrong += head_map_chunks(h, NULL) != SONDE_OK;
        if (newest < KIT_NOW || t < atomic_load(r->floor))
            continue;
        atomic_store(r->floor, t);
        r->wrong += head_truncate(h, t, NULL) != SONDE_OK;
        r->rounds++;
    }
    return NULL;
}

/* Every steady series has all samples from the line on. */
static void check_end(struct kit *k, const struct racer *appenders,
                      sonde_msec floor)
{
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < STEADY; i++) {
            struct columns c;
            size_t want = 0;

            if (i % 3 == 0)
                continue; /* pauses */
            for (int round = 0; round < ROUNDS; round++)
                want += time_of(round) >= floor;
            arena_reset(&k->arena);
            c = kit_read(k,
                         arena_printf(&k->arena, "steady again=%d.%d n=%d w=%d",
                                      w, i, i, w)
                             .ptr,
                         floor, INT64_MAX);
            CU_ASSERT_EQUAL(c.count, want);
            columns_fini(&c);
        }
    CU_ASSERT_EQUAL(appenders[0].wrong + appenders[1].wrong, 0);
}

static void test_all_at_once(void)
{
    _Atomic sonde_msec floor = INT64_MIN;
    _Atomic bool done = false;
    pthread_barrier_t together;
    struct racer r[5];
    pthread_t threads[5];
    struct kit k;

    (void)pthread_barrier_init(&together, NULL, 2);
    kit_init(&k, "gc_race");
    k.options.no_thread = true;
    kit_reopen(&k);
    k.clock.now_ms = INT64_C(1) << 45;
    for (int i = 0; i < 5; i++) {
        r[i] = (struct racer){
            .k = &k,
            .number = i,
            .done = &done,
            .floor = &floor,
            .together = &together,
        };
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL,
                                             i < 2   ? append_main
                                             : i < 4 ? read_main
                                                     : collect_main,
                                             &r[i]),
                              0);
    }
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    atomic_store(&done, true);
    for (int i = 2; i < 5; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(r[2].wrong + r[3].wrong + r[4].wrong, 0);
    tap_note("%zu queries, %zu truncations, %zu series made again",
             r[2].rounds + r[3].rounds, r[4].rounds,
             r[0].unknown + r[1].unknown);
    check_end(&k, r, atomic_load(&floor));
    kit_reopen(&k);
    check_end(&k, r, atomic_load(&floor));
    (void)pthread_barrier_destroy(&together);
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "appenders, readers and the collector", test_all_at_once },
};

int main(void)
{
    return TAP_RUN("tsdb_gc_race", tests);
}
