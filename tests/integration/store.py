# SPDX-License-Identifier: Apache-2.0
"""Scraped, kept, read back: by the API, by promtool, by a real Prometheus,
after a kill and a restart."""
import random
import threading
import time

from harness import *

BODY = """# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/"} %d
http_requests_total{code="500",path="/a b}\\"\\\\"} 2
# TYPE temperature gauge
temperature{unit="\u00b0C"} -12.5
nan_now NaN
inf_now +Inf
tiny 5e-324
"""


def metric(dump, **labels):
    want = set(labels.items())
    found = [v for k, v in dump.items() if want <= set(k)]
    need(len(found) == 1, f"{labels}: {found}")
    return found[0]


def test_scrape_query(case):
    """what a target says is what a query answers"""
    t = case.target(BODY % 7)
    s = case.sonde(config(job("app", t.address)))
    s.wait_health("app", "up")
    wait_for("a sample", lambda: s.query("http_requests_total"))
    equal(s.value('http_requests_total{code="200"}'), 7.0)
    equal(s.value('temperature{unit="\u00b0C",job="app"}'), -12.5)
    equal(list(s.query("nan_now").values())[0][1], "NaN")
    equal(list(s.query("inf_now").values())[0][1], "+Inf")
    equal(list(s.query("tiny").values())[0][1], "5e-324")
    equal(s.value('up{job="app"}'), 1.0)
    equal(s.value("scrape_samples_scraped"), 6.0)
    equal(s.value("scrape_samples_post_metric_relabeling"), 6.0)
    labels = list(s.query('up{job="app"}'))[0]
    equal(dict(labels)["instance"], t.address)
    meta = s.api("metadata")
    equal(meta["http_requests_total"],
          [{"type": "counter", "help": "Requests.", "unit": ""}])


def test_dump_after_kill(case):
    """promtool dumps exactly what was scraped, live and killed"""
    n = [0]

    def body():
        n[0] += 1
        gone = "" if n[0] % 3 == 0 else f"comes_and_goes {n[0]}\n"
        return f"counter_total {n[0]}\nnot_a_number NaN\n{gone}"
    t = case.target(body)
    s = case.sonde(config(job("app", t.address, interval="200ms")))
    wait_for("20 scrapes", lambda: len(t.served) >= 20)
    live = promtool_dump(case.copy(s.data, "live"))
    need(len(metric(live, __name__="counter_total")) >= 15,
         "samples in the live directory")
    s.kill()
    dump = promtool_dump(case.copy(s.data, "killed"))
    counter = metric(dump, __name__="counter_total", job="app")
    values = [int(float(v)) for _, v in counter]
    equal(values, list(range(1, len(values) + 1)), "every scrape, in order")
    need(len(values) >= len(t.served) - 1, f"{len(values)} of {len(t.served)}")
    times = [ms for ms, _ in counter]
    equal([t2 for t2, _ in metric(dump, __name__="not_a_number")], times)
    # Where it was away there is a stale marker (which prints as NaN).
    gone = dict(metric(dump, __name__="comes_and_goes"))
    for ms, v in zip(times, values):
        equal(gone.get(ms), "NaN" if v % 3 == 0 else str(v), f"at {v}")
    equal([v for _, v in metric(dump, __name__="up", job="app")],
          ["1"] * len(times))


def test_prometheus_opens_it(case):
    """a real Prometheus started on a copy answers the same"""
    for binary in (None, "newest"):
        check_prometheus_opens(case, binary)


def check_prometheus_opens(case, which):
    if which:
        try:
            which = newest("prometheus")
        except Skip as e:
            print(f"# {e}")
            return
    n = [0]

    def body():
        n[0] += 1
        return f"c_total{{x=\"1\"}} {n[0]}\nflaps{{}} 1\n" if n[0] % 4 else \
            f"c_total{{x=\"1\"}} {n[0]}\n"
    t = case.target(body)
    name = "data-new" if which else "data"
    s = case.sonde(config(job("app", t.address, interval="200ms")), data=name)
    wait_for("15 scrapes", lambda: len(t.served) >= 15)
    s.stop()
    t.close()
    case.cleanups.remove(t.close)
    copy = case.copy(s.data, name + "-copy")
    p = case.prometheus(data=copy, binary=which)
    s = case.sonde("scrape_configs: []\n", data=name)
    now = time.time()
    dump = promtool_dump(case.copy(s.data, name + "-dump"))
    for labels, samples in dump.items():
        sel = "{" + ",".join(f'{k}="{v}"' for k, v in labels) + "}"
        real = p.query(sel + "[1h]", now)
        got = [(round(float(ts) * 1000), v) for ts, v in
               real[0]["values"]] if real else []
        want = [x for x in samples if x[1] != "NaN"]
        equal(got, want, f"{sel} in Prometheus")
        last = samples[-1]
        ours = s.query(sel, at=last[0] / 1000)
        equal(list(ours.values())[0][1] if ours else "NaN", last[1], sel)
    p.kill()
    s.kill()


