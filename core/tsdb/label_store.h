/* SPDX-License-Identifier: Apache-2.0 */
/* Label sets of series, packed: a count, then pairs of symbols. Adding and
 * removing is one writer's; a set that is there never moves nor changes. */
#ifndef TSDB_LABEL_STORE_H
#define TSDB_LABEL_STORE_H

#include <sonde/base.h>

#include "model/symtab.h"

#define SERIES_LABELS_MAX 4096

struct label_store {
    uint32_t **blocks;
    uint64_t next;       /* in words                                       */
    uint32_t *free;      /* removed sets, by their number of pairs         */
    uint64_t free_words; /* in all of them                                 */
};

struct label_pair {
    symbol name, value;
};

void label_store_init(struct label_store *s);
void label_store_fini(struct label_store *s);
/* Room for `n` pairs, to be filled at once; false when the store is full.
 * `*at` is never 0. */
bool label_store_add(struct label_store *s, size_t n, uint32_t *at,
                     struct label_pair **pairs);
const struct label_pair *label_store_get(const struct label_store *s,
                                         uint32_t at, size_t *n);
/* Its room is used for the next set of that many pairs; nobody may read it
 * any more. */
void label_store_remove(struct label_store *s, uint32_t at);

#endif
