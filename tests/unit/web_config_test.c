/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web config file: what is refused and why, passwords, TLS, and that a
 * change of the file is taken up. The server is a real one, the client is
 * the agent's own.
 */
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "net/web_config.h"
#include "unit/net_cert.h"
#include "unit/tap.h"
#include "util/arena.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

static char path[4200];

static void write_file(const char *name, const char *text)
{
    char file[4300];

    (void)snprintf(file, sizeof(file), "%s/%s", tap_tmpdir(), name);
    if (fs_write_atomic(file, sonde_cstr(text), 0600, NULL) != SONDE_OK)
        CU_FAIL_FATAL("write a file");
}

static void write_config(const char *text)
{
    (void)snprintf(path, sizeof(path), "%s/web.yml", tap_tmpdir());
    write_file("web.yml", text);
}

/* ---- what is refused --------------------------------------------------- */

#define HASH "$2b$04$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDE"

static void refused(void)
{
    static const struct {
        int line;
        const char *text, *error; /* NULL: fine */
    } cases[] = {
        { __LINE__, "", NULL },
        { __LINE__, "basic_auth_users: {}", NULL },
        { __LINE__, "basic_auth_users:\n  a: " HASH, NULL },
        { __LINE__, "http_server_config:\n  http2: false\n", NULL },
        { __LINE__, "tls_server_config: {}", NULL },
        { __LINE__, "rate_limit: {interval: 1s, burst: 10}", NULL },
        { __LINE__, "basic_auth_user: {}", "basic_auth_users" },
        { __LINE__, "tls_server_config: {certfile: a}", "cert_file" },
        { __LINE__, "tls_server_config: {min_version: TLS12}",
          "missing one of cert or cert_file" },
        { __LINE__, "tls_server_config: {client_auth_type: NoClientCert}",
          "missing one of cert or cert_file" },
        { __LINE__, "tls_server_config: {cert_file: c.pem}",
          "missing one of key or key_file" },
        { __LINE__, "tls_server_config: {cert_file: c.pem, key_file: k.pem}",
          "c.pem" },
        { __LINE__, "tls_server_config: {cert: x, key: y}",
          "certificate and key" },
        { __LINE__, "tls_server_config: {cert: x, cert_file: y, key: z}",
          "only one of cert" },
        { __LINE__, "tls_server_config: {min_version: TLS14}", "min_version" },
        { __LINE__, "basic_auth_users: {a: secret}", "too short" },
        { __LINE__,
          "basic_auth_users:\n  a: "
          "$6$rounds=5000$abcdefgh$abcdefghijklmnopqrstuvwxyzabcdefghijk",
          "expected a bcrypt hash" },
        { __LINE__,
          "basic_auth_users:\n  a: "
          "$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDE",
          "bcrypt cost 31" },
        { __LINE__, "basic_auth_users:\n  'a:b': " HASH, "no colon" },
        { __LINE__, "http_server_config:\n  headers: {X-Other: a}",
          "HTTP header \"X-Other\" can not be configured" },
        { __LINE__, "http_server_config:\n  headers: {X-Frame-Options: DENY}",
          "invalid value for X-Frame-Options" },
        { __LINE__, "http_server_config:\n  headers: {X-Frame-Options: deny}",
          NULL },
        { __LINE__, "rate_limit: {interval: 1s}", "burst" },
        { __LINE__, "bearer_token_files: {a: token}", NULL },
        { __LINE__, "bearer_token_files: {a: }", "expected NAME: FILE" },
        { __LINE__, "bearer_token_files: {a: none}", "bearer_token_files: a" },
        { __LINE__, "bearer_token_files: {a: short}", "line 2: expected a" },
        { __LINE__, "bearer_token_files: {a: odd}",
          "line 1: expected letters" },
        { __LINE__, "bearer_token_files: {a: empty}", "holds no token" },
        { __LINE__, "bearer_token_files: token", "bearer_token_files" },
        { __LINE__, "- list", "" },
        { __LINE__, "a: [", "" },
    };

    write_file("token", "# ours\n\n 0123456789abcdef== \r\n");
    write_file("short", "\n0123456789abcde\n");
    write_file("odd", "0123456789abcdef 0123456789abcdef\n");
    write_file("empty", "# ours\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sonde_err err = { 0 };
        sonde_code rc;

        write_config(cases[i].text);
        rc = web_config_check(path, &err);
        ROW_ASSERT(&cases[i], (rc == SONDE_OK) == (cases[i].error == NULL));
        if (rc == SONDE_OK || !cases[i].error)
            continue;
        ROW_ASSERT(&cases[i], strstr(err.text, cases[i].error) != NULL);
        ROW_ASSERT(&cases[i], strstr(err.text, path) != NULL ||
                                  strstr(err.text, "c.pem") != NULL);
        if (!strstr(err.text, cases[i].error))
            tap_note("%s", err.text);
    }
    CU_ASSERT_NOT_EQUAL(web_config_check("/nowhere/web.yml", NULL), SONDE_OK);
}

