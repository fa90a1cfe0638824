/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena of chunks and an open-addressed table of pointers.
 *
 * What a directory of multiprocess files makes us remember (keys, families,
 * series) is made once, used at every collection and dropped together, so
 * nothing here is freed alone. The table keeps each item's hash and grows at
 * three quarters; nothing is ever removed from it.
 */
#include <stdlib.h>

#define XXH_INLINE_ALL /* no library to link */
#include <xxhash.h>

#include "store.h"

#define CHUNK_BYTES 16384

struct store_chunk {
    struct store_chunk *next;
    size_t cap;
    _Alignas(max_align_t) char bytes[];
};

void *store_new(struct store *s, size_t bytes)
{
    size_t need =
        (bytes + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    void *p;

    if (!s->chunks || s->chunks->cap - s->used < need) {
        size_t cap = need > CHUNK_BYTES ? need : CHUNK_BYTES;
        struct store_chunk *c = calloc(1, sizeof(*c) + cap);

        if (!c)
            return NULL;
        c->cap = cap;
        c->next = s->chunks;
        s->chunks = c;
        s->used = 0;
    }
    p = s->chunks->bytes + s->used;
    s->used += need;
    return p;
}

bool store_str(struct store *s, sonde_str in, sonde_str *out)
{
    char *copy = store_new(s, in.len + 1);

    if (!copy)
        return false;
    if (in.len)
        memcpy(copy, in.ptr, in.len);
    *out = (sonde_str){ copy, in.len };
    return true;
}

void store_fini(struct store *s)
{
    while (s->chunks) {
        struct store_chunk *next = s->chunks->next;

        free(s->chunks);
        s->chunks = next;
    }
    s->used = 0;
}

/* ---- a table ------------------------------------------------------------- */

uint64_t table_hash(uint64_t seed, const void *data, size_t len)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

void *table_find(const struct table *t, uint64_t hash, table_same *same,
                 const void *key)
{
    if (t->cap == 0)
        return NULL;
    for (size_t i = (size_t)hash;; i++) {
        const struct table_slot *slot = &t->slots[i & (t->cap - 1)];

        if (!slot->item)
            return NULL;
        if (slot->hash == hash && same(slot->item, key))
            return slot->item;
    }
}

static void put(struct table_slot *slots, size_t cap, struct table_slot slot)
{
    size_t i = (size_t)slot.hash & (cap - 1);

    while (slots[i].item)
        i = (i + 1) & (cap - 1);
    slots[i] = slot;
}

bool table_add(struct table *t, uint64_t hash, void *item)
{
    if ((t->count + 1) * 4 > t->cap * 3) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct table_slot *grown = calloc(cap, sizeof(*grown));

        if (!grown)
            return false;
        for (size_t i = 0; i < t->cap; i++) {
            if (t->slots[i].item)
                put(grown, cap, t->slots[i]);
        }
        free(t->slots);
        t->slots = grown;
        t->cap = cap;
    }
    put(t->slots, t->cap, (struct table_slot){ hash, item });
    t->count++;
    return true;
}

void table_fini(struct table *t)
{
    free(t->slots);
    *t = (struct table){ 0 };
}
