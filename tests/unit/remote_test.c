/* SPDX-License-Identifier: Apache-2.0 */
/* remote: encoding, saved positions, queues against a scripted receiver. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "remote/encode.h"
#include "remote/endpoint.h"
#include "remote/progress.h"
#include "remote/queue.h"
#include "remote/sending.h"
#include "unit/remote_sink.h"
#include "unit/tap.h"
#include "util/bytes.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define UNKNOWN_REF 4000

/* ---- a store that knows the labels of every series -------------------- */

static bool fake_labels(struct storage *s, series_ref ref, struct arena *a,
                        struct labels *out)
{
    struct label *items = arena_array(a, struct label, 3);

    (void)s;
    if (ref == UNKNOWN_REF)
        return false;
    items[0] = (struct label){ SONDE_STR("__name__"), SONDE_STR("m") };
    items[1] =
        (struct label){ SONDE_STR("i"), arena_printf(a, "%" PRIu64, ref) };
    items[2] = (struct label){ SONDE_STR("site"), SONDE_STR("mine") };
    *out = (struct labels){ items, 3 };
    return true;
}

static const struct storage_ops fake_ops = { .labels = fake_labels };
static struct storage fake = { &fake_ops };

/* ---- one log, one receiver, endpoints --------------------------------- */

struct bench {
    struct arena arena;
    struct sink sink;
    struct wal *wal;
    const char *wal_dir, *state_dir;
    struct selfmetrics *metrics;
    struct remote_write_config config;
    struct config_map external;
    struct remote_manager *manager;
    sonde_msec flush_ms;
    int64_t next_t;
};

static void bench_init(struct bench *b)
{
    static int n;
    struct wal_options options = { .segment_bytes = 256 << 10,
                                   .compress = WAL_SNAPPY };
    struct sonde_err err;

    *b = (struct bench){ .flush_ms = 30000 };
    arena_init(&b->arena);
    sink_start(&b->sink);
    b->metrics = selfmetrics_new();
    b->wal_dir = arena_printf(&b->arena, "%s/%d/wal", tap_tmpdir(), n).ptr;
    b->state_dir =
        arena_printf(&b->arena, "%s/%d/state", tap_tmpdir(), n++).ptr;
    CU_ASSERT_EQUAL_FATAL(wal_open(b->wal_dir, &options, &b->wal, &err), 0);
    b->config.url =
        arena_printf(&b->arena, "http://u:p@127.0.0.1:%d/write", b->sink.port);
    b->config.remote_timeout = 10000;
    b->config.queue_config = (struct remote_queue_config){
        .capacity = 1000,
        .max_shards = 1,
        .min_shards = 1,
        .max_samples_per_send = 100,
        .batch_send_deadline = 5,
        .min_backoff = 1,
        .max_backoff = 10,
    };
    b->config.http.follow_redirects = true;
}

static void bench_apply(struct bench *b, size_t endpoints)
{
    const struct remote_write_config *items[] = { &b->config };
    struct remote_endpoints e = { .items = items,
                                  .count = endpoints,
                                  .external_labels = &b->external };
    struct sonde_err err;
    sonde_code rc = remote_manager_apply(b->manager, &e, &err);

    if (rc != SONDE_OK)
        tap_note("%s", err.text);
    CU_ASSERT_EQUAL_FATAL(rc, SONDE_OK);
}

static struct remote_deps bench_deps(struct bench *b)
{
    return (struct remote_deps){ .metrics = b->metrics,
                                 .storage = &fake,
                                 .wal = b->wal,
                                 .wal_dir = b->wal_dir,
                                 .state_dir = b->state_dir,
                                 .flush_deadline_ms = b->flush_ms };
}

static void bench_start(struct bench *b)
{
    struct remote_deps deps = bench_deps(b);
    struct sonde_err err;

    CU_ASSERT_EQUAL_FATAL(remote_manager_new(&deps, &b->manager, &err), 0);
    bench_apply(b, 1);
}

