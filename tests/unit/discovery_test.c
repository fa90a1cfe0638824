/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discovery: target files, and a job's groups as its files come, change, go
 * bad and go. Changes are waited for until they come (a deadline far away
 * fails the test); nothing asks how long they took.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "discovery/discovery.h"
#include "unit/tap.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/str.h"

/* "a:1 b:2 {env=\"x\"}" and so on, without the path's label. */
static void print_group(struct buf *b, const struct target_group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        buf_put(b, labels_get(&g->targets[i], SONDE_STR("__address__")));
        buf_char(b, ' ');
    }
    buf_char(b, '{');
    for (size_t i = 0; i < g->labels.count; i++) {
        const struct label *l = &g->labels.items[i];

        if (!str_eq_cstr(l->name, "__meta_filepath"))
            buf_printf(b, "%.*s=%.*s,", SONDE_ARG(l->name),
                       SONDE_ARG(l->value));
    }
    buf_char(b, '}');
}

/* ---- files --------------------------------------------------------------- */

struct file_row {
    int line;
    const char *path, *text;
    const char *want; /* groups; or a part of the error after "!" */
};

static void check_files(const struct file_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct file_row *row = &rows[i];
        struct target_group *groups;
        struct sonde_err err = { 0 };
        struct arena a;
        struct buf b;
        size_t count;
        sonde_code rc;

        arena_init(&a);
        buf_init(&b);
        rc = file_sd_parse(&a, row->path, sonde_cstr(row->text), &groups,
                           &count, &err);
        for (size_t k = 0; k < count; k++) {
            print_group(&b, &groups[k]);
            ROW_ASSERT(row, str_eq_cstr(labels_get(&groups[k].labels,
                                                   SONDE_STR("__meta_"
                                                             "filepath")),
                                        row->path));
        }
        if (row->want[0] == '!') {
            ROW_ASSERT(row, rc != SONDE_OK && count == 0);
            ROW_ASSERT(row, strstr(err.text, row->want + 1) != NULL);
            if (!strstr(err.text, row->want + 1))
                tap_note("got %s", err.text);
        } else {
            ROW_ASSERT(row, rc == SONDE_OK);
            ROW_ASSERT(row, str_eq_cstr(buf_str(&b), row->want));
        }
        buf_fini(&b);
        arena_fini(&a);
    }
}
#define CHECK_FILES(rows) check_files((rows), sizeof(rows) / sizeof((rows)[0]))

static void test_json(void)
{
    static const struct file_row rows[] = {
        { __LINE__, "f.json", "[]", "" },
        { __LINE__, "f.json", "null", "" },
        { __LINE__, "f.JSON", "[{}]", "{}" },
        { __LINE__, "f.json",
          "[{\"targets\":[\"a:1\",\"b\"],\"labels\":{\"z\":\"1\",\"e\":\"x\"}},"
          "{\"targets\":[\"c\"]}]",
          "a:1 b {e=x,z=1,}c {}" },
        { __LINE__, "f.json", "[{\"Targets\":[\"a\"],\"LABELS\":{\"x\":\"\"}}]",
          "a {}" },
        { __LINE__, "f.json", "[{\"targets\":[null],\"labels\":null}]", " {}" },
        { __LINE__, "f.json", "[{\"labels\":{\"__meta_filepath\":\"no\"}}]",
          "{}" },
        { __LINE__, "f.json", "", "!f.json:" },
        { __LINE__, "f.json", "[{\"targets\":[\"a\"]}", "!f.json:1:" },
        { __LINE__, "f.json", "[] x", "!f.json:1:" },
        { __LINE__, "f.json", "{\"targets\":[]}", "!a list of target groups" },
        { __LINE__, "f.json", "[null]", "!group 1: expected an object" },
        { __LINE__, "f.json", "[{},{\"target\":[]}]",
          "!group 2: unknown key \"target\"" },
        { __LINE__, "f.json", "[{\"targets\":\"a\"}]", "!a list of strings" },
        { __LINE__, "f.json", "[{\"targets\":[1]}]", "!a string as each" },
        { __LINE__, "f.json", "[{\"labels\":[]}]", "!a map of strings" },
        { __LINE__, "f.json", "[{\"labels\":{\"a\":1}}]", "!a string as each" },
        { __LINE__, "f.json", "[{\"labels\":{\"\":\"a\"}}]", "!a name" },
        { __LINE__, "f.json", "[{\"targets\":[\"\xff\"]}]",
          "!unable to decode byte" },
        { __LINE__, "f.txt", "[]", "!.json, .yml or .yaml" },
    };

    CHECK_FILES(rows);
}

