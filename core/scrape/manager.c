/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds the loops, the collectors and the jobs. A reload compares jobs by
 * the fingerprint of their configuration (its normalised text): the same
 * stays untouched, the rest ends and begins anew. Everything that can fail
 * is done before anything is changed.
 */
#include "scrape/manager.h"

#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "scrape/collectors.h"
#include "scrape/job.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define COLLECTORS_MAX 64

const struct scrape_metrics *
scrape_manager_metrics(const struct scrape_manager *m)
{
    return &m->metrics;
}

struct scrape_loop *scrape_manager_loop(struct scrape_manager *m, uint64_t hash)
{
    return m->loops[(hash >> 32) % m->loop_count];
}

static sonde_str pool_label(struct arena *a, sonde_str job)
{
    struct buf b;
    sonde_str s;

    buf_init(&b);
    buf_cstr(&b, "scrape_job=\"");
    expo_write_escaped(&b, job);
    buf_char(&b, '"');
    s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s;
}

#define POOL_TARGETS "prometheus_target_scrape_pool_targets"

void scrape_manager_pool_size(struct scrape_manager *m, sonde_str job,
                              size_t targets)
{
    struct arena a;

    arena_init(&a);
    metric_set(selfmetrics_gauge(m->deps.metrics, POOL_TARGETS,
                                 "Current number of targets in this scrape "
                                 "pool.",
                                 pool_label(&a, job).ptr),
               (int64_t)targets);
    arena_fini(&a);
}

void scrape_manager_pool_gone(struct scrape_manager *m, sonde_str job)
{
    struct arena a;

    arena_init(&a);
    selfmetrics_drop(m->deps.metrics, POOL_TARGETS, pool_label(&a, job).ptr);
    arena_fini(&a);
}

struct metric *scrape_manager_collect_cpu(struct scrape_manager *m,
                                          const char *plugin)
{
    char label[128]; /* plugins' names are short and need no escape */

    (void)snprintf(label, sizeof(label), "plugin=\"%.100s\"", plugin);
    return selfmetrics_real(m->deps.metrics, METRIC_COUNTER,
                            "sonde_plugin_collect_cpu_seconds_total",
                            "CPU time that a plugin's collections took on "
                            "the collectors' threads.",
                            label);
}

static void register_metrics(struct scrape_manager *m)
{
    struct selfmetrics *r = m->deps.metrics;
    struct scrape_metrics *s = &m->metrics;

#define COUNTER(field, name, help)                                             \
    s->field = selfmetrics_counter(r, name, help, NULL)
    COUNTER(out_of_order, "prometheus_target_scrapes_sample_out_of_order_total",
            "Total number of samples rejected due to not being out of the "
            "expected order.");
    COUNTER(duplicate,
            "prometheus_target_scrapes_sample_duplicate_timestamp_total",
            "Total number of samples rejected due to duplicate timestamps but "
            "different values.");
    COUNTER(out_of_bounds,
            "prometheus_target_scrapes_sample_out_of_bounds_total",
            "Total number of samples rejected due to timestamp falling outside "
            "of the time bounds.");
    COUNTER(over_sample_limit,
            "prometheus_target_scrapes_exceeded_sample_limit_total",
            "Total number of scrapes that hit the sample limit and were "
            "rejected.");
    COUNTER(over_body_limit,
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
            "Total number of scrapes that hit the body size limit.");
    COUNTER(pool_reloads, "prometheus_target_scrape_pool_reloads_total",
            "Total number of scrape pool reloads.");
    COUNTER(pool_syncs, "prometheus_target_scrape_pool_sync_total",
            "Total number of syncs that were executed on a scrape pool.");
    COUNTER(missed, "sonde_scrapes_missed_total",
            "Scheduled scrapes that were skipped because the one before was "
            "still under way.");
    s->succeeded = selfmetrics_counter(r, "sonde_scrapes_total",
                                       "Scrapes that ended, by outcome.",
                                       "outcome=\"ok\"");
    s->failed = selfmetrics_counter(r, "sonde_scrapes_total",
                                    "Scrapes that ended, by outcome.",
                                    "outcome=\"failed\"");
#undef COUNTER
    s->pools = selfmetrics_gauge(r, "sonde_scrape_pools",
                                 "Scrape pools (jobs) that run.", NULL);
}

static size_t loops_wanted(const struct scrape_deps *deps)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = deps->loops ? deps->loops : (size_t)(cores > 0 ? cores : 1);

    return n > SCRAPE_LOOPS_MAX ? SCRAPE_LOOPS_MAX : n;
}

sonde_code scrape_manager_new(const struct scrape_deps *deps,
                              struct scrape_manager **out,
                              struct sonde_err *err)
{
    struct scrape_manager *m = mem_new(struct scrape_manager);
    size_t wanted = loops_wanted(deps);
    sonde_code rc = SONDE_OK;

    m->deps = *deps;
    if (deps->state_dir)
        plugin_state_sweep(deps->state_dir);
    (void)pthread_mutex_init(&m->lock, NULL);
    register_metrics(m);
    m->collectors = collectors_new(deps->collectors_max ? deps->collectors_max
                                                        : COLLECTORS_MAX,
                                   deps->metrics);
    while (rc == SONDE_OK && m->loop_count < wanted) {
        rc =
            scrape_loop_new(deps, m->collectors, &m->loops[m->loop_count], err);
        m->loop_count += rc == SONDE_OK;
    }
    if (rc != SONDE_OK) {
        scrape_manager_free(m);
        return rc;
    }
    *out = m;
    return SONDE_OK;
}

