/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: immutable folders of a time range's chunks with an index, byte for
 * byte Prometheus' (tsdb/docs/format): ULID/{meta.json,index,tombstones,
 * chunks/NNNNNN}. Written once in full (a temporary folder, fsync, rename),
 * then mapped and read by any number of threads.
 *
 * A block covers [mint, maxt); the times of its chunks are closed. Series are
 * numbered as in the index (offset / 16), ascending with their label sets.
 * Symbols are numbered in bytewise order, so two label sets of one block
 * compare as the numbers of their symbols do.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <sonde/base.h>

#include "chunk/chunk.h"
#include "model/labels.h"
#include "storage/storage.h"
#include "util/arena.h"
#include "util/refs.h"

/* ---- ULIDs: ulid.c ------------------------------------------------------ */

#define ULID_CHARS 26
struct ulid {
    char text[ULID_CHARS + 1];
};
/* Of this time, with random bits; two of one process never are the same. */
struct ulid ulid_new(sonde_msec now);
bool ulid_parse(sonde_str text, struct ulid *out);
sonde_msec ulid_time(const struct ulid *u);

/* ---- meta.json: meta.c -------------------------------------------------- */

struct block_parent {
    struct ulid ulid;
    sonde_msec mint, maxt;
};
struct block_stats {
    uint64_t samples, float_samples, histogram_samples;
    uint64_t series, chunks, tombstones;
};
/* The arrays are the struct's own; block_meta_fini frees them. */
struct block_meta {
    struct ulid ulid;
    sonde_msec mint, maxt;
    struct block_stats stats;
    int level;
    struct ulid *sources; /* sorted                                        */
    size_t source_count;
    struct block_parent *parents;
    size_t parent_count;
    bool deletable, failed;
    bool from_out_of_order; /* hint: does not move the store's newest time */
    char **other_hints;     /* kept as they are                            */
    size_t other_hint_count;
};
void block_meta_fini(struct block_meta *m);
void block_meta_copy(struct block_meta *to, const struct block_meta *from);
SONDE_NODISCARD sonde_code block_meta_read(const char *block_dir,
                                           struct block_meta *out,
                                           struct sonde_err *err);
/* Atomically. */
SONDE_NODISCARD sonde_code block_meta_write(const char *block_dir,
                                            const struct block_meta *m,
                                            struct sonde_err *err);

/* ---- tombstones: tombstones.c ------------------------------------------- */

/* Deleted ranges by series: closed, sorted, merged where they touch. */
struct time_range {
    sonde_msec mint, maxt;
};
struct tombstones {
    struct tombstone_series {
        uint64_t ref; /* of the head, or a series' number in a block       */
        struct time_range *ranges;
        size_t count, cap;
    } * items; /* sorted by ref                                     */
    size_t count, cap;
};
void tombstones_fini(struct tombstones *t);
void tombstones_add(struct tombstones *t, uint64_t ref, struct time_range r);
/* NULL: nothing of the series is deleted. */
const struct tombstone_series *tombstones_get(const struct tombstones *t,
                                              uint64_t ref);
size_t tombstones_ranges(const struct tombstones *t); /* in all           */
/* Takes the deleted samples from `from` on out of columns. */
void tombstones_apply(const struct tombstone_series *s, struct columns *c,
                      size_t from);
/* The file of a block; a missing one reads as empty. Writing is atomic. */
SONDE_NODISCARD sonde_code tombstones_read(const char *block_dir,
                                           struct tombstones *out,
                                           struct sonde_err *err);
SONDE_NODISCARD sonde_code tombstones_write(const char *block_dir,
                                            const struct tombstones *t,
                                            struct sonde_err *err);

/* What a closed range and matchers mean in a block: added to `out`. */
struct block;
SONDE_NODISCARD sonde_code block_deletions(const struct block *b,
                                           struct time_range range,
                                           const struct matcher *matchers,
                                           size_t n, struct tombstones *out,
                                           struct sonde_err *err);

/* ---- reading: block.c, index_read.c, chunk_files.c ---------------------- */

struct block;
struct block_chunk {
    sonde_msec mint, maxt;
    uint64_t ref;
};
struct block_pair {
    uint32_t name, value; /* numbers of symbols                            */
};
/* Label sets of one block, in their order: as the numbers of their symbols. */
static inline int block_pairs_cmp(const struct block_pair *a, size_t a_count,
                                  const struct block_pair *b, size_t b_count)
{
    size_t n = a_count < b_count ? a_count : b_count;

    for (size_t i = 0; i < n; i++) {
        if (a[i].name != b[i].name)
            return a[i].name < b[i].name ? -1 : 1;
        if (a[i].value != b[i].value)
            return a[i].value < b[i].value ? -1 : 1;
    }
    return (a_count > b_count) - (a_count < b_count);
}
/* Arrays keep their memory between uses; block_series_fini frees them. */
struct block_series {
    struct block_pair *pairs;
    size_t pair_count, pair_cap;
    struct block_chunk *chunks;
    size_t chunk_count, chunk_cap;
};
void block_series_fini(struct block_series *s);

/* Opens and checks what is checked at opening (magic numbers, versions, TOC,
 * symbols, postings table, meta against the folder's name): SONDE_ECORRUPT
 * says what is wrong. One reference is the caller's. */
SONDE_NODISCARD sonde_code block_open(const char *dir, struct block **out,
                                      struct sonde_err *err);
