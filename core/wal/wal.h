/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write-ahead log, byte for byte Prometheus' (tsdb/docs/format/wal.md):
 * segments of 32 KiB pages, records in CRC-checked fragments, snappy
 * compressed. One writer per folder; any number of tailing cursors read
 * behind it, in this process or after a restart.
 *
 * A written record survives a kill of the process when wal_append returns.
 * A write that fails part-way is cut off again (or the segment is left) before
 * the next record, so that damage never swallows later ones.
 */
#ifndef WAL_WAL_H
#define WAL_WAL_H

#include <sonde/base.h>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"
#include "model/selfmetrics.h"
#include "util/buf.h"
#include "util/bytes.h"

/* ---- the writer: writer.c, sync.c, watch.c, truncate.c ---------------- */

struct wal;

enum wal_compression {
    WAL_PLAIN,
    WAL_SNAPPY,
    WAL_ZSTD /* not read by Prometheus before 2.46; snappy if not built in  */
};

struct wal_options {
    size_t segment_bytes; /* 0: 128 MiB                                   */
    enum wal_compression compress; /* kept where smaller                  */
    bool always_sync;         /* fsync before wal_append returns              */
    sonde_msec sync_every_ms; /* group commit in the background; 0: never */
    struct selfmetrics *metrics; /* prometheus_tsdb_wal_...; may be NULL  */
};

/* Opens DIR (made if absent) and starts a new segment behind the last one;
 * never appends to an old segment. What a checkpoint that was not finished has
 * left is removed. The metrics of a folder named `wbl` have their own names,
 * as in Prometheus. */
SONDE_NODISCARD sonde_code wal_open(const char *dir,
                                    const struct wal_options *options,
                                    struct wal **out, struct sonde_err *err);
void wal_close(struct wal *w); /* syncs; NULL is fine */

/* Logs records, in order, by one write. Thread-safe: concurrent calls are
 * serialised and each call's records stay together. */
SONDE_NODISCARD sonde_code wal_append(struct wal *w, const sonde_str *records,
                                      size_t n, struct sonde_err *err);
/* Returns when all that was appended before is on the disk. */
SONDE_NODISCARD sonde_code wal_sync(struct wal *w, struct sonde_err *err);

/* A place in the log: an offset in a segment file, on a record boundary. */
struct wal_position {
    uint64_t segment;
    uint64_t offset;
};
static inline int wal_position_cmp(struct wal_position a, struct wal_position b)
{
    if (a.segment != b.segment)
        return a.segment < b.segment ? -1 : 1;
    return a.offset < b.offset ? -1 : a.offset > b.offset;
}
struct wal_position wal_end(struct wal *w);
/* Waits until the log's end is beyond `at` or `deadline_ms` (monotonic) has
 * come; true if there is more. */
bool wal_wait(struct wal *w, struct wal_position at, sonde_msec deadline_ms);
/* Ends all waits, those to come too: for shutting down. */
void wal_wake(struct wal *w);
/* How it compresses. */
enum wal_compression wal_compression_of(const struct wal *w);
/* Bytes of all segments. */
uint64_t wal_size(struct wal *w);

/* Calls `fn` after each append, on the appending thread: it must be short
 * and must not call the log. When wal_unwatch returns it is not running and
 * will not run again. The struct is the caller's. */
struct wal_watch {
    void (*fn)(void *arg);
    void *arg;
    struct wal_watch *next;
};
void wal_watch(struct wal *w, struct wal_watch *watch);
void wal_unwatch(struct wal *w, struct wal_watch *watch);

/* Deletes the segments numbered below `keep`, oldest first; never the one
 * that is written. */
SONDE_NODISCARD sonde_code wal_truncate(struct wal *w, uint64_t keep,
                                        struct sonde_err *err);

/* ---- reading: reader.c ------------------------------------------------ */

/* Reads all records from a position to the end, checkpoint first if `from`
 * is the beginning ({0,0}); the `end` of a checkpoint's records is {0,0}.
 * `record` is valid for the call. What is damaged, or missing in the row of
 * segments,
 * is handed to `damage` (may be NULL) with where and why; reading goes on
 * with the next intact record or segment. A callback that returns other than
 * SONDE_OK stops the reading with that code. A torn tail of the last segment
 * (a kill in the middle of a write) is damage of `bytes` at the end. */
struct wal_damage {
    const char *path;
    struct wal_position at;
    uint64_t bytes; /* skipped                                            */
    const char *why;
};
struct wal_replay {
    sonde_code (*record)(void *arg, sonde_str record, struct wal_position end,
                         struct sonde_err *err);
    void (*damage)(void *arg, const struct wal_damage *damage);
    /* Before each segment, for progress; may be NULL. */
    void (*segment)(void *arg, uint64_t segment, uint64_t last);
    void *arg;
};
SONDE_NODISCARD sonde_code wal_replay(const char *dir, struct wal_position from,
                                      const struct wal_replay *replay,
                                      struct sonde_err *err);

/* The same, with a thread of its own that reads ahead; the callbacks run on
 * the caller's, in order. ahead.c */