static void bench_stop(struct bench *b)
{
    remote_manager_free(b->manager);
    b->manager = NULL;
}

static void bench_fini(struct bench *b)
{
    remote_manager_free(b->manager);
    CU_ASSERT_EQUAL(b->sink.malformed, 0);
    CU_ASSERT_EQUAL(b->sink.wrong, 0);
    sink_stop(&b->sink);
    wal_close(b->wal);
    selfmetrics_free(b->metrics);
    arena_fini(&b->arena);
}

static void append_sample(struct bench *b, uint64_t ref, int64_t t, double v)
{
    struct wal_samples_writer w;
    struct buf record = { 0 };
    struct sonde_err err;
    sonde_str r;

    wal_samples_begin(&w, &record);
    wal_samples_add(&w, ref, t, v);
    r = buf_str(&record);
    CU_ASSERT_EQUAL(wal_append(b->wal, &r, 1, &err), SONDE_OK);
    buf_fini(&record);
}

/* Scrapes of series 1 to `series`, one record each. */
static void append(struct bench *b, size_t scrapes, uint64_t series)
{
    struct buf record = { 0 };
    struct sonde_err err;

    for (size_t k = 0; k < scrapes; k++, b->next_t++) {
        struct wal_samples_writer w;
        sonde_str r;

        wal_samples_begin(&w, &record);
        for (uint64_t i = 1; i <= series; i++)
            wal_samples_add(&w, i, b->next_t, (double)i);
        r = buf_str(&record);
        CU_ASSERT_EQUAL(wal_append(b->wal, &r, 1, &err), SONDE_OK);
    }
    buf_fini(&record);
}

/* The value of a metric of the endpoint; -1 if there is none. */
static double metric_value(struct bench *b, const char *name, const char *label)
{
    struct buf page = { 0 };
    double v = -1;
    sonde_str rest, line;

    selfmetrics_write(b->metrics, &page);
    rest = buf_str(&page);
    while (str_split(&rest, '\n', &line)) {
        char *z;

        if (!str_starts(line, sonde_cstr(name)))
            continue;
        z = mem_strdup(line);
        if (strstr(z, label))
            v = strtod(strrchr(z, ' '), NULL);
        free(z);
    }
    buf_fini(&page);
    return v;
}

/* ---- encoding --------------------------------------------------------- */

static void test_encoding(void)
{
    struct label items[] = { { SONDE_STR("__name__"), SONDE_STR("up") },
                             { SONDE_STR("a"), SONDE_STR("b") } };
    struct remote_sample samples[] = { { 1, 1700006400000, 1.0 },
                                       { 1, -1, stale_nan() } };
    struct metadata m = { .family = SONDE_STR("up"),
                          .type = METRIC_GAUGE,
                          .help = SONDE_STR("h"),
                          .unit = SONDE_STR("s") };
    static const unsigned char want[] =
        "\x0a\x40"
        "\x0a\x0e\x0a\x08__name__\x12\x02up"
        "\x0a\x06\x0a\x01"
        "a\x12\x01"
        "b"
        "\x12\x10\x09\0\0\0\0\0\0\xf0\x3f\x10\x80\xa0\x9c\x82\xbd\x31"
        "\x12\x14\x09\x02\0\0\0\0\0\xf0\x7f"
        "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
        "\x1a\x0c\x08\x02\x12\x02up\x22\x01h\x2a\x01s";
    struct buf labels = { 0 }, out = { 0 }, body = { 0 };

    encode_labels(&labels, &(struct labels){ items, 2 });
    encode_series(&out, buf_str(&labels), samples, 2);
    encode_metadata(&out, &m);
    CU_ASSERT_EQUAL(out.len, sizeof(want) - 1);
    CU_ASSERT_EQUAL(memcmp(out.data, want, sizeof(want) - 1), 0);
    encode_body(buf_str(&out), &body);
    CU_ASSERT_EQUAL(body.data[0], (char)out.len); /* a block, not a frame */
    buf_fini(&labels);
    buf_fini(&out);
    buf_fini(&body);
}

