#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An exporter's own door: `expose:` of a job, and `sonde exporter NAME`.

The exporter here is that of the test plugin `door` (tests/plugins/door.c),
which dials its target, sends its password and tells what it was given; the
real ones have tests of their own beside their plugins."""
import base64
import concurrent.futures
import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

from harness import (BUILD, Process, SONDE, config, equal, free_port, get, job,
                     need, run, wait_for)

# Absolute: some are started in a folder of their own.
PROGRAM = os.path.abspath(SONDE)
PLUGINS = os.path.abspath(os.path.join(BUILD, "tests/plugins/.libs"))
PROMETHEUS = os.path.abspath(os.path.join(BUILD, "plugins/prometheus/.libs"))


class DoorServer:
    """What the plugin `door` talks to: a line comes, a line goes back."""

    def __init__(self, case, delay=0.0):
        self.delay = delay
        self.lines = []
        self.opened = 0
        self.open = 0
        self.busy = 0
        self.most_busy = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.peers = []
        threading.Thread(target=self.accept, daemon=True).start()
        case.cleanups.append(self.close)

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.opened += 1
                self.open += 1
                self.peers.append(peer)
            threading.Thread(target=self.serve, args=(peer,),
                             daemon=True).start()

    def serve(self, peer):
        try:
            for line in peer.makefile("rb"):
                with self.lock:
                    self.lines.append(line.decode().rstrip("\n"))
                    self.busy += 1
                    self.most_busy = max(self.most_busy, self.busy)
                time.sleep(self.delay)
                with self.lock:
                    self.busy -= 1
                peer.sendall(b"ok\n")
        except OSError:
            pass
        with self.lock:
            self.open -= 1

    def close(self):
        self.listener.close()
        for p in self.peers:
            try:
                p.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Exporter(Process):
    """`sonde exporter door` with flags."""

    def __init__(self, case, *flags, env=None, wait=True, scheme="http",
                 listen=True, name="exporter"):
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        argv = [PROGRAM, "exporter", "door", f"--plugin.path={PLUGINS}", *flags]
        if listen:
            argv.append(f"--web.listen-address=127.0.0.1:{self.port}")
        full = {k: v for k, v in os.environ.items()
                if not k.startswith("DOOR_")}
        full.update(env or {})
        self.cwd = os.path.join(case.dir, f"cwd-{len(case.processes)}")
        os.mkdir(self.cwd)
        super().__init__(case, argv, name, env=full, cwd=self.cwd)
        if wait:
            wait_for("the exporter", lambda: get(self.url + "/health")[0])

    def scrape(self, **params):
        return get(self.url + "/scrape?" + urllib.parse.urlencode(params))


def page(url, headers=None):
    status, body = get(url, headers=headers)
    equal(status, 200, f"{url}: {body[:300]}")
    return body


def value(body, series):
    """The value of a series by its text, or None."""
    for line in body.splitlines():
        if line.startswith(series + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def families(body):
    return re.findall(r"^# TYPE (\S+) ", body, re.M)


def check_page(body):
    """promtool takes it: every family once, every series once."""
    equal(len(set(families(body))), len(families(body)), "families twice")
    out = subprocess.run([shutil.which("promtool"), "check", "metrics"],
                         input=body.encode(), capture_output=True)
    need(b"error while linting" not in out.stderr and
         b"parsing error" not in out.stderr, out.stderr.decode()[-500:])


def sonde(case, text, *flags, **kw):
    return case.sonde(text, f"--plugin.path={PLUGINS}",
                      f"--plugin.path={PROMETHEUS}", *flags, **kw)


def stops_well(process):
    equal(process.stop(), 0, process.log()[-2000:])


# ---- expose: of a job ------------------------------------------------------------

def test_last_scrape(case):
    """A job's last scrape is its page, as text"""
    port, t = free_port(), case.target()
    t.body = ("# TYPE a counter\n# HELP a An a.\na_total 5 # {t=\"1\"} 1\n"
              "# TYPE b gauge\nb{x=\"1\"} 2\n# EOF\n")
    t.content_type = "application/openmetrics-text; version=1.0.0"
    s = sonde(case, config(job("a", t.address, expose=port)))
    url = f"http://127.0.0.1:{port}"
    s.wait_health("a", "up")
    body = page(url + "/metrics")
    equal(body, "# HELP a_total An a.\n# TYPE a_total counter\na_total 5\n"
                "# TYPE b gauge\nb{x=\"1\"} 2\n")
    hits = t.hits
    for _ in range(5):
        page(url + "/metrics")
    need(t.hits <= hits + 2, "a request made the target be scraped")
    equal(get(url + "/health"), (200, "ok"))
    need('href="/metrics"' in page(url + "/"), "no link on the landing page")
    for path in ("/x", "/metrics/", "/scrape?target=x", "/-/reload"):
        need(get(url + path)[0] in (301, 404), f"{path}: {get(url + path)}")
    equal(get(url + "/metrics", data=b"x", method="POST")[0], 405)
    t.close()
    s.wait_health("a", "down")
    status, body = get(url + "/metrics")
    equal(status, 503)
    need(t.address in body and "refused" in body, body)
    need(s.metric('sonde_expose_requests_total{job="a",handler="metrics",'
                  'code="503"}') == 1, "requests are not counted")
    stops_well(s)


