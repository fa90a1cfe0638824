/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The postgres plugin under the fake host, with a server behind link.h that
 * is a table: what a statement says is looked up in it, so that versions,
 * refusals and lost connections can be had without one.
 */
#include <math.h>
#include <stdlib.h>

#include <sonde/testing.h>

#include "plugins/said.h"
#include "postgres/postgres.h"
#include "unit/tap.h"

/* ---- a server of answers --------------------------------------------------
 */

/* The first row whose `part` is in the statement answers it. Columns and
 * cells are written "a,b|1,2|3,\N". */
struct answer {
    const char *part;
    sonde_code code;
    const char *rows;
    uint32_t type; /* of all columns */
};

struct server {
    struct link_ops ops; /* first */
    const struct answer *answers;
    size_t answer_count;
    int version;
    size_t opened, closed, asked;
    size_t refuse;  /* so many logins */
    size_t lose_at; /* the link is lost at this statement; 0: never */
    bool silent;    /* lost before anything was answered */
    sonde_code lose_code;
    char password[64], database[64], options[128];
    struct text said; /* statements, one a line */
};

struct server_link {
    struct link link;
    struct server *server;
    struct statement queue[600];
    size_t count, at;
    char *memory;
    struct cell cells[512];
    const char *names[64];
    uint32_t types[64];
};

static struct server_link *link_of(struct link *l)
{
    return (struct server_link *)(void *)l;
}

static void keep(char *out, size_t cap, const struct login *login,
                 const char *key)
{
    out[0] = '\0';
    for (size_t i = 0; login->keys[i]; i++) {
        if (strcmp(login->keys[i], key) == 0)
            (void)snprintf(out, cap, "%s", login->values[i]);
    }
}

static sonde_code server_open(const struct link_ops *ops,
                              const struct login *login, sonde_msec deadline,
                              struct link **out, struct sonde_err *err)
{
    struct server *s = (struct server *)(void *)(uintptr_t)ops;
    struct server_link *l;

    (void)deadline;
    *out = NULL;
    s->opened++;
    keep(s->password, sizeof(s->password), login, "password");
    keep(s->database, sizeof(s->database), login, "dbname");
    keep(s->options, sizeof(s->options), login, "options");
    if (s->refuse) {
        s->refuse--;
        return sonde_err_set(err, SONDE_ECONNECT, "connect: refused");
    }
    l = calloc(1, sizeof(*l));
    if (!l)
        abort();
    l->server = s;
    l->link.ops = ops;
    l->link.version = s->version;
    *out = &l->link;
    return SONDE_OK;
}

static void server_close(struct link *link)
{
    struct server_link *l = link_of(link);

    if (!l)
        return;
    l->server->closed++;
    free(l->memory);
    free(l);
}

static sonde_code server_send(struct link *link, const struct statement *st,
                              size_t n, sonde_msec deadline,
                              struct sonde_err *err)
{
    struct server_link *l = link_of(link);

    (void)deadline;
    (void)err;
    l->count = l->at = 0;
    link->answered = false;
    for (size_t i = 0; i < n && i < 600; i++)
        l->queue[l->count++] = st[i];
    return SONDE_OK;
}

static const struct answer *find_answer(const struct server *s, const char *sql)
{
    for (size_t i = 0; i < s->answer_count; i++) {
        if (strstr(sql, s->answers[i].part))
            return &s->answers[i];
    }
    return NULL;
}

static void fill(struct server_link *l, const struct answer *a,
                 struct rows *out)
{
    sonde_str rest, line, cell;
    size_t row = 0, n = 0;
    char *z;

    free(l->memory);
    l->memory = z = strdup(a->rows);
    for (char *p = z; *p; p++) {
        if (*p == '|' || *p == ',')
            *p = *p == '|' ? '\n' : '\t';
        else if (*p == ';') /* within an array */
            *p = ',';
    }
    rest = sonde_cstr(z);
    *out = (struct rows){ .names = l->names,
                          .types = l->types,
                          .cells = l->cells };
    for (; text_split(&rest, '\n', &line); row++) {
        size_t columns = 0;

        while (text_split(&line, '\t', &cell)) {
            ((char *)(uintptr_t)cell.ptr)[cell.len] = '\0';
            if (row == 0) {
                l->types[columns] = a->type;
                l->names[columns++] = cell.ptr;
            } else {
                l->cells[n] = (struct cell){ cell.ptr, (int)cell.len };
                if (text_is(cell, "\\N"))
                    l->cells[n].ptr = NULL;
                n++;
            }
        }
        if (row == 0)
            out->columns = columns;
    }
    out->count = row - 1;
}

