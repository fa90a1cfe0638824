/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses, with a deadline. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include <netdb.h>

#include <sonde/base.h>

/* TCP addresses of a host (name or number) and port; free with
 * resolve_free. A lookup that outlives the deadline ends by itself later. */
SONDE_NODISCARD sonde_code resolve(sonde_str host, sonde_str port,
                                   sonde_msec deadline, struct addrinfo **out,
                                   struct sonde_err *err);
void resolve_free(struct addrinfo *list); /* NULL is fine */

#endif
