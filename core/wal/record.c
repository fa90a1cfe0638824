/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a record: series, samples, metadata, as in Prometheus' record
 * package. The first byte is the type; numbers are big-endian or varints.
 *
 *     series   1 | { ref u64 | n uvarint | n * (name str, value str) }
 *     samples  2 | ref0 u64 | t0 i64 | { varint ref-ref0 | varint t-t0 | f64 }
 *     metadata 6 | { ref uvarint | type u8 | n uvarint | n * (str, str) }
 *
 * A replay decodes tens of millions of samples, so their loop has a fast part
 * that needs no check of bounds: as long as the largest encoding of a sample
 * fits into what is left. The bounded reader does the rest. Differences are
 * taken with wrap-around, as the encoder makes them, so that no reference or
 * time is out of range.
 */
#include <stdlib.h>

#include "util/bytes.h"
#include "util/mem.h"
#include "util/str.h"
#include "wal/wal.h"

#define SAMPLE_MAX_BYTES    (UVARINT_MAX + UVARINT_MAX + 8)
#define LABELS_ON_STACK     64
#define LABEL_MIN_BYTES     2 /* two empty strings                          */
#define METADATA_MAX_FIELDS 64

static sonde_code malformed(struct sonde_err *err, const char *what)
{
    return sonde_err_set(err, SONDE_ECORRUPT, "log record: %s", what);
}

/* A reader over a record, behind its type; false if that is another. */
static bool begin(struct reader *r, sonde_str record, int type)
{
    if (wal_record_type(record) != type)
        return false;
    *r = reader_of(record);
    r->p++;
    return true;
}

static sonde_code wrong_type(struct sonde_err *err, const char *wanted,
                             sonde_str record)
{
    return sonde_err_set(err, SONDE_ECORRUPT,
                         "log record: expected %s, got type %d", wanted,
                         wal_record_type(record));
}

static sonde_code ended(const struct reader *r, const char *what,
                        struct sonde_err *err)
{
    return r->failed ? malformed(err, what) : SONDE_OK;
}

/* ---- series ----------------------------------------------------------- */

void wal_series_begin(struct buf *b)
{
    buf_reset(b);
    buf_u8(b, WAL_SERIES);
}

void wal_series_add(struct buf *b, uint64_t ref, const struct labels *l)
{
    buf_be64(b, ref);
    buf_uvarint(b, l->count);
    for (size_t i = 0; i < l->count; i++) {
        buf_uvarint_str(b, l->items[i].name);
        buf_uvarint_str(b, l->items[i].value);
    }
}

struct label_space {
    struct label *items;
    size_t cap;
    struct label stack[LABELS_ON_STACK];
};

static void label_space_want(struct label_space *s, size_t n)
{
    if (n <= s->cap)
        return;
    if (s->items == s->stack) {
        s->items = NULL;
        s->cap = 0;
    }
    s->items = mem_grow(s->items, &s->cap, n, sizeof(*s->items));
}

/* One label set; sorted and without empty values, or refused. */
static bool read_labels(struct reader *r, struct label_space *space,
                        struct labels *out)
{
    uint64_t n = reader_uvarint(r);
    sonde_str before = { 0 };
    size_t kept = 0;

    if (n > reader_left(r) / LABEL_MIN_BYTES)
        return false;
    label_space_want(space, (size_t)n);
    for (uint64_t i = 0; i < n; i++) {
        struct label l;

        l.name = reader_uvarint_str(r);
        l.value = reader_uvarint_str(r);
        if (r->failed || (i > 0 && str_cmp(before, l.name) >= 0))
            return false;
        before = l.name;
        if (l.value.len)
            space->items[kept++] = l;
    }
    *out = (struct labels){ space->items, kept };
    return !r->failed;
}

sonde_code wal_series_decode(sonde_str record,
                             void (*each)(void *arg, uint64_t ref,
                                          const struct labels *l),
                             void *arg, struct sonde_err *err)
{
    struct label_space space = { .cap = LABELS_ON_STACK };
    struct reader r;
    bool ok = true;

    if (!begin(&r, record, WAL_SERIES))
        return wrong_type(err, "series", record);
    space.items = space.stack;
    while (ok && reader_left(&r)) {
        uint64_t ref = reader_be64(&r);
        struct labels l;

        ok = read_labels(&r, &space, &l);
        if (ok)
            each(arg, ref, &l);
    }
    if (space.items != space.stack)
        free(space.items);
    return ok ? SONDE_OK : malformed(err, "malformed series");
}

