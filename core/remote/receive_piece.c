/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of a request (mostly all of it) goes into the store: series that
 * the cache did not know are made, samples appended in one call, histograms,
 * exemplars and metadata decoded and appended one by one, then all is
 * committed at once.
 *
 * What can never be taken is noted for the answer and left out; the rest is
 * stored all the same. Only the store's own trouble ends a request.
 *
 * The store gives series back that had no sample for long. A reference of the
 * cache may then be unknown at the commit; the samples that it was for are
 * still here, so their series are made again, the cache is told, and these
 * are committed once more. A series that this was not true of is left alone,
 * or its samples would be there twice.
 */
#include "remote/receive_int.h"
#include "util/mem.h"

void receive_piece_drop(struct receive_desk *d)
{
    appender_rollback(d->appender);
    d->series_count = d->sample_count = d->extra_count = d->unknown = 0;
    d->extra_bytes = 0;
}

/* ---- series ------------------------------------------------------------ */

static void refuse_series(struct receive_desk *d, struct received_series *s,
                          const struct labels *labels, const char *why)
{
    sonde_msec t = s->count ? d->samples[s->first].t : 0;

    d->tally.refused_series++;
    d->tally.refused_samples += s->count;
    receive_note(d, why, labels, s->count ? &t : NULL);
}

/* SONDE_OK also for one that is refused: it has no reference then. */
static sonde_code make_series(struct receive_desk *d, struct received_series *s,
                              struct sonde_err *err)
{
    struct sonde_err why;
    struct labels labels;
    sonde_code rc;

    arena_reset(&d->arena);
    rc = receive_labels(d, s->labels, true, &labels, &why);
    if (rc == SONDE_OK)
        rc = appender_series(d->appender, &labels, &s->ref, &why);
    if (rc == SONDE_EINVAL) {
        s->ref = 0;
        refuse_series(d, s, &labels, why.text);
        return SONDE_OK;
    }
    if (rc != SONDE_OK && err)
        *err = why;
    for (size_t i = 0; rc == SONDE_OK && i < s->count; i++)
        d->samples[s->first + i].ref = s->ref;
    return rc;
}

static void cache_series(struct receive_desk *d)
{
    struct receive_cache *c = &d->receiver->cache;
    uint32_t at = RECEIVE_NOWHERE;

    (void)pthread_rwlock_wrlock(&c->lock);
    for (size_t i = 0; i < d->series_count; i++) {
        struct received_series *s = &d->series[i];

        if (s->entry != RECEIVE_NOWHERE) {
            at = s->entry;
        } else if (s->ref) {
            receive_cache_put(c, receive_series_key(d, s->labels), s->ref, &at);
            s->entry = at;
        }
    }
    (void)pthread_rwlock_unlock(&c->lock);
}

/* Makes those without a reference that have something to store; `again`:
 * only those that go again. */
static sonde_code make_unknown(struct receive_desk *d, bool again,
                               struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (!d->unknown)
        return SONDE_OK;
    metric_add(d->receiver->metrics.misses, d->unknown);
    for (size_t i = 0; i < d->series_count && rc == SONDE_OK; i++) {
        struct received_series *s = &d->series[i];

        if (!s->ref && s->wanted && (!again || s->again))
            rc = make_series(d, s, err);
    }
    if (rc == SONDE_OK)
        cache_series(d);
    return rc;
}

/* ---- what goes in ------------------------------------------------------ */

/* Appends the samples of all series, or of those that go again, in runs that
 * leave out what has no reference. */
static void append_samples(struct receive_desk *d, bool again)
{
    size_t from = 0, to = 0;

    if (d->sample_count == 0)
        return;
    if (!d->unknown && !again) {
        appender_append(d->appender, d->samples, d->sample_count);
        return;
    }
    for (size_t i = 0; i < d->series_count; i++) {
        const struct received_series *s = &d->series[i];

        if (s->ref && (!again || s->again)) {
            to = s->first + s->count;
            continue;
        }
        if (to > from)
            appender_append(d->appender, d->samples + from, to - from);
        from = to = s->first + s->count;
    }
    if (to > from)
        appender_append(d->appender, d->samples + from, to - from);
}

static void note_by_ref(struct receive_desk *d, series_ref ref, const char *why,
                        sonde_msec t)
{
    struct storage *s = d->receiver->storage;
    struct labels labels = { 0 };

    (void)s->ops->labels(s, ref, &d->arena, &labels);
    receive_note(d, why, &labels, &t);
}

static sonde_code put_histogram(struct receive_desk *d,
                                const struct received_series *s,
                                sonde_str message, struct sonde_err *err)
{
    struct sonde_err why;
    struct histogram h;
    sonde_msec t = 0;
    sonde_code rc = receive_histogram(d, message, &h, &t, &why);

    if (rc == SONDE_EPARSE) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc == SONDE_OK && !d->appender->ops->histogram)
        rc = sonde_err_set(&why, SONDE_EINVAL,
                           "native histograms can not be stored");
    if (rc == SONDE_OK) {
        appender_histogram(d->appender, s->ref, t, &h);
        return SONDE_OK;
    }
    d->tally.refused_histograms++;
    note_by_ref(d, s->ref, why.text, t);
    return SONDE_OK;
}

