/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A curl handle is told all about one request: URL, method, headers,
 * credentials, TLS, proxy. It is told anew each time, also after a redirect,
 * since handles are shared between clients and credentials may have changed
 * in their files; that is a few microseconds against a whole request.
 *
 * Redirects are not left to curl: it keeps user and password from another
 * host, but not what `http_headers` of the configuration may hold.
 *
 * curl waits for its resolver threads when a request ends early, which would
 * stop the whole loop for a slow name server; QUICK_EXIT lets them end alone.
 */
#include <stdlib.h>

#include "config.h"
#include "net/transfer.h"
#include "util/buf.h"
#include "util/fs.h"
#include "util/str.h"

#define SECRET_FILE_MAX ((size_t)64 << 10)
/* Large enough that a body of some MB costs few rounds, small enough to stay
 * in the second level cache. */
#define RECEIVE_BYTES (128L << 10)

#define OPT(t, name, value)                                                    \
    (void)curl_easy_setopt((t)->easy, CURLOPT_##name, (value))

/* ---- headers ----------------------------------------------------------- */

static sonde_code header_add(struct transfer *t, struct curl_slist **tail,
                             sonde_str name, sonde_str value)
{
    struct curl_slist *node = arena_new(&t->arena, struct curl_slist);
    sonde_str line;

    /* strchr finds its NUL too. */
    for (size_t i = 0; i < value.len; i++)
        if (strchr("\r\n", value.ptr[i]))
            return sonde_err_set(&t->err, SONDE_EINVAL,
                                 "header %.*s: expected one line, got a value "
                                 "with a line break or NUL",
                                 SONDE_ARG(name));
    /* For curl "Name:" would mean to leave a header out. */
    if (value.len)
        line = arena_printf(&t->arena, "%.*s: %.*s", SONDE_ARG(name),
                            SONDE_ARG(value));
    else
        line = arena_printf(&t->arena, "%.*s;", SONDE_ARG(name));
    node->data = arena_cstr(&t->arena, line);
    (*tail)->next = node;
    *tail = node;
    return SONDE_OK;
}

static bool request_has(const struct transfer *t, const char *name)
{
    for (size_t i = 0; i < t->req.header_count; i++)
        if (str_eq_nocase(sonde_cstr(t->req.headers[i].name), sonde_cstr(name)))
            return true;
    return false;
}

static sonde_code add_default(struct transfer *t, struct curl_slist **tail,
                              const char *name, const char *value)
{
    if (request_has(t, name))
        return SONDE_OK;
    return header_add(t, tail, sonde_cstr(name), sonde_cstr(value));
}

/* Secrets in headers stay with the first host. */
static bool is_secret(const char *name)
{
    return str_eq_nocase(sonde_cstr(name), SONDE_STR("authorization")) ||
           str_eq_nocase(sonde_cstr(name), SONDE_STR("cookie"));
}

static sonde_code add_request_headers(struct transfer *t,
                                      struct curl_slist **tail)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < t->req.header_count && rc == SONDE_OK; i++) {
        const struct http_header *h = &t->req.headers[i];

        if (!t->bare || !is_secret(h->name))
            rc = header_add(t, tail, sonde_cstr(h->name), h->value);
    }
    return rc;
}

static sonde_code add_config_headers(struct transfer *t,
                                     struct curl_slist **tail)
{
    const struct config_map *map = &t->config->http_headers_plain;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < map->count; i++)
        for (size_t k = 0; k < map->items[i].values.count && rc == SONDE_OK;
             k++)
            rc = header_add(t, tail, map->items[i].key,
                            map->items[i].values.items[k]);
    return rc;
}

/* ---- credentials ------------------------------------------------------- */

/* What is written in the configuration, or else stands in the file now. */
static sonde_code secret(struct transfer *t, const char *what, sonde_str plain,
                         sonde_str file, sonde_str *out)
{
    struct buf b;
    sonde_code rc;

    *out = plain;
    if (!file.len)
        return SONDE_OK;
    buf_init(&b);
    rc = fs_read(arena_cstr(&t->arena, file), SECRET_FILE_MAX, &b, &t->err);
    if (rc == SONDE_OK)
        *out = arena_str(&t->arena, str_trim(buf_str(&b)));
    else
        (void)sonde_err_prefix(&t->err, "read %s", what);
    if (b.data)
        explicit_bzero(b.data, b.len);
    buf_fini(&b);
    return rc;
}

static sonde_code set_basic_auth(struct transfer *t)
{
    const struct basic_auth *auth = t->config->basic_auth;
    sonde_str user, password;
    sonde_code rc;

    rc = secret(t, "the user name of basic_auth", auth->username,
                auth->username_file, &user);
    if (rc == SONDE_OK)
        rc = secret(t, "the password of basic_auth", auth->password,
                    auth->password_file, &password);
    if (rc != SONDE_OK)
        return rc;
    OPT(t, HTTPAUTH, CURLAUTH_BASIC);
    OPT(t, USERNAME, arena_cstr(&t->arena, user));
    OPT(t, PASSWORD, arena_cstr(&t->arena, password));
    return SONDE_OK;
}

