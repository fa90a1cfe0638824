/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histogram chunks, written (hist_decode.c has the layout).
 *
 * The chunk keeps its last sample as a whole, and for each number of it how
 * it moved last. hist_fit() holds the next sample against that. One that has
 * other buckets is padded first; if it has more, the chunk is written again
 * with all of them: sample by sample, from its own bytes. When a chunk is
 * finished the last sample stays, so that the next chunk's header can say
 * whether a counter was reset.
 *
 * Bits are gathered into codes of up to 120 and stored by words; memory grows
 * by doubling. The count in the first two bytes is right after each sample.
 */
#include "chunk/hist_chunk.h"

#include <math.h>
#include <stdlib.h>

#include "chunk/hist_fit.h"
#include "chunk/hist_reader.h"
#include "util/mem.h"

/* The writer's side of union hist_trend. */
union trend {
    uint64_t delta;
    struct {
        uint8_t leading, trailing;
    } window;
};

struct hist_chunk {
    uint8_t *data;
    size_t cap, bits; /* of the memory, in bytes; written                 */
    uint8_t tail;     /* the last byte if it is not full                  */
    uint16_t count;
    enum hist_header header; /* also of the chunk before                   */
    bool has_last;
    uint8_t leading, trailing; /* of the sum                              */
    sonde_msec t, first_t;
    uint64_t t_delta;
    struct histogram last; /* its arrays lie in `arrays`                   */
    union trend *trends;   /* of count, zero count, then all buckets; too  */
    void *arrays;
    size_t arrays_bytes;
};

struct hist_chunk *hist_chunk_new(bool is_float)
{
    struct hist_chunk *c = mem_new(struct hist_chunk);

    c->last.is_float = is_float;
    hist_chunk_begin(c);
    return c;
}

void hist_chunk_free(struct hist_chunk *c)
{
    if (!c)
        return;
    free(c->data);
    free(c->arrays);
    free(c);
}

void hist_chunk_begin(struct hist_chunk *c)
{
    c->count = 0;
    c->bits = HIST_HEADER_BYTES * 8;
    c->tail = 0;
    c->t_delta = 0;
    c->leading = NO_WINDOW;
    c->trailing = 0;
}

sonde_str hist_chunk_bytes(const struct hist_chunk *c)
{
    return (sonde_str){ (const char *)c->data,
                        c->count ? (c->bits + 7) / 8 : 0 };
}

uint32_t hist_chunk_count(const struct hist_chunk *c)
{
    return c->count;
}

bool hist_chunk_is_float(const struct hist_chunk *c)
{
    return c->last.is_float;
}

const struct histogram *hist_chunk_last(const struct hist_chunk *c)
{
    return c->has_last ? &c->last : NULL;
}

sonde_msec hist_chunk_first_time(const struct hist_chunk *c)
{
    return c->first_t;
}

sonde_msec hist_chunk_last_time(const struct hist_chunk *c)
{
    return c->t;
}

size_t hist_chunk_memory(const struct hist_chunk *c)
{
    return sizeof(*c) + c->cap + c->arrays_bytes;
}

/* ---- bits --------------------------------------------------------------- */

/* Stores a code and empties it. */
static void put(struct hist_chunk *c, struct code *code)
{
    size_t need = c->bits / 8 + 2 * sizeof(wide);
    size_t at = c->bits / 8;

    if (code->n == 0)
        return;
    if (need > c->cap)
        c->data = mem_grow(c->data, &c->cap, need, 1);
    c->tail = code_store(code, c->data + at, c->cap - at, c->bits & 7, c->tail);
    c->bits += code->n;
    *code = (struct code){ 0 };
}

static void put_bits(struct hist_chunk *c, uint64_t v, unsigned n)
{
    struct code code = { .bits = v, .n = n };

    put(c, &code);
}

static void put_varbit(struct hist_chunk *c, int64_t v)
{
    struct code code = { 0 };

    code_varbit(&code, v);
    put(c, &code);
}

static void put_uvarbit(struct hist_chunk *c, uint64_t v)
{
    struct code code = { 0 };

    code_uvarbit(&code, v);
    put(c, &code);
}

