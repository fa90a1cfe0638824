/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See job.h. A target is itself as long as its labels (internal ones
 * included) and URL stay the same: then it keeps its connection, its series
 * cache and its schedule, whatever else happened around it. Two discovered
 * label sets that come out the same are one target.
 */
#include "scrape/job.h"

#include <stdlib.h>
#include <string.h>

#include "scrape/manager.h"
#include "scrape/metrics.h"
#include "util/log.h"
#include "util/mem.h"

/* keep_dropped_targets 0 means all in Prometheus; a job that drops a hundred
 * thousand pods should not keep them all in memory. */
#define DROPPED_MAX 10000

struct group_entry {
    struct arena arena;
    sonde_str source;
    struct labels *targets;
    size_t count;
    struct labels labels;
};

struct group_store {
    struct group_entry **items;
    size_t count, cap;
};

/* ---- life ---------------------------------------------------------------- */

struct job *job_ref(struct job *j)
{
    (void)atomic_fetch_add(&j->refs, 1);
    return j;
}

static void group_free(struct group_entry *g)
{
    arena_fini(&g->arena);
    free(g);
}

void job_unref(struct job *j)
{
    if (!j || atomic_fetch_sub(&j->refs, 1) != 1)
        return;
    for (size_t i = 0; i < j->groups->count; i++)
        group_free(j->groups->items[i]);
    free(j->groups->items);
    free(j->groups);
    arena_fini(&j->dropped->arena);
    free(j->dropped);
    free(j->targets);
    arena_fini(&j->arena);
    (void)pthread_mutex_destroy(&j->lock);
    j->unref_owner(j->owner);
    free(j);
}

/* Names of scrape_protocols that this build reads, as Accept has them. */
static const struct {
    const char *name, *accept;
    bool escaping;
} protocols[] = {
    { "OpenMetricsText1.0.0", "application/openmetrics-text;version=1.0.0",
      true },
    { "OpenMetricsText0.0.1", "application/openmetrics-text;version=0.0.1",
      false },
    { "PrometheusText1.0.0", "text/plain;version=1.0.0", true },
    { "PrometheusText0.0.4", "text/plain;version=0.0.4", false },
};
#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))
/* Weights begin one tenth above the number of known protocols, protobuf
 * included, and fall by a tenth. */
#define FIRST_WEIGHT 6

static sonde_str accept_header(struct arena *a, const struct scrape_config *c)
{
    const char *escaping = c->metric_name_validation_scheme == 2
                               ? ";escaping=underscores"
                               : ";escaping=allow-utf-8";
    int weight = FIRST_WEIGHT;
    struct buf b;
    sonde_str s;

    buf_init(&b);
    for (size_t i = 0; i < c->scrape_protocols.count; i++) {
        for (size_t k = 0; k < PROTOCOLS; k++) {
            if (!sonde_str_eq(c->scrape_protocols.items[i],
                              sonde_cstr(protocols[k].name)))
                continue;
            buf_printf(&b, "%s%s;q=0.%d,", protocols[k].accept,
                       protocols[k].escaping ? escaping : "", weight--);
        }
    }
    buf_printf(&b, "*/*;q=0.%d", weight);
    s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s;
}

struct job *job_new(const struct job_deps *deps,
                    const struct scrape_config *config)
{
    struct job *j = mem_new(struct job);

    atomic_store(&j->refs, 1);
    j->manager = deps->manager;
    j->config = config;
    j->globals = deps->jobs->globals;
    j->owner = deps->jobs->owner;
    j->unref_owner = deps->jobs->unref;
    deps->jobs->ref(j->owner);
    j->plugin = deps->plugin;
    j->collect_cpu = scrape_manager_collect_cpu(
        deps->manager, plugin_desc(deps->plugin)->name);
    j->fingerprint = deps->fingerprint;
    j->offset_seed = deps->offset_seed;
    arena_init(&j->arena);
    j->accept = accept_header(&j->arena, config);
    j->agent = SONDE_STR("sonde/" PACKAGE_VERSION);
    j->groups = mem_new(struct group_store);
    j->dropped = mem_new(struct dropped_set);
    (void)pthread_mutex_init(&j->lock, NULL);
    return j;
}

/* ---- groups -------------------------------------------------------------- */

static struct group_entry *group_copy(const struct target_group *g)
{
    struct group_entry *e = mem_new(struct group_entry);

    arena_init(&e->arena);
    e->source = arena_str(&e->arena, g->source);
    e->labels = labels_dup(&e->arena, &g->labels);
    e->targets = arena_array(&e->arena, struct labels, g->count);
    e->count = g->count;
    for (size_t i = 0; i < g->count; i++)
        e->targets[i] = labels_dup(&e->arena, &g->targets[i]);
    return e;
}

static void group_put(struct group_store *s, const struct target_group *g)
{
    size_t i = 0;

    while (i < s->count && !sonde_str_eq(s->items[i]->source, g->source))
        i++;
    if (i < s->count)
        group_free(s->items[i]);
    if (g->count == 0) {
        if (i < s->count)
            s->items[i] = s->items[--s->count];
        return;
    }
    if (i == s->count) {
        s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
        s->count++;
    }
    s->items[i] = group_copy(g);
}

/* ---- from groups to targets ---------------------------------------------- */

