# SPDX-License-Identifier: Apache-2.0
"""What the integration tests share: free ports, processes that end with the
test, a target whose answers a test scripts, the agent itself, the oracles,
and TAP output.

A test file is a list of functions; `run(globals())` runs all whose names
begin with test_, each with a fresh Case, and prints a TAP line for each.
A function that raises Skip is skipped (an oracle of a newer Debian is
missing), any other exception fails it.
"""
import gzip
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

BUILD = os.environ.get("SONDE_BUILD_DIR", ".")
SRC = os.environ.get("SONDE_SRC_DIR", ".")
SONDE = os.path.join(BUILD, "sonde")
STALE_BITS = 0x7FF0000000000002
# Long: the agent may run under a sanitizer on a busy machine.
PATIENCE = 60


class Skip(Exception):
    pass


def need(condition, message):
    if not condition:
        raise AssertionError(message)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}\n got: {got!r}\nwant: {want!r}")


def wait_for(what, probe, patience=PATIENCE):
    """Polls until probe() returns something true and returns that."""
    end = time.monotonic() + patience
    last = None
    while time.monotonic() < end:
        try:
            last = probe()
        except (OSError, urllib.error.URLError, ValueError, KeyError) as e:
            last = e
        else:
            if last:
                return last
        time.sleep(0.02)
    raise AssertionError(f"waited {patience} s for {what}; last: {last!r}")


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, data=None, headers=None, method=None, timeout=PATIENCE):
    """(status, body) of a request, whatever the status."""
    req = urllib.request.Request(url, data=data, headers=headers or {},
                                 method=method)
    try:
        with urllib.request.urlopen(req, timeout=timeout) as r:
            return r.status, r.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode("utf-8", "replace")


class Process:
    """A child that is killed when the case ends."""

    def __init__(self, case, argv, name, env=None, cwd=None, preexec=None):
        self.name = name
        self.log_path = os.path.join(case.dir, f"{name}-{len(case.processes)}.log")
        self.log_file = open(self.log_path, "wb")
        self.popen = subprocess.Popen(argv, stdout=self.log_file,
                                      stderr=subprocess.STDOUT, env=env,
                                      cwd=cwd, preexec_fn=preexec,
                                      stdin=subprocess.DEVNULL)
        case.processes.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def alive(self):
        return self.popen.poll() is None

    def kill(self, sig=signal.SIGKILL):
        if self.alive():
            self.popen.send_signal(sig)
        return self.popen.wait(PATIENCE)

    def stop(self):
        return self.kill(signal.SIGTERM)


