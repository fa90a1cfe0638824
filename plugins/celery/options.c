/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options: those of celery-exporter under its names, those of Celery's
 * transports under theirs, and what is ours.
 */
#include "options.h"

#include <math.h>
#include <stdlib.h>

#include "broker.h"
#include "encodings.h"

#define O struct celery_options

const struct sonde_option celery_option_rows[OPTIONS_COUNT] = {
    SONDE_OPT_SECRET(O, broker_url,
                     .help = "The broker's URL, when it is not the target "
                             "itself: redis://, rediss://, sentinel://, "
                             "amqp://, amqps://"),
    SONDE_OPT_STR(O, user, .help = "User at the broker; one in the URL wins",
                  .example = "sonde"),
    SONDE_OPT_SECRET(O, password,
                     .help = "Password at the broker; one in the URL wins"),
    SONDE_OPT_FILE(O, password_file,
                   .help = "File that holds the password, read at each "
                           "connection; wins over the others",
                   .example = "/run/secrets/broker"),
    SONDE_OPT_STR(O, master_name,
                  .help = "Name of the master that sentinels are asked for",
                  .fallback = "mymaster"),
    SONDE_OPT_SECRET(O, sentinel_password,
                     .help = "Password of the sentinels themselves"),
    SONDE_OPT_STR(O, global_keyprefix,
                  .help = "Celery's transport option of this name: stands "
                          "before all keys and channels of Redis"),
    SONDE_OPT_STR(O, fanout_prefix, .fallback = "true",
                  .help = "Celery's transport option: true, false, or the "
                          "prefix of Redis' channels"),
    SONDE_OPT_BOOL(O, fanout_patterns, .fallback = "true",
                   .help = "Celery's transport option: channels of Redis end "
                           "with the routing key"),
    SONDE_OPT_LIST(O, priority_steps,
                   .help = "Celery's transport option: the priorities that "
                           "have a list of their own in Redis, 0, 3, 6, 9 "
                           "unless given"),
    SONDE_OPT_STR(O, sep,
                  .help = "Celery's transport option: stands between queue "
                          "and priority in Redis' keys, the bytes 6 and 22 "
                          "unless given"),
    SONDE_OPT_STR(O, event_exchange, .fallback = "celeryev",
                  .help = "Celery's setting: the exchange of the events"),
    SONDE_OPT_STR(O, control_exchange, .fallback = "celery",
                  .help = "Celery's setting: begins the name of the exchange "
                          "on which workers are inspected"),
    SONDE_OPT_DURATION(O, retry_interval, .fallback = "30s", .min = 100,
                       .max = 3600000,
                       .help = "Longest pause between attempts to reach the "
                               "broker; the first is a second"),
    SONDE_OPT_SIZE(O, message_limit, .fallback = "16MB", .min = 65536,
                   .max = INT64_C(1) << 29,
                   .help = "Longest message that is taken; a longer one ends "
                           "the connection"),
    SONDE_OPT_LIST(O, buckets,
                   .help = "Bounds of celery_task_runtime in seconds, 0.005 "
                           "to 10 as in the exporter unless given"),
    SONDE_OPT_LIST(O, queue_wait_buckets,
                   .help = "Bounds of celery_task_queue_wait_time in seconds, "
                           "0.05 to 1800 as in the exporter unless given"),
    SONDE_OPT_BOOL(O, generic_hostname_task_sent_metric, .fallback = "false",
                   .help = "celery_task_sent_total has hostname=\"generic\""),
    SONDE_OPT_BOOL(O, generic_hostname_worker_task_metric, .fallback = "false",
                   .help = "All other metrics of tasks have "
                           "hostname=\"generic\""),
    SONDE_OPT_BOOL(O, node_names, .fallback = "false",
                   .help = "The label hostname is the whole name of the node "
                           "(w1@host), so that workers of one host stay "
                           "apart"),
    SONDE_OPT_BOOL(O, created_series, .fallback = "false",
                   .help = "Add the _created series that the exporter's "
                           "client library makes"),
    SONDE_OPT_INT(O, task_limit, .fallback = "10000", .min = 100,
                  .max = 10000000,
                  .help = "Tasks under way whose name and queue are "
                          "remembered"),
    SONDE_OPT_INT(O, series_limit, .fallback = "10000", .min = 10,
                  .max = 1000000,
                  .help = "Most combinations of task, host and queue that are "
                          "counted apart"),
    SONDE_OPT_DURATION(O, worker_timeout, .fallback = "5m",
                       .help = "A worker that was not heard of for so long is "
                               "down; 0: never"),
    SONDE_OPT_DURATION(O, purge_offline_worker_metrics, .fallback = "10m",
                       .help = "After so long all series of its host are "
                               "forgotten; 0: never"),
    SONDE_OPT_INT(O, worker_limit, .fallback = "5000", .min = 10,
                  .max = 1000000, .help = "Most workers that are known"),
    SONDE_OPT_LIST(O, queues, .help = "Queues that are always reported",
                   .example = "[celery]"),
    SONDE_OPT_STR(O, default_queue_name, .fallback = "celery",
                  .help = "Queue of tasks whose task-sent was not seen"),
    SONDE_OPT_INT(O, queue_limit, .fallback = "1000", .min = 10, .max = 100000,
                  .help = "Most queues that are known"),
    SONDE_OPT_DURATION(O, inspect_interval, .fallback = "30s",
                       .help = "How often workers are asked for their queues "
                               "and pools, in the background; 0: never"),
    SONDE_OPT_DURATION(O, inspect_timeout, .fallback = "1s", .min = 50,
                       .max = 60000,
                       .help = "How long their answers are waited for"),
    SONDE_OPT_BOOL(O, oldest_message_age, .fallback = "true",
                   .help = "Look at the next message of each queue in Redis "
                           "at the inspect_interval"),
};

