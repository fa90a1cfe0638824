/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log of the nginx plugin: formats and lines, routes, what is
 * counted, and real files that grow, are renamed, cut and found again.
 */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sonde/testing.h>

#include "nginx/log.h"
#include "unit/tap.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- formats and lines --------------------------------------------------- */

#define COMBINED_HEAD "203.0.113.7 - - [20/Nov/2026:22:56:20 +0000] "
#define TIMES                                                                  \
    "$status $body_bytes_sent $request_time $upstream_response_time "          \
    "$upstream_connect_time \"$request\" $request_length"

static void test_lines(void)
{
    static const struct {
        int line;
        const char *format, *text;
        bool good;
        const char *method, *path;
        unsigned status;
        uint64_t bytes, request_bytes;
        double time, upstream;
    } rows[] = {
        { __LINE__, "combined",
          COMBINED_HEAD "\"GET /a?b=c HTTP/1.1\" 200 612 \"-\" \"curl/8\"",
          true, "GET", "/a", 200, 612, 0, -1, -1 },
        { __LINE__, "combined",
          COMBINED_HEAD "\"POST / HTTP/1.0\" 499 0 \"http://x/\" \"a \\x22b\"",
          true, "POST", "/", 499, 0, 0, -1, -1 },
        /* What is no request: a TLS hello, nothing, a dash, junk. */
        { __LINE__, "combined",
          COMBINED_HEAD "\"\\x16\\x03\\x01\" 400 157 \"-\" \"-\"", true,
          "other", "", 400, 157, 0, -1, -1 },
        { __LINE__, "combined", COMBINED_HEAD "\"\" 400 0 \"-\" \"-\"", true,
          "other", "", 400, 0, 0, -1, -1 },
        { __LINE__, "combined", COMBINED_HEAD "\"-\" 000 0 \"-\" \"-\"", true,
          "other", "", 0, 0, 0, -1, -1 },
        { __LINE__, "combined",
          COMBINED_HEAD "\"QUUX /a HTTP/1.1\" 405 - \"-\" \"-\"", true, "other",
          "/a", 405, 0, 0, -1, -1 },
        { __LINE__, "combined",
          "unix: - joe [20/Nov/2026:22:56:20 +0000] \"GET /x\" 200 1 \"-\" "
          "\"-\"",
          true, "GET", "/x", 200, 1, 0, -1, -1 },
        { __LINE__, "combined", "", false, NULL, NULL, 0, 0, 0, 0, 0 },
        { __LINE__, "combined", COMBINED_HEAD "\"GET / HTTP/1.1\" 200", false,
          NULL, NULL, 0, 0, 0, 0, 0 },
        { __LINE__, "combined", COMBINED_HEAD "\"GET / HTTP/1.1\" 2000 1 \"",
          false, NULL, NULL, 0, 0, 0, 0, 0 },
        { __LINE__, "combined", COMBINED_HEAD "\"GET / HTTP/1.1\" abc 1 \"",
          false, NULL, NULL, 0, 0, 0, 0, 0 },
        { __LINE__, "combined",
          COMBINED_HEAD "\"GET / HTTP/1.1\" 200 99999999999999999999 \"-\"",
          false, NULL, NULL, 0, 0, 0, 0, 0 },

        { __LINE__, TIMES, "200 5 0.123 0.100 0.001 \"GET /a H\" 77", true,
          "GET", "/a", 200, 5, 77, 0.123, 0.1 },
        /* Several tries, and internal redirects. */
        { __LINE__, TIMES,
          "200 5 0.070 0.010, 0.020 : 0.030 0.000, 0.001 : 0.000 \"GET /a H\" "
          "7",
          true, "GET", "/a", 200, 5, 7, 0.07, 0.06 },
        { __LINE__, TIMES, "502 5 0.070 -, 0.020 - \"GET /a H\" 7", true, "GET",
          "/a", 502, 5, 7, 0.07, 0.02 },
        { __LINE__, TIMES, "304 0 0.000 - - \"HEAD /a H\" 7", true, "HEAD",
          "/a", 304, 0, 7, 0, -1 },
        { __LINE__, TIMES, "304 0 0.000 -, - : - - \"HEAD /a H\" 7", true,
          "HEAD", "/a", 304, 0, 7, 0, -1 },
        { __LINE__, TIMES, "200 5 x 0.100 0.001 \"GET /a H\" 77", false, NULL,
          NULL, 0, 0, 0, 0, 0 },
        { __LINE__, TIMES, "200 5 0.1.2 0.100 0.001 \"GET /a H\" 77", false,
          NULL, NULL, 0, 0, 0, 0, 0 },
        { __LINE__, TIMES, "200 5 0.1 nan 0.001 \"GET /a H\" 77", false, NULL,
          NULL, 0, 0, 0, 0, 0 },

        /* As in nginx.conf. */
        { __LINE__,
          "log_format main escape=json '{\"s\":\"$status\",'\n"
          "  '\"r\":\"$request\",\"t\":\"$upstream_response_time\"}';",
          "{\"s\":\"404\",\"r\":\"GET /\\\"q\\\\\\\" H\",\"t\":\"0.5, 0.5\"}",
          true, "GET", "/\\\"q\\\\\\\"", 404, 0, 0, -1, 1 },
        { __LINE__, "escape=json '{\"t\":$request_time,\"s\":$status}'",
          "{\"t\":0.250,\"s\":200}", true, "", "", 200, 0, 0, 0.25, -1 },
        { __LINE__,
          "escape=json '{\"t\":$upstream_response_time,\"s\":$status}'",
          "{\"t\":,\"s\":200}", true, "", "", 200, 0, 0, -1, -1 },
        { __LINE__, "'${status}x $request_method $uri $bytes_sent'",
          "301x PUT /a/b 12", true, "PUT", "/a/b", 301, 12, 0, -1, -1 },
        { __LINE__, "log_format a '$status \\'$request_uri\\'\\t$bytes_sent';",
          "200 '/x?y'\t9", true, "", "/x", 200, 9, 0, -1, -1 },
        { __LINE__, "$status \"$http_x\" $upstream_addr $request_length",
          "200 \"a b\" 10.0.0.1:80, unix:/x : 10.0.0.2:80 55", true, "", "",
          200, 0, 55, -1, -1 },
        { __LINE__, "$ $status $", "$ 200 $", true, "", "", 200, 0, 0, -1, -1 },
        /* The first of two counts. */
        { __LINE__, "$status|$status", "200|404", true, "", "", 200, 0, 0, -1,
          -1 },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct log_format f;
        struct log_record r;
        struct sonde_err err = { 0 };

        if (log_format_parse(&f, sonde_cstr(rows[i].format), SONDE_STR(""),
                             &err) != SONDE_OK)
            tap_note("%s", err.text);
        ROW_ASSERT(&rows[i], err.code == SONDE_OK);
        ROW_ASSERT(&rows[i], log_line_parse(&f, sonde_cstr(rows[i].text), &r) ==
                                 rows[i].good);
        if (rows[i].good && rows[i].method) {
            ROW_ASSERT(&rows[i], sonde_str_eq(log_method_name(r.method),
                                              sonde_cstr(rows[i].method)));
            ROW_ASSERT(&rows[i],
                       sonde_str_eq(r.path, sonde_cstr(rows[i].path)));
            ROW_ASSERT(&rows[i], r.status == rows[i].status);
            ROW_ASSERT(&rows[i], r.bytes == rows[i].bytes);
            ROW_ASSERT(&rows[i], r.request_bytes == rows[i].request_bytes);
            ROW_ASSERT(&rows[i],
                       fabs(r.times[TIME_REQUEST] - rows[i].time) < 1e-9);
            ROW_ASSERT(&rows[i],
                       fabs(r.times[TIME_UPSTREAM] - rows[i].upstream) < 1e-9);
        }
        log_format_fini(&f);
    }
}

