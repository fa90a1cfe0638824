/* SPDX-License-Identifier: Apache-2.0 */
/* Calls, aggregations, and the lists of labels beside them. */
#include <string.h>

#include "promql/parse_int.h"
#include "util/str.h"

/* ---- label lists --------------------------------------------------------- */

#define LABELS_MAX 256

struct sonde_list parse_labels(struct parser *p)
{
    sonde_str items[LABELS_MAX];
    struct sonde_list list = { 0 };

    if (!parse_expect(p, TOKEN_LPAREN, "grouping opts", "\"(\""))
        return list;
    while (!p->failed && p->token.kind != TOKEN_RPAREN) {
        if (!token_is_label_name(&p->token) && p->token.kind != TOKEN_STRING)
            parse_unexpected(p, "grouping opts", "label");
        else if (p->token.kind == TOKEN_STRING &&
                 (p->token.text.len == 0 || !str_is_utf8(p->token.text)))
            parse_fail(p, p->token.begin, "invalid label name for grouping: %s",
                       parse_quote(p, p->token.text));
        else if (list.count == LABELS_MAX)
            parse_fail(p, p->token.begin, "more than %d labels", LABELS_MAX);
        if (p->failed)
            return (struct sonde_list){ 0 };
        items[list.count++] = p->token.text;
        parse_advance(p);
        if (!parse_accept(p, TOKEN_COMMA) && p->token.kind != TOKEN_RPAREN)
            parse_unexpected(p, "grouping opts", "\",\" or \")\"");
    }
    parse_advance(p);
    list.items = arena_array(p->arena, sonde_str, list.count);
    memcpy((sonde_str *)list.items, items, list.count * sizeof(*items));
    return list;
}

/* ---- calls and aggregations ---------------------------------------------- */

#define ARGS_MAX 64

bool parse_begins(const struct token *t)
{
    switch (t->kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING:
    case TOKEN_LPAREN:
    case TOKEN_LBRACE:
        return true;
    default:
        return token_is_metric_name(t) ||
               (t->kind == TOKEN_OP &&
                (t->op == PROMQL_ADD || t->op == PROMQL_SUB));
    }
}

static void parse_comma(struct parser *p)
{
    size_t at = p->token.begin;

    if (parse_expect(p, TOKEN_COMMA, NULL, NULL) && !parse_begins(&p->token))
        parse_fail(p, at, "trailing commas not allowed in function call args");
}

struct args {
    struct promql_expr **items;
    size_t count;
};

/* Up to the closing parenthesis, which is not taken: what is wrong with a
 * call is told before what is wrong behind it. */
static struct args parse_args(struct parser *p)
{
    struct promql_expr *items[ARGS_MAX];
    struct args args = { NULL, 0 };

    if (!parse_expect(p, TOKEN_LPAREN, "function call", "\"(\""))
        return args;
    while (!p->failed && (args.count || p->token.kind != TOKEN_RPAREN)) {
        if (args.count == ARGS_MAX) {
            parse_fail(p, p->token.begin, "more than %d arguments", ARGS_MAX);
            return args;
        }
        items[args.count++] = parse_expression(p);
        if (p->failed || p->token.kind == TOKEN_RPAREN)
            break;
        parse_comma(p);
    }
    args.items = arena_array(p->arena, struct promql_expr *, args.count);
    memcpy(args.items, items, args.count * sizeof(*items));
    return args;
}

struct promql_expr *parse_call(struct parser *p, const struct token *name)
{
    const struct promql_function *f = promql_function_find(name->text);
    struct args args = parse_args(p);
    struct promql_expr *e = parse_node(p, PROMQL_CALL, name->begin);

    if (!f)
        parse_fail(p, name->begin, "unknown function with name %s",
                   parse_quote(p, name->text));
    else if (f->experimental && !(p->features & PROMQL_EXPERIMENTAL_FUNCTIONS))
        parse_fail(p, name->begin, "function \"%s\" is not enabled", f->name);
    if (p->failed || !f)
        return NULL;
    e->type = f->returns;
    e->call.function = f;
    e->call.args = args.items;
    e->call.count = args.count;
    parse_advance(p);
    return e;
}

static bool op_has_param(enum promql_op op)
{
    switch (op) {
    case PROMQL_TOPK:
    case PROMQL_BOTTOMK:
    case PROMQL_COUNT_VALUES:
    case PROMQL_QUANTILE:
    case PROMQL_LIMITK:
    case PROMQL_LIMIT_RATIO:
        return true;
    default:
        return false;
    }
}

static bool at_grouping(const struct parser *p)
{
    return p->token.kind == TOKEN_BY || p->token.kind == TOKEN_WITHOUT;
}

static void parse_grouping(struct parser *p, struct promql_expr *e)
{
    e->aggregate.without = p->token.kind == TOKEN_WITHOUT;
    parse_advance(p);
    e->aggregate.labels = parse_labels(p);
}

static void take_aggregate_args(struct parser *p, struct promql_expr *e,
                                const struct args *args)
{
    size_t n = args->count;
    size_t want = op_has_param(e->aggregate.op) ? 2 : 1;

    if (p->failed)
        return;
    if (n == 0)
        parse_fail(p, e->begin,
                   "no arguments for aggregate expression provided");
    else if (n != want)
        parse_fail(p, e->begin,
                   "wrong number of arguments for aggregate expression "
                   "provided, expected %zu, got %zu",
                   want, n);
    if (p->failed || n != want || !args->items)
        return;
    e->aggregate.param = want == 2 ? args->items[0] : NULL;
    e->aggregate.expr = args->items[want - 1];
}

static void check_enabled(struct parser *p, const struct token *name)
{
    if ((name->op == PROMQL_LIMITK || name->op == PROMQL_LIMIT_RATIO) &&
        !(p->features & PROMQL_EXPERIMENTAL_FUNCTIONS))
        parse_fail(p, name->begin,
                   "%s() is experimental and must be enabled with "
                   "--enable-feature=promql-experimental-functions",
                   promql_op_name(name->op));
}

struct promql_expr *parse_aggregate(struct parser *p, const struct token *name)
{
    struct promql_expr *e = parse_node(p, PROMQL_AGGREGATE, name->begin);
    bool grouped = at_grouping(p);
    struct args args;

    e->type = PROMQL_VECTOR;
    e->aggregate.op = name->op;
    if (grouped)
        parse_grouping(p, e);
    if (!p->failed && p->token.kind != TOKEN_LPAREN) {
        parse_unexpected(p, "aggregation", NULL);
        return e;
    }
    p->aggregations++;
    args = parse_args(p);
    p->aggregations--;
    if (!grouped) {
        parse_advance(p);
        if (!p->failed && at_grouping(p))
            parse_grouping(p, e);
    }
    if (args.count)
        check_enabled(p, name);
    take_aggregate_args(p, e, &args);
    if (grouped)
        parse_advance(p);
    e->end = p->token.begin;
    return e;
}
