/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram_quantile, histogram_quantiles and histogram_fraction: series are
 * put together into histograms, then each is asked at every step.
 *
 * Series with the same labels but `le` are the buckets of a classic histogram;
 * their bounds are parsed and sorted once. A series that has native histograms
 * is one by itself; where both kinds have the same labels at a step neither is
 * answered. Rows of the argument are kept: a histogram needs all of its buckets
 * at once. All is computed while the node is made, because what had to be
 * mended is told in one note at the end.
 */
#include "promql/quantiles.h"

#include <math.h>
#include <stdlib.h>

#include "model/number.h"
#include "promql/quantile.h"
#include "util/clock.h"
#include "util/str.h"

#define LE            "le"
#define QUANTILES_MAX 10
#define QUANTILES_DOCS                                                         \
    "https://prometheus.io/docs/prometheus/latest/querying/functions/"         \
    "#histogram_quantile"

struct bucket_series {
    double bound;
    uint32_t series; /* of the argument                                    */
    uint32_t next;   /* of the same group                                  */
};
struct group {
    const struct labels *labels;
    struct bucket_series *buckets; /* sorted by bound                      */
    size_t count;
    uint32_t first, native; /* lists while they are found; native series   */
};
#define NO_SERIES UINT32_MAX

struct asking {
    struct exec *exec;
    const struct promql_expr *expr, *vector; /* the call, its vector       */
    struct steps steps;
    struct node *of; /* kept                                               */
    struct group *groups;
    size_t group_count, group_cap, widest;
    struct bucket_series *found;
    size_t found_count, found_cap;
    double *q[QUANTILES_MAX]; /* or the two bounds, by step                */
    size_t q_count;
    bool fraction;
    double *v; /* results: by group, quantile and step                     */
    pthread_mutex_t mutex; /* guards fixes                                 */
    struct classic_fixes fixes;
};

/* ---- putting together ---------------------------------------------------- */

static bool bound_of(const struct labels *l, double *bound)
{
    sonde_str le = labels_get(l, SONDE_STR(LE));

    return le.len && number_parse(le, bound);
}

static struct labels *without_le(struct asking *a, const struct labels *l)
{
    struct label *items = arena_array(&a->exec->arena, struct label, l->count);
    struct labels *out = arena_new(&a->exec->arena, struct labels);
    size_t n = 0;

    for (size_t i = 0; i < l->count; i++)
        if (!str_eq_cstr(l->items[i].name, LE))
            items[n++] = l->items[i];
    *out = (struct labels){ items, n };
    return out;
}

static size_t group_of(struct asking *a, struct label_index *ix,
                       const struct labels *key)
{
    size_t at = label_index_put(ix, labels_hash(key), key, a->group_count);

    if (at == a->group_count) {
        a->groups = mem_grow(a->groups, &a->group_cap, a->group_count + 1,
                             sizeof(*a->groups));
        a->groups[a->group_count++] = (struct group){ .labels = key,
                                                      .first = NO_SERIES,
                                                      .native = NO_SERIES };
    }
    return at;
}

struct kinds {
    bool floats, histograms;
};

static struct kinds kinds_of(struct asking *a, size_t i)
{
    struct kinds k = { false, false };
    struct sonde_err err;
    struct row r;

    /* rows that are kept can not fail */
    (void)!node_row(a->of, i, &a->exec->workers[0], &r, &err);
    for (size_t s = 0; s < a->steps.count; s++) {
        if (!row_has(&r, s))
            continue;
        if (row_histogram(&r, s))
            k.histograms = true;
        else
            k.floats = true;
    }
    return k;
}

static void note_bad_bound(struct asking *a, const struct labels *l)
{
    sonde_str le = labels_get(l, SONDE_STR(LE));

    note_warning(a->exec, a->vector,
                 "bucket label \"le\" is missing or has a malformed value of "
                 "\"%.*s\"",
                 SONDE_ARG(le));
}

static void add_bucket(struct asking *a, struct label_index *ix, uint32_t i,
                       double bound)
{
    const struct labels *l = &a->of->series[i].labels;
    size_t at = group_of(a, ix, without_le(a, l)); /* may move the groups */
    struct group *g = &a->groups[at];

    a->found = mem_grow(a->found, &a->found_cap, a->found_count + 1,
                        sizeof(*a->found));
    a->found[a->found_count] = (struct bucket_series){ bound, i, g->first };
    g->first = (uint32_t)a->found_count++;
    g->count++;
}

