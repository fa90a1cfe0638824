/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One plugin file: may it be loaded, and is it a plugin.
 *
 * Loading a shared object runs its code with the agent's rights, so the
 * question of who can write it comes first: the file and its folder must
 * belong to root or to the agent's own user, and nobody else may write them
 * (a group may if it is the agent's own). Symlinks are resolved before, and
 * the resolved path is what is checked and opened. Between the check and
 * dlopen only those could swap the file who could have written it anyway, so
 * there is no race to lose.
 *
 * RTLD_NOW, so that a missing symbol is an error here and not in the middle
 * of a collection; RTLD_LOCAL, so that two plugins with the same inner names
 * do not meet.
 *
 * Each refusal names the file and says what to do about it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/plugin_int.h"
#include "util/fs.h"
#include "util/mem.h"

static sonde_code check_owner(const struct stat *st, const char *what,
                              const char *path, struct sonde_err *err)
{
    if (st->st_uid == 0 || st->st_uid == geteuid())
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EACCESS,
                         "%s %s belongs to user %ld, expected root or the "
                         "agent's own user %ld: chown root '%s'",
                         what, path, (long)st->st_uid, (long)geteuid(), path);
}

static sonde_code check_mode(const struct stat *st, const char *what,
                             const char *path, struct sonde_err *err)
{
    if (st->st_mode & S_IWOTH)
        return sonde_err_set(err, SONDE_EACCESS,
                             "%s %s can be written by everybody (mode %04o): "
                             "chmod go-w '%s'",
                             what, path, (unsigned)st->st_mode & 07777u, path);
    if ((st->st_mode & S_IWGRP) && st->st_gid != getegid())
        return sonde_err_set(err, SONDE_EACCESS,
                             "%s %s can be written by group %ld (mode %04o): "
                             "chmod g-w '%s'",
                             what, path, (long)st->st_gid,
                             (unsigned)st->st_mode & 07777u, path);
    return SONDE_OK;
}

static sonde_code check_writers(const char *what, const char *path, bool folder,
                                struct sonde_err *err)
{
    struct stat st;
    sonde_code rc;

    if (stat(path, &st) != 0)
        return fs_err(err, errno, "stat", path);
    if (folder ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        return sonde_err_set(err, SONDE_EINVAL, "%s %s is not a plain %s", what,
                             path, folder ? "folder" : "file");
    rc = check_owner(&st, what, path, err);
    return rc != SONDE_OK ? rc : check_mode(&st, what, path, err);
}

static sonde_code check_folder_of(const char *path, struct sonde_err *err)
{
    char *folder = mem_strdup(fs_dirname(sonde_cstr(path)));
    sonde_code rc = check_writers("the folder", folder, true, err);

    free(folder);
    return rc;
}

/* `path` is as found, `real` without symlinks: who can write the folder of a
 * link chooses what it points to. */
static sonde_code check_file(const char *path, const char *real,
                             struct sonde_err *err)
{
    sonde_code rc = check_folder_of(path, err);

    if (rc == SONDE_OK)
        rc = check_folder_of(real, err);
    if (rc == SONDE_OK)
        rc = check_writers("the file", real, false, err);
    if (rc != SONDE_OK)
        (void)sonde_err_prefix(err, "plugin file %s is refused", path);
    return rc;
}

typedef const struct sonde_plugin *entry_fn(const struct sonde_host *host);

static sonde_code load_desc(struct plugin *p, struct sonde_err *err)
{
    entry_fn *entry;

    p->dl = dlopen(p->path, RTLD_NOW | RTLD_LOCAL);
    if (!p->dl)
        return sonde_err_set(err, SONDE_EINVAL,
                             "plugin file %s does not load: %s: install what "
                             "it needs, or rebuild it on this machine",
                             p->path, dlerror());
    *(void **)&entry = dlsym(p->dl, "sonde_plugin_entry");
    if (!entry)
        return sonde_err_set(err, SONDE_EINVAL,
                             "plugin file %s is refused: it has no function "
                             "sonde_plugin_entry: no plugin, or built with "
                             "that symbol hidden (see SONDE_EXPORT); move "
                             "other libraries out of the folder",
                             p->path);
    p->desc = entry(plugin_host());
    if (!p->desc)
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "plugin file %s is refused: it declined this "
                             "agent (interface %u.%u): see the plugin's "
                             "documentation",
                             p->path, SONDE_ABI_MAJOR, SONDE_ABI_MINOR);
    return plugin_check_desc(p->desc, p->path, err);
}

sonde_code plugin_load(const char *path, struct plugin **out,
                       struct sonde_err *err)
{
    struct sonde_err local;
    struct plugin *p;
    char *real;
    sonde_code rc;

    if (!err)
        err = &local;
    real = realpath(path, NULL);
    if (!real)
        return fs_err(err, errno, "open plugin", path);
    p = mem_new(struct plugin);
    p->path = real;
    rc = check_file(path, p->path, err);
    if (rc == SONDE_OK)
        rc = load_desc(p, err);
    if (rc != SONDE_OK) {
        plugin_unload(p);
        return rc;
    }
    *out = p;
    return SONDE_OK;
}

void plugin_unload(struct plugin *p)
{
    if (!p)
        return;
    if (p->dl)
        (void)dlclose(p->dl);
    free(p->path);
    free(p);
}

const struct sonde_plugin *plugin_desc(const struct plugin *p)
{
    return p->desc;
}

const char *plugin_path(const struct plugin *p)
{
    return p->path;
}

const struct sonde_family *plugin_family(const struct plugin *p, size_t i)
{
    const char *rows = (const char *)p->desc->families;

    if (i >= p->desc->family_count)
        return NULL;
    return (
        const struct sonde_family *)(const void *)(rows +
                                                   i * p->desc->family_size);
}

bool plugin_is_fetch(const struct plugin *p)
{
    return p->desc->plan != NULL;
}

#define DESC_HAS(d, f)                                                         \
    ((d)->struct_size >= offsetof(struct sonde_plugin, f) + sizeof((d)->f))

size_t plugin_collector_count(const struct plugin *p)
{
    return DESC_HAS(p->desc, collector_size) && p->desc->collectors
               ? p->desc->collector_count
               : 0;
}

const struct sonde_collector *plugin_collector(const struct plugin *p, size_t i)
{
    const char *rows;

    if (i >= plugin_collector_count(p))
        return NULL;
    rows = (const char *)p->desc->collectors;
    return (const struct sonde_collector
                *)(const void *)(rows + i * p->desc->collector_size);
}
