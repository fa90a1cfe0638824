/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging blocks, against a model that is too simple to be wrong: a table of
 * samples by series and time, into which blocks are put from the oldest to
 * the newest and out of which deletions are taken.
 */
#include <stdlib.h>
#include <string.h>

#include "tsdb/compact.h"
#include "tsdb/multikey.h"
#include "unit/tsdb_kit.h"
#include "util/fs.h"

#define SERIES 12
#define TIMES  400
#define STEP   1000
#define BLOCKS 4

static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

struct model {
    bool has[SERIES][TIMES];
    double v[SERIES][TIMES];
};

/* ---- making blocks ---------------------------------------------------- */

struct cutter {
    struct chunk items[TIMES];
    size_t count;
    struct arena arena;
};

static sonde_code keep(void *arg, const struct chunk *c, struct sonde_err *err)
{
    struct cutter *k = arg;

    (void)err;
    k->items[k->count] = *c;
    k->items[k->count++].data = arena_str(&k->arena, c->data);
    return SONDE_OK;
}

/* Writes what a model has as a block with chunks of a few samples. */
static struct block *write_block(const char *dir, const struct model *m,
                                 uint32_t chunk_samples)
{
    struct block_writer_options o = { .ulid = ulid_new(KIT_NOW) };
    struct ulid source = o.ulid;
    struct block_meta meta = { .ulid = o.ulid,
                               .mint = 0,
                               .maxt = (sonde_msec)TIMES * STEP,
                               .level = 1,
                               .sources = &source,
                               .source_count = 1 };
    struct chunk_limits limits = { chunk_samples, 8192, 0 };
    struct block_writer *w = NULL;
    struct sonde_err err = { 0 };
    struct cutter k = { 0 };
    uint32_t name, values[SERIES];
    char path[1024];
    struct block *b = NULL;

    arena_init(&k.arena);
    CU_ASSERT_EQUAL(block_writer_new(dir, &o, &w, &err), SONDE_OK);
    name = block_writer_symbol(w, SONDE_STR("__name__"));
    for (int s = 0; s < SERIES; s++) {
        char text[8];

        (void)snprintf(text, sizeof(text), "s%02d", s);
        values[s] = block_writer_symbol(w, sonde_cstr(text));
    }
    for (int s = 0; s < SERIES; s++) {
        struct block_pair pair = { name, values[s] };
        struct columns c = { 0 };

        for (int i = 0; i < TIMES; i++)
            if (m->has[s][i])
                columns_push(&c, (sonde_msec)i * STEP, m->v[s][i]);
        k.count = 0;
        if (c.count) {
            CU_ASSERT_EQUAL(
                chunks_cut(&c, 0, c.count, &limits, true, keep, &k, &err),
                SONDE_OK);
            CU_ASSERT_EQUAL(
                block_writer_series(w, &pair, 1, k.items, k.count, &err),
                SONDE_OK);
        }
        columns_fini(&c);
    }
    CU_ASSERT_EQUAL(block_writer_finish(w, &meta, NULL, &err), SONDE_OK);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, o.ulid.text);
    CU_ASSERT_EQUAL(block_open(path, &b, &err), SONDE_OK);
    if (!b)
        tap_note("%s", err.text);
    arena_fini(&k.arena);
    return b;
}

/* ---- comparing -------------------------------------------------------- */

/* True if a block has exactly the model's samples. */
static bool same(const struct block *b, const struct model *want)
{
    static struct model got;
    struct block_series s = { 0 };
    struct block_postings all;
    struct columns c = { 0 };
    bool ok = true;

    memset(&got, 0, sizeof(got));
    ok &=
        block_postings(b, SONDE_STR(""), SONDE_STR(""), &all, NULL) == SONDE_OK;
    for (uint32_t i = 0; ok && i < all.count; i++) {
        sonde_str value;
        int number;

        ok &= block_series(b, block_posting(&all, i), &s, NULL) == SONDE_OK;
        value = block_symbol(b, s.pairs[0].value);
        number = (value.ptr[1] - '0') * 10 + value.ptr[2] - '0';
        c.count = 0;
        for (size_t k = 0; k < s.chunk_count; k++) {
            enum chunk_encoding e;
            sonde_str data;

            ok &=
                block_chunk(b, s.chunks[k].ref, &e, &data, NULL) == SONDE_OK &&
                chunk_decode(e, data, &c, NULL) == SONDE_OK;
        }
        for (size_t k = 0; k < c.count; k++) {
            got.has[number][c.t[k] / STEP] = true;
            got.v[number][c.t[k] / STEP] = c.v[k];
            ok &= k == 0 || c.t[k - 1] < c.t[k];
        }
    }
    columns_fini(&c);
    block_series_fini(&s);
    return ok && memcmp(&got, want, sizeof(got)) == 0;
}