/* ---- routes -------------------------------------------------------------- */

static void test_routes(void)
{
    static const sonde_str patterns[] = {
        SONDE_STR("/api/users/:id"),
        SONDE_STR("/api/users"),
        SONDE_STR("/api/users/:id/posts/{post}"),
        SONDE_STR("/static/*"),
        SONDE_STR("/files/*/raw"),
        SONDE_STR("/"),
        SONDE_STR("/api/*"),
        SONDE_STR("/a/:x/c/*"),
    };
    static const struct sonde_list list = { patterns, COUNT_OF(patterns) };
    static const struct {
        int line;
        const char *path, *want;
    } rows[] = {
        { __LINE__, "/api/users/7", "/api/users/:id" },
        { __LINE__, "/api/users", "/api/users" },
        { __LINE__, "/api/users/", "/api/*" }, /* :id is not empty */
        { __LINE__, "/api/users/7/posts/9", "/api/users/:id/posts/{post}" },
        { __LINE__, "/api/users/7/posts", "/api/*" },
        { __LINE__, "/api/users/7/posts/9/x", "/api/*" },
        { __LINE__, "/api/other/deep/down", "/api/*" },
        { __LINE__, "/api/", "/api/*" },
        { __LINE__, "/api", "other" },
        { __LINE__, "/static/css/a.css", "/static/*" },
        { __LINE__, "/static", "other" },
        { __LINE__, "/files/1/raw", "/files/*/raw" },
        { __LINE__, "/files/1/2/raw", "other" },
        { __LINE__, "/files/1/raws", "other" },
        { __LINE__, "/", "/" },
        { __LINE__, "/x", "other" },
        { __LINE__, "", "other" },
        { __LINE__, "*", "other" },
        { __LINE__, "http://h/api/users", "other" },
        { __LINE__, "/a/b/c/d/e", "/a/:x/c/*" },
        { __LINE__, "/a/b/c", "other" },
        { __LINE__, "/a/b/c/", "/a/:x/c/*" },
    };
    struct log_routes r;
    struct sonde_err err = { 0 };

    CU_ASSERT_EQUAL(log_routes_parse(&r, &list, &err), SONDE_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned got = log_route_of(&r, sonde_cstr(rows[i].path));
        sonde_str name = got ? r.items[got - 1].pattern : SONDE_STR("other");

        if (!sonde_str_eq(name, sonde_cstr(rows[i].want)))
            tap_note("%s is %.*s", rows[i].path, SONDE_ARG(name));
        ROW_ASSERT(&rows[i], sonde_str_eq(name, sonde_cstr(rows[i].want)));
    }
    log_routes_fini(&r);
}

/* ---- an instance over files ---------------------------------------------- */

static sonde_msec clock_ms = 1000;

