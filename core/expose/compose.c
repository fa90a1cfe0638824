/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every text is read by the scanner and written anew, line by line, into one
 * buffer; a run of lines of one family is a chunk, a family chains its
 * chunks, and the page is written family by family. So bodies in OpenMetrics
 * become text 0.0.4 too: a counter's family is named as its samples
 * (x_total), an info's x_info, and x_created is a family of its own.
 *
 * A line that belongs to no family that was announced makes one, untyped. A
 * series that stands on the page already is left out, because a page that
 * says something twice is refused as a whole by strict readers.
 *
 * A label of ours that a series has already gives way as Prometheus has it:
 * the series' own becomes exported_NAME.
 */
#include "expose/compose.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "util/mem.h"
#include "util/str.h"

struct chunk {
    size_t from, to; /* in `lines`         */
    size_t next;     /* 1 + index, or 0    */
};

struct family {
    struct metadata meta; /* strings in the arena */
    size_t first, last;   /* chunks: 1 + index, or 0 */
};

/* A set of 64-bit hashes; 0 is a free slot. `values` says which family, or
 * nothing. */
struct hash_set {
    uint64_t *keys;
    size_t *values;
    size_t count, cap;
};

struct compose {
    const struct compose_rules *rules;
    struct arena arena, scratch;
    struct labels_builder lb;
    struct buf lines;
    struct chunk *chunks;
    size_t chunk_count, chunk_cap;
    struct family *families;
    size_t family_count, family_cap;
    struct hash_set names, series;
    size_t current; /* family of the last chunk, or SIZE_MAX */

    /* Of the text being read. */
    enum expo_format format;
    sonde_str target;
    sonde_str announced; /* by the last TYPE, HELP or UNIT; in the arena    */
    sonde_str help;
    enum metric_type type;
};

/* ---- sets ---------------------------------------------------------------- */

static size_t set_slot(const struct hash_set *s, uint64_t hash)
{
    size_t i = (size_t)hash & (s->cap - 1);

    while (s->keys[i] && s->keys[i] != hash)
        i = (i + 1) & (s->cap - 1);
    return i;
}

static void set_grow(struct hash_set *s)
{
    struct hash_set old = *s;

    s->cap = old.cap ? old.cap * 2 : 256;
    s->keys = mem_zalloc(s->cap * sizeof(*s->keys));
    s->values = mem_zalloc(s->cap * sizeof(*s->values));
    for (size_t i = 0; i < old.cap; i++) {
        if (old.keys[i]) {
            size_t to = set_slot(s, old.keys[i]);

            s->keys[to] = old.keys[i];
            s->values[to] = old.values[i];
        }
    }
    free(old.keys);
    free(old.values);
}

/* Where the value of this hash is; `*fresh` says whether it is new. */
static size_t *set_put(struct hash_set *s, uint64_t hash, bool *fresh)
{
    size_t i;

    if (s->count * 2 >= s->cap)
        set_grow(s);
    hash |= hash == 0;
    i = set_slot(s, hash);
    *fresh = s->keys[i] == 0;
    if (*fresh) {
        s->keys[i] = hash;
        s->count++;
    }
    return &s->values[i];
}

static void set_fini(struct hash_set *s)
{
    free(s->keys);
    free(s->values);
}

/* ---- life ---------------------------------------------------------------- */

struct compose *compose_new(const struct compose_rules *rules)
{
    struct compose *c = mem_new(struct compose);

    c->rules = rules;
    c->current = SIZE_MAX;
    arena_init(&c->arena);
    arena_init(&c->scratch);
    buf_init(&c->lines);
    return c;
}

void compose_free(struct compose *c)
{
    if (!c)
        return;
    arena_fini(&c->arena);
    arena_fini(&c->scratch);
    buf_fini(&c->lines);
    free(c->chunks);
    free(c->families);
    set_fini(&c->names);
    set_fini(&c->series);
    free(c);
}

/* ---- families ------------------------------------------------------------ */

