/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: a growing text, views cut at separators, UTF-8 made valid.
 *
 * A plugin links nothing of the agent, so the few helpers it needs are here.
 * All take views into replies and allocate nothing but the growing text.
 */

#include "text.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

bool text_add(struct redis_text *t, const void *p, size_t n)
{
    if (n > SIZE_MAX / 2 - t->len - 1)
        return false;
    if (t->len + n + 1 > t->cap) {
        size_t cap = (t->len + n + 1) * 2;
        char *grown = realloc(t->ptr, cap);

        if (!grown)
            return false;
        t->ptr = grown;
        t->cap = cap;
    }
    if (n)
        memcpy(t->ptr + t->len, p, n);
    t->len += n;
    t->ptr[t->len] = '\0';
    return true;
}

bool text_addz(struct redis_text *t, const char *z)
{
    return text_add(t, z, strlen(z));
}

void text_fini(struct redis_text *t)
{
    free(t->ptr);
    *t = (struct redis_text){ 0 };
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

bool text_cut_prefix(sonde_str *s, const char *prefix)
{
    size_t n = strlen(prefix);

    if (s->len <= n || !text_starts(*s, prefix))
        return false;
    s->ptr += n;
    s->len -= n;
    return true;
}

bool text_has(sonde_str s, const char *part)
{
    return s.len && memmem(s.ptr, s.len, part, strlen(part));
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

/* Length of the valid UTF-8 sequence at the front of `n` bytes, or 0; NUL is
 * valid but nothing that a label should hold. */
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

bool text_add_utf8(struct redis_text *t, sonde_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;

    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_len(p + i, s.len - i);

        if (!(n ? text_add(t, p + i, n) : text_add(t, "\xef\xbf\xbd", 3)))
            return false;
        i += n ? n : 1;
    }
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_add_decoded(struct redis_text *t, sonde_str s, bool plus)
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
    return true;
}

/* ---- numbers ------------------------------------------------------------- */

#define NUMBER_MAX 64

/* Whole numbers of up to 15 digits, which is nearly all of INFO, need no
 * strtod and are exact. */
static bool short_integer(sonde_str s, double *out)
{
    size_t i = s.len && s.ptr[0] == '-';
    int64_t v = 0;

    if (s.len - i == 0 || s.len - i > 15)
        return false;
    for (size_t k = i; k < s.len; k++) {
        if (s.ptr[k] < '0' || s.ptr[k] > '9')
            return false;
        v = v * 10 + (s.ptr[k] - '0');
    }
    *out = i ? -(double)v : (double)v;
    return true;
}

bool text_number(sonde_str s, double *out)
{
    char z[NUMBER_MAX + 1];
    char *end;
    locale_t c_locale;

    if (short_integer(s, out))
        return true;
    /* strtod would skip blanks and read nan(...). */
    if (s.len == 0 || s.len > NUMBER_MAX || memchr(s.ptr, '(', s.len) ||
        memchr(s.ptr, '\0', s.len) || strchr(" \t\r\n\v\f", s.ptr[0]))
        return false;
    memcpy(z, s.ptr, s.len);
    z[s.len] = '\0';
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale)
        return false;
    *out = strtod_l(z, &end, c_locale);
    freelocale(c_locale);
    return *end == '\0';
}
