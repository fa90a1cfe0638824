/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histogram chunks: any bytes decode to samples or an error without reading
 * beyond them, and what was decoded comes back when it is encoded again. The
 * first byte says which kind.
 */
#include "chunk/hist_chunk.h"

#include <stdlib.h>

#include "chunk/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sonde_code take(void *arg, const struct chunk *chunk,
                       struct sonde_err *err)
{
    struct columns *back = arg;
    size_t before = back->count;

    if (chunk_decode(chunk->encoding, chunk->data, back, err) != SONDE_OK ||
        back->count - before != chunk->count)
        abort();
    return SONDE_OK;
}

static bool same(const struct histogram *a, const struct histogram *b)
{
    if (histogram_is_stale(a))
        return histogram_is_stale(b);
    return histogram_same(a, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct chunk_limits limits = { 50, 4000, 0 };
    struct columns c = { 0 }, back = { 0 };
    bool is_float;

    if (size == 0)
        return 0;
    is_float = data[0] & 1;
    if (hist_decode(is_float, (sonde_str){ (const char *)data + 1, size - 1 },
                    &c, NULL) == SONDE_OK &&
        c.count > 65535)
        abort();
    if (chunks_cut(&c, 0, c.count, &limits, data[0] & 2, take, &back, NULL) !=
            SONDE_OK ||
        back.count != c.count)
        abort();
    for (size_t i = 0; i < c.count; i++)
        if (c.t[i] != back.t[i] || !same(c.h[i], back.h[i]))
            abort();
    columns_fini(&c);
    columns_fini(&back);
    return 0;
}
