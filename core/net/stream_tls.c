/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS on top of a byte stream: GnuTLS over the stream's non-blocking socket.
 * Whenever it can not go on, poll(2) waits for the direction that it names,
 * so each step has the caller's deadline.
 *
 * The credentials (the system's authorities are a megabyte) serve the
 * handshake alone and are let go after it; a stream that stays open for days
 * keeps only its session.
 *
 * With TLS 1.3 a server judges our certificate after our handshake is over:
 * its alert comes with the first read. So alerts are put in words there too.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "net/stream_int.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/trim.h"

#define PEM_MAX_BYTES ((size_t)1 << 20)
#define PRIORITIES    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct stream_tls {
    gnutls_session_t session;
    gnutls_certificate_credentials_t cred; /* NULL after the handshake     */
    char *name;                            /* verified and sent; or NULL   */
    bool with_cert;                        /* we have one to show          */
    bool with_system;                      /* the system's authorities     */
    bool up;                               /* the handshake is over        */
};

/* ---- errors -------------------------------------------------------------- */

/* Why a certificate is not trusted, the most telling reason first. */
static const struct {
    unsigned status;
    const char *why;
} distrusts[] = {
    { GNUTLS_CERT_REVOKED, "it was revoked" },
    { GNUTLS_CERT_EXPIRED, "it has expired" },
    { GNUTLS_CERT_NOT_ACTIVATED, "it is not valid yet" },
    { GNUTLS_CERT_SIGNER_NOT_FOUND,
      "its issuer is not known; name the authority's certificate in ca_file" },
    { GNUTLS_CERT_SIGNER_NOT_CA, "its issuer is not an authority" },
    { GNUTLS_CERT_UNEXPECTED_OWNER,
      "it is for other names; server_name says which one to expect" },
    { GNUTLS_CERT_INSECURE_ALGORITHM, "its signature's algorithm is not safe" },
    { GNUTLS_CERT_PURPOSE_MISMATCH, "it is not meant for servers" },
    { GNUTLS_CERT_SIGNATURE_FAILURE, "its signature is wrong" },
};

static sonde_code distrusted(const struct net_stream *s, struct sonde_err *err)
{
    unsigned status = gnutls_session_get_verify_cert_status(s->tls->session);
    const char *why = "it can not be verified";

    for (size_t i = 0; i < sizeof(distrusts) / sizeof(distrusts[0]); i++) {
        if (status & distrusts[i].status) {
            why = distrusts[i].why;
            break;
        }
    }
    return sonde_err_set(err, SONDE_EAUTH,
                         "connect to %s: the certificate of %s is not "
                         "trusted: %s",
                         s->address, s->tls->name, why);
}

/* What to think of when the other side ends the connection. */
static const char *hint(const struct net_stream *s)
{
    return !s->tls->with_cert &&
                   gnutls_certificate_client_get_request_status(s->tls->session)
               ? "; it asked for a client certificate (cert_file, key_file)"
               : "";
}

static sonde_code alerted(const struct net_stream *s, const char *op,
                          struct sonde_err *err)
{
    const char *name = gnutls_alert_get_name(gnutls_alert_get(s->tls->session));

    return sonde_err_set(err, SONDE_EAUTH,
                         "%s %s: the other side ended TLS: %s%s", op,
                         s->address, name ? name : "unknown alert", hint(s));
}

static sonde_code fault(const struct net_stream *s, const char *op, int rc,
                        struct sonde_err *err)
{
    switch (rc) {
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
        return distrusted(s, err);
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return alerted(s, op, err);
    case GNUTLS_E_UNEXPECTED_PACKET:
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
        if (!s->tls->up)
            return sonde_err_set(err, SONDE_EPROTO,
                                 "%s %s: the other side does not speak TLS 1.2 "
                                 "or newer",
                                 op, s->address);
        break;
    case GNUTLS_E_PREMATURE_TERMINATION:
        return sonde_err_set(err, SONDE_EIO,
                             "%s %s: the connection was cut inside of TLS%s",
                             op, s->address, hint(s));
    case GNUTLS_E_PUSH_ERROR:
    case GNUTLS_E_PULL_ERROR:
        return sonde_err_set(err, SONDE_EIO,
                             "%s %s: the connection is broken%s", op,
                             s->address, hint(s));
    default:
        break;
    }
    return sonde_err_set(err, SONDE_EPROTO, "%s %s: TLS: %s", op, s->address,
                         gnutls_strerror(rc));
}

