/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a line: the scanner finds where its series part ends and what
 * its value is; the hash of the series part finds the series in the target's
 * cache; reference, time and value join the batch. Only a series that is new
 * has its labels parsed, merged, relabeled and looked up in the store.
 *
 * A collection is all or nothing. When it fails, the transaction is rolled
 * back and every series that had a sample the last time gets a stale marker
 * (also those whose line had been read before the error: Prometheus leaves
 * these without either). The report series (up, scrape_...) are written in
 * any case.
 *
 * The family cache is read by the status pages; its lock (the target's) is
 * taken once per piece of body, not per line.
 */
#include "scrape/collection.h"

#include <stdlib.h>
#include <string.h>
/* Inlined: a series part is about a hundred bytes, and a call per line shows.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "scrape/demand.h"
#include "scrape/metrics.h"
#include "util/log.h"
#include "util/mem.h"

/* Buffers larger than this are given back between collections. */
#define KEEP_BYTES ((size_t)64 << 10)

static sonde_code on_sample(void *arg, const struct expo_sample *s,
                            struct sonde_err *err);
static sonde_code on_meta(void *arg, const struct expo_meta *m,
                          struct sonde_err *err);

struct collection *collection_new(struct storage *storage)
{
    struct collection *c = mem_new(struct collection);

    c->appender = storage ? storage_appender(storage) : NULL;
    arena_init(&c->arena);
    buf_init(&c->page);
    buf_init(&c->body);
    buf_init(&c->text);
    c->handler =
        (struct expo_handler){ .sample = on_sample, .meta = on_meta, .arg = c };
    return c;
}

void collection_free(struct collection *c)
{
    if (!c)
        return;
    if (c->scanning)
        expo_scanner_fini(&c->scanner);
    target_unref(c->target);
    appender_free(c->appender);
    arena_fini(&c->arena);
    buf_fini(&c->page);
    buf_fini(&c->body);
    buf_fini(&c->text);
    free(c);
}

static void begin(struct collection *c, struct target *t, sonde_msec time_ms)
{
    c->target = target_ref(t);
    c->t = time_ms;
    c->started_ns = clock_ns();
    c->batched = 0;
    c->open = false;
    c->scraped = c->kept = c->duplicates = 0;
    c->body_bytes = 0;
    c->over_sample_limit = c->over_body_limit = c->late = false;
    c->reload = false;
    c->reloads = t->reloads;
    c->err.code = SONDE_OK;
    c->err.text[0] = '\0';
    c->plan = (struct sonde_plan){ .struct_size = sizeof(c->plan) };
    c->request = 0;
    c->status = 0;
    c->asked = c->unopened = false;
    c->part_count = 0;
    c->part_open = false;
}

void collection_begin_asked(struct collection *c, struct target *t)
{
    begin(c, t, 0);
    c->asked = true;
}

void collection_begin(struct collection *c, struct target *t,
                      sonde_msec time_ms)
{
    begin(c, t, time_ms);
    series_cache_begin(&t->cache);
    exemplar_cache_begin(&t->exemplars);
    (void)pthread_mutex_lock(&t->lock);
    family_cache_begin(&t->families);
    (void)pthread_mutex_unlock(&t->lock);
}

/* ---- the transaction ---------------------------------------------------- */

static bool still_held(void *arg, series_ref ref)
{
    struct collection *c = arg;

    return appender_known(c->appender, ref);
}

/* Before the first line is looked up: a series that got no samples for hours
 * (the target was away, or is asked once a day) may have left the store. */
static void open_transaction(struct collection *c)
{
    struct target *t = c->target;
    uint64_t generation;

    if (c->open)
        return;
    c->open = true;
    generation = appender_generation(c->appender);
    if (generation == t->generation)
        return;
    series_cache_recheck(&t->cache, still_held, c);
    t->generation = generation;
}

/* ---- lines ------------------------------------------------------------- */

static void flush(struct collection *c)
{
    if (c->batched)
        appender_append(c->appender, c->batch, c->batched);
    c->batched = 0;
}

static void push(struct collection *c, series_ref ref, sonde_msec t, double v)
{
    if (c->batched == COLLECTION_BATCH)
        flush(c);
    c->batch[c->batched++] =
        (struct storage_sample){ .ref = ref, .t = t, .v = v };
}

/* A target shows its last exemplar again at each scrape, so only one that is
 * not as the last time is handed on. */
static sonde_code push_exemplar(struct collection *c, series_ref ref,
                                const struct expo_sample *s, sonde_msec t,
                                struct sonde_err *err)
{
    uint64_t hash = XXH3_64bits(s->exemplar.ptr, s->exemplar.len);
    struct expo_exemplar x;
    struct exemplar e;
    sonde_code rc;

    if (exemplar_cache_had(&c->target->exemplars, ref, hash))
        return SONDE_OK;
    arena_reset(&c->arena);
    labels_builder_init(&c->lb, &c->arena);
    rc = expo_exemplar(s->exemplar, &c->lb, &x, err);
    if (rc != SONDE_OK)
        return rc;
    e = (struct exemplar){ labels_builder_view(&c->lb), x.has_t ? x.t : t,
                           x.value };
    appender_exemplar(c->appender, ref, &e);
    return SONDE_OK;
}

/* A line not seen before: what its labels become decides about it. */
static sonde_code new_series(struct collection *c, const struct expo_sample *s,
                             uint64_t hash, struct cached_series **out,
                             struct sonde_err *err)
{
    struct target *t = c->target;
    struct labels labels;
    series_ref ref = 0;
    sonde_code rc;

    arena_reset(&c->arena);
    labels_builder_init(&c->lb, &c->arena);
    rc = expo_series(s->series, c->format, &c->lb, err);
    if (rc != SONDE_OK)
        return rc;
    expo_normalise_bounds(&c->lb, s->type);
    rc = series_labels(&t->rules, &c->lb, err);
    if (rc == SONDE_ENOTFOUND) {
        err->code = SONDE_OK; /* the collection's: dropped is no failure */
        *out = series_cache_add(&t->cache, hash, 0, true);
        return SONDE_OK;
    }
    if (rc != SONDE_OK)
        return rc;
    labels = labels_builder_view(&c->lb);
    rc = appender_series(c->appender, &labels, &ref, err);
    if (rc == SONDE_OK)
        *out = series_cache_add(&t->cache, hash, ref, false);
    return rc;
}

static sonde_code on_sample(void *arg, const struct expo_sample *s,
                            struct sonde_err *err)
{
    struct collection *c = arg;
    struct target *t = c->target;
    const struct scrape_config *config = t->job->config;
    uint64_t hash = XXH3_64bits(s->series.ptr, s->series.len);
    struct cached_series *e = series_cache_find(&t->cache, hash);
    bool timed = s->has_t && config->honor_timestamps;
    bool first;

    c->scraped++;
    if (!e) {
        sonde_code rc = new_series(c, s, hash, &e, err);

        if (rc != SONDE_OK)
            return rc;
    }
    first = series_cache_touch(&t->cache, e,
                               timed && !config->track_timestamps_staleness);
    if (e->dropped)
        return SONDE_OK;
    c->kept++;
    if (config->sample_limit && c->kept > (size_t)config->sample_limit)
        c->over_sample_limit = true;
    else if (!first && !timed)
        c->duplicates++;
    else
        push(c, cached_ref(e), timed ? s->t : c->t, s->value);
    if (__builtin_expect(s->exemplar.len != 0, 0))
        return push_exemplar(c, cached_ref(e), s, timed ? s->t : c->t, err);
    return SONDE_OK;
}

static sonde_code on_meta(void *arg, const struct expo_meta *m,
                          struct sonde_err *err)
{
    struct collection *c = arg;

    (void)err;
    family_cache_note(&c->target->families, m);
    return SONDE_OK;
}

/* ---- bodies ------------------------------------------------------------ */

/* A page has a part for each body; bodies are foreign until it is known that
 * a plugin emitted them. */
static void part_begin(struct collection *c, enum expo_format format)
{
    if (!c->target->exposure || c->part_count == SCRAPE_PAGE_PARTS)
        return;
    c->part_open = true;
    c->parts[c->part_count++] = (struct scrape_part){ .end = c->page.len,
                                                      .format = (int)format,
                                                      .foreign = true };
}

void collection_forget_part(struct collection *c)
{
    struct scrape_part *last = c->parts + c->part_count - 1;

    if (!c->part_open)
        return;
    c->page.len = c->part_count > 1 ? last[-1].end : 0;
    c->part_count--;
    c->part_open = false;
}

static void part_add(struct collection *c, sonde_str piece)
{
    if (c->part_count == 0)
        return;
    buf_put(&c->page, piece);
    c->parts[c->part_count - 1].end = c->page.len;
}

void collection_body_begin(struct collection *c, enum expo_format format)
{
    part_begin(c, format);
    if (c->asked)
        return;
    if (c->scanning)
        expo_scanner_fini(&c->scanner);
    c->format = format;
    expo_scanner_init(&c->scanner, format, &c->handler);
    c->scanning = true;
}

bool collection_body(struct collection *c, sonde_str piece)
{
    sonde_code rc;

    if (c->err.code != SONDE_OK)
        return false;
    part_add(c, piece);
    if (c->asked)
        return true;
    open_transaction(c);
    c->body_bytes += piece.len;
    (void)pthread_mutex_lock(&c->target->lock);
    rc = expo_scan(&c->scanner, piece, &c->err);
    (void)pthread_mutex_unlock(&c->target->lock);
    return rc == SONDE_OK;
}

bool collection_body_end(struct collection *c)
{
    sonde_code rc = c->err.code;

    if (!c->scanning)
        return rc == SONDE_OK;
    if (rc == SONDE_OK) {
        (void)pthread_mutex_lock(&c->target->lock);
        rc = expo_scan_end(&c->scanner, &c->err);
        (void)pthread_mutex_unlock(&c->target->lock);
    }
    expo_scanner_fini(&c->scanner);
    c->scanning = false;
    return rc == SONDE_OK;
}

bool collection_text(struct collection *c, sonde_str text)
{
    if (text.len == 0)
        return c->err.code == SONDE_OK;
    collection_body_begin(c, EXPO_TEXT);
    if (c->part_count)
        c->parts[c->part_count - 1].foreign = false;
    (void)collection_body(c, text);
    return collection_body_end(c);
}

/* ---- the report series ------------------------------------------------- */

static const struct {
    const char *name;
    bool extra; /* only with extra_scrape_metrics */
} report_series[REPORT_COUNT] = {
    [REPORT_UP] = { "up", false },
    [REPORT_DURATION] = { "scrape_duration_seconds", false },
    [REPORT_SCRAPED] = { "scrape_samples_scraped", false },
    [REPORT_POST_RELABEL] = { "scrape_samples_post_metric_relabeling", false },
    [REPORT_ADDED] = { "scrape_series_added", false },
    [REPORT_TIMEOUT] = { "scrape_timeout_seconds", true },
    [REPORT_SAMPLE_LIMIT] = { "scrape_sample_limit", true },
    [REPORT_BODY_BYTES] = { "scrape_body_size_bytes", true },
};

static sonde_code report_refs(struct collection *c, struct sonde_err *err)
{
    struct target *t = c->target;

    for (size_t i = 0; i < REPORT_COUNT; i++) {
        struct labels labels;
        sonde_code rc;

        if (t->report[i] && appender_known(c->appender, t->report[i]))
            continue;
        arena_reset(&c->arena);
        labels_builder_init(&c->lb, &c->arena);
        labels_builder_from(&c->lb, &t->labels);
        labels_builder_set(&c->lb, SONDE_STR(LABEL_NAME),
                           sonde_cstr(report_series[i].name));
        labels = labels_builder_view(&c->lb);
        if (report_series[i].extra && !t->job->config->extra_scrape_metrics)
            continue;
        rc = appender_series(c->appender, &labels, &t->report[i], err);
        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

static void report(struct collection *c, double seconds)
{
    struct target *t = c->target;
    const struct scrape_config *config = t->job->config;
    bool failed = c->err.code != SONDE_OK;
    double values[REPORT_COUNT] = {
        [REPORT_UP] = failed ? 0 : 1,
        [REPORT_DURATION] = seconds,
        [REPORT_SCRAPED] = (double)c->scraped,
        [REPORT_POST_RELABEL] = (double)c->kept,
        [REPORT_ADDED] = failed ? 0 : (double)t->cache.added,
        [REPORT_TIMEOUT] = (double)t->timeout / 1000,
        [REPORT_SAMPLE_LIMIT] = (double)config->sample_limit,
        [REPORT_BODY_BYTES] = c->over_body_limit ? -1 : (double)c->body_bytes,
    };

    for (size_t i = 0; i < REPORT_COUNT; i++)
        if (t->report[i])
            push(c, t->report[i], c->t, values[i]);
    t->reported = true;
}

/* ---- the end ----------------------------------------------------------- */

static void push_stale(void *arg, series_ref ref)
{
    struct collection *c = arg;

    push(c, ref, c->t, stale_nan());
}

static void count_verdicts(const struct scrape_metrics *m,
                           const struct append_stats *s, size_t duplicates)
{
    metric_add(m->out_of_order, s->out_of_order);
    metric_add(m->duplicate, s->duplicate_other + duplicates);
    metric_add(m->out_of_bounds, s->too_old + s->too_far);
}

/* Commits what was pushed; false, with c->err set, if the store refused. */
static bool commit(struct collection *c)
{
    struct append_stats stats = { 0 };
    struct sonde_err err;

    flush(c);
    if (appender_commit(c->appender, &stats, &err) == SONDE_OK) {
        count_verdicts(scrape_manager_metrics(c->target->job->manager), &stats,
                       c->duplicates);
        return true;
    }
    c->err = err;
    return false;
}

static void fail_transaction(struct collection *c)
{
    c->batched = 0;
    appender_rollback(c->appender);
    c->open = false;
    open_transaction(c);
    series_cache_fail(&c->target->cache, push_stale, c);
}

static void publish(struct collection *c, double seconds)
{
    struct target *t = c->target;
    bool failed = c->err.code != SONDE_OK;
    char *text = failed ? mem_strdup(sonde_cstr(c->err.text)) : NULL;
    char *old;

    (void)pthread_mutex_lock(&t->lock);
    old = t->last_error;
    t->last_error = text;
    t->health = failed ? TARGET_DOWN : TARGET_UP;
    t->last_scrape_ms = c->t;
    t->last_seconds = seconds;
    if (!failed)
        family_cache_end(&t->families);
    (void)pthread_mutex_unlock(&t->lock);
    if (failed && (!old || strcmp(old, text) != 0))
        log_warn("scrape", "target is down",
                 LOG_STR("job", t->job->config->job_name),
                 LOG_STR("target", t->url), LOG_CSTR("err", text));
    else if (!failed && old)
        log_info("scrape", "target is up again",
                 LOG_STR("job", t->job->config->job_name),
                 LOG_STR("target", t->url));
    free(old);
}

static void check_limits(struct collection *c)
{
    const struct scrape_config *config = c->target->job->config;

    if (c->err.code == SONDE_OK && c->over_sample_limit)
        (void)sonde_err_set(&c->err, SONDE_ELIMIT,
                            "sample limit exceeded (%zu samples, limit %lld)",
                            c->kept, (long long)config->sample_limit);
}

static void release(struct collection *c)
{
    struct target *t = c->target;

    arena_reset(&c->arena);
    buf_shrink(&c->page, 0);
    buf_shrink(&c->body, KEEP_BYTES);
    buf_shrink(&c->text, KEEP_BYTES);
    c->target = NULL;
    target_unref(t);
}

static void finish_asked(struct collection *c)
{
    const struct scrape_metrics *m =
        scrape_manager_metrics(c->target->job->manager);

    metric_inc(c->err.code == SONDE_OK ? m->succeeded : m->failed);
    exposure_publish(c);
    release(c);
}

void collection_finish(struct collection *c)
{
    struct target *t = c->target;
    const struct scrape_metrics *m = scrape_manager_metrics(t->job->manager);
    double seconds = (double)(clock_ns() - c->started_ns) / 1e9;
    struct sonde_err err;

    if (c->asked) {
        finish_asked(c);
        return;
    }
    open_transaction(c);
    check_limits(c);
    if (c->err.code == SONDE_OK)
        series_cache_end(&t->cache, push_stale, c);
    else
        fail_transaction(c);
    if (report_refs(c, &err) == SONDE_OK)
        report(c, seconds);
    if (!commit(c)) {
        /* Nothing was stored: nothing is live, no marker can be written. */
        series_cache_fail(&t->cache, push_stale, c);
        c->batched = 0;
        appender_rollback(c->appender);
    }
    if (c->err.code == SONDE_OK)
        exemplar_cache_end(&t->exemplars);
    if (c->over_sample_limit)
        metric_inc(m->over_sample_limit);
    if (c->over_body_limit)
        metric_inc(m->over_body_limit);
    metric_inc(c->err.code == SONDE_OK ? m->succeeded : m->failed);
    publish(c, seconds);
    exposure_publish(c);
    release(c);
}

void collection_drop(struct collection *c)
{
    if (c->scanning)
        expo_scanner_fini(&c->scanner);
    c->scanning = false;
    c->batched = 0;
    if (!c->asked)
        appender_rollback(c->appender);
    exposure_refuse(c->target, SONDE_ECANCELED, "the collection was dropped");
    release(c);
}

void collection_mark_gone(struct collection *c, struct target *t,
                          sonde_msec time_ms)
{
    collection_begin(c, t, time_ms);
    series_cache_fail(&t->cache, push_stale, c);
    for (size_t i = 0; t->reported && i < REPORT_COUNT; i++)
        if (t->report[i])
            push_stale(c, t->report[i]);
    t->reported = false;
    if (!commit(c))
        log_warn("scrape",
                 "could not write the stale markers of a target "
                 "that is gone",
                 LOG_STR("target", t->url), LOG_ERRTEXT(&c->err));
    c->target = NULL;
    target_unref(t);
}

void collection_missed(struct collection *c, struct target *t,
                       sonde_msec time_ms, const char *why)
{
    collection_begin(c, t, time_ms);
    (void)sonde_err_set(&c->err, SONDE_ETIMEOUT, "%s", why);
    collection_finish(c);
}
