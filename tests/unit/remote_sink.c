/* SPDX-License-Identifier: Apache-2.0 */
/* See remote_sink.h. The accepting thread is the only one that adds
 * connections; each reader owns its socket until it is stopped. */
#include "unit/remote_sink.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <snappy-c.h>

#include "unit/tap.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

#define WAIT_MS 60000

static uint64_t hash_of(sonde_str s)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * UINT64_C(1099511628211);
    return h;
}

/* ---- protocol buffers ------------------------------------------------- */

struct field {
    uint64_t number;
    uint64_t num; /* varint or fixed64 */
    sonde_str bytes;
};

static bool next_field(struct reader *r, struct field *f)
{
    uint64_t tag;

    if (!reader_left(r))
        return false;
    tag = reader_uvarint(r);
    *f = (struct field){ .number = tag >> 3 };
    switch (tag & 7) {
    case 0:
        f->num = reader_uvarint(r);
        break;
    case 1:
        f->bytes = reader_bytes(r, 8);
        if (f->bytes.len)
            memcpy(&f->num, f->bytes.ptr, 8); /* little-endian machine */
        break;
    case 2:
        f->bytes = reader_uvarint_str(r);
        break;
    default:
        r->failed = true;
    }
    return !r->failed;
}

static void read_label(struct buf *text, sonde_str bytes, uint64_t *series)
{
    struct reader r = reader_of(bytes);
    sonde_str name = { 0 }, value = { 0 };
    struct field f;

    while (next_field(&r, &f)) {
        if (f.number == 1)
            name = f.bytes;
        else if (f.number == 2)
            value = f.bytes;
    }
    buf_printf(text, "%.*s=%.*s,", SONDE_ARG(name), SONDE_ARG(value));
    if (str_eq_cstr(name, "i"))
        (void)str_to_u64(value, series);
}

static void read_sample(struct sink *s, sonde_str bytes, uint64_t series,
                        bool store)
{
    struct reader r = reader_of(bytes);
    struct field f;
    int64_t t = 0;

    if (!store)
        return;
    while (next_field(&r, &f)) {
        if (f.number == 1)
            s->last_bits = f.num;
        else if (f.number == 2)
            t = (int64_t)f.num;
    }
    s->malformed += r.failed || series >= SINK_SERIES;
    if (series < SINK_SERIES && s->next[series] != t)
        s->wrong++;
    else if (series < SINK_SERIES)
        s->next[series]++;
    s->samples++;
}

static size_t read_series(struct sink *s, sonde_str bytes, bool store,
                          uint64_t *series)
{
    struct reader r = reader_of(bytes);
    struct field f;
    size_t samples = 0;

    *series = 0;
    buf_reset(&s->labels);
    while (next_field(&r, &f)) {
        if (f.number == 1)
            read_label(&s->labels, f.bytes, series);
        else if (f.number == 2)
            read_sample(s, f.bytes, *series, store);
        samples += f.number == 2;
    }
    s->malformed += r.failed;
    return samples;
}

static void read_message(struct sink *s, struct sink_request *q, bool store)
{
    struct reader r = reader_of(q->message);
    struct field f;
    uint64_t series;

    q->samples = q->metadata = 0;
    while (next_field(&r, &f)) {
        if (f.number == 1) {
            q->samples += read_series(s, f.bytes, store, &series);
            if (!q->first_series)
                q->first_series = series;
        }
        q->metadata += f.number == 3;
    }
    s->malformed += r.failed;
    s->metadata += store ? q->metadata : 0;
}

/* ---- http ------------------------------------------------------------- */

static bool read_more(int fd, struct buf *b)
{
    char *at = buf_reserve(b, 65536);
    ssize_t n = recv(fd, at, 65536, 0);

    if (n <= 0)
        return false;
    buf_added(b, (size_t)n);
    return true;
}

static bool find_header(sonde_str head, const char *name, sonde_str *out)
{
    sonde_str line;

    while (str_split(&head, '\n', &line)) {
        size_t colon = str_index(line, ':');

        if (!str_eq_nocase(str_sub(line, 0, colon), sonde_cstr(name)))
            continue;
        *out = str_trim(str_sub(line, colon + 1, line.len));
        return true;
    }
    return false;
}

/* One request, whole, at the beginning of `in`. */
static bool read_request(int fd, struct buf *in, size_t *head, size_t *body)
{
    sonde_str value;
    uint64_t len = 0;
    char *end;

    while (!in->len || !(end = memmem(in->data, in->len, "\r\n\r\n", 4)))
        if (!read_more(fd, in))
            return false;
    *head = (size_t)(end - in->data) + 4;
    if (!find_header((sonde_str){ in->data, *head }, "content-length",
                     &value) ||
        !str_to_u64(value, &len))
        return false;
    *body = (size_t)len;
    while (in->len < *head + *body)
        if (!read_more(fd, in))
            return false;
    return true;
}

