/* SPDX-License-Identifier: Apache-2.0 */
/* See buf.h; growth doubles, so appending is amortised constant. */
#include "util/buf.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/mem.h"

void buf_init(struct buf *b)
{
    *b = (struct buf){ 0 };
}

void buf_fini(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

void buf_shrink(struct buf *b, size_t keep_bytes)
{
    buf_reset(b);
    if (b->cap <= keep_bytes)
        return;
    free(b->data);
    b->data = NULL;
    b->cap = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->limit && (b->failed || n > b->limit - b->len)) {
        b->failed = true;
        return NULL;
    }
    if (b->cap - b->len < n)
        b->data = mem_grow(b->data, &b->cap, b->len + n, 1);
    return b->data + b->len;
}

void buf_bytes(struct buf *b, const void *p, size_t n)
{
    char *at;

    if (n == 0)
        return;
    at = buf_reserve(b, n);
    if (!at)
        return;
    memcpy(at, p, n);
    b->len += n;
}

void buf_put(struct buf *b, sonde_str s)
{
    buf_bytes(b, s.ptr, s.len);
}

void buf_cstr(struct buf *b, const char *z)
{
    buf_bytes(b, z, strlen(z));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int len;
    char *at;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0) {
        b->failed = true;
        return;
    }
    at = buf_reserve(b, (size_t)len + 1);
    if (!at)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(at, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
}

void buf_uint(struct buf *b, uint64_t v)
{
    char tmp[20];
    size_t i = sizeof(tmp);

    do {
        tmp[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_bytes(b, tmp + i, sizeof(tmp) - i);
}

void buf_int(struct buf *b, int64_t v)
{
    if (v < 0) {
        buf_char(b, '-');
        buf_uint(b, 0 - (uint64_t)v);
        return;
    }
    buf_uint(b, (uint64_t)v);
}

void buf_u8(struct buf *b, uint8_t v)
{
    buf_bytes(b, &v, 1);
}

void buf_be16(struct buf *b, uint16_t v)
{
    uint8_t tmp[2];

    be16_put(tmp, v);
    buf_bytes(b, tmp, sizeof(tmp));
}

void buf_be32(struct buf *b, uint32_t v)
{
    uint8_t tmp[4];

    be32_put(tmp, v);
    buf_bytes(b, tmp, sizeof(tmp));
}

void buf_be64(struct buf *b, uint64_t v)
{
    uint8_t tmp[8];

    be64_put(tmp, v);
    buf_bytes(b, tmp, sizeof(tmp));
}

void buf_uvarint(struct buf *b, uint64_t v)
{
    uint8_t tmp[UVARINT_MAX];

    buf_bytes(b, tmp, uvarint_put(tmp, v));
}

void buf_varint(struct buf *b, int64_t v)
{
    buf_uvarint(b, zigzag(v));
}

void buf_uvarint_str(struct buf *b, sonde_str s)
{
    buf_uvarint(b, s.len);
    buf_put(b, s);
}

char *buf_take(struct buf *b)
{
    char *p;

    b->limit = 0;
    b->failed = false;
    (void)buf_reserve(b, 1);
    b->data[b->len] = '\0';
    p = b->data;
    buf_init(b);
    return p;
}
