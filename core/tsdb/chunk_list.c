/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A series of 5 s has 18 full chunks before they become a block, so a list is
 * a good part of what a series costs: 93 bytes then, in a place of 96. How
 * much room a list has follows from its length and is kept nowhere. Lists
 * that outgrow the classes (thousands of samples a second) have memory of
 * their own, which doubles.
 *
 * Rejected: 8 bytes a chunk (half as much again), a chain (a cache miss a
 * chunk), times beside the places (16 bytes a chunk for what the chunk's own
 * header says).
 */
#include "tsdb/chunk_list.h"

#include <stdlib.h>

#include "util/mem.h"

#define COUNT_MAX ((1u << 24) - 1)

/* What a list of so many has room for in bytes; 0: nothing. */
static size_t room(size_t count)
{
    size_t bytes = chunk_list_bytes(count), heap = 2 * CHUNK_MEM_MAX;

    if (count == 0)
        return 0;
    if (bytes <= CHUNK_MEM_MAX)
        return chunk_class_bytes(chunk_class_for(bytes));
    while (heap < bytes)
        heap *= 2;
    return heap;
}

static uint8_t *list_alloc(struct chunk_mem *m, size_t bytes)
{
    if (bytes <= CHUNK_MEM_MAX)
        return chunk_mem_get(m, chunk_class_for(bytes));
    return mem_alloc(bytes);
}

static void list_free(struct chunk_mem *m, uint8_t *list, size_t bytes)
{
    if (bytes == 0)
        return;
    if (bytes <= CHUNK_MEM_MAX)
        chunk_mem_put(m, chunk_class_for(bytes), list);
    else
        free(list);
}

static void put_item(uint8_t *list, size_t i, chunk_place place)
{
    uint8_t *p = list + CHUNK_LIST_HEADER + i * CHUNK_LIST_ITEM;

    p[0] = (uint8_t)(place >> 32);
    p[1] = (uint8_t)(place >> 24);
    p[2] = (uint8_t)(place >> 16);
    p[3] = (uint8_t)(place >> 8);
    p[4] = (uint8_t)place;
}

static void put_count(uint8_t *list, size_t count)
{
    list[0] = (uint8_t)count;
    list[1] = (uint8_t)(count >> 8);
    list[2] = (uint8_t)(count >> 16);
}

/* Gives the list the room that `count` need, keeping its items from `from`
 * on, at the front. */
static void resize(struct chunk_mem *m, uint8_t **list, size_t from,
                   size_t count)
{
    size_t had = chunk_list_count(*list), kept = had - from;
    size_t old_room = room(had), new_room = room(count);
    uint8_t *to = *list;

    if (new_room != old_room && new_room)
        to = list_alloc(m, new_room);
    if (new_room && kept)
        memmove(to + CHUNK_LIST_HEADER,
                *list + CHUNK_LIST_HEADER + from * CHUNK_LIST_ITEM,
                kept * CHUNK_LIST_ITEM);
    if (new_room != old_room)
        list_free(m, *list, old_room);
    *list = new_room ? to : NULL;
    if (*list)
        put_count(*list, count);
}

void chunk_list_insert(struct chunk_mem *m, uint8_t **list, size_t at,
                       chunk_place place)
{
    size_t count = chunk_list_count(*list);
    uint8_t *hole;

    if (count == COUNT_MAX || at > count)
        SONDE_BUG("chunk %zu of %zu chunks of a series", at, count);
    resize(m, list, 0, count + 1);
    hole = *list + CHUNK_LIST_HEADER + at * CHUNK_LIST_ITEM;
    memmove(hole + CHUNK_LIST_ITEM, hole, (count - at) * CHUNK_LIST_ITEM);
    put_item(*list, at, place);
}

void chunk_list_push(struct chunk_mem *m, uint8_t **list, chunk_place place)
{
    chunk_list_insert(m, list, chunk_list_count(*list), place);
}

void chunk_list_drop(struct chunk_mem *m, uint8_t **list, size_t n)
{
    size_t count = chunk_list_count(*list);

    if (n > count)
        SONDE_BUG("%zu of %zu chunks are to be dropped", n, count);
    if (n)
        resize(m, list, n, count - n);
}