static sonde_code add_authorization(struct transfer *t, sonde_str type,
                                    sonde_str plain, sonde_str file,
                                    struct curl_slist **tail)
{
    sonde_str credentials, value;
    sonde_code rc = secret(t, "the credentials", plain, file, &credentials);

    if (rc != SONDE_OK)
        return rc;
    if (!type.len)
        type = SONDE_STR("Bearer");
    value = arena_printf(&t->arena, "%.*s %.*s", SONDE_ARG(type),
                         SONDE_ARG(credentials));
    return header_add(t, tail, SONDE_STR("Authorization"), value);
}

static sonde_code set_credentials(struct transfer *t, struct curl_slist **tail)
{
    const struct http_client_config *c = t->config;
    const struct authorization *a = c->authorization;

    if (request_has(t, "Authorization"))
        return SONDE_OK;
    if (c->basic_auth)
        return set_basic_auth(t);
    if (a)
        return add_authorization(t, a->type, a->credentials,
                                 a->credentials_file, tail);
    if (c->bearer_token.len || c->bearer_token_file.len)
        return add_authorization(t, (sonde_str){ 0 }, c->bearer_token,
                                 c->bearer_token_file, tail);
    return SONDE_OK;
}

/* ---- TLS and proxy ----------------------------------------------------- */

static struct curl_blob blob(sonde_str s)
{
    struct curl_blob b = { .len = s.len, .flags = CURL_BLOB_NOCOPY };

    /* curl only reads it. */
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    b.data = (void *)(uintptr_t)s.ptr;
    return b;
}

static long tls_versions(const struct tls_config *tls)
{
    static const long min[] = { CURL_SSLVERSION_TLSv1_0,
                                CURL_SSLVERSION_TLSv1_1,
                                CURL_SSLVERSION_TLSv1_2,
                                CURL_SSLVERSION_TLSv1_3 };
    static const long max[] = { CURL_SSLVERSION_MAX_TLSv1_0,
                                CURL_SSLVERSION_MAX_TLSv1_1,
                                CURL_SSLVERSION_MAX_TLSv1_2,
                                CURL_SSLVERSION_MAX_DEFAULT };

    /* A block that was never read: curl's own defaults. */
    if (!tls->head.node && !tls->min_version && !tls->max_version)
        return CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_DEFAULT;
    return min[tls->min_version & 3] | max[tls->max_version & 3];
}

static void set_tls_material(struct transfer *t, const struct tls_config *tls)
{
    struct curl_blob ca = blob(tls->ca), cert = blob(tls->cert),
                     key = blob(tls->key);

    if (tls->ca.len)
        OPT(t, CAINFO_BLOB, &ca);
    if (tls->cert.len)
        OPT(t, SSLCERT_BLOB, &cert);
    if (tls->key.len)
        OPT(t, SSLKEY_BLOB, &key);
    if (tls->cert_file.len)
        OPT(t, SSLCERT, arena_cstr(&t->arena, tls->cert_file));
    if (tls->key_file.len)
        OPT(t, SSLKEY, arena_cstr(&t->arena, tls->key_file));
    if (tls->ca_file.len) {
        OPT(t, CAINFO, arena_cstr(&t->arena, tls->ca_file));
        /* curl would go on with the old file's content for a day. */
        OPT(t, CA_CACHE_TIMEOUT, 0L);
    }
}

static sonde_str host_header(struct transfer *t)
{
    const char *usual = strcmp(t->url.scheme, "https") ? "80" : "443";

    if (!strcmp(t->url.port, usual))
        return sonde_cstr(t->url.host);
    return arena_printf(&t->arena, "%s:%s", t->url.host, t->url.port);
}

/* The name that the certificate must have and SNI says, when it is not the
 * URL's: curl gets a URL with that name and is told where it really lives. */
static sonde_code set_server_name(struct transfer *t, sonde_str name,
                                  struct curl_slist **tail)
{
    const char *z = arena_cstr(&t->arena, name);
    const char *url = url_with_host(&t->arena, &t->url, z);
    sonde_str route;
    struct curl_slist *to = arena_new(&t->arena, struct curl_slist);

    if (!url)
        return sonde_err_set(&t->err, SONDE_EINVAL,
                             "tls_config: bad server_name \"%s\"", z);
    route = arena_printf(&t->arena, "%s:%s:%s:%s", z, t->url.port, t->url.host,
                         t->url.port);
    to->data = arena_cstr(&t->arena, route);
    OPT(t, CONNECT_TO, to);
    OPT(t, URL, url);
    if (request_has(t, "Host"))
        return SONDE_OK;
    return header_add(t, tail, SONDE_STR("Host"), host_header(t));
}

