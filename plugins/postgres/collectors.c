/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements. A column is called as the family without the collector's
 * prefix, or as a label; `label_x` is the label x where a family has that
 * name as well.
 *
 * pg_stat_activity and pg_stat_replication are not qualified on purpose:
 * below PostgreSQL 10 people put views of their own in front of them, on the
 * role's search_path. All else says pg_catalog.
 *
 * What a collector must not do: read the same view twice (a common table
 * expression reads it once), ask for the texts of statements when only their
 * numbers are wanted, open files (sizes) at every scrape.
 */
#include "collectors.h"

#include "options.h"
#include "special.h"

#define OPTION(name) offsetof(struct pg_options, collector_##name)
#define SLOW         SONDE_COLLECTOR_SLOW
#define EPOCH(what)  "extract(epoch FROM " what ")"

/* Positions and their distances changed names with version 10. */
#define POSITION_10                                                            \
    "(SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() "    \
    "ELSE pg_current_wal_lsn() END AS lsn) p"
#define POSITION_9                                                             \
    "(SELECT CASE WHEN pg_is_in_recovery() "                                   \
    "THEN pg_last_xlog_receive_location() "                                    \
    "ELSE pg_current_xlog_location() END AS lsn) p"

static const char database_sql[] =
    "SELECT datname, datconnlimit AS connection_limit "
    "FROM pg_catalog.pg_database WHERE datname <> ALL ($1::text[])";

/* Who may not size a database loses that one only. */
static const char database_size_sql[] =
    "SELECT datname, pg_catalog.pg_database_size(oid) AS size_bytes "
    "FROM pg_catalog.pg_database WHERE datname <> ALL ($1::text[]) AND "
    "(pg_catalog.has_database_privilege(oid, 'CONNECT') OR "
    "pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'))";
static const char database_size_9_sql[] =
    "SELECT datname, pg_catalog.pg_database_size(oid) AS size_bytes "
    "FROM pg_catalog.pg_database WHERE datname <> ALL ($1::text[]) AND "
    "pg_catalog.has_database_privilege(oid, 'CONNECT')";

static const char wraparound_sql[] =
    "SELECT datname, age(datfrozenxid) AS age_datfrozenxid_seconds, "
    "mxid_age(datminmxid) AS age_datminmxid_seconds "
    "FROM pg_catalog.pg_database WHERE datallowconn";

static const char locks_sql[] =
    "SELECT d.datname, m.mode, coalesce(l.n, 0) AS count "
    "FROM pg_catalog.pg_database d CROSS JOIN (VALUES ('accesssharelock'), "
    "('rowsharelock'), ('rowexclusivelock'), ('shareupdateexclusivelock'), "
    "('sharelock'), ('sharerowexclusivelock'), ('exclusivelock'), "
    "('accessexclusivelock'), ('sireadlock')) m(mode) LEFT JOIN "
    "(SELECT database, lower(mode) AS mode, count(*) AS n "
    "FROM pg_catalog.pg_locks WHERE database IS NOT NULL "
    "AND pid IS DISTINCT FROM pg_backend_pid() GROUP BY 1, 2) l "
    "ON l.database = d.oid AND l.mode = m.mode";

static const char long_transactions_sql[] =
    "SELECT count(*) AS pg_long_running_transactions, "
    "coalesce(max(" EPOCH(
        "clock_timestamp() - xact_start") "), 0) "
                                          "AS oldest_timestamp_seconds FROM "
                                          "pg_stat_activity "
                                          "WHERE state IS DISTINCT FROM 'idle' "
                                          "AND xact_start IS NOT NULL "
                                          "AND query NOT LIKE 'autovacuum:%' "
                                          "AND pid <> pg_backend_pid()";

static const char postmaster_sql[] =
    "SELECT " EPOCH("pg_postmaster_start_time()") " AS start_time_seconds";

static const char process_idle_sql[] =
    "SELECT coalesce(state, ''), coalesce(application_name, ''), count(*), "
    "coalesce(sum(s), 0), count(*) FILTER (WHERE s <= 1), "
    "count(*) FILTER (WHERE s <= 2), count(*) FILTER (WHERE s <= 5), "
    "count(*) FILTER (WHERE s <= 15), count(*) FILTER (WHERE s <= 30), "
    "count(*) FILTER (WHERE s <= 60), count(*) FILTER (WHERE s <= 90), "
    "count(*) FILTER (WHERE s <= 120), count(*) FILTER (WHERE s <= 300) "
    "FROM (SELECT state, CASE WHEN $1::bool THEN application_name END "
    "AS application_name, "
    "greatest(" EPOCH(
        "clock_timestamp() - state_change") ", 0) AS s "
                                            "FROM pg_stat_activity WHERE state "
                                            "LIKE 'idle%' "
                                            "AND pid <> pg_backend_pid()) a "
                                            "GROUP BY 1, 2";

