/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the redis plugin: patterns and arguments by tables, replies of
 * servers and modules that Debian does not have, walks that come in pieces,
 * and what happens when a right is missing.
 */
#include <math.h>
#include <stdlib.h>

#include <sonde/testing.h>

#include "plugins/said.h"
#include "redis/pattern.h"
#include "redis/redis.h"
#include "unit/tap.h"

/* ---- small parts --------------------------------------------------------- */

static bool failed(const struct sonde_fake *f, enum redis_part part,
                   sonde_code code, const char *why)
{
    bool ok = f->parts[part].code == code && strstr(f->parts[part].why, why);

    if (!ok)
        tap_note("part %d: %s: %s", part, sonde_code_text(f->parts[part].code),
                 f->parts[part].why);
    return ok;
}

/* Replies to INFO, CONFIG GET, LATENCY LATEST, LATENCY HISTOGRAM, SLOWLOG LEN
 * and SLOWLOG GET behind the one to CLIENT SETNAME. */
#define BULK(n, text) "$" #n "\r\n" text "\r\n"
#define HEAD          "+OK\r\n" BULK(20, "redis_version:6.2.0\n") "*0\r\n"
#define REST          "*0\r\n*0\r\n:0\r\n*0\r\n"

static void open_with(struct sonde_fake *f, const char *const *options)
{
    sonde_fake_init(f, sonde_plugin_entry);
    for (; options && *options; options += 2)
        CU_ASSERT_EQUAL(sonde_fake_option(f, options[0], options[1]), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(sonde_fake_open(f, "h"), SONDE_OK);
}

/* Ends the replies of a round trip. */
#define THEN "\f"

/* One collection in which the server says these bytes, whatever is asked. */
static void collect_bytes(struct sonde_fake *f, const char *const *options,
                          sonde_str rest)
{
    struct sonde_fake_step steps[8] = { { SONDE_FAKE_CONNECT } };
    sonde_str trip;
    size_t n = 1;

    while (n < 8 && text_split(&rest, *THEN, &trip))
        steps[n++] = (struct sonde_fake_step){ SONDE_FAKE_SEND, trip, 0 };
    open_with(f, options);
    f->steps = steps;
    f->step_count = n;
    f->step = 0;
    CU_ASSERT_EQUAL(sonde_fake_collect(f, 1000), SONDE_OK);
    f->steps = NULL;
}
#define collect(f, options, text) collect_bytes(f, options, SONDE_STR(text))

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- tables -------------------------------------------------------------- */

static void test_glob(void)
{
    static const struct {
        int line;
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        { __LINE__, "", "", true },
        { __LINE__, "", "a", false },
        { __LINE__, "*", "", true },
        { __LINE__, "a*c", "abbc", true },
        { __LINE__, "a*c", "abbd", false },
        { __LINE__, "*a*b*", "xxaxxbxx", true },
        { __LINE__, "a?c", "abc", true },
        { __LINE__, "a?c", "ac", false },
        { __LINE__, "h[ae]llo", "hello", true },
        { __LINE__, "h[^e]llo", "hello", false },
        { __LINE__, "h[a-c]llo", "hbllo", true },
        { __LINE__, "h[c-a]llo", "hbllo", true },
        { __LINE__, "h[a", "ha", true },
        { __LINE__, "h[\\]]", "h]", true },
        { __LINE__, "a\\*b", "a*b", true },
        { __LINE__, "a\\*b", "axb", false },
        { __LINE__, "a\\", "a\\", true },
        { __LINE__, "*:1", "user:1:1", true },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i],
                   glob_matches(sonde_cstr(rows[i].pattern),
                                sonde_cstr(rows[i].name)) == rows[i].matches);
}