static void test_yaml(void)
{
    static const struct file_row rows[] = {
        { __LINE__, "f.yml", "", "" },
        { __LINE__, "f.yaml", "[]", "" },
        { __LINE__, "f.YML", "- {}", "{}" },
        { __LINE__, "f.yml",
          "- targets: ['a:1', b]\n  labels:\n    z: 1\n    e: x\n"
          "- targets:\n  - c\n",
          "a:1 b {e=x,z=1,}c {}" },
        { __LINE__, "f.yml", "- targets:\n  labels:\n", "{}" },
        { __LINE__, "f.yml", "- targets: [5, ]\n  labels: {x: }\n", "5 {}" },
        { __LINE__, "f.yml", "[{\"targets\": [\"a\"]}]", "a {}" },
        { __LINE__, "f.yml", "targets: [a]", "!f.yml:1:1: expected a list" },
        { __LINE__, "f.yml", "- targets: [a]\n- \n", "!f.yml:2:" },
        { __LINE__, "f.yml", "- target: [a]\n", "!f.yml:1:3: unknown key" },
        { __LINE__, "f.yml", "- Targets: [a]\n", "!f.yml:1:3: unknown key" },
        { __LINE__, "f.yml", "- targets: a\n", "!f.yml:1:" },
        { __LINE__, "f.yml", "- targets: [[a]]\n", "!f.yml:1:" },
        { __LINE__, "f.yml", "- labels: [a]\n", "!f.yml:1:" },
        { __LINE__, "f.yml", "- labels: {a: {b: c}}\n", "!f.yml:1:" },
        { __LINE__, "f.yml", "- labels: {\"\": c}\n", "!a name" },
        { __LINE__, "f.yml", "- targets: [a\n", "!f.yml:" },
    };

    CHECK_FILES(rows);
}

static void test_read(void)
{
    struct target_group *groups;
    struct sonde_err err;
    struct arena a;
    size_t n;
    char *path;

    arena_init(&a);
    path = fs_join(&a, sonde_cstr(tap_tmpdir()), SONDE_STR("read.json"));
    CU_ASSERT_EQUAL(file_sd_read(&a, path, &groups, &n, &err), SONDE_ENOTFOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
    CU_ASSERT_EQUAL(fs_write_atomic(path, SONDE_STR("[{}, {}]"), 0644, &err),
                    SONDE_OK);
    CU_ASSERT_EQUAL(file_sd_read(&a, path, &groups, &n, &err), SONDE_OK);
    CU_ASSERT_EQUAL(n, 2);
    arena_fini(&a);
}

/* ---- a job --------------------------------------------------------------- */

#define GROUPS_MAX 32

/* What the job would have: source -> printed group. */
struct seen {
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    char *sources[GROUPS_MAX], *groups[GROUPS_MAX];
    size_t count, updates;
    pthread_t updater;
};

static void seen_init(struct seen *s)
{
    pthread_condattr_t attr;

    *s = (struct seen){ 0 };
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static void seen_del(struct seen *s, size_t i)
{
    free(s->sources[i]);
    free(s->groups[i]);
    s->count--;
    s->sources[i] = s->sources[s->count];
    s->groups[i] = s->groups[s->count];
}

static void seen_fini(struct seen *s)
{
    while (s->count)
        seen_del(s, s->count - 1);
    (void)pthread_mutex_destroy(&s->mutex);
    (void)pthread_cond_destroy(&s->changed);
}

static void seen_put(struct seen *s, const struct target_group *g)
{
    struct buf b;

    for (size_t i = 0; i < s->count; i++)
        if (str_eq_cstr(g->source, s->sources[i]))
            seen_del(s, i--);
    if (g->count == 0 || s->count == GROUPS_MAX)
        return;
    buf_init(&b);
    print_group(&b, g);
    s->groups[s->count] = buf_take(&b);
    buf_put(&b, g->source);
    s->sources[s->count++] = buf_take(&b);
    buf_fini(&b);
}

static void on_update(void *arg, const struct target_group *groups, size_t n)
{
    struct seen *s = arg;

    (void)pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < n; i++)
        seen_put(s, &groups[i]);
    s->updates++;
    s->updater = pthread_self();
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->mutex);
}

