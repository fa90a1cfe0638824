/* SPDX-License-Identifier: Apache-2.0 */
/* wal: framing, records, writer, replay, damage, cursors. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/wal_kit.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/mem.h"
#include "wal/frame.h"
#include "wal/replay.h"
#include "wal/segments.h"
#include "wal/wal.h"

/* ---- bytes as of Prometheus ------------------------------------------- */

static const char segment_hex[] =
    "01 0031 4fca7d87 01"
    "0000000000000001 02 08 5f5f6e616d655f5f 01 61 01 6b 01 78"
    "0000000000000002 02 08 5f5f6e616d655f5f 01 62 01 6b 01 78"
    "01 0025 5535309d 02 0000000000000001 0000018bd0471000"
    "00 00 3ff0000000000000 02 00 3fb999999999999a"
    "01 001b 0bee1705 02 0000000000000001 0000018bd047bfc9"
    "00 00 7ff0000000000002";

static void test_bytes_written(void)
{
    struct label a[] = { { SONDE_STR("__name__"), SONDE_STR("a") },
                         { SONDE_STR("k"), SONDE_STR("x") } };
    struct label b[] = { { SONDE_STR("__name__"), SONDE_STR("b") },
                         { SONDE_STR("k"), SONDE_STR("x") } };
    struct wal_options options = { 0 };
    struct wal_samples_writer samples;
    struct buf series = { 0 }, first = { 0 }, stale = { 0 }, want = { 0 },
               got = { 0 };
    struct sonde_err err;
    struct arena arena;
    const char *dir;
    struct wal *w;
    sonde_str records[2];

    arena_init(&arena);
    dir = fresh_dir(&arena);
    w = open_wal(dir, &options);
    wal_series_begin(&series);
    wal_series_add(&series, 1, &(struct labels){ a, 2 });
    wal_series_add(&series, 2, &(struct labels){ b, 2 });
    wal_samples_begin(&samples, &first);
    wal_samples_add(&samples, 1, BASE_T, 1.0);
    wal_samples_add(&samples, 2, BASE_T, 0.1);
    records[0] = buf_str(&series);
    records[1] = buf_str(&first);
    CU_ASSERT_EQUAL(wal_append(w, records, 2, &err), SONDE_OK);
    wal_samples_begin(&samples, &stale);
    wal_samples_add(&samples, 1, 0x18bd047bfc9, stale_nan());
    records[0] = buf_str(&stale);
    CU_ASSERT_EQUAL(wal_append(w, records, 1, &err), SONDE_OK);
    unhex(segment_hex, &want);
    CU_ASSERT_EQUAL(wal_end(w).offset, want.len);
    CU_ASSERT_EQUAL(wal_size(w), want.len);
    wal_close(w);
    CU_ASSERT_EQUAL(fs_read(arena_printf(&arena, "%s/00000000", dir).ptr,
                            1 << 20, &got, &err),
                    SONDE_OK);
    CU_ASSERT_EQUAL(got.len, WAL_PAGE_BYTES); /* padded on close */
    CU_ASSERT_FATAL(got.len >= want.len);
    CU_ASSERT_EQUAL(memcmp(got.data, want.data, want.len), 0);
    buf_fini(&series);
    buf_fini(&first);
    buf_fini(&stale);
    buf_fini(&want);
    buf_fini(&got);
    arena_fini(&arena);
}

static void print_labels(void *arg, uint64_t ref, const struct labels *l)
{
    buf_printf(arg, "%" PRIu64, ref);
    for (size_t i = 0; i < l->count; i++)
        buf_printf(arg, " %.*s=%.*s", SONDE_ARG(l->items[i].name),
                   SONDE_ARG(l->items[i].value));
    buf_char(arg, ';');
}

static void print_sample(void *arg, uint64_t ref, sonde_msec t, double v)
{
    buf_printf(arg, "%" PRIu64 " %" PRId64 " %016" PRIx64 ";", ref,
               (int64_t)((uint64_t)t - (uint64_t)BASE_T), double_bits(v));
}

static void print_metadata(void *arg, uint64_t ref, const struct metadata *m)
{
    buf_printf(arg, "%" PRIu64 " %d %.*s %.*s;", ref, (int)m->type,
               SONDE_ARG(m->unit), SONDE_ARG(m->help));
}

static sonde_code print_record(void *arg, sonde_str record,
                               struct wal_position end, struct sonde_err *err)
{
    (void)end;
    switch (wal_record_type(record)) {
    case WAL_SERIES:
        return wal_series_decode(record, print_labels, arg, err);
    case WAL_SAMPLES:
    case WAL_SAMPLES_V2:
        return wal_samples_decode(record, print_sample, arg, err);
    case WAL_METADATA:
        return wal_metadata_decode(record, print_metadata, arg, err);
    default:
        buf_printf(arg, "type %d;", wal_record_type(record));
        return SONDE_OK;
    }
}

