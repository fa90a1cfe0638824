/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the postgres plugin reads without a server: connection strings,
 * settings and their units, values of SQL, files of queries and of auth
 * modules.
 */
#include <math.h>
#include <stdlib.h>

#include "postgres/families.h"
#include "postgres/postgres.h"
#include "postgres/query_values.h"
#include "postgres/special.h"
#include "unit/tap.h"

static bool near(double got, double want)
{
    if (isnan(want))
        return isnan(got);
    return got == want || fabs(got - want) <= 1e-9 * fabs(want);
}

/* ---- connection strings -------------------------------------------------- */

static const struct {
    int line;
    const char *text;
    const char *want; /* "key=value|..." of these keys, or NULL: refused */
} dsns[] = {
    { __LINE__, "db1", "server=db1:5432|host=db1" },
    { __LINE__, "db1:6000", "server=db1:6000|host=db1|port=6000" },
    { __LINE__, "[::1]:6000", "server=::1:6000|host=::1|port=6000" },
    { __LINE__, "db1:6000/app?sslmode=disable",
      "host=db1|port=6000|dbname=app|sslmode=disable" },
    { __LINE__, "/run/postgresql",
      "server=/run/postgresql:5432|host=/run/postgresql" },
    { __LINE__, "/run/postgresql:5433", "host=/run/postgresql|port=5433" },
    { __LINE__, "unix:/run/pg/.s.PGSQL.5433", "host=/run/pg|port=5433" },
    { __LINE__, "postgresql://u:p@h:1/d",
      "server=h:1|user=u|password=p|host=h|port=1|dbname=d" },
    { __LINE__, "postgres://u@h", "user=u|host=h|password=(none)" },
    { __LINE__, "postgresql://", "server=localhost:5432|host=localhost" },
    { __LINE__, "postgresql://u:p%40s%2Fs@h/d%20b",
      "user=u|password=p@s/s|dbname=d b" },
    { __LINE__, "postgresql://u:p@s@h/d", "password=p@s|host=h" },
    { __LINE__, "postgresql://u:a,b@h/d", "password=a,b" },
    { __LINE__, "postgresql://h1:1,h2:2/d", "host=h1,h2|port=1,2" },
    { __LINE__, "postgresql://h1,h2:2/d", "host=h1,h2|port=,2" },
    { __LINE__, "postgresql://[::1]/d", "host=::1|server=::1:5432" },
    { __LINE__, "postgresql:///d?host=/run/postgresql",
      "server=localhost:5432|host=/run/postgresql|dbname=d" },
    { __LINE__, "postgresql://%2Frun%2Fpg/d", "host=/run/pg|dbname=d" },
    { __LINE__, "postgresql://h/d?ssl=true", "sslmode=require" },
    { __LINE__, "postgresql://h/d?statement_timeout=5000&search_path=a,b",
      "options=-c statement_timeout=5000 -c search_path=a,b" },
    { __LINE__, "postgresql://h/d?options=-c%20x.y%3D1&application_name=z",
      "options=-c x.y=1|application_name=z" },
    { __LINE__, "postgresql://h/d?binary_parameters=yes",
      "binary_parameters=(none)|options=(none)" },
    { __LINE__, "host=h user=u password='a b' dbname=d",
      "server=h:5432|host=h|user=u|password=a b|dbname=d" },
    { __LINE__, "host=h password=a\\'b?c=d", "password=a'b?c=d" },
    { __LINE__, "host = h port= 1", "host=h|port=1" },
    { __LINE__, "user=u password='it\\'s'",
      "password=it's|host=localhost|server=localhost:5432" },
    { __LINE__, "host=/run/postgresql dbname=x",
      "server=/run/postgresql:5432" },
    { __LINE__, "host=h work_mem='4 MB'", "options=-c work_mem=4\\ MB" },
    { __LINE__, "", "host=localhost" },
    { __LINE__, "host=h password='open", NULL },
    { __LINE__, "host=h password=x\\", NULL },
    { __LINE__, "host=h junk", NULL },
    { __LINE__, "host=h bad-key=1", NULL },
    { __LINE__, "postgresql://u:p%4@h", NULL },
    { __LINE__, "postgresql://u:p%00@h", NULL },
    { __LINE__, "postgresql://h:70000/", NULL },
    { __LINE__, "postgresql://h:x/", NULL },
    { __LINE__, "postgresql://[::1/", NULL },
    { __LINE__, "postgresql://h/d?novalue", NULL },
    { __LINE__, "db1:port", NULL },
    { __LINE__, "/run/postgresql:x", NULL },
    { __LINE__, "unix:relative", NULL },
};

