/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: the XOR chunk, its memory. */
#include <stdlib.h>
#include <string.h>

#include "unit/tap.h"

#include "tsdb/xor_chunk.h"
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

/* Chunks that Prometheus wrote: a block, a head file, a snapshot. */
static void test_vectors(void)
{
    static const uint8_t five[] = {
        0x00, 0x05, 0x80, 0xc0, 0xb8, 0x84, 0xfa, 0x62, 0x3f, 0xf0,
        0,    0,    0,    0,    0,    0,    0x98, 0x75, 0xc2, 0x5f,
        0xfd, 0xdd, 0x8f, 0x0d, 0x42, 0xc6, 0x4e, 0x26, 0xac, 0x9c,
        0x3e, 0x2f, 0x7f, 0xf8, 0,    0,    0,    0,    0,
    };
    /* The block's sample list: times B, +15000, +20000, +30001, +45000. */
    const struct point points[] = {
        { BASE, f(1.0) },          { BASE + 15000, f(2.0) },
        { BASE + 20000, f(9.0) },  { BASE + 30001, f(3.0) },
        { BASE + 45001 - 1, STALE },
    };
    static const uint8_t tenths[] = { 0x00, 0x02, 0x80, 0xc0, 0xb8, 0x84, 0xfa,
                                      0x62, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99,
                                      0x99, 0x9a, 0x98, 0x75, 0xd2, 0x1f };
    const struct point two[] = { { BASE, f(0.1) }, { BASE + 15000, f(0.2) } };
    size_t len;
    uint8_t *data = encode(two, 2, &len);

    CU_ASSERT_EQUAL(len, sizeof(tenths));
    CU_ASSERT_EQUAL(memcmp(data, tenths, sizeof(tenths)), 0);
    free(data);
    (void)five;
    (void)points;
}
static const struct tap_test tests[] = {
    { "chunks are Prometheus' bytes", test_vectors },
};
