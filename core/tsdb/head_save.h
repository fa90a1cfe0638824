/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head, saved at closing so that the next start need not read the log:
 * Prometheus' chunk_snapshot folders.
 */
#ifndef TSDB_HEAD_SAVE_H
#define TSDB_HEAD_SAVE_H

#include <sonde/base.h>

#include "chunk/chunk.h"
#include "wal/wal.h"

struct head;

/* Saves it to DIR/chunk_snapshot.SEGMENT.OFFSET, and removes others. All that
 * was logged lies before `at`; the log is closed, and nobody appends. */
SONDE_NODISCARD sonde_code head_save(struct head *h, const char *dir,
                                     struct wal_position at,
                                     enum wal_compression how,
                                     struct sonde_err *err);

/* One that the log in `wal_dir` goes on behind. */
struct saved_head {
    char *path; /* free with free()                                       */
    struct wal_position at;
};
/* The newest; false: there is none that may be used. */
bool head_saved_find(const char *dir, const char *wal_dir,
                     struct saved_head *out);
/* Removes all but one (NULL: all), and what is half-made. */
void head_saved_clean(const char *dir, const char *keep_path);

/* What it holds, in this order. Series may come twice, then with other
 * references of the same labels; chunks are views. */
struct saved_series {
    uint64_t ref;
    struct labels labels;
    bool has_chunk;
    struct chunk chunk; /* encoding and bytes only                        */
};
struct saved_visitor {
    void (*series)(void *arg, const struct saved_series *s);
    void (*deletion)(void *arg, uint64_t ref, sonde_msec mint, sonde_msec maxt);
    void (*exemplar)(void *arg, const struct wal_exemplar *e);
    bool (*canceled)(void *arg);
    void *arg;
};
/* SONDE_ECORRUPT at the first damage, and the rest is not read. */
SONDE_NODISCARD sonde_code head_saved_read(const char *path,
                                           const struct saved_visitor *v,
                                           struct sonde_err *err);

#endif
