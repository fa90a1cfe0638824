/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as its clients see it: a real one on a free port of 127.0.0.1,
 * spoken to through plain sockets, so that requests can be as wrong as they
 * are out there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "net/listen.h"
#include "net/net.h"
#include "net/pack.h"
#include "net/params.h"
#include "unit/tap.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/mem.h"
#include "util/str.h"

#define WAIT_SECONDS 20 /* a guard: no test waits so long */
#define BODY_MAX     1000
#define BIG_BYTES    100000
#define STREAM_LINES 800000 /* more than sockets buffer */
#define LINE_BYTES   16

/* ---- a server with handlers -------------------------------------------- */

struct site {
    struct http_server *server;
    int port;
    bool ready, stopping;
    atomic_int slow_entered, slow_gone, lines;
    atomic_bool lines_ended;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* slow_entered or slow_gone or release */
    bool release;
};

static void hello(struct http_call *c, void *arg)
{
    (void)arg;
    http_reply(c, 200, "text/plain", SONDE_STR("hello\n"));
}

/* Method, path, each parameter `q` in order, the body. */
static void echo(struct http_call *c, void *arg)
{
    struct buf b;
    sonde_str v;

    (void)arg;
    buf_init(&b);
    buf_printf(&b, "m=%d path=%.*s", (int)http_call_method(c),
               SONDE_ARG(http_call_path(c)));
    for (size_t i = 0; http_call_param(c, "q", i, &v); i++)
        buf_printf(&b, " q=%.*s", SONDE_ARG(v));
    buf_printf(&b, " broken=%d body=%.*s\n", http_call_params_broken(c, NULL),
               SONDE_ARG(http_call_body(c)));
    http_reply_take(c, 200, "text/plain", &b);
}

static void big(struct http_call *c, void *arg)
{
    struct buf b;

    (void)arg;
    buf_init(&b);
    while (b.len < BIG_BYTES)
        buf_cstr(&b, "0123456789abcdef");
    http_reply_take(c, 200, "text/plain", &b);
}

/* Many lines, each with its number. */
static void lines(struct http_call *c, void *arg)
{
    struct site *s = arg;
    struct http_stream h;

    http_stream_open(&h, c, 200, "text/plain");
    for (int i = 0; i < STREAM_LINES; i++) {
        buf_printf(&h.buf, "%015d\n", i);
        if (!http_stream_flush(&h))
            break;
        atomic_store(&s->lines, i);
    }
    atomic_store(&s->lines_ended, true);
    http_stream_close(&h);
}

/* Ends in the middle. */
static void half(struct http_call *c, void *arg)
{
    struct http_stream h;

    (void)arg;
    http_stream_open(&h, c, 200, "text/plain");
    buf_cstr(&h.buf, "half\n");
    (void)http_stream_send(&h);
    http_stream_abort(&h);
}

static void silent(struct http_call *c, void *arg)
{
    (void)c;
    (void)arg;
}

/* Runs until the client is gone or the test lets it go. */
static void slow(struct http_call *c, void *arg)
{
    struct site *s = arg;
    struct timespec ts;

    pthread_mutex_lock(&s->mutex);
    s->slow_entered++;
    pthread_cond_broadcast(&s->changed);
    while (!s->release && !http_call_gone(c)) {
        clock_gettime(CLOCK_REALTIME, &ts);
        ts.tv_nsec += 2000000;
        if (ts.tv_nsec >= 1000000000) {
            ts.tv_nsec -= 1000000000;
            ts.tv_sec++;
        }
        (void)pthread_cond_timedwait(&s->changed, &s->mutex, &ts);
    }
    s->slow_gone += !s->release;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    http_reply(c, 200, "text/plain", SONDE_STR("slow\n"));
}

static bool is_ready(void *arg)
{
    return ((struct site *)arg)->ready;
}
static bool is_stopping(void *arg)
{
    return ((struct site *)arg)->stopping;
}

#define GET  (1u << HTTP_GET)
#define HEAD (1u << HTTP_HEAD)
#define POST (1u << HTTP_POST)
#define PUT  (1u << HTTP_PUT)

static struct http_route routes[] = {
    { .path = "/", .methods = GET, .handler = hello, .quick = true },
    { .path = "/hello",
      .methods = GET | HEAD,
      .handler = hello,
      .before_ready = true,
      .quick = true },
    { .path = "/worker", .methods = GET, .handler = hello },
    { .path = "/echo",
      .methods = GET | POST | PUT,
      .handler = echo,
      .body_max_bytes = BODY_MAX },
    { .path = "/nobody", .methods = POST, .handler = hello },
    { .path = "/big", .methods = GET, .handler = big, .compress = true },
    { .path = "/silent", .methods = GET, .handler = silent },
    { .path = "/slow", .methods = GET, .handler = slow },
    { .path = "/lines", .methods = GET, .handler = lines, .compress = true },
    { .path = "/half", .methods = GET, .handler = half },
    { .path = "/api/*", .methods = GET, .handler = echo },
    { .path = "/api/x", .methods = GET, .handler = echo },
};

