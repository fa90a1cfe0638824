/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From events to samples, under the fake host: what is counted, what is shown
 * of workers as time passes, what an inspection finds, and a conversation
 * with a scripted Redis.
 */
#include <math.h>
#include <stdlib.h>

#include <sonde/testing.h>

#include "celery/emit.h"
#include "celery/listener.h"
#include "plugins/said.h"
#include "unit/tap.h"

/* ---- a state with a sink ------------------------------------------------- */

struct bench {
    struct sonde_fake fake;
    struct state state;
    struct instant at;
};

static void set_up(struct bench *b, const char *const *options)
{
    struct sonde_err err;

    sonde_fake_init(&b->fake, sonde_plugin_entry);
    for (size_t i = 0; options && options[i]; i += 2)
        CU_ASSERT_EQUAL(sonde_fake_option(&b->fake, options[i], options[i + 1]),
                        SONDE_OK);
    CU_ASSERT_EQUAL(state_init(&b->state, b->fake.options, &err), SONDE_OK);
    b->at = (struct instant){ .now = 1000, .monotonic = 50000 };
}

static void tear_down(struct bench *b)
{
    state_fini(&b->state);
    sonde_fake_fini(&b->fake);
}

static void hear(struct bench *b, const char *json)
{
    state_message(&b->state, SONDE_STR("application/json"), sonde_cstr(json),
                  b->at);
}

static void show(struct bench *b)
{
    struct emit e = { .host = &b->fake.host,
                      .sink = &b->fake.sink,
                      .at = b->at };

    sonde_fake_begin(&b->fake);
    state_purge(&b->state, b->at);
    emit_state(&e, &b->state);
    emit_fleet(&e, &b->state);
    if (b->fake.sink.code != SONDE_OK)
        tap_note("sink: %s", b->fake.err.text);
    CU_ASSERT_EQUAL(b->fake.sink.code, SONDE_OK);
}

#define EVENT(type, uuid, host, rest)                                          \
    "{\"type\":\"" type "\",\"uuid\":\"" uuid "\",\"hostname\":\"" host        \
    "\",\"timestamp\":1000.5" rest "}"
#define BEAT(host, active)                                                     \
    "{\"type\":\"worker-heartbeat\",\"hostname\":\"" host                      \
    "\",\"freq\":2.0,\"active\":" active                                       \
    ",\"processed\":7,\"loadavg\":[0.5,0.25,0.125],\"timestamp\":1000}"
#define ADD(host) "{name=\"app.add\",hostname=\"" host "\",queue_name=\"q\"}"

/* ---- tasks --------------------------------------------------------------- */

static void test_counters(void)
{
    struct bench b;

    set_up(&b, NULL);
    hear(&b, "{\"type\":\"task-sent\",\"uuid\":\"u\",\"hostname\":\"gen@web\","
             "\"timestamp\":1000,\"name\":\"app.add\",\"queue\":\"q\"}");
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_task_sent_total" ADD("web"), 1));
    CU_ASSERT(is(&b.fake, "celery_task_received_total" ADD("web"), 0));
    hear(&b,
         "[" EVENT(
             "task-received", "u", "w1@vm",
             ",\"name\":\"app.add\"") "," EVENT("task-started", "u", "w1@vm",
                                                "") "," EVENT("task-succeeded",
                                                              "u", "w1@vm",
                                                              ",\"runtime\":0."
                                                              "02") "]");
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_task_received_total" ADD("vm"), 1));
    CU_ASSERT(is(&b.fake, "celery_task_succeeded_total" ADD("vm"), 1));
    CU_ASSERT(is(&b.fake, "celery_task_retried_total" ADD("vm"), 0));
    CU_ASSERT(is(&b.fake, "celery_task_sent_total" ADD("vm"), NAN));
    CU_ASSERT(is(&b.fake,
                 "celery_task_failed_total{name=\"app.add\",hostname=\"vm\","
                 "queue_name=\"q\"}",
                 0));
    CU_ASSERT(is(&b.fake,
                 "celery_task_runtime_bucket{name=\"app.add\",hostname=\"vm\","
                 "queue_name=\"q\",le=\"0.01\"}",
                 0));
    CU_ASSERT(is(&b.fake,
                 "celery_task_runtime_bucket{name=\"app.add\",hostname=\"vm\","
                 "queue_name=\"q\",le=\"0.025\"}",
                 1));
    CU_ASSERT(is(&b.fake, "celery_task_queue_wait_time_sum" ADD("vm"), 0.5));
    CU_ASSERT(is(&b.fake, "celery_tasks_remembered", 0));
    CU_ASSERT(is(&b.fake, "celery_task_sent_created" ADD("web"), NAN));
    tear_down(&b);
}

