/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API through a real server, asked by the agent's own client; the store
 * is the in-memory fake, the rest of the agent a few constants.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/quantile_window.h"
#include "api/times.h"
#include "net/net.h"
#include "storage/storage.h"
#include "unit/tap.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

#define NOW INT64_C(1700000000000)

/* ---- an agent of constants --------------------------------------------- */

struct agent {
    struct clock_manual clock;
    struct selfmetrics *metrics;
    struct storage *storage;
    struct api *api;
    struct http_server *server;
    int port;
    atomic_bool ready, stopping;
    bool reload_fails, quit_before;
    char asked[400]; /* what was to be deleted                             */
};

#define LABELS(name, ...)                                                      \
    static const struct label name##_items[] = { __VA_ARGS__ };                \
    static const struct labels name = {                                        \
        name##_items, sizeof(name##_items) / sizeof(name##_items[0])           \
    }
#define L(n, v)                                                                \
    {                                                                          \
        { (n), sizeof(n) - 1 },                                                \
        {                                                                      \
            (v), sizeof(v) - 1                                                 \
        }                                                                      \
    }

LABELS(redis_labels, L("instance", "redis:6379"), L("job", "redis"));
LABELS(web_labels, L("instance", "web<1>:80"), L("job", "web"));
LABELS(found_labels, L("__address__", "redis:6379"));

static void ops_targets(void *arg, struct arena *a, struct api_targets *out)
{
    (void)arg;
    out->active = arena_array(a, struct api_target, 2);
    out->active_count = 2;
    out->active[0] = (struct api_target){
        .job = SONDE_STR("redis"),
        .scrape_url = SONDE_STR("redis://redis:6379"),
        .global_url = SONDE_STR("redis://redis:6379"),
        .labels = redis_labels,
        .discovered = found_labels,
        .health = "up",
        .last_scrape = NOW - 1500,
        .last_scrape_seconds = 0.25,
        .interval = 30000,
        .timeout = 10000,
    };
    out->active[1] = (struct api_target){
        .job = SONDE_STR("web"),
        .scrape_url = SONDE_STR("http://web/<\"&'>"),
        .last_error = SONDE_STR("<script>alert(1)</script>"),
        .labels = web_labels,
        .health = "unknown",
        .interval = 60000,
        .timeout = 10000,
    };
    out->dropped = arena_new(a, struct api_dropped);
    out->dropped_count = 1;
    out->dropped[0] = (struct api_dropped){ SONDE_STR("redis"), found_labels };
    out->pools = arena_array(a, struct api_pool, 2);
    out->pool_count = 2;
    out->pools[0] = (struct api_pool){ SONDE_STR("redis"), 1 };
    out->pools[1] = (struct api_pool){ SONDE_STR("web"), 0 };
}

static void ops_metadata(void *arg, struct arena *a, struct api_metadata **out,
                         size_t *n)
{
    static const struct api_metadata all[] = {
        { { SONDE_STR("z_total"), METRIC_COUNTER, SONDE_STR(""),
            SONDE_STR("Last.") },
          &redis_labels },
        { { SONDE_STR("a_seconds"), METRIC_GAUGE, SONDE_STR("seconds"),
            SONDE_STR("First.") },
          &redis_labels },
        { { SONDE_STR("a_seconds"), METRIC_GAUGE, SONDE_STR("seconds"),
            SONDE_STR("First.") },
          &web_labels },
        { { SONDE_STR("a_seconds"), METRIC_COUNTER, SONDE_STR("seconds"),
            SONDE_STR("First.") },
          &web_labels },
    };

    (void)arg;
    *n = sizeof(all) / sizeof(all[0]);
    *out = arena_array(a, struct api_metadata, *n);
    memcpy(*out, all, sizeof(all));
}

static sonde_str ops_config(void *arg, struct arena *a)
{
    (void)arg;
    (void)a;
    return SONDE_STR("global:\n  password: <secret>\n");
}

static sonde_code ops_reload(void *arg, struct sonde_err *err)
{
    struct agent *g = arg;

    if (g->reload_fails)
        return sonde_err_set(err, SONDE_EPARSE, "sonde.yaml:1:2: no");
    return SONDE_OK;
}

static void ops_external(void *arg, struct arena *a, struct labels *out)
{
    LABELS(external, L("aa", "1"), L("job", "ext"), L("zone", "z"));

    (void)arg;
    (void)a;
    *out = external;
}

static void ops_tops(void *arg, size_t limit, struct arena *a,
                     struct api_top_list out[API_TOPS])
{
    (void)arg;
    for (size_t k = 0; k < API_TOPS; k++) {
        out[k].count = limit < 2 ? limit : 2;
        out[k].items = arena_array(a, struct api_top, 2);
        out[k].items[0] = (struct api_top){ SONDE_STR("a=<b>"), 7 + k };
        out[k].items[1] = (struct api_top){ SONDE_STR("c"), 1 };
    }
}

static void ops_blocks(void *arg, struct arena *a, struct api_block **out,
                       size_t *n)
{
    static sonde_str ids[] = { { "01A", 3 }, { "01B", 3 } };

    (void)arg;
    *n = 2;
    *out = arena_array(a, struct api_block, 2);
    (*out)[0] = (struct api_block){ .ulid = ids[0],
                                    .min_time = 5,
                                    .max_time = 7,
                                    .samples = 3,
                                    .float_samples = 3,
                                    .series = 1,
                                    .chunks = 1,
                                    .level = 1,
                                    .sources = { ids, 1 } };
    (*out)[1] = (struct api_block){ .ulid = ids[1],
                                    .level = 2,
                                    .sources = { ids, 2 },
                                    .hints = { ids, 1 },
                                    .deletable = true };
    (*out)[1].parents = arena_new(a, struct api_block_parent);
    (*out)[1].parents[0] = (struct api_block_parent){ ids[0], 5, 7 };
    (*out)[1].parent_count = 1;
}

/* One rule that keeps, one that drops. */
static bool ops_steps(void *arg, sonde_str pool, const struct labels *l,
                      struct arena *a, struct api_relabel_step **out, size_t *n)
{
    static sonde_str source[] = { { "job", 3 } };

    (void)arg;
    if (!str_eq_cstr(pool, "web"))
        return false;
    *n = 2;
    *out = arena_array(a, struct api_relabel_step, 2);
    (*out)[0] =
        (struct api_relabel_step){ .rule = { .source_labels = { source, 1 },
                                             .separator = SONDE_STR(";"),
                                             .regex = SONDE_STR("(.*)"),
                                             .target_label = SONDE_STR("x"),
                                             .replacement = SONDE_STR("$1"),
                                             .action = SONDE_STR("replace") },
                                   .output = *l,
                                   .keep = true };
    (*out)[1] = (struct api_relabel_step){
        .rule = { .separator = SONDE_STR(";"),
                  .regex = SONDE_STR("a"),
                  .replacement = SONDE_STR("$1"),
                  .modulus = 8,
                  .action = SONDE_STR("drop") },
    };
    return true;
}

static bool ops_quit(void *arg)
{
    struct agent *g = arg;
    bool first = !g->quit_before;

    g->quit_before = true;
    return first;
}

/* What administration was asked for goes to `asked`. */
static sonde_code ops_snapshot(void *arg, bool with_head, struct arena *a,
                               sonde_str *name, struct sonde_err *err)
{
    struct agent *g = arg;

    if (g->reload_fails)
        return sonde_err_set(err, SONDE_ENOSPACE, "the disk is full");
    *name = arena_printf(a, "20231114T221320Z-%s", with_head ? "head" : "no");
    return SONDE_OK;
}

