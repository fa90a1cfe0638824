/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin's options by its own table.
 *
 * The rows come from a shared object that may have been compiled against an
 * older or newer <sonde/option.h>: they are as long as the plugin says
 * (`stride`), and each is copied into a row of our length before it is
 * looked at, fields that it lacks being zero.
 *
 * A value comes from the first of: the target's labels (`overrides`), the
 * job's options, the environment variable that the row names, the row's
 * fallback. All but the second are bare texts without a place in a file; a
 * list in them is separated by commas. Secrets are never part of a message.
 */
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "config/value.h"
#include "model/number.h"
#include "util/fs.h"
#include "util/str.h"

struct optread {
    struct config_ctx *ctx;
    const struct yaml_node *node; /* where the value stands; NULL: nowhere */
    const char *source;           /* for messages: "in $REDIS_ADDR"        */
    struct sonde_err *err;
};

static void row_at(const struct sonde_option *rows, size_t stride, size_t i,
                   struct sonde_option *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out, (const char *)rows + i * stride,
           stride < sizeof(*out) ? stride : sizeof(*out));
}

/* ---- messages ---------------------------------------------------------- */

static const char *kind_text(enum sonde_option_kind kind)
{
    switch (kind) {
    case SONDE_OPT_KIND_STR:
    case SONDE_OPT_KIND_SECRET:
        return "a text";
    case SONDE_OPT_KIND_FILE:
        return value_kind_text(CONFIG_PATH);
    case SONDE_OPT_KIND_BOOL:
        return value_kind_text(CONFIG_BOOL);
    case SONDE_OPT_KIND_INT:
        return value_kind_text(CONFIG_INT);
    case SONDE_OPT_KIND_FLOAT:
        return value_kind_text(CONFIG_FLOAT);
    case SONDE_OPT_KIND_DURATION:
        return value_kind_text(CONFIG_DURATION);
    case SONDE_OPT_KIND_SIZE:
        return value_kind_text(CONFIG_SIZE);
    case SONDE_OPT_KIND_LIST:
        return "a list of texts";
    }
    return "a value";
}

static sonde_code wrong(const struct optread *r, const struct sonde_option *row,
                        const char *expected, sonde_str got)
{
    sonde_str shown = row->kind == SONDE_OPT_KIND_SECRET
                          ? SONDE_STR("something else")
                          : arena_printf(r->ctx->arena, "\"%.*s\"",
                                         SONDE_ARG(str_sub(got, 0, 64)));

    return yaml_error(r->node, r->err, "option \"%s\"%s: expected %s, got %.*s",
                      row->name, r->source, expected, SONDE_ARG(shown));
}

static void print_value(struct buf *b, enum sonde_option_kind kind, int64_t v)
{
    if (kind == SONDE_OPT_KIND_DURATION)
        buf_duration(b, v);
    else if (kind == SONDE_OPT_KIND_SIZE)
        buf_size(b, v);
    else
        buf_int(b, v);
}

static sonde_code out_of_bounds(const struct optread *r,
                                const struct sonde_option *row, sonde_str got)
{
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    buf_cstr(&b, "at least ");
    print_value(&b, row->kind, row->min);
    if (row->max != INT64_MAX) {
        buf_cstr(&b, " and at most ");
        print_value(&b, row->kind, row->max);
    }
    buf_char(&b, 0);
    rc = wrong(r, row, b.data, got);
    buf_fini(&b);
    return rc;
}

/* ---- values ------------------------------------------------------------ */

static bool is_choice(const struct sonde_option *row, sonde_str s)
{
    for (size_t i = 0; row->choices[i]; i++)
        if (str_eq_cstr(s, row->choices[i]))
            return true;
    return false;
}

static sonde_code wrong_choice(const struct optread *r,
                               const struct sonde_option *row, sonde_str got)
{
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    buf_cstr(&b, "one of");
    for (size_t i = 0; row->choices[i]; i++)
        buf_printf(&b, "%s \"%s\"", i ? "," : "", row->choices[i]);
    buf_char(&b, 0);
    rc = wrong(r, row, b.data, got);
    buf_fini(&b);
    return rc;
}

static sonde_code set_str(const struct optread *r,
                          const struct sonde_option *row, sonde_str s,
                          sonde_str *out)
{
    sonde_str dir;

    if (row->choices && !is_choice(row, s))
        return wrong_choice(r, row, s);
    *out = arena_str(r->ctx->arena, s);
    if (row->kind != SONDE_OPT_KIND_FILE || !r->node || !r->node->file ||
        s.len == 0 || s.ptr[0] == '/')
        return SONDE_OK;
    dir = fs_dirname(sonde_cstr(r->node->file));
    if (!str_eq_cstr(dir, "."))
        *out = sonde_cstr(fs_join(r->ctx->arena, dir, s));
    return SONDE_OK;
}

