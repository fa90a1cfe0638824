/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server's start and end. Each listener is a libmicrohttpd daemon
 * with one thread that multiplexes its connections by epoll; handlers run on
 * workers (pool.c) unless they are quick. So an idle server is one thread per
 * listener and the janitor, and its memory is what its connections hold:
 * nothing is reserved for those that might come.
 *
 * What was rejected: libmicrohttpd's own thread pool, in which a handler
 * that waits stalls all connections that happen to share its thread, the
 * health check among them; a thread per connection, which costs a stack and a
 * malloc arena each.
 *
 * The end: listeners close, workers run what is queued (each job sees that
 * the server stops), then the answers get DRAIN_MS to leave, then everything
 * is closed.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen.h"
#include "net/server_int.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define LISTENER_STACK_BYTES  (512u << 10)
#define CONNECTION_POOL_BYTES (64u << 10) /* request line and headers */
#define THREADS_DEFAULT       4
#define THREADS_MAX           256
#define CONNECTIONS_DEFAULT   512
#define READ_TIMEOUT_DEFAULT  (5 * 60 * 1000)
#define QUEUE_MAX             512
#define DRAIN_MS              5000

static void mhd_log(void *arg, const char *fmt, va_list ap)
{
    char text[256];
    size_t n;

    (void)arg;
    if (!log_on(LOG_DEBUG))
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)vsnprintf(text, sizeof(text), fmt, ap);
#pragma GCC diagnostic pop
    n = strcspn(text, "\r\n");
    text[n] = '\0';
    log_debug("web", "libmicrohttpd", LOG_CSTR("text", text));
}

/* Escapes are undone by our own rules; see params.c. */
static size_t no_unescape(void *arg, struct MHD_Connection *mhd, char *s)
{
    (void)arg;
    (void)mhd;
    return strlen(s);
}

static unsigned timeout_seconds(const struct http_server *s)
{
    sonde_msec sec = (s->options.read_timeout_ms + 999) / 1000;

    return sec < 1 ? 1 : (unsigned)sec;
}

/* An array's end is a row of MHD_OPTION_END. */
static void daemon_options(struct http_server *s, struct listener *l, int fd,
                           const struct web_tls *tls, struct MHD_OptionItem *o)
{
    size_t share = s->options.max_connections / s->options.listen_count;

#define OPTION(k, v, p)                                                        \
    *o++ = (struct MHD_OptionItem){ (k), (intptr_t)(v), (void *)(p) }
    OPTION(MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL);
    OPTION(MHD_OPTION_LISTEN_SOCKET, fd, NULL);
    OPTION(MHD_OPTION_CONNECTION_LIMIT, share ? share : 1, NULL);
    OPTION(MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds(s), NULL);
    OPTION(MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_POOL_BYTES, NULL);
    OPTION(MHD_OPTION_THREAD_STACK_SIZE, LISTENER_STACK_BYTES, NULL);
    OPTION(MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL);
    OPTION(MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL);
    OPTION(MHD_OPTION_URI_LOG_CALLBACK, server_call_new, l);
    OPTION(MHD_OPTION_NOTIFY_COMPLETED, server_call_completed, l);
    OPTION(MHD_OPTION_NOTIFY_CONNECTION, server_conn_notify, l);
    if (tls) {
        OPTION(MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key_pem.ptr);
        OPTION(MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert_pem.ptr);
        OPTION(MHD_OPTION_HTTPS_PRIORITIES, 0, tls->priorities);
    }
    OPTION(MHD_OPTION_END, 0, NULL);
#undef OPTION
}

/* The daemon's thread is started with all signals blocked, so that they go
 * to whoever waits for them. */
static struct MHD_Daemon *daemon_start(struct listener *l, bool tls,
                                       const struct MHD_OptionItem *options)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_ERROR_LOG;
    struct MHD_Daemon *d;
    sigset_t all, old;

    if (tls)
        flags |= MHD_USE_TLS;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    d = MHD_start_daemon(flags, 0, NULL, NULL, server_call_step, l,
                         MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return d;
}

static sonde_code listener_start(struct http_server *s, const char *address,
                                 struct sonde_err *err)
{
    struct listener *l = &s->listeners[s->listener_count];
    struct web_snapshot *web = s->web ? web_config_acquire(s->web) : NULL;
    const struct web_tls *tls = web ? web->tls : NULL;
    struct MHD_OptionItem options[16];
    sonde_code rc = SONDE_OK;
    int fd = -1;

    l->server = s;
    if (s->web && !web)
        rc = sonde_err_set(err, SONDE_EPARSE,
                           "web config %s changed while it was read",
                           s->options.web_config_file);
    if (rc == SONDE_OK)
        rc = net_listen(address, &fd, &l->port, err);
    if (rc == SONDE_OK) {
        daemon_options(s, l, fd, tls, options);
        l->daemon = daemon_start(l, tls != NULL, options);
        if (l->daemon) {
            s->listener_count++;
        } else {
            (void)close(fd);
            rc = sonde_err_set(err, SONDE_EIO,
                               "serve HTTP on %s: libmicrohttpd %s did not "
                               "start: %s",
                               address, MHD_get_version(), strerror(errno));
        }
    }
    web_snapshot_unref(web);
    return rc;
}

static sonde_code options_check(const struct http_server_options *o,
                                struct sonde_err *err)
{
    sonde_str p = o->route_prefix;

