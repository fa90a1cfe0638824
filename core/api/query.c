/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/query, /api/v1/query_range and /api/v1/format_query. A query runs on
 * the worker that took the request; the gate bounds how many run at once and
 * how many may wait for that. Waiting counts against the query's own deadline.
 * The engine asks whether the client is still there, so a closed browser tab
 * ends its queries.
 *
 * Order of the checks and texts of the errors are those of Prometheus.
 */
#include "api/api_int.h"
#include "api/times.h"
#include "model/number.h"
#include "promql/promql.h"
#include "util/clock.h"
#include "util/str.h"

/* Queries that may wait, for each that may run. */
#define WAITING_PER_RUNNING 4
#define LOOK_MS             50 /* so often one that waits looks for its client */

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

/* The gauge of queries; the mutex is held. */
static void gate_show(struct api *api)
{
    metric_set(api->queries_running, api->gate.running + api->gate.waiting);
}

/* Until there is room, the deadline, or the client has gone. */
static sonde_code gate_wait(struct api *api, struct http_call *call,
                            sonde_msec deadline)
{
    struct query_gate *g = &api->gate;
    sonde_code rc = SONDE_OK;

    g->waiting++;
    gate_show(api);
    while (g->running >= g->limit && rc == SONDE_OK) {
        sonde_msec now = clock_monotonic(&clock_system);
        sonde_msec next = now + LOOK_MS < deadline ? now + LOOK_MS : deadline;
        struct timespec until = clock_timespec(next);

        (void)pthread_cond_timedwait(&g->freed, &g->mutex, &until);
        if (g->running < g->limit)
            break;
        if (http_call_gone(call))
            rc = SONDE_ECANCELED;
        else if (clock_monotonic(&clock_system) >= deadline)
            rc = SONDE_ETIMEOUT;
    }
    g->waiting--;
    return rc;
}

/* SONDE_OK: leave by gate_leave. The deadline is of the machine's clock. */
static sonde_code gate_enter(struct api *api, struct http_call *call,
                             sonde_msec deadline, struct sonde_err *err)
{
    struct query_gate *g = &api->gate;
    sonde_code rc = SONDE_OK;

    pthread_mutex_lock(&g->mutex);
    if (g->running >= g->limit && g->waiting >= g->limit * WAITING_PER_RUNNING)
        rc = SONDE_ELIMIT;
    else if (g->running >= g->limit)
        rc = gate_wait(api, call, deadline);
    if (rc == SONDE_OK)
        g->running++;
    gate_show(api);
    pthread_mutex_unlock(&g->mutex);
    if (rc != SONDE_OK)
        metric_inc(api->queries_rejected);
    if (rc == SONDE_ELIMIT)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "too many queries are running and waiting");
    if (rc == SONDE_ECANCELED)
        return sonde_err_set(err, rc, "query was canceled in query queue");
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
    gate_show(api);
    pthread_cond_signal(&g->freed);
    pthread_mutex_unlock(&g->mutex);
}

/* ---- the query --------------------------------------------------------- */

#define POINTS_MAX 11000 /* steps of a range query                        */

struct query_params {
    sonde_msec start, end, step; /* of an instant: step 0                  */
    sonde_msec timeout, lookback;
    size_t limit;
    bool stats, step_stats;
    sonde_str text;
};

static bool lookback_param(struct http_call *call, sonde_msec *out)
{
    sonde_str v = api_param(call, "lookback_delta");

    if (v.len == 0 || api_duration_parse(v, out))
        return true;
    api_error(call, API_BAD_DATA,
              "error parsing lookback delta duration: cannot parse \"%.*s\" "
              "to a valid duration",
              SONDE_ARG(str_sub(v, 0, API_SHOWN_MAX)));
    return false;
}

