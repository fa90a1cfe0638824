/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: what is old leaves the head, and its memory comes back. */
#include <unistd.h>

#include "tsdb/store.h"
#include "unit/tsdb_kit.h"
#include "util/bytes.h"

#define HOUR INT64_C(3600000)

/* A store in which nothing happens by itself. */
static void gc_kit(struct kit *k, const char *name)
{
    kit_init(k, name);
    k->options.no_thread = true;
    kit_reopen(k);
    k->clock.now_ms = INT64_C(1) << 45; /* nothing is too far ahead */
}

static struct head *head_of(struct kit *k)
{
    return k->db->head;
}

static void truncate_at(struct kit *k, sonde_msec t)
{
    CU_ASSERT_EQUAL(head_truncate(head_of(k), t, NULL), SONDE_OK);
}

/* Samples of several series every minute of [from, to). */
static void fill(struct kit *k, const char *prefix, int series, sonde_msec from,
                 sonde_msec to)
{
    struct appender *a = storage_appender(tsdb_storage(k->db));
    series_ref refs[64];
    struct append_stats stats;

    for (int i = 0; i < series; i++) {
        sonde_str text =
            arena_printf(&k->arena, "%s n=%d of=%s", prefix, i, prefix);

        refs[i] = kit_series(k, a, text.ptr);
    }
    for (sonde_msec t = from; t < to; t += 60000) {
        for (int i = 0; i < series; i++)
            appender_append(
                a, &(struct storage_sample){ refs[i], t, (double)(t + i) }, 1);
        CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
        CU_ASSERT_EQUAL(stats.appended, (size_t)series);
    }
    appender_free(a);
}

static size_t count_of(struct kit *k, const char *prefix, int i)
{
    return kit_count(
        k, arena_printf(&k->arena, "%s n=%d of=%s", prefix, i, prefix).ptr);
}

