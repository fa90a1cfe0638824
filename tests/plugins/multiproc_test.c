/* SPDX-License-Identifier: Apache-2.0 */
/* Multiprocess files under the fake host: the form of names, files and keys,
 * how values of many processes become one, processes that are gone, and what
 * is refused. The plugin is `prometheus`; `fastapi` reads by the same code. */
#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sonde/testing.h>

#include "plugins/db_writer.h"
#include "python/db_file.h"
#include "python/key.h"
#include "python/merge.h"
#include "unit/tap.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- a folder ------------------------------------------------------------ */

/* A new empty folder of the test's own. */
static const char *fresh_dir(void)
{
    static char path[4096];
    static int n;

    (void)snprintf(path, sizeof(path), "%s/m%d", tap_tmpdir(), n++);
    if (mkdir(path, 0700) != 0)
        abort();
    return path;
}

/* A file of one value. */
static void save_one(const char *dir, const char *name, const char *key,
                     double value, double stamp)
{
    static struct db_writer w;

    db_writer_begin(&w, true);
    db_writer_add(&w, key, value, stamp);
    db_writer_save(&w, dir, name, 0);
}

static void unlink_in(const char *dir, const char *name)
{
    char path[4200];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    (void)unlink(path);
}

static void start(struct sonde_fake *f, const char *dir)
{
    sonde_fake_init(f, sonde_plugin_entry);
    (void)sonde_fake_option(f, "multiproc_dir", dir);
}

static sonde_code collect(struct sonde_fake *f)
{
    return sonde_fake_collect(f, 5000);
}

static void start_open(struct sonde_fake *f, const char *dir)
{
    start(f, dir);
    CU_ASSERT_EQUAL(sonde_fake_open(f, "h:80"), SONDE_OK);
}

static double value(struct sonde_fake *f, const char *series)
{
    return sonde_fake_value(f, series);
}

/* ---- names, files, keys -------------------------------------------------- */

