/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS as the web config file describes it, in GnuTLS' terms. libmicrohttpd
 * is started with the certificate of the start, but each session is given
 * the credentials and priorities of the file's newest state before it shakes
 * hands, so that a renewed certificate needs no restart.
 *
 * The keys are named after Go's crypto/tls. Protocol versions and curves have
 * exact counterparts. Cipher suites of TLS 1.2 are a product of key exchange
 * and cipher here; since one certificate has one kind of key, naming the
 * ciphers of the suites that fit this key is exact again. Unlike in Go the
 * same list holds for TLS 1.3.
 *
 * Client certificates are checked during the handshake by the rules of
 * client_auth_type; the list of allowed names afterwards, before the first
 * request is looked at.
 */
#include <arpa/inet.h>

#include <gnutls/x509.h>

#include "net/web_config.h"
#include "util/buf.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define PEM_MAX_BYTES (1u << 20)

struct name_pair {
    const char *go, *gnutls;
};

static const struct name_pair curves[] = {
    { "CurveP256", "GROUP-SECP256R1" },
    { "CurveP384", "GROUP-SECP384R1" },
    { "CurveP521", "GROUP-SECP521R1" },
    { "X25519", "GROUP-X25519" },
};

static const struct {
    const char *go;
    gnutls_pk_algorithm_t pk; /* UNKNOWN: any (TLS 1.3) */
    const char *priorities;
} suites[] = {
#define SUITE_BOTH(tail, list)                                                 \
    { "TLS_ECDHE_RSA_WITH_" tail, GNUTLS_PK_RSA, "+ECDHE-RSA:" list },         \
    {                                                                          \
        "TLS_ECDHE_ECDSA_WITH_" tail, GNUTLS_PK_ECDSA, "+ECDHE-ECDSA:" list    \
    }
    SUITE_BOTH("AES_128_GCM_SHA256", "+AES-128-GCM:+AEAD"),
    SUITE_BOTH("AES_256_GCM_SHA384", "+AES-256-GCM:+AEAD"),
    SUITE_BOTH("CHACHA20_POLY1305_SHA256", "+CHACHA20-POLY1305:+AEAD"),
    SUITE_BOTH("CHACHA20_POLY1305", "+CHACHA20-POLY1305:+AEAD"),
    SUITE_BOTH("AES_128_CBC_SHA", "+AES-128-CBC:+SHA1"),
    SUITE_BOTH("AES_256_CBC_SHA", "+AES-256-CBC:+SHA1"),
#undef SUITE_BOTH
    { "TLS_AES_128_GCM_SHA256", GNUTLS_PK_UNKNOWN, "+AES-128-GCM:+AEAD" },
    { "TLS_AES_256_GCM_SHA384", GNUTLS_PK_UNKNOWN, "+AES-256-GCM:+AEAD" },
    { "TLS_CHACHA20_POLY1305_SHA256", GNUTLS_PK_UNKNOWN,
      "+CHACHA20-POLY1305:+AEAD" },
};

static const char *const versions[] = { "VERS-TLS1.0", "VERS-TLS1.1",
                                        "VERS-TLS1.2", "VERS-TLS1.3" };

