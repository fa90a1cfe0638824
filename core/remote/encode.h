/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of remote write 1.0 as bytes: encode.c. */
#ifndef REMOTE_ENCODE_H
#define REMOTE_ENCODE_H

#include <sonde/base.h>

#include "model/labels.h"
#include "model/sample.h"
#include "util/buf.h"

struct remote_sample {
    uint64_t ref;
    sonde_msec t;
    double v;
};

/* The label fields of a TimeSeries; what encode_series is given. */
void encode_labels(struct buf *b, const struct labels *l);
/* One TimeSeries of a WriteRequest: encoded labels and samples in order. */
void encode_series(struct buf *b, sonde_str labels,
                   const struct remote_sample *samples, size_t n);
/* One MetricMetadata of a WriteRequest. */
void encode_metadata(struct buf *b, const struct metadata *m);
/* A message as a request's body: one snappy block, in `out` (emptied). */
void encode_body(sonde_str message, struct buf *out);

#endif
