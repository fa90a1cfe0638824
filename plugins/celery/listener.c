/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that hears events for as long as its target lives.
 *
 * Events are published once and kept for nobody, so they have to be heard
 * when they come, not when somebody scrapes. One thread per target connects,
 * subscribes, and counts each message into the state; when the broker is
 * gone it tries again, first after a second, then twice as long each time up
 * to retry_interval.
 *
 * Between messages it does what is due: every inspect_interval it asks the
 * workers for their queues and pools. Their replies come among the events,
 * so nothing waits for a worker that is busy; after inspect_timeout the
 * sums are made. Then the broker is asked for queues and for the next message
 * of each of them, one queue a turn.
 */
#include "listener.h"

#include <signal.h>

#include "shared/clock.h"

#define CONNECT_TIMEOUT 5000 /* ms */
#define BACKOFF_FIRST   1000
#define TURN_MAX        1000
#define MUTE_HEARTBEATS 30

static struct instant instant_now(const struct listener *l)
{
    return (struct instant){ .now = (double)l->host->now() / 1000,
                             .monotonic = l->host->monotonic() };
}

/* ---- being connected ----------------------------------------------------- */

static void set_up(struct listener *l, bool up, const char *why)
{
    struct state *s = l->state;

    (void)pthread_mutex_lock(&s->lock);
    s->up = up;
    s->connects += up;
    s->failures += !up;
    if (up)
        s->up_since = (double)l->host->now() / 1000;
    (void)snprintf(s->error, sizeof(s->error), "%s", why);
    (void)pthread_mutex_unlock(&s->lock);
}

static void say_tried(struct listener *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->tried = true;
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
}

static bool is_stopped(struct listener *l)
{
    bool stop;

    (void)pthread_mutex_lock(&l->lock);
    stop = l->stop;
    (void)pthread_mutex_unlock(&l->lock);
    return stop;
}

static sonde_msec lost(struct listener *l, const struct sonde_err *err)
{
    sonde_msec pause = l->backoff;

    l->connected = false;
    set_up(l, false, err->text);
    if (!l->down_told && !is_stopped(l))
        l->host->log(l->target, SONDE_LOG_WARN,
                     "no events from the broker: %s; trying again", err->text);
    l->down_told = true;
    l->backoff = pause * 2 > l->options->retry_interval
                     ? l->options->retry_interval
                     : pause * 2;
    say_tried(l);
    return pause;
}

static sonde_msec connect_now(struct listener *l)
{
    struct sonde_err err = { 0 };
    sonde_msec now = l->host->monotonic();
    sonde_code rc =
        l->transport->ops->subscribe(l->transport, now + CONNECT_TIMEOUT, &err);

    if (rc != SONDE_OK)
        return lost(l, &err);
    l->connected = true;
    l->backoff = BACKOFF_FIRST < l->options->retry_interval
                     ? BACKOFF_FIRST
                     : l->options->retry_interval;
    l->inspecting = false;
    l->inspect_next = now;
    l->tail = NULL;
    set_up(l, true, "");
    l->host->log(l->target, l->down_told ? SONDE_LOG_INFO : SONDE_LOG_DEBUG,
                 "events are heard%s", l->down_told ? " again" : "");
    l->down_told = false;
    say_tried(l);
    return 0;
}

/* ---- inspection ---------------------------------------------------------- */

static void inspect_failed(struct listener *l, const struct sonde_err *err)
{
    struct state *s = l->state;

    (void)pthread_mutex_lock(&s->lock);
    s->inspect_ok = false;
    (void)snprintf(s->inspect_error, sizeof(s->inspect_error), "%.250s",
                   err->text);
    (void)pthread_mutex_unlock(&s->lock);
    if (!l->refusal_told)
        l->host->log(l->target, SONDE_LOG_WARN,
                     "workers can not be inspected: %s", err->text);
    l->refusal_told = true;
}