/* Expected by Lua 5.1's own string.find. */
static void test_lua(void)
{
    static const struct {
        int line;
        const char *pattern, *subject, *captures; /* NULL: no match */
    } rows[] = {
        { __LINE__, "^(user):", "user:17", "user" },
        { __LINE__, "^(user):", "a user:17", NULL },
        { __LINE__, "(user):", "a user:17", "user" },
        { __LINE__, "^([^:]+):([^:]+)", "a:b:c", "ab" },
        { __LINE__, "user", "user:17", "" },
        { __LINE__, "^(%a+)%d*$", "abc123", "abc" },
        { __LINE__, "^(%a+)%d*$", "abc123x", NULL },
        { __LINE__, "(%d-)x", "12x", "12" },
        { __LINE__, "^(a-)b", "aab", "aa" },
        { __LINE__, "^(a?)a$", "aa", "a" },
        { __LINE__, "^(a?)a$", "a", "" },
        { __LINE__, "()b()", "abc", "23" },
        { __LINE__, "(a(b)c)", "xabc", "abcb" },
        { __LINE__, "(.)%1", "abccd", "c" },
        { __LINE__, "(%b())", "f(a(b)c)d", "(a(b)c)" },
        { __LINE__, "%f[%w](%w+)$", "one two", "two" },
        { __LINE__, "([%a_][%w_]*)", "9_a1-", "_a1" },
        { __LINE__, "([^%s]+)$", "a bc", "bc" },
        { __LINE__, "[]]", "a]", "" },
        { __LINE__, "[a-]", "-", "" },
        { __LINE__, "^[^]]", "]", NULL },
        { __LINE__, "%.", "a.b", "" },
        { __LINE__, "%.", "ab", NULL },
        { __LINE__, "(%u%l+)", "aBcd", "Bcd" },
        { __LINE__, "(%x+)h", "0fh", "0f" },
        { __LINE__, "(%D+)", "12ab", "ab" },
        { __LINE__, "a$b", "a$b", "" },
        { __LINE__, "(a)*", "aa*", "a" },
        { __LINE__, "", "", "" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text captures = { 0 };
        struct lua_pattern *p = NULL;
        enum lua_match m = LUA_GAVE_UP;

        ROW_ASSERT(&rows[i], lua_pattern_new(sonde_cstr(rows[i].pattern), &p,
                                             NULL) == SONDE_OK);
        if (p)
            m = lua_pattern_find(p, sonde_cstr(rows[i].subject), &captures);
        ROW_ASSERT(&rows[i], m == (rows[i].captures ? LUA_YES : LUA_NO));
        if (m == LUA_YES && rows[i].captures)
            ROW_ASSERT(&rows[i],
                       sonde_str_eq((sonde_str){ captures.ptr, captures.len },
                                    sonde_cstr(rows[i].captures)));
        text_fini(&captures);
        lua_pattern_free(p);
    }
}

static void test_bad_lua(void)
{
    static const char *const rows[] = { "(",  ")",   "[",   "%",   "[%",
                                        "%b", "%bx", "%fa", "%1",  "(a%1)",
                                        "%0", "[a",  "(()", "a)b", "%f[" };
    struct lua_pattern *p;
    struct text captures = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_err err = { 0 };

        if (lua_pattern_new(sonde_cstr(rows[i]), &p, &err) == SONDE_OK)
            tap_note("%s is taken", rows[i]);
        CU_ASSERT(p == NULL && err.text[0]);
    }
    /* One that would take a lifetime gives up. */
    CU_ASSERT_EQUAL(
        lua_pattern_new(SONDE_STR("(.*)(.*)(.*)(.*)(.*)x"), &p, NULL),
        SONDE_OK);
    CU_ASSERT_EQUAL(
        lua_pattern_find(p,
                         SONDE_STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                         &captures),
        LUA_GAVE_UP);
    text_fini(&captures);
    lua_pattern_free(p);
}

