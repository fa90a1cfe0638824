# SPDX-License-Identifier: Apache-2.0
"""Remote write to a real Prometheus: every sample of every series once and in
order, across outages of the receiver and kills of the agent."""
import time

from harness import *


class Counter:
    """A body whose counter rises by one at every scrape."""

    def __init__(self, series=50):
        self.n = 0
        self.series = series

    def __call__(self):
        self.n += 1
        return "".join(f'c_total{{i="{i}"}} {self.n}\n'
                       for i in range(self.series))


def received(p, selector):
    result = p.query(selector + "[1h]", time.time() + 1)
    return {r["metric"]["i"]: [(round(float(t) * 1000), int(float(v)))
                               for t, v in r["values"]] for r in result}


def kept(case, s, name):
    dump = promtool_dump(case.copy(s.data, name))
    return {dict(k)["i"]: [(t, int(float(v))) for t, v in samples if v != "NaN"]
            for k, samples in dump.items() if ("__name__", "c_total") in k}


def remote(port, extra=""):
    return ("remote_write:\n"
            f"  - url: http://127.0.0.1:{port}/api/v1/write\n"
            "    queue_config: {batch_send_deadline: 200ms, max_backoff: 500ms}\n"
            + extra)


def all_arrived(case, s, p, name):
    """Stops the source first, so that both sides are at rest."""
    want = kept(case, s, name)
    wait_for("the last sample to arrive",
             lambda: {k: v[-1] for k, v in received(p, "c_total").items()} ==
             {k: v[-1] for k, v in want.items()})
    equal(received(p, "c_total"), want, "all samples, once and in order")
    return want


def test_everything_arrives(case):
    """every sample of every series arrives once, in order"""
    p = case.prometheus("global: {}\n", "--web.enable-remote-write-receiver")
    t = case.target(Counter(500))
    s = case.sonde("global: {external_labels: {site: lab}}\n" +
                   config(job("app", t.address, interval="200ms"),
                          rest=remote(p.port)))
    wait_for("20 scrapes", lambda: t.hits >= 20)
    t.close()
    case.cleanups.remove(t.close)
    s.wait_health("app", "down")
    want = all_arrived(case, s, p, "copy")
    equal(len(want), 500)
    labels = p.query("c_total{i='0'}[1h]", time.time())[0]["metric"]
    equal(labels["site"], "lab")
    wait_for("up 0 to arrive", lambda: p.query('up{job="app"}', time.time())
             and p.query('up{job="app"}', time.time())[0]["value"][1] == "0")


def test_outage_and_kill(case):
    """an outage, a kill in the middle of it, a restart: nothing is missing"""
    port = free_port()
    t = case.target(Counter())
    conf = config(job("app", t.address, interval="200ms"), rest=remote(port))
    data = case.path("receiver")
    flags = ("--web.enable-remote-write-receiver",)
    p = case.prometheus("global: {}\n", *flags, port=port, data=data)
    s = case.sonde(conf)
    wait_for("first samples to arrive", lambda: received(p, "c_total"))
    p.kill()
    hits = t.hits
    wait_for("scrapes during the outage", lambda: t.hits >= hits + 10)
    s.kill()
    s = case.sonde(conf)
    hits = t.hits
    wait_for("scrapes after the restart", lambda: t.hits >= hits + 10)
    p = case.prometheus("global: {}\n", *flags, port=port, data=data)
    wait_for("scrapes with the receiver back", lambda: t.hits >= hits + 20)
    t.close()
    case.cleanups.remove(t.close)
    s.wait_health("app", "down")
    all_arrived(case, s, p, "copy")


def test_write_relabel(case):
    """write_relabel_configs choose what is sent"""
    p = case.prometheus("global: {}\n", "--web.enable-remote-write-receiver")
    t = case.target("wanted 1\nunwanted 2\n")
    rule = ("    write_relabel_configs:\n"
            "      - {source_labels: [__name__], regex: wanted, action: keep}\n")
    s = case.sonde(config(job("app", t.address, interval="200ms"),
                          rest=remote(p.port, rule)))
    wait_for("it to arrive", lambda: p.query("wanted", time.time()))
    equal(p.query('{__name__=~".+",__name__!="wanted"}', time.time()), [])
    need(s.query("unwanted"), "kept here")


def test_bad_requests_are_dropped(case):
    """a 400 is dropped and counted, a 500 is retried until it passes"""
    answers = [500, 503, 400]
    bodies = []

    def handle(h):
        bodies.append(h.rfile.read(int(h.headers["Content-Length"])))
        status = answers.pop(0) if answers else 204
        h.send_response(status)
        h.send_header("Content-Length", "0")
        h.end_headers()
    sink = case.target()
    sink.server.RequestHandlerClass.do_POST = lambda h: handle(h)
    t = case.target("a 1\n")
    s = case.sonde(config(job("app", t.address, interval="300ms"),
                          rest=remote(sink.port)))
    wait_for("five requests", lambda: len(bodies) >= 5)
    equal(bodies[0], bodies[1], "the same batch after a 500")
    equal(bodies[1], bodies[2], "and after a 503")
    need(bodies[3] != bodies[2], "the next one after a 400")
    page = get(s.url + "/metrics")[1]
    failed = [l for l in page.splitlines()
              if l.startswith("prometheus_remote_storage_samples_failed_total")]
    need(failed and float(failed[0].rsplit(" ", 1)[1]) > 0, "counted")
    need("400" in s.log(), "explained in the log")


run(globals())