SONDE_NODISCARD sonde_code wal_replay_ahead(const char *dir,
                                            struct wal_position from,
                                            const struct wal_replay *replay,
                                            struct sonde_err *err);

/* A cursor that follows the log. `from` {0,0} begins at the oldest segment;
 * checkpoints are not read. One thread at a time. */
struct wal_cursor;
SONDE_NODISCARD sonde_code wal_cursor_open(const char *dir,
                                           struct wal_position from,
                                           struct wal_cursor **out,
                                           struct sonde_err *err);
void wal_cursor_close(struct wal_cursor *c);
/* Nothing at or behind `end` is read: for readers in the writer's process,
 * which know by wal_end() what is there to stay. Without it the cursor judges
 * by the files, and a write that failed and was taken back at the wrong
 * moment may look like damage. */
void wal_cursor_limit(struct wal_cursor *c, struct wal_position end);
/* The next record, valid until the next call; SONDE_EAGAIN at the end of what
 * is written; SONDE_ECORRUPT where something is damaged or gone: `err` says
 * what and where, and the next call goes on with the first intact record
 * behind it. */
SONDE_NODISCARD sonde_code wal_cursor_next(struct wal_cursor *c,
                                           sonde_str *record,
                                           struct sonde_err *err);
/* Just behind the record that was read last. */
struct wal_position wal_cursor_position(const struct wal_cursor *c);

/* ---- records: record.c and record_*.c --------------------------------- */

enum wal_record_type {
    WAL_SERIES = 1,
    WAL_SAMPLES = 2,
    WAL_TOMBSTONES = 3,
    WAL_EXEMPLARS = 4,
    WAL_MMAP_MARKERS = 5,
    WAL_METADATA = 6,
    WAL_HISTOGRAMS = 7,
    WAL_FLOAT_HISTOGRAMS = 8,
    WAL_CUSTOM_HISTOGRAMS = 9, /* with listed bounds                    */
    WAL_CUSTOM_FLOAT_HISTOGRAMS = 10,
    WAL_SAMPLES_V2 = 11, /* with start times; read, never written       */
    WAL_HISTOGRAMS_V2 = 12,
    WAL_FLOAT_HISTOGRAMS_V2 = 13,
};

/* Encoding into one record: begin, add..., then wal_append. */
void wal_series_begin(struct buf *b);
void wal_series_add(struct buf *b, uint64_t ref, const struct labels *l);

struct wal_samples_writer {
    struct buf *b;
    uint64_t ref0;
    sonde_msec t0;
    bool any;
};
void wal_samples_begin(struct wal_samples_writer *w, struct buf *b);
void wal_samples_add(struct wal_samples_writer *w, uint64_t ref, sonde_msec t,
                     double v);

/* Histograms go to two records, by whether their bounds are listed; all of a
 * writer are of one kind, integer or float. A buffer that stayed empty is
 * not to be written. */
struct wal_histograms_writer {
    struct buf *exponential, *custom;
    uint64_t ref0;
    sonde_msec t0;
    bool any, is_float;
};
void wal_histograms_begin(struct wal_histograms_writer *w, bool is_float,
                          struct buf *exponential, struct buf *custom);
void wal_histograms_add(struct wal_histograms_writer *w, uint64_t ref,
                        sonde_msec t, const struct histogram *h);

/* The body of one histogram as in those records, for other formats that have
 * it. Reading takes memory of the arena; false if it is malformed (and the
 * reader has failed). */
void wal_histogram_put(struct buf *b, const struct histogram *h);
bool wal_histogram_get(struct reader *r, struct arena *a, bool is_float,
                       struct histogram *h);

/* The same for a label set: sorted, without empty values; views of the bytes
 * that are read, in an array of the arena. */
bool wal_labels_get(struct reader *r, struct arena *a, struct labels *out);

struct wal_exemplar {
    uint64_t ref;
    sonde_msec t;
    double v;
    struct labels labels;
};
struct wal_exemplars_writer {
    struct buf *b;
    uint64_t ref0;
    sonde_msec t0;
    bool any;
};
void wal_exemplars_begin(struct wal_exemplars_writer *w, struct buf *b);
void wal_exemplars_add(struct wal_exemplars_writer *w,
                       const struct wal_exemplar *e);

void wal_tombstones_begin(struct buf *b);
void wal_tombstones_add(struct buf *b, uint64_t ref, sonde_msec mint,
                        sonde_msec maxt);

/* Of the WBL: this series' buffered samples went to that head chunk (0: the
 * buffer begins). */
void wal_markers_begin(struct buf *b);
void wal_markers_add(struct buf *b, uint64_t ref, uint64_t chunk_ref);

void wal_metadata_begin(struct buf *b);
void wal_metadata_add(struct buf *b, uint64_t ref, const struct metadata *m);

/* The type of a record; 0 if it is empty. */
static inline int wal_record_type(sonde_str record)
{
    return record.len ? (unsigned char)record.ptr[0] : 0;
}
/* Decoding: calls `each` for every element. Views are of the record; `l` is
 * valid for the call, sorted, without empty values. Leftover or missing bytes
 * are SONDE_ECORRUPT; elements before them have been handed over. */
