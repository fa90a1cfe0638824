# SPDX-License-Identifier: Apache-2.0
"""Bad input gets a clear error and loses nothing."""
import ctypes
import fcntl
import os
import resource
import subprocess
import time
import zlib

from harness import *


def check(case, text, *flags):
    path = case.write("check.yml", text)
    out = subprocess.run([SONDE, "check", "config", *flags, path],
                         capture_output=True, text=True, timeout=PATIENCE)
    return out.returncode, out.stdout + out.stderr


BAD_CONFIGS = [
    ("scrape_configs: [\n", "check.yml:2:1"),
    ("scrape_configs:\n  - job_name: a\n    scrape_intervall: 5s\n",
     'check.yml:3:5', "scrape_interval"),
    ("scrape_configs:\n  - scrape_interval: 5s\n", "job_name"),
    ("scrape_configs:\n  - job_name: a\n    scrape_interval: soon\n",
     "check.yml:3:22", "soon"),
    ("scrape_configs:\n  - job_name: a\n  - job_name: a\n", '"a"', "3:"),
    ("scrape_configs:\n  - job_name: a\n    sample_limit: many\n", "many"),
    ("scrape_configs:\n  - job_name: a\n    honor_labels: perhaps\n",
     "perhaps"),
    ("scrape_configs:\n  - job_name: a\n    plugin: redsi\n", "redsi",
     "redis"),
    ("scrape_configs:\n  - job_name: a\n    plugin: redis\n"
     "    options: {no_such: 1}\n", "no_such"),
    ("scrape_configs:\n  - job_name: a\n    scrape_interval: 1s\n"
     "    scrape_timeout: 2s\n", "timeout"),
    ("scrape_configs:\n  - job_name: a\n    relabel_configs:\n"
     "      - {source_labels: [x], regex: '(', target_label: y}\n", "regex"),
    ("scrape_configs:\n  - job_name: a\n    relabel_configs:\n"
     "      - {action: explode}\n", "explode"),
    ("global: {scrape_interval: 0x}\n", "0x"),
    ("a: &a [*a]\n", "check.yml:1"),
    ("remote_write:\n  - url: 'not a url'\n", "url"),
    ("scrape_config_files: [/no/such/file.yml]\n", "/no/such/file.yml"),
    ("\tglobal: {}\n", "check.yml:1"),
]


def test_bad_configs(case):
    """a wrong configuration is refused with file, line, column and a hint"""
    for text, *wants in BAD_CONFIGS:
        code, out = check(case, text)
        equal(code, 2, text + out)
        for want in wants:
            need(want in out, f"{text}\nsaid: {out}\nwant: {want}")


def test_unused_keys_warn(case):
    """what no room implements yet is accepted with one warning"""
    code, out = check(case, "tracing: {endpoint: 'x:1'}\nscrape_configs: []\n")
    equal(code, 0, out)
    equal(out.count("tracing"), 1, out)


def test_start_refuses(case):
    """a start with a wrong configuration exits 2, with a bad flag 2"""
    s = case.sonde("nonsense: 1\n", wait=False)
    equal(s.popen.wait(PATIENCE), 2)
    need("nonsense" in s.log(), s.log())
    out = subprocess.run([SONDE, "--storage.tsdb.pth=x"], capture_output=True,
                         text=True)
    equal(out.returncode, 2)
    need("--storage.tsdb.path" in out.stderr, out.stderr)
    out = subprocess.run([SONDE, "--config.file=" + case.path("none.yml")],
                         capture_output=True, text=True)
    equal(out.returncode, 2)
    need("none.yml" in out.stderr, out.stderr)


def test_port_in_use(case):
    """a port in use is said, and nothing is touched"""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        s = case.sonde("scrape_configs: []\n", wait=False,
                       port=busy.getsockname()[1])
        equal(s.popen.wait(PATIENCE), 1)
    need(str(s.port) in s.log() and "in use" in s.log(), s.log())
    need(not os.path.exists(s.data), "the data directory was not made")


def test_locked_directory(case):
    """a second start on the same directory is refused"""
    first = case.sonde("scrape_configs: []\n")
    second = case.sonde("scrape_configs: []\n", wait=False)
    equal(second.popen.wait(PATIENCE), 1)
    need(first.data in second.log() and "lock" in second.log().lower(),
         second.log())
    need(first.alive(), "the first goes on")


def test_read_only_directory(case):
    """a data directory that can not be written is said"""
    if os.geteuid() == 0:
        path = "/proc/sonde-data"
    else:
        os.makedirs(case.path("ro"), 0o555)
        path = case.path("ro/data")
    s = case.sonde("scrape_configs: []\n", data=path, wait=False)
    equal(s.popen.wait(PATIENCE), 1)
    need(path in s.log(), s.log())


