/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/parse_query: an expression's tree as JSON, for pages that explain
 * queries. Keys come sorted, as they do from Prometheus. Where a duration is
 * written as arithmetic, its tree is in `rangeExpr`, `stepExpr` or
 * `offsetExpr`, and the number beside it is 0.
 *
 * The walk is as deep as the parser lets an expression be.
 */
#include "api/api_int.h"
#include "model/number.h"
#include "promql/promql.h"

static void put_expr(struct jsonw *j, const struct promql_expr *e);

static void put_str(struct jsonw *j, const char *key, sonde_str value)
{
    jsonw_key(j, key);
    jsonw_str(j, value);
}

static void put_cstr(struct jsonw *j, const char *key, const char *value)
{
    jsonw_key(j, key);
    jsonw_cstr(j, value);
}

static void put_bool(struct jsonw *j, const char *key, bool value)
{
    jsonw_key(j, key);
    jsonw_bool(j, value);
}

static void put_int(struct jsonw *j, const char *key, int64_t value)
{
    jsonw_key(j, key);
    jsonw_int(j, value);
}

static void put_list(struct jsonw *j, const char *key,
                     const struct sonde_list *l)
{
    jsonw_key(j, key);
    jsonw_array(j);
    for (size_t i = 0; i < l->count; i++)
        jsonw_str(j, l->items[i]);
    jsonw_array_end(j);
}

static void put_child(struct jsonw *j, const char *key,
                      const struct promql_expr *e)
{
    jsonw_key(j, key);
    if (e)
        put_expr(j, e);
    else
        jsonw_null(j);
}

/* `@`: its time, or which end of the query it names. */
static void put_at(struct jsonw *j, const struct promql_shift *s)
{
    jsonw_key(j, "startOrEnd");
    if (s->at == PROMQL_AT_START || s->at == PROMQL_AT_END)
        jsonw_cstr(j, s->at == PROMQL_AT_START ? "start" : "end");
    else
        jsonw_null(j);
}

static void put_timestamp(struct jsonw *j, const struct promql_shift *s)
{
    jsonw_key(j, "timestamp");
    if (s->at == PROMQL_AT_TIME)
        jsonw_int(j, s->at_ms);
    else
        jsonw_null(j);
}

/* ---- durations ----------------------------------------------------------- */

static const char *span_op(const struct promql_span *s)
{
    switch (s->kind) {
    case PROMQL_SPAN_STEP:
        return "step";
    case PROMQL_SPAN_RANGE:
        return "range";
    case PROMQL_SPAN_MIN:
        return "min_of";
    case PROMQL_SPAN_MAX:
        return "max_of";
    case PROMQL_SPAN_NEGATE:
        return "-";
    default:
        return promql_op_name(s->op);
    }
}

static void put_number(struct jsonw *j, double v)
{
    char text[NUMBER_MAX_BYTES];
    size_t n = number_format(text, v, NUMBER_PLAIN);

    put_cstr(j, "type", "numberLiteral");
    put_str(j, "val", (sonde_str){ text, n });
}

static void put_span(struct jsonw *j, const char *key,
                     const struct promql_span *s)
{
    jsonw_key(j, key);
    if (!s) {
        jsonw_null(j);
        return;
    }
    jsonw_object(j);
    if (s->kind == PROMQL_SPAN_NUMBER) {
        put_bool(j, "duration", s->duration);
        put_number(j, s->value);
    } else {
        put_span(j, "lhs", s->lhs);
        put_cstr(j, "op", span_op(s));
        put_span(j, "rhs", s->rhs);
        put_cstr(j, "type", "durationExpr");
        put_bool(j, "wrapped", s->wrapped);
    }
    jsonw_object_end(j);
}

static void put_length(struct jsonw *j, const char *key, const char *expr_key,
                       sonde_msec ms, const struct promql_span *s)
{
    put_int(j, key, s ? 0 : ms);
    put_span(j, expr_key, s);
}

static void put_offset(struct jsonw *j, const struct promql_shift *s)
{
    put_length(j, "offset", "offsetExpr", s->offset_ms, s->offset);
}

/* ---- nodes --------------------------------------------------------------- */

static void put_matchers(struct jsonw *j, const struct promql_expr *selector)
{
    static const char *const ops[] = { "=", "!=", "=~", "!~" };

    size_t n = selector->selector.count;
    /* A name before the braces is the first matcher here, the last there. */
    size_t shift = selector->selector.name.len > 0 && n > 0;

    jsonw_key(j, "matchers");
    jsonw_array(j);
    for (size_t i = 0; i < n; i++) {
        const struct matcher *m = &selector->selector.matchers[(i + shift) % n];

        jsonw_object(j);
        put_str(j, "name", m->name);
        put_cstr(j, "type", ops[m->op]);
        put_str(j, "value", m->value);
        jsonw_object_end(j);
    }
    jsonw_array_end(j);
}

/* What instant and range selectors share; `range`: NULL, or the latter. */
static void put_selector(struct jsonw *j, const struct promql_expr *e,
                         const struct promql_expr *range)
{
    put_bool(j, "anchored", e->selector.edges == PROMQL_EDGES_ANCHORED);
    put_matchers(j, e);
    put_str(j, "name", e->selector.name);
    put_offset(j, &e->selector.shift);
    if (range)
        put_length(j, "range", "rangeExpr", range->range.range_ms,
                   range->range.range);
    put_bool(j, "smoothed", e->selector.edges == PROMQL_EDGES_SMOOTHED);
    put_at(j, &e->selector.shift);
    put_timestamp(j, &e->selector.shift);
    put_cstr(j, "type", range ? "matrixSelector" : "vectorSelector");
}

