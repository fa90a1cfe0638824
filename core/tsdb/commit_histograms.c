/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native histograms of a commit (see commit.c). They are few beside the
 * floats and each is large, so they have walks of their own, behind those of
 * the floats; a float that follows a histogram of the same series in the same
 * transaction therefore goes in before it, and the histogram is out of order.
 *
 * Records are begun anew after a megabyte; those with listed bounds are of
 * other kinds, so that there are four at a time, mostly empty.
 */
#include <stdlib.h>

#include "tsdb/commit_int.h"
#include "tsdb/head_histograms.h"
#include "tsdb/walk.h"

#define RECORD_BYTES ((size_t)1 << 20)

static const struct histogram stale_ints = { .sum = 0 };

void commit_stale(struct commit *c, const struct series *s,
                  const struct storage_sample *sample)
{
    const struct histogram *last = head_last_histogram(s);
    struct histogram *h = arena_new(&c->batch->arena, struct histogram);

    *h = stale_ints;
    h->is_float = last && last->is_float;
    h->sum = stale_nan();
    batch_stale(c->batch, sample, h);
}

/* ---- judging ------------------------------------------------------------ */

static bool same(const struct histogram *a, const struct histogram *b)
{
    if (histogram_is_stale(a) || histogram_is_stale(b))
        return histogram_is_stale(a) && histogram_is_stale(b);
    return histogram_same(a, b);
}

static enum append_verdict by_time(sonde_msec t, sonde_msec last)
{
    if (t > last)
        return APPEND_TAKEN;
    return t < last ? APPEND_OUT_OF_ORDER : APPEND_DUPLICATE_OTHER;
}

/* Without chunks only the sum of the last one is known. */
static enum append_verdict against_last(const struct series *s,
                                        const struct late_sample *x)
{
    const struct histogram *last = head_last_histogram(s);
    enum append_verdict v = by_time(x->t, s->open.t);

    if (v != APPEND_DUPLICATE_OTHER || !(s->flags & SERIES_HIST))
        return v;
    return (last ? same(last, x->h) : double_bits(x->v) == s->open.v)
               ? APPEND_DUPLICATE_SAME
               : v;
}

static enum append_verdict judge(const struct series *s,
                                 const struct late_sample *x,
                                 const struct bounds *b)
{
    if (!s)
        return APPEND_UNKNOWN_SERIES;
    if (x->t > b->max)
        return APPEND_TOO_FAR;
    if (x->t < b->min)
        return APPEND_TOO_OLD;
    return s->flags & SERIES_SEEN ? against_last(s, x) : APPEND_TAKEN;
}

/* The last of a series' samples that the batch keeps: only looked for when
 * the series is in it twice. */
static enum append_verdict against_kept(const struct batch *b, size_t kept,
                                        const struct late_sample *x)
{
    enum append_verdict v = APPEND_TAKEN;

    if (kept && b->hists[kept - 1].ref == x->ref) {
        v = by_time(x->t, b->hists[kept - 1].t);
        if (v == APPEND_DUPLICATE_OTHER && same(b->hists[kept - 1].h, x->h))
            v = APPEND_DUPLICATE_SAME;
    }
    for (size_t i = b->count; i-- && v == APPEND_TAKEN;)
        if (b->samples[i].ref == x->ref)
            return by_time(x->t, b->samples[i].t);
    return v;
}

static bool is_ours(const struct batch *b, size_t kept, series_ref ref)
{
    return (kept && b->hists[kept - 1].ref == ref) ||
           (b->late_count && b->late[b->late_count - 1].ref == ref);
}

/* ---- the log ------------------------------------------------------------ */

/* The records of one kind that are being made. */
struct records {
    size_t at; /* in the batch's records; two of them                     */
    struct wal_histograms_writer writer;
    bool begun;
};

static void record(struct commit *c, struct records *r, struct series *s,
                   const struct late_sample *x)
{
    struct batch *b = c->batch;

    if (!(s->flags & (SERIES_BUSY | SERIES_LOGGED)))
        ref_list_push(&b->unlogged, (uint32_t)x->ref);
    s->flags |= SERIES_BUSY;
    if (!r->begun ||
        b->records[r->at].len + b->records[r->at + 1].len > RECORD_BYTES) {
        r->at = b->record_count;
        (void)batch_record(b);
        (void)batch_record(b);
        r->begun = true;
        wal_histograms_begin(&r->writer, x->h->is_float, &b->records[r->at],
                             &b->records[r->at + 1]);
    }
    /* the array may have moved */
    r->writer.exponential = &b->records[r->at];
    r->writer.custom = &b->records[r->at + 1];
    wal_histograms_add(&r->writer, x->ref, x->t, x->h);
}

/* ---- the walks ---------------------------------------------------------- */

/* Keeps the rest behind the `kept` ones: to go again. */
static bool give_up(struct commit *c, size_t kept, size_t from)
{
    struct batch *b = c->batch;

    c->hists_marked = kept;
    memmove(b->hists + kept, b->hists + from,
            (b->hist_count - from) * sizeof(*b->hists));
    b->hist_count -= from - kept;
    return false;
}

bool commit_judge_histograms(struct commit *c, const struct bounds *bounds,
                             bool alone)
{
    struct batch *b = c->batch;
    struct records records[2] = { 0 };
    struct walk w = walk_of(c->head);
    size_t kept = 0;

    for (size_t i = 0; i < b->hist_count; i++) {
        struct late_sample x = b->hists[i];
        struct series *s = walk_to(&w, x.ref);
        enum append_verdict v = judge(s, &x, bounds);

        if (s && s->flags & SERIES_BUSY) {
            if (!alone && !is_ours(b, kept, x.ref)) {
                walk_end(&w);
                return give_up(c, kept, i);
            }
            if (v == APPEND_TAKEN)
                v = against_kept(b, kept, &x);
        }
        v = commit_judge_late(x.t, v, bounds);
        if (v == APPEND_TAKEN || v == JUDGED_LATE)
            record(c, &records[x.h->is_float], s, &x);
        if (v == APPEND_TAKEN)
            b->hists[kept++] = x;
        else if (v == JUDGED_LATE)
            batch_late(b, &x);
        else
            append_stats_judged(&c->stats, x.ref, x.t, v);
    }
    walk_end(&w);
    c->hists_marked = b->hist_count = kept;
    return true;
}

void commit_append_histograms(struct commit *c)
{
    const struct batch *b = c->batch;
    struct walk w = walk_of(c->head);

    for (size_t i = 0; i < b->hist_count; i++) {
        const struct late_sample *x = &b->hists[i];
        struct series *s = walk_to(&w, x->ref);

        s->flags |= SERIES_LOGGED;
        c->chunks +=
            head_append_histogram(c->head, s, (uint32_t)x->ref, x->t, x->h);
        c->stats.appended++;
        c->stats.histograms++;
        if (x->t < c->mint)
            c->mint = x->t;
        if (x->t > c->maxt)
            c->maxt = x->t;
    }
    walk_end(&w);
}

void commit_give_back(struct commit *c)
{
    struct batch *b = c->batch;

    for (size_t i = 0; i < b->late_count; i++) {
        const struct late_sample *x = &b->late[i];

        if (x->h)
            b->hists[b->hist_count++] = *x;
        else
            b->samples[b->count++] =
                (struct storage_sample){ x->ref, x->t, x->v };
    }
    b->late_count = 0;
}
