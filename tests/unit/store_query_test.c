/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: head and blocks, some of which overlap and have deletions, answer as
 * one; a damaged block is reported and left out. */
#include "tsdb/store_querier.h"
#include "unit/query_kit.h"
#include "unit/tsdb_kit.h"
#include "util/fs.h"

#define ROUNDS 600
#define SPAN_S 400
#define BLOCKS 4

struct store {
    struct kit kit;
    struct world *world;
    struct block *blocks[BLOCKS];
    char *dirs[BLOCKS];
    int released;
    int damaged[BLOCKS];
};

/* The ranges of the blocks in seconds; the head is the last source. */
static const struct {
    int from, to;
    bool deletions;
} spans[BLOCKS] = {
    { 0, 100, false },
    { 60, 180, true }, /* overlaps the first                               */
    { 180, 260, true },
    { 260, 330, false }, /* in the head too                                */
};
#define HEAD_FROM 290
#define HEAD_TO   SPAN_S

static void head_put(struct store *s, const struct world_source *src)
{
    struct appender *a = storage_appender(tsdb_storage(s->kit.db));

    for (size_t i = 0; i < s->world->count; i++) {
        const struct world_part *p = &src->parts[i];
        struct append_stats stats;
        series_ref ref;

        if (!p->count)
            continue;
        CU_ASSERT_EQUAL(appender_series(a, &s->world->series[i], &ref, NULL),
                        SONDE_OK);
        for (size_t k = 0; k < p->count; k++) {
            struct storage_sample x = { ref, p->samples[k].t, p->samples[k].v };

            appender_append(a, &x, 1);
        }
        CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
        CU_ASSERT_EQUAL(stats.appended, p->count);
    }
    appender_free(a);
}

static void store_init(struct store *s, const char *name)
{
    char parent[600];

    memset(s, 0, sizeof(*s));
    kit_init(&s->kit, name);
    (void)snprintf(parent, sizeof(parent), "%s/%s-blocks", tap_tmpdir(), name);
    CU_ASSERT_EQUAL_FATAL(fs_mkdirs(parent, 0777, NULL), SONDE_OK);
    s->world = mem_new(struct world);
    world_init(s->world, 11, WORLD_SERIES);
    for (int i = 0; i < BLOCKS; i++) {
        struct world_source *src =
            world_add_source(s->world, spans[i].from, spans[i].to);

        s->dirs[i] = world_write(s->world, src, parent);
        s->blocks[i] =
            world_open(s->world, src, s->dirs[i], spans[i].deletions);
    }
    head_put(s, world_add_source(s->world, HEAD_FROM, HEAD_TO));
}

static void store_fini(struct store *s)
{
    for (int i = 0; i < BLOCKS; i++)
        block_unref(s->blocks[i]);
    kit_fini(&s->kit);
    world_fini(s->world);
    free(s->world);
}

static void release(void *held)
{
    ++*(int *)held;
}

static void damaged(void *arg, struct block *b, const struct sonde_err *err)
{
    struct store *s = arg;

    for (int i = 0; i < BLOCKS; i++)
        s->damaged[i] += s->blocks[i] == b;
    CU_ASSERT_EQUAL(err->code, SONDE_ECORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err->text, block_dir(b)));
}