static void test_retry_after(void)
{
    const sonde_msec now = 784111777000; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        int line;
        const char *text;
        sonde_msec want;
    } rows[] = {
        { __LINE__, "", 0 },
        { __LINE__, "3", 3000 },
        { __LINE__, " 3 ", 3000 },
        { __LINE__, "-3", 0 },
        { __LINE__, "3.5", 0 },
        { __LINE__, "soon", 0 },
        { __LINE__, "999999999999", 600000 },
        { __LINE__, "99999999999999999999", 0 },
        { __LINE__, "Sun, 06 Nov 1994 08:49:47 GMT", 10000 },
        { __LINE__, "Sun, 06 Nov 1994 08:49:27 GMT", 0 },
        { __LINE__, "Sun, 06 Nov 2094 08:49:27 GMT", 600000 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i], retry_after_ms(sonde_cstr(rows[i].text), now) ==
                                 rows[i].want);
}

static void test_endpoint_names(void)
{
    static const struct {
        int line;
        const char *name, *url, *shown, *labels;
    } rows[] = {
        { __LINE__, "a", "http://h/x", "http://h/x",
          "remote_name=\"a\",url=\"http://h/x\"" },
        { __LINE__, "a", "http://u:p@h/x", "http://xxxxx@h/x",
          "remote_name=\"a\",url=\"http://xxxxx@h/x\"" },
        { __LINE__, "a", "http://u:p@q@h", "http://xxxxx@h",
          "remote_name=\"a\",url=\"http://xxxxx@h\"" },
        { __LINE__, "a", "http://h/@x", "http://h/@x",
          "remote_name=\"a\",url=\"http://h/@x\"" },
        { __LINE__, "a\"\\", "http://h", "http://h",
          "remote_name=\"a\\\"\\\\\",url=\"http://h\"" },
        { __LINE__, "../x", "http://h", "http://h",
          "remote_name=\"../x\",url=\"http://h\"" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct remote_write_config c = { .name = sonde_cstr(rows[i].name),
                                         .url = sonde_cstr(rows[i].url) };
        struct endpoint e, second;

        endpoint_init(&e, &c, 0);
        endpoint_init(&second, &c, 1);
        ROW_ASSERT(&rows[i], strcmp(e.url, rows[i].shown) == 0);
        ROW_ASSERT(&rows[i], strcmp(e.labels, rows[i].labels) == 0);
        ROW_ASSERT(&rows[i], !strchr(e.file, '/') && e.file[0] != '.');
        ROW_ASSERT(&rows[i], strcmp(e.file, second.file) != 0);
        endpoint_fini(&e);
        endpoint_fini(&second);
    }
}

/* ---- saved positions -------------------------------------------------- */

static struct progress *numbered_progress(size_t lanes, uint64_t seed)
{
    struct progress *p = mem_new(struct progress);

    p->count = lanes;
    for (size_t i = 0; i < lanes; i++) {
        p->lanes[i].acked = (struct place){ { seed, i }, seed + i };
        p->lanes[i].sent = (struct place){ { seed + 1, i }, seed };
    }
    return p;
}

static bool same_progress(const struct progress *a, const struct progress *b)
{
    return a->count == b->count &&
           memcmp(a->lanes, b->lanes, a->count * sizeof(a->lanes[0])) == 0;
}

static void damage_file(const char *path, size_t at)
{
    FILE *f = fopen(path, "r+b");
    int c;

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fseek(f, (long)at, SEEK_SET), 0);
    c = fgetc(f);
    CU_ASSERT_EQUAL(fseek(f, (long)at, SEEK_SET), 0);
    (void)fputc(c ^ 1, f);
    (void)fclose(f);
}

