# SPDX-License-Identifier: Apache-2.0
"""The postgres plugin when things go wrong: servers that are down, slow,
stopped or full, passwords and rights that change, sessions that are killed."""
from postgres_server import *

servers = {}


def server():
    """One for all tests; each leaves it as it was."""
    if "one" not in servers:
        s = servers["one"] = Server(Shared.get())
        s.sql("CREATE DATABASE app", "CREATE ROLE mon LOGIN PASSWORD 'right'",
              "GRANT pg_monitor TO mon", "CREATE ROLE bare LOGIN")
        s.sql("CREATE TABLE t1 (a int PRIMARY KEY)", database="app")
        hba = os.path.join(s.data, "pg_hba.conf")
        with open(hba) as f:
            rest = f.read()
        with open(hba, "w") as f:
            f.write("host all mon 127.0.0.1/32 scram-sha-256\n" + rest)
        s.reload()
    return servers["one"]


def agent(case, s, user="postgres", interval="500ms", timeout="500ms",
          flags=(), **options):
    """The agent with one job; options are given as YAML."""
    text = "".join(f", {k}: {v}" for k, v in options.items())
    return case.sonde(config(job(
        "pg", s if isinstance(s, str) else s.address, plugin="postgres",
        interval=interval, timeout=timeout,
        options=f"{{user: {user}, database: app{text}}}")), *flags)


def up(a, want=1.0):
    return wait_for(f"pg_up {want}", lambda: a.value("pg_up") == want)


def collector(a, name):
    return a.value(f'pg_scrape_collector_success{{collector="{name}"}}')


def test_down_and_back(case):
    """down, up, down again and back: pg_up says so, nothing stale is left"""
    s = Server(case)
    s.sql("CREATE DATABASE app")
    s.stop()
    a = agent(case, s)
    up(a, 0.0)
    equal(a.value("pg_exporter_last_scrape_error"), 1.0)
    need("up" == a.target("pg")["health"], "a fact, not a failed collection")
    s.start()
    up(a)
    wait_for("sizes", lambda: a.query("pg_database_size_bytes"))
    s.process.kill()
    up(a, 0.0)
    wait_for("nothing stale", lambda: not a.query("pg_database_size_bytes") and
             not a.query("pg_settings_jit"))
    s.start()
    up(a)


def test_wrong_password(case):
    """a wrong password in a file is seen; the right one is taken up; neither
    is in any message"""
    path = case.write("password", "hunter2-wrong\n")
    a = agent(case, server(), user="mon", password_file=path)
    up(a, 0.0)
    wait_for("the reason", lambda: "password authentication failed" in a.log())
    case.write("password", "right\n")
    up(a)
    equal(collector(a, "wal"), 1.0)
    need("hunter2" not in a.log() + get(a.url + "/api/v1/targets")[1] +
         get(a.url + "/metrics")[1], "the password shows")


def test_nologin_while_connected(case):
    """a right to log in that is revoked is noticed after connection_max_age"""
    s = server()
    path = case.write("password", "right")
    a = agent(case, s, user="mon", password_file=path,
              connection_max_age="1s")
    up(a)
    s.sql("ALTER ROLE mon NOLOGIN")
    try:
        up(a, 0.0)
    finally:
        s.sql("ALTER ROLE mon LOGIN")
    up(a)


def test_killed_between(case):
    """sessions killed between collections: not one false pg_up 0"""
    s = server()
    a = agent(case, s)
    up(a)
    for _ in range(5):
        before = a.value("pg_exporter_scrapes_total")
        wait_for("a kill", lambda: s.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'sonde' AND state = 'idle'")[0][0] > 0)
        wait_for("two more collections", lambda: (
            a.value("pg_exporter_scrapes_total") or 0) >= before + 2)
    need(a.value("pg_connects_total") > 2, "logins")
    low = a.query("min_over_time(pg_up[1h])")
    equal([v[1] for v in low.values()], ["1"], "pg_up")


def test_killed_during(case):
    """a session killed while it runs a query: the rest goes on"""
    s = server()
    path = case.write("q.yaml", "sleepy: {query: SELECT pg_sleep(20), "
                                "metrics: {pg_sleep: {usage: DISCARD}}}\n")
    a = agent(case, s, timeout="25s", interval="25s", queries=path)
    wait_for("the sleep", lambda: s.sql(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'sonde' "
        "AND state = 'active' AND query LIKE '%pg_sleep%'"))
    s.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
          "WHERE application_name = 'sonde' AND query LIKE '%pg_sleep%'")
    up(a)
    equal(a.value("pg_custom_query_success"), 0.0)
    equal(collector(a, "locks"), 1.0)


