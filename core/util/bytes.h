/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers as bytes: big-endian and little-endian, LEB128 varints and zigzag
 * (Protocol Buffers encoding), and a bounded reader over bytes from outside.
 */
#ifndef UTIL_BYTES_H
#define UTIL_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include <sonde/base.h>

#define UVARINT_MAX 10

static inline void be16_put(void *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
}
static inline void be32_put(void *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
}
static inline void be64_put(void *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof(v));
}
static inline uint16_t be16_get(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return be16toh(v);
}
static inline uint32_t be32_get(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}
static inline uint64_t be64_get(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Writes at most UVARINT_MAX bytes, returns how many. */
static inline size_t uvarint_put(uint8_t *p, uint64_t v)
{
    size_t n = 0;

    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

static inline uint64_t double_bits(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof(u));
    return u;
}
static inline double bits_double(uint64_t u)
{
    double d;
    memcpy(&d, &u, sizeof(d));
    return d;
}

/*
 * A reader that never leaves its bytes: past the end it returns zeros and
 * `failed` sticks, so a decoder checks once per record.
 */
struct reader {
    const uint8_t *p, *end;
    bool failed;
};

static inline struct reader reader_of(sonde_str s)
{
    /* no bytes may have no address, but every reader has one to count from */
    const uint8_t *p = (const uint8_t *)(s.ptr ? s.ptr : "");
    return (struct reader){ p, p + s.len, false };
}
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}
static inline bool reader_need(struct reader *r, size_t n)
{
    if (reader_left(r) >= n)
        return true;
    r->failed = true;
    r->p = r->end;
    return false;
}
static inline uint8_t reader_u8(struct reader *r)
{
    return reader_need(r, 1) ? *r->p++ : 0;
}
static inline uint32_t reader_be32(struct reader *r)
{
    if (!reader_need(r, 4))
        return 0;
    r->p += 4;
    return be32_get(r->p - 4);
}
static inline uint64_t reader_be64(struct reader *r)
{
    if (!reader_need(r, 8))
        return 0;
    r->p += 8;
    return be64_get(r->p - 8);
}
uint64_t reader_long_uvarint(struct reader *r);
static inline uint64_t reader_uvarint(struct reader *r)
{
    if (r->p < r->end && *r->p < 0x80)
        return *r->p++;
    return reader_long_uvarint(r);
}
static inline int64_t reader_varint(struct reader *r)
{
    return unzigzag(reader_uvarint(r));
}
static inline sonde_str reader_bytes(struct reader *r, uint64_t n)
{
    if (n > reader_left(r)) {
        r->failed = true;
        r->p = r->end;
        return (sonde_str){ 0 };
    }
    r->p += n;
    return (sonde_str){ (const char *)r->p - n, (size_t)n };
}
/* uvarint length, then the bytes; a view into them. */
static inline sonde_str reader_uvarint_str(struct reader *r)
{
    return reader_bytes(r, reader_uvarint(r));
}

#endif
