/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/targets and /api/v1/scrape_pools: what is scraped, what was dropped
 * by relabeling, and how it goes. Parameters that match nothing give empty
 * lists, as in Prometheus; a `state` that does not exist gives two of them.
 */
#include "api/api_int.h"
#include "model/number.h"
#include "util/str.h"

struct target_filter {
    bool active, dropped;
    sonde_str pool; /* empty: all */
};

static struct target_filter filter_of(const struct http_call *call)
{
    sonde_str state = api_param(call, "state");
    bool any = state.len == 0 || str_eq_nocase(state, SONDE_STR("any"));

    return (struct target_filter){
        .active = any || str_eq_nocase(state, SONDE_STR("active")),
        .dropped = any || str_eq_nocase(state, SONDE_STR("dropped")),
        .pool = api_param(call, "scrapePool"),
    };
}

static bool pool_wanted(const struct target_filter *f, sonde_str job)
{
    return f->pool.len == 0 || sonde_str_eq(f->pool, job);
}

static void put_str(struct json *j, const char *key, sonde_str value)
{
    json_key(j, key);
    json_str(j, value);
}

static void put_duration(struct json *j, const char *key, sonde_msec d)
{
    struct buf b;

    buf_init(&b);
    buf_duration(&b, d);
    put_str(j, key, buf_str(&b));
    buf_fini(&b);
}

static void put_active(struct json *j, const struct api_target *t)
{
    json_object(j);
    json_key(j, "discoveredLabels");
    json_labels(j, &t->discovered);
    json_key(j, "labels");
    json_labels(j, &t->labels);
    put_str(j, "scrapePool", t->job);
    put_str(j, "scrapeUrl", t->scrape_url);
    put_str(j, "globalUrl", t->global_url);
    put_str(j, "lastError", t->last_error);
    json_key(j, "lastScrape");
    json_time(j, t->last_scrape);
    json_key(j, "lastScrapeDuration");
    json_real(j, t->last_scrape_seconds);
    json_key(j, "health");
    json_cstr(j, t->health);
    put_duration(j, "scrapeInterval", t->interval);
    put_duration(j, "scrapeTimeout", t->timeout);
    json_object_end(j);
}

static void put_actives(struct json *j, const struct api_targets *ts,
                        const struct target_filter *f)
{
    json_key(j, "activeTargets");
    json_array(j);
    for (size_t i = 0; f->active && i < ts->active_count; i++)
        if (pool_wanted(f, ts->active[i].job))
            put_active(j, &ts->active[i]);
    json_array_end(j);
}

static void put_dropped(struct json *j, const struct api_targets *ts,
                        const struct target_filter *f)
{
    json_key(j, "droppedTargets");
    json_array(j);
    for (size_t i = 0; f->dropped && i < ts->dropped_count; i++) {
        if (!pool_wanted(f, ts->dropped[i].job))
            continue;
        json_object(j);
        json_key(j, "discoveredLabels");
        json_labels(j, &ts->dropped[i].discovered);
        put_str(j, "scrapePool", ts->dropped[i].job);
        json_object_end(j);
    }
    json_array_end(j);
    json_key(j, "droppedTargetCounts");
    if (!f->dropped) {
        json_null(j);
        return;
    }
    json_object(j);
    for (size_t i = 0; i < ts->pool_count; i++) {
        if (!pool_wanted(f, ts->pools[i].job))
            continue;
        json_key_str(j, ts->pools[i].job);
        json_uint(j, ts->pools[i].dropped);
    }
    json_object_end(j);
}

/* False: it was replied to. */
static bool get_targets(struct api *api, struct http_call *call,
                        struct api_targets *out)
{
    const struct api_ops *ops = &api->options.ops;

    *out = (struct api_targets){ 0 };
    if (!ops->targets) {
        api_error(call, API_NOT_READY, "targets are not available");
        return false;
    }
    ops->targets(ops->arg, http_call_arena(call), out);
    return true;
}

void handle_targets(struct api *api, struct http_call *call)
{
    struct target_filter f = filter_of(call);
    struct api_targets ts;
    struct api_answer a;
    struct json *j;

    if (!get_targets(api, call, &ts))
        return;
    j = answer_begin(&a, call);
    json_object(j);
    put_actives(j, &ts, &f);
    put_dropped(j, &ts, &f);
    json_object_end(j);
    answer_send(&a);
}

void handle_scrape_pools(struct api *api, struct http_call *call)
{
    struct api_targets ts;
    struct api_answer a;
    struct json *j;

    if (!get_targets(api, call, &ts))
        return;
    j = answer_begin(&a, call);
    json_object(j);
    json_key(j, "scrapePools");
    json_array(j);
    for (size_t i = 0; i < ts.pool_count; i++)
        json_str(j, ts.pools[i].job);
    json_array_end(j);
    json_object_end(j);
    answer_send(&a);
}
