/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/query_exemplars: the exemplars of all series that the selectors of
 * an expression accept. An expression without a selector has no data, which
 * is 204.
 */
#include "api/api_int.h"
#include "api/times.h"
#include "promql/promql.h"

/* The matchers of each selector, as the store takes them. */
struct selector_list {
    struct arena *arena;
    const struct matcher **sets;
    size_t *counts;
    size_t count, cap;
};

static void add(struct selector_list *l, const struct promql_expr *e)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        const struct matcher **sets =
            arena_array(l->arena, const struct matcher *, cap);
        size_t *counts = arena_array(l->arena, size_t, cap);

        for (size_t i = 0; i < l->count; i++) {
            sets[i] = l->sets[i];
            counts[i] = l->counts[i];
        }
        l->sets = sets;
        l->counts = counts;
        l->cap = cap;
    }
    l->sets[l->count] = e->selector.matchers;
    l->counts[l->count++] = e->selector.count;
}

/* As deep as the parser lets an expression be. */
static void gather(struct selector_list *l, const struct promql_expr *e)
{
    const struct promql_expr *child;

    if (e->kind == PROMQL_SELECTOR)
        add(l, e);
    for (size_t i = 0; (child = promql_child(e, i)); i++)
        gather(l, child);
}

static void put_exemplar(struct jsonw *j, const struct exemplar *e)
{
    jsonw_object(j);
    jsonw_key(j, "labels");
    jsonw_labels(j, &e->labels);
    jsonw_key(j, "value");
    jsonw_value(j, e->v);
    jsonw_key(j, "timestamp");
    jsonw_seconds(j, e->t);
    jsonw_object_end(j);
}

static void reply(struct http_call *call, const struct exemplar_series *series,
                  size_t n)
{
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);

    jsonw_array(j);
    for (size_t i = 0; i < n && api_answer_flush(&a); i++) {
        jsonw_object(j);
        jsonw_key(j, "seriesLabels");
        jsonw_labels(j, &series[i].labels);
        jsonw_key(j, "exemplars");
        jsonw_array(j);
        for (size_t k = 0; k < series[i].count; k++)
            put_exemplar(j, &series[i].exemplars[k]);
        jsonw_array_end(j);
        jsonw_object_end(j);
    }
    jsonw_array_end(j);
    api_answer_send(&a);
}

static void look_up(struct storage *store, struct http_call *call,
                    const struct selector_list *l, sonde_msec start,
                    sonde_msec end)
{
    struct exemplar_series *found = NULL;
    struct sonde_err err = { 0 };
    size_t n = 0;

    if (l->count == 0)
        http_reply(call, 204, "", (sonde_str){ 0 });
    else if (store->ops->exemplars &&
             store->ops->exemplars(store, l->sets, l->counts, l->count, start,
                                   end, http_call_arena(call), &found, &n,
                                   &err) != SONDE_OK)
        api_fail(call, &err);
    else
        reply(call, found, n);
}

void api_handle_query_exemplars(struct api *api, struct http_call *call)
{
    struct selector_list l = { .arena = http_call_arena(call) };
    struct promql_limits limits = { .features = api->options.promql_features };
    sonde_msec start = API_TIME_MIN, end = API_TIME_MAX;
    struct storage *store = api_store(api, call);
    struct promql_expr *expr = NULL;
    struct sonde_err err = { 0 };

    if (!store || !api_time_param(call, "start", &start) ||
        !api_time_param(call, "end", &end))
        return;
    if (end < start) {
        api_error(call, API_BAD_DATA,
                  "end timestamp must not be before start timestamp");
        return;
    }
    if (promql_parse(l.arena, api_param(call, "query"), &limits, &expr, &err) !=
        SONDE_OK) {
        api_error(call, API_BAD_DATA, "%s", err.text);
        return;
    }
    gather(&l, expr);
    look_up(store, call, &l, start, end);
    promql_fini(expr);
}
