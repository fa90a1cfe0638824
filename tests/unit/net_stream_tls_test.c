/* SPDX-License-Identifier: Apache-2.0 */
/* net: byte streams with TLS, against a GnuTLS peer that echoes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "net/net.h"
#include "unit/net_cert.h"
#include "unit/tap.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define MUST(call)                                                             \
    do {                                                                       \
        int rc_ = (int)(call);                                                 \
        if (rc_ < 0) {                                                         \
            tap_note("%s: %d", #call, rc_);                                    \
            abort();                                                           \
        }                                                                      \
    } while (0)

static sonde_msec in_ms(sonde_msec ms)
{
    return clock_monotonic(&clock_system) + ms;
}

/* ---- the peer ----------------------------------------------------------- */

enum manner {
    ECHO,
    MUTE,  /* accepts and says nothing                                   */
    PLAIN, /* says something that is not TLS                             */
    CUT,   /* ends the connection without TLS' goodbye                   */
    DEAF,  /* shakes hands, then reads nothing                           */
};

struct peer {
    enum manner manner;
    const char *priority;
    bool want_cert;
    int listener, port;
    int stop[2]; /* closed at the end: who hangs comes back                 */
    char name[100]; /* SNI of the last connection                           */
    pthread_t thread;
    gnutls_certificate_credentials_t cred;
};

static void echo(gnutls_session_t s)
{
    char in[4096];

    for (;;) {
        ssize_t n = gnutls_record_recv(s, in, sizeof(in));

        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
            continue;
        if (n <= 0)
            break;
        for (ssize_t at = 0; at < n;) {
            ssize_t sent = gnutls_record_send(s, in + at, (size_t)(n - at));

            if (sent < 0)
                return;
            at += sent;
        }
    }
    (void)gnutls_bye(s, GNUTLS_SHUT_WR);
}

static void hang(struct peer *p)
{
    char c;

    (void)!read(p->stop[0], &c, 1);
}

static void speak_tls(struct peer *p, int fd)
{
    gnutls_session_t s;
    size_t len = sizeof(p->name) - 1;
    unsigned type;
    int rc;

    MUST(gnutls_init(&s, GNUTLS_SERVER | GNUTLS_NO_SIGNAL));
    MUST(gnutls_priority_set_direct(s, p->priority, NULL));
    MUST(gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, p->cred));
    if (p->want_cert)
        gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
    gnutls_transport_set_int(s, fd);
    do
        rc = gnutls_handshake(s);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    if (rc < 0)
        (void)gnutls_alert_send_appropriate(s, rc);
    p->name[0] = '\0';
    if (rc == 0 && gnutls_server_name_get(s, p->name, &len, &type, 0) != 0)
        p->name[0] = '\0';
    if (rc == 0 && p->manner == ECHO)
        echo(s);
    if (rc == 0 && p->manner == DEAF)
        hang(p);
    gnutls_deinit(s);
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    int fd;

    while ((fd = accept(p->listener, NULL, NULL)) >= 0) {
        if (p->manner == MUTE)
            hang(p);
        else if (p->manner == PLAIN)
            MUST(send(fd, "+OK hello, this is no TLS\r\n", 27, MSG_NOSIGNAL));
        else
            speak_tls(p, fd);
        (void)shutdown(fd, SHUT_WR);
        if (p->manner == PLAIN)
            hang(p);
        (void)close(fd);
    }
    return NULL;
}

static void start_on(struct peer *p, const struct cert *server,
                     const struct cert *ca, const struct sockaddr *at,
                     socklen_t len)
{
    struct sockaddr_in got = { 0 };
    socklen_t size = sizeof(got);
    gnutls_x509_crt_t crt = server->crt;

    if (!p->priority)
        p->priority = "NORMAL";
    MUST(gnutls_certificate_allocate_credentials(&p->cred));
    MUST(gnutls_certificate_set_x509_key(p->cred, &crt, 1, server->key));
    if (ca)
        MUST(gnutls_certificate_set_x509_trust(
            p->cred, (gnutls_x509_crt_t *)(uintptr_t)&ca->crt, 1));
    MUST(pipe(p->stop));
    p->listener = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(p->listener, at, len));
    MUST(listen(p->listener, 16));
    MUST(getsockname(p->listener, (struct sockaddr *)&got, &size));
    p->port = ntohs(got.sin_port);
    MUST(-pthread_create(&p->thread, NULL, serve, p));
}

