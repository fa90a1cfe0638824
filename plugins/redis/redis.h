/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the redis plugin share; redis.c says how they fit. */
#ifndef PLUGINS_REDIS_REDIS_H
#define PLUGINS_REDIS_REDIS_H

#include <locale.h>

#include <hiredis/hiredis.h>

#include <sonde/plugin.h>

/* Bounds on what a server can make us hold or say in one collection. */
#define REDIS_OBJECTS_MAX  262144
#define REDIS_LINE_MAX     65536 /* a status, error or length line        */
#define REDIS_LABEL_MAX    1024  /* longer values are cut                  */
#define REDIS_SAMPLES_MAX  100000
#define REDIS_COMMANDS_MAX 4096 /* rows of commandstats that are kept     */
#define REDIS_DYNAMIC_MAX  512  /* families that no table has             */
#define REDIS_PADDING_MAX  4096 /* empty databases that are shown         */

struct redis_options {
    sonde_str user, password, password_file;
    sonde_str config_command;
    bool set_client_name;
    bool include_system_metrics;
    bool include_metrics_for_empty_databases;
    int64_t reply_limit;
};

/* ---- text.c: bytes ------------------------------------------------------- */

struct redis_text {
    char *ptr;
    size_t len, cap;
};
/* False when there is no memory. */
bool text_add(struct redis_text *t, const void *p, size_t n);
bool text_addz(struct redis_text *t, const char *z);
void text_fini(struct redis_text *t);

sonde_str text_trim(sonde_str s);
/* Takes the part before `sep` off the front; false when all is used up. */
bool text_split(sonde_str *rest, char sep, sonde_str *part);
bool text_starts(sonde_str s, const char *prefix);
bool text_is(sonde_str s, const char *z);
/* Whether `s` is PREFIX and then one or more digits, and nothing else. */
bool text_is_numbered(sonde_str s, const char *prefix);
/* Value of `key` in "k=v,k=v"; false if it is not there. */
bool text_pair(sonde_str list, const char *key, sonde_str *out);
/* Appends `s` as UTF-8; what is none becomes U+FFFD. */
bool text_add_utf8(struct redis_text *t, sonde_str s);

/* ---- address.c ----------------------------------------------------------- */

struct redis_address {
    char *stream;          /* "host:port" or "unix:/path", for the host    */
    char *user, *password; /* of a URL; NULL: not given                   */
    int64_t database;      /* -1: not given                                */
};
/* redis://[user:password@]host:port/db, host[:port], [v6]:port,
 * unix:///path. Errors never show the credentials. */
SONDE_NODISCARD sonde_code address_parse(sonde_str text,
                                         struct redis_address *out,
                                         struct sonde_err *err);
void address_fini(struct redis_address *a);

/* ---- conn.c: RESP over the host's streams -------------------------------- */

struct redis_reply {
    int type;      /* REDIS_REPLY_... */
    sonde_str str; /* NUL-terminated beyond its length */
    struct redis_reply **items;
    size_t count;
};
void reply_free(struct redis_reply *r); /* NULL is fine */

struct redis_conn {
    const struct sonde_host *host;
    const struct sonde_target *target;
    struct sonde_stream *stream; /* NULL: not connected */
    redisReader *reader;
    struct redis_text out; /* commands not sent yet */
    size_t objects, bytes; /* of the replies since conn_begin */
    size_t bytes_max;
    bool answered; /* bytes came since conn_begin */
    bool too_much; /* REDIS_OBJECTS_MAX was passed */
};

SONDE_NODISCARD sonde_code conn_open(struct redis_conn *c, const char *address,
                                     sonde_msec deadline,
                                     struct sonde_err *err);
void conn_close(struct redis_conn *c);
/* A collection begins: what is left over of the last one is an error. */
SONDE_NODISCARD sonde_code conn_begin(struct redis_conn *c,
                                      struct sonde_err *err);
/* Adds a command to those that conn_send sends; args end with NULL. */
SONDE_NODISCARD sonde_code conn_command(struct redis_conn *c,
                                        const char *const *args,
                                        struct sonde_err *err);
SONDE_NODISCARD sonde_code conn_send(struct redis_conn *c, sonde_msec deadline,
                                     struct sonde_err *err);
/* The next reply; free with reply_free. */
SONDE_NODISCARD sonde_code conn_read(struct redis_conn *c, sonde_msec deadline,
                                     struct redis_reply **out,
                                     struct sonde_err *err);

/* ---- families.c ---------------------------------------------------------- */

