/* SPDX-License-Identifier: Apache-2.0 */
/* net: the HTTP client against a peer that answers as badly as it likes. */
#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "net/net.h"
#include "unit/net_peer.h"
#include "unit/tap.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

/* ---- answers ----------------------------------------------------------- */

static struct buf zipped(const char *text, size_t times)
{
    size_t len = strlen(text);
    z_stream z = { 0 };
    struct buf out;

    buf_init(&out);
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY))
        abort();
    for (size_t i = 0; i <= times; i++) {
        z.next_in = (Bytef *)(uintptr_t)text;
        z.avail_in = i < times ? (uInt)len : 0;
        do {
            z.next_out = (Bytef *)buf_reserve(&out, 4096);
            z.avail_out = 4096;
            (void)deflate(&z, i < times ? Z_NO_FLUSH : Z_FINISH);
            buf_added(&out, 4096 - z.avail_out);
        } while (z.avail_out == 0);
    }
    (void)deflateEnd(&z);
    return out;
}

/* A gzip body of which `cut` bytes at the end are not sent. */
static bool send_zipped(struct peer_request *r, const char *encoding,
                        size_t copies, size_t cut)
{
    struct buf body, z = zipped("hello", 1);
    char head[200];
    bool ok;

    buf_init(&body);
    while (copies--)
        buf_put(&body, buf_str(&z));
    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   encoding, body.len - cut);
    ok = peer_sends(r, head) && peer_send(r, body.data, body.len - cut);
    buf_fini(&z);
    buf_fini(&body);
    return ok;
}

static bool send_bomb(struct peer_request *r)
{
    static char zeros[65536];
    struct buf z;
    bool ok;

    memset(zeros, '0', sizeof(zeros) - 1);
    z = zipped(zeros, 1600); /* 100 MiB */
    ok = peer_sends(r, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n") &&
         peer_send(r, z.data, z.len);
    buf_fini(&z);
    return ok;
}

static bool send_endless(struct peer_request *r)
{
    static const char line[] = "up 1\nup 1\nup 1\nup 1\nup 1\nup 1\nup 1\n";

    if (!peer_sends(r, "HTTP/1.1 200 OK\r\n\r\n"))
        return false;
    while (peer_send(r, line, sizeof(line) - 1))
        ;
    return false;
}

/* One byte at a time, for ever, as fast as the reader takes them. */
static bool send_drip(struct peer_request *r)
{
    if (!peer_sends(r, "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"))
        return false;
    while (peer_send(r, "x", 1))
        ;
    return false;
}

static bool send_headers(struct peer_request *r, size_t lines)
{
    static char value[8000];
    char line[8100];

    memset(value, 'v', sizeof(value) - 1);
    if (!peer_sends(r, "HTTP/1.1 200 OK\r\n"))
        return false;
    for (size_t i = 0; i < lines; i++) {
        (void)snprintf(line, sizeof(line), "X-%zu: %s\r\n", i, value);
        if (!peer_sends(r, line))
            return false;
    }
    return peer_sends(r, "Content-Length: 0\r\n\r\n");
}

static bool send_redirect(struct peer_request *r, int status, const char *to)
{
    char head[512];

    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 %d Moved\r\nLocation: %s\r\n"
                   "Content-Length: 4\r\n\r\ngone",
                   status, to);
    return peer_sends(r, head);
}

/* Says what it was asked, with which credentials. */
static bool send_echo(struct peer_request *r)
{
    static const char *const names[] = { "Authorization", "Cookie",
                                         "X-Key",         "X-One",
                                         "User-Agent",    "Accept-Encoding" };
    struct buf b;
    bool ok;

    buf_init(&b);
    buf_printf(&b, "%s %s body=%.*s\n", r->method, r->path, SONDE_ARG(r->body));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        buf_printf(&b, "%s=%.*s\n", names[i],
                   SONDE_ARG(peer_header(r, names[i])));
    ok = peer_ok(r, buf_str(&b));
    buf_fini(&b);
    return ok;
}