/* ---- the layout --------------------------------------------------------- */

static void put_zero_threshold(struct hist_chunk *c, double threshold)
{
    int exp;

    if (threshold == 0) {
        put_bits(c, 0, 8);
    } else if (frexp(threshold, &exp) == 0.5 && exp >= -242 && exp <= 11) {
        put_bits(c, (uint64_t)(exp + 243), 8);
    } else {
        put_bits(c, 255, 8);
        put_bits(c, double_bits(threshold), 64);
    }
}

static void put_spans(struct hist_chunk *c, const struct histogram_side *s)
{
    put_uvarbit(c, s->span_count);
    for (size_t i = 0; i < s->span_count; i++) {
        put_uvarbit(c, s->spans[i].length);
        put_varbit(c, s->spans[i].offset);
    }
}

/* A bound of at most three decimals is a number, any other 64 bits. */
static void put_bound(struct hist_chunk *c, double bound)
{
    double milli = bound * 1000;

    if (milli >= 0 && milli <= 33554430 && round(milli) / 1000 == bound) {
        put_uvarbit(c, (uint64_t)round(milli) + 1);
    } else {
        put_bits(c, 0, 1);
        put_bits(c, double_bits(bound), 64);
    }
}

static void put_layout(struct hist_chunk *c, const struct histogram *h)
{
    put_zero_threshold(c, h->zero_threshold);
    put_varbit(c, h->schema);
    put_spans(c, &h->positive);
    put_spans(c, &h->negative);
    if (h->schema != HISTOGRAM_CUSTOM)
        return;
    put_uvarbit(c, h->custom_count);
    for (size_t i = 0; i < h->custom_count; i++)
        put_bound(c, h->custom_bounds[i]);
}

static void *cut_off(char **at, const void *from, size_t bytes)
{
    void *p = *at;

    if (bytes && from)
        memcpy(p, from, bytes);
    *at += bytes;
    return p;
}

static void keep_side(char **at, struct histogram_side *s)
{
    s->buckets.i = cut_off(at, s->buckets.i, s->bucket_count * 8);
    s->spans = cut_off(at, s->spans, s->span_count * sizeof(*s->spans));
}

/* `last` becomes a copy of `h`, with new trends. */
static void keep_layout(struct hist_chunk *c, const struct histogram *h)
{
    size_t trends = 2 + h->positive.bucket_count + h->negative.bucket_count;
    size_t spans = h->positive.span_count + h->negative.span_count;
    void *before = c->arrays;
    char *at;

    c->arrays_bytes = trends * sizeof(*c->trends) +
                      (trends - 2 + h->custom_count) * 8 +
                      spans * sizeof(struct histogram_span);
    c->arrays = at = mem_zalloc(c->arrays_bytes);
    c->last = *h;
    c->trends = cut_off(&at, NULL, trends * sizeof(*c->trends));
    c->last.custom_bounds = cut_off(&at, h->custom_bounds, h->custom_count * 8);
    keep_side(&at, &c->last.positive);
    keep_side(&at, &c->last.negative);
    free(before);
    for (size_t i = 0; h->is_float && i < trends; i++)
        c->trends[i].window.leading = NO_WINDOW;
}

/* ---- samples ------------------------------------------------------------ */

static void put_int(struct hist_chunk *c, union trend *trend, uint64_t before,
                    uint64_t now)
{
    uint64_t delta = now - before;

    put_varbit(c, (int64_t)(delta - trend->delta));
    trend->delta = delta;
}

static void put_float(struct hist_chunk *c, union trend *trend, uint64_t before,
                      uint64_t now)
{
    struct code code = { 0 };

    code_value(&code, before ^ now, &trend->window.leading,
               &trend->window.trailing);
    put(c, &code);
}

static void put_time(struct hist_chunk *c, sonde_msec t)
{
    uint64_t delta = (uint64_t)t - (uint64_t)c->t;

    put_varbit(c, (int64_t)(delta - c->t_delta));
    c->t_delta = delta;
}

