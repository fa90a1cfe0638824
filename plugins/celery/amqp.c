/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Celery over RabbitMQ.
 *
 * The listener's connection has two channels: one on which the events are
 * consumed, and one for commands and the replies to them, so that a refused
 * command does not end the events. Both deliver to one stream of messages.
 * The collections have a connection of their own.
 *
 * Exchanges are declared exactly as Celery declares them, else the broker
 * refuses. Our queues are exclusive and go with the connection; the broker
 * keeps at most QUEUE_MAX messages for a minute in them when we do not come
 * to read.
 *
 * librabbitmq owns its sockets, TLS included, and knows no way to be woken:
 * so every wait here is at most WAIT_MAX long.
 */
#include <stdlib.h>

#include "amqp_int.h"

#define WAIT_MAX  250 /* ms */
#define HEARTBEAT 30  /* s  */
#define QUEUE_MAX 200000

enum {
    CHANNEL_EVENTS = 1,
    CHANNEL_CONTROL = 2
};

static sonde_str view(amqp_bytes_t b)
{
    return (sonde_str){ b.bytes, b.len };
}

/* ---- declaring ----------------------------------------------------------- */

static sonde_code declare_exchange(const struct amqp *a, int channel,
                                   sonde_str name, const char *type,
                                   bool durable, struct sonde_err *err)
{
    char what[128];

    (void)snprintf(what, sizeof(what), "declaring the exchange %.*s",
                   (int)(name.len < 80 ? name.len : 80), name.ptr);
    (void)amqp_exchange_declare(a->events, (amqp_channel_t)channel,
                                amqp_view(name), amqp_cstring_bytes(type), 0,
                                durable, 0, 0, amqp_empty_table);
    return amqp_check(a, amqp_get_rpc_reply(a->events), what, err);
}

/* An exclusive queue of ours that is bound to an exchange and consumed. */
static sonde_code consume(const struct amqp *a, int channel, sonde_str queue,
                          sonde_str exchange, const char *key,
                          struct sonde_err *err)
{
    amqp_table_entry_t entries[] = {
        { .key = amqp_cstring_bytes("x-message-ttl"),
          .value = { .kind = AMQP_FIELD_KIND_I32, .value.i32 = 60000 } },
        { .key = amqp_cstring_bytes("x-max-length"),
          .value = { .kind = AMQP_FIELD_KIND_I32, .value.i32 = QUEUE_MAX } },
    };
    amqp_table_t arguments = { .num_entries = 2, .entries = entries };
    amqp_channel_t ch = (amqp_channel_t)channel;
    sonde_code rc;

    (void)amqp_queue_declare(a->events, ch, amqp_view(queue), 0, 0, 1, 1,
                             arguments);
    rc = amqp_check(a, amqp_get_rpc_reply(a->events), "declaring a queue", err);
    if (rc == SONDE_OK) {
        (void)amqp_queue_bind(a->events, ch, amqp_view(queue),
                              amqp_view(exchange), amqp_cstring_bytes(key),
                              amqp_empty_table);
        rc = amqp_check(a, amqp_get_rpc_reply(a->events), "binding a queue",
                        err);
    }
    if (rc == SONDE_OK) {
        (void)amqp_basic_consume(a->events, ch, amqp_view(queue),
                                 amqp_empty_bytes, 0, 1, 1, amqp_empty_table);
        rc = amqp_check(a, amqp_get_rpc_reply(a->events), "consuming", err);
    }
    return rc;
}

static sonde_code consume_events(struct amqp *a, struct sonde_err *err)
{
    sonde_str exchange = a->config.options->event_exchange;
    struct text queue = { 0 };
    sonde_code rc =
        declare_exchange(a, CHANNEL_EVENTS, exchange, "topic", true, err);

    if (rc == SONDE_OK &&
        (!text_addz(&queue, "celeryev.") || !text_addz(&queue, a->config.oid)))
        rc = no_memory(err);
    if (rc == SONDE_OK)
        rc = consume(a, CHANNEL_EVENTS, text_str(&queue), exchange, "#", err);
    text_fini(&queue);
    return rc;
}

static sonde_code open_control(struct amqp *a, struct sonde_err *err)
{
    sonde_code rc = amqp_open_channel(a, a->events, CHANNEL_CONTROL, err);

    if (rc == SONDE_OK)
        rc = declare_exchange(a, CHANNEL_CONTROL, text_str(&a->pidbox),
                              "fanout", false, err);
    if (rc == SONDE_OK)
        rc = declare_exchange(a, CHANNEL_CONTROL, text_str(&a->reply_exchange),
                              "direct", false, err);
    if (rc == SONDE_OK)
        rc = consume(a, CHANNEL_CONTROL, text_str(&a->reply_queue),
                     text_str(&a->reply_exchange), a->config.oid, err);
    a->control = rc == SONDE_OK;
    return rc;
}

static void drop_message(struct amqp *a)
{
    if (a->has_message)
        amqp_destroy_envelope(&a->message);
    a->has_message = false;
}

static sonde_code amqp_subscribe(struct transport *t, sonde_msec deadline,
                                 struct sonde_err *err)
{
    struct amqp *a = amqp_of(t);
    sonde_code rc;

    drop_message(a);
    amqp_hang_up(&a->events);
    a->control = false;
    rc = amqp_connect_any(a, HEARTBEAT, deadline, &a->events, err);
    if (rc == SONDE_OK)
        rc = amqp_open_channel(a, a->events, CHANNEL_EVENTS, err);
    if (rc == SONDE_OK)
        rc = consume_events(a, err);
    if (rc != SONDE_OK)
        amqp_hang_up(&a->events);
    return rc;
}

/* ---- what comes next ----------------------------------------------------- */

