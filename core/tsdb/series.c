/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Series, addressed by reference. References count up from 1 and are never
 * used twice, so a reference is a place: of its low 32 bits, the id, page
 * (id-1)/64, slot (id-1)%64. No hash table stands between a sample and its
 * series, and the series of one scrape, made one after the other, lie one
 * after the other. When ids come round, after four billion series, those that
 * are still taken are left out.
 *
 * With churn ids are sparse: a page may have one series left, or none. So a
 * page holds only the series that are there, in order, with a bitmap that
 * says which; a full page needs no counting of bits. Pages are found through
 * two tables: a fixed one, of which the kernel backs only what is touched,
 * and blocks of a thousand. Both are published by atomic stores and never
 * move, so finding a page takes no lock; the page's own lock guards what is
 * in it, and a batch takes it once per run of references.
 *
 * Pages and blocks that are empty serve again, as such: their memory is never
 * anything else. So who found one and comes too late locks a page that says
 * another number, and nobody has to wait for him.
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

_Static_assert(sizeof(struct series) == 64, "a series is one cache line");

_Static_assert(sizeof(struct series_page) == 64, "and so is a page");

struct page_block {
    uint32_t count; /* of pages; the writer's                              */
    struct series_page *_Atomic pages[BLOCK_PAGES];
};

void series_table_init(struct series_table *t)
{
    *t = (struct series_table){ 0 };
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

    if ((uint32_t)ref == 0)
        return NULL;
    b = block_at(t, page / BLOCK_PAGES);
    return b ? page_at(b, page % BLOCK_PAGES) : NULL;
}

static struct page_block *block_make(struct series_table *t, size_t i)
{
    struct page_block *b = block_at(t, i);

    if (b)
        return b;
    b = t->spare_block_count ? t->spare_blocks[--t->spare_block_count]
                             : mem_new(struct page_block);
    atomic_store_explicit(&t->blocks[i], b, memory_order_release);
    return b;
}

static struct series_page *page_new(struct series_table *t)
{
    struct series_page *p;

    if (t->spare_page_count)
        return t->spare_pages[--t->spare_page_count];
    p = mem_new(struct series_page);
    (void)pthread_mutex_init(&p->lock, NULL);
    return p;
}

struct series_page *series_table_make(struct series_table *t, uint32_t id)
{
    uint32_t page = series_page_number(id);
    struct page_block *b = block_make(t, page / BLOCK_PAGES);
    struct series_page *p = page_at(b, page % BLOCK_PAGES);

    if (p)
        return p;
    p = page_new(t);
    (void)pthread_mutex_lock(&p->lock);
    p->number = page;
    (void)pthread_mutex_unlock(&p->lock);
    b->count++;
    atomic_store_explicit(&b->pages[page % BLOCK_PAGES], p,
                          memory_order_release);
    return p;
}

void series_table_remove(struct series_table *t, struct series_page *p)
{
    size_t i = p->number / BLOCK_PAGES;
    struct page_block *b = block_at(t, i);

    if (p->count || p->number == NO_PAGE_NUMBER)
        SONDE_BUG("page %u is put away with %u series", p->number, p->count);
    atomic_store_explicit(&b->pages[p->number % BLOCK_PAGES], NULL,
                          memory_order_release);
    p->number = NO_PAGE_NUMBER;
    t->spare_pages =
        mem_grow(t->spare_pages, &t->spare_page_cap, t->spare_page_count + 1,
                 sizeof(struct series_page *));
    t->spare_pages[t->spare_page_count++] = p;
    if (--b->count)
        return;
    atomic_store_explicit(&t->blocks[i], NULL, memory_order_release);
    t->spare_blocks =
        mem_grow(t->spare_blocks, &t->spare_block_cap, t->spare_block_count + 1,
                 sizeof(struct page_block *));
    t->spare_blocks[t->spare_block_count++] = b;
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

static void page_free(struct series_page *p)
{
    (void)pthread_mutex_destroy(&p->lock);
    free(page_items(p));
    free(p);
}

void series_table_fini(struct series_table *t)
{
    struct series_page *p;

    for (uint32_t i = 0; (p = series_table_next(t, &i)); i++)
        page_free(p);
    while (t->spare_page_count)
        page_free(t->spare_pages[--t->spare_page_count]);
    for (size_t i = 0; i < TABLE_BLOCKS; i++)
        free(block_at(t, i));
    while (t->spare_block_count)
        free(t->spare_blocks[--t->spare_block_count]);
    free(t->spare_pages);
    free(t->spare_blocks);
    vm_free((void *)t->blocks, TABLE_BYTES);
}

/* ---- the series of a page ---------------------------------------------- */

/* Room for `cap` series; 0 gives all memory back. */
static void page_resize(struct series_page *p, size_t cap)
{
    struct series *old = page_items(p), *items = NULL;

    if (cap) {
        items = aligned_alloc(64, cap * sizeof(*items));
        if (!items)
            mem_abort("allocate series", cap * sizeof(*items));
    }
    if (p->count)
        memcpy(items, old, p->count * sizeof(*items));
    atomic_store_explicit(&p->items, items, memory_order_relaxed);
    free(old);
    p->cap = (uint8_t)cap;
}

static unsigned series_place(const struct series_page *p, unsigned slot)
{
    return (unsigned)__builtin_popcountll(p->present &
                                          ((UINT64_C(1) << slot) - 1));
}

struct series *series_page_add(struct series_page *p, uint32_t id)
{
    unsigned slot = (id - 1) % PAGE_SERIES, at = series_place(p, slot);
    struct series *items;

    if (p->present >> slot & 1)
        SONDE_BUG("series %u is made twice", id);
    if (p->count == p->cap)
        page_resize(p, p->cap ? p->cap * 2u : PAGE_FIRST);
    items = page_items(p);
    memmove(items + at + 1, items + at, (p->count - at) * sizeof(*items));
    items[at] = (struct series){ 0 };
    p->count++;
    p->present |= UINT64_C(1) << slot;
    return &items[at];
}

void series_page_remove(struct series_page *p, uint32_t id)
{
    unsigned slot = (id - 1) % PAGE_SERIES, at = series_place(p, slot);
    struct series *items = page_items(p);

    if (!(p->present >> slot & 1))
        SONDE_BUG("series %u is removed and is not there", id);
    p->count--;
    p->present &= ~(UINT64_C(1) << slot);
    memmove(items + at, items + at + 1, (p->count - at) * sizeof(*items));
    if (p->count == 0)
        page_resize(p, 0);
    else if (p->cap > PAGE_FIRST && p->count <= p->cap / 4)
        page_resize(p, p->cap / 2u);
}
