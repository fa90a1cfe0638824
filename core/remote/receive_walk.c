/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over a request's bytes.
 *
 *     1.0 WriteRequest    1 timeseries*  3 metadata*
 *         TimeSeries      1 labels*  2 samples*  3 exemplars*  4 histograms*
 *     2.0 Request         4 symbols*  5 timeseries*
 *         TimeSeries      1 labels_refs (packed)  2 samples*  3 histograms*
 *                         4 exemplars*  5 metadata
 *     Sample              1 value (double)  2 timestamp (int64)
 *                         3 start_timestamp (2.0; not kept)
 *
 * Nothing is built: a series is known by the bytes of its labels, which come
 * first in it and together, as every encoder writes them (one that did not
 * would be told so), and its samples go straight into an array. Labels are
 * looked at only when the cache does not know them. Everything else is noted
 * by its place, for later.
 *
 * The cache is held for reading meanwhile. When the desk is full, in the
 * middle of a series too, what is there is stored and the walk goes on; a
 * series that goes on begins anew, with the same labels.
 *
 * Fields of other numbers are passed over, known ones of the wrong type make
 * the request malformed. Values stay the 64 bits they are.
 */
#include "remote/receive_int.h"
#include "remote/wire.h"
#include "util/mem.h"

#define TAG_LABELS    WIRE_TAG(1, WIRE_BYTES)
#define TAG_SAMPLE    WIRE_TAG(2, WIRE_BYTES)
#define TAG_VALUE     WIRE_TAG(1, WIRE_FIXED64)
#define TAG_TIMESTAMP WIRE_TAG(2, WIRE_VARINT)

enum { /* fields of the requests */
    V1_TIMESERIES = 1,
    V1_METADATA = 3,
    V2_SYMBOLS = 4,
    V2_TIMESERIES = 5
};

static sonde_code malformed(struct receive_desk *d, const char *what,
                            const uint8_t *at, struct sonde_err *err)
{
    return sonde_err_set(
        err, SONDE_EPARSE, "decode the %s message: %s near byte %zu of %zu",
        d->version == 2 ? "io.prometheus.write.v2.Request"
                        : "prometheus.WriteRequest",
        what, (size_t)(at - (const uint8_t *)d->plain.data), d->plain.len);
}

/* ---- samples ----------------------------------------------------------- */

/* Any order, anything left out, start_timestamp behind. */
static bool sample_slow(const uint8_t *p, size_t len, sonde_msec *t, double *v)
{
    struct reader r = reader_of((sonde_str){ (const char *)p, len });
    struct wire_field f;

    *t = 0;
    *v = 0;
    while (wire_next(&r, &f)) {
        if (f.number == 1 && wire_is(&r, &f, WIRE_FIXED64))
            *v = wire_double(&f);
        else if (f.number == 2 && wire_is(&r, &f, WIRE_VARINT))
            *t = (sonde_msec)f.bits;
        else if (f.number == 3)
            (void)wire_is(&r, &f, WIRE_VARINT);
    }
    return !r.failed;
}

/* As all encoders write it: value, then time, and no more. */
static inline bool sample_decode(const uint8_t *p, size_t len, sonde_msec *t,
                                 double *v)
{
    const uint8_t *end = p + len;
    uint64_t time = 0;
    unsigned shift = 0;

    if (len < 11 || len > 19 || p[0] != TAG_VALUE || p[9] != TAG_TIMESTAMP)
        return sample_slow(p, len, t, v);
    for (const uint8_t *q = p + 10; q < end; q++, shift += 7) {
        time |= (uint64_t)(*q & 0x7f) << shift;
        if (*q < 0x80) {
            if (q + 1 != end)
                break;
            *t = (sonde_msec)time;
            *v = bits_double(wire_fixed64(p + 1));
            return true;
        }
    }
    return sample_slow(p, len, t, v);
}

static inline void put_sample(struct receive_desk *d, struct received_series *s,
                              sonde_msec t, double v)
{
    if (d->sample_count == d->sample_cap)
        d->samples = mem_grow(d->samples, &d->sample_cap, d->sample_count + 1,
                              sizeof(*d->samples));
    d->samples[d->sample_count++] =
        (struct storage_sample){ .ref = s->ref, .t = t, .v = v };
    s->count++;
    s->wanted = true;
}

/* ---- series ------------------------------------------------------------ */

static inline bool piece_is_full(const struct receive_desk *d)
{
    return d->sample_count >= PIECE_SAMPLES ||
           d->series_count >= PIECE_SERIES || d->extra_count >= PIECE_EXTRAS ||
           d->extra_bytes >= PIECE_EXTRA_BYTES;
}

