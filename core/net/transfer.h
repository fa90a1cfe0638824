/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way: the curl handle with all that belongs to it. A
 * client has one only while it is busy, so that an idle client costs next to
 * nothing; the connection itself stays with the loop's multi handle.
 */
#ifndef NET_TRANSFER_H
#define NET_TRANSFER_H

#include <curl/curl.h>

#include "net/loop_int.h"
#include "net/net.h"
#include "net/url.h"
#include "util/arena.h"

struct gunzip;

/* The answer as far as it has come. */
struct answer {
    int status;
    bool final;    /* its headers are complete and it is no 1xx            */
    bool redirect; /* it sends us elsewhere and we go                      */
    bool enough;   /* what is left of the body is of no interest           */
    size_t header_bytes;
    uint64_t wire_bytes, body_bytes;
    sonde_str content_type, content_encoding, retry_after, location;
    struct gunzip *gunzip; /* NULL: the body is taken as it is             */
};

struct transfer {
    struct net_loop *loop;
    struct http_client *client; /* NULL: nobody waits for it any more      */
    const struct http_client_config *config; /* may be NULL                */
    CURL *easy;
    struct transfer *prev, *next; /* in loop->active or loop->idle         */
    struct transfer *deferred_next;
    bool deferred, added;

    struct arena arena;      /* of this request                            */
    struct http_request req; /* url and headers are copies in the arena    */
    struct url first, url;   /* asked for; after redirects                 */
    int hops;
    bool bare; /* a redirect left the first host: no credentials           */

    struct answer answer;
    struct net_timer timer;
    uint64_t start_ns;
    struct sonde_err err;
    char curl_text[CURL_ERROR_SIZE];
};

/* A fresh one, linked into loop->active. */
struct transfer *transfer_take(struct net_loop *loop);
/* Takes it off the loop, curl included, and forgets all of it. */
void transfer_release(struct transfer *t);
void transfer_free_idle(struct net_loop *loop);

/* Hands the request to curl (at once, or after curl's turn). */
void transfer_launch(struct transfer *t);
/* Gives it up: at once, or after curl's turn. Nobody is told. */
void transfer_abandon(struct transfer *t);
/* What was put off during curl's turn. */
void transfer_run_deferred(struct net_loop *loop);

/* request.c: sets all of the easy handle from config and request. */
SONDE_NODISCARD sonde_code request_setup(struct transfer *t,
                                         struct sonde_err *err);

/* answer.c: curl's callbacks. */
size_t answer_header(char *line, size_t size, size_t n, void *arg);
size_t answer_body(char *piece, size_t size, size_t n, void *arg);
/* After the last byte: is it whole? */
SONDE_NODISCARD sonde_code answer_finish(struct transfer *t,
                                         struct sonde_err *err);
void answer_fini(struct answer *a);

/* client.c: curl has ended the request; the loop has stopped. */
void client_finished(struct transfer *t, CURLcode code);
void client_cancel(struct transfer *t);

/* The request goes over its unix socket. */
static inline bool transfer_is_local(const struct transfer *t)
{
    return t->req.unix_socket.len && !t->bare;
}

/* http_error.c: sets t->err to what curl's code means. */
sonde_code http_error_set(struct transfer *t, CURLcode code);
/* "METHOD URL" of the request, password masked; in the arena. */
const char *http_error_what(struct transfer *t);
sonde_code http_error_timeout(struct transfer *t);

#endif
