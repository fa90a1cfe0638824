/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the state to the sink.
 *
 * Series are emitted in the order in which they came to be, so a collection
 * looks like the one before it. Metrics of workers that have the same label
 * hostname are put together first: the exporter lets the last one win.
 */
#include "emit.h"

#include <math.h>
#include <stdlib.h>

static void sample(const struct emit *e, size_t family, const sonde_str *labels,
                   double value)
{
    (void)e->host->sample(e->sink, family, labels, value);
}

/* What was not told is left out. */
static void told(const struct emit *e, size_t family, const sonde_str *labels,
                 double value)
{
    if (!isnan(value))
        sample(e, family, labels, value);
}

/* ---- tasks --------------------------------------------------------------- */

static void emit_counter(const struct emit *e, const struct state *s,
                         const struct series *r, size_t type, double created)
{
    const sonde_str *labels = SONDE_LABELS(r->name, r->host, r->queue);

    sample(e, F_TASKS + type, labels, (double)r->counts[type]);
    if (s->options->created_series)
        sample(e, F_TASKS_CREATED + type, labels, created);
}

static void emit_failures(const struct emit *e, const struct state *s,
                          const struct series *r)
{
    for (size_t i = 0; i < r->failure_count; i++) {
        const struct failure *f = &r->failures[i];
        const sonde_str *labels =
            SONDE_LABELS(r->name, r->host, sonde_cstr(f->exception), r->queue);

        sample(e, F_TASKS + EVENT_FAILED, labels, (double)f->count);
        if (s->options->created_series)
            sample(e, F_TASKS_CREATED + EVENT_FAILED, labels, f->created);
    }
}

static void emit_histogram(const struct emit *e, const struct state *s,
                           const struct series *r, size_t family)
{
    const struct histogram *h = family == F_RUNTIME ? r->runtime : r->wait;
    const struct bounds *b =
        family == F_RUNTIME ? &s->series.runtime : &s->series.wait;
    const sonde_str *labels = SONDE_LABELS(r->name, r->host, r->queue);
    struct sonde_bucket buckets[BOUNDS_MAX];
    uint64_t sum = 0;

    if (!h)
        return;
    for (size_t i = 0; i < b->count; i++) {
        sum += h->counts[i];
        buckets[i] = (struct sonde_bucket){ b->upper[i], sum };
    }
    (void)e->host->histogram(e->sink, family, labels, buckets, b->count,
                             h->count, h->sum);
    if (s->options->created_series)
        sample(e, family + 1, labels, h->created);
}

static void emit_tasks(const struct emit *e, const struct state *s)
{
    for (struct node *n = s->series.table.first; n; n = n->next) {
        const struct series *r = TABLE_OWNER(struct series, n);

        if (r->sent)
            emit_counter(e, s, r, EVENT_SENT, r->created_sent);
        for (size_t i = EVENT_RECEIVED; i < EVENT_TASKS && r->told; i++) {
            if (i != EVENT_FAILED)
                emit_counter(e, s, r, i, r->created);
        }
        emit_failures(e, s, r);
        emit_histogram(e, s, r, F_RUNTIME);
        emit_histogram(e, s, r, F_WAIT);
    }
}

/* ---- workers ------------------------------------------------------------- */

/* What one value of the label hostname stands for. */
struct host_row {
    struct node node;
    bool up, beats, heard;
    double age, interval, active, processed, load[3];
    double pool, prefetch, uptime, max_rss;
};

static double add(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : a + b;
}

