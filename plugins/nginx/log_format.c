/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log_format of nginx.conf: the name combined, the text of a format, or a
 * whole directive with its quotes and its escape=.
 *
 * What comes of it is a row of variables with the fixed text before each, by
 * which log_line.c cuts lines. So between two variables there has to be some
 * text. Variables behind the last one of use are left out.
 */
#include <ctype.h>
#include <stdlib.h>

#include "log.h"

static const char combined[] =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status "
    "$body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

static const struct {
    const char *name;
    enum log_field field;
} variables[] = {
    { "request", FIELD_REQUEST },
    { "request_method", FIELD_METHOD },
    { "request_uri", FIELD_URI },
    { "uri", FIELD_URI },
    { "document_uri", FIELD_URI },
    { "status", FIELD_STATUS },
    { "body_bytes_sent", FIELD_BODY_BYTES },
    { "bytes_sent", FIELD_BYTES },
    { "request_length", FIELD_REQUEST_LENGTH },
    { "request_time", FIELD_TIME + TIME_REQUEST },
    { "upstream_response_time", FIELD_TIME + TIME_UPSTREAM },
    { "upstream_connect_time", FIELD_TIME + TIME_CONNECT },
    { "upstream_header_time", FIELD_TIME + TIME_HEADER },
};

/* ---- the text of a directive --------------------------------------------- */

static void skip_blanks(sonde_str *s)
{
    while (s->len && isspace((unsigned char)s->ptr[0])) {
        s->ptr++;
        s->len--;
    }
}

static void cut(sonde_str *s, size_t n)
{
    s->ptr += n;
    s->len -= n;
}

static bool starts(sonde_str s, const char *z)
{
    size_t n = strlen(z);

    return s.len >= n && memcmp(s.ptr, z, n) == 0;
}

static bool take_escape(struct log_format *f, sonde_str *s,
                        struct sonde_err *err)
{
    size_t n = 0;

    if (!starts(*s, "escape="))
        return true;
    while (n < s->len && !isspace((unsigned char)s->ptr[n]))
        n++;
    f->json = n == 11 && starts(*s, "escape=json");
    if (!f->json && !(n == 14 && starts(*s, "escape=default")) &&
        !(n == 11 && starts(*s, "escape=none"))) {
        (void)sonde_err_set(err, SONDE_EINVAL,
                            "log_format: expected escape=default, escape=json "
                            "or escape=none, got \"%.*s\"",
                            (int)n, s->ptr);
        return false;
    }
    cut(s, n);
    skip_blanks(s);
    return true;
}

/* One of '...' or "..." with backslashes, appended to `out`. */
static bool take_quoted(sonde_str *s, char *out, size_t *n)
{
    char quote = s->ptr[0];

    for (cut(s, 1); s->len; cut(s, 1)) {
        if (s->ptr[0] == quote) {
            cut(s, 1);
            return true;
        }
        if (s->ptr[0] == '\\' && s->len > 1) {
            static const char from[] = "ntr", to[] = "\n\t\r";
            const char *at = strchr(from, s->ptr[1]);

            /* What nginx does not unescape keeps its backslash. */
            if (at && *at) {
                cut(s, 1);
                out[(*n)++] = to[at - from];
                continue;
            }
            if (strchr("\"'\\", s->ptr[1]))
                cut(s, 1);
        }
        out[(*n)++] = s->ptr[0];
    }
    return false;
}

/* The format's own text: quoted pieces put together, or as it stands. */
static bool take_text(sonde_str s, char *out, size_t *n)
{
    *n = 0;
    if (s.len == 0 || (s.ptr[0] != '\'' && s.ptr[0] != '"')) {
        memcpy(out, s.ptr ? s.ptr : "", s.len);
        *n = s.len;
        return true;
    }
    for (skip_blanks(&s); s.len && s.ptr[0] != ';'; skip_blanks(&s))
        if ((s.ptr[0] != '\'' && s.ptr[0] != '"') || !take_quoted(&s, out, n))
            return false;
    return true;
}

/* "log_format NAME ": what follows is the text. */
static void skip_name(sonde_str *s)
{
    if (!starts(*s, "log_format") || s->len < 11 ||
        !isspace((unsigned char)s->ptr[10]))
        return;
    cut(s, 10);
    skip_blanks(s);
    while (s->len && !isspace((unsigned char)s->ptr[0]))
        cut(s, 1);
    skip_blanks(s);
}

static sonde_code unwrap(struct log_format *f, sonde_str s, sonde_str *out,
                         struct sonde_err *err)
{
    size_t n;

