/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doors of a store, and nothing behind them: appending, querying,
 * looking a series up by its reference. tsdb implements them, scrape, promql
 * and remote use them, and none of these sees another. fake.c is a small
 * in-memory store for unit tests.
 *
 * A series reference is a number from 1 that names one label set for as long
 * as the store holds the series, across restarts; the write-ahead log speaks
 * of series by the same numbers.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"
#include "storage/columns.h"
#include "storage/matcher.h"

typedef uint64_t series_ref;

/* ---- appending -------------------------------------------------------- */

struct storage_sample {
    series_ref ref;
    sonde_msec t;
    double v;
};

/* Something that a sample points at, mostly a trace. */
struct exemplar {
    struct labels labels; /* may be empty                                 */
    sonde_msec t;
    double v;
};

/* Why a sample was not taken. */
enum append_verdict {
    APPEND_TAKEN,
    APPEND_DUPLICATE_SAME,  /* same time, same bits: fine, dropped        */
    APPEND_DUPLICATE_OTHER, /* same time, other value                     */
    APPEND_OUT_OF_ORDER,
    APPEND_TOO_OLD,        /* below the store's lower bound               */
    APPEND_TOO_FAR,        /* more than 10 min ahead of the clock         */
    APPEND_UNKNOWN_SERIES, /* the reference is not held any more          */
    APPEND_VERDICTS
};
#define APPEND_REJECTED_MAX 8

/* What became of a batch, judged sample by sample as Prometheus does;
 * floats and histograms together. */
struct append_stats {
    size_t appended;
    size_t duplicate_same;  /* same time, same bits: fine, dropped      */
    size_t duplicate_other; /* same time, other value                   */
    size_t out_of_order;
    size_t too_old;            /* below the store's lower bound            */
    size_t too_far;            /* more than 10 min ahead of the clock      */
    size_t unknown_series;     /* the reference is not held any more       */
    size_t histograms;         /* of those appended                        */
    size_t out_of_order_taken; /* of those appended: into the window   */
    size_t exemplars, exemplars_refused;
    /* The first that were refused (duplicates of the same value apart), for
     * the message to the sender. */
    struct append_rejected {
        series_ref ref;
        sonde_msec t;
        enum append_verdict why;
    } rejected[APPEND_REJECTED_MAX];
    size_t rejected_count;
};
/* Counts one sample's verdict, and lists it if it was refused. */
void append_stats_judged(struct append_stats *stats, series_ref ref,
                         sonde_msec t, enum append_verdict v);

/*
 * A transaction of one writer (a scrape, a remote-write request). Nothing is
 * seen by anybody before commit; commit writes the log, then the memory, and
 * when it returns SONDE_OK the samples survive a kill of the process. Used
 * from one thread at a time; any number of appenders may be open.
 */
struct appender;
struct appender_ops {
    /* Finds or makes a series. `labels` must be a valid set with a name;
     * its bytes are copied. */
    sonde_code (*series)(struct appender *a, const struct labels *labels,
                         series_ref *out, struct sonde_err *err);
    /* Whether a reference is (still) held; if so it stays until the end of
     * the transaction, if one is open. */
    bool (*known)(struct appender *a, series_ref ref);
    /* Opens the transaction; returns a number that is another one when series
     * have left the store. References from a transaction in which it was the
     * same, and was asked for first, stay until the end of this one; others
     * are asked for by `known` or `series`. Optional: no series ever leaves. */
    uint64_t (*generation)(struct appender *a);
    /* Takes a copy of samples; they may come in any order of series, runs of
     * ascending references are fastest. */
    void (*append)(struct appender *a, const struct storage_sample *samples,
                   size_t n);
    /* One native histogram sample, copied. Samples of one series are given in
     * the order of their times, floats and histograms alike. Optional. */
    void (*histogram)(struct appender *a, series_ref ref, sonde_msec t,
                      const struct histogram *h);
    /* An exemplar of a series, copied; kept in a ring of bounded size.
     * Optional. */
    void (*exemplar)(struct appender *a, series_ref ref,
                     const struct exemplar *e);
    /* Metadata of the series' family changed or is new. Optional. */
    void (*metadata)(struct appender *a, series_ref ref,
                     const struct metadata *m);
    /* Both end the transaction; the appender may be used for the next one.
     * `stats` may be NULL. On an error nothing was appended. */
    sonde_code (*commit)(struct appender *a, struct append_stats *stats,
                         struct sonde_err *err);
    void (*rollback)(struct appender *a);
    void (*free)(struct appender *a);
};
struct appender {
    const struct appender_ops *ops;
};

