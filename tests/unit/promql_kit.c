/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/promql_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/number.h"
#include "unit/tap.h"
#include "util/mem.h"
#include "util/str.h"

void kit_init(struct promql_kit *k)
{
    *k = (struct promql_kit){ .storage = storage_fake_new(),
                              .pool = parallel_new(1) };
    buf_init(&k->text);
    k->query.storage = k->storage;
    k->query.pool = k->pool;
    k->query.lookback_ms = 300000;
    k->query.features = ~0u & ~(unsigned)PROMQL_DELAYED_NAME_REMOVAL &
                        ~(unsigned)PROMQL_TYPE_AND_UNIT;
}

void kit_fini(struct promql_kit *k)
{
    parallel_free(k->pool);
    storage_fake_free(k->storage);
    buf_fini(&k->text);
}

/* ---- loading ------------------------------------------------------------ */

struct loading {
    struct appender *appender;
    series_ref ref;
    sonde_msec t, step;
};

static void put(struct loading *l, double v)
{
    struct storage_sample s = { l->ref, l->t, v };

    appender_append(l->appender, &s, 1);
    l->t += l->step;
}

/* A+BxN, A-BxN, AxN, or a number. */
static void put_item(struct loading *l, const char *item)
{
    char *end;
    double v = strtod(item, &end), by = 0;
    long more = 0;

    if (item[0] == '_') {
        if (item[1] == 'x')
            more = strtol(item + 2, NULL, 10);
        l->t += l->step * (more + 1);
        return;
    }
    if (strcmp(item, "stale") == 0) {
        put(l, stale_nan());
        return;
    }
    if (*end == '+' || *end == '-')
        by = strtod(end, &end);
    if (*end == 'x')
        more = strtol(end + 1, &end, 10);
    if (*end)
        SONDE_BUG("kit: values %s", item);
    for (long i = 0; i <= more; i++)
        put(l, i ? v + (double)i * by : v);
}

/* The reference of a series that is written as a selector. */
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
        SONDE_BUG("kit: series %s: %s", text, err.text);
    labels_builder_init(&lb, &arena);
    for (size_t i = 0; i < e->selector.count; i++)
        labels_builder_set(&lb, e->selector.matchers[i].name,
                           e->selector.matchers[i].value);
    labels = labels_builder_view(&lb);
    if (appender_series(a, &labels, &ref, &err) != SONDE_OK)
        SONDE_BUG("kit: series %s: %s", text, err.text);
    promql_fini(e);
    arena_fini(&arena);
    return ref;
}

static void commit(struct appender *a)
{
    struct sonde_err err;

    if (appender_commit(a, NULL, &err) != SONDE_OK)
        SONDE_BUG("kit: %s", err.text);
    appender_free(a);
}

static void load_line(struct promql_kit *k, char *line, sonde_msec step)
{
    struct loading l = { .t = k->load_from, .step = step };
    char *name = line + strspn(line, " "), *values, *save = NULL;
    char *brace = strchr(name, '{');
    char *space = brace ? strchr(name, '}') + 1 : strchr(name, ' ');

    *space = 0;
    values = space + 1;
    l.appender = storage_appender(k->storage);
    l.ref = series_of(l.appender, name);
    for (char *item = strtok_r(values, " ", &save); item;
         item = strtok_r(NULL, " ", &save))
        put_item(&l, item);
    commit(l.appender);
}

void kit_load_histogram(struct promql_kit *k, const char *series, sonde_msec t,
                        const struct histogram *h)
{
    struct appender *a = storage_appender(k->storage);

    appender_histogram(a, series_of(a, series), t, h);
    commit(a);
}

void kit_load(struct promql_kit *k, const char *lines, sonde_msec step)
{
    char *copy = mem_strdup(sonde_cstr(lines)), *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        load_line(k, line, step);
    free(copy);
}

/* ---- results ------------------------------------------------------------ */

static void put_number(struct promql_kit *k, double v)
{
    buf_number(&k->text, v, NUMBER_API);
}

static int by_labels(const void *a, const void *b)
{
    const struct promql_series *x = a, *y = b;

    return labels_cmp(&x->labels, &y->labels);
}

static void put_series(struct promql_kit *k, const struct promql_result *r,
                       const struct promql_series *s)
{
    if (k->text.len)
        buf_char(&k->text, '\n');
    labels_print(&k->text, &s->labels);
    for (size_t i = 0; i < s->count; i++) {
        sonde_msec t = s->t ? s->t[i] : r->start + (sonde_msec)i * r->step;

        if (!s->t && promql_absent(s->v[i]))
            continue;
        buf_char(&k->text, ' ');
        put_number(k, s->v[i]);
        if (r->type == PROMQL_MATRIX) {
            buf_char(&k->text, '@');
            put_number(k, (double)t / 1000);
        }
    }
}

static void put_result(struct promql_kit *k, struct promql_result *r)
{
    if (r->type == PROMQL_SCALAR)
        put_number(k, r->scalar);
    else if (r->type == PROMQL_STRING)
        buf_put(&k->text, r->string);
    else if (r->count)
        qsort(r->series, r->count, sizeof(*r->series), by_labels);
    for (size_t i = 0; i < r->count; i++)
        put_series(k, r, &r->series[i]);
    for (size_t i = 0; i < r->note_count; i++) {
        if (k->text.len)
            buf_char(&k->text, '\n');
        buf_put(&k->text, r->notes[i].text);
    }
}

static const char *run(struct promql_kit *k, const char *query)
{
    struct promql_result *r;
    struct promql_expr *e = NULL;
    struct promql_limits limits = { .features = k->query.features };
    struct sonde_err err = { 0 };
    struct arena a;
    sonde_code rc;

    arena_init(&a);
    buf_reset(&k->text);
    k->query.text = sonde_cstr(query);
    rc = promql_parse(&a, k->query.text, &limits, &e, &err);
    if (rc == SONDE_OK) {
        rc = promql_run(&k->query, e, &r, &err);
        if (rc == SONDE_OK) {
            put_result(k, r);
            promql_result_free(r);
        }
        promql_fini(e);
    }
    if (rc != SONDE_OK)
        buf_printf(&k->text, "error: %s", err.text);
    arena_fini(&a);
    buf_char(&k->text, 0);
    return k->text.data;
}

const char *kit_instant(struct promql_kit *k, const char *query, sonde_msec at)
{
    k->query.start = k->query.end = at;
    k->query.step = 0;
    return run(k, query);
}

const char *kit_range(struct promql_kit *k, const char *query, sonde_msec start,
                      sonde_msec end, sonde_msec step)
{
    k->query.start = start;
    k->query.end = end;
    k->query.step = step;
    return run(k, query);
}

/* ---- tables -------------------------------------------------------------- */

void kit_check_at(struct promql_kit *k, const struct kit_at_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = kit_instant(k, rows[i].query, rows[i].at);

        if (strcmp(got, rows[i].want) != 0)
            tap_note("%s: got:\n%s\nwant:\n%s", rows[i].query, got,
                     rows[i].want);
        ROW_ASSERT(&rows[i], strcmp(got, rows[i].want) == 0);
    }
}

void kit_check(struct promql_kit *k, sonde_msec at, const struct kit_row *rows,
               size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct kit_at_row row = { rows[i].line, rows[i].query, at,
                                  rows[i].want };

        kit_check_at(k, &row, 1);
    }
}
