#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sonde exporter NAME` beside the exporter it replaces, on the same server:
the same arguments, the same variables, one Prometheus that scrapes both."""
import glob
import subprocess
import time

from harness import *
from nginx_server import Nginx, SITE
from redis_servers import start_redis

PROGRAM = os.path.abspath(SONDE)
# Of a Go process, and what each exporter says of itself.
NOT_COMPARED = re.compile(
    r"^(go_|process_network_|scrape_|up$|promhttp_metric_handler_errors|"
    r".*exporter_build_info$|.*_exporter_.*error|pg_exporter_)")


def peer(program):
    path = shutil.which(program)
    need(path, f"{program} is not installed")
    return path


class Exporter(Process):
    def __init__(self, case, argv, name, flag, env=None, health="/"):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        full = dict(os.environ, **(env or {}))
        super().__init__(case, [*argv, *flag(self.port)], name, env=full)
        wait_for(name, lambda: get(self.url + health)[0])


def both(case, theirs, name, args, env=None, flag=None):
    """The peer and ours with the same arguments and variables."""
    flag = flag or (lambda port: [f"--web.listen-address=127.0.0.1:{port}"])
    return (Exporter(case, [peer(theirs), *args], theirs, flag, env),
            Exporter(case, [PROGRAM, "exporter", name, *args],
                     f"sonde exporter {name}", flag, env, "/health"))


def families(body):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)", body, re.M))


def seen_by_prometheus(case, exporters):
    """{job: {metric name}} once all are up and seen."""
    p = case.prometheus("global: {scrape_interval: 1s}\nscrape_configs:\n" +
                        "".join(job(n, f"127.0.0.1:{e.port}")
                                for n, e in exporters.items()))

    def names(of):
        result = p.query('count by (__name__) ({job="%s"})' % of, time.time())
        return {r["metric"]["__name__"] for r in result}
    for of in exporters:
        wait_for(f"{of} to be up", lambda: [
            r for r in p.query('up{job="%s"}' % of, time.time())
            if r["value"][1] == "1"])
        wait_for(f"samples of {of}", lambda: len(names(of)) > 8)
    return {of: {n for n in names(of) if not NOT_COMPARED.match(n)}
            for of in exporters}


def compare(case, theirs, ours, known="$."):
    """What is missing here, or has another type; `known`: what an old
    exporter has and newer ones do not, an expression."""
    known = re.compile(known)
    a, b = (families(get(e.url + "/metrics")[1]) for e in (theirs, ours))
    wrong = [f"{n}: {t} there, {b.get(n)} here" for n, t in a.items()
             if not NOT_COMPARED.match(n) and b.get(n) != t and
             not known.match(n)]
    equal(wrong, [], "families")
    seen = seen_by_prometheus(case, {"theirs": theirs, "ours": ours})
    equal(sorted(n for n in seen["theirs"] - seen["ours"]
                 if not known.match(n)), [], "not seen by Prometheus")
    equal(ours.stop(), 0, ours.log()[-2000:])


def test_redis(case):
    """redis_exporter's arguments and variables"""
    port = start_redis(case, "--requirepass", "geheim").port
    with socket.create_connection(("127.0.0.1", port), 5) as c:
        c.sendall(b"AUTH geheim\r\nSET a 1\r\nSET b 2\r\n")
        need(c.recv(100), "Redis does not answer")
    theirs, ours = both(case, "prometheus-redis-exporter", "redis",
                        ["-redis.addr", f"redis://127.0.0.1:{port}",
                         "--check-single-keys=a,b", "-namespace", "redis"],
                        {"REDIS_PASSWORD": "geheim",
                         "REDIS_EXPORTER_INCL_SYSTEM_METRICS": "true"})
    for e in (theirs, ours):
        body = get(e.url + f"/scrape?target=redis://127.0.0.1:{port}")[1]
        need("\nredis_up 1\n" in body, body[:500])
        equal(get(e.url + "/scrape")[0], 400)
        need("\nredis_target_scrape_request_errors_total 1\n" in
             get(e.url + "/metrics")[1], "the counter of bad requests")
    # Newer exporters put this one right.
    compare(case, theirs, ours, "redis_expired_time_cap_reached_total$")


def test_redis_down(case):
    """A Redis that is down: 200 and redis_up 0 from both"""
    port = free_port()
    for e in both(case, "prometheus-redis-exporter", "redis",
                  ["-redis.addr", f"127.0.0.1:{port}"]):
        status, body = get(e.url + "/metrics")
        equal(status, 200)
        need("\nredis_up 0\n" in body, body[:300])


def test_redis_targets(case):
    """What /scrape reaches is limited; --allow opens it"""
    one, two = start_redis(case).port, start_redis(case).port
    flag = (lambda port: [f"--web.listen-address=127.0.0.1:{port}"])
    argv = [PROGRAM, "exporter", "redis", "--redis.addr=",
            "--redis.password=geheim"]
    shut = Exporter(case, argv, "shut", flag, health="/health")
    equal(get(shut.url + f"/scrape?target=127.0.0.1:{one}")[0], 403)
    open_ = Exporter(case, argv[:-1] + ["--allow=127.0.0.0/8"], "open", flag,
                     health="/health")
    for port in (one, two):
        status, body = get(open_.url + f"/scrape?target=redis://127.0.0.1:"
                           f"{port}&check-single-keys=k")
        equal(status, 200)
        need("\nredis_up 1\n" in body, body[:300])
    need("\nredis_up" not in get(open_.url + "/metrics")[1], "no target")
    for e in (shut, open_):
        equal(e.stop(), 0)


