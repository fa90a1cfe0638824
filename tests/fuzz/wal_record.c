/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a log record, through the decoder of its type and all others;
 * what decodes is encoded again and must decode to the same. */
#include <stdlib.h>

#include "wal/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct again {
    struct buf buf, custom;
    struct wal_samples_writer writer;
    struct wal_histograms_writer histograms;
    struct wal_exemplars_writer exemplars;
    size_t count;
};

static void on_series(void *arg, uint64_t ref, const struct labels *l)
{
    struct again *a = arg;

    wal_series_add(&a->buf, ref, l);
    a->count++;
}

static void on_sample(void *arg, uint64_t ref, sonde_msec t, double v)
{
    struct again *a = arg;

    wal_samples_add(&a->writer, ref, t, v);
    a->count++;
}

static void on_metadata(void *arg, uint64_t ref, const struct metadata *m)
{
    struct again *a = arg;

    wal_metadata_add(&a->buf, ref, m);
    a->count++;
}

static void on_histogram(void *arg, uint64_t ref, sonde_msec t,
                         const struct histogram *h)
{
    struct again *a = arg;

    wal_histograms_add(&a->histograms, ref, t, h);
    a->count++;
}

static void on_exemplar(void *arg, const struct wal_exemplar *e)
{
    struct again *a = arg;

    wal_exemplars_add(&a->exemplars, e);
    a->count++;
}

static void on_tombstone(void *arg, uint64_t ref, sonde_msec mint,
                         sonde_msec maxt)
{
    struct again *a = arg;

    wal_tombstones_add(&a->buf, ref, mint, maxt);
    a->count++;
}

static void on_marker(void *arg, uint64_t ref, uint64_t chunk)
{
    struct again *a = arg;

    wal_markers_add(&a->buf, ref, chunk);
    a->count++;
}

static bool decode_series(sonde_str r, struct again *a)
{
    wal_series_begin(&a->buf);
    return wal_series_decode(r, on_series, a, NULL) == SONDE_OK;
}

static bool decode_samples(sonde_str r, struct again *a)
{
    wal_samples_begin(&a->writer, &a->buf);
    return wal_samples_decode(r, on_sample, a, NULL) == SONDE_OK;
}

static bool decode_metadata(sonde_str r, struct again *a)
{
    wal_metadata_begin(&a->buf);
    return wal_metadata_decode(r, on_metadata, a, NULL) == SONDE_OK;
}

/* One kind only: a record of version 2 may mix those with listed bounds with
 * others, which go to two records. */
static bool decode_histograms(sonde_str r, struct again *a)
{
    wal_histograms_begin(&a->histograms,
                         wal_record_type_is_float(wal_record_type(r)), &a->buf,
                         &a->custom);
    if (wal_histograms_decode(r, on_histogram, a, NULL) != SONDE_OK)
        return false;
    if (a->buf.len && a->custom.len)
        return false;
    if (a->custom.len) {
        buf_reset(&a->buf);
        buf_put(&a->buf, buf_str(&a->custom));
    }
    return a->buf.len != 0;
}

static bool decode_exemplars(sonde_str r, struct again *a)
{
    wal_exemplars_begin(&a->exemplars, &a->buf);
    return wal_exemplars_decode(r, on_exemplar, a, NULL) == SONDE_OK;
}

static bool decode_tombstones(sonde_str r, struct again *a)
{
    wal_tombstones_begin(&a->buf);
    return wal_tombstones_decode(r, on_tombstone, a, NULL) == SONDE_OK;
}

static bool decode_markers(sonde_str r, struct again *a)
{
    wal_markers_begin(&a->buf);
    return wal_markers_decode(r, on_marker, a, NULL) == SONDE_OK;
}

static void check(sonde_str r, bool (*decode)(sonde_str, struct again *))
{
    struct again a = { 0 }, b = { 0 };

    if (decode(r, &a)) {
        if (!decode(buf_str(&a.buf), &b) || a.count != b.count ||
            !sonde_str_eq(buf_str(&a.buf), buf_str(&b.buf)))
            abort();
    }
    buf_fini(&a.buf);
    buf_fini(&b.buf);
    buf_fini(&a.custom);
    buf_fini(&b.custom);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str r = { (const char *)data, size };

    check(r, decode_series);
    check(r, decode_samples);
    check(r, decode_metadata);
    check(r, decode_histograms);
    check(r, decode_exemplars);
    check(r, decode_tombstones);
    check(r, decode_markers);
    return 0;
}