static void put_subquery(struct jsonw *j, const struct promql_expr *e)
{
    put_child(j, "expr", e->subquery.expr);
    put_offset(j, &e->subquery.shift);
    put_length(j, "range", "rangeExpr", e->subquery.range_ms,
               e->subquery.range);
    put_at(j, &e->subquery.shift);
    put_length(j, "step", "stepExpr", e->subquery.step_ms, e->subquery.step);
    put_timestamp(j, &e->subquery.shift);
    put_cstr(j, "type", "subquery");
}

static void put_fill(struct jsonw *j, const char *key, const double *value)
{
    jsonw_key(j, key);
    if (value)
        jsonw_real(j, *value);
    else
        jsonw_null(j);
}

static void put_matching(struct jsonw *j, const struct promql_matching *m)
{
    static const char *const cards[] = {
        [PROMQL_ONE_TO_ONE] = "one-to-one",
        [PROMQL_MANY_TO_ONE] = "many-to-one",
        [PROMQL_ONE_TO_MANY] = "one-to-many",
        [PROMQL_MANY_TO_MANY] = "many-to-many",
    };

    jsonw_object(j);
    put_cstr(j, "card", cards[m->card]);
    jsonw_key(j, "fillValues");
    jsonw_object(j);
    put_fill(j, "lhs", m->fill_lhs);
    put_fill(j, "rhs", m->fill_rhs);
    jsonw_object_end(j);
    put_list(j, "include", &m->include);
    put_list(j, "labels", &m->labels);
    put_bool(j, "on", m->on);
    jsonw_object_end(j);
}

static void put_binary(struct jsonw *j, const struct promql_expr *e)
{
    bool vectors = e->binary.lhs->type == PROMQL_VECTOR &&
                   e->binary.rhs->type == PROMQL_VECTOR;

    put_bool(j, "bool", e->binary.return_bool);
    put_child(j, "lhs", e->binary.lhs);
    jsonw_key(j, "matching");
    if (vectors)
        put_matching(j, &e->binary.matching);
    else
        jsonw_null(j);
    put_cstr(j, "op", promql_op_name(e->binary.op));
    put_child(j, "rhs", e->binary.rhs);
    put_cstr(j, "type", "binaryExpr");
}

static void put_call(struct jsonw *j, const struct promql_expr *e)
{
    const struct promql_function *f = e->call.function;

    jsonw_key(j, "args");
    jsonw_array(j);
    for (size_t i = 0; i < e->call.count; i++)
        put_expr(j, e->call.args[i]);
    jsonw_array_end(j);
    jsonw_key(j, "func");
    jsonw_object(j);
    jsonw_key(j, "argTypes");
    jsonw_array(j);
    for (int i = 0; i < f->arg_count; i++)
        jsonw_cstr(j, api_type_name(f->args[i]));
    jsonw_array_end(j);
    put_cstr(j, "name", f->name);
    put_cstr(j, "returnType", api_type_name(f->returns));
    put_int(j, "variadic", f->variadic);
    jsonw_object_end(j);
    put_cstr(j, "type", "call");
}

static void put_aggregation(struct jsonw *j, const struct promql_expr *e)
{
    put_child(j, "expr", e->aggregate.expr);
    put_list(j, "grouping", &e->aggregate.labels);
    put_cstr(j, "op", promql_op_name(e->aggregate.op));
    put_child(j, "param", e->aggregate.param);
    put_cstr(j, "type", "aggregation");
    put_bool(j, "without", e->aggregate.without);
}

static void put_expr(struct jsonw *j, const struct promql_expr *e)
{
    jsonw_object(j);
    switch (e->kind) {
    case PROMQL_NUMBER:
        put_number(j, e->number.value);
        break;
    case PROMQL_TEXT:
        put_cstr(j, "type", "stringLiteral");
        put_str(j, "val", e->text);
        break;
    case PROMQL_SELECTOR:
        put_selector(j, e, NULL);
        break;
    case PROMQL_RANGE:
        put_selector(j, e->range.selector, e);
        break;
    case PROMQL_SUBQUERY:
        put_subquery(j, e);
        break;
    case PROMQL_CALL:
        put_call(j, e);
        break;
    case PROMQL_AGGREGATE:
        put_aggregation(j, e);
        break;
    case PROMQL_BINARY:
        put_binary(j, e);
        break;
    case PROMQL_UNARY:
        put_child(j, "expr", e->unary.expr);
        put_cstr(j, "op", e->unary.minus ? "-" : "+");
        put_cstr(j, "type", "unaryExpr");
        break;
    case PROMQL_PAREN:
        put_child(j, "expr", e->paren);
        put_cstr(j, "type", "parenExpr");
        break;
    }
    jsonw_object_end(j);
}

void api_handle_parse_query(struct api *api, struct http_call *call)
{
    struct promql_expr *expr = NULL;
    struct api_answer a;

    if (!api_parse_query(api, call, &expr))
        return;
    put_expr(api_answer_begin(&a, call), expr);
    api_answer_send(&a);
    promql_fini(expr);
}
