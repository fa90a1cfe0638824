/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A querier of one block. Selecting leaves numbers of series; `next` decodes
 * one of them at a time: its labels become views of the index' symbols, its
 * chunks in the range go to the set's arena, so that reading, which several
 * threads may do, touches nothing but the series and the mapped files.
 *
 * The querier holds the block, so what it shows stays mapped as long as the
 * querier. Deletions are those of the moment of selecting.
 *
 * Damage: a series whose entry is damaged is an error of `next`, which goes
 * on behind it; a damaged chunk is an error of reading that series.
 */
#include <stdlib.h>

#include "block/block_select.h"
#include "util/mem.h"
#include "util/str.h"

struct block_querier {
    struct querier base;
    struct block *block;
    sonde_msec mint, maxt; /* closed */
};

struct one_series {
    struct storage_series base;
    const struct block *block;
    const struct tombstone_series *deleted; /* NULL: nothing              */
    size_t count;
    struct block_chunk chunks[];
};

/*
 * Strings of symbols that were looked up, each in the one place it may have:
 * finding a symbol counts through the table, and most labels of a series
 * are those of the one before. NULL in a set of few series.
 */
#define CACHED_SYMBOLS 1024
#define CACHE_FROM     16 /* series                                       */
struct symbol_cache {
    struct cached_symbol {
        uint32_t number;
        sonde_str text;
    } cells[CACHED_SYMBOLS];
};

struct block_set {
    struct series_set base;
    const struct block *block;
    const struct tombstones *deleted;
    struct block_selection selection;
    size_t next, limit;
    sonde_msec mint, maxt;
    struct block_series decoded; /* the one at hand                       */
    struct symbol_cache *symbols;
    struct arena arena;
};

/* ---- reading ------------------------------------------------------------- */

static sonde_code read_chunk(const struct block *b, const struct block_chunk *c,
                             sonde_msec mint, sonde_msec maxt,
                             struct columns *out, struct sonde_err *err)
{
    enum chunk_encoding encoding;
    size_t from = out->count;
    sonde_str data;
    sonde_code rc = block_chunk(b, c->ref, &encoding, &data, err);

    if (rc != SONDE_OK)
        return rc;
    rc = chunk_decode(encoding, data, out, err);
    if (rc != SONDE_OK) {
        out->count = from;
        return sonde_err_prefix(err, "%s: chunk %#jx", block_dir(b),
                                (uintmax_t)c->ref);
    }
    if (out->count > from &&
        (out->t[from] < mint || out->t[out->count - 1] > maxt))
        columns_trim(out, from, mint, maxt);
    return SONDE_OK;
}

static sonde_code one_read(struct storage_series *base, sonde_msec mint,
                           sonde_msec maxt, struct columns *out,
                           struct sonde_err *err)
{
    const struct one_series *s = (const struct one_series *)base;
    size_t from = out->count;

    for (size_t i = 0; i < s->count; i++) {
        const struct block_chunk *c = &s->chunks[i];
        size_t mid = out->count;
        sonde_code rc;

        if (c->mint > maxt || c->maxt < mint)
            continue;
        rc = read_chunk(s->block, c, mint, maxt, out, err);
        if (rc != SONDE_OK) {
            out->count = from;
            return rc;
        }
        columns_join(out, from, mid);
    }
    if (s->deleted)
        tombstones_apply(s->deleted, out, from);
    return SONDE_OK;
}

static const struct storage_series_ops one_ops = { one_read };

/* ---- the set ---------------------------------------------------------------
 */

static bool all_deleted(const struct tombstone_series *s,
                        const struct block_chunk *c)
{
    for (size_t i = 0; s && i < s->count; i++)
        if (s->ranges[i].mint <= c->mint && s->ranges[i].maxt >= c->maxt)
            return true;
    return false;
}

/* Leaves the chunks in `decoded` that have something to read. */
static void keep_chunks(struct block_set *set,
                        const struct tombstone_series *deleted)
{
    struct block_series *d = &set->decoded;
    size_t kept = 0;

    for (size_t i = 0; i < d->chunk_count; i++) {
        const struct block_chunk c = d->chunks[i];

        if (c.mint <= set->maxt && c.maxt >= set->mint &&
            !all_deleted(deleted, &c))
            d->chunks[kept++] = c;
    }
    d->chunk_count = kept;
}

static struct symbol_cache *symbol_cache_new(void)
{
    struct symbol_cache *c = mem_alloc(sizeof(*c));

    for (size_t i = 0; i < CACHED_SYMBOLS; i++)
        c->cells[i].number = UINT32_MAX;
    return c;
}

static inline sonde_str symbol_text(const struct block_set *set,
                                    uint32_t number)
{
    struct cached_symbol *cell;

    if (!set->symbols)
        return block_symbol(set->block, number);
    cell = &set->symbols->cells[number % CACHED_SYMBOLS];
    if (cell->number != number)
        *cell =
            (struct cached_symbol){ number, block_symbol(set->block, number) };
    return cell->text;
}

