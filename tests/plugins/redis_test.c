/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The redis plugin under the fake host: recorded INFO of several versions,
 * and scripted conversations with servers that are well, unwilling, slow,
 * gone, or no Redis at all.
 */
#include <math.h>
#include <stdlib.h>

#include <sonde/testing.h>

#include "plugins/said.h"
#include "redis/redis.h"
#include "unit/tap.h"

/* ---- replies ------------------------------------------------------------- */

/* testdata/NAME, NUL-terminated; kept to the end. */
static sonde_str testdata(const char *name)
{
    static char data[16][65536];
    static size_t n;
    const char *src = getenv("SONDE_SRC_DIR");
    char path[4096];
    size_t len;
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/plugins/redis/testdata/%s",
                   src ? src : ".", name);
    f = fopen(path, "re");
    if (!f || n == 16) {
        tap_note("no %s", path);
        abort();
    }
    len = fread(data[n], 1, sizeof(data[n]) - 1, f);
    (void)fclose(f);
    return (sonde_str){ data[n++], len };
}

/* A reply as it is on the wire; kept to the end. */
static sonde_str wire(sonde_str bulk, const char *rest)
{
    static struct text texts[64];
    static size_t n;
    struct text *t = &texts[n++];
    char head[32];

    if (n == 64)
        abort();
    text_fini(t);
    (void)snprintf(head, sizeof(head), "$%zu\r\n", bulk.len);
    (void)text_addz(t, head);
    (void)text_add(t, bulk.ptr, bulk.len);
    (void)text_addz(t, "\r\n");
    (void)text_addz(t, rest);
    return (sonde_str){ t->ptr, t->len };
}

#define CONFIG_REPLY                                                           \
    "*10\r\n$9\r\ndatabases\r\n$1\r\n4\r\n$10\r\nmaxclients\r\n$"              \
    "5\r\n10000\r\n"                                                           \
    "$9\r\nmaxmemory\r\n$1\r\n0\r\n$10\r\nio-threads\r\n$1\r\n2\r\n"           \
    "$26\r\nclient-output-buffer-limit\r\n$61\r\n"                             \
    "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8 61\r\n" REST

/* To LATENCY LATEST, LATENCY HISTOGRAM, SLOWLOG LEN, SLOWLOG GET. */
#define REST "*0\r\n*0\r\n:0\r\n*0\r\n"

#define SETNAME        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$5\r\nsonde\r\n"
#define INFO_ALL       "*2\r\n$4\r\nINFO\r\n$3\r\nALL\r\n"
#define INFO_PLAIN     "*1\r\n$4\r\nINFO\r\n"
#define CONFIG_GET     "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$1\r\n*\r\n"
#define CONFIG_NAMES   "*11\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$9\r\ndatabases\r\n"
#define LATENCY_LATEST "*2\r\n$7\r\nLATENCY\r\n$6\r\nLATEST\r\n"
#define CLUSTER_INFO   "*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n"
#define SMALL_INFO     "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:5\r\n"

static bool logged(const struct sonde_fake *f, const char *part)
{
    return strstr(sonde_fake_cstr(&f->log), part) != NULL;
}

static void start(struct sonde_fake *f, const char *address)
{
    sonde_fake_init(f, sonde_plugin_entry);
    CU_ASSERT_EQUAL(sonde_fake_open(f, address), SONDE_OK);
}

/* One good collection with this INFO and the config reply above. Valkey 9 is
 * asked for its command logs in a second round trip. */
static void collect_info(struct sonde_fake *f, sonde_str info)
{
    struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_EXPECT, SONDE_STR(SETNAME INFO_ALL CONFIG_GET) },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND, wire(info, CONFIG_REPLY), .chunk = 1000 },
        { SONDE_FAKE_SEND, SONDE_STR(":4\r\n:5\r\n:6\r\n") },
    };
    size_t used = text_has(info, "valkey_version:9") ? 5 : 4;
    sonde_code rc;

    start(f, "localhost:6379");
    SONDE_FAKE_SCRIPT(f, steps);
    f->step_count = used;
    rc = sonde_fake_collect(f, 1000);
    if (rc != SONDE_OK)
        tap_note("%s", f->err.text);
    CU_ASSERT_EQUAL(rc, SONDE_OK);
    CU_ASSERT(is(f, "redis_up", 1));
    CU_ASSERT_EQUAL(f->step, used);
    f->steps = NULL;
}

/* ---- tables -------------------------------------------------------------- */

static void test_tables(void)
{
    for (size_t i = 0; i < REDIS_FAMILY_COUNT; i++) {
        const struct sonde_family *f = &redis_families[i];

        CU_ASSERT_PTR_NOT_NULL_FATAL(f->name);
        CU_ASSERT(f->help && f->help[0]);
        for (size_t k = 0; k < i; k++)
            CU_ASSERT_STRING_NOT_EQUAL(f->name, redis_families[k].name);
    }
    for (int i = 0; i < REDIS_FIELD_COUNT; i++) {
        CU_ASSERT(i == 0 ||
                  strcmp(redis_fields[i - 1].field, redis_fields[i].field) < 0);
        CU_ASSERT_EQUAL(redis_find_field(sonde_cstr(redis_fields[i].field)), i);
    }
    CU_ASSERT_EQUAL(redis_find_field(SONDE_STR("used_memor")), -1);
    CU_ASSERT_EQUAL(redis_find_field(SONDE_STR("")), -1);
    CU_ASSERT_EQUAL(redis_find_field(SONDE_STR("zzz")), -1);
    CU_ASSERT_STRING_EQUAL(
        redis_families[F_FIELDS + redis_find_field(SONDE_STR("used_memory"))]
            .name,
        "redis_memory_used_bytes");
    CU_ASSERT_EQUAL(emit_label_count(F_INSTANCE_INFO), 12);
    CU_ASSERT_EQUAL(emit_label_count(F_UP), 0);
    CU_ASSERT_EQUAL(emit_label_count(F_BUILD_INFO), 1);
}

