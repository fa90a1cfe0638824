/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Late samples come back at a start, behind the WAL's: series are there, and
 * nobody else is. As with the WAL nothing that passes its checksum stops a
 * start: what makes no sense is counted and passed over.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/log.h"
#include "util/mem.h"

struct wbl_replay {
    struct head *head;
    const struct head_replay_options *options;
    uint64_t samples, unknown, marks, homeless, damaged;
    uint64_t highest; /* reference                                         */
    struct append_stats stats;
    struct columns scratch;
};

/* What the series is called here; 0 if it is not there. `mark`: it is late. */
static uint32_t known(struct wbl_replay *r, uint64_t ref, bool mark)
{
    struct walk w = walk_of(r->head);
    struct series *s = walk_to(&w, ref);

    if (ref > r->highest && ref <= SERIES_REF_MAX)
        r->highest = ref;
    if (!s) {
        ref = head_alias(r->head, ref);
        s = ref ? walk_to_id(&w, (uint32_t)ref) : NULL;
    }
    if (s && !s->labels) /* a chunk was found, but never its labels        */
        s = NULL;
    if (s && mark)
        s->flags |= SERIES_LATE;
    walk_end(&w);
    return s ? (uint32_t)ref : 0;
}

static void put(struct wbl_replay *r, uint64_t ref, sonde_msec t, double v,
                const struct histogram *h)
{
    struct late_sample x = { known(r, ref, true), t, v, h };

    if (!x.ref) {
        r->unknown++;
        return;
    }
    r->samples++;
    late_insert(r->head, &x, 1, &r->stats);
}

static void replay_float(void *arg, uint64_t ref, sonde_msec t, double v)
{
    put(arg, ref, t, v, NULL);
}

static void replay_histogram(void *arg, uint64_t ref, sonde_msec t,
                             const struct histogram *h)
{
    put(arg, ref, t, h->sum, h);
}

static struct late_chunk *
find_chunk(const struct late *l, const struct late_series *s, uint64_t file_ref)
{
    for (size_t i = s->chunk_count; l->files && i; i--) {
        struct late_chunk *c = &s->chunks[i - 1];

        if (!c->len && head_files_ref(l->files, c->place) == file_ref)
            return c;
    }
    return NULL;
}

/* Takes the samples of those times out; both ascend. */
static void take_out(struct columns *b, const struct columns *times)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < b->count; i++) {
        while (at < times->count && times->t[at] < b->t[i])
            at++;
        if (at < times->count && times->t[at] == b->t[i])
            continue;
        b->t[kept] = b->t[i];
        b->v[kept] = b->v[i];
        if (b->h)
            b->h[kept] = b->h[i];
        kept++;
    }
    b->count = kept;
    if (kept == 0)
        columns_reset(b);
}

/* What the chunk really has need not be in the buffer. */
static void replay_mark(void *arg, uint64_t ref, uint64_t file_ref)
{
    struct wbl_replay *r = arg;
    struct late *l = &r->head->late;
    uint32_t here = known(r, ref, false);
    struct late_chunk *c = NULL;
    struct late_series *s;

    r->marks++;
    (void)pthread_mutex_lock(&l->lock);
    s = late_find(l, here);
    if (s)
        c = find_chunk(l, s, file_ref);
    if (c)
        c->named = true;
    if (c && s->buffer.count &&
        late_chunk_decode(l, c, &r->scratch, NULL) == SONDE_OK)
        take_out(&s->buffer, &r->scratch);
    columns_reset(&r->scratch);
    (void)pthread_mutex_unlock(&l->lock);
}

/* ---- chunks that were found -------------------------------------------- */

/* Chunks under another name of their series go to it, those of no series are
 * dropped. */
static void settle_one(struct wbl_replay *r, struct late_series *s)
{
    struct late *l = &r->head->late;
    uint32_t here = known(r, s->ref, true);
    struct head_chunk c = { .series = here };

    if (here == (uint32_t)s->ref)
        return;
    for (size_t i = 0; here && i < s->chunk_count; i++) {
        c.chunk =
            (struct chunk){ .encoding =
                                (enum chunk_encoding)s->chunks[i].encoding,
                            .mint = s->chunks[i].mint,
                            .maxt = s->chunks[i].maxt };
        late_found_chunk(l, &c, s->chunks[i].place);
    }
    if (!here)
        r->homeless += s->chunk_count;
    late_drop_chunks(l, s, (uint32_t)s->chunk_count);
}