static sonde_code ops_delete(void *arg, sonde_msec start, sonde_msec end,
                             const struct matcher *matchers, size_t n,
                             struct sonde_err *err)
{
    struct agent *g = arg;
    size_t at = strlen(g->asked);

    (void)err;
    (void)snprintf(g->asked + at, sizeof(g->asked) - at, "%.*s:%zu:%lld-%lld;",
                   SONDE_ARG(matchers[n - 1].value), n, (long long)start,
                   (long long)end);
    return SONDE_OK;
}

static sonde_code ops_clean(void *arg, struct sonde_err *err)
{
    (void)arg;
    return sonde_err_set(err, SONDE_EIO, "write: no");
}

static bool ops_ready(void *arg)
{
    return ((struct agent *)arg)->ready;
}

static bool ops_stopping(void *arg)
{
    return ((struct agent *)arg)->stopping;
}

static void ops_runtime(void *arg, struct arena *a, struct api_runtime *out)
{
    (void)arg;
    (void)a;
    *out = (struct api_runtime){ .start_time = NOW - 1000,
                                 .last_config_time = NOW - 500,
                                 .reload_success = true,
                                 .cwd = SONDE_STR("/var/lib/sonde"),
                                 .hostname = SONDE_STR("here"),
                                 .retention = SONDE_STR("15d"),
                                 .threads = 7,
                                 .series = 3,
                                 .chunks = 4,
                                 .label_pairs = 5,
                                 .head_min = 1,
                                 .head_max = 2,
                                 .wal_first = 1,
                                 .wal_last = 9,
                                 .wal_current = 4 };
}

static void put_sample(struct agent *g, const struct labels *l, sonde_msec t,
                       double v)
{
    struct appender *a = storage_appender(g->storage);
    struct storage_sample s = { .t = t, .v = v };

    CU_ASSERT_EQUAL_FATAL(appender_series(a, l, &s.ref, NULL), SONDE_OK);
    appender_append(a, &s, 1);
    CU_ASSERT_EQUAL_FATAL(appender_commit(a, NULL, NULL), SONDE_OK);
    appender_free(a);
}

static void fill(struct agent *g)
{
    LABELS(up1, L("__name__", "up"), L("instance", "a"), L("job", "x"));
    LABELS(up2, L("__name__", "up"), L("instance", "b"), L("job", "x"));
    LABELS(other, L("__name__", "odd"), L("job", "<y>"), L("z.z", "1"));

    put_sample(g, &up1, NOW - 1000, 1);
    put_sample(g, &up2, NOW - 1000, 0);
    put_sample(g, &other, NOW - 999, NAN);
}

static const struct api_flag flags[] = {
    { "config.file", SONDE_STR("sonde.yaml") },
    { "web.enable-lifecycle", SONDE_STR("true") },
};

static void agent_start_with(struct agent *g, struct api_options o)
{
    static const char *const listen[] = { "127.0.0.1:0" };
    struct http_server_options so = { .listen = listen,
                                      .listen_count = 1,
                                      .ready = ops_ready,
                                      .stopping = ops_stopping,
                                      .ready_arg = g };
    struct sonde_err err = { 0 };

    *g = (struct agent){ .ready = true };
    clock_manual_init(&g->clock, NOW);
    g->metrics = selfmetrics_new();
    g->storage = storage_fake_new();
    fill(g);
    o.clock = &g->clock.clock;
    o.metrics = g->metrics;
    o.storage = g->storage;
    o.flags = flags;
    o.flag_count = sizeof(flags) / sizeof(flags[0]);
    o.ops = (struct api_ops){
        .targets = ops_targets,
        .metadata = ops_metadata,
        .config_yaml = ops_config,
        .external_labels = ops_external,
        .tops = ops_tops,
        .blocks = ops_blocks,
        .relabel_steps = ops_steps,
        .reload = ops_reload,
        .quit = ops_quit,
        .ready = ops_ready,
        .stopping = ops_stopping,
        .runtime = ops_runtime,
        .snapshot = ops_snapshot,
        .delete_series = ops_delete,
        .clean_tombstones = ops_clean,
        .arg = g,
    };
    if (api_new(&o, &g->api, &err) != SONDE_OK)
        CU_FAIL_FATAL("api_new");
    so.routes = api_routes(g->api, &so.route_count);
    if (http_server_start(&so, &g->server, &err) != SONDE_OK)
        CU_FAIL_FATAL("server");
    g->port = http_server_port(g->server, 0);
}

static void agent_start(struct agent *g)
{
    agent_start_with(g, (struct api_options){ 0 });
}

static void agent_stop(struct agent *g)
{
    http_server_stop(g->server);
    api_free(g->api);
    storage_fake_free(g->storage);
    selfmetrics_free(g->metrics);
}

/* ---- asking ------------------------------------------------------------ */

/* Method, space, path with query; a space and a form may follow. The body is
 * NUL-terminated in `out`. */
static int ask(const struct agent *g, const char *request, struct buf *out)
{
    static const struct http_header form = {
        "Content-Type", SONDE_STR("application/x-www-form-urlencoded")
    };
    struct http_client_config config = { 0 };
    struct http_request r = { .timeout_ms = 20000, .error_body = true };
    struct sonde_err err = { 0 };
    sonde_str rest = sonde_cstr(request), path;
    char url[2000];
    int status = -1;

    (void)str_split(&rest, ' ', &r.method);
    (void)str_split(&rest, ' ', &path);
    if (rest.ptr) {
        r.body = rest;
        r.headers = &form;
        r.header_count = 1;
    }
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%.*s", g->port,
                   SONDE_ARG(path));
    r.url = sonde_cstr(url);
    buf_reset(out);
    if (http_fetch(&config, &r, out, &status, &err) != SONDE_OK)
        tap_note("%s: %s", request, err.text);
    buf_char(out, '\0');
    out->len--;
    return status;
}

struct row {
    int line;
    const char *request;
    int status;
    const char *body; /* in full; a leading "~": somewhere in it */
};

static void check_rows(const struct agent *g, const struct row *rows, size_t n)
{
    struct buf b;

    buf_init(&b);
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        int status = ask(g, r->request, &b);
        bool same = r->body[0] == '~' ? strstr(b.data, r->body + 1) != NULL
                                      : strcmp(b.data, r->body) == 0;

        ROW_ASSERT(r, status == r->status);
        ROW_ASSERT(r, same);
        if (!same || status != r->status)
            tap_note("%d %s", status, b.data);
    }
    buf_fini(&b);
}
#define CHECK_ROWS(g, rows)                                                    \
    check_rows((g), (rows), sizeof(rows) / sizeof((rows)[0]))

#define OK(data) "{\"status\":\"success\",\"data\":" data "}"
#define ERR(type, text)                                                        \
    "{\"status\":\"error\",\"errorType\":\"" type "\",\"error\":\"" text "\"}"

/* ---- lifecycle --------------------------------------------------------- */

