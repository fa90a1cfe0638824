/* SPDX-License-Identifier: Apache-2.0 */
/* All that is known of one Celery installation, made from what it says. */
#ifndef PLUGINS_CELERY_STATE_H
#define PLUGINS_CELERY_STATE_H

#include <pthread.h>

#include "fleet.h"
#include "series.h"
#include "tasks.h"

/* Why an event was not counted. */
enum drop {
    DROP_CONTENT_TYPE, /* in a serialiser that is not JSON           */
    DROP_MALFORMED,    /* no envelope, no JSON, no event             */
    DROP_LIMIT,        /* a limit of the options is reached          */
    DROP_REASONS
};
extern const char *const drop_names[DROP_REASONS];

#define CONTENT_TYPES_MAX 16
struct content_type {
    char name[64];
    uint64_t count;
};

/* Everything below is guarded by `lock`: the listener writes, a collection
 * reads. */
struct state {
    pthread_mutex_t lock;
    const struct celery_options *options;
    struct tasks tasks;
    struct series_set series;
    struct fleet fleet;

    uint64_t events[EVENT_TYPES];
    uint64_t dropped[DROP_REASONS];
    uint64_t unnamed; /* task events whose task's name was not known */
    struct content_type content_types[CONTENT_TYPES_MAX];
    size_t content_type_count;
    bool mute_told; /* that workers send no task events */

    /* The subscription. */
    bool up;
    uint64_t connects, failures;
    double up_since; /* seconds since the epoch */
    char error[512]; /* of the last failure     */
    /* The last inspection. */
    bool inspect_ok;
    double inspect_seconds, inspect_last;
    char inspect_error[256];
    bool tails_known;
};

SONDE_NODISCARD sonde_code state_init(struct state *s,
                                      const struct celery_options *options,
                                      struct sonde_err *err);
void state_fini(struct state *s);

/* What came, at a time of both clocks: `now` in seconds since the epoch. */
struct instant {
    double now;
    sonde_msec monotonic;
};

/* A message of the event exchange: counts all events in it. */
void state_message(struct state *s, sonde_str content_type, sonde_str body,
                   struct instant at);
/* A message that could not even be unwrapped. */
void state_broken(struct state *s);
/* A reply to an inspection. */
void state_reply(struct state *s, sonde_str content_type, sonde_str body);
/* Forgets the workers that have been silent for too long. To be called with
 * the lock held. */
void state_purge(struct state *s, struct instant at);
/* The next message of a queue's list: since when it has been waiting. A
 * `payload` of no length: the list is empty. */
void state_tail(struct state *s, sonde_str queue, size_t step,
                sonde_str payload, double now);

#endif
