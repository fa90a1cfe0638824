/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lexical rules of Prometheus 3.x: white space is space, tab, LF, CR;
 * comments run from # to the end of the line; keywords ignore case; a number
 * that is followed by a unit is a duration, which is a number of seconds; in
 * braces there are only identifiers, strings, commas and matching operators.
 * Positions are bytes; the parser turns them into line and column.
 */
#include "promql/lex.h"

#include <inttypes.h>
#include <string.h>

#include "model/number.h"
#include "util/buf.h"
#include "util/str.h"

static const struct {
    const char *word;
    enum token_kind kind;
    enum promql_op op;
} keywords[] = {
    { "and", TOKEN_OP, PROMQL_AND },
    { "or", TOKEN_OP, PROMQL_OR },
    { "unless", TOKEN_OP, PROMQL_UNLESS },
    { "atan2", TOKEN_OP, PROMQL_ATAN2 },
    { "sum", TOKEN_AGGREGATE, PROMQL_SUM },
    { "avg", TOKEN_AGGREGATE, PROMQL_AVG },
    { "count", TOKEN_AGGREGATE, PROMQL_COUNT },
    { "min", TOKEN_AGGREGATE, PROMQL_MIN },
    { "max", TOKEN_AGGREGATE, PROMQL_MAX },
    { "group", TOKEN_AGGREGATE, PROMQL_GROUP },
    { "stddev", TOKEN_AGGREGATE, PROMQL_STDDEV },
    { "stdvar", TOKEN_AGGREGATE, PROMQL_STDVAR },
    { "topk", TOKEN_AGGREGATE, PROMQL_TOPK },
    { "bottomk", TOKEN_AGGREGATE, PROMQL_BOTTOMK },
    { "count_values", TOKEN_AGGREGATE, PROMQL_COUNT_VALUES },
    { "quantile", TOKEN_AGGREGATE, PROMQL_QUANTILE },
    { "limitk", TOKEN_AGGREGATE, PROMQL_LIMITK },
    { "limit_ratio", TOKEN_AGGREGATE, PROMQL_LIMIT_RATIO },
    { "offset", TOKEN_OFFSET, 0 },
    { "by", TOKEN_BY, 0 },
    { "without", TOKEN_WITHOUT, 0 },
    { "on", TOKEN_ON, 0 },
    { "ignoring", TOKEN_IGNORING, 0 },
    { "group_left", TOKEN_GROUP_LEFT, 0 },
    { "group_right", TOKEN_GROUP_RIGHT, 0 },
    { "bool", TOKEN_BOOL, 0 },
    { "start", TOKEN_START, 0 },
    { "end", TOKEN_ENDWORD, 0 },
};

void lex_init(struct lexer *l, struct arena *a, sonde_str in)
{
    *l = (struct lexer){ .arena = a, .in = in };
}

