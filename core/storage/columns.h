/* SPDX-License-Identifier: Apache-2.0 */
/* A series' samples as columns: what is decoded from chunks, and what the
 * query engine's functions walk over. */
#ifndef STORAGE_COLUMNS_H
#define STORAGE_COLUMNS_H

#include <sonde/base.h>

#include "model/histogram.h"
#include "util/arena.h"

/*
 * Times, and a value for each. Where a sample is a native histogram, `h` has
 * it and `v` its sum, so that a stale marker is told by the value in both
 * kinds. `h` is NULL while there is no histogram at all, which is nearly
 * always. Grows by mem_grow; `count` = 0 empties it and keeps the memory;
 * histograms live in `arena`, which columns_reset empties too.
 */
struct columns {
    sonde_msec *t;
    double *v;
    const struct histogram **h;
    size_t count, cap_t, cap_v, cap_h;
    struct arena *arena; /* of the histograms; made with the first          */
};
void columns_fini(struct columns *c);
/* Empties it, histograms too. */
void columns_reset(struct columns *c);
/* Room for `n` more floats. */
void columns_reserve(struct columns *c, size_t n);
void columns_push(struct columns *c, sonde_msec t, double v);
/* `n` floats were written behind the last sample, into room reserved. */
void columns_floats_added(struct columns *c, size_t n);
/* The arena for the next histogram's arrays. */
struct arena *columns_arena(struct columns *c);
/* `h` and its arrays are columns_arena()'s. */
void columns_push_histogram(struct columns *c, sonde_msec t,
                            const struct histogram *h);
/* Drops those of the samples from `from` on that are outside of the closed
 * range. */
void columns_trim(struct columns *c, size_t from, sonde_msec mint,
                  sonde_msec maxt);
/* Merges two runs, each in order of time: [from, mid) and [mid, count). Of
 * two samples of one time that of the second run stays. Costs a look when
 * one follows the other. */
void columns_join(struct columns *c, size_t from, size_t mid);

#endif
