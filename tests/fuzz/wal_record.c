/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a log record, through the decoder of its type and all others;
 * what decodes is encoded again and must decode to the same. */
#include <stdlib.h>

#include "wal/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct again {
    struct buf buf;
    struct wal_samples_writer writer;
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str r = { (const char *)data, size };

    check(r, decode_series);
    check(r, decode_samples);
    check(r, decode_metadata);
    return 0;
}