static void test_bytes_read(void)
{
    static const struct {
        int line;
        const char *hex, *want;
    } rows[] = {
        { __LINE__, segment_hex,
          "1 __name__=a k=x;2 __name__=b k=x;"
          "1 0 3ff0000000000000;2 0 3fb999999999999a;"
          "1 45001 7ff0000000000002;" },
        /* compressed by snappy */
        { __LINE__,
          "09 0018 8a428f28 19 04 0100 09 01 40 01 02 08 5f5f6e616d655f5f"
          "01 61 01 6b 01 78",
          "1 __name__=a k=x;" },
        /* an exemplar and a deletion are passed on */
        { __LINE__,
          "01 0028 28c623b5 04 0000000000000001 0000018bd047bbe0 00 00"
          "400c000000000000 01 08 74726163655f6964 02 7431"
          "01 0015 c1a065b5 03 0000000000000001 80eede8efa62 82eede8efa62",
          "type 4;type 3;" },
    };
    struct buf bytes = { 0 }, text = { 0 };
    struct wal_replay replay = { .record = print_record, .arg = &text };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_reset(&bytes);
        buf_reset(&text);
        unhex(rows[i].hex, &bytes);
        ROW_ASSERT(&rows[i],
                   wal_replay_bytes(buf_str(&bytes), &replay, NULL) == 0);
        buf_char(&text, '\0');
        ROW_ASSERT(&rows[i], strcmp(text.data, rows[i].want) == 0);
    }
    buf_fini(&bytes);
    buf_fini(&text);
}

static void test_samples_v2(void)
{
    static const struct {
        int line;
        const char *hex, *want;
    } rows[] = {
        { __LINE__,
          "0b 02 80c0b884fa62 00 3ff0000000000000 02 00 00 4000000000000000",
          "1 0 3ff0000000000000;2 0 4000000000000000;" },
        { __LINE__,
          "0b 02 80c0b884fa62 80c0b884fa62 3ff0000000000000"
          "02 00 01 4000000000000000 02 02 02 04 4000000000000000",
          "1 0 3ff0000000000000;2 0 4000000000000000;3 1 4000000000000000;" },
    };
    struct buf bytes = { 0 }, text = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_reset(&bytes);
        buf_reset(&text);
        unhex(rows[i].hex, &bytes);
        ROW_ASSERT(&rows[i], wal_samples_decode(buf_str(&bytes), print_sample,
                                                &text, NULL) == SONDE_OK);
        buf_char(&text, '\0');
        ROW_ASSERT(&rows[i], strcmp(text.data, rows[i].want) == 0);
    }
    buf_fini(&bytes);
    buf_fini(&text);
}

/* A record of 71,190 bytes behind one of 43. */
static void test_three_pages(void)
{
    struct buf record = { 0 }, out = { 0 };
    struct log l = { 0 };

    frame_put(&out, 0, numbered(&record, 0, 43), 0);
    frame_put(&out, 0, numbered(&record, 1, 71190), 0);
    CU_ASSERT_EQUAL(out.len, 65536 + 7 + 5718);
    CU_ASSERT_EQUAL(memcmp(out.data + 50, "\x02\x7f\xc7", 3), 0);
    CU_ASSERT_EQUAL(memcmp(out.data + 32768, "\x03\x7f\xf9", 3), 0);
    CU_ASSERT_EQUAL(memcmp(out.data + 65536, "\x04\x16\x56", 3), 0);
    replay_bytes(buf_str(&out), &l);
    CU_ASSERT_EQUAL(l.records, 2);
    CU_ASSERT_EQUAL(l.damages, 0);
    buf_fini(&record);
    buf_fini(&out);
    buf_fini(&l.bytes);
}

/* ---- records ---------------------------------------------------------- */

static void test_samples_round_trip(void)
{
    static const struct {
        uint64_t ref;
        sonde_msec t;
    } rows[] = {
        { 7, BASE_T },
        { 8, BASE_T },
        { 7, BASE_T - 1 },
        { 1, INT64_MIN },
        { UINT64_MAX, BASE_T },
        { UINT64_C(1) << 63, INT64_MAX },
        { 0, 0 },
        { 7, BASE_T },
    };
    const size_t n = sizeof(rows) / sizeof(rows[0]);
    struct buf record = { 0 }, got = { 0 }, want = { 0 };
    struct wal_samples_writer w;

    wal_samples_begin(&w, &record);
    for (size_t i = 0; i < n; i++) {
        wal_samples_add(&w, rows[i].ref, rows[i].t, (double)i);
        print_sample(&want, rows[i].ref, rows[i].t, (double)i);
    }
    CU_ASSERT_EQUAL(
        wal_samples_decode(buf_str(&record), print_sample, &got, NULL),
        SONDE_OK);
    CU_ASSERT_TRUE(sonde_str_eq(buf_str(&got), buf_str(&want)));
    /* Every prefix is refused, but the ones that end between samples. */
    for (size_t len = 0; len < 17; len++)
        CU_ASSERT_EQUAL(wal_samples_decode((sonde_str){ record.data, len },
                                           print_sample, &got, NULL),
                        len == 1 ? SONDE_OK : SONDE_ECORRUPT);
    CU_ASSERT_EQUAL(
        wal_samples_decode((sonde_str){ record.data, record.len - 1 },
                           print_sample, &got, NULL),
        SONDE_ECORRUPT);
    buf_fini(&record);
    buf_fini(&got);
    buf_fini(&want);
}