/* Without stale markers: the targets go on after a restart. */
static void job_drop(struct job *j)
{
    for (size_t i = 0; i < j->target_count; i++)
        target_unref(j->targets[i]);
    j->target_count = 0;
    job_unref(j);
}

/* The loops end first, so that nothing is given to the collectors any more
 * and that a plugin which hangs can only hold what it holds already. */
bool scrape_manager_stop(struct scrape_manager *m)
{
    if (!m || m->stopped)
        return !m || !m->hung;
    for (size_t i = 0; i < m->job_count; i++) {
        discovery_stop(m->jobs[i]->discovery);
        m->jobs[i]->discovery = NULL;
    }
    for (size_t i = 0; i < m->loop_count; i++)
        scrape_loop_stop(m->loops[i]);
    for (size_t i = 0; i < m->loop_count; i++)
        scrape_loop_join(m->loops[i]);
    m->stopped = true;
    m->hung = !collectors_stop(m->collectors);
    if (m->hung)
        log_warn("scrape", "a plugin does not come back; going without it");
    for (size_t i = 0; !m->hung && i < m->loop_count; i++)
        scrape_loop_drain(m->loops[i]);
    return !m->hung;
}

void scrape_manager_free(struct scrape_manager *m)
{
    if (!m || !scrape_manager_stop(m))
        return;
    for (size_t i = 0; i < m->loop_count; i++)
        scrape_loop_free(m->loops[i]);
    for (size_t i = 0; i < m->job_count; i++)
        job_drop(m->jobs[i]);
    collectors_free(m->collectors);
    free(m->jobs);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

/* ---- applying a configuration -------------------------------------------- */

/* Changes when anything does that steers the job: its own block, and the
 * external labels, which seed the offsets. */
static uint64_t fingerprint(const struct scrape_config *c,
                            const struct scrape_globals *g)
{
    uint64_t h = config_hash(&scrape_config_block, c);

    for (size_t i = 0; i < g->external_labels.count; i++) {
        const struct config_pair *p = &g->external_labels.items[i];

        h = XXH3_64bits_withSeed(p->key.ptr, p->key.len, h);
        h = XXH3_64bits_withSeed(p->values.items[0].ptr, p->values.items[0].len,
                                 h);
    }
    return h;
}

static int cmp_jobs(const void *a, const void *b)
{
    const struct job *x = *(struct job *const *)a;
    const struct job *y = *(struct job *const *)b;

    return str_cmp(x->config->job_name, y->config->job_name);
}

/* New job objects for a configuration; nothing runs yet. */
static sonde_code make_jobs(struct scrape_manager *m,
                            const struct scrape_jobs *jobs, struct job **out,
                            struct sonde_err *err)
{
    struct job_deps deps = {
        .manager = m,
        .jobs = jobs,
        .offset_seed = target_offset_seed(&jobs->globals->external_labels),
    };

    for (size_t i = 0; i < jobs->count; i++) {
        const struct scrape_config *c = jobs->items[i];
        sonde_code rc =
            plugin_find(m->deps.plugins, c->plugin, &deps.plugin, err);

        if (rc != SONDE_OK) {
            while (i--)
                job_unref(out[i]);
            return rc;
        }
        deps.fingerprint = fingerprint(c, jobs->globals);
        out[i] = job_new(&deps, c);
    }
    if (jobs->count)
        qsort(out, jobs->count, sizeof(struct job *), cmp_jobs);
    return SONDE_OK;
}

static void start_job(struct scrape_manager *m, struct job *j)
{
    struct sonde_err err;

    metric_inc(m->metrics.pool_reloads);
    j->started = job_start(j, m->deps.metrics, &err) == SONDE_OK;
    if (!j->started)
        log_error("scrape", "discovery of a job can not start",
                  LOG_STR("job", j->config->job_name), LOG_ERRTEXT(&err));
}

/* Merges the sorted lists: unchanged jobs stay, others end or begin; one
 * that could not start tries again. */
static void swap_jobs(struct scrape_manager *m, struct job **next, size_t n)
{
    size_t o = 0, i = 0;

    while (o < m->job_count || i < n) {
        struct job *was = o < m->job_count ? m->jobs[o] : NULL;
        struct job *now = i < n ? next[i] : NULL;
        int order = !now ? -1 : !was ? 1 : cmp_jobs(&was, &now);

        o += order <= 0;
        i += order >= 0;
        if (order == 0 && was->started &&
            was->fingerprint == now->fingerprint) {
            job_unref(now);
            next[i - 1] = was;
            continue;
        }
        if (order <= 0) {
            job_end(was);
            job_unref(was);
        }
        if (order >= 0)
            start_job(m, now);
    }
}

sonde_code scrape_manager_apply(struct scrape_manager *m,
                                const struct scrape_jobs *jobs,
                                struct sonde_err *err)
{
    struct job **next = mem_alloc((jobs->count + 1) * sizeof(struct job *));
    sonde_code rc = make_jobs(m, jobs, next, err);

    if (rc != SONDE_OK) {
        free(next);
        return rc;
    }
    (void)pthread_mutex_lock(&m->lock);
    swap_jobs(m, next, jobs->count);
    free(m->jobs);
    m->jobs = next;
    m->job_count = jobs->count;
    metric_set(m->metrics.pools, (int64_t)m->job_count);
    (void)atomic_fetch_add(&m->reloads, 1);
    (void)pthread_mutex_unlock(&m->lock);
    return SONDE_OK;
}
