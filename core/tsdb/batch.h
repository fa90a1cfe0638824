/* SPDX-License-Identifier: Apache-2.0 */
/* What a transaction collects and needs until it is committed. */
#ifndef TSDB_BATCH_H
#define TSDB_BATCH_H

#include <pthread.h>

#include <sonde/base.h>

#include "storage/storage.h"
#include "tsdb/late.h"
#include "util/buf.h"

#define BATCH_SPARES 4

struct ref_list {
    uint32_t *items;
    size_t count, cap;
};

struct batch_exemplar {
    series_ref ref;
    struct exemplar exemplar;
};

struct batch {
    struct storage_sample *samples;
    size_t count, cap;
    struct buf metadata;       /* a record of the log                      */
    struct late_sample *hists; /* native histograms                        */
    size_t hist_count, hist_cap;
    struct batch_exemplar *exemplars;
    size_t exemplar_count, exemplar_cap;
    struct arena arena; /* of those two                                    */
    struct ref_list described; /* series that it is for                    */
    /* Of a commit that runs: */
    const void **tails; /* where each sample will go, for prefetching     */
    size_t tail_cap;
    struct late_sample *late; /* those out of order, taken out of samples  */
    size_t late_count, late_cap;
    struct ref_list unlogged; /* series whose labels must go first         */
    struct buf series_record;
    struct buf *records; /* of samples; `record_cap` are initialised       */
    size_t record_count, record_cap;
};

/* Batches that nobody uses now; a batch has no owner but the transaction. */
struct batch_pool {
    pthread_mutex_t lock; /* guards both */
    struct batch *spare[BATCH_SPARES];
    size_t count;
};

void batch_pool_init(struct batch_pool *p);
void batch_pool_fini(struct batch_pool *p);
/* An empty one. */
struct batch *batch_get(struct batch_pool *p);
void batch_put(struct batch_pool *p, struct batch *b); /* NULL is fine */

void batch_append(struct batch *b, const struct storage_sample *samples,
                  size_t n);
/* Copies. */
void batch_histogram(struct batch *b, series_ref ref, sonde_msec t,
                     const struct histogram *h);
void batch_exemplar(struct batch *b, series_ref ref, const struct exemplar *e);
/* `h` is not copied. */
void batch_stale(struct batch *b, const struct storage_sample *sample,
                 const struct histogram *h);
void ref_list_push(struct ref_list *l, uint32_t ref);
/* The next of `records`. */
struct buf *batch_record(struct batch *b);
void batch_late(struct batch *b, const struct late_sample *sample);
/* Brings the samples of a series together, and its histograms, in the order
 * they came. */
void batch_sort(struct batch *b);
/* Forgets what a commit that did not go through left. */
void batch_restart(struct batch *b);

#endif
