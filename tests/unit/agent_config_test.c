/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent: config. The files of tests/unit/config: NAME.good.yml loads (and is
 * printed as NAME.good.out, if that is there), NAME.bad.yml fails with the
 * message of NAME.bad.txt in it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "unit/tap.h"
#include "util/fs.h"
#include "util/str.h"

/* ---- a plugin without a file ------------------------------------------- */

struct fake_options {
    sonde_str user, pin, file;
    sonde_str password;
};
static const struct sonde_option fake_rows[] = {
    SONDE_OPT_STR(struct fake_options, user, .flags = SONDE_OPT_REQUIRED,
                  .help = "The user"),
    SONDE_OPT_SECRET(struct fake_options, pin),
    SONDE_OPT_SECRET(struct fake_options, password),
    SONDE_OPT_FILE(struct fake_options, file),
};
static const struct sonde_plugin fake_desc = {
    SONDE_PLUGIN_HEAD,
    .name = "fake",
    SONDE_PLUGIN_OPTIONS(fake_rows, struct fake_options),
};
static const struct sonde_plugin text_desc = {
    SONDE_PLUGIN_HEAD,
    .name = "prometheus",
};
struct plugin {
    const struct sonde_plugin *desc;
};
static const struct plugin fakes[] = { { &fake_desc }, { &text_desc } };

sonde_code plugin_find(const struct plugins *p, sonde_str name,
                       const struct plugin **out, struct sonde_err *err)
{
    (void)p;
    for (size_t i = 0; i < sizeof(fakes) / sizeof(fakes[0]); i++)
        if (str_eq_cstr(name, fakes[i].desc->name)) {
            *out = &fakes[i];
            return SONDE_OK;
        }
    return sonde_err_set(err, SONDE_ENOTFOUND, "no plugin \"%.*s\"",
                         SONDE_ARG(name));
}

const struct sonde_plugin *plugin_desc(const struct plugin *p)
{
    return p->desc;
}

sonde_code plugin_check_options(const struct plugin *p, struct config_ctx *ctx,
                                const struct yaml_node *node,
                                struct sonde_err *err)
{
    struct fake_options o;

    return options_read(ctx, p->desc->options, p->desc->option_count,
                        p->desc->option_size, node, NULL, &o, err);
}

/* ---- the files --------------------------------------------------------- */

static struct config *load(const char *file, struct sonde_err *err)
{
    struct config_load l = { .file = file,
                             .plugins = (const struct plugins *)fakes };
    struct config *c;

    err->text[0] = 0;
    return config_load(&l, &c, err) == SONDE_OK ? c : NULL;
}

static sonde_str text_of(struct arena *a, sonde_str stem, const char *suffix)
{
    struct buf b = { 0 };
    sonde_str out = { 0 };

    if (fs_read(arena_printf(a, "%.*s%s", SONDE_ARG(stem), suffix).ptr, 1 << 20,
                &b, NULL) == SONDE_OK)
        out = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return out;
}

static void check_good(struct arena *a, const char *name)
{
    sonde_str stem = str_sub(sonde_cstr(name), 0, strlen(name) - 4), want;
    struct sonde_err err;
    struct config *c = load(name, &err);

    CU_ASSERT_PTR_NOT_NULL(c);
    if (!c) {
        tap_note("%s: %s", name, err.text);
        return;
    }
    CU_ASSERT_PTR_NULL(strstr(c->yaml.ptr, "hidden-"));
    want = text_of(a, stem, ".out");
    if (want.ptr && !sonde_str_eq(c->yaml, want)) {
        tap_note("%s is printed as\n%s", name, c->yaml.ptr);
        CU_FAIL("printed otherwise");
    }
    config_unref(c);
}

static void check_bad(struct arena *a, const char *name)
{
    sonde_str stem = str_sub(sonde_cstr(name), 0, strlen(name) - 4);
    sonde_str want = str_trim(text_of(a, stem, ".txt"));
    struct sonde_err err;
    struct config *c = load(name, &err);

    CU_ASSERT_PTR_NULL(c);
    config_unref(c);
    CU_ASSERT_TRUE(want.len > 0);
    if (want.len && !strstr(err.text, arena_cstr(a, want))) {
        tap_note("%s: got \"%s\", want \"%.*s\"", name, err.text,
                 SONDE_ARG(want));
        CU_FAIL("another message");
    }
}

static size_t each_fixture(const char *suffix,
                           void (*check)(struct arena *a, const char *name))
{
    struct fs_names names;
    struct arena a;
    size_t n = 0;

    arena_init(&a);
    CU_ASSERT_EQUAL_FATAL(fs_list(".", &names, NULL), SONDE_OK);
    for (size_t i = 0; i < names.count; i++) {
        if (!str_ends(sonde_cstr(names.items[i]), sonde_cstr(suffix)))
            continue;
        check(&a, names.items[i]);
        n++;
    }
    fs_names_fini(&names);
    arena_fini(&a);
    return n;
}

static void test_good(void)
{
    CU_ASSERT(each_fixture(".good.yml", check_good) >= 3);
}

static void test_bad(void)
{
    CU_ASSERT(each_fixture(".bad.yml", check_bad) >= 40);
}

/* ---- what the object says ---------------------------------------------- */

static bool has_warning(const struct config *c, const char *part)
{
    for (size_t i = 0; i < c->warnings.count; i++)
        if (strstr(c->warnings.items[i].ptr, part))
            return true;
    tap_note("no warning with %s", part);
    return false;
}

