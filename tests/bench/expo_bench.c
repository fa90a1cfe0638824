/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one line costs the scanner, in nanoseconds, for a generated body of
 * 20,000 lines with six labels, fed in pieces as a socket gives them. Beside
 * it, as a measure of the machine: finding the LFs alone. The best of many
 * rounds is printed, since the noise of a shared machine only ever adds.
 */
#include <stdlib.h>

#include "expo/expo.h"
#include "util/clock.h"

#define LINES       20000
#define ROUNDS      60
#define PIECE_BYTES ((size_t)65536)

struct sum {
    double values;
    size_t lines, series_bytes;
};

static sonde_code on_sample(void *arg, const struct expo_sample *s,
                            struct sonde_err *err)
{
    struct sum *sum = arg;

    (void)err;
    sum->values += s->value;
    sum->series_bytes += s->series.len;
    sum->lines++;
    return SONDE_OK;
}

enum numbers {
    SMALL, /* counts, as of most counters */
    REAL,  /* 17 digits, as of sums of seconds */
};

static void make_body(struct buf *b, enum numbers numbers, const char *after)
{
    for (int i = 0; i < LINES; i++) {
        if (i % 100 == 0)
            buf_printf(b,
                       "# HELP http_requests_%d_total Requests.\n"
                       "# TYPE http_requests_%d_total counter\n",
                       i / 100, i / 100);
        buf_printf(b,
                   "http_requests_%d_total{code=\"%d\",handler=\"/api/v1/"
                   "things/%d\",method=\"GET\",pod=\"web-7f9c4d-%05d\","
                   "region=\"eu-west-1\",version=\"v1.%d.0\"} ",
                   i / 100, 200 + i % 5, i % 50, i, i % 7);
        if (numbers == SMALL)
            buf_printf(b, "%d", (i * 7919) % 100000);
        else
            buf_printf(b, "%.17g", (double)i * 0.7310585786300049);
        buf_cstr(b, after);
        buf_char(b, '\n');
    }
}

static void fail(const struct sonde_err *err)
{
    (void)fprintf(stderr, "expo_bench: %s\n", err->text);
    exit(1);
}

static uint64_t scan_once(enum expo_format format, sonde_str body,
                          struct sum *sum)
{
    struct expo_handler handler = { on_sample, NULL, sum };
    struct expo_scanner s;
    struct sonde_err err;
    uint64_t from = clock_ns();

    expo_scanner_init(&s, format, &handler);
    for (size_t at = 0; at < body.len; at += PIECE_BYTES) {
        size_t n = body.len - at < PIECE_BYTES ? body.len - at : PIECE_BYTES;

        if (expo_scan(&s, (sonde_str){ body.ptr + at, n }, &err))
            fail(&err);
    }
    if (expo_scan_end(&s, &err))
        fail(&err);
    expo_scanner_fini(&s);
    return clock_ns() - from;
}

static uint64_t lf_once(sonde_str body, struct sum *sum)
{
    const char *p = body.ptr, *end = p + body.len;
    uint64_t from = clock_ns();

    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        p++;
        sum->lines++;
    }
    return clock_ns() - from;
}

static void report(const char *what, uint64_t ns, size_t bytes)
{
    printf("%-36s %6.1f ns a line, %5.0f bytes a line, %5.2f GB/s\n", what,
           (double)ns / LINES, (double)bytes / LINES,
           (double)bytes / (double)ns);
}

static void bench(const char *what, enum expo_format format,
                  enum numbers numbers, const char *after)
{
    struct buf b = { 0 };
    struct sum sum = { 0 };
    uint64_t best = UINT64_MAX, best_lf = UINT64_MAX;

    make_body(&b, numbers, after);
    if (format == EXPO_OPENMETRICS)
        buf_cstr(&b, "# EOF\n");
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t ns = scan_once(format, buf_str(&b), &sum);
        uint64_t lf = lf_once(buf_str(&b), &sum);

        best = ns < best ? ns : best;
        best_lf = lf < best_lf ? lf : best_lf;
    }
    report(what, best, b.len);
    if (after[0] == '\0')
        report("  LFs alone", best_lf, b.len);
    if (sum.values < 0) /* keeps the work alive */
        puts("");
    buf_fini(&b);
}

int main(void)
{
    bench("text, integers", EXPO_TEXT, SMALL, "");
    bench("text, 17 digits", EXPO_TEXT, REAL, "");
    bench("text, integers, timestamps", EXPO_TEXT, SMALL, " 1700000000000");
    bench("OpenMetrics, integers", EXPO_OPENMETRICS, SMALL, "");
    bench("OpenMetrics, exemplars", EXPO_OPENMETRICS, SMALL,
          " # {trace_id=\"0af7651916cd43dd\"} 0.67");
    return 0;
}
