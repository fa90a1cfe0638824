/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser's files share. */
#ifndef PROMQL_PARSE_INT_H
#define PROMQL_PARSE_INT_H

#include <sonde/base.h>

#include "promql/lex.h"
#include "promql/promql.h"

/* a + b + c + ... and x[1m:][1m:]... do not nest in the text, but in the tree,
 * which is walked by recursion. */
#define CHAIN_MAX      1000
#define SPAN_CHAIN_MAX 100
/* Times behind it are as good as it: sums of them stay in an int64. */
#define AT_MAX_MS 1e18

struct parser {
    struct arena *arena;
    struct lexer lex;
    struct token token; /* the one that is looked at                      */
    size_t depth, depth_max;
    size_t aggregations; /* whose parentheses are open                  */
    unsigned features;   /* enum promql_feature                             */
    struct sonde_err *err;
    bool failed;
    bool any_selector; /* also one that accepts everything                */
    struct promql_expr *selectors; /* all that were made, newest first    */
};

/* Sets the first error, with line and column of a byte; later ones are
 * ignored. */
#define PARSE_NOWHERE SIZE_MAX /* for a byte: there is none to point at  */
SONDE_PRINTF(3, 4)
void parse_fail(struct parser *p, size_t at, const char *fmt, ...);
void parse_advance(struct parser *p);
/* `unexpected X in CONTEXT, expected WHAT`. */
void parse_unexpected(struct parser *p, const char *context,
                      const char *expected);
/* As Go quotes it. */
const char *parse_quote(struct parser *p, sonde_str s);
struct promql_expr *parse_node(struct parser *p, enum promql_kind kind,
                               size_t begin);

/* The token if it is of that kind; else expect makes it an error. */
bool parse_accept(struct parser *p, enum token_kind kind);
bool parse_expect(struct parser *p, enum token_kind kind, const char *context,
                  const char *expected);
/* Takes a number or duration. */
double parse_number(struct parser *p);
/* One level deeper, to be left by p->depth--; an error if that is too deep. */
bool parse_enter(struct parser *p);
/* `e` has `below` as its left operand: such chains are bounded too. */
void parse_chain(struct parser *p, struct promql_expr *e,
                 const struct promql_expr *below);
struct promql_expr *parse_expression(struct parser *p);
/* Whether an expression may begin with a token: parse_call.c. */
bool parse_begins(const struct token *t);

/* How strongly operators bind. */
enum {
    PARSE_LEVEL_OR,
    PARSE_LEVEL_AND,
    PARSE_LEVEL_COMPARE,
    PARSE_LEVEL_ADD,
    PARSE_LEVEL_MUL,
    PARSE_LEVEL_POW
};
int parse_op_level(enum promql_op op);

/* parse_call.c; the name is behind the lexer */
struct sonde_list parse_labels(struct parser *p);
struct promql_expr *parse_call(struct parser *p, const struct token *name);
struct promql_expr *parse_aggregate(struct parser *p, const struct token *name);

/* parse_postfix.c: at their first token; what they bind to is changed, or
 * part of what is returned */
struct promql_expr *parse_brackets(struct parser *p, struct promql_expr *of);
void parse_offset(struct parser *p, struct promql_expr *e);
void parse_at(struct parser *p, struct promql_expr *e);
void parse_edges(struct parser *p, struct promql_expr *e);

/* parse_span.c; context and tokens are for messages */
struct promql_span *parse_span(struct parser *p, const char *context,
                               const char *tokens);
struct promql_span *parse_offset_span(struct parser *p, const char *context,
                                      const char *tokens);

/* selector.c */
struct promql_expr *parse_selector(struct parser *p);

/* check.c: types, bottom up; after a parse without error. */
void parse_check(struct parser *p, const struct promql_expr *e);

#endif
