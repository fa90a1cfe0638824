/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of multiprocess files as a collection: what the plugins for
 * Python's applications share. */
#ifndef PYTHON_MULTIPROC_H
#define PYTHON_MULTIPROC_H

#include <sonde/plugin.h>

#include "preset.h"

/* ---- options ------------------------------------------------------------- */

/* The fields of a plugin's options, and their rows. */
#define PYTHON_OPTION_FIELDS                                                   \
    sonde_str preset, multiproc_dir, multiproc_pids;                           \
    int64_t multiproc_files, multiproc_bytes;                                  \
    struct sonde_list gauge_modes

#define PYTHON_OPTION_ROWS(T)                                                  \
    SONDE_OPT_STR(T, preset, .fallback = "none", .choices = preset_names,      \
                  .help = "The library that instruments the application; "     \
                          "gives other options their defaults"),               \
        SONDE_OPT_FILE(T, multiproc_dir, .example = "/run/app/metrics",        \
                       .help = "Folder that PROMETHEUS_MULTIPROC_DIR names "   \
                               "for the application: read directly, all "      \
                               "workers as one"),                              \
        SONDE_OPT_STR(T, multiproc_pids, .fallback = "auto",                   \
                      .choices = python_pids_choices,                          \
                      .help = "Whether live gauges of processes that are "     \
                              "gone are left out: check, ignore, or auto: "    \
                              "where the process ids are seen to be ours"),    \
        SONDE_OPT_INT(T, multiproc_files, .fallback = "10000", .min = 1,       \
                      .max = 1000000, .help = "Most files to read"),           \
        SONDE_OPT_SIZE(T, multiproc_bytes, .fallback = "64MB", .min = 65536,   \
                       .max = (int64_t)1 << 31,                                \
                       .help = "Most bytes to read, of all files"),            \
        SONDE_OPT_LIST(T, gauge_modes, .example = "[app_info=livemax]",        \
                       .help = "Modes of gauges in place of the "              \
                               "application's, as NAME=MODE; a NAME may end "  \
                               "with *")

extern const char *const python_pids_choices[];

/* The same by name, for the functions below. */
struct python_settings {
    const struct preset *preset;
    sonde_str dir, pids;
    int64_t files, bytes;
    struct sonde_list gauge_modes;
};

#define PYTHON_SETTINGS(o)                                                     \
    ((struct python_settings){                                                 \
        .preset = preset_of((o)->preset),                                      \
        .dir = (o)->multiproc_dir,                                             \
        .pids = (o)->multiproc_pids,                                           \
        .files = (o)->multiproc_files,                                         \
        .bytes = (o)->multiproc_bytes,                                         \
        .gauge_modes = (o)->gauge_modes,                                       \
    })

/* What the tables can not say. */
sonde_code python_check(const struct python_settings *s, struct sonde_err *err);

/* ---- families ------------------------------------------------------------ */

enum multiproc_family {
    MULTIPROC_FILES,
    MULTIPROC_DROPPED,
    MULTIPROC_FAMILIES,
};

/* Rows of a plugin's table, from index `base` on. */
#define MULTIPROC_FAMILY_ROWS(base)                                            \
    [(base) +                                                                  \
        MULTIPROC_FILES] = { .name = "python_multiproc_files",                 \
                             .type = SONDE_METRIC_GAUGE,                       \
                             .help = "Files in multiproc_dir, by what "        \
                                     "became of them",                         \
                             .labels = { "state" } },                          \
        [(base) +                                                              \
            MULTIPROC_DROPPED] = { .name = "python_multiproc_dropped_values",  \
                                   .type = SONDE_METRIC_GAUGE,                 \
                                   .help = "Values in multiproc_dir's files "  \
                                           "that were left out, by reason",    \
                                   .labels = { "reason" } }

/* ---- collecting ---------------------------------------------------------- */

struct multiproc;

/* `refused`: names that the plugin emits itself and files may not. The plugin
 * and what the settings point to must outlive it. */
sonde_code multiproc_open(const struct sonde_host *host,
                          const struct sonde_target *target,
                          const struct python_settings *settings,
                          const struct sonde_family *families,
                          size_t family_count, size_t base,
                          struct multiproc **out, struct sonde_err *err);
void multiproc_close(struct multiproc *p); /* NULL is fine */

/* Reads the folder and emits what is in it. May block. */
sonde_code multiproc_collect(struct multiproc *p, struct sonde_sink *sink,
                             sonde_msec deadline, struct sonde_err *err);

#endif