static void site_start_with(struct site *s, struct http_server_options o)
{
    static const char *const listen[] = { "127.0.0.1:0" };
    struct sonde_err err = { 0 };

    *s = (struct site){ .ready = true };
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        routes[i].arg = s;
    o.listen = listen;
    o.listen_count = 1;
    o.routes = routes;
    o.route_count = sizeof(routes) / sizeof(routes[0]);
    o.ready = is_ready;
    o.stopping = is_stopping;
    o.ready_arg = s;
    if (http_server_start(&o, &s->server, &err) != SONDE_OK) {
        tap_note("%s", err.text);
        CU_FAIL_FATAL("the server did not start");
    }
    s->port = http_server_port(s->server, 0);
}

static void site_start(struct site *s)
{
    site_start_with(s, (struct http_server_options){ 0 });
}

static void site_stop(struct site *s)
{
    http_server_stop(s->server);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
}

/* ---- a client ---------------------------------------------------------- */

static int dial(const struct site *s)
{
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)s->port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct timeval tv = { WAIT_SECONDS, 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
        CU_FAIL_FATAL("connect");
    return fd;
}

static void send_all(int fd, sonde_str s)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the server may close early; the answer tells */
        s = str_sub(s, (size_t)n, s.len);
    }
}

/* Reads to the end; false if the guard struck. */
static bool read_all(int fd, struct buf *out)
{
    for (;;) {
        char *p = buf_reserve(out, 4096);
        ssize_t n = recv(fd, p, 4096, 0);

        if (n <= 0)
            return n == 0 || errno == ECONNRESET;
        buf_added(out, (size_t)n);
    }
}

/* One request, NUL-terminated answer in `out`, which is reset first. */
static void ask_bytes(const struct site *s, sonde_str request, struct buf *out)
{
    int fd = dial(s);

    buf_reset(out);
    send_all(fd, request);
    CU_ASSERT(read_all(fd, out));
    buf_char(out, '\0');
    (void)close(fd);
}

static void ask(const struct site *s, const char *request, struct buf *out)
{
    ask_bytes(s, sonde_cstr(request), out);
}

static int status_of(const struct buf *answer)
{
    int status = 0;

    (void)sscanf(answer->data, "HTTP/1.%*d %d", &status);
    return status;
}

static const char *body_of(const struct buf *answer)
{
    const char *p = strstr(answer->data, "\r\n\r\n");

    return p ? p + 4 : "";
}

#define CLOSE "Host: x\r\nConnection: close\r\n"

/* ---- routes ------------------------------------------------------------ */

