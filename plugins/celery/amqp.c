/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Celery over RabbitMQ.
 *
 * The listener's connection has two channels: one on which the events are
 * consumed, and one for commands and the replies to them, so that a refused
 * command does not end the events. Both deliver to one stream of messages.
 * The collections have a connection of their own.
 *
 * Exchanges are declared exactly as Celery declares them, else the broker
 * refuses. Our queues are exclusive and go with the connection; the broker
 * keeps at most QUEUE_MAX messages for a minute in them when we do not come
 * to read.
 *
 * librabbitmq owns its sockets, TLS included, and knows no way to be woken:
 * so every wait here is at most WAIT_MAX long.
 */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "text.h"
#include "transport.h"

#define WAIT_MAX  250 /* ms */
#define HEARTBEAT 30  /* s  */
#define QUEUE_MAX 200000
#define FRAME_MAX 131072
#define ABSENT    15000 /* ms until a queue that is not there is asked for */

enum {
    CHANNEL_EVENTS = 1,
    CHANNEL_CONTROL = 2
};

struct amqp {
    struct transport base;
    struct transport_config config;
    amqp_connection_state_t events, meter; /* NULL: not connected */
    bool control;                          /* channel 2 is open   */
    bool meter_channel;
    sonde_msec *absent; /* until when, by the queue's place in the list */
    size_t absent_count;
    atomic_bool stopped;
    bool has_message;
    amqp_envelope_t message; /* the last one */
    struct text pidbox, reply_exchange, reply_queue;
};

static struct amqp *amqp_of(struct transport *t)
{
    return (struct amqp *)(void *)t;
}

/* ---- small parts --------------------------------------------------------- */

static amqp_bytes_t bytes(sonde_str s)
{
    return (amqp_bytes_t){ .len = s.len, .bytes = (void *)(uintptr_t)s.ptr };
}

static sonde_str view(amqp_bytes_t b)
{
    return (sonde_str){ b.bytes, b.len };
}

static struct timeval left(const struct amqp *a, sonde_msec deadline)
{
    sonde_msec ms = deadline - a->config.host->monotonic();

