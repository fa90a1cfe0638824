/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to an endpoint, and what its answer means. The specification
 * says: 2xx is done; 5xx, and whatever kept an answer from coming, is tried
 * again for ever; other answers would be the same the next time. 429 is a
 * request to slow down, so it is tried again too, whatever retry_on_http_429
 * says: the samples are in the log, waiting costs nothing, and dropping them
 * is what people complain about.
 *
 * Waiting starts at min_backoff and doubles up to max_backoff; Retry-After
 * goes before it, up to a bound, and the wait after that begins from there.
 */
#include "remote/sending.h"

#include <stdlib.h>
#include <time.h>

#include "util/mem.h"
#include "util/str.h"

#define LOG_EVERY_MS       30000
#define RETRY_AFTER_MAX_MS 600000
#define ERROR_BODY_LIMIT   65536 /* of an answer; more ends the reading   */
#define BATCH_SHRINK_MAX   16

void attempt_init(struct attempt *a, const struct sending *s)
{
    *a = (struct attempt){ .client =
                               http_client_new(s->loop, &s->config->http) };
}

void attempt_fini(struct attempt *a)
{
    http_client_free(a->client);
    buf_fini(&a->body);
    buf_fini(&a->error);
    *a = (struct attempt){ 0 };
}

static size_t fill_headers(const struct sending *s, sonde_str retries,
                           struct http_header out[SENDING_HEADERS_MAX])
{
    const struct config_map *more = &s->config->headers;
    size_t n = 0;

    out[n++] = (struct http_header){ "Content-Encoding", SONDE_STR("snappy") };
    out[n++] = (struct http_header){ "Content-Type",
                                     SONDE_STR("application/x-protobuf") };
    out[n++] = (struct http_header){ "X-Prometheus-Remote-Write-Version",
                                     SONDE_STR("0.1.0") };
    if (retries.len)
        out[n++] = (struct http_header){ "Retry-Attempt", retries };
    for (size_t i = 0; i < more->count && n < SENDING_HEADERS_MAX; i++)
        if (more->items[i].values.count)
            out[n++] = (struct http_header){ more->items[i].key.ptr,
                                             more->items[i].values.items[0] };
    return n;
}

static size_t request_headers(const struct sending *s, unsigned tries,
                              char number[16],
                              struct http_header out[SENDING_HEADERS_MAX])
{
    sonde_str retries = { number, 0 };

    if (tries)
        retries.len = (size_t)snprintf(number, 16, "%u", tries);
    return fill_headers(s, retries, out);
}

/* `arg` of the request is the caller's; the body of an error is found by it,
 * for every caller's struct begins with its attempt. */
static bool keep_error(void *arg, sonde_str piece)
{
    struct attempt *a = arg;
    size_t room = SENDING_ERROR_BODY_MAX - a->error.len;

    buf_bytes(&a->error, piece.ptr, piece.len < room ? piece.len : room);
    return true;
}

void attempt_start(struct attempt *a, const struct sending *s,
                   void (*done)(void *arg, const struct http_result *r),
                   void *arg)
{
    struct http_header headers[SENDING_HEADERS_MAX];
    char number[16];
    struct http_request request = {
        .url = s->config->url,
        .method = SONDE_STR("POST"),
        .headers = headers,
        .body = buf_str(&a->body),
        .timeout_ms = s->config->remote_timeout,
        .body_limit_bytes = ERROR_BODY_LIMIT,
        .error_body = true,
        .data = keep_error,
        .done = done,
        .arg = arg,
    };

    if (arg != (void *)a)
        SONDE_BUG("a request's struct must begin with its attempt");
    request.header_count = request_headers(s, a->tries, number, headers);
    buf_reset(&a->error);
    a->tries++;
    http_client_start(a->client, &request);
}

enum answer answer_of(const struct http_result *r)
{
    if (r->code == SONDE_ECANCELED)
        return ANSWER_CANCELED;
    /* Only the body was too long: the status counts. */
    if (r->code != SONDE_OK && !(r->code == SONDE_ELIMIT && r->status))
        return ANSWER_AGAIN;
    if (r->status >= 200 && r->status <= 299)
        return ANSWER_DONE;
    if (r->status >= 500 || r->status == 429)
        return ANSWER_AGAIN;
    return r->status == 413 ? ANSWER_TOO_LARGE : ANSWER_REFUSED;
}

/* Not too far, for it may have been one batch with monstrous labels. */
void sending_shrink_batches(struct sending *s, size_t samples)
{
    size_t configured = (size_t)s->config->queue_config.max_samples_per_send;
    size_t least = configured / BATCH_SHRINK_MAX + 1;

    if (samples < least)
        samples = least;
    if (samples >= s->batch_max)
        return;
    log_warn("remote",
             "the receiver finds requests too large, sending "
             "smaller ones",
             LOG_CSTR("remote_name", s->endpoint->name),
             LOG_CSTR("url", s->endpoint->url), LOG_NUM("samples", samples));
    s->batch_max = samples;
}

sonde_msec retry_after_ms(sonde_str value, sonde_msec now_ms)
{
    char text[64];
    struct tm tm = { 0 };
    int64_t seconds;
    sonde_msec wait;

    value = str_trim(value);
    if (value.len == 0 || value.len >= sizeof(text))
        return 0;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    if (str_to_i64(value, &seconds)) {
        if (seconds > RETRY_AFTER_MAX_MS / 1000)
            seconds = RETRY_AFTER_MAX_MS / 1000;
        wait = seconds * 1000;
    } else if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm)) {
        wait = (sonde_msec)timegm(&tm) * 1000 - now_ms;
    } else {
        return 0;
    }
    if (wait > RETRY_AFTER_MAX_MS)
        wait = RETRY_AFTER_MAX_MS;
    return wait > 0 ? wait : 0;
}

sonde_msec attempt_wait(struct attempt *a, const struct sending *s,
                        const struct http_result *r)
{
    const struct remote_queue_config *q = &s->config->queue_config;
    sonde_msec asked = retry_after_ms(r->retry_after, clock_now(&clock_system));
    sonde_msec wait = a->backoff_ms ? a->backoff_ms : q->min_backoff;

    if (asked > 0)
        wait = asked;
    if (wait < 1)
        wait = 1;
    a->backoff_ms = wait < q->max_backoff / 2 ? 2 * wait : q->max_backoff;
    return later(clock_monotonic(&clock_system), wait);
}

void sending_log_retry(struct sending *s, const struct attempt *a,
                       const struct http_result *r)
{
    uint64_t held;

    if (!log_limit_pass(&s->failed_log, LOG_EVERY_MS, &held))
        return;
    log_warn("remote", "sending failed, will be tried again",
             LOG_CSTR("remote_name", s->endpoint->name),
             LOG_CSTR("url", s->endpoint->url), LOG_NUM("status", r->status),
             LOG_CSTR("err", r->error ? r->error : ""),
             LOG_STR("answer", buf_str(&a->error)), LOG_NUM("held", held));
}

void sending_log_refused(struct sending *s, const struct attempt *a,
                         const struct http_result *r, size_t lost)
{
    uint64_t held;

    if (!log_limit_pass(&s->refused_log, LOG_EVERY_MS, &held))
        return;
    log_error("remote", "the receiver refuses, samples are dropped",
              LOG_CSTR("remote_name", s->endpoint->name),
              LOG_CSTR("url", s->endpoint->url), LOG_NUM("status", r->status),
              LOG_NUM("dropped", lost), LOG_STR("answer", buf_str(&a->error)),
              LOG_NUM("held", held));
}
