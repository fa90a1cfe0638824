/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sender of remote writes, to compare those who receive: N series of
 * generated counters, gauges and histogram buckets with about nine labels
 * each, one sample a series and step, as a scraping sender does. The series are
 * divided among `--families` names.
 *
 * Each connection is a thread with a part of the series, and sends them in
 * order, `--batch` samples a request, one request at a time. With `--prebuild`
 * all bodies are made before the first is sent, so that what is measured is
 * hardly more than the receiver's work; without, each is made when it is
 * due, for runs that are larger than the memory; then the connections begin
 * each step together, so that none gets hours ahead in the data's time. An
 * answer other than 2xx is counted; 5xx and 429 are sent again after a pause.
 *
 * Prints one JSON object: samples, seconds, its own processor time while
 * sending, bytes sent, and answers by class.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "remote/encode.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

#define LABELS       9
#define FAMILIES     40
#define TRIES_MAX    1000
#define ANSWER_BYTES 8192
#define RETRY_USEC   100000
#define NAME_BYTES   160

struct settings {
    const char *host, *port, *path;
    size_t series, steps, batch, connections, families;
    sonde_msec start, every;
    int version;
    bool prebuild;
};

struct series {
    struct buf labels; /* encoded: 1.0                                    */
    uint32_t refs[2 * LABELS];
    uint64_t count, pace;
    uint8_t kind; /* 0, 1 counter; 2 seconds; 3 gauge                       */
};

struct body {
    char *data;
    size_t len;
    uint32_t samples;
};

struct sender {
    const struct settings *set;
    pthread_t thread;
    size_t from, to; /* its series                                        */
    struct series *series;
    struct buf *symbols; /* encoded, of each request of a step: 2.0         */
    struct body *bodies;
    size_t body_count;
    uint64_t random;
    int fd;
    uint64_t samples, bytes, refused, retried;
};

static _Atomic bool started;
static pthread_barrier_t step_begins;

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "remote_write_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- series ------------------------------------------------------------ */

static const char *const label_names[LABELS] = {
    "__name__", "cluster", "code",      "handler", "instance",
    "job",      "method",  "namespace", "pod"
};

static void label_values(size_t i, size_t families,
                         char out[LABELS][NAME_BYTES])
{
    static const char *const methods[] = { "GET", "POST", "PUT", "DELETE" };
    size_t family = i % families, rest = i / families;
    size_t code = rest % 5, handler = rest / 5 % 10, pod = rest / 50;

    (void)snprintf(out[0], NAME_BYTES, "service_%02zu_http_%s_total", family,
                   family % 2 ? "request_duration_seconds" : "requests");
    (void)snprintf(out[1], NAME_BYTES, "production-eu-west-1");
    (void)snprintf(out[2], NAME_BYTES, "%zu", 200 + 100 * code);
    (void)snprintf(out[3], NAME_BYTES, "/api/v1/resource/%zu/items", handler);
    (void)snprintf(out[4], NAME_BYTES, "10.42.%zu.%zu:9100", pod / 250,
                   pod % 250);
    (void)snprintf(out[5], NAME_BYTES, "kubernetes-pods");
    (void)snprintf(out[6], NAME_BYTES, "%s", methods[handler % 4]);
    (void)snprintf(out[7], NAME_BYTES, "team-%zu", pod % 7);
    (void)snprintf(out[8], NAME_BYTES, "backend-7d9c5b6f4-%05zu", pod);
}

static void put_symbol(struct buf *b, sonde_str s)
{
    buf_u8(b, 4 << 3 | 2);
    buf_uvarint_str(b, s);
}

/* Each request has its symbols: a value is looked for among the last few only,
 * which finds those that neighbours share. */
static uint32_t symbol_of(struct buf *out, sonde_str text, uint32_t *n,
                          sonde_str *known, size_t known_max)
{
    for (size_t i = 0; i < known_max && i < *n; i++)
        if (sonde_str_eq(known[(*n - 1 - i) % known_max], text))
            return *n - 1 - (uint32_t)i;
    known[*n % known_max] = (sonde_str){ mem_strdup(text), text.len };
    put_symbol(out, text);
    return (*n)++;
}

