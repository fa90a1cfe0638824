/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each target has a timer. When it fires, a collection begins: a fetch
 * plugin's by requests of this thread (fetch.c), a collect plugin's on the
 * collectors' pool, which hands the text back here. So everything about a
 * target happens on this one thread, and no lock is held while a line is read
 * (but the target's, for the family cache).
 *
 * A target never has two collections under way. A fetch can not outlast the
 * interval (its timeout is not longer). A plugin's `collect` can, if it
 * ignores its deadline: then each tick that passes writes `up 0` with the
 * reason, and what comes back late is dropped.
 *
 * A sample's time is the scheduled one when the timer was on time (within
 * 2 ms, or a hundredth of the interval if that is less), as in Prometheus, so
 * that the distances between samples compress to nothing.
 */
#include "scrape/loop.h"

#include <stdlib.h>

#include "scrape/collection.h"
#include "scrape/collectors.h"
#include "scrape/demand.h"
#include "scrape/loop_int.h"
#include "scrape/manager.h"
#include "scrape/metrics.h"
#include "util/mem.h"

#define SPARE_COLLECTIONS  8
#define ALIGN_TOLERANCE_MS 2
/* A plugin that is this late past its deadline is not waited for. */
#define COLLECT_GRACE_MS 500

/* ---- collections in use and spare ---------------------------------------- */

static struct collection *take_collection(struct scrape_loop *l)
{
    struct collection *c = l->spare;

    if (!c)
        return collection_new(l->storage);
    l->spare = c->next_free;
    l->spare_count--;
    return c;
}

static void give_collection(struct scrape_loop *l, struct collection *c)
{
    if (l->spare_count >= SPARE_COLLECTIONS) {
        collection_free(c);
        return;
    }
    c->next_free = l->spare;
    l->spare = c;
    l->spare_count++;
}

/* ---- schedule ------------------------------------------------------------ */

static void on_tick(void *arg);

static void arm(struct target *t, sonde_msec when_ms)
{
    struct scrape_loop *l = t->loop;
    sonde_msec wait = when_ms - clock_now(l->clock);

    net_timer_set(l->net, &t->timer,
                  clock_monotonic(l->clock) + (wait > 0 ? wait : 0), on_tick,
                  t);
}

/* The next scheduled moment after `now`; ticks that passed are skipped. A
 * clock that was set back or forth starts the schedule anew. */
static void arm_next(struct target *t, sonde_msec now)
{
    sonde_msec next = t->next_ms + t->interval;

    if (next <= now || next > now + 2 * t->interval)
        next = target_first_ms(t, now + 1);
    t->next_ms = next;
    arm(t, next);
}

static sonde_msec sample_time(const struct target *t, sonde_msec now)
{
    sonde_msec tolerance = t->interval / 100;
    sonde_msec late = now - t->next_ms;

    if (tolerance > ALIGN_TOLERANCE_MS)
        tolerance = ALIGN_TOLERANCE_MS;
    return late >= -tolerance && late <= tolerance ? t->next_ms : now;
}

/* A target that only pages ask for closes its connections when nobody has
 * asked for a while; the next one opens them again. */
static void on_idle(void *arg)
{
    struct target *t = arg;

    if (t->state != TARGET_IDLE)
        return;
    plugin_close(t->instance);
    t->instance = NULL;
    http_client_free(t->client);
    t->client = NULL;
}

static void arm_idle(struct target *t)
{
    if (t->idle)
        net_timer_set(t->loop->net, &t->timer,
                      clock_monotonic(t->loop->clock) + t->idle, on_idle, t);
}

/* ---- the end of a target ------------------------------------------------- */

static void forget(struct scrape_loop *l, struct target *t)
{
    net_timer_clear(l->net, &t->timer);
    for (size_t i = 0; i < l->count; i++) {
        if (l->targets[i] == t) {
            l->targets[i] = l->targets[--l->count];
            target_unref(t);
            return;
        }
    }
}

static void write_end(void *arg)
{
    struct target *t = arg;
    struct scrape_loop *l = t->loop;
    struct collection *c = take_collection(l);

    collection_mark_gone(c, t, t->next_ms);
    give_collection(l, c);
    forget(l, t);
}

/* The first scrape that will be missed gets the markers, but they are written
 * an interval and a tenth later: a target that comes back meanwhile (a
 * reload) has newer samples by then, and the store refuses the markers. */
static void begin_end(struct target *t)
{
    struct scrape_loop *l = t->loop;

    if (t->asked_only) {
        exposure_refuse(t, SONDE_ENOTFOUND, "the target is gone");
        forget(l, t);
        return;
    }
    t->state = TARGET_ENDING;
    net_timer_set(l->net, &t->timer,
                  clock_monotonic(l->clock) +
                      (t->next_ms - clock_now(l->clock)) + t->interval +
                      t->interval / 10,
                  write_end, t);
}

