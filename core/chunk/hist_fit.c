/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All samples of a histogram chunk have the same buckets. So a sample is
 * held against the one before it, bucket by bucket:
 *
 *     bucket in      counter                       gauge
 *     both           must not have fallen          -
 *     the chunk      must be empty: sample padded  sample padded
 *     the sample     chunk is widened              chunk is widened
 *
 * What may not be is a new chunk, whose header says why. Almost always the
 * spans are the same, and then it is a comparison of arrays.
 */
#include "chunk/hist_fit.h"

static bool spans_equal(const struct histogram_side *a,
                        const struct histogram_side *b)
{
    return a->span_count == b->span_count &&
           (a->span_count == 0 ||
            memcmp(a->spans, b->spans, a->span_count * sizeof(*a->spans)) == 0);
}

static bool less(bool is_float, union histogram_count a,
                 union histogram_count b)
{
    return is_float ? a.f < b.f : (int64_t)a.i < (int64_t)b.i;
}

static bool fell(const struct histogram_walk *from,
                 const struct histogram_walk *to)
{
    return less(from->is_float, to->value, from->value);
}

static bool is_filled(const struct histogram_walk *w)
{
    return w->is_float ? w->value.f != 0 : w->value.i != 0;
}

/* One side; false: a counter was reset. */
static bool fit_side(const struct histogram_side *a,
                     const struct histogram_side *b, bool is_float,
                     bool is_gauge, bool *widens, bool *pads)
{
    struct histogram_walk wa, wb;
    bool more_a, more_b;

    if (is_gauge && spans_equal(a, b))
        return true;
    histogram_walk_init(&wa, a, is_float);
    histogram_walk_init(&wb, b, is_float);
    more_a = histogram_walk_next(&wa);
    more_b = histogram_walk_next(&wb);
    while (more_a || more_b) {
        if (!more_a || (more_b && wb.index < wa.index)) {
            *widens = true;
            more_b = histogram_walk_next(&wb);
        } else if (!more_b || wa.index < wb.index) {
            if (!is_gauge && is_filled(&wa))
                return false;
            *pads = true;
            more_a = histogram_walk_next(&wa);
        } else {
            if (!is_gauge && fell(&wa, &wb))
                return false;
            more_a = histogram_walk_next(&wa);
            more_b = histogram_walk_next(&wb);
        }
    }
    return true;
}

static struct hist_fit new_chunk(enum hist_header header)
{
    return (struct hist_fit){ .fits = false, .header = header };
}

/* What a bucket can not tell; true if all is well. */
static bool fit_frame(const struct histogram *last, const struct histogram *h,
                      bool is_gauge, enum hist_header *header)
{
    *header = HIST_UNKNOWN;
    if (histogram_is_stale(last))
        return false;
    *header = HIST_RESET;
    if (!is_gauge &&
        (h->is_float ? h->count.f < last->count.f : h->count.i < last->count.i))
        return false;
    *header = HIST_UNKNOWN;
    /* a threshold that is NaN never fits */
    if (h->schema != last->schema || h->zero_threshold != last->zero_threshold)
        return false;
    *header = HIST_RESET;
    if (h->schema == HISTOGRAM_CUSTOM && !histogram_bounds_same(h, last))
        return false;
    return is_gauge || !(h->is_float ? h->zero_count.f < last->zero_count.f
                                     : h->zero_count.i < last->zero_count.i);
}

/* Nothing is known of it; but that is what Prometheus writes. Readers do not
 * rely on "no reset" at the front of a chunk. */
static enum hist_header behind_gauge(const struct histogram *h)
{
    return h->is_float ? HIST_UNKNOWN : HIST_NO_RESET;
}

struct hist_fit hist_fit(const struct histogram *last, enum hist_header header,
                         const struct histogram *h)
{
    bool is_gauge = h->hint == HISTOGRAM_GAUGE;
    struct hist_fit fit = { .fits = true, .header = HIST_NO_RESET };
    enum hist_header why;

    if (is_gauge)
        fit.header = HIST_GAUGE;
    if (is_gauge != (header == HIST_GAUGE))
        return new_chunk(is_gauge ? HIST_GAUGE : behind_gauge(h));
    if (h->hint == HISTOGRAM_RESET)
        return new_chunk(HIST_RESET);
    if (histogram_is_stale(h))
        return fit;
    if (!fit_frame(last, h, is_gauge, &why))
        return new_chunk(is_gauge ? HIST_GAUGE : why);
    if (!fit_side(&last->positive, &h->positive, h->is_float, is_gauge,
                  &fit.widens[0], &fit.pads[0]) ||
        !fit_side(&last->negative, &h->negative, h->is_float, is_gauge,
                  &fit.widens[1], &fit.pads[1]))
        return new_chunk(HIST_RESET);
    return fit;
}

/* ---- spans -------------------------------------------------------------- */

static bool span_push(struct histogram_side *s, int64_t index, int64_t *last)
{
    int64_t gap = s->bucket_count ? index - *last - 1 : index;

    if (gap < INT32_MIN || gap > INT32_MAX)
        return false;
    if (s->bucket_count && gap == 0)
        s->spans[s->span_count - 1].length++;
    else
        s->spans[s->span_count++] =
            (struct histogram_span){ .offset = (int32_t)gap, .length = 1 };
    s->bucket_count++;
    *last = index;
    return true;
}

bool hist_spans_merge(struct arena *a, const struct histogram_side *x,
                      const struct histogram_side *y,
                      struct histogram_side *out)
{
    struct histogram_side fx = *x, fy = *y;
    struct histogram_walk wx, wy;
    bool more_x, more_y;
    int64_t last = 0;

    fx.buckets.i = fy.buckets.i = NULL;
    *out = (struct histogram_side){ 0 };
    out->spans = arena_array(a, struct histogram_span,
                             x->bucket_count + y->bucket_count);
    histogram_walk_init(&wx, &fx, false);
    histogram_walk_init(&wy, &fy, false);
    more_x = histogram_walk_next(&wx);
    more_y = histogram_walk_next(&wy);
    while (more_x || more_y) {
        int64_t at =
            !more_y || (more_x && wx.index <= wy.index) ? wx.index : wy.index;

        if (!span_push(out, at, &last))
            return false;
        if (more_x && wx.index == at)
            more_x = histogram_walk_next(&wx);
        if (more_y && wy.index == at)
            more_y = histogram_walk_next(&wy);
    }
    return true;
}

struct histogram_side hist_side_pad(struct arena *a,
                                    const struct histogram_side *side,
                                    const struct histogram_side *spans,
                                    bool is_float)
{
    struct histogram_side out = *spans, to = *spans;
    struct histogram_walk ws, wt;
    uint64_t before = 0;
    bool more;

    to.buckets.i = NULL;
    out.buckets.i = arena_array(a, int64_t, spans->bucket_count);
    histogram_walk_init(&ws, side, is_float);
    histogram_walk_init(&wt, &to, false);
    more = histogram_walk_next(&ws);
    while (histogram_walk_next(&wt)) {
        union histogram_count v = { .i = 0 };

        if (more && ws.index == wt.index)
            v = ws.value;
        if (is_float)
            out.buckets.f[wt.at] = v.f;
        else
            out.buckets.i[wt.at] = (int64_t)(v.i - before);
        before = v.i;
        if (more && ws.index == wt.index)
            more = histogram_walk_next(&ws);
    }
    return out;
}
