/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake host's streams: a script that plays the target, or real sockets
 * when there is none. Include <sonde/testing.h>.
 */
#ifndef SONDE_TESTING_STREAM_H
#define SONDE_TESTING_STREAM_H

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <sonde/testing_fake.h>

/* ---- streams: the script ------------------------------------------------- */

static inline const struct sonde_fake_step *
sonde_fake_next(struct sonde_fake *f)
{
    return f->step < f->step_count ? &f->steps[f->step] : NULL;
}

static inline sonde_code sonde_fake_expect(struct sonde_fake *f, sonde_str want,
                                           struct sonde_err *err)
{
    size_t left = f->written.len - f->expected;
    const char *got = sonde_fake_cstr(&f->written) + f->expected;

    if (left < want.len || memcmp(got, want.ptr, want.len) != 0) {
        (void)sonde_err_set(&f->err, SONDE_EPROTO,
                            "script step %zu: expected \"%.*s\", got \"%s\"",
                            f->step, SONDE_ARG(want), got);
        return sonde_err_set(err, SONDE_EPROTO, "%s", f->err.text);
    }
    f->expected += want.len;
    return SONDE_OK;
}

static inline sonde_code
sonde_fake_script_read(struct sonde_fake *f, void *data, size_t cap,
                       size_t *got, sonde_msec deadline, struct sonde_err *err)
{
    const struct sonde_fake_step *s;
    sonde_code rc;

    while ((s = sonde_fake_next(f)) && s->kind != SONDE_FAKE_SEND) {
        if (s->kind == SONDE_FAKE_CONNECT || s->kind == SONDE_FAKE_REFUSE ||
            s->kind == SONDE_FAKE_STALL)
            break;
        f->step++;
        if (s->kind == SONDE_FAKE_END)
            return SONDE_OK;
        if (s->kind == SONDE_FAKE_RESET)
            return sonde_err_set(err, SONDE_EIO,
                                 "read: Connection reset by peer");
        rc = s->kind == SONDE_FAKE_EXPECT ? sonde_fake_expect(f, s->bytes, err)
                                          : SONDE_OK;
        if (rc != SONDE_OK)
            return rc;
    }
    if (!s || s->kind != SONDE_FAKE_SEND) {
        f->step += s && s->kind == SONDE_FAKE_STALL;
        if (deadline > f->monotonic_ms)
            sonde_fake_advance(f, deadline - f->monotonic_ms);
        return sonde_err_set(err, SONDE_ETIMEOUT, "read: deadline exceeded");
    }
    if (s->chunk && cap > s->chunk)
        cap = s->chunk;
    if (cap > s->bytes.len - f->sent)
        cap = s->bytes.len - f->sent;
    memcpy(data, s->bytes.ptr + f->sent, cap);
    *got = cap;
    f->sent += cap;
    if (f->sent == s->bytes.len) {
        f->sent = 0;
        f->step++;
        f->expected = f->written.len;
    }
    return SONDE_OK;
}

/* ---- streams: sockets ---------------------------------------------------- */

static inline sonde_code sonde_fake_wait(int fd, short events,
                                         sonde_msec deadline,
                                         struct sonde_err *err)
{
    struct pollfd p = { .fd = fd, .events = events };
    sonde_msec left = deadline - sonde_fake_clock(CLOCK_MONOTONIC);

    if (left > 0 && poll(&p, 1, left > 60000 ? 60000 : (int)left) > 0)
        return SONDE_OK;
    return sonde_err_set(err, SONDE_ETIMEOUT, "deadline exceeded");
}

static inline int sonde_fake_dial(sonde_str address)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai = NULL;
    char host[256], *port;
    int fd;

    (void)snprintf(host, sizeof(host), "%.*s", SONDE_ARG(address));
    if (strncmp(host, "unix:", 5) == 0) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        (void)snprintf(un.sun_path, sizeof(un.sun_path), "%.100s", host + 5);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
            return fd;
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    port = strrchr(host, ':');
    if (!port)
        return -1;
    *port++ = '\0';
    if (host[0] == '[' && port - host >= 3 && port[-2] == ']')
        port[-2] = '\0';
    if (getaddrinfo(host[0] == '[' ? host + 1 : host, port, &hints, &ai) != 0)
        return -1;
    fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
        (void)close(fd);
        fd = -1;
    }
    freeaddrinfo(ai);
    return fd;
}

static inline sonde_code sonde_fake_stream_open(const struct sonde_target *t,
                                                sonde_str address,
                                                sonde_msec deadline,
                                                struct sonde_stream **out,
                                                struct sonde_err *err)
{
    struct sonde_fake *f = sonde_fake_current();
    const struct sonde_fake_step *s = sonde_fake_next(f);
    int fd = -1;