/* ---- a collection ends --------------------------------------------------- */

static void begin_collection(struct target *t, sonde_msec time_ms);

/* What comes after a collection: the target's end, or the scheduled one that
 * waited for one that was asked for. */
static void go_on(struct target *t)
{
    bool tick = t->tick_waits;

    t->tick_waits = false;
    if (t->ended)
        begin_end(t);
    else if (tick)
        begin_collection(t, clock_now(t->loop->clock));
    else
        arm_idle(t);
}

void scrape_loop_finish(struct collection *c)
{
    struct target *t = target_ref(c->target);
    struct scrape_loop *l = t->loop;

    t->collection = NULL;
    t->state = TARGET_IDLE;
    collection_finish(c);
    give_collection(l, c);
    go_on(t);
    target_unref(t);
}

void scrape_loop_drop(struct collection *c)
{
    struct target *t = c->target;

    t->collection = NULL;
    t->state = TARGET_IDLE;
    collection_drop(c);
    give_collection(t->loop, c);
}

/* ---- collecting ---------------------------------------------------------- */

static void take_collected(void *arg)
{
    struct collection *c = arg;
    struct target *t = c->target;

    if (!c->reload)
        t->reloads = c->reloads; /* the plugin knows of those it was told */
    if (c->late) {
        /* Its ticks were written as missed; the next one is real again. */
        (void)target_ref(t);
        scrape_loop_drop(c);
        go_on(t);
        target_unref(t);
        return;
    }
    if (c->plan.count) {
        fetch_collected(c);
        return;
    }
    if (c->err.code == SONDE_OK)
        (void)collection_text(c, buf_str(&c->text));
    scrape_loop_finish(c);
}

void scrape_loop_collected(struct scrape_loop *l, struct collection *c)
{
    net_loop_post(l->net, take_collected, c);
}

/* ---- a collection begins ------------------------------------------------- */

/* Opens it at the first collection; says whether it is to be told that the
 * configuration was read again. */
static sonde_code open_instance(struct collection *c, struct sonde_err *err)
{
    struct target *t = c->target;
    const struct scrape_manager *m = t->job->manager;
    uint64_t reloads = atomic_load(&m->reloads);
    struct plugin_target pt = target_for_plugin(t);

    pt.state_dir = m->deps.state_dir;
    c->reloads = reloads;
    if (t->instance) {
        c->reload = t->reloads != reloads;
        return SONDE_OK;
    }
    return plugin_open(t->job->plugin, &pt, &t->instance, err);
}

static void collect(struct target *t, struct collection *c, sonde_msec deadline)
{
    struct scrape_loop *l = t->loop;

    t->state = TARGET_BUSY;
    t->collection = c;
    c->deadline = deadline;
    if (atomic_load(&t->job->over_target_limit))
        (void)sonde_err_set(&c->err, SONDE_ELIMIT,
                            "target_limit exceeded (limit: %lld)",
                            (long long)t->job->config->target_limit);
    else if (open_instance(c, &c->err) == SONDE_OK)
        c->err.code = SONDE_OK;
    else
        c->unopened = true;
    if (c->err.code != SONDE_OK)
        scrape_loop_finish(c);
    else if (plugin_is_fetch(t->job->plugin))
        fetch_start(c);
    else
        collectors_submit(l->collectors, c);
}

static void begin_collection(struct target *t, sonde_msec time_ms)
{
    struct scrape_loop *l = t->loop;
    struct collection *c = take_collection(l);

    collection_begin(c, t, time_ms);
    collect(t, c, clock_monotonic(l->clock) + t->timeout);
}

/* ---- for pages ----------------------------------------------------------- */

struct demand {
    struct target *target; /* held */
    uint64_t seen;
    sonde_msec deadline;
};

static bool is_answered(struct target *t, uint64_t seen)
{
    bool answered;

    (void)pthread_mutex_lock(&t->lock);
    answered = t->exposure->count != seen;
    (void)pthread_mutex_unlock(&t->lock);
    return answered;
}

static void begin_asked(struct target *t, sonde_msec deadline)
{
    struct collection *c = take_collection(t->loop);

    collection_begin_asked(c, t);
    collect(t, c, deadline);
}

static void take_demand(void *arg)
{
    struct demand *d = arg;
    struct target *t = d->target;

    if (is_answered(t, d->seen) || t->state == TARGET_BUSY) {
        /* What has come, or what is coming, is the answer. */
    } else if (t->ended) {
        exposure_refuse(t, SONDE_ENOTFOUND, "the target is gone");
    } else {
        begin_asked(t, d->deadline);
    }
    target_unref(t);
    free(d);
}

void scrape_loop_demand(struct scrape_loop *l, struct target *t, uint64_t seen,
                        sonde_msec deadline)
{
    struct demand *d = mem_new(struct demand);

    *d = (struct demand){ target_ref(t), seen, deadline };
    net_loop_post(l->net, take_demand, d);
}

