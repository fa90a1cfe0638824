/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mapping into a struct, by a table.
 *
 * Keys are read in the order of the file, so that the first error is the
 * topmost one; then the rows that the file did not give get their defaults,
 * which are written as in YAML and go through the same readers. A null value
 * is an absent key, as in Prometheus. The block's own check runs last, and
 * so sees a whole struct.
 *
 * A row with offset SIZE_MAX has no field: it is read into memory that
 * nobody looks at. So a block that no room implements is still checked to
 * its last key, and a typo in it is an error and not a surprise on the day
 * the room arrives. Within such a block further warnings are held back: one
 * a block is enough.
 *
 * Everything lives in the context's arena. Not thread-safe per context.
 */
#include "config/schema.h"

#include <string.h>

#include "config/value.h"
#include "model/number.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

/* Rows of a block; more is a mistake of the table's author. */
#define ROWS_MAX 256

struct where {
    struct config_ctx *ctx;
    const struct config_key *key;
    struct sonde_err *err;
};

/* ---- errors ------------------------------------------------------------ */

static sonde_code wrong_kind(const struct where *w, const struct yaml_node *n,
                             const char *expected)
{
    sonde_str got = w->key->kind == CONFIG_SECRET && n->kind == YAML_SCALAR
                        ? SONDE_STR("something else")
                        : value_describe(w->ctx->arena, n);

    return yaml_error(n, w->err, "%s: expected %s, got %.*s", w->key->name,
                      expected, SONDE_ARG(got));
}

static void print_bound(struct buf *b, enum config_kind kind, int64_t v)
{
    if (kind == CONFIG_DURATION)
        buf_duration(b, v);
    else if (kind == CONFIG_SIZE)
        buf_size(b, v);
    else
        buf_int(b, v);
}

static sonde_code out_of_bounds(const struct where *w,
                                const struct yaml_node *n)
{
    const struct config_key *k = w->key;
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    buf_cstr(&b, "at least ");
    print_bound(&b, k->kind, k->min);
    if (k->max != INT64_MAX) {
        buf_cstr(&b, " and at most ");
        print_bound(&b, k->kind, k->max);
    }
    buf_char(&b, 0);
    rc = wrong_kind(w, n, b.data);
    buf_fini(&b);
    return rc;
}

static sonde_code check_bounds(const struct where *w, const struct yaml_node *n,
                               int64_t v)
{
    if (w->key->min == 0 && w->key->max == 0)
        return SONDE_OK;
    if (v < w->key->min || v > w->key->max)
        return out_of_bounds(w, n);
    return SONDE_OK;
}

void config_warn(struct config_ctx *ctx, const struct yaml_node *at,
                 const char *fmt, ...)
{
    struct sonde_err text;
    va_list ap;
    char line[512];

    if (!ctx->warn)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    (void)yaml_error(at, &text, "%s", line);
    ctx->warn(ctx->warn_arg, text.text);
}

/* ---- scalars ----------------------------------------------------------- */

sonde_code config_text(struct config_ctx *ctx, const struct yaml_node *node,
                       sonde_str *out, struct sonde_err *err)
{
    struct sonde_err why;

    *out = (sonde_str){ "", 0 };
    if (node->kind == YAML_NULL)
        return SONDE_OK;
    if (node->kind != YAML_SCALAR)
        return yaml_error(node, err, "expected a text, got %.*s",
                          SONDE_ARG(value_describe(ctx->arena, node)));
    *out = node->scalar;
    if (!ctx->expand_env)
        return SONDE_OK;
    if (value_expand(ctx->arena, node->scalar, out, &why) != SONDE_OK)
        return yaml_error(node, err, "%s", why.text);
    return SONDE_OK;
}

static sonde_code read_text(const struct where *w, const struct yaml_node *n,
                            sonde_str *out)
{
    *out = (sonde_str){ "", 0 };
    if (n->kind != YAML_SCALAR)
        return wrong_kind(w, n, value_kind_text(w->key->kind));
    if (w->key->flags & CONFIG_RAW) {
        *out = n->scalar;
        return SONDE_OK;
    }
    return config_text(w->ctx, n, out, w->err);
}

