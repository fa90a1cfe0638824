/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_exporter's command line and environment.
 *
 * DATA_SOURCE_NAME wins; else the user, password and URI come from variables
 * of their own, or from files that those name. A target's address is only
 * host and port: the whole string, with its password, is the option `dsn`,
 * which is never shown.
 */
#include "exporter.h"

#include <ctype.h>
#include <stdlib.h>

#include "dsn.h"

#define COLLECTOR(what, on, text)                                              \
    {                                                                          \
        .name = "collector." what, .kind = SONDE_OPT_KIND_BOOL,                \
        .role = SONDE_FLAG_OPTION, .fallback = (on), .help = (text),           \
    }
#define STATEMENTS(what, how, value, more, text)                               \
    {                                                                          \
        .name = "collector.stat_statements." what, .kind = (how),              \
        .role = SONDE_FLAG_OPTION, .fallback = (value), .flags = (more),       \
        .help = (text),                                                        \
    }

static const struct sonde_flag flags[] = {
    { .name = "web.listen-address",
      .env = "PG_EXPORTER_WEB_LISTEN_ADDRESS",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_LISTEN,
      .flags = SONDE_FLAG_REPEATED,
      .fallback = ":9187",
      .help = "Address the pages are served at" },
    { .name = "web.telemetry-path",
      .env = "PG_EXPORTER_WEB_TELEMETRY_PATH",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_METRICS_PATH,
      .fallback = "/metrics",
      .help = "Path of the metrics" },
    { .name = "web.config.file",
      .kind = SONDE_OPT_KIND_FILE,
      .role = SONDE_FLAG_WEB_CONFIG,
      .help = "File with TLS and basic auth of the pages" },
    { .name = "web.systemd-socket",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_UNUSED,
      .help = "Sockets of systemd are not taken" },
    { .name = "config.file",
      .kind = SONDE_OPT_KIND_FILE,
      .role = SONDE_FLAG_OPTION,
      .to = "auth_modules",
      .fallback = "postgres_exporter.yml",
      .help = "File of auth modules for /probe" },
    { .name = "collection-timeout",
      .env = "PG_EXPORTER_COLLECTION_TIMEOUT",
      .kind = SONDE_OPT_KIND_DURATION,
      .role = SONDE_FLAG_TIMEOUT,
      .fallback = "1m",
      .help = "Longest time of a collection" },
    { .name = "disable-default-metrics",
      .env = "PG_EXPORTER_DISABLE_DEFAULT_METRICS",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_OPTION,
      .help = "Leave out pg_static and pg_stat_database_conflicts" },
    { .name = "disable-settings-metrics",
      .env = "PG_EXPORTER_DISABLE_SETTINGS_METRICS",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_OPTION,
      .flags = SONDE_FLAG_INVERTED,
      .to = "collector_settings",
      .help = "Leave out pg_settings" },
    { .name = "extend.query-path",
      .env = "PG_EXPORTER_EXTEND_QUERY_PATH",
      .kind = SONDE_OPT_KIND_FILE,
      .role = SONDE_FLAG_OPTION,
      .to = "queries",
      .help = "File of queries of your own" },
    { .name = "auto-discover-databases",
      .env = "PG_EXPORTER_AUTO_DISCOVER_DATABASES",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_OPTION,
      .help = "Ask queries without master: true in all databases" },
    { .name = "exclude-databases",
      .env = "PG_EXPORTER_EXCLUDE_DATABASES",
      .kind = SONDE_OPT_KIND_LIST,
      .role = SONDE_FLAG_OPTION,
      .flags = SONDE_FLAG_COMMAS,
      .help = "Databases to leave out" },
    { .name = "include-databases",
      .env = "PG_EXPORTER_INCLUDE_DATABASES",
      .kind = SONDE_OPT_KIND_LIST,
      .role = SONDE_FLAG_OPTION,
      .flags = SONDE_FLAG_COMMAS,
      .help = "Only these databases" },
    { .name = "constantLabels",
      .env = "PG_EXPORTER_CONSTANT_LABELS",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_LABEL,
      .flags = SONDE_FLAG_COMMAS,
      .help = "Labels of all series, name=value" },
    { .name = "metric-prefix",
      .env = "PG_EXPORTER_METRIC_PREFIX",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_PREFIX,
      .fallback = "pg",
      .help = "What names begin with instead of pg" },
    { .name = "dumpmaps",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_UNUSED,
      .help = "There are no maps to print" },
    { .name = "log.level",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_LOG_LEVEL,
      .fallback = "info",
      .help = "debug, info, warn or error" },
    { .name = "log.format",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_LOG_FORMAT,
      .fallback = "logfmt",
      .help = "logfmt or json" },
    COLLECTOR("database", "true", "Sizes and connection limits of databases"),
    COLLECTOR("locks", "true", "Locks"),
    COLLECTOR("replication", "true", "Replication lag"),
    COLLECTOR("replication_slots", "true", "Replication slots"),
    { .name = "collector.replication_slot",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_OPTION,
      .flags = SONDE_FLAG_HIDDEN,
      .to = "collector_replication_slots",
      .help = "Replication slots, until 0.19" },
    COLLECTOR("roles", "true", "Connection limits of roles"),
    COLLECTOR("settings", "true", "Settings"),
    COLLECTOR("stat_activity", "true", "Sessions"),
    COLLECTOR("stat_archiver", "true", "The archiver"),
    COLLECTOR("stat_bgwriter", "true", "The background writer"),
    { .name = "collector.bgwriter",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_OPTION,
      .flags = SONDE_FLAG_HIDDEN,
      .to = "collector_stat_bgwriter",
      .help = "The background writer, until 0.11" },
    COLLECTOR("stat_database", "true", "Statistics of databases"),
    COLLECTOR("stat_progress_vacuum", "true", "Vacuums that run"),
    COLLECTOR("stat_replication", "true", "Replicas"),
    COLLECTOR("stat_user_tables", "true", "Tables"),
    COLLECTOR("statio_user_tables", "true", "I/O of tables"),
    COLLECTOR("wal", "true", "WAL files"),
    COLLECTOR("buffercache_summary", NULL, "The buffer cache"),
    COLLECTOR("database_wraparound", NULL, "Ages of databases"),
    COLLECTOR("long_running_transactions", NULL, "Open transactions"),
    COLLECTOR("postmaster", NULL, "Start time of the server"),
    COLLECTOR("process_idle", NULL, "Idle times of sessions"),
    COLLECTOR("stat_activity_autovacuum", NULL, "Autovacuums that run"),
    COLLECTOR("stat_checkpointer", NULL, "The checkpointer"),
    COLLECTOR("stat_statements", NULL, "Statements"),
    STATEMENTS("include_query", SONDE_OPT_KIND_BOOL, NULL, 0, "Their texts"),
    STATEMENTS("query_length", SONDE_OPT_KIND_INT, "120", 0,
               "Most characters of a text"),
    STATEMENTS("limit", SONDE_OPT_KIND_INT, "100", 0, "Most statements"),
    STATEMENTS("exclude_databases", SONDE_OPT_KIND_LIST, NULL,
               SONDE_FLAG_COMMAS, "Databases left out"),
    STATEMENTS("exclude_users", SONDE_OPT_KIND_LIST, NULL, SONDE_FLAG_COMMAS,
               "Users left out"),
    COLLECTOR("stat_wal_receiver", NULL, "The receiver of WAL"),
    COLLECTOR("statio_user_indexes", NULL, "I/O of indexes"),
    COLLECTOR("xlog_location", NULL, "Position in the WAL, before 10"),
};

