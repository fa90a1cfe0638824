/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A query from its tree to its result: the nodes are made, the rows of the
 * root are computed on all workers and kept, series without any value are
 * left out, and those of a range query are sorted.
 *
 * What limits it: the deadline and the client are asked for once a row, held
 * samples are counted against a budget. The first error of any worker ends
 * all of them.
 *
 * Everything that a result points at (label sets of the store, rows,
 * histograms) belongs to the evaluation, which therefore lives as long as the
 * result.
 */
#include "promql/engine.h"

#include <stdlib.h>

#include "promql/edges.h"
#include "promql/explain.h"
#include "promql/tally.h"
#include "util/clock.h"
#include "util/str.h"

#define ASK_EVERY_MS        5 /* whether the client is still there       */
#define LOOKBACK_DEFAULT_MS (INT64_C(5) * 60 * 1000)
#define DEFAULT_STEP_MS     (INT64_C(60) * 1000)

struct exec_hold {
    struct exec_hold *next;
    void (*fini)(void *p);
    void *p;
};

struct evaluation {
    struct promql_result result;
    struct promql_query query; /* defaults filled in                       */
    struct exec exec;
};

/* ---- limits ------------------------------------------------------------- */

/* Asking the client costs a system call: once in a while will do. */
static bool is_canceled(struct exec *x, sonde_msec now)
{
    const struct promql_query *q = x->query;
    sonde_msec last = atomic_load_explicit(&x->asked, memory_order_relaxed);

    if (!q->canceled || now - last < ASK_EVERY_MS)
        return false;
    atomic_store_explicit(&x->asked, now, memory_order_relaxed);
    return q->canceled(q->canceled_arg);
}

sonde_code exec_check(struct exec *x, struct sonde_err *err)
{
    const struct promql_query *q = x->query;
    sonde_msec now = clock_monotonic(&clock_system);

    if (atomic_load_explicit(&x->failed, memory_order_relaxed) ||
        is_canceled(x, now))
        return sonde_err_set(err, SONDE_ECANCELED,
                             "query was canceled in query execution");
    if (q->deadline_ms && now > q->deadline_ms)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "query timed out in query execution");
    return SONDE_OK;
}

sonde_code exec_hold(struct exec *x, uint64_t samples, struct sonde_err *err)
{
    uint64_t now = atomic_fetch_add(&x->held, samples) + samples;
    uint64_t peak = atomic_load(&x->peak);

    while (now > peak && !atomic_compare_exchange_weak(&x->peak, &peak, now))
        ;
    if (now > x->query->max_samples)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "query processing would load too many samples "
                             "into memory in query execution");
    return SONDE_OK;
}

void exec_release(struct exec *x, uint64_t samples)
{
    atomic_fetch_sub(&x->held, samples);
}

void exec_at_end(struct exec *x, void (*fini)(void *p), void *p)
{
    struct exec_hold *h = arena_new(&x->arena, struct exec_hold);

    *h = (struct exec_hold){ x->holds, fini, p };
    x->holds = h;
}

/* ---- loops -------------------------------------------------------------- */

struct each {
    struct exec *exec;
    sonde_code (*fn)(void *arg, struct worker *w, size_t i,
                     struct sonde_err *err);
    void *arg;
};

static void fail(struct exec *x, sonde_code code, const struct sonde_err *err)
{
    (void)pthread_mutex_lock(&x->mutex);
    if (x->failure == SONDE_OK) {
        x->failure = code;
        x->err = *err;
    }
    (void)pthread_mutex_unlock(&x->mutex);
    atomic_store(&x->failed, true);
}

static bool piece_rows(struct each *e, struct worker *w, size_t from, size_t to)
{

    for (size_t i = from; i < to; i++) {
        struct sonde_err err;
        sonde_code rc = exec_check(e->exec, &err);

        if (rc == SONDE_OK)
            rc = e->fn(e->arg, w, i, &err);
        if (rc != SONDE_OK) {
            fail(e->exec, rc, &err);
            return false;
        }
    }
    return true;
}

static bool each_piece(void *arg, size_t worker, size_t from, size_t to)
{
    struct each *e = arg;
    struct worker *w = &e->exec->workers[worker];
    struct explain_meter began;
    bool ok;

    if (!e->exec->trace)
        return piece_rows(e, w, from, to);
    began = explain_piece_begin(w);
    ok = piece_rows(e, w, from, to);
    explain_piece_end(w, &began);
    return ok;
}

