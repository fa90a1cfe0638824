/* SPDX-License-Identifier: Apache-2.0 */
/* A chunk as it is in a head chunk file (tsdb/docs/format/head_chunks.md). */
#ifndef TSDB_HEAD_RECORD_H
#define TSDB_HEAD_RECORD_H

#include <sonde/base.h>

#include "chunk/chunk.h"
#include "storage/storage.h"

#define HEAD_RECORD_LATE 0x80 /* in the encoding: out of order             */
/* All that is not the chunk's own bytes: reference, two times, encoding,
 * length, checksum. */
#define HEAD_RECORD_BESIDES (8 + 8 + 8 + 1 + 5 + 4)
#define HEAD_RECORD_MIN     (8 + 8 + 8 + 1 + 1 + 4)
#define HEAD_RECORD_DATA    (UINT32_C(1) << 24) /* longest chunk             */

struct head_chunk {
    series_ref series;
    bool late;
    struct chunk chunk; /* a view; `count` is not filled in                */
};

/* Writes it to `to`, which has room; returns how many bytes it took. */
size_t head_record_put(uint8_t *to, const struct head_chunk *c);
/* How many bytes head_record_put would take. */
size_t head_record_bytes(const struct head_chunk *c);

enum head_record_found {
    HEAD_RECORD_GOOD,
    HEAD_RECORD_END, /* nothing but zeros                                  */
    HEAD_RECORD_BAD
};
/* Looks at the first record of `bytes`, checksum included; `*len` is its
 * length if it is good. */
enum head_record_found head_record_check(sonde_str bytes,
                                         struct head_chunk *out, size_t *len);
/* Of a record that was checked or written here; false if its length passes
 * the end of `bytes`. */
bool head_record_get(sonde_str bytes, struct head_chunk *out, size_t *len);
/* The first place at or behind `from` where a good record begins; the length
 * of `bytes` if there is none. */
size_t head_record_seek(sonde_str bytes, size_t from);

#endif
