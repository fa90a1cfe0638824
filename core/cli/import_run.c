/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a run. It has a section for each window of time that it has samples
 * of, ascending; a section is, all numbers uvarints or varints:
 *
 *     strings, how many and each, ascending
 *     series, how many and each, ascending by labels:
 *         pairs, how many and each: numbers of strings
 *         chunks, how many and each: first time, last - first, samples,
 *             length, bytes (all XOR)
 *
 * Strings are sorted once for the run; a window's are those of them that its
 * series use.
 */
#include <stdlib.h>

#include "cli/import_spill.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define FLUSH_BYTES (1u << 20)

/* A series' samples of one window. */
struct piece {
    int64_t window;
    uint32_t series;
    size_t from, to;
};

struct run {
    struct spill *spill;
    uint32_t *rank; /* of a symbol, among the run's strings               */
    uint32_t *of;   /* the symbol of a rank                               */
    size_t strings;
    uint32_t *local; /* number in the section of a rank; UINT32_MAX: none  */
    uint32_t *used;  /* ranks that the section uses                        */
    size_t used_count;
    struct piece *pieces;
    size_t piece_count, piece_cap;
    struct buf chunks; /* of one series                                   */
    uint32_t chunk_count;
};

/* ---- strings ------------------------------------------------------------ */

static int cmp_symbols(const void *a, const void *b, void *arg)
{
    const struct symtab *t = arg;

    return str_cmp(symtab_str(t, *(const uint32_t *)a),
                   symtab_str(t, *(const uint32_t *)b));
}

static int cmp_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint32_t highest_symbol(const struct spill *s)
{
    uint32_t max = 0;

    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->items[i].pair_count; j++) {
            const struct block_pair *p = &s->items[i].pairs[j];

            max = p->name > max ? p->name : max;
            max = p->value > max ? p->value : max;
        }
    return max;
}

static void mark_used(struct run *r)
{
    const struct spill *s = r->spill;

    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->items[i].pair_count; j++)
            r->rank[s->items[i].pairs[j].name] =
                r->rank[s->items[i].pairs[j].value] = 1;
}

/* Numbers the run's strings in their order and names pairs by them. */
static void rank_strings(struct run *r)
{
    struct spill *s = r->spill;
    size_t ids = (size_t)highest_symbol(s) + 1;

    r->rank = mem_zalloc(ids * sizeof(*r->rank));
    r->of = mem_alloc(ids * sizeof(*r->of));
    mark_used(r);
    for (uint32_t id = 0; id < ids; id++)
        if (r->rank[id])
            r->of[r->strings++] = id;
    qsort_r(r->of, r->strings, sizeof(*r->of), cmp_symbols, s->symbols);
    for (uint32_t i = 0; i < r->strings; i++)
        r->rank[r->of[i]] = i;
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->items[i].pair_count; j++) {
            struct block_pair *p = &s->items[i].pairs[j];

            *p = (struct block_pair){ r->rank[p->name], r->rank[p->value] };
        }
    r->local = mem_alloc((r->strings + 1) * sizeof(*r->local));
    memset(r->local, 0xff, r->strings * sizeof(*r->local));
    r->used = mem_alloc((r->strings + 1) * sizeof(*r->used));
}

/* ---- series ------------------------------------------------------------- */

static int cmp_pairs(const struct spill_series *a, const struct spill_series *b)
{
    return block_pairs_cmp(a->pairs, a->pair_count, b->pairs, b->pair_count);
}

static int cmp_series(const void *a, const void *b)
{
    return cmp_pairs(a, b);
}

struct at_time {
    sonde_msec t;
    double v;
    size_t order;
};

