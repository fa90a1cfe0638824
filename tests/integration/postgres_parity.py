# SPDX-License-Identifier: Apache-2.0
"""The postgres plugin beside the exporter it replaces, Debian's and the
newest, on the same live server under load; and beside plain SQL for what no
exporter has.

A difference is either in a table of exceptions, with its reason, or a
failure; an exception that nothing needs is a failure as well."""
import math

from postgres_server import *

LOAD = """
BEGIN; UPDATE t1 SET b = b || 'x' WHERE a = 1 + (random() * 90)::int;
INSERT INTO t2 VALUES (1); SELECT count(*) FROM t1; COMMIT"""


class World:
    """A server with everything that shows: slots, a replica, sessions in all
    states, locks, a vacuum that takes its time, statements; and load."""

    def __init__(self, case, name, bin=DEBIAN, replica=True):
        self.server = s = Server(case, name, bin,
                                 conf="autovacuum = on\n"
                                      "autovacuum_naptime = 1s\n"
                                      "archive_mode = on\n"
                                      "archive_command = 'true'\n"
                                      "max_slot_wal_keep_size = 1GB")
        s.sql("CREATE DATABASE app", "CREATE DATABASE other",
              "CREATE ROLE monitor LOGIN PASSWORD 'x' CONNECTION LIMIT 20",
              "GRANT pg_monitor TO monitor", "CREATE ROLE bare LOGIN")
        for database in ("app", "other"):
            s.sql("CREATE EXTENSION pg_stat_statements",
                  "CREATE EXTENSION pg_buffercache",
                  "CREATE TABLE t1 (a int PRIMARY KEY, b text) "
                  "WITH (autovacuum_enabled = off)",
                  "INSERT INTO t1 SELECT g, repeat('y', 2000) "
                  "FROM generate_series(1, 3000) g",
                  "CREATE TABLE t2 (a int)", "CREATE SCHEMA s",
                  'CREATE TABLE s."odd ""name\\" (a int PRIMARY KEY)',
                  "ANALYZE t1", "VACUUM t1", "UPDATE t1 SET b = b || 'z'",
                  database=database)
        s.sql("CREATE TABLE slow (a int, b text) WITH "
              "(autovacuum_vacuum_threshold = 1, "
              "autovacuum_vacuum_scale_factor = 0, "
              "autovacuum_vacuum_cost_delay = 100, "
              "autovacuum_vacuum_cost_limit = 1)",
              "INSERT INTO slow SELECT g, repeat('s', 1000) "
              "FROM generate_series(1, 20000) g", "DELETE FROM slow",
              database="app")
        s.sql("SELECT pg_create_logical_replication_slot('logical', "
              "'test_decoding')",
              "SELECT pg_create_physical_replication_slot('physical', true)",
              database="app")
        s.sql("SELECT pg_switch_wal()")
        self.replica = Server(case, "replica", copy_of=s,
                              slot="repmgr_slot_7") if replica else None
        self.sessions = [s.connect("app", application_name="idler")]
        self.sessions[0].cursor().execute("SELECT 1")
        self.hold("holder", "BEGIN", "LOCK TABLE t2 IN SHARE MODE")
        self.hold("failed", "BEGIN")
        try:
            self.sessions[-1].cursor().execute("SELECT no_such_column")
        except psycopg2.Error:
            pass  # the transaction is an aborted one now
        self.ends = threading.Event()
        self.threads = []
        self.thread(self.vacuum)
        wait_for("two vacuums", lambda: s.sql(
            "SELECT count(*) FROM pg_stat_progress_vacuum")[0][0] >= 2)
        case.cleanups.append(self.close)

    def hold(self, name, *statements):
        self.sessions.append(self.server.connect("app", application_name=name))
        for statement in statements:
            self.sessions[-1].cursor().execute(statement)

    def thread(self, function):
        t = threading.Thread(target=self.guarded, args=(function,), daemon=True)
        self.threads.append(t)
        t.start()

    def guarded(self, function):
        try:
            function()
        except (psycopg2.Error, OSError):
            pass  # the server ends with the test

    def vacuum(self):
        c = self.server.connect("app", application_name="vacuum")
        self.sessions.append(c)
        c.cursor().execute("SET vacuum_cost_delay = 20")
        c.cursor().execute("SET vacuum_cost_limit = 1")
        c.cursor().execute("VACUUM t1")

    def load(self):
        """Until the world ends, in both databases."""
        for database in ("other", "other"):
            def work(database=database):
                c = self.server.connect(database, application_name="load")
                while not self.ends.is_set():
                    c.cursor().execute(LOAD)
                    self.ends.wait(0.01)
            self.thread(work)

    def close(self):
        self.ends.set()
        for c in self.sessions:
            try:
                c.cancel()
                c.close()
            except psycopg2.Error:
                pass
        for t in self.threads:
            t.join(5)


