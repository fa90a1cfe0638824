/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of target groups, as JSON or YAML by the end of its name:
 *
 *     [ { "targets": ["host:port", ...], "labels": { "name": "value" } } ]
 *
 * Both are read strictly, since others write these files and a misspelt key
 * would silently lose its targets: unknown keys, null groups and labels
 * without a name are errors, and an error refuses the whole file (whoever
 * reads it keeps what it had). As Go's decoder does, JSON keys are compared
 * without case. Each group gets the label __meta_filepath.
 */
#include <jansson.h>
#include <strings.h>

#include "discovery/discovery_int.h"
#include "util/fs.h"
#include "util/str.h"

/* Far above what is sane; a guard against a device or a log in its place. */
#define FILE_MAX_BYTES ((size_t)64 << 20)
/* Of one group; its labels are looked through for each that is added. */
#define LABELS_MAX 1000

/* The file being read. */
struct target_file {
    struct arena *arena;
    const char *path;
    struct target_group *groups;
    size_t count;
};

static void groups_alloc(struct target_file *f, size_t n)
{
    f->groups = arena_array(f->arena, struct target_group, n);
    f->count = n;
}

/* A set of one label; of none if the address is empty, which the job will
 * then complain of. */
static struct labels address_labels(struct arena *a, sonde_str address)
{
    struct label *l;

    if (address.len == 0)
        return (struct labels){ 0 };
    l = arena_new(a, struct label);
    *l = (struct label){ SONDE_STR("__address__"), address };
    return (struct labels){ l, 1 };
}

static void group_finish(struct target_file *f, struct target_group *g,
                         struct labels_builder *lb, size_t index)
{
    labels_builder_set(lb, SONDE_STR("__meta_filepath"),
                       arena_str(f->arena, sonde_cstr(f->path)));
    g->labels = labels_builder_view(lb);
    g->source = arena_printf(f->arena, "%s:%zu", f->path, index);
}

/* ---- JSON ---------------------------------------------------------------- */

static sonde_str json_str(struct arena *a, const json_t *v)
{
    if (!json_is_string(v)) /* null */
        return (sonde_str){ 0 };
    return arena_str(
        a, (sonde_str){ json_string_value(v), json_string_length(v) });
}

static sonde_code json_wrong(const struct target_file *f, size_t group,
                             const char *what, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE, "%s: group %zu: expected %s",
                         f->path, group + 1, what);
}

static sonde_code json_targets(struct target_file *f, const json_t *array,
                               size_t group, struct sonde_err *err)
{
    struct target_group *g = &f->groups[group];
    size_t n = json_array_size(array);
    struct labels *targets = arena_array(f->arena, struct labels, n);

    if (!json_is_array(array) && !json_is_null(array))
        return json_wrong(f, group, "a list of strings as targets", err);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(array, i);

        if (!json_is_string(v) && !json_is_null(v))
            return json_wrong(f, group, "a string as each target", err);
        targets[i] = address_labels(f->arena, json_str(f->arena, v));
    }
    g->targets = targets;
    g->count = n;
    return SONDE_OK;
}

static sonde_code json_labels(struct target_file *f, json_t *object,
                              size_t group, struct labels_builder *lb,
                              struct sonde_err *err)
{
    const char *name;
    json_t *v;

    if (!json_is_object(object) && !json_is_null(object))
        return json_wrong(f, group, "a map of strings as labels", err);
    if (json_object_size(object) > LABELS_MAX)
        return json_wrong(f, group, "at most 1000 labels", err);
    json_object_foreach(object, name, v)
    {
        if (!json_is_string(v) && !json_is_null(v))
            return json_wrong(f, group, "a string as each label's value", err);
        if (*name == '\0')
            return json_wrong(f, group, "a name for each label", err);
        labels_builder_set(lb, arena_str(f->arena, sonde_cstr(name)),
                           json_str(f->arena, v));
    }
    return SONDE_OK;
}

static sonde_code json_group(struct target_file *f, json_t *object,
                             size_t index, struct sonde_err *err)
{
    struct labels_builder lb;
    const char *key;
    json_t *v;

    labels_builder_init(&lb, f->arena);
    if (!json_is_object(object))
        return json_wrong(f, index, "an object with targets and labels", err);
    json_object_foreach(object, key, v)
    {
        sonde_code rc;

        if (strcasecmp(key, "targets") == 0)
            rc = json_targets(f, v, index, err);
        else if (strcasecmp(key, "labels") == 0)
            rc = json_labels(f, v, index, &lb, err);
        else
            rc = sonde_err_set(err, SONDE_EPARSE,
                               "%s: group %zu: unknown key \"%.100s\", "
                               "expected targets or labels",
                               f->path, index + 1, key);
        if (rc)
            return rc;
    }
    group_finish(f, &f->groups[index], &lb, index);
    return SONDE_OK;
}

static sonde_code read_json(struct target_file *f, sonde_str text,
                            struct sonde_err *err)
{
    json_error_t where;
    json_t *root =
        json_loadb(text.len ? text.ptr : "", text.len, JSON_DECODE_ANY, &where);
    sonde_code rc = SONDE_OK;

    if (!root)
        return sonde_err_set(err, SONDE_EPARSE, "%s:%d:%d: %s", f->path,
                             where.line, where.column, where.text);
    if (!json_is_array(root) && !json_is_null(root))
        rc = sonde_err_set(err, SONDE_EPARSE,
                           "%s: expected a list of target groups", f->path);
    else
        groups_alloc(f, json_array_size(root));
    for (size_t i = 0; i < f->count && rc == SONDE_OK; i++)
        rc = json_group(f, json_array_get(root, i), i, err);
    json_decref(root);
    return rc;
}

