/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a replay has read of the log, on its way to the series. One thread
 * puts samples in, in the order of the log; others append them.
 */
#ifndef TSDB_REPLAY_LANES_H
#define TSDB_REPLAY_LANES_H

#include <sonde/base.h>

#include "chunk/chunk.h"
#include "model/histogram.h"
#include "tsdb/series.h"
#include "util/arena.h"

#define LANES         256
#define LANE_ITEMS    170 /* a block is a page of memory                */
#define LANES_BLOCKS  4096
#define LANES_THREADS 1

enum lane_kind {
    LANE_SAMPLE,
    LANE_HISTOGRAM,
    LANE_DELETION,
    LANE_CHUNK, /* of a saved head                                       */
};
struct lane_chunk {
    enum chunk_encoding encoding;
    sonde_str data;
};
struct lane_item {
    uint64_t ref;  /* and the kind in the highest bits                    */
    sonde_msec t;  /* of a deletion: the first                             */
    uint64_t bits; /* of a value; a deletion's last time                   */
};
#define LANE_KIND_SHIFT 56
#define LANE_REF_MASK   ((UINT64_C(1) << LANE_KIND_SHIFT) - 1)

struct lane_block {
    struct lane_block *next;
    uint64_t count;
    struct lane_item items[LANE_ITEMS];
};

/* Samples that are appended together: those of a page of series are all in
 * one lane, in order. */
struct lane_batch {
    struct lane_block *first[LANES], *last[LANES];
    struct lane_block *blocks; /* LANES_BLOCKS                              */
    struct arena arena;        /* of histograms; `bits` is where            */
    size_t used;
};

/* What became of the samples. */
struct lanes_result {
    uint64_t samples, old, unknown;
    uint64_t highest; /* reference among the unknown ones                 */
    size_t chunks;    /* begun                                            */
    sonde_msec mint, maxt;
    bool bad_chunk;         /* one could not be decoded to its end          */
    struct columns scratch; /* of the thread                                */
};

struct head;
struct lane_crew; /* the threads; replay_lanes.c */

struct lanes {
    struct head *head;
    sonde_msec min_valid; /* samples before it are left out               */
    struct lane_batch *filling;
    struct lane_batch batches[2];
    struct lanes_result result; /* of the calling thread                  */
    struct lane_crew *crew;     /* NULL until there is a batch for it       */
};

void lanes_init(struct lanes *l, struct head *h, sonde_msec min_valid);
/* The samples of a chunk; the bytes are copied. */
void lanes_put_chunk(struct lanes *l, uint64_t ref, const struct chunk *c);
/* Appends what is still under way. The result is complete then. */
void lanes_finish(struct lanes *l);
/* The same, and more may come. */
void lanes_settle(struct lanes *l);
bool lanes_bad_chunk(const struct lanes *l);
/* Keeps the result. */
void lanes_fini(struct lanes *l);

/* A block with room for the lane; hands the batch over if it is full. */
struct lane_block *lanes_room(struct lanes *l, unsigned lane);

void lanes_put_histogram(struct lanes *l, uint64_t ref, sonde_msec t,
                         const struct histogram *h);
static inline void lanes_put(struct lanes *l, enum lane_kind kind, uint64_t ref,
                             sonde_msec t, uint64_t bits)
{
    unsigned lane = series_page_number(ref) % LANES;
    struct lane_block *b = l->filling->last[lane];

    if (__builtin_expect(!b || b->count == LANE_ITEMS, 0))
        b = lanes_room(l, lane);
    b->items[b->count++] = (struct lane_item){
        (uint64_t)kind << LANE_KIND_SHIFT | (ref & LANE_REF_MASK), t, bits
    };
}

#endif