static const struct {
    const char *path, *raw;
    bool keep;
} raw_answers[] = {
    { "/no-content", "HTTP/1.1 204 No Content\r\n\r\n", true },
    { "/no-content-gzip",
      "HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n", true },
    { "/chunked",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nhel\r\n2\r\nlo\r\n0\r\nContent-Type: text/trailer\r\n\r\n",
      true },
    { "/short-chunked",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n",
      false },
    { "/until-close", "HTTP/1.1 200 OK\r\n\r\nhello", false },
    { "/old", "HTTP/1.0 200 OK\r\n\r\nhello", false },
    { "/continue",
      "HTTP/1.1 100 Continue\r\nContent-Type: no\r\n\r\n"
      "HTTP/1.1 103 Early Hints\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
      "Content-Length: 5\r\n\r\nhello",
      true },
    { "/error",
      "HTTP/1.1 500 Oh\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nsick",
      true },
    { "/short", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", false },
    { "/bad-length", "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
      false },
    { "/garbage", "SSH-2.0-OpenSSH_9.2\r\n", false },
    { "/nothing", "", false },
    { "/half-head", "HTTP/1.1 200 OK\r\nContent-", false },
    { "/empty-gzip",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
      "Content-Length: 0\r\n\r\n",
      true },
    { "/deflate",
      "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n"
      "Content-Length: 5\r\n\r\nhello",
      true },
    { "/not-gzip",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
      "Content-Length: 5\r\n\r\nhello",
      true },
    { "/no-location", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", true },
    { "/again",
      "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n",
      true },
    { "/to/303/ok", "HTTP/1.1 303 See\r\nLocation: missing\r\n\r\nx", false },
    { "/to/303/missing", "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", true },
    { "/close-after", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      false },
};

static bool answer_special(struct peer_request *r)
{
    const char *p = r->path;

    if (!strcmp(p, "/gzip"))
        return send_zipped(r, "gzip", 1, 0);
    if (!strcmp(p, "/gzip-twice"))
        return send_zipped(r, "gzip", 2, 0);
    if (!strcmp(p, "/gzip-cut"))
        return send_zipped(r, "gzip", 1, 3);
    if (!strcmp(p, "/gzip-upper"))
        return send_zipped(r, "GZIP", 1, 0);
    if (!strcmp(p, "/bomb"))
        return send_bomb(r);
    if (!strcmp(p, "/endless"))
        return send_endless(r);
    if (!strcmp(p, "/endless-error"))
        return peer_sends(r, "HTTP/1.1 500 Oh\r\n\r\n") && send_endless(r);
    if (!strcmp(p, "/drip"))
        return send_drip(r);
    if (!strcmp(p, "/many-headers"))
        return send_headers(r, 200);
    if (!strcmp(p, "/some-headers"))
        return send_headers(r, 20);
    if (!strcmp(p, "/hang"))
        peer_hang(r);
    /* Once used, the connection turns out to be dead. */
    if (!strcmp(p, "/flaky"))
        return r->number == 0 && peer_ok(r, SONDE_STR("hello"));
    return false;
}

static bool answer(struct peer_request *r)
{
    int status;
    char to[256];

    for (size_t i = 0; i < sizeof(raw_answers) / sizeof(raw_answers[0]); i++)
        if (!strcmp(r->path, raw_answers[i].path))
            return peer_sends(r, raw_answers[i].raw) && raw_answers[i].keep;
    if (!strncmp(r->path, "/ok", 3))
        return peer_ok(r, SONDE_STR("hello"));
    if (!strncmp(r->path, "/echo", 5))
        return send_echo(r);
    if (sscanf(r->path, "/to/%d/%255s", &status, to) == 2)
        return send_redirect(r, status, to);
    return answer_special(r);
}

/* ---- one request ------------------------------------------------------- */

struct outcome {
    struct net_loop *loop;
    sonde_code code;
    int status, begun, dones;
    char error[800], type[100], encoding[100], retry[20];
    struct buf body;
    uint64_t wire, bytes;
    bool refuse_begin, refuse_data;
};

static bool on_begin(void *arg, int status, sonde_str type)
{
    struct outcome *o = arg;

    o->begun++;
    CU_ASSERT_NOT_EQUAL(status, 0);
    (void)type;
    return !o->refuse_begin;
}

static bool on_data(void *arg, sonde_str piece)
{
    struct outcome *o = arg;

    CU_ASSERT_EQUAL(o->begun, 1);
    CU_ASSERT_NOT_EQUAL(piece.len, 0);
    buf_put(&o->body, piece);
    return !o->refuse_data;
}

static void on_done(void *arg, const struct http_result *r)
{
    struct outcome *o = arg;

    o->dones++;
    o->code = r->code;
    o->status = r->status;
    o->wire = r->wire_bytes;
    o->bytes = r->body_bytes;
    CU_ASSERT_EQUAL(r->error == NULL, r->code == SONDE_OK);
    (void)snprintf(o->error, sizeof(o->error), "%s", r->error ? r->error : "");
    (void)snprintf(o->type, sizeof(o->type), "%.*s",
                   SONDE_ARG(r->content_type));
    (void)snprintf(o->encoding, sizeof(o->encoding), "%.*s",
                   SONDE_ARG(r->content_encoding));
    (void)snprintf(o->retry, sizeof(o->retry), "%.*s",
                   SONDE_ARG(r->retry_after));
    net_loop_stop(o->loop);
}

static struct http_request request_of(struct outcome *o, sonde_str url)
{
    return (struct http_request){ .url = url,
                                  .timeout_ms = 60000,
                                  .accept_gzip = true,
                                  .begin = on_begin,
                                  .data = on_data,
                                  .done = on_done,
                                  .arg = o };
}

static sonde_str url_of(struct arena *a, const struct peer *p, const char *path)
{
    return arena_printf(a, "http://127.0.0.1:%d%s", p->port, path);
}

static struct net_loop *loop_new(void)
{
    struct net_loop *loop = NULL;
    struct sonde_err err;

    if (net_loop_new(&loop, &err) != SONDE_OK) {
        tap_note("%s", err.text);
        abort();
    }
    return loop;
}

/* Alone on a loop, until its end. */
static void run_alone(const struct http_client_config *config,
                      struct http_request *r)
{
    struct outcome *o = r->arg;
    struct net_loop *loop = loop_new();
    struct http_client *c = http_client_new(loop, config);

    o->loop = loop;
    http_client_start(c, r);
    CU_ASSERT_EQUAL(o->dones, 0);
    CU_ASSERT_TRUE(http_client_busy(c));
    net_loop_run(loop);
    CU_ASSERT_EQUAL(o->dones, 1);
    CU_ASSERT_FALSE(http_client_busy(c));
    http_client_free(c);
    net_loop_free(loop);
}

struct answer_row {
    int line;
    const char *path;
    sonde_code code;
    int status;
    const char *body;  /* NULL: not looked at                              */
    const char *error; /* part of the sentence                             */
    uint64_t limit;
    sonde_msec timeout_ms;
};

static const struct answer_row good_rows[] = {
    { __LINE__, "/ok", SONDE_OK, 200, "hello" },
    { __LINE__, "/ok#part", SONDE_OK, 200, "hello" },
    { __LINE__, "/ok", SONDE_OK, 200, "hello", NULL, 6 },
    { __LINE__, "/no-content", SONDE_OK, 204, "" },
    { __LINE__, "/no-content-gzip", SONDE_OK, 204, "" },
    { __LINE__, "/chunked", SONDE_OK, 200, "hello" },
    { __LINE__, "/until-close", SONDE_OK, 200, "hello" },
    { __LINE__, "/old", SONDE_OK, 200, "hello" },
    { __LINE__, "/continue", SONDE_OK, 200, "hello" },
    { __LINE__, "/error", SONDE_OK, 500, "" },
    { __LINE__, "/endless-error", SONDE_OK, 500, "" },
    { __LINE__, "/gzip", SONDE_OK, 200, "hello", NULL, 6 },
    { __LINE__, "/gzip-twice", SONDE_OK, 200, "hellohello" },
    { __LINE__, "/gzip-upper", SONDE_OK, 200, NULL },
    { __LINE__, "/deflate", SONDE_OK, 200, "hello" },
    { __LINE__, "/some-headers", SONDE_OK, 200, "" },
    { __LINE__, "/no-location", SONDE_OK, 302, "" },
    { __LINE__, "/to/301//ok", SONDE_OK, 200, "hello" },
    { __LINE__, "/to/308//to/307//ok", SONDE_OK, 200, "hello" },
    { __LINE__, "/to/303/ok", SONDE_OK, 404, "" },
};

static const struct answer_row bad_rows[] = {
    { __LINE__, "/short", SONDE_EPROTO, 200, "hello", "unexpected EOF" },
    { __LINE__, "/short-chunked", SONDE_EPROTO, 200, "hello",
      "unexpected EOF" },
    { __LINE__, "/gzip-cut", SONDE_EPROTO, 200, NULL, "unexpected EOF" },
    { __LINE__, "/empty-gzip", SONDE_EPROTO, 200, "", "unexpected EOF" },
    { __LINE__, "/not-gzip", SONDE_EPARSE, 200, "", "gzip: " },
    { __LINE__, "/bad-length", SONDE_EPROTO, 0, "", "Content-Length" },
    { __LINE__, "/garbage", SONDE_EPROTO, 0, "", "malformed HTTP answer" },
    { __LINE__, "/nothing", SONDE_EPROTO, 0, "", "without an answer" },
    { __LINE__, "/half-head", SONDE_EPROTO, 0, "", "headers are cut off" },
    { __LINE__, "/many-headers", SONDE_ELIMIT, 0, "", "headers" },
    { __LINE__, "/endless", SONDE_ELIMIT, 200, NULL, "body size limit exceeded",
      100000 },
    { __LINE__, "/bomb", SONDE_ELIMIT, 200, NULL, "body size limit exceeded",
      1000000 },
    { __LINE__, "/ok", SONDE_ELIMIT, 200, "", "body size limit exceeded", 5 },
    { __LINE__, "/gzip", SONDE_ELIMIT, 200, "", "body size limit exceeded", 5 },
    { __LINE__, "/hang", SONDE_ETIMEOUT, 0, "", "awaiting headers", 0, 50 },
    { __LINE__, "/drip", SONDE_ETIMEOUT, 200, NULL, "reading the body", 0, 50 },
    { __LINE__, "/again", SONDE_ELIMIT, 302, "", "stopped after 10 redirects" },
    { __LINE__, "/to/301/ftp://127.0.0.1/x", SONDE_EUNSUPPORTED, 301, "",
      "expected scheme http or https" },
    { __LINE__, "/to/301/http://[bad", SONDE_EINVAL, 301, "", "bad URL" },
};

/* True unless a deadline came before what the row is about, as may happen on
 * a busy machine. */
static bool try_answer(const struct peer *p, const struct answer_row *row,
                       sonde_msec timeout_ms)
{
    struct outcome o = { 0 };
    struct http_request r;
    struct arena a;
    bool early;

    arena_init(&a);
    r = request_of(&o, url_of(&a, p, row->path));
    r.body_limit_bytes = row->limit;
    r.timeout_ms = timeout_ms;
    run_alone(NULL, &r);
    early =
        row->timeout_ms && timeout_ms < 60000 && !strstr(o.error, row->error);
    if (!early) {
        ROW_ASSERT(row, o.code == row->code);
        ROW_ASSERT(row, o.status == row->status);
        ROW_ASSERT(row, !row->error || strstr(o.error, row->error));
        ROW_ASSERT(row, !row->body || str_eq_cstr(buf_str(&o.body), row->body));
        ROW_ASSERT(row, !row->limit || o.body.len < row->limit);
        if (o.code != row->code)
            tap_note("%d: code %d status %d: %s", row->line, o.code, o.status,
                     o.error);
    }
    buf_fini(&o.body);
    arena_fini(&a);
    return !early;
}

static void check_answer(const struct peer *p, const struct answer_row *row)
{
    sonde_msec timeout_ms = row->timeout_ms ? row->timeout_ms : 60000;

    while (!try_answer(p, row, timeout_ms))
        timeout_ms *= 4;
}

static void test_good_answers(void)
{
    struct peer p;

    peer_start(&p, answer, NULL);
    for (size_t i = 0; i < sizeof(good_rows) / sizeof(good_rows[0]); i++)
        check_answer(&p, &good_rows[i]);
    peer_stop(&p);
}

static void test_bad_answers(void)
{
    struct peer p;

    peer_start(&p, answer, NULL);
    for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++)
        check_answer(&p, &bad_rows[i]);
    peer_stop(&p);
}

/* ---- what can not even be sent ------------------------------------------ */

static const struct {
    int line;
    const char *url;
    sonde_code code;
    const char *error;
} url_rows[] = {
    { __LINE__, "ftp://127.0.0.1/x", SONDE_EUNSUPPORTED,
      "expected scheme http or https, got \"ftp\"" },
    { __LINE__, "file:///etc/passwd", SONDE_EUNSUPPORTED, "file" },
    { __LINE__, "http://", SONDE_EINVAL, "bad URL" },
    { __LINE__, "", SONDE_EINVAL, "bad URL" },
    { __LINE__, "http://u:geheim@h:99999/", SONDE_EINVAL, "u:xxxxx@h:99999" },
    { __LINE__, "ftp://u:geheim@h/", SONDE_EUNSUPPORTED, "u:xxxxx@h" },
    { __LINE__, "http://name.invalid/", SONDE_ECONNECT,
      "GET http://name.invalid/: lookup name.invalid: no such host" },
};

static void test_bad_urls(void)
{
    for (size_t i = 0; i < sizeof(url_rows) / sizeof(url_rows[0]); i++) {
        struct outcome o = { 0 };
        struct http_request r = request_of(&o, sonde_cstr(url_rows[i].url));

        run_alone(NULL, &r);
        ROW_ASSERT(&url_rows[i], o.code == url_rows[i].code);
        ROW_ASSERT(&url_rows[i], strstr(o.error, url_rows[i].error));
        ROW_ASSERT(&url_rows[i], !strstr(o.error, "geheim"));
        buf_fini(&o.body);
    }
}

static void test_refused(void)
{
    struct outcome o = { 0 };
    struct http_request r;
    struct arena a;
    char want[200];
    int port = peer_free_port();

    arena_init(&a);
    r = request_of(
        &o, arena_printf(&a, "http://u:geheim@127.0.0.1:%d/metrics", port));
    run_alone(NULL, &r);
    (void)snprintf(want, sizeof(want),
                   "GET http://u:xxxxx@127.0.0.1:%d/metrics: "
                   "connection refused",
                   port);
    CU_ASSERT_EQUAL(o.code, SONDE_ECONNECT);
    CU_ASSERT_STRING_EQUAL(o.error, want);
    arena_fini(&a);
}

static void test_bad_header(void)
{
    static const char *const values[] = { "a\r\nX: b", "a\nb", "a\rb" };
    struct peer p;
    struct arena a;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct outcome o = { 0 };
        struct http_request r = request_of(&o, url_of(&a, &p, "/ok"));
        struct http_header h = { "X-One", sonde_cstr(values[i]) };

        r.headers = &h;
        r.header_count = 1;
        run_alone(NULL, &r);
        CU_ASSERT_EQUAL(o.code, SONDE_EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(o.error, "header X-One"));
    }
    CU_ASSERT_EQUAL(peer_connections(&p), 0);
    peer_stop(&p);
    arena_fini(&a);
}

