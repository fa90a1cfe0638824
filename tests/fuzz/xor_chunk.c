/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XOR chunk from both sides: any bytes decode to samples or an error
 * without reading beyond them, and samples made of the bytes come back.
 */
#include "chunk/xor_chunk.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size)
{
    sonde_str chunk = { (const char *)data, size };
    size_t cap = xor_count(chunk), n;
    sonde_msec *t = mem_alloc(cap * sizeof(*t));
    double *v = mem_alloc(cap * sizeof(*v));
    sonde_code rc = xor_decode(chunk, t, v, &n, NULL);

    if (n > cap || (rc == SONDE_OK) != (n == cap && size >= 2))
        abort();
    free(t);
    free(v);
}

/* The first byte says how many bits a time and a value are made of. */
static void round_trip(const uint8_t *data, size_t size)
{
    struct xor_state s = { 0 };
    struct reader r = { data, data + size, false };
    unsigned shape = reader_u8(&r), t_shift = shape & 63, v_shift = shape >> 6;
    size_t most = size / 16 + 1, cap = most * 20 + 32, n = 0, got;
    uint8_t *chunk = mem_alloc(cap);
    sonde_msec *t = mem_alloc(most * sizeof(*t) * 2), *t2 = t + most;
    double *v = mem_alloc(most * sizeof(*v) * 2), *v2 = v + most;

    xor_begin(&s);
    while (reader_left(&r) >= 16 && n < XOR_SAMPLES_MAX) {
        t[n] = (sonde_msec)(reader_be64(&r) >> t_shift);
        v[n] = bits_double(reader_be64(&r) >> v_shift * 21 << v_shift * 21);
        if (xor_append(&s, chunk, cap, t[n], v[n]) != 0)
            abort();
        n++;
    }
    if (n) {
        xor_seal(&s, chunk);
        if (xor_decode((sonde_str){ (char *)chunk, xor_len(&s) }, t2, v2, &got,
                       NULL) != SONDE_OK ||
            got != n || memcmp(t, t2, n * sizeof(*t)) != 0 ||
            memcmp(v, v2, n * sizeof(*v)) != 0)
            abort();
    }
    free(chunk);
    free(t);
    free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(data, size);
    round_trip(data, size);
    return 0;
}
