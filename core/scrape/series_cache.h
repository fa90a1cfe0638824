/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target's series cache: from the text of a line's series part, by its
 * hash, to what became of that series. See series_cache.c for the plan.
 * Used by the target's loop thread only.
 */
#ifndef SCRAPE_SERIES_CACHE_H
#define SCRAPE_SERIES_CACHE_H

#include <sonde/base.h>

#include "storage/storage.h"

/* 20 bytes: the fields are split so that nothing pads. */
struct cached_series {
    uint32_t hash_low, hash_high;
    uint32_t ref_low;
    uint32_t next; /* index of the entry that came after it last time     */
    uint16_t ref_high : 12;
    uint16_t dropped : 1; /* relabeling dropped it: ref means nothing     */
    uint16_t timed : 1;   /* came with its own time: not tracked          */
    uint16_t fresh : 1;   /* had no sample in the round before this one   */
    uint16_t used : 1;    /* not a hole                                   */
    uint16_t round;       /* in which it was seen last                    */
};

struct series_cache {
    struct cached_series *items;
    size_t count;      /* entries in use                                    */
    size_t end, cap;   /* of items, holes included                          */
    uint32_t *table;   /* open addressing: 1 + index, 0 empty               */
    size_t table_size; /* a power of two, or 0                            */
    uint32_t hole;     /* 1 + first free entry (linked by next), or 0       */
    uint32_t at;       /* entry seen last in this round                     */
    uint32_t first;    /* entry that began the last round                   */
    bool begun;        /* a line of this round has been seen                */
    uint16_t round, before; /* this round and the one before it           */
    size_t seen;  /* distinct entries seen in this round               */
    size_t added; /* of these, fresh ones                              */
};

void series_cache_init(struct series_cache *c);
void series_cache_fini(struct series_cache *c);

/* A scrape begins. */
void series_cache_begin(struct series_cache *c);

/* The entry of a hash, predicted or looked up; NULL if it is new. */
struct cached_series *series_cache_find(struct series_cache *c, uint64_t hash);
/* Adds one that is not there; invalidates entry pointers. */
struct cached_series *series_cache_add(struct series_cache *c, uint64_t hash,
                                       series_ref ref, bool dropped);
/* Notes that an entry's line was there in this round; false if it was before
 * (the same series twice in one body). */
bool series_cache_touch(struct series_cache *c, struct cached_series *e,
                        bool timed);

static inline series_ref cached_ref(const struct cached_series *e)
{
    return (series_ref)e->ref_high << 32 | e->ref_low;
}

/* Forgets entries whose series the store does not hold any more, so that
 * their lines are new ones. */
typedef bool series_cache_held(void *arg, series_ref ref);
void series_cache_recheck(struct series_cache *c, series_cache_held *held,
                          void *arg);

typedef void series_cache_gone(void *arg, series_ref ref);

/* The scrape succeeded: entries that were not seen are forgotten; `gone` is
 * called for those that had a sample the last time and need a stale marker. */
void series_cache_end(struct series_cache *c, series_cache_gone *gone,
                      void *arg);
/* The scrape failed, or the target ends: `gone` for every series that had a
 * sample the last time. Entries stay known. */
void series_cache_fail(struct series_cache *c, series_cache_gone *gone,
                       void *arg);

#endif
