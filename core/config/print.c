/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block as normalised YAML, for status/config: in the order of the table,
 * defaults filled in, secrets masked.
 *
 * What is printed: values that are there, and values of rows that have a
 * default even when they are false or 0. Empty texts, empty lists and zeros
 * of rows without a default are left out, as Prometheus leaves them out; so
 * is an inline block in which nothing would be printed.
 *
 * Blocks without a struct (CONFIG_UNUSED) are printed from the tree as they
 * were written; their table still says what is secret. What no table
 * describes (a plugin's options) is masked where it is marked or where the
 * key's name gives it away, and URLs lose their passwords everywhere.
 */
#include <string.h>

#include "config/schema.h"
#include "config/value.h"
#include "model/number.h"
#include "util/arena.h"
#include "util/str.h"

static void print_indent(struct buf *b, size_t indent)
{
    buf_printf(b, "%*s", (int)indent, "");
}

/* YAML takes "key: value" on a line only up to 1024 characters of key. */
#define SIMPLE_KEY_MAX 128

static void print_key(struct buf *b, sonde_str name, size_t indent)
{
    print_indent(b, indent);
    if (name.len > SIMPLE_KEY_MAX)
        buf_cstr(b, "? ");
    value_print(b, name, false, true);
    if (name.len > SIMPLE_KEY_MAX) {
        buf_char(b, '\n');
        print_indent(b, indent);
    }
    buf_char(b, ':');
}

static void print_url(struct buf *b, sonde_str s, bool typed, bool flow)
{
    struct arena a;

    arena_init(&a);
    value_print(b, value_mask_url(&a, s), typed, flow);
    arena_fini(&a);
}

/* What was printed from `start` on, lines indented by `indent` + 2, becomes
 * an item of a list. */
static void make_item(struct buf *b, size_t start, size_t indent)
{
    if (b->len == start) {
        print_indent(b, indent);
        buf_cstr(b, "- {}\n");
    } else if (start + indent < b->len) {
        b->data[start + indent] = '-';
    }
}

/* ---- what has no struct: the tree -------------------------------------- */

static void print_node(struct buf *b, const struct yaml_node *n,
                       const struct config_block_def *def, size_t indent,
                       bool secret);

static const struct config_key *row_of(const struct config_block_def *def,
                                       sonde_str name)
{
    for (size_t i = 0; def && i < def->count; i++)
        if (str_eq_cstr(name, def->keys[i].name))
            return &def->keys[i];
    return NULL;
}

static void print_node_scalar(struct buf *b, const struct yaml_node *n,
                              bool secret)
{
    buf_char(b, ' ');
    if (secret && n->scalar.len)
        buf_cstr(b, "<secret>");
    else if (n->kind == YAML_NULL)
        buf_cstr(b, "null");
    else
        print_url(b, n->scalar, !n->quoted, false);
    buf_char(b, '\n');
}

static void print_node_items(struct buf *b, const struct yaml_node *n,
                             const struct config_block_def *def, size_t indent,
                             bool secret)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct yaml_node *item = n->items[i];
        size_t start = b->len;

        if (item->kind == YAML_MAPPING && item->count) {
            print_node(b, item, def, indent + 2, secret);
            make_item(b, start, indent);
            continue;
        }
        print_indent(b, indent);
        buf_cstr(b, item->count ? "-\n" : "-");
        print_node(b, item, def, indent + 2, secret);
    }
}

static void print_node_pairs(struct buf *b, const struct yaml_node *n,
                             const struct config_block_def *def, size_t indent,
                             bool secret)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct yaml_node *v = n->items[i];
        const struct config_key *row = row_of(def, n->keys[i]->scalar);
        bool hide = secret || (row ? row->kind == CONFIG_SECRET
                                   : value_name_is_secret(n->keys[i]->scalar));
        size_t inner = indent + (v->kind == YAML_MAPPING ? 2 : 0);

        print_key(b, n->keys[i]->scalar, indent);
        if (v->count)
            buf_char(b, '\n');
        print_node(b, v, row ? row->block : NULL, inner, hide);
    }
}

