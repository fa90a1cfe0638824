/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots for the status pages, copied into the caller's arena so that no
 * lock is held while a page is written.
 */
#include <stdlib.h>

#include "scrape/job.h"
#include "scrape/manager.h"
#include "util/mem.h"
#include "util/str.h"

static void copy_target(struct target *t, struct arena *a,
                        struct target_status *out)
{
    *out = (struct target_status){
        .job = arena_str(a, t->job->config->job_name),
        .scrape_url = arena_str(a, t->url),
        .global_url = arena_str(a, t->url),
        .labels = labels_dup(a, &t->labels),
        .discovered = labels_dup(a, &t->discovered),
        .interval = t->interval,
        .timeout = t->timeout,
    };
    (void)pthread_mutex_lock(&t->lock);
    out->health = t->health;
    out->last_scrape = t->last_scrape_ms;
    out->last_scrape_seconds = t->last_seconds;
    if (t->last_error)
        out->last_error = arena_str(a, sonde_cstr(t->last_error));
    (void)pthread_mutex_unlock(&t->lock);
}

static int cmp_targets(const void *a, const void *b)
{
    const struct target_status *x = a, *y = b;
    int c = str_cmp(x->job, y->job);

    if (c == 0)
        c = str_cmp(x->scrape_url, y->scrape_url);
    return c ? c : labels_cmp(&x->labels, &y->labels);
}

/* Room for all jobs' targets; jobs change under their own locks, so what is
 * counted here is only where the arrays begin. */
struct snapshot {
    struct arena *arena;
    struct target_status *active;
    size_t active_count, active_cap;
    struct dropped_target *dropped;
    size_t dropped_count, dropped_cap;
};

static void add_job(struct snapshot *s, struct job *j)
{
    const struct dropped_set *d = j->dropped;

    s->active = mem_grow(s->active, &s->active_cap,
                         s->active_count + j->target_count, sizeof(*s->active));
    for (size_t i = 0; i < j->target_count; i++)
        copy_target(j->targets[i], s->arena, &s->active[s->active_count++]);
    s->dropped = mem_grow(s->dropped, &s->dropped_cap,
                          s->dropped_count + d->count, sizeof(*s->dropped));
    for (size_t i = 0; i < d->count; i++)
        s->dropped[s->dropped_count++] = (struct dropped_target){
            .job = arena_str(s->arena, j->config->job_name),
            .discovered = labels_dup(s->arena, &d->items[i]),
        };
}

static void move_to_arena(struct snapshot *s, struct targets_status *out)
{
    out->active = arena_array(s->arena, struct target_status, s->active_count);
    out->active_count = s->active_count;
    for (size_t i = 0; i < s->active_count; i++)
        out->active[i] = s->active[i];
    out->dropped =
        arena_array(s->arena, struct dropped_target, s->dropped_count);
    out->dropped_count = s->dropped_count;
    for (size_t i = 0; i < s->dropped_count; i++)
        out->dropped[i] = s->dropped[i];
    free(s->active);
    free(s->dropped);
}

void scrape_status(struct scrape_manager *m, struct arena *a,
                   struct targets_status *out)
{
    struct snapshot s = { .arena = a };

    *out = (struct targets_status){ 0 };
    (void)pthread_mutex_lock(&m->lock);
    out->pools = arena_alloc_array(a, sizeof(*out->pools), m->job_count);
    out->pool_count = m->job_count;
    for (size_t i = 0; i < m->job_count; i++) {
        struct job *j = m->jobs[i];

        (void)pthread_mutex_lock(&j->lock);
        out->pools[i].job = arena_str(a, j->config->job_name);
        out->pools[i].dropped = j->dropped->total;
        add_job(&s, j);
        (void)pthread_mutex_unlock(&j->lock);
    }
    (void)pthread_mutex_unlock(&m->lock);
    move_to_arena(&s, out);
    if (out->active_count)
        qsort(out->active, out->active_count, sizeof(*out->active),
              cmp_targets);
}

struct metadata_snapshot {
    struct arena *arena;
    struct metadata_status *items;
    size_t count, cap;
};

static void add_metadata(struct metadata_snapshot *s, struct target *t)
{
    struct labels *labels = arena_new(s->arena, struct labels);

    *labels = labels_dup(s->arena, &t->labels);
    (void)pthread_mutex_lock(&t->lock);
    s->items = mem_grow(s->items, &s->cap, s->count + t->families.count,
                        sizeof(*s->items));
    for (size_t i = 0; i < t->families.count; i++) {
        struct metadata m = family_metadata(&t->families.items[i]);

        m.family = arena_str(s->arena, m.family);
        m.unit = arena_str(s->arena, m.unit);
        m.help = arena_str(s->arena, m.help);
        s->items[s->count++] =
            (struct metadata_status){ .meta = m, .target = labels };
    }
    (void)pthread_mutex_unlock(&t->lock);
}

void scrape_metadata(struct scrape_manager *m, struct arena *a,
                     struct metadata_status **out, size_t *n)
{
    struct metadata_snapshot s = { .arena = a };

    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->job_count; i++) {
        struct job *j = m->jobs[i];

        (void)pthread_mutex_lock(&j->lock);
        for (size_t k = 0; k < j->target_count; k++)
            add_metadata(&s, j->targets[k]);
        (void)pthread_mutex_unlock(&j->lock);
    }
    (void)pthread_mutex_unlock(&m->lock);
    *out = arena_array(a, struct metadata_status, s.count);
    *n = s.count;
    for (size_t i = 0; i < s.count; i++)
        (*out)[i] = s.items[i];
    free(s.items);
}
