/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world to query: random series spread over blocks (some overlap, some have
 * deletions), and the answers that looking at everything gives. Shared by the
 * tests of one block and of the whole store.
 */
#ifndef TESTS_UNIT_QUERY_KIT_H
#define TESTS_UNIT_QUERY_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "chunk/xor_chunk.h"
#include "storage/matcher.h"
#include "unit/tap.h"
#include "util/mem.h"
#include "util/str.h"

#define WORLD_BASE    INT64_C(1700002800000) /* of all times               */
#define WORLD_SERIES  150
#define WORLD_SAMPLES 64 /* of a series in one source, at most             */
#define WORLD_SOURCES 6
#define CHUNK_SAMPLES 16

struct world_sample {
    sonde_msec t;
    double v;
    bool deleted;
};

/* What one source has of a series; in order of time. */
struct world_part {
    struct world_sample samples[WORLD_SAMPLES];
    size_t count;
};

struct world_source {
    sonde_msec mint, maxt; /* half-open                                    */
    struct world_part parts[WORLD_SERIES];
};

/* Series in the order of their labels; sources from the oldest on. */
struct world {
    struct arena arena;
    struct labels series[WORLD_SERIES];
    size_t count;
    struct world_source sources[WORLD_SOURCES];
    size_t source_count;
};

/* ---- making ------------------------------------------------------------ */

static inline bool one_in(unsigned n)
{
    return (unsigned)rand() % n == 0;
}

static inline int world_by_labels(const void *a, const void *b)
{
    return labels_cmp(a, b);
}

static inline struct labels world_labels(struct arena *a)
{
    static const char *const paths[] = { "/x", "/x/y", "/x/z", "/z" };
    struct labels_builder lb;
    struct labels view;

    labels_builder_init(&lb, a);
    labels_builder_set(&lb, SONDE_STR(LABEL_NAME),
                       arena_printf(a, "m%d", rand() % 4));
    if (!one_in(4))
        labels_builder_set(&lb, SONDE_STR("job"),
                           arena_printf(a, "%c", 'a' + rand() % 3));
    if (!one_in(5))
        labels_builder_set(&lb, SONDE_STR("inst"),
                           arena_printf(a, "i%02d", rand() % 30));
    if (!one_in(3))
        labels_builder_set(&lb, SONDE_STR("path"),
                           sonde_cstr(paths[rand() % 4]));
    view = labels_builder_view(&lb);
    return labels_dup(a, &view);
}

static inline void world_init(struct world *w, unsigned seed, size_t series)
{
    size_t kept = 0;

    srand(seed);
    memset(w, 0, sizeof(*w));
    arena_init(&w->arena);
    for (size_t i = 0; i < series; i++)
        w->series[i] = world_labels(&w->arena);
    qsort(w->series, series, sizeof(w->series[0]), world_by_labels);
    for (size_t i = 0; i < series; i++)
        if (!kept || labels_cmp(&w->series[kept - 1], &w->series[i]) != 0)
            w->series[kept++] = w->series[i];
    w->count = kept;
}

/* Two of three series have samples here, at random seconds of the range. */
static inline struct world_source *world_add_source(struct world *w, int from_s,
                                                    int to_s)
{
    struct world_source *src = &w->sources[w->source_count++];

    src->mint = WORLD_BASE + from_s * 1000;
    src->maxt = WORLD_BASE + to_s * 1000;
    for (size_t i = 0; i < w->count; i++) {
        struct world_part *p = &src->parts[i];

        if (one_in(3))
            continue;
        for (int s = from_s; s < to_s && p->count < WORLD_SAMPLES; s++)
            if (one_in(2))
                p->samples[p->count++] =
                    (struct world_sample){ WORLD_BASE + s * 1000, rand() % 1000,
                                           false };
    }
    return src;
}

/* Deletes samples of every fifth series; what is deleted goes to `stones` by
 * the series' place among those the source has, + 1. */
static inline void world_delete(struct world *w, struct world_source *src,
                                bool deleted_all[WORLD_SERIES],
                                struct time_range ranges[WORLD_SERIES])
{
    for (size_t i = 0; i < w->count; i++) {
        struct world_part *p = &src->parts[i];
        struct time_range r = { src->mint + rand() % 20 * 1000,
                                src->mint + (10 + rand() % 60) * 1000 };

        deleted_all[i] = p->count && one_in(5) && r.mint <= r.maxt;
        ranges[i] = r;
        for (size_t k = 0; deleted_all[i] && k < p->count; k++)
            p->samples[k].deleted =
                p->samples[k].t >= r.mint && p->samples[k].t <= r.maxt;
    }
}