static inline sonde_code appender_series(struct appender *a,
                                         const struct labels *labels,
                                         series_ref *out, struct sonde_err *err)
{
    return a->ops->series(a, labels, out, err);
}
static inline bool appender_known(struct appender *a, series_ref ref)
{
    return a->ops->known(a, ref);
}
static inline uint64_t appender_generation(struct appender *a)
{
    return a->ops->generation ? a->ops->generation(a) : 0;
}
static inline void appender_append(struct appender *a,
                                   const struct storage_sample *samples,
                                   size_t n)
{
    a->ops->append(a, samples, n);
}
static inline void appender_histogram(struct appender *a, series_ref ref,
                                      sonde_msec t, const struct histogram *h)
{
    if (a->ops->histogram)
        a->ops->histogram(a, ref, t, h);
}
static inline void appender_exemplar(struct appender *a, series_ref ref,
                                     const struct exemplar *e)
{
    if (a->ops->exemplar)
        a->ops->exemplar(a, ref, e);
}
static inline void appender_metadata(struct appender *a, series_ref ref,
                                     const struct metadata *m)
{
    if (a->ops->metadata)
        a->ops->metadata(a, ref, m);
}
static inline sonde_code appender_commit(struct appender *a,
                                         struct append_stats *stats,
                                         struct sonde_err *err)
{
    return a->ops->commit(a, stats, err);
}
static inline void appender_rollback(struct appender *a)
{
    a->ops->rollback(a);
}
static inline void appender_free(struct appender *a)
{
    if (a)
        a->ops->free(a);
}

/* ---- querying --------------------------------------------------------- */

/* One selected series; valid until its set is freed, as are its labels.
 * Series of a set may be read in several threads at once, each series in one
 * at a time, and while the set goes on in another. */
struct storage_series;
struct storage_series_ops {
    /* Appends the samples with mint <= t <= maxt, in order of time, each time
     * once, stale markers included. */
    sonde_code (*read)(struct storage_series *s, sonde_msec mint,
                       sonde_msec maxt, struct columns *out,
                       struct sonde_err *err);
};
struct storage_series {
    const struct storage_series_ops *ops;
    struct labels labels; /* borrowed from the set                         */
};

struct series_set;
struct series_set_ops {
    /* SONDE_OK and a series, SONDE_ENOTFOUND at the end, or an error. After
     * SONDE_ECORRUPT the next call goes on behind what is damaged. */
    sonde_code (*next)(struct series_set *set, struct storage_series **out,
                       struct sonde_err *err);
    void (*free)(struct series_set *set);
};
struct series_set {
    const struct series_set_ops *ops;
};

/* What the caller will do with the answer; a store may ignore it. */
struct select_hints {
    sonde_msec mint, maxt; /* closed */
    size_t limit;          /* series at most; 0: all */
};

/* Sets are freed before their querier; one thread calls it at a time. */
struct querier;
struct querier_ops {
    /* Series that all matchers accept and that may have samples in range;
     * order undefined. The matchers stay the caller's. */
    sonde_code (*select)(struct querier *q, const struct matcher *matchers,
                         size_t n, const struct select_hints *hints,
                         struct series_set **out, struct sonde_err *err);
    /* Sorted names (label == NULL) or values of a label, of the series that
     * all matchers accept; the strings are the arena's. */
    sonde_code (*label_values)(struct querier *q, const sonde_str *label,
                               const struct matcher *matchers, size_t n,
                               const struct select_hints *hints,
                               struct arena *arena, struct sonde_list *out,
                               struct sonde_err *err);
    /* What the answers so far lack although they succeeded (a damaged block
     * was left out): a line each, the arena's. Called after reading, before
     * the querier is freed. Optional. */
    void (*warnings)(struct querier *q, struct arena *arena,
                     struct sonde_list *out);
    void (*free)(struct querier *q);
};
struct querier {
    const struct querier_ops *ops;
};
static inline struct sonde_list querier_warnings(struct querier *q,
                                                 struct arena *arena)
{
    struct sonde_list lines = { 0 };

    if (q->ops->warnings)
        q->ops->warnings(q, arena, &lines);
    return lines;
}

/* ---- the store -------------------------------------------------------- */

/* The exemplars of one series, in order of time. */
struct exemplar_series {
    struct labels labels;
    struct exemplar *exemplars;
    size_t count;
};

struct storage;
struct storage_ops {
    struct appender *(*appender)(struct storage *s);
    sonde_code (*querier)(struct storage *s, sonde_msec mint, sonde_msec maxt,
                          struct querier **out, struct sonde_err *err);
    /* The labels of a reference, copied into the arena; false if unknown.
     * Thread-safe; for the senders that tail the log. */
    bool (*labels)(struct storage *s, series_ref ref, struct arena *arena,
                   struct labels *out);
    /* Exemplars with mint <= t <= maxt of series that one of `sets` lists of
     * matchers accepts, sorted by labels; all is the arena's. Optional. */
    sonde_code (*exemplars)(struct storage *s,
                            const struct matcher *const *sets,
                            const size_t *set_counts, size_t n, sonde_msec mint,
                            sonde_msec maxt, struct arena *arena,
                            struct exemplar_series **out, size_t *out_count,
                            struct sonde_err *err);
};
struct storage {
    const struct storage_ops *ops;
};

static inline struct appender *storage_appender(struct storage *s)
{
    return s->ops->appender(s);
}

/* fake.c: appends in memory, reads back; for unit tests. `storage_fake_free`
 * frees it; appended samples are seen after commit only. */
struct storage *storage_fake_new(void);
void storage_fake_free(struct storage *s);
/* From now on every querier has this warning; NULL: none. */
void storage_fake_warn(struct storage *s, const char *text);
/* The metadata that was appended last for a series; false if none was. The
 * strings live as long as the store. */
bool storage_fake_metadata(struct storage *s, series_ref ref,
                           struct metadata *out);

#endif