static struct received_series *
series_begin(struct receive_desk *d, sonde_str labels, struct receive_key key)
{
    struct receive_cache *c = &d->receiver->cache;
    uint32_t entry = receive_cache_find(c, key, &d->at);
    struct received_series *s;

    if (d->series_count == d->series_cap)
        d->series = mem_grow(d->series, &d->series_cap, d->series_count + 1,
                             sizeof(*d->series));
    s = &d->series[d->series_count++];
    *s = (struct received_series){ .labels = labels,
                                   .first = (uint32_t)d->sample_count,
                                   .entry = entry };
    if (entry != RECEIVE_NOWHERE)
        s->ref = c->items[entry].ref;
    else
        d->unknown++;
    return s;
}

static void put_extra(struct receive_desk *d, enum extra_kind kind,
                      sonde_str message)
{
    if (d->extra_count == d->extra_cap)
        d->extras = mem_grow(d->extras, &d->extra_cap, d->extra_count + 1,
                             sizeof(*d->extras));
    d->extras[d->extra_count++] = (struct received_extra){
        .series = (uint32_t)d->series_count - 1,
        .kind = kind,
        .message = message,
    };
    d->extra_bytes += message.len;
    d->series[d->series_count - 1].wanted |= kind == EXTRA_HISTOGRAM;
}

/* A field of a TimeSeries that is neither its labels nor a sample; false if
 * it is of the wrong kind. */
static bool other_field(struct receive_desk *d, struct reader *r)
{
    static const int kinds[2][6] = {
        { -1, -1, -1, EXTRA_EXEMPLAR, EXTRA_HISTOGRAM, -1 },
        { -1, -1, -1, EXTRA_HISTOGRAM, EXTRA_EXEMPLAR, EXTRA_METADATA },
    };
    struct wire_field f;

    if (!wire_next(r, &f))
        return false;
    if (f.number == 1) /* labels behind something else */
        return false;
    if (f.number > 5 || (f.number == 5 && d->version == 1))
        return true;
    if (!wire_is(r, &f, WIRE_BYTES) || f.number == 2)
        return false;
    put_extra(d, (enum extra_kind)kinds[d->version - 1][f.number], f.bytes);
    return true;
}

/* What follows a series' labels, from `*p` on until the end or until the
 * piece is full. */
static bool series_fields(struct receive_desk *d, const uint8_t **p,
                          const uint8_t *end)
{
    struct received_series *s = &d->series[d->series_count - 1];
    struct reader r;

    while (*p < end && !piece_is_full(d)) {
        const uint8_t *at = *p;

        if (end - at >= 2 && at[0] == TAG_SAMPLE && at[1] < 0x80) {
            size_t len = at[1];
            sonde_msec t;
            double v;

            if ((size_t)(end - at) - 2 < len ||
                !sample_decode(at + 2, len, &t, &v))
                return false;
            put_sample(d, s, t, v);
            *p = at + 2 + len;
            continue;
        }
        r = (struct reader){ at, end, false };
        if (at[0] == TAG_SAMPLE) { /* one of 128 bytes or more */
            struct wire_field f;
            sonde_msec t;
            double v;

            if (!wire_next(&r, &f) ||
                !sample_slow((const uint8_t *)f.bytes.ptr, f.bytes.len, &t, &v))
                return false;
            put_sample(d, s, t, v);
        } else if (!other_field(d, &r)) {
            return false;
        }
        *p = r.p;
    }
    return true;
}

static sonde_code store_piece(struct receive_desk *d, struct sonde_err *err)
{
    struct receive_cache *c = &d->receiver->cache;
    sonde_code rc;

    (void)pthread_rwlock_unlock(&c->lock);
    rc = receive_piece_store(d, err);
    (void)pthread_rwlock_rdlock(&c->lock);
    return rc;
}

static void note_sent(struct receive_desk *d)
{
    const struct received_series *s = &d->series[d->series_count - 1];
    size_t metadata = 0;

    for (size_t i = d->extra_count;
         i > 0 && d->extras[i - 1].series + 1 == d->series_count; i--)
        metadata += d->extras[i - 1].kind == EXTRA_METADATA;
    d->tally.described += metadata ? s->count : 0;
}

/* The label fields of a 1.0 series lie together; a 2.0 series has one. */
static inline bool labels_end(const struct receive_desk *d, const uint8_t *p,
                              const uint8_t *end, const uint8_t **out)
{
    while (end - p >= 2 && *p == TAG_LABELS) {
        struct reader r = { p + 1, end, false };
        uint64_t len = wire_uvarint(&r);

        if (r.failed || len > reader_left(&r))
            return false;
        *out = p;
        p = r.p + len;
        if (d->version == 2)
            break;
    }
    *out = p;
    return true;
}