worlds = {}


def world(which):
    if which not in worlds:
        case = Shared.get()
        bin = DEBIAN if which == 15 else newer_server(case)
        worlds[which] = World(case, f"pg{which}", bin, replica=which == 15)
        worlds[which].load()
    return worlds[which]


class Exporter:
    def __init__(self, case, binary, server, *flags, database="app"):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/metrics"
        env = dict(os.environ, DATA_SOURCE_NAME=(
            f"postgresql://postgres@{server.address}/{database}"
            "?sslmode=disable"))
        Process(case, [binary, f"--web.listen-address=127.0.0.1:{port}",
                       *flags], "exporter", env=env)
        wait_for("the exporter", lambda: get(self.url)[0] == 200)

    def page(self):
        status, body = get(self.url)
        equal(status, 200, body[-500:])
        return parse(body)


# ---- comparing ------------------------------------------------------------

NOT_OURS = re.compile(r"^(go_|process_(?!idle)|promhttp_|postgres_exporter_)")
# Values that depend on who looks, or jump both ways while nobody looks.
NOT_COMPARED = re.compile(
    r"^pg_(exporter_|scrape_collector_|stat_activity_|locks_count|"
    r"stat_database_numbackends|process_idle|long_running|static|"
    r"stat_user_tables_n_|stat_progress_vacuum|stat_statements|"
    r"replication_slots?_|stat_replication_|buffercache)")


class Exceptions:
    """Differences that are meant, each with its reason."""

    def __init__(self, *rows):
        self.rows = rows
        self.used = set()

    def covers(self, text):
        for pattern, _ in self.rows:
            if re.search(pattern, text):
                self.used.add(pattern)
                return True
        return False

    def unused(self):
        return [p for p, _ in self.rows if p not in self.used]


def without(series, *labels):
    return {(n, tuple(x for x in l if x[0] not in labels)): v
            for (n, l), v in series.items()}


def renamed(page, names):
    """Families under the names of newer exporters."""
    types, series = page
    def new(n):
        for old, now in names:
            n = re.sub(old, now, n)
        return n
    return ({new(n): t for n, t in types.items()},
            {(new(n), l): v for (n, l), v in series.items()})


def compare(before, ours, after, exceptions):
    """What of theirs ours lacks, or has another value of."""
    wrong = []
    for family, kind in before[0].items():
        got = ours[0].get(family)
        if not NOT_OURS.match(family) and got != kind and \
                not exceptions.covers(f"family {family}"):
            wrong.append(f"family {family}: {kind} there, {got} here")
    for key, value in before[1].items():
        name = key[0]
        text = f"{name}{dict(key[1])}"
        if NOT_OURS.match(name) or key not in after[1] or \
                exceptions.covers(f"series {text}"):
            continue
        if key not in ours[1]:
            wrong.append(f"series {text} is missing")
            continue
        low, high = sorted((value, after[1][key]))
        got = ours[1][key]
        if NOT_COMPARED.match(name) or (math.isnan(value) and got == 0):
            continue
        # Files grow by the load and are cut by vacuum meanwhile.
        slack = 0.05 if name.endswith("size_bytes") else 1e-6
        if not low - slack * abs(low) <= got <= high + slack * abs(high) and \
                not exceptions.covers(f"value {text}"):
            wrong.append(f"{text}: {value} and {after[1][key]} there, "
                         f"{got} here")
    equal(wrong, [], "differences")
    equal(exceptions.unused(), [], "exceptions that nothing needs")