/* ---- results ----------------------------------------------------------- */

static void test_result_fields(void)
{
    struct outcome o = { 0 };
    struct http_request r;
    struct arena a;
    struct peer p;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    r = request_of(&o, url_of(&a, &p, "/error"));
    r.error_body = true;
    run_alone(NULL, &r);
    CU_ASSERT_STRING_EQUAL(o.retry, "7");
    CU_ASSERT_TRUE(str_eq_cstr(buf_str(&o.body), "sick"));
    CU_ASSERT_EQUAL(o.begun, 1);
    buf_fini(&o.body);

    o = (struct outcome){ 0 };
    r = request_of(&o, url_of(&a, &p, "/continue"));
    run_alone(NULL, &r);
    CU_ASSERT_STRING_EQUAL(o.type, "text/plain");
    CU_ASSERT_EQUAL(o.begun, 1);
    buf_fini(&o.body);

    o = (struct outcome){ 0 };
    r = request_of(&o, url_of(&a, &p, "/gzip"));
    run_alone(NULL, &r);
    CU_ASSERT_STRING_EQUAL(o.encoding, "gzip");
    CU_ASSERT_EQUAL(o.bytes, 5);
    CU_ASSERT_TRUE(o.wire > 5);
    buf_fini(&o.body);

    /* A bomb is cut off long before all of it has been sent. */
    o = (struct outcome){ 0 };
    r = request_of(&o, url_of(&a, &p, "/bomb"));
    r.body_limit_bytes = 100000;
    run_alone(NULL, &r);
    CU_ASSERT_TRUE(o.bytes < 200000);
    CU_ASSERT_STRING_EQUAL(o.error, "body size limit exceeded");
    buf_fini(&o.body);
    peer_stop(&p);
    arena_fini(&a);
}