static void routes_answer(void)
{
    static const struct {
        int line;
        const char *request;
        int status;
        const char *has;
    } cases[] = {
        { __LINE__, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n", 200,
          "\r\n\r\nhello\n" },
        { __LINE__, "GET /worker HTTP/1.1\r\n" CLOSE "\r\n", 200,
          "\r\n\r\nhello\n" },
        { __LINE__, "HEAD /hello HTTP/1.1\r\n" CLOSE "\r\n", 200,
          "Content-Length: 6" },
        { __LINE__, "GET /hello HTTP/1.0\r\n\r\n", 200, "hello\n" },
        { __LINE__, "GET http://a.b:1/hello?q=1 HTTP/1.1\r\n" CLOSE "\r\n", 200,
          "hello\n" },
        { __LINE__, "HEAD /worker HTTP/1.1\r\n" CLOSE "\r\n", 405,
          "Allow: GET\r\n" },
        { __LINE__, "DELETE /echo HTTP/1.1\r\n" CLOSE "\r\n", 405,
          "Allow: GET, POST, PUT\r\n" },
        { __LINE__, "BREW /echo HTTP/1.1\r\n" CLOSE "\r\n", 405,
          "\r\n\r\nMethod Not Allowed\n" },
        { __LINE__, "GET /nowhere HTTP/1.1\r\n" CLOSE "\r\n", 404,
          "\r\n\r\n404 page not found\n" },
        { __LINE__, "GET /nowhere HTTP/1.1\r\n" CLOSE "\r\n", 404,
          "X-Content-Type-Options: nosniff\r\n" },
        { __LINE__, "GET /hello/ HTTP/1.1\r\n" CLOSE "\r\n", 301,
          "Location: /hello\r\n" },
        { __LINE__, "POST /echo/?a=b HTTP/1.1\r\n" CLOSE "\r\n", 308,
          "Location: /echo?a=b\r\n" },
        { __LINE__, "GET //hello HTTP/1.1\r\n" CLOSE "\r\n", 301,
          "Location: /hello\r\n" },
        { __LINE__, "GET //evil.example/%2e%2e HTTP/1.1\r\n" CLOSE "\r\n", 301,
          "Location: /\r\n" },
        { __LINE__, "GET //%5Cevil.example HTTP/1.1\r\n" CLOSE "\r\n", 301,
          "Location: /%5Cevil.example\r\n" },
        { __LINE__, "GET /a/../hello HTTP/1.1\r\n" CLOSE "\r\n", 301,
          "Location: /hello\r\n" },
        { __LINE__, "GET /api/x/ HTTP/1.1\r\n" CLOSE "\r\n", 301,
          "Location: /api/x\r\n" },
        { __LINE__, "GET /api/x HTTP/1.1\r\n" CLOSE "\r\n", 200,
          "path=/api/x " },
        { __LINE__, "GET /api/y/z%20%41 HTTP/1.1\r\n" CLOSE "\r\n", 200,
          "path=/api/y/z A " },
        { __LINE__, "GET /api/%zz HTTP/1.1\r\n" CLOSE "\r\n", 400,
          "Bad Request" },
        { __LINE__, "GET /api/%00 HTTP/1.1\r\n" CLOSE "\r\n", 400,
          "Bad Request" },
        { __LINE__, "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n", 400,
          "" },
        { __LINE__, "GET /silent HTTP/1.1\r\n" CLOSE "\r\n", 500, "" },
        { __LINE__,
          "GET /echo?q=a+b%21&q=%zz&q=c;d&q&=x&q=%E2%82%AC HTTP/1.1\r\n" CLOSE
          "\r\n",
          200, " q=a b! q= q=\xe2\x82\xac broken=1 " },
    };
    struct site s;
    struct buf b;

    site_start(&s);
    buf_init(&b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(&s, cases[i].request, &b);
        ROW_ASSERT(&cases[i], status_of(&b) == cases[i].status);
        ROW_ASSERT(&cases[i], strstr(b.data, cases[i].has) != NULL);
        if (!strstr(b.data, cases[i].has))
            tap_note("%.300s", b.data);
    }
    ask(&s, "HEAD /hello HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_STRING_EQUAL(body_of(&b), "");
    buf_fini(&b);
    site_stop(&s);
}

static void prefix_is_stripped(void)
{
    static const struct {
        int line;
        const char *target;
        int status;
        const char *has;
    } cases[] = {
        { __LINE__, "/p/x/hello", 200, "hello\n" },
        { __LINE__, "/p/x", 200, "hello\n" },
        { __LINE__, "/p/x/", 200, "hello\n" },
        { __LINE__, "/p/xhello", 404, "" },
        { __LINE__, "/hello", 404, "" },
        { __LINE__, "/", 302, "Location: /p/x/\r\n" },
        { __LINE__, "/p/x//hello", 301, "Location: /p/x/hello\r\n" },
        { __LINE__, "/p/x/hello/", 301, "Location: /p/x/hello\r\n" },
        { __LINE__, "/p/x/api/q", 200, "path=/api/q " },
    };
    struct site s;
    struct buf b;

    site_start_with(
        &s, (struct http_server_options){ .route_prefix = SONDE_STR("/p/x") });
    buf_init(&b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char request[200];

        (void)snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\n" CLOSE "\r\n", cases[i].target);
        ask(&s, request, &b);
        ROW_ASSERT(&cases[i], status_of(&b) == cases[i].status);
        ROW_ASSERT(&cases[i], strstr(b.data, cases[i].has) != NULL);
    }
    buf_fini(&b);
    site_stop(&s);
}

static void readiness(void)
{
    struct site s;
    struct buf b;

    site_start(&s);
    buf_init(&b);
    s.ready = false;
    ask(&s, "GET /worker HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_EQUAL(status_of(&b), 503);
    CU_ASSERT_STRING_EQUAL(body_of(&b), "Service Unavailable");
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "X-Prometheus-Stopping: false\r\n"));
    s.stopping = true;
    ask(&s, "GET /worker HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "X-Prometheus-Stopping: true\r\n"));
    ask(&s, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_EQUAL(status_of(&b), 200);
    ask(&s, "GET /nowhere HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_EQUAL(status_of(&b), 404);
    buf_fini(&b);
    site_stop(&s);
}

/* ---- bodies and headers ------------------------------------------------ */

static void bodies(void)
{
#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"
    static const struct {
        int line;
        const char *request;
        int status;
        const char *has;
    } cases[] = {
        { __LINE__,
          "POST /echo?q=1 HTTP/1.1\r\n" CLOSE FORM
          "Content-Length: 7\r\n\r\nq=2&q=3",
          200, " q=2 q=3 q=1 broken=0 body=q=2&q=3" },
        { __LINE__,
          "PUT /echo?q=1 HTTP/1.1\r\n" CLOSE
          "Content-Type: application/X-www-Form-urlencoded; charset=utf-8\r\n"
          "Content-Length: 3\r\n\r\nq=2",
          200, " q=2 q=1 " },
        { __LINE__,
          "POST /echo?q=1 HTTP/1.1\r\n" CLOSE
          "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nq=2",
          200, " q=1 broken=0 body=q=2" },
        { __LINE__,
          "POST /echo HTTP/1.1\r\n" CLOSE
          "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
          200, "body=abcde" },
        { __LINE__,
          "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 1001\r\n\r\n", 413,
          "" },
        { __LINE__,
          "POST /echo HTTP/1.1\r\n" CLOSE
          "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
          400, "" },
        { __LINE__,
          "POST /nobody HTTP/1.1\r\n" CLOSE "Content-Length: 3\r\n\r\nabc", 200,
          "hello" },
    };
    struct site s;
    struct buf b, r;

    site_start(&s);
    buf_init(&b);
    buf_init(&r);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(&s, cases[i].request, &b);
        ROW_ASSERT(&cases[i], status_of(&b) == cases[i].status);
        ROW_ASSERT(&cases[i], strstr(b.data, cases[i].has) != NULL);
    }
    /* Exactly the limit, then one more, without saying so before. */
    for (int extra = 0; extra < 2; extra++) {
        buf_reset(&r);
        buf_printf(&r,
                   "POST /echo HTTP/1.1\r\n" CLOSE
                   "Transfer-Encoding: chunked\r\n\r\n%x\r\n%0*d\r\n0\r\n\r\n",
                   BODY_MAX + extra, BODY_MAX + extra, 0);
        ask_bytes(&s, buf_str(&r), &b);
        CU_ASSERT_EQUAL(status_of(&b), extra ? 413 : 200);
    }
    buf_fini(&r);
    buf_fini(&b);
    site_stop(&s);
}

static void headers_are_bounded(void)
{
    struct site s;
    struct buf b, r;

    site_start(&s);
    buf_init(&b);
    buf_init(&r);
    buf_cstr(&r, "GET /hello HTTP/1.1\r\n" CLOSE "X-Long: ");
    for (int i = 0; i < 20000; i++)
        buf_cstr(&r, "0123456789");
    buf_cstr(&r, "\r\n\r\n");
    ask_bytes(&s, buf_str(&r), &b);
    CU_ASSERT_EQUAL(status_of(&b), 431);
    buf_reset(&r);
    buf_cstr(&r, "GET /hello?");
    for (int i = 0; i < 20000; i++)
        buf_cstr(&r, "0123456789");
    buf_cstr(&r, " HTTP/1.1\r\n" CLOSE "\r\n");
    ask_bytes(&s, buf_str(&r), &b);
    CU_ASSERT_EQUAL(status_of(&b), 414);
    /* As many parameters as fit, but more than are taken. */
    buf_reset(&r);
    buf_cstr(&r, "GET /echo?");
    for (int i = 0; i <= HTTP_PARAMS_MAX; i++)
        buf_cstr(&r, "a&");
    buf_cstr(&r, " HTTP/1.1\r\n" CLOSE "\r\n");
    ask_bytes(&s, buf_str(&r), &b);
    CU_ASSERT_EQUAL(status_of(&b), 400);
    /* Many headers and cookies, each small. */
    for (int cookies = 0; cookies < 2; cookies++) {
        buf_reset(&r);
        buf_cstr(&r, "GET /hello HTTP/1.1\r\n" CLOSE);
        buf_cstr(&r, cookies ? "Cookie: a=b" : "");
        for (int i = 0; i < 4000; i++)
            buf_cstr(&r, cookies ? "; a=b" : "A: b\r\n");
        buf_cstr(&r, cookies ? "\r\n\r\n" : "\r\n");
        ask_bytes(&s, buf_str(&r), &b);
        /* Some versions of the library just close the connection. */
        CU_ASSERT(status_of(&b) == 431 || (cookies && b.len <= 1));
    }
    ask(&s, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_EQUAL(status_of(&b), 200);
    buf_fini(&r);
    buf_fini(&b);
    site_stop(&s);
}

static void choice_of_coding(void)
{
    static const struct {
        int line;
        const char *accept;
        enum coding want;
    } rows[] = {
        { __LINE__, "gzip", CODING_GZIP },
        { __LINE__, "x-gzip", CODING_GZIP },
        { __LINE__, "deflate, GZIP;q=0.5", CODING_DEFLATE },
        { __LINE__, "deflate;q=0.49, GZIP;q=0.5", CODING_GZIP },
        { __LINE__, "deflate, gzip", CODING_GZIP },
        { __LINE__, "*", CODING_GZIP },
        { __LINE__, "*;q=0", CODING_PLAIN },
        { __LINE__, "gzip;q=0", CODING_PLAIN },
        { __LINE__, "gzip;q=0.000, deflate", CODING_DEFLATE },
        { __LINE__, "gzip; q=0.001", CODING_GZIP },
        { __LINE__, "br, identity", CODING_PLAIN },
        { __LINE__, "", CODING_PLAIN },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i],
                   coding_choose(sonde_cstr(rows[i].accept)) == rows[i].want);
    CU_ASSERT_EQUAL(coding_choose(SONDE_STR("gzip, deflate, br, zstd")),
                    pack_has_zstd ? CODING_ZSTD : CODING_GZIP);
    CU_ASSERT_EQUAL(coding_choose(SONDE_STR("zstd;q=0.5, gzip")), CODING_GZIP);
}

/* The body of a chunked answer, its pieces joined in place; false: the last
 * one is missing. */
static bool join_chunks(char *body, const char *end, struct buf *out)
{
    buf_reset(out);
    while (body < end) {
        char *at;
        size_t n = strtoul(body, &at, 16);

        if (at == body || at + 2 + n + 2 > end)
            return false;
        if (n == 0)
            return true;
        buf_bytes(out, at + 2, n);
        body = at + 2 + n + 2;
    }
    return false;
}

static bool inflates_to(const struct buf *packed, int bits, size_t want,
                        struct buf *plain)
{
    z_stream z = { .next_in = (Bytef *)packed->data,
                   .avail_in = (uInt)packed->len };
    int rc;

    buf_reset(plain);
    z.next_out = (Bytef *)buf_reserve(plain, want + 1);
    z.avail_out = (uInt)want + 1;
    if (inflateInit2(&z, bits) != Z_OK)
        return false;
    rc = inflate(&z, Z_FINISH);
    buf_added(plain, z.total_out);
    inflateEnd(&z);
    return rc == Z_STREAM_END && plain->len == want;
}

/* Whole answers and streams, each in all codings that zlib reads. */
static void compression(void)
{
    static const struct {
        int line;
        const char *path, *accept, *coding;
        int bits;
        size_t bytes;
    } rows[] = {
        { __LINE__, "/big", "identity", NULL, 0, BIG_BYTES },
        { __LINE__, "/big", "gzip", "gzip", 31, BIG_BYTES },
        { __LINE__, "/big", "deflate", "deflate", 15, BIG_BYTES },
        { __LINE__, "/lines", "identity", NULL, 0, STREAM_LINES * LINE_BYTES },
        { __LINE__, "/lines", "gzip", "gzip", 31, STREAM_LINES * LINE_BYTES },
        { __LINE__, "/lines", "deflate", "deflate", 15,
          STREAM_LINES * LINE_BYTES },
    };
    struct buf b, joined, plain;
    struct site s;

    site_start(&s);
    buf_init(&b);
    buf_init(&joined);
    buf_init(&plain);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[200];
        char *body;

        (void)snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\nAccept-Encoding: %s\r\n" CLOSE
                       "\r\n",
                       rows[i].path, rows[i].accept);
        ask(&s, request, &b);
        body = (char *)(uintptr_t)body_of(&b);
        ROW_ASSERT(&rows[i], status_of(&b) == 200);
        body[-1] = '\0';
        ROW_ASSERT(&rows[i], strstr(b.data, "Vary: Accept-Encoding") != NULL);
        ROW_ASSERT(&rows[i], (strstr(b.data, "Content-Encoding: ") != NULL) ==
                                 (rows[i].coding != NULL));
        buf_reset(&joined);
        if (rows[i].path[1] == 'b')
            buf_bytes(&joined, body, (size_t)(b.data + b.len - 1 - body));
        else
            ROW_ASSERT(&rows[i], join_chunks(body, b.data + b.len, &joined));
        if (rows[i].bits)
            ROW_ASSERT(&rows[i], inflates_to(&joined, rows[i].bits,
                                             rows[i].bytes, &plain));
        else
            ROW_ASSERT(&rows[i], joined.len == rows[i].bytes);
    }
    buf_fini(&plain);
    buf_fini(&joined);
    buf_fini(&b);
    site_stop(&s);
}

