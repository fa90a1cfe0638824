/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All samples of a series go through one lane, and a lane has one request
 * under way, so a series' samples arrive in the order of the log whatever
 * happens. What fails for now is tried again by the same lane, with the same
 * bytes; the others go on.
 *
 * Batches hold references, not labels: 24 bytes a sample, so that a lane
 * that waits is small. Only the batch that is to go out is encoded, with the
 * samples of one series put together where a batch has several.
 *
 * A batch remembers where its samples began and ended in the log. Before the
 * first of the waiting batches begins, everything of this lane has been
 * acknowledged; that, and the end of the one under way, is what is saved. A
 * lane that begins anew from such a record skips what came before it and
 * ends its first batch where the saved one ended: the same request once
 * more, and not one that mixes old samples and new.
 */
#include "remote/lane.h"

#include <stdlib.h>

#include "util/mem.h"

#define MESSAGE_KEEP_BYTES ((size_t)1 << 20)
/* Receivers commonly take 32 MB, and one series has its bound elsewhere. */
#define MESSAGE_MAX_BYTES ((size_t)16 << 20)

void lane_init(struct lane *l, struct sending *s, struct lane_progress from)
{
    *l = (struct lane){ .sending = s, .resume = from.acked, .cut = from.sent };
    attempt_init(&l->attempt, s);
}

static void batch_free(struct batch *b)
{
    free(b->samples);
    free(b);
}

void lane_fini(struct lane *l)
{
    net_timer_clear(l->sending->loop, &l->timer);
    attempt_fini(&l->attempt);
    while (l->head) {
        struct batch *b = l->head;

        l->head = b->next;
        batch_free(b);
    }
}

bool lane_empty(const struct lane *l)
{
    return !l->head;
}

bool lane_full(const struct lane *l)
{
    return l->queued >= (size_t)l->sending->config->queue_config.capacity;
}

/* ---- batches ---------------------------------------------------------- */

static struct batch *batch_new(struct lane *l, struct place at)
{
    struct batch *b = mem_new(struct batch);

    b->begin = at;
    b->born_ms = clock_monotonic(&clock_system);
    if (l->tail)
        l->tail->next = b;
    else
        l->head = b;
    l->tail = b;
    return b;
}

/* Whether the last batch takes one more sample. */
static bool batch_open(const struct lane *l, struct place at)
{
    const struct batch *b = l->tail;

    if (!b || b->count >= l->sending->batch_max || (b == l->head && l->encoded))
        return false;
    return place_cmp(at, l->cut) < 0 || place_cmp(b->begin, l->cut) >= 0;
}

void lane_add(struct lane *l, struct place at, const struct remote_sample *s)
{
    struct batch *b;

    if (place_cmp(at, l->resume) < 0)
        return;
    b = batch_open(l, at) ? l->tail : batch_new(l, at);
    b->samples =
        mem_grow(b->samples, &b->cap, b->count + 1, sizeof(*b->samples));
    b->samples[b->count++] = *s;
    b->end = (struct place){ at.at, at.index + 1 };
    l->queued++;
}

static void batch_gone(struct lane *l)
{
    struct batch *b = l->head;
    struct sending *s = l->sending;

    l->head = b->next;
    if (!l->head)
        l->tail = NULL;
    l->queued -= b->count;
    l->encoded = l->tried = false;
    l->not_before_ms = 0;
    l->attempt.tries = 0;
    l->attempt.backoff_ms = 0;
    batch_free(b);
    s->changed(s->arg);
}

/* In two; both keep the places of the whole, for where the first one ends is
 * not known. */
static void batch_split_at(struct lane *l, size_t first)
{
    struct batch *b = l->head;
    struct batch *rest = mem_new(struct batch);

    *rest = *b;
    rest->count = rest->cap = b->count - first;
    rest->samples = mem_alloc(rest->count * sizeof(*rest->samples));
    memcpy(rest->samples, b->samples + first,
           rest->count * sizeof(*rest->samples));
    b->count = first;
    b->next = rest;
    if (l->tail == b)
        l->tail = rest;
    l->encoded = false;
    l->attempt.tries = 0;
}

/* ---- encoding --------------------------------------------------------- */

static int by_series(const void *a, const void *b)
{
    const struct remote_sample *x = a, *y = b;

    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return x->t < y->t ? -1 : x->t > y->t;
}

/* Puts samples of one series side by side. A series' samples are in order of
 * time in the log; a batch of one scrape is sorted already. */
static void sort_samples(struct batch *b)
{
    size_t i = 1;

    while (i < b->count && b->samples[i - 1].ref < b->samples[i].ref)
        i++;
    if (i < b->count)
        qsort(b->samples, b->count, sizeof(*b->samples), by_series);
}

/* Takes out what is older than sample_age_limit. */
static void drop_old(struct lane *l, struct batch *b)
{
    struct sending *s = l->sending;
    sonde_msec limit = s->config->queue_config.sample_age_limit;
    sonde_msec oldest = clock_now(&clock_system) - limit;
    size_t kept = 0, dropped;

    if (limit <= 0)
        return;
    for (size_t i = 0; i < b->count; i++)
        if (b->samples[i].t >= oldest)
            b->samples[kept++] = b->samples[i];
    dropped = b->count - kept;
    b->count = kept;
    l->queued -= dropped;
    metric_add(s->m.dropped_old, dropped);
}

