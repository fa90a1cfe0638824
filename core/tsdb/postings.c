/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index in memory. For each pair of label name and value the references
 * of the series that have it; for each name the lists of its values, so that
 * a regular expression is tried once per value and not once per series.
 *
 * Series are made with ascending references, so adding is appending. Only a
 * replay may bring them in another order; it marks the index and sorts once
 * at its end. Memory: four bytes a label of a series and little more, for
 * lists grow by an eighth; 24 bytes and two numbers a distinct pair, and no
 * list memory at all for the many values that one series has.
 *
 * The caller's lock guards it.
 *
 * Rejected: bitmaps (references get sparse in time), a hash map per name
 * (its empty places cost more than all that is in them).
 */
#include "tsdb/postings.h"

#include <stdlib.h>

#include "tsdb/grow.h"
#include "util/mem.h"

#define FIRST_SLOTS 64

void postings_fini(struct postings *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->lists[i].cap)
            free(p->lists[i].refs.many);
    for (uint32_t i = 0; i < p->name_count; i++)
        free(p->names[i].lists);
    free(p->lists);
    free(p->slots);
    free(p->names);
    *p = (struct postings){ 0 };
}

/* ---- pairs ------------------------------------------------------------ */

static uint32_t pair_slot(const struct postings *p, symbol name, symbol value)
{
    uint64_t x = ((uint64_t)name << 32 | value) * UINT64_C(0x9e3779b97f4a7c15);

    x ^= x >> 32;
    return (uint32_t)x & (p->slot_count - 1);
}

/* The place of a pair, or the empty one where it would be. */
static uint32_t *slot_find(const struct postings *p, symbol name, symbol value)
{
    uint32_t i = pair_slot(p, name, value);

    while (p->slots[i]) {
        const struct postings_list *l = &p->lists[p->slots[i] - 1];

        if (l->name == name && l->value == value)
            break;
        i = (i + 1) & (p->slot_count - 1);
    }
    return &p->slots[i];
}

static void slots_grow(struct postings *p)
{
    free(p->slots);
    p->slot_count = p->slot_count ? p->slot_count * 2 : FIRST_SLOTS;
    p->slots = mem_zalloc(p->slot_count * sizeof(*p->slots));
    for (uint32_t i = 0; i < p->count; i++)
        *slot_find(p, p->lists[i].name, p->lists[i].value) = i + 1;
}

/* Index of the first name that is not below. */
static uint32_t name_place(const struct postings *p, symbol name)
{
    uint32_t low = 0, high = p->name_count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (p->names[mid].name < name)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void name_add(struct postings *p, symbol name, uint32_t list)
{
    uint32_t i = name_place(p, name);
    struct postings_name *n;

    if (i == p->name_count || p->names[i].name != name) {
        p->names = grow_modestly(p->names, &p->name_cap, p->name_count + 1,
                                 sizeof(*p->names));
        memmove(p->names + i + 1, p->names + i,
                (p->name_count - i) * sizeof(*p->names));
        p->names[i] = (struct postings_name){ .name = name };
        p->moves++;
        p->name_count++;
    }
    n = &p->names[i];
    n->lists =
        grow_modestly(n->lists, &n->cap, n->count + 1, sizeof(*n->lists));
    n->lists[n->count++] = list;
}

static struct postings_list *list_for(struct postings *p, symbol name,
                                      symbol value)
{
    uint32_t *slot;

    if (p->count + 1 > p->slot_count / 4 * 3)
        slots_grow(p);
    slot = slot_find(p, name, value);
    if (!*slot) {
        p->lists =
            grow_modestly(p->lists, &p->cap, p->count + 1, sizeof(*p->lists));
        p->lists[p->count] = (struct postings_list){ name, value };
        name_add(p, name, p->count);
        *slot = ++p->count;
    }
    return &p->lists[*slot - 1];
}

void postings_add(struct postings *p, symbol name, symbol value, uint32_t ref)
{
    struct postings_list *l = list_for(p, name, value);

    if (l->count == 0) {
        l->refs.one = ref;
        l->count = 1;
        return;
    }
    if (postings_refs(l)[l->count - 1] > ref)
        p->unsorted = true;
    if (l->cap == 0) {
        uint32_t one = l->refs.one;

        l->refs.many = grow_modestly(NULL, &l->cap, 4, sizeof(one));
        l->refs.many[0] = one;
    }
    l->refs.many = grow_modestly(l->refs.many, &l->cap, l->count + 1,
                                 sizeof(*l->refs.many));
    l->refs.many[l->count++] = ref;
}

void postings_sort(struct postings *p)
{
    for (uint32_t i = 0; p->unsorted && i < p->count; i++) {
        struct postings_list *l = &p->lists[i];

        if (l->cap) {
            struct refs r = { l->refs.many, l->count, l->cap };

            refs_sort(&r);
            l->count = (uint32_t)r.count;
        }
    }
    p->unsorted = false;
}

const struct postings_list *postings_get(const struct postings *p, symbol name,
                                         symbol value)
{
    uint32_t *slot = p->slot_count ? slot_find(p, name, value) : NULL;

    return slot && *slot ? &p->lists[*slot - 1] : NULL;
}

const struct postings_name *postings_name(const struct postings *p, symbol name)
{
    uint32_t i = name_place(p, name);

    return i < p->name_count && p->names[i].name == name ? &p->names[i] : NULL;
}
