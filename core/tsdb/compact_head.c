/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Head to block. A block wants its symbols in bytewise order, then its series
 * in the order of their labels; the head has neither. So first all series
 * with a chunk in the range are listed, then the symbols that their labels
 * use are sorted and numbered, then the series by those numbers, and then
 * each is read and written.
 *
 * The series keep growing meanwhile, behind the range; new ones have nothing
 * in it, for the head refuses such samples since before the listing began.
 * Labels and symbols of listed series stay: only the thread that is here
 * removes any.
 *
 * All of it is beside the scrapes' way: a page's lock is held for as long as
 * it takes to look at its 64 series, or to copy one open chunk.
 */
#include <stdlib.h>

#include "tsdb/compact.h"
#include "tsdb/head.h"
#include "tsdb/late.h"
#include "tsdb/multikey.h"
#include "tsdb/sheaf.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

struct job {
    const struct compact_head_source *source;
    const struct compact_target *target;
    struct head *head;
    struct multikey_item *series; /* id: the head's, extra: place of labels */
    size_t series_count, series_cap;
    struct multikey_item *symbols; /* id                                    */
    size_t symbol_count, symbol_cap;
    uint32_t *numbers; /* of symbols in the block, by symbol; from 1 on     */
    size_t number_count;
    struct block_writer *writer;
    struct block_pair *pairs;
    size_t pair_cap;
    struct head_snapshot snapshot;
    struct columns columns;
    struct sheaf sheaf;
    size_t written; /* series                                             */
};

static bool stopped(const struct job *j)
{
    return j->target->stop && atomic_load(j->target->stop);
}

/* ---- series ----------------------------------------------------------- */

