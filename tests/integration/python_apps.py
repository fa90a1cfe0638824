# SPDX-License-Identifier: Apache-2.0
"""FastAPI, Django and Flask with several workers, started for real under
gunicorn and uvicorn: what is read from their multiprocess files is, to the
sample, what the library reads, and what was asked of them."""
import glob
import http.client
import math
import signal
import sqlite3
import subprocess
import threading

from harness import *

APPS = os.path.join(SRC, "tests/integration/pyapps")
PYTHON = "/usr/bin/python3"


def packages(case, **newer):
    """A folder for PYTHONPATH: the apps, and packages of Debian sid, as
    NAME=PACKAGE. Pure Python runs with the system's interpreter."""
    folder = case.path("packages")
    os.makedirs(folder, exist_ok=True)
    for name, package in newer.items():
        source = os.path.join(newest_folder(package), "..", "root",
                              "usr/lib/python3/dist-packages", name)
        if not os.path.isdir(source):
            raise Skip(f"{package} of Debian sid is not there")
        os.symlink(source, os.path.join(folder, name))
        for info in glob.glob(source + "*-info"):
            os.symlink(info, os.path.join(folder, os.path.basename(info)))
    return f"{folder}:{APPS}"


class App:
    """A server with workers; its folder of metrics is `dir`."""

    def __init__(self, case, kind, app, workers=4, path=None, **settings):
        self.case = case
        self.port = free_port()
        self.dir = case.path(f"metrics-{len(case.processes)}")
        os.makedirs(self.dir)
        self.env = dict(os.environ, PYTHONPATH=path or packages(case),
                        PROMETHEUS_MULTIPROC_DIR=self.dir,
                        PYTHONDONTWRITEBYTECODE="1",
                        APP_DATABASE=case.path("app.db"))
        self.sent = 0
        # A group of its own: workers outlive a master that is killed.
        self.process = Process(case, self.command(kind, app, workers,
                                                  settings),
                               kind, env=self.env, cwd=APPS,
                               preexec=os.setsid)
        case.cleanups.append(self.end)
        wait_for("the app", lambda: self.get("/items/1") == 200)

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def command(self, kind, app, workers, settings):
        at = f"127.0.0.1:{self.port}"
        if kind == "uvicorn":
            return [PYTHON, "-m", "uvicorn", app, "--host", "127.0.0.1",
                    "--port", str(self.port), "--workers", str(workers),
                    "--log-level", "warning"]
        flags = [f"--{k.replace('_', '-')}={v}" for k, v in settings.items()]
        return [PYTHON, "-m", "gunicorn", "-b", at, "-w", str(workers),
                "--config", "gunicorn_conf.py", "--graceful-timeout", "5",
                *flags, app]

    def get(self, path):
        """The status of a request, each on a connection of its own, so that
        workers take turns."""
        c = http.client.HTTPConnection("127.0.0.1", self.port,
                                       timeout=PATIENCE)
        try:
            c.request("GET", path)
            r = c.getresponse()
            self.body = r.read()
            if path.startswith("/items"):
                self.sent += 1
            return r.status
        finally:
            c.close()

    def load(self, n, threads=4):
        """n requests from a few threads; counts them by status."""
        counts, errors, lock = {}, [], threading.Lock()

        def some(first):
            try:
                for i in range(first, n, threads):
                    c = http.client.HTTPConnection("127.0.0.1", self.port,
                                                   timeout=PATIENCE)
                    c.request("GET", f"/items/{i % 100}")
                    status = c.getresponse().status
                    c.close()
                    with lock:
                        counts[status] = counts.get(status, 0) + 1
            except Exception as e:  # told by the caller's thread
                errors.append(e)

        ts = [threading.Thread(target=some, args=(k,)) for k in range(threads)]
        for t in ts:
            t.start()
        for t in ts:
            t.join()
        need(not errors, errors)
        self.sent += n
        return counts

    def library(self):
        """{series: value} by the library's own collector."""
        out = subprocess.run([PYTHON, os.path.join(APPS, "collector.py"),
                              self.dir], env=self.env, capture_output=True,
                             text=True, timeout=PATIENCE)
        need(out.returncode == 0, out.stderr)
        return {tuple(tuple(l) for l in labels if l[1] != ""): value
                for labels, value in json.loads(out.stdout)}

    def pids(self):
        """Those of files that are there."""
        return {int(re.search(r"(\d+)\.db", f).group(1))
                for f in os.listdir(self.dir)}


NOT_THEIRS = re.compile(r"^(up|scrape_.*|python_multiproc_.*|fastapi_.*)$")


