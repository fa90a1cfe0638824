/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of starting: signals, plugins and configuration (so that what is
 * wrong is said before anything is touched), the web server (so that probes
 * are answered while the log is replayed), the store, remote write (so that
 * its cursors see the first new sample), scraping, ready.
 *
 * Stopping: the web server closes, no new samples, the senders flush for up
 * to the flush deadline, the store closes. A second
 * SIGTERM or SIGINT on the way ends the process at once; nothing that was
 * acknowledged is lost by that.
 */
#include "agent/agent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_int.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/trim.h"

enum {
    EXIT_RUNTIME = 1,
    EXIT_CONFIG = 2
};

/* Started as needed: queries, and a few for the rest. */
#define WEB_THREADS_BESIDE_QUERIES 4

static void register_metrics(struct agent *a)
{
    a->reload_ok = selfmetrics_gauge(
        a->metrics, "prometheus_config_last_reload_successful",
        "Whether the last configuration reload attempt was successful.", NULL);
    a->reload_time = selfmetrics_real(
        a->metrics, METRIC_GAUGE,
        "prometheus_config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.", NULL);
    a->ready_gauge = selfmetrics_gauge(
        a->metrics, "prometheus_ready",
        "Whether Prometheus startup was fully completed and the server is "
        "ready for normal operation.",
        NULL);
    metric_set(selfmetrics_gauge(
                   a->metrics, "sonde_build_info",
                   "A metric with a constant '1' value labeled by version.",
                   "version=\"" PACKAGE_VERSION "\""),
               1);
}

/* http://HOST:PORT/ of the first listener, if --web.external-url is not
 * given. */
static sonde_str default_external_url(struct agent *a)
{
    sonde_str listen = sonde_cstr(a->options->listen[0]);
    size_t colon = listen.len;
    char host[256] = "localhost";

    while (colon && listen.ptr[colon - 1] != ':')
        colon--;
    (void)gethostname(host, sizeof(host) - 1);
    return arena_printf(&a->arena, "http://%s:%.*s/", host,
                        SONDE_ARG(str_sub(listen, colon, listen.len)));
}

/* The path of a URL, without a final slash. */
static sonde_str url_path(sonde_str url)
{
    const char *p = memmem(url.ptr, url.len, "://", 3);
    size_t at;

    if (!p)
        return (sonde_str){ 0 };
    url = str_sub(url, (size_t)(p - url.ptr) + 3, url.len);
    at = str_index(url, '/');
    url = str_sub(url, at, url.len);
    while (url.len && url.ptr[url.len - 1] == '/')
        url.len--;
    return url;
}

