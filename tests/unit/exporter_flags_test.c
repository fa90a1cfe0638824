/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `sonde exporter`: flags in all their spellings, the
 * environment, defaults, what an exporter's callback adds, and the job that
 * comes of it. The table is that of the test plugin `door`.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exporter_flags.h"
#include "cli/exporter_job.h"
#include "unit/tap.h"
#include "util/fs.h"
#include "util/str.h"

static struct plugin *door;

static const struct sonde_plugin *load(void)
{
    const char *build = getenv("SONDE_BUILD_DIR");
    struct sonde_err err;
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/tests/plugins/.libs/door.so",
                   build ? build : ".");
    if (!door && plugin_load(path, &door, &err) != SONDE_OK) {
        tap_note("%s", err.text);
        abort();
    }
    return plugin_desc(door);
}

/* ---- an environment of the test's own ---------------------------------------
 */

static const char *env_text; /* "A=b|C=d" */
static char env_value[256];

static const char *env_of(const char *name)
{
    sonde_str rest = sonde_cstr(env_text), pair;

    while (str_split(&rest, '|', &pair)) {
        size_t eq = str_index(pair, '=');

        if (!str_eq_cstr(str_sub(pair, 0, eq), name))
            continue;
        (void)snprintf(env_value, sizeof(env_value), "%.*s",
                       SONDE_ARG(str_sub(pair, eq + 1, pair.len)));
        return env_value;
    }
    return NULL;
}

#define ARGS_MAX 16

/* The job's text, or the error's, with `rc`. */
static sonde_code run(const char *args, const char *env, struct buf *out,
                      struct arena *a)
{
    char *argv[ARGS_MAX] = { (char *)"door" };
    sonde_str rest = sonde_cstr(args), arg;
    struct sonde_err err = { 0 };
    struct exporter_flags f;
    sonde_code rc;
    int argc = 1;

    while (args[0] && str_split(&rest, '|', &arg) && argc < ARGS_MAX)
        argv[argc++] = arena_cstr(a, arg);
    env_text = env;
    exporter_flags_init(&f, a, load()->exporter, env_of);
    rc = exporter_flags_parse(&f, argc, argv, &err);
    if (rc == SONDE_OK)
        rc = exporter_job_text(&f, load(), out, &err);
    if (rc != SONDE_OK)
        buf_cstr(out, err.text);
    for (size_t i = 0; i < f.warning_count; i++)
        buf_printf(out, "warning %.*s\n", SONDE_ARG(f.warnings[i]));
    exporter_flags_fini(&f);
    buf_char(out, '\0');
    return rc;
}

struct row {
    int line;
    const char *args, *env;
    const char *want;     /* in the job's text */
    const char *want_not; /* not in it; or NULL */
};

static void check_rows(const struct row *rows, size_t n, bool good)
{
    for (size_t i = 0; i < n; i++) {
        struct arena a;
        struct buf out;
        sonde_code rc;

        arena_init(&a);
        buf_init(&out);
        rc = run(rows[i].args, rows[i].env, &out, &a);
        ROW_ASSERT(&rows[i], (rc == SONDE_OK) == good);
        ROW_ASSERT(&rows[i], strstr(out.data, rows[i].want) != NULL);
        ROW_ASSERT(&rows[i], !rows[i].want_not ||
                                 strstr(out.data, rows[i].want_not) == NULL);
        if (!strstr(out.data, rows[i].want))
            tap_note("got: %s", out.data);
        buf_fini(&out);
        arena_fini(&a);
    }
}
#define CHECK_ROWS(rows, good)                                                 \
    check_rows((rows), sizeof(rows) / sizeof((rows)[0]), (good))

