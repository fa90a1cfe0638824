/* SPDX-License-Identifier: Apache-2.0 */
/* The sink's insides, as its three files share them; sink.c has the essay. */
#ifndef PLUGIN_SINK_INT_H
#define PLUGIN_SINK_INT_H

#include "plugin/plugin_int.h"

struct chunk {
    size_t from, to;   /* in `text`                       */
    size_t next, prev; /* of the family: 1 + index, or 0  */
    size_t family;
    size_t part; /* 1 + collector, or 0             */
};

struct sink_family {
    const struct sonde_family *row; /* labels of a dynamic one: unused */
    size_t first, last;             /* chunks: 1 + index, or 0         */
};

struct series {
    uint64_t hash;
    size_t from;  /* of its text */
    uint32_t len; /* 0: a free slot */
};

/* Where the sink stood when a part was begun. */
struct sink_mark {
    size_t text, chunks, order, samples;
};

struct sonde_sink {
    const struct plugin *plugin;
    struct parts *parts; /* of the instance; NULL: it has none            */
    struct buf text;
    struct chunk *chunks;
    size_t chunk_count, chunk_cap;
    struct sink_family *families; /* declared ones, then dynamic ones   */
    size_t family_count, family_cap;
    size_t *order; /* of first emission           */
    size_t order_count, order_cap;
    size_t current; /* family of the last chunk, or SIZE_MAX            */
    struct series *set;
    size_t set_cap; /* a power of two; 0 before the first sample        */
    size_t samples;
    size_t *names; /* dynamic families by hash of their name: 1 + index */
    size_t names_cap, names_count;
    struct arena arena; /* names and help of dynamic families           */
    struct sonde_err err;
    sonde_code code; /* sticks */

    size_t part; /* under way: 1 + collector, or 0                       */
    struct sink_mark mark;
    uint64_t part_began_ns;
    struct sonde_err part_err;
    sonde_code part_code; /* sticks until the part's end */
};

/* A series being written: what surrounds the family's own name and labels. */
struct line {
    size_t family;
    const char *suffix; /* "", "_bucket", ...                            */
    const sonde_str *labels;
    const char *skip; /* label left out, or NULL                         */
    const double *le; /* bound of a bucket, or NULL                      */
    const struct sonde_family *names; /* has the labels' names           */
    double value;
};

/* The first error sticks: to the part under way, or else to the sink. */
SONDE_PRINTF(3, 4)
sonde_code sink_fail(struct sonde_sink *s, sonde_code code, const char *fmt,
                     ...);
static inline sonde_code sink_code(const struct sonde_sink *s)
{
    return s->code != SONDE_OK ? s->code : s->part_code;
}

sonde_code sink_put_line(struct sonde_sink *s, const struct line *l);
/* The lines of a histogram or a summary; `l` has all but suffix, bound and
 * value. */
sonde_code sink_put_histogram(struct sonde_sink *s, struct line l,
                              const struct sonde_bucket *b, size_t n,
                              uint64_t count, double sum);
sonde_code sink_put_summary(struct sonde_sink *s, struct line l, uint64_t count,
                            double sum);
/* A line as a sink has written it before, of a series that is not there yet;
 * false if it is. */
bool sink_put_again(struct sonde_sink *s, size_t family, sonde_str line);
/* Only notes that the line's series is there. */
void sink_note(struct sonde_sink *s, sonde_str line);
/* Forgets all that came after the mark. */
void sink_rewind(struct sonde_sink *s, const struct sink_mark *mark);
/* The family of that name, made at its first use. */
sonde_code sink_dynamic_family(struct sonde_sink *s,
                               const struct sonde_family *f, size_t *out);

#endif
