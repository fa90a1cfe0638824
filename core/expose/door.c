/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener and what happens to a request before a page is made. The paths
 * come from the job, which a reload may change while the door stays open, so
 * they are compared here and not in the server's table of routes: one route
 * has everything, and /health one of its own, because it must be answered
 * while all workers wait for targets.
 */
#include "expose/door.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/number.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

/* Requests that may wait for a collection at a time; more queue up. */
#define DOOR_THREADS        8
#define DOOR_CONNECTIONS    128
#define READ_TIMEOUT_MS     (2 * 60 * 1000)
#define SCRAPER_SECONDS_MAX 600.0
#define GRACE_MS            500
#define RELOADS_MAX         5 /* that one visit goes along with */

/* ---- counting -------------------------------------------------------------
 */

static const char promhttp_total[] = "promhttp_metric_handler_requests_total";
static const char promhttp_total_help[] =
    "Total number of scrapes by HTTP status code.";

static void count(const struct door *d, const char *handler, int status)
{
    struct buf labels;

    if (!d->deps->metrics)
        return;
    buf_init(&labels);
    buf_printf(&labels, "%s,handler=\"%s\",code=\"%d\"", d->job_label, handler,
               status);
    buf_char(&labels, '\0');
    metric_inc(selfmetrics_counter(d->deps->metrics,
                                   "sonde_expose_requests_total",
                                   "Requests for exporter pages, by handler "
                                   "and status.",
                                   labels.data));
    buf_fini(&labels);
}

/* The family that Go's exporters count their page by. */
static void count_metrics(const struct door *d, int status)
{
    char code[24];

    if (!d->options.self || !d->deps->metrics)
        return;
    (void)snprintf(code, sizeof(code), "code=\"%d\"", status);
    metric_inc(selfmetrics_counter(d->deps->metrics, promhttp_total,
                                   promhttp_total_help, code));
}

static void set_job_label(struct door *d)
{
    struct buf b;

    buf_init(&b);
    buf_cstr(&b, "job=\"");
    expo_write_escaped(&b, d->job);
    buf_char(&b, '"');
    d->job_label = arena_cstr(&d->arena, buf_str(&b));
    buf_fini(&b);
}

static void register_metrics(struct door *d)
{
    static const char *const codes[] = { "code=\"200\"", "code=\"500\"",
                                         "code=\"503\"" };
    struct selfmetrics *m = d->deps->metrics;

    set_job_label(d);
    d->refused = selfmetrics_counter(m, "sonde_expose_refused_total",
                                     "Requests for targets that may not be "
                                     "reached.",
                                     d->job_label);
    d->remembered =
        selfmetrics_gauge(m, "sonde_expose_targets",
                          "Targets that requests have named and that are "
                          "kept.",
                          d->job_label);
    if (!d->options.self || !m)
        return;
    d->in_flight =
        selfmetrics_gauge(m, "promhttp_metric_handler_requests_in_flight",
                          "Current number of scrapes being served.", NULL);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        (void)selfmetrics_counter(m, promhttp_total, promhttp_total_help,
                                  codes[i]);
}

/* ---- requests --------------------------------------------------------------
 */

void door_reply_text(struct visit *v, int status, const char *text)
{
    http_call_set_header(v->call, "X-Content-Type-Options",
                         SONDE_STR("nosniff"));
    http_reply(v->call, status, "text/plain; charset=utf-8", sonde_cstr(text));
}

/* What the scraper says that it waits; 0: nothing. */
static sonde_msec scraper_timeout(const struct visit *v)
{
    sonde_str text =
        http_call_header(v->call, "X-Prometheus-Scrape-Timeout-Seconds");
    double seconds;

    if (text.len == 0 || !number_parse(text, &seconds) || !(seconds > 0))
        return 0;
    if (seconds > SCRAPER_SECONDS_MAX)
        seconds = SCRAPER_SECONDS_MAX;
    return (sonde_msec)(seconds * 1000);
}

/* The answer should be there before the scraper gives up: a collection ends
 * the job's offset earlier, and half of that is for what a plugin has to say
 * when its time is over. */
