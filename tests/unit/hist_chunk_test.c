/* SPDX-License-Identifier: Apache-2.0 */
/* chunk: histogram chunks, decoding by encoding, cutting. */
#include <stdlib.h>

#include "chunk/chunk.h"
#include "chunk/hist_chunk.h"
#include "chunk/hist_fit.h"
#include "unit/histograms.h"
#include "unit/tap.h"

#define BASE INT64_C(1700006400000)

static struct histogram stale(bool is_float)
{
    return (struct histogram){ .is_float = is_float, .sum = stale_nan() };
}

/* Chunks of a test: what was cut. */
struct cut {
    struct columns got;
    size_t chunks, bytes;
    uint32_t counts[64];
    uint8_t headers[64];
    enum chunk_encoding encodings[64];
};

static sonde_code take(void *arg, const struct chunk *chunk,
                       struct sonde_err *err)
{
    struct cut *cut = arg;
    size_t i = cut->chunks++ % 64;
    /* with exactly its memory, so that the sanitizer sees a byte too many */
    char *copy = malloc(chunk->data.len);
    size_t before = cut->got.count;
    sonde_code rc;

    memcpy(copy, chunk->data.ptr, chunk->data.len);
    cut->bytes += chunk->data.len;
    cut->counts[i] = chunk->count;
    cut->encodings[i] = chunk->encoding;
    cut->headers[i] = (uint8_t)copy[2];
    CU_ASSERT_EQUAL(chunk_count(chunk->data), chunk->count);
    rc = chunk_decode(chunk->encoding, (sonde_str){ copy, chunk->data.len },
                      &cut->got, err);
    CU_ASSERT_EQUAL(cut->got.count - before, chunk->count);
    CU_ASSERT_EQUAL(cut->got.t[before], chunk->mint);
    CU_ASSERT_EQUAL(cut->got.t[cut->got.count - 1], chunk->maxt);
    free(copy);
    return rc;
}

static bool columns_same(const struct columns *a, const struct columns *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++) {
        const struct histogram *x = a->h ? a->h[i] : NULL;
        const struct histogram *y = b->h ? b->h[i] : NULL;

        same = a->t[i] == b->t[i] && !x == !y &&
               double_bits(a->v[i]) == double_bits(b->v[i]) &&
               (!x || (histogram_is_stale(x) ? histogram_is_stale(y)
                                             : histogram_same(x, y)));
    }
    return same;
}

static void cut_all(struct cut *cut, const struct columns *c,
                    const struct chunk_limits *limits, bool first_unknown)
{
    *cut = (struct cut){ 0 };
    CU_ASSERT_EQUAL(
        chunks_cut(c, 0, c->count, limits, first_unknown, take, cut, NULL),
        SONDE_OK);
    CU_ASSERT_TRUE(columns_same(c, &cut->got));
    columns_fini(&cut->got);
}

static const struct chunk_limits no_limits;

/* ---- bytes -------------------------------------------------------------- */

static const uint8_t from_a_block[] = {
    0x00, 0x02, 0x00, 0xff, 0x3f, 0x50, 0x62, 0x4d, 0xd2, 0xf1,
    0xa9, 0xfc, 0x8c, 0xa4, 0x94, 0x5f, 0xc0, 0x00, 0x31, 0x7a,
    0x08, 0xe2, 0x7d, 0x18, 0xc9, 0x20, 0x19, 0x33, 0x33, 0x33,
    0x33, 0x33, 0x33, 0x46, 0x37, 0x7c, 0x1d, 0x4c, 0x63, 0x25,
    0xa7, 0x6e, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xe3, 0x10
};