static void streams_arrive_in_order(void)
{
    struct buf b, joined;
    struct site s;
    bool all = true;

    site_start(&s);
    buf_init(&b);
    buf_init(&joined);
    ask(&s, "GET /lines HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_TRUE(
        join_chunks((char *)(uintptr_t)body_of(&b), b.data + b.len, &joined));
    CU_ASSERT_EQUAL_FATAL(joined.len, (size_t)STREAM_LINES * LINE_BYTES);
    for (int i = 0; i < STREAM_LINES && all; i++)
        all = atoi(joined.data + (size_t)i * LINE_BYTES) == i;
    CU_ASSERT_TRUE(all);
    /* A client that knows no chunks gets the bytes alone. */
    ask(&s, "GET /lines HTTP/1.0\r\n\r\n", &b);
    CU_ASSERT_EQUAL(strlen(body_of(&b)), (size_t)STREAM_LINES * LINE_BYTES);
    /* What was cut off can be told from what is whole. */
    ask(&s, "GET /half HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_EQUAL(status_of(&b), 200);
    CU_ASSERT_FALSE(
        join_chunks((char *)(uintptr_t)body_of(&b), b.data + b.len, &joined));
    buf_fini(&joined);
    buf_fini(&b);
    site_stop(&s);
}

/* A client that does not read holds the worker up, and its end frees it. */
static void streams_wait_for_the_client(void)
{
    struct site s;
    struct pollfd nothing = { .fd = -1 };
    int fd, before;

    site_start(&s);
    fd = dial(&s);
    send_all(fd, SONDE_STR("GET /lines HTTP/1.1\r\n" CLOSE "\r\n"));
    do {
        before = atomic_load(&s.lines);
        (void)poll(&nothing, 1, 300);
    } while (before == 0 || before != atomic_load(&s.lines));
    CU_ASSERT_FALSE(atomic_load(&s.lines_ended));
    close(fd);
    for (int i = 0; i < WAIT_SECONDS * 100 && !atomic_load(&s.lines_ended); i++)
        (void)poll(&nothing, 1, 10);
    CU_ASSERT_TRUE(atomic_load(&s.lines_ended));
    CU_ASSERT(atomic_load(&s.lines) < STREAM_LINES - 1);
    /* Nor does the server's end wait for such a one. */
    atomic_store(&s.lines, 0);
    fd = dial(&s);
    send_all(fd, SONDE_STR("GET /lines HTTP/1.1\r\n" CLOSE "\r\n"));
    while (atomic_load(&s.lines) == 0)
        (void)poll(&nothing, 1, 10);
    site_stop(&s);
    close(fd);
}

/* ---- connections ------------------------------------------------------- */

static void pipelining(void)
{
    struct site s;
    struct buf b;

    site_start(&s);
    buf_init(&b);
    ask(&s,
        "GET /worker HTTP/1.1\r\nHost: x\r\n\r\n"
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
        "GET /hello HTTP/1.1\r\n" CLOSE "\r\n",
        &b);
    const char *first = strstr(b.data, "hello\n");
    const char *second = first ? strstr(first, "body=hi\n") : NULL;

    CU_ASSERT_PTR_NOT_NULL(second);
    CU_ASSERT_PTR_NOT_NULL(second ? strstr(second, "hello\n") : NULL);
    buf_fini(&b);
    site_stop(&s);
}

/* A client that sends a byte now and then is never silent, but never done
 * either. */
static void slow_clients_are_cut(void)
{
    struct http_server_stats stats;
    struct site s;
    int fd, stuck;
    char c;

    site_start_with(&s, (struct http_server_options){ .read_timeout_ms = 300 });
    fd = dial(&s);
    stuck = dial(&s);
    send_all(stuck, SONDE_STR("POST /echo HTTP/1.1\r\nHost: x\r\n"
                              "Content-Length: 100\r\n\r\nabc"));
    send_all(fd, SONDE_STR("GET /hello HTTP/1.1\r\nHost: x\r\nX: "));
    for (int i = 0; i < 1000; i++) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (poll(&p, 1, 20) > 0)
            break;
        send_all(fd, SONDE_STR("a"));
    }
    CU_ASSERT(recv(fd, &c, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
    while (recv(stuck, &c, 1, 0) > 0)
        ;
    CU_ASSERT_NOT_EQUAL(errno, EAGAIN);
    (void)close(fd);
    (void)close(stuck);
    http_server_stats(s.server, &stats);
    CU_ASSERT(stats.timeouts >= 1);
    site_stop(&s);
}

static void wait_for(struct site *s, const atomic_int *counter, int n)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&s->mutex);
    while (*counter < n &&
           pthread_cond_timedwait(&s->changed, &s->mutex, &ts) == 0)
        ;
    CU_ASSERT_EQUAL(*counter, n);
    pthread_mutex_unlock(&s->mutex);
}