static sonde_code server_next(struct link *link, sonde_msec deadline,
                              struct rows *out, struct sonde_err *err)
{
    struct server_link *l = link_of(link);
    struct server *s = l->server;
    const struct statement *st = &l->queue[l->at++];
    const struct answer *a = find_answer(s, st->sql);

    (void)deadline;
    *out = (struct rows){ 0 };
    if (s->lose_at && ++s->asked >= s->lose_at) {
        s->lose_at = 0;
        link->lost = true;
        link->answered = !s->silent;
        return sonde_err_set(err, s->lose_code ? s->lose_code : SONDE_EIO,
                             "the server went away");
    }
    link->answered = true;
    text_addz(&s->said, st->sql);
    text_addz(&s->said, "\n");
    if (!a)
        return SONDE_OK;
    if (a->code != SONDE_OK)
        return sonde_err_set(err, a->code, "%s", a->rows);
    fill(l, a, out);
    return SONDE_OK;
}

static void server_init(struct server *s, int version,
                        const struct answer *answers, size_t n)
{
    *s = (struct server){ .ops = { server_open, server_close, server_send,
                                   server_next },
                          .answers = answers,
                          .answer_count = n,
                          .version = version };
}

#define SERVER(s, version, rows)                                               \
    server_init(s, version, rows, sizeof(rows) / sizeof((rows)[0]))

static bool said(const struct server *s, const char *part)
{
    return s->said.ptr && strstr(s->said.ptr, part) != NULL;
}

/* ---- a case -------------------------------------------------------------- */

#define ABOUT                                                                  \
    {                                                                          \
        "SELECT version()", SONDE_OK, "version,db|PostgreSQL 15.18,app", 25    \
    }
#define EXTENSIONS                                                             \
    {                                                                          \
        "pg_extension", SONDE_OK, "n,v,s|pg_stat_statements,1.10,ext", 25      \
    }
#define NO_OTHERS                                                              \
    {                                                                          \
        "datallowconn AND NOT", SONDE_OK, "datname", 25                        \
    }

static const struct answer plain[] = {
    ABOUT,
    EXTENSIONS,
    NO_OTHERS,
    { "datconnlimit", SONDE_OK, "datname,connection_limit|app,-1|b,5", 25 },
    { "pg_stat_archiver", SONDE_OK,
      "archived_count,failed_count,last_archive_age|7,1,\\N", 20 },
    { "pg_stat_bgwriter", SONDE_OK, "buffers_clean_total|\\N", 20 },
    { "pg_stat_user_tables", SONDE_OK,
      "datname,schemaname,relname,seq_scan|app,public,t,3", 25 },
};

static struct server server;

static void open_case(struct sonde_fake *f, const char *address)
{
    server.ops.open = server_open;
    CU_ASSERT_EQUAL_FATAL(sonde_fake_open(f, address), SONDE_OK);
    f->instance->ops = &server.ops;
}

static void close_case(struct sonde_fake *f)
{
    sonde_fake_fini(f);
    CU_ASSERT_EQUAL(server.opened >= server.closed, 1);
    text_fini(&server.said);
}

static size_t part_index(const char *name)
{
    for (size_t c = 0; c < COLLECTOR_COUNT; c++) {
        if (strcmp(collectors[c].part.name, name) == 0)
            return c;
    }
    abort();
}

/* ---- tests --------------------------------------------------------------- */

