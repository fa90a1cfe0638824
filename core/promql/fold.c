/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sum, avg, count, min, max, group: values are folded one by one into a state
 * that each group has for each step, so the rows of the child need not be held.
 *
 * Two ways to use all cores. With many groups each is one worker's, who takes
 * its series in order. With few, series are handed out and every worker folds
 * into states of its own, which are united at the end; what that changes in the
 * order of additions is below what the compensation keeps.
 *
 * Sums are compensated (Kahan, Neumaier): the error of every addition is kept
 * beside the sum, found without branches by Knuth's two-sum, and dropped once
 * the sum is infinite, as in Prometheus 3.
 *
 * An average is the sum through the count, unless the sum overflows: then it
 * is done again for that step as a running mean (see exact_mean).
 */
#include <math.h>
#include <stdlib.h>

#include "promql/aggregate.h"
#include "promql/kahan.h"

/* By step; which of them are used depends on the operation. */
struct state {
    double *value; /* sum, minimum, maximum                                */
    double *lost;  /* what the sum's additions lost                        */
    uint32_t *count;
    struct histogram_fold *histograms; /* NULL: none came                  */
};

struct fold {
    struct exec *exec;
    const struct promql_expr *expr;
    struct node *child;
    const struct grouping *grouping;
    enum promql_op op;
    size_t steps;
    struct state **states; /* by worker, by group; NULL: not used yet      */
};

/* ---- states -------------------------------------------------------------- */

static void state_make(struct fold *f, struct worker *w, struct state *s)
{
    s->value = arena_array(&w->scratch, double, f->steps);
    s->count = arena_array(&w->scratch, uint32_t, f->steps);
    if (f->op == PROMQL_SUM || f->op == PROMQL_AVG)
        s->lost = arena_array(&w->scratch, double, f->steps);
}

static void add_sums(struct state *s, const double *v, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (promql_absent(v[k]))
            continue;
        if (s->count[k]++ == 0)
            s->value[k] = v[k];
        else
            kahan_add(&s->value[k], &s->lost[k], v[k]);
    }
}

static inline bool replaces(enum promql_op op, double now, double v)
{
    if (isnan(now))
        return true;
    return op == PROMQL_MIN ? v < now : v > now;
}

static void add_extremes(struct state *s, enum promql_op op, const double *v,
                         size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (promql_absent(v[k]))
            continue;
        if (s->count[k]++ == 0 || replaces(op, s->value[k], v[k]))
            s->value[k] = v[k];
    }
}

static void add_counts(struct state *s, const double *v, size_t n)
{
    for (size_t k = 0; k < n; k++)
        s->count[k] += !promql_absent(v[k]);
}

static void add_row(struct fold *f, struct state *s, struct row *r,
                    struct worker *w)
{
    if (r->h && f->op != PROMQL_COUNT && f->op != PROMQL_GROUP)
        histograms_fold(f->child, f->op, f->expr, &s->histograms, r, w);
    switch (f->op) {
    case PROMQL_SUM:
    case PROMQL_AVG:
        add_sums(s, r->v, f->steps);
        break;
    case PROMQL_MIN:
    case PROMQL_MAX:
        add_extremes(s, f->op, r->v, f->steps);
        break;
    default:
        add_counts(s, r->v, f->steps);
        break;
    }
}

/* Into `to`, which may be unused. */
static void unite(struct fold *f, struct state *to, const struct state *from)
{
    for (size_t k = 0; k < f->steps; k++) {
        if (from->count[k] == 0)
            continue;
        if (to->count[k] == 0) {
            to->value[k] = from->value[k];
            if (to->lost)
                to->lost[k] = from->lost[k];
        } else if (to->lost) {
            kahan_add(&to->value[k], &to->lost[k], from->value[k]);
            kahan_add(&to->value[k], &to->lost[k], from->lost[k]);
        } else if (replaces(f->op, to->value[k], from->value[k])) {
            to->value[k] = from->value[k];
        }
        to->count[k] += from->count[k];
    }
}

/* ---- the child's rows ---------------------------------------------------- */

static struct state *state_of(struct fold *f, struct worker *w, size_t group)
{
    struct state *s = &f->states[w->number][group];

    if (!s->count)
        state_make(f, w, s);
    return s;
}

/* Rows' histograms are given back: what is folded is copied. */
static sonde_code fold_series(struct fold *f, struct worker *w, size_t i,
                              struct sonde_err *err)
{
    struct arena_mark mark = arena_mark(&w->arena);
    struct row r;
    sonde_code rc = node_row(f->child, i, w, &r, err);

    if (rc == SONDE_OK) {
        if (r.h)
            row_own(f->child, w, &r);
        add_row(f, state_of(f, w, f->grouping->of[i]), &r, w);
    }
    arena_rewind(&w->arena, mark);
    return rc;
}

static sonde_code fold_one(void *arg, struct worker *w, size_t i,
                           struct sonde_err *err)
{
    return fold_series(arg, w, i, err);
}

static sonde_code fold_group(void *arg, struct worker *w, size_t group,
                             struct sonde_err *err)
{
    struct fold *f = arg;
    sonde_code rc = SONDE_OK;

