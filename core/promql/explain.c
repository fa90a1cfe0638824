/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXPLAIN: what each node of a query costs in time, rows and samples.
 *
 * A node works at two times: when it is made (aggregations and sorting do all
 * of it then), and whenever one of its rows is asked for. Both are metered:
 * the first around the making, the second by operations that are put in front
 * of the node's own, so that an evaluation nobody asked about calls the
 * node's directly. What helpers do in a loop while a node is made is metered
 * piece by piece.
 *
 * A meter that runs while another of the same thread does counts for both,
 * which makes figures inclusive; who wants a node's own share subtracts those
 * of the nodes right below. Times are added up over the threads: the wall
 * time of a node may be more than that of the query.
 *
 * Threads: nodes are made by one; rows come from many, each with counters of
 * its own.
 */
#include "promql/explain.h"

#include <time.h>

#include "util/clock.h"

struct counters {
    struct explain_meter meter;
    uint64_t rows;
};
struct trace_node {
    struct trace_node *next, *parent; /* in the order of the makings      */
    const struct promql_expr *expr;
    struct steps steps;
    size_t series, rows; /* rows: those that were there when it was made  */
    unsigned depth;
    struct counters *by_worker;
    struct explain_meter began; /* when the making did                    */
    /* What stands in front of the node's operations. */
    struct node_ops ops;
    const struct node_ops *real;
};
struct trace {
    struct trace_node *first, **last, *current; /* the one being made     */
    size_t count;
};

/* ---- meters ---------------------------------------------------------------
 */

static uint64_t cpu_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct explain_meter meter_now(const struct worker *w)
{
    return (struct explain_meter){ clock_ns(), cpu_ns(), w->read };
}

static void meter_add(struct explain_meter *m, const struct worker *w,
                      const struct explain_meter *began)
{
    struct explain_meter now = meter_now(w);

    m->wall_ns += now.wall_ns - began->wall_ns;
    m->cpu_ns += now.cpu_ns - began->cpu_ns;
    m->samples += now.samples - began->samples;
}

struct explain_meter explain_piece_begin(const struct worker *w)
{
    return meter_now(w);
}

/* Worker 0 is the one that makes the node: its time is metered already. */
void explain_piece_end(struct worker *w, const struct explain_meter *began)
{
    struct trace_node *t = w->exec->trace->current;

    for (; w->number != 0 && t; t = t->parent)
        meter_add(&t->by_worker[w->number].meter, w, began);
}

/* ---- rows -----------------------------------------------------------------
 */

static sonde_code traced_row(struct node *n, size_t i, struct worker *w,
                             struct row *out, struct sonde_err *err)
{
    struct counters *c = &n->trace->by_worker[w->number];
    struct explain_meter began = meter_now(w);
    sonde_code rc = n->trace->real->row(n, i, w, out, err);

    meter_add(&c->meter, w, &began);
    c->rows++;
    return rc;
}

static sonde_code traced_columns(struct node *n, size_t i, struct worker *w,
                                 struct columns **out, struct sonde_err *err)
{
    struct counters *c = &n->trace->by_worker[w->number];
    struct explain_meter began = meter_now(w);
    sonde_code rc = n->trace->real->columns(n, i, w, out, err);

    meter_add(&c->meter, w, &began);
    c->rows++;
    return rc;
}

static void watch(struct trace_node *t, struct node *n)
{
    t->series = n->count;
    if (n->trace)
        return; /* what it was made of, unchanged                         */
    if (node_is_kept(n)) {
        t->rows = n->count;
        return;
    }
    t->real = n->ops;
    t->ops =
        (struct node_ops){ .row = n->ops->row ? traced_row : NULL,
                           .columns = n->ops->columns ? traced_columns : NULL };
    n->ops = &t->ops;
    n->trace = t;
}

/* ---- making ---------------------------------------------------------------
 */

struct trace *explain_new(struct exec *x)
{
    struct trace *t = arena_new(&x->arena, struct trace);

    t->last = &t->first;
    return t;
}

struct trace_node *explain_begin(struct exec *x, const struct promql_expr *e,
                                 const struct steps *steps)
{
    struct trace *trace = x->trace;
    struct trace_node *t = arena_new(&x->arena, struct trace_node);

    t->expr = e;
    t->steps = *steps;
    t->parent = trace->current;
    t->depth = t->parent ? t->parent->depth + 1 : 0;
    t->by_worker = arena_array(&x->arena, struct counters, x->worker_count);
    t->began = meter_now(&x->workers[0]);
    *trace->last = t;
    trace->last = &t->next;
    trace->current = t;
    trace->count++;
    return t;
}

void explain_end(struct exec *x, struct trace_node *t, struct node *n)
{
    meter_add(&t->by_worker[0].meter, &x->workers[0], &t->began);
    x->trace->current = t->parent;
    if (n)
        watch(t, n);
}

/* ---- the plan --------------------------------------------------------------
 */

static struct promql_plan_node summed(const struct exec *x,
                                      const struct trace_node *t)
{
    struct promql_plan_node p = {
        .depth = t->depth,
        .steps = t->steps.count,
        .series = t->series,
        .rows = t->rows,
    };

    for (size_t i = 0; i < x->worker_count; i++) {
        const struct counters *c = &t->by_worker[i];

        p.rows += c->rows;
        p.samples += c->meter.samples;
        p.wall_ns += c->meter.wall_ns;
        p.cpu_ns += c->meter.cpu_ns;
    }
    return p;
}

void explain_take(struct exec *x, struct promql_result *r)
{
    struct buf text;
    size_t n = 0;

    buf_init(&text);
    r->plan = arena_array(&x->arena, struct promql_plan_node, x->trace->count);
    for (struct trace_node *t = x->trace->first; t; t = t->next) {
        r->plan[n] = summed(x, t);
        buf_reset(&text);
        promql_print(&text, t->expr);
        r->plan[n++].text = arena_str(&x->arena, buf_str(&text));
    }
    r->plan_count = n;
    buf_fini(&text);
}
