/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From events to counters, as celery-exporter counts.
 *
 * An event is counted under the task's name, the host that sent the event
 * and the task's queue, and at once all other counters of that label set are
 * there with 0, so that a rate exists from the first failure on. Only the
 * counter of task-sent comes alone, for it is a client's and not a worker's.
 *
 * JSON is read without the lock; one message's events are then counted under
 * one lock. What can not be counted is counted as such, by reason; nothing
 * that a message holds is fatal.
 */
#include "state.h"

#include <math.h>

const char *const drop_names[DROP_REASONS] = {
    [DROP_CONTENT_TYPE] = "content_type",
    [DROP_MALFORMED] = "malformed",
    [DROP_LIMIT] = "limit",
};

/* ---- life ---------------------------------------------------------------- */

static sonde_code know_queues(struct state *s, struct sonde_err *err)
{
    const struct sonde_list *queues = &s->options->queues;

    for (size_t i = 0; i < queues->count; i++) {
        if (!fleet_queue(&s->fleet, queues->items[i]))
            return sonde_err_set(err, SONDE_EINVAL,
                                 "queues: \"%.*s\" is no name of a queue, or "
                                 "there are more than queue_limit",
                                 SONDE_ARG(queues->items[i]));
    }
    return SONDE_OK;
}

sonde_code state_init(struct state *s, const struct celery_options *o,
                      struct sonde_err *err)
{
    *s = (struct state){ .options = o };
    (void)pthread_mutex_init(&s->lock, NULL);
    s->tasks.limit = (size_t)o->task_limit;
    s->series.limit = (size_t)o->series_limit;
    s->fleet.worker_limit = (size_t)o->worker_limit;
    s->fleet.queue_limit = (size_t)o->queue_limit;
    s->fleet.node_names = o->node_names;
    if (!options_runtime_bounds(o, &s->series.runtime) ||
        !options_wait_bounds(o, &s->series.wait))
        return sonde_err_set(err, SONDE_EINVAL, "buckets do not rise");
    return know_queues(s, err);
}

void state_fini(struct state *s)
{
    tasks_fini(&s->tasks);
    series_fini(&s->series);
    fleet_fini(&s->fleet);
    (void)pthread_mutex_destroy(&s->lock);
}

/* ---- a task's event ------------------------------------------------------ */

struct labels {
    sonde_str name, queue;
    struct text host;
};

static bool host_label(const struct state *s, sonde_str node, struct text *out)
{
    sonde_str host = s->options->node_names ? node : event_host(node);

    return text_add_utf8(out, host, WORKER_NAME_MAX);
}

static bool show_zeroes(struct series *series, const struct event *e,
                        double now)
{
    if (!series->told) {
        series->told = true;
        series->created = now;
    }
    return e->type == EVENT_FAILED ||
           series_failed(series, (sonde_str){ 0 }, 0, now);
}

static bool count_sent(struct state *s, const struct labels *l,
                       const struct event *e, double now)
{
    const struct celery_options *o = s->options;
    sonde_str generic = SONDE_STR("generic"), host = text_str(&l->host);
    bool hide = o->generic_hostname_task_sent_metric;
    struct series *sent =
        series_get(&s->series, l->name, hide ? generic : host, l->queue);
    struct series *rest = sent;

    if (!hide && o->generic_hostname_worker_task_metric)
        rest = series_get(&s->series, l->name, generic, l->queue);
    if (!sent || !rest)
        return false;
    if (!sent->sent) {
        sent->sent = true;
        sent->created_sent = now;
    }
    sent->counts[EVENT_SENT]++;
    return show_zeroes(rest, e, now);
}

/* From sending, or the time it was sent for, to the start; senders' clocks
 * may disagree, so not below 0. */
static bool observe_wait(struct state *s, struct series *series,
                         const struct task *task, const struct event *e,
                         double now)
{
    double due = task->eta > task->sent ? task->eta : task->sent;

    if (isnan(task->sent) || isnan(e->timestamp))
        return true;
    return series_observe(&series->wait, &s->series.wait,
                          e->timestamp > due ? e->timestamp - due : 0, now);
}

static bool count_worked(struct state *s, const struct labels *l,
                         const struct task *task, const struct event *e,
                         double now)
{
    bool hide = s->options->generic_hostname_worker_task_metric;
    struct series *series =
        series_get(&s->series, l->name,
                   hide ? SONDE_STR("generic") : text_str(&l->host), l->queue);
    bool ok;

    if (!series)
        return false;
    ok = show_zeroes(series, e, now);
    series->counts[e->type]++;
    if (e->type == EVENT_FAILED) {
        struct text name = { 0 };

        ok = text_add_utf8(&name, event_exception(e->exception), 128) &&
             series_failed(series, text_str(&name), 1, now);
        text_fini(&name);
    }
    if (e->type == EVENT_STARTED)
        ok &= observe_wait(s, series, task, e, now);
    if (e->type == EVENT_SUCCEEDED && e->runtime >= 0)
        ok &= series_observe(&series->runtime, &s->series.runtime, e->runtime,
                             now);
    return ok;
}

