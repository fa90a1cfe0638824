/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A query on a data directory: the store is opened for reading, without its
 * lock, so a server may be using it; what that one has only in memory is read
 * from its log. Without a time the newest sample's is taken: a directory that
 * nobody writes any more has nothing to say about now.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/query_cmd.h"
#include "tsdb/tsdb.h"
#include "util/clock.h"
#include "util/parallel.h"
#include "util/str.h"

#define HELPERS_MAX 31

/* ---- results --------------------------------------------------------------
 */

static const struct answer_histogram *copy_histogram(struct arena *a,
                                                     const struct histogram *h)
{
    struct answer_histogram *out = arena_new(a, struct answer_histogram);
    struct promql_buckets *all = promql_buckets(a, h);
    struct promql_bucket b;
    size_t cap = h->negative.bucket_count + h->positive.bucket_count + 1;

    out->count = h->is_float ? h->count.f : (double)h->count.i;
    out->sum = h->sum;
    out->buckets = arena_array(a, struct promql_bucket, cap);
    while (out->bucket_count < cap && promql_buckets_next(all, &b))
        out->buckets[out->bucket_count++] = b;
    return out;
}

static struct answer_series copy_series(struct arena *a,
                                        const struct promql_result *r,
                                        const struct promql_series *s)
{
    struct answer_series out = { .labels = labels_dup(a, &s->labels) };

    out.points = arena_array(a, struct answer_point, s->count);
    for (size_t i = 0; i < s->count; i++) {
        const struct histogram *h = s->h ? s->h[i] : NULL;

        if (!s->t && promql_absent(s->v[i]))
            continue;
        out.points[out.count++] = (struct answer_point){
            .t = s->t ? s->t[i] : r->start + (sonde_msec)i * r->step,
            .v = s->v[i],
            .h = h ? copy_histogram(a, h) : NULL,
        };
    }
    return out;
}

static void copy_scalar(struct answer *out, const struct promql_result *r)
{
    struct answer_series *s = arena_new(out->arena, struct answer_series);

    s->points = arena_new(out->arena, struct answer_point);
    s->points[0] = (struct answer_point){ .t = r->start, .v = r->scalar };
    s->count = 1;
    out->kind = ANSWER_SCALAR;
    out->series = s;
    out->count = 1;
}

static void copy_string(struct answer *out, const struct promql_result *r)
{
    sonde_str *s = arena_new(out->arena, sonde_str);

    *s = arena_str(out->arena, r->string);
    out->kind = ANSWER_STRING;
    out->strings = (struct sonde_list){ s, 1 };
}

static void copy_plan(struct answer *out, const struct promql_result *r)
{
    out->plan = arena_array(out->arena, struct promql_plan_node, r->plan_count);
    for (size_t i = 0; i < r->plan_count; i++) {
        out->plan[i] = r->plan[i];
        out->plan[i].text = arena_str(out->arena, r->plan[i].text);
    }
    out->plan_count = r->plan_count;
    out->stats = r->stats;
}

static void copy_result(struct answer *out, const struct promql_result *r)
{
    struct arena *a = out->arena;

    out->t = r->start;
    out->notes = arena_array(a, struct answer_note, r->note_count);
    for (size_t i = 0; i < r->note_count; i++)
        out->notes[out->note_count++] =
            (struct answer_note){ r->notes[i].warning,
                                  arena_str(a, r->notes[i].text) };
    copy_plan(out, r);
    if (r->type == PROMQL_SCALAR) {
        copy_scalar(out, r);
        return;
    }
    if (r->type == PROMQL_STRING) {
        copy_string(out, r);
        return;
    }
    out->kind = r->type == PROMQL_VECTOR ? ANSWER_VECTOR : ANSWER_MATRIX;
    out->series = arena_array(a, struct answer_series, r->count);
    for (size_t i = 0; i < r->count; i++)
        out->series[i] = copy_series(a, r, &r->series[i]);
    out->count = r->count;
}

/* ---- expressions ----------------------------------------------------------
 */

static uint64_t process_cpu_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static size_t helpers(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores > HELPERS_MAX ? HELPERS_MAX
           : cores > 1         ? (size_t)cores - 1
                               : 0;
}

