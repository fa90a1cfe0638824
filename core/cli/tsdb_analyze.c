/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde tsdb analyze`: what promtool tsdb analyze prints, and what a sample
 * costs. Of each question only the largest answers are kept, so that memory
 * is 12 bytes a series however many label pairs there are: a pair's share is
 * summed up along its postings, which point into an array by series.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/tsdb_cmd.h"
#include "util/mem.h"

#define LIMIT_DEFAULT 20

/* The largest of all that was offered. */
struct top {
    struct top_item {
        uint64_t metric;
        char *key;
    } * items; /* falling                                                 */
    size_t count, limit;
};

struct analysis {
    const struct block *block;
    struct block_postings all;
    uint64_t *uncovered; /* ms of the block's range, by place in `all`    */
    uint64_t range_ms;
    uint64_t chunk_bytes, pairs, entries, names;
    struct top pair_churn, name_churn, common, length, values, metrics;
    sonde_str name; /* whose values are walked                            */
    uint64_t name_uncovered, name_length, name_values;
    struct block_series series;
    struct sonde_err err;
    sonde_code failed;
};

/* ---- the largest -------------------------------------------------------- */

static bool before(const struct top_item *x, uint64_t metric, const char *key)
{
    return x->metric != metric ? x->metric > metric : strcmp(x->key, key) <= 0;
}

static void top_insert(struct top *t, uint64_t metric, char *key)
{
    size_t at = t->count;

    while (at && !before(&t->items[at - 1], metric, key))
        at--;
    if (t->count == t->limit)
        free(t->items[--t->count].key);
    memmove(t->items + at + 1, t->items + at,
            (t->count - at) * sizeof(*t->items));
    t->items[at] = (struct top_item){ metric, key };
    t->count++;
}

/* `value` without a pointer: the key is `name` alone. */
static void top_offer(struct top *t, uint64_t metric, sonde_str name,
                      sonde_str value)
{
    struct buf key;

    if (!t->limit ||
        (t->count == t->limit && t->items[t->count - 1].metric > metric))
        return;
    buf_init(&key);
    buf_put(&key, name);
    if (value.ptr) {
        buf_char(&key, '=');
        buf_put(&key, value);
    }
    buf_char(&key, 0);
    if (t->count == t->limit &&
        before(&t->items[t->count - 1], metric, key.data))
        buf_fini(&key);
    else
        top_insert(t, metric, buf_take(&key));
}

static void top_print(const struct top *t, const char *title)
{
    (void)printf("\n%s:\n", title);
    for (size_t i = 0; i < t->count; i++)
        (void)printf("%" PRIu64 " %s\n", t->items[i].metric, t->items[i].key);
}

static void top_init(struct top *t, size_t limit)
{
    *t = (struct top){ .limit = limit };
    t->items = mem_zalloc((limit + 1) * sizeof(*t->items));
}

static void top_fini(struct top *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->items[i].key);
    free(t->items);
}

/* ---- series ------------------------------------------------------------- */

/* Milliseconds of the block's range before a series' first and after its
 * last sample: what makes churn. */
static sonde_code read_series(struct analysis *n)
{
    n->uncovered = mem_zalloc((n->all.count + 1) * sizeof(*n->uncovered));
    for (uint32_t i = 0; i < n->all.count; i++) {
        const struct block_series *s = &n->series;
        sonde_code rc = block_series(n->block, block_posting(&n->all, i),
                                     &n->series, &n->err);

        if (rc != SONDE_OK)
            return rc;
        n->uncovered[i] = n->range_ms;
        if (s->chunk_count)
            n->uncovered[i] -= (uint64_t)(s->chunks[s->chunk_count - 1].maxt -
                                          s->chunks[0].mint);
        n->entries += s->pair_count;
    }
    return SONDE_OK;
}

/* The place of a series in the list of all, at or behind `from`: steps that
 * double, then halves. */
static uint32_t place(const struct block_postings *all, uint32_t from,
                      uint32_t series)
{
    uint32_t step = 1, lo = from, hi;

    while (lo + step < all->count && block_posting(all, lo + step) < series) {
        lo += step;
        step *= 2;
    }
    hi = lo + step < all->count ? lo + step : all->count - 1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (block_posting(all, mid) < series)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint64_t share(const struct analysis *n, uint64_t uncovered)
{
    return n->range_ms ? (uint64_t)((double)uncovered / (double)n->range_ms)
                       : 0;
}

static bool on_value(void *arg, sonde_str value, uint64_t offset)
{
    struct analysis *n = arg;
    struct block_postings p;
    uint64_t sum = 0;
    uint32_t at = 0;

    n->failed = block_postings_at(n->block, offset, &p, &n->err);
    if (n->failed != SONDE_OK)
        return false;
    for (uint32_t i = 0; i < p.count && n->all.count; i++) {
        at = place(&n->all, at, block_posting(&p, i));
        sum += n->uncovered[at];
    }
    top_offer(&n->pair_churn, share(n, sum), n->name, value);
    top_offer(&n->common, p.count, n->name, value);
    if (sonde_str_eq(n->name, SONDE_STR(LABEL_NAME)))
        top_offer(&n->metrics, p.count, value, (sonde_str){ 0 });
    n->pairs++;
    n->name_uncovered += sum;
    n->name_length += value.len;
    n->name_values++;
    return true;
}

static bool on_name(void *arg, sonde_str name)
{
    struct analysis *n = arg;
    const sonde_str none = { 0 };

    n->name = name;
    n->name_uncovered = n->name_length = n->name_values = 0;
    block_values(n->block, name, on_value, n);
    top_offer(&n->name_churn, share(n, n->name_uncovered), name, none);
    top_offer(&n->length, n->name_length, name, none);
    top_offer(&n->values, n->name_values, name, none);
    n->names++;
    return n->failed == SONDE_OK;
}

/* ---- printing ----------------------------------------------------------- */

static void print_cost(const struct analysis *n)
{
    const struct block_stats *s = &block_meta(n->block)->stats;
    uint64_t bytes = block_bytes(n->block);

    (void)printf("Samples: %" PRIu64 "\n", s->samples);
    (void)printf("Chunks: %" PRIu64 "\n", s->chunks);
    (void)printf("Bytes: %" PRIu64 "\n", bytes);
    if (s->samples)
        (void)printf("Bytes per sample: %.3f\n",
                     (double)bytes / (double)s->samples);
    if (s->chunks)
        (void)printf("Samples per chunk: %.1f\n",
                     (double)s->samples / (double)s->chunks);
}

static void print_analysis(const struct analysis *n)
{
    const struct block_meta *m = block_meta(n->block);
    struct buf d;

    buf_init(&d);
    print_duration(&d, m->maxt - m->mint);
    (void)printf("Block ID: %s\nDuration: %.*s\n", m->ulid.text,
                 SONDE_ARG(buf_str(&d)));
    buf_fini(&d);
    (void)printf("Total Series: %" PRIu64 "\n", m->stats.series);
    (void)printf("Label names: %" PRIu64 "\n", n->names);
    (void)printf("Postings (unique label pairs): %" PRIu64 "\n", n->pairs);
    (void)printf("Postings entries (total label pairs): %" PRIu64 "\n",
                 n->entries);
    print_cost(n);
    top_print(&n->pair_churn, "Label pairs most involved in churning");
    top_print(&n->name_churn, "Label names most involved in churning");
    top_print(&n->common, "Most common label pairs");
    top_print(&n->length,
              "Label names with highest cumulative label value length");
    top_print(&n->values, "Highest cardinality labels");
    top_print(&n->metrics, "Highest cardinality metric names");
}

static int analyze_block(const struct block *b, size_t limit)
{
    struct analysis n = { .block = b };
    struct top *const tops[] = { &n.pair_churn, &n.name_churn, &n.common,
                                 &n.length,     &n.values,     &n.metrics };
    const size_t count = sizeof(tops) / sizeof(*tops);
    int code = CLI_OK;

    for (size_t i = 0; i < count; i++)
        top_init(tops[i], limit);
    n.range_ms = (uint64_t)(block_meta(b)->maxt - block_meta(b)->mint);
    n.failed = block_postings(b, SONDE_STR(""), SONDE_STR(""), &n.all, &n.err);
    if (n.failed == SONDE_OK)
        n.failed = read_series(&n);
    if (n.failed == SONDE_OK)
        block_names(b, on_name, &n);
    if (n.failed == SONDE_OK) {
        print_analysis(&n);
    } else {
        cli_error("%s", n.err.text);
        code = CLI_FAILED;
    }
    for (size_t i = 0; i < count; i++)
        top_fini(tops[i]);
    block_series_fini(&n.series);
    free(n.uncovered);
    return code;
}

/* ---- the command -------------------------------------------------------- */

static const struct block *pick(const struct tsdb_blocks *blocks,
                                const char *ulid)
{
    if (!ulid)
        return blocks->count ? blocks->items[blocks->count - 1] : NULL;
    for (size_t i = 0; i < blocks->count; i++)
        if (strcmp(block_meta(blocks->items[i])->ulid.text, ulid) == 0)
            return blocks->items[i];
    return NULL;
}

static int analyze(const char *dir, const char *ulid, int64_t limit)
{
    struct tsdb_blocks blocks;
    const struct block *b;
    struct sonde_err err;
    int code = CLI_FAILED;

    if (tsdb_blocks_open(dir, &blocks, NULL, NULL, &err) != SONDE_OK) {
        cli_error("%s", err.text);
        return CLI_FAILED;
    }
    b = pick(&blocks, ulid);
    if (b)
        code = analyze_block(b, limit > 0 ? (size_t)limit : 0);
    else
        cli_error("%s: %s%s", dir, ulid ? "no block " : "no block",
                  ulid ? ulid : "");
    tsdb_blocks_close(&blocks);
    return code;
}

int tsdb_analyze(int argc, char **argv)
{
    const char *rest[2] = { TSDB_DIR_DEFAULT, NULL };
    int64_t limit = LIMIT_DEFAULT;
    const struct arg rows[] = {
        { "limit", 0, ARG_INT, &limit, "Rows of each list (20)." },
        { 0 },
    };
    const struct args args = {
        "sonde tsdb analyze [--limit=20] [DIR [BLOCK]]",
        "What a block (the newest) of a data directory (" TSDB_DIR_DEFAULT
        ") is full of:\nchurn, label pairs, cardinality, bytes a sample.",
        rows, rest, 2
    };
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    if (code == ARGS_GO && limit > 1000000)
        limit = 1000000;
    if (code == ARGS_GO)
        code = analyze(rest[0], rest[1], limit);
    arena_fini(&a);
    return code;
}