static int by_bound(const void *x, const void *y)
{
    const struct bucket_series *a = x, *b = y;

    if (a->bound != b->bound)
        return a->bound < b->bound ? -1 : 1;
    return (a->series > b->series) - (a->series < b->series);
}

static void sort_buckets(struct asking *a, struct group *g)
{
    size_t n = 0;

    g->buckets = arena_array(&a->exec->arena, struct bucket_series, g->count);
    for (uint32_t i = g->first; i != NO_SERIES; i = a->found[i].next)
        g->buckets[n++] = a->found[i];
    if (n)
        qsort(g->buckets, n, sizeof(*g->buckets), by_bound);
    if (n > a->widest)
        a->widest = n;
}

static void put_together(struct asking *a)
{
    struct label_index ix;

    label_index_init(&ix, a->of->count);
    for (uint32_t i = 0; i < a->of->count; i++) {
        const struct labels *l = &a->of->series[i].labels;
        struct kinds k = kinds_of(a, i);
        double bound;

        if (k.histograms) {
            size_t at = group_of(a, &ix, l);

            a->groups[at].native = i;
        }
        if (!k.floats)
            continue;
        if (bound_of(l, &bound))
            add_bucket(a, &ix, i, bound);
        else
            note_bad_bound(a, l);
    }
    for (size_t i = 0; i < a->group_count; i++)
        sort_buckets(a, &a->groups[i]);
    label_index_fini(&ix);
    free(a->found);
    exec_at_end(a->exec, free, a->groups);
}

/* ---- asking -------------------------------------------------------------- */

static struct row kept(struct asking *a, uint32_t series)
{
    struct sonde_err err;
    struct row r = { 0 };

    (void)!node_row(a->of, series, &a->exec->workers[0], &r, &err);
    return r;
}

static size_t buckets_at(struct asking *a, const struct group *g, size_t k,
                         struct classic_bucket *out)
{
    size_t n = 0;

    for (size_t i = 0; i < g->count; i++) {
        struct row r = kept(a, g->buckets[i].series);

        if (row_has(&r, k) && !row_histogram(&r, k))
            out[n++] = (struct classic_bucket){ g->buckets[i].bound, r.v[k] };
    }
    return n;
}

static double outside(double q)
{
    return isnan(q) ? NAN : q < 0 ? -INFINITY : INFINITY;
}

static double ask_classic(struct asking *a, const struct classic_bucket *b,
                          size_t n, size_t which, size_t k)
{
    double q = a->q[which][k];

    if (a->fraction)
        return b[n - 1].bound == INFINITY
                   ? classic_fraction(b, n, a->q[0][k], a->q[1][k])
                   : NAN;
    if (!(q >= 0 && q <= 1))
        return outside(q);
    return b[n - 1].bound == INFINITY ? classic_quantile(b, n, q) : NAN;
}

/* The place is the first argument's; the name is gone by then, unless it is
 * removed at the end. */
static void note_nan(struct asking *a, const struct group *g, unsigned notes)
{
    static const struct {
        unsigned note;
        const char *text;
    } texts[] = {
        { QUANTILE_NAN_RESULT,
          "input to histogram_quantile has NaN observations, result is NaN" },
        { QUANTILE_NAN_SKEWED, "input to histogram_quantile has NaN "
                               "observations, result is skewed higher" },
        { FRACTION_NAN_EXCLUDED,
          "input to histogram_fraction has NaN observations, which are "
          "excluded from all fractions" },
    };
    bool named = a->exec->query->features & PROMQL_DELAYED_NAME_REMOVAL;
    sonde_str name =
        named ? labels_get(g->labels, SONDE_STR(LABEL_NAME)) : (sonde_str){ 0 };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (notes & texts[i].note)
            note_info(a->exec, a->expr->call.args[0], "%s%s%.*s%s",
                      texts[i].text, name.len ? " for metric name \"" : "",
                      SONDE_ARG(name), name.len ? "\"" : "");
}

static double ask_native(struct asking *a, struct worker *w,
                         const struct group *g, const struct histogram *h,
                         size_t which, size_t k)
{
    unsigned notes = 0;
    double v;

    if (a->fraction)
        v = native_fraction(w, h, a->q[0][k], a->q[1][k], &notes);
    else
        v = native_quantile(w, h, a->q[which][k], &notes);
    if (notes)
        note_nan(a, g, notes);
    return v;
}