static void test_collect(void)
{
    struct sonde_fake f;

    SERVER(&server, 150018, plain);
    sonde_fake_init(&f, sonde_plugin_entry);
    open_case(&f, "db1:6000");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "pg_up", 1));
    CU_ASSERT(is(&f, "pg_exporter_last_scrape_error", 0));
    CU_ASSERT(is(&f, "pg_database_connection_limit{datname=\"b\"}", 5));
    CU_ASSERT(is(&f, "pg_stat_archiver_archived_count", 7));
    CU_ASSERT(is(&f, "pg_stat_archiver_last_archive_age", NAN));  /* none */
    CU_ASSERT(is(&f, "pg_stat_bgwriter_buffers_clean_total", 0)); /* zero */
    CU_ASSERT(is(&f,
                 "pg_stat_user_tables_seq_scan{datname=\"app\",schemaname="
                 "\"public\",relname=\"t\"}",
                 3));
    CU_ASSERT(is(&f,
                 "pg_static{version=\"PostgreSQL 15.18\",short_version="
                 "\"15.18.0\",server=\"db1:6000\"}",
                 1));
    CU_ASSERT(is(&f, "pg_scrape_collector_success{collector=\"database\"}", 1));
    CU_ASSERT(said(&server, "SET statement_timeout = "));
    CU_ASSERT(said(&server, "SET lock_timeout = '100ms'"));
    CU_ASSERT(said(&server, "SET jit = 'off'"));
    CU_ASSERT(said(&server, "SET default_transaction_read_only = 'on'"));
    /* The second one logs in no more. */
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(server.opened, 1);
    close_case(&f);
}

static void test_versions(void)
{
    static const struct {
        int line, version;
        const char *said, *not_said, *short_version;
    } rows[] = {
        { __LINE__, 90624, "pg_last_xlog_receive_location", "pg_ls_waldir",
          "9.6.24" },
        { __LINE__, 100023, "pg_ls_waldir", "SET jit", "10.23.0" },
        { __LINE__, 120022, "SET jit", "safe_wal_size", "12.22.0" },
        { __LINE__, 130023, "safe_wal_size", "active_time", "13.23.0" },
        { __LINE__, 140020, "active_time", "confl_active_logicalslot",
          "14.20.0" },
        { __LINE__, 160012, "confl_active_logicalslot",
          "FROM pg_catalog.pg_stat_checkpointer", "16.12.0" },
        { __LINE__, 170008, "max_dead_tuple_bytes", "buffers_backend_fsync",
          "17.8.0" },
        { __LINE__, 180002, "FROM pg_catalog.pg_stat_checkpointer",
          "checkpoints_timed", "18.2.0" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sonde_fake f;
        char series[128];

        SERVER(&server, rows[i].version, plain);
        sonde_fake_init(&f, sonde_plugin_entry);
        (void)sonde_fake_option(&f, "collector_stat_checkpointer", "true");
        open_case(&f, "h:1");
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        ROW_ASSERT(&rows[i], said(&server, rows[i].said));
        ROW_ASSERT(&rows[i], !said(&server, rows[i].not_said));
        (void)snprintf(series, sizeof(series),
                       "pg_static{version=\"PostgreSQL 15.18\",short_version="
                       "\"%s\",server=\"h:1\"}",
                       rows[i].short_version);
        ROW_ASSERT(&rows[i], is(&f, series, 1));
        /* What does not apply is no failure. */
        ROW_ASSERT(&rows[i], is(&f,
                                "pg_scrape_collector_success{collector="
                                "\"stat_checkpointer\"}",
                                1));
        ROW_ASSERT(&rows[i],
                   f.parts[part_index("stat_checkpointer")].failed == 0);
        close_case(&f);
    }
}

static void test_refused_part(void)
{
    static const struct answer answers[] = {
        ABOUT,
        EXTENSIONS,
        NO_OTHERS,
        { "pg_ls_waldir", SONDE_EACCESS, "permission denied", 0 },
        { "pg_stat_archiver", SONDE_ETIMEOUT, "canceled", 0 },
        { "FROM pg_catalog.pg_roles", SONDE_OK, "rolname,limit|x,1", 25 },
    };
    struct sonde_fake f;
    size_t wal = part_index("wal");

    SERVER(&server, 150018, answers);
    sonde_fake_init(&f, sonde_plugin_entry);
    open_case(&f, "h:1");
    for (int i = 0; i < 2; i++) {
        text_fini(&server.said);
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "pg_up", 1));
        CU_ASSERT(is(&f, "pg_exporter_last_scrape_error", 1));
        CU_ASSERT(is(&f, "pg_scrape_collector_success{collector=\"wal\"}", 0));
        CU_ASSERT(
            is(&f, "pg_scrape_collector_success{collector=\"locks\"}", 1));
        CU_ASSERT_EQUAL(f.parts[wal].code, SONDE_EACCESS);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.parts[wal].why, "permission denied"));
        /* A right that is missing is not asked for again, a timeout is. */
        CU_ASSERT_EQUAL(said(&server, "pg_ls_waldir"), i == 0);
        CU_ASSERT(said(&server, "pg_stat_archiver"));
        /* A column that fits nowhere is an error that names it. */
        CU_ASSERT_PTR_NOT_NULL(
            strstr(f.parts[part_index("roles")].why, "neither"));
    }
    close_case(&f);
}

