/* SPDX-License-Identifier: Apache-2.0 */
/* Vector selectors: name{label="value", ...}, {"quoted.name"}. */
#include "promql/parse_int.h"
#include "util/str.h"

#define MATCHERS_MAX 256

static void make_room(struct parser *p, struct promql_expr *e)
{
    struct matcher *grown;

    if (e->selector.count < e->selector.cap)
        return;
    e->selector.cap = e->selector.cap ? e->selector.cap * 2 : 4;
    grown = arena_array(p->arena, struct matcher, e->selector.cap);
    for (size_t i = 0; i < e->selector.count; i++)
        grown[i] = e->selector.matchers[i];
    e->selector.matchers = grown;
}

static void add_matcher(struct parser *p, struct promql_expr *e, size_t begin,
                        enum matcher_op op, sonde_str name, sonde_str value)
{
    struct sonde_err why;
    size_t n = e->selector.count;

    if (n == MATCHERS_MAX) {
        parse_fail(p, p->token.begin, "more than %d matchers", MATCHERS_MAX);
        return;
    }
    make_room(p, e);
    if (matcher_init(&e->selector.matchers[n], op, name, value, &why) !=
        SONDE_OK) {
        parse_fail(p, begin, "%s", why.text);
        return;
    }
    e->selector.count++;
}

static bool matcher_operator(const struct token *t, enum matcher_op *out)
{
    switch (t->kind) {
    case TOKEN_ASSIGN:
        *out = MATCH_EQ;
        return true;
    case TOKEN_MATCH_RE:
        *out = MATCH_RE;
        return true;
    case TOKEN_MATCH_NRE:
        *out = MATCH_NRE;
        return true;
    case TOKEN_OP:
        *out = MATCH_NE;
        return t->op == PROMQL_NEQ;
    default:
        return false;
    }
}

static void parse_matcher(struct parser *p, struct promql_expr *e)
{
    struct token name = p->token;
    enum matcher_op op;

    if (name.kind != TOKEN_IDENT && name.kind != TOKEN_STRING) {
        parse_unexpected(p, "label matching", "identifier or \"}\"");
        return;
    }
    parse_advance(p);
    if (!matcher_operator(&p->token, &op)) {
        if (name.kind == TOKEN_STRING)
            add_matcher(p, e, name.begin, MATCH_EQ, SONDE_STR(LABEL_NAME),
                        name.text);
        else
            parse_unexpected(p, "label matching", "label matching operator");
        return;
    }
    parse_advance(p);
    if (p->token.kind != TOKEN_STRING) {
        parse_unexpected(p, "label matching", "string");
        return;
    }
    add_matcher(p, e, name.begin, op, name.text, p->token.text);
    parse_advance(p);
}

static void parse_matchers(struct parser *p, struct promql_expr *e)
{
    parse_advance(p);
    while (!p->failed && p->token.kind != TOKEN_RBRACE) {
        parse_matcher(p, e);
        if (p->failed || p->token.kind == TOKEN_RBRACE)
            break;
        if (p->token.kind != TOKEN_COMMA)
            parse_unexpected(p, "label matching", "\",\" or \"}\"");
        parse_advance(p);
    }
    parse_advance(p);
}

struct promql_expr *parse_selector(struct parser *p)
{
    struct promql_expr *e = parse_node(p, PROMQL_SELECTOR, p->token.begin);

    e->type = PROMQL_VECTOR;
    e->selector.older = p->selectors;
    p->selectors = e;
    if (p->token.kind != TOKEN_LBRACE) {
        e->selector.name = p->token.text;
        add_matcher(p, e, e->begin, MATCH_EQ, SONDE_STR(LABEL_NAME),
                    p->token.text);
        parse_advance(p);
    }
    if (!p->failed && p->token.kind == TOKEN_LBRACE)
        parse_matchers(p, e);
    e->end = p->token.begin;
    return e;
}
