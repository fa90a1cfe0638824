/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic with durations: 5m * 2, -(step() + 1), max_of(range() / 10, 1m).
 * Precedence is that of expressions. Signs are folded into numbers, and
 * parentheses around a number are forgotten.
 *
 * After `offset` only one signed term belongs to it, or what follows from an
 * opening parenthesis: `foo offset -2 ^ 2` is `(foo offset -2) ^ 2`.
 */
#include <math.h>

#include "promql/parse_int.h"
#include "util/str.h"

/* An int64 of nanoseconds. */
#define SPAN_MAX_S 9223372036.854775807

struct wanted {
    const char *context, *tokens; /* for messages                          */
};

static struct promql_span *span_new(struct parser *p,
                                    enum promql_span_kind kind, size_t begin)
{
    struct promql_span *s = arena_new(p->arena, struct promql_span);

    s->kind = kind;
    s->begin = begin;
    s->end = p->token.end;
    return s;
}

static void check_bounds(struct parser *p, const struct promql_span *s,
                         size_t at)
{
    if (s->kind == PROMQL_SPAN_NUMBER && fabs(s->value) > SPAN_MAX_S)
        parse_fail(p, at, "duration out of range");
}

static bool is_sign(const struct token *t)
{
    return t->kind == TOKEN_OP && (t->op == PROMQL_ADD || t->op == PROMQL_SUB);
}

static struct promql_span *parse_literal(struct parser *p)
{
    struct promql_span *s = span_new(p, PROMQL_SPAN_NUMBER, p->token.begin);

    s->duration = p->token.kind == TOKEN_DURATION;
    s->value = parse_number(p);
    return s;
}

static struct promql_span *parse_checked(struct parser *p)
{
    struct promql_span *s = parse_literal(p);

    check_bounds(p, s, s->begin);
    return s;
}

static struct promql_span *parse_level(struct parser *p, int level,
                                       const struct wanted *w);

/* step(), range(), min_of(a, b), max_of(a, b) */
static struct promql_span *parse_span_call(struct parser *p,
                                           const struct wanted *w)
{
    enum token_kind kind = p->token.kind;
    struct promql_span *s = span_new(p, PROMQL_SPAN_STEP, p->token.begin);

    parse_advance(p);
    if (!parse_expect(p, TOKEN_LPAREN, w->context, w->tokens))
        return s;
    if (kind == TOKEN_RANGE) {
        s->kind = PROMQL_SPAN_RANGE;
    } else if (kind != TOKEN_STEP) {
        s->kind = kind == TOKEN_MIN_OF ? PROMQL_SPAN_MIN : PROMQL_SPAN_MAX;
        s->lhs = parse_level(p, 0, w);
        if (!p->failed && parse_expect(p, TOKEN_COMMA, w->context, w->tokens))
            s->rhs = parse_level(p, 0, w);
    }
    s->end = p->token.end;
    if (!p->failed)
        (void)parse_expect(p, TOKEN_RPAREN, w->context, w->tokens);
    return s;
}

static struct promql_span *parse_wrapped(struct parser *p,
                                         const struct wanted *w)
{
    struct promql_span *s;

    parse_advance(p);
    s = parse_level(p, 0, w);
    if (p->failed || !parse_expect(p, TOKEN_RPAREN, w->context, w->tokens))
        return s;
    s->wrapped = s->kind != PROMQL_SPAN_NUMBER;
    return s;
}

static struct promql_span *parse_term(struct parser *p, const struct wanted *w)
{
    if (p->token.kind == TOKEN_NUMBER || p->token.kind == TOKEN_DURATION)
        return parse_checked(p);
    if (token_is_span_word(&p->token))
        return parse_span_call(p, w);
    if (p->token.kind == TOKEN_LPAREN)
        return parse_wrapped(p, w);
    parse_unexpected(p, w->context, w->tokens);
    return NULL;
}

static struct promql_span *sign(struct parser *p, size_t at, bool minus,
                                struct promql_span *of)
{
    struct promql_span *s;

    if (of->kind == PROMQL_SPAN_NUMBER) {
        of->value = minus ? -of->value : of->value;
        of->begin = at;
        return of;
    }
    if (!minus)
        return of;
    s = span_new(p, PROMQL_SPAN_NEGATE, at);
    s->rhs = of;
    s->end = of->end;
    return s;
}

static struct promql_span *parse_sign(struct parser *p, const struct wanted *w)
{
    size_t at = p->token.begin;
    bool minus = p->token.op == PROMQL_SUB;
    struct promql_span *of;

    if (!is_sign(&p->token))
        return parse_term(p, w);
    parse_advance(p);
    of = parse_level(p, PARSE_LEVEL_POW, w);
    return p->failed ? of : sign(p, at, minus, of);
}

static void check_divisor(struct parser *p, enum promql_op op,
                          const struct promql_span *by, size_t at)
{
    if (by->kind != PROMQL_SPAN_NUMBER || by->value != 0)
        return;
    if (op == PROMQL_DIV)
        parse_fail(p, at, "division by zero");
    else if (op == PROMQL_MOD)
        parse_fail(p, at, "modulo by zero");
}

static struct promql_span *parse_operation(struct parser *p,
                                           struct promql_span *lhs, int level,
                                           const struct wanted *w)
{
    struct promql_span *s = span_new(p, PROMQL_SPAN_BINARY, lhs->begin);
    size_t at = p->token.begin;

    s->op = p->token.op;
    s->lhs = lhs;
    parse_advance(p);
    s->rhs = parse_level(p, level == PARSE_LEVEL_POW ? level : level + 1, w);
    if (p->failed)
        return s;
    s->end = s->rhs->end;
    check_divisor(p, s->op, s->rhs, at);
    return s;
}

/* Only + - * / % ^ are known here. */
static int span_level(const struct token *t)
{
    int level = t->kind == TOKEN_OP ? parse_op_level(t->op) : -1;

    return level >= PARSE_LEVEL_ADD && t->op <= PROMQL_POW ? level : -1;
}

static struct promql_span *parse_level(struct parser *p, int level,
                                       const struct wanted *w)
{
    struct promql_span *s;
    int chain = 0, next;

    if (!parse_enter(p))
        return NULL;
    s = parse_sign(p, w);
    while (!p->failed && (next = span_level(&p->token)) >= 0 && next >= level) {
        if (++chain > SPAN_CHAIN_MAX)
            parse_fail(p, p->token.begin,
                       "more than %d operators in a row in a duration "
                       "expression",
                       SPAN_CHAIN_MAX);
        else
            s = parse_operation(p, s, next, w);
    }
    p->depth--;
    return s;
}

struct promql_span *parse_span(struct parser *p, const char *context,
                               const char *tokens)
{
    struct wanted w = { context, tokens };

    return parse_level(p, 0, &w);
}

struct promql_span *parse_offset_span(struct parser *p, const char *context,
                                      const char *tokens)
{
    struct wanted w = { context, tokens };
    size_t at = p->token.begin;
    bool minus = p->token.op == PROMQL_SUB;
    struct promql_span *of;

    if (p->token.kind == TOKEN_LPAREN)
        return parse_level(p, 0, &w);
    if (!is_sign(&p->token))
        return parse_term(p, &w);
    parse_advance(p);
    if (p->token.kind == TOKEN_NUMBER || p->token.kind == TOKEN_DURATION) {
        of = parse_literal(p);
        check_bounds(p, of, at);
    } else {
        of = parse_sign(p, &w);
    }
    return p->failed ? of : sign(p, at, minus, of);
}