static int cmp_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All groups, sorted by text. */
static bool seen_is(struct seen *s, const char *want)
{
    char *sorted[GROUPS_MAX];
    struct buf b;
    bool eq;

    buf_init(&b);
    memcpy(sorted, s->groups, sizeof(sorted));
    if (s->count)
        qsort(sorted, s->count, sizeof(*sorted), cmp_text);
    for (size_t i = 0; i < s->count; i++)
        buf_cstr(&b, sorted[i]);
    eq = str_eq_cstr(buf_str(&b), want);
    buf_fini(&b);
    return eq;
}

/* Waits until the job has exactly these groups. */
static bool seen_wait(struct seen *s, const char *want)
{
    struct timespec deadline =
        clock_timespec(clock_monotonic(&clock_system) + 30000);
    bool is;

    (void)pthread_mutex_lock(&s->mutex);
    while (!(is = seen_is(s, want)) &&
           pthread_cond_timedwait(&s->changed, &s->mutex, &deadline) == 0)
        continue;
    if (!is)
        tap_note("never came: %s", want);
    (void)pthread_mutex_unlock(&s->mutex);
    return is;
}

/* A folder with files, and a job of one file_sd_config over it. */
struct place {
    struct arena arena;
    char *dir;
    sonde_str patterns[2];
    struct file_sd_config config;
    struct discovery_job job;
    struct seen seen;
    struct selfmetrics *metrics;
    struct discovery *discovery;
};

static void place_init(struct place *p, const char *name, const char *pattern)
{
    struct sonde_err err;

    *p = (struct place){ .metrics = selfmetrics_new() };
    arena_init(&p->arena);
    seen_init(&p->seen);
    p->dir = fs_join(&p->arena, sonde_cstr(tap_tmpdir()), sonde_cstr(name));
    CU_ASSERT_EQUAL_FATAL(fs_mkdirs(p->dir, 0755, &err), SONDE_OK);
    p->patterns[0] =
        sonde_cstr(fs_join(&p->arena, sonde_cstr(p->dir), sonde_cstr(pattern)));
    p->config = (struct file_sd_config){ .files = { p->patterns, 1 },
                                         .refresh_interval = 3600000 };
    p->job = (struct discovery_job){ .job = { "a\"job", 5 },
                                     .files = &p->config,
                                     .file_count = 1 };
}

static void place_start(struct place *p)
{
    struct sonde_err err;

    CU_ASSERT_EQUAL_FATAL(discovery_start(&p->job, p->metrics, on_update,
                                          &p->seen, &p->discovery, &err),
                          SONDE_OK);
}

static void place_fini(struct place *p)
{
    discovery_stop(p->discovery);
    selfmetrics_free(p->metrics);
    seen_fini(&p->seen);
    arena_fini(&p->arena);
}

static char *place_path(struct place *p, const char *file)
{
    return fs_join(&p->arena, sonde_cstr(p->dir), sonde_cstr(file));
}

static void place_write(struct place *p, const char *file, const char *text)
{
    struct sonde_err err;

    CU_ASSERT_EQUAL(
        fs_write_atomic(place_path(p, file), sonde_cstr(text), 0644, &err),
        SONDE_OK);
}