/* After a call that returned `rc` below 0: SONDE_OK when it is to be called
 * again. */
static sonde_code again(const struct net_stream *s, int rc, sonde_msec deadline,
                        const char *op, struct sonde_err *err)
{
    if (rc == GNUTLS_E_AGAIN)
        return stream_await(
            s, gnutls_record_get_direction(s->tls->session) ? POLLOUT : POLLIN,
            deadline, op, err);
    if (gnutls_error_is_fatal(rc))
        return fault(s, op, rc, err);
    if (clock_monotonic(&clock_system) >= deadline)
        return sonde_err_set(err, SONDE_ETIMEOUT, "%s %s: deadline exceeded",
                             op, s->address);
    return SONDE_OK;
}

/* ---- credentials --------------------------------------------------------- */

/* A file's text, ended with NUL; PEM without a NUL inside. */
static sonde_code read_pem(sonde_str path, struct buf *out,
                           struct sonde_err *err)
{
    char *z = mem_strdup(path);
    sonde_code rc = fs_read(z, PEM_MAX_BYTES, out, err);

    free(z);
    return rc;
}

static void drop_pem(struct buf *b)
{
    if (b->data)
        gnutls_memset(b->data, 0, b->len);
    buf_fini(b);
}

static gnutls_datum_t datum(const struct buf *b)
{
    return (gnutls_datum_t){ (unsigned char *)b->data, (unsigned)b->len };
}

static sonde_code load_authorities(struct stream_tls *t,
                                   const struct net_tls *tls,
                                   struct sonde_err *err)
{
    struct buf pem;
    gnutls_datum_t d;
    sonde_code rc;
    int n;

    if (tls->insecure)
        return SONDE_OK;
    if (tls->ca_file.len == 0) {
        n = gnutls_certificate_set_x509_system_trust(t->cred);
        t->with_system = true;
        return n > 0 ? SONDE_OK
                     : sonde_err_set(err, SONDE_ENOTFOUND,
                                     "this system has no certificates of "
                                     "authorities; give ca_file, or install "
                                     "ca-certificates");
    }
    buf_init(&pem);
    rc = read_pem(tls->ca_file, &pem, err);
    d = datum(&pem);
    if (rc == SONDE_OK && gnutls_certificate_set_x509_trust_mem(
                              t->cred, &d, GNUTLS_X509_FMT_PEM) <= 0)
        rc = sonde_err_set(err, SONDE_EPARSE,
                           "ca_file %.*s: it has no certificate in PEM",
                           SONDE_ARG(tls->ca_file));
    buf_fini(&pem);
    return rc;
}

static sonde_code load_own(struct stream_tls *t, const struct net_tls *tls,
                           struct sonde_err *err)
{
    struct buf cert, key;
    gnutls_datum_t c, k;
    sonde_code rc;
    int n;

    if (!tls->cert_file.len && !tls->key_file.len)
        return SONDE_OK;
    if (!tls->cert_file.len || !tls->key_file.len)
        return sonde_err_set(err, SONDE_EINVAL,
                             "a client certificate takes both cert_file and "
                             "key_file");
    buf_init(&cert);
    buf_init(&key);
    rc = read_pem(tls->cert_file, &cert, err);
    if (rc == SONDE_OK)
        rc = read_pem(tls->key_file, &key, err);
    if (rc == SONDE_OK) {
        c = datum(&cert);
        k = datum(&key);
        n = gnutls_certificate_set_x509_key_mem(t->cred, &c, &k,
                                                GNUTLS_X509_FMT_PEM);
        t->with_cert = n >= 0;
        if (n < 0)
            rc = sonde_err_set(err, SONDE_EPARSE,
                               "cert_file %.*s and key_file %.*s: %s",
                               SONDE_ARG(tls->cert_file),
                               SONDE_ARG(tls->key_file), gnutls_strerror(n));
    }
    drop_pem(&cert);
    drop_pem(&key);
    return rc;
}

/* ---- opening ------------------------------------------------------------- */

static bool is_ip(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 ||
           inet_pton(AF_INET6, name, bytes) == 1;
}

/* Whom to expect: the name given, or else the address' host. */
static sonde_code find_name(struct net_stream *s, const struct net_tls *tls,
                            struct sonde_err *err)
{
    sonde_str address = sonde_cstr(s->address), host = tls->server_name, port;

