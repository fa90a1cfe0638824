/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESP over the host's byte streams: hiredis formats commands and reads
 * replies, the host owns the socket and the deadline.
 *
 * hiredis' own sockets know timeouts per call, not a deadline for all, and
 * would go around the host; its reader and formatter know no socket, which
 * is just what is wanted.
 *
 * Replies come from outside, so all is bounded: bytes of one collection,
 * objects (an array of a million empty arrays is small on the wire), the
 * length of a line; hiredis bounds the nesting. The reader is given object
 * functions of our own, because hiredis' allocate an array as large as its
 * header claims before the first element is there.
 *
 * Any error leaves the conversation at an unknown place: the caller closes.
 */
#include <stdlib.h>
#include <string.h>

#include "redis.h"

#define ARRAY_MAX 65536

/* How hiredis counts the elements of an array changed with version 1. */
#if HIREDIS_MAJOR >= 1
typedef size_t redis_elements;
#else
typedef int redis_elements;
#endif

/* ---- replies ------------------------------------------------------------- */

void reply_free(struct redis_reply *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        reply_free(r->items[i]);
    free(r->items);
    free((char *)(uintptr_t)r->str.ptr);
    free(r);
}

static void free_object(void *r)
{
    reply_free(r);
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
    r = calloc(1, sizeof(*r));
    if (r)
        r->type = task->type;
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
    struct redis_reply *r = new_reply(task);
    char *copy;

    if (!r)
        return NULL;
    copy = malloc(n + 1);
    if (!copy) {
        free(r);
        return NULL;
    }
    memcpy(copy, p, n);
    copy[n] = '\0';
    r->str = (sonde_str){ copy, n };
    /* cppcheck-suppress memleak ; the reply owns it through `str` */
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
        r->items = calloc((size_t)n, sizeof(struct redis_reply *));
        if (!r->items) {
            free(r);
            return NULL;
        }
    }
    r->count = (size_t)n;
    return hang_in(task, r);
}

static void *create_integer(const redisReadTask *task, long long value)
{
    (void)value; /* no command of ours answers with one that is wanted */
    return hang_in(task, new_reply(task));
}

static void *create_nil(const redisReadTask *task)
{
    return hang_in(task, new_reply(task));
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

sonde_code conn_open(struct redis_conn *c, const char *address,
                     sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc;

    conn_close(c);
    c->reader = new_reader(c);
    if (!c->reader)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    rc = c->host->stream_open(c->target, sonde_cstr(address), deadline,
                              &c->stream, err);
    if (rc != SONDE_OK) {
        c->stream = NULL;
        conn_close(c);
        return stream_failed(err, rc, "connect");
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
    c->out.len = 0;
}

sonde_code conn_begin(struct redis_conn *c, struct sonde_err *err)
{
    c->objects = 0;
    c->bytes = 0;
    c->answered = false;
    c->too_much = false;
    c->out.len = 0;
    if (c->reader && c->reader->len > c->reader->pos)
        return sonde_err_set(err, SONDE_EPROTO,
                             "the server sent more than it was asked for");
    return SONDE_OK;
}

sonde_code conn_command(struct redis_conn *c, const char *const *args,
                        struct sonde_err *err)
{
    const char *argv[8];
    size_t lens[8];
    char *text = NULL;
    int argc = 0, n;
    bool ok;

    for (; argc < 8 && args[argc]; argc++) {
        argv[argc] = args[argc];
        lens[argc] = strlen(args[argc]);
    }
    n = redisFormatCommandArgv(&text, argc, argv, lens);
    ok = n > 0 && text_add(&c->out, text, (size_t)n);
    if (n > 0) {
        explicit_bzero(text, (size_t)n); /* it may be an AUTH */
        redisFreeCommand(text);
    }
    return ok ? SONDE_OK : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

sonde_code conn_send(struct redis_conn *c, sonde_msec deadline,
                     struct sonde_err *err)
{
    sonde_code rc =
        c->host->stream_write(c->stream, c->out.ptr, c->out.len, deadline, err);

    explicit_bzero(c->out.ptr, c->out.len);
    c->out.len = 0;
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
