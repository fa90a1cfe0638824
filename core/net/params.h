/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-encoding, query strings and forms. */
#ifndef NET_PARAMS_H
#define NET_PARAMS_H

#include <sonde/base.h>

#include "util/arena.h"
#include "util/buf.h"

/* Of a form and a query string together. */
#define HTTP_PARAMS_MAX 10000

struct http_param {
    sonde_str name, value;
};
struct http_params {
    struct http_param *items;
    size_t count;
    sonde_str broken; /* the first pair that was dropped: bad escape or a
                         semicolon; no pointer: none was                */
    bool too_many;    /* pairs beyond the limit were dropped           */
};

/* The form's pairs first, so that they win over the query string's. Strings
 * are decoded into the arena. */
void http_params_parse(struct arena *a, sonde_str form, sonde_str query,
                       struct http_params *out);
/* Why a pair was dropped, as Go says it. */
void http_params_why(const struct http_params *p, struct sonde_err *why);
/* The i-th value of a name. */
bool http_params_get(const struct http_params *p, const char *name, size_t i,
                     sonde_str *out);

/* Undoes percent-encoding (and '+' for a space in forms); false on a bad
 * escape. */
bool http_decode(struct arena *a, sonde_str s, bool form, sonde_str *out);
/* Percent-encodes what may not stand in a path. */
void http_encode_path(struct buf *b, sonde_str path);

/* The shortest equal path: no "//", "/./", "/../"; begins with "/". */
sonde_str http_path_clean(struct arena *a, sonde_str path);

#endif
