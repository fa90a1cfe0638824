/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubles as text, as Go's strconv prints them: the shortest digits that read
 * back, nearest to the value among these.
 *
 * Nearly all values are whole or have few decimals; these are found by a
 * multiplication and a division, and written at once. The others go by the
 * Schubfach method (Giulietti, 2020): three multiplications by a 128-bit power
 * of ten, no loop, no fallback. printf with growing precision was tried first:
 * twenty times slower, and wrong at powers of two.
 */
#include <math.h>
#include <string.h>

#include "model/number.h"
#include "model/pow10.h"
#include "util/bytes.h"

typedef unsigned __int128 uint128;

#define FEW_DIGITS_MAX 999999999999999.0 /* any 15 digits                   */

/* digits * 10^exponent, no trailing zeros unless it is 0 */
struct decimal {
    uint64_t digits;
    int exponent;
};

static int floor_log2_pow10(int e)
{
    return (e * 1741647) >> 19;
}

/* The upper 64 bits of g * cp, made odd if anything below was lost. */
static uint64_t round_to_odd(const struct pow10 *g, uint64_t cp)
{
    uint64_t below = (uint64_t)((uint128)g->lo * cp >> 64);
    uint128 y = (uint128)g->hi * cp + below;

    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* Of a finite value other than 0; the sign is ignored. */
static struct decimal schubfach(double v)
{
    uint64_t bits = double_bits(v);
    uint64_t fraction = bits & FRACTION_MASK;
    int biased = (int)(bits >> FRACTION_BITS & EXPONENT_INF);
    uint64_t c = biased ? fraction | HIDDEN_BIT : fraction;
    int q = (biased ? biased : 1) - EXPONENT_BIAS - FRACTION_BITS;
    bool odd = c & 1;
    /* Below a power of two the neighbour is only half as far. */
    bool closer = fraction == 0 && biased > 1;
    int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
    int h = q + floor_log2_pow10(-k) + 1;
    const struct pow10 *g = &pow10_table[-k - POW10_MIN];
    uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
    uint64_t middle = round_to_odd(g, (4 * c) << h);
    uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    uint64_t s = middle / 4;
    bool below, above;

    if (s >= 10) {
        uint64_t tens = s / 10;

        below = lower <= 40 * tens;
        above = 40 * tens + 40 <= upper;
        if (below != above)
            return (struct decimal){ tens + above, k + 1 };
    }
    below = lower <= 4 * s;
    above = 4 * s + 4 <= upper;
    if (below != above)
        return (struct decimal){ s + above, k };
    above = middle > 4 * s + 2 || (middle == 4 * s + 2 && (s & 1));
    return (struct decimal){ s + above, k };
}

static struct decimal shortest(double v)
{
    double a = fabs(v);
    struct decimal d;

    if (a < (double)(HIDDEN_BIT << 1) && a == (double)(uint64_t)a)
        d = (struct decimal){ (uint64_t)a, 0 };
    else
        d = schubfach(v);
    if (d.digits == 0)
        return d;
    for (; d.digits % 10 == 0; d.exponent++)
        d.digits /= 10;
    return d;
}

static int digit_count(uint64_t v)
{
    static const uint64_t powers[] = {
        0,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
        10000000000000000000U,
    };
    int guess = (64 - __builtin_clzll(v | 1)) * 1233 >> 12;

    return guess + (v >= powers[guess]);
}

/* Digits are written where they stay: copying what has just been written by
 * twos costs more than writing it. */
static char *put_digits(char *p, uint64_t v, int n)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021"
                                "22232425262728293031323334353637383940414243"
                                "44454647484950515253545556575859606162636465"
                                "66676869707172737475767778798081828384858687"
                                "888990919293949596979899";
    char *at = p + n;

    for (; v >= 100; v /= 100) {
        at -= 2;
        memcpy(at, pairs + v % 100 * 2, 2);
    }
    if (v < 10)
        at[-1] = (char)('0' + v);
    else
        memcpy(at - 2, pairs + v * 2, 2);
    return p + n;
}

static char *put_uint(char *p, uint64_t v)
{
    return put_digits(p, v, digit_count(v));
}

size_t number_format_uint(char out[NUMBER_UINT_BYTES], uint64_t v)
{
    return (size_t)(put_uint(out, v) - out);
}

static char *put_three(char *p, unsigned v)
{
    *p++ = (char)('0' + v / 100);
    *p++ = (char)('0' + v / 10 % 10);
    *p++ = (char)('0' + v % 10);
    return p;
}

