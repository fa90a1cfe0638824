/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any query that parses is evaluated over a small store - counters, gauges
 * with NaN, infinities and stale markers, classic and native histograms, a
 * series that changes its kind - or is an error; nothing else may happen, and
 * all values of the result can be looked at.
 *
 * The first three bytes say which features are on, how many steps there are
 * and how long they are; the rest is the query. Budgets are tiny, so that a
 * run is short whatever is asked for.
 */
#include <math.h>
#include <stdlib.h>

#include "promql/promql.h"
#include "util/buf.h"
#include "util/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAMPLES  30
#define EVERY_MS 15000
#define STEPS    20

/* ---- the store ---------------------------------------------------------- */

static series_ref series_of(struct appender *a, const char *text)
{
    struct promql_expr *e = NULL;
    struct labels_builder lb;
    struct labels labels;
    struct sonde_err err;
    struct arena arena;
    series_ref ref;

    arena_init(&arena);
    if (promql_parse(&arena, sonde_cstr(text), NULL, &e, &err) != SONDE_OK)
        abort();
    labels_builder_init(&lb, &arena);
    for (size_t i = 0; i < e->selector.count; i++)
        labels_builder_set(&lb, e->selector.matchers[i].name,
                           e->selector.matchers[i].value);
    labels = labels_builder_view(&lb);
    if (appender_series(a, &labels, &ref, &err) != SONDE_OK)
        abort();
    promql_fini(e);
    arena_fini(&arena);
    return ref;
}

static double counter(size_t i)
{
    return (double)(i % 11) * 7 + (double)i / 3;
}

static double gauge(size_t i)
{
    static const double odd[] = {
        NAN, INFINITY, -INFINITY, -0.0, 1e308, 5e-324
    };

    return i % 4 == 3 ? odd[i / 4 % 6] : (double)i - 13.5;
}

static double with_gaps(size_t i)
{
    return i % 7 == 5 ? stale_nan() : (double)i;
}

static void put_floats(struct appender *a, const char *series,
                       double (*value)(size_t i), double factor)
{
    series_ref ref = series_of(a, series);

    for (size_t i = 0; i < SAMPLES; i++) {
        double v = value(i);
        struct storage_sample s = { ref, (sonde_msec)i * EVERY_MS,
                                    is_stale_nan(v) ? v : v * factor };

        appender_append(a, &s, 1);
    }
}

struct shape {
    const char *series;
    int32_t schema;
    enum histogram_hint hint;
    bool floats_too; /* every third sample is one                           */
};

static void put_histogram(struct appender *a, const struct shape *s,
                          series_ref ref, size_t i)
{
    struct histogram_span spans[] = { { (int32_t)(i % 3), 2 }, { 2, 1 } };
    struct histogram_span below[] = { { 0, 1 } };
    double grown = counter(i), bounds[] = { -1, 0.5, 2, 8, 9, 20 };
    double up[] = { grown, 2, grown / 2 }, down[] = { 3 };
    bool custom = s->schema == HISTOGRAM_CUSTOM;
    struct histogram h = {
        .is_float = true,
        .hint = i % 9 == 8 ? HISTOGRAM_RESET : s->hint,
        .schema = s->schema - (custom ? 0 : (int32_t)(i / 13)),
        .zero_threshold = custom  ? 0
                          : i % 5 ? 1e-3
                                  : 0.5,
        .sum = i == 17 ? NAN : grown * 3,
        .zero_count.f = custom ? 0 : 2,
        .count.f = grown * 1.5 + 2 + (custom ? 0 : 5),
        .positive = { spans, 2, { .f = up }, 3 },
    };

    if (custom) {
        h.custom_bounds = bounds;
        h.custom_count = 6 - (i > 20);
    } else {
        h.negative = (struct histogram_side){ below, 1, { .f = down }, 1 };
    }
    if (custom && i > 20)
        spans[0].offset = 0;
    appender_histogram(a, ref, (sonde_msec)i * EVERY_MS, &h);
}

static void put_shape(struct appender *a, const struct shape *s)
{
    series_ref ref = series_of(a, s->series);

    for (size_t i = 0; i < SAMPLES; i++) {
        struct storage_sample f = { ref, (sonde_msec)i * EVERY_MS, (double)i };

        if (s->floats_too && i % 3 == 0)
            appender_append(a, &f, 1);
        else
            put_histogram(a, s, ref, i);
    }
}

