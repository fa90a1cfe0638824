/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP and byte streams; knows nothing of metrics. The client is libcurl's
 * multi interface on an epoll loop (one loop per thread, thousands of
 * requests), the server libmicrohttpd.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <sonde/base.h>

#include "config/schema.h"
#include "util/buf.h"

/* ---- the http client's configuration: client_config.c ------------------ */

struct basic_auth {
    struct config_head head;
    sonde_str username, username_file, password, password_file;
};
struct authorization {
    struct config_head head;
    sonde_str type, credentials, credentials_file;
};
struct tls_config {
    struct config_head head;
    sonde_str ca, cert, key, ca_file, cert_file, key_file, server_name;
    bool insecure_skip_verify;
    int min_version, max_version; /* index in TLS10 TLS11 TLS12 TLS13     */
};
/* The http client block of scrape_config, remote_write and others. Rooms
 * that have one put HTTP_CLIENT_ROWS(T, field) into their own table. */
struct http_client_config {
    struct basic_auth *basic_auth;
    struct authorization *authorization;
    sonde_str bearer_token, bearer_token_file;
    struct tls_config tls_config;
    sonde_str proxy_url, no_proxy;
    bool proxy_from_environment, follow_redirects, enable_http2;
    struct config_map http_headers_plain; /* name -> values, resolved     */
    const struct yaml_node *http_headers, *oauth2, *proxy_connect_header;
};
extern const struct config_block_def basic_auth_block;
extern const struct config_block_def authorization_block;
extern const struct config_block_def tls_config_block;
/* Only one kind of authentication, https-only keys, ...; for the check
 * functions of blocks that hold a client config. `at` is for messages. */
SONDE_NODISCARD sonde_code http_client_check(struct config_ctx *ctx,
                                             struct http_client_config *c,
                                             const struct yaml_node *at,
                                             struct sonde_err *err);
/* Whether a header of this name may be set by configuration. */
SONDE_NODISCARD sonde_code http_header_check(const struct yaml_node *at,
                                             sonde_str name,
                                             struct sonde_err *err);

#define HTTP_CLIENT_ROW(T, f, n, k, ...)                                       \
    {                                                                          \
        .name = (n), .kind = (k), .offset = offsetof(T, f), __VA_ARGS__        \
    }
#define HTTP_CLIENT_ROWS(T, c) HTTP_CLIENT_ROWS_HTTP2(T, c, "true")
/* `http2`: the default of enable_http2. */
#define HTTP_CLIENT_ROWS_HTTP2(T, c, http2)                                    \
    HTTP_CLIENT_ROW(T, c.basic_auth, "basic_auth", CONFIG_BLOCK,               \
                    .block = &basic_auth_block,                                \
                    .help = "User and password sent with each request"),       \
        HTTP_CLIENT_ROW(T, c.authorization, "authorization", CONFIG_BLOCK,     \
                        .block = &authorization_block,                         \
                        .help =                                                \
                            "Authorization header, a bearer token usually"),   \
        HTTP_CLIENT_ROW(T, c.bearer_token, "bearer_token", CONFIG_SECRET,      \
                        .flags = CONFIG_HIDDEN,                                \
                        .help = "Old spelling of authorization.credentials"),  \
        HTTP_CLIENT_ROW(T, c.bearer_token_file, "bearer_token_file",           \
                        CONFIG_PATH, .flags = CONFIG_HIDDEN,                   \
                        .help =                                                \
                            "Old spelling of authorization.credentials_file"), \
        HTTP_CLIENT_ROW(T, c.oauth2, "oauth2", CONFIG_NODE,                    \
                        .flags = CONFIG_UNUSED, .help = "OAuth 2.0 client"),   \
        HTTP_CLIENT_ROW(T, c.tls_config, "tls_config", CONFIG_INLINE,          \
                        .block = &tls_config_block,                            \
                        .help = "Certificates and checks of https"),           \
        HTTP_CLIENT_ROW(T, c.proxy_url, "proxy_url", CONFIG_URL,               \
                        .help = "Proxy for all requests"),                     \
        HTTP_CLIENT_ROW(T, c.no_proxy, "no_proxy", CONFIG_STR,                 \
                        .help = "Hosts reached without the proxy"),            \
        HTTP_CLIENT_ROW(T, c.proxy_from_environment, "proxy_from_environment", \
                        CONFIG_BOOL, .help = "Use HTTP_PROXY and the like"),   \
        HTTP_CLIENT_ROW(T, c.proxy_connect_header, "proxy_connect_header",     \
                        CONFIG_NODE, .flags = CONFIG_UNUSED,                   \
                        .help = "Headers sent to proxies on CONNECT"),         \
        HTTP_CLIENT_ROW(T, c.follow_redirects, "follow_redirects",             \
                        CONFIG_BOOL, .fallback = "true",                       \
                        .help = "Follow 3xx answers"),                         \
        HTTP_CLIENT_ROW(T, c.enable_http2, "enable_http2", CONFIG_BOOL,        \
                        .fallback = (http2), .help = "Offer HTTP/2 over TLS"), \
        HTTP_CLIENT_ROW(T, c.http_headers, "http_headers", CONFIG_NODE,        \
                        .help = "Headers added to each request")

