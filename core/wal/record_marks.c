/* SPDX-License-Identifier: Apache-2.0 */
/* Records of deleted ranges, and of chunks that were mapped; see record.c. */
#include "wal/record.h"

void wal_tombstones_begin(struct buf *b)
{
    buf_reset(b);
    buf_u8(b, WAL_TOMBSTONES);
}

void wal_tombstones_add(struct buf *b, uint64_t ref, sonde_msec mint,
                        sonde_msec maxt)
{
    buf_be64(b, ref);
    buf_varint(b, mint);
    buf_varint(b, maxt);
}

sonde_code wal_tombstones_decode(sonde_str record,
                                 void (*each)(void *arg, uint64_t ref,
                                              sonde_msec mint, sonde_msec maxt),
                                 void *arg, struct sonde_err *err)
{
    struct reader r;

    if (!record_begin(&r, record, WAL_TOMBSTONES))
        return record_wrong_type(err, "tombstones", record);
    while (reader_left(&r)) {
        uint64_t ref = reader_be64(&r);
        sonde_msec mint = reader_varint(&r);
        sonde_msec maxt = reader_varint(&r);

        if (!r.failed)
            each(arg, ref, mint, maxt);
    }
    return record_ended(&r, "tombstones", err);
}

void wal_markers_begin(struct buf *b)
{
    buf_reset(b);
    buf_u8(b, WAL_MMAP_MARKERS);
}

void wal_markers_add(struct buf *b, uint64_t ref, uint64_t chunk_ref)
{
    buf_be64(b, ref);
    buf_be64(b, chunk_ref);
}

sonde_code wal_markers_decode(sonde_str record,
                              void (*each)(void *arg, uint64_t ref,
                                           uint64_t chunk_ref),
                              void *arg, struct sonde_err *err)
{
    struct reader r;

    if (!record_begin(&r, record, WAL_MMAP_MARKERS))
        return record_wrong_type(err, "markers", record);
    while (reader_left(&r)) {
        uint64_t ref = reader_be64(&r);
        uint64_t chunk_ref = reader_be64(&r);

        if (!r.failed)
            each(arg, ref, chunk_ref);
    }
    return record_ended(&r, "markers", err);
}
