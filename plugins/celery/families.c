/* SPDX-License-Identifier: Apache-2.0 */
/* The families: those of celery-exporter under its names, then ours. */
#include "emit.h"

#define TASK_LABELS .labels = { "name", "hostname", "queue_name" }
#define FAILED_LABELS                                                          \
    .labels = { "name", "hostname", "exception", "queue_name" }
#define HOST_LABEL  .labels = { "hostname" }
#define QUEUE_LABEL .labels = { "queue_name" }

#define TASK(event, word, text)                                                \
    [F_TASKS + (event)] = { .name = "celery_task_" word "_total",              \
                            .type = SONDE_METRIC_COUNTER,                      \
                            .help = text,                                      \
                            TASK_LABELS },                                     \
               [F_TASKS_CREATED +                                              \
                   (event)] = { .name = "celery_task_" word "_created",        \
                                .type = SONDE_METRIC_GAUGE,                    \
                                .help = "When the counter began",              \
                                TASK_LABELS }
#define GAUGE(text)   .type = SONDE_METRIC_GAUGE, .help = (text)
#define COUNTER(text) .type = SONDE_METRIC_COUNTER, .help = (text)
#define SECONDS       .unit = "seconds"

const struct sonde_family celery_families[F_COUNT] = {
    TASK(EVENT_SENT, "sent", "Tasks whose message was published"),
    TASK(EVENT_RECEIVED, "received", "Tasks that a worker received"),
    TASK(EVENT_STARTED, "started", "Tasks that a worker began to execute"),
    TASK(EVENT_SUCCEEDED, "succeeded", "Tasks that were executed well"),
    [F_TASKS + EVENT_FAILED] = { .name = "celery_task_failed_total",
                                 COUNTER("Tasks whose execution failed"),
                                 FAILED_LABELS },
    [F_TASKS_CREATED + EVENT_FAILED] = { .name = "celery_task_failed_created",
                                         GAUGE("When the counter began"),
                                         FAILED_LABELS },
    TASK(EVENT_REJECTED, "rejected", "Tasks that a worker rejected"),
    TASK(EVENT_REVOKED, "revoked", "Tasks that were revoked"),
    TASK(EVENT_RETRIED, "retried", "Tasks that failed and will be retried"),
    [F_RUNTIME] = { .name = "celery_task_runtime",
                    .type = SONDE_METRIC_HISTOGRAM,
                    .help = "Seconds that tasks ran which succeeded",
                    TASK_LABELS },
    [F_RUNTIME_CREATED] = { .name = "celery_task_runtime_created",
                            GAUGE("When the histogram began"),
                            TASK_LABELS },
    [F_WAIT] = { .name = "celery_task_queue_wait_time",
                 .type = SONDE_METRIC_HISTOGRAM,
                 .help = "Seconds from sending, or the ETA, to the start",
                 TASK_LABELS },
    [F_WAIT_CREATED] = { .name = "celery_task_queue_wait_time_created",
                         GAUGE("When the histogram began"),
                         TASK_LABELS },
    [F_WORKER_UP] = { .name = "celery_worker_up",
                      GAUGE("1 if a worker has said so and was heard of "
                            "lately"),
                      HOST_LABEL },
    [F_WORKER_ACTIVE] = { .name = "celery_worker_tasks_active",
                          GAUGE("Tasks that the worker executes now"),
                          HOST_LABEL },
    [F_QUEUE_LENGTH] = { .name = "celery_queue_length",
                         GAUGE("Messages in the queue, of all priorities"),
                         QUEUE_LABEL },
    [F_CONSUMERS] = { .name = "celery_active_consumer_count",
                      GAUGE("Consumers of the queue (AMQP only)"),
                      QUEUE_LABEL },
    [F_WORKERS] = { .name = "celery_active_worker_count",
                    GAUGE("Workers that consume the queue"),
                    QUEUE_LABEL },
    [F_PROCESSES] = { .name = "celery_active_process_count",
                      GAUGE("Processes of the workers that consume the queue"),
                      QUEUE_LABEL },

    [F_UP] = { .name = "celery_up",
               GAUGE("1 while events are heard from the broker") },
    [F_CONNECTS] = { .name = "celery_subscriptions_total",
                     COUNTER("Times that events began to be heard; the second "
                             "is a reconnect") },
    [F_FAILURES] = { .name = "celery_subscription_failures_total",
                     COUNTER("Connections to the broker that failed or were "
                             "lost") },
    [F_UP_SINCE] = { .name = "celery_subscription_start_timestamp_seconds",
                     GAUGE("When events began to be heard last"),
                     SECONDS },
    [F_EVENTS] = { .name = "celery_events_total",
                   COUNTER("Events heard; other: of types that no counter "
                           "has"),
                   .labels = { "type" } },
    [F_DROPPED] = { .name = "celery_events_dropped_total",
                    COUNTER("Messages or events that could not be counted"),
                    .labels = { "reason" } },
    [F_CONTENT_TYPES] = { .name = "celery_events_undecoded_total",
                          COUNTER("Messages in a serialiser other than JSON"),
                          .labels = { "content_type" } },
    [F_UNNAMED] = { .name = "celery_events_unnamed_total",
                    COUNTER("Events of tasks whose name was not heard; they "
                            "are counted as name=\"None\"") },
    [F_TASKS_KNOWN] = { .name = "celery_tasks_remembered",
                        GAUGE("Tasks under way whose name and queue are "
                              "remembered") },
    [F_TASKS_EVICTED] = { .name = "celery_tasks_forgotten_total",
                          COUNTER("Tasks under way that were forgotten for "
                                  "task_limit") },
    [F_LEFT_OUT] = { .name = "celery_left_out_total",
                     COUNTER("Mentions of workers and queues beyond the "
                             "limits"),
                     .labels = { "kind" } },
    [F_HEARTBEAT_AGE] = { .name = "celery_worker_heartbeat_age_seconds",
                          GAUGE("Since the worker was heard of, unless it "
                                "went offline in order"),
                          SECONDS,
                          HOST_LABEL },
    [F_HEARTBEAT_INTERVAL] = { .name =
                                   "celery_worker_heartbeat_interval_seconds",
                               GAUGE("Time between heartbeats that the worker "
                                     "promises"),
                               SECONDS,
                               HOST_LABEL },
    [F_PROCESSED] = { .name = "celery_worker_tasks_processed_total",
                      COUNTER("Tasks processed since the worker started"),
                      HOST_LABEL },
    [F_LOAD] = { .name = "celery_worker_load_average",
                 GAUGE("Load average of the worker's host"),
                 .labels = { "hostname", "minutes" } },
    [F_POOL] = { .name = "celery_worker_pool_size",
                 GAUGE("Tasks that the worker can execute at once"),
                 HOST_LABEL },
    [F_PREFETCH] = { .name = "celery_worker_prefetch_count",
                     GAUGE("Messages that the worker takes in advance"),
                     HOST_LABEL },
    [F_UPTIME] = { .name = "celery_worker_uptime_seconds",
                   GAUGE("Since the worker started"),
                   SECONDS,
                   HOST_LABEL },
    [F_MAX_RSS] = { .name = "celery_worker_max_resident_memory_bytes",
                    GAUGE("Most memory that the worker's main process had"),
                    .unit = "bytes",
                    HOST_LABEL },
    [F_WORKER_INFO] = { .name = "celery_worker_info",
                        GAUGE("1, with what the worker says it is"),
                        .labels = { "hostname", "node", "sw_ident", "sw_ver",
                                    "sw_sys" } },
    [F_PRIORITY_LENGTH] = { .name = "celery_queue_priority_length",
                            GAUGE("Messages in the queue by priority (Redis "
                                  "only)"),
                            .labels = { "queue_name", "priority" } },
    [F_UNACKED] = { .name = "celery_unacked_messages",
                    GAUGE("Messages that workers hold unacknowledged, of all "
                          "queues (Redis only)") },
    [F_OLDEST] = { .name = "celery_queue_oldest_message_age_seconds",
                   GAUGE("How long the next message has waited at least, 0 "
                         "when there is none (Redis only)"),
                   SECONDS,
                   QUEUE_LABEL },
    [F_INSPECT_REPLIES] = { .name = "celery_inspect_workers",
                            GAUGE("Workers that answered the last "
                                  "inspection") },
    [F_INSPECT_SECONDS] = { .name = "celery_inspect_duration_seconds",
                            GAUGE("What the last inspection took"),
                            SECONDS },
    [F_INSPECT_LAST] = { .name = "celery_inspect_timestamp_seconds",
                         GAUGE("When the last inspection ended"),
                         SECONDS },
};
