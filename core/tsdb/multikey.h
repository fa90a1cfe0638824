/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting many items by long keys that are far away in memory. */
#ifndef TSDB_MULTIKEY_H
#define TSDB_MULTIKEY_H

#include <sonde/base.h>

struct multikey_item {
    uint64_t key; /* the sorter's                                         */
    uint32_t id, extra;
};
struct multikey_ops {
    /* The part of an item's key at a depth; 0: the key has ended before. */
    uint64_t (*part)(const struct multikey_item *item, size_t depth,
                     const void *arg);
    /* Of whole keys: <0, 0, >0. */
    int (*compare)(const struct multikey_item *a, const struct multikey_item *b,
                   const void *arg);
};
/* Ascending by the parts, first part first. */
void multikey_sort(struct multikey_item *items, size_t n,
                   const struct multikey_ops *ops, const void *arg);

#endif
