/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints of the configuration, and their queues. A new configuration
 * is compared endpoint by endpoint: what did not change keeps its queue, its
 * connections and its batches; what changed stops, saves its place, and goes
 * on from there in a new queue, which finds the file by name and URL.
 *
 * Queues keep the configuration that they were made of alive.
 *
 * Threads: `lock` guards the list of queues; applying and asking for the
 * oldest position may come from different threads. Queues are started and
 * stopped outside of it, by whoever applies, one at a time (`applying`).
 */
#include <pthread.h>
#include <stdlib.h>

#include "remote/metrics.h"
#include "remote/queue.h"
#include "remote/remote.h"
#include "util/clock.h"
#include "util/mem.h"

/* How long a queue that is replaced may wait for what is under way. */
#define REPLACE_MS 5000

struct queues {
    struct queue **items;
    size_t count;
};

struct remote_manager {
    struct remote_deps deps;
    pthread_mutex_t applying; /* held by who changes the queues           */
    pthread_mutex_t lock;     /* guards `queues`                          */
    struct queues queues;
};

sonde_code remote_manager_new(const struct remote_deps *deps,
                              struct remote_manager **out,
                              struct sonde_err *err)
{
    struct remote_manager *m;

    if (!deps->storage || !deps->wal || !deps->wal_dir || !deps->state_dir)
        return sonde_err_set(err, SONDE_EINVAL,
                             "remote write: no store, log or state folder");
    m = mem_new(struct remote_manager);
    m->deps = *deps;
    (void)pthread_mutex_init(&m->applying, NULL);
    (void)pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return SONDE_OK;
}

static sonde_msec from_now(sonde_msec ms)
{
    return clock_monotonic(&clock_system) + ms;
}

/* All at once, so that their times do not add up. */
static void stop_all(struct queues *queues, enum queue_stop how,
                     sonde_msec deadline_ms)
{
    for (size_t i = 0; i < queues->count; i++)
        queue_stop(queues->items[i], how, deadline_ms);
    for (size_t i = 0; i < queues->count; i++)
        queue_free(queues->items[i]);
    free(queues->items);
    *queues = (struct queues){ 0 };
}

