/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the fake store: every series is looked at, and copied out under the
 * mutex.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/fake_int.h"
#include "util/mem.h"
#include "util/str.h"

struct fake_querier {
    struct querier querier;
    struct fake *store;
    sonde_msec mint, maxt;
};

struct fake_selected {
    struct storage_series base;
    struct fake *store;
    const struct fake_series *at;
};

struct fake_set {
    struct series_set set;
    struct fake *store;
    struct fake_selected **series; /* each stays where it is               */
    size_t count, next, cap;
};

static sonde_code series_read(struct storage_series *base, sonde_msec mint,
                              sonde_msec maxt, struct columns *out,
                              struct sonde_err *err)
{
    struct fake_selected *s = (struct fake_selected *)base;
    const struct columns *c = &s->at->samples;

    (void)err;
    (void)pthread_mutex_lock(&s->store->mutex);
    for (size_t i = 0; i < c->count; i++) {
        if (c->t[i] < mint || c->t[i] > maxt)
            continue;
        if (c->h && c->h[i])
            columns_push_histogram(out, c->t[i],
                                   histogram_dup(columns_arena(out), c->h[i]));
        else
            columns_push(out, c->t[i], c->v[i]);
    }
    (void)pthread_mutex_unlock(&s->store->mutex);
    return SONDE_OK;
}

static const struct storage_series_ops series_ops = { .read = series_read };

static sonde_code set_next(struct series_set *s, struct storage_series **out,
                           struct sonde_err *err)
{
    struct fake_set *set = (struct fake_set *)s;

    (void)err;
    if (set->next == set->count)
        return SONDE_ENOTFOUND;
    *out = &set->series[set->next++]->base;
    return SONDE_OK;
}

static void set_add(struct fake_set *set, const struct fake_series *s)
{
    struct fake_selected *one = mem_new(struct fake_selected);

    *one = (struct fake_selected){ { &series_ops, s->labels }, set->store, s };
    set->series = mem_grow(set->series, &set->cap, set->count + 1,
                           sizeof(struct fake_selected *));
    set->series[set->count++] = one;
}

static void set_free(struct series_set *s)
{
    struct fake_set *set = (struct fake_set *)s;

    for (size_t i = 0; i < set->count; i++)
        free(set->series[i]);
    free(set->series);
    free(set);
}

static const struct series_set_ops set_ops = {
    .next = set_next,
    .free = set_free,
};

/* Whether a series has samples in the querier's and the caller's range. */
static bool in_range(const struct fake_querier *q,
                     const struct select_hints *hints,
                     const struct fake_series *s)
{
    sonde_msec mint = hints && hints->mint > q->mint ? hints->mint : q->mint;
    sonde_msec maxt = hints && hints->maxt < q->maxt ? hints->maxt : q->maxt;

    for (size_t i = 0; i < s->samples.count; i++)
        if (s->samples.t[i] >= mint && s->samples.t[i] <= maxt)
            return true;
    return false;
}

static sonde_code query_select(struct querier *querier,
                               const struct matcher *matchers, size_t n,
                               const struct select_hints *hints,
                               struct series_set **out, struct sonde_err *err)
{
    struct fake_querier *q = (struct fake_querier *)querier;
    struct fake *f = q->store;
    struct fake_set *set = mem_new(struct fake_set);

    (void)err;
    set->set.ops = &set_ops;
    set->store = f;
    (void)pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->count; i++) {
        struct fake_series *s = f->series[i];

        if (hints && hints->limit && set->count == hints->limit)
            break;
        if (matchers_match(matchers, n, &s->labels) && in_range(q, hints, s))
            set_add(set, s);
    }
    (void)pthread_mutex_unlock(&f->mutex);
    *out = &set->set;
    return SONDE_OK;
}

static int by_str(const void *a, const void *b)
{
    return str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

struct strings {
    sonde_str *items;
    size_t count, cap;
};

static void strings_add(struct strings *s, sonde_str x)
{
    if (x.len == 0)
        return;
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count++] = x;
}

/* Sorted and each once, as copies in the arena. */
static struct sonde_list strings_list(struct strings *s, size_t limit,
                                      struct arena *arena)
{
    sonde_str *items;
    size_t n = 0;

