/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The appender: what a scrape or a remote-write request hands in, judged,
 * logged, then seen.
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
 * apart looks like a conflict, goes again alone, and the second walk judges.
 *
 * Memory: buffers stay with the appender for the next transaction, up to a
 * bound.
 *
 * Rejected: one lock around log and memory (a slow disk would hold up
 * everybody), a queue per series (memory for a case that is not).
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "util/mem.h"

#define RECORD_SAMPLES 16384 /* in one record of the log                 */
#define SERIES_PIECE   ((size_t)256 << 10)
#define KEEP_RECORDS   2
#define KEEP_BYTES     ((size_t)512 << 10)
#define KEEP_SAMPLES   ((size_t)32 << 10)
#define AHEAD          12 /* samples; what they need is fetched meanwhile  */

enum verdict {
    TAKE,
    DUPLICATE_SAME,
    DUPLICATE_OTHER,
    OUT_OF_ORDER,
    TOO_OLD,
    TOO_FAR,
    UNKNOWN,
    VERDICTS
};

struct ref_list {
    uint32_t *items;
    size_t count, cap;
};

struct head_appender {
    struct appender base;
    struct head *head;
    struct storage_sample *samples;
    size_t count, cap;
    struct ref_list described; /* series that metadata is for              */
    struct buf metadata;
    /* Of the commit that runs: */
    struct ref_list unlogged; /* series whose labels must go first         */
    const void **tails; /* where each sample will go, for prefetching     */
    size_t tail_cap;
    struct buf series_record;
    struct buf *records; /* of samples; `record_cap` are initialised       */
    size_t record_count, record_cap;
    size_t verdicts[VERDICTS];
    sonde_msec mint, maxt; /* of what went in                             */
    size_t chunks;
};

static void refs_push(struct ref_list *l, uint32_t ref)
{
    l->items = mem_grow(l->items, &l->cap, l->count + 1, sizeof(*l->items));
    l->items[l->count++] = ref;
}

/* ---- a walk over pages ------------------------------------------------ */

struct walk {
    struct head *head;
    struct series_page *page; /* locked, or NULL                          */
    uint64_t number;
    const struct series_page *ahead; /* not locked                        */
    uint64_t ahead_number;
};

#define NO_PAGE UINT64_MAX

static inline struct walk walk_of(struct head *h)
{
    return (struct walk){ h, NULL, NO_PAGE, NULL, NO_PAGE };
}

static void walk_end(struct walk *w)
{
    if (w->page)
        (void)pthread_mutex_unlock(&w->page->lock);
    w->page = NULL;
    w->number = NO_PAGE;
}

/* The series, with its page locked until the walk leaves it. */
static inline struct series *walk_to(struct walk *w, series_ref ref)
{
    uint64_t number = (ref - 1) / PAGE_SERIES;

    if (number != w->number) {
        walk_end(w);
        w->page = series_table_page(&w->head->table, ref);
        w->number = number;
        if (w->page)
            (void)pthread_mutex_lock(&w->page->lock);
    }
    return w->page ? series_page_get(w->page, ref) : NULL;
}

/* Fetches the series of a sample that comes soon; it may be in a page that
 * others hold, so only its address is used. */
static inline void walk_ahead(struct walk *w, series_ref ref)
{
    uint64_t number = (ref - 1) / PAGE_SERIES;

    if (number != w->ahead_number) {
        w->ahead = series_table_page(&w->head->table, ref);
        w->ahead_number = number;
    }
    if (w->ahead)
        series_page_prefetch(w->ahead, ref);
}

/* ---- judging ---------------------------------------------------------- */

struct bounds {
    sonde_msec min, max;
};

static struct bounds bounds_now(struct head *h)
{
    int64_t newest = atomic_load(&h->max_time);
    sonde_msec now = clock_now(h->clock);
    struct bounds b = { INT64_MIN, INT64_MAX };

    if (!h->log_only && newest > INT64_MIN + LATE_MS)
        b.min = newest - LATE_MS;
    if (now < INT64_MAX - TOO_FAR_MS)
        b.max = now + TOO_FAR_MS;
    return b;
}

static inline enum verdict against(const struct storage_sample *s,
                                   sonde_msec last, uint64_t last_bits)
{
    if (s->t > last)
        return TAKE;
    if (s->t < last)
        return OUT_OF_ORDER;
    return double_bits(s->v) == last_bits ? DUPLICATE_SAME : DUPLICATE_OTHER;
}

static inline enum verdict judge(const struct series *s,
                                 const struct storage_sample *sample,
                                 const struct bounds *b)
{
    if (!s)
        return UNKNOWN;
    if (__builtin_expect(sample->t > b->max, 0))
        return TOO_FAR;
    if (__builtin_expect(sample->t < b->min, 0))
        return TOO_OLD;
    if (!(s->flags & SERIES_SEEN))
        return TAKE;
    return against(sample, s->open.t, s->open.v);
}

