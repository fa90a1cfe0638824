/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cancel request is a connection of its own, on which libpq waits for the
 * server to hang up, and for that wait it has no deadline. A server that is
 * stopped accepts the connection (the kernel does) and never hangs up. So a
 * thread of its own does it and is left to itself after a moment; what it
 * needs belongs to whichever of the two is last. There is at most one such
 * thread for each connection lost, and a server that hangs gives no new ones.
 *
 * The plugin is linked so that it stays in memory (-z nodelete), because of
 * this thread.
 */
#include "link_cancel.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "shared/clock.h"

#define PATIENCE_MS 250

struct request {
    PGcancel *cancel;
    pthread_mutex_t lock;
    pthread_cond_t heard;
    bool done;
    int owners;
};

static void release(struct request *r)
{
    bool last;

    (void)pthread_mutex_lock(&r->lock);
    last = --r->owners == 0;
    (void)pthread_mutex_unlock(&r->lock);
    if (!last)
        return;
    PQfreeCancel(r->cancel);
    (void)pthread_cond_destroy(&r->heard);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

static void *send_request(void *arg)
{
    struct request *r = arg;
    char why[256];

    (void)PQcancel(r->cancel, why, sizeof(why));
    (void)pthread_mutex_lock(&r->lock);
    r->done = true;
    (void)pthread_cond_signal(&r->heard);
    (void)pthread_mutex_unlock(&r->lock);
    release(r);
    return NULL;
}

static struct request *new_request(PGconn *conn)
{
    struct request *r = calloc(1, sizeof(*r));
    pthread_condattr_t monotonic;

    if (!r)
        return NULL;
    r->cancel = PQgetCancel(conn);
    if (!r->cancel) {
        free(r);
        return NULL;
    }
    r->owners = 2;
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->heard, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return r;
}

static void wait_a_moment(struct request *r)
{
    struct timespec until = clock_after(PATIENCE_MS);

    (void)pthread_mutex_lock(&r->lock);
    while (!r->done) {
        if (pthread_cond_timedwait(&r->heard, &r->lock, &until) != 0)
            break;
    }
    (void)pthread_mutex_unlock(&r->lock);
}

void link_cancel(PGconn *conn)
{
    struct request *r = new_request(conn);
    pthread_t thread;

    if (!r)
        return;
    if (pthread_create(&thread, NULL, send_request, r) == 0) {
        (void)pthread_detach(thread);
        wait_a_moment(r);
    } else {
        r->owners = 1;
    }
    release(r);
}
