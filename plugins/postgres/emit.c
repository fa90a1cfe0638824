/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a server says to samples in the host's sink.
 *
 * The sink is strict, but what a server says is not ours: a custom query may
 * return two rows of equal labels, a SQL_ASCII database any bytes. So
 * everything passes shared/unique.h here. The exporter answers 500 for one
 * such row and loses the page; here the row is lost, counted and named.
 */
#include "emit.h"

#include <stdlib.h>

#include "families.h"

void emit_begin(struct emit *e, const struct sonde_host *host,
                struct sonde_sink *sink)
{
    e->host = host;
    e->sink = sink;
    e->dropped = 0;
    e->first_dropped[0] = '\0';
    e->unique.max = EMIT_SAMPLES_MAX;
    e->unique.label_max = EMIT_LABEL_MAX;
    unique_begin(&e->unique);
}

void emit_fini(struct emit *e)
{
    unique_fini(&e->unique);
    *e = (struct emit){ 0 };
}

/* ---- samples ------------------------------------------------------------- */

void emit_drop(struct emit *e, const struct sonde_family *f,
               const sonde_str *labels)
{
    size_t n = sizeof(e->first_dropped), at;

    if (e->dropped++)
        return;
    at = (size_t)snprintf(e->first_dropped, n, "%.100s{", f->name);
    for (size_t i = 0; i < SONDE_LABELS_MAX && f->labels[i] && at < n - 60; i++)
        at += (size_t)snprintf(e->first_dropped + at, n - at,
                               "%s%.20s=\"%.*s\"", i ? "," : "", f->labels[i],
                               (int)(labels[i].len < 20 ? labels[i].len : 20),
                               labels[i].ptr ? labels[i].ptr : "");
    if (at < n - 2)
        (void)snprintf(e->first_dropped + at, n - at, "}");
}

static bool prepare(struct emit *e, const struct sonde_family *f, uint64_t hash,
                    const sonde_str *in, sonde_str *out)
{
    size_t n = 0;

    while (n < SONDE_LABELS_MAX && f->labels[n])
        n++;
    if (unique_add(&e->unique, hash, in, n, out))
        return true;
    emit_drop(e, f, out);
    return false;
}

void emit_sample(struct emit *e, size_t family, const sonde_str *labels,
                 double value)
{
    sonde_str clean[SONDE_LABELS_MAX];

    if (prepare(e, &pg_families[family], unique_hash(family), labels, clean))
        (void)e->host->sample(e->sink, family, clean, value);
}

void emit_histogram(struct emit *e, size_t family, const sonde_str *labels,
                    const struct sonde_bucket *buckets, size_t n,
                    uint64_t count, double sum)
{
    sonde_str clean[SONDE_LABELS_MAX];

    if (prepare(e, &pg_families[family], unique_hash(family), labels, clean))
        (void)e->host->histogram(e->sink, family, clean, buckets, n, count,
                                 sum);
}

/* ---- families that only the server knows --------------------------------- */

/* The same values in the order of a declared family; false if a label of
 * `from` that has a value is not among its labels. Not so "server": queries
 * have it of ours, not of the user's. */
static bool reorder(const struct sonde_family *from, const sonde_str *in,
                    const struct sonde_family *to, sonde_str *out)
{
    for (size_t k = 0; k < SONDE_LABELS_MAX && to->labels[k]; k++)
        out[k] = (sonde_str){ 0 };
    for (size_t i = 0; i < SONDE_LABELS_MAX && from->labels[i]; i++) {
        size_t k = 0;

        while (k < SONDE_LABELS_MAX && to->labels[k] &&
               strcmp(to->labels[k], from->labels[i]) != 0)
            k++;
        if (k < SONDE_LABELS_MAX && to->labels[k])
            out[k] = in[i];
        else if (in[i].len && strcmp(from->labels[i], "server") != 0)
            return false;
    }
    return true;
}

void emit_dynamic(struct emit *e, const struct sonde_family *family,
                  const sonde_str *labels, double value)
{
    sonde_str clean[SONDE_LABELS_MAX];
    size_t declared = families_find(family->name);
    uint64_t hash;

    if (declared < PG_FAMILY_COUNT) {
        if (pg_families[declared].type != SONDE_METRIC_HISTOGRAM &&
            reorder(family, labels, &pg_families[declared], clean)) {
            sonde_str ordered[SONDE_LABELS_MAX];

            memcpy(ordered, clean, sizeof(ordered));
            emit_sample(e, declared, ordered, value);
        } else {
            emit_drop(e, family, labels);
        }
        return;
    }
    hash = unique_hash_name(family->name);
    if (prepare(e, family, hash, labels, clean))
        (void)e->host->dynamic(e->sink, family, clean, value);
}

const char *const histogram_parts[HISTOGRAM_PARTS] = { "_bucket", "_sum",
                                                       "_count" };

static bool has_le(const struct sonde_family *f)
{
    for (size_t i = 0; i < SONDE_LABELS_MAX && f->labels[i]; i++) {
        if (strcmp(f->labels[i], "le") == 0)
            return true;
    }
    return false;
}

/* The names that a histogram's samples have are no declared family's. */
static bool parts_free(const char *name)
{
    char full[512];

    for (size_t i = 0; i < HISTOGRAM_PARTS; i++) {
        (void)snprintf(full, sizeof(full), "%.480s%s", name,
                       histogram_parts[i]);
        if (families_find(full) < PG_FAMILY_COUNT)
            return false;
    }
    return true;
}

void emit_dynamic_histogram(struct emit *e, const struct sonde_family *family,
                            const sonde_str *labels,
                            const struct sonde_bucket *buckets, size_t n,
                            uint64_t count, double sum)
{
    sonde_str clean[SONDE_LABELS_MAX] = { 0 };
    size_t declared = families_find(family->name);

    if (declared < PG_FAMILY_COUNT &&
        pg_families[declared].type == SONDE_METRIC_HISTOGRAM &&
        reorder(family, labels, &pg_families[declared], clean))
        emit_histogram(e, declared, clean, buckets, n, count, sum);
    else if (declared < PG_FAMILY_COUNT || has_le(family) ||
             !parts_free(family->name) ||
             !SONDE_HAS(struct sonde_host, e->host, dynamic_histogram))
        emit_drop(e, family, labels);
    else if (prepare(e, family, unique_hash_name(family->name), labels, clean))
        (void)e->host->dynamic_histogram(e->sink, family, clean, buckets, n,
                                         count, sum);
}