/* ---- addresses ----------------------------------------------------------- */

static void test_addresses(void)
{
    static const struct {
        int line;
        const char *in, *stream, *user, *password;
        int db;
        bool tls;
    } rows[] = {
        { __LINE__, "rediss://:pw@h", "h:6379", NULL, "pw", -1, true },
        { __LINE__, "valkeys://[::1]:7/1", "[::1]:7", NULL, NULL, 1, true },
        { __LINE__, "h:1", "h:1", NULL, NULL, -1 },
        { __LINE__, "h", "h:6379", NULL, NULL, -1 },
        { __LINE__, "", "localhost:6379", NULL, NULL, -1 },
        { __LINE__, "[::1]:7", "[::1]:7", NULL, NULL, -1 },
        { __LINE__, "[::1]", "[::1]:6379", NULL, NULL, -1 },
        { __LINE__, "redis://h", "h:6379", NULL, NULL, -1 },
        { __LINE__, "redis://h:7/", "h:7", NULL, NULL, -1 },
        { __LINE__, "redis://h:7/12", "h:7", NULL, NULL, 12 },
        { __LINE__, "redis://:pw@h", "h:6379", NULL, "pw", -1 },
        { __LINE__, "redis://u:p%40%3a@h:7/3", "h:7", "u", "p@:", 3 },
        { __LINE__, "redis://u:p@w@[::1]", "[::1]:6379", "u", "p@w", -1 },
        { __LINE__, "valkey://h:7", "h:7", NULL, NULL, -1 },
        { __LINE__, "unix:///run/r.sock", "unix:/run/r.sock", NULL, NULL, -1 },
        { __LINE__, "unix:/run/r.sock", "unix:/run/r.sock", NULL, NULL, -1 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_err err = { 0 };
        struct redis_address a;
        sonde_code rc = address_parse(sonde_cstr(rows[i].in), &a, &err);

        ROW_ASSERT(&rows[i], rc == SONDE_OK);
        if (rc != SONDE_OK)
            continue;
        ROW_ASSERT(&rows[i], strcmp(a.stream, rows[i].stream) == 0);
        ROW_ASSERT(&rows[i], !rows[i].user == !a.user &&
                                 (!a.user || !strcmp(a.user, rows[i].user)));
        ROW_ASSERT(&rows[i],
                   !rows[i].password == !a.password &&
                       (!a.password || !strcmp(a.password, rows[i].password)));
        ROW_ASSERT(&rows[i], a.database == rows[i].db);
        ROW_ASSERT(&rows[i], a.tls == rows[i].tls);
        address_fini(&a);
    }
}

static void test_bad_addresses(void)
{
    static const struct {
        int line;
        const char *in;
        sonde_code code;
    } rows[] = {
        { __LINE__, "h:66666", SONDE_EINVAL },
        { __LINE__, "h:x", SONDE_EINVAL },
        { __LINE__, "::1", SONDE_EINVAL },
        { __LINE__, "[::1", SONDE_EINVAL },
        { __LINE__, "[]:1", SONDE_EINVAL },
        { __LINE__, "[::1]x", SONDE_EINVAL },
        { __LINE__, "redis://hunter2@h", SONDE_EINVAL },
        { __LINE__, "redis://u:hunter2%zz@h", SONDE_EINVAL },
        { __LINE__, "redis://u:hunter2%00@h", SONDE_EINVAL },
        { __LINE__, "redis://u:hunter2@h:x", SONDE_EINVAL },
        { __LINE__, "redis://:hunter2@h/x", SONDE_EINVAL },
        { __LINE__, "redis://:hunter2@h/1234567890", SONDE_EINVAL },
        { __LINE__, "rediss://:hunter2@h:x", SONDE_EINVAL },
        { __LINE__, "unix://r.sock", SONDE_EINVAL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_err err = { 0 };
        struct redis_address a;

        ROW_ASSERT(&rows[i], address_parse(sonde_cstr(rows[i].in), &a, &err) ==
                                 rows[i].code);
        ROW_ASSERT(&rows[i], err.text[0] && !strstr(err.text, "hunter2"));
    }
}

static void test_options(void)
{
    static const struct {
        int line;
        const char *name[2], *value[2], *part;
    } rows[] = {
        { __LINE__, { "check_keys" }, { "a=b=c" }, "more than one" },
        { __LINE__, { "count_keys" }, { "dbx=c" }, "number of a database" },
        { __LINE__, { "check_streams" }, { "a%zz" }, "broken %XX" },
        { __LINE__, { "check_key_groups" }, { "a(b" }, "a ( has no )" },
        { __LINE__, { "check_key_groups" }, { "a,[b" }, "a [ has no ]" },
        { __LINE__, { "check_search_indexes" }, { "(" }, "regular" },
        { __LINE__, { "config_command" }, { "" }, "config_command" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_fake f;

        sonde_fake_init(&f, sonde_plugin_entry);
        for (size_t k = 0; k < 2 && rows[i].name[k]; k++)
            CU_ASSERT_EQUAL(
                sonde_fake_option(&f, rows[i].name[k], rows[i].value[k]),
                SONDE_OK);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h") == SONDE_EINVAL);
        ROW_ASSERT(&rows[i], strstr(f.err.text, rows[i].part));
        ROW_ASSERT(&rows[i], !strstr(f.err.text, "hunter2"));
        sonde_fake_fini(&f);
    }
}

/* ---- INFO of versions ---------------------------------------------------- */

static void test_info_70(void)
{
    struct sonde_fake f;

    collect_info(&f, testdata("info-7.0-master.txt"));
    CU_ASSERT(is(&f, "redis_exporter_last_scrape_error", 0));
    CU_ASSERT(is(&f, "redis_connected_slaves", 0));
    CU_ASSERT(is(&f, "redis_memory_max_bytes", 0));
    CU_ASSERT(is(&f, "redis_rdb_last_bgsave_status", 1));
    CU_ASSERT(is(&f, "redis_errors_total{err=\"WRONGTYPE\"}", 1));
    CU_ASSERT(is(&f, "redis_commands_total{cmd=\"set\"}", 2));
    CU_ASSERT(is(&f, "redis_commands_failed_calls_total{cmd=\"lpush\"}", 1));
    CU_ASSERT(is(&f, "redis_commands_rejected_calls_total{cmd=\"set\"}", 0));
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db0\"}", 1));
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db2\"}", 0));
    CU_ASSERT(is(&f, "redis_db_keys_expiring{db=\"db3\"}", 1));
    CU_ASSERT(sonde_fake_value(&f, "redis_db_avg_ttl_seconds{db=\"db3\"}") >
              900);
    CU_ASSERT(absent(&f, "db=\"db4\""));
    CU_ASSERT(absent(&f, "redis_db_avg_ttl_seconds{db=\"db1\"}"));
    CU_ASSERT(absent(&f, "redis_total_system_memory_bytes"));
    CU_ASSERT(absent(&f, "redis_slave_info"));
    CU_ASSERT(is(&f, "redis_config_maxclients", 10000));
    CU_ASSERT(is(&f, "redis_config_io_threads", 2));
    CU_ASSERT(is(&f,
                 "redis_config_client_output_buffer_limit_bytes{class="
                 "\"slave\",limit=\"soft\"}",
                 67108864));
    CU_ASSERT(is(&f,
                 "redis_config_client_output_buffer_limit_overcome_seconds{"
                 "class=\"pubsub\",limit=\"soft\"}",
                 61));
    CU_ASSERT(is(&f, "redis_exporter_scrapes_total", 1));
    CU_ASSERT(is(&f, "redis_exporter_scrape_duration_seconds_count", 1));
    CU_ASSERT(is(&f, "redis_last_key_groups_scrape_duration_milliseconds", 0));
    CU_ASSERT(is(&f,
                 "redis_latency_percentiles_usec{cmd=\"set\",quantile="
                 "\"99.9\"}",
                 10.047));
    CU_ASSERT(is(&f, "redis_latency_percentiles_usec_count{cmd=\"set\"}", 2));
    sonde_fake_fini(&f);
}