static sonde_str renamed(const struct compose *c, struct arena *a,
                         sonde_str name)
{
    const struct compose_rules *r = c->rules;

    if (r->prefix.len == 0 || !str_starts(name, r->prefix))
        return name;
    return arena_printf(a, "%.*s%.*s", SONDE_ARG(r->prefix_instead),
                        SONDE_ARG(str_sub(name, r->prefix.len, name.len)));
}

static size_t family_of(struct compose *c, sonde_str name)
{
    bool fresh;
    size_t *at = set_put(&c->names, XXH3_64bits(name.ptr, name.len), &fresh);

    if (fresh) {
        c->families = mem_grow(c->families, &c->family_cap, c->family_count + 1,
                               sizeof(*c->families));
        c->families[c->family_count] = (struct family){
            .meta = { .family = arena_str(&c->arena, name) },
        };
        *at = c->family_count++;
    }
    return *at;
}

/* What an announced family is called in text 0.0.4. */
static sonde_str text_name(struct compose *c, sonde_str family,
                           enum metric_type type)
{
    const char *suffix = type == METRIC_COUNTER ? "_total"
                         : type == METRIC_INFO  ? "_info"
                                                : "";

    if (c->format != EXPO_OPENMETRICS || !suffix[0] ||
        str_ends(family, sonde_cstr(suffix)))
        return family;
    return arena_printf(&c->scratch, "%.*s%s", SONDE_ARG(family), suffix);
}

static bool is_part(sonde_str name, sonde_str family, enum metric_type type)
{
    static const char *const histogram[] = { "_bucket", "_sum", "_count",
                                             NULL };
    static const char *const summary[] = { "", "_sum", "_count", NULL };
    static const char *const gauge_histogram[] = { "_bucket", "_gsum",
                                                   "_gcount", NULL };
    static const char *const plain[] = { "", NULL };
    const char *const *suffixes = type == METRIC_HISTOGRAM ? histogram
                                  : type == METRIC_SUMMARY ? summary
                                  : type == METRIC_GAUGE_HISTOGRAM
                                      ? gauge_histogram
                                      : plain;
    sonde_str rest = str_sub(name, family.len, name.len);

    if (!str_starts(name, family))
        return false;
    for (; *suffixes; suffixes++)
        if (str_eq_cstr(rest, *suffixes))
            return true;
    return false;
}

/* The family of a line: the one announced last, if the name is one of its.
 * Only here is what was announced given to it, because HELP may stand before
 * TYPE, when the family's name in text 0.0.4 is not known yet. */
static size_t family_of_sample(struct compose *c, sonde_str name)
{
    sonde_str family = text_name(c, c->announced, c->type);
    struct metadata *meta;
    size_t i;

    if (c->announced.len == 0 || !is_part(name, family, c->type))
        return family_of(c, renamed(c, &c->scratch, name));
    i = family_of(c, renamed(c, &c->scratch, family));
    meta = &c->families[i].meta;
    if (meta->type == METRIC_UNKNOWN)
        meta->type = c->type;
    if (meta->help.len == 0)
        meta->help = c->help;
    return i;
}

static sonde_code on_meta(void *arg, const struct expo_meta *m,
                          struct sonde_err *err)
{
    struct compose *c = arg;

    (void)err;
    if (!sonde_str_eq(c->announced, m->family)) {
        c->announced = arena_str(&c->arena, m->family);
        c->type = METRIC_UNKNOWN;
        c->help = (sonde_str){ 0 };
    }
    if (m->kind == EXPO_META_TYPE)
        c->type = m->type;
    else if (m->kind == EXPO_META_HELP)
        c->help = arena_str(&c->arena, m->text);
    return SONDE_OK;
}

/* ---- series -------------------------------------------------------------- */

static void chunk_begin(struct compose *c, size_t family)
{
    struct family *f = &c->families[family];

    if (c->current == family)
        return;
    c->current = family;
    c->chunks = mem_grow(c->chunks, &c->chunk_cap, c->chunk_count + 1,
                         sizeof(*c->chunks));
    c->chunks[c->chunk_count++] = (struct chunk){ .from = c->lines.len };
    if (f->last)
        c->chunks[f->last - 1].next = c->chunk_count;
    else
        f->first = c->chunk_count;
    f->last = c->chunk_count;
}