static void lifecycle(void)
{
    static const struct row ready[] = {
        { __LINE__, "GET /-/healthy", 200, "Prometheus Server is Healthy.\n" },
        { __LINE__, "HEAD /-/healthy", 200, "" },
        { __LINE__, "GET /-/ready", 200, "Prometheus Server is Ready.\n" },
        { __LINE__, "GET /-/reload", 405, "Only POST or PUT requests allowed" },
        { __LINE__, "POST /-/reload", 200, "" },
        { __LINE__, "PUT /-/reload", 200, "" },
        { __LINE__, "DELETE /-/quit", 405, "Method Not Allowed\n" },
        { __LINE__, "POST /-/quit", 200, "Requesting termination... Goodbye!" },
        { __LINE__, "POST /-/quit", 200, "Termination already in progress." },
    };
    static const struct row not_ready[] = {
        { __LINE__, "GET /-/healthy", 200, "Prometheus Server is Healthy.\n" },
        { __LINE__, "GET /-/ready", 503, "Service Unavailable" },
        { __LINE__, "GET /api/v1/query?query=1", 503, "Service Unavailable" },
        { __LINE__, "GET /api/v1/status/walreplay", 200,
          OK("{\"min\":1,\"max\":9,\"current\":4}") },
        { __LINE__, "GET /api/v1/notifications", 200, OK("[]") },
        { __LINE__, "GET /metrics", 200, "~process_cpu_seconds_total" },
        { __LINE__, "GET /", 200, "~starting" },
    };
    static const struct row failing[] = {
        { __LINE__, "POST /-/reload", 500,
          "failed to reload config: sonde.yaml:1:2: no\n" },
    };
    static const struct row off[] = {
        { __LINE__, "POST /-/reload", 403, "Lifecycle API is not enabled." },
        { __LINE__, "PUT /-/quit", 403, "Lifecycle API is not enabled." },
        { __LINE__, "GET /-/quit", 405, "Only POST or PUT requests allowed" },
    };
    struct agent g;

    agent_start_with(&g, (struct api_options){ .lifecycle = true });
    CHECK_ROWS(&g, ready);
    g.reload_fails = true;
    CHECK_ROWS(&g, failing);
    g.ready = false;
    CHECK_ROWS(&g, not_ready);
    agent_stop(&g);
    agent_start(&g);
    CHECK_ROWS(&g, off);
    agent_stop(&g);
}

/* ---- queries ----------------------------------------------------------- */

static void queries(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/query?query=2&time=4", 200,
          OK("{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}") },
        { __LINE__, "POST /api/v1/query query=1&time=4.5", 200,
          OK("{\"resultType\":\"scalar\",\"result\":[4.5,\"1\"]}") },
        { __LINE__, "POST /api/v1/query?query=1 query=2&time=0", 200,
          OK("{\"resultType\":\"scalar\",\"result\":[0,\"2\"]}") },
        { __LINE__, "GET /api/v1/query?query=1e21", 200,
          OK("{\"resultType\":\"scalar\",\"result\":[1700000000,"
             "\"1000000000000000000000\"]}") },
        { __LINE__, "GET /api/v1/query?query=%22a%3C%22&time=1.001", 200,
          OK("{\"resultType\":\"string\",\"result\":[1.001,\"a\\u003c\"]}") },
        { __LINE__, "GET /api/v1/query?query=up%7Binstance=%22a%22%7D", 200,
          OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":"
             "\"up\",\"instance\":\"a\",\"job\":\"x\"},\"value\":[1700000000,"
             "\"1\"]}]}") },
        { __LINE__, "GET /api/v1/query?query=nan&time=1700000000.5", 200,
          OK("{\"resultType\":\"scalar\",\"result\":[1700000000.5,"
             "\"NaN\"]}") },
        { __LINE__,
          "GET /api/v1/query?query=%7Bjob=%22%3Cy%3E%22%7D&time=2023-11-14T22:"
          "13:20.250Z",
          200,
          OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":"
             "\"odd\",\"job\":\"\\u003cy\\u003e\",\"z.z\":\"1\"},\"value\":["
             "1700000000.250,\"NaN\"]}]}") },
        { __LINE__, "GET /api/v1/query?query=up&time=1600000000", 200,
          OK("{\"resultType\":\"vector\",\"result\":[]}") },
        { __LINE__, "GET /api/v1/query?query=up&lookback_delta=0.5", 200,
          OK("{\"resultType\":\"vector\",\"result\":[]}") },
        { __LINE__, "GET /api/v1/query?query=up&limit=1", 200,
          "~}]},\"warnings\":[\"results truncated due to limit\"]}" },
        { __LINE__, "GET /api/v1/query?query=up&limit=2", 200, "~}]}}" },
        { __LINE__, "GET /api/v1/query?query=up&limit=x", 400,
          ERR("bad_data", "invalid parameter \\\"limit\\\": strconv.Atoi: "
                          "parsing \\\"x\\\": invalid syntax") },
        { __LINE__, "GET /api/v1/query?query=up&limit=-1", 400,
          ERR("bad_data", "invalid parameter \\\"limit\\\": limit must be "
                          "non-negative") },
        { __LINE__, "GET /api/v1/query?query=up&time=yesterday", 400,
          ERR("bad_data",
              "invalid parameter \\\"time\\\": invalid time value for 'time': "
              "cannot parse \\\"yesterday\\\" to a valid timestamp") },
        { __LINE__, "GET /api/v1/query?query=up&timeout=5M", 400,
          ERR("bad_data", "invalid parameter \\\"timeout\\\": cannot parse "
                          "\\\"5M\\\" to a valid duration") },
        { __LINE__, "GET /api/v1/query?query=up&timeout=0", 503,
          ERR("timeout", "query timed out in expression evaluation") },
        { __LINE__, "GET /api/v1/query?query=up%7B", 400,
          "~\"error\":\"invalid parameter \\\"query\\\": 1:" },
        { __LINE__, "GET /api/v1/query", 400, "~parse error" },
        { __LINE__, "DELETE /api/v1/query", 405, "Method Not Allowed\n" },
        { __LINE__, "GET /api/v1/query_range?query=up", 400,
          ERR("bad_data", "invalid parameter \\\"start\\\": cannot parse "
                          "\\\"\\\" to a valid timestamp") },
        { __LINE__, "GET /api/v1/nothing", 404, "404 page not found\n" },
    };
    struct agent g;

    agent_start(&g);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

