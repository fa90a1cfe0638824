/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of /federate share: the samples of a page, and who writes
 * them. */
#ifndef API_FEDERATE_H
#define API_FEDERATE_H

#include "api/api_int.h"

#define FED_PROTO_TYPE                                                         \
    "application/vnd.google.protobuf; "                                        \
    "proto=io.prometheus.client.MetricFamily; encoding=delimited"

/* Samples of a name are sorted by kind, so that each is one family. */
enum fed_kind {
    FED_FLOAT,
    FED_HISTOGRAM,
    FED_GAUGE_HISTOGRAM
};

struct fed_sample {
    const struct labels *labels;
    sonde_str name;
    sonde_msec t;
    enum fed_kind kind;
    double v;
    const struct histogram *h; /* the call's arena's; NULL: a float         */
};

struct federation {
    struct http_call *call;
    struct selector_list {
        struct matcher *items;
        size_t count;
    } * selectors;
    size_t selector_count;
    struct series_set **sets;
    size_t set_count;
    struct fed_sample *samples;
    size_t count, cap;
    struct labels external; /* sorted, with `instance`                     */
    bool utf8;              /* the client reads quoted names               */
    sonde_msec from, to;    /* closed                                      */
};

/* federate_text.c */
void federate_text(const struct federation *f, struct http_stream *h);
/* A metric or label name with underscores for what is not legal in it;
 * `colon`: in a metric's name that is. */
void federate_put_name(struct buf *b, sonde_str name, bool colon);

/* federate_proto.c */
bool federate_wants_proto(sonde_str accept);
void federate_proto(const struct federation *f, struct http_stream *h);

#endif
