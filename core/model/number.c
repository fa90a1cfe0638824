/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as doubles, fast and exact, in the dialect of Go's strconv; the other
 * way is number_format.c.
 *
 * The text is scanned once into sign, up to 19 significant digits w
 * and a power of ten q. Then, in order of cost:
 *   1. w < 2^53 and |q| <= 22: both are exact doubles, so one multiplication
 *      or division rounds correctly (Clinger, PLDI 1990);
 *   2. w times a 128-bit power of ten, which decides all but a few inputs in
 *      some hundred million (Lemire, "Number Parsing at a Gigabyte per
 *      Second", 2021);
 *   3. strtod in the C locale for what is left: more than 19 digits that
 *      matter, results near the subnormals, ties the table can not decide.
 *
 * Durations and sizes of configuration files are in units.c.
 */
#include "model/number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "model/pow10.h"
#include "model/sample.h"
#include "util/mem.h"
#include "util/str.h"

typedef unsigned __int128 uint128;

#define DIGITS_MAX   19    /* fit a uint64_t whatever they are            */
#define EXPONENT_MAX 99999 /* larger ones are strtod's                   */
#define EXACT_MAX    22    /* 10^22 is the largest exact power            */

struct scan {
    uint64_t w; /* up to DIGITS_MAX significant digits                    */
    int q;      /* the value is w * 10^q ...                              */
    bool more;  /* ... and something that matters did not fit             */
    bool neg;
};

static const char *scan_digits(const char *p, const char *end, struct scan *s,
                               int *digits, bool fraction)
{
    for (; p < end; p++) {
        unsigned d = (unsigned char)*p - (unsigned)'0';

        if (d > 9)
            break;
        if (*digits < DIGITS_MAX) {
            s->w = s->w * 10 + d;
            *digits += s->w != 0;
            s->q -= fraction;
            continue;
        }
        s->more |= d != 0;
        s->q += !fraction;
    }
    return p;
}

static const char *scan_exponent(const char *p, const char *end, struct scan *s)
{
    bool neg = false;
    const char *first;
    int e = 0;

    p++; /* e or E */
    if (p < end && (*p == '+' || *p == '-'))
        neg = *p++ == '-';
    for (first = p; p < end && *p >= '0' && *p <= '9'; p++) {
        if (e < EXPONENT_MAX)
            e = e * 10 + (*p - '0');
        else
            s->more = true; /* e is not to be trusted */
    }
    if (p == first)
        return NULL;
    s->q += neg ? -e : e;
    return p;
}

/* Decimal numbers only; false if it is none. */
static bool scan(sonde_str text, struct scan *s)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    const char *first;
    size_t seen;
    int digits = 0;

    *s = (struct scan){ 0 };
    if (p < end && (*p == '+' || *p == '-'))
        s->neg = *p++ == '-';
    first = p;
    p = scan_digits(p, end, s, &digits, false);
    seen = (size_t)(p - first);
    if (p < end && *p == '.') {
        first = ++p;
        p = scan_digits(p, end, s, &digits, true);
        seen += (size_t)(p - first);
    }
    if (seen == 0)
        return false;
    if (p < end && (*p == 'e' || *p == 'E'))
        p = scan_exponent(p, end, s);
    return p == end;
}

/* Rounds w * 10^q; false if the table can not decide. */
static bool scale(uint64_t w, int q, double *out)
{
    const struct pow10 *t;
    uint64_t table_hi, table_lo, hi, lo, mantissa;
    int zeros = __builtin_clzll(w);
    int upper, shift, exponent;
    uint128 product;

    if (q < POW10_MIN || q > 308)
        return false;
    t = &pow10_table[q - POW10_MIN];
    table_hi = t->hi;
    table_lo = t->lo;
    if (q > 55) { /* here the method wants them rounded down */
        table_hi -= table_lo == 0;
        table_lo--;
    }
    w <<= zeros;
    product = (uint128)w * table_hi;
    hi = (uint64_t)(product >> 64);
    lo = (uint64_t)product;
    if ((hi & 0x1ff) == 0x1ff) {
        uint64_t carry = (uint64_t)((uint128)w * table_lo >> 64);

        lo += carry;
        hi += lo < carry;
    }
    if (lo == UINT64_MAX && (q < -27 || q > 55))
        return false;
    upper = (int)(hi >> 63);
    shift = upper + 64 - FRACTION_BITS - 3;
    mantissa = hi >> shift;
    exponent = ((217706 * q) >> 16) + 63 + upper - zeros + EXPONENT_BIAS;
    if (exponent <= 0 || exponent >= EXPONENT_INF - 1)
        return false;
    /* Exactly between two doubles: to the even one. */
    if (lo <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 &&
        mantissa << shift == hi)
        mantissa &= ~UINT64_C(1);
    mantissa += mantissa & 1;
    mantissa >>= 1;
    if (mantissa >= HIDDEN_BIT << 1) {
        mantissa = HIDDEN_BIT;
        exponent++;
    }
    *out = bits_double((mantissa & FRACTION_MASK) | (uint64_t)exponent
                                                        << FRACTION_BITS);
    return true;
}

/* The text is known to be a decimal number. */
static bool parse_slowly(sonde_str s, double *out)
{
    char small[64];
    char *text = small;
    locale_t c = newlocale(LC_ALL_MASK, "C", NULL);
    double v;

    if (c == NULL)
        return false;
    if (s.len >= sizeof(small))
        text = mem_alloc(s.len + 1);
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    v = strtod_l(text, NULL, c);
    if (text != small)
        free(text);
    freelocale(c);
    if (isinf(v))
        return false;
    *out = v;
    return true;
}

static bool parse_special(sonde_str s, double *out)
{
    bool sign = s.len && (s.ptr[0] == '+' || s.ptr[0] == '-');
    sonde_str word = sign ? str_sub(s, 1, s.len) : s;

    if (!sign && str_eq_nocase(s, SONDE_STR("nan"))) {
        *out = bits_double(NORMAL_NAN_BITS);
        return true;
    }
    if (!str_eq_nocase(word, SONDE_STR("inf")) &&
        !str_eq_nocase(word, SONDE_STR("infinity")))
        return false;
    *out = sign && s.ptr[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    return true;
}

bool number_parse(sonde_str text, double *out)
{
    static const double powers[EXACT_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    struct scan s;
    double v;

    if (!scan(text, &s))
        return parse_special(text, out);
    if (!s.more && s.w <= HIDDEN_BIT << 1 && s.q >= -EXACT_MAX &&
        s.q <= EXACT_MAX) {
        v = (double)s.w;
        v = s.q < 0 ? v / powers[-s.q] : v * powers[s.q];
    } else if (s.w == 0) {
        v = 0;
    } else if (s.more || !scale(s.w, s.q, &v)) {
        return parse_slowly(text, out);
    }
    *out = s.neg ? -v : v;
    return true;
}