static void start(struct peer *p, const struct cert *server,
                  const struct cert *ca)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    start_on(p, server, ca, (struct sockaddr *)&at, sizeof(at));
}

static void stop(struct peer *p)
{
    (void)close(p->stop[1]);
    (void)shutdown(p->listener, SHUT_RDWR);
    (void)pthread_join(p->thread, NULL);
    (void)close(p->listener);
    (void)close(p->stop[0]);
    gnutls_certificate_free_credentials(p->cred);
}

/* ---- helpers ------------------------------------------------------------ */

static sonde_str write_file(struct arena *a, const char *name, const char *text)
{
    struct sonde_err err;
    char *path = fs_join(a, sonde_cstr(tap_tmpdir()), sonde_cstr(name));

    MUST(-(int)fs_write_atomic(path, sonde_cstr(text), 0600, &err));
    return sonde_cstr(path);
}

static sonde_code open_at(const struct peer *p, const char *host,
                          const struct net_tls *tls, struct net_stream **out,
                          struct sonde_err *err)
{
    char address[100];

    (void)snprintf(address, sizeof(address), "%s:%d", host, p->port);
    *err = (struct sonde_err){ 0 };
    return net_stream_open_tls(sonde_cstr(address), tls, in_ms(60000), out,
                               err);
}

/* Opens, is echoed, closes; the code and text of what failed. */
static sonde_code talk_on(struct net_stream *s, struct sonde_err *err)
{
    char text[16] = "";
    size_t got = 0;
    sonde_code rc = net_stream_write(s, "ping", 4, in_ms(60000), err);

    if (rc == SONDE_OK)
        rc = net_stream_read(s, text, sizeof(text), &got, in_ms(60000), err);
    if (rc == SONDE_OK)
        CU_ASSERT(got == 4 && memcmp(text, "ping", 4) == 0);
    net_stream_close(s);
    return rc;
}

static sonde_code talk(const struct peer *p, const char *host,
                       const struct net_tls *tls, struct sonde_err *err)
{
    struct net_stream *s = NULL;
    sonde_code rc = open_at(p, host, tls, &s, err);

    return rc == SONDE_OK ? talk_on(s, err) : rc;
}

static bool says(const struct sonde_err *err, const char *part)
{
    if (!strstr(err->text, part))
        tap_note("got: %s", err->text);
    return strstr(err->text, part) != NULL;
}

/* Everything that the tests below share. */
struct scene {
    struct arena a;
    struct cert ca, other, server, expired, client;
    sonde_str ca_file, other_file;
};

static void scene_init(struct scene *s)
{
    arena_init(&s->a);
    cert_init(&s->ca, "ca", NULL);
    cert_init(&s->other, "other ca", NULL);
    cert_init(&s->server, "db.test", &s->ca);
    cert_init_expired(&s->expired, "db.test", &s->ca);
    cert_init(&s->client, "client", &s->ca);
    s->ca_file = write_file(&s->a, "ca.pem", s->ca.crt_pem);
    s->other_file = write_file(&s->a, "other.pem", s->other.crt_pem);
}

static void scene_fini(struct scene *s)
{
    cert_fini(&s->ca);
    cert_fini(&s->other);
    cert_fini(&s->server);
    cert_fini(&s->expired);
    cert_fini(&s->client);
    arena_fini(&s->a);
}

/* ---- tests -------------------------------------------------------------- */

