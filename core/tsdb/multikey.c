/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sort that looks at each item a few times, not log n times: a million
 * label sets lie all over the memory, and comparing two of them costs several
 * cache misses. One part of the key (eight bytes) is fetched into the item,
 * items are sorted by what is there, and runs with the same part go on with
 * the next one.
 *
 * A run that is longer than a few parts deep is sorted by whole comparisons:
 * keys from outside must not decide how deep the recursion goes.
 */
#include "tsdb/multikey.h"

#include <stdlib.h>

#define DEPTH_MAX 48

struct context {
    const struct multikey_ops *ops;
    const void *arg;
};

static int by_part(const void *a, const void *b)
{
    const struct multikey_item *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static int by_all(const void *a, const void *b, void *arg)
{
    const struct context *c = arg;

    return c->ops->compare(a, b, c->arg);
}

static void sort_from(const struct context *c, struct multikey_item *items,
                      size_t n, size_t depth)
{
    if (depth >= DEPTH_MAX) {
        qsort_r(items, n, sizeof(*items), by_all, (void *)c);
        return;
    }
    for (size_t i = 0; i < n; i++)
        items[i].key = c->ops->part(&items[i], depth, c->arg);
    qsort(items, n, sizeof(*items), by_part);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && items[end].key == items[i].key; end++)
            ;
        if (end - i > 1 && items[i].key != 0)
            sort_from(c, items + i, end - i, depth + 1);
    }
}

void multikey_sort(struct multikey_item *items, size_t n,
                   const struct multikey_ops *ops, const void *arg)
{
    struct context c = { ops, arg };

    if (n > 1)
        sort_from(&c, items, n, 0);
}