static sonde_code run(struct promql_query *p, const struct promql_expr *e,
                      struct answer *out, struct sonde_err *err)
{
    uint64_t wall = clock_ns(), cpu = process_cpu_ns();
    struct promql_result *r;
    sonde_code rc;

    p->pool = parallel_new(helpers());
    out->threads = parallel_workers(p->pool);
    rc = promql_run(p, e, &r, err);
    out->wall_ns = clock_ns() - wall;
    out->cpu_ns = process_cpu_ns() - cpu;
    if (rc == SONDE_OK) {
        copy_result(out, r);
        promql_result_free(r);
    }
    parallel_free(p->pool);
    return rc;
}

static sonde_code check_type(const struct query *q, const struct promql_expr *e,
                             struct sonde_err *err)
{
    if (q->kind == QUERY_INSTANT || e->type == PROMQL_SCALAR ||
        e->type == PROMQL_VECTOR)
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EINVAL,
                         "invalid expression type \"%s\" for range query, "
                         "must be Scalar or instant Vector",
                         promql_type_name(e->type));
}

static sonde_code ask_expression(struct storage *s, const struct query *q,
                                 struct answer *out, struct sonde_err *err)
{
    bool range = q->kind == QUERY_RANGE;
    const struct promql_limits limits = { .features = q->features };
    struct promql_query p = {
        .text = sonde_cstr(q->text),
        .storage = s,
        .start = range ? q->start.t : q->time.t,
        .end = range ? q->end.t : q->time.t,
        .step = range ? q->step : 0,
        .lookback_ms = q->lookback_ms,
        .features = q->features,
        .explain = q->explain,
    };
    struct promql_expr *e = NULL;
    sonde_code rc = promql_parse(out->arena, p.text, &limits, &e, err);

    if (q->timeout_ms)
        p.deadline_ms = clock_monotonic(&clock_system) + q->timeout_ms;
    if (rc == SONDE_OK)
        rc = check_type(q, e, err);
    if (rc == SONDE_OK)
        rc = run(&p, e, out, err);
    if (e)
        promql_fini(e);
    return rc;
}

/* ---- series and labels ------------------------------------------------------
 */

static void add_series(struct answer *out, size_t *cap, const struct labels *l)
{
    if (out->count == *cap) {
        struct answer_series *more;

        *cap = *cap ? *cap * 2 : 64;
        more = arena_array(out->arena, struct answer_series, *cap);
        if (out->count)
            memcpy(more, out->series, out->count * sizeof(*more));
        out->series = more;
    }
    out->series[out->count++].labels = labels_dup(out->arena, l);
}

static int by_labels(const void *a, const void *b)
{
    const struct answer_series *x = a, *y = b;

    return labels_cmp(&x->labels, &y->labels);
}

/* Sorted, each once: selectors may overlap. */
static void unite_series(struct answer *out)
{
    size_t n = 0;

    if (out->count)
        qsort(out->series, out->count, sizeof(*out->series), by_labels);
    for (size_t i = 0; i < out->count; i++)
        if (n == 0 ||
            !labels_eq(&out->series[n - 1].labels, &out->series[i].labels))
            out->series[n++] = out->series[i];
    out->count = n;
}

struct selecting {
    struct querier *querier;
    const struct query *query;
    struct answer *out;
    size_t cap;
};

