#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sonde query and sonde check: the same answers from a running sonde, a real
Prometheus and a stopped directory, and promtool's letters."""
import fcntl
import json
import os
import pty
import random
import re
import shutil
import struct
import subprocess
import termios
import time

import harness
from harness import equal, need
from remote_body import Histogram, Sample, write

PROMTOOL = shutil.which("promtool")
STEPS = 40
# bcrypt of "secret"
SECRET = "$2b$04$O0omL2KBg2krF2JL9Dybs.fW8auWXFDg310vRrzGrG9VKSiOvrQye"
QUERIES = [
    "up",
    "temp",
    'temp{zone="b"}',
    "sum by (zone) (hits_total)",
    "increase(hits_total[2m]) > bool 5",
    "-temp",
    "h",
    "histogram_count(h)",
    "absent(nothing)",
    "nothing",
    "sort_desc(hits_total)",
]


def tool(binary, *args, code=0, stdin=None, env=None):
    out = subprocess.run([binary, *args], capture_output=True, text=True,
                         timeout=harness.PATIENCE * 2, input=stdin, env=env)
    need(out.returncode == code,
         f"{os.path.basename(binary)} {' '.join(args)}: exit "
         f"{out.returncode}, want {code}\n{out.stdout[-2000:]}\n"
         f"{out.stderr[-2000:]}")
    return out.stdout, out.stderr


def sonde(*args, **kw):
    return tool(harness.SONDE, *args, **kw)


def promtool(*args, **kw):
    need(PROMTOOL, "the Debian package prometheus (promtool) is not installed")
    return tool(PROMTOOL, *args, **kw)[0]


def data(start):
    """Series with samples every 15 s, a histogram among them."""
    rnd = random.Random(3)
    times = range(start, start + STEPS * 15000, 15000)
    out = []
    for i, zone in enumerate("abc"):
        v, hits = 20.0, 0
        temp, total = [], []
        for t in times:
            v += rnd.choice([-0.5, 0.25, 1])
            hits += rnd.randrange(4)
            temp.append(Sample(t, v))
            total.append(Sample(t, float(hits)))
        out.append(({"__name__": "temp", "zone": zone, "path": f'/"{i}",\\'},
                    temp))
        out.append(({"__name__": "hits_total", "zone": zone}, total))
    out.append(({"__name__": "up", "job": "ü"},
                [Sample(t, 1e21) for t in times]))
    out.append(({"__name__": "h"},
                [Histogram(t, 7 + k, 18.5 + k, zero=1,
                           positive=([(0, 2), (1, 1)], [1, 1, 1 + k]))
                 for k, t in enumerate(times)]))
    return out


class Stores:
    """The same samples in a running sonde, in a Prometheus, and in a
    directory that nobody has open."""

    def __init__(self, case):
        self.start = (int(time.time()) - 3600) * 1000 + 7
        self.middle = f"{self.start // 1000 + 300}"
        series = data(self.start)
        binary = harness.newest("prometheus")
        self.peer = case.prometheus(
            "global: {}\n", "--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms", binary=binary)
        self.agent = case.sonde("scrape_configs: []\n",
                                "--web.enable-remote-write-receiver")
        stopped = case.sonde("scrape_configs: []\n",
                             "--web.enable-remote-write-receiver",
                             data="stopped")
        for url in (self.peer.url, self.agent.url, stopped.url):
            write(url, series)
        stopped.stop()
        self.dir = stopped.data
        self.range = [f"--start={self.start // 1000 + 60}",
                      f"--end={self.start // 1000 + 360}", "--step=30s"]

    def sources(self):
        return [[self.agent.url], [self.peer.url], [f"--data={self.dir}"]]


