/* SPDX-License-Identifier: Apache-2.0 */
/* What is usual for the libraries that instrument Python applications. */
#ifndef PYTHON_PRESET_H
#define PYTHON_PRESET_H

#include <sonde/option.h>

#define PRESET_RULES_MAX 4

struct preset {
    const char *name;
    const char *health_path; /* empty: none can be told from the metrics */
    const char *gauge_modes[PRESET_RULES_MAX]; /* ends at the first NULL */
};

/* For the option's row. */
extern const char *const preset_names[];

/* Of a name that is among preset_names. */
const struct preset *preset_of(sonde_str name);

#endif