static sonde_msec our_clock(void)
{
    return clock_ms;
}

/* In the test's folder; kept to the end. */
static const char *path_of(const char *name)
{
    static char paths[64][4096];
    size_t n = 0;

    for (; n < COUNT_OF(paths) && paths[n][0]; n++)
        if (strcmp(strrchr(paths[n], '/') + 1, name) == 0)
            return paths[n];
    if (n == COUNT_OF(paths))
        abort();
    (void)snprintf(paths[n], sizeof(paths[n]), "%s/%s", tap_tmpdir(), name);
    return paths[n];
}

static void append(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "ae");

    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

static void append_lines(const char *name, size_t n)
{
    while (n--)
        append(name, "200 /a\n");
}

static void copy(const char *from, const char *to)
{
    static char buffer[1 << 20];
    FILE *f = fopen(path_of(from), "re");
    size_t n = f ? fread(buffer, 1, sizeof(buffer), f) : 0;

    (void)fclose(f);
    f = fopen(path_of(to), "we");
    if (!f || fwrite(buffer, 1, n, f) != n || fclose(f) != 0)
        abort();
}

/* `log` is emptied and an instance opened that has seen it. */
static void start(struct sonde_fake *f, const char *log)
{
    (void)unlink(path_of(log));
    append(log, "");
    clock_ms = 1000;
    sonde_fake_init(f, sonde_plugin_entry);
    f->host.monotonic = our_clock;
    (void)sonde_fake_option(f, "mode", "log");
    (void)sonde_fake_option(f, "access_log", path_of(log));
    (void)sonde_fake_option(f, "log_format", "$status $uri");
}

static void collect(struct sonde_fake *f)
{
    struct sonde_err err = { 0 };

    sonde_fake_begin(f);
    clock_ms += 1000;
    CU_ASSERT_EQUAL(
        f->plugin->collect(f->instance, &f->sink, clock_ms + 500, &err),
        SONDE_OK);
    CU_ASSERT_EQUAL(f->sink.code, SONDE_OK);
}

static double counted(struct sonde_fake *f)
{
    double v;

    collect(f);
    v = sonde_fake_value(f, "nginx_http_response_count_total{status=\"200\"}");
    return isnan(v) ? 0 : v;
}

static double of_file(struct sonde_fake *f, const char *family, const char *log)
{
    char series[8192];

    (void)snprintf(series, sizeof(series), "nginx_access_log_%s{file=\"%s\"}",
                   family, path_of(log));
    return sonde_fake_value(f, series);
}

static void begin(struct sonde_fake *f, const char *log)
{
    start(f, log);
    CU_ASSERT_EQUAL(sonde_fake_open(f, "h"), SONDE_OK);
    CU_ASSERT_EQUAL(counted(f), 0);
}

static void reopen(struct sonde_fake *f)
{
    sonde_fake_close(f);
    CU_ASSERT_EQUAL(f->plugin->open(&f->host, &f->open, &f->instance, &f->err),
                    SONDE_OK);
}

static void test_growing(void)
{
    struct sonde_fake f;

    begin(&f, "grow.log");
    append("grow.log", "200 /a\n200 /b\n404 /c\nnonsense\n");
    CU_ASSERT_EQUAL(counted(&f), 2);
    CU_ASSERT_EQUAL(
        sonde_fake_value(&f, "nginx_http_response_count_total{status=\"404\"}"),
        1);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "nginx_parse_errors_total"), 1);
    CU_ASSERT_EQUAL(of_file(&f, "lines_total", "grow.log"), 4);
    append("grow.log", "200 /a");
    CU_ASSERT_EQUAL(counted(&f), 2);
    CU_ASSERT_EQUAL(of_file(&f, "lag_bytes", "grow.log"), 6);
    append("grow.log", "b\n200 /");
    CU_ASSERT_EQUAL(counted(&f), 3);
    append("grow.log", "\n");
    CU_ASSERT_EQUAL(counted(&f), 4);
    CU_ASSERT_EQUAL(of_file(&f, "lag_bytes", "grow.log"), 0);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "nginx_parse_errors_total"), 1);
    sonde_fake_fini(&f);
}

static void test_first_look(void)
{
    struct sonde_fake f;

    start(&f, "first.log"); /* what is there is not counted, half a line is */
    append("first.log", "200 /a\n200 /b\n200 /");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    CU_ASSERT_EQUAL(counted(&f), 0);
    append("first.log", "c\n");
    CU_ASSERT_EQUAL(counted(&f), 1);
    sonde_fake_fini(&f);

    start(&f, "first.log");
    append("first.log", "200 /a\n200 /b\n");
    (void)sonde_fake_option(&f, "from_beginning", "true");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    CU_ASSERT_EQUAL(counted(&f), 2);
    sonde_fake_fini(&f);

    start(&f, "first.log"); /* not there at first: counted from its beginning */
    (void)unlink(path_of("first.log"));
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    CU_ASSERT_EQUAL(counted(&f), 0);
    CU_ASSERT_EQUAL(of_file(&f, "readable", "first.log"), 0);
    CU_ASSERT_EQUAL(f.parts[PART_ACCESS_LOG].code, SONDE_EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(sonde_fake_cstr(&f.log), "No such file"));
    append("first.log", "200 /a\n");
    CU_ASSERT_EQUAL(counted(&f), 1);
    CU_ASSERT_EQUAL(of_file(&f, "readable", "first.log"), 1);
    sonde_fake_fini(&f);
}

