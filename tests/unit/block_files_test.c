/* SPDX-License-Identifier: Apache-2.0 */
/* block: meta.json, tombstones and chunk files, written, read and damaged. */
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/chunk_files.h"
#include "unit/tap.h"
#include "util/bytes.h"
#include "util/fs.h"

#define ULID_A "01M7XP3Y3HAACQ0EJKC0M1FJ0Z"
#define ULID_B "01M7XP3Y3HAACQ0EJKC0M1FJ1Z"

static char *folder(struct arena *a, const char *name)
{
    char *dir = (char *)arena_printf(a, "%s/%s", tap_tmpdir(), name).ptr;

    CU_ASSERT_EQUAL_FATAL(fs_mkdirs(dir, 0777, NULL), SONDE_OK);
    return dir;
}

static void put_file(struct arena *a, const char *dir, const char *name,
                     sonde_str text)
{
    CU_ASSERT_EQUAL_FATAL(
        fs_write_atomic(arena_printf(a, "%s/%s", dir, name).ptr, text, 0666,
                        NULL),
        SONDE_OK);
}

static sonde_str get_file(struct arena *a, const char *dir, const char *name)
{
    struct buf b;
    sonde_str copy;

    buf_init(&b);
    CU_ASSERT_EQUAL_FATAL(
        fs_read(arena_printf(a, "%s/%s", dir, name).ptr, 1 << 24, &b, NULL),
        SONDE_OK);
    copy = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return copy;
}

/* ---- meta.json ---------------------------------------------------------- */

/* As Prometheus 3 writes it. */
static const char meta_text[] =
    "{\n\t\"ulid\": \"" ULID_B "\",\n\t\"minTime\": -5,\n"
    "\t\"maxTime\": 1700006400000,\n\t\"stats\": {\n\t\t\"numSamples\": 30,\n"
    "\t\t\"numFloatSamples\": 20,\n\t\t\"numHistogramSamples\": 10,\n"
    "\t\t\"numSeries\": 3,\n\t\t\"numChunks\": 4\n\t},\n"
    "\t\"compaction\": {\n\t\t\"level\": 2,\n\t\t\"sources\": [\n"
    "\t\t\t\"" ULID_A "\",\n\t\t\t\"" ULID_B "\"\n\t\t],\n"
    "\t\t\"deletable\": true,\n"
    "\t\t\"parents\": [\n\t\t\t{\n\t\t\t\t\"ulid\": \"" ULID_A "\",\n"
    "\t\t\t\t\"minTime\": 1,\n\t\t\t\t\"maxTime\": 2\n\t\t\t}\n\t\t],\n"
    "\t\t\"failed\": true,\n"
    "\t\t\"hints\": [\n\t\t\t\"from-out-of-order\",\n"
    "\t\t\t\"of \\\"later\\\" versions\"\n\t\t]\n"
    "\t},\n\t\"version\": 1\n}";