static inline sonde_code series_walk(struct receive_desk *d, const uint8_t *p,
                                     const uint8_t *end, struct sonde_err *err)
{
    const uint8_t *begin = p;
    sonde_str labels;
    struct receive_key key;
    sonde_code rc;

    if (!labels_end(d, begin, end, &p))
        return malformed(d, "labels that do not end", begin, err);
    labels = (sonde_str){ (const char *)begin, (size_t)(p - begin) };
    key = receive_series_key(d, labels);
    for (;;) {
        (void)series_begin(d, labels, key);
        if (!series_fields(d, &p, end))
            return malformed(d, "a broken field of a series", p, err);
        if (d->extra_count)
            note_sent(d);
        if (!piece_is_full(d))
            return SONDE_OK;
        rc = store_piece(d, err);
        if (rc != SONDE_OK || p == end)
            return rc;
    }
}

/* ---- requests ---------------------------------------------------------- */

/* A length-delimited field of a request that begins with `tag`. */
static inline bool message_at(struct reader *r, uint8_t tag, sonde_str *out)
{
    if (r->p >= r->end || *r->p != tag)
        return false;
    r->p++;
    *out = reader_bytes(r, wire_uvarint(r));
    return true;
}

/* Any other field of a request. */
static void pass_over(struct receive_desk *d, struct reader *r)
{
    struct wire_field f;

    if (!wire_next(r, &f))
        return;
    if (d->version == 1 &&
        (f.number == V1_TIMESERIES || f.number == V1_METADATA))
        (void)wire_is(r, &f, WIRE_BYTES);
    if (d->version == 2 &&
        (f.number == V2_SYMBOLS || f.number == V2_TIMESERIES))
        (void)wire_is(r, &f, WIRE_BYTES);
}

static sonde_code requests_series(struct receive_desk *d, uint8_t tag,
                                  struct sonde_err *err)
{
    struct reader r = reader_of(buf_str(&d->plain));
    sonde_code rc = SONDE_OK;
    sonde_str m;

    while (rc == SONDE_OK && reader_left(&r) && !r.failed) {
        const uint8_t *at = r.p;

        if (!message_at(&r, tag, &m)) {
            pass_over(d, &r);
            continue;
        }
        if (r.failed)
            return malformed(d, "a series that does not end", at, err);
        rc = series_walk(d, (const uint8_t *)m.ptr,
                         (const uint8_t *)m.ptr + m.len, err);
    }
    if (rc == SONDE_OK && r.failed)
        rc = malformed(d, "a broken field", r.p, err);
    return rc;
}

/* The symbols of a 2.0 request, wherever they are in it. */
static sonde_code read_symbols(struct receive_desk *d, struct sonde_err *err)
{
    struct reader r = reader_of(buf_str(&d->plain));
    struct wire_field f;

    d->symbol_count = 0;
    while (wire_next(&r, &f)) {
        if (f.number != V2_SYMBOLS || !wire_is(&r, &f, WIRE_BYTES))
            continue;
        if (d->symbol_count == RECEIVE_SYMBOLS_MAX)
            return malformed(d, "too many symbols", r.p, err);
        d->symbols = mem_grow(d->symbols, &d->symbol_cap, d->symbol_count + 1,
                              sizeof(*d->symbols));
        d->symbol_keys = mem_grow(d->symbol_keys, &d->symbol_key_cap,
                                  d->symbol_count + 1, sizeof(*d->symbol_keys));
        d->symbols[d->symbol_count] = f.bytes;
        d->symbol_keys[d->symbol_count++] =
            receive_cache_key(&d->receiver->cache, f.bytes);
    }
    if (r.failed)
        return malformed(d, "a broken field", r.p, err);
    if (d->symbol_count && d->symbols[0].len)
        return malformed(d, "symbols[0] is not the empty string", r.p, err);
    return SONDE_OK;
}

sonde_code receive_walk(struct receive_desk *d, struct sonde_err *err)
{
    struct receive_cache *c = &d->receiver->cache;
    sonde_code rc = SONDE_OK;

    d->at = RECEIVE_NOWHERE;
    if (d->version == 2)
        rc = read_symbols(d, err);
    if (rc != SONDE_OK)
        return rc;
    (void)pthread_rwlock_rdlock(&c->lock);
    rc = requests_series(
        d,
        WIRE_TAG(d->version == 2 ? V2_TIMESERIES : V1_TIMESERIES, WIRE_BYTES),
        err);
    (void)pthread_rwlock_unlock(&c->lock);
    if (rc == SONDE_OK)
        rc = receive_piece_store(d, err);
    if (rc != SONDE_OK)
        receive_piece_drop(d);
    return rc;
}