/* An exemplar that is no good is counted and does not fail the request. */
static sonde_code put_exemplar(struct receive_desk *d,
                               const struct received_series *s,
                               sonde_str message, struct sonde_err *err)
{
    struct sonde_err why;
    struct exemplar e;
    sonde_code rc = receive_exemplar(d, message, &e, &why);

    if (rc == SONDE_EPARSE && err)
        *err = why;
    if (rc == SONDE_EPARSE)
        return rc;
    if (rc == SONDE_OK)
        appender_exemplar(d->appender, s->ref, &e);
    else
        d->tally.refused_exemplars++;
    return SONDE_OK;
}

static sonde_code put_metadata(struct receive_desk *d,
                               const struct received_series *s,
                               sonde_str message, struct sonde_err *err)
{
    struct receive_cache *c = &d->receiver->cache;
    struct storage *store = d->receiver->storage;
    struct labels labels = { 0 };
    struct metadata m;
    uint16_t mark, told = 0;
    sonde_code rc = receive_metadata(d, message, &m, &mark, err);

    if (rc != SONDE_OK)
        return rc == SONDE_EINVAL ? SONDE_OK : rc;
    (void)pthread_rwlock_rdlock(&c->lock);
    if (s->entry < c->count && c->items[s->entry].ref == s->ref)
        told = atomic_exchange(&c->items[s->entry].meta, mark);
    (void)pthread_rwlock_unlock(&c->lock);
    if (told == mark)
        return SONDE_OK;
    if (store->ops->labels(store, s->ref, &d->arena, &labels))
        m.family = labels_get(&labels, SONDE_STR(LABEL_NAME));
    appender_metadata(d->appender, s->ref, &m);
    return SONDE_OK;
}

static sonde_code append_extras(struct receive_desk *d, bool again,
                                struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < d->extra_count && rc == SONDE_OK; i++) {
        const struct received_extra *e = &d->extras[i];
        const struct received_series *s = &d->series[e->series];

        if (again && !s->again)
            continue;
        if (!s->ref) {
            d->tally.refused_histograms += e->kind == EXTRA_HISTOGRAM;
            d->tally.refused_exemplars += e->kind == EXTRA_EXEMPLAR;
            continue;
        }
        arena_reset(&d->arena);
        if (e->kind == EXTRA_HISTOGRAM)
            rc = put_histogram(d, s, e->message, err);
        else if (e->kind == EXTRA_EXEMPLAR)
            rc = put_exemplar(d, s, e->message, err);
        else
            rc = put_metadata(d, s, e->message, err);
    }
    return rc;
}

/* Metadata that the log did not get is told again with the next request. */
static void forget_metadata(struct receive_desk *d)
{
    struct receive_cache *c = &d->receiver->cache;

    (void)pthread_rwlock_rdlock(&c->lock);
    for (size_t i = 0; i < d->extra_count; i++) {
        uint32_t entry = d->series[d->extras[i].series].entry;

        if (d->extras[i].kind == EXTRA_METADATA && entry < c->count)
            atomic_store(&c->items[entry].meta, 0);
    }
    (void)pthread_rwlock_unlock(&c->lock);
}

/* ---- committing -------------------------------------------------------- */

static sonde_code append_and_commit(struct receive_desk *d, bool again,
                                    struct append_stats *stats,
                                    struct sonde_err *err)
{
    sonde_code rc;

    append_samples(d, again);
    rc = append_extras(d, again, err);
    if (rc == SONDE_OK)
        rc = appender_commit(d->appender, stats, err);
    if (rc != SONDE_OK)
        forget_metadata(d);
    return rc;
}

/* Marks the series whose references are not held any more; how many. */
static size_t find_gone(struct receive_desk *d)
{
    size_t gone = 0;

    for (size_t i = 0; i < d->series_count; i++) {
        struct received_series *s = &d->series[i];

        if (!s->ref || appender_known(d->appender, s->ref))
            continue;
        s->ref = 0;
        s->entry = RECEIVE_NOWHERE;
        s->again = true;
        gone++;
    }
    return gone;
}

static sonde_code remake(struct receive_desk *d, struct sonde_err *err)
{
    struct append_stats stats = { 0 };
    size_t gone = find_gone(d);
    sonde_code rc;

    d->unknown = gone;
    d->tally.remade += gone;
    metric_add(d->receiver->metrics.remade, gone);
    rc = make_unknown(d, true, err);
    if (rc == SONDE_OK)
        rc = append_and_commit(d, true, &stats, err);
    if (rc != SONDE_OK)
        return rc;
    if (stats.unknown_series)
        return sonde_err_set(err, SONDE_EUNAVAILABLE,
                             "series were removed while they were written");
    receive_count(d, &stats);
    return SONDE_OK;
}

sonde_code receive_piece_store(struct receive_desk *d, struct sonde_err *err)
{
    struct append_stats stats = { 0 };
    bool gone = false;
    sonde_code rc;

    d->tally.samples += d->sample_count;
    for (size_t i = 0; i < d->extra_count; i++) {
        d->tally.histograms += d->extras[i].kind == EXTRA_HISTOGRAM;
        d->tally.exemplars += d->extras[i].kind == EXTRA_EXEMPLAR;
    }
    rc = make_unknown(d, false, err);
    if (rc == SONDE_OK)
        rc = append_and_commit(d, false, &stats, err);
    if (rc == SONDE_OK) {
        gone = stats.unknown_series > 0;
        stats.unknown_series = 0;
        receive_count(d, &stats);
    }
    if (rc == SONDE_OK && gone)
        rc = remake(d, err);
    receive_piece_drop(d);
    return rc;
}
