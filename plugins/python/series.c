/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which series a key is of. A name stands for one family: a family takes, when
 * it is made, all the names that its series have (x_sum, x_bucket, ...), and
 * what comes later under one of these is refused. The plugin's own names are
 * taken from the start.
 *
 * Series stand in their family in the order in which they appeared, so that
 * two collections are the same lines in the same order.
 */
#include "series.h"

#include <stdlib.h>

/* A name that is taken; family NULL: for nobody. */
struct claim {
    sonde_str name;
    struct family *family;
};

static const struct merge_rule *rule_of(const struct catalog *c, sonde_str name)
{
    for (size_t i = 0; i < c->rule_count; i++) {
        const struct merge_rule *r = &c->rules[i];
        sonde_str part = name;

        if (r->prefix && part.len > r->name.len)
            part.len = r->name.len;
        if (sonde_str_eq(part, r->name))
            return r;
    }
    return NULL;
}

/* ---- names --------------------------------------------------------------- */

static bool same_claim(const void *item, const void *key)
{
    return sonde_str_eq(((const struct claim *)item)->name,
                        *(const sonde_str *)key);
}

static struct claim *claim_of(const struct catalog *c, sonde_str name)
{
    return table_find(&c->claims, table_hash(1, name.ptr, name.len), same_claim,
                      &name);
}

static bool claim(struct catalog *c, sonde_str name, struct family *family)
{
    struct claim *n = store_new(&c->store, sizeof(*n));

    if (!n || !store_str(&c->store, name, &n->name))
        return false;
    n->family = family;
    return table_add(&c->claims, table_hash(1, name.ptr, name.len), n);
}

/* All names that a family's series have, as a list that ends with NULL. */
static const char *const *suffixes(enum db_kind kind)
{
    static const char *const one[] = { "", NULL };
    static const char *const summary[] = { "", "_sum", "_count", NULL };
    static const char *const histogram[] = { "", "_sum", "_count", "_bucket",
                                             NULL };

    return kind == DB_HISTOGRAM ? histogram
           : kind == DB_SUMMARY ? summary
                                : one;
}

/* NAME_SUFFIX in the buffer. */
static sonde_str suffixed(char *buf, size_t cap, sonde_str name,
                          const char *suffix)
{
    int n = snprintf(buf, cap, "%.*s%s", SONDE_ARG(name), suffix);

    return (sonde_str){ buf, (size_t)n };
}

static bool names_free(const struct catalog *c, sonde_str name,
                       enum db_kind kind)
{
    char buf[KEY_NAME_MAX + 16];

    for (const char *const *s = suffixes(kind); *s; s++) {
        if (claim_of(c, suffixed(buf, sizeof(buf), name, *s)))
            return false;
    }
    return true;
}

static bool names_take(struct catalog *c, struct family *f)
{
    char buf[KEY_NAME_MAX + 16];

    for (const char *const *s = suffixes(f->kind); *s; s++) {
        if (!claim(c, suffixed(buf, sizeof(buf), f->name, *s), f))
            return false;
    }
    return true;
}

/* ---- families ------------------------------------------------------------ */

static struct family *family_new(struct catalog *c, const struct key *k,
                                 const struct db_name *file)
{
    struct family *f = store_new(&c->store, sizeof(*f));
    const struct merge_rule *rule;

    if (!f || !store_str(&c->store, k->family, &f->name) ||
        !store_str(&c->store, k->help, &f->help))
        return NULL;
    f->kind = file->kind;
    f->mode = file->mode;
    f->live = file->live;
    rule = f->kind == DB_GAUGE ? rule_of(c, f->name) : NULL;
    if (rule) {
        f->mode = rule->mode;
        f->live = rule->live;
    }
    if (!names_take(c, f))
        return NULL;
    if (c->last)
        c->last->next = f;
    else
        c->first = f;
    c->last = f;
    c->family_count++;
    return f;
}

