/* SPDX-License-Identifier: Apache-2.0 */
/* The nginx plugin's status pages under the fake host. */
#include <math.h>
#include <stdlib.h>

#include <sonde/testing.h>

#include "nginx/nginx.h"
#include "unit/tap.h"

static json_t *testdata(const char *name)
{
    const char *src = getenv("SONDE_SRC_DIR");
    char path[4096];
    json_error_t err;
    json_t *doc;

    (void)snprintf(path, sizeof(path), "%s/plugins/nginx/testdata/%s",
                   src ? src : ".", name);
    doc = json_load_file(path, JSON_DECODE_INT_AS_REAL, &err);
    if (!doc) {
        tap_note("%s: %s", path, err.text);
        abort();
    }
    return doc;
}

static void start(struct sonde_fake *f, const char *mode)
{
    sonde_fake_init(f, sonde_plugin_entry);
    (void)sonde_fake_option(f, "mode", mode);
}

static sonde_code answer(struct sonde_fake *f, size_t request, int status,
                         const char *body)
{
    const struct sonde_response r = { .struct_size = sizeof(r),
                                      .request = request,
                                      .status = status,
                                      .body = sonde_cstr(body),
                                      .duration_seconds = 0.25 };

    return sonde_fake_parse(f, &r);
}

/* ---- stub_status --------------------------------------------------------- */

#define PAGE                                                                   \
    "Active connections: 291 \n"                                               \
    "server accepts handled requests\n"                                        \
    " 16630948 16630947 31070465 \n"                                           \
    "Reading: 6 Writing: 179 Waiting: 106 \n"

static void test_stub(void)
{
    static const struct {
        int line;
        const char *body;
        bool good;
        const char *part; /* of the error */
        double requests, time;
    } rows[] = {
        { __LINE__, PAGE, true, NULL, 31070465, NAN },
        { __LINE__,
          "Active connections: 1 \r\nserver accepts handled requests\r\n"
          " 1 1 2 \r\nReading: 0 Writing: 1 Waiting: 0 \r\n",
          true, NULL, 2, NAN },
        { __LINE__,
          "Active connections: 1\n"
          "server accepts handled requests request_time\n"
          " 1140 1140 1140 75806\nReading: 0 Writing: 7 Waiting: 0",
          true, NULL, 1140, 75.806 },
        { __LINE__,
          "Active connections:18446744073709551615\n"
          "server accepts handled requests 1 2 3 Reading:0 Writing:0 "
          "Waiting:0",
          true, NULL, 3, NAN },
        { __LINE__, "", false, "an empty answer", 0, NAN },
        { __LINE__, "<!DOCTYPE html><html>", false, "an HTML page", 0, NAN },
        { __LINE__, "\n\n <html>", false, "an HTML page", 0, NAN },
        { __LINE__, "{\"hostName\":1}", false, "mode: vts", 0, NAN },
        { __LINE__, "hello", false, "another text", 0, NAN },
        { __LINE__,
          "Active connections: 18446744073709551616 \n"
          "server accepts handled requests\n 1 1 1 \n"
          "Reading: 0 Writing: 1 Waiting: 0 \n",
          false, "another text", 0, NAN },
        { __LINE__, PAGE "and more", false, "another text", 0, NAN },
        { __LINE__,
          "Active connections: 1 \nserver accepts handled requests\n 1 1\n"
          "Reading: 0 Writing: 1 Waiting: 0 \n",
          false, "another text", 0, NAN },
        { __LINE__,
          "Active connections: -1 \nserver accepts handled requests\n 1 1 1\n"
          "Reading: 0 Writing: 1 Waiting: 0 \n",
          false, "another text", 0, NAN },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_fake f;

        start(&f, "stub_status");
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        ROW_ASSERT(&rows[i], answer(&f, 0, 200, rows[i].body) == SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_value(&f, "nginx_up") == rows[i].good);
        ROW_ASSERT(&rows[i],
                   isnan(sonde_fake_value(&f, "nginx_connections_active")) !=
                       rows[i].good);
        if (rows[i].good)
            ROW_ASSERT(&rows[i],
                       sonde_fake_value(&f, "nginx_http_requests_total") ==
                           rows[i].requests);
        else
            ROW_ASSERT(&rows[i],
                       strstr(f.parts[PART_STATUS].why, rows[i].part));
        if (!isnan(rows[i].time))
            ROW_ASSERT(
                &rows[i],
                sonde_fake_value(&f, "nginx_http_request_time_seconds_total") ==
                    rows[i].time);
        sonde_fake_fini(&f);
    }
}

