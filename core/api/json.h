/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON writer that streams into a buffer: commas come by themselves, the
 * caller pairs beginnings and ends. Strings are escaped as Go's encoder does
 * for HTML (< > & and U+2028/2029), so that Prometheus' clients and careless
 * pages get what they know.
 */
#ifndef API_JSON_H
#define API_JSON_H

#include <sonde/base.h>

#include "model/labels.h"
#include "util/buf.h"

struct json {
    struct buf *out;
    bool comma; /* the next value or key needs one before it */
};

static inline struct json json_to(struct buf *out)
{
    return (struct json){ .out = out };
}

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
/* `key` is a literal that needs no escaping. */
void json_key(struct json *j, const char *key);
void json_key_str(struct json *j, sonde_str key);

void json_str(struct json *j, sonde_str s);
void json_cstr(struct json *j, const char *z);
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
/* A number in the shortest form; not finite: null. */
void json_real(struct json *j, double v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);

/* Of Prometheus' own: a sample's value as a string; a time as seconds with
 * none or three decimals; a time as RFC 3339 (0: the year 1). */
void json_value(struct json *j, double v);
void json_seconds(struct json *j, sonde_msec t);
void json_time(struct json *j, sonde_msec t);
void json_labels(struct json *j, const struct labels *l);

#endif