static void inspect_begin(struct listener *l, sonde_msec now)
{
    static const char *const questions[] = { "active_queues", "stats" };
    const struct transport_ops *ops = l->transport->ops;
    struct sonde_err err = { 0 };
    sonde_code rc;

    l->inspect_next = now + l->options->inspect_interval;
    l->inspect_since = now;
    l->inspect_until = now + l->options->inspect_timeout;
    /* Those whose heartbeats are rare show themselves. */
    rc = ops->ask(l->transport, "heartbeat", false, now + 1000, &err);
    for (size_t i = 0; i < 2 && rc == SONDE_OK; i++)
        rc = ops->ask(l->transport, questions[i], true, now + 1000, &err);
    if (rc != SONDE_OK) {
        inspect_failed(l, &err);
        return;
    }
    l->inspecting = true;
    (void)pthread_mutex_lock(&l->state->lock);
    fleet_begin(&l->state->fleet);
    (void)pthread_mutex_unlock(&l->state->lock);
}

/* Workers beat, say that they have worked, and no task event came yet. */
static bool is_mute(const struct state *s)
{
    double processed = 0;

    if (s->mute_told || s->events[EVENT_HEARTBEAT] < MUTE_HEARTBEATS)
        return false;
    for (size_t i = EVENT_RECEIVED; i < EVENT_TASKS; i++) {
        if (s->events[i])
            return false;
    }
    for (struct node *n = s->fleet.workers.first; n; n = n->next) {
        struct worker *w = TABLE_OWNER(struct worker, n);

        if (w->processed > 0)
            processed += w->processed;
    }
    return processed > 0;
}

static void add_queue(void *arg, sonde_str name)
{
    struct state *s = arg;

    (void)pthread_mutex_lock(&s->lock);
    (void)fleet_queue(&s->fleet, name);
    (void)pthread_mutex_unlock(&s->lock);
}

static void look_around(struct listener *l, sonde_msec now)
{
    const struct transport_ops *ops = l->transport->ops;
    struct sonde_err err = { 0 };

    if (ops->discover && ops->discover(l->transport, now + 1000, add_queue,
                                       l->state, &err) != SONDE_OK)
        inspect_failed(l, &err);
    if (!ops->tail || !l->options->oldest_message_age)
        return;
    (void)pthread_mutex_lock(&l->state->lock);
    l->tail = l->state->fleet.queues.first;
    (void)pthread_mutex_unlock(&l->state->lock);
}

static void inspect_end(struct listener *l, sonde_msec now)
{
    struct state *s = l->state;
    struct sonde_err err = { 0 };
    sonde_code rc = l->transport->ops->ask_end(l->transport, now + 1000, &err);
    bool mute;

    l->inspecting = false;
    (void)pthread_mutex_lock(&s->lock);
    fleet_end(&s->fleet);
    s->inspect_ok = true;
    s->inspect_last = (double)l->host->now() / 1000;
    s->inspect_seconds = (double)(now - l->inspect_since) / 1000;
    mute = is_mute(s);
    s->mute_told |= mute;
    (void)pthread_mutex_unlock(&s->lock);
    if (mute)
        l->host->log(l->target, SONDE_LOG_WARN,
                     "workers work but send no events of tasks: start them "
                     "with -E, or set worker_send_task_events");
    if (rc != SONDE_OK)
        inspect_failed(l, &err);
    else
        l->refusal_told = false;
    look_around(l, now);
}

struct tail_of {
    struct state *state;
    sonde_str queue;
    double now;
};

static void take_tail(void *arg, size_t step, sonde_str payload)
{
    const struct tail_of *t = arg;

    state_tail(t->state, t->queue, step, payload, t->now);
}

