/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to remote reads.
 *
 * Samples, decoded, in one message:
 *     ReadResponse  1 results* {1 timeseries* {1 labels* 2 samples* 4
 *                   histograms*}}
 * or, streamed, chunks as blocks have them, a series a frame:
 *     frame         length (uvarint), CRC-32C (big-endian), message
 *     message       1 series {1 labels* 2 chunks* {1 min 2 max 3 type 4 data}}
 *                   2 number of the query
 * A long series takes several frames. Chunks are made anew from the samples,
 * 120 each as Prometheus cuts them: so what was out of order, deleted or in
 * several blocks needs no thought here, and chunks end where the query ends.
 */
#include <endian.h>

#include "chunk/chunk.h"
#include "remote/encode.h"
#include "remote/read.h"
#include "remote/wire.h"
#include "util/crc32c.h"
#include "util/mem.h"

#define CHUNK_SAMPLES    120
#define CHUNK_BYTES      1024
#define ANSWER_MAX_BYTES ((size_t)1 << 30) /* what a length can say twice   */

static void put_tag(struct buf *b, unsigned field, enum wire_type type)
{
    buf_uvarint(b, (uint64_t)field << 3 | type);
}

static void put_bytes(struct buf *b, unsigned field, sonde_str s)
{
    put_tag(b, field, WIRE_BYTES);
    buf_uvarint_str(b, s);
}

static void put_varint(struct buf *b, unsigned field, uint64_t v)
{
    put_tag(b, field, WIRE_VARINT);
    buf_uvarint(b, v);
}

static void put_double(struct buf *b, unsigned field, double v)
{
    uint64_t bits = htole64(double_bits(v));

    put_tag(b, field, WIRE_FIXED64);
    buf_bytes(b, &bits, sizeof(bits));
}

/* ---- samples ------------------------------------------------------------ */

static void put_spans(struct buf *b, unsigned field,
                      const struct histogram_side *side, struct buf *tmp)
{
    for (size_t i = 0; i < side->span_count; i++) {
        buf_reset(tmp);
        put_varint(tmp, 1, zigzag(side->spans[i].offset));
        put_varint(tmp, 2, side->spans[i].length);
        put_bytes(b, field, buf_str(tmp));
    }
}

/* Packed: differences are field + 1, counts field + 2. */
static void put_buckets(struct buf *b, unsigned field, bool is_float,
                        const struct histogram_side *side, struct buf *tmp)
{
    put_spans(b, field, side, tmp);
    if (side->bucket_count == 0)
        return;
    buf_reset(tmp);
    for (size_t i = 0; i < side->bucket_count; i++) {
        uint64_t bits;

        if (!is_float) {
            buf_uvarint(tmp, zigzag(side->buckets.i[i]));
            continue;
        }
        bits = htole64(double_bits(side->buckets.f[i]));
        buf_bytes(tmp, &bits, sizeof(bits));
    }
    put_bytes(b, field + (is_float ? 2 : 1), buf_str(tmp));
}

static void put_histogram(struct buf *b, sonde_msec t,
                          const struct histogram *h, struct buf *tmp)
{
    if (h->is_float) {
        put_double(b, 2, h->count.f);
    } else {
        put_varint(b, 1, h->count.i);
    }
    put_double(b, 3, h->sum);
    put_varint(b, 4, zigzag(h->schema));
    put_double(b, 5, h->zero_threshold);
    if (h->is_float)
        put_double(b, 7, h->zero_count.f);
    else
        put_varint(b, 6, h->zero_count.i);
    put_buckets(b, 8, h->is_float, &h->negative, tmp);
    put_buckets(b, 11, h->is_float, &h->positive, tmp);
    put_varint(b, 14, (uint64_t)h->hint);
    put_varint(b, 15, (uint64_t)t);
    if (h->custom_count) {
        put_tag(b, 16, WIRE_BYTES);
        buf_uvarint(b, h->custom_count * sizeof(double));
        for (size_t i = 0; i < h->custom_count; i++) {
            uint64_t bits = htole64(double_bits(h->custom_bounds[i]));

            buf_bytes(b, &bits, sizeof(bits));
        }
    }
}

/* The floats first, then the histograms: these are two lists. */
static void put_samples(struct buf *b, const struct columns *c,
                        struct buf *message, struct buf *tmp)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->h && c->h[i])
            continue;
        buf_reset(message);
        put_double(message, 1, c->v[i]);
        put_varint(message, 2, (uint64_t)c->t[i]);
        put_bytes(b, 2, buf_str(message));
    }
    for (size_t i = 0; c->h && i < c->count; i++) {
        if (!c->h[i])
            continue;
        buf_reset(message);
        put_histogram(message, c->t[i], c->h[i], tmp);
        put_bytes(b, 4, buf_str(message));
    }
}

