/* SPDX-License-Identifier: Apache-2.0 */
/* The families, and the way of values into the host's sink. */
#ifndef PLUGINS_REDIS_EMIT_H
#define PLUGINS_REDIS_EMIT_H

#include <sonde/plugin.h>

#include "shared/unique.h"

#define REDIS_LABEL_MAX   1024   /* longer values are cut                  */
#define REDIS_SAMPLES_MAX 250000 /* with labels, in one collection         */
#define REDIS_DYNAMIC_MAX 512    /* families that no table has             */

/* ---- families.c ---------------------------------------------------------- */

enum redis_family {
#define REDIS_FAMILY(id, ...) F_##id,
#include "families.def"
#undef REDIS_FAMILY
    F_FIELDS, /* the first family of an INFO field */
};

enum {
    REDIS_FIELD_COUNT = 0
#define REDIS_FIELD(...) +1
#include "fields.def"
#undef REDIS_FIELD
        ,
    REDIS_FAMILY_COUNT = F_FIELDS + REDIS_FIELD_COUNT
};

extern const struct sonde_family redis_families[REDIS_FAMILY_COUNT];

/* An INFO field that is a sample of family F_FIELDS + its row. Sorted by
 * field. */
struct redis_field {
    const char *field;
    double divisor;
};
extern const struct redis_field redis_fields[REDIS_FIELD_COUNT];
/* The row of a field, or -1. */
int redis_find_field(sonde_str field);

/* ---- emit.c -------------------------------------------------------------- */

struct redis_emit {
    const struct sonde_host *host;
    struct sonde_sink *sink; /* of this collection */
    sonde_str role;          /* value of instance_role; empty: none */
    struct unique unique;    /* of those with labels, so far */
    bool plain_seen[REDIS_FAMILY_COUNT];      /* of those without labels */
    uint8_t label_counts[REDIS_FAMILY_COUNT]; /* once begun */
    bool begun;
    size_t dynamic_count;
    uint64_t dropped; /* samples left out since the instance was opened */
};
/* A collection begins. */
void emit_begin(struct redis_emit *e, struct sonde_sink *sink);
void emit_fini(struct redis_emit *e);
/* Labels as many as the family has, instance_role not counted. A series
 * emitted twice is dropped, bad UTF-8 replaced, what is too long cut: a
 * server must not be able to fail its collection by odd names. */
void emit_sample(struct redis_emit *e, size_t family, const sonde_str *labels,
                 double value);
/* Count and sum of a summary. */
void emit_summary(struct redis_emit *e, size_t family, const sonde_str *labels,
                  uint64_t count, double sum);
void emit_histogram(struct redis_emit *e, size_t family,
                    const sonde_str *labels, const struct sonde_bucket *buckets,
                    size_t n, uint64_t count, double sum);
/* A gauge named after an INFO field that no table has. */
void emit_unknown_field(struct redis_emit *e, sonde_str field, double value);
/* ok, true, err, fail, false, or a number as Go reads one. */
bool emit_value(sonde_str text, double *out);
/* How many labels a family has, instance_role not counted. */
size_t emit_label_count(size_t family);

/* ---- kept.c: samples for later ------------------------------------------- */

/* What a walk over the keys found, until it is through. */
struct redis_kept {
    struct kept_row *rows;
    size_t count, cap;
    struct text labels;
};
/* False when there is no memory. */
bool kept_add(struct redis_kept *k, size_t family, const sonde_str *labels,
              double value);
void kept_emit(const struct redis_kept *k, struct redis_emit *e);
void kept_fini(struct redis_kept *k);

#endif
