/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluation at one instant, so far of what a first look at a store needs:
 * arithmetic of numbers (Grafana tests a data source with 1+1), strings, and
 * vector selectors with offset and @. Everything else parses and is checked,
 * and is answered by an error that names it.
 *
 * A selector's value at T is the newest sample with T - lookback < t <= T;
 * if that is a stale marker the series has none.
 */
#include <math.h>
#include <stdlib.h>

#include "promql/promql.h"
#include "util/clock.h"
#include "util/mem.h"

static sonde_code out_of_time(const struct promql_query *q,
                              struct sonde_err *err)
{
    if (q->canceled && q->canceled(q->canceled_arg))
        return sonde_err_set(err, SONDE_ECANCELED,
                             "query was canceled in query execution");
    if (q->deadline_ms && clock_monotonic(&clock_system) > q->deadline_ms)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "query timed out in query execution");
    return SONDE_OK;
}

static sonde_msec shifted(const struct promql_shift *s, sonde_msec t)
{
    /* At one instant, start() and end() are that instant. */
    return (s->at == PROMQL_AT_TIME ? s->at_ms : t) - s->offset_ms;
}

struct selection {
    const struct promql_query *query;
    struct arena *arena;
    sonde_msec t, at; /* of the result, and where samples are looked for */
    struct columns columns;
    struct promql_element *items;
    size_t count, cap;
    struct sonde_list warnings;
};

static sonde_code take_series(struct selection *s, struct storage_series *one,
                              struct sonde_err *err)
{
    struct columns *c = &s->columns;
    sonde_code rc;

    columns_reset(c);
    rc = one->ops->read(one, s->at - s->query->lookback_ms + 1, s->at, c, err);
    if (rc != SONDE_OK || c->count == 0 || is_stale_nan(c->v[c->count - 1]))
        return rc;
    if (c->h && c->h[c->count - 1]) /* its sum is not its value */
        return SONDE_OK;
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count++] =
        (struct promql_element){ .labels = labels_dup(s->arena, &one->labels),
                                 .t = s->t,
                                 .v = c->v[c->count - 1] };
    return SONDE_OK;
}

static sonde_code take_all(struct selection *s, struct series_set *set,
                           struct sonde_err *err)
{
    struct storage_series *one;
    sonde_code rc;

    while ((rc = set->ops->next(set, &one, err)) == SONDE_OK) {
        rc = out_of_time(s->query, err);
        if (rc == SONDE_OK)
            rc = take_series(s, one, err);
        if (rc != SONDE_OK)
            return rc;
    }
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

static int cmp_elements(const void *a, const void *b)
{
    const struct promql_element *x = a, *y = b;

    return labels_cmp(&x->labels, &y->labels);
}

static sonde_code select_series(struct selection *s,
                                const struct promql_expr *e,
                                struct sonde_err *err)
{
    struct select_hints hints = { .mint = s->at - s->query->lookback_ms + 1,
                                  .maxt = s->at };
    struct storage *store = s->query->storage;
    struct querier *q;
    struct series_set *set;
    sonde_code rc = store->ops->querier(store, hints.mint, hints.maxt, &q, err);

    if (rc != SONDE_OK)
        return rc;
    rc = q->ops->select(q, e->selector.matchers, e->selector.count, &hints,
                        &set, err);
    if (rc == SONDE_OK) {
        rc = take_all(s, set, err);
        set->ops->free(set);
        s->warnings = querier_warnings(q, s->arena);
    }
    q->ops->free(q);
    return rc;
}

static sonde_code eval_selector(const struct promql_query *q, struct arena *a,
                                const struct promql_expr *e, sonde_msec t,
                                struct promql_value *out, struct sonde_err *err)
{
    struct selection s = {
        .query = q, .arena = a, .t = t, .at = shifted(&e->selector.shift, t)
    };
    sonde_code rc = select_series(&s, e, err);

    if (rc == SONDE_OK) {
        if (s.count)
            qsort(s.items, s.count, sizeof(*s.items), cmp_elements);
        out->vector = arena_array(a, struct promql_element, s.count);
        out->count = s.count;
        out->warnings = s.warnings;
        for (size_t i = 0; i < s.count; i++)
            out->vector[i] = s.items[i];
    }
    columns_fini(&s.columns);
    free(s.items);
    return rc;
}

static sonde_code not_yet(const struct promql_expr *e, struct sonde_err *err)
{
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    promql_print(&b, e);
    rc = sonde_err_set(err, SONDE_EUNSUPPORTED,
                       "this version evaluates numbers, strings and plain "
                       "vector selectors only, not %.*s",
                       b.len > 200 ? 200 : (int)b.len, b.data);
    buf_fini(&b);
    return rc;
}

static double arithmetic(enum promql_op op, double a, double b)
{
    switch (op) {
    case PROMQL_ADD:
        return a + b;
    case PROMQL_SUB:
        return a - b;
    case PROMQL_MUL:
        return a * b;
    case PROMQL_DIV:
        return a / b;
    case PROMQL_MOD:
        return fmod(a, b);
    case PROMQL_POW:
        return pow(a, b);
    case PROMQL_ATAN2:
        return atan2(a, b);
    case PROMQL_EQL:
        return a == b;
    case PROMQL_NEQ:
        return a != b;
    case PROMQL_LSS:
        return a < b;
    case PROMQL_LTE:
        return a <= b;
    case PROMQL_GTR:
        return a > b;
    case PROMQL_GTE:
        return a >= b;
    default: /* set operators and aggregations have no numbers */
        SONDE_BUG("operator %d between numbers", (int)op);
    }
}

/* A number made of numbers alone; false if anything else is in it. The
 * recursion is as deep as the parser let the tree become. */
static bool constant(const struct promql_expr *e, double *out)
{
    double a, b;

    switch (e->kind) {
    case PROMQL_NUMBER:
        *out = e->number.value;
        return true;
    case PROMQL_PAREN:
        return constant(e->paren, out);
    case PROMQL_UNARY:
        if (!constant(e->unary.expr, &a))
            return false;
        *out = e->unary.minus ? -a : a;
        return true;
    case PROMQL_BINARY:
        if (!constant(e->binary.lhs, &a) || !constant(e->binary.rhs, &b))
            return false;
        *out = arithmetic(e->binary.op, a, b);
        return true;
    default:
        return false;
    }
}

sonde_code promql_instant(const struct promql_query *q, struct arena *a,
                          const struct promql_expr *e, sonde_msec t,
                          struct promql_value *out, struct sonde_err *err)
{
    while (e->kind == PROMQL_PAREN)
        e = e->paren;
    *out = (struct promql_value){ .type = e->type, .t = t };
    if (e->type == PROMQL_SCALAR && constant(e, &out->scalar))
        return SONDE_OK;
    if (e->kind == PROMQL_SELECTOR)
        return eval_selector(q, a, e, t, out, err);
    if (e->kind != PROMQL_TEXT)
        return not_yet(e, err);
    out->string = arena_str(a, e->text);
    return SONDE_OK;
}
