/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESP over the host's byte streams: hiredis reads the replies, the host owns
 * the socket and the deadline.
 *
 * hiredis' own sockets know timeouts per call, not a deadline for all, and
 * would go around the host; its reader knows no socket, which is just what is
 * wanted. Its formatter allocates each command apart; commands go straight
 * into the text that is sent, so that a thousand of them are one write.
 *
 * Replies come from outside, so all is bounded: bytes of one round trip,
 * objects (an array of a million empty arrays is small on the wire), the
 * length of a line; hiredis bounds the nesting. The reader is given object
 * functions of our own, because hiredis' allocate an array as large as its
 * header claims before the first element is there. Replies live in an arena
 * until the next round trip begins.
 *
 * Any error leaves the conversation at an unknown place: the caller closes.
 */
#include "conn.h"

#include <stdlib.h>
#include <string.h>

#define ARRAY_MAX 65536

/* How hiredis counts the elements of an array changed with version 1. */
#if HIREDIS_MAJOR >= 1
typedef size_t redis_elements;
#else
typedef int redis_elements;
#endif

/* ---- replies ------------------------------------------------------------- */

static void free_object(void *r)
{
    (void)r; /* it is the arena's */
}

/* hiredis takes NULL for "out of memory", which ends the conversation. */
static struct redis_reply *new_reply(const redisReadTask *task)
{
    struct redis_conn *c = task->privdata;
    struct redis_reply *r;

    if (++c->objects > REDIS_OBJECTS_MAX) {
        c->too_much = true;
        return NULL;
    }
    r = arena_alloc(&c->arena, sizeof(*r));
    if (r)
        *r = (struct redis_reply){ .type = task->type };
    return r;
}

static void *hang_in(const redisReadTask *task, struct redis_reply *r)
{
    struct redis_reply *parent;

    if (r && task->parent) {
        parent = task->parent->obj;
        parent->items[task->idx] = r;
    }
    return r;
}

static void *create_string(const redisReadTask *task, char *p, size_t n)
{
    struct redis_conn *c = task->privdata;
    struct redis_reply *r = new_reply(task);
    char *copy = r ? arena_alloc(&c->arena, n + 1) : NULL;

    if (!copy)
        return NULL;
    memcpy(copy, p, n);
    copy[n] = '\0';
    r->str = (sonde_str){ copy, n };
    return hang_in(task, r);
}

static void *create_array(const redisReadTask *task, redis_elements n)
{
    struct redis_conn *c = task->privdata;
    struct redis_reply *r;

    if (n < 0 || n > ARRAY_MAX) {
        c->too_much = true;
        return NULL;
    }
    r = new_reply(task);
    if (!r)
        return NULL;
    if (n > 0) {
        r->items =
            arena_alloc(&c->arena, (size_t)n * sizeof(struct redis_reply *));
        if (!r->items)
            return NULL;
        memset(r->items, 0, (size_t)n * sizeof(struct redis_reply *));
    }
    r->count = (size_t)n;
    return hang_in(task, r);
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct redis_reply *r = new_reply(task);

    if (r)
        r->integer = value;
    return hang_in(task, r);
}

static void *create_nil(const redisReadTask *task)
{
    return hang_in(task, new_reply(task));
}

bool reply_is_text(const struct redis_reply *r)
{
    return r &&
           (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
            (r->type > REDIS_REPLY_ERROR && r->str.ptr)); /* RESP3's */
}

bool reply_is_error(const struct redis_reply *r, const char *word)
{
    return r && r->type == REDIS_REPLY_ERROR && text_starts(r->str, word);
}

const struct redis_reply *reply_field(const struct redis_reply *r,
                                      const char *name)
{
    for (size_t i = 0; r && i + 1 < r->count; i += 2) {
        if (reply_is_text(r->items[i]) && text_is(r->items[i]->str, name))
            return r->items[i + 1];
    }
    return NULL;
}

bool reply_number(const struct redis_reply *r, double *out)
{
    if (!r)
        return false;
    if (r->type == REDIS_REPLY_INTEGER) {
        *out = (double)r->integer;
        return true;
    }
    return reply_is_text(r) && text_number(r->str, out);
}