/* ---- YAML ---------------------------------------------------------------- */

static sonde_str yaml_str(const struct yaml_node *v)
{
    if (v->kind == YAML_NULL)
        return (sonde_str){ 0 };
    return v->scalar;
}

static sonde_code yaml_targets(struct target_file *f,
                               const struct yaml_node *list,
                               struct target_group *g, struct sonde_err *err)
{
    struct labels *targets;

    if (list->kind == YAML_NULL)
        return SONDE_OK;
    if (list->kind != YAML_SEQUENCE)
        return yaml_error(list, err, "targets: expected a list of addresses");
    targets = arena_array(f->arena, struct labels, list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct yaml_node *v = list->items[i];

        if (v->kind != YAML_SCALAR && v->kind != YAML_NULL)
            return yaml_error(v, err, "targets: expected an address");
        targets[i] = address_labels(f->arena, yaml_str(v));
    }
    g->targets = targets;
    g->count = list->count;
    return SONDE_OK;
}

static sonde_code yaml_labels(const struct yaml_node *map,
                              struct labels_builder *lb, struct sonde_err *err)
{
    if (map->kind == YAML_NULL)
        return SONDE_OK;
    if (map->kind != YAML_MAPPING)
        return yaml_error(map, err, "labels: expected a map of strings");
    if (map->count > LABELS_MAX)
        return yaml_error(map, err, "labels: expected at most %d", LABELS_MAX);
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *v = map->items[i];

        if (map->keys[i]->scalar.len == 0)
            return yaml_error(map->keys[i], err,
                              "labels: a label needs a name");
        if (v->kind != YAML_SCALAR && v->kind != YAML_NULL)
            return yaml_error(v, err, "labels: expected a string");
        labels_builder_set(lb, map->keys[i]->scalar, yaml_str(v));
    }
    return SONDE_OK;
}

static sonde_code yaml_group(struct target_file *f, const struct yaml_node *map,
                             size_t index, struct sonde_err *err)
{
    struct target_group *g = &f->groups[index];
    struct labels_builder lb;

    labels_builder_init(&lb, f->arena);
    if (map->kind != YAML_MAPPING)
        return yaml_error(map, err,
                          "expected a target group: targets and labels");
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *key = map->keys[i];
        sonde_code rc;

        if (str_eq_cstr(key->scalar, "targets"))
            rc = yaml_targets(f, map->items[i], g, err);
        else if (str_eq_cstr(key->scalar, "labels"))
            rc = yaml_labels(map->items[i], &lb, err);
        else
            rc = yaml_error(key, err,
                            "unknown key \"%.*s\", expected targets or labels",
                            SONDE_ARG(str_sub(key->scalar, 0, 100)));
        if (rc)
            return rc;
    }
    group_finish(f, g, &lb, index);
    return SONDE_OK;
}

static sonde_code read_yaml(struct target_file *f, sonde_str text,
                            struct sonde_err *err)
{
    struct yaml_node *root;
    sonde_code rc = yaml_parse(f->arena, f->path, text, &root, err);

    if (rc || root->kind == YAML_NULL)
        return rc;
    if (root->kind != YAML_SEQUENCE)
        return yaml_error(root, err, "expected a list of target groups");
    groups_alloc(f, root->count);
    for (size_t i = 0; i < f->count && rc == SONDE_OK; i++)
        rc = yaml_group(f, root->items[i], i, err);
    return rc;
}

/* ---- either -------------------------------------------------------------- */

static bool ends_nocase(sonde_str s, sonde_str end)
{
    return s.len >= end.len &&
           str_eq_nocase(str_sub(s, s.len - end.len, s.len), end);
}

sonde_code file_sd_parse(struct arena *a, const char *path, sonde_str text,
                         struct target_group **out, size_t *n,
                         struct sonde_err *err)
{
    sonde_str name = sonde_cstr(path);
    struct target_file f = { .arena = a, .path = arena_cstr(a, name) };
    sonde_code rc;

    if (ends_nocase(name, SONDE_STR(".json")))
        rc = read_json(&f, text, err);
    else if (ends_nocase(name, SONDE_STR(".yml")) ||
             ends_nocase(name, SONDE_STR(".yaml")))
        rc = read_yaml(&f, text, err);
    else
        rc = sonde_err_set(err, SONDE_EINVAL,
                           "read target groups from %s: expected a name that "
                           "ends in .json, .yml or .yaml",
                           path);
    *out = rc ? NULL : f.groups;
    *n = rc ? 0 : f.count;
    return rc;
}

sonde_code file_sd_load(const char *path, struct buf *out,
                        struct sonde_err *err)
{
    return fs_read(path, FILE_MAX_BYTES, out, err);
}

sonde_code file_sd_read(struct arena *a, const char *path,
                        struct target_group **out, size_t *n,
                        struct sonde_err *err)
{
    struct buf text;
    sonde_code rc;

    *out = NULL;
    *n = 0;
    buf_init(&text);
    rc = file_sd_load(path, &text, err);
    if (rc == SONDE_OK)
        rc = file_sd_parse(a, path, buf_str(&text), out, n, err);
    buf_fini(&text);
    return rc;
}