static int peek(const struct lexer *l, size_t ahead)
{
    return l->at + ahead < l->in.len ? (unsigned char)l->in.ptr[l->at + ahead]
                                     : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(int c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

SONDE_PRINTF(3, 4)
static void fail(struct lexer *l, struct token *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(l->error, sizeof(l->error), fmt, ap);
    va_end(ap);
    l->error_at = l->at;
    t->kind = TOKEN_ERROR;
}

static void skip_blanks(struct lexer *l)
{
    for (;;) {
        int c = peek(l, 0);

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            l->at++;
        } else if (c == '#') {
            while (peek(l, 0) >= 0 && peek(l, 0) != '\n' && peek(l, 0) != '\r')
                l->at++;
        } else {
            return;
        }
    }
}

static void single(struct lexer *l, struct token *t, enum token_kind kind,
                   size_t n)
{
    t->kind = kind;
    l->at += n;
}

static void operator(struct lexer *l, struct token *t, enum promql_op op,
                     size_t n)
{
    t->op = op;
    single(l, t, TOKEN_OP, n);
}

/* ---- strings ------------------------------------------------------------- */

static void put_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_u8(b, (uint8_t)c);
    } else if (c < 0x800) {
        buf_u8(b, (uint8_t)(0xc0 | c >> 6));
        buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_u8(b, (uint8_t)(0xe0 | c >> 12));
        buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_u8(b, (uint8_t)(0xf0 | c >> 18));
        buf_u8(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

static uint32_t digit_value(int c)
{
    if (is_digit(c))
        return (uint32_t)(c - '0');
    return (uint32_t)((c | 0x20) - 'a' + 10);
}

/* `n` digits of a numeric escape; false (and an error) if they are not. */
static bool numeric_escape(struct lexer *l, struct token *t, unsigned n,
                           uint32_t base, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        int c = peek(l, 0);

        if (c < 0) {
            fail(l, t, "escape sequence not terminated");
            return false;
        }
        if (!is_hex(c) || digit_value(c) >= base) {
            fail(l, t, "illegal character U+%04X '%c' in escape sequence",
                 (unsigned)c, c);
            return false;
        }
        *out = *out * base + digit_value(c);
        l->at++;
    }
    return true;
}

static const char simple_escapes[] = "abfnrtv\\";
static const char simple_values[] = "\a\b\f\n\r\t\v\\";

static bool escape(struct lexer *l, struct token *t, int quote, struct buf *out)
{
    int c = peek(l, 0);
    const char *s = c > 0 ? strchr(simple_escapes, c) : NULL;
    uint32_t v;

    if (c < 0) {
        fail(l, t, "escape sequence not terminated");
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
            fail(l, t, "escape sequence is an invalid Unicode code point");
            return false;
        }
        buf_u8(out, (uint8_t)v);
        return true;
    }
    if (c != 'x' && c != 'u' && c != 'U') {
        fail(l, t, "unknown escape sequence U+%04X '%c'", (unsigned)c, c);
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
        fail(l, t, "escape sequence is an invalid Unicode code point");
        return false;
    }
    put_utf8(out, v);
    return true;
}

static bool string_body(struct lexer *l, struct token *t, int quote,
                        struct buf *out)
{
    for (;;) {
        int c = peek(l, 0);

        if (c < 0 || (quote != '`' && c == '\n')) {
            fail(l, t,
                 quote == '`' ? "unterminated raw string"
                              : "unterminated quoted string");
            return false;
        }
        l->at++;
        if (c == quote)
            return true;
        if (c == '\\' && quote != '`') {
            if (!escape(l, t, quote, out))
                return false;
        } else {
            buf_char(out, (char)c);
        }
    }
}

static void lex_string(struct lexer *l, struct token *t)
{
    int quote = peek(l, 0);
    struct buf b;

    buf_init(&b);
    l->at++;
    if (string_body(l, t, quote, &b)) {
        t->kind = TOKEN_STRING;
        t->text = arena_str(l->arena, buf_str(&b));
    }
    buf_fini(&b);
}

/* ---- numbers and durations ----------------------------------------------- */

static void bad_number(struct lexer *l, struct token *t)
{
    while (is_alpha(peek(l, 0)) || is_digit(peek(l, 0)) || peek(l, 0) == '.')
        l->at++;
    fail(l, t, "bad number or duration syntax: \"%.*s\"",
         SONDE_ARG(str_sub(l->in, t->begin, l->at)));
}

/* Digits, single underscores between them. */
static bool digits(struct lexer *l, bool hex)
{
    size_t begin = l->at;

    for (;;) {
        int c = peek(l, 0);

        if (hex ? is_hex(c) : is_digit(c)) {
            l->at++;
        } else if (c == '_' && l->at > begin &&
                   (hex ? is_hex(peek(l, 1)) : is_digit(peek(l, 1)))) {
            l->at++;
        } else {
            return l->at > begin;
        }
    }
}