static void test_progress_file(void)
{
    struct progress *found = mem_new(struct progress);
    struct progress *one = numbered_progress(PROGRESS_LANES_MAX, 5);
    struct progress *two = numbered_progress(3, 9);
    struct progress_file *f;
    struct sonde_err err;
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/position", tap_tmpdir());
    CU_ASSERT_EQUAL(progress_open("/no/such/file", found, &f, &err),
                    SONDE_ENOTFOUND);
    CU_ASSERT_EQUAL_FATAL(progress_open(path, found, &f, &err), SONDE_OK);
    CU_ASSERT_EQUAL(found->count, 0);
    CU_ASSERT_EQUAL(progress_write(f, one, &err), SONDE_OK);
    CU_ASSERT_EQUAL(progress_sync(f, &err), SONDE_OK);
    progress_close(f);
    CU_ASSERT_EQUAL_FATAL(progress_open(path, found, &f, &err), SONDE_OK);
    CU_ASSERT_TRUE(same_progress(found, one));
    CU_ASSERT_EQUAL(progress_write(f, two, &err), SONDE_OK);
    progress_close(f);
    CU_ASSERT_EQUAL_FATAL(progress_open(path, found, &f, &err), SONDE_OK);
    CU_ASSERT_TRUE(same_progress(found, two));
    progress_close(f);
    /* The newer slot is torn: the older one counts. Then both are. */
    damage_file(path, 65536 + 40);
    CU_ASSERT_EQUAL_FATAL(progress_open(path, found, &f, &err), SONDE_OK);
    CU_ASSERT_TRUE(same_progress(found, one));
    progress_close(f);
    damage_file(path, 0);
    CU_ASSERT_EQUAL_FATAL(progress_open(path, found, &f, &err), SONDE_OK);
    CU_ASSERT_EQUAL(found->count, 0);
    progress_close(f);
    progress_close(NULL);
    free(found);
    free(one);
    free(two);
}

/* ---- delivery --------------------------------------------------------- */

static void test_delivery(void)
{
    struct bench b;
    struct wal_position at;
    sonde_str site = SONDE_STR("theirs"), zone = SONDE_STR("z");
    struct config_pair pairs[] = {
        { .key = SONDE_STR("site"), .values = { &site, 1 } },
        { .key = SONDE_STR("zone"), .values = { &zone, 1 } },
    };

    bench_init(&b);
    b.external = (struct config_map){ pairs, 2 };
    append(&b, 3, 50); /* before the endpoint: not sent */
    b.next_t = 0;
    bench_start(&b);
    append(&b, 100, 70);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 7000));
    append_sample(&b, 71, 0, stale_nan());
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 7001));
    CU_ASSERT_TRUE(remote_manager_oldest(b.manager, &at));
    bench_stop(&b);
    CU_ASSERT_EQUAL(b.sink.last_bits, STALE_NAN_BITS);
    buf_char(&b.sink.labels, '\0');
    CU_ASSERT_STRING_EQUAL(b.sink.labels.data,
                           "__name__=m,i=71,site=mine,zone=z,");
    CU_ASSERT_EQUAL(
        metric_value(&b, "prometheus_remote_storage_samples_total", "xxxxx@"),
        7001);
    CU_ASSERT_EQUAL(
        metric_value(&b, "prometheus_remote_storage_samples_pending", ""), 0);
    bench_fini(&b);
}