def stored(s, name):
    """{series: value} of a job, without what the agent adds."""
    found = {}
    for labels, (_, value) in s.query(f'{{job="{name}"}}').items():
        if not NOT_THEIRS.match(dict(labels)["__name__"]):
            found[tuple(l for l in labels
                        if l[0] not in ("job", "instance"))] = float(value)
    return found


def same(a, b, name):
    """Sums of seconds differ in the last digit when they are added in another
    order; all else is a count or one process' value."""
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or (name.endswith("_sum") and math.isclose(
        a, b, rel_tol=1e-12))


def compare(s, app, name):
    """Waits until the store has what the library reads, series by series, or
    says what differs."""
    last = []

    def agree():
        ours, theirs = stored(s, name), app.library()
        last[:] = [(k, ours.get(k), theirs.get(k))
                   for k in sorted(ours.keys() | theirs.keys())
                   if k not in ours or k not in theirs or
                   not same(ours[k], theirs[k], dict(k)["__name__"])]
        return not last and len(ours) > 10

    try:
        wait_for("the same", agree)
    except AssertionError as e:
        raise AssertionError(f"{name}: (series, ours, the library's): "
                             f"{last[:5]}") from e


def start(case, app, name="app", interval="300ms", plugin="fastapi", **options):
    options = {"multiproc_dir": app.dir, **options}
    text = ", ".join(f"{k}: {json.dumps(v)}" for k, v in options.items())
    s = case.sonde(config(job(name, f"127.0.0.1:{app.port}", plugin=plugin,
                              interval=interval, options=f"{{{text}}}")))
    s.wait_health(name, "up")
    return s


def check_fastapi(case, app, s):
    counts = app.load(600)
    compare(s, app, "app")
    equal(s.value('http_requests_total{status="2xx"}'),
          app.sent - counts[404])
    equal(s.value('http_requests_total{status="4xx"}'), counts[404])
    equal(s.value("http_request_duration_highr_seconds_count"), app.sent)
    equal(s.value('http_request_duration_highr_seconds_bucket{le="+Inf"}'),
          app.sent)
    equal(s.value("sum(starlette_requests_total)"), app.sent)
    equal(s.value("http_requests_inprogress"), 0.0)


def test_fastapi_under_gunicorn(case):
    """FastAPI, gunicorn with four uvicorn workers: exact; health, readiness"""
    app = App(case, "gunicorn", "fastapi_app:app",
              worker_class="uvicorn.workers.UvicornWorker")
    s = start(case, app, preset="prometheus-fastapi-instrumentator",
              ready_path="/ready", health_body="ok")
    check_fastapi(case, app, s)
    equal(s.value("fastapi_up"), 1.0)
    equal(s.value("fastapi_health_status_code"), 200.0)
    equal(s.value("fastapi_ready"), 0.0)
    equal(s.value("fastapi_ready_status_code"), 503.0)
    need(s.value("fastapi_ready_response_size_bytes") > 0, "size")
    meta = s.api("metadata")
    equal(meta["http_request_duration_highr_seconds"][0]["type"], "histogram")
    equal(meta["http_request_size_bytes"][0]["type"], "summary")
    equal(meta["http_requests_total"][0],
          {"type": "counter", "help": "Total number of requests.", "unit": ""})
    equal(meta["http_requests_inprogress"][0]["type"], "gauge")


def test_fastapi_under_uvicorn(case):
    """FastAPI, uvicorn with three workers of its own: exact"""
    app = App(case, "uvicorn", "fastapi_app:app", workers=3)
    check_fastapi(case, app, start(case, app, preset="starlette_exporter"))


def test_newest_client(case):
    """files of Debian sid's prometheus_client, which have times: exact"""
    path = packages(case, prometheus_client="python3-prometheus-client")
    app = App(case, "gunicorn", "fastapi_app:app", path=path,
              worker_class="uvicorn.workers.UvicornWorker")
    s = start(case, app)
    check_fastapi(case, app, s)
    need(s.query("mode_mostrecent"), "the newest mode")
    need(s.query("mode_livemostrecent"), "the newest live mode")


def test_instrumentator(case):
    """prometheus-fastapi-instrumentator of Debian sid: exact"""
    path = packages(case, prometheus_fastapi_instrumentator="python3-"
                    "prometheus-fastapi-instrumentator")
    app = App(case, "gunicorn", "instrumented_app:app", path=path,
              worker_class="uvicorn.workers.UvicornWorker")
    s = start(case, app, preset="prometheus-fastapi-instrumentator")
    app.load(300)
    wait_for("all requests", lambda: s.value(
        'http_requests_total{handler="/items/{item}"}') == app.sent)
    equal(s.value("fastapi_up"), 1.0)
    equal(s.value('http_request_duration_seconds_count{'
                  'handler="/items/{item}"}'), app.sent)
    need(s.query("http_requests_inprogress"), "in progress")


