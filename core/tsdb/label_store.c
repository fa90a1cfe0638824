/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set is named by where it is: a number of words of four bytes, in blocks
 * that never move and are made as they are needed.
 *
 * Removed sets wait in a list for each number of pairs. The series of a
 * target have few different numbers of labels, and what comes after them has
 * the same, so places are found again without splitting or joining any.
 */
#include "tsdb/label_store.h"

#include <stdlib.h>

#include "tsdb/vm.h"
#include "util/mem.h"

#define WORDS_BLOCK  ((uint64_t)1 << 16)
#define WORDS_BLOCKS ((size_t)1 << 16)
#define WORDS_BYTES  (WORDS_BLOCKS * sizeof(void *))
#define FREE_LISTS   (SERIES_LABELS_MAX + 1)

void label_store_init(struct label_store *s)
{
    *s = (struct label_store){ .next = 1 };
    s->blocks = vm_alloc(WORDS_BYTES, 4096);
    s->free = mem_zalloc(FREE_LISTS * sizeof(*s->free));
}

void label_store_fini(struct label_store *s)
{
    for (size_t i = 0; i * WORDS_BLOCK < s->next; i++)
        free(s->blocks[i]);
    vm_free((void *)s->blocks, WORDS_BYTES);
    free(s->free);
}

static uint32_t *words_at(const struct label_store *s, uint32_t at)
{
    return s->blocks[at / WORDS_BLOCK] + at % WORDS_BLOCK;
}

static size_t words_of(size_t n)
{
    return 1 + 2 * n;
}

/* The place of a removed set, or 0. */
static uint32_t take_free(struct label_store *s, size_t n)
{
    uint32_t at = n && n < FREE_LISTS ? s->free[n] : 0;

    if (at) {
        s->free[n] = words_at(s, at)[1];
        s->free_words -= words_of(n);
    }
    return at;
}

static bool take_new(struct label_store *s, size_t n, uint32_t *at)
{
    size_t words = words_of(n);
    uint32_t **block;

    if (s->next % WORDS_BLOCK + words > WORDS_BLOCK)
        s->next = (s->next / WORDS_BLOCK + 1) * WORDS_BLOCK;
    if (s->next + words > WORDS_BLOCK * WORDS_BLOCKS)
        return false;
    block = &s->blocks[s->next / WORDS_BLOCK];
    if (!*block)
        *block = mem_alloc(WORDS_BLOCK * sizeof(**block));
    *at = (uint32_t)s->next;
    s->next += words;
    return true;
}

bool label_store_add(struct label_store *s, size_t n, uint32_t *at,
                     struct label_pair **pairs)
{
    uint32_t *p;

    *at = take_free(s, n);
    if (!*at && !take_new(s, n, at))
        return false;
    p = words_at(s, *at);
    p[0] = (uint32_t)n;
    *pairs = (struct label_pair *)(p + 1);
    return true;
}

const struct label_pair *label_store_get(const struct label_store *s,
                                         uint32_t at, size_t *n)
{
    const uint32_t *p = words_at(s, at);

    *n = p[0];
    return (const struct label_pair *)(p + 1);
}

void label_store_remove(struct label_store *s, uint32_t at)
{
    uint32_t *p = words_at(s, at);
    size_t n = p[0];

    if (n == 0 || n >= FREE_LISTS)
        return;
    p[1] = s->free[n];
    s->free[n] = at;
    s->free_words += words_of(n);
}
