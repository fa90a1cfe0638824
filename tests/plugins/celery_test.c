/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the celery plugin by themselves: bytes, tables, brokers' URLs,
 * envelopes and events as they were recorded, tasks under way, histograms.
 */
#include <math.h>
#include <stdlib.h>

#include "celery/broker.h"
#include "celery/event.h"
#include "celery/options.h"
#include "celery/series.h"
#include "celery/tasks.h"
#include "celery/transport.h"
#include "unit/tap.h"

/* ---- bytes --------------------------------------------------------------- */

static void test_base64(void)
{
    static const struct {
        int line;
        const char *in, *out; /* NULL: none */
    } rows[] = {
        { __LINE__, "", "" },           { __LINE__, "YQ==", "a" },
        { __LINE__, "YWI=", "ab" },     { __LINE__, "YWJj", "abc" },
        { __LINE__, "YWJjZA", "abcd" }, { __LINE__, "+/+/", "\xfb\xff\xbf" },
        { __LINE__, "Y", NULL },        { __LINE__, "Y*==", NULL },
        { __LINE__, "YWJj\n", NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text t = { 0 };
        bool ok = text_add_base64(&t, sonde_cstr(rows[i].in));

        ROW_ASSERT(&rows[i], ok == (rows[i].out != NULL));
        ROW_ASSERT(&rows[i], !ok || text_is(text_str(&t), rows[i].out));
        text_fini(&t);
    }
}

static void test_time(void)
{
    static const struct {
        int line;
        const char *in;
        double out;
    } rows[] = {
        { __LINE__, "1970-01-01T00:00:00", 0 },
        { __LINE__, "1970-01-01T00:00:01.500000+00:00", 1.5 },
        { __LINE__, "1970-01-01T01:00:00+01:00", 0 },
        { __LINE__, "1969-12-31T18:30:00-05:30", 0 },
        { __LINE__, "2026-11-20T22:49:34.027087+00:00", 1795214974.027087 },
        { __LINE__, "2026-11-20T22:49:34Z", 1795214974 },
        { __LINE__, "", NAN },
        { __LINE__, "tomorrow", NAN },
        { __LINE__, "2026-11-20T22:49:34 in the evening", NAN },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double got = text_time(sonde_cstr(rows[i].in));

        ROW_ASSERT(&rows[i], isnan(rows[i].out)
                                 ? isnan(got)
                                 : fabs(got - rows[i].out) < 1e-6);
    }
}

static void test_table(void)
{
    enum {
        N = 1000
    };
    static struct {
        struct node node;
        char key[16];
    } members[N];
    struct table t = { 0 };
    size_t i = 0;

    for (i = 0; i < N; i++) {
        (void)snprintf(members[i].key, sizeof(members[i].key), "k%zu", i);
        CU_ASSERT(!table_find(&t, sonde_cstr(members[i].key)));
        CU_ASSERT(table_add(&t, &members[i].node, sonde_cstr(members[i].key)));
    }
    table_touch(&t, &members[0].node);
    CU_ASSERT(t.first == &members[1].node && t.last == &members[0].node);
    for (i = 0; i < N; i += 2)
        table_remove(&t, &members[i].node);
    CU_ASSERT_EQUAL(t.count, N / 2);
    for (i = 0; i < N; i++)
        CU_ASSERT(table_find(&t, sonde_cstr(members[i].key)) ==
                  (i % 2 ? &members[i].node : NULL));
    i = 1;
    TABLE_EACH(&t, n, after)
    {
        CU_ASSERT(n == &members[i].node);
        i += 2;
        table_remove(&t, n);
    }
    CU_ASSERT(!t.first && !t.last);
    table_fini(&t);
}

/* ---- URLs and options ---------------------------------------------------- */

static void test_urls(void)
{
    static const struct {
        int line;
        const char *url;
        enum broker_kind kind;
        bool tls;
        const char *address, *user, *password, *vhost;
        int database;
        const char *shown;
    } rows[] = {
        { __LINE__, "redis://h", BROKER_REDIS, false, "h:6379", NULL, NULL,
          NULL, 0, "redis://h:6379/0" },
        { __LINE__, "redis://:p%40w@h:1/3", BROKER_REDIS, false, "h:1", NULL,
          "p@w", NULL, 3, "redis://h:1/3" },
        { __LINE__, "rediss://u:p@w@[::1]:7/1?ssl_cert_reqs=none", BROKER_REDIS,
          true, "[::1]:7", "u", "p@w", NULL, 1, "rediss://[::1]:7/1" },
        { __LINE__, "localhost:6380", BROKER_REDIS, false, "localhost:6380",
          NULL, NULL, NULL, 0, "redis://localhost:6380/0" },
        { __LINE__, "redis+socket:///run/r.sock?virtual_host=2", BROKER_REDIS,
          false, "unix:/run/r.sock", NULL, NULL, NULL, 2,
          "unix:///run/r.sock" },
        { __LINE__, "unix:///run/r.sock", BROKER_REDIS, false,
          "unix:/run/r.sock", NULL, NULL, NULL, 0, "unix:///run/r.sock" },
        { __LINE__, "sentinel://:x@a:1/4;sentinel://b", BROKER_SENTINEL, false,
          "a:1", NULL, "x", NULL, 4, "sentinel://a:1/4" },
        { __LINE__, "amqp://", BROKER_AMQP, false, "localhost:5672", NULL, NULL,
          "/", 0, "amqp://localhost:5672" },
        { __LINE__, "pyamqp://g:g@h//", BROKER_AMQP, false, "h:5672", "g", "g",
          "/", 0, "amqp://h:5672" },
        { __LINE__, "amqps://u:p@h/my%2fv", BROKER_AMQP, true, "h:5671", "u",
          "p", "my/v", 0, "amqps://h:5671/my/v" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_err err = { 0 };
        struct broker b;
        char *shown;

        ROW_ASSERT(&rows[i],
                   broker_parse(sonde_cstr(rows[i].url), &b, &err) == SONDE_OK);
        if (b.host_count == 0)
            continue;
        shown = broker_public(&b);
        ROW_ASSERT(&rows[i], b.kind == rows[i].kind && b.tls == rows[i].tls);
        ROW_ASSERT(&rows[i], strcmp(b.hosts[0].address, rows[i].address) == 0);
        ROW_ASSERT(&rows[i], rows[i].user
                                 ? b.user && strcmp(b.user, rows[i].user) == 0
                                 : !b.user);
        ROW_ASSERT(&rows[i],
                   rows[i].password
                       ? b.password && strcmp(b.password, rows[i].password) == 0
                       : !b.password);
        ROW_ASSERT(&rows[i],
                   rows[i].vhost
                       ? b.vhost && strcmp(b.vhost, rows[i].vhost) == 0
                       : !b.vhost);
        ROW_ASSERT(&rows[i], b.database == rows[i].database);
        ROW_ASSERT(&rows[i], shown && strcmp(shown, rows[i].shown) == 0);
        free(shown);
        broker_fini(&b);
    }
}

static void test_bad_urls(void)
{
    static const struct {
        int line;
        const char *url;
    } rows[] = {
        { __LINE__, "" },
        { __LINE__, ";" },
        { __LINE__, "memory://x-secret" },
        { __LINE__, "redis://x-secret@h" },
        { __LINE__, "redis://:x-secret@h:99999" },
        { __LINE__, "redis://:x-secret@h:0" },
        { __LINE__, "redis://:x-secret%4@h" },
        { __LINE__, "redis://:x-secret@[::1" },
        { __LINE__, "redis://:x-secret@h/db" },
        { __LINE__, "redis://:x-secret@a;redis://b" },
        { __LINE__, "redis+socket://relative" },
        { __LINE__, "unix:///x-secret;sentinel://b" },
        { __LINE__, "amqp://a;amqps://x-secret" },
        { __LINE__, "unix:/1;unix:/2;unix:/3;unix:/4;unix:/5;unix:/6;unix:/7;"
                    "unix:/8;unix:/9" },
        { __LINE__, "amqp://1;amqp://2;amqp://3;amqp://4;amqp://5;amqp://6;"
                    "amqp://7;amqp://8;amqp://9" },
        { __LINE__, "amqp://u:x-secret@h/%zz" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_err err = { 0 };
        struct broker b;

        ROW_ASSERT(&rows[i], broker_parse(sonde_cstr(rows[i].url), &b, &err) ==
                                 SONDE_EINVAL);
        ROW_ASSERT(&rows[i], err.text[0] && !strstr(err.text, "x-secret"));
        ROW_ASSERT(&rows[i], b.host_count == 0);
    }
}

static void test_tls_of_urls(void)
{
    struct sonde_tls base = { .ca_file = SONDE_STR("base"),
                              .server_name = SONDE_STR("name") };
    struct sonde_tls tls;
    struct sonde_err err;
    struct broker b;

    CU_ASSERT_EQUAL(
        broker_parse(SONDE_STR("rediss://h?ssl_ca_certs=%2Fca&ssl_certfile=c&"
                               "ssl_keyfile=k&ssl_cert_reqs=CERT_NONE&x=y"),
                     &b, &err),
        SONDE_OK);
    tls = broker_tls(&b, &base);
    CU_ASSERT(text_is(tls.ca_file, "/ca") && text_is(tls.cert_file, "c"));
    CU_ASSERT(text_is(tls.key_file, "k") && text_is(tls.server_name, "name"));
    CU_ASSERT(tls.insecure);
    broker_fini(&b);
}

static void test_bounds(void)
{
    const sonde_str good[] = { SONDE_STR("0.5"), SONDE_STR("1"),
                               SONDE_STR("+Inf") };
    const sonde_str bad[] = { SONDE_STR("1"), SONDE_STR("1") };
    const sonde_str words[] = { SONDE_STR("one") };
    const sonde_str steps[] = { SONDE_STR("0"), SONDE_STR("5") };
    struct celery_options o = { 0 };
    struct sonde_err err;
    struct bounds b;
    int out[STEPS_MAX];

    CU_ASSERT(options_runtime_bounds(&o, &b) && b.count == 14);
    CU_ASSERT(options_wait_bounds(&o, &b) && b.upper[13] == 1800);
    CU_ASSERT(options_steps(&o, out) == 4 && out[3] == 9);
    o.buckets = (struct sonde_list){ good, 3 };
    CU_ASSERT(options_runtime_bounds(&o, &b) && b.count == 2);
    o.priority_steps = (struct sonde_list){ steps, 2 };
    CU_ASSERT(options_steps(&o, out) == 2 && out[1] == 5);
    CU_ASSERT_EQUAL(options_check(&o, &err), SONDE_OK);
    o.buckets = (struct sonde_list){ bad, 2 };
    CU_ASSERT_EQUAL(options_check(&o, &err), SONDE_EINVAL);
    o.buckets = (struct sonde_list){ good, 3 };
    o.queue_wait_buckets = (struct sonde_list){ words, 1 };
    CU_ASSERT_EQUAL(options_check(&o, &err), SONDE_EINVAL);
    o.queue_wait_buckets = (struct sonde_list){ 0 };
    o.priority_steps = (struct sonde_list){ words, 1 };
    CU_ASSERT_EQUAL(options_check(&o, &err), SONDE_EINVAL);
    o.priority_steps = (struct sonde_list){ 0 };
    o.password = o.password_file = SONDE_STR("x");
    CU_ASSERT_EQUAL(options_check(&o, &err), SONDE_EINVAL);
    o.password_file = (sonde_str){ 0 };
    o.broker_url = SONDE_STR("redis://:x-secret@h:port");
    CU_ASSERT_EQUAL(options_check(&o, &err), SONDE_EINVAL);
    CU_ASSERT(!strstr(err.text, "x-secret"));
}

/* ---- events -------------------------------------------------------------- */

/* As recorded from a worker of Celery 5.2.6. */
static const char online[] =
    "{\"body\": \"eyJob3N0bmFtZSI6ICJ3MUB2bSIsICJ1dGNvZmZzZXQiOiAwLCAicGlkIjog"
    "MTIwOTAsICJjbG9jayI6IDEsICJmcmVxIjogMi4wLCAiYWN0aXZlIjogMCwgInByb2Nlc3Nl"
    "ZCI6IDAsICJsb2FkYXZnIjogWzAuNCwgMC4yMiwgMC4xXSwgInN3X2lkZW50IjogInB5LWNl"
    "bGVyeSIsICJzd192ZXIiOiAiNS4yLjYiLCAic3dfc3lzIjogIkxpbnV4IiwgInRpbWVzdGFt"
    "cCI6IDE3OTUyMTQ4NzcuMzU2ODM0NCwgInR5cGUiOiAid29ya2VyLW9ubGluZSJ9\", "
    "\"content-encoding\": \"utf-8\", \"content-type\": \"application/json\", "
    "\"headers\": {\"hostname\": \"w1@vm\"}, \"properties\": "
    "{\"delivery_mode\": "
    "1, \"delivery_info\": {\"exchange\": \"celeryev\", \"routing_key\": "
    "\"worker.online\"}, \"priority\": 0, \"body_encoding\": \"base64\", "
    "\"delivery_tag\": \"36a9bf36-2e80-4506-85f6-9c38a0d0906c\"}}";

static void test_envelope(void)
{
    struct envelope e;
    struct event v;
    json_t *root;

    CU_ASSERT_FATAL(envelope_open(sonde_cstr(online), &e));
    CU_ASSERT(text_is(e.content_type, "application/json"));
    root = json_read(e.body);
    CU_ASSERT_FATAL(root && event_read(root, &v));
    CU_ASSERT_EQUAL(v.type, EVENT_ONLINE);
    CU_ASSERT(text_is(v.hostname, "w1@vm") && text_is(v.sw_ver, "5.2.6"));
    CU_ASSERT(v.freq == 2 && v.active == 0 && v.load[1] == 0.22);
    CU_ASSERT_DOUBLE_EQUAL(v.timestamp, 1795214877.3568344, 1e-6);
    json_decref(root);
    envelope_close(&e);

    /* A body that is not encoded, and an id as tasks have it. */
    CU_ASSERT(envelope_open(
        SONDE_STR("{\"body\":\"{}\",\"headers\":{\"id\":\"abc\"}}"), &e));
    CU_ASSERT(text_is(e.body, "{}") && text_is(e.id, "abc"));
    CU_ASSERT(json_is_type(e.content_type));
    envelope_close(&e);
}

static void test_bad_envelopes(void)
{
    static const char *const rows[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"body\":1}",
        "{\"body\":null}",
        "{\"body\":\"%\",\"properties\":{\"body_encoding\":\"base64\"}}",
    };
    struct envelope e;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CU_ASSERT(!envelope_open(sonde_cstr(rows[i]), &e));
        envelope_close(&e);
    }
}

static void test_events(void)
{
    static const struct {
        int line;
        const char *json;
        int type; /* below 0: none */
    } rows[] = {
        { __LINE__,
          "{\"type\":\"task-sent\",\"uuid\":\"u\",\"hostname\":\"h\"}",
          EVENT_SENT },
        { __LINE__,
          "{\"type\":\"task-retried\",\"uuid\":\"u\",\"hostname\":\"h\"}",
          EVENT_RETRIED },
        { __LINE__, "{\"type\":\"worker-offline\",\"hostname\":\"h\"}",
          EVENT_OFFLINE },
        { __LINE__, "{\"type\":\"my-own\"}", EVENT_OTHER },
        { __LINE__, "{\"type\":\"task-sent\",\"hostname\":\"h\"}", -1 },
        { __LINE__, "{\"type\":\"task-sent\",\"uuid\":1,\"hostname\":\"h\"}",
          -1 },
        { __LINE__, "{\"type\":\"worker-online\"}", -1 },
        { __LINE__, "{\"type\":5}", -1 },
        { __LINE__, "[]", -1 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *root = json_read(sonde_cstr(rows[i].json));
        struct event e = { 0 };

        ROW_ASSERT(&rows[i], root != NULL);
        ROW_ASSERT(&rows[i], event_read(root, &e) == (rows[i].type >= 0));
        ROW_ASSERT(&rows[i],
                   rows[i].type < 0 || e.type == (enum event_type)rows[i].type);
        json_decref(root);
    }
}

static void test_exceptions(void)
{
    static const struct {
        int line;
        const char *repr, *want;
    } rows[] = {
        { __LINE__, "ValueError('bad')", "ValueError" },
        { __LINE__, "Own_Error2()", "Own_Error2" },
        { __LINE__, "foo.Bar('x')", "UnknownException" },
        { __LINE__, "ValueError", "UnknownException" },
        { __LINE__, "('x')", "UnknownException" },
        { __LINE__, "", "UnknownException" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i], text_is(event_exception(sonde_cstr(rows[i].repr)),
                                     rows[i].want));
    CU_ASSERT(text_is(event_host(SONDE_STR("w1@vm")), "vm"));
    CU_ASSERT(text_is(event_host(SONDE_STR("plain")), "plain"));
    CU_ASSERT(text_is(event_host(SONDE_STR("w@")), "w@"));
}

/* Python writes halves of surrogate pairs; JSON forbids them. */
static void test_surrogates(void)
{
    static const struct {
        int line;
        const char *json, *want;
    } rows[] = {
        { __LINE__, "[\"a\\ud800b\"]",
          "a\xef\xbf\xbd"
          "b" },
        { __LINE__, "[\"\\udc80\"]", "\xef\xbf\xbd" },
        { __LINE__, "[\"\\ud83d\\ude00\\ud800\"]",
          "\xf0\x9f\x98\x80\xef\xbf\xbd" },
        { __LINE__, "[\"\\\\ud800\"]", "\\ud800" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *root = json_read(sonde_cstr(rows[i].json));
        const char *got = json_string_value(json_array_get(root, 0));

        ROW_ASSERT(&rows[i], got && strcmp(got, rows[i].want) == 0);
        json_decref(root);
    }
    CU_ASSERT(!json_read(SONDE_STR("[\"\\ud8\"]")));
    CU_ASSERT(!json_read(SONDE_STR("[\"\\ud800\"")));
}

static void test_commands(void)
{
    char *command = control_command("stats", "reply.celery.pidbox", "me");
    char *wrapped =
        command ? control_envelope(command, "celery.pidbox", 12.5) : NULL;
    struct envelope e;
    json_t *root;
    char a[37], b[37];

    CU_ASSERT_FATAL(command && wrapped);
    CU_ASSERT(envelope_open(sonde_cstr(wrapped), &e));
    root = json_read(e.body);
    CU_ASSERT(text_is(member_text(root, "method"), "stats"));
    CU_ASSERT(text_is(
        member_text(json_object_get(root, "reply_to"), "routing_key"), "me"));
    CU_ASSERT(member_text(root, "ticket").len == 36);
    json_decref(root);
    envelope_close(&e);
    free(command);
    free(wrapped);
    control_uuid(a);
    control_uuid(b);
    CU_ASSERT(strlen(a) == 36 && a[14] == '4' && strcmp(a, b) != 0);
}

/* ---- tasks --------------------------------------------------------------- */

static struct event about(enum event_type type, const char *uuid,
                          const char *name, const char *queue)
{
    return (struct event){ .type = type,
                           .uuid = sonde_cstr(uuid),
                           .name = sonde_cstr(name),
                           .queue = sonde_cstr(queue),
                           .timestamp = 100 };
}

static void test_tasks(void)
{
    struct tasks t = { .limit = 3 };
    struct event e = about(EVENT_SENT, "a", "app.add", "q");
    const struct task *task = tasks_hear(&t, &e);

    CU_ASSERT_FATAL(task != NULL);
    CU_ASSERT(task->sent == 100 && strcmp(task->queue, "q") == 0);
    CU_ASSERT(tasks_sent(&t, SONDE_STR("a")) == 100);
    e = about(EVENT_STARTED, "a", NULL, NULL);
    CU_ASSERT(tasks_hear(&t, &e) == task);
    e = about(EVENT_SUCCEEDED, "a", NULL, NULL);
    CU_ASSERT(tasks_hear(&t, &e) == task);
    CU_ASSERT(t.live.count == 0 && t.done.count == 1);
    /* task-sent after all else opens nothing. */
    e = about(EVENT_SENT, "a", "app.add", "q");
    CU_ASSERT(tasks_hear(&t, &e) == task && t.live.count == 0);
    /* A retry goes on, a rejection that is put back too. */
    e = about(EVENT_RECEIVED, "b", "app.b", NULL);
    CU_ASSERT(tasks_hear(&t, &e) != NULL);
    e = about(EVENT_RETRIED, "b", NULL, NULL);
    CU_ASSERT(tasks_hear(&t, &e) != NULL && t.live.count == 1);
    e = about(EVENT_REJECTED, "b", NULL, NULL);
    e.requeue = true;
    CU_ASSERT(tasks_hear(&t, &e) != NULL && t.live.count == 1);
    tasks_fini(&t);
}

static void test_tasks_are_bounded(void)
{
    struct tasks t = { .limit = 100 };
    char id[16];

    for (int i = 0; i < 1000; i++) {
        struct event e;

        (void)snprintf(id, sizeof(id), "id%d", i);
        e = about(EVENT_RECEIVED, id, "app.add", NULL);
        CU_ASSERT(tasks_hear(&t, &e) != NULL);
        /* The one that is heard of stays. */
        e = about(EVENT_STARTED, "id0", NULL, NULL);
        CU_ASSERT(strcmp(tasks_hear(&t, &e)->name, "app.add") == 0);
    }
    CU_ASSERT_EQUAL(t.live.count, 100);
    CU_ASSERT_EQUAL(t.evicted, 900);
    for (int i = 900; i < 1000; i++) {
        struct event e;

        (void)snprintf(id, sizeof(id), "id%d", i);
        e = about(EVENT_SUCCEEDED, id, NULL, NULL);
        CU_ASSERT(tasks_hear(&t, &e) != NULL);
    }
    CU_ASSERT(t.done.count <= 11);
    tasks_fini(&t);
}

/* ---- series -------------------------------------------------------------- */

static void test_histogram(void)
{
    struct bounds b = { { 1, 2 }, 2 };
    struct histogram *h = NULL;

    CU_ASSERT(series_observe(&h, &b, 1, 5) && series_observe(&h, &b, 1.5, 6));
    CU_ASSERT(series_observe(&h, &b, 99, 7));
    CU_ASSERT(h->counts[0] == 1 && h->counts[1] == 1 && h->count == 3);
    CU_ASSERT(h->sum == 101.5 && h->created == 5);
    free(h);
}

static void test_series(void)
{
    struct series_set set = { .limit = 2 };
    sonde_str a = SONDE_STR("a"), b = SONDE_STR("b"), q = SONDE_STR("q");
    struct series *s = series_get(&set, a, b, q);
    char kind[16];

    CU_ASSERT_FATAL(s != NULL);
    CU_ASSERT(series_get(&set, a, b, q) == s);
    CU_ASSERT(series_get(&set, b, a, q) != s);
    CU_ASSERT(series_get(&set, q, q, q) == NULL); /* the limit */
    for (int i = 0; i < 300; i++) {
        (void)snprintf(kind, sizeof(kind), "E%d", i);
        CU_ASSERT(series_failed(s, sonde_cstr(kind), 1, 0));
    }
    CU_ASSERT_EQUAL(s->failure_count, EXCEPTIONS_MAX + 1);
    CU_ASSERT_EQUAL(s->failures[EXCEPTIONS_MAX].count, 200);
    series_purge(&set, b);
    CU_ASSERT_EQUAL(set.table.count, 1);
    series_fini(&set);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "base64", test_base64 },
        { "times", test_time },
        { "tables", test_table },
        { "brokers' URLs", test_urls },
        { "URLs that are refused", test_bad_urls },
        { "TLS in URLs", test_tls_of_urls },
        { "buckets and options", test_bounds },
        { "a recorded envelope", test_envelope },
        { "what is no envelope", test_bad_envelopes },
        { "events", test_events },
        { "names of exceptions and hosts", test_exceptions },
        { "halves of surrogate pairs", test_surrogates },
        { "commands to workers", test_commands },
        { "tasks under way", test_tasks },
        { "tasks are bounded", test_tasks_are_bounded },
        { "histograms", test_histogram },
        { "series are bounded", test_series },
    };

    return TAP_RUN("celery", tests);
}
