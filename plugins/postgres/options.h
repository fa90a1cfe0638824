/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's options; the table is in options.c. */
#ifndef PLUGINS_POSTGRES_OPTIONS_H
#define PLUGINS_POSTGRES_OPTIONS_H

#include <sonde/plugin.h>

struct pg_options {
    /* Getting in. */
    sonde_str dsn, user, password, password_file, database, sslmode;
    sonde_str application_name;
    sonde_str auth_module, auth_modules;
    /* How much. */
    int64_t max_connections;
    sonde_msec connection_max_age, lock_timeout;
    bool all_databases;
    struct sonde_list include_databases, exclude_databases;
    int64_t max_tables;
    bool activity_by_application, replication_by_pid;
    /* Queries of one's own. */
    sonde_str queries;
    bool auto_discover_databases;
    int64_t max_rows;
    bool disable_default_metrics;
    /* Collectors. */
    bool collector_database, collector_locks, collector_replication,
        collector_replication_slots, collector_roles, collector_settings,
        collector_stat_activity, collector_stat_archiver,
        collector_stat_bgwriter, collector_stat_database,
        collector_stat_database_conflicts, collector_stat_progress_vacuum,
        collector_stat_replication, collector_stat_user_tables,
        collector_statio_user_tables, collector_wal;
    bool collector_buffercache_summary, collector_database_wraparound,
        collector_long_running_transactions, collector_postmaster,
        collector_process_idle, collector_stat_activity_autovacuum,
        collector_stat_checkpointer, collector_stat_statements,
        collector_stat_statements_include_query, collector_stat_wal_receiver,
        collector_statio_user_indexes, collector_xlog_location,
        collector_stat_io, collector_stat_wal;
    int64_t collector_stat_statements_query_length,
        collector_stat_statements_limit;
    struct sonde_list collector_stat_statements_exclude_databases,
        collector_stat_statements_exclude_users;
};

enum {
    PG_OPTION_COUNT = 56
};
extern const struct sonde_option pg_options_table[PG_OPTION_COUNT];

#endif
