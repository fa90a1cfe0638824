/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A query to a server's API: a POSTed form, or GET where the server refuses
 * POST, as Prometheus' own client has it. Its JSON is read in
 * query_json.c.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/query_cmd.h"
#include "net/net.h"
#include "util/fs.h"
#include "util/str.h"
#include "util/utf8.h"

#define ANSWER_BYTES_MAX   (UINT64_C(4) << 30)
#define TIMEOUT_DEFAULT_MS (INT64_C(2) * 60 * 1000) /* of the servers, too */
#define TIMEOUT_MARGIN_MS                                                      \
    5000 /* for the server to say that it was too long                         \
          */
#define HEADERS_MAX 64

/* ---- the client's settings --------------------------------------------------
 */

struct client_file {
    struct config_head head;
    struct http_client_config client;
};

static sonde_code check_client(struct config_ctx *ctx, void *block,
                               struct sonde_err *err)
{
    struct client_file *f = block;

    return http_client_check(ctx, &f->client, f->head.node, err);
}

static const struct config_key client_rows[] = {
    HTTP_CLIENT_ROWS(struct client_file, client),
};
static const struct config_block_def client_block =
    CONFIG_BLOCK_DEF("http_config", struct client_file, client_rows,
                     check_client, "Settings of a client");

static void say_warning(void *arg, const char *text)
{
    (void)arg;
    cli_error("warning: %s", text);
}

/* Without a file: the defaults. */
static sonde_code read_settings(struct arena *a, const char *file,
                                struct client_file *out, struct sonde_err *err)
{
    struct config_ctx ctx = { .arena = a, .warn = say_warning };
    struct yaml_node *node = NULL;
    sonde_code rc = SONDE_OK;

    if (file) {
        struct buf text;

        buf_init(&text);
        rc = fs_read(file, YAML_TEXT_MAX_BYTES, &text, err);
        if (rc == SONDE_OK)
            rc = yaml_parse(a, file, arena_str(a, buf_str(&text)), &node, err);
        buf_fini(&text);
    }
    if (rc == SONDE_OK)
        rc = config_read(&ctx, &client_block, node, out, err);
    return rc;
}

/* "Name: value" or "name=value", whichever sign comes first. */
static sonde_code read_header(struct arena *a, sonde_str text,
                              struct http_header *out, struct sonde_err *err)
{
    size_t colon = str_index(text, ':'), eq = str_index(text, '=');
    size_t at = colon < eq ? colon : eq;

    if (at == 0 || at == text.len)
        return sonde_err_set(err, SONDE_EINVAL,
                             "header \"%.*s\": expected NAME: VALUE",
                             SONDE_ARG(text));
    out->name = arena_cstr(a, str_trim(str_sub(text, 0, at)));
    out->value = str_trim(str_sub(text, at + 1, text.len));
    return SONDE_OK;
}

/* ---- the form ------------------------------------------------------------ */

