/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol Buffers' wire code: fields one by one out of bytes from outside.
 * Nothing is read before its length is known to be there. Functions in
 * `static inline` are for the receiver's hot loop.
 */
#ifndef REMOTE_WIRE_H
#define REMOTE_WIRE_H

#include <sonde/base.h>

#include "util/bytes.h"

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5
};
/* The byte that begins a field of a number below 16. */
#define WIRE_TAG(field, type) ((uint8_t)((field) << 3 | (type)))

struct wire_field {
    uint64_t number;
    enum wire_type type;
    uint64_t bits;   /* of a varint or a fixed one                        */
    sonde_str bytes; /* of WIRE_BYTES: a view                             */
};

/* The next field; false at the end, or when the bytes are malformed: then
 * the reader has failed. */
bool wire_next(struct reader *r, struct wire_field *f);

/* Whether the field has the type that it must have; if not, the reader has
 * failed. */
static inline bool wire_is(struct reader *r, const struct wire_field *f,
                           enum wire_type type)
{
    if (f->type == type)
        return true;
    r->failed = true;
    return false;
}

/* How many varints lie in a packed field. */
size_t wire_packed_count(sonde_str packed);

static inline uint64_t wire_uvarint(struct reader *r)
{
    if (r->p < r->end && *r->p < 0x80)
        return *r->p++;
    return reader_uvarint(r);
}

static inline double wire_double(const struct wire_field *f)
{
    return bits_double(f->bits);
}

static inline uint64_t wire_fixed64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

#endif