static void put(struct model *to, const struct model *from)
{
    for (int s = 0; s < SERIES; s++)
        for (int i = 0; i < TIMES; i++)
            if (from->has[s][i]) {
                to->has[s][i] = true;
                to->v[s][i] = from->v[s][i];
            }
}

static struct model *random_model(void)
{
    struct model *m = mem_new(struct model);

    for (int s = 0; s < SERIES; s++) {
        uint32_t from = rnd(TIMES), to = from + rnd(TIMES - from);
        uint32_t every = 1 + rnd(4), kind = rnd(4);

        for (uint32_t i = from; kind && i < to; i += every) {
            m->has[s][i] = true;
            m->v[s][i] = kind == 1 ? (double)i : (double)rnd(1000000) / 7;
        }
    }
    return m;
}

/* Deletes at random from a block and a model alike. */
static void delete_some(struct block *b, struct model *m)
{
    struct sonde_err err = { 0 };

    for (int i = 0; i < 3; i++) {
        int s = (int)rnd(SERIES);
        uint32_t from = rnd(TIMES), to = from + rnd(TIMES - from);
        char text[8];
        struct matcher match = { .op = MATCH_EQ,
                                 .name = SONDE_STR(LABEL_NAME) };
        struct tombstones found = { 0 };
        struct time_range r = { (sonde_msec)from * STEP,
                                (sonde_msec)to * STEP };

        (void)snprintf(text, sizeof(text), "s%02d", s);
        match.value = sonde_cstr(text);
        CU_ASSERT_EQUAL(block_deletions(b, r, &match, 1, &found, &err),
                        SONDE_OK);
        if (found.count)
            CU_ASSERT_EQUAL(block_add_tombstones(b, &found, &err), SONDE_OK);
        tombstones_fini(&found);
        for (uint32_t k = from; k <= to; k++) {
            m->has[s][k] = false;
            m->v[s][k] = 0;
        }
    }
}

/* ---- tests ------------------------------------------------------------ */

static const char *fresh_dir(const char *name)
{
    static char dir[512];
    struct sonde_err err;

    (void)snprintf(dir, sizeof(dir), "%s/%s", tap_tmpdir(), name);
    CU_ASSERT_EQUAL(fs_mkdirs(dir, 0750, &err), SONDE_OK);
    return dir;
}

static struct block *open_made(const char *dir, const struct ulid *u)
{
    char path[1024];
    struct block *b = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, u->text);
    CU_ASSERT_EQUAL(block_open(path, &b, NULL), SONDE_OK);
    return b;
}

static void one_random_merge(const char *dir, bool deletions)
{
    struct compact_target target = { dir, &clock_system, NULL };
    struct block *blocks[BLOCKS], *made;
    struct model *sum = mem_new(struct model);
    size_t n = 1 + rnd(BLOCKS), parents = 0;
    struct sonde_err err = { 0 };
    struct ulid u;
    sonde_code rc;

    for (size_t i = 0; i < n; i++) {
        struct model *m = random_model();

        blocks[i] = write_block(dir, m, 1 + rnd(150));
        if (deletions)
            delete_some(blocks[i], m);
        put(sum, m);
        free(m);
    }
    rc = compact_blocks(blocks, n, &target, &u, &err);
    CU_ASSERT_EQUAL(rc, SONDE_OK);
    if (rc == SONDE_OK) {
        made = open_made(dir, &u);
        CU_ASSERT(same(made, sum));
        CU_ASSERT_EQUAL(block_meta(made)->source_count, n);
        CU_ASSERT_EQUAL(block_meta(made)->parent_count, n);
        CU_ASSERT_EQUAL(block_meta(made)->level, n > 1 ? 2 : 1);
        parents = block_meta(made)->parent_count;
        block_unref(made);
    } else {
        tap_note("%s", err.text);
    }
    CU_ASSERT_EQUAL(parents, n);
    for (size_t i = 0; i < n; i++)
        block_unref(blocks[i]);
    free(sum);
}

static void random_merges(void)
{
    const char *dir = fresh_dir("merges");

    for (int i = 0; i < 60; i++)
        one_random_merge(dir, false);
}

static void random_merges_with_deletions(void)
{
    const char *dir = fresh_dir("deletions");

    for (int i = 0; i < 60; i++)
        one_random_merge(dir, true);
}