/* One series after the other into `result`. */
static sonde_code put_all(struct http_call *call, const struct read_query *q,
                          const struct read_selection *s,
                          const struct read_limits *limits, uint64_t *left,
                          struct buf *result, struct sonde_err *err)
{
    struct buf series = { 0 }, message = { 0 }, tmp = { 0 };
    struct columns c = { 0 };
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < s->count; i++) {
        columns_reset(&c);
        rc = s->items[i].series->ops->read(s->items[i].series, q->start, q->end,
                                           &c, err);
        if (rc == SONDE_OK && c.count > *left)
            rc =
                sonde_err_set(err, SONDE_ELIMIT, "exceeded sample limit (%llu)",
                              (unsigned long long)limits->samples);
        if (rc == SONDE_OK && http_call_gone(call))
            rc = sonde_err_set(err, SONDE_ECANCELED, "the client has gone");
        if (rc != SONDE_OK || c.count == 0)
            continue;
        *left -= c.count;
        buf_reset(&series);
        encode_labels(&series, &s->items[i].labels);
        put_samples(&series, &c, &message, &tmp);
        put_bytes(result, 1, buf_str(&series));
        if (result->len > ANSWER_MAX_BYTES)
            rc = sonde_err_set(err, SONDE_ELIMIT,
                               "the answer is larger than %zu bytes",
                               ANSWER_MAX_BYTES);
    }
    columns_fini(&c);
    buf_fini(&series);
    buf_fini(&message);
    buf_fini(&tmp);
    return rc;
}

sonde_code read_put_result(struct http_call *call, const struct read_query *q,
                           const struct read_selection *s,
                           const struct read_limits *limits, uint64_t *left,
                           struct buf *out, struct sonde_err *err)
{
    struct buf result = { 0 };
    sonde_code rc = put_all(call, q, s, limits, left, &result, err);

    if (rc == SONDE_OK)
        put_bytes(out, 1, buf_str(&result));
    buf_fini(&result);
    return rc;
}

/* ---- frames ------------------------------------------------------------- */

struct framing {
    struct http_stream *stream;
    size_t query_index, frame_bytes;
    struct buf labels;  /* of the series, encoded                          */
    struct buf series;  /* labels and chunks of the frame under way        */
    struct buf message; /* a chunk, then the frame's message               */
};

static void series_begin(struct framing *f)
{
    buf_reset(&f->series);
    buf_put(&f->series, buf_str(&f->labels));
}

static sonde_code frame_end(struct framing *f, struct sonde_err *err)
{
    buf_reset(&f->message);
    put_bytes(&f->message, 1, buf_str(&f->series));
    if (f->query_index)
        put_varint(&f->message, 2, f->query_index);
    buf_uvarint(&f->stream->buf, f->message.len);
    buf_be32(&f->stream->buf, crc32c(0, f->message.data, f->message.len));
    buf_put(&f->stream->buf, buf_str(&f->message));
    series_begin(f);
    if (http_stream_flush(f->stream))
        return SONDE_OK;
    return sonde_err_set(err, SONDE_ECANCELED, "the client has gone");
}

static sonde_code put_chunk(void *arg, const struct chunk *c,
                            struct sonde_err *err)
{
    struct framing *f = arg;

    buf_reset(&f->message);
    put_varint(&f->message, 1, (uint64_t)c->mint);
    put_varint(&f->message, 2, (uint64_t)c->maxt);
    put_varint(&f->message, 3, c->encoding);
    put_bytes(&f->message, 4, c->data);
    put_bytes(&f->series, 2, buf_str(&f->message));
    return f->series.len < f->frame_bytes ? SONDE_OK : frame_end(f, err);
}

static sonde_code put_frames(struct framing *f, const struct read_series *s,
                             const struct columns *c, struct sonde_err *err)
{
    static const struct chunk_limits limits = { .samples = CHUNK_SAMPLES,
                                                .bytes = CHUNK_BYTES };
    sonde_code rc;

    buf_reset(&f->labels);
    encode_labels(&f->labels, &s->labels);
    series_begin(f);
    rc = chunks_cut(c, 0, c->count, &limits, true, put_chunk, f, err);
    if (rc == SONDE_OK && f->series.len > f->labels.len)
        rc = frame_end(f, err);
    return rc;
}

sonde_code read_put_frames(struct http_stream *h, const struct read_query *q,
                           size_t query_index, const struct read_selection *s,
                           const struct read_limits *limits,
                           struct sonde_err *err)
{
    struct framing f = { .stream = h,
                         .query_index = query_index,
                         .frame_bytes = limits->frame_bytes };
    struct columns c = { 0 };
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < s->count; i++) {
        columns_reset(&c);
        rc = s->items[i].series->ops->read(s->items[i].series, q->start, q->end,
                                           &c, err);
        if (rc == SONDE_OK)
            rc = put_frames(&f, &s->items[i], &c, err);
    }
    columns_fini(&c);
    buf_fini(&f.labels);
    buf_fini(&f.series);
    buf_fini(&f.message);
    return rc;
}
