/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples leave the head for blocks, blocks for larger ones, and readers see
 * every sample once all the while: days of data in seconds, with the store's
 * own thread at work.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "unit/tsdb_kit.h"

#define SERIES  20
#define STEP    INT64_C(60000)
#define ROUNDS  3000 /* fifty hours                                        */
#define READERS 3
#define START   (KIT_NOW / 7200000 * 7200000)

struct race {
    struct kit kit;
    struct labels labels[SERIES];
    atomic_int rounds; /* acknowledged                                     */
    atomic_bool ended;
    atomic_int wrong, queries;
};

static void write_rounds(struct race *r)
{
    struct appender *a = storage_appender(tsdb_storage(r->kit.db));
    series_ref refs[SERIES];

    for (int s = 0; s < SERIES; s++)
        CU_ASSERT_EQUAL(appender_series(a, &r->labels[s], &refs[s], NULL),
                        SONDE_OK);
    for (int i = 0; i < ROUNDS; i++) {
        struct storage_sample batch[SERIES];
        struct append_stats stats;

        for (int s = 0; s < SERIES; s++)
            batch[s] = (struct storage_sample){ refs[s], START + i * STEP, i };
        appender_append(a, batch, SERIES);
        CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
        CU_ASSERT_EQUAL(stats.appended, SERIES);
        atomic_store(&r->rounds, i + 1);
        /* not faster than the thread can make blocks at all */
        if (i % 100 == 0)
            (void)usleep(20000);
    }
    appender_free(a);
}

/* Whether a series has all samples of the rounds, from the first on. */
static bool all_there(struct storage_series *s, struct columns *c, int from,
                      int rounds)
{
    c->count = 0;
    if (s->ops->read(s, START + from * STEP, START + (rounds - 1) * STEP, c,
                     NULL) != SONDE_OK ||
        c->count != (size_t)(rounds - from))
        return false;
    for (size_t i = 0; i < c->count; i++)
        if (c->t[i] != START + (from + (int)i) * STEP ||
            c->v[i] != from + (int)i)
            return false;
    return true;
}

static void *read_on(void *arg)
{
    struct race *r = arg;
    struct storage *storage = tsdb_storage(r->kit.db);
    struct matcher m = { .op = MATCH_EQ,
                         .name = SONDE_STR("job"),
                         .value = SONDE_STR("race") };
    struct columns c = { 0 };

    while (!atomic_load(&r->ended)) {
        int rounds = atomic_load(&r->rounds), from, found = 0;
        struct storage_series *s;
        struct series_set *set;
        struct querier *q;

        if (rounds == 0)
            continue;
        from = atomic_load(&r->queries) % rounds;
        if (storage->ops->querier(storage, START + from * STEP,
                                  START + (rounds - 1) * STEP, &q,
                                  NULL) != SONDE_OK)
            continue;
        if (q->ops->select(q, &m, 1, NULL, &set, NULL) == SONDE_OK) {
            for (; set->ops->next(set, &s, NULL) == SONDE_OK; found++)
                if (!all_there(s, &c, from, rounds))
                    atomic_fetch_add(&r->wrong, 1);
            set->ops->free(set);
        }
        if (found != SERIES)
            atomic_fetch_add(&r->wrong, 1);
        q->ops->free(q);
        atomic_fetch_add(&r->queries, 1);
    }
    columns_fini(&c);
    return NULL;
}

static void nothing_is_missed(void)
{
    static struct race r;
    pthread_t readers[READERS];
    struct tsdb_stats stats;

    kit_init(&r.kit, "race");
    clock_manual_advance(&r.kit.clock, 2 * ROUNDS * STEP);
    for (int s = 0; s < SERIES; s++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "m%d job=race", s);
        r.labels[s] = kit_labels(&r.kit, text);
    }
    for (int i = 0; i < READERS; i++)
        (void)pthread_create(&readers[i], NULL, read_on, &r);
    write_rounds(&r);
    CU_ASSERT_EQUAL(tsdb_compact(r.kit.db, NULL), SONDE_OK);
    atomic_store(&r.ended, true);
    for (int i = 0; i < READERS; i++)
        (void)pthread_join(readers[i], NULL);
    CU_ASSERT_EQUAL(atomic_load(&r.wrong), 0);
    CU_ASSERT(atomic_load(&r.queries) > 0);
    tsdb_stats(r.kit.db, &stats);
    CU_ASSERT(stats.blocks > 0);
    CU_ASSERT(stats.min_time > START);
    CU_ASSERT_EQUAL(kit_count(&r.kit, "m3 job=race"), ROUNDS);
    kit_reopen(&r.kit);
    CU_ASSERT_EQUAL(kit_count(&r.kit, "m3 job=race"), ROUNDS);
    kit_fini(&r.kit);
}

static const struct tap_test tests[] = {
    { "nothing is missed", nothing_is_missed },
};

int main(void)
{
    return TAP_RUN("tsdb_store_race", tests);
}
