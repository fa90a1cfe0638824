/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets and options that an exporter's flags give; what its own `targets`
 * callback is shown and may set.
 */
#ifndef CLI_EXPORTER_TARGETS_H
#define CLI_EXPORTER_TARGETS_H

#include <sonde/base.h>
#include <sonde/plugin.h>

#include "cli/exporter_flags.h"

struct job_option {
    sonde_str name;
    const struct sonde_option *row;
    enum exporter_source source;
    sonde_str *values;
    size_t count, cap;
};

/* A target as it is to be collected; of a fetch plugin taken apart. */
struct job_target {
    sonde_str address, name; /* the name has no user and password          */
    sonde_str scheme, path, query;
    sonde_str user, password;
};

/* Strings are the flags' arena's. */
struct job_parts {
    const struct exporter_flags *flags;
    const struct sonde_plugin *plugin;
    struct job_option *options;
    size_t option_count, option_cap;
    struct job_target *targets;
    size_t target_count, target_cap;
    struct sonde_err *err;
    sonde_code code; /* of the first thing that went wrong in a callback   */
};

SONDE_NODISCARD sonde_code job_parts_read(struct job_parts *p,
                                          const struct exporter_flags *f,
                                          const struct sonde_plugin *plugin,
                                          struct sonde_err *err);
void job_parts_fini(struct job_parts *p);

#endif
