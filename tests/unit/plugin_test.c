/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader's refusals, with real files; the registry; instances of a real
 * plugin; what is printed from the tables. The .so files are built by `make
 * check` (tests/plugins/) and copied to a fresh folder, where their modes and
 * owners can be spoiled.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/plugin_int.h"
#include "unit/tap.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/str.h"

/* ---- files --------------------------------------------------------------- */

static const char *path_of(const char *dir, const char *name)
{
    static char paths[4][4096];
    static size_t next;
    char *p = paths[next++ % 4];

    (void)snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
    return p;
}

static const char *fresh_folder(void)
{
    static char folders[64][512];
    static size_t n;
    char *p = folders[n];

    (void)snprintf(p, sizeof(folders[0]), "%s/p%zu", tap_tmpdir(), n);
    n++;
    if (mkdir(p, 0755) != 0 || chmod(p, 0755) != 0)
        abort();
    return p;
}

/* Copies a test plugin to DIR/AS. */
static const char *install(const char *name, const char *dir, const char *as)
{
    const char *build = getenv("SONDE_BUILD_DIR");
    const char *to = path_of(dir, as);
    struct sonde_err err = { 0 };
    char from[4096];
    struct buf b;

    (void)snprintf(from, sizeof(from), "%s/tests/plugins/.libs/%s.so",
                   build ? build : ".", name);
    buf_init(&b);
    if (fs_read(from, 64u << 20, &b, &err) != SONDE_OK ||
        fs_write_atomic(to, buf_str(&b), 0644, &err) != SONDE_OK) {
        tap_note("%s", err.text);
        abort();
    }
    buf_fini(&b);
    (void)chmod(to, 0644);
    return to;
}

static struct plugin *load_good(void)
{
    struct plugin *p = NULL;
    struct sonde_err err = { 0 };

    if (plugin_load(install("good", fresh_folder(), "good.so"), &p, &err) !=
        SONDE_OK) {
        tap_note("%s", err.text);
        abort();
    }
    return p;
}

static bool refused(const char *path, sonde_code code, const char *const *parts)
{
    struct sonde_err err = { 0 };
    struct plugin *p = NULL;
    sonde_code rc = plugin_load(path, &p, &err);
    bool ok = rc == code && p == NULL;

    for (size_t i = 0; parts[i]; i++)
        ok = ok && strstr(err.text, parts[i]);
    if (!ok)
        tap_note("%s: got %s", sonde_code_text(rc), err.text);
    if (rc == SONDE_OK)
        plugin_unload(p);
    return ok;
}
#define PARTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- the loader ---------------------------------------------------------- */

static void test_loads(void)
{
    struct plugin *p = load_good();

    CU_ASSERT_STRING_EQUAL(plugin_desc(p)->name, "good");
    CU_ASSERT_FALSE(plugin_is_fetch(p));
    CU_ASSERT_STRING_EQUAL(plugin_family(p, 0)->name, "good_number");
    CU_ASSERT_PTR_NULL(plugin_family(p, 4));
    CU_ASSERT_EQUAL(plugin_path(p)[0], '/');
    plugin_unload(p);
}

static void test_refuses_content(void)
{
    const char *dir = fresh_folder();
    const char *path = install("wrong_abi", dir, "wrong_abi.so");

    CU_ASSERT(
        refused(path, SONDE_EUNSUPPORTED,
                PARTS(path, "7.3", "has 1.1", "rebuild it", "sonde-plugin")));
    path = install("no_entry", dir, "no_entry.so");
    CU_ASSERT(refused(path, SONDE_EINVAL, PARTS(path, "sonde_plugin_entry")));
    path = install("declines", dir, "declines.so");
    CU_ASSERT(refused(path, SONDE_EUNSUPPORTED, PARTS(path, "declined")));
    path = install("unresolved", dir, "unresolved.so");
    CU_ASSERT(refused(path, SONDE_EINVAL,
                      PARTS(path, "symbol_that_nobody_has", "rebuild")));
    CU_ASSERT(refused(path_of(dir, "absent.so"), SONDE_ENOTFOUND,
                      PARTS("absent.so", "No such file")));
    path = path_of(dir, "text.so");
    CU_ASSERT_EQUAL(fs_write_atomic(path, SONDE_STR("hello"), 0644, NULL),
                    SONDE_OK);
    CU_ASSERT(refused(path, SONDE_EINVAL, PARTS(path, "does not load")));
    CU_ASSERT_EQUAL(mkdir(path_of(dir, "folder.so"), 0755), 0);
    CU_ASSERT(refused(path_of(dir, "folder.so"), SONDE_EINVAL,
                      PARTS("folder.so", "not a plain file")));
}

