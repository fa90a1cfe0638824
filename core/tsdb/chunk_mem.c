/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of chunks live.
 *
 * An open chunk grows from 16 bytes to a kilobyte, and all series grow at
 * about the same time. So classes are close together (16 bytes apart up to
 * 128), which keeps what is paid and not used at a few bytes a series, and
 * memory must move between classes: when 200,000 chunks have left the class
 * of 48 bytes, its memory has to serve the class of 64. Slabs of 64 KiB do
 * that: each belongs to one class while something in it lives, counts what
 * lives, and becomes a spare when nothing does. More than a few spares are
 * given back to the kernel.
 *
 * Free places of a slab, and slabs with free places, are queues, first in
 * first out. Chunks that grow in the order of a scrape leave their places in
 * that order, the next ones to grow take them in that order, and so the
 * chunks of one scrape stay side by side: appending walks memory forwards.
 * With a stack, each growth would turn the order around.
 *
 * Full chunks are never changed nor freed one by one and are packed without
 * gaps into regions of their own.
 *
 * A slab is found from a place in it by its alignment. Not thread-safe: the
 * head guards it by one mutex.
 *
 * Rejected: malloc (16 bytes of header a chunk, and no order), doubling
 * (a third of the memory unused), ropes of small pieces (readers and the log
 * want the bytes in one piece).
 */
#include "tsdb/chunk_mem.h"

#include "tsdb/vm.h"
#include "util/mem.h"

#define SLAB_HEADER 64

struct chunk_slab {
    struct chunk_slab *prev, *next; /* among those with room              */
    uint16_t cls, item_bytes;
    uint16_t live;       /* places given out                            */
    uint16_t total;      /* places there are                            */
    uint16_t untouched;  /* first one never given out                   */
    uint16_t head, tail; /* queue of free places, number + 1; 0: none    */
    bool linked;
};
_Static_assert(sizeof(struct chunk_slab) <= SLAB_HEADER, "header of a slab");

static const uint16_t class_bytes[CHUNK_CLASSES] = {
    16,  32,  48,  64,  80,  96,  112, 128, 160, 192,
    224, 256, 320, 384, 448, 512, 640, 768, 896, 1024,
};

unsigned chunk_class_for(size_t bytes)
{
    unsigned c = bytes <= 128 ? (unsigned)(bytes + 15) / 16 : 8;

    if (bytes <= 128)
        return c ? c - 1 : 0;
    while (c < CHUNK_CLASSES - 1 && class_bytes[c] < bytes)
        c++;
    if (class_bytes[c] < bytes)
        SONDE_BUG("a chunk of %zu bytes", bytes);
    return c;
}

size_t chunk_class_bytes(unsigned cls)
{
    return class_bytes[cls];
}

void chunk_mem_init(struct chunk_mem *m)
{
    *m = (struct chunk_mem){ 0 };
}

void chunk_mem_fini(struct chunk_mem *m)
{
    for (size_t i = 0; i < m->region_count; i++)
        vm_free(m->regions[i], CHUNK_MEM_REGION);
    free(m->regions);
    free(m->cold);
    chunk_mem_init(m);
}

static uint8_t *region_new(struct chunk_mem *m)
{
    uint8_t *p = vm_alloc(CHUNK_MEM_REGION, CHUNK_MEM_BYTES);

    m->regions = mem_grow(m->regions, &m->region_cap, m->region_count + 1,
                          sizeof(*m->regions));
    m->regions[m->region_count++] = p;
    return p;
}

static void cold_push(struct chunk_mem *m, struct chunk_slab *s)
{
    m->cold = mem_grow(m->cold, &m->cold_cap, m->cold_count + 1,
                       sizeof(struct chunk_slab *));
    m->cold[m->cold_count++] = s;
}

/* Regions are walked forwards. */
static struct chunk_slab *spare_pop(struct chunk_mem *m)
{
    if (m->warm_count)
        return m->warm[--m->warm_count];
    if (m->cold_count == 0) {
        uint8_t *p = region_new(m);

        for (size_t at = CHUNK_MEM_REGION; at > 0; at -= CHUNK_MEM_BYTES)
            cold_push(m, (struct chunk_slab *)(p + at - CHUNK_MEM_BYTES));
    }
    return m->cold[--m->cold_count];
}

