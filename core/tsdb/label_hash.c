/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing, linear probing, eight bytes a place: half of a label set's
 * hash and the reference. The half hash keeps a probe from looking at series
 * that differ, and lets the table grow without looking at any.
 *
 * A hash is mapped to a place by multiplication, not by a mask, so that the
 * size need not be a power of two and grows by half: between 9 and 15 bytes a
 * series, where doubling would take up to 20.
 *
 * Growing moves nothing at once, for all who make series would wait for it:
 * each one that is added takes some of the old table's places along, from the
 * front, and their memory goes back. What an old place's run began with may
 * have moved, so a probe begins where moving stands; what went around the end
 * lies in front and has moved first. With both tables a series is found by
 * two probes.
 *
 * Removing leaves no mark: what lies behind in the same run moves up. The
 * table does not shrink; what was once needed will be again.
 *
 * The caller's lock guards it.
 */
#include "tsdb/label_hash.h"

#include "tsdb/vm.h"
#include "util/mem.h"

#define FIRST_SIZE   512 /* a page of memory                               */
#define MOVE_STEP    16
#define CLEAR_PLACES ((size_t)32768) /* moved, before their memory goes */

static struct label_slots slots_new(size_t size)
{
    return (struct label_slots){
        vm_alloc(size * sizeof(struct label_slot), 4096), size
    };
}

static void slots_free(struct label_slots *s)
{
    vm_free(s->items, s->size * sizeof(*s->items));
    *s = (struct label_slots){ 0 };
}

void label_hash_fini(struct label_hash *h)
{
    slots_free(&h->now);
    slots_free(&h->old);
    *h = (struct label_hash){ 0 };
}

static size_t home(const struct label_slots *s, uint32_t hash)
{
    return (size_t)((uint64_t)hash * s->size >> 32);
}

/* ---- the old table ----------------------------------------------------- */

/* Where a probe of the old table begins. */
static size_t old_first(const struct label_hash *h, uint32_t hash)
{
    size_t i = home(&h->old, hash);

    return i < h->moved ? h->moved : i;
}

/* Takes one out; no run goes around here. */
static void old_close(struct label_hash *h, size_t hole)
{
    struct label_slot *items = h->old.items;

    for (size_t i = hole + 1; i < h->old.size && items[i].ref; i++) {
        if (home(&h->old, items[i].hash) > hole)
            continue;
        items[hole] = items[i];
        hole = i;
    }
    items[hole] = (struct label_slot){ 0 };
}

/* ---- the table --------------------------------------------------------- */

static void put(struct label_slots *s, struct label_slot slot)
{
    size_t i = home(s, slot.hash);

    while (s->items[i].ref)
        if (++i == s->size)
            i = 0;
    s->items[i] = slot;
}

static void move_one(struct label_hash *h)
{
    struct label_slot slot = h->old.items[h->moved++];

    if (slot.ref)
        put(&h->now, slot);
    if (h->moved % CLEAR_PLACES == 0)
        vm_clear(h->old.items + h->moved - CLEAR_PLACES,
                 CLEAR_PLACES * sizeof(slot));
}

static void move_some(struct label_hash *h)
{
    for (int n = 0; n < MOVE_STEP && h->moved < h->old.size; n++)
        move_one(h);
    if (h->old.items && h->moved == h->old.size)
        slots_free(&h->old);
}

static void grow(struct label_hash *h)
{
    while (h->old.items)
        move_some(h);
    h->old = h->now;
    h->moved = 0;
    h->now =
        slots_new(h->old.size ? h->old.size + h->old.size / 2 : FIRST_SIZE);
    /* what went around the end */
    while (h->moved < h->old.size && h->old.items[h->moved].ref)
        move_one(h);
}

uint32_t label_hash_find(const struct label_hash *h, uint64_t hash,
                         bool (*same)(void *arg, uint32_t ref), void *arg)
{
    uint32_t half = (uint32_t)(hash >> 32);
    const struct label_slot *s;

    if (h->now.size == 0)
        return 0;
    for (size_t i = home(&h->now, half); (s = &h->now.items[i])->ref;) {
        if (s->hash == half && same(arg, s->ref))
            return s->ref;
        if (++i == h->now.size)
            i = 0;
    }
    if (!h->old.items)
        return 0;
    for (size_t i = old_first(h, half); i < h->old.size; i++) {
        s = &h->old.items[i];
        if (!s->ref)
            return 0;
        if (s->hash == half && same(arg, s->ref))
            return s->ref;
    }
    return 0;
}

void label_hash_add(struct label_hash *h, uint64_t hash, uint32_t ref)
{
    if (h->used + 1 > h->now.size / 5 * 4)
        grow(h);
    if (h->old.items)
        move_some(h);
    put(&h->now, (struct label_slot){ (uint32_t)(hash >> 32), ref });
    h->used++;
}

/* ---- removing ---------------------------------------------------------- */

/* Places from one to another, going forwards and around. */
static size_t distance(const struct label_slots *s, size_t from, size_t to)
{
    return to >= from ? to - from : to + s->size - from;
}

/* Moves later ones of the run up where their own place allows it. */
static void close_hole(struct label_slots *s, size_t hole)
{
    for (size_t i = hole;;) {
        if (++i == s->size)
            i = 0;
        if (!s->items[i].ref)
            break;
        if (distance(s, home(s, s->items[i].hash), i) < distance(s, hole, i))
            continue;
        s->items[hole] = s->items[i];
        hole = i;
    }
    s->items[hole] = (struct label_slot){ 0 };
}

static bool remove_now(struct label_hash *h, uint32_t half, uint32_t ref)
{
    size_t i = home(&h->now, half);

    while (h->now.items[i].ref && h->now.items[i].ref != ref)
        if (++i == h->now.size)
            i = 0;
    if (!h->now.items[i].ref)
        return false;
    close_hole(&h->now, i);
    return true;
}

static bool remove_old(struct label_hash *h, uint32_t half, uint32_t ref)
{
    size_t i = h->old.items ? old_first(h, half) : h->old.size;

    while (i < h->old.size && h->old.items[i].ref && h->old.items[i].ref != ref)
        i++;
    if (i == h->old.size || !h->old.items[i].ref)
        return false;
    old_close(h, i);
    return true;
}

void label_hash_remove(struct label_hash *h, uint64_t hash, uint32_t ref)
{
    uint32_t half = (uint32_t)(hash >> 32);

    if (!remove_now(h, half, ref) && !remove_old(h, half, ref))
        SONDE_BUG("series %u is not in the table of labels", ref);
    h->used--;
}
