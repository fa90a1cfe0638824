/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunks_head: full chunks of the head, in files of up to 128 MiB that are
 * written front to back and mapped for reading. A chunk has its place at
 * once; its bytes are in memory until head_files_flush has written them, and
 * are read from there or from the file alike.
 *
 * Thread-safe, but for opening and closing. Who reads while files may be
 * deleted is registered as a reader of the head.
 */
#ifndef TSDB_HEAD_FILES_H
#define TSDB_HEAD_FILES_H

#include <sonde/base.h>

#include "tsdb/chunk_list.h"
#include "tsdb/head_metrics.h"
#include "tsdb/head_record.h"
#include "util/buf.h"

/* Of the files' format: number of the file << 32 | offset. */
typedef uint64_t chunk_ref;

#define HEAD_FILE_BYTES (UINT32_C(128) << 20)

struct head_files;

/* A chunk that was found at opening. Its data is mapped, and stays until its
 * file is deleted. Behind damage, earlier ones of its series may be lost. */
typedef void head_files_found(void *arg, chunk_ref ref, chunk_place place,
                              const struct head_chunk *c, bool behind_damage);

struct head_files_options {
    bool read_only; /* writes nothing: what is added stays in memory       */
    const struct head_metrics *metrics;
    head_files_found *found; /* in the order in which they were written    */
    void *arg;
};

/* Opens DIR, made if absent. Every chunk's checksum is looked at; damage is
 * logged and counted, and what is intact behind it is kept. */
SONDE_NODISCARD sonde_code head_files_open(const char *dir,
                                           const struct head_files_options *o,
                                           struct head_files **out,
                                           struct sonde_err *err);
/* Does not flush. NULL is fine. */
void head_files_close(struct head_files *f);
/* Whether damage was found at opening: chunks are missing in between. */
bool head_files_damaged(const struct head_files *f);

/* Adds a chunk, copied. */
chunk_place head_files_add(struct head_files *f, const struct head_chunk *c);
chunk_ref head_files_ref(struct head_files *f, chunk_place place);

/* The chunk of a place. What is not in its file yet is appended to `copy`
 * and `*copied` set: views into `copy` move when it grows. */
void head_files_read(struct head_files *f, chunk_place place, struct buf *copy,
                     struct head_chunk *out, bool *copied);
/* What is known of a file without looking into it: whether all of its chunks
 * end before `t`, or none does. */
enum head_files_side {
    HEAD_FILE_BEFORE,
    HEAD_FILE_MIXED,
    HEAD_FILE_BEHIND
};
enum head_files_side head_files_side(struct head_files *f, chunk_place place,
                                     sonde_msec t);

/* Writes what waits. On an error (a full disk) it stays in memory and is
 * tried again with the next call; logged when that begins and when it ends. */
SONDE_NODISCARD sonde_code head_files_flush(struct head_files *f,
                                            struct sonde_err *err);
/* The same, unless another thread is at it. */
void head_files_flush_some(struct head_files *f);
/* Flushes, and makes all of it survive a loss of power. */
SONDE_NODISCARD sonde_code head_files_sync(struct head_files *f,
                                           struct sonde_err *err);
/* Bytes that wait to be written. */
size_t head_files_waiting(const struct head_files *f);

/* The next chunk begins a file, so that the older one can be deleted whole.
 * Nothing if there is none. */
void head_files_cut(struct head_files *f);
/* Takes the oldest files out whose chunks all end before `mint` and whose
 * number is below `keep`; they are deleted from the disk, but stay readable
 * until head_files_release, which the caller may call when no reader is left
 * who came before. Returns how many. */
size_t head_files_delete(struct head_files *f, sonde_msec mint, uint32_t keep);
void head_files_release(struct head_files *f);

/* Gives the memory of what was read from files back; the next reading brings
 * it in again. */
void head_files_cool(struct head_files *f);

/* On disk, and waiting to be. */
uint64_t head_files_bytes(struct head_files *f);
/* The oldest time that files know of; INT64_MAX: there is no chunk. */
sonde_msec head_files_oldest(struct head_files *f);

#endif
