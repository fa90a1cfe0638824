/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf fields for tests, right and wrong ones. */
#ifndef TESTS_UNIT_PROTO_KIT_H
#define TESTS_UNIT_PROTO_KIT_H

#include <endian.h>

#include "util/buf.h"
#include "util/bytes.h"

static inline void pb_varint(struct buf *b, unsigned field, uint64_t v)
{
    buf_uvarint(b, (uint64_t)field << 3);
    buf_uvarint(b, v);
}
static inline void pb_sint(struct buf *b, unsigned field, int64_t v)
{
    pb_varint(b, field, zigzag(v));
}
static inline void pb_double(struct buf *b, unsigned field, double v)
{
    uint64_t bits = htole64(double_bits(v));

    buf_uvarint(b, (uint64_t)field << 3 | 1);
    buf_bytes(b, &bits, 8);
}
static inline void pb_bytes(struct buf *b, unsigned field, sonde_str s)
{
    buf_uvarint(b, (uint64_t)field << 3 | 2);
    buf_uvarint_str(b, s);
}
/* As a message, which is emptied. */
static inline void pb_message(struct buf *b, unsigned field, struct buf *m)
{
    pb_bytes(b, field, buf_str(m));
    buf_reset(m);
}

#endif