static void test_meta(void)
{
    struct arena a;
    struct block_meta m, copy;
    const char *dir;

    arena_init(&a);
    dir = folder(&a, "meta");
    put_file(&a, dir, "meta.json", sonde_cstr(meta_text));
    CU_ASSERT_EQUAL_FATAL(block_meta_read(dir, &m, NULL), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(m.ulid.text, ULID_B);
    CU_ASSERT_EQUAL(m.mint, -5);
    CU_ASSERT_EQUAL(m.maxt, INT64_C(1700006400000));
    CU_ASSERT_EQUAL(m.stats.samples, 30);
    CU_ASSERT_EQUAL(m.stats.histogram_samples, 10);
    CU_ASSERT_EQUAL(m.stats.tombstones, 0);
    CU_ASSERT_EQUAL(m.level, 2);
    CU_ASSERT_EQUAL(m.source_count, 2);
    CU_ASSERT_EQUAL(m.parent_count, 1);
    CU_ASSERT(m.deletable && m.failed && m.from_out_of_order);
    CU_ASSERT_EQUAL(m.other_hint_count, 1);
    block_meta_copy(&copy, &m);
    block_meta_fini(&m);
    put_file(&a, dir, "meta.json", SONDE_STR(""));
    CU_ASSERT_EQUAL(block_meta_write(dir, &copy, NULL), SONDE_OK);
    CU_ASSERT(
        sonde_str_eq(get_file(&a, dir, "meta.json"), sonde_cstr(meta_text)));
    block_meta_fini(&copy);
    arena_fini(&a);
}

static void test_meta_others(void)
{
    static const struct {
        int line;
        const char *text;
        sonde_code code;
    } cases[] = {
        { __LINE__,
          "{\"ulid\":\"" ULID_A "\",\"minTime\":1,\"maxTime\":2,\"version\":1,"
          "\"thanos\":{\"labels\":{}},\"stats\":{\"numNew\":1}}",
          SONDE_OK },
        { __LINE__, "", SONDE_ECORRUPT },
        { __LINE__, "[]", SONDE_ECORRUPT },
        { __LINE__, "{\"ulid\":\"" ULID_A "\",\"version\":1}", SONDE_ECORRUPT },
        { __LINE__,
          "{\"ulid\":\"x\",\"minTime\":1,\"maxTime\":2,\"version\":1}",
          SONDE_ECORRUPT },
        { __LINE__,
          "{\"ulid\":\"" ULID_A "\",\"minTime\":1,\"maxTime\":2,\"version\":3}",
          SONDE_ECORRUPT },
        { __LINE__,
          "{\"ulid\":\"" ULID_A "\",\"minTime\":3,\"maxTime\":2,\"version\":1}",
          SONDE_ECORRUPT },
        { __LINE__,
          "{\"ulid\":\"" ULID_A "\",\"minTime\":1,\"maxTime\":2,\"version\":1,"
          "\"compaction\":{\"sources\":[7]}}",
          SONDE_ECORRUPT },
    };
    struct arena a;
    const char *dir;

    arena_init(&a);
    dir = folder(&a, "meta_others");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct block_meta m;
        struct sonde_err err = { 0 };

        put_file(&a, dir, "meta.json", sonde_cstr(cases[i].text));
        ROW_ASSERT(&cases[i], block_meta_read(dir, &m, &err) == cases[i].code);
        if (cases[i].code)
            ROW_ASSERT(&cases[i], strstr(err.text, "meta.json") != NULL);
        block_meta_fini(&m);
    }
    arena_fini(&a);
}

/* ---- tombstones --------------------------------------------------------- */

