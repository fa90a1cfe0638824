/* SPDX-License-Identifier: Apache-2.0 */
/* What the mechanisms of this room share with discovery.c. */
#ifndef DISCOVERY_DISCOVERY_INT_H
#define DISCOVERY_DISCOVERY_INT_H

#include <sonde/base.h>

#include "discovery/discovery.h"
#include "util/arena.h"
#include "util/buf.h"

/* Groups on their way to the job; what they point to is the arena's. */
struct group_batch {
    struct arena arena;
    struct target_group *items;
    size_t count, cap;
};
void group_batch_init(struct group_batch *b);
void group_batch_fini(struct group_batch *b);
void group_batch_add(struct group_batch *b, const struct target_group *g);

/* target_file.c: the bytes of a file, of a bounded number. */
SONDE_NODISCARD sonde_code file_sd_load(const char *path, struct buf *out,
                                        struct sonde_err *err);

/* ---- file_sd.c: one file_sd_config -------------------------------------- */

struct sd_file {
    char *path;
    bool read;     /* once at least, so that `hash` means something       */
    uint64_t hash; /* of the bytes read last, good or bad                 */
    size_t groups; /* that the job has from it                            */
    size_t targets;
};

struct file_sd {
    const struct file_sd_config *config;
    sonde_str job;
    size_t index; /* among the job's configs */
    struct selfmetrics *metrics;
    struct metric *read_errors, *watch_errors;
    struct sd_file *files; /* sorted by path */
    size_t count;
    bool watch_failed; /* said once */
};
void file_sd_init(struct file_sd *fs, const struct discovery_job *job,
                  size_t index, struct selfmetrics *metrics);
void file_sd_fini(struct file_sd *fs);
/* Watches the folders of the patterns; again and again, since folders come
 * and go. */
void file_sd_watch(struct file_sd *fs, int inotify_fd);
/* Looks at all files; adds the groups that changed to the batch. */
void file_sd_refresh(struct file_sd *fs, struct group_batch *batch);
size_t file_sd_targets(const struct file_sd *fs);

#endif