/* What both kinds of query take. */
static bool common_params(struct api *api, struct http_call *call,
                          struct query_params *p)
{
    p->timeout = api->options.query_timeout_ms;
    p->lookback = api->options.lookback_ms;
    p->text = api_param(call, "query");
    p->stats = api_param(call, "stats").len > 0;
    p->step_stats = str_eq_cstr(api_param(call, "stats"), "all");
    if (!api_duration_param(call, "timeout", &p->timeout) ||
        !lookback_param(call, &p->lookback))
        return false;
    if (p->timeout > api->options.query_timeout_ms)
        p->timeout = api->options.query_timeout_ms;
    if (p->lookback == 0)
        p->lookback = api->options.lookback_ms;
    return true;
}

static bool instant_params(struct api *api, struct http_call *call,
                           struct query_params *p)
{
    *p = (struct query_params){ .start = clock_now(api->options.clock) };
    if (!api_limit_param(call, &p->limit) ||
        !api_time_param(call, "time", &p->start) ||
        !common_params(api, call, p))
        return false;
    p->end = p->start;
    return true;
}

/* A time that has to be there. */
static bool bound_param(struct http_call *call, const char *name,
                        sonde_msec *out)
{
    sonde_str v = api_param(call, name);

    if (v.len && api_time_parse(v, out))
        return true;
    api_error(call, API_BAD_DATA,
              "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid "
              "timestamp",
              name, SONDE_ARG(str_sub(v, 0, API_SHOWN_MAX)));
    return false;
}

static bool step_param(struct http_call *call, sonde_msec *out)
{
    sonde_str v = api_param(call, "step");

    if (v.len == 0) {
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"step\": cannot parse \"\" to a valid "
                  "duration");
        return false;
    }
    if (!api_signed_duration_param(call, "step", out))
        return false;
    if (*out > 0)
        return true;
    api_error(call, API_BAD_DATA,
              "invalid parameter \"step\": zero or negative query resolution "
              "step widths are not accepted. Try a positive integer");
    return false;
}

static bool range_params(struct api *api, struct http_call *call,
                         struct query_params *p)
{
    *p = (struct query_params){ 0 };
    if (!api_limit_param(call, &p->limit) ||
        !bound_param(call, "start", &p->start) ||
        !bound_param(call, "end", &p->end))
        return false;
    if (p->end < p->start) {
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"end\": end timestamp must not be "
                  "before start time");
        return false;
    }
    if (!step_param(call, &p->step))
        return false;
    if ((p->end - p->start) / p->step > POINTS_MAX) {
        api_error(call, API_BAD_DATA,
                  "exceeded maximum resolution of 11,000 points per "
                  "timeseries. Try decreasing the query resolution "
                  "(?step=XX)");
        return false;
    }
    return common_params(api, call, p);
}

bool api_parse_query(struct api *api, struct http_call *call,
                     struct promql_expr **out)
{
    struct promql_limits limits = { .features = api->options.promql_features };
    struct sonde_err err = { 0 };

    if (promql_parse(http_call_arena(call), api_param(call, "query"), &limits,
                     out, &err) == SONDE_OK)
        return true;
    api_error(call, API_BAD_DATA, "invalid parameter \"query\": %s", err.text);
    return false;
}

static bool call_gone(void *call)
{
    return http_call_gone(call);
}

static double seconds_since(uint64_t begin_ns)
{
    return (double)(clock_ns() - begin_ns) / 1e9;
}

static void take_timing(struct api *api, const struct promql_result *r,
                        struct api_timing *t)
{
    t->prepare = r->stats.prepare_seconds;
    t->eval = r->stats.eval_seconds;
    t->sort = r->stats.sort_seconds;
    api_metrics_query(api->metrics, t, r->stats.queryable_samples);
}

