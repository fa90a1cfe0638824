/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubles as text, fast and exact, in the dialect of Go's strconv.
 *
 * Reading. The text is scanned once into sign, up to 19 significant digits w
 * and a power of ten q. Then, in order of cost:
 *   1. w < 2^53 and |q| <= 22: both are exact doubles, so one multiplication
 *      or division rounds correctly (Clinger, PLDI 1990);
 *   2. w times a 128-bit power of ten, which decides all but a few inputs in
 *      some hundred million (Lemire, "Number Parsing at a Gigabyte per
 *      Second", 2021);
 *   3. strtod in the C locale for what is left: more than 19 digits that
 *      matter, results near the subnormals, ties the table can not decide.
 *
 * Printing. The shortest digits that read back, nearest to the value among
 * these, by the Schubfach method (Giulietti, 2020): three multiplications by
 * a 128-bit power of ten, no loop, no fallback. Whole numbers below 2^53 and
 * what has at most six decimals take paths of their own. printf with growing
 * precision was tried first: twenty times slower, and wrong at powers of two.
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

#define DIGITS_MAX     19    /* fit a uint64_t whatever they are            */
#define EXPONENT_MAX   99999 /* larger ones are strtod's                   */
#define EXACT_MAX      22    /* 10^22 is the largest exact power            */
#define FRACTION_BITS  52
#define FRACTION_MASK  ((UINT64_C(1) << FRACTION_BITS) - 1)
#define HIDDEN_BIT     (UINT64_C(1) << FRACTION_BITS)
#define EXPONENT_BIAS  1023
#define EXPONENT_INF   0x7ff
#define FEW_DIGITS_MAX 999999999999999.0

/* ---- reading ------------------------------------------------------------ */

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

/* ---- printing ----------------------------------------------------------- */

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

/* Most values have few decimals. Where w / 10^k reads back, and w has at most
 * 15 digits, it is the shortest: no two decimals of so few digits are the same
 * double (and the division rounds as reading does). */
static bool few_decimals(double a, double power, int k, struct decimal *out)
{
    uint64_t w;

    if (!(a * power < FEW_DIGITS_MAX))
        return false;
    w = (uint64_t)(a * power + 0.5);
    if ((double)w / power != a)
        return false;
    *out = (struct decimal){ w, -k };
    return true;
}

static struct decimal shortest(double v)
{
    double a = fabs(v);
    struct decimal d;

    if (a < (double)(HIDDEN_BIT << 1) && a == (double)(uint64_t)a)
        d = (struct decimal){ (uint64_t)a, 0 };
    else if (!few_decimals(a, 1e3, 3, &d) && !few_decimals(a, 1e6, 6, &d))
        d = schubfach(v);
    if (d.digits == 0)
        return d;
    for (; d.digits % 10 == 0; d.exponent++)
        d.digits /= 10;
    return d;
}

/* The digits of `v`, ending before `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t v)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021"
                                "22232425262728293031323334353637383940414243"
                                "44454647484950515253545556575859606162636465"
                                "66676869707172737475767778798081828384858687"
                                "888990919293949596979899";

    for (; v >= 100; v /= 100) {
        end -= 2;
        memcpy(end, pairs + v % 100 * 2, 2);
    }
    if (v < 10) {
        *--end = (char)('0' + v);
        return end;
    }
    end -= 2;
    memcpy(end, pairs + v * 2, 2);
    return end;
}

size_t number_format_uint(char out[NUMBER_UINT_BYTES], uint64_t v)
{
    char digits[NUMBER_UINT_BYTES];
    char *end = digits + sizeof(digits);
    char *first = digits_before(end, v);

    memcpy(out, first, (size_t)(end - first));
    return (size_t)(end - first);
}

static char *put_zeros(char *p, int n)
{
    if (n <= 0)
        return p;
    memset(p, '0', (size_t)n);
    return p + n;
}

static char *put_bytes(char *p, const char *s, int n)
{
    memcpy(p, s, (size_t)n);
    return p + n;
}

/* d.ddde+NN; `e` is the exponent of the first digit. */
static char *put_scientific(char *p, const char *digits, int n, int e)
{
    int a = e < 0 ? -e : e;

    *p++ = digits[0];
    if (n > 1) {
        *p++ = '.';
        p = put_bytes(p, digits + 1, n - 1);
    }
    *p++ = 'e';
    *p++ = e < 0 ? '-' : '+';
    if (a >= 100)
        *p++ = (char)('0' + a / 100);
    *p++ = (char)('0' + a / 10 % 10);
    *p++ = (char)('0' + a % 10);
    return p;
}

static char *put_positional(char *p, const char *digits, int n, int e)
{
    if (e < 0) {
        *p++ = '0';
        *p++ = '.';
        p = put_zeros(p, -e - 1);
        return put_bytes(p, digits, n);
    }
    if (n <= e + 1) {
        p = put_bytes(p, digits, n);
        return put_zeros(p, e + 1 - n);
    }
    p = put_bytes(p, digits, e + 1);
    *p++ = '.';
    return put_bytes(p, digits + e + 1, n - e - 1);
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

size_t number_format(char out[NUMBER_MAX_BYTES], double v,
                     enum number_style style)
{
    char digits[20];
    char *first = digits + sizeof(digits), *p = out;
    bool encoder = style == NUMBER_TEXT || style == NUMBER_OM;
    bool scientific;
    struct decimal d;
    int n, e;

    if (!isfinite(v))
        return format_special(out, v);
    d = shortest(v);
    first = digits_before(first, d.digits);
    n = (int)(digits + sizeof(digits) - first);
    e = d.exponent + n - 1;
    if (signbit(v) && !(v == 0 && encoder))
        *p++ = '-';
    scientific = wants_exponent(v, e, style);
    p = scientific ? put_scientific(p, first, n, e)
                   : put_positional(p, first, n, e);
    if (style == NUMBER_OM && !scientific && d.exponent >= 0)
        p = put_bytes(p, ".0", 2);
    return (size_t)(p - out);
}

void buf_number(struct buf *b, double v, enum number_style style)
{
    char text[NUMBER_MAX_BYTES];

    buf_bytes(b, text, number_format(text, v, style));
}
