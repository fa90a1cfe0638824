/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions between scalars, vectors and time: scalar, vector, time, pi,
 * timestamp, the bounds of the query, min_of and max_of.
 */
#include <math.h>

#include "promql/call.h"
#include "util/str.h"

/* ---- rows of one number a step ---------------------------------------------
 */

struct number_call;
typedef double (*step_fn)(const struct number_call *c, size_t step);
struct number_call {
    struct node node;
    step_fn fn;
    double *scalars[2]; /* arguments, by step                              */
};

static sonde_code number_row(struct node *n, size_t i, struct worker *w,
                             struct row *out, struct sonde_err *err)
{
    struct number_call *c = (struct number_call *)n;

    (void)i;
    (void)err;
    row_begin(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++)
        row_set(out, k, c->fn(c, k));
    return SONDE_OK;
}

static const struct node_ops number_ops = { .row = number_row };

static sonde_code number_make(struct exec *x, const struct promql_expr *e,
                              const struct steps *steps, step_fn fn,
                              struct node **out, struct sonde_err *err)
{
    struct number_call *c = node_new(x, sizeof(*c), &number_ops, e, steps);
    sonde_code rc = SONDE_OK;

    c->fn = fn;
    c->node.series = arena_new(&x->arena, struct vseries);
    c->node.count = 1;
    c->node.one_name = true;
    for (size_t i = 0; rc == SONDE_OK && i < e->call.count; i++)
        rc = node_scalar(x, e->call.args[i], steps, &c->scalars[i], err);
    *out = &c->node;
    return rc;
}

static double at_step(const struct number_call *c, size_t k)
{
    return (double)step_time(&c->node.steps, k) / 1000;
}

static double pi(const struct number_call *c, size_t k)
{
    (void)c;
    (void)k;
    return M_PI;
}

static double query_start(const struct number_call *c, size_t k)
{
    (void)k;
    return (double)c->node.exec->query->start / 1000;
}

static double query_end(const struct number_call *c, size_t k)
{
    (void)k;
    return (double)c->node.exec->query->end / 1000;
}

static double query_range(const struct number_call *c, size_t k)
{
    return query_end(c, k) - query_start(c, k);
}

static double query_step(const struct number_call *c, size_t k)
{
    (void)k;
    return (double)c->node.exec->query->step / 1000;
}

static double first_scalar(const struct number_call *c, size_t k)
{
    return c->scalars[0][k];
}

static double larger(const struct number_call *c, size_t k)
{
    return max_of(c->scalars[0][k], c->scalars[1][k]);
}

static double smaller(const struct number_call *c, size_t k)
{
    return min_of(c->scalars[0][k], c->scalars[1][k]);
}

static const struct {
    const char *name;
    step_fn fn;
} numbers[] = {
    { "end", query_end },       { "max_of", larger },
    { "min_of", smaller },      { "pi", pi },
    { "range", query_range },   { "start", query_start },
    { "step", query_step },     { "time", at_step },
    { "vector", first_scalar },
};

static sonde_code numbers_make(struct exec *x, const struct promql_expr *e,
                               const struct steps *steps, struct node **out,
                               struct sonde_err *err)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (strcmp(numbers[i].name, e->call.function->name) == 0)
            return number_make(x, e, steps, numbers[i].fn, out, err);
    SONDE_BUG("no function %s", e->call.function->name);
}

/* ---- scalar ----------------------------------------------------------------
 */

struct scalar_call {
    struct node node;
    double *v;
};

static sonde_code scalar_row(struct node *n, size_t i, struct worker *w,
                             struct row *out, struct sonde_err *err)
{
    (void)i;
    (void)w;
    (void)err;
    *out = (struct row){ .v = ((struct scalar_call *)n)->v, .shared = true };
    return SONDE_OK;
}

static const struct node_ops scalar_ops = { .row = scalar_row };