static void add_label(struct compose *c, sonde_str name, sonde_str value)
{
    sonde_str old = labels_builder_get(&c->lb, name);

    if (old.len)
        labels_builder_set(
            &c->lb, arena_printf(&c->scratch, "exported_%.*s", SONDE_ARG(name)),
            old);
    labels_builder_set(&c->lb, name, value);
}

static void add_labels(struct compose *c)
{
    const struct config_map *labels = c->rules->labels;

    if (c->target.len)
        add_label(c, c->rules->target_label, c->target);
    for (size_t i = 0; labels && i < labels->count; i++)
        add_label(c, labels->items[i].key, labels->items[i].values.items[0]);
}

/* Whether a series with these labels is not on the page yet. */
static bool is_new(struct compose *c, const struct labels *l)
{
    bool fresh;

    (void)set_put(&c->series, labels_hash(l), &fresh);
    return fresh;
}

static sonde_code on_sample(void *arg, const struct expo_sample *s,
                            struct sonde_err *err)
{
    struct compose *c = arg;
    struct labels labels;
    sonde_str name;
    size_t family;
    sonde_code rc;

    arena_reset(&c->scratch);
    labels_builder_init(&c->lb, &c->scratch);
    rc = expo_series(s->series, c->format, &c->lb, err);
    if (rc != SONDE_OK)
        return rc;
    name = labels_builder_get(&c->lb, SONDE_STR(LABEL_NAME));
    family = family_of_sample(c, name);
    labels_builder_set(&c->lb, SONDE_STR(LABEL_NAME),
                       renamed(c, &c->scratch, name));
    add_labels(c);
    labels = labels_builder_view(&c->lb);
    if (!is_new(c, &labels))
        return SONDE_OK;
    chunk_begin(c, family);
    expo_write_sample(&c->lines, &labels, s->value, s->has_t ? &s->t : NULL);
    c->chunks[c->chunk_count - 1].to = c->lines.len;
    return SONDE_OK;
}

/* ---- texts --------------------------------------------------------------- */

sonde_code compose_text(struct compose *c, sonde_str text,
                        enum expo_format format, sonde_str target,
                        struct sonde_err *err)
{
    const struct expo_handler handler = { .sample = on_sample,
                                          .meta = on_meta,
                                          .arg = c };
    struct expo_scanner scanner;
    sonde_code rc;

    c->format = format;
    c->target = target;
    c->announced = c->help = (sonde_str){ 0 };
    c->type = METRIC_UNKNOWN;
    expo_scanner_init(&scanner, format, &handler);
    rc = expo_scan(&scanner, text, err);
    if (rc == SONDE_OK)
        rc = expo_scan_end(&scanner, err);
    expo_scanner_fini(&scanner);
    return rc;
}

sonde_code compose_page(struct compose *c, const struct scrape_page *page,
                        sonde_str target, struct sonde_err *err)
{
    sonde_str all = buf_str(&page->text);
    size_t from = 0;

    for (size_t i = 0; i < page->part_count; i++) {
        const struct scrape_part *part = &page->parts[i];
        sonde_code rc =
            compose_text(c, str_sub(all, from, part->end),
                         (enum expo_format)part->format, target, err);

        if (rc != SONDE_OK)
            return rc;
        from = part->end;
    }
    return SONDE_OK;
}

void compose_write(const struct compose *c, struct buf *out)
{
    for (size_t i = 0; i < c->family_count; i++) {
        const struct family *f = &c->families[i];

        if (!f->first)
            continue;
        expo_write_family(out, &f->meta);
        for (size_t k = f->first; k; k = c->chunks[k - 1].next)
            buf_bytes(out, c->lines.data + c->chunks[k - 1].from,
                      c->chunks[k - 1].to - c->chunks[k - 1].from);
    }
}

bool compose_is_plain(const struct compose_rules *rules,
                      const struct scrape_page *page)
{
    if (rules->prefix.len || (rules->labels && rules->labels->count) ||
        page->part_count > 1)
        return false;
    return page->part_count == 0 || !page->parts[0].foreign;
}