def looked_at(compared, looks=3):
    """Runs a comparison; what moves under load must agree at one look."""
    for look in range(looks):
        try:
            return compared()
        except AssertionError:
            if look + 1 == looks:
                raise


def collections(exporter, server, *options, names=()):
    """The exporter's page, ours, and the exporter's again."""
    before = renamed(exporter.page(), names)
    types, series, _ = scrape(
        f"postgresql://postgres@{server.address}/app?sslmode=disable",
        *options)
    return before, (types, series), renamed(exporter.page(), names)


# ---- exporters ------------------------------------------------------------

SLOT = [(r"^pg_replication_slot_", "pg_replication_slots_")]


def check_newest(case, which):
    server = world(which).server
    binary = newest("prometheus-postgres-exporter")
    on = [c for c in ALL if c != "xlog_location"]
    exporter = Exporter(
        case, binary, server, *[f"--collector.{c}" for c in on],
        "--collector.stat_statements.include_query")
    looked_at(lambda: compare_newest(exporter, server, which))


def compare_newest(exporter, server, which):
    before, ours, after = collections(exporter, server, *ALL_ON, names=SLOT)
    rows = [
        (r"value pg_settings_extra_float_digits",
         "its driver sets it for itself"),
        (r"family pg_stat_replication_reply_time",
         "a column it does not know, untyped; newer ones have not got it"),
        (r"series pg_stat_replication_",
         "the label slot_name has the pid until 0.19"),
        (r"pg_process_idle_seconds", "theirs is one group, chosen by chance"),
        (r"series pg_scrape_collector.*replication_slot'",
         "the collector's name before 0.20"),
        (r"series pg_stat_statements",
         "the top statements change while they are looked at"),
        (r"series pg_stat_activity_.*('state': 'active'"
         r"|'application_name': 'load')",
         "sessions of the load come and go"),
        (r"value pg_wal_size_bytes|value pg_wal_segments",
         "files are recycled meanwhile"),
    ]
    if which != 15:
        rows = [r for r in rows if "pg_wal" not in r[0] and
                "pg_stat_replication" not in r[0]]
    no_pid = (ours[0], without(ours[1], "server", "pid"))
    drop = lambda page: (page[0], without(page[1], "server"))
    exceptions = Exceptions(*rows)
    exceptions.used |= {r[0] for r in rows if "pg_wal" in r[0] or
                        "statements" in r[0] or "activity" in r[0]}
    compare(drop(before), no_pid, drop(after), exceptions)


def test_newest_exporter_on_15(case):
    """names, types, labels and values of the newest exporter, PostgreSQL 15"""
    check_newest(case, 15)


def test_newest_exporter_on_18(case):
    """the same on PostgreSQL 18"""
    check_newest(case, 18)


EXTRAS_011 = ("active_time|session_time|idle_in_transaction_time|sessions"
              "(_abandoned|_fatal|_killed)?|checksum_failures|"
              "checksum_last_failure")


def folded_activity(series):
    """By what 0.11 tells sessions apart."""
    out = {}
    for (name, labels), v in series.items():
        if name.startswith("pg_stat_activity_"):
            labels = tuple(x for x in labels if x[0] in ("datname", "state"))
            old = out.get((name, labels), 0)
            v = old + v if name.endswith("_count") else max(old, v)
        out[name, labels] = v
    return out


