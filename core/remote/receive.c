/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote write, receiving: /api/v1/write. Which message it is, is said by the
 * headers and never guessed: a 2.0 body read as 1.0 is empty.
 *
 * A request is worked on at a desk, which has the memory for it: one per
 * processor and one more, so that some are decoded while another waits for
 * the disk. A request that finds no free desk waits, with its compressed body
 * only; when too many do, it is told to come back. So the memory is bounded
 * whatever senders do: the desks' arrays (receive_int.h), a body each way at
 * every desk, and what the server allows for bodies in all.
 *
 * The length that a snappy block declares is checked before memory is taken
 * for it: against the limit, and against what that many bytes can become.
 */
#include <stdlib.h>
#include <unistd.h>

#include <snappy-c.h>

#include "remote/receive_int.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define CACHE_LIMIT    ((size_t)4 << 20) /* entries, of 32 bytes            */
#define DESKS_MAX      16
#define WAITING_MAX    REMOTE_RECEIVE_WAITING_MAX
#define KEEP_BYTES     ((size_t)4 << 20) /* of a desk's buffers, when free */
#define KEEP_ELEMENTS  ((size_t)32 << 10)
#define SNAPPY_RATIO   22 /* a copy of 64 bytes takes 3                       */
#define TEXT           "text/plain; charset=utf-8"
#define RETRY_LATER    "5"
#define VERSION_BIT(v) (1u << (v))
#define MESSAGE_V1     "prometheus.WriteRequest"
#define MESSAGE_V2     "io.prometheus.write.v2.Request"

/* ---- desks ------------------------------------------------------------- */

static void desk_init(struct receive_desk *d, struct remote_receiver *r)
{
    *d = (struct receive_desk){ .receiver = r };
    d->appender = storage_appender(r->storage);
    arena_init(&d->arena);
    buf_init(&d->plain);
    buf_init(&d->tally.reasons);
    d->keys = mem_alloc((size_t)2 * RECEIVE_LABELS_MAX * sizeof(*d->keys));
}

static void desk_fini(struct receive_desk *d)
{
    appender_free(d->appender);
    arena_fini(&d->arena);
    buf_fini(&d->plain);
    buf_fini(&d->tally.reasons);
    free(d->keys);
    free(d->symbols);
    free(d->symbol_keys);
    free(d->series);
    free(d->samples);
    free(d->extras);
}

/* Gives an array back that an unusual request made large. */
#define TIDY(array, cap)                                                       \
    do {                                                                       \
        if ((cap) > KEEP_ELEMENTS) {                                           \
            free(array);                                                       \
            (array) = NULL;                                                    \
            (cap) = 0;                                                         \
        }                                                                      \
    } while (0)

static void desk_tidy(struct receive_desk *d)
{
    struct buf reasons = d->tally.reasons;

    buf_shrink(&d->plain, KEEP_BYTES);
    buf_shrink(&reasons, KEEP_BYTES);
    d->tally = (struct receive_tally){ .reasons = reasons };
    arena_reset(&d->arena);
    TIDY(d->symbols, d->symbol_cap);
    TIDY(d->symbol_keys, d->symbol_key_cap);
    TIDY(d->series, d->series_cap);
    TIDY(d->samples, d->sample_cap);
    TIDY(d->extras, d->extra_cap);
    d->symbol_count = 0;
}

struct receive_desk *receive_desk_get(struct remote_receiver *r)
{
    struct receive_desk *d = NULL;

    (void)pthread_mutex_lock(&r->lock);
    if (r->free_desks || r->waiting < WAITING_MAX) {
        r->waiting++;
        while (!r->free_desks)
            (void)pthread_cond_wait(&r->freed, &r->lock);
        r->waiting--;
        d = r->free_desks;
        r->free_desks = d->next;
    }
    (void)pthread_mutex_unlock(&r->lock);
    return d;
}

