/* SPDX-License-Identifier: Apache-2.0 */
/* Types, after the syntax: every rule and text as in Prometheus' checkAST. */
#include "promql/parse_int.h"
#include "util/str.h"

static void expect_type(struct parser *p, const struct promql_expr *e,
                        enum promql_type want, const char *context)
{
    if (e->type != want)
        parse_fail(p, e->begin, "expected type %s in %s, got %s",
                   promql_type_name(want), context, promql_type_name(e->type));
}

static void check_arg_count(struct parser *p, const struct promql_expr *e)
{
    const struct promql_function *f = e->call.function;
    int n = (int)e->call.count;
    int least = f->variadic ? f->arg_count - 1 : f->arg_count;
    int most = f->variadic > 0 ? least + f->variadic : f->arg_count;

    if (f->variadic == 0 && n != f->arg_count)
        parse_fail(p, e->begin,
                   "expected %d argument(s) in call to \"%s\", got %d",
                   f->arg_count, f->name, n);
    else if (n < least)
        parse_fail(p, e->begin,
                   "expected at least %d argument(s) in call to \"%s\", got "
                   "%d",
                   least, f->name, n);
    else if (f->variadic >= 0 && n > most)
        parse_fail(p, e->begin,
                   "expected at most %d argument(s) in call to \"%s\", got "
                   "%d",
                   most, f->name, n);
}

static void check_call(struct parser *p, const struct promql_expr *e)
{
    const struct promql_function *f = e->call.function;
    const char *context =
        arena_printf(p->arena, "call to function \"%s\"", f->name).ptr;

    check_arg_count(p, e);
    for (size_t i = 0; !p->failed && i < e->call.count; i++) {
        size_t k = i < (size_t)f->arg_count ? i : (size_t)f->arg_count - 1;

        parse_check(p, e->call.args[i]);
        expect_type(p, e->call.args[i], f->args[k], context);
    }
}

static void check_aggregate(struct parser *p, const struct promql_expr *e)
{
    parse_check(p, e->aggregate.expr);
    expect_type(p, e->aggregate.expr, PROMQL_VECTOR, "aggregation expression");
    if (!e->aggregate.param)
        return;
    parse_check(p, e->aggregate.param);
    expect_type(p, e->aggregate.param,
                e->aggregate.op == PROMQL_COUNT_VALUES ? PROMQL_STRING
                                                       : PROMQL_SCALAR,
                "aggregation parameter");
}

static bool is_operand(const struct promql_expr *e)
{
    return e->type == PROMQL_SCALAR || e->type == PROMQL_VECTOR;
}

static void check_both_lists(struct parser *p, const struct promql_expr *e)
{
    const struct promql_matching *m = &e->binary.matching;

    for (size_t i = 0; m->on && i < m->labels.count; i++)
        for (size_t k = 0; k < m->include.count; k++)
            if (sonde_str_eq(m->labels.items[i], m->include.items[k]))
                parse_fail(p, e->end,
                           "label %s must not occur in ON and GROUP clause at "
                           "once",
                           parse_quote(p, m->labels.items[i]));
}

static void check_matching(struct parser *p, const struct promql_expr *e)
{
    const struct promql_matching *m = &e->binary.matching;
    bool scalar = e->binary.lhs->type == PROMQL_SCALAR ||
                  e->binary.rhs->type == PROMQL_SCALAR;

    if (scalar && m->labels.count)
        parse_fail(p, e->begin,
                   "vector matching only allowed between instant vectors");
    else if (scalar && (m->fill_lhs || m->fill_rhs))
        parse_fail(p, e->begin,
                   "filling in missing series only allowed between instant "
                   "vectors");
    if (!promql_op_is_set(e->binary.op))
        return;
    if (scalar)
        parse_fail(p, e->begin,
                   "set operator \"%s\" not allowed in binary scalar "
                   "expression",
                   promql_op_name(e->binary.op));
    else if (m->card != PROMQL_MANY_TO_MANY)
        parse_fail(p, e->begin, "no grouping allowed for \"%s\" operation",
                   promql_op_name(e->binary.op));
    else if (m->fill_lhs || m->fill_rhs)
        parse_fail(p, e->begin,
                   "filling in missing series not allowed for set operators");
}

