/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation with Redis: hiredis formats commands and reads replies, the
 * host owns the socket, TLS and the deadlines.
 *
 * What is read here is mostly what Redis pushes to a subscriber, for as long
 * as the process lives, so bounds are per reply: bytes, items, and no array
 * of the size that its header claims before the items are there. The reader
 * gives back its buffer after a large message by itself.
 */
#include "resp.h"

#include <stdlib.h>

#define LINE_MAX_BYTES 65536

/* How hiredis counts the items of an array changed with version 1. */
#if HIREDIS_MAJOR >= 1
typedef size_t resp_items;
#else
typedef int resp_items;
#endif

/* ---- replies ------------------------------------------------------------- */

void reply_free(struct reply *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        reply_free(r->items[i]);
    free(r->items);
    text_fini(&r->text);
    free(r);
}

sonde_str reply_item(const struct reply *r, size_t i)
{
    if (i >= r->count || !r->items[i])
        return (sonde_str){ 0 };
    return text_str(&r->items[i]->text);
}

static void free_object(void *r)
{
    reply_free(r);
}

/* NULL is "out of memory" to hiredis, which ends the conversation. */
static struct reply *new_reply(const redisReadTask *task)
{
    struct resp *c = task->privdata;
    struct reply *r = NULL;

    if (++c->items > RESP_ITEMS_MAX)
        c->too_long = true;
    else
        r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->type = task->type;
    if (task->parent)
        ((struct reply *)task->parent->obj)->items[task->idx] = r;
    return r;
}

static void *create_string(const redisReadTask *task, char *p, size_t n)
{
    struct text text = { 0 };
    struct reply *r;

    if (!text_add(&text, p, n))
        return NULL;
    r = new_reply(task);
    if (r)
        r->text = text;
    else
        text_fini(&text);
    return r;
}

static void *create_array(const redisReadTask *task, resp_items n)
{
    struct resp *c = task->privdata;
    struct reply **items;
    struct reply *r;

    if (n > RESP_ITEMS_MAX) {
        c->too_long = true;
        return NULL;
    }
    items = calloc((size_t)n + 1, sizeof(struct reply *));
    r = items ? new_reply(task) : NULL;
    if (!r) {
        free((void *)items);
        return NULL;
    }
    r->items = items;
    r->count = (size_t)n;
    return r;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct reply *r = new_reply(task);

    if (r)
        r->integer = value;
    return r;
}

/* The task's type is that of the string or array that is missing. */
static void *create_nil(const redisReadTask *task)
{
    struct reply *r = new_reply(task);

    if (r)
        r->type = REDIS_REPLY_NIL;
    return r;
}

/* ---- connection ---------------------------------------------------------- */

sonde_code resp_open(struct resp *c, sonde_str address,
                     const struct sonde_tls *tls, sonde_msec deadline,
                     struct sonde_err *err)
{
    static redisReplyObjectFunctions functions = {
        .createString = create_string,
        .createArray = create_array,
        .createInteger = create_integer,
        .createNil = create_nil,
        .freeObject = free_object,
    };
    sonde_code rc;

    resp_close(c);
    c->answered = c->too_long = false;
    c->bytes = c->items = 0;
    c->reader = redisReaderCreateWithFunctions(&functions);
    if (!c->reader)
        return no_memory(err);
    c->reader->privdata = c;
    if (!tls)
        rc =
            c->host->stream_open(c->target, address, deadline, &c->stream, err);
    else if (SONDE_HAS(struct sonde_host, c->host, stream_open_tls))
        rc = c->host->stream_open_tls(c->target, address, tls, deadline,
                                      &c->stream, err);
    else
        rc = sonde_err_set(err, SONDE_EUNSUPPORTED,
                           "this agent has no TLS for streams");
    if (rc != SONDE_OK) {
        c->stream = NULL;
        resp_close(c);
    }
    return rc;
}

void resp_close(struct resp *c)
{
    if (c->stream)
        c->host->stream_close(c->stream);
    if (c->reader)
        redisReaderFree(c->reader);
    c->stream = NULL;
    c->reader = NULL;
    text_fini(&c->out);
}

sonde_code resp_add(struct resp *c, const sonde_str *args, size_t count,
                    struct sonde_err *err)
{
    const char *argv[8];
    size_t lens[8];
    char *wire = NULL;
    int n;
    bool ok;

    if (count > sizeof(argv) / sizeof(argv[0]))
        return sonde_err_set(err, SONDE_ELIMIT, "a command is too long");
    for (size_t i = 0; i < count; i++) {
        argv[i] = args[i].ptr ? args[i].ptr : "";
        lens[i] = args[i].len;
    }
    n = redisFormatCommandArgv(&wire, (int)count, argv, lens);
    ok = n > 0 && text_add(&c->out, wire, (size_t)n);
    if (n > 0) {
        explicit_bzero(wire, (size_t)n); /* it may be an AUTH */
        redisFreeCommand(wire);
    }
    return ok ? SONDE_OK : no_memory(err);
}

sonde_code resp_send(struct resp *c, sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (c->out.len)
        rc = c->host->stream_write(c->stream, c->out.ptr, c->out.len, deadline,
                                   err);
    if (c->out.ptr)
        explicit_bzero(c->out.ptr, c->out.len);
    text_clear(&c->out);
    return rc;
}

/* ---- reading ------------------------------------------------------------- */

static sonde_code protocol_error(const struct resp *c, struct sonde_err *err)
{
    if (c->too_long)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "a reply has more than %d items", RESP_ITEMS_MAX);
    return sonde_err_set(err, SONDE_EPROTO,
                         "not a Redis server? its reply is no RESP: %s",
                         c->reader->errstr);
}

/* hiredis looks for the end of a line from its start at each call; without a
 * bound an endless line costs time squared. */
static bool line_is_endless(const redisReader *r)
{
    return r->len - r->pos > LINE_MAX_BYTES &&
           !memchr(r->buf + r->pos, '\n', LINE_MAX_BYTES);
}

static sonde_code fill(struct resp *c, sonde_msec deadline,
                       struct sonde_err *err)
{
    char piece[32768];
    size_t got = 0;
    sonde_code rc = c->host->stream_read(c->stream, piece, sizeof(piece), &got,
                                         deadline, err);

    if (rc != SONDE_OK)
        return rc;
    if (got == 0)
        return sonde_err_set(err, SONDE_EIO,
                             "the server closed the connection");
    c->answered = true;
    c->bytes += got;
    if (c->bytes > c->limit)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "a message is longer than message_limit (%zu "
                             "bytes)",
                             c->limit);
    if (redisReaderFeed(c->reader, piece, got) != REDIS_OK)
        return protocol_error(c, err);
    return SONDE_OK;
}

sonde_code resp_read(struct resp *c, sonde_msec deadline, struct reply **out,
                     struct sonde_err *err)
{
    *out = NULL;
    for (;;) {
        void *reply = NULL;
        sonde_code rc;

        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK)
            return protocol_error(c, err);
        if (reply) {
            *out = reply;
            c->items = 0;
            c->bytes = c->reader->len - c->reader->pos;
            return SONDE_OK;
        }
        if (line_is_endless(c->reader))
            return sonde_err_set(err, SONDE_EPROTO,
                                 "not a Redis server? a line of its reply is "
                                 "longer than %d bytes",
                                 LINE_MAX_BYTES);
        rc = fill(c, deadline, err);
        if (rc != SONDE_OK)
            return rc;
    }
}
