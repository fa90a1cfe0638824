/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which full chunks a series has, oldest first: five bytes each, behind three
 * with their number. NULL is an empty list. Lists up to a kilobyte are in the
 * memory of chunks, whose lock the caller holds for what changes them.
 */
#ifndef TSDB_CHUNK_LIST_H
#define TSDB_CHUNK_LIST_H

#include <sonde/base.h>

#include "tsdb/chunk_mem.h"

#define CHUNK_LIST_HEADER 3
#define CHUNK_LIST_ITEM   5

/* Where a chunk is, in 40 bits; head_files.h says how. */
typedef uint64_t chunk_place;

static inline size_t chunk_list_count(const uint8_t *list)
{
    return list ? (size_t)list[0] | (size_t)list[1] << 8 | (size_t)list[2] << 16
                : 0;
}
static inline size_t chunk_list_bytes(size_t count)
{
    return CHUNK_LIST_HEADER + count * CHUNK_LIST_ITEM;
}
static inline chunk_place chunk_list_get(const uint8_t *list, size_t i)
{
    const uint8_t *p = list + CHUNK_LIST_HEADER + i * CHUNK_LIST_ITEM;

    return (chunk_place)p[0] << 32 | (chunk_place)p[1] << 24 |
           (chunk_place)p[2] << 16 | (chunk_place)p[3] << 8 | p[4];
}

/* Puts one before place `at`; the list may move. */
void chunk_list_insert(struct chunk_mem *m, uint8_t **list, size_t at,
                       chunk_place place);
/* At the end. */
void chunk_list_push(struct chunk_mem *m, uint8_t **list, chunk_place place);
/* Takes the first `n` out. */
void chunk_list_drop(struct chunk_mem *m, uint8_t **list, size_t n);

#endif
