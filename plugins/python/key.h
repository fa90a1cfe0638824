/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a value in a multiprocess file. */
#ifndef PYTHON_KEY_H
#define PYTHON_KEY_H

#include <jansson.h>

#include <sonde/plugin.h>

#include "db_file.h"

/* A key of more is left out; so is a label name or a metric name. */
#define KEY_BYTES_MAX 16384
#define KEY_NAME_MAX  1024

/* Which part of its family a value is. */
enum key_part {
    KEY_VALUE, /* of a counter or gauge */
    KEY_SUM,
    KEY_COUNT,
    KEY_BUCKET,
};

struct key_label {
    sonde_str name, value;
};

struct key {
    json_t *json;     /* has the bytes of all strings; NUL-terminated        */
    sonde_str family; /* "x" for x_bucket, "x_total" for a counter       */
    sonde_str help;
    struct key_label labels[SONDE_LABELS_MAX]; /* by name, none empty    */
    size_t label_count;
    enum key_part part;
    double upper; /* of a bucket */
};

/* Reads a key of a file of that kind; false when it can not be shown: no
 * such JSON, names that Prometheus does not take, too many labels, a value
 * that belongs to no part. Labels `le` (of histograms) and `pid` (of gauges)
 * are not among the labels. key_fini is called after either. */
bool key_parse(sonde_str text, enum db_kind kind, struct key *out);
void key_fini(struct key *k);

#endif
