/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint: what of the oldest segments is still needed. It is read and
 * written record by record, so that memory does not grow with the log; only
 * metadata, of which the newest of each series counts, is gathered to the
 * end, and thinned out when half of what was gathered may be outdated.
 *
 * Damage in what is read costs what it hit: the checkpoint is made of the
 * intact rest. Segments and older checkpoints are not touched.
 *
 * Kinds of records that are not known are dropped, as Prometheus does.
 */
#include <stdlib.h>

#include "util/fs.h"
#include "util/mem.h"
#include "wal/replay.h"
#include "wal/segments.h"
#include "wal/wal.h"

#define METADATA_RECORD_BYTES ((size_t)1 << 20)
#define METADATA_THIN_BYTES   ((size_t)4 << 20) /* at least              */

struct metadata_at {
    uint64_t ref;
    size_t at, len; /* in `metadata`, as in a record                     */
};

struct making {
    const struct wal_checkpoint *c;
    const char *dir;
    struct wal_bulk *out;
    /* The record that is being made, and what is told of its elements. */
    struct buf record, custom;
    struct wal_samples_writer samples;
    struct wal_histograms_writer histograms;
    struct wal_exemplars_writer exemplars;
    size_t kept;
    /* Metadata so far, in order of arrival. */
    struct buf metadata;
    struct metadata_at *places;
    size_t place_count, place_cap, thin_at;
};

/* ---- metadata --------------------------------------------------------- */

