/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' histogram chunks, of integers and of floats: an open chunk that
 * samples are appended to, and the decoder. */
#ifndef CHUNK_HIST_CHUNK_H
#define CHUNK_HIST_CHUNK_H

#include <sonde/base.h>

#include "chunk/chunk.h"
#include "model/histogram.h"

#define HIST_SAMPLES_MAX 65535

/* An open chunk; also one that has no sample yet but knows the last one of
 * the chunk before. Used by one thread at a time. */
struct hist_chunk;

struct hist_chunk *hist_chunk_new(bool is_float);
void hist_chunk_free(struct hist_chunk *c); /* NULL is fine */

/* Appends a sample that is valid (histogram_check) and of the chunk's kind,
 * later than those that are there; all is copied. False, and nothing changed,
 * if another chunk must begin: other buckets' layout, a counter reset, full.
 * The first sample of a chunk always fits. */
SONDE_NODISCARD bool hist_chunk_append(struct hist_chunk *c, sonde_msec t,
                                       const struct histogram *h);
/* Empties it. The sample that is appended next is told apart from the last
 * one: whether it is a counter reset. */
void hist_chunk_begin(struct hist_chunk *c);

static inline enum chunk_encoding hist_encoding(bool is_float)
{
    return is_float ? CHUNK_FLOAT_HISTOGRAM : CHUNK_HISTOGRAM;
}
/* The chunk's bytes, complete at any time; valid until the next append. */
sonde_str hist_chunk_bytes(const struct hist_chunk *c);
uint32_t hist_chunk_count(const struct hist_chunk *c);
bool hist_chunk_is_float(const struct hist_chunk *c);
/* The last sample, also of the chunk before; NULL if there was none. Missing
 * buckets may have been added, empty. */
const struct histogram *hist_chunk_last(const struct hist_chunk *c);
sonde_msec hist_chunk_first_time(const struct hist_chunk *c);
sonde_msec hist_chunk_last_time(const struct hist_chunk *c);
/* What it takes in memory, roughly. */
size_t hist_chunk_memory(const struct hist_chunk *c);

/* A chunk that goes on where the bytes of a finished one end. */
SONDE_NODISCARD sonde_code hist_chunk_open(bool is_float, sonde_str data,
                                           struct hist_chunk **out,
                                           struct sonde_err *err);

/* Appends all samples to the columns; on SONDE_ECORRUPT those before the
 * damage. The hint of a chunk's first sample is that of its header, or
 * HISTOGRAM_UNKNOWN_RESET where it says no reset, because nobody knows
 * whether the chunk before is still there. Whoever puts samples of several
 * sources in a row must set the hints to unknown. */
SONDE_NODISCARD sonde_code hist_decode(bool is_float, sonde_str data,
                                       struct columns *out,
                                       struct sonde_err *err);

#endif