def test_gzip(case):
    """Long pages are compressed for those who take it"""
    port, t = free_port(), case.target()
    t.body = "".join(f'x{{n="{i}"}} {i}\n' for i in range(500))
    s = sonde(case, config(job("a", t.address, expose=port)))
    s.wait_health("a", "up")
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics",
                                     headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as r:
        equal(r.headers["Content-Encoding"], "gzip")
        equal(r.headers["Content-Type"],
              "text/plain; version=0.0.4; charset=utf-8")
        body = gzip.decompress(r.read()).decode()
    equal(len(body.splitlines()), 501)
    check_page(body)
    stops_well(s)


def test_on_demand(case):
    """On demand: a fresh collection for each request, the schedule goes on"""
    port, t = free_port(), case.target()
    count = [0]

    def body():
        count[0] += 1
        return f"x {count[0]}\n"
    t.body = body
    s = sonde(case, config(job("a", t.address, interval="1s", expose=(
        f"{{address: {port}, on_demand: true}}"))))
    s.wait_health("a", "up")
    url = f"http://127.0.0.1:{port}/metrics"
    seen = [value(page(url), "x") for _ in range(20)]
    equal(seen, sorted(set(seen)), "an old collection was served")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        page(url)
    equal(s.metric("sonde_scrapes_missed_total"), 0)
    stored = s.value('count_over_time(x[1m])')
    need(stored and stored < count[0] / 2, f"{stored} of {count[0]} stored")
    need(stored >= 3, f"{stored} samples of the schedule")
    stops_well(s)


def test_shared(case):
    """Requests share the collection that is under way"""
    port, t = free_port(), case.target()
    running, most, lock = [0], [0], threading.Lock()

    def body():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.3)
        with lock:
            running[0] -= 1
        return "x 1\n"
    t.body = body
    s = sonde(case, config(job("a", t.address, interval="5s", expose=(
        f"{{address: {port}, on_demand: true}}"))))
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        got = list(pool.map(
            lambda _: get(f"http://127.0.0.1:{port}/metrics")[0], range(60)))
    equal(set(got), {200})
    equal(most[0], 1, "collections of one target at a time")
    need(t.hits < 40, f"{t.hits} collections for 60 requests")
    stops_well(s)


def test_many_targets(case):
    """Several targets on one page, those that failed are named"""
    port = free_port()
    one, two = case.target(), case.target()
    one.body = "# HELP x An x.\n# TYPE x gauge\nx 1\n# TYPE y gauge\ny 1\n"
    two.body = "# TYPE x gauge\nx{target=\"own\"} 2\n"
    s = sonde(case, config(job("a", one.address, two.address, expose=(
        f"{{address: {port}, on_demand: true}}"))))
    url = f"http://127.0.0.1:{port}/metrics"
    body = page(url)
    equal(value(body, f'x{{target="{one.address}"}}'), 1)
    equal(value(body, f'x{{exported_target="own",target="{two.address}"}}'), 2)
    equal(value(body, f'sonde_expose_target_up{{target="{two.address}"}}'), 1)
    check_page(body)
    two.close()
    body = wait_for("the page without it", lambda: (
        lambda b: b if value(b, "sonde_expose_target_up"
                                f'{{target="{two.address}"}}') == 0 else None
    )(page(url)))
    equal(value(body, f'x{{target="{one.address}"}}'), 1)
    one.body = "x 1\nthis is no exposition\n"
    body = page(url)
    need(value(body, f'x{{target="{one.address}"}}') == 1, body)
    one.close()
    status, body = wait_for("all to fail", lambda: (
        lambda r: r if r[0] == 503 else None)(get(url)))
    need(one.address in body and two.address in body, body)
    stops_well(s)


