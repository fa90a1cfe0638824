/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding targets. Each mechanism of a job (static_configs,
 * file_sd_configs, ...) yields target groups under source names of its own;
 * a group that comes again under its source replaces the old one, an empty
 * one deletes it. One file per mechanism.
 */
#ifndef DISCOVERY_DISCOVERY_H
#define DISCOVERY_DISCOVERY_H

#include <sonde/base.h>

#include "config/schema.h"
#include "model/labels.h"
#include "model/selfmetrics.h"

struct target_group {
    sonde_str source;             /* unique within the job                 */
    const struct labels *targets; /* each with __address__, unless it was
                                     written as an empty string            */
    size_t count;
    struct labels labels; /* common to all                         */
};

/* The blocks of a scrape_config that this room reads. */
struct static_config {
    struct config_head head;
    struct sonde_list targets;
    struct config_map labels;
};
struct file_sd_config {
    struct config_head head;
    struct sonde_list files; /* globs */
    sonde_msec refresh_interval;
};
extern const struct config_block_def static_config_block;
extern const struct config_block_def file_sd_config_block;

/* What a job wants found. What it points to is borrowed for the life of the
 * discovery. */
struct discovery_job {
    sonde_str job;
    const struct static_config *statics;
    size_t static_count;
    const struct file_sd_config *files;
    size_t file_count;
};

/*
 * All discovery of one job. discovery_start calls `update` at once, in the
 * caller's thread, with everything that can be known now (static groups,
 * files as they are), and later from a discovery thread with the groups that
 * changed. The groups are valid for the call.
 */
struct discovery;
typedef void discovery_update(void *arg, const struct target_group *groups,
                              size_t n);
SONDE_NODISCARD sonde_code discovery_start(const struct discovery_job *job,
                                           struct selfmetrics *metrics,
                                           discovery_update *update, void *arg,
                                           struct discovery **out,
                                           struct sonde_err *err);
/* No update comes after this returns. NULL is fine. */
void discovery_stop(struct discovery *d);

/* The target groups that are written in `text`, JSON or YAML by the end of
 * `path`; strings are the arena's. An error refuses all of it. */
SONDE_NODISCARD sonde_code file_sd_parse(struct arena *a, const char *path,
                                         sonde_str text,
                                         struct target_group **out, size_t *n,
                                         struct sonde_err *err);
/* Reads one file_sd file (YAML or JSON); for `sonde check config` too. */
SONDE_NODISCARD sonde_code file_sd_read(struct arena *a, const char *path,
                                        struct target_group **out, size_t *n,
                                        struct sonde_err *err);

#endif
