/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that hears events for as long as its target lives. */
#ifndef PLUGINS_CELERY_LISTENER_H
#define PLUGINS_CELERY_LISTENER_H

#include <pthread.h>

#include "state.h"
#include "transport.h"

struct listener {
    const struct sonde_host *host;
    const struct sonde_target *target;
    const struct celery_options *options;
    struct state *state;
    struct transport *transport;

    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* guards the next two */
    pthread_cond_t changed;
    bool stop, tried;

    /* Of the thread alone: */
    bool connected, down_told, refusal_told;
    sonde_msec backoff;
    sonde_msec inspect_next, inspect_since, inspect_until;
    bool inspecting;
    struct node *tail; /* the queue whose next message is looked at next */
};

void listener_init(struct listener *l);
/* Starts the thread unless it runs, then waits until the first attempt to
 * connect has ended, or for `deadline`. */
SONDE_NODISCARD sonde_code listener_start(struct listener *l,
                                          sonde_msec deadline,
                                          struct sonde_err *err);
/* Ends the thread and waits for it. */
void listener_stop(struct listener *l);

/* One turn of the thread: connects, or takes a message, or neither. Returns
 * for how many milliseconds to pause. For tests. */
sonde_msec listener_step(struct listener *l);

#endif
