/* SPDX-License-Identifier: Apache-2.0 */
/* How far an endpoint has come in the log, and the file that remembers it:
 * progress.c. */
#ifndef REMOTE_PROGRESS_H
#define REMOTE_PROGRESS_H

#include <sonde/base.h>

#include "wal/wal.h"

#define PROGRESS_LANES_MAX 1024

/* A place between two samples: so many samples into the record that begins
 * at a position of the log. */
struct place {
    struct wal_position at;
    uint64_t index;
};
static inline int place_cmp(struct place a, struct place b)
{
    int c = wal_position_cmp(a.at, b.at);

    return c ? c : a.index < b.index ? -1 : a.index > b.index;
}
static inline struct place place_max(struct place a, struct place b)
{
    return place_cmp(a, b) < 0 ? b : a;
}

/* Of one lane: all before `acked` has been acknowledged (or dropped), and
 * from there to `sent` is the request that may be under way. */
struct lane_progress {
    struct place acked, sent;
};
struct progress {
    struct lane_progress lanes[PROGRESS_LANES_MAX];
    size_t count; /* 0: nothing is known                                  */
};

struct progress_file;
/* Opens or makes the file; `found` is what it says. A damaged one says
 * nothing. */
SONDE_NODISCARD sonde_code progress_open(const char *path,
                                         struct progress *found,
                                         struct progress_file **out,
                                         struct sonde_err *err);
/* Survives a kill of the process when it returns, a failing machine only
 * after progress_sync. */
SONDE_NODISCARD sonde_code progress_write(struct progress_file *f,
                                          const struct progress *p,
                                          struct sonde_err *err);
SONDE_NODISCARD sonde_code progress_sync(struct progress_file *f,
                                         struct sonde_err *err);
void progress_close(struct progress_file *f); /* NULL is fine */

#endif
