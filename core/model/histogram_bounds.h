/* SPDX-License-Identifier: Apache-2.0 */
/* Where a native histogram's buckets end. */
#ifndef MODEL_HISTOGRAM_BOUNDS_H
#define MODEL_HISTOGRAM_BOUNDS_H

#include <stdint.h>

/* The upper bound of the bucket at `index` (32 bits) of an exponential schema
 * (-9 to 52), to the bit as Prometheus has it; infinite beyond a double's
 * range. */
double histogram_bound(int schema, int64_t index);

#endif