static void put_sum(struct hist_chunk *c, double sum)
{
    struct code code = { 0 };

    code_value(&code, double_bits(sum) ^ double_bits(c->last.sum), &c->leading,
               &c->trailing);
    put(c, &code);
}

static void put_first_side(struct hist_chunk *c, const struct histogram *h,
                           const struct histogram_side *s)
{
    for (size_t i = 0; i < s->bucket_count; i++) {
        if (h->is_float)
            put_bits(c, (uint64_t)s->buckets.i[i], 64);
        else
            put_varbit(c, s->buckets.i[i]);
    }
}

static void put_first(struct hist_chunk *c, sonde_msec t,
                      const struct histogram *h)
{
    struct code header = { .bits = c->header, .n = 24 };

    c->bits = 0;
    put(c, &header);
    put_layout(c, h);
    put_varbit(c, t);
    if (h->is_float) {
        put_bits(c, h->count.i, 64);
        put_bits(c, h->zero_count.i, 64);
    } else {
        put_uvarbit(c, h->count.i);
        put_uvarbit(c, h->zero_count.i);
    }
    put_bits(c, double_bits(h->sum), 64);
    put_first_side(c, h, &h->positive);
    put_first_side(c, h, &h->negative);
    keep_layout(c, h);
    c->first_t = t;
}

static void put_next_side(struct hist_chunk *c, struct histogram_side *last,
                          const struct histogram_side *now, union trend *trends)
{
    for (size_t i = 0; i < now->bucket_count; i++) {
        if (c->last.is_float)
            put_float(c, trends + i, (uint64_t)last->buckets.i[i],
                      (uint64_t)now->buckets.i[i]);
        else
            put_int(c, trends + i, (uint64_t)last->buckets.i[i],
                    (uint64_t)now->buckets.i[i]);
    }
    if (now->bucket_count)
        memcpy(last->buckets.i, now->buckets.i, now->bucket_count * 8);
}

/* A stale marker of integers leaves the counts as they move, so that it is a
 * bit for each; of floats it makes them 0. */
static void put_next_counts(struct hist_chunk *c, const struct histogram *h)
{
    if (h->is_float) {
        put_float(c, &c->trends[0], c->last.count.i, h->count.i);
        put_float(c, &c->trends[1], c->last.zero_count.i, h->zero_count.i);
    } else if (histogram_is_stale(h)) {
        put_bits(c, 0, 2);
    } else {
        put_int(c, &c->trends[0], c->last.count.i, h->count.i);
        put_int(c, &c->trends[1], c->last.zero_count.i, h->zero_count.i);
    }
}

static void put_next(struct hist_chunk *c, sonde_msec t,
                     const struct histogram *h)
{
    put_time(c, t);
    put_next_counts(c, h);
    put_sum(c, h->sum);
    put_next_side(c, &c->last.positive, &h->positive, c->trends + 2);
    put_next_side(c, &c->last.negative, &h->negative,
                  c->trends + 2 + h->positive.bucket_count);
    c->last.count = h->count;
    c->last.zero_count = h->zero_count;
    c->last.sum = h->sum;
    c->last.hint = h->hint;
}

/* Writes a sample whose layout is the chunk's. */
static void put_sample(struct hist_chunk *c, sonde_msec t,
                       const struct histogram *h)
{
    struct histogram stale = { .is_float = h->is_float,
                               .hint = h->hint,
                               .sum = h->sum };

    if (histogram_is_stale(h))
        h = &stale;
    if (c->count == 0)
        put_first(c, t, h);
    else
        put_next(c, t, h);
    c->has_last = true;
    c->t = t;
    be16_put(c->data, ++c->count);
}

/* ---- another layout ------------------------------------------------------ */

static void pad(struct arena *a, struct histogram *h,
                const struct histogram *layout)
{
    h->positive =
        hist_side_pad(a, &h->positive, &layout->positive, h->is_float);
    h->negative =
        hist_side_pad(a, &h->negative, &layout->negative, h->is_float);
}

/* Goes on in `c`, which has no samples yet, with those of a chunk's bytes, in
 * a wider layout (NULL: in its own). */
