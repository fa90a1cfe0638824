/* SPDX-License-Identifier: Apache-2.0 */
/* A file in memory, read-only. Its size is that at opening: who makes a file
 * of a block shorter takes the process with it. */
#ifndef BLOCK_MAPPED_H
#define BLOCK_MAPPED_H

#include <sonde/base.h>

struct mapped {
    const uint8_t *data; /* NULL when the file is empty                   */
    size_t len;
    char *path;
    size_t passed; /* bytes since its pages were given back last           */
};

SONDE_NODISCARD sonde_code mapped_open(const char *path, struct mapped *out,
                                       struct sonde_err *err);
/* The same for a file that is open; `fd` stays the caller's. */
SONDE_NODISCARD sonde_code mapped_fd(int fd, const char *path,
                                     struct mapped *out, struct sonde_err *err);
/* Fine for one that was not opened. */
void mapped_close(struct mapped *m);
/* Takes the pages out of the process; they are read again when touched. */
void mapped_forget(const struct mapped *m);

/* For who reads it once from front to back, by one thread: `n` bytes more
 * were read; every few MiB the pages are given back. */
void mapped_pass(struct mapped *m, size_t n);

#endif