def test_max_connections(case):
    """a server that is full gives pg_up 0 with its reason, and then goes on"""
    s = Server(case, conf="max_connections = 8\nsuperuser_reserved_connections"
                          " = 1\nmax_wal_senders = 0\n")
    s.sql("CREATE DATABASE app", "CREATE ROLE mon LOGIN",
          "GRANT pg_monitor TO mon")
    held = []
    try:
        while len(held) < 20:
            held.append(s.connect(user="mon"))
    except OSError:
        pass
    a = agent(case, s, user="mon")
    up(a, 0.0)
    wait_for("the reason", lambda: "connection" in a.log() and
             "reserved" in a.log() or "too many" in a.log())
    for c in held:
        c.close()
    up(a)
    need(len(s.backends()) <= 4, f"{s.backends()}")


def test_exclusive_lock(case):
    """an ALTER TABLE under way costs its own table, and no time"""
    s = server()
    s.sql("CREATE TABLE locked (a int PRIMARY KEY)", database="app")
    c = s.connect("app")
    c.autocommit = False
    c.cursor().execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
    try:
        a = agent(case, s, timeout="4s", interval="4s")
        up(a)
        equal(collector(a, "stat_user_tables"), 1.0)
        sizes = a.query("pg_stat_user_tables_table_size_bytes")
        names = {dict(k)["relname"] for k in sizes}
        need("t1" in names and "locked" not in names, f"{names}")
    finally:
        c.rollback()
        c.close()
        s.sql("DROP TABLE locked", database="app")


def test_slow_query(case):
    """a query past the deadline is canceled; no backend is left running"""
    s = server()
    path = case.write("q.yaml", """
sleepy: {query: SELECT pg_sleep(600) AS a, metrics: {a: {usage: DISCARD}}}
limited:
  query: SELECT pg_sleep(600) AS b
  timeout: 100ms
  metrics: {b: {usage: DISCARD}}
many:
  query: SELECT g FROM generate_series(1, 10000000) g
  metrics: {g: {usage: GAUGE}}
""")
    a = agent(case, s, timeout="3s", interval="3s", queries=path)
    up(a)
    ok = {dict(k)["namespace"]: v[1] for k, v in
          a.query("pg_custom_query_success").items()}
    equal(ok, {"sleepy": "0", "limited": "0", "many": "0"})
    equal(collector(a, "locks"), 1.0)
    a.stop()
    wait_for("no backend of ours", lambda: not s.backends())


def test_rights(case):
    """a bare role: what it may not is told by collector, the rest goes on"""
    s = server()
    a = agent(case, s, user="bare", collector_stat_statements="true",
              collector_buffercache_summary="true")
    up(a)
    equal(collector(a, "wal"), 0.0)
    for name in ("database", "settings", "stat_database", "stat_user_tables"):
        equal(collector(a, name), 1.0, name)
    equal(collector(a, "stat_statements"), 0.0)  # no extension
    wait_for("the reason", lambda: "permission denied" in a.log())
    asked = s.process.log().count("permission denied for function pg_ls_waldir")
    count = a.value("pg_exporter_scrapes_total")
    wait_for("more collections", lambda: (
        a.value("pg_exporter_scrapes_total") or 0) > count + 3)
    equal(s.process.log().count(
        "permission denied for function pg_ls_waldir"), asked,
        "it is asked again and again")


