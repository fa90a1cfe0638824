/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of a result and the families they are; see bind.c. */
#ifndef PLUGINS_POSTGRES_BIND_H
#define PLUGINS_POSTGRES_BIND_H

#include "collectors.h"

enum {
    BIND_COLUMNS_MAX = 32
};

/* Made once for a statement, used for all its results. */
struct binding {
    size_t columns;
    uint16_t family[BIND_COLUMNS_MAX]; /* PG_FAMILY_COUNT: a label      */
    uint8_t labels[BIND_COLUMNS_MAX][SONDE_LABELS_MAX]; /* column, or: */
};
enum {
    BIND_NOTHING = 255,
    BIND_SERVER = 254
};

/* An error says which column is neither a family nor a label of one. */
SONDE_NODISCARD sonde_code bind_columns(const struct collector *c,
                                        const struct rows *r,
                                        struct binding *out,
                                        struct sonde_err *err);

/* `main_database`: the families' label datname is left out there, if the
 * collector says so. At most `rows_max` rows; 0: all. */
SONDE_NODISCARD sonde_code bind_emit(const struct collector *c,
                                     const struct binding *b,
                                     const struct rows *r, size_t rows_max,
                                     sonde_str server, bool main_database,
                                     struct emit *e, struct sonde_err *err);

#endif
