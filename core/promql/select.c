/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a selector finds in the store. The querier and its set stay open until
 * the query ends: label sets are views of theirs, and series are read when
 * their row is asked for. What the store has to say (a block that could not
 * be read) becomes a warning.
 */
#include "promql/select.h"

#include <stdlib.h>

#include "util/str.h"

static void set_end(void *p)
{
    struct series_set *set = p;

    set->ops->free(set);
}

static void querier_end(void *p)
{
    struct querier *q = p;

    q->ops->free(q);
}

static void remember(struct exec *x, struct querier *q)
{
    struct exec_querier *r = arena_new(&x->arena, struct exec_querier);

    *r = (struct exec_querier){ x->queriers, q };
    x->queriers = r;
}

/* Whether all that it finds has one name. */
static bool names_one(const struct promql_expr *e)
{
    for (size_t i = 0; i < e->selector.count; i++) {
        const struct matcher *m = &e->selector.matchers[i];

        if (m->op == MATCH_EQ && str_eq_cstr(m->name, LABEL_NAME))
            return true;
    }
    return false;
}

struct taking {
    struct node *node;
    struct selected *out;
    struct vseries *series;
    size_t cap_items, cap_series;
};

static sonde_code take_all(struct taking *t, struct series_set *set,
                           struct sonde_err *err)
{
    struct selected *s = t->out;
    struct storage_series *one;
    sonde_code rc;

    while ((rc = set->ops->next(set, &one, err)) == SONDE_OK) {
        s->items = mem_grow(s->items, &t->cap_items, s->count + 1,
                            sizeof(struct storage_series *));
        t->series = mem_grow(t->series, &t->cap_series, s->count + 1,
                             sizeof(*t->series));
        t->series[s->count] = (struct vseries){ .labels = one->labels };
        s->items[s->count++] = one;
        if (s->count % 1024 == 0) {
            rc = exec_check(t->node->exec, err);
            if (rc != SONDE_OK)
                return rc;
        }
    }
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

sonde_code select_series(struct node *n, const struct promql_expr *selector,
                         sonde_msec mint, sonde_msec maxt, struct selected *out,
                         struct sonde_err *err)
{
    struct exec *x = n->exec;
    struct storage *store = x->query->storage;
    struct select_hints hints = { .mint = mint, .maxt = maxt };
    struct taking t = { .node = n, .out = out };
    struct series_set *set;
    struct querier *q;
    sonde_code rc;

    *out = (struct selected){ .mint = mint, .maxt = maxt };
    rc = store->ops->querier(store, mint, maxt, &q, err);
    if (rc != SONDE_OK)
        return rc;
    exec_at_end(x, querier_end, q);
    remember(x, q);
    rc = q->ops->select(q, selector->selector.matchers,
                        selector->selector.count, &hints, &set, err);
    if (rc != SONDE_OK)
        return rc;
    exec_at_end(x, set_end, set);
    rc = take_all(&t, set, err);
    exec_at_end(x, free, out->items);
    exec_at_end(x, free, t.series);
    n->series = t.series;
    n->count = out->count;
    n->one_name = names_one(selector);
    return rc;
}

sonde_code select_read(struct node *n, const struct selected *s, size_t i,
                       struct worker *w, struct columns **out,
                       struct sonde_err *err)
{
    struct columns *c = &n->scratch[w->number].columns;
    sonde_code rc;

    columns_reset(c);
    *out = c;
    rc = s->items[i]->ops->read(s->items[i], s->mint, s->maxt, c, err);
    w->read += c->count;
    return rc;
}

/* Takes stale markers out. */
static void drop_stale(struct columns *c)
{
    size_t kept = 0;

    while (kept < c->count && !is_stale_nan(c->v[kept]))
        kept++;
    for (size_t i = kept; i < c->count; i++) {
        if (is_stale_nan(c->v[i]))
            continue;
        c->t[kept] = c->t[i];
        c->v[kept] = c->v[i];
        if (c->h)
            c->h[kept] = c->h[i];
        kept++;
    }
    c->count = kept;
}

static void floats_of_histograms(struct columns *c)
{
    struct arena *a = columns_arena(c);

    for (size_t i = 0; i < c->count; i++)
        if (c->h[i] && !c->h[i]->is_float)
            c->h[i] = histogram_to_float(a, c->h[i]);
}

sonde_code select_read_live(struct node *n, const struct selected *s, size_t i,
                            struct worker *w, struct columns **out,
                            struct sonde_err *err)
{
    sonde_code rc = select_read(n, s, i, w, out, err);

    if (rc != SONDE_OK)
        return rc;
    drop_stale(*out);
    if ((*out)->h)
        floats_of_histograms(*out);
    return SONDE_OK;
}