static void test_info_40(void)
{
    struct sonde_fake f;

    collect_info(&f, testdata("info-4.0-master.txt"));
    CU_ASSERT(is(&f, "redis_latest_fork_seconds", 0.0015));
    CU_ASSERT(is(&f, "redis_aof_last_write_status", 0));
    CU_ASSERT(is(&f, "redis_client_longest_output_list", 0));
    CU_ASSERT(
        is(&f, "redis_commands_duration_seconds_total{cmd=\"info\"}", 0.00019));
    CU_ASSERT(absent(&f, "redis_commands_failed_calls_total"));
    CU_ASSERT(is(&f, "redis_start_time_seconds",
                 (double)SONDE_FAKE_NOW / 1000 - 100));
    /* Two replicas behind one address: the first is kept. */
    CU_ASSERT(is(&f,
                 "redis_connected_slave_offset_bytes{slave_ip=\"10.0.0.7\","
                 "slave_port=\"6379\",slave_state=\"online\"}",
                 1960));
    /* More databases than CONFIG said. */
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db11\"}", 7));
    CU_ASSERT(is(&f, "redis_db_avg_ttl_seconds{db=\"db0\"}", 2.5));
    CU_ASSERT(is(&f,
                 "redis_instance_info{role=\"master\",redis_version=\"4.0.14\","
                 "redis_build_id=\"e3a05a7b2a4ba0b8\",redis_mode=\"standalone\""
                 ",os=\"Linux 4.19.0-27-amd64 x86_64\",maxmemory_policy="
                 "\"noeviction\",tcp_port=\"6379\",run_id="
                 "\"8c5f3a3a1f3f1a1e6f3c7a1be0c5a4b0d2d1c0ff\",process_id=\"1\""
                 ",master_replid=\"2b6ea3ea1b8f6d6d1b8c3f3a7c9d3a1f0e4d2c1b\"}",
                 1));
    sonde_fake_fini(&f);
}

static void test_info_28(void)
{
    struct sonde_fake f;

    collect_info(&f, testdata("info-2.8-master.txt"));
    CU_ASSERT(is(&f, "redis_client_biggest_input_buf", 7));
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db0\"}", 4));
    CU_ASSERT(is(&f, "redis_db_avg_ttl_seconds{db=\"db0\"}", 1.5));
    CU_ASSERT(is(&f, "redis_commands_total{cmd=\"info\"}", 1));
    CU_ASSERT(is(&f,
                 "redis_connected_slave_lag_seconds{slave_ip=\"10.0.0.3\","
                 "slave_port=\"6379\",slave_state=\"online\"}",
                 0));
    CU_ASSERT(absent(&f, "redis_errors_total"));
    CU_ASSERT(absent(&f, "rejected_calls"));
    sonde_fake_fini(&f);
}

