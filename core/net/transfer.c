/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a request's curl handle. Handles are pooled by the loop, not
 * owned by clients: one costs some 5 KB, its receive buffer more, and of
 * thousands of targets only a few are being fetched at any moment. Nothing is
 * lost by this, since connections (and TLS sessions, and resolved names)
 * belong to the multi handle.
 *
 * A handle that is in use when its client goes becomes an orphan: from inside
 * curl's turn it can not be removed, so it is put on the deferred list, and
 * its callbacks see that nobody listens any more.
 */
#include "net/transfer.h"

#include <stdlib.h>

#include "util/mem.h"

/* Handles kept for later; more are made and thrown away as needed, which
 * costs a microsecond each. */
#define TRANSFER_IDLE_MAX 2
/* What an idle handle's arena may keep. */
#define TRANSFER_ARENA_KEEP ((size_t)16 << 10)

static void link_active(struct net_loop *loop, struct transfer *t)
{
    t->next = NULL;
    t->prev = loop->active_last;
    if (t->prev)
        t->prev->next = t;
    else
        loop->active = t;
    loop->active_last = t;
    loop->active_count++;
}

static void unlink_active(struct net_loop *loop, struct transfer *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        loop->active = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        loop->active_last = t->prev;
    t->prev = t->next = NULL;
    loop->active_count--;
}

struct transfer *transfer_take(struct net_loop *loop)
{
    struct transfer *t = loop->idle;

    if (t) {
        loop->idle = t->next;
        loop->idle_count--;
    } else {
        t = mem_new(struct transfer);
        t->loop = loop;
        t->easy = curl_easy_init();
        if (!t->easy)
            mem_abort("curl handle", 0);
        arena_init(&t->arena);
    }
    link_active(loop, t);
    return t;
}

static void transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    arena_fini(&t->arena);
    free(t);
}

static void take_off(struct transfer *t)
{
    if (t->added)
        (void)curl_multi_remove_handle(t->loop->multi, t->easy);
    t->added = false;
    net_timer_clear(t->loop, &t->timer);
    answer_fini(&t->answer);
}

static void undefer(struct transfer *t)
{
    struct transfer **at = &t->loop->deferred;

    while (t->deferred && *at != t)
        at = &(*at)->deferred_next;
    if (t->deferred)
        *at = t->deferred_next;
    t->deferred = false;
}

void transfer_release(struct transfer *t)
{
    struct net_loop *loop = t->loop;
    CURL *easy = t->easy;
    struct arena arena = t->arena;

    undefer(t);
    take_off(t);
    unlink_active(loop, t);
    if (loop->idle_count >= TRANSFER_IDLE_MAX) {
        transfer_free(t);
        return;
    }
    if (arena.used_bytes > TRANSFER_ARENA_KEEP)
        arena_fini(&arena);
    arena_reset(&arena);
    /* Also forgets credentials. */
    curl_easy_reset(easy);
    *t = (struct transfer){ .loop = loop, .easy = easy, .arena = arena };
    t->next = loop->idle;
    loop->idle = t;
    loop->idle_count++;
}

void transfer_free_idle(struct net_loop *loop)
{
    while (loop->idle) {
        struct transfer *t = loop->idle;

        loop->idle = t->next;
        transfer_free(t);
    }
    loop->idle_count = 0;
}

static void defer(struct transfer *t)
{
    if (t->deferred)
        return;
    t->deferred = true;
    t->deferred_next = t->loop->deferred;
    t->loop->deferred = t;
}

void transfer_launch(struct transfer *t)
{
    if (t->loop->in_curl) {
        defer(t);
        return;
    }
    /* Fails only for a handle that is in use, which ours never is. */
    if (curl_multi_add_handle(t->loop->multi, t->easy) != CURLM_OK)
        SONDE_BUG("curl does not take a handle that is not in use");
    t->added = true;
}

void transfer_abandon(struct transfer *t)
{
    t->client = NULL;
    if (t->loop->in_curl)
        defer(t);
    else
        transfer_release(t);
}

void transfer_run_deferred(struct net_loop *loop)
{
    while (loop->deferred) {
        struct transfer *t = loop->deferred;

        loop->deferred = t->deferred_next;
        t->deferred = false;
        if (t->client)
            transfer_launch(t);
        else
            transfer_release(t);
    }
}
