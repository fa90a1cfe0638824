/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregations that look at all values of a group at a step: stddev, stdvar,
 * quantile and count_values make new values; topk, bottomk, limitk and
 * limit_ratio choose among those that are there, labels and all.
 *
 * The child's rows are kept. Values of a group are gathered step by step in
 * the order of the series, so that what depends on the order (Welford's
 * variance, who comes first among equals) is as in Prometheus.
 */
#include <math.h>
#include <stdlib.h>

#include "model/number.h"
#include "promql/aggregate.h"
#include "promql/quantile.h"
#include "util/str.h"

struct ranked {
    struct exec *exec;
    const struct promql_expr *expr;
    struct node *child; /* kept                                            */
    const struct grouping *grouping;
    double *param; /* by step; NULL: none                                  */
    enum promql_op op;
    size_t steps, widest; /* series of the largest group                   */
    double *v;            /* results: by group (or series) and step        */
    const struct histogram **h;
};

/* What a group has at a step. */
struct member {
    double v;
    const struct histogram *h;
    uint32_t series;
};

static bool takes_histograms(enum promql_op op)
{
    return op == PROMQL_COUNT_VALUES || op == PROMQL_LIMITK ||
           op == PROMQL_LIMIT_RATIO;
}

static void note_ignored(struct ranked *r)
{
    bool ranks = r->op == PROMQL_TOPK || r->op == PROMQL_BOTTOMK;

    note_info(r->exec, ranks ? r->expr : r->expr->aggregate.expr,
              "ignored histogram in %s aggregation", promql_op_name(r->op));
}

/* The members of a group at a step, in the order of the series. */
static size_t gather(struct ranked *r, size_t group, size_t k,
                     struct member *out)
{
    size_t n = 0;

    for (uint32_t i = r->grouping->first[group]; i != GROUP_END;
         i = r->grouping->next[i]) {
        struct row row;
        struct sonde_err err;

        /* rows that are kept can not fail */
        (void)!node_row(r->child, i, &r->exec->workers[0], &row, &err);
        if (!row_has(&row, k))
            continue;
        if (row_histogram(&row, k) && !takes_histograms(r->op)) {
            note_ignored(r);
            continue;
        }
        out[n++] = (struct member){ row.v[k], row_histogram(&row, k), i };
    }
    return n;
}

static size_t widest_group(const struct grouping *g)
{
    size_t widest = 0;

    for (size_t i = 0; i < g->count; i++) {
        size_t n = 0;

        for (uint32_t s = g->first[i]; s != GROUP_END; s = g->next[s])
            n++;
        if (n > widest)
            widest = n;
    }
    return widest;
}

/* ---- new values ---------------------------------------------------------- */

/* Welford's, population. */
static double variance(const struct member *m, size_t n)
{
    double mean = m[0].v, sum = 0;

    if (!isfinite(m[0].v))
        sum = NAN;
    for (size_t i = 1; i < n; i++) {
        double delta = m[i].v - mean;

        mean += delta / (double)(i + 1);
        sum += delta * (m[i].v - mean);
    }
    return sum / (double)n;
}

static double quantile_of(struct ranked *r, const struct member *m, size_t n,
                          size_t k, struct worker *w)
{
    struct arena_mark mark = arena_mark(&w->arena);
    double *v = arena_array(&w->arena, double, n), q;

    for (size_t i = 0; i < n; i++)
        v[i] = m[i].v;
    q = quantile_floats(r->param[k], v, n);
    arena_rewind(&w->arena, mark);
    return q;
}

static double value_of(struct ranked *r, const struct member *m, size_t n,
                       size_t k, struct worker *w)
{
    if (r->op == PROMQL_QUANTILE)
        return quantile_of(r, m, n, k, w);
    return r->op == PROMQL_STDVAR ? variance(m, n) : sqrt(variance(m, n));
}

static sonde_code group_values(void *arg, struct worker *w, size_t group,
                               struct sonde_err *err)
{
    struct ranked *r = arg;
    struct arena_mark mark = arena_mark(&w->arena);
    struct member *m = arena_array(&w->arena, struct member, r->widest);
    double *out = r->v + group * r->steps;
    sonde_code rc = SONDE_OK;

    for (size_t k = 0; rc == SONDE_OK && k < r->steps; k++) {
        size_t n = gather(r, group, k, m);
        double v = n ? value_of(r, m, n, k, w) : 0;

        out[k] = bits_double(PROMQL_ABSENT_BITS);
        if (n)
            out[k] = promql_absent(v) ? bits_double(NORMAL_NAN_BITS) : v;
        if (k % 64 == 0)
            rc = exec_check(r->exec, err);
    }
    arena_rewind(&w->arena, mark);
    return rc;
}

static void note_quantiles(struct ranked *r)
{
    for (size_t k = 0; k < r->steps; k++)
        note_quantile(r->exec, r->expr->aggregate.param, r->param[k]);
}

