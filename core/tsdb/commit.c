/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commit: what a scrape or a remote-write request hands in, judged, logged,
 * then seen.
 *
 * A commit goes twice over its samples. First each is judged against its
 * series; those that pass are put into the records of the log and their
 * series marked busy. Then the log is written. Then those samples go into
 * their chunks. Both walks take a page's lock once per run of references in
 * it. If the log can not be written, the marks are taken off and nothing has
 * happened.
 *
 * Series records go first: a series must be in the log before its first
 * sample, also when the transaction that made it failed. So each carries a
 * flag, set after a log write that had its labels; two commits that both find
 * it unset both write the record, which a replay does not mind. Many new
 * series are written in pieces, ahead of the rest, to bound the memory.
 *
 * The order of a series' samples must be the same in the log and in memory,
 * or a replay would drop what was acknowledged. The mark sees to that: who
 * meets a series marked by another commit gives up his own marks, waits until
 * all others are done (`gate`, held for writing) and goes again alone. That
 * two writers feed one series at the same instant is rare and usually a
 * mistake; nobody else pays for it but by a bit in a line that is written
 * anyway. A batch with a series twice in a row is judged as it goes; twice
 * apart looks like a conflict and goes again alone, sorted by series.
 *
 * Memory that a sample needs is far apart and rarely in the cache, so both
 * walks fetch what comes a dozen samples later: the first the series, the
 * second where in a chunk the sample will go, which the first has noted.
 *
 * What is behind the newest sample of its series but within the window goes to
 * late.h: it is taken out of the batch in the first walk, logged in both logs,
 * and put into its series' buffer before the second.
 *
 * Rejected: one lock around log and memory (a slow disk would hold up
 * everybody), a queue per series (memory for a case that is not).
 */
#include <stdlib.h>

#include "tsdb/commit_int.h"
#include "tsdb/walk.h"
#include "util/mem.h"

#define RECORD_SAMPLES 16384 /* in one record of the log                 */
#define SERIES_PIECE   ((size_t)256 << 10)
#define AHEAD          12 /* samples; what they need is fetched meanwhile  */

/* ---- judging ---------------------------------------------------------- */

/* Time is the data's: an empty store takes its first sample's as the newest,
 * and judges the rest of the batch by it. */
static struct bounds bounds_now(struct head *h, const struct batch *batch)
{
    int64_t newest = atomic_load(&h->max_time);
    sonde_msec now = clock_now(h->clock);
    sonde_msec window = atomic_load(&h->late.window_ms);
    struct bounds b = { INT64_MIN, INT64_MAX, INT64_MAX };

    if (now < INT64_MAX - TOO_FAR_MS)
        b.max = now + TOO_FAR_MS;
    if (newest == INT64_MIN && batch->count && batch->samples[0].t <= b.max)
        newest = batch->samples[0].t;
    else if (newest == INT64_MIN && batch->hist_count &&
             batch->hists[0].t <= b.max)
        newest = batch->hists[0].t;
    if (!h->log_only && newest > INT64_MIN + LATE_MS)
        b.min = newest - LATE_MS;
    if (b.min < atomic_load(&h->min_valid))
        b.min = atomic_load(&h->min_valid);
    if (window > 0)
        b.late_min = newest > INT64_MIN + window ? newest - window : INT64_MIN;
    return b;
}

static inline enum append_verdict against(const struct storage_sample *s,
                                          sonde_msec last, uint64_t last_bits)
{
    if (s->t > last)
        return APPEND_TAKEN;
    if (s->t < last)
        return APPEND_OUT_OF_ORDER;
    return double_bits(s->v) == last_bits ? APPEND_DUPLICATE_SAME
                                          : APPEND_DUPLICATE_OTHER;
}

static inline enum append_verdict judge(const struct series *s,
                                        const struct storage_sample *sample,
                                        const struct bounds *b)
{
    if (!s)
        return APPEND_UNKNOWN_SERIES;
    if (__builtin_expect(sample->t > b->max, 0))
        return APPEND_TOO_FAR;
    if (__builtin_expect(sample->t < b->min, 0))
        return APPEND_TOO_OLD;
    if (!(s->flags & SERIES_SEEN))
        return APPEND_TAKEN;
    if (__builtin_expect(s->flags & SERIES_HIST, 0) && sample->t == s->open.t)
        return is_stale_nan(sample->v) && s->open.v == STALE_NAN_BITS
                   ? APPEND_DUPLICATE_SAME
                   : APPEND_DUPLICATE_OTHER;
    return against(sample, s->open.t, s->open.v);
}

