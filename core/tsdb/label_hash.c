/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing, linear probing, eight bytes a place: half of a label set's
 * hash and the reference. The half hash keeps a probe from looking at series
 * that differ, and lets the table grow without looking at any.
 *
 * A hash is mapped to a place by multiplication, not by a mask, so that the
 * size need not be a power of two and grows by half: between 9 and 15 bytes a
 * series, where doubling would take up to 20. The order of hashes is kept by
 * that mapping; a table that grows is copied from front to back.
 *
 * Removing leaves no mark: what lies behind in the same run moves up. The
 * table does not shrink; what was once needed will be again.
 *
 * The caller's lock guards it.
 */
#include "tsdb/label_hash.h"

#include <stdlib.h>

#include "util/mem.h"

#define FIRST_SIZE 256

static size_t place(const struct label_hash *h, uint32_t hash)
{
    return (size_t)((uint64_t)hash * h->size >> 32);
}

void label_hash_fini(struct label_hash *h)
{
    free(h->slots);
    *h = (struct label_hash){ 0 };
}

uint32_t label_hash_find(const struct label_hash *h, uint64_t hash,
                         bool (*same)(void *arg, uint32_t ref), void *arg)
{
    uint32_t half = (uint32_t)(hash >> 32);

    if (h->size == 0)
        return 0;
    for (size_t i = place(h, half); h->slots[i].ref;) {
        if (h->slots[i].hash == half && same(arg, h->slots[i].ref))
            return h->slots[i].ref;
        if (++i == h->size)
            i = 0;
    }
    return 0;
}

static void put(struct label_hash *h, struct label_slot slot)
{
    size_t i = place(h, slot.hash);

    while (h->slots[i].ref)
        if (++i == h->size)
            i = 0;
    h->slots[i] = slot;
    h->used++;
}

static void grow(struct label_hash *h)
{
    struct label_hash old = *h;

    h->size = old.size ? old.size + old.size / 2 : FIRST_SIZE;
    h->slots = mem_zalloc(h->size * sizeof(*h->slots));
    h->used = 0;
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].ref)
            put(h, old.slots[i]);
    free(old.slots);
}

void label_hash_add(struct label_hash *h, uint64_t hash, uint32_t ref)
{
    if (h->used + 1 > h->size / 5 * 4)
        grow(h);
    put(h, (struct label_slot){ (uint32_t)(hash >> 32), ref });
}

/* Places from one to another, going forwards and around. */
static size_t distance(const struct label_hash *h, size_t from, size_t to)
{
    return to >= from ? to - from : to + h->size - from;
}

/* Moves later ones of the run up where their own place allows it. */
static void close_hole(struct label_hash *h, size_t hole)
{
    for (size_t i = hole;;) {
        if (++i == h->size)
            i = 0;
        if (!h->slots[i].ref)
            break;
        if (distance(h, place(h, h->slots[i].hash), i) < distance(h, hole, i))
            continue;
        h->slots[hole] = h->slots[i];
        hole = i;
    }
    h->slots[hole] = (struct label_slot){ 0 };
}

void label_hash_remove(struct label_hash *h, uint64_t hash, uint32_t ref)
{
    size_t i = place(h, (uint32_t)(hash >> 32));

    while (h->slots[i].ref != ref) {
        if (!h->slots[i].ref)
            SONDE_BUG("series %u is not in the table of labels", ref);
        if (++i == h->size)
            i = 0;
    }
    close_hole(h, i);
    h->used--;
}
