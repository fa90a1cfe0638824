/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may come with a series beside plain samples:
 *
 *     Histogram  1 count_int  2 count_float  3 sum  4 schema (sint32)
 *                5 zero_threshold  6 zero_count_int  7 zero_count_float
 *                8 negative_spans*  9 negative_deltas (sint64, packed)
 *                10 negative_counts (double, packed)
 *                11, 12, 13 the same, positive  14 reset_hint
 *                15 timestamp  16 custom_values (double, packed)
 *     BucketSpan 1 offset (sint32)  2 length (uint32)
 *     Exemplar   1 labels (2.0: references)  2 value  3 timestamp
 *     Metadata   1 type  3 help_ref  4 unit_ref   (2.0)
 *
 * A histogram is read twice: how long its arrays are, which bounds what is
 * taken from the arena, then what is in them. Whether it makes sense is
 * histogram_check's to say.
 */
#include <math.h>

#include "remote/receive_int.h"
#include "remote/wire.h"
#include "util/str.h"

enum { /* fields of a histogram */
    H_COUNT_INT = 1,
    H_COUNT_FLOAT = 2,
    H_SUM = 3,
    H_SCHEMA = 4,
    H_ZERO_THRESHOLD = 5,
    H_ZERO_INT = 6,
    H_ZERO_FLOAT = 7,
    H_NEGATIVE = 8, /* spans, deltas, counts                              */
    H_POSITIVE = 11,
    H_HINT = 14,
    H_TIMESTAMP = 15,
    H_CUSTOM = 16
};
enum { /* of a side, from its first field */
    SIDE_SPANS,
    SIDE_DELTAS,
    SIDE_COUNTS
};

static sonde_code broken(const char *what, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE, "a broken %s", what);
}

/* ---- histograms -------------------------------------------------------- */

/* The side that a field belongs to; `*part` is which of its three. */
static struct histogram_side *side_of(struct histogram *h, uint64_t number,
                                      uint64_t *part)
{
    if (number >= H_NEGATIVE && number < H_NEGATIVE + 3) {
        *part = number - H_NEGATIVE;
        return &h->negative;
    }
    if (number >= H_POSITIVE && number < H_POSITIVE + 3) {
        *part = number - H_POSITIVE;
        return &h->positive;
    }
    return NULL;
}

/* How many numbers a repeated field adds, packed or not. */
static size_t repeated_count(const struct wire_field *f, bool fixed)
{
    if (f->type != WIRE_BYTES)
        return 1;
    return fixed ? f->bytes.len / 8 : wire_packed_count(f->bytes);
}

static bool is_repeated_type(const struct wire_field *f, bool fixed)
{
    if (f->type == WIRE_BYTES)
        return !fixed || f->bytes.len % 8 == 0;
    return f->type == (fixed ? WIRE_FIXED64 : WIRE_VARINT);
}

/* Sets the lengths of the arrays and whether it is a float histogram. */
static bool histogram_measure(sonde_str message, struct histogram *h)
{
    struct reader r = reader_of(message);
    struct wire_field f;
    size_t deltas[2] = { 0 }, counts[2] = { 0 };
    uint64_t part;

    while (wire_next(&r, &f)) {
        struct histogram_side *side = side_of(h, f.number, &part);
        bool fixed = !side || part == SIDE_COUNTS;

        if (f.number == H_COUNT_INT || f.number == H_COUNT_FLOAT)
            h->is_float = f.number == H_COUNT_FLOAT;
        if (side && part == SIDE_SPANS) {
            if (!wire_is(&r, &f, WIRE_BYTES))
                return false;
            side->span_count++;
        } else if (side || f.number == H_CUSTOM) {
            if (!is_repeated_type(&f, fixed))
                return false;
            if (!side)
                h->custom_count += repeated_count(&f, true);
            else
                (fixed ? counts : deltas)[side == &h->positive] +=
                    repeated_count(&f, fixed);
        }
    }
    h->negative.bucket_count = h->is_float ? counts[0] : deltas[0];
    h->positive.bucket_count = h->is_float ? counts[1] : deltas[1];
    return !r.failed;
}

