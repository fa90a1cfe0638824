/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets from addresses as people write them. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <sonde/base.h>

/* ":9090" (all addresses, both families), "127.0.0.1:9090", "[::1]:9090",
 * "localhost:9090", port 0 for any free one. The socket listens, does not
 * block and is the caller's. */
SONDE_NODISCARD sonde_code net_listen(const char *address, int *fd, int *port,
                                      struct sonde_err *err);

#endif