/* NULL: a symbol that is not there. */
static const struct label *labels_of(struct block_set *set)
{
    const struct block_series *d = &set->decoded;
    struct label *items = arena_array(&set->arena, struct label, d->pair_count);

    for (size_t i = 0; i < d->pair_count; i++) {
        items[i].name = symbol_text(set, d->pairs[i].name);
        items[i].value = symbol_text(set, d->pairs[i].value);
        if (!items[i].name.ptr || !items[i].value.ptr)
            return NULL;
    }
    return items;
}

static sonde_code series_of(struct block_set *set, uint32_t number,
                            const struct tombstone_series *deleted,
                            struct storage_series **out, struct sonde_err *err)
{
    const struct block_series *d = &set->decoded;
    const struct label *labels = labels_of(set);
    struct one_series *s = arena_alloc(
        &set->arena, sizeof(*s) + d->chunk_count * sizeof(s->chunks[0]));

    if (!labels)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "%s/index: series %u: a label is not among the "
                             "symbols",
                             block_dir(set->block), number);
    s->base.ops = &one_ops;
    s->base.labels = (struct labels){ labels, d->pair_count };
    s->block = set->block;
    s->deleted = deleted;
    s->count = d->chunk_count;
    memcpy(s->chunks, d->chunks, s->count * sizeof(s->chunks[0]));
    *out = &s->base;
    return SONDE_OK;
}

static sonde_code set_next(struct series_set *base, struct storage_series **out,
                           struct sonde_err *err)
{
    struct block_set *set = (struct block_set *)base;

    while (set->limit && set->next < set->selection.refs.count) {
        uint32_t number = set->selection.refs.items[set->next++];
        const struct tombstone_series *deleted;
        sonde_code rc = block_series(set->block, number, &set->decoded, err);

        if (rc != SONDE_OK)
            return rc;
        deleted = tombstones_get(set->deleted, number);
        keep_chunks(set, deleted);
        if (set->decoded.chunk_count == 0 ||
            !block_accepts(set->block, &set->selection, &set->decoded))
            continue;
        rc = series_of(set, number, deleted, out, err);
        set->limit -= rc == SONDE_OK;
        return rc;
    }
    return SONDE_ENOTFOUND;
}

static void set_free(struct series_set *base)
{
    struct block_set *set = (struct block_set *)base;

    block_selection_fini(&set->selection);
    block_series_fini(&set->decoded);
    free(set->symbols);
    arena_fini(&set->arena);
    free(set);
}

static const struct series_set_ops set_ops = { set_next, set_free };

static sonde_code query_select(struct querier *base,
                               const struct matcher *matchers, size_t n,
                               const struct select_hints *hints,
                               struct series_set **out, struct sonde_err *err)
{
    struct block_querier *q = (struct block_querier *)base;
    struct block_set *set = mem_new(struct block_set);
    sonde_code rc;

    set->base.ops = &set_ops;
    set->block = q->block;
    set->deleted = block_tombstones(q->block);
    set->mint = q->mint;
    set->maxt = q->maxt;
    set->limit = SIZE_MAX;
    if (hints) {
        if (hints->mint > set->mint)
            set->mint = hints->mint;
        if (hints->maxt < set->maxt)
            set->maxt = hints->maxt;
        if (hints->limit)
            set->limit = hints->limit;
    }
    arena_init(&set->arena);
    rc = block_candidates(q->block, matchers, n, &set->selection, err);
    if (set->selection.refs.count >= CACHE_FROM)
        set->symbols = symbol_cache_new();
    if (rc == SONDE_OK)
        *out = &set->base;
    else
        set_free(&set->base);
    return rc;
}

/* ---- names and values -------------------------------------------------------
 */

struct strings {
    struct arena *arena;
    sonde_str *items;
    size_t count, cap, limit;
};

static bool strings_add(struct strings *s, sonde_str x)
{
    if (s->count == s->limit)
        return false;
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count++] = arena_str(s->arena, x);
    return true;
}

static bool add_name(void *arg, sonde_str name)
{
    return name.len == 0 || strings_add(arg, name);
}

static bool add_value(void *arg, sonde_str value, uint64_t offset)
{
    (void)offset;
    return value.len == 0 || strings_add(arg, value);
}

static void add_symbols(const struct block *b, const struct refs *symbols,
                        struct strings *out)
{
    for (size_t i = 0; i < symbols->count; i++)
        if (!strings_add(out, block_symbol(b, symbols->items[i])))
            break;
}

#define SYMBOLS_PRESS 65536 /* take doubles out above this many            */

/* Symbols of the names, or of one name's values, that series have: their
 * order is that of the strings. */
