/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hundreds of thousands of short strings, each held by many series: what
 * counts is bytes per symbol and that a reader needs no lock.
 *
 * Bytes live in pages that never move. A symbol's id *is* its place: page
 * number and offset in units of 8 bytes, so there is no table from id to
 * pointer. A slot is a header of 8 bytes and the string, rounded up to 8;
 * freed slots wait in a list per size and are used again, strings too long
 * for a slot of a page have memory of their own. The hash table holds ids
 * only; the bits of a table cell that an id leaves free carry a piece of the
 * hash, which spares seven of eight looks at a string that differs. So a
 * 15-byte value costs about 31 bytes, where pointers and a malloc each would
 * make it 64.
 *
 * The mutex guards everything but the strings: a slot is written before its
 * id is given out, and is not written again while somebody holds it. Pages
 * are published by an atomic store into a table of fixed size, of which the
 * kernel backs only what is touched. `symtab_str` therefore takes no lock;
 * whoever passes an id from thread to thread orders that himself.
 *
 * Rejected: a general concurrent hash map (lookups happen for new series
 * only); storing the hash in the slot (4 bytes a symbol to make growing
 * faster, which happens twenty times in a life).
 */
#include "model/symtab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

#include "util/mem.h"

#define UNIT_BYTES    8u
#define PAGE_BYTES    65536u
#define PAGE_UNITS    (PAGE_BYTES / UNIT_BYTES)
#define OFFSET_BITS   13 /* of PAGE_UNITS */
#define PAGE_BITS     16
#define PAGES_MAX     (1u << PAGE_BITS)
#define ID_MASK       ((1u << (OFFSET_BITS + PAGE_BITS)) - 1)
#define INSIDE_MAX    504u /* longer strings have their own memory        */
#define SIZE_CLASSES  (INSIDE_MAX / UNIT_BYTES + 2)
#define OUTSIDE       (1u << 31) /* in slot.len: the bytes are a pointer  */
#define TABLE_FIRST   256u
#define STRING_MAX    (OUTSIDE - 1)
#define MALLOC_HEADER 16u /* what an allocation costs besides, about      */

struct slot {
    uint32_t refs; /* guarded by the mutex; free: the next free id        */
    uint32_t len;
    char bytes[]; /* or one pointer */
};

struct symtab {
    pthread_mutex_t mutex;
    char *_Atomic *pages; /* PAGES_MAX of them                             */
    /* all below: guarded by the mutex */
    uint32_t page_count; /* numbers that were ever used                    */
    uint32_t page;       /* the newest, and where its free part begins     */
    uint32_t next_unit;
    uint16_t *live;  /* slots in use, by page                               */
    uint32_t *spare; /* numbers of pages that were given back              */
    size_t spare_count, spare_cap;
    uint32_t *table; /* hash piece and id; 0: empty                     */
    uint32_t table_size;
    uint32_t count;
    size_t outside_bytes;
    uint32_t free[SIZE_CLASSES]; /* ids; by units a slot has             */
};

static struct slot *slot_of(const struct symtab *t, symbol id)
{
    char *page = atomic_load_explicit(&t->pages[id >> OFFSET_BITS],
                                      memory_order_acquire);

    return (struct slot *)(void *)(page + (size_t)(id & (PAGE_UNITS - 1)) *
                                              UNIT_BYTES);
}

static sonde_str slot_str(const struct slot *s)
{
    const char *outside;

    if (!(s->len & OUTSIDE))
        return (sonde_str){ s->bytes, s->len };
    memcpy(&outside, s->bytes, sizeof(outside));
    return (sonde_str){ outside, s->len & ~OUTSIDE };
}

static uint32_t units_of(size_t len)
{
    size_t bytes = len > INSIDE_MAX ? sizeof(char *) : len;

    return (uint32_t)(1 + (bytes + UNIT_BYTES - 1) / UNIT_BYTES);
}

struct symtab *symtab_new(void)
{
    struct symtab *t = mem_new(struct symtab);

    (void)pthread_mutex_init(&t->mutex, NULL);
    t->pages = mem_zalloc(PAGES_MAX * sizeof(*t->pages));
    t->live = mem_zalloc(PAGES_MAX * sizeof(*t->live));
    t->table_size = TABLE_FIRST;
    t->table = mem_zalloc(t->table_size * sizeof(*t->table));
    t->next_unit = PAGE_UNITS;
    return t;
}

void symtab_free(struct symtab *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->table_size; i++) {
        struct slot *s;

        if (t->table[i] == 0)
            continue;
        s = slot_of(t, t->table[i] & ID_MASK);
        if (s->len & OUTSIDE)
            free((void *)(uintptr_t)slot_str(s).ptr);
    }
    for (uint32_t i = 0; i < t->page_count; i++)
        free(t->pages[i]);
    free((void *)t->pages);
    free(t->live);
    free(t->spare);
    free(t->table);
    (void)pthread_mutex_destroy(&t->mutex);
    free(t);
}

