/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of queries as JSON. Stamps of vectors and matrices are seconds with
 * none or three decimals, those of scalars and strings the shortest float:
 * both are what clients are used to.
 */
#include "api/api_int.h"
#include "model/number.h"
#include "promql/promql.h"

/* [time, "value"], time in the shortest form. */
static void put_stamped(struct jsonw *j, sonde_msec t, sonde_str value)
{
    jsonw_array(j);
    jsonw_real(j, (double)t / 1000);
    jsonw_str(j, value);
    jsonw_array_end(j);
}

static void put_scalar(struct jsonw *j, sonde_msec t, double v)
{
    char text[NUMBER_MAX_BYTES];
    size_t n = number_format(text, v, NUMBER_PLAIN);

    put_stamped(j, t, (sonde_str){ text, n });
}

static sonde_msec time_of(const struct promql_result *r,
                          const struct promql_series *s, size_t i)
{
    return s->t ? s->t[i] : r->start + (sonde_msec)i * r->step;
}

/* The buckets that have anything, from the lowest up. */
static void put_buckets(struct jsonw *j, const struct histogram *h)
{
    struct promql_bucket b;
    struct arena a;
    struct promql_buckets *all;
    bool any = false;

    arena_init(&a);
    all = promql_buckets(&a, h);
    while (promql_buckets_next(all, &b)) {
        if (!any) {
            jsonw_key(j, "buckets");
            jsonw_array(j);
        }
        any = true;
        jsonw_array(j);
        jsonw_int(j, b.lower_in ? (b.upper_in ? 3 : 1) : b.upper_in ? 0 : 2);
        jsonw_value(j, b.lower);
        jsonw_value(j, b.upper);
        jsonw_value(j, b.count);
        jsonw_array_end(j);
    }
    if (any)
        jsonw_array_end(j);
    arena_fini(&a);
}

static void put_histogram(struct jsonw *j, sonde_msec t,
                          const struct histogram *h)
{
    jsonw_array(j);
    jsonw_seconds(j, t);
    jsonw_object(j);
    jsonw_key(j, "count");
    jsonw_value(j, h->count.f);
    jsonw_key(j, "sum");
    jsonw_value(j, h->sum);
    put_buckets(j, h);
    jsonw_object_end(j);
    jsonw_array_end(j);
}

/* The texts of the steps' times, which are the same for all series. */
static struct jsonw_stamp *stamps_of(struct http_call *call,
                                     const struct promql_result *r)
{
    struct jsonw_stamp *out;

    if (r->step == 0 || r->count < 2)
        return NULL;
    out = arena_array(http_call_arena(call), struct jsonw_stamp,
                      r->series[0].count);
    for (size_t i = 0; i < r->series[0].count; i++)
        jsonw_stamp(&out[i], r->start + (sonde_msec)i * r->step);
    return out;
}

/* The values of one kind, if there are any. */
static void put_values(struct jsonw *j, const struct promql_result *r,
                       const struct promql_series *s,
                       const struct jsonw_stamp *stamps, bool histograms)
{
    bool any = false;

    for (size_t i = 0; i < s->count; i++) {
        const struct histogram *h = s->h ? s->h[i] : NULL;

        if ((!s->t && promql_absent(s->v[i])) || (h != NULL) != histograms)
            continue;
        if (!any) {
            jsonw_key(j, histograms ? "histograms" : "values");
            jsonw_array(j);
        }
        any = true;
        if (h)
            put_histogram(j, time_of(r, s, i), h);
        else if (stamps)
            jsonw_stamped(j, &stamps[i], s->v[i]);
        else
            jsonw_point(j, time_of(r, s, i), s->v[i]);
    }
    if (any)
        jsonw_array_end(j);
}

static void put_instant(struct jsonw *j, const struct promql_result *r,
                        const struct promql_series *s)
{
    if (s->h && s->h[0]) {
        jsonw_key(j, "histogram");
        put_histogram(j, r->start, s->h[0]);
    } else {
        jsonw_key(j, "value");
        jsonw_point(j, r->start, s->v[0]);
    }
}

