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

struct jsonw {
    struct buf *out;
    bool comma; /* the next value or key needs one before it */
};

static inline struct jsonw jsonw_to(struct buf *out)
{
    return (struct jsonw){ .out = out };
}

void jsonw_object(struct jsonw *j);
void jsonw_object_end(struct jsonw *j);
void jsonw_array(struct jsonw *j);
void jsonw_array_end(struct jsonw *j);
/* `key` is a literal that needs no escaping. */
void jsonw_key(struct jsonw *j, const char *key);
void jsonw_key_str(struct jsonw *j, sonde_str key);

void jsonw_str(struct jsonw *j, sonde_str s);
void jsonw_cstr(struct jsonw *j, const char *z);
void jsonw_int(struct jsonw *j, int64_t v);
void jsonw_uint(struct jsonw *j, uint64_t v);
/* A number in the shortest form; not finite: null. */
void jsonw_real(struct jsonw *j, double v);
void jsonw_bool(struct jsonw *j, bool v);
void jsonw_null(struct jsonw *j);

/* Of Prometheus' own: a sample's value as a string; a time as seconds with
 * none or three decimals; a time as RFC 3339 (0: the year 1). */
void jsonw_value(struct jsonw *j, double v);
void jsonw_seconds(struct jsonw *j, sonde_msec t);
void jsonw_time(struct jsonw *j, sonde_msec t);
/* [seconds,"value"] */
void jsonw_point(struct jsonw *j, sonde_msec t, double v);
/* The same with the seconds' text at hand: all of it is copied, however short
 * it is. */
#define JSONW_STAMP_BYTES 32
struct jsonw_stamp {
    char text[JSONW_STAMP_BYTES - 1];
    unsigned char len;
};
void jsonw_stamp(struct jsonw_stamp *s, sonde_msec t);
void jsonw_stamped(struct jsonw *j, const struct jsonw_stamp *s, double v);
void jsonw_labels(struct jsonw *j, const struct labels *l);

#endif
