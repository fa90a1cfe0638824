/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes of queues in RabbitMQ, by declaring each passively: all questions go
 * out, then the answers are read. A queue that is not there ends the channel
 * and all that was asked on it behind, so the rest is asked again on a fresh
 * one.
 */
#include <stdlib.h>

#include "amqp_int.h"

#define ABSENT 15000 /* ms until a queue that is not there is asked for */

static sonde_code meter_ready(struct amqp *a, sonde_msec deadline,
                              struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (!a->meter) {
        a->meter_channel = false;
        rc = amqp_connect_any(a, 0, deadline, &a->meter, err);
    }
    if (rc == SONDE_OK)
        amqp_set_timeout(a, a->meter, deadline);
    if (rc == SONDE_OK && !a->meter_channel) {
        rc = amqp_open_channel(a, a->meter, 1, err);
        a->meter_channel = rc == SONDE_OK;
    }
    return rc;
}

/* The broker logs an error for each question about a queue that is not there,
 * so it is not asked again for a while. */
static bool is_absent(const struct amqp *a, size_t queue, sonde_msec now)
{
    return queue < a->absent_count && now < a->absent[queue];
}

static void set_absent(struct amqp *a, size_t queue, sonde_msec until)
{
    sonde_msec *grown;

    if (queue >= a->absent_count) {
        grown = realloc(a->absent, (queue + 1) * sizeof(*grown));
        if (!grown)
            return;
        memset(grown + a->absent_count, 0,
               (queue + 1 - a->absent_count) * sizeof(*grown));
        a->absent = grown;
        a->absent_count = queue + 1;
    }
    a->absent[queue] = until;
}

/* Declaring passively asks for a queue that is there. */
static sonde_code ask_sizes(struct amqp *a, const struct sizes *s, size_t from,
                            sonde_msec now, struct sonde_err *err)
{
    for (size_t i = from; i < s->count; i++) {
        amqp_queue_declare_t d = { .queue = amqp_view(s->queues[i]),
                                   .passive = 1 };
        int status;

        if (is_absent(a, i, now))
            continue;
        status = amqp_send_method(a->meter, 1, AMQP_QUEUE_DECLARE_METHOD, &d);
        if (status != AMQP_STATUS_OK)
            return amqp_failed(a, status, "asking for a queue", err);
    }
    return SONDE_OK;
}

/* A queue that is not there ends the channel; what was asked after it on that
 * channel is not answered. SONDE_EAGAIN: so it was. */
static sonde_code read_size(struct amqp *a, struct queue_size *out,
                            sonde_msec deadline, struct sonde_err *err)
{
    struct timeval tv = amqp_left(a, deadline);
    amqp_channel_close_ok_t ok = { 0 };
    const amqp_channel_close_t *end;
    const amqp_queue_declare_ok_t *size;
    amqp_frame_t f;
    int status = amqp_simple_wait_frame_noblock(a->meter, &f, &tv);

    *out = (struct queue_size){ .messages = -1, .consumers = -1 };
    if (status != AMQP_STATUS_OK)
        return amqp_failed(a, status, "asking for a queue", err);
    if (f.frame_type == AMQP_FRAME_METHOD &&
        f.payload.method.id == AMQP_QUEUE_DECLARE_OK_METHOD) {
        size = f.payload.method.decoded;
        out->messages = size->message_count;
        out->consumers = size->consumer_count;
        return SONDE_OK;
    }
    if (f.frame_type != AMQP_FRAME_METHOD)
        return sonde_err_set(err, SONDE_EPROTO, "an unexpected frame");
    end = f.payload.method.decoded;
    if (f.payload.method.id != AMQP_CHANNEL_CLOSE_METHOD)
        return amqp_close_reason(a, &f.payload.method, "asking for a queue",
                                 err);
    a->meter_channel = false;
    if (end->reply_code != AMQP_NOT_FOUND)
        (void)amqp_close_reason(a, &f.payload.method, "asking for a queue",
                                err);
    status = amqp_send_method(a->meter, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    return status == AMQP_STATUS_OK
               ? SONDE_EAGAIN
               : amqp_failed(a, status, "asking for a queue", err);
}

/* Reads the answers from the `done`-th queue on, until all are there or one
 * queue turns out to be absent. */
static sonde_code read_sizes(struct amqp *a, struct sizes *s, size_t *done,
                             sonde_msec now, sonde_msec deadline,
                             struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && *done < s->count) {
        s->sizes[*done] = (struct queue_size){ .messages = -1 };
        if (!is_absent(a, *done, now))
            rc = read_size(a, &s->sizes[*done], deadline, err);
        if (rc == SONDE_EAGAIN)
            set_absent(a, *done, now + ABSENT);
        *done += rc == SONDE_OK || rc == SONDE_EAGAIN;
    }
    return rc == SONDE_EAGAIN ? SONDE_OK : rc;
}

static sonde_code measure_once(struct amqp *a, struct sizes *s, size_t *done,
                               sonde_msec deadline, struct sonde_err *err)
{
    sonde_msec now = a->config.host->monotonic();
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && *done < s->count) {
        rc = meter_ready(a, deadline, err);
        if (rc == SONDE_OK)
            rc = ask_sizes(a, s, *done, now, err);
        if (rc == SONDE_OK)
            rc = read_sizes(a, s, done, now, deadline, err);
    }
    if (a->meter)
        amqp_maybe_release_buffers(a->meter);
    if (rc != SONDE_OK)
        amqp_hang_up(&a->meter);
    return rc;
}

/* A kept connection that the broker has closed meanwhile is opened anew. */
sonde_code amqp_measure(struct transport *t, struct sizes *s,
                        sonde_msec deadline, struct sonde_err *err)
{
    struct amqp *a = amqp_of(t);
    bool kept = a->meter != NULL;
    size_t done = 0;
    sonde_code rc;

    s->unacked = -1;
    rc = measure_once(a, s, &done, deadline, err);
    if (rc != SONDE_OK && rc != SONDE_ETIMEOUT && kept && done == 0)
        rc = measure_once(a, s, &done, deadline, err);
    return rc;
}
