/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recursive-descent parser with precedence climbing. Prometheus generates
 * its parser from a grammar; what is accepted, the tree and the position and
 * text of the first error are meant to be the same. Nesting is bounded, so
 * that ten thousand parentheses are an error and not an overflow.
 *
 * Precedence, high to low: [..] offset @ (postfix), ^ (right), unary and
 * * / % atan2, + -, comparisons, and unless, or.
 */
#include <math.h>
#include <string.h>

#include "promql/parse_int.h"
#include "util/str.h"
#include "util/utf8.h"

#define TEXT_BYTES_DEFAULT ((size_t)1 << 20)
#define DEPTH_DEFAULT      200

/* ---- errors -------------------------------------------------------------- */

void parse_fail(struct parser *p, size_t at, const char *fmt, ...)
{
    size_t line = 1, column = 1;
    char text[512];
    va_list ap;

    if (p->failed)
        return;
    p->failed = true;
    for (size_t i = 0; i < at && i < p->lex.in.len; i++) {
        column++;
        if (p->lex.in.ptr[i] == '\n') {
            line++;
            column = 1;
        }
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (at == PARSE_NOWHERE)
        (void)sonde_err_set(p->err, SONDE_EPARSE,
                            "unknown position: parse error: %s", text);
    else
        (void)sonde_err_set(p->err, SONDE_EPARSE, "%zu:%zu: parse error: %s",
                            line, column, text);
}

void parse_advance(struct parser *p)
{
    if (p->failed) {
        p->token.kind = TOKEN_END;
        return;
    }
    lex_next(&p->lex, &p->token);
    if (p->token.kind == TOKEN_ERROR) {
        parse_fail(p, p->lex.error_at, "%s", p->lex.error);
        p->token.kind = TOKEN_END;
    }
}

void parse_unexpected(struct parser *p, const char *context,
                      const char *expected)
{
    if (!context && p->aggregations)
        context = "aggregation";
    parse_fail(p, p->token.begin, "unexpected %s%s%s%s%s",
               token_describe(p->arena, &p->token), context ? " in " : "",
               context ? context : "", expected ? ", expected " : "",
               expected ? expected : "");
}

const char *parse_quote(struct parser *p, sonde_str s)
{
    struct buf b;
    const char *text;

    buf_init(&b);
    buf_quote(&b, s);
    text = arena_str(p->arena, buf_str(&b)).ptr;
    buf_fini(&b);
    return text;
}

struct promql_expr *parse_node(struct parser *p, enum promql_kind kind,
                               size_t begin)
{
    struct promql_expr *e = arena_new(p->arena, struct promql_expr);

    e->kind = kind;
    e->begin = begin;
    e->end = p->token.begin;
    return e;
}

bool parse_accept(struct parser *p, enum token_kind kind)
{
    if (p->token.kind != kind)
        return false;
    parse_advance(p);
    return true;
}

bool parse_expect(struct parser *p, enum token_kind kind, const char *context,
                  const char *expected)
{
    if (parse_accept(p, kind))
        return true;
    parse_unexpected(p, context, expected);
    return false;
}

double parse_number(struct parser *p)
{
    double v = p->token.number;

    if (p->token.problem)
        parse_fail(p, p->token.begin, "%s", p->token.problem);
    parse_advance(p);
    return v;
}

bool parse_enter(struct parser *p)
{
    if (++p->depth <= p->depth_max)
        return true;
    parse_fail(p, p->token.begin,
               "expression nests too deeply (more than %zu levels)",
               p->depth_max);
    return false;
}

static struct promql_expr *parse_binary(struct parser *p, int level);

struct promql_expr *parse_expression(struct parser *p)
{
    return parse_binary(p, 0);
}

void parse_chain(struct parser *p, struct promql_expr *e,
                 const struct promql_expr *below)
{
    e->chain = below->chain + 1;
    if (e->chain > CHAIN_MAX)
        parse_fail(p, e->begin,
                   "expression nests too deeply (more than %d operators in a "
                   "row)",
                   CHAIN_MAX);
}

/* ---- atoms --------------------------------------------------------------- */

static struct promql_expr *parse_literal(struct parser *p)
{
    struct promql_expr *e = parse_node(p, PROMQL_NUMBER, p->token.begin);

    e->end = p->token.end;
    if (p->token.kind == TOKEN_STRING) {
        e->kind = PROMQL_TEXT;
        e->type = PROMQL_STRING;
        e->text = p->token.text;
        parse_advance(p);
    } else {
        e->type = PROMQL_SCALAR;
        e->number.duration = p->token.kind == TOKEN_DURATION;
        e->number.value = parse_number(p);
    }
    return e;
}

static struct promql_expr *parse_paren(struct parser *p)
{
    size_t begin = p->token.begin;
    struct promql_expr *inner;
    struct promql_expr *e;

    parse_advance(p);
    inner = parse_expression(p);
    if (!p->failed)
        (void)parse_expect(p, TOKEN_RPAREN, NULL, NULL);
    e = parse_node(p, PROMQL_PAREN, begin);
    e->paren = inner;
    e->type = inner ? inner->type : PROMQL_NONE;
    return e;
}

/* A word may begin a call, an aggregation or a selector: what follows it
 * decides, so the lexer is looked ahead on a copy. */
static enum token_kind peek_kind(const struct parser *p)
{
    struct lexer ahead = p->lex;
    struct token t;

    lex_next(&ahead, &t);
    return t.kind;
}

static struct promql_expr *parse_word(struct parser *p)
{
    struct token name = p->token;
    enum token_kind next = peek_kind(p);

    if (name.kind == TOKEN_AGGREGATE &&
        (next == TOKEN_LPAREN || next == TOKEN_BY || next == TOKEN_WITHOUT)) {
        parse_advance(p);
        return parse_aggregate(p, &name);
    }
    if ((name.kind == TOKEN_IDENT || name.kind >= TOKEN_START) &&
        next == TOKEN_LPAREN) {
        parse_advance(p);
        return parse_call(p, &name);
    }
    return parse_selector(p);
}

static struct promql_expr *parse_atom(struct parser *p)
{
    switch (p->token.kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING:
        return parse_literal(p);
    case TOKEN_LPAREN:
        return parse_paren(p);
    case TOKEN_LBRACE:
        return parse_selector(p);
    default:
        if (token_is_metric_name(&p->token))
            return parse_word(p);
        break;
    }
    parse_unexpected(p, NULL, NULL);
    return NULL;
}

/* ---- operators ----------------------------------------------------------- */

int parse_op_level(enum promql_op op)
{
    switch (op) {
    case PROMQL_OR:
        return PARSE_LEVEL_OR;
    case PROMQL_AND:
    case PROMQL_UNLESS:
        return PARSE_LEVEL_AND;
    case PROMQL_ADD:
    case PROMQL_SUB:
        return PARSE_LEVEL_ADD;
    case PROMQL_POW:
        return PARSE_LEVEL_POW;
    case PROMQL_TRIM_UPPER:
    case PROMQL_TRIM_LOWER:
        return PARSE_LEVEL_COMPARE;
    default:
        return promql_op_is_comparison(op) ? PARSE_LEVEL_COMPARE
                                           : PARSE_LEVEL_MUL;
    }
}

static struct promql_expr *parse_postfix(struct parser *p)
{
    struct promql_expr *e = parse_atom(p);

    while (!p->failed && e) {
        if (p->token.kind == TOKEN_LBRACKET)
            e = parse_brackets(p, e);
        else if (p->token.kind == TOKEN_OFFSET)
            parse_offset(p, e);
        else if (p->token.kind == TOKEN_AT)
            parse_at(p, e);
        else if (p->token.kind == TOKEN_ANCHORED ||
                 p->token.kind == TOKEN_SMOOTHED)
            parse_edges(p, e);
        else
            break;
    }
    return e;
}

static void parse_group(struct parser *p, struct promql_matching *m)
{
    if (p->token.kind != TOKEN_GROUP_LEFT && p->token.kind != TOKEN_GROUP_RIGHT)
        return;
    m->card = p->token.kind == TOKEN_GROUP_LEFT ? PROMQL_MANY_TO_ONE
                                                : PROMQL_ONE_TO_MANY;
    parse_advance(p);
    if (p->token.kind == TOKEN_LPAREN)
        m->include = parse_labels(p);
    else if (!parse_begins(&p->token) && p->token.kind != TOKEN_FILL &&
             p->token.kind != TOKEN_FILL_LEFT &&
             p->token.kind != TOKEN_FILL_RIGHT)
        parse_unexpected(p, "grouping opts", "\"(\"");
}

/* (n), (-n) */
static const double *parse_fill_value(struct parser *p)
{
    double *value = arena_new(p->arena, double);
    double sign = 1;

    if (!parse_expect(p, TOKEN_LPAREN, NULL, NULL))
        return NULL;
    if (p->token.kind == TOKEN_OP &&
        (p->token.op == PROMQL_ADD || p->token.op == PROMQL_SUB)) {
        sign = p->token.op == PROMQL_SUB ? -1 : 1;
        parse_advance(p);
    }
    if (p->token.kind != TOKEN_NUMBER && p->token.kind != TOKEN_DURATION) {
        parse_unexpected(p, NULL, NULL);
        return NULL;
    }
    *value = sign * parse_number(p);
    return parse_expect(p, TOKEN_RPAREN, NULL, NULL) ? value : NULL;
}

/* fill(n), or one or both of fill_left(n) and fill_right(n). */
static void parse_fill(struct parser *p, struct promql_matching *m)
{
    if (p->token.kind == TOKEN_FILL) {
        parse_advance(p);
        m->fill_lhs = m->fill_rhs = parse_fill_value(p);
        return;
    }
    while (!p->failed &&
           ((p->token.kind == TOKEN_FILL_LEFT && !m->fill_lhs) ||
            (p->token.kind == TOKEN_FILL_RIGHT && !m->fill_rhs))) {
        const double **side =
            p->token.kind == TOKEN_FILL_LEFT ? &m->fill_lhs : &m->fill_rhs;

        parse_advance(p);
        *side = parse_fill_value(p);
    }
}

static void parse_modifiers(struct parser *p, struct promql_expr *e)
{
    struct promql_matching *m = &e->binary.matching;

    if (promql_op_is_set(e->binary.op))
        m->card = PROMQL_MANY_TO_MANY;
    e->binary.return_bool = parse_accept(p, TOKEN_BOOL);
    if (p->token.kind == TOKEN_ON || p->token.kind == TOKEN_IGNORING) {
        m->given = true;
        m->on = p->token.kind == TOKEN_ON;
        parse_advance(p);
        m->labels = parse_labels(p);
        if (!p->failed)
            parse_group(p, m);
    }
    parse_fill(p, m);
}

/* -5 is a number, not an operation on one. */
static struct promql_expr *make_unary(struct parser *p, size_t begin,
                                      bool minus, struct promql_expr *of)
{
    struct promql_expr *e;

    if (of->kind == PROMQL_NUMBER) {
        if (minus)
            of->number.value = -of->number.value;
        of->begin = begin;
        return of;
    }
    e = parse_node(p, PROMQL_UNARY, begin);
    e->type = of->type;
    e->unary.minus = minus;
    e->unary.expr = of;
    return e;
}

static struct promql_expr *parse_unary(struct parser *p)
{
    size_t begin = p->token.begin;
    struct promql_expr *of;
    bool minus;

    if (p->token.kind != TOKEN_OP ||
        (p->token.op != PROMQL_ADD && p->token.op != PROMQL_SUB))
        return parse_postfix(p);
    minus = p->token.op == PROMQL_SUB;
    parse_advance(p);
    /* Binds as * does: weaker than ^. */
    of = parse_binary(p, PARSE_LEVEL_POW);
    return of && !p->failed ? make_unary(p, begin, minus, of) : of;
}

static enum promql_type binary_type(const struct promql_expr *l,
                                    const struct promql_expr *r)
{
    return l->type == PROMQL_SCALAR && r->type == PROMQL_SCALAR ? PROMQL_SCALAR
                                                                : PROMQL_VECTOR;
}

static struct promql_expr *parse_operator(struct parser *p,
                                          struct promql_expr *left, int level)
{
    struct promql_expr *e = parse_node(p, PROMQL_BINARY, left->begin);

    e->binary.op = p->token.op;
    e->binary.lhs = left;
    parse_chain(p, e, left);
    /* Errors about an operation point at its operator. */
    e->end = p->token.begin;
    parse_advance(p);
    parse_modifiers(p, e);
    if (p->failed)
        return e;
    e->binary.rhs =
        parse_binary(p, level == PARSE_LEVEL_POW ? level : level + 1);
    if (p->failed || !e->binary.rhs)
        return e;
    e->type = binary_type(left, e->binary.rhs);
    if ((e->binary.matching.fill_lhs || e->binary.matching.fill_rhs) &&
        !(p->features & PROMQL_BINOP_FILL))
        parse_fail(p, e->begin,
                   "binop fill modifiers are experimental and not enabled");
    return e;
}

static struct promql_expr *parse_binary(struct parser *p, int level)
{
    struct promql_expr *e;

    if (!parse_enter(p))
        return NULL;
    e = parse_unary(p);
    while (!p->failed && e && p->token.kind == TOKEN_OP &&
           parse_op_level(p->token.op) >= level)
        e = parse_operator(p, e, parse_op_level(p->token.op));
    p->depth--;
    return e;
}

/* ---- the doors ----------------------------------------------------------- */

static bool begin(struct parser *p, struct arena *a, sonde_str text,
                  struct sonde_err *err)
{
    *p = (struct parser){ .arena = a, .err = err, .depth_max = DEPTH_DEFAULT };
    lex_init(&p->lex, a, text);
    parse_advance(p);
    return !p->failed;
}

static sonde_code finish(struct parser *p, struct promql_expr *e,
                         struct promql_expr **out)
{
    if (!p->failed && p->token.kind != TOKEN_END)
        parse_unexpected(p, NULL, NULL);
    if (!p->failed)
        parse_check(p, e);
    if (p->failed || !e) {
        /* The tree may be in pieces; the selectors are all in the chain. */
        for (e = p->selectors; e; e = e->selector.older)
            promql_fini(e);
        return SONDE_EPARSE;
    }
    *out = e;
    return SONDE_OK;
}

sonde_code promql_parse(struct arena *a, sonde_str text,
                        const struct promql_limits *limits,
                        struct promql_expr **out, struct sonde_err *err)
{
    size_t most =
        limits && limits->text_bytes ? limits->text_bytes : TEXT_BYTES_DEFAULT;
    struct parser p;
    struct promql_expr *e = NULL;

    if (text.len > most)
        return sonde_err_set(err, SONDE_EPARSE,
                             "1:1: parse error: the query has %zu bytes, at "
                             "most %zu are allowed",
                             text.len, most);
    if (begin(&p, a, text, err)) {
        if (limits && limits->depth)
            p.depth_max = limits->depth;
        p.features = limits ? limits->features : 0;
        if (p.token.kind == TOKEN_END)
            parse_fail(&p, text.len ? 0 : PARSE_NOWHERE,
                       "no expression found in input");
        else
            e = parse_expression(&p);
    }
    return finish(&p, e, out);
}

sonde_code promql_parse_selector(struct arena *a, sonde_str text,
                                 struct matcher **out, size_t *n,
                                 struct sonde_err *err)
{
    struct parser p;
    struct promql_expr *e = NULL;
    sonde_code rc;

    if (begin(&p, a, text, err)) {
        p.any_selector = true;
        if (p.token.kind != TOKEN_LBRACE && !token_is_metric_name(&p.token))
            parse_unexpected(&p, NULL, NULL);
        else
            e = parse_selector(&p);
    }
    rc = finish(&p, e, &e);
    if (rc != SONDE_OK)
        return rc;
    *out = e->selector.matchers;
    *n = e->selector.count;
    return SONDE_OK;
}