    if (o->listen_count == 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "serve HTTP: no address to listen on");
    if (p.len > 0 && (p.ptr[0] != '/' || p.ptr[p.len - 1] == '/'))
        return sonde_err_set(err, SONDE_EINVAL,
                             "route prefix \"%.*s\": expected \"/NAME\", "
                             "without a final slash",
                             SONDE_ARG(p));
    return SONDE_OK;
}

static void server_init(struct http_server *s,
                        const struct http_server_options *o)
{
    pthread_condattr_t attr;

    s->options = *o;
    arena_init(&s->arena);
    s->options.route_prefix = arena_str(&s->arena, o->route_prefix);
    if (s->options.threads == 0)
        s->options.threads = THREADS_DEFAULT;
    if (s->options.threads > THREADS_MAX)
        s->options.threads = THREADS_MAX;
    if (s->options.max_connections == 0)
        s->options.max_connections = CONNECTIONS_DEFAULT;
    if (s->options.read_timeout_ms <= 0)
        s->options.read_timeout_ms = READ_TIMEOUT_DEFAULT;
    s->listeners = arena_array(&s->arena, struct listener, o->listen_count);
    workers_init(&s->pool, s->options.threads, QUEUE_MAX);
    pthread_mutex_init(&s->rate.mutex, NULL);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
}

/* The rate limit is read once, as Prometheus does. */
static void rate_init(struct http_server *s)
{
    struct web_snapshot *web = web_config_acquire(s->web);

    if (!web)
        return;
    s->rate.interval = web->rate_interval;
    s->rate.burst = web->rate_burst;
    s->rate.tokens = (double)web->rate_burst;
    s->rate.last = clock_monotonic(&clock_system);
    web_snapshot_unref(web);
}

static sonde_code web_start(struct http_server *s, struct sonde_err *err)
{
    const char *file = s->options.web_config_file;
    sonde_str text = s->options.web_config_text;
    sonde_code rc;

    if (text.len)
        file = "from the command line";
    if (!file || !file[0])
        return SONDE_OK;
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "web config %s: this libmicrohttpd has no TLS",
                             file);
    s->options.web_config_file = arena_cstr(&s->arena, sonde_cstr(file));
    rc = text.len ? web_config_open_text(file, text, &s->web, err)
                  : web_config_open(file, &s->web, err);
    s->options.web_config_text = (sonde_str){ 0 };
    if (rc != SONDE_OK)
        return rc;
    s->auth = web_auth_new();
    rate_init(s);
    return SONDE_OK;
}

sonde_code http_server_start(const struct http_server_options *options,
                             struct http_server **out, struct sonde_err *err)
{
    struct http_server *s;
    sonde_code rc = options_check(options, err);

    if (rc != SONDE_OK)
        return rc;
    s = mem_new(struct http_server);
    server_init(s, options);
    rc = web_start(s, err);
    if (rc == SONDE_OK && !janitor_start(s))
        rc = sonde_err_set(err, SONDE_ENOMEM, "serve HTTP: no thread");
    for (size_t i = 0; i < options->listen_count && rc == SONDE_OK; i++)
        rc = listener_start(s, options->listen[i], err);
    if (rc != SONDE_OK) {
        http_server_stop(s);
        return rc;
    }
    *out = s;
    return SONDE_OK;
}

/* Lets the answers leave that are on their way. */
static void server_drain(struct http_server *s)
{
    sonde_msec until = clock_monotonic(&clock_system) + DRAIN_MS;
    struct timespec ts = clock_timespec(until);

    pthread_mutex_lock(&s->mutex);
    while (s->active > 0 &&
           pthread_cond_timedwait(&s->wake, &s->mutex, &ts) == 0)
        ;
    if (s->active > 0)
        log_warn("web", "requests were cut off by the stop",
                 LOG_NUM("requests", s->active));
    pthread_mutex_unlock(&s->mutex);
}

/* No new connections. The socket is closed only when the daemon's thread is
 * gone, which may still have it in its hands. */
static void listener_quiesce(struct listener *l)
{
    l->fd = MHD_quiesce_daemon(l->daemon);
    if (l->fd != MHD_INVALID_SOCKET)
        (void)shutdown(l->fd, SHUT_RDWR);
}

static void listener_stop(struct listener *l)
{
    MHD_stop_daemon(l->daemon);
    if (l->fd != MHD_INVALID_SOCKET)
        (void)close(l->fd);
}

void http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    for (size_t i = 0; i < s->listener_count; i++)
        listener_quiesce(&s->listeners[i]);
    workers_stop(&s->pool);
    server_drain(s);
    for (size_t i = 0; i < s->listener_count; i++)
        listener_stop(&s->listeners[i]);
    janitor_stop(s);
    workers_fini(&s->pool);
    web_auth_free(s->auth);
    web_config_close(s->web);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->rate.mutex);
    arena_fini(&s->arena);
    free(s);
}

int http_server_port(const struct http_server *s, size_t i)
{
    return i < s->listener_count ? s->listeners[i].port : 0;
}

void http_server_stats(struct http_server *s, struct http_server_stats *out)
{
    *out = (struct http_server_stats){
        .requests = atomic_load(&s->requests),
        .refused = atomic_load(&s->refused),
        .unauthorized = atomic_load(&s->unauthorized),
        .rate_limited = atomic_load(&s->rate_limited),
        .oversized = atomic_load(&s->oversized),
        .timeouts = atomic_load(&s->timeouts),
        .config_errors = atomic_load(&s->config_errors),
    };
    out->queued = workers_queued(&s->pool, &out->workers);
    pthread_mutex_lock(&s->mutex);
    out->connections = s->conn_count;
    pthread_mutex_unlock(&s->mutex);
}