sonde_code reply_verdict(const struct redis_reply *r, struct sonde_err *err)
{
    static const char *const lacks[] = {
        "ERR unknown command",
        "ERR unknown subcommand",
        "ERR Unknown subcommand",
        "ERR Unknown ",
        "ERR syntax error",
        "ERR wrong number of arguments",
        "ERR This instance has cluster support disabled",
    };
    sonde_code code = SONDE_EUNAVAILABLE;

    if (reply_is_error(r, "NOPERM"))
        code = SONDE_EACCESS;
    for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
        if (reply_is_error(r, lacks[i]))
            code = SONDE_EUNSUPPORTED;
    }
    return sonde_err_set(err, code, "%.200s",
                         r && r->type == REDIS_REPLY_ERROR
                             ? r->str.ptr
                             : "the reply is not of the expected form");
}

/* ---- connection ---------------------------------------------------------- */

/* The host's texts name the address; the cause alone goes into a label. */
static sonde_code stream_failed(struct sonde_err *err, sonde_code rc,
                                const char *what)
{
    char cause[200];
    const char *last = rc == SONDE_ETIMEOUT ? NULL : strrchr(err->text, ':');

    (void)snprintf(cause, sizeof(cause), "%s",
                   last && last[1] == ' ' ? last + 2 : sonde_code_text(rc));
    return sonde_err_set(err, rc, "%s: %s", what, cause);
}

static redisReader *new_reader(struct redis_conn *c)
{
    static redisReplyObjectFunctions functions = {
        .createString = create_string,
        .createArray = create_array,
        .createInteger = create_integer,
        .createNil = create_nil,
        .freeObject = free_object,
    };
    redisReader *r = redisReaderCreateWithFunctions(&functions);

    if (r)
        r->privdata = c;
    return r;
}

static sonde_code open_stream(struct redis_conn *c, const char *address,
                              const struct sonde_tls *tls, sonde_msec deadline,
                              struct sonde_err *err)
{
    if (!tls)
        return c->host->stream_open(c->target, sonde_cstr(address), deadline,
                                    &c->stream, err);
    if (!SONDE_HAS(struct sonde_host, c->host, stream_open_tls))
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "this agent is too old for TLS");
    return c->host->stream_open_tls(c->target, sonde_cstr(address), tls,
                                    deadline, &c->stream, err);
}

sonde_code conn_open(struct redis_conn *c, const char *address,
                     const struct sonde_tls *tls, sonde_msec deadline,
                     struct sonde_err *err)
{
    sonde_code rc;

    conn_close(c);
    c->reader = new_reader(c);
    if (!c->reader)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    rc = open_stream(c, address, tls, deadline, err);
    if (rc != SONDE_OK) {
        c->stream = NULL;
        conn_close(c);
        return stream_failed(err, rc, tls ? "connect with TLS" : "connect");
    }
    return SONDE_OK;
}

void conn_close(struct redis_conn *c)
{
    if (c->stream)
        c->host->stream_close(c->stream);
    if (c->reader)
        redisReaderFree(c->reader);
    c->stream = NULL;
    c->reader = NULL;
    text_clear(&c->out);
    c->waiting = 0;
    c->database = -1;
}

void conn_fini(struct redis_conn *c)
{
    conn_close(c);
    text_fini(&c->out);
    arena_fini(&c->arena);
}

sonde_code conn_begin(struct redis_conn *c, struct sonde_err *err)
{
    arena_reset(&c->arena);
    c->objects = 0;
    c->bytes = 0;
    c->answered = false;
    c->too_much = false;
    text_clear(&c->out);
    c->waiting = 0;
    if (!c->reader || c->reader->len <= c->reader->pos)
        return SONDE_OK;
    conn_close(c);
    return sonde_err_set(err, SONDE_EPROTO,
                         "the server sent more than it was asked for");
}

sonde_code conn_command(struct redis_conn *c, const sonde_str *args, size_t n,
                        struct sonde_err *err)
{
    char head[32];
    bool ok;