/* The one float at each step; NaN where there are none or several. */
static sonde_code only_floats(struct node *of, double *v, struct sonde_err *err)
{
    struct exec *x = of->exec;
    size_t steps = of->steps.count;
    uint8_t *seen = arena_array(&x->arena, uint8_t, steps);
    sonde_code rc = SONDE_OK;

    for (size_t k = 0; k < steps; k++)
        v[k] = NAN;
    for (size_t i = 0; rc == SONDE_OK && i < of->count; i++) {
        struct row r;

        rc = exec_check(x, err);
        if (rc == SONDE_OK)
            rc = node_row(of, i, &x->workers[0], &r, err);
        for (size_t k = 0; rc == SONDE_OK && k < steps; k++) {
            if (!row_has(&r, k) || row_histogram(&r, k))
                continue;
            v[k] = seen[k] ? NAN : r.v[k];
            seen[k] = 1;
        }
    }
    return rc;
}

static sonde_code scalar_make(struct exec *x, const struct promql_expr *e,
                              const struct steps *steps, struct node **out,
                              struct sonde_err *err)
{
    struct scalar_call *c = node_new(x, sizeof(*c), &scalar_ops, e, steps);
    struct node *of;
    sonde_code rc = node_make(x, e->call.args[0], steps, &of, err);

    if (rc != SONDE_OK)
        return rc;
    c->v = arena_array(&x->arena, double, steps->count);
    c->node.series = arena_new(&x->arena, struct vseries);
    c->node.count = 1;
    c->node.one_name = true;
    *out = &c->node;
    return only_floats(of, c->v, err);
}

/* ---- timestamp -------------------------------------------------------------
 */

struct timestamp_call {
    struct node node;
    struct node *of;
    bool own; /* the rows are the samples' own times                       */
};

static sonde_code timestamp_row(struct node *n, size_t i, struct worker *w,
                                struct row *out, struct sonde_err *err)
{
    struct timestamp_call *c = (struct timestamp_call *)n;
    sonde_code rc = node_row(c->of, i, w, out, err);

    if (rc != SONDE_OK || c->own)
        return rc;
    row_own(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++)
        if (row_has(out, k))
            row_set(out, k, (double)step_time(&n->steps, k) / 1000);
    out->h = NULL;
    return SONDE_OK;
}

static const struct node_ops timestamp_ops = { .row = timestamp_row };

static sonde_code timestamp_make(struct exec *x, const struct promql_expr *e,
                                 const struct steps *steps, struct node **out,
                                 struct sonde_err *err)
{
    struct timestamp_call *c =
        node_new(x, sizeof(*c), &timestamp_ops, e, steps);
    const struct promql_expr *arg = expr_bare(e->call.args[0]);
    sonde_code rc;

    c->own = arg->kind == PROMQL_SELECTOR;
    if (c->own)
        rc = instant_make(x, arg, steps, true, &c->of, err);
    else
        rc = node_make(x, arg, steps, &c->of, err);
    if (rc != SONDE_OK)
        return rc;
    series_drop_names(&c->node, c->of);
    return node_unique(&c->node, out, err);
}

/* Samples come without the time that their counter began at. */
static sonde_code start_timestamp_make(struct exec *x,
                                       const struct promql_expr *e,
                                       const struct steps *steps,
                                       struct node **out, struct sonde_err *err)
{
    struct node *of;
    sonde_code rc = node_make(x, e->call.args[0], steps, &of, err);

    if (rc == SONDE_OK)
        *out = node_of_rows(x, e, steps, NULL, 0, NULL, NULL);
    return rc;
}

#define NUMBERS(name)                                                          \
    {                                                                          \
        name, numbers_make                                                     \
    }

const struct call_maker shape_makers[] = {
    { "absent", absent_make },
    { "absent_over_time", absent_over_time_make },
    NUMBERS("end"),
    { "info", info_make },
    NUMBERS("max_of"),
    NUMBERS("min_of"),
    NUMBERS("pi"),
    NUMBERS("range"),
    { "scalar", scalar_make },
    { "sort", sort_make },
    { "sort_by_label", sort_make },
    { "sort_by_label_desc", sort_make },
    { "sort_desc", sort_make },
    NUMBERS("start"),
    { "start_timestamp", start_timestamp_make },
    NUMBERS("step"),
    NUMBERS("time"),
    { "timestamp", timestamp_make },
    NUMBERS("vector"),
    { 0 },
};