/* ---- a server ---------------------------------------------------------- */

static void hello(struct http_call *c, void *arg)
{
    (void)arg;
    http_reply(c, 200, "text/plain", SONDE_STR("hello"));
}

static const struct http_route routes[] = {
    { .path = "/", .methods = 1u << HTTP_GET, .handler = hello, .quick = true },
};

static sonde_code start(struct http_server **out, struct sonde_err *err)
{
    static const char *const listen[] = { "127.0.0.1:0" };
    const struct http_server_options o = { .listen = listen,
                                           .listen_count = 1,
                                           .routes = routes,
                                           .route_count = 1,
                                           .web_config_file = path };

    return http_server_start(&o, out, err);
}

static struct http_server *started(void)
{
    struct sonde_err err = { 0 };
    struct http_server *s = NULL;

    if (start(&s, &err) != SONDE_OK) {
        tap_note("%s", err.text);
        CU_FAIL_FATAL("the server did not start");
    }
    return s;
}

/* The status, or -1 with the error noted. */
static int get(struct http_server *s, const struct http_client_config *config,
               const char *scheme, const char *route)
{
    struct sonde_err err = { 0 };
    struct http_request r = { .timeout_ms = 20000, .error_body = true };
    struct buf body;
    char url[100];
    int status = -1;

    (void)snprintf(url, sizeof(url), "%s://127.0.0.1:%d%s", scheme,
                   http_server_port(s, 0), route);
    r.url = sonde_cstr(url);
    buf_init(&body);
    if (http_fetch(config, &r, &body, &status, &err) != SONDE_OK) {
        tap_note("as may be expected: %s", err.text);
        if (status <= 0)
            status = -1;
    }
    buf_fini(&body);
    return status;
}

/* ---- passwords --------------------------------------------------------- */

static void hash_of(const char *password, char *out, size_t size)
{
    struct crypt_data *data = mem_new(struct crypt_data);
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    const char *h;

    if (!crypt_gensalt_rn("$2b$", 4, "sixteen bytes ok", 16, salt,
                          sizeof(salt)))
        CU_FAIL_FATAL("salt");
    h = crypt_r(password, salt, data);
    (void)snprintf(out, size, "%s", h);
    free(data);
}

static int login(struct http_server *s, const char *user, const char *password)
{
    struct basic_auth auth = { .username = sonde_cstr(user),
                               .password = sonde_cstr(password) };
    struct http_client_config config = { .basic_auth = &auth };

    return get(s, &config, "http", "/");
}

static void write_users(const char *password)
{
    char hash[100], text[300];

    hash_of(password, hash, sizeof(hash));
    (void)snprintf(text, sizeof(text),
                   "basic_auth_users:\n  alice: %s\n"
                   "http_server_config:\n  headers:\n"
                   "    X-Frame-Options: deny\n",
                   hash);
    write_config(text);
}