static void test_extensions(void)
{
    static const struct answer none[] = { ABOUT, NO_OTHERS };
    struct sonde_fake f;

    SERVER(&server, 150018, plain);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "collector_stat_statements", "true");
    (void)sonde_fake_option(&f, "collector_buffercache_summary", "true");
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(said(&server, "FROM ext.pg_stat_statements(false)"));
    CU_ASSERT(said(&server, "total_exec_time"));
    CU_ASSERT(!said(&server, "pg_buffercache_summary()"));
    CU_ASSERT_EQUAL(f.parts[part_index("buffercache_summary")].code,
                    SONDE_EUNSUPPORTED);
    close_case(&f);

    SERVER(&server, 150018, none);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "collector_stat_statements", "true");
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(!said(&server, "total_exec_time"));
    CU_ASSERT(is(
        &f, "pg_scrape_collector_success{collector=\"stat_statements\"}", 0));
    close_case(&f);
}

static void test_lost(void)
{
    struct sonde_fake f;

    SERVER(&server, 150018, plain);
    sonde_fake_init(&f, sonde_plugin_entry);
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    /* Killed while it was kept: nobody notices. */
    server.lose_at = server.asked + 1;
    server.silent = true;
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "pg_up", 1));
    CU_ASSERT(is(&f, "pg_exporter_last_scrape_error", 0));
    CU_ASSERT_EQUAL(server.opened, 2);
    /* Killed in between: one part is lost, the rest is asked again. */
    server.asked = 0;
    server.lose_at = 4;
    server.silent = false;
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "pg_up", 1));
    CU_ASSERT(is(&f, "pg_exporter_last_scrape_error", 1));
    CU_ASSERT(is(&f, "pg_stat_archiver_archived_count", 7));
    CU_ASSERT_EQUAL(server.opened, 3);
    close_case(&f);
}

static void test_down(void)
{
    struct sonde_fake f;
    static const struct sonde_fake_step none[] = { { SONDE_FAKE_REFUSE } };

    SERVER(&server, 150018, plain);
    sonde_fake_init(&f, sonde_plugin_entry);
    SONDE_FAKE_SCRIPT(&f, none); /* time stands still */
    (void)sonde_fake_option(&f, "password", "hunter2");
    open_case(&f, "h:1");
    server.refuse = 100;
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "pg_up", 0));
        CU_ASSERT(is(&f, "pg_exporter_last_scrape_error", 1));
        CU_ASSERT(
            is(&f, "pg_scrape_collector_success{collector=\"wal\"}", NAN));
    }
    CU_ASSERT_EQUAL(server.opened, 2);
    /* After two failures in a row it waits a moment. */
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(server.opened, 2);
    sonde_fake_advance(&f, 20000);
    server.refuse = 0;
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "pg_up", 1));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(sonde_fake_cstr(&f.log), "the server is back"));
    CU_ASSERT_PTR_NULL(strstr(sonde_fake_cstr(&f.log), "hunter2"));
    CU_ASSERT_STRING_EQUAL(server.password, "hunter2");
    close_case(&f);
}

static void test_password_file(void)
{
    char path[512];
    struct sonde_fake f;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/password", tap_tmpdir());
    file = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs("first\n", file);
    (void)fclose(file);
    SERVER(&server, 150018, plain);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "password_file", path);
    (void)sonde_fake_option(&f, "password", "other");
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(server.password, "first");
    close_case(&f);
}

static void test_dsn_option(void)
{
    struct sonde_fake f;

    SERVER(&server, 150018, plain);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "dsn",
                            "postgresql://u:one@a:1/x,postgresql://u:two@b:2/"
                            "y?lock_timeout=5s");
    open_case(&f, "b:2");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(server.password, "two");
    CU_ASSERT_STRING_EQUAL(server.database, "y");
    CU_ASSERT_STRING_EQUAL(server.options, "-c lock_timeout=5s");
    CU_ASSERT(!said(&server, "SET lock_timeout")); /* the user's own holds */
    close_case(&f);
}

