/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API tells of itself, by Prometheus' names: how long requests took
 * and how large answers were, by handler; where the time of queries goes.
 * Histograms are counted without locks and put together when the page is
 * asked for; a handler that nobody has called is not shown. The parts of a
 * query's time have quantiles of the last ten minutes, under a mutex.
 */
#include <stdlib.h>

#include "api/api_int.h"
#include "api/quantile_window.h"
#include "model/number.h"
#include "util/clock.h"
#include "util/mem.h"

#define BOUNDS_MAX 10

static const double seconds_bounds[] = { .1, .2, .4, 1, 3, 8, 20, 60, 120 };
static const double bytes_bounds[] = { 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
#define SECONDS_BOUNDS (sizeof(seconds_bounds) / sizeof(seconds_bounds[0]))
#define BYTES_BOUNDS   (sizeof(bytes_bounds) / sizeof(bytes_bounds[0]))

struct spread {
    _Atomic uint64_t counts[BOUNDS_MAX]; /* the last: above all bounds      */
    struct metric sum;
};

struct handler_metrics {
    struct spread seconds, bytes;
};

struct api_metrics {
    struct handler_metrics *handlers; /* by number of the endpoint         */
    size_t handler_count;
    struct {
        struct metric seconds;
        _Atomic uint64_t count;
    } slices[API_SLICES];
    _Atomic uint64_t samples; /* that queries asked for                    */
    pthread_mutex_t mutex;    /* guards what is below                      */
    struct quantile_window windows[API_SLICES];
};

struct api_metrics *api_metrics_new(size_t handlers)
{
    struct api_metrics *m = mem_new(struct api_metrics);

    m->handlers = mem_zalloc(handlers * sizeof(*m->handlers));
    m->handler_count = handlers;
    pthread_mutex_init(&m->mutex, NULL);
    return m;
}

void api_metrics_free(struct api_metrics *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->mutex);
    free(m->handlers);
    free(m);
}

static void observe(struct spread *s, const double *bounds, size_t n, double v)
{
    size_t i = 0;

    while (i < n && v > bounds[i])
        i++;
    atomic_fetch_add_explicit(&s->counts[i], 1, memory_order_relaxed);
    metric_add_real(&s->sum, v);
}

void api_metrics_request(struct api_metrics *m, size_t handler, double seconds,
                         uint64_t bytes)
{
    observe(&m->handlers[handler].seconds, seconds_bounds, SECONDS_BOUNDS,
            seconds);
    observe(&m->handlers[handler].bytes, bytes_bounds, BYTES_BOUNDS,
            (double)bytes);
}

void api_metrics_query(struct api_metrics *m, const struct api_timing *t,
                       uint64_t samples)
{
    const double seconds[API_SLICES] = {
        [API_SLICE_QUEUE] = t->queue,
        [API_SLICE_PREPARE] = t->prepare,
        [API_SLICE_EVAL] = t->eval,
        [API_SLICE_SORT] = t->sort,
    };
    sonde_msec now = clock_monotonic(&clock_system);

    for (size_t i = 0; i < API_SLICES; i++) {
        metric_add_real(&m->slices[i].seconds, seconds[i]);
        atomic_fetch_add_explicit(&m->slices[i].count, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&m->samples, samples, memory_order_relaxed);
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < API_SLICES; i++)
        quantile_window_add(&m->windows[i], now, seconds[i]);
    pthread_mutex_unlock(&m->mutex);
}

/* ---- the page ----------------------------------------------------------- */

struct family {
    const char *name, *help;
    const double *bounds;
    size_t n;
};