static inline void world_fini(struct world *w)
{
    arena_fini(&w->arena);
}

/* ---- a source as a block ----------------------------------------------- */

struct world_symbols {
    sonde_str items[WORLD_SERIES * 10];
    size_t count;
};

static inline int world_by_str(const void *a, const void *b)
{
    return str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

static inline void world_symbols(const struct world *w, struct world_symbols *s)
{
    size_t kept = 0;

    s->count = 0;
    for (size_t i = 0; i < w->count; i++)
        for (size_t k = 0; k < w->series[i].count; k++) {
            s->items[s->count++] = w->series[i].items[k].name;
            s->items[s->count++] = w->series[i].items[k].value;
        }
    qsort(s->items, s->count, sizeof(s->items[0]), world_by_str);
    for (size_t i = 0; i < s->count; i++)
        if (!kept || !sonde_str_eq(s->items[kept - 1], s->items[i]))
            s->items[kept++] = s->items[i];
    s->count = kept;
}

static inline uint32_t world_symbol(const struct world_symbols *s, sonde_str x)
{
    const sonde_str *at =
        bsearch(&x, s->items, s->count, sizeof(s->items[0]), world_by_str);

    return (uint32_t)(at - s->items);
}

static inline size_t world_chunks(const struct world_part *p,
                                  uint8_t data[][CHUNK_SAMPLES * 20],
                                  struct chunk *out)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count; i += CHUNK_SAMPLES, n++) {
        size_t count =
            p->count - i < CHUNK_SAMPLES ? p->count - i : CHUNK_SAMPLES;
        struct xor_state s = { 0 };

        xor_begin(&s);
        for (size_t k = 0; k < count; k++)
            (void)xor_append(&s, data[n], CHUNK_SAMPLES * 20,
                             p->samples[i + k].t, p->samples[i + k].v);
        xor_seal(&s, data[n]);
        out[n] = (struct chunk){ CHUNK_XOR,
                                 { (char *)data[n], xor_len(&s) },
                                 p->samples[i].t,
                                 p->samples[i + count - 1].t,
                                 (uint32_t)count };
    }
    return n;
}

static inline void world_write_series(struct block_writer *bw,
                                      const struct world_symbols *symbols,
                                      const struct labels *l,
                                      const struct world_part *p)
{
    uint8_t data[WORLD_SAMPLES / CHUNK_SAMPLES][CHUNK_SAMPLES * 20];
    struct chunk chunks[WORLD_SAMPLES / CHUNK_SAMPLES];
    struct block_pair pairs[8];

    for (size_t k = 0; k < l->count; k++)
        pairs[k] =
            (struct block_pair){ world_symbol(symbols, l->items[k].name),
                                 world_symbol(symbols, l->items[k].value) };
    CU_ASSERT_EQUAL_FATAL(block_writer_series(bw, pairs, l->count, chunks,
                                              world_chunks(p, data, chunks),
                                              NULL),
                          SONDE_OK);
}

/* Writes a block below `parent`; its folder is the arena's. */
static inline char *world_write(struct world *w, const struct world_source *src,
                                const char *parent)
{
    struct block_writer_options options = { .ulid = ulid_new(1) };
    struct block_meta meta = { .mint = src->mint, .maxt = src->maxt };
    struct world_symbols *symbols = mem_new(struct world_symbols);
    struct sonde_err err = { 0 };
    struct block_writer *bw = NULL;

    world_symbols(w, symbols);
    CU_ASSERT_EQUAL_FATAL(block_writer_new(parent, &options, &bw, &err),
                          SONDE_OK);
    for (size_t i = 0; i < symbols->count; i++)
        CU_ASSERT_EQUAL(block_writer_symbol(bw, symbols->items[i]), i);
    for (size_t i = 0; i < w->count; i++)
        if (src->parts[i].count)
            world_write_series(bw, symbols, &w->series[i], &src->parts[i]);
    CU_ASSERT_EQUAL_FATAL(block_writer_finish(bw, &meta, NULL, &err), SONDE_OK);
    block_meta_fini(&meta);
    free(symbols);
    return arena_cstr(
        &w->arena, arena_printf(&w->arena, "%s/%s", parent, options.ulid.text));
}

