/* SPDX-License-Identifier: Apache-2.0 */
/* The fastapi plugin under the fake host: its plan, answers, options. */
#include <sonde/testing.h>

#include "unit/tap.h"

static void start(struct sonde_fake *f)
{
    sonde_fake_init(f, sonde_plugin_entry);
}

static void test_plan(void)
{
    static const struct {
        int line;
        const char *path, *metrics;
        size_t count;
    } rows[] = {
        { __LINE__, "/health", "true", 2 },
        { __LINE__, "/health", "false", 1 },
        { __LINE__, "", "true", 1 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sonde_request *last;
        struct sonde_plan plan;
        struct sonde_fake f;

        start(&f);
        (void)sonde_fake_option(&f, "health_path", rows[i].path);
        (void)sonde_fake_option(&f, "metrics", rows[i].metrics);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:8000") == SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_plan(&f, &plan) == SONDE_OK);
        ROW_ASSERT(&rows[i], plan.count == rows[i].count);
        last = &plan.requests[plan.count - 1];
        if (rows[i].path[0]) {
            ROW_ASSERT(&rows[i], last->body == SONDE_BODY_PLUGIN);
            ROW_ASSERT(&rows[i], last->flags == SONDE_FETCH_MAY_FAIL);
            ROW_ASSERT(&rows[i],
                       sonde_str_eq(last->path, SONDE_STR("/health")));
        } else {
            ROW_ASSERT(&rows[i], last->body == SONDE_BODY_EXPOSITION);
            ROW_ASSERT(&rows[i], last->path.len == 0);
        }
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
        struct sonde_fake f;

        r.struct_size = sizeof(r);
        r.duration_seconds = 0.25;
        start(&f);
        (void)sonde_fake_option(&f, "health_body", rows[i].body);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:8000") == SONDE_OK);
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
    struct sonde_response r = { .struct_size = sizeof(r), .status = 500 };
    struct sonde_fake f;

    start(&f);
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:8000"), SONDE_OK);
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
        { "answers", test_answers },
        { "changes are told once", test_tells_changes },
        { "options that are refused", test_options },
    };

    return TAP_RUN("fastapi", tests);
}