static void test_trust(void)
{
    struct scene s;
    struct peer p = { 0 };
    struct net_tls tls = { 0 };
    struct sonde_err err;

    scene_init(&s);
    start(&p, &s.server, NULL);
    tls.ca_file = s.ca_file;
    /* By name that is given, by address that is in the certificate. */
    CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(p.name, ""); /* no SNI for an address */
    tls.server_name = SONDE_STR("db.test");
    CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(p.name, "db.test");
    tls.server_name = SONDE_STR("127.0.0.9");
    CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_EAUTH);
    CU_ASSERT(says(&err, "certificate of 127.0.0.9 is not trusted"));
    CU_ASSERT(says(&err, "for other names"));
    tls.server_name = (sonde_str){ 0 };
    CU_ASSERT_EQUAL(talk(&p, "localhost", &tls, &err), SONDE_EAUTH);
    CU_ASSERT(says(&err, "connect to localhost:"));
    CU_ASSERT(says(&err, "certificate of localhost is not trusted: it is for "
                         "other names"));
    tls.ca_file = s.other_file;
    CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_EAUTH);
    CU_ASSERT(says(&err, "its issuer is not known"));
    tls.insecure = true;
    CU_ASSERT_EQUAL(talk(&p, "localhost", &tls, &err), SONDE_OK);
    stop(&p);
    scene_fini(&s);
}

/* Without ca_file nobody of this system vouches for it. */
static void test_system(void)
{
    struct scene s;
    struct peer p = { 0 };
    const struct net_tls tls = { 0 };
    struct sonde_err err;
    sonde_code rc;

    scene_init(&s);
    start(&p, &s.server, NULL);
    rc = talk(&p, "127.0.0.1", &tls, &err);
    CU_ASSERT(rc == SONDE_EAUTH || rc == SONDE_ENOTFOUND);
    CU_ASSERT(says(&err, "ca_file"));
    stop(&p);
    scene_fini(&s);
}

static void test_expired(void)
{
    struct scene s;
    struct peer p = { 0 };
    struct net_tls tls = { 0 };
    struct sonde_err err;

    scene_init(&s);
    start(&p, &s.expired, NULL);
    tls.ca_file = s.ca_file;
    CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_EAUTH);
    CU_ASSERT(says(&err, "it has expired"));
    stop(&p);
    scene_fini(&s);
}

/* At the opening with TLS 1.2, at the first answer with 1.3. */
static void test_client_cert(void)
{
    static const char *const priorities[] = {
        "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2", "NORMAL"
    };
    struct scene s;
    struct sonde_err err;

    scene_init(&s);
    for (size_t i = 0; i < 2; i++) {
        struct peer p = { .want_cert = true, .priority = priorities[i] };
        struct net_tls tls = { .ca_file = s.ca_file };

        start(&p, &s.server, &s.ca);
        /* An alert, or only a reset if we write while it hangs up. */
        CU_ASSERT_NOT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_OK);
        CU_ASSERT(says(&err, "client certificate"));
        tls.cert_file = write_file(&s.a, "c.pem", s.client.crt_pem);
        CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_EINVAL);
        tls.key_file = write_file(&s.a, "c.key", s.client.key_pem);
        CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_OK);
        /* Files are read at each opening. */
        (void)write_file(&s.a, "c.key", s.server.key_pem);
        CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_EPARSE);
        CU_ASSERT(says(&err, "c.key"));
        tls.key_file = SONDE_STR("/no/such/key");
        CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_ENOTFOUND);
        CU_ASSERT(says(&err, "/no/such/key"));
        stop(&p);
    }
    scene_fini(&s);
}

static void test_bad_files(void)
{
    struct scene s;
    struct peer p = { 0 };
    struct net_tls tls = { 0 };
    struct sonde_err err;

    scene_init(&s);
    start(&p, &s.server, NULL);
    tls.ca_file = write_file(&s.a, "empty.pem", "nothing\n");
    CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_EPARSE);
    CU_ASSERT(says(&err, "empty.pem"));
    tls.ca_file = SONDE_STR("/no/such/ca.pem");
    CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_ENOTFOUND);
    CU_ASSERT(says(&err, "/no/such/ca.pem"));
    stop(&p);
    scene_fini(&s);
}