static void test_key_lists(void)
{
    struct redis_key_list l = { 0 }, patterns = { 0 };
    struct sonde_err err;

    CU_ASSERT_EQUAL(keylist_parse(SONDE_STR("a, db3=b%2Cc ,,4=d+e,f*, db0 = g"),
                                  "check_keys", &l, &err),
                    SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(l.count, 5);
    CU_ASSERT(keylist_has(&l, 0, SONDE_STR("a")));
    CU_ASSERT(keylist_has(&l, 3, SONDE_STR("b,c")));
    CU_ASSERT(keylist_has(&l, 4, SONDE_STR("d e")));
    CU_ASSERT(keylist_has(&l, 0, SONDE_STR("g")));
    CU_ASSERT(!keylist_has(&l, 1, SONDE_STR("g")));
    CU_ASSERT_EQUAL(keylist_take_patterns(&l, &patterns, &err), SONDE_OK);
    CU_ASSERT_EQUAL(l.count, 4);
    CU_ASSERT(keylist_has(&patterns, 0, SONDE_STR("f*")));
    keylist_fini(&l);
    keylist_fini(&patterns);
}

/* Slots by CLUSTER KEYSLOT of a server. */
static void test_slots(void)
{
    uint8_t of_slot[16384] = { 0 };
    struct redis_nodes n = { .count = 2, .of_slot = of_slot };

    of_slot[12182] = 1; /* foo */
    CU_ASSERT_EQUAL(nodes_of_key(&n, SONDE_STR("foo")), 1);
    CU_ASSERT_EQUAL(nodes_of_key(&n, SONDE_STR("{foo}bar")), 1);
    CU_ASSERT_EQUAL(nodes_of_key(&n, SONDE_STR("x{foo}")), 1);
    CU_ASSERT_EQUAL(nodes_of_key(&n, SONDE_STR("{}foo")), 0);
    CU_ASSERT_EQUAL(nodes_of_key(&n, SONDE_STR("fooo")), 0);
}

/* A node's line after its id, and what it is as a target. */
static void test_discover(void)
{
    static const struct {
        int line;
        const char *address, *node, *want;
        bool names;
    } rows[] = {
        { __LINE__, "h:1", "10.0.0.1:6379@16379 myself,master - 0 0 1 x",
          "redis://10.0.0.1:6379\n", false },
        { __LINE__, "rediss://h:1", "10.0.0.1:6379@16379 slave,fail? -",
          "rediss://10.0.0.1:6379\n", false },
        { __LINE__, "h:1", "10.0.0.1:6379 master,fail -",
          "redis://10.0.0.1:6379\n", false },
        { __LINE__, "h:1", "10.0.0.1:1@2,a-b.c_d master -",
          "redis://10.0.0.1:1\n", false },
        { __LINE__, "h:1", "10.0.0.1:1@2,a-b.c_d master -",
          "redis://a-b.c_d:1\n", true },
        { __LINE__, "h:1", "10.0.0.1:1@2,a,shard-id=x master -",
          "redis://a:1\n", true },
        { __LINE__, "h:1", "10.0.0.1:1@2,,shard-id=x master -",
          "redis://10.0.0.1:1\n", true },
        { __LINE__, "h:1", "10.0.0.1:1@2,shard-id=x master -",
          "redis://10.0.0.1:1\n", true },
        { __LINE__, "h:1", "10.0.0.1:1@2,a/b?c master -",
          "redis://10.0.0.1:1\n", true },
        { __LINE__, "h:1", ":1@2,a master -", "redis://a:1\n", true },
        { __LINE__, "h:1", "fd00::1:6379@16379 master -",
          "redis://[fd00::1]:6379\n", false },
        { __LINE__, "h:1", ":6380@16379 myself,master -", "redis://h:6380\n",
          false },
        { __LINE__, "[fd00::2]:1", ":6380@16379 myself,master -",
          "redis://[fd00::2]:6380\n", false },
        { __LINE__, "unix:///run/r.sock", ":6380@16379 myself,master -",
          "redis://localhost:6380\n", false },
        { __LINE__, "h:1", ":0@0 master,noaddr -", "", false },
        { __LINE__, "h:1", ":1@2 handshake -", "", false },
        { __LINE__, "h:1", "10.0.0.1:0@0 slave -", "", false },
        { __LINE__, "h:1", "10.0.0.1:65536@1 slave -", "", false },
        { __LINE__, "h:1", "a\xff:1@2 slave -", "", false },
        { __LINE__, "h:1", "nonsense -", "", false },
        { __LINE__, "h:1", "", "", false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_fake f;
        char text[256], reply[300];
        struct sonde_fake_step steps[] = {
            { SONDE_FAKE_CONNECT },
            { SONDE_FAKE_EXPECT,
              SONDE_STR("*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n") },
            { SONDE_FAKE_SEND },
        };
        sonde_code rc;

        (void)snprintf(text, sizeof(text), "e7d1eecce %s\n", rows[i].node);
        (void)snprintf(reply, sizeof(reply), "$%zu\r\n%s\r\n", strlen(text),
                       text);
        steps[2].bytes = sonde_cstr(reply);
        sonde_fake_init(&f, sonde_plugin_entry);
        SONDE_FAKE_SCRIPT(&f, steps);
        (void)sonde_fake_option(&f, "set_client_name", "false");
        (void)sonde_fake_option(&f, "is_cluster", "true");
        (void)sonde_fake_option(&f, "cluster_discover_hostnames",
                                rows[i].names ? "true" : "false");
        CU_ASSERT_EQUAL(sonde_fake_open(&f, rows[i].address), SONDE_OK);
        rc = sonde_fake_discover(&f, 1000);
        if (strcmp(sonde_fake_cstr(&f.text), rows[i].want) != 0 ||
            rc != (*rows[i].want ? SONDE_OK : SONDE_EUNAVAILABLE))
            tap_note("line %d: %d, %s, %s", rows[i].line, (int)rc, f.err.text,
                     sonde_fake_cstr(&f.text));
        CU_ASSERT_EQUAL(rc, *rows[i].want ? SONDE_OK : SONDE_EUNAVAILABLE);
        CU_ASSERT_STRING_EQUAL(sonde_fake_cstr(&f.text), rows[i].want);
        sonde_fake_fini(&f);
    }
}

/* All lines, log-in and all; and what is no answer. */
static void test_discover_conversations(void)
{
#define OKS "+OK\r\n+OK\r\n"
    static const struct {
        const char *greeting, *reply, *want, *why;
        sonde_code code;
    } rows[] = {
        { OKS,
          "$40\r\na 1.1.1.1:1@2 myself -\nb 1.1.1.2:1@2 m "
          "-\n\r\n",
          "redis://1.1.1.1:1\nredis://1.1.1.2:1\n", "", SONDE_OK },
        { OKS, "-ERR This instance has cluster support disabled\r\n", "",
          "cluster support disabled", SONDE_EUNAVAILABLE },
        { OKS, "*0\r\n", "", "no text", SONDE_EUNAVAILABLE },
        { "-WRONGPASS invalid\r\n+OK\r\n", "", "", "AUTH is refused",
          SONDE_EAUTH },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_fake f;
        const struct sonde_fake_step steps[] = {
            { SONDE_FAKE_CONNECT },
            { SONDE_FAKE_EXPECT,
              SONDE_STR("*2\r\n$4\r\nAUTH\r\n$6\r\ngeheim\r\n") },
            { SONDE_FAKE_SEND, sonde_cstr(rows[i].greeting), .chunk = 7 },
            { SONDE_FAKE_EXPECT,
              SONDE_STR("*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n") },
            { SONDE_FAKE_SEND, sonde_cstr(rows[i].reply), .chunk = 7 },
        };
        sonde_code rc;

        sonde_fake_init(&f, sonde_plugin_entry);
        SONDE_FAKE_SCRIPT(&f, steps);
        (void)sonde_fake_option(&f, "is_cluster", "true");
        (void)sonde_fake_option(&f, "password", "geheim");
        CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:1"), SONDE_OK);
        rc = sonde_fake_discover(&f, 1000);
        if (rc != rows[i].code || !strstr(f.err.text, rows[i].why))
            tap_note("row %zu: %d, %s", i, (int)rc, f.err.text);
        CU_ASSERT_EQUAL(rc, rows[i].code);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, rows[i].why));
        CU_ASSERT_PTR_NULL(strstr(f.err.text, "geheim"));
        CU_ASSERT_STRING_EQUAL(sonde_fake_cstr(&f.text), rows[i].want);
        sonde_fake_fini(&f);
    }
#undef OKS
}

