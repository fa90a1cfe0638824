/* SPDX-License-Identifier: Apache-2.0 */
/* Series in memory: what each holds, and how its reference finds it. */
#ifndef TSDB_SERIES_H
#define TSDB_SERIES_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "chunk/xor_chunk.h"
#include "model/symtab.h"

#define SERIES_REF_MAX    UINT32_MAX
#define SERIES_LABELS_MAX 4096
#define PAGE_SERIES       64

/* A full chunk; never changes. */
struct chunk_desc {
    sonde_msec mint, maxt; /* closed                                      */
    const uint8_t *data;
    struct chunk_desc *before; /* the one before it in time               */
    uint32_t len;
    uint16_t count;
    uint8_t encoding;
};

enum {
    SERIES_LOGGED = 1 << 0, /* its labels are in the log                 */
    SERIES_BUSY = 1 << 1,   /* in a commit that is not finished          */
    SERIES_SEEN = 1 << 2,   /* had a sample: open.t and open.v are it    */
    SERIES_HIST = 1 << 3,   /* the open chunk is of histograms           */
    SERIES_LATE = 1 << 4,   /* has samples out of order                  */
};

/* One cache line. */
struct series {
    struct xor_state open;   /* open.count == 0: no open chunk            */
    uint8_t *chunk;          /* of `size_class`; the open one's bytes.
                                SERIES_HIST: see head_histograms.h         */
    struct chunk_desc *full; /* the newest                                */
    sonde_msec next_at;      /* where the open chunk must end             */
    uint32_t labels;         /* in the label store                        */
    uint8_t flags, size_class;
};

struct series_page {
    pthread_mutex_t lock; /* guards all below, and the series             */
    uint64_t present;     /* bit of each series that is there             */
    /* Those, in order. Atomic for series_page_prefetch only. */
    struct series *_Atomic items;
    uint8_t count, cap;
};

struct page_block;

/* Pages by number, in two levels. One writer at a time; readers need no lock
 * to find a page. */
struct series_table {
    struct page_block *_Atomic *blocks;
};

void series_table_init(struct series_table *t);
void series_table_fini(struct series_table *t);
/* The page of a reference; NULL if there is none. */
struct series_page *series_table_page(const struct series_table *t,
                                      uint64_t ref);
/* Makes it if needed. */
struct series_page *series_table_make(struct series_table *t, uint32_t ref);
/* The next page at or after `*page`, whose number is stored there; NULL: no
 * more. */
struct series_page *series_table_next(const struct series_table *t,
                                      uint32_t *page);

static inline uint32_t series_page_number(uint64_t ref)
{
    return (uint32_t)((ref - 1) / PAGE_SERIES);
}

/* Under the page's lock: NULL if it is not there. */
static inline struct series *series_page_get(const struct series_page *p,
                                             uint64_t ref)
{
    unsigned slot = (unsigned)((ref - 1) % PAGE_SERIES);
    uint64_t below = p->present & ((UINT64_C(1) << slot) - 1);
    struct series *items =
        atomic_load_explicit(&p->items, memory_order_relaxed);

    if (!(p->present >> slot & 1))
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
struct series *series_page_add(struct series_page *p, uint32_t ref);

/* Label sets, packed: a count, then pairs of symbols. Adding is one writer's;
 * a set that was added never moves nor changes. */
struct label_store {
    uint32_t **blocks;
    uint64_t next; /* in words                                            */
};

struct label_pair {
    symbol name, value;
};

void label_store_init(struct label_store *s);
void label_store_fini(struct label_store *s);
/* Room for `n` pairs, to be filled at once; false when the store is full. */
bool label_store_add(struct label_store *s, size_t n, uint32_t *at,
                     struct label_pair **pairs);
const struct label_pair *label_store_get(const struct label_store *s,
                                         uint32_t at, size_t *n);

#endif
