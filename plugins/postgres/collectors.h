/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is to ask a server, as a table: a row is a part of a collection,
 * with the text of its statement for each range of versions. Columns are
 * named after families and labels (bind.h), so most rows need no code.
 */
#ifndef PLUGINS_POSTGRES_COLLECTORS_H
#define PLUGINS_POSTGRES_COLLECTORS_H

#include "emit.h"
#include "link.h"

/* What a NULL becomes. */
enum null_rule {
    NULL_NONE, /* no sample                                               */
    NULL_ZERO,
};

/* Values for $1, $2, ... that come from the options. */
enum param {
    PARAM_END,
    PARAM_EXCLUDED,            /* databases, an array                     */
    PARAM_APPLICATION_NAME,    /* whether to tell sessions apart by it    */
    PARAM_PID,                 /* whether to tell replicas apart by it    */
    PARAM_TABLES,              /* most tables of a database               */
    PARAM_STATEMENTS,          /* most statements                         */
    PARAM_STATEMENT_LENGTH,    /* most characters of a text               */
    PARAM_STATEMENT_DATABASES, /* left out, an array                      */
    PARAM_STATEMENT_USERS,     /* likewise                                */
    PARAM_COUNT,
};
enum {
    COLLECTOR_PARAMS_MAX = 5,
    COLLECTOR_TEXTS_MAX = 4
};

/* A statement for versions from <= v < below; below 0: no end. "{}" in it
 * stands for the schema of the extension. */
struct version_text {
    int from, below;
    const char *sql;
};

struct collector {
    struct sonde_collector part; /* first: the host's table is this one   */
    const char *group;           /* the exporter's collector; NULL: none  */
    size_t option;               /* offset of the bool that switches it   */
    const char *prefix;          /* of the families' names                */
    const char *extension;       /* texts go by its version, 1.10 is 110  */
    struct version_text texts[COLLECTOR_TEXTS_MAX];
    enum param params[COLLECTOR_PARAMS_MAX];
    enum null_rule nulls;
    const char *null_label; /* what a NULL among labels becomes          */
    bool each_database;     /* asked in all of them, not in one          */
    const char *count_sql;  /* bounded by max_tables: one row more is asked
                               for, and if it comes, this says how many
                               there are                                  */
    bool datname_elsewhere; /* its families lack the database; the label
                               is given outside of the main one          */
    /* Instead of the families that columns name. */
    sonde_code (*emit)(struct emit *e, const struct rows *r,
                       struct sonde_err *err);
};

enum {
    COLLECTOR_COUNT = 33,
    COLLECTOR_QUERIES = COLLECTOR_COUNT - 1, /* the last row */
};
extern const struct collector collectors[COLLECTOR_COUNT];

/* The text for a version; NULL: the collector does not apply. */
const char *collector_sql(const struct collector *c, int version);

#endif
