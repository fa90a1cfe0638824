/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer for output: append freely, look once at the end.
 * A buffer may carry a limit; what would pass it is not appended and the
 * error sticks (`buf_failed`). Also the varint and fixed-width writers of the
 * on-disk and wire formats. Not thread-safe.
 */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <sonde/base.h>

struct buf {
    char *data;
    size_t len, cap;
    size_t limit; /* 0: none */
    bool failed;
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b);
/* Empties it; keeps the memory. */
void buf_reset(struct buf *b);
/* Empties it and gives memory above `keep_bytes` back. */
void buf_shrink(struct buf *b, size_t keep_bytes);
static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}
static inline sonde_str buf_str(const struct buf *b)
{
    return (sonde_str){ b->data, b->len };
}

/* Room for `n` more bytes; returns where they go (and adds nothing), or NULL
 * past the limit. buf_added() then says how many were written. */
char *buf_reserve(struct buf *b, size_t n);
static inline void buf_added(struct buf *b, size_t n)
{
    b->len += n;
}

void buf_bytes(struct buf *b, const void *p, size_t n);
static inline void buf_char(struct buf *b, char c)
{
    if (b->len < b->cap && !b->limit)
        b->data[b->len++] = c;
    else
        buf_bytes(b, &c, 1);
}
void buf_put(struct buf *b, sonde_str s);
void buf_cstr(struct buf *b, const char *z);
SONDE_PRINTF(2, 3) void buf_printf(struct buf *b, const char *fmt, ...);
void buf_uint(struct buf *b, uint64_t v);
void buf_int(struct buf *b, int64_t v);

/* Fixed width, big-endian; varints as of Protocol Buffers (LEB128, zigzag). */
void buf_u8(struct buf *b, uint8_t v);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
void buf_uvarint(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, int64_t v);
/* uvarint length, then the bytes. */
void buf_uvarint_str(struct buf *b, sonde_str s);

/* Ends the text with NUL (not counted) and hands the memory over; the buffer
 * is empty afterwards. Free with free(). */
char *buf_take(struct buf *b);

#endif
