/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Series, addressed by reference. References count up from 1 and are never
 * used twice, so a reference is a place: page (ref-1)/64, slot (ref-1)%64.
 * No hash table stands between a sample and its series, and the series of
 * one scrape, made one after the other, lie one after the other.
 *
 * After years of churn references are sparse: a page may have one series
 * left, or none. So a page holds only the series that are there, in order,
 * with a bitmap that says which; a full page needs no counting of bits. Pages
 * are found through two tables: a fixed one, of which the kernel backs only
 * what is touched, and blocks of a thousand. Both are published by atomic
 * stores and never move, so finding a page takes no lock; the page's own lock
 * guards what is in it, and a batch takes it once per run of references.
 *
 * Labels are pairs of symbols (8 bytes a label) in words that never move.
 *
 * Rejected: a pointer per series and an allocation each (40 bytes more, and
 * a cache miss each); a read-write lock per page (56 bytes and slower where
 * nobody else is there, which is nearly always).
 */
#include "tsdb/series.h"

#include <stdlib.h>

#include "tsdb/vm.h"
#include "util/mem.h"

#define BLOCK_PAGES 1024
/* For all 2^32 references. */
#define TABLE_BLOCKS ((size_t)1 << 16)
#define TABLE_BYTES  (TABLE_BLOCKS * sizeof(void *))
#define PAGE_FIRST   8 /* series a page has room for at first             */

#define WORDS_BLOCK  ((uint64_t)1 << 16)
#define WORDS_BLOCKS ((size_t)1 << 16)
#define WORDS_BYTES  (WORDS_BLOCKS * sizeof(void *))

_Static_assert(sizeof(struct series) == 64, "a series is one cache line");

struct page_block {
    struct series_page *_Atomic pages[BLOCK_PAGES];
};

void series_table_init(struct series_table *t)
{
    t->blocks = vm_alloc(TABLE_BYTES, 4096);
}

static struct page_block *block_at(const struct series_table *t, size_t i)
{
    return atomic_load_explicit(&t->blocks[i], memory_order_acquire);
}

static struct series_page *page_at(const struct page_block *b, size_t i)
{
    return atomic_load_explicit(&b->pages[i], memory_order_acquire);
}

struct series_page *series_table_page(const struct series_table *t,
                                      uint64_t ref)
{
    uint32_t page = series_page_number(ref);
    struct page_block *b;

    if (ref == 0 || ref > SERIES_REF_MAX)
        return NULL;
    b = block_at(t, page / BLOCK_PAGES);
    return b ? page_at(b, page % BLOCK_PAGES) : NULL;
}

struct series_page *series_table_make(struct series_table *t, uint32_t ref)
{
    uint32_t page = series_page_number(ref);
    struct page_block *b = block_at(t, page / BLOCK_PAGES);
    struct series_page *p;

    if (!b) {
        b = mem_new(struct page_block);
        atomic_store_explicit(&t->blocks[page / BLOCK_PAGES], b,
                              memory_order_release);
    }
    p = page_at(b, page % BLOCK_PAGES);
    if (!p) {
        p = mem_new(struct series_page);
        (void)pthread_mutex_init(&p->lock, NULL);
        atomic_store_explicit(&b->pages[page % BLOCK_PAGES], p,
                              memory_order_release);
    }
    return p;
}

struct series_page *series_table_next(const struct series_table *t,
                                      uint32_t *page)
{
    uint32_t i = *page;
    uint32_t end = (uint32_t)(TABLE_BLOCKS * BLOCK_PAGES);

    while (i < end) {
        struct page_block *b = block_at(t, i / BLOCK_PAGES);
        struct series_page *p = b ? page_at(b, i % BLOCK_PAGES) : NULL;

        if (p) {
            *page = i;
            return p;
        }
        i = b ? i + 1 : (i / BLOCK_PAGES + 1) * BLOCK_PAGES;
    }
    return NULL;
}

static struct series *page_items(const struct series_page *p)
{
    return atomic_load_explicit(&p->items, memory_order_relaxed);
}

void series_table_fini(struct series_table *t)
{
    struct series_page *p;

    for (uint32_t i = 0; (p = series_table_next(t, &i)); i++) {
        (void)pthread_mutex_destroy(&p->lock);
        free(page_items(p));
        free(p);
    }
    for (size_t i = 0; i < TABLE_BLOCKS; i++)
        free(block_at(t, i));
    vm_free((void *)t->blocks, TABLE_BYTES);
}

static void page_grow(struct series_page *p)
{
    uint8_t cap = p->cap ? (uint8_t)(p->cap * 2) : PAGE_FIRST;
    struct series *old = page_items(p);
    struct series *items = aligned_alloc(64, cap * sizeof(*items));

    if (!items)
        mem_abort("allocate series", cap * sizeof(*items));
    if (p->count)
        memcpy(items, old, p->count * sizeof(*items));
    atomic_store_explicit(&p->items, items, memory_order_relaxed);
    free(old);
    p->cap = cap;
}

struct series *series_page_add(struct series_page *p, uint32_t ref)
{
    unsigned slot = (ref - 1) % PAGE_SERIES;
    uint64_t below = p->present & ((UINT64_C(1) << slot) - 1);
    unsigned at = (unsigned)__builtin_popcountll(below);
    struct series *items;

    if (p->present >> slot & 1)
        SONDE_BUG("series %u is made twice", ref);
    if (p->count == p->cap)
        page_grow(p);
    items = page_items(p);
    memmove(items + at + 1, items + at, (p->count - at) * sizeof(*items));
    items[at] = (struct series){ 0 };
    p->count++;
    p->present |= UINT64_C(1) << slot;
    return &items[at];
}

/* ---- labels ----------------------------------------------------------- */

void label_store_init(struct label_store *s)
{
    s->blocks = vm_alloc(WORDS_BYTES, 4096);
    s->next = 0;
}

void label_store_fini(struct label_store *s)
{
    for (size_t i = 0; i * WORDS_BLOCK < s->next; i++)
        free(s->blocks[i]);
    vm_free((void *)s->blocks, WORDS_BYTES);
}

bool label_store_add(struct label_store *s, size_t n, uint32_t *at,
                     struct label_pair **pairs)
{
    size_t words = 1 + 2 * n;
    uint32_t **block, *p;

    if (s->next % WORDS_BLOCK + words > WORDS_BLOCK)
        s->next = (s->next / WORDS_BLOCK + 1) * WORDS_BLOCK;
    if (s->next + words > WORDS_BLOCK * WORDS_BLOCKS)
        return false;
    block = &s->blocks[s->next / WORDS_BLOCK];
    if (!*block)
        *block = mem_alloc(WORDS_BLOCK * sizeof(**block));
    p = *block + s->next % WORDS_BLOCK;
    p[0] = (uint32_t)n;
    *at = (uint32_t)s->next;
    *pairs = (struct label_pair *)(p + 1);
    s->next += words;
    return true;
}

const struct label_pair *label_store_get(const struct label_store *s,
                                         uint32_t at, size_t *n)
{
    const uint32_t *p = s->blocks[at / WORDS_BLOCK] + at % WORDS_BLOCK;

    *n = p[0];
    return (const struct label_pair *)(p + 1);
}