def test_garbage(case):
    """What can not be read is not passed on"""
    port, t = free_port(), case.target()
    t.body = "x 1\n{{{{\n"
    s = sonde(case, config(job("a", t.address, expose=(
        f"{{address: {port}, on_demand: true}}"))))
    status, body = get(f"http://127.0.0.1:{port}/metrics")
    equal(status, 503)
    need("line 2" in body, body)
    stops_well(s)


def test_ports(case):
    """One port, one job; a reload opens and closes doors, all or nothing"""
    a, b, t = free_port(), free_port(), case.target(b"x 1\n")
    case.write("bad.yml", config(job("a", t.address, expose=a),
                                 job("b", t.address, expose=f"':{a}'")))
    out = subprocess.run([PROGRAM, f"--config.file={case.path('bad.yml')}",
                          f"--plugin.path={PROMETHEUS}"],
                         capture_output=True, text=True, cwd=case.dir)
    equal(out.returncode, 2)
    need('job \\"a\\" is exposed on' in out.stderr, out.stderr)
    s = sonde(case, config(job("a", t.address, expose=a)))
    s.wait_health("a", "up")
    with socket.create_server(("127.0.0.1", b)):
        status, body = s.reload(config(job("a", t.address, expose=b)))
        equal(status, 500)
        need(f"127.0.0.1:{b}" in body, body)
        page(f"http://127.0.0.1:{a}/metrics")
    equal(s.reload(config(job("a", t.address, expose=b)))[0], 200)
    wait_for("the new door", lambda: get(
        f"http://127.0.0.1:{b}/metrics")[0] == 200)
    try:
        get(f"http://127.0.0.1:{a}/metrics")
        need(False, "the old door is still open")
    except OSError:
        pass
    equal(s.reload(config(job("a", t.address, expose=(
        f"{{address: {b}, path: /other}}"))))[0], 200)
    wait_for("the other path", lambda: get(
        f"http://127.0.0.1:{b}/other")[0] == 200)
    equal(get(f"http://127.0.0.1:{b}/metrics")[0], 404)
    stops_well(s)


def test_deadline(case):
    """The scraper's timeout, less a little, is the collection's"""
    port, server = free_port(), DoorServer(case)
    s = sonde(case, config(job(
        "a", server.address, interval="30s", plugin="door",
        options="{wait: 20s}",
        expose=f"{{address: {port}, on_demand: true, timeout_offset: 1s}}")))
    url = f"http://127.0.0.1:{port}/metrics"
    body = page(url, {"X-Prometheus-Scrape-Timeout-Seconds": "2"})
    left = value(body, "door_deadline_seconds")
    need(0 < left <= 1, f"{left} s of 2 - 1")
    body = page(url, {"X-Prometheus-Scrape-Timeout-Seconds": "0.5"})
    need(value(body, "door_deadline_seconds") <= 0.25, body)
    for bad in ("x", "-1", "nan", "1e400", ""):
        status, _ = get(f"http://127.0.0.1:{port}/health", headers={
            "X-Prometheus-Scrape-Timeout-Seconds": bad})
        equal(status, 200)
    s.kill()


def test_hung_plugin(case):
    """A plugin that ignores its deadline costs its page, nothing else"""
    port, server = free_port(), DoorServer(case)
    s = sonde(case, config(job(
        "a", server.address, interval="30s", timeout="1s", plugin="door",
        options="{wait: 15s, mode: ignore}",
        expose=f"{{address: {port}, on_demand: true}}")))
    url = f"http://127.0.0.1:{port}"
    status, body = get(url + "/metrics")
    equal(status, 503)
    need("timeout" in body, body)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(get, url + "/metrics") for _ in range(12)]
        equal(get(url + "/health"), (200, "ok"))
        equal({w.result()[0] for w in waiting}, {503})
    s.kill()


# ---- target= ---------------------------------------------------------------------