static sonde_code values_make(struct ranked *r, struct node **out,
                              struct sonde_err *err)
{
    size_t groups = r->grouping->count;
    sonde_code rc = exec_hold(r->exec, groups * r->steps, err);

    if (rc != SONDE_OK)
        return rc;
    if (r->op == PROMQL_QUANTILE)
        note_quantiles(r);
    r->v = exec_alloc(r->exec, groups * r->steps * sizeof(*r->v));
    rc = exec_each(r->exec, groups, 1, group_values, r, err);
    *out = node_of_rows(r->exec, r->expr, &r->child->steps, r->grouping->groups,
                        groups, r->v, NULL);
    return rc;
}

/* ---- choosing ------------------------------------------------------------ */

/* Whether `a` comes before `b`; NaN is last, equals stay in order. */
static bool before(const struct member *a, const struct member *b, bool largest)
{
    if (isnan(a->v) || isnan(b->v))
        return !isnan(a->v) && isnan(b->v);
    return largest ? a->v > b->v : a->v < b->v;
}

/* The heap's root is the one that would go first. */
static void sift_down(struct member *heap, size_t n, bool largest)
{
    size_t at = 0;

    for (;;) {
        size_t worst = at, left = at * 2 + 1;

        for (size_t c = left; c < n && c < left + 2; c++)
            if (before(&heap[worst], &heap[c], largest) ||
                (!before(&heap[c], &heap[worst], largest) &&
                 heap[c].series > heap[worst].series))
                worst = c;
        if (worst == at)
            return;
        struct member t = heap[at];
        heap[at] = heap[worst];
        heap[worst] = t;
        at = worst;
    }
}

static void sift_up(struct member *heap, size_t at, bool largest)
{
    while (at) {
        size_t up = (at - 1) / 2;
        struct member t = heap[at];

        if (!(before(&heap[up], &t, largest) ||
              (!before(&t, &heap[up], largest) && t.series > heap[up].series)))
            return;
        heap[at] = heap[up];
        heap[up] = t;
        at = up;
    }
}

/* Puts the best `k` of `n` in front; returns how many. */
static size_t best(struct member *m, size_t n, size_t k, bool largest)
{
    size_t held = 0;

    for (size_t i = 0; i < n; i++) {
        struct member x = m[i];

        if (held < k) {
            m[held] = x;
            sift_up(m, held++, largest);
        } else if (before(&x, &m[0], largest)) {
            m[0] = x;
            sift_down(m, held, largest);
        }
    }
    return held;
}

/* limit_ratio: by hash of the labels, so that r and r-1 share nothing. */
static bool in_ratio(const struct ranked *r, uint32_t series, double ratio)
{
    double at = (double)labels_hash(&r->child->series[series].labels) /
                18446744073709551616.0;

    return ratio >= 0 ? at < ratio : at >= 1 + ratio;
}

static size_t choose(struct ranked *r, struct member *m, size_t n, size_t k)
{
    double p = r->param[k];
    size_t kept = 0;

    switch (r->op) {
    case PROMQL_LIMIT_RATIO:
        for (size_t i = 0; i < n; i++)
            if (in_ratio(r, m[i].series, p))
                m[kept++] = m[i];
        return kept;
    case PROMQL_LIMITK:
        return p < 1 ? 0 : p < (double)n ? (size_t)p : n;
    default:
        if (p < 1)
            return 0;
        return best(m, n, p < (double)n ? (size_t)p : n, r->op == PROMQL_TOPK);
    }
}

static bool chooses_none(const struct ranked *r, size_t k)
{
    return r->op != PROMQL_LIMIT_RATIO && r->param[k] < 1;
}

static sonde_code group_chosen(void *arg, struct worker *w, size_t group,
                               struct sonde_err *err)
{
    struct ranked *r = arg;
    struct arena_mark mark = arena_mark(&w->arena);
    struct member *m = arena_array(&w->arena, struct member, r->widest);
    sonde_code rc = SONDE_OK;

    for (size_t k = 0; rc == SONDE_OK && k < r->steps; k++) {
        size_t n =
            chooses_none(r, k) ? 0 : choose(r, m, gather(r, group, k, m), k);

        for (size_t i = 0; i < n; i++) {
            size_t at = m[i].series * r->steps + k;

            r->v[at] = m[i].v;
            if (r->h)
                r->h[at] = m[i].h;
        }
        if (k % 64 == 0)
            rc = exec_check(r->exec, err);
    }
    arena_rewind(&w->arena, mark);
    return rc;
}

static sonde_code overflow_error(double p, const char *how,
                                 struct sonde_err *err)
{
    char text[NUMBER_MAX_BYTES];
    size_t n = number_format(text, p, NUMBER_TEXT);

    return exec_error(err, "Scalar value %.*s %s int64", (int)n, text, how);
}