    for (uint32_t i = f->grouping->first[group];
         rc == SONDE_OK && i != GROUP_END; i = f->grouping->next[i]) {
        rc = fold_series(f, w, i, err);
        if (rc == SONDE_OK)
            rc = exec_check(f->exec, err);
    }
    return rc;
}

/* ---- results ------------------------------------------------------------- */

struct mean {
    double mean, lost;
    uint32_t count;
};

/* An average that overflows as a sum: m = m (n-1)/n + x/n. */
static void mean_add(struct mean *m, double x)
{
    double n = ++m->count, q = (n - 1) / n;

    if (m->count == 1) {
        m->mean = x;
        return;
    }
    m->mean *= q;
    m->lost *= q;
    kahan_add(&m->mean, &m->lost, x / n);
}

/* The average at one step, from the rows once more. */
static sonde_code exact_mean(struct fold *f, size_t group, size_t k,
                             double *out, struct sonde_err *err)
{
    struct worker *w = &f->exec->workers[0];
    struct mean m = { 0 };
    sonde_code rc = SONDE_OK;

    for (uint32_t i = f->grouping->first[group];
         rc == SONDE_OK && i != GROUP_END; i = f->grouping->next[i]) {
        struct row r;

        rc = node_row(f->child, i, w, &r, err);
        if (rc == SONDE_OK && row_has(&r, k) && !row_histogram(&r, k))
            mean_add(&m, r.v[k]);
    }
    *out = m.mean + m.lost;
    return rc;
}

static sonde_code value_of(struct fold *f, const struct state *s, size_t group,
                           size_t k, double *out, struct sonde_err *err)
{
    switch (f->op) {
    case PROMQL_COUNT:
        *out = s->count[k];
        return SONDE_OK;
    case PROMQL_GROUP:
        *out = 1;
        return SONDE_OK;
    case PROMQL_SUM:
        *out = s->value[k] + s->lost[k];
        return SONDE_OK;
    case PROMQL_AVG:
        if (isinf(s->value[k]))
            return exact_mean(f, group, k, out, err);
        *out = s->value[k] / s->count[k] + s->lost[k] / s->count[k];
        return SONDE_OK;
    default:
        *out = s->value[k];
        return SONDE_OK;
    }
}

/* The states of all workers for one group become its row. */
static sonde_code finish_group(struct fold *f, size_t group, double *v,
                               const struct histogram **h,
                               struct sonde_err *err)
{
    struct state *all = state_of(f, &f->exec->workers[0], group);
    sonde_code rc = SONDE_OK;

    for (size_t i = 1; i < f->exec->worker_count; i++) {
        struct state *s = &f->states[i][group];

        if (s->count)
            unite(f, all, s);
        if (s->histograms)
            histograms_unite(f->child, f->op, f->expr, &all->histograms,
                             s->histograms);
    }
    for (size_t k = 0; rc == SONDE_OK && k < f->steps; k++) {
        v[k] = bits_double(PROMQL_ABSENT_BITS);
        if (all->count[k])
            rc = value_of(f, all, group, k, &v[k], err);
    }
    if (rc == SONDE_OK && all->histograms)
        histograms_finish(f->child, f->op, f->expr, all->histograms, all->count,
                          v, h);
    return rc;
}

static sonde_code finish(struct fold *f, struct node **out,
                         struct sonde_err *err)
{
    size_t groups = f->grouping->count, values = groups * f->steps;
    const struct histogram **h = NULL;
    double *v;
    sonde_code rc = exec_hold(f->exec, values, err);

    if (rc != SONDE_OK)
        return rc;
    v = exec_alloc(f->exec, values * sizeof(*v));
    for (size_t i = 0; !h && i < f->exec->worker_count; i++)
        for (size_t g = 0; !h && g < groups; g++)
            if (f->states[i][g].histograms)
                h = exec_alloc(f->exec, values * sizeof(*h));
    if (h)
        memset(h, 0, values * sizeof(*h));
    for (size_t g = 0; rc == SONDE_OK && g < groups; g++)
        rc = finish_group(f, g, v + g * f->steps, h ? h + g * f->steps : NULL,
                          err);
    *out = node_of_rows(f->exec, f->expr, &f->child->steps, f->grouping->groups,
                        groups, v, h);
    return rc;
}

sonde_code fold_make(struct exec *x, const struct promql_expr *e,
                     struct node *child, const struct grouping *g,
                     struct node **out, struct sonde_err *err)
{
    struct fold f = {
        .exec = x,
        .expr = e,
        .child = child,
        .grouping = g,
        .op = e->aggregate.op,
        .steps = child->steps.count,
    };
    sonde_code rc;

    f.states = arena_array(&x->arena, struct state *, x->worker_count);
    for (size_t i = 0; i < x->worker_count; i++)
        f.states[i] = arena_array(&x->arena, struct state, g->count);
    if (g->count >= x->worker_count * 4)
        rc = exec_each(x, g->count, 1, fold_group, &f, err);
    else
        rc = exec_each(x, child->count, rows_piece(child), fold_one, &f, err);
    if (rc == SONDE_OK)
        rc = finish(&f, out, err);
    return rc;
}
