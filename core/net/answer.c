/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer, as curl brings it: header lines first, then the body in pieces.
 * A piece that is not compressed goes to the reader as it lies in curl's own
 * buffer. Only the exact encoding "gzip" is decoded, as Prometheus does; it
 * is decoded here and not by curl, so that limits apply to what comes out.
 *
 * There may be several header blocks: of 1xx answers, which are passed over,
 * and trailers after the body, which are ignored. The body of an answer that
 * nobody wants to read (a redirect, an error page) is drained up to a bound,
 * which keeps the connection, and cut off above it.
 *
 * Returning less than was given makes curl end the request with
 * CURLE_WRITE_ERROR; why, is in t->err or answer.enough.
 */
#include <stdlib.h>

#include "net/gunzip.h"
#include "net/transfer.h"
#include "util/str.h"

/* Below curl's own bound (300 KiB), so that the sentence is ours. */
#define HEADERS_MAX_BYTES  ((size_t)256 << 10)
#define UNREAD_MAX_BYTES   ((uint64_t)64 << 10)
#define LIMIT_REACHED_TEXT "body size limit exceeded"

void answer_fini(struct answer *a)
{
    gunzip_free(a->gunzip);
    *a = (struct answer){ 0 };
}

static size_t cancel(struct transfer *t)
{
    if (t->client)
        (void)sonde_err_set(&t->err, SONDE_ECANCELED,
                            "%s: canceled by the reader", http_error_what(t));
    return 0;
}

/* "HTTP/1.1 200 OK" */
static int status_of(sonde_str line)
{
    size_t at = str_index(line, ' ');
    uint64_t status = 0;

    (void)str_to_u64(str_sub(line, at + 1, at + 4), &status);
    return (int)status;
}

static bool is_redirect(const struct transfer *t)
{
    bool follow = !t->config || t->config->follow_redirects;

    switch (t->answer.status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return follow && t->answer.location.len > 0;
    default:
        return false;
    }
}

static bool wants_body(const struct transfer *t)
{
    int status = t->answer.status;

    if (t->answer.redirect || !t->req.data)
        return false;
    return t->req.error_body || (status >= 200 && status <= 299);
}

/* The empty line after the headers. */
static bool headers_end(struct transfer *t)
{
    struct answer *a = &t->answer;

    if (a->status >= 100 && a->status <= 199)
        return true;
    a->final = true;
    a->redirect = is_redirect(t);
    if (a->redirect)
        return true;
    if (str_eq_cstr(a->content_encoding, "gzip") && wants_body(t))
        a->gunzip = gunzip_new();
    if (!t->req.begin)
        return true;
    return t->req.begin(t->req.arg, a->status, a->content_type) && t->client;
}

static void header_line(struct transfer *t, sonde_str line)
{
    struct {
        sonde_str name;
        sonde_str *value;
    } wanted[] = {
        { SONDE_STR("content-type"), &t->answer.content_type },
        { SONDE_STR("content-encoding"), &t->answer.content_encoding },
        { SONDE_STR("retry-after"), &t->answer.retry_after },
        { SONDE_STR("location"), &t->answer.location },
    };
    size_t colon = str_index(line, ':');
    sonde_str name = str_sub(line, 0, colon);

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (colon < line.len && str_eq_nocase(name, wanted[i].name))
            *wanted[i].value = arena_str(
                &t->arena, str_trim(str_sub(line, colon + 1, line.len)));
}

// NOLINTNEXTLINE(readability-non-const-parameter): curl's type
size_t answer_header(char *text, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct answer *a = &t->answer;
    sonde_str raw = { text, size * n }, line = str_trim(raw);

    if (!t->client)
        return 0;
    if (a->final)
        return raw.len;
    a->header_bytes += raw.len;
    if (a->header_bytes > HEADERS_MAX_BYTES) {
        (void)sonde_err_set(&t->err, SONDE_ELIMIT,
                            "%s: more than %zu bytes of headers",
                            http_error_what(t), HEADERS_MAX_BYTES);
        return 0;
    }
    if (str_starts(line, SONDE_STR("HTTP/"))) {
        a->status = status_of(line);
        a->content_type = a->content_encoding = a->retry_after = a->location =
            (sonde_str){ 0 };
    } else if (line.len == 0) {
        return headers_end(t) ? raw.len : cancel(t);
    } else {
        header_line(t, line);
    }
    return raw.len;
}

/* Hands a decoded piece on; false ends the request. */
static bool deliver(struct transfer *t, sonde_str piece)
{
    uint64_t limit = t->req.body_limit_bytes;

    t->answer.body_bytes += piece.len;
    if (limit && t->answer.body_bytes >= limit) {
        (void)sonde_err_set(&t->err, SONDE_ELIMIT, LIMIT_REACHED_TEXT);
        return false;
    }
    if (!t->req.data(t->req.arg, piece) || !t->client) {
        (void)cancel(t);
        return false;
    }
    return true;
}

static bool decode(struct transfer *t, sonde_str piece)
{
    char *out = net_loop_scratch(t->loop);
    struct gunzip *g = t->answer.gunzip;
    struct sonde_err why;
    size_t got;

    gunzip_input(g, piece);
    do {
        if (gunzip_next(g, out, LOOP_SCRATCH, &got, &why) != SONDE_OK) {
            (void)sonde_err_set(&t->err, why.code, "%s: %s", http_error_what(t),
                                why.text);
            return false;
        }
        if (got && !deliver(t, (sonde_str){ out, got }))
            return false;
    } while (got);
    return true;
}

// NOLINTNEXTLINE(readability-non-const-parameter): curl's type
size_t answer_body(char *text, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct answer *a = &t->answer;
    sonde_str piece = { text, size * n };

    if (!t->client)
        return 0;
    a->wire_bytes += piece.len;
    if (!wants_body(t)) {
        a->enough = a->wire_bytes > UNREAD_MAX_BYTES;
        return a->enough ? 0 : piece.len;
    }
    if (a->gunzip)
        return decode(t, piece) ? piece.len : 0;
    return deliver(t, piece) ? piece.len : 0;
}

sonde_code answer_finish(struct transfer *t, struct sonde_err *err)
{
    struct answer *a = &t->answer;
    bool empty = a->status == 204 || str_eq_cstr(t->req.method, "HEAD");

    if (!a->final)
        return sonde_err_set(err, SONDE_EPROTO,
                             "%s: unexpected EOF: the headers are cut off",
                             http_error_what(t));
    if (!a->gunzip || gunzip_complete(a->gunzip) || (empty && !a->wire_bytes))
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EPROTO,
                         "%s: unexpected EOF: the gzip body is cut off after "
                         "%llu bytes",
                         http_error_what(t), (unsigned long long)a->wire_bytes);
}
