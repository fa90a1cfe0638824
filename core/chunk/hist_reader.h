/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a histogram chunk sample by sample. */
#ifndef CHUNK_HIST_READER_H
#define CHUNK_HIST_READER_H

#include <sonde/base.h>

#include "chunk/bits.h"
#include "chunk/hist_fit.h"
#include "model/histogram.h"
#include "util/arena.h"

#define HIST_HEADER_BYTES 3

/* How a number moves: by what it changed last (integers), or by which bits
 * of it changed last (floats). */
union hist_trend {
    uint64_t delta;
    struct window window;
};

struct hist_reader {
    struct bits b;
    struct arena *arena; /* of all that is handed out                       */
    enum hist_header header;
    uint32_t count, read;
    bool backwards; /* spans overlap: hist_mend() puts them in order        */
    sonde_msec t;
    uint64_t t_delta;
    struct window sum_window;
    /* Of count and zero count, then of all buckets. */
    union hist_trend *trends;
    /* The sample that was read last that was not stale, its arrays the
     * arena's; its schema is as it was written. */
    struct histogram h;
};

/* Puts buckets whose spans go backwards in order, those of one index added. */
void hist_mend(struct histogram *h, struct arena *a);
/* Reads the layout. Bytes are any bytes; no array is larger than they allow. */
SONDE_NODISCARD sonde_code hist_reader_init(struct hist_reader *r,
                                            bool is_float, sonde_str data,
                                            struct arena *a,
                                            struct sonde_err *err);
/* The next sample, with arrays that stay; r->t is its time. SONDE_ENOTFOUND at
 * the end. */
SONDE_NODISCARD sonde_code hist_reader_next(struct hist_reader *r,
                                            struct histogram *out,
                                            struct sonde_err *err);

#endif
