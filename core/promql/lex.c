/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lexical rules of Prometheus 3.x: white space is space, tab, LF, CR;
 * comments run from # to the end of the line; keywords ignore case; a number
 * that is followed by a unit is a duration, which is a number of seconds; in
 * braces there are only identifiers, strings, commas and matching operators.
 * Positions are bytes; the parser turns them into line and column.
 */
#include "promql/lex.h"

#include <string.h>

#include "promql/lex_int.h"
#include "util/buf.h"
#include "util/str.h"
#include "util/utf8.h"

void lex_init(struct lexer *l, struct arena *a, sonde_str in)
{
    *l = (struct lexer){ .arena = a, .in = in };
}

void lex_fail(struct lexer *l, struct token *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(l->error, sizeof(l->error), fmt, ap);
    va_end(ap);
    l->error_at = t->begin;
    t->kind = TOKEN_ERROR;
}

/* The same behind what was already taken. */
#define fail_behind(l, t, ...)                                                 \
    do {                                                                       \
        (t)->begin = (l)->at;                                                  \
        lex_fail((l), (t), __VA_ARGS__);                                       \
    } while (0)

const char *lex_quote(struct lexer *l, size_t at)
{
    struct buf b;
    const char *text;
    sonde_str rest =
        at < l->in.len ? str_sub(l->in, at, l->in.len) : SONDE_STR("\xff");
    uint32_t rune;
    bool ok = true;
    size_t n = utf8_decode(rest, &rune, &ok);

    if (!ok)
        return "'\xef\xbf\xbd'";
    if (rest.ptr[0] == '\'')
        return "'\\''";
    if (rest.ptr[0] == '"')
        return "'\"'";
    buf_init(&b);
    buf_quote(&b, str_sub(rest, 0, n));
    text = arena_printf(l->arena, "'%.*s'", (int)b.len - 2, b.data + 1).ptr;
    buf_fini(&b);
    return text;
}

