/* SPDX-License-Identifier: Apache-2.0 */
/* The fastapi plugin under the fake host: its plan, answers, options. */
#include <sonde/testing.h>

#include "unit/tap.h"

static void start(struct sonde_fake *f)
{
    sonde_fake_init(f, sonde_plugin_entry);
}

static const char *option_of(size_t i)
{
    static const char *const names[] = { "preset", "metrics", "multiproc_dir",
                                         "health_path", "ready_path" };

    return names[i];
}

/* What a plan asks for, in letters: m the page, f the files, or a path. */
static void describe(const struct sonde_plan *plan, char *out, size_t cap)
{
    *out = '\0';
    for (size_t i = 0; i < plan->count; i++) {
        const struct sonde_request *r = &plan->requests[i];
        size_t used = strlen(out);

        if (r->body == SONDE_BODY_PLUGIN)
            (void)snprintf(out + used, cap - used, "%.*s%s ",
                           SONDE_ARG(r->path),
                           r->flags == SONDE_FETCH_MAY_FAIL ? "" : "!");
        else
            (void)snprintf(out + used, cap - used, "%s%s ",
                           r->body == SONDE_BODY_COLLECT ? "f" : "m",
                           r->path.len || r->flags ? "!" : "");
    }
}

/* Presets give the health path, options win over presets. */
static void test_plan(void)
{
    static const struct {
        int line;
        const char *values[5]; /* of option_of; NULL: not given */
        const char *want;
    } rows[] = {
        { __LINE__, { NULL }, "m /health " },
        { __LINE__, { NULL, "false" }, "/health " },
        { __LINE__, { NULL, NULL, NULL, "" }, "m " },
        { __LINE__,
          { NULL, NULL, NULL, "/live", "/ready" },
          "m /live /ready " },
        { __LINE__, { NULL, NULL, NULL, "", "/ready" }, "m /ready " },
        { __LINE__, { NULL, NULL, "/d" }, "f /health " },
        { __LINE__, { NULL, "true", "/d" }, "m f /health " },
        { __LINE__, { NULL, "false", "/d", "", "/r" }, "f /r " },
        { __LINE__, { "none" }, "m /health " },
        { __LINE__, { "prometheus_client" }, "m " },
        { __LINE__, { "prometheus_client", NULL, NULL, "/x" }, "m /x " },
        { __LINE__, { "prometheus-fastapi-instrumentator" }, "m /health " },
        { __LINE__, { "starlette_exporter" }, "m /health " },
        { __LINE__, { "django-prometheus" }, "m /health/ " },
        { __LINE__, { "django-prometheus", NULL, NULL, "" }, "m " },
        { __LINE__, { "prometheus-flask-exporter", NULL, "/d" }, "f /health " },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_plan plan;
        struct sonde_fake f;
        char got[256];

        start(&f);
        for (size_t k = 0; k < 5; k++) {
            if (rows[i].values[k])
                (void)sonde_fake_option(&f, option_of(k), rows[i].values[k]);
        }
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:8000") == SONDE_OK);
        for (int again = 0; again < 2; again++) {
            ROW_ASSERT(&rows[i], sonde_fake_plan(&f, &plan) == SONDE_OK);
            describe(&plan, got, sizeof(got));
            ROW_ASSERT(&rows[i], strcmp(got, rows[i].want) == 0);
        }
        sonde_fake_fini(&f);
    }
}