static void emit(struct selfmetrics_page *page, const struct family *f,
                 const char *handler, const struct spread *s)
{
    char labels[200], le[NUMBER_MAX_BYTES];
    uint64_t total = 0;

    for (size_t i = 0; i <= f->n; i++) {
        size_t len =
            i < f->n ? number_format(le, f->bounds[i], NUMBER_TEXT) : 4;

        total += atomic_load_explicit(&s->counts[i], memory_order_relaxed);
        (void)snprintf(labels, sizeof(labels), "handler=\"%s\",le=\"%.*s\"",
                       handler, (int)len, i < f->n ? le : "+Inf");
        selfmetrics_emit_part(page, f->name, "_bucket", METRIC_HISTOGRAM,
                              f->help, labels, (double)total);
    }
    (void)snprintf(labels, sizeof(labels), "handler=\"%s\"", handler);
    selfmetrics_emit_part(page, f->name, "_sum", METRIC_HISTOGRAM, f->help,
                          labels, metric_get(&s->sum));
    selfmetrics_emit_part(page, f->name, "_count", METRIC_HISTOGRAM, f->help,
                          labels, (double)total);
}

static bool called(const struct spread *s, size_t n)
{
    for (size_t i = 0; i <= n; i++)
        if (atomic_load_explicit(&s->counts[i], memory_order_relaxed))
            return true;
    return false;
}

static void emit_quantiles(struct selfmetrics_page *page, struct api_metrics *m,
                           enum api_slice slice, const char *name,
                           const char *help, const char *label)
{
    static const struct {
        double q;
        const char *text;
    } rows[] = { { 0.5, "0.5" }, { 0.9, "0.9" }, { 0.99, "0.99" } };
    sonde_msec now = clock_monotonic(&clock_system);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char labels[80];
        double v;

        pthread_mutex_lock(&m->mutex);
        v = quantile_window_get(&m->windows[slice], now, rows[i].q);
        pthread_mutex_unlock(&m->mutex);
        (void)snprintf(labels, sizeof(labels), "%s,quantile=\"%s\"", label,
                       rows[i].text);
        selfmetrics_emit_part(page, name, "", METRIC_SUMMARY, help, labels, v);
    }
}

static void emit_slices(struct selfmetrics_page *page, struct api_metrics *m)
{
    static const char *const labels[API_SLICES] = {
        [API_SLICE_QUEUE] = "slice=\"queue_time\"",
        [API_SLICE_PREPARE] = "slice=\"prepare_time\"",
        [API_SLICE_EVAL] = "slice=\"inner_eval\"",
        [API_SLICE_SORT] = "slice=\"result_sort\"",
    };
    static const char name[] = "prometheus_engine_query_duration_seconds";
    static const char help[] = "Query timings";

    for (size_t i = 0; i < API_SLICES; i++) {
        uint64_t n =
            atomic_load_explicit(&m->slices[i].count, memory_order_relaxed);

        emit_quantiles(page, m, i, name, help, labels[i]);
        selfmetrics_emit_part(page, name, "_sum", METRIC_SUMMARY, help,
                              labels[i], metric_get(&m->slices[i].seconds));
        selfmetrics_emit_part(page, name, "_count", METRIC_SUMMARY, help,
                              labels[i], (double)n);
    }
    selfmetrics_emit(
        page, "prometheus_engine_query_samples_total", METRIC_COUNTER,
        "The total number of samples loaded by all queries.", NULL,
        (double)atomic_load_explicit(&m->samples, memory_order_relaxed));
}

void api_metrics_write(struct selfmetrics_page *page, void *arg)
{
    static const struct family families[] = {
        { "prometheus_http_request_duration_seconds",
          "Histogram of latencies for HTTP requests.", seconds_bounds,
          SECONDS_BOUNDS },
        { "prometheus_http_response_size_bytes",
          "Histogram of response size for HTTP requests.", bytes_bounds,
          BYTES_BOUNDS },
    };
    const struct api *api = arg;
    struct api_metrics *m = api->metrics;

    for (size_t i = 0; i < m->handler_count; i++) {
        const struct handler_metrics *h = &m->handlers[i];

        if (!called(&h->seconds, SECONDS_BOUNDS))
            continue;
        emit(page, &families[0], api->routes[i].path, &h->seconds);
        emit(page, &families[1], api->routes[i].path, &h->bytes);
    }
    emit_slices(page, m);
}
