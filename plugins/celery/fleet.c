/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers and queues.
 *
 * A worker is known by its node's name, also when its metrics are shown by
 * host: two workers of one host stay two here, and only what is emitted is
 * put together.
 *
 * An inspection asks all workers for active_queues and stats at once. Each
 * sends a reply to each, in any order, perhaps late. Which question a reply
 * belongs to is seen from its shape (an array of queues; an object with a
 * pool), so late ones are as good as others. When the time is up, the queues'
 * sums are made of those workers that have answered.
 *
 * Queues are never forgotten, as in the exporter: a queue that all workers
 * have left is just what one wants to see.
 */
#include "fleet.h"

#include <math.h>
#include <stdlib.h>

static struct worker *worker_of(struct node *n)
{
    return TABLE_OWNER(struct worker, n);
}

static void worker_free(struct worker *w)
{
    free(w->queues);
    free(w);
}

static struct queue *queue_of(struct node *n)
{
    return TABLE_OWNER(struct queue, n);
}

/* ---- members ------------------------------------------------------------- */

static struct worker *worker_new(struct fleet *f, sonde_str name)
{
    struct worker *w = calloc(1, sizeof(*w) + name.len);

    if (!w)
        return NULL;
    memcpy(w->key, name.ptr, name.len);
    w->name = (sonde_str){ w->key, name.len };
    w->host = f->node_names ? w->name : event_host(w->name);
    w->freq = w->active = w->processed = NAN;
    w->load[0] = w->load[1] = w->load[2] = NAN;
    w->processes = w->pool = w->prefetch = w->uptime = w->max_rss = NAN;
    if (table_add(&f->workers, &w->node, w->name))
        return w;
    free(w);
    return NULL;
}

/* Names as labels may hold them. */
static bool clean(sonde_str name, struct text *out)
{
    return name.len && text_add_utf8(out, name, WORKER_NAME_MAX) && out->len;
}

struct worker *fleet_worker(struct fleet *f, sonde_str node)
{
    struct text name = { 0 };
    struct worker *w = NULL;
    struct node *n;

    if (!clean(node, &name)) {
        text_fini(&name);
        return NULL;
    }
    n = table_find(&f->workers, text_str(&name));
    if (n)
        w = worker_of(n);
    else if (f->workers.count < f->worker_limit)
        w = worker_new(f, text_str(&name));
    f->workers_left_out += w == NULL;
    text_fini(&name);
    return w;
}

static struct queue *queue_new(struct fleet *f, sonde_str name)
{
    struct queue *q = calloc(1, sizeof(*q) + name.len + 1);

    if (!q)
        return NULL;
    memcpy(q->name, name.ptr, name.len);
    if (table_add(&f->queues, &q->node, (sonde_str){ q->name, name.len }))
        return q;
    free(q);
    return NULL;
}

struct queue *fleet_queue(struct fleet *f, sonde_str name)
{
    struct text valid = { 0 };
    struct node *n = table_find(&f->queues, name);
    struct queue *q = NULL;
    bool ok;

    if (n)
        return queue_of(n);
    /* The name is a key in the broker as well as a label: one that would
     * have to be changed for the label is none. */
    ok = clean(name, &valid) && sonde_str_eq(text_str(&valid), name);
    text_fini(&valid);
    if (ok && f->queues.count < f->queue_limit)
        q = queue_new(f, name);
    f->queues_left_out += q == NULL;
    return q;
}

/* ---- events -------------------------------------------------------------- */

static void keep(char out[64], sonde_str s)
{
    struct text t = { 0 };

    if (s.len && text_add_utf8(&t, s, 63)) {
        memcpy(out, t.ptr, t.len + 1);
    }
    text_fini(&t);
}

void fleet_hear(struct fleet *f, const struct event *e, sonde_msec now)
{
    struct worker *w = fleet_worker(f, e->hostname);

    if (!w)
        return;
    w->heard = true;
    w->seen = now;
    w->online = e->type != EVENT_OFFLINE;
    w->beats |= e->type == EVENT_HEARTBEAT;
    w->freq = e->freq;
    keep(w->software[0], e->sw_ident);
    keep(w->software[1], e->sw_ver);
    keep(w->software[2], e->sw_sys);
    if (isnan(e->active)) /* the answer to a `heartbeat` command is short */
        return;
    w->active = e->active;
    w->processed = e->processed;
    memcpy(w->load, e->load, sizeof(w->load));
}

