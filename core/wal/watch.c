/* SPDX-License-Identifier: Apache-2.0 */
/* Looking on while a log is written: how far it is, and waiting for more. */
#include <errno.h>
#include <time.h>

#include "util/clock.h"
#include "wal/writer.h"

struct wal_position wal_end(struct wal *w)
{
    struct wal_position end;

    (void)pthread_mutex_lock(&w->lock);
    end = w->end;
    (void)pthread_mutex_unlock(&w->lock);
    return end;
}

bool wal_wait(struct wal *w, struct wal_position at, sonde_msec deadline_ms)
{
    struct timespec until = clock_timespec(deadline_ms);
    bool more;

    (void)pthread_mutex_lock(&w->lock);
    while (wal_position_cmp(w->end, at) <= 0 && !w->woken)
        if (pthread_cond_timedwait(&w->grown, &w->lock, &until) == ETIMEDOUT)
            break;
    more = wal_position_cmp(w->end, at) > 0;
    (void)pthread_mutex_unlock(&w->lock);
    return more;
}

void wal_wake(struct wal *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->woken = true;
    (void)pthread_cond_broadcast(&w->grown);
    (void)pthread_mutex_unlock(&w->lock);
}

enum wal_compression wal_compression_of(const struct wal *w)
{
    return w->options.compress;
}

uint64_t wal_size(struct wal *w)
{
    uint64_t size;

    (void)pthread_mutex_lock(&w->lock);
    size = w->older_bytes + w->end.offset;
    (void)pthread_mutex_unlock(&w->lock);
    return size;
}

void wal_watch(struct wal *w, struct wal_watch *watch)
{
    (void)pthread_mutex_lock(&w->watch_lock);
    watch->next = w->watchers;
    w->watchers = watch;
    (void)pthread_mutex_unlock(&w->watch_lock);
}

void wal_unwatch(struct wal *w, struct wal_watch *watch)
{
    struct wal_watch **at = &w->watchers;

    (void)pthread_mutex_lock(&w->watch_lock);
    while (*at && *at != watch)
        at = &(*at)->next;
    if (*at)
        *at = watch->next;
    (void)pthread_mutex_unlock(&w->watch_lock);
}
