/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as one querier: blocks from the oldest on, then the head, merged
 * by storage/merge.
 *
 * A block that shows damage is left out as far as it is damaged and reported
 * once; whoever listens quarantines it, so that the next query does not meet
 * it any more.
 */
#include "tsdb/store_querier.h"

#include <stdlib.h>

#include "storage/merge.h"
#include "util/mem.h"

/* What the merged querier tells of damage. */
struct report {
    struct block *block; /* the block's querier holds it                  */
    void (*damaged)(void *arg, struct block *b, const struct sonde_err *err);
    void *arg;
};

struct view_querier {
    struct querier base;
    struct querier *merged;
    void (*release)(void *held);
    void *held;
    struct report reports[];
};

static struct querier *merged_of(struct querier *base)
{
    return ((struct view_querier *)base)->merged;
}

static sonde_code view_select(struct querier *base,
                              const struct matcher *matchers, size_t n,
                              const struct select_hints *hints,
                              struct series_set **out, struct sonde_err *err)
{
    struct querier *q = merged_of(base);

    return q->ops->select(q, matchers, n, hints, out, err);
}

static sonde_code view_label_values(struct querier *base,
                                    const sonde_str *label,
                                    const struct matcher *matchers, size_t n,
                                    const struct select_hints *hints,
                                    struct arena *arena, struct sonde_list *out,
                                    struct sonde_err *err)
{
    struct querier *q = merged_of(base);

    return q->ops->label_values(q, label, matchers, n, hints, arena, out, err);
}

static void view_warnings(struct querier *base, struct arena *arena,
                          struct sonde_list *out)
{
    *out = querier_warnings(merged_of(base), arena);
}

static void view_free(struct querier *base)
{
    struct view_querier *q = (struct view_querier *)base;

    q->merged->ops->free(q->merged);
    if (q->release)
        q->release(q->held);
    free(q);
}

static const struct querier_ops view_ops = {
    .select = view_select,
    .label_values = view_label_values,
    .warnings = view_warnings,
    .free = view_free,
};

static void report(void *arg, const struct sonde_err *err)
{
    const struct report *r = arg;

    r->damaged(r->arg, r->block, err);
}

static bool has_range(struct block *b, sonde_msec mint, sonde_msec maxt)
{
    const struct block_meta *m = block_meta(b);

    return m->mint <= maxt && m->maxt > mint;
}

/* Sources in order of time, and who is told of damage in them. */
static sonde_code sources_open(const struct store_view *view, sonde_msec mint,
                               sonde_msec maxt, struct report *reports,
                               struct merge_source *sources, size_t *n,
                               struct sonde_err *err)
{
    for (size_t i = 0; i < view->count; i++) {
        struct block *b = view->blocks[i];
        struct merge_source *s = &sources[*n];
        sonde_code rc;

        if (!has_range(b, mint, maxt))
            continue;
        rc = block_querier(b, mint, maxt, &s->querier, err);
        if (rc != SONDE_OK)
            return rc;
        reports[*n] = (struct report){ b, view->damaged, view->arg };
        if (view->damaged) {
            s->damaged = report;
            s->arg = &reports[*n];
        }
        ++*n;
    }
    return SONDE_OK;
}

sonde_code store_querier(const struct store_view *view, sonde_msec mint,
                         sonde_msec maxt, struct querier **out,
                         struct sonde_err *err)
{
    struct merge_source *sources =
        mem_zalloc((view->count + 1) * sizeof(*sources));
    struct view_querier *q =
        mem_zalloc(sizeof(*q) + view->count * sizeof(q->reports[0]));
    size_t n = 0;
    sonde_code rc =
        sources_open(view, mint, maxt, q->reports, sources, &n, err);

    if (view->head)
        sources[n++].querier = view->head;
    q->base.ops = &view_ops;
    q->merged = merge_querier(sources, n);
    q->release = view->release;
    q->held = view->held;
    free(sources);
    if (rc != SONDE_OK) {
        view_free(&q->base);
        return rc;
    }
    *out = &q->base;
    return SONDE_OK;
}