/* Renamed; both files grow; the old one is let go when it is quiet. */
static void test_rotation(void)
{
    struct sonde_fake f;

    begin(&f, "rot.log");
    append_lines("rot.log", 3);
    CU_ASSERT_EQUAL(counted(&f), 3);
    append_lines("rot.log", 1);
    (void)rename(path_of("rot.log"), path_of("rot.log.1"));
    CU_ASSERT_EQUAL(counted(&f), 4); /* no new one yet */
    CU_ASSERT_EQUAL(of_file(&f, "readable", "rot.log"), 1);
    append("rot.log", ""); /* made by logrotate; nginx knows nothing yet */
    append_lines("rot.log.1", 2);
    CU_ASSERT_EQUAL(counted(&f), 6);
    CU_ASSERT_EQUAL(of_file(&f, "rotations_total", "rot.log"), 1);
    clock_ms += 3600 * 1000;
    CU_ASSERT_EQUAL(counted(&f), 6);
    append_lines("rot.log.1", 1); /* still */
    CU_ASSERT_EQUAL(counted(&f), 7);
    append_lines("rot.log", 5); /* one worker has it, another not */
    append_lines("rot.log.1", 1);
    CU_ASSERT_EQUAL(counted(&f), 13);
    clock_ms += 31 * 1000;
    CU_ASSERT_EQUAL(counted(&f), 13);
    append_lines("rot.log.1", 1); /* too late */
    append_lines("rot.log", 1);
    CU_ASSERT_EQUAL(counted(&f), 14);
    CU_ASSERT_EQUAL(f.log.len, 0);
    sonde_fake_fini(&f);
}

/* Copied and cut: what came between the last look and the cut is read from
 * the copy. */
static void test_copytruncate(void)
{
    struct sonde_fake f;

    begin(&f, "cut.log");
    append("cut.log", "200 /first\n");
    append_lines("cut.log", 3);
    CU_ASSERT_EQUAL(counted(&f), 4);
    append_lines("cut.log", 2);
    copy("cut.log", "cut.log.1");
    CU_ASSERT_EQUAL(truncate(path_of("cut.log"), 0), 0);
    append_lines("cut.log", 1);
    CU_ASSERT_EQUAL(counted(&f), 7);
    CU_ASSERT_EQUAL(of_file(&f, "truncations_total", "cut.log"), 1);
    /* Cut, and longer than before at once: only the beginning tells. */
    CU_ASSERT_EQUAL(truncate(path_of("cut.log"), 0), 0);
    append("cut.log", "200 /x\n");
    append_lines("cut.log", 9);
    CU_ASSERT_EQUAL(counted(&f), 17);
    CU_ASSERT_EQUAL(of_file(&f, "truncations_total", "cut.log"), 2);
    sonde_fake_fini(&f);
}

static void test_restart(void)
{
    struct sonde_fake f;

    begin(&f, "again.log");
    append_lines("again.log", 3);
    CU_ASSERT_EQUAL(counted(&f), 3);
    append_lines("again.log", 2); /* while nobody looks */
    reopen(&f);
    CU_ASSERT_EQUAL(counted(&f), 5);
    reopen(&f); /* and nothing twice */
    CU_ASSERT_EQUAL(counted(&f), 5);

    append_lines("again.log", 2); /* renamed meanwhile */
    (void)rename(path_of("again.log"), path_of("again.log.1"));
    append_lines("again.log", 1);
    reopen(&f);
    CU_ASSERT_EQUAL(counted(&f), 8);
    append_lines("again.log.1", 1); /* both are open, both are saved */
    CU_ASSERT_EQUAL(counted(&f), 9);
    append_lines("again.log.1", 1);
    append_lines("again.log", 1);
    reopen(&f);
    CU_ASSERT_EQUAL(counted(&f), 11);
    CU_ASSERT_EQUAL(of_file(&f, "lines_total", "again.log"), 11);
    CU_ASSERT_EQUAL(of_file(&f, "rotations_total", "again.log"), 1);

    append("again.log", "200 /mark\n"); /* copied and cut meanwhile */
    CU_ASSERT_EQUAL(counted(&f), 12);
    append_lines("again.log", 2);
    copy("again.log", "again.log.2");
    CU_ASSERT_EQUAL(truncate(path_of("again.log"), 0), 0);
    append_lines("again.log", 1);
    reopen(&f);
    CU_ASSERT_EQUAL(counted(&f), 15);
    CU_ASSERT_EQUAL(f.log.len, 0);

    /* Gone without a trace; the new one may have the old one's inode. */
    (void)unlink(path_of("again.log"));
    (void)unlink(path_of("again.log.1"));
    (void)unlink(path_of("again.log.2"));
    sonde_fake_close(&f);
    append("again.log", "200 /new\n200 /new\n");
    append_lines("again.log", 30);
    CU_ASSERT_EQUAL(f.plugin->open(&f.host, &f.open, &f.instance, &f.err),
                    SONDE_OK);
    CU_ASSERT_EQUAL(counted(&f), 47);
    CU_ASSERT_PTR_NOT_NULL(strstr(sonde_fake_cstr(&f.log), "is not counted"));
    sonde_fake_fini(&f);
}