static void note_ratio(struct ranked *r, double p, double capped)
{
    char text[NUMBER_MAX_BYTES];
    size_t n = number_format(text, p, NUMBER_TEXT);

    note_warning(r->exec, r->expr->aggregate.param,
                 "ratio value should be between -1 and 1, got %.*s, capping "
                 "to %g",
                 (int)n, text, capped);
}

/* What of a parameter is no whole number that fits. */
static sonde_code check_param(struct ranked *r, struct sonde_err *err)
{
    bool ratio = r->op == PROMQL_LIMIT_RATIO;

    for (size_t k = 0; k < r->steps; k++) {
        double p = r->param[k];

        if (isnan(p))
            return exec_error(err, ratio ? "Ratio value is NaN"
                                         : "Parameter value is NaN");
        if (ratio && (p < -1 || p > 1)) {
            r->param[k] = p < 0 ? -1 : 1;
            note_ratio(r, p, r->param[k]);
        }
        if (!ratio && p >= 9223372036854775808.0)
            return overflow_error(p, "overflows", err);
        if (!ratio && p <= -9223372036854775808.0)
            return overflow_error(p, "underflows", err);
    }
    return SONDE_OK;
}

static int by_rank(const void *a, const void *b, bool largest)
{
    const struct member *x = a, *y = b;

    if (before(x, y, largest))
        return -1;
    if (before(y, x, largest))
        return 1;
    return x->series < y->series ? -1 : 1;
}

static int by_largest(const void *a, const void *b)
{
    return by_rank(a, b, true);
}

static int by_smallest(const void *a, const void *b)
{
    return by_rank(a, b, false);
}

/* An instant answer is in the order of rank, group by group. */
static struct node *in_order(struct ranked *r)
{
    struct node *child = r->child;
    struct arena *a = &r->exec->arena;
    struct member *m = arena_array(a, struct member, r->widest);
    struct vseries *series = arena_array(a, struct vseries, child->count);
    double *v = arena_array(a, double, child->count);
    size_t n = 0;

    for (size_t g = 0; g < r->grouping->count; g++) {
        size_t held = 0;

        for (uint32_t i = r->grouping->first[g]; i != GROUP_END;
             i = r->grouping->next[i])
            if (!promql_absent(r->v[i]))
                m[held++] = (struct member){ r->v[i], NULL, i };
        if (held)
            qsort(m, held, sizeof(*m),
                  r->op == PROMQL_TOPK ? by_largest : by_smallest);
        for (size_t i = 0; i < held; i++) {
            series[n] = child->series[m[i].series];
            v[n++] = m[i].v;
        }
    }
    return node_of_rows(r->exec, r->expr, &child->steps, series, n, v, NULL);
}

static sonde_code chosen_make(struct ranked *r, struct node **out,
                              struct sonde_err *err)
{
    size_t values = r->child->count * r->steps;
    bool ranks = r->op == PROMQL_TOPK || r->op == PROMQL_BOTTOMK;
    sonde_code rc = check_param(r, err);

    if (rc == SONDE_OK)
        rc = exec_hold(r->exec, values, err);
    if (rc != SONDE_OK)
        return rc;
    r->v = exec_alloc(r->exec, values * sizeof(*r->v));
    for (size_t i = 0; i < values; i++)
        r->v[i] = bits_double(PROMQL_ABSENT_BITS);
    if (!ranks) {
        r->h = exec_alloc(r->exec, values * sizeof(*r->h));
        memset(r->h, 0, values * sizeof(*r->h));
    }
    rc = exec_each(r->exec, r->grouping->count, 1, group_chosen, r, err);
    if (rc != SONDE_OK)
        return rc;
    if (ranks && r->steps == 1 && r->exec->query->step == 0)
        *out = in_order(r);
    else
        *out = node_of_rows(r->exec, r->expr, &r->child->steps,
                            r->child->series, r->child->count, r->v, r->h);
    (*out)->one_name = r->child->one_name;
    return SONDE_OK;
}

/* ---- making -------------------------------------------------------------- */

sonde_code ranked_make(struct exec *x, const struct promql_expr *e,
                       struct node *child, const struct grouping *g,
                       struct node **out, struct sonde_err *err)
{
    struct ranked r = {
        .exec = x,
        .expr = e,
        .grouping = g,
        .op = e->aggregate.op,
        .steps = child->steps.count,
        .widest = widest_group(g),
    };
    const struct promql_expr *param = e->aggregate.param;
    sonde_code rc = node_keep(child, &r.child, err);

    if (rc == SONDE_OK && r.op == PROMQL_COUNT_VALUES)
        return count_values_make(x, e, r.child, out, err);
    if (rc == SONDE_OK && param)
        rc = node_scalar(x, param, &child->steps, &r.param, err);
    if (rc != SONDE_OK)
        return rc;
    if (r.op == PROMQL_STDDEV || r.op == PROMQL_STDVAR ||
        r.op == PROMQL_QUANTILE)
        return values_make(&r, out, err);
    return chosen_make(&r, out, err);
}
