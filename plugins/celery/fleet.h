/* SPDX-License-Identifier: Apache-2.0 */
/* Workers and queues: who lives, who works on what. */
#ifndef PLUGINS_CELERY_FLEET_H
#define PLUGINS_CELERY_FLEET_H

#include "event.h"
#include "options.h"
#include "table.h"

#define WORKER_NAME_MAX   256
#define WORKER_QUEUES_MAX 256

struct queue {
    struct node node;
    int64_t workers, processes; /* of the last inspection */
    struct tail {
        uint64_t mark;  /* what the next message is recognised by; 0: none */
        double waiting; /* since when, seconds since the epoch             */
    } tails[STEPS_MAX];
    char name[];
};

struct worker {
    struct node node; /* by the node's whole name */
    sonde_str name;
    sonde_str host; /* what the label hostname says */
    /* By events: */
    bool heard;      /* any; the rest of this block is valid             */
    bool online;     /* said so last                                     */
    bool beats;      /* a heartbeat came                                 */
    sonde_msec seen; /* monotonic, at the last event of its own          */
    double freq, active, processed, load[3]; /* NaN: not told            */
    char software[3][64];                    /* ident, ver, sys          */
    /* By inspection: */
    uint64_t round; /* of the last reply; 0: none yet                    */
    double processes, pool, prefetch, uptime, max_rss; /* NaN: not told  */
    struct queue **queues;
    size_t queue_count;
    char key[];
};

struct fleet {
    struct table workers, queues;
    size_t worker_limit, queue_limit;
    uint64_t workers_left_out, queues_left_out;
    bool node_names;
    uint64_t round;       /* of the inspection under way or the last */
    uint64_t inspections; /* that ended                              */
    size_t replied;       /* workers that answered the last one      */
};

/* Finds or makes; NULL when there are too many, or without memory. */
struct worker *fleet_worker(struct fleet *f, sonde_str node);
struct queue *fleet_queue(struct fleet *f, sonde_str name);

/* A worker's own event. */
void fleet_hear(struct fleet *f, const struct event *e, sonde_msec now);
bool fleet_is_up(const struct worker *w, sonde_msec timeout, sonde_msec now);
/* Takes out a worker that was silent for longer than `age`, and fills in its
 * host when no other worker of that host is known any more. False: there is
 * no such worker. */
bool fleet_purge(struct fleet *f, sonde_msec age, sonde_msec now, bool *gone,
                 struct text *host);

/* An inspection: begin, the replies of the workers, end. */
void fleet_begin(struct fleet *f);
/* A reply's body: {"w1@host": result}; false when it is none. */
bool fleet_reply(struct fleet *f, const json_t *body);
void fleet_end(struct fleet *f);

void fleet_fini(struct fleet *f);

#endif
