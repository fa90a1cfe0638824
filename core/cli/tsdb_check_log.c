/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of `sonde tsdb check` that are not blocks: the log's records,
 * each decoded, and the series that they speak of; the chunks of the head.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "chunk/chunk.h"
#include "cli/tsdb_check.h"
#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"
#include "wal/wal.h"

/* ---- the log ------------------------------------------------------------ */

#define REF_MAX (UINT64_C(1) << 32) /* a table of bits: 512 MiB at the most */

struct log_check {
    struct check *check;
    const char *name;
    uint8_t *known; /* bits, by series reference                          */
    size_t known_cap;
    uint64_t unknown; /* records' elements of series never named           */
};

static void learn(struct log_check *l, uint64_t ref)
{
    size_t byte = ref / 8, cap = l->known_cap;

    if (ref >= REF_MAX)
        return;
    if (byte >= cap) {
        l->known = mem_grow(l->known, &l->known_cap, byte + 1, 1);
        memset(l->known + cap, 0, l->known_cap - cap);
    }
    l->known[byte] |= (uint8_t)(1u << ref % 8);
}

static void refer(struct log_check *l, uint64_t ref)
{
    if (ref < REF_MAX &&
        (ref / 8 >= l->known_cap || !(l->known[ref / 8] >> ref % 8 & 1)))
        l->unknown++;
}

static void on_series(void *arg, uint64_t ref, const struct labels *labels)
{
    (void)labels;
    learn(arg, ref);
}

static void on_sample(void *arg, uint64_t ref, sonde_msec t, double v)
{
    (void)t;
    (void)v;
    refer(arg, ref);
}

static void on_histogram(void *arg, uint64_t ref, sonde_msec t,
                         const struct histogram *h)
{
    (void)t;
    (void)h;
    refer(arg, ref);
}

static void on_exemplar(void *arg, const struct wal_exemplar *e)
{
    refer(arg, e->ref);
}

static void on_tombstone(void *arg, uint64_t ref, sonde_msec mint,
                         sonde_msec maxt)
{
    (void)mint;
    (void)maxt;
    refer(arg, ref);
}

static void on_marker(void *arg, uint64_t ref, uint64_t chunk)
{
    (void)chunk;
    refer(arg, ref);
}

static void on_metadata(void *arg, uint64_t ref, const struct metadata *m)
{
    (void)m;
    refer(arg, ref);
}

static sonde_code decode(struct log_check *l, sonde_str record,
                         struct sonde_err *err)
{
    switch (wal_record_type(record)) {
    case WAL_SERIES:
        return wal_series_decode(record, on_series, l, err);
    case WAL_SAMPLES:
    case WAL_SAMPLES_V2:
        return wal_samples_decode(record, on_sample, l, err);
    case WAL_TOMBSTONES:
        return wal_tombstones_decode(record, on_tombstone, l, err);
    case WAL_EXEMPLARS:
        return wal_exemplars_decode(record, on_exemplar, l, err);
    case WAL_MMAP_MARKERS:
        return wal_markers_decode(record, on_marker, l, err);
    case WAL_METADATA:
        return wal_metadata_decode(record, on_metadata, l, err);
    case WAL_HISTOGRAMS:
    case WAL_FLOAT_HISTOGRAMS:
    case WAL_CUSTOM_HISTOGRAMS:
    case WAL_CUSTOM_FLOAT_HISTOGRAMS:
    case WAL_HISTOGRAMS_V2:
    case WAL_FLOAT_HISTOGRAMS_V2:
        return wal_histograms_decode(record, on_histogram, l, err);
    default: /* of a later version: nobody reads it, its checksum is good */
        return SONDE_OK;
    }
}

static sonde_code on_record(void *arg, sonde_str record,
                            struct wal_position end, struct sonde_err *err)
{
    struct log_check *l = arg;
    struct sonde_err why;

    (void)err;
    if (decode(l, record, &why) != SONDE_OK)
        check_fault(l->check, "%s: record before %08" PRIu64 ":%" PRIu64 ": %s",
                    l->name, end.segment, end.offset, why.text);
    l->check->records++;
    progress_add(&l->check->progress, record.len);
    return SONDE_OK;
}

static void on_damage(void *arg, const struct wal_damage *d)
{
    struct log_check *l = arg;

    check_fault(l->check, "%s: %" PRIu64 " bytes at %" PRIu64 ": %s", d->path,
                d->bytes, d->at.offset, d->why);
}

