/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are. A program that was built but not installed finds its
 * plugins in the build tree: a config.status beside the program says that it
 * is one.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

static sonde_str program_folder(struct arena *a)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

    if (n <= 0 || (size_t)n == sizeof(path))
        return (sonde_str){ 0 };
    return arena_str(a, fs_dirname((sonde_str){ path, (size_t)n }));
}

/* plugins/NAME/.libs, where libtool leaves what it builds. */
static size_t build_tree_dirs(struct arena *a, sonde_str folder,
                              const char **dirs, size_t cap)
{
    const char *plugins = fs_join(a, folder, SONDE_STR("plugins"));
    struct fs_names names;
    size_t n = 0;

    if (fs_list(plugins, &names, NULL) != SONDE_OK)
        return 0;
    for (size_t i = 0; i < names.count && n < cap; i++) {
        const char *dir =
            arena_printf(a, "%s/%s/.libs", plugins, names.items[i]).ptr;

        if (strcmp(names.items[i], "example") != 0 && fs_exists(dir))
            dirs[n++] = dir;
    }
    fs_names_fini(&names);
    return n;
}

#define DIRS_MAX 64

void cli_plugin_dirs(struct arena *a, const struct sonde_list *given,
                     const char *const **dirs, size_t *n)
{
    const char **list = arena_array(a, const char *, given->count + DIRS_MAX);
    sonde_str folder = program_folder(a);

    *dirs = list;
    *n = given->count;
    for (size_t i = 0; i < given->count; i++)
        list[i] = arena_cstr(a, given->items[i]);
    if (given->count)
        return;
    if (folder.len && fs_exists(fs_join(a, folder, SONDE_STR("config.status"))))
        *n = build_tree_dirs(a, folder, list, DIRS_MAX);
    if (*n == 0) {
        list[0] = PLUGINDIR;
        *n = 1;
    }
}

void cli_take_plugin_path(struct arena *a, int *argc, char **argv,
                          struct sonde_list *out)
{
    static const sonde_str flag = { "--plugin.path", 13 };
    sonde_str *items = arena_array(a, sonde_str, (size_t)*argc + 1);
    int kept = 0;

    out->items = items;
    out->count = 0;
    for (int i = 0; i < *argc; i++) {
        sonde_str arg = sonde_cstr(argv[i]);

        if (sonde_str_eq(arg, flag) && i + 1 < *argc)
            items[out->count++] = sonde_cstr(argv[++i]);
        else if (str_starts(arg, SONDE_STR("--plugin.path=")))
            items[out->count++] = str_sub(arg, flag.len + 1, arg.len);
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    argv[kept] = NULL;
}