static void put_escaped(struct buf *b, sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || strchr("-_.~", c);

        if (plain && c)
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

static void put_param(struct buf *b, const char *name, sonde_str value)
{
    if (b->len)
        buf_char(b, '&');
    put_escaped(b, sonde_cstr(name));
    buf_char(b, '=');
    put_escaped(b, value);
}

/* Seconds with milliseconds. */
static void put_ms(struct buf *b, const char *name, sonde_msec t)
{
    uint64_t ms = t < 0 ? 0 - (uint64_t)t : (uint64_t)t;
    char text[40];

    (void)snprintf(text, sizeof(text), "%s%" PRIu64 ".%03u", t < 0 ? "-" : "",
                   ms / 1000, (unsigned)(ms % 1000));
    put_param(b, name, sonde_cstr(text));
}

static void put_form(struct buf *b, const struct query *q)
{
    bool expression = q->kind == QUERY_INSTANT || q->kind == QUERY_RANGE;

    if (expression)
        put_param(b, "query", sonde_cstr(q->text));
    for (size_t i = 0; i < q->matches.count; i++)
        put_param(b, "match[]", q->matches.items[i]);
    if (q->kind == QUERY_INSTANT && q->time.given)
        put_ms(b, "time", q->time.t);
    if (q->kind == QUERY_RANGE)
        put_ms(b, "step", q->step);
    if (q->kind != QUERY_INSTANT) {
        put_ms(b, "start", q->start.t);
        put_ms(b, "end", q->end.t);
    }
    if (expression && q->timeout_ms)
        put_ms(b, "timeout", q->timeout_ms);
    if (expression && q->lookback_ms)
        put_ms(b, "lookback_delta", q->lookback_ms);
}

/* What is no plain name goes as U__ with its escapes, which servers of 3.x
 * take: a slash would part the path. */
static void put_name(struct buf *b, sonde_str name)
{
    if (label_name_is_legacy(name)) {
        buf_put(b, name);
        return;
    }
    buf_cstr(b, "U__");
    while (name.len) {
        uint32_t rune;
        bool ok;

        name = str_sub(name, utf8_decode(name, &rune, &ok), name.len);
        if (rune < 0x80 && isalnum((int)rune))
            buf_char(b, (char)rune);
        else if (rune == '_')
            buf_cstr(b, "__");
        else
            buf_printf(b, "_%" PRIx32 "_", rune);
    }
}

/* The base may have a path; a name is one segment of the address. */
static void put_url(struct buf *b, const char *base, const struct query *q)
{
    static const char *const paths[] = { [QUERY_INSTANT] = "query",
                                         [QUERY_RANGE] = "query_range",
                                         [QUERY_SERIES] = "series" };
    sonde_str s = sonde_cstr(base);

    while (s.len && s.ptr[s.len - 1] == '/')
        s.len--;
    if (!strstr(base, "://"))
        buf_cstr(b, "http://");
    buf_put(b, s);
    buf_cstr(b, "/api/v1/");
    if (q->kind != QUERY_LABELS) {
        buf_cstr(b, paths[q->kind]);
        return;
    }
    buf_cstr(b, "label/");
    put_name(b, sonde_cstr(q->text));
    buf_cstr(b, "/values");
}

/* ---- asking -------------------------------------------------------------- */

struct asking {
    const struct http_client_config *config;
    struct http_request request;
    struct buf url, form, body;
    int status;
};

static sonde_code fetch(struct asking *k, bool post, struct sonde_err *err)
{
    struct http_request r = k->request;
    struct buf url;
    sonde_code rc;

    buf_init(&url);
    buf_put(&url, buf_str(&k->url));
    if (post) {
        r.body = buf_str(&k->form);
        r.method = SONDE_STR("POST");
    } else if (k->form.len) {
        buf_char(&url, '?');
        buf_put(&url, buf_str(&k->form));
    }
    r.url = buf_str(&url);
    buf_reset(&k->body);
    rc = http_fetch(k->config, &r, &k->body, &k->status, err);
    buf_fini(&url);
    return rc;
}

static sonde_code ask(struct asking *k, const struct query *q,
                      struct answer *out, struct sonde_err *err)
{
    bool post = q->kind != QUERY_LABELS;
    struct sonde_err why;
    sonde_code rc = fetch(k, post, err);

    if (rc == SONDE_OK && post && (k->status == 405 || k->status == 501))
        rc = fetch(k, false, err);
    if (rc != SONDE_OK)
        return rc;
    rc = answer_read_json(buf_str(&k->body), q->kind, out, &why);
    /* What is no answer of the API is told by its status. */
    if (rc == SONDE_EPARSE && k->status / 100 != 2)
        return sonde_err_set(err, SONDE_EIO, "%.*s: HTTP status %d",
                             SONDE_ARG(k->request.url), k->status);
    if (rc != SONDE_OK)
        *err = why;
    return rc;
}

sonde_code query_ask_server(const struct query_server *server, struct query *q,
                            struct answer *out, struct sonde_err *err)
{
    struct http_header headers[HEADERS_MAX + 1];
    struct client_file settings;
    struct asking k = { .config = &settings.client };
    sonde_msec timeout = q->timeout_ms ? q->timeout_ms : TIMEOUT_DEFAULT_MS;
    sonde_code rc =
        read_settings(out->arena, server->config_file, &settings, err);
    size_t n = 0;

    headers[n++] =
        (struct http_header){ "Content-Type",
                              SONDE_STR("application/x-www-form-urlencoded") };
    for (size_t i = 0;
         rc == SONDE_OK && i < server->headers.count && n <= HEADERS_MAX; i++)
        rc = read_header(out->arena, server->headers.items[i], &headers[n++],
                         err);
    if (rc != SONDE_OK)
        return rc;
    buf_init(&k.url);
    buf_init(&k.form);
    buf_init(&k.body);
    put_url(&k.url, server->url, q);
    put_form(&k.form, q);
    k.request =
        (struct http_request){ .url = buf_str(&k.url),
                               .headers = headers,
                               .header_count = n,
                               .timeout_ms = timeout + TIMEOUT_MARGIN_MS,
                               .body_limit_bytes = ANSWER_BYTES_MAX,
                               .accept_gzip = true };
    rc = ask(&k, q, out, err);
    out->start = q->start.t;
    out->end = q->end.t;
    out->step = q->step;
    buf_fini(&k.url);
    buf_fini(&k.form);
    buf_fini(&k.body);
    return rc;
}
