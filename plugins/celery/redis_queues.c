/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues in Redis: a list per queue and step of priority, and one hash for
 * what workers have taken and not acknowledged. All lengths are asked for in
 * one round trip.
 */
#include "redis_int.h"

/* The key of a queue's list for a step of priority. */
static bool add_key(const struct redis *r, struct text *t, sonde_str queue,
                    size_t step)
{
    const struct celery_options *o = r->config.options;
    char number[16];

    text_clear(t);
    (void)snprintf(number, sizeof(number), "%d", r->steps[step]);
    if (!text_add_str(t, o->global_keyprefix) || !text_add_str(t, queue))
        return false;
    return r->steps[step] == 0 ||
           (text_add_str(t, options_sep(o)) && text_addz(t, number));
}

sonde_code redis_discover(struct transport *t, sonde_msec deadline,
                          void (*add)(void *arg, sonde_str queue), void *arg,
                          struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    const struct celery_options *o = r->config.options;
    sonde_str sep = options_sep(o);
    struct text key = { 0 };
    struct reply *reply = NULL;
    sonde_code rc = redis_control(r, deadline, err);

    if (rc == SONDE_OK && (!text_add_str(&key, o->global_keyprefix) ||
                           !text_addz(&key, "_kombu.binding.") ||
                           !text_add_str(&key, o->default_queue_name)))
        rc = no_memory(err);
    if (rc == SONDE_OK)
        rc = RESP_ADD(&r->control, err, sonde_cstr("SMEMBERS"), text_str(&key));
    if (rc == SONDE_OK)
        rc = wire_send(&r->control.wire, deadline, err);
    if (rc == SONDE_OK)
        rc = resp_read(&r->control, deadline, &reply, err);
    text_fini(&key);
    if (rc != SONDE_OK) {
        redis_hang_up(r, &r->control);
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
    rc = redis_refused(reply, "SMEMBERS", err);
    reply_free(reply);
    return rc;
}

sonde_code redis_tail(struct transport *t, sonde_str queue, sonde_msec deadline,
                      transport_tail_fn *each, void *arg, struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    struct text key = { 0 };
    sonde_code rc = redis_control(r, deadline, err);

    for (size_t i = 0; i < r->step_count && rc == SONDE_OK; i++)
        rc = add_key(r, &key, queue, i)
                 ? RESP_ADD(&r->control, err, sonde_cstr("LINDEX"),
                            text_str(&key), sonde_cstr("-1"))
                 : no_memory(err);
    if (rc == SONDE_OK)
        rc = wire_send(&r->control.wire, deadline, err);
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
        redis_hang_up(r, &r->control);
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
                     ? RESP_ADD(&r->meter, err, sonde_cstr("LLEN"),
                                text_str(&key))
                     : no_memory(err);
    }
    text_clear(&key);
    if (rc == SONDE_OK)
        rc = text_add_str(&key, r->config.options->global_keyprefix) &&
                     text_addz(&key, "unacked")
                 ? RESP_ADD(&r->meter, err, sonde_cstr("HLEN"), text_str(&key))
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
        rc = redis_refused(reply, "LLEN", err);
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
    redis_hang_up(r, &r->meter);
    return why.code;
}

static sonde_code measure_once(struct redis *r, struct sizes *s,
                               sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (!r->meter.wire.stream)
        rc = redis_connect(r, &r->meter, deadline, err);
    r->meter.wire.answered = false;
    if (rc == SONDE_OK)
        rc = add_lengths(r, s, err);
    if (rc == SONDE_OK)
        rc = wire_send(&r->meter.wire, deadline, err);
    if (rc == SONDE_OK)
        return read_lengths(r, s, deadline, err);
    redis_hang_up(r, &r->meter);
    return rc;
}

/* A kept connection that the server has closed meanwhile is opened anew. */
sonde_code redis_measure(struct transport *t, struct sizes *s,
                         sonde_msec deadline, struct sonde_err *err)
{
    struct redis *r = redis_of(t);
    bool kept = r->meter.wire.stream != NULL;
    sonde_code rc = measure_once(r, s, deadline, err);

    if (kept && !r->meter.wire.stream && !r->meter.wire.answered &&
        rc != SONDE_ETIMEOUT)
        rc = measure_once(r, s, deadline, err);
    return rc;
}