static const struct {
    const char *name;
    gnutls_certificate_request_t request;
    bool verify;
} client_auths[] = {
    { "NoClientCert", GNUTLS_CERT_IGNORE, false },
    { "RequestClientCert", GNUTLS_CERT_REQUEST, false },
    { "RequireAnyClientCert", GNUTLS_CERT_REQUIRE, false },
    { "RequireClientCert", GNUTLS_CERT_REQUIRE, false },
    { "VerifyClientCertIfGiven", GNUTLS_CERT_REQUEST, true },
    { "RequireAndVerifyClientCert", GNUTLS_CERT_REQUIRE, true },
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static sonde_code tls_fault(struct sonde_err *err, int rc, const char *what)
{
    return sonde_err_set(err, SONDE_EPARSE, "tls_server_config: %s: %s", what,
                         gnutls_strerror(rc));
}

/* A file's text or the inline text; empty if neither is given. */
static sonde_code load_pem(struct arena *a, sonde_str text, sonde_str file,
                           sonde_str *out, struct sonde_err *err)
{
    struct buf b;
    sonde_code rc;

    *out = text;
    if (file.len == 0)
        return SONDE_OK;
    buf_init(&b);
    rc = fs_read(arena_cstr(a, file), PEM_MAX_BYTES, &b, err);
    if (rc == SONDE_OK)
        *out = arena_str(a, buf_str(&b));
    else
        (void)sonde_err_prefix(err, "tls_server_config");
    if (b.data)
        gnutls_memset(b.data, 0, b.len);
    buf_fini(&b);
    return rc;
}

static gnutls_datum_t datum(sonde_str s)
{
    return (gnutls_datum_t){ (unsigned char *)s.ptr, (unsigned)s.len };
}

/* Accepts no certificate (whether one is needed is GnuTLS' own check), or
 * one that the configured authorities vouch for. */
static int verify_client(gnutls_session_t session)
{
    gnutls_typed_vdata_st purpose = { GNUTLS_DT_KEY_PURPOSE_OID,
                                      (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
                                      0 };
    unsigned n = 0, status = 0;

    if (!gnutls_certificate_get_peers(session, &n) || n == 0)
        return 0;
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) != 0 ||
        status != 0)
        return GNUTLS_E_CERTIFICATE_ERROR;
    return 0;
}

static sonde_code load_client_auth(struct arena *a,
                                   const struct web_tls_block *b,
                                   struct web_tls *tls, struct sonde_err *err)
{
    size_t i = 0;
    sonde_str ca;
    gnutls_datum_t d;
    sonde_code rc;
    int n;

    if (b->client_auth_type.len > 0)
        while (i < COUNT(client_auths) &&
               !str_eq_cstr(b->client_auth_type, client_auths[i].name))
            i++;
    if (i == COUNT(client_auths))
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: invalid ClientAuth: %.*s",
                             SONDE_ARG(b->client_auth_type));
    tls->request = client_auths[i].request;
    tls->sans = b->client_allowed_sans;
    rc = load_pem(a, b->client_ca, b->client_ca_file, &ca, err);
    if (rc != SONDE_OK)
        return rc;
    if (ca.len > 0 && tls->request == GNUTLS_CERT_IGNORE)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: client CA's have been "
                             "configured without a Client Auth Policy");
    if (client_auths[i].verify && ca.len == 0)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: client_auth_type %s needs "
                             "client_ca_file or client_ca",
                             client_auths[i].name);
    if (tls->sans.count > 0 && !client_auths[i].verify)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: client_allowed_sans needs "
                             "client_auth_type RequireAndVerifyClientCert");
    if (ca.len > 0) {
        d = datum(ca);
        n = gnutls_certificate_set_x509_trust_mem(tls->cred, &d,
                                                  GNUTLS_X509_FMT_PEM);
        if (n <= 0)
            return tls_fault(err, n, "client CA");
    }
    if (client_auths[i].verify)
        gnutls_certificate_set_verify_function(tls->cred, verify_client);
    return SONDE_OK;
}

static gnutls_pk_algorithm_t key_algorithm(const struct web_tls *tls)
{
    gnutls_x509_crt_t *list = NULL;
    unsigned n = 0;
    int pk = GNUTLS_PK_UNKNOWN;

    if (gnutls_certificate_get_x509_crt(tls->cred, 0, &list, &n) != 0)
        return GNUTLS_PK_UNKNOWN;
    if (n > 0)
        pk = gnutls_x509_crt_get_pk_algorithm(list[0], NULL);
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    return pk < 0 ? GNUTLS_PK_UNKNOWN : (gnutls_pk_algorithm_t)pk;
}