static const struct histogram *native_at(struct asking *a,
                                         const struct group *g, size_t k)
{
    struct row r;

    if (g->native == NO_SERIES)
        return NULL;
    r = kept(a, g->native);
    return row_histogram(&r, k);
}

static void fixes_join(struct asking *a, const struct classic_fixes *own)
{
    struct classic_fixes *f = &a->fixes;

    if (own->samples == 0)
        return;
    (void)pthread_mutex_lock(&a->mutex);
    if (f->samples == 0) {
        *f = *own;
    } else {
        f->samples += own->samples;
        f->min_bound = fmin(f->min_bound, own->min_bound);
        f->max_bound = fmax(f->max_bound, own->max_bound);
        f->max_diff = fmax(f->max_diff, own->max_diff);
        f->first = own->first < f->first ? own->first : f->first;
        f->last = own->last > f->last ? own->last : f->last;
    }
    (void)pthread_mutex_unlock(&a->mutex);
}

/* How many rows a group has in the result. */
static size_t answers(const struct asking *a)
{
    return a->fraction ? 1 : a->q_count;
}

/* Whether the buckets are looked at: else nobody is told that they had to be
 * mended. */
static bool are_read(const struct asking *a, const struct classic_bucket *b,
                     size_t n, size_t k)
{
    bool whole = false, asked = a->fraction;

    for (size_t i = 0; i < n; i++)
        whole |= b[i].bound == INFINITY;
    for (size_t i = 0; !asked && i < answers(a); i++)
        asked = a->q[i][k] >= 0 && a->q[i][k] <= 1;
    return whole && asked;
}

static void ask_step(struct asking *a, struct worker *w, const struct group *g,
                     size_t k, struct classic_bucket *b,
                     struct classic_fixes *fixes, double *out)
{
    const struct histogram *h = native_at(a, g, k);
    struct classic_fixes untold = { 0 };
    size_t n = buckets_at(a, g, k, b);

    if (h && n) {
        note_warning(a->exec, a->vector,
                     "vector contains a mix of classic and native histograms");
        return;
    }
    if (!h && !n)
        return;
    if (n)
        n = classic_mend(b, n, step_time(&a->steps, k),
                         are_read(a, b, n, k) ? fixes : &untold);
    for (size_t i = 0; i < answers(a); i++) {
        double v =
            h ? ask_native(a, w, g, h, i, k) : ask_classic(a, b, n, i, k);

        out[i * a->steps.count + k] =
            promql_absent(v) ? bits_double(NORMAL_NAN_BITS) : v;
    }
}

static sonde_code ask_group(void *arg, struct worker *w, size_t i,
                            struct sonde_err *err)
{
    struct asking *a = arg;
    struct arena_mark mark = arena_mark(&w->arena);
    struct classic_bucket *b =
        arena_array(&w->arena, struct classic_bucket, a->widest + 1);
    struct classic_fixes fixes = { 0 };
    size_t values = answers(a) * a->steps.count;
    double *out = a->v + i * values;

    (void)err;
    for (size_t k = 0; k < values; k++)
        out[k] = bits_double(PROMQL_ABSENT_BITS);
    for (size_t k = 0; k < a->steps.count; k++) {
        struct arena_mark step = arena_mark(&w->arena);

        ask_step(a, w, &a->groups[i], k, b, &fixes, out);
        arena_rewind(&w->arena, step);
    }
    fixes_join(a, &fixes);
    arena_rewind(&w->arena, mark);
    return SONDE_OK;
}

static void note_fixes(struct asking *a)
{
    const struct classic_fixes *f = &a->fixes;
    char first[CLOCK_RFC3339_MAX], last[CLOCK_RFC3339_MAX];

    if (f->samples == 0)
        return;
    clock_rfc3339(f->first, first);
    clock_rfc3339(f->last, last);
    note_info(a->exec, a->vector,
              "input to histogram_quantile needed to be fixed for "
              "monotonicity (see " QUANTILES_DOCS "), from buckets %g to %g, "
              "with a max diff of %.2g, over %zu samples from %s to %s",
              f->min_bound, f->max_bound, f->max_diff, f->samples, first, last);
}

/* ---- making -------------------------------------------------------------- */

/* The series of the results: without `le` and name, each once for every
 * quantile. */
