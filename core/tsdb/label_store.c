/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The series of a family have the same label names, so a list of names, a
 * shape, is stored once and counted; a set is the number of its shape and its
 * values: 40 bytes with nine labels, where pairs would take 76.
 *
 * A set is named by where it is: a number of words of four bytes, in blocks
 * that never move and are made as they are needed. Shapes are found by their
 * number through a table of fixed size, of which the kernel backs only what
 * is touched; readers need no lock for either.
 *
 * Removed sets wait in a list for each number of labels. The series of a
 * target have few different numbers of labels, and what comes after them has
 * the same, so places are found again without splitting or joining any.
 */
#include "tsdb/label_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "tsdb/vm.h"
#include "util/mem.h"

#define WORDS_BLOCK  ((uint64_t)1 << 16)
#define WORDS_BLOCKS ((size_t)1 << 16)
#define WORDS_BYTES  (WORDS_BLOCKS * sizeof(void *))
#define FREE_LISTS   (SERIES_LABELS_MAX + 1)
#define SHAPES_MAX   (UINT32_C(1) << 24)
#define SHAPES_BYTES (SHAPES_MAX * sizeof(void *))
#define SHAPES_FIRST 64

struct label_shape {
    uint32_t refs; /* sets that have it                                    */
    uint32_t count;
    symbol names[];
};

void label_store_init(struct label_store *s)
{
    *s = (struct label_store){ .next = 1 };
    s->blocks = vm_alloc(WORDS_BYTES, 4096);
    s->free = mem_zalloc(FREE_LISTS * sizeof(*s->free));
    s->shapes = vm_alloc(SHAPES_BYTES, 4096);
}

static struct label_shape *shape_at(const struct label_store *s, uint32_t i)
{
    return atomic_load_explicit(&s->shapes[i], memory_order_acquire);
}

void label_store_fini(struct label_store *s)
{
    for (size_t i = 0; i * WORDS_BLOCK < s->next; i++)
        free(s->blocks[i]);
    for (uint32_t i = 0; i < s->shape_end; i++)
        free(shape_at(s, i));
    vm_free((void *)s->blocks, WORDS_BYTES);
    vm_free((void *)s->shapes, SHAPES_BYTES);
    free(s->free);
    free(s->spare_shapes);
    free(s->shape_table);
}

/* ---- shapes ------------------------------------------------------------ */

static size_t shape_home(const struct label_store *s, const symbol *names,
                         size_t n)
{
    return XXH3_64bits(n ? names : (const symbol *)"", n * sizeof(*names)) &
           (s->shape_slots - 1);
}

/* The cell of a list of names, or the empty one where it would go. */
static size_t shape_cell(const struct label_store *s, const symbol *names,
                         size_t n)
{
    size_t i = shape_home(s, names, n);

    for (; s->shape_table[i]; i = (i + 1) & (s->shape_slots - 1)) {
        const struct label_shape *x = shape_at(s, s->shape_table[i] - 1);

        if (x->count == n &&
            (n == 0 || memcmp(x->names, names, n * sizeof(*names)) == 0))
            break;
    }
    return i;
}

static void shapes_grow(struct label_store *s)
{
    free(s->shape_table);
    s->shape_slots = s->shape_slots ? s->shape_slots * 2 : SHAPES_FIRST;
    s->shape_table = mem_zalloc(s->shape_slots * sizeof(*s->shape_table));
    for (uint32_t i = 0; i < s->shape_end; i++) {
        const struct label_shape *x = shape_at(s, i);

        if (x)
            s->shape_table[shape_cell(s, x->names, x->count)] = i + 1;
    }
}

/* The number of a new shape; SHAPES_MAX: there are too many. */
static uint32_t shape_new(struct label_store *s, const symbol *names, size_t n)
{
    struct label_shape *x;
    uint32_t i;

    if (s->spare_count)
        i = s->spare_shapes[--s->spare_count];
    else if (s->shape_end < SHAPES_MAX)
        i = s->shape_end++;
    else
        return SHAPES_MAX;
    x = mem_alloc(sizeof(*x) + n * sizeof(*names));
    *x = (struct label_shape){ .count = (uint32_t)n };
    if (n)
        memcpy(x->names, names, n * sizeof(*names));
    atomic_store_explicit(&s->shapes[i], x, memory_order_release);
    s->shape_count++;
    return i;
}

static uint32_t shape_get(struct label_store *s, const symbol *names, size_t n)
{
    size_t cell;
    uint32_t i;

    if (s->shape_count + 1 > s->shape_slots / 4 * 3)
        shapes_grow(s);
    cell = shape_cell(s, names, n);
    if (s->shape_table[cell])
        return s->shape_table[cell] - 1;
    i = shape_new(s, names, n);
    if (i < SHAPES_MAX)
        s->shape_table[cell] = i + 1;
    return i;
}

/* Empties a cell and moves later ones of its run up, so that no run breaks. */
static void cell_remove(struct label_store *s, size_t hole)
{
    size_t mask = s->shape_slots - 1;

    for (size_t i = (hole + 1) & mask; s->shape_table[i]; i = (i + 1) & mask) {
        const struct label_shape *x = shape_at(s, s->shape_table[i] - 1);

        if (((i - shape_home(s, x->names, x->count)) & mask) <
            ((i - hole) & mask))
            continue;
        s->shape_table[hole] = s->shape_table[i];
        hole = i;
    }
    s->shape_table[hole] = 0;
}

static void shape_put(struct label_store *s, uint32_t i)
{
    struct label_shape *x = shape_at(s, i);

    if (--x->refs)
        return;
    cell_remove(s, shape_cell(s, x->names, x->count));
    atomic_store_explicit(&s->shapes[i], NULL, memory_order_relaxed);
    free(x);
    s->shape_count--;
    s->spare_shapes = mem_grow(s->spare_shapes, &s->spare_cap,
                               s->spare_count + 1, sizeof(*s->spare_shapes));
    s->spare_shapes[s->spare_count++] = i;
}

/* ---- sets -------------------------------------------------------------- */

static uint32_t *words_at(const struct label_store *s, uint32_t at)
{
    return s->blocks[at / WORDS_BLOCK] + at % WORDS_BLOCK;
}

static size_t words_of(size_t n)
{
    return 1 + n;
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

bool label_store_add(struct label_store *s, const struct label_set *set,
                     uint32_t *at)
{
    size_t n = set->count;
    uint32_t shape = shape_get(s, set->names, n), *p;

    if (shape == SHAPES_MAX)
        return false;
    shape_at(s, shape)->refs++;
    *at = take_free(s, n);
    if (!*at && !take_new(s, n, at)) {
        shape_put(s, shape);
        return false;
    }
    p = words_at(s, *at);
    p[0] = shape;
    if (n)
        memcpy(p + 1, set->values, n * sizeof(*set->values));
    return true;
}

struct label_set label_store_get(const struct label_store *s, uint32_t at)
{
    const uint32_t *p = words_at(s, at);
    const struct label_shape *shape = shape_at(s, p[0]);

    return (struct label_set){ shape->names, p + 1, shape->count };
}

void label_store_remove(struct label_store *s, uint32_t at)
{
    uint32_t *p = words_at(s, at), shape = p[0];
    size_t n = shape_at(s, shape)->count;

    shape_put(s, shape);
    if (n == 0 || n >= FREE_LISTS)
        return;
    p[1] = s->free[n];
    s->free[n] = at;
    s->free_words += words_of(n);
}
