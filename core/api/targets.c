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

static void put_str(struct jsonw *j, const char *key, sonde_str value)
{
    jsonw_key(j, key);
    jsonw_str(j, value);
}

static void put_duration(struct jsonw *j, const char *key, sonde_msec d)
{
    struct buf b;

    buf_init(&b);
    buf_duration(&b, d);
    put_str(j, key, buf_str(&b));
    buf_fini(&b);
}

static void put_active(struct jsonw *j, const struct api_target *t)
{
    jsonw_object(j);
    jsonw_key(j, "discoveredLabels");
    jsonw_labels(j, &t->discovered);
    jsonw_key(j, "labels");
    jsonw_labels(j, &t->labels);
    put_str(j, "scrapePool", t->job);
    put_str(j, "scrapeUrl", t->scrape_url);
    put_str(j, "globalUrl", t->global_url);
    put_str(j, "lastError", t->last_error);
    jsonw_key(j, "lastScrape");
    jsonw_time(j, t->last_scrape);
    jsonw_key(j, "lastScrapeDuration");
    jsonw_real(j, t->last_scrape_seconds);
    jsonw_key(j, "health");
    jsonw_cstr(j, t->health);
    put_duration(j, "scrapeInterval", t->interval);
    put_duration(j, "scrapeTimeout", t->timeout);
    jsonw_object_end(j);
}

static void put_actives(struct jsonw *j, const struct api_targets *ts,
                        const struct target_filter *f)
{
    jsonw_key(j, "activeTargets");
    jsonw_array(j);
    for (size_t i = 0; f->active && i < ts->active_count; i++)
        if (pool_wanted(f, ts->active[i].job))
            put_active(j, &ts->active[i]);
    jsonw_array_end(j);
}

static void put_dropped(struct jsonw *j, const struct api_targets *ts,
                        const struct target_filter *f)
{
    jsonw_key(j, "droppedTargets");
    jsonw_array(j);
    for (size_t i = 0; f->dropped && i < ts->dropped_count; i++) {
        if (!pool_wanted(f, ts->dropped[i].job))
            continue;
        jsonw_object(j);
        jsonw_key(j, "discoveredLabels");
        jsonw_labels(j, &ts->dropped[i].discovered);
        put_str(j, "scrapePool", ts->dropped[i].job);
        jsonw_object_end(j);
    }
    jsonw_array_end(j);
    jsonw_key(j, "droppedTargetCounts");
    if (!f->dropped) {
        jsonw_null(j);
        return;
    }
    jsonw_object(j);
    for (size_t i = 0; i < ts->pool_count; i++) {
        if (!pool_wanted(f, ts->pools[i].job))
            continue;
        jsonw_key_str(j, ts->pools[i].job);
        jsonw_uint(j, ts->pools[i].dropped);
    }
    jsonw_object_end(j);
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

void api_handle_targets(struct api *api, struct http_call *call)
{
    struct target_filter f = filter_of(call);
    struct api_targets ts;
    struct api_answer a;
    struct jsonw *j;

    if (!get_targets(api, call, &ts))
        return;
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    put_actives(j, &ts, &f);
    put_dropped(j, &ts, &f);
    jsonw_object_end(j);
    api_answer_send(&a);
}

void api_handle_scrape_pools(struct api *api, struct http_call *call)
{
    struct api_targets ts;
    struct api_answer a;
    struct jsonw *j;

    if (!get_targets(api, call, &ts))
        return;
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    jsonw_key(j, "scrapePools");
    jsonw_array(j);
    for (size_t i = 0; i < ts.pool_count; i++)
        jsonw_str(j, ts.pools[i].job);
    jsonw_array_end(j);
    jsonw_object_end(j);
    api_answer_send(&a);
}
