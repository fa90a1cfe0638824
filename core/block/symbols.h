/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The symbol table of an index: strings in ascending order, numbered from 0.
 * The strings stay in the file; every SYMBOL_STRIDE'th place is kept.
 */
#ifndef BLOCK_SYMBOLS_H
#define BLOCK_SYMBOLS_H

#include <sonde/base.h>

#define SYMBOL_STRIDE 16

struct symbols {
    const uint8_t *base; /* the first string's length                     */
    uint32_t len;        /* of all strings with their lengths             */
    uint32_t count;
    uint32_t *samples; /* offsets from base                               */
};

/* `table` is what the checksum covers: the number of strings, the strings.
 * Checks their lengths and order. */
SONDE_NODISCARD sonde_code symbols_open(struct symbols *s, sonde_str table,
                                        struct sonde_err *err);
void symbols_close(struct symbols *s);
/* No bytes for a number that is not one. */
sonde_str symbols_get(const struct symbols *s, uint32_t number);
bool symbols_find(const struct symbols *s, sonde_str text, uint32_t *number);
/* The number of the string that begins at `offset` from base (index version
 * 1 refers so); false if none does. */
bool symbols_at(const struct symbols *s, uint64_t offset, uint32_t *number);

/* For numbers that mostly ascend: goes on from the one before. */
struct symbols_cursor {
    const struct symbols *symbols;
    uint32_t next, at; /* number of the string at offset `at`             */
};
sonde_str symbols_cursor_get(struct symbols_cursor *c, uint32_t number);

#endif
