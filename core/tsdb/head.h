/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head: all series in memory. Shared by the files of this folder only.
 *
 * Order of locks: `gate`, `index_lock`, a page's lock, those of `late`,
 * `mem_lock`, those of `files`, of `readers` and the like.
 *
 * A series is named inside by its id, 32 bits; series_ref (64 bits) is its
 * name outside and in the log. See series.h.
 */
#ifndef TSDB_HEAD_H
#define TSDB_HEAD_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "storage/storage.h"
#include "tsdb/batch.h"
#include "tsdb/chunk_mem.h"
#include "tsdb/exemplars.h"
#include "tsdb/head_delete.h"
#include "tsdb/head_files.h"
#include "tsdb/head_metrics.h"
#include "tsdb/label_hash.h"
#include "tsdb/late.h"
#include "tsdb/log_cut.h"
#include "tsdb/postings.h"
#include "tsdb/readers.h"
#include "tsdb/series.h"
#include "util/clock.h"
#include "wal/wal.h"

#define CHUNK_RANGE_MS (INT64_C(2) * 60 * 60 * 1000)
#define TOO_FAR_MS     (INT64_C(10) * 60 * 1000)
#define LATE_MS        (CHUNK_RANGE_MS / 2) /* behind the newest sample  */

/* A second reference for the same labels, met in the log. */
struct series_alias {
    uint64_t from;
    uint32_t to;
};

/* What was taken out of the head and may still be held by readers. */
struct limbo {
    uint32_t *places; /* of labels                                         */
    size_t count, cap;
    uint64_t mark; /* of `readers`                                         */
    bool any;
};

struct head {
    const struct clock *clock;
    bool log_only;
    struct wal *wal;
    struct head_metrics metrics;

    /* Commits hold it for reading; one whose series are in another commit
     * goes again and holds it for writing. */
    pthread_rwlock_t gate;

    struct batch_pool batches;

    struct symtab *symbols;
    struct series_table table; /* making pages: under index_lock          */
    struct label_store labels; /* adding: under index_lock                */

    pthread_rwlock_t index_lock; /* guards those three                    */
    struct label_hash hash;
    struct postings postings;
    uint64_t next_ref;

    pthread_mutex_t mem_lock; /* guards mem */
    struct chunk_mem mem;
    struct head_files *files;  /* full chunks; NULL: log_only               */
    struct found_chunk *aside; /* of the start                             */
    size_t aside_count, aside_cap;

    /* Who may hold what was found in the head: queriers, whatever reads
     * series without being told that they are gone. */
    struct readers readers;
    struct readers writers; /* transactions that are open                  */
    struct readers commits; /* commits that run                            */
    struct limbo limbo;     /* the collector's                             */
    _Atomic uint64_t generation; /* raised before series leave             */
    sonde_msec collect_again;    /* transactions were in the way; INT64_MIN:
                                  * they were not                          */
    sonde_msec writers_wait_ms;  /* how long to wait for transactions      */

    struct late late; /* samples out of order                             */
    struct exemplars exemplars;

    /* Sorted by `from`; written by the replay only. */
    struct series_alias *aliases;
    size_t alias_count, alias_cap;

    struct gone_list gone;

    _Atomic int64_t min_time, max_time; /* min > max: no samples           */
    _Atomic int64_t min_valid; /* older samples are not taken              */
    _Atomic uint64_t series_count, chunk_count;

    struct head_deleted deleted;
    /* Called after each commit that widened the range; short. May be NULL. */
    void (*grew)(void *arg);
    void *grew_arg;
};

struct head *head_new(const struct clock *clock, bool log_only);
void head_free(struct head *h);

/* ---- series: head.c --------------------------------------------------- */

/* Finds or makes the series of a label set. It stays at least for as long as
 * the caller's transaction (`writers`). */
SONDE_NODISCARD sonde_code head_series(struct head *h, const struct labels *l,
                                       series_ref *ref, struct sonde_err *err);
/* Whether a series is there; if so it stays just as well. */
bool head_hold(struct head *h, series_ref ref);
/* For the replay, in one thread: the series shall have this reference;
 * `*found` is the id of another one if the labels are there already, which
 * then has the chunks of both. SONDE_ECORRUPT if the reference has other
 * labels. */
