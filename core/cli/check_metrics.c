/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde check metrics`: a page of metrics from standard input or files, as
 * promtool check metrics. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/lint.h"
#include "util/fs.h"

#define PAGE_MAX_BYTES ((size_t)1 << 30)

sonde_code check_read(const char *file, size_t max, struct buf *out,
                      struct sonde_err *err)
{
    char piece[65536];
    ssize_t n;

    if (strcmp(file, "-") != 0)
        return fs_read(file, max, out, err);
    out->limit = max;
    while ((n = read(STDIN_FILENO, piece, sizeof(piece))) > 0)
        buf_bytes(out, piece, (size_t)n);
    if (n < 0)
        return sonde_err_set(err, SONDE_EIO, "read standard input: %s",
                             strerror(errno));
    return buf_failed(out) ? sonde_err_set(err, SONDE_ELIMIT,
                                           "standard input: more than %zu "
                                           "bytes",
                                           max)
                           : SONDE_OK;
}

static void print_cardinality(const struct lint *l)
{
    size_t widest = sizeof("Metric") - 1;

    for (size_t i = 0; i < l->family_count; i++)
        if (l->families[i].name.len > widest)
            widest = l->families[i].name.len;
    (void)printf("%-*s  %11s  %10s\n", (int)widest, "Metric", "Cardinality",
                 "Percentage");
    for (size_t i = 0; i < l->family_count; i++)
        (void)printf("%-*.*s  %11zu  %9.2f%%\n", (int)widest,
                     SONDE_ARG(l->families[i].name), l->families[i].series,
                     100.0 * (double)l->families[i].series / (double)l->series);
    (void)printf("%-*s  %11zu  %9.2f%%\n", (int)widest, "Total", l->series,
                 l->series ? 100.0 : 0.0);
}

static int lint_page(struct arena *a, const char *file, bool extended)
{
    struct lint l = { 0 };
    struct sonde_err err;
    struct buf page;
    sonde_code rc;

    buf_init(&page);
    rc = check_read(file, PAGE_MAX_BYTES, &page, &err);
    if (rc == SONDE_OK)
        rc = lint_text(a, buf_str(&page), &l, &err);
    buf_fini(&page);
    if (rc != SONDE_OK) {
        cli_error("error while linting: %s", err.text);
        return CLI_FAILED;
    }
    for (size_t i = 0; i < l.count; i++)
        (void)fprintf(stderr, "%.*s %.*s\n", SONDE_ARG(l.problems[i].family),
                      SONDE_ARG(l.problems[i].text));
    if (extended)
        print_cardinality(&l);
    return l.count ? CLI_LINT : CLI_OK;
}

int check_metrics(int argc, char **argv)
{
    const char *file = "-";
    bool extended = false;
    const struct arg rows[] = {
        { "extended", 0, ARG_BOOL, &extended,
          "How many series each metric has, too." },
        { 0 },
    };
    const struct args args = {
        "sonde check metrics [--extended] [FILE]",
        "Reads metrics in the text format from a file or standard input and "
        "says what goes\nagainst Prometheus' conventions, one problem a line "
        "on standard error. Exit code\n3: there are problems; 1: it can not be "
        "read.\n\n"
        "  curl -s http://localhost:9090/metrics | sonde check metrics",
        rows, &file, 1
    };
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    if (code == ARGS_GO)
        code = lint_page(&a, file, extended);
    arena_fini(&a);
    return code;
}