static size_t names_there(struct kit *k, const char *label)
{
    sonde_str name = sonde_cstr(label);
    struct storage *st = tsdb_storage(k->db);
    struct sonde_list values;
    struct querier *q;

    CU_ASSERT_EQUAL(st->ops->querier(st, INT64_MIN, INT64_MAX, &q, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->label_values(q, label[0] ? &name : NULL, NULL, 0,
                                         NULL, &k->arena, &values, NULL),
                    SONDE_OK);
    q->ops->free(q);
    return values.count;
}

/* ---- what goes and what stays ------------------------------------------ */

static void test_truncate(void)
{
    struct head *h;
    struct kit k;
    size_t symbols;

    gc_kit(&k, "truncate");
    h = head_of(&k);
    fill(&k, "stays", 20, KIT_NOW, KIT_NOW + 5 * HOUR);
    symbols = symtab_count(h->symbols);
    fill(&k, "goes", 40, KIT_NOW + 4 * HOUR, KIT_NOW + 5 * HOUR);
    fill(&k, "stays", 20, KIT_NOW + 5 * HOUR, KIT_NOW + 8 * HOUR);
    CU_ASSERT_EQUAL(atomic_load(&h->series_count), 60);
    CU_ASSERT_EQUAL(names_there(&k, "of"), 2);
    truncate_at(&k, KIT_NOW + 6 * HOUR);
    CU_ASSERT_EQUAL(atomic_load(&h->series_count), 20);
    CU_ASSERT_EQUAL(names_there(&k, "of"), 1);
    CU_ASSERT_EQUAL(names_there(&k, "n"), 20);
    CU_ASSERT_EQUAL(count_of(&k, "goes", 3), 0);
    /* a chunk that the line cuts stays whole */
    CU_ASSERT_TRUE(count_of(&k, "stays", 3) >= 120);
    CU_ASSERT_TRUE(count_of(&k, "stays", 3) < 250);
    CU_ASSERT_EQUAL(symtab_count(h->symbols), symbols);
    CU_ASSERT_EQUAL(postings_pairs(&h->postings), 22);
    CU_ASSERT_TRUE(atomic_load(&h->min_time) >= KIT_NOW + 6 * HOUR);
    CU_ASSERT_TRUE(atomic_load(&h->min_time) <= KIT_NOW + 7 * HOUR);
    CU_ASSERT_FALSE(h->limbo.any);
    /* they come back as other series */
    fill(&k, "goes", 40, KIT_NOW + 8 * HOUR, KIT_NOW + 8 * HOUR + 1);
    CU_ASSERT_EQUAL(atomic_load(&h->series_count), 60);
    CU_ASSERT_EQUAL(count_of(&k, "goes", 3), 1);
    CU_ASSERT_EQUAL(names_there(&k, "of"), 2);
    kit_fini(&k);
}

/* Samples before the line are refused from then on. */
static void test_min_valid(void)
{
    struct append_stats stats;
    struct kit k;

    gc_kit(&k, "min_valid");
    fill(&k, "a", 1, KIT_NOW, KIT_NOW + HOUR);
    truncate_at(&k, KIT_NOW + 50 * 60000);
    stats = kit_put(&k, "b", KIT_NOW + 49 * 60000, 1);
    CU_ASSERT_EQUAL(stats.too_old, 1);
    stats = kit_put(&k, "b", KIT_NOW + 50 * 60000, 1);
    CU_ASSERT_EQUAL(stats.appended, 1);
    kit_fini(&k);
}

/* Chunks and series that are given up leave files, memory and index. */
static void test_memory_comes_back(void)
{
    struct head *h;
    struct kit k;
    size_t words = 0, slabs = 0, symbols = 0;
    uint32_t lists = 0;

    gc_kit(&k, "memory");
    h = head_of(&k);
    for (int round = 0; round < 12; round++) {
        sonde_msec t = KIT_NOW + round * 4 * HOUR;

        fill(&k, arena_printf(&k.arena, "round%d", round).ptr, 60, t,
             t + 4 * HOUR);
        truncate_at(&k, t + 3 * HOUR);
        if (round == 2) {
            words = h->labels.next;
            slabs = h->mem.slabs;
            lists = h->postings.count;
            symbols = symtab_bytes(h->symbols);
        }
        if (round > 2) {
            CU_ASSERT_EQUAL(h->labels.next, words);
            CU_ASSERT_TRUE(h->mem.slabs <= slabs + 1);
            CU_ASSERT_TRUE(h->postings.count <= lists + 2);
            CU_ASSERT_TRUE(symtab_bytes(h->symbols) <= symbols + 65536);
        }
        CU_ASSERT_EQUAL(atomic_load(&h->series_count), 60);
        CU_ASSERT_EQUAL(head_map_chunks(h, NULL), SONDE_OK);
    }
    CU_ASSERT_TRUE(head_files_bytes(h->files) < 200000);
    kit_reopen(&k);
    CU_ASSERT_TRUE(count_of(&k, "round11", 7) > 0);
    kit_fini(&k);
}

/* ---- who is there ------------------------------------------------------ */

/* As long as a transaction is open that may write to them, series stay. */
static void test_transaction_holds(void)
{
    struct append_stats stats;
    struct appender *a, *b;
    series_ref held, left, cached;
    struct kit k;

    gc_kit(&k, "held");
    head_of(&k)->writers_wait_ms = 10;
    fill(&k, "x", 1, KIT_NOW, KIT_NOW + HOUR);
    a = storage_appender(tsdb_storage(k.db));
    b = storage_appender(tsdb_storage(k.db));
    cached = kit_series(&k, a, "x n=0 of=x");
    appender_rollback(a);
    held = kit_series(&k, a, "held");
    left = kit_series(&k, b, "left");
    appender_rollback(b);
    (void)kit_put(&k, "clock", KIT_NOW + 5 * HOUR, 1);
    truncate_at(&k, KIT_NOW + 4 * HOUR);
    CU_ASSERT_EQUAL(atomic_load(&head_of(&k)->series_count), 4);
    appender_append(a, &(struct storage_sample){ held, KIT_NOW + 5 * HOUR, 2 },
                    1);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 1);
    head_collect_rest(head_of(&k));
    CU_ASSERT_EQUAL(atomic_load(&head_of(&k)->series_count), 2);
    CU_ASSERT_FALSE(appender_known(b, left));
    CU_ASSERT_FALSE(appender_known(b, cached));
    CU_ASSERT_EQUAL(kit_count(&k, "held"), 1);
    /* a reference that is gone is told, and nothing else is hurt */
    appender_append(
        b, &(struct storage_sample){ cached, KIT_NOW + 5 * HOUR, 3 }, 1);
    appender_append(
        b, &(struct storage_sample){ held, KIT_NOW + 5 * HOUR + 1, 3 }, 1);
    CU_ASSERT_EQUAL(appender_commit(b, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.unknown_series, 1);
    CU_ASSERT_EQUAL(stats.appended, 1);
    appender_free(a);
    appender_free(b);
    kit_fini(&k);
}

/* Who remembers references learns that some are gone, before he uses them. */
static void test_generation(void)
{
    struct append_stats stats;
    struct appender *a;
    series_ref pauses;
    uint64_t before;
    struct kit k;

    gc_kit(&k, "generation");
    head_of(&k)->writers_wait_ms = 10;
    a = storage_appender(tsdb_storage(k.db));
    (void)kit_put(&k, "pauses", KIT_NOW, 1);
    (void)kit_put(&k, "clock", KIT_NOW + 5 * HOUR, 1);
    before = appender_generation(a);
    pauses = kit_series(&k, a, "pauses");
    appender_rollback(a);
    /* in a transaction that saw the same number it may be used unasked */
    CU_ASSERT_EQUAL(appender_generation(a), before);
    truncate_at(&k, KIT_NOW + 4 * HOUR);
    appender_append(
        a, &(struct storage_sample){ pauses, KIT_NOW + 5 * HOUR, 1 }, 1);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 1);
    (void)kit_put(&k, "clock", KIT_NOW + 10 * HOUR, 1);
    truncate_at(&k, KIT_NOW + 9 * HOUR);
    CU_ASSERT_NOT_EQUAL(appender_generation(a), before);
    CU_ASSERT_FALSE(appender_known(a, pauses));
    pauses = kit_series(&k, a, "pauses");
    appender_append(
        a, &(struct storage_sample){ pauses, KIT_NOW + 10 * HOUR, 1 }, 1);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 1);
    /* asking by reference holds it too */
    (void)kit_put(&k, "clock", KIT_NOW + 15 * HOUR, 1);
    (void)appender_generation(a);
    CU_ASSERT_TRUE(appender_known(a, pauses));
    truncate_at(&k, KIT_NOW + 14 * HOUR);
    CU_ASSERT_TRUE(appender_known(a, pauses));
    appender_rollback(a);
    head_collect_rest(head_of(&k));
    CU_ASSERT_FALSE(appender_known(a, pauses));
    appender_free(a);
    kit_fini(&k);
}