def test_nginx(case):
    """nginx-prometheus-exporter's arguments and variables"""
    port = free_port()
    Nginx(case, SITE % {"listen": f"127.0.0.1:{port}", "server": ""})
    uri = f"http://127.0.0.1:{port}/stub_status"
    theirs, ours = both(case, "prometheus-nginx-exporter", "nginx",
                        [f"-nginx.scrape-uri={uri}"])
    compare(case, theirs, ours)


def test_nginx_several(case):
    """Several nginx: each series has its URI in addr"""
    ports = [free_port(), free_port()]
    for p in ports:
        Nginx(case, SITE % {"listen": f"127.0.0.1:{p}", "server": ""})
    uris = [f"http://127.0.0.1:{p}/stub_status" for p in ports]
    flag = (lambda port: [f"--web.listen-address=127.0.0.1:{port}"])
    e = Exporter(case, [PROGRAM, "exporter", "nginx"] +
                 [f"--nginx.scrape-uri={u}" for u in uris] +
                 ["--prometheus.const-label=env=test"], "several", flag,
                 health="/health")
    body = get(e.url + "/metrics")[1]
    for u in uris:
        need(f'nginx_up{{addr="{u}",env="test"}} 1\n' in body, body[:600])
    equal(len(re.findall("^# TYPE nginx_up ", body, re.M)), 1)
    equal(e.stop(), 0)


class Postgres:
    """A server of its own, as the user postgres when we are root."""

    def __init__(self, case):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        need(found, "PostgreSQL is not installed")
        folder = os.path.dirname(found[-1])
        self.port = free_port()
        data = case.path("pg")
        run = []
        os.chmod(case.dir, 0o755)
        os.mkdir(data, 0o700)
        if os.geteuid() == 0:
            run = ["setpriv", "--reuid=postgres", "--regid=postgres",
                   "--clear-groups"]
            shutil.chown(data, "postgres", "postgres")
        pw = case.write("pw", "geheim\n")
        os.chmod(pw, 0o644)
        subprocess.run([*run, f"{folder}/initdb", "-D", data, "-U", "monitor",
                        "-A", "scram-sha-256", "--pwfile", pw, "-N"],
                       check=True, capture_output=True)
        Process(case, [*run, f"{folder}/postgres", "-D", data, "-p",
                       str(self.port), "-k", "", "-c", "fsync=off",
                       "-c", "listen_addresses=127.0.0.1"], "postgres")
        env = dict(os.environ, PGPASSWORD="geheim")
        wait_for("PostgreSQL", lambda: subprocess.run(
            [f"{folder}/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U",
             "monitor", "-c", "select 1", "postgres"], env=env,
            capture_output=True).returncode == 0)


def test_postgres(case):
    """postgres_exporter's variables, and /probe"""
    server = Postgres(case)
    theirs, ours = both(
        case, "prometheus-postgres-exporter", "postgres",
        ["--web.telemetry-path", "/metrics", "--log.level=info"],
        {"DATA_SOURCE_URI": f"127.0.0.1:{server.port}/postgres"
                            "?sslmode=disable",
         "DATA_SOURCE_USER": "monitor", "DATA_SOURCE_PASS": "geheim"})
    wait_for("pg_up", lambda: "\npg_up" in get(ours.url + "/metrics")[1])
    need(re.search(r"^pg_up\S* 1$", get(ours.url + "/metrics")[1], re.M),
         ours.log())
    equal(get(ours.url + "/probe")[0], 400)
    equal(get(ours.url + "/probe?target=127.0.0.1:1")[0], 403)
    equal(get(ours.url + "/probe?target=" + urllib.parse.quote(
        f"postgresql://127.0.0.1:{server.port}/postgres?host=127.0.0.2"))[0],
        400)
    equal(get(ours.url + f"/probe?target=127.0.0.1:{server.port}"
              "&auth_module=nobody")[0], 400)
    status, body = get(ours.url + f"/probe?target=127.0.0.1:{server.port}")
    equal(status, 200, body)
    need("geheim" not in body + get(ours.url + "/metrics")[1] + ours.log(),
         "the password shows")
    # Columns that the queries of 0.11 had by the way.
    compare(case, theirs, ours,
            r"pg_stat_archiver_last_archive_age$|pg_stat_database_(active_time|"
            r"checksum_|idle_in_transaction_time|session)")


def test_celery(case):
    """celery-exporter's arguments; /health tells of the broker"""
    port = start_redis(case).port
    e = Exporter(case, [PROGRAM, "exporter", "celery",
                        f"--broker-url=redis://127.0.0.1:{port}/0",
                        "--metric-prefix=celery_"], "celery",
                 lambda p: ["--host=127.0.0.1", f"--port={p}"])
    wait_for("the broker", lambda: get(e.url + "/health")[0] == 200)
    need(re.search(r"^celery_up\S* 1$", get(e.url + "/metrics")[1], re.M),
         get(e.url + "/metrics")[1][:500])
    case.processes[0].kill()
    wait_for("it to be missed", lambda: get(e.url + "/health")[0] == 500)
    equal(get(e.url + "/metrics")[0], 200)
    equal(e.stop(), 0, e.log()[-2000:])


run(globals())
