/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a record, as in Prometheus' record package. The first byte is
 * the type; numbers are big-endian or varints.
 *
 *     series     1 | { ref u64 | labels }                  record_series.c
 *     metadata   6 | { ref uvarint | type u8 | n uvarint | n * (str, str) }
 *     samples    2 | ref0 u64 | t0 i64 |                   record_samples.c
 *                    { varint ref-ref0 | varint t-t0 | f64 }
 *     histograms 7...10, 12, 13                            record_histograms.c
 *     exemplars  4 | as samples, each with labels          record_exemplars.c
 *     tombstones 3 | { ref u64 | mint varint | maxt varint } record_marks.c
 *     markers    5 | { ref u64 | chunk u64 }
 *
 * labels are n uvarint | n * (name str, value str). Every length is compared
 * with what is left of the record before memory is taken for it.
 */
#include "wal/record.h"

#include <stdlib.h>

#include "util/mem.h"
#include "util/str.h"

#define LABEL_MIN_BYTES 2 /* two empty strings */

sonde_code record_malformed(struct sonde_err *err, const char *what)
{
    return sonde_err_set(err, SONDE_ECORRUPT, "log record: malformed %s", what);
}

bool record_begin(struct reader *r, sonde_str record, int type)
{
    if (wal_record_type(record) != type)
        return false;
    *r = reader_of(record);
    r->p++;
    return true;
}

sonde_code record_wrong_type(struct sonde_err *err, const char *wanted,
                             sonde_str record)
{
    return sonde_err_set(err, SONDE_ECORRUPT,
                         "log record: expected %s, got type %d", wanted,
                         wal_record_type(record));
}

void record_skip_start_time(struct reader *r)
{
    uint8_t mark = reader_u8(r);

    if (mark == 2)
        (void)reader_varint(r);
    else if (mark > 2)
        r->failed = true;
}

/* ---- labels ----------------------------------------------------------- */

void label_space_init(struct label_space *s)
{
    s->items = s->stack;
    s->cap = RECORD_LABELS_ON_STACK;
}

void label_space_fini(struct label_space *s)
{
    if (s->items != s->stack)
        free(s->items);
}

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

bool record_labels(struct reader *r, struct label_space *space, bool sorted,
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
        if (r->failed || (sorted && i > 0 && str_cmp(before, l.name) >= 0))
            return false;
        before = l.name;
        if (l.value.len)
            space->items[kept++] = l;
    }
    *out = (struct labels){ space->items, kept };
    return !r->failed;
}

void record_labels_put(struct buf *b, const struct labels *l)
{
    buf_uvarint(b, l->count);
    for (size_t i = 0; i < l->count; i++) {
        buf_uvarint_str(b, l->items[i].name);
        buf_uvarint_str(b, l->items[i].value);
    }
}

bool wal_labels_get(struct reader *r, struct arena *a, struct labels *out)
{
    struct label_space space;
    struct label *items;
    bool ok;

    label_space_init(&space);
    ok = record_labels(r, &space, true, out);
    if (ok) {
        items = arena_array(a, struct label, out->count);
        if (out->count)
            memcpy(items, out->items, out->count * sizeof(*items));
        out->items = items;
    }
    label_space_fini(&space);
    return ok;
}
