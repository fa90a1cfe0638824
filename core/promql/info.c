/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info: adds labels of info metrics (target_info, unless the second argument
 * names others) to the series of a vector that have the same instance and job.
 *
 * Which info series is the newest may change from step to step, and with it
 * the labels; so a series of the vector becomes one for each set of labels
 * that it has at any step. The rows of both sides are kept.
 */
#include <stdlib.h>

#include "promql/call.h"
#include "promql/select.h"
#include "util/buf.h"
#include "util/str.h"

#define INFO_DEFAULT "target_info"

static const char *const identifying[] = { "instance", "job" };

struct info_rows {
    struct exec *exec;
    const struct promql_expr *call, *filter; /* filter may be NULL         */
    struct steps steps;
    struct node *base;         /* kept                                     */
    struct node *info, *times; /* values and sample times, kept            */
    struct label_index index;  /* of the result's label sets               */
    struct vseries *series;
    struct row *rows;
    size_t count, cap_series, cap_rows;
};

/* ---- selecting ----------------------------------------------------------- */

static bool about_name(const struct matcher *m)
{
    return str_eq_cstr(m->name, LABEL_NAME);
}

static bool names_metrics(const struct promql_expr *filter)
{
    for (size_t i = 0; filter && i < filter->selector.count; i++)
        if (about_name(&filter->selector.matchers[i]))
            return true;
    return false;
}

/* Whether the matchers about the name only say what it is not. */
static bool only_excludes(const struct promql_expr *filter)
{
    for (size_t i = 0; i < filter->selector.count; i++) {
        const struct matcher *m = &filter->selector.matchers[i];

        if (about_name(m) && (m->op == MATCH_EQ || m->op == MATCH_RE))
            return false;
    }
    return true;
}

static void release(void *p)
{
    matcher_fini(p);
    free(p);
}

/* A matcher that lives as long as the query. */
static sonde_code own_matcher(struct exec *x, enum matcher_op op,
                              const char *value, struct matcher *out,
                              struct sonde_err *err)
{
    struct matcher *m = mem_new(struct matcher);
    sonde_code rc =
        matcher_init(m, op, sonde_cstr(LABEL_NAME), sonde_cstr(value), err);

    if (rc != SONDE_OK) {
        free(m);
        return rc;
    }
    exec_at_end(x, release, m);
    *out = *m;
    return SONDE_OK;
}

/* The selector of the info series: the filter's matchers, and a name. */
static sonde_code info_selector(struct info_rows *r, struct promql_expr **out,
                                struct sonde_err *err)
{
    const struct promql_expr *f = r->filter;
    size_t n = f ? f->selector.count : 0;
    struct promql_expr *e = arena_new(&r->exec->arena, struct promql_expr);
    struct matcher *m = arena_array(&r->exec->arena, struct matcher, n + 1);
    sonde_code rc = SONDE_OK;

    *e = f ? *f : *r->call;
    e->kind = PROMQL_SELECTOR;
    e->type = PROMQL_VECTOR;
    if (!f)
        e->selector.shift = (struct promql_shift){ 0 };
    if (n)
        memcpy(m, f->selector.matchers, n * sizeof(*m));
    e->selector.matchers = m;
    e->selector.count = n;
    if (!names_metrics(f))
        rc = own_matcher(r->exec, MATCH_EQ, INFO_DEFAULT,
                         &m[e->selector.count++], err);
    else if (only_excludes(f))
        rc = own_matcher(r->exec, MATCH_RE, ".+_info", &m[e->selector.count++],
                         err);
    *out = e;
    return rc;
}

static sonde_code make_sides(struct info_rows *r, struct sonde_err *err)
{
    struct promql_expr *e;
    struct node *n;
    sonde_code rc =
        node_make(r->exec, r->call->call.args[0], &r->steps, &n, err);

    if (rc == SONDE_OK)
        rc = node_keep(n, &r->base, err);
    if (rc == SONDE_OK)
        rc = info_selector(r, &e, err);
    if (rc == SONDE_OK)
        rc = instant_make(r->exec, e, &r->steps, false, &n, err);
    if (rc == SONDE_OK)
        rc = node_keep(n, &r->info, err);
    if (rc == SONDE_OK)
        rc = instant_make(r->exec, e, &r->steps, true, &n, err);
    if (rc == SONDE_OK)
        rc = node_keep(n, &r->times, err);
    return rc;
}

/* ---- which info series --------------------------------------------------- */

static struct row kept(struct node *n, size_t i)
{
    struct sonde_err err;
    struct row r = { 0 };