static void quantiles(void)
{
    static const struct {
        int line;
        double q, want;
    } cases[] = {
        { __LINE__, 0.5, 0.5 },
        { __LINE__, 0.9, 0.9 },
        { __LINE__, 0.99, 0.99 },
    };
    struct quantile_window *w = mem_new(struct quantile_window);
    sonde_msec minute = 60 * 1000, now = 77 * minute;

    CU_ASSERT_TRUE(isnan(quantile_window_get(w, now, 0.5)));
    for (int i = 1; i <= 1000; i++)
        quantile_window_add(w, now, i / 1000.0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (sonde_msec at = now; at <= now + 7 * minute; at += minute)
            ROW_ASSERT(&cases[i], fabs(quantile_window_get(w, at, cases[i].q) /
                                           cases[i].want -
                                       1) < 0.04);
    /* Then they are forgotten, and what came later counts alone. */
    quantile_window_add(w, now + 8 * minute, 1e-7);
    CU_ASSERT_TRUE(
        fabs(quantile_window_get(w, now + 11 * minute, 0.5) / 1e-7 - 1) < 0.04);
    CU_ASSERT_TRUE(isnan(quantile_window_get(w, now + 60 * minute, 0.5)));
    /* What has no bin. */
    quantile_window_add(w, now + 60 * minute, 0);
    quantile_window_add(w, now + 60 * minute, -1);
    quantile_window_add(w, now + 60 * minute, 1e9);
    CU_ASSERT_TRUE(quantile_window_get(w, now + 60 * minute, 0.5) < 1e-8);
    CU_ASSERT_TRUE(quantile_window_get(w, now + 60 * minute, 0.99) > 900);
    free(w);
}

static void federation(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /federate", 200, "" },
        { __LINE__, "GET /federate?match[]=%7B%7D", 200, "" },
        { __LINE__, "GET /federate?match[]=up&match[]=%7Binstance=%22a%22%7D",
          200,
          "# TYPE up untyped\n"
          "up{instance=\"a\",job=\"x\",aa=\"1\",zone=\"z\"} 1 1699999999000\n"
          "up{instance=\"b\",job=\"x\",aa=\"1\",zone=\"z\"} 0 "
          "1699999999000\n" },
        { __LINE__, "GET /federate?match[]=odd", 200,
          "# TYPE odd untyped\n"
          "odd{job=\"<y>\",z_z=\"1\",aa=\"1\",instance=\"\",zone=\"z\"} NaN "
          "1699999999001\n" },
        { __LINE__, "GET /federate?match[]=up%7B", 400,
          "~parse error: unexpected" },
        { __LINE__, "GET /federate?match[]=up;x", 400,
          "error parsing form values: invalid semicolon separator in query\n" },
        { __LINE__, "GET /federate?match[]=up&y=%zz", 400,
          "error parsing form values: invalid URL escape \"%zz\"\n" },
        { __LINE__, "POST /federate match[]=up", 405, "Method Not Allowed\n" },
    };
    struct agent g;

    agent_start(&g);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

#define SELECTOR(name, rest)                                                   \
    "{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\"," \
    "\"value\":\"" name "\"}],\"name\":\"" name                                \
    "\",\"offset\":0,\"offsetExpr\":null," rest                                \
    "\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":null,"

static void store_status(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/status/tsdb?limit=1", 200,
          "~\"seriesCountByMetricName\":[{\"name\":\"a=\\u003cb\\u003e\","
          "\"value\":7}],\"labelValueCountByLabelName\":[{\"name\":"
          "\"a=\\u003cb\\u003e\",\"value\":8}],\"memoryInBytesByLabelName\":"
          "[{\"name\":\"a=\\u003cb\\u003e\",\"value\":9}],"
          "\"seriesCountByLabelValuePair\":[{\"name\":\"a=\\u003cb\\u003e\","
          "\"value\":10}]}" },
        { __LINE__, "GET /api/v1/status/tsdb?limit=0", 400,
          ERR("bad_data", "limit must be a positive number") },
        { __LINE__, "GET /api/v1/status/tsdb?limit=10001", 400,
          "~limit must not exceed 10000" },
        { __LINE__, "GET /api/v1/status/tsdb/blocks", 200,
          OK("{\"blocks\":[{\"ulid\":\"01A\",\"minTime\":5,\"maxTime\":7,"
             "\"stats\":{\"numSamples\":3,\"numFloatSamples\":3,\"numSeries\":"
             "1,\"numChunks\":1},\"compaction\":{\"level\":1,\"sources\":["
             "\"01A\"]},\"version\":1},{\"ulid\":\"01B\",\"minTime\":0,"
             "\"maxTime\":0,\"stats\":{},\"compaction\":{\"level\":2,"
             "\"sources\":[\"01A\",\"01B\"],\"deletable\":true,\"parents\":[{"
             "\"ulid\":\"01A\",\"minTime\":5,\"maxTime\":7}],\"hints\":["
             "\"01A\"]},\"version\":1}]}") },
        { __LINE__,
          "GET /api/v1/targets/relabel_steps?scrapePool=web&labels=%7B%22job%22"
          ":%22a%22%7D",
          200,
          OK("{\"steps\":[{\"rule\":{\"source_labels\":[\"job\"],"
             "\"separator\":\";\",\"regex\":\"(.*)\",\"target_label\":\"x\","
             "\"replacement\":\"$1\",\"action\":\"replace\"},\"output\":{"
             "\"job\":\"a\"},\"keep\":true},{\"rule\":{\"separator\":\";\","
             "\"regex\":\"a\",\"modulus\":8,\"replacement\":\"$1\",\"action\":"
             "\"drop\"},\"output\":{},\"keep\":false}]}") },
        { __LINE__, "GET /api/v1/targets/relabel_steps?labels=%7B%7D", 400,
          "~no scrapePool parameter provided" },
        { __LINE__, "GET /api/v1/targets/relabel_steps?scrapePool=web", 400,
          "~no labels parameter provided" },
        { __LINE__,
          "GET /api/v1/targets/relabel_steps?scrapePool=no&labels=%7B%7D", 400,
          "~scrape pool \\\"no\\\" not found" },
        { __LINE__,
          "GET /api/v1/targets/relabel_steps?scrapePool=web&labels=%7B%22a%22"
          ":1%7D",
          400, "~error parsing labels: " },
        { __LINE__, "GET /api/v1/targets/relabel_steps?scrapePool=web&labels=x",
          400, "~error parsing labels: " },
        { __LINE__, "GET /api/v1/rules?type=X", 400,
          ERR("bad_data", "invalid parameter \\\"type\\\": not supported value "
                          "\\\"x\\\"") },
        { __LINE__, "GET /api/v1/query?query=up&stats=all", 200,
          "~\"execTotalTime\":" },
        { __LINE__, "GET /api/v1/query?query=up&stats=all", 200,
          "~\"samples\":{\"totalQueryableSamples\":2,\"samplesRead\":" },
        { __LINE__, "GET /metrics", 200,
          "~\nprometheus_engine_query_duration_seconds_count{slice=\"inner_"
          "eval\"} 2\n" },
        { __LINE__, "GET /metrics", 200,
          "~\nprometheus_http_request_duration_seconds_bucket{handler=\"/api/"
          "v1/query\",le=\"120\"} 2\n" },
        { __LINE__, "GET /metrics", 200,
          "~\nprometheus_http_response_size_bytes_count{handler=\"/api/v1/"
          "status/tsdb/blocks\"} 1\n" },
    };
    struct agent g;

    agent_start(&g);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

