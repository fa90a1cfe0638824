/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See text.h. Numbers: nearly all that a server sends are whole and short, and
 * fifteen digits are exact in a double, so those are read without strtod; the
 * rest goes through strtod with the C locale, whatever the process has.
 */
#include "text.h"

#include <locale.h>
#include <stdlib.h>

#define NUMBER_BYTES_MAX 512 /* numeric may have many digits */
#define EXACT_DIGITS     15

void text_add(struct text *t, const void *p, size_t n)
{
    if (t->failed)
        return;
    if (n >= t->cap - t->len) {
        size_t cap = t->cap + n + 64;
        char *grown;

        if (cap < SIZE_MAX / 2)
            cap += t->cap / 2;
        grown = realloc(t->ptr, cap);
        if (!grown) {
            t->failed = true;
            return;
        }
        t->ptr = grown;
        t->cap = cap;
    }
    if (n)
        memcpy(t->ptr + t->len, p, n);
    t->len += n;
    t->ptr[t->len] = '\0';
}

void text_addz(struct text *t, const char *z)
{
    text_add(t, z, strlen(z));
}

void text_adds(struct text *t, sonde_str s)
{
    text_add(t, s.ptr, s.len);
}

void text_addf(struct text *t, const char *fmt, ...)
{
    char piece[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(piece, sizeof(piece), fmt, ap);
    va_end(ap);
    if (n < 0)
        t->failed = true;
    else
        text_add(t, piece,
                 (size_t)n < sizeof(piece) ? (size_t)n : sizeof(piece) - 1);
}

void text_fini(struct text *t)
{
    free(t->ptr);
    *t = (struct text){ 0 };
}

void text_wipe(struct text *t)
{
    if (t->ptr)
        explicit_bzero(t->ptr, t->cap);
    text_fini(t);
}

char *text_copy(sonde_str s)
{
    char *z = malloc(s.len + 1);

    if (!z)
        return NULL;
    if (s.len)
        memcpy(z, s.ptr, s.len);
    z[s.len] = '\0';
    return z;
}

void text_wipez(char *z)
{
    if (z)
        explicit_bzero(z, strlen(z));
    free(z);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

sonde_str text_trim(sonde_str s)
{
    while (s.len && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool text_split(sonde_str *rest, char sep, sonde_str *part)
{
    const char *at;

    if (!rest->ptr)
        return false;
    at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (!at) {
        *part = *rest;
        *rest = (sonde_str){ 0 };
        return true;
    }
    *part = (sonde_str){ rest->ptr, (size_t)(at - rest->ptr) };
    rest->len -= part->len + 1;
    rest->ptr = at + 1;
    return true;
}

bool text_starts(sonde_str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return n == 0 || (s.len >= n && memcmp(s.ptr, prefix, n) == 0);
}

bool text_is(sonde_str s, const char *z)
{
    return s.len == strlen(z) && text_starts(s, z);
}

sonde_str text_after(sonde_str s, size_t n)
{
    return (sonde_str){ s.ptr + n, s.len - n };
}

/* ---- UTF-8 --------------------------------------------------------------- */

/* Length of the valid sequence at the front of `n` bytes, or 0; NUL is valid
 * but nothing that a label should hold. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (p[0] < 0x80)
        return p[0] ? 1 : 0;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > n)
        return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF. */
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < len; i++) {
        if (p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

void text_add_utf8(struct text *t, sonde_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t from = 0, i = 0;

    while (i < s.len) {
        size_t n = utf8_len(p + i, s.len - i);

        if (n == 0) {
            text_add(t, p + from, i - from);
            text_add(t, "\xef\xbf\xbd", 3);
            from = i + 1;
        }
        i += n ? n : 1;
    }
    if (s.len > from)
        text_add(t, p + from, s.len - from);
}

/* ---- numbers ------------------------------------------------------------- */

static bool short_whole(sonde_str s, double *out)
{
    int64_t v = 0;
    size_t i = s.ptr[0] == '-' ? 1 : 0;
    bool negative = i == 1;

    if (s.len == i || s.len - i > EXACT_DIGITS)
        return false;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        v = v * 10 + (s.ptr[i] - '0');
    }
    *out = negative ? -(double)v : (double)v;
    return true;
}

/* The C library has this locale ready: nothing is allocated. */
static double in_c_locale(const char *z, char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double v;

    if (!c)
        return strtod(z, end);
    v = strtod_l(z, end, c);
    freelocale(c);
    return v;
}

bool text_number(sonde_str s, double *out)
{
    char z[NUMBER_BYTES_MAX + 1];
    char *end;

    if (s.len == 0 || s.len > NUMBER_BYTES_MAX)
        return false;
    if (short_whole(s, out))
        return true;
    /* strtod would skip blanks and read hexadecimal and nan(...). */
    for (size_t i = 0; i < s.len; i++) {
        if (!s.ptr[i] || strchr(" \t\r\n\v\f(xX", s.ptr[i]))
            return false;
    }
    memcpy(z, s.ptr, s.len);
    z[s.len] = '\0';
    *out = in_c_locale(z, &end);
    return *end == '\0';
}

bool text_whole(sonde_str s, int64_t *out)
{
    double v;

    if (s.len == 0 || s.ptr[0] == '-' || !short_whole(s, &v))
        return false;
    *out = (int64_t)v;
    return true;
}
