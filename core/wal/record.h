/* SPDX-License-Identifier: Apache-2.0 */
/* What the codecs of records share: record.c. */
#ifndef WAL_RECORD_H
#define WAL_RECORD_H

#include <sonde/base.h>

#include "model/labels.h"
#include "util/bytes.h"
#include "wal/wal.h"

/* A reader over a record, behind its type; false if that is another. */
bool record_begin(struct reader *r, sonde_str record, int type);
/* Both set SONDE_ECORRUPT and return it. */
sonde_code record_malformed(struct sonde_err *err, const char *what);
sonde_code record_wrong_type(struct sonde_err *err, const char *wanted,
                             sonde_str record);
/* What a decoder returns behind its loop. */
static inline sonde_code record_ended(const struct reader *r, const char *what,
                                      struct sonde_err *err)
{
    return r->failed ? record_malformed(err, what) : SONDE_OK;
}

/* References and times are written as signed differences to the first, with
 * wrap-around: nothing is out of range. */
static inline uint64_t record_difference(uint64_t a, uint64_t b)
{
    return zigzag((int64_t)(a - b));
}

/* Reads the mark of a start time in a version 2 record (none, as before, or a
 * difference follows); fails the reader on any other. */
void record_skip_start_time(struct reader *r);

/* Where labels are gathered; most sets need no memory of the heap. */
#define RECORD_LABELS_ON_STACK 64
struct label_space {
    struct label *items;
    size_t cap;
    struct label stack[RECORD_LABELS_ON_STACK];
};
void label_space_init(struct label_space *s);
void label_space_fini(struct label_space *s);
/* A count, then names and values, without the empty ones; false if they are
 * malformed or, for a `sorted` set, not in order. */
bool record_labels(struct reader *r, struct label_space *space, bool sorted,
                   struct labels *out);
void record_labels_put(struct buf *b, const struct labels *l);

#endif
