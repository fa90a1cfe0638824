/* SPDX-License-Identifier: Apache-2.0 */
/* The file `lock` of a data directory: one process at a time. */
#ifndef TSDB_DIR_LOCK_H
#define TSDB_DIR_LOCK_H

#include <sonde/base.h>

struct dir_lock {
    char *path;
    int fd; /* -1: not held                                               */
};

/* SONDE_ELOCKED if another process has it. */
SONDE_NODISCARD sonde_code dir_lock_take(struct dir_lock *l, const char *dir,
                                         struct sonde_err *err);
/* Removes the file. Fine if it is not held. */
void dir_lock_release(struct dir_lock *l);

#endif