/* A line that is too long stays one, also when half of it was read before. */
static void test_restart_in_line(void)
{
    static char line[100001];
    struct sonde_fake f;

    memset(line, 'x', sizeof(line) - 1);
    begin(&f, "half.log");
    append("half.log", line);
    CU_ASSERT_EQUAL(counted(&f), 0);
    reopen(&f);
    append("half.log", "\n200 /a\n");
    CU_ASSERT_EQUAL(counted(&f), 1);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "nginx_parse_errors_total"), 1);
    sonde_fake_fini(&f);
}

/* ---- files between two looks --------------------------------------------- */

/* Renamed, and written last `seconds` from now. */
static void rotate(const char *name, const char *to, int seconds)
{
    struct timespec times[2] = { { .tv_sec = time(NULL) + seconds },
                                 { .tv_sec = time(NULL) + seconds } };

    if (rename(path_of(name), path_of(to)) != 0 ||
        utimensat(AT_FDCWD, path_of(to), times, 0) != 0)
        abort();
}

static void test_between(void)
{
    struct sonde_fake f;

    begin(&f, "mid.log"); /* while the agent is down */
    append_lines("mid.log", 1);
    rotate("mid.log", "mid.log.1", -60); /* read before: not again */
    append_lines("mid.log", 1);
    CU_ASSERT_EQUAL(counted(&f), 2);
    append_lines("mid.log", 1);
    rotate("mid.log", "mid.log.2", 10);
    append_lines("mid.log", 10);
    rotate("mid.log", "mid.log-20260102", 20);
    append_lines("mid.log", 100);
    rotate("mid.log", "mid-20260103.log", 30);
    append_lines("mid.log", 7); /* none of these are its own */
    append_lines("mid-api.log", 1000);
    rotate("mid-api.log", "mid-1.log", 25);
    append_lines("mid.log_other", 1000);
    reopen(&f);
    CU_ASSERT_EQUAL(counted(&f), 120);
    CU_ASSERT_EQUAL(of_file(&f, "rotations_total", "mid.log"), 4);
    CU_ASSERT_EQUAL(counted(&f), 120);
    reopen(&f);
    CU_ASSERT_EQUAL(counted(&f), 120);
    CU_ASSERT_EQUAL(f.log.len, 0);

    rotate("mid.log", "mid.log.3", 40); /* and while it runs */
    append_lines("mid.log", 1000);
    rotate("mid.log", "mid.log.4", 50);
    append_lines("mid.log", 1);
    CU_ASSERT_EQUAL(counted(&f), 1121);

    rotate("mid.log", "mid.log.5", 60); /* some can not be read: said once */
    append_lines("mid.log", 5);
    rotate("mid.log", "mid.log.6.gz", 70);
    append_lines("mid.log", 1);
    CU_ASSERT_EQUAL(counted(&f), 1122);
    CU_ASSERT_EQUAL(counted(&f), 1122);
    CU_ASSERT_STRING_EQUAL(strstr(sonde_fake_cstr(&f.log), "mid.log.6.gz was"),
                           "mid.log.6.gz was made and left between two looks "
                           "and is not counted: it is compressed\n");
    sonde_fake_fini(&f);
}

/* Copied and cut several times; the file that was read last is gone. */
static void test_between_cut(void)
{
    struct sonde_fake f;

    begin(&f, "cuts.log");
    append("cuts.log", "200 /first\n");
    CU_ASSERT_EQUAL(counted(&f), 1);
    for (int i = 1; i <= 3; i++) {
        char to[16];

        append_lines("cuts.log", 10);
        (void)snprintf(to, sizeof(to), "cuts.log.%d", i);
        copy("cuts.log", to);
        rotate(to, to, 10 * i);
        CU_ASSERT_EQUAL(truncate(path_of("cuts.log"), 0), 0);
    }
    CU_ASSERT_EQUAL(counted(&f), 31);
    CU_ASSERT_EQUAL(of_file(&f, "truncations_total", "cuts.log"), 3);
    CU_ASSERT_EQUAL(f.log.len, 0);
    sonde_fake_fini(&f);

    begin(&f, "gone.log");
    append("gone.log", "200 /first\n");
    CU_ASSERT_EQUAL(counted(&f), 1);
    rotate("gone.log", "gone.log.1", 10);
    append_lines("gone.log", 10);
    rotate("gone.log", "gone.log.2", 20);
    append_lines("gone.log", 100);
    (void)unlink(path_of("gone.log.1"));
    reopen(&f);
    CU_ASSERT_EQUAL(counted(&f), 111);
    sonde_fake_fini(&f);
}

/* More than can be held open: the newest are read. */
static void test_between_bound(void)
{
    struct sonde_fake f;
    double want = 1;

    begin(&f, "many.log");
    append_lines("many.log", 1);
    CU_ASSERT_EQUAL(counted(&f), 1);
    rotate("many.log", "many.log.999", 1);
    for (int i = 0; i < LOG_BETWEEN_MAX + 3; i++) {
        char to[24];

        /* Names say nothing about the order, and neither does the folder. */
        (void)snprintf(to, sizeof(to), "many.log.%d", i * 7 % 17);
        append_lines("many.log", (size_t)i + 1);
        rotate("many.log", to, 10 + i);
        want += i >= 3 ? i + 1 : 0;
    }
    append_lines("many.log", 1);
    reopen(&f);
    CU_ASSERT_EQUAL(counted(&f), want + 1);
    sonde_fake_fini(&f);
}

