/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sum and avg of native histograms: one open histogram for each step, to which
 * those of the group's series are added. They live in an arena of the fold's
 * own; since every addition makes new buckets, the arena is copied into a
 * fresh one whenever it has grown to a few times what is live.
 */
#include <stdlib.h>

#include "promql/aggregate.h"
#include "promql/hist.h"

#define ARENA_SLACK (1u << 20)

struct histogram_fold {
    struct arena arena;
    size_t live; /* bytes, when it was copied last                         */
    size_t steps;
    struct hist *sums;   /* by step                                        */
    uint32_t *counts;    /* of histograms                                  */
    bool *mixed;         /* by step: layouts that do not go together       */
    bool *resets, *none; /* by step: what was said of resets               */
    bool reconciled;
};

static void fold_end(void *p)
{
    struct histogram_fold *f = p;

    arena_fini(&f->arena);
    free(f->sums);
    free(f->counts);
    free(f->mixed);
    free(f);
}

static struct histogram_fold *fold_new(size_t steps)
{
    struct histogram_fold *f = mem_new(struct histogram_fold);

    f->steps = steps;
    arena_init(&f->arena);
    f->sums = mem_zalloc(steps * sizeof(*f->sums));
    f->counts = mem_zalloc(steps * sizeof(*f->counts));
    f->mixed = mem_zalloc(3 * steps * sizeof(*f->mixed));
    f->resets = f->mixed + steps;
    f->none = f->resets + steps;
    return f;
}

/* Into an arena that holds only what is live. */
static void tidy(struct histogram_fold *f)
{
    struct arena fresh;

    if (f->arena.used_bytes < f->live * 4 + ARENA_SLACK)
        return;
    arena_init(&fresh);
    for (size_t k = 0; k < f->steps; k++)
        if (f->counts[k])
            f->sums[k] = hist_copy(&fresh, &f->sums[k]);
    arena_fini(&f->arena);
    f->arena = fresh;
    f->live = fresh.used_bytes;
}

static void add_at(struct histogram_fold *f, size_t k, const struct hist *h)
{
    unsigned met;

    f->resets[k] |= h->hint == HISTOGRAM_RESET;
    f->none[k] |= h->hint == HISTOGRAM_NO_RESET;
    if (f->counts[k]++ == 0) {
        f->sums[k] = hist_copy(&f->arena, h);
        return;
    }
    met = hist_add(&f->arena, &f->sums[k], h);
    f->mixed[k] |= (met & HIST_INCOMPATIBLE) != 0;
    f->reconciled |= (met & HIST_RECONCILED) != 0;
}

static void ignore(struct node *child, enum promql_op op,
                   const struct promql_expr *e, struct row *r)
{
    for (size_t k = 0; k < child->steps.count; k++) {
        if (!r->h[k])
            continue;
        note_info(child->exec, e->aggregate.expr,
                  "ignored histogram in %s aggregation", promql_op_name(op));
        row_clear(r, k);
    }
}

void histograms_fold(struct node *child, enum promql_op op,
                     const struct promql_expr *e, struct histogram_fold **to,
                     struct row *r, struct worker *w)
{
    if (op != PROMQL_SUM && op != PROMQL_AVG) {
        ignore(child, op, e, r);
        return;
    }
    if (!*to)
        *to = fold_new(child->steps.count);
    for (size_t k = 0; k < child->steps.count; k++) {
        struct hist h;

        if (!r->h[k])
            continue;
        h = hist_open(&w->arena, r->h[k]);
        add_at(*to, k, &h);
        row_clear(r, k);
    }
    tidy(*to);
}

void histograms_unite(struct node *child, enum promql_op op,
                      const struct promql_expr *e, struct histogram_fold **to,
                      struct histogram_fold *from)
{
    (void)op;
    (void)e;
    if (!*to)
        *to = fold_new(child->steps.count);
    for (size_t k = 0; k < child->steps.count; k++) {
        uint32_t had = (*to)->counts[k];

        if (!from->counts[k])
            continue;
        add_at(*to, k, &from->sums[k]);
        (*to)->counts[k] = had + from->counts[k];
        (*to)->mixed[k] |= from->mixed[k];
        (*to)->resets[k] |= from->resets[k];
        (*to)->none[k] |= from->none[k];
    }
    (*to)->reconciled |= from->reconciled;
    fold_end(from);
}

static bool usable(struct node *child, const struct promql_expr *e,
                   const struct histogram_fold *f, uint32_t floats, size_t k)
{
    if (floats)
        note_warning(child->exec, e->aggregate.expr,
                     "encountered a mix of histograms and floats for "
                     "aggregation");
    else if (f->mixed[k])
        note_warning(child->exec, e->aggregate.expr,
                     "vector contains a mix of histograms with exponential "
                     "and custom buckets schemas for metric name \"\"");
    else if (f->resets[k] && f->none[k])
        note_warning(child->exec, e->aggregate.expr,
                     "conflicting counter resets during histogram "
                     "aggregation");
    return !floats && !f->mixed[k];
}

void histograms_finish(struct node *child, enum promql_op op,
                       const struct promql_expr *e, struct histogram_fold *f,
                       const uint32_t *float_counts, double *v,
                       const struct histogram **h)
{
    for (size_t k = 0; k < child->steps.count; k++) {
        if (!f->counts[k])
            continue;
        v[k] = bits_double(PROMQL_ABSENT_BITS);
        if (!usable(child, e, f, float_counts[k], k))
            continue;
        if (op == PROMQL_AVG)
            hist_divide(&f->sums[k], f->counts[k]);
        h[k] = hist_close(&child->exec->arena, &f->sums[k]);
        v[k] = h[k]->sum;
    }
    if (f->reconciled)
        note_info(child->exec, e->aggregate.expr,
                  "mismatched custom buckets were reconciled during "
                  "aggregation");
    fold_end(f);
}
