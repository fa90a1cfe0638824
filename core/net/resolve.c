/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getaddrinfo blocks for as long as name servers let it wait (5 s an attempt,
 * several attempts) and can not be interrupted. So a name is looked up by a
 * thread of its own; who waits for it gives up at the deadline and leaves.
 * The lookup is shared by the two and freed by whichever lets go last.
 * Numbers are converted at once, without a thread.
 *
 * Threads left behind end by the resolver's own time limit, so there can be
 * only a few for each caller. Rejected: getaddrinfo_a, whose requests can not
 * be cancelled either and then must stay in memory nobody owns.
 */
#include "net/resolve.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "util/clock.h"
#include "util/mem.h"

/* The mutex guards all but host, port. */
struct lookup {
    char *host, *port;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    int users; /* the waiting one and the thread                           */
    bool ended;
    int code; /* of getaddrinfo                                            */
    struct addrinfo *list;
};

static int look(const char *host, const char *port, int flags,
                struct addrinfo **list)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };

    return getaddrinfo(host, port, &hints, list);
}

static struct lookup *lookup_new(sonde_str host, sonde_str port)
{
    struct lookup *l = mem_new(struct lookup);
    pthread_condattr_t attr;

    l->host = mem_strdup(host);
    l->port = mem_strdup(port);
    l->users = 1;
    (void)pthread_mutex_init(&l->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->done, &attr);
    (void)pthread_condattr_destroy(&attr);
    return l;
}

/* With the mutex held; lets go of it. */
static void lookup_unref(struct lookup *l)
{
    bool last = --l->users == 0;

    (void)pthread_mutex_unlock(&l->mutex);
    if (!last)
        return;
    resolve_free(l->list);
    (void)pthread_cond_destroy(&l->done);
    (void)pthread_mutex_destroy(&l->mutex);
    free(l->host);
    free(l->port);
    free(l);
}

static void *lookup_run(void *arg)
{
    struct lookup *l = arg;
    struct addrinfo *list = NULL;
    int code = look(l->host, l->port, AI_NUMERICSERV, &list);

    (void)pthread_mutex_lock(&l->mutex);
    l->ended = true;
    l->code = code;
    l->list = code == 0 ? list : NULL;
    (void)pthread_cond_signal(&l->done);
    lookup_unref(l);
    return NULL;
}

static bool lookup_start(struct lookup *l)
{
    pthread_attr_t attr;
    pthread_t thread;
    bool ok;

    l->users++;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    ok = pthread_create(&thread, &attr, lookup_run, l) == 0;
    (void)pthread_attr_destroy(&attr);
    if (!ok)
        l->users--;
    return ok;
}

static sonde_code lookup_failed(int code, sonde_str host, struct sonde_err *err)
{
    return sonde_err_set(
        err, code == EAI_NONAME ? SONDE_ENOTFOUND : SONDE_ECONNECT,
        "lookup %.*s: %s", SONDE_ARG(host),
        code == EAI_NONAME ? "no such host" : gai_strerror(code));
}

static sonde_code lookup_wait(struct lookup *l, sonde_str host,
                              sonde_msec deadline, struct addrinfo **out,
                              struct sonde_err *err)
{
    struct timespec until = clock_timespec(deadline);
    sonde_code rc = SONDE_OK;
    int wait = 0;

    (void)pthread_mutex_lock(&l->mutex);
    while (!l->ended && wait == 0)
        wait = pthread_cond_timedwait(&l->done, &l->mutex, &until);
    if (!l->ended)
        rc = sonde_err_set(err, SONDE_ETIMEOUT,
                           "lookup %.*s: deadline "
                           "exceeded",
                           SONDE_ARG(host));
    else if (l->code)
        rc = lookup_failed(l->code, host, err);
    if (rc == SONDE_OK) {
        *out = l->list;
        l->list = NULL;
    }
    lookup_unref(l);
    return rc;
}

sonde_code resolve(sonde_str host, sonde_str port, sonde_msec deadline,
                   struct addrinfo **out, struct sonde_err *err)
{
    struct lookup *l = lookup_new(host, port);
    int code = look(l->host, l->port, AI_NUMERICHOST | AI_NUMERICSERV, out);

    if (code == EAI_NONAME && lookup_start(l))
        return lookup_wait(l, host, deadline, out, err);
    (void)pthread_mutex_lock(&l->mutex);
    lookup_unref(l);
    return code ? lookup_failed(code, host, err) : SONDE_OK;
}

void resolve_free(struct addrinfo *list)
{
    if (list)
        freeaddrinfo(list);
}
