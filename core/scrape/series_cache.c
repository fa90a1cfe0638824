/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scrape almost always has the same lines in the same order as the one
 * before. So each entry remembers which entry followed it, and the next line
 * is predicted: one comparison of hashes with memory that lies right behind
 * the last entry. Only when that fails is the table probed, and the chain is
 * mended on the way, so that lines that came in between or changed places
 * cost one probe once and not at every scrape.
 *
 * An entry is the 64-bit XXH3 of the bytes that name the series; the bytes
 * themselves are not kept. Two different series of one target with the same
 * hash are expected once in 10^11 targets of 20,000 series.
 *
 * Staleness needs no list: each entry has the number of the round that saw it
 * last. When a round saw as many entries as there are, nothing is missing and
 * nothing is walked. Round numbers are 16 bits; that is enough because after
 * each successful round only entries of that round are left, and a failed
 * one ages all to "known, not live" (round 0).
 */
#include "scrape/series_cache.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define ROUND_NONE  0
#define TABLE_FIRST 64

void series_cache_init(struct series_cache *c)
{
    *c = (struct series_cache){ .round = 1, .before = ROUND_NONE };
}

void series_cache_fini(struct series_cache *c)
{
    free(c->items);
    free(c->table);
    series_cache_init(c);
}

void series_cache_begin(struct series_cache *c)
{
    c->before = c->round;
    c->round = (uint16_t)(c->round == UINT16_MAX ? 1 : c->round + 1);
    c->begun = false;
    c->seen = 0;
    c->added = 0;
}

static inline bool has_hash(const struct cached_series *e, uint64_t hash)
{
    return e->hash_low == (uint32_t)hash &&
           e->hash_high == (uint32_t)(hash >> 32);
}

static inline uint64_t entry_hash(const struct cached_series *e)
{
    return (uint64_t)e->hash_high << 32 | e->hash_low;
}

/* The slot of a hash, or the empty one where it would go. */
static size_t table_slot(const struct series_cache *c, uint64_t hash)
{
    size_t mask = c->table_size - 1;
    size_t i = hash & mask;

    while (c->table[i] && !has_hash(&c->items[c->table[i] - 1], hash))
        i = (i + 1) & mask;
    return i;
}

static void table_rebuild(struct series_cache *c, size_t size)
{
    free(c->table);
    c->table = mem_zalloc(size * sizeof(*c->table));
    c->table_size = size;
    for (size_t i = 0; i < c->end; i++)
        if (c->items[i].used)
            c->table[table_slot(c, entry_hash(&c->items[i]))] = (uint32_t)i + 1;
}

/* Notes that `i` came after the entry that was seen last. */
static void follow(struct series_cache *c, uint32_t i)
{
    if (!c->begun)
        c->first = i;
    else
        c->items[c->at].next = i;
    c->begun = true;
    c->at = i;
}

struct cached_series *series_cache_find(struct series_cache *c, uint64_t hash)
{
    uint32_t guess = c->begun && c->end ? c->items[c->at].next : c->first;
    uint32_t found;

    if (guess < c->end && has_hash(&c->items[guess], hash) &&
        c->items[guess].used) {
        c->begun = true;
        c->at = guess;
        return &c->items[guess];
    }
    if (c->table_size == 0)
        return NULL;
    found = c->table[table_slot(c, hash)];
    if (!found)
        return NULL;
    follow(c, found - 1);
    return &c->items[found - 1];
}

static uint32_t take_entry(struct series_cache *c)
{
    uint32_t i;

    if (c->hole) {
        i = c->hole - 1;
        c->hole = c->items[i].next;
        return i;
    }
    if (c->end == c->cap) {
        /* A quarter more, not twice: this array is a good part of what a
         * series costs. */
        c->cap = c->cap < 64 ? 64 : c->cap + c->cap / 4;
        c->items = mem_realloc(c->items, c->cap * sizeof(*c->items));
    }
    return (uint32_t)c->end++;
}

struct cached_series *series_cache_add(struct series_cache *c, uint64_t hash,
                                       series_ref ref, bool dropped)
{
    uint32_t i = take_entry(c);

    c->items[i] = (struct cached_series){
        .hash_low = (uint32_t)hash,
        .hash_high = (uint32_t)(hash >> 32),
        .ref_low = (uint32_t)ref,
        .ref_high = (uint16_t)((ref >> 32) & 0xfff),
        .next = i + 1,
        .dropped = dropped,
        .used = 1,
        .round = ROUND_NONE,
    };
    c->count++;
    if (c->count * 4 > c->table_size * 3)
        table_rebuild(c, c->table_size ? c->table_size * 2 : TABLE_FIRST);
    else
        c->table[table_slot(c, hash)] = i + 1;
    follow(c, i);
    return &c->items[i];
}

bool series_cache_touch(struct series_cache *c, struct cached_series *e,
                        bool timed)
{
    if (e->round == c->round)
        return false;
    e->fresh = e->round != c->before;
    e->round = c->round;
    e->timed = timed;
    c->seen++;
    c->added += e->fresh && !e->dropped;
    return true;
}

static void forget(struct series_cache *c, uint32_t i)
{
    c->items[i] = (struct cached_series){ .next = c->hole };
    c->hole = i + 1;
    c->count--;
}

/* Between rounds, or before the first line of one. */
void series_cache_recheck(struct series_cache *c, series_cache_held *held,
                          void *arg)
{
    size_t had = c->count;

    for (uint32_t i = 0; i < c->end; i++)
        if (c->items[i].used && !c->items[i].dropped &&
            !held(arg, cached_ref(&c->items[i])))
            forget(c, i);
    if (c->count != had)
        table_rebuild(c, c->table_size);
}

static bool is_tracked(const struct cached_series *e)
{
    return e->used && !e->dropped && !e->timed;
}

void series_cache_end(struct series_cache *c, series_cache_gone *gone,
                      void *arg)
{
    if (c->seen == c->count)
        return;
    for (uint32_t i = 0; i < c->end; i++) {
        struct cached_series *e = &c->items[i];

        if (!e->used || e->round == c->round)
            continue;
        if (is_tracked(e) && e->round == c->before)
            gone(arg, cached_ref(e));
        forget(c, i);
    }
    table_rebuild(c, c->table_size);
}

void series_cache_fail(struct series_cache *c, series_cache_gone *gone,
                       void *arg)
{
    for (size_t i = 0; i < c->end; i++) {
        struct cached_series *e = &c->items[i];
        bool live =
            e->round == c->before || (e->round == c->round && !e->fresh);

        if (is_tracked(e) && live)
            gone(arg, cached_ref(e));
        e->round = ROUND_NONE;
    }
}
