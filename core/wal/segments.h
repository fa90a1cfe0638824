/* SPDX-License-Identifier: Apache-2.0 */
/* Names and numbers of the files of a log folder: segments.c. */
#ifndef WAL_SEGMENTS_H
#define WAL_SEGMENTS_H

#include <sonde/base.h>

#define WAL_SEGMENT_NAME_BYTES 24

/* Sorted numbers of the files in a folder that are named as segments. */
struct segments {
    uint64_t *numbers;
    size_t count;
};
SONDE_NODISCARD sonde_code segments_list(const char *dir, struct segments *out,
                                         struct sonde_err *err);
void segments_fini(struct segments *s);
/* Index of the first number >= `from`; s->count if there is none. */
size_t segments_at(const struct segments *s, uint64_t from);

/* The newest finished checkpoint; false if there is none. */
SONDE_NODISCARD sonde_code checkpoint_find(const char *dir, bool *found,
                                           uint64_t *number,
                                           struct sonde_err *err);
/* Removes what a checkpoint that was not finished has left. */
SONDE_NODISCARD sonde_code checkpoint_clean(const char *dir,
                                            struct sonde_err *err);
/* Removes the checkpoints numbered below `keep`. */
SONDE_NODISCARD sonde_code checkpoint_drop(const char *dir, uint64_t keep,
                                           struct sonde_err *err);

/* DIR/NNNNNNNN and DIR/checkpoint.NNNNNNNN; free with free(). */
char *segment_path(const char *dir, uint64_t number);
char *checkpoint_path(const char *dir, uint64_t number);

#endif
