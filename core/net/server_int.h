/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the server share. */
#ifndef NET_SERVER_INT_H
#define NET_SERVER_INT_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/net.h"
#include "net/pack.h"
#include "net/params.h"
#include "net/pool.h"
#include "net/web_config.h"
#include "util/arena.h"
#include "util/buf.h"

/* A connection, listed so that its deadline can be kept. */
struct http_conn {
    struct http_conn *prev, *next;
    struct http_server *server;
    int fd;
    sonde_msec deadline;      /* monotonic; INT64_MAX: none now */
    struct web_snapshot *web; /* whose TLS it speaks; NULL: plain */
    struct http_call *call;   /* that is being answered           */
};

/* Where a request stands; see server_call.c. */
enum call_stage {
    CALL_NEW,      /* its headers are there                     */
    CALL_HASHING,  /* suspended: a worker checks the password   */
    CALL_ADMITTED, /* its body is coming                        */
    CALL_WORKING,  /* suspended: a worker runs the handler      */
    CALL_REPLIED
};

struct reply_header {
    struct reply_header *next;
    const char *name, *value;
};

struct http_call {
    struct pool_job job; /* first: a job is a call */
    struct http_server *server;
    struct MHD_Connection *mhd;
    struct http_conn *conn;
    struct arena arena;
    struct web_snapshot *web; /* NULL: no web config file */

    enum call_stage stage;
    enum http_method method;
    const char *target; /* as sent */
    sonde_str path;     /* decoded, without prefix */
    sonde_str query;    /* as sent */
    const struct http_route *route;
    enum web_verdict verdict;

    struct buf body;
    size_t dropped; /* bytes of a body that nobody wants */
    bool over;      /* the body passed a limit */
    struct http_params params;

    _Atomic sonde_msec look_at; /* when to look after the client again */
    atomic_bool gone;

    atomic_int refs; /* the listener's, and the worker's of a stream */
    bool replied;
    int status;
    const char *content_type;
    char *answer; /* malloc'd; NULL: a stream */
    size_t answer_len;
    uint64_t sent_bytes;   /* of the body, as it leaves */
    struct stream *stream; /* NULL: the answer is whole */
    struct reply_header *headers;
};

struct listener {
    struct http_server *server;
    struct MHD_Daemon *daemon;
    int port;
    MHD_socket fd; /* after it was quiesced */
};

/* A token bucket over all requests. */
struct rate {
    sonde_msec interval; /* 0: no limit */
    int64_t burst;
    pthread_mutex_t mutex; /* guards what is below */
    double tokens;
    sonde_msec last;
};

struct http_server {
    struct http_server_options options; /* strings copied */
    struct arena arena;
    struct listener *listeners;
    size_t listener_count;
    struct web_config *web; /* NULL: none */
    struct web_auth *auth;
    struct pool pool;
    struct rate rate;
    atomic_bool stopping;
    atomic_size_t body_bytes; /* of all bodies that are in memory */
    _Atomic uint64_t requests, refused, unauthorized, rate_limited, oversized,
        timeouts, config_errors;

    pthread_t janitor;
    bool janitor_runs;
    pthread_mutex_t mutex; /* guards what is below */
    pthread_cond_t wake;   /* the janitor, and who waits for `active` == 0 */
    struct http_conn *conns;
    size_t conn_count;
    size_t active; /* requests that are being answered */
    sonde_msec janitor_wakes;
    bool janitor_ends;
};

/* ---- server_conn.c ----------------------------------------------------- */

void server_conn_notify(void *cls, struct MHD_Connection *mhd,
                        void **socket_ctx,
                        enum MHD_ConnectionNotificationCode code);
/* Until when the client must have done what it has to do next. */
void server_conn_deadline_set(struct http_conn *c);
void server_conn_deadline_clear(struct http_conn *c);
bool server_conn_peer_gone(const struct http_conn *c);
/* Ends it from outside of its thread. */
void server_conn_shut(struct http_conn *c);
bool janitor_start(struct http_server *s);
void janitor_stop(struct http_server *s);

/* ---- server_call.c ----------------------------------------------------- */

/* The connection is done with it; NULL is fine. */
void server_call_drop(struct http_call *c);
void server_call_unref(struct http_call *c);
void *server_call_new(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result server_call_step(void *cls, struct MHD_Connection *mhd,
                                 const char *url, const char *method,
                                 const char *version, const char *data,
                                 size_t *len, void **ctx);
void server_call_completed(void *cls, struct MHD_Connection *mhd, void **ctx,
                           enum MHD_RequestTerminationCode code);

/* ---- server_route.c ---------------------------------------------------- */

/* Finds the call's route, or replies (redirect, 404, 405, 503, 400). */
void server_call_route(struct http_call *c);

/* ---- server_reply.c ---------------------------------------------------- */

/* Plain text as Go's http.Error answers. */
void server_reply_error(struct http_call *c, int status, const char *text);
/* What the answer is to be compressed by; says so in a header. */
enum coding server_reply_coding(struct http_call *c);
/* Hands the reply over; MHD_NO closes the connection. */
enum MHD_Result server_reply_send(struct http_call *c);

/* ---- server_stream.c --------------------------------------------------- */

struct MHD_Response *server_stream_response(struct http_call *c);
/* The connection is gone. */
void server_stream_detach(struct stream *s);
bool server_stream_gone(struct http_call *c);
void server_stream_free(struct stream *s); /* NULL is fine */

#endif