static bool has_pair(const struct dsn *d, sonde_str pair)
{
    sonde_str key;
    char name[64];
    const char *got;

    (void)text_split(&pair, '=', &key);
    (void)snprintf(name, sizeof(name), "%.*s", SONDE_ARG(key));
    got = strcmp(name, "server") == 0 ? d->server : dsn_get(d, name);
    if (!got)
        return text_is(pair, "(none)");
    if (!text_is(pair, got))
        tap_note("%s is %s", name, got);
    return text_is(pair, got);
}

static void test_dsn(void)
{
    (void)unsetenv("PGHOST");
    for (size_t i = 0; i < sizeof(dsns) / sizeof(dsns[0]); i++) {
        struct dsn d;
        struct sonde_err err = { 0 };
        sonde_code rc = dsn_parse(sonde_cstr(dsns[i].text), &d, &err);
        sonde_str rest = sonde_cstr(dsns[i].want), pair;

        ROW_ASSERT(&dsns[i], (rc == SONDE_OK) == (dsns[i].want != NULL));
        while (rc == SONDE_OK && text_split(&rest, '|', &pair))
            ROW_ASSERT(&dsns[i], has_pair(&d, pair));
        dsn_fini(&d);
    }
}

static void test_dsn_silent(void)
{
    static const char *const texts[] = {
        "host=h password='hunter2",      "postgresql://u:hunter2@h:x/",
        "host=h password=hunter2 junk",  "postgresql://u:hunter2@h/d?x",
        "host=h password=hunter2 b@d=1",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct dsn d;
        struct sonde_err err = { 0 };

        CU_ASSERT_NOT_EQUAL(dsn_parse(sonde_cstr(texts[i]), &d, &err),
                            SONDE_OK);
        CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
        dsn_fini(&d);
    }
}

