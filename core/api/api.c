/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of endpoints, and what is done before each of them: counting,
 * CORS headers, OPTIONS, the refusal of what agent mode has not. Handlers are
 * one concept a file and know nothing of each other.
 *
 * All state of a request is the call's; the api itself does not change after
 * api_new but for the store's pointer (set once replay is done), the gate of
 * the queries, and counters. Handlers run on many threads.
 */
#include <stdlib.h>
#include <unistd.h>

#include "api/api_int.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/parallel.h"
#include "util/str.h"

#define HELPERS_MAX    15 /* of a query                                 */
#define FORM_MAX_BYTES ((size_t)10 << 20) /* as Prometheus */

#define GET     (1u << HTTP_GET)
#define HEAD    (1u << HTTP_HEAD)
#define POST    (1u << HTTP_POST)
#define PUT     (1u << HTTP_PUT)
#define OPTIONS (1u << HTTP_OPTIONS)
#define ALL     ((1u << (HTTP_OTHER + 1)) - 1)

static void api_handle_unknown(struct api *api, struct http_call *call)
{
    (void)api;
    api_not_found(call);
}

static void api_handle_notifications(struct api *api, struct http_call *call)
{
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);

    (void)api;
    jsonw_array(j);
    jsonw_array_end(j);
    api_answer_send(&a);
}

/* Not JSON: what it answers is the receiver's. */
static void api_handle_write(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;

    if (ops->receive)
        ops->receive(ops->arg, call);
    else
        api_not_found(call);
}

/* Nor is this. */
static void api_handle_read(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;

    if (ops->read)
        ops->read(ops->arg, call);
    else
        api_not_found(call);
}

static const struct api_endpoint endpoints[] = {
    { "/", GET, ENDPOINT_EARLY | ENDPOINT_GZIP, api_handle_landing },
    { "/-/healthy", GET | HEAD, ENDPOINT_EARLY | ENDPOINT_QUICK,
      api_handle_healthy },
    { "/-/ready", GET | HEAD, ENDPOINT_EARLY | ENDPOINT_QUICK,
      api_handle_ready },
    { "/-/reload", GET | POST | PUT, ENDPOINT_EARLY, api_handle_reload },
    { "/-/quit", GET | POST | PUT, ENDPOINT_EARLY, api_handle_quit },
    { "/metrics", GET, ENDPOINT_EARLY | ENDPOINT_GZIP, api_handle_metrics },
    { "/version", GET, ENDPOINT_EARLY, api_handle_version },
    { "/federate", GET, ENDPOINT_GZIP | ENDPOINT_STORE, api_handle_federate },
    { "/api/v1/query", GET | POST,
      ENDPOINT_API | ENDPOINT_STORE | ENDPOINT_FORM, api_handle_query },
    { "/api/v1/query_range", GET | POST,
      ENDPOINT_API | ENDPOINT_STORE | ENDPOINT_FORM, api_handle_query_range },
    { "/api/v1/format_query", GET | POST, ENDPOINT_API | ENDPOINT_FORM,
      api_handle_format_query },
    { "/api/v1/parse_query", GET | POST, ENDPOINT_API | ENDPOINT_FORM,
      api_handle_parse_query },
    { "/api/v1/query_exemplars", GET | POST,
      ENDPOINT_API | ENDPOINT_STORE | ENDPOINT_FORM,
      api_handle_query_exemplars },
    { "/api/v1/series", GET | POST,
      ENDPOINT_API | ENDPOINT_STORE | ENDPOINT_FORM, api_handle_series },
    { "/api/v1/labels", GET | POST,
      ENDPOINT_API | ENDPOINT_STORE | ENDPOINT_FORM, api_handle_labels },
    { "/api/v1/label/*", GET, ENDPOINT_API | ENDPOINT_STORE,
      api_handle_label_values },
    { "/api/v1/metadata", GET, ENDPOINT_API, api_handle_metadata },
    { "/api/v1/targets", GET, ENDPOINT_API, api_handle_targets },
    { "/api/v1/targets/metadata", GET, ENDPOINT_API,
      api_handle_targets_metadata },
    { "/api/v1/targets/relabel_steps", GET, ENDPOINT_API,
      api_handle_relabel_steps },
    { "/api/v1/status/tsdb/blocks", GET, ENDPOINT_API | ENDPOINT_STORE,
      api_handle_blocks },
    { "/api/v1/scrape_pools", GET, ENDPOINT_API, api_handle_scrape_pools },
    { "/api/v1/alerts", GET, ENDPOINT_API | ENDPOINT_STORE, api_handle_alerts },
    { "/api/v1/rules", GET, ENDPOINT_API | ENDPOINT_STORE, api_handle_rules },
    { "/api/v1/alertmanagers", GET, ENDPOINT_API | ENDPOINT_STORE,
      api_handle_alertmanagers },
    { "/api/v1/features", GET, ENDPOINT_API, api_handle_features },
    { "/api/v1/notifications", GET, ENDPOINT_API | ENDPOINT_EARLY,
      api_handle_notifications },
    { "/api/v1/status/config", GET, ENDPOINT_API, api_handle_config },
    { "/api/v1/status/flags", GET, ENDPOINT_API, api_handle_flags },
    { "/api/v1/status/runtimeinfo", GET, ENDPOINT_API, api_handle_runtimeinfo },
    { "/api/v1/status/buildinfo", GET, ENDPOINT_API, api_handle_buildinfo },
    { "/api/v1/status/tsdb", GET, ENDPOINT_API | ENDPOINT_STORE,
      api_handle_tsdb },
    { "/api/v1/status/walreplay", GET, ENDPOINT_API | ENDPOINT_EARLY,
      api_handle_walreplay },
    { "/api/v1/admin/tsdb/snapshot", POST | PUT,
      ENDPOINT_API | ENDPOINT_STORE | ENDPOINT_FORM, api_handle_snapshot },
    { "/api/v1/admin/tsdb/delete_series", POST | PUT,
      ENDPOINT_API | ENDPOINT_STORE | ENDPOINT_FORM, api_handle_delete_series },
    { "/api/v1/admin/tsdb/clean_tombstones", POST | PUT,
      ENDPOINT_API | ENDPOINT_STORE | ENDPOINT_FORM,
      api_handle_clean_tombstones },
    { "/api/v1/write", POST, 0, api_handle_write },
    { "/api/v1/read", POST, ENDPOINT_STORE, api_handle_read },
    { "/api/v1/*", ALL, ENDPOINT_API, api_handle_unknown },
};
#define ENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