/* Relative to the folder of the file that has it; defaults have no file. */
static sonde_str resolve_path(const struct where *w, const struct yaml_node *n,
                              sonde_str path)
{
    sonde_str dir;

    if (path.len == 0 || path.ptr[0] == '/' || !n->file)
        return path;
    dir = fs_dirname(sonde_cstr(n->file));
    if (str_eq_cstr(dir, "."))
        return path;
    return sonde_cstr(fs_join(w->ctx->arena, dir, path));
}

static sonde_code read_bool(const struct where *w, const struct yaml_node *n,
                            bool *out)
{
    sonde_str s;
    sonde_code rc = read_text(w, n, &s);

    if (rc == SONDE_OK && (n->quoted || !value_bool(s, out)))
        return wrong_kind(w, n, "true or false");
    return rc;
}

static bool parse_int64(enum config_kind kind, sonde_str s, int64_t *out)
{
    if (kind == CONFIG_DURATION)
        return duration_parse(s, out);
    if (kind == CONFIG_SIZE)
        return size_parse(s, out);
    return value_int(s, out);
}

static sonde_code read_int64(const struct where *w, const struct yaml_node *n,
                             int64_t *out)
{
    sonde_str s;
    sonde_code rc = read_text(w, n, &s);

    if (rc != SONDE_OK)
        return rc;
    if ((w->key->kind == CONFIG_INT && n->quoted) ||
        !parse_int64(w->key->kind, s, out))
        return wrong_kind(w, n, value_kind_text(w->key->kind));
    return check_bounds(w, n, *out);
}

static sonde_code read_float(const struct where *w, const struct yaml_node *n,
                             double *out)
{
    sonde_str s;
    sonde_code rc = read_text(w, n, &s);

    if (rc != SONDE_OK)
        return rc;
    if (n->quoted || !value_float(s, out))
        return wrong_kind(w, n, "a number");
    if ((w->key->min || w->key->max) &&
        !(*out >= (double)w->key->min && *out <= (double)w->key->max))
        return out_of_bounds(w, n);
    return SONDE_OK;
}

static sonde_code wrong_choice(const struct where *w, const struct yaml_node *n)
{
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    buf_cstr(&b, "one of ");
    for (size_t i = 0; w->key->choices[i]; i++)
        buf_printf(&b, "%s\"%s\"", i ? ", " : "", w->key->choices[i]);
    buf_char(&b, 0);
    rc = wrong_kind(w, n, b.data);
    buf_fini(&b);
    return rc;
}

static sonde_code read_enum(const struct where *w, const struct yaml_node *n,
                            int *out)
{
    bool fold = (w->key->flags & CONFIG_FOLD) != 0;
    sonde_str s;
    sonde_code rc = read_text(w, n, &s);

    for (int i = 0; rc == SONDE_OK && w->key->choices[i]; i++) {
        sonde_str choice = sonde_cstr(w->key->choices[i]);

        if (fold ? str_eq_nocase(s, choice) : sonde_str_eq(s, choice)) {
            *out = i;
            return SONDE_OK;
        }
    }
    return rc == SONDE_OK ? wrong_choice(w, n) : rc;
}

static sonde_code read_str(const struct where *w, const struct yaml_node *n,
                           sonde_str *out)
{
    sonde_code rc = read_text(w, n, out);

    if (rc != SONDE_OK)
        return rc;
    if (w->key->kind == CONFIG_PATH)
        *out = resolve_path(w, n, *out);
    if (w->key->kind == CONFIG_URL && out->len && !value_is_url(*out))
        return yaml_error(n, w->err,
                          "%s: expected a URL such as "
                          "http://host:port/path, got something else",
                          w->key->name);
    return SONDE_OK;
}

