/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers. A handler's answer is kept in the call until it is back on the
 * listener's thread, which hands it to libmicrohttpd; what is too long for
 * that is a stream (server_stream.c). Compression happens here, on the
 * handler's thread.
 */
#include <stdlib.h>
#include <strings.h>

#include "net/server_int.h"
#include "util/mem.h"
#include "util/str.h"

/* Below this a header line more costs what compression gains. */
#define COMPRESS_MIN_BYTES 512

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

enum coding server_reply_coding(struct http_call *c)
{
    if (!c->route || !c->route->compress)
        return CODING_PLAIN;
    http_call_set_header(c, "Vary", SONDE_STR("Accept-Encoding"));
    return coding_choose(http_call_header(c, "Accept-Encoding"));
}

/* For want of memory the answer goes out plain. */
static void compress_answer(struct http_call *c, struct buf *body)
{
    enum coding coding = server_reply_coding(c);
    struct packer *p = NULL;
    struct buf packed;

    if (body->len >= COMPRESS_MIN_BYTES)
        p = packer_new(coding);
    if (!p)
        return;
    buf_init(&packed);
    if (packer_put(p, buf_str(body), true, &packed)) {
        struct buf plain = *body;

        http_call_set_header(c, "Content-Encoding",
                             sonde_cstr(coding_name(coding)));
        *body = packed;
        packed = plain;
    }
    packer_free(p);
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
    c->sent_bytes = body->len;
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

uint64_t http_call_sent_bytes(const struct http_call *c)
{
    return c->sent_bytes;
}

void server_reply_error(struct http_call *c, int status, const char *text)
{
    http_call_set_header(c, "X-Content-Type-Options", SONDE_STR("nosniff"));
    http_reply(c, status, "text/plain; charset=utf-8", sonde_cstr(text));
}

/* Whether the web config file says what this header is. */
static bool is_configured(const struct http_call *c, const char *name)
{
    for (size_t i = 0; c->web && i < c->web->header_count; i++)
        if (strcasecmp(c->web->headers[i].name, name) == 0)
            return true;
    return false;
}

static void add_headers(const struct http_call *c, struct MHD_Response *r)
{
    for (const struct reply_header *h = c->headers; h; h = h->next)
        if (!is_configured(c, h->name))
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
    struct MHD_Response *r =
        c->stream ? server_stream_response(c)
                  : MHD_create_response_from_buffer(c->answer_len, c->answer,
                                                    MHD_RESPMEM_MUST_FREE);
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
