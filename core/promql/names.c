/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The label sets of nodes: keeping them, dropping names, and what to do when
 * two series become the same by that.
 *
 * Most often nothing has to be done: the series of a selector with a name
 * differ in their other labels already. Else equal sets are found by hash
 * once, when the node is made, and only where there are any do rows have to
 * be compared step by step.
 */
#include <stdlib.h>

#include "promql/engine.h"
#include "util/str.h"

static const char *const dropped[] = { LABEL_NAME, "__type__", "__unit__" };

bool names_have(const struct sonde_list *l, sonde_str name)
{
    for (size_t i = 0; i < l->count; i++)
        if (sonde_str_eq(l->items[i], name))
            return true;
    return false;
}

bool label_drops(const struct exec *x, sonde_str name)
{
    size_t n = x->query->features & PROMQL_TYPE_AND_UNIT ? 3 : 1;

    for (size_t i = 0; i < n; i++)
        if (str_eq_cstr(name, dropped[i]))
            return true;
    return false;
}

static size_t first_dropped(const struct exec *x, const struct labels *l)
{
    size_t i = 0;

    while (i < l->count && !label_drops(x, l->items[i].name))
        i++;
    return i;
}

struct labels labels_nameless(struct exec *x, const struct labels *l)
{
    size_t at = first_dropped(x, l), n = at;
    struct label *items;

    if (at == l->count)
        return *l;
    if (at == 0 && !(x->query->features & PROMQL_TYPE_AND_UNIT))
        return (struct labels){ l->items + 1, l->count - 1 };
    items = arena_array(&x->arena, struct label, l->count);
    memcpy(items, l->items, at * sizeof(*items));
    for (size_t i = at + 1; i < l->count; i++)
        if (!label_drops(x, l->items[i].name))
            items[n++] = l->items[i];
    return (struct labels){ items, n };
}

void series_drop_names(struct node *n, const struct node *child)
{
    struct exec *x = n->exec;
    bool later = x->query->features & PROMQL_DELAYED_NAME_REMOVAL;

    n->count = child->count;
    n->one_name = child->one_name;
    n->series = arena_array(&x->arena, struct vseries, n->count);
    for (size_t i = 0; i < n->count; i++) {
        n->series[i] = child->series[i];
        if (later)
            n->series[i].drop_name = true;
        else
            n->series[i].labels = labels_nameless(x, &child->series[i].labels);
    }
}

void series_keep(struct node *n, const struct node *child)
{
    n->count = child->count;
    n->one_name = child->one_name;
    n->series = child->series;
}

/* ---- equal label sets ---------------------------------------------------- */

void label_index_init(struct label_index *ix, size_t expect)
{
    *ix = (struct label_index){ .size = 16 };
    while (ix->size < expect * 2)
        ix->size *= 2;
    ix->slots = mem_zalloc(ix->size * sizeof(*ix->slots));
}

void label_index_fini(struct label_index *ix)
{
    free(ix->slots);
    *ix = (struct label_index){ 0 };
}

size_t label_index_find(const struct label_index *ix, uint64_t hash,
                        const struct labels *l)
{
    size_t mask = ix->size - 1, i = hash & mask;

    for (; ix->slots[i].labels; i = (i + 1) & mask)
        if (ix->slots[i].hash == hash && labels_eq(ix->slots[i].labels, l))
            return ix->slots[i].number;
    return SIZE_MAX;
}

static void index_grow(struct label_index *ix)
{
    struct label_index bigger;

    label_index_init(&bigger, ix->size);
    for (size_t i = 0; i < ix->size; i++) {
        const struct label_index_slot *slot = &ix->slots[i];

        if (slot->labels)
            (void)label_index_put(&bigger, slot->hash, slot->labels,
                                  slot->number);
    }
    label_index_fini(ix);
    *ix = bigger;
}