static void test_names(void)
{
    static const struct {
        int line;
        const char *file;
        bool ok;
        enum db_kind kind;
        enum db_mode mode;
        bool live;
        const char *pid;
    } rows[] = {
        { __LINE__, "counter_12.db", true, DB_COUNTER, 0, false, "12" },
        { __LINE__, "histogram_1.db", true, DB_HISTOGRAM, 0, false, "1" },
        { __LINE__, "summary_w_1.db", true, DB_SUMMARY, 0, false, "w_1" },
        { __LINE__, "gauge_all_7.db", true, DB_GAUGE, DB_ALL, false, "7" },
        { __LINE__, "gauge_liveall_7.db", true, DB_GAUGE, DB_ALL, true, "7" },
        { __LINE__, "gauge_min_7.db", true, DB_GAUGE, DB_MIN, false, "7" },
        { __LINE__, "gauge_livemax_7.db", true, DB_GAUGE, DB_MAX, true, "7" },
        { __LINE__, "gauge_livesum_7.db", true, DB_GAUGE, DB_SUM, true, "7" },
        { __LINE__, "gauge_mostrecent_7.db", true, DB_GAUGE, DB_MOST_RECENT,
          false, "7" },
        { __LINE__, "gauge_livemostrecent_7.db", true, DB_GAUGE, DB_MOST_RECENT,
          true, "7" },
        { __LINE__, "gauge_7.db", false, 0, 0, false, "" },
        { __LINE__, "gauge_often_7.db", false, 0, 0, false, "" },
        { __LINE__, "gauge_all_.db", false, 0, 0, false, "" },
        { __LINE__, "counter_.db", false, 0, 0, false, "" },
        { __LINE__, "counter_1\xff.db", false, 0, 0, false, "" },
        { __LINE__, "counter_1.txt", false, 0, 0, false, "" },
        { __LINE__, ".db", false, 0, 0, false, "" },
        { __LINE__, "", false, 0, 0, false, "" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct db_name n;
        bool ok = db_name_parse(sonde_cstr(rows[i].file), &n);

        ROW_ASSERT(&rows[i], ok == rows[i].ok);
        if (!ok)
            continue;
        ROW_ASSERT(&rows[i], n.kind == rows[i].kind);
        ROW_ASSERT(&rows[i], n.mode == rows[i].mode);
        ROW_ASSERT(&rows[i], n.live == rows[i].live);
        ROW_ASSERT(&rows[i], sonde_str_eq(n.pid, sonde_cstr(rows[i].pid)));
    }
}

/* How many entries a walk gives. */
static size_t walk(const char *data, size_t len, double *sum, bool *damaged)
{
    struct db_walk w;
    struct db_entry e;
    size_t n = 0;

    *sum = 0;
    for (db_walk_begin(&w, data, len); db_walk_next(&w, &e); n++)
        *sum += e.value;
    *damaged = w.damaged;
    return n;
}

/* Both forms, of any number of entries, whole and cut at every byte. */
static void test_layouts(void)
{
    static struct db_writer w;
    double sum;
    bool damaged;

    for (int stamps = 0; stamps < 2; stamps++) {
        for (size_t n = 0; n < 20; n++) {
            size_t last = 0;

            db_writer_begin(&w, stamps);
            for (size_t i = 0; i < n; i++) {
                char key[64];

                last = w.used;
                (void)snprintf(key, sizeof(key), "[\"m\",\"%.*s\",{}]", (int)i,
                               "abcdefghijklmnopqrstuvwxyz");
                db_writer_add(&w, key, 1, 1.7e9 + (double)i / 3);
            }
            CU_ASSERT_EQUAL(walk(w.data, sizeof(w.data), &sum, &damaged), n);
            CU_ASSERT_EQUAL(sum, (double)n);
            CU_ASSERT_FALSE(damaged);
            for (size_t cut = 0; cut < w.used; cut++) {
                char *copy = malloc(cut + 1); /* for the sanitizer */
                size_t got;

                memcpy(copy, w.data, cut);
                got = walk(copy, cut, &sum, &damaged);
                CU_ASSERT_TRUE(got < n || n == 0 || (n == 1 && stamps));
                CU_ASSERT_EQUAL(sum, (double)got);
                CU_ASSERT_TRUE(cut < 8 || damaged);
                CU_ASSERT_TRUE(cut < last || n < 2 || got + 1 == n);
                free(copy);
            }
        }
    }
}

static void test_damaged_files(void)
{
    static const struct {
        int line;
        const char *what;
        uint32_t used, len; /* of the second entry; 0: as it is */
        size_t want;
        bool damaged;
    } rows[] = {
        { __LINE__, "whole", 0, 0, 3, false },
        { __LINE__, "nothing in use yet", UINT32_MAX, 0, 0, false },
        { __LINE__, "no head", 4, 0, 0, true },
        { __LINE__, "more in use than there is", 1 << 20, 0, 3, true },
        { __LINE__, "a key longer than the file", 0, 1 << 20, 1, true },
        { __LINE__, "a key longer than anything", 0, 0xfffffff0, 1, true },
        { __LINE__, "a key of the wrong length", 0, 5, 1, true },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        static struct db_writer w;
        uint32_t used = rows[i].used == UINT32_MAX ? 0 : rows[i].used;
        double sum;
        bool damaged;
        size_t n;

        db_writer_begin(&w, true);
        for (int k = 0; k < 3; k++)
            db_writer_add(&w, "[\"m\", \"m\", {}, \"\"]", 1, 0);
        if (rows[i].used)
            memcpy(w.data, &used, 4);
        if (rows[i].len)
            memcpy(w.data + 8 + (w.used - 8) / 3, &rows[i].len, 4);
        n = walk(w.data, sizeof(w.data), &sum, &damaged);
        ROW_ASSERT(&rows[i],
                   n == rows[i].want || (rows[i].used == 1 << 20 && n == 3));
        ROW_ASSERT(&rows[i], damaged == rows[i].damaged);
    }
}

static void test_keys(void)
{
    static const struct {
        int line;
        enum db_kind kind;
        const char *key;
        bool ok;
        const char *family, *labels; /* "a=1,b=2," */
    } rows[] = {
        { __LINE__, DB_COUNTER,
          "[\"x\",\"x_total\",{\"b\":\"2\",\"a\":\"1\"}"
          ",\"help\"]",
          true, "x_total", "a=1,b=2," },
        { __LINE__, DB_COUNTER, "[\"x\",\"x_total\",{}]", true, "x_total",
          "" }, /* before there was help */
        { __LINE__, DB_COUNTER, "[\"x\",\"x_total\",{\"a\":\"\"},\"\"]", true,
          "x_total", "" },
        { __LINE__, DB_COUNTER,
          "[\"x\",\"x\",{\"a\":\"\\u00e9\\n\\\"\\u0000\"},\"\"]", true, "x",
          "a=\xc3\xa9\n\"" },
        { __LINE__, DB_GAUGE, "[\"g\",\"g\",{\"pid\":\"3\",\"a\":\"1\"},\"\"]",
          true, "g", "a=1," },
        { __LINE__, DB_HISTOGRAM,
          "[\"h\",\"h_bucket\",{\"le\":\"+Inf\",\"a\":\"1\"},\"\"]", true, "h",
          "a=1," },
        { __LINE__, DB_HISTOGRAM, "[\"h\",\"h_sum\",{},\"\"]", true, "h", "" },
        { __LINE__, DB_SUMMARY, "[\"s\",\"s_count\",{},\"\"]", true, "s", "" },
        { __LINE__, DB_HISTOGRAM, "[\"h\",\"h_count\",{},\"\"]", false, 0, 0 },
        { __LINE__, DB_HISTOGRAM, "[\"h\",\"h_bucket\",{\"le\":\"x\"},\"\"]",
          false, 0, 0 },
        { __LINE__, DB_HISTOGRAM, "[\"h\",\"h_bucket\",{\"le\":\"nan\"},\"\"]",
          false, 0, 0 },
        { __LINE__, DB_HISTOGRAM, "[\"h\",\"h_bucket\",{\"le\":\"\"},\"\"]",
          false, 0, 0 },
        { __LINE__, DB_SUMMARY, "[\"s\",\"other_sum\",{},\"\"]", false, 0, 0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"x y\",{},\"\"]", false, 0, 0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"1x\",{},\"\"]", false, 0, 0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"\",{},\"\"]", false, 0, 0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"x\",{\"__a\":\"1\"},\"\"]", false, 0,
          0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"x\",{\"a-b\":\"1\"},\"\"]", false, 0,
          0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"x\",{\"a\":1},\"\"]", false, 0, 0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"x\",{\"a\":\"\\ud800\"},\"\"]", false,
          0, 0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"x\",{\"a\":\"\xff\"},\"\"]", false, 0,
          0 },
        { __LINE__, DB_COUNTER, "[\"x\",\"x\"]", false, 0, 0 },
        { __LINE__, DB_COUNTER, "[]", false, 0, 0 },
        { __LINE__, DB_COUNTER, "[\"x\"", false, 0, 0 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char labels[256] = "";
        struct key k;
        bool ok = key_parse(sonde_cstr(rows[i].key), rows[i].kind, &k);

        ROW_ASSERT(&rows[i], ok == rows[i].ok);
        for (size_t n = 0; ok && n < k.label_count; n++)
            (void)snprintf(labels + strlen(labels),
                           sizeof(labels) - strlen(labels), "%.*s=%.*s,",
                           SONDE_ARG(k.labels[n].name),
                           SONDE_ARG(k.labels[n].value));
        if (ok) {
            ROW_ASSERT(&rows[i],
                       sonde_str_eq(k.family, sonde_cstr(rows[i].family)));
            ROW_ASSERT(&rows[i], strncmp(labels, rows[i].labels,
                                         strlen(rows[i].labels)) == 0);
        }
        key_fini(&k);
    }
}

/* ---- merging ------------------------------------------------------------- */

#define GAUGE_KEY "[\"g\", \"g\", {\"a\": \"1\"}, \"h\"]"

/* Three processes with 2, -1 and 5, set at 30, 50 and 40. */
static void test_gauge_modes(void)
{
    static const struct {
        int line;
        const char *mode, *rule; /* rule: a gauge_modes item or NULL */
        double one, p1, p2, p3;  /* without pid, and by pid */
    } rows[] = {
        { __LINE__, "all", NULL, NAN, 2, -1, 5 },
        { __LINE__, "liveall", NULL, NAN, 2, -1, 5 },
        { __LINE__, "min", NULL, -1, NAN, NAN, NAN },
        { __LINE__, "livemin", NULL, -1, NAN, NAN, NAN },
        { __LINE__, "max", NULL, 5, NAN, NAN, NAN },
        { __LINE__, "livemax", NULL, 5, NAN, NAN, NAN },
        { __LINE__, "sum", NULL, 6, NAN, NAN, NAN },
        { __LINE__, "livesum", NULL, 6, NAN, NAN, NAN },
        { __LINE__, "mostrecent", NULL, -1, NAN, NAN, NAN },
        { __LINE__, "livemostrecent", NULL, -1, NAN, NAN, NAN },
        { __LINE__, "all", "g=max", 5, NAN, NAN, NAN },
        { __LINE__, "all", "*=sum", 6, NAN, NAN, NAN },
        { __LINE__, "sum", "g*=all", NAN, 2, -1, 5 },
        { __LINE__, "sum", "gg*=all", 6, NAN, NAN, NAN },
        { __LINE__, "sum", "gg=all", 6, NAN, NAN, NAN },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        static const double values[] = { 2, -1, 5 }, stamps[] = { 30, 50, 40 };
        const double by_pid[] = { rows[i].p1, rows[i].p2, rows[i].p3 };
        const char *dir = fresh_dir();
        struct sonde_fake f;

        for (int k = 0; k < 3; k++) {
            char name[64];

            (void)snprintf(name, sizeof(name), "gauge_%s_%d.db", rows[i].mode,
                           k + 1);
            save_one(dir, name, GAUGE_KEY, values[k], stamps[k]);
        }
        start(&f, dir);
        if (rows[i].rule)
            (void)sonde_fake_option(&f, "gauge_modes", rows[i].rule);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        for (int again = 0; again < 2; again++) {
            double one;

            ROW_ASSERT(&rows[i], collect(&f) == SONDE_OK);
            one = value(&f, "g{a=\"1\"}");
            ROW_ASSERT(&rows[i], one == rows[i].one ||
                                     (isnan(one) && isnan(rows[i].one)));
            for (int k = 0; k < 3; k++) {
                char series[64];
                double v;

                (void)snprintf(series, sizeof(series), "g{a=\"1\",pid=\"%d\"}",
                               k + 1);
                v = value(&f, series);
                ROW_ASSERT(&rows[i],
                           v == by_pid[k] || (isnan(v) && isnan(by_pid[k])));
            }
        }
        sonde_fake_fini(&f);
    }
}

/* A gauge that was never set has no time, and no value in these modes. */
static void test_never_set(void)
{
    const char *dir = fresh_dir();
    struct sonde_fake f;

    save_one(dir, "gauge_mostrecent_1.db", GAUGE_KEY, 0, 0);
    start_open(&f, dir);
    CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
    CU_ASSERT_TRUE(isnan(value(&f, "g{a=\"1\"}")));
    sonde_fake_fini(&f);
}

static void save_process(const char *dir, const char *pid, bool stamps,
                         double n)
{
    static struct db_writer w;
    char name[64];

    db_writer_begin(&w, stamps);
    db_writer_add(&w, "[\"c\", \"c_total\", {\"a\": \"x\"}, \"Help\"]", n, 0);
    db_writer_add(&w, "[\"c\", \"c_total\", {\"a\": \"y\"}, \"Help\"]", 1, 0);
    (void)snprintf(name, sizeof(name), "counter_%s.db", pid);
    db_writer_save(&w, dir, name, 0);
    db_writer_begin(&w, stamps);
    db_writer_add(&w, "[\"h\", \"h_sum\", {\"a\": \"x\"}, \"\"]", n / 2, 0);
    db_writer_add(&w,
                  "[\"h\", \"h_bucket\", {\"a\": \"x\", \"le\": \"2.50\"},"
                  " \"\"]",
                  n, 0);
    db_writer_add(&w,
                  "[\"h\", \"h_bucket\", {\"a\": \"x\", \"le\": \"+Inf\"},"
                  " \"\"]",
                  2, 0);
    db_writer_add(&w,
                  "[\"h\", \"h_bucket\", {\"a\": \"x\", \"le\": \"0.5\"},"
                  " \"\"]",
                  1, 0);
    (void)snprintf(name, sizeof(name), "histogram_%s.db", pid);
    db_writer_save(&w, dir, name, 0);
    db_writer_begin(&w, stamps);
    db_writer_add(&w, "[\"s\", \"s_count\", {}, \"\"]", n, 0);
    db_writer_add(&w, "[\"s\", \"s_sum\", {}, \"\"]", 1.5, 0);
    (void)snprintf(name, sizeof(name), "summary_%s.db", pid);
    db_writer_save(&w, dir, name, 0);
}

/* Sums over processes, in both forms at once, and as processes come and go. */
static void test_sums(void)
{
    const char *dir = fresh_dir();
    struct sonde_fake f;

    save_process(dir, "1", false, 3);
    save_process(dir, "2", true, 4);
    start_open(&f, dir);
    CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
    CU_ASSERT_EQUAL(value(&f, "c_total{a=\"x\"}"), 7);
    CU_ASSERT_EQUAL(value(&f, "c_total{a=\"y\"}"), 2);
    CU_ASSERT_EQUAL(value(&f, "h_bucket{a=\"x\",le=\"0.5\"}"), 2);
    CU_ASSERT_EQUAL(value(&f, "h_bucket{a=\"x\",le=\"2.5\"}"), 9);
    CU_ASSERT_EQUAL(value(&f, "h_bucket{a=\"x\",le=\"+Inf\"}"), 13);
    CU_ASSERT_EQUAL(value(&f, "h_count{a=\"x\"}"), 13);
    CU_ASSERT_EQUAL(value(&f, "h_sum{a=\"x\"}"), 3.5);
    CU_ASSERT_EQUAL(value(&f, "s_count"), 7);
    CU_ASSERT_EQUAL(value(&f, "s_sum"), 3);
    CU_ASSERT_EQUAL(value(&f, "python_multiproc_files{state=\"read\"}"), 6);
    save_process(dir, "3", true, 10);
    CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
    CU_ASSERT_EQUAL(value(&f, "c_total{a=\"x\"}"), 17);
    unlink_in(dir, "counter_2.db");
    CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
    CU_ASSERT_EQUAL(value(&f, "c_total{a=\"x\"}"), 13);
    unlink_in(dir, "summary_1.db");
    unlink_in(dir, "summary_2.db");
    unlink_in(dir, "summary_3.db");
    CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
    CU_ASSERT_TRUE(isnan(value(&f, "s_count")));
    sonde_fake_fini(&f);
}

/* A large value and ten times 0.1, in files that are listed in other orders:
 * added one after the other, it would make a difference. */
static void test_sums_are_exact(void)
{
    static const double values[] = { 1e8, 0.1, 0.1, 0.1, 0.1, 0.1,
                                     0.1, 0.1, 0.1, 0.1, 0.1 };

    for (size_t first = 0; first < COUNT(values); first++) {
        const char *dir = fresh_dir();
        struct sonde_fake f;

        for (size_t i = 0; i < COUNT(values); i++) {
            char name[64];

            (void)snprintf(name, sizeof(name), "summary_%zu.db", i);
            save_one(dir, name, "[\"s\", \"s_sum\", {}, \"\"]",
                     values[(first + i) % COUNT(values)], 0);
        }
        start_open(&f, dir);
        CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
        CU_ASSERT_EQUAL(value(&f, "s_sum"), 100000001.0);
        sonde_fake_fini(&f);
    }
}

/* ---- processes ----------------------------------------------------------- */

/* A child that waits to be killed, by that name. */
static pid_t sleeper(const char *name)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)prctl(PR_SET_NAME, name);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return pid;
}