/* A chunk that Prometheus wrote to a block. */
static void test_vector(void)
{
    const struct histogram h[2] = {
        { .schema = 1,
          .zero_threshold = 0.001,
          .zero_count.i = 2,
          .count.i = 12,
          .sum = 18.4,
          .positive = { SPANS({ 0, 2 }, { 1, 2 }), INTS(1, 1, -1, 0) } },
        { .schema = 1,
          .zero_threshold = 0.001,
          .zero_count.i = 4,
          .count.i = 24,
          .sum = 40.0,
          .positive = { SPANS({ 0, 2 }, { 1, 2 }), INTS(2, 2, -1, 0) } },
    };
    struct hist_chunk *c = hist_chunk_new(false);
    struct columns got = { 0 };
    sonde_str bytes;

    CU_ASSERT_TRUE(hist_chunk_append(c, BASE + 1000, &h[0]));
    CU_ASSERT_TRUE(hist_chunk_append(c, BASE + 16000, &h[1]));
    bytes = hist_chunk_bytes(c);
    CU_ASSERT_EQUAL(hist_decode(false,
                                (sonde_str){ (const char *)from_a_block,
                                             sizeof(from_a_block) },
                                &got, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(got.count, 2);
    for (size_t i = 0; i < 2; i++)
        CU_ASSERT_TRUE(histogram_same(got.h[i], &h[i]));
    CU_ASSERT_EQUAL(got.t[1], BASE + 16000);
    CU_ASSERT_EQUAL_FATAL(bytes.len, sizeof(from_a_block));
    CU_ASSERT_EQUAL(memcmp(bytes.ptr, from_a_block, bytes.len), 0);
    columns_fini(&got);
    hist_chunk_free(c);
}

/* ---- what fits ---------------------------------------------------------- */

/* A sample behind a first one: whether it is in the same chunk, and the
 * header of the chunk that it begins if not. */
static void test_fit(void)
{
    const struct histogram first = {
        .schema = 1,
        .zero_threshold = 0.001,
        .zero_count.i = 2,
        .count.i = 12,
        .sum = 1,
        .positive = { SPANS({ 0, 2 }, { 1, 2 }), INTS(3, -3, 5, -1) },
    };
    struct {
        int line;
        struct histogram h;
        size_t chunks;
        enum hist_header header;
    } rows[] = {
        { __LINE__, first, 1, 0 },
        { __LINE__, stale(false), 1, 0 },
        { __LINE__, first, 2, HIST_RESET },   /* explicit hint     */
        { __LINE__, first, 2, HIST_GAUGE },   /* a gauge           */
        { __LINE__, first, 2, HIST_RESET },   /* lower count       */
        { __LINE__, first, 2, HIST_RESET },   /* lower zero count  */
        { __LINE__, first, 2, HIST_UNKNOWN }, /* schema            */
        { __LINE__, first, 2, HIST_UNKNOWN }, /* zero threshold    */
        { __LINE__, first, 2, HIST_RESET },   /* bucket fell       */
        { __LINE__, first, 2, HIST_RESET },   /* bucket vanished   */
        { __LINE__, first, 1, 0 },            /* empty one did     */
        { __LINE__, first, 1, 0 },            /* new buckets       */
        { __LINE__, first, 1, 0 },            /* both              */
    };
    struct columns c = { 0 };

    rows[2].h.hint = HISTOGRAM_RESET;
    rows[3].h.hint = HISTOGRAM_GAUGE;
    rows[4].h.count.i = 11;
    rows[5].h.zero_count.i = 1;
    rows[6].h.schema = 2;
    rows[7].h.zero_threshold = 0.002;
    rows[8].h.positive =
        (struct histogram_side){ SPANS({ 0, 2 }, { 1, 2 }), INTS(3, -3, 4, 0) };
    rows[9].h.positive =
        (struct histogram_side){ SPANS({ 0, 4 }), INTS(3, -3, 0, 5) };
    rows[10].h.positive =
        (struct histogram_side){ SPANS({ 0, 1 }, { 2, 2 }), INTS(3, 2, 0) };
    rows[11].h.positive =
        (struct histogram_side){ SPANS({ -1, 7 }), INTS(1, 2, 0, 0, 2, 0, 1) };
    rows[12].h.positive =
        (struct histogram_side){ SPANS({ 0, 1 }, { 1, 4 }, { 9, 1 }),
                                 INTS(3, 1, 1, 0, 0, 2) };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cut cut;

        columns_reset(&c);
        columns_push_histogram(&c, BASE, &first);
        columns_push_histogram(&c, BASE + 10, &rows[i].h);
        columns_push_histogram(&c, BASE + 20, &rows[i].h);
        cut_all(&cut, &c, &no_limits, true);
        if (rows[i].h.hint == HISTOGRAM_RESET)
            rows[i].chunks++; /* the third says so too */
        ROW_ASSERT(&rows[i], cut.chunks == rows[i].chunks);
        ROW_ASSERT(&rows[i],
                   rows[i].chunks == 1 || cut.headers[1] == rows[i].header);
    }
    columns_fini(&c);
}

static void test_stale_ends_a_chunk(void)
{
    for (int is_float = 0; is_float < 2; is_float++) {
        struct histogram h = { .is_float = is_float, .schema = 1, .sum = 7 };
        struct histogram s = stale(is_float);
        const struct histogram *row[] = { &s, &s, &h, &h, &s, &s, &h };
        struct columns c = { 0 };
        struct cut cut;

        if (is_float)
            h.count.f = h.zero_count.f = 3;
        else
            h.count.i = h.zero_count.i = 3;
        for (size_t i = 0; i < 7; i++)
            columns_push_histogram(&c, BASE + (sonde_msec)i, row[i]);
        cut_all(&cut, &c, &no_limits, true);
        CU_ASSERT_EQUAL(cut.chunks, 3);
        CU_ASSERT_EQUAL(cut.counts[1], 4);
        CU_ASSERT_EQUAL(cut.headers[1], HIST_UNKNOWN);
        columns_fini(&c);
    }
}

/* A gauge: buckets come and go, and all is one chunk. */
static void test_gauge(void)
{
    struct histogram h[3] = {
        { .hint = HISTOGRAM_GAUGE,
          .schema = 0,
          .count.i = 9,
          .positive = { SPANS({ 0, 3 }), INTS(5, -2, -2) },
          .negative = { SPANS({ -4, 2 }), INTS(1, 0) } },
        { .hint = HISTOGRAM_GAUGE,
          .schema = 0,
          .count.i = 3,
          .positive = { SPANS({ 2, 3 }), INTS(1, 0, 0) } },
        { .hint = HISTOGRAM_GAUGE,
          .schema = 0,
          .count.i = 1,
          .positive = { SPANS({ -3, 1 }), INTS(1) },
          .negative = { SPANS({ 5, 1 }), INTS(0) } },
    };
    struct columns c = { 0 };
    struct cut cut;

    for (size_t i = 0; i < 6; i++)
        columns_push_histogram(&c, BASE + (sonde_msec)i * 15000, &h[i % 3]);
    cut_all(&cut, &c, &no_limits, true);
    CU_ASSERT_EQUAL(cut.chunks, 1);
    CU_ASSERT_EQUAL(cut.headers[0], HIST_GAUGE);
    columns_fini(&c);
}

static void test_custom_bounds(void)
{
    struct histogram h[3] = {
        { BOUNDS(0.005, 0.25, 1, 33554.43, 1e9, 0.1234567), .count.i = 4,
          .sum = 2, .positive = { SPANS({ 0, 3 }), INTS(1, 1, -1) } },
    };
    struct columns c = { 0 };
    struct cut cut;

    h[1] = h[2] = h[0];
    h[1].count.i = 5;
    h[1].positive = (struct histogram_side){ SPANS({ 0, 3 }), INTS(1, 2, -2) };
    h[2].custom_count--;
    for (size_t i = 0; i < 3; i++)
        columns_push_histogram(&c, BASE + (sonde_msec)i, &h[i]);
    cut_all(&cut, &c, &no_limits, true);
    CU_ASSERT_EQUAL(cut.chunks, 2);
    CU_ASSERT_EQUAL(cut.counts[0], 2);
    CU_ASSERT_EQUAL(cut.headers[1], HIST_RESET);
    columns_fini(&c);
}

/* ---- many --------------------------------------------------------------- */

static void grow(struct histogram_counter *k, uint64_t *state)
{
    k->from = 3;
    k->n = 40;
    for (int i = 0; i < 6; i++)
        k->counts[histograms_random(state) %
                  (histograms_random(state) % 40 + 1)] +=
            histograms_random(state) % 1000;
}

/* Counters that grow new buckets, of both kinds, with floats between; and a
 * reset now and then. */
static void test_random(void)
{
    static const struct chunk_limits limits[] = {
        { 0, 0, 0 },     { 7, 0, 0 }, { 0, 300, 0 },      { 120, 2000, 0 },
        { 0, 0, 60000 }, { 1, 0, 0 }, { 100, 10, 30000 },
    };
    uint64_t state = 88172645463325252u;

    for (size_t round = 0; round < 40; round++) {
        struct histogram_counter pos = { .n = 0 }, neg = { .n = 0 };
        struct columns c = { 0 };
        sonde_msec t =
            (sonde_msec)(histograms_random(&state) % 10000000) - 5000000;

        for (size_t i = 0; i < 200; i++) {
            uint64_t r = histograms_random(&state);
            bool is_float = round & 1;

            t += 1 + (sonde_msec)(r % 5000);
            if (r % 97 == 0)
                memset(&pos, 0, sizeof(pos));
            if (r % 53 == 0) {
                struct histogram *s =
                    arena_new(columns_arena(&c), struct histogram);
                *s = stale(is_float);
                columns_push_histogram(&c, t, s);
                continue;
            }
            if (r % 31 == 0) {
                columns_push(&c, t, (double)i);
                continue;
            }
            grow(&pos, &state);
            grow(&neg, &state);
            columns_push_histogram(
                &c, t,
                histograms_of(columns_arena(&c), &pos, &neg,
                              r % 41 == 0 ? !is_float : is_float));
        }
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
            struct cut cut;

            cut_all(&cut, &c, &limits[i], round % 3 == 0);
            CU_ASSERT_TRUE(limits[i].samples != 1 || cut.chunks == 200);
        }
        columns_fini(&c);
    }
}

