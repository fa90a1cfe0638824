/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue under a mutex. It needs no bound of its own: a target has at most
 * one collection under way, so the queue is never longer than there are
 * targets. A collection whose deadline passes while it waits is not started:
 * its target would only be late for the next one.
 */
#include "scrape/collectors.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "scrape/collection.h"
#include "scrape/loop.h"
#include "util/clock.h"
#include "util/mem.h"

#define IDLE_MS       30000
#define STOP_GRACE_MS 2000
#define STACK_BYTES   ((size_t)512 << 10)

struct collectors {
    size_t threads_max;
    struct metric *running;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t work, gone;
    struct collection *first, **last;
    size_t queued, threads, idle;
    bool stopping;
    pthread_t dead; /* the thread that ended last, to be joined            */
    bool any_dead;
};

struct collectors *collectors_new(size_t threads_max,
                                  struct selfmetrics *metrics)
{
    struct collectors *p = mem_new(struct collectors);
    pthread_condattr_t attr;

    p->threads_max = threads_max;
    p->last = &p->first;
    p->running = selfmetrics_gauge(metrics, "sonde_collector_threads",
                                   "Threads on which plugins collect.", NULL);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->work, &attr);
    (void)pthread_cond_init(&p->gone, &attr);
    (void)pthread_condattr_destroy(&attr);
    return p;
}

static double thread_cpu_seconds(void)
{
    struct timespec ts = { 0 };

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void collect(struct collection *c)
{
    struct target *t = c->target;
    double began = thread_cpu_seconds();

    buf_reset(&c->text);
    if (clock_monotonic(&clock_system) >= c->deadline) {
        (void)sonde_err_set(&c->err, SONDE_ETIMEOUT,
                            "no collector thread was free within the scrape "
                            "timeout");
        return;
    }
    if (c->reload)
        plugin_reload(t->instance);
    c->reload = false;
    if (plugin_collect(t->instance, c->deadline, &c->text, &c->err) == SONDE_OK)
        c->err.code = SONDE_OK;
    metric_add_real(t->job->collect_cpu, thread_cpu_seconds() - began);
}

/* The next collection, or NULL when the thread should go. */
static struct collection *take(struct collectors *p)
{
    struct timespec until =
        clock_timespec(clock_monotonic(&clock_system) + IDLE_MS);
    struct collection *c;
    int rc = 0;

    p->idle++;
    while (!p->first && !p->stopping && rc == 0)
        rc = pthread_cond_timedwait(&p->work, &p->lock, &until);
    p->idle--;
    c = p->stopping ? NULL : p->first;
    if (c) {
        p->queued--;
        p->first = c->next_job;
        if (!p->first)
            p->last = &p->first;
    }
    return c;
}

/* A thread that ends leaves itself to be joined by the next one, or by who
 * stops the pool: plugins are unloaded afterwards, and what a thread does on
 * its very end (destructors of its own variables) may be their code. */
static void leave(struct collectors *p)
{
    pthread_t before = p->dead;
    bool any = p->any_dead;

    p->dead = pthread_self();
    p->any_dead = true;
    p->threads--;
    metric_set(p->running, (int64_t)p->threads);
    (void)pthread_cond_broadcast(&p->gone);
    (void)pthread_mutex_unlock(&p->lock);
    if (any)
        (void)pthread_join(before, NULL);
}

static void *run(void *arg)
{
    struct collectors *p = arg;
    struct collection *c;

    (void)pthread_mutex_lock(&p->lock);
    while ((c = take(p))) {
        (void)pthread_mutex_unlock(&p->lock);
        collect(c);
        scrape_loop_collected(c->target->loop, c);
        (void)pthread_mutex_lock(&p->lock);
    }
    leave(p);
    return NULL;
}

static void add_thread(struct collectors *p)
{
    pthread_attr_t attr;
    pthread_t thread;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (pthread_create(&thread, &attr, run, p) == 0)
        p->threads++;
    metric_set(p->running, (int64_t)p->threads);
    (void)pthread_attr_destroy(&attr);
}

void collectors_submit(struct collectors *p, struct collection *c)
{
    (void)pthread_mutex_lock(&p->lock);
    c->next_job = NULL;
    *p->last = c;
    p->last = &c->next_job;
    p->queued++;
    if (p->queued > p->idle && p->threads < p->threads_max && !p->stopping)
        add_thread(p);
    (void)pthread_cond_signal(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
}

bool collectors_stop(struct collectors *p)
{
    struct timespec until;
    bool all_gone;
    int rc = 0;

    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    (void)pthread_cond_broadcast(&p->work);
    until = clock_timespec(clock_monotonic(&clock_system) + STOP_GRACE_MS);
    while (p->threads && rc == 0)
        rc = pthread_cond_timedwait(&p->gone, &p->lock, &until);
    all_gone = p->threads == 0;
    (void)pthread_mutex_unlock(&p->lock);
    if (all_gone && p->any_dead)
        (void)pthread_join(p->dead, NULL);
    p->any_dead = p->any_dead && !all_gone;
    return all_gone;
}

void collectors_free(struct collectors *p)
{
    if (!p)
        return;
    (void)pthread_mutex_destroy(&p->lock);
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_cond_destroy(&p->gone);
    free(p);
}
