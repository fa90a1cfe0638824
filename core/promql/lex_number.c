/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and durations. What belongs to one is found as Prometheus finds it,
 * quirks included (an `e` in a hexadecimal number counts as an exponent mark),
 * since the text that is taken is what error messages quote. Then it is
 * converted: integers in Go's notation (0x1F, 010, 1_000), else a float, else a
 * duration, which is a number of seconds.
 */
#include <string.h>

#include "model/number.h"
#include "promql/lex_int.h"
#include "util/buf.h"
#include "util/str.h"

static bool in_set(int c, const char *set)
{
    return c > 0 && strchr(set, c);
}

static bool take_one(struct lexer *l, const char *set)
{
    if (!in_set(lex_peek(l, 0), set))
        return false;
    l->at++;
    return true;
}

static void take_run(struct lexer *l, const char *set)
{
    while (take_one(l, set))
        ;
}

/* ---- what belongs to it ------------------------------------------------- */

#define DECIMAL "0123456789"
#define HEX     DECIMAL "abcdefABCDEF"

struct scan {
    const char *digits;
    bool dot, exponent;
};

/* The next part: a dot, an exponent mark, an underscore or digits; false if it
 * may not be there. */
static bool scan_part(struct lexer *l, struct scan *s)
{
    int c = lex_peek(l, 0);

    if ((c == '.' && s->dot) || (in_set(c, "eE") && s->exponent)) {
        l->at++;
        return false;
    }
    if (take_one(l, ".")) {
        s->dot = true;
        return !take_one(l, "_.") && s->digits[10] == 0;
    }
    if (take_one(l, "eE")) {
        s->exponent = true;
        (void)take_one(l, "+-");
        return !take_one(l, "._eE") && lex_peek(l, 0) >= 0;
    }
    if (take_one(l, "_"))
        return !take_one(l, "._eE") && lex_peek(l, 0) >= 0;
    take_run(l, s->digits);
    return true;
}

static bool scan_number(struct lexer *l)
{
    struct scan s = { .digits = DECIMAL };

    if (take_one(l, "0") && take_one(l, "xX")) {
        (void)take_one(l, "_");
        s.digits = HEX;
    }
    (void)take_one(l, ".");
    (void)take_one(l, s.digits);
    while (in_set(lex_peek(l, 0), s.digits) || in_set(lex_peek(l, 0), "._eE"))
        if (!scan_part(l, &s))
            return false;
    return !lex_is_alpha(lex_peek(l, 0)) && !lex_is_digit(lex_peek(l, 0));
}

/* What makes the digits before it a duration; what it is worth is seen
 * later. */
static bool scan_units(struct lexer *l)
{
    int c;

    if (!take_one(l, "smhdwy"))
        return false;
    (void)take_one(l, "s");
    while (take_one(l, DECIMAL)) {
        take_run(l, DECIMAL);
        if (!take_one(l, "smhdw"))
            return false;
        (void)take_one(l, "s");
    }
    c = lex_peek(l, 0);
    if (!lex_is_alpha(c) && !lex_is_digit(c))
        return true;
    l->at++;
    return false;
}

/* ---- numbers ------------------------------------------------------------ */

SONDE_PRINTF(3, 4)
static void problem(struct lexer *l, struct token *t, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    t->problem = arena_str(l->arena, sonde_cstr(text)).ptr;
}

static sonde_str without_underscores(struct arena *a, sonde_str s)
{
    char *p = arena_cstr(a, s);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '_')
            p[n++] = s.ptr[i];
    return (sonde_str){ p, n };
}

/* Digits of a base that fit an int64. */
static bool based_integer(sonde_str s, unsigned base, double *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++) {
        uint32_t d;

        if (!lex_is_hex(s.ptr[i]))
            return false;
        d = lex_digit_value(s.ptr[i]);
        if (d >= base || v > ((uint64_t)INT64_MAX - d) / base)
            return false;
        v = v * base + d;
    }
    *out = (double)v;
    return s.len > 0;
}

