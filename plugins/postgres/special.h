/* SPDX-License-Identifier: Apache-2.0 */
/* Collectors whose rows are more than columns of families. */
#ifndef PLUGINS_POSTGRES_SPECIAL_H
#define PLUGINS_POSTGRES_SPECIAL_H

#include "emit.h"
#include "link.h"

/* settings.c: name, setting, unit, vartype. */
SONDE_NODISCARD sonde_code settings_emit(struct emit *e, const struct rows *r,
                                         struct sonde_err *err);
/* One setting: the name of its family (at most `cap` bytes with the NUL) and
 * its value. False: not a number, or a unit nobody knows. */
bool settings_value(sonde_str name, sonde_str setting, sonde_str unit,
                    sonde_str kind, char *family, size_t cap, double *value);

/* process_idle.c: state, application, count, sum, one column a bucket. */
SONDE_NODISCARD sonde_code process_idle_emit(struct emit *e,
                                             const struct rows *r,
                                             struct sonde_err *err);

#endif