/* Blanks; comments too, but not where only durations are known. */
static void skip_blanks(struct lexer *l, bool comments)
{
    for (;;) {
        int c = lex_peek(l, 0);

        if (lex_is_blank(c)) {
            l->at++;
        } else if (c == '#' && comments) {
            while (lex_peek(l, 0) >= 0 && lex_peek(l, 0) != '\n' &&
                   lex_peek(l, 0) != '\r')
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

/* ---- words --------------------------------------------------------------- */

static bool before_paren(const struct lexer *l)
{
    size_t n = 0;

    while (lex_is_blank(lex_peek(l, n)))
        n++;
    return lex_peek(l, n) == '(';
}

static void lex_word(struct lexer *l, struct token *t)
{
    bool colon = false;

    while (lex_is_alpha(lex_peek(l, 0)) || lex_is_digit(lex_peek(l, 0)) ||
           (!l->braces && lex_peek(l, 0) == ':')) {
        colon |= lex_peek(l, 0) == ':';
        l->at++;
    }
    t->text = str_sub(l->in, t->begin, l->at);
    t->kind = colon ? TOKEN_METRIC : TOKEN_IDENT;
    if (!colon && !l->braces)
        token_classify(t);
    if (t->kind >= TOKEN_FILL && t->kind <= TOKEN_FILL_RIGHT &&
        !before_paren(l))
        t->kind = TOKEN_IDENT;
}

/* ---- inside braces ------------------------------------------------------- */

static void lex_in_braces(struct lexer *l, struct token *t)
{
    int c = lex_peek(l, 0);

    if (c < 0)
        lex_fail(l, t, "unexpected end of input inside braces");
    else if (lex_is_alpha(c))
        lex_word(l, t);
    else if (c == ',')
        single(l, t, TOKEN_COMMA, 1);
    else if (c == '"' || c == '\'' || c == '`')
        lex_string(l, t);
    else if (c == '=' && lex_peek(l, 1) == '~')
        single(l, t, TOKEN_MATCH_RE, 2);
    else if (c == '=')
        single(l, t, TOKEN_ASSIGN, 1);
    else if (c == '!' && lex_peek(l, 1) == '~')
        single(l, t, TOKEN_MATCH_NRE, 2);
    else if (c == '!' && lex_peek(l, 1) == '=')
        operator(l, t, PROMQL_NEQ, 2);
    else if (c == '!')
        lex_fail(l, t, "unexpected character after '!' inside braces: %s",
                 lex_quote(l, l->at + 1));
    else if (c == '{')
        lex_fail(l, t, "unexpected left brace '{'");
    else if (c == '}') {
        l->braces = false;
        single(l, t, TOKEN_RBRACE, 1);
    } else {
        lex_fail(l, t, "unexpected character inside braces: %s",
                 lex_quote(l, l->at));
    }
}

/* ---- outside ------------------------------------------------------------- */

static const struct {
    const char *text; /* longer ones first                                 */
    enum token_kind kind;
    enum promql_op op;
} symbols[] = {
    { "</", TOKEN_OP, PROMQL_TRIM_UPPER },
    { ">/", TOKEN_OP, PROMQL_TRIM_LOWER },
    { "==", TOKEN_OP, PROMQL_EQL },
    { "!=", TOKEN_OP, PROMQL_NEQ },
    { "<=", TOKEN_OP, PROMQL_LTE },
    { ">=", TOKEN_OP, PROMQL_GTE },
    { "<", TOKEN_OP, PROMQL_LSS },
    { ">", TOKEN_OP, PROMQL_GTR },
    { "=", TOKEN_ASSIGN, 0 },
    { "+", TOKEN_OP, PROMQL_ADD },
    { "-", TOKEN_OP, PROMQL_SUB },
    { "*", TOKEN_OP, PROMQL_MUL },
    { "/", TOKEN_OP, PROMQL_DIV },
    { "%", TOKEN_OP, PROMQL_MOD },
    { "^", TOKEN_OP, PROMQL_POW },
    { ",", TOKEN_COMMA, 0 },
    { "@", TOKEN_AT, 0 },
};

static bool lex_symbol(struct lexer *l, struct token *t)
{
    int c = lex_peek(l, 0), d = lex_peek(l, 1);

    if ((c == '=' && d == '~') || (c == '!' && d != '=')) {
        lex_fail(l, t, "unexpected character after '%c': %s", c,
                 lex_quote(l, l->at + 1));
        return true;
    }
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        const char *s = symbols[i].text;

        if (c == s[0] && (!s[1] || d == s[1])) {
            t->op = symbols[i].op;
            single(l, t, symbols[i].kind, strlen(s));
            return true;
        }
    }
    return false;
}

static void close_paren(struct lexer *l, struct token *t)
{
    single(l, t, TOKEN_RPAREN, 1);
    if (l->parens == 0)
        fail_behind(l, t, "unexpected right parenthesis ')'");
    else
        l->parens--;
}

static void open_bracket(struct lexer *l, struct token *t)
{
    if (l->brackets) {
        lex_fail(l, t, "unexpected left bracket '['");
        return;
    }
    l->brackets = true;
    l->got_duration = l->got_number = l->got_colon = false;
    single(l, t, TOKEN_LBRACKET, 1);
}

static void close_bracket(struct lexer *l, struct token *t)
{
    if (!l->brackets) {
        lex_fail(l, t, "unexpected right bracket ']'");
        return;
    }
    l->brackets = false;
    single(l, t, TOKEN_RBRACKET, 1);
}

static bool lex_bracket(struct lexer *l, struct token *t)
{
    switch (lex_peek(l, 0)) {
    case '(':
        l->parens++;
        single(l, t, TOKEN_LPAREN, 1);
        return true;
    case ')':
        close_paren(l, t);
        return true;
    case '{':
        l->braces = true;
        single(l, t, TOKEN_LBRACE, 1);
        return true;
    case '[':
        open_bracket(l, t);
        return true;
    case ']':
        close_bracket(l, t);
        return true;
    default:
        return false;
    }
}

static void lex_end(struct lexer *l, struct token *t)
{
    if (l->parens)
        lex_fail(l, t, "unclosed left parenthesis");
    else if (l->brackets)
        lex_fail(l, t, "unclosed left bracket");
    else
        t->kind = TOKEN_END;
}

/* ---- inside brackets ----------------------------------------------------- */

/* step, range, min_of, max_of */
static bool lex_span_word(struct lexer *l, struct token *t)
{
    size_t n = 0;

    while (lex_is_alpha(lex_peek(l, n)))
        n++;
    t->text = str_sub(l->in, l->at, l->at + n);
    token_classify(t);
    if (!token_is_span_word(t))
        return false;
    l->at += n;
    l->got_duration = true;
    return true;
}

/* The colon of a subquery. */
static void lex_colon(struct lexer *l, struct token *t)
{
    if (l->got_number && l->got_colon) {
        lex_fail(l, t, "unexpected colon ':'");
        return;
    }
    single(l, t, TOKEN_COLON, 1);
    if (!l->got_duration)
        fail_behind(l, t,
                    "unexpected colon before duration in duration expression");
    else if (l->got_colon)
        fail_behind(l, t, "unexpected repeated colon in duration expression");
    l->got_colon = true;
}

/* Before the first number. */
static void lex_span(struct lexer *l, struct token *t)
{
    int c = lex_peek(l, 0);

    if (c < 0)
        lex_fail(l, t, "unexpected end of input in duration expression");
    else if (c == '(' || c == ')' || c == ']')
        (void)lex_bracket(l, t);
    else if (c == ':')
        lex_colon(l, t);
    else if (c && strchr("+-*/%^,", c))
        (void)lex_symbol(l, t);
    else if (!lex_is_alpha(c) || !lex_span_word(l, t))
        lex_fail(l, t, "unexpected character in duration expression: %s",
                 lex_quote(l, l->at));
}

/* Behind it words are still only those of durations. */
static void lex_bracket_word(struct lexer *l, struct token *t)
{
    if (lex_peek(l, 0) == ':')
        lex_colon(l, t);
    else if (!lex_span_word(l, t))
        lex_fail(l, t, "unexpected character: %s, expected ':'",
                 lex_quote(l, l->at));
}

/* ---- everything ---------------------------------------------------------- */

static bool starts_number(const struct lexer *l)
{
    int c = lex_peek(l, 0);

    return lex_is_digit(c) || (c == '.' && lex_is_digit(lex_peek(l, 1)));
}

static void lex_any(struct lexer *l, struct token *t)
{
    int c = lex_peek(l, 0);

    if (c < 0)
        lex_end(l, t);
    else if ((lex_is_alpha(c) || c == ':') && l->brackets)
        lex_bracket_word(l, t);
    else if (lex_is_alpha(c) || c == ':')
        lex_word(l, t);
    else if (c == '"' || c == '\'' || c == '`')
        lex_string(l, t);
    else if (!lex_symbol(l, t) && !lex_bracket(l, t))
        lex_fail(l, t, "unexpected character: %s", lex_quote(l, l->at));
}

void lex_next(struct lexer *l, struct token *t)
{
    bool only_spans = l->brackets && !l->got_number && !l->braces;

    skip_blanks(l, !only_spans);
    *t = (struct token){ .begin = l->at };
    if (l->braces) {
        lex_in_braces(l, t);
    } else if (starts_number(l)) {
        lex_number(l, t);
        l->got_number = l->got_duration = true;
    } else if (only_spans) {
        lex_span(l, t);
    } else {
        lex_any(l, t);
    }
    t->end = l->at;
    t->raw = str_sub(l->in, t->begin, t->end);
    if (t->kind != TOKEN_STRING)
        t->text = t->raw;
}