/* ---- counters over restarts ---------------------------------------------- */

static void put_saved(struct sonde_fake *f, const void *data, size_t n)
{
    struct sonde_err err;

    CU_ASSERT_EQUAL(f->host.state_save(&f->target, "access_log", data, n, &err),
                    SONDE_OK);
}

/* An instance with other options over the same saved document. */
static void reopen_with(struct sonde_fake *f, const char *log, const char *name,
                        const char *value)
{
    const struct sonde_fake_state *s = sonde_fake_slot(f, "access_log");
    size_t n = s->len;
    char *doc = malloc(n);

    if (!doc)
        abort();
    memcpy(doc, s->ptr, n);
    sonde_fake_fini(f);
    sonde_fake_init(f, sonde_plugin_entry);
    f->host.monotonic = our_clock;
    (void)sonde_fake_option(f, "mode", "log");
    (void)sonde_fake_option(f, "access_log", path_of(log));
    if (strcmp(name, "log_format") != 0)
        (void)sonde_fake_option(f, "log_format", "$status $uri");
    (void)sonde_fake_option(f, name, value);
    put_saved(f, doc, n);
    free(doc);
    CU_ASSERT_EQUAL(sonde_fake_open(f, "h"), SONDE_OK);
}

/* Options that give series their shape begin anew, and lose no line. */
static void test_other_options(void)
{
    static const struct {
        int line;
        const char *name, *value;
        bool anew;
    } rows[] = {
        { __LINE__, "read_limit", "2MB", false },
        { __LINE__, "from_beginning", "true", false },
        { __LINE__, "routes", "/b", true },
        { __LINE__, "log_format", "$status $request_uri", true },
        { __LINE__, "time_buckets", "1", true },
        { __LINE__, "series_max", "20", true },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sonde_fake f;
        double sum = 0;

        begin(&f, "shape.log");
        append_lines("shape.log", 3);
        CU_ASSERT_EQUAL(counted(&f), 3);
        append_lines("shape.log", 2);
        reopen_with(&f, "shape.log", rows[i].name, rows[i].value);
        collect(&f);
        for (const char *p = sonde_fake_cstr(&f.text);
             (p = strstr(p, "nginx_http_response_count_total{")); p++)
            sum += strtod(strchr(p, ' ') + 1, NULL);
        ROW_ASSERT(&rows[i], sum == (rows[i].anew ? 2 : 5));
        ROW_ASSERT(&rows[i], of_file(&f, "lines_total", "shape.log") == 5);
        ROW_ASSERT(&rows[i], f.log.len == 0);
        sonde_fake_fini(&f);
    }
}

/* Whatever byte is wrong: said, and counted from 0 and the end. */
static void test_damage(void)
{
    size_t n = 1;

    for (size_t i = 0; i < n; i++) {
        const struct sonde_fake_state *s;
        struct sonde_fake f;

        begin(&f, "harm.log");
        append_lines("harm.log", 3);
        CU_ASSERT_EQUAL(counted(&f), 3);
        sonde_fake_close(&f);
        s = sonde_fake_slot(&f, "access_log");
        n = s->len;
        s->ptr[i] ^= 4;
        CU_ASSERT_EQUAL(f.plugin->open(&f.host, &f.open, &f.instance, &f.err),
                        SONDE_OK);
        CU_ASSERT_EQUAL(counted(&f), 0);
        append_lines("harm.log", 2);
        CU_ASSERT_EQUAL(counted(&f), 2);
        CU_ASSERT_PTR_NOT_NULL(
            strstr(sonde_fake_cstr(&f.log), "counters begin at 0"));
        sonde_fake_fini(&f);
    }
    CU_ASSERT(n > 100);
}

static size_t saves;

static sonde_code count_save(const struct sonde_target *target,
                             const char *name, const void *data, size_t len,
                             struct sonde_err *err)
{
    saves++;
    return sonde_fake_state_save(target, name, data, len, err);
}

static void test_saves(void)
{
    struct sonde_fake f;

    start(&f, "idle.log");
    f.host.state_save = count_save;
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    saves = 0;
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(counted(&f), 0);
    CU_ASSERT_EQUAL(saves, 1);
    append_lines("idle.log", 1);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(counted(&f), 1);
    CU_ASSERT_EQUAL(saves, 2);
    sonde_fake_fini(&f);
}

