/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One collection without a store: for `sonde scrape PLUGIN TARGET`, where a
 * person looks at what a target says. Fetched bodies are shown as they came.
 */
#include <string.h>

#include "scrape/target.h"
#include "util/clock.h"
#include "util/str.h"

#define BODY_MAX_BYTES ((size_t)64 << 20)

struct oneshot {
    const struct scrape_config *job;
    struct plugin_instance *instance;
    sonde_str address;
    sonde_msec deadline;
    struct buf *out;
};

static sonde_str url_of(struct arena *a, const struct oneshot *o,
                        const struct sonde_request *r, sonde_str *unix_socket)
{
    struct buf b;
    sonde_str url;

    buf_init(&b);
    target_request_url(&b, unix_socket, o->job->scheme, o->address,
                       r->path.len ? r->path : o->job->metrics_path);
    url = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return url;
}

static sonde_code fetch_one(struct oneshot *o, const struct sonde_plan *plan,
                            size_t i, struct arena *a, struct sonde_err *err)
{
    const struct sonde_request *r = &plan->requests[i];
    sonde_str unix_socket;
    sonde_str url = url_of(a, o, r, &unix_socket);
    sonde_msec left = o->deadline - clock_monotonic(&clock_system);
    const struct http_request request = { .url = url,
                                          .unix_socket = unix_socket,
                                          .timeout_ms = left > 1 ? left : 1,
                                          .body_limit_bytes = BODY_MAX_BYTES,
                                          .accept_gzip = true };
    uint64_t began = clock_ns();
    struct sonde_response response = { .struct_size = sizeof(response),
                                       .request = i };
    struct buf body;
    sonde_code rc;

    buf_init(&body);
    rc = http_fetch(&o->job->http, &request, &body, &response.status, err);
    if (rc == SONDE_OK && response.status != 200 &&
        !(r->flags & SONDE_FETCH_MAY_FAIL))
        rc = sonde_err_set(err, SONDE_EPROTO,
                           "GET %.*s: server returned HTTP status %d",
                           SONDE_ARG(url), response.status);
    if (rc == SONDE_OK && r->body == SONDE_BODY_EXPOSITION) {
        buf_put(o->out, buf_str(&body));
    } else if (rc == SONDE_OK || (r->flags & SONDE_FETCH_MAY_FAIL)) {
        response.code = rc;
        response.error = rc == SONDE_OK ? NULL : err->text;
        response.body = buf_str(&body);
        response.duration_seconds = (double)(clock_ns() - began) / 1e9;
        rc = plugin_parse(o->instance, &response, o->out, err);
    }
    buf_fini(&body);
    return rc;
}

/* Lets the plugin judge a step that may fail. */
static sonde_code collect_one(struct oneshot *o, const struct sonde_plan *plan,
                              size_t i, struct sonde_err *err)
{
    struct sonde_err why = { 0 };
    sonde_code rc = plugin_collect(o->instance, o->deadline, o->out, &why);
    const struct sonde_response response = { .struct_size = sizeof(response),
                                             .request = i,
                                             .code = rc,
                                             .error = why.text };

    if (rc == SONDE_OK)
        return SONDE_OK;
    if (plan->requests[i].flags & SONDE_FETCH_MAY_FAIL)
        return plugin_parse(o->instance, &response, o->out, err);
    return sonde_err_set(err, rc, "%s", why.text);
}

static sonde_code fetch_round(struct oneshot *o, struct sonde_plan *plan,
                              struct arena *a, struct sonde_err *err)
{
    sonde_code rc = plugin_plan(o->instance, plan, err);

    for (size_t i = 0; rc == SONDE_OK && i < plan->count; i++)
        rc = plan->requests[i].body == SONDE_BODY_COLLECT
                 ? collect_one(o, plan, i, err)
                 : fetch_one(o, plan, i, a, err);
    return rc;
}

static sonde_code fetch_all(struct oneshot *o, struct sonde_err *err)
{
    struct sonde_plan plan = { .struct_size = sizeof(plan) };
    struct arena a;
    sonde_code rc;

    arena_init(&a);
    rc = fetch_round(o, &plan, &a, err);
    for (; rc == SONDE_OK && plan.more; rc = fetch_round(o, &plan, &a, err))
        plan.round++;
    if (rc == SONDE_OK)
        rc = plugin_planned(o->instance, o->out, err);
    arena_fini(&a);
    return rc;
}

#define OPTIONS_MAX 128

/* Options given by hand must be the plugin's; labels, which override options
 * too, may hold anything. */
static sonde_code check_names(const struct plugin *plugin,
                              const struct config_map *options,
                              struct sonde_err *err)
{
    const struct sonde_plugin *d = plugin_desc(plugin);
    const char *names[OPTIONS_MAX];
    size_t n = 0;

    for (; n < d->option_count && n < OPTIONS_MAX; n++)
        names[n] = ((const struct sonde_option *)((const char *)d->options +
                                                  n * d->option_size))
                       ->name;
    for (size_t i = 0; i < options->count; i++) {
        sonde_str key = options->items[i].key;
        const char *near = str_nearest(key, names, n);
        size_t k = 0;

        while (k < n && !str_eq_cstr(key, names[k]))
            k++;
        if (k == n)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "plugin %s has no option \"%.*s\"%s%s%s; see "
                                 "sonde plugins show %s",
                                 d->name, SONDE_ARG(key),
                                 near ? ", did you mean \"" : "",
                                 near ? near : "", near ? "\"?" : "", d->name);
    }
    return SONDE_OK;
}

sonde_code scrape_oneshot(const struct scrape_config *job,
                          const struct plugins *plugins, sonde_str address,
                          const struct config_map *options, struct buf *out,
                          struct sonde_err *err)
{
    const struct plugin *plugin;
    struct oneshot o = { .job = job, .out = out, .address = address };
    struct plugin_target target = {
        .job = job->job_name,
        .address = address,
        .scheme = job->scheme,
        .metrics_path = job->metrics_path,
        .options = job->options,
        .overrides = options,
        .tls = &job->http.tls_config,
        .interval = job->scrape_interval,
        .timeout = job->scrape_timeout,
        .slow_interval = job->slow_interval,
    };
    sonde_code rc = plugin_find(plugins, job->plugin, &plugin, err);

    if (rc == SONDE_OK)
        rc = check_names(plugin, options, err);
    if (rc == SONDE_OK)
        rc = plugin_open(plugin, &target, &o.instance, err);
    o.deadline = clock_monotonic(&clock_system) + job->scrape_timeout;
    if (rc == SONDE_OK && plugin_is_fetch(plugin))
        rc = fetch_all(&o, err);
    else if (rc == SONDE_OK)
        rc = plugin_collect(o.instance, o.deadline, out, err);
    plugin_close(o.instance);
    return rc;
}