static void test_info_62(void)
{
    struct sonde_fake f;

    collect_info(&f, testdata("info-6.2-master.txt"));
    CU_ASSERT(is(&f, "redis_max_clients", 10000));
    CU_ASSERT(is(&f, "redis_expire_cycle_cpu_time_ms_total", 12));
    CU_ASSERT(is(&f, "redis_mem_not_counted_for_eviction_bytes", 4));
    CU_ASSERT(is(&f, "redis_commands_rejected_calls_total{cmd=\"set\"}", 1));
    CU_ASSERT(is(&f, "redis_commands_failed_calls_total{cmd=\"set\"}", 2));
    CU_ASSERT(is(&f, "redis_errors_total{err=\"ERR\"}", 3));
    sonde_fake_fini(&f);
}

/* Recorded. */
static void test_info_80(void)
{
    struct sonde_fake f;

    collect_info(&f, testdata("info-8.0-master.txt"));
    CU_ASSERT(is(&f, "redis_commands_total{cmd=\"set\"}", 1));
    CU_ASSERT(is(&f, "redis_errors_total{err=\"WRONGTYPE\"}", 1));
    CU_ASSERT(is(&f, "redis_db_keys_cached{db=\"db0\"}", 1));
    CU_ASSERT(is(&f, "redis_evicted_scripts_total", 0));
    CU_ASSERT(is(&f, "redis_expired_subkeys_total", 0));
    /* Odd fields that are no numbers are not 0. */
    CU_ASSERT(absent(&f, "distrib"));
    sonde_fake_fini(&f);
    collect_info(&f, testdata("info-valkey-9.txt"));
    CU_ASSERT(is(&f, "redis_commands_failed_calls_total{cmd=\"lpush\"}", 1));
    CU_ASSERT(is(&f, "redis_active_time_main_thread_seconds_total", 0.004572));
    CU_ASSERT(is(&f, "redis_commandlog_slow_length", 4));
    CU_ASSERT(is(&f, "redis_commandlog_large_request_length", 5));
    CU_ASSERT(is(&f, "redis_commandlog_large_reply_length", 6));
    CU_ASSERT(NULL !=
              strstr(sonde_fake_cstr(&f.text),
                     "valkey_version=\"9.1.2\",valkey_release_stage=\"ga\""));
    sonde_fake_fini(&f);
}

static void test_info_74(void)
{
    struct sonde_fake f;

    collect_info(&f, testdata("info-7.4-master.txt"));
    CU_ASSERT(is(&f, "redis_max_clients", 10000));
    CU_ASSERT(is(&f, "redis_expired_subkeys_total", 4));
    CU_ASSERT(is(&f, "redis_configured_hz", 10));
    CU_ASSERT(is(&f, "redis_commands_total{cmd=\"config|get\"}", 2));
    CU_ASSERT(is(&f, "redis_db_keys_cached{db=\"db0\"}", 2));
    /* No number: dropped. A command that commandstats lack: left out. */
    CU_ASSERT(absent(&f, "distrib"));
    CU_ASSERT(absent(&f, "orphan"));
    CU_ASSERT(is(&f,
                 "redis_latency_percentiles_usec{cmd=\"config|get\","
                 "quantile=\"50\"}",
                 105.471));
    CU_ASSERT(
        is(&f, "redis_latency_percentiles_usec_sum{cmd=\"config|get\"}", 220));
    sonde_fake_fini(&f);
}

static void test_info_valkey(void)
{
    struct sonde_fake f;

    collect_info(&f, testdata("info-valkey-8.txt"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(sonde_fake_cstr(&f.text),
               "valkey_version=\"8.0.1\",valkey_release_stage="
               "\"ga\"} 1"));
    CU_ASSERT(is(&f, "redis_active_time_io_thread_seconds_total{thread=\"2\"}",
                 0.125));
    CU_ASSERT(is(&f, "redis_active_time_main_thread_seconds_total", 1.5));
    CU_ASSERT(is(&f, "redis_errors_total{err=\"NOPERM\"}", 2));
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db3\"}", 0));
    sonde_fake_fini(&f);
}

static void test_info_replicas(void)
{
    struct sonde_fake f;

    collect_info(&f, testdata("info-7.0-replica.txt"));
    CU_ASSERT(is(&f,
                 "redis_slave_info{master_host=\"127.0.0.1\",master_port="
                 "\"17790\",read_only=\"1\"}",
                 1));
    CU_ASSERT(is(&f,
                 "redis_master_link_up{master_host=\"127.0.0.1\",master_port="
                 "\"17790\"}",
                 1));
    sonde_fake_fini(&f);
    collect_info(&f, testdata("info-7.0-master-with-replica.txt"));
    CU_ASSERT(is(&f,
                 "redis_connected_slave_lag_seconds{slave_ip=\"127.0.0.1\","
                 "slave_port=\"17791\",slave_state=\"online\"}",
                 0));
    sonde_fake_fini(&f);
    /* KeyDB with two masters. */
    collect_info(&f, testdata("info-keydb-6.3.txt"));
    CU_ASSERT(is(&f,
                 "redis_master_link_up{master_host=\"10.1.0.1\",master_port="
                 "\"6379\"}",
                 1));
    CU_ASSERT(is(&f,
                 "redis_master_link_up{master_host=\"10.1.0.2\",master_port="
                 "\"6380\"}",
                 0));
    CU_ASSERT(is(&f,
                 "redis_master_last_io_seconds_ago{master_host=\"10.1.0.2\","
                 "master_port=\"6380\"}",
                 -1));
    CU_ASSERT(is(&f,
                 "redis_slave_repl_offset{master_host=\"10.1.0.2\","
                 "master_port=\"6380\"}",
                 901));
    CU_ASSERT(is(&f, "redis_db_keys_cached{db=\"db0\"}", 1));
    CU_ASSERT(is(&f, "redis_server_threads_total", 4));
    sonde_fake_fini(&f);
}

