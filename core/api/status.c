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

static void put(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_cstr(j, value);
}

static void put_int(struct json *j, const char *key, int64_t value)
{
    json_key(j, key);
    json_int(j, value);
}

void handle_config(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    struct api_answer a;
    struct json *j;

    if (!ops->config_yaml) {
        api_error(call, API_NOT_READY, "the configuration is not available");
        return;
    }
    j = answer_begin(&a, call);
    json_object(j);
    json_key(j, "yaml");
    json_str(j, ops->config_yaml(ops->arg, http_call_arena(call)));
    json_object_end(j);
    answer_send(&a);
}

void handle_flags(struct api *api, struct http_call *call)
{
    struct api_answer a;
    struct json *j = answer_begin(&a, call);

    json_object(j);
    for (size_t i = 0; i < api->options.flag_count; i++) {
        json_key(j, api->options.flags[i].name);
        json_str(j, api->options.flags[i].value);
    }
    json_object_end(j);
    answer_send(&a);
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

void handle_runtimeinfo(struct api *api, struct http_call *call)
{
    struct api_runtime r;
    struct api_answer a;
    struct json *j;

    if (!get_runtime(api, call, &r))
        return;
    j = answer_begin(&a, call);
    json_object(j);
    json_key(j, "startTime");
    json_time(j, r.start_time);
    json_key(j, "CWD");
    json_str(j, r.cwd);
    json_key(j, "hostname");
    json_str(j, r.hostname);
    json_key(j, "serverTime");
    json_time(j, clock_now(api->options.clock));
    json_key(j, "reloadConfigSuccess");
    json_bool(j, r.reload_success);
    json_key(j, "lastConfigTime");
    json_time(j, r.last_config_time);
    json_key(j, "corruptionCount");
    json_uint(j, r.corruptions);
    json_key(j, "goroutineCount");
    json_uint(j, r.threads);
    put_int(j, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    put_int(j, "GOMEMLIMIT", INT64_MAX);
    put(j, "GOGC", "");
    put(j, "GODEBUG", "");
    json_key(j, "storageRetention");
    json_str(j, r.retention);
    json_object_end(j);
    answer_send(&a);
}

static void put_build(struct json *j)
{
    json_object(j);
    put(j, "version", API_VERSION);
    put(j, "revision", PACKAGE_STRING);
    put(j, "branch", "");
    put(j, "buildUser", "");
    put(j, "buildDate", "");
    put(j, "goVersion", "");
    json_object_end(j);
}

void handle_buildinfo(struct api *api, struct http_call *call)
{
    struct api_answer a;

    (void)api;
    put_build(answer_begin(&a, call));
    answer_send(&a);
}

void handle_version(struct api *api, struct http_call *call)
{
    struct buf b;
    struct json j = json_to(&b);

    (void)api;
    buf_init(&b);
    put_build(&j);
    http_reply_take(call, 200, "text/plain; charset=utf-8", &b);
}

static void put_empty_lists(struct json *j)
{
    static const char *const keys[] = { "seriesCountByMetricName",
                                        "labelValueCountByLabelName",
                                        "memoryInBytesByLabelName",
                                        "seriesCountByLabelValuePair" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_key(j, keys[i]);
        json_array(j);
        json_array_end(j);
    }
}

void handle_tsdb(struct api *api, struct http_call *call)
{
    struct api_runtime r;
    struct api_answer a;
    struct json *j;

    if (!get_runtime(api, call, &r))
        return;
    j = answer_begin(&a, call);
    json_object(j);
    json_key(j, "headStats");
    json_object(j);
    json_key(j, "numSeries");
    json_uint(j, r.series);
    json_key(j, "numLabelPairs");
    json_uint(j, r.label_pairs);
    json_key(j, "chunkCount");
    json_uint(j, r.chunks);
    put_int(j, "minTime", r.head_min);
    put_int(j, "maxTime", r.head_max);
    json_object_end(j);
    put_empty_lists(j);
    json_object_end(j);
    answer_send(&a);
}

void handle_walreplay(struct api *api, struct http_call *call)
{
    struct api_runtime r;
    struct api_answer a;
    struct json *j;

    if (!get_runtime(api, call, &r))
        return;
    j = answer_begin(&a, call);
    json_object(j);
    json_key(j, "min");
    json_uint(j, r.wal_first);
    json_key(j, "max");
    json_uint(j, r.wal_last);
    json_key(j, "current");
    json_uint(j, r.wal_current);
    json_object_end(j);
    answer_send(&a);
}
