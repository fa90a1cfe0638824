/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, made on the spot. */
#ifndef TESTS_UNIT_NET_CERT_H
#define TESTS_UNIT_NET_CERT_H

#include <gnutls/x509.h>

struct cert {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    char *key_pem, *crt_pem;
};

/* With this DNS name, and 127.0.0.1 and a mail address as further names;
 * signed by `ca`, or by itself if that is NULL. Not for more than a test: a
 * failure aborts. */
void cert_init(struct cert *c, const char *name, const struct cert *ca);
/* The same, but it was valid until an hour ago only. */
void cert_init_expired(struct cert *c, const char *name, const struct cert *ca);
void cert_fini(struct cert *c);

#endif