void receive_desk_put(struct receive_desk *d)
{
    struct remote_receiver *r = d->receiver;

    desk_tidy(d);
    (void)pthread_mutex_lock(&r->lock);
    d->next = r->free_desks;
    r->free_desks = d;
    (void)pthread_cond_signal(&r->freed);
    (void)pthread_mutex_unlock(&r->lock);
}

/* ---- headers ----------------------------------------------------------- */

/* The protocol's version of a message's name; 0: none. */
static int version_of(sonde_str message)
{
    if (str_eq_cstr(message, MESSAGE_V1))
        return 1;
    return str_eq_cstr(message, MESSAGE_V2) ? 2 : 0;
}

/* 0 and a reply if it is not one that is taken. */
static int version_by_type(const struct remote_receiver *r,
                           struct http_call *call)
{
    sonde_str rest = http_call_header(call, "Content-Type");
    sonde_str type = rest, part;
    int version = 1;

    if (rest.len && str_split(&rest, ';', &part)) {
        if (!str_eq_nocase(str_trim(part), SONDE_STR("application/x-protobuf")))
            version = 0;
        while (version && str_split(&rest, ';', &part)) {
            part = str_trim(part);
            if (str_starts(part, SONDE_STR("proto=")))
                version = version_of(str_sub(part, 6, part.len));
        }
    }
    if (version && (r->versions & VERSION_BIT(version)))
        return version;
    http_reply(call, 415, TEXT,
               arena_printf(http_call_arena(call),
                            "Content-Type \"%.*s\": expected "
                            "application/x-protobuf with proto=%s%s%s\n",
                            SONDE_ARG(str_sub(type, 0, 200)),
                            r->versions & VERSION_BIT(1) ? MESSAGE_V1 : "",
                            r->versions == 6 ? " or " : "",
                            r->versions & VERSION_BIT(2) ? MESSAGE_V2 : ""));
    return 0;
}

static bool encoding_is_taken(struct http_call *call)
{
    sonde_str e = http_call_header(call, "Content-Encoding");

    if (e.len == 0 || str_eq_nocase(e, SONDE_STR("snappy")))
        return true;
    http_reply(call, 415, TEXT,
               arena_printf(http_call_arena(call),
                            "Content-Encoding \"%.*s\": expected snappy\n",
                            SONDE_ARG(str_sub(e, 0, 200))));
    return false;
}

/* ---- the request ------------------------------------------------------- */

static sonde_code decompress(struct receive_desk *d, sonde_str body,
                             struct sonde_err *err)
{
    size_t len = 0;
    char *out;

    if (snappy_uncompressed_length(body.ptr, body.len, &len) != SNAPPY_OK)
        return sonde_err_set(err, SONDE_EPARSE,
                             "decompress %zu bytes: no snappy block", body.len);
    if (len > RECEIVE_BODY_MAX)
        return sonde_err_set(err, SONDE_EPARSE,
                             "decompress %zu bytes: they declare %zu bytes, at "
                             "most %zu are taken",
                             body.len, len, RECEIVE_BODY_MAX);
    if (len / SNAPPY_RATIO > body.len)
        return sonde_err_set(err, SONDE_EPARSE,
                             "decompress %zu bytes: they can not become the "
                             "%zu that they declare",
                             body.len, len);
    out = buf_reserve(&d->plain, len + 1);
    if (snappy_uncompress(body.ptr, body.len, out, &len) != SNAPPY_OK)
        return sonde_err_set(err, SONDE_EPARSE,
                             "decompress %zu bytes: the snappy block is "
                             "corrupt",
                             body.len);
    buf_added(&d->plain, len);
    return SONDE_OK;
}

static void reply_busy(struct remote_receiver *r, struct http_call *call)
{
    metric_inc(r->metrics.busy);
    http_call_set_header(call, "Retry-After", SONDE_STR("1"));
    http_reply(call, 503, TEXT,
               SONDE_STR("too many remote writes wait already\n"));
}

sonde_code receive_work(struct receive_desk *d, int version, sonde_str body,
                        struct sonde_err *err)
{
    struct remote_receiver *r = d->receiver;
    sonde_code rc;