static sonde_code select_series(struct selecting *s, const struct matcher *ms,
                                size_t n, struct sonde_err *err)
{
    const struct select_hints hints = { s->query->start.t, s->query->end.t, 0 };
    struct storage_series *series;
    struct series_set *set;
    sonde_code rc =
        s->querier->ops->select(s->querier, ms, n, &hints, &set, err);

    if (rc != SONDE_OK)
        return rc;
    while ((rc = set->ops->next(set, &series, err)) == SONDE_OK)
        add_series(s->out, &s->cap, &series->labels);
    set->ops->free(set);
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

/* Values of one more selector, added to those that are there. */
static void unite_strings(struct arena *a, struct sonde_list *all,
                          const struct sonde_list *more)
{
    sonde_str *items = arena_array(a, sonde_str, all->count + more->count);
    size_t n = 0, i = 0, k = 0;

    while (i < all->count || k < more->count) {
        int order = i == all->count    ? 1
                    : k == more->count ? -1
                                       : str_cmp(all->items[i], more->items[k]);

        items[n++] = order <= 0 ? all->items[i] : more->items[k];
        i += order <= 0;
        k += order >= 0;
    }
    *all = (struct sonde_list){ items, n };
}

static sonde_code select_values(struct selecting *s, const struct matcher *ms,
                                size_t n, struct sonde_err *err)
{
    const struct select_hints hints = { s->query->start.t, s->query->end.t, 0 };
    sonde_str label = sonde_cstr(s->query->text);
    struct sonde_list values = { 0 };
    sonde_code rc = s->querier->ops->label_values(
        s->querier, &label, ms, n, &hints, s->out->arena, &values, err);

    if (rc == SONDE_OK)
        unite_strings(s->out->arena, &s->out->strings, &values);
    return rc;
}

static sonde_code select_match(struct selecting *s, sonde_str selector,
                               struct sonde_err *err)
{
    bool series = s->query->kind == QUERY_SERIES;
    struct matcher *ms = NULL;
    size_t n = 0;
    sonde_code rc =
        promql_parse_selector(s->out->arena, selector, &ms, &n, err);

    if (rc == SONDE_OK)
        rc = series ? select_series(s, ms, n, err)
                    : select_values(s, ms, n, err);
    for (size_t i = 0; i < n; i++)
        matcher_fini(&ms[i]);
    return rc;
}

static void take_warnings(struct selecting *s)
{
    struct sonde_list w = querier_warnings(s->querier, s->out->arena);

    s->out->notes = arena_array(s->out->arena, struct answer_note, w.count);
    for (size_t i = 0; i < w.count; i++)
        s->out->notes[s->out->note_count++] =
            (struct answer_note){ true, w.items[i] };
}

static sonde_code ask_index(struct storage *store, const struct query *q,
                            struct answer *out, struct sonde_err *err)
{
    struct selecting s = { .query = q, .out = out };
    sonde_code rc =
        store->ops->querier(store, q->start.t, q->end.t, &s.querier, err);

    if (rc != SONDE_OK)
        return rc;
    for (size_t i = 0; rc == SONDE_OK && i < q->matches.count; i++)
        rc = select_match(&s, q->matches.items[i], err);
    if (rc == SONDE_OK && q->kind == QUERY_LABELS && q->matches.count == 0)
        rc = select_values(&s, NULL, 0, err);
    if (rc == SONDE_OK) {
        out->kind = q->kind == QUERY_SERIES ? ANSWER_SERIES : ANSWER_VALUES;
        unite_series(out);
        take_warnings(&s);
    }
    s.querier->ops->free(s.querier);
    return rc;
}

/* ---- the directory ----------------------------------------------------------
 */

/* Of the newest sample, or of now if that is sooner or there is none. */
static sonde_msec newest(struct tsdb *db)
{
    sonde_msec now = clock_now(&clock_system), t = INT64_MIN;
    struct tsdb_stats stats;
    struct block **blocks;
    size_t n;

    tsdb_stats(db, &stats);
    if (stats.min_time <= stats.max_time)
        t = stats.max_time;
    blocks = tsdb_blocks(db, &n);
    for (size_t i = 0; i < n; i++)
        if (block_meta(blocks[i])->maxt - 1 > t)
            t = block_meta(blocks[i])->maxt - 1;
    tsdb_blocks_free(blocks, n);
    return t == INT64_MIN || t > now ? now : t;
}

sonde_code query_ask_data(const char *dir, struct query *q, struct answer *out,
                          struct sonde_err *err)
{
    const struct tsdb_options options = { .clock = &clock_system,
                                          .read_only = true,
                                          .no_lockfile = true,
                                          .no_thread = true };
    struct tsdb *db;
    sonde_code rc = tsdb_open(dir, &options, &db, err);

    if (rc != SONDE_OK)
        return rc;
    rc = query_times(q, newest(db), err);
    out->start = q->start.t;
    out->end = q->end.t;
    out->step = q->step;
    if (rc == SONDE_OK)
        rc = q->kind == QUERY_INSTANT || q->kind == QUERY_RANGE
                 ? ask_expression(tsdb_storage(db), q, out, err)
                 : ask_index(tsdb_storage(db), q, out, err);
    tsdb_close(db);
    return rc;
}
