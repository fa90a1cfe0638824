/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Head and blocks hold the same series for different times. Selecting asks
 * every source, and joins what they bring by label set, so that sources need
 * no common numbers; series of a set stay where they are, so a joined one is
 * little more than a list of its parts. All that happens within select;
 * reading decodes.
 *
 * Blocks bring their series in the same order, and one block's are nearly
 * those of the next: what comes is compared with the series behind the last
 * one that was met, and a hash table, which needs no order, is asked only
 * when that fails. It is made when it is needed first.
 *
 * Reading goes through the parts from the oldest source on. They nearly
 * always follow each other in time, which one comparison shows: the samples
 * are in place already. Where they do not (blocks that overlap, a head that
 * was just written to a block), the runs are merged and the later source's
 * sample wins.
 *
 * Damage: a source that is allowed to fail is left out of the answer as far
 * as it is broken, no further: one series' samples of a block whose chunk
 * fails its checksum, or a whole block that can not select. Its owner is told
 * and the querier has a warning.
 *
 * Threads: series are read in parallel, so what reading changes here, the
 * marks of damage, is under the mutex. Sources keep the storage contract.
 *
 * Rejected: merging sources in sorted order, as Prometheus does (the head
 * would have to sort by strings, for each select).
 */
#include "storage/merge.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"

struct source {
    struct merge_source given;
    char *damage; /* what was met first; NULL: nothing. Under the mutex    */
};

struct merged_querier {
    struct querier base;
    struct source *sources;
    size_t count;
    pthread_mutex_t mutex;
};

/* A source's samples of a series. */
struct part {
    struct storage_series *series;
    struct source *source;
    struct part *next;
};

struct merged_series {
    struct storage_series base;
    struct merged_querier *querier;
    struct part first;
    struct part *last;
};

struct cell {
    uint32_t hash;
    uint32_t number; /* of the series, + 1; 0: empty                       */
};

struct merged_set {
    struct series_set base;
    struct merged_querier *querier;
    struct series_set **sets; /* by source; NULL: left out                 */
    struct arena arena;       /* of the series                             */
    struct merged_series **series;
    size_t count, cap, next;
    /* While selecting: */
    bool joining;       /* an earlier source had series                    */
    size_t expected;    /* the number of the series that likely comes      */
    struct cell *table; /* of the first `tabled` series                    */
    size_t table_size, tabled;
};

/* ---- damage ------------------------------------------------------------ */

/* Whether an error is to be passed over. */
static bool left_out(struct merged_querier *q, struct source *s, sonde_code rc,
                     const struct sonde_err *err)
{
    bool first;

    if (rc != SONDE_ECORRUPT || !s->given.damaged)
        return false;
    (void)pthread_mutex_lock(&q->mutex);
    first = s->damage == NULL;
    if (first)
        s->damage = mem_strdup(sonde_cstr(err->text));
    (void)pthread_mutex_unlock(&q->mutex);
    if (first)
        s->given.damaged(s->given.arg, err);
    return true;
}

static void merged_warnings(struct querier *base, struct arena *arena,
                            struct sonde_list *out)
{
    struct merged_querier *q = (struct merged_querier *)base;
    sonde_str *lines = arena_array(arena, sonde_str, q->count);
    size_t n = 0;

    (void)pthread_mutex_lock(&q->mutex);
    for (size_t i = 0; i < q->count; i++)
        if (q->sources[i].damage)
            lines[n++] = arena_printf(arena, "damaged data was left out: %s",
                                      q->sources[i].damage);
    (void)pthread_mutex_unlock(&q->mutex);
    *out = (struct sonde_list){ lines, n };
}

/* ---- reading ----------------------------------------------------------- */

static sonde_code series_read(struct storage_series *s, sonde_msec mint,
                              sonde_msec maxt, struct columns *out,
                              struct sonde_err *err)
{
    struct merged_series *m = (struct merged_series *)s;
    size_t from = out->count;

    for (const struct part *p = &m->first; p; p = p->next) {
        struct sonde_err mine; /* large: not cleared for nothing         */
        size_t mid = out->count;
        sonde_code rc = p->series->ops->read(p->series, mint, maxt, out, &mine);

        if (rc == SONDE_OK) {
            columns_join(out, from, mid);
            continue;
        }
        out->count = mid;
        if (left_out(m->querier, p->source, rc, &mine))
            continue;
        if (err)
            *err = mine;
        return rc;
    }
    return SONDE_OK;
}

static const struct storage_series_ops series_ops = { series_read };

/* ---- joining ----------------------------------------------------------- */

