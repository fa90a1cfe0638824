/* SPDX-License-Identifier: Apache-2.0 */
/* What stream.c and stream_tls.c share. */
#ifndef NET_STREAM_INT_H
#define NET_STREAM_INT_H

#include <stdatomic.h>

#include "net/net.h"

struct stream_tls;

struct net_stream {
    int fd;
    char *address;          /* for messages                                */
    struct stream_tls *tls; /* NULL: plain                                 */
    _Atomic bool shut;
};

/* Until the socket is ready for `events`; `op` is for messages. */
sonde_code stream_await(const struct net_stream *s, short events,
                        sonde_msec deadline, const char *op,
                        struct sonde_err *err);
/* "host:port" or "[v6]:port"; the host comes without brackets. */
bool stream_split(sonde_str address, sonde_str *host, sonde_str *port);

sonde_code stream_tls_write(struct net_stream *s, const void *data, size_t len,
                            sonde_msec deadline, struct sonde_err *err);
sonde_code stream_tls_read(struct net_stream *s, void *data, size_t cap,
                           size_t *got, sonde_msec deadline,
                           struct sonde_err *err);
/* Says goodbye, if that does not wait. */
void stream_tls_close(struct net_stream *s);

#endif
