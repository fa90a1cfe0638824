/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bits, most significant first, as all chunk encodings are made of; and the
 * two codes that they share: the XOR of a value with the one before, and the
 * "varbit" integers of histograms.
 *
 * Writing: a code of up to 120 bits is put together in one wide integer and
 * stored by one or two words. A last byte that is not full is kept beside,
 * so that storing never reads memory.
 *
 * Reading: a window of 64 bits, topped up by whole words while eight bytes
 * are left and bytewise at the end. Running out of bits is noticed once per
 * sample: the count of bits goes below zero and stays there, and what was
 * read then is thrown away.
 *
 * All inline: the encoders and decoders are made of nothing else.
 */
#ifndef CHUNK_BITS_H
#define CHUNK_BITS_H

#include <sonde/base.h>

#include "util/bytes.h"

#define NO_WINDOW   0xff
#define LEADING_MAX 31

typedef unsigned __int128 wide;

/* Bits waiting to be written, right-aligned. */
struct code {
    wide bits;
    unsigned n;
};

static inline void code_add(struct code *c, uint64_t bits, unsigned n)
{
    c->bits = c->bits << n | bits;
    c->n += n;
}

static inline bool bits_fit(int64_t x, unsigned bits)
{
    int64_t top = INT64_C(1) << (bits - 1);

    return -top < x && x <= top;
}

/* A new window, and the value in it. */
static inline void code_in_window(struct code *c, uint64_t x, unsigned lead,
                                  unsigned trail)
{
    unsigned m = 64 - lead - trail;

    code_add(c, 3u << 11 | lead << 6 | (m & 63), 13);
    code_add(c, x >> trail, m);
}

/* The code of a value; the window may change. At most 77 bits. */
static inline void code_value(struct code *c, uint64_t x, uint8_t *leading,
                              uint8_t *trailing)
{
    unsigned lead, trail;

    if (x == 0) {
        code_add(c, 0, 1);
        return;
    }
    lead = (unsigned)__builtin_clzll(x);
    trail = (unsigned)__builtin_ctzll(x);
    if (lead > LEADING_MAX)
        lead = LEADING_MAX;
    if (*leading != NO_WINDOW && lead >= *leading && trail >= *trailing) {
        code_add(c, 2, 2);
        code_add(c, x >> *trailing, 64u - *leading - *trailing);
        return;
    }
    code_in_window(c, x, lead, trail);
    *leading = (uint8_t)lead;
    *trailing = (uint8_t)trail;
}

/* Stores a code at bit `pos`, behind the bits in `tail`, and returns the new
 * tail. The room for it has been checked; whole words are stored where `cap`
 * allows, bytes at the end. Nothing is read. */
static inline uint8_t code_store(const struct code *c, uint8_t *data,
                                 size_t cap, uint32_t pos, uint8_t tail)
{
    unsigned off = pos & 7, end = off + c->n;
    size_t at = pos >> 3, n = (end + 7) / 8, room = cap - at;
    wide w = c->bits << (128 - end) | (wide)tail << 120;
    uint64_t hi = (uint64_t)(w >> 64), lo = (uint64_t)w;

    if (room >= 16) {
        be64_put(data + at, hi);
        if (n > 8)
            be64_put(data + at + 8, lo);
    } else if (room >= 8) {
        be64_put(data + at, hi);
        for (size_t i = 8; i < n; i++)
            data[at + i] = (uint8_t)(lo >> (56 - 8 * (i - 8)));
    } else {
        for (size_t i = 0; i < n; i++)
            data[at + i] = (uint8_t)(hi >> (56 - 8 * i));
    }
    return end % 8 ? (uint8_t)(w >> (128 - end / 8 * 8 - 8)) : 0;
}

/* The prefixes of the varbit integers, by the width of what follows. */
struct varbit_form {
    uint8_t prefix, prefix_bits, bits;
};
#define VARBIT_FORMS 9
static const struct varbit_form varbit_forms[VARBIT_FORMS] = {
    { 0x00, 1, 0 },  { 0x02, 2, 3 },  { 0x06, 3, 6 },
    { 0x0e, 4, 9 },  { 0x1e, 5, 12 }, { 0x3e, 6, 18 },
    { 0x7e, 7, 25 }, { 0xfe, 8, 56 }, { 0xff, 8, 64 },
};

