/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a syntax tree to nodes, and what all kinds of nodes share.
 *
 * What has the same value at all steps is evaluated at one and spread: the
 * node below is made with a single step, its rows are repeated.
 */
#include <stdlib.h>

#include "promql/engine.h"
#include "promql/explain.h"
#include "util/str.h"

/* ---- expressions -------------------------------------------------------- */

const struct promql_expr *expr_bare(const struct promql_expr *e)
{
    while (e->kind == PROMQL_PAREN)
        e = e->paren;
    return e;
}

/* Functions whose value depends on the time of the step, whatever their
 * arguments. */
static bool tells_time(const struct promql_expr *call)
{
    static const char *const names[] = {
        "day_of_month", "day_of_week", "day_of_year", "days_in_month",
        "hour",         "minute",      "month",       "predict_linear",
        "time",         "year",        "end",         "range",
        "start",        "step",
    };
    const struct promql_expr *arg;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(call->call.function->name, names[i]) == 0)
            return true;
    if (strcmp(call->call.function->name, "timestamp") != 0)
        return false;
    arg = expr_bare(call->call.args[0]);
    return arg->kind != PROMQL_SELECTOR;
}

bool expr_invariant(const struct promql_expr *e)
{
    switch (e->kind) {
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
        return true;
    case PROMQL_SELECTOR:
        return e->selector.shift.at != PROMQL_AT_NONE;
    case PROMQL_RANGE:
        return expr_invariant(e->range.selector);
    case PROMQL_SUBQUERY:
        return e->subquery.shift.at != PROMQL_AT_NONE;
    case PROMQL_CALL:
        for (size_t i = 0; i < e->call.count; i++)
            if (!expr_invariant(e->call.args[i]))
                return false;
        return !tells_time(e);
    case PROMQL_AGGREGATE:
        return expr_invariant(e->aggregate.expr) &&
               (!e->aggregate.param || expr_invariant(e->aggregate.param));
    case PROMQL_BINARY:
        return expr_invariant(e->binary.lhs) && expr_invariant(e->binary.rhs);
    case PROMQL_UNARY:
        return expr_invariant(e->unary.expr);
    case PROMQL_PAREN:
        return expr_invariant(e->paren);
    }
    return false;
}

/* ---- memory of nodes ---------------------------------------------------- */

static void scratch_end(void *p)
{
    struct scratch *s = p;

    columns_fini(&s->columns);
    free(s->numbers);
}

void *node_new(struct exec *x, size_t bytes, const struct node_ops *ops,
               const struct promql_expr *e, const struct steps *steps)
{
    struct node *n = arena_alloc(&x->arena, bytes);

    n->ops = ops;
    n->expr = e;
    n->exec = x;
    n->steps = *steps;
    n->tally = x->tally;
    n->scratch = arena_array(&x->arena, struct scratch, x->worker_count);
    for (size_t i = 0; i < x->worker_count; i++)
        exec_at_end(x, scratch_end, &n->scratch[i]);
    return n;
}

static void free_it(void *p)
{
    free(p);
}

void *exec_alloc(struct exec *x, size_t bytes)
{
    void *p = mem_alloc(bytes ? bytes : 1);

    exec_at_end(x, free_it, p);
    return p;
}

/* ---- rows --------------------------------------------------------------- */

void row_begin(struct node *n, struct worker *w, struct row *out)
{
    struct scratch *s = &n->scratch[w->number];

    if (!s->v)
        s->v = arena_array(&w->scratch, double, n->steps.count);
    *out = (struct row){ .v = s->v };
    for (size_t i = 0; i < n->steps.count; i++)
        s->v[i] = bits_double(PROMQL_ABSENT_BITS);
}

void row_histograms(struct node *n, struct worker *w, struct row *r)
{
    struct scratch *s = &n->scratch[w->number];

    if (r->h)
        return;
    if (!s->h)
        s->h =
            arena_array(&w->scratch, const struct histogram *, n->steps.count);
    for (size_t i = 0; i < n->steps.count; i++)
        s->h[i] = NULL;
    r->h = s->h;
}

uint32_t *scratch_numbers(struct node *n, struct worker *w, size_t count)
{
    struct scratch *s = &n->scratch[w->number];

    if (count > s->number_cap)
        s->numbers =
            mem_grow(s->numbers, &s->number_cap, count, sizeof(*s->numbers));
    return s->numbers;
}

void row_own(struct node *n, struct worker *w, struct row *r)
{
    struct row own;

    if (!r->shared)
        return;
    row_begin(n, w, &own);
    memcpy(own.v, r->v, n->steps.count * sizeof(*own.v));
    if (r->h) {
        row_histograms(n, w, &own);
        memcpy(own.h, r->h, n->steps.count * sizeof(*own.h));
    }
    *r = own;
}

