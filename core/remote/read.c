/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote read: another Prometheus or a Thanos asks for series by matchers and
 * a range of time. What the request says is bounded before memory is taken
 * for it: its length, compressed and not, and the samples of an answer that
 * has to be built whole. The streamed answer leaves frame by frame.
 *
 * External labels are part of every series that leaves; a matcher for one of
 * them that fits is turned into "has no such label", because the store has
 * none.
 *
 * So many requests are worked on at once; others wait for as long as their
 * client does, at most WAIT_MS.
 */
#include "remote/read.h"

#include <pthread.h>
#include <stdlib.h>

#include <snappy-c.h>

#include "remote/encode.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

#define TEXT  "text/plain; charset=utf-8"
#define PROTO "application/x-protobuf"
#define STREAMED                                                               \
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
#define WAIT_MS            (2 * 60 * 1000)
#define LOOK_MS            100
#define CONCURRENT_DEFAULT 10
#define SAMPLES_DEFAULT    UINT64_C(50000000)
#define FRAME_DEFAULT      ((size_t)1 << 20)
#define SNAPPY_RATIO       64 /* no block can become more                   */

struct remote_reader {
    struct remote_reader_options options;
    struct read_limits limits;
    struct metric *running_metric;
    pthread_mutex_t mutex; /* guards what is below                         */
    pthread_cond_t freed;
    size_t running;
};

struct remote_reader *
remote_reader_new(const struct remote_reader_options *options)
{
    struct remote_reader *r = mem_new(struct remote_reader);
    pthread_condattr_t attr;

    r->options = *options;
    if (!r->options.concurrent)
        r->options.concurrent = CONCURRENT_DEFAULT;
    r->limits.samples =
        options->sample_limit ? options->sample_limit : SAMPLES_DEFAULT;
    r->limits.frame_bytes =
        options->frame_bytes ? options->frame_bytes : FRAME_DEFAULT;
    r->running_metric = selfmetrics_gauge(
        options->metrics, "prometheus_api_remote_read_queries",
        "The current number of remote read queries being executed or waiting.",
        NULL);
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->freed, &attr);
    (void)pthread_condattr_destroy(&attr);
    return r;
}

void remote_reader_free(struct remote_reader *r)
{
    if (!r)
        return;
    (void)pthread_cond_destroy(&r->freed);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}

/* ---- the request -------------------------------------------------------- */

static void fail(struct http_call *call, int status, const char *text)
{
    struct buf b;

    buf_init(&b);
    buf_printf(&b, "%s\n", text);
    http_call_set_header(call, "X-Content-Type-Options", SONDE_STR("nosniff"));
    http_reply_take(call, status, TEXT, &b);
}

static bool decompress(struct http_call *call, struct buf *out)
{
    sonde_str body = http_call_body(call);
    size_t len = 0;
    char *at;

    if (snappy_uncompressed_length(body.ptr, body.len, &len) != SNAPPY_OK ||
        len > REMOTE_READ_BODY_MAX || len / SNAPPY_RATIO > body.len) {
        fail(call, 400, "snappy: corrupt input");
        return false;
    }
    at = buf_reserve(out, len + 1);
    if (snappy_uncompress(body.ptr, body.len, at, &len) != SNAPPY_OK) {
        fail(call, 400, "snappy: corrupt input");
        return false;
    }
    buf_added(out, len);
    return true;
}

/* ---- series ------------------------------------------------------------- */

/* A matcher for an external label that fits asks for series without it. */
static struct matcher *store_matchers(struct http_call *call,
                                      const struct read_query *q,
                                      const struct labels *external)
{
    struct matcher *ms = arena_array(http_call_arena(call), struct matcher,
                                     q->matcher_count + 1);

    for (size_t i = 0; i < q->matcher_count; i++) {
        const struct matcher *m = &q->matchers[i];

        ms[i] = *m;
        if (m->op == MATCH_EQ && m->value.len &&
            sonde_str_eq(labels_get(external, m->name), m->value))
            ms[i].value = SONDE_STR("");
    }
    return ms;
}

static struct labels with_external(struct arena *a, const struct labels *l,
                                   const struct labels *external)
{
    struct labels_builder lb;

    if (external->count == 0)
        return *l;
    labels_builder_init(&lb, a);
    labels_builder_from(&lb, external);
    for (size_t i = 0; i < l->count; i++)
        labels_builder_set(&lb, l->items[i].name, l->items[i].value);
    return labels_builder_view(&lb);
}

static int by_labels(const void *a, const void *b)
{
    const struct read_series *x = a, *y = b;

    return labels_cmp(&x->labels, &y->labels);
}

static sonde_code select_series(struct http_call *call, struct querier *qr,
                                const struct read_query *q,
                                const struct labels *external,
                                struct read_selection *out,
                                struct sonde_err *err)
{
    struct select_hints hints = { .mint = q->start, .maxt = q->end };
    struct storage_series *s;
    sonde_code rc = qr->ops->select(qr, store_matchers(call, q, external),
                                    q->matcher_count, &hints, &out->set, err);

    while (rc == SONDE_OK &&
           (rc = out->set->ops->next(out->set, &s, err)) == SONDE_OK) {
        out->items = mem_grow(out->items, &out->cap, out->count + 1,
                              sizeof(*out->items));
        out->items[out->count++] = (struct read_series){
            with_external(http_call_arena(call), &s->labels, external), s
        };
    }
    if (rc != SONDE_ENOTFOUND)
        return rc;
    if (out->count)
        qsort(out->items, out->count, sizeof(*out->items), by_labels);
    return SONDE_OK;
}