static void test_failures(void)
{
    struct bench b;

    set_up(&b, (const char *const[]){ "created_series", "true", NULL });
    hear(&b, EVENT("task-failed", "u", "w1@vm",
                   ",\"exception\":\"ValueError('x')\""));
    show(&b);
    CU_ASSERT(is(&b.fake,
                 "celery_task_failed_total{name=\"None\",hostname=\"vm\","
                 "exception=\"ValueError\",queue_name=\"celery\"}",
                 1));
    CU_ASSERT(is(&b.fake,
                 "celery_task_failed_created{name=\"None\",hostname=\"vm\","
                 "exception=\"ValueError\",queue_name=\"celery\"}",
                 1000));
    CU_ASSERT(is(&b.fake, "celery_events_unnamed_total", 1));
    tear_down(&b);
}

static void test_generic(void)
{
    static const char *const both[] = { "generic_hostname_task_sent_metric",
                                        "true",
                                        "generic_hostname_worker_task_metric",
                                        "true", NULL };
    const char sent[] = "{\"type\":\"task-sent\",\"uuid\":\"u\","
                        "\"hostname\":\"gen@web\",\"name\":\"app.add\","
                        "\"queue\":\"q\",\"timestamp\":1}";
    struct bench b;

    set_up(&b, both);
    hear(&b, sent);
    hear(&b, EVENT("task-started", "u", "w1@vm", ""));
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_task_sent_total" ADD("generic"), 1));
    CU_ASSERT(is(&b.fake, "celery_task_started_total" ADD("generic"), 1));
    CU_ASSERT(!strstr(b.fake.text.ptr, "hostname=\"vm\""));
    tear_down(&b);

    set_up(&b, both + 2);
    hear(&b, sent);
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_task_sent_total" ADD("web"), 1));
    CU_ASSERT(is(&b.fake, "celery_task_started_total" ADD("generic"), 0));
    CU_ASSERT(is(&b.fake, "celery_task_started_total" ADD("web"), NAN));
    tear_down(&b);

    set_up(&b, (const char *const[]){ "node_names", "true", NULL });
    hear(&b, sent);
    hear(&b, EVENT("task-started", "u", "w1@vm", ""));
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_task_started_total" ADD("w1@vm"), 1));
    tear_down(&b);
}

static void test_wait(void)
{
    struct bench b;

    set_up(&b, NULL);
    hear(&b, "{\"type\":\"task-sent\",\"uuid\":\"u\",\"hostname\":\"g@h\","
             "\"timestamp\":900,\"name\":\"app.add\",\"queue\":\"q\"}");
    hear(&b, EVENT("task-received", "u", "w1@vm",
                   ",\"name\":\"app.add\","
                   "\"eta\":\"1970-01-01T00:16:40+00:00\""));
    hear(&b, EVENT("task-started", "u", "w1@vm", ""));
    show(&b); /* sent at 900 for 1000, started at 1000.5 */
    CU_ASSERT(is(&b.fake, "celery_task_queue_wait_time_sum" ADD("vm"), 0.5));
    tear_down(&b);
}

static void test_limits_and_garbage(void)
{
    static const char *const few[] = { "series_limit", "1", NULL };
    struct bench b;
    char type[32];

    set_up(&b, few);
    hear(&b, EVENT("task-started", "u", "w1@a", ""));
    hear(&b, EVENT("task-started", "v", "w1@b", ""));
    hear(&b, "not JSON");
    hear(&b, "[1, {\"type\":\"custom-thing\"}, {}]");
    state_broken(&b.state);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(type, sizeof(type), "application/x-%d", i);
        state_message(&b.state, sonde_cstr(type), SONDE_STR("\x80"), b.at);
    }
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_events_dropped_total{reason=\"limit\"}", 1));
    CU_ASSERT(
        is(&b.fake, "celery_events_dropped_total{reason=\"malformed\"}", 4));
    CU_ASSERT(is(&b.fake,
                 "celery_events_dropped_total{reason=\"content_type\"}", 40));
    CU_ASSERT(is(&b.fake, "celery_events_total{type=\"other\"}", 1));
    CU_ASSERT(is(&b.fake,
                 "celery_events_undecoded_total{content_type=\"other\"}", 25));
    tear_down(&b);
}

/* ---- workers ------------------------------------------------------------- */