static void test_databases(void)
{
    static const struct answer answers[] = {
        ABOUT,
        EXTENSIONS,
        { "datallowconn AND NOT", SONDE_OK, "datname|b|c|d|e|f", 25 },
        { "count(*) FROM pg_catalog.pg_stat_user_tables", SONDE_OK, "n|12",
          20 },
        { "FROM pg_catalog.pg_stat_user_tables", SONDE_OK,
          "datname,schemaname,relname,seq_scan|app,public,t,3|app,public,u,4",
          25 },
    };
    struct sonde_fake f;

    SERVER(&server, 150018, answers);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "max_tables", "1");
    (void)sonde_fake_option(&f, "max_connections", "3");
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(server.opened, 6);
    CU_ASSERT(server.opened - server.closed <= 3);
    CU_ASSERT(is(&f,
                 "pg_tables_omitted{collector=\"stat_user_tables\",datname="
                 "\"app\"}",
                 11));
    CU_ASSERT_PTR_NULL(strstr(sonde_fake_cstr(&f.text), "relname=\"u\""));
    close_case(&f);

    SERVER(&server, 150018, answers);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "all_databases", "false");
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT_EQUAL(server.opened, 1);
    close_case(&f);
}

static const char queries_text[] =
    "pg_x:\n"
    "  query: SELECT x_query\n"
    "  cache_seconds: 60\n"
    "  metrics:\n"
    "    - l: {usage: LABEL}\n"
    "    - g: {usage: GAUGE, description: a g}\n"
    "    - m: {usage: MAPPEDMETRIC, metric_mapping: {up: 1, down: 0}}\n"
    "    - d: {usage: DURATION}\n"
    "    - z: {usage: DISCARD}\n"
    "pg_new:\n"
    "  query: SELECT new_query\n"
    "  min_version: 17\n"
    "  metrics: {g: {usage: GAUGE}}\n"
    "pg_bad:\n"
    "  query: SELECT bad_query\n"
    "  timeout: 1s\n"
    "  metrics: {nolabel: {usage: LABEL}, g: {usage: GAUGE}}\n"
    "pg_database:\n"
    "  query: SELECT mine\n"
    "  metrics: {datname: {usage: LABEL}, connection_limit: {usage: GAUGE}}\n"
    "pg_stat_archiver: {query: ''}\n";

static void write_queries(struct sonde_fake *f, const char *text)
{
    static char path[512]; /* the option is a view of it */
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/queries.yaml", tap_tmpdir());
    file = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs(text, file);
    (void)fclose(file);
    (void)sonde_fake_option(f, "queries", path);
}

static void test_queries(void)
{
    static const struct answer answers[] = {
        ABOUT,
        EXTENSIONS,
        NO_OTHERS,
        { "x_query", SONDE_OK,
          "l,g,m,d,z,other,junk|a,1.5,up,3s,9,8,text|a,2,up,3s,9,8,text|"
          "b,\\N,down,1ms,9,8,text",
          25 },
        { "bad_query", SONDE_OK, "g|1", 25 },
        { "SELECT mine", SONDE_OK, "datname,connection_limit|x,9", 25 },
    };
    struct sonde_fake f;

    SERVER(&server, 150018, answers);
    sonde_fake_init(&f, sonde_plugin_entry);
    write_queries(&f, queries_text);
    open_case(&f, "h:1");
    for (int i = 0; i < 2; i++) {
        text_fini(&server.said);
        CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
        CU_ASSERT(is(&f, "pg_up", 1));
        CU_ASSERT(is(&f, "pg_x_g{l=\"a\",server=\"h:1\"}", 1.5));
        CU_ASSERT(strstr(f.text.ptr, "pg_x_g{l=\"b\",server=\"h:1\"} NaN\n") !=
                  NULL);
        CU_ASSERT(is(&f, "pg_x_m{l=\"b\",server=\"h:1\"}", 0));
        CU_ASSERT(is(&f, "pg_x_d_milliseconds{l=\"a\",server=\"h:1\"}", 3000));
        CU_ASSERT(is(&f, "pg_x_other{l=\"a\",server=\"h:1\"}", 8));
        CU_ASSERT(is(&f, "pg_x_z{l=\"a\",server=\"h:1\"}", NAN));
        CU_ASSERT(is(&f, "pg_x_junk{l=\"a\",server=\"h:1\"}", NAN));
        CU_ASSERT(is(&f, "pg_samples_dropped", 4)); /* one row twice */
        CU_ASSERT(is(&f,
                     "pg_custom_query_success{namespace=\"pg_bad\",datname="
                     "\"app\"}",
                     0));
        CU_ASSERT(is(
            &f, "pg_custom_query_success{namespace=\"pg_x\",datname=\"app\"}",
            1));
        /* In the place of a collector, in its family. */
        CU_ASSERT(is(&f, "pg_database_connection_limit{datname=\"x\"}", 9));
        /* What it said lasts a minute. */
        CU_ASSERT_EQUAL(said(&server, "x_query"), i == 0);
        CU_ASSERT(said(&server, "SET statement_timeout = 1000"));
        CU_ASSERT(said(&server, "RESET statement_timeout"));
        CU_ASSERT(!said(&server, "new_query"));
        CU_ASSERT(!said(&server, "pg_stat_archiver")); /* switched off */
    }
    CU_ASSERT(strstr(f.text.ptr, "pg_exporter_user_queries_load_error{") !=
              NULL);
    close_case(&f);
}