/* ---- the loop: loop.c -------------------------------------------------- */

/* An epoll loop around a curl multi handle. All functions are for the loop's
 * own thread, except net_loop_post and net_loop_stop. */
struct net_loop;
typedef void net_fn(void *arg);

SONDE_NODISCARD sonde_code net_loop_new(struct net_loop **out,
                                        struct sonde_err *err);
/* Runs until net_loop_stop. Then what was posted is still run, and requests
 * still open end with SONDE_ECANCELED; timers do not fire any more. A loop
 * runs once. */
void net_loop_run(struct net_loop *loop);
void net_loop_stop(struct net_loop *loop);
/* After net_loop_run has returned; clients are freed before. */
void net_loop_free(struct net_loop *loop);
/* Runs `fn` on the loop's thread soon; from any thread, in order. What is
 * posted after the loop has stopped is never run. */
void net_loop_post(struct net_loop *loop, net_fn *fn, void *arg);

/* Timers, embedded in the owner's struct; a heap inside. Zero-initialise. */
struct net_timer {
    sonde_msec when_ms; /* monotonic */
    net_fn *fn;
    void *arg;
    size_t slot; /* 1 + place in the heap; 0: not armed */
};
/* (Re)arms it; `when_ms` is of clock_monotonic. */
void net_timer_set(struct net_loop *loop, struct net_timer *t,
                   sonde_msec when_ms, net_fn *fn, void *arg);
void net_timer_clear(struct net_loop *loop, struct net_timer *t);

/* ---- requests: client.c ------------------------------------------------ */

/* A client: one endpoint's connection settings, connection kept alive
 * between its requests; one request at a time. Credentials from files are
 * read anew for each request. Only for the loop's thread, or while the loop
 * does not run. */
struct http_client;
/* `config` must outlive the client; NULL: all defaults. */
struct http_client *http_client_new(struct net_loop *loop,
                                    const struct http_client_config *config);
/* Cancels a request in flight (its `done` is not called). Also from inside
 * the client's own callbacks. NULL is fine. */
void http_client_free(struct http_client *c);

struct http_header {
    const char *name;
    sonde_str value;
};

struct http_result {
    sonde_code code; /* SONDE_OK: an answer came, of whatever status */
    int status;
    sonde_str content_type, content_encoding, retry_after;
    uint64_t wire_bytes; /* of the body, before decoding                 */
    uint64_t body_bytes; /* after decoding                               */
    double seconds;      /* from start to last byte                      */
    const char *error;   /* a sentence, when code is not SONDE_OK        */
};                       /* what it points to lives until `done` returns */

struct http_request {
    sonde_str url; /* http or https; copied                           */
    /* Path of the unix socket to connect to, whatever the URL's host is (but
     * not after a redirect to another one); empty: the host. Copied. */
    sonde_str unix_socket;
    sonde_str method; /* empty: GET, or POST with a body              */
    const struct http_header *headers; /* copied                          */
    size_t header_count;
    sonde_str body;        /* must stay until `done`                       */
    sonde_msec timeout_ms; /* from start to last byte; 0: a minute        */
    /* Of the decoded answer; one that reaches it fails with SONDE_ELIMIT, as
     * in Prometheus. 0: none. */
    uint64_t body_limit_bytes;
    bool accept_gzip; /* ask for gzip; it is decoded in any case      */
    /* The status line and headers of the final answer have come. Returning
     * false ends the request with SONDE_ECANCELED. May be NULL. */
    bool (*begin)(void *arg, int status, sonde_str content_type);
    /* A decoded piece of the body; only called for status 2xx unless
     * `error_body` is set. Returning false as above. */
    bool (*data)(void *arg, sonde_str piece);
    bool error_body;
    /* Always called once, last, unless the client is freed before. The client
     * is free for its next request. */
    void (*done)(void *arg, const struct http_result *result);
    void *arg;
};
/* Starts it; all failures come through `done` (never from inside). */
void http_client_start(struct http_client *c, const struct http_request *r);
bool http_client_busy(const struct http_client *c);

/* Blocking GET or POST for command lines and tests: answer's body in `body`
 * (bounded by body_limit_bytes); callbacks of `r` are ignored. */
