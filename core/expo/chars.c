/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Characters, names, quoted strings and escapes: what every part of a line
 * is made of. One table of character classes serves the scanner's hot path
 * and the exact readers, so that both mean the same by a name or a blank.
 * Blanks are space and tab only; CR is an ordinary byte (and so makes the
 * value before it unreadable), as it is for Prometheus.
 */
#include "expo/expo_int.h"

#define START  (CHAR_NAME_START | CHAR_NAME)
#define DIGIT  (CHAR_NAME | CHAR_DIGIT)
#define OPENS  CHAR_QUOTE_OPENS
#define BLANKS (CHAR_BLANK | CHAR_QUOTE_OPENS)

const uint8_t expo_char[256] = {
    ['a' ... 'z'] = START, ['A' ... 'Z'] = START, ['_'] = START,
    [':'] = START,         ['0' ... '9'] = DIGIT, [' '] = BLANKS,
    ['\t'] = BLANKS,       ['{'] = OPENS,         [','] = OPENS,
    ['='] = OPENS,         ['"'] = OPENS,         ['\\'] = OPENS,
};

const char *name_end(const char *p, const char *end)
{
    if (p == end || !char_is(*p, CHAR_NAME_START))
        return p;
    while (p < end && char_is(*p, CHAR_NAME))
        p++;
    return p;
}

const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && char_is(*p, CHAR_BLANK))
        p++;
    return p;
}

const char *quoted_end(const char *p, const char *end, bool lf_ok)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\n' && !lf_ok)
            return NULL;
        if (*p == '\\' && (++p == end || *p == '\n'))
            return NULL;
    }
    return NULL;
}

sonde_str unescape(sonde_str s, enum expo_escapes escapes, char *to)
{
    const char *p = s.ptr, *end = s.ptr + s.len;
    char *o = to;

    if (s.len == 0 || !memchr(s.ptr, '\\', s.len))
        return s;
    while (p < end) {
        char c = *p++;
        char next = c == '\\' && p < end ? *p : '\0';

        if (next == 'n') {
            c = '\n';
            p++;
        } else if (next == '\\' || (next == '"' && escapes == ESCAPES_VALUE)) {
            c = next;
            p++;
        }
        *o++ = c;
    }
    return (sonde_str){ to, (size_t)(o - to) };
}

struct shown show(const char *p, const char *end)
{
    struct shown s;
    size_t room = sizeof(s.text) - sizeof("...") - 1;
    size_t n = 0;

    for (; p < end && n < room; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == '\n' || c == '\t' || c == '\r') {
            s.text[n++] = '\\';
            s.text[n++] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
        } else {
            s.text[n++] = c < ' ' || c > '~' ? '?' : (char)c;
        }
    }
    /* An escape may have taken one byte more than `room`. */
    memcpy(s.text + n, p < end ? "..." : "", p < end ? 4 : 1);
    return s;
}