static void set_cors(const struct api *api, struct http_call *call)
{
    sonde_str origin = http_call_header(call, "Origin");

    http_call_set_header(call, "Vary", SONDE_STR("Origin"));
    if (origin.len == 0)
        return;
    http_call_set_header(
        call, "Access-Control-Allow-Headers",
        SONDE_STR("Accept, Authorization, Content-Type, Origin"));
    http_call_set_header(call, "Access-Control-Allow-Methods",
                         SONDE_STR("GET, POST, OPTIONS"));
    http_call_set_header(call, "Access-Control-Expose-Headers",
                         SONDE_STR("Date"));
    if (!api->cors)
        http_call_set_header(call, "Access-Control-Allow-Origin",
                             SONDE_STR("*"));
    else if (regex_match(api->cors, origin))
        http_call_set_header(call, "Access-Control-Allow-Origin", origin);
}

static void count_request(struct api *api, const struct http_call *call,
                          const struct api_endpoint *e, uint64_t begin_ns)
{
    char labels[128];

    api_metrics_request(api->metrics, (size_t)(e - endpoints),
                        (double)(clock_ns() - begin_ns) / 1e9,
                        http_call_sent_bytes(call));
    (void)snprintf(labels, sizeof(labels), "code=\"%d\",handler=\"%s\"",
                   http_call_status(call), e->path);
    metric_inc(selfmetrics_counter(api->options.metrics,
                                   "prometheus_http_requests_total",
                                   "Counter of HTTP requests.", labels));
}

uint64_t api_reads(const struct api *api)
{
    return atomic_load_explicit(&api->reads, memory_order_relaxed);
}

static void dispatch(struct http_call *call, void *arg)
{
    const struct api_slot *slot = arg;
    const struct api_endpoint *e = slot->endpoint;
    struct api *api = slot->api;
    uint64_t begin_ns = clock_ns();

    if (e->flags & ENDPOINT_STORE)
        atomic_fetch_add_explicit(&api->reads, 1, memory_order_relaxed);
    if (e->flags & ENDPOINT_API)
        set_cors(api, call);
    if ((e->flags & ENDPOINT_API) && http_call_method(call) == HTTP_OPTIONS)
        http_reply(call, 204, "", (sonde_str){ 0 });
    else if ((e->flags & ENDPOINT_STORE) && api->options.agent_mode)
        api_error(call, API_EXECUTION, "unavailable with Prometheus Agent");
    else
        e->run(api, call);
    count_request(api, call, e, begin_ns);
}