static void syntax_trees(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/parse_query?query=-(1)", 200,
          OK("{\"expr\":{\"expr\":{\"type\":\"numberLiteral\",\"val\":\"1\"},"
             "\"type\":\"parenExpr\"},\"op\":\"-\",\"type\":\"unaryExpr\"}") },
        { __LINE__, "POST /api/v1/parse_query query=x", 200,
          OK(SELECTOR("x", "") "\"type\":\"vectorSelector\"}") },
        { __LINE__, "GET /api/v1/parse_query?query=rate(x[5m])", 200,
          OK("{\"args\":[" SELECTOR(
              "x", "\"range\":300000,\"rangeExpr\":"
                   "null,") "\"type\":\"matrixSelector\""
                            "}],\"func\":{\"argTypes\":[\"matrix\"],\"name\":"
                            "\"rate\","
                            "\"returnType\":\"vector\",\"variadic\":0},"
                            "\"type\":\"call\"}") },
        { __LINE__, "GET /api/v1/parse_query?query=a*on(j)group_left(k)b", 200,
          "~\"matching\":{\"card\":\"many-to-one\",\"fillValues\":{\"lhs\":"
          "null,\"rhs\":null},\"include\":[\"k\"],\"labels\":[\"j\"],\"on\":"
          "true},\"op\":\"*\",\"rhs\":" },
        { __LINE__, "GET /api/v1/parse_query?query=topk(2,a)", 200,
          "~\"grouping\":[],\"op\":\"topk\",\"param\":{\"type\":"
          "\"numberLiteral\",\"val\":\"2\"},\"type\":\"aggregation\","
          "\"without\":false}" },
        { __LINE__, "GET /api/v1/parse_query?query=a[1h:5m]%20@%20end()", 200,
          "~\"offset\":0,\"offsetExpr\":null,\"range\":3600000,\"rangeExpr\":"
          "null,\"startOrEnd\":\"end\",\"step\":300000,\"stepExpr\":null,"
          "\"timestamp\":null,\"type\":\"subquery\"}" },
        { __LINE__, "GET /api/v1/parse_query?query=x[5m%2bstep()]", 200,
          "~\"range\":0,\"rangeExpr\":{\"lhs\":{\"duration\":true,\"type\":"
          "\"numberLiteral\",\"val\":\"300\"},\"op\":\"+\",\"rhs\":{"
          "\"lhs\":null,\"op\":\"step\",\"rhs\":null,\"type\":"
          "\"durationExpr\",\"wrapped\":false},\"type\":\"durationExpr\","
          "\"wrapped\":false}" },
        { __LINE__, "GET /api/v1/parse_query?query=x%20offset%20(10m/2)", 200,
          "~\"offset\":0,\"offsetExpr\":{\"lhs\":{\"duration\":true,"
          "\"type\":\"numberLiteral\",\"val\":\"600\"},\"op\":\"/\",\"rhs\":"
          "{\"duration\":false,\"type\":\"numberLiteral\",\"val\":\"2\"},"
          "\"type\":\"durationExpr\",\"wrapped\":true}" },
        { __LINE__,
          "GET /api/v1/parse_query?query=x[5m:min_of(1s,range())]"
          "%20offset%20-step()",
          200,
          "~\"offsetExpr\":{\"lhs\":null,\"op\":\"-\",\"rhs\":{\"lhs\":null,"
          "\"op\":\"step\",\"rhs\":null,\"type\":\"durationExpr\","
          "\"wrapped\":false},\"type\":\"durationExpr\",\"wrapped\":false},"
          "\"range\":300000,\"rangeExpr\":null,\"startOrEnd\":null,\"step\":"
          "0,\"stepExpr\":{\"lhs\":{\"duration\":true,\"type\":"
          "\"numberLiteral\",\"val\":\"1\"},\"op\":\"min_of\"," },
        { __LINE__, "GET /api/v1/parse_query?query=sum(", 400,
          "~\"errorType\":\"bad_data\",\"error\":\"invalid parameter "
          "\\\"query\\\": 1:5: parse error: " },
    };
    struct agent g;

    agent_start(&g);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

static void exemplars(void)
{
    LABELS(up, L("__name__", "up"), L("instance", "a"), L("job", "x"));
    LABELS(trace, L("trace_id", "7"));
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/query_exemplars?query=rate(up[5m])", 200,
          OK("[{\"seriesLabels\":{\"__name__\":\"up\",\"instance\":\"a\","
             "\"job\":\"x\"},\"exemplars\":[{\"labels\":{\"trace_id\":\"7\"},"
             "\"value\":\"1.5\",\"timestamp\":1699999999.500}]}]") },
        { __LINE__, "POST /api/v1/query_exemplars query=odd", 200, OK("[]") },
        { __LINE__, "GET /api/v1/query_exemplars?query=up&end=1600000000", 200,
          OK("[]") },
        /* How Grafana asks whether there are any. */
        { __LINE__,
          "GET /api/v1/query_exemplars?query=test&start=1700000000000&end="
          "1700000300000",
          200, OK("[]") },
        { __LINE__, "GET /api/v1/query_exemplars?query=1", 204, "" },
        { __LINE__, "GET /api/v1/query_exemplars?query=sum(", 400,
          "~\"error\":\"1:5: parse error: " },
        { __LINE__, "GET /api/v1/query_exemplars?query=up&start=5&end=4", 400,
          ERR("bad_data", "end timestamp must not be before start timestamp") },
    };
    struct exemplar e = { trace, NOW - 500, 1.5 };
    struct agent g;
    struct appender *a;
    series_ref ref;

    agent_start(&g);
    a = storage_appender(g.storage);
    CU_ASSERT_EQUAL_FATAL(appender_series(a, &up, &ref, NULL), SONDE_OK);
    appender_exemplar(a, ref, &e);
    CU_ASSERT_EQUAL_FATAL(appender_commit(a, NULL, NULL), SONDE_OK);
    appender_free(a);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

static void warnings_of_the_store(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/query?query=nothing", 200,
          "~,\"warnings\":[\"a block is damaged\"]}" },
        { __LINE__, "GET /api/v1/query?query=1", 200,
          "~\"resultType\":\"scalar\"" },
        { __LINE__, "GET /api/v1/series?match[]=up&limit=1", 200,
          "~,\"warnings\":[\"results truncated due to limit\",\"a block is "
          "damaged\"]}" },
        { __LINE__, "GET /api/v1/label/job/values?match[]=up", 200,
          "{\"status\":\"success\",\"data\":[\"x\"],\"warnings\":[\"a block "
          "is damaged\"]}" },
        { __LINE__, "GET /api/v1/labels", 200,
          "~,\"warnings\":[\"a block is damaged\"]}" },
    };
    struct agent g;

    agent_start(&g);
    storage_fake_warn(g.storage, "a block is damaged");
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

static void series_and_labels(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/series?match[]=up", 200,
          "~\"instance\":\"a\"" },
        { __LINE__,
          "GET /api/v1/series?match[]=odd&match[]=%7Bjob=~%22.y.%22%7D", 200,
          OK("[{\"__name__\":\"odd\",\"job\":\"\\u003cy\\u003e\",\"z.z\":"
             "\"1\"}]") },
        { __LINE__, "POST /api/v1/series match[]=up&limit=1", 200,
          "~}],\"warnings\":[\"results truncated due to limit\"]}" },
        { __LINE__, "GET /api/v1/series?match[]=nothing", 200, OK("[]") },
        { __LINE__, "GET /api/v1/series", 400,
          ERR("bad_data", "no match[] parameter provided") },
        { __LINE__, "GET /api/v1/series?match[]=%7B%7D", 400,
          "~must contain at least one non-empty matcher" },
        { __LINE__, "GET /api/v1/series?match[]=up&x=%25zz", 200, "~success" },
        { __LINE__, "GET /api/v1/series?match[]=up&x=1;2", 400,
          "~error parsing form values" },
        { __LINE__, "GET /api/v1/series?match[]=up%7B", 400,
          "~invalid parameter \\\"match[]\\\": " },
        { __LINE__, "GET /api/v1/labels", 200,
          OK("[\"__name__\",\"instance\",\"job\",\"z.z\"]") },
        { __LINE__, "POST /api/v1/labels match[]=up", 200,
          OK("[\"__name__\",\"instance\",\"job\"]") },
        { __LINE__, "GET /api/v1/labels?match[]=up&match[]=odd&limit=2", 200,
          "{\"status\":\"success\",\"data\":[\"__name__\",\"instance\"],"
          "\"warnings\":[\"results truncated due to limit\"]}" },
        { __LINE__, "GET /api/v1/labels?match[]=%7Bx=%22%22%7D", 400,
          "~must contain at least one non-empty matcher" },
        { __LINE__, "GET /api/v1/labels?start=x", 400,
          "~invalid time value for 'start'" },
        { __LINE__, "GET /api/v1/label/job/values", 200,
          OK("[\"\\u003cy\\u003e\",\"x\"]") },
        { __LINE__, "GET /api/v1/label/job/values?match[]=up", 200,
          OK("[\"x\"]") },
        { __LINE__, "GET /api/v1/label/z.z/values", 200, OK("[\"1\"]") },
        { __LINE__, "GET /api/v1/label/U__z_2e_z/values", 200, OK("[\"1\"]") },
        { __LINE__, "GET /api/v1/label/U______name____/values", 200,
          OK("[\"odd\",\"up\"]") },
        { __LINE__, "GET /api/v1/label/U__z_zz_z/values", 200, OK("[]") },
        { __LINE__, "GET /api/v1/label/nothing/values", 200, OK("[]") },
        { __LINE__, "GET /api/v1/label/a%2Fb/values", 404,
          "404 page not found\n" },
        { __LINE__, "GET /api/v1/label/values", 404, "404 page not found\n" },
        { __LINE__, "GET /api/v1/label/%ff/values", 400,
          "~invalid label name" },
        { __LINE__, "POST /api/v1/label/job/values", 405,
          "Method Not Allowed\n" },
    };
    struct agent g;

    agent_start(&g);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

