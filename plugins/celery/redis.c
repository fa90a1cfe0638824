/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Celery over Redis.
 *
 * Three connections: one that only listens (a subscriber may do nothing
 * else), one on which the listener gives commands, opened when the first is
 * given, and one for the collections, so that measuring never waits for
 * either.
 *
 * Events come by PUBLISH to channels named after exchange and routing key.
 * Each message is unwrapped here, so what leaves looks as on AMQP.
 *
 * Asking workers is a PUBLISH too; their replies are pushed to a list of
 * ours, which they find by a binding that we make first and take away
 * afterwards. The list is looked at between events, every REPLY_POLL ms while
 * an inspection is open: no call waits for workers.
 *
 * A listening connection on which nothing comes is asked by PING whether the
 * server is still there, so a peer that vanished is noticed.
 *
 * Here: names, events, life. Connecting is in redis_conn.c, asking in
 * redis_control.c, queues in redis_queues.c.
 */
#include <stdlib.h>

#include "redis_int.h"

#define PING_AFTER 10000 /* ms without a word */
#define PING_WAIT  10000 /* ms for the answer */

/* ---- names --------------------------------------------------------------- */

/* Glob characters of a prefix stand for themselves. */
static bool add_escaped(struct text *t, sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (strchr("*?[]\\^", s.ptr[i]) && !text_add(t, "\\", 1))
            return false;
        if (!text_add(t, s.ptr + i, 1))
            return false;
    }
    return true;
}

/* "/3.": of all channels. */
static bool make_prefix(struct redis *r)
{
    const struct celery_options *o = r->config.options;
    char database[32];

    if (!text_add_str(&r->prefix, o->global_keyprefix))
        return false;
    if (text_is(o->fanout_prefix, "false"))
        return true;
    if (!text_is(o->fanout_prefix, "true"))
        return text_add_str(&r->prefix, o->fanout_prefix);
    (void)snprintf(database, sizeof(database), "/%lld.",
                   (long long)r->config.broker->database);
    return text_addz(&r->prefix, database);
}

/* What kombu keeps in a set per exchange: routing key, pattern, queue. */
static bool make_binding(struct redis *r)
{
    const struct celery_options *o = r->config.options;
    sonde_str sep = options_sep(o), oid = sonde_cstr(r->config.oid);

    return text_addz(&r->reply_exchange, "reply.") &&
           text_add_str(&r->reply_exchange, o->control_exchange) &&
           text_addz(&r->reply_exchange, ".pidbox") &&
           text_add_str(&r->bindings, o->global_keyprefix) &&
           text_addz(&r->bindings, "_kombu.binding.") &&
           text_add_str(&r->bindings, text_str(&r->reply_exchange)) &&
           text_add_str(&r->reply_queue, o->global_keyprefix) &&
           text_add_str(&r->reply_queue, oid) &&
           text_addz(&r->reply_queue, ".") &&
           text_add_str(&r->reply_queue, text_str(&r->reply_exchange)) &&
           text_add_str(&r->binding, oid) && text_add_str(&r->binding, sep) &&
           text_add_str(&r->binding, sep) && text_add_str(&r->binding, oid) &&
           text_addz(&r->binding, ".") &&
           text_add_str(&r->binding, text_str(&r->reply_exchange));
}

/* ---- events -------------------------------------------------------------- */

static void drop_current(struct redis *r)
{
    envelope_close(&r->envelope);
    reply_free(r->current);
    r->current = NULL;
}

static sonde_code redis_subscribe(struct transport *t, sonde_msec deadline,
                                  struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    const struct celery_options *o = r->config.options;
    struct text pattern = { 0 };
    sonde_code rc = redis_connect(r, &r->events, deadline, err);
    bool ok;

    redis_hang_up(r, &r->control);
    r->asking = false;
    if (rc != SONDE_OK)
        return rc;
    ok = add_escaped(&pattern, text_str(&r->prefix)) &&
         add_escaped(&pattern, o->event_exchange) &&
         text_addz(&pattern, o->fanout_patterns ? "/*" : "");
    rc = ok ? RESP_ADD(&r->events, err, sonde_cstr("PSUBSCRIBE"),
                       text_str(&pattern))
            : no_memory(err);
    if (rc == SONDE_OK)
        rc = wire_send(&r->events.wire, deadline, err);
    if (rc == SONDE_OK)
        rc = redis_expect_ok(&r->events, "PSUBSCRIBE", deadline, err);
    text_fini(&pattern);
    r->heard = r->config.host->monotonic();
    r->pinged = 0;
    if (rc != SONDE_OK)
        redis_hang_up(r, &r->events);
    return rc;
}

/* Whether the other side is still there; asks when it was silent. */
static sonde_code check_peer(struct redis *r, sonde_msec now,
                             struct sonde_err *err)
{
    sonde_code rc;

