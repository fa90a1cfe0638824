/* SPDX-License-Identifier: Apache-2.0 */
/*
 * absent and absent_over_time: one series that is there where nothing else is.
 * Its labels are those that the selector's matchers say such a series would
 * have.
 */
#include "promql/call.h"
#include "util/str.h"

static bool matched_before(const struct promql_expr *s, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (s->selector.matchers[k].op == MATCH_EQ &&
            sonde_str_eq(s->selector.matchers[k].name,
                         s->selector.matchers[i].name))
            return true;
    return false;
}

/* The first equality on a label sets it, any matcher behind that on the same
 * label takes it away for good. */
static struct labels absent_labels(struct exec *x, const struct promql_expr *e)
{
    struct labels_builder lb;

    e = expr_bare(e);
    if (e->kind == PROMQL_RANGE)
        e = expr_bare(e->range.selector);
    if (e->kind != PROMQL_SELECTOR)
        return (struct labels){ 0 };
    labels_builder_init(&lb, &x->arena);
    for (size_t i = 0; i < e->selector.count; i++) {
        const struct matcher *m = &e->selector.matchers[i];

        if (str_eq_cstr(m->name, LABEL_NAME))
            continue;
        if (m->op == MATCH_EQ && !matched_before(e, i))
            labels_builder_set(&lb, m->name, m->value);
        else
            labels_builder_del(&lb, m->name);
    }
    return labels_builder_view(&lb);
}

static struct node *absent_node(struct exec *x, const struct promql_expr *e,
                                const struct steps *steps, const uint8_t *there)
{
    struct vseries *series = arena_new(&x->arena, struct vseries);
    double *v = arena_array(&x->arena, double, steps->count);

    series->labels = absent_labels(x, e->call.args[0]);
    for (size_t k = 0; k < steps->count; k++)
        v[k] = there[k] ? bits_double(PROMQL_ABSENT_BITS) : 1;
    return node_of_rows(x, e, steps, series, 1, v, NULL);
}

sonde_code absent_make(struct exec *x, const struct promql_expr *e,
                       const struct steps *steps, struct node **out,
                       struct sonde_err *err)
{
    uint8_t *there = arena_array(&x->arena, uint8_t, steps->count);
    struct node *of;
    sonde_code rc = node_make(x, e->call.args[0], steps, &of, err);

    for (size_t i = 0; rc == SONDE_OK && i < of->count; i++) {
        struct arena_mark mark = arena_mark(&x->workers[0].arena);
        struct row r;

        rc = exec_check(x, err);
        if (rc == SONDE_OK)
            rc = node_row(of, i, &x->workers[0], &r, err);
        for (size_t k = 0; rc == SONDE_OK && k < steps->count; k++)
            there[k] |= row_has(&r, k);
        arena_rewind(&x->workers[0].arena, mark);
    }
    if (rc == SONDE_OK)
        *out = absent_node(x, e, steps, there);
    return rc;
}

sonde_code absent_over_time_make(struct exec *x, const struct promql_expr *e,
                                 const struct steps *steps, struct node **out,
                                 struct sonde_err *err)
{
    uint8_t *there = arena_array(&x->arena, uint8_t, steps->count);
    struct node *of;
    sonde_code rc = node_make(x, e->call.args[0], steps, &of, err);

    for (size_t i = 0; rc == SONDE_OK && i < of->count; i++) {
        struct columns *c;
        struct window win;
        struct slide s;

        rc = exec_check(x, err);
        if (rc == SONDE_OK)
            rc = of->ops->columns(of, i, &x->workers[0], &c, err);
        if (rc != SONDE_OK)
            break;
        s = slide_begin(of, c);
        for (size_t k = 0; slide_next(&s, &win); k++)
            there[k] |= win.n > 0;
    }
    if (rc == SONDE_OK)
        *out = absent_node(x, e, steps, there);
    return rc;
}
