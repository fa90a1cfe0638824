/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many samples a query looked at, as Prometheus counts them: a selector's
 * value at a step is one sample, a window as many as it has, and a native
 * histogram as many as would need its memory. What stands in a subquery is
 * not counted, only the windows over its results; what is the same at all
 * steps counts at each of them.
 */
#ifndef PROMQL_TALLY_H
#define PROMQL_TALLY_H

#include "promql/engine.h"

/* Of one row; added to the worker's when the row is there. */
struct tally {
    uint64_t total;
    uint64_t *steps; /* NULL: nobody asks for single steps                 */
};

static inline struct tally tally_begin(const struct node *n,
                                       const struct worker *w)
{
    return (struct tally){ 0,
                           n->tally == TALLY_STEPS ? w->step_samples : NULL };
}

static inline void tally_add(struct tally *t, size_t step, uint64_t samples)
{
    t->total += samples;
    if (t->steps)
        t->steps[step] += samples;
}

static inline void tally_end(const struct tally *t, const struct node *n,
                             struct worker *w)
{
    if (n->tally == TALLY_STEPS)
        w->queryable += t->total;
    else if (n->tally == TALLY_PINNED)
        w->pinned += t->total;
}

static inline uint64_t histogram_weight(const struct histogram *h)
{
    size_t parts = h->positive.span_count + h->positive.bucket_count +
                   h->negative.span_count + h->negative.bucket_count +
                   h->custom_count;

    return (176 + 8 * (uint64_t)parts) / 16;
}

static inline uint64_t window_weight(const struct window *win)
{
    uint64_t sum = win->n;

    for (size_t i = 0; win->h && i < win->n; i++)
        if (win->h[i])
            sum += histogram_weight(win->h[i]) - 1;
    return sum;
}

#endif
