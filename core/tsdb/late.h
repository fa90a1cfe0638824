/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples out of order: those behind the newest one of their series, but
 * within the window. They are kept apart from the rest of the head: a short
 * sorted buffer a series, chunks of full buffers, and a log of their own (the
 * WBL, DIR/wbl) which gives both back at a start. They leave it as blocks.
 *
 * Locks, in order: a page's, `log_lock` (what goes to the WBL, in order),
 * `lock` (the series' buffers and chunks), those of the files. Nothing waits
 * for a disk under `lock`.
 */
#ifndef TSDB_LATE_H
#define TSDB_LATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "chunk/chunk.h"
#include "storage/storage.h"
#include "tsdb/head_files.h"
#include "wal/wal.h"

#define LATE_BUFFER_DEFAULT 32 /* samples; as Prometheus                  */
#define LATE_BUFFER_MAX     255

struct late_sample {
    uint64_t ref;
    sonde_msec t;
    double v;
    const struct histogram *h; /* NULL: a float                            */
};

/* A full buffer, or a part of it that is of one kind; never changes. */
struct late_chunk {
    sonde_msec mint, maxt;
    union {
        chunk_place place; /* in chunks_head                               */
        char *data;        /* on the heap                                  */
    };
    uint32_t len; /* 0: it is in chunks_head                               */
    uint8_t encoding;
    bool named; /* made here, or found and named by the log                */
};

struct late_series {
    series_ref ref;
    uint32_t epoch;  /* the buffer's                                       */
    uint32_t closed; /* of its chunks: they belong to the cut that runs    */
    struct columns buffer; /* ascending, each time once                    */
    struct late_chunk *chunks;
    size_t chunk_count, chunk_cap;
};

struct late_mark {
    uint64_t ref, chunk_ref;
};

struct late {
    _Atomic int64_t window_ms; /* 0: none is accepted                      */
    size_t buffer_max;

    pthread_mutex_t log_lock; /* guards these                              */
    struct wal *wbl;          /* NULL: not opened yet                      */
    char *dir;                /* of it; NULL: nothing is written           */
    struct wal_options wal;

    pthread_mutex_t lock; /* guards these                                  */
    struct head_files *files; /* NULL: full buffers stay in memory         */
    bool lazy; /* full buffers wait for the marks that may follow          */
    struct late_mark *marks; /* to be logged with the next samples         */
    size_t mark_count, mark_cap;
    struct late_series **table; /* by reference, open addressing           */
    size_t table_size, count;
    uint32_t epoch; /* raised by each cut                                  */
    _Atomic int64_t min_time, max_time; /* of all; min > max: none         */
    _Atomic uint64_t chunk_count;

    atomic_bool due; /* a cut shall be made: the head gave samples up      */
};

struct head;
struct head_replay_options;

void late_init(struct late *l);
void late_fini(struct late *l); /* closes the log */
/* Samples of a buffer; 0: the default. Before there is any. */
void late_set_cap(struct late *l, size_t samples);

/* ---- appending: late.c ------------------------------------------------ */

/* Puts samples that are logged, those of a series together, into the buffers,
 * telling `stats` what became of each: one of a time that the buffer has is a
 * duplicate. */
void late_insert(struct head *h, const struct late_sample *samples, size_t n,
                 struct append_stats *stats);
/* A chunk out of order that was found in chunks_head. */
void late_found_chunk(struct late *l, const struct head_chunk *c,
                      chunk_place place);
/* The first file of chunks_head that has such a chunk; UINT32_MAX: none. */
uint32_t late_oldest_file(struct late *l);

/* Of these files, under `lock`. */
struct late_series *late_find(const struct late *l, uint32_t id);
/* A new table with room for so many. */
void late_rebuild(struct late *l, size_t want);
void late_saw(struct late *l, sonde_msec mint, sonde_msec maxt);
/* Makes chunks of the buffer. */
void late_close_buffer(struct late *l, struct late_series *s);
/* The same if it is of an older epoch; those chunks are the cut's. */
void late_series_cut(struct late *l, struct late_series *s);
void late_drop_chunks(struct late *l, struct late_series *s, uint32_t n);
void late_series_free(struct late *l, struct late_series *s);
/* Takes series that have nothing any more out, and looks at all times. */
void late_sweep(struct late *l);

/* late_read.c: appends the samples of one chunk. */
SONDE_NODISCARD sonde_code late_chunk_decode(struct late *l,
                                             const struct late_chunk *c,
                                             struct columns *out,
                                             struct sonde_err *err);

/* ---- the log: wbl.c --------------------------------------------------- */

/* Reads DIR, if it is there, then opens it if the window or what is in it
 * wants that. The WAL must have been read. `options` is NULL if nothing shall
 * be written. */
SONDE_NODISCARD sonde_code late_open(struct head *h, const char *dir,
                                     const struct wal_options *options,
                                     const struct head_replay_options *replay,
                                     struct sonde_err *err);
/* How late a sample may be, from now on. If the log can not be opened for it
 * that is logged, and the window stays closed. */
void late_set_window(struct late *l, sonde_msec window_ms);

/* wbl_replay.c: reads DIR into the head, NULL: there is none; finds the series
 * of chunks that were found. */
SONDE_NODISCARD sonde_code wbl_replay(struct head *h, const char *dir,
                                      const struct head_replay_options *o,
                                      struct sonde_err *err);
/* Logs samples: what is true when it returns survives a kill. */
SONDE_NODISCARD sonde_code wbl_append(struct late *l,
                                      const struct late_sample *samples,
                                      size_t n, struct sonde_err *err);

/* ---- reading: late_read.c --------------------------------------------- */

/* Merges a series' late samples of a closed range with those from `from` on
 * in `out`, which are of the same series and range. Of two of one time the
 * one in `out` stays. */
SONDE_NODISCARD sonde_code late_read(struct late *l, uint32_t id,
                                     sonde_msec mint, sonde_msec maxt,
                                     struct columns *out, size_t from,
                                     struct sonde_err *err);
bool late_overlaps(struct late *l, uint32_t id, sonde_msec mint,
                   sonde_msec maxt);

/* ---- making blocks of it: late_cut.c ---------------------------------- */

/* The head made a block, so late samples shall leave too; and they do without
 * it when they are very many. */
void late_set_due(struct late *l);
bool late_is_due(const struct late *l);

/*
 * All that is there at one moment, to be written as blocks: one for each
 * aligned range that has samples, with the hint from_out_of_order. What comes
 * later is not of it. One at a time.
 */
struct late_cut {
    struct head *head;
    uint64_t keep_segment; /* of the WBL: it begins behind the cut         */
    uint32_t *refs; /* ids of series that have samples, ascending           */
    size_t count;
    sonde_msec mint, maxt; /* closed; min > max: there is nothing          */
};
SONDE_NODISCARD sonde_code late_cut_begin(struct head *h, struct late_cut *cut,
                                          struct sonde_err *err);
/* Appends a series' samples of a closed range, in order of time, each time
 * once. */
SONDE_NODISCARD sonde_code late_cut_read(const struct late_cut *cut,
                                         uint32_t id, sonde_msec mint,
                                         sonde_msec maxt, struct columns *out,
                                         struct sonde_err *err);
/* `written`: they are in blocks that readers see, and are given up here, with
 * the log's segments; otherwise all stays. Frees the cut's memory. */
SONDE_NODISCARD sonde_code late_cut_end(struct late_cut *cut, bool written,
                                        struct sonde_err *err);

#endif
