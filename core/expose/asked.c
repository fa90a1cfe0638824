/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of at most `max_targets` entries, searched from end to end: a search
 * costs less than the request's headers, and what follows is a conversation
 * over the network. The entry that was not used for the longest makes room;
 * one in use never does.
 *
 * Entries belong to one job object. A reload that changes the job makes a new
 * one, and with it everything is made anew: options, secrets, the target's
 * loop.
 */
#include "expose/asked.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

struct entry {
    char *key; /* address and options */
    char *address;
    struct target *target;
    size_t users;
    uint64_t used; /* a counter, the larger the later */
    bool outdated; /* not to be found any more        */
};

struct asked {
    pthread_mutex_t lock; /* guards all */
    pthread_cond_t put;
    struct job *job; /* held */
    struct entry **items;
    size_t count, cap;
    uint64_t clock;
};

struct asked *asked_new(void)
{
    struct asked *t = mem_new(struct asked);
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->put, &attr);
    (void)pthread_condattr_destroy(&attr);
    return t;
}

static void forget(struct asked *t, size_t i)
{
    struct entry *e = t->items[i];

    t->items[i] = t->items[--t->count];
    scrape_target_end(e->target);
    free(e->key);
    free(e->address);
    free(e);
}

static void clear(struct asked *t)
{
    for (size_t i = t->count; i-- > 0;) {
        t->items[i]->outdated = true;
        if (t->items[i]->users == 0)
            forget(t, i);
    }
}

void asked_clear(struct asked *t)
{
    (void)pthread_mutex_lock(&t->lock);
    clear(t);
    (void)pthread_mutex_unlock(&t->lock);
}

void asked_free(struct asked *t)
{
    if (!t)
        return;
    clear(t);
    scrape_job_put(t->job);
    free(t->items);
    (void)pthread_cond_destroy(&t->put);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

size_t asked_count(struct asked *t)
{
    size_t n;

    (void)pthread_mutex_lock(&t->lock);
    n = t->count;
    (void)pthread_mutex_unlock(&t->lock);
    return n;
}

/* With its length, so that no two lists of texts look the same. */
static void put_counted(struct buf *b, sonde_str s)
{
    buf_printf(b, "%zu:", s.len);
    buf_put(b, s);
}

static char *key_of(const struct asked_want *w)
{
    struct buf b;

    buf_init(&b);
    put_counted(&b, w->address);
    for (size_t i = 0; i < w->options->count; i++) {
        put_counted(&b, w->options->items[i].key);
        put_counted(&b, w->options->items[i].values.items[0]);
    }
    return buf_take(&b);
}

static struct entry *find(struct asked *t, const char *key)
{
    for (size_t i = 0; i < t->count; i++)
        if (!t->items[i]->outdated && strcmp(t->items[i]->key, key) == 0)
            return t->items[i];
    return NULL;
}

/* Whether the address is being collected with other options. */
static bool is_taken(const struct asked *t, const char *key, sonde_str address)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct entry *e = t->items[i];

        if (e->users && str_eq_cstr(address, e->address) &&
            (e->outdated || strcmp(e->key, key) != 0))
            return true;
    }
    return false;
}

static bool make_room(struct asked *t, size_t most)
{
    size_t oldest = SIZE_MAX;

    if (t->count < most)
        return true;
    for (size_t i = 0; i < t->count; i++)
        if (t->items[i]->users == 0 &&
            (oldest == SIZE_MAX || t->items[i]->used < t->items[oldest]->used))
            oldest = i;
    if (oldest == SIZE_MAX)
        return false;
    forget(t, oldest);
    return true;
}

static sonde_code make(struct asked *t, const struct asked_want *w,
                       const char *key, struct entry **out,
                       struct sonde_err *err)
{
    size_t most = (size_t)scrape_job_config(w->job)->expose.max_targets;
    struct target *target;
    struct entry *e;
    sonde_code rc;

    if (!make_room(t, most))
        return sonde_err_set(err, SONDE_ELIMIT,
                             "%zu targets are being collected on request, no "
                             "more are possible (max_targets)",
                             most);
    rc = scrape_target_make(w->job, w->address, w->options, &target, err);
    if (rc != SONDE_OK)
        return rc;
    e = mem_new(struct entry);
    e->key = mem_strdup(sonde_cstr(key));
    e->address = mem_strdup(w->address);
    e->target = target;
    t->items = mem_grow(t->items, &t->cap, t->count + 1, sizeof(*t->items));
    t->items[t->count++] = e;
    *out = e;
    return SONDE_OK;
}

static void take_job(struct asked *t, struct job *job)
{
    if (t->job == job)
        return;
    clear(t);
    scrape_job_put(t->job);
    t->job = scrape_job_ref(job);
}

static sonde_code get(struct asked *t, const struct asked_want *w,
                      const char *key, struct target **out,
                      struct sonde_err *err)
{
    struct timespec until = clock_timespec(w->deadline);
    sonde_code rc = SONDE_OK;
    struct entry *e;
    int wait = 0;

    take_job(t, w->job);
    while (is_taken(t, key, w->address) && wait == 0)
        wait = pthread_cond_timedwait(&t->put, &t->lock, &until);
    if (wait)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "the target was being collected with other "
                             "parameters until the timeout");
    e = find(t, key);
    if (!e)
        rc = make(t, w, key, &e, err);
    if (rc != SONDE_OK)
        return rc;
    e->users++;
    e->used = ++t->clock;
    *out = e->target;
    return SONDE_OK;
}

sonde_code asked_get(struct asked *t, const struct asked_want *want,
                     struct target **out, struct sonde_err *err)
{
    char *key = key_of(want);
    sonde_code rc;

    (void)pthread_mutex_lock(&t->lock);
    rc = get(t, want, key, out, err);
    (void)pthread_mutex_unlock(&t->lock);
    free(key);
    return rc;
}

void asked_put(struct asked *t, struct target *target)
{
    (void)pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->count; i++) {
        struct entry *e = t->items[i];

        if (e->target != target)
            continue;
        if (--e->users == 0 && e->outdated)
            forget(t, i);
        break;
    }
    (void)pthread_cond_broadcast(&t->put);
    (void)pthread_mutex_unlock(&t->lock);
}