/* Errors point at the operator, which parse.c left in `end`. */
static void check_binary(struct parser *p, const struct promql_expr *e)
{
    const struct promql_expr *l = e->binary.lhs, *r = e->binary.rhs;
    bool comparison = promql_op_is_comparison(e->binary.op);

    parse_check(p, l);
    parse_check(p, r);
    if (p->failed)
        return;
    if (e->binary.return_bool && !comparison)
        parse_fail(p, e->end,
                   "bool modifier can only be used on comparison operators");
    else if (comparison && !e->binary.return_bool && l->type == PROMQL_SCALAR &&
             r->type == PROMQL_SCALAR)
        parse_fail(p, e->end,
                   "comparisons between scalars must use BOOL modifier");
    check_both_lists(p, e);
    if (!is_operand(l) || !is_operand(r))
        parse_fail(p, is_operand(l) ? r->begin : l->begin,
                   "binary expression must contain only scalar and instant "
                   "vector types");
    check_matching(p, e);
}

static void check_unary(struct parser *p, const struct promql_expr *e)
{
    parse_check(p, e->unary.expr);
    if (!is_operand(e->unary.expr))
        parse_fail(p, e->begin,
                   "unary expression only allowed on expressions of type "
                   "scalar or instant vector, got \"%s\"",
                   promql_type_name(e->unary.expr->type));
}

static void check_subquery(struct parser *p, const struct promql_expr *e)
{
    parse_check(p, e->subquery.expr);
    if (e->subquery.expr->type != PROMQL_VECTOR)
        parse_fail(p, e->begin,
                   "subquery is only allowed on instant vector, got %s "
                   "instead",
                   e->subquery.expr->type == PROMQL_MATRIX
                       ? "matrix"
                       : promql_type_name(e->subquery.expr->type));
}

/* A name before the braces is the only one, and the first matcher. */
static void check_names(struct parser *p, const struct promql_expr *e)
{
    for (size_t i = 1; i < e->selector.count; i++) {
        const struct matcher *m = &e->selector.matchers[i];

        if (sonde_str_eq(m->name, SONDE_STR(LABEL_NAME)))
            parse_fail(
                p, e->begin, "metric name must not be set twice: %s or %s",
                parse_quote(p, e->selector.name), parse_quote(p, m->value));
    }
}

/* One matcher at least is not satisfied by an absent label. */
static void check_selector(struct parser *p, const struct promql_expr *e)
{
    if (e->selector.name.len) {
        check_names(p, e);
        return;
    }
    for (size_t i = 0; i < e->selector.count; i++)
        if (!matcher_matches(&e->selector.matchers[i], (sonde_str){ 0 }))
            return;
    if (!p->any_selector)
        parse_fail(p, e->begin,
                   "vector selector must contain at least one non-empty "
                   "matcher");
}

void parse_check(struct parser *p, const struct promql_expr *e)
{
    if (p->failed)
        return;
    switch (e->kind) {
    case PROMQL_CALL:
        check_call(p, e);
        break;
    case PROMQL_AGGREGATE:
        check_aggregate(p, e);
        break;
    case PROMQL_BINARY:
        check_binary(p, e);
        break;
    case PROMQL_UNARY:
        check_unary(p, e);
        break;
    case PROMQL_SUBQUERY:
        check_subquery(p, e);
        break;
    case PROMQL_PAREN:
        parse_check(p, e->paren);
        break;
    case PROMQL_SELECTOR:
        check_selector(p, e);
        break;
    case PROMQL_RANGE:
        check_selector(p, e->range.selector);
        break;
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
        break;
    }
}