SONDE_NODISCARD sonde_code head_series_put(struct head *h, uint64_t ref,
                                           const struct labels *l,
                                           uint32_t *found,
                                           struct sonde_err *err);
/* What a reference of the log is called here; 0: it has no other name. */
void head_alias_add(struct head *h, uint64_t from, uint32_t to);
uint32_t head_alias(const struct head *h, uint64_t ref);

/* Copies into the arena; false if unknown. */
bool head_labels(struct head *h, uint64_t ref, struct arena *a,
                 struct labels *out);
/* Views of symbols, which live as long as the series. */
void head_labels_view(const struct head *h, uint32_t at, struct label *items,
                      size_t *n);
struct labels head_labels_dup(const struct head *h, uint32_t at,
                              struct arena *a);

/* ---- samples: head_chunks.c ------------------------------------------- */

/* Appends without judging, under the locks of the page and of the memory;
 * true if a chunk was begun. */
bool head_append(struct head *h, struct series *s, uint32_t id, sonde_msec t,
                 double v);
/* A full chunk of a series, behind those that it has, goes to the files.
 * Under the same locks; `maxt` is the chunk's last time. */
void head_chunk_add(struct head *h, struct series *s, uint32_t id,
                    const struct chunk *c);
/* Makes the open chunk a full one. */
void head_seal(struct head *h, struct series *s, uint32_t id);
/* The open chunk is not needed any more. */
void head_drop_open(struct head *h, struct series *s);
/* The end of the two-hour range of a time. */
sonde_msec head_range_end(sonde_msec t);
/* Where a chunk ends that is to be one of equal ones in the rest of the range:
 * it is now `ratio` times smaller than it should get. */
sonde_msec head_even_end(sonde_msec start, sonde_msec last, sonde_msec end,
                         double ratio);
/* Widens the range of the head. */
void head_saw(struct head *h, sonde_msec mint, sonde_msec maxt);

/* ---- reading: head_read.c --------------------------------------------- */

/* Whether a series has a chunk that overlaps a closed range. Takes the page's
 * lock. */
bool head_has_in_order(struct head *h, uint32_t id, sonde_msec mint,
                       sonde_msec maxt);
/* The same, late samples too. */
bool head_has(struct head *h, uint32_t id, sonde_msec mint, sonde_msec maxt);

/*
 * The chunks of a series that overlap a closed range, oldest first, the open
 * one as it is now. Views, valid until the snapshot is taken anew and as long
 * as the caller is registered in `readers`. Begins zeroed.
 */
struct head_snapshot {
    struct chunk *chunks;
    size_t count, cap;
    struct buf bytes; /* of those that are not mapped                      */
    uint8_t *places;  /* scratch: the series' list                         */
    size_t place_cap;
};
/* False if there is no such series. Takes the page's lock for as long as it
 * takes to copy the open chunk. */
bool head_snapshot_take(struct head *h, uint32_t id, sonde_msec mint,
                        sonde_msec maxt, struct head_snapshot *snap);
void head_snapshot_fini(struct head_snapshot *snap);
/* Samples of a series in a closed range, late ones too, without those that
 * are deleted. */
SONDE_NODISCARD sonde_code head_read(struct head *h, uint32_t id,
                                     sonde_msec mint, sonde_msec maxt,
                                     struct columns *out,
                                     struct sonde_err *err);

/* head_chunks.c: full chunks, which are written to chunks_head behind the
 * appenders' backs: by this, called every few seconds or when HEAD_WAITING
 * bytes wait, and by commits when four times as much does. */
#define HEAD_WAITING ((size_t)1 << 20)
SONDE_NODISCARD sonde_code head_map_chunks(struct head *h,
                                           struct sonde_err *err);

/* ---- chunks that are there at start: head_found.c ---------------------- */

/* A chunk behind damage: not used where the log still has its samples. */
struct found_chunk {
    uint32_t id;
    chunk_place place;
    sonde_msec mint, maxt;
};

/* Opens DIR (chunks_head). Before the replay; `min_valid` says what blocks
 * have already. A chunk waits for its series in a place without labels, which
 * head_series_put fills in. Samples up to its last time are not new. */
SONDE_NODISCARD sonde_code head_open_files(struct head *h, const char *dir,
                                           bool read_only,
                                           struct sonde_err *err);
/* Behind the replay: chunks whose series did not come are given up, and those
 * behind damage put where they fit. */
