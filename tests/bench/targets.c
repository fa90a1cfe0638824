/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something to scrape: N targets on loopback ports, M series each, in the
 * text format, to compare those who scrape. It looks like a rack of services:
 * request counters and latency histograms by handler and code, CPU counters,
 * memory and queue gauges, about six labels each.
 *
 * Values move as real ones do. Counters grow by uneven steps, a part of them
 * not at all; some are seconds with decimals. Gauges wander. A histogram's
 * buckets, count and sum belong together. Each request for a page is one step
 * in time of that target.
 *
 * It must cost little beside what it measures: the text before each value is
 * made once, a page is copies of these with numbers between them, written
 * without printf, by one thread on epoll. Its processor time is for the
 * benchmark to read and to leave out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "util/buf.h"
#include "util/mem.h"
#include "util/str.h"

/* How a series moves; the number is in units of 10^-decimals. */
enum motion {
    MOVE_COUNT,  /* grows by whole steps                                   */
    MOVE_SECOND, /* grows by parts of a second                             */
    MOVE_WANDER, /* up and down around where it began                      */
    MOVE_BUCKET, /* of a histogram: first of BUCKETS + 2                   */
    MOVE_INSIDE, /* the others of a histogram: moved by the first          */
    MOVE_NOT
};

struct line {
    uint32_t text_at;  /* of what stands before the number, in `text`      */
    uint16_t text_len; /* comments of the family included                  */
    uint8_t motion, decimals;
    uint32_t pace; /* how fast it moves                                    */
    uint64_t number;
};

struct target {
    struct buf text;
    struct line *lines;
    size_t count, cap;
    uint64_t random;
    size_t number;
};

struct connection {
    int fd;
    struct target *target;
    char head[8192];
    size_t head_len;
    struct buf out; /* being sent; taken from the spare ones               */
    size_t sent;
};

struct options {
    size_t targets, series;
    int port_base;
    bool gzip;
};

struct bench {
    struct options options;
    int epoll_fd;
    struct target *targets;
    struct buf spare[64];
    size_t spare_count;
    struct buf page; /* before it is compressed */
};

/* What epoll hands back: a listener or a connection. */
struct endpoint {
    struct target *target; /* of a listener                                */
    struct connection *connection;
    int fd;
};

static volatile sig_atomic_t stopping;

static uint64_t next_random(struct target *t)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random;
}

/* ---- what the targets expose -------------------------------------------- */

static const char *const handlers[] = {
    "/api/v1/users",    "/api/v1/users/{id}",
    "/api/v1/orders",   "/api/v1/orders/{id}/items",
    "/api/v1/search",   "/api/v1/login",
    "/api/v1/payments", "/static/*",
    "/graphql",         "/healthz",
};
static const char *const methods[] = { "GET", "POST", "PUT", "DELETE" };
static const char *const codes[] = { "200", "201", "204", "301", "400",
                                     "401", "404", "429", "500", "503" };
static const char *const modes[] = { "user", "system",  "idle",  "iowait",
                                     "irq",  "softirq", "steal", "nice" };
static const char *const zones[] = { "eu-central-1a", "eu-central-1b",
                                     "eu-central-1c" };
static const char *const bounds[] = { "0.005", "0.01", "0.025", "0.05",
                                      "0.1",   "0.25", "0.5",   "1",
                                      "2.5",   "5",    "10",    "+Inf" };
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BUCKETS  COUNT(bounds)

static struct line *add(struct target *t, const char *comment)
{
    struct line *l;

    if (t->count == t->cap)
        t->lines = mem_grow(t->lines, &t->cap, t->count + 1, sizeof(*l));
    l = &t->lines[t->count++];
    *l = (struct line){ .text_at = (uint32_t)t->text.len };
    if (comment)
        buf_cstr(&t->text, comment);
    return l;
}

/* The labels that all series of a target share in kind. */
static void common_labels(struct target *t, size_t i)
{
    buf_printf(&t->text,
               "namespace=\"shop\",pod=\"checkout-7d9f8b6c5-%05zu\","
               "zone=\"%s\"",
               (i * 7919 + t->number) % 99991, zones[i % COUNT(zones)]);
}

