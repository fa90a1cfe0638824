/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of metric types as API v1 and OpenMetrics spell them. The numbers
 * are those of WAL metadata records and of remote write, so the order of the
 * enumeration never changes; what is out of range (bytes from outside) reads
 * as unknown rather than as an error, as metadata is never worth a sample.
 */
#include "model/sample.h"

const char *metric_type_name(enum metric_type t)
{
    static const char *const names[METRIC_TYPE_COUNT] = {
        [METRIC_UNKNOWN] = "unknown",
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
        [METRIC_GAUGE_HISTOGRAM] = "gaugehistogram",
        [METRIC_SUMMARY] = "summary",
        [METRIC_INFO] = "info",
        [METRIC_STATESET] = "stateset",
    };

    return (unsigned)t < METRIC_TYPE_COUNT ? names[t] : names[METRIC_UNKNOWN];
}