enum append_verdict commit_judge_late(sonde_msec t, enum append_verdict v,
                                      const struct bounds *b)
{
    if ((v != APPEND_OUT_OF_ORDER && v != APPEND_TOO_OLD) ||
        b->late_min == INT64_MAX)
        return v;
    return t >= b->late_min ? JUDGED_LATE : APPEND_TOO_OLD;
}

/* ---- the first walk: judge, mark, encode ------------------------------- */

static void unmark(struct commit *c)
{
    struct walk w = walk_of(c->head);

    for (size_t i = 0; i < c->batch->count; i++) {
        struct series *s = walk_to(&w, c->batch->samples[i].ref);

        if (s)
            s->flags &= (uint8_t)~SERIES_BUSY;
    }
    for (size_t i = 0; i < c->batch->late_count; i++) {
        struct series *s = walk_to(&w, c->batch->late[i].ref);

        if (s)
            s->flags &= (uint8_t)~SERIES_BUSY;
    }
    for (size_t i = 0; i < c->hists_marked; i++) {
        struct series *s = walk_to(&w, c->batch->hists[i].ref);

        if (s)
            s->flags &= (uint8_t)~SERIES_BUSY;
    }
    walk_end(&w);
}

/* Keeps the `kept` samples, those from `from` on and those that were late: to
 * go again, sorted. */
static void give_up(struct commit *c, size_t kept, size_t from)
{
    struct batch *b = c->batch;
    size_t rest = b->count - from;
    struct storage_sample *to = b->samples + kept;

    b->count = kept;
    unmark(c);
    for (size_t i = 0; i < b->late_count; i++)
        to += b->late[i].h == NULL;
    memmove(to, b->samples + from, rest * sizeof(*b->samples));
    commit_give_back(c);
    b->count += rest;
}

/* A sample that passed goes into the log's records. */
static inline void record(struct commit *c, struct series *s,
                          const struct storage_sample *sample)
{
    struct batch *b = c->batch;

    if (!(s->flags & (SERIES_BUSY | SERIES_LOGGED)))
        ref_list_push(&b->unlogged, (uint32_t)sample->ref);
    s->flags |= SERIES_BUSY;
    if (c->recorded++ % RECORD_SAMPLES == 0)
        wal_samples_begin(&c->record, batch_record(b));
    wal_samples_add(&c->record, sample->ref, sample->t, sample->v);
}

/* And moves to the front. */
static inline void take(struct commit *c, struct series *s,
                        const struct storage_sample *sample, size_t kept)
{
    struct batch *b = c->batch;

    record(c, s, sample);
    b->tails[kept] = s->chunk ? s->chunk + s->open.bits / 8 : NULL;
    b->samples[kept] = *sample;
}

static void take_late(struct commit *c, struct series *s,
                      const struct storage_sample *sample)
{
    const struct late_sample late = { sample->ref, sample->t, sample->v, NULL };

    record(c, s, sample);
    batch_late(c->batch, &late);
}

/* Against the last one of its series that is in the batch, if any. */
static enum append_verdict against_kept(const struct batch *b, size_t kept,
                                        const struct storage_sample *sample)
{
    const struct storage_sample *last = b->samples + kept - 1;

    if (kept == 0 || last->ref != sample->ref)
        return APPEND_TAKEN;
    return against(sample, last->t, double_bits(last->v));
}

/* Whether the mark on the series of a sample is this batch's: the one before
 * it is of the same series. Those that were kept do not reach that far. */
static bool is_ours(const struct batch *b, size_t at)
{
    return at && b->samples[at - 1].ref == b->samples[at].ref;
}

/* False if a series is in another commit; never when `alone`. */
static bool first_walk(struct commit *c, bool alone)
{
    struct batch *b = c->batch;
    struct walk w = walk_of(c->head);
    struct bounds bounds = bounds_now(c->head, b);
    size_t kept = 0;

    b->tails = mem_grow(b->tails, &b->tail_cap, b->count, sizeof(*b->tails));
    for (size_t i = 0; i < b->count; i++) {
        struct storage_sample sample = b->samples[i];
        struct series *s = walk_to(&w, sample.ref);
        enum append_verdict v = judge(s, &sample, &bounds);

        if (i + AHEAD < b->count)
            walk_ahead(&w, b->samples[i + AHEAD].ref);
        if (s && s->flags & SERIES_BUSY) {
            if (!alone && !is_ours(b, i)) {
                walk_end(&w);
                give_up(c, kept, i);
                return false;
            }
            if (v == APPEND_TAKEN)
                v = against_kept(b, kept, &sample);
        }
        if (__builtin_expect(v == APPEND_TAKEN, 1)) {
            if (__builtin_expect(s->flags & SERIES_HIST, 0) &&
                is_stale_nan(sample.v)) {
                commit_stale(c, s, &sample);
                continue;
            }
            take(c, s, &sample, kept++);
            continue;
        }
        v = commit_judge_late(sample.t, v, &bounds);
        if (v == JUDGED_LATE)
            take_late(c, s, &sample);
        else
            append_stats_judged(&c->stats, sample.ref, sample.t, v);
    }
    walk_end(&w);
    b->count = kept;
    if (__builtin_expect(b->hist_count == 0, 1) ||
        commit_judge_histograms(c, &bounds, alone))
        return true;
    give_up(c, kept, kept);
    return false;
}