static void end_line(struct target *t, struct line *l, enum motion motion,
                     uint8_t decimals)
{
    uint64_t r = next_random(t);

    buf_cstr(&t->text, "} ");
    l->text_len = (uint16_t)(t->text.len - l->text_at);
    l->motion = (uint8_t)motion;
    l->decimals = decimals;
    l->pace = 1u << (r % 12);
    /* Three in ten stand still, as series of rare events do. */
    if (motion != MOVE_INSIDE && motion != MOVE_BUCKET && (r >> 20) % 10 < 3)
        l->motion = MOVE_NOT;
    l->number = (r >> 32) % 100000 * l->pace;
}

static const char *comment_if(bool first, const char *comment)
{
    return first ? comment : NULL;
}

static void add_requests(struct target *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct line *l = add(
            t, comment_if(!i, "# HELP http_requests_total Requests answered, "
                              "by handler and code.\n"
                              "# TYPE http_requests_total counter\n"));

        buf_printf(&t->text,
                   "http_requests_total{handler=\"%s\",method=\"%s\","
                   "code=\"%s\",",
                   handlers[i % 10], methods[i / 10 % 4], codes[i / 40 % 10]);
        common_labels(t, i / 400);
        end_line(t, l, MOVE_COUNT, 0);
    }
}

static void add_cpu(struct target *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct line *l = add(
            t, comment_if(!i, "# HELP container_cpu_seconds_total Processor "
                              "time used.\n"
                              "# TYPE container_cpu_seconds_total counter\n"));

        buf_printf(&t->text,
                   "container_cpu_seconds_total{container=\"app\",cpu=\"%zu\","
                   "mode=\"%s\",",
                   i / 8 % 16, modes[i % 8]);
        common_labels(t, i / 128);
        end_line(t, l, MOVE_SECOND, i % 2 ? 2 : 6);
    }
}

static void add_gauges(struct target *t, size_t n)
{
    static const char *const names[] = { "container_memory_working_set_bytes",
                                         "worker_queue_depth",
                                         "db_pool_usage_ratio",
                                         "go_goroutines" };
    static const char *const types[] = {
        "# HELP container_memory_working_set_bytes Memory in use.\n"
        "# TYPE container_memory_working_set_bytes gauge\n",
        "# HELP worker_queue_depth Jobs waiting.\n"
        "# TYPE worker_queue_depth gauge\n",
        "# HELP db_pool_usage_ratio Connections in use of those allowed.\n"
        "# TYPE db_pool_usage_ratio gauge\n",
        "# HELP go_goroutines Number of goroutines that exist.\n"
        "# TYPE go_goroutines gauge\n",
    };
    static const uint8_t decimals[] = { 0, 0, 4, 0 };

    for (size_t k = 0, done = 0; k < 4; k++) {
        size_t upto = n * (k + 1) / 4;

        for (size_t i = done; i < upto; i++) {
            struct line *l = add(t, comment_if(i == done, types[k]));

            buf_printf(&t->text,
                       "%s{container=\"app\",service=\"checkout\","
                       "shard=\"%zu\",",
                       names[k], i - done);
            common_labels(t, i);
            end_line(t, l, MOVE_WANDER, decimals[k]);
        }
        done = upto;
    }
}

#define LATENCY "http_request_duration_seconds"

/* One histogram: buckets, sum, count. */
static void add_histogram(struct target *t, size_t i)
{
    for (size_t k = 0; k < BUCKETS + 2; k++) {
        struct line *l =
            add(t, comment_if(!i && !k, "# HELP " LATENCY " Time to answer.\n"
                                        "# TYPE " LATENCY " histogram\n"));

        buf_printf(&t->text, LATENCY "%s{handler=\"%s\",method=\"%s\",",
                   k < BUCKETS    ? "_bucket"
                   : k == BUCKETS ? "_sum"
                                  : "_count",
                   handlers[i % 10], methods[i / 10 % 4]);
        common_labels(t, i / 40);
        if (k < BUCKETS)
            buf_printf(&t->text, ",le=\"%s\"", bounds[k]);
        end_line(t, l, k ? MOVE_INSIDE : MOVE_BUCKET, k == BUCKETS ? 9 : 0);
        l->number = 0;
    }
}

/* Two fifths histograms; of the rest half requests, an eighth CPU, gauges. */
static void target_make(struct target *t, size_t number, size_t series)
{
    size_t histograms = series * 2 / 5 / (BUCKETS + 2);
    size_t left = series - histograms * (BUCKETS + 2);
    size_t requests = left / 2, cpu = left / 8;

    t->number = number;
    t->random = 0x9E3779B97F4A7C15u * (number + 1);
    add_requests(t, requests);
    add_cpu(t, cpu);
    for (size_t i = 0; i < histograms; i++)
        add_histogram(t, i);
    add_gauges(t, left - requests - cpu);
}

