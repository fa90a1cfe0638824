/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to a broker. Redis and AMQP differ in everything but what one wants
 * of them: to hear events, to ask workers, and to measure queues.
 *
 * Threads: `subscribe`, `next`, `ask`, `ask_end` and `tail` belong to the
 * listener, `measure` to the collecting thread; the two use connections of
 * their own, so neither waits for the other. `wake` is for any thread.
 */
#ifndef PLUGINS_CELERY_TRANSPORT_H
#define PLUGINS_CELERY_TRANSPORT_H

#include <pthread.h>

#include "broker.h"
#include "options.h"

enum message_kind {
    MESSAGE_EVENTS,
    MESSAGE_REPLY,  /* of a worker to what was asked */
    MESSAGE_BROKEN, /* could not be unwrapped        */
};

/* The views stay valid until the next call of the transport's `next`. */
struct message {
    enum message_kind kind;
    sonde_str content_type, body;
};

struct queue_size {
    int64_t steps[STEPS_MAX]; /* messages by priority; Redis only         */
    int64_t messages;         /* in all; below 0: no such queue           */
    int64_t consumers;        /* below 0: not told (Redis)                */
};

/* What `measure` is given and fills in. */
struct sizes {
    const sonde_str *queues;
    struct queue_size *sizes; /* as many as there are queues              */
    size_t count;
    int64_t unacked; /* of all queues; below 0: not told (AMQP)        */
};

/* A message that is the next of a queue. */
typedef void transport_tail_fn(void *arg, size_t step, sonde_str payload);

struct transport {
    const struct transport_ops *ops;
};

struct transport_ops {
    /* Connects and subscribes; the listener's connections only. */
    sonde_code (*subscribe)(struct transport *t, sonde_msec deadline,
                            struct sonde_err *err);
    /* The next message; SONDE_EAGAIN: none until `deadline`. After any other
     * failure `subscribe` comes next. */
    sonde_code (*next)(struct transport *t, sonde_msec deadline,
                       struct message *out, struct sonde_err *err);
    /* Sends a command to all workers, on the listener's connections. With
     * `replies` their answers come by `next` until `ask_end`. */
    sonde_code (*ask)(struct transport *t, const char *method, bool replies,
                      sonde_msec deadline, struct sonde_err *err);
    sonde_code (*ask_end)(struct transport *t, sonde_msec deadline,
                          struct sonde_err *err);
    /* Names of queues that the broker knows; `add` may be called with what
     * is known already. NULL: it can not tell. */
    sonde_code (*discover)(struct transport *t, sonde_msec deadline,
                           void (*add)(void *arg, sonde_str queue), void *arg,
                           struct sonde_err *err);
    /* The next message of a queue at each priority, of no length when there
     * is none. NULL: it can not be looked at. */
    sonde_code (*tail)(struct transport *t, sonde_str queue,
                       sonde_msec deadline, transport_tail_fn *each, void *arg,
                       struct sonde_err *err);
    /* The sizes of queues, in one round trip, on a connection of its own. */
    sonde_code (*measure)(struct transport *t, struct sizes *out,
                          sonde_msec deadline, struct sonde_err *err);
    /* What waits in subscribe or next returns soon, for good. */
    void (*wake)(struct transport *t);
    void (*close)(struct transport *t);
};

/* What both are made from; valid until the transport is closed. */
struct transport_config {
    const struct sonde_host *host;
    const struct sonde_target *target;
    const struct celery_options *options;
    const struct broker *broker;
    const struct sonde_tls *tls; /* the job's */
    pthread_mutex_t *files;      /* held while read_file's bytes are used */
    const char *oid;             /* where replies to us go                */
};

SONDE_NODISCARD sonde_code redis_transport(const struct transport_config *c,
                                           struct transport **out,
                                           struct sonde_err *err);
SONDE_NODISCARD sonde_code amqp_transport(const struct transport_config *c,
                                          struct transport **out,
                                          struct sonde_err *err);

/* ---- login.c ------------------------------------------------------------- */

struct login {
    char *user, *password; /* NULL: none */
};
/* What to log in with now: of the file, the URL or the options. */
SONDE_NODISCARD sonde_code login_find(const struct transport_config *c,
                                      struct login *out, struct sonde_err *err);
void login_fini(struct login *l);

/* ---- control.c ----------------------------------------------------------- */

/* The JSON of a command, for free(), or NULL without memory. */
char *control_command(const char *method, const char *reply_exchange,
                      const char *oid);
/* The same wrapped for Redis; `expires` in seconds since the epoch. */
char *control_envelope(const char *command, const char *exchange,
                       double expires);
/* A random id of 36 characters and NUL. */
void control_uuid(char out[37]);

#endif
