/* SPDX-License-Identifier: Apache-2.0 */
/* What the client needs to know of a URL; curl's parser reads it. */
#ifndef NET_URL_H
#define NET_URL_H

#include <sonde/base.h>

#include "util/arena.h"

struct url {
    const char *text;   /* whole, with a fragment cut off                  */
    const char *scheme; /* "http" or "https"                               */
    const char *host;   /* lower case; with brackets if IPv6               */
    const char *port;   /* always there                                    */
};

/* Only http and https; the strings are the arena's. */
SONDE_NODISCARD sonde_code url_parse(struct arena *a, sonde_str text,
                                     struct url *out, struct sonde_err *err);
/* Where a Location header leads; it may be relative. */
SONDE_NODISCARD sonde_code url_follow(struct arena *a, const struct url *base,
                                      sonde_str location, struct url *out,
                                      struct sonde_err *err);
/* The same URL at another host name; port and rest stay. */
const char *url_with_host(struct arena *a, const struct url *url,
                          const char *host);
/* May what is secret between us and `from` be told to `to`? To the same host
 * and port, or the same host when http is left for https. */
bool url_same_party(const struct url *from, const struct url *to);
/* With a password replaced by "xxxxx", for people to read. */
const char *url_masked(struct arena *a, sonde_str text);
/* "localhost" or a loopback address. */
bool url_is_loopback(const struct url *url);

#endif
