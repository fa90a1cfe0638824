/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples, the stale marker, and metric metadata. Times are milliseconds
 * since the epoch.
 */
#ifndef MODEL_SAMPLE_H
#define MODEL_SAMPLE_H

#include <sonde/base.h>

#include "util/bytes.h"

/* NaNs that differ by their bits: the one that marks a series as gone, and
 * the one every other NaN is normalised to. Compare bits, never values. */
#define STALE_NAN_BITS  UINT64_C(0x7ff0000000000002)
#define NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)

static inline double stale_nan(void)
{
    return bits_double(STALE_NAN_BITS);
}
static inline bool is_stale_nan(double v)
{
    return double_bits(v) == STALE_NAN_BITS;
}

/* Numbers as in WAL metadata records and remote write. */
enum metric_type {
    METRIC_UNKNOWN,
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_GAUGE_HISTOGRAM,
    METRIC_SUMMARY,
    METRIC_INFO,
    METRIC_STATESET,
    METRIC_TYPE_COUNT
};
/* "counter", "gauge", ..., "unknown". */
const char *metric_type_name(enum metric_type t);

struct metadata {
    sonde_str family; /* as written in # TYPE */
    enum metric_type type;
    sonde_str unit, help;
};

#endif
