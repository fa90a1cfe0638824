# SPDX-License-Identifier: Apache-2.0
"""The HTTP door: health, readiness, lifecycle, status pages, limits."""
import os
import subprocess
import time

from harness import *
from remote_body import *


def test_health_and_lifecycle(case):
    """health, readiness, quit; lifecycle off by default"""
    s = case.sonde("scrape_configs: []\n")
    equal(get(s.url + "/-/healthy"), (200, "Prometheus Server is Healthy.\n"))
    equal(get(s.url + "/-/ready"), (200, "Prometheus Server is Ready.\n"))
    equal(get(s.url + "/-/reload")[0], 405)
    equal(get(s.url + "/nothing")[0], 404)
    code, _ = get(s.url + "/-/quit", method="POST")
    equal(code, 200)
    equal(s.popen.wait(PATIENCE), 0)


def test_lifecycle_needs_its_flag(case):
    """without --web.enable-lifecycle nobody reloads or stops it"""
    s = case.sonde("scrape_configs: []\n", "--no-web.enable-lifecycle")
    equal(get(s.url + "/-/reload", method="POST")[0], 403)
    equal(get(s.url + "/-/quit", method="POST")[0], 403)
    equal(s.stop(), 0)


def test_status_pages(case):
    """buildinfo, flags, config, runtimeinfo, targets, landing page"""
    t = case.target("a 1\n")
    s = case.sonde(config(job("app", t.address, interval="500ms")))
    s.wait_health("app", "up")
    need(s.api("status/buildinfo")["version"][0].isdigit(), "version")
    flags = s.api("status/flags")
    equal(flags["storage.tsdb.path"], s.data)
    equal(flags["web.enable-lifecycle"], "true")
    need("job_name: app" in s.api("status/config")["yaml"], "config")
    info = s.api("status/runtimeinfo")
    equal(info["reloadConfigSuccess"], True)
    target = s.target("app")
    equal(target["scrapeUrl"], f"http://{t.address}/metrics")
    equal(target["labels"], {"job": "app", "instance": t.address})
    equal(target["scrapeInterval"], "500ms")
    page = get(s.url + "/")[1]
    need("app" in page and "<html" in page, "landing page")


def test_self_scrape(case):
    """it scrapes itself, and promtool finds nothing wrong with its metrics"""
    s = case.sonde("scrape_configs: []\n")
    s.reload(config(job("self", f"127.0.0.1:{s.port}", interval="500ms")))
    s.wait_health("self", "up")
    wait_for("own samples", lambda: s.query("prometheus_tsdb_head_series"))
    page = get(s.url + "/metrics")[1]
    lint = subprocess.run([shutil.which("promtool"), "check", "metrics"],
                          input=page, capture_output=True, text=True)
    need("error while linting" not in lint.stderr, lint.stderr)


def test_query_answers(case):
    """the query endpoint: numbers, selectors, errors"""
    s = case.sonde("scrape_configs: []\n")
    equal(s.api("query", query="2", time="4"),
          {"resultType": "scalar", "result": [4, "2"]})
    equal(s.api("query", query='"x"', time="4"),
          {"resultType": "string", "result": [4, "x"]})
    equal(s.api("query", query="no_such", time="4"),
          {"resultType": "vector", "result": []})
    for text, code, kind, want in [
            ("sum(", 400, "bad_data", "parse error"),
            ("", 400, "bad_data", "no expression"),
            ('label_replace(vector(1), "a", "$1", "b", "(")', 422,
             "execution", "invalid regular expression in label_replace()")]:
        q = urllib.parse.urlencode({"query": text})
        status, body = get(f"{s.url}/api/v1/query?{q}")
        doc = json.loads(body)
        equal((status, doc["status"], doc["errorType"]), (code, "error", kind),
              text)
        need(want in doc["error"], body)