/* Nobody is asked without is_cluster. */
static void test_discover_not_asked(void)
{
    struct sonde_fake f;

    sonde_fake_init(&f, sonde_plugin_entry);
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h:1"), SONDE_OK);
    CU_ASSERT_EQUAL(sonde_fake_discover(&f, 1000), SONDE_EUNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "is_cluster"));
    sonde_fake_fini(&f);
}

static void test_password_maps(void)
{
    static const struct {
        int line;
        const char *file, *uri, *user, *want; /* "!": an error */
    } rows[] = {
        { __LINE__, "pw", "h", "", "pw" },
        { __LINE__, "", "h", "", NULL },
        { __LINE__, "{\"redis://h:6379\":\"a\"}", "redis://h:6379", "", "a" },
        { __LINE__, "{\"redis://h:6379\":\"a\"}", "h", "", "a" },
        { __LINE__, "{\"h\":\"a\"}", "redis://h:6379", "", "a" },
        { __LINE__, "{\"redis://h:6380\":\"a\"}", "redis://h:6379", "", NULL },
        { __LINE__, "{\"rediss://h\":\"a\"}", "redis://h", "", NULL },
        { __LINE__, "{\"redis://u@h\":\"a\"}", "redis://h", "u", "a" },
        { __LINE__, "{\"redis://u@h\":\"a\"}", "redis://h", "v", NULL },
        { __LINE__, "{\"redis://h\":\"a\",\"redis://u@h\":\"b\"}", "h", "u",
          "b" },
        { __LINE__, "{\"redis://h\":\"\"}", "h", "", NULL },
        { __LINE__, "{\"unix:///s\":\"a\"}", "unix:///s", "", "a" },
        { __LINE__, "{\"redis://h\":", "h", "", "!" },
        { __LINE__, "{\"redis://h\":\"a\",\"redis://h\":\"b\"}", "h", "", "!" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_err err = { 0 };
        char *got = NULL;
        sonde_code rc =
            auth_from_file(sonde_cstr(rows[i].file), sonde_cstr(rows[i].uri),
                           sonde_cstr(rows[i].user), &got, &err);
        bool wrong = rows[i].want && strcmp(rows[i].want, "!") == 0;

        ROW_ASSERT(&rows[i], (rc != SONDE_OK) == wrong);
        if (!wrong)
            ROW_ASSERT(&rows[i], rows[i].want
                                     ? got && strcmp(got, rows[i].want) == 0
                                     : !got);
        free(got);
    }
}

/* ---- replies ------------------------------------------------------------- */

static void test_latency(void)
{
    struct sonde_fake f;

    collect(
        &f, NULL,
        "+OK\r\n" BULK(
            159,
            "redis_version:7.0.15\n"
            "cmdstat_get:calls=3,usec=30\n"
            "cmdstat_config|get:calls=1,usec=7\n"
            "cmdstat_config|set:calls=1,usec=5\n"
            "cmdstat_georadius_ro:calls=2,usec=9\n"
            "# pad\n") "*0\r\n"
                       "*1\r\n*4\r\n$7\r\ncommand\r\n:1700000000\r\n:15\r\n:"
                       "200\r\n"
                       "*8\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:3\r\n$14\r\n"
                       "histogram_usec\r\n*4\r\n:4\r\n:2\r\n:16\r\n:3\r\n"
                       "$6\r\nconfig\r\n*4\r\n$5\r\ncalls\r\n:2\r\n$14\r\n"
                       "histogram_usec\r\n*2\r\n:8\r\n:2\r\n"
                       "$12\r\ngeoradius_ro\r\n*4\r\n$5\r\ncalls\r\n:2\r\n$"
                       "14\r\n"
                       "histogram_usec\r\n*2\r\n:8\r\n:2\r\n"
                       "$3\r\nbad\r\n*4\r\n$5\r\ncalls\r\n:2\r\n$14\r\n"
                       "histogram_usec\r\n*4\r\n:8\r\n:2\r\n:4\r\n:2\r\n"
                       ":7\r\n"
                       "*1\r\n*6\r\n:41\r\n:1700000000\r\n:2500\r\n*1\r\n$"
                       "3\r\nGET\r\n"
                       "$1\r\na\r\n$0\r\n\r\n");
    CU_ASSERT(is(&f, "redis_up", 1));
    CU_ASSERT(
        is(&f, "redis_latency_spike_last{event_name=\"command\"}", 1700000000));
    CU_ASSERT(is(&f,
                 "redis_latency_spike_duration_seconds{event_name=\"command\"}",
                 0.015));
    CU_ASSERT(is(
        &f, "redis_commands_latencies_usec_bucket{cmd=\"get\",le=\"4\"}", 2));
    CU_ASSERT(
        is(&f, "redis_commands_latencies_usec_bucket{cmd=\"get\",le=\"+Inf\"}",
           3));
    CU_ASSERT(is(&f, "redis_commands_latencies_usec_sum{cmd=\"get\"}", 30));
    CU_ASSERT(is(&f, "redis_commands_latencies_usec_sum{cmd=\"config\"}", 12));
    CU_ASSERT(
        is(&f, "redis_commands_latencies_usec_sum{cmd=\"georadius_ro\"}", 9));
    CU_ASSERT(absent(&f, "cmd=\"bad\""));
    CU_ASSERT(is(&f, "redis_slowlog_length", 7));
    CU_ASSERT(is(&f, "redis_slowlog_last_id", 41));
    CU_ASSERT(is(&f, "redis_last_slow_execution_duration_seconds", 0.0025));
    sonde_fake_fini(&f);
}

/* A missing right is a failed part with its reason; what the server does not
 * have is none; the rest stands. */
static void test_rights(void)
{
    struct sonde_fake f;

    collect(
        &f, NULL,
        "+OK\r\n" BULK(
            20, "redis_version:2.8.0\n") "-NOPERM this user has no permissions "
                                         "to run 'config|get'\r\n"
                                         "*0\r\n"
                                         "-ERR Unknown subcommand or wrong "
                                         "number of arguments\r\n"
                                         "-LOADING Redis is loading the "
                                         "dataset in memory\r\n*0\r\n");
    CU_ASSERT(is(&f, "redis_up", 1));
    CU_ASSERT(failed(&f, P_CONFIG, SONDE_EACCESS, "NOPERM"));
    CU_ASSERT(failed(&f, P_LATENCY, SONDE_EUNSUPPORTED, "subcommand"));
    CU_ASSERT_EQUAL(f.parts[P_LATENCY].failed, 0);
    CU_ASSERT(failed(&f, P_SLOWLOG, SONDE_EUNAVAILABLE, "LOADING"));
    CU_ASSERT(is(&f, "redis_slowlog_last_id", 0));
    CU_ASSERT(absent(&f, "redis_slowlog_length"));
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db15\"}", 0));
    sonde_fake_fini(&f);
}

