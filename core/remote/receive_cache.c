/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sender sends the same series in the same order, again and again. So each
 * entry remembers which entry followed it, as in the series cache of a scrape,
 * and the next series of a request is predicted: one comparison with memory
 * that mostly lies right behind the last entry. Only when that fails is the
 * table probed.
 *
 * The cache is the server's, not a connection's: senders have many of those,
 * close them, and move series between them. Requests look up under a lock
 * held for reading, so any number of them at once; what they write meanwhile
 * (who follows, seen when) are hints in atomics that may be lost. New series
 * are added under the lock held for writing, once for all of a request.
 *
 * A key is 128 bits of XXH3 under a secret drawn at the start: enough to be
 * taken for the bytes themselves, also when somebody wants it not to be.
 *
 * Aging: an entry has the number of the epoch that saw it last. Every
 * SWEEP_EVERY_MS, or when there is no room, those that this epoch has not
 * seen go, the rest moves together, and a new epoch begins. Should that make
 * no room, all goes: with more live series than entries nothing can be kept.
 * Indices that requests hold across a sweep are hints as well, and checked.
 */
#include "remote/receive_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/clock.h"
#include "util/mem.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TABLE_FIRST    256
#define SWEEP_EVERY_MS (INT64_C(10) * 60 * 1000)

static void draw_secret(uint8_t *p, size_t n)
{
    uint64_t x = clock_ns() ^ (uint64_t)(uintptr_t)p;

    if (getrandom(p, n, 0) == (ssize_t)n)
        return;
    for (size_t i = 0; i < n;
         i++) { /* no randomness: at least not a constant */
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(x >> 56);
    }
}

void receive_cache_init(struct receive_cache *c, size_t limit)
{
    pthread_rwlockattr_t attr;

    *c = (struct receive_cache){ .limit = limit, .epoch = 1 };
    c->swept = clock_monotonic(&clock_system);
    draw_secret(c->secret, sizeof(c->secret));
    (void)pthread_rwlockattr_init(&attr);
    /* requests follow each other so closely that a writer would starve */
    (void)pthread_rwlockattr_setkind_np(
        &attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&c->lock, &attr);
    (void)pthread_rwlockattr_destroy(&attr);
}

void receive_cache_fini(struct receive_cache *c)
{
    free(c->items);
    free(c->table);
    (void)pthread_rwlock_destroy(&c->lock);
}

struct receive_key receive_cache_key(const struct receive_cache *c,
                                     sonde_str bytes)
{
    XXH128_hash_t h = XXH3_128bits_withSecret(bytes.ptr, bytes.len, c->secret,
                                              sizeof(c->secret));

    return (struct receive_key){ h.low64, h.high64 };
}

/* The slot of a key, or the empty one where it would go. */
static size_t slot_of(const struct receive_cache *c, struct receive_key key)
{
    size_t mask = c->table_size - 1;
    size_t i = key.low & mask;

    while (c->table[i] && !receive_key_eq(c->items[c->table[i] - 1].key, key))
        i = (i + 1) & mask;
    return i;
}

uint32_t receive_cache_probe(const struct receive_cache *c,
                             struct receive_key key)
{
    uint32_t found;

    if (c->table_size == 0)
        return RECEIVE_NOWHERE;
    found = c->table[slot_of(c, key)];
    return found ? found - 1 : RECEIVE_NOWHERE;
}

static void table_rebuild(struct receive_cache *c, size_t size)
{
    free(c->table);
    c->table = mem_zalloc(size * sizeof(*c->table));
    c->table_size = size;
    for (size_t i = 0; i < c->count; i++)
        c->table[slot_of(c, c->items[i].key)] = (uint32_t)i + 1;
}

static void forget_all(struct receive_cache *c)
{
    free(c->items);
    free(c->table);
    c->items = NULL;
    c->table = NULL;
    c->count = c->cap = c->table_size = 0;
}

/* Under the lock, held for writing. */
static void sweep(struct receive_cache *c, sonde_msec now)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].epoch != c->epoch)
            continue;
        c->items[kept] = c->items[i];
        c->items[kept].next = (uint32_t)kept + 1;
        kept++;
    }
    c->swept = now;
    c->epoch++;
    if (kept == c->count)
        return;
    c->count = kept;
    if (kept == 0)
        forget_all(c);
    else
        table_rebuild(c, c->table_size);
}

void receive_cache_age(struct receive_cache *c, sonde_msec now)
{
    bool due;

    (void)pthread_rwlock_rdlock(&c->lock);
    due = now - c->swept >= SWEEP_EVERY_MS;
    (void)pthread_rwlock_unlock(&c->lock);
    if (!due)
        return;
    (void)pthread_rwlock_wrlock(&c->lock);
    if (now - c->swept >= SWEEP_EVERY_MS)
        sweep(c, now);
    (void)pthread_rwlock_unlock(&c->lock);
}

static void make_room(struct receive_cache *c)
{
    if (c->count >= c->limit) {
        sweep(c, clock_monotonic(&clock_system));
        if (c->count > c->limit / 8 * 7)
            forget_all(c);
    }
    if (c->count == c->cap) {
        c->cap = c->cap < 64 ? 64 : c->cap + c->cap / 4;
        c->items = mem_realloc(c->items, c->cap * sizeof(*c->items));
    }
    if ((c->count + 1) * 4 > c->table_size * 3)
        table_rebuild(c, c->table_size ? c->table_size * 2 : TABLE_FIRST);
}

void receive_cache_put(struct receive_cache *c, struct receive_key key,
                       series_ref ref, uint32_t *at)
{
    uint32_t i = receive_cache_find(c, key, at);

    if (i != RECEIVE_NOWHERE) {
        c->items[i].ref = ref;
        return;
    }
    make_room(c);
    i = (uint32_t)c->count++;
    c->items[i] = (struct receive_entry){
        .key = key, .ref = ref, .next = i + 1, .epoch = c->epoch
    };
    c->table[slot_of(c, key)] = i + 1;
    if (*at < i)
        atomic_store_explicit(&c->items[*at].next, i, memory_order_relaxed);
    *at = i;
}
