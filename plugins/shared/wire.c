/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESP over the host's byte streams: hiredis reads the replies, the host owns
 * the socket, TLS and the deadlines.
 *
 * hiredis' own sockets know timeouts per call, not a deadline for all, and
 * would go around the host; its reader knows no socket, which is just what is
 * wanted. Its formatter allocates each command apart; commands go straight
 * into the text that is sent, so that a thousand of them are one write.
 *
 * Replies come from outside, so all is bounded: bytes and the length of a line
 * here, items by the object functions, the nesting by hiredis. hiredis' own
 * object functions would allocate an array as large as its header claims
 * before the first element is there, so there are none by default.
 */
#include "shared/wire.h"

#include <stdlib.h>

/* The host's texts name the address; the cause alone goes into a label. */
static sonde_code stream_failed(const struct wire *w, struct sonde_err *err,
                                sonde_code rc, const char *what)
{
    char cause[200];
    const char *last = rc == SONDE_ETIMEOUT ? NULL : strrchr(err->text, ':');

    if (!w->brief)
        return rc;
    (void)snprintf(cause, sizeof(cause), "%s",
                   last && last[1] == ' ' ? last + 2 : sonde_code_text(rc));
    return sonde_err_set(err, rc, "%s: %s", what, cause);
}

static sonde_code open_stream(struct wire *w, sonde_str address,
                              const struct sonde_tls *tls, sonde_msec deadline,
                              struct sonde_err *err)
{
    if (!tls)
        return w->host->stream_open(w->target, address, deadline, &w->stream,
                                    err);
    if (!SONDE_HAS(struct sonde_host, w->host, stream_open_tls))
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "this agent is too old for TLS");
    return w->host->stream_open_tls(w->target, address, tls, deadline,
                                    &w->stream, err);
}

sonde_code wire_open(struct wire *w, sonde_str address,
                     const struct sonde_tls *tls,
                     redisReplyObjectFunctions *functions, void *owner,
                     sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc;

    wire_close(w);
    w->answered = w->too_much = false;
    w->bytes = 0;
    w->reader = redisReaderCreateWithFunctions(functions);
    if (!w->reader)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    w->reader->privdata = owner;
    rc = open_stream(w, address, tls, deadline, err);
    if (rc == SONDE_OK)
        return SONDE_OK;
    w->stream = NULL;
    wire_close(w);
    return stream_failed(w, err, rc, tls ? "connect with TLS" : "connect");
}

void wire_close(struct wire *w)
{
    if (w->stream)
        w->host->stream_close(w->stream);
    if (w->reader)
        redisReaderFree(w->reader);
    w->stream = NULL;
    w->reader = NULL;
    text_wipe(&w->out);
}

/* ---- commands ------------------------------------------------------------ */

sonde_code wire_add(struct wire *w, const sonde_str *args, size_t n,
                    struct sonde_err *err)
{
    char head[32];

    (void)snprintf(head, sizeof(head), "*%zu\r\n", n);
    (void)text_addz(&w->out, head);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(head, sizeof(head), "$%zu\r\n", args[i].len);
        (void)text_addz(&w->out, head);
        (void)text_add_str(&w->out, args[i]);
        (void)text_addz(&w->out, "\r\n");
    }
    return w->out.failed ? sonde_err_set(err, SONDE_ENOMEM, "out of memory")
                         : SONDE_OK;
}

sonde_code wire_send(struct wire *w, sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (w->out.len == 0)
        return SONDE_OK;
    rc =
        w->host->stream_write(w->stream, w->out.ptr, w->out.len, deadline, err);
    explicit_bzero(w->out.ptr, w->out.len);
    text_clear(&w->out);
    return rc == SONDE_OK ? SONDE_OK : stream_failed(w, err, rc, "write");
}

/* ---- replies ------------------------------------------------------------- */

static sonde_code protocol_error(const struct wire *w, struct sonde_err *err)
{
    if (w->too_much)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "a reply has too many elements");
    if (w->reader->err == REDIS_ERR_OOM)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory for a reply");
    return sonde_err_set(err, SONDE_EPROTO,
                         "not a Redis server? its reply is no RESP: %s",
                         w->reader->errstr);
}

/* hiredis looks for the end of a line from its start at each call; without a
 * bound an endless line costs time squared. */
static bool line_is_endless(const redisReader *r)
{
    return r->len - r->pos > WIRE_LINE_MAX &&
           !memchr(r->buf + r->pos, '\n', WIRE_LINE_MAX);
}

static sonde_code fill(struct wire *w, sonde_msec deadline,
                       struct sonde_err *err)
{
    char piece[16384];
    size_t got = 0;
    sonde_code rc = w->host->stream_read(w->stream, piece, sizeof(piece), &got,
                                         deadline, err);

    if (rc != SONDE_OK)
        return stream_failed(w, err, rc, "read");
    if (got == 0)
        return sonde_err_set(err, SONDE_EIO,
                             "the server closed the connection");
    w->answered = true;
    w->bytes += got;
    if (w->bytes > w->limit)
        return sonde_err_set(err, SONDE_ELIMIT, "%s (%zu bytes)", w->limit_says,
                             w->limit);
    if (redisReaderFeed(w->reader, piece, got) != REDIS_OK)
        return protocol_error(w, err);
    return SONDE_OK;
}

sonde_code wire_read(struct wire *w, sonde_msec deadline, void **out,
                     struct sonde_err *err)
{
    *out = NULL;
    for (;;) {
        sonde_code rc;

        if (redisReaderGetReply(w->reader, out) != REDIS_OK)
            return protocol_error(w, err);
        if (*out)
            return SONDE_OK;
        if (line_is_endless(w->reader))
            return sonde_err_set(err, SONDE_EPROTO,
                                 "not a Redis server? a line of its reply is "
                                 "longer than %d bytes",
                                 WIRE_LINE_MAX);
        rc = fill(w, deadline, err);
        if (rc != SONDE_OK)
            return rc;
    }
}
