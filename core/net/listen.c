/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From "host:port" to a socket that listens. An empty host means every
 * address: one IPv6 socket that takes IPv4 as well, or an IPv4 one on
 * machines without IPv6. A name that has addresses of both families is bound
 * on its IPv4 address, as Prometheus does. SO_REUSEADDR lets a restart take
 * the port over while old connections still linger. Errors name the address
 * and what to do, because a port in use is the commonest failed start.
 */
#include "net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/str.h"

#define LISTEN_BACKLOG 512

struct endpoint {
    char host[256];
    char port[8];
};

static sonde_code address_error(const char *address, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EINVAL,
                         "listen on \"%s\": expected HOST:PORT, :PORT or "
                         "[IPV6]:PORT with a port from 0 to 65535",
                         address);
}

static sonde_code address_split(const char *address, struct endpoint *e,
                                struct sonde_err *err)
{
    sonde_str s = sonde_cstr(address);
    const char *colon = strrchr(address, ':');
    sonde_str host, port;
    uint64_t n;

    if (!colon)
        return address_error(address, err);
    host = str_sub(s, 0, (size_t)(colon - address));
    port = str_sub(s, host.len + 1, s.len);
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_sub(host, 1, host.len - 1);
    else if (str_index(host, ':') < host.len)
        return address_error(address, err);
    if (!str_to_u64(port, &n) || n > 65535 || host.len >= sizeof(e->host))
        return address_error(address, err);
    (void)snprintf(e->host, sizeof(e->host), "%.*s", SONDE_ARG(host));
    (void)snprintf(e->port, sizeof(e->port), "%u", (unsigned)n);
    return SONDE_OK;
}

static sonde_code listen_error(const char *address, int errnum, const char *op,
                               struct sonde_err *err)
{
    switch (errnum) {
    case EADDRINUSE:
        return sonde_err_set(
            err, SONDE_EEXIST,
            "listen on %s: the port is in use by another process (another "
            "sonde, or a Prometheus?); stop that one, or choose another "
            "port with --web.listen-address",
            address);
    case EACCES:
        return sonde_err_set(err, SONDE_EACCESS,
                             "listen on %s: no permission; ports below 1024 "
                             "need CAP_NET_BIND_SERVICE, or choose another "
                             "port with --web.listen-address",
                             address);
    case EADDRNOTAVAIL:
        return sonde_err_set(err, SONDE_EINVAL,
                             "listen on %s: this machine does not have that "
                             "address; use one of its own, or :PORT for all",
                             address);
    default:
        return sonde_err_set(err, SONDE_EIO, "listen on %s: %s: %s", address,
                             op, strerror(errnum));
    }
}

static int bind_one(const struct addrinfo *ai, const char **op)
{
    int one = 1, zero = 0;
    int fd =
        socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int saved;

    *op = "socket";
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    *op = "bind";
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0) {
        *op = "listen";
        if (listen(fd, LISTEN_BACKLOG) == 0)
            return fd;
    }
    saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* The first address of `family` that can be had; -1 with errno else, errno
 * 0 if there is no such address. */
static int bind_family(const struct addrinfo *list, int family, const char **op)
{
    int fd = -1;

    errno = 0;
    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
        if (ai->ai_family == family)
            fd = bind_one(ai, op);
    return fd;
}

static int port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } sa = { 0 };
    socklen_t len = sizeof(sa);

    if (getsockname(fd, &sa.any, &len) != 0)
        return 0;
    return ntohs(sa.any.sa_family == AF_INET6 ? sa.v6.sin6_port
                                              : sa.v4.sin_port);
}

sonde_code net_listen(const char *address, int *fd, int *port,
                      struct sonde_err *err)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    struct endpoint e = { 0 };
    const char *op = "resolve";
    sonde_code rc = address_split(address, &e, err);
    bool any;
    int gai;

    *fd = -1;
    if (rc != SONDE_OK)
        return rc;
    any = e.host[0] == '\0';
    gai = getaddrinfo(any ? NULL : e.host, e.port, &hints, &list);
    if (gai != 0)
        return sonde_err_set(err, SONDE_EINVAL, "listen on %s: %s: %s", address,
                             e.host, gai_strerror(gai));
    *fd = bind_family(list, any ? AF_INET6 : AF_INET, &op);
    if (*fd < 0 && errno != EADDRINUSE && errno != EACCES) {
        int first = errno;

        *fd = bind_family(list, any ? AF_INET : AF_INET6, &op);
        if (*fd < 0 && errno == 0)
            errno = first;
    }
    freeaddrinfo(list);
    if (*fd < 0)
        return listen_error(address, errno, op, err);
    *port = port_of(*fd);
    return SONDE_OK;
}