static const char replication_sql[] =
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0 "
    "WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 "
    "ELSE greatest(0, " EPOCH(
        "now() - pg_last_xact_replay_timestamp()") ") END AS lag_seconds, "
                                                   "pg_is_in_recovery() AS "
                                                   "is_replica, "
                                                   "greatest(0, " EPOCH(
                                                       "now() - "
                                                       "pg_last_xact_replay_"
                                                       "timestamp()") ") AS "
                                                                      "last_"
                                                                      "replay_"
                                                                      "seconds";
static const char replication_9_sql[] =
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0 "
    "WHEN pg_last_xlog_receive_location() = pg_last_xlog_replay_location() "
    "THEN 0 "
    "ELSE greatest(0, " EPOCH(
        "now() - pg_last_xact_replay_timestamp()") ") END AS lag_seconds, "
                                                   "pg_is_in_recovery() AS "
                                                   "is_replica, "
                                                   "greatest(0, " EPOCH(
                                                       "now() - "
                                                       "pg_last_xact_replay_"
                                                       "timestamp()") ") AS "
                                                                      "last_"
                                                                      "replay_"
                                                                      "seconds";

#define SLOTS_SINCE_10                                                         \
    "SELECT slot_name, coalesce(database::text, '') AS database, slot_type, "  \
    "active, p.lsn - restart_lsn AS pg_wal_lsn_diff, "                         \
    "p.lsn - '0/0' AS slot_current_wal_lsn, "                                  \
    "CASE WHEN active THEN coalesce(confirmed_flush_lsn - '0/0', 0) END "      \
    "AS slot_confirmed_flush_lsn, active AS slot_is_active"
static const char slots_13_sql[] =
    SLOTS_SINCE_10 ", wal_status AS label_wal_status, "
                   "safe_wal_size AS safe_wal_size_bytes, "
                   "CASE WHEN wal_status IS NOT NULL THEN 1 END AS wal_status "
                   "FROM pg_catalog.pg_replication_slots, " POSITION_10;
static const char slots_10_sql[] =
    SLOTS_SINCE_10 " FROM pg_catalog.pg_replication_slots, " POSITION_10;
static const char slots_9_sql[] =
    "SELECT slot_name, coalesce(database::text, '') AS database, active, "
    "pg_xlog_location_diff(p.lsn, restart_lsn) AS pg_xlog_location_diff "
    "FROM pg_catalog.pg_replication_slots, " POSITION_9;

static const char roles_sql[] =
    "SELECT rolname, rolconnlimit AS connection_limit "
    "FROM pg_catalog.pg_roles";

/* What this session set for itself is not the server's setting. */
static const char settings_sql[] =
    "SELECT name, CASE WHEN source = 'session' "
    "OR name = 'transaction_read_only' THEN reset_val ELSE setting END, "
    "unit, vartype FROM pg_catalog.pg_settings "
    "WHERE vartype IN ('bool', 'integer', 'real') AND name NOT IN "
    "('sync_commit_cancel_wait', 'google_dataplex.max_messages')";

#define ACTIVITY_STATES                                                        \
    "FROM pg_catalog.pg_database d CROSS JOIN (VALUES ('active'), ('idle'), "  \
    "('idle in transaction'), ('idle in transaction (aborted)'), "             \
    "('fastpath function call'), ('disabled')) s(state) LEFT JOIN "
#define ACTIVITY_VALUES                                                        \
    "count(*) AS n, max(" EPOCH(                                               \
        "now() - xact_start") ") AS oldest "                                   \
                              "FROM pg_stat_activity WHERE pid <> "            \
                              "pg_backend_pid() "
static const char activity_sql[] =
    "SELECT d.datname, s.state, coalesce(a.usename::text, '') AS usename, "
    "coalesce(a.application_name, '') AS application_name, "
    "coalesce(a.backend_type, '') AS backend_type, "
    "coalesce(a.wait_event_type, '') AS wait_event_type, "
    "coalesce(a.wait_event, '') AS wait_event, coalesce(a.n, 0) AS count, "
    "coalesce(a.oldest, 0) AS max_tx_duration " ACTIVITY_STATES
    "(SELECT datname, state, usename, "
    "CASE WHEN $1::bool THEN application_name END AS application_name, "
    "backend_type, wait_event_type, wait_event, " ACTIVITY_VALUES
    "GROUP BY 1, 2, 3, 4, 5, 6, 7) a "
    "ON a.datname = d.datname AND a.state = s.state";