static void test_versions(void)
{
    static const struct {
        int line;
        const char *priority;
        bool ok;
    } rows[] = {
        { __LINE__, "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2", true },
        { __LINE__, "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3", true },
        { __LINE__,
          "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.1:+VERS-TLS1.0:+SHA1:%COMPAT",
          false },
    };
    struct scene s;
    struct sonde_err err;

    scene_init(&s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer p = { .priority = rows[i].priority };
        const struct net_tls tls = { .ca_file = s.ca_file };

        start(&p, &s.server, NULL);
        ROW_ASSERT(&rows[i],
                   (talk(&p, "127.0.0.1", &tls, &err) == 0) == rows[i].ok);
        stop(&p);
    }
    scene_fini(&s);
}

static void test_not_tls(void)
{
    struct scene s;
    struct peer p = { .manner = PLAIN };
    const struct net_tls tls = { .insecure = true };
    struct sonde_err err;

    scene_init(&s);
    start(&p, &s.server, NULL);
    CU_ASSERT_EQUAL(talk(&p, "127.0.0.1", &tls, &err), SONDE_EPROTO);
    CU_ASSERT(says(&err, "does not speak TLS"));
    stop(&p);
    scene_fini(&s);
}

static void test_deadlines(void)
{
    struct scene s;
    struct peer mute = { .manner = MUTE }, deaf = { .manner = DEAF };
    const struct net_tls tls = { .insecure = true };
    struct net_stream *stream = NULL;
    struct sonde_err err = { 0 };
    size_t len = (size_t)64 << 20, got;
    char address[100], *much = mem_zalloc(len), c;

    scene_init(&s);
    start(&mute, &s.server, NULL);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", mute.port);
    CU_ASSERT_EQUAL(net_stream_open_tls(sonde_cstr(address), &tls, in_ms(50),
                                        &stream, &err),
                    SONDE_ETIMEOUT);
    CU_ASSERT(says(&err, "connect to 127.0.0.1:"));
    stop(&mute);
    start(&deaf, &s.server, NULL);
    CU_ASSERT_EQUAL_FATAL(open_at(&deaf, "127.0.0.1", &tls, &stream, &err),
                          SONDE_OK);
    CU_ASSERT_EQUAL(net_stream_read(stream, &c, 1, &got, in_ms(50), &err),
                    SONDE_ETIMEOUT);
    CU_ASSERT_EQUAL(net_stream_write(stream, much, len, in_ms(50), &err),
                    SONDE_ETIMEOUT);
    net_stream_close(stream);
    stop(&deaf);
    free(much);
    scene_fini(&s);
}

static void test_cut(void)
{
    struct scene s;
    struct peer p = { .manner = CUT };
    const struct net_tls tls = { .insecure = true };
    struct net_stream *stream = NULL;
    struct sonde_err err;
    size_t got;
    char c;

    scene_init(&s);
    start(&p, &s.server, NULL);
    CU_ASSERT_EQUAL_FATAL(open_at(&p, "127.0.0.1", &tls, &stream, &err),
                          SONDE_OK);
    CU_ASSERT_EQUAL(net_stream_read(stream, &c, 1, &got, in_ms(60000), &err),
                    SONDE_EIO);
    CU_ASSERT(says(&err, "was cut"));
    net_stream_close(stream);
    stop(&p);
    scene_fini(&s);
}

/* More than fits in buffers and records, there and back. */
static void *send_much(void *arg)
{
    struct net_stream *s = arg;
    char piece[5000];

    memset(piece, 'x', sizeof(piece));
    /* One thread at a time: it only writes before the reads begin. */
    for (int i = 0; i < 10; i++)
        if (net_stream_write(s, piece, sizeof(piece), in_ms(60000), NULL) !=
            SONDE_OK)
            return s;
    return NULL;
}

