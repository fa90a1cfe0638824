/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to RabbitMQ by librabbitmq's own sockets, plain or with TLS, and
 * what its errors mean. Every wait of the library has a timeout, made from
 * the caller's deadline.
 */
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <unistd.h>

#include "amqp_int.h"

#define FRAME_MAX 131072

struct timeval amqp_left(const struct amqp *a, sonde_msec deadline)
{
    sonde_msec ms = deadline - a->config.host->monotonic();

    if (ms < 1)
        ms = 1;
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

static sonde_code status_code(int status)
{
    return status == AMQP_STATUS_TIMEOUT ? SONDE_ETIMEOUT
           : status == AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED ||
                   status == AMQP_STATUS_SOCKET_ERROR
               ? SONDE_ECONNECT
           : status == AMQP_STATUS_NO_MEMORY ? SONDE_ENOMEM
                                             : SONDE_EIO;
}

sonde_code amqp_failed(const struct amqp *a, int status, const char *what,
                       struct sonde_err *err)
{
    return sonde_err_set(err, status_code(status), "%s at %s: %s", what,
                         a->config.broker->hosts[0].address,
                         amqp_error_string2(status));
}

static sonde_code closed(const struct amqp *a, int code, amqp_bytes_t text,
                         const char *what, struct sonde_err *err)
{
    return sonde_err_set(err,
                         code == AMQP_ACCESS_REFUSED ? SONDE_EAUTH
                         : code == AMQP_NOT_FOUND    ? SONDE_ENOTFOUND
                                                     : SONDE_EPROTO,
                         "%s at %s is refused: %.*s", what,
                         a->config.broker->hosts[0].address,
                         (int)(text.len < 200 ? text.len : 200),
                         text.len ? (const char *)text.bytes : "");
}

sonde_code amqp_close_reason(const struct amqp *a, const amqp_method_t *m,
                             const char *what, struct sonde_err *err)
{
    if (m->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *c = m->decoded;

        return closed(a, c->reply_code, c->reply_text, what, err);
    }
    if (m->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *c = m->decoded;

        return closed(a, c->reply_code, c->reply_text, what, err);
    }
    return sonde_err_set(err, SONDE_EPROTO, "%s at %s: unexpected %s", what,
                         a->config.broker->hosts[0].address,
                         amqp_method_name(m->id) ? amqp_method_name(m->id)
                                                 : "method");
}

sonde_code amqp_check(const struct amqp *a, amqp_rpc_reply_t r,
                      const char *what, struct sonde_err *err)
{
    switch (r.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return SONDE_OK;
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        return amqp_failed(a, r.library_error, what, err);
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        return amqp_close_reason(a, &r.reply, what, err);
    default:
        return sonde_err_set(err, SONDE_EPROTO, "%s at %s: no answer", what,
                             a->config.broker->hosts[0].address);
    }
}

/* ---- connecting ---------------------------------------------------------- */

/* The system's certificates; librabbitmq does not look for them by itself. */
static const char *system_ca(void)
{
    static const char *const paths[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    }
    return NULL;
}

static sonde_code set_up_tls(const struct amqp *a, amqp_socket_t *socket,
                             const char *name, struct sonde_err *err)
{
    struct sonde_tls tls = broker_tls(a->config.broker, a->config.tls);
    const char *ca = tls.ca_file.len ? tls.ca_file.ptr : system_ca();

    if (tls.server_name.len && !text_is(tls.server_name, name))
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "tls_config: server_name differs from the host "
                             "in the URL, which the AMQP library can not "
                             "verify: use that name in the URL");
    amqp_ssl_socket_set_verify_peer(socket, !tls.insecure);
    amqp_ssl_socket_set_verify_hostname(socket, !tls.insecure);
    if (!tls.insecure && ca && amqp_ssl_socket_set_cacert(socket, ca) != 0)
        return sonde_err_set(err, SONDE_EACCESS,
                             "tls_config: %s is no file of certificates", ca);
    if (tls.cert_file.len && amqp_ssl_socket_set_key(socket, tls.cert_file.ptr,
                                                     tls.key_file.ptr) != 0)
        return sonde_err_set(err, SONDE_EACCESS,
                             "tls_config: %s and its key are no certificate "
                             "and key",
                             tls.cert_file.ptr);
    return SONDE_OK;
}

