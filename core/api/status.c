/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/status/... and /version. Clients decide by the version what they
 * may ask for, so it is the version of Prometheus whose API this is, with
 * sonde's own as semantic versioning's build part. Keys that speak of Go's
 * runtime are there because clients expect them.
 */
#include <unistd.h>

#include "api/api_int.h"
#include "config.h"
#include "util/clock.h"

#define API_VERSION "3.5.0+sonde." PACKAGE_VERSION

static void put(struct jsonw *j, const char *key, const char *value)
{
    jsonw_key(j, key);
    jsonw_cstr(j, value);
}

static void put_int(struct jsonw *j, const char *key, int64_t value)
{
    jsonw_key(j, key);
    jsonw_int(j, value);
}

void api_handle_config(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    struct api_answer a;
    struct jsonw *j;

    if (!ops->config_yaml) {
        api_error(call, API_NOT_READY, "the configuration is not available");
        return;
    }
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    jsonw_key(j, "yaml");
    jsonw_str(j, ops->config_yaml(ops->arg, http_call_arena(call)));
    jsonw_object_end(j);
    api_answer_send(&a);
}

void api_handle_flags(struct api *api, struct http_call *call)
{
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);

    jsonw_object(j);
    for (size_t i = 0; i < api->options.flag_count; i++) {
        jsonw_key(j, api->options.flags[i].name);
        jsonw_str(j, api->options.flags[i].value);
    }
    jsonw_object_end(j);
    api_answer_send(&a);
}

/* False: it was replied to. */
static bool get_runtime(struct api *api, struct http_call *call,
                        struct api_runtime *out)
{
    const struct api_ops *ops = &api->options.ops;

    *out = (struct api_runtime){ 0 };
    if (!ops->runtime) {
        api_error(call, API_NOT_READY, "the status is not available");
        return false;
    }
    ops->runtime(ops->arg, http_call_arena(call), out);
    return true;
}

void api_handle_runtimeinfo(struct api *api, struct http_call *call)
{
    struct api_runtime r;
    struct api_answer a;
    struct jsonw *j;

    if (!get_runtime(api, call, &r))
        return;
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    jsonw_key(j, "startTime");
    jsonw_time(j, r.start_time);
    jsonw_key(j, "CWD");
    jsonw_str(j, r.cwd);
    jsonw_key(j, "hostname");
    jsonw_str(j, r.hostname);
    jsonw_key(j, "serverTime");
    jsonw_time(j, clock_now(api->options.clock));
    jsonw_key(j, "reloadConfigSuccess");
    jsonw_bool(j, r.reload_success);
    jsonw_key(j, "lastConfigTime");
    jsonw_time(j, r.last_config_time);
    jsonw_key(j, "corruptionCount");
    jsonw_uint(j, r.corruptions);
    jsonw_key(j, "goroutineCount");
    jsonw_uint(j, r.threads);
    put_int(j, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    put_int(j, "GOMEMLIMIT", INT64_MAX);
    put(j, "GOGC", "");
    put(j, "GODEBUG", "");
    jsonw_key(j, "storageRetention");
    jsonw_str(j, r.retention);
    jsonw_object_end(j);
    api_answer_send(&a);
}

static void put_build(struct jsonw *j)
{
    jsonw_object(j);
    put(j, "version", API_VERSION);
    put(j, "revision", PACKAGE_STRING);
    put(j, "branch", "");
    put(j, "buildUser", "");
    put(j, "buildDate", "");
    put(j, "goVersion", "");
    jsonw_object_end(j);
}

void api_handle_buildinfo(struct api *api, struct http_call *call)
{
    struct api_answer a;

    (void)api;
    put_build(api_answer_begin(&a, call));
    api_answer_send(&a);
}

void api_handle_version(struct api *api, struct http_call *call)
{
    struct buf b;
    struct jsonw j = jsonw_to(&b);

    (void)api;
    buf_init(&b);
    put_build(&j);
    http_reply_take(call, 200, "text/plain; charset=utf-8", &b);
}

#define TOP_DEFAULT 10
#define TOP_MAX     10000

static bool top_limit(struct http_call *call, size_t *out)
{
    sonde_str v = api_param(call, "limit");
    int64_t n = TOP_DEFAULT;

    if (v.len && (!api_int_parse(v, &n) || n < 1)) {
        api_error(call, API_BAD_DATA, "limit must be a positive number");
        return false;
    }
    if (n > TOP_MAX) {
        api_error(call, API_BAD_DATA, "limit must not exceed %d", TOP_MAX);
        return false;
    }
    *out = (size_t)n;
    return true;
}

static void put_tops(struct api *api, struct http_call *call, struct jsonw *j,
                     size_t limit)
{
    static const struct {
        const char *key;
        enum api_top_kind kind;
    } lists[] = {
        { "seriesCountByMetricName", API_TOP_METRICS },
        { "labelValueCountByLabelName", API_TOP_LABEL_VALUES },
        { "memoryInBytesByLabelName", API_TOP_LABEL_BYTES },
        { "seriesCountByLabelValuePair", API_TOP_PAIRS },
    };
    const struct api_ops *ops = &api->options.ops;
    struct api_top_list tops[API_TOPS] = { 0 };

    if (ops->tops)
        ops->tops(ops->arg, limit, http_call_arena(call), tops);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const struct api_top_list *l = &tops[lists[i].kind];

        jsonw_key(j, lists[i].key);
        jsonw_array(j);
        for (size_t k = 0; k < l->count; k++) {
            jsonw_object(j);
            jsonw_key(j, "name");
            jsonw_str(j, l->items[k].name);
            jsonw_key(j, "value");
            jsonw_uint(j, l->items[k].count);
            jsonw_object_end(j);
        }
        jsonw_array_end(j);
    }
}

void api_handle_tsdb(struct api *api, struct http_call *call)
{
    struct api_runtime r;
    struct api_answer a;
    struct jsonw *j;
    size_t limit;

    if (!top_limit(call, &limit) || !get_runtime(api, call, &r))
        return;
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    jsonw_key(j, "headStats");
    jsonw_object(j);
    jsonw_key(j, "numSeries");
    jsonw_uint(j, r.series);
    jsonw_key(j, "numLabelPairs");
    jsonw_uint(j, r.label_pairs);
    jsonw_key(j, "chunkCount");
    jsonw_uint(j, r.chunks);
    put_int(j, "minTime", r.head_min);
    put_int(j, "maxTime", r.head_max);
    jsonw_object_end(j);
    put_tops(api, call, j, limit);
    jsonw_object_end(j);
    api_answer_send(&a);
}

void api_handle_walreplay(struct api *api, struct http_call *call)
{
    struct api_runtime r;
    struct api_answer a;
    struct jsonw *j;

    if (!get_runtime(api, call, &r))
        return;
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    jsonw_key(j, "min");
    jsonw_uint(j, r.wal_first);
    jsonw_key(j, "max");
    jsonw_uint(j, r.wal_last);
    jsonw_key(j, "current");
    jsonw_uint(j, r.wal_current);
    jsonw_object_end(j);
    api_answer_send(&a);
}