    d->version = version;
    metric_inc(r->metrics.requests[version - 1]);
    metric_add(r->metrics.bytes, body.len);
    receive_cache_age(&r->cache, clock_monotonic(&clock_system));
    rc = decompress(d, body, err);
    return rc == SONDE_OK ? receive_walk(d, err) : rc;
}

static void set_written(const struct receive_desk *d, struct http_call *call)
{
    static const char *const names[] = {
        [RECEIVED_SAMPLES] = "X-Prometheus-Remote-Write-Samples-Written",
        [RECEIVED_HISTOGRAMS] = "X-Prometheus-Remote-Write-Histograms-Written",
        [RECEIVED_EXEMPLARS] = "X-Prometheus-Remote-Write-Exemplars-Written",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        http_call_set_header(
            call, names[i],
            arena_printf(http_call_arena(call), "%zu",
                         receive_written(&d->tally, (enum received_kind)i)));
}

void remote_receiver_handle(struct remote_receiver *r, struct http_call *call)
{
    int version = version_by_type(r, call), status;
    struct sonde_err err = { 0 };
    struct receive_desk *d;
    struct buf text;
    sonde_code rc;

    if (!version || !encoding_is_taken(call))
        return;
    d = receive_desk_get(r);
    if (!d) {
        reply_busy(r, call);
        return;
    }
    rc = receive_work(d, version, http_call_body(call), &err);
    buf_init(&text);
    status = receive_verdict(d, rc, &err, &text);
    if (version == 2 && status < 500)
        set_written(d, call);
    receive_desk_put(d);
    if (status == 503)
        http_call_set_header(call, "Retry-After", SONDE_STR(RETRY_LATER));
    http_reply_take(call, status, status == 204 ? "" : TEXT, &text);
}

/* ---- beginning and end ------------------------------------------------- */

static void emit_cache(struct selfmetrics_page *page, void *arg)
{
    struct remote_receiver *r = arg;
    size_t n;

    (void)pthread_rwlock_rdlock(&r->cache.lock);
    n = r->cache.count;
    (void)pthread_rwlock_unlock(&r->cache.lock);
    selfmetrics_emit(page, "sonde_remote_receive_series_cache_entries",
                     METRIC_GAUGE,
                     "Series that the remote-write receiver knows by the bytes "
                     "of their labels.",
                     NULL, (double)n);
}

static void register_rejected(struct remote_receiver *r)
{
    static const char *const reasons[APPEND_VERDICTS] = {
        [APPEND_DUPLICATE_SAME] = "reason=\"duplicate_same\"",
        [APPEND_DUPLICATE_OTHER] = "reason=\"duplicate_other\"",
        [APPEND_OUT_OF_ORDER] = "reason=\"out_of_order\"",
        [APPEND_TOO_OLD] = "reason=\"too_old\"",
        [APPEND_TOO_FAR] = "reason=\"too_far\"",
    };
    static const char name[] = "sonde_remote_receive_rejected_samples_total";
    static const char help[] =
        "Received samples that were not stored, by reason; duplicate_same are "
        "repetitions, which the sender is not told about.";

    for (size_t i = 0; i < APPEND_VERDICTS; i++)
        if (reasons[i])
            r->metrics.rejected[i] =
                selfmetrics_counter(r->registry, name, help, reasons[i]);
    r->metrics.refused =
        selfmetrics_counter(r->registry, name, help, "reason=\"invalid\"");
}

static void register_metrics(struct remote_receiver *r)
{
    struct selfmetrics *s = r->registry;
    struct receive_metrics *m = &r->metrics;
    static const char requests[] = "sonde_remote_receive_requests_total";
    static const char requests_help[] =
        "Remote writes received, by version of the protocol.";
    static const char refused[] = "sonde_remote_receive_failed_requests_total";
    static const char refused_help[] =
        "Remote writes of which nothing was acknowledged: malformed, turned "
        "away because too many waited, or not stored.";

    m->requests[0] =
        selfmetrics_counter(s, requests, requests_help, "version=\"1.0\"");
    m->requests[1] =
        selfmetrics_counter(s, requests, requests_help, "version=\"2.0\"");
    m->busy = selfmetrics_counter(s, refused, refused_help, "reason=\"busy\"");
    m->malformed =
        selfmetrics_counter(s, refused, refused_help, "reason=\"malformed\"");
    m->failed =
        selfmetrics_counter(s, refused, refused_help, "reason=\"storage\"");
    m->bytes = selfmetrics_counter(s, "sonde_remote_receive_bytes_total",
                                   "Bytes of remote writes, compressed.", NULL);
    m->samples = selfmetrics_counter(s, "sonde_remote_receive_samples_total",
                                     "Samples received and stored.", NULL);
    m->histograms = selfmetrics_counter(
        s, "sonde_remote_receive_histograms_total",
        "Native histogram samples received and stored.", NULL);
    m->exemplars =
        selfmetrics_counter(s, "sonde_remote_receive_exemplars_total",
                            "Exemplars received and stored.", NULL);
    m->misses = selfmetrics_counter(
        s, "sonde_remote_receive_series_cache_misses_total",
        "Received series whose labels had to be looked at.", NULL);
    m->remade = selfmetrics_counter(
        s, "sonde_remote_receive_series_remade_total",
        "Received series that the store had removed meanwhile.", NULL);
    m->invalid_labels = selfmetrics_counter(
        s, "prometheus_api_remote_write_invalid_labels_samples_total",
        "The total number of received remote write samples and histogram "
        "samples which were rejected due to invalid labels.",
        NULL);
    m->without_metadata = selfmetrics_counter(
        s,
        "prometheus_api_remote_write_without_metadata_appended_samples_total",
        "The total number of received remote write samples (and histogram "
        "samples) which were ingested without corresponding metadata.",
        NULL);
    register_rejected(r);
    if (s)
        selfmetrics_callback(s, emit_cache, r);
}

static size_t desks_wanted(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    if (cpus < 1)
        cpus = 1;
    return cpus + 1 < DESKS_MAX ? (size_t)cpus + 1 : DESKS_MAX;
}

sonde_code remote_receiver_new(const struct remote_receiver_options *options,
                               struct remote_receiver **out,
                               struct sonde_err *err)
{
    unsigned versions = 0;
    struct remote_receiver *r;

    for (size_t i = 0; i < options->messages.count; i++) {
        int v = version_of(options->messages.items[i]);

        if (!v)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "protobuf message \"%.*s\" can not be "
                                 "received; known are " MESSAGE_V1
                                 " and " MESSAGE_V2,
                                 SONDE_ARG(options->messages.items[i]));
        versions |= VERSION_BIT(v);
    }
    r = mem_new(struct remote_receiver);
    r->registry = options->metrics;
    r->storage = options->storage;
    r->versions = versions ? versions : VERSION_BIT(1) | VERSION_BIT(2);
    receive_cache_init(&r->cache, options->cache_limit ? options->cache_limit
                                                       : CACHE_LIMIT);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->freed, NULL);
    register_metrics(r);
    r->desk_count = desks_wanted();
    r->desks = mem_alloc(r->desk_count * sizeof(*r->desks));
    for (size_t i = 0; i < r->desk_count; i++) {
        desk_init(&r->desks[i], r);
        r->desks[i].next = r->free_desks;
        r->free_desks = &r->desks[i];
    }
    *out = r;
    return SONDE_OK;
}

void remote_receiver_free(struct remote_receiver *r)
{
    if (!r)
        return;
    if (r->registry)
        selfmetrics_uncallback(r->registry, emit_cache, r);
    for (size_t i = 0; i < r->desk_count; i++)
        desk_fini(&r->desks[i]);
    free(r->desks);
    receive_cache_fini(&r->cache);
    (void)pthread_cond_destroy(&r->freed);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}