static inline void code_varbit_form(struct code *c, size_t form, uint64_t v)
{
    const struct varbit_form *f = &varbit_forms[form];

    code_add(c, f->prefix, f->prefix_bits);
    if (f->bits)
        code_add(c, f->bits < 64 ? v & ((UINT64_C(1) << f->bits) - 1) : v,
                 f->bits);
}

/* At most 72 bits. */
static inline void code_varbit(struct code *c, int64_t v)
{
    size_t form = 0;

    if (v != 0)
        for (form = 1; form < VARBIT_FORMS - 1; form++)
            if (bits_fit(v, varbit_forms[form].bits))
                break;
    code_varbit_form(c, form, (uint64_t)v);
}

static inline void code_uvarbit(struct code *c, uint64_t v)
{
    size_t form = 0;

    while (form < VARBIT_FORMS - 1 && v >> varbit_forms[form].bits)
        form++;
    code_varbit_form(c, form, v);
}

/* ---- reading ------------------------------------------------------------ */

/* `acc` holds the next `n` bits, left-aligned; what is behind them is either
 * zero or what really comes next. */
struct bits {
    const uint8_t *p, *end;
    uint64_t acc;
    int n; /* below 0: more was taken than there is */
};

static inline void bits_refill(struct bits *b)
{
    if (__builtin_expect(b->end - b->p >= 8, 1)) {
        b->acc |= be64_get(b->p) >> b->n;
        b->p += (63 - b->n) >> 3;
        b->n |= 56;
        return;
    }
    while (b->n <= 56 && b->p < b->end) {
        b->acc |= (uint64_t)*b->p++ << (56 - b->n);
        b->n += 8;
    }
}

/* 1 to 56 bits, or up to what the last refill gave. */
static inline uint64_t bits_take(struct bits *b, unsigned k)
{
    uint64_t r = b->acc >> (64 - k);

    b->acc <<= k;
    b->n -= (int)k;
    return r;
}

/* 1 to 64 bits, refilling. */
static inline uint64_t bits_take_long(struct bits *b, unsigned k)
{
    uint64_t high;

    if (b->n < 0)
        return 0;
    bits_refill(b);
    if (k <= 56)
        return bits_take(b, k);
    high = bits_take(b, 32);
    if (b->n < 0)
        return 0;
    bits_refill(b);
    return high << (k - 32) | bits_take(b, k - 32);
}

static inline int64_t widen(uint64_t u, unsigned bits)
{
    return u > UINT64_C(1) << (bits - 1) ? (int64_t)(u - (UINT64_C(1) << bits))
                                         : (int64_t)u;
}

struct window {
    unsigned trailing, bits;
};

/* The XOR with the value before; at least 13 bits are there or none follow.
 * A window that does not fit in 64 bits makes the count of bits negative. The
 * first window is { 0, 64 }. */
static inline uint64_t bits_xor(struct bits *b, struct window *w)
{
    unsigned lead, m;

    if (!(b->acc >> 63)) {
        (void)bits_take(b, 1);
        return 0;
    }
    if (b->acc >> 62 & 1) {
        uint64_t head = bits_take(b, 13);

        lead = head >> 6 & 31;
        m = head & 63;
        if (m == 0)
            m = 64;
        if (lead + m > 64) {
            b->n = -1;
            return 0;
        }
        w->bits = m;
        w->trailing = 64 - lead - m;
    } else {
        (void)bits_take(b, 2);
    }
    if (__builtin_expect(b->n >= (int)w->bits, 1))
        return bits_take(b, w->bits) << w->trailing;
    return bits_take_long(b, w->bits) << w->trailing;
}

/* Refills; the width of the next varbit integer is taken. */
static inline unsigned bits_varbit_width(struct bits *b)
{
    unsigned ones;

    if (b->n < 0)
        return 0;
    bits_refill(b);
    ones = ~b->acc ? (unsigned)__builtin_clzll(~b->acc) : 8;
    if (ones > 8)
        ones = 8;
    (void)bits_take(b, ones < 8 ? ones + 1 : 8);
    return varbit_forms[ones].bits;
}

static inline int64_t bits_varbit(struct bits *b)
{
    unsigned width = bits_varbit_width(b);

    if (width == 0)
        return 0;
    if (width == 64)
        return (int64_t)bits_take_long(b, 64);
    return widen(width < 56 ? bits_take(b, width) : bits_take_long(b, width),
                 width);
}

static inline uint64_t bits_uvarbit(struct bits *b)
{
    unsigned width = bits_varbit_width(b);

    if (width == 0)
        return 0;
    return width < 56 ? bits_take(b, width) : bits_take_long(b, width);
}

#endif
