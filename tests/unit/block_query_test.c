/* SPDX-License-Identifier: Apache-2.0 */
/* block: what a block's querier answers is what looking at everything says,
 * and damage is an error that names the file, never another answer. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit/query_kit.h"
#include "util/fs.h"

#define ROUNDS 600
#define SPAN_S 90

struct one_block {
    struct world *world;
    char *dir;
    struct block *block;
};

static void one_block_init(struct one_block *o, const char *name, size_t series,
                           bool deletions)
{
    char parent[512];

    (void)snprintf(parent, sizeof(parent), "%s/%s", tap_tmpdir(), name);
    CU_ASSERT_EQUAL_FATAL(fs_mkdirs(parent, 0777, NULL), SONDE_OK);
    o->world = mem_new(struct world);
    world_init(o->world, 7, series);
    (void)world_add_source(o->world, 0, SPAN_S);
    o->dir = world_write(o->world, &o->world->sources[0], parent);
    o->block = world_open(o->world, &o->world->sources[0], o->dir, deletions);
}

static void one_block_fini(struct one_block *o)
{
    block_unref(o->block);
    world_fini(o->world);
    free(o->world);
}

static const sonde_str labels_asked[] = {
    { LABEL_NAME, 8 }, { "job", 3 }, { "inst", 4 }, { "path", 4 }, { "none", 4 }
};

static void ask_random(struct one_block *o)
{
    struct world_query query;
    const sonde_str *label = one_in(5) ? NULL : &labels_asked[rand() % 5];
    struct querier *q;
    bool good;

    world_query_make(&query, SPAN_S);
    CU_ASSERT_EQUAL_FATAL(
        block_querier(o->block, query.mint, query.maxt, &q, NULL), SONDE_OK);
    good = world_select_agrees(o->world, q, &query) &&
           world_values_agree(o->world, 0, q, &query, label);
    if (!good)
        world_query_note(&query);
    CU_ASSERT_TRUE(good);
    q->ops->free(q);
    world_query_fini(&query);
}

static void test_random_queries(void)
{
    struct one_block o;

    one_block_init(&o, "random", WORLD_SERIES, false);
    for (int i = 0; i < ROUNDS; i++)
        ask_random(&o);
    one_block_fini(&o);
}

static void test_random_queries_with_deletions(void)
{
    struct one_block o;

    one_block_init(&o, "deleted", WORLD_SERIES, true);
    for (int i = 0; i < ROUNDS; i++)
        ask_random(&o);
    one_block_fini(&o);
}

/* The numbers alone; all matchers' kinds are in random queries. */
static void test_select_numbers(void)
{
    struct one_block o;
    struct block_postings all;

    one_block_init(&o, "numbers", WORLD_SERIES, false);
    CU_ASSERT_EQUAL(
        block_postings(o.block, SONDE_STR(""), SONDE_STR(""), &all, NULL),
        SONDE_OK);
    for (int round = 0; round < 500; round++) {
        struct world_query query;
        struct refs refs = { 0 };
        uint32_t number = 0;
        size_t at = 0;

        world_query_make(&query, SPAN_S);
        CU_ASSERT_EQUAL(
            block_select(o.block, query.matchers, query.count, &refs, NULL),
            SONDE_OK);
        for (size_t i = 0; i < o.world->count; i++) {
            if (!o.world->sources[0].parts[i].count)
                continue;
            if (matchers_match(query.matchers, query.count,
                               &o.world->series[i]))
                CU_ASSERT_TRUE(at < refs.count &&
                               refs.items[at++] == block_posting(&all, number));
            number++;
        }
        CU_ASSERT_EQUAL(at, refs.count);
        refs_fini(&refs);
        world_query_fini(&query);
    }
    one_block_fini(&o);
}

