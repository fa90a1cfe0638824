/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets in disorder, put in order: see hist_decode.c for where they are
 * from. Rare, so it is plain. */
#include <stdlib.h>

#include "chunk/hist_reader.h"

struct bucket {
    int64_t index;
    union histogram_count value;
};

static int by_index(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static size_t gather(const struct histogram_side *s, bool is_float,
                     struct bucket *out)
{
    struct histogram_walk w;
    size_t n = 0;

    histogram_walk_init(&w, s, is_float);
    while (histogram_walk_next(&w))
        out[n++] = (struct bucket){ w.index, w.value };
    qsort(out, n, sizeof(*out), by_index);
    return n;
}

/* Adds those of one index; how many are left. */
static size_t join(struct bucket *b, size_t n, bool is_float)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || b[kept - 1].index != b[i].index)
            b[kept++] = b[i];
        else if (is_float)
            b[kept - 1].value.f += b[i].value.f;
        else
            b[kept - 1].value.i += b[i].value.i;
    }
    return kept;
}

static void mend_side(struct histogram_side *s, bool is_float, struct arena *a)
{
    struct bucket *b = arena_array(a, struct bucket, s->bucket_count);
    size_t n = join(b, gather(s, is_float, b), is_float);

    s->spans = arena_array(a, struct histogram_span, n);
    s->span_count = 0;
    s->buckets.i = arena_array(a, int64_t, n);
    s->bucket_count = n;
    for (size_t i = 0; i < n; i++) {
        int64_t gap = i ? b[i].index - b[i - 1].index - 1 : b[i].index;

        if (i == 0 || gap)
            s->spans[s->span_count++].offset = (int32_t)gap;
        s->spans[s->span_count - 1].length++;
        if (is_float)
            s->buckets.f[i] = b[i].value.f;
        else
            s->buckets.i[i] =
                (int64_t)(b[i].value.i - (i ? b[i - 1].value.i : 0));
    }
}

void hist_mend(struct histogram *h, struct arena *a)
{
    mend_side(&h->positive, h->is_float, a);
    mend_side(&h->negative, h->is_float, a);
}