static void test_dsn_split(void)
{
    static const struct {
        int line;
        const char *text;
        size_t count;
        const char *last;
    } rows[] = {
        { __LINE__, "postgresql://a/d", 1, "postgresql://a/d" },
        { __LINE__, "postgresql://a/d,postgres://b/d", 2, "postgres://b/d" },
        { __LINE__, "postgresql://u:x,y@a,b/d", 1, "postgresql://u:x,y@a,b/d" },
        { __LINE__, "host=a password=x,y,host=b", 2, "host=b" },
        { __LINE__, "host=a, user=b", 2, " user=b" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_str rest = sonde_cstr(rows[i].text), one = { 0 };
        size_t n = 0;

        while (dsn_split(&rest, &one))
            n++;
        ROW_ASSERT(&rows[i], n == rows[i].count);
        ROW_ASSERT(&rows[i], text_is(one, rows[i].last));
    }
}

/* ---- settings ------------------------------------------------------------ */

static const struct {
    int line;
    const char *name, *setting, *unit, *kind;
    const char *family; /* NULL: refused */
    double value;
} settings[] = {
    { __LINE__, "jit", "on", "", "bool", "jit", 1 },
    { __LINE__, "jit", "off", "", "bool", "jit", 0 },
    { __LINE__, "a.b-c", "1", "", "integer", "a_b_c", 1 },
    { __LINE__, "x", "-1", "ms", "integer", "x_seconds", -1 },
    { __LINE__, "x", "0", "8kB", "integer", "x_bytes", 0 },
    { __LINE__, "x", "1", "ms", "integer", "x_seconds", 0.001 },
    { __LINE__, "x", "3", "s", "integer", "x_seconds", 3 },
    { __LINE__, "x", "3", "min", "integer", "x_seconds", 180 },
    { __LINE__, "x", "3", "h", "integer", "x_seconds", 10800 },
    { __LINE__, "x", "3", "d", "integer", "x_seconds", 259200 },
    { __LINE__, "x", "3", "B", "integer", "x_bytes", 3 },
    { __LINE__, "x", "3", "kB", "integer", "x_bytes", 3072 },
    { __LINE__, "x", "3", "MB", "integer", "x_bytes", 3145728 },
    { __LINE__, "x", "3", "GB", "integer", "x_bytes", 3221225472 },
    { __LINE__, "x", "1", "TB", "integer", "x_bytes", 0x1p40 },
    { __LINE__, "x", "1", "1kB", "integer", "x_bytes", 1024 },
    { __LINE__, "x", "1", "2kB", "integer", "x_bytes", 2048 },
    { __LINE__, "x", "1", "4kB", "integer", "x_bytes", 4096 },
    { __LINE__, "x", "2", "8kB", "integer", "x_bytes", 16384 },
    { __LINE__, "x", "1", "16kB", "integer", "x_bytes", 16384 },
    { __LINE__, "x", "1", "32kB", "integer", "x_bytes", 32768 },
    { __LINE__, "x", "1", "64kB", "integer", "x_bytes", 65536 },
    { __LINE__, "x", "1", "16MB", "integer", "x_bytes", 0x1p24 },
    { __LINE__, "x", "1", "32MB", "integer", "x_bytes", 0x1p25 },
    { __LINE__, "x", "1", "64MB", "integer", "x_bytes", 0x1p26 },
    { __LINE__, "x", "0.5", "", "real", "x", 0.5 },
    { __LINE__, "x", "1e3", "ms", "real", "x_seconds", 1 },
    { __LINE__, "x", "64 MB", "", "integer", "x_bytes", 67108864 },
    { __LINE__, "x", "64MB", "8kB", "integer", "x_bytes", 67108864 },
    { __LINE__, "x", "5s", "ms", "integer", "x_seconds", 5 },
    { __LINE__, "x", "1", "parsec", "integer", NULL, 0 },
    { __LINE__, "x", "many", "", "integer", NULL, 0 },
    { __LINE__, "x", "", "", "integer", NULL, 0 },
    { __LINE__, "x", "MB", "", "integer", NULL, 0 },
};

static void test_settings(void)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        char family[256] = "", want[256];
        double value = NAN;
        bool ok = settings_value(
            sonde_cstr(settings[i].name), sonde_cstr(settings[i].setting),
            sonde_cstr(settings[i].unit), sonde_cstr(settings[i].kind), family,
            sizeof(family), &value);

        ROW_ASSERT(&settings[i], ok == (settings[i].family != NULL));
        if (!ok || !settings[i].family)
            continue;
        (void)snprintf(want, sizeof(want), "pg_settings_%s",
                       settings[i].family);
        ROW_ASSERT(&settings[i], strcmp(family, want) == 0);
        ROW_ASSERT(&settings[i], near(value, settings[i].value));
    }
}

/* ---- values -------------------------------------------------------------- */

