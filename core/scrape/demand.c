/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages: the text of a target's last collection, and collections that begin
 * because somebody asks for one.
 *
 * Who asks is a web thread that may wait; everything about the target happens
 * on its loop, as ever. So a demand is posted to the loop, with the number of
 * collections that had ended when it was made: if one has ended since, that
 * is the answer; if one is under way, whoever began it, its end will be; else
 * one begins. The asking thread sleeps until that number has grown or its own
 * deadline is over. So a target is never collected twice at a time, and any
 * number of requests share one collection.
 *
 * A collection on demand of a job that also has a schedule brings a page and
 * nothing else: no sample is stored, no cache touched (loop.c begins the
 * scheduled one right after it if its time came meanwhile).
 *
 * Targets that no discovery brought (`target=` on a page) are made here. They
 * have no schedule; their connections close when nobody has asked for a while.
 */
#include "scrape/demand.h"

#include <stdlib.h>
#include <string.h>

#include "scrape/collection.h"
#include "scrape/job.h"
#include "scrape/loop.h"
#include "scrape/manager.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

/* How often who waits looks whether its client is still there. */
#define LOOK_EVERY_MS 100

/* ---- pages --------------------------------------------------------------- */

static struct scrape_page *page_new(sonde_code code, const char *error)
{
    struct scrape_page *p = mem_new(struct scrape_page);

    atomic_store(&p->refs, 1);
    buf_init(&p->text);
    p->code = code;
    if (code != SONDE_OK)
        p->error = mem_strdup(sonde_cstr(error));
    return p;
}

struct scrape_page *scrape_page_ref(struct scrape_page *p)
{
    (void)atomic_fetch_add(&p->refs, 1);
    return p;
}

void scrape_page_unref(struct scrape_page *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    buf_fini(&p->text);
    free(p->error);
    free(p);
}

struct exposure *exposure_new(void)
{
    struct exposure *e = mem_new(struct exposure);
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&e->ended, &attr);
    (void)pthread_condattr_destroy(&attr);
    return e;
}

void exposure_free(struct exposure *e)
{
    if (!e)
        return;
    scrape_page_unref(e->last);
    (void)pthread_cond_destroy(&e->ended);
    free(e);
}

static void put_page(struct target *t, struct scrape_page *p)
{
    struct exposure *e = t->exposure;
    struct scrape_page *old;

    (void)pthread_mutex_lock(&t->lock);
    old = e->last;
    e->last = p;
    e->count++;
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_cond_broadcast(&e->ended); /* who wakes finds it free */
    scrape_page_unref(old);
}

/* A collection that a page asked for has no status of its own; what changes
 * is logged here. */
static void log_change(const struct collection *c)
{
    const struct target *t = c->target;
    const struct scrape_page *last = t->exposure->last;
    bool was_down = last && last->code != SONDE_OK;
    sonde_str name = scrape_target_name(t);

    if (c->err.code != SONDE_OK && !was_down)
        log_warn("scrape", "target is down",
                 LOG_STR("job", t->job->config->job_name),
                 LOG_STR("target", name), LOG_ERRTEXT(&c->err));
    else if (c->err.code == SONDE_OK && was_down)
        log_info("scrape", "target is up again",
                 LOG_STR("job", t->job->config->job_name),
                 LOG_STR("target", name));
}

void exposure_publish(struct collection *c)
{
    struct scrape_page *p;

    if (!c->target->exposure)
        return;
    /* Of what a request names, who asked is told. */
    if (c->asked && !c->target->idle)
        log_change(c);
    p = page_new(c->err.code, c->err.text);
    p->unopened = c->unopened;
    if (p->code == SONDE_OK) {
        p->text = c->page;
        buf_init(&c->page);
        memcpy(p->parts, c->parts, sizeof(p->parts));
        p->part_count = c->part_count;
    }
    put_page(c->target, p);
}

void exposure_refuse(struct target *t, sonde_code code, const char *why)
{
    if (t->exposure)
        put_page(t, page_new(code, why));
}

/* ---- demands ------------------------------------------------------------- */

void scrape_demand(struct target *t, sonde_msec deadline,
                   struct scrape_ticket *ticket)
{
    (void)pthread_mutex_lock(&t->lock);
    ticket->seen = t->exposure->count;
    (void)pthread_mutex_unlock(&t->lock);
    scrape_loop_demand(t->loop, t, ticket->seen, deadline);
}

static struct scrape_page *too_late(bool gone)
{
    return gone ? page_new(SONDE_ECANCELED, "nobody waits for it any more")
                : page_new(SONDE_ETIMEOUT,
                           "the collection did not end within the timeout");
}

