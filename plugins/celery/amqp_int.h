/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of Celery over AMQP share; amqp.c says how they fit. */
#ifndef PLUGINS_CELERY_AMQP_INT_H
#define PLUGINS_CELERY_AMQP_INT_H

#include <amqp.h>
#include <amqp_framing.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "encodings.h"
#include "transport.h"

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

static inline struct amqp *amqp_of(struct transport *t)
{
    return (struct amqp *)(void *)t;
}

static inline amqp_bytes_t amqp_view(sonde_str s)
{
    return (amqp_bytes_t){ .len = s.len, .bytes = (void *)(uintptr_t)s.ptr };
}

/* ---- amqp_conn.c --------------------------------------------------------- */

/* Connects to any of the hosts and logs in; `heartbeat` in seconds, 0: none. */
SONDE_NODISCARD sonde_code amqp_connect_any(const struct amqp *a, int heartbeat,
                                            sonde_msec deadline,
                                            amqp_connection_state_t *out,
                                            struct sonde_err *err);
SONDE_NODISCARD sonde_code amqp_open_channel(const struct amqp *a,
                                             amqp_connection_state_t conn,
                                             int channel,
                                             struct sonde_err *err);
void amqp_hang_up(amqp_connection_state_t *conn);
/* Says good-bye first, so that the broker does not log a lost client. */
void amqp_say_bye(amqp_connection_state_t *conn);
/* For the calls that wait for an answer. */
void amqp_set_timeout(const struct amqp *a, amqp_connection_state_t conn,
                      sonde_msec deadline);
struct timeval amqp_left(const struct amqp *a, sonde_msec deadline);

/* Errors: of the library, of a method that ends a channel or connection, of
 * what a call returned. */
sonde_code amqp_failed(const struct amqp *a, int status, const char *what,
                       struct sonde_err *err);
sonde_code amqp_close_reason(const struct amqp *a, const amqp_method_t *m,
                             const char *what, struct sonde_err *err);
SONDE_NODISCARD sonde_code amqp_check(const struct amqp *a, amqp_rpc_reply_t r,
                                      const char *what, struct sonde_err *err);

/* ---- amqp_queues.c ------------------------------------------------------- */

sonde_code amqp_measure(struct transport *t, struct sizes *s,
                        sonde_msec deadline, struct sonde_err *err);

#endif