def test_django(case):
    """Django with django-prometheus, gunicorn: exact; the preset's gauges"""
    sqlite3.connect(case.path("app.db")).close()
    app = App(case, "gunicorn", "django_app:application")
    s = start(case, app, preset="django-prometheus")
    counts = app.load(400)
    wait_for("all requests", lambda: s.value(
        "sum(django_http_responses_total_by_status_view_method_total"
        '{view="item"})') == app.sent)
    equal(s.value("django_http_responses_total_by_status_view_method_total"
                  '{view="item",status="404"}'), counts[404])
    equal(s.value("django_http_requests_latency_seconds_by_view_method_count"
                  '{view="item"}'), app.sent)
    equal(s.value("fastapi_up"), 1.0)
    # Once, not by worker; and without the preset as the library has it.
    names = {dict(k).get("pid") for k in
             s.query("django_migrations_unapplied_total")}
    equal(names, {None})
    port = app.port
    s.reload(config(job("app", f"127.0.0.1:{port}", plugin="fastapi",
                        interval="300ms", options=f"{{multiproc_dir: "
                        f"{app.dir}, health_path: \"\"}}")))
    wait_for("by worker", lambda: len(s.query(
        'django_migrations_unapplied_total{pid!=""}')) >= 4)
    compare(s, app, "app")


def check_flask(case, path):
    app = App(case, "gunicorn", "flask_app:app", path=path)
    s = start(case, app, preset="prometheus-flask-exporter")
    counts = app.load(400)
    wait_for("all requests", lambda: s.value(
        'sum(flask_http_request_duration_seconds_count{path=~"/items/.*"})')
        == app.sent)
    equal(s.value('sum(flask_http_request_duration_seconds_count'
                  '{status="404"})'), counts[404])
    need(s.value("flask_exporter_info") == 1, "info")
    equal(s.value("fastapi_up"), 1.0)


def test_flask(case):
    """Flask with the exporter's families, gunicorn: exact"""
    check_flask(case, None)


def test_flask_exporter(case):
    """Flask with prometheus-flask-exporter of Debian sid: exact"""
    check_flask(case, packages(case, prometheus_flask_exporter="python3-"
                               "prometheus-flask-exporter"))


def test_workers_that_are_replaced(case):
    """workers that last 40 requests: no sum falls, all requests are there"""
    app = App(case, "gunicorn", "flask_app:app", max_requests=40,
              max_requests_jitter=20)
    s = start(case, app, interval="200ms", health_path="")
    errors = set()
    for _ in range(6):
        app.load(150)
        errors.add(s.target("app")["lastError"])
    total = "sum(flask_http_request_total)"
    wait_for("all requests", lambda: s.value(total) == app.sent)
    need(len(app.pids()) > 10, f"workers were not replaced: {app.pids()}")
    for kind in ("request_total", "request_duration_seconds_bucket",
                 "request_duration_seconds_sum",
                 "request_duration_seconds_count"):
        equal(s.value(f"sum(resets(flask_http_{kind}[10m]))"), 0.0, kind)
    equal([e for e in errors if e and "deadline" not in e], [], "errors")
    compare(s, app, "app")


def test_killed_worker(case):
    """a worker that is killed takes its live gauges along, not its counts"""
    app = App(case, "uvicorn", "fastapi_app:app", workers=3)
    s = start(case, app, gauge_modes=["mode_all=all"])
    app.load(200)
    wait_for("all requests", lambda: s.value(
        "sum(http_requests_total)") == app.sent)
    before = s.query("mode_liveall")
    victims = {int(dict(k)["pid"]) for k in before}
    need(len(victims) >= 2, f"one worker did it all: {before}")
    victim = min(victims)
    os.kill(victim, signal.SIGKILL)
    wait_for("its gauge to go", lambda: not s.query(
        f'mode_liveall{{pid="{victim}"}}'))
    need(s.query(f'mode_all{{pid="{victim}"}}'), "all: stays")
    equal(s.value("sum(http_requests_total)"), app.sent)
    need(s.value('python_multiproc_files{state="dead"}') >= 1, "dead files")
    need(tuple(sorted([("__name__", "mode_liveall"), ("pid", str(victim)),
                       ("worker", "any")])) in app.library(),
         "the library does keep it")