/* Limits on floats alone. */
static void test_cut_floats(void)
{
    struct columns c = { 0 };
    struct cut cut;

    for (int i = 0; i < 1000; i++)
        columns_push(&c, (i - 500) * 15000, i * 0.1);
    cut_all(&cut, &c, &no_limits, true);
    CU_ASSERT_EQUAL(cut.chunks, 1);
    cut_all(&cut, &c, &(struct chunk_limits){ 120, 0, 7200000 }, true);
    /* -7500 s to 7485 s in steps of two hours, each of 480 samples */
    CU_ASSERT_EQUAL(cut.counts[0], 20);
    CU_ASSERT_EQUAL(cut.counts[1], 120);
    CU_ASSERT_EQUAL(cut.chunks, 1 + 4 + 4 + 1);
    cut_all(&cut, &c, &(struct chunk_limits){ 0, 500, 0 }, true);
    CU_ASSERT_TRUE(cut.bytes <= cut.chunks * 500);
    CU_ASSERT_TRUE(cut.bytes > (cut.chunks - 1) * 490);
    cut_all(&cut, &c, &(struct chunk_limits){ 0, 3, 0 }, true);
    CU_ASSERT_EQUAL(cut.chunks, 1000);
    columns_fini(&c);
}

/* ---- going on, damage --------------------------------------------------- */

