/* SPDX-License-Identifier: Apache-2.0 */
/* Which function is made by whom. */
#include "promql/call.h"

#include "promql/edges.h"
#include "promql/tally.h"
#include "util/str.h"

static const struct call_maker *const tables[] = {
    math_makers, date_makers, label_makers, shape_makers, histogram_makers,
};
static const struct range_function *const range_tables[] = {
    rate_functions,
    over_time_functions,
    regress_functions,
};

static const struct call_maker *find_maker(const char *name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        for (const struct call_maker *m = tables[i]; m->name; m++)
            if (strcmp(m->name, name) == 0)
                return m;
    return NULL;
}

static const struct range_function *find_range(const char *name)
{
    for (size_t i = 0; i < sizeof(range_tables) / sizeof(*range_tables); i++)
        for (const struct range_function *f = range_tables[i]; f->name; f++)
            if (strcmp(f->name, name) == 0)
                return f;
    return NULL;
}

/* ---- over ranges -------------------------------------------------------- */

static void by_windows(struct range_call *c, const struct columns *cols,
                       struct worker *w, struct row *out)
{
    bool anchored = range_edges(c->range) == PROMQL_EDGES_ANCHORED;
    struct slide s = slide_begin(c->range, cols);
    struct tally seen = tally_begin(&c->node, w);
    struct window win;

    for (size_t k = 0; slide_next(&s, &win); k++) {
        struct point p = { 0 };

        tally_add(&seen, k, window_weight(&win));
        if ((anchored && !edges_anchor(&win)) || win.n == 0)
            continue;
        if (c->function->window(c, &win, k, w, &p))
            row_put(&c->node, w, out, k, &p);
    }
    tally_end(&seen, &c->node, w);
}

static sonde_code range_call_row(struct node *n, size_t i, struct worker *w,
                                 struct row *out, struct sonde_err *err)
{
    struct range_call *c = (struct range_call *)n;
    struct columns *cols;
    sonde_code rc = c->range->ops->columns(c->range, i, w, &cols, err);

    if (rc != SONDE_OK)
        return rc;
    row_begin(n, w, out);
    w->series = i;
    if (c->function->floats && !cols->h &&
        range_edges(c->range) == PROMQL_EDGES_PLAIN)
        c->function->floats(c, cols, w, out);
    else
        by_windows(c, cols, w, out);
    return SONDE_OK;
}

static const struct node_ops range_call_ops = { .row = range_call_row };

static sonde_code range_call_args(struct range_call *c, struct sonde_err *err)
{
    const struct promql_expr *e = c->node.expr;
    size_t scalars = 0;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < e->call.count; i++) {
        if (i == c->function->range_arg)
            rc = node_make(c->node.exec, e->call.args[i], &c->node.steps,
                           &c->range, err);
        else
            rc = node_scalar(c->node.exec, e->call.args[i], &c->node.steps,
                             &c->scalars[scalars++], err);
    }
    if (rc == SONDE_OK && c->function->check)
        rc = c->function->check(c, err);
    return rc;
}

static sonde_code range_call_make(struct exec *x, const struct promql_expr *e,
                                  const struct range_function *f,
                                  const struct steps *steps, struct node **out,
                                  struct sonde_err *err)
{
    struct range_call *c = node_new(x, sizeof(*c), &range_call_ops, e, steps);
    sonde_code rc;

    c->function = f;
    rc = range_call_args(c, err);
    if (rc != SONDE_OK)
        return rc;
    if (f->keeps_name)
        series_keep(&c->node, c->range);
    else
        series_drop_names(&c->node, c->range);
    return node_unique(&c->node, out, err);
}

const struct promql_expr *range_call_place(const struct range_call *c)
{
    static const struct promql_expr beginning = { .kind = PROMQL_NUMBER };
    const struct promql_expr *arg =
        c->node.expr->call.args[c->function->range_arg];

    return expr_bare(arg)->kind == PROMQL_SUBQUERY ? &beginning : arg;
}

sonde_str range_call_name(const struct range_call *c, size_t series)
{
    return labels_get(&c->range->series[series].labels, sonde_cstr(LABEL_NAME));
}

sonde_code call_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err)
{
    const char *name = e->call.function->name;
    const struct range_function *f = find_range(name);
    const struct call_maker *m = f ? NULL : find_maker(name);
    sonde_code rc = edges_check(e, err);

    if (rc != SONDE_OK)
        return rc;
    if (f)
        return range_call_make(x, e, f, steps, out, err);
    if (m)
        return m->make(x, e, steps, out, err);
    return sonde_err_set(err, SONDE_EUNSUPPORTED,
                         "function \"%s\" can not be evaluated", name);
}