struct target_list {
    struct target **items;
    size_t count, cap;
};

static void list_push(struct target_list *l, struct target *t)
{
    l->items = mem_grow(l->items, &l->cap, l->count + 1, sizeof(*l->items));
    l->items[l->count++] = t;
}

static void note_dropped(struct job *j, const struct labels *target,
                         const struct labels *group)
{
    struct dropped_set *d = j->dropped;
    size_t most = j->config->keep_dropped_targets
                      ? (size_t)j->config->keep_dropped_targets
                      : DROPPED_MAX;
    struct labels_builder lb;
    struct labels view;

    d->total++;
    if (d->count >= most)
        return;
    labels_builder_init(&lb, &d->arena);
    target_populate(j->config, target, group, &lb);
    view = labels_builder_view(&lb);
    d->items = mem_grow(d->items, &d->cap, d->count + 1, sizeof(*d->items));
    d->items[d->count++] = labels_dup(&d->arena, &view);
}

static void make_target(struct job *j, const struct labels *target,
                        const struct labels *group, struct target_list *out)
{
    struct sonde_err err = { 0 };
    struct target *t;
    sonde_code rc = target_new(j, target, group, &t, &err);

    if (rc == SONDE_OK) {
        list_push(out, t);
        return;
    }
    note_dropped(j, target, group);
    if (rc != SONDE_ENOTFOUND)
        log_error(
            "scrape", "a discovered target can not be scraped",
            LOG_STR("job", j->config->job_name),
            LOG_STR("address", labels_get(target, SONDE_STR("__address__"))),
            LOG_ERRTEXT(&err));
}

static void make_targets(struct job *j, struct target_list *out)
{
    struct dropped_set *d = j->dropped;

    arena_reset(&d->arena);
    free(d->items);
    d->items = NULL;
    d->count = d->cap = d->total = 0;
    for (size_t i = 0; i < j->groups->count; i++) {
        const struct group_entry *g = j->groups->items[i];

        for (size_t k = 0; k < g->count; k++)
            make_target(j, &g->targets[k], &g->labels, out);
    }
}

static int cmp_hash(const void *a, const void *b)
{
    const struct target *x = *(struct target *const *)a;
    const struct target *y = *(struct target *const *)b;

    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Sorted by hash, each once. */
static void list_unique(struct target_list *l)
{
    size_t kept = 0;

    if (l->count)
        qsort(l->items, l->count, sizeof(*l->items), cmp_hash);
    for (size_t i = 0; i < l->count; i++) {
        if (kept && l->items[kept - 1]->hash == l->items[i]->hash)
            target_unref(l->items[i]);
        else
            l->items[kept++] = l->items[i];
    }
    l->count = kept;
}

/* Merges the sorted lists of what runs and what should: what is in both goes
 * on, what is only in the old ends, what is only in the new begins. */
static void swap_targets(struct job *j, struct target_list *next)
{
    size_t o = 0, n = 0;

    while (o < j->target_count || n < next->count) {
        struct target *was = o < j->target_count ? j->targets[o] : NULL;
        struct target *now = n < next->count ? next->items[n] : NULL;

        if (was && now && was->hash == now->hash) {
            target_unref(now);
            next->items[n] = was;
            o++;
            n++;
        } else if (was && (!now || was->hash < now->hash)) {
            scrape_loop_end(was->loop, was);
            target_unref(was);
            o++;
        } else if (now) {
            scrape_loop_add(scrape_manager_loop(j->manager, now->hash), now);
            n++;
        }
    }
    free(j->targets);
    j->targets = next->items;
    j->target_count = next->count;
}

static void publish_counts(struct job *j)
{
    int64_t limit = j->config->target_limit;

    atomic_store(&j->over_target_limit,
                 limit > 0 && j->target_count > (size_t)limit);
    scrape_manager_pool_size(j->manager, j->config->job_name, j->target_count);
    metric_inc(scrape_manager_metrics(j->manager)->pool_syncs);
}

static void on_groups(void *arg, const struct target_group *groups, size_t n)
{
    struct job *j = arg;
    struct target_list next = { 0 };

    (void)pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < n; i++)
        group_put(j->groups, &groups[i]);
    make_targets(j, &next);
    list_unique(&next);
    swap_targets(j, &next);
    publish_counts(j);
    (void)pthread_mutex_unlock(&j->lock);
}

sonde_code job_start(struct job *j, struct selfmetrics *metrics,
                     struct sonde_err *err)
{
    const struct scrape_config *c = j->config;
    const struct discovery_job dj = {
        .job = c->job_name,
        .statics = c->static_configs.items,
        .static_count = c->static_configs.count,
        .files = c->file_sd_configs.items,
        .file_count = c->file_sd_configs.count,
    };

    return discovery_start(&dj, metrics, on_groups, j, &j->discovery, err);
}

void job_end(struct job *j)
{
    discovery_stop(j->discovery);
    j->discovery = NULL;
    (void)pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->target_count; i++) {
        scrape_loop_end(j->targets[i]->loop, j->targets[i]);
        target_unref(j->targets[i]);
    }
    j->target_count = 0;
    scrape_manager_pool_gone(j->manager, j->config->job_name);
    (void)pthread_mutex_unlock(&j->lock);
}
