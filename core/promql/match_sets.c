/* SPDX-License-Identifier: Apache-2.0 */
/*
 * and, or, unless: values of one side stay or go by whether the other side has
 * any value with the same signature at that step. Which steps those are is
 * found out first, one byte for each signature and step.
 */
#include "promql/match.h"

struct sets {
    struct node node;
    struct match *match;
    size_t lhs_count; /* series before those of the right side (or)        */
    uint8_t *there;   /* by signature and step: the side that decides      */
};

static bool stays(enum promql_op op, bool from_lhs, bool there)
{
    if (op == PROMQL_AND)
        return there;
    if (op == PROMQL_UNLESS)
        return !there;
    return from_lhs || !there;
}

static sonde_code sets_row(struct node *n, size_t i, struct worker *w,
                           struct row *out, struct sonde_err *err)
{
    struct sets *s = (struct sets *)n;
    bool lhs = i < s->lhs_count;
    struct match_side *side = lhs ? &s->match->lhs : &s->match->rhs;
    size_t at = lhs ? i : i - s->lhs_count;
    const uint8_t *there =
        s->there + (size_t)side->signature[at] * n->steps.count;
    sonde_code rc = node_row(side->node, at, w, out, err);

    if (rc != SONDE_OK)
        return rc;
    row_own(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++)
        if (row_has(out, k) && !stays(n->expr->binary.op, lhs, there[k]))
            row_clear(out, k);
    return SONDE_OK;
}

static const struct node_ops sets_ops = { .row = sets_row };

struct finding {
    struct sets *sets;
    struct match_side *side;
};

/* All series of one signature, so that no two workers write to one place. */
static sonde_code find_there(void *arg, struct worker *w, size_t signature,
                             struct sonde_err *err)
{
    struct finding *f = arg;
    size_t n = f->sets->node.steps.count;
    uint8_t *there = f->sets->there + signature * n;
    sonde_code rc = SONDE_OK;

    for (uint32_t i = f->side->first[signature];
         rc == SONDE_OK && i != MATCH_NONE; i = f->side->next[i]) {
        struct arena_mark mark = arena_mark(&w->arena);
        struct row r;

        rc = node_row(f->side->node, i, w, &r, err);
        for (size_t k = 0; rc == SONDE_OK && k < n; k++)
            there[k] |= row_has(&r, k);
        arena_rewind(&w->arena, mark);
    }
    return rc;
}

static void list_series(struct sets *s, bool both)
{
    struct match *m = s->match;
    size_t rhs = both ? m->rhs.node->count : 0;

    s->lhs_count = m->lhs.node->count;
    s->node.count = s->lhs_count + rhs;
    s->node.series =
        arena_array(&s->node.exec->arena, struct vseries, s->node.count);
    if (s->lhs_count)
        memcpy(s->node.series, m->lhs.node->series,
               s->lhs_count * sizeof(*s->node.series));
    if (rhs)
        memcpy(s->node.series + s->lhs_count, m->rhs.node->series,
               rhs * sizeof(*s->node.series));
    s->node.one_name = !both && m->lhs.node->one_name;
}

sonde_code match_sets_make(struct exec *x, const struct promql_expr *e,
                           struct match *m, struct node **out,
                           struct sonde_err *err)
{
    bool either = e->binary.op == PROMQL_OR;
    const struct steps *steps = &m->lhs.node->steps;
    struct sets *s = node_new(x, sizeof(*s), &sets_ops, e, steps);
    struct finding f = { s, either ? &m->lhs : &m->rhs };
    size_t bytes = m->signatures * steps->count;
    sonde_code rc = exec_hold(x, bytes / sizeof(double), err);

    if (rc != SONDE_OK)
        return rc;
    s->match = m;
    s->there = exec_alloc(x, bytes);
    memset(s->there, 0, bytes);
    list_series(s, either);
    if (either) /* its values are asked for twice */
        rc = node_keep(m->lhs.node, &m->lhs.node, err);
    if (rc == SONDE_OK)
        rc = exec_each(x, m->signatures, rows_piece(&s->node), find_there, &f,
                       err);
    if (rc == SONDE_OK)
        rc = node_unique(&s->node, out, err);
    return rc;
}