static struct vseries *result_series(struct asking *a, sonde_str label,
                                     const sonde_str *texts)
{
    struct exec *x = a->exec;
    struct vseries *s =
        arena_array(&x->arena, struct vseries, a->group_count * answers(a));
    size_t n = 0;

    for (size_t i = 0; i < a->group_count; i++) {
        struct labels bare = labels_nameless(x, a->groups[i].labels);

        for (size_t k = 0; k < answers(a); k++, n++) {
            struct labels_builder lb;

            s[n].labels = bare;
            if (!texts)
                continue;
            labels_builder_init(&lb, &x->arena);
            labels_builder_from(&lb, &bare);
            labels_builder_set(&lb, label, texts[k]);
            s[n].labels = labels_builder_view(&lb);
        }
    }
    return s;
}

static sonde_code ask_all(struct asking *a, sonde_str label,
                          const sonde_str *texts, struct node **out,
                          struct sonde_err *err)
{
    struct exec *x = a->exec;
    size_t rows, values;
    sonde_code rc = node_make(x, a->vector, &a->steps, &a->of, err);

    if (rc == SONDE_OK)
        rc = node_keep(a->of, &a->of, err);
    if (rc != SONDE_OK)
        return rc;
    put_together(a);
    rows = a->group_count * answers(a);
    values = rows * a->steps.count;
    rc = exec_hold(x, values, err);
    if (rc != SONDE_OK)
        return rc;
    a->v = exec_alloc(x, values * sizeof(*a->v));
    (void)pthread_mutex_init(&a->mutex, NULL);
    rc = exec_each(x, a->group_count, 1, ask_group, a, err);
    (void)pthread_mutex_destroy(&a->mutex);
    if (rc != SONDE_OK)
        return rc;
    note_fixes(a);
    return node_unique(node_of_rows(x, a->expr, &a->steps,
                                    result_series(a, label, texts), rows, a->v,
                                    NULL),
                       out, err);
}

static sonde_code take_scalars(struct asking *a, size_t from, size_t n,
                               struct sonde_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct promql_expr *arg = a->expr->call.args[from + i];
        double *values;
        sonde_code rc = node_scalar(a->exec, arg, &a->steps, &values, err);

        if (rc != SONDE_OK)
            return rc;
        for (size_t k = 0; !a->fraction && k < a->steps.count; k++)
            note_quantile(a->exec, arg, values[k]);
        a->q[i] = values;
    }
    a->q_count = n;
    return SONDE_OK;
}

sonde_code histogram_quantile_make(struct exec *x, const struct promql_expr *e,
                                   const struct steps *steps, struct node **out,
                                   struct sonde_err *err)
{
    struct asking a = {
        .exec = x, .expr = e, .vector = e->call.args[1], .steps = *steps
    };
    sonde_code rc = take_scalars(&a, 0, 1, err);

    return rc == SONDE_OK ? ask_all(&a, (sonde_str){ 0 }, NULL, out, err) : rc;
}

sonde_code histogram_fraction_make(struct exec *x, const struct promql_expr *e,
                                   const struct steps *steps, struct node **out,
                                   struct sonde_err *err)
{
    struct asking a = { .exec = x,
                        .expr = e,
                        .vector = e->call.args[2],
                        .steps = *steps,
                        .fraction = true };
    sonde_code rc = take_scalars(&a, 0, 2, err);

    return rc == SONDE_OK ? ask_all(&a, (sonde_str){ 0 }, NULL, out, err) : rc;
}

sonde_code histogram_quantiles_make(struct exec *x, const struct promql_expr *e,
                                    const struct steps *steps,
                                    struct node **out, struct sonde_err *err)
{
    struct asking a = {
        .exec = x, .expr = e, .vector = e->call.args[0], .steps = *steps
    };
    sonde_str label = expr_bare(e->call.args[1])->text;
    sonde_str texts[QUANTILES_MAX] = { 0 };
    size_t n = e->call.count - 2;
    sonde_code rc;

    if (n > QUANTILES_MAX)
        return exec_error(err, "at most %d quantiles are possible",
                          QUANTILES_MAX);
    if (label.len == 0 || !str_is_utf8(label))
        return exec_error(err, "invalid label name %.*s", SONDE_ARG(label));
    rc = take_scalars(&a, 2, n, err);
    for (size_t i = 0; rc == SONDE_OK && i < n; i++) {
        char text[NUMBER_MAX_BYTES];
        size_t len = number_format(text, a.q[i][0], NUMBER_OM);

        texts[i] = arena_str(&x->arena, (sonde_str){ text, len });
    }
    return rc == SONDE_OK ? ask_all(&a, label, texts, out, err) : rc;
}