static const char activity_9_sql[] =
    "SELECT d.datname, s.state, coalesce(a.usename::text, '') AS usename, "
    "coalesce(a.application_name, '') AS application_name, "
    "coalesce(a.wait_event_type, '') AS wait_event_type, "
    "coalesce(a.wait_event, '') AS wait_event, coalesce(a.n, 0) AS count, "
    "coalesce(a.oldest, 0) AS max_tx_duration " ACTIVITY_STATES
    "(SELECT datname, state, usename, "
    "CASE WHEN $1::bool THEN application_name END AS application_name, "
    "wait_event_type, wait_event, " ACTIVITY_VALUES
    "GROUP BY 1, 2, 3, 4, 5, 6) a "
    "ON a.datname = d.datname AND a.state = s.state";

static const char autovacuum_sql[] =
    "SELECT split_part(query, '.', 2) AS relname, "
    "max(" EPOCH("xact_start") ") AS timestamp_seconds FROM pg_stat_activity "
                               "WHERE query LIKE 'autovacuum:%' GROUP BY 1";

static const char archiver_sql[] =
    "SELECT archived_count, failed_count, " EPOCH(
        "now() - last_archived_time") " AS last_archive_age FROM "
                                      "pg_catalog.pg_stat_archiver";

#define BGWRITER_COMMON                                                        \
    "buffers_clean AS buffers_clean_total, maxwritten_clean AS "               \
    "maxwritten_clean_total, buffers_alloc AS buffers_alloc_total, " EPOCH(    \
        "stats_reset") " AS stats_reset_total "                                \
                       "FROM pg_catalog.pg_stat_bgwriter"
static const char bgwriter_17_sql[] = "SELECT " BGWRITER_COMMON;
static const char bgwriter_sql[] =
    "SELECT checkpoints_timed AS checkpoints_timed_total, "
    "checkpoints_req AS checkpoints_req_total, "
    "checkpoint_write_time AS checkpoint_write_time_total, "
    "checkpoint_sync_time AS checkpoint_sync_time_total, "
    "buffers_checkpoint AS buffers_checkpoint_total, "
    "buffers_backend AS buffers_backend_total, "
    "buffers_backend_fsync AS buffers_backend_fsync_total, " BGWRITER_COMMON;

static const char checkpointer_sql[] =
    "SELECT num_timed AS num_timed_total, "
    "num_requested AS num_requested_total, "
    "restartpoints_timed AS restartpoints_timed_total, "
    "restartpoints_req AS restartpoints_req_total, "
    "restartpoints_done AS restartpoints_done_total, "
    "write_time AS write_time_total, sync_time AS sync_time_total, "
    "buffers_written AS buffers_written_total, " EPOCH(
        "stats_reset") " AS stats_reset_total FROM "
                       "pg_catalog.pg_stat_checkpointer";

#define DATABASE_COLUMNS                                                       \
    "SELECT datid, datname, numbackends, xact_commit, xact_rollback, "         \
    "blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted, "           \
    "tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, deadlocks, " \
    "blk_read_time, blk_write_time, coalesce(" EPOCH(                          \
        "stats_reset") ", 0) AS stats_reset"
#define DATABASE_FROM                                                          \
    " FROM pg_catalog.pg_stat_database WHERE datname IS NOT NULL"
static const char stat_database_14_sql[] = DATABASE_COLUMNS
    ", active_time / 1000 AS active_time_seconds_total" DATABASE_FROM;
static const char stat_database_sql[] = DATABASE_COLUMNS DATABASE_FROM;

#define CONFLICTS                                                              \
    "SELECT datid, datname, confl_tablespace, confl_lock, confl_snapshot, "    \
    "confl_bufferpin, confl_deadlock"
static const char conflicts_16_sql[] =
    CONFLICTS ", confl_active_logicalslot "
              "FROM pg_catalog.pg_stat_database_conflicts";
static const char conflicts_sql[] =
    CONFLICTS " FROM pg_catalog.pg_stat_database_conflicts";

