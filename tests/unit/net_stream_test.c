/* SPDX-License-Identifier: Apache-2.0 */
/* net: byte streams and their deadlines. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/net.h"
#include "unit/net_peer.h"
#include "unit/tap.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/str.h"

static sonde_msec in_ms(sonde_msec ms)
{
    return clock_monotonic(&clock_system) + ms;
}

/* A listener; the test itself is the server. */
static int listen_on(const struct sockaddr *at, socklen_t len, int *port)
{
    struct sockaddr_storage got;
    socklen_t size = sizeof(got);
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, at, len) || listen(fd, 8) ||
        getsockname(fd, (struct sockaddr *)&got, &size)) {
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    /* The same place in v4 and v6. */
    *port = ntohs(((struct sockaddr_in *)&got)->sin_port);
    return fd;
}

static int listen_v4(int *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    return listen_on((struct sockaddr *)&at, sizeof(at), port);
}

static int listen_v6(int *port)
{
    struct sockaddr_in6 at = { .sin6_family = AF_INET6,
                               .sin6_addr = in6addr_loopback };

    return listen_on((struct sockaddr *)&at, sizeof(at), port);
}

/* Asks, is answered, sees the end. */
static void talk(int listener, sonde_str address)
{
    struct net_stream *s = NULL;
    struct sonde_err err = { 0 };
    char text[16] = "";
    size_t got = 0;
    int fd;

    CU_ASSERT_EQUAL_FATAL(net_stream_open(address, in_ms(60000), &s, &err),
                          SONDE_OK);
    fd = accept(listener, NULL, NULL);
    CU_ASSERT_EQUAL(net_stream_write(s, "ping", 4, in_ms(60000), &err), 0);
    CU_ASSERT_EQUAL(recv(fd, text, sizeof(text), 0), 4);
    CU_ASSERT_EQUAL(send(fd, "pong!", 5, MSG_NOSIGNAL), 5);
    CU_ASSERT_EQUAL(net_stream_read(s, text, 4, &got, in_ms(60000), &err), 0);
    CU_ASSERT_EQUAL(got, 4);
    CU_ASSERT_EQUAL(memcmp(text, "pong", 4), 0);
    (void)close(fd);
    CU_ASSERT_EQUAL(net_stream_read(s, text, 4, &got, in_ms(60000), &err), 0);
    CU_ASSERT_EQUAL(got, 1);
    CU_ASSERT_EQUAL(net_stream_read(s, text, 4, &got, in_ms(60000), &err), 0);
    CU_ASSERT_EQUAL(got, 0);
    net_stream_close(s);
}

static void test_tcp(void)
{
    static const char *const forms[] = { "127.0.0.1:%d", "localhost:%d" };
    struct arena a;
    int port = 0, fd = listen_v4(&port);

    arena_init(&a);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), i ? "localhost:%d" : "127.0.0.1:%d",
                       port);
        talk(fd, sonde_cstr(text));
    }
    (void)close(fd);
    arena_fini(&a);
}

static void test_v6(void)
{
    char text[64];
    int port = 0, fd = listen_v6(&port);

    if (fd < 0) {
        tap_note("no IPv6 on this machine");
        return;
    }
    (void)snprintf(text, sizeof(text), "[::1]:%d", port);
    talk(fd, sonde_cstr(text));
    (void)close(fd);
}

static void test_unix(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char text[200];
    int port, fd;

    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", tap_tmpdir());
    (void)snprintf(text, sizeof(text), "unix:%s", at.sun_path);
    fd = listen_on((struct sockaddr *)&at, sizeof(at), &port);
    CU_ASSERT_FATAL(fd >= 0);
    talk(fd, sonde_cstr(text));
    (void)close(fd);
}

static void test_bad_addresses(void)
{
    static const struct {
        int line;
        const char *address;
        sonde_code code;
        const char *error;
    } rows[] = {
        { __LINE__, "", SONDE_EINVAL, "expected HOST:PORT" },
        { __LINE__, "host", SONDE_EINVAL, "expected HOST:PORT" },
        { __LINE__, ":80", SONDE_EINVAL, "expected HOST:PORT" },
        { __LINE__, "host:", SONDE_EINVAL, "expected HOST:PORT" },
        { __LINE__, "::1:80", SONDE_EINVAL, "expected HOST:PORT" },
        { __LINE__, "h:65536", SONDE_EINVAL, "expected HOST:PORT" },
        { __LINE__, "h:http", SONDE_EINVAL, "expected HOST:PORT" },
        { __LINE__, "unix:", SONDE_EINVAL, "path of 1 to" },
        { __LINE__, "unix:/no/such/socket", SONDE_ECONNECT, "No such file" },
        { __LINE__, "name.invalid:80", SONDE_ENOTFOUND,
          "connect to name.invalid:80: lookup name.invalid: no such host" },
    };
    struct net_stream *s = NULL;
    char long_path[300];
    struct sonde_err err;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_code rc = net_stream_open(sonde_cstr(rows[i].address),
                                        in_ms(60000), &s, &err);

        if (rc != rows[i].code || !strstr(err.text, rows[i].error))
            tap_note("%s", err.text);
        ROW_ASSERT(&rows[i], rc == rows[i].code);
        ROW_ASSERT(&rows[i], strstr(err.text, rows[i].error));
    }
    memset(long_path, 'x', sizeof(long_path));
    memcpy(long_path, "unix:", 5);
    CU_ASSERT_EQUAL(
        net_stream_open((sonde_str){ long_path, 300 }, in_ms(60000), &s, &err),
        SONDE_EINVAL);
    net_stream_close(NULL);
}