/* ---- lists and maps ---------------------------------------------------- */

static sonde_code read_list(const struct where *w, const struct yaml_node *n,
                            struct sonde_list *out)
{
    sonde_str *items;

    if (n->kind != YAML_SEQUENCE)
        return wrong_kind(w, n, "a list");
    items = arena_array(w->ctx->arena, sonde_str, n->count + 1);
    for (size_t i = 0; i < n->count; i++) {
        sonde_code rc;

        if (n->items[i]->kind != YAML_SCALAR)
            return wrong_kind(w, n->items[i], "a list of texts");
        rc = read_text(w, n->items[i], &items[i]);
        if (rc != SONDE_OK)
            return rc;
        if (w->key->kind == CONFIG_PATH_LIST)
            items[i] = resolve_path(w, n->items[i], items[i]);
    }
    *out = (struct sonde_list){ items, n->count };
    return SONDE_OK;
}

static sonde_code read_pair(const struct where *w, const struct yaml_node *key,
                            const struct yaml_node *value,
                            struct config_pair *out)
{
    sonde_str *item;

    out->key = key->scalar;
    out->node = value;
    if (w->key->kind == CONFIG_LIST_MAP)
        return read_list(w, value, &out->values);
    item = arena_new(w->ctx->arena, sonde_str);
    *item = (sonde_str){ "", 0 };
    out->values = (struct sonde_list){ item, 1 };
    if (value->kind == YAML_NULL)
        return SONDE_OK;
    return read_text(w, value, item);
}

static int pair_cmp(const void *va, const void *vb)
{
    const struct config_pair *a = va, *b = vb;

    return str_cmp(a->key, b->key);
}

static sonde_code read_map(const struct where *w, const struct yaml_node *n,
                           struct config_map *out)
{
    if (n->kind != YAML_MAPPING)
        return wrong_kind(w, n, value_kind_text(w->key->kind));
    out->items = arena_array(w->ctx->arena, struct config_pair, n->count + 1);
    out->count = n->count;
    for (size_t i = 0; i < n->count; i++) {
        sonde_code rc = read_pair(w, n->keys[i], n->items[i], &out->items[i]);

        if (rc != SONDE_OK)
            return rc;
    }
    qsort(out->items, out->count, sizeof(out->items[0]), pair_cmp);
    return SONDE_OK;
}

static sonde_code read_blocks(const struct where *w, const struct yaml_node *n,
                              struct config_blocks *out)
{
    const struct config_block_def *def = w->key->block;
    char *items;

    if (n->kind != YAML_SEQUENCE)
        return wrong_kind(w, n, "a list");
    items = arena_alloc_array(w->ctx->arena, def->size, n->count + 1);
    for (size_t i = 0; i < n->count; i++) {
        sonde_code rc;

        if (n->items[i]->kind != YAML_MAPPING)
            return wrong_kind(w, n->items[i], "a list of mappings");
        rc = config_read(w->ctx, def, n->items[i], items + i * def->size,
                         w->err);
        if (rc != SONDE_OK)
            return rc;
    }
    *out = (struct config_blocks){ items, n->count };
    return SONDE_OK;
}

static sonde_code read_block(const struct where *w, const struct yaml_node *n,
                             void *out)
{
    if (n->kind != YAML_MAPPING)
        return wrong_kind(w, n, value_kind_text(w->key->kind));
    return config_read(w->ctx, w->key->block, n, out, w->err);
}

/* What a NODE's block says of it; the struct is thrown away. */
static sonde_code check_node(const struct where *w, const struct yaml_node *n)
{
    const struct config_block_def *def = w->key->block;
    struct config_blocks blocks;

    if (!def || ((w->key->flags & CONFIG_OR_TEXT) && n->kind == YAML_SCALAR))
        return SONDE_OK;
    if (n->kind == YAML_SEQUENCE)
        return read_blocks(w, n, &blocks);
    return read_block(w, n, arena_alloc(w->ctx->arena, def->size));
}

