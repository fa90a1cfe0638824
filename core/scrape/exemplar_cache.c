/* SPDX-License-Identifier: Apache-2.0 */
/* Two lists of rows, the last scrape's and this one's, and a finger in the
 * first: see the header. */
#include "scrape/exemplar_cache.h"

#include <stdlib.h>

#include "util/mem.h"

#define LOOK_AHEAD 16

void exemplar_cache_fini(struct exemplar_cache *c)
{
    free(c->before.items);
    free(c->now.items);
    *c = (struct exemplar_cache){ 0 };
}

void exemplar_cache_begin(struct exemplar_cache *c)
{
    c->now.count = 0;
    c->at = 0;
}

bool exemplar_cache_had(struct exemplar_cache *c, series_ref ref, uint64_t hash)
{
    struct seen_exemplars *now = &c->now;
    size_t end = c->at + LOOK_AHEAD;

    now->items =
        mem_grow(now->items, &now->cap, now->count + 1, sizeof(*now->items));
    now->items[now->count++] = (struct seen_exemplar){ ref, hash };
    for (size_t i = c->at; i < end && i < c->before.count; i++) {
        if (c->before.items[i].ref != ref)
            continue;
        c->at = i + 1;
        return c->before.items[i].hash == hash;
    }
    return false;
}

void exemplar_cache_end(struct exemplar_cache *c)
{
    struct seen_exemplars had = c->before;

    c->before = c->now;
    c->now = had;
}