def test_reach(case):
    """target= reaches what is configured or allowed, and nothing else"""
    server, canary = DoorServer(case), DoorServer(case)
    e = Exporter(case, f"--door.addr=door://{server.address}",
                 "--door.password=geheim", "--allow=192.0.2.0/24,0.0.0.0/0")
    plain = Exporter(case, f"--door.addr={server.address}",
                     "--door.password=geheim")
    port = canary.port
    forbidden = [
        f"127.0.0.1:{port}", f"localhost:{port}", f"door://127.0.0.1:{port}",
        f"[::1]:{port}", f"[::ffff:127.0.0.1]:{port}", f"127.1:{port}",
        f"2130706433:{port}", f"0x7f000001:{port}", f"0:{port}",
        f"door://{server.address}@127.0.0.1:{port}", "169.254.169.254",
        "169.254.169.254:80", "unix:/etc/passwd", "unix:/run/x.sock",
        f"door://u:boese@127.0.0.1:{port}", "../x",
    ]
    broken = [
        f"{server.address}?host=127.0.0.1:{port}", "/etc/passwd",
        "file:///etc/passwd", f"http://127.0.0.1:{port}/",
        f"gopher://127.0.0.1:{port}", "host=127.0.0.1 port=1", "a b", "a\nb",
        f"{server.address}/..%2f", f"{server.address},127.0.0.1:{port}",
        f"127.0.0.1:{port}#@{server.address}", "127.0.0.1:0", "h:99999",
        f"{server.address}/a?b", "x" * 600, "\u00e4", "%", "[::1", ":1",
    ]
    for target in forbidden:
        status, body = plain.scrape(target=target)
        equal(status, 403, f"{target}: {body}")
        need("allow" in body and "boese" not in body, body)
    for target in broken:
        status, body = plain.scrape(target=target)
        equal(status, 400, f"{target}: {body[:200]}")
    # Everything is allowed, but for link-local addresses.
    for target in ("169.254.169.254", "door://169.254.169.254/latest"):
        equal(e.scrape(target=target)[0], 403, target)
    equal(canary.opened, 0, "something else was dialled")
    body = page(plain.url + "/metrics")
    equal(value(body, "door_target_scrape_request_errors_total"),
          len(forbidden) + len(broken))
    equal(value(body, 'sonde_expose_refused_total{job="door"}'),
          len(forbidden))
    # With a network: the name is looked up once, the number is dialled.
    status, body = e.scrape(target=f"127.0.0.1:{port}")
    equal(status, 200, body)
    equal(value(body, f'door_address_info{{address="127.0.0.1:{port}"}}'), 1)
    need(canary.opened == 1, "it was not dialled")
    for p in (e, plain):
        stops_well(p)
    need("boese" not in plain.log(), "a password is in the log")


def test_names(case):
    """A name on the list is dialled by name; others by the checked number"""
    server = DoorServer(case)
    e = Exporter(case, "--door.addr=127.0.0.1:1", "--allow=localhost")
    status, body = e.scrape(target=f"localhost:{server.port}")
    equal(status, 200, body)
    need(f'address="localhost:{server.port}"' in body, body)
    equal(e.scrape(target=f"127.0.0.1:{server.port}")[0], 403)
    nets = Exporter(case, "--door.addr=127.0.0.1:1",
                    "--allow=127.0.0.0/8,::1")
    status, body = nets.scrape(target=f"localhost:{server.port}")
    equal(status, 200, body)
    need(re.search(rf'address="(127\.0\.0\.1|\[::1\]):{server.port}"', body),
         body)
    status, body = nets.scrape(target="no-such-host.invalid:1")
    need(status == 503 and "no-such-host.invalid" in body, f"{status} {body}")


def test_credentials(case):
    """Passwords are the operator's; what a request brings is cut off"""
    server = DoorServer(case)
    e = Exporter(case, f"--door.addr=door://{server.address}",
                 "--door.password=geheim")
    for target in (f"door://u:boese@{server.address}",
                   f"u:boese@{server.address}", f"boese@{server.address}/3"):
        status, body = e.scrape(target=target)
        equal(status, 200, body)
        equal(value(body, "door_up"), 1)
        need("boese" not in body, body)
    equal(set(server.lines), {"hello geheim"})
    stops_well(e)
    need("boese" not in e.log() and "geheim" not in e.log(), e.log())