static const char slow_request[] = "GET /slow HTTP/1.1\r\n" CLOSE "\r\n";

static void slow_handlers_delay_nobody(void)
{
    struct site s;
    struct buf b;
    int fd[3];

    site_start_with(&s, (struct http_server_options){ .threads = 2 });
    buf_init(&b);
    for (int i = 0; i < 3; i++) {
        fd[i] = dial(&s);
        send_all(fd[i], sonde_cstr(slow_request));
    }
    wait_for(&s, &s.slow_entered, 2); /* the third has to wait */
    ask(&s, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n", &b);
    CU_ASSERT_EQUAL(status_of(&b), 200);
    (void)close(fd[0]);
    (void)close(fd[1]);
    wait_for(&s, &s.slow_gone, 2);
    wait_for(&s, &s.slow_entered, 3);
    pthread_mutex_lock(&s.mutex);
    s.release = true;
    pthread_cond_broadcast(&s.changed);
    pthread_mutex_unlock(&s.mutex);
    buf_reset(&b);
    CU_ASSERT(read_all(fd[2], &b));
    buf_char(&b, '\0');
    CU_ASSERT_STRING_EQUAL(body_of(&b), "slow\n");
    (void)close(fd[2]);
    buf_fini(&b);
    site_stop(&s);
}

static void stop_ends_handlers(void)
{
    struct site s;
    struct buf b;
    int fd[2];

    site_start_with(&s, (struct http_server_options){ .threads = 1 });
    buf_init(&b);
    fd[0] = dial(&s);
    send_all(fd[0], sonde_cstr(slow_request));
    wait_for(&s, &s.slow_entered, 1);
    fd[1] = dial(&s); /* may be queued or not be read yet */
    send_all(fd[1], sonde_cstr(slow_request));
    http_server_stop(s.server);
    CU_ASSERT_EQUAL(s.slow_gone, 1);
    CU_ASSERT(read_all(fd[0], &b));
    buf_char(&b, '\0');
    CU_ASSERT_EQUAL(status_of(&b), 200);
    (void)close(fd[0]);
    (void)close(fd[1]);
    buf_fini(&b);
}

static void connections_are_bounded(void)
{
    struct http_server_stats stats;
    struct site s;
    struct buf b;
    int held[2], waits;

    site_start_with(&s, (struct http_server_options){ .max_connections = 2 });
    buf_init(&b);
    for (int i = 0; i < 2; i++) {
        char c;

        held[i] = dial(&s);
        send_all(held[i], SONDE_STR("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
        CU_ASSERT_EQUAL(recv(held[i], &c, 1, 0), 1);
    }
    waits = dial(&s); /* in the kernel's queue */
    send_all(waits, SONDE_STR("GET /hello HTTP/1.1\r\n" CLOSE "\r\n"));
    http_server_stats(s.server, &stats);
    CU_ASSERT_EQUAL(stats.connections, 2);
    (void)close(held[0]);
    CU_ASSERT(read_all(waits, &b));
    buf_char(&b, '\0');
    CU_ASSERT_EQUAL(status_of(&b), 200);
    (void)close(held[1]);
    (void)close(waits);
    buf_fini(&b);
    site_stop(&s);
}

/* ---- addresses --------------------------------------------------------- */

static void addresses(void)
{
    static const struct {
        int line;
        const char *address;
        const char *error; /* NULL: works */
    } cases[] = {
        { __LINE__, ":0", NULL },
        { __LINE__, "127.0.0.1:0", NULL },
        { __LINE__, "localhost:0", NULL },
        { __LINE__, "9090", "expected HOST:PORT" },
        { __LINE__, "127.0.0.1:99999", "expected HOST:PORT" },
        { __LINE__, "127.0.0.1:http", "expected HOST:PORT" },
        { __LINE__, "::1:9090", "expected HOST:PORT" },
        { __LINE__, "no such host:1", "listen on no such host:1" },
        { __LINE__, "192.0.2.1:0", "does not have that address" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sonde_err err = { 0 };
        int fd = -1, port = 0;
        sonde_code rc = net_listen(cases[i].address, &fd, &port, &err);

        if (!cases[i].error) {
            ROW_ASSERT(&cases[i], rc == SONDE_OK && port > 0);
            (void)close(fd);
            continue;
        }
        ROW_ASSERT(&cases[i], rc != SONDE_OK);
        ROW_ASSERT(&cases[i], strstr(err.text, cases[i].error) != NULL);
    }
}

static void port_in_use(void)
{
    char address[32];
    const char *const listen[] = { address };
    struct http_server_options o = {
        .listen = listen, .listen_count = 1, .routes = routes, .route_count = 1
    };
    struct http_server *second = NULL;
    struct sonde_err err = { 0 };
    struct site s;

    site_start(&s);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", s.port);
    CU_ASSERT_EQUAL(http_server_start(&o, &second, &err), SONDE_EEXIST);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, address));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "--web.listen-address"));
    site_stop(&s);
    /* It is free again at once. */
    CU_ASSERT_EQUAL(http_server_start(&o, &second, &err), SONDE_OK);
    CU_ASSERT_EQUAL(http_server_port(second, 0), s.port);
    CU_ASSERT_EQUAL(http_server_port(second, 1), 0);
    http_server_stop(second);
}