/* ---- the schedule's ticks ------------------------------------------------ */

static void miss(struct target *t, sonde_msec time_ms)
{
    struct scrape_loop *l = t->loop;
    struct collection *running = t->collection;
    struct collection *c;

    metric_inc(scrape_manager_metrics(t->job->manager)->missed);
    if (!running ||
        clock_monotonic(l->clock) < running->deadline + COLLECT_GRACE_MS)
        return;
    running->late = true;
    c = take_collection(l);
    collection_missed(c, t, time_ms,
                      "the plugin has not come back from a collection whose "
                      "deadline is over");
    give_collection(l, c);
}

static void on_tick(void *arg)
{
    struct target *t = arg;
    sonde_msec now = clock_now(t->loop->clock);
    sonde_msec time_ms = sample_time(t, now);

    if (now + ALIGN_TOLERANCE_MS < t->next_ms &&
        t->next_ms - now <= t->interval) {
        arm(t, t->next_ms); /* the clock was set back a little */
        return;
    }
    arm_next(t, now > t->next_ms ? now : t->next_ms);
    if (t->state == TARGET_IDLE)
        begin_collection(t, time_ms);
    else if (t->collection && t->collection->asked && !t->tick_waits)
        t->tick_waits = true;
    else
        miss(t, time_ms);
}

/* ---- coming and going of targets ----------------------------------------- */

static void add_target(void *arg)
{
    struct target *t = arg;
    struct scrape_loop *l = t->loop;
    sonde_msec now = clock_now(l->clock);

    if (l->count == l->cap)
        l->targets = mem_grow(l->targets, &l->cap, l->count + 1,
                              sizeof(struct target *));
    l->targets[l->count++] = t;
    if (t->asked_only) {
        /* Connects, so that a plugin that listens misses nothing before the
         * first page is asked for. */
        if (!t->idle)
            begin_asked(t, clock_monotonic(l->clock) + t->timeout);
        return;
    }
    t->next_ms = target_first_ms(t, now);
    arm(t, t->next_ms);
}

void scrape_loop_add(struct scrape_loop *l, struct target *t)
{
    t->loop = l;
    net_loop_post(l->net, add_target, target_ref(t));
}

static void end_target(void *arg)
{
    struct target *t = arg;

    t->ended = true;
    net_timer_clear(t->loop->net, &t->timer);
    if (t->state == TARGET_IDLE)
        begin_end(t);
    target_unref(t);
}

void scrape_loop_end(struct scrape_loop *l, struct target *t)
{
    net_loop_post(l->net, end_target, target_ref(t));
}

/* ---- the thread ---------------------------------------------------------- */

static void *run(void *arg)
{
    struct scrape_loop *l = arg;

    net_loop_run(l->net);
    return NULL;
}

sonde_code scrape_loop_new(const struct scrape_deps *deps,
                           struct collectors *collectors,
                           struct scrape_loop **out, struct sonde_err *err)
{
    struct scrape_loop *l = mem_new(struct scrape_loop);
    sonde_code rc;

    l->clock = deps->clock;
    l->storage = deps->storage;
    l->collectors = collectors;
    rc = net_loop_new(&l->net, err);
    if (rc == SONDE_OK && pthread_create(&l->thread, NULL, run, l) != 0)
        rc = sonde_err_set(err, SONDE_ELIMIT, "start a scrape loop's thread");
    if (rc != SONDE_OK) {
        net_loop_free(l->net);
        free(l);
        return rc;
    }
    l->running = true;
    *out = l;
    return SONDE_OK;
}

static void drop_target(struct scrape_loop *l, struct target *t)
{
    net_timer_clear(l->net, &t->timer);
    http_client_free(t->client);
    t->client = NULL;
    if (t->collection)
        scrape_loop_drop(t->collection);
    target_unref(t);
}

void scrape_loop_stop(struct scrape_loop *l)
{
    if (!l)
        return;
    atomic_store(&l->stopping, true);
    net_loop_stop(l->net);
}

void scrape_loop_join(struct scrape_loop *l)
{
    if (!l || !l->running)
        return;
    (void)pthread_join(l->thread, NULL);
    l->running = false;
}

/* A stopped loop only runs what has been posted since. */
void scrape_loop_drain(struct scrape_loop *l)
{
    net_loop_run(l->net);
}

void scrape_loop_free(struct scrape_loop *l)
{
    if (!l)
        return;
    scrape_loop_stop(l);
    scrape_loop_join(l);
    for (size_t i = 0; i < l->count; i++)
        drop_target(l, l->targets[i]);
    while (l->spare) {
        struct collection *c = l->spare;

        l->spare = c->next_free;
        collection_free(c);
    }
    net_loop_free(l->net);
    free(l->targets);
    free(l);
}