static bool side_is_bounded(const struct histogram_side *s)
{
    return s->span_count <= HISTOGRAM_BUCKETS_MAX &&
           s->bucket_count <= HISTOGRAM_BUCKETS_MAX;
}

static void side_alloc(struct arena *a, struct histogram_side *s, bool is_float)
{
    s->spans = arena_array(a, struct histogram_span, s->span_count + 1);
    if (is_float)
        s->buckets.f = arena_array(a, double, s->bucket_count + 1);
    else
        s->buckets.i = arena_array(a, int64_t, s->bucket_count + 1);
    s->span_count = s->bucket_count = 0;
}

static bool span_read(sonde_str message, struct histogram_span *out)
{
    struct reader r = reader_of(message);
    struct wire_field f;

    *out = (struct histogram_span){ 0 };
    while (wire_next(&r, &f)) {
        if (f.number > 2)
            continue;
        if (!wire_is(&r, &f, WIRE_VARINT))
            return false;
        if (f.number == 1)
            out->offset = (int32_t)unzigzag((uint32_t)f.bits);
        else
            out->length = (uint32_t)f.bits;
    }
    return !r.failed;
}

static bool put_deltas(struct histogram_side *s, const struct wire_field *f)
{
    struct reader r = reader_of(f->bytes);

    if (f->type == WIRE_VARINT) {
        s->buckets.i[s->bucket_count++] = unzigzag(f->bits);
        return true;
    }
    while (reader_left(&r))
        s->buckets.i[s->bucket_count++] = reader_varint(&r);
    return !r.failed;
}

static void put_doubles(double *out, size_t *n, const struct wire_field *f)
{
    if (f->type == WIRE_FIXED64) {
        out[(*n)++] = wire_double(f);
        return;
    }
    for (size_t i = 0; i + 8 <= f->bytes.len; i += 8)
        out[(*n)++] =
            bits_double(wire_fixed64((const uint8_t *)f->bytes.ptr + i));
}

static bool side_field(struct histogram *h, struct histogram_side *s,
                       uint64_t part, const struct wire_field *f)
{
    if (part == SIDE_SPANS)
        return span_read(f->bytes, &s->spans[s->span_count++]);
    if (part == SIDE_DELTAS)
        return h->is_float || put_deltas(s, f);
    if (h->is_float)
        put_doubles(s->buckets.f, &s->bucket_count, f);
    return true;
}

/* Counts of the other kind than the histogram's are not looked at. */
static void put_count(union histogram_count *out, bool is_float,
                      const struct wire_field *f)
{
    if (is_float && f->type == WIRE_FIXED64)
        out->f = wire_double(f);
    else if (!is_float && f->type == WIRE_VARINT)
        out->i = f->bits;
}

static bool plain_field(struct histogram *h, sonde_msec *t, struct reader *r,
                        const struct wire_field *f)
{
    static const uint8_t types[H_CUSTOM + 1] = {
        [H_COUNT_FLOAT] = WIRE_FIXED64,    [H_SUM] = WIRE_FIXED64,
        [H_ZERO_THRESHOLD] = WIRE_FIXED64, [H_ZERO_FLOAT] = WIRE_FIXED64,
        [H_CUSTOM] = WIRE_BYTES,
    };

    if (f->number > H_CUSTOM)
        return true;
    if (f->number == H_CUSTOM) {
        put_doubles(h->custom_bounds, &h->custom_count, f);
        return true;
    }
    if (!wire_is(r, f, (enum wire_type)types[f->number]))
        return false;
    if (f->number == H_COUNT_INT || f->number == H_COUNT_FLOAT)
        put_count(&h->count, h->is_float, f);
    else if (f->number == H_ZERO_INT || f->number == H_ZERO_FLOAT)
        put_count(&h->zero_count, h->is_float, f);
    else if (f->number == H_SUM)
        h->sum = wire_double(f);
    else if (f->number == H_SCHEMA)
        h->schema = (int32_t)unzigzag((uint32_t)f->bits);
    else if (f->number == H_ZERO_THRESHOLD)
        h->zero_threshold = wire_double(f);
    else if (f->number == H_HINT)
        h->hint = f->bits <= HISTOGRAM_GAUGE ? (enum histogram_hint)f->bits
                                             : HISTOGRAM_UNKNOWN_RESET;
    else if (f->number == H_TIMESTAMP)
        *t = (sonde_msec)f->bits;
    return true;
}

