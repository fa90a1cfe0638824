/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block's chunks/NNNNNN files. A chunk's reference is the place of its file
 * in the sorted list (0 is the first) << 32 | the offset in it.
 */
#ifndef BLOCK_CHUNK_FILES_H
#define BLOCK_CHUNK_FILES_H

#include <sonde/base.h>

#include "block/mapped.h"
#include "block/out_file.h"
#include "chunk/chunk.h"

#define CHUNK_FILE_HEADER 8
#define CHUNK_FILE_BYTES  (UINT64_C(512) << 20) /* a file's usual limit */

/* ---- reading: chunk_files.c --------------------------------------------- */

struct chunk_files {
    struct mapped *items;
    size_t count;
};

/* Opens BLOCK_DIR/chunks; checks the headers. */
SONDE_NODISCARD sonde_code chunk_files_open(const char *block_dir,
                                            struct chunk_files *out,
                                            struct sonde_err *err);
void chunk_files_close(struct chunk_files *f);
uint64_t chunk_files_bytes(const struct chunk_files *f);
/* A view, checksum verified. `*end` (may be NULL) is the reference behind it.
 */
SONDE_NODISCARD sonde_code chunk_files_get(const struct chunk_files *f,
                                           uint64_t ref,
                                           enum chunk_encoding *encoding,
                                           sonde_str *data, uint64_t *end,
                                           struct sonde_err *err);

/* ---- writing: chunk_write.c --------------------------------------------- */

struct chunk_writer {
    char *dir; /* the folder of the files                                 */
    uint64_t limit, done;
    unsigned number; /* of the file that is open; 0: none                 */
    struct out_file out;
};

/* Makes BLOCK_DIR/chunks. `limit` 0 is CHUNK_FILE_BYTES. */
SONDE_NODISCARD sonde_code chunk_writer_init(struct chunk_writer *w,
                                             const char *block_dir,
                                             uint64_t limit,
                                             struct sonde_err *err);
SONDE_NODISCARD sonde_code chunk_writer_add(struct chunk_writer *w,
                                            const struct chunk *chunk,
                                            uint64_t *ref,
                                            struct sonde_err *err);
/* Syncs files and folder. */
SONDE_NODISCARD sonde_code chunk_writer_close(struct chunk_writer *w,
                                              struct sonde_err *err);
void chunk_writer_fini(struct chunk_writer *w);
uint64_t chunk_writer_bytes(const struct chunk_writer *w);

#endif
