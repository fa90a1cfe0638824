/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of 32-bit numbers (of series, of symbols) as ascending arrays without
 * doubles: what selecting series works on. The other side of an operation
 * may be an array of this machine or big-endian, as lists are on disk; it is
 * used where it lies.
 */
#ifndef UTIL_REFS_H
#define UTIL_REFS_H

#include <sonde/base.h>

struct refs {
    uint32_t *items;
    size_t count, cap;
};

void refs_fini(struct refs *r);
void refs_append(struct refs *r, const uint32_t *items, size_t n);
void refs_append_be(struct refs *r, const uint8_t *be32, size_t n);
/* Sorts and removes doubles. */
void refs_sort(struct refs *r);
/* Keeps those that are also in `items` (ascending). */
void refs_intersect(struct refs *r, const uint32_t *items, size_t n);
void refs_intersect_be(struct refs *r, const uint8_t *be32, size_t n);
/* Keeps those that are not. */
void refs_subtract(struct refs *r, const uint32_t *items, size_t n);
void refs_subtract_be(struct refs *r, const uint8_t *be32, size_t n);
/* Sets `marks[i]` of each `r->items[i]` that is in the list. */
void refs_mark_be(const struct refs *r, const uint8_t *be32, size_t n,
                  bool *marks);
/* Keeps the marked ones. */
void refs_keep(struct refs *r, const bool *marks);
bool refs_meet_be(const struct refs *r, const uint8_t *be32, size_t n);
/* The index of the first that is greater than `after`. */
size_t refs_after(const uint32_t *items, size_t n, uint32_t after);

#endif
