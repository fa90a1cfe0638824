/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of head chunk files follow each other without a mark between them:
 * a record that is damaged in its length hides where the next one begins. So
 * behind damage every place is tried. A place where a record may begin has
 * three zero bytes (references have 40 bits), times in order and an encoding
 * that there is, so few need their checksum computed, and what passes it is a
 * record but for once in four billion.
 */
#include "tsdb/head_record.h"

#include <string.h>

#include "util/bytes.h"
#include "util/crc32c.h"

#define REF_BITS    40
#define SEEK_BUDGET ((size_t)64 << 20) /* checksummed in vain, at most     */

size_t head_record_put(uint8_t *to, const struct head_chunk *c)
{
    uint8_t *p = to;

    be64_put(p, c->series);
    be64_put(p + 8, (uint64_t)c->chunk.mint);
    be64_put(p + 16, (uint64_t)c->chunk.maxt);
    p[24] = (uint8_t)((unsigned)c->chunk.encoding |
                      (c->late ? HEAD_RECORD_LATE : 0u));
    p += 25;
    p += uvarint_put(p, c->chunk.data.len);
    memcpy(p, c->chunk.data.ptr, c->chunk.data.len);
    p += c->chunk.data.len;
    be32_put(p, crc32c(0, to, (size_t)(p - to)));
    return (size_t)(p - to) + 4;
}

size_t head_record_bytes(const struct head_chunk *c)
{
    uint8_t scratch[UVARINT_MAX];

    return 25 + uvarint_put(scratch, c->chunk.data.len) + c->chunk.data.len + 4;
}

bool head_record_get(sonde_str bytes, struct head_chunk *out, size_t *len)
{
    struct reader r = reader_of(bytes);
    uint8_t encoding;

    *out = (struct head_chunk){ 0 };
    out->series = reader_be64(&r);
    out->chunk.mint = (sonde_msec)reader_be64(&r);
    out->chunk.maxt = (sonde_msec)reader_be64(&r);
    encoding = reader_u8(&r);
    out->late = encoding & HEAD_RECORD_LATE;
    out->chunk.encoding =
        (enum chunk_encoding)(encoding & (uint8_t)~HEAD_RECORD_LATE);
    out->chunk.data = reader_uvarint_str(&r);
    (void)reader_bytes(&r, 4);
    *len = bytes.len - reader_left(&r);
    return !r.failed;
}

static bool is_plausible(const struct head_chunk *c)
{
    return c->series != 0 && c->series >> REF_BITS == 0 &&
           c->chunk.mint <= c->chunk.maxt && c->chunk.encoding != CHUNK_NONE &&
           c->chunk.data.len >= 2 && c->chunk.data.len <= HEAD_RECORD_DATA;
}

static bool is_zero(sonde_str bytes)
{
    return bytes.len == 0 ||
           (bytes.ptr[0] == 0 &&
            memcmp(bytes.ptr, bytes.ptr + 1, bytes.len - 1) == 0);
}

enum head_record_found head_record_check(sonde_str bytes,
                                         struct head_chunk *out, size_t *len)
{
    if (head_record_get(bytes, out, len) && is_plausible(out) &&
        crc32c(0, bytes.ptr, *len - 4) == be32_get(bytes.ptr + *len - 4))
        return HEAD_RECORD_GOOD;
    return is_zero(bytes) ? HEAD_RECORD_END : HEAD_RECORD_BAD;
}

size_t head_record_seek(sonde_str bytes, size_t from)
{
    struct head_chunk c;
    size_t len, budget = SEEK_BUDGET + bytes.len * 4;

    for (; from + HEAD_RECORD_MIN <= bytes.len; from++) {
        const char *p = bytes.ptr + from;

        /* What no record begins with is left at once. */
        if (p[0] || p[1] || p[2])
            continue;
        if (!head_record_get((sonde_str){ p, bytes.len - from }, &c, &len) ||
            !is_plausible(&c))
            continue;
        if (crc32c(0, p, len - 4) == be32_get(p + len - 4))
            return from;
        if (budget < len)
            break;
        budget -= len;
    }
    return bytes.len;
}
