/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers that may take long (queries, reloads, password hashes) must not
 * hold up a listener's thread, on which all other connections of that
 * listener wait. They are queued here and run by a few workers.
 *
 * Workers are started one by one, when a job comes and nobody is idle, so
 * that an agent whose only visitor is a health check has none. There are two
 * lanes: a password hash costs tens of milliseconds by design and can be
 * asked for by anybody, so hashes get at most half of the workers and wait in
 * a queue of their own. Both queues are bounded; what does not fit is refused
 * at once, which the client sees as 503.
 *
 * Stopping runs what is queued (the jobs see that the server stops and are
 * quick) and joins the threads, so that no job is ever lost: each belongs to
 * a suspended connection that has to be resumed.
 */
#include "net/pool.h"

#include <signal.h>

#include "util/mem.h"

/* Only what is touched counts as memory; the parsers and evaluators that run
 * here recurse to bounded depths. */
#define WORKER_STACK_BYTES (1u << 20)

static void queue_init(struct pool_queue *q, size_t limit)
{
    *q = (struct pool_queue){ .limit = limit };
    q->tail = &q->head;
}

static struct pool_job *queue_take(struct pool_queue *q)
{
    struct pool_job *job = q->head;

    if (!job)
        return NULL;
    q->head = job->next;
    if (!q->head)
        q->tail = &q->head;
    q->count--;
    return job;
}

void workers_init(struct pool *p, size_t threads_max, size_t queue_max)
{
    *p = (struct pool){ .threads_max = threads_max };
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    for (size_t i = 0; i < POOL_LANES; i++)
        queue_init(&p->lanes[i], queue_max);
    p->ids = mem_zalloc(threads_max * sizeof(*p->ids));
}

/* The next job that may run now. */
static struct pool_job *pool_take(struct pool *p)
{
    size_t hash_max = p->threads_max > 1 ? p->threads_max / 2 : 1;
    struct pool_job *job = NULL;

    if (p->hashing < hash_max)
        job = queue_take(&p->lanes[POOL_HASH]);
    return job ? job : queue_take(&p->lanes[POOL_WORK]);
}

static void *worker(void *arg)
{
    struct pool *p = arg;

    pthread_mutex_lock(&p->mutex);
    for (;;) {
        struct pool_job *job = pool_take(p);
        bool hash;

        if (!job) {
            if (p->stop)
                break;
            p->idle++;
            pthread_cond_wait(&p->work, &p->mutex);
            p->idle--;
            continue;
        }
        hash = job->lane == POOL_HASH;
        p->hashing += hash;
        pthread_mutex_unlock(&p->mutex);
        job->run(job); /* gone afterwards */
        pthread_mutex_lock(&p->mutex);
        p->hashing -= hash;
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

bool workers_thread(pthread_t *id, size_t stack_bytes, void *(*fn)(void *),
                    void *arg)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack_bytes);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(id, &attr, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

bool workers_submit(struct pool *p, enum pool_lane lane, struct pool_job *job)
{
    struct pool_queue *q = &p->lanes[lane];
    size_t waiting;
    bool ok;

    pthread_mutex_lock(&p->mutex);
    waiting = p->lanes[POOL_WORK].count + p->lanes[POOL_HASH].count;
    if (waiting >= p->idle && p->threads < p->threads_max && !p->stop &&
        workers_thread(&p->ids[p->threads], WORKER_STACK_BYTES, worker, p))
        p->threads++;
    ok = !p->stop && p->threads > 0 && q->count < q->limit;
    if (ok) {
        job->next = NULL;
        job->lane = lane;
        *q->tail = job;
        q->tail = &job->next;
        q->count++;
    }
    pthread_mutex_unlock(&p->mutex);
    if (ok)
        pthread_cond_signal(&p->work); /* who wakes finds the mutex free */
    return ok;
}

size_t workers_queued(struct pool *p, size_t *threads)
{
    size_t n;

    pthread_mutex_lock(&p->mutex);
    n = p->lanes[POOL_WORK].count + p->lanes[POOL_HASH].count;
    *threads = p->threads;
    pthread_mutex_unlock(&p->mutex);
    return n;
}

void workers_stop(struct pool *p)
{
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->threads; i++)
        pthread_join(p->ids[i], NULL);
}

void workers_fini(struct pool *p)
{
    free(p->ids);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->mutex);
}
