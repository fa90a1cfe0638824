/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks to one block. Each input has its symbols and its series in order, so
 * everything is a merge of sorted lists: first the symbols, which gives each
 * input a table from its numbers to the new ones, then the series, compared
 * by the new numbers of their labels. One series of each input is in memory
 * at a time.
 *
 * The chunks of a series, of all inputs, are gone through in order of time:
 *
 * - One that shares its range with no other and of which nothing is deleted
 *   is copied as it is; neighbours that are small are joined into larger ones
 *   where that saves bytes.
 * - Those that overlap are decoded and their samples merged. Of two samples
 *   of one time that of the later block stays, as in queries.
 * - One of which something is deleted is decoded and encoded anew without.
 *
 * Blocks are mapped, so what was read stays in the page cache at other
 * readers' cost; each input is forgotten at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "tsdb/compact.h"
#include "tsdb/sheaf.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

struct input {
    struct block *block;
    uint32_t *numbers; /* of symbols in the new block, by its own          */
    uint32_t next_symbol, symbol_count;
    struct block_postings series;
    uint32_t next;          /* in `series`                                */
    struct block_series at; /* its pairs in the new block's numbers        */
    const struct tombstone_series *deleted; /* of it                       */
    bool ended;
};

/* A chunk of the series that is written. */
struct piece {
    struct chunk chunk;
    uint64_t ref;
    size_t input;
    bool touched; /* something of it is deleted                           */
};

struct merge {
    struct input *inputs; /* from the oldest to the newest                 */
    size_t count;
    const struct compact_target *target;
    struct block_writer *writer;
    struct piece *pieces; /* of one series, in order of time               */
    size_t piece_count, piece_cap;
    struct chunk *run; /* that may be joined                              */
    size_t run_count, run_cap, run_samples, run_bytes;
    struct columns columns;
    struct sheaf sheaf;
    size_t written; /* series                                             */
};

static sonde_code check_stop(const struct merge *m, struct sonde_err *err)
{
    if (m->target->stop && atomic_load(m->target->stop))
        return sonde_err_set(err, SONDE_ECANCELED, "merge blocks: stopped");
    return SONDE_OK;
}

/* ---- symbols ---------------------------------------------------------- */

static sonde_str input_symbol(const struct input *in)
{
    return block_symbol(in->block, in->next_symbol);
}

/* The least of the next symbols; false: no input has one. */
static bool least_symbol(const struct merge *m, sonde_str *least)
{
    bool any = false;

    for (size_t i = 0; i < m->count; i++) {
        const struct input *in = &m->inputs[i];

        if (in->next_symbol == in->symbol_count)
            continue;
        if (!any || str_cmp(input_symbol(in), *least) < 0)
            *least = input_symbol(in);
        any = true;
    }
    return any;
}

static sonde_code merge_symbols(struct merge *m, struct sonde_err *err)
{
    sonde_str least;

    for (size_t i = 0; i < m->count; i++) {
        struct input *in = &m->inputs[i];

        in->symbol_count = block_symbol_count(in->block);
        in->numbers =
            mem_alloc(((size_t)in->symbol_count + 1) * sizeof(*in->numbers));
    }
    while (least_symbol(m, &least)) {
        uint32_t number = block_writer_symbol(m->writer, least);

        for (size_t i = 0; i < m->count; i++) {
            struct input *in = &m->inputs[i];

            if (in->next_symbol < in->symbol_count &&
                sonde_str_eq(input_symbol(in), least))
                in->numbers[in->next_symbol++] = number;
        }
    }
    return check_stop(m, err);
}

/* ---- series ----------------------------------------------------------- */

static sonde_code out_of_symbols(const struct input *in, uint32_t number,
                                 struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ECORRUPT,
                         "merge block %s: series %u has a label that is not "
                         "among the %u symbols",
                         block_dir(in->block), number, in->symbol_count);
}

