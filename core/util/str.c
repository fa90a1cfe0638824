/* SPDX-License-Identifier: Apache-2.0 */
/* See str.h. */
#include "util/str.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int str_cmp(sonde_str a, sonde_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;

    if (c != 0)
        return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool str_eq_cstr(sonde_str s, const char *z)
{
    return sonde_str_eq(s, sonde_cstr(z));
}

bool str_starts(sonde_str s, sonde_str prefix)
{
    return s.len >= prefix.len &&
           sonde_str_eq((sonde_str){ s.ptr, prefix.len }, prefix);
}

bool str_ends(sonde_str s, sonde_str suffix)
{
    return suffix.len == 0 ||
           (s.len >= suffix.len &&
            memcmp(s.ptr + (s.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

bool str_eq_nocase(sonde_str a, sonde_str b)
{
    return a.len == b.len &&
           (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

size_t str_index(sonde_str s, char c)
{
    const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;

    return p ? (size_t)(p - s.ptr) : s.len;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

sonde_str str_trim(sonde_str s)
{
    while (s.len && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

sonde_str str_sub(sonde_str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (sonde_str){ s.ptr ? s.ptr + from : NULL, to - from };
}

bool str_split(sonde_str *rest, char sep, sonde_str *part)
{
    size_t i;

    if (!rest->ptr)
        return false;
    i = str_index(*rest, sep);
    *part = str_sub(*rest, 0, i);
    if (i == rest->len)
        *rest = (sonde_str){ 0 };
    else
        *rest = str_sub(*rest, i + 1, rest->len);
    return true;
}

bool str_to_u64(sonde_str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.ptr[i] - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

bool str_to_i64(sonde_str s, int64_t *out)
{
    bool neg = s.len && s.ptr[0] == '-';
    uint64_t v;

    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        s = str_sub(s, 1, s.len);
    if (!str_to_u64(s, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + (neg ? 1 : 0))
        return false;
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* The table of well-formed byte sequences, Unicode standard, table 3-7. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    unsigned char lo = 0x80, hi = 0xbf;
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        lo = 0xa0;
    else if (p[0] == 0xed)
        hi = 0x9f;
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f;
    if (left < n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool str_is_utf8(sonde_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;

    while (i < s.len) {
        size_t n = utf8_length(p + i, s.len - i);

        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

#define NEAREST_MAX_LEN 48

static size_t edit_distance(sonde_str a, sonde_str b)
{
    size_t row[NEAREST_MAX_LEN + 1];

    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.len];
}

const char *str_nearest(sonde_str s, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_distance = s.len / 3 + 2;

    if (s.len == 0 || s.len > NEAREST_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        sonde_str name = sonde_cstr(names[i]);
        size_t d;

        if (name.len > NEAREST_MAX_LEN)
            continue;
        d = edit_distance(s, name);
        if (d < best_distance) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}
