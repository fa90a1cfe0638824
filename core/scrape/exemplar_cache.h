/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exemplars that a target showed the last time, by series: a target keeps
 * showing its last one. Rows in the order of the lines, so that the next line
 * with one is mostly found at once; what moved farther than a few rows counts
 * as new, which costs a look-up in the store. Used by the target's loop
 * thread only; a target without exemplars has no memory in it.
 */
#ifndef SCRAPE_EXEMPLAR_CACHE_H
#define SCRAPE_EXEMPLAR_CACHE_H

#include <sonde/base.h>

#include "storage/storage.h"

struct seen_exemplar {
    series_ref ref;
    uint64_t hash; /* of its text                                         */
};
struct seen_exemplars {
    struct seen_exemplar *items;
    size_t count, cap;
};

struct exemplar_cache {
    struct seen_exemplars before, now;
    size_t at; /* in `before`: where the next one is expected              */
};

void exemplar_cache_fini(struct exemplar_cache *c);
/* A scrape begins. */
void exemplar_cache_begin(struct exemplar_cache *c);
/* Notes one; whether it is as the last time. */
bool exemplar_cache_had(struct exemplar_cache *c, series_ref ref,
                        uint64_t hash);
/* The scrape succeeded: what it had is compared with from now on. */
void exemplar_cache_end(struct exemplar_cache *c);

#endif
