/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical one-line form of a tree, and the names of its parts. */
#include <stdlib.h>
#include <string.h>

#include "model/number.h"
#include "promql/promql.h"
#include "util/str.h"

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

/* A Go string literal in double quotes; printable UTF-8 stays. */
static void print_quoted(struct buf *b, sonde_str s)
{
    bool utf8 = str_is_utf8(s);

    buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_cstr(b, "\\n");
        else if (c == '\t')
            buf_cstr(b, "\\t");
        else if (c == '\r')
            buf_cstr(b, "\\r");
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
            buf_printf(b, "\\x%02x", c);
        else
            buf_char(b, (char)c);
    }
    buf_char(b, '"');
}

static void print_labels(struct buf *b, const struct sonde_list *l)
{
    buf_char(b, '(');
    for (size_t i = 0; i < l->count; i++) {
        if (i)
            buf_cstr(b, ", ");
        if (label_name_is_legacy(l->items[i]))
            buf_put(b, l->items[i]);
        else
            print_quoted(b, l->items[i]);
    }
    buf_char(b, ')');
}

static void print_shift(struct buf *b, const struct promql_shift *s)
{
    if (s->at == PROMQL_AT_TIME)
        buf_printf(b, " @ %.3f", (double)s->at_ms / 1000);
    else if (s->at == PROMQL_AT_START)
        buf_cstr(b, " @ start()");
    else if (s->at == PROMQL_AT_END)
        buf_cstr(b, " @ end()");
    if (s->offset_ms == 0)
        return;
    buf_cstr(b, s->offset_ms < 0 ? " offset -" : " offset ");
    buf_duration(b, s->offset_ms < 0 ? -s->offset_ms : s->offset_ms);
}

static bool is_own_name(const struct promql_expr *e, const struct matcher *m)
{
    return e->selector.name.len && m->op == MATCH_EQ &&
           sonde_str_eq(m->name, SONDE_STR(LABEL_NAME)) &&
           sonde_str_eq(m->value, e->selector.name);
}

static int cmp_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Matchers are printed in the order of their texts. */
static void print_selector(struct buf *b, const struct promql_expr *e)
{
    char **texts = calloc(e->selector.count + 1, sizeof(*texts));
    size_t n = 0;

    buf_put(b, e->selector.name);
    for (size_t i = 0; texts && i < e->selector.count; i++) {
        struct buf one;

        if (is_own_name(e, &e->selector.matchers[i]))
            continue;
        buf_init(&one);
        matcher_print(&one, &e->selector.matchers[i]);
        texts[n++] = buf_take(&one);
    }
    if (n)
        qsort(texts, n, sizeof(*texts), cmp_texts);
    for (size_t i = 0; i < n; i++) {
        buf_char(b, i ? ',' : '{');
        buf_cstr(b, texts[i]);
        free(texts[i]);
    }
    if (n)
        buf_char(b, '}');
    free(texts);
}

static void print_call(struct buf *b, const struct promql_expr *e)
{
    buf_cstr(b, e->call.function->name);
    buf_char(b, '(');
    for (size_t i = 0; i < e->call.count; i++) {
        if (i)
            buf_cstr(b, ", ");
        promql_print(b, e->call.args[i]);
    }
    buf_char(b, ')');
}

static void print_aggregate(struct buf *b, const struct promql_expr *e)
{
    buf_cstr(b, promql_op_name(e->aggregate.op));
    if (e->aggregate.without || e->aggregate.labels.count) {
        buf_cstr(b, e->aggregate.without ? " without " : " by ");
        print_labels(b, &e->aggregate.labels);
        buf_char(b, ' ');
    }
    buf_char(b, '(');
    if (e->aggregate.param) {
        promql_print(b, e->aggregate.param);
        buf_cstr(b, ", ");
    }
    promql_print(b, e->aggregate.expr);
    buf_char(b, ')');
}

