/* SPDX-License-Identifier: Apache-2.0 */
/* cli: flags. */
#include <string.h>
#include <unistd.h>

#include "cli/flags.h"
#include "unit/tap.h"
#include "util/fs.h"
#include "util/str.h"

#define ARGS_MAX 16

struct run {
    struct arena arena;
    struct flags flags;
    struct sonde_err err;
};

/* `line` is cut at blanks; its first word stands for the program. */
static sonde_code parse(struct run *r, const char *line)
{
    char *argv[ARGS_MAX];
    int argc = 0;
    sonde_str rest = sonde_cstr(line), part;

    arena_init(&r->arena);
    r->err = (struct sonde_err){ 0 };
    while (argc < ARGS_MAX && str_split(&rest, ' ', &part))
        argv[argc++] = arena_cstr(&r->arena, part);
    return flags_parse(&r->arena, argc, argv, &r->flags, &r->err);
}

/* The rule of --config.file: sonde.yml if it is there. */
static void test_config_file(void)
{
    struct run r;
    struct sonde_err err;

    CU_ASSERT_EQUAL_FATAL(chdir(tap_tmpdir()), 0);
    CU_ASSERT_EQUAL(parse(&r, "sonde"), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(r.flags.config_file.ptr, "prometheus.yml");
    arena_fini(&r.arena);
    CU_ASSERT_EQUAL(fs_write_atomic("sonde.yml", SONDE_STR(""), 0644, &err),
                    SONDE_OK);
    CU_ASSERT_EQUAL(parse(&r, "sonde"), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(r.flags.config_file.ptr, "sonde.yml");
    arena_fini(&r.arena);
    CU_ASSERT_EQUAL(parse(&r, "sonde --config.file x.yml"), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(r.flags.config_file.ptr, "x.yml");
    arena_fini(&r.arena);
}

static sonde_str value_of(const struct flags *f, const char *name)
{
    for (size_t i = 0; i < f->all_count; i++)
        if (strcmp(f->all[i].name, name) == 0)
            return f->all[i].value;
    return SONDE_STR("(no such flag)");
}

static void test_defaults(void)
{
    struct run r;

    CU_ASSERT_EQUAL(parse(&r, "sonde"), SONDE_OK);
    CU_ASSERT_EQUAL(r.flags.listen_addresses.count, 1);
    CU_ASSERT_STRING_EQUAL(r.flags.listen_addresses.items[0].ptr,
                           "127.0.0.1:9090");
    CU_ASSERT_STRING_EQUAL(r.flags.tsdb_path.ptr, "data/");
    CU_ASSERT_STRING_EQUAL(r.flags.agent_path.ptr, "data-agent/");
    CU_ASSERT_EQUAL(r.flags.query_timeout, 120000);
    CU_ASSERT_EQUAL(r.flags.wal_segment_size, 128 << 20);
    CU_ASSERT_EQUAL(r.flags.retention_time, 0);
    CU_ASSERT_TRUE(r.flags.wal_compression);
    CU_ASSERT_FALSE(r.flags.lifecycle || r.flags.agent);
    CU_ASSERT_STRING_EQUAL(r.flags.web_config_file.ptr, "");
    CU_ASSERT_EQUAL(r.flags.warnings.count, 0);
    arena_fini(&r.arena);
}

static void test_values_as_text(void)
{
    static const struct {
        int line;
        const char *args, *flag, *want;
    } rows[] = {
        { __LINE__, "", "storage.tsdb.retention.time", "15d" },
        { __LINE__, "--storage.tsdb.retention.size=1GB",
          "storage.tsdb.retention.time", "0s" },
        { __LINE__, "--storage.tsdb.retention.time 30d",
          "storage.tsdb.retention.time", "30d" },
        { __LINE__, "", "storage.tsdb.retention.size", "0B" },
        { __LINE__, "", "web.enable-lifecycle", "false" },
        { __LINE__, "--web.enable-lifecycle", "web.enable-lifecycle", "true" },
        { __LINE__, "--web.enable-lifecycle --no-web.enable-lifecycle",
          "web.enable-lifecycle", "false" },
        { __LINE__, "--web.enable-lifecycle=false", "web.enable-lifecycle",
          "false" },
        { __LINE__, "", "web.route-prefix", "/" },
        { __LINE__, "--web.external-url=http://h/a/b/", "web.route-prefix",
          "/a/b" },
        { __LINE__, "--web.external-url=http://h/a --web.route-prefix=/",
          "web.route-prefix", "/" },
        { __LINE__, "--web.route-prefix=x/", "web.route-prefix", "/x" },
        { __LINE__, "--web.listen-address=:1 --web.listen-address [::1]:2",
          "web.listen-address", ":1,[::1]:2" },
        { __LINE__, "--enable-feature=a,b --enable-feature=c", "enable-feature",
          "a,b,c" },
        { __LINE__, "--log.level=debug --log.level=warn", "log.level", "warn" },
        { __LINE__, "", "auto-gomemlimit.ratio", "0.9" },
        { __LINE__, "--query.timeout= --query.timeout=1s", "query.timeout",
          NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct run r;
        char line[256];
        sonde_code rc;

        (void)snprintf(line, sizeof(line), "sonde%s%s",
                       *rows[i].args ? " " : "", rows[i].args);
        rc = parse(&r, line);
        ROW_ASSERT(&rows[i], (rc == SONDE_OK) == (rows[i].want != NULL));
        if (rc == SONDE_OK)
            ROW_ASSERT(&rows[i], str_eq_cstr(value_of(&r.flags, rows[i].flag),
                                             rows[i].want));
        arena_fini(&r.arena);
    }
}

static void test_errors(void)
{
    static const struct {
        int line;
        const char *args, *want;
    } rows[] = {
        { __LINE__, "--config.fil=x",
          "there is no flag --config.fil; did you mean --config.file?" },
        { __LINE__, "--zzzzzzzzzzzz", "there is no flag --zzzzzzzzzzzz; see" },
        { __LINE__, "-config.file=x", "flags begin with two dashes" },
        { __LINE__, "extra", "unexpected argument \"extra\"" },
        { __LINE__, "--config.file", "--config.file: a value is missing" },
        { __LINE__, "--query.timeout=10",
          "--query.timeout: expected a duration such as" },
        { __LINE__, "--query.timeout=0s",
          "--query.timeout: expected at least 1ms, got \"0s\"" },
        { __LINE__, "--storage.tsdb.retention.size=5",
          "expected a size with a unit" },
        { __LINE__, "--storage.tsdb.wal-segment-size=1MB",
          "expected at least 10MiB and at most 256MiB" },
        { __LINE__, "--query.max-concurrency=x", "expected a whole number" },
        { __LINE__, "--log.level=loud",
          "--log.level: expected one of debug, info, warn, error, got" },
        { __LINE__, "--web.enable-lifecycle=1", "expected true or false" },
        { __LINE__, "--no-web.enable-lifecycle=true", "takes no value" },
        { __LINE__, "--no-log.level", "there is no flag --no-log.level" },
        { __LINE__, "--agent --storage.tsdb.path=x --query.timeout=1s",
          "only for a server, not with --agent: --storage.tsdb.path, "
          "--query.timeout" },
        { __LINE__, "--storage.agent.path=x",
          "only for an agent, with --agent: --storage.agent.path" },
        { __LINE__, "--web.listen-address=9090", "expected host:port" },
        { __LINE__, "--web.listen-address=a:99999", "expected host:port" },
        { __LINE__, "--storage.wal-sync=often", "expected never, always" },
        { __LINE__, "--rules.max-concurrent-evals=x", "a whole number" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct run r;
        char line[256];
        sonde_code rc;

        (void)snprintf(line, sizeof(line), "sonde %s", rows[i].args);
        rc = parse(&r, line);
        ROW_ASSERT(&rows[i], rc == SONDE_EINVAL);
        ROW_ASSERT(&rows[i], strstr(r.err.text, rows[i].want) != NULL);
        if (!strstr(r.err.text, rows[i].want))
            tap_note("%s", r.err.text);
        arena_fini(&r.arena);
    }
}

static void test_no_effect(void)
{
    struct run r;

    CU_ASSERT_EQUAL(
        parse(&r, "sonde --web.console.templates=x "
                  "--storage.tsdb.samples-per-chunk=9 "
                  "--no-auto-gomemlimit --enable-feature=native-histograms"),
        SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(r.flags.warnings.count, 4);
    CU_ASSERT_STRING_EQUAL(r.flags.warnings.items[0].ptr,
                           "--auto-gomemlimit has no effect: there is no Go "
                           "runtime");
    CU_ASSERT_STRING_EQUAL(r.flags.warnings.items[3].ptr,
                           "--enable-feature=native-histograms has no effect: "
                           "it is always on");
    arena_fini(&r.arena);
}

static void test_agent_feature(void)
{
    struct run r;

    CU_ASSERT_EQUAL(parse(&r, "sonde --enable-feature=agent "
                              "--storage.agent.path=/x -h"),
                    SONDE_OK);
    CU_ASSERT_TRUE(r.flags.agent && r.flags.help);
    CU_ASSERT_STRING_EQUAL(r.flags.agent_path.ptr, "/x");
    CU_ASSERT_EQUAL(r.flags.warnings.count, 0);
    arena_fini(&r.arena);
}

static void test_help(void)
{
    struct buf b = { 0 };
    sonde_str rest, line;

    flags_help(&b);
    rest = buf_str(&b);
    while (str_split(&rest, '\n', &line))
        CU_ASSERT(line.len <= 80);
    buf_char(&b, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "  -h, --help\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(b.data, "  --web.listen-address=TEXT (127.0.0.1:9090)\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "--web.console.templates"));
    buf_reset(&b);
    flags_document(&b);
    buf_char(&b, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "| `--storage.tsdb.path` | `data/` |"
                                          " Folder of the store. Server only"));
    buf_fini(&b);
}

static const struct tap_test tests[] = {
    { "defaults are Prometheus', on loopback", test_defaults },
    { "the configuration file's name", test_config_file },
    { "values are shown as text", test_values_as_text },
    { "wrong flags are errors that name them", test_errors },
    { "flags without effect say so", test_no_effect },
    { "the feature agent is --agent", test_agent_feature },
    { "help and documentation", test_help },
};

int main(void)
{
    return TAP_RUN("flags", tests);
}
