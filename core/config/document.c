/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference documentation, Markdown, printed from the tables: a section
 * for each block, a table row for each key, so that what is documented is
 * what is read.
 *
 * Blocks are written in the order in which they are first named, each once,
 * however many blocks use it; the list of those written also ends the
 * recursion should a block ever contain itself.
 */
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "util/mem.h"
#include "util/str.h"

struct shelf {
    const struct config_block_def **defs;
    size_t count, cap;
};

static void put_cell(struct buf *b, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '|')
            buf_char(b, '\\');
        buf_char(b, *p == '\n' ? ' ' : *p);
    }
}

static const char *simple_type(enum config_kind kind)
{
    switch (kind) {
    case CONFIG_STR:
        return "text";
    case CONFIG_SECRET:
        return "secret";
    case CONFIG_PATH:
        return "path";
    case CONFIG_URL:
        return "URL";
    case CONFIG_BOOL:
        return "boolean";
    case CONFIG_INT:
        return "integer";
    case CONFIG_FLOAT:
        return "number";
    case CONFIG_DURATION:
        return "duration";
    case CONFIG_SIZE:
        return "size";
    case CONFIG_STR_LIST:
        return "list of texts";
    case CONFIG_PATH_LIST:
        return "list of path globs";
    case CONFIG_STR_MAP:
        return "texts by name";
    case CONFIG_LIST_MAP:
        return "lists of texts by name";
    default:
        return "nested keys";
    }
}

static void put_type(struct buf *b, const struct config_key *key)
{
    if (key->kind == CONFIG_ENUM) {
        for (size_t i = 0; key->choices[i]; i++)
            buf_printf(b, "%s`%s`", i ? ", " : "",
                       *key->choices[i] ? key->choices[i] : "\"\"");
        return;
    }
    if (!key->block) {
        buf_cstr(b, simple_type(key->kind));
        return;
    }
    buf_printf(b, "%s[%s](#%s)",
               key->kind == CONFIG_BLOCK_LIST ? "list of " : "",
               key->block->name, key->block->name);
}

static void put_default(struct buf *b, const struct config_key *key)
{
    if (key->flags & CONFIG_REQUIRED)
        buf_cstr(b, "required");
    else if (key->fallback && *key->fallback)
        buf_printf(b, "`%s`", key->fallback);
}

static void put_row(struct buf *b, const struct config_key *key)
{
    buf_printf(b, "| `%s` | ", key->name);
    put_type(b, key);
    buf_cstr(b, " | ");
    put_default(b, key);
    buf_cstr(b, " | ");
    if (key->help)
        put_cell(b, key->help);
    if (key->flags & CONFIG_UNUSED)
        buf_cstr(b, key->help ? ". **No effect yet.**" : "**No effect yet.**");
    buf_cstr(b, " |\n");
}

static bool shelve(struct shelf *s, const struct config_block_def *def)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->defs[i] == def)
            return false;
    s->defs = mem_grow(s->defs, &s->cap, s->count + 1, sizeof(s->defs[0]));
    s->defs[s->count++] = def;
    return true;
}

static void put_block(struct buf *b, const struct config_block_def *def)
{
    buf_printf(b, "\n### %s\n\n", def->name);
    if (def->help)
        buf_printf(b, "%s.\n\n", def->help);
    buf_cstr(b, "| Key | Type | Default | |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < def->count; i++)
        if (!(def->keys[i].flags & CONFIG_HIDDEN))
            put_row(b, &def->keys[i]);
}

void config_document(struct buf *b, const struct config_block_def *def)
{
    struct shelf shelf = { 0 };

    (void)shelve(&shelf, def);
    for (size_t i = 0; i < shelf.count; i++) {
        const struct config_block_def *d = shelf.defs[i];

        put_block(b, d);
        for (size_t k = 0; k < d->count; k++)
            if (d->keys[k].block && !(d->keys[k].flags & CONFIG_HIDDEN))
                (void)shelve(&shelf, d->keys[k].block);
    }
    free(shelf.defs);
}

/* ---- options of plugins ------------------------------------------------ */

static const char *option_type(enum sonde_option_kind kind)
{
    switch (kind) {
    case SONDE_OPT_KIND_STR:
        return "text";
    case SONDE_OPT_KIND_SECRET:
        return "secret";
    case SONDE_OPT_KIND_FILE:
        return "path";
    case SONDE_OPT_KIND_BOOL:
        return "boolean";
    case SONDE_OPT_KIND_INT:
        return "integer";
    case SONDE_OPT_KIND_FLOAT:
        return "number";
    case SONDE_OPT_KIND_DURATION:
        return "duration";
    case SONDE_OPT_KIND_SIZE:
        return "size";
    case SONDE_OPT_KIND_LIST:
        return "list of texts";
    }
    return "unknown";
}

static void put_option(struct buf *b, const struct sonde_option *row)
{
    buf_printf(b, "| `%s` | ", row->name);
    if (row->choices)
        for (size_t i = 0; row->choices[i]; i++)
            buf_printf(b, "%s`%s`", i ? ", " : "", row->choices[i]);
    else
        buf_cstr(b, option_type(row->kind));
    buf_cstr(b, " | ");
    if (row->flags & SONDE_OPT_REQUIRED)
        buf_cstr(b, "required");
    else if (row->fallback && *row->fallback)
        buf_printf(b, "`%s`", row->fallback);
    if (row->env)
        buf_printf(b, "%s`$%s`", row->fallback && *row->fallback ? " or " : "",
                   row->env);
    buf_cstr(b, " | ");
    if (row->help)
        put_cell(b, row->help);
    buf_cstr(b, " |\n");
}

void options_document(struct buf *b, const struct sonde_option *rows,
                      size_t count, size_t stride)
{
    buf_cstr(b, "| Option | Type | Default | |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++) {
        struct sonde_option row = { 0 };

        memcpy(&row, (const char *)rows + i * stride,
               stride < sizeof(row) ? stride : sizeof(row));
        put_option(b, &row);
    }
}