static void test_malformed_records(void)
{
    static const struct {
        int line;
        const char *hex;
        bool ok;
    } rows[] = {
        { __LINE__, "", false },
        { __LINE__, "01", true },
        { __LINE__, "c8", false },
        { __LINE__, "01 0000000000000001", false },
        { __LINE__, "01 0000000000000001 00", true },
        { __LINE__, "01 0000000000000001 01 01 61", false },
        { __LINE__, "01 0000000000000001 01 01 61 01 62", true },
        { __LINE__, "01 0000000000000001 01 01 61 01 62 ff", false },
        { __LINE__, "01 0000000000000001 ffffffffffffffffff01", false },
        { __LINE__, "01 0000000000000001 01 ffffff7f 61", false },
        /* unsorted, twice the same name */
        { __LINE__, "01 0000000000000001 02 01 62 01 62 01 61 01 62", false },
        { __LINE__, "01 0000000000000001 02 01 61 01 62 01 61 01 62", false },
        { __LINE__, "06", true },
        { __LINE__, "06 01 01 02 04 554e4954 00 04 48454c50 01 68", true },
        { __LINE__, "06 01 01 02 04 554e4954 00 04 48454c50 02 68", false },
        { __LINE__, "06 01 01 ffffffffff01", false },
    };
    struct buf bytes = { 0 }, text = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_str record;
        sonde_code rc;

        buf_reset(&bytes);
        unhex(rows[i].hex, &bytes);
        record = buf_str(&bytes);
        rc = wal_record_type(record) == WAL_METADATA
                 ? wal_metadata_decode(record, print_metadata, &text, NULL)
                 : wal_series_decode(record, print_labels, &text, NULL);
        ROW_ASSERT(&rows[i], (rc == SONDE_OK) == rows[i].ok);
    }
    buf_fini(&bytes);
    buf_fini(&text);
}

static void test_metadata_round_trip(void)
{
    struct metadata m = { .type = METRIC_SUMMARY,
                          .unit = SONDE_STR("seconds"),
                          .help = SONDE_STR("How long.") };
    struct buf record = { 0 }, text = { 0 };

    wal_metadata_begin(&record);
    wal_metadata_add(&record, 300, &m);
    m.type = METRIC_UNKNOWN;
    m.help = m.unit = (sonde_str){ 0 };
    wal_metadata_add(&record, 4, &m);
    CU_ASSERT_EQUAL(
        wal_metadata_decode(buf_str(&record), print_metadata, &text, NULL), 0);
    buf_char(&text, '\0');
    CU_ASSERT_STRING_EQUAL(text.data, "300 5 seconds How long.;4 0  ;");
    buf_fini(&record);
    buf_fini(&text);
}

static void test_many_labels(void)
{
    struct label items[300];
    char names[300][8];
    struct buf record = { 0 }, want = { 0 }, got = { 0 };
    struct labels l = { items, 300 };

    for (size_t i = 0; i < 300; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "l%03zu", i);
        items[i] = (struct label){ sonde_cstr(names[i]), SONDE_STR("v") };
    }
    wal_series_begin(&record);
    wal_series_add(&record, 1, &l);
    wal_series_add(&record, 2, &l);
    print_labels(&want, 1, &l);
    print_labels(&want, 2, &l);
    CU_ASSERT_EQUAL(
        wal_series_decode(buf_str(&record), print_labels, &got, NULL), 0);
    CU_ASSERT_TRUE(sonde_str_eq(buf_str(&got), buf_str(&want)));
    buf_fini(&record);
    buf_fini(&want);
    buf_fini(&got);
}

/* ---- borders ---------------------------------------------------------- */

/* Every distance from the end of a page at which a record can begin. */
static void test_page_borders(void)
{
    struct buf out = { 0 }, record = { 0 };
    struct log l = { 0 };

    for (size_t left = 0; left <= 40; left++) {
        buf_reset(&out);
        frame_put(
            &out, 0,
            numbered(&record, 0, WAL_PAGE_BYTES - WAL_HEADER_BYTES - left), 0);
        for (uint64_t i = 1; i < 5; i++)
            frame_put(&out, 0, numbered(&record, i, 12 + i), 0);
        replay_bytes(buf_str(&out), &l);
        CU_ASSERT_EQUAL(l.records, 5);
        CU_ASSERT_EQUAL(l.damages, 0);
    }
    buf_fini(&out);
    buf_fini(&record);
    buf_fini(&l.bytes);
}

static size_t append_numbered(struct wal *w, uint64_t from, uint64_t to,
                              size_t len)
{
    struct buf b = { 0 };
    struct sonde_err err;
    size_t done = 0;

    for (uint64_t i = from; i < to; i++) {
        sonde_str r = numbered(&b, i, len ? len : 9 + i * 7919 % 50000);

        done += wal_append(w, &r, 1, &err) == SONDE_OK;
    }
    buf_fini(&b);
    return done;
}

