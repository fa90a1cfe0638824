/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the replies of a round trip, given back all at once: a reply of
 * a thousand strings is a few blocks instead of two thousand allocations.
 * Between collections one small block is kept.
 */
#include <stdlib.h>

#include "conn.h"

#define BLOCK_BYTES 32768

struct redis_block {
    struct redis_block *next;
    size_t size;
    max_align_t data[];
};

void *arena_alloc(struct redis_arena *a, size_t n)
{
    char *p;

    n = (n + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (!a->blocks || n > a->size - a->used) {
        size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        struct redis_block *b = malloc(sizeof(*b) + size);

        if (!b)
            return NULL;
        b->next = a->blocks;
        b->size = size;
        a->blocks = b;
        a->size = size;
        a->used = 0;
    }
    p = (char *)a->blocks->data + a->used;
    a->used += n;
    return p;
}

void arena_reset(struct redis_arena *a)
{
    struct redis_block *kept = NULL;

    while (a->blocks) {
        struct redis_block *b = a->blocks;

        a->blocks = b->next;
        if (!kept && b->size == BLOCK_BYTES)
            kept = b;
        else
            free(b);
    }
    if (kept)
        kept->next = NULL;
    *a = (struct redis_arena){ .blocks = kept, .size = kept ? kept->size : 0 };
}

void arena_fini(struct redis_arena *a)
{
    arena_reset(a);
    free(a->blocks);
    *a = (struct redis_arena){ 0 };
}
