/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop is a counter that its workers take pieces from. The caller puts it
 * up as `loop`, wakes the helpers, works itself until nothing is left to be
 * taken, takes the loop down so that nobody joins any more, and waits for
 * those who did. A second caller finds the place taken and works alone, as
 * does one whose loop is a single piece.
 */
#include "util/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "util/mem.h"

struct loop {
    size_t n, piece;
    bool (*fn)(void *arg, size_t worker, size_t from, size_t to);
    void *arg;
    _Atomic size_t next; /* first that is not taken                        */
    _Atomic bool stopped;
    size_t joined; /* helpers that ever came: worker numbers               */
    size_t inside; /* helpers that are at it now                           */
};

struct parallel {
    pthread_mutex_t mutex; /* guards all below, and joined and inside      */
    pthread_cond_t work, left;
    struct loop *loop; /* NULL: the helpers have nothing to do             */
    uint64_t round;    /* of `loop`: each helper joins once                */
    bool end;
    size_t helpers, started;
    pthread_t *threads;
};

static void take_pieces(struct loop *l, size_t worker)
{
    while (!atomic_load_explicit(&l->stopped, memory_order_relaxed)) {
        size_t from = atomic_fetch_add(&l->next, l->piece);
        size_t to = from + l->piece;

        if (from >= l->n)
            return;
        if (!l->fn(l->arg, worker, from, to < l->n ? to : l->n))
            atomic_store(&l->stopped, true);
    }
}

/* Under the mutex: waits for a loop that is not of round `*last`; NULL at the
 * end of all. */
static struct loop *next_loop(struct parallel *p, uint64_t *last)
{
    while (!p->end && (!p->loop || p->round == *last))
        (void)pthread_cond_wait(&p->work, &p->mutex);
    *last = p->round;
    return p->end ? NULL : p->loop;
}

static void *help(void *arg)
{
    struct parallel *p = arg;
    struct loop *l;
    uint64_t last = 0;

    (void)pthread_mutex_lock(&p->mutex);
    while ((l = next_loop(p, &last))) {
        size_t worker = ++l->joined;

        l->inside++;
        (void)pthread_mutex_unlock(&p->mutex);
        take_pieces(l, worker);
        (void)pthread_mutex_lock(&p->mutex);
        if (--l->inside == 0)
            (void)pthread_cond_broadcast(&p->left);
    }
    (void)pthread_mutex_unlock(&p->mutex);
    return NULL;
}

struct parallel *parallel_new(size_t helpers)
{
    struct parallel *p = mem_new(struct parallel);

    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_cond_init(&p->work, NULL);
    (void)pthread_cond_init(&p->left, NULL);
    p->helpers = helpers;
    p->threads = mem_alloc((helpers + 1) * sizeof(*p->threads));
    return p;
}

void parallel_free(struct parallel *p)
{
    if (!p)
        return;
    (void)pthread_mutex_lock(&p->mutex);
    p->end = true;
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->started; i++)
        (void)pthread_join(p->threads[i], NULL);
    (void)pthread_cond_destroy(&p->left);
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_mutex_destroy(&p->mutex);
    free(p->threads);
    free(p);
}

size_t parallel_workers(const struct parallel *p)
{
    return p ? p->helpers + 1 : 1;
}

/* Under the mutex. A helper that can not be started is done without. */
static void start_helpers(struct parallel *p)
{
    while (p->started < p->helpers &&
           pthread_create(&p->threads[p->started], NULL, help, p) == 0)
        p->started++;
}

/* False if the helpers are with somebody else. */
static bool put_up(struct parallel *p, struct loop *l)
{
    bool mine;

    (void)pthread_mutex_lock(&p->mutex);
    mine = p->loop == NULL;
    if (mine) {
        start_helpers(p);
        p->loop = l;
        p->round++;
        (void)pthread_cond_broadcast(&p->work);
    }
    (void)pthread_mutex_unlock(&p->mutex);
    return mine;
}

static void take_down(struct parallel *p, struct loop *l)
{
    (void)pthread_mutex_lock(&p->mutex);
    p->loop = NULL;
    while (l->inside)
        (void)pthread_cond_wait(&p->left, &p->mutex);
    (void)pthread_mutex_unlock(&p->mutex);
}

bool parallel_run(struct parallel *p, size_t n, size_t piece,
                  bool (*fn)(void *arg, size_t worker, size_t from, size_t to),
                  void *arg)
{
    struct loop l = { .n = n, .piece = piece, .fn = fn, .arg = arg };
    bool helped = p && p->helpers && n > piece && put_up(p, &l);

    take_pieces(&l, 0);
    if (helped)
        take_down(p, &l);
    return !atomic_load(&l.stopped);
}