void check_log(struct check *c, const char *name)
{
    struct log_check l = { .check = c, .name = name };
    const struct wal_replay replay = { .record = on_record,
                                       .damage = on_damage,
                                       .arg = &l };
    struct sonde_err err;
    struct arena a;
    const char *dir;

    arena_init(&a);
    dir = arena_printf(&a, "%s/%s", c->dir, name).ptr;
    if (fs_exists(dir) && wal_replay(dir, (struct wal_position){ 0, 0 },
                                     &replay, &err) != SONDE_OK)
        check_fault(c, "%s: %s", name, err.text);
    /* the WBL speaks of the series of the WAL */
    if (l.unknown && strcmp(name, "wal") == 0)
        check_fault(c,
                    "%s: %" PRIu64 " entries of series that it does not name",
                    name, l.unknown);
    free(l.known);
    arena_fini(&a);
}

/* ---- chunks of the head ------------------------------------------------- */

#define HEAD_MAGIC    UINT32_C(0x0130BC91)
#define HEAD_HEADER   8
#define HEAD_FILE_MAX (UINT32_C(512) << 20)
#define OUT_OF_ORDER  0x80

static const char *check_samples(struct columns *c, int encoding,
                                 sonde_str data, sonde_msec mint,
                                 sonde_msec maxt)
{
    struct sonde_err err;

    columns_reset(c);
    if (chunk_decode((enum chunk_encoding)(encoding & ~OUT_OF_ORDER), data, c,
                     &err) != SONDE_OK)
        return "chunk does not decode";
    if (!c->count || c->t[0] != mint || c->t[c->count - 1] != maxt)
        return "chunk has other times than are said";
    return NULL;
}

/* One entry; *end is set at zeros, which end a file. NULL: it is well. */
static const char *check_entry(struct reader *r, struct columns *samples,
                               bool *end)
{
    const uint8_t *begin = r->p;
    uint64_t ref = reader_be64(r);
    sonde_msec mint = (sonde_msec)reader_be64(r);
    sonde_msec maxt = (sonde_msec)reader_be64(r);
    int encoding;
    sonde_str data;
    uint32_t crc;

    *end = !ref && !mint && !maxt;
    if (*end)
        return NULL;
    encoding = reader_u8(r);
    data = reader_uvarint_str(r);
    crc = crc32c(0, begin, (size_t)(r->p - begin));
    if (reader_be32(r) != crc && !r->failed)
        return "wrong checksum of a chunk";
    if (r->failed)
        return "cut off";
    return check_samples(samples, encoding, data, mint, maxt);
}

static void check_file(struct check *c, const char *path, sonde_str file)
{
    struct reader r = reader_of(file);
    struct columns samples = { 0 };
    bool end = false;

    if (file.len && (reader_be32(&r) != HEAD_MAGIC || reader_u8(&r) != 1))
        check_fault(c, "%s: wrong magic number or version", path);
    (void)reader_bytes(&r, HEAD_HEADER - 5);
    while (reader_left(&r) && !r.failed && !end) {
        uint64_t at = file.len - reader_left(&r);
        const char *what = check_entry(&r, &samples, &end);

        if (what)
            check_fault(c, "%s: at %" PRIu64 ": %s", path, at, what);
        c->head_chunks += !end;
    }
    columns_fini(&samples);
}

void check_head_chunks(struct check *c)
{
    struct fs_names names;
    struct arena a;
    const char *dir;

    arena_init(&a);
    dir = arena_printf(&a, "%s/chunks_head", c->dir).ptr;
    if (fs_list(dir, &names, NULL) == SONDE_OK) {
        for (size_t i = 0; i < names.count; i++) {
            const char *path =
                arena_printf(&a, "%s/%s", dir, names.items[i]).ptr;
            uint64_t number;
            struct sonde_err err;
            struct buf file;

            if (!str_to_u64(sonde_cstr(names.items[i]), &number))
                continue;
            buf_init(&file);
            if (fs_read(path, HEAD_FILE_MAX, &file, &err) != SONDE_OK)
                check_fault(c, "%s", err.text);
            else
                check_file(c, path, buf_str(&file));
            progress_add(&c->progress, file.len);
            buf_fini(&file);
        }
        fs_names_fini(&names);
    }
    arena_fini(&a);
}