static void print_binary(struct buf *b, const struct promql_expr *e)
{
    const struct promql_matching *m = &e->binary.matching;
    bool group = m->card == PROMQL_MANY_TO_ONE || m->card == PROMQL_ONE_TO_MANY;

    promql_print(b, e->binary.lhs);
    buf_printf(b, " %s ", promql_op_name(e->binary.op));
    if (e->binary.return_bool)
        buf_cstr(b, "bool ");
    if (m->given && (m->on || m->labels.count || group)) {
        buf_cstr(b, m->on ? "on " : "ignoring ");
        print_labels(b, &m->labels);
        buf_char(b, ' ');
    }
    if (group) {
        buf_cstr(b, m->card == PROMQL_MANY_TO_ONE ? "group_left "
                                                  : "group_right ");
        print_labels(b, &m->include);
        buf_char(b, ' ');
    }
    promql_print(b, e->binary.rhs);
}

static void print_number(struct buf *b, const struct promql_expr *e)
{
    double v = e->number.value;

    if (!e->number.duration) {
        buf_number(b, v, NUMBER_PLAIN);
        return;
    }
    if (v < 0)
        buf_char(b, '-');
    buf_duration(b, (sonde_msec)((v < 0 ? -v : v) * 1000 + 0.5));
}

static void print_brackets(struct buf *b, sonde_msec range,
                           const sonde_msec *step)
{
    buf_char(b, '[');
    buf_duration(b, range);
    if (step) {
        buf_char(b, ':');
        if (*step)
            buf_duration(b, *step);
    }
    buf_char(b, ']');
}

void promql_print(struct buf *b, const struct promql_expr *e)
{
    switch (e->kind) {
    case PROMQL_NUMBER:
        print_number(b, e);
        break;
    case PROMQL_TEXT:
        print_quoted(b, e->text);
        break;
    case PROMQL_SELECTOR:
        print_selector(b, e);
        print_shift(b, &e->selector.shift);
        break;
    case PROMQL_RANGE:
        print_selector(b, e->range.selector);
        print_brackets(b, e->range.range_ms, NULL);
        print_shift(b, &e->range.selector->selector.shift);
        break;
    case PROMQL_SUBQUERY:
        promql_print(b, e->subquery.expr);
        print_brackets(b, e->subquery.range_ms, &e->subquery.step_ms);
        print_shift(b, &e->subquery.shift);
        break;
    case PROMQL_CALL:
        print_call(b, e);
        break;
    case PROMQL_AGGREGATE:
        print_aggregate(b, e);
        break;
    case PROMQL_BINARY:
        print_binary(b, e);
        break;
    case PROMQL_UNARY:
        buf_char(b, e->unary.minus ? '-' : '+');
        promql_print(b, e->unary.expr);
        break;
    case PROMQL_PAREN:
        buf_char(b, '(');
        promql_print(b, e->paren);
        buf_char(b, ')');
        break;
    }
}

static void fini_many(struct promql_expr **items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        promql_fini(items[i]);
}

void promql_fini(struct promql_expr *e)
{
    if (!e)
        return;
    switch (e->kind) {
    case PROMQL_SELECTOR:
        for (size_t i = 0; i < e->selector.count; i++)
            matcher_fini(&e->selector.matchers[i]);
        e->selector.count = 0;
        break;
    case PROMQL_RANGE:
        promql_fini(e->range.selector);
        break;
    case PROMQL_SUBQUERY:
        promql_fini(e->subquery.expr);
        break;
    case PROMQL_CALL:
        fini_many(e->call.args, e->call.count);
        break;
    case PROMQL_AGGREGATE:
        promql_fini(e->aggregate.expr);
        promql_fini(e->aggregate.param);
        break;
    case PROMQL_BINARY:
        promql_fini(e->binary.lhs);
        promql_fini(e->binary.rhs);
        break;
    case PROMQL_UNARY:
        promql_fini(e->unary.expr);
        break;
    case PROMQL_PAREN:
        promql_fini(e->paren);
        break;
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
        break;
    }
}