static pid_t dead_pid(void)
{
    pid_t pid = sleeper("x");

    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return pid;
}

/* Waits until the child has its name. */
static void await_name(pid_t pid, const char *name)
{
    char path[64], text[64] = "";

    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    for (int i = 0; i < 100000 && strncmp(text, name, strlen(name)) != 0; i++) {
        FILE *f = fopen(path, "re");

        if (!f || !fgets(text, sizeof(text), f))
            text[0] = '\0';
        if (f)
            (void)fclose(f);
    }
}

static void test_dead_processes(void)
{
    static const struct {
        int line;
        const char *policy, *name; /* of the one that lives */
        double sum, all;           /* livesum; liveall of the dead one */
        double kept;               /* sum */
    } rows[] = {
        { __LINE__, "auto", "gunicorn", 2, NAN, 5 },
        { __LINE__, "auto", "other", 5, 3, 5 }, /* not seen to be ours */
        { __LINE__, "check", "other", 2, NAN, 5 },
        { __LINE__, "ignore", "gunicorn", 5, 3, 5 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        static const char *const modes[] = { "livesum", "liveall", "sum" };
        const char *dir = fresh_dir();
        pid_t live = sleeper(rows[i].name), dead = dead_pid();
        char series[64];
        struct sonde_fake f;
        double all;

        await_name(live, rows[i].name);
        for (size_t k = 0; k < COUNT(modes); k++) {
            char name[64], key[64];

            (void)snprintf(key, sizeof(key), "[\"%s\", \"%s\", {}, \"\"]",
                           modes[k], modes[k]);
            (void)snprintf(name, sizeof(name), "gauge_%s_%d.db", modes[k],
                           (int)live);
            save_one(dir, name, key, 2, 0);
            (void)snprintf(name, sizeof(name), "gauge_%s_%d.db", modes[k],
                           (int)dead);
            save_one(dir, name, key, 3, 0);
        }
        start(&f, dir);
        (void)sonde_fake_option(&f, "multiproc_pids", rows[i].policy);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        ROW_ASSERT(&rows[i], collect(&f) == SONDE_OK);
        ROW_ASSERT(&rows[i], value(&f, "livesum") == rows[i].sum);
        ROW_ASSERT(&rows[i], value(&f, "sum") == rows[i].kept);
        (void)snprintf(series, sizeof(series), "liveall{pid=\"%d\"}",
                       (int)dead);
        all = value(&f, series);
        ROW_ASSERT(&rows[i],
                   all == rows[i].all || (isnan(all) && isnan(rows[i].all)));
        sonde_fake_fini(&f);
        (void)kill(live, SIGKILL);
        (void)waitpid(live, NULL, 0);
    }
}

/* Workers that are numbered, not named by process ids, are never taken for
 * dead, even if one of the numbers is that of a process that fits. */
static void test_numbered_workers(void)
{
    static const char *const others[] = { "2", "999999999", "web" };

    for (int with_one = 0; with_one < 2; with_one++) {
        const char *dir = fresh_dir();
        pid_t live = sleeper("uwsgi");
        struct sonde_fake f;
        char name[64];

        await_name(live, "uwsgi");
        (void)snprintf(name, sizeof(name), "gauge_livesum_%d.db", (int)live);
        save_one(dir, name, GAUGE_KEY, 1, 0);
        for (size_t i = 0; i < COUNT(others); i++) {
            (void)snprintf(name, sizeof(name), "gauge_livesum_%s.db",
                           others[i]);
            save_one(dir, name, GAUGE_KEY, 1, 0);
        }
        if (with_one)
            save_one(dir, "counter_1.db", "[\"c\", \"c\", {}, \"\"]", 1, 0);
        start_open(&f, dir);
        CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
        /* Whether there is a process 2 depends; there is no 999999999. */
        if (with_one) {
            CU_ASSERT_EQUAL(value(&f, "g{a=\"1\"}"), 4);
        } else {
            CU_ASSERT_TRUE(value(&f, "g{a=\"1\"}") < 4);
        }
        sonde_fake_fini(&f);
        (void)kill(live, SIGKILL);
        (void)waitpid(live, NULL, 0);
    }
}

/* ---- what is refused ----------------------------------------------------- */

static void test_dropped(void)
{
    static const struct {
        int line;
        const char *name, *key;
        double value;
        const char *reason, *series; /* series: what is there instead */
        double want;
    } rows[] = {
        { __LINE__, "counter_2.db", "[\"x\", \"x y\", {}, \"\"]", 1, "invalid",
          "c_total", 1 },
        { __LINE__, "gauge_sum_2.db", "[\"c\", \"c_total\", {}, \"\"]", 9,
          "conflict", "c_total", 1 },
        { __LINE__, "gauge_sum_2.db", "[\"h\", \"h_count\", {}, \"\"]", 9,
          "conflict", "h_count", 1 },
        { __LINE__, "summary_2.db", "[\"c\", \"c_sum\", {}, \"\"]", 9, NULL,
          "c_sum", 9 },
        { __LINE__, "counter_2.db",
          "[\"python_multiproc_files\", \"python_multiproc_files\", {}, \"\"]",
          9, "conflict", "c_total", 1 },
        { __LINE__, "histogram_2.db",
          "[\"h\", \"h_bucket\", {\"le\": \"2\"}, \"\"]", -5, "invalid",
          "c_total", 1 },
        { __LINE__, "histogram_2.db",
          "[\"h\", \"h_bucket\", {\"le\": \"2\"}, \"\"]", NAN, "invalid",
          "c_total", 1 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *dir = fresh_dir();
        struct sonde_fake f;
        char series[128];

        save_one(dir, "counter_1.db", "[\"c\", \"c_total\", {}, \"\"]", 1, 0);
        save_one(dir, "histogram_1.db",
                 "[\"h\", \"h_bucket\", {\"le\": \"1\"}, \"\"]", 1, 0);
        start_open(&f, dir);
        ROW_ASSERT(&rows[i], collect(&f) == SONDE_OK); /* who came first */
        save_one(dir, rows[i].name, rows[i].key, rows[i].value, 0);
        ROW_ASSERT(&rows[i], collect(&f) == SONDE_OK);
        ROW_ASSERT(&rows[i], value(&f, rows[i].series) == rows[i].want);
        if (rows[i].reason) {
            (void)snprintf(series, sizeof(series),
                           "python_multiproc_dropped_values{reason=\"%s\"}",
                           rows[i].reason);
            ROW_ASSERT(&rows[i], value(&f, series) == 1);
        }
        sonde_fake_fini(&f);
    }
}

static void test_too_many_labels(void)
{
    const char *dir = fresh_dir();
    char key[512] = "[\"g\", \"g\", {";
    struct sonde_fake f;

    for (int i = 0; i < SONDE_LABELS_MAX; i++)
        (void)snprintf(key + strlen(key), sizeof(key) - strlen(key),
                       "%s\"l%d\": \"v\"", i ? ", " : "", i);
    (void)snprintf(key + strlen(key), sizeof(key) - strlen(key), "}, \"\"]");
    save_one(dir, "gauge_max_1.db", key, 1, 0); /* 16 */
    start_open(&f, dir);
    CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
    CU_ASSERT_EQUAL(
        value(&f, "python_multiproc_dropped_values{reason=\"limit\"}"), 0);
    unlink_in(dir, "gauge_max_1.db");
    save_one(dir, "gauge_all_1.db", key, 1, 0); /* and pid */
    sonde_fake_fini(&f);
    start_open(&f, dir);
    CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
    CU_ASSERT_EQUAL(
        value(&f, "python_multiproc_dropped_values{reason=\"limit\"}"), 1);
    sonde_fake_fini(&f);
}

/* Files that are being made, that break off, that are no files. */
static void test_states(void)
{
    static struct db_writer w;
    const char *dir = fresh_dir();
    char path[4200];
    struct sonde_fake f;

    db_writer_begin(&w, true);
    db_writer_save(&w, dir, "counter_1.db", 0); /* nothing in it yet */
    db_writer_add(&w, "[\"a\", \"a_total\", {}, \"\"]", 1, 0);
    db_writer_add(&w, "[\"b\", \"b_total\", {}, \"\"]", 1, 0);
    db_writer_save(&w, dir, "counter_2.db", w.used - 10); /* breaks off */
    (void)snprintf(path, sizeof(path), "%s/counter_3.db", dir);
    (void)fclose(fopen(path, "we")); /* no byte yet */
    save_one(dir, "other_4.db", GAUGE_KEY, 1, 0);
    save_one(dir, "counter_5.txt", GAUGE_KEY, 1, 0);
    start_open(&f, dir);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
        CU_ASSERT_EQUAL(value(&f, "a_total"), 1);
        CU_ASSERT_TRUE(isnan(value(&f, "b_total")));
        CU_ASSERT_EQUAL(value(&f, "python_multiproc_files{state=\"empty\"}"),
                        2);
        CU_ASSERT_EQUAL(value(&f, "python_multiproc_files{state=\"damaged\"}"),
                        1);
        CU_ASSERT_EQUAL(value(&f, "python_multiproc_files{state=\"ignored\"}"),
                        1);
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(sonde_fake_cstr(&f.log), "break off"));
    CU_ASSERT_PTR_NULL(
        strstr(strstr(sonde_fake_cstr(&f.log), "break off") + 1, "break off"));
    sonde_fake_fini(&f);
}

/* What would give a wrong sum fails the collection, and says why. */
static void test_failures(void)
{
    static const struct {
        int line;
        const char *option, *value, *part;
        sonde_code code;
    } rows[] = {
        { __LINE__, "multiproc_dir", "/no/such/folder", "/no/such/folder",
          SONDE_ENOTFOUND },
        { __LINE__, "multiproc_files", "1", "more than 1 files", SONDE_ELIMIT },
        { __LINE__, "multiproc_bytes", "100B", "more than 100 bytes",
          SONDE_ELIMIT },
    };
    const char *dir = fresh_dir();
    char path[4200];
    struct sonde_fake f;

    save_process(dir, "1", true, 3);
    for (size_t i = 0; i < COUNT(rows); i++) {
        start(&f, dir);
        (void)sonde_fake_option(&f, rows[i].option, rows[i].value);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        ROW_ASSERT(&rows[i], collect(&f) == rows[i].code);
        ROW_ASSERT(&rows[i], strstr(f.err.text, rows[i].part));
        sonde_fake_fini(&f);
    }
    start_open(&f, dir);
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 0), SONDE_ETIMEOUT);
    (void)snprintf(path, sizeof(path), "%s/counter_9.db", dir);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL(collect(&f), SONDE_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "counter_9.db"));
    (void)rmdir(path);
    CU_ASSERT_EQUAL(mkfifo(path, 0700), 0); /* nobody will ever write */
    CU_ASSERT_EQUAL(collect(&f), SONDE_EINVAL);
    (void)unlink(path);
    CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
    sonde_fake_fini(&f);
}