/* ---- samples ---------------------------------------------------------- */

void wal_samples_begin(struct wal_samples_writer *w, struct buf *b)
{
    *w = (struct wal_samples_writer){ .b = b };
    buf_reset(b);
    buf_u8(b, WAL_SAMPLES);
}

static uint64_t difference(uint64_t a, uint64_t b)
{
    return zigzag((int64_t)(a - b));
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
    p += uvarint_put(p, difference(ref, w->ref0));
    p += uvarint_put(p, difference((uint64_t)t, (uint64_t)w->t0));
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
        return malformed(err, "malformed samples");
    while (reader_left(r)) {
        uint64_t ref = ref0 + (uint64_t)reader_varint(r);
        uint64_t t = t0 + (uint64_t)reader_varint(r);
        uint64_t bits = reader_be64(r);

        if (!r->failed)
            each(arg, ref, (sonde_msec)t, bits_double(bits));
    }
    return ended(r, "malformed samples", err);
}

/* The mark of a start time: none, as before, or a difference follows. */
static void skip_start_time(struct reader *r)
{
    uint8_t mark = reader_u8(r);

    if (mark == 2)
        (void)reader_varint(r);
    else if (mark > 2)
        r->failed = true;
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
            skip_start_time(r);
        }
        first = false;
        bits = reader_be64(r);
        if (!r->failed)
            each(arg, ref, (sonde_msec)t, bits_double(bits));
    }
    return ended(r, "malformed samples", err);
}

sonde_code wal_samples_decode(sonde_str record, each_sample *each, void *arg,
                              struct sonde_err *err)
{
    struct reader r;

    if (begin(&r, record, WAL_SAMPLES))
        return samples_v1(&r, each, arg, err);
    if (begin(&r, record, WAL_SAMPLES_V2))
        return samples_v2(&r, each, arg, err);
    return wrong_type(err, "samples", record);
}

/* ---- metadata --------------------------------------------------------- */

void wal_metadata_begin(struct buf *b)
{
    buf_reset(b);
    buf_u8(b, WAL_METADATA);
}

void wal_metadata_add(struct buf *b, uint64_t ref, const struct metadata *m)
{
    buf_uvarint(b, ref);
    buf_u8(b, (uint8_t)m->type);
    buf_uvarint(b, 2);
    buf_uvarint_str(b, SONDE_STR("UNIT"));
    buf_uvarint_str(b, m->unit);
    buf_uvarint_str(b, SONDE_STR("HELP"));
    buf_uvarint_str(b, m->help);
}

static struct metadata read_metadata(struct reader *r)
{
    struct metadata m = { 0 };
    uint8_t type = reader_u8(r);
    uint64_t fields = reader_uvarint(r);

    m.type = type < METRIC_TYPE_COUNT ? (enum metric_type)type : METRIC_UNKNOWN;
    if (fields > METADATA_MAX_FIELDS)
        r->failed = true;
    for (uint64_t i = 0; i < fields && !r->failed; i++) {
        sonde_str name = reader_uvarint_str(r);
        sonde_str value = reader_uvarint_str(r);

        if (str_eq_cstr(name, "UNIT"))
            m.unit = value;
        else if (str_eq_cstr(name, "HELP"))
            m.help = value;
    }
    return m;
}

sonde_code wal_metadata_decode(sonde_str record,
                               void (*each)(void *arg, uint64_t ref,
                                            const struct metadata *m),
                               void *arg, struct sonde_err *err)
{
    struct reader r;

    if (!begin(&r, record, WAL_METADATA))
        return wrong_type(err, "metadata", record);
    while (reader_left(&r)) {
        uint64_t ref = reader_uvarint(&r);
        struct metadata m = read_metadata(&r);

        if (!r.failed)
            each(arg, ref, &m);
    }
    return ended(&r, "malformed metadata", err);
}
