/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block: damage. Every byte of a small block is changed, and its files are
 * cut at every length: opening or verifying finds it, or what is read is
 * what was written (the byte meant nothing). Never a crash.
 */
#include "block/block.h"
#include "unit/block_kit.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/crc32c.h"

#define SERIES 5
#define CHUNKS 2

static void digest_chunks(const struct block *b, const struct block_series *s,
                          struct buf *out)
{
    for (size_t i = 0; i < s->chunk_count; i++) {
        enum chunk_encoding encoding = CHUNK_NONE;
        sonde_str data = { 0 };

        buf_int(out, s->chunks[i].mint);
        buf_int(out, s->chunks[i].maxt);
        buf_int(out, block_chunk(b, s->chunks[i].ref, &encoding, &data, NULL));
        buf_int(out, encoding);
        buf_put(out, data);
    }
}

struct digest {
    const struct block *b;
    struct buf *out;
    sonde_str name;
};

static void digest_list(struct digest *d, const struct block_postings *p)
{
    struct block_series s = { 0 };

    for (uint32_t i = 0; i < p->count; i++) {
        buf_int(d->out, block_series(d->b, block_posting(p, i), &s, NULL));
        for (size_t j = 0; j < s.pair_count; j++) {
            buf_put(d->out, block_symbol(d->b, s.pairs[j].name));
            buf_put(d->out, block_symbol(d->b, s.pairs[j].value));
        }
        digest_chunks(d->b, &s, d->out);
    }
    block_series_fini(&s);
}

static bool on_value(void *arg, sonde_str value, uint64_t offset)
{
    struct digest *d = arg;
    struct block_postings p;

    buf_put(d->out, value);
    buf_int(d->out, block_postings_at(d->b, offset, &p, NULL));
    digest_list(d, &p);
    return true;
}

static bool on_name(void *arg, sonde_str name)
{
    struct digest *d = arg;

    buf_put(d->out, name);
    block_values(d->b, name, on_value, d);
    return true;
}

/* All that can be read of a block. */
static void digest(const struct block *b, struct buf *out)
{
    struct digest d = { b, out, { 0 } };
    struct block_postings all;

    buf_reset(out);
    block_names(b, on_name, &d);
    buf_int(out, block_postings(b, SONDE_STR(""), SONDE_STR(""), &all, NULL));
    digest_list(&d, &all);
    buf_int(out, (int64_t)tombstones_ranges(block_tombstones(b)));
}

static void put_file(const char *path, sonde_str data)
{
    FILE *f = fopen(path, "wb");

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fwrite(data.ptr, 1, data.len, f), data.len);
    (void)fclose(f);
}

static void count_fault(void *arg, const struct block_fault *f)
{
    CU_ASSERT(f->what && f->what[0] && f->file[0]);
    ++*(unsigned *)arg;
}

/* True if the damage was found. */
static bool found(const char *dir, sonde_str whole, bool may_differ)
{
    struct block *b;
    struct sonde_err err = { 0 };
    struct buf now;
    unsigned faults = 0;
    sonde_code rc = block_open(dir, &b, &err);

    if (rc != SONDE_OK) {
        CU_ASSERT(rc == SONDE_ECORRUPT || rc == SONDE_ENOTFOUND);
        CU_ASSERT(err.text[0]);
        return true;
    }
    buf_init(&now);
    digest(b, &now); /* reads all of it, whatever it is */
    rc = block_verify(b, count_fault, &faults, &err);
    CU_ASSERT_EQUAL(rc != SONDE_OK, faults > 0);
    if (rc == SONDE_OK && !may_differ)
        CU_ASSERT(sonde_str_eq(whole, buf_str(&now)));
    buf_fini(&now);
    block_unref(b);
    return rc != SONDE_OK;
}

static unsigned flip_all(const char *dir, const char *path, sonde_str whole,
                         bool may_differ)
{
    static const uint8_t masks[] = { 0x01, 0x80, 0x7f };
    struct buf file;
    unsigned missed = 0;

    buf_init(&file);
    CU_ASSERT_EQUAL_FATAL(fs_read(path, 1 << 20, &file, NULL), SONDE_OK);
    for (size_t i = 0; i < file.len; i++) {
        for (size_t m = 0; m < sizeof(masks); m++) {
            file.data[i] ^= (char)masks[m];
            put_file(path, buf_str(&file));
            missed += !found(dir, whole, may_differ);
            file.data[i] ^= (char)masks[m];
        }
    }
    for (size_t n = 0; n < file.len; n++) {
        put_file(path, (sonde_str){ file.data, n });
        if (!found(dir, whole, may_differ))
            tap_note("%s cut at %zu", path, n);
        CU_ASSERT(found(dir, whole, may_differ));
    }
    put_file(path, buf_str(&file));
    buf_fini(&file);
    return missed;
}