static void test_limits(void)
{
    struct select_hints hints = { .mint = INT64_MIN,
                                  .maxt = INT64_MAX,
                                  .limit = 3 };
    struct storage_series *one;
    struct sonde_list values;
    struct series_set *set;
    struct one_block o;
    struct querier *q;
    int n = 0;

    one_block_init(&o, "limits", WORLD_SERIES, false);
    CU_ASSERT_EQUAL(block_querier(o.block, INT64_MIN, INT64_MAX, &q, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->select(q, NULL, 0, &hints, &set, NULL), SONDE_OK);
    while (set->ops->next(set, &one, NULL) == SONDE_OK)
        n++;
    CU_ASSERT_EQUAL(n, 3);
    set->ops->free(set);
    CU_ASSERT_EQUAL(q->ops->label_values(q, &labels_asked[0], NULL, 0, &hints,
                                         &o.world->arena, &values, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(values.count, 3);
    q->ops->free(q);
    one_block_fini(&o);
}

/* ---- damage ------------------------------------------------------------ */

/* Everything from a damaged block: an error that names its folder, or the
 * truth. Series after a damaged one are still there. */
static bool sound_or_error(struct one_block *o, struct block *b)
{
    struct columns got = { 0 }, want = { 0 };
    struct storage_series *one;
    struct sonde_err err = { 0 };
    struct series_set *set;
    struct querier *q;
    size_t series = 0, there = 0;
    bool good = true, failed = false;
    sonde_code rc;

    CU_ASSERT_EQUAL(block_querier(b, INT64_MIN, INT64_MAX, &q, NULL), SONDE_OK);
    rc = q->ops->select(q, NULL, 0, NULL, &set, &err);
    while (rc == SONDE_OK) {
        sonde_code next = set->ops->next(set, &one, &err);
        size_t i;

        if (next == SONDE_ENOTFOUND)
            break;
        failed = failed || next != SONDE_OK;
        if (next != SONDE_OK)
            continue;
        i = world_find(o->world, &one->labels);
        good = good && i < o->world->count;
        got.count = 0;
        if (one->ops->read(one, INT64_MIN, INT64_MAX, &got, &err) != SONDE_OK) {
            failed = true;
        } else if (good) {
            world_truth(o->world, i, INT64_MIN, INT64_MAX, &want);
            good = world_same(&got, &want);
        }
        series++;
    }
    if (rc == SONDE_OK)
        set->ops->free(set);
    else
        failed = true;
    for (size_t i = 0; i < o->world->count; i++)
        there += o->world->sources[0].parts[i].count > 0;
    good = good && (failed ? err.code == SONDE_ECORRUPT &&
                                 strstr(err.text, o->dir) != NULL
                           : series == there);
    if (failed && rc == SONDE_OK)
        good = good && series + 1 >= there;
    q->ops->free(q);
    columns_fini(&got);
    columns_fini(&want);
    return good;
}

/* Flips bits of each byte in turn; the block is mapped anew each time. */
static void flip_all(struct one_block *o, const char *file, uint8_t bits)
{
    char path[1024];
    uint8_t *map;
    off_t len;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", o->dir, file);
    fd = open(path, O_RDWR | O_CLOEXEC);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    len = lseek(fd, 0, SEEK_END);
    map = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CU_ASSERT_TRUE_FATAL(map != MAP_FAILED);
    for (off_t i = 0; i < len; i++) {
        struct sonde_err err = { 0 };
        struct block *b;

        map[i] ^= bits;
        if (block_open(o->dir, &b, &err) == SONDE_OK) {
            bool good = sound_or_error(o, b);

            if (!good)
                tap_note("%s: byte %lld ^ %#x", file, (long long)i, bits);
            CU_ASSERT_TRUE(good);
            block_unref(b);
        } else {
            CU_ASSERT_EQUAL(err.code, SONDE_ECORRUPT);
        }
        map[i] ^= bits;
    }
    (void)munmap(map, (size_t)len);
    (void)close(fd);
}

static void test_any_byte_damaged(void)
{
    struct one_block o;

    one_block_init(&o, "flips", 12, true);
    flip_all(&o, "index", 0x01);
    flip_all(&o, "index", 0xff);
    flip_all(&o, "chunks/000001", 0x10);
    CU_ASSERT_TRUE(sound_or_error(&o, o.block));
    one_block_fini(&o);
}

static const struct tap_test tests[] = {
    { "random queries", test_random_queries },
    { "random queries with deletions", test_random_queries_with_deletions },
    { "numbers of series", test_select_numbers },
    { "limits", test_limits },
    { "any byte damaged", test_any_byte_damaged },
};

int main(void)
{
    return TAP_RUN("block_query", tests);
}
