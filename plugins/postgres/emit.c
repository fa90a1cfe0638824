/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a server says to samples in the host's sink.
 *
 * The sink is strict: a series given twice or a label that is no UTF-8 fails
 * the collection. That is right for a plugin's own mistakes, but what a
 * server says is not ours: a custom query may return two rows of equal
 * labels, a SQL_ASCII database any bytes. So everything passes here: a set of
 * hashes drops what was said before, labels are made UTF-8 and cut, and there
 * is a bound on all. The exporter answers 500 for one such row and loses the
 * page; here the row is lost, counted and named.
 */
#include "emit.h"

#include <stdlib.h>

#include "families.h"

#define HASH_START 0xcbf29ce484222325ull

void emit_begin(struct emit *e, const struct sonde_host *host,
                struct sonde_sink *sink)
{
    e->host = host;
    e->sink = sink;
    e->count = 0;
    e->dropped = 0;
    e->first_dropped[0] = '\0';
    if (e->seen)
        memset(e->seen, 0, e->seen_cap * sizeof(*e->seen));
}

void emit_fini(struct emit *e)
{
    free(e->seen);
    text_fini(&e->scratch);
    *e = (struct emit){ 0 };
}

/* ---- what was said before ------------------------------------------------ */

/* Eight bytes a step; the length keeps parts apart. */
static uint64_t hash_add(uint64_t h, sonde_str s)
{
    size_t i = 0;
    uint64_t w;

    for (; i + 8 <= s.len; i += 8) {
        memcpy(&w, s.ptr + i, 8);
        h = (h ^ w) * 0x9fb21c651e98df25ull;
        h ^= h >> 32;
    }
    w = 0;
    if (s.len > i)
        memcpy(&w, s.ptr + i, s.len - i);
    h = (h ^ w ^ ((uint64_t)s.len << 56)) * 0x9fb21c651e98df25ull;
    return h ^ (h >> 29);
}

static bool seen_put(uint64_t *set, size_t cap, uint64_t h)
{
    size_t i = (size_t)h & (cap - 1);

    while (set[i] && set[i] != h)
        i = (i + 1) & (cap - 1);
    if (set[i])
        return false;
    set[i] = h;
    return true;
}

static bool seen_grow(struct emit *e)
{
    size_t cap = e->seen_cap ? e->seen_cap * 2 : 4096;
    uint64_t *grown = calloc(cap, sizeof(*grown));

    if (!grown)
        return false;
    for (size_t i = 0; i < e->seen_cap; i++) {
        if (e->seen[i])
            (void)seen_put(grown, cap, e->seen[i]);
    }
    free(e->seen);
    e->seen = grown;
    e->seen_cap = cap;
    return true;
}

/* False if it was there, or if there is no room for more. */
static bool seen_add(struct emit *e, uint64_t h)
{
    if (e->count >= EMIT_SAMPLES_MAX ||
        ((e->count + 1) * 2 > e->seen_cap && !seen_grow(e)))
        return false;
    if (!seen_put(e->seen, e->seen_cap, h ? h : 1))
        return false;
    e->count++;
    return true;
}

/* ---- labels -------------------------------------------------------------- */

static bool is_plain(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] - 1u >= 0x7f)
            return false;
    }
    return true;
}

/* A view of `in`, or of a valid copy in the scratch text. The text may move:
 * copies are marked by a NULL and found again by `fix`. */
static void clean_label(struct emit *e, sonde_str in, sonde_str *out)
{
    size_t from = e->scratch.len;

    if (in.len > EMIT_LABEL_MAX)
        in.len = EMIT_LABEL_MAX;
    *out = in;
    if (is_plain(in))
        return;
    text_add_utf8(&e->scratch, in, SIZE_MAX);
    *out = (sonde_str){ NULL, e->scratch.len - from };
}

static void fix_labels(const struct emit *e, sonde_str *out, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (!out[i].ptr && out[i].len) {
            out[i].ptr = e->scratch.ptr + at;
            at += out[i].len;
        }
    }
}

static void say_dropped(struct emit *e, const struct sonde_family *f,
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

    e->scratch.len = 0;
    for (; n < SONDE_LABELS_MAX && f->labels[n]; n++)
        clean_label(e, in[n], &out[n]);
    fix_labels(e, out, n);
    for (size_t i = 0; i < n; i++)
        hash = hash_add(hash, out[i]);
    if (!e->scratch.failed && seen_add(e, hash))
        return true;
    say_dropped(e, f, out);
    return false;
}

void emit_sample(struct emit *e, size_t family, const sonde_str *labels,
                 double value)
{
    sonde_str clean[SONDE_LABELS_MAX];

    if (prepare(e, &pg_families[family],
                (HASH_START ^ family) * 0x9fb21c651e98df25ull, labels, clean))
        (void)e->host->sample(e->sink, family, clean, value);
}

void emit_histogram(struct emit *e, size_t family, const sonde_str *labels,
                    const struct sonde_bucket *buckets, size_t n,
                    uint64_t count, double sum)
{
    sonde_str clean[SONDE_LABELS_MAX];

    if (prepare(e, &pg_families[family],
                (HASH_START ^ family) * 0x9fb21c651e98df25ull, labels, clean))
        (void)e->host->histogram(e->sink, family, clean, buckets, n, count,
                                 sum);
}

/* ---- families that only the server knows --------------------------------- */

/* The same values in the order of a declared family; false if a label of
 * `from` that has a value is not among its labels. */
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
        else if (in[i].len)
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
            say_dropped(e, family, labels);
        }
        return;
    }
    hash = hash_add(HASH_START, sonde_cstr(family->name));
    if (prepare(e, family, hash, labels, clean))
        (void)e->host->dynamic(e->sink, family, clean, value);
}
