/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the postgres plugin share; postgres.c says how they fit
 * together. */
#ifndef PLUGINS_POSTGRES_POSTGRES_H
#define PLUGINS_POSTGRES_POSTGRES_H

#include "bind.h"
#include "dsn.h"
#include "options.h"
#include "queries.h"
#include "shared/clock.h"

enum {
    SESSIONS_MAX = 100,   /* kept open, option max_connections at most     */
    DATABASES_MAX = 1000, /* that are visited                              */
    WHY_BYTES = 200,
};

/* ---- session.c: a connection to one database ----------------------------- */

/* Extensions that collectors need. */
struct extension {
    const char *name;
    int version;  /* 1.10 is 110; 0: not there */
    char *schema; /* quoted */
};
enum {
    EXTENSION_COUNT = 2
};

/* What was refused is not asked again before the next login. */
struct refusal {
    sonde_code code;
    char why[WHY_BYTES];
};

struct session {
    char *database; /* NULL: the one of the connection string             */
    struct link *link;
    sonde_msec since; /* monotonic */
    bool kept;        /* it is older than this collection                 */
    char *name;       /* of the database, as the server says              */
    struct extension extensions[EXTENSION_COUNT];
    struct refusal refused[COLLECTOR_COUNT];
    bool alone[COLLECTOR_COUNT];  /* it failed: joined with no other       */
    char *texts[COLLECTOR_COUNT]; /* statements with a schema put in      */
};

SONDE_NODISCARD sonde_code session_open(struct sonde_instance *i,
                                        struct session *s, sonde_msec deadline,
                                        struct sonde_err *err);
void session_close(struct session *s); /* leaves `database` */
void session_fini(struct session *s);

/* ---- auth.c: who we are -------------------------------------------------- */

struct credentials {
    char *user, *password;
    struct dsn extra;    /* further keywords of an auth module */
    bool password_given; /* not from libpq's own places        */
};
SONDE_NODISCARD sonde_code credentials_find(struct sonde_instance *i,
                                            struct credentials *out,
                                            struct sonde_err *err);
void credentials_fini(struct credentials *c);
/* One entry of a file of auth modules. */
SONDE_NODISCARD sonde_code auth_module_read(sonde_str text, sonde_str name,
                                            struct credentials *out,
                                            struct sonde_err *err);

/* ---- round.c: statements together, through one lost connection ----------- */

struct task;
typedef void task_done(struct sonde_instance *i, struct session *s,
                       const struct task *t, sonde_code rc,
                       const struct rows *r, double seconds,
                       struct sonde_err *err);
struct task {
    struct statement statement;
    task_done *done; /* NULL: nobody asks */
    const void *what;
};
struct round {
    struct task *tasks;
    size_t count, cap;
    bool failed; /* no memory */
};
void round_add(struct round *r, const struct task *t);
/* Calls `done` for each task, in their order, whatever happens. Returns why
 * the session was not there, or SONDE_OK. */
sonde_code round_run(struct sonde_instance *i, struct session *s,
                     struct round *r, sonde_msec deadline,
                     struct sonde_err *err);
void round_fini(struct round *r);

/* ---- visit.c: what is asked in one database ------------------------------ */

struct visit {
    struct session *session;
    bool main, slow, fast; /* which parts                                 */
    sonde_msec deadline;
};
sonde_code visit_run(struct sonde_instance *i, const struct visit *v,
                     struct sonde_err *err);
/* A part's result, to the host and for our own families. */
void part_end(struct sonde_instance *i, size_t part, sonde_code rc,
              const char *why, double seconds);
/* Collectors that the options switch on. */
bool collector_on(const struct sonde_instance *i, size_t c);

/* ---- query_run.c: the user's queries in a visit -------------------------- */

struct query_place; /* one query in one database, and its last result */
void queries_load(struct sonde_instance *i);
void queries_unload(struct sonde_instance *i);
void queries_add(struct sonde_instance *i, const struct visit *v,
                 struct round *r);
/* Whether a query has to be asked in other databases. */
bool queries_elsewhere(const struct sonde_instance *i);
void queries_report(struct sonde_instance *i);

/* ---- databases.c: the others --------------------------------------------- */

/* Asks for their names; for a visit to the main one. */
void databases_add(struct sonde_instance *i, struct round *r);
bool databases_wanted(const struct sonde_instance *i);
void databases_visit(struct sonde_instance *i, sonde_msec deadline);
void databases_fini(struct sonde_instance *i);

/* ---- postgres.c ---------------------------------------------------------- */

/* What is known of a part. */
struct part {
    bool ran, failed; /* in this collection                               */
    bool missing;     /* an extension that it needs                       */
    bool over;        /* there are more tables than max_tables            */
    double seconds;
};

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct pg_options *options;
    struct link_library library;
    const struct link_ops *ops; /* the library's, or a test's */
    struct dsn dsn;
    sonde_str server; /* host:port, the label */
    char *params[PARAM_COUNT];
    const char *param_rows[COLLECTOR_COUNT][COLLECTOR_PARAMS_MAX];
    char *include_databases; /* an array */

    struct session main;
    struct session others[SESSIONS_MAX];
    size_t other_count;
    char *databases[DATABASES_MAX]; /* of this collection, beside the main */
    size_t database_count, next_database;
    const char *name_params[2];
    char *version_text;
    int version;
    struct binding *bindings[COLLECTOR_COUNT];

    struct query_set queries;
    struct query_place *places;
    size_t place_count;
    char queries_hash[65];
    bool queries_loaded, queries_bad;
    char queries_why[WHY_BYTES];

    bool auth_ok;
    double auth_time;
    struct emit emit;
    struct sonde_sink *sink; /* of the collection under way */
    struct part parts[COLLECTOR_COUNT];
    bool answered; /* the server did, in this collection */
    uint64_t scrapes, connects;
    double connect_seconds;
    unsigned failures; /* logins in a row */
    sonde_msec retry_at;
    char *last_password;
    char down_why[400], said[400];
    bool down, dropped_said;
};

#endif