static void test_refusing_reader(void)
{
    struct arena a;
    struct peer p;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    for (int i = 0; i < 3; i++) {
        struct outcome o = { .refuse_begin = i == 0, .refuse_data = i > 0 };
        struct http_request r =
            request_of(&o, url_of(&a, &p, i == 2 ? "/gzip" : "/ok"));

        run_alone(NULL, &r);
        CU_ASSERT_EQUAL(o.code, SONDE_ECANCELED);
        CU_ASSERT_EQUAL(o.begun, 1);
        CU_ASSERT_EQUAL(o.body.len, i ? 5 : 0);
        buf_fini(&o.body);
    }
    peer_stop(&p);
    arena_fini(&a);
}

static void test_methods(void)
{
    static const struct {
        int line;
        const char *method, *path, *body, *want;
    } rows[] = {
        { __LINE__, "", "/echo", "", "GET /echo body=\n" },
        { __LINE__, "", "/echo", "abc", "POST /echo body=abc\n" },
        { __LINE__, "POST", "/echo", "", "POST /echo body=\n" },
        { __LINE__, "PUT", "/echo", "abc", "PUT /echo body=abc\n" },
        { __LINE__, "DELETE", "/echo", "", "DELETE /echo body=\n" },
        { __LINE__, "", "/to/301//echo", "abc", "GET /echo body=\n" },
        { __LINE__, "", "/to/303//echo", "abc", "GET /echo body=\n" },
        { __LINE__, "PUT", "/to/301//echo", "abc", "PUT /echo body=abc\n" },
        { __LINE__, "", "/to/307//echo", "abc", "POST /echo body=abc\n" },
    };
    struct arena a;
    struct peer p;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome o = { 0 };
        struct http_request r = request_of(&o, url_of(&a, &p, rows[i].path));

        r.method = sonde_cstr(rows[i].method);
        r.body = sonde_cstr(rows[i].body);
        run_alone(NULL, &r);
        ROW_ASSERT(&rows[i], o.code == SONDE_OK);
        ROW_ASSERT(&rows[i],
                   str_starts(buf_str(&o.body), sonde_cstr(rows[i].want)));
        buf_fini(&o.body);
    }
    peer_stop(&p);
    arena_fini(&a);
}

/* ---- connections ------------------------------------------------------- */

/* Several requests of one client, one after the other. */
struct series {
    struct net_loop *loop;
    struct http_client *client;
    struct arena arena;
    struct peer *peer;
    const char *const *paths;
    size_t count, at, await_closed;
    sonde_code codes[16];
};

static void series_next(void *arg);

static void series_done(void *arg, const struct http_result *r)
{
    struct series *s = arg;

    s->codes[s->at++] = r->code;
    CU_ASSERT_FALSE(http_client_busy(s->client));
    if (s->at == s->count)
        net_loop_stop(s->loop);
    else
        series_next(s);
}

