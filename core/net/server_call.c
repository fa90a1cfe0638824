/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a request. libmicrohttpd calls `server_call_step` when the headers
 * are there, for each piece of the body, and at the end; and once more after a
 * suspended connection was resumed:
 *
 *     NEW ── who is it? ──▶ HASHING (on a worker) ──┐
 *      │ password known, or none needed             │
 *      ▼                                            ▼
 *     rate limit, route, method, readiness, announced size
 *      ▼
 *     ADMITTED ── body is gathered ──▶ quick handler, on this thread
 *      ▼
 *     WORKING (on a worker) ──▶ REPLIED
 *
 * Whoever may not come in is told so before a byte of the body is read.
 * A connection is suspended before its job is queued, and resumed by the job
 * as its last act; between the two only the worker touches the call.
 *
 * Bodies are bounded by their route, and all bodies in memory together by
 * BODIES_MAX_BYTES. One that passes its limit although it did not announce
 * it is read on without being kept, because an answer in the middle of a
 * body would not be read by most clients; but only so far.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "net/server_int.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

#define BODIES_MAX_BYTES ((size_t)256 << 20)
#define DROP_MAX_BYTES   ((size_t)4 << 20)
#define LOOK_EVERY_MS    5
#define BODY_AT_ONCE     ((size_t)256 << 10)

/* ---- what handlers ask ------------------------------------------------- */

enum http_method http_call_method(const struct http_call *c)
{
    return c->method;
}

sonde_str http_call_path(const struct http_call *c)
{
    return c->path;
}

sonde_str http_call_header(const struct http_call *c, const char *name)
{
    return sonde_cstr(
        MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name));
}

sonde_str http_call_client(struct http_call *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN] = "";

    if (info && info->client_addr->sa_family == AF_INET) {
        struct sockaddr_in a;

        memcpy(&a, info->client_addr, sizeof(a));
        (void)inet_ntop(AF_INET, &a.sin_addr, text, sizeof(text));
    } else if (info && info->client_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 a;

        memcpy(&a, info->client_addr, sizeof(a));
        (void)inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof(text));
    }
    return arena_str(&c->arena, sonde_cstr(text));
}

bool http_call_param(const struct http_call *c, const char *name, size_t i,
                     sonde_str *out)
{
    return http_params_get(&c->params, name, i, out);
}

bool http_call_params_broken(const struct http_call *c, struct sonde_err *why)
{
    if (c->params.broken.ptr && why)
        http_params_why(&c->params, why);
    return c->params.broken.ptr != NULL;
}

sonde_str http_call_body(const struct http_call *c)
{
    return buf_str(&c->body);
}

struct arena *http_call_arena(struct http_call *c)
{
    return &c->arena;
}

/* Asked once a row of a query, by several threads; so the socket is looked at
 * only now and then. */
bool http_call_gone(struct http_call *c)
{
    sonde_msec now;

    if (atomic_load_explicit(&c->gone, memory_order_relaxed) ||
        atomic_load_explicit(&c->server->stopping, memory_order_relaxed))
        return true;
    now = clock_monotonic(&clock_system);
    if (now < atomic_load_explicit(&c->look_at, memory_order_relaxed))
        return false;
    atomic_store(&c->look_at, now + LOOK_EVERY_MS);
    if (c->stream ? !server_stream_gone(c) : !server_conn_peer_gone(c->conn))
        return false;
    atomic_store(&c->gone, true);
    return true;
}

/* ---- beginning and end ------------------------------------------------- */

/* libmicrohttpd would split the query string into its own memory, for nobody,
 * and hangs (0.9.75) when that runs out. `uri` points into its buffer; without
 * anything behind the question mark there is nothing to split. */
static void query_hide(const char *uri)
{
    const char *mark = strchr(uri, '?');

    if (mark && mark[1] != '\0')
        ((char *)mark)[1] = '\0';
}

void *server_call_new(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct listener *l = cls;
    struct http_server *s = l->server;
    struct http_call *c;

    if (!info || !info->socket_context)
        return NULL;
    c = mem_new(struct http_call);
    c->server = s;
    c->mhd = mhd;
    c->conn = info->socket_context;
    server_call_drop(c->conn->call);
    c->conn->call = c;
    atomic_init(&c->refs, 1);
    arena_init(&c->arena);
    buf_init(&c->body);
    c->target = arena_cstr(&c->arena, sonde_cstr(uri));
    query_hide(uri);
    pthread_mutex_lock(&s->mutex);
    s->active++;
    pthread_mutex_unlock(&s->mutex);
    return c;
}

void server_call_drop(struct http_call *c)
{
    if (!c)
        return;
    c->conn->call = NULL;
    if (c->stream)
        server_stream_detach(c->stream);
    server_call_unref(c);
}