struct family *catalog_family(struct catalog *c, const struct key *k,
                              const struct db_name *file, enum merge_drop *why)
{
    const struct claim *taken = claim_of(c, k->family);
    struct family *f = taken ? taken->family : NULL;

    if (f && f->kind == file->kind && sonde_str_eq(f->name, k->family))
        return f;
    *why = MERGE_DROP_CONFLICT;
    if (taken || !names_free(c, k->family, file->kind))
        return NULL;
    *why = MERGE_DROP_LIMIT;
    return c->family_count < MERGE_FAMILIES_MAX ? family_new(c, k, file) : NULL;
}

bool catalog_refuse(struct catalog *c, const char *name)
{
    return claim(c, sonde_cstr(name), NULL);
}

/* ---- series -------------------------------------------------------------- */

struct wanted {
    const struct family *family;
    const struct key *key;
};

static bool same_series(const void *item, const void *opaque)
{
    const struct series *s = item;
    const struct wanted *w = opaque;

    if (s->family != w->family)
        return false;
    for (size_t i = 0; i < w->key->label_count; i++) {
        if (!s->names[i] ||
            !sonde_str_eq(sonde_cstr(s->names[i]), w->key->labels[i].name) ||
            !sonde_str_eq(s->values[i], w->key->labels[i].value))
            return false;
    }
    return !s->names[w->key->label_count];
}

static uint64_t series_hash(const struct wanted *w)
{
    uint64_t h = table_hash(2, &w->family, sizeof(w->family));

    for (size_t i = 0; i < w->key->label_count; i++) {
        const struct key_label *l = &w->key->labels[i];

        h = table_hash(h, l->name.ptr, l->name.len);
        h = table_hash(h, l->value.ptr, l->value.len);
    }
    return h;
}

/* The family's label names, if they are the key's, or a new list. */
static const char *const *series_names(struct catalog *c,
                                       const struct wanted *w)
{
    const struct series *last = w->family->last;
    const char **names;
    size_t n = w->key->label_count, i = 0;

    while (last && i < n && last->names[i] &&
           sonde_str_eq(sonde_cstr(last->names[i]), w->key->labels[i].name))
        i++;
    if (last && i == n && !last->names[n])
        return last->names;
    names = store_new(&c->store, (n + 1) * sizeof(*names));
    for (i = 0; names && i < n; i++) {
        sonde_str copy;

        if (!store_str(&c->store, w->key->labels[i].name, &copy))
            return NULL;
        names[i] = copy.ptr;
    }
    return names;
}

static struct series *series_new(struct catalog *c, struct family *f,
                                 const struct wanted *w, uint64_t hash)
{
    size_t n = w->key->label_count;
    struct series *s = store_new(&c->store, sizeof(*s));
    sonde_str *values = store_new(&c->store, (n + 1) * sizeof(*values));

    if (!s || !values)
        return NULL;
    s->family = f;
    s->names = series_names(c, w);
    s->values = values;
    for (size_t i = 0; i < n; i++) {
        if (!store_str(&c->store, w->key->labels[i].value, &values[i]))
            return NULL;
    }
    if (!s->names || !table_add(&c->series, hash, s))
        return NULL;
    if (f->last)
        f->last->next = s;
    else
        f->first = s;
    f->last = s;
    return s;
}

struct series *catalog_series(struct catalog *c, struct family *f,
                              const struct key *k)
{
    const struct wanted w = { f, k };
    uint64_t hash = series_hash(&w);
    struct series *s = table_find(&c->series, hash, same_series, &w);

    return s ? s : series_new(c, f, &w, hash);
}

struct bucket *catalog_bucket(struct catalog *c, struct series *s, double upper)
{
    struct bucket **at = &s->buckets, *b;

    while (*at && (*at)->upper < upper)
        at = &(*at)->next;
    b = *at;
    if (b && b->upper == upper)
        return b;
    if (s->bucket_count >= MERGE_BUCKETS_MAX)
        return NULL;
    b = store_new(&c->store, sizeof(*b));
    if (!b)
        return NULL;
    b->upper = upper;
    b->next = *at;
    *at = b;
    s->bucket_count++;
    return b;
}

void catalog_fini(struct catalog *c)
{
    table_fini(&c->claims);
    table_fini(&c->series);
    store_fini(&c->store);
}