static size_t body_max(const struct api *api, const struct api_endpoint *e)
{
    if (e->run == api_handle_write && api->options.ops.receive)
        return api->options.ops.receive_max_bytes;
    if (e->run == api_handle_read && api->options.ops.read)
        return api->options.ops.read_max_bytes;
    return e->flags & ENDPOINT_FORM ? FORM_MAX_BYTES : 0;
}

static void routes_make(struct api *api)
{
    api->routes = mem_zalloc(ENDPOINTS * sizeof(*api->routes));
    api->slots = mem_zalloc(ENDPOINTS * sizeof(*api->slots));
    api->route_count = ENDPOINTS;
    for (size_t i = 0; i < ENDPOINTS; i++) {
        const struct api_endpoint *e = &endpoints[i];
        bool json = e->flags & ENDPOINT_API;

        api->slots[i] = (struct api_slot){ api, e };
        api->routes[i] = (struct http_route){
            .path = e->path,
            .methods = e->methods | (json ? OPTIONS : 0),
            .handler = dispatch,
            .arg = &api->slots[i],
            .body_max_bytes = body_max(api, e),
            .compress = json || (e->flags & ENDPOINT_GZIP),
            .before_ready = e->flags & ENDPOINT_EARLY,
            .quick = e->flags & ENDPOINT_QUICK,
        };
    }
}

static void metrics_register(struct api *api)
{
    struct selfmetrics *m = api->options.metrics;

    api->queries_running =
        selfmetrics_gauge(m, "prometheus_engine_queries",
                          "The current number of queries being executed or "
                          "waiting.",
                          NULL);
    api->queries_rejected = selfmetrics_counter(
        m, "sonde_api_queries_rejected_total",
        "Queries refused because too many were running and waiting.", NULL);
    metric_set(selfmetrics_gauge(m, "prometheus_engine_queries_concurrent_max",
                                 "The max number of concurrent queries.", NULL),
               api->gate.limit);
    api_query_log_init(&api->query_log, m);
    selfmetrics_callback(m, selfmetrics_process, api);
    selfmetrics_callback(m, api_metrics_write, api);
}

/* Beside the worker of the query itself. */
static size_t helpers(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores > HELPERS_MAX ? HELPERS_MAX
           : cores > 1         ? (size_t)cores - 1
                               : 0;
}

sonde_code api_new(const struct api_options *options, struct api **out,
                   struct sonde_err *err)
{
    struct api *api = mem_new(struct api);
    sonde_str origin = options->cors_origin;
    sonde_code rc = SONDE_OK;

    api->options = *options;
    if (api->options.lookback_ms <= 0)
        api->options.lookback_ms = 5 * 60 * 1000;
    if (api->options.query_timeout_ms <= 0)
        api->options.query_timeout_ms = 2 * 60 * 1000;
    if (api->options.query_max_concurrency <= 0)
        api->options.query_max_concurrency = 20;
    atomic_init(&api->storage, options->storage);
    api_gate_init(&api->gate, api->options.query_max_concurrency);
    if (origin.len > 0 && !str_eq_cstr(origin, ".*"))
        rc = regex_new(origin, &api->cors, err);
    if (rc != SONDE_OK) {
        (void)sonde_err_prefix(err, "--web.cors.origin");
        api_gate_fini(&api->gate);
        free(api);
        return rc;
    }
    api->pool = parallel_new(helpers());
    routes_make(api);
    api->metrics = api_metrics_new(ENDPOINTS);
    metrics_register(api);
    *out = api;
    return SONDE_OK;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    selfmetrics_uncallback(api->options.metrics, selfmetrics_process, api);
    selfmetrics_uncallback(api->options.metrics, api_metrics_write, api);
    api_metrics_free(api->metrics);
    api_query_log_fini(&api->query_log);
    parallel_free(api->pool);
    regex_unref(api->cors);
    api_gate_fini(&api->gate);
    free(api->routes);
    free(api->slots);
    free(api);
}

void api_set_storage(struct api *api, struct storage *storage)
{
    atomic_store(&api->storage, storage);
}

const struct http_route *api_routes(const struct api *api, size_t *count)
{
    *count = api->route_count;
    return api->routes;
}