static void test_cluster(void)
{
    sonde_str info = testdata("info-7.0-cluster.txt");
    sonde_str cluster = testdata("cluster-info-7.0.txt");
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_EXPECT, SONDE_STR(SETNAME INFO_ALL CONFIG_GET) },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND, wire(info, CONFIG_REPLY) },
        { SONDE_FAKE_EXPECT, SONDE_STR(CLUSTER_INFO) },
        { SONDE_FAKE_SEND, wire(cluster, "") },
        /* From now on in one round trip. */
        { SONDE_FAKE_EXPECT, SONDE_STR(INFO_ALL CONFIG_NAMES) },
        { SONDE_FAKE_SEND, wire(info, CONFIG_REPLY) },
        { SONDE_FAKE_SEND, wire(cluster, "") },
    };
    struct sonde_fake f;

    start(&f, "h");
    SONDE_FAKE_SCRIPT(&f, steps);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "redis_up", 1));
        CU_ASSERT(is(&f, "redis_cluster_enabled", 1));
        CU_ASSERT(is(&f, "redis_cluster_state", 1));
        CU_ASSERT(is(&f, "redis_cluster_slots_ok", 16384));
        CU_ASSERT(is(&f, "redis_cluster_messages_sent_total", 0));
        CU_ASSERT(is(&f, "redis_db_keys{db=\"db0\"}", 0));
        CU_ASSERT(absent(&f, "db=\"db1\""));
    }
    CU_ASSERT_EQUAL(f.step, 9);
    CU_ASSERT_EQUAL(f.opened, 1);
    sonde_fake_fini(&f);
}

static void test_odd_info(void)
{
    static const char odd[] = "# Server\n"
                              "redis_version:1\n"
                              "uptime_in_seconds:abc\n" /* no number */
                              "connected_clients: 5\n"  /* Go takes no blank */
                              "blocked_clients:0x1p4\n"
                              "maxmemory:1e3\n"
                              "used_memory:nan(1)\n"
                              "hz:10\n"
                              "hz:11\n" /* twice */
                              ":5\n"
                              "x\n"
                              "\n"
                              "db_keys:5\n"  /* the name of a family of ours */
                              "db-x\xff:7\n" /* sanitised */
                              "cluster_foo:ok\n" /* known by its prefix only */
                              "other:5\n"
                              "errorstat_\xff\xfe:count=3\n"
                              "errorstat_a\"b:count=4\n"
                              "cmdstat_:calls=1,usec=1\n"
                              "cmdstat_x:calls=1\n"
                              "cmdstat_y:calls=z,usec=1\n"
                              "# Replication\n"
                              "role:slave\n"
                              "slave0:ip=1,port=2,state=a=b,offset=3\n"
                              "slave1:ip=1,port,state=a,offset=3\n"
                              "slave2:ip=1\n"
                              "# Keyspace\n"
                              "db0:keys=a,expires=1\n"
                              "db1:keys=5\n"
                              "db99999999999:keys=1,expires=0\n";
    struct sonde_fake f;

    collect_info(&f, SONDE_STR(odd));
    CU_ASSERT(absent(&f, "redis_uptime_in_seconds"));
    CU_ASSERT(absent(&f, "redis_connected_clients"));
    CU_ASSERT(is(&f, "redis_blocked_clients", 16));
    CU_ASSERT(is(&f, "redis_memory_max_bytes", 1000));
    CU_ASSERT(absent(&f, "redis_memory_used_bytes"));
    CU_ASSERT(is(&f, "redis_hz", 10));
    CU_ASSERT(is(&f, "redis_db_x_", 7));
    CU_ASSERT(is(&f, "redis_cluster_foo", 1));
    CU_ASSERT(absent(&f, "redis_other"));
    CU_ASSERT(
        is(&f, "redis_errors_total{err=\"\xef\xbf\xbd\xef\xbf\xbd\"}", 3));
    CU_ASSERT(is(&f, "redis_errors_total{err=\"a\\\"b\"}", 4));
    CU_ASSERT(absent(&f, "redis_commands_total"));
    CU_ASSERT(absent(&f, "slave_ip"));
    CU_ASSERT(is(&f, "redis_slave_info", 1));
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db0\"}", 0));
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db1\"}", 5));
    CU_ASSERT(is(&f, "redis_db_keys_expiring{db=\"db1\"}", 0));
    sonde_fake_fini(&f);
}

/* ---- conversations ------------------------------------------------------- */