def test_sql_ascii(case):
    """names that are no UTF-8"""
    s = Server(case, encoding="SQL_ASCII")
    s.sql("CREATE DATABASE app")
    c = s.connect("app")
    c.set_client_encoding("SQL_ASCII")
    c.cursor().execute(b'CREATE TABLE "caf\xe9" (a int)')
    c.close()
    a = agent(case, s)
    up(a)
    tables = a.query("pg_stat_user_tables_n_live_tup")
    equal({dict(k)["relname"] for k in tables}, {"caf\ufffd"})


def test_stopped_server(case):
    """a server that is stopped (SIGSTOP) holds nothing up, and recovers"""
    s = Server(case)
    s.sql("CREATE DATABASE app")
    a = agent(case, s, interval="1s", timeout="1s")
    up(a)
    pids = [s.process.pid] + [int(p) for p in subprocess.run(
        ["pgrep", "-P", str(s.process.pid)], capture_output=True,
        text=True).stdout.split()]
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    try:
        up(a, 0.0)
    finally:
        for p in pids:
            os.kill(p, signal.SIGCONT)
    up(a)


def test_tls(case):
    """TLS: the certificate is verified when asked for; a server without TLS
    is refused when TLS is required"""
    s = Server(case)
    s.sql("CREATE DATABASE app")
    _, series, log = scrape(f"{s.address}", "user=postgres", "database=app",
                            "sslmode=require")
    equal(series["pg_up", ()], 0.0)
    need("SSL" in log, log)
    key, crt = s.data + "/server.key", s.data + "/server.crt"
    run_as_postgres(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                     "-days", "2", "-subj", "/CN=pg.example", "-addext",
                     "subjectAltName=DNS:pg.example", "-keyout", key, "-out",
                     crt])
    os.chmod(key, 0o600)
    s.configure("ssl = on\n")
    s.reload()
    _, series, _ = scrape(f"{s.address}", "user=postgres", "database=app",
                          "sslmode=require")
    equal(series["pg_up", ()], 1.0)
    shutil.copy(crt, case.path("ca.crt"))
    tls = f"{{ca_file: {case.path('ca.crt')}, server_name: %s}}"
    jobs = "".join(job(
        name, s.address, plugin="postgres", interval="500ms",
        options="{user: postgres, database: app}", tls_config=tls % server)
        for name, server in (("good", "pg.example"), ("bad", "other.example")))
    a = case.sonde("scrape_configs:\n" + jobs)
    wait_for("verified", lambda: a.value('pg_up{job="good"}') == 1.0)
    wait_for("refused", lambda: a.value('pg_up{job="bad"}') == 0.0)
    used = s.sql("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING "
                 "(pid) WHERE application_name = 'sonde' AND datname = 'app'")
    equal({r[0] for r in used}, {True})


def test_many_tables(case):
    """5,000 tables: all there, or capped with a count of the rest"""
    s = server()
    s.sql("CREATE DATABASE wide")
    s.sql("SET synchronous_commit = off; DO $$ BEGIN FOR i IN 1..5000 LOOP "
          "EXECUTE 'CREATE TABLE m' || i || ' (a int)'; END LOOP; END $$",
          "SET max_parallel_workers = 0", database="wide")
    try:
        for limit, want in (("5000", 5000), ("100", 100)):
            _, series, log = scrape(
                f"{s.address}", "user=postgres", "database=wide",
                f"max_tables={limit}", "--timeout=60s")
            tables = [k for k in series if k[0] ==
                      "pg_stat_user_tables_seq_scan" and
                      dict(k[1])["datname"] == "wide"]
            equal(len(tables), want, log)
            sizes = [k for k in series if k[0] ==
                     "pg_stat_user_tables_table_size_bytes" and
                     dict(k[1])["datname"] == "wide"]
            equal(len(sizes), want, log)
            left = {dict(k[1])["collector"]: v for k, v in series.items()
                    if k[0] == "pg_tables_omitted" and
                    dict(k[1])["datname"] == "wide"}
            equal(left, {} if want == 5000 else {
                "stat_user_tables": 4900.0, "statio_user_tables": 4900.0,
                "table_size": 4900.0})
    finally:
        s.sql("DROP DATABASE wide WITH (FORCE)")