sonde_code exec_each(struct exec *x, size_t n, size_t piece,
                     sonde_code (*fn)(void *arg, struct worker *w, size_t i,
                                      struct sonde_err *err),
                     void *arg, struct sonde_err *err)
{
    struct each e = { x, fn, arg };

    if (parallel_run(x->query->pool, n, piece, each_piece, &e))
        return SONDE_OK;
    *err = x->err;
    return x->failure;
}

/* ---- beginning and end -------------------------------------------------- */

static void exec_init(struct exec *x, const struct promql_query *q)
{
    x->query = q;
    x->steps = (struct steps){ q->start, q->step, 1 };
    if (q->step)
        x->steps.count = (size_t)((q->end - q->start) / q->step) + 1;
    arena_init(&x->arena);
    arena_init(&x->note_arena);
    (void)pthread_mutex_init(&x->mutex, NULL);
    x->worker_count = parallel_workers(q->pool);
    x->workers = mem_zalloc(x->worker_count * sizeof(*x->workers));
    for (size_t i = 0; i < x->worker_count; i++) {
        x->workers[i].number = i;
        x->workers[i].exec = x;
        arena_init(&x->workers[i].arena);
        arena_init(&x->workers[i].scratch);
        if (q->features & PROMQL_PER_STEP_STATS)
            x->workers[i].step_samples =
                mem_zalloc(x->steps.count * sizeof(uint64_t));
    }
}

static void exec_fini(struct exec *x)
{
    for (struct exec_hold *h = x->holds; h; h = h->next)
        h->fini(h->p);
    for (size_t i = 0; i < x->worker_count; i++) {
        arena_fini(&x->workers[i].arena);
        arena_fini(&x->workers[i].scratch);
        free(x->workers[i].step_samples);
    }
    free(x->workers);
    free(x->notes);
    arena_fini(&x->note_arena);
    arena_fini(&x->arena);
    (void)pthread_mutex_destroy(&x->mutex);
}

void promql_result_free(struct promql_result *r)
{
    struct evaluation *v = (struct evaluation *)r;

    if (!v)
        return;
    exec_fini(&v->exec);
    free(v->result.series);
    free(v);
}

/* ---- results ------------------------------------------------------------ */

static int by_labels(const void *a, const void *b)
{
    const struct promql_series *x = a, *y = b;

    return labels_cmp(&x->labels, &y->labels);
}

static double seconds_since(uint64_t begin_ns)
{
    return (double)(clock_ns() - begin_ns) / 1e9;
}

static void sort_series(struct promql_result *r)
{
    uint64_t begin = clock_ns();

    if (r->count)
        qsort(r->series, r->count, sizeof(*r->series), by_labels);
    r->stats.sort_seconds = seconds_since(begin);
}

static bool has_value(const struct row *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (row_has(r, i))
            return true;
    return false;
}

/* All rows of the root, in the node's order. */
static sonde_code take_rows(struct evaluation *v, struct node *root,
                            struct sonde_err *err)
{
    struct promql_result *r = &v->result;
    struct worker *w = &v->exec.workers[0];
    struct node *kept;
    sonde_code rc = node_keep(node_unique_at_end(root), &kept, err);

    if (rc != SONDE_OK)
        return rc;
    r->series = mem_alloc((kept->count + 1) * sizeof(*r->series));
    for (size_t i = 0; i < kept->count; i++) {
        struct row row;

        rc = node_row(kept, i, w, &row, err);
        if (rc != SONDE_OK)
            return rc;
        if (!has_value(&row, kept->steps.count))
            continue;
        r->series[r->count++] = (struct promql_series){
            .labels = series_labels(kept, i),
            .count = kept->steps.count,
            .v = row.v,
            .h = row.h,
        };
    }
    if (v->query.step)
        sort_series(r);
    return SONDE_OK;
}

static void take_tally(const struct node *n, struct worker *w,
                       const struct window *win)
{
    struct tally seen = tally_begin(n, w);

    tally_add(&seen, 0, window_weight(win));
    tally_end(&seen, n, w);
}

/* The samples of a range vector's one window; each series is copied, because
 * the next one takes its place. */
static sonde_code take_windows(struct evaluation *v, struct node *n,
                               struct sonde_err *err)
{
    struct promql_result *r = &v->result;
    struct worker *w = &v->exec.workers[0];
    struct arena *a = &v->exec.arena;
    sonde_code rc = SONDE_OK;