def test_same_answers(case):
    """a running sonde, Prometheus and a stopped directory answer alike"""
    s = Stores(case)
    for fmt in ("table", "csv", "json", "promql"):
        for q in QUERIES:
            for args in (["instant", f"--time={s.middle}"],
                         ["range", *s.range]):
                got = [sonde("query", *args, "-o", fmt, *src, "--", q)[0]
                       for src in s.sources()]
                equal(got[0], got[1], f"{args} {fmt} {q}: sonde, Prometheus")
                equal(got[2], got[1], f"{args} {fmt} {q}: --data, Prometheus")
    for src in s.sources():
        out, _ = sonde("query", "instant", f"--time={s.middle}",
                       "-o", "promql", *src, "scalar(up)")
        equal(out, f"scalar: 1000000000000000000000 @[{s.middle}]\n", src)
        out, _ = sonde("query", "instant", *src, '"text"')
        equal(out, "text\n", src)


def test_as_promtool(case):
    """what is printed with -o promql and json is promtool's"""
    s = Stores(case)
    binary = harness.newest("promtool")
    for q in QUERIES:
        if q.startswith("-"):
            continue  # promtool takes it for a flag
        for args in (["instant", f"--time={s.middle}"], ["range", *s.range]):
            for source in (s.agent.url, s.peer.url):
                want = tool(binary, "query", *args, "-o", "promql", source,
                            q)[0]
                got = sonde("query", *args, "-o", "promql", source, q)[0]
                equal(got, want, f"{args} {q}")
                want = tool(binary, "query", *args, "-o", "json", source, q)[0]
                got = sonde("query", *args, "-o", "json", source, q)[0]
                equal(json.loads(got), json.loads(want), f"{args} {q}")
        # the older promtool reads what sonde serves
        if q not in ("h",):
            equal(promtool("query", "instant", f"--time={s.middle}",
                           s.agent.url, q),
                  sonde("query", "instant", f"--time={s.middle}", "-o",
                        "promql", s.agent.url, q)[0], q)


def test_series_and_labels(case):
    """series and labels, of all three and as promtool prints them"""
    s = Stores(case)
    binary = harness.newest("promtool")
    times = [f"--start={s.start // 1000}", f"--end={s.start // 1000 + 600}"]
    for args in (["series", "--match=temp"],
                 ["series", "--match=temp", '--match={zone="a"}'],
                 ["series", "--match=nothing"]):
        want = tool(binary, "query", *args, *times, s.peer.url)[0]
        for src in s.sources():
            equal(sorted(sonde("query", *args, *times, *src)[0].splitlines()),
                  sorted(want.splitlines()), f"{args} {src}")
    for args in ([], ["--match=hits_total", "--match=up"]):
        for name in ("zone", "__name__", "none"):
            want = tool(binary, "query", "labels", *args, *times, s.peer.url,
                        name)[0]
            for src in s.sources():
                equal(sonde("query", "labels", *args, *times, *src, name)[0],
                      want, f"{args} {name} {src}")
    # a name that is no plain one
    for src in s.sources():
        sonde("query", "labels", *times, *src, "a/b ü")


def test_newest_sample_is_now(case):
    """without a time, a directory's newest sample is what is asked for"""
    s = Stores(case)
    out, _ = sonde("query", "instant", f"--data={s.dir}", "-o", "csv", "temp")
    newest = (s.start + (STEPS - 1) * 15000) / 1000
    rows = out.splitlines()[1:]
    equal(len(rows), 3, out)
    for row in rows:
        equal(float(row.split(",")[-2]), newest, row)
    before = sorted(os.listdir(s.dir))
    sonde("query", "range", f"--data={s.dir}", "temp")
    equal(sorted(os.listdir(s.dir)), before, "nothing is written")


def test_access(case):
    """passwords, headers and wrong ones"""
    web = case.write("web.yml", f"basic_auth_users:\n  u: {SECRET}\n")
    agent = case.sonde("scrape_configs: []\n", f"--web.config.file={web}",
                       wait=False)
    good = case.write("good.yml",
                      "basic_auth:\n  username: u\n  password: secret\n")
    bad = case.write("bad.yml",
                     "basic_auth:\n  username: u\n  password: wrong\n")

    def asked():
        out = subprocess.run(
            [harness.SONDE, "query", "instant", f"--http.config.file={good}",
             agent.url, "1"], capture_output=True, text=True)
        return out.stdout == "1\n"
    harness.wait_for("an answer", asked)
    host = agent.url.split("//")[1]
    equal(sonde("query", "instant", f"http://u:secret@{host}", "1")[0], "1\n")
    equal(sonde("query", "instant", "--header",
                "Authorization: Basic dTpzZWNyZXQ=", host, "1")[0], "1\n")
    for flags in ([f"--http.config.file={bad}"], []):
        _, err = sonde("query", "instant", *flags, agent.url, "1", code=1)
        need("401" in err, err)
    _, err = sonde("query", "instant",
                   "--http.config.file=" + case.write("x.yml", "basic_aut: 1"),
                   agent.url, "1", code=1)
    need("basic_auth" in err, err)