/* ---- targets, metadata, status ----------------------------------------- */

#define REDIS                                                                  \
    "{\"discoveredLabels\":{\"__address__\":\"redis:6379\"},\"labels\":{"      \
    "\"instance\":\"redis:6379\",\"job\":\"redis\"},\"scrapePool\":\"redis\"," \
    "\"scrapeUrl\":\"redis://redis:6379\",\"globalUrl\":"                      \
    "\"redis://redis:6379\",\"lastError\":\"\",\"lastScrape\":"                \
    "\"2023-11-14T22:13:18.500Z\",\"lastScrapeDuration\":0.25,\"health\":"     \
    "\"up\",\"scrapeInterval\":\"30s\",\"scrapeTimeout\":\"10s\"}"
#define DROPPED                                                                \
    "{\"discoveredLabels\":{\"__address__\":\"redis:6379\"},\"scrapePool\":"   \
    "\"redis\"}"

static void targets(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/targets?state=active&scrapePool=redis", 200,
          OK("{\"activeTargets\":[" REDIS
             "],\"droppedTargets\":[],\"droppedTargetCounts\":null}") },
        { __LINE__, "GET /api/v1/targets?state=Dropped", 200,
          OK("{\"activeTargets\":[],\"droppedTargets\":[" DROPPED
             "],\"droppedTargetCounts\":{\"redis\":1,\"web\":0}}") },
        { __LINE__, "GET /api/v1/targets", 200,
          "~\"lastScrape\":\"0001-01-01T00:00:00Z\"" },
        { __LINE__, "GET /api/v1/targets?state=any&scrapePool=none", 200,
          OK("{\"activeTargets\":[],\"droppedTargets\":[],"
             "\"droppedTargetCounts\":{}}") },
        { __LINE__, "GET /api/v1/targets?state=odd", 200,
          OK("{\"activeTargets\":[],\"droppedTargets\":[],"
             "\"droppedTargetCounts\":null}") },
        { __LINE__, "GET /api/v1/scrape_pools", 200,
          OK("{\"scrapePools\":[\"redis\",\"web\"]}") },
        { __LINE__, "GET /api/v1/metadata", 200,
          OK("{\"a_seconds\":[{\"type\":\"counter\",\"help\":\"First.\","
             "\"unit\":\"seconds\"},{\"type\":\"gauge\",\"help\":\"First.\","
             "\"unit\":\"seconds\"}],\"z_total\":[{\"type\":\"counter\","
             "\"help\":\"Last.\",\"unit\":\"\"}]}") },
        { __LINE__, "GET /api/v1/metadata?metric=z_total", 200,
          OK("{\"z_total\":[{\"type\":\"counter\",\"help\":\"Last.\",\"unit\":"
             "\"\"}]}") },
        { __LINE__, "GET /api/v1/metadata?limit=0", 200, OK("{}") },
        { __LINE__, "GET /api/v1/metadata?limit=1&limit_per_metric=1", 200,
          OK("{\"a_seconds\":[{\"type\":\"counter\",\"help\":\"First.\","
             "\"unit\":\"seconds\"}]}") },
        { __LINE__, "GET /api/v1/metadata?limit=-1&metric=none", 200,
          OK("{}") },
        { __LINE__, "GET /api/v1/metadata?limit=a", 400,
          ERR("bad_data", "limit must be a number") },
        { __LINE__, "GET /api/v1/targets/metadata?metric=z_total", 200,
          OK("[{\"target\":{\"instance\":\"redis:6379\",\"job\":\"redis\"},"
             "\"type\":\"counter\",\"help\":\"Last.\",\"unit\":\"\"}]") },
        { __LINE__,
          "GET /api/v1/targets/metadata?match_target=%7Bjob=%22redis%22%7D&"
          "limit=1",
          200, "~\"metric\":\"z_total\"" },
        { __LINE__, "GET /api/v1/targets/metadata?match_target=%7B", 400,
          "~invalid parameter \\\"match_target\\\"" },
        { __LINE__, "GET /api/v1/alerts", 200, OK("{\"alerts\":[]}") },
        { __LINE__, "GET /api/v1/rules?type=alert", 200,
          OK("{\"groups\":[]}") },
        { __LINE__, "GET /api/v1/alertmanagers", 200,
          OK("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}") },
    };
    struct agent g;

    agent_start(&g);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

static void status(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/status/config", 200,
          OK("{\"yaml\":\"global:\\n  password: \\u003csecret\\u003e\\n\"}") },
        { __LINE__, "GET /api/v1/status/flags", 200,
          OK("{\"config.file\":\"sonde.yaml\",\"web.enable-lifecycle\":"
             "\"true\"}") },
        { __LINE__, "GET /api/v1/status/runtimeinfo", 200,
          "~{\"startTime\":\"2023-11-14T22:13:19.000Z\",\"CWD\":"
          "\"/var/lib/sonde\",\"hostname\":\"here\",\"serverTime\":"
          "\"2023-11-14T22:13:20.000Z\",\"reloadConfigSuccess\":true,"
          "\"lastConfigTime\":\"2023-11-14T22:13:19.500Z\","
          "\"corruptionCount\":0,\"goroutineCount\":7," },
        { __LINE__, "GET /api/v1/status/runtimeinfo", 200,
          "~\"storageRetention\":\"15d\"}}" },
        { __LINE__, "GET /api/v1/status/buildinfo", 200,
          "~\"data\":{\"version\":\"3." },
        { __LINE__, "GET /version", 200, "~{\"version\":\"3." },
        { __LINE__, "GET /api/v1/status/tsdb", 200,
          "~{\"headStats\":{\"numSeries\":3,\"numLabelPairs\":5,"
          "\"chunkCount\":4,\"minTime\":1,\"maxTime\":2},"
          "\"seriesCountByMetricName\":[{" },
        { __LINE__, "GET /api/v1/features", 200,
          "~\"prometheus\":{\"agent_mode\":false},\"promql\":{\"anchored\":"
          "false,\"at_modifier\":true," },
        { __LINE__, "GET /api/v1/features", 200,
          "~\"promql_functions\":{\"abs\":true," },
        { __LINE__, "GET /api/v1/features", 200,
          "~\"info\":false,\"irate\":true," },
    };
    struct agent g;

    agent_start(&g);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

