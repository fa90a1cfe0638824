/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exposition formats that Prometheus reads and writes: text 0.0.4 and
 * OpenMetrics 1.0 (protobuf joins them later). The scanner takes a body as it
 * arrives, in pieces of any size, and hands out lines as views; the text of a
 * line's series is not taken apart, because a series seen before needs no
 * more than its hash. What is read and refused is Prometheus 3.x's, case by
 * case.
 */
#ifndef EXPO_EXPO_H
#define EXPO_EXPO_H

#include <sonde/base.h>

#include "model/labels.h"
#include "model/sample.h"
#include "util/arena.h"
#include "util/buf.h"

enum expo_format {
    EXPO_TEXT,        /* text/plain 0.0.4 and 1.0.0                       */
    EXPO_OPENMETRICS, /* application/openmetrics-text 1.0.0, 0.0.1        */
};

/* Which format a Content-Type names; parameters are ignored. SONDE_EPARSE
 * with Prometheus' text if none, unless `fallback` (a scrape_protocols name
 * or empty) says what to take. */
SONDE_NODISCARD sonde_code expo_format_of(sonde_str content_type,
                                          sonde_str fallback,
                                          enum expo_format *out,
                                          struct sonde_err *err);

/* One sample line. `series` is the text of name and labels exactly as
 * written, from the first byte of the name to the last of the braces (or of
 * the name), without blanks after it; expo_series takes it apart and is the
 * judge of its grammar: the scanner only says where it ends. */
struct expo_sample {
    sonde_str series;
    double value; /* NaNs are normalised                                */
    sonde_msec t; /* if has_t                                           */
    bool has_t;
    enum metric_type type; /* of the TYPE line read last                  */
    sonde_str exemplar;    /* "{...} v [t]", OpenMetrics; usually empty      */
};

enum expo_meta_kind {
    EXPO_META_TYPE,
    EXPO_META_HELP,
    EXPO_META_UNIT
};
struct expo_meta {
    enum expo_meta_kind kind;
    sonde_str family;
    enum metric_type type; /* of TYPE */
    sonde_str text;        /* of HELP (unescaped) and UNIT */
};

/* Callbacks of a scan; views are valid for the call. An error they return
 * stops the scan. `meta` may be NULL. */
struct expo_handler {
    sonde_code (*sample)(void *arg, const struct expo_sample *s,
                         struct sonde_err *err);
    sonde_code (*meta)(void *arg, const struct expo_meta *m,
                       struct sonde_err *err);
    void *arg;
};

/* A longer line (raw LFs in its label values included) is an error. */
#define EXPO_LINE_MAX_BYTES ((size_t)1 << 20)

/* A scan in progress. Lines that span pieces are gathered in `rest`, which is
 * bounded by `line_max_bytes`. Errors stick; those of a line begin with
 * "line N: ", errors of the callbacks too if they are SONDE_EPARSE. */
struct expo_scanner {
    enum expo_format format;
    const struct expo_handler *handler;
    struct buf rest;
    struct buf scratch;
    size_t line_max_bytes;
    size_t line;           /* number of the line being read, from 1       */
    enum metric_type type; /* of the TYPE line read last                  */
    int quoting;           /* scan.c: how far the line in `rest` was ...  */
    size_t quoting_at;     /* ... searched for the LF that ends it        */
    bool ended;            /* # EOF (OpenMetrics) or NUL (text) seen      */
    sonde_code failed;     /* SONDE_OK, or what the scan failed with      */
};
void expo_scanner_init(struct expo_scanner *s, enum expo_format format,
                       const struct expo_handler *handler);
void expo_scanner_fini(struct expo_scanner *s);
SONDE_NODISCARD sonde_code expo_scan(struct expo_scanner *s, sonde_str piece,
                                     struct sonde_err *err);
/* The body is over: reads what is left, checks # EOF. */
SONDE_NODISCARD sonde_code expo_scan_end(struct expo_scanner *s,
                                         struct sonde_err *err);

/* Takes the series part of a line apart: empties the builder, then sets
 * __name__ and the labels, unescaped and checked (UTF-8, no duplicate, name
 * present). Strings are views of `series` or the builder's arena's. */
SONDE_NODISCARD sonde_code expo_series(sonde_str series,
                                       enum expo_format format,
                                       struct labels_builder *out,
                                       struct sonde_err *err);
/* Takes the exemplar of a sample apart: empties the builder, then sets the
 * labels. `t` is only there if has_t. Strings are views of `text` or the
 * builder's arena's. */
struct expo_exemplar {
    double value;
    sonde_msec t;
    bool has_t;
};
SONDE_NODISCARD sonde_code expo_exemplar(sonde_str text,
                                         struct labels_builder *labels,
                                         struct expo_exemplar *out,
                                         struct sonde_err *err);
/* After expo_series: what Prometheus 3 does to the labels `le` of histograms
 * and `quantile` of summaries, so that le="1" and le="1.0" are one series.
 * `type` is the sample's. */
void expo_normalise_bounds(struct labels_builder *lb, enum metric_type type);

/* ---- writing text 0.0.4 ----------------------------------------------- */

/* # HELP (if any) and # TYPE lines; types that text 0.0.4 does not have
 * become the nearest one that it has. */
void expo_write_family(struct buf *b, const struct metadata *m);
/* name{labels} value [t]; `labels` holds __name__. Names that are not plain
 * are quoted. */
void expo_write_sample(struct buf *b, const struct labels *l, double v,
                       const sonde_msec *t);
/* Escaping of a label value: \ " and LF. */
void expo_write_escaped(struct buf *b, sonde_str value);
#define EXPO_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