/* The value after "key:" or "-"; a list or mapping that is not empty begins
 * on a line of its own, which the caller has begun. */
static void print_node(struct buf *b, const struct yaml_node *n,
                       const struct config_block_def *def, size_t indent,
                       bool secret)
{
    secret = secret || n->secret;
    if (n->kind == YAML_NULL || n->kind == YAML_SCALAR)
        print_node_scalar(b, n, secret);
    else if (n->count == 0)
        buf_cstr(b, n->kind == YAML_SEQUENCE ? " []\n" : " {}\n");
    else if (n->kind == YAML_SEQUENCE)
        print_node_items(b, n, def, indent, secret);
    else
        print_node_pairs(b, n, def, indent, secret);
}

static void print_row_node(struct buf *b, const struct config_key *key,
                           const struct yaml_node *n, size_t indent)
{
    if (!n || n->kind == YAML_NULL)
        return;
    print_key(b, sonde_cstr(key->name), indent);
    if (n->count)
        buf_char(b, '\n');
    print_node(b, n, key->block, indent + (n->kind == YAML_MAPPING ? 2 : 0),
               key->kind == CONFIG_SECRET);
}

/* ---- rows with a field ------------------------------------------------- */

static void print_text(struct buf *b, const struct config_key *key, sonde_str s,
                       size_t indent)
{
    if (s.len == 0 && !key->fallback)
        return;
    print_key(b, sonde_cstr(key->name), indent);
    buf_char(b, ' ');
    if (key->kind == CONFIG_SECRET && s.len)
        buf_cstr(b, "<secret>");
    else if (key->kind == CONFIG_URL)
        print_url(b, s, false, false);
    else
        value_print(b, s, false, false);
    buf_char(b, '\n');
}

static void print_flow(struct buf *b, const struct sonde_list *l)
{
    buf_cstr(b, " [");
    for (size_t i = 0; i < l->count; i++) {
        buf_cstr(b, i ? ", " : "");
        value_print(b, l->items[i], false, true);
    }
    buf_cstr(b, "]\n");
}

static void print_items(struct buf *b, const struct sonde_list *l,
                        size_t indent)
{
    buf_char(b, '\n');
    for (size_t i = 0; i < l->count; i++) {
        print_indent(b, indent);
        buf_cstr(b, "- ");
        value_print(b, l->items[i], false, false);
        buf_char(b, '\n');
    }
}

static void print_list(struct buf *b, const struct config_key *key,
                       const struct sonde_list *l, size_t indent)
{
    if (l->count == 0)
        return;
    print_key(b, sonde_cstr(key->name), indent);
    if (key->flags & CONFIG_FLOW)
        print_flow(b, l);
    else
        print_items(b, l, indent);
}

static void print_map(struct buf *b, const struct config_key *key,
                      const struct config_map *m, size_t indent)
{
    if (m->count == 0)
        return;
    print_key(b, sonde_cstr(key->name), indent);
    buf_char(b, '\n');
    for (size_t i = 0; i < m->count; i++) {
        print_key(b, m->items[i].key, indent + 2);
        if (key->kind == CONFIG_STR_MAP) {
            buf_char(b, ' ');
            value_print(b, m->items[i].values.items[0], false, false);
            buf_char(b, '\n');
        } else if (m->items[i].values.count == 0) {
            buf_cstr(b, " []\n");
        } else {
            print_items(b, &m->items[i].values, indent + 2);
        }
    }
}

static void print_number(struct buf *b, const struct config_key *key, int64_t v,
                         size_t indent)
{
    if (v == 0 && !key->fallback)
        return;
    print_key(b, sonde_cstr(key->name), indent);
    buf_char(b, ' ');
    if (key->kind == CONFIG_DURATION)
        buf_duration(b, v);
    else if (key->kind == CONFIG_SIZE)
        buf_size(b, v);
    else
        buf_int(b, v);
    buf_char(b, '\n');
}