    /* rows that are kept can not fail */
    (void)!node_row(n, i, &n->exec->workers[0], &r, &err);
    return r;
}

static sonde_str name_of(const struct labels *l)
{
    return labels_get(l, sonde_cstr(LABEL_NAME));
}

static bool same_identity(const struct labels *a, const struct labels *b)
{
    for (size_t i = 0; i < 2; i++)
        if (!sonde_str_eq(labels_get(a, sonde_cstr(identifying[i])),
                          labels_get(b, sonde_cstr(identifying[i]))))
            return false;
    return true;
}

static bool is_identifying(sonde_str name)
{
    return str_eq_cstr(name, identifying[0]) ||
           str_eq_cstr(name, identifying[1]);
}

static sonde_code duplicate(const struct labels *a, const struct labels *b,
                            struct sonde_err *err)
{
    struct buf t;

    buf_init(&t);
    labels_print_set(&t, a);
    buf_cstr(&t, ", ");
    labels_print_set(&t, b);
    (void)exec_error(err, "found duplicate series for info metric: %.*s",
                     (int)t.len, t.data);
    buf_fini(&t);
    return SONDE_EINVAL;
}

/* Whether another series of the same info metric is newer at a step. */
static sonde_code is_newest(struct info_rows *r, const struct labels *base,
                            size_t i, size_t k, bool *newest,
                            struct sonde_err *err)
{
    const struct labels *l = &r->info->series[i].labels;
    double mine = kept(r->times, i).v[k];

    *newest = true;
    for (size_t o = 0; o < r->info->count; o++) {
        const struct labels *other = &r->info->series[o].labels;
        struct row there = kept(r->times, o);

        if (o == i || !row_has(&there, k) || !same_identity(base, other) ||
            !sonde_str_eq(name_of(l), name_of(other)))
            continue;
        if (there.v[k] == mine)
            return duplicate(l, other, err);
        if (there.v[k] > mine)
            *newest = false;
    }
    return SONDE_OK;
}

/* ---- labels -------------------------------------------------------------- */

static bool wanted(const struct info_rows *r, sonde_str name)
{
    bool any = false;

    if (is_identifying(name) || str_eq_cstr(name, LABEL_NAME))
        return false;
    for (size_t i = 0; r->filter && i < r->filter->selector.count; i++) {
        const struct matcher *m = &r->filter->selector.matchers[i];

        if (about_name(m))
            continue;
        any = true;
        if (sonde_str_eq(m->name, name))
            return true;
    }
    return !any;
}

static sonde_code add_labels(struct info_rows *r, struct labels_builder *lb,
                             struct labels_builder *added,
                             const struct labels *base,
                             const struct labels *info, struct sonde_err *err)
{
    for (size_t i = 0; i < info->count; i++) {
        const struct label *l = &info->items[i];
        sonde_str had;

        if (!wanted(r, l->name) || labels_get(base, l->name).len)
            continue;
        had = labels_builder_get(added, l->name);
        if (had.len && !sonde_str_eq(had, l->value))
            return exec_error(err, "conflicting label: %.*s",
                              SONDE_ARG(l->name));
        labels_builder_set(added, l->name, l->value);
        labels_builder_set(lb, l->name, l->value);
    }
    return SONDE_OK;
}

/* Without any info series: whether the filter's matchers on data labels all
 * take what is not there. */
static bool filter_takes_nothing(const struct info_rows *r)
{
    for (size_t i = 0; r->filter && i < r->filter->selector.count; i++) {
        const struct matcher *m = &r->filter->selector.matchers[i];

        if (!about_name(m) && !matcher_matches(m, (sonde_str){ 0 }))
            return false;
    }
    return true;
}

/* ---- rows ---------------------------------------------------------------- */

static sonde_code row_of(struct info_rows *r, const struct labels *l,
                         struct row **out, struct sonde_err *err)
{
    struct arena *a = &r->exec->arena;
    struct labels *key;
    uint64_t hash = labels_hash(l);
    size_t at;
    sonde_code rc;

    at = label_index_find(&r->index, hash, l);
    if (at != SIZE_MAX) {
        *out = &r->rows[at];
        return SONDE_OK;
    }
    rc = exec_hold(r->exec, r->steps.count, err);
    key = arena_new(a, struct labels);
    *key = *l;
    (void)label_index_put(&r->index, hash, key, r->count);
    r->series =
        mem_grow(r->series, &r->cap_series, r->count + 1, sizeof(*r->series));
    r->rows = mem_grow(r->rows, &r->cap_rows, r->count + 1, sizeof(*r->rows));
    r->series[r->count] = (struct vseries){ .labels = *key };
    *out = &r->rows[r->count++];
    **out =
        (struct row){ arena_array(a, double, r->steps.count),
                      arena_array(a, const struct histogram *, r->steps.count),
                      false };
    for (size_t k = 0; k < r->steps.count; k++)
        (*out)->v[k] = bits_double(PROMQL_ABSENT_BITS);
    return rc;
}