/* Seven rows for a vacuum, one a phase; numbers come with the first. */
#define VACUUM_COLUMNS                                                         \
    "SELECT v.datname, CASE WHEN v.datname = current_database() "              \
    "THEN v.relid::regclass::text ELSE v.relid::text END AS relname, "         \
    "p.phase AS label_phase, v.phase = p.phase AS phase, "                     \
    "CASE WHEN p.n = 1 THEN v.heap_blks_total END AS heap_blks, "              \
    "CASE WHEN p.n = 1 THEN v.heap_blks_scanned END AS heap_blks_scanned, "    \
    "CASE WHEN p.n = 1 THEN v.heap_blks_vacuumed END AS heap_blks_vacuumed, "  \
    "CASE WHEN p.n = 1 THEN v.index_vacuum_count END AS index_vacuums, "
#define VACUUM_FROM                                                            \
    "FROM pg_catalog.pg_stat_progress_vacuum v CROSS JOIN (VALUES "            \
    "(1, 'initializing'), (2, 'scanning heap'), (3, 'vacuuming indexes'), "    \
    "(4, 'vacuuming heap'), (5, 'cleaning up indexes'), "                      \
    "(6, 'truncating heap'), (7, 'performing final cleanup')) p(n, phase)"
static const char vacuum_17_sql[] = VACUUM_COLUMNS
    "CASE WHEN p.n = 1 THEN v.max_dead_tuple_bytes END AS max_dead_tuples, "
    "CASE WHEN p.n = 1 THEN v.dead_tuple_bytes END AS "
    "num_dead_tuples " VACUUM_FROM;
static const char vacuum_sql[] = VACUUM_COLUMNS
    "CASE WHEN p.n = 1 THEN v.max_dead_tuples END AS max_dead_tuples, "
    "CASE WHEN p.n = 1 THEN v.num_dead_tuples END AS "
    "num_dead_tuples " VACUUM_FROM;

#define REPLICA_LABELS                                                         \
    "SELECT coalesce(r.application_name, '') AS application_name, "            \
    "coalesce(r.client_addr::text, '') AS client_addr, "                       \
    "coalesce(r.state, '') AS state, "                                         \
    "coalesce(s.slot_name::text, '') AS slot_name, "                           \
    "CASE WHEN $1::bool THEN r.pid::text ELSE '' END AS pid, "
#define REPLICA_FROM                                                           \
    "FROM pg_stat_replication r LEFT JOIN pg_catalog.pg_replication_slots s "  \
    "ON s.active_pid = r.pid, "
static const char stat_replication_sql[] = REPLICA_LABELS
    "p.lsn - '0/0' AS pg_current_wal_lsn_bytes, "
    "p.lsn - r.replay_lsn AS pg_wal_lsn_diff " REPLICA_FROM POSITION_10;
static const char stat_replication_9_sql[] =
    REPLICA_LABELS "pg_xlog_location_diff(p.lsn, r.replay_location) "
                   "AS pg_xlog_location_diff " REPLICA_FROM POSITION_9;

/* The statements above the tenth percentile of the total time, the longest
 * first. `time` is the column of the total, `read` and `write` those of I/O. */
#define STATEMENTS_TOP(texts, time)                                            \
    "WITH s AS (SELECT * FROM {}.pg_stat_statements(" texts ")) "
#define STATEMENTS_WHERE(time)                                                 \
    "FROM s JOIN pg_catalog.pg_database d ON d.oid = s.dbid "                  \
    "WHERE s." time " > (SELECT percentile_cont(0.1) "                         \
    "WITHIN GROUP (ORDER BY " time ") FROM s) "                                \
    "AND d.datname <> ALL ($2::text[]) "                                       \
    "AND pg_catalog.pg_get_userbyid(s.userid) <> ALL ($3::text[]) "            \
    "ORDER BY s." time " DESC LIMIT $1::int"
#define STATEMENTS(time, read, write)                                          \
    STATEMENTS_TOP("false", time)                                              \
    "SELECT pg_catalog.pg_get_userbyid(s.userid) AS \"user\", d.datname, "     \
    "s.queryid, s.calls AS calls_total, "                                      \
    "s." time " / 1000 AS seconds_total, s.rows AS rows_total, "               \
    "s." read " / 1000 AS block_read_seconds_total, "                          \
    "s." write " / 1000 AS block_write_seconds_total " STATEMENTS_WHERE(time)
#define STATEMENT_TEXTS(time)                                                  \
    STATEMENTS_TOP("true", time)                                               \
    "SELECT t.queryid, min(left(t.query, $4::int)) AS query, "                 \
    "1 AS query_id FROM (SELECT s.queryid, s.query " STATEMENTS_WHERE(         \
        time) ") t WHERE t.queryid IS NOT NULL GROUP BY 1"