static void table_grow(struct merged_set *set)
{
    struct cell *old = set->table;
    size_t n = set->table_size;

    set->table_size = n ? n * 2 : 256;
    set->table = mem_zalloc(set->table_size * sizeof(*set->table));
    for (size_t i = 0; i < n; i++) {
        size_t at = old[i].hash & (set->table_size - 1);

        if (!old[i].number)
            continue;
        while (set->table[at].number)
            at = (at + 1) & (set->table_size - 1);
        set->table[at] = old[i];
    }
    free(old);
}

/* The cell of a label set, or the empty one where it would be. */
static struct cell *cell_of(struct merged_set *set, const struct labels *l,
                            uint32_t hash)
{
    size_t mask = set->table_size - 1, i = hash & mask;

    for (; set->table[i].number; i = (i + 1) & mask)
        if (set->table[i].hash == hash &&
            labels_eq(&set->series[set->table[i].number - 1]->base.labels, l))
            break;
    return &set->table[i];
}

/* Enters what is not in the table yet. */
static void table_fill(struct merged_set *set)
{
    for (; set->tabled < set->count; set->tabled++) {
        const struct labels *l = &set->series[set->tabled]->base.labels;
        uint32_t hash = (uint32_t)labels_hash(l);

        if (set->tabled + 1 > set->table_size / 2)
            table_grow(set);
        *cell_of(set, l, hash) =
            (struct cell){ hash, (uint32_t)set->tabled + 1 };
    }
}

/* The number of the series with these labels; set->count: there is none. */
static size_t set_find(struct merged_set *set, const struct labels *l)
{
    const struct cell *cell;

    if (!set->joining)
        return set->count;
    if (set->expected < set->count &&
        labels_eq(&set->series[set->expected]->base.labels, l))
        return set->expected;
    table_fill(set);
    cell = cell_of(set, l, (uint32_t)labels_hash(l));
    return cell->number ? cell->number - 1 : set->count;
}

static void set_begin(struct merged_set *set, const struct part *part)
{
    struct merged_series *m = arena_new(&set->arena, struct merged_series);

    m->base.ops = &series_ops;
    m->base.labels = part->series->labels;
    m->querier = set->querier;
    m->first = *part;
    m->last = &m->first;
    set->series = mem_grow(set->series, &set->cap, set->count + 1,
                           sizeof(struct merged_series *));
    set->series[set->count++] = m;
}

static void set_join(struct merged_set *set, const struct part *part)
{
    size_t i = set_find(set, &part->series->labels);
    struct part *p;

    if (i == set->count) {
        set_begin(set, part);
        return;
    }
    p = arena_new(&set->arena, struct part);
    *p = *part;
    set->series[i]->last->next = p;
    set->series[i]->last = p;
    set->expected = i + 1;
}

/* All series of one source. */
static sonde_code set_drain(struct merged_set *set, size_t i,
                            struct sonde_err *err)
{
    struct series_set *from = set->sets[i];
    struct part part = { .source = &set->querier->sources[i] };
    sonde_code rc;

    set->joining = set->count > 0;
    set->expected = 0;
    for (;;) {
        struct sonde_err mine; /* large: not cleared for nothing         */

        rc = from->ops->next(from, &part.series, &mine);
        if (rc == SONDE_OK) {
            set_join(set, &part);
        } else if (!left_out(set->querier, part.source, rc, &mine)) {
            if (err && rc != SONDE_ENOTFOUND)
                *err = mine;
            return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
        }
    }
}

static sonde_code set_next(struct series_set *base, struct storage_series **out,
                           struct sonde_err *err)
{
    struct merged_set *set = (struct merged_set *)base;

    (void)err;
    if (set->next == set->count)
        return SONDE_ENOTFOUND;
    *out = &set->series[set->next++]->base;
    return SONDE_OK;
}

static void set_free(struct series_set *base)
{
    struct merged_set *set = (struct merged_set *)base;

    for (size_t i = 0; i < set->querier->count; i++)
        if (set->sets[i])
            set->sets[i]->ops->free(set->sets[i]);
    arena_fini(&set->arena);
    free(set->sets);
    free(set->series);
    free(set->table);
    free(set);
}

static const struct series_set_ops set_ops = { set_next, set_free };

static sonde_code merged_select(struct querier *base,
                                const struct matcher *matchers, size_t n,
                                const struct select_hints *hints,
                                struct series_set **out, struct sonde_err *err)
{
    struct merged_querier *q = (struct merged_querier *)base;
    struct merged_set *set = mem_new(struct merged_set);
    sonde_code rc = SONDE_OK;

