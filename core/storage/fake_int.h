/* SPDX-License-Identifier: Apache-2.0 */
/* The fake store's data, shared by its two files. */
#ifndef STORAGE_FAKE_INT_H
#define STORAGE_FAKE_INT_H

#include <pthread.h>

#include "storage/storage.h"
#include "util/arena.h"

struct fake_series {
    struct labels labels; /* in the store's arena                          */
    uint64_t hash;
    struct columns samples;
    struct metadata metadata;   /* in the store's arena                      */
    struct exemplar *exemplars; /* in the order of their coming            */
    size_t exemplar_count, exemplar_cap;
};

struct fake {
    struct storage storage;
    const char *warning;   /* of every querier; NULL: none                 */
    pthread_mutex_t mutex; /* guards all below                             */
    struct arena arena;
    struct fake_series **series; /* by reference - 1                       */
    size_t count, cap;
    uint32_t *table; /* references by hash, open addressing; 0: empty      */
    size_t table_size;
};

/* fake_query.c */
sonde_code fake_querier(struct storage *s, sonde_msec mint, sonde_msec maxt,
                        struct querier **out, struct sonde_err *err);
sonde_code fake_exemplars(struct storage *s, const struct matcher *const *sets,
                          const size_t *set_counts, size_t n, sonde_msec mint,
                          sonde_msec maxt, struct arena *arena,
                          struct exemplar_series **out, size_t *out_count,
                          struct sonde_err *err);

#endif
