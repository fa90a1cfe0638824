/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a server says to samples in the host's sink.
 *
 * The sink is strict: a series given twice or a label that is no UTF-8 fails
 * the collection. That is right for a plugin's own mistakes, but what a
 * server says is not ours: two replicas behind one address are the same
 * series twice, an error name can hold any bytes. So everything passes here:
 * a set of hashes drops what was said before, labels are made UTF-8 and cut,
 * and there is a bound on all. The hash is not kept secret; a server that
 * finds collisions loses its own samples.
 *
 * Most labels are ASCII and pass as views; only what has to be changed is
 * copied. A family without labels needs no hash, a flag is enough.
 */
#include "emit.h"

#include <stdlib.h>
#include <string.h>

#define SEEN_KEPT 4096 /* slots kept between collections */
/* Bytes that a label can have once made valid: U+FFFD is three. */
#define LABEL_ROOM (REDIS_LABEL_MAX * 3 + 1)

void emit_begin(struct redis_emit *e, struct sonde_sink *sink)
{
    for (size_t i = 0; !e->begun && i < REDIS_FAMILY_COUNT; i++)
        e->label_counts[i] = (uint8_t)emit_label_count(i);
    e->begun = true;
    e->sink = sink;
    e->role = (sonde_str){ 0 };
    e->count = 0;
    e->dynamic_count = 0;
    memset(e->plain_seen, 0, sizeof(e->plain_seen));
    if (e->seen_cap > SEEN_KEPT) {
        free(e->seen);
        e->seen = NULL;
        e->seen_cap = 0;
    }
    if (e->seen)
        memset(e->seen, 0, e->seen_cap * sizeof(*e->seen));
}

void emit_fini(struct redis_emit *e)
{
    free(e->seen);
    e->seen = NULL;
    text_fini(&e->scratch);
}

/* ---- what was said before ------------------------------------------------ */

static uint64_t hash_add(uint64_t h, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 0x100000001b3ull;
    return (h ^ 0xff) * 0x100000001b3ull; /* the end of a part */
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

/* False if it was there, or if there is no room for more. */
static bool seen_add(struct redis_emit *e, uint64_t h)
{
    if (e->count >= REDIS_SAMPLES_MAX)
        return false;
    if ((e->count + 1) * 2 > e->seen_cap) {
        size_t cap = e->seen_cap ? e->seen_cap * 2 : 1024;
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
    }
    if (!seen_put(e->seen, e->seen_cap, h ? h : 1))
        return false;
    e->count++;
    return true;
}

/* ---- labels -------------------------------------------------------------- */

/* The last label of most families. */
static bool is_role(const char *label)
{
    return strcmp(label, "instance_role") == 0;
}

size_t emit_label_count(size_t family)
{
    const struct sonde_family *f = &redis_families[family];
    size_t n = 0;

    while (n < SONDE_LABELS_MAX && f->labels[n] && !is_role(f->labels[n]))
        n++;
    return n;
}

/* ASCII without NUL, and short: as it is. */
static bool is_clean(sonde_str v)
{
    if (v.len > REDIS_LABEL_MAX)
        return false;
    for (size_t i = 0; i < v.len; i++) {
        if ((unsigned char)(v.ptr[i] - 1) >= 0x7f)
            return false;
    }
    return true;
}

/* The scratch text is given its room first: it must not move while labels of
 * the same sample stand in it. */
static bool clean_label(struct text *scratch, sonde_str *label)
{
    size_t at = scratch->len;

    if (scratch->cap < SONDE_LABELS_MAX * LABEL_ROOM) {
        scratch->ptr = malloc(SONDE_LABELS_MAX * LABEL_ROOM);
        scratch->cap = scratch->ptr ? SONDE_LABELS_MAX * LABEL_ROOM : 0;
    }
    if (label->len > REDIS_LABEL_MAX)
        label->len = REDIS_LABEL_MAX;
    if (!scratch->ptr || !text_add_utf8(scratch, *label, SIZE_MAX))
        return false;
    *label = (sonde_str){ scratch->ptr + at, scratch->len - at };
    return true;
}

/* The labels, made valid. */
static bool clean_labels(struct redis_emit *e, const sonde_str *in, size_t n,
                         sonde_str *out, uint64_t *hash)
{
    e->scratch.len = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = in[i].len ? in[i] : (sonde_str){ 0 };
        if (!is_clean(in[i]) && !clean_label(&e->scratch, &out[i]))
            return false;
        *hash = hash_add(*hash, out[i].ptr, out[i].len);
    }
    return true;
}

