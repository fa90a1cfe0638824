/* SPDX-License-Identifier: Apache-2.0 */
/* Who an endpoint is, and what tells whether its configuration changed:
 * endpoint.c. */
#ifndef REMOTE_ENDPOINT_H
#define REMOTE_ENDPOINT_H

#include "remote/remote.h"

struct endpoint {
    uint64_t identity;    /* of name and URL: keeps its saved position       */
    uint64_t config_hash; /* of all that is configured                    */
    char *url;            /* as shown: without user and password             */
    char *name;           /* as configured, or made of the identity          */
    char *labels;         /* remote_name="..",url=".." of its metrics        */
    char *file;           /* NAME-HASH.cursor                                 */
};

/* `nth` tells endpoints of the same name and URL apart. */
void endpoint_init(struct endpoint *e, const struct remote_write_config *c,
                   size_t nth);
void endpoint_fini(struct endpoint *e);

bool external_labels_same(const struct config_map *a,
                          const struct config_map *b);

#endif
