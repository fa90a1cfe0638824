/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of keys and what they take: a table by name while a database is
 * walked. At its end the groups that use most memory are kept and the rest is
 * one group, `overflow`. The table itself has a bound too: groups beyond it
 * go straight into the overflow, so a pattern that makes a group of every key
 * costs a bounded amount of memory.
 */
#include <stdlib.h>

#include "redis.h"

struct group {
    char *name;
    size_t len;
    uint64_t count;
    double memory;
};

struct redis_group_table {
    struct group *groups;
    size_t count, cap;
    uint32_t *slots; /* group + 1 */
    size_t slot_count;
    uint64_t over_count;
    double over_memory;
};

struct redis_group_table *groups_new(void)
{
    return calloc(1, sizeof(struct redis_group_table));
}

static void clear(struct redis_group_table *g)
{
    for (size_t i = 0; i < g->count; i++)
        free(g->groups[i].name);
    free(g->groups);
    free(g->slots);
    *g = (struct redis_group_table){ 0 };
}

void groups_free(struct redis_group_table *g)
{
    if (g)
        clear(g);
    free(g);
}

static size_t slot_of(const struct redis_group_table *g, sonde_str name)
{
    uint64_t h = 0xcbf29ce484222325ull;
    size_t i;

    for (i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)name.ptr[i]) * 0x100000001b3ull;
    i = (size_t)(h ^ h >> 32) & (g->slot_count - 1);
    while (g->slots[i]) {
        const struct group *group = &g->groups[g->slots[i] - 1];

        if (sonde_str_eq((sonde_str){ group->name, group->len }, name))
            break;
        i = (i + 1) & (g->slot_count - 1);
    }
    return i;
}

static bool grow(struct redis_group_table *g)
{
    size_t cap = g->cap ? g->cap * 2 : 128;
    struct group *groups = realloc(g->groups, cap * sizeof(*groups));
    uint32_t *slots;

    if (!groups)
        return false;
    g->groups = groups;
    slots = calloc(cap * 2, sizeof(*slots));
    if (!slots)
        return false;
    free(g->slots);
    g->slots = slots;
    g->slot_count = cap * 2;
    g->cap = cap;
    for (size_t i = 0; i < g->count; i++)
        g->slots[slot_of(g, (sonde_str){ g->groups[i].name,
                                         g->groups[i].len })] = (uint32_t)i + 1;
    return true;
}

bool groups_add(struct redis_group_table *g, sonde_str name, double memory)
{
    struct group *group;
    size_t slot;

    if (name.len > REDIS_LABEL_MAX)
        name.len = REDIS_LABEL_MAX;
    if (g->count == g->cap && g->count < REDIS_GROUPS_MAX && !grow(g))
        return false;
    slot = slot_of(g, name);
    if (!g->slots[slot]) {
        if (g->count == REDIS_GROUPS_MAX) {
            g->over_count++;
            g->over_memory += memory;
            return true;
        }
        group = &g->groups[g->count];
        *group =
            (struct group){ .name = malloc(name.len + 1), .len = name.len };
        if (!group->name)
            return false;
        if (name.len)
            memcpy(group->name, name.ptr, name.len);
        g->slots[slot] = (uint32_t)++g->count;
    }
    group = &g->groups[g->slots[slot] - 1];
    group->count++;
    group->memory += memory;
    return true;
}

/* Most memory first; then, as the exporter has it, fewest keys, then name. */
static int compare(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int c;

    if (x->memory != y->memory)
        return x->memory > y->memory ? -1 : 1;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    c = memcmp(x->name, y->name, n);
    return c ? c : x->len < y->len ? -1 : x->len > y->len;
}

static bool keep(struct redis_kept *kept, sonde_str db, sonde_str name,
                 double count, double memory)
{
    return kept_add(kept, F_KEY_GROUP_COUNT, SONDE_LABELS(db, name), count) &&
           kept_add(kept, F_KEY_GROUP_MEMORY, SONDE_LABELS(db, name), memory);
}

bool groups_finish(struct redis_group_table *g, sonde_str db, size_t limit,
                   struct redis_kept *kept)
{
    bool ok = kept_add(kept, F_KEY_GROUPS, &db, (double)g->count);
    bool over = g->over_count > 0 || g->count > limit;

    if (g->count > limit)
        qsort(g->groups, g->count, sizeof(*g->groups), compare);
    for (size_t i = 0; ok && i < g->count; i++) {
        const struct group *group = &g->groups[i];

        if (i < limit) {
            ok = keep(kept, db, (sonde_str){ group->name, group->len },
                      (double)group->count, group->memory);
        } else {
            g->over_count += group->count;
            g->over_memory += group->memory;
        }
    }
    if (ok && over)
        ok = keep(kept, db, SONDE_STR("overflow"), (double)g->over_count,
                  g->over_memory);
    clear(g);
    return ok;
}
