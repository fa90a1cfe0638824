/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks under way: what an id stands for. */
#ifndef PLUGINS_CELERY_TASKS_H
#define PLUGINS_CELERY_TASKS_H

#include "event.h"
#include "table.h"

#define TASK_NAME_MAX 256 /* bytes of a name or queue that are kept */
#define TASK_ID_MAX   256 /* a longer one is no id                   */

struct task {
    struct node node;   /* by id */
    char *name, *queue; /* NULL: not told yet */
    double sent, eta;   /* seconds since the epoch, NaN: not told */
    char id[];
};

struct tasks {
    struct table live; /* least recently heard of first */
    struct table done; /* in the order in which they ended */
    size_t limit;
    uint64_t evicted; /* live ones that had to go */
};

/* The task that the event is about, with what the event says of it; a task
 * that ends is still found for a while. Valid until the next call; NULL
 * without memory. */
struct task *tasks_hear(struct tasks *t, const struct event *e);
/* When the task was sent; NaN when that was not heard. */
double tasks_sent(const struct tasks *t, sonde_str id);
void tasks_fini(struct tasks *t);

#endif