    (void)snprintf(head, sizeof(head), "*%zu\r\n", n);
    ok = text_addz(&c->out, head);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(head, sizeof(head), "$%zu\r\n", args[i].len);
        ok = ok && text_addz(&c->out, head) &&
             text_add(&c->out, args[i].ptr, args[i].len) &&
             text_add(&c->out, "\r\n", 2);
    }
    c->waiting++;
    return ok ? SONDE_OK : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

sonde_code conn_select(struct redis_conn *c, int64_t database, bool *asked,
                       struct sonde_err *err)
{
    char number[24];

    *asked = c->database != database;
    if (!*asked)
        return SONDE_OK;
    c->database = database;
    (void)snprintf(number, sizeof(number), "%lld", (long long)database);
    return conn_add(c, err, SONDE_STR("SELECT"), sonde_cstr(number));
}

sonde_code conn_send(struct redis_conn *c, sonde_msec deadline,
                     struct sonde_err *err)
{
    sonde_code rc =
        c->host->stream_write(c->stream, c->out.ptr, c->out.len, deadline, err);

    explicit_bzero(c->out.ptr, c->out.len); /* it may hold an AUTH */
    text_clear(&c->out);
    return rc == SONDE_OK ? SONDE_OK : stream_failed(err, rc, "write");
}

/* ---- reading ------------------------------------------------------------- */

static sonde_code protocol_error(const struct redis_conn *c,
                                 struct sonde_err *err)
{
    if (c->too_much)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "a reply has too many elements");
    if (c->reader->err == REDIS_ERR_OOM)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory for a reply");
    return sonde_err_set(err, SONDE_EPROTO,
                         "not a Redis server? its reply is no RESP: %s",
                         c->reader->errstr);
}

/* hiredis looks for the end of a line from its start at each call; without a
 * bound an endless line costs time squared. */
static bool line_is_endless(const redisReader *r)
{
    size_t pending = r->len - r->pos;

    return pending > REDIS_LINE_MAX &&
           !memchr(r->buf + r->pos, '\n', REDIS_LINE_MAX);
}

static sonde_code fill(struct redis_conn *c, sonde_msec deadline,
                       struct sonde_err *err)
{
    char piece[16384];
    size_t got = 0;
    sonde_code rc = c->host->stream_read(c->stream, piece, sizeof(piece), &got,
                                         deadline, err);

    if (rc != SONDE_OK)
        return stream_failed(err, rc, "read");
    if (got == 0)
        return sonde_err_set(err, SONDE_EIO,
                             "the server closed the connection");
    c->answered = true;
    c->bytes += got;
    if (c->bytes > c->bytes_max)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "the replies are longer than reply_limit (%zu "
                             "bytes)",
                             c->bytes_max);
    if (redisReaderFeed(c->reader, piece, got) != REDIS_OK)
        return protocol_error(c, err);
    return SONDE_OK;
}

sonde_code conn_read(struct redis_conn *c, sonde_msec deadline,
                     struct redis_reply **out, struct sonde_err *err)
{
    *out = NULL;
    for (;;) {
        void *reply = NULL;
        sonde_code rc;

        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK)
            return protocol_error(c, err);
        if (reply) {
            *out = reply;
            if (c->waiting)
                c->waiting--;
            return SONDE_OK;
        }
        if (line_is_endless(c->reader))
            return sonde_err_set(err, SONDE_EPROTO,
                                 "not a Redis server? a line of its reply is "
                                 "longer than %d bytes",
                                 REDIS_LINE_MAX);
        rc = fill(c, deadline, err);
        if (rc != SONDE_OK)
            return rc;
    }
}

sonde_code conn_exchange(struct redis_conn *c, sonde_msec deadline,
                         struct redis_reply ***out, struct sonde_err *err)
{
    size_t n = c->waiting;
    sonde_code rc;

    *out = arena_alloc(&c->arena, (n + 1) * sizeof(**out));
    rc = *out ? conn_send(c, deadline, err)
              : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    for (size_t i = 0; rc == SONDE_OK && i < n; i++)
        rc = conn_read(c, deadline, &(*out)[i], err);
    if (rc != SONDE_OK)
        conn_close(c);
    return rc;
}