struct scrape_page *scrape_demand_wait(struct target *t,
                                       const struct scrape_ticket *ticket,
                                       sonde_msec until,
                                       bool (*gone)(void *arg), void *arg)
{
    struct exposure *e = t->exposure;
    struct scrape_page *p = NULL;
    sonde_msec now;
    bool left = false;

    (void)pthread_mutex_lock(&t->lock);
    while (e->count == ticket->seen && !left &&
           (now = clock_monotonic(&clock_system)) < until) {
        sonde_msec next = now + LOOK_EVERY_MS;
        struct timespec wake = clock_timespec(next < until ? next : until);

        (void)pthread_cond_timedwait(&e->ended, &t->lock, &wake);
        left = e->count == ticket->seen && gone && gone(arg);
    }
    if (e->count != ticket->seen)
        p = scrape_page_ref(e->last);
    (void)pthread_mutex_unlock(&t->lock);
    return p ? p : too_late(left);
}

struct scrape_page *scrape_last_page(struct target *t)
{
    struct scrape_page *p = NULL;

    (void)pthread_mutex_lock(&t->lock);
    if (t->exposure && t->exposure->last)
        p = scrape_page_ref(t->exposure->last);
    (void)pthread_mutex_unlock(&t->lock);
    return p;
}

/* ---- jobs and targets for those who make pages ----------------------------
 */

struct job *scrape_job_get(struct scrape_manager *m, sonde_str name)
{
    struct job *found = NULL;

    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->job_count && !found; i++)
        if (sonde_str_eq(m->jobs[i]->config->job_name, name))
            found = job_ref(m->jobs[i]);
    (void)pthread_mutex_unlock(&m->lock);
    return found;
}

struct job *scrape_job_ref(struct job *j)
{
    return job_ref(j);
}

void scrape_job_put(struct job *j)
{
    job_unref(j);
}

const struct scrape_config *scrape_job_config(const struct job *j)
{
    return j->config;
}

const struct sonde_plugin *scrape_job_plugin(const struct job *j)
{
    return plugin_desc(j->plugin);
}

/* By name of the address, so that a page has them in the same order. */
static int by_address(const void *a, const void *b)
{
    const struct target *x = *(struct target *const *)a;
    const struct target *y = *(struct target *const *)b;
    int order = str_cmp(x->address, y->address);

    return order ? order : str_cmp(x->url, y->url);
}

size_t scrape_job_targets(struct job *j, struct arena *a, struct target ***out)
{
    size_t n;

    (void)pthread_mutex_lock(&j->lock);
    n = j->target_count;
    *out = arena_array(a, struct target *, n + 1);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = target_ref(j->targets[i]);
    (void)pthread_mutex_unlock(&j->lock);
    if (n > 1)
        qsort(*out, n, sizeof(**out), by_address);
    return n;
}

void scrape_target_put(struct target *t)
{
    target_unref(t);
}

struct target *scrape_target_get(struct target *t)
{
    return target_ref(t);
}

sonde_str scrape_target_address(const struct target *t)
{
    return t->address;
}

sonde_str scrape_target_name(const struct target *t)
{
    sonde_str given = labels_get(&t->discovered, SONDE_STR(TARGET_GIVEN_NAME));

    return given.len ? given : labels_get(&t->labels, SONDE_STR("instance"));
}

sonde_msec scrape_target_timeout(const struct target *t)
{
    return t->timeout;
}

sonde_code scrape_target_discover(const struct target *t, sonde_msec deadline,
                                  void (*emit)(void *arg, sonde_str address),
                                  void *arg, struct sonde_err *err)
{
    const struct plugin_target pt = target_for_plugin(t);
    struct plugin_instance *instance;
    sonde_code rc = plugin_open(t->job->plugin, &pt, &instance, err);

    if (rc != SONDE_OK)
        return rc;
    rc = plugin_discover(instance, deadline, emit, arg, err);
    plugin_close(instance);
    return rc;
}

sonde_code scrape_target_make(struct job *j, sonde_str address,
                              const struct config_map *options,
                              struct target **out, struct sonde_err *err)
{
    sonde_code rc = target_new_asked(j, address, options, out, err);

    if (rc == SONDE_OK)
        scrape_loop_add(scrape_manager_loop(j->manager, (*out)->hash), *out);
    return rc;
}

void scrape_target_end(struct target *t)
{
    scrape_loop_end(t->loop, t);
    target_unref(t);
}
