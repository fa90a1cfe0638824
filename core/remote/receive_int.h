/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiver as its own files see it. The way of a request:
 *
 *     receive.c          headers, a desk, snappy, the answer
 *     receive_walk.c     protobuf → the desk's arrays, piece by piece
 *     receive_piece.c    a piece: unknown series made, all appended, committed
 *     receive_labels.c   the labels of a series that is new
 *     receive_value.c    histograms, exemplars, metadata
 *     receive_reply.c    verdicts → status, headers, text
 */
#ifndef REMOTE_RECEIVE_INT_H
#define REMOTE_RECEIVE_INT_H

#include <pthread.h>

#include <sonde/base.h>

#include "remote/receive_cache.h"
#include "remote/remote.h"
#include "util/arena.h"

/* Of a request, before and after decompression; as in Prometheus. */
#define RECEIVE_BODY_MAX REMOTE_RECEIVE_BODY_MAX
/* What a desk gathers before it commits: bounds its memory, and is far above
 * what senders put into a request. */
#define PIECE_SERIES      ((size_t)64 << 10)
#define PIECE_SAMPLES     ((size_t)128 << 10)
#define PIECE_EXTRAS      ((size_t)32 << 10)
#define PIECE_EXTRA_BYTES ((size_t)4 << 20)
/* Of one series or exemplar, and of a 2.0 request. */
#define RECEIVE_LABELS_MAX  4096
#define RECEIVE_SYMBOLS_MAX ((size_t)1 << 20)

/* One TimeSeries of a request. */
struct received_series {
    sonde_str labels;      /* as sent: label fields (1.0) or references     */
    uint32_t first, count; /* its samples                                 */
    uint32_t entry;        /* of the cache, or RECEIVE_NOWHERE                */
    bool wanted;           /* has samples or histograms                   */
    bool again;            /* has to be stored once more: see remake        */
    series_ref ref;        /* 0: not known (yet), or refused                  */
};

enum extra_kind {
    EXTRA_HISTOGRAM,
    EXTRA_EXEMPLAR,
    EXTRA_METADATA
};

/* What a TimeSeries holds beside samples; its message is as sent. */
struct received_extra {
    uint32_t series;
    enum extra_kind kind;
    sonde_str message;
};

/* What became of a request. */
struct receive_tally {
    size_t samples, histograms, exemplars;      /* sent                  */
    size_t described;                           /* samples with metadata */
    struct append_stats stats;                  /* of all pieces         */
    size_t refused_samples, refused_histograms; /* for what they are    */
    size_t refused_exemplars, refused_series, remade;
    struct buf reasons; /* "REASON (series ..., timestamp ...)"; ...       */
    size_t named;       /* how many are in `reasons`                       */
};

/* Where a request is worked on; there are a few, and a request that gets none
 * waits. Used by one thread at a time. */
struct receive_desk {
    struct remote_receiver *receiver;
    struct receive_desk *next; /* of those that are free                  */
    struct appender *appender;
    struct arena arena; /* of one series, histogram or exemplar           */
    struct buf plain;   /* the request, decompressed                      */
    int version;        /* 1 or 2                                         */

    /* 2.0: */
    sonde_str *symbols;
    struct receive_key *symbol_keys;
    size_t symbol_count, symbol_cap, symbol_key_cap;
    struct receive_key *keys; /* of one series' references                */

    /* The piece: */
    struct received_series *series;
    struct storage_sample *samples;
    struct received_extra *extras;
    size_t series_count, series_cap, sample_count, sample_cap;
    size_t extra_count, extra_cap, extra_bytes;
    size_t unknown; /* series without a reference                         */
    uint32_t at;    /* the cache's entry seen last                        */

    struct receive_tally tally;
};

struct receive_metrics {
    struct metric *requests[2], *bytes, *busy, *malformed, *failed;
    struct metric *samples, *histograms, *exemplars;
    struct metric *rejected[APPEND_VERDICTS], *refused, *remade, *misses;
    struct metric *invalid_labels, *without_metadata; /* Prometheus' names */
};

