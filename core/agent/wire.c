/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the web pages ask, answered from the rooms. api/ knows none of them;
 * this file is the only one that knows both sides.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_int.h"
#include "util/mem.h"
#include "util/str.h"

static const char *const health_names[] = {
    [TARGET_UNKNOWN] = "unknown", [TARGET_UP] = "up", [TARGET_DOWN] = "down"
};

/* Host of a URL's authority, without port; `port` gets the ":9090" part. */
static sonde_str url_host(sonde_str url, sonde_str *port, size_t *begin)
{
    const char *p = memmem(url.ptr, url.len, "://", 3);
    size_t from = p ? (size_t)(p - url.ptr) + 3 : 0;
    size_t to = from;
    size_t colon;

    while (to < url.len && url.ptr[to] != '/' && url.ptr[to] != '?')
        to++;
    *begin = from;
    colon = to;
    for (size_t i = from; i < to; i++)
        if (url.ptr[i] == ':' && memchr(url.ptr + i, ']', to - i) == NULL)
            colon = i;
    *port = str_sub(url, colon, to);
    return str_sub(url, from, colon);
}

static bool is_loopback(sonde_str host)
{
    return str_eq_cstr(host, "127.0.0.1") || str_eq_cstr(host, "localhost") ||
           str_eq_cstr(host, "[::1]");
}

/* As Prometheus does: a loopback host is no use to who reads the page
 * elsewhere, so it becomes the host that the external URL names. */
static sonde_str global_url(const struct agent *a, struct arena *arena,
                            sonde_str url)
{
    sonde_str port, own_port;
    size_t begin, own_begin;
    sonde_str host = url_host(url, &port, &begin);
    sonde_str own = url_host(a->external_url, &own_port, &own_begin);

    if (!is_loopback(host) || own.len == 0)
        return url;
    return arena_printf(arena, "%.*s%.*s%.*s", (int)begin, url.ptr,
                        SONDE_ARG(own),
                        SONDE_ARG(str_sub(url, begin + host.len, url.len)));
}

static void targets(void *arg, struct arena *arena, struct api_targets *out)
{
    struct agent *a = arg;
    struct targets_status s = { 0 };

    *out = (struct api_targets){ 0 };
    if (!atomic_load(&a->ready))
        return;
    scrape_status(a->scrape, arena, &s);
    out->active = arena_array(arena, struct api_target, s.active_count);
    out->active_count = s.active_count;
    for (size_t i = 0; i < s.active_count; i++)
        out->active[i] = (struct api_target){
            .job = s.active[i].job,
            .scrape_url = s.active[i].scrape_url,
            .global_url = global_url(a, arena, s.active[i].scrape_url),
            .last_error = s.active[i].last_error,
            .labels = s.active[i].labels,
            .discovered = s.active[i].discovered,
            .health = health_names[s.active[i].health],
            .last_scrape = s.active[i].last_scrape,
            .last_scrape_seconds = s.active[i].last_scrape_seconds,
            .interval = s.active[i].interval,
            .timeout = s.active[i].timeout,
        };
    out->dropped = arena_array(arena, struct api_dropped, s.dropped_count);
    out->dropped_count = s.dropped_count;
    for (size_t i = 0; i < s.dropped_count; i++)
        out->dropped[i] =
            (struct api_dropped){ .job = s.dropped[i].job,
                                  .discovered = s.dropped[i].discovered };
    out->pools = arena_array(arena, struct api_pool, s.pool_count);
    out->pool_count = s.pool_count;
    for (size_t i = 0; i < s.pool_count; i++)
        out->pools[i] = (struct api_pool){ .job = s.pools[i].job,
                                           .dropped = s.pools[i].dropped };
}

static void metadata(void *arg, struct arena *arena, struct api_metadata **out,
                     size_t *n)
{
    struct agent *a = arg;
    struct metadata_status *s = NULL;

    *out = NULL;
    *n = 0;
    if (!atomic_load(&a->ready))
        return;
    scrape_metadata(a->scrape, arena, &s, n);
    *out = arena_array(arena, struct api_metadata, *n);
    for (size_t i = 0; i < *n; i++)
        (*out)[i] =
            (struct api_metadata){ .meta = s[i].meta, .target = s[i].target };
}

void agent_remote_metadata(void *arg, struct arena *arena,
                           struct metadata **out, size_t *n)
{
    struct api_metadata *all;

    metadata(arg, arena, &all, n);
    *out = arena_array(arena, struct metadata, *n);
    for (size_t i = 0; i < *n; i++)
        (*out)[i] = all[i].meta;
}

static sonde_str config_yaml(void *arg, struct arena *arena)
{
    struct agent *a = arg;
    sonde_str yaml = { 0 };

    (void)pthread_mutex_lock(&a->lock);
    if (a->config)
        yaml = arena_str(arena, a->config->yaml);
    (void)pthread_mutex_unlock(&a->lock);
    return yaml;
}

