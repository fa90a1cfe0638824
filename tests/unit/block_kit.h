/* SPDX-License-Identifier: Apache-2.0 */
/* Small blocks for tests of the block room. */
#ifndef TESTS_UNIT_BLOCK_KIT_H
#define TESTS_UNIT_BLOCK_KIT_H

#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "chunk/xor_chunk.h"
#include "unit/tap.h"
#include "util/fs.h"

#define KIT_SAMPLES 5
#define KIT_STEP    1000

/* A chunk of KIT_SAMPLES samples from `t` on. */
static inline struct chunk kit_chunk(uint8_t data[256], sonde_msec t, double v)
{
    struct xor_state s = { 0 };

    xor_begin(&s);
    for (int i = 0; i < KIT_SAMPLES; i++)
        CU_ASSERT_EQUAL_FATAL(
            xor_append(&s, data, 256, t + i * KIT_STEP, v + i), 0);
    xor_seal(&s, data);
    return (struct chunk){ CHUNK_XOR,
                           { (char *)data, xor_len(&s) },
                           t,
                           t + (KIT_SAMPLES - 1) * KIT_STEP,
                           KIT_SAMPLES };
}

/*
 * A block of `n` series m{i="NNNNNN", mod="i%7"}, each with `chunks` chunks,
 * made in DIR under the returned name. Symbols: the label names and values in
 * their order.
 */
struct kit_block {
    struct ulid ulid;
    char *dir;
};

static inline uint32_t kit_symbols(struct block_writer *w, unsigned n)
{
    char text[16];

    for (unsigned i = 0; i < n; i++) { /* digits sort before letters */
        (void)snprintf(text, sizeof(text), "%06u", i);
        (void)block_writer_symbol(w, sonde_cstr(text));
    }
    for (unsigned i = 0; i < 7; i++) {
        (void)snprintf(text, sizeof(text), "9-%u", i);
        (void)block_writer_symbol(w, sonde_cstr(text));
    }
    (void)block_writer_symbol(w, SONDE_STR("__name__"));
    (void)block_writer_symbol(w, SONDE_STR("i"));
    (void)block_writer_symbol(w, SONDE_STR("m"));
    return block_writer_symbol(w, SONDE_STR("mod")) - 3;
}

static inline struct kit_block kit_write(const char *parent, unsigned n,
                                         unsigned chunks,
                                         const struct tombstones *stones)
{
    struct kit_block kb = { .ulid = ulid_new(1) };
    struct block_writer_options options = { .ulid = kb.ulid };
    struct block_meta meta = { .mint = 0,
                               .maxt = chunks * KIT_SAMPLES * KIT_STEP };
    struct block_writer *w;
    size_t size = strlen(parent) + ULID_CHARS + 2;
    uint32_t name;

    kb.dir = malloc(size);
    (void)snprintf(kb.dir, size, "%s/%s", parent, kb.ulid.text);
    CU_ASSERT_EQUAL_FATAL(block_writer_new(parent, &options, &w, NULL),
                          SONDE_OK);
    name = kit_symbols(w, n);
    for (unsigned i = 0; i < n; i++) {
        struct block_pair pairs[] = { { name, name + 2 },
                                      { name + 1, i },
                                      { name + 3, n + i % 7 } };
        uint8_t data[8][256];
        struct chunk list[8];

        for (unsigned c = 0; c < chunks && c < 8; c++)
            list[c] = kit_chunk(data[c], c * KIT_SAMPLES * KIT_STEP, i);
        CU_ASSERT_EQUAL_FATAL(
            block_writer_series(w, pairs, 3, list, chunks, NULL), SONDE_OK);
    }
    CU_ASSERT_EQUAL_FATAL(block_writer_finish(w, &meta, stones, NULL),
                          SONDE_OK);
    CU_ASSERT_EQUAL(meta.stats.series, n);
    CU_ASSERT_EQUAL(meta.stats.chunks, n * chunks);
    CU_ASSERT_EQUAL(meta.stats.samples, n * chunks * KIT_SAMPLES);
    block_meta_fini(&meta);
    return kb;
}

#endif
