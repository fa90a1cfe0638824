/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page of stub_status:
 *
 *     Active connections: 291
 *     server accepts handled requests
 *      16630948 16630948 31070465
 *     Reading: 6 Writing: 179 Waiting: 106
 *
 * Words and numbers are read in this order with any blanks between them, CRLF
 * included, and nothing may follow. Tengine has a fourth column,
 * request_time, in milliseconds. The most common mistake is a path that ends
 * up at the site's own pages with status 200, so that is said in these words.
 */
#include <ctype.h>

#include "nginx.h"

static void skip_blanks(sonde_str *s)
{
    while (s->len && isspace((unsigned char)s->ptr[0])) {
        s->ptr++;
        s->len--;
    }
}

static bool take_word(sonde_str *s, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(s);
    if (s->len < n || memcmp(s->ptr, word, n) != 0)
        return false;
    s->ptr += n;
    s->len -= n;
    return true;
}

static bool take_number(sonde_str *s, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;

    skip_blanks(s);
    for (; i < s->len && isdigit((unsigned char)s->ptr[i]); i++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s->ptr[i] - '0'), &v))
            return false;
    if (i == 0)
        return false;
    s->ptr += i;
    s->len -= i;
    *out = v;
    return true;
}

static bool take_page(sonde_str s, struct stub_status *o)
{
    if (!take_word(&s, "Active connections:") || !take_number(&s, &o->active) ||
        !take_word(&s, "server accepts handled requests"))
        return false;
    o->has_request_time = take_word(&s, "request_time");
    if (!take_number(&s, &o->accepts) || !take_number(&s, &o->handled) ||
        !take_number(&s, &o->requests) ||
        (o->has_request_time && !take_number(&s, &o->request_time)))
        return false;
    if (!take_word(&s, "Reading:") || !take_number(&s, &o->reading) ||
        !take_word(&s, "Writing:") || !take_number(&s, &o->writing) ||
        !take_word(&s, "Waiting:") || !take_number(&s, &o->waiting))
        return false;
    skip_blanks(&s);
    return s.len == 0;
}

static const char *what_it_is(sonde_str body)
{
    skip_blanks(&body);
    if (body.len == 0)
        return "an empty answer";
    if (body.ptr[0] == '<')
        return "an HTML page: is the path right, and has its location "
               "`stub_status;`?";
    if (body.ptr[0] == '{' || body.ptr[0] == '[')
        return "JSON: for the vts module set mode: vts, for NGINX Plus "
               "mode: plus";
    return "another text";
}

sonde_code stub_parse(sonde_str body, struct stub_status *out,
                      struct sonde_err *err)
{
    *out = (struct stub_status){ 0 };
    if (take_page(body, out))
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EPARSE,
                         "expected the page of stub_status, got %s",
                         what_it_is(body));
}

void stub_emit(struct nginx_emit *e, const struct stub_status *s)
{
    emit_sample(e, F_ACTIVE, NULL, (double)s->active);
    emit_sample(e, F_ACCEPTED, NULL, (double)s->accepts);
    emit_sample(e, F_HANDLED, NULL, (double)s->handled);
    emit_sample(e, F_READING, NULL, (double)s->reading);
    emit_sample(e, F_WRITING, NULL, (double)s->writing);
    emit_sample(e, F_WAITING, NULL, (double)s->waiting);
    emit_sample(e, F_REQUESTS, NULL, (double)s->requests);
    if (s->has_request_time)
        emit_sample(e, F_REQUEST_TIME, NULL, (double)s->request_time / 1000);
}
