/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that goes away at once, and tables of what lies in it. Not for
 * several threads at a time. Every function may run out of memory: NULL or
 * false, and nothing has changed. */
#ifndef PYTHON_STORE_H
#define PYTHON_STORE_H

#include <sonde/base.h>

/* ---- an arena ------------------------------------------------------------ */

struct store_chunk;

struct store {
    struct store_chunk *chunks;
    size_t used; /* of the first chunk */
};

/* Zeroed and aligned for anything; lives until store_fini. */
void *store_new(struct store *s, size_t bytes);
/* A copy with a NUL after it. */
bool store_str(struct store *s, sonde_str in, sonde_str *out);
void store_fini(struct store *s);

/* ---- a table ------------------------------------------------------------- */

struct table_slot {
    uint64_t hash;
    void *item; /* not owned; NULL: a free slot */
};

struct table {
    struct table_slot *slots;
    size_t cap, count;
};

typedef bool table_same(const void *item, const void *key);

uint64_t table_hash(uint64_t seed, const void *data, size_t len);
void *table_find(const struct table *t, uint64_t hash, table_same *same,
                 const void *key);
/* Adds an item that table_find did not find. */
bool table_add(struct table *t, uint64_t hash, void *item);
void table_fini(struct table *t);

#endif