SONDE_NODISCARD sonde_code http_fetch(const struct http_client_config *config,
                                      const struct http_request *r,
                                      struct buf *body, int *status,
                                      struct sonde_err *err);

/* ---- byte streams with deadlines: stream.c, stream_tls.c -------------- */

/* "host:port", "[v6]:port", "unix:/path"; blocking with a deadline of the
 * monotonic clock. */
struct net_stream;
SONDE_NODISCARD sonde_code net_stream_open(sonde_str address,
                                           sonde_msec deadline,
                                           struct net_stream **out,
                                           struct sonde_err *err);
SONDE_NODISCARD sonde_code net_stream_write(struct net_stream *s,
                                            const void *data, size_t len,
                                            sonde_msec deadline,
                                            struct sonde_err *err);
/* Between 1 and `cap` bytes, or 0 at the end of the stream. */
SONDE_NODISCARD sonde_code net_stream_read(struct net_stream *s, void *data,
                                           size_t cap, size_t *got,
                                           sonde_msec deadline,
                                           struct sonde_err *err);
void net_stream_close(struct net_stream *s); /* NULL is fine */
/* From any thread, before the close: who waits in a read or write of the
 * stream comes back at once, with the end or an error, and so does every
 * later one. */
void net_stream_shut(struct net_stream *s);

/* With TLS 1.2 or newer on top: stream_tls.c. Files are PEM and read at each
 * opening; what is checked is that the other side's certificate is vouched
 * for by `ca_file` (empty: by the system's authorities) and is for
 * `server_name` (empty: the address' host, a name or an IP address). */
struct net_tls {
    sonde_str ca_file, cert_file, key_file, server_name;
    bool insecure; /* nothing is checked */
};
SONDE_NODISCARD sonde_code net_stream_open_tls(sonde_str address,
                                               const struct net_tls *tls,
                                               sonde_msec deadline,
                                               struct net_stream **out,
                                               struct sonde_err *err);

/* ---- addresses as numbers: range.c ------------------------------------ */

/* An address of either family; one of IPv4 as ::ffff:a.b.c.d. */
struct net_ip {
    unsigned char bytes[16];
};
struct net_range {
    struct net_ip base;
    unsigned bits; /* of the 128 that count                                */
};
/* "10.1.2.3", "fd00::1", "[fd00::1]". */
bool net_ip_parse(sonde_str s, struct net_ip *out);
/* "10.0.0.0/8", "fd00::/8"; an address alone is a range of one. */
bool net_range_parse(sonde_str s, struct net_range *out);
bool net_range_has(const struct net_range *r, const struct net_ip *ip);
/* 169.254.0.0/16 and fe80::/10, where cloud providers keep credentials. */
bool net_ip_is_link_local(const struct net_ip *ip);
bool net_range_is_link_local(const struct net_range *r);
void net_ip_write(struct buf *b, const struct net_ip *ip);
/* All addresses of a name (or number), at most `cap`; more are an error, so
 * that none is left out of a check. Blocks until `deadline` (monotonic). */
SONDE_NODISCARD sonde_code net_lookup(sonde_str host, sonde_msec deadline,
                                      struct net_ip *out, size_t cap, size_t *n,
                                      struct sonde_err *err);

/* ---- the server: server.c ----------------------------------------------
 *
 * Each listener has one thread for all its connections; handlers run on a
 * pool of workers (see http_route.quick). Connections, headers, bodies, the
 * queue and every wait are bounded. TLS, passwords and extra headers come
 * from Prometheus' web config file (web_config.c).
 */

struct http_call; /* a request being answered */

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_OPTIONS,
    HTTP_DELETE,
    HTTP_OTHER
};

enum http_method http_call_method(const struct http_call *c);
/* Without the route prefix, decoded once. */
sonde_str http_call_path(const struct http_call *c);
sonde_str http_call_header(const struct http_call *c, const char *name);
/* The client's address without its port, in the call's arena; empty if it is
 * not known. */
sonde_str http_call_client(struct http_call *c);
/* A parameter of a POSTed form or else of the query string (form first);
 * false if absent. `i` counts repeated ones from 0. */
bool http_call_param(const struct http_call *c, const char *name, size_t i,
                     sonde_str *out);
/* Whether pairs of the form or query string were dropped as malformed; says
 * why as Go does, if `why` is not NULL. */
bool http_call_params_broken(const struct http_call *c, struct sonde_err *why);
/* As sent; bounded by the route's limit. */
sonde_str http_call_body(const struct http_call *c);
struct arena *http_call_arena(struct http_call *c);
/* True when the client has gone or the server stops; for long handlers. The
 * argument is a struct http_call. */
