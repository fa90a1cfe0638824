/* SPDX-License-Identifier: Apache-2.0 */
/* Records of series and of their metadata; see record.c. */
#include "util/str.h"
#include "wal/record.h"

#define METADATA_MAX_FIELDS 64

/* ---- series ----------------------------------------------------------- */

void wal_series_begin(struct buf *b)
{
    buf_reset(b);
    buf_u8(b, WAL_SERIES);
}

void wal_series_add(struct buf *b, uint64_t ref, const struct labels *l)
{
    buf_be64(b, ref);
    record_labels_put(b, l);
}

sonde_code wal_series_decode(sonde_str record,
                             void (*each)(void *arg, uint64_t ref,
                                          const struct labels *l),
                             void *arg, struct sonde_err *err)
{
    struct label_space space;
    struct reader r;
    bool ok = true;

    if (!record_begin(&r, record, WAL_SERIES))
        return record_wrong_type(err, "series", record);
    label_space_init(&space);
    while (ok && reader_left(&r)) {
        uint64_t ref = reader_be64(&r);
        struct labels l;

        ok = record_labels(&r, &space, true, &l);
        if (ok)
            each(arg, ref, &l);
    }
    label_space_fini(&space);
    return ok ? SONDE_OK : record_malformed(err, "series");
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

    if (!record_begin(&r, record, WAL_METADATA))
        return record_wrong_type(err, "metadata", record);
    while (reader_left(&r)) {
        uint64_t ref = reader_uvarint(&r);
        struct metadata m = read_metadata(&r);

        if (!r.failed)
            each(arg, ref, &m);
    }
    return record_ended(&r, "metadata", err);
}