static void test_full(void)
{
    struct sonde_err err;
    struct config *c = load("full.good.yml", &err);
    const struct scrape_config *all;
    const struct config_map *labels;

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL(c->job_count, 4);
    CU_ASSERT_EQUAL(c->remote_count, 2);
    CU_ASSERT_EQUAL(c->evaluation_interval, 30000);
    CU_ASSERT_EQUAL(c->globals.scrape_timeout, 5000);
    all = c->jobs[0];
    CU_ASSERT_EQUAL(all->sample_limit, 1);
    CU_ASSERT_EQUAL(all->http.http_headers_plain.items[0].values.count, 2);
    CU_ASSERT_EQUAL(all->http.tls_config.min_version, 3);
    CU_ASSERT_EQUAL(c->jobs[1]->sample_limit, 1000);
    CU_ASSERT_EQUAL(c->jobs[1]->metric_name_validation_scheme, 2);
    CU_ASSERT_STRING_EQUAL(c->jobs[2]->http.authorization->credentials.ptr,
                           "hidden-9");
    CU_ASSERT_EQUAL(c->jobs[2]->scrape_interval, 5000);
    CU_ASSERT_EQUAL(c->jobs[3]->relabel_configs.count, 1);
    CU_ASSERT_FALSE(c->remotes[1]->http.enable_http2);
    labels = &c->globals.external_labels;
    CU_ASSERT_EQUAL_FATAL(labels->count, 3);
    CU_ASSERT_STRING_EQUAL(labels->items[0].values.items[0].ptr, "/h///h//$5");
    CU_ASSERT(has_warning(c, "full.good.yml:26:1: \"runtime\" in "
                             "configuration file has no effect yet"));
    CU_ASSERT(has_warning(c, "\"alerting\" in configuration file"));
    CU_ASSERT(has_warning(c, "\"rule_files\" in configuration file"));
    CU_ASSERT(has_warning(c, "\"kubernetes_sd_configs\" in scrape_config"));
    CU_ASSERT(has_warning(c, "\"oauth2\" in scrape_config"));
    CU_ASSERT(has_warning(c, "\"send_exemplars\" in remote_write"));
    CU_ASSERT_PTR_NOT_NULL(strstr(c->yaml.ptr, "source_labels:"));
    config_unref(c);
}

static void test_snippets(void)
{
    struct sonde_err err;
    struct config *c = load("snippets/main.yml", &err);

    CU_ASSERT_PTR_NOT_NULL(c);
    if (!c) {
        tap_note("%s", err.text);
        return;
    }
    CU_ASSERT_EQUAL_FATAL(c->job_count, 3);
    CU_ASSERT_STRING_EQUAL(c->jobs[0]->job_name.ptr, "main");
    CU_ASSERT_STRING_EQUAL(c->jobs[1]->job_name.ptr, "a");
    CU_ASSERT_STRING_EQUAL(c->jobs[2]->job_name.ptr, "b");
    CU_ASSERT_EQUAL(c->jobs[2]->scrape_interval, 7000);
    CU_ASSERT_STRING_EQUAL(c->jobs[2]->http.basic_auth->password_file.ptr,
                           "snippets/conf.d/pw");
    CU_ASSERT_EQUAL(c->remote_count, 1);
    CU_ASSERT_EQUAL(c->files.count, 4);
    CU_ASSERT_STRING_EQUAL(c->rule_files.items[0].ptr, "snippets/conf.d/r.yml");
    CU_ASSERT_PTR_NOT_NULL(strstr(c->yaml.ptr, "pin: <secret>"));
    CU_ASSERT_PTR_NULL(strstr(c->yaml.ptr, "hidden-20"));
    CU_ASSERT_PTR_EQUAL(config_ref(c), c);
    config_unref(c);
    config_unref(c);
}

static void test_absent_file(void)
{
    struct sonde_err err;

    CU_ASSERT_PTR_NULL(load("nowhere/sonde.yml", &err));
    CU_ASSERT_STRING_EQUAL(err.text,
                           "there is no configuration file nowhere/sonde.yml: "
                           "create it, or name another one with "
                           "--config.file");
}

/* What is printed loads again, as far as it is not secret or a file. */
static void test_print_loads(void)
{
    struct sonde_err err;
    struct config *c = load("minimal.good.yml", &err), *again;
    const char *path;
    struct arena a;

    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    arena_init(&a);
    path = fs_join(&a, sonde_cstr(tap_tmpdir()), SONDE_STR("p.yml"));
    CU_ASSERT_EQUAL(fs_write_atomic(path, c->yaml, 0644, &err), SONDE_OK);
    again = load(path, &err);
    CU_ASSERT_PTR_NOT_NULL(again);
    if (again)
        CU_ASSERT(sonde_str_eq(again->yaml, c->yaml));
    config_unref(again);
    config_unref(c);
    arena_fini(&a);
}

static void test_document(void)
{
    struct buf b = { 0 };

    config_document_all(&b);
    buf_char(&b, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "### scrape_config\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "### remote_write\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "### included file\n"));
    buf_fini(&b);
}

static const struct tap_test tests[] = {
    { "good files load and print", test_good },
    { "bad files are errors with their place", test_bad },
    { "every section is read or said to have no effect", test_full },
    { "snippets beside the main file are read", test_snippets },
    { "an absent file says what to do", test_absent_file },
    { "what is printed loads again", test_print_loads },
    { "the tables document themselves", test_document },
};

int main(void)
{
    const char *src = getenv("SONDE_SRC_DIR");
    char dir[4096];

    (void)snprintf(dir, sizeof(dir), "%s/tests/unit/config", src ? src : ".");
    if (chdir(dir) != 0) {
        perror(dir);
        return 99;
    }
    (void)setenv("AGENT_CONFIG_TEST_HOME", "/h/", 1);
    return TAP_RUN("agent_config", tests);
}
