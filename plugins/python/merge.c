/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many files of values, one set of series.
 *
 * The result is that of prometheus_client's own MultiProcessCollector:
 * counters, histograms and summaries are summed, buckets made cumulative (the
 * last one is the count), gauges follow the mode in their file's name. What is
 * done in another way:
 *
 * - Sums do not depend on the order of the files. The library adds in the
 *   order in which the folder lists them, so that a new worker can make a sum
 *   of seconds a last digit smaller than before, which looks like a restart
 *   to rate(). Here each sum carries its rounding error along.
 * - A name stands for one family. Where files disagree (a deployment that
 *   renames things), the first one seen keeps it, and the rest is counted.
 *
 * Keys are remembered from collection to collection, as the bytes that stand
 * in the file: one that was seen before costs a hash, a comparison and an
 * addition, and is not parsed again. For a gauge, which is merged by process,
 * the key includes its file's mode and process. Series of processes that have
 * gone stay remembered until merge_stale says so, and are not emitted.
 */
#include "merge.h"

#include <math.h>
#include <stdlib.h>

#include "series.h"

/* What a key of a file means. */
struct known {
    uint64_t scope; /* of which files */
    sonde_str text;
    enum key_part part;
    struct series *series; /* NULL: left out, for this reason */
    enum merge_drop why;
    struct bucket *bucket;
    uint64_t seen;
};

struct merge {
    struct catalog catalog;
    struct table known;
    uint64_t now; /* the number of the collection */
    size_t seen;  /* keys of this collection      */
    struct db_name file;
    bool dead;
    uint64_t scope;
    size_t dropped[MERGE_DROP_COUNT];
};

/* ---- rules --------------------------------------------------------------- */

bool merge_rule_parse(sonde_str text, struct merge_rule *out)
{
    const char *cut = text.len ? memchr(text.ptr, '=', text.len) : NULL;
    sonde_str mode;

    if (!cut || cut == text.ptr)
        return false;
    *out =
        (struct merge_rule){ .name = { text.ptr, (size_t)(cut - text.ptr) } };
    mode = (sonde_str){ cut + 1, text.len - out->name.len - 1 };
    if (out->name.ptr[out->name.len - 1] == '*') {
        out->prefix = true;
        out->name.len--;
    }
    return db_mode_parse(mode, &out->mode, &out->live);
}

/* ---- keys ---------------------------------------------------------------- */

static bool same_known(const void *item, const void *opaque)
{
    const struct known *a = item, *b = opaque;

    return a->scope == b->scope && sonde_str_eq(a->text, b->text);
}

/* With the process of its file, for a gauge that is shown by process. */
static bool add_pid(const struct merge *m, struct key *k)
{
    size_t i = k->label_count;

    if (i == SONDE_LABELS_MAX)
        return false;
    for (; i > 0 && strcmp(k->labels[i - 1].name.ptr, "pid") > 0; i--)
        k->labels[i] = k->labels[i - 1];
    k->labels[i] = (struct key_label){ SONDE_STR("pid"), m->file.pid };
    k->label_count++;
    return true;
}

/* Finds out what a key means; its series stays NULL when it is left out. */
static void learn(struct merge *m, struct known *n, struct key *k)
{
    struct family *f;
    struct series *s;

    n->why = MERGE_DROP_INVALID;
    if (!key_parse(n->text, m->file.kind, k))
        return;
    f = catalog_family(&m->catalog, k, &m->file, &n->why);
    if (!f)
        return;
    n->why = MERGE_DROP_LIMIT;
    if (f->kind == DB_GAUGE && f->mode == DB_ALL && !add_pid(m, k))
        return;
    s = catalog_series(&m->catalog, f, k);
    n->part = k->part;
    if (s && k->part == KEY_BUCKET) {
        n->bucket = catalog_bucket(&m->catalog, s, k->upper);
        if (!n->bucket)
            return;
    }
    n->series = s;
}

static struct known *known_of(struct merge *m, sonde_str text)
{
    const struct known wanted = { .scope = m->scope, .text = text };
    uint64_t hash = table_hash(m->scope, text.ptr, text.len);
    struct known *n = table_find(&m->known, hash, same_known, &wanted);
    struct key k;

    if (n || m->known.count >= MERGE_KEYS_MAX)
        return n;
    n = store_new(&m->catalog.store, sizeof(*n));
    if (!n || !store_str(&m->catalog.store, text, &n->text))
        return NULL;
    n->scope = m->scope;
    if (!table_add(&m->known, hash, n))
        return NULL;
    learn(m, n, &k);
    key_fini(&k);
    return n;
}

/* ---- values -------------------------------------------------------------- */

/* As if with twice the digits: what rounding takes from the sum (Knuth's
 * two-sum) goes into the rest, and back as soon as it counts. */
static void cell_add(struct cell *c, double x)
{
    double sum = c->value + x, part = sum - c->value;
    double rest = (c->value - (sum - part)) + (x - part) + c->rest;

    if (!isfinite(sum)) {
        *c = (struct cell){ .value = sum };
        return;
    }
    c->value = sum + rest;
    c->rest = rest - (c->value - sum);
}

static void put(struct series *s, double value)
{
    s->value = (struct cell){ .value = value };
    s->set = true;
}

static void add_gauge(struct series *s, const struct db_entry *e)
{
    switch (s->family->mode) {
    case DB_MIN:
        if (!s->set || e->value < s->value.value)
            put(s, e->value);
        break;
    case DB_MAX:
        if (!s->set || e->value > s->value.value)
            put(s, e->value);
        break;
    case DB_MOST_RECENT: /* one that was never set has no time */
        if (e->stamp > s->stamp) {
            s->stamp = e->stamp;
            put(s, e->value);
        }
        break;
    case DB_SUM:
        s->set = true;
        cell_add(&s->value, e->value);
        break;
    case DB_ALL:
        put(s, e->value);
        break;
    }
}