static size_t run_of_series(const struct batch *b, size_t from)
{
    size_t to = from + 1;

    while (to < b->count && b->samples[to].ref == b->samples[from].ref)
        to++;
    return to - from;
}

static void put_run(struct lane *l, const struct remote_sample *run, size_t n)
{
    struct sending *s = l->sending;
    sonde_str labels;

    switch (source_labels(&s->source, run->ref, &labels)) {
    case SOURCE_LABELS:
        encode_series(&s->message, labels, run, n);
        l->series_sent += n;
        for (size_t i = 0; i < n; i++)
            if (run[i].t > l->sent_max_ms)
                l->sent_max_ms = run[i].t;
        break;
    case SOURCE_DROPPED:
        metric_add(s->m.dropped_relabel, n);
        break;
    case SOURCE_UNKNOWN:
        metric_add(s->m.dropped_unknown, n);
        break;
    }
}

/* The message of the first batch; a batch that makes too long a one is
 * split first. */
static void encode_message(struct lane *l)
{
    struct sending *s = l->sending;
    struct batch *b = l->head;
    size_t n;

    l->series_sent = 0;
    l->sent_max_ms = 0;
    buf_shrink(&s->message, MESSAGE_KEEP_BYTES);
    for (size_t i = 0; i < b->count; i += n) {
        n = run_of_series(b, i);
        put_run(l, &b->samples[i], n);
        if (s->message.len > MESSAGE_MAX_BYTES && i + n < b->count)
            batch_split_at(l, i + n);
    }
}

/* Makes the body of the first batch; false if nothing is left of it. */
static bool encode_head(struct lane *l)
{
    struct sending *s = l->sending;

    if (l->encoded && s->config->queue_config.sample_age_limit <= 0)
        return true;
    drop_old(l, l->head);
    sort_samples(l->head);
    encode_message(l);
    l->encoded = true;
    encode_body(buf_str(&s->message), &l->attempt.body);
    return l->series_sent > 0;
}

/* ---- sending ---------------------------------------------------------- */

static void on_time(void *arg)
{
    lane_pump(arg);
}

static void wake_at(struct lane *l, sonde_msec when)
{
    net_timer_set(l->sending->loop, &l->timer, when, on_time, l);
}

static void acknowledged(struct lane *l, const struct http_result *r)
{
    struct sending *s = l->sending;

    s->answered++;
    metric_add(s->m.samples, l->series_sent);
    metric_add(s->m.bytes, l->attempt.body.len);
    metric_inc(s->m.batches);
    metric_add_real(s->m.batch_seconds, r->seconds);
    if (l->sent_max_ms > s->highest_sent_ms) {
        s->highest_sent_ms = l->sent_max_ms;
        metric_set_real(s->m.highest_sent, (double)l->sent_max_ms / 1000);
    }
    batch_gone(l);
}

static void refused(struct lane *l, const struct http_result *r)
{
    struct sending *s = l->sending;

    metric_add(s->m.samples_failed, l->series_sent);
    sending_log_refused(s, &l->attempt, r, l->series_sent);
    batch_gone(l);
}

static void on_answer(void *arg, const struct http_result *r)
{
    struct lane *l = arg;
    struct sending *s = l->sending;

    l->in_flight = false;
    switch (answer_of(r)) {
    case ANSWER_CANCELED:
        return;
    case ANSWER_DONE:
        acknowledged(l, r);
        break;
    case ANSWER_AGAIN:
        metric_add(s->m.samples_retried, l->series_sent);
        sending_log_retry(s, &l->attempt, r);
        l->not_before_ms = attempt_wait(&l->attempt, s, r);
        break;
    case ANSWER_TOO_LARGE:
        if (l->head->count > 1) {
            batch_split_at(l, l->head->count / 2);
            sending_shrink_batches(s, l->head->count);
        } else {
            refused(l, r);
        }
        break;
    case ANSWER_REFUSED:
        refused(l, r);
        break;
    }
    lane_pump(l);
    s->changed(s->arg);
}

/* When the first batch should go out. */
static sonde_msec due(const struct lane *l)
{
    const struct batch *b = l->head;
    sonde_msec when = b->born_ms;

    if (!b->next && !l->encoded && b->count < l->sending->batch_max &&
        !l->sending->hurry && !lane_full(l))
        when =
            later(when, l->sending->config->queue_config.batch_send_deadline);
    return when > l->not_before_ms ? when : l->not_before_ms;
}

void lane_pump(struct lane *l)
{
    struct sending *s = l->sending;

    while (l->head && !l->in_flight && !s->halted) {
        sonde_msec when = due(l);

        if (when > clock_monotonic(&clock_system)) {
            wake_at(l, when);
            return;
        }
        if (!encode_head(l)) {
            batch_gone(l);
            continue;
        }
        l->in_flight = l->tried = true;
        s->about_to_send(s->arg);
        attempt_start(&l->attempt, s, on_answer, l);
    }
}

struct lane_progress lane_progress(const struct lane *l, struct place read)
{
    struct place acked = place_max(read, l->resume);
    struct place sent = acked;

    if (l->head) {
        acked = l->head->begin;
        sent = l->tried ? l->head->end : acked;
    }
    return (struct lane_progress){ acked, place_max(sent, l->cut) };
}