    if (!host.len && !str_starts(address, SONDE_STR("unix:")))
        (void)stream_split(address, &host, &port);
    if (host.len)
        s->tls->name = mem_strdup(host);
    else if (!tls->insecure)
        return sonde_err_set(err, SONDE_EINVAL,
                             "a unix socket's path names no one to expect in "
                             "the certificate: give server_name");
    return SONDE_OK;
}

static sonde_code set_up(struct net_stream *s, const struct net_tls *tls,
                         struct sonde_err *err)
{
    struct stream_tls *t = s->tls;
    sonde_code rc = find_name(s, tls, err);

    if (rc != SONDE_OK)
        return rc;
    if (gnutls_certificate_allocate_credentials(&t->cred) != 0 ||
        gnutls_init(&t->session,
                    GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) != 0 ||
        gnutls_priority_set_direct(t->session, PRIORITIES, NULL) != 0)
        return sonde_err_set(err, SONDE_ENOMEM, "TLS does not start");
    rc = load_authorities(t, tls, err);
    if (rc == SONDE_OK)
        rc = load_own(t, tls, err);
    if (rc != SONDE_OK)
        return rc;
    if (gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->cred) !=
            0 ||
        (t->name && !is_ip(t->name) &&
         gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, t->name,
                                strlen(t->name)) != 0))
        return sonde_err_set(err, SONDE_EINVAL,
                             "\"%s\" can not be sent as a server's name",
                             t->name ? t->name : "");
    if (!tls->insecure)
        gnutls_session_set_verify_cert(t->session, t->name, 0);
    gnutls_transport_set_int(t->session, s->fd);
    return SONDE_OK;
}

/* A megabyte in small pieces, which would stay ours without being told. */
static void drop_credentials(struct stream_tls *t)
{
    if (!t->cred)
        return;
    gnutls_certificate_free_credentials(t->cred);
    t->cred = NULL;
    if (t->with_system)
        trim_resident();
}

static sonde_code shake_hands(struct net_stream *s, sonde_msec deadline,
                              struct sonde_err *err)
{
    struct stream_tls *t = s->tls;
    int n;

    while ((n = gnutls_handshake(t->session)) != 0) {
        sonde_code rc = again(s, n, deadline, "connect to", err);

        if (rc != SONDE_OK)
            return rc;
    }
    t->up = true;
    gnutls_credentials_clear(t->session);
    drop_credentials(t);
    return SONDE_OK;
}

sonde_code net_stream_open_tls(sonde_str address, const struct net_tls *tls,
                               sonde_msec deadline, struct net_stream **out,
                               struct sonde_err *err)
{
    struct net_stream *s = NULL;
    sonde_code rc = net_stream_open(address, deadline, &s, err);

    if (rc != SONDE_OK)
        return rc;
    s->tls = mem_new(struct stream_tls);
    rc = set_up(s, tls, err);
    if (rc != SONDE_OK)
        (void)sonde_err_prefix(err, "connect to %s", s->address);
    else
        rc = shake_hands(s, deadline, err);
    if (rc != SONDE_OK) {
        net_stream_close(s);
        return rc;
    }
    *out = s;
    return SONDE_OK;
}

/* ---- reading, writing, closing ------------------------------------------- */

sonde_code stream_tls_write(struct net_stream *s, const void *data, size_t len,
                            sonde_msec deadline, struct sonde_err *err)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = gnutls_record_send(s->tls->session, p, len);
        sonde_code rc = SONDE_OK;

        if (n >= 0) {
            p += n;
            len -= (size_t)n;
            continue;
        }
        rc = again(s, (int)n, deadline, "write to", err);
        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

sonde_code stream_tls_read(struct net_stream *s, void *data, size_t cap,
                           size_t *got, sonde_msec deadline,
                           struct sonde_err *err)
{
    for (;;) {
        ssize_t n = gnutls_record_recv(s->tls->session, data, cap);
        sonde_code rc;

        if (n >= 0) {
            *got = (size_t)n;
            return SONDE_OK;
        }
        rc = again(s, (int)n, deadline, "read from", err);
        if (rc != SONDE_OK)
            return rc;
    }
}

void stream_tls_close(struct net_stream *s)
{
    struct stream_tls *t = s->tls;

    if (!t)
        return;
    if (t->up && !atomic_load(&s->shut))
        (void)gnutls_bye(t->session, GNUTLS_SHUT_WR);
    if (t->session)
        gnutls_deinit(t->session);
    drop_credentials(t);
    free(t->name);
    free(t);
    s->tls = NULL;
}
