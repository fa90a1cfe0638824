/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with Redis over the host's streams. */
#ifndef PLUGINS_CELERY_RESP_H
#define PLUGINS_CELERY_RESP_H

#include "encodings.h"
#include "shared/wire.h"

struct reply {
    int type; /* REDIS_REPLY_... */
    int64_t integer;
    struct text text;
    struct reply **items;
    size_t count;
};
void reply_free(struct reply *r); /* NULL is fine */
/* The i-th item's text; empty when there is none. */
sonde_str reply_item(const struct reply *r, size_t i);

struct resp {
    struct wire wire;
    size_t items; /* of the reply that is being read */
};

SONDE_NODISCARD sonde_code resp_open(struct resp *c, sonde_str address,
                                     const struct sonde_tls *tls,
                                     sonde_msec deadline,
                                     struct sonde_err *err);
void resp_close(struct resp *c);
/* Adds a command to those that wire_send sends. */
#define RESP_ADD(c, err, ...)                                                  \
    wire_add(&(c)->wire, ((const sonde_str[]){ __VA_ARGS__ }),                 \
             sizeof((const sonde_str[]){ __VA_ARGS__ }) / sizeof(sonde_str),   \
             (err))
/* The next reply, for reply_free. SONDE_ETIMEOUT: not there yet, and nothing
 * is lost; after any other failure close. */
SONDE_NODISCARD sonde_code resp_read(struct resp *c, sonde_msec deadline,
                                     struct reply **out, struct sonde_err *err);

#endif
