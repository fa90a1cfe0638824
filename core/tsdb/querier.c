/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The querier: a selection is made at once and is a list of references; then
 * series come one by one. A series that has no chunk in the range is passed
 * over, so that what was made but never committed is not seen. Series of a
 * set stay in its arena; their labels are views of symbols, which live as
 * long as the series in the head.
 *
 * A querier holds no lock between calls and may live as long as it likes: it
 * is one of the head's readers, and nothing that it may have found is given
 * back before it is freed. What is taken out of the head meanwhile it may
 * find or not.
 *
 * One thread at a time, but for reading series; several queriers in several
 * threads are fine.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/mem.h"
#include "util/str.h"

struct head_querier {
    struct querier base;
    struct head *head;
    struct presence here; /* among the head's readers                        */
    sonde_msec mint, maxt;
};

struct head_series {
    struct storage_series base;
    struct head *head;
    uint32_t ref;
};

struct head_set {
    struct series_set base;
    struct head *head;
    struct refs refs;
    size_t next, limit;
    sonde_msec mint, maxt;
    struct arena arena; /* of the series                                  */
};

/* ---- series ----------------------------------------------------------- */

static sonde_code set_series_read(struct storage_series *base, sonde_msec mint,
                                  sonde_msec maxt, struct columns *out,
                                  struct sonde_err *err)
{
    struct head_series *s = (struct head_series *)base;

    return head_read(s->head, s->ref, mint, maxt, out, err);
}

static const struct storage_series_ops series_ops = { set_series_read };

/* Where the labels are; false if there is nothing in the range. Mostly the
 * newest sample tells. */
static bool in_range(struct head_set *set, uint32_t id, uint32_t *labels)
{
    struct walk w = walk_of(set->head);
    struct series *s = walk_to_id(&w, id);
    bool yes =
        s && s->open.count && s->open.t >= set->mint && s->open.t <= set->maxt;

    *labels = s ? s->labels : 0;
    walk_end(&w);
    return *labels && (yes || head_has(set->head, id, set->mint, set->maxt));
}

static struct labels labels_of(struct head_set *set, uint32_t at)
{
    size_t n = label_store_get(&set->head->labels, at).count;
    struct label *items = arena_array(&set->arena, struct label, n);

    head_labels_view(set->head, at, items, &n);
    return (struct labels){ items, n };
}

static sonde_code set_next(struct series_set *base, struct storage_series **out,
                           struct sonde_err *err)
{
    struct head_set *set = (struct head_set *)base;
    struct head_series *s;
    uint32_t labels;

    (void)err;
    while (set->limit && set->next < set->refs.count) {
        uint32_t ref = set->refs.items[set->next++];

        if (!in_range(set, ref, &labels))
            continue;
        s = arena_new(&set->arena, struct head_series);
        s->base.ops = &series_ops;
        s->base.labels = labels_of(set, labels);
        s->head = set->head;
        s->ref = ref;
        set->limit--;
        *out = &s->base;
        return SONDE_OK;
    }
    return SONDE_ENOTFOUND;
}

static void set_free(struct series_set *base)
{
    struct head_set *set = (struct head_set *)base;

    refs_fini(&set->refs);
    arena_fini(&set->arena);
    free(set);
}

static const struct series_set_ops set_ops = { set_next, set_free };

static sonde_code querier_select(struct querier *base,
                                 const struct matcher *matchers, size_t n,
                                 const struct select_hints *hints,
                                 struct series_set **out, struct sonde_err *err)
{
    struct head_querier *q = (struct head_querier *)base;
    struct head_set *set = mem_new(struct head_set);

    (void)err;
    set->base.ops = &set_ops;
    set->head = q->head;
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
    head_select(q->head, matchers, n, &set->refs);
    *out = &set->base;
    return SONDE_OK;
}

/* ---- names and values ------------------------------------------------- */

#define SYMBOLS_PRESS 65536 /* take doubles out above this many            */

/* Of the names, or of one name's values, that some series have. */
static void symbols_of_series(struct head *h, const symbol *name,
                              struct refs *series, struct refs *out)
{
    uint32_t *places = head_label_places(h, series);
    size_t press = SYMBOLS_PRESS;

    for (size_t i = 0; i < series->count; i++) {
        struct label_set set = label_store_get(&h->labels, places[i]);
        symbol value;

        if (!name)
            refs_append(out, set.names, set.count);
        else if (label_set_find(&set, *name, &value))
            refs_append(out, &value, 1);
        if (out->count > press) {
            refs_sort(out);
            press = out->count * 2 + SYMBOLS_PRESS;
        }
    }
    refs_sort(out);
    free(places);
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

static struct sonde_list strings_sorted(const struct head *h,
                                        const struct refs *symbols,
                                        struct arena *arena)
{
    sonde_str *items;

    if (symbols->count == 0)
        return (struct sonde_list){ 0 };
    items = arena_array(arena, sonde_str, symbols->count);
    for (size_t i = 0; i < symbols->count; i++)
        items[i] = arena_str(arena, symtab_str(h->symbols, symbols->items[i]));
    qsort(items, symbols->count, sizeof(*items), by_bytes);
    return (struct sonde_list){ items, symbols->count };
}

static sonde_code
querier_label_values(struct querier *base, const sonde_str *label,
                     const struct matcher *matchers, size_t n,
                     const struct select_hints *hints, struct arena *arena,
                     struct sonde_list *out, struct sonde_err *err)
{
    struct head *h = ((struct head_querier *)base)->head;
    struct refs symbols = { 0 }, series = { 0 };
    symbol name;

    (void)err;
    *out = (struct sonde_list){ 0 };
    if (label && !symtab_find(h->symbols, *label, &name))
        return SONDE_OK;
    if (n) {
        head_select(h, matchers, n, &series);
        symbols_of_series(h, label ? &name : NULL, &series, &symbols);
    } else if (label) {
        head_values(h, name, &symbols);
    } else {
        head_names(h, &symbols);
    }
    *out = strings_sorted(h, &symbols, arena);
    if (hints && hints->limit && out->count > hints->limit)
        out->count = hints->limit;
    refs_fini(&symbols);
    refs_fini(&series);
    return SONDE_OK;
}

static void querier_free(struct querier *base)
{
    struct head_querier *q = (struct head_querier *)base;

    readers_leave(&q->head->readers, &q->here);
    free(q);
}

static const struct querier_ops querier_ops = {
    .select = querier_select,
    .label_values = querier_label_values,
    .free = querier_free,
};

sonde_code head_querier(struct head *h, sonde_msec mint, sonde_msec maxt,
                        struct querier **out, struct sonde_err *err)
{
    struct head_querier *q;

    if (h->log_only)
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "query: this process only forwards samples "
                             "(agent mode) and keeps none to query");
    q = mem_new(struct head_querier);
    q->base.ops = &querier_ops;
    q->head = h;
    q->mint = mint;
    q->maxt = maxt;
    readers_enter(&h->readers, &q->here);
    *out = &q->base;
    return SONDE_OK;
}
