/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks: samples of one series, compressed; Prometheus' encodings 1 to 3
 * (tsdb/docs/format/chunks.md). A chunk is just bytes: it is written to head
 * chunk files and to blocks as it is. Chunks of other encodings and damaged
 * ones are SONDE_ECORRUPT, never read outside of their bytes.
 */
#ifndef CHUNK_CHUNK_H
#define CHUNK_CHUNK_H

#include <sonde/base.h>

#include "storage/columns.h"

enum chunk_encoding {
    CHUNK_NONE,
    CHUNK_XOR,
    CHUNK_HISTOGRAM,
    CHUNK_FLOAT_HISTOGRAM
};

/* A view. */
struct chunk {
    enum chunk_encoding encoding;
    sonde_str data;
    sonde_msec mint, maxt; /* of its first and last sample                 */
    uint32_t count;
};

/* The number of samples that a chunk's bytes say it has. */
uint32_t chunk_count(sonde_str data);
/* Appends all samples; on SONDE_ECORRUPT those before the damage. */
SONDE_NODISCARD sonde_code chunk_decode(enum chunk_encoding encoding,
                                        sonde_str data, struct columns *out,
                                        struct sonde_err *err);

/* ---- cutting samples into chunks: cut.c --------------------------------- */

/* Where a chunk ends at the latest. A histogram chunk may pass the bytes with
 * its last sample; a chunk has at least one sample. */
struct chunk_limits {
    uint32_t samples;    /* 0: what the encoding can hold                   */
    uint32_t bytes;      /* 0: any                                          */
    sonde_msec range_ms; /* it never crosses a multiple of this; 0: may    */
};
typedef sonde_code (*chunk_emit)(void *arg, const struct chunk *chunk,
                                 struct sonde_err *err);
/* Encodes samples `from` up to (not including) `to`, whose times ascend,
 * floats and histograms of both kinds in any mixture, into as few chunks as
 * the limits and the encodings allow, handed over one after the other;
 * a chunk's bytes are valid for the call. Headers of counter histograms tell
 * of resets against the chunk before; `first_unknown` says that nothing is
 * known about what was before the first, not even what its hint says. Samples
 * that come from several sources must have unknown hints. */
SONDE_NODISCARD sonde_code chunks_cut(const struct columns *c, size_t from,
                                      size_t to,
                                      const struct chunk_limits *limits,
                                      bool first_unknown, chunk_emit emit,
                                      void *arg, struct sonde_err *err);

#endif
