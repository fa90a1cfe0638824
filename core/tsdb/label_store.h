/* SPDX-License-Identifier: Apache-2.0 */
/* Label sets of series, packed: values, and the names that many series share.
 * Adding and removing is one writer's; a set that is there never moves nor
 * changes. */
#ifndef TSDB_LABEL_STORE_H
#define TSDB_LABEL_STORE_H

#include <sonde/base.h>

#include "model/symtab.h"

#define SERIES_LABELS_MAX 4096

/* A view of a stored set, in the order of the names' bytes. */
struct label_set {
    const symbol *names, *values;
    size_t count;
};

struct label_shape;

struct label_store {
    uint32_t **blocks;
    uint64_t next;       /* in words                                       */
    uint32_t *free;      /* removed sets, by their number of labels        */
    uint64_t free_words; /* in all of them                                 */

    struct label_shape *_Atomic *shapes; /* lists of names, by number      */
    uint32_t shape_end;                  /* numbers that were ever used    */
    uint32_t *spare_shapes;              /* numbers that are free again    */
    size_t spare_count, spare_cap;
    uint32_t *shape_table; /* open addressing: number + 1                  */
    size_t shape_slots, shape_count;
};

void label_store_init(struct label_store *s);
void label_store_fini(struct label_store *s);
/* Stores a set, copied; false when the store is full. `*at` is never 0. */
bool label_store_add(struct label_store *s, const struct label_set *set,
                     uint32_t *at);
struct label_set label_store_get(const struct label_store *s, uint32_t at);
/* Its room is used for the next set of that many labels; nobody may read it
 * any more. */
void label_store_remove(struct label_store *s, uint32_t at);

static inline bool label_set_find(const struct label_set *set, symbol name,
                                  symbol *value)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->names[i] == name) {
            *value = set->values[i];
            return true;
        }
    return false;
}

#endif
