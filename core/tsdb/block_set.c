/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See block_set.h. A reader takes the present list under a lock that is held
 * for a few instructions and gives it back when it is done. Replacing makes a
 * new list and swaps the pointer; the old one lives until its last reader has
 * gone, and with it the blocks that are not in the new one. Counting is under
 * the lock too: a reader is a query, of which there are thousands a second at
 * most.
 */
#include "tsdb/block_set.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/mem.h"

#define STOP_POLL_MS 100

static struct block_set *set_new(struct block_sets *s, size_t count)
{
    struct block_set *set = mem_new(struct block_set);

    set->sets = s;
    set->refs = 1;
    set->items = mem_alloc((count + 1) * sizeof(struct block *));
    set->head_from = INT64_MIN;
    return set;
}

void block_sets_init(struct block_sets *s)
{
    pthread_condattr_t attr;

    *s = (struct block_sets){ .alive = 1 };
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->freed, &attr);
    (void)pthread_condattr_destroy(&attr);
    s->now = set_new(s, 0);
}

void block_sets_fini(struct block_sets *s)
{
    if (!s->now)
        return;
    block_set_put(s->now);
    s->now = NULL;
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->freed);
}

struct block_set *block_set_get(struct block_sets *s)
{
    struct block_set *set;

    (void)pthread_mutex_lock(&s->lock);
    set = s->now;
    set->refs++;
    (void)pthread_mutex_unlock(&s->lock);
    return set;
}

void block_set_put(struct block_set *set)
{
    struct block_sets *s = set->sets;
    bool last;

    (void)pthread_mutex_lock(&s->lock);
    last = --set->refs == 0;
    (void)pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    for (size_t i = 0; i < set->count; i++)
        block_unref(set->items[i]);
    free(set->items);
    free(set);
    (void)pthread_mutex_lock(&s->lock);
    s->alive--;
    (void)pthread_cond_broadcast(&s->freed);
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- replacing -------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct block_meta *x = block_meta(*(struct block *const *)a);
    const struct block_meta *y = block_meta(*(struct block *const *)b);

    if (x->mint != y->mint)
        return x->mint < y->mint ? -1 : 1;
    return strcmp(x->ulid.text, y->ulid.text);
}

static bool is_in(const struct block *b, struct block *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == b)
            return true;
    return false;
}

void block_sets_replace(struct block_sets *s, struct block *const *gone,
                        size_t gone_count, struct block *fresh,
                        sonde_msec head_from)
{
    struct block_set *old = s->now;
    struct block_set *set = set_new(s, old->count + 1);

    for (size_t i = 0; i < old->count; i++)
        if (!is_in(old->items[i], gone, gone_count))
            set->items[set->count++] = block_ref(old->items[i]);
    if (fresh)
        set->items[set->count++] = fresh;
    qsort(set->items, set->count, sizeof(struct block *), by_time);
    for (size_t i = 0; i < set->count; i++)
        set->bytes += block_bytes(set->items[i]);
    set->head_from = head_from > old->head_from ? head_from : old->head_from;
    (void)pthread_mutex_lock(&s->lock);
    s->now = set;
    s->alive++;
    (void)pthread_mutex_unlock(&s->lock);
    block_set_put(old);
}

bool block_sets_settle(struct block_sets *s, const _Atomic bool *stop,
                       sonde_msec wait_ms)
{
    sonde_msec now = clock_monotonic(&clock_system), end = now + wait_ms;
    bool settled;

    (void)pthread_mutex_lock(&s->lock);
    while (s->alive > 1 && now < end && !(stop && atomic_load(stop))) {
        struct timespec at = clock_timespec(now + STOP_POLL_MS);

        (void)pthread_cond_timedwait(&s->freed, &s->lock, &at);
        now = clock_monotonic(&clock_system);
    }
    settled = s->alive == 1;
    (void)pthread_mutex_unlock(&s->lock);
    return settled;
}

sonde_msec block_set_end(const struct block_set *set)
{
    sonde_msec end = INT64_MIN;

    for (size_t i = 0; i < set->count; i++) {
        const struct block_meta *m = block_meta(set->items[i]);

        if (!m->from_out_of_order && m->other_hint_count == 0 && m->maxt > end)
            end = m->maxt;
    }
    return end;
}
