/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain of blocks, each at least twice the one before it up to a cap, so
 * that a small arena costs little and a large one few calls. Allocation bumps
 * a pointer. A reset keeps the newest (largest) block: a unit of work that
 * repeats soon needs no malloc at all.
 */
#include "util/arena.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define ARENA_FIRST_BYTES 1024
#define ARENA_CAP_BYTES   (1u << 20)

struct arena_block {
    struct arena_block *older;
    size_t size;
    _Alignas(max_align_t) char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){ 0 };
}

static void blocks_free(struct arena_block *b)
{
    while (b) {
        struct arena_block *older = b->older;
        free(b);
        b = older;
    }
}

void arena_fini(struct arena *a)
{
    blocks_free(a->head);
    arena_init(a);
}

void arena_reset(struct arena *a)
{
    if (!a->head)
        return;
    blocks_free(a->head->older);
    a->head->older = NULL;
    a->next = a->head->data;
    a->end = a->head->data + a->head->size;
    a->used_bytes = 0;
}

/* The newest block is kept where nothing was taken before the mark: work that
 * begins with an empty arena needs no malloc the second time. */
void arena_rewind(struct arena *a, struct arena_mark mark)
{
    if (!mark.head) {
        arena_reset(a);
        return;
    }
    while (a->head != mark.head) {
        struct arena_block *older = a->head->older;

        free(a->head);
        a->head = older;
    }
    a->next = mark.next;
    a->end = a->head->data + a->head->size;
    a->used_bytes = mark.used_bytes;
}

static void arena_grow(struct arena *a, size_t size)
{
    size_t want = a->head ? a->head->size * 2 : ARENA_FIRST_BYTES;
    struct arena_block *b;

    if (want > ARENA_CAP_BYTES)
        want = ARENA_CAP_BYTES;
    if (want < size)
        want = size;
    b = mem_alloc(sizeof(*b) + want);
    b->older = a->head;
    b->size = want;
    a->head = b;
    a->next = b->data;
    a->end = b->data + want;
}

static void *arena_take(struct arena *a, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    void *p;

    if (size > SIZE_MAX / 2)
        mem_abort("arena", size);
    /* Also nothing has a place of its own. */
    size = size ? (size + align - 1) & ~(align - 1) : align;
    if ((size_t)(a->end - a->next) < size)
        arena_grow(a, size);
    p = a->next;
    a->next += size;
    a->used_bytes += size;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return memset(arena_take(a, size), 0, size);
}

void *arena_alloc_array(struct arena *a, size_t size, size_t n)
{
    size_t total;

    if (__builtin_mul_overflow(size, n, &total))
        mem_abort("arena array", SIZE_MAX);
    return arena_alloc(a, total);
}

sonde_str arena_str(struct arena *a, sonde_str s)
{
    return (sonde_str){ arena_cstr(a, s), s.len };
}

char *arena_cstr(struct arena *a, sonde_str s)
{
    char *p = arena_take(a, s.len + 1);

    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return p;
}

sonde_str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    int len;
    char *p;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        return (sonde_str){ 0 };
    p = arena_take(a, (size_t)len + 1);
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return (sonde_str){ p, (size_t)len };
}
