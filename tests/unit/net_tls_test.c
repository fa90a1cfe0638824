/* SPDX-License-Identifier: Apache-2.0 */
/* net: https, against a GnuTLS peer with certificates made on the spot. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "net/net.h"
#include "unit/tap.h"
#include "util/arena.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define MUST(call)                                                             \
    do {                                                                       \
        int rc_ = (call);                                                      \
        if (rc_ < 0) {                                                         \
            tap_note("%s: %d", #call, rc_);                                    \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* ---- certificates ------------------------------------------------------- */

struct identity {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    sonde_str key_pem, cert_pem;
};

static sonde_str pem_take(gnutls_datum_t *d)
{
    sonde_str s = { mem_strdup((sonde_str){ (char *)d->data, d->size }),
                    d->size };

    gnutls_free(d->data);
    return s;
}

/* Signed by `ca`, or by itself if that is NULL. */
static struct identity identity_make(const char *name,
                                     const struct identity *ca)
{
    static unsigned char serial;
    struct identity id;
    gnutls_datum_t pem;
    unsigned char number[] = { 1, ++serial };
    time_t now = time(NULL);

    MUST(gnutls_x509_privkey_init(&id.key));
    MUST(gnutls_x509_privkey_generate(
        id.key, GNUTLS_PK_ECDSA,
        GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    MUST(gnutls_x509_crt_init(&id.cert));
    MUST(gnutls_x509_crt_set_version(id.cert, 3));
    MUST(gnutls_x509_crt_set_serial(id.cert, number, sizeof(number)));
    MUST(gnutls_x509_crt_set_activation_time(id.cert, now - 3600));
    MUST(gnutls_x509_crt_set_expiration_time(id.cert, now + 3600));
    MUST(gnutls_x509_crt_set_key(id.cert, id.key));
    MUST(gnutls_x509_crt_set_dn_by_oid(id.cert, GNUTLS_OID_X520_COMMON_NAME, 0,
                                       name, (unsigned)strlen(name)));
    MUST(gnutls_x509_crt_set_subject_alt_name(id.cert, GNUTLS_SAN_DNSNAME, name,
                                              (unsigned)strlen(name),
                                              GNUTLS_FSAN_SET));
    MUST(gnutls_x509_crt_set_ca_status(id.cert, ca == NULL));
    if (!ca)
        MUST(gnutls_x509_crt_set_key_usage(id.cert, GNUTLS_KEY_KEY_CERT_SIGN));
    MUST(gnutls_x509_crt_sign2(id.cert, ca ? ca->cert : id.cert,
                               ca ? ca->key : id.key, GNUTLS_DIG_SHA256, 0));
    MUST(gnutls_x509_crt_export2(id.cert, GNUTLS_X509_FMT_PEM, &pem));
    id.cert_pem = pem_take(&pem);
    MUST(gnutls_x509_privkey_export2(id.key, GNUTLS_X509_FMT_PEM, &pem));
    id.key_pem = pem_take(&pem);
    return id;
}

static void identity_drop(struct identity *id)
{
    gnutls_x509_crt_deinit(id->cert);
    gnutls_x509_privkey_deinit(id->key);
    free((void *)(uintptr_t)id->cert_pem.ptr);
    free((void *)(uintptr_t)id->key_pem.ptr);
}

/* ---- the peer ----------------------------------------------------------- */

struct tls_peer {
    int listener, port;
    pthread_t thread;
    gnutls_certificate_credentials_t credentials;
    bool want_client_cert;
    const char *priority;
    char host[200]; /* the Host header last seen; read after it has ended  */
};

static void talk(struct tls_peer *p, gnutls_session_t s)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                "Connection: close\r\n\r\nhello";
    char in[4096];
    size_t len = 0;
    const char *host;

    while (len < sizeof(in) - 1) {
        ssize_t n = gnutls_record_recv(s, in + len, sizeof(in) - 1 - len);

        if (n <= 0)
            return;
        len += (size_t)n;
        in[len] = '\0';
        if (strstr(in, "\r\n\r\n"))
            break;
    }
    host = strstr(in, "Host: ");
    if (host)
        (void)sscanf(host, "Host: %199s", p->host);
    (void)gnutls_record_send(s, reply, sizeof(reply) - 1);
    (void)gnutls_bye(s, GNUTLS_SHUT_WR);
}

/* One connection after the other, until the listener is shut down. */
static void *tls_serve(void *arg)
{
    struct tls_peer *p = arg;

    for (;;) {
        gnutls_session_t s;
        int rc, fd = accept(p->listener, NULL, NULL);

        if (fd < 0)
            return NULL;
        MUST(gnutls_init(&s, GNUTLS_SERVER | GNUTLS_NO_SIGNAL));
        MUST(gnutls_priority_set_direct(s, p->priority, NULL));
        MUST(gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, p->credentials));
        if (p->want_client_cert)
            gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
        gnutls_transport_set_int(s, fd);
        do
            rc = gnutls_handshake(s);
        while (rc < 0 && !gnutls_error_is_fatal(rc));
        if (rc == 0)
            talk(p, s);
        gnutls_deinit(s);
        (void)close(fd);
    }
}

