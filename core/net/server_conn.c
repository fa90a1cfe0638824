/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections and their deadlines. libmicrohttpd closes a connection that is
 * silent for too long, but not one that sends or takes a byte now and then;
 * a few hundred of those would hold every slot for ever. So each connection
 * is listed here with the moment by which the client must be done with what
 * it is at: sending a whole request, or taking a whole answer. While a
 * handler runs there is no deadline; handlers have their own.
 *
 * One thread, the janitor, sleeps until the earliest deadline and shuts the
 * socket down, upon which libmicrohttpd closes it. All deadlines are the same
 * span after now, so a new one is never earlier than those that are there,
 * and the janitor has to be woken only if it sleeps for want of any.
 *
 * Before the connections are all taken, the one that has been idle for the
 * longest goes: whoever opens hundreds and says nothing keeps nobody out.
 *
 * The list, deadlines and the count of active requests are guarded by the
 * server's mutex. A socket is taken off the list before it is closed, so the
 * janitor never touches a descriptor that has become somebody else's.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/server_int.h"
#include "util/clock.h"
#include "util/mem.h"

#define JANITOR_STACK_BYTES (256u << 10)

static sonde_msec now_ms(void)
{
    return clock_monotonic(&clock_system);
}

/* The server's mutex is held. */
static void deadline_put(struct http_conn *c, sonde_msec deadline)
{
    struct http_server *s = c->server;

    c->deadline = deadline;
    if (deadline < s->janitor_wakes)
        pthread_cond_broadcast(&s->wake);
}

void server_conn_deadline_set(struct http_conn *c)
{
    pthread_mutex_lock(&c->server->mutex);
    deadline_put(c, now_ms() + c->server->options.read_timeout_ms);
    pthread_mutex_unlock(&c->server->mutex);
}

void server_conn_deadline_clear(struct http_conn *c)
{
    pthread_mutex_lock(&c->server->mutex);
    deadline_put(c, INT64_MAX);
    pthread_mutex_unlock(&c->server->mutex);
}

bool server_conn_peer_gone(const struct http_conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0 &&
           (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void server_conn_shut(struct http_conn *c)
{
    (void)shutdown(c->fd, SHUT_RDWR);
}

/* Of so many places one is kept free by letting idle connections go. */
#define PLACES_PER_SPARE 64

/* Shuts the connection whose client has been waited for the longest; one
 * whose request is being worked on has no deadline and stays. The mutex is
 * held. */
static void drop_idlest(struct http_server *s)
{
    struct http_conn *idlest = NULL;

    for (struct http_conn *c = s->conns; c; c = c->next)
        if (c->deadline != INT64_MAX &&
            (!idlest || c->deadline <= idlest->deadline))
            idlest = c;
    if (!idlest)
        return;
    (void)shutdown(idlest->fd, SHUT_RDWR);
    idlest->deadline = INT64_MAX;
    atomic_fetch_add(&s->timeouts, 1);
}

static void conn_link(struct http_conn *c)
{
    struct http_server *s = c->server;

    pthread_mutex_lock(&s->mutex);
    if (s->conn_count + s->options.max_connections / PLACES_PER_SPARE >=
        s->options.max_connections)
        drop_idlest(s);
    c->next = s->conns;
    if (c->next)
        c->next->prev = c;
    s->conns = c;
    s->conn_count++;
    deadline_put(c, now_ms() + s->options.read_timeout_ms);
    pthread_mutex_unlock(&s->mutex);
}

static void conn_unlink(struct http_conn *c)
{
    struct http_server *s = c->server;

    pthread_mutex_lock(&s->mutex);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->conn_count--;
    pthread_mutex_unlock(&s->mutex);
}

/* The session has not shaken hands yet: it gets the file's newest
 * certificate. While the file is broken the one of the start serves, and the
 * requests are refused. */
static void conn_tls(struct http_conn *c, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    if (!c->server->web || !info || !info->tls_session)
        return;
    c->web = web_config_acquire(c->server->web);
    if (c->web && c->web->tls)
        web_tls_apply(c->web->tls, info->tls_session);
}

static void conn_open(struct http_server *s, struct MHD_Connection *mhd,
                      void **socket_ctx)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_conn *c = mem_new(struct http_conn);

    c->server = s;
    c->fd = fd ? fd->connect_fd : -1;
    conn_tls(c, mhd);
    conn_link(c);
    *socket_ctx = c;
}

void server_conn_notify(void *cls, struct MHD_Connection *mhd,
                        void **socket_ctx,
                        enum MHD_ConnectionNotificationCode code)
{
    struct listener *l = cls;
    struct http_conn *c = *socket_ctx;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        conn_open(l->server, mhd, socket_ctx);
        return;
    }
    if (!c)
        return;
    server_call_drop(c->call);
    conn_unlink(c);
    web_snapshot_unref(c->web);
    free(c);
    *socket_ctx = NULL;
}

/* Shuts what is overdue; returns the next deadline. The mutex is held. */
static sonde_msec janitor_sweep(struct http_server *s, sonde_msec now)
{
    sonde_msec next = INT64_MAX;

    for (struct http_conn *c = s->conns; c; c = c->next) {
        if (c->deadline <= now) {
            (void)shutdown(c->fd, SHUT_RDWR);
            c->deadline = INT64_MAX;
            atomic_fetch_add(&s->timeouts, 1);
        }
        if (c->deadline < next)
            next = c->deadline;
    }
    return next;
}

static void *janitor_main(void *arg)
{
    struct http_server *s = arg;

    pthread_mutex_lock(&s->mutex);
    while (!s->janitor_ends) {
        s->janitor_wakes = janitor_sweep(s, now_ms());
        if (s->janitor_wakes == INT64_MAX) {
            pthread_cond_wait(&s->wake, &s->mutex);
        } else {
            struct timespec until = clock_timespec(s->janitor_wakes);

            (void)pthread_cond_timedwait(&s->wake, &s->mutex, &until);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

bool janitor_start(struct http_server *s)
{
    s->janitor_wakes = INT64_MAX;
    s->janitor_runs =
        workers_thread(&s->janitor, JANITOR_STACK_BYTES, janitor_main, s);
    return s->janitor_runs;
}

void janitor_stop(struct http_server *s)
{
    if (!s->janitor_runs)
        return;
    pthread_mutex_lock(&s->mutex);
    s->janitor_ends = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->janitor, NULL);
    s->janitor_runs = false;
}
