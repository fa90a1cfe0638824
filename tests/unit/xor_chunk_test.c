/* SPDX-License-Identifier: Apache-2.0 */
/* chunk: the XOR chunk. */
#include <stdlib.h>
#include <string.h>

#include "chunk/xor_chunk.h"
#include "unit/tap.h"
#include "util/bytes.h"

#define STALE UINT64_C(0x7ff0000000000002)
#define BASE  INT64_C(1700006400000)

struct point {
    sonde_msec t;
    uint64_t v;
};

/* Encodes with exactly as much memory as the encoder asks for, so that the
 * sanitizer sees a byte too many. */
static uint8_t *encode(const struct point *p, size_t n, size_t *len)
{
    struct xor_state s = { 0 };
    uint8_t *data = NULL;
    size_t cap = 0;

    xor_begin(&s);
    for (size_t i = 0; i < n; i++) {
        size_t need = xor_append(&s, data, cap, p[i].t, bits_double(p[i].v));

        if (need == 0)
            continue;
        CU_ASSERT_FATAL(need > cap);
        data = realloc(data, cap = need);
        need = xor_append(&s, data, cap, p[i].t, bits_double(p[i].v));
        CU_ASSERT_EQUAL_FATAL(need, 0);
    }
    CU_ASSERT_EQUAL(xor_len(&s), cap);
    CU_ASSERT_EQUAL(s.count, n);
    if (data)
        xor_seal(&s, data);
    *len = cap;
    return data;
}