def test_disk_full(case):
    """on a full disk ingestion says so, queries go on, and it resumes"""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, -1))
    n = [0]

    def body():
        n[0] += 1
        return "".join(f'f{{i="{i}"}} {n[0] * 1.1 + i / 7}\n'
                       for i in range(3000))
    t = case.target(body)
    # The wal's segment can not grow past 1 MiB: writes fail in the middle.
    s = case.sonde(config(job("app", t.address, interval="500ms")),
                   "--storage.tsdb.wal-segment-size=128MB", preexec=limit)
    wait_for("a write to fail", lambda: s.target("app") and
             s.target("app")["health"] == "down")
    why = s.target("app")["lastError"]
    need("wal" in why.lower(), why)
    need(s.api("query", query="f")["result"], "queries go on")
    known = s.query('f{i="1"}')
    resource.prlimit(s.pid, resource.RLIMIT_FSIZE, (-1, -1))
    s.wait_health("app", "up")
    wait_for("new samples", lambda: s.query('f{i="1"}') != known)
    last = {}

    def settled():
        last.clear()
        last.update(s.query("f"))
        return last
    wait_for("samples", settled)
    s.kill()
    s = case.sonde("scrape_configs: []\n")
    for labels, (ts, v) in last.items():
        sel = "{" + ",".join(f'{k}="{x}"' for k, x in labels) + "}"
        equal(s.query(sel, at=ts)[labels][1], v, sel)
        break
    dump = promtool_dump(case.copy(s.data, "copy"))
    for labels, (ts, v) in last.items():
        need(any(float(x) == float(v) for _, x in dump[labels]),
             f"{labels} {v} is missing after the kill")


def endless(h):
    h.send_response(200)
    h.send_header("Content-Type", "text/plain")
    h.send_header("Connection", "close")
    h.end_headers()
    line = b"".join(b'endless{i="%d"} 1\n' % i for i in range(1000))
    while True:
        h.wfile.write(line)


def long_line(h):
    h.send_response(200)
    h.send_header("Content-Type", "text/plain")
    h.send_header("Content-Length", str(100 << 20))
    h.end_headers()
    for _ in range(100):
        h.wfile.write(b"a" * (1 << 20))


def bomb(h):
    body = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join(body.compress(b"#" * (1 << 20) + b"\n")
                    for _ in range(1024)) + body.flush()
    h.send_response(200)
    h.send_header("Content-Type", "text/plain")
    h.send_header("Content-Encoding", "gzip")
    h.send_header("Content-Length", str(len(data)))
    h.end_headers()
    h.wfile.write(data)


def hang(h):
    time.sleep(PATIENCE)


def status(code):
    def handle(h):
        h.send_response(code)
        h.send_header("Content-Length", "0")
        h.end_headers()
    return handle


def text(body, content_type="text/plain"):
    def handle(h):
        h.send_response(200)
        h.send_header("Content-Type", content_type)
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)
    return handle


def test_bad_targets(case):
    """targets that refuse, hang, lie or flood are down with a reason"""
    bad = {
        "refuse": (None, "refused"),
        "hang": (hang, "deadline exceeded"),
        "garbage": (text(b"\x00\xff not metrics {{{\n"), ""),
        "html": (text(b"<html>", "text/html"), "Content-Type"),
        "midway": (text(b"good 1\nbad\n"), "line 2"),
        "status": (status(503), "503"),
        "nothing": (status(204), "204"),
        "endless": (endless, ""),
        "line": (long_line, "line"),
        "bomb": (bomb, ""),
    }
    jobs = []
    for name, (handle, _) in bad.items():
        address = (case.target(handle=handle).address if handle
                   else f"127.0.0.1:{free_port()}")
        extra = {"body_size_limit": "50MB"} if name != "line" else {}
        jobs.append(job(name, address, interval="2s", **extra))
    good = case.target("fine 1\n")
    jobs.append(job("good", good.address, interval="1s"))
    s = case.sonde(config(*jobs))
    for name, (_, want) in bad.items():
        if name == "garbage":  # a NUL at a line's start ends the text
            continue
        t = s.wait_health(name, "down")
        need(want in t["lastError"], f"{name}: {t['lastError']}")
        equal(s.value(f'up{{job="{name}"}}'), 0.0, name)
    s.wait_health("good", "up")
    equal(s.query("good"), {}, "nothing of a body that fails is kept")
    need(s.alive(), "the agent lives")
    hits = good.hits
    wait_for("the good target to be scraped still",
             lambda: good.hits > hits + 1)


def test_reload_keeps_old(case):
    """a reload with an error keeps the old configuration and says why"""
    t = case.target("a 1\n")
    good = config(job("app", t.address, interval="500ms"))
    s = case.sonde(good)
    s.wait_health("app", "up")
    code, body = s.reload(good + "nonsense: 1\n")
    equal(code, 500)
    need("nonsense" in body, body)
    equal(s.metric("prometheus_config_last_reload_successful"), 0.0)
    equal(s.api("status/runtimeinfo")["reloadConfigSuccess"], False)
    hits = t.hits
    wait_for("scrapes to go on", lambda: t.hits > hits + 1)
    code, body = s.reload(config(job("other", t.address, interval="500ms")))
    equal((code, body), (200, ""))
    s.wait_health("other", "up")
    equal([x["scrapePool"] for x in s.targets()], ["other"])
    case.write("sonde.yml", good)
    os.kill(s.pid, signal.SIGHUP)
    wait_for("SIGHUP to reload", lambda: s.target("app"))
    need("other" not in s.api("status/config")["yaml"], "the new one is shown")


def test_secrets_are_masked(case):
    """secrets are in no page and no log line"""
    secret = "s3cr3t-hunter2"
    t = case.target("a 1\n")
    s = case.sonde(config(
        job("app", t.address, interval="500ms",
            basic_auth="{username: u, password: %s}" % secret),
        rest=f"remote_write:\n  - url: http://u:{secret}@127.0.0.1:1/w\n"))
    s.wait_health("app", "up")
    for path in ("/api/v1/status/config", "/api/v1/targets", "/metrics", "/"):
        need(secret not in get(s.url + path)[1], path)
    need("<secret>" in s.api("status/config")["yaml"], "masked")
    wait_for("a failed send", lambda: "127.0.0.1:1" in s.log())
    need(secret not in s.log(), "the log")


run(globals())
