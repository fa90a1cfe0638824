/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/query and /api/v1/format_query. A query runs on the worker that
 * took the request; the gate bounds how many run at once and how many may
 * wait for that. Waiting counts against the query's own deadline. The engine
 * asks whether the client is still there, so a closed browser tab ends its
 * queries.
 *
 * Order of the checks and texts of the errors are those of Prometheus. Stamps
 * of vectors are seconds with none or three decimals, those of scalars and
 * strings the shortest float: both are what clients are used to.
 */
#include "api/api_int.h"
#include "api/times.h"
#include "model/number.h"
#include "promql/promql.h"
#include "util/clock.h"
#include "util/str.h"

/* Queries that may wait, for each that may run. */
#define WAITING_PER_RUNNING 4

/* ---- the gate ---------------------------------------------------------- */

void api_gate_init(struct query_gate *g, int64_t limit)
{
    pthread_condattr_t attr;

    *g = (struct query_gate){ .limit = limit };
    pthread_mutex_init(&g->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->freed, &attr);
    pthread_condattr_destroy(&attr);
}

void api_gate_fini(struct query_gate *g)
{
    pthread_cond_destroy(&g->freed);
    pthread_mutex_destroy(&g->mutex);
}

static sonde_code gate_wait(struct query_gate *g, sonde_msec deadline)
{
    struct timespec until = clock_timespec(deadline);
    int rc = 0;

    g->waiting++;
    while (g->running >= g->limit && rc == 0)
        rc = pthread_cond_timedwait(&g->freed, &g->mutex, &until);
    g->waiting--;
    return g->running < g->limit ? SONDE_OK : SONDE_ETIMEOUT;
}

/* SONDE_OK: leave by gate_leave. The deadline is of the machine's clock. */
static sonde_code gate_enter(struct api *api, sonde_msec deadline,
                             struct sonde_err *err)
{
    struct query_gate *g = &api->gate;
    sonde_code rc = SONDE_OK;

    pthread_mutex_lock(&g->mutex);
    if (g->running >= g->limit && g->waiting >= g->limit * WAITING_PER_RUNNING)
        rc = SONDE_ELIMIT;
    else if (g->running >= g->limit)
        rc = gate_wait(g, deadline);
    if (rc == SONDE_OK)
        g->running++;
    metric_set(api->queries_running, g->running + g->waiting);
    pthread_mutex_unlock(&g->mutex);
    if (rc != SONDE_OK)
        metric_inc(api->queries_rejected);
    if (rc == SONDE_ELIMIT)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "too many queries are running and waiting");
    if (rc != SONDE_OK)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "query timed out in query queue");
    return SONDE_OK;
}

static void gate_leave(struct api *api)
{
    struct query_gate *g = &api->gate;

    pthread_mutex_lock(&g->mutex);
    g->running--;
    metric_set(api->queries_running, g->running + g->waiting);
    pthread_cond_signal(&g->freed);
    pthread_mutex_unlock(&g->mutex);
}

/* ---- results ----------------------------------------------------------- */

/* [time, "value"], time in the shortest form. */
static void put_stamped(struct jsonw *j, sonde_msec t, sonde_str value)
{
    jsonw_array(j);
    jsonw_real(j, (double)t / 1000);
    jsonw_str(j, value);
    jsonw_array_end(j);
}

static void put_scalar(struct jsonw *j, const struct promql_value *v)
{
    char text[NUMBER_MAX_BYTES];
    size_t n = number_format(text, v->scalar, NUMBER_PLAIN);

    put_stamped(j, v->t, (sonde_str){ text, n });
}

static void put_vector(struct jsonw *j, const struct promql_value *v,
                       size_t limit)
{
    jsonw_array(j);
    for (size_t i = 0; i < v->count && (limit == 0 || i < limit); i++) {
        const struct promql_element *e = &v->vector[i];

        jsonw_object(j);
        jsonw_key(j, "metric");
        jsonw_labels(j, &e->labels);
        jsonw_key(j, "value");
        jsonw_array(j);
        jsonw_seconds(j, e->t);
        jsonw_value(j, e->v);
        jsonw_array_end(j);
        jsonw_object_end(j);
    }
    jsonw_array_end(j);
}

