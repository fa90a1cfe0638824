/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser's files share. */
#ifndef PROMQL_PARSE_INT_H
#define PROMQL_PARSE_INT_H

#include <sonde/base.h>

#include "promql/lex.h"
#include "promql/promql.h"

struct parser {
    struct arena *arena;
    struct lexer lex;
    struct token token; /* the one that is looked at                      */
    size_t depth, depth_max;
    unsigned features; /* enum promql_feature                             */
    struct sonde_err *err;
    bool failed;
    bool any_selector; /* also one that accepts everything                */
    struct promql_expr *selectors; /* all that were made, newest first    */
};

/* Sets the first error, with line and column of a byte; later ones are
 * ignored. */
SONDE_PRINTF(3, 4)
void parse_fail(struct parser *p, size_t at, const char *fmt, ...);
void parse_advance(struct parser *p);
/* `unexpected X in CONTEXT, expected WHAT`. */
void parse_unexpected(struct parser *p, const char *context,
                      const char *expected);
struct promql_expr *parse_node(struct parser *p, enum promql_kind kind,
                               size_t begin);

/* selector.c */
struct promql_expr *parse_selector(struct parser *p);

/* check.c: types, bottom up; after a parse without error. */
void parse_check(struct parser *p, const struct promql_expr *e);

#endif