/* `pg_h_h_sum` would be a name of the histogram's, as would `pg_h_h`: they
 * come from columns that the file does not list. */
static const char histograms_text[] =
    "pg_h:\n"
    "  query: SELECT spans\n"
    "  metrics:\n"
    "    - l: {usage: LABEL}\n"
    "    - h: {usage: HISTOGRAM, description: Spans}\n"
    "pg:\n"
    "  query: SELECT clashes\n"
    "  metrics: {g: {usage: GAUGE}}\n"
    "pg_le:\n"
    "  query: SELECT with_le\n"
    "  metrics: {le: {usage: LABEL}, h: {usage: HISTOGRAM}}\n"
    "pg_process_idle:\n"
    "  query: SELECT idling\n"
    "  metrics:\n"
    "    - state: {usage: LABEL}\n"
    "    - application_name: {usage: LABEL}\n"
    "    - seconds: {usage: HISTOGRAM}\n";

/* Only the first two rows are histograms, and the one that is "inf". */
static const char histogram_rows[] =
    "l,h,h_bucket,h_sum,h_count"
    "|a,{0.5;1},{2;3},9.5,5|b,{},{},0,0|inf,{1;Infinity},{1;2},3,2"
    "|falls,{1;2},{3;2},9,5|down,{2;1},{2;3},9,5|passes,{1;2},{2;6},9,5"
    "|half,{1;2},{2},9,5|words,{1;x},{2;3},9,5|less,{1},{-1},9,5"
    "|part,{1},{0.5},9,5|nan,{1},{2},9,NaN|none,{1},{2},9,\\N"
    "|nobounds,\\N,{2},9,5";

static void test_histograms(void)
{
    static const struct answer answers[] = {
        ABOUT,
        EXTENSIONS,
        NO_OTHERS,
        { "spans", SONDE_OK, histogram_rows, 25 },
        { "clashes", SONDE_OK, "g,h_h,h_h_sum,h_h_other|1,2,3,4", 25 },
        { "with_le", SONDE_OK, "le,h,h_bucket,h_sum,h_count|1,{1},{1},1,1",
          25 },
        { "idling", SONDE_OK,
          "state,application_name,seconds,seconds_bucket,seconds_sum,"
          "seconds_count|idle,psql,{1},{1},7,2",
          25 },
    };
    static const char *const bad[] = { "falls", "down",    "passes", "half",
                                       "words", "less",    "part",   "nan",
                                       "none",  "nobounds" };
    struct sonde_fake f;
    char name[128];

    SERVER(&server, 150018, answers);
    sonde_fake_init(&f, sonde_plugin_entry);
    write_queries(&f, histograms_text);
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f, "pg_up", 1));
    CU_ASSERT(is(&f, "pg_h_h_bucket{l=\"a\",server=\"h:1\",le=\"0.5\"}", 2));
    CU_ASSERT(is(&f, "pg_h_h_bucket{l=\"a\",server=\"h:1\",le=\"1\"}", 3));
    CU_ASSERT(is(&f, "pg_h_h_bucket{l=\"a\",server=\"h:1\",le=\"+Inf\"}", 5));
    CU_ASSERT(is(&f, "pg_h_h_sum{l=\"a\",server=\"h:1\"}", 9.5));
    CU_ASSERT(is(&f, "pg_h_h_count{l=\"a\",server=\"h:1\"}", 5));
    CU_ASSERT(is(&f, "pg_h_h_count{l=\"b\",server=\"h:1\"}", 0));
    CU_ASSERT(is(&f, "pg_h_h_count{l=\"inf\",server=\"h:1\"}", 2));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(name, sizeof(name),
                       "pg_h_h_count{l=\"%s\",server=\"h:1\"}", bad[i]);
        CU_ASSERT(is(&f, name, NAN));
    }
    CU_ASSERT(is(&f, "pg_g{server=\"h:1\"}", 1));
    CU_ASSERT(is(&f, "pg_h_h_other{server=\"h:1\"}", 4));
    CU_ASSERT(is(&f, "pg_h_h{server=\"h:1\"}", NAN));
    CU_ASSERT(is(&f, "pg_h_h_sum{server=\"h:1\"}", NAN));
    /* A family that a collector has is emitted as that. */
    CU_ASSERT(is(&f,
                 "pg_process_idle_seconds_count{state=\"idle\","
                 "application_name=\"psql\"}",
                 2));
    CU_ASSERT(is(&f, "pg_samples_dropped", 11)); /* and the label le */
    CU_ASSERT_PTR_NOT_NULL(
        strstr(sonde_fake_cstr(&f.log), "pg_h_h{l=\"falls\""));
    close_case(&f);
}

