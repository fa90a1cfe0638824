/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the http client's configuration, which scrape jobs, remote
 * writes and discovery share, and what no table can say: which keys exclude
 * each other, and which headers are ours to set.
 *
 * Two spellings become one here, so that nobody below has to know both:
 * bearer_token(_file) turns into `authorization`, and `http_headers` (a name
 * with values, secrets and files) into a plain map of names to values. Files
 * of headers are read when the configuration is; those of credentials are
 * read for every request, as they rotate.
 *
 * oauth2 has no effect yet, but its keys are checked.
 */
#include <string.h>

#include "net/net.h"
#include "util/arena.h"
#include "util/fs.h"
#include "util/str.h"

#define HEADER_FILE_MAX_BYTES (64u << 10)

static const char *const tls_versions[] = { "TLS10", "TLS11", "TLS12", "TLS13",
                                            NULL };

/* ---- tables ------------------------------------------------------------ */

static sonde_code exclusive(const struct yaml_node *at, sonde_str a,
                            sonde_str b, const char *names,
                            struct sonde_err *err)
{
    if (a.len == 0 || b.len == 0)
        return SONDE_OK;
    return yaml_error(at, err, "at most one of %s may be given", names);
}

static sonde_code check_basic_auth(struct config_ctx *ctx, void *block,
                                   struct sonde_err *err)
{
    const struct basic_auth *b = block;
    sonde_code rc = exclusive(b->head.node, b->username, b->username_file,
                              "username and username_file", err);

    (void)ctx;
    if (rc != SONDE_OK)
        return rc;
    return exclusive(b->head.node, b->password, b->password_file,
                     "password and password_file", err);
}

static const struct config_key basic_auth_rows[] = {
    CONFIG_ROW_STR(struct basic_auth, username, .help = "The user's name"),
    CONFIG_ROW_PATH(struct basic_auth, username_file,
                    .help = "File that holds the user's name"),
    CONFIG_ROW_SECRET(struct basic_auth, password, .help = "The password"),
    CONFIG_ROW_PATH(struct basic_auth, password_file,
                    .help = "File that holds the password, read anew for "
                            "each request"),
};
const struct config_block_def basic_auth_block =
    CONFIG_BLOCK_DEF("basic_auth", struct basic_auth, basic_auth_rows,
                     check_basic_auth, "User and password");

static sonde_code check_authorization(struct config_ctx *ctx, void *block,
                                      struct sonde_err *err)
{
    struct authorization *a = block;

    (void)ctx;
    a->type = str_trim(a->type);
    if (a->type.len == 0)
        a->type = SONDE_STR("Bearer");
    if (str_eq_nocase(a->type, SONDE_STR("basic")))
        return yaml_error(a->head.node, err,
                          "authorization: type can not be \"basic\"; use "
                          "basic_auth instead");
    return exclusive(a->head.node, a->credentials, a->credentials_file,
                     "credentials and credentials_file", err);
}

static const struct config_key authorization_rows[] = {
    CONFIG_ROW_STR(struct authorization, type, .fallback = "Bearer",
                   .help = "First word of the header"),
    CONFIG_ROW_SECRET(struct authorization, credentials,
                      .help = "Rest of the header, a token usually"),
    CONFIG_ROW_PATH(struct authorization, credentials_file,
                    .help = "File that holds the credentials, read anew for "
                            "each request"),
};
const struct config_block_def authorization_block = CONFIG_BLOCK_DEF(
    "authorization", struct authorization, authorization_rows,
    check_authorization, "The Authorization header of each request");

static sonde_code check_tls(struct config_ctx *ctx, void *block,
                            struct sonde_err *err)
{
    const struct tls_config *t = block;
    const struct yaml_node *at = t->head.node;
    bool cert = t->cert.len || t->cert_file.len;
    bool key = t->key.len || t->key_file.len;
    sonde_code rc = exclusive(at, t->ca, t->ca_file, "ca and ca_file", err);

