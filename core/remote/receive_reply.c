/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sender is told. Its rule: 2xx is done, 4xx is dropped and the body
 * logged, 5xx is sent again for ever. So what can never be taken is a 400 that
 * names the first few series, with times and reasons, and says that the rest
 * is stored (in 1.0 too, where Prometheus would throw all of it away); a
 * repeated sample with the same value is fine; and only the store's own
 * trouble, of which nothing is acknowledged, is 5xx. What was stored before
 * the trouble is a harmless repetition when it comes again.
 *
 * Senders read the first kilobyte of the text.
 */
#include "remote/receive_int.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#define NAMED_MAX     8
#define REASONS_BYTES ((size_t)1500)
#define SERIES_BYTES  ((size_t)300)
#define LOG_EVERY_MS  10000

static const char *const verdicts[APPEND_VERDICTS] = {
    [APPEND_DUPLICATE_OTHER] =
        "duplicate sample for timestamp with another value",
    [APPEND_OUT_OF_ORDER] = "out of order sample",
    [APPEND_TOO_OLD] = "out of bounds: the sample is too old",
    [APPEND_TOO_FAR] = "out of bounds: more than 10 minutes ahead of the clock",
};

void receive_note(struct receive_desk *d, const char *why,
                  const struct labels *labels, const sonde_msec *t)
{
    struct buf *b = &d->tally.reasons;
    char time[CLOCK_RFC3339_MAX];
    struct buf series;

    if (d->tally.named >= NAMED_MAX || b->len >= REASONS_BYTES)
        return;
    d->tally.named++;
    buf_init(&series);
    labels_print(&series, labels);
    buf_printf(b, "%s%s (series %.*s", b->len ? "; " : "", why,
               SONDE_ARG(str_sub(buf_str(&series), 0, SERIES_BYTES)));
    buf_fini(&series);
    if (t) {
        clock_rfc3339(*t, time);
        buf_printf(b, ", timestamp %lld, %s", (long long)*t, time);
    }
    buf_char(b, ')');
}

static void note_rejected(struct receive_desk *d,
                          const struct append_stats *stats)
{
    struct storage *s = d->receiver->storage;

    for (size_t i = 0; i < stats->rejected_count; i++) {
        const struct append_rejected *r = &stats->rejected[i];
        struct labels labels = { 0 };

        if (r->why >= APPEND_VERDICTS || !verdicts[r->why])
            continue;
        arena_reset(&d->arena);
        (void)s->ops->labels(s, r->ref, &d->arena, &labels);
        receive_note(d, verdicts[r->why], &labels, &r->t);
    }
}

void receive_count(struct receive_desk *d, const struct append_stats *stats)
{
    struct append_stats *sum = &d->tally.stats;

    sum->appended += stats->appended;
    sum->duplicate_same += stats->duplicate_same;
    sum->duplicate_other += stats->duplicate_other;
    sum->out_of_order += stats->out_of_order;
    sum->too_old += stats->too_old;
    sum->too_far += stats->too_far;
    sum->histograms += stats->histograms;
    sum->exemplars += stats->exemplars;
    sum->exemplars_refused += stats->exemplars_refused;
    if (stats->rejected_count)
        note_rejected(d, stats);
}

/* ---- numbers ----------------------------------------------------------- */

static size_t rejected(const struct append_stats *s)
{
    return s->duplicate_other + s->out_of_order + s->too_old + s->too_far;
}

/* What was there already counts as written. Which kind a duplicate was is not
 * told apart; a request with both kinds and duplicates says less than it
 * could. */
static size_t samples_written(const struct receive_tally *t)
{
    if (t->samples == 0)
        return 0;
    return t->stats.appended - t->stats.histograms + t->stats.duplicate_same;
}

static size_t histograms_written(const struct receive_tally *t)
{
    if (t->samples == 0)
        return t->stats.appended + t->stats.duplicate_same;
    return t->stats.histograms;
}

static void add_metrics(const struct receive_desk *d)
{
    const struct receive_metrics *m = &d->receiver->metrics;
    const struct receive_tally *t = &d->tally;
    size_t written = samples_written(t) + histograms_written(t);

    metric_add(m->samples, t->stats.appended - t->stats.histograms);
    metric_add(m->histograms, t->stats.histograms);
    metric_add(m->exemplars, t->stats.exemplars);
    metric_add(m->rejected[APPEND_DUPLICATE_OTHER], t->stats.duplicate_other);
    metric_add(m->rejected[APPEND_DUPLICATE_SAME], t->stats.duplicate_same);
    metric_add(m->rejected[APPEND_OUT_OF_ORDER], t->stats.out_of_order);
    metric_add(m->rejected[APPEND_TOO_OLD], t->stats.too_old);
    metric_add(m->rejected[APPEND_TOO_FAR], t->stats.too_far);
    metric_add(m->refused, t->refused_samples + t->refused_histograms);
    metric_add(m->invalid_labels, t->refused_samples);
    if (written > t->described)
        metric_add(m->without_metadata, written - t->described);
}

size_t receive_written(const struct receive_tally *t, enum received_kind kind)
{
    if (kind == RECEIVED_SAMPLES)
        return samples_written(t);
    return kind == RECEIVED_HISTOGRAMS ? histograms_written(t)
                                       : t->stats.exemplars;
}

/* ---- answers ----------------------------------------------------------- */

static int tell_refused(const struct receive_tally *t, size_t refused,
                        struct buf *text)
{
    buf_printf(text, "%zu of %zu samples refused, the others are stored",
               refused, t->samples + t->histograms);
    if (t->reasons.len)
        buf_printf(text, ": %.*s", SONDE_ARG(buf_str(&t->reasons)));
    if (refused > t->named)
        buf_printf(text, "; and %zu more", refused - t->named);
    buf_char(text, '\n');
    return 400;
}

static int tell_trouble(struct receive_desk *d, sonde_code rc,
                        const struct sonde_err *err, struct buf *text)
{
    static struct log_limit limit;
    uint64_t held;

    metric_inc(d->receiver->metrics.failed);
    if (log_limit_pass(&limit, LOG_EVERY_MS, &held))
        log_error("remote", "a remote write could not be stored",
                  LOG_ERRTEXT(err), LOG_NUM("held", held));
    buf_printf(text, "%s\n", err->text);
    return rc == SONDE_ENOSPACE || rc == SONDE_EUNAVAILABLE ||
                   rc == SONDE_ELIMIT
               ? 503
               : 500;
}

int receive_verdict(struct receive_desk *d, sonde_code rc,
                    const struct sonde_err *err, struct buf *text)
{
    const struct receive_tally *t = &d->tally;
    size_t refused =
        t->refused_samples + t->refused_histograms + rejected(&t->stats);

    add_metrics(d);
    if (rc == SONDE_EPARSE) {
        metric_inc(d->receiver->metrics.malformed);
        buf_printf(text, "%s\n", err->text);
        return 400;
    }
    if (rc != SONDE_OK)
        return tell_trouble(d, rc, err, text);
    return refused ? tell_refused(t, refused, text) : 204;
}