static void test_keeps_connection(void)
{
    sonde_str info = SONDE_STR(SMALL_INFO);
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND, wire(info, CONFIG_REPLY), .chunk = 7 },
        { SONDE_FAKE_EXPECT, SONDE_STR(INFO_ALL CONFIG_NAMES) },
        { SONDE_FAKE_SEND, wire(info, CONFIG_REPLY) },
        /* The server has closed it meanwhile: one fresh connection. */
        { SONDE_FAKE_END },
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND, wire(info, CONFIG_REPLY) },
        /* A dead one that fails at the write. */
        { SONDE_FAKE_RESET },
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND, wire(info, CONFIG_REPLY) },
        /* Dead, and the server is gone. */
        { SONDE_FAKE_END },
        { SONDE_FAKE_REFUSE },
    };
    static const double up[] = { 1, 1, 1, 1, 0 };
    struct sonde_fake f;

    start(&f, "secret-host:6379");
    SONDE_FAKE_SCRIPT(&f, steps);
    for (size_t i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "redis_up", up[i]));
        CU_ASSERT(is(&f, "redis_exporter_scrapes_total", (double)i + 1));
        sonde_fake_advance(&f, 15400);
    }
    CU_ASSERT_EQUAL(f.opened, 3);
    CU_ASSERT_EQUAL(f.closed, 3);
    CU_ASSERT_EQUAL(f.step, sizeof(steps) / sizeof(steps[0]));
    CU_ASSERT(is(&f,
                 "redis_exporter_last_scrape_error{err=\"connect: Connection "
                 "refused\"}",
                 1));
    CU_ASSERT(absent(&f, "secret-host"));
    CU_ASSERT(absent(&f, "redis_uptime"));
    CU_ASSERT(logged(&f, "warn: redis is down: connect: Connection refused"));
    sonde_fake_fini(&f);
}

/* The start time must not flap with the rounding of the uptime. */
static void test_start_time(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY) },
        { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY) },
        { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY) },
    };
    const double start_time = (double)SONDE_FAKE_NOW / 1000 - 5;
    struct sonde_fake f;

    start(&f, "h");
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_start_time_seconds", start_time));
    sonde_fake_advance(&f, 1000);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_start_time_seconds", start_time));
    sonde_fake_advance(&f, 60000); /* up for 5 seconds: it has restarted */
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_start_time_seconds", start_time + 61));
    sonde_fake_fini(&f);
}

static void test_auth(void)
{
    static const struct {
        int line;
        const char *address, *user, *password, *sent;
    } rows[] = {
        { __LINE__, "h", NULL, "pw",
          "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n" SETNAME },
        { __LINE__, "h", "me", "pw",
          "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n" SETNAME },
        { __LINE__, "redis://u:x%20y@h/2", "me", "pw",
          "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$3\r\nx y\r\n"
          "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n" SETNAME },
        { __LINE__, "redis://:xy@h", "me", "pw",
          "*2\r\n$4\r\nAUTH\r\n$2\r\nxy\r\n" SETNAME },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sonde_fake_step steps[] = {
            { SONDE_FAKE_CONNECT },
            { SONDE_FAKE_EXPECT, sonde_cstr(rows[i].sent) },
            { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n+OK\r\n") },
            { SONDE_FAKE_SEND, i == 2 ? SONDE_STR("+OK\r\n") : SONDE_STR("") },
            { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY) },
        };
        struct sonde_fake f;

        sonde_fake_init(&f, sonde_plugin_entry);
        if (rows[i].user)
            (void)sonde_fake_option(&f, "user", rows[i].user);
        (void)sonde_fake_option(&f, "password", rows[i].password);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, rows[i].address) == SONDE_OK);
        SONDE_FAKE_SCRIPT(&f, steps);
        if (i != 2) { /* an empty SEND would be an end */
            struct sonde_fake_step less[4] = { steps[0], steps[1], steps[2],
                                               steps[4] };

            SONDE_FAKE_SCRIPT(&f, less);
            ROW_ASSERT(&rows[i], sonde_fake_collect(&f, 1000) == SONDE_OK);
        } else {
            ROW_ASSERT(&rows[i], sonde_fake_collect(&f, 1000) == SONDE_OK);
        }
        ROW_ASSERT(&rows[i], is(&f, "redis_up", 1));
        sonde_fake_fini(&f);
    }
}

static void test_password_file(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_EXPECT, SONDE_STR("*2\r\n$4\r\nAUTH\r\n$4\r\np w!\r\n") },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n+OK\r\n") },
        { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY) },
    };
    char path[4096];
    struct sonde_fake f;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/password", tap_tmpdir());
    file = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs("p w!\n", file);
    (void)fclose(file);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "password_file", path);
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_up", 1));
    sonde_fake_fini(&f);

    /* A file that is gone: the label does not name it, the log does. */
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "password_file", "/nowhere/pw");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_up", 0));
    CU_ASSERT(absent(&f, "/nowhere"));
    CU_ASSERT(logged(&f, "/nowhere/pw"));
    sonde_fake_fini(&f);
}