def test_target_page(case):
    """The target's page: parameters, errors, what it is made of"""
    server = DoorServer(case)
    e = Exporter(case, f"--door.addr=door://{server.address}")
    status, body = get(e.url + "/scrape")
    equal((status, body), (400, "'target' parameter must be specified\n"))
    equal(e.scrape(target="")[0], 400)
    status, body = e.scrape(target=server.address, keys="b,a", text="hu",
                            unknown="x", number="3")
    equal(status, 200)
    equal(value(body, 'door_key{key="b"}'), 0)
    equal(value(body, 'door_key{key="a"}'), 1)
    equal(value(body, "door_number"), 9)
    need('text="hu"' in body, body)
    need("process_" not in body, "the agent's own metrics are on it")
    equal(value(body, "door_target_scrape_request_errors_total"), 0)
    status, body = e.scrape(target=server.address, auth_module="no")
    equal(status, 400)
    need("unknown auth_module no" in body, body)
    equal(e.scrape(target=server.address, auth_module="known")[0], 200)
    equal(e.scrape(target=server.address, text="a\x00b")[0], 400)
    equal(e.scrape(target=server.address, text="x" * 5000)[0], 400)
    status, body = get(e.url + "/scrape?target=" + server.address +
                       "&text=%ff")
    equal(status, 400)
    equal(value(page(e.url + "/metrics"),
                "door_target_scrape_request_errors_total"), 5)
    off = Exporter(case, "--disable-scrape-endpoint",
                   f"--door.addr={server.address}")
    equal(off.scrape(target=server.address)[0], 404)


def test_kept_targets(case):
    """Named targets keep their connection, the oldest make room"""
    servers = [DoorServer(case) for _ in range(5)]
    e = Exporter(case, "--door.addr=", "--allow=127.0.0.1",
                 "--max-targets=2")
    for n in range(1, 4):
        _, body = e.scrape(target=servers[0].address)
        equal(value(body, "door_collections_total"), n)
    equal(servers[0].opened, 1)
    for s in servers:
        equal(e.scrape(target=s.address)[0], 200)
    equal(value(page(e.url + "/metrics"),
                'sonde_expose_targets{job="door"}'), 2)
    wait_for("the others to be closed",
             lambda: sum(s.open for s in servers) == 2)
    stops_well(e)


def test_one_at_a_time(case):
    """One address is never collected twice at a time"""
    server = DoorServer(case, delay=0.1)
    e = Exporter(case, "--door.addr=", "--allow=127.0.0.1")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda i: e.scrape(target=server.address,
                                               text=str(i % 3))[0],
                            range(18)))
    equal(set(got), {200})
    equal(server.most_busy, 1)
    stops_well(e)


# ---- sonde exporter -----------------------------------------------------------------

def test_exporter(case):
    """In an exporter's place: flags, variables, pages, one connection"""
    server = DoorServer(case)
    e = Exporter(case, "-number=4", "-Q", "k1,k2", "--const-label=env=test",
                 "--namespace=porta", "--gone",
                 env={"DOOR_ADDR": f"door://{server.address}",
                      "DOOR_PASSWORD": "geheim", "DOOR_NUMBER": "5"})
    count = 'porta_collections_total{env="test"}'
    first = value(page(e.url + "/metrics"), count)
    page(e.url + "/metrics")
    body = page(e.url + "/metrics")
    check_page(body)
    equal(value(body, 'porta_up{env="test"}'), 1)
    equal(value(body, 'porta_number{env="test"}'), 4)
    equal(value(body, 'porta_key{env="test",key="k2"}'), 1)
    equal(value(body, 'extra_family{env="test"}'), 1)
    equal(value(body, count), first + 2)
    equal(value(body, "promhttp_metric_handler_requests_total"
                      '{code="200",env="test"}'), 2)
    need(value(body, 'process_resident_memory_bytes{env="test"}'), body)
    equal(server.opened, 1, "connections")
    equal(get(e.url + "/health"), (200, "ok"))
    need("door_exporter" in page(e.url + "/"), "landing page")
    need("has no effect" in e.log() and "flag=gone" in e.log(), e.log())
    # Nothing is written: no file is open for writing but the log.
    for fd in os.listdir(f"/proc/{e.pid}/fd"):
        path = os.readlink(f"/proc/{e.pid}/fd/{fd}")
        flags = open(f"/proc/{e.pid}/fdinfo/{fd}").read()
        need(not path.startswith("/") or path.startswith("/dev/") or
             path == e.log_path or
             int(re.search(r"flags:\s*(\d+)", flags).group(1), 8) & 3 == 0,
             f"{path} is open for writing")
    equal(os.listdir(e.cwd), [], "files in the working directory")
    stops_well(e)


def test_target_down(case):
    """A server that is down is up 0 with 200; a failure is 503"""
    server = DoorServer(case)
    e = Exporter(case, f"--door.addr={server.address}")
    equal(value(page(e.url + "/metrics"), "door_up"), 1)
    server.close()
    wait_for("up 0", lambda: value(page(e.url + "/metrics"), "door_up") == 0)
    stops_well(e)
    f = Exporter(case, f"--door.addr={server.address}", "--mode=fail")
    status, body = get(f.url + "/metrics")
    equal(status, 503)
    need("the test wants a failure" in body, body)
    stops_well(f)