    set->base.ops = &set_ops;
    set->querier = q;
    set->sets = mem_zalloc(q->count * sizeof(struct series_set *));
    arena_init(&set->arena);
    for (size_t i = 0; rc == SONDE_OK && i < q->count; i++) {
        struct querier *from = q->sources[i].given.querier;
        struct sonde_err mine = { 0 };

        rc = from->ops->select(from, matchers, n, hints, &set->sets[i], &mine);
        if (rc == SONDE_OK) {
            rc = set_drain(set, i, err);
            continue;
        }
        set->sets[i] = NULL;
        if (left_out(q, &q->sources[i], rc, &mine))
            rc = SONDE_OK;
        else if (err)
            *err = mine;
    }
    free(set->table);
    set->table = NULL;
    if (hints && hints->limit && set->count > hints->limit)
        set->count = hints->limit;
    if (rc == SONDE_OK)
        *out = &set->base;
    else
        set_free(&set->base);
    return rc;
}

/* ---- names and values --------------------------------------------------- */

struct strings {
    sonde_str *items;
    size_t count, cap;
};

static void strings_push(struct strings *s, sonde_str x)
{
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count++] = x;
}

/* Both are sorted; what is new is copied into the arena. */
static void strings_merge(struct strings *s, const struct sonde_list *more,
                          struct arena *arena)
{
    struct strings all = { 0 };
    size_t i = 0, k = 0;

    while (i < s->count || k < more->count) {
        int order = i == s->count      ? 1
                    : k == more->count ? -1
                                       : str_cmp(s->items[i], more->items[k]);

        strings_push(&all, order <= 0 ? s->items[i]
                                      : arena_str(arena, more->items[k]));
        i += order <= 0;
        k += order >= 0;
    }
    free(s->items);
    *s = all;
}

static struct sonde_list strings_list(const struct strings *s, size_t limit,
                                      struct arena *arena)
{
    size_t n = limit && limit < s->count ? limit : s->count;
    sonde_str *items = arena_array(arena, sonde_str, n);

    if (n)
        memcpy(items, s->items, n * sizeof(*items));
    return (struct sonde_list){ items, n };
}

static sonde_code
merged_label_values(struct querier *base, const sonde_str *label,
                    const struct matcher *matchers, size_t n,
                    const struct select_hints *hints, struct arena *arena,
                    struct sonde_list *out, struct sonde_err *err)
{
    struct merged_querier *q = (struct merged_querier *)base;
    struct strings all = { 0 };
    sonde_code rc = SONDE_OK;
    struct arena scratch; /* of one source at a time: values repeat        */

    *out = (struct sonde_list){ 0 };
    arena_init(&scratch);
    for (size_t i = 0; rc == SONDE_OK && i < q->count; i++) {
        struct querier *from = q->sources[i].given.querier;
        struct sonde_list found = { 0 };
        struct sonde_err mine = { 0 };

        rc = from->ops->label_values(from, label, matchers, n, hints, &scratch,
                                     &found, &mine);
        if (rc == SONDE_OK)
            strings_merge(&all, &found, arena);
        else if (left_out(q, &q->sources[i], rc, &mine))
            rc = SONDE_OK;
        else if (err)
            *err = mine;
        arena_reset(&scratch);
    }
    arena_fini(&scratch);
    if (rc == SONDE_OK)
        *out = strings_list(&all, hints ? hints->limit : 0, arena);
    free(all.items);
    return rc;
}

/* ---- the querier -------------------------------------------------------- */

static void merged_free(struct querier *base)
{
    struct merged_querier *q = (struct merged_querier *)base;

    for (size_t i = 0; i < q->count; i++) {
        q->sources[i].given.querier->ops->free(q->sources[i].given.querier);
        free(q->sources[i].damage);
    }
    (void)pthread_mutex_destroy(&q->mutex);
    free(q->sources);
    free(q);
}

static const struct querier_ops querier_ops = {
    .select = merged_select,
    .label_values = merged_label_values,
    .warnings = merged_warnings,
    .free = merged_free,
};

struct querier *merge_querier(const struct merge_source *sources, size_t n)
{
    struct merged_querier *q = mem_new(struct merged_querier);

    q->base.ops = &querier_ops;
    q->sources = mem_zalloc(n * sizeof(*q->sources));
    q->count = n;
    for (size_t i = 0; i < n; i++)
        q->sources[i].given = sources[i];
    (void)pthread_mutex_init(&q->mutex, NULL);
    return &q->base;
}