void server_call_unref(struct http_call *c)
{
    struct http_server *s = c->server;

    if (atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    atomic_fetch_sub(&s->body_bytes, c->body.len);
    buf_fini(&c->body);
    web_snapshot_unref(c->web);
    free(c->answer);
    server_stream_free(c->stream);
    arena_fini(&c->arena);
    free(c);
    pthread_mutex_lock(&s->mutex);
    /* Who waits for this has set `stopping` before; else only the janitor
     * would wake, twice a request and for nothing. */
    if (--s->active == 0 && atomic_load(&s->stopping))
        pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mutex);
}

/* Not called for all requests that libmicrohttpd refuses itself: those go
 * with their connection. */
void server_call_completed(void *cls, struct MHD_Connection *mhd, void **ctx,
                           enum MHD_RequestTerminationCode code)
{
    struct http_call *c = *ctx;

    (void)cls;
    (void)mhd;
    (void)code;
    if (!c)
        return;
    *ctx = NULL;
    server_conn_deadline_set(c->conn);
    server_call_drop(c);
}

static enum http_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } names[] = {
        { "GET", HTTP_GET },         { "HEAD", HTTP_HEAD },
        { "POST", HTTP_POST },       { "PUT", HTTP_PUT },
        { "OPTIONS", HTTP_OPTIONS }, { "DELETE", HTTP_DELETE },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i].name) == 0)
            return names[i].method;
    return HTTP_OTHER;
}

/* ---- workers ----------------------------------------------------------- */

static struct http_call *job_call(struct pool_job *job)
{
    return (struct http_call *)job;
}

static void hash_job(struct pool_job *job)
{
    struct http_call *c = job_call(job);

    c->verdict = web_auth_hash(c->server->auth, c->web,
                               http_call_header(c, "Authorization"));
    MHD_resume_connection(c->mhd);
}

static void run_handler(struct http_call *c)
{
    c->route->handler(c, c->route->arg);
    if (!c->replied)
        server_reply_error(c, 500, "Internal Server Error\n");
}

static void handler_job(struct pool_job *job)
{
    struct http_call *c = job_call(job);

    if (atomic_load(&c->server->stopping))
        server_reply_error(c, 503, "Service Unavailable");
    else
        run_handler(c);
    /* A streamed answer is on its way, maybe already gone. */
    if (c->stream)
        server_call_unref(c);
    else
        MHD_resume_connection(c->mhd);
}

/* Suspends the connection and queues the job. Without room for it the reply
 * says so, and goes out like a worker's. */
static void call_suspend(struct http_call *c, enum pool_lane lane,
                         void (*run)(struct pool_job *))
{
    c->job.run = run;
    c->stage = lane == POOL_HASH ? CALL_HASHING : CALL_WORKING;
    server_conn_deadline_clear(c->conn);
    MHD_suspend_connection(c->mhd);
    if (workers_submit(&c->server->pool, lane, &c->job))
        return;
    atomic_fetch_add(&c->server->refused, 1);
    c->stage = CALL_WORKING;
    http_call_set_header(c, "Retry-After", SONDE_STR("1"));
    server_reply_error(c, 503, "Service Unavailable: too many requests wait\n");
    MHD_resume_connection(c->mhd);
}

/* ---- admission --------------------------------------------------------- */

static bool rate_pass(struct rate *r)
{
    sonde_msec now;
    bool pass;

    if (r->interval == 0)
        return true;
    pthread_mutex_lock(&r->mutex);
    now = clock_monotonic(&clock_system);
    r->tokens += (double)(now - r->last) / (double)r->interval;
    r->last = now;
    if (r->tokens > (double)r->burst)
        r->tokens = (double)r->burst;
    pass = r->tokens >= 1;
    if (pass)
        r->tokens -= 1;
    pthread_mutex_unlock(&r->mutex);
    return pass;
}

static void reply_unauthorized(struct http_call *c)
{
    atomic_fetch_add(&c->server->unauthorized, 1);
    if (c->web->user_count > 0)
        http_call_set_header(c, "WWW-Authenticate", SONDE_STR("Basic"));
    if (c->web->token_file_count > 0)
        http_call_set_header(c, "WWW-Authenticate", SONDE_STR("Bearer"));
    server_reply_error(c, 401, "Unauthorized\n");
}

/* The size that the client announced, if it did. */
static bool announced_too_much(const struct http_call *c)
{
    sonde_str s = http_call_header(c, "Content-Length");
    uint64_t n;

    return c->route->body_max_bytes > 0 && str_to_u64(s, &n) &&
           n > c->route->body_max_bytes;
}

static void reply_too_large(struct http_call *c)
{
    atomic_fetch_add(&c->server->oversized, 1);
    server_reply_error(c, 413, "Request Entity Too Large\n");
}

