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
 */
#include <stdlib.h>

#include "event.h"
#include "resp.h"
#include "transport.h"

#define REPLY_POLL  50    /* ms between looks at the list of replies   */
#define REPLY_BATCH 32    /* replies that are taken at once            */
#define PING_AFTER  10000 /* ms without a word                         */
#define PING_WAIT   10000 /* ms for the answer                         */

struct redis {
    struct transport base;
    struct transport_config config;
    struct text prefix;         /* of channels: "/3."      */
    struct text reply_exchange; /* "reply.celery.pidbox"   */
    struct text bindings;       /* the set of its queues   */
    struct text reply_queue;    /* our list                */
    struct text binding;        /* and how workers find it */
    int steps[STEPS_MAX];
    size_t step_count;

    struct resp events, control, meter;
    pthread_mutex_t wake_lock; /* guards events.stream against `wake` */
    bool stopped;

    bool asking;
    sonde_msec next_poll;
    struct reply *replies[REPLY_BATCH];
    size_t reply_next, reply_count;

    sonde_msec heard, pinged; /* pinged: 0 when nothing is open */
    struct reply *current;    /* what the last message points into */
    struct envelope envelope;
};

static struct redis *redis_of(struct transport *t)
{
    return (struct redis *)(void *)t;
}

static sonde_str literal(const char *z)
{
    return sonde_cstr(z);
}

/* ---- names --------------------------------------------------------------- */

static bool add_str(struct text *t, sonde_str s)
{
    return text_add(t, s.ptr, s.len);
}

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

    if (!add_str(&r->prefix, o->global_keyprefix))
        return false;
    if (text_is(o->fanout_prefix, "false"))
        return true;
    if (!text_is(o->fanout_prefix, "true"))
        return add_str(&r->prefix, o->fanout_prefix);
    (void)snprintf(database, sizeof(database), "/%lld.",
                   (long long)r->config.broker->database);
    return text_addz(&r->prefix, database);
}

/* What kombu keeps in a set per exchange: routing key, pattern, queue. */
static bool make_binding(struct redis *r)
{
    const struct celery_options *o = r->config.options;
    sonde_str sep = options_sep(o), oid = literal(r->config.oid);

    return text_addz(&r->reply_exchange, "reply.") &&
           add_str(&r->reply_exchange, o->control_exchange) &&
           text_addz(&r->reply_exchange, ".pidbox") &&
           add_str(&r->bindings, o->global_keyprefix) &&
           text_addz(&r->bindings, "_kombu.binding.") &&
           add_str(&r->bindings, text_str(&r->reply_exchange)) &&
           add_str(&r->reply_queue, o->global_keyprefix) &&
           add_str(&r->reply_queue, oid) && text_addz(&r->reply_queue, ".") &&
           add_str(&r->reply_queue, text_str(&r->reply_exchange)) &&
           add_str(&r->binding, oid) && add_str(&r->binding, sep) &&
           add_str(&r->binding, sep) && add_str(&r->binding, oid) &&
           text_addz(&r->binding, ".") &&
           add_str(&r->binding, text_str(&r->reply_exchange));
}

/* The key of a queue's list for a step of priority. */
static bool add_key(const struct redis *r, struct text *t, sonde_str queue,
                    size_t step)
{
    const struct celery_options *o = r->config.options;
    char number[16];

    text_clear(t);
    (void)snprintf(number, sizeof(number), "%d", r->steps[step]);
    if (!add_str(t, o->global_keyprefix) || !add_str(t, queue))
        return false;
    return r->steps[step] == 0 ||
           (add_str(t, options_sep(o)) && text_addz(t, number));
}

