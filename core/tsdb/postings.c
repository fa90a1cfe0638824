/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index in memory. For each pair of label name and value the references
 * of the series that have it; for each name the lists of its values, so that
 * a regular expression is tried once per value and not once per series.
 *
 * Series are made with ascending ids, so adding is appending. A replay may
 * bring them in another order, so all is sorted once at its end; later that
 * happens only when ids have come round, after four billion series, and each
 * is put where it belongs. Memory: four bytes a label of a series and little
 * more, for lists grow by an eighth; 24 bytes and two numbers a distinct
 * pair, and no list memory at all for the many values that one series has.
 *
 * Taking out: lists give their memory back; numbers of lists and places of
 * the tables serve again.
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
        if (p->lists[i].name)
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

/* The number of a list that has no pair yet. */
static uint32_t list_new(struct postings *p)
{
    uint32_t number = p->free_list;

    if (number) {
        p->free_list = p->lists[number - 1].refs.one;
        p->free_count--;
        return number - 1;
    }
    p->lists =
        grow_modestly(p->lists, &p->cap, p->count + 1, sizeof(*p->lists));
    return p->count++;
}

static struct postings_list *list_for(struct postings *p, symbol name,
                                      symbol value)
{
    uint32_t *slot, number;

    if (postings_pairs(p) + 1 > p->slot_count / 4 * 3)
        slots_grow(p);
    slot = slot_find(p, name, value);
    if (!*slot) {
        number = list_new(p);
        p->lists[number] =
            (struct postings_list){ .name = name, .value = value };
        name_add(p, name, number);
        *slot = number + 1;
    }
    return &p->lists[*slot - 1];
}

/* Room for one more, in an array of its own. */
static void list_grow(struct postings_list *l)
{
    if (l->cap == 0) {
        uint32_t one = l->refs.one;

        l->refs.many = grow_modestly(NULL, &l->cap, 4, sizeof(one));
        l->refs.many[0] = one;
    }
    l->refs.many = grow_modestly(l->refs.many, &l->cap, l->count + 1,
                                 sizeof(*l->refs.many));
}

void postings_add(struct postings *p, symbol name, symbol value, uint32_t ref)
{
    struct postings_list *l = list_for(p, name, value);
    size_t at = l->count;

    if (l->count == 0) {
        l->refs.one = ref;
        l->count = 1;
        return;
    }
    list_grow(l);
    if (__builtin_expect(p->live && l->refs.many[at - 1] > ref, 0)) {
        at = refs_after(l->refs.many, l->count, ref);
        memmove(l->refs.many + at + 1, l->refs.many + at,
                (l->count - at) * sizeof(ref));
        p->early++;
    }
    l->refs.many[at] = ref;
    l->count++;
}

void postings_sort(struct postings *p)
{
    for (uint32_t i = 0; !p->live && i < p->count; i++) {
        struct postings_list *l = &p->lists[i];

        if (l->cap) {
            struct refs r = { l->refs.many, l->count, l->cap };

            refs_sort(&r);
            l->count = (uint32_t)r.count;
        }
    }
    p->live = true;
}

uint32_t postings_number(const struct postings *p, symbol name, symbol value)
{
    return p->slot_count ? *slot_find(p, name, value) : 0;
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

/* ---- taking out -------------------------------------------------------- */

/* Memory that is not needed any more goes back. */
static void list_shrink(struct postings_list *l)
{
    uint32_t *many = l->refs.many;

    if (l->cap == 0 || (l->count > 1 && l->count > l->cap / 4 * 3))
        return;
    if (l->count > 1) {
        l->cap = (l->count + 3) / 4 * 4;
        l->refs.many = mem_realloc(many, l->cap * sizeof(*many));
        return;
    }
    if (l->count)
        l->refs.one = many[0];
    l->cap = 0;
    free(many);
}

void postings_drop(struct postings *p, uint32_t list, const struct refs *gone)
{
    struct postings_list *l = &p->lists[list];
    struct refs r = { l->cap ? l->refs.many : &l->refs.one, l->count, l->cap };

    refs_subtract(&r, gone->items, gone->count);
    l->count = (uint32_t)r.count;
    list_shrink(l);
}

void postings_replace(struct postings *p, uint32_t list, const struct refs *r)
{
    struct postings_list *l = &p->lists[list];

    if (l->cap)
        free(l->refs.many);
    l->count = (uint32_t)r->count;
    l->cap = 0;
    l->refs.many = NULL;
    if (r->count == 1) {
        l->refs.one = r->items[0];
    } else if (r->count) {
        l->refs.many = grow_modestly(NULL, &l->cap, l->count, sizeof(uint32_t));
        memcpy(l->refs.many, r->items, r->count * sizeof(*r->items));
    }
}

/* Empties a cell and moves later ones of its run up, so that no run breaks. */
static void slot_remove(struct postings *p, uint32_t hole)
{
    uint32_t mask = p->slot_count - 1;

    for (uint32_t i = (hole + 1) & mask; p->slots[i]; i = (i + 1) & mask) {
        const struct postings_list *l = &p->lists[p->slots[i] - 1];

        if (((i - pair_slot(p, l->name, l->value)) & mask) <
            ((i - hole) & mask))
            continue;
        p->slots[hole] = p->slots[i];
        hole = i;
    }
    p->slots[hole] = 0;
}

static void list_forget(struct postings *p, uint32_t number)
{
    struct postings_list *l = &p->lists[number];

    slot_remove(p, (uint32_t)(slot_find(p, l->name, l->value) - p->slots));
    *l = (struct postings_list){ .refs.one = p->free_list };
    p->free_list = number + 1;
    p->free_count++;
    p->moves++;
}

static void name_forget(struct postings *p, uint32_t i)
{
    free(p->names[i].lists);
    p->name_count--;
    memmove(p->names + i, p->names + i + 1,
            (p->name_count - i) * sizeof(*p->names));
    p->moves++;
}

bool postings_sweep(struct postings *p, symbol name, uint32_t *at, uint32_t n)
{
    uint32_t i = name_place(p, name);
    struct postings_name *x = &p->names[i];

    if (i == p->name_count || x->name != name)
        return false;
    for (; n && *at < x->count; n--) {
        uint32_t number = x->lists[*at];

        if (p->lists[number].count) {
            ++*at;
            continue;
        }
        x->lists[*at] = x->lists[--x->count];
        list_forget(p, number);
    }
    if (*at < x->count)
        return true;
    if (x->count == 0)
        name_forget(p, i);
    return false;
}
