/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XOR chunk, byte for byte as Prometheus writes it:
 *
 *     u16 count | t0 varint | v0 64 bits | t1-t0 uvarint | v1 | dod v | ...
 *
 * A time is the difference of differences in one of five widths, a value the
 * significant bits of its XOR with the value before.
 *
 * Writing: almost every sample has fewer than 128 bits, so that its code is
 * put together in one wide integer and stored by one or two words; only a
 * difference that needs all 64 bits goes in two steps. Nothing is changed
 * before it is clear that the room is enough, so that the caller can keep
 * the memory of a chunk exact and grow it when asked. A last byte that is not
 * full is kept in the state: appending writes to the chunk but never reads it,
 * and a store that misses the cache does not stop the processor.
 *
 * Reading: a window of 64 bits, topped up by whole words while eight bytes
 * are left and bytewise at the end. Running out of bits is noticed once per
 * sample: the count of bits goes below zero, what was read then is thrown
 * away. A chunk may be any bytes; the result is samples or an error.
 *
 * Bits of values are never handled as doubles here but at the door, because
 * a stale marker is a signalling NaN.
 *
 * No threads, no memory of its own.
 */
#include "chunk/xor_chunk.h"

#include "util/bytes.h"

#define HEADER_BYTES 2
#define NO_WINDOW    0xff
#define LEADING_MAX  31

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

static inline bool fits(int64_t x, unsigned bits)
{
    int64_t top = INT64_C(1) << (bits - 1);

    return -top < x && x <= top;
}

/* The code of a difference; false if it is the 64-bit form. */
static inline bool code_dod(struct code *c, int64_t dod)
{
    if (dod == 0)
        code_add(c, 0, 1);
    else if (fits(dod, 14))
        code_add(c, UINT64_C(2) << 14 | ((uint64_t)dod & 0x3fff), 16);
    else if (fits(dod, 17))
        code_add(c, UINT64_C(6) << 17 | ((uint64_t)dod & 0x1ffff), 20);
    else if (fits(dod, 20))
        code_add(c, UINT64_C(14) << 20 | ((uint64_t)dod & 0xfffff), 24);
    else
        return false;
    return true;
}