void head_settle_chunks(struct head *h);
/* The chunks that wait at `ref` are of this series too. Replay only. */
void head_chunks_join(struct head *h, uint32_t id, series_ref ref);
/* For head_free: what lists have outside of the memory of chunks. */
void head_free_chunks(struct head *h);

/* ---- the doors -------------------------------------------------------- */

/* commit.c: judges, logs and appends what a batch holds; on an error nothing
 * was appended. The batch is used up. */
SONDE_NODISCARD sonde_code head_commit(struct head *h, struct batch *b,
                                       struct append_stats *stats,
                                       struct sonde_err *err);
/* appender.c */
struct appender *head_appender(struct head *h);
/* select.c: the references that all matchers accept, ascending. */
void head_select(struct head *h, const struct matcher *ms, size_t n,
                 struct refs *out);
/* Symbols of all names, and of all values of one, in no order; not at one
 * moment: what comes or goes meanwhile may be there or not. */
void head_names(struct head *h, struct refs *out);
void head_values(struct head *h, symbol name, struct refs *out);
/* Where the labels of those series are, in the same order, in memory that the
 * caller frees; series that are not there are taken out of `refs`. */
uint32_t *head_label_places(struct head *h, struct refs *refs);
/* querier.c */
SONDE_NODISCARD sonde_code head_querier(struct head *h, sonde_msec mint,
                                        sonde_msec maxt, struct querier **out,
                                        struct sonde_err *err);
/* replay.c */
struct head_replay_options {
    void (*progress)(void *arg, uint64_t segment, uint64_t last);
    void *progress_arg;
    uint64_t *corruptions; /* counted up                                  */
    /* Asked now and then; true: SONDE_ECANCELED. May be NULL. */
    bool (*canceled)(void *arg);
    void *canceled_arg;
    bool read_only; /* a torn end of the log stays                         */
    const char *saved_dir; /* where a saved head may be; NULL: none is used */
};
SONDE_NODISCARD sonde_code head_replay(struct head *h, const char *wal_dir,
                                       const struct head_replay_options *o,
                                       struct sonde_err *err);

/* ---- maintenance: by one thread at a time ------------------------------- */

/* From here on samples before `t` are refused. Returns when every commit that
 * judged otherwise is done. */
void head_close_before(struct head *h, sonde_msec t);
/* Gives up what is before `t`: chunks, series that have none left, and
 * deletions. The caller has seen to it that no reader needs it who came
 * before; `min_time` is at least `t` afterwards. */
SONDE_NODISCARD sonde_code head_truncate(struct head *h, sonde_msec t,
                                         struct sonde_err *err);
/* Gives up series whose last sample is before `t`, and the memory that only
 * they needed; returns how many. Called by head_truncate; by itself it is for
 * agent posture. */
size_t head_collect(struct head *h, sonde_msec t);
/* Deletes the files of chunks_head that nothing needs any more. Not at the
 * same time as the two before. */
void head_drop_files(struct head *h);
/* What transactions or readers kept from going the last time. */
void head_collect_rest(struct head *h);
/* Gives memory back that waits for readers; false: they are there yet. */
bool head_release(struct head *h, sonde_msec wait_ms);
/* index_drop.c: takes series out of the index; `gone` ascends, `places` are
 * where their labels are. */
void head_index_drop(struct head *h, const struct refs *gone,
                     const uint32_t *places);
/* log_cut.c: what of the log is older than `t` and lies before segment
 * `needed` (UINT64_MAX: nobody reads it) goes to a checkpoint, or away. On an
 * error nothing that is needed is lost, and the next call goes on. */
SONDE_NODISCARD sonde_code head_cut_log(struct head *h, const char *wal_dir,
                                        sonde_msec t, uint64_t needed,
                                        struct sonde_err *err);
/* The same in agent posture: series whose last sample is before `t` go. */
SONDE_NODISCARD sonde_code head_cut_log_only(struct head *h,
                                             const char *wal_dir, sonde_msec t,
                                             uint64_t needed,
                                             struct sonde_err *err);

/* head_delete.c: marks samples of a closed range as deleted, logged and
 * synced. */
SONDE_NODISCARD sonde_code head_delete(struct head *h, sonde_msec mint,
                                       sonde_msec maxt,
                                       const struct matcher *matchers, size_t n,
                                       struct sonde_err *err);

#endif