static void passwords(void)
{
    struct http_client_config nobody = { 0 };
    struct http_server_stats stats;
    struct http_server *s;

    write_users("secret");
    s = started();
    CU_ASSERT_EQUAL(get(s, &nobody, "http", "/"), 401);
    CU_ASSERT_EQUAL(get(s, &nobody, "http", "/nowhere"), 401);
    for (int again = 0; again < 3; again++) {
        CU_ASSERT_EQUAL(login(s, "alice", "secret"), 200);
        CU_ASSERT_EQUAL(login(s, "alice", "Secret"), 401);
        CU_ASSERT_EQUAL(login(s, "bob", "secret"), 401);
        CU_ASSERT_EQUAL(login(s, "alice", ""), 401);
    }
    http_server_stats(s, &stats);
    CU_ASSERT_EQUAL(stats.unauthorized, 11);

    /* Another password: the old one is out at once. */
    write_users("new");
    CU_ASSERT_EQUAL(login(s, "alice", "secret"), 401);
    CU_ASSERT_EQUAL(login(s, "alice", "new"), 200);

    /* Broken, emptied, gone: nobody gets in, and not by a login either. */
    write_config("basic_auth_users: [");
    CU_ASSERT_EQUAL(login(s, "alice", "new"), 500);
    write_config("");
    CU_ASSERT_EQUAL(get(s, &nobody, "http", "/"), 500);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(login(s, "alice", "new"), 500);
    write_users("new");
    CU_ASSERT_EQUAL(login(s, "alice", "new"), 200);
    http_server_stop(s);
}

static void headers_of_logins(void)
{
    static const struct {
        int line;
        const char *header;
        enum web_verdict first, then;
    } cases[] = {
        { __LINE__, "", WEB_NO, WEB_NO },
        { __LINE__, "Basic", WEB_NO, WEB_NO },
        { __LINE__, "Basic ", WEB_NO, WEB_NO },
        { __LINE__, "Basic !!!!", WEB_NO, WEB_NO },
        { __LINE__, "Basic YWxpY2U=", WEB_NO, WEB_NO }, /* no colon */
        { __LINE__, "Bearer YWxpY2U6c2VjcmV0", WEB_NO, WEB_NO },
        /* "alice:secret", "alice:wrong", "alice:secret" NUL "x" */
        { __LINE__, "basic  YWxpY2U6c2VjcmV0", WEB_HASH, WEB_YES },
        { __LINE__, "Basic YWxpY2U6d3Jvbmc=", WEB_HASH, WEB_NO },
        { __LINE__, "Basic YWxpY2U6c2VjcmV0AHg=", WEB_NO, WEB_NO },
    };
    struct web_auth *auth = web_auth_new();
    struct web_snapshot *s;
    struct web_config *w = NULL;

    write_users("secret");
    CU_ASSERT_EQUAL_FATAL(web_config_open(path, &w, NULL), SONDE_OK);
    s = web_config_acquire(w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sonde_str h = sonde_cstr(cases[i].header);

        ROW_ASSERT(&cases[i], web_auth_cached(auth, s, h) == cases[i].first);
        ROW_ASSERT(&cases[i], web_auth_hash(auth, s, h) == cases[i].then);
        ROW_ASSERT(&cases[i], web_auth_cached(auth, s, h) == cases[i].then);
    }
    /* Many wrong ones do not push the right one out. */
    for (int i = 0; i < 1000; i++) {
        char text[40];

        (void)snprintf(text, sizeof(text), "Basic YWxpY2U6%04d", i);
        if (i < 200)
            (void)web_auth_hash(auth, s, sonde_cstr(text));
    }
    CU_ASSERT_EQUAL(
        web_auth_cached(auth, s, SONDE_STR("Basic YWxpY2U6c2VjcmV0")), WEB_YES);
    web_snapshot_unref(s);
    web_config_close(w);
    web_auth_free(auth);
}

