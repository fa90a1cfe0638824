/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histogram chunks, read:
 *
 *     u16 count | u8 header | zero threshold | schema | positive spans |
 *     negative spans | custom bounds | sample...
 *
 * Of integers the first sample is written as it is, the second as what
 * changed, the others as how the change changed; reading all by the last rule
 * with a change of 0 before the first gives the same. Of floats the first is
 * raw and the others are XORed with the one before, each field with a window
 * of its own. A stale marker has no buckets.
 *
 * Each sample gets arrays of its own, and they are what the next is counted
 * on from; spans and bounds are shared by all samples of a chunk. A bucket
 * costs at least a bit per sample, so memory is bounded by the bytes.
 *
 * What is not accepted: more buckets than HISTOGRAM_BUCKETS_MAX, unknown
 * schemas. Those finer than sonde writes are reduced. Spans that go backwards
 * are put in order: Prometheus 3 writes some when it pads several buckets
 * behind a sample's last one (it then lists one index twice).
 */
#include <math.h>

#include "chunk/hist_chunk.h"
#include "chunk/hist_reader.h"

/* Of buckets in disorder: so that their distance fits in a span. */
#define INDEX_MAX       (INT64_C(1) << 30)
#define SCHEMA_READ_MIN (-9)
#define SCHEMA_READ_MAX 52

static sonde_code damaged(const struct hist_reader *r, const char *what,
                          struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ECORRUPT,
                         "decode histogram chunk: expected %u samples, %s "
                         "after %u",
                         r->count, what, r->read);
}

/* Whether that many elements of at least a bit can still come. */
static bool may_have(const struct hist_reader *r, uint64_t n)
{
    uint64_t left = (uint64_t)(r->b.end - r->b.p) * 8 + 64;

    return r->b.n >= 0 && n <= HISTOGRAM_BUCKETS_MAX && n <= left;
}

static uint64_t take64(struct bits *b)
{
    return bits_take_long(b, 64);
}

static double read_zero_threshold(struct bits *b)
{
    unsigned code = (unsigned)bits_take_long(b, 8);

    if (code == 0)
        return 0;
    if (code == 255)
        return bits_double(take64(b));
    return ldexp(0.5, (int)code - 243);
}

static bool read_span(struct hist_reader *r, struct histogram_span *s,
                      bool is_first)
{
    uint64_t length = bits_uvarbit(&r->b);
    int64_t offset = bits_varbit(&r->b);

    if (length > HISTOGRAM_BUCKETS_MAX || offset > INT32_MAX ||
        offset < INT32_MIN)
        return false;
    r->backwards |= !is_first && offset < 0;
    s->length = (uint32_t)length;
    s->offset = (int32_t)offset;
    return true;
}

static bool may_be_mended(const struct histogram_side *s)
{
    int64_t index = 0;

    for (size_t i = 0; i < s->span_count; i++) {
        index += s->spans[i].offset;
        if (index < -INDEX_MAX || index > INDEX_MAX)
            return false;
        index += s->spans[i].length;
    }
    return true;
}

static bool read_spans(struct hist_reader *r, struct histogram_side *s)
{
    uint64_t n = bits_uvarbit(&r->b), buckets = 0;

    if (!may_have(r, n))
        return false;
    s->span_count = (size_t)n;
    s->spans = arena_array(r->arena, struct histogram_span, s->span_count);
    for (size_t i = 0; i < n; i++) {
        if (!read_span(r, &s->spans[i], i == 0))
            return false;
        buckets += s->spans[i].length;
    }
    s->bucket_count = (size_t)buckets;
    return may_have(r, buckets);
}

static bool read_bounds(struct hist_reader *r)
{
    uint64_t n = bits_uvarbit(&r->b);

    if (!may_have(r, n))
        return false;
    r->h.custom_count = (size_t)n;
    r->h.custom_bounds = arena_array(r->arena, double, r->h.custom_count);
    for (size_t i = 0; i < n; i++) {
        uint64_t v = bits_uvarbit(&r->b);

        r->h.custom_bounds[i] =
            v ? (double)(v - 1) / 1000 : bits_double(take64(&r->b));
    }
    return r->b.n >= 0;
}

static sonde_code read_layout(struct hist_reader *r, struct sonde_err *err)
{
    int64_t schema;

    r->h.zero_threshold = read_zero_threshold(&r->b);
    schema = bits_varbit(&r->b);
    if (r->b.n >= 0 && schema != HISTOGRAM_CUSTOM &&
        (schema < SCHEMA_READ_MIN || schema > SCHEMA_READ_MAX))
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "decode histogram chunk: unknown schema %lld",
                             (long long)schema);
    r->h.schema = (int32_t)schema;
    if (!read_spans(r, &r->h.positive) || !read_spans(r, &r->h.negative) ||
        (r->backwards &&
         !(may_be_mended(&r->h.positive) && may_be_mended(&r->h.negative))) ||
        !may_have(r, r->h.positive.bucket_count + r->h.negative.bucket_count))
        return damaged(r, "spans make no sense", err);
    if (schema == HISTOGRAM_CUSTOM && !read_bounds(r))
        return damaged(r, "bounds make no sense", err);
    return SONDE_OK;
}

sonde_code hist_reader_init(struct hist_reader *r, bool is_float,
                            sonde_str data, struct arena *a,
                            struct sonde_err *err)
{
    const uint8_t *p = (const uint8_t *)data.ptr;
    size_t trends;
    sonde_code rc;

