/* SPDX-License-Identifier: Apache-2.0 */
/* The families and series that files' keys belong to. */
#ifndef PYTHON_SERIES_H
#define PYTHON_SERIES_H

#include "key.h"
#include "merge.h"
#include "store.h"

/* A sum, and what of it is too small to stand there. */
struct cell {
    double value, rest;
};

struct bucket {
    struct bucket *next; /* of the next higher bound */
    double upper;
    struct cell count;
};

struct series {
    struct series *next; /* of the family, in order of appearance */
    struct family *family;
    const char *const *names; /* NULL-terminated */
    const sonde_str *values;
    uint64_t seen; /* the last collection that has it */
    bool set;      /* whether `value` is one */
    struct cell value;
    struct cell count; /* of a summary */
    double stamp;
    struct bucket *buckets;
    size_t bucket_count;
};

struct family {
    struct family *next;
    sonde_str name, help;
    enum db_kind kind;
    enum db_mode mode; /* of a gauge, after the rules */
    bool live;
    struct series *first, *last;
};

struct catalog {
    const struct merge_rule *rules;
    size_t rule_count;
    struct store store;
    struct table claims, series;
    struct family *first, *last;
    size_t family_count;
};

/* No family may have that name. False: out of memory. */
bool catalog_refuse(struct catalog *c, const char *name);
/* The family of a key of such a file, made if need be; NULL: `why`. */
struct family *catalog_family(struct catalog *c, const struct key *k,
                              const struct db_name *file, enum merge_drop *why);
/* The series of the key's labels, made if need be; NULL: out of memory. */
struct series *catalog_series(struct catalog *c, struct family *f,
                              const struct key *k);
/* The bucket of that bound; NULL: there are too many. */
struct bucket *catalog_bucket(struct catalog *c, struct series *s,
                              double upper);
void catalog_fini(struct catalog *c);

#endif