static sonde_code symbols_of_series(const struct block *b,
                                    const sonde_str *label,
                                    struct block_selection *selection,
                                    struct refs *out, struct sonde_err *err)
{
    struct block_series d = { 0 };
    size_t press = SYMBOLS_PRESS;
    sonde_code rc = SONDE_OK;
    uint32_t name = 0;

    if (label && !block_symbol_find(b, *label, &name))
        return SONDE_OK;
    for (size_t i = 0; i < selection->refs.count; i++) {
        rc = block_series(b, selection->refs.items[i], &d, err);
        if (rc != SONDE_OK)
            break;
        if (selection->ask_count && !block_accepts(b, selection, &d))
            continue;
        for (size_t k = 0; k < d.pair_count; k++) {
            if (!label)
                refs_append(out, &d.pairs[k].name, 1);
            else if (d.pairs[k].name == name)
                refs_append(out, &d.pairs[k].value, 1);
        }
        if (out->count > press) {
            refs_sort(out);
            press = out->count * 2 + SYMBOLS_PRESS;
        }
    }
    refs_sort(out);
    block_series_fini(&d);
    return rc;
}

/* Values whose lists meet the selection: cheaper than decoding its series
 * when the values are few. */
struct meeting {
    const struct block *block;
    const struct refs *refs;
    struct strings *out;
    size_t seen, most;
    sonde_code rc;
    struct sonde_err *err;
};

static bool add_if_met(void *arg, sonde_str value, uint64_t offset)
{
    struct meeting *m = arg;
    struct block_postings p;

    if (value.len == 0)
        return true;
    if (++m->seen > m->most)
        return false;
    m->rc = block_postings_at(m->block, offset, &p, m->err);
    if (m->rc != SONDE_OK)
        return false;
    return !refs_meet_be(m->refs, p.be32, p.count) ||
           strings_add(m->out, value);
}

#define SERIES_PER_LIST 64 /* what looking at a list costs in series        */

static sonde_code values_of_selected(const struct block *b,
                                     const sonde_str *label,
                                     struct block_selection *selection,
                                     struct strings *out, struct sonde_err *err)
{
    struct meeting m = { .block = b,
                         .refs = &selection->refs,
                         .out = out,
                         .most = selection->refs.count / SERIES_PER_LIST,
                         .err = err };
    struct refs symbols = { 0 };
    sonde_code rc;

    if (label && selection->ask_count == 0 && m.most > 0) {
        block_values(b, *label, add_if_met, &m);
        if (m.rc != SONDE_OK || m.seen <= m.most)
            return m.rc;
        out->count = 0;
    }
    rc = symbols_of_series(b, label, selection, &symbols, err);
    if (rc == SONDE_OK)
        add_symbols(b, &symbols, out);
    refs_fini(&symbols);
    return rc;
}

static sonde_code
query_label_values(struct querier *base, const sonde_str *label,
                   const struct matcher *matchers, size_t n,
                   const struct select_hints *hints, struct arena *arena,
                   struct sonde_list *out, struct sonde_err *err)
{
    const struct block *b = ((struct block_querier *)base)->block;
    struct strings found = { .arena = arena, .limit = SIZE_MAX };
    struct block_selection selection;
    sonde_code rc = SONDE_OK;

    *out = (struct sonde_list){ 0 };
    if (label && label->len == 0)
        return SONDE_OK;
    if (hints && hints->limit)
        found.limit = hints->limit;
    if (n) {
        rc = block_candidates(b, matchers, n, &selection, err);
        if (rc != SONDE_OK)
            return rc;
        rc = values_of_selected(b, label, &selection, &found, err);
        block_selection_fini(&selection);
    } else if (label) {
        block_values(b, *label, add_value, &found);
    } else {
        block_names(b, add_name, &found);
    }
    if (rc == SONDE_OK && found.count) {
        sonde_str *items = arena_array(arena, sonde_str, found.count);

        memcpy(items, found.items, found.count * sizeof(*items));
        *out = (struct sonde_list){ items, found.count };
    }
    free(found.items);
    return rc;
}

/* ---- the querier --------------------------------------------------------- */

static void query_free(struct querier *base)
{
    struct block_querier *q = (struct block_querier *)base;

    block_unref(q->block);
    free(q);
}

static const struct querier_ops query_ops = {
    .select = query_select,
    .label_values = query_label_values,
    .free = query_free,
};

sonde_code block_querier(struct block *b, sonde_msec mint, sonde_msec maxt,
                         struct querier **out, struct sonde_err *err)
{
    struct block_querier *q = mem_new(struct block_querier);

    (void)err;
    q->base.ops = &query_ops;
    q->block = block_ref(b);
    q->mint = mint;
    q->maxt = maxt;
    *out = &q->base;
    return SONDE_OK;
}
