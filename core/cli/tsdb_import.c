/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde tsdb import`: text with timestamps into blocks. The whole input is
 * read before the first block is made, so that an error in it leaves nothing
 * behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/import_spill.h"
#include "cli/tsdb_cmd.h"
#include "expo/expo.h"
#include "util/fs.h"
#include "util/str.h"

#define PIECE_BYTES    (256u << 10)
#define WINDOW_DEFAULT (2 * 60 * 60 * 1000)
#define MEMORY_DEFAULT (256 << 20)
#define MEMORY_MIN     (1 << 20)

struct import {
    const char *file, *dir, *format;
    int64_t memory;
    sonde_msec window_ms;
    bool quiet;
    struct sonde_list extra; /* NAME=VALUE                                */
    enum expo_format expo;
    struct spill spill;
    struct progress progress;
    struct arena scratch;
    size_t blocks;
};

/* ---- lines -------------------------------------------------------------- */

static sonde_code new_series(struct import *im, const struct expo_sample *s,
                             struct spill_series **out, struct sonde_err *err)
{
    struct labels_builder lb;
    struct labels labels;
    sonde_code rc;

    arena_reset(&im->scratch);
    labels_builder_init(&lb, &im->scratch);
    rc = expo_series(s->series, im->expo, &lb, err);
    if (rc != SONDE_OK)
        return rc;
    expo_normalise_bounds(&lb, s->type);
    for (size_t i = 0; i < im->extra.count; i++) {
        sonde_str pair = im->extra.items[i];
        size_t eq = str_index(pair, '=');

        labels_builder_set(&lb, str_sub(pair, 0, eq),
                           str_sub(pair, eq + 1, pair.len));
    }
    labels = labels_builder_view(&lb);
    *out = spill_add(&im->spill, s->series, &labels);
    return SONDE_OK;
}

static sonde_code on_sample(void *arg, const struct expo_sample *s,
                            struct sonde_err *err)
{
    struct import *im = arg;
    struct spill_series *series = spill_find(&im->spill, s->series);
    sonde_code rc = SONDE_OK;

    if (!s->has_t)
        return sonde_err_set(err, SONDE_EPARSE, "%.*s has no timestamp",
                             SONDE_ARG(s->series));
    if (!series)
        rc = new_series(im, s, &series, err);
    return rc == SONDE_OK
               ? spill_sample(&im->spill, series, s->t, s->value, err)
               : rc;
}

/* ---- the file ----------------------------------------------------------- */

static sonde_code scan_fd(struct import *im, int fd, struct sonde_err *err)
{
    static char piece[PIECE_BYTES];
    const struct expo_handler handler = { .sample = on_sample, .arg = im };
    struct expo_scanner scanner;
    sonde_code rc = SONDE_OK;

    expo_scanner_init(&scanner, im->expo, &handler);
    while (rc == SONDE_OK) {
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = fs_err(err, errno, "read", im->file);
        if (n <= 0)
            break;
        rc = expo_scan(&scanner, (sonde_str){ piece, (size_t)n }, err);
        progress_add(&im->progress, (uint64_t)n);
    }
    if (rc == SONDE_OK)
        rc = expo_scan_end(&scanner, err);
    expo_scanner_fini(&scanner);
    return rc;
}

static sonde_code read_input(struct import *im, struct sonde_err *err)
{
    bool is_stdin = strcmp(im->file, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(im->file, O_RDONLY | O_CLOEXEC);
    struct stat st;
    sonde_code rc;

    if (fd < 0)
        return fs_err(err, errno, "open", im->file);
    progress_begin(
        &im->progress, "reading", PROGRESS_BYTES,
        fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
    im->progress.quiet = im->quiet;
    rc = scan_fd(im, fd, err);
    progress_end(&im->progress);
    if (!is_stdin)
        (void)close(fd);
    return rc == SONDE_OK ? spill_run(&im->spill, err) : rc;
}

static void on_block(void *arg, const struct block_meta *m)
{
    struct import *im = arg;

    im->blocks++;
    if (im->quiet)
        return;
    (void)printf("%s  %" PRId64 "  %" PRId64 "  %" PRIu64 " samples  %" PRIu64
                 " series\n",
                 m->ulid.text, m->mint, m->maxt, m->stats.samples,
                 m->stats.series);
    (void)fflush(stdout);
}

static sonde_code write_blocks(struct import *im, struct sonde_err *err)
{
    sonde_code rc;

    progress_begin(&im->progress, "writing blocks", PROGRESS_COUNT,
                   im->spill.section_count);
    im->progress.quiet = im->quiet;
    rc = spill_merge(&im->spill, &im->progress, on_block, im, err);
    progress_end(&im->progress);
    return rc;
}

static sonde_code import(struct import *im, struct sonde_err *err)
{
    sonde_code rc = fs_mkdirs(im->dir, 0777, err);

    if (rc == SONDE_OK)
        rc = spill_init(&im->spill, im->dir, im->window_ms, (size_t)im->memory,
                        err);
    if (rc == SONDE_OK)
        rc = read_input(im, err);
    return rc == SONDE_OK ? write_blocks(im, err) : rc;
}

/* ---- the command -------------------------------------------------------- */

static int run(struct import *im)
{
    struct sonde_err err;
    sonde_code rc;

    arena_init(&im->scratch);
    rc = import(im, &err);
    if (rc != SONDE_OK)
        cli_error("import %s: %s", im->file, err.text);
    else if (!im->quiet)
        (void)printf("%" PRIu64 " samples, %" PRIu64
                     " of them twice, in %zu blocks\n",
                     im->spill.samples, im->spill.duplicates, im->blocks);
    spill_fini(&im->spill);
    arena_fini(&im->scratch);
    return rc == SONDE_OK ? CLI_OK : CLI_FAILED;
}

static const char *wrong(const struct import *im)
{
    if (!im->file)
        return "which file?";
    if (strcmp(im->format, "openmetrics") != 0 &&
        strcmp(im->format, "text") != 0)
        return "--format is openmetrics or text";
    if (im->window_ms < 1)
        return "--block-duration is more than 0";
    if (im->memory < MEMORY_MIN)
        return "--memory is 1MB at least";
    for (size_t i = 0; i < im->extra.count; i++) {
        size_t eq = str_index(im->extra.items[i], '=');

        if (eq == 0 || eq == im->extra.items[i].len)
            return "--label is NAME=VALUE";
    }
    return NULL;
}

int tsdb_import(int argc, char **argv)
{
    struct import im = { .format = "openmetrics",
                         .memory = MEMORY_DEFAULT,
                         .window_ms = WINDOW_DEFAULT,
                         .spill.fd = -1 };
    const char *rest[2] = { NULL, TSDB_DIR_DEFAULT }, *why;
    const struct arg rows[] = {
        { "format", 0, ARG_TEXT, &im.format,
          "openmetrics, or text (0.0.4, milliseconds)." },
        { "label", 0, ARG_TEXTS, &im.extra,
          "NAME=VALUE to add to all series; may be repeated." },
        { "block-duration", 0, ARG_DURATION, &im.window_ms,
          "What a block spans (2h)." },
        { "memory", 0, ARG_SIZE, &im.memory,
          "What may be used before samples go to disk (256MB)." },
        { "quiet", 'q', ARG_BOOL, &im.quiet, "Print nothing but errors." },
        { 0 },
    };
    const struct args args = {
        "sonde tsdb import [FLAGS] FILE [DIR]",
        "Makes blocks in DIR (" TSDB_DIR_DEFAULT
        ") of samples with timestamps in FILE (- is standard\ninput), in any "
        "order and number. A server that runs on DIR takes them up by\n"
        "itself or at its next start.",
        rows, rest, 2
    };
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    im.file = rest[0];
    im.dir = rest[1];
    if (code == ARGS_GO && (why = wrong(&im))) {
        cli_error("%s; usage: %s", why, args.usage);
        code = CLI_USAGE;
    }
    im.expo = strcmp(im.format, "text") == 0 ? EXPO_TEXT : EXPO_OPENMETRICS;
    if (code == ARGS_GO)
        code = run(&im);
    arena_fini(&a);
    return code;
}
