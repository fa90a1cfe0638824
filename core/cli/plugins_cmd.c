/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plugins there are, and what they say of themselves.
 *
 * Everything is printed from the plugins' own tables by plugin/show.c; here
 * are only the words of the command line. `list` also shows the files that
 * were refused and why, so the registry's log lines about them are held back.
 */
#include "cli/plugins_cmd.h"

#include <stdio.h>
#include <string.h>

#include "plugin/plugin.h"
#include "util/log.h"

static int usage(FILE *to, int code)
{
    (void)fputs("usage: sonde plugins list\n"
                "       sonde plugins show NAME\n"
                "       sonde plugins sample NAME\n"
                "\n"
                "list    the plugins found, and the files that were refused\n"
                "show    a plugin's options and metrics\n"
                "sample  a snippet for conf.d that works as it stands\n",
                to);
    return code;
}

/* Writes the text out; failure to write (a full disk) is an error. */
static int put(struct buf *b)
{
    bool ok = fwrite(b->data, 1, b->len, stdout) == b->len;

    return fflush(stdout) == 0 && ok ? 0 : 1;
}

static void list(struct buf *b, const struct plugins *all)
{
    buf_printf(b, "%-16s %-10s %-8s %s\n", "NAME", "VERSION", "FORM",
               "SUMMARY");
    for (size_t i = 0; i < plugins_count(all); i++) {
        const struct plugin *p = plugins_at(all, i);
        const struct sonde_plugin *d = plugin_desc(p);

        buf_printf(b, "%-16s %-10s %-8s %s\n", d->name, d->version,
                   plugin_is_fetch(p) ? "fetch" : "collect", d->summary);
    }
    for (size_t i = 0; i < plugins_refused_count(all); i++)
        buf_printf(b, "%s%s\n", i == 0 ? "\nNot loaded:\n" : "",
                   plugins_refused_at(all, i, NULL));
}

static int print_one(struct buf *b, const struct plugins *all,
                     const char *command, const char *name)
{
    const struct plugin *p;
    struct sonde_err err;

    if (plugin_find(all, sonde_cstr(name), &p, &err) != SONDE_OK) {
        (void)fprintf(stderr, "sonde plugins %s: %s\n", command, err.text);
        return 1;
    }
    if (strcmp(command, "show") == 0)
        plugin_show(b, p);
    else
        plugin_sample(b, p);
    return 0;
}

static bool is_one_of(const char *s, const char *a, const char *b)
{
    return strcmp(s, a) == 0 || strcmp(s, b) == 0;
}

int cli_plugins(int argc, char *const *argv, const char *const *plugin_dirs,
                size_t n)
{
    struct plugins *all;
    struct buf b;
    int code = 0;
    bool is_list;

    if (argc >= 2 && is_one_of(argv[1], "--help", "-h"))
        return usage(stdout, 0);
    is_list = argc == 2 && strcmp(argv[1], "list") == 0;
    if (!is_list && !(argc == 3 && is_one_of(argv[1], "show", "sample")))
        return usage(stderr, 2);
    log_setup(LOG_ERROR, LOG_LOGFMT);
    all = plugins_new(plugin_dirs, n);
    buf_init(&b);
    if (is_list)
        list(&b, all);
    else
        code = print_one(&b, all, argv[1], argv[2]);
    if (code == 0)
        code = put(&b);
    buf_fini(&b);
    plugins_free(all);
    return code;
}
