/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sort, sort_desc, sort_by_label, sort_by_label_desc: the order of an instant
 * answer. In a range query, whose series are in the order of their labels,
 * they do nothing, and say so.
 *
 * Values: NaN is last both ways; histograms have no order and are left out.
 * Labels: by the given ones in natural order (runs of digits as numbers), then
 * by the whole label set.
 */
#include <math.h>
#include <stdlib.h>

#include "promql/call.h"
#include "util/str.h"

struct sorted {
    const struct promql_expr *call;
    const struct labels *labels;
    double v;
    const struct histogram *h;
    uint32_t at;
    bool descending;
};

static bool by_label(const struct promql_expr *e)
{
    return str_starts(sonde_cstr(e->call.function->name),
                      SONDE_STR("sort_by_label"));
}

static bool descending(const struct promql_expr *e)
{
    return str_ends(sonde_cstr(e->call.function->name), SONDE_STR("_desc"));
}

/* ---- natural order ---------------------------------------------------------
 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The end of a run of digits or of others. */
static size_t run_end(sonde_str s, size_t at)
{
    bool digit = is_digit(s.ptr[at]);

    while (at < s.len && is_digit(s.ptr[at]) == digit)
        at++;
    return at;
}

static sonde_str without_zeros(sonde_str s)
{
    while (s.len > 1 && s.ptr[0] == '0') {
        s.ptr++;
        s.len--;
    }
    return s;
}

static int compare_runs(sonde_str a, sonde_str b)
{
    if (is_digit(a.ptr[0]) && is_digit(b.ptr[0])) {
        a = without_zeros(a);
        b = without_zeros(b);
        if (a.len != b.len)
            return a.len < b.len ? -1 : 1;
    }
    return str_cmp(a, b);
}

static int natural_cmp(sonde_str a, sonde_str b)
{
    size_t i = 0, k = 0;

    while (i < a.len && k < b.len) {
        size_t ie = run_end(a, i), ke = run_end(b, k);
        int c = compare_runs((sonde_str){ a.ptr + i, ie - i },
                             (sonde_str){ b.ptr + k, ke - k });

        if (c)
            return c;
        i = ie;
        k = ke;
    }
    return (i < a.len) - (k < b.len);
}

/* ---- order ------------------------------------------------------------------
 */

static int cmp_values(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    int c;

    if (isnan(x->v) || isnan(y->v))
        c = (isnan(x->v) ? 1 : 0) - (isnan(y->v) ? 1 : 0);
    else
        c = x->descending ? (x->v < y->v) - (x->v > y->v)
                          : (x->v > y->v) - (x->v < y->v);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

static int cmp_labels(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    int c = 0;

    for (size_t i = 1; c == 0 && i < x->call->call.count; i++) {
        sonde_str name = expr_bare(x->call->call.args[i])->text;

        c = natural_cmp(labels_get(x->labels, name),
                        labels_get(y->labels, name));
    }
    if (c == 0)
        c = labels_cmp(x->labels, y->labels);
    return x->descending ? -c : c;
}

static sonde_code sort_rows(struct node *of, const struct promql_expr *e,
                            struct node **out, struct sonde_err *err)
{
    struct exec *x = of->exec;
    struct sorted *s = arena_array(&x->arena, struct sorted, of->count);
    struct vseries *series = arena_array(&x->arena, struct vseries, of->count);
    double *v = arena_array(&x->arena, double, of->count);
    const struct histogram **h =
        arena_array(&x->arena, const struct histogram *, of->count);
    size_t n = 0;
    sonde_code rc = SONDE_OK;

    for (uint32_t i = 0; rc == SONDE_OK && i < of->count; i++) {
        struct row r;

        rc = node_row(of, i, &x->workers[0], &r, err);
        if (rc != SONDE_OK || !row_has(&r, 0) ||
            (row_histogram(&r, 0) && !by_label(e)))
            continue;
        s[n++] = (struct sorted){ e,      &of->series[i].labels,
                                  r.v[0], row_histogram(&r, 0),
                                  i,      descending(e) };
    }
    if (n)
        qsort(s, n, sizeof(*s), by_label(e) ? cmp_labels : cmp_values);
    for (size_t i = 0; i < n; i++) {
        series[i] = of->series[s[i].at];
        v[i] = s[i].v;
        h[i] = s[i].h;
    }
    *out = node_of_rows(x, e, &of->steps, series, n, v, h);
    (*out)->one_name = of->one_name;
    return rc;
}

/* ---- range queries ------------------------------------------------------- */

struct floats_only {
    struct node node;
    struct node *of;
};

static sonde_code floats_only_row(struct node *n, size_t i, struct worker *w,
                                  struct row *out, struct sonde_err *err)
{
    sonde_code rc = node_row(((struct floats_only *)n)->of, i, w, out, err);

    if (rc != SONDE_OK || !out->h)
        return rc;
    row_own(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++)
        if (row_histogram(out, k))
            row_clear(out, k);
    return SONDE_OK;
}

static const struct node_ops floats_only_ops = { .row = floats_only_row };

static struct node *without_histograms(struct node *of,
                                       const struct promql_expr *e)
{
    struct floats_only *f =
        node_new(of->exec, sizeof(*f), &floats_only_ops, e, &of->steps);

    f->of = of;
    series_keep(&f->node, of);
    return &f->node;
}

sonde_code sort_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err)
{
    struct node *of;
    sonde_code rc = node_make(x, e->call.args[0], steps, &of, err);

    if (rc == SONDE_OK && x->query->step == 0 && steps->count == 1)
        rc = node_keep(of, &of, err);
    if (rc != SONDE_OK)
        return rc;
    if (x->query->step == 0 && steps->count == 1)
        return sort_rows(of, e, out, err);
    if (x->query->step)
        note_warning(x, e,
                     "sort is ineffective for range queries since "
                     "results are always ordered by labels");
    *out = by_label(e) ? of : without_histograms(of, e);
    return SONDE_OK;
}