static sonde_str without_underscores(struct arena *a, sonde_str s)
{
    char *p = arena_cstr(a, s);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '_')
            p[n++] = s.ptr[i];
    return (sonde_str){ p, n };
}

/* Base 16 or 8 integers must fit an int64. */
static bool based_integer(sonde_str s, unsigned base, double *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++) {
        uint32_t d = digit_value(s.ptr[i]);

        if (d >= base || v > ((uint64_t)INT64_MAX - d) / base)
            return false;
        v = v * base + d;
    }
    *out = (double)v;
    return s.len > 0;
}

static void lex_hex(struct lexer *l, struct token *t)
{
    size_t begin;

    l->at += 2;
    if (peek(l, 0) == '_')
        l->at++;
    begin = l->at;
    if (!digits(l, true) || is_alpha(peek(l, 0)) || peek(l, 0) == '.') {
        bad_number(l, t);
        return;
    }
    t->kind = TOKEN_NUMBER;
    if (!based_integer(
            without_underscores(l->arena, str_sub(l->in, begin, l->at)), 16,
            &t->number))
        fail(l, t, "error parsing number: \"%.*s\": value out of range",
             SONDE_ARG(str_sub(l->in, t->begin, l->at)));
}

static bool is_octal(sonde_str s)
{
    if (s.len < 2 || s.ptr[0] != '0')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]))
            return false;
    return true;
}

static void finish_number(struct lexer *l, struct token *t)
{
    sonde_str s =
        without_underscores(l->arena, str_sub(l->in, t->begin, l->at));

    t->kind = TOKEN_NUMBER;
    if (is_octal(s) && based_integer(s, 8, &t->number))
        return;
    if (!number_parse(s, &t->number))
        fail(l, t,
             "error parsing number: strconv.ParseFloat: parsing "
             "\"%.*s\": value out of range",
             SONDE_ARG(s));
}

static bool at_unit(const struct lexer *l)
{
    int c = peek(l, 0);

    return c == 'y' || c == 'w' || c == 'd' || c == 'h' || c == 'm' || c == 's';
}

static void lex_duration(struct lexer *l, struct token *t)
{
    sonde_str s;
    sonde_msec ms;

    while (is_digit(peek(l, 0)) || is_alpha(peek(l, 0)))
        l->at++;
    s = str_sub(l->in, t->begin, l->at);
    if (peek(l, 0) == '.') {
        bad_number(l, t);
        return;
    }
    if (!duration_parse(s, &ms)) {
        fail(l, t, "not a valid duration string: \"%.*s\"", SONDE_ARG(s));
        return;
    }
    t->kind = TOKEN_DURATION;
    t->number = (double)ms / 1000;
}

static void lex_number(struct lexer *l, struct token *t)
{
    bool whole;

    if (peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x') {
        lex_hex(l, t);
        return;
    }
    whole = digits(l, false);
    if (whole && at_unit(l)) {
        lex_duration(l, t);
        return;
    }
    if (peek(l, 0) == '.') {
        l->at++;
        (void)digits(l, false);
    }
    if ((peek(l, 0) | 0x20) == 'e') {
        l->at++;
        if (peek(l, 0) == '+' || peek(l, 0) == '-')
            l->at++;
        if (!digits(l, false)) {
            bad_number(l, t);
            return;
        }
    }
    if (is_alpha(peek(l, 0)) || is_digit(peek(l, 0)) || peek(l, 0) == '.')
        bad_number(l, t);
    else
        finish_number(l, t);
}

/* ---- words --------------------------------------------------------------- */

static void classify(struct token *t)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (str_eq_nocase(t->text, sonde_cstr(keywords[i].word))) {
            t->kind = keywords[i].kind;
            t->op = keywords[i].op;
            return;
        }
    }
    if (str_eq_nocase(t->text, SONDE_STR("inf")) ||
        str_eq_nocase(t->text, SONDE_STR("nan"))) {
        t->kind = TOKEN_NUMBER;
        (void)number_parse(t->text, &t->number);
    }
}

