/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open chunk of a series whose last sample is a native histogram
 * (SERIES_HIST). It is an encoder with its memory on the heap, and `chunk` of
 * the series points to it; open.count says how many samples it has, open.t
 * and open.v are the last one's time and sum. A series of floats has nothing
 * of it.
 */
#ifndef TSDB_HEAD_HISTOGRAMS_H
#define TSDB_HEAD_HISTOGRAMS_H

#include "chunk/hist_chunk.h"
#include "tsdb/head.h"

/* NULL if there is none: also of a store without chunks. Under the page's
 * lock, as all here. */
static inline struct hist_chunk *series_hist_chunk(const struct series *s)
{
    return s->flags & SERIES_HIST ? (struct hist_chunk *)(void *)s->chunk
                                  : NULL;
}
/* The last sample; NULL if it is not known. */
static inline const struct histogram *
head_last_histogram(const struct series *s)
{
    const struct hist_chunk *c = series_hist_chunk(s);

    return c ? hist_chunk_last(c) : NULL;
}

/* Appends without judging; the page's lock is held, the memory's is not. How
 * many chunks were begun. */
unsigned head_append_histogram(struct head *h, struct series *s, uint32_t id,
                               sonde_msec t, const struct histogram *hist);
/* Of the replay: one thread has the series to itself. False if it is not
 * behind the last sample. */
bool head_replay_histogram(struct head *h, struct series *s, uint32_t id,
                           sonde_msec t, const struct histogram *hist,
                           size_t *chunks);
/* Makes the open chunk a full one; what is known of its last sample stays.
 * The memory's lock is held. */
void head_hist_seal(struct head *h, struct series *s, uint32_t id);
/* The same, and the next sample is a float. */
void head_hist_leave(struct head *h, struct series *s, uint32_t id);
/* Gives up the open chunk's memory: the series goes. */
void head_hist_free(struct series *s);
/* The open chunk of either kind, whose series has samples in it; its bytes
 * are valid under the page's lock. */
struct chunk head_open_chunk(const struct series *s);

#endif
