/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of native histograms one by one: histogram_count, _sum, _avg,
 * _stddev, _stdvar. Floats have no answer.
 */
#include <math.h>

#include "promql/call.h"
#include "promql/hist.h"
#include "promql/kahan.h"
#include "promql/quantiles.h"
#include "util/str.h"

struct told;
typedef double (*tell_fn)(struct worker *w, const struct histogram *h);
struct told {
    struct node node;
    struct node *of;
    tell_fn fn;
};

static sonde_code told_row(struct node *n, size_t i, struct worker *w,
                           struct row *out, struct sonde_err *err)
{
    struct told *t = (struct told *)n;
    struct row r;
    sonde_code rc = node_row(t->of, i, w, &r, err);

    if (rc != SONDE_OK)
        return rc;
    row_begin(n, w, out);
    for (size_t k = 0; r.h && k < n->steps.count; k++)
        if (r.h[k])
            row_put(n, w, out, k, &(struct point){ t->fn(w, r.h[k]), NULL });
    return SONDE_OK;
}

static const struct node_ops told_ops = { .row = told_row };

static double count_of(struct worker *w, const struct histogram *h)
{
    (void)w;
    return h->count.f;
}

static double sum_of(struct worker *w, const struct histogram *h)
{
    (void)w;
    return h->sum;
}

static double mean_of(struct worker *w, const struct histogram *h)
{
    (void)w;
    return h->sum / h->count.f;
}

/* Where the observations of a bucket are taken to be: the geometric mean of
 * its bounds, the arithmetic one of custom ones, 0 where they enclose it. */
static double middle(const struct histogram *h, const struct hist_range *r)
{
    if (h->schema == HISTOGRAM_CUSTOM)
        return (r->lower + r->upper) / 2;
    if (r->lower <= 0 && r->upper >= 0)
        return 0;
    return r->upper < 0 ? -sqrt(r->upper * r->lower)
                        : sqrt(r->upper * r->lower);
}

static double variance_of(struct worker *w, const struct histogram *h)
{
    struct hist_walk walk = hist_walk_begin(&w->arena, h);
    double mean = h->sum / h->count.f, sum = 0, lost = 0;
    struct hist_range r;

    while (hist_walk_next(&walk, &r)) {
        double delta = middle(h, &r) - mean;

        kahan_add(&sum, &lost, r.n * delta * delta);
    }
    return (sum + lost) / h->count.f;
}

static double deviation_of(struct worker *w, const struct histogram *h)
{
    return sqrt(variance_of(w, h));
}

static const struct {
    const char *name;
    tell_fn fn;
} tellers[] = {
    { "histogram_avg", mean_of },         { "histogram_count", count_of },
    { "histogram_stddev", deviation_of }, { "histogram_stdvar", variance_of },
    { "histogram_sum", sum_of },
};

static tell_fn tell_find(const char *name)
{
    for (size_t i = 0; i < sizeof(tellers) / sizeof(*tellers); i++)
        if (strcmp(tellers[i].name, name) == 0)
            return tellers[i].fn;
    SONDE_BUG("no function %s", name);
}

static sonde_code told_make(struct exec *x, const struct promql_expr *e,
                            const struct steps *steps, struct node **out,
                            struct sonde_err *err)
{
    struct told *t = node_new(x, sizeof(*t), &told_ops, e, steps);
    sonde_code rc = node_make(x, e->call.args[0], steps, &t->of, err);

    if (rc != SONDE_OK)
        return rc;
    t->fn = tell_find(e->call.function->name);
    series_drop_names(&t->node, t->of);
    return node_unique(&t->node, out, err);
}

const struct call_maker histogram_makers[] = {
    { "histogram_avg", told_make },
    { "histogram_count", told_make },
    { "histogram_fraction", histogram_fraction_make },
    { "histogram_quantile", histogram_quantile_make },
    { "histogram_quantiles", histogram_quantiles_make },
    { "histogram_stddev", told_make },
    { "histogram_stdvar", told_make },
    { "histogram_sum", told_make },
    { 0 },
};