/* A family without labels is said once. */
static bool prepare_plain(struct redis_emit *e, size_t family)
{
    if (e->plain_seen[family]) {
        e->dropped++;
        return false;
    }
    e->plain_seen[family] = true;
    return true;
}

static bool prepare(struct redis_emit *e, size_t family, unsigned part,
                    const sonde_str *in, sonde_str *out)
{
    size_t n = e->label_counts[family];
    uint64_t hash = 0xcbf29ce484222325ull ^ (family << 8 | part);

    if (redis_families[family].labels[n])
        out[n] = e->role;
    if (n == 0)
        return prepare_plain(e, family);
    hash *= 0x100000001b3ull;
    if (clean_labels(e, in, n, out, &hash) && seen_add(e, hash))
        return true;
    e->dropped++;
    return false;
}

void emit_sample(struct redis_emit *e, size_t family, const sonde_str *labels,
                 double value)
{
    sonde_str clean[SONDE_LABELS_MAX];

    if (prepare(e, family, 0, labels, clean))
        (void)e->host->sample(e->sink, family, clean, value);
}

void emit_summary(struct redis_emit *e, size_t family, const sonde_str *labels,
                  uint64_t count, double sum)
{
    sonde_str clean[SONDE_LABELS_MAX];

    if (prepare(e, family, 1, labels, clean))
        (void)e->host->summary(e->sink, family, clean, count, sum);
}

void emit_histogram(struct redis_emit *e, size_t family,
                    const sonde_str *labels, const struct sonde_bucket *buckets,
                    size_t n, uint64_t count, double sum)
{
    sonde_str clean[SONDE_LABELS_MAX];

    if (prepare(e, family, 2, labels, clean))
        (void)e->host->histogram(e->sink, family, clean, buckets, n, count,
                                 sum);
}

/* ---- fields without a table ---------------------------------------------- */

static bool is_declared(const char *name) /* rare: a walk is enough */
{
    for (size_t i = 0; i < REDIS_FAMILY_COUNT; i++) {
        if (strcmp(redis_families[i].name, name) == 0)
            return true;
    }
    return false;
}

void emit_unknown_field(struct redis_emit *e, sonde_str field, double value)
{
    char name[160], help[200];
    struct sonde_family f = { .name = name,
                              .type = SONDE_METRIC_GAUGE,
                              .help = help,
                              .labels = { "instance_role" } };
    int n = snprintf(name, sizeof(name), "redis_%.*s", SONDE_ARG(field));

    if (n < 0 || (size_t)n >= sizeof(name) ||
        e->dynamic_count >= REDIS_DYNAMIC_MAX) {
        e->dropped++;
        return;
    }
    for (char *p = name; *p; p++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                    "0123456789_",
                    *p))
            *p = '_';
    }
    if (is_declared(name) ||
        !seen_add(e, hash_add(0x9e3779b97f4a7c15ull, name, strlen(name)))) {
        e->dropped++;
        return;
    }
    e->dynamic_count++;
    (void)snprintf(help, sizeof(help), "%s, as the server reports it", name);
    (void)e->host->dynamic(e->sink, &f, &e->role, value);
}

/* ---- values -------------------------------------------------------------- */

bool emit_value(sonde_str text, double *out)
{
    if (text_number(text, out))
        return true;
    if (text_is(text, "ok") || text_is(text, "true")) {
        *out = 1;
        return true;
    }
    if (text_is(text, "err") || text_is(text, "fail") ||
        text_is(text, "false")) {
        *out = 0;
        return true;
    }
    return false;
}