    (void)t;
    (void)deadline;
    if (s && s->kind == SONDE_FAKE_CONNECT)
        f->step++;
    if (s && s->kind == SONDE_FAKE_REFUSE) {
        f->step++;
        return sonde_err_set(err, SONDE_ECONNECT,
                             "connect to %.*s: Connection refused",
                             SONDE_ARG(address));
    }
    if (!f->steps && (fd = sonde_fake_dial(address)) < 0)
        return sonde_err_set(err, SONDE_ECONNECT, "connect to %.*s: %s",
                             SONDE_ARG(address), strerror(errno));
    *out = (struct sonde_stream *)calloc(1, sizeof(**out));
    if (!*out)
        abort();
    (*out)->fd = fd;
    sonde_fake_lock();
    f->opened++;
    sonde_fake_unlock();
    return SONDE_OK;
}

static inline void sonde_fake_copy(char *to, size_t cap, sonde_str s)
{
    (void)snprintf(to, cap, "%.*s", SONDE_ARG(s));
}

/* No TLS is spoken: the settings are recorded, the rest is as without. */
static inline sonde_code
sonde_fake_stream_open_tls(const struct sonde_target *t, sonde_str address,
                           const struct sonde_tls *tls, sonde_msec deadline,
                           struct sonde_stream **out, struct sonde_err *err)
{
    struct sonde_fake_tls *to = &sonde_fake_current()->tls;

    if (tls) {
        sonde_fake_lock();
        to->opened++;
        sonde_fake_copy(to->ca_file, sizeof(to->ca_file), tls->ca_file);
        sonde_fake_copy(to->cert_file, sizeof(to->cert_file), tls->cert_file);
        sonde_fake_copy(to->key_file, sizeof(to->key_file), tls->key_file);
        sonde_fake_copy(to->server_name, sizeof(to->server_name),
                        tls->server_name);
        to->insecure = tls->insecure;
        sonde_fake_unlock();
    }
    return sonde_fake_stream_open(t, address, deadline, out, err);
}

static inline void sonde_fake_stream_shut(struct sonde_stream *s)
{
    __atomic_store_n(&s->shut, 1, __ATOMIC_RELEASE);
    if (s->fd >= 0)
        (void)shutdown(s->fd, SHUT_RDWR);
}

static inline bool sonde_fake_is_shut(const struct sonde_stream *s)
{
    return __atomic_load_n(&s->shut, __ATOMIC_ACQUIRE) != 0;
}

static inline sonde_code sonde_fake_stream_write(struct sonde_stream *s,
                                                 const void *data, size_t len,
                                                 sonde_msec deadline,
                                                 struct sonde_err *err)
{
    struct sonde_fake *f = sonde_fake_current();
    const struct sonde_fake_step *step = sonde_fake_next(f);
    const char *p = (const char *)data;
    sonde_code rc;

    if (sonde_fake_is_shut(s))
        return sonde_err_set(err, SONDE_ECANCELED,
                             "write: the stream was shut");
    if (step && step->kind == SONDE_FAKE_RESET) {
        f->step++;
        return sonde_err_set(err, SONDE_EIO, "write: Broken pipe");
    }
    sonde_fake_lock();
    sonde_fake_add(&f->written, data, len);
    sonde_fake_unlock();
    while (s->fd >= 0 && len) {
        ssize_t n;

        rc = sonde_fake_wait(s->fd, POLLOUT, deadline, err);
        if (rc != SONDE_OK)
            return rc;
        n = send(s->fd, p, len, MSG_NOSIGNAL);
        if (n < 0)
            return sonde_err_set(err, SONDE_EIO, "write: %s", strerror(errno));
        p += n;
        len -= (size_t)n;
    }
    return SONDE_OK;
}

static inline sonde_code
sonde_fake_stream_read(struct sonde_stream *s, void *data, size_t cap,
                       size_t *got, sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc;
    ssize_t n;

    *got = 0;
    if (sonde_fake_is_shut(s))
        return SONDE_OK;
    if (s->fd < 0)
        return sonde_fake_script_read(sonde_fake_current(), data, cap, got,
                                      deadline, err);
    rc = sonde_fake_wait(s->fd, POLLIN, deadline, err);
    if (rc != SONDE_OK)
        return rc;
    n = recv(s->fd, data, cap, 0);
    if (n < 0)
        return sonde_err_set(err, SONDE_EIO, "read: %s", strerror(errno));
    *got = (size_t)n;
    return SONDE_OK;
}

static inline void sonde_fake_stream_close(struct sonde_stream *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        (void)close(s->fd);
    sonde_fake_lock();
    sonde_fake_current()->closed++;
    sonde_fake_unlock();
    free(s);
}

#endif