struct block *block_ref(struct block *b);
/* The last one unmaps; with block_drop() called it removes the folder too
 * (renamed first, so that a half-removed one is never taken for a block). */
void block_unref(struct block *b); /* NULL is fine */
void block_drop(struct block *b);

const char *block_dir(const struct block *b);
const struct block_meta *block_meta(const struct block *b);
uint64_t block_bytes(const struct block *b); /* of its files              */
/* Of a snapshot of the tombstones; valid until block_unref. */
const struct tombstones *block_tombstones(const struct block *b);
/* Adds, writes tombstones and meta, and shows them to who asks from now on.
 * One writer at a time. */
SONDE_NODISCARD sonde_code block_add_tombstones(struct block *b,
                                                const struct tombstones *more,
                                                struct sonde_err *err);

uint32_t block_symbol_count(const struct block *b);
/* A view of the index; number >= count gives no bytes. */
sonde_str block_symbol(const struct block *b, uint32_t number);
bool block_symbol_find(const struct block *b, sonde_str s, uint32_t *number);

/* A list of series numbers, big-endian in the index. */
struct block_postings {
    const uint8_t *be32;
    uint32_t count;
};
static inline uint32_t block_posting(const struct block_postings *p,
                                     uint32_t i);
/* The list of a label pair, checked by its checksum; count 0: there is none.
 * Empty name and value: all series. */
SONDE_NODISCARD sonde_code block_postings(const struct block *b, sonde_str name,
                                          sonde_str value,
                                          struct block_postings *out,
                                          struct sonde_err *err);
/* Goes through the names, or the values of one name, in bytewise order; views
 * of the index. `each` returns false to stop. */
void block_names(const struct block *b, bool (*each)(void *arg, sonde_str name),
                 void *arg);
void block_values(const struct block *b, sonde_str name,
                  bool (*each)(void *arg, sonde_str value,
                               uint64_t postings_offset),
                  void *arg);
SONDE_NODISCARD sonde_code block_postings_at(const struct block *b,
                                             uint64_t postings_offset,
                                             struct block_postings *out,
                                             struct sonde_err *err);

/* One series by number; checksum verified. */
SONDE_NODISCARD sonde_code block_series(const struct block *b, uint32_t number,
                                        struct block_series *out,
                                        struct sonde_err *err);
/* One chunk's bytes: a view of the file, checksum verified. */
SONDE_NODISCARD sonde_code block_chunk(const struct block *b, uint64_t ref,
                                       enum chunk_encoding *encoding,
                                       sonde_str *data, struct sonde_err *err);
/* Tells the kernel that what was read will not be needed soon. */
void block_forget(const struct block *b);

/* Every checksum, order and reference of a block; `each` is told every fault
 * (may be NULL). SONDE_ECORRUPT if there was any, `err` being the first. */
struct block_fault {
    const char *file;
    uint64_t offset;
    const char *what;
};
SONDE_NODISCARD sonde_code block_verify(
    const struct block *b, void (*each)(void *arg, const struct block_fault *f),
    void *arg, struct sonde_err *err);

static inline uint32_t block_posting(const struct block_postings *p, uint32_t i)
{
    const uint8_t *at = p->be32 + (size_t)i * 4;

    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

/* ---- writing: block_write.c, index_write.c ------------------------------ */

/*
 * Streaming, in memory that does not grow with the number of series: first
 * all symbols in ascending order, then series in ascending order of their
 * pairs, each with its chunks in order of time, then finish. Nothing is seen
 * under the block's name before finish succeeds.
 */
struct block_writer;
struct block_writer_options {
    struct ulid ulid;
    size_t chunk_file_bytes; /* 0: 512 MiB                                 */
};
SONDE_NODISCARD sonde_code block_writer_new(
    const char *parent_dir, const struct block_writer_options *options,
    struct block_writer **out, struct sonde_err *err);
/* Its number; must be greater than the one before. Errors are kept until
 * finish. */
uint32_t block_writer_symbol(struct block_writer *w, sonde_str s);
SONDE_NODISCARD sonde_code block_writer_series(
    struct block_writer *w, const struct block_pair *pairs, size_t n,
    const struct chunk *chunks, size_t chunk_count, struct sonde_err *err);
/* Writes index, tombstones (may be NULL: none) and `meta`, whose stats it
 * fills in, syncs everything and gives the block its name. Without any
 * series nothing is made: SONDE_ENOTFOUND. Frees the writer in any case. */
SONDE_NODISCARD sonde_code block_writer_finish(struct block_writer *w,
                                               struct block_meta *meta,
                                               const struct tombstones *stones,
                                               struct sonde_err *err);
/* Gives up, removes what is there. NULL is fine. */
void block_writer_discard(struct block_writer *w);
/* Bytes written so far, for progress and limits. */
uint64_t block_writer_bytes(const struct block_writer *w);

/* ---- querying: block_query.c, block_select.c ---------------------------- */

/* The numbers of the series that all matchers accept, ascending; `out` is
 * zeroed or something to be replaced. */
SONDE_NODISCARD sonde_code block_select(const struct block *b,
                                        const struct matcher *ms, size_t n,
                                        struct refs *out,
                                        struct sonde_err *err);

/* A querier of one block: matchers to postings to series; deletions are taken
 * out. Holds a reference. Damage met while reading is SONDE_ECORRUPT and
 * names the file. */
SONDE_NODISCARD sonde_code block_querier(struct block *b, sonde_msec mint,
                                         sonde_msec maxt, struct querier **out,
                                         struct sonde_err *err);

#endif