def test_debian_exporter(case):
    """names, types, labels and values of Debian's exporter 0.11"""
    binary = shutil.which("prometheus-postgres-exporter")
    need(binary, "prometheus-postgres-exporter is not installed")
    server = world(15).server
    exporter = Exporter(case, binary, server)
    before, ours, after = collections(exporter, server)
    ours = (ours[0], folded_activity(without(ours[1], "server", "pid")))
    drop = lambda page: (page[0], without(page[1], "server"))
    exceptions = Exceptions(
        (rf"pg_stat_database_({EXTRAS_011})\b(?!_seconds)",
         "columns it does not know, untyped; newer ones have not got them"),
        (r"series pg_stat_database.*'datid', '0'|series pg_stat_database"
         r".*'datid': '0'", "the row of shared objects has no name"),
        (r"series pg_stat_replication_pg_", "no mask and no slot there"),
        (r"family pg_stat_replication_pg_|family pg_stat_replication_"
         r"(pid|backend_start|reply_time|sync_priority|.*_lsn|.*_lag|"
         r"usesysid|client_port|backend_xmin)",
         "columns it does not know, untyped"),
        (r"series pg_stat_replication_(?!pg_)", "likewise"),
        (r"series pg_scrape_collector.*'(bgwriter)'",
         "the collector's name before 0.12"),
        (r"value pg_settings_extra_float_digits",
         "its driver sets it for itself"),
        (r"value pg_stat_database_stats_reset", "NaN there, 0 in newer ones"),
    )
    exceptions.used |= {r[0] for r in exceptions.rows if
                        "stats_reset" in r[0] or "replication" in r[0]}
    compare(drop(before), ours, drop(after), exceptions)
    settings = {k: v for k, v in drop(before)[1].items()
                if k[0].startswith("pg_settings_")}
    need(len(settings) > 200, f"{len(settings)} settings")
    for key, value in settings.items():
        if key[0] != "pg_settings_extra_float_digits":
            equal(ours[1].get(key), value, key[0])


# ---- the catalog as oracle ------------------------------------------------

def test_catalog(case):
    """what no exporter has is what the server's catalog says"""
    w = world(15)
    s = w.server
    _, series, _ = scrape(f"{s.address}", "user=postgres", "database=app",
                          *ALL_ON)
    one = lambda name, **labels: series.get((name, tuple(sorted(
        labels.items()))))
    for database in ("app", "other"):
        for schema, table, idx in s.sql(
                "SELECT schemaname, relname, pg_indexes_size(relid) "
                "FROM pg_stat_user_tables", database=database):
            label = table.replace("\\", "\\\\").replace('"', '\\"')
            got = one("pg_stat_user_tables_index_size_bytes",
                      datname=database, schemaname=schema, relname=label)
            equal(got, float(idx), f"{database}.{schema}.{table}")
            need(one("pg_statio_user_tables_heap_blocks_hit",
                     datname=database, schemaname=schema, relname=label)
                 is not None, table)
    equal(one("pg_roles_connection_limit", rolname="monitor"), 20.0)
    equal(one("pg_replication_slots_slot_is_active", slot_name="logical",
              slot_type="logical"), 0.0)
    equal(one("pg_replication_slots_wal_status", slot_name="physical",
              slot_type="physical", wal_status="reserved"), 1.0)
    replicas = [k for k in series if k[0] == "pg_stat_replication_pg_wal_lsn_diff"]
    pids = {str(r[0]) for r in s.sql("SELECT pid FROM pg_stat_replication")}
    equal({dict(k[1])["pid"] for k in replicas}, pids, "replicas")
    equal({dict(k[1])["client_addr"] for k in replicas if
           "client_addr" in dict(k[1])}, set(), "over a socket")
    equal(one("pg_stat_activity_autovacuum_timestamp_seconds", relname="slow")
          is not None, True)
    phases = [v for k, v in series.items()
              if k[0] == "pg_stat_progress_vacuum_phase" and
              dict(k[1])["relname"] == "t1"]
    equal((len(phases), sum(phases)), (7, 1.0), "phases")
    need(one("pg_stat_wal_bytes_total") > 0, "WAL")
    start = s.sql("SELECT extract(epoch FROM pg_postmaster_start_time())")
    need(abs(one("pg_postmaster_start_time_seconds") - float(start[0][0])) < 1,
         "start")
    held = [v for k, v in series.items() if k[0] == "pg_locks_count" and
            dict(k[1]) == {"datname": "app", "mode": "sharelock"}]
    equal(held, [1.0], "the lock that is held")
    idle = [k for k in series if k[0] == "pg_process_idle_seconds_count"]
    need({"idle", "idle in transaction", "idle in transaction (aborted)"} <=
         {dict(k[1])["state"] for k in idle}, f"all groups: {idle}")


