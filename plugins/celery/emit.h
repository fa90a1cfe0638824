/* SPDX-License-Identifier: Apache-2.0 */
/* What is emitted, and the families it belongs to. */
#ifndef PLUGINS_CELERY_EMIT_H
#define PLUGINS_CELERY_EMIT_H

#include "state.h"
#include "transport.h"

enum celery_family {
    F_TASKS, /* eight, in the order of enum event_type */
    F_TASKS_CREATED = F_TASKS + EVENT_TASKS,
    F_RUNTIME = F_TASKS_CREATED + EVENT_TASKS,
    F_RUNTIME_CREATED,
    F_WAIT,
    F_WAIT_CREATED,
    F_WORKER_UP,
    F_WORKER_ACTIVE,
    F_QUEUE_LENGTH,
    F_CONSUMERS,
    F_WORKERS,
    F_PROCESSES,
    /* Ours: */
    F_UP,
    F_CONNECTS,
    F_FAILURES,
    F_UP_SINCE,
    F_EVENTS,
    F_DROPPED,
    F_CONTENT_TYPES,
    F_UNNAMED,
    F_TASKS_KNOWN,
    F_TASKS_EVICTED,
    F_LEFT_OUT,
    F_HEARTBEAT_AGE,
    F_HEARTBEAT_INTERVAL,
    F_PROCESSED,
    F_LOAD,
    F_POOL,
    F_PREFETCH,
    F_UPTIME,
    F_MAX_RSS,
    F_WORKER_INFO,
    F_PRIORITY_LENGTH,
    F_UNACKED,
    F_OLDEST,
    F_INSPECT_REPLIES,
    F_INSPECT_SECONDS,
    F_INSPECT_LAST,
    F_COUNT
};
extern const struct sonde_family celery_families[F_COUNT];

struct emit {
    const struct sonde_host *host;
    struct sonde_sink *sink;
    struct instant at;
};

/* All that the state holds; with its lock held. */
void emit_state(const struct emit *e, const struct state *s);
/* What was measured. `steps`: the priorities, as many as `step_count`. */
void emit_sizes(const struct emit *e, const struct sizes *sizes,
                const int *steps, size_t step_count);
/* Who works on what, as the last inspection has it; with the lock held. */
void emit_fleet(const struct emit *e, const struct state *s);

#endif