static struct storage *make_store(void)
{
    static const struct shape shapes[] = {
        { "nh{i=\"0\",job=\"a\"}", 2, HISTOGRAM_UNKNOWN_RESET, false },
        { "nh{i=\"1\",job=\"a\"}", 0, HISTOGRAM_NO_RESET, false },
        { "nh{i=\"0\",job=\"b\"}", 1, HISTOGRAM_GAUGE, false },
        { "nc{i=\"0\",job=\"a\"}", HISTOGRAM_CUSTOM, HISTOGRAM_UNKNOWN_RESET,
          false },
        { "nh{i=\"2\",job=\"a\"}", HISTOGRAM_CUSTOM, HISTOGRAM_GAUGE, false },
        { "mix{i=\"0\",job=\"a\"}", 1, HISTOGRAM_UNKNOWN_RESET, true },
    };
    struct storage *store = storage_fake_new();
    struct appender *a = storage_appender(store);
    struct sonde_err err;

    put_floats(a, "c_total{i=\"0\",job=\"a\"}", counter, 1);
    put_floats(a, "c_total{i=\"1\",job=\"a\"}", counter, 2);
    put_floats(a, "c_total{i=\"0\",job=\"b\"}", counter, 3);
    put_floats(a, "g{i=\"0\",job=\"a\",__type__=\"gauge\"}", gauge, 1);
    put_floats(a, "g{i=\"1\",job=\"b\",__unit__=\"s\"}", gauge, -1);
    put_floats(a, "g2{i=\"0\",job=\"a\"}", with_gaps, 1);
    put_floats(a, "one{job=\"a\",role=\"x\"}", with_gaps, 1);
    put_floats(a, "target_info{job=\"a\",instance=\"\",v=\"1\"}", with_gaps, 1);
    put_floats(a, "h_bucket{job=\"a\",le=\"1\"}", counter, 1);
    put_floats(a, "h_bucket{job=\"a\",le=\"2\"}", gauge, 1);
    put_floats(a, "h_bucket{job=\"a\",le=\"+Inf\"}", counter, 4);
    put_floats(a, "h_bucket{job=\"b\",le=\"nonsense\"}", counter, 4);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        put_shape(a, &shapes[i]);
    if (appender_commit(a, NULL, &err) != SONDE_OK)
        abort();
    appender_free(a);
    return store;
}

/* ---- running ------------------------------------------------------------ */

static volatile double seen; /* so that the values are read                  */

static void look_at_histogram(struct arena *a, const struct histogram *h)
{
    struct promql_buckets *b = promql_buckets(a, h);
    struct promql_bucket bucket;

    while (promql_buckets_next(b, &bucket))
        seen = bucket.lower + bucket.upper + bucket.count;
}

static void look_at(struct arena *a, const struct promql_result *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct promql_series *s = &r->series[i];

        for (size_t k = 0; k < s->labels.count; k++)
            seen = (double)s->labels.items[k].value.len;
        for (size_t k = 0; k < s->count; k++) {
            seen = s->v[k];
            if (s->h && s->h[k])
                look_at_histogram(a, s->h[k]);
        }
    }
    for (size_t i = 0; i < r->note_count; i++)
        seen = (double)r->notes[i].text.len;
}

static void run(struct arena *a, struct promql_query *q,
                const struct promql_limits *limits)
{
    struct promql_result *r;
    struct promql_expr *e;
    struct sonde_err err;

    if (promql_parse(a, q->text, limits, &e, &err) != SONDE_OK)
        return;
    if (q->step == 0 || e->type == PROMQL_SCALAR || e->type == PROMQL_VECTOR) {
        q->deadline_ms = clock_monotonic(&clock_system) + 1000;
        if (promql_run(q, e, &r, &err) == SONDE_OK) {
            look_at(a, r);
            promql_result_free(r);
        }
    }
    promql_fini(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sonde_msec lengths[] = { 1000, 15000, 37000, 60000 };
    static struct storage *store;
    struct promql_limits limits = { .text_bytes = 4096 };
    struct promql_query q = { .max_samples = 10000, .lookback_ms = 60000 };
    struct arena a;

    if (size < 3)
        return 0;
    if (!store)
        store = make_store();
    limits.features = q.features = data[0] & 31u;
    q.storage = store;
    q.end = SAMPLES * EVERY_MS;
    q.start = q.end;
    if (data[1] % (STEPS + 1)) {
        q.step = lengths[data[2] % 4];
        q.start -= q.step * (data[1] % (STEPS + 1) - 1);
    }
    q.text = (sonde_str){ (const char *)data + 3, size - 3 };
    arena_init(&a);
    run(&a, &q, &limits);
    arena_fini(&a);
    return 0;
}