    *r = (struct hist_reader){ .arena = a, .sum_window = { 0, 64 } };
    r->h.is_float = is_float;
    if (data.len < HIST_HEADER_BYTES)
        return damaged(r, "the header is cut short", err);
    r->count = be16_get(p);
    r->header = (enum hist_header)(p[2] & 0xc0);
    r->b = (struct bits){ p + HIST_HEADER_BYTES, p + data.len, 0, 0 };
    if (r->count == 0)
        return SONDE_OK;
    rc = read_layout(r, err);
    if (rc != SONDE_OK)
        return rc;
    trends = 2 + r->h.positive.bucket_count + r->h.negative.bucket_count;
    r->trends = arena_array(a, union hist_trend, trends);
    for (size_t i = 0; is_float && i < trends; i++)
        r->trends[i].window = (struct window){ 0, 64 };
    return SONDE_OK;
}

/* ---- samples ------------------------------------------------------------ */

static uint64_t next_xor(struct bits *b, struct window *w)
{
    if (b->n < 0)
        return 0;
    bits_refill(b);
    return bits_xor(b, w);
}

static uint64_t next_int(struct hist_reader *r, size_t at, uint64_t before)
{
    r->trends[at].delta += (uint64_t)bits_varbit(&r->b);
    return before + r->trends[at].delta;
}

static uint64_t next_float(struct hist_reader *r, size_t at, uint64_t before)
{
    return before ^ next_xor(&r->b, &r->trends[at].window);
}

static void read_first_side(struct hist_reader *r, struct histogram_side *s)
{
    s->buckets.i = arena_array(r->arena, int64_t, s->bucket_count);
    for (size_t i = 0; i < s->bucket_count; i++)
        s->buckets.i[i] =
            r->h.is_float ? (int64_t)take64(&r->b) : bits_varbit(&r->b);
}

static void read_first(struct hist_reader *r)
{
    struct histogram *h = &r->h;

    r->t = bits_varbit(&r->b);
    h->count.i = h->is_float ? take64(&r->b) : bits_uvarbit(&r->b);
    h->zero_count.i = h->is_float ? take64(&r->b) : bits_uvarbit(&r->b);
    h->sum = bits_double(take64(&r->b));
    read_first_side(r, &h->positive);
    read_first_side(r, &h->negative);
}

static void read_next_side(struct hist_reader *r, struct histogram_side *s,
                           size_t trend)
{
    const int64_t *before = s->buckets.i;
    int64_t *now = arena_array(r->arena, int64_t, s->bucket_count);

    if (r->h.is_float)
        for (size_t i = 0; i < s->bucket_count; i++)
            now[i] = (int64_t)next_float(r, trend + i, (uint64_t)before[i]);
    else
        for (size_t i = 0; i < s->bucket_count; i++)
            now[i] = (int64_t)next_int(r, trend + i, (uint64_t)before[i]);
    s->buckets.i = now;
}

static void read_later(struct hist_reader *r)
{
    struct histogram *h = &r->h;

    r->t_delta += (uint64_t)bits_varbit(&r->b);
    r->t = (sonde_msec)((uint64_t)r->t + r->t_delta);
    if (h->is_float) {
        h->count.i = next_float(r, 0, h->count.i);
        h->zero_count.i = next_float(r, 1, h->zero_count.i);
    } else {
        h->count.i = next_int(r, 0, h->count.i);
        h->zero_count.i = next_int(r, 1, h->zero_count.i);
    }
    h->sum = bits_double(double_bits(h->sum) ^ next_xor(&r->b, &r->sum_window));
    if (histogram_is_stale(h))
        return;
    read_next_side(r, &h->positive, 2);
    read_next_side(r, &h->negative, 2 + h->positive.bucket_count);
}

/* What a chunk's header says of a sample. */
static enum histogram_hint hint_of(const struct hist_reader *r)
{
    if (r->header == HIST_GAUGE)
        return HISTOGRAM_GAUGE;
    if (r->read > 1)
        return HISTOGRAM_NO_RESET;
    return r->header == HIST_RESET ? HISTOGRAM_RESET : HISTOGRAM_UNKNOWN_RESET;
}

sonde_code hist_reader_next(struct hist_reader *r, struct histogram *out,
                            struct sonde_err *err)
{
    if (r->read == r->count)
        return SONDE_ENOTFOUND;
    if (r->read == 0)
        read_first(r);
    else
        read_later(r);
    if (r->b.n < 0)
        return damaged(r, "the bytes end or make no sense", err);
    r->read++;
    r->h.hint = hint_of(r);
    if (histogram_is_stale(&r->h)) {
        *out = (struct histogram){
            .is_float = r->h.is_float,
            .hint = r->header == HIST_GAUGE ? HISTOGRAM_GAUGE
                                            : HISTOGRAM_UNKNOWN_RESET,
            .sum = r->h.sum,
        };
    } else {
        *out = r->h;
        if (r->backwards)
            hist_mend(out, r->arena);
    }
    return SONDE_OK;
}

sonde_code hist_decode(bool is_float, sonde_str data, struct columns *out,
                       struct sonde_err *err)
{
    struct arena *a = columns_arena(out);
    struct hist_reader r;
    struct histogram h;
    sonde_code rc = hist_reader_init(&r, is_float, data, a, err);

    while (rc == SONDE_OK && (rc = hist_reader_next(&r, &h, err)) == SONDE_OK) {
        struct histogram *copy = arena_new(a, struct histogram);

        *copy = h;
        columns_push_histogram(
            out, r.t,
            h.schema > HISTOGRAM_SCHEMA_MAX
                ? histogram_reduce(a, copy, HISTOGRAM_SCHEMA_MAX)
                : copy);
    }
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}
