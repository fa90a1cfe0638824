/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML text to a tree of nodes that know where they stood.
 *
 * libyaml gives events; its own document API would give a tree too, but
 * without merge keys, without a bound on what aliases expand to, and with
 * duplicate keys let through. So the tree is built here, by recursion over
 * the events, which is bounded by YAML_DEPTH_MAX.
 *
 * An alias shares the anchor's node: the "tree" is a graph without cycles (an
 * anchor can not be used inside itself). Whoever walks it sees every alias
 * expanded, so the expanded size is what is bounded: each anchor remembers
 * how many nodes it stands for (`weight`) and how deep it is (`height`), and
 * an alias pays for both. A document of a few hundred bytes that would expand
 * to gigabytes ends with an error after the millionth node.
 *
 * A mapping is settled when its end is reached: own keys first, then those
 * that merge keys (<<) bring, sorted by text to find duplicates in
 * n log n; own duplicates are errors, merged ones lose to what came before.
 *
 * Children are collected on one stack for the whole document and copied to
 * the arena when their parent ends, so an error needs no cleaning up.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/schema.h"
#include "config/value.h"
#include "util/mem.h"
#include "util/str.h"

#define YAML_NODES_MAX   1000000u
#define YAML_DEPTH_MAX   64u
#define YAML_ANCHORS_MAX 1000u

struct anchor {
    sonde_str name;
    struct yaml_node *node; /* NULL: still being read */
    size_t weight, height;
};

struct loader {
    struct arena *arena;
    const char *file;
    struct sonde_err *err;
    yaml_parser_t parser;
    yaml_event_t event;
    size_t nodes; /* expanded */
    struct yaml_node **stack;
    size_t top, stack_cap;
    struct anchor *anchors;
    size_t anchor_count, anchor_cap;
};

struct entry {
    struct yaml_node *key, *value;
    size_t order; /* own keys before merged ones */
    bool merged;
};

sonde_code yaml_error(const struct yaml_node *at, struct sonde_err *err,
                      const char *fmt, ...)
{
    char text[sizeof(err->text)];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!at || !at->file)
        return sonde_err_set(err, SONDE_EPARSE, "%s", text);
    return sonde_err_set(err, SONDE_EPARSE, "%s:%zu:%zu: %s", at->file,
                         at->line, at->column, text);
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (str_eq_cstr(map->keys[i]->scalar, key))
            return map->items[i];
    return NULL;
}

/* ---- events ------------------------------------------------------------ */

/* Line and column of a byte, for errors that come before there are marks. */
static struct yaml_node place_of_byte(const struct loader *l, sonde_str text,
                                      size_t offset)
{
    struct yaml_node at = { .file = l->file, .line = 1, .column = 1 };

    for (size_t i = 0; i < offset && i < text.len; i++) {
        at.column++;
        if (text.ptr[i] == '\n') {
            at.line++;
            at.column = 1;
        }
    }
    return at;
}

static sonde_str parser_text(const struct loader *l)
{
    const unsigned char *start = l->parser.input.string.start;

    return (sonde_str){ (const char *)start,
                        (size_t)(l->parser.input.string.end - start) };
}

static sonde_code scanner_error(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    const char *problem = p->problem ? p->problem : "not valid YAML";
    struct yaml_node at = { .file = l->file,
                            .line = p->problem_mark.line + 1,
                            .column = p->problem_mark.column + 1 };

    if (p->error == YAML_MEMORY_ERROR)
        mem_abort("a YAML document", 0);
    if (p->error == YAML_READER_ERROR) {
        at = place_of_byte(l, parser_text(l), p->problem_offset);
        return yaml_error(&at, l->err, "%s", problem);
    }
    if (p->context)
        return yaml_error(&at, l->err, "%s (%s that begins in line %zu)",
                          problem, p->context, p->context_mark.line + 1);
    return yaml_error(&at, l->err, "%s", problem);
}

/* Steps to the next event; the one before is gone. */
static sonde_code next_event(struct loader *l)
{
    yaml_event_delete(&l->event);
    memset(&l->event, 0, sizeof(l->event));
    return yaml_parser_parse(&l->parser, &l->event) ? SONDE_OK
                                                    : scanner_error(l);
}

/* ---- nodes ------------------------------------------------------------- */

static struct yaml_node *new_node(struct loader *l, enum yaml_kind kind)
{
    struct yaml_node *n = arena_new(l->arena, struct yaml_node);

    n->kind = kind;
    n->file = l->file;
    n->line = l->event.start_mark.line + 1;
    n->column = l->event.start_mark.column + 1;
    return n;
}