static const char statements_111_sql[] = STATEMENTS(
    "total_exec_time", "shared_blk_read_time", "shared_blk_write_time");
static const char statements_108_sql[] =
    STATEMENTS("total_exec_time", "blk_read_time", "blk_write_time");
static const char statements_100_sql[] =
    STATEMENTS("total_time", "blk_read_time", "blk_write_time");
static const char statement_texts_108_sql[] =
    STATEMENT_TEXTS("total_exec_time");
static const char statement_texts_100_sql[] = STATEMENT_TEXTS("total_time");

/* One more than the cap, in the order in which tables were made, so that the
 * same ones stay. */
#define TABLES_CAP " ORDER BY relid LIMIT $1::bigint + 1"
static const char user_tables_sql[] =
    "SELECT current_database() AS datname, schemaname, relname, seq_scan, "
    "seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, "
    "n_tup_del, "
    "n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, " EPOCH(
        "last_"
        "vacuu"
        "m") " AS last_vacuum, " EPOCH("last_autovacuum") " AS "
                                                          "last_autovacuum,"
                                                          " " EPOCH(
                                                              "last_"
                                                              "analyz"
                                                              "e") " "
                                                                   "A"
                                                                   "S"
                                                                   " "
                                                                   "l"
                                                                   "a"
                                                                   "s"
                                                                   "t"
                                                                   "_"
                                                                   "a"
                                                                   "n"
                                                                   "a"
                                                                   "l"
                                                                   "y"
                                                                   "z"
                                                                   "e"
                                                                   ","
                                                                   " " EPOCH(
                                                                       "last_"
                                                                       "autoana"
                                                                       "lyze") " AS "
                                                                               "last_"
                                                                               "autoana"
                                                                               "lyze, "
                                                                               "vacuum_"
                                                                               "count, "
                                                                               "autovac"
                                                                               "uum_"
                                                                               "count, "
                                                                               "analyze"
                                                                               "_count,"
                                                                               " autoan"
                                                                               "alyze_"
                                                                               "count "
                                                                               "FROM "
                                                                               "pg_"
                                                                               "catalog"
                                                                               ".pg_"
                                                                               "stat_"
                                                                               "user_"
                                                                               "table"
                                                                               "s" TABLES_CAP;

/* A size takes a lock on its table, and waits for a lock no longer than
 * lock_timeout; tables that somebody holds exclusively are left out, so that
 * an ALTER TABLE costs its own table and not the others. */
static const char table_sizes_sql[] =
    "SELECT current_database() AS datname, t.schemaname, t.relname, "
    "pg_catalog.pg_indexes_size(t.relid) AS index_size_bytes, "
    "pg_catalog.pg_table_size(t.relid) AS table_size_bytes "
    "FROM (SELECT relid, schemaname, relname "
    "FROM pg_catalog.pg_stat_user_tables WHERE relid NOT IN "
    "(SELECT relation FROM pg_catalog.pg_locks WHERE relation IS NOT NULL "
    "AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM "
    "pg_backend_pid())" TABLES_CAP ") t";

#define RECEIVER(flushed)                                                                                                           \
    "SELECT coalesce(substring(conninfo FROM 'host=([^ ]*)'), '') "                                                                 \
    "AS upstream_host, coalesce(slot_name, '') AS slot_name, status, "                                                              \
    "(receive_start_lsn - '0/0') % 4503599627370496 AS "                                                                            \
    "receive_start_lsn, " flushed "receive_start_tli, received_tli, " EPOCH("last_msg_send_time") " AS last_msg_send_time, " EPOCH( \
        "last_msg_receipt_time") " AS last_msg_receipt_time, "                                                                      \
                                 "(latest_end_lsn - '0/0') % "                                                                      \
                                 "4503599627370496 AS latest_end_lsn, " EPOCH(                                                      \
                                     "latest_end_time") " AS "                                                                      \
                                                        "latest_end_time, "                                                         \
                                                        "substring(slot_name "                                                      \
                                                        "FROM "                                                                     \
                                                        "'repmgr_slot_([0-9]*"                                                      \
                                                        ")')::bigint "                                                              \
                                                        "AS upstream_node "                                                         \
                                                        "FROM "                                                                     \
                                                        "pg_catalog.pg_stat_"                                                       \
                                                        "wal_receiver"
static const char receiver_13_sql[] =
    RECEIVER("(flushed_lsn - '0/0') % 4503599627370496 AS flushed_lsn, ");
static const char receiver_sql[] = RECEIVER("");