static void series_next(void *arg)
{
    struct series *s = arg;
    bool hang = !strcmp(s->paths[s->at], "/hang");
    struct http_request r = { .url =
                                  url_of(&s->arena, s->peer, s->paths[s->at]),
                              .timeout_ms = hang ? 100 : 60000,
                              .body_limit_bytes = 100000,
                              .done = series_done,
                              .arg = s };

    if (s->await_closed)
        peer_await_closed(s->peer, s->at);
    http_client_start(s->client, &r);
    CU_ASSERT_TRUE(http_client_busy(s->client));
}

/* How many connections it took. */
static size_t run_series(struct series *s, const char *const *paths,
                         size_t count)
{
    struct peer p;
    size_t connections;

    peer_start(&p, answer, NULL);
    arena_init(&s->arena);
    s->loop = loop_new();
    s->client = http_client_new(s->loop, NULL);
    s->peer = &p;
    s->paths = paths;
    s->count = count;
    net_loop_post(s->loop, series_next, s);
    net_loop_run(s->loop);
    CU_ASSERT_EQUAL(s->at, count);
    connections = peer_connections(&p);
    http_client_free(s->client);
    net_loop_free(s->loop);
    arena_fini(&s->arena);
    peer_stop(&p);
    return connections;
}

static void test_keep_alive(void)
{
    static const char *const paths[] = { "/ok",    "/gzip",    "/error",
                                         "/again", "/chunked", "/ok" };
    struct series s = { 0 };

    CU_ASSERT_EQUAL(run_series(&s, paths, 6), 1);
    CU_ASSERT_EQUAL(s.codes[0], SONDE_OK);
    CU_ASSERT_EQUAL(s.codes[2], SONDE_OK);
    CU_ASSERT_EQUAL(s.codes[5], SONDE_OK);
}

static void test_closed_between_requests(void)
{
    static const char *const paths[] = { "/close-after", "/close-after",
                                         "/close-after" };
    struct series s = { .await_closed = 1 };

    CU_ASSERT_EQUAL(run_series(&s, paths, 3), 3);
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(s.codes[i], SONDE_OK);
}

/* The connection dies only as the second request is on it. */
static void test_closed_under_request(void)
{
    static const char *const paths[] = { "/flaky", "/flaky", "/flaky" };
    struct series s = { 0 };

    CU_ASSERT_EQUAL(run_series(&s, paths, 3), 3);
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(s.codes[i], SONDE_OK);
}

static void test_reuse_after_errors(void)
{
    static const char *const paths[] = { "/hang",    "/ok", "/endless", "/ok",
                                         "/nothing", "/ok", "/ok" };
    struct series s = { 0 };

    CU_ASSERT_EQUAL(run_series(&s, paths, 7), 5);
    CU_ASSERT_EQUAL(s.codes[0], SONDE_ETIMEOUT);
    CU_ASSERT_EQUAL(s.codes[1], SONDE_OK);
    CU_ASSERT_EQUAL(s.codes[3], SONDE_OK);
    CU_ASSERT_EQUAL(s.codes[5], SONDE_OK);
    CU_ASSERT_EQUAL(s.codes[6], SONDE_OK);
}

/* ---- awkward moments ---------------------------------------------------- */

enum moment {
    IN_BEGIN,
    IN_DATA,
    IN_DONE,
    MOMENTS
};

/* A client that frees itself, frees a neighbour, or starts one. */
struct awkward {
    struct net_loop *loop;
    struct http_client *self, *neighbour, *newcomer;
    struct peer *peer;
    struct arena arena;
    enum moment moment;
    bool happened;
    int dones, newcomers;
};

static void newcomer_done(void *arg, const struct http_result *r)
{
    struct awkward *w = arg;

    CU_ASSERT_EQUAL(r->code, SONDE_OK);
    w->newcomers++;
    http_client_free(w->newcomer);
    w->newcomer = NULL;
    net_loop_stop(w->loop);
}

static void neighbour_done(void *arg, const struct http_result *r)
{
    (void)arg;
    (void)r;
    CU_FAIL("told of a request whose client is gone");
}

static void happen(struct awkward *w, enum moment now)
{
    struct http_request r = { .url = url_of(&w->arena, w->peer, "/ok"),
                              .done = newcomer_done,
                              .arg = w };

    if (w->happened || now != w->moment)
        return;
    w->happened = true;
    http_client_free(w->neighbour);
    http_client_free(w->self);
    w->newcomer = http_client_new(w->loop, NULL);
    http_client_start(w->newcomer, &r);
}

static bool awkward_begin(void *arg, int status, sonde_str type)
{
    (void)status;
    (void)type;
    happen(arg, IN_BEGIN);
    return true;
}

static bool awkward_data(void *arg, sonde_str piece)
{
    (void)piece;
    happen(arg, IN_DATA);
    return true;
}

static void awkward_done(void *arg, const struct http_result *r)
{
    struct awkward *w = arg;

    CU_ASSERT_EQUAL(r->code, SONDE_OK);
    w->dones++;
    happen(w, IN_DONE);
}

static void awkward_start(void *arg)
{
    struct awkward *w = arg;
    struct http_request r = { .url = url_of(&w->arena, w->peer, "/gzip"),
                              .begin = awkward_begin,
                              .data = awkward_data,
                              .done = awkward_done,
                              .accept_gzip = true,
                              .arg = w };
    struct http_request slow = { .url = url_of(&w->arena, w->peer, "/hang"),
                                 .done = neighbour_done };

    w->self = http_client_new(w->loop, NULL);
    w->neighbour = http_client_new(w->loop, NULL);
    http_client_start(w->neighbour, &slow);
    http_client_start(w->self, &r);
}

static void test_awkward_moments(void)
{
    for (int m = 0; m < MOMENTS; m++) {
        struct awkward w = { .moment = (enum moment)m };
        struct peer p;

        peer_start(&p, answer, NULL);
        arena_init(&w.arena);
        w.peer = &p;
        w.loop = loop_new();
        net_loop_post(w.loop, awkward_start, &w);
        net_loop_run(w.loop);
        CU_ASSERT_TRUE(w.happened);
        CU_ASSERT_EQUAL(w.dones, m == IN_DONE);
        CU_ASSERT_EQUAL(w.newcomers, 1);
        net_loop_free(w.loop);
        arena_fini(&w.arena);
        peer_stop(&p);
    }
}