bool http_call_gone(struct http_call *c);

/* Answers; the body is copied (`http_reply`) or taken (`http_reply_take`:
 * the buffer is empty afterwards). Exactly one reply per call; a handler that
 * gives none answers 500. An empty content type sends none. */
void http_call_set_header(struct http_call *c, const char *name,
                          sonde_str value);
void http_reply(struct http_call *c, int status, const char *content_type,
                sonde_str body);
void http_reply_take(struct http_call *c, int status, const char *content_type,
                     struct buf *body);
/* Of the reply that was given; 0 before. */
int http_call_status(const struct http_call *c);
/* Of its body, compressed; of a stream what was handed over so far. */
uint64_t http_call_sent_bytes(const struct http_call *c);

/* An answer of any length that leaves while it is made: server_stream.c. What
 * is written to `buf` is sent whole, as http_reply_take does, if it is short;
 * else in pieces, and then writing waits for a slow client. Once a piece was
 * sent the request's headers can not be asked for any more. */
struct http_stream {
    struct buf buf; /* write here                                          */
    struct http_call *call;
    int status;
    const char *content_type;
    bool begun, failed;
};
#define HTTP_STREAM_PIECE ((size_t)128 << 10)
void http_stream_open(struct http_stream *h, struct http_call *c, int status,
                      const char *content_type);
/* Sends what there is. */
bool http_stream_send(struct http_stream *h);
/* To be called every now and then; false: nobody reads it any more. */
static inline bool http_stream_flush(struct http_stream *h)
{
    return h->buf.len < HTTP_STREAM_PIECE ? !h->failed : http_stream_send(h);
}
/* The answer is complete. */
void http_stream_close(struct http_stream *h);
/* It is not: if a piece has left, the connection is cut, so that the client
 * notices; else nothing was replied yet. */
void http_stream_abort(struct http_stream *h);

typedef void http_handler(struct http_call *c, void *arg);

struct http_route {
    const char *path; /* exact, or with a final "*" for everything below */
    uint32_t methods; /* bits 1 << enum http_method                    */
    http_handler *handler;
    void *arg;
    size_t body_max_bytes; /* 0: no body is read */
    bool compress;         /* as Accept-Encoding asks                       */
    bool before_ready;     /* served while the agent is not ready           */
    /* The handler never waits and is done in microseconds, so it runs on the
     * listener's own thread; all others run on the pool of workers, where a
     * slow one delays nobody's health check. */
    bool quick;
};

struct http_server_options {
    const char *const *listen; /* "127.0.0.1:9090", ":9090", "[::1]:9090" */
    size_t listen_count;
    sonde_str route_prefix; /* "" or "/x"                              */
    const struct http_route *routes;
    size_t route_count;
    const char *web_config_file; /* NULL or empty: none                   */
    sonde_str web_config_text;   /* instead of a file; empty: none         */
    size_t threads;              /* workers, started as needed; 0: 4        */
    size_t max_connections;      /* shared evenly by the listeners; 0: 512  */
    sonde_msec read_timeout_ms;  /* whole request, idle, and answer; 0: 5m  */
    bool (*ready)(void *arg);    /* NULL: always; false: 503                */
    bool (*stopping)(void *arg); /* what such a 503 says; NULL: false       */
    void *ready_arg;
};

struct http_server;
SONDE_NODISCARD sonde_code
http_server_start(const struct http_server_options *options,
                  struct http_server **out, struct sonde_err *err);
/* Stops listening, lets running handlers end, closes. NULL is fine. */
void http_server_stop(struct http_server *s);
/* The port of the i-th listener (for ":0"). */
int http_server_port(const struct http_server *s, size_t i);

/* What happened since the start; for the agent's own metrics. */
struct http_server_stats {
    uint64_t requests;      /* answered, of whatever status               */
    uint64_t refused;       /* 503: the queue for workers was full         */
    uint64_t unauthorized;  /* 401                                         */
    uint64_t rate_limited;  /* 429                                         */
    uint64_t oversized;     /* 413                                         */
    uint64_t timeouts;      /* connections closed at their deadline        */
    uint64_t config_errors; /* 500: the web config file is broken          */
    size_t connections, workers, queued;
};
void http_server_stats(struct http_server *s, struct http_server_stats *out);

/* A bcrypt hash of a password (NUL-terminated), as such a file has them. */
SONDE_NODISCARD sonde_code web_password_hash(sonde_str password,
                                             struct buf *out,
                                             struct sonde_err *err);

/* Reads and checks a web config file and what it names, as a start would. */
SONDE_NODISCARD sonde_code web_config_check(const char *file,
                                            struct sonde_err *err);

#endif
