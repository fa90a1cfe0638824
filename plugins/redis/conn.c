/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to Redis: a conversation (shared/wire.h) whose replies live in an
 * arena until the next round trip begins.
 *
 * Bytes and objects of one round trip are bounded (an array of a million empty
 * arrays is small on the wire), and so is what an array's header can claim.
 *
 * Any error leaves the conversation at an unknown place: the caller closes.
 */
#include "conn.h"

#include <stdlib.h>
#include <string.h>

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
        c->wire.too_much = true;
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

static void *create_array(const redisReadTask *task, wire_items n)
{
    struct redis_conn *c = task->privdata;
    struct redis_reply *r;

    if (n < 0 || n > WIRE_ITEMS_MAX) {
        c->wire.too_much = true;
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

sonde_code conn_open(struct redis_conn *c, const char *address,
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

    conn_close(c);
    c->wire.limit_says = "the replies are longer than reply_limit";
    c->wire.brief = true;
    return wire_open(&c->wire, sonde_cstr(address), tls, &functions, c,
                     deadline, err);
}

void conn_close(struct redis_conn *c)
{
    wire_close(&c->wire);
    c->waiting = 0;
    c->database = -1;
}

void conn_fini(struct redis_conn *c)
{
    conn_close(c);
    arena_fini(&c->arena);
}

sonde_code conn_begin(struct redis_conn *c, struct sonde_err *err)
{
    arena_reset(&c->arena);
    c->objects = 0;
    c->wire.bytes = 0;
    c->wire.answered = false;
    c->wire.too_much = false;
    text_clear(&c->wire.out);
    c->waiting = 0;
    if (!c->wire.reader || c->wire.reader->len <= c->wire.reader->pos)
        return SONDE_OK;
    conn_close(c);
    return sonde_err_set(err, SONDE_EPROTO,
                         "the server sent more than it was asked for");
}

sonde_code conn_command(struct redis_conn *c, const sonde_str *args, size_t n,
                        struct sonde_err *err)
{
    c->waiting++;
    return wire_add(&c->wire, args, n, err);
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

sonde_code conn_read(struct redis_conn *c, sonde_msec deadline,
                     struct redis_reply **out, struct sonde_err *err)
{
    void *reply = NULL;
    sonde_code rc = wire_read(&c->wire, deadline, &reply, err);

    *out = reply;
    if (rc == SONDE_OK && c->waiting)
        c->waiting--;
    return rc;
}

sonde_code conn_exchange(struct redis_conn *c, sonde_msec deadline,
                         struct redis_reply ***out, struct sonde_err *err)
{
    size_t n = c->waiting;
    sonde_code rc;

    *out = arena_alloc(&c->arena, (n + 1) * sizeof(**out));
    rc = *out ? wire_send(&c->wire, deadline, err)
              : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    for (size_t i = 0; rc == SONDE_OK && i < n; i++)
        rc = conn_read(c, deadline, &(*out)[i], err);
    if (rc != SONDE_OK)
        conn_close(c);
    return rc;
}
