#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what one scrape of an exporter costs.

Starts the real server (Redis, PostgreSQL, nginx, a Redis as Celery's broker),
and beside each other on it: `sonde exporter NAME`, Debian's exporter and the
newest one. They are asked for their page in turn, a burst each, several
rounds, so that the machine's noise falls on all of them alike. Prints by
scrape the exporter's processor time, the server's processor time, the median
latency, the size of the page, and resident memory; and the ratios to sonde.

Then one agent runs with all plugins on these servers and its idle memory is
printed.

A peer that is not there is said and left out; with `--fetch` it is unpacked
from Debian sid. Only sonde missing or not working is a failure. Everything
runs on one machine, so only the ratios mean something elsewhere.
"""

import argparse
import json
import os
import pathlib
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import http.client
import urllib.error

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import scrape_bench as bench  # noqa: E402


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--burst", type=int, default=60, help="scrapes in a row")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--idle", type=int, default=30,
                   help="seconds that the agent with all plugins idles")
    p.add_argument("--only", default="redis,postgres,nginx,celery,idle")
    p.add_argument("--build-dir", type=pathlib.Path,
                   default=os.environ.get("SONDE_BUILD_DIR", "."))
    p.add_argument("--peers", type=pathlib.Path,
                   default=pathlib.Path(tempfile.gettempdir())
                   / "newer-debian" / "sid" / "run")
    p.add_argument("--fetch", action="store_true",
                   help="unpack peers that are not there from Debian sid")
    p.add_argument("--json", type=pathlib.Path, help="also write results here")
    p.add_argument("--keep", action="store_true", help="keep data and logs")
    return p.parse_args()


# ---- servers -----------------------------------------------------------------

def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            found += (task / "children").read_text().split()
        except OSError:
            pass
    return [int(c) for c in found]


def tree_cpu(pid):
    """Of a process, its children that live and those that have ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        below = children(pid)
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    ticks = sum(int(f) for f in fields[11:15])
    return ticks / bench.TICKS + sum(tree_cpu(c) for c in below)


class Server:
    """A real server in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder / type(self).__name__.lower()
        self.folder.mkdir(parents=True)
        self.port = bench.free_port_range(1)
        self.process = None

    def spawn(self, argv, **more):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, cwd=self.folder, **more)
        log.close()

    def await_port(self, ready):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise bench.Failed(f"{type(self).__name__} does not start:\n"
                           + (self.folder / "log").read_text()[-2000:])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Redis(Server):
    """With keys in some databases and commands in its statistics."""

    def start(self):
        self.spawn(["redis-server", "--port", self.port, "--bind",
                    "127.0.0.1", "--save", "", "--dir", self.folder,
                    "--latency-monitor-threshold", "1"])
        self.await_port(lambda: self.cli("PING") == "PONG")
        for db in range(4):
            self.cli("-n", db, "DEBUG", "POPULATE", 1000)
        for command in (["HSET", "h", "a", 1], ["LPUSH", "l", 1],
                        ["ZADD", "z", 1, "a"], ["SADD", "s", 1],
                        ["GET", "key:1"], ["LRANGE", "key:1", 0, 1],
                        ["SCAN", 0], ["EXPIRE", "h", 100000]):
            self.cli(*command)

    def cli(self, *args):
        r = subprocess.run(["redis-cli", "-p", str(self.port),
                            *map(str, args)], capture_output=True, text=True)
        return r.stdout.strip()

    def address(self):
        return f"redis://127.0.0.1:{self.port}"


class Celery(Redis):
    """A broker with a queue and messages in it, and no worker."""

    def start(self):
        super().start()
        self.cli("SADD", "_kombu.binding.celery",
                 "celery\x06\x16\x06\x16celery")
        for _ in range(100):
            self.cli("LPUSH", "celery", "{}")

    def address(self):
        return f"redis://127.0.0.1:{self.port}/0"


class Postgres(Server):
    """Two databases with some tables, as its own user when we are root."""

    def start(self):
        self.user = None
        if os.geteuid() == 0:
            self.user = pwd.getpwnam("postgres")
            for d in [self.folder, *self.folder.parents][:2]:
                os.chmod(d, 0o755)
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        data = self.folder / "data"
        self.run([self.bin / "initdb", "-D", data, "-A", "trust", "-U",
                  "postgres", "-N"])
        self.spawn([self.bin / "postgres", "-D", data, "-p", self.port, "-c",
                    "listen_addresses=127.0.0.1", "-c",
                    f"unix_socket_directories={self.folder}", "-c",
                    "fsync=off", "-c", "autovacuum=off"], **self.who())
        self.await_port(lambda: self.sql("postgres", "SELECT 1"))
        self.sql("postgres", "CREATE DATABASE shop")
        for db in ("postgres", "shop"):
            self.sql(db, "".join(
                f"CREATE TABLE t{i} (id int PRIMARY KEY, name text);"
                f"INSERT INTO t{i} SELECT g, 'x' FROM "
                f"generate_series(1, 200) g;" for i in range(20)))

    def who(self):
        if not self.user:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid,
                "extra_groups": []}

    def run(self, argv):
        subprocess.run([str(a) for a in argv], check=True,
                       stdout=subprocess.DEVNULL, cwd=self.folder,
                       **self.who())

    def sql(self, db, text):
        r = subprocess.run(
            ["psql", "-qAt", "-h", "127.0.0.1", "-p", str(self.port), "-U",
             "postgres", db], input=text, text=True, capture_output=True)
        return r.returncode == 0

    def address(self):
        return (f"postgresql://postgres:x@127.0.0.1:{self.port}/postgres"
                f"?sslmode=disable")


class Nginx(Server):
    """With a page of metrics and one of health, for the plugin fastapi."""

    def start(self):
        (self.folder / "nginx.conf").write_text(
            f"daemon off; pid {self.folder}/pid; error_log {self.folder}/err;"
            f"worker_processes 1; events {{}} http {{ access_log off;"
            f"client_body_temp_path {self.folder}/b;"
            f"proxy_temp_path {self.folder}/p;"
            f"fastcgi_temp_path {self.folder}/f;"
            f"uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;"
            f"server {{ listen 127.0.0.1:{self.port};"
            f"location /stub_status {{ stub_status; }}"
            f"location /health {{ default_type text/plain; return 200 ok; }}"
            f"location /metrics {{ default_type text/plain;"
            f'return 200 "app_requests_total 1\\n"; }} }} }}')
        self.spawn(["nginx", "-p", self.folder, "-c",
                    self.folder / "nginx.conf"])
        self.await_port(lambda: bench.get(self.address()))

    def address(self):
        return f"http://127.0.0.1:{self.port}/stub_status"


# ---- exporters ---------------------------------------------------------------

class Exporter:
    """A process with a page, asked over one kept connection."""

    def __init__(self, name, argv, port, folder, env=None):
        self.name = name
        self.port = port
        self.latencies = []
        self.cpu = self.server_cpu = 0.0
        self.scrapes = 0
        self.page = b""
        log = open(folder / f"{name}.log", "wb")
        self.log = folder / f"{name}.log"
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, cwd=folder,
            env={**os.environ, **(env or {})})
        log.close()
        self.connection = None

    def scrape(self):
        if not self.connection:
            self.connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=20)
        try:
            began = time.perf_counter()
            self.connection.request("GET", "/metrics")
            answer = self.connection.getresponse()
            self.page = answer.read()
            took = time.perf_counter() - began
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise
        if answer.status != 200:
            raise bench.Failed(f"{self.name}: HTTP status {answer.status}: "
                               f"{self.page[:300]!r}")
        return took

    def await_up(self, family):
        deadline = time.monotonic() + 20
        last = ""
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.scrape()
                if f"\n{family} 1\n".encode() in b"\n" + self.page:
                    return
                last = self.page[:500].decode(errors="replace")
            except (OSError, bench.Failed, http.client.HTTPException) as e:
                last = str(e)
            time.sleep(0.1)
        raise bench.Failed(f"{self.name} is not up: {last}\n"
                           + self.log.read_text(errors="replace")[-1500:])

    def burst(self, count, server):
        cpu = bench.cpu_seconds(self.process.pid)
        server_cpu = tree_cpu(server.process.pid)
        for _ in range(count):
            self.latencies.append(self.scrape())
        self.cpu += bench.cpu_seconds(self.process.pid) - cpu
        self.server_cpu += tree_cpu(server.process.pid) - server_cpu
        self.scrapes += count

    def result(self):
        return {"name": self.name,
                "cpu_ms": self.cpu / self.scrapes * 1e3,
                "server_cpu_ms": self.server_cpu / self.scrapes * 1e3,
                "latency_ms": statistics.median(self.latencies) * 1e3,
                "page_bytes": len(self.page),
                "series": sum(1 for line in self.page.split(b"\n")
                              if line and not line.startswith(b"#")),
                "rss": bench.memory_bytes(self.process.pid, "VmRSS")}

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


#: server, the family that is 1 when it is up, the peers' package, and the
#: flags of each (the same for sonde, whose flags they are).
KINDS = {
    "redis": (Redis, "redis_up", "prometheus-redis-exporter",
              lambda s: [f"--redis.addr={s.address()}"], {}),
    "postgres": (Postgres, "pg_up", "prometheus-postgres-exporter",
                 lambda s: [],
                 {"DATA_SOURCE_NAME": lambda s: s.address()}),
    "nginx": (Nginx, "nginx_up", "prometheus-nginx-exporter",
              lambda s: [f"--nginx.scrape-uri={s.address()}"], {}),
    "celery": (Celery, "celery_up", None,
               lambda s: [f"--broker-url={s.address()}", "-Q", "celery"], {}),
}


def peer_programs(package, options):
    """(label, program) of Debian's and the newest."""
    if not package:
        return []
    found = []
    here = shutil.which(package)
    if here:
        found.append(("debian", here))
    else:
        print(f"# {package} is not installed")
    newest = bench.find_program(package, options)
    if newest:
        found.append(("newest", newest))
    return found


def start_exporters(kind, server, options, folder):
    _, _, package, flags, env = KINDS[kind]
    env = {k: v(server) for k, v in env.items()}
    plan = [("sonde", [options.build_dir.resolve() / "sonde", "exporter",
                       kind])]
    plan += [(label, [program])
             for label, program in peer_programs(package, options)]
    started = []
    for label, argv in plan:
        port = bench.free_port_range(1)
        listen = ([f"--host=127.0.0.1", f"--port={port}"] if kind == "celery"
                  else [f"--web.listen-address=127.0.0.1:{port}"])
        started.append(Exporter(label, argv + flags(server) + listen, port,
                                folder, env))
    return started


def compare(kind, options, folder):
    server = KINDS[kind][0](folder)
    exporters = []
    try:
        server.start()
        exporters = start_exporters(kind, server, options, server.folder)
        for e in exporters:
            try:
                e.await_up(KINDS[kind][1])
            except bench.Failed as failure:
                if e.name == "sonde":
                    raise
                print(f"# {failure}")
                e.stop()
        exporters = [e for e in exporters if e.process.poll() is None]
        for _ in range(options.rounds):
            for e in exporters:
                e.burst(options.burst, server)
        return [e.result() for e in exporters]
    finally:
        for e in exporters:
            e.stop()
        server.stop()


def print_table(kind, results):
    base = results[0]
    print(f"\n{kind}, by scrape:\n{'':10}{'series':>8}{'CPU ms':>16}"
          f"{'server CPU ms':>18}{'latency ms':>18}{'RSS MiB':>18}")
    for r in results:
        row = f"{r['name']:10}{r['series']:8}"
        for key, scale, digits in (("cpu_ms", 1, 2), ("server_cpu_ms", 1, 2),
                                   ("latency_ms", 1, 2),
                                   ("rss", 1 << 20, 1)):
            row += (f"{r[key] / scale:9.{digits}f} "
                    + bench.ratio(r[key], base[key]) + "  ")
        print(row, flush=True)


# ---- all plugins in one agent --------------------------------------------------

def jobs_of(servers):
    """A scrape_config for each, as a person would write it."""
    redis, postgres, nginx, celery = servers
    targets = {
        "redis": f"127.0.0.1:{redis.port}",
        "postgres": postgres.address(),
        "nginx": f"127.0.0.1:{nginx.port}",
        "celery": celery.address(),
        "fastapi": f"127.0.0.1:{nginx.port}",
    }
    text = "global: {scrape_interval: 15s}\nscrape_configs:\n"
    for plugin, target in targets.items():
        text += (f"  - job_name: {plugin}\n    plugin: {plugin}\n"
                 f"    static_configs: [{{targets: ['{target}']}}]\n")
    return text


def idle(options, folder):
    servers = []
    agent = None
    try:
        for kind in (Redis, Postgres, Nginx, Celery):
            servers.append(kind(folder / "idle"))
            servers[-1].start()
        config = folder / "sonde.yml"
        config.write_text(jobs_of(servers))
        port = bench.free_port_range(1)
        log = open(folder / "agent.log", "wb")
        agent = subprocess.Popen(
            [str(options.build_dir.resolve() / "sonde"),
             f"--config.file={config}",
             f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        time.sleep(options.idle)
        page = json.loads(bench.get(
            f"http://127.0.0.1:{port}/api/v1/targets"))
        states = {t["scrapePool"]: t["health"]
                  for t in page["data"]["activeTargets"]}
        down = [k for k, state in states.items() if state != "up"]
        if down:
            raise bench.Failed(f"not up: {', '.join(down)}")
        rss = bench.memory_bytes(agent.pid, "VmRSS")
        print(f"\nagent with all plugins, idle for {options.idle} s: "
              f"{rss / (1 << 20):.1f} MiB resident, peak "
              f"{bench.memory_bytes(agent.pid, 'VmHWM') / (1 << 20):.1f} MiB; "
              f"all up: {', '.join(sorted(states))}")
        return rss
    finally:
        if agent:
            agent.terminate()
            agent.wait()
        for s in servers:
            s.stop()


def main():
    options = arguments()
    if not (options.build_dir / "sonde").exists():
        sys.exit(f"no {options.build_dir}/sonde: run make first")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-exporters-"))
    os.chmod(folder, 0o755)
    results = {}
    try:
        for kind in options.only.split(","):
            if kind == "idle":
                results["idle_rss"] = idle(options, folder)
                continue
            results[kind] = compare(kind, options, folder)
            print_table(kind, results[kind])
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    except (bench.Failed, urllib.error.URLError) as e:
        sys.exit(f"exporter_bench: {e}")
    finally:
        if options.keep:
            print(f"# kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
