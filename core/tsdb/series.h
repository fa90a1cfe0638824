/* SPDX-License-Identifier: Apache-2.0 */
/* Series in memory: what each holds, and how its reference finds it. */
#ifndef TSDB_SERIES_H
#define TSDB_SERIES_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "chunk/xor_chunk.h"
#include "tsdb/label_store.h"

/*
 * A reference has 40 bits and is never used twice. Its low 32 bits are where
 * the series is, its id: unique among the series that are there, which is all
 * that indexes need. The rest is the series' era, by which a reference of
 * long ago is known from a new one at the same place.
 */
#define SERIES_REF_MAX ((UINT64_C(1) << 40) - 1)
#define PAGE_SERIES    64

enum {
    SERIES_LOGGED = 1 << 0, /* its labels are in the log                 */
    SERIES_BUSY = 1 << 1,   /* in a commit that is not finished          */
    SERIES_SEEN = 1 << 2,   /* had a sample: open.t and open.v are it    */
    SERIES_HIST = 1 << 3,   /* the open chunk is of histograms           */
    SERIES_LATE = 1 << 4,   /* has samples out of order                  */
    SERIES_HELD = 1 << 5,   /* somebody asked for its reference lately   */
};

/* One cache line. */
struct series {
    struct xor_state open; /* open.count == 0: no open chunk            */
    uint8_t *chunk;        /* of `size_class`; the open one's bytes;
                              SERIES_HIST: see head_histograms.h        */
    uint8_t *full;         /* its full chunks: chunk_list.h             */
    sonde_msec next_at;    /* where the open chunk must end             */
    uint32_t labels;       /* in the label store; 0: not known yet      */
    uint8_t flags, size_class, era;
};

struct series_page {
    pthread_mutex_t lock; /* guards all below, and the series             */
    uint64_t present;     /* bit of each series that is there             */
    /* Those, in order. Atomic for series_page_prefetch only. */
    struct series *_Atomic items;
    uint32_t number; /* of the page; NO_PAGE_NUMBER: it waits for use     */
    uint8_t count, cap;
};
#define NO_PAGE_NUMBER UINT32_MAX

struct page_block;

/* Pages by number, in two levels. One writer at a time; readers need no lock
 * to find a page, but have to look under its lock whether it is still the one
 * (series_page_get does). */
struct series_table {
    struct page_block *_Atomic *blocks;
    /* Empty ones, for reuse; the writer's. */
    struct series_page **spare_pages;
    struct page_block **spare_blocks;
    size_t spare_page_count, spare_page_cap;
    size_t spare_block_count, spare_block_cap;
};

void series_table_init(struct series_table *t);
void series_table_fini(struct series_table *t);
/* The page of an id or a reference; NULL if there is none. */
struct series_page *series_table_page(const struct series_table *t,
                                      uint64_t ref);
/* Makes it if needed. */
struct series_page *series_table_make(struct series_table *t, uint32_t id);
/* Puts a page that has no series away; the caller holds its lock, and keeps
 * it. Others may hold a pointer to it yet. */
void series_table_remove(struct series_table *t, struct series_page *p);
/* The next page at or after `*page`, whose number is stored there; NULL: no
 * more. Under its lock, `number` says whether it is still that one. */
struct series_page *series_table_next(const struct series_table *t,
                                      uint32_t *page);

static inline uint32_t series_page_number(uint64_t ref)
{
    return ((uint32_t)ref - 1) / PAGE_SERIES;
}
static inline uint64_t series_ref_of(const struct series *s, uint32_t id)
{
    return (uint64_t)s->era << 32 | id;
}

/* Under the page's lock: NULL if it is not there. Asked by the id: a
 * reference's era is the caller's to compare. */
static inline struct series *series_page_get(const struct series_page *p,
                                             uint64_t ref)
{
    unsigned slot = (unsigned)((ref - 1) % PAGE_SERIES);
    uint64_t below = p->present & ((UINT64_C(1) << slot) - 1);
    struct series *items =
        atomic_load_explicit(&p->items, memory_order_relaxed);

    if (!(p->present >> slot & 1) || p->number != series_page_number(ref))
        return NULL;
    if (__builtin_expect(below == (UINT64_C(1) << slot) - 1, 1))
        return items + slot;
    return items + __builtin_popcountll(below);
}
/* Without the lock: fetches the line where the series likely is. */
static inline void series_page_prefetch(const struct series_page *p,
                                        uint64_t ref)
{
    struct series *items =
        atomic_load_explicit(&p->items, memory_order_relaxed);

    __builtin_prefetch(items + (ref - 1) % PAGE_SERIES, 1);
}
/* Under the page's lock; zeroed. Pointers to others of the page are void. */
struct series *series_page_add(struct series_page *p, uint32_t id);
/* The same; what it pointed to is the caller's to have freed. */
void series_page_remove(struct series_page *p, uint32_t id);

#endif