/* Rules drop and rename; a second sample of a series needs no rule. */
static void test_relabeling(void)
{
    static const char rules[] =
        "write_relabel_configs:\n"
        "- {source_labels: [i], regex: '1.*', action: drop}\n"
        "- {source_labels: [zone, site], target_label: where}\n"
        "- {regex: site|zone, action: labeldrop}\n";
    sonde_str zone = SONDE_STR("z");
    struct config_pair pair = { .key = SONDE_STR("zone"),
                                .values = { &zone, 1 } };
    struct remote_write_config read;
    struct config_ctx ctx = { 0 };
    struct yaml_node *node;
    struct sonde_err err;
    struct bench b;

    bench_init(&b);
    ctx.arena = &b.arena;
    b.external = (struct config_map){ &pair, 1 };
    CU_ASSERT_EQUAL_FATAL(
        yaml_parse(&b.arena, "test.yml",
                   arena_printf(&b.arena, "url: http://x\n%s", rules), &node,
                   &err),
        SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(
        config_read(&ctx, &remote_write_block, node, &read, &err), SONDE_OK);
    b.config.write_relabel_configs = read.write_relabel_configs;
    bench_start(&b);
    append(&b, 50, 20); /* 1 and 10 to 19 are dropped */
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 450));
    bench_stop(&b);
    CU_ASSERT_EQUAL(b.sink.samples, 450);
    CU_ASSERT_EQUAL(b.sink.next[10], 0);
    buf_char(&b.sink.labels, '\0');
    CU_ASSERT_STRING_EQUAL(b.sink.labels.data, "__name__=m,i=20,where=z;mine,");
    CU_ASSERT_EQUAL(
        metric_value(&b, "prometheus_remote_storage_samples_dropped_total",
                     "\"dropped_series"),
        550);
    relabel_rules_fini(read.write_relabel_configs.items,
                       read.write_relabel_configs.count);
    bench_fini(&b);
}

static bool header_is(sonde_str head, const char *line)
{
    return memmem(head.ptr, head.len, line, strlen(line)) != NULL;
}

static int check_headers(void *arg, const struct sink_request *r)
{
    static const char *const lines[] = {
        "Content-Encoding: snappy\r\n",
        "Content-Type: application/x-protobuf\r\n",
        "X-Prometheus-Remote-Write-Version: 0.1.0\r\n",
        "User-Agent: sonde/",
        "X-Scope-OrgID: me\r\n",
    };
    size_t *missing = arg;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        *missing += !header_is(r->head, lines[i]);
    *missing += header_is(r->head, "Retry-Attempt: 1\r\n") != (r->nth == 1);
    return r->nth == 0 ? 500 : 204;
}

static void test_headers(void)
{
    struct bench b;
    size_t missing = 0;
    sonde_str me = SONDE_STR("me");
    struct config_pair pair = { .key = SONDE_STR("X-Scope-OrgID"),
                                .values = { &me, 1 } };

    bench_init(&b);
    b.config.headers = (struct config_map){ &pair, 1 };
    sink_script(&b.sink, check_headers, &missing);
    bench_start(&b);
    append(&b, 1, 10);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 10));
    bench_stop(&b);
    CU_ASSERT_EQUAL(missing, 0);
    bench_fini(&b);
}

/* All that is tried again, one after the other. */
static int troubles(void *arg, const struct sink_request *r)
{
    static const int answers[] = { 500,       SINK_CLOSE, 204, 503, 429, 204,
                                   SINK_HANG, 204,        599, 204, 204 };

    (void)arg;
    return answers[r->nth % (sizeof(answers) / sizeof(answers[0]))];
}

static void test_retries(void)
{
    static const int64_t lanes[] = { 1, 5 };

    for (size_t k = 0; k < 2; k++) {
        struct bench b;

        bench_init(&b);
        b.config.remote_timeout = 50;
        b.config.queue_config.min_shards = lanes[k];
        b.config.queue_config.max_shards = lanes[k];
        sink_script(&b.sink, troubles, NULL);
        bench_start(&b);
        append(&b, 60, 150);
        CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 9000));
        bench_stop(&b);
        CU_ASSERT_EQUAL(b.sink.samples, 9000);
        CU_ASSERT_TRUE(
            metric_value(&b, "prometheus_remote_storage_samples_retried_total",
                         "") > 0);
        CU_ASSERT_EQUAL(
            metric_value(&b, "prometheus_remote_storage_samples_failed_total",
                         ""),
            0);
        bench_fini(&b);
    }
}

static int refuse_second(void *arg, const struct sink_request *r)
{
    size_t *refused = arg;

    if (r->nth != 1)
        return 204;
    *refused = r->samples;
    return 400;
}