/* Opens it again, and deletes in it what world_delete says. */
static inline struct block *world_open(struct world *w,
                                       struct world_source *src,
                                       const char *dir, bool deletions)
{
    bool deleted[WORLD_SERIES];
    struct time_range ranges[WORLD_SERIES];
    struct tombstones stones = { 0 };
    struct sonde_err err = { 0 };
    struct block_postings all;
    struct block *b = NULL;
    uint32_t number = 0;

    if (block_open(dir, &b, &err) != SONDE_OK) {
        tap_note("%s", err.text);
        exit(1);
    }
    if (!deletions)
        return b;
    world_delete(w, src, deleted, ranges);
    CU_ASSERT_EQUAL(block_postings(b, SONDE_STR(""), SONDE_STR(""), &all, NULL),
                    SONDE_OK);
    for (size_t i = 0; i < w->count; i++) {
        if (!src->parts[i].count)
            continue;
        if (deleted[i])
            tombstones_add(&stones, block_posting(&all, number), ranges[i]);
        number++;
    }
    CU_ASSERT_EQUAL_FATAL(block_add_tombstones(b, &stones, &err), SONDE_OK);
    tombstones_fini(&stones);
    return b;
}

/* ---- matchers ---------------------------------------------------------- */

#define WORLD_MATCHERS 4
struct world_query {
    struct matcher matchers[WORLD_MATCHERS];
    size_t count;
    sonde_msec mint, maxt;
};

static inline void world_query_make(struct world_query *q, int span_s)
{
    static const char *const names[] = { LABEL_NAME, "job", "inst", "path",
                                         "none" };
    static const char *const values[] = {
        "",        "m1", "m2", "a",     "b",           "i07",  "i2",    "/x",
        "zzz",     ".*", ".+", "i0.*",  "i0[1-5]",     "a|b",  "m1|m3", "/x.*",
        "i1.|i2.", "a|", "a?", "/x|/z", "i11|i12|i13", "i2.*", "/z.*",
    };
    int a = rand() % (span_s + 20) - 10, b = rand() % (span_s + 20) - 10;

    q->count = (size_t)rand() % (WORLD_MATCHERS + 1);
    for (size_t i = 0; i < q->count; i++)
        CU_ASSERT_EQUAL_FATAL(
            matcher_init(&q->matchers[i], (enum matcher_op)(rand() % 4),
                         sonde_cstr(names[rand() % 5]),
                         sonde_cstr(values[rand() % 23]), NULL),
            SONDE_OK);
    q->mint = WORLD_BASE + (a < b ? a : b) * 1000;
    q->maxt = WORLD_BASE + (a < b ? b : a) * 1000;
    if (one_in(4)) {
        q->mint = INT64_MIN;
        q->maxt = INT64_MAX;
    }
}

static inline void world_query_fini(struct world_query *q)
{
    for (size_t i = 0; i < q->count; i++)
        matcher_fini(&q->matchers[i]);
}

static inline void world_query_note(const struct world_query *q)
{
    struct buf b;

    buf_init(&b);
    for (size_t i = 0; i < q->count; i++) {
        matcher_print(&b, &q->matchers[i]);
        buf_char(&b, ' ');
    }
    tap_note("query %.*s[%lld, %lld]", SONDE_ARG(buf_str(&b)),
             (long long)q->mint, (long long)q->maxt);
    buf_fini(&b);
}

/* ---- the answers of looking at everything ------------------------------ */

/* The samples of the i-th series in range, in order, the later source's. */
static inline void world_truth(const struct world *w, size_t i, sonde_msec mint,
                               sonde_msec maxt, struct columns *out)
{
    out->count = 0;
    for (size_t s = 0; s < w->source_count; s++) {
        const struct world_part *p = &w->sources[s].parts[i];

        for (size_t k = 0; k < p->count; k++) {
            const struct world_sample *x = &p->samples[k];
            size_t at = out->count;

            if (x->deleted || x->t < mint || x->t > maxt)
                continue;
            while (at && out->t[at - 1] > x->t)
                at--;
            if (at && out->t[at - 1] == x->t) {
                out->v[at - 1] = x->v;
                continue;
            }
            columns_push(out, 0, 0);
            memmove(out->t + at + 1, out->t + at,
                    (out->count - 1 - at) * sizeof(*out->t));
            memmove(out->v + at + 1, out->v + at,
                    (out->count - 1 - at) * sizeof(*out->v));
            out->t[at] = x->t;
            out->v[at] = x->v;
        }
    }
}