def test_forms(case):
    """every way to write where the server is leads to it"""
    s = server()
    for address in (
            f"postgresql://postgres@127.0.0.1:{s.port}/app?sslmode=disable",
            f"postgres://postgres@localhost:{s.port}/app?"
            "statement_timeout=5000&binary_parameters=yes",
            f"postgresql://postgres@/app?host={s.dir}&port={s.port}",
            f"host={s.dir} port={s.port} user=postgres dbname=app",
            f"host=127.0.0.1 port={s.port} user='postgres' dbname=app "
            "search_path=public"):
        _, series, log = scrape(address)
        equal(series.get(("pg_up", ())), 1.0, log)
        names = {dict(k[1]).get("datname") for k in series
                 if k[0] == "pg_stat_user_tables_seq_scan"}
        need("app" in names, f"{address}: {names}")
    for address in (f"{s.dir}:{s.port}",
                    f"unix:{s.dir}/.s.PGSQL.{s.port}"):
        _, series, log = scrape(address, "user=postgres", "database=app")
        equal(series.get(("pg_up", ())), 1.0, log)
    modules = case.write("modules.yml", """
auth_modules:
  first: {type: userpass, userpass: {username: mon, password: right},
          options: {sslmode: disable}}
""")
    _, series, log = scrape(s.address, "database=app",
                            f"auth_modules={modules}", "auth_module=first")
    equal(series.get(("pg_up", ())), 1.0, log)
    passfile = case.write("pgpass", f"127.0.0.1:{s.port}:*:mon:right\n")
    os.chmod(passfile, 0o600)
    _, series, log = scrape(s.address, "database=app", "user=mon",
                            env={"PGPASSFILE": passfile})
    equal(series.get(("pg_up", ())), 1.0, log)


def test_exporter(case):
    """in the exporter's place: its variables, its pages, no password shown"""
    s = server()
    port = free_port()
    password = case.write("password", " right\n")
    env = dict(os.environ, DATA_SOURCE_USER="mon",
               DATA_SOURCE_PASS_FILE=password,
               DATA_SOURCE_URI=f"127.0.0.1:{s.port}/app?sslmode=disable")
    p = Process(case, [SONDE, "exporter", "postgres", "--no-collector.locks",
                       "--collector.postmaster",
                       f"--web.listen-address=127.0.0.1:{port}"], "exporter",
                env=env)
    url = f"http://127.0.0.1:{port}"
    wait_for("the page", lambda: get(url + "/metrics")[0] == 200)
    status, page = get(url + "/metrics")
    _, series = parse(page)
    names = {k[0]: v for k, v in series.items()}
    equal(names["pg_up"], 1.0, page[-500:] + p.log())
    need("pg_postmaster_start_time_seconds" in names, "a collector that is on")
    need("pg_locks_count" not in names, "a collector that is off")
    need("pg_database_size_bytes" in names, "what is slow too")
    equal({dict(k[1])["datname"] for k in series
           if k[0] == "pg_stat_user_tables_seq_scan"}, {"app"}, "tables")
    status, page = get(url + f"/probe?target={s.address}")
    equal(status, 200, page)
    equal({k[0]: v for k, v in parse(page)[1].items()}["pg_up"], 1.0, page)
    status, page = get(url + "/probe?target=10.255.255.1:5432")
    equal(status, 403, page)
    need("right" not in p.log(), "the password shows")


def test_snippet(case):
    """conf.d/postgres.yaml is loaded as it is shipped"""
    with open(os.path.join(SRC, "conf.d/postgres.yaml")) as f:
        path = case.write("postgres.yml", f.read())
    out = subprocess.run([SONDE, "check", "config", path], capture_output=True,
                         text=True, timeout=PATIENCE)
    equal(out.returncode, 0, out.stdout + out.stderr)


run(globals())