static void test_refused(void)
{
    struct bench b;
    size_t refused = 0;

    bench_init(&b);
    b.config.queue_config.batch_send_deadline = 100000;
    sink_script(&b.sink, refuse_second, &refused);
    bench_start(&b);
    append(&b, 1, 100); /* one batch each */
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.requests, 1));
    append(&b, 1, 100);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.requests, 2));
    b.next_t = 1; /* what the receiver waits for */
    append(&b, 1, 100);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 200));
    bench_stop(&b);
    CU_ASSERT_EQUAL(refused, 100);
    CU_ASSERT_EQUAL(metric_value(&b,
                                 "prometheus_remote_storage_samples_failed_"
                                 "total",
                                 ""),
                    100);
    bench_fini(&b);
}

static int only_small(void *arg, const struct sink_request *r)
{
    (void)arg;
    return r->samples > 30 ? 413 : 204;
}

static void test_too_large(void)
{
    struct bench b;

    bench_init(&b);
    sink_script(&b.sink, only_small, NULL);
    bench_start(&b);
    append(&b, 20, 100);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 2000));
    bench_stop(&b);
    CU_ASSERT_EQUAL(b.sink.samples, 2000);
    bench_fini(&b);
}

static void test_unknown_and_old(void)
{
    struct bench b;
    sonde_msec now = clock_now(&clock_system);

    bench_init(&b);
    b.config.queue_config.sample_age_limit = 3600000;
    bench_start(&b);
    append_sample(&b, UNKNOWN_REF, now, 1);
    append_sample(&b, 1, now - 7200000, 1);
    b.sink.next[1] = now;
    append_sample(&b, 1, now, 1);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 1));
    bench_stop(&b);
    CU_ASSERT_EQUAL(b.sink.samples, 1);
    CU_ASSERT_EQUAL(
        metric_value(&b, "prometheus_remote_storage_samples_dropped_total",
                     "unintentionally_dropped_series"),
        1);
    CU_ASSERT_EQUAL(
        metric_value(&b, "prometheus_remote_storage_samples_dropped_total",
                     "too_old"),
        1);
    bench_fini(&b);
}

/* ---- outages and restarts --------------------------------------------- */

static int always_503(void *arg, const struct sink_request *r)
{
    (void)arg;
    (void)r;
    return 503;
}

static void test_outage_is_bounded(void)
{
    struct bench b;
    double pending;

    bench_init(&b);
    b.flush_ms = 1;
    sink_script(&b.sink, always_503, NULL);
    bench_start(&b);
    append(&b, 300, 100);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.requests, 20));
    pending = metric_value(&b, "prometheus_remote_storage_samples_pending", "");
    /* The capacity, and a record more. */
    CU_ASSERT_TRUE(pending > 0 && pending <= 1100);
    /* A restart in the middle of it, and samples while nobody sends. */
    bench_stop(&b);
    append(&b, 50, 100);
    sink_script(&b.sink, NULL, NULL);
    b.flush_ms = 30000;
    bench_start(&b);
    append(&b, 50, 100);
    bench_stop(&b); /* flushes */
    CU_ASSERT_EQUAL(b.sink.samples, 40000);
    bench_fini(&b);
}

/* One lane of four gets nothing through. */
static int one_lane_stuck(void *arg, const struct sink_request *r)
{
    (void)arg;
    return r->first_series % 4 == 1 ? 503 : 204;
}

static void test_restart_with_lanes(void)
{
    struct bench b;

    bench_init(&b);
    b.flush_ms = 1;
    b.config.queue_config.min_shards = 4;
    b.config.queue_config.max_shards = 4;
    sink_script(&b.sink, one_lane_stuck, NULL);
    bench_start(&b);
    append(&b, 30, 100);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 2250));
    bench_stop(&b);
    sink_script(&b.sink, NULL, NULL);
    /* Fewer lanes are wanted now; first the old ones are made up for. */
    b.config.queue_config.min_shards = 1;
    b.flush_ms = 30000;
    bench_start(&b);
    append(&b, 30, 100);
    bench_stop(&b);
    CU_ASSERT_EQUAL(b.sink.samples, 6000);
    bench_fini(&b);
}