static void test_much(void)
{
    struct scene s;
    struct peer p = { 0 };
    const struct net_tls tls = { .insecure = true };
    struct net_stream *stream = NULL;
    struct sonde_err err;
    char in[3000];
    size_t all = 0, got;

    scene_init(&s);
    start(&p, &s.server, NULL);
    CU_ASSERT_EQUAL_FATAL(open_at(&p, "127.0.0.1", &tls, &stream, &err),
                          SONDE_OK);
    CU_ASSERT_PTR_NULL(send_much(stream));
    while (all < 50000) {
        got = 0;
        if (net_stream_read(stream, in, sizeof(in), &got, in_ms(60000), &err) !=
                SONDE_OK ||
            got == 0)
            break;
        all += got;
    }
    CU_ASSERT_EQUAL(all, 50000);
    net_stream_close(stream);
    stop(&p);
    scene_fini(&s);
}

static void test_unix(void)
{
    struct scene s;
    struct peer p = { 0 };
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct net_tls tls = { 0 };
    struct net_stream *stream = NULL;
    struct sonde_err err = { 0 };
    sonde_str address;

    scene_init(&s);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/tls.sock",
                   tap_tmpdir());
    start_on(&p, &s.server, NULL, (struct sockaddr *)&at, sizeof(at));
    address = arena_printf(&s.a, "unix:%s", at.sun_path);
    tls.ca_file = s.ca_file;
    CU_ASSERT_EQUAL(
        net_stream_open_tls(address, &tls, in_ms(60000), &stream, &err),
        SONDE_EINVAL);
    CU_ASSERT(says(&err, "server_name"));
    tls.server_name = SONDE_STR("db.test");
    CU_ASSERT_EQUAL_FATAL(
        net_stream_open_tls(address, &tls, in_ms(60000), &stream, &err),
        SONDE_OK);
    CU_ASSERT_EQUAL(talk_on(stream, &err), SONDE_OK);
    stop(&p);
    scene_fini(&s);
}

/* ---- from another thread ------------------------------------------------ */

static void *shut_it(void *arg)
{
    net_stream_shut(arg);
    return NULL;
}

/* The read below would wait for a minute. */
static void test_shut(void)
{
    struct scene s;
    struct peer p = { .manner = DEAF };
    const struct net_tls tls = { .insecure = true };
    struct sonde_err err;
    char address[100], c;

    scene_init(&s);
    start(&p, &s.server, NULL);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", p.port);
    for (int with_tls = 1; with_tls >= 0; with_tls--) {
        struct net_stream *stream = NULL;
        sonde_msec until = in_ms(60000);
        pthread_t other;
        size_t got = 7;
        sonde_code rc;

        /* The deaf peer serves one; the second waits in its backlog. */
        rc = with_tls
                 ? open_at(&p, "127.0.0.1", &tls, &stream, &err)
                 : net_stream_open(sonde_cstr(address), until, &stream, &err);
        CU_ASSERT_EQUAL_FATAL(rc, SONDE_OK);
        MUST(-pthread_create(&other, NULL, shut_it, stream));
        rc = net_stream_read(stream, &c, 1, &got, until, &err);
        CU_ASSERT(rc != SONDE_OK || got == 0);
        CU_ASSERT_NOT_EQUAL(rc, SONDE_ETIMEOUT);
        (void)pthread_join(other, NULL);
        CU_ASSERT_EQUAL(net_stream_read(stream, &c, 1, &got, until, &err),
                        SONDE_ECANCELED);
        CU_ASSERT_EQUAL(net_stream_write(stream, "x", 1, until, &err),
                        SONDE_ECANCELED);
        CU_ASSERT(says(&err, "was shut"));
        net_stream_close(stream);
    }
    stop(&p);
    scene_fini(&s);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "who signed the certificate, and for whom", test_trust },
        { "the system's authorities", test_system },
        { "expired", test_expired },
        { "client certificates", test_client_cert },
        { "files that are no good", test_bad_files },
        { "versions of TLS", test_versions },
        { "a peer that does not speak TLS", test_not_tls },
        { "deadlines", test_deadlines },
        { "a connection that is cut", test_cut },
        { "more than one record", test_much },
        { "a unix socket", test_unix },
        { "shut from another thread", test_shut },
    };

    return TAP_RUN("net stream tls", tests);
}