def test_without_targets(case):
    """Without an address there are the exporter's own metrics"""
    e = Exporter(case, env={"DOOR_ADDR": ""})
    body = page(e.url + "/metrics")
    need(value(body, "door_up") is None, body)
    equal(value(body, "door_target_scrape_request_errors_total"), 0)
    equal(e.scrape()[0], 400)
    equal(value(page(e.url + "/metrics"),
                "door_target_scrape_request_errors_total"), 1)
    stops_well(e)


def test_several_addresses(case):
    """Several addresses are told apart by the exporter's label"""
    one, two = DoorServer(case), DoorServer(case)
    e = Exporter(case, f"--door.addr=door://u:geheim@{one.address}",
                 f"--door.addr={two.address}")
    body = page(e.url + "/metrics")
    check_page(body)
    need("addr=\"door://u" not in body, body)
    equal(value(body, f'door_up{{addr="door://{one.address}"}}'), 1)
    equal(value(body, f'door_up{{addr="{two.address}"}}'), 1)
    stops_well(e)


def discovered(exporter):
    """Targets of the page for service discovery."""
    groups = json.loads(page(exporter.url + "/discover"))
    equal([set(g) for g in groups], [{"targets", "labels"}], "one group")
    equal(groups[0]["labels"], {}, "labels")
    return groups[0]["targets"]


def test_discover(case):
    """What targets name, joined; those that do not answer, and no answer"""
    one, two = DoorServer(case), DoorServer(case)
    dead = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    addrs = sorted((one.address, two.address))
    e = Exporter(case, f"--door.addr={one.address},{two.address}",
                 "--nodes=door://n:1,door://\u00e4 \"q\",door://n:1",
                 "--door.password=geheim")
    equal(discovered(e), [addrs[0], "door://n:1", 'door://\u00e4 "q"',
                          addrs[1]], "each once, in the targets' order")
    page(e.url + "/metrics")
    wait_for("all but the collections' connections to close",
             lambda: one.open + two.open == 2)
    need("discover" in page(e.url + "/"), "the link")
    request = urllib.request.Request(e.url + "/discover")
    with urllib.request.urlopen(request) as r:
        equal(r.headers["Content-Type"], "application/json")
    stops_well(e)
    e = Exporter(case, f"--door.addr={one.address},{dead[0]}",
                 "--nodes=door://n:1")
    equal(discovered(e), [one.address, "door://n:1"], "of one that is down")
    need("a target names no others" in e.log(), e.log())
    e = Exporter(case, f"--door.addr={dead[0]},door://u:geheim@{dead[1]}",
                 "--nodes=door://n:1")
    status, body = get(e.url + "/discover")
    equal(status, 500, body)
    need(dead[0] in body and dead[1] in body and "geheim" not in body, body)
    e = Exporter(case, f"--door.addr=door://{dead[0]}")
    equal(get(e.url + "/discover"), (400, "no nodes are set\n"))
    e = Exporter(case, env={"DOOR_ADDR": ""})
    equal(get(e.url + "/discover"), (500, "the job has no targets\n"))


def test_discover_bounds(case):
    """Too much, or too late, is no answer, and others get their time"""
    server, slow = DoorServer(case), DoorServer(case, delay=30)
    for what, why in (("long", "no text of up to"), ("many", "more than")):
        e = Exporter(case, f"--door.addr={server.address}", f"--nodes={what}")
        status, body = get(e.url + "/discover")
        equal(status, 500, body)
        need(why in body, body)
    e = Exporter(case, f"--door.addr={slow.address},{server.address}",
                 "--nodes=door://n:1", "--connection-timeout=2s")
    equal(set(discovered(e)), {server.address, "door://n:1"})
    e = Exporter(case, f"--door.addr={slow.address}", "--nodes=door://n:1",
                 "--connection-timeout=300ms")
    equal(get(e.url + "/discover")[0], 500)


def test_discover_job(case):
    """The page of a job, beside its collections"""
    server = DoorServer(case)
    port = free_port()
    s = sonde(case, config(job(
        "doors", server.address, plugin="door", interval="1s",
        expose=f"127.0.0.1:{port}", options="{nodes: ['door://n:1']}")))
    wait_for("a scrape", lambda: s.value("door_up") == 1)
    for _ in range(5):
        equal(json.loads(page(f"http://127.0.0.1:{port}/discover")),
              [{"targets": [server.address, "door://n:1"], "labels": {}}])
    equal(s.metric('sonde_expose_requests_total{job="doors",'
                   'handler="discover",code="200"}'), 5)
    seen = s.value("door_collections_total")
    wait_for("a scrape", lambda: s.value("door_collections_total") > seen)
    equal(server.opened, 6, "the collections kept their connection")


