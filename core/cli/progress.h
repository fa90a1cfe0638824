/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a long command has come, on stderr: on a terminal one line that is
 * drawn over and over (bar, percent, rate, time that remains), elsewhere a
 * plain line every ten seconds and at the end. One thread.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <sonde/base.h>

#include "util/buf.h"

enum progress_unit {
    PROGRESS_BYTES,
    PROGRESS_COUNT
};
struct progress {
    const char *what; /* "importing", in front of all lines               */
    enum progress_unit unit;
    uint64_t total, done; /* total 0: not known                           */
    uint64_t began_ns, shown_ns;
    bool terminal, shown, quiet;
};

/* `what` must stay. */
void progress_begin(struct progress *p, const char *what,
                    enum progress_unit unit, uint64_t total);
/* Cheap enough to be called for every piece of work. */
void progress_to(struct progress *p, uint64_t done);
static inline void progress_add(struct progress *p, uint64_t n)
{
    progress_to(p, p->done + n);
}
/* The last line. */
void progress_end(struct progress *p);
/* Before something else is printed: takes the line away. */
void progress_hide(struct progress *p);

/* The line as of `now_ns` (clock_ns), no wider than `width`; 0: no bar. */
void progress_line(struct buf *b, const struct progress *p, uint64_t now_ns,
                   unsigned width);

#endif