static void rate_limit(void)
{
    struct http_client_config nobody = { 0 };
    struct http_server *s;

    write_config("rate_limit: {interval: 1h, burst: 2}\n");
    s = started();
    CU_ASSERT_EQUAL(get(s, &nobody, "http", "/"), 200);
    CU_ASSERT_EQUAL(get(s, &nobody, "http", "/"), 200);
    CU_ASSERT_EQUAL(get(s, &nobody, "http", "/"), 429);
    http_server_stop(s);
}

/* ---- TLS --------------------------------------------------------------- */

struct tls_site {
    struct cert ca, server, client, other_ca, stranger;
};

static void tls_site_init(struct tls_site *t)
{
    cert_init(&t->ca, "ca", NULL);
    cert_init(&t->server, "localhost", &t->ca);
    cert_init(&t->client, "client", &t->ca);
    cert_init(&t->other_ca, "other ca", NULL);
    cert_init(&t->stranger, "stranger", &t->other_ca);
    write_file("ca.pem", t->ca.crt_pem);
    write_file("cert.pem", t->server.crt_pem);
    write_file("key.pem", t->server.key_pem);
}

static void tls_site_fini(struct tls_site *t)
{
    cert_fini(&t->ca);
    cert_fini(&t->server);
    cert_fini(&t->client);
    cert_fini(&t->other_ca);
    cert_fini(&t->stranger);
}

static struct http_client_config client_of(const struct cert *ca,
                                           const struct cert *own)
{
    return (struct http_client_config){
        .tls_config = { .ca = sonde_cstr(ca->crt_pem),
                        .cert = sonde_cstr(own ? own->crt_pem : NULL),
                        .key = sonde_cstr(own ? own->key_pem : NULL),
                        .min_version = 2,
                        .max_version = 3 },
    };
}

#define FILES "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"

static void tls_modes(void)
{
    static const struct {
        int line;
        const char *more;         /* lines of tls_server_config */
        int none, known, unknown; /* status by the client's certificate */
    } cases[] = {
        { __LINE__, "", 200, 200, 200 },
        { __LINE__, "  client_auth_type: RequestClientCert\n", 200, 200, 200 },
        { __LINE__, "  client_auth_type: RequireAnyClientCert\n", -1, 200,
          200 },
        { __LINE__,
          "  client_auth_type: VerifyClientCertIfGiven\n"
          "  client_ca_file: ca.pem\n",
          200, 200, -1 },
        { __LINE__,
          "  client_auth_type: RequireAndVerifyClientCert\n"
          "  client_ca_file: ca.pem\n",
          -1, 200, -1 },
        { __LINE__,
          "  client_auth_type: RequireAndVerifyClientCert\n"
          "  client_ca_file: ca.pem\n  client_allowed_sans: [other, client]\n",
          -1, 200, -1 },
        { __LINE__,
          "  client_auth_type: RequireAndVerifyClientCert\n"
          "  client_ca_file: ca.pem\n  client_allowed_sans: [127.0.0.1]\n",
          -1, 200, -1 },
        { __LINE__,
          "  client_auth_type: RequireAndVerifyClientCert\n"
          "  client_ca_file: ca.pem\n  client_allowed_sans: [other]\n",
          -1, -1, -1 },
        { __LINE__,
          "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n"
          "  curve_preferences: [CurveP384, X25519]\n"
          "  min_version: TLS12\n  max_version: TLS12\n",
          200, 200, 200 },
    };
    struct http_client_config none, known, unknown;
    struct tls_site t;

    tls_site_init(&t);
    none = client_of(&t.ca, NULL);
    known = client_of(&t.ca, &t.client);
    unknown = client_of(&t.ca, &t.stranger);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_server *s;
        char text[1000];

        (void)snprintf(text, sizeof(text), FILES "%s", cases[i].more);
        write_config(text);
        s = started();
        ROW_ASSERT(&cases[i], get(s, &none, "https", "/") == cases[i].none);
        ROW_ASSERT(&cases[i], get(s, &known, "https", "/") == cases[i].known);
        ROW_ASSERT(&cases[i],
                   get(s, &unknown, "https", "/") == cases[i].unknown);
        ROW_ASSERT(&cases[i], get(s, &none, "http", "/") == -1);
        http_server_stop(s);
    }
    tls_site_fini(&t);
}