/* Looks at one queue. Queues are never freed before the thread has ended. */
static void look_at_tail(struct listener *l, sonde_msec now)
{
    struct queue *q = TABLE_OWNER(struct queue, l->tail);
    struct tail_of tail = { .state = l->state,
                            .queue = q->node.key,
                            .now = (double)l->host->now() / 1000 };
    struct sonde_err err = { 0 };

    if (l->transport->ops->tail(l->transport, tail.queue, now + 1000, take_tail,
                                &tail, &err) != SONDE_OK) {
        inspect_failed(l, &err);
        l->tail = NULL;
        return;
    }
    (void)pthread_mutex_lock(&l->state->lock);
    l->tail = q->node.next;
    (void)pthread_mutex_unlock(&l->state->lock);
}

/* Does what is due and says until when a message may be waited for. */
static sonde_msec do_due(struct listener *l, sonde_msec now)
{
    sonde_msec until = now + TURN_MAX;
    bool wanted = l->options->inspect_interval > 0;

    if (l->inspecting && now >= l->inspect_until)
        inspect_end(l, now);
    else if (wanted && !l->inspecting && now >= l->inspect_next)
        inspect_begin(l, now);
    else if (l->tail)
        look_at_tail(l, now);
    if (l->tail)
        return now;
    if (l->inspecting && l->inspect_until < until)
        return l->inspect_until;
    return wanted && !l->inspecting && l->inspect_next < until ? l->inspect_next
                                                               : until;
}

/* ---- the thread ---------------------------------------------------------- */

static void take(struct listener *l, const struct message *m)
{
    if (m->kind == MESSAGE_BROKEN)
        state_broken(l->state);
    else if (m->kind == MESSAGE_REPLY)
        state_reply(l->state, m->content_type, m->body);
    else
        state_message(l->state, m->content_type, m->body, instant_now(l));
}

sonde_msec listener_step(struct listener *l)
{
    struct sonde_err err = { 0 };
    struct message m;
    sonde_msec until;
    sonde_code rc;

    if (!l->connected)
        return connect_now(l);
    until = do_due(l, l->host->monotonic());
    rc = l->transport->ops->next(l->transport, until, &m, &err);
    if (rc == SONDE_OK)
        take(l, &m);
    else if (rc != SONDE_EAGAIN)
        return lost(l, &err);
    return 0;
}

/* False when the thread is to end. */
static bool pause_for(struct listener *l, sonde_msec ms)
{
    struct timespec end = clock_after(ms);
    bool go;

    (void)pthread_mutex_lock(&l->lock);
    while (!l->stop && ms > 0 &&
           pthread_cond_timedwait(&l->changed, &l->lock, &end) == 0)
        ;
    go = !l->stop;
    (void)pthread_mutex_unlock(&l->lock);
    return go;
}

static void *run(void *arg)
{
    struct listener *l = arg;

    while (pause_for(l, listener_step(l)))
        ;
    return NULL;
}

void listener_init(struct listener *l)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&l->lock, NULL);
    l->backoff = BACKOFF_FIRST < l->options->retry_interval
                     ? BACKOFF_FIRST
                     : l->options->retry_interval;
}

/* Signals are the agent's business: none is to be delivered here. */
static int spawn(struct listener *l)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, (size_t)512 << 10);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&l->thread, &attr, run, l);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return rc;
}

sonde_code listener_start(struct listener *l, sonde_msec deadline,
                          struct sonde_err *err)
{
    struct timespec end = clock_after(deadline - l->host->monotonic());

    if (!l->running && spawn(l) != 0)
        return sonde_err_set(err, SONDE_EUNAVAILABLE,
                             "no thread for the events can be started");
    l->running = true;
    (void)pthread_mutex_lock(&l->lock);
    while (!l->tried &&
           pthread_cond_timedwait(&l->changed, &l->lock, &end) == 0)
        ;
    (void)pthread_mutex_unlock(&l->lock);
    return SONDE_OK;
}

void listener_stop(struct listener *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->stop = true;
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
    if (l->running) {
        l->transport->ops->wake(l->transport);
        (void)pthread_join(l->thread, NULL);
        l->running = false;
    }
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->lock);
}