# Every family of postgres_exporter 0.20 and after.
FAMILIES = """
pg_up pg_static pg_exporter_last_scrape_error pg_exporter_scrapes_total
pg_exporter_last_scrape_duration_seconds pg_exporter_user_queries_load_error
pg_scrape_collector_duration_seconds pg_scrape_collector_success
pg_database_connection_limit pg_database_size_bytes
pg_database_wraparound_age_datfrozenxid_seconds
pg_database_wraparound_age_datminmxid_seconds pg_locks_count
pg_long_running_transactions
pg_long_running_transactions_oldest_timestamp_seconds
pg_postmaster_start_time_seconds pg_process_idle_seconds
pg_replication_lag_seconds pg_replication_is_replica
pg_replication_last_replay_seconds pg_roles_connection_limit
pg_stat_activity_count pg_stat_activity_max_tx_duration
pg_stat_activity_autovacuum_timestamp_seconds pg_wal_segments
pg_wal_size_bytes pg_xlog_location_bytes
""".split() + [f"pg_replication_slots_{x}" for x in """active pg_wal_lsn_diff
pg_xlog_location_diff slot_current_wal_lsn slot_confirmed_flush_lsn
slot_is_active safe_wal_size_bytes wal_status""".split()] + [
    f"pg_stat_archiver_{x}" for x in
    "archived_count failed_count last_archive_age".split()] + [
    f"pg_stat_bgwriter_{x}_total" for x in """checkpoints_timed checkpoints_req
checkpoint_write_time checkpoint_sync_time buffers_checkpoint buffers_clean
maxwritten_clean buffers_backend buffers_backend_fsync buffers_alloc
stats_reset""".split()] + [
    f"pg_stat_checkpointer_{x}_total" for x in """num_timed num_requested
restartpoints_timed restartpoints_req restartpoints_done write_time sync_time
buffers_written stats_reset""".split()] + [
    f"pg_stat_database_{x}" for x in """numbackends xact_commit xact_rollback
blks_read blks_hit tup_returned tup_fetched tup_inserted tup_updated
tup_deleted conflicts temp_files temp_bytes deadlocks blk_read_time
blk_write_time stats_reset active_time_seconds_total""".split()] + [
    f"pg_stat_database_conflicts_confl_{x}" for x in """tablespace lock
snapshot bufferpin deadlock active_logicalslot""".split()] + [
    f"pg_stat_progress_vacuum_{x}" for x in """phase heap_blks
heap_blks_scanned heap_blks_vacuumed index_vacuums max_dead_tuples
num_dead_tuples""".split()] + [
    f"pg_stat_replication_{x}" for x in """pg_current_wal_lsn_bytes
pg_wal_lsn_diff pg_xlog_location_diff""".split()] + [
    f"pg_stat_statements_{x}" for x in """calls_total seconds_total rows_total
block_read_seconds_total block_write_seconds_total query_id""".split()] + [
    f"pg_stat_user_tables_{x}" for x in """seq_scan seq_tup_read idx_scan
idx_tup_fetch n_tup_ins n_tup_upd n_tup_del n_tup_hot_upd vacuum_count
autovacuum_count analyze_count autoanalyze_count n_live_tup n_dead_tup
n_mod_since_analyze last_vacuum last_autovacuum last_analyze last_autoanalyze
index_size_bytes table_size_bytes""".split()] + [
    f"pg_stat_wal_receiver_{x}" for x in """receive_start_lsn flushed_lsn
latest_end_lsn last_msg_send_time last_msg_receipt_time latest_end_time
receive_start_tli received_tli upstream_node""".split()] + [
    f"pg_statio_user_indexes_{x}_total" for x in
    "idx_blks_read idx_blks_hit".split()] + [
    f"pg_statio_user_tables_{a}_blocks_{b}" for a in
    "heap idx toast tidx".split() for b in ("read", "hit")] + [
    f"pg_buffercache_summary_{x}" for x in """buffers_used buffers_unused
buffers_dirty buffers_pinned usagecount_avg""".split()]