/* Ends canceled, and what its end starts ends canceled too. */
struct stopped {
    struct net_loop *loop;
    struct http_client *client;
    struct http_request request;
    int dones;
};

static void stopped_done(void *arg, const struct http_result *r)
{
    struct stopped *s = arg;

    CU_ASSERT_EQUAL(r->code, SONDE_ECANCELED);
    CU_ASSERT_PTR_NOT_NULL(strstr(r->error, "the loop has stopped"));
    if (++s->dones < 3)
        http_client_start(s->client, &s->request);
}

static void *stop_from_outside(void *arg)
{
    net_loop_stop(arg);
    return NULL;
}

static void test_stop_cancels(void)
{
    struct stopped s = { 0 };
    struct peer p;
    struct arena a;
    pthread_t thread;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    s.loop = loop_new();
    s.client = http_client_new(s.loop, NULL);
    s.request = (struct http_request){ .url = url_of(&a, &p, "/hang"),
                                       .done = stopped_done,
                                       .arg = &s };
    http_client_start(s.client, &s.request);
    CU_ASSERT_EQUAL(pthread_create(&thread, NULL, stop_from_outside, s.loop),
                    0);
    net_loop_run(s.loop);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(s.dones, 3);
    http_client_free(s.client);
    net_loop_free(s.loop);
    peer_stop(&p);
    arena_fini(&a);
}

struct crowd {
    struct net_loop *loop;
    int left;
};

static void crowd_done(void *arg, const struct http_result *r)
{
    struct crowd *c = arg;

    CU_ASSERT_EQUAL(r->code, SONDE_OK);
    c->left--;
    if (c->left <= 0)
        net_loop_stop(c->loop);
}

static void test_crowd(void)
{
    enum {
        N = 300
    };
    struct http_client *clients[N];
    struct crowd crowd = { .left = N };
    struct peer p;
    struct arena a;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    crowd.loop = loop_new();
    for (int i = 0; i < N; i++) {
        struct http_request r = { .url = url_of(&a, &p, "/chunked"),
                                  .done = crowd_done,
                                  .arg = &crowd };

        clients[i] = http_client_new(crowd.loop, NULL);
        http_client_start(clients[i], &r);
    }
    net_loop_run(crowd.loop);
    CU_ASSERT_EQUAL(crowd.left, 0);
    for (int i = 0; i < N; i++)
        http_client_free(clients[i]);
    net_loop_free(crowd.loop);
    peer_stop(&p);
    arena_fini(&a);
}

/* ---- a name server that does not answer --------------------------------- */

static sem_t resolver_may_go;
static sem_t resolver_gone;

/* Stands before libc's for the whole program. */
SONDE_EXPORT int getaddrinfo(const char *restrict node,
                             const char *restrict service,
                             const struct addrinfo *restrict hints,
                             struct addrinfo **restrict res)
{
    typedef int lookup_fn(const char *, const char *, const struct addrinfo *,
                          struct addrinfo **);
    lookup_fn *next = (lookup_fn *)(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");

    if (node && !strcmp(node, "slow.test")) {
        (void)sem_wait(&resolver_may_go);
        (void)sem_post(&resolver_gone);
        return EAI_AGAIN;
    }
    return next(node, service, hints, res);
}

static void test_slow_lookup(void)
{
    struct outcome o = { 0 };
    struct http_request r =
        request_of(&o, SONDE_STR("http://slow.test/metrics"));

    (void)sem_init(&resolver_may_go, 0, 0);
    (void)sem_init(&resolver_gone, 0, 0);
    r.timeout_ms = 50;
    /* Would never return if the loop waited for the lookup. */
    run_alone(NULL, &r);
    CU_ASSERT_EQUAL(o.code, SONDE_ETIMEOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(o.error, "looking up the host"));
    (void)sem_post(&resolver_may_go);
    (void)sem_wait(&resolver_gone);
}

/* ---- credentials ------------------------------------------------------- */

static void body_has(int line, const struct http_client_config *config,
                     const struct http_request *request, const char *want)
{
    struct buf body;
    struct sonde_err err = { 0 };
    int status = 0;

    buf_init(&body);
    CU_ASSERT_EQUAL(http_fetch(config, request, &body, &status, &err),
                    SONDE_OK);
    buf_char(&body, '\0');
    if (!strstr(body.data, want))
        tap_note("line %d: no \"%s\" in %s %s", line, want, body.data,
                 err.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(body.data, want));
    buf_fini(&body);
}

static void test_basic_auth(void)
{
    struct basic_auth auth = { .username = SONDE_STR("al:i"),
                               .password = SONDE_STR("s3") };
    struct http_client_config config = { .basic_auth = &auth };
    struct http_request r = { .accept_gzip = true };
    struct sonde_err err;
    struct arena a;
    struct peer p;
    char *file;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    r.url = url_of(&a, &p, "/echo");
    body_has(__LINE__, &config, &r, "Authorization=Basic YWw6aTpzMw==\n");
    body_has(__LINE__, &config, &r, "Accept-Encoding=gzip\n");
    r.accept_gzip = false;
    body_has(__LINE__, &config, &r, "Accept-Encoding=identity\n");
    body_has(__LINE__, NULL, &r, "User-Agent=sonde/");

    /* Files are read for each request. */
    file = fs_join(&a, sonde_cstr(tap_tmpdir()), SONDE_STR("password"));
    auth = (struct basic_auth){ .username = SONDE_STR("u"),
                                .password_file = sonde_cstr(file) };
    CU_ASSERT_EQUAL(http_fetch(&config, &r, NULL, NULL, &err), SONDE_ENOTFOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, file));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "GET http://127.0.0.1"));
    CU_ASSERT_EQUAL(fs_write_atomic(file, SONDE_STR(" one\n"), 0600, &err), 0);
    body_has(__LINE__, &config, &r, "Authorization=Basic dTpvbmU=\n");
    CU_ASSERT_EQUAL(fs_write_atomic(file, SONDE_STR("two"), 0600, &err), 0);
    body_has(__LINE__, &config, &r, "Authorization=Basic dTp0d28=\n");
    peer_stop(&p);
    arena_fini(&a);
}