static void put_series(struct jsonw *j, const struct promql_result *r,
                       const struct promql_series *s,
                       const struct jsonw_stamp *stamps)
{
    jsonw_object(j);
    jsonw_key(j, "metric");
    jsonw_labels(j, &s->labels);
    if (r->type == PROMQL_VECTOR) {
        put_instant(j, r, s);
    } else {
        put_values(j, r, s, stamps, false);
        if (s->h)
            put_values(j, r, s, NULL, true);
    }
    jsonw_object_end(j);
}

const char *api_type_name(enum promql_type t)
{
    static const char *const names[] = {
        [PROMQL_NONE] = "none",     [PROMQL_SCALAR] = "scalar",
        [PROMQL_STRING] = "string", [PROMQL_VECTOR] = "vector",
        [PROMQL_MATRIX] = "matrix",
    };

    return names[t];
}

static struct sonde_list notes_of(struct http_call *call,
                                  const struct promql_result *r, bool warnings)
{
    struct sonde_list l = { 0 };
    sonde_str *items =
        arena_array(http_call_arena(call), sonde_str, r->note_count);

    for (size_t i = 0; i < r->note_count; i++)
        if (r->notes[i].warning == warnings)
            items[l.count++] = r->notes[i].text;
    l.items = items;
    return l;
}

static void put_real(struct jsonw *j, const char *key, double v)
{
    jsonw_key(j, key);
    jsonw_real(j, v);
}

static void put_count(struct jsonw *j, const char *key, uint64_t v)
{
    jsonw_key(j, key);
    jsonw_uint(j, v);
}

static void put_step_samples(struct jsonw *j, const struct promql_result *r)
{
    const struct promql_stats *s = &r->stats;

    if (!s->step_samples)
        return;
    jsonw_key(j, "totalQueryableSamplesPerStep");
    jsonw_array(j);
    for (size_t i = 0; i < s->step_count; i++) {
        jsonw_array(j);
        jsonw_real(j, (double)(r->start + (sonde_msec)i * r->step) / 1000);
        jsonw_uint(j, s->step_samples[i]);
        jsonw_array_end(j);
    }
    jsonw_array_end(j);
}

static void put_timings(struct jsonw *j, const struct api_timing *t)
{
    jsonw_key(j, "timings");
    jsonw_object(j);
    put_real(j, "evalTotalTime", t->prepare + t->eval + t->sort);
    put_real(j, "resultSortTime", t->sort);
    put_real(j, "queryPreparationTime", t->prepare);
    put_real(j, "innerEvalTime", t->eval);
    put_real(j, "execQueueTime", t->queue);
    put_real(j, "execTotalTime", t->total);
    jsonw_object_end(j);
}

void api_put_stats(struct jsonw *j, const struct promql_result *r,
                   const struct api_timing *t)
{
    static const struct promql_result none;

    if (!r)
        r = &none;
    jsonw_key(j, "stats");
    jsonw_object(j);
    put_timings(j, t);
    jsonw_key(j, "samples");
    jsonw_object(j);
    put_step_samples(j, r);
    put_count(j, "totalQueryableSamples", r->stats.queryable_samples);
    put_count(j, "samplesRead", r->stats.samples_read);
    put_count(j, "peakSamples", r->stats.peak_samples);
    jsonw_object_end(j);
    jsonw_object_end(j);
}

void api_reply_result(struct http_call *call, const struct promql_result *r,
                      size_t limit, const struct api_timing *timing)
{
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);
    const struct jsonw_stamp *stamps = stamps_of(call, r);

    jsonw_object(j);
    jsonw_key(j, "resultType");
    jsonw_cstr(j, api_type_name(r->type));
    jsonw_key(j, "result");
    if (r->type == PROMQL_SCALAR) {
        put_scalar(j, r->start, r->scalar);
    } else if (r->type == PROMQL_STRING) {
        put_stamped(j, r->start, r->string);
    } else {
        jsonw_array(j);
        for (size_t i = 0; i < r->count && (limit == 0 || i < limit); i++) {
            put_series(j, r, &r->series[i], stamps);
            if (!api_answer_flush(&a))
                break;
        }
        jsonw_array_end(j);
        if (limit > 0 && r->count > limit)
            a.warning = API_TRUNCATED;
    }
    if (timing)
        api_put_stats(j, r, timing);
    jsonw_object_end(j);
    a.warnings = notes_of(call, r, true);
    a.infos = notes_of(call, r, false);
    api_answer_send(&a);
}