static bool parse_int64(enum sonde_option_kind kind, sonde_str s, int64_t *out)
{
    if (kind == SONDE_OPT_KIND_DURATION)
        return duration_parse(s, out);
    if (kind == SONDE_OPT_KIND_SIZE)
        return size_parse(s, out);
    return value_int(s, out);
}

static sonde_code set_int64(const struct optread *r,
                            const struct sonde_option *row, sonde_str s,
                            int64_t *out)
{
    if (!parse_int64(row->kind, s, out))
        return wrong(r, row, kind_text(row->kind), s);
    if ((row->min || row->max) && (*out < row->min || *out > row->max))
        return out_of_bounds(r, row, s);
    return SONDE_OK;
}

/* "a, b" or, as fallbacks may be written, "[a, b]". */
static void set_list(const struct optread *r, sonde_str s,
                     struct sonde_list *out)
{
    sonde_str rest, part, *items;
    size_t n = 1;

    s = str_trim(s);
    if (s.len >= 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
        s = str_trim(str_sub(s, 1, s.len - 1));
    *out = (struct sonde_list){ 0 };
    if (s.len == 0)
        return;
    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == ',';
    items = arena_array(r->ctx->arena, sonde_str, n);
    out->items = items;
    rest = s;
    while (str_split(&rest, ',', &part))
        items[out->count++] = arena_str(r->ctx->arena, str_trim(part));
}

static sonde_code set_text(const struct optread *r,
                           const struct sonde_option *row, sonde_str s,
                           void *field)
{
    switch (row->kind) {
    case SONDE_OPT_KIND_STR:
    case SONDE_OPT_KIND_SECRET:
    case SONDE_OPT_KIND_FILE:
        return set_str(r, row, s, field);
    case SONDE_OPT_KIND_BOOL:
        return value_bool(s, field) ? SONDE_OK
                                    : wrong(r, row, "true or false", s);
    case SONDE_OPT_KIND_INT:
    case SONDE_OPT_KIND_DURATION:
    case SONDE_OPT_KIND_SIZE:
        return set_int64(r, row, s, field);
    case SONDE_OPT_KIND_FLOAT:
        return value_float(s, field) ? SONDE_OK : wrong(r, row, "a number", s);
    case SONDE_OPT_KIND_LIST:
        set_list(r, s, field);
        return SONDE_OK;
    }
    return wrong(r, row, "an option kind that this agent knows", s);
}

static sonde_code set_node_list(const struct optread *r,
                                const struct yaml_node *n,
                                struct sonde_list *out)
{
    sonde_str *items = arena_array(r->ctx->arena, sonde_str, n->count + 1);

