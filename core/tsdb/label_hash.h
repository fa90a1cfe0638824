/* SPDX-License-Identifier: Apache-2.0 */
/* Label set → reference: a hash table that holds no labels. */
#ifndef TSDB_LABEL_HASH_H
#define TSDB_LABEL_HASH_H

#include <sonde/base.h>

struct label_slots {
    struct label_slot {
        uint32_t hash, ref; /* ref 0: empty                               */
    } * items;
    size_t size;
};

struct label_hash {
    struct label_slots now, old; /* old: what has not moved yet            */
    size_t moved;                /* of old's places, from the front        */
    size_t used;                 /* places, of both                        */
};

void label_hash_fini(struct label_hash *h);
/* The reference that `same` accepts among those of this hash; 0: none. */
uint32_t label_hash_find(const struct label_hash *h, uint64_t hash,
                         bool (*same)(void *arg, uint32_t ref), void *arg);
void label_hash_add(struct label_hash *h, uint64_t hash, uint32_t ref);
/* What was added with these two. */
void label_hash_remove(struct label_hash *h, uint64_t hash, uint32_t ref);

#endif