static size_t requests_a_step(const struct sender *s)
{
    return (s->to - s->from + s->set->batch - 1) / s->set->batch;
}

static void make_series(struct sender *s)
{
    enum {
        KNOWN = 256
    };
    static _Thread_local sonde_str known[KNOWN];
    uint32_t symbols = 0;
    char text[LABELS][NAME_BYTES];
    struct label items[LABELS];

    s->series = mem_zalloc((s->to - s->from) * sizeof(*s->series));
    s->symbols = mem_zalloc(requests_a_step(s) * sizeof(*s->symbols));
    for (size_t i = s->from; i < s->to; i++) {
        struct series *x = &s->series[i - s->from];
        struct buf *out = &s->symbols[(i - s->from) / s->set->batch];

        if ((i - s->from) % s->set->batch == 0) {
            symbols = 0;
            buf_init(out);
            (void)symbol_of(out, (sonde_str){ "", 0 }, &symbols, known, KNOWN);
        }
        label_values(i, s->set->families, text);
        for (size_t k = 0; k < LABELS; k++) {
            items[k] = (struct label){ sonde_cstr(label_names[k]),
                                       sonde_cstr(text[k]) };
            if (s->set->version == 1)
                continue;
            x->refs[2 * k] =
                symbol_of(out, items[k].name, &symbols, known, KNOWN);
            x->refs[2 * k + 1] =
                symbol_of(out, items[k].value, &symbols, known, KNOWN);
        }
        buf_init(&x->labels);
        if (s->set->version == 1)
            encode_labels(&x->labels, &(struct labels){ items, LABELS });
        x->kind = (uint8_t)(i % 4);
        x->pace = next_random(&s->random) % 100;
        x->count = next_random(&s->random) % 1000000;
    }
}

static double next_value(struct sender *s, struct series *x)
{
    uint64_t r = next_random(&s->random);

    if (x->kind == 3) {
        x->count += r % 200;
        x->count -= x->count > 100 ? 100 : 0;
        return (double)x->count;
    }
    if (r % 4)
        x->count += r % (x->pace + 1);
    return x->kind == 2 ? (double)x->count / 1000 : (double)x->count;
}

/* ---- bodies ------------------------------------------------------------ */

static void put_series_2(struct buf *out, struct buf *scratch,
                         const struct series *x,
                         const struct remote_sample *sample)
{
    uint64_t bits = htole64(double_bits(sample->v));
    struct buf refs;

    buf_init(&refs);
    buf_reset(scratch);
    for (size_t i = 0; i < (size_t)2 * LABELS; i++)
        buf_uvarint(&refs, x->refs[i]);
    buf_u8(scratch, 1 << 3 | 2);
    buf_uvarint_str(scratch, buf_str(&refs));
    buf_fini(&refs);
    buf_u8(scratch, 2 << 3 | 2);
    buf_u8(scratch, 16); /* times of 6 bytes: until the year 2109 */
    buf_u8(scratch, 1 << 3 | 1);
    buf_bytes(scratch, &bits, 8);
    buf_u8(scratch, 2 << 3);
    buf_uvarint(scratch, (uint64_t)sample->t);
    buf_u8(out, 5 << 3 | 2);
    buf_uvarint_str(out, buf_str(scratch));
}

/* The samples of one step of series [from, to) as a request's body. */
static void make_body(struct sender *s, size_t from, size_t to, sonde_msec t,
                      struct buf *message, struct buf *out)
{
    struct buf scratch;

    buf_init(&scratch);
    buf_reset(message);
    if (s->set->version == 2)
        buf_put(message, buf_str(&s->symbols[from / s->set->batch]));
    for (size_t i = from; i < to; i++) {
        struct series *x = &s->series[i];
        struct remote_sample sample = { 0, t, next_value(s, x) };

        if (s->set->version == 2)
            put_series_2(message, &scratch, x, &sample);
        else
            encode_series(message, buf_str(&x->labels), &sample, 1);
    }
    encode_body(buf_str(message), out);
    buf_fini(&scratch);
}

