/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See text.h. All take views into what a server said, which may be anything,
 * and allocate nothing but the growing text.
 *
 * Numbers: nearly all that servers send are whole and short, and fifteen
 * digits are exact in a double, so those are read without strtod; the rest
 * goes through strtod with the C locale, whatever the process has.
 */
#include "shared/text.h"

#include <locale.h>
#include <stdlib.h>

#define NUMBER_BYTES_MAX 512 /* PostgreSQL's numeric may have many digits */
#define EXACT_DIGITS     15

/* ---- the growing text ---------------------------------------------------- */

bool text_reserve(struct text *t, size_t n)
{
    size_t cap = (t->len + n + 1) * 2;
    char *grown;

    if (t->failed)
        return false;
    if (n < t->cap - t->len)
        return true;
    grown = n < SIZE_MAX / 4 - t->len ? realloc(t->ptr, cap) : NULL;
    if (!grown) {
        t->failed = true;
        return false;
    }
    t->ptr = grown;
    t->cap = cap;
    return true;
}

bool text_add(struct text *t, const void *p, size_t n)
{
    if (!text_reserve(t, n))
        return false;
    if (n)
        memcpy(t->ptr + t->len, p, n);
    t->len += n;
    t->ptr[t->len] = '\0';
    return true;
}

bool text_addz(struct text *t, const char *z)
{
    return text_add(t, z, strlen(z));
}

bool text_add_str(struct text *t, sonde_str s)
{
    return text_add(t, s.ptr, s.len);
}

bool text_addf(struct text *t, const char *fmt, ...)
{
    char piece[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(piece, sizeof(piece), fmt, ap);
    va_end(ap);
    if (n < 0) {
        t->failed = true;
        return false;
    }
    return text_add(t, piece,
                    (size_t)n < sizeof(piece) ? (size_t)n : sizeof(piece) - 1);
}

void text_clear(struct text *t)
{
    t->len = 0;
    t->failed = false;
    if (t->ptr)
        t->ptr[0] = '\0';
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

/* ---- views --------------------------------------------------------------- */

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

bool text_has(sonde_str s, const char *part)
{
    return s.len && memmem(s.ptr, s.len, part, strlen(part));
}

bool text_is_numbered(sonde_str s, const char *prefix)
{
    size_t n = strlen(prefix);

    if (s.len <= n || !text_starts(s, prefix))
        return false;
    for (size_t i = n; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    }
    return true;
}

bool text_pair(sonde_str list, const char *key, sonde_str *out)
{
    sonde_str pair, name;

    while (text_split(&list, ',', &pair)) {
        if (text_split(&pair, '=', &name) && pair.ptr && text_is(name, key)) {
            *out = pair;
            return true;
        }
    }
    return false;
}

sonde_str text_after(sonde_str s, size_t n)
{
    if (n >= s.len)
        return (sonde_str){ s.ptr ? s.ptr + s.len : NULL, 0 };
    return (sonde_str){ s.ptr + n, s.len - n };
}

bool text_cut_prefix(sonde_str *s, const char *prefix)
{
    size_t n = strlen(prefix);

    if (s->len <= n || !text_starts(*s, prefix))
        return false;
    *s = text_after(*s, n);
    return true;
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
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf) {
        if (p[i] < low || p[i] > high)
            return 0;
    }
    return len;
}

bool text_is_utf8(sonde_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;

    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_len(p + i, s.len - i);

        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

bool text_add_utf8(struct text *t, sonde_str s, size_t max)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t from = 0, i = 0;

    /* What is valid is added in one piece. */
    while (i < s.len) {
        size_t n = utf8_len(p + i, s.len - i);

        if ((n ? n : 3) > max)
            break;
        max -= n ? n : 3;
        if (n == 0) {
            (void)text_add(t, p + from, i - from);
            (void)text_add(t, "\xef\xbf\xbd", 3);
            from = i + 1;
        }
        i += n ? n : 1;
    }
    return text_add(t, i > from ? p + from : NULL, i - from);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_add_decoded(struct text *t, sonde_str s, bool plus)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '%') {
            int h = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1;
            int l = i + 2 < s.len ? hex(s.ptr[i + 2]) : -1;

            if (h < 0 || l < 0)
                return false;
            c = (char)(h * 16 + l);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (!text_add(t, &c, 1))
            return false;
    }
    return text_add(t, NULL, 0);
}

char *text_decoded(sonde_str s)
{
    struct text t = { 0 };

    if (text_add_decoded(&t, s, false) && !memchr(t.ptr, '\0', t.len))
        return t.ptr;
    text_wipe(&t); /* it may be a part of a password */
    return NULL;
}

/* ---- numbers ------------------------------------------------------------- */

static bool short_whole(sonde_str s, double *out)
{
    size_t i = s.len && s.ptr[0] == '-';
    bool negative = i == 1;
    int64_t v = 0;

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

    if (short_whole(s, out))
        return true;
    if (s.len == 0 || s.len > NUMBER_BYTES_MAX)
        return false;
    memcpy(z, s.ptr, s.len);
    z[s.len] = '\0';
    /* strtod would skip blanks and read nan(...) and 0x10. */
    if (strlen(z) != s.len || strpbrk(z, " \t\r\n\v\f(") ||
        (strpbrk(z, "xX") && !strpbrk(z, "pP")))
        return false;
    *out = in_c_locale(z, &end);
    return *end == '\0';
}

bool text_whole(sonde_str s, int64_t max, int64_t *out)
{
    int64_t v = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' ||
            __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, s.ptr[i] - '0', &v) || v > max)
            return false;
    }
    *out = v;
    return s.len > 0;
}
