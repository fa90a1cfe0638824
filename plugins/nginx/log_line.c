/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of an access log, cut along their format.
 *
 * A value ends where the text behind its variable begins. That is safe
 * because nginx escapes values (a `"` in one becomes \x22, or \" in JSON);
 * only what stands without quotes and holds blanks needs care, which are the
 * lists of upstreams, "0.010, 0.020 : -". Nothing is allocated for a line.
 *
 * Times of several tries are added up: that is what the client waited for.
 * Tries without an answer are "-" and count for nothing; if all are, there is
 * no time.
 */
#include "log.h"

static void cut(sonde_str *s, size_t n)
{
    s->ptr += n;
    s->len -= n;
}

/* ---- where values end ---------------------------------------------------- */

static bool is_escaped(const char *begin, const char *at)
{
    const char *p = at;

    while (p > begin && p[-1] == '\\')
        p--;
    return (at - p) % 2 == 1;
}

/* The end of a value that `text` follows, or NULL. */
static const char *find_end(const struct log_format *f, const char *p,
                            const char *end, sonde_str text)
{
    for (const char *from = p; from < end;) {
        const char *at = memchr(from, text.ptr[0], (size_t)(end - from));

        if (!at || (size_t)(end - at) < text.len)
            return NULL;
        if (memcmp(at, text.ptr, text.len) == 0 &&
            !(f->json && text.ptr[0] == '"' && is_escaped(p, at)))
            return at;
        from = at + 1;
    }
    return NULL;
}

/* The same for a list of tries: its own ", " and " : " do not end it. */
static const char *find_list_end(const char *p, const char *end, sonde_str text)
{
    for (; p < end; p++) {
        size_t left = (size_t)(end - p);

        if (left > 2 && p[0] == ',' && p[1] == ' ' && p[2] != '"') {
            p++;
            continue;
        }
        if (left > 3 && p[0] == ' ' && p[1] == ':' && p[2] == ' ') {
            p += 2;
            continue;
        }
        if (text.len && left >= text.len && memcmp(p, text.ptr, text.len) == 0)
            return p;
    }
    return text.len ? NULL : end;
}

static bool cut_line(const struct log_format *f, sonde_str line,
                     sonde_str values[LOG_FIELDS])
{
    const char *p = line.ptr, *end = line.ptr + line.len;

    for (size_t i = 0; i < f->count; i++) {
        const struct log_piece *piece = &f->pieces[i];
        sonde_str text = i + 1 < f->count ? f->pieces[i + 1].before : f->after;
        const char *stop;

        if (piece->before.len) {
            if ((size_t)(end - p) < piece->before.len ||
                memcmp(p, piece->before.ptr, piece->before.len) != 0)
                return false;
            p += piece->before.len;
        }
        if (piece->list)
            stop = find_list_end(p, end, text);
        else
            stop = text.len ? find_end(f, p, end, text) : end;
        if (!stop)
            return false;
        values[piece->field] = (sonde_str){ p, (size_t)(stop - p) };
        p = stop;
    }
    return true;
}

/* ---- values -------------------------------------------------------------- */

static const sonde_str methods[] = {
    [METHOD_NONE] = { "", 0 },
    [METHOD_OTHER] = SONDE_STR("other"),
    [METHOD_FIRST] = SONDE_STR("GET"),
    SONDE_STR("POST"),
    SONDE_STR("HEAD"),
    SONDE_STR("PUT"),
    SONDE_STR("DELETE"),
    SONDE_STR("PATCH"),
    SONDE_STR("OPTIONS"),
    SONDE_STR("CONNECT"),
    SONDE_STR("TRACE"),
    SONDE_STR("PROPFIND"),
    SONDE_STR("MKCOL"),
    SONDE_STR("COPY"),
    SONDE_STR("MOVE"),
    SONDE_STR("REPORT"),
};

sonde_str log_method_name(unsigned method)
{
    return methods[method];
}

unsigned log_method_count(void)
{
    return sizeof(methods) / sizeof(methods[0]);
}

static unsigned method_of(sonde_str name)
{
    for (unsigned i = METHOD_FIRST; i < sizeof(methods) / sizeof(methods[0]);
         i++)
        if (sonde_str_eq(methods[i], name))
            return i;
    return METHOD_OTHER;
}

static sonde_str up_to(sonde_str s, char c)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;

    return at ? (sonde_str){ s.ptr, (size_t)(at - s.ptr) } : s;
}