    r->series = mem_alloc((n->count + 1) * sizeof(*r->series));
    for (size_t i = 0; rc == SONDE_OK && i < n->count; i++) {
        struct columns *c;
        struct labels labels;
        struct window win;
        struct slide s;

        rc = exec_check(&v->exec, err);
        if (rc == SONDE_OK)
            rc = n->ops->columns(n, i, w, &c, err);
        if (rc != SONDE_OK)
            break;
        s = slide_begin(n, c);
        if (!slide_next(&s, &win))
            continue;
        rc = edges_extend(n, a, &win, err);
        if (rc != SONDE_OK || win.n == 0)
            continue;
        rc = exec_hold(&v->exec, win.n, err);
        take_tally(n, w, &win);
        labels = series_labels(n, i);
        r->series[r->count++] = window_copy(a, &labels, &win);
    }
    sort_series(r);
    return rc;
}

static sonde_code take_scalar(struct evaluation *v, struct node *n,
                              struct sonde_err *err)
{
    struct row row;
    sonde_code rc;

    if (v->query.step) {
        v->result.type = PROMQL_MATRIX;
        return take_rows(v, n, err);
    }
    rc = node_row(n, 0, &v->exec.workers[0], &row, err);
    if (rc == SONDE_OK)
        v->result.scalar = row.v[0];
    return rc;
}

static sonde_code take_result(struct evaluation *v, struct node *root,
                              enum promql_type type, struct sonde_err *err)
{
    switch (type) {
    case PROMQL_SCALAR:
        return take_scalar(v, root, err);
    case PROMQL_MATRIX:
        return take_windows(v, root, err);
    default:
        if (v->query.step)
            v->result.type = PROMQL_MATRIX;
        return take_rows(v, root, err);
    }
}

static sonde_code evaluate(struct evaluation *v, const struct promql_expr *e,
                           struct sonde_err *err)
{
    struct promql_stats *stats = &v->result.stats;
    uint64_t begin = clock_ns();
    struct node *root;
    sonde_code rc;

    v->exec.root = e;
    e = expr_bare(e);
    v->result.type = e->type;
    if (e->type == PROMQL_STRING) {
        v->result.string = arena_str(&v->exec.arena, e->text);
        return SONDE_OK;
    }
    rc = exec_check(&v->exec, err);
    if (rc == SONDE_OK)
        rc = node_make(&v->exec, e, &v->exec.steps, &root, err);
    if (rc != SONDE_OK)
        return rc;
    stats->prepare_seconds = seconds_since(begin);
    begin = clock_ns();
    rc = take_result(v, root, e->type, err);
    stats->eval_seconds = seconds_since(begin) - stats->sort_seconds;
    return rc;
}

static void take_stats(struct evaluation *v)
{
    struct promql_stats *s = &v->result.stats;

    const struct worker *all = v->exec.workers;
    size_t steps = v->exec.steps.count;
    uint64_t pinned = 0;

    for (size_t i = 0; i < v->exec.worker_count; i++) {
        pinned += all[i].pinned;
        s->queryable_samples += all[i].queryable + all[i].pinned * steps;
        s->samples_read += all[i].read;
    }
    s->step_samples = all[0].step_samples;
    for (size_t k = 0; s->step_samples && k < steps; k++) {
        s->step_samples[k] += pinned;
        for (size_t i = 1; i < v->exec.worker_count; i++)
            s->step_samples[k] += all[i].step_samples[k];
    }
    s->step_count = steps;
    s->peak_samples = atomic_load(&v->exec.peak);
    s->series = v->result.count;
}

sonde_code promql_run(const struct promql_query *q, const struct promql_expr *e,
                      struct promql_result **out, struct sonde_err *err)
{
    struct evaluation *v = mem_new(struct evaluation);
    sonde_code rc;

    v->query = *q;
    if (!v->query.lookback_ms)
        v->query.lookback_ms = LOOKBACK_DEFAULT_MS;
    if (!v->query.default_step_ms)
        v->query.default_step_ms = DEFAULT_STEP_MS;
    if (!v->query.max_samples)
        v->query.max_samples = SAMPLES_MAX_DEFAULT;
    v->result.start = q->start;
    v->result.step = q->step;
    exec_init(&v->exec, &v->query);
    if (q->explain)
        v->exec.trace = explain_new(&v->exec);
    rc = spans_check(&v->query, e, err);
    if (rc == SONDE_OK)
        rc = evaluate(v, e, err);
    if (rc != SONDE_OK) {
        promql_result_free(&v->result);
        return rc;
    }
    notes_take(&v->exec, &v->result);
    take_stats(v);
    if (v->exec.trace)
        explain_take(&v->exec, &v->result);
    *out = &v->result;
    return SONDE_OK;
}
