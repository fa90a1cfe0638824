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
    uint32_t free_list, free_count; /* numbers, + 1, of lists of no pair    */
    uint32_t *slots; /* (name, value) → number of the list, + 1           */
    uint32_t slot_count;
    struct postings_name *names; /* sorted by symbol                       */
    uint32_t name_count, name_cap;
    bool live;      /* lists are sorted, and kept so                        */
    uint32_t early; /* references put before others, while live             */
    uint32_t moves; /* counted up when lists or names go or change places  */
};

void postings_fini(struct postings *p);
void postings_add(struct postings *p, symbol name, symbol value, uint32_t ref);
/* Ends the time in which references may come in any order. */
void postings_sort(struct postings *p);
static inline uint32_t postings_pairs(const struct postings *p)
{
    return p->count - p->free_count;
}

/* NULL if there is none. Valid until something is added. */
const struct postings_list *postings_get(const struct postings *p, symbol name,
                                         symbol value);
const struct postings_name *postings_name(const struct postings *p,
                                          symbol name);
static inline const uint32_t *postings_refs(const struct postings_list *l)
{
    return l->cap ? l->refs.many : &l->refs.one;
}

/* ---- taking out -------------------------------------------------------- */

/* The number of a pair's list, + 1; 0: there is none. */
uint32_t postings_number(const struct postings *p, symbol name, symbol value);
/* Takes references (ascending) out of a list. */
void postings_drop(struct postings *p, uint32_t list, const struct refs *gone);
/* Gives a list the references of `r`, copied. */
void postings_replace(struct postings *p, uint32_t list, const struct refs *r);
/* Looks at up to `n` values of a name, from the `*at`-th on, and forgets those
 * that no series has; false: that was the last, and the name itself is
 * forgotten if nothing is left of it. */
bool postings_sweep(struct postings *p, symbol name, uint32_t *at, uint32_t n);

#endif
