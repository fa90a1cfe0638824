/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of Celery over Redis share; redis.c says how they fit. */
#ifndef PLUGINS_CELERY_REDIS_INT_H
#define PLUGINS_CELERY_REDIS_INT_H

#include "event.h"
#include "resp.h"
#include "transport.h"

#define REPLY_BATCH 32 /* replies that are taken at once */

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

static inline struct redis *redis_of(struct transport *t)
{
    return (struct redis *)(void *)t;
}

/* ---- redis_conn.c -------------------------------------------------------- */

/* Opens one of the three connections: finds the master, dials, logs in. */
SONDE_NODISCARD sonde_code redis_connect(struct redis *r, struct resp *c,
                                         sonde_msec deadline,
                                         struct sonde_err *err);
void redis_hang_up(struct redis *r, struct resp *c);
/* A reply that is an error, as a code. */
SONDE_NODISCARD sonde_code redis_refused(const struct reply *r,
                                         const char *what,
                                         struct sonde_err *err);
/* Reads a reply of which only matters that it is no error. */
SONDE_NODISCARD sonde_code redis_expect_ok(struct resp *c, const char *what,
                                           sonde_msec deadline,
                                           struct sonde_err *err);

/* ---- redis_control.c ----------------------------------------------------- */

/* Opens the connection for commands unless it is open. */
SONDE_NODISCARD sonde_code redis_control(struct redis *r, sonde_msec deadline,
                                         struct sonde_err *err);
/* Takes workers' replies that are there into `replies`; a full batch is
 * looked for again at once. */
SONDE_NODISCARD sonde_code redis_poll(struct redis *r, sonde_msec now,
                                      struct sonde_err *err);
void redis_forget(struct redis *r); /* the replies not looked at */
sonde_code redis_ask(struct transport *t, const char *method, bool replies,
                     sonde_msec deadline, struct sonde_err *err);
sonde_code redis_ask_end(struct transport *t, sonde_msec deadline,
                         struct sonde_err *err);

/* ---- redis_queues.c ------------------------------------------------------ */

sonde_code redis_discover(struct transport *t, sonde_msec deadline,
                          void (*add)(void *arg, sonde_str queue), void *arg,
                          struct sonde_err *err);
sonde_code redis_tail(struct transport *t, sonde_str queue, sonde_msec deadline,
                      transport_tail_fn *each, void *arg,
                      struct sonde_err *err);
sonde_code redis_measure(struct transport *t, struct sizes *s,
                         sonde_msec deadline, struct sonde_err *err);

#endif
