/* SPDX-License-Identifier: Apache-2.0 */
/* A lane: batches of some series, sent one after the other: lane.c. */
#ifndef REMOTE_LANE_H
#define REMOTE_LANE_H

#include "remote/encode.h"
#include "remote/progress.h"
#include "remote/sending.h"

struct batch {
    struct batch *next;
    struct place begin, end;
    sonde_msec born_ms; /* monotonic, of the first sample                 */
    struct remote_sample *samples;
    size_t count, cap;
};

/* All of the endpoint's thread. */
struct lane {
    struct attempt attempt; /* of the first batch; must come first        */
    struct sending *sending;
    struct batch *head, *tail;
    size_t queued; /* samples in all of them                              */
    bool in_flight;
    bool encoded; /* the attempt's body is the first batch's              */
    bool tried;   /* ... and may have reached the other side              */
    size_t series_sent;       /* samples in the body                       */
    sonde_msec sent_max_ms;   /* their highest time                        */
    sonde_msec not_before_ms; /* of the next try                           */
    struct net_timer timer;   /* a batch is old enough, or the next try    */
    struct place resume;      /* what came before was acknowledged         */
    struct place cut;         /* a batch of a former life ended here       */
};

void lane_init(struct lane *l, struct sending *s, struct lane_progress from);
void lane_fini(struct lane *l);

/* Takes a sample, which stands at a place of the log. */
void lane_add(struct lane *l, struct place at, const struct remote_sample *s);
/* Sends what is due, if nothing is under way. */
void lane_pump(struct lane *l);
/* No more should be read for now. */
bool lane_full(const struct lane *l);
bool lane_empty(const struct lane *l);
/* How far it has come, if the log was read up to `read`. */
struct lane_progress lane_progress(const struct lane *l, struct place read);

#endif
