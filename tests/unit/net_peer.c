/* SPDX-License-Identifier: Apache-2.0 */
/* See net_peer.h. Any failure of the peer itself aborts the test program. */
#include "unit/net_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/str.h"

#define MUST(cond)                                                             \
    do {                                                                       \
        if (!(cond)) {                                                         \
            perror(#cond);                                                     \
            abort();                                                           \
        }                                                                      \
    } while (0)

struct connection {
    struct peer *peer;
    int fd;
};

/* Readable before the peer stops? */
static bool readable(struct peer *p, int fd)
{
    struct pollfd set[2] = { { .fd = fd, .events = POLLIN },
                             { .fd = p->stop_pipe[0], .events = POLLIN } };

    while (poll(set, 2, -1) < 0)
        ;
    return set[1].revents == 0;
}

bool peer_send(struct peer_request *r, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        struct pollfd set[2] = { { .fd = r->fd, .events = POLLOUT },
                                 { .fd = r->peer->stop_pipe[0],
                                   .events = POLLIN } };
        ssize_t n = send(r->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            while (poll(set, 2, -1) < 0)
                ;
            if (set[1].revents || (set[0].revents & (POLLERR | POLLHUP)))
                return false;
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool peer_sends(struct peer_request *r, const char *text)
{
    return peer_send(r, text, strlen(text));
}

bool peer_ok(struct peer_request *r, sonde_str body)
{
    char head[128];

    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body.len);
    return peer_sends(r, head) && peer_send(r, body.ptr, body.len);
}

void peer_hang(struct peer_request *r)
{
    char byte;

    while (readable(r->peer, r->fd) && recv(r->fd, &byte, 1, 0) > 0)
        ;
}

sonde_str peer_header(const struct peer_request *r, const char *name)
{
    sonde_str rest = r->head, line;

    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_index(line, ':');

        if (str_eq_nocase(str_sub(line, 0, colon), sonde_cstr(name)))
            return str_trim(str_sub(line, colon + 1, line.len));
    }
    return SONDE_STR("");
}

/* Where the head ends in what has come, or 0. */
static size_t head_end(const struct buf *in)
{
    const char *at = in->len ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;

    return at ? (size_t)(at - in->data) + 4 : 0;
}

static bool fill(struct connection *c, struct buf *in)
{
    ssize_t n;

    if (!readable(c->peer, c->fd))
        return false;
    n = recv(c->fd, buf_reserve(in, 4096), 4096, 0);
    if (n > 0)
        buf_added(in, (size_t)n);
    return n > 0;
}

static bool read_request(struct connection *c, struct buf *in,
                         struct peer_request *r)
{
    uint64_t body = 0;
    size_t end;

    while ((end = head_end(in)) == 0)
        if (!fill(c, in))
            return false;
    r->head = (sonde_str){ in->data, end };
    (void)str_to_u64(peer_header(r, "Content-Length"), &body);
    while (in->len < end + body)
        if (!fill(c, in))
            return false;
    r->head = (sonde_str){ in->data, end };
    r->body = (sonde_str){ in->data + end, (size_t)body };
    MUST(sscanf(in->data, "%15s %255s", r->method, r->path) == 2);
    return true;
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    struct peer *p = c->peer;
    struct peer_request r = { .peer = p, .fd = c->fd };
    struct buf in;
    bool more = true;

    buf_init(&in);
    while (more && read_request(c, &in, &r)) {
        (void)pthread_mutex_lock(&p->mutex);
        p->requests++;
        (void)pthread_cond_broadcast(&p->changed);
        (void)pthread_mutex_unlock(&p->mutex);
        more = p->answer(&r);
        r.number++;
        buf_reset(&in);
    }
    (void)close(c->fd);
    (void)pthread_mutex_lock(&p->mutex);
    p->closed++;
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->mutex);
    buf_fini(&in);
    free(c);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct peer *p = arg;

    while (readable(p, p->listener)) {
        struct connection *c = calloc(1, sizeof(*c));
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

        MUST(c && fd >= 0 && p->connections < PEER_CONNECTIONS_MAX);
        *c = (struct connection){ p, fd };
        (void)pthread_mutex_lock(&p->mutex);
        MUST(pthread_create(&p->workers[p->connections++], NULL, serve, c) ==
             0);
        (void)pthread_mutex_unlock(&p->mutex);
    }
    return NULL;
}

static int listen_loopback(int *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
         getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static int bind_unix(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(strlen(path) < sizeof(at.sun_path));
    memcpy(at.sun_path, path, strlen(path));
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    return fd;
}

static void start_on(struct peer *p, int listener, peer_fn *answer, void *arg)
{
    p->answer = answer;
    p->arg = arg;
    p->listener = listener;
    MUST(listen(p->listener, 1024) == 0 && pipe(p->stop_pipe) == 0);
    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_cond_init(&p->changed, NULL);
    MUST(pthread_create(&p->thread, NULL, accept_all, p) == 0);
}

void peer_start(struct peer *p, peer_fn *answer, void *arg)
{
    memset(p, 0, sizeof(*p));
    start_on(p, listen_loopback(&p->port), answer, arg);
}

void peer_start_unix(struct peer *p, const char *path, peer_fn *answer,
                     void *arg)
{
    memset(p, 0, sizeof(*p));
    start_on(p, bind_unix(path), answer, arg);
}

void peer_stop(struct peer *p)
{
    MUST(write(p->stop_pipe[1], "x", 1) == 1);
    (void)pthread_join(p->thread, NULL);
    for (size_t i = 0; i < p->connections; i++)
        (void)pthread_join(p->workers[i], NULL);
    (void)close(p->listener);
    (void)close(p->stop_pipe[0]);
    (void)close(p->stop_pipe[1]);
    (void)pthread_cond_destroy(&p->changed);
    (void)pthread_mutex_destroy(&p->mutex);
}

size_t peer_connections(struct peer *p)
{
    size_t n;

    (void)pthread_mutex_lock(&p->mutex);
    n = p->connections;
    (void)pthread_mutex_unlock(&p->mutex);
    return n;
}

void peer_await_closed(struct peer *p, size_t n)
{
    (void)pthread_mutex_lock(&p->mutex);
    while (p->closed < n)
        (void)pthread_cond_wait(&p->changed, &p->mutex);
    (void)pthread_mutex_unlock(&p->mutex);
}

void peer_await_requests(struct peer *p, size_t n)
{
    (void)pthread_mutex_lock(&p->mutex);
    while (p->requests < n)
        (void)pthread_cond_wait(&p->changed, &p->mutex);
    (void)pthread_mutex_unlock(&p->mutex);
}

int peer_free_port(void)
{
    int port, fd = listen_loopback(&port);

    (void)close(fd);
    return port;
}
