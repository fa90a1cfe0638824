/* SPDX-License-Identifier: Apache-2.0 */
/* A commit that runs; for the files that it is made of. */
#ifndef TSDB_COMMIT_INT_H
#define TSDB_COMMIT_INT_H

#include <sonde/base.h>

#include "tsdb/head.h"

/* A verdict for inside: out of order, and into the window. */
#define JUDGED_LATE APPEND_VERDICTS

struct commit {
    struct head *head;
    struct batch *batch;
    struct wal_samples_writer record; /* the one that is being made       */
    size_t recorded;                  /* samples, in all records          */
    size_t hists_marked;              /* the first of the batch's         */
    uint8_t unmark;                   /* flags that the second walk takes */
    struct append_stats stats;
    sonde_msec mint, maxt; /* of what went in                             */
    size_t chunks;
};

struct bounds {
    sonde_msec min, max;
    sonde_msec late_min; /* INT64_MAX: there is no window                  */
};

/* What is not in order has a second chance in the window. */
enum append_verdict commit_judge_late(sonde_msec t, enum append_verdict v,
                                      const struct bounds *b);

/* ---- commit_histograms.c ------------------------------------------------ */

/* A float that is a stale marker, to a series whose last sample is a
 * histogram, becomes one. Under the page's lock. */
void commit_stale(struct commit *c, const struct series *s,
                  const struct storage_sample *sample);
/* The first walk over the histograms, behind that of the floats; false if a
 * series is in another commit: never when `alone`. */
bool commit_judge_histograms(struct commit *c, const struct bounds *b,
                             bool alone);
/* Their second walk. The marks stay. */
void commit_append_histograms(struct commit *c);
/* What was taken out of the samples or histograms of the batch as late goes
 * back to them. */
void commit_give_back(struct commit *c);

/* ---- commit_exemplars.c ------------------------------------------------- */

/* Drops what the store would refuse, and logs the rest. */
void commit_judge_exemplars(struct commit *c);
void commit_add_exemplars(struct commit *c);

#endif