static void round_trip(const struct point *p, size_t n)
{
    size_t len, got;
    uint8_t *data = encode(p, n, &len);
    sonde_str chunk = { (const char *)data, len };
    sonde_msec *t = malloc(n * sizeof(*t));
    double *v = malloc(n * sizeof(*v));

    CU_ASSERT_EQUAL_FATAL(xor_count(chunk), n);
    CU_ASSERT_EQUAL(xor_decode(chunk, t, v, &got, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(got, n);
    CU_ASSERT_EQUAL(xor_first_time(data), p[0].t);
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL(t[i], p[i].t);
        CU_ASSERT_EQUAL(double_bits(v[i]), p[i].v);
    }
    free(data);
    free(t);
    free(v);
}

static uint64_t f(double d)
{
    return double_bits(d);
}

static bool bytes_are(const struct point *p, size_t n, const uint8_t *want,
                      size_t want_len)
{
    size_t len;
    uint8_t *data = encode(p, n, &len);
    bool same = len == want_len && memcmp(data, want, len) == 0;

    free(data);
    return same;
}

/* Chunks that Prometheus wrote, from a block, a head file and its tools. */
static void test_vectors(void)
{
    static const uint8_t five[] = {
        0x00, 0x05, 0x80, 0xc0, 0xb8, 0x84, 0xfa, 0x62, 0x3f, 0xf0,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x98, 0x75, 0xc2, 0x5f,
        0xff, 0xdd, 0x8f, 0x0d, 0x42, 0xc6, 0x4e, 0x26, 0xac, 0x9c,
        0x3e, 0x2f, 0x7f, 0xf8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
    };
    static const uint8_t tenths[] = {
        0x00, 0x02, 0x80, 0xc0, 0xb8, 0x84, 0xfa, 0x62, 0x3f, 0xb9,
        0x99, 0x99, 0x99, 0x99, 0x99, 0x9a, 0x98, 0x75, 0xd2, 0x1f,
    };
    static const uint8_t ooo[] = {
        0x00, 0x02, 0xb0, 0xaa, 0xba, 0x84, 0xfa, 0x62, 0x40, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x27, 0xd4, 0x2c, 0x40,
    };
    const struct point five_points[] = {
        { BASE, f(1.0) },         { BASE + 15000, f(2.0) },
        { BASE + 20000, f(9.0) }, { BASE + 30001, f(3.0) },
        { BASE + 45001, STALE },
    };
    const struct point tenths_points[] = { { BASE, f(0.1) },
                                           { BASE + 15000, f(0.2) } };
    const struct point ooo_points[] = { { BASE + 15000, f(2.0) },
                                        { BASE + 20000, f(9.0) } };
    /* The decoder's side, where the encoder's is not at hand. */
    static const uint8_t rising[] = { 0x00, 0x02, 0x82, 0xe2, 0xcd, 0x95, 0xfa,
                                      0x62, 0x40, 0x18, 0x00, 0x00, 0x00, 0x00,
                                      0x00, 0x00, 0xdf, 0xd4, 0x03, 0x00 };
    sonde_msec t[2];
    double v[2];
    size_t n;

    CU_ASSERT_TRUE(bytes_are(five_points, 5, five, sizeof(five)));
    CU_ASSERT_TRUE(bytes_are(tenths_points, 2, tenths, sizeof(tenths)));
    CU_ASSERT_TRUE(bytes_are(ooo_points, 2, ooo, sizeof(ooo)));
    CU_ASSERT_EQUAL(
        xor_decode((sonde_str){ (const char *)rising, sizeof(rising) }, t, v,
                   &n, NULL),
        SONDE_OK);
    CU_ASSERT_EQUAL(n, 2);
    CU_ASSERT_EQUAL(t[1] - t[0], 0xea5f);
    CU_ASSERT_EQUAL(v[1], 6.0);
}

/* Each width of a step in time at its edges, as bits behind two samples of
 * the same value: a prefix, the payload, one zero bit for the value. */
static void test_time_widths(void)
{
    static const struct {
        int line;
        int64_t dod;
        size_t bits;
        uint64_t prefix;
        unsigned prefix_bits;
    } rows[] = {
        { __LINE__, 0, 1, 0, 1 },
        { __LINE__, 1, 16, 2, 2 },
        { __LINE__, -8191, 16, 2, 2 },
        { __LINE__, 8192, 16, 2, 2 },
        { __LINE__, -8192, 20, 6, 3 },
        { __LINE__, 8193, 20, 6, 3 },
        { __LINE__, -65535, 20, 6, 3 },
        { __LINE__, 65536, 20, 6, 3 },
        { __LINE__, -65536, 24, 14, 4 },
        { __LINE__, 65537, 24, 14, 4 },
        { __LINE__, -524287, 24, 14, 4 },
        { __LINE__, 524288, 24, 14, 4 },
        { __LINE__, -524288, 68, 15, 4 },
        { __LINE__, 524289, 68, 15, 4 },
        { __LINE__, INT64_C(1) << 60, 68, 15, 4 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct xor_state s = { 0 };
        uint8_t data[64];
        uint32_t before;
        uint64_t got;

        xor_begin(&s);
        (void)xor_append(&s, data, sizeof(data), 0, 1);
        (void)xor_append(&s, data, sizeof(data), 600000, 1);
        before = s.bits;
        CU_ASSERT_EQUAL(
            xor_append(&s, data, sizeof(data), 1200000 + rows[i].dod, 1), 0);
        ROW_ASSERT(&rows[i], s.bits - before == rows[i].bits + 1);
        got = be64_get(data + before / 8) << before % 8;
        ROW_ASSERT(&rows[i],
                   got >> (64 - rows[i].prefix_bits) == rows[i].prefix);
    }
}

/* The window of significant bits: opened, kept, opened again. */
static void test_value_windows(void)
{
    static const struct {
        int line;
        uint64_t xor ;
        size_t bits; /* after a first XOR of bits 8 to 23 from the top     */
    } rows[] = {
        { __LINE__, 0, 1 },
        { __LINE__, UINT64_C(0x00ffff0000000000), 2 + 16 },
        { __LINE__, UINT64_C(0x0000010000000000), 2 + 16 },
        { __LINE__, UINT64_C(0x0100000000000000), 13 + 1 },
        { __LINE__, UINT64_C(0x0000000000000001), 13 + 33 },
        { __LINE__, UINT64_C(0x8000000000000001), 13 + 64 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t v = UINT64_C(0x00ffff0000000000);
        struct point p[4] = { { 0, 0 }, { 10, v }, { 20, v ^ rows[i].xor } };
        struct xor_state s = { 0 };
        uint8_t data[64];
        uint32_t before;

        xor_begin(&s);
        (void)xor_append(&s, data, sizeof(data), 0, 0.0);
        (void)xor_append(&s, data, sizeof(data), 10, bits_double(v));
        before = s.bits;
        (void)xor_append(&s, data, sizeof(data), 20, bits_double(p[2].v));
        ROW_ASSERT(&rows[i], s.bits - before == 1 + rows[i].bits);
        p[3] = (struct point){ 30, p[2].v ^ 1 };
        round_trip(p, 4);
    }
}

static void test_extremes(void)
{
    const struct point odd[] = {
        { INT64_MIN, STALE },
        { -5, UINT64_C(0x7ff8000000000001) },
        { -4, UINT64_C(0xfff0000000000000) },
        { 0, UINT64_C(0x7ff0000000000000) },
        { 1, UINT64_C(0x8000000000000000) },
        { 2, 0 },
        { 3, UINT64_MAX },
        { 4, UINT64_C(0x7ff0000000000001) },
        { 5, STALE },
        { INT64_MAX, f(-1.5) },
    };

    for (size_t n = 1; n <= sizeof(odd) / sizeof(odd[0]); n++)
        round_trip(odd, n);
}

/* A small generator, so that failures come again. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void test_random(void)
{
    uint64_t state = 88172645463325252u;
    struct point *p = malloc(XOR_SAMPLES_MAX * sizeof(*p));

    for (int round = 0; round < 200; round++) {
        size_t n = 1 + next_random(&state) % 300;
        unsigned kind = round % 4;
        struct point x = { (sonde_msec)(next_random(&state) >> 20), 0 };

        if (round == 0)
            n = XOR_SAMPLES_MAX;
        for (size_t i = 0; i < n; i++) {
            uint64_t r = next_random(&state);

            x.t += 1 + (sonde_msec)(r % (kind ? 100 : 2000000));
            if (kind == 3)
                x.v = r;
            else if (kind)
                x.v = f((double)(i * (r % kind + 1)) / (kind == 1 ? 1 : 10));
            p[i] = x;
        }
        round_trip(p, n);
    }
    free(p);
}

/* Every chunk that is cut short, or has a bit flipped, is samples or an
 * error, and never more than the count says. */
static void test_damage(void)
{
    struct point p[50];
    static sonde_msec t[XOR_SAMPLES_MAX];
    static double v[XOR_SAMPLES_MAX];
    uint8_t *data;
    size_t len, n;

    for (size_t i = 0; i < 50; i++)
        p[i] = (struct point){ (sonde_msec)(i * i * 1000), f(i / 7.0) };
    data = encode(p, 50, &len);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);

        memcpy(part, data, cut);
        CU_ASSERT_EQUAL(
            xor_decode((sonde_str){ (char *)part, cut }, t, v, &n, NULL),
            SONDE_ECORRUPT);
        CU_ASSERT_TRUE(n < 50);
        free(part);
    }
    for (size_t bit = 0; bit < len * 8; bit++) {
        sonde_str chunk = { (char *)data, len };
        sonde_code rc;

        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        rc = xor_decode(chunk, t, v, &n, NULL);
        CU_ASSERT_TRUE(rc == SONDE_OK ? n == xor_count(chunk)
                                      : n < xor_count(chunk));
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(data);
}

/* The bytes of a chunk of values, each a second after the one before. */
static size_t encode_values(const double *v, size_t n, bool chosen,
                            uint8_t *data, size_t cap)
{
    struct xor_window *w = malloc(n * sizeof(*w));
    struct xor_state s = { 0 };

    xor_begin(&s);
    xor_windows(v, n, w);
    for (size_t i = 0; i < n; i++) {
        sonde_msec t = BASE + (sonde_msec)i * 1000;
        size_t need = chosen ? xor_append_within(&s, data, cap, t, v[i], w[i])
                             : xor_append(&s, data, cap, t, v[i]);

        CU_ASSERT_EQUAL_FATAL(need, 0);
    }
    xor_seal(&s, data);
    free(w);
    return xor_len(&s);
}

/* The windows that are chosen give the same values back, in fewer bytes; the
 * bound is what they were when this was written. */
static void test_chosen_windows(void)
{
    static const double want_less[] = { 0.78, 0.75, 0.97, 0.98, 1.001 };
    enum {
        N = 1200,
        CAP = 16384
    };
    static double v[N], got[N];
    static sonde_msec t[N];
    uint8_t *data = malloc(CAP);

    for (unsigned kind = 0; kind < 5; kind++) {
        uint32_t r = kind + 1;
        size_t usual, len, n;

        v[0] = 0;
        for (int i = 1; i < N; i++) {
            r = r * 1664525 + 1013904223;
            switch (kind) {
            case 0: /* a counter */
                v[i] = v[i - 1] + (r >> 8) % 100;
                break;
            case 1: /* a steady one */
                v[i] = v[i - 1] + 15;
                break;
            case 2: /* a gauge with two decimals */
                v[i] =
                    (double)((int)(v[i - 1] * 100) + (int)(r >> 8) % 99) / 100;
                break;
            case 3: /* seldom another */
                v[i] = (r >> 8) % 50 ? v[i - 1] : (r >> 16) % 10;
                break;
            default: /* anything: NaNs, infinities, both zeros */
                v[i] = bits_double((uint64_t)r << 32 | r * UINT32_C(77));
                if (i % 7 == 0)
                    v[i] = bits_double(i % 2 ? STALE : UINT64_C(1) << 63);
            }
        }
        usual = encode_values(v, N, false, data, CAP);
        len = encode_values(v, N, true, data, CAP);
        CU_ASSERT_TRUE((double)len <= (double)usual * want_less[kind]);
        CU_ASSERT_EQUAL(
            xor_decode((sonde_str){ (char *)data, len }, t, got, &n, NULL),
            SONDE_OK);
        CU_ASSERT_EQUAL(n, N);
        CU_ASSERT_EQUAL(memcmp(v, got, sizeof(v)), 0);
    }
    free(data);
}

static const struct tap_test tests[] = {
    { "chosen windows", test_chosen_windows },
    { "chunks are Prometheus' bytes", test_vectors },
    { "times take the width they need", test_time_widths },
    { "values keep their window or open one", test_value_windows },
    { "extreme times and every kind of NaN come back", test_extremes },
    { "random samples come back", test_random },
    { "damage is noticed or harmless", test_damage },
};

int main(void)
{
    return TAP_RUN("xor_chunk", tests);
}