def test_restart_goes_on(case):
    """a restart replays, keeps references and goes on"""
    t = case.target("a 1\nb{x=\"y\"} 2\n")
    c = config(job("app", t.address, interval="300ms"))
    s = case.sonde(c)
    wait_for("samples", lambda: s.query("a"))
    for _ in range(3):
        s.stop() if _ % 2 else s.kill()
        before = promtool_dump(case.copy(s.data, f"before-{_}"))
        s = case.sonde(c)
        hits = t.hits
        wait_for("two more scrapes", lambda: t.hits >= hits + 2)
        after = promtool_dump(case.copy(s.data, f"after-{_}"))
        for labels, samples in before.items():
            if dict(labels)["__name__"] in ("a", "b", "up"):
                equal(after[labels][:len(samples)], samples, str(labels))
                need(len(after[labels]) > len(samples), "nothing was added")


def test_stale_when_target_goes(case):
    """a target taken away by file_sd gets stale markers"""
    t = case.target("a 1\n")
    sd = case.write("sd.json", json.dumps([{"targets": [t.address]}]))
    s = case.sonde("scrape_configs:\n  - job_name: app\n"
                   "    scrape_interval: 500ms\n    scrape_timeout: 500ms\n"
                   f"    file_sd_configs:\n      - files: [{sd}]\n"
                   "        refresh_interval: 1s\n")
    wait_for("a sample", lambda: s.query("a"))
    labels = s.target("app")["discoveredLabels"]
    equal(labels["__meta_filepath"], sd)
    case.write("sd.json", "[]")
    wait_for("the target to be gone", lambda: not s.targets())
    wait_for("the marker", lambda: not s.query("a") and not s.query("up"))
    dump = promtool_dump(case.copy(s.data, "copy"))
    for name in ("a", "up", "scrape_duration_seconds"):
        equal(metric(dump, __name__=name)[-1][1], "NaN", name)


def test_relabel(case):
    """relabel_configs, metric_relabel_configs, honor_labels, limits"""
    t = case.target('a{job="own",instance="mine"} 1\ndrop_me 2\nkeep{le="x"} 3\n')
    conf = """scrape_configs:
  - job_name: clash
    scrape_interval: 500ms
    scrape_timeout: 500ms
    static_configs:
      - targets: ["%(t)s"]
        labels: {team: core}
    relabel_configs:
      - source_labels: [__address__]
        regex: '([^:]+):(\\d+)'
        target_label: port
        replacement: $2
      - action: labelmap
        regex: te(.+)
        replacement: t_$1
    metric_relabel_configs:
      - source_labels: [__name__]
        regex: drop_.*
        action: drop
      - source_labels: [__name__, le]
        separator: "@"
        regex: keep@(.*)
        target_label: bucket
  - job_name: honest
    scrape_interval: 500ms
    scrape_timeout: 500ms
    honor_labels: true
    static_configs: [{targets: ["%(t)s"]}]
  - job_name: limited
    scrape_interval: 500ms
    scrape_timeout: 500ms
    sample_limit: 2
    static_configs: [{targets: ["%(t)s"]}]
  - job_name: away
    static_configs: [{targets: ["%(t)s"]}]
    relabel_configs: [{action: drop, regex: away, source_labels: [job]}]
""" % {"t": t.address}
    s = case.sonde(conf)
    wait_for("all jobs", lambda: len([x for x in s.targets()
                                      if x["health"] != "unknown"]) == 3)
    equal(s.query('a{job="clash"}').keys(), {series_key({
        "__name__": "a", "job": "clash", "instance": t.address,
        "exported_job": "own", "exported_instance": "mine", "team": "core",
        "t_am": "core", "port": str(t.port)})})
    equal(s.query('drop_me{job="clash"}'), {})
    equal(s.value('keep{bucket="x",job="clash"}'), 3.0)
    equal(s.value('a{job="own",instance="mine"}'), 1.0)
    equal(s.value('up{job="limited"}'), 0.0)
    need("sample limit exceeded" in s.target("limited")["lastError"], "why")
    equal(s.value('scrape_samples_scraped{job="limited"}'), 3.0)
    dropped = s.api("targets", state="dropped")["droppedTargets"]
    equal([d["scrapePool"] for d in dropped], ["away"])


def test_timestamps_and_duplicates(case):
    """explicit times, honor_timestamps, the same series twice"""
    now = int(time.time() * 1000)
    t = case.target(f"timed 1 {now}\nold 1 0\ntwice 1\ntwice 2\n")
    s = case.sonde(config(
        job("honor", t.address, interval="500ms"),
        job("not", t.address, interval="500ms", honor_timestamps="false")))
    s.wait_health("honor", "up")
    s.wait_health("not", "up")
    dump = promtool_dump(case.copy(s.data, "copy"))
    equal(metric(dump, __name__="timed", job="honor"), [(now, "1")])
    need(not [k for k in dump if ("__name__", "old") in k and
              ("job", "honor") in k], "a sample of 1970 is too old")
    need(metric(dump, __name__="old", job="not")[0][0] >= now, "own time")
    equal({v for _, v in metric(dump, __name__="twice", job="honor")}, {"1"})
    need(s.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total")
         > 0, "counted")


run(globals())