static void tls_start(struct tls_peer *p, const struct identity *server,
                      const struct identity *ca)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    gnutls_x509_crt_t cert = server->cert;

    if (!p->priority)
        p->priority = "NORMAL";
    MUST(gnutls_certificate_allocate_credentials(&p->credentials));
    MUST(
        gnutls_certificate_set_x509_key(p->credentials, &cert, 1, server->key));
    if (ca)
        MUST(gnutls_certificate_set_x509_trust(
            p->credentials, (gnutls_x509_crt_t *)(uintptr_t)&ca->cert, 1));
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(p->listener, (struct sockaddr *)&at, sizeof(at)));
    MUST(listen(p->listener, 16));
    MUST(getsockname(p->listener, (struct sockaddr *)&at, &len));
    p->port = ntohs(at.sin_port);
    MUST(-pthread_create(&p->thread, NULL, tls_serve, p));
}

static void tls_stop(struct tls_peer *p)
{
    (void)shutdown(p->listener, SHUT_RDWR);
    (void)pthread_join(p->thread, NULL);
    (void)close(p->listener);
    gnutls_certificate_free_credentials(p->credentials);
}

/* ---- tests -------------------------------------------------------------- */

static sonde_code get(const struct tls_peer *p, const char *host,
                      const struct tls_config *tls, struct sonde_err *err)
{
    struct http_client_config config = { .enable_http2 = true };
    struct http_request r = { .timeout_ms = 60000 };
    struct buf body;
    char url[100];
    int status = 0;
    sonde_code rc;

    buf_init(&body);
    config.tls_config = *tls;
    (void)snprintf(url, sizeof(url), "https://%s:%d/x", host, p->port);
    r.url = sonde_cstr(url);
    *err = (struct sonde_err){ 0 };
    rc = http_fetch(&config, &r, &body, &status, err);
    CU_ASSERT_EQUAL(rc == SONDE_OK, str_eq_cstr(buf_str(&body), "hello"));
    buf_fini(&body);
    return rc;
}

static const char *write_file(struct arena *a, const char *name, sonde_str text)
{
    struct sonde_err err;
    char *path = fs_join(a, sonde_cstr(tap_tmpdir()), sonde_cstr(name));

    MUST(-(int)fs_write_atomic(path, text, 0600, &err));
    return path;
}

static void test_trust(void)
{
    struct identity ca = identity_make("ca", NULL);
    struct identity other = identity_make("other ca", NULL);
    struct identity server = identity_make("localhost", &ca);
    struct tls_peer p = { 0 };
    struct tls_config tls = { 0 };
    struct sonde_err err;
    struct arena a;

    arena_init(&a);
    tls_start(&p, &server, NULL);
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_EAUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/x: tls: "));
    tls.ca = other.cert_pem;
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_EAUTH);
    tls.ca = ca.cert_pem;
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_OK);
    /* The certificate is of localhost, not of the number. */
    CU_ASSERT_EQUAL(get(&p, "127.0.0.1", &tls, &err), SONDE_EAUTH);
    tls = (struct tls_config){ .insecure_skip_verify = true };
    CU_ASSERT_EQUAL(get(&p, "127.0.0.1", &tls, &err), SONDE_OK);

    /* From a file, and from what the file is next time. */
    tls = (struct tls_config){ 0 };
    tls.ca_file = sonde_cstr(write_file(&a, "ca.pem", ca.cert_pem));
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_OK);
    (void)write_file(&a, "ca.pem", other.cert_pem);
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_EAUTH);
    tls.ca_file = SONDE_STR("/no/such/ca.pem");
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/no/such/ca.pem"));
    tls_stop(&p);
    identity_drop(&server);
    identity_drop(&other);
    identity_drop(&ca);
    arena_fini(&a);
}

