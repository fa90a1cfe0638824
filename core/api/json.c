/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See json.h. One flag is all the state there is: whether something stands
 * before the next value in the same object or array. A query's answer may be
 * hundreds of megabytes, so nothing is built in memory but the text itself;
 * jansson is for documents that are read.
 *
 * Bytes that are not UTF-8 (they can come in by a query string) are replaced
 * by U+FFFD, one for each, because JSON has no way to carry them.
 */
#include "api/json.h"

#include <math.h>
#include <string.h>

#include "model/number.h"
#include "util/clock.h"

static void jsonw_next(struct jsonw *j)
{
    if (j->comma)
        buf_char(j->out, ',');
    j->comma = true;
}

void jsonw_object(struct jsonw *j)
{
    jsonw_next(j);
    buf_char(j->out, '{');
    j->comma = false;
}

void jsonw_object_end(struct jsonw *j)
{
    buf_char(j->out, '}');
    j->comma = true;
}

void jsonw_array(struct jsonw *j)
{
    jsonw_next(j);
    buf_char(j->out, '[');
    j->comma = false;
}

void jsonw_array_end(struct jsonw *j)
{
    buf_char(j->out, ']');
    j->comma = true;
}

/* The length of the UTF-8 sequence at `p`, 0 if there is no valid one. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    static const unsigned char low2[] = { [0xe0 - 0xe0] = 0xa0,
                                          [0xf0 - 0xe0] = 0x90 };
    static const unsigned char high2[] = { [0xed - 0xe0] = 0x9f,
                                           [0xf4 - 0xe0] = 0x8f };
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;
    unsigned char low = 0x80, high = 0xbf;

    if (n == 0 || n > left)
        return 0;
    if (n > 2 && (size_t)(p[0] - 0xe0) < sizeof(low2) && low2[p[0] - 0xe0])
        low = low2[p[0] - 0xe0];
    if (n > 2 && (size_t)(p[0] - 0xe0) < sizeof(high2) && high2[p[0] - 0xe0])
        high = high2[p[0] - 0xe0];
    for (size_t i = 1; i < n; i++) {
        if (p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

/* Writes what stands for one ASCII byte that may not stand for itself. */
static void put_escape(struct buf *b, unsigned char c)
{
    switch (c) {
    case '"':
        buf_cstr(b, "\\\"");
        break;
    case '\\':
        buf_cstr(b, "\\\\");
        break;
    case '\n':
        buf_cstr(b, "\\n");
        break;
    case '\r':
        buf_cstr(b, "\\r");
        break;
    case '\t':
        buf_cstr(b, "\\t");
        break;
    default:
        buf_printf(b, "\\u%04x", c);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' &&
           c != '>' && c != '&';
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* The high bit of each byte that is zero (and maybe of one above it). */
static uint64_t zero_bytes(uint64_t x)
{
    return (x - EACH_BYTE(1)) & ~x & EACH_BYTE(0x80);
}

/* Whether some of eight bytes may not stand for themselves. */
static bool odd_bytes(const char *p)
{
    uint64_t x, odd;

    memcpy(&x, p, sizeof(x));
    odd = (x | ((x - EACH_BYTE(0x20)) & ~x)) & EACH_BYTE(0x80);
    odd |= zero_bytes(x ^ EACH_BYTE('"')) | zero_bytes(x ^ EACH_BYTE('&'));
    odd |= zero_bytes(x ^ EACH_BYTE('<')) | zero_bytes(x ^ EACH_BYTE('>'));
    odd |= zero_bytes(x ^ EACH_BYTE('\\'));
    return odd != 0;
}

/* What does not stand for itself is at `i`; returns where it ends. */
static size_t put_odd(struct buf *b, sonde_str s, size_t i)
{
    const unsigned char *p = (const unsigned char *)s.ptr + i;
    size_t n = utf8_len(p, s.len - i);

    if (n == 1)
        put_escape(b, p[0]);
    else if (n == 0)
        buf_cstr(b, "\\ufffd");
    else if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8)
        buf_printf(b, "\\u20%02x", p[2] - 0x80);
    else
        buf_bytes(b, p, n);
    return i + (n ? n : 1);
}

/* Copies up to the first byte that does not stand for itself; returns how
 * many. There is room for all. */
static size_t copy_plain(char *out, const char *p, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n && !odd_bytes(p + i); i += 8)
        memcpy(out + i, p + i, 8);
    for (; i < n && is_plain((unsigned char)p[i]); i++)
        out[i] = p[i];
    return i;
}

