/* SPDX-License-Identifier: Apache-2.0 */
/* The API of NGINX Plus: what plus.c, plus_emit.c and the tables share. */
#ifndef PLUGINS_NGINX_PLUS_H
#define PLUGINS_NGINX_PLUS_H

#include "nginx.h"

#define PLUS_ENDPOINT_COUNT 16
#define PLUS_CHECK_ROWS     3

/* A member of an object: `key`, or in.key; with a label `code`, if given. */
struct plus_row {
    enum nginx_family family;
    const char *in, *key, *code;
};

enum plus_shape {
    PLUS_ONE,       /* one object                                           */
    PLUS_ZONES,     /* objects by name, which is the label                  */
    PLUS_UPSTREAMS, /* the same, with `peers` inside                        */
    PLUS_SYNC,      /* `zones` by name, `status`                            */
    PLUS_WORKERS,   /* a list; labels id and pid                            */
};

struct plus_endpoint {
    const char *path; /* after the version                                  */
    int since;        /* version of the API                                 */
    enum plus_shape shape;
    const struct plus_row *rows;
    size_t row_count;
    enum nginx_family codes; /* of responses.codes, or NGINX_FAMILY_COUNT   */
    enum nginx_family state; /* of peers                                    */
    const struct plus_row *peers;
    size_t peer_count;
    const struct plus_row *checks; /* of peers that are checked             */
    const struct plus_row *extra;  /* of the document itself                */
    size_t extra_count;
    const char *extra_member; /* which has to be there for `extra`, or NULL */
    bool may_fail;            /* a failure is a warning                     */
};

extern const struct plus_endpoint plus_endpoints[PLUS_ENDPOINT_COUNT];

/* ---- plus_emit.c --------------------------------------------------------- */

void plus_emit_document(struct nginx_emit *e, const struct plus_endpoint *p,
                        const json_t *doc);

#endif