static bool is_hex_number(sonde_str s)
{
    return s.len > 1 && s.ptr[0] == '0' && (s.ptr[1] | 0x20) == 'x';
}

static bool convert(sonde_str s, double *out)
{
    if (is_hex_number(s))
        return based_integer(str_sub(s, 2, s.len), 16, out);
    if (s.len > 1 && s.ptr[0] == '0' && based_integer(s, 8, out))
        return true;
    return number_parse(s, out);
}

/* What the scan lets pass beside well-formed numbers: a second dot, one in the
 * exponent, an exponent without digits. */
static bool is_well_formed(sonde_str s)
{
    bool dot = false, exponent = false;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.' && (dot || exponent))
            return false;
        dot |= s.ptr[i] == '.';
        exponent |= in_set(s.ptr[i], "eE");
    }
    return lex_is_digit(s.ptr[s.len - 1]) && !is_hex_number(s);
}

static void finish_number(struct lexer *l, struct token *t)
{
    sonde_str written = str_sub(l->in, t->begin, l->at);
    sonde_str s = without_underscores(l->arena, written);

    t->kind = TOKEN_NUMBER;
    if (convert(s, &t->number))
        return;
    problem(l, t,
            "error parsing number: strconv.ParseFloat: parsing \"%.*s\": %s",
            SONDE_ARG(written),
            is_well_formed(s) ? "value out of range" : "invalid syntax");
}

/* ---- durations ---------------------------------------------------------- */

static const struct {
    const char *name;
    uint64_t ms;
} units[] = {
    { "y", UINT64_C(31536000000) },
    { "w", 604800000 },
    { "d", 86400000 },
    { "h", 3600000 },
    { "m", 60000 },
    { "s", 1000 },
    { "ms", 1 },
};
#define UNITS  (sizeof(units) / sizeof(*units))
#define MS_MAX (UINT64_C(9223372036854)) /* an int64 of nanoseconds    */

static sonde_str take_while(sonde_str *s, bool digits)
{
    size_t n = 0;
    sonde_str head;

    while (n < s->len && lex_is_digit(s->ptr[n]) == digits)
        n++;
    head = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->len);
    return head;
}

static size_t find_unit(sonde_str name)
{
    size_t i = 0;

    while (i < UNITS && !str_eq_cstr(name, units[i].name))
        i++;
    return i;
}

/* From the largest unit down, each once. */
static void finish_duration(struct lexer *l, struct token *t)
{
    sonde_str all = str_sub(l->in, t->begin, l->at), left = all;
    uint64_t total = 0;
    size_t next = 0;

    t->kind = TOKEN_DURATION;
    while (left.len) {
        sonde_str digits = take_while(&left, true);
        sonde_str name = take_while(&left, false);
        size_t unit = find_unit(name);
        uint64_t n;

        if (!str_to_u64(digits, &n) || (unit < UNITS && unit < next)) {
            problem(l, t, "not a valid duration string: \"%.*s\"",
                    SONDE_ARG(all));
            return;
        }
        if (unit == UNITS) {
            problem(l, t, "unknown unit \"%.*s\" in duration \"%.*s\"",
                    SONDE_ARG(name), SONDE_ARG(all));
            return;
        }
        next = unit + 1;
        if (n > MS_MAX / units[unit].ms ||
            (total += n * units[unit].ms) > MS_MAX) {
            problem(l, t, "duration out of range");
            return;
        }
    }
    t->number = (double)total / 1000;
}

void lex_number(struct lexer *l, struct token *t)
{
    if (scan_number(l))
        finish_number(l, t);
    else if (scan_units(l))
        finish_duration(l, t);
    else
        lex_fail(l, t, "bad number or duration syntax: \"%.*s\"",
                 SONDE_ARG(str_sub(l->in, t->begin, l->at)));
}
