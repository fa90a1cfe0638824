/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of nodes that live inside their owners' structures, which are
 * also a list in the order in which they came: one walks the list to emit in
 * a steady order, and to find what was used least recently.
 */
#ifndef PLUGINS_CELERY_TABLE_H
#define PLUGINS_CELERY_TABLE_H

#include <sonde/base.h>

struct node {
    struct node *chain;       /* in the bucket */
    struct node *prev, *next; /* in the order */
    uint64_t hash;
    sonde_str key; /* its bytes belong to the node's owner */
};

struct table {
    struct node **buckets;
    size_t cap, count; /* cap: a power of two, or 0 */
    uint64_t seed;     /* so that keys from outside can not be made to meet */
    struct node *first, *last;
};

/* The structure that the node is in. */
#define TABLE_OWNER(T, n) ((T *)(void *)((char *)(n)-offsetof(T, node)))
#define TABLE_EACH(t, n, after)                                                \
    for (struct node *n = (t)->first, *after = n ? n->next : NULL; n;          \
         n = after, after = n ? n->next : NULL)

/* NULL when it is not there. */
struct node *table_find(const struct table *t, sonde_str key);
/* Adds a node under a key that is not there yet; it comes last in the order.
 * False when there is no memory. */
bool table_add(struct table *t, struct node *n, sonde_str key);
void table_remove(struct table *t, struct node *n);
/* Makes it the last in the order. */
void table_touch(struct table *t, struct node *n);
/* Frees the buckets; the nodes are their owners' business. */
void table_fini(struct table *t);

#endif