static void add_series(struct job *j, struct series_page *p, uint32_t id)
{
    const struct series *s;

    (void)pthread_mutex_lock(&p->lock);
    s = series_page_get(p, id);
    if (s && s->labels) {
        j->series = mem_grow(j->series, &j->series_cap, j->series_count + 1,
                             sizeof(*j->series));
        j->series[j->series_count++] =
            (struct multikey_item){ .id = id, .extra = s->labels };
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void list_in_order(struct job *j)
{
    const struct compact_head_source *from = j->source;
    struct series_page *p;

    for (uint32_t number = 0; (p = series_table_next(&j->head->table, &number));
         number++)
        for (uint32_t slot = 0; slot < PAGE_SERIES; slot++) {
            uint32_t id = number * PAGE_SERIES + slot + 1;

            if (head_has_in_order(j->head, id, from->mint, from->maxt - 1))
                add_series(j, p, id);
        }
}

static void list_late(struct job *j)
{
    const struct late_cut *cut = j->source->late;

    for (size_t i = 0; i < cut->count; i++) {
        struct series_page *p =
            series_table_page(&j->head->table, cut->refs[i]);

        if (p)
            add_series(j, p, cut->refs[i]);
    }
}

/* Late samples are left out: they leave the head by themselves. */
static sonde_code read_in_order(struct job *j, uint32_t id,
                                struct sonde_err *err)
{
    const struct compact_head_source *from = j->source;
    struct columns *c = &j->columns;
    sonde_code rc = SONDE_OK;

    if (!head_snapshot_take(j->head, id, from->mint, from->maxt - 1,
                            &j->snapshot))
        return SONDE_OK;
    for (size_t i = 0; i < j->snapshot.count && rc == SONDE_OK; i++)
        rc = chunk_decode(j->snapshot.chunks[i].encoding,
                          j->snapshot.chunks[i].data, c, err);
    columns_trim(c, 0, from->mint, from->maxt - 1);
    head_deleted_apply(&j->head->deleted, id, c, 0);
    return rc;
}

static sonde_code read_samples(struct job *j, uint32_t id,
                               struct sonde_err *err)
{
    const struct compact_head_source *from = j->source;

    if (!from->late)
        return read_in_order(j, id, err);
    return late_cut_read(from->late, id, from->mint, from->maxt - 1,
                         &j->columns, err);
}

/* ---- symbols ---------------------------------------------------------- */

#define PART_BYTES 7

/* Seven bytes and how many there are (8: more than that), so that a shorter
 * string comes first and only equal strings have equal parts to the end. */
static uint64_t symbol_part(const struct multikey_item *item, size_t depth,
                            const void *arg)
{
    sonde_str s = symtab_str(arg, item->id);
    size_t at = depth * PART_BYTES, n;
    uint64_t part = 0;

    if (at > s.len)
        return 0;
    n = s.len - at;
    for (size_t i = 0; i < PART_BYTES; i++)
        part = part << 8 | (i < n ? (uint8_t)s.ptr[at + i] : 0);
    return part << 8 | (n > PART_BYTES ? PART_BYTES + 2 : n + 1);
}

static int symbol_compare(const struct multikey_item *a,
                          const struct multikey_item *b, const void *arg)
{
    return str_cmp(symtab_str(arg, a->id), symtab_str(arg, b->id));
}

static void add_symbol(struct job *j, symbol s)
{
    if (s >= j->number_count) {
        size_t had = j->number_count;

        j->numbers = mem_grow(j->numbers, &j->number_count, (size_t)s + 1,
                              sizeof(*j->numbers));
        memset(j->numbers + had, 0,
               (j->number_count - had) * sizeof(*j->numbers));
    }
    if (j->numbers[s])
        return;
    j->numbers[s] = 1;
    j->symbols = mem_grow(j->symbols, &j->symbol_cap, j->symbol_count + 1,
                          sizeof(*j->symbols));
    j->symbols[j->symbol_count++] = (struct multikey_item){ .id = s };
}

static void write_symbols(struct job *j)
{
    static const struct multikey_ops ops = { symbol_part, symbol_compare };
    const struct symtab *t = j->head->symbols;

    for (size_t i = 0; i < j->series_count; i++) {
        struct label_set set =
            label_store_get(&j->head->labels, j->series[i].extra);

        for (size_t k = 0; k < set.count; k++) {
            add_symbol(j, set.names[k]);
            add_symbol(j, set.values[k]);
        }
    }
    multikey_sort(j->symbols, j->symbol_count, &ops, t);
    for (size_t i = 0; i < j->symbol_count; i++) {
        symbol s = j->symbols[i].id;

        j->numbers[s] = block_writer_symbol(j->writer, symtab_str(t, s)) + 1;
    }
    free(j->symbols);
    j->symbols = NULL;
}

/* ---- order ------------------------------------------------------------ */

static uint64_t series_part(const struct multikey_item *item, size_t depth,
                            const void *arg)
{
    const struct job *j = arg;
    struct label_set set = label_store_get(&j->head->labels, item->extra);

    if (depth >= set.count)
        return 0;
    return (uint64_t)j->numbers[set.names[depth]] << 32 |
           j->numbers[set.values[depth]];
}

static int series_compare(const struct multikey_item *a,
                          const struct multikey_item *b, const void *arg)
{
    for (size_t depth = 0;; depth++) {
        uint64_t x = series_part(a, depth, arg), y = series_part(b, depth, arg);

        if (x != y)
            return x < y ? -1 : 1;
        if (x == 0)
            return 0;
    }
}

/* ---- writing ---------------------------------------------------------- */

static sonde_code write_one(struct job *j, const struct multikey_item *item,
                            struct sonde_err *err)
{
    struct label_set set = label_store_get(&j->head->labels, item->extra);
    size_t n = set.count;
    sonde_code rc;

    columns_reset(&j->columns);
    sheaf_reset(&j->sheaf);
    rc = read_samples(j, item->id, err);
    if (rc == SONDE_OK)
        rc = sheaf_cut(&j->sheaf, &j->columns, 0, j->columns.count, err);
    if (rc != SONDE_OK || j->sheaf.count == 0)
        return rc;
    j->written++;
    j->pairs = mem_grow(j->pairs, &j->pair_cap, n, sizeof(*j->pairs));
    for (size_t i = 0; i < n; i++)
        j->pairs[i] = (struct block_pair){ j->numbers[set.names[i]] - 1,
                                           j->numbers[set.values[i]] - 1 };
    return block_writer_series(j->writer, j->pairs, n, j->sheaf.items,
                               j->sheaf.count, err);
}

static sonde_code write_series(struct job *j, struct sonde_err *err)
{
    static const struct multikey_ops ops = { series_part, series_compare };
    sonde_code rc = SONDE_OK;

    multikey_sort(j->series, j->series_count, &ops, j);
    for (size_t i = 0; i < j->series_count && rc == SONDE_OK; i++) {
        if (stopped(j))
            return sonde_err_set(err, SONDE_ECANCELED,
                                 "make a block of the head: stopped");
        rc = write_one(j, &j->series[i], err);
    }
    return rc;
}

static sonde_code finish(struct job *j, const struct ulid *ulid,
                         struct sonde_err *err)
{
    struct ulid source = *ulid;
    struct block_meta meta = {
        .ulid = *ulid,
        .mint = j->source->mint,
        .maxt = j->source->maxt,
        .level = 1,
        .sources = &source,
        .source_count = 1,
        .from_out_of_order = j->source->late != NULL,
    };
    struct block_writer *w = j->writer;

    j->writer = NULL;
    return block_writer_finish(w, &meta, NULL, err);
}

static sonde_code nothing(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ENOTFOUND,
                         "make a block of the head: no samples in the range");
}

static sonde_code run(struct job *j, struct ulid *out, struct sonde_err *err)
{
    struct block_writer_options options = { .ulid = ulid_new(
                                                clock_now(j->target->clock)) };
    sonde_code rc;

    if (j->source->late)
        list_late(j);
    else
        list_in_order(j);
    if (j->series_count == 0)
        return nothing(err);
    rc = block_writer_new(j->target->dir, &options, &j->writer, err);
    if (rc != SONDE_OK)
        return rc == SONDE_ENOTFOUND ? SONDE_EIO : rc;
    write_symbols(j);
    rc = write_series(j, err);
    if (rc == SONDE_OK && j->written == 0)
        return nothing(err);
    if (rc == SONDE_OK)
        rc = finish(j, &options.ulid, err);
    *out = options.ulid;
    /* a missing file is not an empty answer */
    return rc == SONDE_ENOTFOUND ? SONDE_EIO : rc;
}

sonde_code compact_head(const struct compact_head_source *source,
                        const struct compact_target *target, struct ulid *out,
                        struct sonde_err *err)
{
    struct job j = { .source = source, .target = target, .head = source->head };
    struct presence self;
    sonde_code rc;

    sheaf_init(&j.sheaf);
    readers_enter(&source->head->readers, &self);
    rc = run(&j, out, err);
    readers_leave(&source->head->readers, &self);
    block_writer_discard(j.writer);
    head_snapshot_fini(&j.snapshot);
    sheaf_fini(&j.sheaf);
    columns_fini(&j.columns);
    free(j.pairs);
    free(j.numbers);
    free(j.symbols);
    free(j.series);
    return rc;
}