/* ---- parameters and paths ---------------------------------------------- */

static void params(void)
{
    static const struct {
        int line;
        const char *form, *query;
        const char *a; /* first value of "a", or NULL */
        size_t count;
        bool broken;
    } cases[] = {
        { __LINE__, "", "", NULL, 0, false },
        { __LINE__, "", "a=1", "1", 1, false },
        { __LINE__, "a=2", "a=1", "2", 2, false },
        { __LINE__, "", "b=1&&a=x+y%2B", "x y+", 2, false },
        { __LINE__, "", "a", "", 1, false },
        { __LINE__, "", "a=b=c", "b=c", 1, false },
        { __LINE__, "", "%61=ok", "ok", 1, false },
        { __LINE__, "", "a=1;b=2", NULL, 0, true },
        { __LINE__, "", "a=%", NULL, 0, true },
        { __LINE__, "", "a=%4", NULL, 0, true },
        { __LINE__, "", "a=%4g&a=2", "2", 1, true },
        { __LINE__, "%q=1", "a=2", "2", 1, true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_params p;
        struct arena a;
        sonde_str v;

        arena_init(&a);
        http_params_parse(&a, sonde_cstr(cases[i].form),
                          sonde_cstr(cases[i].query), &p);
        ROW_ASSERT(&cases[i], p.count == cases[i].count);
        ROW_ASSERT(&cases[i], (p.broken.ptr != NULL) == cases[i].broken);
        if (http_params_get(&p, "a", 0, &v))
            ROW_ASSERT(&cases[i], cases[i].a && str_eq_cstr(v, cases[i].a));
        else
            ROW_ASSERT(&cases[i], cases[i].a == NULL);
        arena_fini(&a);
    }
}

static void paths(void)
{
    static const struct {
        int line;
        const char *in, *clean;
    } cases[] = {
        { __LINE__, "", "/" },
        { __LINE__, "/", "/" },
        { __LINE__, "a", "/a" },
        { __LINE__, "//a///b/", "/a/b/" },
        { __LINE__, "/a/./b/../c", "/a/c" },
        { __LINE__, "/../../a", "/a" },
        { __LINE__, "/a/..", "/" },
        { __LINE__, "/a/b/..", "/a" },
        { __LINE__, "/...", "/..." },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena a;

        arena_init(&a);
        ROW_ASSERT(&cases[i],
                   str_eq_cstr(http_path_clean(&a, sonde_cstr(cases[i].in)),
                               cases[i].clean));
        arena_fini(&a);
    }
}

static const struct tap_test tests[] = {
    { "parameters", params },
    { "paths", paths },
    { "listen addresses", addresses },
    { "port in use", port_in_use },
    { "routes, methods, redirects", routes_answer },
    { "route prefix", prefix_is_stripped },
    { "readiness", readiness },
    { "bodies", bodies },
    { "oversize headers", headers_are_bounded },
    { "the choice of a coding", choice_of_coding },
    { "compression", compression },
    { "streams arrive whole and in order", streams_arrive_in_order },
    { "streams wait for the client", streams_wait_for_the_client },
    { "pipelining", pipelining },
    { "slow clients are cut off", slow_clients_are_cut },
    { "slow handlers delay nobody", slow_handlers_delay_nobody },
    { "stop ends handlers", stop_ends_handlers },
    { "connection limit", connections_are_bounded },
};

int main(void)
{
    return TAP_RUN("net_server", tests);
}
