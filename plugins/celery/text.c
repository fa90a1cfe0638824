/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: a growing text, copies, and the encodings that brokers use.
 *
 * A plugin links nothing of the agent, so the few helpers it needs are here.
 * Nothing is trusted: base64, %XX and dates come from the network or from a
 * person, and all that becomes a label is made valid UTF-8 first.
 */
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

bool text_add(struct text *t, const void *p, size_t n)
{
    if (n > SIZE_MAX / 4 - t->len)
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

bool text_addz(struct text *t, const char *z)
{
    return text_add(t, z, strlen(z));
}

bool text_add_str(struct text *t, sonde_str s)
{
    return text_add(t, s.ptr, s.len);
}

void text_clear(struct text *t)
{
    t->len = 0;
    if (t->ptr)
        t->ptr[0] = '\0';
}

void text_fini(struct text *t)
{
    free(t->ptr);
    *t = (struct text){ 0 };
}

/* ---- UTF-8 --------------------------------------------------------------- */

/* Length of the valid character that `s` begins with; 0 when it is none. */
static size_t character(sonde_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    static const uint32_t least[] = { 0, 1, 0x80, 0x800, 0x10000 };
    static const unsigned char bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code;

    if ((p[0] >= 0x80 && p[0] < 0xc0) || p[0] >= 0xf8 || n > s.len)
        return 0;
    code = p[0] & bits[n];
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return n;
}

bool text_add_utf8(struct text *t, sonde_str s, size_t max)
{
    size_t used = 0;

    while (s.len) {
        size_t n = character(s), out = n ? n : 3;

        if (used + out > max)
            return true;
        if (!text_add(t, n ? s.ptr : "\xef\xbf\xbd", out))
            return false;
        used += out;
        s = text_after(s, n ? n : 1);
    }
    return true;
}

/* ---- encodings ----------------------------------------------------------- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool reserve(struct text *t, size_t n)
{
    char *grown;

    if (t->len + n + 1 <= t->cap)
        return true;
    grown = n < SIZE_MAX / 8 ? realloc(t->ptr, t->len + n + 1) : NULL;
    if (!grown)
        return false;
    t->ptr = grown;
    t->cap = t->len + n + 1;
    return true;
}

bool text_add_base64(struct text *t, sonde_str s)
{
    uint32_t bits = 0;
    size_t have = 0, len = t->len;

    while (s.len && s.ptr[s.len - 1] == '=')
        s.len--;
    if (s.len % 4 == 1 || !reserve(t, s.len / 4 * 3 + 3))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        int v = sextet(s.ptr[i]);

        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            t->ptr[len++] = (char)(bits >> have);
        }
    }
    t->len = len;
    t->ptr[len] = '\0';
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_add_decoded(struct text *t, sonde_str s)
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
        }
        if (c == '\0' || !text_add(t, &c, 1))
            return false;
    }
    return text_add(t, "", 0);
}

/* ---- views --------------------------------------------------------------- */

char *text_copy(sonde_str s)
{
    char *z = malloc(s.len + 1);

    if (z) {
        if (s.len)
            memcpy(z, s.ptr, s.len);
        z[s.len] = '\0';
    }
    return z;
}

bool text_is(sonde_str s, const char *z)
{
    return sonde_str_eq(s, sonde_cstr(z));
}

bool text_starts(sonde_str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return n == 0 || (s.len >= n && memcmp(s.ptr, prefix, n) == 0);
}

sonde_str text_after(sonde_str s, size_t n)
{
    if (n >= s.len)
        return (sonde_str){ s.ptr ? s.ptr + s.len : NULL, 0 };
    return (sonde_str){ s.ptr + n, s.len - n };
}

bool text_split(sonde_str *rest, char sep, sonde_str *part)
{
    const char *at;

    if (!rest->ptr)
        return false;
    at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
    *part = *rest;
    if (!at) {
        *rest = (sonde_str){ 0 };
        return true;
    }
    part->len = (size_t)(at - rest->ptr);
    *rest = text_after(*rest, part->len + 1);
    return true;
}

bool text_number(sonde_str s, int64_t max, int64_t *out)
{
    int64_t v = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        v = v * 10 + (s.ptr[i] - '0');
        if (v > max)
            return false;
    }
    *out = v;
    return s.len > 0;
}

/* ---- time ---------------------------------------------------------------- */

/* Seconds east of UTC of "+01:00", "-0530", "Z" or nothing. */
static bool offset_of(const char *z, double *out)
{
    unsigned int h = 0, m = 0;

    *out = 0;
    if (*z == '\0' || strcmp(z, "Z") == 0)
        return true;
    if ((*z != '+' && *z != '-') || sscanf(z + 1, "%2u:%2u", &h, &m) < 1)
        return false;
    *out = (h * 3600.0 + m * 60.0) * (*z == '-' ? -1 : 1);
    return h < 24 && m < 60;
}

double text_time(sonde_str s)
{
    char z[40];
    struct tm tm = { 0 };
    double fraction = 0, scale = 0.1, offset;
    const char *p;

    (void)snprintf(z, sizeof(z), "%.*s", SONDE_ARG(s));
    p = strptime(z, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!p)
        return NAN;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
            fraction += (*p - '0') * scale;
    }
    if (!offset_of(p, &offset))
        return NAN;
    return (double)timegm(&tm) + fraction - offset;
}
