/* SPDX-License-Identifier: Apache-2.0 */
/* Which series have a label: ascending references per name and value. */
#ifndef TSDB_POSTINGS_H
#define TSDB_POSTINGS_H

#include <sonde/base.h>

#include "model/symtab.h"
#include "util/refs.h"

/* Sorted references; the list of one series needs no memory of its own. */
struct postings_list {
    symbol name, value;
    uint32_t count, cap; /* cap 0: `one` is used                          */
    union {
        uint32_t one;
        uint32_t *many;
    } refs;
};

/* The lists of a name, by number. */
struct postings_name {
    symbol name;
    uint32_t count, cap;
    uint32_t *lists;
};

struct postings {
    struct postings_list *lists;
    uint32_t count, cap;
    uint32_t *slots; /* (name, value) → number of the list, + 1           */
    uint32_t slot_count;
    struct postings_name *names; /* sorted by symbol                       */
    uint32_t name_count, name_cap;
    bool unsorted;  /* something was added out of order                     */
    uint32_t moves; /* counted up when lists or names go or change places  */
};

void postings_fini(struct postings *p);
void postings_add(struct postings *p, symbol name, symbol value, uint32_t ref);
/* Sorts what was added out of order. */
void postings_sort(struct postings *p);

/* NULL if there is none. Valid until something is added. */
const struct postings_list *postings_get(const struct postings *p, symbol name,
                                         symbol value);
const struct postings_name *postings_name(const struct postings *p,
                                          symbol name);
static inline const uint32_t *postings_refs(const struct postings_list *l)
{
    return l->cap ? l->refs.many : &l->refs.one;
}

#endif