/* ---- the first walk: judge, mark, encode ------------------------------- */

static struct buf *record_next(struct head_appender *a)
{
    size_t had = a->record_cap;

    a->records = mem_grow(a->records, &a->record_cap, a->record_count + 1,
                          sizeof(*a->records));
    for (size_t i = had; i < a->record_cap; i++)
        buf_init(&a->records[i]);
    return &a->records[a->record_count++];
}

static void unmark(struct head_appender *a, size_t n)
{
    struct walk w = walk_of(a->head);

    for (size_t i = 0; i < n; i++) {
        struct series *s = walk_to(&w, a->samples[i].ref);

        if (s)
            s->flags &= (uint8_t)~SERIES_BUSY;
    }
    walk_end(&w);
}

/* Keeps the samples from `from` on behind the `kept` ones: to go again. */
static void give_up(struct head_appender *a, size_t kept, size_t from)
{
    unmark(a, kept);
    memmove(a->samples + kept, a->samples + from,
            (a->count - from) * sizeof(*a->samples));
    a->count = kept + a->count - from;
}

static void begin_records(struct head_appender *a)
{
    buf_reset(&a->series_record);
    a->record_count = 0;
    a->unlogged.count = 0;
}

/* Samples that pass move to the front. False if a series is in another
 * commit; never when `alone`. */
static bool first_walk(struct head_appender *a, bool alone)
{
    struct walk w = walk_of(a->head);
    struct bounds bounds = bounds_now(a->head);
    struct wal_samples_writer out;
    size_t kept = 0;

    a->tails = mem_grow(a->tails, &a->tail_cap, a->count, sizeof(*a->tails));
    for (size_t i = 0; i < a->count; i++) {
        struct storage_sample sample = a->samples[i];
        struct series *s = walk_to(&w, sample.ref);
        enum verdict v = judge(s, &sample, &bounds);

        if (i + AHEAD < a->count)
            walk_ahead(&w, a->samples[i + AHEAD].ref);
        if (s && s->flags & SERIES_BUSY) {
            const struct storage_sample *last = a->samples + kept - 1;

            if (kept && last->ref == sample.ref && v == TAKE) {
                v = against(&sample, last->t, double_bits(last->v));
            } else if (!alone) {
                walk_end(&w);
                give_up(a, kept, i);
                return false;
            }
        }
        if (v != TAKE) {
            a->verdicts[v]++;
            continue;
        }
        if (!(s->flags & (SERIES_BUSY | SERIES_LOGGED)))
            refs_push(&a->unlogged, (uint32_t)sample.ref);
        s->flags |= SERIES_BUSY;
        if (kept % RECORD_SAMPLES == 0)
            wal_samples_begin(&out, record_next(a));
        wal_samples_add(&out, sample.ref, sample.t, sample.v);
        a->tails[kept] = s->chunk ? s->chunk + s->open.bits / 8 : NULL;
        a->samples[kept++] = sample;
    }
    walk_end(&w);
    a->count = kept;
    return true;
}

/* ---- the log ---------------------------------------------------------- */

static void add_series_record(struct head_appender *a, uint32_t ref,
                              struct label *scratch)
{
    struct walk w = walk_of(a->head);
    struct series *s = walk_to(&w, ref);
    struct labels l = { scratch, 0 };
    uint32_t at = s ? s->labels : 0;

    walk_end(&w);
    if (!s)
        return;
    head_labels_view(a->head, at, scratch, &l.count);
    if (a->series_record.len == 0)
        wal_series_begin(&a->series_record);
    wal_series_add(&a->series_record, ref, &l);
}

/* Records of new series; all but the last piece is written. */
static sonde_code log_series(struct head_appender *a, struct sonde_err *err)
{
    struct label *scratch;
    sonde_code rc = SONDE_OK;

    if (a->unlogged.count == 0)
        return SONDE_OK;
    scratch = mem_alloc(SERIES_LABELS_MAX * sizeof(*scratch));
    for (size_t i = 0; i < a->unlogged.count && rc == SONDE_OK; i++) {
        if (a->series_record.len >= SERIES_PIECE) {
            sonde_str piece = buf_str(&a->series_record);

            rc = wal_append(a->head->wal, &piece, 1, err);
            buf_reset(&a->series_record);
        }
        add_series_record(a, a->unlogged.items[i], scratch);
    }
    free(scratch);
    return rc;
}

