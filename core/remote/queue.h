/* SPDX-License-Identifier: Apache-2.0 */
/* One endpoint: its thread, its place in the log, its lanes: queue.c. */
#ifndef REMOTE_QUEUE_H
#define REMOTE_QUEUE_H

#include "remote/endpoint.h"
#include "remote/remote.h"

struct queue;

/* What a queue runs on; held by `owner` for as long as it lives. */
struct queue_setup {
    const struct remote_deps *deps; /* outlives the queue                 */
    const struct remote_write_config *config;
    const struct config_map *external_labels;
    size_t nth; /* of the endpoints of this name and URL                  */
    void *owner;
    void (*ref)(void *owner);
    void (*unref)(void *owner);
};

/* Makes it; nothing runs yet and no file is opened. */
SONDE_NODISCARD sonde_code queue_new(const struct queue_setup *setup,
                                     struct queue **out, struct sonde_err *err);
/* Opens the saved position and begins. No other queue of the same identity
 * may run. */
SONDE_NODISCARD sonde_code queue_start(struct queue *q, struct sonde_err *err);

enum queue_stop {
    QUEUE_FLUSH, /* what is in the log now is sent, if there is time      */
    QUEUE_HALT,  /* what is under way is waited for                       */
};
/* Asks it to stop, at the latest at a monotonic time; does not wait. */
void queue_stop(struct queue *q, enum queue_stop how, sonde_msec deadline_ms);
/* Stops it (at once, if it was not asked before), saves, frees. NULL is
 * fine. */
void queue_free(struct queue *q);

/* Whether it was started. */
bool queue_runs(const struct queue *q);
/* Asks for another number of lanes, within its bounds, as the queue does
 * itself by load; the change comes when all lanes are empty. */
void queue_want_lanes(struct queue *q, size_t n);
const struct endpoint *queue_endpoint(const struct queue *q);
const struct queue_setup *queue_setup_of(const struct queue *q);
/* The saved position; from any thread. */
struct wal_position queue_oldest(struct queue *q);
/* The newest time of a sample that was sent, 0: none yet; from any thread. */
sonde_msec queue_sent(const struct queue *q);

#endif
