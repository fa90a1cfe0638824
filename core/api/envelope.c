/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all answers of the JSON API have around them, with the keys in the
 * order, the error types and the statuses of Prometheus, and the parameters
 * that many endpoints share. Clients match on some of the error texts, so
 * these are Prometheus' too.
 */
#include <stdarg.h>

#include "api/api_int.h"
#include "api/times.h"
#include "util/str.h"

static const struct {
    const char *type;
    int status;
} errors[] = {
    [API_BAD_DATA] = { "bad_data", 400 },
    [API_EXECUTION] = { "execution", 422 },
    [API_CANCELED] = { "canceled", 499 },
    [API_TIMEOUT] = { "timeout", 503 },
    [API_INTERNAL] = { "internal", 500 },
    [API_UNAVAILABLE] = { "unavailable", 500 },
    [API_NOT_READY] = { "unavailable", 503 },
};

void api_error(struct http_call *call, enum api_error type, const char *fmt,
               ...)
{
    struct buf text;
    char line[2048];
    struct jsonw j = jsonw_to(&text);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    buf_init(&text);
    jsonw_object(&j);
    jsonw_key(&j, "status");
    jsonw_cstr(&j, "error");
    jsonw_key(&j, "errorType");
    jsonw_cstr(&j, errors[type].type);
    jsonw_key(&j, "error");
    jsonw_cstr(&j, line);
    jsonw_object_end(&j);
    http_reply_take(call, errors[type].status, "application/json", &text);
}

void api_fail(struct http_call *call, const struct sonde_err *err)
{
    enum api_error type = API_EXECUTION;

    switch (err->code) {
    case SONDE_ETIMEOUT:
        type = API_TIMEOUT;
        break;
    case SONDE_ECANCELED:
        type = API_CANCELED;
        break;
    case SONDE_EIO:
    case SONDE_ECORRUPT:
    case SONDE_ENOSPACE:
    case SONDE_ENOMEM:
        type = API_INTERNAL;
        break;
    case SONDE_EUNAVAILABLE:
        type = API_UNAVAILABLE;
        break;
    default:
        break;
    }
    api_error(call, type, "%s", err->text);
}

void api_not_found(struct http_call *call)
{
    http_call_set_header(call, "X-Content-Type-Options", SONDE_STR("nosniff"));
    http_reply(call, 404, "text/plain; charset=utf-8",
               SONDE_STR("404 page not found\n"));
}

struct jsonw *api_answer_begin(struct api_answer *a, struct http_call *call)
{
    *a = (struct api_answer){ .warning = NULL };
    http_stream_open(&a->stream, call, 200, "application/json");
    a->json = jsonw_to(&a->stream.buf);
    jsonw_object(&a->json);
    jsonw_key(&a->json, "status");
    jsonw_cstr(&a->json, "success");
    jsonw_key(&a->json, "data");
    return &a->json;
}

static void put_lines(struct jsonw *j, const char *key, const char *first,
                      const struct sonde_list *more)
{
    if (!first && more->count == 0)
        return;
    jsonw_key(j, key);
    jsonw_array(j);
    if (first)
        jsonw_cstr(j, first);
    for (size_t i = 0; i < more->count; i++)
        jsonw_str(j, more->items[i]);
    jsonw_array_end(j);
}

void api_answer_send(struct api_answer *a)
{
    put_lines(&a->json, "warnings", a->warning, &a->warnings);
    put_lines(&a->json, "infos", NULL, &a->infos);
    jsonw_object_end(&a->json);
    http_stream_close(&a->stream);
}

/* ---- parameters -------------------------------------------------------- */

sonde_str api_param(const struct http_call *call, const char *name)
{
    sonde_str v = { 0 };

    (void)http_call_param(call, name, 0, &v);
    return v;
}

bool api_time_param(struct http_call *call, const char *name, sonde_msec *out)
{
    sonde_str v = api_param(call, name);

    if (v.len == 0 || api_time_parse(v, out))
        return true;
    api_error(call, API_BAD_DATA,
              "invalid parameter \"%s\": invalid time value for '%s': cannot "
              "parse \"%.*s\" to a valid timestamp",
              name, name, SONDE_ARG(str_sub(v, 0, API_SHOWN_MAX)));
    return false;
}

static bool bad_duration(struct http_call *call, const char *name, sonde_str v)
{
    api_error(call, API_BAD_DATA,
              "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid "
              "duration",
              name, SONDE_ARG(str_sub(v, 0, API_SHOWN_MAX)));
    return false;
}

bool api_duration_param(struct http_call *call, const char *name,
                        sonde_msec *out)
{
    sonde_str v = api_param(call, name);

    if (v.len == 0 || api_duration_parse(v, out))
        return true;
    return bad_duration(call, name, v);
}

bool api_signed_duration_param(struct http_call *call, const char *name,
                               sonde_msec *out)
{
    sonde_str v = api_param(call, name);
    bool negative = v.len > 1 && v.ptr[0] == '-';

    if (v.len == 0)
        return true;
    if (!api_duration_parse(negative ? str_sub(v, 1, v.len) : v, out))
        return bad_duration(call, name, v);
    if (negative)
        *out = -*out;
    return true;
}

bool api_int_parse(sonde_str s, int64_t *out)
{
    if (s.len > 1 && s.ptr[0] == '+')
        s = str_sub(s, 1, s.len);
    return str_to_i64(s, out);
}

bool api_limit_param(struct http_call *call, size_t *out)
{
    sonde_str v = api_param(call, "limit");
    int64_t n;

    *out = 0;
    if (v.len == 0)
        return true;
    if (!api_int_parse(v, &n)) {
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"limit\": strconv.Atoi: parsing "
                  "\"%.*s\": invalid syntax",
                  SONDE_ARG(str_sub(v, 0, API_SHOWN_MAX)));
        return false;
    }
    if (n < 0) {
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"limit\": limit must be non-negative");
        return false;
    }
    *out = (size_t)n;
    return true;
}

struct storage *api_store(struct api *api, struct http_call *call)
{
    struct storage *s = atomic_load(&api->storage);

    if (!s)
        api_error(call, API_NOT_READY, "the store is not open yet");
    return s;
}

void api_matchers_fini(struct matcher *ms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        matcher_fini(&ms[i]);
}

bool api_bool_parse(sonde_str s, bool *out)
{
    static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
    static const char *const no[] = {
        "0", "f", "F", "false", "FALSE", "False"
    };

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        *out = str_eq_cstr(s, yes[i]);
        if (*out || str_eq_cstr(s, no[i]))
            return true;
    }
    return false;
}