static void test_clients(void)
{
    struct sonde_fake f;

    collect(
        &f, OPTIONS("export_client_list", "true", "export_client_port", "true"),
        HEAD REST BULK(
            272, "id=3 addr=127.0.0.1:4711 name=web age=100 idle=10 flags=N "
                 "db=2 sub=1 psub=2 ssub=3 qbuf=26 qbuf-free=20448 obl=4 oll=5 "
                 "omem=6 tot-mem=22298 watch=7 user=me resp=3\n"
                 "id=4 addr=/run/redis.sock:0 name= age=1 idle=1 flags=U db=0\n"
                 "id=5 name=a=b addr=1:2\n"
                 "id=6 addr=[::1]:99 name=\xff\n"));
    CU_ASSERT(is(&f,
                 "redis_connected_client_info{id=\"3\",name=\"web\",flags="
                 "\"N\",db=\"2\",host=\"127.0.0.1\",port=\"4711\",user=\"me\","
                 "resp=\"3\"}",
                 1));
    CU_ASSERT(is(&f,
                 "redis_connected_client_created_at_timestamp{id=\"3\",name="
                 "\"web\"}",
                 (double)SONDE_FAKE_NOW / 1000 - 100));
    CU_ASSERT(is(&f,
                 "redis_connected_client_shard_channel_watched_keys{id=\"3\","
                 "name=\"web\"}",
                 7));
    CU_ASSERT(is(&f,
                 "redis_connected_client_info{id=\"4\",flags=\"U\",db=\"0\","
                 "host=\"/run/redis.sock\",port=\"0\"}",
                 1));
    CU_ASSERT(absent(&f, "redis_connected_client_shard_channel_watched_keys{id="
                         "\"4\""));
    CU_ASSERT(absent(&f, "id=\"5\""));
    CU_ASSERT(is(&f,
                 "redis_connected_client_info{id=\"6\",name=\"\xef\xbf\xbd\","
                 "host=\"[::1]\",port=\"99\"}",
                 1));
    sonde_fake_fini(&f);
}

static void test_modules(void)
{
    struct sonde_fake f;

    collect(&f,
            OPTIONS("include_modules_metrics", "true",
                    "include_search_indexes_metrics", "true",
                    "check_search_indexes", "^a"),
            HEAD REST BULK(
                134,
                "# Modules\r\n"
                "module:name=ReJSON,ver=20008,api=1,filters=0,usedby=[s],"
                "using=[],options=[x]\r\n"
                "module:name=odd\r\n"
                "search_number_of_indexes:3\r\n") "*3\r\n$1\r\na\r\n$"
                                                  "1\r\nb\r\n$"
                                                  "2\r\nax\r\n" THEN /* FT.INFO
                                                                        a,
                                                                        FT.INFO
                                                                        ax
                                                                      */
                                                  "*6\r\n$10\r\nindex_"
                                                  "name\r\n$"
                                                  "1\r\na\r\n$8\r\nnum_"
                                                  "docs\r\n:5\r\n"
                                                  "$14\r\ninverted_sz_"
                                                  "mb\r\n$"
                                                  "3\r\n0.5\r\n"
                                                  "-Unknown Index "
                                                  "name\r\n");
    CU_ASSERT(is(&f,
                 "redis_module_info{name=\"ReJSON\",ver=\"20008\",api=\"1\","
                 "filters=\"0\",usedby=\"[s]\",using=\"[]\"}",
                 1));
    CU_ASSERT(absent(&f, "name=\"odd\""));
    CU_ASSERT(is(&f, "redis_search_number_of_indexes", 3));
    CU_ASSERT(is(&f, "redis_search_index_num_docs{index_name=\"a\"}", 5));
    CU_ASSERT(is(&f, "redis_search_index_inverted_size_bytes{index_name=\"a\"}",
                 524288));
    CU_ASSERT(
        is(&f, "redis_search_index_number_of_uses_total{index_name=\"a\"}", 0));
    CU_ASSERT(absent(&f, "index_name=\"b\""));
    CU_ASSERT(absent(&f, "index_name=\"ax\""));
    sonde_fake_fini(&f);
}