static void test_stub_values(void)
{
    static const struct {
        const char *series;
        double value;
    } rows[] = {
        { "nginx_up", 1 },
        { "nginx_connections_active", 291 },
        { "nginx_connections_accepted", 16630948 },
        { "nginx_connections_handled", 16630947 },
        { "nginx_connections_reading", 6 },
        { "nginx_connections_writing", 179 },
        { "nginx_connections_waiting", 106 },
        { "nginx_http_requests_total", 31070465 },
        { "nginx_exporter_build_info{version=\"0.0.0-test\"}", 1 },
    };
    struct sonde_fake f;

    start(&f, "stub_status");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    CU_ASSERT_EQUAL(answer(&f, 0, 200, PAGE), SONDE_OK);
    CU_ASSERT_EQUAL(f.sink.samples, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CU_ASSERT_EQUAL(sonde_fake_value(&f, rows[i].series), rows[i].value);
    CU_ASSERT_EQUAL(f.parts[PART_STATUS].seconds, 0.25);
    sonde_fake_fini(&f);
}

static void test_failures(void)
{
    static const struct {
        int line;
        const char *mode;
        struct sonde_response r;
        const char *part;
    } rows[] = {
        { __LINE__,
          "stub_status",
          { .code = SONDE_ECONNECT, .error = "connection refused" },
          "connection refused" },
        { __LINE__,
          "stub_status",
          { .code = SONDE_ETIMEOUT },
          "deadline exceeded" },
        { __LINE__, "stub_status", { .status = 404 }, "HTTP status 404" },
        { __LINE__, "vts", { .status = 401 }, "HTTP status 401" },
        { __LINE__,
          "vts",
          { .status = 200, .body = SONDE_STR("{}") },
          "the module vts" },
        { __LINE__,
          "vts",
          { .status = 200, .body = SONDE_STR(PAGE) },
          "expected a JSON document" },
        { __LINE__,
          "vts",
          { .status = 200, .body = SONDE_STR("<html>") },
          "an HTML page" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_fake f;

        start(&f, rows[i].mode);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_parse(&f, &rows[i].r) == SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_value(&f, "nginx_up") == 0);
        ROW_ASSERT(&rows[i], f.sink.samples == 2); /* and build_info */
        ROW_ASSERT(&rows[i], strstr(f.parts[PART_STATUS].why, rows[i].part));
        ROW_ASSERT(&rows[i], f.log.len == 0); /* the host's to tell */
        sonde_fake_fini(&f);
    }
}

/* ---- plans --------------------------------------------------------------- */

static void test_plan(void)
{
    static const struct {
        int line;
        const char *mode, *path, *metrics_path, *want;
    } rows[] = {
        { __LINE__, "stub_status", "", "/metrics", "/stub_status" },
        { __LINE__, "stub_status", "", "/basic", "/basic" },
        { __LINE__, "stub_status", "/x?y=z", "/basic", "/x?y=z" },
        { __LINE__, "stub_status", "/metrics", "/basic", "/metrics" },
        { __LINE__, "vts", "", "/metrics", "/status/format/json" },
        { __LINE__, "plus", "", "/metrics", "/api/" },
        { __LINE__, "plus", "/a/", "/metrics", "/a/" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_plan plan;
        struct sonde_fake f;

        start(&f, rows[i].mode);
        (void)sonde_fake_option(&f, "path", rows[i].path);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        sonde_fake_close(&f);
        f.open.metrics_path = sonde_cstr(rows[i].metrics_path);
        ROW_ASSERT(&rows[i], f.plugin->open(&f.host, &f.open, &f.instance,
                                            &f.err) == SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_plan(&f, &plan) == SONDE_OK);
        ROW_ASSERT(&rows[i], plan.count == 1);
        ROW_ASSERT(&rows[i], plan.requests[0].body == SONDE_BODY_PLUGIN);
        ROW_ASSERT(&rows[i], plan.requests[0].flags == SONDE_FETCH_MAY_FAIL);
        ROW_ASSERT(&rows[i], sonde_str_eq(plan.requests[0].path,
                                          sonde_cstr(rows[i].want)));
        sonde_fake_fini(&f);
    }
}

static void test_plan_with_log(void)
{
    struct sonde_plan plan;
    struct sonde_fake f;

    start(&f, "stub_status");
    (void)sonde_fake_option(&f, "access_log", "/nonexistent/a.log");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_plan(&f, &plan), SONDE_OK);
    CU_ASSERT_EQUAL(plan.count, 2);
    CU_ASSERT_EQUAL(plan.requests[0].body, SONDE_BODY_COLLECT);
    CU_ASSERT_EQUAL(plan.requests[1].body, SONDE_BODY_PLUGIN);
    CU_ASSERT_FALSE(plan.more);
    sonde_fake_fini(&f);

    start(&f, "log");
    (void)sonde_fake_option(&f, "access_log", "/nonexistent/a.log");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_plan(&f, &plan), SONDE_OK);
    CU_ASSERT_EQUAL(plan.count, 1);
    CU_ASSERT_EQUAL(plan.requests[0].body, SONDE_BODY_COLLECT);
    sonde_fake_fini(&f);
}