NOT_HERE = {
    "pg_xlog_location_bytes": "before PostgreSQL 10",
    "pg_replication_slots_pg_xlog_location_diff": "before PostgreSQL 10",
    "pg_stat_replication_pg_xlog_location_diff": "before PostgreSQL 10",
}


def test_all_families(case):
    """all families of the newest exporter are there"""
    queries = case.write("queries.yaml", "pg_x: {query: SELECT 1 AS a, "
                         "metrics: [{a: {usage: GAUGE}}]}\n")
    seen = {}
    targets = [world(15).server, world(15).replica]
    newer = True
    try:
        targets.append(world(18).server)
    except Skip as e:
        print(f"# without PostgreSQL 18: {e}")
        newer = False
    for s in targets:
        types, _, log = scrape(f"{s.address}", "user=postgres", "database=app",
                               f"queries={queries}", *ALL_ON)
        seen.update(types)
    missing = [f for f in FAMILIES if f not in seen and f not in NOT_HERE]
    if not newer:
        missing = [f for f in missing if not re.search(
            "checkpointer|buffercache|active_logicalslot", f)]
    equal(missing, [], "families that are missing")
    equal([f for f in NOT_HERE if f in seen], [], "families that are there")
    equal(len(set(FAMILIES)), len(FAMILIES), "the list")
    settings = sum(f.startswith("pg_settings_") for f in seen)
    print(f"# {len(FAMILIES)} families besides {settings} of pg_settings; "
          f"{len(FAMILIES) - len(NOT_HERE)} seen; not producible here: "
          + ", ".join(sorted(NOT_HERE)))


def test_receiver(case):
    """a replica: the receiver of WAL, the lag, and is_replica"""
    r = world(15).replica
    _, series, _ = scrape(f"{r.address}", "user=postgres", "database=app",
                          *ALL_ON)
    values = {k[0]: v for k, v in series.items()}
    equal(values["pg_replication_is_replica"], 1.0)
    need("pg_stat_wal_receiver_flushed_lsn" in values, "receiver")
    equal({dict(k[1])["slot_name"] for k in series
           if k[0] == "pg_stat_wal_receiver_flushed_lsn"}, {"repmgr_slot_7"})
    need(values["pg_replication_lag_seconds"] >= 0, "lag")


# ---- queries of one's own -------------------------------------------------