    if (r->pinged && now - r->pinged > PING_WAIT)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "the server has not answered a PING for %d s",
                             PING_WAIT / 1000);
    if (r->pinged || now - r->heard < PING_AFTER)
        return SONDE_OK;
    r->pinged = now;
    rc = RESP_ADD(&r->events, err, sonde_cstr("PING"));
    return rc == SONDE_OK ? wire_send(&r->events.wire, now + 1000, err) : rc;
}

static void unwrap(struct redis *r, sonde_str payload, enum message_kind kind,
                   struct message *out)
{
    bool ok = envelope_open(payload, &r->envelope);

    *out = (struct message){ .kind = ok ? kind : MESSAGE_BROKEN,
                             .content_type = r->envelope.content_type,
                             .body = r->envelope.body };
}

/* The next message pushed to us; others (PING's answer) are left out. */
static sonde_code read_event(struct redis *r, sonde_msec deadline,
                             struct message *out, struct sonde_err *err)
{
    for (;;) {
        sonde_code rc = resp_read(&r->events, deadline, &r->current, err);

        if (rc != SONDE_OK)
            return rc;
        r->heard = r->config.host->monotonic();
        r->pinged = 0;
        if (text_is(reply_item(r->current, 0), "pmessage")) {
            unwrap(r, reply_item(r->current, 3), MESSAGE_EVENTS, out);
            return SONDE_OK;
        }
        drop_current(r);
    }
}

/* ---- what comes next ----------------------------------------------------- */

static sonde_code redis_next(struct transport *t, sonde_msec deadline,
                             struct message *out, struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    sonde_msec now = r->config.host->monotonic(), until = deadline;
    sonde_code rc = SONDE_OK;

    drop_current(r);
    if (r->asking && r->reply_next == r->reply_count && now >= r->next_poll)
        rc = redis_poll(r, now, err);
    if (rc == SONDE_OK && r->reply_next < r->reply_count) {
        r->current = r->replies[r->reply_next++];
        unwrap(r, text_str(&r->current->text), MESSAGE_REPLY, out);
        return SONDE_OK;
    }
    if (r->asking && r->next_poll < until)
        until = r->next_poll;
    rc = check_peer(r, now, err);
    if (rc == SONDE_OK)
        rc = read_event(r, until, out, err);
    if (rc == SONDE_ETIMEOUT && r->events.wire.stream &&
        !(r->pinged && r->config.host->monotonic() - r->pinged > PING_WAIT))
        return SONDE_EAGAIN;
    if (rc != SONDE_OK)
        redis_hang_up(r, &r->events);
    return rc;
}

/* ---- life ---------------------------------------------------------------- */

static void redis_wake(struct transport *t)
{
    struct redis *r = redis_of(t);
    const struct sonde_host *host = r->config.host;

    (void)pthread_mutex_lock(&r->wake_lock);
    r->stopped = true;
    if (SONDE_HAS(struct sonde_host, host, stream_shut)) {
        if (r->events.wire.stream)
            host->stream_shut(r->events.wire.stream);
        if (r->control.wire.stream)
            host->stream_shut(r->control.wire.stream);
    }
    (void)pthread_mutex_unlock(&r->wake_lock);
}

static void redis_close(struct transport *t)
{
    struct redis *r = redis_of(t);

    drop_current(r);
    redis_forget(r);
    resp_close(&r->events);
    resp_close(&r->control);
    resp_close(&r->meter);
    text_fini(&r->prefix);
    text_fini(&r->reply_exchange);
    text_fini(&r->bindings);
    text_fini(&r->reply_queue);
    text_fini(&r->binding);
    (void)pthread_mutex_destroy(&r->wake_lock);
    free(r);
}

sonde_code redis_transport(const struct transport_config *c,
                           struct transport **out, struct sonde_err *err)
{
    static const struct transport_ops ops = {
        .subscribe = redis_subscribe,
        .next = redis_next,
        .ask = redis_ask,
        .ask_end = redis_ask_end,
        .discover = redis_discover,
        .tail = redis_tail,
        .measure = redis_measure,
        .wake = redis_wake,
        .close = redis_close,
    };
    struct redis *r = calloc(1, sizeof(*r));
    struct resp fresh = { .wire = { .host = c->host,
                                    .target = c->target,
                                    .limit =
                                        (size_t)c->options->message_limit } };

    if (!r)
        return no_memory(err);
    r->base.ops = &ops;
    r->config = *c;
    r->events = r->control = r->meter = fresh;
    r->step_count = options_steps(c->options, r->steps);
    (void)pthread_mutex_init(&r->wake_lock, NULL);
    if (!make_prefix(r) || !make_binding(r)) {
        redis_close(&r->base);
        return no_memory(err);
    }
    *out = &r->base;
    return SONDE_OK;
}