class Target:
    """An HTTP server whose answer is `handle(path) -> (status, headers,
    body)` or a plain body in `self.body`; counts requests."""

    def __init__(self, case, body=b"", handle=None):
        self.body = body
        self.content_type = "text/plain; version=0.0.4"
        self.hits = 0
        self.served = []
        self.connections = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                outer.connections.append(self.connection)

            def do_GET(self):
                outer.hits += 1
                if handle:
                    handle(self)
                    return
                body = outer.body() if callable(outer.body) else outer.body
                if isinstance(body, str):
                    body = body.encode()
                outer.served.append(body)
                self.send_response(200)
                self.send_header("Content-Type", outer.content_type)
                if "gzip" in self.headers.get("Accept-Encoding", ""):
                    body = gzip.compress(body, 1)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a scraper that goes away is part of the tests

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        case.cleanups.append(self.close)

    def close(self):
        """Stops listening and hangs up on those who are kept alive."""
        self.server.shutdown()
        self.server.server_close()
        for c in self.connections:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Sonde(Process):
    """The agent with a configuration text, in the case's folder."""

    def __init__(self, case, config, *flags, data="data", port=None,
                 wait=True, env=None, preexec=None, name="sonde"):
        self.case = case
        self.config = case.write("sonde.yml", config)
        self.data = os.path.join(case.dir, data)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        argv = [SONDE, f"--config.file={self.config}",
                f"--storage.tsdb.path={self.data}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-lifecycle", *flags]
        super().__init__(case, argv, name, env=env, preexec=preexec)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            if not self.alive():
                raise AssertionError("sonde ended:\n" + self.log()[-3000:])
            return get(self.url + "/-/ready")[0] == 200
        wait_for("sonde to be ready", ready)
        return self

    def api(self, path, **params):
        query = urllib.parse.urlencode(params, doseq=True)
        status, body = get(f"{self.url}/api/v1/{path}" +
                           (f"?{query}" if query else ""))
        doc = json.loads(body)
        need(doc["status"] == "success", f"{path} {params}: {status} {body}")
        return doc["data"]

    def query(self, text, at=None):
        """{labels as a sorted tuple: (time, value text)} of a selector."""
        params = {"query": text}
        if at is not None:
            params["time"] = at
        result = self.api("query", **params)["result"]
        return {tuple(sorted(r["metric"].items())):
                (r["value"][0], r["value"][1]) for r in result}

    def value(self, text, at=None):
        """The one value of a selector, or None."""
        result = list(self.query(text, at).values())
        need(len(result) <= 1, f"{text}: {result}")
        return float(result[0][1]) if result else None

    def targets(self):
        return self.api("targets")["activeTargets"]

    def target(self, job):
        found = [t for t in self.targets() if t["scrapePool"] == job]
        return found[0] if found else None

    def wait_health(self, job, health):
        return wait_for(f"target of {job} to be {health}", lambda: (
            lambda t: t if t and t["health"] == health else None
        )(self.target(job)))

    def reload(self, config=None):
        if config is not None:
            self.case.write("sonde.yml", config)
        return get(self.url + "/-/reload", method="POST")

    def metric(self, name):
        """A self-metric's value by its full text up to the blank."""
        for line in get(self.url + "/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return None


class Prometheus(Process):
    def __init__(self, case, config="global: {}\n", *flags, binary=None,
                 data=None, wait=True, port=None):
        binary = binary or shutil.which("prometheus")
        need(binary, "the Debian package prometheus is not installed")
        n = len(case.processes)
        self.config = case.write(f"prometheus-{n}.yml", config)
        self.data = data or os.path.join(case.dir, f"prometheus-{n}")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(case, [
            binary, f"--config.file={self.config}",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle", *flags], "prometheus")
        if wait:
            wait_for("Prometheus to be ready",
                     lambda: get(self.url + "/-/ready")[0] == 200)

    def query(self, text, at):
        q = urllib.parse.urlencode({"query": text, "time": at})
        doc = json.loads(get(f"{self.url}/api/v1/query?{q}")[1])
        need(doc["status"] == "success", f"{text}: {doc}")
        return doc["data"]["result"]


def series_key(metric):
    return tuple(sorted(metric.items()))


def promtool_dump(data, tool=None):
    """{labels: [(ms, value text)]} of a data directory, by promtool."""
    tool = tool or shutil.which("promtool")
    need(tool, "the Debian package prometheus (promtool) is not installed")
    return parse_dump([tool, "tsdb", "dump", data])


def parse_dump(command):
    """What a command that dumps a directory prints, sorted by time."""
    out = subprocess.run(command, capture_output=True, text=True,
                         timeout=PATIENCE * 4)
    need(out.returncode == 0, f"{command}: {out.stderr[-2000:]}")
    dump = {}
    for line in out.stdout.splitlines():
        m = re.match(r'^(\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\}) (.+) (-?\d+)$',
                     line)
        need(m, f"{command[0]} printed: {line!r}")
        labels = series_key(dict(
            (k, json.loads(f'"{v}"')) for k, v in
            re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m.group(1))))
        dump.setdefault(labels, []).append((int(m.group(3)), m.group(2)))
    for samples in dump.values():
        samples.sort(key=lambda s: s[0])
    return dump


def equal_dumps(got, want, what):
    """Fails with the first difference, not with all of both."""
    equal(sorted(set(got) ^ set(want))[:3], [], f"{what}: series of one only")
    for labels, samples in want.items():
        if got[labels] == samples:
            continue
        a, b = dict(got[labels]), dict(samples)
        t = min(t for t in a.keys() | b.keys() if a.get(t) != b.get(t)) \
            if a != b else None
        equal((t, a.get(t), len(got[labels])), (t, b.get(t), len(samples)),
              f"{what}: {labels}: time, value there, samples in all")


def newest_folder(package):
    """The folder of the programs of a package of Debian sid, unpacked beside
    the system (its files are in ../root); Skip if there is none."""
    tool = os.path.join(SRC, "tests/tools/newer-debian")
    out = subprocess.run([tool, "sid", package], capture_output=True,
                         text=True)
    if out.returncode != 0:
        raise Skip(f"{package} of Debian sid: {out.stderr.strip()[-200:]}")
    return out.stdout.strip()


def newest(program, package=None):
    """A program of Debian sid; Skip if there is none."""
    package = package or {"promtool": "prometheus"}.get(program, program)
    path = os.path.join(newest_folder(package), program)
    if not os.path.exists(path):
        raise Skip(f"{program} of Debian sid is not there")
    return path


class Case:
    def __init__(self, name):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="sonde-it-")
        self.processes = []
        self.cleanups = []

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        tmp = path + ".new"
        with open(tmp, "w") as f:
            f.write(text)
        os.rename(tmp, path)
        return path

    def copy(self, source, name):
        dest = self.path(name)
        shutil.copytree(source, dest, symlinks=True)
        return dest

    def sonde(self, config, *flags, **kw):
        return Sonde(self, config, *flags, **kw)

    def prometheus(self, *args, **kw):
        return Prometheus(self, *args, **kw)

    def target(self, body=b"", handle=None):
        return Target(self, body, handle)

    def close(self, failed):
        for p in self.processes:
            p.kill()
            if failed:
                print(f"# --- log of {p.name}")
                for line in p.log().splitlines()[-40:]:
                    print("# " + line[:400])
            for report in re.findall(
                    r"(?:ERROR|WARNING): (?:Address|Leak|Thread)Sanitizer.*|"
                    r"runtime error:.*",
                    p.log()):
                print(f"# {p.name}: {report}")
                failed = True
        for cleanup in reversed(self.cleanups):
            cleanup()
        shutil.rmtree(self.dir, ignore_errors=True)
        return failed


def job(name, *targets, interval="1s", **keys):
    """A scrape_config as YAML text; further keys are given as YAML values."""
    lines = [f"  - job_name: {name}", f"    scrape_interval: {interval}",
             f"    scrape_timeout: {keys.pop('timeout', interval)}"]
    lines += [f"    {k}: {v}" for k, v in keys.items()]
    if targets:
        lines += ["    static_configs:",
                  "      - targets: [" +
                  ", ".join(f'"{t}"' for t in targets) + "]"]
    return "\n".join(lines) + "\n"


def config(*jobs, rest=""):
    return "scrape_configs:\n" + "".join(jobs) + rest


def run(namespace):
    tests = [(n, f) for n, f in namespace.items() if n.startswith("test_")]
    only = sys.argv[1:]
    print(f"1..{len(tests)}", flush=True)
    failures = 0
    for i, (name, function) in enumerate(tests, 1):
        title = (function.__doc__ or name).strip().splitlines()[0]
        if only and name not in only:
            print(f"ok {i} - {title} # SKIP not asked for", flush=True)
            continue
        case = Case(name)
        failed, skip = False, None
        try:
            function(case)
        except Skip as e:
            skip = str(e)
        except BaseException:
            failed = True
            for line in traceback.format_exc().splitlines():
                print("# " + line)
        failed = case.close(failed)
        failures += failed
        print(f"{'not ok' if failed else 'ok'} {i} - {title}" +
              (f" # SKIP {skip}" if skip and not failed else ""), flush=True)
    sys.exit(1 if failures else 0)