def test_auth(case):
    """Passwords of the pages, by flags"""
    server = DoorServer(case)
    e = Exporter(case, f"--door.addr={server.address}",
                 "--basic-auth-username=me", "--basic-auth-password=sesam",
                 wait=False)
    wait_for("the door", lambda: get(e.url + "/health")[0] == 401)
    right = base64.b64encode(b"me:sesam").decode()
    wrong = base64.b64encode(b"me:other").decode()
    equal(get(e.url + "/metrics",
              headers={"Authorization": "Basic " + wrong})[0], 401)
    page(e.url + "/metrics", {"Authorization": "Basic " + right})
    stops_well(e)


def test_tls(case):
    """TLS of the pages, by flags"""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048",
                    "-nodes", "-keyout", case.path("key.pem"), "-out",
                    case.path("cert.pem"), "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    server = DoorServer(case)
    e = Exporter(case, f"--door.addr={server.address}",
                 f"--tls-server-cert-file={case.path('cert.pem')}",
                 f"--tls-server-key-file={case.path('key.pem')}", wait=False)

    def fetch():
        out = subprocess.run(["curl", "-sS", "--cacert",
                              case.path("cert.pem"),
                              f"https://127.0.0.1:{e.port}/metrics"],
                             capture_output=True, text=True)
        return out.stdout if out.returncode == 0 else None
    body = wait_for("https", fetch)
    equal(value(body, "door_up"), 1)
    stops_well(e)


def test_reload(case):
    """SIGHUP and /-/reload read files again"""
    server = DoorServer(case)
    case.write("text", "one\n")
    e = Exporter(case, f"--door.addr={server.address}",
                 env={"DOOR_TEXT_FILE": case.path("text")})
    need('text="one"' in page(e.url + "/metrics"), "the file was not read")
    equal(get(e.url + "/-/reload", method="POST")[0], 200)
    need('text="one"' in page(e.url + "/metrics"), "unchanged")
    equal(server.opened, 1, "a reload that changes nothing reconnected")
    case.write("text", "two\n")
    equal(get(e.url + "/-/reload", method="POST")[0], 200)
    need('text="two"' in page(e.url + "/metrics"), "not read again")
    case.write("text", "three\n")
    e.popen.send_signal(signal.SIGHUP)
    wait_for("the third", lambda: 'text="three"' in page(e.url + "/metrics"))
    os.unlink(case.path("text"))
    status, body = get(e.url + "/-/reload", method="POST")
    equal(status, 500)
    need(case.path("text") in body, body)
    need('text="three"' in page(e.url + "/metrics"), "the old went")
    stops_well(e)


def test_reload_under_load(case):
    """Reloads, pages and named targets at the same time"""
    server = DoorServer(case)
    case.write("text", "0\n")
    e = Exporter(case, f"--door.addr={server.address}",
                 "--allow=127.0.0.1", "--max-targets=3",
                 env={"DOOR_TEXT_FILE": case.path("text")})
    stop = threading.Event()
    pages, named = set(), set()

    def ask(n):
        while not stop.is_set():
            if n % 2:
                status, body = get(e.url + "/metrics")
                pages.add(200 if status == 200 else (status, body[:200]))
            else:
                named.add(e.scrape(target=f"127.0.0.1:{server.port}",
                                   keys=str(time.monotonic())[-2:])[0])
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask, n) for n in range(6)]
        for i in range(30):
            case.write("text", f"{i // 2}\n")
            e.popen.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        stop.set()
        for a in asking:
            a.result()
    # No page is lost to a reload; of named targets there may be too many.
    equal(pages, {200})
    need(200 in named and named <= {200, 503}, f"{named}")
    need('text="14"' in page(e.url + "/metrics"), "the last reload")
    stops_well(e)


def test_broken_web_config(case):
    """A web config that can not be used is refused before anything changes"""
    port, t = free_port(), case.target(b"x 1\n")
    web = case.write("web.yml", "basic_auth_users: {a: b}\n")
    case.write("c.yml", config(job("a", t.address, expose=(
        f"{{address: {port}, web_config_file: {web}}}"))))
    out = subprocess.run([PROGRAM, "check", "config", case.path("c.yml"),
                          f"--plugin.path={PROMETHEUS}"],
                         capture_output=True, text=True)
    need(out.returncode != 0 and "web.yml" in out.stdout + out.stderr,
         out.stdout + out.stderr)


