/* SPDX-License-Identifier: Apache-2.0 */
/* See net_cert.h. Keys are elliptic, because these are made at once. */
#include "unit/net_cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST(call)                                                             \
    do {                                                                       \
        int rc_ = (call);                                                      \
        if (rc_ < 0) {                                                         \
            (void)fprintf(stderr, "%s: %s\n", #call, gnutls_strerror(rc_));    \
            abort();                                                           \
        }                                                                      \
    } while (0)

static char *text_of(gnutls_datum_t *d)
{
    char *z = malloc(d->size + 1);

    if (!z)
        abort();
    memcpy(z, d->data, d->size);
    z[d->size] = '\0';
    gnutls_free(d->data);
    return z;
}

static void add_names(gnutls_x509_crt_t crt, const char *name)
{
    static const unsigned char loopback[] = { 127, 0, 0, 1 };
    char mail[100];

    (void)snprintf(mail, sizeof(mail), "%s@example.org", name);
    MUST(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
                                       name, (unsigned)strlen(name)));
    MUST(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
                                              (unsigned)strlen(name),
                                              GNUTLS_FSAN_SET));
    MUST(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS,
                                              loopback, sizeof(loopback),
                                              GNUTLS_FSAN_APPEND));
    MUST(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_RFC822NAME, mail,
                                              (unsigned)strlen(mail),
                                              GNUTLS_FSAN_APPEND));
}

/* Valid from an hour before `middle` until an hour after. */
static void make(struct cert *c, const char *name, const struct cert *ca,
                 time_t middle)
{
    static unsigned char serial;
    unsigned char number[] = { 1, ++serial };
    gnutls_datum_t pem;

    MUST(gnutls_x509_privkey_init(&c->key));
    MUST(gnutls_x509_privkey_generate(
        c->key, GNUTLS_PK_ECDSA,
        GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    MUST(gnutls_x509_crt_init(&c->crt));
    MUST(gnutls_x509_crt_set_version(c->crt, 3));
    MUST(gnutls_x509_crt_set_serial(c->crt, number, sizeof(number)));
    MUST(gnutls_x509_crt_set_activation_time(c->crt, middle - 3600));
    MUST(gnutls_x509_crt_set_expiration_time(c->crt, middle + 3600));
    MUST(gnutls_x509_crt_set_key(c->crt, c->key));
    add_names(c->crt, name);
    MUST(gnutls_x509_crt_set_ca_status(c->crt, ca == NULL));
    if (!ca)
        MUST(gnutls_x509_crt_set_key_usage(c->crt, GNUTLS_KEY_KEY_CERT_SIGN));
    MUST(gnutls_x509_crt_sign2(c->crt, ca ? ca->crt : c->crt,
                               ca ? ca->key : c->key, GNUTLS_DIG_SHA256, 0));
    MUST(gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_PEM, &pem));
    c->crt_pem = text_of(&pem);
    MUST(gnutls_x509_privkey_export2(c->key, GNUTLS_X509_FMT_PEM, &pem));
    c->key_pem = text_of(&pem);
}

void cert_init(struct cert *c, const char *name, const struct cert *ca)
{
    make(c, name, ca, time(NULL));
}

void cert_init_expired(struct cert *c, const char *name, const struct cert *ca)
{
    make(c, name, ca, time(NULL) - 7200);
}

void cert_fini(struct cert *c)
{
    gnutls_x509_crt_deinit(c->crt);
    gnutls_x509_privkey_deinit(c->key);
    free(c->crt_pem);
    free(c->key_pem);
}