static void test_times(void)
{
    static const struct {
        int line;
        const char *text;
        bool ok;
        double want;
    } rows[] = {
        { __LINE__, "1970-01-01", true, 0 },
        { __LINE__, "2024-02-29 12:00:00.75+00", true, 1709208000 },
        { __LINE__, "2024-02-29 12:00:00+02", true, 1709200800 },
        { __LINE__, "2024-02-29 12:00:00-03:30", true, 1709220600 },
        { __LINE__, "1969-12-31 23:59:59", true, -1 },
        { __LINE__, "infinity", true, INFINITY },
        { __LINE__, "-infinity", true, -INFINITY },
        { __LINE__, "0044-03-15 BC", false, 0 },
        { __LINE__, "2024-13-01", false, 0 },
        { __LINE__, "yesterday", false, 0 },
        { __LINE__, "2024-01-01 12:00", false, 0 },
    };
    static const struct {
        int line;
        const char *text;
        bool ok;
        double want;
    } spans[] = {
        { __LINE__, "00:00:01.5", true, 1500 },
        { __LINE__, "-00:00:01", true, -1000 },
        { __LINE__, "1 day 01:00:00", true, 90000000 },
        { __LINE__, "2 days", true, 172800000 },
        { __LINE__, "1 mon", true, 2592000000.0 },
        { __LINE__, "1 year", true, 31557600000.0 },
        { __LINE__, "soon", false, 0 },
        { __LINE__, "1", false, 0 },
        { __LINE__, "", false, 0 },
    };
    static const struct {
        int line;
        const char *text;
        bool ok;
        double want;
    } durations[] = {
        { __LINE__, "3s", true, 3000 },
        { __LINE__, "1h2m3.5s", true, 3723500 },
        { __LINE__, "5ms", true, 5 },
        { __LINE__, "250us", true, 0.25 },
        { __LINE__, "-2m", true, -120000 },
        { __LINE__, "3", true, 3 },
        { __LINE__, "3 s", false, 0 },
        { __LINE__, "s", false, 0 },
        { __LINE__, "3x", false, 0 },
        { __LINE__, "", false, 0 },
    };
    double v;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ROW_ASSERT(&rows[i],
                   sql_time(sonde_cstr(rows[i].text), &v) == rows[i].ok);
        if (rows[i].ok)
            ROW_ASSERT(&rows[i], near(v, rows[i].want));
    }
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        ROW_ASSERT(&spans[i],
                   sql_interval(sonde_cstr(spans[i].text), &v) == spans[i].ok);
        if (spans[i].ok)
            ROW_ASSERT(&spans[i], near(v, spans[i].want));
    }
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        ROW_ASSERT(&durations[i], query_duration(sonde_cstr(durations[i].text),
                                                 &v) == durations[i].ok);
        if (durations[i].ok)
            ROW_ASSERT(&durations[i], near(v, durations[i].want));
    }
}