static void test_segments(void)
{
    static const enum wal_compression compress[] = { WAL_PLAIN, WAL_SNAPPY };

    for (size_t k = 0; k < 2; k++) {
        struct wal_options options = { .segment_bytes = 128 << 10,
                                       .compress = compress[k] };
        struct log all = { 0 }, part = { 0 };
        struct sonde_err err;
        struct arena arena;
        const char *dir;
        struct wal *w;

        arena_init(&arena);
        dir = fresh_dir(&arena);
        w = open_wal(dir, &options);
        CU_ASSERT_EQUAL(append_numbered(w, 0, 200, 0), 200);
        CU_ASSERT_TRUE(wal_end(w).segment > 20);
        CU_ASSERT_EQUAL(wal_sync(w, &err), SONDE_OK);
        /* Once more, behind a restart. */
        wal_close(w);
        w = open_wal(dir, &options);
        CU_ASSERT_EQUAL(wal_end(w).offset, 0);
        CU_ASSERT_EQUAL(append_numbered(w, 200, 300, 0), 100);
        replay_dir(dir, (struct wal_position){ 0 }, &all);
        CU_ASSERT_EQUAL(all.records, 300);
        CU_ASSERT_EQUAL(all.damages, 0);
        CU_ASSERT_EQUAL(wal_position_cmp(all.ends[299], wal_end(w)), 0);
        for (size_t i = 0; i < 300; i += 17) {
            replay_dir(dir, all.ends[i], &part);
            CU_ASSERT_EQUAL(part.records, 299 - i);
        }
        /* Deleting old ones. */
        CU_ASSERT_EQUAL(wal_truncate(w, 5, &err), SONDE_OK);
        replay_dir(dir, (struct wal_position){ 0 }, &part);
        CU_ASSERT_EQUAL(part.damages, 0);
        CU_ASSERT_TRUE(part.records < 300);
        CU_ASSERT_EQUAL(wal_truncate(w, UINT64_MAX, &err), SONDE_OK);
        CU_ASSERT_EQUAL(wal_size(w), wal_end(w).offset);
        wal_close(w);
        buf_fini(&all.bytes);
        buf_fini(&part.bytes);
        arena_fini(&arena);
    }
}

static void test_batch_stays_together(void)
{
    struct wal_options options = { .segment_bytes = 32 << 10 };
    struct buf a = { 0 }, b = { 0 };
    struct sonde_err err;
    struct log l = { 0 };
    struct arena arena;
    const char *dir;
    struct wal *w;
    sonde_str records[2];

    arena_init(&arena);
    dir = fresh_dir(&arena);
    w = open_wal(dir, &options);
    CU_ASSERT_EQUAL(append_numbered(w, 0, 1, 100), 1);
    records[0] = numbered(&a, 1, 20000);
    records[1] = numbered(&b, 2, 90000);
    CU_ASSERT_EQUAL(wal_append(w, records, 2, &err), SONDE_OK);
    replay_dir(dir, (struct wal_position){ 0 }, &l);
    CU_ASSERT_EQUAL_FATAL(l.records, 3);
    CU_ASSERT_EQUAL(l.ends[0].segment, 0);
    CU_ASSERT_EQUAL(l.ends[1].segment, 1);
    CU_ASSERT_EQUAL(l.ends[2].segment, 1);
    wal_close(w);
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&l.bytes);
    arena_fini(&arena);
}

/* ---- damage ----------------------------------------------------------- */

/* A segment of 40 records, small ones, and some over up to four pages. */
struct image {
    struct buf bytes;
    uint64_t begin[41]; /* of each record's first fragment, and the end  */
};

static void image_make(struct image *m)
{
    struct buf b = { 0 };

    *m = (struct image){ 0 };
    for (uint64_t i = 0; i < 40; i++) {
        size_t len = i % 13 == 5 ? 40000 + i * 1000 : 20 + i * 37 % 600;
        uint64_t at = m->bytes.len;

        if (frame_page_end(at) - at < WAL_HEADER_BYTES)
            at = frame_page_end(at);
        m->begin[i] = at;
        frame_put(&m->bytes, 0, numbered(&b, i, len), 0);
    }
    m->begin[40] = m->bytes.len;
    buf_fini(&b);
}

/* The record at an offset; 40 for padding. */
static size_t image_record(const struct image *m, uint64_t offset)
{
    for (size_t i = 0; i < 40; i++)
        if (offset >= m->begin[i] && offset < m->begin[i + 1])
            return i;
    return 40;
}

/* Numbers of the records, in order, without `but`. */
static bool log_is_all_but(struct log *l, size_t but)
{
    struct reader r = reader_of(buf_str(&l->bytes));
    uint64_t want = 0;

    while (reader_left(&r)) {
        want += want == but;
        if (number_of(reader_uvarint_str(&r)) != want++)
            return false;
    }
    return want + (want == but && but < 40) == 40;
}