static sonde_code renumber(struct input *in, uint32_t number,
                           struct sonde_err *err)
{
    for (size_t i = 0; i < in->at.pair_count; i++) {
        struct block_pair *p = &in->at.pairs[i];

        if (p->name >= in->symbol_count || p->value >= in->symbol_count)
            return out_of_symbols(in, number, err);
        p->name = in->numbers[p->name];
        p->value = in->numbers[p->value];
    }
    return SONDE_OK;
}

static sonde_code next_series(struct input *in, struct sonde_err *err)
{
    uint32_t number;
    sonde_code rc;

    if (in->next == in->series.count) {
        in->ended = true;
        return SONDE_OK;
    }
    number = block_posting(&in->series, in->next++);
    rc = block_series(in->block, number, &in->at, err);
    if (rc == SONDE_OK)
        rc = renumber(in, number, err);
    in->deleted = tombstones_get(block_tombstones(in->block), number);
    return rc;
}

static int cmp_pairs(const struct block_series *a, const struct block_series *b)
{
    return block_pairs_cmp(a->pairs, a->pair_count, b->pairs, b->pair_count);
}

/* The least of the inputs' series; NULL: all have ended. */
static const struct input *least_series(const struct merge *m)
{
    const struct input *least = NULL;

    for (size_t i = 0; i < m->count; i++) {
        const struct input *in = &m->inputs[i];

        if (!in->ended && (!least || cmp_pairs(&in->at, &least->at) < 0))
            least = in;
    }
    return least;
}

/* ---- chunks of one series ----------------------------------------------- */

static bool is_touched(const struct tombstone_series *deleted,
                       const struct block_chunk *c)
{
    for (size_t i = 0; deleted && i < deleted->count; i++)
        if (deleted->ranges[i].mint <= c->maxt &&
            deleted->ranges[i].maxt >= c->mint)
            return true;
    return false;
}

static void add_pieces(struct merge *m, size_t input)
{
    const struct input *in = &m->inputs[input];

    for (size_t i = 0; i < in->at.chunk_count; i++) {
        const struct block_chunk *c = &in->at.chunks[i];

        m->pieces = mem_grow(m->pieces, &m->piece_cap, m->piece_count + 1,
                             sizeof(*m->pieces));
        m->pieces[m->piece_count++] = (struct piece){
            .chunk = { .mint = c->mint, .maxt = c->maxt },
            .ref = c->ref,
            .input = input,
            .touched = is_touched(in->deleted, c),
        };
    }
}

static int by_time(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    if (x->chunk.mint != y->chunk.mint)
        return x->chunk.mint < y->chunk.mint ? -1 : 1;
    return x->input < y->input ? -1 : x->input > y->input;
}

static int by_input(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    if (x->input != y->input)
        return x->input < y->input ? -1 : 1;
    return by_time(a, b);
}

static sonde_code load_piece(const struct merge *m, struct piece *p,
                             struct sonde_err *err)
{
    const struct block *b = m->inputs[p->input].block;
    sonde_code rc =
        block_chunk(b, p->ref, &p->chunk.encoding, &p->chunk.data, err);

    if (rc != SONDE_OK)
        return rc;
    p->chunk.count = chunk_count(p->chunk.data);
    return SONDE_OK;
}

static sonde_code end_run(struct merge *m, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (m->run_count)
        rc = sheaf_join(&m->sheaf, m->run, m->run_count, &m->columns, err);
    m->run_count = m->run_samples = m->run_bytes = 0;
    return rc;
}

/* A chunk that may stay as it is. */
static sonde_code add_alone(struct merge *m, struct piece *p,
                            struct sonde_err *err)
{
    sonde_code rc = load_piece(m, p, err);
    const struct chunk *c = &p->chunk;

    if (rc == SONDE_OK && m->run_count &&
        (m->run[0].encoding != c->encoding ||
         m->run_samples + c->count > SHEAF_SAMPLES ||
         m->run_bytes + c->data.len > SHEAF_BYTES))
        rc = end_run(m, err);
    if (rc != SONDE_OK)
        return rc;
    m->run = mem_grow(m->run, &m->run_cap, m->run_count + 1, sizeof(*m->run));
    m->run[m->run_count++] = *c;
    m->run_samples += c->count;
    m->run_bytes += c->data.len;
    return SONDE_OK;
}

