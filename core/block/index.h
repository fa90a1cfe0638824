/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an index: version 2, and 1 and 3. It is mapped; what is kept in
 * memory are the places of every 16th symbol, and of the table of postings
 * each label name and every 32nd of its values. Nothing changes after
 * opening, so any number of threads may read.
 */
#ifndef BLOCK_INDEX_H
#define BLOCK_INDEX_H

#include <sonde/base.h>

#include "block/block.h"
#include "block/index_format.h"
#include "block/mapped.h"
#include "block/symbols.h"

struct postings_table {
    const uint8_t *base; /* the first entry                               */
    uint32_t len;
    uint32_t entries;
    struct table_name {
        sonde_str name;
        uint32_t count;  /* of values                                     */
        uint32_t sample; /* the first of its samples                      */
    } * names;           /* ascending; "" is the list of all series       */
    size_t name_count, name_cap;
    /* Offsets from base of every stride'th entry of a name. 1 for a table
     * that is not sorted, whose samples are. */
    uint32_t *samples;
    size_t sample_count, sample_cap;
    uint32_t stride;
};

struct index {
    struct mapped file;
    int version;
    struct index_toc toc;
    uint64_t series_end;
    struct symbols symbols;
    uint64_t symbols_at; /* file offset of symbols.base                   */
    struct postings_table table;
};

SONDE_NODISCARD sonde_code index_open(const char *path, struct index *out,
                                      struct sonde_err *err);
/* The same with ix->file open and all else zero. */
SONDE_NODISCARD sonde_code index_open_file(struct index *ix,
                                           struct sonde_err *err);
void index_close(struct index *ix);

/* A section that begins with its length and ends with its checksum, which
 * is verified. */
SONDE_NODISCARD sonde_code index_section(const struct index *ix, uint64_t at,
                                         const char *what, sonde_str *body,
                                         struct sonde_err *err);
/* One entry at a file offset. `*end` (may be NULL) is the offset behind. */
SONDE_NODISCARD sonde_code index_series_at(const struct index *ix, uint64_t at,
                                           struct block_series *out,
                                           uint64_t *end,
                                           struct sonde_err *err);
SONDE_NODISCARD sonde_code index_postings_at(const struct index *ix,
                                             uint64_t at,
                                             struct block_postings *out,
                                             struct sonde_err *err);
static inline uint64_t index_series_offset(const struct index *ix,
                                           uint32_t number)
{
    return ix->version == 1 ? number : (uint64_t)number * INDEX_SERIES_ALIGN;
}

/* ---- the table of postings: postings_table.c ---------------------------- */

struct table_entry {
    sonde_str name, value;
    uint64_t offset;
};
/* `body` is what the checksum covers. */
SONDE_NODISCARD sonde_code postings_table_open(struct postings_table *t,
                                               sonde_str body,
                                               struct sonde_err *err);
void postings_table_close(struct postings_table *t);
const struct table_name *postings_table_name(const struct postings_table *t,
                                             sonde_str name);
/* The i'th entry of a name, at `*at`, which moves to where the next one may
 * be; begin with any `*at` at i = 0. */
struct table_entry postings_table_entry(const struct postings_table *t,
                                        const struct table_name *n, uint32_t i,
                                        uint32_t *at);
bool postings_table_find(const struct postings_table *t, sonde_str name,
                         sonde_str value, uint64_t *offset);

#endif
