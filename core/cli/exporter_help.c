/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde exporter NAME --help`, printed from the tables. */
#include <string.h>

#include "cli/exporter_flags.h"
#include "util/str.h"

#define HELP_COLUMN 8
#define LINE_BYTES  78

static const char *value_name(const struct exporter_flag *flag)
{
    switch (flag->row.kind) {
    case SONDE_OPT_KIND_BOOL:
        return "";
    case SONDE_OPT_KIND_INT:
        return "=NUMBER";
    case SONDE_OPT_KIND_FLOAT:
        return "=NUMBER";
    case SONDE_OPT_KIND_DURATION:
        return "=DURATION";
    case SONDE_OPT_KIND_SIZE:
        return "=SIZE";
    case SONDE_OPT_KIND_FILE:
        return "=FILE";
    case SONDE_OPT_KIND_STR:
    case SONDE_OPT_KIND_SECRET:
    case SONDE_OPT_KIND_LIST:
        break;
    }
    return "=TEXT";
}

static void put_word(struct buf *b, size_t *column, sonde_str word)
{
    if (*column > HELP_COLUMN && *column + 1 + word.len > LINE_BYTES) {
        buf_char(b, '\n');
        *column = 0;
    }
    if (*column == 0) {
        buf_printf(b, "%*s", HELP_COLUMN, "");
        *column = HELP_COLUMN;
    } else {
        buf_char(b, ' ');
        (*column)++;
    }
    buf_put(b, word);
    *column += word.len;
}

static void put_text(struct buf *b, size_t *column, const char *text)
{
    sonde_str rest = sonde_cstr(text), word;

    while (str_split(&rest, ' ', &word))
        if (word.len)
            put_word(b, column, word);
}

static void put_flag(struct buf *b, const struct exporter_flag *flag)
{
    const struct sonde_flag *row = &flag->row;
    size_t column = 0;

    buf_cstr(b, "  ");
    if (row->letter)
        buf_printf(b, "-%c, ", row->letter);
    buf_printf(b, "--%s%s%s",
               row->kind == SONDE_OPT_KIND_BOOL && flag->role < OWN_HELP
                   ? "[no-]"
                   : "",
               row->name, value_name(flag));
    if (row->flags & SONDE_FLAG_REPEATED)
        buf_cstr(b, " ...");
    buf_char(b, '\n');
    if (row->help)
        put_text(b, &column, row->help);
    if (flag->role == SONDE_FLAG_UNUSED)
        put_text(b, &column, "(no effect)");
    if (row->fallback && *row->fallback)
        put_text(b, &column, "(default");
    if (row->fallback && *row->fallback) {
        put_text(b, &column, row->fallback);
        buf_char(b, ')');
    }
    if (row->env) {
        put_text(b, &column, "($");
        buf_cstr(b, row->env);
        buf_char(b, ')');
        column += strlen(row->env) + 1;
    }
    if (column)
        buf_char(b, '\n');
}

void exporter_help(struct buf *b, const char *plugin,
                   const struct exporter_flags *f)
{
    bool own = false;

    buf_printf(b,
               "usage: sonde exporter %s [FLAGS]\n\n"
               "Takes the place of %s: its flags, its pages, its metrics. No "
               "configuration\nfile is read.\n\n"
               "Flags of %s (one dash or two; the command line wins over the\n"
               "environment):\n",
               plugin, f->exporter->name, f->exporter->name);
    for (size_t i = 0; i < f->count; i++) {
        const struct exporter_flag *flag = &f->rows[i];

        if (flag->row.flags & SONDE_FLAG_HIDDEN)
            continue;
        if (flag->own && !own)
            buf_cstr(b, "\nFlags of sonde:\n");
        own = flag->own;
        put_flag(b, flag);
    }
}