size_t options_steps(const struct celery_options *o, int out[STEPS_MAX])
{
    static const int usual[] = { 0, 3, 6, 9 };
    size_t n = 0;

    if (o->priority_steps.count == 0) {
        memcpy(out, usual, sizeof(usual));
        return sizeof(usual) / sizeof(usual[0]);
    }
    for (size_t i = 0; i < o->priority_steps.count; i++) {
        int64_t v = 0;

        if (n == STEPS_MAX || !text_whole(o->priority_steps.items[i], 255, &v))
            return 0;
        out[n++] = (int)v;
    }
    return n;
}

sonde_str options_sep(const struct celery_options *o)
{
    return o->sep.len ? o->sep : SONDE_STR("\x06\x16");
}

/* ---- buckets ------------------------------------------------------------- */

static bool read_bounds(const struct sonde_list *list, struct bounds *out)
{
    out->count = 0;
    for (size_t i = 0; i < list->count; i++) {
        char *end = NULL;
        double v = strtod(list->items[i].ptr, &end);

        if (end == list->items[i].ptr || *end || isnan(v))
            return false;
        if (v > 0 && isinf(v) && i + 1 == list->count)
            break;
        if (isinf(v) || out->count == BOUNDS_MAX ||
            (out->count && v <= out->upper[out->count - 1]))
            return false;
        out->upper[out->count++] = v;
    }
    return out->count > 0;
}

bool options_runtime_bounds(const struct celery_options *o, struct bounds *out)
{
    static const struct bounds usual = {
        { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5,
          10 },
        14,
    };

    *out = usual;
    return o->buckets.count == 0 || read_bounds(&o->buckets, out);
}

bool options_wait_bounds(const struct celery_options *o, struct bounds *out)
{
    static const struct bounds usual = {
        { 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800 },
        14,
    };

    *out = usual;
    return o->queue_wait_buckets.count == 0 ||
           read_bounds(&o->queue_wait_buckets, out);
}

/* ---- checks -------------------------------------------------------------- */

static sonde_code check_url(const struct celery_options *o,
                            struct sonde_err *err)
{
    struct broker b;
    sonde_code rc;

    if (o->broker_url.len == 0)
        return SONDE_OK;
    rc = broker_parse(o->broker_url, &b, err);
    if (rc == SONDE_OK)
        broker_fini(&b);
    return rc;
}

sonde_code options_check(const void *options, struct sonde_err *err)
{
    const struct celery_options *o = options;
    struct bounds bounds;
    int steps[STEPS_MAX];

    if (o->password.len && o->password_file.len)
        return sonde_err_set(err, SONDE_EINVAL,
                             "password and password_file are both given: use "
                             "one of them");
    if (!options_runtime_bounds(o, &bounds))
        return sonde_err_set(err, SONDE_EINVAL,
                             "buckets: expected 1 to %d rising numbers",
                             BOUNDS_MAX);
    if (!options_wait_bounds(o, &bounds))
        return sonde_err_set(err, SONDE_EINVAL,
                             "queue_wait_buckets: expected 1 to %d rising "
                             "numbers",
                             BOUNDS_MAX);
    if (options_steps(o, steps) == 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "priority_steps: expected 1 to %d numbers from 0 "
                             "to 255",
                             STEPS_MAX);
    return check_url(o, err);
}