static void test_options(void)
{
    static const struct {
        int line;
        const char *name, *value, *part;
    } rows[] = {
        { __LINE__, "path", "status", "begins with '/'" },
        { __LINE__, "path", "/a b", "%20" },
        { __LINE__, "mode", "log", "there is no access_log" },
        { __LINE__, "access_log", "relative.log", "absolute path" },
        { __LINE__, "access_log", "/var/log/", "absolute path" },
        { __LINE__, "log_format", "main", "expected combined" },
        { __LINE__, "log_format", "$request", "expected $status" },
        { __LINE__, "log_format", "$status$request", "nothing stands between" },
        { __LINE__, "log_format", "log_format x escape=xml '$status';",
          "escape=" },
        { __LINE__, "server_label", "host", "has no $host" },
        { __LINE__, "routes", "api", "begin with '/'" },
        { __LINE__, "routes", "/a?b", "no query" },
        { __LINE__, "time_buckets", "x", "seconds that rise" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_fake f;

        start(&f, "stub_status");
        (void)sonde_fake_option(&f, rows[i].name, rows[i].value);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h") != SONDE_OK);
        if (!strstr(f.err.text, rows[i].part))
            tap_note("got: %s", f.err.text);
        ROW_ASSERT(&rows[i], strstr(f.err.text, rows[i].part));
        sonde_fake_fini(&f);
    }
}

/* ---- NGINX Plus ---------------------------------------------------------- */

/* Plays the API from documents by path; says how many requests it took.
 * Emitted text of all answers is gathered in `text`, and in `why` (or NULL)
 * the reason if the part failed. */
static size_t play(struct sonde_fake *f, const json_t *docs,
                   struct sonde_fake_text *text, char why[256])
{
    struct sonde_plan plan;
    size_t n = 0;

    CU_ASSERT_EQUAL(sonde_fake_plan(f, &plan), SONDE_OK);
    for (int rounds = 0; rounds < SONDE_ROUNDS_MAX; rounds++) {
        for (size_t i = 0; i < plan.count; i++, n++) {
            const char *path = plan.requests[i].path.ptr;
            json_t *doc = path ? json_object_get(docs, path + 5) : NULL;
            char *body = doc ? json_dumps(doc, JSON_ENCODE_ANY) : NULL;

            CU_ASSERT_EQUAL(
                answer(f, i, doc ? 200 : 404,
                       body ? body
                            : "{\"error\":{\"status\":404,\"text\":"
                              "\"path not found\",\"code\":\"PathNotFound\"}}"),
                SONDE_OK);
            if (f->text.len)
                sonde_fake_add(text, f->text.ptr, f->text.len);
            if (why && f->parts[PART_STATUS].failed)
                (void)snprintf(why, 256, "%s", f->parts[PART_STATUS].why);
            free(body);
        }
        if (!plan.more)
            return n;
        CU_ASSERT_EQUAL(sonde_fake_plan_more(f, &plan), SONDE_OK);
    }
    CU_FAIL("rounds without an end");
    return n;
}

static double value_in(const struct sonde_fake_text *t, const char *series)
{
    const char *p = sonde_fake_line(t, series, strlen(series), ' ');

    return p ? strtod(p + strlen(series) + 1, NULL) : NAN;
}

static size_t lines_with(const struct sonde_fake_text *t, const char *part)
{
    size_t n = 0;

    for (const char *p = sonde_fake_cstr(t); (p = strstr(p, part)); p++)
        n++;
    return n;
}

static void test_plus(void)
{
#define SITE2   "{server_zone=\"site2\"}"
#define PEER(n) "{upstream=\"trac-backend\",server=\"10.0.0." n "\"}"
    static const struct {
        int line;
        const char *series;
        double value; /* NaN: not there */
    } rows[] = {
        { __LINE__, "nginxplus_up", 1 },
        { __LINE__, "nginxplus_connections_dropped", 3 },
        { __LINE__, "nginxplus_http_requests_total", 10624511 },
        { __LINE__, "nginxplus_ssl_session_reuses", 15762 },
        { __LINE__, "nginxplus_license_expiration_timestamp_seconds",
          1783900800 },
        { __LINE__, "nginxplus_license_reporting_healthy", 1 },
        { __LINE__, "nginxplus_license_reporting_fails_count", 42 },
        { __LINE__, "nginxplus_server_zone_processing" SITE2, 1 },
        { __LINE__,
          "nginxplus_server_zone_responses{server_zone=\"site2\",code=\"4xx\"}",
          2504 },
        { __LINE__,
          "nginxplus_server_zone_responses_codes{server_zone=\"site1\","
          "code=\"429\"}",
          19 },
        { __LINE__,
          "nginxplus_server_zone_responses_codes{server_zone=\"site1\","
          "code=\"500\"}",
          NAN },
        { __LINE__, "nginxplus_server_ssl_handshakes" SITE2, 104303 },
        { __LINE__, "nginxplus_server_ssl_handshakes{server_zone=\"site1\"}",
          0 },
        { __LINE__, "nginxplus_upstream_server_state" PEER("1:8088"), 1 },
        { __LINE__, "nginxplus_upstream_server_state" PEER("1:8089"), 6 },
        { __LINE__, "nginxplus_upstream_server_state" PEER("2:443"), 2 },
        { __LINE__, "nginxplus_upstream_server_limit" PEER("2:443"), 20 },
        { __LINE__, "nginxplus_upstream_server_header_time" PEER("2:443"), 20 },
        { __LINE__,
          "nginxplus_upstream_server_health_checks_unhealthy" PEER("1:8088"),
          4 },
        { __LINE__,
          "nginxplus_upstream_server_health_checks_checks" PEER("2:443"), NAN },
        { __LINE__, "nginxplus_upstream_server_ssl_handshakes" PEER("2:443"),
          79572 },
        { __LINE__, "nginxplus_upstream_keepalive{upstream=\"trac-backend\"}",
          7 },
        /* The same server twice: the first one stays. */
        { __LINE__,
          "nginxplus_upstream_server_state{upstream=\"twice\","
          "server=\"10.0.0.3:80\"}",
          3 },
        { __LINE__, "nginx_series_dropped", 1 },
        { __LINE__,
          "nginxplus_stream_server_zone_sessions{server_zone=\"mysql\","
          "code=\"5xx\"}",
          1967 },
        { __LINE__,
          "nginxplus_stream_upstream_server_state{upstream="
          "\"mysql_backends\",server=\"unix:/run/db.sock\"}",
          4 },
        { __LINE__,
          "nginxplus_stream_upstream_zombies{upstream=\"mysql_backends\"}", 2 },
        { __LINE__,
          "nginxplus_stream_zone_sync_zone_records_pending{zone=\"zone2\"}",
          260 },
        { __LINE__, "nginxplus_stream_zone_sync_status_nodes_online", 15 },
        { __LINE__,
          "nginxplus_location_zone_discarded{location_zone=\"site1\"}", 2022 },
        { __LINE__, "nginxplus_resolver_timedout{resolver=\"resolver_zone1\"}",
          243 },
        { __LINE__, "nginxplus_limit_request_delayed_dry_run{zone=\"one\"}",
          2 },
        { __LINE__, "nginxplus_limit_connection_rejected{zone=\"addr\"}", 2 },
        { __LINE__,
          "nginxplus_stream_limit_connection_passed{zone=\"streams\"}", 1 },
        { __LINE__, "nginxplus_cache_cold{cache=\"http_cache\"}", 1 },
        { __LINE__,
          "nginxplus_cache_bypass_bytes_written{cache=\"http_cache\"}",
          2001871 },
        { __LINE__, "nginxplus_worker_connection_idle{id=\"1\",pid=\"32214\"}",
          8 },
        { __LINE__,
          "nginxplus_worker_http_requests_total{id=\"0\",pid=\"32212\"}", 15 },
    };
    json_t *docs = testdata("plus.json");
    struct sonde_fake_text text = { 0 };
    struct sonde_fake f;

    start(&f, "plus");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    /* 3 lists, 16 documents; then the documents alone. */
    CU_ASSERT_EQUAL(play(&f, docs, &text, NULL), 19);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double got = value_in(&text, rows[i].series);

        ROW_ASSERT(&rows[i],
                   isnan(rows[i].value) ? isnan(got) : got == rows[i].value);
    }
    sonde_fake_clear(&text);
    CU_ASSERT_EQUAL(play(&f, docs, &text, NULL), 16);
    CU_ASSERT_EQUAL(value_in(&text, "nginxplus_up"), 1);
    CU_ASSERT_EQUAL(f.log.len, 0);
    free(text.ptr);
    json_decref(docs);
    sonde_fake_fini(&f);
}