static void test_authorization(void)
{
    struct authorization auth = { .type = SONDE_STR("Token"),
                                  .credentials = SONDE_STR("abc") };
    struct http_client_config config = { .authorization = &auth };
    struct http_header own = { "Authorization", SONDE_STR("Mine x") };
    struct http_request r = { 0 };
    struct arena a;
    struct peer p;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    r.url = url_of(&a, &p, "/echo");
    body_has(__LINE__, &config, &r, "Authorization=Token abc\n");
    auth.type = (sonde_str){ 0 };
    body_has(__LINE__, &config, &r, "Authorization=Bearer abc\n");
    config = (struct http_client_config){ .bearer_token = SONDE_STR("old") };
    body_has(__LINE__, &config, &r, "Authorization=Bearer old\n");
    r.headers = &own;
    r.header_count = 1;
    body_has(__LINE__, &config, &r, "Authorization=Mine x\n");
    peer_stop(&p);
    arena_fini(&a);
}

/* Secrets follow a redirect within the host and stay behind otherwise. */
static void test_redirected_secrets(void)
{
    struct authorization auth = { .credentials = SONDE_STR("abc") };
    sonde_str key = SONDE_STR("k1");
    struct config_pair pair = { .key = SONDE_STR("X-Key"),
                                .values = { &key, 1 } };
    struct http_client_config config = {
        .authorization = &auth,
        .follow_redirects = true,
        .http_headers_plain = { &pair, 1 },
    };
    struct http_header headers[] = { { "Cookie", SONDE_STR("c=1") },
                                     { "X-One", SONDE_STR("1") } };
    struct http_request r = { .headers = headers, .header_count = 2 };
    struct arena a;
    struct peer p, other;
    sonde_str away;

    arena_init(&a);
    peer_start(&p, answer, NULL);
    peer_start(&other, answer, NULL);
    r.url = url_of(&a, &p, "/to/302//echo");
    body_has(__LINE__, &config, &r,
             "Authorization=Bearer abc\nCookie=c=1\nX-Key=k1\nX-One=1\n");
    away = arena_printf(&a, "/to/302/http://127.0.0.1:%d/echo", other.port);
    r.url = url_of(&a, &p, away.ptr);
    body_has(__LINE__, &config, &r,
             "Authorization=\nCookie=\nX-Key=\nX-One=1\n");
    config.follow_redirects = false;
    {
        int status = 0;
        struct sonde_err err;

        CU_ASSERT_EQUAL(http_fetch(&config, &r, NULL, &status, &err), SONDE_OK);
        CU_ASSERT_EQUAL(status, 302);
    }
    peer_stop(&other);
    peer_stop(&p);
    arena_fini(&a);
}

static void test_proxy(void)
{
    struct http_client_config config = { .follow_redirects = true };
    struct http_request r = { .url = SONDE_STR("http://far.invalid/echo") };
    struct arena a;
    struct peer p;

    arena_init(&a);
    peer_start(&p, send_echo, NULL);
    config.proxy_url = url_of(&a, &p, "");
    body_has(__LINE__, &config, &r, "GET http://far.invalid/echo body=\n");
    /* Reached without the proxy. */
    config.no_proxy = SONDE_STR("x.invalid");
    body_has(__LINE__, &config, &r, "GET http://far.invalid/echo body=\n");
    r.url = url_of(&a, &p, "/echo");
    body_has(__LINE__, &config, &r, "GET /echo body=\n");

    config = (struct http_client_config){ .proxy_from_environment = true };
    (void)setenv("HTTP_PROXY", url_of(&a, &p, "").ptr, 1);
    body_has(__LINE__, &config, &r, "GET /echo body=\n");
    r.url = SONDE_STR("http://far.invalid/echo");
    body_has(__LINE__, &config, &r, "GET http://far.invalid/echo body=\n");
    /* Not unless asked for. */
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    r.url = url_of(&a, &p, "/echo");
    body_has(__LINE__, NULL, &r, "GET /echo body=\n");
    (void)unsetenv("HTTP_PROXY");
    (void)unsetenv("http_proxy");
    peer_stop(&p);
    arena_fini(&a);
}

/* ---- unix sockets ------------------------------------------------------- */

static bool say_where(struct peer_request *r)
{
    struct buf b;
    char to[256];
    bool ok;

    if (sscanf(r->path, "/to/%255s", to) == 1)
        return send_redirect(r, 302, to);
    buf_init(&b);
    buf_printf(&b, "%s %s at %.*s", (const char *)r->peer->arg, r->path,
               SONDE_ARG(peer_header(r, "Host")));
    ok = peer_ok(r, buf_str(&b));
    buf_fini(&b);
    return ok;
}

static sonde_str socket_path(struct arena *a, const char *name)
{
    return arena_printf(a, "%.90s/%s", tap_tmpdir(), name);
}

/* The socket is asked, whatever the proxy; a redirect within the host stays
 * there, one elsewhere leaves it. */