def test_growing_files(case):
    """files that grow while they are read: never torn, never less, exact"""
    folder = case.path("metrics")
    os.makedirs(folder)
    s = case.sonde(config(job("app", "127.0.0.1:1", plugin="prometheus",
                              interval="400ms",
                              options=f"{{multiproc_dir: {folder}}}")))
    s.wait_health("app", "up")
    env = dict(os.environ, PROMETHEUS_MULTIPROC_DIR=folder)
    p = Process(case, [PYTHON, os.path.join(APPS, "grow.py"), "1500"], "grow",
                env=env)
    equal(p.popen.wait(PATIENCE), 0, p.log())
    need(os.path.getsize(glob.glob(folder + "/histogram_*")[0]) > 1 << 20,
         "the files did not grow")
    wait_for("all", lambda: s.value("sum(made_total)") == 4500.0)
    wait_for("all of these", lambda: s.value(
        "count(seconds_count == 3)") == 1500.0)
    equal(s.value("sum(resets(seconds_count[10m]))"), 0.0)
    equal(s.value('max_over_time(python_multiproc_files{state="damaged"}'
                  "[10m])"), 0.0)
    equal(s.value("sum(max_over_time(python_multiproc_dropped_values[10m]))"),
          0.0)


def test_folder_that_goes(case):
    """no folder, then one, then files that are removed: said, and mended"""
    app = App(case, "gunicorn", "flask_app:app", workers=2)
    missing = case.path("missing")
    text = config(job("app", f"127.0.0.1:{app.port}", plugin="prometheus",
                      interval="300ms",
                      options=f"{{multiproc_dir: {missing}}}"))
    s = case.sonde(text)
    t = s.wait_health("app", "down")
    need(missing in t["lastError"] and "PROMETHEUS_MULTIPROC_DIR" in
         t["lastError"], t["lastError"])
    os.symlink(app.dir, missing)
    s.wait_health("app", "up")
    wait_for("values", lambda: s.value(
        "sum(flask_http_request_total)") == app.sent)
    for f in os.listdir(app.dir):
        os.unlink(os.path.join(app.dir, f))
    wait_for("nothing", lambda: not s.query("flask_http_request_total"))
    equal(s.target("app")["health"], "up")


def test_mounted_page(case):
    """one worker, make_asgi_app() mounted: the page is found by redirect"""
    port = free_port()
    env = {k: v for k, v in os.environ.items()
           if k != "PROMETHEUS_MULTIPROC_DIR"}
    env.update(PYTHONPATH=APPS, PYTHONDONTWRITEBYTECODE="1")
    Process(case, [PYTHON, "-m", "uvicorn", "fastapi_app:app", "--host",
                   "127.0.0.1", "--port", str(port), "--log-level",
                   "warning"], "uvicorn", env=env, cwd=APPS)
    wait_for("the app", lambda: get(
        f"http://127.0.0.1:{port}/items/1")[0] == 200)
    s = case.sonde(config(*(
        job(name, f"127.0.0.1:{port}", plugin=plugin, interval="500ms",
            options="{preset: prometheus_client}")
        for name, plugin in (("a", "prometheus"), ("b", "fastapi")))))
    for name in ("a", "b"):
        s.wait_health(name, "up")
        wait_for("samples", lambda: s.value(
            f'sum(http_requests_total{{job="{name}"}})') == 1.0)
    need(not s.query("fastapi_up"), "the preset asks for no health")


def test_snippets(case):
    """the snippets of conf.d are configurations as shipped"""
    for name in ("fastapi", "django", "flask", "prometheus"):
        path = os.path.join(SRC, "conf.d", name + ".yaml")
        out = subprocess.run([SONDE, "check", "config", path],
                             capture_output=True, text=True, timeout=PATIENCE)
        equal(out.returncode, 0, out.stdout + out.stderr)
        # And with all that is commented out switched on.
        with open(path) as f:
            text = re.sub(r"^( *)#(?=[a-z]|  )", r"\1", f.read(),
                          flags=re.M)
        full = case.write(name + "-full.yml", text)
        out = subprocess.run([SONDE, "check", "config", full],
                             capture_output=True, text=True, timeout=PATIENCE)
        equal(out.returncode, 0, text + out.stdout + out.stderr)


def test_migrating(case):
    """the configuration that docs/migrating.md ends with is one"""
    with open(os.path.join(SRC, "docs/migrating.md")) as f:
        blocks = [b for b in re.findall(r"```yaml\n(.*?)```", f.read(), re.S)
                  if "plugin:" in b]
    equal(len(blocks), 5, "blocks")
    shown = {p: subprocess.run([SONDE, "plugins", "show", p],
                               capture_output=True, text=True,
                               timeout=PATIENCE).stdout
             for p in ("redis", "postgres", "nginx", "celery")}
    if "check_keys" not in shown["redis"] or not all(shown.values()):
        raise Skip("built without one of the plugins")
    case.write("queries.yaml", "{}\n")
    path = case.write("all.yml", "scrape_configs:\n" + "".join(
        b.split("scrape_configs:\n")[1] for b in blocks))
    out = subprocess.run([SONDE, "check", "config", path],
                         capture_output=True, text=True, timeout=PATIENCE)
    equal(out.returncode, 0, out.stdout + out.stderr)


run(globals())