static void test_spellings(void)
{
    static const struct row rows[] = {
        { __LINE__, "", "", "  number: 9\n", NULL },
        { __LINE__, "--number=3", "", "  number: 3\n", NULL },
        { __LINE__, "--number|3", "", "  number: 3\n", NULL },
        { __LINE__, "-number=3", "", "  number: 3\n", NULL },
        { __LINE__, "-number|3", "", "  number: 3\n", NULL },
        { __LINE__, "-number|3|-number|4", "", "  number: 4\n", NULL },
        { __LINE__, "--number=-5", "", "  number: -5\n", NULL },
        { __LINE__, "--old-number=8", "", "  number: 8\n", NULL },
        { __LINE__, "--skip-extra", "", "  extra: false\n", NULL },
        { __LINE__, "-skip-extra", "", "  extra: false\n", NULL },
        { __LINE__, "--skip-extra=true", "", "  extra: false\n", NULL },
        { __LINE__, "--skip-extra=T", "", "  extra: false\n", NULL },
        { __LINE__, "--skip-extra=0", "", "  extra: true\n", NULL },
        { __LINE__, "--no-skip-extra", "", "  extra: true\n", NULL },
        { __LINE__, "", "", "plugin: door\n", "extra:" },
        { __LINE__, "-Q|a", "", "  keys: [\"a\"]\n", NULL },
        { __LINE__, "-Qa,b", "", "  keys: [\"a\", \"b\"]\n", NULL },
        { __LINE__, "-Q|a|--check-keys=b, c ,", "",
          "  keys: [\"a\", \"b\", \"c\"]\n", NULL },
        { __LINE__, "--text=a=b", "", "  text: \"a=b\"\n", NULL },
        { __LINE__, "--text=", "", "plugin: door\n", "\x01" },
        { __LINE__, "--text=say \"hi\" \\ it's: #1", "",
          "  text: \"say \\\"hi\\\" \\\\ it's: #1\"\n", NULL },
        { __LINE__, "--text|--number", "", "  text: \"--number\"\n", NULL },
        { __LINE__, "--door.wait=1m30s", "", "  wait: \"90000ms\"\n", NULL },
        { __LINE__, "--door.wait=1.5s", "", "  wait: \"1500ms\"\n", NULL },
        { __LINE__, "--door.wait=0", "", "  wait: \"0ms\"\n", NULL },
        { __LINE__, "--connection-timeout=3s", "", "scrape_timeout: 3000ms\n",
          NULL },
        { __LINE__, "--connection-timeout=2m", "",
          "scrape_interval: 120000ms\n", NULL },
        { __LINE__, "", "", "slow_interval: 0ms\n", NULL },
        { __LINE__, "--slow-interval=5m", "", "slow_interval: 300000ms\n",
          NULL },
        { __LINE__, "--allow=10.0.0.0/8,db1|--allow|fd00::/8", "",
          "    - \"10.0.0.0/8\"\n    - \"db1\"\n    - \"fd00::/8\"\n", NULL },
        { __LINE__, "--web.telemetry-path=/m", "", "  path: \"/m\"\n", NULL },
        { __LINE__, "--gone|--gone=false", "", "plugin: door\n", NULL },
    };

    CHECK_ROWS(rows, true);
}

static void test_addresses(void)
{
    static const struct row rows[] = {
        { __LINE__, "", "", "targets: [\"door://localhost:7777\"]", NULL },
        { __LINE__, "--door.addr=h:1", "", "targets: [\"h:1\"]", "localhost" },
        { __LINE__, "--door.addr=h:1,i:2|--door.addr=j:3", "",
          "targets: [\"j:3\"]", "localhost" },
        { __LINE__, "", "DOOR_ADDR=e:1", "targets: [\"e:1\"]", "localhost" },
        { __LINE__, "--door.addr=h:1", "DOOR_ADDR=e:1", "targets: [\"h:1\"]",
          "e:1" },
        { __LINE__, "", "DOOR_ADDR=", "plugin: door\n", "static_configs" },
        { __LINE__, "--door.addr=", "DOOR_ADDR=e:1", "plugin: door\n",
          "static_configs" },
        { __LINE__, "--door.addr=door://u:secret@h:1/2", "",
          "__given_name__: \"door://h:1/2\"", NULL },
        { __LINE__, "--door.addr=host=x password=secret port=1", "",
          "__given_name__: \"host=x  port=1\"", NULL },
        { __LINE__, "--door.host=more", "", "targets: [\"more\"]", NULL },
        { __LINE__, "", "DOOR_HOST=more", "targets: [\"more\"]", NULL },
    };

    CHECK_ROWS(rows, true);
}

