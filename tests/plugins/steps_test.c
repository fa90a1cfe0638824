/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake host itself, with the plugin `steps` in it: parts, state, reload,
 * what open is given; and its streams, which no plugin is needed for.
 */
#include <math.h>
#include <pthread.h>

#include <sonde/testing.h>

#include "unit/tap.h"

enum {
    QUICK,
    SLOW
};

static void begin(struct sonde_fake *f, const char *folder)
{
    sonde_fake_init(f, sonde_plugin_entry);
    f->slow_interval = 90000;
    f->job_tls.ca_file = SONDE_STR("/x/ca.pem");
    CU_ASSERT_EQUAL(sonde_fake_option(f, "folder", folder), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_open(f, "nowhere:1"), SONDE_OK);
}

static void touch(const char *name)
{
    char path[4096];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", tap_tmpdir(), name);
    f = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    (void)fclose(f);
}

static void test_open(void)
{
    struct sonde_fake f;

    begin(&f, "/nowhere");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "steps_ms{of=\"slow\"}"), 90000);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "steps_ms{of=\"interval\"}"), 15000);
    CU_ASSERT_EQUAL(
        sonde_fake_value(&f, "steps_info{word=\"none\",ca_file=\"/x/ca.pem\"}"),
        1);
    sonde_fake_fini(&f);
}

static void test_parts(void)
{
    struct sonde_fake f;

    begin(&f, tap_tmpdir());
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(f.parts[QUICK].begun, 1);
    CU_ASSERT_EQUAL(f.parts[SLOW].begun, 1);
    CU_ASSERT_EQUAL(f.parts[SLOW].code, SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "steps_slow"), 1);

    sonde_fake_due(&f, SLOW, false);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(f.parts[QUICK].begun, 1);
    CU_ASSERT_EQUAL(f.parts[SLOW].begun, 0);
    CU_ASSERT(isnan(sonde_fake_value(&f, "steps_slow")));

    sonde_fake_due(&f, SLOW, true);
    touch("fail_part");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(f.parts[SLOW].failed, 1);
    CU_ASSERT_EQUAL(f.parts[SLOW].code, SONDE_EIO);
    CU_ASSERT_STRING_EQUAL(f.parts[SLOW].why, "asked to fail the part");
    CU_ASSERT(isnan(sonde_fake_value(&f, "steps_slow")));
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "steps_collected"), 3);
    sonde_fake_fini(&f);
}

/* What a plugin can do wrong, played by hand on the fake's sink. */
static void test_misuse(void)
{
    struct sonde_fake f;
    struct sonde_sink *s = &f.sink;

    begin(&f, "/nowhere");
    sonde_fake_begin(&f);
    f.host.begin(s, 7);
    CU_ASSERT_NOT_EQUAL(s->code, SONDE_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "collector 7"));

    sonde_fake_begin(&f);
    f.host.end(s, SONDE_OK, NULL, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "not begun"));

    sonde_fake_begin(&f); /* a duplicate inside fails the part alone */
    (void)f.host.sample(s, 0, NULL, 1);
    f.host.begin(s, QUICK);
    (void)f.host.sample(s, 1, NULL, 1);
    CU_ASSERT_NOT_EQUAL(f.host.sample(s, 0, NULL, 2), SONDE_OK);
    f.host.end(s, SONDE_OK, NULL, 2.5);
    CU_ASSERT_EQUAL(s->code, SONDE_OK);
    CU_ASSERT_EQUAL(f.parts[QUICK].failed, 1);
    CU_ASSERT_EQUAL(f.parts[QUICK].seconds, 2.5);
    CU_ASSERT_STRING_EQUAL(sonde_fake_cstr(&f.text), "steps_collected 1\n");

    f.host.discard(s);
    CU_ASSERT_EQUAL(f.discarded, 1);
    CU_ASSERT_STRING_EQUAL(sonde_fake_cstr(&f.text), "");
    CU_ASSERT_EQUAL(f.host.sample(s, 0, NULL, 2), SONDE_OK);
    sonde_fake_fini(&f);
}

static void test_state(void)
{
    struct sonde_fake f;
    struct sonde_err err;
    sonde_str out;

    begin(&f, "/nowhere");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(sonde_fake_saved(&f, "count"), "1");
    sonde_fake_close(&f);
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "nowhere:1"), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "steps_state"), 2);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "steps_collected"), 1);
    CU_ASSERT_EQUAL(f.host.state_load(&f.target, "else", &out, &err),
                    SONDE_ENOTFOUND);
    CU_ASSERT_EQUAL(f.host.state_save(&f.target, "a/b", "", 0, &err),
                    SONDE_EINVAL);
    f.no_state = true;
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "steps_state"), 0);
    sonde_fake_fini(&f);
}

static void test_reload_and_plan(void)
{
    struct sonde_fake f;
    struct sonde_plan plan;

    begin(&f, "/nowhere");
    sonde_fake_reload(&f);
    CU_ASSERT_EQUAL(sonde_fake_plan(&f, &plan), SONDE_OK);
    CU_ASSERT_EQUAL(plan.count, 1);
    CU_ASSERT_EQUAL(plan.requests[0].body, SONDE_BODY_COLLECT);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "steps_reloads"), 1);
    sonde_fake_fini(&f);
}

static void *shut_it(void *arg)
{
    sonde_fake_made->host.stream_shut(arg);
    sonde_fake_made->host.log(NULL, SONDE_LOG_INFO, "from a thread");
    return NULL;
}

static void test_streams(void)
{
    static const struct sonde_fake_step talk[] = {
        { SONDE_FAKE_CONNECT, { 0 }, 0 },
        { SONDE_FAKE_SEND, SONDE_STR("hello"), 0 },
    };
    const struct sonde_tls tls = { .struct_size = sizeof(tls),
                                   .server_name = SONDE_STR("db.test"),
                                   .insecure = true };
    struct sonde_stream *s = NULL;
    struct sonde_fake f;
    struct sonde_err err;
    pthread_t thread;
    char text[8];
    size_t got;

    begin(&f, "/nowhere");
    SONDE_FAKE_SCRIPT(&f, talk);
    CU_ASSERT_EQUAL_FATAL(f.host.stream_open_tls(&f.target, SONDE_STR("a:1"),
                                                 &tls, 5000, &s, &err),
                          SONDE_OK);
    CU_ASSERT_EQUAL(f.tls.opened, 1);
    CU_ASSERT_STRING_EQUAL(f.tls.server_name, "db.test");
    CU_ASSERT_TRUE(f.tls.insecure);
    CU_ASSERT_EQUAL(f.host.stream_read(s, text, 8, &got, 5000, &err), SONDE_OK);
    CU_ASSERT_EQUAL(got, 5);
    CU_ASSERT_EQUAL(pthread_create(&thread, NULL, shut_it, s), 0);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(f.host.stream_read(s, text, 8, &got, 5000, &err), SONDE_OK);
    CU_ASSERT_EQUAL(got, 0);
    CU_ASSERT_NOT_EQUAL(f.host.stream_write(s, "x", 1, 5000, &err), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(sonde_fake_cstr(&f.log), "info: from a thread\n");
    f.host.stream_close(s);
    CU_ASSERT_EQUAL(f.closed, 1);
    sonde_fake_fini(&f);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "what open is given", test_open },
        { "parts", test_parts },
        { "parts used wrongly", test_misuse },
        { "state", test_state },
        { "reload and a plan that collects", test_reload_and_plan },
        { "streams", test_streams },
    };

    return TAP_RUN("fake host", tests);
}