void remote_manager_free(struct remote_manager *m)
{
    if (!m)
        return;
    stop_all(&m->queues, QUEUE_FLUSH, from_now(m->deps.flush_deadline_ms));
    (void)pthread_mutex_destroy(&m->applying);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

/* ---- applying --------------------------------------------------------- */

static size_t nth_of_its_kind(const struct remote_endpoints *e, size_t i)
{
    size_t n = 0;

    for (size_t k = 0; k < i; k++)
        n += sonde_str_eq(e->items[k]->name, e->items[i]->name) &&
             sonde_str_eq(e->items[k]->url, e->items[i]->url);
    return n;
}

static struct queue **find_identity(struct queues *queues, uint64_t identity)
{
    for (size_t i = 0; i < queues->count; i++)
        if (queues->items[i] &&
            queue_endpoint(queues->items[i])->identity == identity)
            return &queues->items[i];
    return NULL;
}

static bool unchanged(const struct queue *old, const struct queue *fresh)
{
    const struct queue_setup *a = queue_setup_of(old);
    const struct queue_setup *b = queue_setup_of(fresh);

    return queue_runs(old) &&
           queue_endpoint(old)->config_hash ==
               queue_endpoint(fresh)->config_hash &&
           external_labels_same(a->external_labels, b->external_labels);
}

/* A queue for each endpoint, not started. */
static sonde_code make_queues(struct remote_manager *m,
                              const struct remote_endpoints *e,
                              struct queues *out, struct sonde_err *err)
{
    out->items = mem_zalloc((e->count ? e->count : 1) * sizeof(*out->items));
    for (size_t i = 0; i < e->count; i++) {
        struct queue_setup setup = { .deps = &m->deps,
                                     .config = e->items[i],
                                     .external_labels = e->external_labels,
                                     .nth = nth_of_its_kind(e, i),
                                     .owner = e->owner,
                                     .ref = e->ref,
                                     .unref = e->unref };
        sonde_code rc = queue_new(&setup, &out->items[i], err);

        if (rc != SONDE_OK)
            return rc;
        out->count++;
    }
    return SONDE_OK;
}

/* Puts running queues that did not change in the place of new ones; what is
 * left in `old` is to go. */
static void keep_unchanged(struct queues *old, struct queues *fresh)
{
    for (size_t i = 0; i < fresh->count; i++) {
        struct queue **was =
            find_identity(old, queue_endpoint(fresh->items[i])->identity);

        if (!was || !unchanged(*was, fresh->items[i]))
            continue;
        queue_free(fresh->items[i]);
        fresh->items[i] = *was;
        *was = NULL;
    }
}

static void drop_metrics(struct remote_manager *m, struct queues *fresh,
                         const struct queue *gone)
{
    const struct endpoint *e = queue_endpoint(gone);

    if (!find_identity(fresh, e->identity))
        remote_metrics_drop(m->deps.metrics, e->labels);
}

static void stop_replaced(struct remote_manager *m, struct queues *old,
                          struct queues *fresh)
{
    struct queues gone = *old;

    gone.count = 0;
    for (size_t i = 0; i < old->count; i++) {
        if (!old->items[i])
            continue;
        drop_metrics(m, fresh, old->items[i]);
        gone.items[gone.count++] = old->items[i];
    }
    stop_all(&gone, QUEUE_HALT, from_now(REPLACE_MS));
}

static bool is_running(const struct queues *queues, const struct queue *q)
{
    for (size_t i = 0; i < queues->count; i++)
        if (queues->items[i] == q)
            return true;
    return false;
}

static sonde_code start_new(struct queues *fresh, const struct queues *running,
                            struct sonde_err *err)
{
    for (size_t i = 0; i < fresh->count; i++) {
        sonde_code rc;

        if (is_running(running, fresh->items[i]))
            continue;
        rc = queue_start(fresh->items[i], err);
        if (rc != SONDE_OK) {
            (void)sonde_err_prefix(err, "remote write to %s",
                                   queue_endpoint(fresh->items[i])->url);
            return rc;
        }
    }
    return SONDE_OK;
}

/* The list is swapped before anything starts or stops: a queue that has not
 * read its saved position yet holds all segments, so that none is deleted
 * meanwhile. One that could not start stays in the list and goes on doing so,
 * until a configuration is applied with which it can. */
static sonde_code replace(struct remote_manager *m, struct queues *fresh,
                          struct sonde_err *err)
{
    struct queues old = m->queues, running;
    sonde_code rc;

    running.items =
        mem_zalloc((old.count ? old.count : 1) * sizeof(*running.items));
    running.count = old.count;
    for (size_t i = 0; i < old.count; i++)
        running.items[i] = old.items[i];
    (void)pthread_mutex_lock(&m->lock);
    keep_unchanged(&old, fresh);
    m->queues = *fresh;
    (void)pthread_mutex_unlock(&m->lock);
    stop_replaced(m, &old, fresh);
    rc = start_new(fresh, &running, err);
    free(running.items);
    return rc;
}

sonde_code remote_manager_apply(struct remote_manager *m,
                                const struct remote_endpoints *endpoints,
                                struct sonde_err *err)
{
    struct queues fresh = { 0 };
    sonde_code rc;

    (void)pthread_mutex_lock(&m->applying);
    rc = make_queues(m, endpoints, &fresh, err);
    if (rc == SONDE_OK)
        rc = replace(m, &fresh, err);
    else
        stop_all(&fresh, QUEUE_HALT, 0);
    (void)pthread_mutex_unlock(&m->applying);
    return rc;
}

bool remote_manager_oldest(struct remote_manager *m, struct wal_position *out)
{
    bool any = false;

    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->queues.count; i++) {
        struct wal_position at = queue_oldest(m->queues.items[i]);

        if (!any || wal_position_cmp(at, *out) < 0)
            *out = at;
        any = true;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return any;
}

sonde_msec remote_manager_sent(struct remote_manager *m)
{
    sonde_msec least = INT64_MIN;

    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->queues.count; i++) {
        sonde_msec sent = queue_sent(m->queues.items[i]);

        if (i == 0 || sent < least)
            least = sent;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return least;
}
