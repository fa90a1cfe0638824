/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of native histograms; see record.c. All kinds hold the same body:
 *
 *     hint u8 | schema varint | zero_threshold f64 | zero_count | count |
 *     sum f64 | spans | spans | buckets | buckets | bounds
 *
 * with counts and buckets as integers (uvarint; buckets varint, differences)
 * or as floats (f64). A span is offset varint | length uvarint; every list
 * begins with its length; the bounds (f64) are there iff the schema says that
 * they are listed. Types 12 and 13 differ in how series and times are given,
 * and have a start time, which is passed over.
 *
 * Reading is strict where others rely on it: a list is no longer than what is
 * left of the record could hold, and spans cover exactly the buckets.
 */
#include "util/arena.h"
#include "wal/record.h"

#define SPAN_MIN_BYTES 2

/* ---- writing ---------------------------------------------------------- */

void wal_histograms_begin(struct wal_histograms_writer *w, bool is_float,
                          struct buf *exponential, struct buf *custom)
{
    *w = (struct wal_histograms_writer){ .exponential = exponential,
                                         .custom = custom,
                                         .is_float = is_float };
    buf_reset(exponential);
    buf_reset(custom);
}

static void put_spans(struct buf *b, const struct histogram_side *s)
{
    buf_uvarint(b, s->span_count);
    for (size_t i = 0; i < s->span_count; i++) {
        buf_varint(b, s->spans[i].offset);
        buf_uvarint(b, s->spans[i].length);
    }
}

static void put_buckets(struct buf *b, const struct histogram_side *s,
                        bool is_float)
{
    buf_uvarint(b, s->bucket_count);
    for (size_t i = 0; i < s->bucket_count; i++) {
        if (is_float)
            buf_be64(b, double_bits(s->buckets.f[i]));
        else
            buf_varint(b, s->buckets.i[i]);
    }
}

static void put_count(struct buf *b, union histogram_count c, bool is_float)
{
    if (is_float)
        buf_be64(b, double_bits(c.f));
    else
        buf_uvarint(b, c.i);
}

void wal_histogram_put(struct buf *b, const struct histogram *h)
{
    buf_u8(b, (uint8_t)h->hint);
    buf_varint(b, h->schema);
    buf_be64(b, double_bits(h->zero_threshold));
    put_count(b, h->zero_count, h->is_float);
    put_count(b, h->count, h->is_float);
    buf_be64(b, double_bits(h->sum));
    put_spans(b, &h->positive);
    put_spans(b, &h->negative);
    put_buckets(b, &h->positive, h->is_float);
    put_buckets(b, &h->negative, h->is_float);
    if (h->schema != HISTOGRAM_CUSTOM)
        return;
    buf_uvarint(b, h->custom_count);
    for (size_t i = 0; i < h->custom_count; i++)
        buf_be64(b, double_bits(h->custom_bounds[i]));
}

static enum wal_record_type type_of(bool is_float, bool custom)
{
    if (custom)
        return is_float ? WAL_CUSTOM_FLOAT_HISTOGRAMS : WAL_CUSTOM_HISTOGRAMS;
    return is_float ? WAL_FLOAT_HISTOGRAMS : WAL_HISTOGRAMS;
}

void wal_histograms_add(struct wal_histograms_writer *w, uint64_t ref,
                        sonde_msec t, const struct histogram *h)
{
    bool custom = h->schema == HISTOGRAM_CUSTOM;
    struct buf *b = custom ? w->custom : w->exponential;

    if (!w->any) {
        w->any = true;
        w->ref0 = ref;
        w->t0 = t;
    }
    if (b->len == 0) {
        buf_u8(b, (uint8_t)type_of(w->is_float, custom));
        buf_be64(b, w->ref0);
        buf_be64(b, (uint64_t)w->t0);
    }
    buf_uvarint(b, record_difference(ref, w->ref0));
    buf_uvarint(b, record_difference((uint64_t)t, (uint64_t)w->t0));
    wal_histogram_put(b, h);
}

/* ---- reading ---------------------------------------------------------- */

/* The length of a list whose elements take at least `bytes` each. */
static size_t list_length(struct reader *r, size_t bytes)
{
    uint64_t n = reader_uvarint(r);

    if (n > reader_left(r) / bytes || n > HISTOGRAM_BUCKETS_MAX) {
        r->failed = true;
        return 0;
    }
    return (size_t)n;
}

static void read_spans(struct reader *r, struct arena *a,
                       struct histogram_side *s)
{
    s->span_count = list_length(r, SPAN_MIN_BYTES);
    s->spans = arena_array(a, struct histogram_span, s->span_count);
    for (size_t i = 0; i < s->span_count; i++) {
        int64_t offset = reader_varint(r);
        uint64_t length = reader_uvarint(r);

        if (offset < INT32_MIN || offset > INT32_MAX ||
            length > HISTOGRAM_BUCKETS_MAX)
            r->failed = true;
        s->spans[i] =
            (struct histogram_span){ (int32_t)offset, (uint32_t)length };
    }
}

