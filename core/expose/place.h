/* SPDX-License-Identifier: Apache-2.0 */
/* How a `target=` is written: [scheme://][user@]host[:port][/name]. */
#ifndef EXPOSE_PLACE_H
#define EXPOSE_PLACE_H

#include <sonde/base.h>

#include "util/arena.h"

struct place {        /* views */
    sonde_str scheme; /* "redis://" or empty */
    sonde_str host;   /* without brackets    */
    sonde_str port;
    sonde_str name; /* "/0" or empty */
};

/* Plain ASCII, with neither a query nor a fragment, and with @ only before the
 * host: then place_public leaves nothing of a password. */
bool place_is_plain(sonde_str s);
/* Of "scheme://", or 0. */
size_t place_scheme_bytes(sonde_str s);
/* Without what stands before the last @ of the authority, and without a
 * query, which may have a password too. */
sonde_str place_public(struct arena *a, sonde_str s);
/* False: it is not of that form, without a user. Nothing but letters, digits
 * and ._- (in brackets :.) gets through, so that a driver finds nothing in it
 * that was not seen here. */
bool place_split(sonde_str s, struct place *out);
sonde_str place_join(struct arena *a, const struct place *p);

#endif
