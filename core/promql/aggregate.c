/* SPDX-License-Identifier: Apache-2.0 */
/* Grouping series by their labels, and who aggregates what. */
#include "promql/aggregate.h"

#include <stdlib.h>

#include "util/str.h"

struct labels group_labels(const struct exec *x, const struct promql_expr *e,
                           const struct labels *l, struct label *items)
{
    const struct sonde_list *list = &e->aggregate.labels;
    bool without = e->aggregate.without;
    size_t n = 0;

    for (size_t i = 0; i < l->count; i++)
        if (without ? !names_have(list, l->items[i].name) &&
                          !label_drops(x, l->items[i].name)
                    : names_have(list, l->items[i].name))
            items[n++] = l->items[i];
    return (struct labels){ items, n };
}

static void one_group(struct node *child, struct grouping *g)
{
    struct arena *a = &child->exec->arena;

    g->groups = arena_new(a, struct vseries);
    g->first = arena_new(a, uint32_t);
    g->count = child->count ? 1 : 0;
    for (uint32_t i = 0; i < child->count; i++)
        g->next[i] = i + 1 < child->count ? i + 1 : GROUP_END;
}

static void many_groups(struct node *child, const struct promql_expr *e,
                        struct grouping *g)
{
    struct arena *a = &child->exec->arena;
    size_t n = child->count, widest = 1;
    uint32_t *last = arena_array(a, uint32_t, n);
    struct label_index ix;
    struct label *scratch;
    struct vseries *groups = arena_array(a, struct vseries, n);
    uint32_t *first = arena_array(a, uint32_t, n);

    for (size_t i = 0; i < n; i++)
        if (child->series[i].labels.count > widest)
            widest = child->series[i].labels.count;
    scratch = arena_array(a, struct label, widest);
    label_index_init(&ix, n);
    for (uint32_t i = 0; i < n; i++) {
        struct labels l =
            group_labels(child->exec, e, &child->series[i].labels, scratch);
        struct labels *key = arena_new(a, struct labels);
        size_t at;

        *key = l;
        at = label_index_find(&ix, labels_hash(&l), &l);
        if (at == SIZE_MAX) {
            struct label *own = arena_array(a, struct label, l.count);

            memcpy(own, scratch, l.count * sizeof(*own));
            *key = (struct labels){ own, l.count };
            at = label_index_put(&ix, labels_hash(key), key, g->count);
            groups[g->count] = (struct vseries){ .labels = *key };
            first[g->count++] = i;
        } else {
            g->next[last[at]] = i;
        }
        g->of[i] = (uint32_t)at;
        g->next[i] = GROUP_END;
        last[at] = i;
    }
    label_index_fini(&ix);
    g->groups = groups;
    g->first = first;
}

void group_series(struct node *child, const struct promql_expr *e,
                  struct grouping *out)
{
    struct arena *a = &child->exec->arena;

    *out = (struct grouping){ 0 };
    out->of = arena_array(a, uint32_t, child->count);
    out->next = arena_array(a, uint32_t, child->count);
    if (!e->aggregate.without && e->aggregate.labels.count == 0)
        one_group(child, out);
    else
        many_groups(child, e, out);
    /* With delayed removal a group loses its name if one of it does. */
    for (size_t i = 0; i < child->count; i++)
        if (child->series[i].drop_name)
            out->groups[out->of[i]].drop_name = true;
}

static bool folds(enum promql_op op)
{
    return op == PROMQL_SUM || op == PROMQL_AVG || op == PROMQL_COUNT ||
           op == PROMQL_MIN || op == PROMQL_MAX || op == PROMQL_GROUP;
}

sonde_code aggregate_make(struct exec *x, const struct promql_expr *e,
                          const struct steps *steps, struct node **out,
                          struct sonde_err *err)
{
    struct grouping g;
    struct node *child;
    sonde_code rc = node_make(x, e->aggregate.expr, steps, &child, err);

    if (rc != SONDE_OK)
        return rc;
    group_series(child, e, &g);
    if (folds(e->aggregate.op))
        return fold_make(x, e, child, &g, out, err);
    return ranked_make(x, e, child, &g, out, err);
}