static void push(struct loader *l, struct yaml_node *n)
{
    l->stack =
        mem_grow(l->stack, &l->stack_cap, l->top + 1, sizeof(l->stack[0]));
    l->stack[l->top++] = n;
}

static sonde_code count_nodes(struct loader *l, const struct yaml_node *at,
                              size_t n)
{
    l->nodes += n;
    if (l->nodes > YAML_NODES_MAX)
        return yaml_error(at, l->err,
                          "the document has more than %u values, aliases "
                          "counted each time",
                          YAML_NODES_MAX);
    return SONDE_OK;
}

static struct anchor *anchor_find(struct loader *l, const char *name)
{
    for (size_t i = 0; i < l->anchor_count; i++)
        if (str_eq_cstr(l->anchors[i].name, name))
            return &l->anchors[i];
    return NULL;
}

/* Opens an anchor of this name (a second one of the same name replaces the
 * first) and says where it is in the table; 0: no anchor, else 1 + index. */
static sonde_code anchor_open(struct loader *l, const char *name,
                              const struct yaml_node *at, size_t *slot)
{
    struct anchor *a;

    *slot = 0;
    if (!name)
        return SONDE_OK;
    a = anchor_find(l, name);
    if (!a) {
        if (l->anchor_count == YAML_ANCHORS_MAX)
            return yaml_error(at, l->err,
                              "the document has more than %u anchors",
                              YAML_ANCHORS_MAX);
        l->anchors = mem_grow(l->anchors, &l->anchor_cap, l->anchor_count + 1,
                              sizeof(l->anchors[0]));
        a = &l->anchors[l->anchor_count++];
        a->name = arena_str(l->arena, sonde_cstr(name));
    }
    a->node = NULL;
    *slot = 1 + (size_t)(a - l->anchors);
    return SONDE_OK;
}

static sonde_code load_alias(struct loader *l, size_t depth,
                             struct yaml_node **out, size_t *height)
{
    const char *name = (const char *)l->event.data.alias.anchor;
    struct yaml_node *at = new_node(l, YAML_NULL);
    const struct anchor *a = anchor_find(l, name);

    if (!a)
        return yaml_error(at, l->err, "there is no anchor \"%.64s\"", name);
    if (!a->node)
        return yaml_error(at, l->err, "anchor \"%.64s\" is used inside itself",
                          name);
    if (depth + a->height > YAML_DEPTH_MAX)
        return yaml_error(at, l->err, "nested deeper than %u", YAML_DEPTH_MAX);
    *out = a->node;
    *height = a->height;
    return count_nodes(l, at, a->weight);
}

/* Tags of the core schema are taken, !!str also as what it says; others
 * would be ignored in silence and are not. */
static sonde_code check_tag(struct loader *l, const struct yaml_node *at,
                            const unsigned char *tag, bool *is_str)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    static const char *const known[] = { "str",  "int", "float", "bool",
                                         "null", "map", "seq" };
    const char *z = (const char *)tag;

    *is_str = z && strcmp(z, "!") == 0;
    if (!z || *is_str)
        return SONDE_OK;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strncmp(z, prefix, sizeof(prefix) - 1) != 0 ||
            strcmp(z + sizeof(prefix) - 1, known[i]) != 0)
            continue;
        *is_str = i == 0;
        return SONDE_OK;
    }
    return yaml_error(at, l->err, "tag \"%.64s\" is not supported", z);
}

static sonde_code load_scalar(struct loader *l, struct yaml_node *n)
{
    const char *value = (const char *)l->event.data.scalar.value;
    size_t len = l->event.data.scalar.length;
    bool is_str;

    if (check_tag(l, n, l->event.data.scalar.tag, &is_str) != SONDE_OK)
        return SONDE_EPARSE;
    if (memchr(value, 0, len))
        return yaml_error(n, l->err, "a NUL character in a text");
    n->scalar = arena_str(l->arena, (sonde_str){ value, len });
    n->quoted = is_str || l->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!n->quoted && value_is_null(n->scalar))
        n->kind = YAML_NULL;
    return SONDE_OK;
}

static sonde_code load_node(struct loader *l, size_t depth,
                            struct yaml_node **out, size_t *height);

/* The nodes up to the event `end` go on the stack, from `base` on. */
static sonde_code load_children(struct loader *l, size_t depth,
                                yaml_event_type_t end, size_t *height)
{
    sonde_code rc;

    for (;;) {
        struct yaml_node *child;
        size_t h;

        rc = next_event(l);
        if (rc != SONDE_OK || l->event.type == end)
            return rc;
        rc = load_node(l, depth + 1, &child, &h);
        if (rc != SONDE_OK)
            return rc;
        push(l, child);
        if (h + 1 > *height)
            *height = h + 1;
    }
}