static void test_flipped_bytes(void)
{
    static const uint8_t flips[] = { 0x01, 0x02, 0x08, 0x10, 0x40, 0xff };
    struct image m;
    struct log l = { 0 };
    size_t wrong = 0;

    image_make(&m);
    replay_bytes(buf_str(&m.bytes), &l);
    CU_ASSERT_EQUAL(l.damages, 0);
    CU_ASSERT_TRUE(log_is_all_but(&l, 40));
    for (size_t at = 0, k = 0; at < m.bytes.len; k++) {
        uint8_t flip = flips[k % sizeof(flips)];
        size_t hit = image_record(&m, at);

        m.bytes.data[at] = (char)(m.bytes.data[at] ^ flip);
        replay_bytes(buf_str(&m.bytes), &l);
        if (!log_is_all_but(&l, hit) || l.damages != 1) {
            tap_note("offset %zu ^ %02x, in record %zu: %zu records, "
                     "%zu damages (%s)",
                     at, flip, hit, l.records, l.damages, l.why ? l.why : "");
            wrong++;
        }
        m.bytes.data[at] = (char)(m.bytes.data[at] ^ flip);
        /* All of the headers, and some of the data. */
        at += hit < 40 && at - m.begin[hit] < 8 ? k % 3 == 2 : 999;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    buf_fini(&m.bytes);
    buf_fini(&l.bytes);
}

static void test_cut_off(void)
{
    struct image m;
    struct log l = { 0 };
    size_t wrong = 0;

    image_make(&m);
    for (size_t len = 0; len <= m.bytes.len; len += 97) {
        size_t whole = 0;

        while (whole < 40 && m.begin[whole + 1] <= len)
            whole++;
        replay_bytes((sonde_str){ m.bytes.data, len }, &l);
        /* One whose last bytes are zeros may survive the cut. */
        if (l.records < whole || l.records > whole + 1 || l.damages > 1 ||
            (l.records == whole && len > m.begin[whole] && l.damages != 1))
            wrong++;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    buf_fini(&m.bytes);
    buf_fini(&l.bytes);
}

static void test_damaged_stretches(void)
{
    static const struct {
        int line;
        size_t from, len;
        char fill;
    } rows[] = {
        { __LINE__, 0, 1, 0 },        { __LINE__, 0, WAL_PAGE_BYTES, 0 },
        { __LINE__, 100, 5000, 0 },   { __LINE__, 100, 5000, 1 },
        { __LINE__, 40000, 1000, 3 }, { __LINE__, 0, 70000, 2 },
        { __LINE__, 32767, 2, 4 },
    };
    struct image m;
    struct log l = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t before, behind;

        image_make(&m);
        before = image_record(&m, rows[i].from);
        behind = image_record(&m, rows[i].from + rows[i].len - 1) + 1;
        memset(m.bytes.data + rows[i].from, rows[i].fill, rows[i].len);
        replay_bytes(buf_str(&m.bytes), &l);
        ROW_ASSERT(&rows[i], l.records == before + 40 - behind);
        ROW_ASSERT(&rows[i], l.damages >= 1);
        buf_fini(&m.bytes);
    }
    buf_fini(&l.bytes);
}

static void test_bad_compression(void)
{
    static const struct {
        int line;
        unsigned flag;
        const char *hex;
    } rows[] = {
        { __LINE__, FRAME_SNAPPY, "" },
        { __LINE__, FRAME_SNAPPY, "ffffffff0f 00 61" }, /* says 4 GiB */
        { __LINE__, FRAME_SNAPPY, "19 04 0100" },
        { __LINE__, FRAME_ZSTD, "" },
        { __LINE__, FRAME_ZSTD, "28b52ffd" },
        { __LINE__, FRAME_ZSTD, "28b52ffd a0 ffffffff 01 0000 00" },
    };
    struct buf bytes = { 0 }, body = { 0 };
    struct log l = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf good = { 0 };

        buf_reset(&bytes);
        buf_reset(&body);
        unhex(rows[i].hex, &body);
        frame_put(&bytes, 0, buf_str(&body), rows[i].flag);
        frame_put(&bytes, 0, numbered(&good, 1, 20), 0);
        replay_bytes(buf_str(&bytes), &l);
        ROW_ASSERT(&rows[i], l.records == 1);
        ROW_ASSERT(&rows[i], l.damages == 1);
        buf_fini(&good);
    }
    buf_fini(&bytes);
    buf_fini(&body);
    buf_fini(&l.bytes);
}

static void write_segment(struct arena *a, const char *dir, uint64_t number,
                          uint64_t record)
{
    struct buf b = { 0 }, out = { 0 };
    struct sonde_err err;

    (void)mkdir(dir, 0755);
    frame_put(&out, 0, numbered(&b, record, 30), 0);
    CU_ASSERT_EQUAL(
        fs_write_atomic(arena_printf(a, "%s/%08" PRIu64, dir, number).ptr,
                        buf_str(&out), 0644, &err),
        SONDE_OK);
    buf_fini(&b);
    buf_fini(&out);
}

static void test_checkpoint_and_gap(void)
{
    struct wal_options options = { 0 };
    struct log l = { 0 };
    struct arena arena;
    const char *dir;
    struct wal *w;

    arena_init(&arena);
    dir = fresh_dir(&arena);
    write_segment(&arena, dir, 1, 100); /* the checkpoint stands for it   */
    write_segment(&arena, dir, 2, 2);
    write_segment(&arena, dir, 4, 3);
    write_segment(&arena,
                  arena_printf(&arena, "%s/checkpoint.00000000", dir).ptr, 0,
                  100);
    write_segment(
        &arena, arena_printf(&arena, "%s/checkpoint.00000001", dir).ptr, 0, 0);
    write_segment(
        &arena, arena_printf(&arena, "%s/checkpoint.00000001", dir).ptr, 1, 1);
    write_segment(&arena,
                  arena_printf(&arena, "%s/checkpoint.00000009.tmp", dir).ptr,
                  0, 100);
    replay_dir(dir, (struct wal_position){ 0 }, &l);
    CU_ASSERT_EQUAL(l.records, 4);
    CU_ASSERT_EQUAL(l.damages, 1); /* 3 is missing                         */
    for (uint64_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(l.ends[i].segment, i < 2 ? 0 : i == 2 ? 2 : 4);
    w = open_wal(dir, &options);
    CU_ASSERT_EQUAL(wal_end(w).segment, 5);
    wal_close(w);
    buf_fini(&l.bytes);
    arena_fini(&arena);
}

static sonde_code stop_at_once(void *arg, sonde_str record,
                               struct wal_position end, struct sonde_err *err)
{
    (void)record;
    (void)end;
    ++*(int *)arg;
    return sonde_err_set(err, SONDE_ECANCELED, "enough");
}

/* The same records, damage and order as of a plain replay; stopped anywhere. */
struct ahead_log {
    struct log log;
    size_t stop_at, segments;
};

static sonde_code ahead_record(void *arg, sonde_str record,
                               struct wal_position end, struct sonde_err *err)
{
    struct ahead_log *l = arg;

    if (l->log.records == l->stop_at)
        return sonde_err_set(err, SONDE_ECANCELED, "enough");
    return log_record(&l->log, record, end, err);
}

static void ahead_damage(void *arg, const struct wal_damage *d)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(d->path, "/0000"));
    log_damage(&((struct ahead_log *)arg)->log, d);
}