bool fleet_is_up(const struct worker *w, sonde_msec timeout, sonde_msec now)
{
    return w->online && (timeout == 0 || now - w->seen <= timeout);
}

static bool host_is_known(const struct fleet *f, sonde_str host)
{
    for (struct node *n = f->workers.first; n; n = n->next) {
        if (sonde_str_eq(worker_of(n)->host, host))
            return true;
    }
    return false;
}

/* Silent for longer than `age`, or never heard and no longer answering. */
static bool is_purged(const struct fleet *f, const struct worker *w,
                      sonde_msec age, sonde_msec now)
{
    if (w->heard)
        return now - w->seen > age;
    return f->inspections > 2 && w->round + 2 < f->round;
}

bool fleet_purge(struct fleet *f, sonde_msec age, sonde_msec now, bool *gone,
                 struct text *host)
{
    TABLE_EACH(&f->workers, n, after)
    {
        struct worker *w = worker_of(n);

        if (!is_purged(f, w, age, now))
            continue;
        text_clear(host);
        table_remove(&f->workers, n);
        *gone = text_add(host, w->host.ptr, w->host.len) &&
                !host_is_known(f, text_str(host));
        worker_free(w);
        return true;
    }
    return false;
}

/* ---- inspection ---------------------------------------------------------- */

void fleet_begin(struct fleet *f)
{
    f->round++;
}

static void read_queues(struct fleet *f, struct worker *w, const json_t *list)
{
    size_t n = json_array_size(list);
    struct queue **queues;

    if (n > WORKER_QUEUES_MAX)
        n = WORKER_QUEUES_MAX;
    queues = realloc(w->queues, (n + 1) * sizeof(struct queue *));
    if (!queues)
        return;
    w->queues = queues;
    w->queue_count = 0;
    for (size_t i = 0; i < n; i++) {
        sonde_str name = member_text(json_array_get(list, i), "name");
        struct queue *q = name.len ? fleet_queue(f, name) : NULL;

        if (q)
            w->queues[w->queue_count++] = q;
    }
}

/* `threads` pools list no processes: their size is what works at once. */
static void read_stats(struct worker *w, const json_t *stats)
{
    const json_t *pool = json_object_get(stats, "pool");
    const json_t *processes = json_object_get(pool, "processes");
    const json_t *usage = json_object_get(stats, "rusage");

    w->pool = member_number(pool, "max-concurrency");
    w->processes =
        json_is_array(processes) ? (double)json_array_size(processes) : w->pool;
    w->prefetch = member_number(stats, "prefetch_count");
    w->uptime = member_number(stats, "uptime");
    w->max_rss = member_number(usage, "maxrss") * 1024;
}

bool fleet_reply(struct fleet *f, const json_t *body)
{
    const char *node;
    json_t *result;

    if (!json_is_object(body))
        return false;
    json_object_foreach((json_t *)(uintptr_t)body, node, result)
    {
        struct worker *w = fleet_worker(f, sonde_cstr(node));

        if (!w)
            continue;
        if (json_is_array(result))
            read_queues(f, w, result);
        else if (json_is_object(json_object_get(result, "pool")))
            read_stats(w, result);
        else
            continue;
        w->round = f->round;
    }
    return true;
}

void fleet_end(struct fleet *f)
{
    for (struct node *n = f->queues.first; n; n = n->next) {
        queue_of(n)->workers = 0;
        queue_of(n)->processes = 0;
    }
    f->replied = 0;
    for (struct node *n = f->workers.first; n; n = n->next) {
        struct worker *w = worker_of(n);

        if (w->round != f->round)
            continue;
        f->replied++;
        for (size_t i = 0; i < w->queue_count; i++) {
            w->queues[i]->workers++;
            w->queues[i]->processes += w->processes > 0 && w->processes < 1e6
                                           ? (int64_t)w->processes
                                           : 0;
        }
    }
    f->inspections++;
}

void fleet_fini(struct fleet *f)
{
    TABLE_EACH(&f->workers, w, after)
    {
        worker_free(worker_of(w));
    }
    TABLE_EACH(&f->queues, q, after)
    {
        free(queue_of(q));
    }
    table_fini(&f->workers);
    table_fini(&f->queues);
}