static int hang_second(void *arg, const struct sink_request *r)
{
    (void)arg;
    return r->nth == 1 ? SINK_HANG : 204;
}

/* A kill while a request is under way: the same request once more, although
 * more samples could go with it now. */
static void test_repeats_what_was_sent(void)
{
    struct bench b;
    struct buf saved = { 0 };
    struct sonde_err err;
    struct fs_names names;
    char *path;

    bench_init(&b);
    b.flush_ms = 1;
    sink_script(&b.sink, hang_second, NULL);
    bench_start(&b);
    append(&b, 1, 10);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 10));
    append(&b, 1, 10);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.hanging, 1));
    append(&b, 20, 10);
    CU_ASSERT_EQUAL_FATAL(fs_list(b.state_dir, &names, &err), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(names.count, 1);
    path =
        fs_join(&b.arena, sonde_cstr(b.state_dir), sonde_cstr(names.items[0]));
    CU_ASSERT_EQUAL(fs_read(path, 1 << 20, &saved, &err), SONDE_OK);
    bench_stop(&b);
    CU_ASSERT_EQUAL(fs_write_atomic(path, buf_str(&saved), 0644, &err), 0);
    b.flush_ms = 30000;
    bench_start(&b);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 220));
    bench_stop(&b);
    CU_ASSERT_EQUAL(b.sink.samples, 220);
    CU_ASSERT_EQUAL(b.sink.hashes[1], b.sink.hashes[2]);
    fs_names_fini(&names);
    buf_fini(&saved);
    bench_fini(&b);
}

/* The log was thrown away: its new beginning is not taken for known. */
static void test_another_log(void)
{
    struct wal_options options = { 0 };
    struct sonde_err err;
    struct bench b;

    bench_init(&b);
    bench_start(&b);
    append(&b, 500, 100);
    bench_stop(&b);
    CU_ASSERT_TRUE(wal_end(b.wal).segment > 0);
    wal_close(b.wal);
    CU_ASSERT_EQUAL(fs_remove_all(b.wal_dir, &err), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(wal_open(b.wal_dir, &options, &b.wal, &err), 0);
    append(&b, 10, 100);
    bench_start(&b);
    bench_stop(&b);
    CU_ASSERT_EQUAL(b.sink.samples, 51000);
    bench_fini(&b);
}

/* ---- reload ----------------------------------------------------------- */

static void test_apply(void)
{
    struct wal_position at;
    struct bench b;

    bench_init(&b);
    bench_start(&b);
    append(&b, 10, 100);
    bench_apply(&b, 1); /* nothing changed */
    append(&b, 10, 100);
    b.config.queue_config.max_samples_per_send = 50;
    b.config.remote_timeout++;
    bench_apply(&b, 1); /* goes on where it was */
    append(&b, 10, 100);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, 3000));
    CU_ASSERT_TRUE(remote_manager_oldest(b.manager, &at));
    bench_apply(&b, 0);
    CU_ASSERT_FALSE(remote_manager_oldest(b.manager, &at));
    CU_ASSERT_EQUAL(
        metric_value(&b, "prometheus_remote_storage_samples_total", ""), -1);
    bench_stop(&b);
    CU_ASSERT_EQUAL(b.sink.samples, 3000);
    bench_fini(&b);
}