static int cmp_places(const void *a, const void *b)
{
    const struct metadata_at *x = a, *y = b;

    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Leaves the newest of each series. */
static void thin_metadata(struct making *m)
{
    struct buf thin = { 0 };
    size_t n = 0;

    if (m->place_count)
        qsort(m->places, m->place_count, sizeof(*m->places), cmp_places);
    for (size_t i = 0; i < m->place_count; i++) {
        struct metadata_at p = m->places[i];

        if (i + 1 < m->place_count && m->places[i + 1].ref == p.ref)
            continue;
        m->places[n++] = (struct metadata_at){ p.ref, thin.len, p.len };
        buf_bytes(&thin, m->metadata.data + p.at, p.len);
    }
    m->place_count = n;
    buf_fini(&m->metadata);
    m->metadata = thin;
    m->thin_at = 2 * thin.len + METADATA_THIN_BYTES;
}

static bool keeps_metadata(const struct wal_checkpoint *c, uint64_t ref)
{
    return c->keep_metadata ? c->keep_metadata(c->arg, ref)
                            : c->keep_series(c->arg, ref);
}

static void keep_metadata(void *arg, uint64_t ref, const struct metadata *d)
{
    struct making *m = arg;
    size_t at = m->metadata.len;

    if (!keeps_metadata(m->c, ref))
        return;
    wal_metadata_add(&m->metadata, ref, d);
    m->places = mem_grow(m->places, &m->place_cap, m->place_count + 1,
                         sizeof(*m->places));
    m->places[m->place_count++] =
        (struct metadata_at){ ref, at, m->metadata.len - at };
    if (m->metadata.len > m->thin_at)
        thin_metadata(m);
}

static sonde_code put_metadata(struct making *m, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    thin_metadata(m);
    for (size_t i = 0; rc == SONDE_OK && i < m->place_count;) {
        wal_metadata_begin(&m->record);
        while (i < m->place_count && m->record.len < METADATA_RECORD_BYTES) {
            buf_bytes(&m->record, m->metadata.data + m->places[i].at,
                      m->places[i].len);
            i++;
        }
        rc = wal_bulk_put(m->out, buf_str(&m->record), err);
    }
    return rc;
}

/* ---- what is kept of a record ------------------------------------------- */

static void keep_series(void *arg, uint64_t ref, const struct labels *l)
{
    struct making *m = arg;

    if (!m->c->keep_series(m->c->arg, ref))
        return;
    wal_series_add(&m->record, ref, l);
    m->kept++;
}

static void keep_sample(void *arg, uint64_t ref, sonde_msec t, double v)
{
    struct making *m = arg;

    if (t < m->c->mint)
        return;
    wal_samples_add(&m->samples, ref, t, v);
    m->kept++;
}

static void keep_histogram(void *arg, uint64_t ref, sonde_msec t,
                           const struct histogram *h)
{
    struct making *m = arg;

    if (t < m->c->mint)
        return;
    wal_histograms_add(&m->histograms, ref, t, h);
    m->kept++;
}

static void keep_exemplar(void *arg, const struct wal_exemplar *e)
{
    struct making *m = arg;

    if (e->t < m->c->mint)
        return;
    wal_exemplars_add(&m->exemplars, e);
    m->kept++;
}

static void keep_tombstone(void *arg, uint64_t ref, sonde_msec mint,
                           sonde_msec maxt)
{
    struct making *m = arg;

    if (maxt < m->c->mint)
        return;
    wal_tombstones_add(&m->record, ref, mint, maxt);
    m->kept++;
}

static sonde_code filter(struct making *m, sonde_str record,
                         struct sonde_err *err)
{
    int type = wal_record_type(record);

    switch (type) {
    case WAL_SERIES:
        wal_series_begin(&m->record);
        return wal_series_decode(record, keep_series, m, err);
    case WAL_SAMPLES:
    case WAL_SAMPLES_V2:
        wal_samples_begin(&m->samples, &m->record);
        return wal_samples_decode(record, keep_sample, m, err);
    case WAL_HISTOGRAMS:
    case WAL_CUSTOM_HISTOGRAMS:
    case WAL_HISTOGRAMS_V2:
    case WAL_FLOAT_HISTOGRAMS:
    case WAL_CUSTOM_FLOAT_HISTOGRAMS:
    case WAL_FLOAT_HISTOGRAMS_V2:
        wal_histograms_begin(&m->histograms, wal_record_type_is_float(type),
                             &m->record, &m->custom);
        return wal_histograms_decode(record, keep_histogram, m, err);
    case WAL_EXEMPLARS:
        wal_exemplars_begin(&m->exemplars, &m->record);
        return wal_exemplars_decode(record, keep_exemplar, m, err);
    case WAL_TOMBSTONES:
        wal_tombstones_begin(&m->record);
        return wal_tombstones_decode(record, keep_tombstone, m, err);
    case WAL_METADATA:
        return wal_metadata_decode(record, keep_metadata, m, err);
    default:
        return SONDE_OK;
    }
}

static sonde_code on_record(void *arg, sonde_str record,
                            struct wal_position end, struct sonde_err *err)
{
    struct making *m = arg;
    struct sonde_err why;
    sonde_code rc = SONDE_OK;

    m->kept = 0;
    buf_reset(&m->record);
    buf_reset(&m->custom);
    if (filter(m, record, &why) != SONDE_OK && m->c->damage) {
        struct wal_damage damage = { m->dir, end, record.len, why.text };

        m->c->damage(m->c->arg, &damage);
    }
    if (!m->kept)
        return SONDE_OK;
    if (m->record.len)
        rc = wal_bulk_put(m->out, buf_str(&m->record), err);
    if (rc == SONDE_OK && m->custom.len)
        rc = wal_bulk_put(m->out, buf_str(&m->custom), err);
    return rc;
}

static void on_damage(void *arg, const struct wal_damage *damage)
{
    struct making *m = arg;

    if (m->c->damage)
        m->c->damage(m->c->arg, damage);
}

/* ---- the whole -------------------------------------------------------- */

static sonde_code make(struct making *m, const char *path,
                       enum wal_compression how, struct sonde_err *err)
{
    struct wal_replay replay = {
        .record = on_record,
        .damage = on_damage,
        .arg = m,
    };
    sonde_code rc = wal_bulk_open(path, how, &m->out, err);

    if (rc == SONDE_OK && m->c->put_series)
        rc = m->c->put_series(m->c->arg, m->out, err);
    if (rc == SONDE_OK)
        rc = wal_replay_upto(m->dir, m->c->upto, &replay, err);
    if (rc == SONDE_OK)
        rc = put_metadata(m, err);
    if (rc == SONDE_OK)
        rc = wal_bulk_finish(m->out, err);
    wal_bulk_close(m->out);
    return rc;
}

sonde_code wal_checkpoint_make(const char *dir, enum wal_compression how,
                               const struct wal_checkpoint *c,
                               struct sonde_err *err)
{
    struct making m = { .c = c, .dir = dir, .thin_at = METADATA_THIN_BYTES };
    uint64_t before;
    bool found;
    char *path;
    sonde_code rc = checkpoint_find(dir, &found, &before, err);

    if (rc != SONDE_OK || (found && before >= c->upto))
        return rc;
    path = checkpoint_path(dir, c->upto);
    rc = make(&m, path, how, err);
    if (rc != SONDE_OK)
        (void)sonde_err_prefix(err, "make checkpoint %s", path);
    free(path);
    buf_fini(&m.record);
    buf_fini(&m.custom);
    buf_fini(&m.metadata);
    free(m.places);
    return rc;
}

bool wal_checkpoint_last(const char *dir, uint64_t *upto)
{
    struct sonde_err err;
    bool found;

    return checkpoint_find(dir, &found, upto, &err) == SONDE_OK && found;
}

sonde_code wal_checkpoint_clean(const char *dir, struct sonde_err *err)
{
    uint64_t last;

    if (!wal_checkpoint_last(dir, &last))
        return SONDE_OK;
    return checkpoint_drop(dir, last, err);
}