/* A query that began before goes on with what it found. */
static void test_reader_keeps(void)
{
    struct columns c = { 0 };
    struct storage_series *s;
    struct series_set *set;
    struct labels want;
    struct querier *q;
    struct head *h;
    struct kit k;
    struct matcher m = { .op = MATCH_EQ,
                         .name = SONDE_STR("of"),
                         .value = SONDE_STR("old") };

    gc_kit(&k, "reader");
    h = head_of(&k);
    fill(&k, "old", 3, KIT_NOW, KIT_NOW + HOUR);
    (void)kit_put(&k, "clock", KIT_NOW + 5 * HOUR, 1);
    CU_ASSERT_EQUAL(head_querier(h, INT64_MIN, INT64_MAX, &q, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->select(q, &m, 1, NULL, &set, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(set->ops->next(set, &s, NULL), SONDE_OK);
    want = kit_labels(&k, "old n=0 of=old");
    truncate_at(&k, KIT_NOW + 4 * HOUR);
    CU_ASSERT_EQUAL(atomic_load(&h->series_count), 1);
    CU_ASSERT_TRUE(h->limbo.any);
    (void)kit_put(&k, "other n=0 of=other", KIT_NOW + 5 * HOUR, 1);
    CU_ASSERT_TRUE(labels_eq(&s->labels, &want));
    CU_ASSERT_EQUAL(s->ops->read(s, INT64_MIN, INT64_MAX, &c, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(c.count, 0);
    CU_ASSERT_FALSE(head_release(h, 0));
    set->ops->free(set);
    q->ops->free(q);
    CU_ASSERT_TRUE(head_release(h, 0));
    CU_ASSERT_FALSE(h->limbo.any);
    columns_fini(&c);
    kit_fini(&k);
}

/* ---- references beyond 32 bits ------------------------------------------ */

static void test_references_wrap(void)
{
    static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
    series_ref refs[6];
    struct appender *a;
    struct kit k;

    gc_kit(&k, "wrap");
    fill(&k, "first", 2, KIT_NOW, KIT_NOW + 1);
    a = storage_appender(tsdb_storage(k.db));
    head_of(&k)->next_ref = (UINT64_C(1) << 32) - 2;
    for (int i = 0; i < 6; i++) {
        refs[i] = kit_series(&k, a, names[i]);
        appender_append(a, &(struct storage_sample){ refs[i], KIT_NOW + i, i },
                        1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(refs[0], (UINT64_C(1) << 32) - 2);
    CU_ASSERT_EQUAL(refs[1], (UINT64_C(1) << 32) - 1);
    CU_ASSERT_EQUAL(refs[2], (UINT64_C(1) << 32) + 3); /* 0, 1, 2 are taken */
    CU_ASSERT_FALSE(appender_known(a, refs[2] & UINT32_MAX));
    CU_ASSERT_TRUE(appender_known(a, refs[2]));
    appender_free(a);
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < 6; i++) {
            struct labels l;

            CU_ASSERT_EQUAL(kit_count(&k, names[i]), 1);
            CU_ASSERT_TRUE(head_labels(head_of(&k), refs[i], &k.arena, &l));
            CU_ASSERT_TRUE(
                sonde_str_eq(l.items[0].value, sonde_cstr(names[i])));
        }
        CU_ASSERT_EQUAL(count_of(&k, "first", 1), 1);
        kit_reopen(&k);
    }
    CU_ASSERT_TRUE(head_of(&k)->next_ref > refs[5]);
    kit_fini(&k);
}

/* ---- a model ----------------------------------------------------------- */

#define SERIES 40
#define STEPS  600

struct model {
    sonde_msec t[SERIES][STEPS];
    size_t count[SERIES];
    sonde_msec newest, floor;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void model_step(struct model *m, struct kit *k, uint32_t *random)
{
    struct appender *a = storage_appender(tsdb_storage(k->db));
    struct append_stats stats;
    size_t n = 0;

    m->newest += 1000 * (sonde_msec)(1 + next_random(random) % 120);
    for (int i = 0; i < SERIES; i++) {
        /* some come and go for hours */
        if (i % 4 && (m->newest / HOUR / (i % 7 + 1) + i) % 3 == 0)
            continue;
        appender_append(
            a,
            &(struct storage_sample){
                kit_series(k, a, arena_printf(&k->arena, "m n=%d of=m", i).ptr),
                m->newest, (double)(m->newest % 1000 + i) },
            1);
        m->t[i][m->count[i]++] = m->newest;
        n++;
    }
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, n);
    appender_free(a);
}

/* All from the floor on is there; what is before may be. */
static void model_check(const struct model *m, struct kit *k)
{
    for (int i = 0; i < SERIES; i++) {
        struct columns c =
            kit_read(k, arena_printf(&k->arena, "m n=%d of=m", i).ptr,
                     INT64_MIN, INT64_MAX);
        size_t at = m->count[i];
        bool right = true;

        for (size_t x = c.count; x > 0; x--) {
            right = right && at > 0 && c.t[x - 1] == m->t[i][at - 1] &&
                    c.v[x - 1] == (double)(c.t[x - 1] % 1000 + i);
            at -= at > 0;
        }
        CU_ASSERT_TRUE(right);
        CU_ASSERT_TRUE(at == 0 || m->t[i][at - 1] < m->floor);
        columns_fini(&c);
    }
}

static void test_model(void)
{
    struct model *m = mem_new(struct model);
    uint32_t random = 42;
    struct kit k;

    gc_kit(&k, "model");
    m->newest = KIT_NOW;
    m->floor = INT64_MIN;
    for (int i = 0; i < STEPS; i++) {
        model_step(m, &k, &random);
        if (next_random(&random) % 20 == 0) {
            sonde_msec t =
                m->newest - (sonde_msec)(next_random(&random) % 7200) * 1000;

            m->floor = t > m->floor ? t : m->floor;
            truncate_at(&k, t);
        }
        if (next_random(&random) % 16 == 0)
            CU_ASSERT_EQUAL(head_map_chunks(head_of(&k), NULL), SONDE_OK);
        if (next_random(&random) % 25 == 0) {
            model_check(m, &k);
            arena_reset(&k.arena);
        }
        if (next_random(&random) % 100 == 0)
            kit_reopen(&k);
    }
    model_check(m, &k);
    kit_reopen(&k);
    model_check(m, &k);
    kit_fini(&k);
    free(m);
}

/* ---- what was there at the start ---------------------------------------- */

/* Chunks behind damage are used where the log has nothing. */
static void test_damaged_chunks(void)
{
    char path[600];
    struct kit k;
    size_t want;

    gc_kit(&k, "damaged");
    fill(&k, "d", 5, KIT_NOW, KIT_NOW + 20 * HOUR);
    want = count_of(&k, "d", 2);
    CU_ASSERT_EQUAL(want, 1200);
    tsdb_close(k.db);
    (void)snprintf(path, sizeof(path), "%s/chunks_head/000001", k.dir);
    for (int with_log = 1; with_log >= 0; with_log--) {
        FILE *f = fopen(path, "r+b");

        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        CU_ASSERT_EQUAL(fseek(f, with_log ? 60 : 200, SEEK_SET), 0);
        CU_ASSERT_EQUAL(fputc(0x55, f), 0x55);
        CU_ASSERT_EQUAL(fclose(f), 0);
        k.db = NULL;
        kit_open(&k);
        for (int i = 0; i < 5; i++)
            CU_ASSERT_EQUAL(count_of(&k, "d", i), want);
        if (with_log)
            tsdb_close(k.db);
    }
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "what is old goes, the rest stays", test_truncate },
    { "what was given up is not taken again", test_min_valid },
    { "memory comes back", test_memory_comes_back },
    { "a transaction holds its series", test_transaction_holds },
    { "who remembers references is told", test_generation },
    { "a reader keeps what it found", test_reader_keeps },
    { "references pass 32 bits", test_references_wrap },
    { "truncation against a model", test_model },
    { "chunks behind damage", test_damaged_chunks },
};

int main(void)
{
    return TAP_RUN("tsdb_gc", tests);
}
