/* SPDX-License-Identifier: Apache-2.0 */
/* What the lexer's files share. */
#ifndef PROMQL_LEX_INT_H
#define PROMQL_LEX_INT_H

#include "promql/lex.h"

/* A byte ahead; -1 behind the end. */
static inline int lex_peek(const struct lexer *l, size_t ahead)
{
    return l->at + ahead < l->in.len ? (unsigned char)l->in.ptr[l->at + ahead]
                                     : -1;
}
static inline bool lex_is_digit(int c)
{
    return c >= '0' && c <= '9';
}
static inline bool lex_is_alpha(int c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool lex_is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static inline bool lex_is_hex(int c)
{
    return lex_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
/* What a digit of any base stands for. */
static inline uint32_t lex_digit_value(int c)
{
    return lex_is_digit(c) ? (uint32_t)(c - '0')
                           : (uint32_t)((c | 0x20) - 'a' + 10);
}

/* Makes the token an error, at its beginning. */
SONDE_PRINTF(3, 4)
void lex_fail(struct lexer *l, struct token *t, const char *fmt, ...);
/* The character at a byte as Go quotes it: 'x', '\n', '\''. */
const char *lex_quote(struct lexer *l, size_t at);

/* "..", '..' and `..`: lex_string.c */
void lex_string(struct lexer *l, struct token *t);
/* 1.5e3, 0x1F, 5m30s: lex_number.c */
void lex_number(struct lexer *l, struct token *t);
/* Makes a word the keyword that it is: token.c */
void token_classify(struct token *t);

#endif