/* ---- rows -------------------------------------------------------------- */

static sonde_code read_value(const struct where *w, const struct yaml_node *n,
                             void *field)
{
    switch (w->key->kind) {
    case CONFIG_STR:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_URL:
        return read_str(w, n, field);
    case CONFIG_BOOL:
        return read_bool(w, n, field);
    case CONFIG_INT:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        return read_int64(w, n, field);
    case CONFIG_FLOAT:
        return read_float(w, n, field);
    case CONFIG_ENUM:
        return read_enum(w, n, field);
    case CONFIG_STR_LIST:
    case CONFIG_PATH_LIST:
        return read_list(w, n, field);
    case CONFIG_STR_MAP:
    case CONFIG_LIST_MAP:
        return read_map(w, n, field);
    case CONFIG_BLOCK: {
        void *block = arena_alloc(w->ctx->arena, w->key->block->size);

        *(void **)field = block;
        return read_block(w, n, block);
    }
    case CONFIG_INLINE:
        return read_block(w, n, field);
    case CONFIG_BLOCK_LIST:
        return read_blocks(w, n, field);
    case CONFIG_NODE:
        *(const struct yaml_node **)field = n;
        return check_node(w, n);
    }
    return SONDE_OK;
}

static void *field_of(struct config_ctx *ctx, const struct config_key *key,
                      void *block)
{
    size_t size = sizeof(struct config_pair) * 2; /* above any other kind */

    if (key->offset != SIZE_MAX)
        return (char *)block + key->offset;
    if (key->kind == CONFIG_INLINE)
        size = key->block->size;
    return arena_alloc(ctx->arena, size);
}

/* One block being read. */
struct reading {
    struct config_ctx *ctx;
    const struct config_block_def *def;
    const struct yaml_node *node; /* NULL: all defaults */
    void *out;
    struct sonde_err *err;
    bool given[ROWS_MAX];
};

/* A text that is absent is "", so that it can be used as a C string. */
static void set_absent(const struct config_key *key, void *field)
{
    if (key->kind <= CONFIG_URL)
        *(sonde_str *)field = (sonde_str){ "", 0 };
}

static sonde_code read_default(struct reading *r, const struct config_key *key)
{
    struct config_ctx plain = *r->ctx;
    struct where w = { &plain, key, r->err };
    struct yaml_node scalar = { .kind = YAML_SCALAR };
    struct yaml_node *node = &scalar;
    void *field;
    struct sonde_err why = { 0 };
    sonde_code rc = SONDE_OK;

    if (key->offset == SIZE_MAX)
        return SONDE_OK;
    field = (char *)r->out + key->offset;
    if (key->kind == CONFIG_INLINE)
        return config_read(r->ctx, key->block, NULL, field, r->err);
    if (!key->fallback) {
        set_absent(key, field);
        return SONDE_OK;
    }
    plain.expand_env = false;
    w.err = &why;
    scalar.scalar = sonde_cstr(key->fallback);
    if (key->kind >= CONFIG_STR_LIST) {
        rc = yaml_parse(plain.arena, "default", scalar.scalar, &node, &why);
        if (rc == SONDE_OK)
            node->file = NULL; /* paths in it are relative to no file */
    }
    if (rc == SONDE_OK)
        rc = read_value(&w, node, field);
    if (rc != SONDE_OK)
        SONDE_BUG("default of %s: %s", key->name, why.text);
    return SONDE_OK;
}

static sonde_code read_row(struct reading *r, const struct config_key *key,
                           const struct yaml_node *at,
                           const struct yaml_node *value)
{
    struct config_ctx quiet = *r->ctx;
    struct where w = { r->ctx, key, r->err };

    if (key->flags & CONFIG_UNUSED) {
        config_warn(r->ctx, at, "\"%s\" in %s has no effect yet", key->name,
                    r->def->name);
        quiet.warn = NULL;
        w.ctx = &quiet;
    }
    return read_value(&w, value, field_of(r->ctx, key, r->out));
}

