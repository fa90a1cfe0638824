/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars: the newest so many of all series together, in a ring. It grows
 * as it is used; when it is full each one takes the place of the oldest.
 * Thread-safe; its lock is a leaf: nothing is called under it.
 */
#ifndef TSDB_EXEMPLARS_H
#define TSDB_EXEMPLARS_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "model/selfmetrics.h"
#include "storage/storage.h"

#define EXEMPLAR_LABEL_CHARS 128 /* of all names and values              */

enum exemplar_verdict {
    EXEMPLAR_TAKEN,
    EXEMPLAR_SAME, /* as the newest of the series: expected, dropped      */
    EXEMPLAR_OUT_OF_ORDER,
    EXEMPLAR_TOO_LONG,
    EXEMPLARS_OFF
};

struct exemplar_slot;
struct exemplar_index;

struct exemplars {
    _Atomic size_t max;   /* 0: none is kept                                */
    pthread_mutex_t lock; /* guards all below                             */
    struct exemplar_slot *slots;
    size_t count, cap, next; /* `next` is the oldest when it is full      */
    struct exemplar_index *index; /* by series, open addressing           */
    size_t index_size, series;
    struct metric *appended, *out_of_order;
};

void exemplars_init(struct exemplars *x);
/* Its counters; before there is more than one thread. */
void exemplars_register(struct exemplars *x, struct selfmetrics *m);
void exemplars_fini(struct exemplars *x);
/* Keeps the newest of those that are there. */
void exemplars_set_max(struct exemplars *x, size_t max);
static inline bool exemplars_wanted(struct exemplars *x)
{
    return atomic_load_explicit(&x->max, memory_order_relaxed) != 0;
}

/* What would become of it. */
enum exemplar_verdict exemplars_judge(struct exemplars *x, uint64_t ref,
                                      const struct exemplar *e);
/* Judges again, and copies it. */
enum exemplar_verdict exemplars_add(struct exemplars *x, uint64_t ref,
                                    const struct exemplar *e);

/* The series that have some, in no order; in memory that the caller frees. */
uint64_t *exemplars_series(struct exemplars *x, size_t *count);
/* Those of a series in a closed range, oldest first; the arena's. */
struct exemplar *exemplars_of(struct exemplars *x, uint64_t ref,
                              sonde_msec mint, sonde_msec maxt, struct arena *a,
                              size_t *count);

/* For the page of self-metrics. */
struct exemplars_sizes {
    size_t count, series, max;
    sonde_msec oldest; /* INT64_MIN: there is none                        */
};
struct exemplars_sizes exemplars_sizes(struct exemplars *x);

struct head;
/* storage_ops.exemplars: exemplars_query.c */
SONDE_NODISCARD sonde_code head_exemplars(
    struct head *h, const struct matcher *const *sets, const size_t *set_counts,
    size_t n, sonde_msec mint, sonde_msec maxt, struct arena *arena,
    struct exemplar_series **out, size_t *out_count, struct sonde_err *err);

#endif