static sonde_code rewrite(struct hist_chunk *c, sonde_str data,
                          const struct histogram *layout, struct arena *a,
                          struct sonde_err *err)
{
    struct hist_reader r;
    struct histogram h;
    sonde_code rc = hist_reader_init(&r, c->last.is_float, data, a, err);

    c->header = r.header;
    while (rc == SONDE_OK && (rc = hist_reader_next(&r, &h, err)) == SONDE_OK) {
        if (layout && !histogram_is_stale(&h))
            pad(a, &h, layout);
        put_sample(c, r.t, &h);
    }
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

static void widen_chunk(struct hist_chunk *c, const struct histogram *layout,
                        struct arena *a)
{
    struct hist_chunk old = *c;
    sonde_code rc;

    c->data = NULL;
    c->cap = 0;
    hist_chunk_begin(c);
    rc = rewrite(c, (sonde_str){ (char *)old.data, (old.bits + 7) / 8 }, layout,
                 a, NULL);
    if (rc != SONDE_OK || c->count != old.count)
        SONDE_BUG("a histogram chunk of %u samples reads as %u", old.count,
                  c->count);
    free(old.data);
}

/* The layout for the chunk and a sample of other buckets, as spans: what
 * Prometheus makes of them, so that its chunks and these are the same. */
static bool merge_layouts(struct arena *a, const struct hist_chunk *c,
                          const struct histogram *h, const struct hist_fit *fit,
                          struct histogram *layout)
{
    bool is_gauge = h->hint == HISTOGRAM_GAUGE;
    bool both = is_gauge && hist_fit_pads(fit);

    *layout = *h;
    if (!hist_fit_widens(fit)) {
        layout->positive = c->last.positive;
        layout->negative = c->last.negative;
        return true;
    }
    if ((both || fit->pads[0]) &&
        !hist_spans_merge(a, &c->last.positive, &h->positive,
                          &layout->positive))
        return false;
    return !(both || fit->pads[1]) ||
           hist_spans_merge(a, &c->last.negative, &h->negative,
                            &layout->negative);
}

static bool append_other_layout(struct hist_chunk *c, sonde_msec t,
                                const struct histogram *h,
                                const struct hist_fit *fit)
{
    struct arena a;
    struct histogram layout, padded = *h;
    bool fits;

    arena_init(&a);
    fits = merge_layouts(&a, c, h, fit, &layout) &&
           layout.positive.bucket_count + layout.negative.bucket_count <=
               HISTOGRAM_BUCKETS_MAX;
    if (fits) {
        pad(&a, &padded, &layout);
        if (hist_fit_widens(fit))
            widen_chunk(c, &layout, &a);
        put_sample(c, t, &padded);
    }
    arena_fini(&a);
    return fits;
}

static enum hist_header first_header(const struct hist_chunk *c,
                                     const struct histogram *h)
{
    if (h->hint == HISTOGRAM_GAUGE)
        return HIST_GAUGE;
    if (h->hint == HISTOGRAM_RESET)
        return HIST_RESET;
    return c->has_last ? hist_fit(&c->last, c->header, h).header : HIST_UNKNOWN;
}

bool hist_chunk_append(struct hist_chunk *c, sonde_msec t,
                       const struct histogram *h)
{
    struct hist_fit fit;

    if (c->count == 0) {
        c->header = first_header(c, h);
        put_sample(c, t, h);
        return true;
    }
    fit = hist_fit(&c->last, c->header, h);
    if (!fit.fits || c->count == HIST_SAMPLES_MAX)
        return false;
    if (hist_fit_widens(&fit) || hist_fit_pads(&fit))
        return append_other_layout(c, t, h, &fit);
    put_sample(c, t, h);
    return true;
}

sonde_code hist_chunk_open(bool is_float, sonde_str data,
                           struct hist_chunk **out, struct sonde_err *err)
{
    struct hist_chunk *c = hist_chunk_new(is_float);
    struct arena a;
    sonde_code rc;

    arena_init(&a);
    rc = rewrite(c, data, NULL, &a, err);
    arena_fini(&a);
    if (rc == SONDE_OK) {
        *out = c;
        return SONDE_OK;
    }
    hist_chunk_free(c);
    return rc;
}