static void test_server_name(void)
{
    struct identity ca = identity_make("ca", NULL);
    struct identity server = identity_make("service.test", &ca);
    struct tls_peer p = { 0 };
    struct tls_config tls = { .ca = ca.cert_pem };
    struct sonde_err err;
    char want[100];

    tls_start(&p, &server, NULL);
    tls.server_name = SONDE_STR("service.test");
    CU_ASSERT_EQUAL(get(&p, "127.0.0.1", &tls, &err), SONDE_OK);
    tls.server_name = SONDE_STR("else.test");
    CU_ASSERT_EQUAL(get(&p, "127.0.0.1", &tls, &err), SONDE_EAUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "GET https://127.0.0.1:"));
    tls_stop(&p);
    /* The host that is asked stays the one of the URL. */
    (void)snprintf(want, sizeof(want), "127.0.0.1:%d", p.port);
    CU_ASSERT_STRING_EQUAL(p.host, want);
    identity_drop(&server);
    identity_drop(&ca);
}

static void test_client_cert(void)
{
    struct identity ca = identity_make("ca", NULL);
    struct identity server = identity_make("localhost", &ca);
    struct identity client = identity_make("client", &ca);
    struct tls_peer p = { .want_client_cert = true };
    struct tls_config tls = { .ca = ca.cert_pem };
    struct sonde_err err;
    struct arena a;

    arena_init(&a);
    tls_start(&p, &server, &ca);
    CU_ASSERT_NOT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_OK);
    tls.cert = client.cert_pem;
    tls.key = client.key_pem;
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_OK);
    tls.cert = tls.key = (sonde_str){ 0 };
    tls.cert_file = sonde_cstr(write_file(&a, "c.pem", client.cert_pem));
    tls.key_file = sonde_cstr(write_file(&a, "c.key", client.key_pem));
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_OK);
    (void)write_file(&a, "c.key", SONDE_STR("not a key"));
    CU_ASSERT_EQUAL(get(&p, "localhost", &tls, &err), SONDE_EINVAL);
    tls_stop(&p);
    identity_drop(&client);
    identity_drop(&server);
    identity_drop(&ca);
    arena_fini(&a);
}

enum {
    TLS10,
    TLS11,
    TLS12,
    TLS13
};

static void test_versions(void)
{
    static const struct {
        int line;
        const char *priority;
        int min, max;
        bool ok;
    } rows[] = {
        { __LINE__, "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2", 0, 0, true },
        { __LINE__, "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2", TLS12, TLS13, true },
        { __LINE__, "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2", TLS13, TLS13, false },
        { __LINE__, "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3", TLS12, TLS13, true },
        { __LINE__, "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3", TLS12, TLS12, false },
    };
    struct identity ca = identity_make("ca", NULL);
    struct identity server = identity_make("localhost", &ca);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_peer p = { .priority = rows[i].priority };
        struct tls_config tls = { .ca = ca.cert_pem,
                                  .min_version = rows[i].min,
                                  .max_version = rows[i].max };
        struct sonde_err err;

        tls_start(&p, &server, NULL);
        ROW_ASSERT(&rows[i],
                   (get(&p, "localhost", &tls, &err) == 0) == rows[i].ok);
        tls_stop(&p);
    }
    identity_drop(&server);
    identity_drop(&ca);
}

static const struct tap_test tests[] = {
    { "who signed the certificate", test_trust },
    { "server_name", test_server_name },
    { "client certificates", test_client_cert },
    { "versions of TLS", test_versions },
};

int main(void)
{
    return TAP_RUN("net tls", tests);
}