    if (s->count == 0)
        return (struct sonde_list){ 0 };
    qsort(s->items, s->count, sizeof(*s->items), by_str);
    items = arena_array(arena, sonde_str, s->count);
    for (size_t i = 0; i < s->count && (limit == 0 || n < limit); i++)
        if (i == 0 || !sonde_str_eq(s->items[i], s->items[i - 1]))
            items[n++] = arena_str(arena, s->items[i]);
    return (struct sonde_list){ items, n };
}

static sonde_code
query_label_values(struct querier *querier, const sonde_str *label,
                   const struct matcher *matchers, size_t n,
                   const struct select_hints *hints, struct arena *arena,
                   struct sonde_list *out, struct sonde_err *err)
{
    struct fake_querier *q = (struct fake_querier *)querier;
    struct fake *f = q->store;
    struct strings found = { 0 };

    (void)err;
    (void)pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->count; i++) {
        const struct labels *l = &f->series[i]->labels;

        if (!matchers_match(matchers, n, l) ||
            !in_range(q, hints, f->series[i]))
            continue;
        if (label)
            strings_add(&found, labels_get(l, *label));
        for (size_t j = 0; !label && j < l->count; j++)
            strings_add(&found, l->items[j].name);
    }
    (void)pthread_mutex_unlock(&f->mutex);
    *out = strings_list(&found, hints ? hints->limit : 0, arena);
    free(found.items);
    return SONDE_OK;
}

static void query_warnings(struct querier *querier, struct arena *arena,
                           struct sonde_list *out)
{
    const struct fake *f = ((struct fake_querier *)querier)->store;
    sonde_str *line = arena_new(arena, sonde_str);

    *line = f->warning ? sonde_cstr(f->warning) : (sonde_str){ 0 };
    *out = (struct sonde_list){ line, f->warning != NULL };
}

static void query_free(struct querier *q)
{
    free(q);
}

static const struct querier_ops querier_ops = {
    .select = query_select,
    .label_values = query_label_values,
    .warnings = query_warnings,
    .free = query_free,
};

sonde_code fake_querier(struct storage *s, sonde_msec mint, sonde_msec maxt,
                        struct querier **out, struct sonde_err *err)
{
    struct fake_querier *q = mem_new(struct fake_querier);

    (void)err;
    q->querier.ops = &querier_ops;
    q->store = (struct fake *)s;
    q->mint = mint;
    q->maxt = maxt;
    *out = &q->querier;
    return SONDE_OK;
}

/* ---- exemplars ------------------------------------------------------------
 */

static bool any_accepts(const struct matcher *const *sets,
                        const size_t *set_counts, size_t n,
                        const struct labels *l)
{
    for (size_t i = 0; i < n; i++)
        if (matchers_match(sets[i], set_counts[i], l))
            return true;
    return false;
}

static void exemplars_copy(const struct fake_series *s, sonde_msec mint,
                           sonde_msec maxt, struct arena *arena,
                           struct exemplar_series *out)
{
    *out = (struct exemplar_series){ .labels = labels_dup(arena, &s->labels) };
    out->exemplars = arena_array(arena, struct exemplar, s->exemplar_count);
    for (size_t i = 0; i < s->exemplar_count; i++) {
        const struct exemplar *e = &s->exemplars[i];

        if (e->t >= mint && e->t <= maxt)
            out->exemplars[out->count++] =
                (struct exemplar){ labels_dup(arena, &e->labels), e->t, e->v };
    }
}

static int by_labels(const void *a, const void *b)
{
    const struct exemplar_series *x = a, *y = b;

    return labels_cmp(&x->labels, &y->labels);
}

sonde_code fake_exemplars(struct storage *s, const struct matcher *const *sets,
                          const size_t *set_counts, size_t n, sonde_msec mint,
                          sonde_msec maxt, struct arena *arena,
                          struct exemplar_series **out, size_t *out_count,
                          struct sonde_err *err)
{
    struct fake *f = (struct fake *)s;
    size_t found = 0;

    (void)err;
    (void)pthread_mutex_lock(&f->mutex);
    *out = arena_array(arena, struct exemplar_series, f->count);
    for (size_t i = 0; i < f->count; i++) {
        if (!any_accepts(sets, set_counts, n, &f->series[i]->labels))
            continue;
        exemplars_copy(f->series[i], mint, maxt, arena, &(*out)[found]);
        found += (*out)[found].count > 0;
    }
    (void)pthread_mutex_unlock(&f->mutex);
    if (found)
        qsort(*out, found, sizeof(**out), by_labels);
    *out_count = found;
    return SONDE_OK;
}