/* Chunks that overlap, or of which something is deleted. */
static sonde_code add_decoded(struct merge *m, struct piece *pieces, size_t n,
                              struct sonde_err *err)
{
    struct columns *c = &m->columns;
    sonde_code rc = end_run(m, err);

    columns_reset(c);
    qsort(pieces, n, sizeof(*pieces), by_input);
    for (size_t i = 0; i < n && rc == SONDE_OK; i++) {
        size_t before = c->count;

        rc = load_piece(m, &pieces[i], err);
        if (rc == SONDE_OK)
            rc = chunk_decode(pieces[i].chunk.encoding, pieces[i].chunk.data, c,
                              err);
        if (rc == SONDE_OK && pieces[i].touched)
            tombstones_apply(m->inputs[pieces[i].input].deleted, c, before);
        columns_join(c, 0, before);
    }
    return rc == SONDE_OK ? sheaf_cut(&m->sheaf, c, 0, c->count, err) : rc;
}

/* How many of the pieces from the first on share their ranges. */
static size_t overlapping(const struct piece *pieces, size_t n)
{
    sonde_msec end = pieces[0].chunk.maxt;
    size_t i = 1;

    for (; i < n && pieces[i].chunk.mint <= end; i++)
        if (pieces[i].chunk.maxt > end)
            end = pieces[i].chunk.maxt;
    return i;
}

static sonde_code gather(struct merge *m, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    sheaf_reset(&m->sheaf);
    qsort(m->pieces, m->piece_count, sizeof(*m->pieces), by_time);
    for (size_t i = 0, n; i < m->piece_count && rc == SONDE_OK; i += n) {
        n = overlapping(m->pieces + i, m->piece_count - i);
        if (n == 1 && !m->pieces[i].touched)
            rc = add_alone(m, &m->pieces[i], err);
        else
            rc = add_decoded(m, m->pieces + i, n, err);
    }
    return rc == SONDE_OK ? end_run(m, err) : rc;
}

/* Writes the least series, from all inputs that have it, and goes on in
 * those. */
static sonde_code merge_one(struct merge *m, const struct input *least,
                            struct sonde_err *err)
{
    bool *has = mem_zalloc(m->count * sizeof(*has));
    sonde_code rc;

    m->piece_count = 0;
    for (size_t i = 0; i < m->count; i++) {
        has[i] =
            !m->inputs[i].ended && cmp_pairs(&m->inputs[i].at, &least->at) == 0;
        if (has[i])
            add_pieces(m, i);
    }
    rc = gather(m, err);
    m->written += m->sheaf.count != 0;
    if (rc == SONDE_OK && m->sheaf.count)
        rc = block_writer_series(m->writer, least->at.pairs,
                                 least->at.pair_count, m->sheaf.items,
                                 m->sheaf.count, err);
    for (size_t i = 0; i < m->count && rc == SONDE_OK; i++)
        if (has[i])
            rc = next_series(&m->inputs[i], err);
    free(has);
    return rc;
}

static sonde_code merge_series(struct merge *m, struct sonde_err *err)
{
    const struct input *least;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < m->count && rc == SONDE_OK; i++) {
        struct input *in = &m->inputs[i];

        rc = block_postings(in->block, SONDE_STR(""), SONDE_STR(""),
                            &in->series, err);
        if (rc == SONDE_OK)
            rc = next_series(in, err);
    }
    while (rc == SONDE_OK && (least = least_series(m))) {
        rc = check_stop(m, err);
        if (rc == SONDE_OK)
            rc = merge_one(m, least, err);
    }
    return rc;
}