static void set_deadlines(struct visit *v)
{
    sonde_msec now = clock_monotonic(&clock_system);
    sonde_msec timeout = scraper_timeout(v);
    sonde_msec offset;

    if (!v->config || timeout == 0) {
        v->deadline = now + (v->config ? v->config->scrape_timeout : 0);
        v->until = v->deadline + GRACE_MS;
        return;
    }
    offset = v->config->expose.timeout_offset;
    if (offset > timeout / 2)
        offset = timeout / 2;
    v->deadline = now + timeout - offset;
    v->until = v->deadline + (offset / 2 < GRACE_MS ? offset / 2 : GRACE_MS);
}

static void reload(struct visit *v)
{
    struct door *d = v->door;
    struct sonde_err err = { 0 };
    sonde_code rc;

    (void)pthread_mutex_lock(&d->reloading);
    rc = d->options.reload(d->options.arg, &err);
    asked_clear(d->asked);
    (void)pthread_mutex_unlock(&d->reloading);
    door_reply_text(v, rc == SONDE_OK ? 200 : 500,
                    rc == SONDE_OK ? "ok" : err.text);
}

static bool is_reading(const struct http_call *call)
{
    enum http_method m = http_call_method(call);

    return m == HTTP_GET || m == HTTP_HEAD;
}

static void metrics(struct visit *v)
{
    if (v->door->in_flight)
        metric_add(v->door->in_flight, 1);
    door_metrics(v);
    if (v->door->in_flight)
        metric_add(v->door->in_flight, UINT64_MAX);
    count_metrics(v->door, http_call_status(v->call));
}

/* The name of what answered. */
static const char *dispatch(struct visit *v)
{
    struct door *d = v->door;
    sonde_str path = http_call_path(v->call);
    sonde_str page = v->config ? v->config->expose.path : SONDE_STR("/metrics");

    if (d->options.reload && str_eq_cstr(path, "/-/reload")) {
        reload(v);
        return "reload";
    }
    if (!is_reading(v->call)) {
        http_call_set_header(v->call, "Allow", SONDE_STR("GET, HEAD"));
        door_reply_text(v, 405, "Method Not Allowed\n");
        return "other";
    }
    if (sonde_str_eq(path, page)) {
        metrics(v);
        return "metrics";
    }
    if (d->target_path.len && sonde_str_eq(path, d->target_path)) {
        door_target(v);
        return "target";
    }
    if (d->discover_path.len && sonde_str_eq(path, d->discover_path)) {
        door_discover(v);
        return "discover";
    }
    if (str_eq_cstr(path, "/"))
        door_landing(v);
    else
        door_reply_text(v, 404, "404 page not found\n");
    return "other";
}

static void visit_begin(struct visit *v, struct door *d, struct http_call *call)
{
    *v = (struct visit){ .door = d, .call = call };
    v->job = scrape_job_get(d->deps->scrape, d->job);
    v->config = v->job ? scrape_job_config(v->job) : NULL;
    set_deadlines(v);
}

bool door_renew(struct visit *v)
{
    struct job *now = scrape_job_get(v->door->deps->scrape, v->door->job);
    bool other = now != v->job && v->reloads < RELOADS_MAX;

    scrape_job_put(other ? v->job : now);
    if (other) {
        v->job = now;
        v->config = now ? scrape_job_config(now) : NULL;
        v->reloads++;
    }
    return other;
}

static void on_any(struct http_call *call, void *arg)
{
    struct door *d = arg;
    const char *handler;
    struct visit v;

    visit_begin(&v, d, call);
    handler = dispatch(&v);
    count(d, handler, http_call_status(call));
    scrape_job_put(v.job);
}

static void on_health(struct http_call *call, void *arg)
{
    struct door *d = arg;
    struct visit v;

    visit_begin(&v, d, call);
    door_health(&v);
    count(d, "health", http_call_status(call));
    scrape_job_put(v.job);
}

/* ---- opening and closing ---------------------------------------------------
 */

static struct config_map *copy_labels(struct arena *a,
                                      const struct config_map *labels)
{
    struct config_map *out = arena_new(a, struct config_map);
    sonde_str *values = arena_array(a, sonde_str, labels->count + 1);

    out->items = arena_array(a, struct config_pair, labels->count + 1);
    out->count = labels->count;
    for (size_t i = 0; i < labels->count; i++) {
        values[i] = arena_str(a, labels->items[i].values.items[0]);
        out->items[i] =
            (struct config_pair){ .key = arena_str(a, labels->items[i].key),
                                  .values = { &values[i], 1 } };
    }
    return out;
}