void row_put(struct node *n, struct worker *w, struct row *r, size_t i,
             const struct point *p)
{
    double v = p->h ? p->h->sum : p->v;

    /* A result that is NaN must never look like no value. */
    row_set(r, i, promql_absent(v) ? bits_double(NORMAL_NAN_BITS) : v);
    if (p->h) {
        row_histograms(n, w, r);
        r->h[i] = p->h;
    }
}

/* ---- rows that are there ------------------------------------------------- */

struct kept {
    struct node node;
    double *v;
    const struct histogram **h; /* NULL: none has any                      */
};

static sonde_code kept_row(struct node *n, size_t i, struct worker *w,
                           struct row *out, struct sonde_err *err)
{
    struct kept *k = (struct kept *)n;
    size_t at = i * n->steps.count;

    (void)w;
    (void)err;
    *out = (struct row){ k->v + at, k->h ? k->h + at : NULL, true };
    return SONDE_OK;
}

static const struct node_ops kept_ops = { .row = kept_row };

struct node *node_of_rows(struct exec *x, const struct promql_expr *e,
                          const struct steps *steps, struct vseries *series,
                          size_t count, double *v, const struct histogram **h)
{
    struct kept *k = node_new(x, sizeof(*k), &kept_ops, e, steps);

    k->node.series = series;
    k->node.count = count;
    k->v = v;
    k->h = h;
    return &k->node;
}

bool node_is_kept(const struct node *n)
{
    return n->ops == &kept_ops;
}

bool node_tells(const struct node *n)
{
    return !node_is_kept(n) &&
           (n->expr->kind != PROMQL_SELECTOR ||
            n->expr->selector.edges == PROMQL_EDGES_SMOOTHED);
}

struct keeping {
    struct node *from;
    double *v;
    size_t row_bytes;
    pthread_mutex_t mutex;      /* for making `h`                          */
    const struct histogram **h; /* made with the first histogram           */
};

static const struct histogram **keeping_histograms(struct keeping *k)
{
    (void)pthread_mutex_lock(&k->mutex);
    if (!k->h) {
        size_t n = k->from->count * k->from->steps.count;

        k->h = exec_alloc(k->from->exec, n * sizeof(*k->h));
        memset(k->h, 0, n * sizeof(*k->h));
    }
    (void)pthread_mutex_unlock(&k->mutex);
    return k->h;
}

static sonde_code keep_row(void *arg, struct worker *w, size_t i,
                           struct sonde_err *err)
{
    struct keeping *k = arg;
    size_t n = k->from->steps.count;
    struct row r;
    sonde_code rc = node_row(k->from, i, w, &r, err);

    if (rc != SONDE_OK)
        return rc;
    memcpy(k->v + i * n, r.v, n * sizeof(*r.v));
    if (r.h)
        memcpy(keeping_histograms(k) + i * n, r.h, n * sizeof(*r.h));
    return SONDE_OK;
}

/* Rows of few steps are cheap: many make a piece. */
size_t rows_piece(const struct node *n)
{
    size_t piece = 1024 / (n->steps.count + 8);

    return piece ? piece : 1;
}

sonde_code node_keep(struct node *n, struct node **out, struct sonde_err *err)
{
    struct exec *x = n->exec;
    size_t values = n->count * n->steps.count;
    struct keeping k = { .from = n };
    sonde_code rc;

    if (node_is_kept(n)) {
        *out = n;
        return SONDE_OK;
    }
    rc = exec_hold(x, values, err);
    if (rc != SONDE_OK)
        return rc;
    k.v = exec_alloc(x, values * sizeof(*k.v));
    (void)pthread_mutex_init(&k.mutex, NULL);
    rc = exec_each(x, n->count, rows_piece(n), keep_row, &k, err);
    (void)pthread_mutex_destroy(&k.mutex);
    if (rc == SONDE_OK) {
        *out =
            node_of_rows(x, n->expr, &n->steps, n->series, n->count, k.v, k.h);
        (*out)->one_name = n->one_name;
    }
    return rc;
}

/* ---- scalars ------------------------------------------------------------ */

struct number {
    struct node node;
    double value;
};

static sonde_code number_row(struct node *n, size_t i, struct worker *w,
                             struct row *out, struct sonde_err *err)
{
    (void)i;
    (void)err;
    row_begin(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++)
        out->v[k] = ((struct number *)n)->value;
    return SONDE_OK;
}

static const struct node_ops number_ops = { .row = number_row };

static struct node *number_make(struct exec *x, const struct promql_expr *e,
                                const struct steps *steps)
{
    struct number *n = node_new(x, sizeof(*n), &number_ops, e, steps);

    n->value = e->number.value;
    n->node.series = arena_new(&x->arena, struct vseries);
    n->node.count = 1;
    n->node.one_name = true;
    return &n->node;
}