/* A thousand workers that were replaced are forgotten. */
static void test_forgets(void)
{
    const char *dir = fresh_dir();
    struct sonde_fake f;

    start_open(&f, dir);
    for (int i = 0; i < 3000; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "gauge_all_%d.db", i);
        save_one(dir, name, GAUGE_KEY, i, 0);
        if (i % 100)
            continue;
        CU_ASSERT_EQUAL(collect(&f), SONDE_OK);
        (void)snprintf(name, sizeof(name), "g{a=\"1\",pid=\"%d\"}", i);
        CU_ASSERT_EQUAL(value(&f, name), i);
        for (int k = i > 100 ? i - 100 : 0; k <= i; k++) {
            (void)snprintf(name, sizeof(name), "gauge_all_%d.db", k);
            unlink_in(dir, name);
        }
    }
    sonde_fake_fini(&f);
}

static void test_rules(void)
{
    static const struct {
        int line;
        const char *text;
        bool ok;
    } rows[] = {
        { __LINE__, "a=max", true },   { __LINE__, "a*=livesum", true },
        { __LINE__, "*=all", true },   { __LINE__, "a", false },
        { __LINE__, "=max", false },   { __LINE__, "a=often", false },
        { __LINE__, "a=live", false }, { __LINE__, "a=", false },
        { __LINE__, "", false },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *dir = tap_tmpdir();
        struct sonde_fake f;

        start(&f, dir);
        (void)sonde_fake_option(&f, "gauge_modes", rows[i].text);
        ROW_ASSERT(&rows[i],
                   (sonde_fake_open(&f, "h:80") == SONDE_OK) == rows[i].ok);
        sonde_fake_fini(&f);
    }
}