static sonde_code add_suites(struct buf *out, const struct web_tls_block *b,
                             gnutls_pk_algorithm_t pk, struct sonde_err *err)
{
    bool any = b->cipher_suites.count == 0;

    if (any)
        return SONDE_OK;
    buf_cstr(out, ":-KX-ALL:-CIPHER-ALL:-MAC-ALL");
    for (size_t i = 0; i < b->cipher_suites.count; i++) {
        size_t k = 0;

        while (k < COUNT(suites) &&
               !str_eq_cstr(b->cipher_suites.items[i], suites[k].go))
            k++;
        if (k == COUNT(suites))
            return sonde_err_set(err, SONDE_EPARSE,
                                 "tls_server_config: unknown cipher: %.*s",
                                 SONDE_ARG(b->cipher_suites.items[i]));
        if (suites[k].pk != GNUTLS_PK_UNKNOWN && suites[k].pk != pk)
            continue;
        any = true;
        buf_printf(out, ":%s", suites[k].priorities);
    }
    if (!any)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: none of the cipher_suites "
                             "fits the certificate's key (%s)",
                             gnutls_pk_get_name(pk));
    return SONDE_OK;
}

static sonde_code add_curves(struct buf *out, const struct web_tls_block *b,
                             struct sonde_err *err)
{
    if (b->curve_preferences.count > 0)
        buf_cstr(out, ":-GROUP-ALL");
    for (size_t i = 0; i < b->curve_preferences.count; i++) {
        size_t k = 0;

        while (k < COUNT(curves) &&
               !str_eq_cstr(b->curve_preferences.items[i], curves[k].go))
            k++;
        if (k == COUNT(curves))
            return sonde_err_set(err, SONDE_EPARSE,
                                 "tls_server_config: unknown curve: %.*s",
                                 SONDE_ARG(b->curve_preferences.items[i]));
        buf_printf(out, ":+%s", curves[k].gnutls);
    }
    return SONDE_OK;
}

static sonde_code load_priorities(struct arena *a,
                                  const struct web_tls_block *b,
                                  struct web_tls *tls, struct sonde_err *err)
{
    struct buf text;
    const char *bad = NULL;
    sonde_code rc = SONDE_OK;
    int n;

    if (b->min_version > b->max_version)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: min_version is above "
                             "max_version");
    buf_init(&text);
    buf_cstr(&text, "NORMAL:-VERS-ALL");
    for (int v = b->max_version; v >= b->min_version; v--)
        buf_printf(&text, ":+%s", versions[v]);
    if (b->prefer_server_cipher_suites)
        buf_cstr(&text, ":%SERVER_PRECEDENCE");
    rc = add_suites(&text, b, key_algorithm(tls), err);
    if (rc == SONDE_OK)
        rc = add_curves(&text, b, err);
    tls->priorities = arena_cstr(a, buf_str(&text));
    buf_fini(&text);
    if (rc != SONDE_OK)
        return rc;
    n = gnutls_priority_init(&tls->priority, tls->priorities, &bad);
    return n == 0 ? SONDE_OK : tls_fault(err, n, tls->priorities);
}

static sonde_code load_certificate(struct arena *a,
                                   const struct web_tls_block *b,
                                   struct web_tls *tls, struct sonde_err *err)
{
    sonde_code rc = load_pem(a, b->cert, b->cert_file, &tls->cert_pem, err);
    gnutls_datum_t cert, key;
    int n;

    if (rc == SONDE_OK)
        rc = load_pem(a, b->key, b->key_file, &tls->key_pem, err);
    if (rc != SONDE_OK)
        return rc;
    cert = datum(tls->cert_pem);
    key = datum(tls->key_pem);
    n = gnutls_certificate_set_x509_key_mem(tls->cred, &cert, &key,
                                            GNUTLS_X509_FMT_PEM);
    return n >= 0 ? SONDE_OK : tls_fault(err, n, "certificate and key");
}