struct remote_receiver {
    struct selfmetrics *registry;
    struct storage *storage;
    struct receive_cache cache;
    struct receive_metrics metrics;
    unsigned versions; /* bits 1 << version that are taken                */

    pthread_mutex_t lock; /* guards what is below */
    pthread_cond_t freed;
    struct receive_desk *free_desks;
    struct receive_desk *desks;
    size_t desk_count, waiting;
};

/* ---- receive_walk.c ---------------------------------------------------- */

/* Decodes and stores all of desk->plain. SONDE_EPARSE: malformed; other codes
 * are the store's. */
SONDE_NODISCARD sonde_code receive_walk(struct receive_desk *d,
                                        struct sonde_err *err);

/* ---- receive_piece.c --------------------------------------------------- */

/* Stores what the desk has gathered and empties it. The cache's lock is not
 * held. */
SONDE_NODISCARD sonde_code receive_piece_store(struct receive_desk *d,
                                               struct sonde_err *err);
void receive_piece_drop(struct receive_desk *d);

/* ---- receive_labels.c -------------------------------------------------- */

/* The labels of a series, or (need_name false) of an exemplar, as a valid set
 * in the desk's arena. `raw`: label fields (1.0; others are passed over), or
 * references (2.0). SONDE_EINVAL: they can never be taken, for this reason
 * (`out` is what was sent); SONDE_EPARSE: malformed. */
SONDE_NODISCARD sonde_code receive_labels(struct receive_desk *d, sonde_str raw,
                                          bool need_name, struct labels *out,
                                          struct sonde_err *err);
/* What the cache knows a series by. */
struct receive_key receive_series_key(struct receive_desk *d, sonde_str raw);

/* ---- receive_value.c --------------------------------------------------- */

/* Messages as sent; what they need is in the desk's arena. SONDE_EINVAL:
 * never to be taken, SONDE_EPARSE: malformed. */
SONDE_NODISCARD sonde_code receive_histogram(struct receive_desk *d,
                                             sonde_str message,
                                             struct histogram *out,
                                             sonde_msec *t,
                                             struct sonde_err *err);
SONDE_NODISCARD sonde_code receive_exemplar(struct receive_desk *d,
                                            sonde_str message,
                                            struct exemplar *out,
                                            struct sonde_err *err);
/* Of 2.0; `*mark` is a hash of it that is not 0. */
SONDE_NODISCARD sonde_code receive_metadata(struct receive_desk *d,
                                            sonde_str message,
                                            struct metadata *out,
                                            uint16_t *mark,
                                            struct sonde_err *err);

/* ---- receive_reply.c --------------------------------------------------- */

/* Notes what was refused and why, for the answer. */
void receive_note(struct receive_desk *d, const char *why,
                  const struct labels *labels, const sonde_msec *t);
/* Adds a commit's outcome and notes what it rejected. */
void receive_count(struct receive_desk *d, const struct append_stats *stats);
/* The status of a request whose work ended with `rc`; the text, empty for
 * 204, goes to `text`. Counts. */
int receive_verdict(struct receive_desk *d, sonde_code rc,
                    const struct sonde_err *err, struct buf *text);
/* How many of a kind are in the store now. */
enum received_kind {
    RECEIVED_SAMPLES,
    RECEIVED_HISTOGRAMS,
    RECEIVED_EXEMPLARS
};
size_t receive_written(const struct receive_tally *t, enum received_kind kind);

/* ---- receive.c --------------------------------------------------------- */

/* Waits for a free desk; NULL: too many wait already. */
struct receive_desk *receive_desk_get(struct remote_receiver *r);
void receive_desk_put(struct receive_desk *d);
/* Stores what a request's body holds, as it came. */
SONDE_NODISCARD sonde_code receive_work(struct receive_desk *d, int version,
                                        sonde_str body, struct sonde_err *err);

#endif