static void set_urls(struct agent *a)
{
    sonde_str prefix = a->options->route_prefix;

    a->external_url = a->options->external_url.len ? a->options->external_url
                                                   : default_external_url(a);
    if (prefix.len == 0)
        prefix = url_path(a->external_url);
    while (prefix.len && prefix.ptr[0] == '/')
        prefix = str_sub(prefix, 1, prefix.len);
    while (prefix.len && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    a->route_prefix = prefix.len
                          ? arena_printf(&a->arena, "/%.*s", SONDE_ARG(prefix))
                          : (sonde_str){ "", 0 };
}

static size_t web_threads(const struct agent_options *o)
{
    return (size_t)o->query_max_concurrency + WEB_THREADS_BESIDE_QUERIES +
           (o->remote_receiver ? REMOTE_RECEIVE_WAITING_MAX : 0);
}

static sonde_code start_web(struct agent *a, struct sonde_err *err)
{
    const struct agent_options *o = a->options;
    struct api_options api = {
        .clock = &clock_system,
        .metrics = a->metrics,
        .flags = o->flags,
        .flag_count = o->flag_count,
        .lifecycle = o->lifecycle,
        .admin = o->admin,
        .agent_mode = o->log_only,
        .external_url = a->external_url,
        .route_prefix = a->route_prefix,
        .cors_origin = o->cors_origin,
        .lookback_ms = o->lookback_ms,
        .query_timeout_ms = o->query_timeout_ms,
        .query_max_concurrency = o->query_max_concurrency,
        .query_max_samples = (size_t)o->query_max_samples,
        .promql_features = o->promql_features,
    };
    struct http_server_options web = {
        .listen = o->listen,
        .listen_count = o->listen_count,
        .route_prefix = a->route_prefix,
        .web_config_file = o->web_config_file,
        .threads = web_threads(o),
        .max_connections = (size_t)o->max_connections,
        .read_timeout_ms = o->read_timeout_ms,
    };
    sonde_code rc;

    agent_wire_api(a, &api.ops);
    rc = api_new(&api, &a->api, err);
    if (rc != SONDE_OK)
        return rc;
    web.routes = api_routes(a->api, &web.route_count);
    web.ready = api.ops.ready;
    web.ready_arg = api.ops.arg;
    web.stopping = api.ops.stopping;
    rc = http_server_start(&web, &a->server, err);
    if (rc != SONDE_OK)
        return rc;
    agent_web_metrics(a);
    for (size_t i = 0; i < o->listen_count; i++)
        log_info("web", "listening", LOG_CSTR("address", o->listen[i]),
                 LOG_NUM("port", http_server_port(a->server, i)));
    return SONDE_OK;
}

static void on_replay(void *arg, uint64_t segment, uint64_t last)
{
    struct agent *a = arg;

    atomic_store(&a->replay_segment, segment);
    atomic_store(&a->replay_last, last);
}

/* A long replay does not keep who wants to stop it waiting. */
static bool replay_canceled(void *arg)
{
    return agent_signals_stop(arg);
}

/* The first segment of the log that the senders need. On the store's thread;
 * until all senders are known, everything is needed. */
static uint64_t log_needed(void *arg)
{
    struct agent *a = arg;
    struct wal_position at = { 0 };

    (void)pthread_mutex_lock(&a->lock);
    if (a->remote_knows && !remote_manager_oldest(a->remote, &at))
        at.segment = UINT64_MAX;
    (void)pthread_mutex_unlock(&a->lock);
    return at.segment;
}

/* The time up to which all was sent; on the store's thread. */
static sonde_msec log_sent(void *arg)
{
    struct agent *a = arg;
    sonde_msec sent = INT64_MIN;

    (void)pthread_mutex_lock(&a->lock);
    if (a->remote_knows)
        sent = remote_manager_sent(a->remote);
    (void)pthread_mutex_unlock(&a->lock);
    return sent;
}

static enum wal_compression compression_of(const struct agent_options *o)
{
    if (!o->wal_compression)
        return WAL_PLAIN;
    return o->wal_zstd ? WAL_ZSTD : WAL_SNAPPY;
}

static sonde_code open_store(struct agent *a, const struct config *config,
                             struct sonde_err *err)
{
    const struct agent_options *o = a->options;
    struct tsdb_options options = {
        .clock = &clock_system,
        .metrics = a->metrics,
        .wal = { .segment_bytes = (size_t)o->wal_segment_bytes,
                 .compress = compression_of(o),
                 .always_sync = o->wal_always_sync,
                 .sync_every_ms = o->wal_sync_every_ms,
                 .metrics = a->metrics },
        .min_block_ms = o->min_block_ms,
        .max_block_ms = o->max_block_ms,
        .log_only = o->log_only,
        .truncate_every_ms = o->truncate_every_ms,
        .keep_min_ms = o->keep_min_ms,
        .keep_max_ms = o->keep_max_ms,
        .no_lockfile = o->no_lockfile,
        .snapshot_on_close = !o->log_only,
        .log_needed = log_needed,
        .log_sent = log_sent,
        .log_arg = a,
        .progress = on_replay,
        .progress_arg = a,
        .canceled = replay_canceled,
        .canceled_arg = a,
    };
    sonde_code rc;

    agent_limits(o, config, &options.limits);
    rc = tsdb_open(o->data_dir, &options, &a->db, err);
    if (rc == SONDE_OK)
        api_set_storage(a->api, tsdb_storage(a->db));
    return rc;
}

static sonde_code start_remote(struct agent *a, struct sonde_err *err)
{
    const char *state_dir = fs_join(&a->arena, sonde_cstr(a->options->data_dir),
                                    SONDE_STR("remote"));
    const struct remote_deps deps = {
        .metrics = a->metrics,
        .storage = tsdb_storage(a->db),
        .wal = tsdb_wal(a->db),
        .wal_dir = tsdb_wal_dir(a->db),
        .state_dir = state_dir,
        .flush_deadline_ms = a->options->flush_deadline_ms,
        .metadata = agent_remote_metadata,
        .metadata_arg = a,
    };

    return remote_manager_new(&deps, &a->remote, err);
}

static sonde_code start_receiver(struct agent *a, struct sonde_err *err)
{
    const struct remote_receiver_options options = {
        .metrics = a->metrics,
        .storage = tsdb_storage(a->db),
        .messages = a->options->remote_messages,
    };

    if (!a->options->remote_receiver)
        return SONDE_OK;
    return remote_receiver_new(&options, &a->receiver, err);
}

static void start_reader(struct agent *a)
{
    const struct remote_reader_options options = {
        .metrics = a->metrics,
        .storage = tsdb_storage(a->db),
        .concurrent = (size_t)a->options->read_concurrent,
        .sample_limit = a->options->read_samples,
        .frame_bytes = (size_t)a->options->read_frame_bytes,
        .external_labels = agent_external_labels,
        .arg = a,
    };

    a->reader = remote_reader_new(&options);
}

static sonde_code start_scrape(struct agent *a, struct sonde_err *err)
{
    const struct scrape_deps deps = {
        .clock = &clock_system,
        .metrics = a->metrics,
        .storage = tsdb_storage(a->db),
        .plugins = a->plugins,
        .state_dir = fs_join(&a->arena, sonde_cstr(a->options->data_dir),
                             SONDE_STR("state")),
    };

    return scrape_manager_new(&deps, &a->scrape, err);
}

static void start_expose(struct agent *a)
{
    const struct expose_deps deps = {
        .scrape = a->scrape,
        .plugins = a->plugins,
        .metrics = a->metrics,
    };

    a->expose = expose_new(&deps);
}

static sonde_code start_rooms(struct agent *a, struct config *config,
                              struct sonde_err *err)
{
    sonde_code rc = start_web(a, err);

    if (rc == SONDE_OK)
        rc = open_store(a, config, err);
    if (rc == SONDE_OK)
        rc = start_remote(a, err);
    if (rc == SONDE_OK)
        rc = start_receiver(a, err);
    if (rc == SONDE_OK)
        start_reader(a);
    if (rc == SONDE_OK)
        rc = start_scrape(a, err);
    if (rc == SONDE_OK) {
        start_expose(a);
        rc = agent_apply(a, config, err);
    }
    return rc;
}

static void stop_rooms(struct agent *a)
{
    atomic_store(&a->ready, false);
    metric_set(a->ready_gauge, 0);
    agent_signals_let_kill();
    /* Pages read the rooms, so no handler may be left when these go. */
    agent_serve_reloads(a);
    agent_web_metrics_end(a);
    http_server_stop(a->server);
    expose_free(a->expose);
    remote_receiver_free(a->receiver);
    remote_reader_free(a->reader);
    /* The senders ask for metadata until they have ended. */
    a->hung = !scrape_manager_stop(a->scrape);
    (void)pthread_mutex_lock(&a->lock);
    a->remote_knows = false;
    (void)pthread_mutex_unlock(&a->lock);
    remote_manager_free(a->remote);
    scrape_manager_free(a->scrape);
    api_free(a->api);
    tsdb_close(a->db);
}

static int run(struct agent *a, struct config *config)
{
    struct sonde_err err;
    sonde_code rc = start_rooms(a, config, &err);

    config_unref(config);
    if (rc != SONDE_OK) {
        bool asked = rc == SONDE_ECANCELED && atomic_load(&a->stopping);

        if (!asked)
            log_error("agent", "can not start", LOG_ERRTEXT(&err));
        atomic_store(&a->stopping, true);
        stop_rooms(a);
        if (asked)
            log_info("agent", "stopped");
        return asked ? 0 : EXIT_RUNTIME;
    }
    atomic_store(&a->ready, true);
    metric_set(a->ready_gauge, 1);
    log_info("agent", "ready", LOG_CSTR("config", a->options->config_file),
             LOG_CSTR("data", a->options->data_dir),
             LOG_NUM("start_ms", clock_now(&clock_system) - a->start_time));
    trim_resident();
    agent_wait(a);
    stop_rooms(a);
    log_info("agent", "stopped");
    return 0;
}

static struct agent *agent_new(const struct agent_options *options)
{
    struct agent *a = mem_new(struct agent);

    a->options = options;
    a->signal_fd = a->wake_fd = -1;
    a->start_time = clock_now(&clock_system);
    arena_init(&a->arena);
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_cond_init(&a->reloaded, NULL);
    a->metrics = selfmetrics_new();
    register_metrics(a);
    set_urls(a);
    return a;
}

static void agent_free(struct agent *a)
{
    config_unref(a->config);
    if (!a->hung) {
        plugins_free(a->plugins);
        selfmetrics_free(a->metrics);
    }
    agent_signals_close(a);
    (void)pthread_mutex_destroy(&a->lock);
    (void)pthread_cond_destroy(&a->reloaded);
    arena_fini(&a->arena);
    free(a);
}

int agent_run(const struct agent_options *options)
{
    struct agent *a = agent_new(options);
    struct config *config = NULL;
    struct sonde_err err;
    int code;

    log_info("agent", "starting", LOG_CSTR("version", PACKAGE_VERSION),
             LOG_CSTR("mode", options->log_only ? "agent" : "server"),
             LOG_NUM("pid", getpid()));
    if (agent_signals_open(a, &err) != SONDE_OK) {
        log_error("agent", "can not start", LOG_ERRTEXT(&err));
        agent_free(a);
        return EXIT_RUNTIME;
    }
    a->plugins = plugins_new(options->plugin_dirs, options->plugin_dir_count);
    if (agent_load_config(a, &config, &err) == SONDE_OK) {
        code = run(a, config);
    } else {
        log_error("agent", "the configuration can not be used",
                  LOG_ERRTEXT(&err));
        code = EXIT_CONFIG;
    }
    agent_free(a);
    return code;
}
