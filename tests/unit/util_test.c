/* SPDX-License-Identifier: Apache-2.0 */
/* util: arena, buf, bytes, crc32c, str, fs. */
#include <string.h>

#include "unit/tap.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/fs.h"
#include "util/str.h"

static void test_arena(void)
{
    struct arena a;

    arena_init(&a);
    for (size_t i = 1; i < 5000; i += 7) {
        char *p = arena_alloc(&a, i);

        CU_ASSERT_EQUAL((uintptr_t)p % _Alignof(max_align_t), 0);
        memset(p, 0xff, i);
    }
    arena_reset(&a);
    CU_ASSERT_EQUAL(*(char *)arena_alloc(&a, 1), 0);
    CU_ASSERT_STRING_EQUAL(arena_printf(&a, "%s-%d", "x", 7).ptr, "x-7");
    arena_fini(&a);
}

static void test_buf_limit(void)
{
    struct buf b = { .limit = 4 };

    buf_cstr(&b, "abcd");
    CU_ASSERT_FALSE(buf_failed(&b));
    buf_char(&b, 'e');
    CU_ASSERT_TRUE(buf_failed(&b));
    CU_ASSERT_EQUAL(b.len, 4);
    buf_fini(&b);
}

static void test_varints(void)
{
    static const struct {
        int line;
        int64_t v;
        size_t bytes;
    } rows[] = {
        { __LINE__, 0, 1 },          { __LINE__, -1, 1 },
        { __LINE__, 63, 1 },         { __LINE__, 64, 2 },
        { __LINE__, INT64_MAX, 10 }, { __LINE__, INT64_MIN, 10 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b;
        struct reader r;

        buf_init(&b);
        buf_varint(&b, rows[i].v);
        ROW_ASSERT(&rows[i], b.len == rows[i].bytes);
        r = reader_of(buf_str(&b));
        ROW_ASSERT(&rows[i], reader_varint(&r) == rows[i].v && !r.failed);
        buf_fini(&b);
    }
}

static void test_reader_never_leaves(void)
{
    struct reader r = reader_of(SONDE_STR("\xff\xff\xff\xff\xff\xff\xff\xff"
                                          "\xff\x02"));

    (void)reader_uvarint(&r);
    CU_ASSERT_TRUE(r.failed);
    r = reader_of(SONDE_STR("\x05"
                            "abc"));
    CU_ASSERT_EQUAL(reader_uvarint_str(&r).len, 0);
    CU_ASSERT_TRUE(r.failed);
    CU_ASSERT_EQUAL(reader_be64(&r), 0);
}

/* Check value of the CRC catalogue, and chaining. */
static void test_crc32c(void)
{
    CU_ASSERT_EQUAL(crc32c(0, "123456789", 9), 0xE3069283u);
    CU_ASSERT_EQUAL(crc32c(crc32c(0, "12345", 5), "6789", 4), 0xE3069283u);
}

static void test_utf8(void)
{
    static const struct {
        int line;
        const char *s;
        bool ok;
    } rows[] = {
        { __LINE__, "", true },
        { __LINE__, "gr\xc3\xbc\xc3\x9f", true },
        { __LINE__, "\xf0\x9f\x8c\xa1", true },
        { __LINE__, "\xff", false },
        { __LINE__, "\xc0\x80", false },
        { __LINE__, "\xed\xa0\x80", false },
        { __LINE__, "\xe2\x82", false },
        { __LINE__, "\xf4\x90\x80\x80", false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i], str_is_utf8(sonde_cstr(rows[i].s)) == rows[i].ok);
}

static void test_integers(void)
{
    int64_t v;

    CU_ASSERT_TRUE(str_to_i64(SONDE_STR("-9223372036854775808"), &v));
    CU_ASSERT_EQUAL(v, INT64_MIN);
    CU_ASSERT_FALSE(str_to_i64(SONDE_STR("9223372036854775808"), &v));
    CU_ASSERT_FALSE(str_to_i64(SONDE_STR("1x"), &v));
    CU_ASSERT_FALSE(str_to_i64(SONDE_STR(""), &v));
}

static void test_nearest(void)
{
    static const char *const names[] = { "scrape_interval", "scrape_timeout",
                                         "job_name" };

    CU_ASSERT_STRING_EQUAL(str_nearest(SONDE_STR("scrape_intervall"), names, 3),
                           "scrape_interval");
    CU_ASSERT_PTR_NULL(str_nearest(SONDE_STR("zzz"), names, 3));
}

static void test_write_atomic(void)
{
    struct arena a;
    struct buf b;
    struct sonde_err err;
    const char *path;

    arena_init(&a);
    buf_init(&b);
    path = fs_join(&a, sonde_cstr(tap_tmpdir()), SONDE_STR("file"));
    CU_ASSERT_EQUAL(fs_write_atomic(path, SONDE_STR("one"), 0644, &err), 0);
    CU_ASSERT_EQUAL(fs_write_atomic(path, SONDE_STR("two"), 0644, &err), 0);
    CU_ASSERT_EQUAL(fs_read(path, 100, &b, &err), SONDE_OK);
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&b), "two"));
    CU_ASSERT_EQUAL(fs_read(path, 2, &b, &err), SONDE_ELIMIT);
    CU_ASSERT_EQUAL(fs_read("/no/such", 2, &b, &err), SONDE_ENOTFOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/no/such"));
    buf_fini(&b);
    arena_fini(&a);
}

static const struct tap_test tests[] = {
    { "an arena aligns, zeroes and is reused", test_arena },
    { "a buffer's limit sticks", test_buf_limit },
    { "varints round-trip", test_varints },
    { "a reader never leaves its bytes", test_reader_never_leaves },
    { "CRC-32C has its check value", test_crc32c },
    { "UTF-8 is checked", test_utf8 },
    { "integers are checked", test_integers },
    { "the nearest name is found", test_nearest },
    { "a file is replaced whole", test_write_atomic },
};

int main(void)
{
    return TAP_RUN("util", tests);
}