sonde_code node_scalar(struct exec *x, const struct promql_expr *e,
                       const struct steps *steps, double **values,
                       struct sonde_err *err)
{
    struct node *n;
    struct row r;
    sonde_code rc = node_make(x, e, steps, &n, err);

    if (rc == SONDE_OK)
        rc = node_row(n, 0, &x->workers[0], &r, err);
    if (rc != SONDE_OK)
        return rc;
    *values = arena_array(&x->arena, double, steps->count);
    memcpy(*values, r.v, steps->count * sizeof(**values));
    return SONDE_OK;
}

/* ---- one value for all steps --------------------------------------------- */

struct spread {
    struct node node;
    struct node *once;
};

static sonde_code spread_row(struct node *n, size_t i, struct worker *w,
                             struct row *out, struct sonde_err *err)
{
    struct row one;
    sonde_code rc = node_row(((struct spread *)n)->once, i, w, &one, err);

    if (rc != SONDE_OK)
        return rc;
    row_begin(n, w, out);
    if (row_histogram(&one, 0))
        row_histograms(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++) {
        out->v[k] = one.v[0];
        if (out->h)
            out->h[k] = one.h[0];
    }
    return SONDE_OK;
}

static const struct node_ops spread_ops = { .row = spread_row };

static sonde_code make_once(struct exec *x, const struct promql_expr *e,
                            const struct steps *steps, struct node **out,
                            struct sonde_err *err)
{
    struct steps first = { steps->start, steps->step, 1 };
    struct spread *s;
    enum tally_mode around = x->tally;
    struct node *once;
    sonde_code rc;

    if (around == TALLY_STEPS)
        x->tally = TALLY_PINNED;
    rc = node_make(x, e, &first, &once, err);
    x->tally = around;
    if (rc != SONDE_OK)
        return rc;
    s = node_new(x, sizeof(*s), &spread_ops, e, steps);
    s->once = once;
    series_keep(&s->node, once);
    *out = &s->node;
    return SONDE_OK;
}

/* ---- by kind ------------------------------------------------------------ */

struct minus {
    struct node node;
    struct node *of;
};

static sonde_code minus_row(struct node *n, size_t i, struct worker *w,
                            struct row *out, struct sonde_err *err)
{
    sonde_code rc = node_row(((struct minus *)n)->of, i, w, out, err);

    if (rc != SONDE_OK)
        return rc;
    row_own(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++)
        if (row_has(out, k) && !row_histogram(out, k))
            out->v[k] = -out->v[k];
    if (out->h)
        row_negate_histograms(n, w, out);
    return SONDE_OK;
}

static const struct node_ops minus_ops = { .row = minus_row };

static sonde_code unary_make(struct exec *x, const struct promql_expr *e,
                             const struct steps *steps, struct node **out,
                             struct sonde_err *err)
{
    struct minus *m;
    struct node *of;
    sonde_code rc = node_make(x, e->unary.expr, steps, &of, err);

    if (rc != SONDE_OK || !e->unary.minus) {
        *out = of;
        return rc;
    }
    m = node_new(x, sizeof(*m), &minus_ops, e, steps);
    m->of = of;
    series_drop_names(&m->node, of);
    return node_unique(&m->node, out, err);
}

static sonde_code make_kind(struct exec *x, const struct promql_expr *e,
                            const struct steps *steps, struct node **out,
                            struct sonde_err *err)
{
    switch (e->kind) {
    case PROMQL_NUMBER:
        *out = number_make(x, e, steps);
        return SONDE_OK;
    case PROMQL_SELECTOR:
        return instant_make(x, e, steps, false, out, err);
    case PROMQL_RANGE:
    case PROMQL_SUBQUERY:
        return range_make(x, e, steps, out, err);
    case PROMQL_CALL:
        return call_make(x, e, steps, out, err);
    case PROMQL_AGGREGATE:
        return aggregate_make(x, e, steps, out, err);
    case PROMQL_BINARY:
        return binary_make(x, e, steps, out, err);
    case PROMQL_UNARY:
        return unary_make(x, e, steps, out, err);
    default:
        SONDE_BUG("no node of kind %d", (int)e->kind);
    }
}

static sonde_code make_traced(struct exec *x, const struct promql_expr *e,
                              const struct steps *steps, struct node **out,
                              struct sonde_err *err)
{
    struct trace_node *t = explain_begin(x, e, steps);
    sonde_code rc = make_kind(x, e, steps, out, err);

    explain_end(x, t, rc == SONDE_OK ? *out : NULL);
    return rc;
}

sonde_code node_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err)
{
    e = expr_bare(e);
    if (steps->count > 1 && e->type != PROMQL_MATRIX &&
        e->kind != PROMQL_NUMBER && expr_invariant(e))
        return make_once(x, e, steps, out, err);
    if (x->trace)
        return make_traced(x, e, steps, out, err);
    return make_kind(x, e, steps, out, err);
}