/* Replies to one collection, and the reason that comes out. */
static const struct down {
    int line;
    const char *replies, *reason;
} downs[] = {
    { __LINE__, "-WRONGPASS invalid username-password pair\r\n",
      "AUTH is refused: wrong user or password" },
    { __LINE__, "-ERR invalid password\r\n",
      "AUTH is refused: wrong user or password" },
    { __LINE__,
      "-ERR AUTH <password> called without any password configured for the "
      "default user. Are you sure your configuration is correct?\r\n",
      "AUTH is refused: the server has no password" },
    { __LINE__,
      "-ERR unknown command `AUTH`, with args beginning with: `hunter2`, \r\n",
      "AUTH is refused: the server does not take it" },
    { __LINE__,
      "+OK\r\n+OK\r\n-NOPERM this user has no permissions\r\n*0\r\n" REST,
      "INFO is refused: NOPERM still" },
    { __LINE__, "HTTP/1.1 400 Bad Request\r\n\r\n",
      "not a Redis server? its reply is no RESP: Protocol error, got \\\"H\\\" "
      "as reply type byte" },
    { __LINE__, "+OK\r\n+OK\r\n*1\r\n$2\r\nhi\r\n*0\r\n" REST,
      "INFO is refused: NOPERM still" },
    { __LINE__,
      "+OK\r\n+OK\r\n$1\r\nx\r\n*2\r\n$9\r\ndatabases\r\n$1\r\nx\r\n" REST,
      "the setting `databases` is not a number" },
    { __LINE__,
      "+OK\r\n+OK\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
      "*1\r\n*1\r\n",
      "not a Redis server? its reply is no RESP: No support for nested multi "
      "bulk replies with depth > 7" },
    { __LINE__, "+OK\r\n+OK\r\n*2000000000\r\n",
      "a reply has too many elements" },
};

static void test_down(void)
{
    for (size_t i = 0; i < sizeof(downs) / sizeof(downs[0]); i++) {
        const struct sonde_fake_step steps[] = {
            { SONDE_FAKE_CONNECT },
            { SONDE_FAKE_SEND, sonde_cstr(downs[i].replies) },
            { SONDE_FAKE_SEND, SONDE_STR("-NOPERM still\r\n") },
        };
        char series[512];
        struct sonde_fake f;

        sonde_fake_init(&f, sonde_plugin_entry);
        (void)sonde_fake_option(&f, "password", "hunter2");
        CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
        SONDE_FAKE_SCRIPT(&f, steps);
        ROW_ASSERT(&downs[i], sonde_fake_collect(&f, 1000) == SONDE_OK);
        ROW_ASSERT(&downs[i], is(&f, "redis_up", 0));
        (void)snprintf(series, sizeof(series),
                       "redis_exporter_last_scrape_error{err=\"%s\"}",
                       downs[i].reason);
        ROW_ASSERT(&downs[i], is(&f, series, 1));
        if (isnan(sonde_fake_value(&f, series)))
            tap_note("%s", sonde_fake_cstr(&f.text));
        ROW_ASSERT(&downs[i], !logged(&f, "hunter2"));
        ROW_ASSERT(&downs[i], absent(&f, "hunter2"));
        /* Nothing else is said of it, and nothing is left open. */
        ROW_ASSERT(&downs[i], absent(&f, "redis_instance_info"));
        ROW_ASSERT(&downs[i], absent(&f, "redis_db_keys"));
        ROW_ASSERT(&downs[i], f.closed == f.opened);
        sonde_fake_fini(&f);
    }
}

#define NO_AUTH "-NOAUTH Authentication required.\r\n"

static void test_no_auth(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND,
          SONDE_STR(NO_AUTH NO_AUTH NO_AUTH NO_AUTH NO_AUTH NO_AUTH NO_AUTH) },
        { SONDE_FAKE_SEND, SONDE_STR("-NOAUTH Authentication required.\r\n") },
    };
    struct sonde_fake f;

    start(&f, "h");
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f,
                 "redis_exporter_last_scrape_error{err=\"INFO is refused: "
                 "NOAUTH Authentication required.\"}",
                 1));
    sonde_fake_fini(&f);
}

/* INFO ALL is refused or empty: plain INFO, and no more ALL. */
static void test_plain_info(void)
{
    static const char *const refusals[] = { "-ERR wrong number\r\n*0\r\n" REST,
                                            "$0\r\n\r\n*0\r\n" REST };

    for (size_t i = 0; i < 2; i++) {
        const struct sonde_fake_step steps[] = {
            { SONDE_FAKE_CONNECT },
            { SONDE_FAKE_EXPECT, SONDE_STR(SETNAME INFO_ALL CONFIG_GET) },
            { SONDE_FAKE_SEND, SONDE_STR("-ERR no such subcommand\r\n") },
            { SONDE_FAKE_SEND, sonde_cstr(refusals[i]) },
            { SONDE_FAKE_EXPECT, SONDE_STR(INFO_PLAIN) },
            { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), "") },
            { SONDE_FAKE_EXPECT, SONDE_STR(INFO_PLAIN CONFIG_NAMES) },
            { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY) },
        };
        struct sonde_fake f;

        start(&f, "h");
        SONDE_FAKE_SCRIPT(&f, steps);
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "redis_up", 1));
        /* CONFIG said nothing of databases. */
        CU_ASSERT(is(&f, "redis_db_keys{db=\"db15\"}", 0));
        CU_ASSERT(absent(&f, "db=\"db16\""));
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "redis_up", 1));
        CU_ASSERT_EQUAL(f.step, 8);
        sonde_fake_fini(&f);
    }
}

static void test_config_refused(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO),
                                "-ERR unknown command 'CONFIG'\r\n" REST) },
        /* Not asked again. */
        { SONDE_FAKE_EXPECT, SONDE_STR(INFO_ALL LATENCY_LATEST) },
        { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), REST) },
    };
    struct sonde_fake f;

    start(&f, "h");
    SONDE_FAKE_SCRIPT(&f, steps);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "redis_up", 1));
        CU_ASSERT(is(&f, "redis_db_keys{db=\"db15\"}", 0));
        CU_ASSERT(absent(&f, "redis_config_"));
    }
    CU_ASSERT_EQUAL(f.step, 5);
    sonde_fake_fini(&f);
}

