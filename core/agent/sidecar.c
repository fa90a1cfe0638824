/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One loop, one door. The scrape manager is the daemon's own, without a
 * store: its targets have no schedule, a page's request collects them, and
 * what comes in is text that goes out again. So connections, parts, retries
 * and deadlines behave as they do in the daemon.
 *
 * There are two registries of metrics: what a page shows (the process, the
 * requests) and what nobody asks an exporter for.
 */
#include "agent/sidecar.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/selfmetrics.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/trim.h"

enum {
    EXIT_RUNTIME = 1,
    EXIT_CONFIG = 2
};

/* After this the pages of start-up are given back to the system. */
#define SETTLED_S 5

struct running {
    const struct sidecar *sidecar;
    struct selfmetrics *inner, *page;
    struct scrape_manager *scrape;
    struct expose *expose;
    pthread_mutex_t reloading;
};

struct sidecar_config *sidecar_config_new(void)
{
    struct sidecar_config *c = mem_new(struct sidecar_config);

    c->refs = 1;
    arena_init(&c->arena);
    return c;
}

void sidecar_config_unref(struct sidecar_config *c)
{
    if (!c || --c->refs)
        return;
    arena_fini(&c->arena);
    free(c);
}

static void ref_config(void *owner)
{
    ((struct sidecar_config *)owner)->refs++;
}

static void unref_config(void *owner)
{
    sidecar_config_unref(owner);
}

static sonde_code apply(struct running *r, struct sidecar_config *c,
                        struct sonde_err *err)
{
    const struct scrape_config *job = &c->job;
    const struct scrape_jobs jobs = {
        .items = &job,
        .count = 1,
        .globals = &c->globals,
        .owner = c,
        .ref = ref_config,
        .unref = unref_config,
    };

    return scrape_manager_apply(r->scrape, &jobs, err);
}

static sonde_code reload(void *arg, struct sonde_err *err)
{
    struct running *r = arg;
    struct sidecar_config *c = NULL;
    sonde_code rc;

    (void)pthread_mutex_lock(&r->reloading);
    rc = r->sidecar->load(r->sidecar->arg, &c, err);
    if (rc == SONDE_OK)
        rc = apply(r, c, err);
    sidecar_config_unref(c);
    if (rc == SONDE_OK)
        log_info("exporter", "reloaded");
    else
        log_error("exporter", "reload failed, all stays as it was",
                  LOG_ERRTEXT(err));
    (void)pthread_mutex_unlock(&r->reloading);
    return rc;
}

static sonde_code start_scrape(struct running *r, struct sidecar_config *c,
                               struct sonde_err *err)
{
    const struct scrape_deps deps = {
        .clock = &clock_system,
        .metrics = r->inner,
        .plugins = r->sidecar->plugins,
        .loops = 1,
    };
    sonde_code rc = scrape_manager_new(&deps, &r->scrape, err);

    return rc == SONDE_OK ? apply(r, c, err) : rc;
}

static sonde_code open_door(struct running *r, struct sidecar_config *c,
                            struct sonde_err *err)
{
    const struct expose_deps deps = { .scrape = r->scrape,
                                      .plugins = r->sidecar->plugins,
                                      .metrics = r->page };
    struct expose_door door = c->door;

    door.reload = reload;
    door.arg = r;
    r->expose = expose_new(&deps);
    return expose_open(r->expose, &door, err);
}

static void register_metrics(struct running *r)
{
    r->inner = selfmetrics_new();
    r->page = selfmetrics_new();
    selfmetrics_callback(r->page, selfmetrics_process, r);
    metric_set(selfmetrics_gauge(
                   r->page, "sonde_build_info",
                   "A metric with a constant '1' value labeled by version.",
                   "version=\"" PACKAGE_VERSION "\""),
               1);
}

/* Signals are blocked before any thread is made, and waited for. */
static void block_signals(sigset_t *set)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
}

static void wait_for_end(struct running *r, const sigset_t *set)
{
    const struct timespec settled = { SETTLED_S, 0 };
    struct sonde_err err;
    bool trimmed = false;

    for (;;) {
        int signo = trimmed ? sigwaitinfo(set, NULL)
                            : sigtimedwait(set, NULL, &settled);

        if (signo < 0 && errno == EAGAIN) {
            trim_resident();
            trimmed = true;
        } else if (signo == SIGHUP) {
            if (reload(r, &err) != SONDE_OK)
                continue; /* it has been said */
        } else if (signo > 0) {
            log_info("exporter", "stopping",
                     LOG_CSTR("signal", sigabbrev_np(signo)));
            return;
        }
    }
}

/* From now on a second signal ends the process at once. */
static void let_kill(const sigset_t *set)
{
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

/* A plugin that does not come back is left with what it uses. */
static bool stop(struct running *r)
{
    bool ended;

    expose_free(r->expose);
    ended = scrape_manager_stop(r->scrape);
    if (ended) {
        scrape_manager_free(r->scrape);
        selfmetrics_free(r->inner);
    }
    selfmetrics_free(r->page);
    (void)pthread_mutex_destroy(&r->reloading);
    return ended;
}

int sidecar_run(const struct sidecar *s, bool *hung)
{
    struct running r = { .sidecar = s };
    struct sidecar_config *c = NULL;
    struct sonde_err err;
    sigset_t signals;
    int code = EXIT_CONFIG;

    block_signals(&signals);
    (void)pthread_mutex_init(&r.reloading, NULL);
    register_metrics(&r);
    log_info("exporter", "starting", LOG_CSTR("exporter", s->name),
             LOG_CSTR("version", PACKAGE_VERSION), LOG_NUM("pid", getpid()));
    if (s->load(s->arg, &c, &err) == SONDE_OK) {
        code = EXIT_RUNTIME;
        if (start_scrape(&r, c, &err) == SONDE_OK &&
            open_door(&r, c, &err) == SONDE_OK)
            code = 0;
    }
    sidecar_config_unref(c);
    if (code) {
        log_error("exporter", "can not start", LOG_ERRTEXT(&err));
    } else {
        trim_resident();
        wait_for_end(&r, &signals);
    }
    let_kill(&signals);
    *hung = !stop(&r);
    log_info("exporter", "stopped");
    return code;
}
