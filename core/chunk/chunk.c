/* SPDX-License-Identifier: Apache-2.0 */
/* What all encodings have in common: a count at the front, and one way to be
 * read into columns. */
#include "chunk/chunk.h"

#include "chunk/hist_chunk.h"
#include "chunk/xor_chunk.h"

uint32_t chunk_count(sonde_str data)
{
    return (uint32_t)xor_count(data);
}

static sonde_code decode_floats(sonde_str data, struct columns *out,
                                struct sonde_err *err)
{
    size_t n;
    sonde_code rc;

    columns_reserve(out, xor_count(data) + 1); /* never without arrays */
    rc = xor_decode(data, out->t + out->count, out->v + out->count, &n, err);
    columns_floats_added(out, n);
    return rc;
}

sonde_code chunk_decode(enum chunk_encoding encoding, sonde_str data,
                        struct columns *out, struct sonde_err *err)
{
    switch (encoding) {
    case CHUNK_XOR:
        return decode_floats(data, out, err);
    case CHUNK_HISTOGRAM:
        return hist_decode(false, data, out, err);
    case CHUNK_FLOAT_HISTOGRAM:
        return hist_decode(true, data, out, err);
    case CHUNK_NONE:
        break;
    }
    return sonde_err_set(err, SONDE_ECORRUPT,
                         "decode chunk: unknown encoding %d", (int)encoding);
}
