/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubles as text, as Go's strconv (and so Prometheus) reads and prints
 * them; locale never matters.
 */
#ifndef MODEL_NUMBER_H
#define MODEL_NUMBER_H

#include <sonde/base.h>

#include "util/buf.h"

/* Parses the whole of `s`: decimal, "inf"/"infinity" (any case, any sign),
 * "nan" (any case, unsigned). No hex, no '_'. Correctly rounded; out of range
 * is an error, underflow is 0. Source: reference of the exposition formats. */
bool number_parse(sonde_str s, double *out);

enum number_style {
    NUMBER_TEXT,  /* exponent form if e < -4 or e >= 6: text format 0.0.4 */
    NUMBER_OM,    /* as TEXT, ".0" added to what looks whole              */
    NUMBER_API,   /* plain for 1e-6 <= |v| < 1e21: JSON sample values     */
    NUMBER_PLAIN, /* never an exponent: scalars, count_values, printer    */
};
/* Shortest digits that read back to the same double; NaN, +Inf, -Inf. TEXT
 * and OM print -0 as 0, as their encoder does. */
#define NUMBER_MAX_BYTES 352
size_t number_format(char out[NUMBER_MAX_BYTES], double v,
                     enum number_style style);
void buf_number(struct buf *b, double v, enum number_style style);
#define NUMBER_UINT_BYTES 20
size_t number_format_uint(char out[NUMBER_UINT_BYTES], uint64_t v);

/* Durations as Prometheus writes them: 1y 1w 1d 1h 1m 1s 1ms, units
 * descending, each once; "0" is fine. */
bool duration_parse(sonde_str s, sonde_msec *out);
void buf_duration(struct buf *b, sonde_msec d);
/* Sizes: 512MB, 1GiB?, powers of two as alecthomas/units reads base-2 units
 * (B KB MB GB TB PB EB, and KiB...); "0" is fine. */
bool size_parse(sonde_str s, int64_t *out);
void buf_size(struct buf *b, int64_t bytes);

#endif