    if (ms < 1)
        ms = 1;
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

static sonde_code no_memory(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
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

static sonde_code failed(const struct amqp *a, int status, const char *what,
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

static sonde_code close_reason(const struct amqp *a, const amqp_method_t *m,
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

static sonde_code check(const struct amqp *a, amqp_rpc_reply_t r,
                        const char *what, struct sonde_err *err)
{
    switch (r.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return SONDE_OK;
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        return failed(a, r.library_error, what, err);
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        return close_reason(a, &r.reply, what, err);
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
    struct timeval tv = left(a, deadline);
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
        rc = check(a,
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
    struct timeval tv = left(a, deadline);
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
static sonde_code connect_any(const struct amqp *a, int heartbeat,
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

static void hang_up(amqp_connection_state_t *conn)
{
    if (*conn)
        (void)amqp_destroy_connection(*conn);
    *conn = NULL;
}

/* Says good-bye, so that the broker does not log a lost client. */
static void say_bye(amqp_connection_state_t *conn)
{
    struct timeval tv = { .tv_usec = 300000 };

    if (!*conn)
        return;
    (void)amqp_set_rpc_timeout(*conn, &tv);
    (void)amqp_connection_close(*conn, AMQP_REPLY_SUCCESS);
    hang_up(conn);
}

static void set_timeout(const struct amqp *a, amqp_connection_state_t conn,
                        sonde_msec deadline)
{
    struct timeval tv = left(a, deadline);

    (void)amqp_set_rpc_timeout(conn, &tv);
}

static sonde_code open_channel(const struct amqp *a,
                               amqp_connection_state_t conn, int channel,
                               struct sonde_err *err)
{
    (void)amqp_channel_open(conn, (amqp_channel_t)channel);
    return check(a, amqp_get_rpc_reply(conn), "opening a channel", err);
}

/* ---- declaring ----------------------------------------------------------- */

static sonde_code declare_exchange(const struct amqp *a, int channel,
                                   sonde_str name, const char *type,
                                   bool durable, struct sonde_err *err)
{
    char what[128];

    (void)snprintf(what, sizeof(what), "declaring the exchange %.*s",
                   (int)(name.len < 80 ? name.len : 80), name.ptr);
    (void)amqp_exchange_declare(a->events, (amqp_channel_t)channel, bytes(name),
                                amqp_cstring_bytes(type), 0, durable, 0, 0,
                                amqp_empty_table);
    return check(a, amqp_get_rpc_reply(a->events), what, err);
}

/* An exclusive queue of ours that is bound to an exchange and consumed. */
static sonde_code consume(const struct amqp *a, int channel, sonde_str queue,
                          sonde_str exchange, const char *key,
                          struct sonde_err *err)
{
    amqp_table_entry_t entries[] = {
        { .key = amqp_cstring_bytes("x-message-ttl"),
          .value = { .kind = AMQP_FIELD_KIND_I32, .value.i32 = 60000 } },
        { .key = amqp_cstring_bytes("x-max-length"),
          .value = { .kind = AMQP_FIELD_KIND_I32, .value.i32 = QUEUE_MAX } },
    };
    amqp_table_t arguments = { .num_entries = 2, .entries = entries };
    amqp_channel_t ch = (amqp_channel_t)channel;
    sonde_code rc;

    (void)amqp_queue_declare(a->events, ch, bytes(queue), 0, 0, 1, 1,
                             arguments);
    rc = check(a, amqp_get_rpc_reply(a->events), "declaring a queue", err);
    if (rc == SONDE_OK) {
        (void)amqp_queue_bind(a->events, ch, bytes(queue), bytes(exchange),
                              amqp_cstring_bytes(key), amqp_empty_table);
        rc = check(a, amqp_get_rpc_reply(a->events), "binding a queue", err);
    }
    if (rc == SONDE_OK) {
        (void)amqp_basic_consume(a->events, ch, bytes(queue), amqp_empty_bytes,
                                 0, 1, 1, amqp_empty_table);
        rc = check(a, amqp_get_rpc_reply(a->events), "consuming", err);
    }
    return rc;
}

static sonde_code consume_events(struct amqp *a, struct sonde_err *err)
{
    sonde_str exchange = a->config.options->event_exchange;
    struct text queue = { 0 };
    sonde_code rc =
        declare_exchange(a, CHANNEL_EVENTS, exchange, "topic", true, err);

    if (rc == SONDE_OK &&
        (!text_addz(&queue, "celeryev.") || !text_addz(&queue, a->config.oid)))
        rc = no_memory(err);
    if (rc == SONDE_OK)
        rc = consume(a, CHANNEL_EVENTS, text_str(&queue), exchange, "#", err);
    text_fini(&queue);
    return rc;
}

static sonde_code open_control(struct amqp *a, struct sonde_err *err)
{
    sonde_code rc = open_channel(a, a->events, CHANNEL_CONTROL, err);

    if (rc == SONDE_OK)
        rc = declare_exchange(a, CHANNEL_CONTROL, text_str(&a->pidbox),
                              "fanout", false, err);
    if (rc == SONDE_OK)
        rc = declare_exchange(a, CHANNEL_CONTROL, text_str(&a->reply_exchange),
                              "direct", false, err);
    if (rc == SONDE_OK)
        rc = consume(a, CHANNEL_CONTROL, text_str(&a->reply_queue),
                     text_str(&a->reply_exchange), a->config.oid, err);
    a->control = rc == SONDE_OK;
    return rc;
}

static void drop_message(struct amqp *a)
{
    if (a->has_message)
        amqp_destroy_envelope(&a->message);
    a->has_message = false;
}

static sonde_code amqp_subscribe(struct transport *t, sonde_msec deadline,
                                 struct sonde_err *err)
{
    struct amqp *a = amqp_of(t);
    sonde_code rc;

    drop_message(a);
    hang_up(&a->events);
    a->control = false;
    rc = connect_any(a, HEARTBEAT, deadline, &a->events, err);
    if (rc == SONDE_OK)
        rc = open_channel(a, a->events, CHANNEL_EVENTS, err);
    if (rc == SONDE_OK)
        rc = consume_events(a, err);
    if (rc != SONDE_OK)
        hang_up(&a->events);
    return rc;
}

/* ---- what comes next ----------------------------------------------------- */

/* Something else than a message: the end of a channel, mostly. */
static sonde_code read_other(struct amqp *a, struct sonde_err *err)
{
    struct timeval tv = { .tv_sec = 1 };
    amqp_channel_close_ok_t ok = { 0 };
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(a->events, &frame, &tv);

    if (status != AMQP_STATUS_OK)
        return failed(a, status, "reading events", err);
    if (frame.frame_type != AMQP_FRAME_METHOD)
        return SONDE_EAGAIN;
    if (frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD &&
        frame.channel == CHANNEL_CONTROL) {
        a->control = false;
        (void)amqp_send_method(a->events, CHANNEL_CONTROL,
                               AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
        return SONDE_EAGAIN;
    }
    return close_reason(a, &frame.payload.method, "reading events", err);
}

static sonde_code take_message(struct amqp *a, sonde_msec deadline,
                               struct message *out, struct sonde_err *err)
{
    const amqp_basic_properties_t *p = &a->message.message.properties;
    struct timeval tv = left(a, deadline);
    amqp_rpc_reply_t r;

    amqp_maybe_release_buffers(a->events);
    r = amqp_consume_message(a->events, &a->message, &tv, 0);
    if (r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        r.library_error == AMQP_STATUS_TIMEOUT)
        return SONDE_EAGAIN;
    if (r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        r.library_error == AMQP_STATUS_UNEXPECTED_STATE)
        return read_other(a, err);
    if (r.reply_type != AMQP_RESPONSE_NORMAL)
        return check(a, r, "reading events", err);
    a->has_message = true;
    *out = (struct message){ .kind = a->message.channel == CHANNEL_EVENTS
                                         ? MESSAGE_EVENTS
                                         : MESSAGE_REPLY,
                             .body = view(a->message.message.body) };
    if (p->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG)
        out->content_type = view(p->content_type);
    return SONDE_OK;
}

static sonde_code amqp_next(struct transport *t, sonde_msec deadline,
                            struct message *out, struct sonde_err *err)
{
    struct amqp *a = amqp_of(t);
    sonde_msec limit = a->config.host->monotonic() + WAIT_MAX;
    sonde_code rc;

    drop_message(a);
    if (atomic_load(&a->stopped) || !a->events)
        return sonde_err_set(err, SONDE_ECANCELED, "stopped");
    rc = take_message(a, deadline < limit ? deadline : limit, out, err);
    if (rc != SONDE_OK && rc != SONDE_EAGAIN)
        hang_up(&a->events);
    return rc;
}

/* ---- asking -------------------------------------------------------------- */

static sonde_code amqp_ask(struct transport *t, const char *method,
                           bool replies, sonde_msec deadline,
                           struct sonde_err *err)
{
    struct amqp *a = amqp_of(t);
    amqp_basic_properties_t p = {
        ._flags =
            AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .content_encoding = amqp_cstring_bytes("utf-8"),
    };
    char *command;
    sonde_code rc = SONDE_OK;
    int status;

    if (!a->events)
        return sonde_err_set(err, SONDE_ECONNECT, "not connected");
    set_timeout(a, a->events, deadline);
    if (!a->control)
        rc = open_control(a, err);
    if (rc != SONDE_OK)
        return rc;
    command = control_command(method, replies ? a->reply_exchange.ptr : NULL,
                              a->config.oid);
    if (!command)
        return no_memory(err);
    status = amqp_basic_publish(a->events, CHANNEL_CONTROL,
                                bytes(text_str(&a->pidbox)), amqp_empty_bytes,
                                0, 0, &p, amqp_cstring_bytes(command));
    free(command);
    return status == AMQP_STATUS_OK ? SONDE_OK : failed(a, status, method, err);
}

/* Replies that come later are read like any. */
static sonde_code amqp_ask_end(struct transport *t, sonde_msec deadline,
                               struct sonde_err *err)
{
    (void)t;
    (void)deadline;
    (void)err;
    return SONDE_OK;
}

/* ---- queues -------------------------------------------------------------- */

static sonde_code meter_ready(struct amqp *a, sonde_msec deadline,
                              struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (!a->meter) {
        a->meter_channel = false;
        rc = connect_any(a, 0, deadline, &a->meter, err);
    }
    if (rc == SONDE_OK)
        set_timeout(a, a->meter, deadline);
    if (rc == SONDE_OK && !a->meter_channel) {
        rc = open_channel(a, a->meter, 1, err);
        a->meter_channel = rc == SONDE_OK;
    }
    return rc;
}

/* The broker logs an error for each question about a queue that is not there,
 * so it is not asked again for a while. */
static bool is_absent(const struct amqp *a, size_t queue, sonde_msec now)
{
    return queue < a->absent_count && now < a->absent[queue];
}

static void set_absent(struct amqp *a, size_t queue, sonde_msec until)
{
    sonde_msec *grown;

    if (queue >= a->absent_count) {
        grown = realloc(a->absent, (queue + 1) * sizeof(*grown));
        if (!grown)
            return;
        memset(grown + a->absent_count, 0,
               (queue + 1 - a->absent_count) * sizeof(*grown));
        a->absent = grown;
        a->absent_count = queue + 1;
    }
    a->absent[queue] = until;
}

/* Declaring passively asks for a queue that is there. */
static sonde_code ask_sizes(struct amqp *a, const struct sizes *s, size_t from,
                            sonde_msec now, struct sonde_err *err)
{
    for (size_t i = from; i < s->count; i++) {
        amqp_queue_declare_t d = { .queue = bytes(s->queues[i]), .passive = 1 };
        int status;

        if (is_absent(a, i, now))
            continue;
        status = amqp_send_method(a->meter, 1, AMQP_QUEUE_DECLARE_METHOD, &d);
        if (status != AMQP_STATUS_OK)
            return failed(a, status, "asking for a queue", err);
    }
    return SONDE_OK;
}

/* A queue that is not there ends the channel; what was asked after it on that
 * channel is not answered. SONDE_EAGAIN: so it was. */
static sonde_code read_size(struct amqp *a, struct queue_size *out,
                            sonde_msec deadline, struct sonde_err *err)
{
    struct timeval tv = left(a, deadline);
    amqp_channel_close_ok_t ok = { 0 };
    const amqp_channel_close_t *end;
    const amqp_queue_declare_ok_t *size;
    amqp_frame_t f;
    int status = amqp_simple_wait_frame_noblock(a->meter, &f, &tv);

    *out = (struct queue_size){ .messages = -1, .consumers = -1 };
    if (status != AMQP_STATUS_OK)
        return failed(a, status, "asking for a queue", err);
    if (f.frame_type == AMQP_FRAME_METHOD &&
        f.payload.method.id == AMQP_QUEUE_DECLARE_OK_METHOD) {
        size = f.payload.method.decoded;
        out->messages = size->message_count;
        out->consumers = size->consumer_count;
        return SONDE_OK;
    }
    if (f.frame_type != AMQP_FRAME_METHOD)
        return sonde_err_set(err, SONDE_EPROTO, "an unexpected frame");
    end = f.payload.method.decoded;
    if (f.payload.method.id != AMQP_CHANNEL_CLOSE_METHOD)
        return close_reason(a, &f.payload.method, "asking for a queue", err);
    a->meter_channel = false;
    if (end->reply_code != AMQP_NOT_FOUND)
        (void)close_reason(a, &f.payload.method, "asking for a queue", err);
    status = amqp_send_method(a->meter, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    return status == AMQP_STATUS_OK
               ? SONDE_EAGAIN
               : failed(a, status, "asking for a queue", err);
}

/* Reads the answers from the `done`-th queue on, until all are there or one
 * queue turns out to be absent. */
static sonde_code read_sizes(struct amqp *a, struct sizes *s, size_t *done,
                             sonde_msec now, sonde_msec deadline,
                             struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && *done < s->count) {
        s->sizes[*done] = (struct queue_size){ .messages = -1 };
        if (!is_absent(a, *done, now))
            rc = read_size(a, &s->sizes[*done], deadline, err);
        if (rc == SONDE_EAGAIN)
            set_absent(a, *done, now + ABSENT);
        *done += rc == SONDE_OK || rc == SONDE_EAGAIN;
    }
    return rc == SONDE_EAGAIN ? SONDE_OK : rc;
}

static sonde_code measure_once(struct amqp *a, struct sizes *s, size_t *done,
                               sonde_msec deadline, struct sonde_err *err)
{
    sonde_msec now = a->config.host->monotonic();
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && *done < s->count) {
        rc = meter_ready(a, deadline, err);
        if (rc == SONDE_OK)
            rc = ask_sizes(a, s, *done, now, err);
        if (rc == SONDE_OK)
            rc = read_sizes(a, s, done, now, deadline, err);
    }
    if (a->meter)
        amqp_maybe_release_buffers(a->meter);
    if (rc != SONDE_OK)
        hang_up(&a->meter);
    return rc;
}

/* A kept connection that the broker has closed meanwhile is opened anew. */
static sonde_code amqp_measure(struct transport *t, struct sizes *s,
                               sonde_msec deadline, struct sonde_err *err)
{
    struct amqp *a = amqp_of(t);
    bool kept = a->meter != NULL;
    size_t done = 0;
    sonde_code rc;

    s->unacked = -1;
    rc = measure_once(a, s, &done, deadline, err);
    if (rc != SONDE_OK && rc != SONDE_ETIMEOUT && kept && done == 0)
        rc = measure_once(a, s, &done, deadline, err);
    return rc;
}

/* ---- life ---------------------------------------------------------------- */

static void amqp_wake(struct transport *t)
{
    atomic_store(&amqp_of(t)->stopped, true);
}

static void amqp_close(struct transport *t)
{
    struct amqp *a = amqp_of(t);

    drop_message(a);
    say_bye(&a->events);
    say_bye(&a->meter);
    free(a->absent);
    text_fini(&a->pidbox);
    text_fini(&a->reply_exchange);
    text_fini(&a->reply_queue);
    free(a);
}

sonde_code amqp_transport(const struct transport_config *c,
                          struct transport **out, struct sonde_err *err)
{
    static const struct transport_ops ops = {
        .subscribe = amqp_subscribe,
        .next = amqp_next,
        .ask = amqp_ask,
        .ask_end = amqp_ask_end,
        .measure = amqp_measure,
        .wake = amqp_wake,
        .close = amqp_close,
    };
    sonde_str control = c->options->control_exchange;
    struct amqp *a = calloc(1, sizeof(*a));

    if (!a)
        return no_memory(err);
    a->base.ops = &ops;
    a->config = *c;
    if (!text_add(&a->pidbox, control.ptr, control.len) ||
        !text_addz(&a->pidbox, ".pidbox") ||
        !text_addz(&a->reply_exchange, "reply.") ||
        !text_add(&a->reply_exchange, a->pidbox.ptr, a->pidbox.len) ||
        !text_addz(&a->reply_queue, c->oid) ||
        !text_addz(&a->reply_queue, ".") ||
        !text_add(&a->reply_queue, a->reply_exchange.ptr,
                  a->reply_exchange.len)) {
        amqp_close(&a->base);
        return no_memory(err);
    }
    *out = &a->base;
    return SONDE_OK;
}