static void test_tombstones_merge(void)
{
    static const struct {
        int line;
        struct time_range in[4], out[4];
        size_t count;
    } cases[] = {
        { __LINE__, { { 1, 2 } }, { { 1, 2 } }, 1 },
        { __LINE__, { { 1, 2 }, { 3, 4 } }, { { 1, 4 } }, 1 },
        { __LINE__, { { 3, 4 }, { 1, 2 } }, { { 1, 4 } }, 1 },
        { __LINE__, { { 1, 2 }, { 4, 5 } }, { { 1, 2 }, { 4, 5 } }, 2 },
        { __LINE__, { { 4, 5 }, { 1, 2 } }, { { 1, 2 }, { 4, 5 } }, 2 },
        { __LINE__, { { 1, 9 }, { 2, 3 } }, { { 1, 9 } }, 1 },
        { __LINE__, { { 2, 3 }, { 1, 9 } }, { { 1, 9 } }, 1 },
        { __LINE__,
          { { 1, 1 }, { 5, 5 }, { 9, 9 }, { 0, 8 } },
          { { 0, 9 } },
          1 },
        { __LINE__,
          { { 1, 1 }, { 5, 5 }, { 9, 9 }, { 4, 6 } },
          { { 1, 1 }, { 4, 6 }, { 9, 9 } },
          3 },
        { __LINE__,
          { { INT64_MIN, INT64_MAX }, { 3, 4 } },
          { { INT64_MIN, INT64_MAX } },
          1 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct tombstones t = { 0 };

        for (size_t j = 0; j < 4; j++)
            if (cases[i].in[j].mint || cases[i].in[j].maxt)
                tombstones_add(&t, 7, cases[i].in[j]);
        ROW_ASSERT(&cases[i], t.count == 1);
        ROW_ASSERT(&cases[i], tombstones_ranges(&t) == cases[i].count);
        ROW_ASSERT(&cases[i],
                   memcmp(t.items[0].ranges, cases[i].out,
                          cases[i].count * sizeof(*cases[i].out)) == 0);
        tombstones_fini(&t);
    }
}

static void test_tombstones_apply(void)
{
    struct tombstones t = { 0 };
    struct columns c = { 0 };
    static const sonde_msec left[] = { 1, 2, 3, 4, 8, 9, 10 };

    tombstones_add(&t, 3, (struct time_range){ 7, 7 });
    tombstones_add(&t, 3, (struct time_range){ 5, 6 });
    tombstones_add(&t, 3, (struct time_range){ 0, 0 });
    tombstones_add(&t, 3, (struct time_range){ 12, 99 });
    for (sonde_msec i = 1; i <= 4; i++) /* not to be touched */
        columns_push(&c, i, 0);
    for (sonde_msec i = 5; i <= 13; i++)
        if (i != 11)
            columns_push(&c, i, (double)i);
    tombstones_apply(tombstones_get(&t, 4), &c, 4);
    CU_ASSERT_EQUAL(c.count, 12);
    tombstones_apply(tombstones_get(&t, 3), &c, 4);
    CU_ASSERT_EQUAL_FATAL(c.count, 7);
    CU_ASSERT_EQUAL(memcmp(c.t, left, sizeof(left)), 0);
    CU_ASSERT_EQUAL(c.v[6], 10);
    columns_fini(&c);
    tombstones_fini(&t);
}

static void test_tombstones_file(void)
{
    static const char golden[] =
        "\x01\x30\xba\x30\x01"
        "\x03\x80\xc0\xb8\x84\xfa\x62\xc0\xf8\xba\x84\xfa\x62"
        "\x05\x80\xc0\xb8\x84\xfa\x62\xb0\xaa\xba\x84\xfa\x62\x05\x17\xa9\x0c";
    static const sonde_msec base = INT64_C(1700006400000);
    sonde_str bytes = { golden, sizeof(golden) - 1 };
    struct tombstones t = { 0 }, read;
    struct arena a;
    const char *dir;

    arena_init(&a);
    dir = folder(&a, "tombstones");
    CU_ASSERT_EQUAL(tombstones_read(dir, &read, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(read.count, 0);
    tombstones_add(&t, 5, (struct time_range){ base, base + 15000 });
    tombstones_add(&t, 3, (struct time_range){ base, base + 20000 });
    CU_ASSERT_EQUAL(tombstones_write(dir, &t, NULL), SONDE_OK);
    CU_ASSERT(sonde_str_eq(get_file(&a, dir, "tombstones"), bytes));
    CU_ASSERT_EQUAL_FATAL(tombstones_read(dir, &read, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(read.count, 2);
    CU_ASSERT_EQUAL(read.items[1].ranges[0].maxt, base + 15000);
    tombstones_fini(&read);
    for (size_t i = 0; i < bytes.len; i++) {
        char *copy = arena_cstr(&a, bytes);

        copy[i] ^= 0x10;
        put_file(&a, dir, "tombstones", (sonde_str){ copy, bytes.len });
        CU_ASSERT_EQUAL(tombstones_read(dir, &read, NULL), SONDE_ECORRUPT);
        put_file(&a, dir, "tombstones", (sonde_str){ bytes.ptr, i });
        CU_ASSERT_EQUAL(tombstones_read(dir, &read, NULL), SONDE_ECORRUPT);
    }
    tombstones_fini(&t);
    arena_fini(&a);
}

/* ---- chunk files -------------------------------------------------------- */

static void test_chunk_files(void)
{
    static const char bytes[100] = { 0, 5, 'x' };
    struct arena a;
    struct chunk_writer w;
    struct chunk_files f;
    uint64_t refs[20];
    const char *dir;

    arena_init(&a);
    dir = folder(&a, "chunk_files");
    CU_ASSERT_EQUAL_FATAL(chunk_writer_init(&w, dir, 64, NULL), SONDE_OK);
    for (size_t i = 0; i < 20; i++) {
        struct chunk c = {
            CHUNK_XOR, { bytes, i == 9 ? 100 : 10 + i }, 0, 0, 5
        };

        CU_ASSERT_EQUAL(chunk_writer_add(&w, &c, &refs[i], NULL), SONDE_OK);
    }
    CU_ASSERT_EQUAL(chunk_writer_close(&w, NULL), SONDE_OK);
    chunk_writer_fini(&w);
    CU_ASSERT_EQUAL(refs[0], 8);
    CU_ASSERT_EQUAL_FATAL(chunk_files_open(dir, &f, NULL), SONDE_OK);
    CU_ASSERT(f.count > 8);
    for (size_t i = 0; i < 20; i++) {
        enum chunk_encoding encoding;
        sonde_str data;

        CU_ASSERT_EQUAL(
            chunk_files_get(&f, refs[i], &encoding, &data, NULL, NULL),
            SONDE_OK);
        CU_ASSERT_EQUAL(encoding, CHUNK_XOR);
        CU_ASSERT_EQUAL(data.len, i == 9 ? 100 : 10 + i);
        CU_ASSERT_EQUAL(memcmp(data.ptr, bytes, data.len), 0);
    }
    for (uint64_t ref = 0; ref < 200; ref++) { /* no damage makes it crash */
        enum chunk_encoding encoding;
        sonde_str data;
        sonde_code rc = chunk_files_get(&f, ref, &encoding, &data, NULL, NULL);

        CU_ASSERT(ref == refs[0] || ref == refs[1] || ref == refs[2] ||
                  rc == SONDE_ECORRUPT);
    }
    chunk_files_close(&f);
    arena_fini(&a);
}

static void test_chunk_damage(void)
{
    struct arena a;
    struct chunk_writer w;
    struct chunk c = { CHUNK_XOR, SONDE_STR("0123456789"), 0, 0, 5 };
    uint64_t ref;
    const char *dir;
    sonde_str file;

    arena_init(&a);
    dir = folder(&a, "chunk_damage");
    CU_ASSERT_EQUAL_FATAL(chunk_writer_init(&w, dir, 0, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(chunk_writer_add(&w, &c, &ref, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(chunk_writer_close(&w, NULL), SONDE_OK);
    chunk_writer_fini(&w);
    file = get_file(&a, dir, "chunks/000001");
    for (size_t i = 0; i < file.len; i++) {
        char *copy = arena_cstr(&a, file);
        enum chunk_encoding encoding;
        sonde_str data;
        struct chunk_files f;
        sonde_code rc;

        copy[i] ^= 0x81;
        put_file(&a, dir, "chunks/000001", (sonde_str){ copy, file.len });
        rc = chunk_files_open(dir, &f, NULL);
        if (rc == SONDE_OK)
            rc = chunk_files_get(&f, ref, &encoding, &data, NULL, NULL);
        /* the three bytes of padding say nothing */
        CU_ASSERT_EQUAL(rc, i >= 5 && i < 8 ? SONDE_OK : SONDE_ECORRUPT);
        chunk_files_close(&f);
    }
    arena_fini(&a);
}

static const struct tap_test tests[] = {
    { "meta.json is read and written as Prometheus does", test_meta },
    { "meta.json of others and damaged ones", test_meta_others },
    { "deleted ranges are merged where they touch", test_tombstones_merge },
    { "deleted samples are taken out of columns", test_tombstones_apply },
    { "the tombstones file, its bytes and any damage", test_tombstones_file },
    { "chunk files are filled up to the limit and read", test_chunk_files },
    { "every flipped byte of a chunk file is found", test_chunk_damage },
};

int main(void)
{
    return TAP_RUN("block_files", tests);
}