static void lex_word(struct lexer *l, struct token *t)
{
    bool colon = false;

    while (is_alpha(peek(l, 0)) || is_digit(peek(l, 0)) ||
           (!l->braces && peek(l, 0) == ':')) {
        colon |= peek(l, 0) == ':';
        l->at++;
    }
    t->text = str_sub(l->in, t->begin, l->at);
    t->kind = colon ? TOKEN_METRIC : TOKEN_IDENT;
    if (!colon && !l->braces)
        classify(t);
}

/* ---- inside braces ------------------------------------------------------- */

static void lex_in_braces(struct lexer *l, struct token *t)
{
    int c = peek(l, 0);

    if (c < 0)
        fail(l, t, "unexpected end of input inside braces");
    else if (is_alpha(c))
        lex_word(l, t);
    else if (c == ',')
        single(l, t, TOKEN_COMMA, 1);
    else if (c == '"' || c == '\'' || c == '`')
        lex_string(l, t);
    else if (c == '=' && peek(l, 1) == '~')
        single(l, t, TOKEN_MATCH_RE, 2);
    else if (c == '=')
        single(l, t, TOKEN_ASSIGN, 1);
    else if (c == '!' && peek(l, 1) == '~')
        single(l, t, TOKEN_MATCH_NRE, 2);
    else if (c == '!' && peek(l, 1) == '=')
        operator(l, t, PROMQL_NEQ, 2);
    else if (c == '!')
        fail(l, t, "unexpected character after '!' inside braces: '%c'",
             peek(l, 1) < 0 ? ' ' : peek(l, 1));
    else if (c == '{')
        fail(l, t, "unexpected left brace '{'");
    else if (c == '}') {
        l->braces = false;
        single(l, t, TOKEN_RBRACE, 1);
    } else {
        fail(l, t, "unexpected character inside braces: '%c'", c);
    }
}

/* ---- outside ------------------------------------------------------------- */

static bool lex_comparison(struct lexer *l, struct token *t)
{
    int c = peek(l, 0), d = peek(l, 1);

    if (c == '=' && d == '=')
        operator(l, t, PROMQL_EQL, 2);
    else if (c == '=' && d == '~')
        fail(l, t, "unexpected character after '=': '~'");
    else if (c == '=')
        single(l, t, TOKEN_ASSIGN, 1);
    else if (c == '!' && d == '=')
        operator(l, t, PROMQL_NEQ, 2);
    else if (c == '!')
        fail(l, t, "unexpected character after '!': '%c'", d < 0 ? ' ' : d);
    else if (c == '<' && d == '=')
        operator(l, t, PROMQL_LTE, 2);
    else if (c == '<')
        operator(l, t, PROMQL_LSS, 1);
    else if (c == '>' && d == '=')
        operator(l, t, PROMQL_GTE, 2);
    else if (c == '>')
        operator(l, t, PROMQL_GTR, 1);
    else
        return false;
    return true;
}

static bool lex_bracket(struct lexer *l, struct token *t)
{
    switch (peek(l, 0)) {
    case '(':
        l->parens++;
        single(l, t, TOKEN_LPAREN, 1);
        return true;
    case ')':
        if (l->parens == 0) {
            l->at++;
            fail(l, t, "unexpected right parenthesis ')'");
            return true;
        }
        l->parens--;
        single(l, t, TOKEN_RPAREN, 1);
        return true;
    case '{':
        l->braces = true;
        single(l, t, TOKEN_LBRACE, 1);
        return true;
    case '[':
        if (l->brackets) {
            fail(l, t, "unexpected left bracket '['");
            return true;
        }
        l->brackets = true;
        single(l, t, TOKEN_LBRACKET, 1);
        return true;
    case ']':
        if (!l->brackets) {
            l->at++;
            fail(l, t, "unexpected right bracket ']'");
            return true;
        }
        l->brackets = false;
        single(l, t, TOKEN_RBRACKET, 1);
        return true;
    default:
        return false;
    }
}