static void test_environment(void)
{
    static const struct row rows[] = {
        { __LINE__, "", "DOOR_NUMBER=4", "  number: 4\n", NULL },
        { __LINE__, "--number=5", "DOOR_NUMBER=4", "  number: 5\n", NULL },
        { __LINE__, "--old-number=5", "DOOR_NUMBER=4", "  number: 5\n", NULL },
        { __LINE__, "", "DOOR_NUMBER=", "  number: 9\n", NULL },
        { __LINE__, "", "DOOR_NUMBER=x", "  number: 9\n", NULL },
        { __LINE__, "", "DOOR_NUMBER=x",
          "warning $DOOR_NUMBER: expected a whole number, got \"x\"", NULL },
        { __LINE__, "", "DOOR_SKIP_EXTRA=true", "  extra: false\n", NULL },
        { __LINE__, "--no-skip-extra", "DOOR_SKIP_EXTRA=1", "  extra: true\n",
          NULL },
        { __LINE__, "", "DOOR_SKIP_EXTRA=maybe", "plugin: door\n", "extra:" },
        { __LINE__, "", "DOOR_CHECK_KEYS=a,b", "  keys: [\"a\", \"b\"]\n",
          NULL },
        { __LINE__, "-Q|c", "DOOR_CHECK_KEYS=a,b", "  keys: [\"c\"]\n", NULL },
        { __LINE__, "", "DOOR_PASSWORD=geheim", "  password: \"geheim\"\n",
          NULL },
    };

    CHECK_ROWS(rows, true);
}

static void test_errors(void)
{
    static const struct row rows[] = {
        { __LINE__, "--nmber=3", "",
          "there is no flag --nmber; did you mean --number?", NULL },
        { __LINE__, "-nmber=3", "", "did you mean --number?", NULL },
        { __LINE__, "--zzzzzzzzz", "", "see --help", NULL },
        { __LINE__, "--number", "", "--number: a value is missing", NULL },
        { __LINE__, "--number=", "", "--number: expected a whole number",
          NULL },
        { __LINE__, "--number=1.5", "", "got \"1.5\"", NULL },
        { __LINE__, "--door.wait=5", "", "a duration with a unit", NULL },
        { __LINE__, "--door.wait=-5s", "", "a duration with a unit", NULL },
        { __LINE__, "--door.wait=5 s", "", "a duration with a unit", NULL },
        { __LINE__, "--skip-extra=maybe", "", "expected true or false", NULL },
        { __LINE__, "--no-skip-extra=true", "", "takes no value", NULL },
        { __LINE__, "--no-number", "", "there is no flag --no-number", NULL },
        { __LINE__, "--skip-extra|false", "", "unexpected argument \"false\"",
          NULL },
        { __LINE__, "--connection-timeout=0", "", "a duration above 0", NULL },
        { __LINE__, "-x", "", "there is no flag --x", NULL },
        { __LINE__, "stray", "", "unexpected argument \"stray\"", NULL },
        { __LINE__, "", "DOOR_TEXT_FILE=/nowhere/x", "/nowhere/x", NULL },
    };

    CHECK_ROWS(rows, false);
}

/* Files are read by the exporter's callback, blanks cut off. */
static void test_files(void)
{
    struct sonde_err err;
    char path[512], env[600];
    struct arena a;
    struct buf out;

    (void)snprintf(path, sizeof(path), "%s/text", tap_tmpdir());
    CU_ASSERT_EQUAL(
        fs_write_atomic(path, SONDE_STR("  from a file\n\n"), 0600, &err),
        SONDE_OK);
    (void)snprintf(env, sizeof(env), "DOOR_TEXT_FILE=%s", path);
    arena_init(&a);
    buf_init(&out);
    CU_ASSERT_EQUAL(run("--text=flag", env, &out, &a), SONDE_OK);
    CU_ASSERT(strstr(out.data, "  text: \"from a file\"\n") != NULL);
    buf_fini(&out);
    arena_fini(&a);
}

/* ---- the door ------------------------------------------------------------ */

static sonde_code make(const char *args, struct sidecar_config **out,
                       struct sonde_err *err, struct arena *a)
{
    char *argv[ARGS_MAX] = { (char *)"door" };
    sonde_str rest = sonde_cstr(args), arg;
    struct exporter_flags f;
    sonde_code rc;
    int argc = 1;

    while (args[0] && str_split(&rest, '|', &arg) && argc < ARGS_MAX)
        argv[argc++] = arena_cstr(a, arg);
    env_text = "";
    exporter_flags_init(&f, a, load()->exporter, env_of);
    rc = exporter_flags_parse(&f, argc, argv, err);
    if (rc == SONDE_OK)
        rc = exporter_job(&f, door, out, err);
    exporter_flags_fini(&f);
    return rc;
}

