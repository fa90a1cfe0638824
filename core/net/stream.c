/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams for those who talk a protocol of their own on a thread that
 * may block: TCP and unix sockets, non-blocking underneath, with poll(2) for
 * every wait, so that no call outlives its deadline. Looking a name up is the
 * one thing that can not be interrupted; resolve.c does it aside.
 *
 * A host with several addresses is tried address by address, each with its
 * share of the time that is left, so that a dead first one does not use up
 * the deadline of the others.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/resolve.h"
#include "net/stream_int.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

static sonde_code sys_err(struct sonde_err *err, const char *op,
                          const char *address, int number)
{
    sonde_code code = SONDE_EIO;

    if (number == EACCES || number == EPERM)
        code = SONDE_EACCESS;
    else if (!strcmp(op, "connect to"))
        code = SONDE_ECONNECT;
    return sonde_err_set(err, code, "%s %s: %s", op, address, strerror(number));
}

sonde_code stream_await(const struct net_stream *s, short events,
                        sonde_msec deadline, const char *op,
                        struct sonde_err *err)
{
    struct pollfd p = { .fd = s->fd, .events = events };

    for (;;) {
        sonde_msec left = deadline - clock_monotonic(&clock_system);
        int n;

        if (left < 0)
            left = 0;
        n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0)
            return SONDE_OK;
        if (n < 0 && errno != EINTR)
            return sys_err(err, op, s->address, errno);
        if (n == 0 && left < INT32_MAX)
            return sonde_err_set(err, SONDE_ETIMEOUT,
                                 "%s %s: deadline exceeded", op, s->address);
    }
}

/* ---- opening ----------------------------------------------------------- */

static sonde_code connect_one(struct net_stream *s, const struct sockaddr *to,
                              socklen_t len, sonde_msec deadline,
                              struct sonde_err *err)
{
    int number = 0, one = 1;
    socklen_t size = sizeof(number);
    sonde_code rc;

    s->fd =
        socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return sys_err(err, "connect to", s->address, errno);
    if (to->sa_family != AF_UNIX)
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(s->fd, to, len) == 0)
        return SONDE_OK;
    if (errno != EINPROGRESS && errno != EINTR)
        return sys_err(err, "connect to", s->address, errno);
    rc = stream_await(s, POLLOUT, deadline, "connect to", err);
    if (rc != SONDE_OK)
        return rc;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
        number = errno;
    return number ? sys_err(err, "connect to", s->address, number) : SONDE_OK;
}

