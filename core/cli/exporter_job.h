/* SPDX-License-Identifier: Apache-2.0 */
/* From an exporter's flags to a job, as if a file had described it. */
#ifndef CLI_EXPORTER_JOB_H
#define CLI_EXPORTER_JOB_H

#include <sonde/base.h>

#include "agent/sidecar.h"
#include "cli/exporter_flags.h"

/* The job of a plugin by its flags: calls the exporter's `targets`, reads
 * what files have, checks all that a configuration file would be checked for.
 * One reference is the caller's. */
SONDE_NODISCARD sonde_code exporter_job(const struct exporter_flags *f,
                                        const struct plugin *plugin,
                                        struct sidecar_config **out,
                                        struct sonde_err *err);
/* The same, as YAML in `out`: what stands in no file. For tests. */
SONDE_NODISCARD sonde_code exporter_job_text(const struct exporter_flags *f,
                                             const struct sonde_plugin *plugin,
                                             struct buf *out,
                                             struct sonde_err *err);

#endif