static bool spans_cover(const struct histogram_side *s)
{
    uint64_t covered = 0;

    for (size_t i = 0; i < s->span_count; i++)
        covered += s->spans[i].length;
    return covered == s->bucket_count;
}

static double read_float(struct reader *r)
{
    return bits_double(reader_be64(r));
}

static double *read_floats(struct reader *r, struct arena *a, size_t *count)
{
    size_t n = list_length(r, sizeof(double));
    double *out = arena_array(a, double, n);

    for (size_t i = 0; i < n; i++)
        out[i] = read_float(r);
    *count = n;
    return out;
}

static int64_t *read_ints(struct reader *r, struct arena *a, size_t *count)
{
    size_t n = list_length(r, 1);
    int64_t *out = arena_array(a, int64_t, n);

    for (size_t i = 0; i < n; i++)
        out[i] = reader_varint(r);
    *count = n;
    return out;
}

static void read_buckets(struct reader *r, struct arena *a, bool is_float,
                         struct histogram_side *s)
{
    if (is_float)
        s->buckets.f = read_floats(r, a, &s->bucket_count);
    else
        s->buckets.i = read_ints(r, a, &s->bucket_count);
    if (!spans_cover(s))
        r->failed = true;
}

static union histogram_count read_count(struct reader *r, bool is_float)
{
    if (is_float)
        return (union histogram_count){ .f = read_float(r) };
    return (union histogram_count){ .i = reader_uvarint(r) };
}

bool wal_histogram_get(struct reader *r, struct arena *a, bool is_float,
                       struct histogram *h)
{
    uint8_t hint = reader_u8(r);
    int64_t schema = reader_varint(r);

    *h = (struct histogram){ .is_float = is_float };
    if (hint > HISTOGRAM_GAUGE || schema < INT32_MIN || schema > INT32_MAX)
        r->failed = true;
    h->hint = (enum histogram_hint)(hint & 3);
    h->schema = (int32_t)schema;
    h->zero_threshold = read_float(r);
    h->zero_count = read_count(r, is_float);
    h->count = read_count(r, is_float);
    h->sum = read_float(r);
    read_spans(r, a, &h->positive);
    read_spans(r, a, &h->negative);
    read_buckets(r, a, is_float, &h->positive);
    read_buckets(r, a, is_float, &h->negative);
    if (h->schema == HISTOGRAM_CUSTOM)
        h->custom_bounds = read_floats(r, a, &h->custom_count);
    return !r->failed;
}

/* What a record is, and what its elements are counted from. */
struct reading {
    struct reader r;
    struct arena arena;
    bool is_float, v2, first;
    uint64_t ref0, t0;
};

static bool begin_reading(struct reading *g, sonde_str record)
{
    int type = wal_record_type(record);

    *g = (struct reading){ .first = true };
    switch (type) {
    case WAL_HISTOGRAMS:
    case WAL_FLOAT_HISTOGRAMS:
    case WAL_CUSTOM_HISTOGRAMS:
    case WAL_CUSTOM_FLOAT_HISTOGRAMS:
    case WAL_HISTOGRAMS_V2:
    case WAL_FLOAT_HISTOGRAMS_V2:
        break;
    default:
        return false;
    }
    g->is_float = wal_record_type_is_float(type);
    g->v2 = type == WAL_HISTOGRAMS_V2 || type == WAL_FLOAT_HISTOGRAMS_V2;
    if (!record_begin(&g->r, record, type))
        return false;
    if (!g->v2 && reader_left(&g->r)) {
        g->ref0 = reader_be64(&g->r);
        g->t0 = reader_be64(&g->r);
    }
    return true;
}

/* Version 2: the reference counts from the one before, the time from the
 * first. */
static void read_place_v2(struct reading *g, uint64_t *ref, uint64_t *t)
{
    g->ref0 += (uint64_t)reader_varint(&g->r);
    *ref = g->ref0;
    *t = g->t0 + (uint64_t)reader_varint(&g->r);
    if (g->first) {
        g->t0 = *t;
        (void)reader_varint(&g->r);
    } else {
        record_skip_start_time(&g->r);
    }
    g->first = false;
}

static void read_place(struct reading *g, uint64_t *ref, uint64_t *t)
{
    if (g->v2) {
        read_place_v2(g, ref, t);
        return;
    }
    *ref = g->ref0 + (uint64_t)reader_varint(&g->r);
    *t = g->t0 + (uint64_t)reader_varint(&g->r);
}

sonde_code wal_histograms_decode(sonde_str record,
                                 void (*each)(void *arg, uint64_t ref,
                                              sonde_msec t,
                                              const struct histogram *h),
                                 void *arg, struct sonde_err *err)
{
    struct reading g;

    if (!begin_reading(&g, record))
        return record_wrong_type(err, "histograms", record);
    arena_init(&g.arena);
    while (reader_left(&g.r)) {
        uint64_t ref, t;
        struct histogram h;

        read_place(&g, &ref, &t);
        arena_reset(&g.arena);
        if (wal_histogram_get(&g.r, &g.arena, g.is_float, &h))
            each(arg, ref, (sonde_msec)t, &h);
    }
    arena_fini(&g.arena);
    return record_ended(&g.r, "histograms", err);
}