QUERIES = """
types:
  query: >
    SELECT 'a' AS l, 1::int2 AS i2, 2::int4 AS i4, 3::int8 AS i8,
    0.5::float8 AS f8, 1.25::numeric AS n, '7' AS tn, true AS b,
    '2024-02-29 12:00:00+00'::timestamptz AS ts, NULL::int AS nothing,
    'words' AS words, ARRAY[1,2] AS arr, interval '3 s' AS iv, 5 AS unlisted
  master: true
  metrics:
    - l: {usage: LABEL, description: d}
    - i2: {usage: GAUGE, description: d}
    - i4: {usage: COUNTER, description: d}
    - i8: {usage: GAUGE, description: d}
    - f8: {usage: GAUGE, description: d}
    - n: {usage: GAUGE, description: d}
    - tn: {usage: GAUGE, description: d}
    - b: {usage: GAUGE, description: d}
    - ts: {usage: GAUGE, description: d}
    - nothing: {usage: GAUGE, description: d}
    - words: {usage: GAUGE, description: d}
    - arr: {usage: DISCARD, description: d}
    - iv: {usage: DISCARD, description: d}
"""
OURS = QUERIES + """
spans:
  query: "SELECT '3s' AS d, interval '2 s' AS i, 'up' AS m"
  metrics:
    d: {usage: DURATION}
    i: {usage: DURATION}
    m: {usage: MAPPEDMETRIC, metric_mapping: {up: 1, down: 0}}
histo:
  query: >
    SELECT ARRAY[0.1, 1] AS h, ARRAY[2, 5] AS h_bucket, 3.5 AS h_sum,
    6 AS h_count
  metrics:
    - h: {usage: HISTOGRAM, description: d}
everywhere:
  query: SELECT 1 AS one
  databases: all
  metrics: {one: {usage: GAUGE}}
later:
  query: SELECT 1 AS one
  min_version: 99
  metrics: {one: {usage: GAUGE}}
broken:
  query: SELECT no_such_column
  metrics: {one: {usage: GAUGE}}
"""


def test_queries(case):
    """queries of one's own give what the exporter gives, and ours"""
    binary = shutil.which("prometheus-postgres-exporter")
    s = world(15).server
    theirs_file = case.write("theirs.yaml", QUERIES)
    ours_file = case.write("ours.yaml", OURS)
    exporter = Exporter(case, binary, s,
                        f"--extend.query-path={theirs_file}")
    types, series = exporter.page()
    got_types, got, log = scrape(f"{s.address}", "user=postgres",
                                 "database=app", f"queries={ours_file}")
    series, got = without(series, "server"), without(got, "server")
    for key, value in series.items():
        if not key[0].startswith("types_"):
            continue
        need(key in got, f"{key} is missing")
        equal(got_types[key[0]], types[key[0]], key[0])
        need(got[key] == value or (math.isnan(value) and
                                   math.isnan(got[key])),
             f"{key}: {value} there, {got[key]} here")
    equal(sum(k[0].startswith("types_") for k in got),
          sum(k[0].startswith("types_") for k in series), "as many")
    equal(got["spans_d_milliseconds", ()], 3000.0)
    equal(got["spans_i_milliseconds", ()], 2000.0)
    equal(got["spans_m", ()], 1.0)
    equal(got["histo_h_bucket", (("le", "0.1"),)], 2.0)
    equal(got["histo_h_bucket", (("le", "+Inf"),)], 6.0)
    equal(got["histo_h_sum", ()], 3.5)
    equal(got["histo_h_count", ()], 6.0)
    equal(got_types["histo_h"], "histogram", "one family")
    need(not {"histo_h_bucket", "histo_h_sum", "histo_h_count"} &
         set(got_types), "no families of its parts")
    equal({dict(k[1])["datname"] for k in got if k[0] == "everywhere_one"},
          {"postgres", "app", "other"})
    need(not any(k[0] == "later_one" for k in got), "min_version")
    ok = {dict(k[1])["namespace"]: v for k, v in got.items()
          if k[0] == "pg_custom_query_success"}
    equal((ok["broken"], ok["types"]), (0.0, 1.0))
    equal(got["pg_exporter_last_scrape_error", ()], 1.0)
    equal(got["pg_up", ()], 1.0)
    load = [k for k in got if k[0] == "pg_exporter_user_queries_load_error"]
    their_load = [k for k in series if k[0] ==
                  "pg_exporter_user_queries_load_error"]
    equal(len(load[0][1]), len(their_load[0][1]), "labels of load_error")
    import hashlib
    equal(dict(load[0][1])["hashsum"],
          hashlib.sha256(OURS.encode()).hexdigest())


run(globals())
