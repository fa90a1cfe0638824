/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `sonde exporter NAME`, by the table of the exporter
 * that the plugin stands in for, and a few flags of our own.
 */
#ifndef CLI_EXPORTER_FLAGS_H
#define CLI_EXPORTER_FLAGS_H

#include <sonde/base.h>
#include <sonde/exporter.h>

#include "util/arena.h"
#include "util/buf.h"

/* Of our own; beside the roles of the contract. */
enum own_role {
    OWN_HELP = 1000,
    OWN_VERSION,
    OWN_ALLOW,
    OWN_SLOW_INTERVAL,
    OWN_MAX_TARGETS,
    OWN_PLUGIN_PATH,
};

enum exporter_source {
    FROM_NOWHERE,
    FROM_FALLBACK,
    FROM_ENV,
    FROM_FLAG
};

/* A flag and what was given for it, of the strongest source alone. Lists with
 * commas are taken apart, booleans are "true" or "false", durations have
 * milliseconds ("1500ms"). */
struct exporter_flag {
    struct sonde_flag row;
    int role; /* enum sonde_flag_role or enum own_role */
    bool own;
    enum exporter_source source;
    sonde_str *values;
    size_t count, cap;
};

struct exporter_flags {
    struct arena *arena;
    const struct sonde_exporter *exporter;
    struct exporter_flag *rows;
    size_t count;
    const char *(*env)(const char *name); /* getenv, or a test's */
    sonde_str *warnings;
    size_t warning_count, warning_cap;
};

/* The rows of both tables; nothing is read yet. Memory is the arena's, but
 * for what exporter_flags_fini gives back. */
void exporter_flags_init(struct exporter_flags *f, struct arena *a,
                         const struct sonde_exporter *exporter,
                         const char *(*env)(const char *name));
void exporter_flags_fini(struct exporter_flags *f);
/* argv[1..]: -x V, --x V, -x=V, --x=V, --no-x, letters. The command line wins
 * over the environment, that over the exporter's own defaults. Errors name
 * the flag and the nearest known one. A value from the environment that is
 * wrong is left out with a warning, as the exporters do. */
SONDE_NODISCARD sonde_code exporter_flags_parse(struct exporter_flags *f,
                                                int argc, char *const *argv,
                                                struct sonde_err *err);

/* The first flag of the role that has a value, or NULL. */
const struct exporter_flag *exporter_flag_of(const struct exporter_flags *f,
                                             int role);
/* Its last value; empty if there is none. */
sonde_str exporter_text_of(const struct exporter_flags *f, int role);
bool exporter_bool_of(const struct exporter_flags *f, int role);

/* exporter_help.c */
void exporter_help(struct buf *b, const char *plugin,
                   const struct exporter_flags *f);

#endif