static void ahead_segment(void *arg, uint64_t segment, uint64_t last)
{
    struct ahead_log *l = arg;

    CU_ASSERT_EQUAL(segment, l->segments++);
    CU_ASSERT_EQUAL(last, 5);
}

static void replay_ahead(const char *dir, struct ahead_log *l, size_t stop_at,
                         sonde_code want)
{
    struct wal_replay replay = { .record = ahead_record,
                                 .damage = ahead_damage,
                                 .segment = ahead_segment,
                                 .arg = l };
    struct sonde_err err;

    log_reset(&l->log);
    l->stop_at = stop_at;
    l->segments = 0;
    CU_ASSERT_EQUAL(
        wal_replay_ahead(dir, (struct wal_position){ 0 }, &replay, &err), want);
}

static void test_replay_ahead(void)
{
    struct wal_options options = { .segment_bytes = 2 << 20 };
    struct ahead_log l = { 0 };
    struct log plain = { 0 };
    struct arena arena;
    const char *dir;
    struct wal *w;
    int fd;
    char path[512];

    arena_init(&arena);
    dir = fresh_dir(&arena);
    w = open_wal(dir, &options);
    CU_ASSERT_EQUAL(append_numbered(w, 0, 1100, 10000), 1100);
    CU_ASSERT_EQUAL(wal_end(w).segment, 5);
    wal_close(w);
    (void)snprintf(path, sizeof(path), "%s/00000002", dir);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(pwrite(fd, "XXXX", 4, 500000), 4);
    (void)close(fd);
    replay_dir(dir, (struct wal_position){ 0 }, &plain);
    replay_ahead(dir, &l, SIZE_MAX, SONDE_OK);
    CU_ASSERT_EQUAL(plain.damages, 1);
    CU_ASSERT_EQUAL(l.log.damages, 1);
    CU_ASSERT_EQUAL(l.log.lost_bytes, plain.lost_bytes);
    CU_ASSERT_EQUAL(l.segments, 6);
    CU_ASSERT_TRUE(sonde_str_eq(buf_str(&l.log.bytes), buf_str(&plain.bytes)));
    for (size_t stop = 0; stop < 1099; stop += 97)
        replay_ahead(dir, &l, stop, SONDE_ECANCELED);
    replay_ahead("/nonexistent", &l, SIZE_MAX, SONDE_ENOTFOUND);
    buf_fini(&l.log.bytes);
    buf_fini(&plain.bytes);
    arena_fini(&arena);
}

static void test_replay_stops(void)
{
    int calls = 0;
    struct wal_replay replay = { .record = stop_at_once, .arg = &calls };
    struct wal_options options = { 0 };
    struct sonde_err err;
    struct arena arena;
    const char *dir;
    struct wal *w;

    arena_init(&arena);
    dir = fresh_dir(&arena);
    CU_ASSERT_EQUAL(wal_replay(dir, (struct wal_position){ 0 }, &replay, &err),
                    SONDE_ENOTFOUND);
    w = open_wal(dir, &options);
    CU_ASSERT_EQUAL(append_numbered(w, 0, 3, 50), 3);
    CU_ASSERT_EQUAL(wal_replay(dir, (struct wal_position){ 0 }, &replay, &err),
                    SONDE_ECANCELED);
    CU_ASSERT_EQUAL(calls, 1);
    wal_close(w);
    arena_fini(&arena);
}

/* ---- writes that fail ------------------------------------------------- */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    (void)getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_failed_write_is_taken_back(void)
{
    struct wal_options options = { 0 };
    struct buf b = { 0 };
    struct log l = { 0 };
    struct sonde_err err;
    struct arena arena;
    const char *dir;
    struct wal *w;
    struct wal_position before;
    sonde_str big;

    arena_init(&arena);
    dir = fresh_dir(&arena);
    w = open_wal(dir, &options);
    CU_ASSERT_EQUAL(append_numbered(w, 0, 10, 100), 10);
    before = wal_end(w);
    big = numbered(&b, 1000, 100000);
    limit_file_size(50000);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_NOT_EQUAL(wal_append(w, &big, 1, &err), SONDE_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "00000000"));
    CU_ASSERT_EQUAL(wal_position_cmp(before, wal_end(w)), 0);
    CU_ASSERT_EQUAL(append_numbered(w, 10, 20, 100), 10);
    limit_file_size(RLIM_INFINITY);
    CU_ASSERT_EQUAL(append_numbered(w, 20, 40, 40000), 20);
    CU_ASSERT_EQUAL(wal_end(w).segment, 0);
    replay_dir(dir, (struct wal_position){ 0 }, &l);
    CU_ASSERT_EQUAL(l.damages, 0);
    CU_ASSERT_TRUE(log_is_all_but(&l, 40));
    wal_close(w);
    buf_fini(&b);
    buf_fini(&l.bytes);
    arena_fini(&arena);
}