static void test_refused(void)
{
    struct net_stream *s = NULL;
    struct sonde_err err;
    char text[64];

    (void)snprintf(text, sizeof(text), "127.0.0.1:%d", peer_free_port());
    CU_ASSERT_EQUAL(net_stream_open(sonde_cstr(text), in_ms(60000), &s, &err),
                    SONDE_ECONNECT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "Connection refused"));
}

static void test_deadlines(void)
{
    static char block[1 << 16];
    struct net_stream *s = NULL;
    struct sonde_err err;
    char text[64];
    size_t got;
    int port = 0, fd = listen_v4(&port);
    sonde_code rc = SONDE_OK;

    (void)snprintf(text, sizeof(text), "127.0.0.1:%d", port);
    CU_ASSERT_EQUAL_FATAL(
        net_stream_open(sonde_cstr(text), in_ms(60000), &s, &err), SONDE_OK);
    CU_ASSERT_EQUAL(net_stream_read(s, block, 1, &got, in_ms(20), &err),
                    SONDE_ETIMEOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "read from 127.0.0.1:"));
    /* A deadline that has passed fails at once, but takes what is there. */
    CU_ASSERT_EQUAL(net_stream_read(s, block, 1, &got, in_ms(-5), &err),
                    SONDE_ETIMEOUT);
    /* Nobody reads: the buffers fill up. */
    for (int i = 0; i < 10000 && rc == SONDE_OK; i++)
        rc = net_stream_write(s, block, sizeof(block), in_ms(20), &err);
    CU_ASSERT_EQUAL(rc, SONDE_ETIMEOUT);
    net_stream_close(s);
    (void)close(fd);
}

/* A listener with a full backlog lets connects wait. */
static void test_connect_deadline(void)
{
    struct net_stream *open[300] = { 0 };
    struct sonde_err err = { 0 };
    char text[64];
    size_t n = 0;
    int port = 0, fd = listen_v4(&port);
    sonde_code rc = SONDE_OK;

    (void)listen(fd, 0);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%d", port);
    while (rc == SONDE_OK && n < 300) {
        rc = net_stream_open(sonde_cstr(text), in_ms(50), &open[n], &err);
        n += rc == SONDE_OK;
    }
    CU_ASSERT_EQUAL(rc, SONDE_ETIMEOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "connect to 127.0.0.1"));
    while (n > 0)
        net_stream_close(open[--n]);
    (void)close(fd);
}

/* ---- a name server that does not answer --------------------------------- */

static sem_t resolver_may_go;
static sem_t resolver_gone;

/* Stands before libc's for the whole program. */
SONDE_EXPORT int getaddrinfo(const char *restrict node,
                             const char *restrict service,
                             const struct addrinfo *restrict hints,
                             struct addrinfo **restrict res)
{
    typedef int lookup_fn(const char *, const char *, const struct addrinfo *,
                          struct addrinfo **);
    lookup_fn *next = (lookup_fn *)(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");

    if (node && !strcmp(node, "slow.test") &&
        !(hints->ai_flags & AI_NUMERICHOST)) {
        (void)sem_wait(&resolver_may_go);
        (void)sem_post(&resolver_gone);
        return EAI_AGAIN;
    }
    return next(node, service, hints, res);
}

static void test_slow_lookup(void)
{
    struct net_stream *s = NULL;
    struct sonde_err err;

    (void)sem_init(&resolver_may_go, 0, 0);
    (void)sem_init(&resolver_gone, 0, 0);
    CU_ASSERT_EQUAL(
        net_stream_open(SONDE_STR("slow.test:80"), in_ms(30), &s, &err),
        SONDE_ETIMEOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "lookup slow.test"));
    (void)sem_post(&resolver_may_go);
    (void)sem_wait(&resolver_gone);
    (void)sem_post(&resolver_may_go);
    CU_ASSERT_EQUAL(
        net_stream_open(SONDE_STR("slow.test:80"), in_ms(60000), &s, &err),
        SONDE_ECONNECT);
}

static const struct tap_test tests[] = {
    { "TCP by number and name", test_tcp },
    { "TCP over IPv6", test_v6 },
    { "unix sockets", test_unix },
    { "bad addresses", test_bad_addresses },
    { "a refused connection", test_refused },
    { "reads and writes have deadlines", test_deadlines },
    { "connecting has a deadline", test_connect_deadline },
    { "looking up has a deadline", test_slow_lookup },
};

int main(void)
{
    return TAP_RUN("net stream", tests);
}