static sonde_code open_socket(const struct amqp *a,
                              amqp_connection_state_t conn,
                              const struct broker_host *h, sonde_msec deadline,
                              struct sonde_err *err)
{
    bool tls = a->config.broker->tls;
    amqp_socket_t *socket =
        tls ? amqp_ssl_socket_new(conn) : amqp_tcp_socket_new(conn);
    struct timeval tv = amqp_left(a, deadline);
    sonde_code rc = SONDE_OK;
    int status;

    if (!socket)
        return no_memory(err);
    if (tls)
        rc = set_up_tls(a, socket, h->name, err);
    if (rc != SONDE_OK)
        return rc;
    status = amqp_socket_open_noblock(socket, h->name, h->port, &tv);
    if (status != AMQP_STATUS_OK)
        return sonde_err_set(err, status_code(status), "connect to %s: %s",
                             h->address, amqp_error_string2(status));
    return SONDE_OK;
}

/* Brokers that do not tell a wrong password just hang up. */
static sonde_code log_in(const struct amqp *a, amqp_connection_state_t conn,
                         int heartbeat, struct sonde_err *err)
{
    struct login login;
    sonde_code rc = login_find(&a->config, &login, err);
    const char *vhost = a->config.broker->vhost ? a->config.broker->vhost : "/";

    if (rc == SONDE_OK)
        rc = amqp_check(a,
                        amqp_login(conn, vhost, 0, FRAME_MAX, heartbeat,
                                   AMQP_SASL_METHOD_PLAIN,
                                   login.user ? login.user : "guest",
                                   login.password ? login.password : "guest"),
                        "login", err);
    login_fini(&login);
    return rc;
}

static sonde_code connect_host(const struct amqp *a,
                               const struct broker_host *h, int heartbeat,
                               sonde_msec deadline,
                               amqp_connection_state_t *out,
                               struct sonde_err *err)
{
    amqp_connection_state_t conn = amqp_new_connection();
    struct timeval tv = amqp_left(a, deadline);
    sonde_code rc;

    if (!conn)
        return no_memory(err);
    (void)amqp_set_handshake_timeout(conn, &tv);
    (void)amqp_set_rpc_timeout(conn, &tv);
    rc = open_socket(a, conn, h, deadline, err);
    if (rc == SONDE_OK)
        rc = log_in(a, conn, heartbeat, err);
    if (rc == SONDE_OK)
        *out = conn;
    else
        (void)amqp_destroy_connection(conn);
    return rc;
}

/* Any of the hosts; a refused password is looked up once more. */
sonde_code amqp_connect_any(const struct amqp *a, int heartbeat,
                            sonde_msec deadline, amqp_connection_state_t *out,
                            struct sonde_err *err)
{
    const struct broker *b = a->config.broker;
    sonde_code rc = SONDE_ECONNECT;

    for (size_t i = 0; i < b->host_count && rc != SONDE_OK; i++) {
        rc = connect_host(a, &b->hosts[i], heartbeat, deadline, out, err);
        if (rc == SONDE_EAUTH && a->config.options->password_file.len)
            rc = connect_host(a, &b->hosts[i], heartbeat, deadline, out, err);
    }
    return rc;
}

void amqp_hang_up(amqp_connection_state_t *conn)
{
    if (*conn)
        (void)amqp_destroy_connection(*conn);
    *conn = NULL;
}

/* Says good-bye, so that the broker does not log a lost client. */
void amqp_say_bye(amqp_connection_state_t *conn)
{
    struct timeval tv = { .tv_usec = 300000 };

    if (!*conn)
        return;
    (void)amqp_set_rpc_timeout(*conn, &tv);
    (void)amqp_connection_close(*conn, AMQP_REPLY_SUCCESS);
    amqp_hang_up(conn);
}

void amqp_set_timeout(const struct amqp *a, amqp_connection_state_t conn,
                      sonde_msec deadline)
{
    struct timeval tv = amqp_left(a, deadline);

    (void)amqp_set_rpc_timeout(conn, &tv);
}

sonde_code amqp_open_channel(const struct amqp *a, amqp_connection_state_t conn,
                             int channel, struct sonde_err *err)
{
    (void)amqp_channel_open(conn, (amqp_channel_t)channel);
    return amqp_check(a, amqp_get_rpc_reply(conn), "opening a channel", err);
}