static struct querier *querier_of(struct store *s, sonde_msec mint,
                                  sonde_msec maxt, bool may_be_damaged)
{
    struct storage *storage = tsdb_storage(s->kit.db);
    struct store_view view = { .blocks = s->blocks,
                               .count = BLOCKS,
                               .damaged = may_be_damaged ? damaged : NULL,
                               .arg = s,
                               .release = release,
                               .held = &s->released };
    struct querier *q = NULL;

    CU_ASSERT_EQUAL(
        storage->ops->querier(storage, mint, maxt, &view.head, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(store_querier(&view, mint, maxt, &q, NULL), SONDE_OK);
    return q;
}

static void ask_random(struct store *s)
{
    static const sonde_str labels[] = { { LABEL_NAME, 8 },
                                        { "job", 3 },
                                        { "inst", 4 },
                                        { "path", 4 },
                                        { "none", 4 } };
    const sonde_str *label = one_in(5) ? NULL : &labels[rand() % 5];
    struct world_query query;
    struct querier *q;
    bool good;

    world_query_make(&query, SPAN_S);
    q = querier_of(s, query.mint, query.maxt, true);
    good = world_select_agrees(s->world, q, &query) &&
           world_values_agree(s->world, BLOCKS, q, &query, label);
    if (!good)
        world_query_note(&query);
    CU_ASSERT_TRUE(good);
    CU_ASSERT_EQUAL(querier_warnings(q, &s->world->arena).count, 0);
    q->ops->free(q);
    world_query_fini(&query);
}

static void test_random_queries(void)
{
    struct store s;

    store_init(&s, "random");
    for (int i = 0; i < ROUNDS; i++)
        ask_random(&s);
    CU_ASSERT_EQUAL(s.released, ROUNDS);
    store_fini(&s);
}

/* ---- damage ------------------------------------------------------------ */

/* The last byte of the first chunk's checksum: found at reading only. */
static void damage_chunk(const char *dir)
{
    char path[700];
    FILE *f;
    int c;

    (void)snprintf(path, sizeof(path), "%s/chunks/000001", dir);
    f = fopen(path, "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    (void)fseek(f, 20, SEEK_SET);
    c = fgetc(f);
    (void)fseek(f, 20, SEEK_SET);
    (void)fputc(c ^ 0x40, f);
    (void)fclose(f);
}

/* How many series can not be read. */
static size_t read_all(struct querier *q, struct sonde_err *err)
{
    struct storage_series *one;
    struct columns c = { 0 };
    struct series_set *set;
    size_t failed = 0;

    CU_ASSERT_EQUAL_FATAL(q->ops->select(q, NULL, 0, NULL, &set, err),
                          SONDE_OK);
    while (set->ops->next(set, &one, err) == SONDE_OK) {
        c.count = 0;
        failed +=
            one->ops->read(one, INT64_MIN, INT64_MAX, &c, err) != SONDE_OK;
    }
    set->ops->free(set);
    columns_fini(&c);
    return failed;
}

static void test_damaged_block(void)
{
    struct sonde_err err = { 0 };
    struct sonde_list lines;
    struct querier *q;
    struct store s;

    store_init(&s, "damaged");
    damage_chunk(s.dirs[2]);
    q = querier_of(&s, INT64_MIN, INT64_MAX, true);
    CU_ASSERT_EQUAL(read_all(q, &err), 0);
    CU_ASSERT_EQUAL(s.damaged[2], 1);
    CU_ASSERT_EQUAL(s.damaged[0] + s.damaged[1] + s.damaged[3], 0);
    lines = querier_warnings(q, &s.world->arena);
    CU_ASSERT_EQUAL_FATAL(lines.count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(lines.items[0].ptr, s.dirs[2]));
    q->ops->free(q);

    q = querier_of(&s, INT64_MIN, INT64_MAX, false);
    CU_ASSERT_EQUAL(read_all(q, &err), 1);
    CU_ASSERT_EQUAL(err.code, SONDE_ECORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, s.dirs[2]));
    q->ops->free(q);

    /* Not touched when it is out of range. */
    q = querier_of(&s, WORLD_BASE, WORLD_BASE + 150000, false);
    CU_ASSERT_EQUAL(read_all(q, &err), 0);
    q->ops->free(q);
    store_fini(&s);
}

/* ---- parallel readers -------------------------------------------------- */

#define THREADS 4
#define PASSES  5

struct race {
    struct store *store;
    struct storage_series *series[WORLD_SERIES];
    size_t count;
    _Atomic size_t next, wrong;
    _Atomic bool done;
};

/* Each series is read by whoever takes its number. */
static void *race_read(void *arg)
{
    struct race *r = arg;
    const struct world *w = r->store->world;
    sonde_msec maxt = WORLD_BASE + SPAN_S * 1000 - 1;
    struct columns got = { 0 }, want = { 0 };
    size_t i;

    while ((i = atomic_fetch_add(&r->next, 1)) < r->count) {
        struct storage_series *s = r->series[i];
        sonde_code rc;

        got.count = 0;
        rc = s->ops->read(s, INT64_MIN, maxt, &got, NULL);
        world_truth(w, world_find(w, &s->labels), INT64_MIN, maxt, &want);
        if (rc != SONDE_OK || !world_same(&got, &want))
            atomic_fetch_add(&r->wrong, 1);
    }
    columns_fini(&got);
    columns_fini(&want);
    return NULL;
}

/* Goes on with every series, and makes new ones. */
static void *race_append(void *arg)
{
    struct race *r = arg;
    const struct world *w = r->store->world;
    struct appender *a = storage_appender(tsdb_storage(r->store->kit.db));

    for (int n = 0; !atomic_load(&r->done) && n < 3000; n++) {
        struct label more[] = { { SONDE_STR(LABEL_NAME), SONDE_STR("new") },
                                { SONDE_STR("n"), { 0 } } };
        const struct labels *l = &w->series[n % w->count];
        struct labels fresh = { more, 2 };
        struct storage_sample x = { .t = WORLD_BASE + (SPAN_S + n) * 1000 };
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", n);
        more[1].value = sonde_cstr(text);
        (void)appender_series(a, n % 3 ? l : &fresh, &x.ref, NULL);
        appender_append(a, &x, 1);
        (void)appender_commit(a, NULL, NULL);
    }
    appender_free(a);
    return NULL;
}

static void race_pass(struct race *r)
{
    struct querier *q = querier_of(r->store, INT64_MIN, INT64_MAX, false);
    pthread_t readers[THREADS];
    struct storage_series *one;
    struct series_set *set;

    r->count = 0;
    atomic_store(&r->next, 0);
    CU_ASSERT_EQUAL_FATAL(q->ops->select(q, NULL, 0, NULL, &set, NULL),
                          SONDE_OK);
    while (set->ops->next(set, &one, NULL) == SONDE_OK)
        if (world_find(r->store->world, &one->labels) < r->store->world->count)
            r->series[r->count++] = one;
    for (int i = 0; i < THREADS; i++)
        (void)pthread_create(&readers[i], NULL, race_read, r);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(readers[i], NULL);
    set->ops->free(set);
    q->ops->free(q);
}

static void test_series_are_read_in_parallel(void)
{
    struct race *r = mem_new(struct race);
    pthread_t writer;
    struct store s;

    store_init(&s, "parallel");
    r->store = &s;
    (void)pthread_create(&writer, NULL, race_append, r);
    for (int i = 0; i < PASSES; i++)
        race_pass(r);
    atomic_store(&r->done, true);
    (void)pthread_join(writer, NULL);
    CU_ASSERT_EQUAL(r->wrong, 0);
    CU_ASSERT_TRUE(r->count > WORLD_SERIES / 2);
    store_fini(&s);
    free(r);
}

static const struct tap_test tests[] = {
    { "random queries", test_random_queries },
    { "a damaged block is left out", test_damaged_block },
    { "series are read in parallel", test_series_are_read_in_parallel },
};

int main(void)
{
    return TAP_RUN("store_query", tests);
}
