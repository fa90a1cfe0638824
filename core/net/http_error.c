/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of requests as sentences: what was asked of whom, and what went
 * wrong, in few words where the cause is common ("connection refused") and
 * curl's own where it is not. Passwords in URLs are masked.
 */
#include <ctype.h>
#include <stdlib.h>

#include "net/transfer.h"

const char *http_error_what(struct transfer *t)
{
    sonde_str url = t->url.text ? sonde_cstr(t->url.text) : t->req.url;

    return arena_printf(&t->arena, "%.*s %s%s%.*s", SONDE_ARG(t->req.method),
                        url_masked(&t->arena, url),
                        transfer_is_local(t) ? " over unix:" : "",
                        transfer_is_local(t) ? (int)t->req.unix_socket.len : 0,
                        t->req.unix_socket.ptr ? t->req.unix_socket.ptr : "")
        .ptr;
}

/* "Connection refused" of the system reads better in lower case here. */
static const char *system_text(struct transfer *t, const char *otherwise)
{
    long number = 0;
    char *text;

    (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
    if (number == 0)
        return otherwise;
    text = arena_cstr(&t->arena, sonde_cstr(strerror((int)number)));
    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

static const char *curl_text(const struct transfer *t, CURLcode code)
{
    return t->curl_text[0] ? t->curl_text : curl_easy_strerror(code);
}

static sonde_code set(struct transfer *t, sonde_code code, const char *before,
                      const char *text)
{
    return sonde_err_set(&t->err, code, "%s: %s%s", http_error_what(t), before,
                         text);
}

/* A flat list of the causes that have a better text than curl's. */
sonde_code http_error_set(struct transfer *t, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return sonde_err_set(&t->err, SONDE_ECONNECT,
                             "%s: lookup %s: no such host", http_error_what(t),
                             t->url.host);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return set(t, SONDE_ECONNECT, "", "lookup of the proxy: no such host");
    case CURLE_COULDNT_CONNECT:
        return set(t, SONDE_ECONNECT, "", system_text(t, curl_text(t, code)));
    case CURLE_OPERATION_TIMEDOUT:
        return set(t, SONDE_ETIMEOUT, "", curl_text(t, code));
    case CURLE_GOT_NOTHING:
        return set(t, SONDE_EPROTO, "",
                   "EOF: the connection was closed without an answer");
    case CURLE_PARTIAL_FILE:
        return set(t, SONDE_EPROTO, "unexpected EOF: ", curl_text(t, code));
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return set(t, SONDE_EIO, "", system_text(t, curl_text(t, code)));
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return set(t, SONDE_EPROTO,
                   "malformed HTTP answer: ", curl_text(t, code));
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ISSUER_ERROR:
        return set(t, SONDE_EAUTH, "tls: ", curl_text(t, code));
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
        return set(t, SONDE_EINVAL, "tls: ", curl_text(t, code));
    case CURLE_OUT_OF_MEMORY:
        return set(t, SONDE_ENOMEM, "", curl_text(t, code));
    default:
        return set(t, SONDE_EIO, "", curl_text(t, code));
    }
}

static const char *phase(const struct transfer *t)
{
    curl_off_t lookup = 0, sent = 0;

    if (t->answer.final)
        return "while reading the body";
    (void)curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup);
    (void)curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
    if (sent > 0)
        return "while awaiting headers";
    return lookup > 0 ? "while connecting" : "while looking up the host";
}

sonde_code http_error_timeout(struct transfer *t)
{
    return sonde_err_set(&t->err, SONDE_ETIMEOUT,
                         "%s: deadline exceeded: no complete answer in %lld ms "
                         "(%s)",
                         http_error_what(t), (long long)t->req.timeout_ms,
                         phase(t));
}