static void put_string(struct buf *b, sonde_str s)
{
    size_t i = 0;

    buf_char(b, '"');
    while (i < s.len) {
        char *at = buf_reserve(b, s.len - i + 1);
        size_t n;

        if (!at)
            return;
        n = copy_plain(at, s.ptr + i, s.len - i);
        buf_added(b, n);
        i += n;
        if (i < s.len)
            i = put_odd(b, s, i);
    }
    buf_char(b, '"');
}

void jsonw_key(struct jsonw *j, const char *key)
{
    jsonw_next(j);
    buf_char(j->out, '"');
    buf_cstr(j->out, key);
    buf_cstr(j->out, "\":");
    j->comma = false;
}

void jsonw_key_str(struct jsonw *j, sonde_str key)
{
    jsonw_next(j);
    put_string(j->out, key);
    buf_char(j->out, ':');
    j->comma = false;
}

void jsonw_str(struct jsonw *j, sonde_str s)
{
    jsonw_next(j);
    put_string(j->out, s);
}

void jsonw_cstr(struct jsonw *j, const char *z)
{
    jsonw_str(j, sonde_cstr(z));
}

void jsonw_int(struct jsonw *j, int64_t v)
{
    jsonw_next(j);
    buf_int(j->out, v);
}

void jsonw_uint(struct jsonw *j, uint64_t v)
{
    jsonw_next(j);
    buf_uint(j->out, v);
}

void jsonw_real(struct jsonw *j, double v)
{
    if (!isfinite(v)) {
        jsonw_null(j);
        return;
    }
    jsonw_next(j);
    buf_number(j->out, v, NUMBER_API);
}

void jsonw_bool(struct jsonw *j, bool v)
{
    jsonw_next(j);
    buf_cstr(j->out, v ? "true" : "false");
}

void jsonw_null(struct jsonw *j)
{
    jsonw_next(j);
    buf_cstr(j->out, "null");
}

void jsonw_value(struct jsonw *j, double v)
{
    jsonw_next(j);
    buf_char(j->out, '"');
    buf_number(j->out, v, NUMBER_API);
    buf_char(j->out, '"');
}

#define STAMP_BYTES JSONW_STAMP_BYTES
#define POINT_BYTES (NUMBER_MAX_BYTES + STAMP_BYTES + 8)

static size_t put_seconds(char *out, sonde_msec t)
{
    uint64_t abs = t < 0 ? 0 - (uint64_t)t : (uint64_t)t;
    unsigned ms = (unsigned)(abs % 1000);
    char *p = out;

    if (t < 0)
        *p++ = '-';
    p += number_format_uint(p, abs / 1000);
    if (ms) {
        *p++ = '.';
        *p++ = (char)('0' + ms / 100);
        *p++ = (char)('0' + ms / 10 % 10);
        *p++ = (char)('0' + ms % 10);
    }
    return (size_t)(p - out);
}

void jsonw_seconds(struct jsonw *j, sonde_msec t)
{
    char *at;

    jsonw_next(j);
    at = buf_reserve(j->out, STAMP_BYTES);
    if (at)
        buf_added(j->out, put_seconds(at, t));
}

void jsonw_point(struct jsonw *j, sonde_msec t, double v)
{
    struct jsonw_stamp s;

    jsonw_stamp(&s, t);
    jsonw_stamped(j, &s, v);
}

void jsonw_stamp(struct jsonw_stamp *s, sonde_msec t)
{
    memset(s, 0, sizeof(*s));
    s->len = (unsigned char)put_seconds(s->text, t);
}

void jsonw_stamped(struct jsonw *j, const struct jsonw_stamp *s, double v)
{
    char *begin = buf_reserve(j->out, POINT_BYTES), *p = begin;

    if (!begin)
        return;
    if (j->comma)
        *p++ = ',';
    *p++ = '[';
    memcpy(p, s->text, sizeof(s->text));
    p += s->len;
    *p++ = ',';
    *p++ = '"';
    p += number_format(p, v, NUMBER_API);
    *p++ = '"';
    *p++ = ']';
    buf_added(j->out, (size_t)(p - begin));
    j->comma = true;
}

void jsonw_time(struct jsonw *j, sonde_msec t)
{
    char text[CLOCK_RFC3339_MAX] = "0001-01-01T00:00:00Z";

    if (t != 0)
        clock_rfc3339(t, text);
    jsonw_cstr(j, text);
}

void jsonw_labels(struct jsonw *j, const struct labels *l)
{
    jsonw_object(j);
    for (size_t i = 0; i < l->count; i++) {
        jsonw_key_str(j, l->items[i].name);
        jsonw_str(j, l->items[i].value);
    }
    jsonw_object_end(j);
}
