/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients put into a request's target and form body, by the rules that
 * Go's net/url has and Prometheus' clients rely on: pairs are split at '&'
 * alone, a pair with ';' or a bad escape is dropped (and remembered, because
 * some endpoints make an error of it), '+' is a space in pairs but not in
 * paths, and a form's values come before the query string's of the same name.
 *
 * The number of pairs is bounded, because each costs more memory than its
 * bytes in the request. libmicrohttpd's own parser is not used: it has no
 * such rules, and decodes in place before one can look.
 */
#include "net/params.h"

#include "util/str.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* What "%XX" at `i` stands for; -1: it is none. */
static int escaped_byte(sonde_str s, size_t i)
{
    int hi = i + 1 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
    int lo = i + 2 < s.len ? hex_digit(s.ptr[i + 2]) : -1;

    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

static bool needs_decoding(sonde_str s, bool form)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '%' || (form && s.ptr[i] == '+'))
            return true;
    return false;
}

bool http_decode(struct arena *a, sonde_str s, bool form, sonde_str *out)
{
    size_t n = 0;
    char *p;

    if (!needs_decoding(s, form)) {
        *out = s;
        return true;
    }
    p = arena_alloc(a, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '%') {
            int byte = escaped_byte(s, i);

            if (byte < 0)
                return false;
            c = (char)byte;
            i += 2;
        } else if (form && c == '+') {
            c = ' ';
        }
        p[n++] = c;
    }
    *out = (sonde_str){ p, n };
    return true;
}

static size_t count_pairs(sonde_str s)
{
    size_t n = s.len > 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == '&';
    return n;
}

static void params_add(struct arena *a, sonde_str text, size_t cap,
                       struct http_params *p)
{
    sonde_str pair;

    while (str_split(&text, '&', &pair)) {
        struct http_param *out = &p->items[p->count];
        size_t eq = str_index(pair, '=');

        if (pair.len == 0)
            continue;
        if (p->count == cap) {
            p->too_many = true;
            return;
        }
        if (str_index(pair, ';') < pair.len ||
            !http_decode(a, str_sub(pair, 0, eq), true, &out->name) ||
            !http_decode(a, str_sub(pair, eq + (eq < pair.len), pair.len), true,
                         &out->value)) {
            if (!p->broken.ptr)
                p->broken = pair;
            continue;
        }
        p->count++;
    }
}

void http_params_parse(struct arena *a, sonde_str form, sonde_str query,
                       struct http_params *out)
{
    size_t cap = count_pairs(form) + count_pairs(query);

    *out = (struct http_params){ 0 };
    if (cap == 0)
        return;
    if (cap > HTTP_PARAMS_MAX)
        cap = HTTP_PARAMS_MAX;
    out->items = arena_array(a, struct http_param, cap + 1);
    params_add(a, form, cap, out);
    params_add(a, query, cap, out);
}

void http_params_why(const struct http_params *p, struct sonde_err *why)
{
    sonde_str pair = p->broken;
    size_t at = 0;

    if (str_index(pair, ';') < pair.len) {
        (void)sonde_err_set(why, SONDE_EPARSE,
                            "invalid semicolon separator in query");
        return;
    }
    while (at < pair.len &&
           (pair.ptr[at] != '%' || escaped_byte(pair, at) >= 0))
        at++;
    (void)sonde_err_set(why, SONDE_EPARSE, "invalid URL escape \"%.*s\"",
                        SONDE_ARG(str_sub(pair, at, at + 3)));
}

bool http_params_get(const struct http_params *p, const char *name, size_t i,
                     sonde_str *out)
{
    for (size_t k = 0; k < p->count; k++) {
        if (!str_eq_cstr(p->items[k].name, name) || i-- > 0)
            continue;
        *out = p->items[k].value;
        return true;
    }
    return false;
}

static bool plain_in_path(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~/!$&'()*+,;=:@", c));
}

void http_encode_path(struct buf *b, sonde_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (plain_in_path(path.ptr[i]))
            buf_char(b, path.ptr[i]);
        else
            buf_printf(b, "%%%02X", (unsigned char)path.ptr[i]);
    }
}

/* Where the last segment that is already in `p` begins. */
static size_t path_parent(const char *p, size_t n)
{
    while (n > 1 && p[n - 1] != '/')
        n--;
    return n > 1 ? n - 1 : 0;
}

sonde_str http_path_clean(struct arena *a, sonde_str path)
{
    bool folder = path.len == 0 || path.ptr[path.len - 1] == '/';
    char *p = arena_alloc(a, path.len + 2);
    size_t n = 0;
    sonde_str part;

    while (str_split(&path, '/', &part)) {
        if (part.len == 0 || str_eq_cstr(part, "."))
            continue;
        if (str_eq_cstr(part, "..")) {
            n = path_parent(p, n);
            continue;
        }
        p[n++] = '/';
        memcpy(p + n, part.ptr, part.len);
        n += part.len;
    }
    if (n == 0 || folder)
        p[n++] = '/';
    return (sonde_str){ p, n };
}
