/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena: memory that is taken piece by piece and given back all at once,
 * one per unit of work (a scrape, a query, a configuration). Not
 * thread-safe. Running out of memory aborts the process with a message.
 */
#ifndef UTIL_ARENA_H
#define UTIL_ARENA_H

#include <stddef.h>

#include <sonde/base.h>

struct arena_block;

struct arena {
    struct arena_block *head; /* newest block, where allocation goes on  */
    char *next, *end;         /* free part of it                         */
    size_t used_bytes;        /* given out since the last reset          */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);
/* Forgets all that was given out; keeps one block for the next round. */
void arena_reset(struct arena *a);

/* Gives back all that was taken since the mark; marks nest. */
struct arena_mark {
    struct arena_block *head;
    char *next;
    size_t used_bytes;
};
static inline struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->head, a->next, a->used_bytes };
}
void arena_rewind(struct arena *a, struct arena_mark mark);

/* Zeroed, aligned for any type; lives as long as `a`. */
void *arena_alloc(struct arena *a, size_t size);
#define arena_new(a, T)      ((T *)arena_alloc((a), sizeof(T)))
#define arena_array(a, T, n) ((T *)arena_alloc_array((a), sizeof(T), (n)))
void *arena_alloc_array(struct arena *a, size_t size, size_t n);

/* A copy, NUL-terminated beyond its length. */
sonde_str arena_str(struct arena *a, sonde_str s);
char *arena_cstr(struct arena *a, sonde_str s);
SONDE_PRINTF(2, 3)
sonde_str arena_printf(struct arena *a, const char *fmt, ...);

#endif