static const char statio_indexes_sql[] =
    "SELECT schemaname, relname, indexrelname, current_database() AS datname, "
    "idx_blks_read AS idx_blks_read_total, idx_blks_hit AS idx_blks_hit_total "
    "FROM pg_catalog.pg_statio_user_indexes "
    "ORDER BY indexrelid LIMIT $1::bigint + 1";

static const char statio_tables_sql[] =
    "SELECT current_database() AS datname, schemaname, relname, "
    "heap_blks_read AS heap_blocks_read, heap_blks_hit AS heap_blocks_hit, "
    "idx_blks_read AS idx_blocks_read, idx_blks_hit AS idx_blocks_hit, "
    "toast_blks_read AS toast_blocks_read, "
    "toast_blks_hit AS toast_blocks_hit, "
    "tidx_blks_read AS tidx_blocks_read, tidx_blks_hit AS tidx_blocks_hit "
    "FROM pg_catalog.pg_statio_user_tables" TABLES_CAP;

static const char count_tables_sql[] =
    "SELECT count(*) FROM pg_catalog.pg_stat_user_tables";
static const char count_indexes_sql[] =
    "SELECT count(*) FROM pg_catalog.pg_statio_user_indexes";

static const char wal_sql[] =
    "SELECT count(*) AS segments, sum(size) AS size_bytes "
    "FROM pg_catalog.pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'";

static const char buffercache_sql[] =
    "SELECT buffers_used, buffers_unused, buffers_dirty, buffers_pinned, "
    "usagecount_avg FROM {}.pg_buffercache_summary()";

static const char xlog_sql[] =
    "SELECT CASE WHEN pg_is_in_recovery() "
    "THEN pg_xlog_location_diff(pg_last_xlog_replay_location(), '0/0') "
    "ELSE pg_xlog_location_diff(pg_current_xlog_location(), '0/0') END "
    "% 4503599627370496 AS bytes";

#define IO_COLUMNS                                                             \
    "SELECT backend_type, object, context, reads AS reads_total, "             \
    "read_time / 1000 AS read_seconds_total, writes AS writes_total, "         \
    "write_time / 1000 AS write_seconds_total, extends AS extends_total, "     \
    "hits AS hits_total, evictions AS evictions_total, "                       \
    "fsyncs AS fsyncs_total, "
static const char io_18_sql[] = IO_COLUMNS "read_bytes AS read_bytes_total, "
                                           "write_bytes AS write_bytes_total "
                                           "FROM pg_catalog.pg_stat_io";
static const char io_16_sql[] =
    IO_COLUMNS "reads * op_bytes AS read_bytes_total, "
               "writes * op_bytes AS write_bytes_total "
               "FROM pg_catalog.pg_stat_io";

static const char stat_wal_sql[] =
    "SELECT wal_records AS records_total, wal_fpi AS fpi_total, "
    "wal_bytes AS bytes_total, wal_buffers_full AS buffers_full_total "
    "FROM pg_catalog.pg_stat_wal";

