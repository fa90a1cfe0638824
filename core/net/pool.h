/* SPDX-License-Identifier: Apache-2.0 */
/* The server's workers: threads that are started when there is work. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include <pthread.h>

#include <sonde/base.h>

enum pool_lane {
    POOL_WORK,
    POOL_HASH, /* password hashes: at most half of the workers at once */
    POOL_LANES
};

/* Embedded in what is to be done. */
struct pool_job {
    struct pool_job *next;
    void (*run)(struct pool_job *job);
    enum pool_lane lane;
};

struct pool_queue {
    struct pool_job *head, **tail;
    size_t count, limit;
};

struct pool {
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t work;
    struct pool_queue lanes[POOL_LANES];
    size_t threads_max, threads, idle, hashing;
    bool stop;
    pthread_t *ids;
};

/* `queue_max` jobs may wait in each lane. */
void workers_init(struct pool *p, size_t threads_max, size_t queue_max);
/* False if the lane's queue is full, or the pool is stopping. */
bool workers_submit(struct pool *p, enum pool_lane lane, struct pool_job *job);
size_t workers_queued(struct pool *p, size_t *threads);
/* Runs what is queued, ends the threads; refuses from then on. */
void workers_stop(struct pool *p);
/* After workers_stop, when nobody submits any more. */
void workers_fini(struct pool *p);

/* A joinable thread with all signals blocked and a stack of this size. */
bool workers_thread(pthread_t *id, size_t stack_bytes, void *(*fn)(void *),
                    void *arg);

#endif