static void hang_up(struct net_stream *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

static sonde_code connect_any(struct net_stream *s, const struct addrinfo *list,
                              sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc = SONDE_ENOTFOUND;
    sonde_msec left = 0;

    for (const struct addrinfo *i = list; i; i = i->ai_next)
        left++;
    for (const struct addrinfo *i = list; i; i = i->ai_next, left--) {
        sonde_msec now = clock_monotonic(&clock_system);

        rc = connect_one(s, i->ai_addr, i->ai_addrlen,
                         now + (deadline - now) / left, err);
        if (rc == SONDE_OK)
            return SONDE_OK;
        hang_up(s);
    }
    return rc;
}

static sonde_code open_unix(struct net_stream *s, sonde_str path,
                            sonde_msec deadline, struct sonde_err *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    if (path.len == 0 || path.len >= sizeof(to.sun_path))
        return sonde_err_set(err, SONDE_EINVAL,
                             "connect to %s: expected a path of 1 to %zu "
                             "bytes, got %zu",
                             s->address, sizeof(to.sun_path) - 1, path.len);
    memcpy(to.sun_path, path.ptr, path.len);
    return connect_one(s, (const struct sockaddr *)&to, sizeof(to), deadline,
                       err);
}

bool stream_split(sonde_str address, sonde_str *host, sonde_str *port)
{
    const char *colon = memrchr(address.ptr, ':', address.len);
    uint64_t number;

    if (!colon)
        return false;
    *host = str_sub(address, 0, (size_t)(colon - address.ptr));
    *port = str_sub(address, host->len + 1, address.len);
    if (host->len > 2 && host->ptr[0] == '[' && host->ptr[host->len - 1] == ']')
        *host = str_sub(*host, 1, host->len - 1);
    else if (str_index(*host, ':') < host->len)
        return false;
    return host->len > 0 && str_to_u64(*port, &number) && number <= 65535;
}

static sonde_code open_tcp(struct net_stream *s, sonde_str address,
                           sonde_msec deadline, struct sonde_err *err)
{
    struct addrinfo *list = NULL;
    sonde_str host, port;
    sonde_code rc;

    if (!address.len || !stream_split(address, &host, &port))
        return sonde_err_set(err, SONDE_EINVAL,
                             "connect to \"%s\": expected HOST:PORT, "
                             "[IPV6]:PORT or unix:PATH",
                             s->address);
    rc = resolve(host, port, deadline, &list, err);
    if (rc != SONDE_OK) {
        (void)sonde_err_prefix(err, "connect to %s", s->address);
        return rc;
    }
    rc = connect_any(s, list, deadline, err);
    resolve_free(list);
    return rc;
}

sonde_code net_stream_open(sonde_str address, sonde_msec deadline,
                           struct net_stream **out, struct sonde_err *err)
{
    struct net_stream *s = mem_new(struct net_stream);
    sonde_str prefix = SONDE_STR("unix:");
    sonde_code rc;

    s->fd = -1;
    s->address = mem_strdup(address);
    if (str_starts(address, prefix))
        rc = open_unix(s, str_sub(address, prefix.len, address.len), deadline,
                       err);
    else
        rc = open_tcp(s, address, deadline, err);
    if (rc != SONDE_OK) {
        net_stream_close(s);
        return rc;
    }
    *out = s;
    return SONDE_OK;
}

/* ---- reading and writing ----------------------------------------------- */

static sonde_code was_shut(const struct net_stream *s, const char *op,
                           struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ECANCELED, "%s %s: the stream was shut", op,
                         s->address);
}

sonde_code net_stream_write(struct net_stream *s, const void *data, size_t len,
                            sonde_msec deadline, struct sonde_err *err)
{
    const char *p = data;

    if (atomic_load(&s->shut))
        return was_shut(s, "write to", err);
    if (s->tls)
        return stream_tls_write(s, data, len, deadline, err);
    while (len > 0) {
        ssize_t n = send(s->fd, p, len, MSG_NOSIGNAL);
        sonde_code rc = SONDE_OK;

        if (n >= 0) {
            p += n;
            len -= (size_t)n;
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            rc = stream_await(s, POLLOUT, deadline, "write to", err);
        else if (errno != EINTR)
            rc = sys_err(err, "write to", s->address, errno);
        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

sonde_code net_stream_read(struct net_stream *s, void *data, size_t cap,
                           size_t *got, sonde_msec deadline,
                           struct sonde_err *err)
{
    if (atomic_load(&s->shut))
        return was_shut(s, "read from", err);
    if (s->tls)
        return stream_tls_read(s, data, cap, got, deadline, err);
    for (;;) {
        ssize_t n = recv(s->fd, data, cap, 0);
        sonde_code rc = SONDE_OK;

        if (n >= 0) {
            *got = (size_t)n;
            return SONDE_OK;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            rc = stream_await(s, POLLIN, deadline, "read from", err);
        else if (errno != EINTR)
            rc = sys_err(err, "read from", s->address, errno);
        if (rc != SONDE_OK)
            return rc;
    }
}

void net_stream_shut(struct net_stream *s)
{
    atomic_store(&s->shut, true);
    (void)shutdown(s->fd, SHUT_RDWR);
}

void net_stream_close(struct net_stream *s)
{
    if (!s)
        return;
    stream_tls_close(s);
    hang_up(s);
    free(s->address);
    free(s);
}