static void copy_options(struct door *d, const struct expose_door *o)
{
    struct arena *a = &d->arena;
    const char **listen = arena_array(a, const char *, o->listen_count + 1);

    d->options = *o;
    d->job = arena_str(a, o->job->job_name);
    d->address = arena_cstr(a, o->job->expose.address);
    d->web_config_file = arena_cstr(a, o->job->expose.web_config_file);
    listen[0] = d->address;
    for (size_t i = 0; i < o->listen_count; i++)
        listen[i] = arena_cstr(a, sonde_cstr(o->listen[i]));
    d->options.listen = listen;
    d->options.listen_count = o->listen_count ? o->listen_count : 1;
    d->options.web_config = arena_str(a, o->web_config);
    d->options.labels = o->labels ? copy_labels(a, o->labels) : NULL;
    d->options.job = NULL;
}

static void set_rules(struct door *d)
{
    const struct sonde_exporter *x = d->exporter;

    d->rules = (struct compose_rules){
        .labels = d->options.labels,
        .target_label = SONDE_STR("target"),
        .prefix = arena_str(&d->arena, d->options.prefix),
        .prefix_instead = arena_str(&d->arena, d->options.prefix_instead),
    };
    if (x && x->target_label)
        d->rules.target_label = sonde_cstr(x->target_label);
    if (x && x->target_path && !d->options.no_targets)
        d->target_path = sonde_cstr(x->target_path);
    if (x && SONDE_HAS(struct sonde_exporter, x, discover_path))
        d->discover_path = sonde_cstr(x->discover_path);
}

static void set_routes(struct door *d)
{
    const uint32_t all =
        1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_POST | 1u << HTTP_PUT;
    const struct sonde_exporter *x = d->exporter;

    d->routes[0] = (struct http_route){ .path = "/*",
                                        .methods = all,
                                        .handler = on_any,
                                        .arg = d,
                                        .compress = true };
    d->routes[1] = (struct http_route){
        .path = "/health",
        .methods = 1u << HTTP_GET | 1u << HTTP_HEAD,
        .handler = on_health,
        .arg = d,
        .quick = !(x && SONDE_HAS(struct sonde_exporter, x, health_family)),
    };
}

static sonde_code start(struct door *d, struct sonde_err *err)
{
    const struct http_server_options web = {
        .listen = d->options.listen,
        .listen_count = d->options.listen_count,
        .routes = d->routes,
        .route_count = DOOR_ROUTES,
        .web_config_file = d->web_config_file,
        .web_config_text = d->options.web_config,
        .threads = DOOR_THREADS,
        .max_connections = DOOR_CONNECTIONS,
        .read_timeout_ms = READ_TIMEOUT_MS,
    };
    sonde_code rc = http_server_start(&web, &d->server, err);

    if (rc != SONDE_OK)
        return sonde_err_prefix(err, "expose job %.*s", SONDE_ARG(d->job));
    for (size_t i = 0; i < web.listen_count; i++)
        log_info("expose", "listening", LOG_STR("job", d->job),
                 LOG_CSTR("address", web.listen[i]),
                 LOG_NUM("port", http_server_port(d->server, i)));
    return SONDE_OK;
}

sonde_code door_open(const struct expose_deps *deps,
                     const struct expose_door *options, struct door **out,
                     struct sonde_err *err)
{
    const struct plugin *plugin;
    sonde_code rc =
        plugin_find(deps->plugins, options->job->plugin, &plugin, err);
    struct door *d;

    if (rc != SONDE_OK)
        return rc;
    d = mem_new(struct door);
    d->deps = deps;
    arena_init(&d->arena);
    (void)pthread_mutex_init(&d->reloading, NULL);
    d->plugin = plugin_desc(plugin);
    if (SONDE_HAS(struct sonde_plugin, d->plugin, exporter))
        d->exporter = d->plugin->exporter;
    copy_options(d, options);
    set_rules(d);
    set_routes(d);
    d->asked = asked_new();
    register_metrics(d);
    rc = start(d, err);
    if (rc != SONDE_OK) {
        door_close(d);
        return rc;
    }
    *out = d;
    return SONDE_OK;
}

void door_close(struct door *d)
{
    if (!d)
        return;
    http_server_stop(d->server);
    asked_free(d->asked);
    if (d->remembered)
        metric_set(d->remembered, 0);
    (void)pthread_mutex_destroy(&d->reloading);
    arena_fini(&d->arena);
    free(d);
}