    for (size_t i = 0; i < n->count; i++) {
        sonde_code rc = config_text(r->ctx, n->items[i], &items[i], r->err);

        if (rc != SONDE_OK)
            return rc;
    }
    *out = (struct sonde_list){ items, n->count };
    return SONDE_OK;
}

static sonde_code set_node(struct optread *r, const struct sonde_option *row,
                           const struct yaml_node *n, void *field)
{
    sonde_str s;
    sonde_code rc;

    r->node = n;
    r->source = "";
    if (n->kind == YAML_SEQUENCE && row->kind == SONDE_OPT_KIND_LIST)
        return set_node_list(r, n, field);
    if (n->kind != YAML_SCALAR)
        return yaml_error(n, r->err, "option \"%s\": expected %s, got %.*s",
                          row->name, kind_text(row->kind),
                          SONDE_ARG(value_describe(r->ctx->arena, n)));
    rc = config_text(r->ctx, n, &s, r->err);
    return rc == SONDE_OK ? set_text(r, row, s, field) : rc;
}

/* ---- tables ------------------------------------------------------------ */

size_t option_field_size(enum sonde_option_kind kind)
{
    switch (kind) {
    case SONDE_OPT_KIND_STR:
    case SONDE_OPT_KIND_SECRET:
    case SONDE_OPT_KIND_FILE:
        return sizeof(sonde_str);
    case SONDE_OPT_KIND_BOOL:
        return sizeof(bool);
    case SONDE_OPT_KIND_INT:
    case SONDE_OPT_KIND_DURATION:
    case SONDE_OPT_KIND_SIZE:
        return sizeof(int64_t);
    case SONDE_OPT_KIND_FLOAT:
        return sizeof(double);
    case SONDE_OPT_KIND_LIST:
        return sizeof(struct sonde_list);
    }
    return 0;
}

static void set_zero(const struct sonde_option *row, void *field)
{
    memset(field, 0, option_field_size(row->kind));
    if (option_field_size(row->kind) == sizeof(sonde_str) &&
        row->kind != SONDE_OPT_KIND_LIST)
        *(sonde_str *)field = (sonde_str){ "", 0 };
}

static const struct config_pair *override_of(const struct config_map *m,
                                             const char *name)
{
    for (size_t i = 0; m && i < m->count; i++)
        if (str_eq_cstr(m->items[i].key, name) && m->items[i].values.count)
            return &m->items[i];
    return NULL;
}

static sonde_code read_option(struct optread *r, const struct sonde_option *row,
                              const struct yaml_node *node,
                              const struct config_map *overrides, void *field)
{
    const struct config_pair *pair = override_of(overrides, row->name);
    const struct yaml_node *value = yaml_get(node, row->name);
    const char *env = row->env ? getenv(row->env) : NULL;

    r->node = NULL;
    set_zero(row, field);
    if (pair) {
        r->source = " of the target's labels";
        return set_text(r, row, pair->values.items[0], field);
    }
    if (value && value->kind != YAML_NULL)
        return set_node(r, row, value, field);
    if (env && *env) {
        r->source = arena_printf(r->ctx->arena, " of $%s", row->env).ptr;
        return set_text(r, row, sonde_cstr(env), field);
    }
    if (row->flags & SONDE_OPT_REQUIRED)
        return yaml_error(node, r->err, "option \"%s\" is missing: %s",
                          row->name, row->help ? row->help : "required");
    r->source = " of its default";
    return row->fallback ? set_text(r, row, sonde_cstr(row->fallback), field)
                         : SONDE_OK;
}

static sonde_code check_names(struct config_ctx *ctx,
                              const struct sonde_option *rows, size_t count,
                              size_t stride, const struct yaml_node *node,
                              struct sonde_err *err)
{
    const char **names = arena_array(ctx->arena, const char *, count + 1);

    for (size_t i = 0; i < count; i++) {
        struct sonde_option row;

        row_at(rows, stride, i, &row);
        names[i] = row.name;
    }
    for (size_t k = 0; k < node->count; k++) {
        sonde_str key = node->keys[k]->scalar;
        const char *nearest;
        size_t i = 0;

        while (i < count && !str_eq_cstr(key, names[i]))
            i++;
        if (i < count)
            continue;
        nearest = str_nearest(key, names, count);
        return yaml_error(node->keys[k], err, "option \"%.*s\" not known%s%s%s",
                          SONDE_ARG(str_sub(key, 0, 64)),
                          nearest ? "; did you mean \"" : "",
                          nearest ? nearest : "", nearest ? "\"?" : "");
    }
    return SONDE_OK;
}

sonde_code options_read(struct config_ctx *ctx, const struct sonde_option *rows,
                        size_t count, size_t stride,
                        const struct yaml_node *node,
                        const struct config_map *overrides, void *out,
                        struct sonde_err *err)
{
    struct optread r = { .ctx = ctx, .source = "", .err = err };
    sonde_code rc = SONDE_OK;

    if (node && node->kind == YAML_NULL)
        node = NULL;
    if (node && node->kind != YAML_MAPPING)
        return yaml_error(node, err,
                          "options: expected a mapping (key: value), got %.*s",
                          SONDE_ARG(value_describe(ctx->arena, node)));
    if (node)
        rc = check_names(ctx, rows, count, stride, node, err);
    for (size_t i = 0; rc == SONDE_OK && i < count; i++) {
        struct sonde_option row;

        row_at(rows, stride, i, &row);
        rc = read_option(&r, &row, node, overrides, (char *)out + row.offset);
    }
    return rc;
}

void options_mark_secrets(const struct sonde_option *rows, size_t count,
                          size_t stride, const struct yaml_node *node)
{
    for (size_t i = 0; i < count; i++) {
        struct sonde_option row;
        struct yaml_node *value;

        row_at(rows, stride, i, &row);
        value = yaml_get(node, row.name);
        if (value && row.kind == SONDE_OPT_KIND_SECRET)
            value->secret = true;
    }
}