/* The client is known; what does it want? Replies to what goes no further. */
static void call_admit(struct http_call *c)
{
    c->stage = CALL_ADMITTED;
    if (c->verdict != WEB_YES) {
        reply_unauthorized(c);
        return;
    }
    if (!rate_pass(&c->server->rate)) {
        atomic_fetch_add(&c->server->rate_limited, 1);
        server_reply_error(c, 429, "Too Many Requests\n");
        return;
    }
    server_call_route(c);
    if (!c->replied && announced_too_much(c))
        reply_too_large(c);
}

/* Of a connection whose client certificate is not one of the allowed,
 * nothing is answered. */
static bool certificate_allowed(const struct http_call *c)
{
    const union MHD_ConnectionInfo *info;

    if (!c->conn->web || !c->conn->web->tls)
        return true;
    info = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info && web_tls_allows(c->conn->web->tls, info->tls_session);
}

static enum MHD_Result call_begin(struct http_call *c, const char *method)
{
    struct http_server *s = c->server;

    c->method = method_of(method);
    c->verdict = WEB_YES;
    if (!certificate_allowed(c))
        return MHD_NO;
    if (s->web) {
        c->web = web_config_acquire(s->web);
        if (!c->web) {
            atomic_fetch_add(&s->config_errors, 1);
            server_reply_error(c, 500, "Internal Server Error\n");
            return server_reply_send(c);
        }
        c->verdict = web_auth_cached(s->auth, c->web,
                                     http_call_header(c, "Authorization"));
    }
    if (c->verdict == WEB_HASH) {
        call_suspend(c, POOL_HASH, hash_job);
        return MHD_YES;
    }
    call_admit(c);
    return c->replied ? server_reply_send(c) : MHD_YES;
}

/* ---- bodies ------------------------------------------------------------ */

/* Whether `n` more bytes may be kept; they are counted then. */
static bool body_room(struct http_call *c, size_t n)
{
    struct http_server *s = c->server;

    if (c->over || c->body.len + n > c->route->body_max_bytes)
        return false;
    if (atomic_fetch_add(&s->body_bytes, n) + n <= BODIES_MAX_BYTES)
        return true;
    atomic_fetch_sub(&s->body_bytes, n);
    return false;
}

/* Room for an announced body at once, as far as that is no gift to somebody
 * who announces and does not send. */
static void body_expect(struct http_call *c)
{
    sonde_str s = http_call_header(c, "Content-Length");
    uint64_t n;

    if (!str_to_u64(s, &n) || n > c->route->body_max_bytes)
        return;
    (void)buf_reserve(&c->body, n < BODY_AT_ONCE ? n : BODY_AT_ONCE);
}

static enum MHD_Result call_body(struct http_call *c, const char *data,
                                 size_t *len)
{
    size_t n = *len;

    *len = 0;
    if (body_room(c, n)) {
        if (c->body.len == 0)
            body_expect(c);
        buf_bytes(&c->body, data, n);
        return MHD_YES;
    }
    c->over = c->route->body_max_bytes > 0;
    c->dropped += n;
    return c->dropped > DROP_MAX_BYTES ? MHD_NO : MHD_YES;
}

static bool is_form(const struct http_call *c)
{
    sonde_str type = http_call_header(c, "Content-Type");

    if (c->method != HTTP_POST && c->method != HTTP_PUT)
        return false;
    type = str_trim(str_sub(type, 0, str_index(type, ';')));
    return str_eq_nocase(type, SONDE_STR("application/x-www-form-urlencoded"));
}

/* The request is whole. */
static enum MHD_Result call_run(struct http_call *c)
{
    server_conn_deadline_clear(c->conn);
    if (c->over) {
        reply_too_large(c);
        return server_reply_send(c);
    }
    http_params_parse(&c->arena,
                      is_form(c) ? buf_str(&c->body) : (sonde_str){ 0 },
                      c->query, &c->params);
    if (c->params.too_many)
        server_reply_error(c, 400, "too many parameters\n");
    else if (c->route->quick)
        run_handler(c);
    else
        call_suspend(c, POOL_WORK, handler_job);
    return c->stage == CALL_ADMITTED ? server_reply_send(c) : MHD_YES;
}

enum MHD_Result server_call_step(void *cls, struct MHD_Connection *mhd,
                                 const char *url, const char *method,
                                 const char *version, const char *data,
                                 size_t *len, void **ctx)
{
    struct http_call *c = *ctx;

    (void)cls;
    (void)mhd;
    (void)url;
    (void)version;
    if (!c)
        return MHD_NO;
    switch (c->stage) {
    case CALL_NEW:
        return call_begin(c, method);
    case CALL_HASHING:
        server_conn_deadline_set(c->conn);
        call_admit(c);
        return c->replied ? server_reply_send(c) : MHD_YES;
    case CALL_ADMITTED:
        return *len > 0 ? call_body(c, data, len) : call_run(c);
    case CALL_WORKING:
        return server_reply_send(c);
    case CALL_REPLIED:
        break;
    }
    *len = 0;
    return MHD_YES;
}