static void test_bad_labels(void)
{
    static const struct answer answers[] = {
        ABOUT,
        NO_OTHERS,
        { "datconnlimit", SONDE_OK,
          "datname,connection_limit|a\xff"
          "b,1|c,2|c,3",
          25 },
    };
    struct sonde_fake f;

    SERVER(&server, 150018, answers);
    sonde_fake_init(&f, sonde_plugin_entry);
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f,
                 "pg_database_connection_limit{datname=\"a\xef\xbf\xbd"
                 "b\"}",
                 1));
    CU_ASSERT(is(&f, "pg_database_connection_limit{datname=\"c\"}", 2));
    CU_ASSERT(is(&f, "pg_samples_dropped", 1));
    CU_ASSERT_PTR_NOT_NULL(strstr(sonde_fake_cstr(&f.log), "datname=\"c\""));
    close_case(&f);
}

static void test_idle_histogram(void)
{
    static const struct answer answers[] = {
        ABOUT,
        NO_OTHERS,
        { "state_change", SONDE_OK,
          "s,a,n,sum,a1,a2,a3,a4,a5,a6,a7,a8,a9|idle,x,3,40.5,0,1,1,1,3,3,3,3,"
          "3|idle in transaction,y,1,1,1,1,1,1,1,1,1,1,1",
          25 },
    };
    struct sonde_fake f;

    SERVER(&server, 150018, answers);
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "collector_process_idle", "true");
    open_case(&f, "h:1");
    CU_ASSERT_EQUAL(sonde_fake_collect(&f, 1000), SONDE_OK);
    CU_ASSERT(is(&f,
                 "pg_process_idle_seconds_bucket{state=\"idle\",application_"
                 "name=\"x\",le=\"3e+01\"}",
                 3));
    CU_ASSERT(is(&f,
                 "pg_process_idle_seconds_sum{state=\"idle\",application_name="
                 "\"x\"}",
                 40.5));
    CU_ASSERT(is(&f,
                 "pg_process_idle_seconds_count{state=\"idle in "
                 "transaction\",application_name=\"y\"}",
                 1));
    close_case(&f);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "a collection, and a second one on the same connection",
          test_collect },
        { "statements by version", test_versions },
        { "a part that is refused fails alone", test_refused_part },
        { "extensions: their schema, their version, none", test_extensions },
        { "a lost connection is made again in the same collection", test_lost },
        { "down and back, with pauses between", test_down },
        { "a password from a file", test_password_file },
        { "several connection strings, one a target", test_dsn_option },
        { "other databases, and tables left out", test_databases },
        { "queries of the user's own", test_queries },
        { "bad bytes and series given twice", test_bad_labels },
        { "histograms of queries of one's own", test_histograms },
        { "the histogram of idle times", test_idle_histogram },
    };

    return TAP_RUN("postgres", tests);
}
