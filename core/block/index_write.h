/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an index from front to back: symbols, series, finish. */
#ifndef BLOCK_INDEX_WRITE_H
#define BLOCK_INDEX_WRITE_H

#include <sonde/base.h>

#include "block/block.h"
#include "block/index_format.h"
#include "block/out_file.h"
#include "block/posting_runs.h"
#include "block/symbols.h"

struct index_writer {
    char *dir;
    struct out_file out;
    struct index_toc toc;
    struct posting_runs runs;
    struct buf last_symbol;
    uint32_t symbol_count;
    bool symbols_ended;
    struct mapped map;       /* of the file up to the symbols' end          */
    struct symbols symbols;  /* views of it                                 */
    struct block_pair *last; /* of the series before, to see the order     */
    size_t last_count, last_cap;
    uint64_t series_count;
    struct buf entry;
};

SONDE_NODISCARD sonde_code index_writer_init(struct index_writer *w,
                                             const char *dir,
                                             size_t postings_bytes,
                                             struct sonde_err *err);
void index_writer_fini(struct index_writer *w);
SONDE_NODISCARD sonde_code index_writer_symbol(struct index_writer *w,
                                               sonde_str s, uint32_t *number,
                                               struct sonde_err *err);
SONDE_NODISCARD sonde_code index_writer_series(struct index_writer *w,
                                               const struct block_pair *pairs,
                                               size_t n,
                                               const struct block_chunk *chunks,
                                               size_t chunk_count,
                                               struct sonde_err *err);
SONDE_NODISCARD sonde_code index_writer_finish(struct index_writer *w,
                                               struct sonde_err *err);
/* Its postings: index_postings.c, for index_writer_finish only. */
SONDE_NODISCARD sonde_code index_writer_postings(struct index_writer *w,
                                                 struct sonde_err *err);

#endif