/* Presets bring rules; the job's own come first. */
static void test_presets(void)
{
    static const struct {
        int line;
        const char *preset, *rule, *series;
        double want;
    } rows[] = {
        { __LINE__, "none", NULL,
          "django_migrations_applied_total{connection=\"d\",pid=\"1\"}", 4 },
        { __LINE__, "django-prometheus", NULL,
          "django_migrations_applied_total{connection=\"d\"}", 7 },
        { __LINE__, "django-prometheus", "django_*=min",
          "django_migrations_applied_total{connection=\"d\"}", 4 },
        { __LINE__, "prometheus-flask-exporter", NULL,
          "django_migrations_applied_total{connection=\"d\",pid=\"1\"}", 4 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        static const char key[] =
            "[\"django_migrations_applied_total\", "
            "\"django_migrations_applied_total\", {\"connection\": \"d\"}, "
            "\"\"]";
        const char *dir = fresh_dir();
        struct sonde_fake f;

        save_one(dir, "gauge_all_1.db", key, 4, 0);
        save_one(dir, "gauge_all_2.db", key, 7, 0);
        start(&f, dir);
        (void)sonde_fake_option(&f, "preset", rows[i].preset);
        if (rows[i].rule)
            (void)sonde_fake_option(&f, "gauge_modes", rows[i].rule);
        ROW_ASSERT(&rows[i], sonde_fake_open(&f, "h:80") == SONDE_OK);
        ROW_ASSERT(&rows[i], collect(&f) == SONDE_OK);
        ROW_ASSERT(&rows[i], value(&f, rows[i].series) == rows[i].want);
        sonde_fake_fini(&f);
    }
}

/* With files, the page is not asked for. */
static void test_plan(void)
{
    static const struct {
        int line;
        const char *dir;
        enum sonde_body body;
    } rows[] = {
        { __LINE__, "", SONDE_BODY_EXPOSITION },
        { __LINE__, "/d", SONDE_BODY_COLLECT },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sonde_plan plan;
        struct sonde_fake f;

        start_open(&f, rows[i].dir);
        ROW_ASSERT(&rows[i], sonde_fake_plan(&f, &plan) == SONDE_OK);
        ROW_ASSERT(&rows[i], plan.count == 1);
        ROW_ASSERT(&rows[i], plan.requests[0].body == rows[i].body);
        ROW_ASSERT(&rows[i], plan.requests[0].path.len == 0);
        sonde_fake_fini(&f);
    }
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "names of files", test_names },
        { "both forms, whole and cut at every byte", test_layouts },
        { "damaged files", test_damaged_files },
        { "keys", test_keys },
        { "the modes of gauges", test_gauge_modes },
        { "a gauge that was never set", test_never_set },
        { "sums over processes that come and go", test_sums },
        { "sums do not depend on the order", test_sums_are_exact },
        { "live gauges of dead processes", test_dead_processes },
        { "workers that are numbered", test_numbered_workers },
        { "what can not be shown is left out", test_dropped },
        { "too many labels", test_too_many_labels },
        { "files being made, cut, of others", test_states },
        { "what fails a collection", test_failures },
        { "what is gone is forgotten", test_forgets },
        { "gauge_modes that are refused", test_rules },
        { "presets", test_presets },
        { "the plan", test_plan },
    };

    return TAP_RUN("multiproc", tests);
}
