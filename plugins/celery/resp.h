/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with Redis over the host's streams. */
#ifndef PLUGINS_CELERY_RESP_H
#define PLUGINS_CELERY_RESP_H

#include <hiredis/hiredis.h>

#include <sonde/plugin.h>

#include "encodings.h"

#define RESP_ITEMS_MAX 65536 /* of one reply */

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
    const struct sonde_host *host;
    const struct sonde_target *target;
    size_t limit; /* bytes of one reply */
    struct sonde_stream *stream;
    redisReader *reader;
    struct text out;     /* commands not sent yet             */
    size_t bytes, items; /* of the reply that is being read   */
    bool answered;       /* something came since resp_open    */
    bool too_long;
};

SONDE_NODISCARD sonde_code resp_open(struct resp *c, sonde_str address,
                                     const struct sonde_tls *tls,
                                     sonde_msec deadline,
                                     struct sonde_err *err);
void resp_close(struct resp *c);
/* Adds a command to those that are sent next. */
SONDE_NODISCARD sonde_code resp_add(struct resp *c, const sonde_str *args,
                                    size_t count, struct sonde_err *err);
#define RESP_ADD(c, err, ...)                                                  \
    resp_add((c), ((const sonde_str[]){ __VA_ARGS__ }),                        \
             sizeof((const sonde_str[]){ __VA_ARGS__ }) / sizeof(sonde_str),   \
             (err))
SONDE_NODISCARD sonde_code resp_send(struct resp *c, sonde_msec deadline,
                                     struct sonde_err *err);
/* The next reply, for reply_free. SONDE_ETIMEOUT: not there yet, and nothing
 * is lost; after any other failure close. */
SONDE_NODISCARD sonde_code resp_read(struct resp *c, sonde_msec deadline,
                                     struct reply **out, struct sonde_err *err);

#endif