static void test_plus_with_log(void)
{
    json_t *docs = testdata("plus.json");
    struct sonde_fake_text text = { 0 };
    struct sonde_fake f;

    start(&f, "plus");
    (void)sonde_fake_option(&f, "access_log", "/nonexistent/a.log");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    CU_ASSERT_EQUAL(play(&f, docs, &text, NULL), 1 + 19);
    CU_ASSERT_EQUAL(value_in(&text, "nginxplus_up"), 1);
    sonde_fake_clear(&text);
    CU_ASSERT_EQUAL(play(&f, docs, &text, NULL), 1 + 16);
    CU_ASSERT_EQUAL(value_in(&text, "nginxplus_up"), 1);
    CU_ASSERT_EQUAL(
        value_in(
            &text,
            "nginxplus_worker_http_requests_total{id=\"0\",pid=\"32212\"}"),
        15);
    free(text.ptr);
    json_decref(docs);
    sonde_fake_fini(&f);
}

/* Every family of the API that is declared is emitted. */
static void test_plus_families(void)
{
    json_t *docs = testdata("plus.json");
    struct sonde_fake_text text = { 0 };
    struct sonde_fake f;
    size_t n = 0;

    start(&f, "plus");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    (void)play(&f, docs, &text, NULL);
    for (size_t i = F_PLUS_UP; i < NGINX_FAMILY_COUNT; i++) {
        const char *name = nginx_families[i].name;
        size_t len = strlen(name);
        bool there = sonde_fake_line(&text, name, len, '{') ||
                     sonde_fake_line(&text, name, len, ' ');

        if (!there)
            tap_note("%s is not emitted", name);
        n += there;
    }
    CU_ASSERT_EQUAL(n, NGINX_FAMILY_COUNT - F_PLUS_UP);
    free(text.ptr);
    json_decref(docs);
    sonde_fake_fini(&f);
}

