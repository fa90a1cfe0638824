/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde check query`: whether PromQL parses, and where it does not. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/query_cmd.h"
#include "promql/promql.h"
#include "util/str.h"

#define TEXT_MAX_BYTES ((size_t)1 << 20)

/* The line of that number (from 1), without its end; empty if there is none. */
static sonde_str line_of(sonde_str text, size_t number)
{
    sonde_str line = { 0 };

    while (number-- > 0)
        if (!str_split(&text, '\n', &line))
            return SONDE_STR("");
    return line;
}

void check_query_place(struct buf *b, sonde_str text, const char *message)
{
    unsigned row, column;
    sonde_str line;
    size_t before;

    if (sscanf(message, "%u:%u:", &row, &column) != 2 || row == 0 ||
        column == 0)
        return;
    line = line_of(text, row);
    before = column - 1 < line.len ? column - 1 : line.len;
    buf_cstr(b, "  ");
    buf_put(b, line);
    buf_cstr(b, "\n  ");
    /* Tabs stay tabs, so that the caret comes under its place. */
    for (size_t i = 0; i < before; i++)
        if (line.ptr[i] == '\t')
            buf_char(b, '\t');
        else if (((unsigned char)line.ptr[i] & 0xC0) != 0x80)
            buf_char(b, ' ');
    buf_cstr(b, "^\n");
}

static int check_text(struct arena *a, sonde_str text, unsigned features,
                      bool format)
{
    const struct promql_limits limits = { .features = features };
    struct promql_expr *e = NULL;
    struct sonde_err err;
    struct buf b;
    sonde_code rc = promql_parse(a, text, &limits, &e, &err);

    buf_init(&b);
    if (rc != SONDE_OK) {
        check_query_place(&b, text, err.text);
        (void)fprintf(stderr, "%s\n%.*s", err.text, (int)b.len,
                      b.data ? b.data : "");
    } else if (format) {
        promql_print(&b, e);
        (void)printf("%.*s\n", (int)b.len, b.data);
    } else {
        (void)printf("ok: %s\n", promql_type_name(e->type));
    }
    buf_fini(&b);
    if (e)
        promql_fini(e);
    return rc == SONDE_OK ? CLI_OK : CLI_FAILED;
}

static int check_file(struct arena *a, const char *file, unsigned features,
                      bool format)
{
    struct sonde_err err;
    struct buf text;
    int code = CLI_FAILED;

    buf_init(&text);
    if (check_read(file, TEXT_MAX_BYTES, &text, &err) == SONDE_OK)
        code = check_text(a, buf_str(&text), features, format);
    else
        cli_error("%s", err.text);
    buf_fini(&text);
    return code;
}

int check_query(int argc, char **argv)
{
    const char *text = NULL, *file = NULL;
    struct sonde_list given = { 0 };
    bool format = false;
    const struct arg rows[] = {
        { "file", 'f', ARG_TEXT, &file,
          "The expression is in this file; - is "
          "standard input." },
        { "format", 0, ARG_BOOL, &format, "Prints its canonical form." },
        { "enable-feature", 0, ARG_TEXTS, &given,
          "Parts of PromQL, as the server's flag." },
        { 0 },
    };
    const struct args args = { "sonde check query [FLAGS] EXPR|-f FILE",
                               "Reads a PromQL expression and says its type, "
                               "or what is wrong and where.\nExit code 1: it "
                               "does not parse.",
                               rows, &text, 1 };
    unsigned features = 0;
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    if (code == ARGS_GO && !text == !file) {
        cli_error("an expression or a file; usage: %s", args.usage);
        code = CLI_USAGE;
    }
    if (code == ARGS_GO && !query_features(&given, &features))
        code = CLI_USAGE;
    if (code == ARGS_GO)
        code = file ? check_file(&a, file, features, format)
                    : check_text(&a, sonde_cstr(text), features, format);
    arena_fini(&a);
    return code;
}
