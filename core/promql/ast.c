/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a tree's parts, and walking it. */
#include "promql/ast.h"

#include "promql/promql.h"

/* In the order of enum promql_op. */
static const char *const op_names[PROMQL_OP_COUNT] = {
    [PROMQL_ADD] = "+",
    [PROMQL_SUB] = "-",
    [PROMQL_MUL] = "*",
    [PROMQL_DIV] = "/",
    [PROMQL_MOD] = "%",
    [PROMQL_POW] = "^",
    [PROMQL_ATAN2] = "atan2",
    [PROMQL_EQL] = "==",
    [PROMQL_NEQ] = "!=",
    [PROMQL_LTE] = "<=",
    [PROMQL_LSS] = "<",
    [PROMQL_GTE] = ">=",
    [PROMQL_GTR] = ">",
    [PROMQL_TRIM_UPPER] = "</",
    [PROMQL_TRIM_LOWER] = ">/",
    [PROMQL_AND] = "and",
    [PROMQL_OR] = "or",
    [PROMQL_UNLESS] = "unless",
    [PROMQL_SUM] = "sum",
    [PROMQL_AVG] = "avg",
    [PROMQL_COUNT] = "count",
    [PROMQL_MIN] = "min",
    [PROMQL_MAX] = "max",
    [PROMQL_GROUP] = "group",
    [PROMQL_STDDEV] = "stddev",
    [PROMQL_STDVAR] = "stdvar",
    [PROMQL_TOPK] = "topk",
    [PROMQL_BOTTOMK] = "bottomk",
    [PROMQL_COUNT_VALUES] = "count_values",
    [PROMQL_QUANTILE] = "quantile",
    [PROMQL_LIMITK] = "limitk",
    [PROMQL_LIMIT_RATIO] = "limit_ratio",
};

const char *promql_op_name(enum promql_op op)
{
    return op_names[op];
}

const char *promql_type_name(enum promql_type type)
{
    static const char *const names[] = {
        [PROMQL_NONE] = "none",           [PROMQL_SCALAR] = "scalar",
        [PROMQL_STRING] = "string",       [PROMQL_VECTOR] = "instant vector",
        [PROMQL_MATRIX] = "range vector",
    };

    return names[type];
}

static struct promql_expr *one_of(size_t i, struct promql_expr *first,
                                  struct promql_expr *second)
{
    if (i == 0)
        return first ? first : second;
    return i == 1 && first ? second : NULL;
}

struct promql_expr *promql_child(const struct promql_expr *e, size_t i)
{
    switch (e->kind) {
    case PROMQL_RANGE:
        return one_of(i, e->range.selector, NULL);
    case PROMQL_SUBQUERY:
        return one_of(i, e->subquery.expr, NULL);
    case PROMQL_CALL:
        return i < e->call.count ? e->call.args[i] : NULL;
    case PROMQL_AGGREGATE:
        return one_of(i, e->aggregate.param, e->aggregate.expr);
    case PROMQL_BINARY:
        return one_of(i, e->binary.lhs, e->binary.rhs);
    case PROMQL_UNARY:
        return one_of(i, e->unary.expr, NULL);
    case PROMQL_PAREN:
        return one_of(i, e->paren, NULL);
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
    case PROMQL_SELECTOR:
        break;
    }
    return NULL;
}

void promql_fini(struct promql_expr *e)
{
    struct promql_expr *child;

    if (!e)
        return;
    if (e->kind == PROMQL_SELECTOR) {
        for (size_t i = 0; i < e->selector.count; i++)
            matcher_fini(&e->selector.matchers[i]);
        e->selector.count = 0;
    }
    for (size_t i = 0; (child = promql_child(e, i)) != NULL; i++)
        promql_fini(child);
}