/* ---- sending ----------------------------------------------------------- */

static void sender_connect(struct sender *s)
{
    struct addrinfo hints = { .ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *a;
    int one = 1;

    if (getaddrinfo(s->set->host, s->set->port, &hints, &a) != 0)
        die("resolve");
    s->fd = socket(a->ai_family, a->ai_socktype, 0);
    if (s->fd < 0 || connect(s->fd, a->ai_addr, a->ai_addrlen) != 0)
        die("connect");
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    freeaddrinfo(a);
}

static void write_all(struct sender *s, const char *p, size_t n)
{
    while (n) {
        ssize_t got = send(s->fd, p, n, MSG_NOSIGNAL);

        if (got <= 0)
            die("send");
        p += got;
        n -= (size_t)got;
    }
}

/* The status of an answer; its body is read and forgotten. */
static int read_answer(struct sender *s)
{
    char text[ANSWER_BYTES + 1], *end = NULL, *at;
    size_t len = 0, want = 0;
    int status = 0;

    while (!end || len < want) {
        ssize_t got = recv(s->fd, text + len, ANSWER_BYTES - len, 0);

        if (got <= 0)
            die("receive");
        len += (size_t)got;
        text[len] = '\0';
        if (!end && (end = strstr(text, "\r\n\r\n"))) {
            at = strcasestr(text, "\r\ncontent-length:");
            want = (size_t)(end + 4 - text) +
                   (at && at < end ? strtoul(at + 17, NULL, 10) : 0);
            if (want > ANSWER_BYTES)
                want = ANSWER_BYTES;
        }
    }
    if (sscanf(text, "HTTP/1.1 %d", &status) != 1)
        die("status");
    if (status >= 300 && s->refused < 3)
        fprintf(stderr, "%d: %.300s\n", status, end + 4);
    return status;
}

static void send_body(struct sender *s, sonde_str body, size_t samples)
{
    char head[512];
    int n = snprintf(
        head, sizeof(head),
        "POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: "
        "application/x-protobuf%s\r\nContent-Encoding: snappy\r\n"
        "X-Prometheus-Remote-Write-Version: %s\r\n"
        "User-Agent: remote_write_load\r\nContent-Length: %zu\r\n\r\n",
        s->set->path, s->set->host, s->set->port,
        s->set->version == 2 ? ";proto=io.prometheus.write.v2.Request" : "",
        s->set->version == 2 ? "2.0.0" : "0.1.0", body.len);
    int status;

    for (int tries = 0; tries < TRIES_MAX; tries++) {
        write_all(s, head, (size_t)n);
        write_all(s, body.ptr, body.len);
        s->bytes += body.len;
        status = read_answer(s);
        if (status < 300) {
            s->samples += samples;
            return;
        }
        if (status < 500 && status != 429)
            break;
        s->retried++;
        (void)usleep(RETRY_USEC);
    }
    s->refused++;
}

/* ---- threads ----------------------------------------------------------- */

/* Makes all bodies in order and hands each on. */
static void each_body(struct sender *s, bool keep)
{
    const struct settings *set = s->set;
    size_t n = s->to - s->from;
    struct buf message, out;

    buf_init(&message);
    buf_init(&out);
    for (size_t step = 0; step < set->steps; step++) {
        if (!keep)
            (void)pthread_barrier_wait(&step_begins);
        for (size_t i = 0; i < n; i += set->batch) {
            size_t end = i + set->batch < n ? i + set->batch : n;

            make_body(s, i, end, set->start + (sonde_msec)step * set->every,
                      &message, &out);
            if (keep)
                s->bodies[s->body_count++] =
                    (struct body){ mem_strdup(buf_str(&out)), out.len,
                                   (uint32_t)(end - i) };
            else
                send_body(s, buf_str(&out), end - i);
        }
    }
    buf_fini(&message);
    buf_fini(&out);
}

static void prepare(struct sender *s)
{
    const struct settings *set = s->set;
    make_series(s);
    if (set->prebuild) {
        s->bodies =
            mem_alloc(requests_a_step(s) * set->steps * sizeof(*s->bodies) + 1);
        each_body(s, true);
    }
    sender_connect(s);
}

static void *run(void *arg)
{
    struct sender *s = arg;

    while (!atomic_load(&started))
        (void)usleep(100);
    if (!s->set->prebuild)
        each_body(s, false);
    for (size_t i = 0; i < s->body_count; i++)
        send_body(s, (sonde_str){ s->bodies[i].data, s->bodies[i].len },
                  s->bodies[i].samples);
    return NULL;
}

static double cpu_seconds(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static struct settings read_settings(int argc, char **argv)
{
    struct settings set = {
        .host = "127.0.0.1",
        .port = "9090",
        .path = "/api/v1/write",
        .series = 100000,
        .steps = 10,
        .batch = 2000,
        .connections = 4,
        .families = FAMILIES,
        .every = 15000,
        .version = 1,
    };
    static const struct option options[] = { { "host", 1, NULL, 'h' },
                                             { "port", 1, NULL, 'p' },
                                             { "path", 1, NULL, 'u' },
                                             { "series", 1, NULL, 's' },
                                             { "steps", 1, NULL, 'n' },
                                             { "batch", 1, NULL, 'b' },
                                             { "connections", 1, NULL, 'c' },
                                             { "start-ms", 1, NULL, 't' },
                                             { "every-ms", 1, NULL, 'e' },
                                             { "version", 1, NULL, 'v' },
                                             { "prebuild", 0, NULL, 'k' },
                                             { "families", 1, NULL, 'f' },
                                             { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        size_t n = optarg ? strtoul(optarg, NULL, 10) : 0;

        switch (c) {
        case 'h':
            set.host = optarg;
            break;
        case 'p':
            set.port = optarg;
            break;
        case 'u':
            set.path = optarg;
            break;
        case 's':
            set.series = n;
            break;
        case 'n':
            set.steps = n;
            break;
        case 'b':
            set.batch = n;
            break;
        case 'c':
            set.connections = n;
            break;
        case 't':
            set.start = (sonde_msec)n;
            break;
        case 'e':
            set.every = (sonde_msec)n;
            break;
        case 'v':
            set.version = (int)n;
            break;
        case 'k':
            set.prebuild = true;
            break;
        case 'f':
            set.families = n;
            break;
        default:
            exit(2);
        }
    }
    if (!set.batch || !set.connections || !set.series || !set.families)
        exit(2);
    if (!set.start)
        set.start =
            clock_now(&clock_system) - (sonde_msec)set.steps * set.every;
    return set;
}

int main(int argc, char **argv)
{
    struct settings set = read_settings(argc, argv);
    struct sender *senders = mem_zalloc(set.connections * sizeof(*senders));
    struct sender sum = { 0 };
    double cpu;
    uint64_t begun;

    (void)pthread_barrier_init(&step_begins, NULL, (unsigned)set.connections);
    for (size_t i = 0; i < set.connections; i++) {
        senders[i] = (struct sender){
            .set = &set,
            .from = set.series * i / set.connections,
            .to = set.series * (i + 1) / set.connections,
            .random = UINT64_C(88172645463325252) + i,
        };
        prepare(&senders[i]);
        if (pthread_create(&senders[i].thread, NULL, run, &senders[i]) != 0)
            die("thread");
    }
    cpu = cpu_seconds();
    begun = clock_ns();
    atomic_store(&started, true);
    for (size_t i = 0; i < set.connections; i++) {
        (void)pthread_join(senders[i].thread, NULL);
        sum.samples += senders[i].samples;
        sum.bytes += senders[i].bytes;
        sum.refused += senders[i].refused;
        sum.retried += senders[i].retried;
    }
    printf("{\"samples\": %llu, \"seconds\": %.3f, \"cpu\": %.3f, "
           "\"bytes\": %llu, \"refused\": %llu, \"retried\": %llu}\n",
           (unsigned long long)sum.samples, (double)(clock_ns() - begun) / 1e9,
           cpu_seconds() - cpu, (unsigned long long)sum.bytes,
           (unsigned long long)sum.refused, (unsigned long long)sum.retried);
    return 0;
}
