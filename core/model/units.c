/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations and sizes as configuration files and flags write them, declared
 * in number.h. Both are lists of a number and a unit, read left to right.
 *
 * Durations: whole numbers, units strictly descending, so that a typing
 * error like "1m1h" is an error; the bound is that of a signed 64-bit count
 * of nanoseconds, which is what Prometheus keeps them in. Sizes: decimal
 * fractions, units in any order and repeated, K is 1024 whether it is spelled
 * KB or KiB, but not both in one value.
 */
#include <math.h>

#include "model/number.h"
#include "util/str.h"

#define MAX_DURATION_MS (INT64_MAX / 1000000)

static const struct duration_unit {
    const char *name;
    sonde_msec ms;
    bool exact; /* printed only if nothing is left over */
} duration_units[] = {
    { "y", INT64_C(365) * 24 * 3600 * 1000, true },
    { "w", INT64_C(7) * 24 * 3600 * 1000, true },
    { "d", INT64_C(24) * 3600 * 1000, false },
    { "h", 3600 * 1000, false },
    { "m", 60 * 1000, false },
    { "s", 1000, false },
    { "ms", 1, false },
};
#define DURATION_UNITS (sizeof(duration_units) / sizeof(duration_units[0]))

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes the leading characters that are digits (or are not) off `*s`. */
static sonde_str take(sonde_str *s, bool digits)
{
    size_t n = 0;
    sonde_str part;

    while (n < s->len && is_digit(s->ptr[n]) == digits)
        n++;
    part = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->len);
    return part;
}

bool duration_parse(sonde_str s, sonde_msec *out)
{
    int64_t total = 0;
    size_t next = 0;

    if (sonde_str_eq(s, SONDE_STR("0"))) {
        *out = 0;
        return true;
    }
    if (s.len == 0)
        return false;
    while (s.len) {
        sonde_str number = take(&s, true);
        sonde_str unit = take(&s, false);
        int64_t n;

        while (next < DURATION_UNITS &&
               !str_eq_cstr(unit, duration_units[next].name))
            next++;
        if (next == DURATION_UNITS || !str_to_i64(number, &n) ||
            __builtin_mul_overflow(n, duration_units[next].ms, &n) ||
            __builtin_add_overflow(total, n, &total) || total > MAX_DURATION_MS)
            return false;
        next++;
    }
    *out = total;
    return true;
}

void buf_duration(struct buf *b, sonde_msec d)
{
    uint64_t left = d < 0 ? 0 - (uint64_t)d : (uint64_t)d;

    if (d == 0) {
        buf_cstr(b, "0s");
        return;
    }
    if (d < 0)
        buf_char(b, '-');
    for (size_t i = 0; i < DURATION_UNITS; i++) {
        const struct duration_unit *u = &duration_units[i];
        uint64_t n = left / (uint64_t)u->ms;

        if (n == 0 || (u->exact && left % (uint64_t)u->ms))
            continue;
        buf_uint(b, n);
        buf_cstr(b, u->name);
        left -= n * (uint64_t)u->ms;
    }
}

static const char size_letters[] = "KMGTPE";

/* B, KB, ... or, with `binary`, B, KiB, ...; 0 if it is none. */
static double size_unit(sonde_str unit, bool binary)
{
    sonde_str suffix = binary ? SONDE_STR("iB") : SONDE_STR("B");
    const char *letter;

    if (str_eq_cstr(unit, "B"))
        return 1;
    if (unit.len == 0 || unit.ptr[0] == '\0' ||
        !sonde_str_eq(str_sub(unit, 1, unit.len), suffix))
        return 0;
    letter = strchr(size_letters, unit.ptr[0]);
    return letter ? ldexp(1, 10 * (int)(letter - size_letters + 1)) : 0;
}

static double decimal(sonde_str digits)
{
    double v = 0;

    for (size_t i = 0; i < digits.len; i++)
        v = v * 10 + (digits.ptr[i] - '0');
    return v;
}

static sonde_str take_unit(sonde_str *s)
{
    size_t n = 0;
    sonde_str part;

    while (n < s->len && !is_digit(s->ptr[n]) && s->ptr[n] != '.')
        n++;
    part = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->len);
    return part;
}

static bool size_sum(sonde_str s, bool binary, double *sum)
{
    *sum = 0;
    while (s.len) {
        sonde_str whole = take(&s, true);
        sonde_str part = { 0 };
        double unit;

        if (s.len && s.ptr[0] == '.') {
            s = str_sub(s, 1, s.len);
            part = take(&s, true);
        }
        unit = size_unit(take_unit(&s), binary);
        if (unit == 0 || whole.len + part.len == 0)
            return false;
        *sum +=
            (decimal(whole) + decimal(part) / pow(10, (double)part.len)) * unit;
    }
    return true;
}

bool size_parse(sonde_str s, int64_t *out)
{
    bool neg = s.len && s.ptr[0] == '-';
    double sum;

    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        s = str_sub(s, 1, s.len);
    if (s.len == 0)
        return false;
    if (sonde_str_eq(s, SONDE_STR("0")))
        sum = 0;
    else if (!size_sum(s, true, &sum) && !size_sum(s, false, &sum))
        return false;
    if (!(sum < 0x1p63))
        return false;
    *out = neg ? -(int64_t)sum : (int64_t)sum;
    return true;
}

void buf_size(struct buf *b, int64_t bytes)
{
    uint64_t left = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes;

    if (bytes == 0) {
        buf_cstr(b, "0B");
        return;
    }
    if (bytes < 0)
        buf_char(b, '-');
    for (int i = 6; i >= 0; i--) {
        uint64_t n = left >> (10 * i) & (i == 6 ? 0xf : 0x3ff);

        if (n == 0)
            continue;
        buf_uint(b, n);
        if (i > 0)
            buf_printf(b, "%ci", size_letters[i - 1]);
        buf_char(b, 'B');
    }
}