/* Most values have few decimals. Where w / 10^k reads back, and w has at most
 * 15 digits, it is the shortest: no two decimals of so few digits are the same
 * double (and the division rounds as reading does). */
static bool few_decimals(double a, double power, uint64_t *w)
{
    if (!(a * power < FEW_DIGITS_MAX))
        return false;
    *w = (uint64_t)(a * power + 0.5);
    return (double)*w / power == a;
}

/* What is whole or has at most six decimals, without exponent; NULL: it is
 * not such a value. */
static char *put_short(char *p, double a)
{
    uint64_t w;

    if (!(a < FEW_DIGITS_MAX))
        return NULL;
    if (a == (double)(uint64_t)a)
        return put_uint(p, (uint64_t)a);
    if (few_decimals(a, 1e3, &w)) {
        p = put_uint(p, w / 1000);
        *p++ = '.';
        p = put_three(p, (unsigned)(w % 1000));
    } else if (few_decimals(a, 1e6, &w)) {
        p = put_uint(p, w / 1000000);
        *p++ = '.';
        p = put_three(p, (unsigned)(w / 1000 % 1000));
        p = put_three(p, (unsigned)(w % 1000));
    } else {
        return NULL;
    }
    while (p[-1] == '0')
        p--;
    return p;
}

static char *put_zeros(char *p, int n)
{
    if (n <= 0)
        return p;
    memset(p, '0', (size_t)n);
    return p + n;
}

/* d.ddde+NN; `e` is the exponent of the first digit. */
static char *put_scientific(char *p, uint64_t digits, int n, int e)
{
    int a = e < 0 ? -e : e;

    (void)put_digits(p + 1, digits, n);
    p[0] = p[1];
    p[1] = '.';
    p += n > 1 ? n + 1 : 1;
    *p++ = 'e';
    *p++ = e < 0 ? '-' : '+';
    if (a >= 100)
        *p++ = (char)('0' + a / 100);
    *p++ = (char)('0' + a / 10 % 10);
    *p++ = (char)('0' + a % 10);
    return p;
}

static char *put_positional(char *p, uint64_t digits, int n, int e)
{
    if (e < 0) {
        *p++ = '0';
        *p++ = '.';
        return put_digits(put_zeros(p, -e - 1), digits, n);
    }
    if (n <= e + 1)
        return put_zeros(put_digits(p, digits, n), e + 1 - n);
    (void)put_digits(p + 1, digits, n);
    memmove(p, p + 1, (size_t)e + 1);
    p[e + 1] = '.';
    return p + n + 1;
}

static bool wants_exponent(double v, int e, enum number_style style)
{
    switch (style) {
    case NUMBER_TEXT:
    case NUMBER_OM:
        return e < -4 || e >= 6;
    case NUMBER_API:
        return v != 0 && (fabs(v) < 1e-6 || fabs(v) >= 1e21);
    case NUMBER_PLAIN:
        break;
    }
    return false;
}

static size_t format_special(char *out, double v)
{
    memcpy(out, isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf", 4);
    return isnan(v) ? 3 : 4;
}

/* Whether a value has no exponent, as is seen without its digits, nor
 * anything behind them. */
static bool surely_plain(double a, enum number_style style)
{
    if (style == NUMBER_TEXT)
        return a == 0 || (a >= 1e-4 && a < 1e6);
    return style != NUMBER_OM;
}

size_t number_format(char out[NUMBER_MAX_BYTES], double v,
                     enum number_style style)
{
    bool encoder = style == NUMBER_TEXT || style == NUMBER_OM;
    bool scientific;
    struct decimal d;
    char *p = out, *end;
    int n, e;

    if (!isfinite(v))
        return format_special(out, v);
    if (signbit(v) && !(v == 0 && encoder))
        *p++ = '-';
    if (surely_plain(fabs(v), style) && (end = put_short(p, fabs(v))))
        return (size_t)(end - out);
    d = shortest(v);
    n = digit_count(d.digits);
    e = d.exponent + n - 1;
    scientific = wants_exponent(v, e, style);
    p = scientific ? put_scientific(p, d.digits, n, e)
                   : put_positional(p, d.digits, n, e);
    if (style == NUMBER_OM && !scientific && d.exponent >= 0) {
        *p++ = '.';
        *p++ = '0';
    }
    return (size_t)(p - out);
}

void buf_number(struct buf *b, double v, enum number_style style)
{
    char text[NUMBER_MAX_BYTES];

    buf_bytes(b, text, number_format(text, v, style));
}