static sonde_code log_write(struct head_appender *a, struct sonde_err *err)
{
    sonde_str *records;
    size_t n = 0;
    sonde_code rc = log_series(a, err);

    if (rc != SONDE_OK)
        return rc;
    records = mem_alloc((a->record_count + 2) * sizeof(*records));
    if (a->series_record.len)
        records[n++] = buf_str(&a->series_record);
    if (a->metadata.len)
        records[n++] = buf_str(&a->metadata);
    for (size_t i = 0; i < a->record_count; i++)
        records[n++] = buf_str(&a->records[i]);
    rc = wal_append(a->head->wal, records, n, err);
    free(records);
    return rc;
}

/* ---- the second walk: append ------------------------------------------ */

static inline void look_ahead(const struct head_appender *a, size_t i,
                              struct walk *w)
{
    if (i + AHEAD >= a->count)
        return;
    walk_ahead(w, a->samples[i + AHEAD].ref);
    __builtin_prefetch(a->tails[i + AHEAD], 1);
}

static inline void append_one(struct head_appender *a, struct series *s,
                              const struct storage_sample *sample)
{
    enum verdict v = TAKE;

    if (s->flags & SERIES_SEEN)
        v = against(sample, s->open.t, s->open.v);
    s->flags = (uint8_t)((s->flags | SERIES_LOGGED) & (uint8_t)~SERIES_BUSY);
    a->verdicts[v]++;
    if (v != TAKE)
        return;
    a->chunks += head_append(a->head, s, sample->t, sample->v);
    if (sample->t < a->mint)
        a->mint = sample->t;
    if (sample->t > a->maxt)
        a->maxt = sample->t;
}

static void second_walk(struct head_appender *a)
{
    struct head *h = a->head;
    struct walk w = walk_of(h);
    size_t i = 0;

    while (i < a->count) {
        struct series *s = walk_to(&w, a->samples[i].ref);

        (void)pthread_mutex_lock(&h->mem_lock);
        for (;;) {
            look_ahead(a, i, &w);
            append_one(a, s, &a->samples[i]);
            if (++i == a->count ||
                (a->samples[i].ref - 1) / PAGE_SERIES != w.number)
                break;
            s = series_page_get(w.page, a->samples[i].ref);
        }
        (void)pthread_mutex_unlock(&h->mem_lock);
    }
    walk_end(&w);
}

/* ---- commit ----------------------------------------------------------- */

/* Series that only metadata speaks of need their records too. */
static void want_described(struct head_appender *a)
{
    struct walk w = walk_of(a->head);

    for (size_t i = 0; i < a->described.count; i++) {
        struct series *s = walk_to(&w, a->described.items[i]);

        if (s && !(s->flags & SERIES_LOGGED))
            refs_push(&a->unlogged, a->described.items[i]);
    }
    walk_end(&w);
}

static void mark_described_logged(struct head_appender *a)
{
    struct walk w = walk_of(a->head);

    for (size_t i = 0; i < a->described.count; i++) {
        struct series *s = walk_to(&w, a->described.items[i]);

        if (s)
            s->flags |= SERIES_LOGGED;
    }
    walk_end(&w);
}

/* The caller holds the gate. SONDE_EAGAIN: go again alone. */
static sonde_code commit_once(struct head_appender *a, bool alone,
                              struct sonde_err *err)
{
    sonde_code rc;

    begin_records(a);
    if (!first_walk(a, alone))
        return SONDE_EAGAIN;
    want_described(a);
    if (a->count == 0 && a->metadata.len == 0)
        return SONDE_OK;
    rc = log_write(a, err);
    if (rc != SONDE_OK) {
        unmark(a, a->count);
        return rc == SONDE_EAGAIN ? SONDE_EIO : rc;
    }
    mark_described_logged(a);
    a->mint = INT64_MAX;
    a->maxt = INT64_MIN;
    a->chunks = 0;
    second_walk(a);
    if (a->mint <= a->maxt)
        head_saw(a->head, a->mint, a->maxt);
    return SONDE_OK;
}

static sonde_code commit_gated(struct head_appender *a, struct sonde_err *err)
{
    struct head *h = a->head;
    sonde_code rc;

    (void)pthread_rwlock_rdlock(&h->gate);
    rc = commit_once(a, false, err);
    (void)pthread_rwlock_unlock(&h->gate);
    if (rc != SONDE_EAGAIN)
        return rc;
    metric_inc(h->metrics.commit_conflicts);
    (void)pthread_rwlock_wrlock(&h->gate);
    rc = commit_once(a, true, err);
    (void)pthread_rwlock_unlock(&h->gate);
    return rc;
}