static void agent_mode(void)
{
    static const char refused[] =
        ERR("execution", "unavailable with Prometheus Agent");
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/query?query=1", 422, refused },
        { __LINE__, "GET /api/v1/labels", 422, refused },
        { __LINE__, "GET /api/v1/label/a/values", 422, refused },
        { __LINE__, "GET /api/v1/series", 422, refused },
        { __LINE__, "GET /api/v1/rules", 422, refused },
        { __LINE__, "GET /api/v1/status/tsdb", 422, refused },
        { __LINE__, "GET /api/v1/targets", 200, "~activeTargets" },
        { __LINE__, "GET /api/v1/status/flags", 200, "~success" },
    };
    struct agent g;

    agent_start_with(&g, (struct api_options){ .agent_mode = true });
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

/* Replay is not done: what needs the store says so. */
static void without_store(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /api/v1/query?query=1", 503,
          ERR("unavailable", "the store is not open yet") },
        { __LINE__, "GET /api/v1/labels", 503,
          ERR("unavailable", "the store is not open yet") },
    };
    struct agent g;

    agent_start(&g);
    api_set_storage(g.api, NULL);
    CHECK_ROWS(&g, rows);
    agent_stop(&g);
}

/* ---- administration ---------------------------------------------------- */

static void admin(void)
{
    static const struct row off[] = {
        { __LINE__, "POST /api/v1/admin/tsdb/snapshot", 500,
          ERR("unavailable", "admin APIs disabled") },
        { __LINE__, "PUT /api/v1/admin/tsdb/delete_series?match[]=up", 500,
          ERR("unavailable", "admin APIs disabled") },
        { __LINE__, "POST /api/v1/admin/tsdb/clean_tombstones", 500,
          ERR("unavailable", "admin APIs disabled") },
    };
    static const struct row on[] = {
        { __LINE__, "GET /api/v1/admin/tsdb/snapshot", 405,
          "Method Not Allowed\n" },
        { __LINE__, "POST /api/v1/admin/tsdb/snapshot", 200,
          OK("{\"name\":\"20231114T221320Z-head\"}") },
        { __LINE__, "PUT /api/v1/admin/tsdb/snapshot?skip_head=false", 200,
          OK("{\"name\":\"20231114T221320Z-head\"}") },
        { __LINE__, "POST /api/v1/admin/tsdb/snapshot?skip_head=T", 200,
          OK("{\"name\":\"20231114T221320Z-no\"}") },
        { __LINE__, "POST /api/v1/admin/tsdb/snapshot skip_head=1", 200,
          OK("{\"name\":\"20231114T221320Z-no\"}") },
        { __LINE__, "POST /api/v1/admin/tsdb/snapshot?skip_head=yes", 400,
          "~unable to parse boolean strconv.ParseBool: parsing \\\"yes\\\"" },
        { __LINE__, "POST /api/v1/admin/tsdb/delete_series", 400,
          ERR("bad_data", "no match[] parameter provided") },
        { __LINE__, "POST /api/v1/admin/tsdb/delete_series?match[]=%7B", 400,
          "~invalid parameter \\\"match[]\\\": 1:" },
        { __LINE__, "POST /api/v1/admin/tsdb/delete_series?match[]=up&start=x",
          400, "~invalid parameter \\\"start\\\"" },
        { __LINE__,
          "POST /api/v1/admin/tsdb/delete_series?match[]=up&match[]=x%7Ba="
          "%22b%22%7D&start=1&end=2.5",
          204, "" },
        { __LINE__, "PUT /api/v1/admin/tsdb/delete_series match[]=form&end=9",
          204, "" },
        { __LINE__, "POST /api/v1/admin/tsdb/clean_tombstones", 500,
          ERR("internal", "write: no") },
    };
    static const struct row failing[] = {
        { __LINE__, "POST /api/v1/admin/tsdb/snapshot", 500,
          ERR("internal", "create snapshot: the disk is full") },
    };
    static const struct row agent[] = {
        { __LINE__, "POST /api/v1/admin/tsdb/snapshot", 422,
          ERR("execution", "unavailable with Prometheus Agent") },
    };
    struct agent g;

    agent_start(&g);
    CHECK_ROWS(&g, off);
    agent_stop(&g);
    agent_start_with(&g, (struct api_options){ .admin = true });
    CHECK_ROWS(&g, on);
    CU_ASSERT(strncmp(g.asked, "up:1:1000-2500;b:2:1000-2500;form:1:", 36) ==
              0);
    g.reload_fails = true;
    CHECK_ROWS(&g, failing);
    agent_stop(&g);
    agent_start_with(&g,
                     (struct api_options){ .admin = true, .agent_mode = true });
    CHECK_ROWS(&g, agent);
    agent_stop(&g);
}

/* ---- pages ------------------------------------------------------------- */

static void pages(void)
{
    static const struct row rows[] = {
        { __LINE__, "GET /", 200, "~&lt;script&gt;alert(1)&lt;/script&gt;" },
        { __LINE__, "GET /", 200,
          "~href=\"http://web/&lt;&quot;&amp;&#39;&gt;\"" },
        { __LINE__, "GET /", 200, "~1.5&nbsp;s ago" },
        { __LINE__, "GET /", 200,
          "~2 in 2 jobs: <span class=\"up\">1 up</span>" },
        { __LINE__, "GET /metrics", 200,
          "~# TYPE process_resident_memory_bytes gauge\n" },
        { __LINE__, "GET /metrics", 200, "~\nprocess_max_fds " },
        { __LINE__, "GET /metrics", 200, "~\nprocess_open_fds " },
        { __LINE__, "GET /metrics", 200, "~\nprocess_start_time_seconds 1" },
        { __LINE__, "GET /metrics", 200,
          "~prometheus_http_requests_total{code=\"200\",handler=\"/\"} 4" },
        { __LINE__, "POST /metrics", 405, "Method Not Allowed\n" },
        { __LINE__, "GET /favicon.ico", 404, "404 page not found\n" },
    };
    struct agent g;
    struct buf b;

    agent_start(&g);
    CHECK_ROWS(&g, rows);
    buf_init(&b);
    (void)ask(&g, "GET /", &b);
    CU_ASSERT_PTR_NULL(strstr(b.data, "<script"));
    CU_ASSERT_PTR_NULL(strstr(b.data, "src="));
    buf_fini(&b);
    agent_stop(&g);
}

/* ---- headers ----------------------------------------------------------- */

static void cors_pattern_is_checked(void)
{
    struct api_options o = { .clock = &clock_system,
                             .cors_origin = SONDE_STR("(") };
    struct sonde_err err = { 0 };
    struct api *api = NULL;

    CU_ASSERT_NOT_EQUAL(api_new(&o, &api, &err), SONDE_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "--web.cors.origin"));
    CU_ASSERT_PTR_NULL(api);
}

/* The whole answer, headers included, to a GET with one more header. */
static void ask_raw(const struct agent *g, const char *path, const char *header,
                    struct buf *out)
{
    char address[40], request[400];
    struct net_stream *s = NULL;
    sonde_msec until = clock_monotonic(&clock_system) + 20000;
    size_t n = 1;

    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", g->port);
    (void)snprintf(request, sizeof(request),
                   "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   "%s\r\n",
                   path, header);
    buf_reset(out);
    if (net_stream_open(sonde_cstr(address), until, &s, NULL) != SONDE_OK ||
        net_stream_write(s, request, strlen(request), until, NULL) != SONDE_OK)
        CU_FAIL_FATAL("connect");
    while (n > 0) {
        char *p = buf_reserve(out, 4096);

        if (net_stream_read(s, p, 4096, &n, until, NULL) != SONDE_OK)
            break;
        buf_added(out, n);
    }
    net_stream_close(s);
    buf_char(out, '\0');
}

