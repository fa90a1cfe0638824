/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader and the writer of an index agree on. */
#ifndef BLOCK_INDEX_FORMAT_H
#define BLOCK_INDEX_FORMAT_H

#include <stdint.h>

#define INDEX_MAGIC        UINT32_C(0xBAAAD700)
#define INDEX_VERSION      2
#define INDEX_HEADER_BYTES 5
#define INDEX_SERIES_ALIGN 16 /* a series' number is its offset / 16       */
#define INDEX_LIST_ALIGN   4
#define INDEX_CRC_BYTES    4

/* Offsets of the sections, as at the end of the file. Where there are no
 * label indices, theirs is the end of the series, and that of their table
 * the postings table. */
#define INDEX_TOC_BYTES 52
struct index_toc {
    uint64_t symbols, series, label_indices;
    uint64_t label_table, postings, postings_table;
};

#endif