static const struct {
    char c;
    enum token_kind kind;
    enum promql_op op;
} singles[] = {
    { ',', TOKEN_COMMA, 0 },       { '@', TOKEN_AT, 0 },
    { '+', TOKEN_OP, PROMQL_ADD }, { '-', TOKEN_OP, PROMQL_SUB },
    { '*', TOKEN_OP, PROMQL_MUL }, { '/', TOKEN_OP, PROMQL_DIV },
    { '%', TOKEN_OP, PROMQL_MOD }, { '^', TOKEN_OP, PROMQL_POW },
};

static bool lex_single(struct lexer *l, struct token *t)
{
    for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
        if (peek(l, 0) == singles[i].c) {
            t->op = singles[i].op;
            single(l, t, singles[i].kind, 1);
            return true;
        }
    }
    return false;
}

static void lex_end(struct lexer *l, struct token *t)
{
    if (l->parens)
        fail(l, t, "unclosed left parenthesis");
    else if (l->brackets)
        fail(l, t, "unclosed left bracket");
    else
        t->kind = TOKEN_END;
}

void lex_next(struct lexer *l, struct token *t)
{
    int c;

    skip_blanks(l);
    *t = (struct token){ .begin = l->at };
    c = peek(l, 0);
    if (l->braces)
        lex_in_braces(l, t);
    else if (c < 0)
        lex_end(l, t);
    else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
        lex_number(l, t);
    else if (l->brackets && c == ':')
        single(l, t, TOKEN_COLON, 1);
    else if (is_alpha(c) || c == ':')
        lex_word(l, t);
    else if (c == '"' || c == '\'' || c == '`')
        lex_string(l, t);
    else if (!lex_single(l, t) && !lex_comparison(l, t) && !lex_bracket(l, t))
        fail(l, t, "unexpected character: '%.*s'", c < 0x80 ? 1 : 2,
             l->in.ptr + l->at);
    t->end = l->at;
    if (t->kind != TOKEN_STRING)
        t->text = str_sub(l->in, t->begin, t->end);
}

/* ---- names of tokens ----------------------------------------------------- */

const char *token_describe(struct arena *a, const struct token *t)
{
    const char *format = "\"%.*s\"";

    switch (t->kind) {
    case TOKEN_END:
        return "end of input";
    case TOKEN_IDENT:
        format = "identifier \"%.*s\"";
        break;
    case TOKEN_METRIC:
        format = "metric identifier \"%.*s\"";
        break;
    case TOKEN_NUMBER:
        format = "number \"%.*s\"";
        break;
    case TOKEN_DURATION:
        format = "duration \"%.*s\"";
        break;
    case TOKEN_STRING:
        format = "string \"%.*s\"";
        break;
    case TOKEN_OP:
        format = "<op:%.*s>";
        break;
    case TOKEN_AGGREGATE:
        format = "<aggr:%.*s>";
        break;
    default:
        if (t->kind >= TOKEN_OFFSET)
            format = "<%.*s>";
        break;
    }
    // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): all from above
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return arena_printf(a, format, SONDE_ARG(t->text)).ptr;
#pragma GCC diagnostic pop
}

bool token_is_metric_name(const struct token *t)
{
    switch (t->kind) {
    case TOKEN_IDENT:
    case TOKEN_METRIC:
    case TOKEN_AGGREGATE:
    case TOKEN_OFFSET:
    case TOKEN_BY:
    case TOKEN_WITHOUT:
    case TOKEN_START:
    case TOKEN_ENDWORD:
        return true;
    case TOKEN_OP: /* and, or, unless; not atan2 */
        return promql_op_is_set(t->op);
    default:
        return false;
    }
}

bool token_is_label_name(const struct token *t)
{
    return token_is_metric_name(t) || t->kind >= TOKEN_OFFSET ||
           (t->kind == TOKEN_OP && t->op == PROMQL_ATAN2);
}