const struct collector collectors[COLLECTOR_COUNT] = {
    { .part = { "database", 0, "Databases and their connection limits" },
      .group = "database",
      .option = OPTION(database),
      .prefix = "pg_database_",
      .texts = { { 90600, 0, database_sql } },
      .params = { PARAM_EXCLUDED } },
    { .part = { "locks", 0, "Locks by database and mode" },
      .group = "locks",
      .option = OPTION(locks),
      .prefix = "pg_locks_",
      .texts = { { 90600, 0, locks_sql } } },
    { .part = { "replication", 0, "Whether it is a replica, and how far" },
      .group = "replication",
      .option = OPTION(replication),
      .prefix = "pg_replication_",
      .texts = { { 100000, 0, replication_sql },
                 { 90600, 100000, replication_9_sql } } },
    { .part = { "replication_slots", 0, "Replication slots" },
      .group = "replication_slots",
      .option = OPTION(replication_slots),
      .prefix = "pg_replication_slots_",
      .texts = { { 130000, 0, slots_13_sql },
                 { 100000, 130000, slots_10_sql },
                 { 90600, 100000, slots_9_sql } } },
    { .part = { "roles", 0, "Connection limits of roles" },
      .group = "roles",
      .option = OPTION(roles),
      .prefix = "pg_roles_",
      .texts = { { 90600, 0, roles_sql } } },
    { .part = { "settings", 0, "Settings that are numbers or switches" },
      .group = "settings",
      .option = OPTION(settings),
      .texts = { { 90600, 0, settings_sql } },
      .emit = settings_emit },
    { .part = { "stat_activity", 0, "Sessions by state" },
      .group = "stat_activity",
      .option = OPTION(stat_activity),
      .prefix = "pg_stat_activity_",
      .texts = { { 100000, 0, activity_sql },
                 { 90600, 100000, activity_9_sql } },
      .params = { PARAM_APPLICATION_NAME } },
    { .part = { "stat_archiver", 0, "The archiver of WAL files" },
      .group = "stat_archiver",
      .option = OPTION(stat_archiver),
      .prefix = "pg_stat_archiver_",
      .texts = { { 90600, 0, archiver_sql } } },
    { .part = { "stat_bgwriter", 0, "The background writer" },
      .group = "stat_bgwriter",
      .option = OPTION(stat_bgwriter),
      .prefix = "pg_stat_bgwriter_",
      .texts = { { 170000, 0, bgwriter_17_sql },
                 { 90600, 170000, bgwriter_sql } },
      .nulls = NULL_ZERO },
    { .part = { "stat_database", 0, "Statistics of databases" },
      .group = "stat_database",
      .option = OPTION(stat_database),
      .prefix = "pg_stat_database_",
      .texts = { { 140000, 0, stat_database_14_sql },
                 { 90600, 140000, stat_database_sql } } },
    { .part = { "stat_database_conflicts", 0, "Queries cancelled by recovery" },
      .option = OPTION(stat_database_conflicts),
      .prefix = "pg_stat_database_conflicts_",
      .texts = { { 160000, 0, conflicts_16_sql },
                 { 90600, 160000, conflicts_sql } } },
    { .part = { "stat_progress_vacuum", 0, "Vacuums that run" },
      .group = "stat_progress_vacuum",
      .option = OPTION(stat_progress_vacuum),
      .prefix = "pg_stat_progress_vacuum_",
      .texts = { { 170000, 0, vacuum_17_sql },
                 { 90600, 170000, vacuum_sql } } },
    { .part = { "stat_replication", 0, "Replicas that are connected" },
      .group = "stat_replication",
      .option = OPTION(stat_replication),
      .prefix = "pg_stat_replication_",
      .texts = { { 100000, 0, stat_replication_sql },
                 { 90600, 100000, stat_replication_9_sql } },
      .params = { PARAM_PID } },
    { .part = { "wal", 0, "WAL files" },
      .group = "wal",
      .option = OPTION(wal),
      .prefix = "pg_wal_",
      .texts = { { 100000, 0, wal_sql } } },
    { .part = { "database_wraparound", 0, "Ages of databases" },
      .group = "database_wraparound",
      .option = OPTION(database_wraparound),
      .prefix = "pg_database_wraparound_",
      .texts = { { 90600, 0, wraparound_sql } } },
    { .part = { "long_running_transactions", 0, "Open transactions" },
      .group = "long_running_transactions",
      .option = OPTION(long_running_transactions),
      .prefix = "pg_long_running_transactions_",
      .texts = { { 90600, 0, long_transactions_sql } } },
    { .part = { "postmaster", 0, "When the server was started" },
      .group = "postmaster",
      .option = OPTION(postmaster),
      .prefix = "pg_postmaster_",
      .texts = { { 90600, 0, postmaster_sql } } },
    { .part = { "process_idle", 0, "How long sessions have been idle" },
      .group = "process_idle",
      .option = OPTION(process_idle),
      .texts = { { 90600, 0, process_idle_sql } },
      .params = { PARAM_APPLICATION_NAME },
      .emit = process_idle_emit },
    { .part = { "stat_activity_autovacuum", 0, "Autovacuums that run" },
      .group = "stat_activity_autovacuum",
      .option = OPTION(stat_activity_autovacuum),
      .prefix = "pg_stat_activity_autovacuum_",
      .texts = { { 90600, 0, autovacuum_sql } } },
    { .part = { "stat_checkpointer", 0, "The checkpointer" },
      .group = "stat_checkpointer",
      .option = OPTION(stat_checkpointer),
      .prefix = "pg_stat_checkpointer_",
      .texts = { { 170000, 0, checkpointer_sql } },
      .nulls = NULL_ZERO },
    { .part = { "stat_wal_receiver", 0, "The receiver of WAL" },
      .group = "stat_wal_receiver",
      .option = OPTION(stat_wal_receiver),
      .prefix = "pg_stat_wal_receiver_",
      .texts = { { 130000, 0, receiver_13_sql },
                 { 90600, 130000, receiver_sql } } },
    { .part = { "buffercache_summary", 0, "The buffer cache" },
      .group = "buffercache_summary",
      .option = OPTION(buffercache_summary),
      .prefix = "pg_buffercache_summary_",
      .extension = "pg_buffercache",
      .texts = { { 104, 0, buffercache_sql } } },
    { .part = { "xlog_location", 0, "Position in the WAL" },
      .group = "xlog_location",
      .option = OPTION(xlog_location),
      .prefix = "pg_xlog_location_",
      .texts = { { 90600, 100000, xlog_sql } } },
    { .part = { "stat_io", 0, "I/O by kind of process" },
      .option = OPTION(stat_io),
      .prefix = "pg_stat_io_",
      .texts = { { 180000, 0, io_18_sql }, { 160000, 180000, io_16_sql } } },
    { .part = { "stat_wal", 0, "Writing of WAL" },
      .option = OPTION(stat_wal),
      .prefix = "pg_stat_wal_",
      .texts = { { 140000, 0, stat_wal_sql } } },
    { .part = { "stat_user_tables", 0, "Statistics of tables" },
      .group = "stat_user_tables",
      .option = OPTION(stat_user_tables),
      .prefix = "pg_stat_user_tables_",
      .texts = { { 90600, 0, user_tables_sql } },
      .params = { PARAM_TABLES },
      .nulls = NULL_ZERO,
      .each_database = true,
      .count_sql = count_tables_sql },
    { .part = { "statio_user_tables", 0, "I/O of tables" },
      .group = "statio_user_tables",
      .option = OPTION(statio_user_tables),
      .prefix = "pg_statio_user_tables_",
      .texts = { { 90600, 0, statio_tables_sql } },
      .params = { PARAM_TABLES },
      .nulls = NULL_ZERO,
      .each_database = true,
      .count_sql = count_tables_sql },
    { .part = { "statio_user_indexes", 0, "I/O of indexes" },
      .group = "statio_user_indexes",
      .option = OPTION(statio_user_indexes),
      .prefix = "pg_statio_user_indexes_",
      .texts = { { 90600, 0, statio_indexes_sql } },
      .params = { PARAM_TABLES },
      .nulls = NULL_ZERO,
      .each_database = true,
      .count_sql = count_indexes_sql,
      .datname_elsewhere = true },
    { .part = { "database_size", SLOW, "Disk space of databases" },
      .group = "database",
      .option = OPTION(database),
      .prefix = "pg_database_",
      .texts = { { 100000, 0, database_size_sql },
                 { 90600, 100000, database_size_9_sql } },
      .params = { PARAM_EXCLUDED } },
    { .part = { "stat_statements", SLOW, "Statements that take the most time" },
      .group = "stat_statements",
      .option = OPTION(stat_statements),
      .prefix = "pg_stat_statements_",
      .extension = "pg_stat_statements",
      .texts = { { 111, 0, statements_111_sql },
                 { 108, 111, statements_108_sql },
                 { 100, 108, statements_100_sql } },
      .params = { PARAM_STATEMENTS, PARAM_STATEMENT_DATABASES,
                  PARAM_STATEMENT_USERS },
      .nulls = NULL_ZERO },
    { .part = { "stat_statements_query", SLOW, "Their texts" },
      .group = "stat_statements",
      .option =
          offsetof(struct pg_options, collector_stat_statements_include_query),
      .prefix = "pg_stat_statements_",
      .extension = "pg_stat_statements",
      .texts = { { 108, 0, statement_texts_108_sql },
                 { 100, 108, statement_texts_100_sql } },
      .params = { PARAM_STATEMENTS, PARAM_STATEMENT_DATABASES,
                  PARAM_STATEMENT_USERS, PARAM_STATEMENT_LENGTH } },
    { .part = { "table_size", SLOW, "Disk space of tables and indexes" },
      .group = "stat_user_tables",
      .option = OPTION(stat_user_tables),
      .prefix = "pg_stat_user_tables_",
      .texts = { { 90600, 0, table_sizes_sql } },
      .params = { PARAM_TABLES },
      .each_database = true,
      .count_sql = count_tables_sql },
    { .part = { "custom_queries", 0, "Queries of the file `queries`" },
      .option = SIZE_MAX },
};

const char *collector_sql(const struct collector *c, int version)
{
    for (size_t i = 0; i < COLLECTOR_TEXTS_MAX && c->texts[i].sql; i++) {
        const struct version_text *t = &c->texts[i];

        if (version >= t->from && (!t->below || version < t->below))
            return t->sql;
    }
    return NULL;
}