def test_errors(case):
    """what is wrong is said, and the exit code tells"""
    agent = case.sonde("scrape_configs: []\n")
    _, err = sonde("query", "instant", agent.url, "rate(x)", code=1)
    need("bad_data: invalid parameter \"query\": 1:6: parse error" in err, err)
    _, err = sonde("query", "range", f"--data={agent.data}", "x[5m]", code=1)
    need('invalid expression type "range vector"' in err, err)
    port = harness.free_port()
    sonde("query", "instant", f"http://127.0.0.1:{port}", "1", code=1)
    sonde("query", "instant", "--data=" + case.path("none"), "1", code=1)
    target = case.target(body="hello")
    _, err = sonde("query", "labels", f"http://{target.address}", "x", code=1)
    need("not an answer of the API" in err, err)
    for args in ([], ["instant"], ["instant", agent.url],
                 ["series", agent.url], ["instant", agent.url, "1", "2"],
                 ["instant", "--explain", agent.url, "1"],
                 ["instant", "-o", "xml", agent.url, "1"],
                 ["instant", "--time=yesterday", agent.url, "1"],
                 ["range", "--step=-1", agent.url, "1"],
                 ["instant", "--data=x", "--enable-feature=agent", "1"]):
        sonde("query", *args, code=2)


def on_terminal(args, env):
    """What a command writes to a terminal of 100 columns."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(harness.SONDE, [harness.SONDE, *args], env)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    out = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    equal(status, 0, out)
    return out.decode()


def test_chart(case):
    """a chart is plain in a pipe and has colours on a terminal"""
    s = Stores(case)
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    env["LC_ALL"] = "C.UTF-8"
    args = ["query", "range", "--chart", *s.range, f"--data={s.dir}", "temp"]
    out, _ = sonde(*args, env=env)
    need(out.isascii() and "\x1b" not in out, out)
    lines = out.splitlines()
    need(all(len(x) <= 84 for x in lines[:18]), "80 columns and the zone")
    equal(len(lines), 16 + 2 + 3, out)
    need(re.search(r"^a  temp\{.*\}  min [\d.]+  max [\d.]+  last", out, re.M),
         out)
    for letter in "abc":
        need(letter in "".join(x.split("|")[-1] for x in lines[:16]), out)
    colour = on_terminal(args, env)
    need("\x1b[32m" in colour and "\u2800" not in colour, colour)
    plain = on_terminal(args, {**env, "NO_COLOR": "1"})
    need("\x1b" not in plain, plain)


def test_explain(case):
    """the plan names each node with what it cost"""
    s = Stores(case)
    out, err = sonde("query", "range", "--explain", "-o", "csv", *s.range,
                     f"--data={s.dir}", "sum(rate(hits_total[2m])) / count(temp)")
    need(out.startswith("time,value\n") and "node" not in out, out)
    rows = [line.split(None, 7) for line in err.splitlines()[1:-1]]
    equal([(r[3], r[5], r[7]) for r in rows], [
        ("1", "11", "sum(rate(hits_total[2m])) / count(temp)"),
        ("1", "11", "sum(rate(hits_total[2m]))"),
        ("3", "11", "rate(hits_total[2m])"),
        ("3", "11", "hits_total[2m]"),
        ("1", "11", "count(temp)"),
        ("3", "11", "temp")], err)
    samples = [int(r[6]) for r in rows]
    equal(samples[0], samples[1] + samples[4], err)
    need(err.splitlines()[-1].startswith("query: "), err)


# ---- checks ------------------------------------------------------------------

def page(rnd):
    """A page whose names break conventions now and then."""
    words = ["http", "seconds", "bytes", "ms", "total", "milliseconds", "count",
             "sum", "bucket", "Gauge", "camelCase", "kilobytes", "x", "info",
             "counter", "days", "a:b", "kb", "histogram", "thermometers"]
    out, used = [], set()
    for _ in range(rnd.randrange(1, 12)):
        name = "_".join(rnd.choice(words) for _ in range(rnd.randrange(1, 4)))
        # a family's parts must not be taken for another's
        if any(name.startswith(u) or u.startswith(name) for u in used):
            continue
        used.add(name)
        kind = rnd.choice(["counter", "gauge", "untyped", "histogram",
                           "summary", None])
        if rnd.random() < 0.8:
            out.append(f"# HELP {name} " + rnd.choice(["text", "text", ""]))
        if kind:
            out.append(f"# TYPE {name} {kind}")
        if kind == "histogram":
            out += [f'{name}_bucket{{le="1"}} 1', f'{name}_bucket{{le="+Inf"}} 2',
                    f"{name}_sum 3", f"{name}_count 2"]
        elif kind == "summary":
            out += [f'{name}{{quantile="0.5"}} 1', f"{name}_sum 3",
                    f"{name}_count 2"]
        else:
            label = rnd.choice(["a", "le", "quantile", "someLabel", "b"])
            out.append(f'{name}{{{label}="1"}} 1')
            if rnd.random() < 0.1:
                out.append(out[-1])
    return "\n".join(out) + "\n"


def test_check_metrics(case):
    """the lint finds what promtool's finds"""
    binary = harness.newest("promtool")
    rnd = random.Random(5)
    for _ in range(60):
        text = page(rnd)
        out = subprocess.run([binary, "check", "metrics"], input=text,
                             capture_output=True, text=True)
        _, err = sonde("check", "metrics", stdin=text, code=out.returncode)
        if out.returncode != 1:
            equal(sorted(set(err.splitlines())),
                  sorted(set(out.stderr.splitlines())), text)
    equal(sonde("check", "metrics", case.write("m", "# HELP a b\na 1\n")),
          ("", ""), "a file")
    sonde("check", "metrics", stdin="a{", code=1)
    good = "".join(f"# HELP {n} x\n# TYPE {n} {kind}\n" + "".join(
        f'{n}{part}{{a="{i}"{more}}} 1\n' for i in range(count)
        for part, more in parts)
        for n, kind, count, parts in (
            ("a_total", "counter", 5, [("", "")]),
            ("b_seconds", "histogram", 2,
             [("_bucket", ',le="1"'), ("_bucket", ',le="+Inf"'), ("_sum", ""),
              ("_count", "")]),
            ("c_bytes", "summary", 1,
             [("", ',quantile="0.5"'), ("_sum", ""), ("_count", "")])))
    out, _ = sonde("check", "metrics", "--extended", stdin=good)
    want = tool(binary, "check", "metrics", "--extended", stdin=good)[0]
    equal([tuple(x.split()) for x in out.splitlines()[1:-1]],
          [tuple(x.split()) for x in want.splitlines()[1:-1]], "cardinality")


def test_check_query(case):
    """a query's fault is shown with its place"""
    equal(sonde("check", "query", "up")[0], "ok: instant vector\n")
    equal(sonde("check", "query", "--format", "sum(x)by(a)")[0],
          "sum by (a) (x)\n")
    _, err = sonde("check", "query", "rate(x)", code=1)
    equal(err.splitlines()[1:], ["  rate(x)", "       ^"])
    equal(sonde("check", "query", "-f", case.write("q", "1 +\n  2\n"))[0],
          "ok: scalar\n")
    _, err = sonde("check", "query", "-f", "-", stdin="1 +\n  $", code=1)
    equal(err.splitlines()[1:], ["    $", "    ^"])
    sonde("check", "query", code=2)
    sonde("check", "query", "a", "-f", "b", code=2)
    sonde("check", "query", "limitk(1, x)", code=1)
    sonde("check", "query", "--enable-feature=promql-experimental-functions",
          "limitk(1, x)")


if __name__ == "__main__":
    harness.run(globals())
