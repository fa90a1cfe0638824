/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reloading: everything is read, parsed and checked first; then the rooms
 * swap; on any error the old configuration goes on and the reason is told.
 * Reloads run on the main thread, one at a time; a web request that asks for
 * one waits for the outcome of a reload that began after it asked.
 */
#include <stdlib.h>

#include "agent/agent_int.h"
#include "api/api.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"
#include "util/trim.h"

sonde_code agent_load_config(struct agent *a, struct config **out,
                             struct sonde_err *err)
{
    const struct config_load load = {
        .file = a->options->config_file,
        .plugins = a->plugins,
        .expand_env = a->options->config_expand_env,
    };
    sonde_code rc = config_load(&load, out, err);

    if (rc != SONDE_OK)
        return rc;
    for (size_t i = 0; i < (*out)->warnings.count; i++)
        log_warn("config", "configuration",
                 LOG_STR("warning", (*out)->warnings.items[i]));
    return SONDE_OK;
}

static void ref_config(void *owner)
{
    (void)config_ref(owner);
}

static void unref_config(void *owner)
{
    config_unref(owner);
}

static void set_remote_knows(struct agent *a, bool knows)
{
    (void)pthread_mutex_lock(&a->lock);
    a->remote_knows = knows;
    (void)pthread_mutex_unlock(&a->lock);
}

static sonde_code apply_remote(struct agent *a, struct config *c,
                               struct sonde_err *err)
{
    const struct remote_endpoints endpoints = {
        .items = c->remotes,
        .count = c->remote_count,
        .external_labels = &c->globals.external_labels,
        .owner = c,
        .ref = ref_config,
        .unref = unref_config,
    };
    sonde_code rc;

    /* While queues come and go, the log is kept for all of them. */
    set_remote_knows(a, false);
    rc = remote_manager_apply(a->remote, &endpoints, err);
    if (rc == SONDE_OK)
        set_remote_knows(a, true);
    return rc;
}

static sonde_code apply_scrape(struct agent *a, struct config *c,
                               struct sonde_err *err)
{
    const struct scrape_jobs jobs = {
        .items = c->jobs,
        .count = c->job_count,
        .globals = &c->globals,
        .owner = c,
        .ref = ref_config,
        .unref = unref_config,
    };

    return scrape_manager_apply(a->scrape, &jobs, err);
}

/* The doors open before the jobs run, because a door may fail; what comes in
 * meanwhile is told that the job is not there yet. */
static sonde_code apply_expose(struct agent *a, const struct config *c,
                               struct sonde_err *err)
{
    return expose_apply(a->expose, c->jobs, c->job_count, err);
}

/* After a reload that failed half-way. */
static void go_back(struct agent *a)
{
    struct sonde_err err;

    if (!a->config)
        return;
    if (api_set_query_log(a->api, a->config->query_log_file, &err) != SONDE_OK)
        log_error("agent", "could not go back to the old query log",
                  LOG_ERRTEXT(&err));
    if (apply_remote(a, a->config, &err) != SONDE_OK)
        log_error("agent", "could not go back to the old remote_write",
                  LOG_ERRTEXT(&err));
    if (apply_expose(a, a->config, &err) != SONDE_OK)
        log_error("agent", "could not go back to the old exposed jobs",
                  LOG_ERRTEXT(&err));
}

/* Takes the new configuration as the running one. */
static void adopt(struct agent *a, struct config *config)
{
    struct config *old;

    (void)pthread_mutex_lock(&a->lock);
    old = a->config;
    a->config = config_ref(config);
    a->reload_success = true;
    a->last_config_time = clock_now(&clock_system);
    metric_set(a->reload_ok, 1);
    metric_set_real(a->reload_time, (double)a->last_config_time / 1000);
    (void)pthread_mutex_unlock(&a->lock);
    config_unref(old);
}

sonde_code agent_apply(struct agent *a, struct config *config,
                       struct sonde_err *err)
{
    struct tsdb_limits limits;
    sonde_code rc = api_set_query_log(a->api, config->query_log_file, err);

    if (rc == SONDE_OK)
        rc = apply_remote(a, config, err);
    if (rc == SONDE_OK)
        rc = apply_expose(a, config, err);
    if (rc == SONDE_OK)
        rc = apply_scrape(a, config, err);
    if (rc == SONDE_OK) {
        agent_limits(a->options, config, &limits);
        tsdb_set_limits(a->db, &limits);
        adopt(a, config);
        return SONDE_OK;
    }
    go_back(a);
    return rc;
}

static void reload_failed(struct agent *a)
{
    (void)pthread_mutex_lock(&a->lock);
    a->reload_success = false;
    metric_set(a->reload_ok, 0);
    (void)pthread_mutex_unlock(&a->lock);
}

sonde_code agent_reload(struct agent *a, struct sonde_err *err)
{
    struct config *config = NULL;
    sonde_code rc = agent_load_config(a, &config, err);

    if (rc == SONDE_OK)
        rc = agent_apply(a, config, err);
    config_unref(config);
    if (rc == SONDE_OK) {
        log_info("agent", "configuration reloaded",
                 LOG_CSTR("file", a->options->config_file));
        trim_resident(); /* two configurations were held at once */
        return SONDE_OK;
    }
    reload_failed(a);
    log_error("agent", "reload failed, the old configuration stays in force",
              LOG_ERRTEXT(err));
    return rc;
}

sonde_code agent_reload_wait(struct agent *a, struct sonde_err *err)
{
    struct reload_request r = { 0 };

    (void)pthread_mutex_lock(&a->lock);
    if (atomic_load(&a->stopping)) {
        (void)pthread_mutex_unlock(&a->lock);
        return sonde_err_set(err, SONDE_EUNAVAILABLE, "the agent is stopping");
    }
    r.next = a->requests;
    /* cppcheck-suppress autoVariables ; off the list before this returns */
    a->requests = &r;
    agent_wake(a);
    while (!r.done)
        (void)pthread_cond_wait(&a->reloaded, &a->lock);
    (void)pthread_mutex_unlock(&a->lock);
    if (r.code != SONDE_OK && err)
        *err = r.err;
    return r.code;
}

/* Answers all who waited when it began. */
void agent_serve_reloads(struct agent *a)
{
    struct reload_request *r;
    struct sonde_err err = { 0 };
    sonde_code rc;

    (void)pthread_mutex_lock(&a->lock);
    r = a->requests;
    a->requests = NULL;
    (void)pthread_mutex_unlock(&a->lock);
    if (!r)
        return;
    if (atomic_load(&a->stopping))
        rc = sonde_err_set(&err, SONDE_EUNAVAILABLE, "the agent is stopping");
    else
        rc = agent_reload(a, &err);
    (void)pthread_mutex_lock(&a->lock);
    while (r) {
        struct reload_request *next = r->next;

        r->code = rc;
        r->err = err;
        r->done = true;
        r = next;
    }
    (void)pthread_cond_broadcast(&a->reloaded);
    (void)pthread_mutex_unlock(&a->lock);
}
