/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turning series into postings with bounded memory: label pairs and series
 * numbers are collected until the budget is used, sorted, and written to a
 * file without a name as a run; in the end all runs are merged.
 */
#ifndef BLOCK_POSTING_RUNS_H
#define BLOCK_POSTING_RUNS_H

#include <sonde/base.h>

#include "block/block.h"
#include "block/out_file.h"

#define POSTING_RUNS_BYTES (16u << 20)

struct posting {
    struct block_pair pair;
    uint32_t series;
};
struct posting_run {
    const uint8_t *p, *end;
    struct block_pair pair; /* of the group that begins                    */
    uint32_t left;          /* numbers of the group that were not read     */
    uint32_t last;
};
struct posting_runs {
    struct posting *items, *other; /* what is collected; room to sort it   */
    size_t count, cap;
    struct out_file file;
    uint64_t *begins;
    size_t run_count, run_cap;
    /* merging */
    struct mapped map;
    struct posting_run *runs;
    uint32_t *heap; /* runs by their next group, the first run first       */
    size_t heap_len;
    uint32_t *group; /* runs that have the group which is read             */
    size_t group_len, group_at;
    bool damaged;
};

/* `bytes` of memory at the most, 0: POSTING_RUNS_BYTES. */
SONDE_NODISCARD sonde_code posting_runs_init(struct posting_runs *r,
                                             const char *dir, size_t bytes,
                                             struct sonde_err *err);
void posting_runs_fini(struct posting_runs *r);
/* Series numbers must ascend. */
void posting_runs_add(struct posting_runs *r, struct block_pair pair,
                      uint32_t series);

/* No more will be added. */
SONDE_NODISCARD sonde_code posting_runs_merge(struct posting_runs *r,
                                              struct sonde_err *err);
/* The next pair and how many series have it; false at the end. All numbers of
 * the group before must have been read. */
bool posting_runs_next(struct posting_runs *r, struct block_pair *pair,
                       uint64_t *count);
/* Up to `cap` numbers of the group, ascending; 0 at its end. */
size_t posting_runs_read(struct posting_runs *r, uint32_t *out, size_t cap);

#endif