static void test_door(void)
{
    struct sidecar_config *c = NULL;
    struct sonde_err err = { 0 };
    struct arena a;

    arena_init(&a);
    CU_ASSERT_EQUAL(
        make("--web.listen-address=:1|--web.listen-address=[::1]:2|"
             "--namespace=porta|--const-label=a=b|--const-label=c=d=e|"
             "--disable-scrape-endpoint|--only-door-metrics|"
             "--basic-auth-username=u|--basic-auth-password=geheim",
             &c, &err, &a),
        SONDE_OK);
    CU_ASSERT_EQUAL(c->door.listen_count, 2);
    CU_ASSERT_STRING_EQUAL(c->door.listen[1], "[::1]:2");
    CU_ASSERT(str_eq_cstr(c->door.prefix, "door_"));
    CU_ASSERT(str_eq_cstr(c->door.prefix_instead, "porta_"));
    CU_ASSERT_EQUAL(c->door.labels->count, 2);
    CU_ASSERT(str_eq_cstr(c->door.labels->items[1].values.items[0], "d=e"));
    CU_ASSERT(c->door.no_targets && !c->door.self);
    CU_ASSERT(str_starts(c->door.web_config,
                         SONDE_STR("basic_auth_users:\n  \"u\": \"$2b$")));
    CU_ASSERT(c->job.pages_only && c->job.expose.on_demand);
    sidecar_config_unref(c);
    c = NULL;
    CU_ASSERT_EQUAL(make("", &c, &err, &a), SONDE_OK);
    CU_ASSERT_EQUAL(c->door.prefix.len, 0);
    CU_ASSERT(c->door.self && !c->door.no_targets);
    CU_ASSERT_STRING_EQUAL(c->door.listen[0], ":9977");
    sidecar_config_unref(c);
    arena_fini(&a);
}

static void test_door_errors(void)
{
    static const struct {
        int line;
        const char *args, *want;
    } rows[] = {
        { __LINE__, "--const-label=a", "expected NAME=VALUE" },
        { __LINE__, "--const-label=a-b=c", "expected NAME=VALUE" },
        { __LINE__, "--basic-auth-username=u", "basic authentication" },
        { __LINE__, "--basic-auth-password=u", "basic authentication" },
        { __LINE__,
          "--basic-auth-username=u|--basic-auth-password=p|"
          "--basic-auth-hash-password=h",
          "basic authentication" },
        { __LINE__, "--tls-server-cert-file=x", "TLS of the pages" },
        { __LINE__, "--mode=odd", "\"plain\"" },
        { __LINE__, "--allow=10.0.0.0/99", "allow:" },
        { __LINE__, "--allow=a b", "allow:" },
        { __LINE__, "--web.telemetry-path=x", "begins with /" },
        { __LINE__, "--max-targets=0", "max_targets" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sidecar_config *c = NULL;
        struct sonde_err err = { 0 };
        struct arena a;

        arena_init(&a);
        ROW_ASSERT(&rows[i], make(rows[i].args, &c, &err, &a) != SONDE_OK);
        ROW_ASSERT(&rows[i], strstr(err.text, rows[i].want) != NULL);
        if (!strstr(err.text, rows[i].want))
            tap_note("got: %s", err.text);
        arena_fini(&a);
    }
}

static void test_help(void)
{
    struct exporter_flags f;
    struct arena a;
    struct buf b;

    arena_init(&a);
    buf_init(&b);
    exporter_flags_init(&f, &a, load()->exporter, env_of);
    exporter_help(&b, "door", &f);
    buf_char(&b, '\0');
    CU_ASSERT(strstr(b.data, "-Q, --check-keys=TEXT ...\n") != NULL);
    CU_ASSERT(strstr(b.data, "--[no-]skip-extra\n") != NULL);
    CU_ASSERT(strstr(b.data, "($DOOR_ADDR)") != NULL);
    CU_ASSERT(strstr(b.data, "(default 9)") != NULL);
    CU_ASSERT(strstr(b.data, "--slow-interval=DURATION\n") != NULL);
    CU_ASSERT(strstr(b.data, "old-number") == NULL);
    /* The exporter has one of its own. */
    CU_ASSERT(strstr(b.data, "--log.level") == NULL);
    exporter_flags_fini(&f);
    buf_fini(&b);
    arena_fini(&a);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "flags in all their spellings", test_spellings },
        { "addresses", test_addresses },
        { "the environment", test_environment },
        { "what is wrong is said", test_errors },
        { "files that the exporter reads", test_files },
        { "what the door gets", test_door },
        { "what is wrong for the door", test_door_errors },
        { "help", test_help },
    };
    int code = TAP_RUN("exporter_flags", tests);

    plugin_unload(door);
    return code;
}