static void test_tile38(void)
{
    struct sonde_fake f;

    collect(&f, OPTIONS("is_tile38", "true"),
            HEAD REST "*6\r\n$8\r\naof_size\r\n$2\r\n77\r\n"
                      "$16\r\ntile38_read_only\r\n$5\r\nfalse\r\n"
                      "$9\r\nsomething\r\n$1\r\n1\r\n");
    CU_ASSERT(is(&f, "redis_tile38_aof_size_bytes", 77));
    CU_ASSERT(is(&f, "redis_tile38_read_only", 0));
    CU_ASSERT(absent(&f, "something"));
    sonde_fake_fini(&f);
}

static void test_scripts(void)
{
    struct sonde_fake f;
    char path[4096], both[8300], series[4200];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/a.lua", tap_tmpdir());
    file = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs("return {}", file);
    (void)fclose(file);
    (void)snprintf(both, sizeof(both), "%s, /nowhere.lua", path);
    collect(&f, OPTIONS("script", both),
            HEAD REST THEN "*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n:2\r\n");
    CU_ASSERT(is(&f, "redis_up", 1));
    (void)snprintf(series, sizeof(series),
                   "redis_script_result{filename=\"%s\"}", path);
    CU_ASSERT(is(&f, series, 1));
    (void)snprintf(series, sizeof(series),
                   "redis_script_values{key=\"a\",filename=\"%s\"}", path);
    CU_ASSERT(is(&f, series, 1.5));
    CU_ASSERT(is(&f, "redis_script_result{filename=\"/nowhere.lua\"}", 0));
    CU_ASSERT_EQUAL(f.parts[P_SCRIPTS].failed, 1);
    sonde_fake_fini(&f);

    /* The script fails, the collection does not. */
    collect(&f, OPTIONS("script", path),
            HEAD REST THEN "-ERR user_script:1: no\r\n");
    CU_ASSERT(is(&f, "redis_up", 1));
    CU_ASSERT(failed(&f, P_SCRIPTS, SONDE_EUNAVAILABLE, "user_script:1: no"));
    (void)snprintf(series, sizeof(series),
                   "redis_script_result{filename=\"%s\"}", path);
    CU_ASSERT(is(&f, series, 0));
    sonde_fake_fini(&f);
}

/* ---- keys ---------------------------------------------------------------- */

static void test_keys(void)
{
    struct sonde_fake f;

    collect(&f, OPTIONS("check_keys", "a,gone", "check_single_keys", "h*"),
            HEAD REST THEN
            /* TYPE and MEMORY USAGE of each */
            "+string\r\n:56\r\n+none\r\n$-1\r\n+string\r\n:100\r\n" THEN
            /* STRLEN and GETRANGE, then PFCOUNT */
            ":4\r\n$4\r\n42.5\r\n"
            ":20\r\n$20\r\nHYLL\1\0\0\0............\r\n" THEN ":3\r\n");
    CU_ASSERT(is(&f, "redis_key_size{db=\"db0\",key=\"a\"}", 4));
    CU_ASSERT(is(&f, "redis_key_value{db=\"db0\",key=\"a\"}", 42.5));
    CU_ASSERT(is(&f, "redis_key_memory_usage_bytes{db=\"db0\",key=\"a\"}", 56));
    CU_ASSERT(is(&f, "redis_key_size{db=\"db0\",key=\"h*\"}", 3));
    CU_ASSERT(absent(&f, "key=\"gone\""));
    CU_ASSERT(absent(&f, "key_value_as_string"));
    sonde_fake_fini(&f);
}

/* No right to read any of them: the part fails and says so. */
static void test_keys_denied(void)
{
    struct sonde_fake f;

    collect(&f, OPTIONS("check_single_keys", "a"),
            HEAD REST THEN
            "-NOPERM no access to a\r\n-NOPERM no access to a\r\n");
    CU_ASSERT(is(&f, "redis_up", 1));
    CU_ASSERT(failed(&f, P_KEYS, SONDE_EACCESS, "NOPERM"));
    sonde_fake_fini(&f);
}

#define SCAN0 "*5\r\n$4\r\nSCAN\r\n$1\r\n0\r\n"
#define INFO_KEYS                                                              \
    "$62\r\nredis_version:6.2.0\n# Keyspace\ndb0:keys=3,expires=0,avg_ttl=0\n" \
    "\r\n*0\r\n"