/* A chunk that was opened again goes on as if it had never been closed. */
static void test_open(void)
{
    for (int is_float = 0; is_float < 2; is_float++) {
        struct histogram_counter pos = { .n = 0 }, neg = { .n = 0 };
        struct hist_chunk *c = hist_chunk_new(is_float), *d;
        uint64_t state = 42;
        struct arena a;

        arena_init(&a);
        for (int i = 0; i < 50; i++) {
            struct histogram *h;
            sonde_str x, y;

            grow(&pos, &state);
            h = histograms_of(&a, &pos, &neg, is_float);
            CU_ASSERT_TRUE(hist_chunk_append(c, BASE + i * i, h));
            CU_ASSERT_EQUAL_FATAL(
                hist_chunk_open(is_float, hist_chunk_bytes(c), &d, NULL),
                SONDE_OK);
            x = hist_chunk_bytes(c);
            y = hist_chunk_bytes(d);
            CU_ASSERT_TRUE(sonde_str_eq(x, y));
            CU_ASSERT_TRUE(histogram_same(hist_chunk_last(d), h));
            hist_chunk_free(c);
            c = d;
        }
        hist_chunk_free(c);
        arena_fini(&a);
    }
}

/* Cut short or with a bit flipped: samples or an error, nothing else. */
static void test_damage(void)
{
    char *data = malloc(sizeof(from_a_block));
    struct columns got = { 0 };

    for (size_t len = 0; len < sizeof(from_a_block); len++) {
        char *part = malloc(len ? len : 1);

        memcpy(part, from_a_block, len);
        columns_reset(&got);
        CU_ASSERT_EQUAL(
            chunk_decode(CHUNK_HISTOGRAM, (sonde_str){ part, len }, &got, NULL),
            SONDE_ECORRUPT);
        CU_ASSERT_TRUE(got.count < 2);
        free(part);
    }
    for (size_t bit = 0; bit < sizeof(from_a_block) * 8; bit++)
        for (int encoding = 0; encoding < 5; encoding++) {
            memcpy(data, from_a_block, sizeof(from_a_block));
            data[bit / 8] ^= (char)(1 << bit % 8);
            columns_reset(&got);
            CU_ASSERT_TRUE(
                chunk_decode((enum chunk_encoding)encoding,
                             (sonde_str){ data, sizeof(from_a_block) }, &got,
                             NULL) == SONDE_OK ||
                got.count < 65536);
        }
    columns_fini(&got);
    free(data);
}