/* Health and readiness are told apart by their place in the plan. */
static void test_ready(void)
{
    static const struct {
        int line;
        const char *dir, *health, *ready_body;
        size_t request; /* of the readiness probe */
        int status;
        double want;
    } rows[] = {
        { __LINE__, "", "/h", "", 2, 200, 1 },
        { __LINE__, "", "/h", "", 2, 503, 0 },
        { __LINE__, "", "", "", 1, 200, 1 },
        { __LINE__, "/d", "/h", "yes", 2, 200, 1 },
        { __LINE__, "/d", "", "no", 1, 200, 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_response r = { .struct_size = sizeof(r),
                                    .request = rows[i].request,
                                    .status = rows[i].status,
                                    .body = SONDE_STR("yes"),
                                    .duration_seconds = 0.5 };
        struct sonde_plan plan;
        struct sonde_fake f;

        start(&f);
        (void)sonde_fake_option(&f, "multiproc_dir", rows[i].dir);
        (void)sonde_fake_option(&f, "health_path", rows[i].health);
        (void)sonde_fake_option(&f, "ready_path", "/r");
        (void)sonde_fake_option(&f, "ready_body", rows[i].ready_body);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:8000") == SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_plan(&f, &plan) == SONDE_OK);
        ROW_ASSERT(&rows[i], plan.count == rows[i].request + 1);
        ROW_ASSERT(&rows[i], sonde_fake_parse(&f, &r) == SONDE_OK);
        ROW_ASSERT(&rows[i],
                   sonde_fake_value(&f, "fastapi_ready") == rows[i].want);
        ROW_ASSERT(&rows[i], isnan(sonde_fake_value(&f, "fastapi_up")));
        ROW_ASSERT(&rows[i],
                   sonde_fake_value(&f, "fastapi_ready_status_code") ==
                       rows[i].status);
        ROW_ASSERT(&rows[i], sonde_fake_value(
                                 &f, "fastapi_ready_response_size_bytes") == 3);
        ROW_ASSERT(&rows[i], sonde_fake_value(
                                 &f, "fastapi_ready_duration_seconds") == 0.5);
        sonde_fake_fini(&f);
    }
}

static void test_answers(void)
{
    static const struct {
        int line;
        struct sonde_response r;
        const char *body; /* option health_body */
        double up, status;
    } rows[] = {
        { __LINE__, { .status = 200, .body = SONDE_STR("ok") }, "", 1, 200 },
        { __LINE__, { .status = 204 }, "", 1, 204 },
        { __LINE__, { .status = 299 }, "", 1, 299 },
        { __LINE__, { .status = 300 }, "", 0, 300 },
        { __LINE__, { .status = 503 }, "", 0, 503 },
        { __LINE__,
          { .status = 200, .body = SONDE_STR("{\"status\":\"ok\"}") },
          "\"ok\"",
          1,
          200 },
        { __LINE__,
          { .status = 200, .body = SONDE_STR("degraded") },
          "\"ok\"",
          0,
          200 },
        { __LINE__, { .status = 200 }, "x", 0, 200 },
        { __LINE__,
          { .code = SONDE_ECONNECT, .error = "connection refused" },
          "",
          0,
          0 },
        { __LINE__, { .code = SONDE_ETIMEOUT }, "", 0, 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_response r = rows[i].r;
        struct sonde_plan plan;
        struct sonde_fake f;

        r.struct_size = sizeof(r);
        r.duration_seconds = 0.25;
        start(&f);
        (void)sonde_fake_option(&f, "health_body", rows[i].body);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:8000") == SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_plan(&f, &plan) == SONDE_OK);
        r.request = plan.count - 1;
        ROW_ASSERT(&rows[i], sonde_fake_parse(&f, &r) == SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_value(&f, "fastapi_up") == rows[i].up);
        ROW_ASSERT(&rows[i],
                   sonde_fake_value(&f, "fastapi_health_status_code") ==
                       rows[i].status);
        ROW_ASSERT(&rows[i],
                   sonde_fake_value(&f, "fastapi_health_duration_seconds") ==
                       0.25);
        ROW_ASSERT(&rows[i], !strstr(sonde_fake_cstr(&f.log), "warn") ==
                                 (rows[i].up == 1));
        sonde_fake_fini(&f);
    }
}

static size_t times(const char *text, const char *part)
{
    size_t n = 0;

    for (size_t i = 0; text[i]; i++)
        n += strncmp(text + i, part, strlen(part)) == 0;
    return n;
}

/* A change is told once, not at each probe. */
static void test_tells_changes(void)
{
    struct sonde_response r = { .struct_size = sizeof(r),
                                .request = 1,
                                .status = 500 };
    struct sonde_plan plan;
    struct sonde_fake f;

    start(&f);
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:8000"), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_plan(&f, &plan), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_parse(&f, &r), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_parse(&f, &r), SONDE_OK);
    r.status = 200;
    CU_ASSERT_EQUAL(sonde_fake_parse(&f, &r), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_parse(&f, &r), SONDE_OK);
    CU_ASSERT_EQUAL(times(sonde_fake_cstr(&f.log), "warn: "), 1);
    CU_ASSERT_EQUAL(times(sonde_fake_cstr(&f.log), "info: "), 1);
    sonde_fake_fini(&f);
}

static void test_options(void)
{
    static const struct {
        int line;
        const char *name[2], *value[2], *part;
    } rows[] = {
        { __LINE__, { "health_path" }, { "health" }, "begins with '/'" },
        { __LINE__, { "health_path" }, { "/a b" }, "%20" },
        { __LINE__,
          { "health_path", "metrics" },
          { "", "false" },
          "nothing is left" },
        { __LINE__, { "health_status_min" }, { "300" }, "is above" },
        { __LINE__, { "ready_path" }, { "ready" }, "ready_path" },
        { __LINE__, { "ready_status_max" }, { "100" }, "ready_status_min" },
        { __LINE__, { "gauge_modes" }, { "x" }, "NAME=MODE" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_fake f;

        start(&f);
        for (size_t k = 0; k < 2 && rows[i].name[k]; k++)
            (void)sonde_fake_option(&f, rows[i].name[k], rows[i].value[k]);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h") == SONDE_EINVAL);
        ROW_ASSERT(&rows[i], strstr(f.err.text, rows[i].part));
        sonde_fake_fini(&f);
    }
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "plan", test_plan },
        { "readiness", test_ready },
        { "answers", test_answers },
        { "changes are told once", test_tells_changes },
        { "options that are refused", test_options },
    };

    return TAP_RUN("fastapi", tests);
}
