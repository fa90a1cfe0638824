/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection as the rest of the plugin sees it: statements go out together,
 * results come back in their order, everything has a deadline. libpq is
 * behind this door (link_libpq.c); a test stands in with rows of its own.
 */
#ifndef PLUGINS_POSTGRES_LINK_H
#define PLUGINS_POSTGRES_LINK_H

#include <sonde/plugin.h>

/* ---- results ------------------------------------------------------------- */

/* NULL of SQL: ptr is NULL. */
struct cell {
    const char *ptr;
    int len;
};

enum {
    ROWS_COLUMNS_MAX = 128
};

/* One statement's result, valid until the next call for its link. Either
 * libpq's own (`result`) or cells, row by row. */
struct rows {
    size_t count, columns;
    const char *const *names; /* of cells; NULL with `result`             */
    const uint32_t *types;    /* OIDs, likewise                           */
    const struct cell *cells;
    const void *result;
    bool cut; /* the statement had more rows than `rows_max`              */
};

sonde_str rows_text(const struct rows *r, size_t row, size_t column);
bool rows_null(const struct rows *r, size_t row, size_t column);
const char *rows_name(const struct rows *r, size_t column);
uint32_t rows_type(const struct rows *r, size_t column);

/* A result of one's own, from one that will not last. */
struct rows_copy {
    struct rows rows;
    char *memory; /* all of it; NULL: nothing is kept */
};
bool rows_save(const struct rows *r, struct rows_copy *out);
void rows_copy_fini(struct rows_copy *c);

/* ---- statements ---------------------------------------------------------- */

enum {
    STATEMENT_PARAMS_MAX = 8
};

/* What to ask. `id` above 0 names a statement that is prepared once for each
 * connection; 0 is asked once and forgotten. */
struct statement {
    unsigned id;
    const char *sql; /* one statement; stays valid until its result came  */
    const char *const *params; /* values of $1...; NULL is NULL          */
    size_t param_count;
    size_t rows_max; /* more are not kept; 0: no bound                    */
    bool joined;     /* runs in one transaction with the next one: cheaper, but
                        if it fails, those that are joined behind it are not
                        run, which `next` tells as SONDE_ECANCELED            */
};

enum {
    STATEMENT_IDS_MAX = 512
};

/* ---- connections --------------------------------------------------------- */

/* How to get in: keywords of libpq, both arrays ending with NULL. */
struct login {
    const char *const *keys;
    const char *const *values;
    sonde_str password; /* in no message, whatever the library says       */
};

struct link;

struct link_ops {
    /* Connects. *out is NULL after a failure. */
    sonde_code (*open)(const struct link_ops *ops, const struct login *login,
                       sonde_msec deadline, struct link **out,
                       struct sonde_err *err);
    void (*close)(struct link *l);
    /* Sends all, or as much as there is room for; `next` sends the rest. */
    sonde_code (*send)(struct link *l, const struct statement *s, size_t n,
                       sonde_msec deadline, struct sonde_err *err);
    /* The result of the next statement. An error of the statement leaves
     * `l->lost` false and the next one can be read; a lost link is only good
     * to be closed. At the deadline the server is told to give up. */
    sonde_code (*next)(struct link *l, sonde_msec deadline, struct rows *out,
                       struct sonde_err *err);
};

struct link {
    const struct link_ops *ops;
    int version;      /* 150018: 15.18; 90624: 9.6.24                     */
    bool lost;        /* the conversation is over                         */
    bool answered;    /* something came since the last `send`             */
    char sqlstate[6]; /* of the last failed statement, or empty           */
};

/* libpq's. `host` gives the clock. */
struct link_library {
    struct link_ops ops; /* first: the functions find the rest by it      */
    const struct sonde_host *host;
};
void link_library_init(struct link_library *l, const struct sonde_host *host);

#endif