/* The first value of a collection begins with nothing. */
static void touch(const struct merge *m, struct series *s)
{
    if (s->seen == m->now)
        return;
    s->seen = m->now;
    s->set = false;
    s->stamp = 0;
    s->value = s->count = (struct cell){ 0 };
    for (struct bucket *b = s->buckets; b; b = b->next)
        b->count = (struct cell){ 0 };
}

static void drop(struct merge *m, enum merge_drop why)
{
    m->dropped[why]++;
}

void merge_add(struct merge *m, const struct db_entry *e)
{
    struct known *n = known_of(m, e->key);
    struct series *s = n ? n->series : NULL;

    if (n && n->seen != m->now) {
        n->seen = m->now;
        m->seen++;
    }
    if (!s) {
        drop(m, n ? n->why : MERGE_DROP_LIMIT);
        return;
    }
    if (s->family->live && m->dead)
        return;
    touch(m, s);
    if (s->family->kind == DB_GAUGE) {
        add_gauge(s, e);
    } else {
        s->set = true;
        cell_add(n->part == KEY_BUCKET  ? &n->bucket->count
                 : n->part == KEY_COUNT ? &s->count
                                        : &s->value,
                 e->value);
    }
}

void merge_file(struct merge *m, const struct db_name *name, bool dead)
{
    uint64_t sort = name->kind;

    m->file = *name;
    m->dead = dead;
    m->scope = sort;
    if (name->kind == DB_GAUGE) {
        sort |= (uint64_t)name->mode << 8 | (uint64_t)name->live << 16;
        m->scope = table_hash(sort, name->pid.ptr, name->pid.len) | 1 << 8;
    }
}

void merge_begin(struct merge *m)
{
    m->now++;
    m->seen = 0;
    memset(m->dropped, 0, sizeof(m->dropped));
}

size_t merge_dropped(const struct merge *m, enum merge_drop why)
{
    return m->dropped[why];
}

bool merge_stale(const struct merge *m)
{
    size_t gone = m->known.count - m->seen;

    return gone > 1024 && gone > m->seen;
}

/* ---- out ----------------------------------------------------------------- */

/* What is counted must be a number that can be one. */
static bool as_count(double v, uint64_t *out)
{
    if (!(v >= 0 && v <= 9007199254740992.0))
        return false;
    *out = (uint64_t)v;
    return true;
}

static bool emit_histogram(const struct sonde_host *host,
                           struct sonde_sink *sink,
                           const struct sonde_family *row,
                           const struct series *s)
{
    struct sonde_bucket buckets[MERGE_BUCKETS_MAX];
    uint64_t total = 0, one;
    size_t n = 0;

    for (const struct bucket *b = s->buckets; b; b = b->next) {
        if (!as_count(b->count.value, &one))
            return false;
        total += one;
        buckets[n++] = (struct sonde_bucket){ b->upper, total };
    }
    (void)host->dynamic_histogram(sink, row, s->values, buckets, n, total,
                                  s->value.value);
    return true;
}

static bool emit_series(const struct sonde_host *host, struct sonde_sink *sink,
                        const struct sonde_family *row, const struct series *s)
{
    uint64_t count;

    switch (row->type) {
    case SONDE_METRIC_HISTOGRAM:
        return emit_histogram(host, sink, row, s);
    case SONDE_METRIC_SUMMARY:
        if (!as_count(s->count.value, &count))
            return false;
        (void)host->dynamic_summary(sink, row, s->values, count,
                                    s->value.value);
        return true;
    default:
        (void)host->dynamic(sink, row, s->values, s->value.value);
        return true;
    }
}

static void emit_family(struct merge *m, const struct sonde_host *host,
                        struct sonde_sink *sink, const struct family *f)
{
    static const enum sonde_metric_type types[] = {
        [DB_COUNTER] = SONDE_METRIC_COUNTER,
        [DB_GAUGE] = SONDE_METRIC_GAUGE,
        [DB_HISTOGRAM] = SONDE_METRIC_HISTOGRAM,
        [DB_SUMMARY] = SONDE_METRIC_SUMMARY,
    };

    for (const struct series *s = f->first; s; s = s->next) {
        struct sonde_family row = { .name = f->name.ptr,
                                    .type = types[f->kind],
                                    .help = f->help.ptr };

        if (s->seen != m->now || !s->set)
            continue;
        for (size_t i = 0; s->names[i]; i++)
            row.labels[i] = s->names[i];
        if (!emit_series(host, sink, &row, s))
            drop(m, MERGE_DROP_INVALID);
    }
}

void merge_emit(struct merge *m, const struct sonde_host *host,
                struct sonde_sink *sink)
{
    for (const struct family *f = m->catalog.first; f; f = f->next)
        emit_family(m, host, sink, f);
}

/* ---- life ---------------------------------------------------------------- */

struct merge *merge_new(const struct merge_rule *rules, size_t rule_count,
                        const char *const *refused, size_t refused_count)
{
    struct merge *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->catalog.rules = rules;
    m->catalog.rule_count = rule_count;
    for (size_t i = 0; i < refused_count; i++) {
        if (!catalog_refuse(&m->catalog, refused[i])) {
            merge_free(m);
            return NULL;
        }
    }
    return m;
}

void merge_free(struct merge *m)
{
    if (!m)
        return;
    table_fini(&m->known);
    catalog_fini(&m->catalog);
    free(m);
}