/* A walk in two pieces: nothing is emitted until it is through. */
static void test_walk(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n" INFO_KEYS REST) },
        { SONDE_FAKE_SEND,
          SONDE_STR("*2\r\n$2\r\n17\r\n*2\r\n$3\r\nu:1\r\n$3\r\nj:1\r\n") },
        { SONDE_FAKE_SEND, SONDE_STR(":50\r\n:60\r\n") },
        { SONDE_FAKE_SEND, SONDE_STR(INFO_KEYS REST) },
        { SONDE_FAKE_EXPECT, SONDE_STR("*4\r\n$4\r\nSCAN\r\n$2\r\n17\r\n") },
        { SONDE_FAKE_SEND,
          SONDE_STR("*2\r\n$1\r\n0\r\n*2\r\n$3\r\nu:2\r\n$1\r\nx\r\n") },
        { SONDE_FAKE_SEND, SONDE_STR(":70\r\n:80\r\n") },
    };
    struct sonde_fake f;

    open_with(&f, OPTIONS("check_key_groups", "^(%a):", "count_keys", "u:*",
                          "max_distinct_key_groups", "2", "walk_keys", "1"));
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_up", 1));
    CU_ASSERT_EQUAL(f.parts[P_KEY_WALK].code, SONDE_EAGAIN);
    CU_ASSERT(absent(&f, "redis_key_group_count"));
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(f.parts[P_KEY_WALK].code, SONDE_OK);
    CU_ASSERT(is(&f, "redis_keys_count{db=\"db0\",key=\"u:*\"}", 2));
    CU_ASSERT(is(&f, "redis_key_group_count{db=\"db0\",key_group=\"u\"}", 2));
    CU_ASSERT(is(&f,
                 "redis_key_group_memory_usage_bytes{db=\"db0\",key_group="
                 "\"u\"}",
                 120));
    CU_ASSERT(is(&f,
                 "redis_key_group_memory_usage_bytes{db=\"db0\",key_group="
                 "\"unclassified\"}",
                 80));
    CU_ASSERT(
        is(&f, "redis_key_group_count{db=\"db0\",key_group=\"overflow\"}", 1));
    CU_ASSERT(is(&f, "redis_number_of_distinct_key_groups{db=\"db0\"}", 3));
    CU_ASSERT(is(&f, "redis_number_of_distinct_key_groups{db=\"db1\"}", 0));
    CU_ASSERT(is(&f, "redis_plugin_key_walk_keys", 4));
    CU_ASSERT_EQUAL(f.opened, 1);
    sonde_fake_fini(&f);
}

/* A single pattern is matched by the server. */
static void test_walk_match(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n" INFO_KEYS REST) },
        { SONDE_FAKE_EXPECT, SONDE_STR("*6\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\n"
                                       "MATCH\r\n$3\r\nu:*\r\n") },
        { SONDE_FAKE_SEND, SONDE_STR("*2\r\n$1\r\n0\r\n*1\r\n$3\r\nu:1\r\n") },
    };
    struct sonde_fake f;

    open_with(&f, OPTIONS("count_keys", "u:*"));
    SONDE_FAKE_SCRIPT(&f, steps);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_keys_count{db=\"db0\",key=\"u:*\"}", 1));
    CU_ASSERT_EQUAL(f.step, 4);
    sonde_fake_fini(&f);
}

/* ---- sentinel, role, passwords ------------------------------------------- */

static void test_sentinel(void)
{
    struct sonde_fake f;

    collect(
        &f, OPTIONS("include_sentinel_peer_info", "true"),
        "+OK\r\n" BULK(
            139,
            "redis_mode:sentinel\n# Sentinel\n"
            "sentinel_masters:1\nsentinel_tilt:0\n"
            "master0:name=one,status=sdown,address=10.0.0."
            "1:6379,slaves=2,sentinels=3\n") "-ERR unknown command\r\n-ERR "
                                             "unknown command\r\n"
                                             "-ERR unknown command\r\n-ERR "
                                             "unknown command\r\n"
                                             "-ERR unknown command\r\n"
                                             /* SENTINEL MASTERS, in the second
                                                round trip */
                                             "*1\r\n*10\r\n$4\r\nname\r\n$"
                                             "3\r\none\r\n$2\r\nip\r\n"
                                             "$8\r\n10.0.0.1\r\n$4\r\nport\r\n$"
                                             "4\r\n6379\r\n"
                                             "$6\r\nquorum\r\n$1\r\n2\r\n$"
                                             "18\r\nlast-ok-ping-reply\r\n"
                                             "$4\r\n1500\r\n" THEN /* CKQUORUM,
                                                                      SENTINELS,
                                                                      SLAVES */
                                             "-NOQUORUM 1 usable Sentinels.\r\n"
                                             "*1\r\n*4\r\n$4\r\nname\r\n$"
                                             "1\r\nx\r\n$5\r\nflags\r\n$15\r\n"
                                             "s_down,sentinel\r\n"
                                             "*2\r\n*2\r\n$5\r\nflags\r\n$"
                                             "5\r\nslave\r\n*2\r\n$"
                                             "5\r\nflags\r\n"
                                             "$12\r\ns_down,slave\r\n");
    CU_ASSERT(is(&f, "redis_sentinel_masters", 1));
    CU_ASSERT(is(&f,
                 "redis_sentinel_master_status{master_name=\"one\","
                 "master_address=\"10.0.0.1:6379\",master_status=\"sdown\"}",
                 0));
    CU_ASSERT(is(&f,
                 "redis_sentinel_master_slaves{master_name=\"one\","
                 "master_address=\"10.0.0.1:6379\"}",
                 2));
    CU_ASSERT(is(&f,
                 "redis_sentinel_master_ckquorum_status{master_name=\"one\","
                 "message=\"NOQUORUM 1 usable Sentinels.\"}",
                 0));
    CU_ASSERT(is(&f,
                 "redis_sentinel_master_ok_sentinels{master_name=\"one\","
                 "master_address=\"10.0.0.1:6379\"}",
                 1));
    CU_ASSERT(is(&f,
                 "redis_sentinel_master_ok_slaves{master_name=\"one\","
                 "master_address=\"10.0.0.1:6379\"}",
                 1));
    CU_ASSERT(is(&f,
                 "redis_sentinel_master_last_ok_ping_reply_seconds{master_name"
                 "=\"one\",master_address=\"10.0.0.1:6379\"}",
                 1.5));
    CU_ASSERT(is(&f,
                 "redis_sentinel_peer_info{master_name=\"one\","
                 "master_address=\"10.0.0.1:6379\",name=\"x\",flags=\"s_down,"
                 "sentinel\"}",
                 1));
    sonde_fake_fini(&f);
}

