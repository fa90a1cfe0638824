/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is written from front to back through a large buffer, with the
 * checksum of what was put since a mark. Errors stick: write freely, look at
 * out_file_close(). What was written is handed to the disk as it comes, so
 * that the fsync at the end has little left to do.
 */
#ifndef BLOCK_OUT_FILE_H
#define BLOCK_OUT_FILE_H

#include <sonde/base.h>

#include "block/mapped.h"

struct out_file {
    int fd;
    char *path;
    uint8_t *buf;
    size_t len;       /* bytes in buf                                     */
    uint64_t written; /* before buf[0]                                    */
    uint64_t pushed;  /* of these, handed to the disk                     */
    uint32_t crc;     /* of what was put since the mark, up to buf[marked]*/
    size_t marked;
    sonde_code failed;
    struct sonde_err err;
};

/* Makes the file; it must not be there. */
SONDE_NODISCARD sonde_code out_file_open(struct out_file *f, const char *path,
                                         struct sonde_err *err);
static inline uint64_t out_file_pos(const struct out_file *f)
{
    return f->written + f->len;
}
void out_file_put(struct out_file *f, const void *data, size_t n);
void out_file_be32(struct out_file *f, uint32_t v);
void out_file_uvarint(struct out_file *f, uint64_t v);
/* Zeros up to a multiple of `align`. */
void out_file_pad(struct out_file *f, size_t align);
/* From here on counts for the checksum. */
void out_file_mark(struct out_file *f);
/* Puts the checksum of what came since the mark, big-endian. */
void out_file_crc(struct out_file *f);
/* Writes what is buffered; bytes already in the file may be replaced then. */
SONDE_NODISCARD sonde_code out_file_flush(struct out_file *f,
                                          struct sonde_err *err);
SONDE_NODISCARD sonde_code out_file_patch(struct out_file *f, uint64_t at,
                                          const void *data, size_t n,
                                          struct sonde_err *err);
/* Flushes and maps what is in the file now. */
SONDE_NODISCARD sonde_code out_file_map(struct out_file *f, struct mapped *out,
                                        struct sonde_err *err);
/* Writes, syncs, closes; the first error of all, if any. */
SONDE_NODISCARD sonde_code out_file_close(struct out_file *f,
                                          struct sonde_err *err);
/* Closes without more ado. Fine for one that is closed. */
void out_file_discard(struct out_file *f);

#endif