static const char *const target_params[] = { "auth_module", NULL };

/* ---- DATA_SOURCE_* ------------------------------------------------------- */

/* The variable, or the trimmed content of the file that NAME_FILE names. The
 * file is the first to be looked for but for the URI. Copied. */
static sonde_code from_env(const struct sonde_flag_values *v, const char *name,
                           bool file_first, char **out, struct sonde_err *err)
{
    char file[64];
    sonde_str text = { 0 }, path;
    bool have = v->env(v, name, &text), named;

    (void)snprintf(file, sizeof(file), "%s_FILE", name);
    named = v->env(v, file, &path) && path.len;
    if (named && (file_first || !have)) {
        if (!v->file(v, path, &text, err))
            return sonde_err_prefix(err, "%s", file);
    } else if (!have) {
        text = (sonde_str){ 0 };
    }
    *out = text_copy(text_trim(text));
    return *out ? SONDE_OK : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

static void add_escaped(struct text *t, const char *z)
{
    for (; *z; z++) {
        if (isalnum((unsigned char)*z) || strchr("-._~", *z))
            text_add(t, z, 1);
        else
            text_addf(t, "%%%02X", (unsigned char)*z);
    }
}

/* The one source that user, password and URI make; empty without a URI. */
static sonde_code join_source(const struct sonde_flag_values *v,
                              struct text *out, struct sonde_err *err)
{
    char *uri = NULL, *user = NULL, *password = NULL;
    sonde_code rc = from_env(v, "DATA_SOURCE_URI", false, &uri, err);

    if (rc == SONDE_OK)
        rc = from_env(v, "DATA_SOURCE_USER", true, &user, err);
    if (rc == SONDE_OK)
        rc = from_env(v, "DATA_SOURCE_PASS", true, &password, err);
    if (rc == SONDE_OK && uri && user && password && *uri) {
        text_addz(out, "postgresql://");
        add_escaped(out, user);
        if (*password) {
            text_addz(out, ":");
            add_escaped(out, password);
        }
        text_addz(out, *user || *password ? "@" : "");
        text_addz(out, uri);
    }
    free(uri);
    free(user);
    text_wipez(password);
    return rc;
}

static bool discovers(const struct sonde_flag_values *v)
{
    sonde_str value;

    return v->get(v, "auto-discover-databases", 0, &value) &&
           text_is(value, "true");
}

static sonde_code add_sources(const struct sonde_flag_values *v, sonde_str all,
                              struct sonde_err *err)
{
    sonde_str rest = all, one;
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && rest.len && dsn_split(&rest, &one)) {
        struct dsn d;

        rc = dsn_parse(one, &d, err);
        if (rc == SONDE_OK)
            v->target(v, sonde_cstr(d.server));
        else
            rc = sonde_err_prefix(err, "data source");
        dsn_fini(&d);
    }
    if (rc == SONDE_OK && all.len) {
        v->option(v, "dsn", all);
        v->option(v, "sslmode", SONDE_STR("require")); /* lib/pq's default */
        if (!discovers(v)) /* tables of the one database, as there */
            v->option(v, "all_databases", SONDE_STR("false"));
    }
    return rc;
}

static sonde_code targets(const struct sonde_flag_values *v,
                          struct sonde_err *err)
{
    struct text joined = { 0 };
    sonde_str name = { 0 };
    sonde_code rc = SONDE_OK;

    if (v->env(v, "DATA_SOURCE_NAME", &name) && text_trim(name).len)
        return add_sources(v, text_trim(name), err);
    rc = join_source(v, &joined, err);
    if (rc == SONDE_OK && joined.failed)
        rc = sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    if (rc == SONDE_OK && joined.len)
        rc = add_sources(v, (sonde_str){ joined.ptr, joined.len }, err);
    text_wipe(&joined);
    return rc;
}

const struct sonde_exporter pg_exporter = {
    .struct_size = sizeof(struct sonde_exporter),
    .name = "postgres_exporter",
    .prefix = "pg_",
    SONDE_EXPORTER_FLAGS(flags),
    .target_path = "/probe",
    .target_params = target_params,
    .scheme = "postgresql://",
    .target_label = "server",
    .targets = targets,
};
