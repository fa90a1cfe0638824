/* SPDX-License-Identifier: Apache-2.0 */
/* See args.h. */
#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "model/number.h"
#include "util/str.h"

#define HELP_COLUMN 28
#define TEXTS_MAX   256

static const char *placeholder(enum arg_kind kind)
{
    static const char *const texts[] = { [ARG_BOOL] = "",
                                         [ARG_TEXT] = "=TEXT",
                                         [ARG_TEXTS] = "=TEXT",
                                         [ARG_INT] = "=NUMBER",
                                         [ARG_DURATION] = "=DURATION",
                                         [ARG_SIZE] = "=SIZE" };

    return texts[kind];
}

static void print_help(const struct args *args)
{
    (void)printf("usage: %s\n\n%s\n", args->usage, args->help);
    if (args->rows[0].name)
        (void)printf("\n");
    for (const struct arg *row = args->rows; row->name; row++) {
        char letter[8] = "";
        int n;

        if (row->letter)
            (void)snprintf(letter, sizeof(letter), "-%c, ", row->letter);
        n = printf("  %s--%s%s", letter, row->name, placeholder(row->kind));
        (void)printf("%*s%s\n", n < HELP_COLUMN ? HELP_COLUMN - n : 2, "",
                     row->help);
    }
}

static int wrong(const struct args *args, const char *why, const char *what)
{
    cli_error("%s%s; usage: %s", why, what, args->usage);
    return CLI_USAGE;
}

static const struct arg *find(const struct args *args, sonde_str name)
{
    for (const struct arg *row = args->rows; row->name; row++) {
        if (name.len == 2 && name.ptr[0] == '-' && row->letter &&
            name.ptr[1] == row->letter)
            return row;
        if (str_starts(name, SONDE_STR("--")) &&
            str_eq_cstr(str_sub(name, 2, name.len), row->name))
            return row;
    }
    return NULL;
}

static void add_text(struct arena *a, struct sonde_list *list,
                     const char *value)
{
    sonde_str *items = arena_array(a, sonde_str, list->count + 1);

    if (list->count)
        memcpy(items, list->items, list->count * sizeof(*items));
    items[list->count++] = sonde_cstr(value);
    list->items = items;
}

static bool store(struct arena *a, const struct arg *row, const char *value)
{
    sonde_str s = sonde_cstr(value);

    switch (row->kind) {
    case ARG_BOOL:
        *(bool *)row->out = true;
        return true;
    case ARG_TEXT:
        *(const char **)row->out = value;
        return true;
    case ARG_TEXTS:
        if (((struct sonde_list *)row->out)->count >= TEXTS_MAX)
            return false;
        add_text(a, row->out, value);
        return true;
    case ARG_INT:
        return str_to_i64(s, row->out);
    case ARG_DURATION:
        return duration_parse(s, row->out);
    case ARG_SIZE:
        return size_parse(s, row->out);
    }
    return false;
}

/* Reads the flag at argv[*i]; moves it over a value of its own. */
static int read_flag(struct arena *a, const struct args *args, int argc,
                     char **argv, int *i)
{
    sonde_str text = sonde_cstr(argv[*i]);
    size_t eq = str_index(text, '=');
    const struct arg *row = find(args, str_sub(text, 0, eq));
    const char *value = "";

    if (!row)
        return wrong(args, "unknown flag ", argv[*i]);
    if (eq < text.len) {
        if (row->kind == ARG_BOOL)
            return wrong(args, "no value is taken by ", argv[*i]);
        value = argv[*i] + eq + 1;
    } else if (row->kind != ARG_BOOL) {
        if (*i + 1 == argc)
            return wrong(args, "a value is missing after ", argv[*i]);
        value = argv[++*i];
    }
    return store(a, row, value)
               ? ARGS_GO
               : wrong(args, "not a value of its kind: ", argv[*i]);
}

int args_read(struct arena *a, const struct args *args, int argc, char **argv)
{
    size_t rest = 0;
    bool flags = true;

    for (int i = 1; i < argc; i++) {
        bool flag = flags && argv[i][0] == '-' && argv[i][1];
        int code = ARGS_GO;

        if (flag && strcmp(argv[i], "--") == 0)
            flags = false;
        else if (flag && (strcmp(argv[i], "--help") == 0 ||
                          strcmp(argv[i], "-h") == 0)) {
            print_help(args);
            return CLI_OK;
        } else if (flag)
            code = read_flag(a, args, argc, argv, &i);
        else if (rest == args->rest_max)
            code = wrong(args, "one argument too many: ", argv[i]);
        else
            args->rest[rest++] = argv[i];
        if (code != ARGS_GO)
            return code;
    }
    return ARGS_GO;
}
