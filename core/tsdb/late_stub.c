/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for what the rooms chunk and model will have: floats only. The
 * definitions there win over these weak ones; this file goes then. */
#include <stdlib.h>

#include "chunk/chunk.h"
#include "chunk/xor_chunk.h"
#include "model/histogram.h"

#define STAND_IN __attribute__((weak))

STAND_IN sonde_code chunk_decode(enum chunk_encoding encoding, sonde_str data,
                                 struct columns *out, struct sonde_err *err)
{
    sonde_code rc;
    size_t n;

    (void)encoding;
    columns_reserve(out, xor_count(data));
    rc = xor_decode(data, out->t + out->count, out->v + out->count, &n, err);
    out->count += n;
    return rc;
}

STAND_IN sonde_code chunks_cut(const struct columns *c, size_t from, size_t to,
                               const struct chunk_limits *limits,
                               bool first_unknown, chunk_emit emit, void *arg,
                               struct sonde_err *err)
{
    struct xor_state st = { 0 };
    uint8_t data[8192];

    (void)limits;
    (void)first_unknown;
    xor_begin(&st);
    for (size_t i = from; i < to; i++)
        if (xor_append(&st, data, sizeof(data), c->t[i], c->v[i]))
            abort();
    xor_seal(&st, data);
    return emit(arg,
                &(struct chunk){ CHUNK_XOR,
                                 { (char *)data, xor_len(&st) },
                                 c->t[from],
                                 c->t[to - 1],
                                 (uint32_t)(to - from) },
                err);
}

STAND_IN struct histogram *histogram_dup(struct arena *a,
                                         const struct histogram *h)
{
    (void)a;
    (void)h;
    abort();
}

STAND_IN bool histogram_same(const struct histogram *a,
                             const struct histogram *b)
{
    return a == b;
}
