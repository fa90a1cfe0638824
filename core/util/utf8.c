/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8, one code point at a time, for the few places that must look at
 * characters: regular expressions, case mapping, quoting. Decoding accepts
 * exactly what str_is_utf8 does (Unicode, table 3-7); what is malformed
 * advances by one byte, as Go does, so that a loop always ends.
 *
 * What is printable or a letter would need the whole character database; the
 * ranges here cover what matters in label values: controls, format
 * characters, blanks other than the space, private use, and symbol blocks.
 * An unassigned code point counts as printable.
 */
#include "util/utf8.h"

#include "util/str.h"

static size_t sequence_length(unsigned char c)
{
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

size_t utf8_decode(sonde_str s, uint32_t *rune, bool *ok)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t n = sequence_length(p[0]);
    uint32_t r;

    *rune = UTF8_INVALID;
    if (n == 0 || n > s.len) {
        *ok = false;
        return 1;
    }
    r = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            *ok = false;
            return 1;
        }
        r = r << 6 | (p[i] & 0x3fu);
    }
    if (r < least[n] || r > UTF8_MAX_RUNE || (r >= 0xd800 && r < 0xe000)) {
        *ok = false;
        return 1;
    }
    *rune = r;
    return n;
}

size_t utf8_encode(char out[UTF8_MAX_BYTES], uint32_t rune)
{
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (char)(0xc0 | rune >> 6);
        out[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune > UTF8_MAX_RUNE || (rune >= 0xd800 && rune < 0xe000))
        rune = UTF8_INVALID;
    if (rune < 0x10000) {
        out[0] = (char)(0xe0 | rune >> 12);
        out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        out[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | rune >> 18);
    out[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    out[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    out[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}

bool str_is_ascii(sonde_str s)
{
    unsigned char seen = 0;

    for (size_t i = 0; i < s.len; i++)
        seen |= (unsigned char)s.ptr[i];
    return seen < 0x80;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(const struct range *ranges, size_t n, uint32_t r)
{
    for (size_t i = 0; i < n; i++)
        if (r >= ranges[i].first && r <= ranges[i].last)
            return true;
    return false;
}

bool rune_is_word(uint32_t r)
{
    static const struct range others[] = {
        { 0x80, 0xa9 },       { 0xab, 0xb4 },       { 0xb6, 0xb9 },
        { 0xbb, 0xbf },       { 0xd7, 0xd7 },       { 0xf7, 0xf7 },
        { 0x2c2, 0x36f },     { 0x2000, 0x20ff },   { 0x2190, 0x2bff },
        { 0x2e00, 0x2fff },   { 0x3000, 0x3004 },   { 0x3008, 0x3030 },
        { 0xd800, 0xf8ff },   { 0xfe00, 0xfe6f },   { 0xfeff, 0xff0f },
        { 0xff1a, 0xff20 },   { 0xff3b, 0xff40 },   { 0xff5b, 0xff65 },
        { 0xffe0, 0xffff },   { 0x1d000, 0x1d3ff }, { 0x1f000, 0x1faff },
        { 0xe0000, 0x10ffff }
    };

    if (r < 0x80)
        return (r >= '0' && r <= '9') || (r >= 'A' && r <= 'Z') ||
               (r >= 'a' && r <= 'z');
    return !in_ranges(others, sizeof(others) / sizeof(others[0]), r);
}

static bool rune_prints(uint32_t r)
{
    static const struct range hidden[] = {
        { 0x00, 0x1f },       { 0x7f, 0xa0 },         { 0xad, 0xad },
        { 0x600, 0x605 },     { 0x61c, 0x61c },       { 0x6dd, 0x6dd },
        { 0x70f, 0x70f },     { 0x1680, 0x1680 },     { 0x180e, 0x180e },
        { 0x2000, 0x200f },   { 0x2028, 0x202f },     { 0x205f, 0x206f },
        { 0x3000, 0x3000 },   { 0xd800, 0xf8ff },     { 0xfeff, 0xfeff },
        { 0xfff0, 0xfffb },   { 0xfffe, 0xffff },     { 0x110bd, 0x110bd },
        { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },   { 0xe0000, 0xe00ff },
        { 0xf0000, 0xffffd }, { 0x100000, 0x10fffd },
    };

    return !in_ranges(hidden, sizeof(hidden) / sizeof(hidden[0]), r);
}

static void quote_rune(struct buf *b, uint32_t r)
{
    static const char escapes[] = "abtnvfr"; /* 7 to 13 */

    if (r >= 7 && r <= 13)
        buf_printf(b, "\\%c", escapes[r - 7]);
    else if (r < ' ' || r == 0x7f)
        buf_printf(b, "\\x%02x", (unsigned)r);
    else if (r < 0x10000)
        buf_printf(b, "\\u%04x", (unsigned)r);
    else
        buf_printf(b, "\\U%08x", (unsigned)r);
}

void buf_quote(struct buf *b, sonde_str s)
{
    buf_char(b, '"');
    while (s.len) {
        bool ok = true;
        uint32_t r;
        size_t n = utf8_decode(s, &r, &ok);

        if (!ok)
            buf_printf(b, "\\x%02x", (unsigned char)s.ptr[0]);
        else if (r == '"' || r == '\\')
            buf_printf(b, "\\%c", (char)r);
        else if (rune_prints(r))
            buf_bytes(b, s.ptr, n);
        else
            quote_rune(b, r);
        s = str_sub(s, n, s.len);
    }
    buf_char(b, '"');
}