static void print_float(struct buf *b, const struct config_key *key, double v,
                        size_t indent)
{
    if (v == 0 && !key->fallback)
        return;
    print_key(b, sonde_cstr(key->name), indent);
    buf_char(b, ' ');
    if (v != v || v - v != 0)
        buf_cstr(b, v != v ? ".nan" : v > 0 ? ".inf" : "-.inf");
    else
        buf_number(b, v, NUMBER_TEXT);
    buf_char(b, '\n');
}

static void print_word(struct buf *b, const struct config_key *key,
                       const char *word, size_t indent)
{
    print_key(b, sonde_cstr(key->name), indent);
    buf_char(b, ' ');
    value_print(b, sonde_cstr(word), true, false);
    buf_char(b, '\n');
}

static void print_block(struct buf *b, const struct config_key *key,
                        const void *block, size_t indent)
{
    size_t start = b->len, content;

    print_key(b, sonde_cstr(key->name), indent);
    buf_char(b, '\n');
    content = b->len;
    config_print(b, key->block, block, indent + 2);
    if (b->len != content)
        return;
    b->len = start;
    if (key->kind == CONFIG_INLINE)
        return;
    print_key(b, sonde_cstr(key->name), indent);
    buf_cstr(b, " {}\n");
}

static void print_blocks(struct buf *b, const struct config_key *key,
                         const struct config_blocks *blocks, size_t indent)
{
    if (blocks->count == 0)
        return;
    print_key(b, sonde_cstr(key->name), indent);
    buf_char(b, '\n');
    for (size_t i = 0; i < blocks->count; i++) {
        size_t start = b->len;

        config_print(b, key->block,
                     (const char *)blocks->items + i * key->block->size,
                     indent + 2);
        make_item(b, start, indent);
    }
}

static void print_row(struct buf *b, const struct config_key *key,
                      const void *field, size_t indent)
{
    switch (key->kind) {
    case CONFIG_STR:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_URL:
        print_text(b, key, *(const sonde_str *)field, indent);
        break;
    case CONFIG_BOOL:
        if (*(const bool *)field || key->fallback)
            print_word(b, key, *(const bool *)field ? "true" : "false", indent);
        break;
    case CONFIG_INT:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        print_number(b, key, *(const int64_t *)field, indent);
        break;
    case CONFIG_FLOAT:
        print_float(b, key, *(const double *)field, indent);
        break;
    case CONFIG_ENUM:
        if (*(const int *)field || key->fallback)
            print_word(b, key, key->choices[*(const int *)field], indent);
        break;
    case CONFIG_STR_LIST:
    case CONFIG_PATH_LIST:
        print_list(b, key, field, indent);
        break;
    case CONFIG_STR_MAP:
    case CONFIG_LIST_MAP:
        print_map(b, key, field, indent);
        break;
    case CONFIG_BLOCK:
        if (*(void *const *)field)
            print_block(b, key, *(void *const *)field, indent);
        break;
    case CONFIG_INLINE:
        print_block(b, key, field, indent);
        break;
    case CONFIG_BLOCK_LIST:
        print_blocks(b, key, field, indent);
        break;
    case CONFIG_NODE:
        print_row_node(b, key, *(const struct yaml_node *const *)field, indent);
        break;
    }
}

/* Whether what was printed from `start` on is the row's default. */
static bool is_default(const struct buf *b, size_t start,
                       const struct config_key *key)
{
    sonde_str line = { b->data + start, b->len - start };
    sonde_str value = str_sub(line, str_index(line, ':') + 1, line.len);

    return str_eq_cstr(str_trim(value), key->fallback);
}

void config_print(struct buf *b, const struct config_block_def *def,
                  const void *block, size_t indent)
{
    const struct yaml_node *node = ((const struct config_head *)block)->node;

    for (size_t i = 0; i < def->count; i++) {
        const struct config_key *key = &def->keys[i];
        size_t start = b->len;

        if (key->offset == SIZE_MAX)
            print_row_node(b, key, yaml_get(node, key->name), indent);
        else
            print_row(b, key, (const char *)block + key->offset, indent);
        if ((key->flags & CONFIG_QUIET) && is_default(b, start, key))
            b->len = start;
    }
}