/* The code of a value; the window may change. At most 77 bits. */
static inline void code_value(struct code *c, uint64_t x, uint8_t *leading,
                              uint8_t *trailing)
{
    unsigned lead, trail, m;

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
    m = 64 - lead - trail;
    code_add(c, 3u << 11 | lead << 6 | (m & 63), 13);
    code_add(c, x >> trail, m);
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

void xor_begin(struct xor_state *s)
{
    s->count = 0;
    s->bits = HEADER_BYTES * 8;
    s->tail = 0;
    s->delta = 0;
    s->leading = NO_WINDOW;
    s->trailing = 0;
}

static size_t append_first(struct xor_state *s, uint8_t *data, size_t cap,
                           sonde_msec t, uint64_t bits)
{
    uint8_t head[UVARINT_MAX];
    size_t n = uvarint_put(head, zigzag(t));
    size_t need = HEADER_BYTES + n + 8;

    if (need > cap)
        return need;
    memset(data, 0, HEADER_BYTES);
    memcpy(data + HEADER_BYTES, head, n);
    be64_put(data + HEADER_BYTES + n, bits);
    s->t = t;
    s->v = bits;
    s->bits = (uint32_t)need * 8 & 0xffffff;
    s->count = 1;
    return 0;
}

static size_t append_second(struct xor_state *s, uint8_t *data, size_t cap,
                            sonde_msec t, uint64_t bits)
{
    uint8_t head[UVARINT_MAX], leading = s->leading, trailing = s->trailing;
    uint64_t delta = (uint64_t)t - (uint64_t)s->t;
    size_t at = s->bits / 8, n = uvarint_put(head, delta), need;
    struct code c = { 0 };

    code_value(&c, bits ^ s->v, &leading, &trailing);
    need = at + n + (c.n + 7) / 8;
    if (need > cap)
        return need;
    memcpy(data + at, head, n);
    s->tail = code_store(&c, data, cap, (uint32_t)(at + n) * 8, 0);
    s->t = t;
    s->v = bits;
    s->delta = delta;
    s->bits = ((uint32_t)(at + n) * 8 + c.n) & 0xffffff;
    s->leading = leading;
    s->trailing = trailing;
    s->count = 2;
    return 0;
}

/* A step in time that needs 64 bits: written before the rest. */
static uint8_t store_wide_dod(const struct xor_state *s,
                              const struct code *rest, uint8_t *data,
                              size_t cap, int64_t dod)
{
    struct code c = { 0 };
    uint8_t tail;

    code_add(&c, 15, 4);
    code_add(&c, (uint64_t)dod, 64);
    tail = code_store(&c, data, cap, s->bits, s->tail);
    return code_store(rest, data, cap, s->bits + 68, tail);
}

size_t xor_append(struct xor_state *s, uint8_t *data, size_t cap, sonde_msec t,
                  double v)
{
    uint64_t bits = double_bits(v);
    uint64_t delta = (uint64_t)t - (uint64_t)s->t;
    uint8_t leading = s->leading, trailing = s->trailing;
    struct code c = { 0 };
    bool is_narrow;
    uint32_t end;

    if (__builtin_expect(s->count < 2, 0))
        return s->count ? append_second(s, data, cap, t, bits)
                        : append_first(s, data, cap, t, bits);
    is_narrow = code_dod(&c, (int64_t)(delta - s->delta));
    code_value(&c, bits ^ s->v, &leading, &trailing);
    end = s->bits + c.n + (is_narrow ? 0 : 68);
    if ((end + 7) / 8 > cap)
        return (end + 7) / 8;
    if (__builtin_expect(is_narrow, 1))
        s->tail = code_store(&c, data, cap, s->bits, s->tail);
    else
        s->tail = store_wide_dod(s, &c, data, cap, (int64_t)(delta - s->delta));
    s->t = t;
    s->v = bits;
    s->delta = delta;
    s->bits = end & 0xffffff;
    s->leading = leading;
    s->trailing = trailing;
    s->count++;
    return 0;
}

void xor_seal(const struct xor_state *s, uint8_t *data)
{
    be16_put(data, s->count);
}

size_t xor_count(sonde_str chunk)
{
    return chunk.len < HEADER_BYTES ? 0 : be16_get(chunk.ptr);
}

sonde_msec xor_first_time(const uint8_t *data)
{
    struct reader r = { data + HEADER_BYTES, data + HEADER_BYTES + UVARINT_MAX,
                        false };

    return reader_varint(&r);
}

/* ---- reading ---------------------------------------------------------- */

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

static inline int64_t read_dod(struct bits *b)
{
    if (!(b->acc >> 63)) {
        (void)bits_take(b, 1);
        return 0;
    }
    switch (b->acc >> 60) {
    case 15:
        (void)bits_take(b, 4);
        return (int64_t)bits_take_long(b, 64);
    case 14:
        (void)bits_take(b, 4);
        return widen(bits_take(b, 20), 20);
    case 12:
    case 13:
        (void)bits_take(b, 3);
        return widen(bits_take(b, 17), 17);
    default:
        (void)bits_take(b, 2);
        return widen(bits_take(b, 14), 14);
    }
}

struct window {
    unsigned trailing, bits;
};

/* The XOR with the value before; at least 13 bits are there or none follow.
 * A window that does not fit in 64 bits makes the count of bits negative. */
static inline uint64_t read_xor(struct bits *b, struct window *w)
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

static sonde_code cut_short(size_t want, size_t got, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ECORRUPT,
                         "decode XOR chunk: expected %zu samples, the bytes "
                         "end or make no sense after %zu",
                         want, got);
}

/* Samples from the third on; returns how many there are in all. */
static size_t decode_rest(struct bits b, struct window w, size_t want,
                          sonde_msec *t, double *v)
{
    uint64_t time = (uint64_t)t[1], delta = time - (uint64_t)t[0];
    uint64_t value = double_bits(v[1]);

    for (size_t i = 2; i < want; i++) {
        bits_refill(&b);
        delta += (uint64_t)read_dod(&b);
        if (__builtin_expect(b.n < 13, 0)) {
            if (b.n < 0)
                return i;
            bits_refill(&b);
        }
        value ^= read_xor(&b, &w);
        if (__builtin_expect(b.n < 0, 0))
            return i;
        time += delta;
        t[i] = (sonde_msec)time;
        v[i] = bits_double(value);
    }
    return want;
}

sonde_code xor_decode(sonde_str chunk, sonde_msec *t, double *v, size_t *n,
                      struct sonde_err *err)
{
    struct reader r = reader_of(chunk);
    struct window w = { 0, 64 };
    struct bits b;
    size_t want = xor_count(chunk);
    uint64_t delta;

    *n = 0;
    if (want == 0)
        return chunk.len < HEADER_BYTES ? cut_short(1, 0, err) : SONDE_OK;
    r.p += HEADER_BYTES;
    t[0] = reader_varint(&r);
    v[0] = bits_double(reader_be64(&r));
    if (r.failed)
        return cut_short(want, 0, err);
    *n = 1;
    if (want == 1)
        return SONDE_OK;
    delta = reader_uvarint(&r);
    if (r.failed)
        return cut_short(want, 1, err);
    b = (struct bits){ r.p, r.end, 0, 0 };
    bits_refill(&b);
    t[1] = (sonde_msec)((uint64_t)t[0] + delta);
    v[1] = bits_double(double_bits(v[0]) ^ read_xor(&b, &w));
    if (b.n < 0)
        return cut_short(want, 1, err);
    *n = decode_rest(b, w, want, t, v);
    return *n < want ? cut_short(want, *n, err) : SONDE_OK;
}
