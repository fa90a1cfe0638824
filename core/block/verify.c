/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that can be known to be wrong with a block. Opening has checked
 * the symbols and the table of postings; here every series is read, every
 * chunk decoded and held against what the index and meta.json say of it, and
 * every list of postings read.
 *
 * That the lists have exactly the series' label pairs is seen without
 * memory for either: each side sums up a hash of (name, value, series), and
 * the sums must agree.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "block/block_int.h"
#include "util/bytes.h"
#include "util/str.h"

struct verify {
    const struct block *b;
    void (*each)(void *arg, const struct block_fault *f);
    void *arg;
    struct sonde_err *err;
    uint64_t faults;
    struct block_postings all;
    struct block_stats seen;
    uint64_t in_series, in_lists; /* sums of hashes                       */
    struct block_series before, s;
    uint64_t last_ref;
    struct columns samples;
};

static void fault(struct verify *v, const char *file, uint64_t offset,
                  const char *what)
{
    struct block_fault f = { file, offset, what };

    if (!v->faults++)
        (void)sonde_err_set(v->err, SONDE_ECORRUPT, "%s/%s at %" PRIu64 ": %s",
                            v->b->dir, file, offset, what);
    if (v->each)
        v->each(v->arg, &f);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t hash(uint32_t name, uint32_t value, uint32_t series)
{
    return mix(mix((uint64_t)name << 32 | value) + series + 1);
}

/* ---- chunks ------------------------------------------------------------- */

static const char *check_samples(struct verify *v, const struct block_chunk *c,
                                 enum chunk_encoding encoding, sonde_str data)
{
    const struct columns *s = &v->samples;
    struct sonde_err err;

    columns_reset(&v->samples);
    if (encoding < CHUNK_XOR || encoding > CHUNK_FLOAT_HISTOGRAM)
        return "chunk of an unknown encoding";
    if (chunk_decode(encoding, data, &v->samples, &err) != SONDE_OK)
        return "chunk does not decode";
    if (!s->count || s->t[0] != c->mint || s->t[s->count - 1] != c->maxt)
        return "chunk has other times than the index says";
    for (size_t i = 1; i < s->count; i++)
        if (s->t[i] <= s->t[i - 1])
            return "samples out of order";
    v->seen.samples += s->count;
    if (encoding == CHUNK_XOR)
        v->seen.float_samples += s->count;
    else
        v->seen.histogram_samples += s->count;
    return NULL;
}

static void check_chunk(struct verify *v, const struct block_chunk *c)
{
    char file[32];
    enum chunk_encoding encoding;
    sonde_str data;
    struct sonde_err err;
    const char *what;

    (void)snprintf(file, sizeof(file), "chunks/%06" PRIu64, (c->ref >> 32) + 1);
    if (c->ref < v->last_ref)
        fault(v, file, c->ref & UINT32_MAX, "chunk out of order");
    v->last_ref = c->ref;
    if (chunk_files_get(&v->b->chunks, c->ref, &encoding, &data, NULL, &err) !=
        SONDE_OK) {
        fault(v, file, c->ref & UINT32_MAX, err.text);
        return;
    }
    what = check_samples(v, c, encoding, data);
    if (what)
        fault(v, file, c->ref & UINT32_MAX, what);
}

/* ---- series ------------------------------------------------------------- */

static bool pairs_ascend(const struct block_series *s)
{
    for (size_t i = 1; i < s->pair_count; i++)
        if (s->pairs[i].name <= s->pairs[i - 1].name)
            return false;
    return true;
}

/* Symbols are sorted, so their numbers order label sets. */
static bool series_ascend(const struct block_series *a,
                          const struct block_series *b)
{
    size_t n = a->pair_count < b->pair_count ? a->pair_count : b->pair_count;

    for (size_t i = 0; i < n; i++) {
        if (a->pairs[i].name != b->pairs[i].name)
            return a->pairs[i].name < b->pairs[i].name;
        if (a->pairs[i].value != b->pairs[i].value)
            return a->pairs[i].value < b->pairs[i].value;
    }
    return a->pair_count < b->pair_count;
}

static void check_series(struct verify *v, uint64_t at)
{
    const struct block_meta *meta = block_meta(v->b);
    const struct block_series *s = &v->s;

    if (!pairs_ascend(s))
        fault(v, "index", at, "labels out of order");
    if (v->seen.series && !series_ascend(&v->before, s))
        fault(v, "index", at, "series out of order");
    for (size_t i = 0; i < s->chunk_count; i++) {
        if (i && s->chunks[i].mint <= s->chunks[i - 1].maxt)
            fault(v, "index", at, "chunks overlap");
        if (s->chunks[i].mint < meta->mint || s->chunks[i].maxt >= meta->maxt)
            fault(v, "index", at, "chunk outside of the block's time");
        check_chunk(v, &s->chunks[i]);
    }
    v->seen.series++;
    v->seen.chunks += s->chunk_count;
}

static void add_hashes(struct verify *v, uint32_t number)
{
    v->in_series += hash(UINT32_MAX, UINT32_MAX, number);
    for (size_t i = 0; i < v->s.pair_count; i++)
        v->in_series += hash(v->s.pairs[i].name, v->s.pairs[i].value, number);
}

static uint32_t number_of(const struct verify *v, uint64_t at)
{
    return (uint32_t)(v->b->index.version == 1 ? at : at / INDEX_SERIES_ALIGN);
}

/* Behind damage: the next series that the list of all knows, or the end. */
static uint64_t resync(const struct verify *v, uint64_t at)
{
    uint32_t number = number_of(v, at), lo = 0, hi = v->all.count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (block_posting(&v->all, mid) <= number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->all.count
               ? index_series_offset(&v->b->index, block_posting(&v->all, lo))
               : v->b->index.series_end;
}

/* Reads the series at `at`; returns where the next one may be. */
static uint64_t step(struct verify *v, uint64_t at)
{
    struct block_series swap = v->before;
    struct sonde_err err;
    uint64_t end;

    v->before = v->s;
    v->s = swap;
    if (index_series_at(&v->b->index, at, &v->s, &end, &err) != SONDE_OK) {
        fault(v, "index", at, err.text);
        return resync(v, at);
    }
    check_series(v, at);
    add_hashes(v, number_of(v, at));
    return end;
}

static void check_all_series(struct verify *v)
{
    const struct index *ix = &v->b->index;
    uint64_t align = ix->version == 1 ? 1 : INDEX_SERIES_ALIGN;
    uint64_t at = ix->toc.series;

    for (;;) {
        at += -at & (align - 1);
        if (at >= ix->series_end)
            break;
        at = step(v, at);
    }
}

/* ---- postings ----------------------------------------------------------- */

static void check_list(struct verify *v, const struct table_entry *e,
                       struct block_pair pair)
{
    struct block_postings p;
    struct sonde_err err;
    uint32_t before = 0;

    if (index_postings_at(&v->b->index, e->offset, &p, &err) != SONDE_OK) {
        fault(v, "index", e->offset, err.text);
        return;
    }
    for (uint32_t i = 0; i < p.count; i++) {
        uint32_t number = block_posting(&p, i);

        if (i && number <= before)
            fault(v, "index", e->offset, "postings out of order");
        v->in_lists += hash(pair.name, pair.value, number);
        before = number;
    }
}

static void check_name(struct verify *v, const struct table_name *n)
{
    const struct index *ix = &v->b->index;
    struct block_pair pair = { UINT32_MAX, UINT32_MAX };
    uint32_t at = 0;

    if (n->name.len && !symbols_find(&ix->symbols, n->name, &pair.name))
        fault(v, "index", ix->toc.postings_table, "name without a symbol");
    for (uint32_t i = 0; i < n->count; i++) {
        struct table_entry e = postings_table_entry(&ix->table, n, i, &at);

        if (n->name.len && !symbols_find(&ix->symbols, e.value, &pair.value))
            fault(v, "index", ix->toc.postings_table, "value without a symbol");
        check_list(v, &e, pair);
    }
}

static void check_postings(struct verify *v)
{
    const struct postings_table *t = &v->b->index.table;

    for (size_t i = 0; i < t->name_count; i++)
        check_name(v, &t->names[i]);
    if (v->in_lists != v->in_series && !v->faults)
        fault(v, "index", v->b->index.toc.postings,
              "postings and series do not agree");
}

/* ---- the rest ----------------------------------------------------------- */

/* Label indices of older writers: nothing uses them, but they have
 * checksums. */
static void check_label_indices(struct verify *v)
{
    const struct index *ix = &v->b->index;
    struct sonde_err err;
    struct reader r;
    sonde_str body;
    uint32_t n;

    if (ix->toc.label_table == ix->toc.postings_table || !ix->toc.label_table)
        return;
    if (index_section(ix, ix->toc.label_table, "table of label indices", &body,
                      &err) != SONDE_OK) {
        fault(v, "index", ix->toc.label_table, err.text);
        return;
    }
    r = reader_of(body);
    n = reader_be32(&r);
    for (uint32_t i = 0; i < n && !r.failed; i++) {
        uint64_t names = reader_uvarint(&r), at;

        while (names-- && !r.failed)
            (void)reader_uvarint_str(&r);
        at = reader_uvarint(&r);
        if (!r.failed &&
            index_section(ix, at, "label index", &body, &err) != SONDE_OK)
            fault(v, "index", at, err.text);
    }
    if (r.failed)
        fault(v, "index", ix->toc.label_table, "malformed label indices");
}

static bool differs(uint64_t said, uint64_t seen)
{
    return said && said != seen; /* older writers do not say all          */
}

static void check_meta(struct verify *v)
{
    const struct block_stats *m = &block_meta(v->b)->stats, *s = &v->seen;
    const struct tombstones *t = block_tombstones(v->b);

    if (differs(m->series, s->series) || differs(m->chunks, s->chunks) ||
        differs(m->samples, s->samples) ||
        differs(m->float_samples, s->float_samples) ||
        differs(m->histogram_samples, s->histogram_samples))
        fault(v, "meta.json", 0, "other numbers than are in the block");
    if (differs(m->tombstones, tombstones_ranges(t)))
        fault(v, "meta.json", 0, "other number of deletions");
}

static void check_tombstones(struct verify *v)
{
    const struct tombstones *t = block_tombstones(v->b);

    for (size_t i = 0; i < t->count; i++) {
        uint64_t ref = t->items[i].ref;

        if (ref > UINT32_MAX || block_series(v->b, (uint32_t)ref, &v->s, NULL))
            fault(v, "tombstones", ref, "deletion in a series that is not");
    }
}

sonde_code block_verify(const struct block *b,
                        void (*each)(void *arg, const struct block_fault *f),
                        void *arg, struct sonde_err *err)
{
    struct verify v = { .b = b, .each = each, .arg = arg, .err = err };
    struct sonde_err why;

    if (block_postings(b, SONDE_STR(""), SONDE_STR(""), &v.all, &why) !=
        SONDE_OK)
        fault(&v, "index", b->index.toc.postings, why.text);
    check_all_series(&v);
    check_postings(&v);
    check_label_indices(&v);
    check_tombstones(&v);
    if (!v.faults)
        check_meta(&v);
    block_series_fini(&v.s);
    block_series_fini(&v.before);
    columns_fini(&v.samples);
    return v.faults ? SONDE_ECORRUPT : SONDE_OK;
}