    (void)ctx;
    if (rc == SONDE_OK)
        rc = exclusive(at, t->cert, t->cert_file, "cert and cert_file", err);
    if (rc == SONDE_OK)
        rc = exclusive(at, t->key, t->key_file, "key and key_file", err);
    if (rc != SONDE_OK)
        return rc;
    if (cert != key)
        return yaml_error(at, err,
                          "tls_config: a client certificate takes both a "
                          "cert and a key, only the %s is given",
                          cert ? "cert" : "key");
    if (t->min_version > t->max_version)
        return yaml_error(at, err,
                          "tls_config: min_version %s is above max_version "
                          "%s",
                          tls_versions[t->min_version],
                          tls_versions[t->max_version]);
    return SONDE_OK;
}

static const struct config_key tls_rows[] = {
    CONFIG_ROW_STR(struct tls_config, ca,
                   .help = "Certificates of the authorities, PEM"),
    CONFIG_ROW_STR(struct tls_config, cert, .help = "Client certificate, PEM"),
    CONFIG_ROW_SECRET(struct tls_config, key,
                      .help = "Key of the client certificate, PEM"),
    CONFIG_ROW_PATH(struct tls_config, ca_file,
                    .help = "File of the authorities' certificates; the "
                            "system's without one"),
    CONFIG_ROW_PATH(struct tls_config, cert_file,
                    .help = "File of the client certificate"),
    CONFIG_ROW_PATH(struct tls_config, key_file,
                    .help = "File of the client certificate's key"),
    CONFIG_ROW_STR(struct tls_config, server_name,
                   .help = "Name to ask for and to check, if it is not the "
                           "host's"),
    CONFIG_ROW_BOOL(struct tls_config, insecure_skip_verify,
                    .help = "Take any certificate"),
    CONFIG_ROW_ENUM(struct tls_config, min_version, .choices = tls_versions,
                    .fallback = "TLS12", .flags = CONFIG_QUIET,
                    .help = "Oldest version to accept"),
    CONFIG_ROW_ENUM(struct tls_config, max_version, .choices = tls_versions,
                    .fallback = "TLS13", .flags = CONFIG_QUIET,
                    .help = "Newest version to accept"),
};
const struct config_block_def tls_config_block =
    CONFIG_BLOCK_DEF("tls_config", struct tls_config, tls_rows, check_tls,
                     "TLS of connections that this agent opens");

static const struct config_key oauth2_rows[] = {
    CONFIG_ROW_CHECKED("client_id", CONFIG_STR),
    CONFIG_ROW_CHECKED("client_secret", CONFIG_SECRET),
    CONFIG_ROW_CHECKED("client_secret_file", CONFIG_PATH),
    CONFIG_ROW_CHECKED("client_certificate_key_id", CONFIG_STR),
    CONFIG_ROW_CHECKED("client_certificate_key", CONFIG_SECRET),
    CONFIG_ROW_CHECKED("client_certificate_key_file", CONFIG_PATH),
    CONFIG_ROW_CHECKED("signature_algorithm", CONFIG_STR),
    CONFIG_ROW_CHECKED("grant_type", CONFIG_STR),
    CONFIG_ROW_CHECKED("iss", CONFIG_STR),
    CONFIG_ROW_CHECKED("audience", CONFIG_STR),
    CONFIG_ROW_CHECKED("claims", CONFIG_NODE),
    CONFIG_ROW_CHECKED("scopes", CONFIG_STR_LIST),
    CONFIG_ROW_CHECKED("token_url", CONFIG_URL, .flags = CONFIG_REQUIRED),
    CONFIG_ROW_CHECKED("endpoint_params", CONFIG_STR_MAP),
    CONFIG_ROW_CHECKED("tls_config", CONFIG_BLOCK, .block = &tls_config_block),
    CONFIG_ROW_CHECKED("proxy_url", CONFIG_URL),
    CONFIG_ROW_CHECKED("no_proxy", CONFIG_STR),
    CONFIG_ROW_CHECKED("proxy_from_environment", CONFIG_BOOL),
    CONFIG_ROW_CHECKED("proxy_connect_header", CONFIG_NODE),
};
static const struct config_block_def oauth2_block =
    CONFIG_BLOCK_DEF("oauth2", struct config_head, oauth2_rows, NULL,
                     "OAuth 2.0 client credentials");