/* ---- slots: under the mutex --------------------------------------------- */

static void page_add(struct symtab *t)
{
    if (t->spare_count)
        t->page = t->spare[--t->spare_count];
    else if (t->page_count == PAGES_MAX)
        mem_abort("symbol page", PAGE_BYTES);
    else
        t->page = t->page_count++;
    atomic_store_explicit(&t->pages[t->page], mem_alloc(PAGE_BYTES),
                          memory_order_release);
    /* Id 0 is the empty cell of the table, so the first unit stays unused. */
    t->next_unit = t->page == 0;
}

static symbol slot_new(struct symtab *t, sonde_str s)
{
    uint32_t units = units_of(s.len);
    symbol id = t->free[units];
    struct slot *slot;

    if (id) {
        t->free[units] = slot_of(t, id)->refs;
    } else {
        if (PAGE_UNITS - t->next_unit < units)
            page_add(t); /* what was left, at most 0.8 %, is lost */
        id = t->page << OFFSET_BITS | t->next_unit;
        t->next_unit += units;
    }
    t->live[id >> OFFSET_BITS]++;
    slot = slot_of(t, id);
    slot->refs = 1;
    slot->len = (uint32_t)s.len;
    if (s.len > INSIDE_MAX) {
        char *outside = mem_strdup(s);

        slot->len |= OUTSIDE;
        memcpy(slot->bytes, &outside, sizeof(outside));
        t->outside_bytes += s.len + MALLOC_HEADER;
    } else if (s.len) {
        memcpy(slot->bytes, s.ptr, s.len);
    }
    return id;
}

static void slot_free(struct symtab *t, symbol id)
{
    struct slot *slot = slot_of(t, id);
    uint32_t units = units_of(slot->len & ~OUTSIDE);

    if (slot->len & OUTSIDE) {
        sonde_str s = slot_str(slot);

        t->outside_bytes -= s.len + MALLOC_HEADER;
        free((void *)(uintptr_t)s.ptr);
    }
    slot->refs = t->free[units];
    t->free[units] = id;
    t->live[id >> OFFSET_BITS]--;
}

/* ---- the hash table: under the mutex ------------------------------------ */

static uint64_t hash(sonde_str s)
{
    return XXH3_64bits(s.len ? s.ptr : "", s.len);
}

/* The bits of a cell above the id. */
static uint32_t tag(uint64_t h)
{
    return (uint32_t)(h >> 32) & ~ID_MASK;
}

/* The cell of a string, or the empty one where it would go. */
static uint32_t cell_find(const struct symtab *t, sonde_str s, uint64_t h)
{
    uint32_t mask = t->table_size - 1;
    uint32_t i = (uint32_t)h & mask;

    for (; t->table[i]; i = (i + 1) & mask)
        if ((t->table[i] & ~ID_MASK) == tag(h) &&
            sonde_str_eq(slot_str(slot_of(t, t->table[i] & ID_MASK)), s))
            break;
    return i;
}

static uint64_t cell_hash(const struct symtab *t, uint32_t i)
{
    return hash(slot_str(slot_of(t, t->table[i] & ID_MASK)));
}

static void table_grow(struct symtab *t)
{
    uint32_t *old = t->table;
    uint32_t old_size = t->table_size;

    t->table_size *= 2;
    t->table = mem_zalloc(t->table_size * sizeof(*t->table));
    for (uint32_t i = 0; i < old_size; i++) {
        uint32_t mask = t->table_size - 1, j;

        if (old[i] == 0)
            continue;
        j = (uint32_t)hash(slot_str(slot_of(t, old[i] & ID_MASK))) & mask;
        while (t->table[j])
            j = (j + 1) & mask;
        t->table[j] = old[i];
    }
    free(old);
}

/* Empties a cell and moves later ones of its run up, so that no run breaks. */
static void cell_remove(struct symtab *t, uint32_t hole)
{
    uint32_t mask = t->table_size - 1;

    for (uint32_t i = (hole + 1) & mask; t->table[i]; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)cell_hash(t, i) & mask;

        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        t->table[hole] = t->table[i];
        hole = i;
    }
    t->table[hole] = 0;
}

/* ---- the door ------------------------------------------------------------ */