static void settle_found(struct wbl_replay *r)
{
    struct late *l = &r->head->late;
    size_t n = 0;
    struct late_series **all = mem_alloc((l->count + 1) * sizeof(*all));

    for (size_t i = 0; i < l->table_size; i++)
        if (l->table[i])
            all[n++] = l->table[i];
    for (size_t i = 0; i < n; i++)
        settle_one(r, all[i]);
    free(all);
    if (r->homeless)
        log_warn("tsdb",
                 "chunks of late samples have no series in the log; left out",
                 LOG_NUM("chunks", r->homeless));
}

/* All late samples that are not in blocks are in the log. So a chunk that it
 * does not name is of samples that are in blocks, or come back in a buffer. */
static void drop_unnamed(struct wbl_replay *r)
{
    struct late *l = &r->head->late;
    size_t kept, dropped = 0;

    for (size_t i = 0; i < l->table_size; i++) {
        struct late_series *s = l->table[i];
        struct walk w = walk_of(r->head);
        struct series *in_order = s ? walk_to(&w, s->ref) : NULL;

        kept = 0;
        for (size_t k = 0; s && k < s->chunk_count; k++)
            if (s->chunks[k].named)
                s->chunks[kept++] = s->chunks[k];
        if (s) {
            dropped += s->chunk_count - kept;
            s->chunk_count = kept;
        }
        if (in_order && kept == 0 && s->buffer.count == 0)
            in_order->flags &= (uint8_t)~SERIES_LATE;
        walk_end(&w);
    }
    atomic_fetch_sub(&l->chunk_count, dropped);
    late_sweep(l);
}

/* ---- records ---------------------------------------------------------- */

static void complain(struct wbl_replay *r)
{
    r->damaged++;
    metric_inc(r->head->metrics.corruptions);
    metric_inc(r->head->metrics.all_corruptions);
    (*r->options->corruptions)++;
}

static sonde_code replay_record(void *arg, sonde_str record,
                                struct wal_position end, struct sonde_err *err)
{
    struct wbl_replay *r = arg;
    struct sonde_err why = { 0 };
    sonde_code rc = SONDE_OK;

    (void)err;
    switch (wal_record_type(record)) {
    case WAL_SAMPLES:
    case WAL_SAMPLES_V2:
        rc = wal_samples_decode(record, replay_float, r, &why);
        break;
    case WAL_HISTOGRAMS:
    case WAL_FLOAT_HISTOGRAMS:
    case WAL_CUSTOM_HISTOGRAMS:
    case WAL_CUSTOM_FLOAT_HISTOGRAMS:
    case WAL_HISTOGRAMS_V2:
    case WAL_FLOAT_HISTOGRAMS_V2:
        rc = wal_histograms_decode(record, replay_histogram, r, &why);
        break;
    case WAL_MMAP_MARKERS:
        rc = wal_markers_decode(record, replay_mark, r, &why);
        break;
    default:
        break;
    }
    if (rc == SONDE_OK)
        return SONDE_OK;
    complain(r);
    log_warn("tsdb",
             "a record of the log of late samples makes no sense; skipped its "
             "rest",
             LOG_NUM("segment", end.segment), LOG_NUM("end", end.offset),
             LOG_ERRTEXT(&why));
    return SONDE_OK;
}

static void replay_damage(void *arg, const struct wal_damage *d)
{
    complain(arg);
    log_warn("tsdb",
             "the log of late samples is damaged; what was there is lost, the "
             "rest is read",
             LOG_CSTR("file", d->path), LOG_NUM("segment", d->at.segment),
             LOG_NUM("offset", d->at.offset), LOG_NUM("bytes", d->bytes),
             LOG_CSTR("why", d->why));
}

sonde_code wbl_replay(struct head *h, const char *dir,
                      const struct head_replay_options *o,
                      struct sonde_err *err)
{
    struct wbl_replay r = { .head = h, .options = o };
    struct wal_replay callbacks = { .record = replay_record,
                                    .damage = replay_damage,
                                    .arg = &r };
    sonde_code rc = SONDE_OK;

    settle_found(&r);
    h->late.lazy = true;
    if (dir)
        rc = wal_replay(dir, (struct wal_position){ 0 }, &callbacks, err);
    h->late.lazy = false;
    columns_fini(&r.scratch);
    if (rc != SONDE_OK)
        return sonde_err_prefix(err, "replay the log of late samples %s", dir);
    if (dir && r.damaged == 0)
        drop_unnamed(&r);
    if (r.highest >= h->next_ref)
        h->next_ref = r.highest + 1;
    metric_add(h->metrics.replay_unknown, r.unknown);
    log_info("tsdb", "late samples replayed",
             LOG_NUM("samples", r.stats.appended),
             LOG_NUM("dropped", r.samples - r.stats.appended),
             LOG_NUM("unknown", r.unknown), LOG_NUM("marks", r.marks));
    return SONDE_OK;
}
