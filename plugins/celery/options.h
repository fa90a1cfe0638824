/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's options, as the host fills them in; options.c has the rows. */
#ifndef PLUGINS_CELERY_OPTIONS_H
#define PLUGINS_CELERY_OPTIONS_H

#include <sonde/plugin.h>

struct celery_options {
    /* the broker */
    sonde_str broker_url;
    sonde_str user, password, password_file;
    sonde_str master_name, sentinel_password;
    sonde_str global_keyprefix, fanout_prefix;
    bool fanout_patterns;
    struct sonde_list priority_steps;
    sonde_str sep;
    sonde_str event_exchange, control_exchange;
    sonde_msec retry_interval;
    int64_t message_limit;
    /* tasks */
    struct sonde_list buckets, queue_wait_buckets;
    bool generic_hostname_task_sent_metric;
    bool generic_hostname_worker_task_metric;
    bool node_names;
    bool created_series;
    int64_t task_limit, series_limit;
    /* workers */
    sonde_msec worker_timeout, purge_offline_worker_metrics;
    int64_t worker_limit;
    /* queues */
    struct sonde_list queues;
    sonde_str default_queue_name;
    int64_t queue_limit;
    sonde_msec inspect_interval, inspect_timeout;
    bool oldest_message_age;
};

#define OPTIONS_COUNT 32
extern const struct sonde_option celery_option_rows[OPTIONS_COUNT];

/* What the rows can not say. */
SONDE_NODISCARD sonde_code options_check(const void *options,
                                         struct sonde_err *err);

#define STEPS_MAX 16
/* The priority steps; their number, or 0 when one is no number below 256. */
size_t options_steps(const struct celery_options *o, int out[STEPS_MAX]);

/* What stands between queue and priority. */
sonde_str options_sep(const struct celery_options *o);

#define BOUNDS_MAX 64
struct bounds {
    double upper[BOUNDS_MAX]; /* ascending, finite */
    size_t count;
};
/* The bounds of the histograms (an +Inf at the end is taken and left out);
 * false when they do not rise or are too many. */
bool options_runtime_bounds(const struct celery_options *o, struct bounds *out);
bool options_wait_bounds(const struct celery_options *o, struct bounds *out);

#endif