struct header_row {
    int line;
    const char *path, *header;
    const char *has, *has_not;
};

static void check_headers(const struct agent *g, const struct header_row *rows,
                          size_t n)
{
    struct buf b;

    buf_init(&b);
    for (size_t i = 0; i < n; i++) {
        ask_raw(g, rows[i].path, rows[i].header, &b);
        ROW_ASSERT(&rows[i], strstr(b.data, rows[i].has) != NULL);
        ROW_ASSERT(&rows[i],
                   !rows[i].has_not || strstr(b.data, rows[i].has_not) == NULL);
    }
    buf_fini(&b);
}

static void cors(void)
{
    static const struct row rows[] = {
        { __LINE__, "OPTIONS /api/v1/query", 204, "" },
        { __LINE__, "OPTIONS /api/v1/nothing", 204, "" },
        { __LINE__, "OPTIONS /metrics", 405, "Method Not Allowed\n" },
    };
    static const struct header_row pattern[] = {
        { __LINE__, "/api/v1/alerts", "", "Vary: Origin\r\n",
          "Access-Control" },
        { __LINE__, "/api/v1/alerts", "Origin: http://a.example\r\n",
          "Access-Control-Allow-Origin: http://a.example\r\n", NULL },
        { __LINE__, "/api/v1/alerts", "Origin: http://a.example.evil\r\n",
          "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n",
          "Access-Control-Allow-Origin" },
        { __LINE__, "/api/v1/query", "Origin: https://a.example\r\n",
          "Access-Control-Allow-Origin: https://a.example\r\n", NULL },
        { __LINE__, "/metrics", "Origin: http://a.example\r\n", "200 OK",
          "Access-Control" },
    };
    static const struct header_row any[] = {
        { __LINE__, "/api/v1/alerts", "Origin: http://other\r\n",
          "Access-Control-Allow-Origin: *\r\n", NULL },
        { __LINE__, "/", "", "Content-Security-Policy: default-src 'none'",
          NULL },
        { __LINE__, "/metrics", "Accept: application/openmetrics-text\r\n",
          "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", NULL },
        { __LINE__, "/api/v1/status/buildinfo", "",
          "Content-Type: application/json\r\n", NULL },
    };
    struct agent g;

    agent_start_with(&g, (struct api_options){ .cors_origin = SONDE_STR(
                                                   "https?://.*[.]example") });
    CHECK_ROWS(&g, rows);
    check_headers(&g, pattern, sizeof(pattern) / sizeof(pattern[0]));
    agent_stop(&g);
    agent_start(&g);
    check_headers(&g, any, sizeof(any) / sizeof(any[0]));
    agent_stop(&g);
}

/* ---- times ------------------------------------------------------------- */

static void times(void)
{
    static const struct {
        int line;
        const char *in;
        bool ok;
        sonde_msec t;
    } cases[] = {
        { __LINE__, "0", true, 0 },
        { __LINE__, "1.5", true, 1500 },
        { __LINE__, "-1", true, -1000 },
        { __LINE__, ".5", true, 500 },
        { __LINE__, "1e9", true, INT64_C(1000000000000) },
        { __LINE__, "1700000000.1234", true, INT64_C(1700000000123) },
        { __LINE__, "1700000000.9996", true, INT64_C(1700000001000) },
        { __LINE__, "1700000000000", true, INT64_C(1700000000000000) },
        { __LINE__, "1970-01-01T00:00:00Z", true, 0 },
        { __LINE__, "2023-11-14T22:13:20Z", true, INT64_C(1700000000000) },
        { __LINE__, "2023-11-14T22:13:20.5+01:30", true,
          INT64_C(1699994600500) },
        { __LINE__, "2024-02-29T00:00:00.123456789Z", true,
          INT64_C(1709164800123) },
        { __LINE__, "1969-12-31T23:59:59.999Z", true, -1 },
        { __LINE__, "0001-01-01T00:00:00Z", true, INT64_C(-62135596800000) },
        { __LINE__, "9999-12-31T23:59:59Z", true, INT64_C(253402300799000) },
        { __LINE__, "-292273086-05-16T16:47:06Z", true, API_TIME_MIN },
        { __LINE__, "292277025-08-18T07:12:54.999999999Z", true, API_TIME_MAX },
        { __LINE__, "", false, 0 },
        { __LINE__, "NaN", false, 0 },
        { __LINE__, "Inf", false, 0 },
        { __LINE__, "1e18", false, 0 },
        { __LINE__, "0x10", false, 0 },
        { __LINE__, "1_000", false, 0 },
        { __LINE__, "2023-11-14", false, 0 },
        { __LINE__, "2023-11-14T22:13:20", false, 0 },
        { __LINE__, "2023-11-14 22:13:20Z", false, 0 },
        { __LINE__, "2023-11-14t22:13:20z", false, 0 },
        { __LINE__, "2023-02-29T00:00:00Z", false, 0 },
        { __LINE__, "2023-13-01T00:00:00Z", false, 0 },
        { __LINE__, "2023-11-14T24:00:00Z", false, 0 },
        { __LINE__, "2023-11-14T22:13:60Z", false, 0 },
        { __LINE__, "2023-11-14T22:13:20.Z", false, 0 },
        { __LINE__, "2023-11-14T22:13:20Zx", false, 0 },
        { __LINE__, "2023-11-14T22:13:20+1:00", false, 0 },
        { __LINE__, "1.5 ", false, 0 },
    };
    static const struct {
        int line;
        const char *in;
        bool ok;
        sonde_msec d;
    } durations[] = {
        { __LINE__, "1", true, 1000 },        { __LINE__, "+5", true, 5000 },
        { __LINE__, "1e2", true, 100000 },    { __LINE__, "0.001", true, 1 },
        { __LINE__, "1d2h", true, 93600000 }, { __LINE__, "0", true, 0 },
        { __LINE__, "5m ", false, 0 },        { __LINE__, "-5m", false, 0 },
        { __LINE__, "-1", false, 0 },         { __LINE__, "1h1h", false, 0 },
        { __LINE__, "1m1h", false, 0 },       { __LINE__, "5M", false, 0 },
        { __LINE__, "1ns", false, 0 },        { __LINE__, "1e10", false, 0 },
        { __LINE__, "300y", false, 0 },       { __LINE__, "", false, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sonde_msec t = 0;
        bool ok = api_time_parse(sonde_cstr(cases[i].in), &t);

        ROW_ASSERT(&cases[i], ok == cases[i].ok);
        ROW_ASSERT(&cases[i], !ok || t == cases[i].t);
    }
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        sonde_msec d = 0;
        bool ok = api_duration_parse(sonde_cstr(durations[i].in), &d);

        ROW_ASSERT(&durations[i], ok == durations[i].ok);
        ROW_ASSERT(&durations[i], !ok || d == durations[i].d);
    }
}

static const struct tap_test tests[] = {
    { "times and durations", times },
    { "lifecycle", lifecycle },
    { "queries", queries },
    { "series and labels", series_and_labels },
    { "federation", federation },
    { "quantiles", quantiles },
    { "syntax trees", syntax_trees },
    { "the store's status, statistics", store_status },
    { "exemplars", exemplars },
    { "warnings of the store", warnings_of_the_store },
    { "targets and metadata", targets },
    { "status", status },
    { "agent mode", agent_mode },
    { "without a store", without_store },
    { "administration", admin },
    { "pages", pages },
    { "CORS pattern", cors_pattern_is_checked },
    { "CORS and other headers", cors },
};

int main(void)
{
    return TAP_RUN("api", tests);
}