static sonde_code set_tls(struct transfer *t, struct curl_slist **tail)
{
    const struct tls_config *tls = &t->config->tls_config;

    if (strcmp(t->url.scheme, "https") != 0)
        return SONDE_OK;
    OPT(t, SSLVERSION, tls_versions(tls));
    OPT(t, SSL_VERIFYPEER, tls->insecure_skip_verify ? 0L : 1L);
    OPT(t, SSL_VERIFYHOST, tls->insecure_skip_verify ? 0L : 2L);
    set_tls_material(t, tls);
    if (t->config->enable_http2)
        OPT(t, HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    return tls->server_name.len ? set_server_name(t, tls->server_name, tail)
                                : SONDE_OK;
}

static const char *env_either(const char *upper, const char *lower)
{
    const char *v = getenv(upper);

    return v && *v ? v : getenv(lower);
}

/* As Go reads them: both spellings, and never for the own machine. */
static void proxy_of_environment(struct transfer *t)
{
    bool tls = !strcmp(t->url.scheme, "https");
    const char *proxy = tls ? env_either("HTTPS_PROXY", "https_proxy")
                            : env_either("HTTP_PROXY", "http_proxy");
    const char *none = env_either("NO_PROXY", "no_proxy");

    OPT(t, PROXY, proxy && !url_is_loopback(&t->url) ? proxy : "");
    OPT(t, NOPROXY, none ? none : "");
}

static void set_proxy(struct transfer *t)
{
    const struct http_client_config *c = t->config;
    bool direct;

    if (c && c->proxy_from_environment && !transfer_is_local(t)) {
        proxy_of_environment(t);
        return;
    }
    /* With no_proxy Go adds that the own machine is reached directly. */
    direct = c && c->no_proxy.len && url_is_loopback(&t->url);
    if (!c || !c->proxy_url.len || direct || transfer_is_local(t)) {
        OPT(t, PROXY, "");
        return;
    }
    OPT(t, PROXY, arena_cstr(&t->arena, c->proxy_url));
    OPT(t, NOPROXY, arena_cstr(&t->arena, c->no_proxy));
}

/* ---- all of it --------------------------------------------------------- */

static void set_method(struct transfer *t)
{
    sonde_str method = t->req.method;

    if (str_eq_cstr(method, "HEAD"))
        OPT(t, NOBODY, 1L);
    if (t->req.body.len || str_eq_cstr(method, "POST")) {
        OPT(t, POST, 1L);
        OPT(t, POSTFIELDSIZE_LARGE, (curl_off_t)t->req.body.len);
        OPT(t, POSTFIELDS, t->req.body.ptr ? t->req.body.ptr : "");
    }
    OPT(t, CUSTOMREQUEST, arena_cstr(&t->arena, method));
}

static void set_basics(struct transfer *t)
{
    curl_easy_reset(t->easy);
    t->curl_text[0] = '\0';
    OPT(t, PRIVATE, t);
    OPT(t, ERRORBUFFER, t->curl_text);
    OPT(t, NOSIGNAL, 1L);
    OPT(t, QUICK_EXIT, 1L);
    OPT(t, HEADERFUNCTION, answer_header);
    OPT(t, HEADERDATA, t);
    OPT(t, WRITEFUNCTION, answer_body);
    OPT(t, WRITEDATA, t);
    OPT(t, BUFFERSIZE, RECEIVE_BYTES);
    OPT(t, SUPPRESS_CONNECT_HEADERS, 1L);
    OPT(t, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    OPT(t, TCP_KEEPALIVE, 1L);
    OPT(t, PATH_AS_IS, 1L);
    OPT(t, URL, t->url.text);
    if (transfer_is_local(t))
        OPT(t, UNIX_SOCKET_PATH, arena_cstr(&t->arena, t->req.unix_socket));
}

static sonde_code set_headers(struct transfer *t, struct curl_slist **tail)
{
    sonde_code rc = add_request_headers(t, tail);

    if (rc == SONDE_OK)
        rc = add_default(t, tail, "User-Agent", "sonde/" PACKAGE_VERSION);
    if (rc == SONDE_OK)
        rc = add_default(t, tail, "Accept-Encoding",
                         t->req.accept_gzip ? "gzip" : "identity");
    if (rc == SONDE_OK && t->config && !t->bare)
        rc = add_config_headers(t, tail);
    if (rc == SONDE_OK && t->config && !t->bare)
        rc = set_credentials(t, tail);
    return rc;
}

sonde_code request_setup(struct transfer *t, struct sonde_err *err)
{
    /* "Expect: 100-continue" would cost a round trip for large bodies. */
    struct curl_slist *first = arena_new(&t->arena, struct curl_slist);
    struct curl_slist *tail = first;
    sonde_code rc;

    first->data = arena_cstr(&t->arena, SONDE_STR("Expect:"));
    set_basics(t);
    set_method(t);
    set_proxy(t);
    rc = set_headers(t, &tail);
    if (rc == SONDE_OK && t->config)
        rc = set_tls(t, &tail);
    OPT(t, HTTPHEADER, first);
    if (rc != SONDE_OK && err != &t->err)
        *err = t->err;
    return rc;
}
