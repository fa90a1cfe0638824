/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers. A handler's answer is kept in the call until it is back on the
 * listener's thread, which hands it to libmicrohttpd. Compression happens
 * here, on the handler's thread, and with the fastest level: an answer is
 * compressed once and sent over a fast network, so the time counts more than
 * the last tenth of the size.
 *
 * Accept-Encoding is read by the standard's rules, quality values included
 * (Prometheus does not know these and answers plain then).
 */
#include <stdlib.h>
#include <zlib.h>

#include "net/server_int.h"
#include "util/mem.h"
#include "util/str.h"

/* Below this a header line more costs what compression gains. */
#define COMPRESS_MIN_BYTES 512
#define GZIP_WINDOW_BITS   (15 + 16)
#define GZIP_MEM_LEVEL     8

void http_call_set_header(struct http_call *c, const char *name,
                          sonde_str value)
{
    struct reply_header *h = arena_new(&c->arena, struct reply_header);
    struct reply_header **at = &c->headers;

    h->name = name;
    h->value = arena_cstr(&c->arena, value);
    while (*at)
        at = &(*at)->next;
    *at = h;
}

/* "gzip", "gzip;q=0.5", "*"; a quality of 0 is a no. */
static bool coding_accepts_gzip(sonde_str item)
{
    size_t semi = str_index(item, ';');
    sonde_str name = str_trim(str_sub(item, 0, semi));
    sonde_str q = str_trim(str_sub(item, semi + 1, item.len));

    if (!str_eq_nocase(name, SONDE_STR("gzip")) &&
        !str_eq_nocase(name, SONDE_STR("x-gzip")) && !str_eq_cstr(name, "*"))
        return false;
    if (!str_starts(q, SONDE_STR("q=")))
        return true;
    for (size_t i = 2; i < q.len; i++)
        if (q.ptr[i] >= '1' && q.ptr[i] <= '9')
            return true;
    return false;
}

static bool accepts_gzip(const struct http_call *c)
{
    sonde_str rest = http_call_header(c, "Accept-Encoding");
    sonde_str item;

    while (str_split(&rest, ',', &item))
        if (coding_accepts_gzip(item))
            return true;
    return false;
}

/* Fails only for want of memory; the answer goes out plain then. */
static bool gzip(sonde_str in, struct buf *out)
{
    z_stream z = { 0 };
    char *p;
    size_t bound;
    int rc;

    if (in.len > UINT32_MAX / 2 ||
        deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS,
                     GZIP_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    bound = deflateBound(&z, in.len);
    p = buf_reserve(out, bound);
    z.next_in = (Bytef *)in.ptr;
    z.avail_in = (uInt)in.len;
    z.next_out = (Bytef *)p;
    z.avail_out = (uInt)bound;
    rc = deflate(&z, Z_FINISH);
    buf_added(out, z.total_out);
    (void)deflateEnd(&z);
    return rc == Z_STREAM_END;
}

static void compress_answer(struct http_call *c, struct buf *body)
{
    struct buf packed;

    if (!c->route || !c->route->compress)
        return;
    http_call_set_header(c, "Vary", SONDE_STR("Accept-Encoding"));
    if (body->len < COMPRESS_MIN_BYTES || !accepts_gzip(c))
        return;
    buf_init(&packed);
    if (gzip(buf_str(body), &packed)) {
        struct buf plain = *body;

        http_call_set_header(c, "Content-Encoding", SONDE_STR("gzip"));
        *body = packed;
        packed = plain;
    }
    buf_fini(&packed);
}

void http_reply_take(struct http_call *c, int status, const char *content_type,
                     struct buf *body)
{
    if (c->replied)
        SONDE_BUG("second reply to one call of %s", c->target);
    c->replied = true;
    if (buf_failed(body)) {
        buf_fini(body);
        buf_init(body);
        status = 500;
        content_type = "text/plain; charset=utf-8";
        buf_cstr(body, "The answer is too large.\n");
    }
    compress_answer(c, body);
    c->status = status;
    c->content_type = content_type;
    c->answer_len = body->len;
    c->answer = buf_take(body);
}

void http_reply(struct http_call *c, int status, const char *content_type,
                sonde_str body)
{
    struct buf b;

    buf_init(&b);
    buf_put(&b, body);
    http_reply_take(c, status, content_type, &b);
}

int http_call_status(const struct http_call *c)
{
    return c->status;
}

void server_reply_error(struct http_call *c, int status, const char *text)
{
    http_call_set_header(c, "X-Content-Type-Options", SONDE_STR("nosniff"));
    http_reply(c, status, "text/plain; charset=utf-8", sonde_cstr(text));
}

static void add_headers(const struct http_call *c, struct MHD_Response *r)
{
    for (const struct reply_header *h = c->headers; h; h = h->next)
        (void)MHD_add_response_header(r, h->name, h->value);
    if (c->content_type && c->content_type[0])
        (void)MHD_add_response_header(r, "Content-Type", c->content_type);
    for (size_t i = 0; c->web && i < c->web->header_count; i++)
        (void)MHD_add_response_header(r, c->web->headers[i].name,
                                      c->web->headers[i].value.ptr);
    if (atomic_load(&c->server->stopping))
        (void)MHD_add_response_header(r, "Connection", "close");
}

enum MHD_Result server_reply_send(struct http_call *c)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        c->answer_len, c->answer, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result rc;

    if (!r)
        return MHD_NO;
    c->answer = NULL;
    c->stage = CALL_REPLIED;
    add_headers(c, r);
    rc = MHD_queue_response(c->mhd, (unsigned)c->status, r);
    MHD_destroy_response(r);
    atomic_fetch_add(&c->server->requests, 1);
    server_conn_deadline_set(c->conn);
    return rc;
}
