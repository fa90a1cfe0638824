/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol Buffers by direct wire code. The messages are three levels deep
 * and never change, and a length is known before its message is written, so
 * that nothing is written twice or built in memory first.
 *
 *     WriteRequest    1 timeseries*  3 metadata*
 *     TimeSeries      1 labels*  2 samples*
 *     Label           1 name  2 value
 *     Sample          1 value (double)  2 timestamp (int64)
 *     MetricMetadata  1 type  2 family  4 help  5 unit
 *
 * Values go out as their 64 bits: a stale marker stays one, and -0 and NaN
 * are written where other encoders would leave a "zero" out.
 */
#include "remote/encode.h"

#include <endian.h>

#include <snappy-c.h>

#include "remote/wire.h"
#include "util/bytes.h"
#include "util/mem.h"

/* tag and value, tag and timestamp */
#define SAMPLE_MAX_BYTES (1 + 8 + 1 + UVARINT_MAX)

static size_t uvarint_size(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static size_t bytes_size(size_t len)
{
    return 1 + uvarint_size(len) + len;
}

static void put_bytes(struct buf *b, unsigned field, sonde_str s)
{
    buf_u8(b, WIRE_TAG(field, WIRE_BYTES));
    buf_uvarint_str(b, s);
}

void encode_labels(struct buf *b, const struct labels *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct label *at = &l->items[i];

        buf_u8(b, WIRE_TAG(1, WIRE_BYTES));
        buf_uvarint(b, bytes_size(at->name.len) + bytes_size(at->value.len));
        put_bytes(b, 1, at->name);
        put_bytes(b, 2, at->value);
    }
}

static size_t sample_size(const struct remote_sample *s)
{
    return 1 + 8 + 1 + uvarint_size((uint64_t)s->t);
}

static void put_sample(struct buf *b, const struct remote_sample *s)
{
    uint8_t *p = (uint8_t *)buf_reserve(b, 2 + SAMPLE_MAX_BYTES);
    uint64_t bits = htole64(double_bits(s->v));

    if (!p)
        return;
    *p++ = WIRE_TAG(2, WIRE_BYTES);
    *p++ = (uint8_t)sample_size(s); /* always one byte */
    *p++ = WIRE_TAG(1, WIRE_FIXED64);
    memcpy(p, &bits, sizeof(bits));
    p += sizeof(bits);
    *p++ = WIRE_TAG(2, WIRE_VARINT);
    p += uvarint_put(p, (uint64_t)s->t);
    b->len = (size_t)((char *)p - b->data);
}

void encode_series(struct buf *b, sonde_str labels,
                   const struct remote_sample *samples, size_t n)
{
    size_t len = labels.len;

    for (size_t i = 0; i < n; i++)
        len += bytes_size(sample_size(&samples[i]));
    buf_u8(b, WIRE_TAG(1, WIRE_BYTES));
    buf_uvarint(b, len);
    buf_put(b, labels);
    for (size_t i = 0; i < n; i++)
        put_sample(b, &samples[i]);
}

void encode_metadata(struct buf *b, const struct metadata *m)
{
    size_t len = 1 + uvarint_size((uint64_t)m->type) +
                 bytes_size(m->family.len) + bytes_size(m->help.len) +
                 bytes_size(m->unit.len);

    buf_u8(b, WIRE_TAG(3, WIRE_BYTES));
    buf_uvarint(b, len);
    buf_u8(b, WIRE_TAG(1, WIRE_VARINT));
    buf_uvarint(b, (uint64_t)m->type);
    put_bytes(b, 2, m->family);
    put_bytes(b, 4, m->help);
    put_bytes(b, 5, m->unit);
}

void encode_body(sonde_str message, struct buf *out)
{
    size_t len = snappy_max_compressed_length(message.len);
    char *at;

    buf_reset(out);
    at = buf_reserve(out, len);
    if (!at || snappy_compress(message.ptr, message.len, at, &len) != SNAPPY_OK)
        SONDE_BUG("snappy refuses %zu bytes", message.len);
    buf_added(out, len);
}