    skip_blanks(&s);
    while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    if (s.len == 0 || (s.len == 8 && starts(s, "combined")))
        s = (sonde_str){ combined, sizeof(combined) - 1 };
    skip_name(&s);
    if (!take_escape(f, &s, err))
        return SONDE_EINVAL;
    f->text = malloc(s.len + 1);
    if (!f->text)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    /* A raw text that begins with a quote is one of nginx' lines. */
    if (!take_text(s, f->text, &n) || n == 0) {
        memcpy(f->text, s.ptr, s.len);
        n = s.len;
    }
    *out = (sonde_str){ f->text, n };
    return SONDE_OK;
}

/* ---- variables ----------------------------------------------------------- */

/* $name or ${name} at the front; false: a plain dollar. */
static bool take_variable(sonde_str *s, sonde_str *name)
{
    bool braces = s->len > 1 && s->ptr[1] == '{';
    size_t from = braces ? 2 : 1, n = from;

    while (n < s->len &&
           (isalnum((unsigned char)s->ptr[n]) || s->ptr[n] == '_'))
        n++;
    if (n == from || (braces && (n == s->len || s->ptr[n] != '}')))
        return false;
    *name = (sonde_str){ s->ptr + from, n - from };
    cut(s, n + (braces ? 1 : 0));
    return true;
}

static enum log_field field_of(sonde_str name, sonde_str server_variable)
{
    if (server_variable.len && sonde_str_eq(name, server_variable))
        return FIELD_SERVER;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        if (sonde_str_eq(name, sonde_cstr(variables[i].name)))
            return variables[i].field;
    return FIELD_NONE;
}

/* Of these nginx writes one value for each try. */
static bool is_list(sonde_str name)
{
    return starts(name, "upstream_") && !starts(name, "upstream_http_") &&
           !starts(name, "upstream_cookie_") &&
           !starts(name, "upstream_trailer_") &&
           !starts(name, "upstream_cache_");
}

static sonde_code add_piece(struct log_format *f, sonde_str before,
                            sonde_str name, enum log_field field,
                            struct sonde_err *err)
{
    if (f->count == LOG_PIECES_MAX)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "log_format: expected at most %d variables",
                             LOG_PIECES_MAX);
    if (f->count && before.len == 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "log_format: nothing stands between $%.*s and "
                             "the variable before it, so where it begins can "
                             "not be known",
                             SONDE_ARG(name));
    if (field != FIELD_NONE && f->has[field])
        field = FIELD_NONE; /* the first one counts */
    f->has[field] = true;
    f->pieces[f->count++] = (struct log_piece){ .before = before,
                                                .field = field,
                                                .list = is_list(name) };
    return SONDE_OK;
}

static sonde_code add_pieces(struct log_format *f, sonde_str s,
                             sonde_str server_variable, struct sonde_err *err)
{
    const char *from = s.ptr;
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && s.len) {
        sonde_str before = { from, (size_t)(s.ptr - from) }, name;

        if (s.ptr[0] != '$' || !take_variable(&s, &name)) {
            cut(&s, 1);
            continue;
        }
        rc = add_piece(f, before, name, field_of(name, server_variable), err);
        from = s.ptr;
    }
    f->after = (sonde_str){ from, (size_t)(s.ptr - from) };
    return rc;
}

/* Lines are read up to the last variable of use. */
static void drop_useless(struct log_format *f)
{
    while (f->count && f->pieces[f->count - 1].field == FIELD_NONE) {
        f->count--;
        f->after = f->pieces[f->count].before;
    }
}

sonde_code log_format_parse(struct log_format *f, sonde_str text,
                            sonde_str server_variable, struct sonde_err *err)
{
    sonde_str unwrapped = { 0 };
    sonde_code rc;

    *f = (struct log_format){ 0 };
    if (text.len && memchr(text.ptr, '$', text.len) == NULL &&
        !(text.len == 8 && memcmp(text.ptr, "combined", 8) == 0))
        return sonde_err_set(err, SONDE_EINVAL,
                             "log_format: expected combined or a text with "
                             "variables as in nginx.conf, got \"%.*s\"",
                             text.len > 100 ? 100 : (int)text.len, text.ptr);
    rc = unwrap(f, text, &unwrapped, err);
    if (rc == SONDE_OK)
        rc = add_pieces(f, unwrapped, server_variable, err);
    if (rc == SONDE_OK && !f->has[FIELD_STATUS])
        rc = sonde_err_set(err, SONDE_EINVAL,
                           "log_format: expected $status somewhere");
    if (rc == SONDE_OK && server_variable.len && !f->has[FIELD_SERVER])
        rc = sonde_err_set(err, SONDE_EINVAL,
                           "server_label: log_format has no $%.*s",
                           SONDE_ARG(server_variable));
    drop_useless(f);
    return rc;
}

void log_format_fini(struct log_format *f)
{
    free(f->text);
    *f = (struct log_format){ 0 };
}
