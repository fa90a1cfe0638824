/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks under way.
 *
 * Only task-sent and task-received say a task's name, only task-sent its
 * queue; all other events have the id alone. So what an id stands for is
 * remembered, for at most `limit` tasks: the one that was not heard of for
 * the longest time goes first.
 *
 * A task that ended makes room at once. It is kept aside a little longer,
 * among at most a tenth of the limit: a client sends task-sent after the
 * task itself, so that it may come after all else, and it must not then open
 * an entry that nothing ends; and terminated tasks are spoken of twice.
 */
#include "tasks.h"

#include <math.h>
#include <stdlib.h>

static void task_free(struct task *t)
{
    free(t->name);
    free(t->queue);
    free(t);
}

static struct task *task_of(struct node *n)
{
    return n ? TABLE_OWNER(struct task, n) : NULL;
}

static void drop_first(struct table *t)
{
    struct task *task = task_of(t->first);

    table_remove(t, &task->node);
    task_free(task);
}

static struct task *task_new(struct tasks *t, sonde_str id)
{
    struct task *task = calloc(1, sizeof(*task) + id.len);

    if (!task)
        return NULL;
    task->sent = task->eta = NAN;
    memcpy(task->id, id.ptr, id.len);
    if (!table_add(&t->live, &task->node, (sonde_str){ task->id, id.len })) {
        task_free(task);
        return NULL;
    }
    if (t->live.count > t->limit) {
        drop_first(&t->live);
        t->evicted++;
    }
    return task;
}

/* Keeps the first that was told, valid and not too long. */
static void learn(char **field, sonde_str value)
{
    struct text t = { 0 };

    if (*field || value.len == 0)
        return;
    if (text_add_utf8(&t, value, TASK_NAME_MAX))
        *field = t.ptr;
    else
        text_fini(&t);
}

static void learn_times(struct task *task, const struct event *e)
{
    if (e->type == EVENT_SENT)
        task->sent = e->timestamp;
    if (e->type == EVENT_SENT || e->type == EVENT_RECEIVED)
        task->eta = text_time(e->eta);
}

static bool is_final(const struct event *e)
{
    return e->type == EVENT_SUCCEEDED || e->type == EVENT_FAILED ||
           e->type == EVENT_REVOKED ||
           (e->type == EVENT_REJECTED && !e->requeue);
}

static void finish(struct tasks *t, struct task *task)
{
    sonde_str id = task->node.key;

    table_remove(&t->live, &task->node);
    if (!table_add(&t->done, &task->node, id)) {
        /* Cannot be: a table that has buckets takes every node; the first
         * one finds memory or the task is forgotten at the next eviction. */
        (void)table_add(&t->live, &task->node, id);
        return;
    }
    if (t->done.count > t->limit / 10 + 1)
        drop_first(&t->done);
}

struct task *tasks_hear(struct tasks *t, const struct event *e)
{
    struct task *task;

    if (e->uuid.len > TASK_ID_MAX)
        return NULL;
    task = task_of(table_find(&t->live, e->uuid));
    if (task) {
        table_touch(&t->live, &task->node);
    } else {
        task = task_of(table_find(&t->done, e->uuid));
        if (!task) {
            task = task_new(t, e->uuid);
            if (!task)
                return NULL;
        } else {
            learn(&task->name, e->name);
            learn(&task->queue, e->queue);
            return task;
        }
    }
    learn(&task->name, e->name);
    learn(&task->queue, e->queue);
    learn_times(task, e);
    if (is_final(e))
        finish(t, task);
    return task;
}

double tasks_sent(const struct tasks *t, sonde_str id)
{
    struct task *task = task_of(table_find(&t->live, id));

    return task ? task->sent : NAN;
}

void tasks_fini(struct tasks *t)
{
    while (t->live.first)
        drop_first(&t->live);
    while (t->done.first)
        drop_first(&t->done);
    table_fini(&t->live);
    table_fini(&t->done);
}