static void test_no_state_folder(void)
{
    const struct remote_write_config *items[1];
    struct remote_endpoints e = { .items = items, .count = 1 };
    struct remote_deps deps;
    struct sonde_err err;
    struct bench b;

    bench_init(&b);
    items[0] = &b.config;
    deps = bench_deps(&b);
    deps.state_dir = "/dev/null/state";
    CU_ASSERT_EQUAL_FATAL(remote_manager_new(&deps, &b.manager, &err), 0);
    CU_ASSERT_NOT_EQUAL(remote_manager_apply(b.manager, &e, &err), SONDE_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/dev/null"));
    CU_ASSERT_PTR_NULL(strstr(err.text, "u:p@"));
    bench_fini(&b);
}

/* ---- lanes ------------------------------------------------------------ */

static void test_lanes_change(void)
{
    static const size_t lanes[] = { 4, 2, 7, 1, 8, 3 };
    struct remote_deps deps;
    struct queue_setup setup;
    struct sonde_err err;
    struct queue *q;
    struct bench b;
    size_t sent = 0;

    bench_init(&b);
    b.config.queue_config.max_shards = 8;
    deps = bench_deps(&b);
    setup = (struct queue_setup){ .deps = &deps, .config = &b.config };
    CU_ASSERT_EQUAL_FATAL(queue_new(&setup, &q, &err), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(queue_start(q, &err), SONDE_OK);
    for (size_t i = 0; i < 6; i++) {
        append(&b, 20, 100);
        queue_want_lanes(q, lanes[i]);
        append(&b, 20, 100);
        sent += 4000;
        CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.samples, sent));
    }
    queue_stop(q, QUEUE_FLUSH, clock_monotonic(&clock_system) + 30000);
    queue_free(q);
    queue_free(NULL);
    CU_ASSERT_EQUAL(b.sink.samples, sent);
    bench_fini(&b);
}

/* ---- metadata --------------------------------------------------------- */

static void three_families(void *arg, struct arena *a, struct metadata **out,
                           size_t *n)
{
    *out = arena_array(a, struct metadata, 3);
    for (size_t i = 0; i < 3; i++)
        (*out)[i] =
            (struct metadata){ .family = SONDE_STR("m"), .type = METRIC_GAUGE };
    *n = 3;
    ++*(size_t *)arg;
}

static int fail_every_third(void *arg, const struct sink_request *r)
{
    (void)arg;
    return r->nth % 3 == 0 ? 500 : 204;
}

static void test_metadata(void)
{
    const struct remote_write_config *items[1];
    struct remote_endpoints e = { .items = items, .count = 1 };
    struct remote_deps deps;
    struct sonde_err err;
    struct bench b;
    size_t rounds = 0;

    bench_init(&b);
    items[0] = &b.config;
    b.config.metadata_config = (struct remote_metadata_config){
        .send = true, .send_interval = 20, .max_samples_per_send = 2
    };
    deps = bench_deps(&b);
    deps.metadata = three_families;
    deps.metadata_arg = &rounds;
    sink_script(&b.sink, fail_every_third, NULL);
    CU_ASSERT_EQUAL_FATAL(remote_manager_new(&deps, &b.manager, &err), 0);
    CU_ASSERT_EQUAL_FATAL(remote_manager_apply(b.manager, &e, &err), 0);
    CU_ASSERT_TRUE(sink_wait(&b.sink, &b.sink.metadata, 9));
    bench_stop(&b);
    CU_ASSERT_TRUE(rounds >= 3);
    bench_fini(&b);
}

static const struct tap_test tests[] = {
    { "messages are encoded", test_encoding },
    { "Retry-After is read", test_retry_after },
    { "endpoints have names without secrets", test_endpoint_names },
    { "a position is saved in turns", test_progress_file },
    { "samples arrive with all labels", test_delivery },
    { "relabeling drops and renames", test_relabeling },
    { "requests have their headers", test_headers },
    { "what fails for now is tried again", test_retries },
    { "what is refused is dropped and counted", test_refused },
    { "what is too large is split", test_too_large },
    { "unknown series and old samples are dropped", test_unknown_and_old },
    { "an outage costs bounded memory and no sample", test_outage_is_bounded },
    { "lanes resume where each one was", test_restart_with_lanes },
    { "a restart repeats what was under way", test_repeats_what_was_sent },
    { "a new log is sent from its beginning", test_another_log },
    { "a reload keeps or resumes queues", test_apply },
    { "no state folder is an error", test_no_state_folder },
    { "the number of lanes changes", test_lanes_change },
    { "metadata is sent in rounds", test_metadata },
};

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    return TAP_RUN("remote", tests);
}
