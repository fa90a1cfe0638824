/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking workers over Redis. A command is a PUBLISH to the exchange's channel;
 * replies are pushed to a list of ours, for which workers need a binding that
 * is made before and taken away afterwards, with the list: Redis forgets
 * neither by itself.
 */
#include <stdlib.h>

#include "redis_int.h"

#define REPLY_POLL 50 /* ms between looks at the list of replies */

sonde_code redis_control(struct redis *r, sonde_msec deadline,
                         struct sonde_err *err)
{
    return r->control.wire.stream
               ? SONDE_OK
               : redis_connect(r, &r->control, deadline, err);
}

/* Sends what was added and reads `n` replies that must be no errors. */
static sonde_code control_trip(struct redis *r, size_t n, const char *what,
                               sonde_msec deadline, struct sonde_err *err)
{
    struct sonde_err first = { 0 };
    sonde_code rc = wire_send(&r->control.wire, deadline, err),
               refusal = SONDE_OK;

    for (size_t i = 0; i < n && rc == SONDE_OK; i++) {
        struct reply *reply = NULL;

        rc = resp_read(&r->control, deadline, &reply, err);
        if (rc == SONDE_OK && refusal == SONDE_OK)
            refusal = redis_refused(reply, what, &first);
        reply_free(reply);
    }
    if (rc != SONDE_OK)
        redis_hang_up(r, &r->control);
    if (rc == SONDE_OK && refusal != SONDE_OK) {
        *err = first;
        rc = refusal;
    }
    return rc;
}

static sonde_code publish(struct redis *r, const char *method, bool replies,
                          struct sonde_err *err)
{
    const struct celery_options *o = r->config.options;
    struct text exchange = { 0 }, channel = { 0 };
    char *command = control_command(
        method, replies ? r->reply_exchange.ptr : NULL, r->config.oid);
    char *envelope = NULL;
    sonde_code rc;
    bool ok = command && text_add_str(&exchange, o->control_exchange) &&
              text_addz(&exchange, ".pidbox") &&
              text_add_str(&channel, text_str(&r->prefix)) &&
              text_add_str(&channel, text_str(&exchange));

    if (ok)
        envelope = control_envelope(command, exchange.ptr,
                                    (double)r->config.host->now() / 1000 + 300);
    rc = envelope ? RESP_ADD(&r->control, err, sonde_cstr("PUBLISH"),
                             text_str(&channel), sonde_cstr(envelope))
                  : no_memory(err);
    free(command);
    free(envelope);
    text_fini(&exchange);
    text_fini(&channel);
    return rc;
}

sonde_code redis_ask(struct transport *t, const char *method, bool replies,
                     sonde_msec deadline, struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    sonde_code rc = redis_control(r, deadline, err);

    if (rc == SONDE_OK && replies)
        rc = RESP_ADD(&r->control, err, sonde_cstr("SADD"),
                      text_str(&r->bindings), text_str(&r->binding));
    if (rc == SONDE_OK)
        rc = publish(r, method, replies, err);
    if (rc == SONDE_OK)
        rc = control_trip(r, replies ? 2 : 1, method, deadline, err);
    if (rc == SONDE_OK && replies) {
        r->asking = true;
        r->next_poll = 0;
    }
    return rc;
}

sonde_code redis_ask_end(struct transport *t, sonde_msec deadline,
                         struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    sonde_code rc = redis_control(r, deadline, err);

    r->asking = false;
    if (rc == SONDE_OK)
        rc = RESP_ADD(&r->control, err, sonde_cstr("SREM"),
                      text_str(&r->bindings), text_str(&r->binding));
    if (rc == SONDE_OK)
        rc = RESP_ADD(&r->control, err, sonde_cstr("DEL"),
                      text_str(&r->reply_queue));
    if (rc == SONDE_OK)
        rc = control_trip(r, 2, "taking the binding away", deadline, err);
    return rc;
}

void redis_forget(struct redis *r)
{
    while (r->reply_next < r->reply_count)
        reply_free(r->replies[r->reply_next++]);
    r->reply_next = r->reply_count = 0;
}

/* Takes what is there; a full batch is looked for again at once. */
sonde_code redis_poll(struct redis *r, sonde_msec now, struct sonde_err *err)
{
    sonde_code rc = redis_control(r, now + 1000, err);

    redis_forget(r);
    for (size_t i = 0; i < REPLY_BATCH && rc == SONDE_OK; i++)
        rc = RESP_ADD(&r->control, err, sonde_cstr("RPOP"),
                      text_str(&r->reply_queue));
    if (rc == SONDE_OK)
        rc = wire_send(&r->control.wire, now + 1000, err);
    for (size_t i = 0; i < REPLY_BATCH && rc == SONDE_OK; i++) {
        struct reply *reply = NULL;

        rc = resp_read(&r->control, now + 1000, &reply, err);
        if (rc == SONDE_OK && reply->type == REDIS_REPLY_STRING)
            r->replies[r->reply_count++] = reply;
        else
            reply_free(reply);
    }
    r->next_poll = r->reply_count == REPLY_BATCH ? 0 : now + REPLY_POLL;
    if (rc != SONDE_OK)
        redis_hang_up(r, &r->control);
    return rc;
}
