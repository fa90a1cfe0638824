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
 * put together in one wide integer; only a difference that needs all 64 bits
 * goes in two steps. Nothing is changed before it is clear that the room is
 * enough, so that the caller can keep the memory of a chunk exact and grow it
 * when asked. A last byte that is not full is kept in the state: appending
 * writes to the chunk but never reads it, and a store that misses the cache
 * does not stop the processor.
 *
 * Reading: any bytes are samples or an error.
 *
 * Bits of values are never handled as doubles here but at the door, because
 * a stale marker is a signalling NaN.
 *
 * No threads, no memory of its own.
 */
#include "chunk/xor_chunk.h"

#include "chunk/bits.h"
#include "util/bytes.h"

#define HEADER_BYTES 2
/* The code of a difference; false if it is the 64-bit form. */
static inline bool code_dod(struct code *c, int64_t dod)
{
    if (dod == 0)
        code_add(c, 0, 1);
    else if (bits_fit(dod, 14))
        code_add(c, UINT64_C(2) << 14 | ((uint64_t)dod & 0x3fff), 16);
    else if (bits_fit(dod, 17))
        code_add(c, UINT64_C(6) << 17 | ((uint64_t)dod & 0x1ffff), 20);
    else if (bits_fit(dod, 20))
        code_add(c, UINT64_C(14) << 20 | ((uint64_t)dod & 0xfffff), 24);
    else
        return false;
    return true;
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

/* In a window that was chosen, or (NULL) by Prometheus' rule. */
static inline __attribute__((always_inline)) void
code_chosen(struct code *c, uint64_t x, uint8_t *leading, uint8_t *trailing,
            const struct xor_window *w)
{
    bool same = w && *leading == w->leading && *trailing == w->trailing;

    if (!w || x == 0 || same) {
        code_value(c, x, leading, trailing);
        return;
    }
    code_in_window(c, x, w->leading, w->trailing);
    *leading = w->leading;
    *trailing = w->trailing;
}

static size_t append_second(struct xor_state *s, uint8_t *data, size_t cap,
                            sonde_msec t, uint64_t bits,
                            const struct xor_window *w)
{
    uint8_t head[UVARINT_MAX], leading = s->leading, trailing = s->trailing;
    uint64_t delta = (uint64_t)t - (uint64_t)s->t;
    size_t at = s->bits / 8, n = uvarint_put(head, delta), need;
    struct code c = { 0 };

    code_chosen(&c, bits ^ s->v, &leading, &trailing, w);
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

/* Two functions of one body: what has no window pays nothing for it. */
static inline __attribute__((always_inline)) size_t
append(struct xor_state *s, uint8_t *data, size_t cap, sonde_msec t, double v,
       const struct xor_window *w)
{
    uint64_t bits = double_bits(v);
    uint64_t delta = (uint64_t)t - (uint64_t)s->t;
    uint8_t leading = s->leading, trailing = s->trailing;
    struct code c = { 0 };
    bool is_narrow;
    uint32_t end;

    if (__builtin_expect(s->count < 2, 0))
        return s->count ? append_second(s, data, cap, t, bits, w)
                        : append_first(s, data, cap, t, bits);
    is_narrow = code_dod(&c, (int64_t)(delta - s->delta));
    code_chosen(&c, bits ^ s->v, &leading, &trailing, w);
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

size_t xor_append(struct xor_state *s, uint8_t *data, size_t cap, sonde_msec t,
                  double v)
{
    return append(s, data, cap, t, v, NULL);
}

size_t xor_append_within(struct xor_state *s, uint8_t *data, size_t cap,
                         sonde_msec t, double v, struct xor_window w)
{
    return append(s, data, cap, t, v, &w);
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
        value ^= bits_xor(&b, &w);
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
    v[1] = bits_double(double_bits(v[0]) ^ bits_xor(&b, &w));
    if (b.n < 0)
        return cut_short(want, 1, err);
    *n = decode_rest(b, w, want, t, v);
    return *n < want ? cut_short(want, *n, err) : SONDE_OK;
}
