/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of samples; see record.c.
 *
 * A replay decodes tens of millions of samples, so their loop has a fast part
 * that needs no check of bounds: as long as the largest encoding of a sample
 * fits into what is left. The bounded reader does the rest.
 */
#include "wal/record.h"

#define SAMPLE_MAX_BYTES (UVARINT_MAX + UVARINT_MAX + 8)

void wal_samples_begin(struct wal_samples_writer *w, struct buf *b)
{
    *w = (struct wal_samples_writer){ .b = b };
    buf_reset(b);
    buf_u8(b, WAL_SAMPLES);
}

void wal_samples_add(struct wal_samples_writer *w, uint64_t ref, sonde_msec t,
                     double v)
{
    struct buf *b = w->b;
    uint8_t *p;

    if (!w->any) {
        w->any = true;
        w->ref0 = ref;
        w->t0 = t;
        buf_be64(b, ref);
        buf_be64(b, (uint64_t)t);
    }
    p = (uint8_t *)buf_reserve(b, SAMPLE_MAX_BYTES);
    if (!p)
        return;
    p += uvarint_put(p, record_difference(ref, w->ref0));
    p += uvarint_put(p, record_difference((uint64_t)t, (uint64_t)w->t0));
    be64_put(p, double_bits(v));
    b->len = (size_t)(p + 8 - (uint8_t *)b->data);
}

/* A varint where at least UVARINT_MAX bytes are left; NULL if malformed. */
static inline const uint8_t *fast_uvarint(const uint8_t *p, uint64_t *out)
{
    uint64_t v = *p & 0x7f;

    if (*p++ < 0x80) {
        *out = v;
        return p;
    }
    for (unsigned shift = 7; shift < 70; shift += 7) {
        uint8_t b = *p++;

        if (shift == 63 && b > 1)
            return NULL;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *out = v;
            return p;
        }
    }
    return NULL;
}

typedef void each_sample(void *arg, uint64_t ref, sonde_msec t, double v);

/* As many samples as are surely whole. */
static bool fast_samples(struct reader *r, uint64_t ref0, uint64_t t0,
                         each_sample *each, void *arg)
{
    while (reader_left(r) >= SAMPLE_MAX_BYTES) {
        uint64_t dref, dt;
        const uint8_t *p = fast_uvarint(r->p, &dref);

        p = p ? fast_uvarint(p, &dt) : NULL;
        if (!p)
            return false;
        r->p = p + 8;
        each(arg, ref0 + (uint64_t)unzigzag(dref),
             (sonde_msec)(t0 + (uint64_t)unzigzag(dt)),
             bits_double(be64_get(p)));
    }
    return true;
}

static sonde_code samples_v1(struct reader *r, each_sample *each, void *arg,
                             struct sonde_err *err)
{
    uint64_t ref0, t0;

    if (reader_left(r) == 0)
        return SONDE_OK;
    ref0 = reader_be64(r);
    t0 = reader_be64(r);
    if (!fast_samples(r, ref0, t0, each, arg))
        return record_malformed(err, "samples");
    while (reader_left(r)) {
        uint64_t ref = ref0 + (uint64_t)reader_varint(r);
        uint64_t t = t0 + (uint64_t)reader_varint(r);
        uint64_t bits = reader_be64(r);

        if (!r->failed)
            each(arg, ref, (sonde_msec)t, bits_double(bits));
    }
    return record_ended(r, "samples", err);
}

static sonde_code samples_v2(struct reader *r, each_sample *each, void *arg,
                             struct sonde_err *err)
{
    uint64_t ref = 0, t0 = 0;
    bool first = true;

    while (reader_left(r)) {
        uint64_t t, bits;

        ref += (uint64_t)reader_varint(r);
        t = t0 + (uint64_t)reader_varint(r);
        if (first) {
            t0 = t;
            (void)reader_varint(r);
        } else {
            record_skip_start_time(r);
        }
        first = false;
        bits = reader_be64(r);
        if (!r->failed)
            each(arg, ref, (sonde_msec)t, bits_double(bits));
    }
    return record_ended(r, "samples", err);
}

sonde_code wal_samples_decode(sonde_str record, each_sample *each, void *arg,
                              struct sonde_err *err)
{
    struct reader r;

    if (record_begin(&r, record, WAL_SAMPLES))
        return samples_v1(&r, each, arg, err);
    if (record_begin(&r, record, WAL_SAMPLES_V2))
        return samples_v2(&r, each, arg, err);
    return record_wrong_type(err, "samples", record);
}
