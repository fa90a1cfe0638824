/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation in RESP over the host's byte streams. What a reply looks like
 * in memory, and for how long, is up to whom it is for: hiredis' reader is
 * given object functions by them.
 */
#ifndef PLUGINS_SHARED_WIRE_H
#define PLUGINS_SHARED_WIRE_H

#include <hiredis/hiredis.h>

#include <sonde/plugin.h>

#include "shared/text.h"

#define WIRE_ITEMS_MAX 65536 /* of one array; for the object functions */
#define WIRE_LINE_MAX  65536 /* a status, error or length line         */

/* How hiredis counts the items of an array changed with version 1. */
#if HIREDIS_MAJOR >= 1
typedef size_t wire_items;
#else
typedef int wire_items;
#endif

struct wire {
    const struct sonde_host *host;
    const struct sonde_target *target;
    size_t limit;           /* of `bytes`                                   */
    const char *limit_says; /* "the replies are longer than reply_limit"    */
    bool brief;             /* errors become labels: they name no address   */
    struct sonde_stream *stream; /* NULL: not connected                     */
    redisReader *reader;
    struct text out; /* commands not sent yet                               */
    size_t bytes;    /* read since the owner set it to 0                    */
    bool answered;   /* something was read since the owner cleared it       */
    bool too_much;   /* for the object functions: a bound was passed        */
};

/* Connects; `tls` NULL: plain. `owner` is the object functions' privdata,
 * `functions` stay the caller's. */
SONDE_NODISCARD sonde_code wire_open(struct wire *w, sonde_str address,
                                     const struct sonde_tls *tls,
                                     redisReplyObjectFunctions *functions,
                                     void *owner, sonde_msec deadline,
                                     struct sonde_err *err);
void wire_close(struct wire *w); /* may be opened again */
/* Adds a command to those that are sent next. */
SONDE_NODISCARD sonde_code wire_add(struct wire *w, const sonde_str *args,
                                    size_t n, struct sonde_err *err);
/* Sends them, and overwrites them: one may be an AUTH. */
SONDE_NODISCARD sonde_code wire_send(struct wire *w, sonde_msec deadline,
                                     struct sonde_err *err);
/* The next reply, as the object functions made it. SONDE_ETIMEOUT: it is not
 * there yet, and nothing is lost. After any other error the conversation
 * stands at an unknown place: close. */
SONDE_NODISCARD sonde_code wire_read(struct wire *w, sonde_msec deadline,
                                     void **out, struct sonde_err *err);

#endif
