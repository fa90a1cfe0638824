/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records through snappy's block format. The block says how long its content
 * is; nobody believes it: the densest element is a copy, three bytes for 64,
 * so that a block of n bytes unfolds to less than 22 n. A length beyond that
 * is a lie and is refused before memory is asked for.
 */
#include "wal/unpack.h"

#include <snappy-c.h>

#define SNAPPY_MAX_RATIO 22

const char *unpack_snappy(sonde_str packed, struct buf *out)
{
    size_t len;
    char *at;

    buf_reset(out);
    if (snappy_uncompressed_length(packed.ptr, packed.len, &len) != SNAPPY_OK)
        return "snappy: no length";
    if (len > WAL_RECORD_MAX_BYTES || len / SNAPPY_MAX_RATIO > packed.len)
        return "snappy: declared length is impossible";
    at = buf_reserve(out, len ? len : 1);
    if (!at)
        return "snappy: too large";
    if (snappy_uncompress(packed.ptr, packed.len, at, &len) != SNAPPY_OK)
        return "snappy: malformed";
    buf_added(out, len);
    return NULL;
}

sonde_str pack_snappy(sonde_str record, struct buf *out, bool *packed)
{
    size_t len = snappy_max_compressed_length(record.len);
    char *at;

    *packed = false;
    buf_reset(out);
    at = buf_reserve(out, len);
    if (!at || snappy_compress(record.ptr, record.len, at, &len) != SNAPPY_OK ||
        len >= record.len)
        return record;
    buf_added(out, len);
    *packed = true;
    return buf_str(out);
}