static sonde_code evaluate(struct api *api, struct http_call *call,
                           const struct query_params *p,
                           const struct promql_expr *expr,
                           struct promql_result **out,
                           struct api_timing *timing, struct sonde_err *err)
{
    unsigned features = api->options.promql_features;
    struct promql_query q = {
        .text = p->text,
        .start = p->start,
        .end = p->end,
        .step = p->step,
        .storage = atomic_load(&api->storage),
        .pool = api->pool,
        .max_samples = api->options.query_max_samples,
        .default_step_ms = api->options.default_step_ms,
        .features = p->step_stats ? features
                                  : features & ~(unsigned)PROMQL_PER_STEP_STATS,
        .lookback_ms = p->lookback,
        .deadline_ms = clock_monotonic(&clock_system) + p->timeout,
        .canceled = call_gone,
        .canceled_arg = call,
    };
    uint64_t begin = clock_ns();
    sonde_code rc;

    if (p->timeout == 0)
        return sonde_err_set(err, SONDE_ETIMEOUT,
                             "query timed out in expression evaluation");
    rc = gate_enter(api, call, q.deadline_ms, err);
    if (rc != SONDE_OK)
        return rc;
    timing->queue = seconds_since(begin);
    rc = promql_run(&q, expr, out, err);
    gate_leave(api);
    timing->total = seconds_since(begin);
    if (rc == SONDE_OK)
        take_timing(api, *out, timing);
    api_query_log(api, call, &q, *out, rc == SONDE_OK ? NULL : err->text,
                  timing);
    if (rc == SONDE_ETIMEOUT)
        return sonde_err_set(err, rc,
                             "query timed out in expression evaluation");
    if (rc == SONDE_ECANCELED)
        return sonde_err_set(err, rc,
                             "query was canceled in expression evaluation");
    return rc;
}

static void answer(struct api *api, struct http_call *call,
                   const struct query_params *p, const struct promql_expr *expr)
{
    struct promql_result *result = NULL;
    struct api_timing timing = { 0 };
    struct sonde_err err = { 0 };
    sonde_code rc = evaluate(api, call, p, expr, &result, &timing, &err);

    if (rc == SONDE_OK)
        api_reply_result(call, result, p->limit, p->stats ? &timing : NULL);
    else if (rc == SONDE_EPARSE) /* a duration in it makes no sense */
        api_error(call, API_BAD_DATA, "invalid parameter \"query\": %s",
                  err.text);
    else
        api_fail(call, &err);
    promql_result_free(result);
}

void api_handle_query(struct api *api, struct http_call *call)
{
    struct promql_expr *expr = NULL;
    struct query_params p;

    if (!api_store(api, call) || !instant_params(api, call, &p) ||
        !api_parse_query(api, call, &expr))
        return;
    answer(api, call, &p, expr);
    promql_fini(expr);
}

/* What has values at steps: numbers and instant vectors. */
static bool has_steps(struct http_call *call, const struct promql_expr *e)
{
    if (e->type == PROMQL_SCALAR || e->type == PROMQL_VECTOR)
        return true;
    api_error(call, API_BAD_DATA,
              "invalid parameter \"query\": invalid expression type \"%s\" for "
              "range query, must be Scalar or instant Vector",
              promql_type_name(e->type));
    return false;
}

void api_handle_query_range(struct api *api, struct http_call *call)
{
    struct promql_expr *expr = NULL;
    struct query_params p;

    if (!api_store(api, call) || !range_params(api, call, &p) ||
        !api_parse_query(api, call, &expr))
        return;
    if (has_steps(call, expr))
        answer(api, call, &p, expr);
    promql_fini(expr);
}

void api_handle_format_query(struct api *api, struct http_call *call)
{
    struct promql_expr *expr = NULL;
    struct api_answer a;
    struct jsonw *j;
    struct buf text;

    if (!api_parse_query(api, call, &expr))
        return;
    buf_init(&text);
    promql_format(&text, expr);
    j = api_answer_begin(&a, call);
    jsonw_str(j, buf_str(&text));
    api_answer_send(&a);
    buf_fini(&text);
    promql_fini(expr);
}