/* A name that goes at the end still does. */
static void keep_mark(struct info_rows *r, size_t series, const struct row *to)
{
    r->series[to - r->rows].drop_name |= r->base->series[series].drop_name;
}

/* One value of the vector goes where its labels say. */
static sonde_code put_value(struct info_rows *r, size_t series, size_t k,
                            const struct row *from, struct sonde_err *err)
{
    const struct labels *base = &r->base->series[series].labels;
    struct labels_builder lb, added;
    struct labels l;
    struct row *to;
    bool any = false;
    sonde_code rc = SONDE_OK;

    labels_builder_init(&lb, &r->exec->arena);
    labels_builder_init(&added, &r->exec->arena);
    labels_builder_from(&lb, base);
    for (size_t i = 0; rc == SONDE_OK && i < r->info->count; i++) {
        struct row there = kept(r->info, i);
        bool newest;

        if (!row_has(&there, k) ||
            !same_identity(base, &r->info->series[i].labels))
            continue;
        rc = is_newest(r, base, i, k, &newest, err);
        if (rc != SONDE_OK || !newest)
            continue;
        any = true;
        rc = add_labels(r, &lb, &added, base, &r->info->series[i].labels, err);
    }
    if (rc != SONDE_OK || (!any && !filter_takes_nothing(r)))
        return rc;
    l = labels_builder_view(&lb);
    rc = row_of(r, &l, &to, err);
    if (rc == SONDE_OK) {
        keep_mark(r, series, to);
        to->v[k] = from->v[k];
        to->h[k] = row_histogram(from, k);
    }
    return rc;
}

/* What is an info series itself passes as it is. */
static bool is_info(const struct info_rows *r, const struct labels *l)
{
    for (size_t i = 0; i < r->info->count; i++)
        if (labels_eq(&r->info->series[i].labels, l))
            return true;
    return false;
}

static sonde_code pass(struct info_rows *r, size_t series,
                       const struct row *from, struct sonde_err *err)
{
    struct row *to;
    sonde_code rc = row_of(r, &r->base->series[series].labels, &to, err);

    if (rc == SONDE_OK)
        keep_mark(r, series, to);
    for (size_t k = 0; rc == SONDE_OK && k < r->steps.count; k++) {
        to->v[k] = from->v[k];
        to->h[k] = row_histogram(from, k);
    }
    return rc;
}

static sonde_code enrich(struct info_rows *r, size_t series,
                         struct sonde_err *err)
{
    struct row from = kept(r->base, series);
    sonde_code rc = exec_check(r->exec, err);

    if (rc == SONDE_OK && is_info(r, &r->base->series[series].labels))
        return pass(r, series, &from, err);
    for (size_t k = 0; rc == SONDE_OK && k < r->steps.count; k++)
        if (row_has(&from, k))
            rc = put_value(r, series, k, &from, err);
    return rc;
}

static struct node *finish(struct info_rows *r)
{
    size_t n = r->steps.count;
    double *v = exec_alloc(r->exec, r->count * n * sizeof(*v));
    const struct histogram **h = exec_alloc(r->exec, r->count * n * sizeof(*h));

    for (size_t i = 0; i < r->count; i++) {
        memcpy(v + i * n, r->rows[i].v, n * sizeof(*v));
        memcpy(h + i * n, r->rows[i].h, n * sizeof(*h));
    }
    exec_at_end(r->exec, free, r->series);
    return node_of_rows(r->exec, r->call, &r->steps, r->series, r->count, v, h);
}

sonde_code info_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err)
{
    struct info_rows r = { .exec = x, .call = e, .steps = *steps };
    sonde_code rc;

    if (e->call.count > 1)
        r.filter = expr_bare(e->call.args[1]);
    if (r.filter && r.filter->kind != PROMQL_SELECTOR)
        return exec_error(err, "expected label selectors only");
    label_index_init(&r.index, 0);
    rc = make_sides(&r, err);
    for (size_t i = 0; rc == SONDE_OK && i < r.base->count; i++)
        rc = enrich(&r, i, err);
    if (rc == SONDE_OK)
        *out = finish(&r);
    label_index_fini(&r.index);
    free(r.rows);
    return rc;
}
