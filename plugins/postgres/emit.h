/* SPDX-License-Identifier: Apache-2.0 */
/* From values to samples that the sink can find no fault with; see emit.c. */
#ifndef PLUGINS_POSTGRES_EMIT_H
#define PLUGINS_POSTGRES_EMIT_H

#include <sonde/plugin.h>

#include "shared/unique.h"

enum {
    EMIT_SAMPLES_MAX = 800000,
    EMIT_DYNAMIC_MAX = 4096, /* families that no table has                */
    EMIT_LABEL_MAX = 4096,   /* longer values are cut                     */
    HISTOGRAM_PARTS = 3,
};

/* What a histogram's samples have behind its name. */
extern const char *const histogram_parts[HISTOGRAM_PARTS];

struct emit {
    const struct sonde_host *host;
    struct sonde_sink *sink;
    struct unique unique;    /* so far */
    size_t dropped;          /* left out: twice, or too many */
    char first_dropped[256]; /* for the log */
};
void emit_begin(struct emit *e, const struct sonde_host *host,
                struct sonde_sink *sink);
void emit_fini(struct emit *e);
/* `labels` are as many as the family declares. A series emitted twice is
 * dropped and counted, bad UTF-8 replaced, what is too long cut. */
void emit_sample(struct emit *e, size_t family, const sonde_str *labels,
                 double value);
void emit_histogram(struct emit *e, size_t family, const sonde_str *labels,
                    const struct sonde_bucket *buckets, size_t n,
                    uint64_t count, double sum);
/* A family of a name that no table has. One that a table does have is
 * emitted as that, if it has all the labels. */
void emit_dynamic(struct emit *e, const struct sonde_family *family,
                  const sonde_str *labels, double value);
/* The same of a histogram whose buckets are in order. Left out if the host
 * has no such service, or if a label is called "le". */
void emit_dynamic_histogram(struct emit *e, const struct sonde_family *family,
                            const sonde_str *labels,
                            const struct sonde_bucket *buckets, size_t n,
                            uint64_t count, double sum);
/* Counts and names what the caller found no way to emit. */
void emit_drop(struct emit *e, const struct sonde_family *family,
               const sonde_str *labels);

#endif