static sonde_code load_sequence(struct loader *l, size_t depth,
                                struct yaml_node *n, size_t *height)
{
    size_t base = l->top;
    bool is_str;
    sonde_code rc = check_tag(l, n, l->event.data.sequence_start.tag, &is_str);

    if (rc == SONDE_OK)
        rc = load_children(l, depth, YAML_SEQUENCE_END_EVENT, height);
    if (rc != SONDE_OK)
        return rc;
    n->count = l->top - base;
    n->items = arena_array(l->arena, struct yaml_node *, n->count + 1);
    if (n->count)
        memcpy(n->items, l->stack + base, n->count * sizeof(n->items[0]));
    l->top = base;
    return SONDE_OK;
}

/* ---- mappings ---------------------------------------------------------- */

static int by_key(const void *va, const void *vb)
{
    const struct entry *a = va, *b = vb;
    int c = str_cmp(a->key->scalar, b->key->scalar);

    if (c != 0)
        return c;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int by_order(const void *va, const void *vb)
{
    const struct entry *a = va, *b = vb;

    return a->order < b->order ? -1 : a->order > b->order;
}

struct entries {
    struct entry *items;
    size_t count, cap;
};

static void entry_add(struct entries *es, struct yaml_node *key,
                      struct yaml_node *value, bool merged)
{
    es->items =
        mem_grow(es->items, &es->cap, es->count + 1, sizeof(es->items[0]));
    es->items[es->count] = (struct entry){ key, value, es->count, merged };
    es->count++;
}

static sonde_code merge_one(struct loader *l, struct entries *es,
                            const struct yaml_node *from)
{
    if (from->kind != YAML_MAPPING)
        return yaml_error(from, l->err,
                          "a merge key (<<) takes a mapping or a list of "
                          "mappings");
    for (size_t i = 0; i < from->count; i++)
        entry_add(es, from->keys[i], from->items[i], true);
    return SONDE_OK;
}

static sonde_code merge(struct loader *l, struct entries *es,
                        const struct yaml_node *value)
{
    if (value->kind != YAML_SEQUENCE)
        return merge_one(l, es, value);
    for (size_t i = 0; i < value->count; i++) {
        sonde_code rc = merge_one(l, es, value->items[i]);

        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

static bool is_merge_key(const struct yaml_node *key)
{
    return !key->quoted && str_eq_cstr(key->scalar, "<<");
}

/* Own entries, then merged ones. `pairs` are keys and values in turn. */
static sonde_code collect_entries(struct loader *l, struct entries *es,
                                  struct yaml_node **pairs, size_t n)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < n; i += 2) {
        if (pairs[i]->kind != YAML_SCALAR)
            return yaml_error(pairs[i], l->err,
                              "a key must be a text, and not null");
        if (!is_merge_key(pairs[i]))
            entry_add(es, pairs[i], pairs[i + 1], false);
    }
    for (size_t i = 0; i < n && rc == SONDE_OK; i += 2)
        if (is_merge_key(pairs[i]))
            rc = merge(l, es, pairs[i + 1]);
    return rc;
}

static sonde_code drop_duplicates(struct loader *l, struct entries *es)
{
    size_t kept = 0;

    if (es->count == 0)
        return SONDE_OK;
    qsort(es->items, es->count, sizeof(es->items[0]), by_key);
    for (size_t i = 0; i < es->count; i++) {
        const struct entry *e = &es->items[i];
        const struct entry *last = kept ? &es->items[kept - 1] : NULL;

        if (!last || !sonde_str_eq(last->key->scalar, e->key->scalar))
            es->items[kept++] = *e;
        else if (!e->merged)
            return yaml_error(e->key, l->err,
                              "key \"%.*s\" is given twice, first in line %zu",
                              SONDE_ARG(str_sub(e->key->scalar, 0, 64)),
                              last->key->line);
    }
    es->count = kept;
    qsort(es->items, es->count, sizeof(es->items[0]), by_order);
    return SONDE_OK;
}

static sonde_code settle_mapping(struct loader *l, struct yaml_node *n,
                                 struct yaml_node **pairs, size_t pair_nodes)
{
    struct entries es = { 0 };
    sonde_code rc = collect_entries(l, &es, pairs, pair_nodes);

    if (rc == SONDE_OK)
        rc = drop_duplicates(l, &es);
    if (rc == SONDE_OK) {
        n->count = es.count;
        n->keys = arena_array(l->arena, struct yaml_node *, es.count + 1);
        n->items = arena_array(l->arena, struct yaml_node *, es.count + 1);
    }
    for (size_t i = 0; rc == SONDE_OK && i < es.count; i++) {
        n->keys[i] = es.items[i].key;
        n->items[i] = es.items[i].value;
    }
    free(es.items);
    return rc;
}

static sonde_code load_mapping(struct loader *l, size_t depth,
                               struct yaml_node *n, size_t *height)
{
    size_t base = l->top;
    bool is_str;
    sonde_code rc = check_tag(l, n, l->event.data.mapping_start.tag, &is_str);

    if (rc == SONDE_OK)
        rc = load_children(l, depth, YAML_MAPPING_END_EVENT, height);
    if (rc == SONDE_OK && l->top > base)
        rc = settle_mapping(l, n, l->stack + base, l->top - base);
    l->top = base;
    return rc;
}

/* ---- any node ---------------------------------------------------------- */

static const char *event_anchor(const yaml_event_t *e)
{
    const unsigned char *name = NULL;

    if (e->type == YAML_SCALAR_EVENT)
        name = e->data.scalar.anchor;
    else if (e->type == YAML_SEQUENCE_START_EVENT)
        name = e->data.sequence_start.anchor;
    else if (e->type == YAML_MAPPING_START_EVENT)
        name = e->data.mapping_start.anchor;
    return (const char *)name;
}

static sonde_code load_body(struct loader *l, size_t depth, struct yaml_node *n,
                            size_t *height)
{
    switch (l->event.type) {
    case YAML_SCALAR_EVENT:
        n->kind = YAML_SCALAR;
        return load_scalar(l, n);
    case YAML_SEQUENCE_START_EVENT:
        n->kind = YAML_SEQUENCE;
        return load_sequence(l, depth, n, height);
    case YAML_MAPPING_START_EVENT:
        n->kind = YAML_MAPPING;
        return load_mapping(l, depth, n, height);
    default:
        return yaml_error(n, l->err, "expected a value");
    }
}

/* The node whose first event is at hand; its last one is when it returns. */
static sonde_code load_node(struct loader *l, size_t depth,
                            struct yaml_node **out, size_t *height)
{
    size_t before = l->nodes, slot;
    struct yaml_node *n;
    sonde_code rc;

    *height = 0;
    if (l->event.type == YAML_ALIAS_EVENT)
        return load_alias(l, depth, out, height);
    n = new_node(l, YAML_NULL);
    if (depth > YAML_DEPTH_MAX)
        return yaml_error(n, l->err, "nested deeper than %u", YAML_DEPTH_MAX);
    rc = count_nodes(l, n, 1);
    if (rc == SONDE_OK)
        rc = anchor_open(l, event_anchor(&l->event), n, &slot);
    if (rc == SONDE_OK)
        rc = load_body(l, depth, n, height);
    if (rc != SONDE_OK)
        return rc;
    if (slot) {
        struct anchor *a = &l->anchors[slot - 1];

        a->node = n;
        a->weight = l->nodes - before;
        a->height = *height;
    }
    *out = n;
    return SONDE_OK;
}

static sonde_code load_document(struct loader *l, struct yaml_node **out)
{
    size_t height;
    sonde_code rc = next_event(l); /* the stream's start */

    if (rc == SONDE_OK)
        rc = next_event(l);
    if (rc != SONDE_OK)
        return rc;
    if (l->event.type == YAML_STREAM_END_EVENT) {
        *out = new_node(l, YAML_NULL);
        return SONDE_OK;
    }
    rc = next_event(l);
    if (rc == SONDE_OK)
        rc = load_node(l, 0, out, &height);
    if (rc == SONDE_OK)
        rc = next_event(l); /* the document's end */
    if (rc == SONDE_OK)
        rc = next_event(l);
    if (rc == SONDE_OK && l->event.type != YAML_STREAM_END_EVENT)
        return yaml_error(new_node(l, YAML_NULL), l->err,
                          "a second document in the same file");
    return rc;
}

sonde_code yaml_parse(struct arena *a, const char *file, sonde_str text,
                      struct yaml_node **out, struct sonde_err *err)
{
    struct loader l = { .arena = a, .err = err };
    sonde_code rc;

    *out = NULL;
    l.file = arena_cstr(a, sonde_cstr(file));
    if (text.len > YAML_TEXT_MAX_BYTES)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "%s: longer than %u bytes, too long for a "
                             "configuration",
                             file, YAML_TEXT_MAX_BYTES);
    if (!yaml_parser_initialize(&l.parser))
        mem_abort("a YAML parser", sizeof(l.parser));
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &l.parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    rc = load_document(&l, out);
    if (rc != SONDE_OK)
        *out = NULL;
    yaml_event_delete(&l.event);
    yaml_parser_delete(&l.parser);
    free(l.stack);
    free(l.anchors);
    return rc;
}