size_t label_index_put(struct label_index *ix, uint64_t hash,
                       const struct labels *l, size_t number)
{
    size_t mask, i;

    if ((ix->used + 1) * 2 > ix->size)
        index_grow(ix);
    mask = ix->size - 1;
    for (i = hash & mask; ix->slots[i].labels; i = (i + 1) & mask)
        if (ix->slots[i].hash == hash && labels_eq(ix->slots[i].labels, l))
            return ix->slots[i].number;
    ix->slots[i] = (struct label_index_slot){ hash, l, number };
    ix->used++;
    return number;
}

/* ---- series that became one ---------------------------------------------- */

struct merged {
    struct node node;
    struct node *of;
    const char *error; /* of two values at one step                        */
    /* Of each series: those of `of` that it is made of. */
    uint32_t *first; /* by series: the first                              */
    uint32_t *next;  /* by series of `of`: the next, or NONE              */
};
#define NONE UINT32_MAX

static sonde_code merge_into(struct node *n, struct worker *w, struct row *out,
                             const struct row *more, struct sonde_err *err)
{
    for (size_t k = 0; k < n->steps.count; k++) {
        if (!row_has(more, k))
            continue;
        if (row_has(out, k))
            return exec_error(err, "%s", ((struct merged *)n)->error);
        out->v[k] = more->v[k];
        if (row_histogram(more, k)) {
            row_histograms(n, w, out);
            out->h[k] = more->h[k];
        }
    }
    return SONDE_OK;
}

static sonde_code merged_row(struct node *n, size_t i, struct worker *w,
                             struct row *out, struct sonde_err *err)
{
    struct merged *m = (struct merged *)n;
    sonde_code rc = SONDE_OK;

    row_begin(n, w, out);
    for (uint32_t at = m->first[i]; rc == SONDE_OK && at != NONE;
         at = m->next[at]) {
        struct row one;

        rc = node_row(m->of, at, w, &one, err);
        if (rc == SONDE_OK)
            rc = merge_into(n, w, out, &one, err);
    }
    return rc;
}

static const struct node_ops merged_ops = { .row = merged_row };

/* The label sets, as they are or as they will be at the end. */
static struct labels *label_sets(struct node *n, bool at_end)
{
    struct labels *l = mem_alloc((n->count + 1) * sizeof(*l));

    for (size_t i = 0; i < n->count; i++)
        l[i] = at_end ? series_labels(n, i) : n->series[i].labels;
    return l;
}

static struct merged *merged_make(struct node *n, const struct labels *l)
{
    struct exec *x = n->exec;
    struct merged *m = node_new(x, sizeof(*m), &merged_ops, n->expr, &n->steps);
    struct label_index ix;
    uint32_t *last;

    m->of = n;
    m->node.series = arena_array(&x->arena, struct vseries, n->count);
    m->first = arena_array(&x->arena, uint32_t, n->count);
    m->next = arena_array(&x->arena, uint32_t, n->count);
    last = arena_array(&x->arena, uint32_t, n->count);
    label_index_init(&ix, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        size_t to =
            label_index_put(&ix, labels_hash(&l[i]), &l[i], m->node.count);

        m->next[i] = NONE;
        if (to == m->node.count) {
            m->node.series[m->node.count++] = n->series[i];
            m->first[to] = i;
        } else {
            m->next[last[to]] = i;
        }
        last[to] = i;
    }
    label_index_fini(&ix);
    return m;
}

static struct node *unique(struct node *n, bool at_end, const char *error)
{
    struct merged *m;
    struct labels *l;

    if (n->one_name || n->count < 2)
        return n;
    l = label_sets(n, at_end);
    m = merged_make(n, l);
    free(l);
    m->error = error;
    return m->node.count < n->count ? &m->node : n;
}

static const char same_labels[] =
    "vector cannot contain metrics with the same labelset";

sonde_code node_unique_or(struct node *n, const char *error, struct node **out)
{
    *out = unique(n, true, error);
    return SONDE_OK;
}

sonde_code node_unique(struct node *n, struct node **out, struct sonde_err *err)
{
    (void)err;
    *out = unique(n, false, same_labels);
    return SONDE_OK;
}

struct node *node_unique_at_end(struct node *n)
{
    return unique(n, true, same_labels);
}