static void count(struct head_appender *a, struct append_stats *stats)
{
    struct head *h = a->head;
    const size_t *v = a->verdicts;

    if (stats)
        *stats = (struct append_stats){
            .appended = v[TAKE],
            .duplicate_same = v[DUPLICATE_SAME],
            .duplicate_other = v[DUPLICATE_OTHER],
            .out_of_order = v[OUT_OF_ORDER],
            .too_old = v[TOO_OLD],
            .too_far = v[TOO_FAR],
            .unknown_series = v[UNKNOWN],
        };
    atomic_fetch_add(&h->chunk_count, a->chunks);
    metric_add(h->metrics.samples_appended, v[TAKE]);
    metric_add(h->metrics.duplicate, v[DUPLICATE_OTHER]);
    metric_add(h->metrics.out_of_order, v[OUT_OF_ORDER]);
    metric_add(h->metrics.out_of_bound, v[TOO_OLD] + v[TOO_FAR]);
}

/* The first few records keep their memory. */
static void records_forget(struct head_appender *a)
{
    for (size_t i = 0; i < a->record_cap; i++)
        buf_shrink(&a->records[i], i < KEEP_RECORDS ? KEEP_BYTES : 0);
}

/* Ready for the next transaction; memory above the bound goes. */
static void forget(struct head_appender *a)
{
    a->count = 0;
    a->described.count = 0;
    if (a->cap > KEEP_SAMPLES) {
        free(a->samples);
        free(a->tails);
        a->samples = NULL;
        a->tails = NULL;
        a->cap = a->tail_cap = 0;
    }
    free(a->unlogged.items);
    a->unlogged = (struct ref_list){ 0 };
    buf_shrink(&a->metadata, KEEP_BYTES);
    buf_shrink(&a->series_record, 0);
    records_forget(a);
}

static sonde_code appender_op_commit(struct appender *base,
                                     struct append_stats *stats,
                                     struct sonde_err *err)
{
    struct head_appender *a = (struct head_appender *)base;
    sonde_code rc;

    memset(a->verdicts, 0, sizeof(a->verdicts));
    a->chunks = 0;
    rc = commit_gated(a, err);
    if (rc == SONDE_OK)
        count(a, stats);
    else if (stats)
        *stats = (struct append_stats){ 0 };
    forget(a);
    return rc;
}

/* ---- the other operations ---------------------------------------------- */

static sonde_code appender_op_series(struct appender *base,
                                     const struct labels *labels,
                                     series_ref *out, struct sonde_err *err)
{
    struct head_appender *a = (struct head_appender *)base;
    uint32_t ref;
    sonde_code rc = head_series(a->head, labels, &ref, err);

    if (rc == SONDE_OK)
        *out = ref;
    return rc;
}

static bool appender_op_known(struct appender *base, series_ref ref)
{
    struct head_appender *a = (struct head_appender *)base;
    struct walk w = walk_of(a->head);
    bool known = walk_to(&w, ref) != NULL;

    walk_end(&w);
    return known;
}

static void appender_op_append(struct appender *base,
                               const struct storage_sample *samples, size_t n)
{
    struct head_appender *a = (struct head_appender *)base;

    if (n == 0)
        return;
    a->samples =
        mem_grow(a->samples, &a->cap, a->count + n, sizeof(*a->samples));
    memcpy(a->samples + a->count, samples, n * sizeof(*samples));
    a->count += n;
}

static void appender_op_metadata(struct appender *base, series_ref ref,
                                 const struct metadata *m)
{
    struct head_appender *a = (struct head_appender *)base;

    if (!appender_op_known(base, ref))
        return;
    if (a->metadata.len == 0)
        wal_metadata_begin(&a->metadata);
    wal_metadata_add(&a->metadata, ref, m);
    refs_push(&a->described, (uint32_t)ref);
}

static void appender_op_rollback(struct appender *base)
{
    forget((struct head_appender *)base);
}

static void appender_op_free(struct appender *base)
{
    struct head_appender *a = (struct head_appender *)base;

    free(a->samples);
    free(a->tails);
    free(a->described.items);
    free(a->unlogged.items);
    for (size_t i = 0; i < a->record_cap; i++)
        buf_fini(&a->records[i]);
    free(a->records);
    buf_fini(&a->metadata);
    buf_fini(&a->series_record);
    free(a);
}

static const struct appender_ops ops = {
    .series = appender_op_series,
    .known = appender_op_known,
    .append = appender_op_append,
    .metadata = appender_op_metadata,
    .commit = appender_op_commit,
    .rollback = appender_op_rollback,
    .free = appender_op_free,
};

struct appender *head_appender(struct head *h)
{
    struct head_appender *a = mem_new(struct head_appender);

    a->base.ops = &ops;
    a->head = h;
    buf_init(&a->metadata);
    buf_init(&a->series_record);
    return &a->base;
}
