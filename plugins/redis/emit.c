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
 * Values are read as Go reads them, in the C locale whatever the process has.
 */
#include <stdlib.h>
#include <string.h>

#include "redis.h"

#define VALUE_BYTES_MAX 64

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

/* Copies of the labels, made valid; they stand in the scratch text. */
static bool clean_labels(struct redis_emit *e, const struct sonde_family *f,
                         const sonde_str *in, sonde_str *out, uint64_t *hash)
{
    size_t ends[SONDE_LABELS_MAX], n = 0, from = 0;

    e->scratch.len = 0;
    for (; n < SONDE_LABELS_MAX && f->labels[n]; n++) {
        sonde_str v = in[n];

        if (v.len > REDIS_LABEL_MAX)
            v.len = REDIS_LABEL_MAX;
        if (!text_add_utf8(&e->scratch, v))
            return false;
        ends[n] = e->scratch.len;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = (sonde_str){ ends[i] > from ? e->scratch.ptr + from : NULL,
                              ends[i] - from };
        *hash = hash_add(*hash, out[i].ptr, out[i].len);
        from = ends[i];
    }
    return true;
}

static bool prepare(struct redis_emit *e, size_t family, unsigned part,
                    const sonde_str *in, sonde_str *out)
{
    uint64_t hash = 0xcbf29ce484222325ull ^ (family << 8 | part);

    hash *= 0x100000001b3ull;
    if (clean_labels(e, &redis_families[family], in, out, &hash) &&
        seen_add(e, hash))
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

/* ---- fields without a table ---------------------------------------------- */

static bool is_declared(const char *name)
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
                              .help = help };
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
    (void)e->host->dynamic(e->sink, &f, NULL, value);
}

/* ---- values -------------------------------------------------------------- */

bool emit_value(const struct redis_emit *e, sonde_str text, double *out)
{
    char z[VALUE_BYTES_MAX + 1];
    char *end;

    if (text_is(text, "ok") || text_is(text, "true")) {
        *out = 1;
        return true;
    }
    if (text_is(text, "err") || text_is(text, "fail") ||
        text_is(text, "false")) {
        *out = 0;
        return true;
    }
    /* strtod would skip blanks and read nan(...). */
    if (text.len == 0 || text.len > VALUE_BYTES_MAX ||
        memchr(text.ptr, '(', text.len) || memchr(text.ptr, '\0', text.len) ||
        strchr(" \t\r\n\v\f", text.ptr[0]))
        return false;
    memcpy(z, text.ptr, text.len);
    z[text.len] = '\0';
    *out = strtod_l(z, &end, e->locale);
    return *end == '\0';
}