/* All deleted: no block, and nothing of it stays. */
static void nothing_left(void)
{
    const char *dir = fresh_dir("nothing");
    struct compact_target target = { dir, &clock_system, NULL };
    struct time_range all = { INT64_MIN, INT64_MAX };
    struct matcher match = { .op = MATCH_NE,
                             .name = SONDE_STR(LABEL_NAME),
                             .value = SONDE_STR("") };
    struct model *m = mem_new(struct model);
    struct tombstones found = { 0 };
    struct fs_names names;
    struct block *b;
    struct ulid u;

    m->has[3][7] = true;
    m->v[3][7] = 1;
    b = write_block(dir, m, 100);
    CU_ASSERT_EQUAL(block_deletions(b, all, &match, 1, &found, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(tombstones_ranges(&found), 1);
    CU_ASSERT_EQUAL(block_add_tombstones(b, &found, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(compact_blocks(&b, 1, &target, &u, NULL), SONDE_ENOTFOUND);
    CU_ASSERT_EQUAL(fs_list(dir, &names, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(names.count, 1);
    fs_names_fini(&names);
    tombstones_fini(&found);
    block_unref(b);
    free(m);
}

/* Small chunks become one; a chunk that is large already keeps its bytes. */
static void chunks_are_joined(void)
{
    const char *dir = fresh_dir("joined");
    struct compact_target target = { dir, &clock_system, NULL };
    struct model *m = mem_new(struct model);
    struct block_series s = { 0 };
    struct block *b, *made;
    struct ulid u;

    for (int i = 0; i < TIMES; i++) {
        m->has[0][i] = true;
        m->v[0][i] = i;
    }
    b = write_block(dir, m, 10);
    CU_ASSERT_EQUAL(block_meta(b)->stats.chunks, TIMES / 10);
    CU_ASSERT_EQUAL(compact_blocks(&b, 1, &target, &u, NULL), SONDE_OK);
    made = open_made(dir, &u);
    CU_ASSERT_EQUAL(block_meta(made)->stats.chunks, 1);
    CU_ASSERT_EQUAL(block_meta(made)->stats.samples, TIMES);
    CU_ASSERT(same(made, m));
    block_series_fini(&s);
    block_unref(made);
    block_unref(b);
    free(m);
}

static void a_stop_leaves_nothing(void)
{
    const char *dir = fresh_dir("stop");
    _Atomic bool stop = true;
    struct compact_target target = { dir, &clock_system, &stop };
    struct model *m = random_model();
    struct fs_names names;
    struct block *b;
    struct ulid u;

    m->has[0][0] = true;
    b = write_block(dir, m, 10);
    CU_ASSERT_EQUAL(compact_blocks(&b, 1, &target, &u, NULL), SONDE_ECANCELED);
    CU_ASSERT_EQUAL(fs_list(dir, &names, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(names.count, 1);
    fs_names_fini(&names);
    block_unref(b);
    free(m);
}

/* A damaged chunk is an error that says so, not a block that lacks samples. */
static void damage_is_an_error(void)
{
    const char *dir = fresh_dir("damage");
    struct compact_target target = { dir, &clock_system, NULL };
    struct model *m = random_model();
    struct block *b, *again = NULL;
    char path[1024];
    struct ulid u;
    FILE *f;

    m->has[0][0] = true;
    b = write_block(dir, m, 10);
    (void)snprintf(path, sizeof(path), "%s/chunks/000001", block_dir(b));
    f = fopen(path, "r+");
    (void)fseek(f, 14, SEEK_SET);
    (void)fputc(0x5a, f);
    (void)fclose(f);
    CU_ASSERT_EQUAL(block_open(block_dir(b), &again, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(compact_blocks(&again, 1, &target, &u, NULL),
                    SONDE_ECORRUPT);
    block_unref(again);
    block_unref(b);
    free(m);
}

/* ---- sorting ---------------------------------------------------------- */

#define KEYS 3000

static uint64_t text_part(const struct multikey_item *item, size_t depth,
                          const void *arg)
{
    const char(*texts)[64] = arg;
    size_t len = strlen(texts[item->id]);

    return depth < len ? (uint8_t)texts[item->id][depth] : 0;
}

static int text_compare(const struct multikey_item *a,
                        const struct multikey_item *b, const void *arg)
{
    const char(*texts)[64] = arg;

    return strcmp(texts[a->id], texts[b->id]);
}

/* Keys with long common beginnings, deeper than the recursion goes. */
static void sorting(void)
{
    static const struct multikey_ops ops = { text_part, text_compare };
    static char texts[KEYS][64];
    static struct multikey_item items[KEYS];
    bool ok = true;

    for (uint32_t i = 0; i < KEYS; i++) {
        size_t common = rnd(58), n = 0;

        for (; n < common; n++)
            texts[i][n] = 'a';
        for (size_t end = n + rnd(4); n < end; n++)
            texts[i][n] = (char)('a' + rnd(3));
        items[i].id = i;
    }
    multikey_sort(items, KEYS, &ops, texts);
    for (uint32_t i = 1; i < KEYS; i++)
        ok &= strcmp(texts[items[i - 1].id], texts[items[i].id]) <= 0;
    CU_ASSERT(ok);
}

static const struct tap_test tests[] = {
    { "random merges", random_merges },
    { "random merges with deletions", random_merges_with_deletions },
    { "nothing left", nothing_left },
    { "chunks are joined", chunks_are_joined },
    { "a stop leaves nothing", a_stop_leaves_nothing },
    { "damage is an error", damage_is_an_error },
    { "sorting", sorting },
};

int main(void)
{
    return TAP_RUN("tsdb_compact", tests);
}