struct header_config {
    struct config_head head;
    struct sonde_list values, secrets, files;
};
static const struct config_key header_rows[] = {
    CONFIG_ROW_STR_LIST(struct header_config, values),
    CONFIG_ROW_STR_LIST(struct header_config, secrets),
    CONFIG_ROW_PATH_LIST(struct header_config, files),
};
static const struct config_block_def header_block =
    CONFIG_BLOCK_DEF("http_headers", struct header_config, header_rows, NULL,
                     "Values of a header");

/* ---- headers ----------------------------------------------------------- */

static bool is_reserved(sonde_str name)
{
    static const char *const reserved[] = {
        "Accept-Encoding",
        "Authorization",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "Content-Type",
        "Host",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "User-Agent",
        "WWW-Authenticate",
        "X-Amz-Content-Sha256",
        "X-Amz-Date",
        "X-Amz-Security-Token",
        "X-Prometheus-Remote-Read-Version",
        "X-Prometheus-Remote-Write-Version",
        "X-Prometheus-Scrape-Timeout-Seconds",
    };

    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (str_eq_nocase(name, sonde_cstr(reserved[i])))
            return true;
    return false;
}

static bool is_header_name(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || (unsigned char)s.ptr[i] > '~' ||
            strchr("()<>@,;:\\\"/[]?={}", s.ptr[i]))
            return false;
    return s.len > 0;
}

static bool is_header_value(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '\r' || s.ptr[i] == '\n')
            return false;
    return true;
}

sonde_code http_header_check(const struct yaml_node *at, sonde_str name,
                             struct sonde_err *err)
{
    if (!is_header_name(name))
        return yaml_error(at, err, "\"%.*s\" is not the name of a header",
                          SONDE_ARG(str_sub(name, 0, 64)));
    if (is_reserved(name))
        return yaml_error(at, err,
                          "header \"%.*s\" is set by the agent and can not be "
                          "given here%s",
                          SONDE_ARG(name),
                          str_eq_nocase(name, SONDE_STR("Authorization"))
                              ? "; use basic_auth or authorization"
                              : "");
    return SONDE_OK;
}

static sonde_code read_header_file(struct config_ctx *ctx,
                                   const struct yaml_node *at, sonde_str path,
                                   sonde_str *out, struct sonde_err *err)
{
    struct sonde_err why;
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    rc = fs_read(arena_cstr(ctx->arena, path), HEADER_FILE_MAX_BYTES, &b, &why);
    if (rc == SONDE_OK)
        *out = arena_str(ctx->arena, str_trim(buf_str(&b)));
    buf_fini(&b);
    return rc == SONDE_OK ? rc : yaml_error(at, err, "%s", why.text);
}

static sonde_code join_values(struct config_ctx *ctx,
                              const struct header_config *h, sonde_str *items,
                              struct sonde_err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < h->values.count; i++)
        items[n++] = h->values.items[i];
    for (size_t i = 0; i < h->secrets.count; i++)
        items[n++] = h->secrets.items[i];
    for (size_t i = 0; i < h->files.count; i++) {
        sonde_code rc = read_header_file(ctx, h->head.node, h->files.items[i],
                                         &items[n++], err);

        if (rc != SONDE_OK)
            return rc;
    }
    for (size_t i = 0; i < n; i++)
        if (!is_header_value(items[i]))
            return yaml_error(h->head.node, err,
                              "http_headers: a value with a line break");
    return SONDE_OK;
}

static sonde_code read_header(struct config_ctx *ctx,
                              const struct yaml_node *key,
                              const struct yaml_node *value,
                              struct config_pair *out, struct sonde_err *err)
{
    struct header_config h;
    sonde_str *items;
    size_t n;
    sonde_code rc = http_header_check(key, key->scalar, err);

    if (rc == SONDE_OK)
        rc = config_read(ctx, &header_block, value, &h, err);
    if (rc != SONDE_OK)
        return rc;
    n = h.values.count + h.secrets.count + h.files.count;
    items = arena_array(ctx->arena, sonde_str, n + 1);
    out->key = key->scalar;
    out->node = value;
    out->values = (struct sonde_list){ items, n };
    return join_values(ctx, &h, items, err);
}