static void test_option_switches(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_EXPECT, SONDE_STR(INFO_ALL) },
        { SONDE_FAKE_SEND,
          wire(SONDE_STR("redis_version:1\r\ntotal_system_memory:77\r\n"),
               ":0\r\n*0\r\n") },
    };
    struct sonde_fake f;

    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "config_command", "-");
    (void)sonde_fake_option(&f, "set_client_name", "false");
    (void)sonde_fake_option(&f, "include_system_metrics", "true");
    (void)sonde_fake_option(&f, "exclude_latency_histogram_metrics", "true");
    (void)sonde_fake_option(&f, "include_metrics_for_empty_databases", "false");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_up", 1));
    CU_ASSERT(is(&f, "redis_total_system_memory_bytes", 77));
    CU_ASSERT(absent(&f, "redis_db_keys"));
    CU_ASSERT(absent(&f, "redis_latency_spike"));
    CU_ASSERT(is(&f, "redis_slowlog_length", 0));
    sonde_fake_fini(&f);
}

/* A server that accepts and never answers, or stops in the middle. */
static void test_slow(void)
{
    static const char *const starts[] = { "+OK\r\n", "+OK\r\n$1000\r\nredis" };

    for (size_t i = 0; i < 2; i++) {
        const struct sonde_fake_step steps[] = {
            { SONDE_FAKE_CONNECT },
            { SONDE_FAKE_SEND, sonde_cstr(starts[i]) },
            { SONDE_FAKE_STALL },
            { SONDE_FAKE_CONNECT },
            { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
            { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY) },
        };
        struct sonde_fake f;
        sonde_msec from;

        start(&f, "h");
        SONDE_FAKE_SCRIPT(&f, steps);
        from = f.monotonic_ms;
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f,
                     "redis_exporter_last_scrape_error{err=\"read: deadline "
                     "exceeded\"}",
                     1));
        /* In time for the host to take the report. */
        CU_ASSERT(f.monotonic_ms - from == 950);
        CU_ASSERT_EQUAL(f.closed, 1);
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "redis_up", 1));
        CU_ASSERT(logged(&f, "info: redis is up again"));
        sonde_fake_fini(&f);
    }
}

static void test_cut_reply(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n$1000\r\nredis_version:7") },
        { SONDE_FAKE_END },
    };
    struct sonde_fake f;

    start(&f, "h");
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f,
                 "redis_exporter_last_scrape_error{err=\"the server closed "
                 "the connection\"}",
                 1));
    CU_ASSERT_EQUAL(f.opened, 1);
    sonde_fake_fini(&f);
}

/* A late reply must not meet the next collection. */
static void test_extra_reply(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND,
          wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY "+late\r\n") },
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n") },
        { SONDE_FAKE_SEND, wire(SONDE_STR(SMALL_INFO), CONFIG_REPLY) },
    };
    struct sonde_fake f;

    start(&f, "h");
    SONDE_FAKE_SCRIPT(&f, steps);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "redis_up", 1));
    }
    CU_ASSERT_EQUAL(f.opened, 2);
    sonde_fake_fini(&f);
}

static void test_huge_replies(void)
{
    static char line[1 << 20];
    struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, { line, sizeof(line) } },
    };
    struct sonde_fake f;

    /* A line without an end. */
    memset(line, '+', sizeof(line));
    start(&f, "h");
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f,
                 "redis_exporter_last_scrape_error{err=\"not a Redis server? "
                 "a line of its reply is longer than 65536 bytes\"}",
                 1));
    sonde_fake_fini(&f);

    /* A bulk above the limit. */
    memcpy(line, "+OK\r\n$900000\r\n", 14);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "reply_limit", "128KB");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f,
                 "redis_exporter_last_scrape_error{err=\"the replies are "
                 "longer than reply_limit (131072 bytes)\"}",
                 1));
    sonde_fake_fini(&f);

    /* INFO of a megabyte: each line an error name of its own. */
    {
        sonde_str info = { line, 0 };

        for (int i = 0; info.len < 500000; i++)
            info.len += (size_t)snprintf(line + info.len, 64,
                                         "errorstat_%d:count=%d\n", i, i);
        collect_info(&f, info);
        CU_ASSERT(is(&f, "redis_errors_total{err=\"1000\"}", 1000));
        sonde_fake_fini(&f);
    }
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "tables agree", test_tables },
        { "addresses", test_addresses },
        { "addresses that are refused", test_bad_addresses },
        { "options that are refused", test_options },
        { "Redis 7.0", test_info_70 },
        { "Redis 4.0", test_info_40 },
        { "Redis 2.8", test_info_28 },
        { "Redis 6.2", test_info_62 },
        { "Redis 7.4", test_info_74 },
        { "Redis 8.0 and Valkey 9", test_info_80 },
        { "Valkey 8", test_info_valkey },
        { "replicas and their masters", test_info_replicas },
        { "a cluster", test_cluster },
        { "odd lines of INFO", test_odd_info },
        { "keeps its connection", test_keeps_connection },
        { "the start time stands still", test_start_time },
        { "AUTH and SELECT", test_auth },
        { "password from a file", test_password_file },
        { "servers that are unwell", test_down },
        { "a server that wants a password", test_no_auth },
        { "INFO ALL refused", test_plain_info },
        { "CONFIG refused", test_config_refused },
        { "switches", test_option_switches },
        { "a server that is slow", test_slow },
        { "a reply that is cut", test_cut_reply },
        { "a reply too many", test_extra_reply },
        { "huge replies", test_huge_replies },
    };

    return TAP_RUN("redis", tests);
}