/* The number of a label set; w->count: it is not of this world. */
static inline size_t world_find(const struct world *w, const struct labels *l)
{
    size_t i = 0;

    while (i < w->count && !labels_eq(&w->series[i], l))
        i++;
    return i;
}

static inline bool world_same(const struct columns *a, const struct columns *b)
{
    return a->count == b->count &&
           (a->count == 0 ||
            (memcmp(a->t, b->t, a->count * sizeof(*a->t)) == 0 &&
             memcmp(a->v, b->v, a->count * sizeof(*a->v)) == 0));
}

/* Asks a querier and compares: every series that has samples comes once and
 * with these samples; none that a matcher refuses comes. */
static inline bool world_select_agrees(const struct world *w, struct querier *q,
                                       const struct world_query *query)
{
    struct select_hints hints = { .mint = query->mint, .maxt = query->maxt };
    struct storage_series *found[WORLD_SERIES] = { 0 };
    struct columns got = { 0 }, want = { 0 };
    struct storage_series *one;
    struct series_set *set;
    bool good = true;

    if (q->ops->select(q, query->matchers, query->count, &hints, &set, NULL) !=
        SONDE_OK)
        return false;
    while (good && set->ops->next(set, &one, NULL) == SONDE_OK) {
        size_t i = world_find(w, &one->labels);

        good = i < w->count && !found[i] &&
               matchers_match(query->matchers, query->count, &one->labels);
        if (good)
            found[i] = one;
    }
    for (size_t i = 0; good && i < w->count; i++) {
        got.count = want.count = 0;
        if (matchers_match(query->matchers, query->count, &w->series[i]))
            world_truth(w, i, query->mint, query->maxt, &want);
        if (found[i])
            good = found[i]->ops->read(found[i], query->mint, query->maxt, &got,
                                       NULL) == SONDE_OK;
        good = good && world_same(&got, &want);
    }
    set->ops->free(set);
    columns_fini(&got);
    columns_fini(&want);
    return good;
}

/* Sources without samples in the range are not asked; those that are know
 * nothing of times within. `always`: a source that is asked in any case. */
static inline bool world_has_label(const struct world *w, size_t always,
                                   const struct world_query *query,
                                   const sonde_str *label, sonde_str text)
{
    for (size_t s = 0; s < w->source_count; s++) {
        const struct world_source *src = &w->sources[s];

        if (s != always &&
            (src->mint > query->maxt || src->maxt <= query->mint))
            continue;
        for (size_t i = 0; i < w->count; i++) {
            const struct labels *l = &w->series[i];

            if (src->parts[i].count &&
                matchers_match(query->matchers, query->count, l) &&
                (label ? sonde_str_eq(labels_get(l, *label), text)
                       : labels_get(l, text).len > 0))
                return true;
        }
    }
    return false;
}

/* Compares names (label NULL) or values with all strings of the world. */
static inline bool world_values_agree(const struct world *w, size_t always,
                                      struct querier *q,
                                      const struct world_query *query,
                                      const sonde_str *label)
{
    struct select_hints hints = { .mint = query->mint, .maxt = query->maxt };
    struct world_symbols *symbols = mem_new(struct world_symbols);
    struct sonde_list got = { 0 };
    struct arena arena;
    size_t at = 0;
    bool good;

    arena_init(&arena);
    world_symbols(w, symbols);
    good = q->ops->label_values(q, label, query->matchers, query->count, &hints,
                                &arena, &got, NULL) == SONDE_OK;
    for (size_t i = 0; good && i < symbols->count; i++) {
        if (!world_has_label(w, always, query, label, symbols->items[i]))
            continue;
        good = at < got.count && sonde_str_eq(got.items[at], symbols->items[i]);
        at++;
    }
    good = good && at == got.count;
    arena_fini(&arena);
    free(symbols);
    return good;
}

#endif