static sonde_code check_pair(const struct web_tls_block *b,
                             struct sonde_err *err)
{
    if (b->cert.len > 0 && b->cert_file.len > 0)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: only one of cert and "
                             "cert_file may be given");
    if (b->key.len > 0 && b->key_file.len > 0)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: only one of key and "
                             "key_file may be given");
    if (b->client_ca.len > 0 && b->client_ca_file.len > 0)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: only one of client_ca and "
                             "client_ca_file may be given");
    if (b->cert.len == 0 && b->cert_file.len == 0)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: missing one of cert or "
                             "cert_file");
    if (b->key.len == 0 && b->key_file.len == 0)
        return sonde_err_set(err, SONDE_EPARSE,
                             "tls_server_config: missing one of key or "
                             "key_file");
    return SONDE_OK;
}

sonde_code web_tls_load(struct arena *a, const struct web_tls_block *b,
                        struct web_tls **out, struct sonde_err *err)
{
    struct web_tls *tls;
    sonde_code rc;

    *out = NULL;
    rc = check_pair(b, err);
    if (rc != SONDE_OK)
        return rc;
    tls = arena_new(a, struct web_tls);
    if (gnutls_certificate_allocate_credentials(&tls->cred) != 0)
        return sonde_err_set(err, SONDE_ENOMEM, "tls_server_config: no memory");
    rc = load_certificate(a, b, tls, err);
    if (rc == SONDE_OK)
        rc = load_client_auth(a, b, tls, err);
    if (rc == SONDE_OK)
        rc = load_priorities(a, b, tls, err);
    if (rc != SONDE_OK) {
        web_tls_fini(tls);
        return rc;
    }
    *out = tls;
    return SONDE_OK;
}

void web_tls_fini(struct web_tls *tls)
{
    if (!tls)
        return;
    if (tls->priority)
        gnutls_priority_deinit(tls->priority);
    gnutls_certificate_free_credentials(tls->cred);
    if (tls->key_pem.ptr)
        gnutls_memset((void *)tls->key_pem.ptr, 0, tls->key_pem.len);
}

void web_tls_apply(const struct web_tls *tls, gnutls_session_t session)
{
    (void)gnutls_priority_set(session, tls->priority);
    (void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->cred);
    gnutls_certificate_server_set_request(session, tls->request);
}

static bool san_listed(const struct web_tls *tls, sonde_str name)
{
    for (size_t i = 0; i < tls->sans.count; i++)
        if (sonde_str_eq(tls->sans.items[i], name))
            return true;
    return false;
}

/* The certificate's `seq`-th alternative name: DNS, mail and URI names are
 * text, addresses are bytes. */
static bool san_allowed(const struct web_tls *tls, gnutls_x509_crt_t crt,
                        unsigned seq, bool *more)
{
    char name[1024], ip[INET6_ADDRSTRLEN];
    size_t len = sizeof(name);
    unsigned type = 0;
    int rc = gnutls_x509_crt_get_subject_alt_name2(crt, seq, name, &len, &type,
                                                   NULL);

    *more = rc != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
    if (rc < 0)
        return false;
    if (type != GNUTLS_SAN_IPADDRESS)
        return san_listed(tls, (sonde_str){ name, len });
    if ((len != 4 && len != 16) ||
        !inet_ntop(len == 4 ? AF_INET : AF_INET6, name, ip, sizeof(ip)))
        return false;
    return san_listed(tls, sonde_cstr(ip));
}

bool web_tls_allows(const struct web_tls *tls, gnutls_session_t session)
{
    const gnutls_datum_t *peer;
    gnutls_x509_crt_t crt;
    unsigned n = 0;
    bool more = true, ok = false;

    if (tls->sans.count == 0)
        return true;
    peer = gnutls_certificate_get_peers(session, &n);
    if (!peer || n == 0 || gnutls_x509_crt_init(&crt) != 0)
        return false;
    if (gnutls_x509_crt_import(crt, peer, GNUTLS_X509_FMT_DER) == 0)
        for (unsigned i = 0; more && !ok && i < 100; i++)
            ok = san_allowed(tls, crt, i, &more);
    gnutls_x509_crt_deinit(crt);
    return ok;
}