static void pass(struct bench *b, sonde_msec ms)
{
    b->at.monotonic += ms;
    b->at.now += (double)ms / 1000;
}

static void test_timeout_and_purge(void)
{
    struct bench b;

    set_up(&b, NULL);
    hear(&b, BEAT("w1@vm", "3"));
    hear(&b, EVENT("task-started", "u", "w1@vm", ""));
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", 1));
    CU_ASSERT(is(&b.fake, "celery_worker_tasks_active{hostname=\"vm\"}", 3));
    CU_ASSERT(
        is(&b.fake, "celery_worker_tasks_processed_total{hostname=\"vm\"}", 7));
    pass(&b, 300000);
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", 1));
    CU_ASSERT(is(&b.fake,
                 "celery_worker_heartbeat_age_seconds{hostname=\"vm\"}", 300));
    pass(&b, 1);
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", 0));
    CU_ASSERT(is(&b.fake, "celery_worker_tasks_active{hostname=\"vm\"}", 0));
    pass(&b, 300000);
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", NAN));
    CU_ASSERT(!strstr(b.fake.text.ptr, "hostname=\"vm\""));
    tear_down(&b);
}

static void test_never(void)
{
    struct bench b;

    set_up(&b,
           (const char *const[]){ "worker_timeout", "0",
                                  "purge_offline_worker_metrics", "0", NULL });
    hear(&b, BEAT("w1@vm", "0"));
    pass(&b, 100000000);
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", 1));
    hear(&b, "{\"type\":\"worker-offline\",\"hostname\":\"w1@vm\"}");
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", 0));
    CU_ASSERT(is(&b.fake,
                 "celery_worker_heartbeat_age_seconds{hostname=\"vm\"}", NAN));
    hear(&b, "{\"type\":\"worker-online\",\"hostname\":\"w1@vm\"}");
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", 1));
    tear_down(&b);
}

/* Two workers of one host: what one label stands for is put together. */
static void test_shared_host(void)
{
    struct bench b;

    set_up(&b, NULL);
    hear(&b, BEAT("w1@vm", "1"));
    hear(&b, EVENT("task-started", "u", "w1@vm", ""));
    pass(&b, 200000);
    hear(&b, BEAT("w2@vm", "2"));
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_worker_tasks_active{hostname=\"vm\"}", 3));
    pass(&b, 200000);
    hear(&b, BEAT("w2@vm", "2"));
    show(&b); /* w1 has timed out, w2 has not */
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", 1));
    CU_ASSERT(is(&b.fake, "celery_worker_tasks_active{hostname=\"vm\"}", 2));
    CU_ASSERT(is(&b.fake,
                 "celery_worker_heartbeat_age_seconds{hostname=\"vm\"}", 400));
    pass(&b, 250000);
    show(&b); /* w1 is purged, its host is not */
    CU_ASSERT(is(&b.fake,
                 "celery_worker_heartbeat_age_seconds{hostname=\"vm\"}", 250));
    CU_ASSERT(is(&b.fake,
                 "celery_task_started_total{name=\"None\",hostname=\"vm\","
                 "queue_name=\"celery\"}",
                 1));
    tear_down(&b);
}

static void reply(struct bench *b, const char *json)
{
    state_reply(&b->state, SONDE_STR("application/json"), sonde_cstr(json));
}

static void test_inspection(void)
{
    struct bench b;

    set_up(&b, (const char *const[]){ "queues", "idle", NULL });
    fleet_begin(&b.state.fleet);
    reply(&b, "{\"w1@vm\":[{\"name\":\"q\"},{\"name\":\"r\"}]}");
    reply(&b, "{\"w2@vm\":[{\"name\":\"q\"}]}");
    reply(&b, "{\"w2@vm\":{\"pool\":{\"max-concurrency\":4,\"threads\":4}}}");
    reply(&b, "{\"w1@vm\":{\"pool\":{\"max-concurrency\":2,\"processes\":"
              "[11,12]},\"prefetch_count\":8,\"uptime\":60,\"rusage\":"
              "{\"maxrss\":1000}}}");
    reply(&b, "{\"w3@vm\":{\"error\":\"busy\"}}");
    reply(&b, "[]");
    fleet_end(&b.state.fleet);
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_active_worker_count{queue_name=\"q\"}", 2));
    CU_ASSERT(is(&b.fake, "celery_active_process_count{queue_name=\"q\"}", 6));
    CU_ASSERT(is(&b.fake, "celery_active_process_count{queue_name=\"r\"}", 2));
    CU_ASSERT(
        is(&b.fake, "celery_active_worker_count{queue_name=\"idle\"}", 0));
    CU_ASSERT(is(&b.fake, "celery_worker_pool_size{hostname=\"vm\"}", 6));
    CU_ASSERT(is(&b.fake,
                 "celery_worker_max_resident_memory_bytes{hostname=\"vm\"}",
                 1024000));
    CU_ASSERT(is(&b.fake, "celery_inspect_workers", 2));
    CU_ASSERT(is(&b.fake, "celery_worker_up{hostname=\"vm\"}", NAN));
    fleet_begin(&b.state.fleet);
    fleet_end(&b.state.fleet); /* nobody answers */
    show(&b);
    CU_ASSERT(is(&b.fake, "celery_active_worker_count{queue_name=\"q\"}", 0));
    for (int i = 0; i < 3; i++) {
        fleet_begin(&b.state.fleet);
        fleet_end(&b.state.fleet);
    }
    show(&b); /* forgotten, for no event of theirs was ever heard */
    CU_ASSERT(is(&b.fake, "celery_worker_pool_size{hostname=\"vm\"}", NAN));
    tear_down(&b);
}