symbol symtab_intern(struct symtab *t, sonde_str s)
{
    uint64_t h = hash(s);
    uint32_t i;
    symbol id;

    if (s.len > STRING_MAX)
        mem_abort("symbol", s.len);
    (void)pthread_mutex_lock(&t->mutex);
    i = cell_find(t, s, h);
    if (t->table[i]) {
        id = t->table[i] & ID_MASK;
        slot_of(t, id)->refs++;
    } else {
        id = slot_new(t, s);
        t->table[i] = id | tag(h);
        t->count++;
        if (t->count > t->table_size / 4 * 3)
            table_grow(t);
    }
    (void)pthread_mutex_unlock(&t->mutex);
    return id;
}

bool symtab_find(const struct symtab *t, sonde_str s, symbol *out)
{
    /* The mutex is no part of what a caller may see change. */
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&t->mutex;
    uint64_t h = hash(s);
    uint32_t i;

    (void)pthread_mutex_lock(mutex);
    i = cell_find(t, s, h);
    *out = t->table[i] & ID_MASK;
    (void)pthread_mutex_unlock(mutex);
    return *out != 0;
}

void symtab_release(struct symtab *t, symbol id)
{
    struct slot *slot;

    (void)pthread_mutex_lock(&t->mutex);
    slot = slot_of(t, id);
    if (--slot->refs == 0) {
        sonde_str s = slot_str(slot);

        cell_remove(t, cell_find(t, s, hash(s)));
        slot_free(t, id);
        t->count--;
    }
    (void)pthread_mutex_unlock(&t->mutex);
}

/*
 * A page can go when nothing in it lives and none of its slots waits in a
 * list. So the lists are taken off as they are, gone through without the lock
 * (what is in them is nobody else's now), and what is in other pages is put
 * back. The page that is being filled stays.
 */

/* Slots of pages that stay, chained again; `*last` ends the chain. */
static uint32_t keep_slots(const struct symtab *t, uint32_t id,
                           const uint8_t *dead, uint32_t *last)
{
    uint32_t first = 0;

    *last = 0;
    while (id) {
        uint32_t next = slot_of(t, id)->refs;

        if (!dead[id >> OFFSET_BITS]) {
            if (*last)
                slot_of(t, *last)->refs = id;
            else
                first = id;
            *last = id;
            slot_of(t, id)->refs = 0;
        }
        id = next;
    }
    return first;
}

/* Under the lock: which pages are empty; takes the lists off if any is. */
static bool take_empty(struct symtab *t, uint8_t *dead, uint32_t *lists)
{
    bool any = false;

    for (uint32_t i = 0; i < t->page_count; i++) {
        dead[i] = t->pages[i] && t->live[i] == 0 && i != t->page;
        any |= dead[i];
    }
    if (!any)
        return false;
    memcpy(lists, t->free, sizeof(t->free));
    memset(t->free, 0, sizeof(t->free));
    return true;
}

static void give_back(struct symtab *t, const uint8_t *dead, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++) {
        if (!dead[i])
            continue;
        free(t->pages[i]);
        atomic_store(&t->pages[i], NULL);
        t->spare = mem_grow(t->spare, &t->spare_cap, t->spare_count + 1,
                            sizeof(*t->spare));
        t->spare[t->spare_count++] = i;
    }
}

void symtab_trim(struct symtab *t)
{
    uint32_t lists[SIZE_CLASSES], pages, last;
    uint8_t *dead = mem_zalloc(PAGES_MAX);
    bool any;

    (void)pthread_mutex_lock(&t->mutex);
    pages = t->page_count;
    any = take_empty(t, dead, lists);
    (void)pthread_mutex_unlock(&t->mutex);
    for (uint32_t i = 0; any && i < SIZE_CLASSES; i++) {
        lists[i] = keep_slots(t, lists[i], dead, &last);
        if (!lists[i])
            continue;
        (void)pthread_mutex_lock(&t->mutex);
        slot_of(t, last)->refs = t->free[i];
        t->free[i] = lists[i];
        (void)pthread_mutex_unlock(&t->mutex);
    }
    (void)pthread_mutex_lock(&t->mutex);
    give_back(t, dead, pages);
    (void)pthread_mutex_unlock(&t->mutex);
    free(dead);
}

sonde_str symtab_str(const struct symtab *t, symbol id)
{
    return slot_str(slot_of(t, id));
}

size_t symtab_count(const struct symtab *t)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&t->mutex;
    size_t n;

    (void)pthread_mutex_lock(mutex);
    n = t->count;
    (void)pthread_mutex_unlock(mutex);
    return n;
}

size_t symtab_bytes(const struct symtab *t)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&t->mutex;
    size_t n;

    (void)pthread_mutex_lock(mutex);
    n = sizeof(*t) +
        (size_t)(t->page_count - t->spare_count) *
            (PAGE_BYTES + sizeof(char *)) +
        (size_t)t->table_size * sizeof(*t->table) + t->outside_bytes;
    (void)pthread_mutex_unlock(mutex);
    return n;
}