/* Something else than a message: the end of a channel, mostly. */
static sonde_code read_other(struct amqp *a, struct sonde_err *err)
{
    struct timeval tv = { .tv_sec = 1 };
    amqp_channel_close_ok_t ok = { 0 };
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(a->events, &frame, &tv);

    if (status != AMQP_STATUS_OK)
        return amqp_failed(a, status, "reading events", err);
    if (frame.frame_type != AMQP_FRAME_METHOD)
        return SONDE_EAGAIN;
    if (frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD &&
        frame.channel == CHANNEL_CONTROL) {
        a->control = false;
        (void)amqp_send_method(a->events, CHANNEL_CONTROL,
                               AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
        return SONDE_EAGAIN;
    }
    return amqp_close_reason(a, &frame.payload.method, "reading events", err);
}

static sonde_code take_message(struct amqp *a, sonde_msec deadline,
                               struct message *out, struct sonde_err *err)
{
    const amqp_basic_properties_t *p = &a->message.message.properties;
    struct timeval tv = amqp_left(a, deadline);
    amqp_rpc_reply_t r;

    amqp_maybe_release_buffers(a->events);
    r = amqp_consume_message(a->events, &a->message, &tv, 0);
    if (r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        r.library_error == AMQP_STATUS_TIMEOUT)
        return SONDE_EAGAIN;
    if (r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        r.library_error == AMQP_STATUS_UNEXPECTED_STATE)
        return read_other(a, err);
    if (r.reply_type != AMQP_RESPONSE_NORMAL)
        return amqp_check(a, r, "reading events", err);
    a->has_message = true;
    *out = (struct message){ .kind = a->message.channel == CHANNEL_EVENTS
                                         ? MESSAGE_EVENTS
                                         : MESSAGE_REPLY,
                             .body = view(a->message.message.body) };
    if (p->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG)
        out->content_type = view(p->content_type);
    return SONDE_OK;
}

static sonde_code amqp_next(struct transport *t, sonde_msec deadline,
                            struct message *out, struct sonde_err *err)
{
    struct amqp *a = amqp_of(t);
    sonde_msec limit = a->config.host->monotonic() + WAIT_MAX;
    sonde_code rc;

    drop_message(a);
    if (atomic_load(&a->stopped) || !a->events)
        return sonde_err_set(err, SONDE_ECANCELED, "stopped");
    rc = take_message(a, deadline < limit ? deadline : limit, out, err);
    if (rc != SONDE_OK && rc != SONDE_EAGAIN)
        amqp_hang_up(&a->events);
    return rc;
}

/* ---- asking -------------------------------------------------------------- */

static sonde_code amqp_ask(struct transport *t, const char *method,
                           bool replies, sonde_msec deadline,
                           struct sonde_err *err)
{
    struct amqp *a = amqp_of(t);
    amqp_basic_properties_t p = {
        ._flags =
            AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .content_encoding = amqp_cstring_bytes("utf-8"),
    };
    char *command;
    sonde_code rc = SONDE_OK;
    int status;

    if (!a->events)
        return sonde_err_set(err, SONDE_ECONNECT, "not connected");
    amqp_set_timeout(a, a->events, deadline);
    if (!a->control)
        rc = open_control(a, err);
    if (rc != SONDE_OK)
        return rc;
    command = control_command(method, replies ? a->reply_exchange.ptr : NULL,
                              a->config.oid);
    if (!command)
        return no_memory(err);
    status = amqp_basic_publish(
        a->events, CHANNEL_CONTROL, amqp_view(text_str(&a->pidbox)),
        amqp_empty_bytes, 0, 0, &p, amqp_cstring_bytes(command));
    free(command);
    return status == AMQP_STATUS_OK ? SONDE_OK
                                    : amqp_failed(a, status, method, err);
}

/* Replies that come later are read like any. */
static sonde_code amqp_ask_end(struct transport *t, sonde_msec deadline,
                               struct sonde_err *err)
{
    (void)t;
    (void)deadline;
    (void)err;
    return SONDE_OK;
}

/* ---- life ---------------------------------------------------------------- */

static void amqp_wake(struct transport *t)
{
    atomic_store(&amqp_of(t)->stopped, true);
}

static void amqp_close(struct transport *t)
{
    struct amqp *a = amqp_of(t);

    drop_message(a);
    amqp_say_bye(&a->events);
    amqp_say_bye(&a->meter);
    free(a->absent);
    text_fini(&a->pidbox);
    text_fini(&a->reply_exchange);
    text_fini(&a->reply_queue);
    free(a);
}

sonde_code amqp_transport(const struct transport_config *c,
                          struct transport **out, struct sonde_err *err)
{
    static const struct transport_ops ops = {
        .subscribe = amqp_subscribe,
        .next = amqp_next,
        .ask = amqp_ask,
        .ask_end = amqp_ask_end,
        .measure = amqp_measure,
        .wake = amqp_wake,
        .close = amqp_close,
    };
    sonde_str control = c->options->control_exchange;
    struct amqp *a = calloc(1, sizeof(*a));

    if (!a)
        return no_memory(err);
    a->base.ops = &ops;
    a->config = *c;
    if (!text_add(&a->pidbox, control.ptr, control.len) ||
        !text_addz(&a->pidbox, ".pidbox") ||
        !text_addz(&a->reply_exchange, "reply.") ||
        !text_add(&a->reply_exchange, a->pidbox.ptr, a->pidbox.len) ||
        !text_addz(&a->reply_queue, c->oid) ||
        !text_addz(&a->reply_queue, ".") ||
        !text_add(&a->reply_queue, a->reply_exchange.ptr,
                  a->reply_exchange.len)) {
        amqp_close(&a->base);
        return no_memory(err);
    }
    *out = &a->base;
    return SONDE_OK;
}