SONDE_NODISCARD sonde_code
wal_series_decode(sonde_str record,
                  void (*each)(void *arg, uint64_t ref, const struct labels *l),
                  void *arg, struct sonde_err *err);
SONDE_NODISCARD sonde_code wal_samples_decode(
    sonde_str record,
    void (*each)(void *arg, uint64_t ref, sonde_msec t, double v), void *arg,
    struct sonde_err *err); /* WAL_SAMPLES and WAL_SAMPLES_V2 */
SONDE_NODISCARD sonde_code wal_metadata_decode(
    sonde_str record,
    void (*each)(void *arg, uint64_t ref, const struct metadata *m), void *arg,
    struct sonde_err *err);

static inline bool wal_record_type_is_float(int type)
{
    return type == WAL_FLOAT_HISTOGRAMS ||
           type == WAL_CUSTOM_FLOAT_HISTOGRAMS ||
           type == WAL_FLOAT_HISTOGRAMS_V2;
}
/* All six kinds of histogram records; `h` is valid for the call. Spans cover
 * exactly the buckets; the rest is not judged (see histogram_check). */
SONDE_NODISCARD sonde_code
wal_histograms_decode(sonde_str record,
                      void (*each)(void *arg, uint64_t ref, sonde_msec t,
                                   const struct histogram *h),
                      void *arg, struct sonde_err *err);
SONDE_NODISCARD sonde_code wal_exemplars_decode(
    sonde_str record, void (*each)(void *arg, const struct wal_exemplar *e),
    void *arg, struct sonde_err *err);
SONDE_NODISCARD sonde_code wal_tombstones_decode(
    sonde_str record,
    void (*each)(void *arg, uint64_t ref, sonde_msec mint, sonde_msec maxt),
    void *arg, struct sonde_err *err);
SONDE_NODISCARD sonde_code wal_markers_decode(
    sonde_str record, void (*each)(void *arg, uint64_t ref, uint64_t chunk_ref),
    void *arg, struct sonde_err *err);

/* ---- folders of records: bulk.c ------------------------------------------ */

/* Writes a folder of segments in one go, in the log's framing. It is there
 * under its name once wal_bulk_finish returned, as a whole and synced; what
 * had that name before is gone then. wal_replay reads it. One thread. */
struct wal_bulk;
SONDE_NODISCARD sonde_code wal_bulk_open(const char *dir,
                                         enum wal_compression how,
                                         struct wal_bulk **out,
                                         struct sonde_err *err);
SONDE_NODISCARD sonde_code wal_bulk_put(struct wal_bulk *b, sonde_str record,
                                        struct sonde_err *err);
SONDE_NODISCARD sonde_code wal_bulk_finish(struct wal_bulk *b,
                                           struct sonde_err *err);
/* Removes what was not finished. NULL is fine. */
void wal_bulk_close(struct wal_bulk *b);

/* ---- checkpoints: checkpoint.c ------------------------------------------ */

/*
 * What of the oldest segments is still needed, written to
 * checkpoint.NNNNNNNN (tsdb/docs/format/wal.md): read the last checkpoint
 * and the segments up to `upto`, keep what the callbacks keep, sync, rename.
 * Samples, histograms and exemplars before `mint` and tombstones that end
 * before it go; of metadata the newest of each kept series stays.
 */
struct wal_checkpoint {
    uint64_t upto; /* the last segment that it stands for               */
    sonde_msec mint;
    /* Whether a series' record stays. */
    bool (*keep_series)(void *arg, uint64_t ref);
    bool (*keep_metadata)(void *arg, uint64_t ref); /* NULL: as keep_series */
    /* Puts records of series that the caller has, before all others, so that
     * they do not depend on what is read; may be NULL. */
    sonde_code (*put_series)(void *arg, struct wal_bulk *out,
                             struct sonde_err *err);
    /* What could not be read, as in wal_replay; may be NULL. */
    void (*damage)(void *arg, const struct wal_damage *damage);
    void *arg;
};
/* Deletes nothing: neither segments (wal_truncate) nor older checkpoints. On
 * an error all is as it was. Nothing to do if there is one that stands for as
 * much. */
SONDE_NODISCARD sonde_code wal_checkpoint_make(const char *dir,
                                               enum wal_compression how,
                                               const struct wal_checkpoint *c,
                                               struct sonde_err *err);
/* The newest one; false: there is none. */
bool wal_checkpoint_last(const char *dir, uint64_t *upto);
/* Removes those that are older. */
SONDE_NODISCARD sonde_code wal_checkpoint_clean(const char *dir,
                                                struct sonde_err *err);
/* First and last segment of a folder; false: there is none. */
bool wal_segments_range(const char *dir, uint64_t *first, uint64_t *last);
/* Ends the segment that is written and begins the next; nothing to do if
 * nothing was written to it. */
SONDE_NODISCARD sonde_code wal_next_segment(struct wal *w,
                                            struct sonde_err *err);

#endif
