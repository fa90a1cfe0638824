/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syntax tree of PromQL. Nodes and strings are the parse's arena's; the
 * compiled regular expressions of matchers are held until promql_fini.
 */
#ifndef PROMQL_AST_H
#define PROMQL_AST_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "storage/matcher.h"

enum promql_type {
    PROMQL_NONE,
    PROMQL_SCALAR,
    PROMQL_STRING,
    PROMQL_VECTOR, /* instant vector */
    PROMQL_MATRIX, /* range vector   */
};

enum promql_kind {
    PROMQL_NUMBER,
    PROMQL_TEXT,
    PROMQL_SELECTOR, /* an instant vector selector                       */
    PROMQL_RANGE,    /* selector[5m]                                     */
    PROMQL_SUBQUERY, /* expr[5m:1m]                                      */
    PROMQL_CALL,
    PROMQL_AGGREGATE,
    PROMQL_BINARY,
    PROMQL_UNARY,
    PROMQL_PAREN,
};

enum promql_op {
    /* binary, in the order of op_names in ast.c */
    PROMQL_ADD,
    PROMQL_SUB,
    PROMQL_MUL,
    PROMQL_DIV,
    PROMQL_MOD,
    PROMQL_POW,
    PROMQL_ATAN2,
    PROMQL_EQL,
    PROMQL_NEQ,
    PROMQL_LTE,
    PROMQL_LSS,
    PROMQL_GTE,
    PROMQL_GTR,
    PROMQL_TRIM_UPPER, /* </                                               */
    PROMQL_TRIM_LOWER, /* >/                                               */
    PROMQL_AND,
    PROMQL_OR,
    PROMQL_UNLESS,
    /* aggregations */
    PROMQL_SUM,
    PROMQL_AVG,
    PROMQL_COUNT,
    PROMQL_MIN,
    PROMQL_MAX,
    PROMQL_GROUP,
    PROMQL_STDDEV,
    PROMQL_STDVAR,
    PROMQL_TOPK,
    PROMQL_BOTTOMK,
    PROMQL_COUNT_VALUES,
    PROMQL_QUANTILE,
    PROMQL_LIMITK,
    PROMQL_LIMIT_RATIO,
    PROMQL_OP_COUNT
};

enum promql_at {
    PROMQL_AT_NONE,
    PROMQL_AT_TIME,
    PROMQL_AT_START,
    PROMQL_AT_END
};

enum promql_span_kind {
    PROMQL_SPAN_NUMBER,
    PROMQL_SPAN_STEP,  /* step()                                           */
    PROMQL_SPAN_RANGE, /* range()                                          */
    PROMQL_SPAN_MIN,   /* min_of(lhs, rhs)                                 */
    PROMQL_SPAN_MAX,
    PROMQL_SPAN_NEGATE, /* -rhs                                            */
    PROMQL_SPAN_BINARY, /* lhs op rhs                                      */
};

/* Arithmetic with durations, in brackets and after `offset`: worked out for
 * each query, since it may ask for the query's step and range. What is only a
 * number is worked out by the parser, its place has no such tree. */
struct promql_span {
    enum promql_span_kind kind;
    enum promql_op op; /* of BINARY                                        */
    struct promql_span *lhs, *rhs;
    double value;  /* of NUMBER, in seconds                                */
    bool duration; /* written as 5m                                        */
    bool wrapped;  /* in parentheses                                       */
    size_t begin, end;
};

/* `offset` and `@` of a selector or subquery. */
struct promql_shift {
    sonde_msec offset_ms;       /* 0: none                                 */
    struct promql_span *offset; /* NULL, or what gives offset_ms           */
    enum promql_at at;
    sonde_msec at_ms;
};

/* How a window's edges are treated. */
enum promql_edges {
    PROMQL_EDGES_PLAIN,
    PROMQL_EDGES_ANCHORED,
    PROMQL_EDGES_SMOOTHED,
};

enum promql_card {
    PROMQL_ONE_TO_ONE,
    PROMQL_MANY_TO_ONE,
    PROMQL_ONE_TO_MANY,
    PROMQL_MANY_TO_MANY
};

struct promql_matching {
    enum promql_card card;
    bool given; /* on or ignoring was written                            */
    bool on;
    struct sonde_list labels, include;
    /* What stands for a missing partner on that side; NULL: nothing. */
    const double *fill_lhs, *fill_rhs;
};

struct promql_function {
    const char *name;
    enum promql_type args[5];
    int arg_count;
    int variadic; /* 0: exact; n > 0: the last is optional, n of it at most;
                     -1: any number of the last                           */
    enum promql_type returns;
    bool experimental;
};

struct promql_expr {
    enum promql_kind kind;
    enum promql_type type;
    size_t begin, end; /* bytes in the query text */
    unsigned chain;    /* how long the chain of left operands below it is */
    union {
        struct {
            double value;
            bool duration; /* written as 5m */
        } number;
        sonde_str text;
        struct {
            sonde_str name; /* before the braces; may be empty            */
            struct matcher *matchers; /* the name's among them            */
            size_t count, cap;
            struct promql_expr *older; /* the parser's chain              */
            struct promql_shift shift;
            enum promql_edges edges;
        } selector;
        struct {
            struct promql_expr *selector;
            sonde_msec range_ms;
            struct promql_span *range; /* NULL, or what gives range_ms    */
        } range;
        struct {
            struct promql_expr *expr;
            sonde_msec range_ms, step_ms;     /* step 0: the default      */
            struct promql_span *range, *step; /* NULL, or what gives them */
            struct promql_shift shift;
        } subquery;
        struct {
            const struct promql_function *function;
            struct promql_expr **args;
            size_t count;
        } call;
        struct {
            enum promql_op op;
            struct promql_expr *expr, *param; /* param may be NULL        */
            bool without;
            struct sonde_list labels;
        } aggregate;
        struct {
            enum promql_op op;
            struct promql_expr *lhs, *rhs;
            bool return_bool;
            struct promql_matching matching;
        } binary;
        struct {
            bool minus;
            struct promql_expr *expr;
        } unary;
        struct promql_expr *paren;
    };
};

/* What an expression is made of, in the order of evaluation; NULL behind the
 * last. */
struct promql_expr *promql_child(const struct promql_expr *e, size_t i);

/* "sum", "+", ... */
const char *promql_op_name(enum promql_op op);
/* "instant vector", ... as error messages have it. */
const char *promql_type_name(enum promql_type type);
const struct promql_function *promql_function_find(sonde_str name);
/* By number, sorted by name; NULL behind the last. */
const struct promql_function *promql_function_at(size_t i);

static inline bool promql_op_is_comparison(enum promql_op op)
{
    return op >= PROMQL_EQL && op <= PROMQL_GTR;
}
static inline bool promql_op_trims(enum promql_op op)
{
    return op == PROMQL_TRIM_UPPER || op == PROMQL_TRIM_LOWER;
}
static inline bool promql_op_is_set(enum promql_op op)
{
    return op >= PROMQL_AND && op <= PROMQL_UNLESS;
}

#endif