sonde_code receive_histogram(struct receive_desk *d, sonde_str message,
                             struct histogram *out, sonde_msec *t,
                             struct sonde_err *err)
{
    struct reader r = reader_of(message);
    struct wire_field f;
    uint64_t part;

    *out = (struct histogram){ 0 };
    *t = 0;
    if (!histogram_measure(message, out))
        return broken("histogram", err);
    if (!side_is_bounded(&out->negative) || !side_is_bounded(&out->positive) ||
        out->custom_count > HISTOGRAM_BUCKETS_MAX)
        return sonde_err_set(err, SONDE_EINVAL,
                             "a histogram of more than %d buckets",
                             HISTOGRAM_BUCKETS_MAX);
    side_alloc(&d->arena, &out->negative, out->is_float);
    side_alloc(&d->arena, &out->positive, out->is_float);
    out->custom_bounds = arena_array(&d->arena, double, out->custom_count + 1);
    out->custom_count = 0;
    while (wire_next(&r, &f)) {
        struct histogram_side *side = side_of(out, f.number, &part);
        bool ok = side ? side_field(out, side, part, &f)
                       : plain_field(out, t, &r, &f);

        if (!ok)
            return broken("histogram", err);
    }
    if (histogram_is_stale(out)) /* has no buckets, whatever was sent */
        return SONDE_OK;
    return histogram_check(out, err);
}

/* ---- exemplars and metadata -------------------------------------------- */

sonde_code receive_exemplar(struct receive_desk *d, sonde_str message,
                            struct exemplar *out, struct sonde_err *err)
{
    struct reader r = reader_of(message);
    struct wire_field f;
    sonde_str labels = { 0 };
    sonde_code rc = SONDE_OK;

    *out = (struct exemplar){ 0 };
    for (const uint8_t *at = r.p; wire_next(&r, &f); at = r.p) {
        static const enum wire_type types[] = { 0, WIRE_BYTES, WIRE_FIXED64,
                                                WIRE_VARINT };

        if (f.number > 3)
            continue;
        if (!wire_is(&r, &f, types[f.number]))
            break;
        if (f.number == 1)
            labels = (sonde_str){ (const char *)at, (size_t)(r.p - at) };
        else if (f.number == 2)
            out->v = wire_double(&f);
        else
            out->t = (sonde_msec)f.bits;
    }
    if (r.failed)
        return broken("exemplar", err);
    if (d->version == 1)
        labels = message;
    if (labels.len)
        rc = receive_labels(d, labels, false, &out->labels, err);
    return rc;
}

static bool symbol_at(const struct receive_desk *d, uint64_t ref,
                      sonde_str *out)
{
    if (ref >= d->symbol_count)
        return false;
    *out = d->symbols[ref];
    return true;
}

sonde_code receive_metadata(struct receive_desk *d, sonde_str message,
                            struct metadata *out, uint16_t *mark,
                            struct sonde_err *err)
{
    struct reader r = reader_of(message);
    struct wire_field f;
    uint64_t help = 0, unit = 0, type = 0;

    *out = (struct metadata){ 0 };
    while (wire_next(&r, &f)) {
        if (f.number != 1 && f.number != 3 && f.number != 4)
            continue;
        if (!wire_is(&r, &f, WIRE_VARINT))
            break;
        *(f.number == 1 ? &type : f.number == 3 ? &help : &unit) = f.bits;
    }
    if (r.failed)
        return broken("metadata", err);
    if (type >= METRIC_TYPE_COUNT || !symbol_at(d, help, &out->help) ||
        !symbol_at(d, unit, &out->unit) || !str_is_utf8(out->help) ||
        !str_is_utf8(out->unit))
        return sonde_err_set(err, SONDE_EINVAL, "metadata out of range");
    out->type = (enum metric_type)type;
    *mark = (uint16_t)(1 | (d->symbol_keys[help].low + type * 31 +
                            d->symbol_keys[unit].high * 7));
    return SONDE_OK;
}
