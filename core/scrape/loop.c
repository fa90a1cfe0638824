/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each target has a timer. When it fires, a collection begins: for a fetch
 * plugin the requests of its plan go out one after the other on the target's
 * kept-alive connection, their bodies are read as they arrive; a collect
 * plugin (and a step of a plan that is `collect`) runs on the collectors' pool
 * and hands its text back here. So
 * everything about a target happens on this one thread, and no lock is held
 * while a line is read (but the target's, for the family cache).
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

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "scrape/collection.h"
#include "scrape/collectors.h"
#include "scrape/demand.h"
#include "scrape/metrics.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define SPARE_COLLECTIONS  8
#define ALIGN_TOLERANCE_MS 2
/* A plugin that is this late past its deadline is not waited for. */
#define COLLECT_GRACE_MS 500

struct scrape_loop {
    struct net_loop *net;
    pthread_t thread;
    bool running; /* the thread has to be joined                            */
    _Atomic bool stopping;
    const struct clock *clock;
    struct storage *storage;
    struct collectors *collectors;

    /* loop only */
    struct collection *spare;
    size_t spare_count;
    struct target **targets; /* each holds a reference */
    size_t count, cap;
};

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

static void finish(struct collection *c)
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

/* The loop has stopped in the middle: the target is neither up nor down. */
static void drop(struct collection *c)
{
    struct target *t = c->target;

    t->collection = NULL;
    t->state = TARGET_IDLE;
    collection_drop(c);
    give_collection(t->loop, c);
}

/* The plugin knows of the reloads that this collection saw. */
static void was_told(struct collection *c)
{
    if (!c->reload)
        c->target->reloads = c->reloads;
}

/* ---- fetching ------------------------------------------------------------ */

static void next_request(struct collection *c);
static void start_round(struct collection *c);

static const struct sonde_request *request_of(const struct collection *c)
{
    return &c->plan.requests[c->request];
}

static bool may_fail(const struct collection *c)
{
    return request_of(c)->flags & SONDE_FETCH_MAY_FAIL;
}

static bool on_begin(void *arg, int status, sonde_str content_type)
{
    struct collection *c = arg;
    const struct scrape_config *config = c->target->job->config;
    enum expo_format format = EXPO_TEXT;

    c->status = status;
    buf_reset(&c->body);
    if (request_of(c)->body == SONDE_BODY_PLUGIN)
        return true;
    if (status != 200)
        return true; /* judged when the answer is over */
    if (expo_format_of(content_type, config->fallback_scrape_protocol, &format,
                       &c->err) != SONDE_OK)
        return false;
    collection_body_begin(c, format);
    return true;
}

static bool on_data(void *arg, sonde_str piece)
{
    struct collection *c = arg;

    if (request_of(c)->body == SONDE_BODY_EXPOSITION)
        return c->status != 200 || collection_body(c, piece);
    c->body.limit = COLLECTION_PLUGIN_BODY_MAX;
    buf_put(&c->body, piece);
    return !buf_failed(&c->body);
}

static void take_exposition(struct collection *c, const struct http_result *r)
{
    bool ours = c->err.code != SONDE_OK; /* the scanner or the type refused */

    if (!ours && r->code != SONDE_OK) {
        c->over_body_limit = r->code == SONDE_ELIMIT;
        (void)sonde_err_set(&c->err, r->code, "%s", r->error);
    } else if (!ours && r->status != 200) {
        (void)sonde_err_set(&c->err, SONDE_EPROTO,
                            "server returned HTTP status %d", r->status);
    }
    (void)collection_body_end(c);
    if (c->err.code != SONDE_OK && may_fail(c)) {
        c->err.code = SONDE_OK;
        collection_forget_part(c);
    }
}

static void give_to_plugin(struct collection *c, const struct http_result *r)
{
    struct sonde_response response = {
        .struct_size = sizeof(response),
        .request = c->request,
        .code = r->code,
        .error = r->error,
        .status = r->status,
        .content_type = r->content_type,
        .body = request_of(c)->body == SONDE_BODY_PLUGIN ? buf_str(&c->body)
                                                         : (sonde_str){ 0 },
        .duration_seconds = r->seconds,
    };

    if (r->code != SONDE_OK && !may_fail(c)) {
        (void)sonde_err_set(&c->err, r->code, "%s", r->error);
        return;
    }
    buf_reset(&c->text);
    if (plugin_parse(c->target->instance, &response, &c->text, &c->err) ==
        SONDE_OK) {
        c->err.code = SONDE_OK;
        (void)collection_text(c, buf_str(&c->text));
    }
}

/* All answers are in: what the plugin's parts have to say comes last. */
static void complete(struct collection *c)
{
    buf_reset(&c->text);
    if (c->err.code == SONDE_OK &&
        plugin_planned(c->target->instance, &c->text, &c->err) == SONDE_OK) {
        c->err.code = SONDE_OK;
        (void)collection_text(c, buf_str(&c->text));
    }
    finish(c);
}

static void advance(struct collection *c)
{
    c->request++;
    if (c->err.code == SONDE_OK && c->request < c->plan.count) {
        next_request(c);
    } else if (c->err.code == SONDE_OK && c->plan.more) {
        c->plan.round++;
        start_round(c);
    } else {
        complete(c);
    }
}

static void on_done(void *arg, const struct http_result *r)
{
    struct collection *c = arg;
    bool exposition = request_of(c)->body == SONDE_BODY_EXPOSITION;

    if (atomic_load(&c->target->loop->stopping)) {
        drop(c);
        return;
    }
    if (exposition)
        take_exposition(c, r);
    if (c->err.code == SONDE_OK && (!exposition || may_fail(c)))
        give_to_plugin(c, r);
    advance(c);
}

static uint64_t body_limit(const struct scrape_config *config)
{
    return config->body_size_limit > 0 ? (uint64_t)config->body_size_limit
                                       : COLLECTION_BODY_MAX;
}

static void start_request(struct collection *c, sonde_str url,
                          sonde_str unix_socket, sonde_msec left_ms)
{
    struct target *t = c->target;
    const struct job *job = t->job;
    char timeout[32];
    int n = snprintf(timeout, sizeof(timeout), "%g", (double)t->timeout / 1000);
    const struct http_header headers[] = {
        { "Accept", request_of(c)->body == SONDE_BODY_EXPOSITION
                        ? job->accept
                        : SONDE_STR("*/*") },
        { "User-Agent", job->agent },
        { "X-Prometheus-Scrape-Timeout-Seconds", { timeout, (size_t)n } },
    };
    const struct http_request request = {
        .url = url,
        .unix_socket = unix_socket,
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(headers[0]),
        .timeout_ms = left_ms,
        .body_limit_bytes = body_limit(job->config),
        .accept_gzip = job->config->enable_compression,
        .begin = on_begin,
        .data = on_data,
        .error_body = request_of(c)->body == SONDE_BODY_PLUGIN,
        .done = on_done,
        .arg = c,
    };

    c->part_open = false;
    if (!t->client)
        t->client = http_client_new(t->loop->net, &job->config->http);
    http_client_start(t->client, &request);
}

static void next_request(struct collection *c)
{
    struct target *t = c->target;
    const struct sonde_request *r = request_of(c);
    sonde_msec left = c->deadline - clock_monotonic(t->loop->clock);
    sonde_str unix_socket;
    struct buf url;

    if (r->body == SONDE_BODY_COLLECT) {
        collectors_submit(t->loop->collectors, c);
        return;
    }
    buf_init(&url);
    target_request_url(&url, &unix_socket, t->scheme, t->address,
                       r->path.len ? r->path : t->request_path);
    start_request(c, buf_str(&url), unix_socket, left > 1 ? left : 1);
    buf_fini(&url);
}

/* A plan of up to SONDE_FETCH_MAX requests; plugin_plan has checked it. */
static void start_round(struct collection *c)
{
    if (plugin_plan(c->target->instance, &c->plan, &c->err) != SONDE_OK) {
        finish(c);
        return;
    }
    c->err.code = SONDE_OK;
    c->request = 0;
    if (c->plan.count)
        next_request(c);
    else
        complete(c);
}

static void start_fetch(struct collection *c)
{
    if (c->reload)
        plugin_reload(c->target->instance);
    c->reload = false;
    was_told(c);
    start_round(c);
}

/* ---- collecting ---------------------------------------------------------- */

/* `collect` was a step of a plan; its failure may be the plugin's to judge. */
static void take_step(struct collection *c)
{
    const struct sonde_err why = c->err;
    const struct http_result failed = { .code = why.code, .error = why.text };

    if (why.code == SONDE_OK) {
        (void)collection_text(c, buf_str(&c->text));
    } else if (may_fail(c)) {
        c->err.code = SONDE_OK;
        give_to_plugin(c, &failed);
    }
    if ((c->request + 1 < c->plan.count || c->plan.more) &&
        atomic_load(&c->target->loop->stopping))
        drop(c);
    else
        advance(c);
}

static void take_collected(void *arg)
{
    struct collection *c = arg;
    struct target *t = c->target;

    was_told(c);
    if (c->late) {
        /* Its ticks were written as missed; the next one is real again. */
        (void)target_ref(t);
        drop(c);
        go_on(t);
        target_unref(t);
        return;
    }
    if (c->plan.count) {
        take_step(c);
        return;
    }
    if (c->err.code == SONDE_OK)
        (void)collection_text(c, buf_str(&c->text));
    finish(c);
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
    const struct plugin_target pt = {
        .job = t->job->config->job_name,
        .address = t->address,
        .scheme = t->scheme,
        .metrics_path = t->metrics_path,
        .options = t->job->config->options,
        .overrides = &t->overrides,
        .tls = &t->job->config->http.tls_config,
        .interval = t->interval,
        .timeout = t->timeout,
        .slow_interval = t->slow_interval,
        .state_dir = m->deps.state_dir,
    };

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
        finish(c);
    else if (plugin_is_fetch(t->job->plugin))
        start_fetch(c);
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
        drop(t->collection);
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