static void test_plus_failures(void)
{
    static const struct {
        int line;
        const char *without; /* a document that is not there */
        bool up;
        const char *part; /* of the reason or the warning */
        size_t requests;  /* of the first collection */
    } rows[] = {
        { __LINE__, "", false, "GET /api/: HTTP status 404: path not found",
          1 },
        { __LINE__, "9/", false, "GET /api/9/: HTTP status 404", 2 },
        { __LINE__, "9/stream/", false, "GET /api/9/stream/: HTTP", 3 },
        { __LINE__, "9/connections", false, "GET /api/9/connections: HTTP",
          11 },
        /* Listed and gone: looked for again, no failure. */
        { __LINE__, "9/http/caches", true, NULL, 19 },
        { __LINE__, "9/license", true, NULL, 19 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *docs = testdata("plus.json");
        struct sonde_fake_text text = { 0 };
        struct sonde_fake f;
        char why[256] = "";

        (void)json_object_del(docs, rows[i].without);
        start(&f, "plus");
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        ROW_ASSERT(&rows[i], play(&f, docs, &text, why) == rows[i].requests);
        ROW_ASSERT(&rows[i], value_in(&text, "nginxplus_up") == rows[i].up);
        ROW_ASSERT(&rows[i], lines_with(&text, "nginxplus_up ") == 1);
        if (!rows[i].up)
            ROW_ASSERT(&rows[i], lines_with(&text, "nginxplus_") == 1);
        ROW_ASSERT(&rows[i], !rows[i].part || strstr(why, rows[i].part) ||
                                 strstr(sonde_fake_cstr(&f.log), rows[i].part));
        /* What was learned is looked at again. */
        sonde_fake_clear(&text);
        ROW_ASSERT(&rows[i], play(&f, docs, &text, why) == rows[i].requests);
        free(text.ptr);
        json_decref(docs);
        sonde_fake_fini(&f);
    }
}

static void replace(json_t *docs, const char *path, const char *text)
{
    (void)json_object_set_new(docs, path,
                              json_loads(text, JSON_DECODE_ANY, NULL));
}

static void test_plus_odd_documents(void)
{
    static const struct {
        int line;
        const char *path, *text;
        bool up;
        const char *part;
    } rows[] = {
        { __LINE__, "", "[1,2,3]", false, "one from 4 to 9" },
        { __LINE__, "", "[10]", false, "one from 4 to 9" },
        { __LINE__, "", "{}", false, "one from 4 to 9" },
        { __LINE__, "9/", "{}", false, "a list of names" },
        { __LINE__, "9/http/upstreams", "[]", false, "expected an object" },
        { __LINE__, "9/workers", "{}", false, "expected a list" },
        { __LINE__, "9/license", "[]", true, "9/license: expected an object" },
        { __LINE__, "9/license", "{\"active_till\":5}", true, NULL },
        { __LINE__, "9/http/upstreams",
          "{\"a\":{\"peers\":7},\"b\":[],\"c\":{\"peers\":[1,\"x\",{}]}}", true,
          NULL },
        { __LINE__, "9/http/server_zones",
          "{\"a\":{\"responses\":{\"codes\":[1]}},\"b\":null}", true, NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *docs = testdata("plus.json");
        struct sonde_fake_text text = { 0 };
        struct sonde_fake f;
        char why[256] = "";

        replace(docs, rows[i].path, rows[i].text);
        start(&f, "plus");
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        (void)play(&f, docs, &text, why);
        ROW_ASSERT(&rows[i], value_in(&text, "nginxplus_up") == rows[i].up);
        ROW_ASSERT(&rows[i], !rows[i].part || strstr(why, rows[i].part) ||
                                 strstr(sonde_fake_cstr(&f.log), rows[i].part));
        free(text.ptr);
        json_decref(docs);
        sonde_fake_fini(&f);
    }
}

/* An older API without streams, workers and license. */
static void test_plus_versions(void)
{
    json_t *docs = testdata("plus.json"), *old = json_object();
    struct sonde_fake_text text = { 0 };
    struct sonde_fake f;
    const char *path;
    json_t *doc;

    json_object_foreach(docs, path, doc)
    {
        char name[64];

        (void)snprintf(name, sizeof(name), "4%s", path[0] ? path + 1 : "");
        (void)json_object_set(old, path[0] ? name : "", doc);
    }
    replace(old, "", "[1,2,3,4]");
    replace(old, "4/", "[\"nginx\",\"connections\",\"http\",\"ssl\"]");
    start(&f, "plus");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    /* connections, requests, ssl, server_zones, upstreams, caches */
    CU_ASSERT_EQUAL(play(&f, old, &text, NULL), 2 + 6);
    CU_ASSERT_EQUAL(value_in(&text, "nginxplus_up"), 1);
    CU_ASSERT_EQUAL(lines_with(&text, "nginxplus_stream"), 0);
    CU_ASSERT_EQUAL(lines_with(&text, "nginxplus_location"), 0);
    free(text.ptr);
    json_decref(docs);
    json_decref(old);
    sonde_fake_fini(&f);
}

/* ---- vts ----------------------------------------------------------------- */

static void test_vts(void)
{
#define HOST    "{host=\"example.org\"}"
#define FILTER  "filter=\"country::example.org\",filter_name=\"DE\""
#define BACKEND "upstream=\"backend\",backend=\"10.0.0.1:80\""
    static const struct {
        int line;
        const char *series;
        double value; /* NaN: not there */
    } rows[] = {
        { __LINE__, "nginx_up", 1 },
        { __LINE__,
          "nginx_vts_info{hostname=\"web1\",module_version=\"v0.2.2\","
          "version=\"1.24.0\"}",
          1 },
        { __LINE__, "nginx_vts_start_time_seconds", 1700000000.123 },
        { __LINE__, "nginx_vts_main_connections{status=\"waiting\"}", 2 },
        { __LINE__, "nginx_connections_handled", 99 },
        { __LINE__, "nginx_http_requests_total", 500 },
        { __LINE__, "nginx_vts_main_shm_usage_bytes{shared=\"used_node\"}", 3 },
        { __LINE__,
          "nginx_vts_server_bytes_total{host=\"_\",direction=\"out\"}", 20000 },
        { __LINE__,
          "nginx_vts_server_bytes_total{host=\"*\",direction=\"out\"}", NAN },
        { __LINE__,
          "nginx_vts_server_requests_total{host=\"example.org\",code=\"2xx\"}",
          494 },
        { __LINE__,
          "nginx_vts_server_requests_total{host=\"example.org\","
          "code=\"total\"}",
          500 },
        { __LINE__, "nginx_vts_server_request_seconds_total" HOST, 2.5 },
        { __LINE__, "nginx_vts_server_request_seconds" HOST, 0.005 },
        { __LINE__,
          "nginx_vts_server_request_duration_seconds_bucket{host="
          "\"example.org\",le=\"0.05\"}",
          499 },
        { __LINE__, "nginx_vts_server_request_duration_seconds_count" HOST,
          500 },
        { __LINE__, "nginx_vts_server_request_duration_seconds_sum" HOST, 2.5 },
        { __LINE__,
          "nginx_vts_server_cache_total{host=\"example.org\",status="
          "\"scarce\"}",
          11 },
        { __LINE__,
          "nginx_vts_filter_requests_total{" FILTER ",direction=\"5xx\"}", 3 },
        { __LINE__, "nginx_vts_filter_cache_total{" FILTER ",status=\"hit\"}",
          10 },
        { __LINE__,
          "nginx_vts_upstream_requests_total{" BACKEND ",code=\"2xx\"}", 400 },
        { __LINE__, "nginx_vts_upstream_response_seconds_total{" BACKEND "}",
          4 },
        { __LINE__, "nginx_vts_upstream_request_seconds_total{" BACKEND "}",
          8 },
        { __LINE__,
          "nginx_vts_upstream_response_duration_seconds_bucket{" BACKEND
          ",le=\"0.005\"}",
          1 },
        { __LINE__,
          "nginx_vts_upstream_request_seconds{upstream=\"::nogroups\","
          "backend=\"10.0.0.9:80\"}",
          0.02 },
        { __LINE__, "nginx_series_dropped", 1 }, /* a backend twice */
        { __LINE__,
          "nginx_vts_cache_usage_bytes{cache_zone=\"one\",cache_size=\"used\"}",
          400000 },
        { __LINE__,
          "nginx_vts_cache_requests_total{cache_zone=\"one\",status=\"hit\"}",
          7 },
    };
    json_t *doc = testdata("vts.json");
    char *body = json_dumps(doc, 0);
    struct sonde_fake f;

    start(&f, "vts");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    CU_ASSERT_EQUAL(answer(&f, 0, 200, body), SONDE_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double got = sonde_fake_value(&f, rows[i].series);

        if (isnan(rows[i].value) ? !isnan(got) : got != rows[i].value)
            tap_note("%s is %g", rows[i].series, got);
        ROW_ASSERT(&rows[i],
                   isnan(rows[i].value) ? isnan(got) : got == rows[i].value);
    }
    free(body);
    json_decref(doc);
    sonde_fake_fini(&f);
}

static void test_vts_odd_buckets(void)
{
    static const char body[] =
        "{\"loadMsec\":1,\"connections\":{\"active\":-5},\"serverZones\":{"
        "\"a\":{\"requestCounter\":10,\"requestBuckets\":{\"msecs\":[5,5,3,50],"
        "\"counters\":[20,1,1,7]}},"
        "\"b\":{\"requestBuckets\":{\"msecs\":7}},"
        "\"c\":{\"requestCounter\":1e300,\"inBytes\":18446744073709551616}}}";
    struct sonde_fake f;

    start(&f, "vts");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:80"), SONDE_OK);
    CU_ASSERT_EQUAL(answer(&f, 0, 200, body), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "nginx_up"), 1);
    CU_ASSERT_EQUAL(
        sonde_fake_value(&f, "nginx_vts_server_request_duration_seconds_bucket{"
                             "host=\"a\",le=\"0.05\"}"),
        10);
    sonde_fake_fini(&f);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "stub_status", test_stub },
        { "values of stub_status", test_stub_values },
        { "failures", test_failures },
        { "plan", test_plan },
        { "plan with an access log", test_plan_with_log },
        { "options that are refused", test_options },
        { "plus", test_plus },
        { "plus beside a log", test_plus_with_log },
        { "every family of plus", test_plus_families },
        { "plus: failures", test_plus_failures },
        { "plus: odd documents", test_plus_odd_documents },
        { "plus: versions", test_plus_versions },
        { "vts", test_vts },
        { "vts: odd buckets", test_vts_odd_buckets },
    };

    return TAP_RUN("nginx", tests);
}
