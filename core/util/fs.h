/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and directories, with errors that name the path and say what to do.
 * Paths are NUL-terminated.
 */
#ifndef UTIL_FS_H
#define UTIL_FS_H

#include <sonde/base.h>

#include "util/arena.h"
#include "util/buf.h"

/* The code for an errno value; sets "OP PATH: TEXT". */
sonde_code fs_err(struct sonde_err *err, int errnum, const char *op,
                  const char *path);

/* Reads a whole file of at most `max_bytes`, appending to `out`. */
SONDE_NODISCARD sonde_code fs_read(const char *path, size_t max_bytes,
                                   struct buf *out, struct sonde_err *err);
/* Writes PATH.tmp, fsyncs, renames it over PATH and fsyncs the folder. */
SONDE_NODISCARD sonde_code fs_write_atomic(const char *path, sonde_str data,
                                           unsigned mode,
                                           struct sonde_err *err);
/* All of `data` at the file's position, repeating short writes. */
SONDE_NODISCARD sonde_code fs_write_all(int fd, const void *data, size_t len,
                                        const char *path,
                                        struct sonde_err *err);
/* mkdir -p; fine if it is there. What is made has its name on the disk. */
SONDE_NODISCARD sonde_code fs_mkdirs(const char *path, unsigned mode,
                                     struct sonde_err *err);
SONDE_NODISCARD sonde_code fs_sync_dir(const char *path, struct sonde_err *err);
/* Removes a file or a folder with all in it; fine if it is not there. */
SONDE_NODISCARD sonde_code fs_remove_all(const char *path,
                                         struct sonde_err *err);
bool fs_exists(const char *path);

/* Names in a folder without "." and "..", sorted bytewise. */
struct fs_names {
    char **items;
    size_t count;
};
SONDE_NODISCARD sonde_code fs_list(const char *path, struct fs_names *out,
                                   struct sonde_err *err);
void fs_names_fini(struct fs_names *names);

/* DIR/NAME, in the arena. An absolute NAME stands for itself. */
char *fs_join(struct arena *a, sonde_str dir, sonde_str name);
/* The folder part: "/a/b" of "/a/b/c", "." of "c". */
sonde_str fs_dirname(sonde_str path);

#endif
