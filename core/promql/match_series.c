/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures: what of a label set two vectors are matched by. Each distinct
 * one has a number; both sides' series are listed under it. The labels of a
 * signature are kept, for messages and for what stands in for a missing
 * partner.
 */
#include <stdlib.h>

#include "promql/match.h"
#include "util/str.h"

static struct labels signature(const struct exec *x,
                               const struct promql_matching *m,
                               const struct labels *l, struct label *items)
{
    size_t n = 0;

    for (size_t i = 0; i < l->count; i++) {
        sonde_str name = l->items[i].name;

        if (m->on ? names_have(&m->labels, name)
                  : !names_have(&m->labels, name) && !label_drops(x, name))
            items[n++] = l->items[i];
    }
    return (struct labels){ items, n };
}

struct matching {
    struct exec *exec;
    const struct promql_matching *how;
    struct match *match;
    struct label_index index;
};

static uint32_t number_of(struct matching *m, const struct labels *l)
{
    struct arena *a = &m->exec->arena;
    struct label *items = arena_array(a, struct label, l->count);
    struct labels *key = arena_new(a, struct labels);
    size_t at;

    *key = signature(m->exec, m->how, l, items);
    at =
        label_index_put(&m->index, labels_hash(key), key, m->match->signatures);
    if (at == m->match->signatures)
        m->match->labels[m->match->signatures++] = *key;
    return (uint32_t)at;
}

static void number_side(struct matching *m, struct match_side *s)
{
    struct arena *a = &m->exec->arena;

    s->signature = arena_array(a, uint32_t, s->node->count);
    s->next = arena_array(a, uint32_t, s->node->count);
    for (size_t i = 0; i < s->node->count; i++)
        s->signature[i] = number_of(m, &s->node->series[i].labels);
}

/* In the order of the series. */
static void list_side(struct matching *m, struct match_side *s)
{
    s->first = arena_array(&m->exec->arena, uint32_t, m->match->signatures);
    for (size_t i = 0; i < m->match->signatures; i++)
        s->first[i] = MATCH_NONE;
    for (size_t i = s->node->count; i-- > 0;) {
        s->next[i] = s->first[s->signature[i]];
        s->first[s->signature[i]] = (uint32_t)i;
    }
}

sonde_code match_series(struct exec *x, const struct promql_expr *e,
                        const struct steps *steps, struct match *out,
                        struct sonde_err *err)
{
    struct matching m = { x, &e->binary.matching, out, { 0 } };
    size_t most;
    sonde_code rc;

    *out = (struct match){ 0 };
    rc = node_make(x, e->binary.lhs, steps, &out->lhs.node, err);
    if (rc == SONDE_OK)
        rc = node_make(x, e->binary.rhs, steps, &out->rhs.node, err);
    if (rc != SONDE_OK)
        return rc;
    most = out->lhs.node->count + out->rhs.node->count;
    out->labels = arena_array(&x->arena, struct labels, most);
    label_index_init(&m.index, most);
    number_side(&m, &out->lhs);
    number_side(&m, &out->rhs);
    list_side(&m, &out->lhs);
    list_side(&m, &out->rhs);
    label_index_fini(&m.index);
    return SONDE_OK;
}
