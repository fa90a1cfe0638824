/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of flags for people: --help, and its part of the reference
 * documentation. Flags without effect are listed by name only in the help,
 * so that what matters fits on a screen.
 */
#include <string.h>

#include "cli/flags.h"
#include "cli/flags_table.h"

#define HELP_INDENT 8
#define HELP_WIDTH  79

static const char *placeholder(const struct flag *f)
{
    switch (f->kind) {
    case FLAG_BOOL:
        return NULL;
    case FLAG_INT:
        return "NUMBER";
    case FLAG_DURATION:
        return "DURATION";
    case FLAG_SIZE:
        return "SIZE";
    default:
        return "TEXT";
    }
}

/* Words of `text`, the lines no longer than `width`. */
static void put_wrapped(struct buf *b, const char *text, size_t indent)
{
    size_t column = HELP_WIDTH; /* so that the first word begins a line */

    while (*text) {
        size_t n = strcspn(text, " ");

        if (column + 1 + n > HELP_WIDTH) {
            if (column != HELP_WIDTH || b->len == 0 ||
                b->data[b->len - 1] != '\n')
                buf_char(b, '\n');
            buf_printf(b, "%*s", (int)indent, "");
            column = indent;
        } else {
            buf_char(b, ' ');
            column++;
        }
        buf_bytes(b, text, n);
        column += n;
        text += n + strspn(text + n, " ");
    }
    buf_char(b, '\n');
}

static void put_choices(struct buf *b, const struct flag *f)
{
    for (size_t i = 0; f->choices[i]; i++)
        buf_printf(b, "%s%s", i ? "|" : "", f->choices[i]);
}

static void put_flag(struct buf *b, const struct flag *f)
{
    buf_cstr(b, "  ");
    if (f->letter)
        buf_printf(b, "-%c, ", f->letter);
    buf_printf(b, "--%s%s", f->kind == FLAG_BOOL && !f->letter ? "[no-]" : "",
               f->name);
    if (f->choices) {
        buf_char(b, '=');
        put_choices(b, f);
    } else if (f->kind != FLAG_BOOL) {
        buf_printf(b, "=%s", placeholder(f));
    }
    if (f->fallback &&
        (f->kind != FLAG_BOOL || strcmp(f->fallback, "true") == 0))
        buf_printf(b, " (%s)", f->fallback);
    buf_char(b, '\n');
    put_wrapped(b, f->help, HELP_INDENT);
}

static void put_names(struct buf *b, enum flag_group group)
{
    struct buf names;

    buf_init(&names);
    for (size_t i = 0; i < flag_count; i++)
        if (flag_rows[i].group == group)
            buf_printf(&names, "--%s ", flag_rows[i].name);
    buf_char(&names, 0);
    put_wrapped(b, names.data, 2);
    buf_fini(&names);
}

void flags_help(struct buf *b)
{
    for (int g = 0; g < FLAG_GROUPS; g++) {
        buf_printf(b, "%s%s:\n", g ? "\n" : "", flag_group_title(g));
        if (g == FLAG_NO_EFFECT) {
            put_names(b, g);
            continue;
        }
        for (size_t i = 0; i < flag_count; i++)
            if (flag_rows[i].group == (enum flag_group)g)
                put_flag(b, &flag_rows[i]);
    }
}

/* ---- documentation ----------------------------------------------------- */

static void put_cell(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_char(b, '\\');
        buf_char(b, *text);
    }
}

static void document_flag(struct buf *b, const struct flag *f)
{
    buf_printf(b, "| `--%s` | ", f->name);
    if (f->fallback)
        buf_printf(b, "`%s`", f->fallback);
    buf_cstr(b, " | ");
    put_cell(b, f->help);
    if (f->choices) {
        buf_cstr(b, " (");
        for (size_t i = 0; f->choices[i]; i++)
            buf_printf(b, "%s`%s`", i ? ", " : "", f->choices[i]);
        buf_char(b, ')');
    }
    if (f->mode != FLAG_ANY)
        buf_cstr(b, f->mode == FLAG_SERVER ? ". Server only" : ". Agent only");
    buf_cstr(b, " |\n");
}

void flags_document(struct buf *b)
{
    for (int g = 0; g < FLAG_GROUPS; g++) {
        buf_printf(b, "\n### %s\n\n| Flag | Default | |\n| --- | --- | --- |\n",
                   flag_group_title(g));
        for (size_t i = 0; i < flag_count; i++)
            if (flag_rows[i].group == (enum flag_group)g)
                document_flag(b, &flag_rows[i]);
    }
}