static bool place_page_has(struct place *p, const char *line)
{
    struct buf b;
    char *page;
    bool has;

    buf_init(&b);
    selfmetrics_write(p->metrics, &b);
    page = buf_take(&b);
    has = strstr(page, line) != NULL;
    free(page);
    return has;
}

static void test_static(void)
{
    static const sonde_str first[] = { { "a:1", 3 }, { "b:2", 3 } };
    static const sonde_str second[] = { { "c", 1 } };
    static const sonde_str value = { "x", 1 };
    struct config_pair env = { .key = { "env", 3 }, .values = { &value, 1 } };
    struct static_config statics[] = {
        { .targets = { first, 2 }, .labels = { &env, 1 } },
        { .targets = { second, 1 } },
    };
    struct discovery_job job = { .job = { "j", 1 },
                                 .statics = statics,
                                 .static_count = 2 };
    struct discovery *d;
    struct sonde_err err;
    struct seen s;

    seen_init(&s);
    CU_ASSERT_EQUAL(discovery_start(&job, NULL, on_update, &s, &d, &err),
                    SONDE_OK);
    CU_ASSERT_TRUE(seen_is(&s, "a:1 b:2 {env=x,}c {}"));
    CU_ASSERT_EQUAL(s.updates, 1);
    CU_ASSERT_TRUE(pthread_equal(s.updater, pthread_self()));
    discovery_stop(d);
    seen_fini(&s);
}

static void test_nothing_at_once(void)
{
    struct place p;

    place_init(&p, "nothing", "*.json");
    place_start(&p);
    CU_ASSERT_EQUAL(p.seen.updates, 1);
    CU_ASSERT_TRUE(seen_is(&p.seen, ""));
    place_fini(&p);
    discovery_stop(NULL);
}

static void test_files_come_and_go(void)
{
    struct place p;

    place_init(&p, "life", "t*.json");
    place_write(&p, "t1.json", "[{\"targets\":[\"a\"]},{\"targets\":[\"b\"]}]");
    place_write(&p, "other.json", "[{\"targets\":[\"no\"]}]");
    place_start(&p);
    CU_ASSERT_TRUE(seen_is(&p.seen, "a {}b {}"));
    CU_ASSERT_TRUE(
        place_page_has(&p, "prometheus_sd_discovered_targets{name=\"scrape\","
                           "config=\"a\\\"job\"} 2\n"));
    CU_ASSERT_TRUE(place_page_has(&p, "t1.json\"} 1"));
    /* fewer groups in it, another beside it */
    place_write(&p, "t1.json", "[{\"targets\":[\"a2\"]}]");
    CU_ASSERT_TRUE(seen_wait(&p.seen, "a2 {}"));
    place_write(&p, "t2.json", "[{\"targets\":[\"c\", \"d\"]}]");
    CU_ASSERT_TRUE(seen_wait(&p.seen, "a2 {}c d {}"));
    CU_ASSERT_EQUAL(unlink(place_path(&p, "t1.json")), 0);
    CU_ASSERT_TRUE(seen_wait(&p.seen, "c d {}"));
    CU_ASSERT_FALSE(place_page_has(&p, "t1.json"));
    CU_ASSERT_EQUAL(rename(place_path(&p, "t2.json"), place_path(&p, "u.json")),
                    0);
    CU_ASSERT_TRUE(seen_wait(&p.seen, ""));
    place_fini(&p);
}

static void test_bad_file_keeps_groups(void)
{
    struct place p;

    place_init(&p, "bad", "*.yml");
    place_write(&p, "a.yml", "- targets: [a]");
    place_write(&p, "b.yml", "- targets: [b]");
    place_start(&p);
    CU_ASSERT_TRUE(seen_is(&p.seen, "a {}b {}"));
    place_write(&p, "a.yml", "- target: [x]");
    /* the good one beside it says when it was looked at */
    place_write(&p, "b.yml", "- targets: [b2]");
    CU_ASSERT_TRUE(seen_wait(&p.seen, "a {}b2 {}"));
    CU_ASSERT_TRUE(
        place_page_has(&p, "prometheus_sd_file_read_errors_total 1\n"));
    place_write(&p, "a.yml", "- targets: [a2]");
    CU_ASSERT_TRUE(seen_wait(&p.seen, "a2 {}b2 {}"));
    place_fini(&p);
}