def test_idle_connections_do_not_block(case):
    """a thousand idle connections do not keep health from answering"""
    s = case.sonde("scrape_configs: []\n")
    idle = []
    try:
        for _ in range(1000):
            c = socket.create_connection(("127.0.0.1", s.port), 5)
            c.setblocking(False)
            idle.append(c)
    except OSError:
        pass
    try:
        wait_for("health to answer",
                 lambda: get(s.url + "/-/healthy", timeout=5)[0] == 200)
    finally:
        for c in idle:
            c.close()


def test_gone_client_ends_its_query(case):
    """a query ends when its client leaves, and makes room for the next"""
    s = case.sonde("scrape_configs: []\n",
                   "--web.enable-remote-write-receiver",
                   "--query.max-concurrency=1")
    now = int(time.time())
    write(s.url, [({"__name__": "c", "i": str(i)},
                   [Sample((now - 600 + k * 15) * 1000, k) for k in range(40)])
                  for i in range(500)])
    text = urllib.parse.urlencode({
        "query": "+".join(f"sum(quantile_over_time(0.{i}, c[2h:1s]))"
                          for i in range(10, 60)),
        "start": now - 20000, "end": now, "step": 2})
    clients = []
    for _ in range(3):
        c = socket.create_connection(("127.0.0.1", s.port), 5)
        c.sendall(f"GET /api/v1/query_range?{text} HTTP/1.1\r\nHost: x\r\n\r\n"
                  .encode())
        clients.append(c)
    wait_for("a query to run and others to wait",
             lambda: s.metric("prometheus_engine_queries") == 3)
    for c in clients:
        c.close()
    wait_for("all of them to end",
             lambda: s.metric("prometheus_engine_queries") == 0, 20)
    equal(s.api("query", query="1", time="4")["result"], [4, "1"])


def test_slow_readers(case):
    """clients that do not read large answers keep nobody from asking"""
    s = case.sonde("scrape_configs: []\n",
                   "--web.enable-remote-write-receiver",
                   "--query.max-concurrency=4")
    now = int(time.time())
    for part in range(0, 600, 150):
        write(s.url, [({"__name__": "c", "i": str(i)},
                       [Sample((now - 9000 + k * 15) * 1000, k * 1.37)
                        for k in range(part, part + 150)])
                      for i in range(100)])
    text = urllib.parse.urlencode({"query": "c", "start": now - 9000,
                                   "end": now, "step": 1})
    clients = []
    for _ in range(4):
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", s.port))
        c.sendall(f"GET /api/v1/query_range?{text} HTTP/1.1\r\nHost: x\r\n\r\n"
                  .encode())
        clients.append(c)
    for c in clients:
        need(c.recv(20).startswith(b"HTTP/1.1 200"), "the answer's beginning")
    equal(get(s.url + "/-/healthy")[0], 200)
    equal(s.api("query", query="1", time="4")["result"], [4, "1"])
    equal(s.metric("prometheus_engine_queries"), 0)
    for c in clients:
        c.close()
    equal(s.stop(), 0)


def test_drain_on_term(case):
    """SIGTERM ends it cleanly, with scrapes under way and a hung target"""
    def hang(h):
        time.sleep(PATIENCE)
    t = case.target(handle=hang)
    s = case.sonde(config(job("hang", t.address, interval="1s")))
    wait_for("a scrape to be under way", lambda: t.hits)
    equal(s.stop(), 0)
    need("stopped" in s.log(), s.log())


def test_agent_mode(case):
    """--agent keeps the log only and answers no queries"""
    t = case.target("a 1\n")
    path = case.write("agent.yml", config(job("app", t.address,
                                              interval="500ms")))
    port = free_port()
    p = Process(case, [SONDE, "--agent", f"--config.file={path}",
                       f"--storage.agent.path={case.path('agent')}",
                       f"--web.listen-address=127.0.0.1:{port}"], "agent")
    url = f"http://127.0.0.1:{port}"
    wait_for("a scrape", lambda: t.hits >= 2 and
             get(url + "/-/ready")[0] == 200)
    status, body = get(url + "/api/v1/query?query=a")
    equal(status, 422)
    need("unavailable with Prometheus Agent" in body, body)
    equal(p.stop(), 0)
    need(os.listdir(case.path("agent/wal")), "the log is there")


run(globals())
