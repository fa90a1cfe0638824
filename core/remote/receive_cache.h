/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiver's series cache: from the bytes that name a series in a
 * request to its reference. See receive_cache.c for the plan.
 */
#ifndef REMOTE_RECEIVE_CACHE_H
#define REMOTE_RECEIVE_CACHE_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "storage/storage.h"

/* 128 bits of a keyed hash. */
struct receive_key {
    uint64_t low, high;
};

/* Two to a cache line. */
struct receive_entry {
    struct receive_key key;
    series_ref ref;         /* under the lock                             */
    _Atomic uint32_t next;  /* index of the entry that came after it      */
    _Atomic uint16_t epoch; /* in which it was seen last                  */
    _Atomic uint16_t meta;  /* what its metadata hash to; 0: never told   */
};

#define RECEIVE_SECRET_BYTES 192

struct receive_cache {
    pthread_rwlock_t lock; /* reading: finding; writing: what changes it */
    struct receive_entry *items;
    size_t count, cap, limit;
    uint32_t *table;   /* open addressing: 1 + index, 0 empty             */
    size_t table_size; /* a power of two, or 0                            */
    uint16_t epoch;
    sonde_msec swept; /* monotonic                                        */
    uint8_t secret[RECEIVE_SECRET_BYTES];
};

/* `limit`: entries at most. */
void receive_cache_init(struct receive_cache *c, size_t limit);
void receive_cache_fini(struct receive_cache *c);

/* The key of some bytes. Needs no lock. */
struct receive_key receive_cache_key(const struct receive_cache *c,
                                     sonde_str bytes);

#define RECEIVE_NOWHERE UINT32_MAX

uint32_t receive_cache_probe(const struct receive_cache *c,
                             struct receive_key key);

static inline bool receive_key_eq(struct receive_key a, struct receive_key b)
{
    return a.low == b.low && a.high == b.high;
}

/* The index of a key's entry, or RECEIVE_NOWHERE; `*at` is the entry that the
 * caller saw last (RECEIVE_NOWHERE at first), and becomes this one. Under
 * the lock, held for reading at least. */
static inline uint32_t receive_cache_find(struct receive_cache *c,
                                          struct receive_key key, uint32_t *at)
{
    uint32_t guess = 0, found;

    if (*at < c->count)
        guess = atomic_load_explicit(&c->items[*at].next, memory_order_relaxed);
    if (guess < c->count && receive_key_eq(c->items[guess].key, key)) {
        found = guess;
    } else {
        found = receive_cache_probe(c, key);
        if (found == RECEIVE_NOWHERE)
            return found;
        if (*at < c->count)
            atomic_store_explicit(&c->items[*at].next, found,
                                  memory_order_relaxed);
    }
    if (atomic_load_explicit(&c->items[found].epoch, memory_order_relaxed) !=
        c->epoch)
        atomic_store_explicit(&c->items[found].epoch, c->epoch,
                              memory_order_relaxed);
    *at = found;
    return found;
}

/* Adds an entry, or gives the one that is there another reference; `*at` as
 * above. Under the lock, held for writing. */
void receive_cache_put(struct receive_cache *c, struct receive_key key,
                       series_ref ref, uint32_t *at);

/* Forgets what was not seen for a while, if it is time for that. Takes the
 * lock. */
void receive_cache_age(struct receive_cache *c, sonde_msec now);

#endif