static void test_unix(void)
{
    struct http_client_config config = {
        .follow_redirects = true,
        .proxy_url = SONDE_STR("http://127.0.0.1:1"),
    };
    struct http_request r = { .url = SONDE_STR("http://localhost/m") };
    struct sonde_err err = { 0 };
    struct buf body;
    struct arena a;
    struct peer local, far;
    char here[] = "local", there[] = "far";
    int status;

    arena_init(&a);
    buf_init(&body);
    r.unix_socket = socket_path(&a, "one.sock");
    peer_start_unix(&local, r.unix_socket.ptr, say_where, here);
    peer_start(&far, say_where, there);
    body_has(__LINE__, &config, &r, "local /m at localhost");
    config.proxy_url = (sonde_str){ 0 };
    r.url = SONDE_STR("http://localhost/to//next");
    body_has(__LINE__, &config, &r, "local /next at localhost");
    r.url = arena_printf(&a, "http://localhost/to/%.*s",
                         SONDE_ARG(url_of(&a, &far, "/there")));
    body_has(__LINE__, &config, &r, "far /there at 127.0.0.1:");

    r.url = SONDE_STR("http://localhost/m");
    r.unix_socket = socket_path(&a, "none.sock");
    CU_ASSERT_EQUAL(http_fetch(&config, &r, &body, &status, &err),
                    SONDE_ECONNECT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "GET http://localhost/m over "
                                            "unix:/"));
    r.unix_socket = arena_printf(&a, "/%0200d", 0);
    CU_ASSERT_EQUAL(http_fetch(&config, &r, &body, &status, &err),
                    SONDE_EINVAL);
    peer_stop(&far);
    peer_stop(&local);
    buf_fini(&body);
    arena_fini(&a);
}

/* ---- timers and posts --------------------------------------------------- */

struct ticks {
    struct net_loop *loop;
    struct net_timer timers[200];
    sonde_msec last;
    int fired, expected;
};

struct tick {
    struct ticks *all;
    struct net_timer *timer;
};

static void on_tick(void *arg)
{
    struct tick *tick = arg;
    struct ticks *all = tick->all;

    CU_ASSERT_TRUE(tick->timer->when_ms >= all->last);
    CU_ASSERT_EQUAL(tick->timer->slot, 0);
    CU_ASSERT_TRUE(tick->timer->when_ms <= clock_monotonic(&clock_system));
    all->last = tick->timer->when_ms;
    if (++all->fired == all->expected)
        net_loop_stop(all->loop);
}

/* Armed, moved and cleared at random, they fire in order. */
static void test_timers(void)
{
    struct ticks all = { .loop = loop_new() };
    struct tick ticks[200];
    sonde_msec now = clock_monotonic(&clock_system);
    unsigned seed = 7;

    for (int i = 0; i < 2000; i++) {
        unsigned k = (seed = seed * 1103515245u + 12345u) >> 16;
        struct net_timer *t = &all.timers[k % 200];

        ticks[k % 200] = (struct tick){ &all, t };
        if (k % 7 == 0)
            net_timer_clear(all.loop, t);
        else
            net_timer_set(all.loop, t, now + k % 50, on_tick, &ticks[k % 200]);
    }
    for (int i = 0; i < 200; i++)
        all.expected += all.timers[i].slot != 0;
    CU_ASSERT_TRUE(all.expected > 50);
    net_loop_run(all.loop);
    CU_ASSERT_EQUAL(all.fired, all.expected);
    net_loop_free(all.loop);
}

/* One that is always due does not keep the loop from its posts. */
struct greedy {
    struct net_loop *loop;
    struct net_timer timer;
    int rounds;
};

static void on_greedy(void *arg)
{
    struct greedy *g = arg;

    if (g->rounds++ == 3)
        net_loop_stop(g->loop);
    net_timer_set(g->loop, &g->timer, 0, on_greedy, g);
}

static void test_greedy_timer(void)
{
    struct greedy g = { .loop = loop_new() };

    net_timer_set(g.loop, &g.timer, 0, on_greedy, &g);
    net_loop_run(g.loop);
    CU_ASSERT_EQUAL(g.rounds, 4);
    net_loop_free(g.loop);
}

enum {
    POSTERS = 4,
    POSTS = 2000
};

struct poster {
    struct posts *all;
    int next; /* of the loop's thread */
};
struct posts {
    struct net_loop *loop;
    struct poster posters[POSTERS];
    int left;
};
struct post {
    struct poster *poster;
    int number;
};

static void on_post(void *arg)
{
    struct post *post = arg;

    CU_ASSERT_EQUAL(post->number, post->poster->next);
    post->poster->next++;
    if (--post->poster->all->left == 0)
        net_loop_stop(post->poster->all->loop);
    free(post);
}

static void *post_many(void *arg)
{
    struct poster *me = arg;

    for (int i = 0; i < POSTS; i++) {
        struct post *post = mem_new(struct post);

        *post = (struct post){ me, i };
        net_loop_post(me->all->loop, on_post, post);
    }
    return NULL;
}

static void test_posts(void)
{
    struct posts all = { .loop = loop_new(), .left = POSTERS * POSTS };
    pthread_t threads[POSTERS];

    for (int i = 0; i < POSTERS; i++) {
        all.posters[i].all = &all;
        CU_ASSERT_EQUAL(
            pthread_create(&threads[i], NULL, post_many, &all.posters[i]), 0);
    }
    net_loop_run(all.loop);
    for (int i = 0; i < POSTERS; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(all.left, 0);
    net_loop_free(all.loop);
}

static const struct tap_test tests[] = {
    { "good answers", test_good_answers },
    { "bad answers", test_bad_answers },
    { "bad URLs are refused, passwords masked", test_bad_urls },
    { "a refused connection is said so", test_refused },
    { "a header with a line break is refused", test_bad_header },
    { "the result tells the answer's fields", test_result_fields },
    { "a reader may refuse", test_refusing_reader },
    { "methods, bodies, redirects of them", test_methods },
    { "one connection serves many requests", test_keep_alive },
    { "a connection closed between requests", test_closed_between_requests },
    { "a connection closed under a request", test_closed_under_request },
    { "errors do not spoil later requests", test_reuse_after_errors },
    { "clients freed and made in callbacks", test_awkward_moments },
    { "a stopped loop cancels", test_stop_cancels },
    { "three hundred at once", test_crowd },
    { "a slow name server does not stop the loop", test_slow_lookup },
    { "basic auth, files read anew", test_basic_auth },
    { "authorization and bearer tokens", test_authorization },
    { "secrets stay with their host", test_redirected_secrets },
    { "unix sockets", test_unix },
    { "proxies", test_proxy },
    { "timers fire in order", test_timers },
    { "a greedy timer", test_greedy_timer },
    { "posts of several threads", test_posts },
};

int main(void)
{
    return TAP_RUN("net client", tests);
}