static int cmp_times(const void *a, const void *b)
{
    const struct at_time *x = a, *y = b;

    if (x->t != y->t)
        return x->t < y->t ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static bool times_ascend(const struct columns *c)
{
    for (size_t i = 1; i < c->count; i++)
        if (c->t[i] <= c->t[i - 1])
            return false;
    return true;
}

size_t spill_sort(struct columns *c)
{
    struct at_time *list;
    size_t n = 0, all = c->count;

    if (times_ascend(c))
        return 0;
    list = mem_alloc(all * sizeof(*list));
    for (size_t i = 0; i < all; i++)
        list[i] = (struct at_time){ c->t[i], c->v[i], i };
    qsort(list, all, sizeof(*list), cmp_times);
    for (size_t i = 0; i < all; i++) {
        if (n && c->t[n - 1] == list[i].t)
            continue;
        c->t[n] = list[i].t;
        c->v[n++] = list[i].v;
    }
    c->count = n;
    free(list);
    return all - n;
}

/* One label set may be written in several ways: they become the first. */
static void join_same(struct spill *s)
{
    size_t kept = 0;

    for (size_t i = 1; i < s->count; i++) {
        struct spill_series *to = &s->items[kept], *from = &s->items[i];

        if (cmp_pairs(to, from) != 0) {
            struct spill_series swap = s->items[++kept];

            s->items[kept] = *from;
            *from = swap;
            continue;
        }
        for (size_t j = 0; j < from->samples.count; j++)
            columns_push(&to->samples, from->samples.t[j], from->samples.v[j]);
        from->samples.count = 0;
    }
}

static int cmp_pieces(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    if (x->window != y->window)
        return x->window < y->window ? -1 : 1;
    return x->series < y->series ? -1 : x->series > y->series;
}

static void cut_pieces(struct run *r, uint32_t series)
{
    const struct columns *c = &r->spill->items[series].samples;

    for (size_t i = 0; i < c->count;) {
        struct piece p = { .window = spill_window(r->spill, c->t[i]),
                           .series = series,
                           .from = i };

        while (i < c->count && spill_window(r->spill, c->t[i]) == p.window)
            i++;
        p.to = i;
        r->pieces = mem_grow(r->pieces, &r->piece_cap, r->piece_count + 1,
                             sizeof(*r->pieces));
        r->pieces[r->piece_count++] = p;
    }
}

static void sort_run(struct run *r)
{
    struct spill *s = r->spill;

    qsort(s->items, s->count, sizeof(*s->items), cmp_series);
    join_same(s);
    for (size_t i = 0; i < s->count; i++) {
        s->duplicates += spill_sort(&s->items[i].samples);
        cut_pieces(r, (uint32_t)i);
    }
    if (r->piece_count)
        qsort(r->pieces, r->piece_count, sizeof(*r->pieces), cmp_pieces);
}

/* ---- sections ----------------------------------------------------------- */

static void use(struct run *r, uint32_t rank)
{
    if (r->local[rank] != UINT32_MAX)
        return;
    r->local[rank] = 0;
    r->used[r->used_count++] = rank;
}

static void put_strings(struct run *r, const struct piece *from,
                        const struct piece *to)
{
    struct buf *b = &r->spill->out;

    r->used_count = 0;
    for (const struct piece *p = from; p < to; p++) {
        const struct spill_series *x = &r->spill->items[p->series];

        for (size_t i = 0; i < x->pair_count; i++) {
            use(r, x->pairs[i].name);
            use(r, x->pairs[i].value);
        }
    }
    if (r->used_count)
        qsort(r->used, r->used_count, sizeof(*r->used), cmp_numbers);
    buf_uvarint(b, r->used_count);
    for (uint32_t i = 0; i < r->used_count; i++) {
        r->local[r->used[i]] = i;
        buf_uvarint_str(b, symtab_str(r->spill->symbols, r->of[r->used[i]]));
    }
}

static sonde_code on_chunk(void *arg, const struct chunk *chunk,
                           struct sonde_err *err)
{
    struct run *r = arg;

    (void)err;
    buf_varint(&r->chunks, chunk->mint);
    buf_uvarint(&r->chunks, (uint64_t)(chunk->maxt - chunk->mint));
    buf_uvarint(&r->chunks, chunk->count);
    buf_uvarint_str(&r->chunks, chunk->data);
    r->chunk_count++;
    return SONDE_OK;
}

static sonde_code flush(struct spill *s, size_t above, struct sonde_err *err)
{
    sonde_code rc;

    if (s->out.len <= above)
        return SONDE_OK;
    rc = fs_write_all(s->fd, s->out.data, s->out.len, "import file", err);
    s->file_bytes += s->out.len;
    buf_reset(&s->out);
    return rc;
}

static sonde_code put_piece(struct run *r, const struct piece *p,
                            struct sonde_err *err)
{
    static const struct chunk_limits limits = SPILL_CHUNK_LIMITS;
    const struct spill_series *x = &r->spill->items[p->series];
    struct buf *b = &r->spill->out;
    sonde_code rc;

    buf_uvarint(b, x->pair_count);
    for (size_t i = 0; i < x->pair_count; i++) {
        buf_uvarint(b, r->local[x->pairs[i].name]);
        buf_uvarint(b, r->local[x->pairs[i].value]);
    }
    buf_reset(&r->chunks);
    r->chunk_count = 0;
    rc = chunks_cut(&x->samples, p->from, p->to, &limits, true, on_chunk, r,
                    err);
    buf_uvarint(b, r->chunk_count);
    buf_put(b, buf_str(&r->chunks));
    return rc == SONDE_OK ? flush(r->spill, FLUSH_BYTES, err) : rc;
}

static sonde_code put_section(struct run *r, const struct piece *from,
                              const struct piece *to, struct sonde_err *err)
{
    struct spill *s = r->spill;
    struct spill_section section = { .window = from->window,
                                     .at = s->file_bytes + s->out.len };
    sonde_code rc = SONDE_OK;

    put_strings(r, from, to);
    section.series_at = s->file_bytes + s->out.len;
    buf_uvarint(&s->out, (uint64_t)(to - from));
    for (const struct piece *p = from; p < to && rc == SONDE_OK; p++)
        rc = put_piece(r, p, err);
    for (size_t i = 0; i < r->used_count; i++)
        r->local[r->used[i]] = UINT32_MAX;
    s->sections = mem_grow(s->sections, &s->section_cap, s->section_count + 1,
                           sizeof(*s->sections));
    s->sections[s->section_count++] = section;
    return rc;
}

static sonde_code put_sections(struct run *r, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < r->piece_count && rc == SONDE_OK;) {
        size_t end = i;

        while (end < r->piece_count &&
               r->pieces[end].window == r->pieces[i].window)
            end++;
        rc = put_section(r, &r->pieces[i], &r->pieces[end], err);
        i = end;
    }
    return rc == SONDE_OK ? flush(r->spill, 0, err) : rc;
}

sonde_code spill_run(struct spill *s, struct sonde_err *err)
{
    struct run r = { .spill = s };
    sonde_code rc;

    if (!s->count)
        return SONDE_OK;
    rank_strings(&r);
    sort_run(&r);
    rc = put_sections(&r, err);
    free(r.rank);
    free(r.of);
    free(r.local);
    free(r.used);
    free(r.pieces);
    buf_fini(&r.chunks);
    return rc;
}
