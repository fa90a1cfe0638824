/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars of series that matchers accept. Those that have any are few, so
 * each is looked up and asked, instead of asking the index for all series
 * that match. Exemplars are served as long as their series is there.
 */
#include <stdlib.h>

#include "storage/matcher.h"
#include "tsdb/exemplars.h"
#include "tsdb/head.h"
#include "util/mem.h"

static bool wanted(const struct matcher *const *sets, const size_t *counts,
                   size_t n, const struct labels *l)
{
    for (size_t i = 0; i < n; i++)
        if (matchers_match(sets[i], counts[i], l))
            return true;
    return false;
}

static int by_labels(const void *a, const void *b)
{
    const struct exemplar_series *x = a, *y = b;

    return labels_cmp(&x->labels, &y->labels);
}

sonde_code head_exemplars(struct head *h, const struct matcher *const *sets,
                          const size_t *set_counts, size_t n, sonde_msec mint,
                          sonde_msec maxt, struct arena *arena,
                          struct exemplar_series **out, size_t *out_count,
                          struct sonde_err *err)
{
    size_t count;
    uint64_t *refs = exemplars_series(&h->exemplars, &count);
    struct exemplar_series *found =
        arena_array(arena, struct exemplar_series, count);
    struct arena scratch;

    (void)err;
    *out_count = 0;
    arena_init(&scratch);
    for (size_t i = 0; i < count; i++) {
        struct exemplar_series *s = &found[*out_count];

        arena_reset(&scratch);
        if (!head_labels(h, refs[i], &scratch, &s->labels) ||
            !wanted(sets, set_counts, n, &s->labels))
            continue;
        s->exemplars =
            exemplars_of(&h->exemplars, refs[i], mint, maxt, arena, &s->count);
        if (s->count == 0)
            continue;
        s->labels = labels_dup(arena, &s->labels);
        (*out_count)++;
    }
    arena_fini(&scratch);
    free(refs);
    qsort(found, *out_count, sizeof(*found), by_labels);
    *out = found;
    return SONDE_OK;
}