/* A new segment can not be made: appends fail, later ones work again. */
static void test_no_new_segment(void)
{
    struct wal_options options = { .segment_bytes = 32 << 10 };
    struct log l = { 0 };
    struct arena arena;
    const char *dir, *in_the_way;
    struct wal *w;

    arena_init(&arena);
    dir = fresh_dir(&arena);
    w = open_wal(dir, &options);
    CU_ASSERT_EQUAL(append_numbered(w, 0, 1, 30000), 1);
    in_the_way = arena_printf(&arena, "%s/00000001", dir).ptr;
    CU_ASSERT_EQUAL(mkdir(in_the_way, 0700), 0);
    CU_ASSERT_EQUAL(append_numbered(w, 1000, 1003, 30000), 0);
    CU_ASSERT_EQUAL(rmdir(in_the_way), 0);
    CU_ASSERT_EQUAL(append_numbered(w, 1, 40, 500), 39);
    replay_dir(dir, (struct wal_position){ 0 }, &l);
    CU_ASSERT_EQUAL(l.damages, 0);
    CU_ASSERT_TRUE(log_is_all_but(&l, 40));
    wal_close(w);
    buf_fini(&l.bytes);
    arena_fini(&arena);
}

/* ---- cursors ---------------------------------------------------------- */

struct chase {
    const char *dir;
    struct wal *wal; /* NULL: judge by the files alone                    */
    uint64_t count;
    uint64_t wrong;
};

static void *chase_main(void *arg)
{
    struct chase *c = arg;
    struct wal_cursor *cursor;
    struct wal_position at = { 0 };
    struct sonde_err err;
    uint64_t next = 0;
    sonde_str record;

    if (wal_cursor_open(c->dir, at, &cursor, &err) != SONDE_OK)
        return NULL;
    while (next < c->count) {
        sonde_code rc;

        if (c->wal)
            wal_cursor_limit(cursor, wal_end(c->wal));
        rc = wal_cursor_next(cursor, &record, &err);
        if (rc == SONDE_EAGAIN && c->wal)
            (void)wal_wait(c->wal, wal_cursor_position(cursor),
                           clock_monotonic(&clock_system) + 1000);
        if (rc == SONDE_EAGAIN)
            continue;
        c->wrong += rc != SONDE_OK || number_of(record) != next;
        if (rc != SONDE_OK)
            break;
        next++;
        /* Begin anew where the last record ended, now and then. */
        if (next % 97 == 0) {
            at = wal_cursor_position(cursor);
            wal_cursor_close(cursor);
            if (wal_cursor_open(c->dir, at, &cursor, &err) != SONDE_OK)
                return NULL;
        }
    }
    if (c->wal) {
        wal_cursor_limit(cursor, wal_end(c->wal));
        c->wrong += wal_cursor_next(cursor, &record, &err) != SONDE_EAGAIN;
    }
    wal_cursor_close(cursor);
    return NULL;
}

static void test_cursors_follow(void)
{
    struct wal_options options = { .segment_bytes = 256 << 10,
                                   .compress = WAL_SNAPPY,
                                   .sync_every_ms = 1 };
    struct chase chases[2];
    pthread_t threads[2];
    struct arena arena;
    struct wal *w;

    arena_init(&arena);
    chases[0] = (struct chase){ .dir = fresh_dir(&arena), .count = 1500 };
    w = open_wal(chases[0].dir, &options);
    chases[1] = chases[0];
    chases[1].wal = w;
    for (size_t i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&threads[i], NULL, chase_main, &chases[i]), 0);
    CU_ASSERT_EQUAL(append_numbered(w, 0, 1500, 0), 1500);
    for (size_t i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(chases[i].wrong, 0);
    }
    wal_close(w);
    arena_fini(&arena);
}

/* A record that is there in part is not there; torn for good, it is damage
 * and what comes behind it is read. */
static void test_cursor_torn(void)
{
    struct buf b = { 0 }, out = { 0 };
    struct wal_position zero = { 0 };
    struct wal_cursor *c;
    struct sonde_err err;
    struct arena arena;
    const char *dir;
    sonde_str record;
    int fd;

    arena_init(&arena);
    dir = fresh_dir(&arena);
    write_segment(&arena, dir, 0, 0);
    CU_ASSERT_EQUAL_FATAL(wal_cursor_open(dir, zero, &c, &err), SONDE_OK);
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_OK);
    frame_put(&out, 37, numbered(&b, 1, 50000), 0);
    fd = open(arena_printf(&arena, "%s/00000000", dir).ptr, O_WRONLY);
    for (size_t len = 1; len < out.len; len += len < 20 ? 1 : 4999) {
        CU_ASSERT_EQUAL(pwrite(fd, out.data, len, 37), (ssize_t)len);
        CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_EAGAIN);
        CU_ASSERT_EQUAL(wal_cursor_position(c).offset, 37);
    }
    (void)close(fd);
    write_segment(&arena, dir, 1, 2);
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_ECORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "00000000"));
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_OK);
    CU_ASSERT_EQUAL(number_of(record), 2);
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_EAGAIN);
    /* Segments that are gone are said once. */
    write_segment(&arena, dir, 5, 3);
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_ECORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "2 to 4"));
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_OK);
    CU_ASSERT_EQUAL(number_of(record), 3);
    wal_cursor_close(c);
    buf_fini(&b);
    buf_fini(&out);
    arena_fini(&arena);
}