/* "GET /path?query HTTP/1.1"; anything else is no request we know. */
static void read_request(sonde_str s, struct log_record *out)
{
    sonde_str method = up_to(s, ' ');

    out->method = method_of(method);
    if (method.len == s.len)
        return;
    cut(&s, method.len + 1);
    out->path = up_to(up_to(s, ' '), '?');
}

static bool read_count(sonde_str s, uint64_t *out)
{
    uint64_t v = 0;

    *out = 0;
    if (s.len == 0 || (s.len == 1 && s.ptr[0] == '-'))
        return true;
    if (s.len > 19)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned d = (unsigned)s.ptr[i] - '0';

        if (d > 9)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

static bool read_status(sonde_str s, unsigned *out)
{
    if (s.len != 3)
        return false;
    *out = 0;
    for (size_t i = 0; i < 3; i++) {
        unsigned d = (unsigned)s.ptr[i] - '0';

        if (d > 9)
            return false;
        *out = *out * 10 + d;
    }
    return true;
}

/* Seconds as digits with up to nine behind the point. */
static bool read_seconds(sonde_str s, double *out)
{
    static const double powers[] = { 1,   1e1, 1e2, 1e3, 1e4,
                                     1e5, 1e6, 1e7, 1e8, 1e9 };
    uint64_t v = 0;
    size_t point = s.len, i = 0;

    if (s.len == 0 || s.len > 16)
        return false;
    for (; i < s.len; i++) {
        unsigned d = (unsigned)s.ptr[i] - '0';

        if (s.ptr[i] == '.' && point == s.len && i > 0) {
            point = i;
            continue;
        }
        if (d > 9)
            return false;
        v = v * 10 + d;
    }
    if (point + 1 == s.len || (point < s.len && s.len - point - 1 > 9))
        return false;
    *out = (double)v / powers[point < s.len ? s.len - point - 1 : 0];
    return true;
}

static size_t item_len(sonde_str s)
{
    size_t n = 0;

    while (n < s.len && s.ptr[n] != ',' && s.ptr[n] != ' ')
        n++;
    return n;
}

/* The sum of all tries; below 0 when there is none. */
static bool read_times(sonde_str s, double *out)
{
    *out = -1;
    while (s.len) {
        size_t n = item_len(s);
        sonde_str item = { s.ptr, n };
        double v;

        if (n > 0 && !(n == 1 && (item.ptr[0] == '-' || item.ptr[0] == ':'))) {
            if (!read_seconds(item, &v))
                return false;
            *out = *out < 0 ? v : *out + v;
        }
        cut(&s, n < s.len ? n + 1 : n);
    }
    return true;
}

bool log_line_parse(const struct log_format *f, sonde_str line,
                    struct log_record *out)
{
    sonde_str v[LOG_FIELDS] = { { 0 } };

    *out = (struct log_record){ 0 };
    if (!cut_line(f, line, v) || !read_status(v[FIELD_STATUS], &out->status) ||
        !read_count(
            v[f->has[FIELD_BODY_BYTES] ? FIELD_BODY_BYTES : FIELD_BYTES],
            &out->bytes) ||
        !read_count(v[FIELD_REQUEST_LENGTH], &out->request_bytes))
        return false;
    for (size_t i = 0; i < LOG_TIMES; i++)
        if (!read_times(v[FIELD_TIME + i], &out->times[i]))
            return false;
    if (f->has[FIELD_REQUEST])
        read_request(v[FIELD_REQUEST], out);
    if (f->has[FIELD_METHOD])
        out->method = method_of(v[FIELD_METHOD]);
    if (f->has[FIELD_URI])
        out->path = up_to(v[FIELD_URI], '?');
    out->server = v[FIELD_SERVER];
    return true;
}
