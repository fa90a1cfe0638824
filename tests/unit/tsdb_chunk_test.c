/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: the memory of chunks. */
#include <stdlib.h>
#include <string.h>

#include "tsdb/chunk_mem.h"
#include "unit/tap.h"

static void test_classes(void)
{
    for (size_t bytes = 1; bytes <= CHUNK_MEM_MAX; bytes++) {
        unsigned c = chunk_class_for(bytes);

        CU_ASSERT_TRUE(chunk_class_bytes(c) >= bytes);
        CU_ASSERT_TRUE(c == 0 || chunk_class_bytes(c - 1) < bytes);
    }
}

/* Places taken in an order are given back and taken again in that order. */
static void test_memory_is_a_queue(void)
{
    enum {
        COUNT = 4 * ((CHUNK_MEM_BYTES - 64) / 48)
    }; /* full slabs */
    struct chunk_mem m;
    uint8_t *first[COUNT];
    size_t same = 0;

    chunk_mem_init(&m);
    for (size_t i = 0; i < COUNT; i++) {
        first[i] = chunk_mem_get(&m, 2);
        memset(first[i], (int)i, chunk_class_bytes(2));
    }
    for (size_t i = 0; i < COUNT; i++) {
        memset(chunk_mem_get(&m, 3), 0, chunk_class_bytes(3));
        same += first[i][0] == (uint8_t)i && first[i][47] == (uint8_t)i;
        if (i % 10) /* some stay, so that slabs do */
            chunk_mem_put(&m, 2, first[i]);
    }
    CU_ASSERT_EQUAL(same, COUNT);
    same = 0;
    for (size_t i = 0; i < COUNT; i++)
        same += i % 10 == 0 || chunk_mem_get(&m, 2) == first[i];
    CU_ASSERT_EQUAL(same, COUNT);
    chunk_mem_fini(&m);
}

/* What one class leaves serves another. */
static void test_memory_moves(void)
{
    enum {
        COUNT = 20000
    };
    struct chunk_mem m;
    uint8_t **p = malloc(COUNT * sizeof(*p));
    size_t most = 0;

    chunk_mem_init(&m);
    for (size_t i = 0; i < COUNT; i++)
        p[i] = chunk_mem_get(&m, 0);
    for (unsigned c = 1; c < CHUNK_CLASSES; c++)
        for (size_t i = 0; i < COUNT; i++) {
            uint8_t *q = chunk_mem_get(&m, c);

            chunk_mem_put(&m, c - 1, p[i]);
            p[i] = q;
            most = m.slabs > most ? m.slabs : most;
        }
    CU_ASSERT_TRUE(most * CHUNK_MEM_BYTES < (size_t)COUNT * 1024 * 11 / 10);
    for (size_t i = 0; i < COUNT; i++)
        chunk_mem_put(&m, CHUNK_CLASSES - 1, p[i]);
    CU_ASSERT_EQUAL(m.slabs, 0);
    CU_ASSERT_EQUAL((uintptr_t)chunk_mem_pack(&m, 3, 1) % 1, 0);
    CU_ASSERT_EQUAL((uintptr_t)chunk_mem_pack(&m, 40, 8) % 8, 0);
    chunk_mem_fini(&m);
    free(p);
}

static const struct tap_test tests[] = {
    { "size classes are close together", test_classes },
    { "chunk memory is a queue", test_memory_is_a_queue },
    { "chunk memory moves between classes", test_memory_moves },
};

int main(void)
{
    return TAP_RUN("tsdb_chunk", tests);
}
