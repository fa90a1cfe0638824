/* SPDX-License-Identifier: Apache-2.0 */
/* block: what is written is read again, in any size; misuse is refused. */
#include <dirent.h>

#include "block/block.h"
#include "block/posting_runs.h"
#include "unit/block_kit.h"
#include "util/arena.h"

static char *folder(struct arena *a, const char *name)
{
    char *dir = (char *)arena_printf(a, "%s/%s", tap_tmpdir(), name).ptr;

    CU_ASSERT_EQUAL_FATAL(fs_mkdirs(dir, 0777, NULL), SONDE_OK);
    return dir;
}

static bool count_name(void *arg, sonde_str name)
{
    CU_ASSERT(name.len > 0);
    return ++*(unsigned *)arg < 1000;
}

static bool count_value(void *arg, sonde_str value, uint64_t offset)
{
    CU_ASSERT(value.len > 0 && offset > 0);
    return ++*(unsigned *)arg < 1000000;
}

static void check_series(const struct block *b, uint32_t number, unsigned i,
                         unsigned chunks)
{
    struct block_series s = { 0 };
    char text[16];

    CU_ASSERT_EQUAL_FATAL(block_series(b, number, &s, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(s.pair_count, 3);
    CU_ASSERT_EQUAL_FATAL(s.chunk_count, chunks);
    (void)snprintf(text, sizeof(text), "%06u", i);
    CU_ASSERT(
        sonde_str_eq(block_symbol(b, s.pairs[1].value), sonde_cstr(text)));
    CU_ASSERT(
        sonde_str_eq(block_symbol(b, s.pairs[0].name), SONDE_STR("__name__")));
    for (unsigned c = 0; c < chunks; c++) {
        uint8_t want[256];
        struct chunk k = kit_chunk(want, c * KIT_SAMPLES * KIT_STEP, i);
        enum chunk_encoding encoding;
        sonde_str data;

        CU_ASSERT_EQUAL(s.chunks[c].mint, k.mint);
        CU_ASSERT_EQUAL(s.chunks[c].maxt, k.maxt);
        CU_ASSERT_EQUAL_FATAL(
            block_chunk(b, s.chunks[c].ref, &encoding, &data, NULL), SONDE_OK);
        CU_ASSERT_EQUAL(encoding, CHUNK_XOR);
        CU_ASSERT(sonde_str_eq(data, k.data));
    }
    block_series_fini(&s);
}

static void check_block(const struct block *b, unsigned n, unsigned chunks)
{
    struct block_postings all, p;
    unsigned count = 0, in_mods = 0;
    char text[16];

    CU_ASSERT_EQUAL(block_symbol_count(b), n + 11);
    CU_ASSERT_EQUAL_FATAL(
        block_postings(b, SONDE_STR(""), SONDE_STR(""), &all, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(all.count, n);
    for (unsigned i = 0; i < n; i++) {
        check_series(b, block_posting(&all, i), i, chunks);
        (void)snprintf(text, sizeof(text), "%06u", i);
        CU_ASSERT_EQUAL(
            block_postings(b, SONDE_STR("i"), sonde_cstr(text), &p, NULL),
            SONDE_OK);
        CU_ASSERT_EQUAL_FATAL(p.count, 1);
        CU_ASSERT_EQUAL(block_posting(&p, 0), block_posting(&all, i));
    }
    for (unsigned m = 0; m < 7 && m < n; m++) {
        (void)snprintf(text, sizeof(text), "9-%u", m);
        CU_ASSERT_EQUAL(
            block_postings(b, SONDE_STR("mod"), sonde_cstr(text), &p, NULL),
            SONDE_OK);
        for (uint32_t i = 0; i < p.count; i++)
            CU_ASSERT_EQUAL(block_posting(&p, i),
                            block_posting(&all, m + i * 7));
        in_mods += p.count;
    }
    CU_ASSERT_EQUAL(in_mods, n);
    block_names(b, count_name, &count);
    CU_ASSERT_EQUAL(count, 3);
    count = 0;
    block_values(b, SONDE_STR("i"), count_value, &count);
    CU_ASSERT_EQUAL(count, n);
}

static void test_round_trip(void)
{
    static const struct {
        int line;
        unsigned n, chunks;
    } cases[] = {
        { __LINE__, 1, 1 },  { __LINE__, 2, 3 },  { __LINE__, 15, 2 },
        { __LINE__, 16, 1 }, { __LINE__, 17, 1 }, { __LINE__, 32, 1 },
        { __LINE__, 33, 8 }, { __LINE__, 64, 1 }, { __LINE__, 3000, 2 },
    };
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *dir = folder(&a, "round");
        struct kit_block kb = kit_write(dir, cases[i].n, cases[i].chunks, NULL);
        struct sonde_err err = { 0 };
        struct block *b;

        ROW_ASSERT(&cases[i], block_open(kb.dir, &b, &err) == SONDE_OK);
        if (b) {
            check_block(b, cases[i].n, cases[i].chunks);
            CU_ASSERT_STRING_EQUAL(block_meta(b)->ulid.text, kb.ulid.text);
            CU_ASSERT_EQUAL(block_meta(b)->level, 1);
            CU_ASSERT_EQUAL(block_meta(b)->source_count, 1);
            CU_ASSERT(block_bytes(b) > 100);
        } else {
            tap_note("%s", err.text);
        }
        block_unref(b);
        free(kb.dir);
    }
    arena_fini(&a);
}

static bool no_value(void *arg, sonde_str value, uint64_t offset)
{
    (void)value;
    (void)offset;
    *(bool *)arg = true;
    return true;
}

static void test_absent(void)
{
    static const struct {
        int line;
        const char *name, *value;
    } cases[] = {
        { __LINE__, "i", "" },     { __LINE__, "i", "000003x" },
        { __LINE__, "i", "0" },    { __LINE__, "i", "zz" },
        { __LINE__, "j", "x" },    { __LINE__, "", "x" },
        { __LINE__, "zz", "000" }, { __LINE__, "__name__", "i" },
    };
    struct arena a;
    struct kit_block kb;
    struct block *b;
    uint32_t number;
    bool any = false;

    arena_init(&a);
    kb = kit_write(folder(&a, "absent"), 100, 1, NULL);
    CU_ASSERT_EQUAL_FATAL(block_open(kb.dir, &b, NULL), SONDE_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct block_postings p;

        ROW_ASSERT(&cases[i], block_postings(b, sonde_cstr(cases[i].name),
                                             sonde_cstr(cases[i].value), &p,
                                             NULL) == SONDE_OK);
        ROW_ASSERT(&cases[i], p.count == 0);
    }
    block_values(b, SONDE_STR("j"), no_value, &any);
    CU_ASSERT_FALSE(any);
    CU_ASSERT_FALSE(block_symbol_find(b, SONDE_STR("000003x"), &number));
    CU_ASSERT_TRUE(block_symbol_find(b, SONDE_STR("000003"), &number));
    CU_ASSERT_EQUAL(number, 3);
    CU_ASSERT_EQUAL(block_symbol(b, 100 + 11).len, 0);
    block_unref(b);
    free(kb.dir);
    arena_fini(&a);
}

static size_t entries(const char *dir)
{
    struct fs_names names;
    size_t n;

    CU_ASSERT_EQUAL_FATAL(fs_list(dir, &names, NULL), SONDE_OK);
    n = names.count;
    fs_names_fini(&names);
    return n;
}

static void test_misuse(void)
{
    static const struct {
        int line;
        struct block_pair pairs[2][2];
        sonde_msec t[2];
    } cases[] = {
        { __LINE__, { { { 0, 1 }, { 1, 1 } }, { { 0, 1 }, { 1, 1 } } }, { 0 } },
        { __LINE__, { { { 0, 1 }, { 1, 1 } }, { { 0, 1 }, { 1, 0 } } }, { 0 } },
        { __LINE__, { { { 1, 1 }, { 2, 1 } }, { { 0, 1 }, { 1, 0 } } }, { 0 } },
        { __LINE__, { { { 1, 1 }, { 0, 1 } } }, { 0 } },
        { __LINE__, { { { 0, 1 }, { 0, 2 } } }, { 0 } },
        { __LINE__, { { { 0, 1 }, { 3, 1 } } }, { 0 } },
        { __LINE__, { { { 0, 1 }, { 1, 3 } } }, { 0 } },
        { __LINE__, { { { 0, 1 }, { 1, 1 } } }, { 9, 4009 } },
    };
    struct arena a;
    const char *dir;

    arena_init(&a);
    dir = folder(&a, "misuse");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct block_writer_options options = { .ulid = ulid_new(1) };
        struct block_meta meta = { 0 };
        struct block_writer *w;
        struct sonde_err err = { 0 };

        CU_ASSERT_EQUAL_FATAL(block_writer_new(dir, &options, &w, NULL),
                              SONDE_OK);
        (void)block_writer_symbol(w, SONDE_STR("a"));
        (void)block_writer_symbol(w, SONDE_STR("b"));
        (void)block_writer_symbol(w, SONDE_STR("c"));
        for (int s = 0; s < 2; s++) {
            uint8_t data[2][256];
            struct chunk list[2] = { kit_chunk(data[0], cases[i].t[0], 1),
                                     kit_chunk(data[1], cases[i].t[1], 1) };

            sonde_code rc = block_writer_series(w, cases[i].pairs[s], 2, list,
                                                cases[i].t[1] ? 2 : 1, NULL);

            ROW_ASSERT(&cases[i], rc == SONDE_OK || rc == SONDE_EINVAL);
        }
        ROW_ASSERT(&cases[i],
                   block_writer_finish(w, &meta, NULL, &err) == SONDE_EINVAL);
        ROW_ASSERT(&cases[i], strstr(err.text, options.ulid.text) != NULL);
        ROW_ASSERT(&cases[i], entries(dir) == 0);
        block_meta_fini(&meta);
    }
    arena_fini(&a);
}

static void test_nothing(void)
{
    struct arena a;
    struct block_writer_options options = { .ulid = ulid_new(1) };
    struct block_meta meta = { 0 };
    struct block_writer *w;
    const char *dir;

    arena_init(&a);
    dir = folder(&a, "nothing");
    CU_ASSERT_EQUAL_FATAL(block_writer_new(dir, &options, &w, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(block_writer_symbol(w, SONDE_STR("a")), 0);
    CU_ASSERT_EQUAL(block_writer_finish(w, &meta, NULL, NULL), SONDE_ENOTFOUND);
    CU_ASSERT_EQUAL(entries(dir), 0);
    CU_ASSERT_EQUAL_FATAL(block_writer_new(dir, &options, &w, NULL), SONDE_OK);
    (void)block_writer_symbol(w, SONDE_STR("b"));
    (void)block_writer_symbol(w, SONDE_STR("a"));
    CU_ASSERT_EQUAL(block_writer_finish(w, &meta, NULL, NULL), SONDE_EINVAL);
    block_meta_fini(&meta);
    arena_fini(&a);
}

static void test_drop(void)
{
    struct arena a;
    struct kit_block kb;
    struct block *b;
    const char *dir;

    arena_init(&a);
    dir = folder(&a, "drop");
    kb = kit_write(dir, 3, 1, NULL);
    CU_ASSERT_EQUAL_FATAL(block_open(kb.dir, &b, NULL), SONDE_OK);
    CU_ASSERT_PTR_EQUAL(block_ref(b), b);
    block_drop(b);
    block_unref(b);
    CU_ASSERT_EQUAL(entries(dir), 1);
    block_unref(b);
    CU_ASSERT_EQUAL(entries(dir), 0);
    free(kb.dir);
    arena_fini(&a);
}

static void test_tombstones(void)
{
    struct arena a;
    struct tombstones stones = { 0 }, more = { 0 };
    const struct tombstones *before;
    struct kit_block kb;
    struct block *b;

    arena_init(&a);
    tombstones_add(&stones, 9, (struct time_range){ 1, 2 });
    tombstones_add(&more, 9, (struct time_range){ 5, 6 });
    tombstones_add(&more, 4, (struct time_range){ 5, 6 });
    kb = kit_write(folder(&a, "stones"), 3, 1, &stones);
    for (int round = 0; round < 2; round++) { /* the second from the disk */
        CU_ASSERT_EQUAL_FATAL(block_open(kb.dir, &b, NULL), SONDE_OK);
        before = block_tombstones(b);
        CU_ASSERT_EQUAL(before->count, round ? 2 : 1);
        CU_ASSERT_EQUAL(block_meta(b)->stats.tombstones, round ? 3 : 1);
        CU_ASSERT_EQUAL(block_add_tombstones(b, &more, NULL), SONDE_OK);
        CU_ASSERT_EQUAL(tombstones_ranges(block_tombstones(b)), 3);
        CU_ASSERT_EQUAL(block_meta(b)->stats.tombstones, 3);
        CU_ASSERT_EQUAL(before->count, round ? 2 : 1);
        block_unref(b);
    }
    tombstones_fini(&stones);
    tombstones_fini(&more);
    free(kb.dir);
    arena_fini(&a);
}

/* Against a plain table: many runs, pairs in few and in all of them. */
static void test_runs(void)
{
    enum {
        SERIES = 5000,
        VALUES = 5000
    };
    struct arena a;
    struct posting_runs r;
    struct block_pair pair, last = { 0, 0 };
    uint64_t count, total = 0, groups = 0;
    const char *dir;

    arena_init(&a);
    dir = folder(&a, "runs");
    CU_ASSERT_EQUAL_FATAL(posting_runs_init(&r, dir, 20000, NULL), SONDE_OK);
    for (uint32_t i = 0; i < SERIES; i++) {
        posting_runs_add(&r, (struct block_pair){ 5, 70000 }, i);
        posting_runs_add(&r, (struct block_pair){ 6, i * 7919 % VALUES }, i);
        posting_runs_add(&r, (struct block_pair){ 3000000, i % 3 }, i);
    }
    CU_ASSERT_EQUAL_FATAL(posting_runs_merge(&r, NULL), SONDE_OK);
    CU_ASSERT(r.run_count > 10);
    while (posting_runs_next(&r, &pair, &count)) {
        uint32_t part[7], before = 0;
        size_t n;
        uint64_t read = 0;

        CU_ASSERT(pair.name > last.name ||
                  (pair.name == last.name && pair.value > last.value));
        while ((n = posting_runs_read(&r, part, 7))) {
            for (size_t i = 0; i < n; i++) {
                CU_ASSERT(!read || part[i] > before);
                before = part[i];
                read++;
                CU_ASSERT(pair.name != 6 ||
                          before * 7919 % VALUES == pair.value);
                CU_ASSERT(pair.name < 7 || before % 3 == pair.value);
            }
        }
        CU_ASSERT_EQUAL(read, count);
        total += read;
        groups++;
        last = pair;
    }
    CU_ASSERT_EQUAL(total, 3 * SERIES);
    CU_ASSERT_EQUAL(groups, 1 + VALUES + 3);
    CU_ASSERT_FALSE(r.damaged);
    posting_runs_fini(&r);
    CU_ASSERT_EQUAL(entries(dir), 0);
    arena_fini(&a);
}

static const struct tap_test tests[] = {
    { "blocks of any size are read as they were written", test_round_trip },
    { "what is not there is not found", test_absent },
    { "what is out of order is refused and leaves nothing", test_misuse },
    { "a block without series is not made", test_nothing },
    { "a dropped block goes with its last user", test_drop },
    { "deletions are added, counted, and stay", test_tombstones },
    { "postings are sorted through many runs", test_runs },
};

int main(void)
{
    return TAP_RUN("block_round", tests);
}