static void test_arrays(void)
{
    static const struct {
        int line;
        const char *text;
        bool ok;
        size_t count;
        double sum;
    } rows[] = {
        { __LINE__, "{}", true, 0, 0 },
        { __LINE__, "{1}", true, 1, 1 },
        { __LINE__, "{0.5,1,2.5}", true, 3, 4 },
        { __LINE__, "{\"1\",\"2\"}", true, 2, 3 },
        { __LINE__, "{1,NULL}", false, 1, 1 },
        { __LINE__, "{1,2", false, 1, 1 },
        { __LINE__, "1,2", false, 0, 0 },
        { __LINE__, "{{1},{2}}", false, 0, 0 },
        { __LINE__, "", false, 0, 0 },
        { __LINE__, "{1}x", false, 0, 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_str rest = sonde_cstr(rows[i].text);
        double v, sum = 0;
        size_t n = 0;
        bool ok = false;

        while (sql_array_next(&rest, &v, &ok)) {
            sum += v;
            n++;
            if (!rest.ptr)
                break;
        }
        ROW_ASSERT(&rows[i], ok == rows[i].ok);
        ROW_ASSERT(&rows[i], n == rows[i].count && near(sum, rows[i].sum));
    }
}

/* ---- files --------------------------------------------------------------- */

static void test_queries_good(void)
{
    static const char text[] =
        "pg_x:\n"
        "  query: \"SELECT 1 AS a\"\n"
        "  master: true\n"
        "  cache_seconds: 30\n"
        "  runonserver: '>=10.0.0 <13.0.0 || =14.1.0'\n"
        "  metrics:\n"
        "    - name: {usage: LABEL, description: d}\n"
        "    - a:\n"
        "        usage: \"GAUGE\"\n"
        "        description: \"the a\"\n"
        "    - t: {usage: DURATION}\n"
        "    - m: {usage: MAPPEDMETRIC, metric_mapping: {on: 1, off: 0}}\n"
        "ours:\n"
        "  query: SELECT 2\n"
        "  databases: [one, two]\n"
        "  interval: 5m\n"
        "  timeout: 500ms\n"
        "  min_version: 9.6\n"
        "  max_version: 12\n"
        "  metrics:\n"
        "    b: {usage: COUNTER, name: my_b_total}\n"
        "pg_locks:\n"
        "pg_stat_archiver: {query: ''}\n";
    struct query_set set;
    struct sonde_err err = { 0 };
    const struct query *q;

    CU_ASSERT_EQUAL_FATAL(queries_read(SONDE_STR(text), &set, &err), SONDE_OK);
    CU_ASSERT_EQUAL(set.count, 4);
    q = queries_find(&set, "pg_x");
    CU_ASSERT_PTR_NOT_NULL_FATAL(q);
    CU_ASSERT(q->master && q->interval == 30000 && q->column_count == 4);
    CU_ASSERT_STRING_EQUAL(q->columns[0].family, "name");
    CU_ASSERT_STRING_EQUAL(q->columns[1].family, "pg_x_a");
    CU_ASSERT_STRING_EQUAL(q->columns[1].help, "the a");
    CU_ASSERT_STRING_EQUAL(q->columns[2].family, "pg_x_t_milliseconds");
    CU_ASSERT_EQUAL(q->columns[3].mapping_count, 2);
    CU_ASSERT(query_applies(q, 10000000));
    CU_ASSERT(query_applies(q, 12999000));
    CU_ASSERT(!query_applies(q, 13000000));
    CU_ASSERT(query_applies(q, 14001000));
    CU_ASSERT(!query_applies(q, 15000000));
    q = queries_find(&set, "ours");
    CU_ASSERT_PTR_NOT_NULL_FATAL(q);
    CU_ASSERT(q->scope == SCOPE_LIST && q->database_count == 2);
    CU_ASSERT(q->interval == 300000 && q->timeout == 500);
    CU_ASSERT_STRING_EQUAL(q->set_timeout, "SET statement_timeout = 500");
    CU_ASSERT_STRING_EQUAL(q->columns[0].family, "my_b_total");
    CU_ASSERT(query_applies(q, query_server_version(90624)));
    CU_ASSERT(query_applies(q, query_server_version(120018)));
    CU_ASSERT(!query_applies(q, query_server_version(130000)));
    CU_ASSERT(!query_applies(q, query_server_version(90524)));
    CU_ASSERT_PTR_NULL(queries_find(&set, "pg_locks")->sql);
    CU_ASSERT_PTR_NULL(queries_find(&set, "pg_stat_archiver")->sql);
    queries_fini(&set);
}

static void test_queries_bad(void)
{
    static const struct {
        int line;
        const char *text, *why;
    } rows[] = {
        { __LINE__, "a: [", "line " },
        { __LINE__, "- a", "map of namespaces" },
        { __LINE__, "a:\n  querry: x", "line 2: querry" },
        { __LINE__, "a: {query: x, metrics: 5}", "list of columns" },
        { __LINE__, "a: {query: x, metrics: [{c: {usage: GUAGE}}]}", "GUAGE" },
        { __LINE__, "a: {query: x, metrics: [{c: {use: GAUGE}}]}", "use" },
        { __LINE__, "a: {query: x, cache_seconds: soon}", "seconds" },
        { __LINE__, "a: {query: x, cache_seconds: -1}", "seconds" },
        { __LINE__, "a: {query: x, timeout: 9x}", "500ms" },
        { __LINE__, "a: {query: x, runonserver: '>>10'}", "compares" },
        { __LINE__, "a: {query: x, runonserver: '||'}", "versions" },
        { __LINE__, "a: {query: x, min_version: new}", "version" },
        { __LINE__, "a: {query: x, databases: some}", "databases" },
        { __LINE__, "a: {query: x, master: perhaps}", "true or false" },
        { __LINE__, "a: {query: x}\na: {query: y}", "twice" },
        { __LINE__, "1a: {query: x}", "namespace" },
        { __LINE__, "a: {query: x, metrics: [{'b:c': {usage: LABEL}}]}",
          "label" },
        { __LINE__,
          "a: {query: x, metrics: [{c: {usage: MAPPEDMETRIC, "
          "metric_mapping: {on: much}}}]}",
          "number" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct query_set set;
        struct sonde_err err = { 0 };

        ROW_ASSERT(&rows[i], queries_read(sonde_cstr(rows[i].text), &set,
                                          &err) == SONDE_EPARSE);
        ROW_ASSERT(&rows[i], strstr(err.text, rows[i].why) != NULL);
        queries_fini(&set);
    }
}

static void test_auth_modules(void)
{
    static const char text[] =
        "auth_modules:\n"
        "  first:\n"
        "    type: userpass\n"
        "    userpass: {username: u, password: hunter2}\n"
        "    options: {sslmode: disable}\n"
        "  half:\n"
        "    type: userpass\n"
        "    userpass: {username: u}\n"
        "  odd:\n"
        "    type: userpass\n"
        "    userpass: {username: u, password: p, pass: hunter2}\n";
    struct credentials c;
    struct sonde_err err = { 0 };

    CU_ASSERT_EQUAL(
        auth_module_read(SONDE_STR(text), SONDE_STR("first"), &c, &err),
        SONDE_OK);
    CU_ASSERT_STRING_EQUAL(c.user, "u");
    CU_ASSERT_STRING_EQUAL(c.password, "hunter2");
    CU_ASSERT_STRING_EQUAL(dsn_get(&c.extra, "sslmode"), "disable");
    credentials_fini(&c);
    CU_ASSERT_EQUAL(
        auth_module_read(SONDE_STR(text), SONDE_STR("none"), &c, &err),
        SONDE_ENOTFOUND);
    CU_ASSERT_EQUAL(
        auth_module_read(SONDE_STR(text), SONDE_STR("half"), &c, &err),
        SONDE_EPARSE);
    CU_ASSERT_EQUAL(
        auth_module_read(SONDE_STR(text), SONDE_STR("odd"), &c, &err),
        SONDE_EPARSE);
    CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
}

/* ---- tables -------------------------------------------------------------- */

static void test_families_sorted(void)
{
    for (size_t i = F_SORTED + 1; i < PG_FAMILY_COUNT; i++)
        CU_ASSERT(strcmp(pg_families[i - 1].name, pg_families[i].name) < 0);
    for (size_t i = 0; i < PG_FAMILY_COUNT; i++)
        CU_ASSERT_EQUAL(families_find(pg_families[i].name), i);
    CU_ASSERT_EQUAL(families_find("pg_nothing"), PG_FAMILY_COUNT);
}

/* Which collectors apply to which version of the server. */
static void test_versions(void)
{
    static const struct {
        int line;
        const char *name;
        int from, below;
    } rows[] = {
        { __LINE__, "replication", 90600, 0 },
        { __LINE__, "replication_slots", 90600, 0 },
        { __LINE__, "stat_activity", 90600, 0 },
        { __LINE__, "stat_bgwriter", 90600, 0 },
        { __LINE__, "stat_checkpointer", 170000, 0 },
        { __LINE__, "stat_progress_vacuum", 90600, 0 },
        { __LINE__, "wal", 100000, 0 },
        { __LINE__, "xlog_location", 90600, 100000 },
        { __LINE__, "stat_io", 160000, 0 },
        { __LINE__, "stat_wal", 140000, 0 },
    };
    static const int versions[] = { 90624,  100023, 110022, 120022, 130023,
                                    140020, 150018, 160012, 170008, 180002 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct collector *c = NULL;

        for (size_t k = 0; k < COLLECTOR_COUNT; k++) {
            if (strcmp(collectors[k].part.name, rows[i].name) == 0)
                c = &collectors[k];
        }
        ROW_ASSERT(&rows[i], c != NULL);
        for (size_t k = 0; c && k < sizeof(versions) / sizeof(int); k++) {
            int v = versions[k];
            bool want =
                v >= rows[i].from && (!rows[i].below || v < rows[i].below);

            ROW_ASSERT(&rows[i], (collector_sql(c, v) != NULL) == want);
        }
    }
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "connection strings", test_dsn },
        { "a broken connection string is not repeated", test_dsn_silent },
        { "several connection strings", test_dsn_split },
        { "settings and their units", test_settings },
        { "times, intervals, durations", test_times },
        { "arrays", test_arrays },
        { "a file of queries", test_queries_good },
        { "what is wrong in a file of queries", test_queries_bad },
        { "auth modules", test_auth_modules },
        { "families are sorted and found", test_families_sorted },
        { "collectors by version", test_versions },
    };

    return TAP_RUN("postgres_text", tests);
}
