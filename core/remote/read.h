/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of remote read share. */
#ifndef REMOTE_READ_H
#define REMOTE_READ_H

#include <sonde/base.h>

#include "net/net.h"
#include "remote/remote.h"
#include "storage/storage.h"

/* One query of a request; all is the call's arena's but for the regular
 * expressions of the matchers. */
struct read_query {
    sonde_msec start, end; /* closed                                       */
    struct matcher *matchers;
    size_t matcher_count, matcher_cap;
};
struct read_request {
    struct read_query *queries;
    size_t count, cap;
    bool accepts; /* a list of types was given ...                        */
    bool samples; /* ... what of it comes first is what is answered       */
    bool streamed;
    struct buf unknown; /* of the types nobody knows, for the error        */
};
/* read_request.c. SONDE_EPARSE: the bytes are wrong; SONDE_EINVAL: a regular
 * expression. To be released in any case. */
SONDE_NODISCARD sonde_code read_request_parse(struct arena *a, sonde_str body,
                                              struct read_request *out,
                                              struct sonde_err *err);
void read_request_fini(struct read_request *r);

/* The series of a query, sorted by labels. */
struct read_series {
    struct labels labels; /* with the external ones                        */
    struct storage_series *series;
};
struct read_selection {
    struct read_series *items;
    size_t count, cap;
    struct series_set *set;
};

/* read_reply.c */
struct read_limits {
    uint64_t samples;   /* of one answer of type SAMPLES                   */
    size_t frame_bytes; /* about so many of a frame of the other           */
};
/* Appends a QueryResult; `left` counts down. */
SONDE_NODISCARD sonde_code read_put_result(struct http_call *call,
                                           const struct read_query *q,
                                           const struct read_selection *s,
                                           const struct read_limits *limits,
                                           uint64_t *left, struct buf *out,
                                           struct sonde_err *err);
/* Writes the frames of one query. */
SONDE_NODISCARD sonde_code read_put_frames(struct http_stream *h,
                                           const struct read_query *q,
                                           size_t query_index,
                                           const struct read_selection *s,
                                           const struct read_limits *limits,
                                           struct sonde_err *err);

#endif
