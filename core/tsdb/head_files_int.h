/* SPDX-License-Identifier: Apache-2.0 */
/* What head_files.c and head_files_open.c share. */
#ifndef TSDB_HEAD_FILES_INT_H
#define TSDB_HEAD_FILES_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "tsdb/head_files.h"
#include "util/arena.h"

#define HEAD_FILE_MAGIC   UINT32_C(0x0130bc91)
#define HEAD_FILE_VERSION 1
#define HEAD_FILE_HEADER  8
#define OFFSET_BITS       27
#define OFFSET_MASK       ((UINT32_C(1) << OFFSET_BITS) - 1)
#define HEAD_FILES_MAX    (1u << 13)

_Static_assert(HEAD_FILE_BYTES == UINT32_C(1) << OFFSET_BITS, "offsets");

struct head_file {
    uint32_t number;
    uint8_t *map; /* of the file; NULL until it is made                    */
    size_t map_bytes;
    _Atomic uint32_t written; /* readable in `map` up to here              */
    /* Under the lock: */
    uint8_t *memory; /* what is not written yet; NULL when all is          */
    uint32_t end;    /* where the next record goes                         */
    sonde_msec mint, maxt, first_end; /* times; the lowest maxt            */
    size_t chunks;
    /* Under the write lock: */
    int fd; /* -1: none, or all is written                                 */
    bool synced;
    struct head_file *gone; /* next of the deleted ones                    */
};

struct head_files {
    char *dir;
    bool read_only;
    const struct head_metrics *metrics;
    bool damaged;
    struct head_file *_Atomic *table; /* by number % HEAD_FILES_MAX */
    pthread_mutex_t lock;
    uint32_t first, next; /* numbers of the files there are; under `lock`  */
    bool cut;             /* the next chunk begins a file                  */
    pthread_mutex_t write_lock;
    uint32_t flushed; /* files before this one are all written             */
    bool failing;
    struct head_file *gone; /* deleted, still mapped                       */
    _Atomic uint64_t waiting, read_bytes;
};

static inline struct head_file *file_at(const struct head_files *f,
                                        uint32_t number)
{
    return atomic_load_explicit(&f->table[number % HEAD_FILES_MAX],
                                memory_order_acquire);
}
static inline chunk_place place_of(const struct head_file *file,
                                   uint32_t offset)
{
    return (chunk_place)(file->number % HEAD_FILES_MAX) << OFFSET_BITS | offset;
}

char *head_file_path(const struct head_files *f, uint32_t number,
                     struct arena *a);
/* Empty, and in the table. */
struct head_file *head_file_new(struct head_files *f, uint32_t number);
void head_file_free(struct head_file *file);
/* Widens what is known of the times in it. */
void head_file_saw(struct head_file *file, const struct head_chunk *c);

#endif