static void test_refuses_writable(void)
{
    static const struct {
        int line;
        unsigned file, folder;
        const char *remedy;
    } rows[] = {
        { __LINE__, 0646, 0755, "chmod go-w" },
        { __LINE__, 0666, 0755, "chmod go-w" },
        { __LINE__, 0644, 0757, "chmod go-w" },
        { __LINE__, 0644, 01777, "chmod go-w" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *dir = fresh_folder();
        const char *path = install("good", dir, "good.so");

        CU_ASSERT_EQUAL(chmod(path, rows[i].file), 0);
        CU_ASSERT_EQUAL(chmod(dir, rows[i].folder), 0);
        ROW_ASSERT(&rows[i],
                   refused(path, SONDE_EACCESS, PARTS(path, rows[i].remedy)));
        CU_ASSERT_EQUAL(chmod(dir, 0755), 0);
    }
}

static void test_group_may_be_ours(void)
{
    const char *dir = fresh_folder();
    const char *path = install("good", dir, "good.so");
    struct sonde_err err = { 0 };
    struct plugin *p = NULL;

    CU_ASSERT_EQUAL(chown(path, (uid_t)-1, getegid()), 0);
    CU_ASSERT_EQUAL(chmod(path, 0664), 0);
    CU_ASSERT_EQUAL(plugin_load(path, &p, &err), SONDE_OK);
    plugin_unload(p);
}

static void test_refuses_strangers(void)
{
    const char *dir = fresh_folder();
    const char *path = install("good", dir, "good.so");

    if (geteuid() != 0) {
        tap_note("not root: owners are not tried");
        return;
    }
    CU_ASSERT_EQUAL(chmod(path, 0664), 0);
    CU_ASSERT_EQUAL(chown(path, 0, 12345), 0);
    CU_ASSERT(
        refused(path, SONDE_EACCESS, PARTS(path, "group 12345", "chmod g-w")));
    CU_ASSERT_EQUAL(chown(path, 12345, 0), 0);
    CU_ASSERT(
        refused(path, SONDE_EACCESS, PARTS(path, "user 12345", "chown root")));
    CU_ASSERT_EQUAL(chown(path, 0, 0), 0);
    CU_ASSERT_EQUAL(chown(dir, 12345, 0), 0);
    CU_ASSERT(refused(path, SONDE_EACCESS, PARTS("folder", "user 12345")));
}

static void test_resolves_links(void)
{
    const char *open = fresh_folder(), *safe = fresh_folder();
    const char *path = install("good", open, "good.so");
    struct sonde_err err = { 0 };
    struct plugin *p = NULL;

    /* A link in a safe folder to a file that anybody can replace. */
    CU_ASSERT_EQUAL(symlink(path, path_of(safe, "good.so")), 0);
    CU_ASSERT_EQUAL(chmod(open, 0777), 0);
    CU_ASSERT(refused(path_of(safe, "good.so"), SONDE_EACCESS, PARTS(open)));
    CU_ASSERT_EQUAL(chmod(open, 0755), 0);
    CU_ASSERT_EQUAL(plugin_load(path_of(safe, "good.so"), &p, &err), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(plugin_path(p), path_of(open, "good.so"));
    plugin_unload(p);
    /* A link that anybody can replace. */
    CU_ASSERT_EQUAL(chmod(safe, 0777), 0);
    CU_ASSERT(refused(path_of(safe, "good.so"), SONDE_EACCESS, PARTS(safe)));
    CU_ASSERT_EQUAL(chmod(safe, 0755), 0);
}

/* ---- descriptions -------------------------------------------------------- */

static sonde_code some_collect(struct sonde_instance *i, struct sonde_sink *s,
                               sonde_msec d, struct sonde_err *e)
{
    (void)i;
    (void)s;
    (void)d;
    (void)e;
    return SONDE_OK;
}

static sonde_code some_plan(struct sonde_instance *i, struct sonde_plan *p,
                            struct sonde_err *e)
{
    (void)i;
    (void)e;
    p->count = 0;
    return SONDE_OK;
}

static sonde_code some_parse(struct sonde_instance *i,
                             const struct sonde_response *r,
                             struct sonde_sink *s, struct sonde_err *e)
{
    (void)i;
    (void)r;
    (void)s;
    (void)e;
    return SONDE_OK;
}

static void some_close(struct sonde_instance *i)
{
    (void)i;
}

struct fields {
    sonde_str a;
    bool b;
};

#define BASE                                                                   \
    SONDE_PLUGIN_HEAD, .name = "x", .version = "1", .summary = "s",            \
                       .collect = some_collect
#define OPTIONS(...)                                                           \
    .options = (const struct sonde_option[]){ __VA_ARGS__ },                   \
    .option_count = sizeof((const struct sonde_option[]){ __VA_ARGS__ }) /     \
                    sizeof(struct sonde_option),                               \
    .option_size = sizeof(struct sonde_option),                                \
    .options_size = sizeof(struct fields)
#define FAMILIES(...)                                                          \
    .families = (const struct sonde_family[]){ __VA_ARGS__ },                  \
    .family_count = sizeof((const struct sonde_family[]){ __VA_ARGS__ }) /     \
                    sizeof(struct sonde_family),                               \
    .family_size = sizeof(struct sonde_family)

#define COLLECTORS(...)                                                        \
    .collectors = (const struct sonde_collector[]){ __VA_ARGS__ },             \
    .collector_count =                                                         \
        sizeof((const struct sonde_collector[]){ __VA_ARGS__ }) /              \
        sizeof(struct sonde_collector),                                        \
    .collector_size = sizeof(struct sonde_collector)

static const struct {
    int line;
    struct sonde_plugin d;
    const char *part; /* NULL: it is fine */
} descriptions[] = {
    { __LINE__, { BASE }, NULL },
    { __LINE__,
      { SONDE_PLUGIN_HEAD, .name = "x", .version = "1", .summary = "s",
        .plan = some_plan },
      NULL },
    { __LINE__,
      { BASE, OPTIONS(SONDE_OPT_STR(struct fields, a),
                      SONDE_OPT_BOOL(struct fields, b)) },
      NULL },
    { __LINE__, { BASE, FAMILIES({ .name = "a:b", .help = "" }) }, NULL },
    { __LINE__,
      { .struct_size = 8, .abi_major = SONDE_ABI_MAJOR },
      "SONDE_PLUGIN_HEAD" },
    { __LINE__,
      { .struct_size = 64, .abi_major = SONDE_ABI_MAJOR },
      "has 64 bytes" },
    { __LINE__,
      { .struct_size = sizeof(struct sonde_plugin), .abi_major = 0 },
      "interface 0.0" },
    { __LINE__,
      { SONDE_PLUGIN_HEAD, .name = "X", .collect = some_collect },
      "got \"X\"" },
    { __LINE__,
      { SONDE_PLUGIN_HEAD, .name = NULL, .collect = some_collect },
      "got \"\"" },
    { __LINE__,
      { SONDE_PLUGIN_HEAD, .name = "x", .version = "1" },
      "no summary" },
    { __LINE__,
      { SONDE_PLUGIN_HEAD, .name = "x", .version = "1", .summary = "s" },
      "neither" },
    { __LINE__, { BASE, .plan = some_plan }, NULL },
    { __LINE__, { BASE, COLLECTORS({ .name = "c", .help = "" }) }, NULL },
    { __LINE__,
      { BASE, COLLECTORS({ .name = "c c", .help = "" }) },
      "collector 0: expected a name" },
    { __LINE__,
      { BASE, COLLECTORS({ .name = "c" }) },
      "collector c: expected" },
    { __LINE__,
      { BASE,
        COLLECTORS({ .name = "c", .help = "" }, { .name = "c", .help = "" }) },
      "collector c is declared twice" },
    { __LINE__, { BASE, .collector_count = 1 }, "collectors: expected" },
    { __LINE__,
      { BASE, COLLECTORS({ .name = "c", .help = "" }),
        FAMILIES({ .name = "sonde_collector_success", .help = "" }) },
      "are the host's" },
    /* An old plugin's description ends before: what is behind is not read. */
    { __LINE__,
      { .struct_size = offsetof(struct sonde_plugin, collectors),
        .abi_major = SONDE_ABI_MAJOR,
        .name = "x",
        .version = "1",
        .summary = "s",
        .collect = some_collect,
        .collectors = (const struct sonde_collector *)(uintptr_t)1,
        .collector_count = 99,
        .collector_size = 1 },
      NULL },
    { __LINE__, { BASE, .parse = some_parse }, "no `plan`" },
    { __LINE__, { BASE, .close = some_close }, "only `close`" },
    { __LINE__,
      { BASE, OPTIONS({ .name = "a-b" }) },
      "option 0: expected a name" },
    { __LINE__, { BASE, OPTIONS({ .name = "a", .kind = 77 }) }, "kind 77" },
    { __LINE__,
      { BASE, OPTIONS({ .name = "a", .offset = sizeof(struct fields) - 1 }) },
      "not inside" },
    { __LINE__,
      { BASE, OPTIONS({ .name = "a", .offset = SIZE_MAX - 4 }) },
      "not inside" },
    { __LINE__,
      { BASE, OPTIONS(SONDE_OPT_STR(struct fields, a),
                      SONDE_OPT_STR(struct fields, a)) },
      "option a is declared twice" },
    { __LINE__,
      { BASE, .options = (const struct sonde_option[]){ { .name = "a" } },
        .option_count = 1, .option_size = 8,
        .options_size = sizeof(struct fields) },
      "options: expected" },
    { __LINE__,
      { BASE, .option_count = 2, .option_size = sizeof(struct sonde_option) },
      "options: expected" },
    { __LINE__,
      { BASE, FAMILIES({ .name = "0a", .help = "" }) },
      "not a metric name" },
    { __LINE__, { BASE, FAMILIES({ .name = "a" }) }, "help" },
    { __LINE__,
      { BASE, FAMILIES({ .name = "a", .help = "", .type = 9 }) },
      "type 9" },
    { __LINE__,
      { BASE, FAMILIES({ .name = "a", .help = "", .labels = { "__a" } }) },
      "label name \"__a\"" },
    { __LINE__,
      { BASE, FAMILIES({ .name = "a", .help = "", .labels = { "x", "x" } }) },
      "label x twice" },
    { __LINE__,
      { BASE, FAMILIES({ .name = "a",
                         .help = "",
                         .labels = { "le" },
                         .type = SONDE_METRIC_HISTOGRAM }) },
      "\"le\"" },
    { __LINE__,
      { BASE, FAMILIES({ .name = "a", .help = "" }, { .name = "b", .help = "" },
                       { .name = "a", .help = "" }) },
      "family a is declared twice" },
    { __LINE__,
      { BASE, .families = (const struct sonde_family[]){ { .name = "a" } },
        .family_count = 1, .family_size = 16 },
      "families: expected" },
};

static void test_descriptions(void)
{
    for (size_t i = 0; i < sizeof(descriptions) / sizeof(descriptions[0]);
         i++) {
        struct sonde_err err = { 0 };
        sonde_code rc = plugin_check_desc(&descriptions[i].d, "/a/x.so", &err);
        const char *part = descriptions[i].part;

        ROW_ASSERT(&descriptions[i], (rc == SONDE_OK) == (part == NULL));
        if (part && (!strstr(err.text, part) || !strstr(err.text, "/a/x.so")))
            tap_note("got: %s", err.text);
        ROW_ASSERT(&descriptions[i], !part || strstr(err.text, part));
        ROW_ASSERT(&descriptions[i], !part || strstr(err.text, "/a/x.so"));
    }
}

/* A plugin of a newer minor has longer rows; the stride says so. */
static void test_longer_rows(void)
{
    static const struct {
        struct sonde_family f;
        const char *newer;
    } rows[] = { { { .name = "a", .help = "" }, "x" },
                 { { .name = "b", .help = "" }, "y" } };
    const struct sonde_plugin d = { BASE, .families = &rows[0].f,
                                    .family_count = 2,
                                    .family_size = sizeof(rows[0]) };
    const struct plugin p = { .desc = &d };

    CU_ASSERT_EQUAL(plugin_check_desc(&d, "x.so", NULL), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(plugin_family(&p, 1)->name, "b");
}

/* ---- the registry -------------------------------------------------------- */

static void test_registry(void)
{
    const char *one = fresh_folder(), *two = fresh_folder(), *path, *why;
    const char *const dirs[] = { one, two, one, "/nowhere/at/all" };
    const struct plugin *p = NULL;
    struct sonde_err err = { 0 };
    struct plugins *all;

    (void)install("good", one, "good.so");
    (void)install("wrong_abi", one, "wrong_abi.so");
    (void)install("twin", two, "other.so");
    (void)install("good", two, "good.so.bak");
    CU_ASSERT_EQUAL(symlink(path_of(one, "good.so"), path_of(two, "link.so")),
                    0);
    all = plugins_new(dirs, 4);
    CU_ASSERT_EQUAL(plugins_count(all), 1);
    CU_ASSERT_STRING_EQUAL(plugin_desc(plugins_at(all, 0))->version, "1.2.3");
    CU_ASSERT_EQUAL(plugin_find(all, SONDE_STR("good"), &p, &err), SONDE_OK);
    CU_ASSERT_PTR_EQUAL(p, plugins_at(all, 0));

    /* The twin names both files. */
    CU_ASSERT_EQUAL(plugins_refused_count(all), 3);
    why = plugins_refused_at(all, 1, &path);
    CU_ASSERT_PTR_NOT_NULL(strstr(path, "other.so"));
    CU_ASSERT_PTR_NOT_NULL(strstr(why, path_of(two, "other.so")));
    CU_ASSERT_PTR_NOT_NULL(strstr(why, path_of(one, "good.so")));
    CU_ASSERT_PTR_NULL(plugins_refused_at(all, 3, NULL));

    /* Why the file of that name was refused; the nearest name. */
    CU_ASSERT_EQUAL(plugin_find(all, SONDE_STR("wrong_abi"), &p, &err),
                    SONDE_EUNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "rebuild"));
    CU_ASSERT_EQUAL(plugin_find(all, SONDE_STR("goof"), &p, &err),
                    SONDE_ENOTFOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "did you mean \"good\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, two));
    CU_ASSERT_PTR_NULL(p);
    plugins_free(all);
}

/* ---- instances ----------------------------------------------------------- */

/* Opens the good plugin with options as YAML; NULL when it fails. */
static struct plugin_instance *open_with(const struct plugin *p, const char *y,
                                         const struct config_map *over,
                                         struct arena *a, struct sonde_err *err)
{
    struct plugin_target t = { .job = SONDE_STR("job"),
                               .address = SONDE_STR("host"),
                               .scheme = SONDE_STR("http"),
                               .overrides = over };
    struct plugin_instance *i = NULL;
    struct yaml_node *node = NULL;

    CU_ASSERT_EQUAL(yaml_parse(a, "test.yaml", sonde_cstr(y), &node, err),
                    SONDE_OK);
    t.options = node;
    return plugin_open(p, &t, &i, err) == SONDE_OK ? i : NULL;
}

static void test_collect(void)
{
    static const char want[] =
        "# HELP good_total Has labels\n"
        "# TYPE good_total counter\n"
        "good_total{address=\"host:99\",text=\"say \\\"hi\\\"\\n\\\\\"} 1\n"
        "good_total{address=\"b\"} 2\n"
        "# HELP good_number The option number\n"
        "# TYPE good_number gauge\n"
        "good_number 9\n"
        "# HELP good_seconds A histogram\n"
        "# TYPE good_seconds histogram\n"
        "good_seconds_bucket{le=\"0.5\"} 1\n"
        "good_seconds_bucket{le=\"1\"} 3\n"
        "good_seconds_bucket{le=\"+Inf\"} 4\n"
        "good_seconds_sum 2.5\n"
        "good_seconds_count 4\n"
        "# HELP good_summary A summary\n"
        "# TYPE good_summary summary\n"
        "good_summary{quantile=\"0.5\"} 3\n"
        "good_summary_sum 5\n"
        "good_summary_count 4\n"
        "# HELP good_dynamic Not declared\n"
        "# TYPE good_dynamic gauge\n"
        "good_dynamic{a=\"2\",z=\"1\"} 6\n";
    struct config_pair over = { .key = SONDE_STR("number") };
    const struct config_map map = { &over, 1 };
    sonde_str nine = SONDE_STR("9");
    struct plugin *p = load_good();
    struct sonde_err err = { 0 };
    struct plugin_instance *i;
    struct arena a;
    struct buf out;

    over.values = (struct sonde_list){ &nine, 1 };
    arena_init(&a);
    buf_init(&out);
    i = open_with(p, "number: 4\n", &map, &a, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(i);
    for (int k = 0; k < 2; k++) {
        buf_reset(&out);
        CU_ASSERT_EQUAL(plugin_collect(i, 0, &out, &err), SONDE_OK);
        CU_ASSERT(str_eq_cstr(buf_str(&out), want));
    }
    CU_ASSERT_EQUAL(plugin_plan(i, NULL, &err), SONDE_EINVAL);
    CU_ASSERT_EQUAL(plugin_parse(i, NULL, &out, &err), SONDE_EINVAL);
    plugin_close(i);
    buf_fini(&out);
    arena_fini(&a);
    plugin_unload(p);
}

static void test_collect_fails(void)
{
    static const struct {
        int line;
        const char *yaml;
        sonde_code code;
        const char *part;
    } rows[] = {
        { __LINE__, "mode: fail\n", SONDE_ECONNECT, "nobody is there" },
        { __LINE__, "mode: mute\n", SONDE_EIO, "plugin good: collection" },
        { __LINE__, "mode: twice\n", SONDE_EDUPLICATE, "good_number" },
        { __LINE__, "file: /nowhere/x\n", SONDE_ENOTFOUND, "/nowhere/x" },
    };
    struct plugin *p = load_good();

    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        struct sonde_err err = { 0 };
        struct plugin_instance *i;
        struct arena a;
        struct buf out;

        arena_init(&a);
        buf_init(&out);
        i = open_with(p, rows[k].yaml, NULL, &a, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(i);
        ROW_ASSERT(&rows[k], plugin_collect(i, 0, &out, &err) == rows[k].code);
        ROW_ASSERT(&rows[k], strstr(err.text, rows[k].part));
        ROW_ASSERT(&rows[k], err.code == rows[k].code);
        ROW_ASSERT(&rows[k], out.len == 0);
        plugin_close(i);
        buf_fini(&out);
        arena_fini(&a);
    }
    plugin_unload(p);
}

static void test_open_fails(void)
{
    static const struct {
        int line;
        const char *yaml, *part;
    } rows[] = {
        { __LINE__, "mode: fail_open\n", "can not open this" },
        { __LINE__, "flag: true\nnumber: 3\n", "flag does not go with 3" },
        { __LINE__, "number: 11\n", "number" },
        { __LINE__, "mode: other\n", "mode" },
        { __LINE__, "numbre: 1\n", "number" },
    };
    struct plugin *p = load_good();

    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        struct sonde_err err = { 0 };
        struct arena a;

        arena_init(&a);
        ROW_ASSERT(&rows[k], !open_with(p, rows[k].yaml, NULL, &a, &err));
        if (!strstr(err.text, rows[k].part))
            tap_note("got: %s", err.text);
        ROW_ASSERT(&rows[k], strstr(err.text, rows[k].part));
        arena_fini(&a);
    }
    plugin_unload(p);
}

static void ignore_warning(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

static void test_check_options(void)
{
    struct plugin *p = load_good();
    struct sonde_err err = { 0 };
    struct yaml_node *node = NULL;
    struct arena a;
    struct config_ctx ctx = { .arena = &a, .warn = ignore_warning };

    arena_init(&a);
    CU_ASSERT_EQUAL(plugin_check_options(p, &ctx, NULL, &err), SONDE_OK);
    CU_ASSERT_EQUAL(yaml_parse(&a, "c.yaml",
                               SONDE_STR("number: 3\nflag: true\n"), &node,
                               &err),
                    SONDE_OK);
    CU_ASSERT_NOT_EQUAL(plugin_check_options(p, &ctx, node, &err), SONDE_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "c.yaml:1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "flag does not go with 3"));
    arena_fini(&a);
    plugin_unload(p);
}

/* ---- fetch plugins, without a file --------------------------------------- */

static struct sonde_request planned[SONDE_FETCH_MAX + 1];
static size_t planned_count;

static sonde_code plan_planned(struct sonde_instance *i, struct sonde_plan *p,
                               struct sonde_err *e)
{
    (void)i;
    (void)e;
    for (size_t k = 0; k < planned_count && k < SONDE_FETCH_MAX; k++)
        p->requests[k] = planned[k];
    p->count = planned_count;
    return SONDE_OK;
}

static sonde_code plan_rounds(struct sonde_instance *i, struct sonde_plan *p,
                              struct sonde_err *e)
{
    (void)i;
    (void)e;
    p->requests[0] = (struct sonde_request){ .body = SONDE_BODY_EXPOSITION };
    p->count = p->round == 0 ? 1 : 0;
    p->more = planned_count > p->round;
    p->round = 77; /* it is the host's */
    return SONDE_OK;
}

static void test_rounds(void)
{
    const struct sonde_plugin d = { SONDE_PLUGIN_HEAD, .name = "f",
                                    .version = "1", .summary = "s",
                                    .plan = plan_rounds };
    const struct plugin p = { .desc = &d };
    struct plugin_target t = { .address = SONDE_STR("h:1") };

    for (size_t rounds = 0; rounds < SONDE_ROUNDS_MAX + 2; rounds++) {
        struct sonde_plan plan = { 0 };
        struct plugin_instance *i = NULL;
        struct sonde_err err = { 0 };
        sonde_code rc = plugin_open(&p, &t, &i, &err);

        planned_count = rounds;
        while (rc == SONDE_OK) {
            rc = plugin_plan(i, &plan, &err);
            if (!plan.more)
                break;
            plan.round++;
        }
        if (rounds < SONDE_ROUNDS_MAX)
            CU_ASSERT_EQUAL(rc, SONDE_OK);
        if (rounds < SONDE_ROUNDS_MAX)
            CU_ASSERT_EQUAL(plan.round, rounds);
        if (rounds >= SONDE_ROUNDS_MAX)
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "more than 8 rounds"));
        plugin_close(i);
    }
}

static void test_plans(void)
{
    static const struct {
        int line;
        size_t count;
        struct sonde_request r;
        bool parse;
        const char *part;
    } rows[] = {
        { __LINE__, 1, { .body = SONDE_BODY_EXPOSITION }, false, NULL },
        { __LINE__,
          1,
          { .path = SONDE_STR("/a?b=c"), .body = SONDE_BODY_PLUGIN },
          true,
          NULL },
        { __LINE__, 0, { .flags = 0 }, true, "plans 0 requests" },
        { __LINE__,
          SONDE_FETCH_MAX + 1,
          { .flags = 0 },
          true,
          "plans 9 requests" },
        { __LINE__, 1, { .body = SONDE_BODY_PLUGIN }, false, "needs `parse`" },
        { __LINE__,
          1,
          { .flags = SONDE_FETCH_MAY_FAIL },
          false,
          "needs `parse`" },
        { __LINE__, 1, { .body = 7 }, true, "kind of body" },
        { __LINE__,
          1,
          { .body = SONDE_BODY_COLLECT },
          true,
          "needs `collect`" },
        { __LINE__, 1, { .path = SONDE_STR("a") }, true, "begins with '/'" },
        { __LINE__, 1, { .path = SONDE_STR("/a b") }, true, "byte 0x20" },
        { __LINE__, 1, { .path = SONDE_STR("/a\r\nX: y") }, true, "0x0d" },
    };

    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        const struct sonde_plugin d = {
            SONDE_PLUGIN_HEAD,    .name = "f",
            .version = "1",       .summary = "s",
            .plan = plan_planned, .parse = rows[k].parse ? some_parse : NULL,
        };
        const struct plugin p = { .desc = &d };
        struct plugin_target t = { .address = SONDE_STR("h:1") };
        struct plugin_instance *i = NULL;
        struct sonde_err err = { 0 };
        struct sonde_plan plan = { 0 };
        sonde_code rc;

        planned[0] = rows[k].r;
        planned_count = rows[k].count;
        CU_ASSERT_EQUAL_FATAL(plugin_open(&p, &t, &i, &err), SONDE_OK);
        rc = plugin_plan(i, &plan, &err);
        ROW_ASSERT(&rows[k], (rc == SONDE_OK) == (rows[k].part == NULL));
        ROW_ASSERT(&rows[k], !rows[k].part || strstr(err.text, rows[k].part));
        plugin_close(i);
    }
}

/* ---- printing ------------------------------------------------------------ */

static void test_show(void)
{
    static const char *const parts[] = {
        "good 1.2.3: A plugin for tests\n",
        "port       99",
        "  number  integer, default 7, 1 to 10\n      A number\n",
        "  mode  string, default plain, one of plain, fail",
        "  secret  secret\n",
        "  good_total{address,text}  counter\n      Has labels\n",
    };
    struct plugin *p = load_good();
    struct buf b;

    buf_init(&b);
    plugin_show(&b, p);
    buf_char(&b, '\0');
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!strstr(b.data, parts[i]))
            tap_note("missing: %s", parts[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(b.data, parts[i]));
    }
    buf_fini(&b);
    plugin_unload(p);
}

/* Makes options of the sample's comments: lines "    #options:" and
 * "    #  NAME: VALUE" lose their '#'. */
static void uncomment(struct buf *out, sonde_str in)
{
    sonde_str line;

    while (str_split(&in, '\n', &line)) {
        bool option = str_starts(line, SONDE_STR("    #options:")) ||
                      (str_starts(line, SONDE_STR("    #  ")) && line.len > 7 &&
                       line.ptr[7] != '#');

        buf_printf(out, "%s%.*s\n", option ? "    " : "",
                   (int)(option ? line.len - 5 : line.len),
                   option     ? line.ptr + 5
                   : line.ptr ? line.ptr
                              : "");
    }
}

/* The sample is YAML as it is; with its options uncommented they are fine. */
static void test_sample(void)
{
    struct plugin *p = load_good();
    struct sonde_err err = { 0 };
    struct yaml_node *root = NULL, *job;
    struct plugin_instance *i = NULL;
    struct plugin_target t = { .address = SONDE_STR("h") };
    struct arena a;
    struct buf b, bare;

    arena_init(&a);
    buf_init(&b);
    buf_init(&bare);
    plugin_sample(&b, p);
    CU_ASSERT_EQUAL_FATAL(yaml_parse(&a, "s", buf_str(&b), &root, &err),
                          SONDE_OK);
    job = yaml_get(root, "scrape_configs")->items[0];
    CU_ASSERT(str_eq_cstr(yaml_get(job, "plugin")->scalar, "good"));
    CU_ASSERT_PTR_NULL(yaml_get(job, "options"));

    uncomment(&bare, buf_str(&b));
    CU_ASSERT_EQUAL_FATAL(yaml_parse(&a, "s", buf_str(&bare), &root, &err),
                          SONDE_OK);
    job = yaml_get(root, "scrape_configs")->items[0];
    t.options = yaml_get(job, "options");
    CU_ASSERT_PTR_NOT_NULL(t.options);
    CU_ASSERT_EQUAL(plugin_open(p, &t, &i, &err), SONDE_OK);
    if (!i)
        tap_note("%s in %.*s", err.text, (int)bare.len, bare.data);
    plugin_close(i);
    buf_fini(&bare);
    buf_fini(&b);
    arena_fini(&a);
    plugin_unload(p);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "loads a plugin", test_loads },
        { "refuses by content", test_refuses_content },
        { "refuses what others can write", test_refuses_writable },
        { "our own group may write", test_group_may_be_ours },
        { "refuses what belongs to strangers", test_refuses_strangers },
        { "resolves links first", test_resolves_links },
        { "checks descriptions", test_descriptions },
        { "reads tables by their stride", test_longer_rows },
        { "registry", test_registry },
        { "a collection as text", test_collect },
        { "collections that fail", test_collect_fails },
        { "openings that fail", test_open_fails },
        { "options as a check sees them", test_check_options },
        { "plans", test_plans },
        { "rounds of a plan", test_rounds },
        { "show", test_show },
        { "sample", test_sample },
    };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return TAP_RUN("plugin", tests);
}
