/* SPDX-License-Identifier: Apache-2.0 */
/* The counters and histograms of tasks, by name, host and queue. */
#ifndef PLUGINS_CELERY_SERIES_H
#define PLUGINS_CELERY_SERIES_H

#include "event.h"
#include "options.h"
#include "table.h"

#define EXCEPTIONS_MAX 100 /* kinds of failure of one task that are told */

struct histogram {
    double created, sum;
    uint64_t count;
    uint64_t counts[]; /* one per bound, not cumulative */
};

struct failure {
    char *exception;
    uint64_t count;
    double created;
};

struct series {
    struct node node;             /* by "name NUL host NUL queue" */
    sonde_str name, host, queue;  /* views into the key */
    uint64_t counts[EVENT_TASKS]; /* EVENT_FAILED's is in failures */
    bool told;                    /* the counters of workers are shown */
    bool sent;                    /* so is that of clients            */
    double created, created_sent;
    struct failure *failures;
    size_t failure_count;
    struct histogram *runtime, *wait; /* NULL: nothing observed */
    char key[];
};

struct series_set {
    struct table table; /* in the order in which they came */
    size_t limit;
    struct bounds runtime, wait;
};

/* Finds or makes one; NULL when the limit is reached, or without memory. */
struct series *series_get(struct series_set *set, sonde_str name,
                          sonde_str host, sonde_str queue);
/* Adds `by` to the failures with that exception; a kind too many is counted
 * as "other". */
bool series_failed(struct series *s, sonde_str exception, uint64_t by,
                   double now);
bool series_observe(struct histogram **h, const struct bounds *bounds,
                    double value, double now);
/* Forgets what has that host. */
void series_purge(struct series_set *set, sonde_str host);
void series_fini(struct series_set *set);

#endif
