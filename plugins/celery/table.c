/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of nodes; the array of buckets doubles when it is full. The hash is
 * FNV-1a over a random start with the bits spread at the end: keys are short
 * (task ids, names), and the tables are bounded by their owners.
 */
#include "table.h"

#include <stdlib.h>
#include <sys/random.h>

static uint64_t hash_of(const struct table *t, sonde_str key)
{
    uint64_t h = t->seed ^ UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.ptr[i]) * UINT64_C(0x100000001b3);
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static bool grow(struct table *t)
{
    size_t cap = t->cap ? t->cap * 2 : 16;
    struct node **buckets = calloc(cap, sizeof(struct node *));

    if (!buckets)
        return false;
    for (struct node *n = t->first; n; n = n->next) {
        struct node **head = &buckets[n->hash & (cap - 1)];

        n->chain = *head;
        *head = n;
    }
    free(t->buckets);
    t->buckets = buckets;
    t->cap = cap;
    return true;
}

struct node *table_find(const struct table *t, sonde_str key)
{
    uint64_t hash = hash_of(t, key);
    struct node *n = t->cap ? t->buckets[hash & (t->cap - 1)] : NULL;

    while (n && (n->hash != hash || !sonde_str_eq(n->key, key)))
        n = n->chain;
    return n;
}

static void append(struct table *t, struct node *n)
{
    n->prev = t->last;
    n->next = NULL;
    *(t->last ? &t->last->next : &t->first) = n;
    t->last = n;
}

static void take_out(struct table *t, struct node *n)
{
    *(n->prev ? &n->prev->next : &t->first) = n->next;
    *(n->next ? &n->next->prev : &t->last) = n->prev;
}

bool table_add(struct table *t, struct node *n, sonde_str key)
{
    struct node **head;

    if (t->cap == 0)
        (void)!getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK);
    if (t->count >= t->cap && !grow(t) && t->cap == 0)
        return false;
    n->key = key;
    n->hash = hash_of(t, key);
    head = &t->buckets[n->hash & (t->cap - 1)];
    n->chain = *head;
    *head = n;
    append(t, n);
    t->count++;
    return true;
}

void table_remove(struct table *t, struct node *n)
{
    struct node **at = &t->buckets[n->hash & (t->cap - 1)];

    while (*at != n)
        at = &(*at)->chain;
    *at = n->chain;
    take_out(t, n);
    t->count--;
}

void table_touch(struct table *t, struct node *n)
{
    if (t->last == n)
        return;
    take_out(t, n);
    append(t, n);
}

void table_fini(struct table *t)
{
    free(t->buckets);
    *t = (struct table){ 0 };
}