static double most(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

static void join(struct host_row *h, const struct emit *e,
                 const struct state *s, const struct worker *w)
{
    sonde_msec silent = e->at.monotonic - w->seen;
    bool up =
        w->heard && fleet_is_up(w, s->options->worker_timeout, e->at.monotonic);

    h->up |= up;
    h->heard |= w->heard;
    h->beats |= w->beats;
    if (w->heard && w->online) {
        h->age = most(h->age, (double)silent / 1000);
        h->interval = most(h->interval, w->freq);
    }
    if (up)
        h->active = add(h->active, w->active);
    h->processed = add(h->processed, w->processed);
    for (size_t i = 0; i < 3; i++)
        h->load[i] = most(h->load[i], w->load[i]);
    h->pool = add(h->pool, w->pool);
    h->prefetch = add(h->prefetch, w->prefetch);
    h->uptime = most(h->uptime, w->uptime);
    h->max_rss = most(h->max_rss, w->max_rss);
}

static void emit_host(const struct emit *e, const struct host_row *h)
{
    static const char *const minutes[] = { "1", "5", "15" };
    const sonde_str *labels = &h->node.key;

    if (h->heard)
        sample(e, F_WORKER_UP, labels, h->up);
    if (h->beats || (h->heard && !h->up))
        sample(e, F_WORKER_ACTIVE, labels, isnan(h->active) ? 0 : h->active);
    told(e, F_HEARTBEAT_AGE, labels, h->age);
    told(e, F_HEARTBEAT_INTERVAL, labels, h->interval);
    told(e, F_PROCESSED, labels, h->processed);
    for (size_t i = 0; i < 3; i++)
        told(e, F_LOAD, SONDE_LABELS(*labels, sonde_cstr(minutes[i])),
             h->load[i]);
    told(e, F_POOL, labels, h->pool);
    told(e, F_PREFETCH, labels, h->prefetch);
    told(e, F_UPTIME, labels, h->uptime);
    told(e, F_MAX_RSS, labels, h->max_rss);
}

static void emit_info(const struct emit *e, const struct worker *w)
{
    if (w->software[0][0])
        sample(e, F_WORKER_INFO,
               SONDE_LABELS(w->host, w->name, sonde_cstr(w->software[0]),
                            sonde_cstr(w->software[1]),
                            sonde_cstr(w->software[2])),
               1);
}

static struct host_row *row_of(struct table *hosts, struct host_row *rows,
                               sonde_str host)
{
    struct node *n = table_find(hosts, host);
    struct host_row *row;

    if (n)
        return TABLE_OWNER(struct host_row, n);
    row = &rows[hosts->count];
    *row = (struct host_row){ .age = NAN,
                              .interval = NAN,
                              .active = NAN,
                              .processed = NAN,
                              .load = { NAN, NAN, NAN },
                              .pool = NAN,
                              .prefetch = NAN,
                              .uptime = NAN,
                              .max_rss = NAN };
    return table_add(hosts, &row->node, host) ? row : NULL;
}

static void emit_workers(const struct emit *e, const struct state *s)
{
    struct table hosts = { 0 };
    struct host_row *rows = calloc(s->fleet.workers.count + 1, sizeof(*rows));

    for (struct node *n = s->fleet.workers.first; n && rows; n = n->next) {
        const struct worker *w = TABLE_OWNER(struct worker, n);
        struct host_row *row = row_of(&hosts, rows, w->host);

        if (row)
            join(row, e, s, w);
        emit_info(e, w);
    }
    for (struct node *n = hosts.first; n; n = n->next)
        emit_host(e, TABLE_OWNER(struct host_row, n));
    table_fini(&hosts);
    free(rows);
}

/* ---- ourselves ----------------------------------------------------------- */

static void emit_self(const struct emit *e, const struct state *s)
{
    sample(e, F_UP, NULL, s->up);
    sample(e, F_CONNECTS, NULL, (double)s->connects);
    sample(e, F_FAILURES, NULL, (double)s->failures);
    if (s->up)
        sample(e, F_UP_SINCE, NULL, s->up_since);
    for (size_t i = 0; i < EVENT_TYPES; i++)
        sample(e, F_EVENTS, SONDE_LABELS(sonde_cstr(event_names[i])),
               (double)s->events[i]);
    for (size_t i = 0; i < DROP_REASONS; i++)
        sample(e, F_DROPPED, SONDE_LABELS(sonde_cstr(drop_names[i])),
               (double)s->dropped[i]);
    for (size_t i = 0; i < s->content_type_count; i++)
        sample(e, F_CONTENT_TYPES,
               SONDE_LABELS(sonde_cstr(s->content_types[i].name)),
               (double)s->content_types[i].count);
    sample(e, F_UNNAMED, NULL, (double)s->unnamed);
    sample(e, F_TASKS_KNOWN, NULL, (double)s->tasks.live.count);
    sample(e, F_TASKS_EVICTED, NULL, (double)s->tasks.evicted);
    sample(e, F_LEFT_OUT, SONDE_LABELS(SONDE_STR("queue")),
           (double)s->fleet.queues_left_out);
    sample(e, F_LEFT_OUT, SONDE_LABELS(SONDE_STR("worker")),
           (double)s->fleet.workers_left_out);
}

void emit_state(const struct emit *e, const struct state *s)
{
    emit_tasks(e, s);
    emit_workers(e, s);
    emit_self(e, s);
}

/* ---- queues -------------------------------------------------------------- */

void emit_sizes(const struct emit *e, const struct sizes *sizes,
                const int *steps, size_t step_count)
{
    for (size_t i = 0; i < sizes->count; i++) {
        const struct queue_size *q = &sizes->sizes[i];
        sonde_str name = sizes->queues[i];
        bool known = q->messages >= 0;

        sample(e, F_QUEUE_LENGTH, &name, known ? (double)q->messages : 0);
        if (step_count == 0) {
            sample(e, F_CONSUMERS, &name, known ? (double)q->consumers : 0);
            continue;
        }
        for (size_t k = 0; k < step_count; k++) {
            char number[16];

            (void)snprintf(number, sizeof(number), "%d", steps[k]);
            sample(e, F_PRIORITY_LENGTH, SONDE_LABELS(name, sonde_cstr(number)),
                   (double)q->steps[k]);
        }
    }
    if (sizes->unacked >= 0)
        sample(e, F_UNACKED, NULL, (double)sizes->unacked);
}

/* Since when the one waits that has waited longest of the next ones. */
static double oldest(const struct queue *q, double now)
{
    double age = 0;

    for (size_t i = 0; i < STEPS_MAX; i++) {
        if (q->tails[i].mark)
            age = most(age, now - q->tails[i].waiting);
    }
    return age;
}

void emit_fleet(const struct emit *e, const struct state *s)
{
    for (struct node *n = s->fleet.queues.first; n; n = n->next) {
        const struct queue *q = TABLE_OWNER(struct queue, n);

        sample(e, F_WORKERS, &n->key, (double)q->workers);
        sample(e, F_PROCESSES, &n->key, (double)q->processes);
        if (s->tails_known)
            sample(e, F_OLDEST, &n->key, oldest(q, e->at.now));
    }
    sample(e, F_INSPECT_REPLIES, NULL, (double)s->fleet.replied);
    sample(e, F_INSPECT_SECONDS, NULL, s->inspect_seconds);
    sample(e, F_INSPECT_LAST, NULL, s->inspect_last);
}