/* Families that are not a plain INFO field; rows 0... of the table. */
enum redis_family {
    F_UP,
    F_LAST_SCRAPE_ERROR,
    F_CONNECT_TIME,
    F_SCRAPE_DURATION,
    F_SCRAPE_DURATIONS,
    F_SCRAPES,
    F_TARGET_ERRORS,
    F_BUILD_INFO,
    F_INSTANCE_INFO,
    F_SLAVE_INFO,
    F_START_TIME,
    F_MASTER_LINK_UP,
    F_MASTER_LAST_IO,
    F_MASTER_SYNC,
    F_SLAVE_REPL_OFFSET,
    F_SLAVE_OFFSET,
    F_SLAVE_LAG,
    F_DB_KEYS,
    F_DB_KEYS_EXPIRING,
    F_DB_AVG_TTL,
    F_DB_KEYS_CACHED,
    F_COMMANDS,
    F_COMMANDS_DURATION,
    F_COMMANDS_REJECTED,
    F_COMMANDS_FAILED,
    F_ERRORS,
    F_LATENCY_PERCENTILES,
    F_IO_THREAD_TIME,
    F_CONFIG_MAXCLIENTS,
    F_CONFIG_MAXMEMORY,
    F_CONFIG_IO_THREADS,
    F_CONFIG_BACKLOG,
    F_CONFIG_OUTPUT_LIMIT,
    F_CONFIG_OUTPUT_OVERCOME,
    F_KEY_GROUPS_DURATION,
    F_TOTAL_SYSTEM_MEMORY,
    F_FIELDS, /* the first family of an INFO field */
};

#define REDIS_FAMILY_COUNT 215
extern const struct sonde_family redis_families[REDIS_FAMILY_COUNT];

/* ---- fields.c ----------------------------------------------------------- */

/* An INFO field that is a sample of a family without labels. Sorted by
 * field. */
struct redis_field {
    const char *field, *family;
    double scale; /* 0: as it is */
};
extern const struct redis_field redis_fields[];
extern const size_t redis_field_count;

/* Which family each field is, for `family_of` below; allocated. Fails only
 * if the two tables disagree. */
SONDE_NODISCARD sonde_code redis_link_fields(uint16_t **out,
                                             struct sonde_err *err);

/* ---- emit.c: from values to the sink ------------------------------------- */

struct redis_emit {
    const struct sonde_host *host;
    struct sonde_sink *sink;
    const uint16_t *family_of; /* by row of redis_fields */
    locale_t locale;           /* "C" */
    uint64_t *seen;            /* hashes of the series so far */
    size_t seen_cap, count;
    size_t dynamic_count;
    size_t dropped; /* samples left out: twice, or too many */
    struct redis_text scratch;
};
void emit_fini(struct redis_emit *e);
/* Labels as many as the family has. A series emitted twice is dropped, bad
 * UTF-8 replaced, what is too long cut: a server must not be able to fail
 * its collection by odd names. */
void emit_sample(struct redis_emit *e, size_t family, const sonde_str *labels,
                 double value);
/* Count and sum of a summary. */
void emit_summary(struct redis_emit *e, size_t family, const sonde_str *labels,
                  uint64_t count, double sum);
/* A gauge named after an INFO field that no table has. */
void emit_unknown_field(struct redis_emit *e, sonde_str field, double value);
/* ok, true, err, fail, false, or a number as Go reads one. */
bool emit_value(const struct redis_emit *e, sonde_str text, double *out);

/* ---- info.c, settings.c -------------------------------------------------- */

struct redis_info {
    bool cluster;        /* cluster_enabled:1                        */
    bool system_metrics; /* in: total_system_memory is wanted        */
    double now;          /* in: seconds since the epoch              */
    double *start_time;  /* in, out: kept so that it does not flap   */
};
/* Emits all that INFO (or CLUSTER INFO) says. */
void info_emit(struct redis_emit *e, sonde_str text, struct redis_info *info);
bool info_says_cluster(sonde_str text);
/* Zeroes for the databases below `databases` that INFO did not list. */
void info_pad_databases(struct redis_emit *e, int64_t databases);

/* The reply to CONFIG GET *: the number of databases (-1: not said), an error
 * if it is not a number. */
SONDE_NODISCARD sonde_code settings_databases(const struct redis_reply *r,
                                              int64_t *out,
                                              struct sonde_err *err);
void settings_emit(struct redis_emit *e, const struct redis_reply *r);

/* ---- redis.c ------------------------------------------------------------- */

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct redis_options *options;
    struct redis_address address;
    struct redis_conn conn;
    locale_t locale;
    uint16_t *family_of;
    double start_time;
    double connect_seconds, duration_sum;
    uint64_t scrapes;
    bool cluster;    /* the last INFO said so: ask in the same round trip */
    bool no_config;  /* CONFIG was refused: not asked until a reconnect   */
    bool plain_info; /* INFO ALL was refused, likewise                    */
    bool down;       /* at the last collection, for the log               */
};

#endif