/* ---- the log ---------------------------------------------------------- */

static void add_series_record(struct commit *c, uint32_t id,
                              struct label *scratch)
{
    struct buf *record = &c->batch->series_record;
    struct walk w = walk_of(c->head);
    struct series *s = walk_to_id(&w, id);
    struct labels l = { scratch, 0 };
    uint32_t at = s ? s->labels : 0;
    series_ref ref = s ? series_ref_of(s, id) : 0;

    walk_end(&w);
    if (!s)
        return;
    head_labels_view(c->head, at, scratch, &l.count);
    if (record->len == 0)
        wal_series_begin(record);
    wal_series_add(record, ref, &l);
}

/* Records of new series; all but the last piece is written. */
static sonde_code log_series(struct commit *c, struct sonde_err *err)
{
    struct batch *b = c->batch;
    struct label *scratch;
    sonde_code rc = SONDE_OK;

    if (b->unlogged.count == 0)
        return SONDE_OK;
    scratch = mem_alloc(SERIES_LABELS_MAX * sizeof(*scratch));
    for (size_t i = 0; i < b->unlogged.count && rc == SONDE_OK; i++) {
        if (b->series_record.len >= SERIES_PIECE) {
            sonde_str piece = buf_str(&b->series_record);

            rc = wal_append(c->head->wal, &piece, 1, err);
            buf_reset(&b->series_record);
        }
        add_series_record(c, b->unlogged.items[i], scratch);
    }
    free(scratch);
    return rc;
}

static sonde_code log_write(struct commit *c, struct sonde_err *err)
{
    struct batch *b = c->batch;
    sonde_str *records;
    size_t n = 0;
    sonde_code rc = log_series(c, err);

    if (rc != SONDE_OK)
        return rc;
    records = mem_alloc((b->record_count + 2) * sizeof(*records));
    if (b->series_record.len)
        records[n++] = buf_str(&b->series_record);
    if (b->metadata.len)
        records[n++] = buf_str(&b->metadata);
    for (size_t i = 0; i < b->record_count; i++)
        if (b->records[i].len)
            records[n++] = buf_str(&b->records[i]);
    rc = wal_append(c->head->wal, records, n, err);
    free(records);
    return rc;
}

/* ---- the second walk: append ------------------------------------------ */

static inline void look_ahead(const struct batch *b, size_t i, struct walk *w)
{
    if (i + AHEAD >= b->count)
        return;
    walk_ahead(w, b->samples[i + AHEAD].ref);
    __builtin_prefetch(b->tails[i + AHEAD], 1);
}

static inline void append_one(struct commit *c, struct series *s,
                              const struct storage_sample *sample)
{
    s->flags = (uint8_t)((s->flags | SERIES_LOGGED) & ~c->unmark);
    c->stats.appended++;
    c->chunks +=
        head_append(c->head, s, (uint32_t)sample->ref, sample->t, sample->v);
    if (sample->t < c->mint)
        c->mint = sample->t;
    if (sample->t > c->maxt)
        c->maxt = sample->t;
}

static void second_walk(struct commit *c)
{
    const struct batch *b = c->batch;
    struct head *h = c->head;
    struct walk w = walk_of(h);
    size_t i = 0;

    while (i < b->count) {
        struct series *s = walk_to(&w, b->samples[i].ref);

        (void)pthread_mutex_lock(&h->mem_lock);
        for (;;) {
            look_ahead(b, i, &w);
            append_one(c, s, &b->samples[i]);
            if (++i == b->count ||
                series_page_number(b->samples[i].ref) != w.number)
                break;
            s = series_page_get(w.page, b->samples[i].ref);
        }
        (void)pthread_mutex_unlock(&h->mem_lock);
    }
    walk_end(&w);
}

/* ---- late samples ----------------------------------------------------- */

/* The last thing of a commit that has late samples or histograms: the late
 * ones' series are late from now on, and all are free again. */
static void mark_late(struct commit *c)
{
    const struct batch *b = c->batch;
    struct walk w = walk_of(c->head);

    for (size_t i = 0; i < b->late_count; i++) {
        struct series *s = walk_to(&w, b->late[i].ref);

        if (s)
            s->flags |= SERIES_LATE | SERIES_LOGGED;
    }
    walk_end(&w);
    unmark(c);
}