static void test_role(void)
{
    struct sonde_fake f;

    collect(&f, OPTIONS("append_instance_role_label", "true"),
            "+OK\r\n" BULK(59, "redis_version:6.2.0\n# Replication\n"
                               "role:slave\nmaster_port:7\n") "*0\r\n" REST);
    CU_ASSERT(is(&f, "redis_up{instance_role=\"slave\"}", 1));
    CU_ASSERT(is(&f, "redis_db_keys{db=\"db0\",instance_role=\"slave\"}", 0));
    CU_ASSERT(is(&f, "redis_exporter_scrapes_total", 1));
    sonde_fake_fini(&f);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

#define AUTH(n, pw) "*2\r\n$4\r\nAUTH\r\n$" #n "\r\n" pw "\r\n"

/* A refused password is read once more; if the file says another by then, it
 * is tried at once. The file is a fifo of two answers here: a directory entry
 * that is replaced while the server thinks. */
static void test_password_again(void)
{
    char path[4096];
    const struct sonde_fake_step refused[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_EXPECT, SONDE_STR(AUTH(3, "old")) },
        { SONDE_FAKE_SEND, SONDE_STR("-WRONGPASS no\r\n") },
    };
    const struct sonde_fake_step good[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_EXPECT, SONDE_STR(AUTH(3, "new")) },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n" HEAD REST) },
    };
    struct redis_greeting g = { .auth = true };
    struct sonde_fake f;

    (void)snprintf(path, sizeof(path), "%s/changing", tap_tmpdir());
    write_file(path, "old\n");
    open_with(&f, OPTIONS("password_file", path));
    SONDE_FAKE_SCRIPT(&f, refused);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_up", 0));
    CU_ASSERT_EQUAL(f.opened, 1); /* the same again would be no use */
    g.secret = strdup("old");
    CU_ASSERT(!auth_changed(f.instance, &g));
    write_file(path, "new\n");
    CU_ASSERT(auth_changed(f.instance, &g));
    auth_forget(&g);
    SONDE_FAKE_SCRIPT(&f, good);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "redis_up", 1));
    /* Reload closes it: the file may be another one. */
    CU_ASSERT_EQUAL(f.closed, 1);
    sonde_fake_reload(&f);
    CU_ASSERT_EQUAL(f.closed, 2);
    sonde_fake_fini(&f);
}

/* A kept connection that wants a password again is not kept. */
static void test_login_lost(void)
{
    const struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR(HEAD REST) },
        { SONDE_FAKE_SEND,
          SONDE_STR("-NOAUTH x\r\n-NOAUTH x\r\n-NOAUTH x\r\n-NOAUTH x\r\n"
                    "-NOAUTH x\r\n-NOAUTH x\r\n") },
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR(HEAD REST) },
    };
    struct sonde_fake f;

    open_with(&f, NULL);
    SONDE_FAKE_SCRIPT(&f, steps);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "redis_up", 1));
    }
    CU_ASSERT_EQUAL(f.opened, 2);
    sonde_fake_fini(&f);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "Redis' patterns", test_glob },
        { "Lua's patterns", test_lua },
        { "Lua's patterns that are refused, or too slow", test_bad_lua },
        { "arguments that name keys", test_key_lists },
        { "slots of a cluster", test_slots },
        { "nodes as targets", test_discover },
        { "asking for nodes", test_discover_conversations },
        { "nodes are not asked for", test_discover_not_asked },
        { "password files", test_password_maps },
        { "latency and the slow log", test_latency },
        { "rights that are missing", test_rights },
        { "clients", test_clients },
        { "modules and search indexes", test_modules },
        { "Tile38", test_tile38 },
        { "scripts", test_scripts },
        { "keys", test_keys },
        { "keys that may not be read", test_keys_denied },
        { "a walk in pieces", test_walk },
        { "a walk for one pattern", test_walk_match },
        { "a Sentinel", test_sentinel },
        { "the role as a label", test_role },
        { "a password that changes", test_password_again },
        { "a login that is lost", test_login_lost },
    };

    return TAP_RUN("redis parts", tests);
}
