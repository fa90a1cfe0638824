/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde tsdb list`: the table of promtool tsdb list. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/tsdb_cmd.h"
#include "util/clock.h"

#define COLUMNS  8
#define CELL_MIN 13 /* with the blanks behind it                           */
#define CELL_GAP 2

static const char *const titles[COLUMNS] = { "BLOCK ULID",  "MIN TIME",
                                             "MAX TIME",    "DURATION",
                                             "NUM SAMPLES", "NUM CHUNKS",
                                             "NUM SERIES",  "SIZE" };

struct table {
    struct arena arena;
    sonde_str (*rows)[COLUMNS];
    size_t count;
};

static sonde_str time_cell(struct arena *a, sonde_msec t, bool readable)
{
    time_t sec = (time_t)(t / 1000);
    struct tm tm;
    char text[64];

    if (!readable || !gmtime_r(&sec, &tm))
        return arena_printf(a, "%" PRId64, t);
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
    return arena_str(a, sonde_cstr(text));
}

/* 1MiB512KiB3B, all parts that are not 0. */
static sonde_str size_cell(struct arena *a, uint64_t bytes, bool readable)
{
    static const char units[] = "BKMGTPE";
    sonde_str s = { 0 };

    if (!readable || !bytes)
        return arena_printf(a, "%" PRIu64 "%s", bytes, readable ? "B" : "");
    for (int i = 6; i >= 0; i--) {
        uint64_t n = bytes >> (10 * i) & (i == 6 ? 15 : 1023);

        if (n)
            s = arena_printf(a, "%.*s%" PRIu64 "%c%s", SONDE_ARG(s), n,
                             units[i], i ? "iB" : "");
    }
    return s;
}

static void fill(struct table *t, const struct block *b, bool readable)
{
    const struct block_meta *m = block_meta(b);
    sonde_str *row = t->rows[t->count++];
    struct arena *a = &t->arena;
    struct buf d;

    buf_init(&d);
    print_duration(&d, m->maxt - m->mint);
    row[0] = sonde_cstr(m->ulid.text);
    row[1] = time_cell(a, m->mint, readable);
    row[2] = time_cell(a, m->maxt, readable);
    row[3] = arena_str(a, buf_str(&d));
    row[4] = arena_printf(a, "%" PRIu64, m->stats.samples);
    row[5] = arena_printf(a, "%" PRIu64, m->stats.chunks);
    row[6] = arena_printf(a, "%" PRIu64, m->stats.series);
    row[7] = size_cell(a, block_bytes(b), readable);
    buf_fini(&d);
}

static void print_table(const struct table *t)
{
    int width[COLUMNS];

    for (size_t c = 0; c < COLUMNS; c++) {
        width[c] = CELL_MIN;
        for (size_t r = 0; r < t->count; r++)
            if ((int)t->rows[r][c].len + CELL_GAP > width[c])
                width[c] = (int)t->rows[r][c].len + CELL_GAP;
    }
    for (size_t r = 0; r < t->count; r++)
        for (size_t c = 0; c < COLUMNS; c++)
            (void)printf("%-*.*s%s", c + 1 < COLUMNS ? width[c] : 0,
                         SONDE_ARG(t->rows[r][c]), c + 1 < COLUMNS ? "" : "\n");
}

static int list(const char *dir, bool readable)
{
    struct tsdb_blocks blocks;
    struct sonde_err err;
    struct table t = { 0 };
    bool failed;

    if (tsdb_blocks_open(dir, &blocks, NULL, NULL, &err) != SONDE_OK) {
        cli_error("%s", err.text);
        return CLI_FAILED;
    }
    arena_init(&t.arena);
    t.rows = arena_alloc_array(&t.arena, sizeof(*t.rows), blocks.count + 1);
    for (size_t c = 0; c < COLUMNS; c++)
        t.rows[0][c] = sonde_cstr(titles[c]);
    t.count = 1;
    for (size_t i = 0; i < blocks.count; i++)
        fill(&t, blocks.items[i], readable);
    print_table(&t);
    failed = blocks.failed;
    tsdb_blocks_close(&blocks);
    arena_fini(&t.arena);
    return failed ? CLI_FAILED : CLI_OK;
}

int tsdb_list(int argc, char **argv)
{
    bool readable = false;
    const char *dir = TSDB_DIR_DEFAULT;
    const struct arg rows[] = {
        { "human-readable", 'r', ARG_BOOL, &readable,
          "Times as dates, sizes with units." },
        { 0 },
    };
    const struct args args = {
        "sonde tsdb list [-r] [DIR]",
        "The blocks of a data directory (" TSDB_DIR_DEFAULT ").", rows, &dir, 1
    };
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    if (code == ARGS_GO)
        code = list(dir, readable);
    arena_fini(&a);
    return code;
}