static void reply_value(struct http_call *call, const struct promql_value *v,
                        size_t limit)
{
    struct api_answer a;
    struct jsonw *j;

    if (v->type != PROMQL_SCALAR && v->type != PROMQL_STRING &&
        v->type != PROMQL_VECTOR) {
        api_error(call, API_EXECUTION,
                  "this type of result is not supported yet");
        return;
    }
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    jsonw_key(j, "resultType");
    jsonw_cstr(j, v->type == PROMQL_SCALAR   ? "scalar"
                  : v->type == PROMQL_STRING ? "string"
                                             : "vector");
    jsonw_key(j, "result");
    if (v->type == PROMQL_SCALAR) {
        put_scalar(j, v);
    } else if (v->type == PROMQL_STRING) {
        put_stamped(j, v->t, v->string);
    } else {
        put_vector(j, v, limit);
        if (limit > 0 && v->count > limit)
            a.warning = API_TRUNCATED;
    }
    jsonw_object_end(j);
    a.warnings = v->warnings;
    api_answer_send(&a);
}

/* ---- the query --------------------------------------------------------- */

struct query_params {
    sonde_msec time, timeout, lookback;
    size_t limit;
    sonde_str text;
};

static bool get_params(struct api *api, struct http_call *call,
                       struct query_params *p)
{
    *p = (struct query_params){
        .time = clock_now(api->options.clock),
        .timeout = api->options.query_timeout_ms,
        .lookback = api->options.lookback_ms,
        .text = api_param(call, "query"),
    };
    if (!api_limit_param(call, &p->limit) ||
        !api_time_param(call, "time", &p->time) ||
        !api_duration_param(call, "timeout", &p->timeout) ||
        !api_duration_param(call, "lookback_delta", &p->lookback))
        return false;
    if (p->timeout > api->options.query_timeout_ms)
        p->timeout = api->options.query_timeout_ms;
    if (p->lookback == 0)
        p->lookback = api->options.lookback_ms;
    return true;
}

static bool parse_query(struct http_call *call, sonde_str text,
                        struct promql_expr **out)
{
    struct promql_limits limits = { 0 };
    struct sonde_err err = { 0 };

    if (promql_parse(http_call_arena(call), text, &limits, out, &err) ==
        SONDE_OK)
        return true;
    api_error(call, API_BAD_DATA, "invalid parameter \"query\": %s", err.text);
    return false;
}

static bool call_gone(void *call)
{
    return http_call_gone(call);
}

static sonde_code evaluate(struct api *api, struct http_call *call,
                           const struct query_params *p,
                           const struct promql_expr *expr,
                           struct promql_value *out, struct sonde_err *err)
{
    struct promql_query q = {
        .storage = atomic_load(&api->storage),
        .lookback_ms = p->lookback,
        .deadline_ms = clock_monotonic(&clock_system) + p->timeout,
        .canceled = call_gone,
        .canceled_arg = call,
    };
    sonde_code rc;

    if (p->timeout == 0)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "query timed out in expression evaluation");
    rc = gate_enter(api, q.deadline_ms, err);
    if (rc != SONDE_OK)
        return rc;
    rc = promql_instant(&q, http_call_arena(call), expr, p->time, out, err);
    gate_leave(api);
    if (rc == SONDE_ETIMEOUT)
        return sonde_err_set(err, rc,
                             "query timed out in expression evaluation");
    if (rc == SONDE_ECANCELED)
        return sonde_err_set(err, rc,
                             "query was canceled in expression evaluation");
    return rc;
}

void api_handle_query(struct api *api, struct http_call *call)
{
    struct promql_value value = { 0 };
    struct promql_expr *expr = NULL;
    struct sonde_err err = { 0 };
    struct query_params p;
    sonde_code rc;

    if (!api_store(api, call) || !get_params(api, call, &p) ||
        !parse_query(call, p.text, &expr))
        return;
    rc = evaluate(api, call, &p, expr, &value, &err);
    if (rc == SONDE_OK)
        reply_value(call, &value, p.limit);
    else
        api_fail(call, &err);
    promql_fini(expr);
}

void api_handle_query_range(struct api *api, struct http_call *call)
{
    struct promql_expr *expr = NULL;

    (void)api;
    if (!parse_query(call, api_param(call, "query"), &expr))
        return;
    promql_fini(expr);
    api_error(call, API_EXECUTION,
              "range queries are not supported yet; /api/v1/query is");
}

void api_handle_format_query(struct api *api, struct http_call *call)
{
    struct promql_expr *expr = NULL;
    struct api_answer a;
    struct jsonw *j;
    struct buf text;

    (void)api;
    if (!parse_query(call, api_param(call, "query"), &expr))
        return;
    buf_init(&text);
    promql_print(&text, expr);
    j = api_answer_begin(&a, call);
    jsonw_str(j, buf_str(&text));
    api_answer_send(&a);
    buf_fini(&text);
    promql_fini(expr);
}
