/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/features: what this server can do, by category, as Prometheus has
 * had it since 3.8. Functions and operators are those of the language's own
 * tables; what is behind a flag is false without it. Categories of rooms that
 * do not exist here are left out.
 */
#include "api/api_int.h"
#include "promql/promql.h"

static void put(struct jsonw *j, const char *key, bool on)
{
    jsonw_key(j, key);
    jsonw_bool(j, on);
}

static void begin(struct jsonw *j, const char *category)
{
    jsonw_key(j, category);
    jsonw_object(j);
}

static void put_server(struct jsonw *j, const struct api_options *o)
{
    begin(j, "api");
    put(j, "admin", o->admin);
    put(j, "exclude_alerts", true);
    put(j, "lifecycle", o->lifecycle);
    put(j, "query_stats", true);
    put(j, "remote_write_receiver", o->ops.receive != NULL);
    jsonw_object_end(j);
    begin(j, "prometheus");
    put(j, "agent_mode", o->agent_mode);
    jsonw_object_end(j);
}

static void put_language(struct jsonw *j, unsigned features)
{
    begin(j, "promql");
    put(j, "anchored", features & PROMQL_EXTENDED_RANGES);
    put(j, "at_modifier", true);
    put(j, "bool", true);
    put(j, "by", true);
    put(j, "delayed_name_removal", features & PROMQL_DELAYED_NAME_REMOVAL);
    put(j, "duration_expr", true);
    put(j, "fill", features & PROMQL_BINOP_FILL);
    put(j, "group_left", true);
    put(j, "group_right", true);
    put(j, "ignoring", true);
    put(j, "negative_offset", true);
    put(j, "offset", true);
    put(j, "on", true);
    put(j, "per_query_lookback_delta", true);
    put(j, "per_step_stats", features & PROMQL_PER_STEP_STATS);
    put(j, "smoothed", features & PROMQL_EXTENDED_RANGES);
    put(j, "subqueries", true);
    put(j, "type_and_unit_labels", features & PROMQL_TYPE_AND_UNIT);
    put(j, "without", true);
    jsonw_object_end(j);
}

static void put_functions(struct jsonw *j, unsigned features)
{
    const struct promql_function *f;

    begin(j, "promql_functions");
    for (size_t i = 0; (f = promql_function_at(i)) != NULL; i++)
        put(j, f->name,
            !f->experimental || (features & PROMQL_EXPERIMENTAL_FUNCTIONS));
    jsonw_object_end(j);
}

static void put_operators(struct jsonw *j, unsigned features)
{
    begin(j, "promql_operators");
    put(j, "!~", true);
    put(j, "=~", true);
    for (int op = 0; op < PROMQL_OP_COUNT; op++)
        put(j, promql_op_name((enum promql_op)op),
            (op != PROMQL_LIMITK && op != PROMQL_LIMIT_RATIO) ||
                (features & PROMQL_EXPERIMENTAL_FUNCTIONS));
    jsonw_object_end(j);
}

void api_handle_features(struct api *api, struct http_call *call)
{
    const struct api_options *o = &api->options;
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);

    jsonw_object(j);
    put_server(j, o);
    put_language(j, o->promql_features);
    put_functions(j, o->promql_features);
    put_operators(j, o->promql_features);
    begin(j, "tsdb");
    put(j, "exemplar_storage", true);
    put(j, "native_histograms", true);
    jsonw_object_end(j);
    jsonw_object_end(j);
    api_answer_send(&a);
}