static size_t find_row(const struct config_block_def *def, sonde_str name)
{
    for (size_t i = 0; i < def->count; i++)
        if (str_eq_cstr(name, def->keys[i].name))
            return i;
    return def->count;
}

static sonde_code unknown_key(const struct reading *r,
                              const struct yaml_node *key)
{
    const struct config_block_def *def = r->def;
    sonde_str shown = str_sub(key->scalar, 0, 64);
    const char *names[ROWS_MAX];
    const char *nearest;
    size_t n = 0;

    for (size_t i = 0; i < def->count; i++)
        if (!(def->keys[i].flags & CONFIG_HIDDEN))
            names[n++] = def->keys[i].name;
    nearest = str_nearest(key->scalar, names, n);
    if (nearest)
        return yaml_error(key, r->err,
                          "field \"%.*s\" not known in %s; did you mean "
                          "\"%s\"?",
                          SONDE_ARG(shown), def->name, nearest);
    return yaml_error(key, r->err, "field \"%.*s\" not known in %s",
                      SONDE_ARG(shown), def->name);
}

static sonde_code read_keys(struct reading *r)
{
    for (size_t i = 0; i < r->node->count; i++) {
        const struct yaml_node *key = r->node->keys[i];
        size_t row = find_row(r->def, key->scalar);
        sonde_code rc;

        if (row == r->def->count)
            return unknown_key(r, key);
        if (r->node->items[i]->kind == YAML_NULL)
            continue;
        r->given[row] = true;
        rc = read_row(r, &r->def->keys[row], key, r->node->items[i]);
        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

/* A required text must also say something. */
static bool is_missing(const struct reading *r, size_t row)
{
    const struct config_key *key = &r->def->keys[row];

    if (!(key->flags & CONFIG_REQUIRED))
        return false;
    if (!r->given[row])
        return true;
    if (key->offset == SIZE_MAX || key->kind > CONFIG_URL)
        return false;
    return ((const sonde_str *)((const char *)r->out + key->offset))->len == 0;
}

static sonde_code read_defaults(struct reading *r)
{
    for (size_t i = 0; i < r->def->count; i++) {
        sonde_code rc = SONDE_OK;

        if (is_missing(r, i))
            return yaml_error(r->node, r->err, "missing \"%s\" in %s",
                              r->def->keys[i].name, r->def->name);
        if (!r->given[i])
            rc = read_default(r, &r->def->keys[i]);
        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

static void note_made(struct config_ctx *ctx,
                      const struct config_block_def *def, void *block)
{
    struct config_made *m;

    if (!ctx->made)
        return;
    m = arena_new(ctx->arena, struct config_made);
    *m = (struct config_made){ *ctx->made, def, block };
    *ctx->made = m;
}

sonde_code config_read(struct config_ctx *ctx,
                       const struct config_block_def *def,
                       const struct yaml_node *node, void *out,
                       struct sonde_err *err)
{
    struct reading r = { .ctx = ctx, .def = def, .out = out, .err = err };
    sonde_code rc = SONDE_OK;

    if (def->count > ROWS_MAX)
        SONDE_BUG("%s has more than %d rows", def->name, ROWS_MAX);
    if (node && node->kind != YAML_NULL)
        r.node = node;
    memset(out, 0, def->size);
    ((struct config_head *)out)->node = r.node;
    note_made(ctx, def, out);
    if (r.node && r.node->kind != YAML_MAPPING)
        return yaml_error(
            r.node, err, "expected %s, a mapping (key: value), got %.*s",
            def->name, SONDE_ARG(value_describe(ctx->arena, r.node)));
    if (r.node)
        rc = read_keys(&r);
    if (rc == SONDE_OK)
        rc = read_defaults(&r);
    if (rc == SONDE_OK && def->check)
        rc = def->check(ctx, out, err);
    return rc;
}
