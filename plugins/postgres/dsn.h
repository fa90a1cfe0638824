/* SPDX-License-Identifier: Apache-2.0 */
/* Connection strings, as lib/pq (the exporter's driver) takes them, made into
 * keywords of libpq; see dsn.c. */
#ifndef PLUGINS_POSTGRES_DSN_H
#define PLUGINS_POSTGRES_DSN_H

#include "shared/text.h"

enum {
    DSN_ITEMS_MAX = 64,
    DSN_BYTES_MAX = 16384
};

struct dsn_item {
    char *key, *value;
};

struct dsn {
    struct dsn_item items[DSN_ITEMS_MAX];
    size_t count;
    char *server;   /* host:port as the label `server` has it             */
    char note[128]; /* what was left out, or empty                        */
};

/* postgresql://user:password@host:port/database?key=value, key=value words,
 * host:port, [v6]:port, /socket/directory[:port], unix:/path. No message
 * repeats the text: it may hold a password. `out` is to be freed either
 * way. */
SONDE_NODISCARD sonde_code dsn_parse(sonde_str text, struct dsn *out,
                                     struct sonde_err *err);
void dsn_fini(struct dsn *d);
/* NULL: not there. */
const char *dsn_get(const struct dsn *d, const char *key);
/* Replaces or adds; false when there is no room. */
bool dsn_set(struct dsn *d, const char *key, sonde_str value);

/* The next of several connection strings with commas between them. A comma
 * ends one only where another begins (a URL, or a word and '='), so that
 * passwords and lists of hosts may have some. False: no more. */
bool dsn_split(sonde_str *rest, sonde_str *one);

#endif
