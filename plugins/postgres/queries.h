/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries of the user's own: what the file says (queries.c reads it), and
 * what their rows become (query_rows.c).
 */
#ifndef PLUGINS_POSTGRES_QUERIES_H
#define PLUGINS_POSTGRES_QUERIES_H

#include "emit.h"
#include "link.h"

enum {
    QUERIES_MAX = 256,
    QUERY_COLUMNS_MAX = 64,
    QUERY_DATABASES_MAX = 64,
    QUERY_RANGE_MAX = 32,
    QUERY_MAPPING_MAX = 64,
};

enum usage {
    USAGE_DISCARD,
    USAGE_LABEL,
    USAGE_COUNTER,
    USAGE_GAUGE,
    USAGE_HISTOGRAM,
    USAGE_MAPPED,
    USAGE_DURATION,
    USAGE_UNTYPED, /* a column that the file does not list */
};

struct query_mapping {
    char *text;
    double value;
};

struct query_column {
    char *name;   /* of the column                                        */
    char *family; /* of what it becomes, "pg_x_column"; of a label: its
                     name                                                 */
    char *help;
    enum usage usage;
    struct query_mapping *mapping;
    size_t mapping_count;
};

/* One comparison of `runonserver`; those of a group hold together, one group
 * is enough. Versions are 15018000: 15.18.0. */
struct version_rule {
    char op[3];
    int64_t version;
    size_t group;
};

enum query_scope {
    SCOPE_ONE,
    SCOPE_ALL,
    SCOPE_LIST
};

struct query {
    char *name; /* the namespace: what the metrics' names begin with      */
    char *sql;  /* NULL: the namespace is switched off                    */
    bool master_given, master;
    enum query_scope scope;
    bool scope_given;
    char *databases[QUERY_DATABASES_MAX];
    size_t database_count;
    sonde_msec interval;  /* between two askings; 0: each collection        */
    sonde_msec timeout;   /* 0: the collection's                            */
    char set_timeout[64]; /* the statement that sets it                    */
    int64_t min_version, max_version; /* 15000000; 0: no bound             */
    struct version_rule rules[QUERY_RANGE_MAX];
    size_t rule_count, group_count;
    struct query_column columns[QUERY_COLUMNS_MAX];
    size_t column_count;
};

struct query_set {
    struct query *items;
    size_t count;
};

/* The file's text; `prefix` (of metric names, from the exporter) does not
 * matter here. Errors have the line. To be freed either way. */
SONDE_NODISCARD sonde_code queries_read(sonde_str text, struct query_set *out,
                                        struct sonde_err *err);
void queries_fini(struct query_set *q);
const struct query *queries_find(const struct query_set *q, const char *name);

/* 15.18 as libpq has it (150018) to 15018000; 90624 to 9006024. */
int64_t query_server_version(int libpq);
/* Whether a server of that version is to be asked. */
bool query_applies(const struct query *q, int64_t version);
/* "3s", "1h2m3.5s", "5ms" or a plain number, in milliseconds. */
bool query_duration(sonde_str s, double *ms);

/* Emits a result of a query of the set, with `datname` as a further label if it
 * is not empty (and no label of the query's is called so). */
SONDE_NODISCARD sonde_code query_emit(const struct query_set *set,
                                      const struct query *q,
                                      const struct rows *r, sonde_str server,
                                      sonde_str datname, struct emit *e,
                                      struct sonde_err *err);

#endif
