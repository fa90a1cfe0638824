/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation with Redis: shared/wire.h, and replies that are freed one by
 * one.
 *
 * What is read here is mostly what Redis pushes to a subscriber, for as long
 * as the process lives, so bounds are per reply: bytes, items, and no array
 * of the size that its header claims before the items are there. The reader
 * gives back its buffer after a large message by itself.
 */
#include "resp.h"

#include <stdlib.h>

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

    if (++c->items > WIRE_ITEMS_MAX)
        c->wire.too_much = true;
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

static void *create_array(const redisReadTask *task, wire_items n)
{
    struct resp *c = task->privdata;
    struct reply **items;
    struct reply *r;

    if (n > WIRE_ITEMS_MAX) {
        c->wire.too_much = true;
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

    c->items = 0;
    c->wire.limit_says = "a message is longer than message_limit";
    return wire_open(&c->wire, address, tls, &functions, c, deadline, err);
}

void resp_close(struct resp *c)
{
    wire_close(&c->wire);
}

sonde_code resp_read(struct resp *c, sonde_msec deadline, struct reply **out,
                     struct sonde_err *err)
{
    void *reply = NULL;
    sonde_code rc = wire_read(&c->wire, deadline, &reply, err);

    *out = reply;
    if (rc == SONDE_OK) {
        c->items = 0;
        c->wire.bytes = c->wire.reader->len - c->wire.reader->pos;
    }
    return rc;
}