/* ---- the whole -------------------------------------------------------- */

/* Series that only metadata speaks of need their records too. */
static void want_described(struct commit *c)
{
    struct batch *b = c->batch;
    struct walk w = walk_of(c->head);

    for (size_t i = 0; i < b->described.count; i++) {
        struct series *s = walk_to_id(&w, b->described.items[i]);

        if (s && !(s->flags & SERIES_LOGGED))
            ref_list_push(&b->unlogged, b->described.items[i]);
    }
    walk_end(&w);
}

static void mark_described_logged(struct commit *c)
{
    struct walk w = walk_of(c->head);

    for (size_t i = 0; i < c->batch->described.count; i++) {
        struct series *s = walk_to_id(&w, c->batch->described.items[i]);

        if (s)
            s->flags |= SERIES_LOGGED;
    }
    walk_end(&w);
}

/* The caller holds the gate. SONDE_EAGAIN: go again alone. */
static sonde_code commit_once(struct commit *c, bool alone,
                              struct sonde_err *err)
{
    sonde_code rc;
    size_t rest;

    batch_restart(c->batch);
    c->recorded = c->hists_marked = 0;
    if (alone)
        batch_sort(c->batch);
    if (!first_walk(c, alone))
        return SONDE_EAGAIN;
    if (c->batch->exemplar_count)
        commit_judge_exemplars(c);
    want_described(c);
    if (c->batch->count + c->batch->late_count + c->batch->hist_count +
            c->batch->exemplar_count + c->batch->metadata.len ==
        0)
        return SONDE_OK;
    rc = log_write(c, err);
    if (rc == SONDE_OK && c->batch->late_count)
        rc = wbl_append(&c->head->late, c->batch->late, c->batch->late_count,
                        err);
    if (rc != SONDE_OK) {
        unmark(c);
        return rc == SONDE_EAGAIN ? SONDE_EIO : rc;
    }
    mark_described_logged(c);
    if (c->batch->late_count)
        late_insert(c->head, c->batch->late, c->batch->late_count, &c->stats);
    rest = c->batch->late_count + c->batch->hist_count;
    c->unmark = rest ? 0 : SERIES_BUSY;
    second_walk(c);
    if (c->batch->hist_count)
        commit_append_histograms(c);
    if (rest)
        mark_late(c);
    if (c->batch->exemplar_count)
        commit_add_exemplars(c);
    if (c->mint <= c->maxt)
        head_saw(c->head, c->mint, c->maxt);
    return SONDE_OK;
}

static sonde_code commit_gated(struct commit *c, struct sonde_err *err)
{
    struct head *h = c->head;
    sonde_code rc;

    (void)pthread_rwlock_rdlock(&h->gate);
    rc = commit_once(c, false, err);
    (void)pthread_rwlock_unlock(&h->gate);
    if (rc != SONDE_EAGAIN)
        return rc;
    metric_inc(h->metrics.commit_conflicts);
    (void)pthread_rwlock_wrlock(&h->gate);
    rc = commit_once(c, true, err);
    (void)pthread_rwlock_unlock(&h->gate);
    return rc;
}

static void tell(const struct commit *c)
{
    struct head *h = c->head;
    const struct append_stats *s = &c->stats;

    atomic_fetch_add(&h->chunk_count, c->chunks);
    metric_add(h->metrics.chunks_created, c->chunks);
    metric_add(h->metrics.samples_appended, s->appended - s->histograms);
    metric_add(h->metrics.histograms_appended, s->histograms);
    metric_add(h->metrics.late_appended, s->out_of_order_taken);
    metric_add(h->metrics.duplicate, s->duplicate_other);
    metric_add(h->metrics.out_of_order, s->out_of_order);
    if (atomic_load(&h->late.window_ms) > 0) {
        metric_add(h->metrics.too_old, s->too_old);
        metric_add(h->metrics.out_of_bound, s->too_far);
    } else {
        metric_add(h->metrics.out_of_bound, s->too_old + s->too_far);
    }
}

sonde_code head_commit(struct head *h, struct batch *b,
                       struct append_stats *stats, struct sonde_err *err)
{
    struct commit c = {
        .head = h, .batch = b, .mint = INT64_MAX, .maxt = INT64_MIN
    };
    struct presence here;
    sonde_code rc;

    readers_enter(&h->commits, &here);
    rc = commit_gated(&c, err);
    readers_leave(&h->commits, &here);
    *stats = (struct append_stats){ 0 };
    if (rc == SONDE_OK) {
        tell(&c);
        *stats = c.stats;
    }
    if (h->files && head_files_waiting(h->files) > 4 * HEAD_WAITING)
        head_files_flush_some(h->files);
    return rc;
}