/* Some chunks of Prometheus 3 list an index twice: what is there is added. */
static void test_backwards(void)
{
    const struct histogram h = {
        .count.i = 15,
        .positive = { SPANS({ 35, 1 }, { 1, 1 }, { -1, 1 }, { -4, 2 }),
                      INTS(1, 1, 1, 1, 1) },
    };
    const struct histogram want = {
        .count.i = 15,
        .positive = { SPANS({ 34, 2 }, { 1, 1 }), INTS(4, 2, -1) },
    };
    struct histogram f = { .is_float = true };
    struct columns got = { 0 };
    struct hist_chunk *c = hist_chunk_new(false), *d = hist_chunk_new(true);

    CU_ASSERT_TRUE(hist_chunk_append(c, BASE, &h));
    CU_ASSERT_EQUAL(hist_decode(false, hist_chunk_bytes(c), &got, NULL),
                    SONDE_OK);
    CU_ASSERT_TRUE(histogram_same(got.h[0], &want));
    CU_ASSERT_EQUAL(got.h[0]->positive.span_count, 2);
    f.positive = h.positive;
    f.positive.buckets.f = (double[]){ 1, 2, 3, 4, 5 };
    CU_ASSERT_TRUE(hist_chunk_append(d, BASE, &f));
    columns_reset(&got);
    CU_ASSERT_EQUAL(hist_decode(true, hist_chunk_bytes(d), &got, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(got.h[0]->positive.bucket_count, 3);
    CU_ASSERT_EQUAL(got.h[0]->positive.buckets.f[0], 4);
    CU_ASSERT_EQUAL(got.h[0]->positive.buckets.f[1], 6);
    CU_ASSERT_EQUAL(got.h[0]->positive.buckets.f[2], 5);
    columns_fini(&got);
    hist_chunk_free(c);
    hist_chunk_free(d);
}

static void test_mixed_columns(void)
{
    struct columns c = { 0 };
    struct histogram h = { .count.i = 1, .sum = 5 };
    struct cut cut;

    columns_push(&c, 1, 1);
    columns_push(&c, 2, 2);
    columns_push_histogram(&c, 3, &h);
    columns_push(&c, 4, 4);
    cut_all(&cut, &c, &no_limits, true);
    CU_ASSERT_EQUAL(cut.chunks, 3);
    CU_ASSERT_EQUAL(cut.encodings[0], CHUNK_XOR);
    CU_ASSERT_EQUAL(cut.encodings[1], CHUNK_HISTOGRAM);
    CU_ASSERT_EQUAL(cut.encodings[2], CHUNK_XOR);
    columns_fini(&c);
}

static const struct tap_test tests[] = {
    { "a histogram chunk is Prometheus' bytes", test_vector },
    { "what does not fit begins a chunk that says why", test_fit },
    { "a stale marker ends a chunk", test_stale_ends_a_chunk },
    { "gauges gather buckets", test_gauge },
    { "custom bounds", test_custom_bounds },
    { "random histograms come back under all limits", test_random },
    { "floats are cut at their limits", test_cut_floats },
    { "a chunk is opened again", test_open },
    { "damage is noticed or harmless", test_damage },
    { "spans that go backwards", test_backwards },
    { "floats and histograms in a row", test_mixed_columns },
};

int main(void)
{
    return TAP_RUN("hist_chunk", tests);
}