static bool count_task(struct state *s, const struct event *e, double now)
{
    const struct task *task = tasks_hear(&s->tasks, e);
    struct labels l = { 0 };
    bool ok;

    if (!task)
        return false;
    s->unnamed += task->name == NULL;
    l.name = task->name ? sonde_cstr(task->name) : SONDE_STR("None");
    l.queue =
        task->queue ? sonde_cstr(task->queue) : s->options->default_queue_name;
    ok = host_label(s, e->hostname, &l.host);
    if (e->type == EVENT_SENT && e->queue.len)
        (void)fleet_queue(&s->fleet, e->queue);
    ok = ok && (e->type == EVENT_SENT ? count_sent(s, &l, e, now)
                                      : count_worked(s, &l, task, e, now));
    text_fini(&l.host);
    return ok;
}

/* ---- messages ------------------------------------------------------------ */

static void count(struct state *s, const json_t *object, struct instant at)
{
    struct event e;

    if (!event_read(object, &e)) {
        s->dropped[DROP_MALFORMED]++;
        return;
    }
    s->events[e.type]++;
    if (e.type < EVENT_TASKS)
        s->dropped[DROP_LIMIT] += !count_task(s, &e, at.now);
    else if (e.type != EVENT_OTHER)
        fleet_hear(&s->fleet, &e, at.monotonic);
}

static void count_content_type(struct state *s, sonde_str name)
{
    struct text valid = { 0 };
    size_t i = 0;

    if (!text_add_utf8(&valid, name, sizeof(s->content_types[0].name) - 1)) {
        text_fini(&valid);
        return;
    }
    while (i < s->content_type_count &&
           strcmp(s->content_types[i].name, valid.ptr ? valid.ptr : "") != 0)
        i++;
    if (i == CONTENT_TYPES_MAX) {
        i--;
        (void)snprintf(s->content_types[i].name, 64, "%s", "other");
    } else if (i == s->content_type_count) {
        s->content_type_count++;
        (void)snprintf(s->content_types[i].name, 64, "%s",
                       valid.ptr ? valid.ptr : "");
    }
    s->content_types[i].count++;
    text_fini(&valid);
}

static void count_all(struct state *s, const json_t *root, struct instant at)
{
    if (!json_is_array(root)) {
        count(s, root, at);
        return;
    }
    for (size_t i = 0; i < json_array_size(root); i++)
        count(s, json_array_get(root, i), at);
}

void state_message(struct state *s, sonde_str content_type, sonde_str body,
                   struct instant at)
{
    bool readable = json_is_type(content_type);
    json_t *root = readable ? json_read(body) : NULL;

    (void)pthread_mutex_lock(&s->lock);
    if (!readable) {
        s->dropped[DROP_CONTENT_TYPE]++;
        count_content_type(s, content_type);
    } else if (!root) {
        s->dropped[DROP_MALFORMED]++;
    } else {
        count_all(s, root, at);
    }
    (void)pthread_mutex_unlock(&s->lock);
    json_decref(root);
}

void state_broken(struct state *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->dropped[DROP_MALFORMED]++;
    (void)pthread_mutex_unlock(&s->lock);
}

void state_reply(struct state *s, sonde_str content_type, sonde_str body)
{
    json_t *root = json_is_type(content_type) ? json_read(body) : NULL;

    (void)pthread_mutex_lock(&s->lock);
    if (!fleet_reply(&s->fleet, root))
        s->dropped[DROP_MALFORMED]++;
    (void)pthread_mutex_unlock(&s->lock);
    json_decref(root);
}

/* ---- time passes --------------------------------------------------------- */

void state_purge(struct state *s, struct instant at)
{
    sonde_msec age = s->options->purge_offline_worker_metrics;
    struct text host = { 0 };
    bool gone = false;

    while (age > 0 && fleet_purge(&s->fleet, age, at.monotonic, &gone, &host)) {
        if (gone)
            series_purge(&s->series, text_str(&host));
    }
    text_fini(&host);
}

/* FNV-1a, never 0. */
static uint64_t mark_of(sonde_str payload)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < payload.len; i++)
        h = (h ^ (unsigned char)payload.ptr[i]) * UINT64_C(0x100000001b3);
    return h ? h : 1;
}

void state_tail(struct state *s, sonde_str queue, size_t step,
                sonde_str payload, double now)
{
    uint64_t mark = payload.len ? mark_of(payload) : 0;
    struct envelope e = { 0 };
    bool open = payload.len && envelope_open(payload, &e);
    struct queue *q;

    (void)pthread_mutex_lock(&s->lock);
    s->tails_known = true;
    q = fleet_queue(&s->fleet, queue);
    if (q && step < STEPS_MAX && q->tails[step].mark != mark) {
        double sent = open && e.id.len ? tasks_sent(&s->tasks, e.id) : NAN;

        q->tails[step] = (struct tail){ mark, sent <= now ? sent : now };
    }
    (void)pthread_mutex_unlock(&s->lock);
    envelope_close(&e);
}
