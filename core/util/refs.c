/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted arrays: most selections are small, and walking two lists together
 * jumps through the longer one by doubling steps, so that a short list
 * against a long one costs the logarithm of the distance per item, and two
 * of a length little more than a merge.
 *
 * Both forms of a list go through the same code, made twice by the compiler:
 * whether it is big-endian is a constant at each place of use.
 *
 * A list that is not ascending, which only damage that passed a checksum or a
 * broken writer makes, gives a wrong set, never a read beyond it.
 */
#include "util/refs.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "util/mem.h"

#define INLINE static inline __attribute__((always_inline))

/* The other side. */
struct list {
    const void *items;
    size_t count;
    bool be;
};

INLINE uint32_t list_at(const struct list *l, size_t i)
{
    return l->be ? be32_get((const uint8_t *)l->items + i * 4)
                 : ((const uint32_t *)l->items)[i];
}

void refs_fini(struct refs *r)
{
    free(r->items);
    *r = (struct refs){ 0 };
}

static uint32_t *room(struct refs *r, size_t n)
{
    if (r->count + n > r->cap)
        r->items = mem_grow(r->items, &r->cap, r->count + n, sizeof(*r->items));
    r->count += n;
    return r->items + r->count - n;
}

void refs_append(struct refs *r, const uint32_t *items, size_t n)
{
    if (n)
        memcpy(room(r, n), items, n * sizeof(*items));
}

void refs_append_be(struct refs *r, const uint8_t *be32, size_t n)
{
    uint32_t *to = n ? room(r, n) : NULL;

    for (size_t i = 0; i < n; i++)
        to[i] = be32_get(be32 + i * 4);
}

/* ---- sorting ----------------------------------------------------------- */

/* One pass of a radix sort, by the byte at `shift`. */
static void sort_by_byte(const uint32_t *from, uint32_t *to, size_t n,
                         unsigned shift)
{
    size_t at[257] = { 0 };

    for (size_t i = 0; i < n; i++)
        at[(from[i] >> shift & 255) + 1]++;
    for (size_t i = 1; i < 257; i++)
        at[i] += at[i - 1];
    for (size_t i = 0; i < n; i++)
        to[at[from[i] >> shift & 255]++] = from[i];
}

static bool is_sorted(const struct refs *r)
{
    for (size_t i = 1; i < r->count; i++)
        if (r->items[i - 1] >= r->items[i])
            return false;
    return true;
}

void refs_sort(struct refs *r)
{
    uint32_t *other;
    size_t kept = 0;

    if (is_sorted(r))
        return;
    other = mem_alloc(r->count * sizeof(*other));
    sort_by_byte(r->items, other, r->count, 0);
    sort_by_byte(other, r->items, r->count, 8);
    sort_by_byte(r->items, other, r->count, 16);
    sort_by_byte(other, r->items, r->count, 24);
    free(other);
    for (size_t i = 0; i < r->count; i++)
        if (kept == 0 || r->items[kept - 1] != r->items[i])
            r->items[kept++] = r->items[i];
    r->count = kept;
}

/* ---- walking two lists together ---------------------------------------- */

/* The first index at or after `from` whose item is not below `ref`. */
INLINE size_t leap(const struct list *l, size_t from, uint32_t ref)
{
    size_t step = 1, low = from, high;

    while (low + step < l->count && list_at(l, low + step) < ref) {
        low += step;
        step *= 2;
    }
    high = low + step < l->count ? low + step : l->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (list_at(l, mid) < ref)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Whether `ref` is in the list at or after `*at`, which moves there. */
INLINE bool list_has(const struct list *l, size_t *at, uint32_t ref)
{
    *at = leap(l, *at, ref);
    return *at < l->count && list_at(l, *at) == ref;
}

INLINE void keep_if(struct refs *r, const struct list *l, bool in)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < r->count; i++)
        if (list_has(l, &at, r->items[i]) == in)
            r->items[kept++] = r->items[i];
    r->count = kept;
}

void refs_intersect(struct refs *r, const uint32_t *items, size_t n)
{
    keep_if(r, &(struct list){ items, n, false }, true);
}

void refs_intersect_be(struct refs *r, const uint8_t *be32, size_t n)
{
    keep_if(r, &(struct list){ be32, n, true }, true);
}

void refs_subtract(struct refs *r, const uint32_t *items, size_t n)
{
    keep_if(r, &(struct list){ items, n, false }, false);
}

void refs_subtract_be(struct refs *r, const uint8_t *be32, size_t n)
{
    keep_if(r, &(struct list){ be32, n, true }, false);
}

/* The two may differ in length by any factor either way, so both leap. */
void refs_mark_be(const struct refs *r, const uint8_t *be32, size_t n,
                  bool *marks)
{
    const struct list mine = { r->items, r->count, false };
    const struct list other = { be32, n, true };
    size_t i = 0, at = 0;

    while (i < r->count && at < n) {
        if (list_has(&other, &at, r->items[i]))
            marks[i++] = true;
        else if (at < n)
            i = leap(&mine, i, list_at(&other, at));
    }
}

void refs_keep(struct refs *r, const bool *marks)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->count; i++)
        if (marks[i])
            r->items[kept++] = r->items[i];
    r->count = kept;
}

bool refs_meet_be(const struct refs *r, const uint8_t *be32, size_t n)
{
    const struct list mine = { r->items, r->count, false };
    const struct list other = { be32, n, true };
    size_t i = 0, at = 0;

    while (i < r->count && at < n) {
        if (list_has(&other, &at, r->items[i]))
            return true;
        if (at < n)
            i = leap(&mine, i, list_at(&other, at));
    }
    return false;
}

size_t refs_after(const uint32_t *items, size_t n, uint32_t after)
{
    const struct list l = { items, n, false };

    return after == UINT32_MAX ? n : leap(&l, 0, after + 1);
}