def test_usage(case):
    """What is wrong on the command line is said"""
    def sonde(*args):
        out = subprocess.run([PROGRAM, "exporter", *args,
                              f"--plugin.path={PLUGINS}"],
                             capture_output=True, text=True, timeout=60,
                             cwd=case.dir)
        return out.returncode, out.stdout + out.stderr
    for args, code, text in (
            (["--help"], 0, "door         door_exporter, port 9977"),
            ([], 0, "door_exporter"),
            (["door", "--help"], 0, "--door.addr=TEXT"),
            (["door", "--version"], 0, "door_exporter, by sonde"),
            (["door", "--nmber=1"], 2, "did you mean --number?"),
            (["door", "--number=x"], 2, "a whole number"),
            (["dor"], 2, 'there is no exporter "dor"'),
            (["good"], 2, "door_exporter"),
            (["door", "--log-level=loud"], 2, "log level"),
            (["door", "--mode=odd"], 2, "mode"),
            (["door", "--allow=10/8"], 2, "allow")):
        got, out = sonde(*args)
        equal((got, text in out), (code, True), f"{args}: {out}")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        got, out = sonde("door", f"--web.listen-address=127.0.0.1:{port}")
        equal(got, 1)
        need("in use" in out, out)


def test_prometheus(case):
    """A Prometheus scrapes it, several targets by relabeling too"""
    one, two = DoorServer(case), DoorServer(case)
    e = Exporter(case, f"--door.addr={one.address}", "--allow=127.0.0.1")
    p = case.prometheus(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: door
    static_configs: [{{targets: ["127.0.0.1:{e.port}"]}}]
  - job_name: targets
    metrics_path: /scrape
    static_configs: [{{targets: ["{one.address}", "{two.address}"]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "127.0.0.1:{e.port}"}}
""")

    def ups(text):
        return {tuple(r["metric"].get(k) for k in ("job", "instance")):
                r["value"][1] for r in p.query(text, time.time())}
    want = {("door", f"127.0.0.1:{e.port}"): "1",
            ("targets", one.address): "1", ("targets", two.address): "1"}
    wait_for("all to be up", lambda: ups("up") == want and
             ups("door_up") == want)
    stops_well(p)
    stops_well(e)


# ---- hostile clients ----------------------------------------------------------------

def test_hostile(case):
    """Slow, many and absurd clients do not keep the others out"""
    server = DoorServer(case)
    e = Exporter(case, f"--door.addr={server.address}")
    held = []
    for i in range(100):
        c = socket.create_connection(("127.0.0.1", e.port))
        if i % 2:
            c.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: ")
        held.append(c)
    page(e.url + "/metrics")
    equal(get(e.url + "/health"), (200, "ok"))
    for path in ("/metrics?" + "a" * 100000,
                 "/scrape?target=" + "a" * 30000,
                 "/" + "../" * 200 + "etc/passwd"):
        with socket.create_connection(("127.0.0.1", e.port)) as c:
            c.settimeout(30)
            c.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                      "Connection: close\r\n\r\n".encode())
            answer = c.recv(64)
        need(answer == b"" or re.match(rb"HTTP/1.1 (3|4)\d\d", answer),
             f"{path[:40]}: {answer!r}")
    # A reader that stops in the middle of its answer.
    c = socket.create_connection(("127.0.0.1", e.port))
    c.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    held.append(c)
    page(e.url + "/metrics")
    for c in held:
        c.close()
    need(e.alive(), e.log()[-2000:])
    stops_well(e)


def test_stop_while_waiting(case):
    """SIGTERM does not wait for a target that hangs"""
    server = DoorServer(case, delay=30)
    e = Exporter(case, f"--door.addr={server.address}")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        def ask():
            try:
                return get(e.url + "/metrics")[0]
            except OSError:
                return 0
        waiting = [pool.submit(ask) for _ in range(3)]
        wait_for("the target to be asked", lambda: server.lines)
        began = time.monotonic()
        e.popen.send_signal(signal.SIGTERM)
        e.popen.wait(30)
        took = time.monotonic() - began
        need(all(w.result() in (0, 503) for w in waiting), "answers")
    need(took < 12, f"it took {took:.1f} s")


run(globals())