static void spare_push(struct chunk_mem *m, struct chunk_slab *s)
{
    if (m->warm_count < CHUNK_MEM_WARM) {
        m->warm[m->warm_count++] = s;
        return;
    }
    vm_clear(s, CHUNK_MEM_BYTES);
    cold_push(m, s);
}

static void slab_link(struct chunk_mem *m, struct chunk_slab *s)
{
    struct chunk_class *c = &m->classes[s->cls];

    s->prev = c->last;
    s->next = NULL;
    if (c->last)
        c->last->next = s;
    else
        c->first = s;
    c->last = s;
    s->linked = true;
}

static void slab_unlink(struct chunk_mem *m, struct chunk_slab *s)
{
    struct chunk_class *c = &m->classes[s->cls];

    if (s->prev)
        s->prev->next = s->next;
    else
        c->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        c->last = s->prev;
    s->linked = false;
}

static struct chunk_slab *slab_new(struct chunk_mem *m, unsigned cls)
{
    struct chunk_slab *s = spare_pop(m);

    *s = (struct chunk_slab){
        .cls = (uint16_t)cls,
        .item_bytes = class_bytes[cls],
        .total = (uint16_t)((CHUNK_MEM_BYTES - SLAB_HEADER) / class_bytes[cls]),
    };
    slab_link(m, s);
    m->slabs++;
    return s;
}

/* Nothing lives in it any more. */
static void slab_retire(struct chunk_mem *m, struct chunk_slab *s)
{
    if (s->linked)
        slab_unlink(m, s);
    m->slabs--;
    spare_push(m, s);
}

static inline uint8_t *slab_item(struct chunk_slab *s, unsigned i)
{
    return (uint8_t *)s + SLAB_HEADER + (size_t)i * s->item_bytes;
}

uint8_t *chunk_mem_get(struct chunk_mem *m, unsigned cls)
{
    struct chunk_slab *s = m->classes[cls].first;
    uint8_t *p;

    if (!s)
        s = slab_new(m, cls);
    if (s->head) {
        p = slab_item(s, s->head - 1u);
        memcpy(&s->head, p, sizeof(s->head));
        if (!s->head)
            s->tail = 0;
    } else {
        p = slab_item(s, s->untouched++);
    }
    s->live++;
    if (s->live == s->total)
        slab_unlink(m, s);
    return p;
}

void chunk_mem_put(struct chunk_mem *m, unsigned cls, uint8_t *p)
{
    struct chunk_slab *s =
        (struct chunk_slab *)(p - (uintptr_t)p % CHUNK_MEM_BYTES);
    uint16_t place =
        (uint16_t)((size_t)(p - slab_item(s, 0)) / s->item_bytes + 1);
    uint16_t none = 0;

    if (s->cls != cls || s->live == 0)
        SONDE_BUG("chunk memory of class %u given back as %u", s->cls, cls);
    if (--s->live == 0) {
        slab_retire(m, s);
        return;
    }
    memcpy(p, &none, sizeof(none));
    if (s->tail)
        memcpy(slab_item(s, s->tail - 1u), &place, sizeof(place));
    else
        s->head = place;
    s->tail = place;
    if (!s->linked)
        slab_link(m, s);
}

void *chunk_mem_pack(struct chunk_mem *m, size_t bytes, size_t align)
{
    uint8_t *p = m->pack;

    if (bytes > CHUNK_MEM_REGION)
        SONDE_BUG("a full chunk of %zu bytes", bytes);
    if (p)
        p += (align - (uintptr_t)p % align) % align;
    if (!p || bytes > (size_t)(m->pack_end - p)) {
        p = region_new(m);
        m->pack_end = p + CHUNK_MEM_REGION;
    }
    m->pack = p + bytes;
    m->packed_bytes += bytes;
    return p;
}
