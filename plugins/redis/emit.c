/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a server says to samples in the host's sink.
 *
 * The sink is strict, so everything passes shared/unique.h here, which drops
 * what was said before, makes labels valid and bounds all.
 *
 * A family without labels needs no hash, a flag is enough.
 */
#include "emit.h"

#include <stdlib.h>
#include <string.h>

void emit_begin(struct redis_emit *e, struct sonde_sink *sink)
{
    for (size_t i = 0; !e->begun && i < REDIS_FAMILY_COUNT; i++)
        e->label_counts[i] = (uint8_t)emit_label_count(i);
    e->begun = true;
    e->sink = sink;
    e->role = (sonde_str){ 0 };
    e->dynamic_count = 0;
    memset(e->plain_seen, 0, sizeof(e->plain_seen));
    e->unique.max = REDIS_SAMPLES_MAX;
    e->unique.label_max = REDIS_LABEL_MAX;
    unique_begin(&e->unique);
}

void emit_fini(struct redis_emit *e)
{
    unique_fini(&e->unique);
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

    if (redis_families[family].labels[n])
        out[n] = e->role;
    if (n == 0)
        return prepare_plain(e, family);
    if (unique_add(&e->unique, unique_hash(family << 8 | part), in, n, out))
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
        !unique_add(&e->unique, unique_hash_name(name), NULL, 0, NULL)) {
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