static void test_tails(void)
{
    const char *series =
        "celery_queue_oldest_message_age_seconds{queue_name=\"q\"}";
    struct bench b;

    set_up(&b, (const char *const[]){ "queues", "q", NULL });
    hear(&b, "{\"type\":\"task-sent\",\"uuid\":\"u\",\"hostname\":\"g@h\","
             "\"timestamp\":940,\"name\":\"n\",\"queue\":\"q\"}");
    state_tail(&b.state, SONDE_STR("q"), 0,
               SONDE_STR("{\"body\":\"x\",\"headers\":{\"id\":\"u\"}}"), 1000);
    show(&b); /* sent at 940, as its event said */
    CU_ASSERT(is(&b.fake, series, 60));
    state_tail(&b.state, SONDE_STR("q"), 0, SONDE_STR("another"), 1000);
    pass(&b, 5000);
    state_tail(&b.state, SONDE_STR("q"), 0, SONDE_STR("another"), 1005);
    show(&b); /* first seen at 1000 */
    CU_ASSERT(is(&b.fake, series, 5));
    state_tail(&b.state, SONDE_STR("q"), 0, (sonde_str){ 0 }, 1005);
    show(&b);
    CU_ASSERT(is(&b.fake, series, 0));
    tear_down(&b);
}

/* ---- a scripted Redis ---------------------------------------------------- */

#define GREETING                                                               \
    "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n" \
    "$12\r\nsonde-celery\r\n"
#define PSUBSCRIBE "*2\r\n$10\r\nPSUBSCRIBE\r\n$13\r\n/3.celeryev/*\r\n"
#define SUBSCRIBED "*3\r\n$10\r\npsubscribe\r\n$13\r\n/3.celeryev/*\r\n:1\r\n"
#define OTHER_BODY "{\"body\": \"{\\\"type\\\": \\\"a-b\\\"}\"}"
#define PUSHED                                                                 \
    "*4\r\n$8\r\npmessage\r\n$13\r\n/3.celeryev/*\r\n$14\r\n/3.celeryev/"      \
    "xy\r\n"                                                                   \
    "$31\r\n" OTHER_BODY "\r\n"