static sonde_code no_memory(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

/* ---- connecting ---------------------------------------------------------- */

/* A reply that is an error, as a code; AUTH's text is never passed on, for a
 * server may repeat what it was sent. */
static sonde_code refused(const struct reply *r, const char *what,
                          struct sonde_err *err)
{
    bool auth = strcmp(what, "AUTH") == 0;

    if (r->type != REDIS_REPLY_ERROR)
        return SONDE_OK;
    if (auth)
        return sonde_err_set(err, SONDE_EAUTH,
                             "AUTH is refused: wrong user or password, or the "
                             "server has none");
    return sonde_err_set(
        err,
        text_starts(text_str(&r->text), "NOAUTH") ? SONDE_EAUTH : SONDE_EPROTO,
        "%s is refused: %.200s", what, r->text.ptr ? r->text.ptr : "");
}

static sonde_code expect_ok(struct resp *c, const char *what,
                            sonde_msec deadline, struct sonde_err *err)
{
    struct reply *r = NULL;
    sonde_code rc = resp_read(c, deadline, &r, err);

    if (rc == SONDE_OK)
        rc = refused(r, what, err);
    reply_free(r);
    return rc;
}

static sonde_code add_auth(struct resp *c, const struct login *l,
                           struct sonde_err *err)
{
    if (l->user)
        return RESP_ADD(c, err, literal("AUTH"), literal(l->user),
                        literal(l->password));
    return RESP_ADD(c, err, literal("AUTH"), literal(l->password));
}

/* AUTH, SELECT and a name, in one round trip. */
static sonde_code greet(struct redis *r, struct resp *c, const struct login *l,
                        sonde_msec deadline, struct sonde_err *err)
{
    char database[32];
    sonde_code rc = SONDE_OK;

    (void)snprintf(database, sizeof(database), "%lld",
                   (long long)r->config.broker->database);
    if (l->password)
        rc = add_auth(c, l, err);
    if (rc == SONDE_OK)
        rc = RESP_ADD(c, err, literal("SELECT"), literal(database));
    if (rc == SONDE_OK)
        rc = RESP_ADD(c, err, literal("CLIENT"), literal("SETNAME"),
                      literal("sonde-celery"));
    if (rc == SONDE_OK)
        rc = resp_send(c, deadline, err);
    if (rc == SONDE_OK && l->password)
        rc = expect_ok(c, "AUTH", deadline, err);
    if (rc == SONDE_OK)
        rc = expect_ok(c, "SELECT", deadline, err);
    if (rc == SONDE_OK) {
        rc = expect_ok(c, "CLIENT SETNAME", deadline, err);
        if (rc == SONDE_EPROTO && c->answered) /* an ACL may not have it */
            rc = SONDE_OK;
    }
    return rc;
}

/* Names itself as the wake-able stream once it is open. */
static sonde_code dial(struct redis *r, struct resp *c, sonde_str address,
                       sonde_msec deadline, struct sonde_err *err)
{
    struct sonde_tls tls = broker_tls(r->config.broker, r->config.tls);
    struct resp fresh = *c;
    sonde_code rc;

    fresh.stream = NULL;
    fresh.reader = NULL;
    fresh.out = (struct text){ 0 };
    rc = resp_open(&fresh, address, r->config.broker->tls ? &tls : NULL,
                   deadline, err);
    if (rc != SONDE_OK)
        return rc;
    (void)pthread_mutex_lock(&r->wake_lock);
    *c = fresh;
    if (c->reader)
        c->reader->privdata = c;
    rc = r->stopped ? sonde_err_set(err, SONDE_ECANCELED, "stopped") : SONDE_OK;
    (void)pthread_mutex_unlock(&r->wake_lock);
    return rc;
}

static void hang_up(struct redis *r, struct resp *c)
{
    (void)pthread_mutex_lock(&r->wake_lock);
    resp_close(c);
    (void)pthread_mutex_unlock(&r->wake_lock);
}

/* What a sentinel says where the master is: "host:port". */
static sonde_code ask_sentinel(struct redis *r, const char *sentinel,
                               struct text *out, sonde_msec deadline,
                               struct sonde_err *err)
{
    const struct celery_options *o = r->config.options;
    struct resp c = { .host = r->config.host,
                      .target = r->config.target,
                      .limit = 65536 };
    struct reply *reply = NULL;
    sonde_str host;
    sonde_code rc = resp_open(&c, literal(sentinel), NULL, deadline, err);

    if (rc == SONDE_OK && o->sentinel_password.len)
        rc = RESP_ADD(&c, err, literal("AUTH"), o->sentinel_password);
    if (rc == SONDE_OK)
        rc = RESP_ADD(&c, err, literal("SENTINEL"),
                      literal("get-master-addr-by-name"), o->master_name);
    if (rc == SONDE_OK)
        rc = resp_send(&c, deadline, err);
    if (rc == SONDE_OK && o->sentinel_password.len)
        rc = expect_ok(&c, "AUTH", deadline, err);
    if (rc == SONDE_OK)
        rc = resp_read(&c, deadline, &reply, err);
    if (rc == SONDE_OK)
        rc = refused(reply, "SENTINEL", err);
    if (rc == SONDE_OK && reply->count != 2)
        rc = sonde_err_set(err, SONDE_ENOTFOUND,
                           "sentinel %s knows no master \"%.*s\"", sentinel,
                           SONDE_ARG(o->master_name));
    if (rc == SONDE_OK) {
        host = reply_item(reply, 0);
        text_clear(out);
        if (host.len && memchr(host.ptr, ':', host.len)
                ? !text_addz(out, "[") || !add_str(out, host) ||
                      !text_addz(out, "]:")
                : !add_str(out, host) || !text_addz(out, ":"))
            rc = no_memory(err);
        if (rc == SONDE_OK && !add_str(out, reply_item(reply, 1)))
            rc = no_memory(err);
    }
    reply_free(reply);
    resp_close(&c);
    return rc;
}

static sonde_code find_master(struct redis *r, struct text *out,
                              sonde_msec deadline, struct sonde_err *err)
{
    const struct broker *b = r->config.broker;
    sonde_code rc = SONDE_ENOTFOUND;

    if (b->kind == BROKER_REDIS)
        return text_addz(out, b->hosts[0].address) ? SONDE_OK : no_memory(err);
    for (size_t i = 0; i < b->host_count && rc != SONDE_OK; i++)
        rc = ask_sentinel(r, b->hosts[i].address, out, deadline, err);
    return rc;
}

/* Opens one of the connections. A password that is refused is looked up once
 * more: the file may have been changed between reading and asking. */
static sonde_code connect_to(struct redis *r, struct resp *c,
                             sonde_msec deadline, struct sonde_err *err)
{
    struct text address = { 0 };
    struct login login = { 0 };
    bool again = r->config.options->password_file.len > 0;
    sonde_code rc = find_master(r, &address, deadline, err);

    while (rc == SONDE_OK) {
        hang_up(r, c);
        rc = login_find(&r->config, &login, err);
        if (rc == SONDE_OK)
            rc = dial(r, c, text_str(&address), deadline, err);
        if (rc == SONDE_OK)
            rc = greet(r, c, &login, deadline, err);
        login_fini(&login);
        if (rc != SONDE_EAUTH || !again)
            break;
        again = false;
        rc = SONDE_OK;
    }
    if (rc != SONDE_OK)
        hang_up(r, c);
    text_fini(&address);
    return rc;
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
    sonde_code rc = connect_to(r, &r->events, deadline, err);
    bool ok;

    hang_up(r, &r->control);
    r->asking = false;
    if (rc != SONDE_OK)
        return rc;
    ok = add_escaped(&pattern, text_str(&r->prefix)) &&
         add_escaped(&pattern, o->event_exchange) &&
         text_addz(&pattern, o->fanout_patterns ? "/*" : "");
    rc = ok ? RESP_ADD(&r->events, err, literal("PSUBSCRIBE"),
                       text_str(&pattern))
            : no_memory(err);
    if (rc == SONDE_OK)
        rc = resp_send(&r->events, deadline, err);
    if (rc == SONDE_OK)
        rc = expect_ok(&r->events, "PSUBSCRIBE", deadline, err);
    text_fini(&pattern);
    r->heard = r->config.host->monotonic();
    r->pinged = 0;
    if (rc != SONDE_OK)
        hang_up(r, &r->events);
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
    rc = RESP_ADD(&r->events, err, literal("PING"));
    return rc == SONDE_OK ? resp_send(&r->events, now + 1000, err) : rc;
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

/* ---- asking -------------------------------------------------------------- */

static sonde_code control_ready(struct redis *r, sonde_msec deadline,
                                struct sonde_err *err)
{
    return r->control.stream ? SONDE_OK
                             : connect_to(r, &r->control, deadline, err);
}

/* Sends what was added and reads `n` replies that must be no errors. */
static sonde_code control_trip(struct redis *r, size_t n, const char *what,
                               sonde_msec deadline, struct sonde_err *err)
{
    struct sonde_err first = { 0 };
    sonde_code rc = resp_send(&r->control, deadline, err), refusal = SONDE_OK;

    for (size_t i = 0; i < n && rc == SONDE_OK; i++) {
        struct reply *reply = NULL;

        rc = resp_read(&r->control, deadline, &reply, err);
        if (rc == SONDE_OK && refusal == SONDE_OK)
            refusal = refused(reply, what, &first);
        reply_free(reply);
    }
    if (rc != SONDE_OK)
        hang_up(r, &r->control);
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
    bool ok = command && add_str(&exchange, o->control_exchange) &&
              text_addz(&exchange, ".pidbox") &&
              add_str(&channel, text_str(&r->prefix)) &&
              add_str(&channel, text_str(&exchange));

    if (ok)
        envelope = control_envelope(command, exchange.ptr,
                                    (double)r->config.host->now() / 1000 + 300);
    rc = envelope ? RESP_ADD(&r->control, err, literal("PUBLISH"),
                             text_str(&channel), literal(envelope))
                  : no_memory(err);
    free(command);
    free(envelope);
    text_fini(&exchange);
    text_fini(&channel);
    return rc;
}

static sonde_code redis_ask(struct transport *t, const char *method,
                            bool replies, sonde_msec deadline,
                            struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    sonde_code rc = control_ready(r, deadline, err);

    if (rc == SONDE_OK && replies)
        rc = RESP_ADD(&r->control, err, literal("SADD"), text_str(&r->bindings),
                      text_str(&r->binding));
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

static sonde_code redis_ask_end(struct transport *t, sonde_msec deadline,
                                struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    sonde_code rc = control_ready(r, deadline, err);

    r->asking = false;
    if (rc == SONDE_OK)
        rc = RESP_ADD(&r->control, err, literal("SREM"), text_str(&r->bindings),
                      text_str(&r->binding));
    if (rc == SONDE_OK)
        rc = RESP_ADD(&r->control, err, literal("DEL"),
                      text_str(&r->reply_queue));
    if (rc == SONDE_OK)
        rc = control_trip(r, 2, "taking the binding away", deadline, err);
    return rc;
}

static void forget_replies(struct redis *r)
{
    while (r->reply_next < r->reply_count)
        reply_free(r->replies[r->reply_next++]);
    r->reply_next = r->reply_count = 0;
}

/* Takes what is there; a full batch is looked for again at once. */
static sonde_code poll_replies(struct redis *r, sonde_msec now,
                               struct sonde_err *err)
{
    sonde_code rc = control_ready(r, now + 1000, err);

    forget_replies(r);
    for (size_t i = 0; i < REPLY_BATCH && rc == SONDE_OK; i++)
        rc = RESP_ADD(&r->control, err, literal("RPOP"),
                      text_str(&r->reply_queue));
    if (rc == SONDE_OK)
        rc = resp_send(&r->control, now + 1000, err);
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
        hang_up(r, &r->control);
    return rc;
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
        rc = poll_replies(r, now, err);
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
    if (rc == SONDE_ETIMEOUT && r->events.stream &&
        !(r->pinged && r->config.host->monotonic() - r->pinged > PING_WAIT))
        return SONDE_EAGAIN;
    if (rc != SONDE_OK)
        hang_up(r, &r->events);
    return rc;
}

/* ---- queues -------------------------------------------------------------- */

static sonde_code redis_discover(struct transport *t, sonde_msec deadline,
                                 void (*add)(void *arg, sonde_str queue),
                                 void *arg, struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    const struct celery_options *o = r->config.options;
    sonde_str sep = options_sep(o);
    struct text key = { 0 };
    struct reply *reply = NULL;
    sonde_code rc = control_ready(r, deadline, err);

    if (rc == SONDE_OK && (!add_str(&key, o->global_keyprefix) ||
                           !text_addz(&key, "_kombu.binding.") ||
                           !add_str(&key, o->default_queue_name)))
        rc = no_memory(err);
    if (rc == SONDE_OK)
        rc = RESP_ADD(&r->control, err, literal("SMEMBERS"), text_str(&key));
    if (rc == SONDE_OK)
        rc = resp_send(&r->control, deadline, err);
    if (rc == SONDE_OK)
        rc = resp_read(&r->control, deadline, &reply, err);
    text_fini(&key);
    if (rc != SONDE_OK) {
        hang_up(r, &r->control);
        return rc;
    }
    for (size_t i = 0; i < reply->count; i++) {
        sonde_str member = reply_item(reply, i);
        const char *at;

        while (member.len &&
               (at = memmem(member.ptr, member.len, sep.ptr, sep.len)))
            member = text_after(member, (size_t)(at - member.ptr) + sep.len);
        if (member.len)
            add(arg, member);
    }
    rc = refused(reply, "SMEMBERS", err);
    reply_free(reply);
    return rc;
}

static sonde_code redis_tail(struct transport *t, sonde_str queue,
                             sonde_msec deadline, transport_tail_fn *each,
                             void *arg, struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    struct text key = { 0 };
    sonde_code rc = control_ready(r, deadline, err);

    for (size_t i = 0; i < r->step_count && rc == SONDE_OK; i++)
        rc = add_key(r, &key, queue, i)
                 ? RESP_ADD(&r->control, err, literal("LINDEX"), text_str(&key),
                            literal("-1"))
                 : no_memory(err);
    if (rc == SONDE_OK)
        rc = resp_send(&r->control, deadline, err);
    for (size_t i = 0; i < r->step_count && rc == SONDE_OK; i++) {
        struct reply *reply = NULL;

        rc = resp_read(&r->control, deadline, &reply, err);
        if (rc == SONDE_OK)
            each(arg, i,
                 reply->type == REDIS_REPLY_STRING ? text_str(&reply->text)
                                                   : (sonde_str){ 0 });
        reply_free(reply);
    }
    if (rc != SONDE_OK)
        hang_up(r, &r->control);
    text_fini(&key);
    return rc;
}

static sonde_code add_lengths(struct redis *r, const struct sizes *s,
                              struct sonde_err *err)
{
    struct text key = { 0 };
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; k < r->step_count && rc == SONDE_OK; k++)
            rc = add_key(r, &key, s->queues[i], k)
                     ? RESP_ADD(&r->meter, err, literal("LLEN"), text_str(&key))
                     : no_memory(err);
    }
    text_clear(&key);
    if (rc == SONDE_OK)
        rc = add_str(&key, r->config.options->global_keyprefix) &&
                     text_addz(&key, "unacked")
                 ? RESP_ADD(&r->meter, err, literal("HLEN"), text_str(&key))
                 : no_memory(err);
    text_fini(&key);
    return rc;
}

/* A number, or what was wrong: WRONGTYPE says that the key is no queue. */
static sonde_code read_length(struct redis *r, int64_t *out,
                              sonde_msec deadline, struct sonde_err *err)
{
    struct reply *reply = NULL;
    sonde_code rc = resp_read(&r->meter, deadline, &reply, err);

    *out = 0;
    if (rc == SONDE_OK && reply->type == REDIS_REPLY_INTEGER)
        *out = reply->integer;
    else if (rc == SONDE_OK &&
             !text_starts(text_str(&reply->text), "WRONGTYPE"))
        rc = refused(reply, "LLEN", err);
    reply_free(reply);
    return rc;
}

static sonde_code read_lengths(struct redis *r, struct sizes *s,
                               sonde_msec deadline, struct sonde_err *err)
{
    struct sonde_err first = { 0 }, why = { 0 };

    for (size_t i = 0; i < s->count; i++) {
        struct queue_size *q = &s->sizes[i];

        *q = (struct queue_size){ .consumers = -1 };
        for (size_t k = 0; k < r->step_count; k++) {
            sonde_code rc = read_length(r, &q->steps[k], deadline, &why);

            if (rc == SONDE_EPROTO && first.code == SONDE_OK)
                first = why; /* refused: the rest is still read */
            else if (rc != SONDE_OK && rc != SONDE_EPROTO)
                goto broken;
            q->messages += q->steps[k];
        }
    }
    if (read_length(r, &s->unacked, deadline, &why) == SONDE_EPROTO)
        s->unacked = -1;
    else if (why.code != SONDE_OK && why.code != SONDE_EPROTO)
        goto broken;
    if (first.code != SONDE_OK)
        *err = first;
    return first.code;
broken:
    *err = why;
    hang_up(r, &r->meter);
    return why.code;
}

static sonde_code measure_once(struct redis *r, struct sizes *s,
                               sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (!r->meter.stream)
        rc = connect_to(r, &r->meter, deadline, err);
    r->meter.answered = false;
    if (rc == SONDE_OK)
        rc = add_lengths(r, s, err);
    if (rc == SONDE_OK)
        rc = resp_send(&r->meter, deadline, err);
    if (rc == SONDE_OK)
        return read_lengths(r, s, deadline, err);
    hang_up(r, &r->meter);
    return rc;
}

/* A kept connection that the server has closed meanwhile is opened anew. */
static sonde_code redis_measure(struct transport *t, struct sizes *s,
                                sonde_msec deadline, struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    bool kept = r->meter.stream != NULL;
    sonde_code rc = measure_once(r, s, deadline, err);

    if (kept && !r->meter.stream && !r->meter.answered && rc != SONDE_ETIMEOUT)
        rc = measure_once(r, s, deadline, err);
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
        if (r->events.stream)
            host->stream_shut(r->events.stream);
        if (r->control.stream)
            host->stream_shut(r->control.stream);
    }
    (void)pthread_mutex_unlock(&r->wake_lock);
}

static void redis_close(struct transport *t)
{
    struct redis *r = redis_of(t);

    drop_current(r);
    forget_replies(r);
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
    struct resp fresh = { .host = c->host,
                          .target = c->target,
                          .limit = (size_t)c->options->message_limit };

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
