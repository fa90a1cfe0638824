/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The general reader of fields, for all that is not in the hot loop. Groups
 * (types 3 and 4) ended before proto3 began; nobody sends them, so they are
 * malformed here. Numbers above 2^29 and the number 0 do not exist.
 */
#include "remote/wire.h"

#define FIELD_NUMBER_MAX ((UINT64_C(1) << 29) - 1)

bool wire_next(struct reader *r, struct wire_field *f)
{
    uint64_t key;

    if (r->failed || reader_left(r) == 0)
        return false;
    key = wire_uvarint(r);
    *f = (struct wire_field){ .number = key >> 3,
                              .type = (enum wire_type)(key & 7) };
    if (f->number == 0 || f->number > FIELD_NUMBER_MAX)
        r->failed = true;
    switch (f->type) {
    case WIRE_VARINT:
        f->bits = wire_uvarint(r);
        break;
    case WIRE_FIXED64:
        if (reader_need(r, 8)) {
            f->bits = wire_fixed64(r->p);
            r->p += 8;
        }
        break;
    case WIRE_FIXED32:
        (void)reader_be32(r); /* no message of ours has one */
        break;
    case WIRE_BYTES:
        f->bytes = reader_bytes(r, wire_uvarint(r));
        break;
    default:
        r->failed = true;
        break;
    }
    return !r->failed;
}

size_t wire_packed_count(sonde_str packed)
{
    size_t n = 0;

    for (size_t i = 0; i < packed.len; i++)
        n += !((uint8_t)packed.ptr[i] & 0x80);
    return n;
}