void agent_external_labels(void *arg, struct arena *arena, struct labels *out)
{
    struct agent *a = arg;
    struct labels_builder lb;

    labels_builder_init(&lb, arena);
    (void)pthread_mutex_lock(&a->lock);
    if (a->config) {
        const struct config_map *m = &a->config->globals.external_labels;

        for (size_t i = 0; i < m->count; i++)
            labels_builder_set(&lb, arena_str(arena, m->items[i].key),
                               arena_str(arena, m->items[i].values.items[0]));
    }
    (void)pthread_mutex_unlock(&a->lock);
    *out = labels_builder_view(&lb);
}

static sonde_code reload(void *arg, struct sonde_err *err)
{
    return agent_reload_wait(arg, err);
}

static bool quit(void *arg)
{
    struct agent *a = arg;
    bool first = !atomic_exchange(&a->quit_asked, true);

    agent_wake(a);
    return first;
}

static bool ready(void *arg)
{
    return atomic_load(&((struct agent *)arg)->ready);
}

static bool stopping(void *arg)
{
    return atomic_load(&((struct agent *)arg)->stopping);
}

static size_t count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *e;
    size_t n = 0;

    while (dir && (e = readdir(dir)))
        n += e->d_name[0] != '.';
    if (dir)
        (void)closedir(dir);
    return n;
}

static sonde_str working_folder(struct arena *arena)
{
    char *cwd = getcwd(NULL, 0);
    sonde_str s = cwd ? arena_str(arena, sonde_cstr(cwd)) : SONDE_STR("");

    free(cwd);
    return s;
}

static sonde_str retention(struct agent *a, struct arena *arena)
{
    struct tsdb_limits limits;
    struct buf b;
    sonde_str s;

    buf_init(&b);
    (void)pthread_mutex_lock(&a->lock);
    if (a->config && !a->options->log_only) {
        agent_limits(a->options, a->config, &limits);
        agent_retention_text(&limits, &b);
    }
    (void)pthread_mutex_unlock(&a->lock);
    s = arena_str(arena, buf_str(&b));
    buf_fini(&b);
    return s;
}

static void runtime(void *arg, struct arena *arena, struct api_runtime *out)
{
    struct agent *a = arg;
    struct tsdb_stats stats = { .min_time = 1, .max_time = 0 };
    char host[256] = "";

    (void)gethostname(host, sizeof(host) - 1);
    if (atomic_load(&a->ready))
        tsdb_stats(a->db, &stats);
    *out = (struct api_runtime){
        .start_time = a->start_time,
        .cwd = working_folder(arena),
        .hostname = arena_str(arena, sonde_cstr(host)),
        .retention = retention(a, arena),
        .corruptions = stats.corruptions,
        .threads = count_threads(),
        .series = stats.series,
        .chunks = stats.chunks,
        .label_pairs = stats.label_pairs,
        .head_min = stats.min_time,
        .head_max = stats.max_time,
        .wal_last = atomic_load(&a->replay_last),
        .wal_current = atomic_load(&a->replay_segment),
    };
    (void)pthread_mutex_lock(&a->lock);
    out->reload_success = a->reload_success;
    out->last_config_time = a->last_config_time;
    (void)pthread_mutex_unlock(&a->lock);
}

static sonde_code not_open(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EUNAVAILABLE, "the store is not open yet");
}

static sonde_code snapshot(void *arg, bool with_head, struct arena *arena,
                           sonde_str *name, struct sonde_err *err)
{
    struct agent *a = arg;
    char text[TSDB_SNAPSHOT_NAME];
    sonde_code rc;

    if (!atomic_load(&a->ready))
        return not_open(err);
    rc = tsdb_snapshot(a->db, with_head, text, err);
    if (rc == SONDE_OK)
        *name = arena_str(arena, sonde_cstr(text));
    return rc;
}

static sonde_code delete_series(void *arg, sonde_msec start, sonde_msec end,
                                const struct matcher *matchers, size_t n,
                                struct sonde_err *err)
{
    struct agent *a = arg;

    if (!atomic_load(&a->ready))
        return not_open(err);
    return tsdb_delete(a->db, start, end, matchers, n, err);
}

static sonde_code clean_tombstones(void *arg, struct sonde_err *err)
{
    struct agent *a = arg;

    if (!atomic_load(&a->ready))
        return not_open(err);
    return tsdb_clean_tombstones(a->db, err);
}

static void receive(void *arg, struct http_call *call)
{
    struct agent *a = arg;

    remote_receiver_handle(a->receiver, call);
}

static void read_remotely(void *arg, struct http_call *call)
{
    struct agent *a = arg;

    remote_reader_handle(a->reader, call);
}

void agent_wire_api(struct agent *a, struct api_ops *ops)
{
    *ops = (struct api_ops){
        .targets = targets,
        .metadata = metadata,
        .config_yaml = config_yaml,
        .external_labels = agent_external_labels,
        .reload = reload,
        .quit = quit,
        .ready = ready,
        .stopping = stopping,
        .runtime = runtime,
        .snapshot = snapshot,
        .delete_series = delete_series,
        .clean_tombstones = clean_tombstones,
        .receive = a->options->remote_receiver ? receive : NULL,
        .receive_max_bytes = REMOTE_RECEIVE_BODY_MAX,
        .read = a->options->log_only ? NULL : read_remotely,
        .read_max_bytes = REMOTE_READ_BODY_MAX,
        .arg = a,
    };
    agent_wire_status(ops);
}