/* ---- the new block's meta ------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct ulid *)a)->text,
                  ((const struct ulid *)b)->text);
}

static void add_sources(struct block_meta *to, const struct block_meta *from,
                        size_t *cap)
{
    to->sources =
        mem_grow(to->sources, cap, to->source_count + from->source_count + 1,
                 sizeof(*to->sources));
    for (size_t i = 0; i < from->source_count; i++)
        to->sources[to->source_count++] = from->sources[i];
}

static void sort_sources(struct block_meta *m)
{
    size_t kept = 0;

    qsort(m->sources, m->source_count, sizeof(*m->sources), by_text);
    for (size_t i = 0; i < m->source_count; i++)
        if (kept == 0 || by_text(&m->sources[kept - 1], &m->sources[i]) != 0)
            m->sources[kept++] = m->sources[i];
    m->source_count = kept;
}

/* What is made of one block keeps its level; of several it rises. */
static void make_meta(const struct merge *m, struct block_meta *out)
{
    size_t cap = 0;

    out->mint = INT64_MAX;
    out->maxt = INT64_MIN;
    out->from_out_of_order = true;
    out->parents = mem_alloc(m->count * sizeof(*out->parents));
    for (size_t i = 0; i < m->count; i++) {
        const struct block_meta *in = block_meta(m->inputs[i].block);
        int level = in->level + (m->count > 1);

        out->mint = in->mint < out->mint ? in->mint : out->mint;
        out->maxt = in->maxt > out->maxt ? in->maxt : out->maxt;
        out->level = level > out->level ? level : out->level;
        out->from_out_of_order &= in->from_out_of_order;
        add_sources(out, in, &cap);
        out->parents[out->parent_count++] =
            (struct block_parent){ in->ulid, in->mint, in->maxt };
    }
    sort_sources(out);
}

static sonde_code finish(struct merge *m, const struct ulid *ulid,
                         struct sonde_err *err)
{
    struct block_meta meta = { .ulid = *ulid };
    struct block_writer *w = m->writer;
    sonde_code rc;

    make_meta(m, &meta);
    m->writer = NULL;
    rc = block_writer_finish(w, &meta, NULL, err);
    block_meta_fini(&meta);
    return rc;
}

/* ---- the whole -------------------------------------------------------- */

static sonde_code run(struct merge *m, struct ulid *out, struct sonde_err *err)
{
    struct block_writer_options options = { .ulid = ulid_new(
                                                clock_now(m->target->clock)) };
    sonde_code rc = block_writer_new(m->target->dir, &options, &m->writer, err);

    if (rc == SONDE_OK)
        rc = merge_symbols(m, err);
    if (rc == SONDE_OK)
        rc = merge_series(m, err);
    if (rc == SONDE_OK && m->written == 0)
        return sonde_err_set(err, SONDE_ENOTFOUND,
                             "merge blocks: all samples are deleted");
    if (rc == SONDE_OK)
        rc = finish(m, &options.ulid, err);
    *out = options.ulid;
    /* a missing file is not an empty answer */
    return rc == SONDE_ENOTFOUND ? SONDE_EIO : rc;
}

static void merge_fini(struct merge *m)
{
    block_writer_discard(m->writer);
    for (size_t i = 0; i < m->count; i++) {
        block_forget(m->inputs[i].block);
        block_series_fini(&m->inputs[i].at);
        free(m->inputs[i].numbers);
    }
    free(m->inputs);
    free(m->pieces);
    free(m->run);
    columns_fini(&m->columns);
    sheaf_fini(&m->sheaf);
}

sonde_code compact_blocks(struct block *const *blocks, size_t n,
                          const struct compact_target *target, struct ulid *out,
                          struct sonde_err *err)
{
    struct merge m = { .count = n, .target = target };
    sonde_code rc;

    m.inputs = mem_zalloc(n * sizeof(*m.inputs));
    for (size_t i = 0; i < n; i++)
        m.inputs[i].block = blocks[i];
    sheaf_init(&m.sheaf);
    rc = run(&m, out, err);
    merge_fini(&m);
    return rc;
}
