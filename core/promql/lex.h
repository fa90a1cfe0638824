/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of PromQL. The parser pulls them one by one; inside braces the same
 * characters mean other tokens, so the lexer keeps track of where it is.
 */
#ifndef PROMQL_LEX_H
#define PROMQL_LEX_H

#include <sonde/base.h>

#include "promql/ast.h"
#include "util/arena.h"

enum token_kind {
    TOKEN_END,
    TOKEN_ERROR,     /* the lexer's error is set                        */
    TOKEN_IDENT,     /* text                                            */
    TOKEN_METRIC,    /* an identifier with a colon                      */
    TOKEN_NUMBER,    /* number                                          */
    TOKEN_DURATION,  /* number, in seconds                              */
    TOKEN_STRING,    /* text, unescaped                                 */
    TOKEN_OP,        /* op: binary operator (also = in braces: EQL_ASSIGN) */
    TOKEN_AGGREGATE, /* op */
    TOKEN_ASSIGN,
    TOKEN_MATCH_RE,
    TOKEN_MATCH_NRE,
    TOKEN_AT,
    TOKEN_LPAREN,
    TOKEN_RPAREN,
    TOKEN_LBRACE,
    TOKEN_RBRACE,
    TOKEN_LBRACKET,
    TOKEN_RBRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    /* keywords */
    TOKEN_OFFSET,
    TOKEN_BY,
    TOKEN_WITHOUT,
    TOKEN_ON,
    TOKEN_IGNORING,
    TOKEN_GROUP_LEFT,
    TOKEN_GROUP_RIGHT,
    TOKEN_BOOL,
    TOKEN_ANCHORED,
    TOKEN_SMOOTHED,
    TOKEN_FILL,
    TOKEN_FILL_LEFT,
    TOKEN_FILL_RIGHT,
    /* those that messages name as symbols */
    TOKEN_START,
    TOKEN_ENDWORD,
    /* and that stand among durations */
    TOKEN_STEP,
    TOKEN_RANGE,
    TOKEN_MIN_OF,
    TOKEN_MAX_OF,
};

struct token {
    enum token_kind kind;
    size_t begin, end;
    sonde_str raw;  /* as written                                        */
    sonde_str text; /* the same; unescaped for STRING                    */
    enum promql_op op;
    double number;
    const char *problem; /* with the number, told if it is wanted; or NULL */
};

struct lexer {
    struct arena *arena;
    sonde_str in;
    size_t at;
    int parens;
    bool braces, brackets;
    /* In brackets: any duration so far (until one is there, only what
     * durations are made of is known), a number (behind which the rest of the
     * language is, so that errors name its tokens), the colon. */
    bool got_duration, got_number, got_colon;
    size_t error_at;
    char error[256];
};

void lex_init(struct lexer *l, struct arena *a, sonde_str in);
void lex_next(struct lexer *l, struct token *t);
/* How an error message names a token: `identifier "x"`, `<by>`, `"]"`. */
const char *token_describe(struct arena *a, const struct token *t);
/* Keywords may be metric names and label names where nothing else fits. */
bool token_is_metric_name(const struct token *t);
bool token_is_label_name(const struct token *t);
/* step, range, min_of, max_of: what stands among durations. */
bool token_is_span_word(const struct token *t);

#endif
