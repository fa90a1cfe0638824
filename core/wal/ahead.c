/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay with a thread that reads ahead: files, checksums and compression are
 * its work, the callbacks are the caller's. What it has read goes over in
 * loads of a megabyte, copied, a few of them at most; then it waits.
 *
 * Locks: `lock` guards the ring. A load belongs to the reader until it is
 * published, then to the caller until he is done with it.
 */
#include <pthread.h>
#include <stdlib.h>

#include "util/mem.h"
#include "wal/wal.h"

#define LOADS      4
#define LOAD_BYTES ((size_t)1 << 20)
#define LOAD_ITEMS 8192

enum item_kind {
    ITEM_RECORD,
    ITEM_DAMAGE,
    ITEM_SEGMENT,
};

struct item {
    enum item_kind kind;
    size_t at, len;          /* the record, or the damage's path with NUL     */
    struct wal_position end; /* of damage: where                            */
    uint64_t number; /* the last segment, or how many bytes are damaged      */
    const char *why;
};

struct load {
    struct buf bytes;
    struct item *items;
    size_t count, cap;
};

struct ahead {
    const char *dir;
    struct wal_position from;
    const struct wal_replay *replay; /* the caller's                      */
    struct load loads[LOADS];

    pthread_mutex_t lock; /* guards these                                 */
    pthread_cond_t changed;
    size_t published, used; /* counted; the ring is full at LOADS apart     */
    bool stop, ended;
    sonde_code rc; /* of the reader, when it has ended                      */
    struct sonde_err err;
};

/* ---- the reader -------------------------------------------------------- */

/* False if the caller wants no more. */
static bool publish(struct ahead *a)
{
    bool go_on;

    (void)pthread_mutex_lock(&a->lock);
    a->published++;
    (void)pthread_cond_broadcast(&a->changed);
    while (a->published - a->used == LOADS && !a->stop)
        (void)pthread_cond_wait(&a->changed, &a->lock);
    go_on = !a->stop;
    (void)pthread_mutex_unlock(&a->lock);
    if (go_on) {
        struct load *l = &a->loads[a->published % LOADS];

        buf_shrink(&l->bytes, 2 * LOAD_BYTES);
        l->count = 0;
    }
    return go_on;
}

static bool put(struct ahead *a, struct item item, sonde_str bytes)
{
    struct load *l = &a->loads[a->published % LOADS];

    item.at = l->bytes.len;
    item.len = bytes.len;
    buf_put(&l->bytes, bytes);
    l->items = mem_grow(l->items, &l->cap, l->count + 1, sizeof(*l->items));
    l->items[l->count++] = item;
    if (l->bytes.len < LOAD_BYTES && l->count < LOAD_ITEMS)
        return true;
    return publish(a);
}

static sonde_code on_record(void *arg, sonde_str record,
                            struct wal_position end, struct sonde_err *err)
{
    if (put(arg, (struct item){ .kind = ITEM_RECORD, .end = end }, record))
        return SONDE_OK;
    return sonde_err_set(err, SONDE_ECANCELED, "nobody wants more");
}

static void on_damage(void *arg, const struct wal_damage *d)
{
    struct item item = {
        .kind = ITEM_DAMAGE, .end = d->at, .number = d->bytes, .why = d->why
    };

    (void)put(arg, item, (sonde_str){ d->path, strlen(d->path) + 1 });
}

static void on_segment(void *arg, uint64_t segment, uint64_t last)
{
    struct item item = { .kind = ITEM_SEGMENT,
                         .end = { segment, 0 },
                         .number = last };

    (void)put(arg, item, (sonde_str){ 0 });
}

static void *reader_main(void *arg)
{
    struct ahead *a = arg;
    struct wal_replay replay = { .record = on_record,
                                 .damage = on_damage,
                                 .segment = on_segment,
                                 .arg = a };
    sonde_code rc = wal_replay(a->dir, a->from, &replay, &a->err);

    (void)pthread_mutex_lock(&a->lock);
    a->rc = rc;
    a->ended = true;
    if (!a->stop)
        a->published++;
    (void)pthread_cond_broadcast(&a->changed);
    (void)pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* ---- the caller -------------------------------------------------------- */

static sonde_code hand_out(const struct ahead *a, const struct load *l,
                           struct sonde_err *err)
{
    const struct wal_replay *r = a->replay;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < l->count; i++) {
        const struct item *item = &l->items[i];
        const char *bytes = item->len ? l->bytes.data + item->at : "";
        struct wal_damage damage = { bytes, item->end, item->number,
                                     item->why };

        switch (item->kind) {
        case ITEM_RECORD:
            rc = r->record(r->arg, (sonde_str){ bytes, item->len }, item->end,
                           err);
            break;
        case ITEM_DAMAGE:
            if (r->damage)
                r->damage(r->arg, &damage);
            break;
        case ITEM_SEGMENT:
            if (r->segment)
                r->segment(r->arg, item->end.segment, item->number);
            break;
        }
    }
    return rc;
}

/* The next load; NULL at the end. */
static const struct load *next_load(struct ahead *a)
{
    const struct load *l = NULL;

    (void)pthread_mutex_lock(&a->lock);
    while (a->published == a->used && !a->ended)
        (void)pthread_cond_wait(&a->changed, &a->lock);
    if (a->published != a->used)
        l = &a->loads[a->used % LOADS];
    (void)pthread_mutex_unlock(&a->lock);
    return l;
}

static void done_with_load(struct ahead *a, bool stop)
{
    (void)pthread_mutex_lock(&a->lock);
    a->used++;
    a->stop = a->stop || stop;
    (void)pthread_cond_broadcast(&a->changed);
    (void)pthread_mutex_unlock(&a->lock);
}

static sonde_code follow(struct ahead *a, struct sonde_err *err)
{
    const struct load *l;
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && (l = next_load(a))) {
        rc = hand_out(a, l, err);
        done_with_load(a, rc != SONDE_OK);
    }
    return rc;
}

sonde_code wal_replay_ahead(const char *dir, struct wal_position from,
                            const struct wal_replay *replay,
                            struct sonde_err *err)
{
    struct ahead a = { .dir = dir, .from = from, .replay = replay };
    pthread_t reader;
    sonde_code rc;

    (void)pthread_mutex_init(&a.lock, NULL);
    (void)pthread_cond_init(&a.changed, NULL);
    if (pthread_create(&reader, NULL, reader_main, &a) != 0) {
        rc = wal_replay(dir, from, replay, err);
    } else {
        rc = follow(&a, err);
        (void)pthread_join(reader, NULL);
        if (rc == SONDE_OK && a.rc != SONDE_OK) {
            rc = a.rc;
            if (err)
                *err = a.err;
        }
    }
    for (size_t i = 0; i < LOADS; i++) {
        buf_fini(&a.loads[i].bytes);
        free(a.loads[i].items);
    }
    (void)pthread_cond_destroy(&a.changed);
    (void)pthread_mutex_destroy(&a.lock);
    return rc;
}