static sonde_code read_headers(struct config_ctx *ctx,
                               struct http_client_config *c,
                               struct sonde_err *err)
{
    const struct yaml_node *n = c->http_headers;
    struct config_ctx plain = *ctx;
    struct config_pair *pairs;

    if (!n)
        return SONDE_OK;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, err,
                          "http_headers: expected a mapping of names "
                          "to values, secrets and files");
    plain.made = NULL; /* the structs live on the stack */
    pairs = arena_array(ctx->arena, struct config_pair, n->count + 1);
    c->http_headers_plain = (struct config_map){ pairs, n->count };
    for (size_t i = 0; i < n->count; i++) {
        sonde_code rc =
            read_header(&plain, n->keys[i], n->items[i], &pairs[i], err);

        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

/* ---- the whole block --------------------------------------------------- */

/* The old spelling of a bearer token as an authorization block. */
static sonde_code adopt_bearer(struct config_ctx *ctx,
                               struct http_client_config *c,
                               const struct yaml_node *at,
                               struct sonde_err *err)
{
    sonde_code rc = exclusive(at, c->bearer_token, c->bearer_token_file,
                              "bearer_token and bearer_token_file", err);

    if (rc != SONDE_OK || (!c->bearer_token.len && !c->bearer_token_file.len))
        return rc;
    if (c->basic_auth || c->authorization || c->oauth2)
        return yaml_error(at, err,
                          "at most one of basic_auth, authorization, oauth2 "
                          "and bearer_token may be given");
    c->authorization = arena_new(ctx->arena, struct authorization);
    c->authorization->type = SONDE_STR("Bearer");
    c->authorization->credentials = c->bearer_token;
    c->authorization->credentials_file = c->bearer_token_file;
    c->bearer_token = c->bearer_token_file = (sonde_str){ "", 0 };
    return SONDE_OK;
}

static sonde_code check_proxy(const struct http_client_config *c,
                              const struct yaml_node *at, struct sonde_err *err)
{
    if (c->proxy_from_environment && (c->proxy_url.len || c->no_proxy.len))
        return yaml_error(at, err,
                          "proxy_from_environment excludes proxy_url and "
                          "no_proxy");
    if (c->no_proxy.len && !c->proxy_url.len)
        return yaml_error(at, err, "no_proxy takes a proxy_url too");
    return SONDE_OK;
}

/* Their values are secrets, which a table of a NODE can not say. */
static void hide_proxy_headers(const struct http_client_config *c)
{
    const struct yaml_node *n = c->proxy_connect_header;

    for (size_t i = 0; n && i < n->count; i++)
        n->items[i]->secret = true;
}

static sonde_code check_oauth2(struct config_ctx *ctx,
                               const struct http_client_config *c,
                               struct sonde_err *err)
{
    struct config_ctx quiet = *ctx;
    struct config_head *scratch = arena_new(ctx->arena, struct config_head);

    quiet.warn = NULL;
    if (!c->oauth2)
        return SONDE_OK;
    return config_read(&quiet, &oauth2_block, c->oauth2, scratch, err);
}

sonde_code http_client_check(struct config_ctx *ctx,
                             struct http_client_config *c,
                             const struct yaml_node *at, struct sonde_err *err)
{
    int kinds = (c->basic_auth != NULL) + (c->authorization != NULL) +
                (c->oauth2 != NULL);
    sonde_code rc;

    if (kinds > 1)
        return yaml_error(at, err,
                          "at most one of basic_auth, authorization and "
                          "oauth2 may be given");
    hide_proxy_headers(c);
    rc = adopt_bearer(ctx, c, at, err);
    if (rc == SONDE_OK)
        rc = check_oauth2(ctx, c, err);
    if (rc == SONDE_OK)
        rc = check_proxy(c, at, err);
    if (rc == SONDE_OK)
        rc = read_headers(ctx, c, err);
    return rc;
}
