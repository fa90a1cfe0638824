/* SPDX-License-Identifier: Apache-2.0 */
/* What SQL's types are as numbers; see query_values.c. */
#ifndef PLUGINS_POSTGRES_QUERY_VALUES_H
#define PLUGINS_POSTGRES_QUERY_VALUES_H

#include "shared/text.h"

/* Types whose texts are read in their own way. */
enum sql_type {
    SQL_BOOL = 16,
    SQL_DATE = 1082,
    SQL_TIMESTAMP = 1114,
    SQL_TIMESTAMPTZ = 1184,
    SQL_INTERVAL = 1186,
};

/* Numbers of any type, texts that are numbers, booleans, times as whole
 * seconds since the epoch; false: nothing of these. */
bool sql_number(uint32_t type, sonde_str s, double *out);
/* "2024-01-31 12:00:00.5+02", in UTC without an offset; infinity. */
bool sql_time(sonde_str s, double *seconds);
/* "1 day 02:03:04.5", as IntervalStyle postgres has it: milliseconds. */
bool sql_interval(sonde_str s, double *ms);
/* "{1,2.5,NULL}": the i-th number, the text goes behind it. False at the end
 * or when it is no array of numbers; `*ok` tells which. */
bool sql_array_next(sonde_str *rest, double *out, bool *ok);

#endif