static void test_flips(void)
{
    static const struct {
        int line;
        const char *file;
        unsigned missed_max; /* of three flips a byte                     */
        bool may_differ;
    } cases[] = {
        { __LINE__, "index", 3 * 150, false }, /* zeros before series...   */
        { __LINE__, "chunks/000001", 3 * 3, false }, /* padding of a header */
        { __LINE__, "tombstones", 0, false },
        { __LINE__, "meta.json", 3 * 400, true }, /* has no checksum        */
    };
    struct arena a;
    struct tombstones stones = { 0 };
    struct kit_block kb;
    struct block *b;
    struct buf whole;
    struct sonde_err err = { 0 };

    arena_init(&a);
    buf_init(&whole);
    tombstones_add(&stones, 15, (struct time_range){ 1, 2 });
    kb = kit_write(tap_tmpdir(), SERIES, CHUNKS, &stones);
    CU_ASSERT_EQUAL_FATAL(block_open(kb.dir, &b, &err), SONDE_OK);
    if (block_verify(b, NULL, NULL, &err) != SONDE_OK)
        tap_note("%s", err.text);
    CU_ASSERT_EQUAL(block_verify(b, NULL, NULL, &err), SONDE_OK);
    digest(b, &whole);
    block_unref(b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *path = arena_printf(&a, "%s/%s", kb.dir, cases[i].file).ptr;
        unsigned missed =
            flip_all(kb.dir, path, buf_str(&whole), cases[i].may_differ);

        tap_note("%s: %u flips mean nothing", cases[i].file, missed);
        ROW_ASSERT(&cases[i], missed <= cases[i].missed_max);
    }
    CU_ASSERT_FALSE(found(kb.dir, buf_str(&whole), false));
    tombstones_fini(&stones);
    free(kb.dir);
    buf_fini(&whole);
    arena_fini(&a);
}

static void test_missing(void)
{
    static const struct {
        int line;
        const char *file;
        sonde_code code;
    } cases[] = {
        { __LINE__, "meta.json", SONDE_ENOTFOUND },
        { __LINE__, "index", SONDE_ECORRUPT },
        { __LINE__, "chunks", SONDE_ECORRUPT },
        { __LINE__, "tombstones", SONDE_OK },
    };
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct kit_block kb = kit_write(tap_tmpdir(), SERIES, CHUNKS, NULL);
        struct block *b;

        CU_ASSERT_EQUAL_FATAL(
            fs_remove_all(arena_printf(&a, "%s/%s", kb.dir, cases[i].file).ptr,
                          NULL),
            SONDE_OK);
        ROW_ASSERT(&cases[i], block_open(kb.dir, &b, NULL) == cases[i].code);
        block_unref(b);
        free(kb.dir);
    }
    arena_fini(&a);
}

static void test_renamed(void)
{
    struct kit_block kb = kit_write(tap_tmpdir(), SERIES, CHUNKS, NULL);
    struct arena a;
    struct block *b;
    struct sonde_err err = { 0 };
    struct ulid other = ulid_new(1);
    const char *to;

    arena_init(&a);
    to = arena_printf(&a, "%s/%s", tap_tmpdir(), other.text).ptr;
    CU_ASSERT_EQUAL_FATAL(rename(kb.dir, to), 0);
    CU_ASSERT_EQUAL(block_open(to, &b, &err), SONDE_ECORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, kb.ulid.text));
    free(kb.dir);
    arena_fini(&a);
}

/* A lie that has a good checksum: verifying compares both sides. */
static void test_wrong_list(void)
{
    struct kit_block kb = kit_write(tap_tmpdir(), SERIES, CHUNKS, NULL);
    struct arena a;
    struct block *b;
    struct buf file;
    struct block_postings p;
    struct sonde_err err = { 0 };
    const char *path;

    arena_init(&a);
    buf_init(&file);
    path = arena_printf(&a, "%s/index", kb.dir).ptr;
    CU_ASSERT_EQUAL_FATAL(fs_read(path, 1 << 20, &file, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(block_open(kb.dir, &b, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(
        block_postings(b, SONDE_STR("i"), SONDE_STR("000001"), &p, NULL),
        SONDE_OK);
    block_unref(b);
    for (size_t at = 0; at + 12 <= file.len; at += 4) {
        uint8_t *list = (uint8_t *)file.data + at;

        /* of i="000001": length 8, one number; it becomes i="000002"'s */
        if (be32_get(list) != 8 || be32_get(list + 4) != 1)
            continue;
        be32_put(list + 8, be32_get(list + 8) == 4 ? 5 : 4);
        be32_put(list + 12, crc32c(0, list + 4, 8));
        break;
    }
    put_file(path, buf_str(&file));
    CU_ASSERT_EQUAL_FATAL(block_open(kb.dir, &b, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(block_verify(b, NULL, NULL, &err), SONDE_ECORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "do not agree"));
    block_unref(b);
    free(kb.dir);
    buf_fini(&file);
    arena_fini(&a);
}

static const struct tap_test tests[] = {
    { "every flipped byte and every cut is found or harmless", test_flips },
    { "missing files", test_missing },
    { "a folder under the name of another block", test_renamed },
    { "postings that lie", test_wrong_list },
};

int main(void)
{
    return TAP_RUN("block_damage", tests);
}