static void tls_refused(void)
{
    static const struct {
        int line;
        const char *more, *error;
    } cases[] = {
        { __LINE__, "  client_auth_type: Sometimes\n",
          "invalid ClientAuth: Sometimes" },
        { __LINE__, "  client_ca_file: ca.pem\n",
          "without a Client Auth Policy" },
        { __LINE__, "  client_auth_type: RequireAndVerifyClientCert\n",
          "needs client_ca_file" },
        { __LINE__, "  client_allowed_sans: [a]\n", "client_allowed_sans" },
        { __LINE__,
          "  client_auth_type: RequestClientCert\n"
          "  client_ca_file: nothing.pem\n",
          "nothing.pem" },
        { __LINE__, "  cipher_suites: [TLS_NULL]\n", "unknown cipher" },
        { __LINE__,
          "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
          "fits the certificate's key" },
        { __LINE__, "  curve_preferences: [Curve1]\n", "unknown curve" },
        { __LINE__, "  min_version: TLS13\n  max_version: TLS12\n",
          "min_version is above" },
    };
    struct tls_site t;

    tls_site_init(&t);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_server *s = NULL;
        struct sonde_err err = { 0 };
        char text[1000];

        (void)snprintf(text, sizeof(text), FILES "%s", cases[i].more);
        write_config(text);
        ROW_ASSERT(&cases[i], start(&s, &err) != SONDE_OK);
        ROW_ASSERT(&cases[i], strstr(err.text, cases[i].error) != NULL);
        http_server_stop(s);
    }
    write_config(FILES);
    write_file("key.pem", t.client.key_pem); /* not the certificate's */
    CU_ASSERT_NOT_EQUAL(web_config_check(path, NULL), SONDE_OK);
    tls_site_fini(&t);
}

static void tls_versions(void)
{
    struct http_client_config client;
    struct http_server *s;
    struct tls_site t;

    tls_site_init(&t);
    write_config(FILES "  min_version: TLS13\n");
    s = started();
    client = client_of(&t.ca, NULL);
    CU_ASSERT_EQUAL(get(s, &client, "https", "/"), 200);
    client.tls_config.max_version = 2;
    CU_ASSERT_EQUAL(get(s, &client, "https", "/"), -1);
    /* Taken up without a restart. */
    write_config(FILES);
    CU_ASSERT_EQUAL(get(s, &client, "https", "/"), 200);
    http_server_stop(s);
    tls_site_fini(&t);
}

static void tls_renewal(void)
{
    struct http_client_config old, renewed;
    struct http_server *s;
    struct tls_site t, u;

    tls_site_init(&t);
    write_config(FILES);
    s = started();
    tls_site_init(&u); /* writes the new certificate over the old one */
    old = client_of(&t.ca, NULL);
    renewed = client_of(&u.ca, NULL);
    CU_ASSERT_EQUAL(get(s, &old, "https", "/"), -1);
    CU_ASSERT_EQUAL(get(s, &renewed, "https", "/"), 200);
    /* TLS can not be turned off while running. */
    write_config("basic_auth_users: {}\n");
    CU_ASSERT_NOT_EQUAL(get(s, &renewed, "https", "/"), 200);
    CU_ASSERT_NOT_EQUAL(get(s, &renewed, "http", "/"), 200);
    http_server_stop(s);
    tls_site_fini(&t);
    tls_site_fini(&u);
}

static const struct tap_test tests[] = {
    { "what is refused", refused },
    { "passwords", passwords },
    { "headers of logins", headers_of_logins },
    { "rate limit", rate_limit },
    { "client certificates", tls_modes },
    { "TLS that is refused", tls_refused },
    { "TLS versions", tls_versions },
    { "certificate renewal", tls_renewal },
};

int main(void)
{
    return TAP_RUN("web_config", tests);
}