/* Counters that do not fit are not kept, which is said once; files are. */
static void test_too_big(void)
{
    const struct nginx_options options = { .series_max = 20000 };
    struct log_file file = { .path = SONDE_STR("/x"), .lines = 7 };
    struct log_routes routes = { 0 };
    struct log_format format;
    struct log_counts counts;
    struct log_state state;
    struct log_cursor cursor;
    struct sonde_err err;
    struct sonde_fake f;

    sonde_fake_init(&f, sonde_plugin_entry);
    if (log_format_parse(&format,
                         SONDE_STR("$status $host $request_time "
                                   "$upstream_response_time "
                                   "$upstream_connect_time "
                                   "$upstream_header_time"),
                         SONDE_STR("host"), &err) != SONDE_OK ||
        log_counts_init(&counts, &format, &routes, &options, &err) != SONDE_OK)
        abort();
    state = (struct log_state){ .host = &f.host,
                                .target = &f.target,
                                .files = &file,
                                .file_count = 1,
                                .counts = &counts };
    for (int i = 0; i < 20000; i++) {
        char host[16];
        struct log_record r = { .status = 200 + (unsigned)i / 100,
                                .times = { 1, 1, 1, 1 },
                                .server = { host, 0 } };

        r.server.len = (size_t)snprintf(host, sizeof(host), "host%d", i % 100);
        log_counts_add(&counts, &r);
    }
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(log_state_put(&state));
        CU_ASSERT(state.doc.len < 100 && !state.doc.failed);
        CU_ASSERT(log_doc_open(
            &cursor, (sonde_str){ (char *)state.doc.bytes, state.doc.len }));
        file.lines++;
    }
    CU_ASSERT_STRING_EQUAL(strstr(sonde_fake_cstr(&f.log), "counters of"),
                           "counters of access logs do not fit into the "
                           "1048576 bytes that can be saved and will begin at "
                           "0 with the next start: lower series_max or have "
                           "fewer time_buckets\n");
    log_state_fini(&state);
    log_counts_fini(&counts);
    log_format_fini(&format);
    sonde_fake_fini(&f);
}

static void test_bad_state(void)
{
    static const char *const texts[] = {
        "",
        "junk",
        "sonde nginx access_log 1\n",
        "sonde nginx access_log 1\n1 2 3\n-1 x\n",
        "sonde nginx access_log 1\n1 2 99999999999999999999999 300 ff /x\n",
        "sonde nginx access_log 2\n",
        "sonde nginx access_log 2\n01234567",
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct sonde_fake f;

        start(&f, "bad.log");
        put_saved(&f, texts[i], strlen(texts[i]));
        CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
        CU_ASSERT_EQUAL(counted(&f), 0);
        append_lines("bad.log", 2);
        CU_ASSERT_EQUAL(counted(&f), 2);
        sonde_fake_fini(&f);
    }
}

/* A backlog is read in pieces, and says how much is left. */
static void test_budget(void)
{
    static char block[(1 << 20) + 1];
    struct sonde_fake f;

    for (size_t i = 0; i < sizeof(block) - 1; i++)
        block[i] = "200 /abcdefghij\n"[i % 16];
    start(&f, "much.log");
    (void)sonde_fake_option(&f, "read_limit", "1MB");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    CU_ASSERT_EQUAL(counted(&f), 0);
    for (int i = 0; i < 3; i++)
        append("much.log", block);
    CU_ASSERT_EQUAL(counted(&f), 65536);
    CU_ASSERT_EQUAL(of_file(&f, "lag_bytes", "much.log"), 2 << 20);
    CU_ASSERT_EQUAL(counted(&f), 2 * 65536);
    CU_ASSERT_EQUAL(counted(&f), 3 * 65536);
    CU_ASSERT_EQUAL(of_file(&f, "lag_bytes", "much.log"), 0);
    sonde_fake_fini(&f);
}

static void test_long_lines(void)
{
    static char line[200001];
    struct sonde_fake f;

    memset(line, 'x', sizeof(line) - 1);
    begin(&f, "long.log");
    append("long.log", "200 /a\n");
    append("long.log", line);
    CU_ASSERT_EQUAL(counted(&f), 1);
    append("long.log", line);
    append("long.log", "\n200 /b\n");
    CU_ASSERT_EQUAL(counted(&f), 2);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "nginx_parse_errors_total"), 1);
    sonde_fake_fini(&f);
}

static void test_no_plain_file(void)
{
    struct sonde_fake f;

    start(&f, "fifo.log");
    (void)unlink(path_of("fifo.log"));
    CU_ASSERT_EQUAL(mkfifo(path_of("fifo.log"), 0600), 0);
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    CU_ASSERT_EQUAL(counted(&f), 0);
    CU_ASSERT_EQUAL(counted(&f), 0);
    CU_ASSERT_STRING_EQUAL(strstr(sonde_fake_cstr(&f.log), ": it is"),
                           ": it is not a plain file\n"); /* told once */
    sonde_fake_fini(&f);
}

/* ---- what is counted ----------------------------------------------------- */

