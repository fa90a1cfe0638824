/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String literals. Double and single quotes take escapes and end with their
 * line; back quotes take everything as it is, over lines.
 */
#include <string.h>

#include "promql/lex_int.h"
#include "util/buf.h"
#include "util/str.h"
#include "util/utf8.h"

/* The character at the lexer's place as Go's %#U writes it: U+0071 'q'. */
static const char *rune_name(struct lexer *l)
{
    sonde_str rest = str_sub(l->in, l->at, l->in.len);
    uint32_t rune;
    bool ok = true;

    (void)utf8_decode(rest, &rune, &ok);
    return arena_printf(l->arena, "U+%04X %s", (unsigned)rune,
                        lex_quote(l, l->at))
        .ptr;
}

static void put_utf8(struct buf *b, uint32_t c)
{
    char bytes[UTF8_MAX_BYTES];

    buf_bytes(b, bytes, utf8_encode(bytes, c));
}

/* `n` digits of a numeric escape; false (and an error) if they are not. */
static bool numeric_escape(struct lexer *l, struct token *t, unsigned n,
                           uint32_t base, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        int c = lex_peek(l, 0);

        if (c < 0) {
            lex_fail(l, t, "escape sequence not terminated");
            return false;
        }
        if (!lex_is_hex(c) || lex_digit_value(c) >= base) {
            lex_fail(l, t, "illegal character %s in escape sequence",
                     rune_name(l));
            return false;
        }
        *out = *out * base + lex_digit_value(c);
        l->at++;
    }
    return true;
}

static const char simple_escapes[] = "abfnrtv\\";
static const char simple_values[] = "\a\b\f\n\r\t\v\\";

static bool escape(struct lexer *l, struct token *t, int quote, struct buf *out)
{
    int c = lex_peek(l, 0);
    const char *s = c > 0 ? strchr(simple_escapes, c) : NULL;
    uint32_t v;

    if (c < 0) {
        lex_fail(l, t, "escape sequence not terminated");
        return false;
    }
    if (s || c == quote) {
        buf_char(out, s ? simple_values[s - simple_escapes] : (char)quote);
        l->at++;
        return true;
    }
    if (c >= '0' && c <= '7') {
        if (!numeric_escape(l, t, 3, 8, &v))
            return false;
        if (v > 255) {
            lex_fail(l, t, "escape sequence is an invalid Unicode code point");
            return false;
        }
        buf_u8(out, (uint8_t)v);
        return true;
    }
    if (c != 'x' && c != 'u' && c != 'U') {
        lex_fail(l, t, "unknown escape sequence %s", rune_name(l));
        return false;
    }
    l->at++;
    if (!numeric_escape(l, t, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, &v))
        return false;
    if (c == 'x') {
        buf_u8(out, (uint8_t)v);
        return true;
    }
    if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) {
        lex_fail(l, t, "escape sequence is an invalid Unicode code point");
        return false;
    }
    put_utf8(out, v);
    return true;
}

/* One character that is no escape, which may take several bytes. */
static bool plain(struct lexer *l, struct token *t, struct buf *out)
{
    size_t n = 1;

    if (lex_peek(l, 0) >= 0x80) {
        uint32_t rune;
        bool ok = true;

        n = utf8_decode(str_sub(l->in, l->at, l->in.len), &rune, &ok);
        if (rune == UTF8_INVALID) {
            lex_fail(l, t, "invalid UTF-8 rune");
            return false;
        }
    }
    buf_bytes(out, l->in.ptr + l->at, n);
    l->at += n;
    return true;
}

static bool string_body(struct lexer *l, struct token *t, int quote,
                        struct buf *out)
{
    for (;;) {
        int c = lex_peek(l, 0);

        if (c < 0 || (quote != '`' && c == '\n')) {
            lex_fail(l, t,
                     quote == '`' ? "unterminated raw string"
                                  : "unterminated quoted string");
            return false;
        }
        if (c == quote) {
            l->at++;
            return true;
        }
        if (c == '\\' && quote != '`') {
            l->at++;
            if (!escape(l, t, quote, out))
                return false;
        } else if (!plain(l, t, out)) {
            return false;
        }
    }
}

void lex_string(struct lexer *l, struct token *t)
{
    int quote = lex_peek(l, 0);
    struct buf b;

    buf_init(&b);
    l->at++;
    if (string_body(l, t, quote, &b)) {
        t->kind = TOKEN_STRING;
        t->text = arena_str(l->arena, buf_str(&b));
    }
    buf_fini(&b);
}