/* ---- a step in time ----------------------------------------------------- */

static void move_histogram(struct target *t, struct line *l)
{
    uint64_t r = next_random(t);
    uint64_t seen = r % (l->pace + 1);
    size_t fastest = (r >> 16) % 5;
    struct line *sum = &l[BUCKETS], *count = &l[BUCKETS + 1];

    /* A third of them has no traffic now. */
    if ((r >> 24) % 3 == 0)
        return;
    for (size_t k = 0; k < BUCKETS; k++) {
        uint64_t share = k < fastest ? 0 : 1 + k - fastest;

        l[k].number += share > 4 || k + 1 == BUCKETS ? seen : seen * share / 5;
    }
    sum->number += seen * (20000000 + (r >> 32) % 50000000);
    count->number += seen;
}

static void move(struct target *t, struct line *l)
{
    uint64_t r, step;

    switch ((enum motion)l->motion) {
    case MOVE_COUNT:
        l->number += next_random(t) % (l->pace + 1);
        break;
    case MOVE_SECOND:
        l->number += next_random(t) % (5 * (l->decimals == 6 ? 1000000 : 100));
        break;
    case MOVE_WANDER:
        r = next_random(t);
        step = (r >> 1) % (l->pace * 8 + 1);
        if (r & 1)
            l->number += step;
        else
            l->number -= step < l->number ? step : l->number;
        break;
    case MOVE_BUCKET:
        move_histogram(t, l);
        break;
    case MOVE_INSIDE:
    case MOVE_NOT:
        break;
    }
}

/* ---- pages -------------------------------------------------------------- */

/* At most 22 bytes and a line feed. */
static char *put_number(char *p, uint64_t number, uint8_t decimals)
{
    char digits[32];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
        if (decimals && n == decimals)
            digits[n++] = '.';
    } while (number || (decimals && n <= (size_t)decimals + 1));
    while (n > 0)
        *p++ = digits[--n];
    *p++ = '\n';
    return p;
}

static void page_make(struct target *t, struct buf *out)
{
    char *p = buf_reserve(out, t->text.len + t->count * 32);
    char *begin = p;

    for (size_t i = 0; i < t->count; i++) {
        struct line *l = &t->lines[i];

        move(t, l);
        memcpy(p, t->text.data + l->text_at, l->text_len);
        p = put_number(p + l->text_len, l->number, l->decimals);
    }
    buf_added(out, (size_t)(p - begin));
}

static void compress_into(struct buf *out, sonde_str page)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)page.ptr,
                   .avail_in = (uInt)page.len };
    size_t bound;

    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY))
        mem_abort("gzip", page.len);
    bound = deflateBound(&z, page.len);
    z.next_out = (Bytef *)buf_reserve(out, bound);
    z.avail_out = (uInt)bound;
    (void)deflate(&z, Z_FINISH);
    buf_added(out, bound - z.avail_out);
    (void)deflateEnd(&z);
}

/* Room for the head is left at the front, so that nothing is moved. */
#define HEAD_ROOM 256

static void answer(struct bench *b, struct connection *c)
{
    bool zip = b->options.gzip && memmem(c->head, c->head_len, "gzip", 4);
    bool found = c->head_len > 13 && !memcmp(c->head, "GET /metrics ", 13);
    char head[HEAD_ROOM];
    int n;

    if (b->spare_count)
        c->out = b->spare[--b->spare_count];
    (void)buf_reserve(&c->out, HEAD_ROOM);
    buf_added(&c->out, HEAD_ROOM);
    buf_reset(&b->page);
    if (found)
        page_make(c->target, zip ? &b->page : &c->out);
    if (found && zip)
        compress_into(&c->out, buf_str(&b->page));
    n = snprintf(head, sizeof(head),
                 "HTTP/1.1 %s\r\n"
                 "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                 "%sContent-Length: %zu\r\n\r\n",
                 found ? "200 OK" : "404 Not Found",
                 zip ? "Content-Encoding: gzip\r\n" : "",
                 c->out.len - HEAD_ROOM);
    c->sent = HEAD_ROOM - (size_t)n;
    memcpy(c->out.data + c->sent, head, (size_t)n);
}

/* ---- connections --------------------------------------------------------- */