static void test_cursor_limit(void)
{
    struct wal_position zero = { 0 }, after;
    struct wal_options options = { 0 };
    struct wal_cursor *c;
    struct sonde_err err;
    struct arena arena;
    const char *dir;
    sonde_str record;
    struct wal *w;

    arena_init(&arena);
    dir = fresh_dir(&arena);
    CU_ASSERT_EQUAL(wal_cursor_open(dir, zero, &c, &err), SONDE_ENOTFOUND);
    w = open_wal(dir, &options);
    CU_ASSERT_EQUAL_FATAL(wal_cursor_open(dir, zero, &c, &err), SONDE_OK);
    CU_ASSERT_EQUAL(append_numbered(w, 0, 1, 50), 1);
    after = wal_end(w);
    CU_ASSERT_EQUAL(append_numbered(w, 1, 2, 50), 1);
    wal_cursor_limit(c, after);
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_OK);
    CU_ASSERT_EQUAL(wal_position_cmp(wal_cursor_position(c), after), 0);
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_EAGAIN);
    wal_cursor_limit(c, wal_end(w));
    CU_ASSERT_EQUAL(wal_cursor_next(c, &record, &err), SONDE_OK);
    CU_ASSERT_EQUAL(number_of(record), 1);
    wal_cursor_close(c);
    wal_close(w);
    arena_fini(&arena);
}

/* ---- threads ---------------------------------------------------------- */

struct appending {
    struct wal *wal;
    uint64_t from;
    size_t done;
};

static void *appending_main(void *arg)
{
    struct appending *a = arg;

    a->done = append_numbered(a->wal, a->from, a->from + 200, 0);
    return NULL;
}

static void count_watch(void *arg)
{
    ++*(size_t *)arg; /* appends are told of one at a time */
}

static void test_concurrent_appends(void)
{
    struct wal_options options = { .segment_bytes = 1 << 20,
                                   .always_sync = true };
    struct appending jobs[4];
    pthread_t threads[4];
    struct log l = { 0 };
    struct arena arena;
    size_t told = 0;
    struct wal_watch watch = { .fn = count_watch, .arg = &told };
    const char *dir;
    struct wal *w;

    arena_init(&arena);
    dir = fresh_dir(&arena);
    w = open_wal(dir, &options);
    wal_watch(w, &watch);
    for (size_t i = 0; i < 4; i++) {
        jobs[i] = (struct appending){ w, i * 1000, 0 };
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&threads[i], NULL, appending_main, &jobs[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(jobs[i].done, 200);
    }
    wal_unwatch(w, &watch);
    CU_ASSERT_EQUAL(told, 800);
    CU_ASSERT_EQUAL(append_numbered(w, 0, 1, 0), 1);
    CU_ASSERT_EQUAL(told, 800);
    replay_dir(dir, (struct wal_position){ 0 }, &l);
    CU_ASSERT_EQUAL(l.records, 801);
    CU_ASSERT_EQUAL(l.damages, 0);
    CU_ASSERT_FALSE(wal_wait(w, wal_end(w), 0));
    CU_ASSERT_TRUE(wal_wait(w, (struct wal_position){ 0 }, 0));
    wal_wake(w);
    CU_ASSERT_FALSE(wal_wait(w, wal_end(w), INT64_MAX / 2));
    wal_close(w);
    wal_close(NULL);
    buf_fini(&l.bytes);
    arena_fini(&arena);
}

static const struct tap_test tests[] = {
    { "a segment is Prometheus' byte for byte", test_bytes_written },
    { "Prometheus' segments are read", test_bytes_read },
    { "samples with start times are read", test_samples_v2 },
    { "a record over three pages", test_three_pages },
    { "samples round-trip, extremes too", test_samples_round_trip },
    { "malformed records are refused", test_malformed_records },
    { "metadata round-trips", test_metadata_round_trip },
    { "many labels round-trip", test_many_labels },
    { "records begin anywhere near the end of a page", test_page_borders },
    { "segments follow each other, restarts too", test_segments },
    { "a batch stays in one segment", test_batch_stays_together },
    { "a flipped byte costs one record", test_flipped_bytes },
    { "a cut costs the records behind it", test_cut_off },
    { "damaged stretches cost what they hit", test_damaged_stretches },
    { "bad compression is damage", test_bad_compression },
    { "checkpoint first; a gap is said", test_checkpoint_and_gap },
    { "a callback ends the replay", test_replay_stops },
    { "a thread reads ahead", test_replay_ahead },
    { "a failed write is taken back", test_failed_write_is_taken_back },
    { "no new segment, then one again", test_no_new_segment },
    { "cursors follow a writer", test_cursors_follow },
    { "a cursor waits for a torn record", test_cursor_torn },
    { "a cursor keeps to its limit", test_cursor_limit },
    { "appends from many threads", test_concurrent_appends },
};

int main(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    return TAP_RUN("wal", tests);
}
