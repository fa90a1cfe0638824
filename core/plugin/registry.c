/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugins of some folders, by name.
 *
 * Everything is loaded once at start, in the order of the folders and by file
 * name within one, and nothing is added later: the registry is immutable
 * after plugins_new and so needs no lock. A file that is refused does not
 * stop the start (another job may not need it); it is logged once, and
 * remembered under its file's name so that a job which asks for
 * `plugin: redis` reads why redis.so was refused and not "unknown plugin".
 *
 * The same file seen twice (a folder named twice, a link) is one plugin.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin_int.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

struct refusal {
    char *path, *why;
};

struct plugins {
    struct plugin **items;
    size_t count, cap;
    struct refusal *refused;
    size_t refused_count, refused_cap;
    char *folders; /* "a, b", for messages */
};

static void refuse(struct plugins *p, const char *path, const char *why)
{
    log_warn("plugin", "plugin is not loaded", LOG_CSTR("file", path),
             LOG_CSTR("reason", why));
    p->refused = mem_grow(p->refused, &p->refused_cap, p->refused_count + 1,
                          sizeof(*p->refused));
    p->refused[p->refused_count++] =
        (struct refusal){ mem_strdup(sonde_cstr(path)),
                          mem_strdup(sonde_cstr(why)) };
}

static const struct plugin *by_path(const struct plugins *p, const char *path)
{
    char *real = realpath(path, NULL);
    const struct plugin *found = NULL;

    for (size_t i = 0; real && i < p->count && !found; i++) {
        if (strcmp(p->items[i]->path, real) == 0)
            found = p->items[i];
    }
    free(real);
    return found;
}

static const struct plugin *by_name(const struct plugins *p, sonde_str name)
{
    for (size_t i = 0; i < p->count; i++) {
        if (str_eq_cstr(name, p->items[i]->desc->name))
            return p->items[i];
    }
    return NULL;
}

static void load_file(struct plugins *p, const char *path)
{
    const struct plugin *other;
    struct sonde_err err;
    struct plugin *new;

    if (by_path(p, path))
        return;
    if (plugin_load(path, &new, &err) != SONDE_OK) {
        refuse(p, path, err.text);
        return;
    }
    other = by_name(p, sonde_cstr(new->desc->name));
    if (other) {
        (void)sonde_err_set(&err, SONDE_EEXIST,
                            "plugin file %s is refused: the name %s is taken "
                            "by %s: remove one of the two files",
                            new->path, new->desc->name, other->path);
        refuse(p, path, err.text);
        plugin_unload(new);
        return;
    }
    log_debug("plugin", "plugin is loaded", LOG_CSTR("plugin", new->desc->name),
              LOG_CSTR("version", new->desc->version),
              LOG_CSTR("file", new->path));
    p->items = mem_grow(p->items, &p->cap, p->count + 1, sizeof(*p->items));
    p->items[p->count++] = new;
}

/* Whether the file is called NAME.so. */
static bool is_file_of(const char *path, sonde_str name)
{
    const char *slash = strrchr(path, '/');
    sonde_str base = sonde_cstr(slash ? slash + 1 : path);

    return base.len == name.len + 3 && str_starts(base, name);
}

static void load_folder(struct plugins *p, const char *dir, const char *only)
{
    struct fs_names names;
    struct sonde_err err;
    struct arena arena;

    if (fs_list(dir, &names, &err) != SONDE_OK) {
        log_warn("plugin",
                 "plugin folder can not be read; --plugin.path "
                 "names the folders",
                 LOG_ERRTEXT(&err));
        return;
    }
    arena_init(&arena);
    for (size_t i = 0; i < names.count; i++) {
        const char *path;

        if (!str_ends(sonde_cstr(names.items[i]), SONDE_STR(".so")) ||
            (only && !is_file_of(names.items[i], sonde_cstr(only))))
            continue;
        path = fs_join(&arena, sonde_cstr(dir), sonde_cstr(names.items[i]));
        if (p->count + p->refused_count < PLUGIN_FILES_MAX)
            load_file(p, path);
        else
            log_warn("plugin", "too many plugin files, the rest is left out",
                     LOG_CSTR("file", path), LOG_NUM("max", PLUGIN_FILES_MAX));
    }
    arena_fini(&arena);
    fs_names_fini(&names);
}

struct plugins *plugins_new(const char *const *dirs, size_t n)
{
    return plugins_new_one(dirs, n, NULL);
}

struct plugins *plugins_new_one(const char *const *dirs, size_t n,
                                const char *name)
{
    struct plugins *p = mem_new(struct plugins);
    struct buf folders;

    buf_init(&folders);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&folders, "%s%s", i ? ", " : "", dirs[i]);
        load_folder(p, dirs[i], name);
    }
    p->folders = buf_take(&folders);
    return p;
}

void plugins_free(struct plugins *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        plugin_unload(p->items[i]);
    for (size_t i = 0; i < p->refused_count; i++) {
        free(p->refused[i].path);
        free(p->refused[i].why);
    }
    free(p->items);
    free(p->refused);
    free(p->folders);
    free(p);
}

/* A refused file's plugin may have had the name; the first is shown. */
static sonde_code not_found(const struct plugins *p, sonde_str name,
                            struct sonde_err *err)
{
    const char **names = mem_alloc((p->count + 1) * sizeof(*names));
    const char *near;

    for (size_t i = 0; i < p->count; i++)
        names[i] = p->items[i]->desc->name;
    near = str_nearest(name, names, p->count);
    (void)sonde_err_set(err, SONDE_ENOTFOUND,
                        "plugin \"%.*s\" is not known%s%s%s: no plugin of the "
                        "folders (%s) has that name%s%s",
                        SONDE_ARG(name), near ? ", did you mean \"" : "",
                        near ? near : "", near ? "\"" : "", p->folders,
                        p->refused_count ? "; refused there: "
                                         : "; `sonde plugins list` shows all",
                        p->refused_count ? p->refused[0].why : "");
    free(names);
    return SONDE_ENOTFOUND;
}

sonde_code plugin_find(const struct plugins *p, sonde_str name,
                       const struct plugin **out, struct sonde_err *err)
{
    *out = by_name(p, name);
    if (*out)
        return SONDE_OK;
    for (size_t i = 0; i < p->refused_count; i++) {
        if (is_file_of(p->refused[i].path, name))
            return sonde_err_set(err, SONDE_EUNAVAILABLE, "%s",
                                 p->refused[i].why);
    }
    return not_found(p, name, err);
}

size_t plugins_count(const struct plugins *p)
{
    return p->count;
}

const struct plugin *plugins_at(const struct plugins *p, size_t i)
{
    return i < p->count ? p->items[i] : NULL;
}

size_t plugins_refused_count(const struct plugins *p)
{
    return p->refused_count;
}

const char *plugins_refused_at(const struct plugins *p, size_t i,
                               const char **path)
{
    if (i >= p->refused_count)
        return NULL;
    if (path)
        *path = p->refused[i].path;
    return p->refused[i].why;
}