static void test_histograms(void)
{
#define LABELS "{method=\"GET\",status=\"200\",route=\"/a/:b\"}"
    static const struct {
        int line;
        const char *series;
        double value;
    } rows[] = {
        { __LINE__, "nginx_http_response_count_total" LABELS, 4 },
        { __LINE__, "nginx_http_response_size_bytes" LABELS, 40 },
        { __LINE__, "nginx_http_request_size_bytes" LABELS, 400 },
        { __LINE__, "nginx_http_response_time_seconds_count" LABELS, 4 },
        { __LINE__, "nginx_http_response_time_seconds_hist_count" LABELS, 4 },
        { __LINE__, "nginx_http_upstream_time_seconds_hist_count" LABELS, 2 },
        { __LINE__, "nginx_http_upstream_time_seconds_sum" LABELS, 1.25 },
        { __LINE__,
          "nginx_http_response_time_seconds_hist_bucket{method=\"GET\","
          "status=\"200\",route=\"/a/:b\",le=\"0.25\"}",
          2 }, /* a bound holds what equals it */
        { __LINE__,
          "nginx_http_response_time_seconds_hist_bucket{method=\"GET\","
          "status=\"200\",route=\"/a/:b\",le=\"1\"}",
          3 },
        { __LINE__,
          "nginx_http_response_time_seconds_hist_bucket{method=\"GET\","
          "status=\"200\",route=\"/a/:b\",le=\"+Inf\"}",
          4 },
        { __LINE__,
          "nginx_http_response_count_total{method=\"other\",status=\"400\","
          "route=\"other\"}",
          1 },
        { __LINE__, "nginx_access_log_folded_total", 0 },
    };
    struct sonde_fake f;

    sonde_fake_init(&f, sonde_plugin_entry);
    (void)unlink(path_of("hist.log"));
    (void)sonde_fake_option(&f, "mode", "log");
    (void)sonde_fake_option(&f, "access_log", path_of("hist.log"));
    (void)sonde_fake_option(&f, "from_beginning", "true");
    (void)sonde_fake_option(&f, "time_buckets", "0.25");
    (void)sonde_fake_option(&f, "time_buckets", "1");
    (void)sonde_fake_option(&f, "routes", "/a/:b");
    (void)sonde_fake_option(&f, "log_format",
                            "\"$request\" $status $body_bytes_sent "
                            "$request_length $request_time "
                            "$upstream_response_time");
    append("hist.log", "\"GET /a/1 H\" 200 10 100 0.250 -\n"
                       "\"GET /a/2?q H\" 200 10 100 0.100 0.1, 0.15\n"
                       "\"GET /a/3 H\" 200 10 100 0.251 1\n"
                       "\"GET /a/4 H\" 200 10 100 9 -\n"
                       "\"\\x16\" 400 0 0 0.000 -\n");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    for (int life = 0; life < 3; life++) {
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            double got = sonde_fake_value(&f, rows[i].series);

            if (fabs(got - rows[i].value) > 1e-9 || isnan(got))
                tap_note("%d: %s is %g", life, rows[i].series, got);
            ROW_ASSERT(&rows[i], fabs(got - rows[i].value) < 1e-9);
        }
        reopen(&f);
    }
    sonde_fake_fini(&f);
}

/* Neither combinations nor servers grow without end, and no line is lost. */
static void test_bounds(void)
{
    struct sonde_fake f;
    double sum = 0;

    start(&f, "bound.log");
    (void)sonde_fake_option(&f, "series_max", "20");
    (void)sonde_fake_option(&f, "server_label", "host");
    (void)sonde_fake_option(&f, "from_beginning", "true");
    (void)sonde_fake_option(&f, "log_format", "$status $host");
    for (int i = 0; i < 300; i++) {
        char line[64];

        (void)snprintf(line, sizeof(line), "%d host%d\n", 200 + i % 3, i);
        append("bound.log", line);
    }
    append("bound.log", "200 other\n200 \xff\xfe\n200 \n");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    collect(&f);
    CU_ASSERT_EQUAL(
        sonde_fake_value(&f, "nginx_http_response_count_total{status=\"200\","
                             "server=\"host0\"}"),
        1);
    CU_ASSERT_EQUAL(sonde_fake_value(&f, "nginx_access_log_folded_total"),
                    303 - 20);
    for (const char *p = sonde_fake_cstr(&f.text);
         (p = strstr(p, "nginx_http_response_count_total{")); p++)
        sum += strtod(strchr(p, ' ') + 1, NULL);
    CU_ASSERT_EQUAL(sum, 303);
    sonde_fake_fini(&f);

    start(&f, "bound.log"); /* the hundred-and-first server */
    (void)sonde_fake_option(&f, "server_label", "host");
    (void)sonde_fake_option(&f, "from_beginning", "true");
    (void)sonde_fake_option(&f, "log_format", "$status $host");
    for (int i = 0; i < 150; i++) {
        char line[64];

        (void)snprintf(line, sizeof(line), "200 host%d\n", i);
        append("bound.log", line);
    }
    append("bound.log", "200 other\n200 \xff\xfe\n200 \n");
    CU_ASSERT_EQUAL(sonde_fake_open(&f, "h"), SONDE_OK);
    collect(&f);
    reopen(&f); /* knows the hundred again */
    append("bound.log", "200 host0\n200 host140\n");
    collect(&f);
    CU_ASSERT_EQUAL(
        sonde_fake_value(&f, "nginx_http_response_count_total{status=\"200\","
                             "server=\"other\"}"),
        54);
    CU_ASSERT_EQUAL(
        sonde_fake_value(&f, "nginx_http_response_count_total{status=\"200\","
                             "server=\"host0\"}"),
        2);
    sonde_fake_fini(&f);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "formats and lines", test_lines },
        { "routes", test_routes },
        { "a growing file", test_growing },
        { "the first look", test_first_look },
        { "rotation", test_rotation },
        { "copytruncate", test_copytruncate },
        { "restart", test_restart },
        { "restart in a line", test_restart_in_line },
        { "rotations between two looks", test_between },
        { "cuts between two looks", test_between_cut },
        { "too many rotations", test_between_bound },
        { "other options", test_other_options },
        { "damage", test_damage },
        { "when it is saved", test_saves },
        { "counters that do not fit", test_too_big },
        { "odd states", test_bad_state },
        { "a backlog", test_budget },
        { "lines that are too long", test_long_lines },
        { "no plain file", test_no_plain_file },
        { "bytes and times", test_histograms },
        { "bounds", test_bounds },
    };

    return TAP_RUN("nginx_log", tests);
}
