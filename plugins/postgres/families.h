/* SPDX-License-Identifier: Apache-2.0 */
/* The families that the plugin declares: those that code names first, the
 * others sorted by name; results find theirs by it (bind.c). */
#ifndef PLUGINS_POSTGRES_FAMILIES_H
#define PLUGINS_POSTGRES_FAMILIES_H

#include <sonde/plugin.h>

enum pg_family {
    F_UP,
    F_LAST_ERROR,
    F_LAST_DURATION,
    F_SCRAPES,
    F_QUERIES_ERROR,
    F_RELOAD_OK,
    F_RELOAD_TIME,
    F_COLLECTOR_DURATION,
    F_COLLECTOR_SUCCESS,
    F_STATIC,
    F_PROCESS_IDLE,
    F_QUERY_SUCCESS,
    F_QUERY_DURATION,
    F_QUERY_ROWS,
    F_CONNECT_DURATION,
    F_CONNECTS,
    F_DROPPED,
    F_TABLES_OMITTED,
    F_SORTED, /* the first of the others */
};

#define PG_FAMILY_COUNT 166
extern const struct sonde_family pg_families[PG_FAMILY_COUNT];

/* The row of that name, or PG_FAMILY_COUNT. */
size_t families_find(const char *name);

#endif