static void watch(struct bench *b, struct endpoint *e, uint32_t events, int op)
{
    struct epoll_event ev = { .events = events, .data.ptr = e };

    if (epoll_ctl(b->epoll_fd, op, e->fd, &ev) < 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void give_back(struct bench *b, struct connection *c)
{
    buf_reset(&c->out);
    if (c->out.data && b->spare_count < COUNT(b->spare))
        b->spare[b->spare_count++] = c->out;
    else
        buf_fini(&c->out);
    buf_init(&c->out);
}

static void hang_up(struct bench *b, struct endpoint *e)
{
    (void)close(e->fd);
    give_back(b, e->connection);
    free(e->connection);
    free(e);
}

/* False when the connection is gone. */
static bool send_more(struct bench *b, struct endpoint *e)
{
    struct connection *c = e->connection;

    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent,
                         MSG_NOSIGNAL);

        if (n > 0) {
            c->sent += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            watch(b, e, EPOLLOUT, EPOLL_CTL_MOD);
            return true;
        }
        return false;
    }
    give_back(b, c);
    watch(b, e, EPOLLIN, EPOLL_CTL_MOD);
    return true;
}

static bool receive(struct bench *b, struct endpoint *e)
{
    struct connection *c = e->connection;
    ssize_t n =
        recv(c->fd, c->head + c->head_len, sizeof(c->head) - c->head_len, 0);

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->head_len += (size_t)n;
    if (!memmem(c->head, c->head_len, "\r\n\r\n", 4))
        return c->head_len < sizeof(c->head);
    answer(b, c);
    c->head_len = 0;
    return send_more(b, e);
}

static void accept_one(struct bench *b, const struct endpoint *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct endpoint *e;

    if (fd < 0)
        return;
    e = mem_new(struct endpoint);
    e->fd = fd;
    e->connection = mem_new(struct connection);
    e->connection->fd = fd;
    e->connection->target = listener->target;
    watch(b, e, EPOLLIN, EPOLL_CTL_ADD);
}

static void listen_for(struct bench *b, struct target *t, int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct endpoint *e = mem_new(struct endpoint);
    int one = 1;

    e->target = t;
    e->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (e->fd < 0 ||
        setsockopt(e->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(e->fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(e->fd, 128) < 0) {
        (void)fprintf(stderr, "targets: listen on port %d: %s\n", port,
                      strerror(errno));
        exit(1);
    }
    watch(b, e, EPOLLIN, EPOLL_CTL_ADD);
}

static void serve(struct bench *b)
{
    struct epoll_event events[64];

    while (!stopping) {
        int n = epoll_wait(b->epoll_fd, events, COUNT(events), -1);

        for (int i = 0; i < n; i++) {
            struct endpoint *e = events[i].data.ptr;
            bool alive = true;

            if (e->target)
                accept_one(b, e);
            else if (events[i].events & EPOLLOUT)
                alive = send_more(b, e);
            else
                alive = receive(b, e);
            if (!alive)
                hang_up(b, e);
        }
    }
}

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static size_t number_of(const char *text)
{
    uint64_t n = 0;

    if (!str_to_u64(sonde_cstr(text), &n) || n == 0 || n > 10000000) {
        (void)fprintf(stderr, "targets: expected a number, got %s\n", text);
        exit(2);
    }
    return (size_t)n;
}

static struct options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        { "targets", required_argument, NULL, 't' },
        { "series", required_argument, NULL, 's' },
        { "port-base", required_argument, NULL, 'p' },
        { "gzip", no_argument, NULL, 'z' },
        { 0 },
    };
    struct options o = { .targets = 10, .series = 20000, .port_base = 19500 };
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 't')
            o.targets = number_of(optarg);
        else if (c == 's')
            o.series = number_of(optarg);
        else if (c == 'p')
            o.port_base = (int)number_of(optarg);
        else if (c == 'z')
            o.gzip = true;
        else
            exit(2);
    }
    return o;
}

int main(int argc, char **argv)
{
    struct sigaction stop = { .sa_handler = on_signal };
    struct rlimit files = { 0 };
    struct bench b = { .options = read_options(argc, argv) };

    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    b.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    b.targets = mem_zalloc(b.options.targets * sizeof(struct target));
    for (size_t i = 0; i < b.options.targets; i++) {
        target_make(&b.targets[i], i, b.options.series);
        listen_for(&b, &b.targets[i], b.options.port_base + (int)i);
    }
    (void)printf("ready %zu targets of %zu series from port %d\n",
                 b.options.targets, b.targets[0].count, b.options.port_base);
    (void)fflush(stdout);
    serve(&b);
    return 0;
}
