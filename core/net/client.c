/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client that other rooms see: start a request, be told of its end. An
 * idle one is four pointers; everything else belongs to the request in flight
 * (transfer.c).
 *
 * What may happen at awkward moments, and how it is met: `done` is never
 * called from inside http_client_start, so a request that can not even be
 * sent ends by a timer that is due at once; a client may be freed from inside
 * any callback, so after each of them the transfer is asked whether anybody
 * still waits; and `done` runs when the client already is free for the next.
 *
 * Redirects: at most ten, only to http and https, without credentials once
 * another host is reached, the deadline counting from the first request.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/transfer.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

#define REDIRECTS_MAX   10
#define UNIX_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)
/* Every wait has an end, also that of callers who name none. */
#define TIMEOUT_DEFAULT_MS 60000

struct http_client {
    struct net_loop *loop;
    const struct http_client_config *config;
    struct transfer *transfer; /* NULL: idle                               */
};

struct http_client *http_client_new(struct net_loop *loop,
                                    const struct http_client_config *config)
{
    struct http_client *c = mem_new(struct http_client);

    c->loop = loop;
    c->config = config;
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    if (c->transfer)
        transfer_abandon(c->transfer);
    free(c);
}

bool http_client_busy(const struct http_client *c)
{
    return c->transfer != NULL;
}

/* Ends the request: t->err if `code` is not SONDE_OK. */
static void finish(struct transfer *t, sonde_code code)
{
    struct http_client *c = t->client;
    const struct answer *a = &t->answer;
    struct http_result result = {
        .code = code,
        .status = a->final ? a->status : 0,
        .content_type = a->content_type,
        .content_encoding = a->content_encoding,
        .retry_after = a->retry_after,
        .wire_bytes = a->wire_bytes,
        .body_bytes = a->body_bytes,
        .seconds = (double)(clock_ns() - t->start_ns) / 1e9,
        .error = code == SONDE_OK ? NULL : t->err.text,
    };

    if (c) {
        c->transfer = NULL;
        t->client = NULL;
        t->req.done(t->req.arg, &result);
    }
    transfer_release(t);
}

static void on_failed_early(void *arg)
{
    struct transfer *t = arg;

    finish(t, t->err.code);
}

/* Not from inside http_client_start or a finished request: a little later. */
static void fail_soon(struct transfer *t)
{
    net_timer_set(t->loop, &t->timer, clock_monotonic(&clock_system),
                  on_failed_early, t);
}

static void on_timeout(void *arg)
{
    struct transfer *t = arg;

    finish(t, http_error_timeout(t));
}

void client_cancel(struct transfer *t)
{
    if (t->err.code == SONDE_OK)
        (void)sonde_err_set(&t->err, SONDE_ECANCELED,
                            "%s: canceled: the loop has stopped",
                            http_error_what(t));
    finish(t, t->err.code);
}

static void copy_headers(struct transfer *t, const struct http_request *r)
{
    struct http_header *copy =
        arena_array(&t->arena, struct http_header, r->header_count);

    for (size_t i = 0; i < r->header_count; i++) {
        copy[i].name = arena_cstr(&t->arena, sonde_cstr(r->headers[i].name));
        copy[i].value = arena_str(&t->arena, r->headers[i].value);
    }
    t->req.headers = copy;
}

static void copy_request(struct transfer *t, const struct http_request *r)
{
    t->req = *r;
    t->req.url = arena_str(&t->arena, r->url);
    t->req.unix_socket = arena_str(&t->arena, r->unix_socket);
    if (r->method.len)
        t->req.method = arena_str(&t->arena, r->method);
    else
        t->req.method = r->body.len ? SONDE_STR("POST") : SONDE_STR("GET");
    if (r->timeout_ms <= 0)
        t->req.timeout_ms = TIMEOUT_DEFAULT_MS;
    copy_headers(t, r);
}

/* Puts what was attempted before the error that is there. */
static void name_request(struct transfer *t)
{
    struct sonde_err why = t->err;

    (void)sonde_err_set(&t->err, why.code, "%s: %s", http_error_what(t),
                        why.text);
}

static void prepare(struct transfer *t)
{
    sonde_code rc = url_parse(&t->arena, t->req.url, &t->first, &t->err);

    if (rc == SONDE_OK && t->req.unix_socket.len >= UNIX_PATH_BYTES)
        rc = sonde_err_set(&t->err, SONDE_EINVAL,
                           "connect to unix:%.*s: expected a path of up to %zu "
                           "bytes",
                           SONDE_ARG(t->req.unix_socket), UNIX_PATH_BYTES - 1);
    if (rc == SONDE_OK) {
        t->url = t->first;
        rc = request_setup(t, &t->err);
        if (rc != SONDE_OK)
            name_request(t);
    }
    if (rc != SONDE_OK)
        return;
    net_timer_set(t->loop, &t->timer,
                  clock_monotonic(&clock_system) + t->req.timeout_ms,
                  on_timeout, t);
    transfer_launch(t);
}

void http_client_start(struct http_client *c, const struct http_request *r)
{
    struct transfer *t;

    if (c->transfer)
        SONDE_BUG("a client was given a request while it has one: %.*s",
                  SONDE_ARG(r->url));
    t = transfer_take(c->loop);
    c->transfer = t;
    t->client = c;
    t->config = c->config;
    t->start_ns = clock_ns();
    copy_request(t, r);
    if (!c->loop->stopping)
        prepare(t);
    if (t->err.code != SONDE_OK)
        fail_soon(t);
}

/* ---- redirects --------------------------------------------------------- */

/* 303 always and 301 and 302 for POST become GET, as browsers and Go do. */
static void redirect_method(struct transfer *t)
{
    int status = t->answer.status;
    bool post = str_eq_cstr(t->req.method, "POST");

    if (str_eq_cstr(t->req.method, "HEAD") || status == 307 || status == 308)
        return;
    if (status != 303 && !post)
        return;
    t->req.method = SONDE_STR("GET");
    t->req.body = (sonde_str){ 0 };
}

static sonde_code redirect(struct transfer *t)
{
    const struct url from = t->url;
    sonde_code rc;

    if (t->hops++ == REDIRECTS_MAX)
        return sonde_err_set(&t->err, SONDE_ELIMIT,
                             "%s: stopped after %d redirects",
                             http_error_what(t), REDIRECTS_MAX);
    rc = url_follow(&t->arena, &from, t->answer.location, &t->url, &t->err);
    if (rc == SONDE_OK) {
        t->bare = t->bare || !url_same_party(&t->first, &t->url);
        redirect_method(t);
        (void)curl_multi_remove_handle(t->loop->multi, t->easy);
        t->added = false;
        answer_fini(&t->answer);
        rc = request_setup(t, &t->err);
    }
    if (rc != SONDE_OK) {
        t->url = from;
        name_request(t);
        return rc;
    }
    transfer_launch(t);
    return SONDE_OK;
}

/* ---- the end ----------------------------------------------------------- */

static sonde_code outcome(struct transfer *t, CURLcode code)
{
    if (t->err.code != SONDE_OK)
        return t->err.code;
    if (code == CURLE_WRITE_ERROR && t->answer.enough)
        return SONDE_OK;
    if (code != CURLE_OK)
        return http_error_set(t, code);
    return answer_finish(t, &t->err);
}

void client_finished(struct transfer *t, CURLcode code)
{
    sonde_code rc = outcome(t, code);

    if (rc == SONDE_OK && t->answer.redirect) {
        rc = redirect(t);
        if (rc == SONDE_OK)
            return;
    }
    finish(t, rc);
}
