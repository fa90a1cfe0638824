/* SPDX-License-Identifier: Apache-2.0 */
/* RESP over the host's streams: a connection, commands, replies. */
#ifndef PLUGINS_REDIS_CONN_H
#define PLUGINS_REDIS_CONN_H

#include "shared/wire.h"

/* ---- address.c ----------------------------------------------------------- */

struct redis_address {
    char *stream;          /* "host:port" or "unix:/path", for the host    */
    char *user, *password; /* of a URL; NULL: not given                   */
    int64_t database;      /* -1: not given                                */
    bool tls;
};
/* redis://[user:password@]host:port/db, host[:port], [v6]:port,
 * unix:///path; rediss:// and valkeys:// with TLS. Errors never show the
 * credentials. */
SONDE_NODISCARD sonde_code address_parse(sonde_str text,
                                         struct redis_address *out,
                                         struct sonde_err *err);
void address_fini(struct redis_address *a);

/* ---- arena.c: memory that is given back all at once ---------------------- */

struct redis_arena {
    struct redis_block *blocks; /* the newest first */
    size_t used, size;          /* of the newest */
};
void *arena_alloc(struct redis_arena *a, size_t n); /* NULL: no memory */
void arena_reset(struct redis_arena *a);            /* keeps a small block */
void arena_fini(struct redis_arena *a);

/* ---- conn.c -------------------------------------------------------------- */

/* Bounds on what a server can make us hold in one round trip. */
#define REDIS_OBJECTS_MAX 262144

/* Lives until the connection's next conn_begin. */
struct redis_reply {
    int type;      /* REDIS_REPLY_... */
    sonde_str str; /* NUL-terminated beyond its length */
    int64_t integer;
    struct redis_reply **items;
    size_t count;
};

struct redis_conn {
    struct wire wire;
    size_t waiting; /* replies that are due */
    struct redis_arena arena;
    size_t objects;   /* of the replies since conn_begin */
    int64_t database; /* that is selected; -1: not known */
};

/* `tls` NULL: plain. */
SONDE_NODISCARD sonde_code conn_open(struct redis_conn *c, const char *address,
                                     const struct sonde_tls *tls,
                                     sonde_msec deadline,
                                     struct sonde_err *err);
void conn_close(struct redis_conn *c);
void conn_fini(struct redis_conn *c);
/* A round trip begins: older replies are gone; what is left over of the last
 * one is an error. */
SONDE_NODISCARD sonde_code conn_begin(struct redis_conn *c,
                                      struct sonde_err *err);
/* Adds a command to those that wire_send sends. */
SONDE_NODISCARD sonde_code conn_command(struct redis_conn *c,
                                        const sonde_str *args, size_t n,
                                        struct sonde_err *err);
#define conn_add(c, err, ...)                                                  \
    conn_command(                                                              \
        (c), (const sonde_str[]){ __VA_ARGS__ },                               \
        sizeof((const sonde_str[]){ __VA_ARGS__ }) / sizeof(sonde_str), (err))
/* Adds SELECT if another database is selected; *asked tells. */
SONDE_NODISCARD sonde_code conn_select(struct redis_conn *c, int64_t database,
                                       bool *asked, struct sonde_err *err);
/* The next reply. */
SONDE_NODISCARD sonde_code conn_read(struct redis_conn *c, sonde_msec deadline,
                                     struct redis_reply **out,
                                     struct sonde_err *err);
/* Sends what was added and reads all replies; *out is the first of them, in
 * the arena. After an error the conversation stands at an unknown place and
 * the connection is closed. */
SONDE_NODISCARD sonde_code conn_exchange(struct redis_conn *c,
                                         sonde_msec deadline,
                                         struct redis_reply ***out,
                                         struct sonde_err *err);

bool reply_is_text(const struct redis_reply *r); /* NULL is no text */
bool reply_is_error(const struct redis_reply *r, const char *word);
/* The value of a field in an array (or map) of names and values; NULL. */
const struct redis_reply *reply_field(const struct redis_reply *r,
                                      const char *name);
/* A number, given as integer or as text. */
bool reply_number(const struct redis_reply *r, double *out);
/* What an error reply means: SONDE_EACCESS (NOPERM), SONDE_EUNSUPPORTED (the
 * server lacks it), SONDE_EUNAVAILABLE (try again later). */
sonde_code reply_verdict(const struct redis_reply *r, struct sonde_err *err);

#endif