static int judge(struct sink *s, sonde_str head, sonde_str body)
{
    size_t len = 0;
    struct sink_request q = { .head = head };
    char *message;
    int status;

    (void)snappy_uncompressed_length(body.ptr, body.len, &len);
    message = mem_alloc(len + 1);
    (void)pthread_mutex_lock(&s->lock);
    if (snappy_uncompress(body.ptr, body.len, message, &len) != SNAPPY_OK)
        s->malformed++;
    q.message = (sonde_str){ message, len };
    q.hash = hash_of(q.message);
    q.nth = s->requests++;
    if (q.nth < 64)
        s->hashes[q.nth] = q.hash;
    read_message(s, &q, false);
    status = s->answer ? s->answer(s->arg, &q) : 204;
    if (status >= 200 && status <= 299)
        read_message(s, &q, true);
    s->hanging += status == SINK_HANG;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    free(message);
    return status;
}

static bool reply(struct sink *s, int fd, int status)
{
    struct buf b = { 0 };
    bool ok;

    buf_printf(&b, "HTTP/1.1 %d x\r\nContent-Length: 3\r\n%.*s\r\nwhy",
               status == 204 ? 200 : status,
               SONDE_ARG(buf_str(&s->reply_headers)));
    ok = send(fd, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len;
    buf_fini(&b);
    return ok;
}

struct reading {
    struct sink *sink;
    int fd;
};

static void serve(struct sink *s, int fd, struct buf *in)
{
    size_t head, body;

    while (read_request(fd, in, &head, &body)) {
        int status = judge(s, (sonde_str){ in->data, head },
                           (sonde_str){ in->data + head, body });

        memmove(in->data, in->data + head + body, in->len - head - body);
        in->len -= head + body;
        if (status == SINK_CLOSE)
            return;
        while (status == SINK_HANG)
            if (!read_more(fd, in))
                return;
        if (!reply(s, fd, status))
            return;
    }
}

static void *reader_main(void *arg)
{
    struct reading *r = arg;
    struct buf in = { 0 };

    serve(r->sink, r->fd, &in);
    (void)shutdown(r->fd, SHUT_RDWR);
    buf_fini(&in);
    free(r);
    return NULL;
}

static void *accept_main(void *arg)
{
    struct sink *s = arg;

    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        struct reading *r;

        if (fd < 0 || s->connection_count == SINK_CONNECTIONS)
            return NULL;
        r = mem_new(struct reading);
        *r = (struct reading){ s, fd };
        s->connections[s->connection_count] = fd;
        if (pthread_create(&s->readers[s->connection_count], NULL, reader_main,
                           r))
            abort();
        s->connection_count++;
    }
}

void sink_start(struct sink *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(at);
    pthread_condattr_t attr;

    memset(s, 0, sizeof(*s));
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, len) != 0 ||
        listen(s->fd, 64) != 0 ||
        getsockname(s->fd, (struct sockaddr *)&at, &len) != 0 ||
        pthread_create(&s->thread, NULL, accept_main, s))
        abort();
    s->port = ntohs(at.sin_port);
}

void sink_stop(struct sink *s)
{
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->connection_count; i++) {
        (void)shutdown(s->connections[i], SHUT_RDWR);
        (void)pthread_join(s->readers[i], NULL);
        (void)close(s->connections[i]);
    }
    (void)close(s->fd);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    buf_fini(&s->labels);
    buf_fini(&s->reply_headers);
}

void sink_script(struct sink *s,
                 int (*answer)(void *arg, const struct sink_request *r),
                 void *arg)
{
    (void)pthread_mutex_lock(&s->lock);
    s->answer = answer;
    s->arg = arg;
    (void)pthread_mutex_unlock(&s->lock);
}

bool sink_wait(struct sink *s, const size_t *counter, size_t n)
{
    struct timespec until =
        clock_timespec(clock_monotonic(&clock_system) + WAIT_MS);
    bool there;

    (void)pthread_mutex_lock(&s->lock);
    while (*counter < n &&
           pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    there = *counter >= n;
    if (!there)
        tap_note("waited for %zu, there are %zu (%zu requests)", n, *counter,
                 s->requests);
    (void)pthread_mutex_unlock(&s->lock);
    return there;
}

size_t sink_count(struct sink *s, const size_t *counter)
{
    size_t n;

    (void)pthread_mutex_lock(&s->lock);
    n = *counter;
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}
