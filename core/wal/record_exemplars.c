/* SPDX-License-Identifier: Apache-2.0 */
/* Records of exemplars; see record.c. */
#include "wal/record.h"

void wal_exemplars_begin(struct wal_exemplars_writer *w, struct buf *b)
{
    *w = (struct wal_exemplars_writer){ .b = b };
    buf_reset(b);
    buf_u8(b, WAL_EXEMPLARS);
}

void wal_exemplars_add(struct wal_exemplars_writer *w,
                       const struct wal_exemplar *e)
{
    struct buf *b = w->b;

    if (!w->any) {
        w->any = true;
        w->ref0 = e->ref;
        w->t0 = e->t;
        buf_be64(b, e->ref);
        buf_be64(b, (uint64_t)e->t);
    }
    buf_uvarint(b, record_difference(e->ref, w->ref0));
    buf_uvarint(b, record_difference((uint64_t)e->t, (uint64_t)w->t0));
    buf_be64(b, double_bits(e->v));
    record_labels_put(b, &e->labels);
}

sonde_code wal_exemplars_decode(sonde_str record,
                                void (*each)(void *arg,
                                             const struct wal_exemplar *e),
                                void *arg, struct sonde_err *err)
{
    struct label_space space;
    struct reader r;
    uint64_t ref0, t0;
    bool ok = true;

    if (!record_begin(&r, record, WAL_EXEMPLARS))
        return record_wrong_type(err, "exemplars", record);
    if (reader_left(&r) == 0)
        return SONDE_OK;
    label_space_init(&space);
    ref0 = reader_be64(&r);
    t0 = reader_be64(&r);
    while (ok && reader_left(&r)) {
        struct wal_exemplar e;

        e.ref = ref0 + (uint64_t)reader_varint(&r);
        e.t = (sonde_msec)(t0 + (uint64_t)reader_varint(&r));
        e.v = bits_double(reader_be64(&r));
        ok = record_labels(&r, &space, false, &e.labels);
        if (ok)
            each(arg, &e);
    }
    label_space_fini(&space);
    return ok ? record_ended(&r, "exemplars", err)
              : record_malformed(err, "exemplars");
}