static void selection_fini(struct read_selection *s)
{
    if (s->set)
        s->set->ops->free(s->set);
    free(s->items);
}

/* ---- answers ------------------------------------------------------------ */

/* Where one query's series go: into `whole`, or frames into `stream`. */
struct answer {
    const struct remote_reader *reader;
    struct http_call *call;
    struct labels external;
    struct buf *whole;
    uint64_t left; /* samples that may still be in it                      */
    struct http_stream *stream;
};

static sonde_code answer_query(struct answer *a, const struct read_query *q,
                               size_t number, struct sonde_err *err)
{
    struct storage *store = a->reader->options.storage;
    struct read_selection s = { 0 };
    struct querier *qr = NULL;
    sonde_code rc = store->ops->querier(store, q->start, q->end, &qr, err);

    if (rc == SONDE_OK && q->matcher_count > 0)
        rc = select_series(a->call, qr, q, &a->external, &s, err);
    if (rc == SONDE_OK && a->whole)
        rc = read_put_result(a->call, q, &s, &a->reader->limits, &a->left,
                             a->whole, err);
    else if (rc == SONDE_OK)
        rc = read_put_frames(a->stream, q, number, &s, &a->reader->limits, err);
    selection_fini(&s);
    if (qr)
        qr->ops->free(qr);
    return rc;
}

static sonde_code answer_all(struct answer *a, const struct read_request *r,
                             struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < r->count; i++)
        rc = answer_query(a, &r->queries[i], i, err);
    return rc;
}

static int status_of(sonde_code rc)
{
    return rc == SONDE_ELIMIT ? 400 : 500;
}

static void answer_samples(struct answer *a, const struct read_request *r)
{
    struct buf whole = { 0 }, packed = { 0 };
    struct sonde_err err = { 0 };
    sonde_code rc;

    a->whole = &whole; /* cppcheck-suppress autoVariables ; for this call */
    a->left = a->reader->limits.samples;
    rc = answer_all(a, r, &err);
    if (rc == SONDE_OK) {
        encode_body(buf_str(&whole), &packed);
        http_call_set_header(a->call, "Content-Encoding", SONDE_STR("snappy"));
        http_reply_take(a->call, 200, PROTO, &packed);
    } else {
        fail(a->call, status_of(rc), err.text);
    }
    buf_fini(&whole);
    buf_fini(&packed);
}

static void answer_streamed(struct answer *a, const struct read_request *r)
{
    struct sonde_err err = { 0 };
    struct http_stream h;
    sonde_code rc;

    http_stream_open(&h, a->call, 200, STREAMED);
    a->stream = &h; /* cppcheck-suppress autoVariables ; for this call */
    rc = answer_all(a, r, &err);
    if (rc == SONDE_OK) {
        http_stream_close(&h);
    } else {
        bool begun = h.begun;

        http_stream_abort(&h);
        if (!begun)
            fail(a->call, status_of(rc), err.text);
    }
}

static void answer(const struct remote_reader *reader, struct http_call *call,
                   const struct read_request *r)
{
    struct answer a = { .reader = reader, .call = call };

    if (reader->options.external_labels)
        reader->options.external_labels(reader->options.arg,
                                        http_call_arena(call), &a.external);
    if (r->streamed)
        answer_streamed(&a, r);
    else if (r->samples || !r->accepts)
        answer_samples(&a, r);
    else
        fail(call, 400,
             arena_cstr(http_call_arena(call),
                        arena_printf(
                            http_call_arena(call),
                            "server does not support any of the requested "
                            "response types: [%.*s]; supported: map[SAMPLES:{} "
                            "STREAMED_XOR_CHUNKS:{}]",
                            SONDE_ARG(buf_str(&r->unknown)))));
}

/* ---- the page ----------------------------------------------------------- */

/* False: the client went, or waited for too long. */
static bool enter(struct remote_reader *r, struct http_call *call)
{
    sonde_msec end = clock_monotonic(&clock_system) + WAIT_MS;
    bool in;

    (void)pthread_mutex_lock(&r->mutex);
    while (r->running >= r->options.concurrent && !http_call_gone(call) &&
           clock_monotonic(&clock_system) < end) {
        struct timespec until =
            clock_timespec(clock_monotonic(&clock_system) + LOOK_MS);

        (void)pthread_cond_timedwait(&r->freed, &r->mutex, &until);
    }
    in = r->running < r->options.concurrent;
    r->running += in;
    metric_set(r->running_metric, (int64_t)r->running);
    (void)pthread_mutex_unlock(&r->mutex);
    return in;
}

static void leave(struct remote_reader *r)
{
    (void)pthread_mutex_lock(&r->mutex);
    r->running--;
    metric_set(r->running_metric, (int64_t)r->running);
    (void)pthread_cond_signal(&r->freed);
    (void)pthread_mutex_unlock(&r->mutex);
}

static void handle(const struct remote_reader *r, struct http_call *call)
{
    struct read_request request;
    struct sonde_err err = { 0 };
    struct buf plain = { 0 };
    sonde_code rc;

    if (!decompress(call, &plain))
        return;
    rc = read_request_parse(http_call_arena(call), buf_str(&plain), &request,
                            &err);
    if (rc == SONDE_OK)
        answer(r, call, &request);
    else
        fail(call, rc == SONDE_EPARSE ? 400 : 500, err.text);
    read_request_fini(&request);
    buf_fini(&plain);
}

void remote_reader_handle(struct remote_reader *r, struct http_call *call)
{
    if (!enter(r, call)) {
        fail(call, 503, "too many remote reads are under way");
        return;
    }
    handle(r, call);
    leave(r);
}