static const struct sonde_fake_step talk[] = {
    { SONDE_FAKE_CONNECT },
    { SONDE_FAKE_EXPECT, SONDE_STR(GREETING) },
    { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n-NOPERM no\r\n") },
    { SONDE_FAKE_EXPECT, SONDE_STR(PSUBSCRIBE) },
    { SONDE_FAKE_SEND, SONDE_STR(SUBSCRIBED), .chunk = 5 },
    { SONDE_FAKE_SEND, SONDE_STR(PUSHED PUSHED), .chunk = 7 },
    { SONDE_FAKE_STALL },
    { SONDE_FAKE_SEND, SONDE_STR(PUSHED) },
    { SONDE_FAKE_END },
    { SONDE_FAKE_REFUSE },
    { SONDE_FAKE_REFUSE },
    { SONDE_FAKE_REFUSE },
};

struct line {
    struct bench bench;
    struct listener listener;
    struct broker broker;
    pthread_mutex_t files;
};

static void connect_line(struct line *l, const char *url)
{
    struct transport_config config = { .broker = &l->broker,
                                       .files = &l->files,
                                       .oid = "me" };
    struct sonde_err err;

    set_up(&l->bench, (const char *const[]){ "inspect_interval", "0",
                                             "retry_interval", "3s", NULL });
    config.host = &l->bench.fake.host;
    config.target = &l->bench.fake.target;
    config.options = l->bench.fake.options;
    (void)pthread_mutex_init(&l->files, NULL);
    CU_ASSERT_EQUAL(broker_parse(sonde_cstr(url), &l->broker, &err), SONDE_OK);
    l->listener = (struct listener){ .host = config.host,
                                     .target = config.target,
                                     .options = config.options,
                                     .state = &l->bench.state };
    CU_ASSERT_EQUAL(redis_transport(&config, &l->listener.transport, &err),
                    SONDE_OK);
    listener_init(&l->listener);
}

static void hang_up_line(struct line *l)
{
    listener_stop(&l->listener);
    l->listener.transport->ops->close(l->listener.transport);
    broker_fini(&l->broker);
    (void)pthread_mutex_destroy(&l->files);
    tear_down(&l->bench);
}

static void test_listener(void)
{
    struct line l;
    struct state *s = &l.bench.state;

    connect_line(&l, "redis://h/3");
    SONDE_FAKE_SCRIPT(&l.bench.fake, talk);
    CU_ASSERT_EQUAL(listener_step(&l.listener), 0);
    CU_ASSERT(s->up && s->connects == 1);
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(listener_step(&l.listener), 0);
    CU_ASSERT_EQUAL(s->events[EVENT_OTHER], 2);
    CU_ASSERT_EQUAL(listener_step(&l.listener), 0); /* silence */
    CU_ASSERT_EQUAL(listener_step(&l.listener), 0);
    CU_ASSERT_EQUAL(s->events[EVENT_OTHER], 3);
    CU_ASSERT_EQUAL(listener_step(&l.listener), 1000); /* the end */
    CU_ASSERT(!s->up && s->failures == 1);
    CU_ASSERT_EQUAL(listener_step(&l.listener), 2000); /* longer pauses */
    CU_ASSERT_EQUAL(listener_step(&l.listener), 3000);
    CU_ASSERT_EQUAL(listener_step(&l.listener), 3000);
    CU_ASSERT(strstr(s->error, "Connection refused") != NULL);
    CU_ASSERT_EQUAL(l.bench.fake.opened, l.bench.fake.closed);
    hang_up_line(&l);
}

static void test_auth(void)
{
    static const struct sonde_fake_step refusal[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_EXPECT,
          SONDE_STR("*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$8\r\nx-secret\r\n") },
        { SONDE_FAKE_SEND,
          SONDE_STR("-ERR unknown command 'AUTH' with x-secret\r\n+OK\r\n"
                    "+OK\r\n") },
    };
    struct line l;

    connect_line(&l, "redis://u:x-secret@h/3");
    SONDE_FAKE_SCRIPT(&l.bench.fake, refusal);
    CU_ASSERT_EQUAL(listener_step(&l.listener), 1000);
    CU_ASSERT(strstr(l.bench.state.error, "AUTH is refused") != NULL);
    CU_ASSERT(!strstr(l.bench.state.error, "x-secret"));
    CU_ASSERT(!strstr(sonde_fake_cstr(&l.bench.fake.log), "x-secret"));
    hang_up_line(&l);
}

/* A server that sends neither events nor the answer to a PING. */
static void test_silence(void)
{
    static const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n+OK\r\n") },
        { SONDE_FAKE_SEND, SONDE_STR(SUBSCRIBED) },
    };
    struct line l;
    int turns = 0;

    connect_line(&l, "redis://h/3");
    SONDE_FAKE_SCRIPT(&l.bench.fake, steps);
    CU_ASSERT_EQUAL(listener_step(&l.listener), 0);
    while (turns++ < 100 && l.bench.state.up)
        (void)listener_step(&l.listener);
    CU_ASSERT(!l.bench.state.up && turns > 15 && turns < 30);
    CU_ASSERT(strstr(sonde_fake_cstr(&l.bench.fake.written), "PING") != NULL);
    hang_up_line(&l);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "counters and histograms", test_counters },
        { "failures", test_failures },
        { "generic names of hosts", test_generic },
        { "waiting for an ETA", test_wait },
        { "limits and garbage", test_limits_and_garbage },
        { "workers time out and are forgotten", test_timeout_and_purge },
        { "or never", test_never },
        { "two workers of one host", test_shared_host },
        { "an inspection", test_inspection },
        { "the age of the next message", test_tails },
        { "events from a scripted Redis", test_listener },
        { "AUTH that is refused", test_auth },
        { "a server that falls silent", test_silence },
    };

    return TAP_RUN("celery_state", tests);
}