/* A mounted ConfigMap: t.yml -> ..data/t.yml, ..data -> a folder. */
static void test_symlinked_folder(void)
{
    struct sonde_err err;
    struct place p;

    place_init(&p, "mount", "t.yml");
    CU_ASSERT_EQUAL(fs_mkdirs(place_path(&p, "v1"), 0755, &err), SONDE_OK);
    CU_ASSERT_EQUAL(fs_mkdirs(place_path(&p, "v2"), 0755, &err), SONDE_OK);
    place_write(&p, "v1/t.yml", "- targets: [one]");
    place_write(&p, "v2/t.yml", "- targets: [two]");
    CU_ASSERT_EQUAL(symlink("v1", place_path(&p, "..data")), 0);
    CU_ASSERT_EQUAL(symlink("..data/t.yml", place_path(&p, "t.yml")), 0);
    place_start(&p);
    CU_ASSERT_TRUE(seen_is(&p.seen, "one {}"));
    CU_ASSERT_EQUAL(symlink("v2", place_path(&p, "..tmp")), 0);
    CU_ASSERT_EQUAL(rename(place_path(&p, "..tmp"), place_path(&p, "..data")),
                    0);
    CU_ASSERT_TRUE(seen_wait(&p.seen, "two {}"));
    place_fini(&p);
}

/* A folder that is not there yet is found by the interval. */
static void test_folder_comes_later(void)
{
    struct sonde_err err;
    struct place p;

    place_init(&p, "later", "sub/*.json");
    p.config.refresh_interval = 20;
    place_start(&p);
    CU_ASSERT_TRUE(seen_is(&p.seen, ""));
    CU_ASSERT_EQUAL(fs_mkdirs(place_path(&p, "sub"), 0755, &err), SONDE_OK);
    place_write(&p, "sub/a.json", "[{\"targets\":[\"a\"]}]");
    CU_ASSERT_TRUE(seen_wait(&p.seen, "a {}"));
    CU_ASSERT_EQUAL(fs_remove_all(place_path(&p, "sub"), &err), SONDE_OK);
    CU_ASSERT_TRUE(seen_wait(&p.seen, ""));
    place_fini(&p);
}

/* One file by two patterns is read once; both formats side by side. */
static void test_patterns_overlap(void)
{
    struct place p;

    place_init(&p, "overlap", "[ab].json");
    p.patterns[1] = sonde_cstr(place_path(&p, "a.*"));
    p.config.files.count = 2;
    place_write(&p, "a.json", "[{\"targets\":[\"a\"]}]");
    place_write(&p, "a.yaml", "- targets: [y]");
    place_write(&p, "b.json", "[{\"targets\":[\"b\"]}]");
    place_write(&p, "c.json", "[{\"targets\":[\"c\"]}]");
    place_start(&p);
    CU_ASSERT_TRUE(seen_is(&p.seen, "a {}b {}y {}"));
    place_fini(&p);
}

static const struct tap_test tests[] = {
    { "a JSON file is read strictly", test_json },
    { "a YAML file is read strictly", test_yaml },
    { "a file is read from disk", test_read },
    { "static groups come at once, in the caller's thread", test_static },
    { "a job without targets is told so", test_nothing_at_once },
    { "files come, change and go", test_files_come_and_go },
    { "a bad file keeps its groups", test_bad_file_keeps_groups },
    { "a symlink beside the files is followed", test_symlinked_folder },
    { "a folder may come later", test_folder_comes_later },
    { "patterns may overlap", test_patterns_overlap },
};

int main(void)
{
    log_setup(LOG_ERROR, LOG_LOGFMT);
    return TAP_RUN("discovery", tests);
}
